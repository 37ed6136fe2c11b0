/* test_metrics.c - every metric where its value is known in closed form: springs that are too stiff, damped, rotated by a
 * period, or explode; and the reason of everything that cannot be computed. */
/* SPDX-License-Identifier: MIT */
#include "metrics.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    hnn_model *truth;
    hnn_flow *flow;
    hnn_data clean;
    hnn_test test;
} bench;

static hnn_model *text(const char *H, const char *dissipation)
{
    hnn_model *m = NULL;
    hnn_error e = {0};
    hnn_model_spec s = {.model = "text", .dof = 1, .H = H, .dissipation = dissipation};
    cr_assert_eq(hnn_model_new(&s, 0, &m, &e), HNN_OK, "%s", e.message);
    return m;
}

/* Starts of radius 0.5, 1, 1.5 of H = (q^2 + p^2)/2, 21 rows over [0, 2]. */
static bench spring(void)
{
    bench b = {.truth = text("(q^2 + p^2)/2", NULL)};
    hnn_error e = {0};
    const double starts[6] = {0.5, 0, 0, 1, -1.5, 0};
    cr_assert_eq(hnn_flow_new(b.truth, NULL, &b.flow, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_simulate(b.flow, 3, starts, 21, 2, &b.clean, &e), HNN_OK, "%s", e.message);
    b.test = (hnn_test){.truth = b.flow, .drift_steps = 100, .tangent_steps = 50, .horizon_steps = 300};
    return b;
}

static void measure(bench *b, const hnn_model *m, hnn_metric out[])
{
    hnn_error e = {0};
    b->test.clean = b->test.train = &b->clean;
    cr_assert_eq(hnn_measure(m, &b->test, out, &e), HNN_OK, "%s", e.message);
}

static void done(bench *b)
{
    hnn_flow_free(b->flow);
    hnn_data_free(&b->clean);
    hnn_model_free(b->truth);
}

/* H along exact rotations is constant, so the spread of H over the training states is that of 1/8, 1/2, 9/8. */
static double spread_of_H(void)
{
    const double H[3] = {0.125, 0.5, 1.125}, mean = 1.75 / 3;
    double s = 0;
    for (int i = 0; i < 3; i++)
        s += (H[i] - mean) * (H[i] - mean) / 3;
    return sqrt(s);
}

Test(metrics, of_the_true_system_are_the_floor)
{
    bench b = spring();
    hnn_metric m[HNN_METRICS];
    measure(&b, b.truth, m);
    cr_expect_eq(m[HNN_FIELD_ERROR].value, 0);
    cr_expect_lt(m[HNN_ROLLOUT_ERROR].value, 1e-9);
    cr_expect_lt(m[HNN_ENERGY_MSE_TRUE].value, 1e-18);
    cr_expect_lt(m[HNN_ENERGY_DRIFT_MODEL].value, 1e-13);
    cr_expect_lt(m[HNN_VOLUME_DEFECT].value, 1e-14);
    cr_expect_lt(m[HNN_SYMPLECTIC_DEFECT].value, 1e-14);
    cr_expect_eq(m[HNN_CURL_DEFECT].value, 0);
    cr_expect_eq(m[HNN_H_ERROR].value, 0);
    cr_expect_float_eq(m[HNN_LONG_HORIZON].value, 30, 1e-12);
    cr_expect_eq(m[HNN_LONG_HORIZON].extra, 1, "all are censored");
    cr_expect_float_eq(m[HNN_LONG_HORIZON].h, 0.1, 1e-15);
    cr_expect(!m[HNN_LANDSCAPE].why && m[HNN_LANDSCAPE].value == 1 && m[HNN_LANDSCAPE].count == 1);
    for (int id = 0; id < HNN_METRICS; id++)
        cr_expect(m[id].diverged == 0 && hnn_metric_name(id) && hnn_metric_title(id));
    cr_expect_eq(m[HNN_ROLLOUT_ERROR].count, 3);
    done(&b);
}

Test(metrics, landscape_compares_equilibria_in_the_box)
{
    static const struct {
        const char *H;
        double f1;
    } models[] = {{"(q^2 + p^2)/2", 1},
                  {"0.7*q^2 + p^2/2 + 3", 1},   /* another frequency, the same kind */
                  {"(q^2 - 1)^2/4 + p^2/2", 0}, /* a saddle where the minimum is, two minima elsewhere */
                  {"(q - 0.9)^2/2 + p^2/2", 0}, /* too far away */
                  {"q^2*(q - 1.2)^2 + p^2/2", 2.0 * 1 / 4}}; /* one right, two too many */
    bench b = spring();
    const double lo[2] = {-2, -2}, hi[2] = {2, 2};
    b.test.lo = lo;
    b.test.hi = hi;
    b.test.clean = b.test.train = &b.clean;
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        hnn_model *m = text(models[k].H, NULL);
        hnn_flow *f;
        hnn_metric out;
        hnn_error e = {0};
        cr_assert_eq(hnn_flow_new(m, NULL, &f, &e), HNN_OK, "%s", e.message);
        cr_assert_eq(hnn_measure_one(f, &b.test, HNN_LANDSCAPE, &out, &e), HNN_OK, "%s", e.message);
        cr_expect(!out.why && fabs(out.value - models[k].f1) < 1e-15 && out.count == 1, "%s: %g, %s",
                  models[k].H, out.value, out.why ? out.why : "");
        hnn_flow_free(f);
        hnn_model_free(m);
    }
    done(&b);
}

Test(metrics, of_a_stiffer_spring_have_their_closed_forms)
{
    bench b = spring();
    hnn_model *stiff =
        text("1.1*(q^2 + p^2)/2 + 7", NULL); /* turns 1.1 times as fast; the constant does not matter */
    hnn_metric m[HNN_METRICS];
    measure(&b, stiff, m);
    cr_expect_float_eq(m[HNN_FIELD_ERROR].value, 0.1, 1e-15);
    cr_expect_float_eq(m[HNN_H_ERROR].value, 0.1, 1e-13);
    cr_expect_lt(m[HNN_ENERGY_MSE_TRUE].value, 1e-18);
    double sum = 0, sd[2] = {0, 0}, mean[2] = {0, 0};
    for (long i = 0; i < b.clean.n; i++)
        for (int j = 0; j < 2; j++)
            mean[j] += b.clean.z[2 * i + j] / (double)b.clean.n;
    for (long i = 0; i < b.clean.n; i++)
        for (int j = 0; j < 2; j++)
            sd[j] += pow(b.clean.z[2 * i + j] - mean[j], 2) / (double)b.clean.n;
    for (int s = 0; s < 3; s++)
        for (int k = 1; k <= 20; k++) {
            double q = b.clean.z[42 * s], p = b.clean.z[42 * s + 1], t = 0.1 * k;
            double dq = q * (cos(1.1 * t) - cos(t)) + p * (sin(1.1 * t) - sin(t));
            double dp = p * (cos(1.1 * t) - cos(t)) - q * (sin(1.1 * t) - sin(t));
            sum += (dq * dq / sd[0] + dp * dp / sd[1]) / (3 * 20 * 2);
        }
    cr_expect_float_eq(m[HNN_ROLLOUT_ERROR].value, sqrt(sum), 1e-8);
    hnn_model_free(stiff);
    done(&b);
}

Test(metrics, of_a_damped_spring_have_their_closed_forms)
{
    bench b = spring();
    const double c = 0.2;
    hnn_model *damped = text("(q^2 + p^2)/2", "0.1*v^2"); /* p' = -q - 0.2 p */
    hnn_metric m[HNN_METRICS];
    measure(&b, damped, m);
    /* div f = -c; Gauss 4 has det M = exp(-c h) up to O(h^5) */
    cr_expect_float_eq(m[HNN_VOLUME_DEFECT].value, c, 1e-6);
    /* M'JM = det M J for a 2 x 2 matrix */
    cr_expect_float_eq(m[HNN_SYMPLECTIC_DEFECT].value, 1 - exp(-c * 0.1), 1e-7);
    cr_expect_float_eq(m[HNN_CURL_DEFECT].value, sqrt(c * c / (2 * (2 + c * c))), 1e-14);
    cr_expect_str_eq(m[HNN_ENERGY_DRIFT_MODEL].why,
                     "the model does not keep H: friction, drive or velocities");
    double above = 0, below = 0;
    for (long i = 0; i < b.clean.n; i++) {
        double q = b.clean.z[2 * i], p = b.clean.z[2 * i + 1];
        above += c * c * p * p, below += q * q + p * p;
    }
    cr_expect_float_eq(m[HNN_FIELD_ERROR].value, sqrt(above / below), 1e-14);
    /* the first step at which q^2/2 + p^2/2 of the exact damped solution is off by more than the limit */
    double left[3], w = sqrt(1 - c * c / 4), limit = 0.1 * spread_of_H();
    for (int s = 0; s < 3; s++) {
        double q0 = b.clean.z[42 * s], v0 = b.clean.z[42 * s + 1];
        for (int k = 1;; k++) {
            double t = 0.1 * k, e = exp(-c * t / 2), A = q0, B = (v0 + c * q0 / 2) / w;
            double q = e * (A * cos(w * t) + B * sin(w * t));
            double v = -c / 2 * q + e * w * (B * cos(w * t) - A * sin(w * t));
            if (fabs(q * q / 2 + v * v / 2 - q0 * q0 / 2 - v0 * v0 / 2) > limit) {
                left[s] = t;
                break;
            }
        }
    }
    double median = fmax(fmin(left[0], left[1]), fmin(fmax(left[0], left[1]), left[2]));
    cr_expect_float_eq(m[HNN_LONG_HORIZON].value, median, 1e-9);
    cr_expect_eq(m[HNN_LONG_HORIZON].extra, 0);
    hnn_model_free(damped);
    done(&b);
}

Test(metrics, a_loosely_converged_step_shows_its_defect)
{
    bench b = spring();
    hnn_model *m = text("(q^2 + p^2)/2 + q^4/4", NULL);
    hnn_metric loose[HNN_METRICS], tight[HNN_METRICS];
    b.test.sweeps = 2;
    measure(&b, m, loose);
    b.test.sweeps = 0;
    measure(&b, m, tight);
    cr_expect_gt(loose[HNN_SYMPLECTIC_DEFECT].value, 1e-7);
    cr_expect_lt(tight[HNN_SYMPLECTIC_DEFECT].value, 1e-14);
    hnn_model_free(m);
    done(&b);
}

Test(metrics, a_run_that_explodes_counts_as_infinite)
{
    bench b = spring();
    hnn_model *m = text("2*q^2*p", NULL); /* q' = 2 q^2: from q = 0.5 infinite at t = 1 */
    hnn_metric out[HNN_METRICS];
    measure(&b, m, out);
    cr_expect(isinf(out[HNN_ROLLOUT_ERROR].value) && !out[HNN_ROLLOUT_ERROR].why);
    cr_expect_geq(out[HNN_ROLLOUT_ERROR].diverged, 1);
    cr_expect(isinf(out[HNN_ENERGY_MSE_TRUE].value));
    cr_expect(isfinite(out[HNN_LONG_HORIZON].value));
    cr_expect(isfinite(out[HNN_FIELD_ERROR].value));
    hnn_model_free(m);
    done(&b);
}

Test(metrics, differences_of_angles_are_wrapped)
{
    bench b = spring();
    for (int s = 0; s < 3; s++)
        for (int k = 1; k <= 20; k++)
            b.clean.z[2 * (21 * s + k)] += 2 * 3.14159265358979323846 * (k % 3 - 1);
    hnn_metric flat, wrapped;
    b.test.clean = b.test.train = &b.clean;
    cr_assert_eq(hnn_measure_one(b.flow, &b.test, HNN_ROLLOUT_ERROR, &flat, NULL), HNN_OK);
    b.test.angles = 1;
    cr_assert_eq(hnn_measure_one(b.flow, &b.test, HNN_ROLLOUT_ERROR, &wrapped, NULL), HNN_OK);
    cr_expect_gt(flat.value, 0.5);
    cr_expect_lt(wrapped.value, 1e-9);
    done(&b);
}

Test(metrics, what_cannot_be_computed_has_a_reason)
{
    bench b = spring();
    hnn_model *node = NULL;
    hnn_error e = {0};
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "node", .dof = 1, .width = 4}, 1, &node, &e),
                 HNN_OK);
    hnn_metric m[HNN_METRICS];
    b.test.skip = 1u << HNN_CURL_DEFECT | 1u << HNN_VOLUME_DEFECT;
    measure(&b, node, m);
    cr_expect_str_eq(m[HNN_ENERGY_DRIFT_MODEL].why, "the model has no H");
    cr_expect_str_eq(m[HNN_H_ERROR].why, "the model has no H");
    cr_expect_str_eq(m[HNN_CURL_DEFECT].why, "not asked for");
    cr_expect_str_eq(m[HNN_VOLUME_DEFECT].why, "not asked for");
    cr_expect(isfinite(m[HNN_SYMPLECTIC_DEFECT].value));
    for (int id = 0; id < HNN_METRICS; id++)
        cr_expect_eq(m[id].why != NULL, isnan(m[id].value), "%s", hnn_metric_name(id));
    b.test.skip = 0, b.test.truth = NULL; /* as measured data */
    measure(&b, b.truth, m);
    cr_expect_str_eq(m[HNN_ENERGY_MSE_TRUE].why, "no true H");
    cr_expect_str_eq(m[HNN_LONG_HORIZON].why, "no true H");
    cr_expect(m[HNN_FIELD_ERROR].estimated && m[HNN_FIELD_ERROR].value < 1e-9);
    b.test.energy = b.flow; /* with a stated energy */
    measure(&b, b.truth, m);
    cr_expect(m[HNN_ENERGY_MSE_TRUE].estimated && m[HNN_ENERGY_MSE_TRUE].value < 1e-18);
    free(b.clean.dz), b.clean.dz = NULL;
    measure(&b, b.truth, m);
    cr_expect_str_eq(m[HNN_FIELD_ERROR].why, "neither a true field nor held-out derivatives");
    cr_expect_eq(hnn_measure_one(b.flow, &b.test, HNN_METRICS, m, &e), HNN_EARG);
    hnn_model *two = NULL;
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 2, .width = 4}, 1, &two, &e), HNN_OK);
    cr_expect_eq(hnn_measure(two, &b.test, m, &e), HNN_ESHAPE);
    hnn_model_free(two);
    hnn_model_free(node);
    done(&b);
}

Test(metrics, starts_lie_in_the_box_and_the_range_of_energies)
{
    for (int i = 0; i < hnn_system_count(); i += getenv("NOETHER_TEST_SHORT") ? 6 : 1) {
        const hnn_system *s = hnn_system_at(i);
        hnn_model *m = NULL;
        hnn_flow *f = NULL;
        hnn_error e = {0};
        cr_assert_eq(hnn_model_system(s, 0, NULL, &m, &e), HNN_OK, "%s", e.message);
        cr_assert_eq(hnn_flow_new(m, NULL, &f, &e), HNN_OK, "%s", e.message);
        double z[3 * 2 * HNN_SYSTEM_COORDINATES], one[2 * HNN_SYSTEM_COORDINATES], lo[64], hi[64], H[3];
        int size = 2 * s->dof;
        cr_assert_eq(hnn_draw_starts(s, NULL, f, 4, HNN_RNG_START, 0, 3, z, &e), HNN_OK, "%s: %s", s->name,
                     e.message);
        cr_assert_eq(hnn_draw_starts(s, NULL, f, 4, HNN_RNG_START, 2, 1, one, &e), HNN_OK);
        cr_expect_eq(memcmp(one, z + 2 * size, sizeof *z * (size_t)size), 0,
                     "%s: start 2 depends on the others", s->name);
        cr_assert_eq(hnn_system_box(s, 0, NULL, lo, hi, &e), HNN_OK);
        cr_assert_eq(hnn_flow_energy(f, 3, 0, z, H, &e), HNN_OK);
        for (int k = 0; k < 3; k++) {
            if (s->energy[0] != s->energy[1])
                cr_expect(H[k] >= s->energy[0] && H[k] <= s->energy[1], "%s: H = %g", s->name, H[k]);
            for (int j = 0; j < size; j++)
                cr_expect(z[k * size + j] >= lo[j] && z[k * size + j] <= hi[j], "%s", s->name);
        }
        hnn_flow_free(f);
        hnn_model_free(m);
    }
    bench b = spring();
    hnn_data d;
    hnn_error e = {0};
    cr_expect_eq(hnn_simulate(b.flow, 0, b.clean.z, 5, 1, &d, &e), HNN_EARG);
    double out[6];
    long rows;
    cr_expect_eq(hnn_flow_rollout(b.flow, NULL, 0, b.clean.z, 3, (double[]){0, 1, 0.5}, out, &rows, &e),
                 HNN_EARG);
    cr_expect(strstr(e.message, "out of order"), "not a run that diverged: %s", e.message);
    cr_expect_eq(hnn_simulate(b.flow, 1, (double[]){NAN, 0}, 5, 1, &d, &e), HNN_EARG);
    cr_expect(strstr(e.message, "not finite"), "%s", e.message);
    hnn_model *m = text("2*q^2*p", NULL);
    hnn_flow *f;
    cr_assert_eq(hnn_flow_new(m, NULL, &f, &e), HNN_OK);
    cr_expect_eq(hnn_simulate(f, 1, b.clean.z, 5, 2, &d, &e), HNN_EARG);
    cr_expect(strstr(e.message, "diverges after"), "%s", e.message);
    cr_expect(strstr(e.message, ", z = "), "the state, too: %s", e.message);
    hnn_flow_free(f);
    hnn_model_free(m);
    done(&b);
}
