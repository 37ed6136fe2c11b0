/* test_loss.c - every loss with every model row: its value against long double, its gradient against differences of that
 * in long double, the order at which exact data satisfy it, samples, and what is refused. */
/* SPDX-License-Identifier: MIT */
#include "field.h"
#include "loss.h"
#include "model_oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int shortly(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

/* ---- The losses once more, in long double --------------------------------------------------------------------------- */

typedef struct window {
    const real *t, *z, *dz; /* states 2n apart */
} window;

static void state_at(const oracle *o, const window *w, int k, real z[])
{
    memcpy(z, w->z + k * 2 * o->m->spec.dof, sizeof(real) * 2 * (size_t)o->m->spec.dof);
}

static int r_derivative(const oracle *o, const hnn_loss_spec *s, const window *w, real r[])
{
    (void)s;
    int size = 2 * o->m->spec.dof;
    oracle_field(o, w->z, w->t[0], r);
    for (int i = 0; i < size; i++)
        r[i] -= w->dz[i];
    return size;
}

static int r_midpoint(const oracle *o, const hnn_loss_spec *s, const window *w, real r[])
{
    (void)s;
    int size = 2 * o->m->spec.dof;
    real m[OMAX] = {0}, f[OMAX], h = w->t[1] - w->t[0];
    for (int i = 0; i < size; i++)
        m[i] = (w->z[i] + w->z[size + i]) / 2;
    oracle_field(o, m, w->t[0] + h / 2, f);
    for (int i = 0; i < size; i++)
        r[i] = (w->z[size + i] - w->z[i]) / h - f[i];
    return size;
}

static int r_mirk4(const oracle *o, const hnn_loss_spec *s, const window *w, real r[])
{
    (void)s;
    int size = 2 * o->m->spec.dof;
    real y[OMAX], f0[OMAX], f1[OMAX], f[OMAX], h = w->t[1] - w->t[0];
    oracle_field(o, w->z, w->t[0], f0);
    oracle_field(o, w->z + size, w->t[1], f1);
    for (int i = 0; i < size; i++)
        y[i] = (w->z[i] + w->z[size + i]) / 2 + h / 8 * (f0[i] - f1[i]);
    oracle_field(o, y, w->t[0] + h / 2, f);
    for (int i = 0; i < size; i++)
        r[i] = (w->z[size + i] - w->z[i]) / h - (f0[i] + 4 * f[i] + f1[i]) / 6;
    return size;
}

static int r_gauss4(const oracle *o, const hnn_loss_spec *s, const window *w, real r[])
{
    int size = 2 * o->m->spec.dof;
    real h = w->t[1] - w->t[0], g = sqrtl(3) / 6, y[2][OMAX], f[2][OMAX];
    real a[2][2] = {{0.25L, 0.25L - g}, {0.25L + g, 0.25L}}, c[2] = {0.5L - g, 0.5L + g};
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < size; i++)
            y[j][i] = w->z[i] + c[j] * (w->z[size + i] - w->z[i]);
    for (int sweep = 0;; sweep++) {
        for (int j = 0; j < 2; j++)
            oracle_field(o, y[j], w->t[0] + c[j] * h, f[j]);
        if (sweep == s->sweeps)
            break;
        for (int j = 0; j < 2; j++)
            for (int i = 0; i < size; i++)
                y[j][i] = w->z[i] + h * (a[j][0] * f[0][i] + a[j][1] * f[1][i]);
    }
    for (int i = 0; i < size; i++)
        r[i] = (w->z[size + i] - w->z[i]) / h - (f[0][i] + f[1][i]) / 2;
    return size;
}

static int r_gonzalez(const oracle *o, const hnn_loss_spec *s, const window *w, real r[])
{
    int n = o->m->spec.dof, size = 2 * n;
    real m[OMAX] = {0}, g[OMAX], d2 = 0, gd = 0;
    r_midpoint(o, s, w, r);
    for (int i = 0; i < size; i++)
        m[i] = (w->z[i] + w->z[size + i]) / 2;
    oracle_gradient(o, m, g);
    for (int i = 0; i < size; i++) {
        real d = w->z[size + i] - w->z[i];
        d2 += d * d, gd += g[i] * d;
    }
    real c = (oracle_energy(o, w->z + size) - oracle_energy(o, w->z) - gd) / d2;
    for (int i = 0; i < n; i++) {
        r[i] -= c * (w->z[size + n + i] - w->z[n + i]);
        r[n + i] += c * (w->z[size + i] - w->z[i]);
    }
    return size;
}

static void f_step(const oracle *o, const char *method, real z[], real t, real h)
{
    int n = o->m->spec.dof, size = 2 * n;
    real k[4][OMAX], y[OMAX], at[4] = {0, h / 2, h / 2, h};
    if (!strcmp(method, "rk4")) {
        for (int j = 0; j < 4; j++) {
            for (int i = 0; i < size; i++)
                y[i] = z[i] + (j ? at[j] * k[j - 1][i] : 0);
            oracle_field(o, y, t + at[j], k[j]);
        }
        for (int i = 0; i < size; i++)
            z[i] += h / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
    } else if (!strcmp(method, "verlet")) {
        for (int turn = 0; turn < 2; turn++) {
            oracle_field(o, z, t, k[0]);
            for (int i = 0; i < n; i++)
                z[n + i] += h / 2 * k[0][n + i];
            oracle_field(o, z, t, k[0]);
            for (int i = 0; i < n && !turn; i++)
                z[i] += h * k[0][i];
        }
    } else {
        memcpy(y, z, sizeof y);
        for (int sweep = 0; sweep < 6; sweep++) {
            oracle_field(o, y, t + h / 2, k[0]);
            for (int i = 0; i < size; i++)
                y[i] = z[i] + h / 2 * k[0][i];
        }
        for (int i = 0; i < size; i++)
            z[i] = 2 * y[i] - z[i];
    }
}

static int r_rollout(const oracle *o, const hnn_loss_spec *s, const window *w, real r[])
{
    int size = 2 * o->m->spec.dof;
    real z[OMAX] = {0};
    state_at(o, w, 0, z);
    for (int k = 0; k < s->window; k++) {
        real h = (w->t[k + 1] - w->t[k]) / s->substeps;
        for (int i = 0; i < s->substeps; i++)
            f_step(o, s->method, z, w->t[k] + i * h, h);
        for (int i = 0; i < size; i++)
            r[k * size + i] = z[i] - w->z[(k + 1) * size + i];
    }
    return s->window * size;
}

typedef int residual(const oracle *, const hnn_loss_spec *, const window *, real r[]);
static const struct {
    hnn_loss_spec s;
    residual *r;
    unsigned needs; /* of the model row */
} cases[] = {
    {{.loss = "derivative"}, r_derivative, 0},
    {{.loss = "midpoint"}, r_midpoint, 0},
    {{.loss = "mirk4"}, r_mirk4, 0},
    {{.loss = "gauss4", .sweeps = 3}, r_gauss4, 0},
    {{.loss = "gonzalez"}, r_gonzalez, HNN_MODEL_ENERGY},
    {{.loss = "rollout", .method = "rk4", .window = 2}, r_rollout, 0},
    {{.loss = "rollout", .method = "midpoint", .window = 1, .substeps = 2}, r_rollout, 0},
    {{.loss = "rollout", .method = "verlet", .window = 2, .substeps = 2}, r_rollout, HNN_MODEL_SEPARABLE},
    {{.loss = "rollout", .window = 2, .starts = 1}, r_rollout, 0},
    {{.loss = "rollout", .method = "rk4", .window = 1}, r_rollout, 0},
    {{.loss = "mirk4", .starts = 1}, r_mirk4, 0},
};

/* Three windows of plausible states. */
static void fake(int dof, int states, double t[], double z[], double dz[])
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < states; k++) {
            t[i * states + k] = 0.3 * i + 0.2 * k + 0.01 * k * k;
            for (int j = 0; j < 2 * dof; j++)
                z[(i * states + k) * 2 * dof + j] = sin(1.0 + i + 0.3 * k + 1.7 * j) + 0.05 * i * j;
        }
        for (int j = 0; j < 2 * dof; j++)
            dz[i * 2 * dof + j] = cos(0.4 + i + 2.1 * j);
    }
}

/* start: what is added to the first states, where the loss has starts */
static real loss_of(const oracle *o, const hnn_loss_spec *s, residual *r, const hnn_samples *x,
                    const real *start)
{
    int size = 2 * x->dof, columns = 0;
    real sum = 0, out[64], t[8], z[64], dz[OMAX];
    for (long i = 0; i < x->n; i++) {
        for (int k = 0; k < x->states; k++)
            t[k] = x->t[i * x->states + k];
        for (int k = 0; k < x->states * size; k++)
            z[k] = x->z[i * x->states * size + k];
        for (int k = 0; k < size && x->dz; k++)
            dz[k] = x->dz[i * size + k];
        int own = s->starts ? size : 0;
        for (int k = 0; k < own;
             k++) { /* a residual of its own, too: a state, or a rate like those of pairs */
            z[k] += start[i * size + k];
            out[k] = start[i * size + k] / (strcmp(s->loss, "rollout") ? t[1] - t[0] : 1);
        }
        columns = own + r(o, s, &(window){t, z, dz}, out + own);
        for (int k = 0; k < columns; k++)
            sum += out[k] * out[k] * (s->weight ? (real)s->weight[k % size] * s->weight[k % size] : 1);
    }
    return sum / (x->n * columns);
}

static void check(int row, int c, int dof, const double *weight)
{
    hnn_model_spec spec = oracle_spec(row, dof, 3);
    hnn_model *m = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(&spec, 11, &m, &e), HNN_OK, "%s", e.message);
    hnn_loss_spec given = cases[c].s, s;
    given.weight = weight;
    cr_assert_eq(hnn_loss_resolve(&given, m, &s, &e), HNN_OK, "%s", e.message);
    double t[16], z[64], dz[16];
    hnn_samples x = {.dof = dof, .states = s.window + 1, .n = 3, .t = t, .z = z, .dz = dz};
    fake(dof, x.states, t, z, dz);
    hnn_objective *o = NULL;
    cr_assert_eq(hnn_objective_new(&s, m, &x, NULL, &o, &e), HNN_OK, "%s", e.message);
    long size = hnn_objective_size(o);
    cr_assert_eq(size, m->size + s.starts * 3 * 2 * dof);
    double f, *g = malloc(2 * sizeof *g * (size_t)size), *at_theta = g + size;
    real *theta = malloc(sizeof *theta * (size_t)size);
    for (long k = 0; k < size; k++)
        theta[k] = at_theta[k] = k < m->size ? m->theta[k] : 0.01 * (double)(k - m->size + 1);
    cr_assert_eq(hnn_objective_value(o, at_theta, &f, g, &e), HNN_OK, "%s", e.message);
    oracle w = {m, theta};
    real want = loss_of(&w, &s, cases[c].r, &x, theta + m->size);
    cr_expect_float_eq(f, (double)want, 1e-12 * (1 + fabs(f)), "%s, %s: loss %.17g, not %.17Lg", m->row->name,
                       s.loss, f, want);
    for (long k = 0; k < size; k++) { /* central difference of order 4, h = 1e-3: O(h^4) = 1e-12 */
        const real step = 1e-3L, keep = theta[k];
        real value[4];
        const int at[4] = {-2, -1, 1, 2};
        for (int i = 0; i < 4; i++)
            theta[k] = keep + at[i] * step, value[i] = loss_of(&w, &s, cases[c].r, &x, theta + m->size);
        theta[k] = keep;
        real d = (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * step);
        cr_expect_float_eq(g[k], (double)d, 1e-9 * (1 + fabs((double)d)),
                           "%s, %s: gradient %ld is %.12g, not %.12Lg", m->row->name, s.loss, k, g[k], d);
    }
    free(theta);
    free(g);
    hnn_objective_free(o);
    hnn_model_free(m);
}

Test(loss, value_and_gradient_of_every_loss_with_every_row_agree_with_long_double)
{
    static const double weight[] = {0.5, 2, 1.5, 0.25};
    for (int row = 0; row < hnn_model_count(); row++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            if ((hnn_model_at(row)->flags & cases[c].needs) != cases[c].needs || (shortly() && (row + c) % 7))
                continue;
            check(row, (int)c, 1, NULL);
            if (!shortly() && c % 3 == 0)
                check(row, (int)c, 2, weight);
        }
}

/* ---- Orders ----------------------------------------------------------------------------------------------------------- */

/* RMS of the residual of exact data of H = p^2/2 + 1 - cos q + q^3 p/10 (not separable) and a drive, at step h. */
static double residual_of_truth(const hnn_loss_spec *s, double h)
{
    hnn_model_spec spec = {.model = "text", .dof = 1, .H = "p^2/2 + 1 - cos(q) + q^3*p/10 + 0*c"};
    static const hnn_constant c[] = {{"c", 1, 1}};
    spec.constant = c, spec.constants = 1;
    if (!s->loss || strcmp(s->loss, "gonzalez") != 0)
        spec.drive = "sin(t)/2";
    hnn_model *m = NULL;
    hnn_flow *flow = NULL;
    hnn_objective *o = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(&spec, 0, &m, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK, "%s", e.message);
    double t[2] = {0.3, 0.3 + h}, z[4], z0[2] = {0.8, 0.5}, f;
    cr_assert_eq(hnn_flow_rollout(flow, "gauss12", h / 8, z0, 2, t, z, NULL, &e), HNN_OK, "%s", e.message);
    hnn_samples x = {.dof = 1, .states = 2, .n = 1, .t = t, .z = z};
    cr_assert_eq(hnn_objective_new(s, m, &x, NULL, &o, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_objective_value(o, m->theta, &f, NULL, &e), HNN_OK, "%s", e.message);
    hnn_objective_free(o);
    hnn_flow_free(flow);
    hnn_model_free(m);
    return sqrt(f);
}

Test(loss, residual_of_exact_pairs_vanishes_with_the_order_of_the_row)
{
    const struct {
        hnn_loss_spec s;
        double order;
    } all[] = {
        {{.loss = "midpoint"}, 2},
        {{.loss = "midpoint", .correction = 2}, 4},
        {{.loss = "midpoint", .correction = 4}, 6},
        {{.loss = "mirk4"}, 4},
        {{.loss = "gauss4", .sweeps = 8}, 4},
        {{.loss = "gonzalez"}, 2},
        {{.loss = "rollout", .window = 1}, 5},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double h = all[i].order > 4 ? 0.4 : 0.1;
        double order = log2(residual_of_truth(&all[i].s, h) / residual_of_truth(&all[i].s, h / 2));
        cr_expect(order > all[i].order - 0.3 && order < all[i].order + 0.7,
                  "%s, correction %d: order %.2f, not %g", all[i].s.loss, all[i].s.correction, order,
                  all[i].order);
    }
}

/* ---- Rollouts through the integrators -------------------------------------------------------------------------------- */

/* A row of every family, over two samples of two steps: the states are those of the solver, the gradient is that of differences. */
Test(loss, rollouts_go_through_every_family_of_integrators)
{
    static const struct {
        const char *method, *model;
    } all[] = {{"dopri5", "node"},        {"ralston4", "dissipative"}, {"blanes-moan4", "separable"},
               {"gauss4", "hnn"},         {"gauss4", "port"},          {"gonzalez", "hnn"},
               {"avf4", "mass"},          {"lobatto4", "hnn"},         {"semi-explicit2", "hnn"},
               {"itoh-abe", "separable"}, {"verlet", "separable"},     {"gauss2", "node2"}};
    for (size_t c = 0; c < sizeof all / sizeof *all; c++) {
        if (shortly() && c % 4)
            continue;
        hnn_model *m = NULL;
        hnn_flow *flow = NULL;
        hnn_objective *o = NULL;
        hnn_error e = {0};
        hnn_model_spec spec = {.model = all[c].model, .dof = 1, .width = 3, .gain = 0.5};
        hnn_loss_spec s = {.loss = "rollout", .method = all[c].method, .window = 2, .substeps = 2};
        cr_assert_eq(hnn_model_new(&spec, 7, &m, &e), HNN_OK, "%s", e.message);
        cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK, "%s", e.message);
        double t[3] = {0.1, 0.3, 0.5}, z[6] = {0.8, 0.5}, f, up, down;
        cr_assert_eq(hnn_flow_rollout(flow, all[c].method, 0.1, z, 3, t, z, NULL, &e), HNN_OK, "%s",
                     e.message);
        hnn_samples x = {.dof = 1, .states = 3, .n = 1, .t = t, .z = z};
        cr_assert_eq(hnn_objective_new(&s, m, &x, NULL, &o, &e), HNN_OK, "%s: %s", all[c].method, e.message);
        double *g = malloc(sizeof *g * (size_t)m->size);
        cr_assert_eq(hnn_objective_value(o, m->theta, &f, NULL, &e), HNN_OK, "%s", e.message);
        cr_expect_lt(sqrt(f), 1e-13, "%s: %g from the solver", all[c].method,
                     sqrt(f)); /* solved to round-off */
        for (int i = 2; i < 6; i++)
            z[i] += 0.1 * i;
        cr_assert_eq(hnn_objective_value(o, m->theta, &f, g, &e), HNN_OK, "%s", e.message);
        for (long k = 0; k < m->size; k++) { /* central difference, h = 1e-5: O(h^2) + eps/h */
            double keep = m->theta[k];
            m->theta[k] = keep + 1e-5;
            cr_assert_eq(hnn_objective_value(o, m->theta, &up, NULL, &e), HNN_OK);
            m->theta[k] = keep - 1e-5;
            cr_assert_eq(hnn_objective_value(o, m->theta, &down, NULL, &e), HNN_OK);
            m->theta[k] = keep;
            cr_expect_float_eq(g[k], (up - down) / 2e-5, 1e-8, "%s, %s: %ld: %.10g, not %.10g", all[c].method,
                               all[c].model, k, g[k], (up - down) / 2e-5);
        }
        free(g);
        hnn_objective_free(o);
        hnn_flow_free(flow);
        hnn_model_free(m);
    }
}

Test(loss, the_corrected_midpoint_field_stays_hamiltonian)
{
    /* its residual is (z1-z0)/h - f~((z0+z1)/2): with z0 = z1 = z the Jacobian of -r by z is that of f~, which times J^-1 is
     * symmetric for a modified Hamiltonian of order 2 */
    hnn_model *m = NULL;
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 2, .width = 5}, 3, &m, NULL), HNN_OK);
    ad_tape *t = ad_new();
    ad_var param[8], z = ad_input(t, "z", 1, 4);
    hnn_model_inputs(m, t, param);
    for (int i = 0; i < m->params; i++)
        ad_set(param[i], m->param[i].rows, m->theta + m->param[i].offset);
    ad_set(z, 1, (const double[]){0.3, -0.5, 0.7, 0.2});
    ad_var both[2] = {z, z}, time = ad_const(t, 1, 2, (const double[]){0, 0.5});
    hnn_loss_spec s = {.loss = "midpoint", .correction = 2};
    ad_var r = hnn_loss_residual(&s, m, param, time, ad_concat_cols(2, both), z);
    double B[4][4], worst = 0;
    for (int i = 0; i < 4; i++) {
        ad_var g = ad_grad(ad_at(r, 0, i), z);
        const double *v = ad_value(g);
        cr_assert_not_null(v, "%s", ad_message(t));
        for (int j = 0; j < 4; j++)
            B[i < 2 ? i + 2 : i - 2][j] = i < 2 ? v[j] : -v[j];
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            worst = fmax(worst, fabs(B[i][j] - B[j][i]));
    cr_expect_lt(worst, 1e-14, "asymmetry %g", worst);
    ad_free(t);
    hnn_model_free(m);
}

/* ---- Objectives --------------------------------------------------------------------------------------------------------- */

/* The Jacobian with starts eliminated has the normal matrix that is the Schur complement of the full one. */
Test(loss, jacobian_with_starts_is_that_of_the_parameters_alone)
{
    static const hnn_constant c[] = {{"k", 0.9, 1}, {"m", 1.1, 1}};
    hnn_model_spec spec = {.model = "text", .dof = 1, .H = "p^2/(2*m)+k*q^2", .constant = c, .constants = 2};
    hnn_model *m = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(&spec, 0, &m, &e), HNN_OK);
    hnn_loss_spec s = {.loss = "rollout", .window = 3, .starts = 1};
    double t[12], z[24], dz[6], theta[8], J[24 * 2], r[24], up[24], full[24][8], N[8][8] = {{0}};
    hnn_samples x = {.dof = 1, .states = 4, .n = 3, .t = t, .z = z};
    fake(1, 4, t, z, dz);
    hnn_objective *o = NULL;
    cr_assert_eq(hnn_objective_new(&s, m, &x, &(hnn_objective_options){.jacobian = 1}, &o, &e), HNN_OK, "%s",
                 e.message);
    cr_assert_eq(hnn_objective_rows(o), 24);
    cr_assert_eq(hnn_objective_size(o), 8);
    for (int k = 0; k < 8; k++)
        theta[k] = k < 2 ? m->theta[k] : 0.02 * (k - 4);
    for (int k = 0; k < 8; k++) { /* central differences, h = 1e-5: O(h^2) + eps/h = 1e-10 */
        double keep = theta[k];
        theta[k] = keep + 1e-5;
        cr_assert_eq(hnn_objective_residuals(o, theta, up, NULL, &e), HNN_OK);
        theta[k] = keep - 1e-5;
        cr_assert_eq(hnn_objective_residuals(o, theta, r, NULL, &e), HNN_OK);
        theta[k] = keep;
        for (int i = 0; i < 24; i++)
            full[i][k] = (up[i] - r[i]) / 2e-5;
    }
    cr_assert_eq(hnn_objective_residuals(o, theta, r, J, &e), HNN_OK);
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++)
            for (int i = 0; i < 24; i++)
                N[a][b] += full[i][a] * full[i][b];
    for (int k = 7; k >= 2; k--) /* eliminate the starts */
        for (int a = 0; a < k; a++)
            for (int b = 0; b < k; b++)
                N[a][b] -= N[a][k] * N[k][b] / N[k][k];
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            double got = 0;
            for (int i = 0; i < 24; i++)
                got += J[2 * i + a] * J[2 * i + b];
            cr_expect_float_eq(got, N[a][b], 1e-8, "%d %d: %.12g, not %.12g", a, b, got, N[a][b]);
        }
    hnn_objective_free(o);
    hnn_model_free(m);
}

Test(loss, objective_of_a_batch_float_jacobian_and_naive_programs_agree)
{
    for (int c = 0; c < 2; c++) { /* with and without derivatives */
        hnn_model_spec spec = oracle_spec(0, 1, 4);
        hnn_model *m = NULL;
        hnn_error e = {0};
        cr_assert_eq(hnn_model_new(&spec, 2, &m, &e), HNN_OK);
        hnn_loss_spec s = cases[c].s;
        double t[8], z[32], dz[16];
        hnn_samples x = {.dof = 1, .states = 1 + c, .n = 3, .t = t, .z = z, .dz = dz};
        fake(1, x.states, t, z, dz);
        hnn_objective *o[4];
        const hnn_objective_options how[4] = {{.jacobian = 1}, {.naive = 1}, {.real = AD_F32}, {0}};
        double f[4], *g = malloc(4 * sizeof *g * (size_t)m->size);
        for (int k = 0; k < 4; k++) {
            cr_assert_eq(hnn_objective_new(&s, m, &x, &how[k], &o[k], &e), HNN_OK, "%s", e.message);
            cr_assert_eq(hnn_objective_value(o[k], m->theta, &f[k], g + k * m->size, &e), HNN_OK, "%s",
                         e.message);
        }
        cr_expect_eq(f[0], f[1], "the naive program has other bits");
        cr_expect_eq(memcmp(g, g + m->size, sizeof *g * (size_t)m->size), 0);
        cr_expect_float_eq(f[0], f[2], 1e-5 * f[0]); /* float: 2^-24 times a few */
        for (long k = 0; k < m->size; k++)
            cr_expect_float_eq(g[k], g[2 * m->size + k], 1e-5 * (1 + fabs(g[k])));
        /* J'r 2/N is the gradient */
        long rows = hnn_objective_rows(o[0]), size = hnn_objective_size(o[0]);
        double *r = malloc(sizeof *r * (size_t)rows), *J = malloc(sizeof *J * (size_t)(rows * size)), sum = 0;
        cr_assert_eq(rows, 6);
        cr_assert_eq(hnn_objective_residuals(o[0], m->theta, r, J, &e), HNN_OK, "%s", e.message);
        for (long i = 0; i < rows; i++)
            sum += r[i] * r[i] / (double)rows;
        cr_expect_float_eq(sum, f[0], 1e-15 * (1 + sum));
        for (long k = 0; k < size; k++) {
            double d = 0;
            for (long i = 0; i < rows; i++)
                d += 2 * J[i * size + k] * r[i] / (double)rows;
            cr_expect_float_eq(d, g[k], 1e-14 * (1 + fabs(d)));
        }
        /* batches add up */
        double part[2], total;
        cr_assert_eq(hnn_objective_batch(o[3], m->theta, 2, (const long[]){2, 0}, &part[0], g, &e), HNN_OK);
        cr_assert_eq(hnn_objective_batch(o[3], m->theta, 1, (const long[]){1}, &part[1], NULL, &e), HNN_OK);
        total = (2 * part[0] + part[1]) / 3;
        cr_expect_float_eq(total, f[3], 1e-15 * (1 + total));
        for (int k = 0; k < 4; k++)
            hnn_objective_free(o[k]);
        free(r), free(J), free(g);
        hnn_model_free(m);
    }
}

Test(loss, samples_never_cross_trajectories)
{
    hnn_data d;
    hnn_model *m = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 2}, 0, &m, &e), HNN_OK);
    cr_assert_eq(hnn_data_new(1, 3, (const long[]){5, 2, 4}, 0, &d, &e), HNN_OK);
    for (int i = 0; i < 11; i++)
        d.t[i] = i, d.z[2 * i] = 10 * i, d.z[2 * i + 1] = 10 * i + 1;
    const struct {
        hnn_loss_spec s;
        long n, first[8];
    } want[] = {
        {{.loss = "midpoint"}, 8, {0, 1, 2, 3, 5, 7, 8, 9}},
        {{.loss = "rollout", .window = 3}, 3, {0, 1, 7}},
        {{.loss = "rollout", .window = 2, .stride = 2}, 3, {0, 2, 7}},
    };
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        hnn_samples x;
        cr_assert_eq(hnn_samples_new(&want[k].s, m, &d, &x, &e), HNN_OK, "%s", e.message);
        cr_assert_eq(x.n, want[k].n, "case %zu: %ld", k, x.n);
        for (long i = 0; i < x.n; i++)
            for (int j = 0; j < x.states; j++) {
                cr_expect_eq(x.t[i * x.states + j], (double)(want[k].first[i] + j));
                cr_expect_eq(x.z[(i * x.states + j) * 2 + 1], 10.0 * (double)(want[k].first[i] + j) + 1);
            }
        hnn_samples_free(&x);
    }
    hnn_samples x;
    cr_expect_eq(hnn_samples_new(&(hnn_loss_spec){0}, m, &d, &x, &e), HNN_EARG);
    cr_expect(strstr(e.message, "needs time derivatives"), "%s", e.message);
    cr_expect_eq(hnn_samples_new(&(hnn_loss_spec){.loss = "rollout", .window = 5}, m, &d, &x, &e),
                 HNN_ESHAPE);
    d.has_time = 0;
    cr_expect_eq(hnn_samples_new(&(hnn_loss_spec){.loss = "midpoint"}, m, &d, &x, &e), HNN_EARG);
    hnn_data_free(&d);
    cr_assert_eq(hnn_data_new(2, 1, (const long[]){5}, 1, &d, &e), HNN_OK);
    cr_expect_eq(hnn_samples_new(&(hnn_loss_spec){0}, m, &d, &x, &e), HNN_ESHAPE);
    hnn_data_free(&d);
    hnn_model_free(m);
}

Test(loss, what_does_not_fit_is_refused)
{
    hnn_model *m = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "node", .dof = 1, .width = 2}, 0, &m, &e), HNN_OK);
    const struct {
        hnn_loss_spec s;
        const char *says;
    } wrong[] = {
        {{.loss = "none"}, "no loss is called 'none'"},
        {{.loss = "midpoint", .correction = 3}, "correction 3"},
        {{.loss = "gauss4", .correction = 2}, "is for midpoint"},
        {{.loss = "gonzalez"}, "has no H"},
        {{.loss = "rollout", .method = "verlet"}, "canonical field"},
        {{.loss = "rollout", .method = "gonzalez"}, "gonzalez"},
        {{.loss = "rollout", .method = "nosuch"}, "no method is called 'nosuch'"},
        {{.loss = "rollout", .window = 4097}, "window 4097"},
        {{.loss = "rollout", .substeps = -1}, "-1 substeps"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hnn_loss_spec out;
        cr_expect_eq(hnn_loss_resolve(&wrong[i].s, m, &out, &e), HNN_EARG);
        cr_expect(strstr(e.message, wrong[i].says), "%s", e.message);
    }
    double t[1] = {0}, z[2] = {0}, dz[2] = {0};
    hnn_samples x = {.dof = 1, .states = 1, .n = 1, .t = t, .z = z, .dz = dz};
    hnn_objective *o;
    cr_expect_eq(hnn_objective_new(&(hnn_loss_spec){.loss = "midpoint"}, m, &x, NULL, &o, &e), HNN_ESHAPE);
    cr_expect_eq(hnn_objective_new(&(hnn_loss_spec){0}, m, &x,
                                   &(hnn_objective_options){.jacobian = 1, .real = AD_F32}, &o, &e),
                 HNN_EARG);
    double r[2];
    cr_assert_eq(hnn_objective_new(&(hnn_loss_spec){0}, m, &x, NULL, &o, &e), HNN_OK);
    cr_expect_eq(hnn_objective_residuals(o, m->theta, r, NULL, &e), HNN_EARG);
    hnn_objective_free(o);
    hnn_model_free(m);
    cr_expect_not_null(hnn_loss_at(0));
    cr_expect_null(hnn_loss_at(hnn_loss_count()));
}
