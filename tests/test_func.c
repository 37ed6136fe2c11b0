/* test_func.c - recorded functions and ad_eval, against the same mathematics recorded without them. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { B = 5, D = 3, H = 4 };
static const double W[H * D] = {.3, -.2, .7, .1, .5, -.4, .9, -.6, .2, -.8, .35, .15};
static const double Z[B * D] = {.1, .2, -.3, 1.1, -.7, .4, .6, -.9, 1.3, -.2, .8, .05, -1.4, .33, .71};

/* Energies [B,1] of rows z [B,D] with weights w [H,D], and a penalty [1,1] of the weights. */
static void energy(ad_var w, ad_var z, ad_var out[2])
{
    out[0] = ad_sum_cols(ad_mul(ad_tanh(ad_matmul_nt(z, w)), ad_exp(ad_cos(ad_matmul_nt(z, w)))));
    out[1] = ad_sum(ad_square(ad_sin(w)));
}

static ad_func *energy_func(ad_tape *t)
{
    ad_var w = ad_input(t, "w", H, D), z = ad_input(t, "z", AD_BATCH, D), y[2];
    energy(w, z, y);
    return ad_func_new(2, (ad_var[]){w, z}, 2, y);
}

static void near(ad_var a, ad_var b, int n, const char *what)
{
    const double *p = ad_value(a);
    cr_assert(p, "%s: %s", what, ad_message(a.tape));
    double *keep = malloc((size_t)n * sizeof *keep);
    memcpy(keep, p, (size_t)n * sizeof *keep);
    const double *q = ad_value(b);
    cr_assert(q, "%s: %s", what, ad_message(b.tape));
    for (int i = 0; i < n; i++) /* sums in another order */
        cr_assert(fabs(keep[i] - q[i]) <= 1e-13 * (1 + fabs(q[i])), "%s [%d]: %.17g, unrolled %.17g", what, i,
                  keep[i], q[i]);
    free(keep);
}

Test(func, a_call_has_the_value_and_the_derivatives_to_order_3_of_its_nodes)
{
    ad_tape *t = ad_new();
    ad_func *f = energy_func(t);
    cr_assert(f, "%s", ad_message(t));
    ad_var w = ad_find(t, "w"), z = ad_find(t, "z"), y[2][2], one = ad_num(1);
    ad_set(w, H, W);
    ad_set(z, B, Z);
    ad_call(t, f, (ad_var[]){w, z}, y[0]);
    ad_func_free(f);
    energy(w, z, y[1]);
    cr_assert(!strcmp(ad_name(y[0][0]), "result"));
    const double *v = ad_value(y[1][0]);
    double bits[B];
    memcpy(bits, v, sizeof bits);
    cr_assert(!memcmp(bits, ad_value(y[0][0]), sizeof bits));
    ad_var loss[2], gw[2], gz[2], h[2], hh[2], dz[2];
    for (int k = 0; k < 2; k++) {
        ad_vjp(1, &y[k][0], &one, 1, &z, &dz[k]); /* a field, whose loss is differentiated again */
        loss[k] = ad_add(ad_sum(ad_square(dz[k])), ad_mul(ad_num(.5), y[k][1]));
        ad_grads(loss[k], 2, (ad_var[]){w, z}, (ad_var[2]){w, z});
        gw[k] = ad_grad(loss[k], w);
        gz[k] = ad_grad(loss[k], z);
        h[k] = ad_hvp(loss[k], w, ad_const(t, H, D, W));
        hh[k] = ad_grad(ad_sum(ad_square(h[k])), z);
    }
    cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
    near(dz[0], dz[1], B * D, "field");
    near(loss[0], loss[1], 1, "loss");
    near(gw[0], gw[1], H * D, "gradient in w");
    near(gz[0], gz[1], B * D, "gradient in z");
    near(h[0], h[1], H * D, "Hessian-vector product");
    near(hh[0], hh[1], B * D, "its gradient");
    ad_free(t);
}

/* f called on rows of a batch, on fixed rows, on two batches in one, on one row repeated. */
Test(func, the_batch_of_a_function_is_bound_at_each_call)
{
    ad_tape *t = ad_new(), *own = ad_new();
    ad_func *f = energy_func(own);
    ad_free(own);
    ad_var w = ad_const(t, H, D, W), z = ad_input(t, "z", AD_BATCH, D), y[2], u[2],
           two = ad_concat_rows(2, (ad_var[]){z, z});
    ad_set(z, B, Z);
    double all[2 * B * D];
    memcpy(all, Z, sizeof Z);
    memcpy(all + B * D, Z, sizeof Z);
    const ad_var rows[] = {z,
                           two,
                           ad_const(t, B, D, Z),
                           ad_const(t, 2 * B, D, all),
                           ad_const(t, 1, D, Z),
                           ad_rows_of(two, -1, -1)};
    const int count[] = {B, 2 * B, B, 2 * B, 1, B};
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(ad_call(t, f, (ad_var[]){w, rows[i]}, y), AD_OK, "%d: %s", i, ad_message(t));
        cr_assert_eq(ad_rows(y[0]), ad_rows(rows[i]));
        energy(w, rows[i], u);
        near(y[0], u[0], count[i], "value");
        ad_var g = ad_grad(ad_sum(y[0]), rows[i]), want = ad_grad(ad_sum(u[0]), rows[i]);
        near(g, want, count[i] * D, "gradient");
    }
    cr_assert_eq(ad_call(t, f, (ad_var[]){ad_num(.5), z}, y), AD_OK, "%s", ad_message(t));
    energy(ad_fill(t, H, D, .5), z, u);
    near(y[0], u[0], B, "a number for all weights");
    ad_func_free(f);
    ad_free(t);
}

/* Values and gradients of nested calls, by program: written out, called, and by ad_value. */
Test(func, programs_with_calls_written_out_or_run_have_the_bits_of_ad_value)
{
    ad_tape *t = ad_new();
    ad_func *f = energy_func(t);
    ad_var w = ad_find(t, "w"), z = ad_find(t, "z"), y[2], e[2], g[2];
    ad_call(t, f, (ad_var[]){w, ad_mul(z, ad_num(2))}, y);
    ad_func *outer = ad_func_new(2, (ad_var[]){w, z}, 2, (ad_var[]){ad_sum(y[0]), ad_add(y[0], y[1])});
    cr_assert(outer, "%s", ad_message(t));
    ad_call(t, outer, (ad_var[]){w, z}, e);
    ad_var loss = ad_add(e[0], ad_sum(ad_square(e[1])));
    ad_grads(loss, 2, (ad_var[]){w, z}, g);
    ad_var out[] = {loss, g[0], g[1], e[1], e[0]};
    ad_set(w, H, W);
    ad_set(z, B, Z);
    const double *want[5];
    for (int k = 0; k < 5; k++)
        want[k] = ad_value(out[k]);
    const int size[] = {1, H * D, B * D, B, 1};
    for (int opt = AD_OPT_FULL; opt <= AD_OPT_NONE; opt++) {
        ad_program *p = ad_compile(t, 2, (ad_var[]){w, z}, 5, out, &(ad_options){.opt = opt});
        ad_work *work = ad_work_new(p, NULL);
        cr_assert(work, "%s", ad_message(t));
        double got[5][B * D];
        for (int again = 0; again < 2; again++) {
            cr_assert_eq(
                ad_run(work, B, (const void *[]){W, Z}, (void *[]){got[0], got[1], got[2], got[3], got[4]}),
                AD_OK, "%s", ad_work_message(work));
            for (int k = 0; k < 5; k++)
                cr_assert(!memcmp(got[k], want[k], (size_t)size[k] * sizeof(double)), "opt %d output %d", opt,
                          k);
        }
        char *text = ad_program_dump(p);
        cr_assert_eq(strstr(text, "= call") != NULL, opt == AD_OPT_NONE, "%s", text);
        free(text);
        ad_work_free(work);
        ad_program_free(p);
    }
    float wf[H * D], zf[B * D], lf;
    for (int i = 0; i < H * D; i++)
        wf[i] = (float)W[i];
    for (int i = 0; i < B * D; i++)
        zf[i] = (float)Z[i];
    ad_program *p =
        ad_compile(t, 2, (ad_var[]){w, z}, 1, out, &(ad_options){.real = AD_F32, .opt = AD_OPT_NONE});
    ad_work *work = ad_work_new(p, NULL);
    cr_assert_eq(ad_run(work, B, (const void *[]){wf, zf}, (void *[]){&lf}), AD_OK);
    cr_assert_float_eq((double)lf, want[0][0], 1e-5 * fabs(want[0][0]));
    ad_work_free(work);
    ad_program_free(p);
    ad_func_free(f);
    ad_func_free(outer);
    ad_free(t);
}

/* What where() masks stays out of a call's derivatives: tan is infinite times 0 there. */
Test(func, a_branch_that_where_does_not_take_stays_out_of_a_call)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2), r = ad_exp(ad_div(ad_num(1), x)), y;
    ad_func *f = ad_func_new(1, &x, 1, &r);
    ad_call(t, f, &x, &y);
    ad_func_free(f);
    ad_var g = ad_grad(ad_sum(ad_where(ad_lt(ad_num(0), x), y, ad_num(3))), x);
    ad_set(x, 1, (double[]){0, 2});
    const double *v = ad_value(g);
    cr_assert(v && v[0] == 0 && fabs(v[1] + exp(.5) / 4) < 1e-15, "%g %g", v[0], v[1]);
    ad_free(t);
}

Test(func, inputs_may_be_any_values_and_outputs_inputs_numbers_or_equal)
{
    ad_tape *t = ad_new(), *u = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), s = ad_sin(x), c = ad_mul(s, ad_num(3)), y[4], r[4];
    ad_func *f = ad_func_new(1, &s, 4, (ad_var[]){c, s, ad_num(7), c}); /* of s = sin x, not of x */
    ad_free(t);
    cr_assert(f);
    ad_var z = ad_input(u, "z", 1, 1), one = ad_num(1), dz;
    ad_set(z, 1, (double[]){.25});
    cr_assert_eq(ad_call(u, f, &z, y), AD_OK, "%s", ad_message(u));
    cr_assert(ad_scalar(y[0]) == .75 && ad_scalar(y[1]) == .25 && ad_scalar(y[2]) == 7 &&
              ad_scalar(y[3]) == .75);
    ad_vjp(4, y, (ad_var[]){one, one, one, one}, 1, &z, &dz);
    cr_assert_eq(ad_scalar(dz), 7); /* 3 + 1 + 0 + 3 */
    ad_jvp(4, y, 1, &z, &one, r);
    cr_assert(ad_scalar(r[0]) == 3 && ad_scalar(r[1]) == 1 && ad_scalar(r[2]) == 0 && ad_scalar(r[3]) == 3);
    ad_func_free(f);
    ad_free(u);
}

Test(func, a_rewound_call_lets_go_of_its_function)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = ad_sin(x), z;
    ad_mark m = ad_here(t);
    failalloc_arm(0, 0);
    ad_func *f = ad_func_new(1, &x, 1, &y);
    for (int i = 0; i < 3; i++) {
        ad_call(t, f, &x, &z);
        ad_rewind(t, m);
        cr_assert(ad_is_void(z));
    }
    ad_call(t, f, &x, &z);
    ad_func_free(f);
    ad_rewind(t, m);
    ad_free(t);
    failalloc_disarm();
    cr_assert(failalloc_live() <= 0);
}

Test(func, a_bad_function_or_call_names_what_is_wrong)
{
    ad_tape *t = ad_new(), *other = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = ad_input(t, "y", 1, 1), o = ad_input(other, "o", 1, 1),
           s = ad_add(x, y), out[2];
    struct {
        int nin, nout;
        ad_var in[2], out[1];
        int status;
        const char *says;
    } bad[] = {{1, 1, {x}, {s}, AD_EUNBOUND, "\"y\", which is not listed"},
               {2, 1, {x, x}, {x}, AD_EARG, "inputs 1 and 2 are the same"},
               {1, 1, {o}, {x}, AD_ETAPE, "input 1 is on another tape"},
               {2, 1, {x, ad_num(1)}, {x}, AD_EARG, "input 2 is number"},
               {1, 0, {x}, {x}, AD_EARG, "0 outputs"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_null(ad_func_new(bad[i].nin, bad[i].in, bad[i].nout, bad[i].out));
        ad_tape *told = bad[i].nout ? t : t;
        cr_assert_eq(ad_status(told), bad[i].status, "%zu: %s", i, ad_message(told));
        cr_assert(strstr(ad_message(told), bad[i].says), "%zu: %s", i, ad_message(told));
        ad_clear(t);
    }
    cr_assert_null(ad_func_new(1, &x, 1, &o));
    cr_assert_eq(ad_status(other), AD_ETAPE, "%s", ad_message(other));
    ad_clear(other);
    ad_func *f = energy_func(other);
    struct {
        ad_var in[2];
        int status;
        const char *says;
    } call[] = {
        {{ad_fill(t, H, D + 1, 0), ad_fill(t, 2, D, 0)}, AD_ESHAPE, "operand 1 is [4,4]; needs [4,3]"},
        {{ad_fill(t, H, D, 0), ad_fill(t, 2, 2, 0)}, AD_ESHAPE, "operand 2 is [2,2]; needs [2,3]"},
        {{o, o}, AD_ETAPE, "operand 1 is on another tape"}};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(ad_call(t, f, call[i].in, out), call[i].status, "%zu", i);
        cr_assert(strstr(ad_message(t), call[i].says), "%zu: %s", i, ad_message(t));
        cr_assert(ad_is_void(out[0]) && ad_is_void(out[1]));
        ad_clear(t);
    }
    cr_assert_eq(ad_call(t, NULL, &x, out), AD_EARG);
    ad_clear(t);
    cr_assert_eq(ad_call(t, f, NULL, out), AD_EARG);
    cr_assert_eq(ad_call(NULL, f, &x, out), AD_ENOMEM);
    ad_func_free(NULL);
    ad_func_free(f);
    ad_free(t);
    ad_free(other);
}

Test(func, a_failure_inside_a_call_tells_the_whole_way)
{
    ad_tape *t = ad_new();
    ad_var a = ad_input(t, "a", AD_BATCH, 4), l = ad_row_cholesky(a, 2), y;
    ad_func *f = ad_func_new(1, &a, 1, &l);
    ad_call(t, f, &a, &y);
    ad_func_free(f);
    double bad[] = {4, 0, 0, 9, 1, 2, 2, 1}, out[8];
    ad_set(a, 2, bad);
    cr_assert_null(ad_value(y));
    cr_assert_eq(ad_status(t), AD_EDOMAIN);
    cr_assert(strstr(ad_message(t), "ad_value: ad_call (node ") &&
                  strstr(ad_message(t), "ad_row_cholesky (node 1): the matrix in row 1"),
              "%s", ad_message(t));
    ad_clear(t);
    for (int opt = AD_OPT_FULL; opt <= AD_OPT_NONE; opt++) {
        ad_program *p = ad_compile(t, 1, &a, 1, &y, &(ad_options){.opt = opt});
        ad_work *w = ad_work_new(p, NULL);
        cr_assert_eq(ad_run(w, 2, (const void *[]){bad}, (void *[]){out}), AD_EDOMAIN);
        cr_assert(strstr(ad_work_message(w), "row_cholesky") && strstr(ad_work_message(w), "row 1"), "%s",
                  ad_work_message(w));
        ad_work_free(w);
        ad_program_free(p);
    }
    ad_free(t);
}

/* ad_eval ------------------------------------------------------------------------------------------ */

Test(func, eval_gives_the_values_of_ad_value_again_and_again)
{
    ad_tape *t = ad_new();
    ad_var w = ad_input(t, "w", H, D), z = ad_input(t, "z", AD_BATCH, D), y[2], g;
    energy(w, z, y);
    g = ad_grad(ad_sum(y[0]), w);
    ad_set(w, H, W);
    double e[B], p, dg[H * D], seven;
    for (int rows = 1; rows <= B; rows++) {
        ad_set(z, rows, Z + (B - rows) * D);
        cr_assert_eq(ad_eval(t, 4, (ad_var[]){y[0], y[1], g, ad_num(7)}, (double *[]){e, &p, dg, &seven}),
                     AD_OK, "%s", ad_message(t));
        cr_assert(seven == 7 && p == ad_scalar(y[1]));
        cr_assert(!memcmp(e, ad_value(y[0]), (size_t)rows * sizeof *e));
        cr_assert(!memcmp(dg, ad_value(g), sizeof dg));
    }
    ad_eval(t, 1, y + 1, (double *[]){&p});
    failalloc_arm(0, 0); /* once compiled, nothing is made again but a list of inputs */
    for (int i = 0; i < 10; i++)
        ad_eval(t, 1, y + 1, (double *[]){&p});
    long made = failalloc_disarm();
    cr_assert(made <= 30, "%ld", made); /* three lists a call */
    ad_mark m = ad_here(t);
    for (int i = 0; i < 40; i++) { /* more than it keeps; nodes with the same numbers after a rewind */
        ad_var s = ad_sin(ad_num(i)), r = i % 2 ? ad_sin(ad_sum(w)) : ad_cos(ad_sum(w));
        (void)s;
        cr_assert_eq(ad_eval(t, 1, &r, (double *[]){&p}), AD_OK);
        cr_assert_eq(p, ad_scalar(r));
        ad_rewind(t, m);
    }
    ad_free(t);
}

Test(func, a_bad_eval_names_what_is_wrong)
{
    ad_tape *t = ad_new(), *other = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), a = ad_input(t, "a", 1, 4), o = ad_input(other, "o", 1, 1),
           l = ad_row_cholesky(a, 2);
    double v[4];
    struct {
        int n;
        ad_var x;
        double *out;
        int status;
        const char *says;
    } bad[] = {{1, x, v, AD_EUNBOUND, "input \"x\" has no value"},
               {1, o, v, AD_ETAPE, "another tape"},
               {0, x, v, AD_EARG, "0 values"},
               {1, x, NULL, AD_EARG, "value 1 has no memory"},
               {1, l, v, AD_EDOMAIN, "row 0"}};
    ad_set(a, 1, (double[]){1, 2, 2, 1});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(ad_eval(t, bad[i].n, &bad[i].x, &bad[i].out), bad[i].status, "%zu: %s", i,
                     ad_message(t));
        cr_assert(strstr(ad_message(t), bad[i].says), "%zu: %s", i, ad_message(t));
        ad_clear(t);
    }
    cr_assert_eq(ad_eval(NULL, 1, &x, &bad[0].out), AD_ENOMEM);
    ad_free(t);
    ad_free(other);
}

/* Memory and threads -------------------------------------------------------------------------------- */

static int all_of_it(void)
{
    ad_tape *t = ad_new();
    ad_func *f = energy_func(t);
    ad_var w = ad_find(t, "w"), z = ad_find(t, "z"), y[2], g, h;
    int status = AD_ENOMEM;
    double p, dg[H * D];
    if (!ad_set(w, H, W) && !ad_set(z, B, Z) && !ad_call(t, f, (ad_var[]){w, z}, y)) {
        g = ad_grad(ad_add(ad_sum(y[0]), y[1]), w);
        ad_jvp(1, &g, 1, &z, (ad_var[]){z}, &h);
        if (ad_value(h))
            status = ad_eval(t, 2, (ad_var[]){y[1], h}, (double *[]){&p, dg});
    }
    ad_program *prog =
        ad_status(t) ? NULL : ad_compile(t, 2, (ad_var[]){w, z}, 1, &h, &(ad_options){.opt = AD_OPT_NONE});
    ad_work *work = ad_work_new(prog, NULL);
    if (!status)
        status = work ? ad_run(work, B, (const void *[]){W, Z}, (void *[]){dg}) : AD_ENOMEM;
    ad_work_free(work);
    ad_program_free(prog);
    status = ad_status(t) ? ad_status(t) : status;
    ad_func_free(f);
    ad_free(t);
    return status;
}

Test(func, every_allocation_may_fail)
{
    long step = getenv("NOETHER_TEST_SHORT") ? 37 : 1;
    for (long n = 1;; n += step) {
        failalloc_arm(n, 1);
        int status = all_of_it();
        if (failalloc_disarm() < n) {
            cr_assert_eq(status, AD_OK);
            break;
        }
        cr_assert_eq(status, AD_ENOMEM, "allocation %ld: %s", n, ad_status_name(status));
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
    }
}

static void *use(void *p)
{
    const ad_func *f = p;
    ad_tape *t = ad_new();
    ad_var w = ad_input(t, "w", H, D), z = ad_input(t, "z", AD_BATCH, D), y[2];
    ad_set(w, H, W);
    ad_set(z, B, Z);
    double *sum = calloc(1, sizeof *sum);
    for (int i = 0; i < 5; i++) {
        ad_call(t, f, (ad_var[]){w, z}, y);
        ad_var g = ad_grad(ad_sum(y[0]), z), h = ad_hvp(ad_sum(ad_square(g)), w, w);
        const double *v = ad_value(h);
        for (int k = 0; v && k < H * D; k++)
            *sum += v[k];
    }
    ad_free(t);
    return sum;
}

Test(func, tapes_on_two_threads_share_a_function)
{
    ad_tape *own = ad_new();
    ad_func *f = energy_func(own);
    pthread_t th[4];
    double *sum[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&th[i], NULL, use, f);
    for (int i = 0; i < 4; i++)
        pthread_join(th[i], (void **)&sum[i]);
    for (int i = 0; i < 4; i++)
        cr_assert(*sum[i] == *sum[0] && *sum[0] != 0);
    for (int i = 0; i < 4; i++)
        free(sum[i]);
    ad_func_free(f);
    ad_free(own);
}
