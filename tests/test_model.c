/* test_model.c - every model row: field, energy and Jacobian against complex steps in long double, counts of
 * parameters, initial weights, and what is refused. */
/* SPDX-License-Identifier: MIT */
#include "field.h"
#include "model.h"
#include "model_oracle.h"

#include <criterion/criterion.h>

static int slow(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

static hnn_model *make(const hnn_model_spec *s, uint64_t seed)
{
    hnn_model *m = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(s, seed, &m, &e), HNN_OK, "%s", e.message);
    return m;
}

static real *wide(const hnn_model *m)
{
    real *theta = calloc((size_t)m->size + 1, sizeof *theta);
    for (long i = 0; i < m->size; i++)
        theta[i] = m->theta[i];
    return theta;
}

static const double states[3][4] = {{0.3, -0.4, 0.5, 0.2}, {1.2, 0.7, -0.6, 0.9}, {-2, 0.1, 0.05, -1}};

static void check_row(int row, int dof, hnn_coords coords)
{
    hnn_model_spec s = oracle_spec(row, dof, 5);
    s.coords = coords;
    hnn_model *m = make(&s, 7);
    real *theta = wide(m);
    oracle o = {m, theta};
    hnn_flow *flow = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK, "%s", e.message);
    int size = 2 * dof;
    double z[12], f[12], H[3], B[48];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < size; k++)
            z[i * size + k] = states[i][k];
    cr_assert_eq(hnn_flow_rate(flow, 3, 0.4, z, f, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_flow_jacobian(flow, 3, 0.4, z, B, &e), HNN_OK, "%s", e.message);
    for (int i = 0; i < 3; i++) {
        real x[OMAX], want[OMAX], near[2][OMAX], y[OMAX];
        for (int k = 0; k < size; k++)
            x[k] = z[i * size + k];
        oracle_field(&o, x, 0.4, want);
        for (int k = 0; k < size; k++) /* 1e-10 with velocities: the oracle differences */
            cr_expect_float_eq(f[i * size + k], (double)want[k], (coords == HNN_QP ? 1e-13 : 1e-10) * 10,
                               "%s dof %d state %d: f[%d] = %.17g, not %.17g", m->row->name, dof, i, k,
                               f[i * size + k], (double)want[k]);
        for (int j = 0; j < size && coords == HNN_QP; j++) {
            for (int side = 0; side < 2; side++) {
                memcpy(y, x, sizeof y);
                y[j] += side ? 1e-6L : -1e-6L;
                oracle_field(&o, y, 0.4, near[side]);
            }
            for (int k = 0; k < size; k++) /* central difference, h = 1e-6: O(h^2) */
                cr_expect_float_eq(B[(i * size + k) * size + j], (double)((near[1][k] - near[0][k]) / 2e-6L),
                                   1e-9, "%s dof %d: B[%d,%d]", m->row->name, dof, k, j);
        }
    }
    if (hnn_flow_has_energy(flow) && coords == HNN_QP) {
        cr_assert_eq(hnn_flow_energy(flow, 3, 0, z, H, &e), HNN_OK, "%s", e.message);
        for (int i = 0; i < 3; i++) {
            real x[OMAX];
            for (int k = 0; k < size; k++)
                x[k] = z[i * size + k];
            cr_expect_float_eq(H[i], (double)oracle_energy(&o, x), 1e-13, "%s: H", m->row->name);
        }
        if (!m->spec.no_gauge) {
            cr_assert_eq(hnn_flow_energy(flow, 1, 0, m->spec.reference, H, &e), HNN_OK);
            cr_expect_eq(H[0], 0, "%s: H at the reference is %g", m->row->name, H[0]);
        }
    }
    hnn_flow_free(flow);
    free(theta);
    hnn_model_free(m);
}

Test(model, field_energy_and_jacobian_of_every_row_agree_with_complex_steps)
{
    for (int row = 0; row < hnn_model_count(); row++)
        for (int dof = 1; dof <= (slow() ? 1 : 2); dof++)
            check_row(row, dof, HNN_QP);
}

Test(model, mass_matrix_with_velocities_gives_the_lagrangian_acceleration)
{
    for (int row = 0; row < hnn_model_count(); row++)
        if (!strcmp(hnn_model_at(row)->name, "mass"))
            for (int dof = 1; dof <= (slow() ? 1 : 2); dof++)
                check_row(row, dof, HNN_QV);
}

Test(model, parameters_are_counted_and_matched)
{
    hnn_model *hnn = make(&(hnn_model_spec){.model = "hnn", .dof = 1}, 1);
    cr_assert_eq(hnn->size,
                 2 * 200 + 200 + 200 * 200 + 200 + 200); /* 2-200-200-1, biases on the hidden layers */
    for (int row = 0; row < hnn_model_count(); row++) {
        if (hnn_model_at(row)->flags & HNN_MODEL_TEXT)
            continue;
        hnn_model_spec s = {.model = hnn_model_at(row)->name, .dof = 2, .parameters = hnn->size};
        hnn_model *m = make(&s, 1);
        s.width = m->spec.width + 1;
        hnn_model *wider = make(&s, 1);
        s.width = m->spec.width - 1;
        hnn_model *thinner = make(&s, 1);
        long off = labs(m->size - hnn->size);
        cr_expect(off <= labs(wider->size - hnn->size) && off <= labs(thinner->size - hnn->size),
                  "%s: width %d gives %ld", s.model, m->spec.width, m->size);
        hnn_model_free(wider), hnn_model_free(thinner), hnn_model_free(m);
    }
    hnn_model_free(hnn);
}

Test(model, weights_are_orthogonal_and_the_same_for_the_same_seed)
{
    hnn_model_spec s = {.model = "hnn", .dof = 1, .width = 20};
    hnn_model *a = make(&s, 3), *b = make(&s, 3), *c = make(&s, 4);
    cr_assert_eq(memcmp(a->theta, b->theta, sizeof *a->theta * (size_t)a->size), 0);
    cr_assert_neq(memcmp(a->theta, c->theta, sizeof *a->theta * (size_t)a->size), 0);
    const hnn_param *w = &a->param[2]; /* H.w2 [20,20] */
    cr_assert_str_eq(w->name, "H.w2");
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 20; j++) {
            double sum = 0;
            for (int k = 0; k < 20; k++)
                sum += a->theta[w->offset + i * 20 + k] * a->theta[w->offset + j * 20 + k];
            cr_assert_float_eq(sum, i == j, 1e-14);
        }
    for (int k = 0; k < 20; k++) /* biases of the first layer: at most 1/sqrt(2) */
        cr_assert(fabs(a->theta[a->param[1].offset + k]) <= sqrt(0.5) &&
                  a->theta[a->param[1].offset + k] != 0);
    hnn_model_free(a), hnn_model_free(b), hnn_model_free(c);
}

Test(model, known_systems_are_models_of_row_text)
{
    for (int i = 0; i < hnn_system_count(); i += slow() ? 4 : 1) {
        const hnn_system *s = hnn_system_at(i);
        hnn_model *m = NULL;
        hnn_flow *flow = NULL;
        hnn_error e = {0};
        cr_assert_eq(hnn_model_system(s, 0, NULL, &m, &e), HNN_OK, "%s: %s", s->name, e.message);
        cr_assert_eq(m->size, 0);
        cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK, "%s: %s", s->name, e.message);
        double z[HNN_SYSTEM_COORDINATES * 2 + 8], f[HNN_SYSTEM_COORDINATES * 2 + 8],
            g[HNN_SYSTEM_COORDINATES * 2 + 8];
        cr_assert_eq(hnn_system_start(s, 0, NULL, z, &e), HNN_OK);
        for (int k = 0; k < 2 * s->dof; k++)
            z[k] += 0.01 * (k + 1);
        cr_assert_eq(hnn_flow_rate(flow, 1, 0.3, z, f, &e), HNN_OK, "%s: %s", s->name, e.message);
        cr_assert_eq(hnn_flow_gradient(flow, 1, 0.3, z, g, &e), HNN_OK, "%s: %s", s->name, e.message);
        int n = s->dof, plain = !s->dissipation && !s->drive;
        for (int k = 0; k < n; k++) {
            cr_expect_float_eq(f[k], g[n + k], 1e-15 * (1 + fabs(g[n + k])), "%s", s->name);
            if (plain)
                cr_expect_float_eq(f[n + k], -g[k], 1e-15 * (1 + fabs(g[k])), "%s", s->name);
        }
        if (!strcmp(s->name, "driven-pendulum")) /* p' = -sin q - c v + A cos(w t) */
            cr_expect_float_eq(f[1], -sin(z[0]) - 0.5 * z[1] + 1.5 * cos(0.2), 1e-14);
        hnn_flow_free(flow);
        hnn_model_free(m);
    }
}

Test(model, friction_of_every_dissipating_row_takes_energy_for_any_weights)
{
    for (int row = 0; row < hnn_model_count(); row++) {
        if (!(hnn_model_at(row)->flags & HNN_MODEL_DISSIPATES))
            continue;
        hnn_model_spec s = oracle_spec(row, 2, 5);
        s.drive = NULL;
        for (uint64_t seed = 0; seed < (slow() ? 1 : 5); seed++) {
            hnn_model *m = make(&s, seed);
            hnn_flow *flow = NULL;
            cr_assert_eq(hnn_flow_new(m, NULL, &flow, NULL), HNN_OK);
            double f[12], g[12];
            hnn_flow_rate(flow, 3, 0, states[0], f, NULL);
            hnn_flow_gradient(flow, 3, 0, states[0], g, NULL);
            for (int i = 0; i < 3; i++) {
                double power = 0;
                for (int k = 0; k < 4; k++)
                    power += f[4 * i + k] * g[4 * i + k];
                cr_expect_lt(power, 0, "%s: dH/dt = %g", s.model, power);
            }
            hnn_flow_free(flow);
            hnn_model_free(m);
        }
    }
}

Test(model, a_wrong_spec_is_refused_with_what_was_needed)
{
    static const double zero_scale[] = {1, 0}, bad_mean[] = {NAN, 0};
    static const hnn_constant infinite[] = {{"k", INFINITY, 1}};
    const struct {
        hnn_model_spec s;
        const char *says;
    } wrong[] = {
        {{.dof = 1}, "without the name"},
        {{.model = "hmm", .dof = 1}, "no model is called 'hmm'; there are hnn"},
        {{.model = "hnn"}, "0 degrees of freedom"},
        {{.model = "hnn", .dof = 1, .layers = 17}, "17 hidden layers"},
        {{.model = "hnn", .dof = 1, .width = -2}, "of width -2"},
        {{.model = "hnn", .dof = 1, .activation = "swish"}, "'swish' is no activation"},
        {{.model = "hnn", .dof = 1, .activation = "add"}, "'add' is no activation"},
        {{.model = "hnn", .dof = 1, .angles = 2}, "angles 0x2 beyond q[1]"},
        {{.model = "hnn", .dof = 1, .scale = zero_scale}, "scale[1] is 0"},
        {{.model = "hnn", .dof = 1, .mean = bad_mean}, "mean[0] is nan"},
        {{.model = "hnn", .dof = 1, .energy_scale = -1}, "energy_scale is -1"},
        {{.model = "text", .dof = 1}, "needs the text of H"},
        {{.model = "text", .dof = 1, .H = "p^2 + x"}, "unknown name \"x\""},
        {{.model = "text", .dof = 2, .H = "p^2"}, "H has 2 columns"},
        {{.model = "text", .dof = 1, .H = "k*q", .constant = infinite, .constants = 1},
         "the constant k is inf"},
        {{.model = "node", .dof = 1, .drive = "1"}, "has no H"},
        {{.model = "pairs", .dof = 5, .space = 2}, "5 degrees of freedom in a space of 2"},
        {{.model = "pairs", .dof = 66, .space = 2}, "at most 32 bodies"},
        {{.model = "pairs", .dof = 2, .angles = 1}, "no angles"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hnn_model *m = NULL;
        hnn_error e = {0};
        cr_assert_eq(hnn_model_new(&wrong[i].s, 0, &m, &e), HNN_EARG, "case %zu", i);
        cr_assert_null(m);
        cr_expect(strstr(e.message, wrong[i].says), "case %zu: %s", i, e.message);
    }
}

Test(model, a_model_without_energy_says_so)
{
    hnn_model *m = make(&(hnn_model_spec){.model = "node", .dof = 1, .width = 3}, 0);
    hnn_flow *flow = NULL;
    hnn_error e = {0};
    double z[2] = {0}, H[4];
    cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK);
    cr_assert_eq(hnn_flow_energy(flow, 1, 0, z, H, &e), HNN_EARG);
    cr_assert(strstr(e.message, "no H"), "%s", e.message);
    cr_assert_eq(hnn_flow_ode(flow)->kind, 0);
    cr_assert_null(hnn_flow_ode(flow)->energy);
    hnn_flow_free(flow);
    hnn_model_free(m);
}

Test(model, rollout_follows_the_pendulum_and_a_diverging_one_ends_in_nan)
{
    hnn_model *m = NULL;
    hnn_flow *flow = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_system(hnn_system_find("spring", NULL), 0, NULL, &m, &e), HNN_OK);
    cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK);
    double t[5] = {0, 0.5, 1, 1.7, 2}, z0[2] = {1, 0}, z[10];
    long done;
    const char *const methods[] = {"dop853", "gauss4", "verlet-kdk"};
    for (int k = 0; k < 2; k++) { /* H = q^2 + p^2: q = cos 2t, p = -sin 2t */
        cr_assert_eq(hnn_flow_rollout(flow, methods[k], k ? 0.001 : 0, z0, 5, t, z, &done, &e), HNN_OK, "%s",
                     e.message);
        cr_assert_eq(done, 5);
        for (int i = 0; i < 5; i++) {
            cr_expect_float_eq(z[2 * i], cos(2 * t[i]), 1e-9, "%s", methods[k]);
            cr_expect_float_eq(z[2 * i + 1], -sin(2 * t[i]), 1e-9, "%s", methods[k]);
        }
    }
    cr_assert_eq(hnn_flow_rollout(flow, "none", 1, z0, 5, t, z, &done, &e), HNN_EARG);
    cr_assert_eq(hnn_flow_rollout(flow, "gauss4", 0, z0, 5, t, z, &done, &e), HNN_EARG);
    hnn_flow_free(flow);
    hnn_model_free(m);
    hnn_model_spec blow = {.model = "text", .dof = 1, .H = "q^2*p"}; /* q' = q^2: 1/(1 - t) */
    cr_assert_eq(hnn_model_new(&blow, 0, &m, &e), HNN_OK);
    cr_assert_eq(hnn_flow_new(m, NULL, &flow, &e), HNN_OK);
    cr_assert_eq(hnn_flow_rollout(flow, NULL, 0, z0, 5, t, z, &done, &e), HNN_OK);
    cr_assert(done >= 2 && done < 5, "%ld rows", done);
    cr_assert(isnan(z[8]));
    cr_expect_float_eq(z[2], 2, 1e-8);
    hnn_flow_free(flow);
    hnn_model_free(m);
}

static ad_var total(const void *context, ad_var z, ad_var time, const ad_var params[])
{
    (void)context, (void)time, (void)params;
    return ad_sum_cols(ad_square(z));
}

Test(model, a_field_of_an_odd_number_of_columns_is_an_error_of_the_tape)
{
    ad_tape *t = ad_new();
    ad_var f = hnn_field(total, NULL, ad_input(t, "z", AD_BATCH, 3), ad_num(0), ad_num(0), NULL);
    cr_expect(ad_is_void(f));
    cr_expect_neq(ad_status(t), AD_OK);
    ad_free(t);
}
