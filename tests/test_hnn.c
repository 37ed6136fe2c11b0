/* test_hnn.c - the public header alone: a model on a tape and as numbers agree, what is found by name, what is outside the domain. */
/* SPDX-License-Identifier: MIT */
#include "hnn.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { N = 2, SIZE = 2 * N };

static const double at[SIZE] = {0.3, -0.7, 1.1, 0.4};

static hnn_model *model(const char *name)
{
    hnn_model *m = NULL;
    hnn_error e = {0};
    const hnn_model_spec s = {.model = name, .dof = N, .width = 6};
    cr_assert_eq(hnn_model_new(&s, 5, &m, &e), HNN_OK, "%s: %s", name, e.message);
    return m;
}

Test(hnn, a_model_on_a_tape_gives_the_numbers_of_its_flow)
{
    static const char *const names[] = {"hnn", "separable", "mass", "dissipative", "port", "node", "node2"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        hnn_model *m = model(names[k]), *copy = NULL;
        hnn_flow *f = NULL;
        hnn_error e = {0};
        ad_tape *t = ad_new();
        ad_var param[64], z = ad_const(t, 1, SIZE, at);
        const double *theta[64];
        cr_assert_eq(hnn_flow_new(m, NULL, &f, &e), HNN_OK, "%s: %s", names[k], e.message);
        cr_assert(m->params <= 64);
        hnn_model_inputs(m, t, param);
        hnn_model_pointers(m, m->theta, theta);
        ad_var H = hnn_model_energy(m, param, z, ad_num(0)), rate = hnn_model_field(m, param, z, ad_num(0));
        for (int i = 0; i < m->params; i++)
            ad_set(param[i], m->param[i].rows, theta[i]);
        double h = 0, dz[SIZE];
        cr_assert_eq(hnn_flow_rate(f, 1, 0, at, dz, &e), HNN_OK, "%s: %s", names[k], e.message);
        for (int i = 0; i < SIZE; i++)
            cr_expect_float_eq(ad_value(rate)[i], dz[i], 1e-12 * (1 + fabs(dz[i])), "%s, component %d",
                               names[k], i);
        cr_expect_eq(hnn_flow_dof(f), N);
        if (hnn_flow_has_energy(f)) {
            cr_assert_eq(hnn_flow_energy(f, 1, 0, at, &h, &e), HNN_OK, "%s: %s", names[k], e.message);
            cr_expect_float_eq(ad_value(H)[0], h, 1e-12 * (1 + fabs(h)), "%s", names[k]);
        }
        cr_expect_eq(ad_status(t), 0, "%s: %s", names[k], ad_message(t));
        /* the flow has parameters of its own, and so has a copy */
        cr_assert_eq(hnn_model_copy(m, &copy, &e), HNN_OK, "%s", e.message);
        m->theta[0] += 1;
        cr_expect_neq(copy->theta[0], m->theta[0]);
        cr_expect_neq(hnn_flow_model(f)->theta[0], m->theta[0]);
        cr_expect(copy->size == m->size && copy->row == m->row && copy->theta != m->theta);
        ad_free(t);
        hnn_flow_free(f);
        hnn_model_free(m), hnn_model_free(copy);
    }
}

Test(hnn, the_jacobian_of_a_canonical_field_is_J_times_the_hessian_of_H)
{
    hnn_model *m = model("hnn");
    hnn_flow *f = NULL;
    hnn_error e = {0};
    double B[SIZE * SIZE], A[SIZE * SIZE];
    cr_assert_eq(hnn_flow_new(m, NULL, &f, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_flow_jacobian(f, 1, 0, at, B, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_flow_hessian(f, 1, 0, at, A, &e), HNN_OK, "%s", e.message);
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            double want = i < N ? A[(i + N) * SIZE + j] : -A[(i - N) * SIZE + j];
            cr_expect_float_eq(B[i * SIZE + j], want, 1e-13 * (1 + fabs(want)), "%d %d", i, j);
        }
    /* on a tape: J (g_q, g_p) = (g_p, -g_q) */
    ad_tape *t = ad_new();
    const double *J = ad_value(hnn_canonical(ad_const(t, 1, SIZE, at)));
    for (int i = 0; i < SIZE; i++)
        cr_expect_eq(J[i], i < N ? at[i + N] : -at[i - N]);
    ad_free(t);
    hnn_flow_free(f);
    hnn_model_free(m);
}

Test(hnn, what_has_no_such_name_is_an_error_that_lists_the_names)
{
    hnn_error e = {0};
    cr_expect_null(hnn_loss_find("mse", &e));
    cr_expect(e.code == HNN_EARG && strstr(e.message, "mse") && strstr(e.message, "derivative"), "%s",
              e.message);
    cr_expect_null(hnn_model_find("hnm", &e));
    cr_expect(e.code == HNN_EARG && strstr(e.message, "hnm") && strstr(e.message, "separable"), "%s",
              e.message);
    cr_expect_null(hnn_system_find("pendulums", &e));
    cr_expect(e.code == HNN_EARG && strstr(e.message, "pendulums") && strstr(e.message, "kepler"), "%s",
              e.message);
    for (int i = 0; i < hnn_loss_count(); i++)
        cr_expect_eq(hnn_loss_find(hnn_loss_at(i)->name, NULL), hnn_loss_at(i));
    int larger = 0;
    for (int id = 0; id < HNN_METRICS; id++) {
        cr_expect(*hnn_metric_name(id) && *hnn_metric_title(id));
        larger += hnn_metric_larger_is_better(id);
    }
    cr_expect_eq(larger, 2); /* the long horizon, the F1 score of the landscape */
}

Test(hnn, where_H_does_not_exist_is_outside_the_domain_of_a_landscape)
{
    hnn_model *m = NULL;
    hnn_flow *f = NULL;
    hnn_error e = {0};
    hnn_landscape l;
    const hnn_model_spec s = {.model = "text", .dof = 1, .H = "p^2/2 + q - log(q)", .no_gauge = 1};
    const double lo[2] = {-2, -1}, hi[2] = {3, 1}, out[2] = {-1, 0};
    double H = 0, g[2] = {0}, h[4] = {0};
    cr_assert_eq(hnn_model_new(&s, 0, &m, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_flow_new(m, NULL, &f, &e), HNN_OK, "%s", e.message);
    cr_expect_eq(hnn_flow_landscape(f, out, &H, g, h), HNN_OK);
    cr_expect(isnan(H));
    cr_assert_eq(hnn_landscape_find(hnn_flow_landscape, f, 2, lo, hi, NULL, &l, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(l.n, 1);
    cr_expect_float_eq(l.at[0].z[0], 1, 1e-8);
    cr_expect_float_eq(l.at[0].energy, 1, 1e-12);
    hnn_landscape_free(&l);
    hnn_flow_free(f);
    hnn_model_free(m);
}
