/* test_learn_memory.c - every allocation of making, training, measuring and comparing a model fails once: an error that
 * says so, nothing left behind. */
/* SPDX-License-Identifier: MIT */
#include "compare.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static hnn_data data;
static const double scale[] = {1.5, 0.5};

static int make_model(hnn_error *e)
{
    hnn_model *m;
    const hnn_constant c = {"k", 1, 1};
    hnn_model_spec s = {.model = "dissipative",
                        .dof = 1,
                        .width = 3,
                        .scale = scale,
                        .constant = &c,
                        .constants = 1,
                        .drive = "k*t"};
    int code = hnn_model_new(&s, 1, &m, e);
    hnn_model_free(m);
    return code;
}

static int make_flow(hnn_error *e)
{
    hnn_model *m;
    hnn_flow *f = NULL;
    double z[2] = {0.1, 0.2}, out[4];
    int code = hnn_model_system(hnn_system_find("pendulum", NULL), 0, NULL, &m, e);
    code = code ? code : hnn_flow_new(m, NULL, &f, e);
    code = code ? code : hnn_flow_jacobian(f, 1, 0, z, out, e);
    code = code ? code : hnn_flow_energy(f, 1, 0, z, out, e);
    hnn_flow_free(f);
    hnn_model_free(m);
    return code;
}

static int train_with(const char *optimiser, long batch, hnn_error *e)
{
    hnn_model *m = NULL;
    hnn_samples x = {0};
    hnn_train_result r = {0};
    hnn_loss_spec loss = {0};
    int lsq = !strcmp(optimiser, "lsq");
    int code = hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 2, .layers = 1}, 1, &m, e);
    code = code ? code : hnn_samples_new(&loss, m, &data, &x, e);
    code =
        code ? code
             : hnn_train(m, &loss, &x, lsq ? NULL : &x,
                         &(hnn_train_options){
                             .optimiser = optimiser, .steps = 2, .batch = batch, .real = batch ? AD_F32 : 0},
                         &r, e);
    hnn_train_result_free(&r);
    hnn_samples_free(&x);
    hnn_model_free(m);
    return code;
}

static int train_adam(hnn_error *e) { return train_with("adam", 3, e); }
static int train_lbfgs(hnn_error *e) { return train_with("lbfgs", 0, e); }
static int train_lm(hnn_error *e) { return train_with("lm", 0, e); }

static void check(const char *what, int work(hnn_error *))
{
    for (long n = 1; n < 100000; n += n < 150 ? 1 : 1 + n / 40) { /* the first ones all, then a sample */
        hnn_error e = {0};
        failalloc_arm(n, 1);
        int code = work(&e);
        if (failalloc_disarm() < n)
            return;
        cr_assert_eq(code, HNN_EMEM, "%s, allocation %ld: code %d, %s", what, n, code, e.message);
        cr_assert_eq(failalloc_live(), 0, "%s, allocation %ld: %ld blocks left", what, n, failalloc_live());
        if (getenv("NOETHER_TEST_SHORT"))
            n += 40;
    }
}

Test(learn_memory, every_failed_allocation_is_an_error_without_a_leak)
{
    cr_assert_eq(hnn_data_new(1, 1, (long[]){6}, 1, &data, NULL), HNN_OK);
    for (int i = 0; i < 6; i++)
        data.t[i] = 0.1 * i, data.z[2 * i] = data.dz[2 * i + 1] = cos(i),
        data.z[2 * i + 1] = data.dz[2 * i] = sin(i);
    check("model", make_model);
    check("flow", make_flow);
    check("adam", train_adam);
    check("lbfgs", train_lbfgs);
    check("lm", train_lm);
    hnn_data_free(&data);
}
