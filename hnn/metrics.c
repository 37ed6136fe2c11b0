/* metrics.c - the metrics that compare with clean states: field, curl, rollout, energies, H. Invariant: one definition
 * each, the one of the documentation; what is missing has a reason. */
/* SPDX-License-Identifier: MIT */
#include "metrics.h"
#include "metrics_rows.h"
#include "rng.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int hnn_metric_missing(hnn_metric *out, const char *why)
{
    out->why = why;
    out->value = NAN;
    return HNN_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double hnn_median(long n, double x[])
{
    for (long i = 0; i < n; i++)
        if (!isfinite(x[i]))
            x[i] = INFINITY;
    qsort(x, (size_t)n, sizeof *x, ascending);
    return hnn_quantile(n, x, 0.5);
}

const double *hnn_test_start(const hnn_measuring *c, int i)
{
    return c->test->clean->z + c->test->clean->offset[i] * 2 * c->dof;
}

static long rows_of(const hnn_measuring *c) { return c->test->clean->offset[c->starts]; }

/* Field of f at all held-out states; time by time where it matters. */
static int rates(const hnn_measuring *c, hnn_flow *f, double out[], hnn_error *e)
{
    const hnn_data *d = c->test->clean;
    const hnn_model *m = hnn_flow_model(f);
    int size = 2 * c->dof, code = HNN_OK;
    if (!m->spec.drive && !m->spec.H)
        return hnn_flow_rate(f, rows_of(c), 0, d->z, out, e);
    for (long i = 0; i < rows_of(c) && !code; i++)
        code = hnn_flow_rate(f, 1, d->t[i], d->z + i * size, out + i * size, e);
    return code;
}

static int field_error(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    const hnn_data *d = c->test->clean;
    long n = rows_of(c), count = n * 2 * c->dof;
    out->count = n;
    if (!c->test->truth && !d->dz)
        return hnn_metric_missing(out, "neither a true field nor held-out derivatives");
    double *f = malloc(2 * sizeof *f * (size_t)count), *star = f + count, above = 0, below = 0;
    if (!f)
        return hnn_fail(e, HNN_EMEM, "field_error: out of memory for %ld states", n);
    int code = rates(c, c->f, f, e);
    if (!code && c->test->truth)
        code = rates(c, c->test->truth, star, e);
    for (long i = 0; i < count && !code; i++) {
        double s = c->test->truth ? star[i] : d->dz[i];
        above += (f[i] - s) * (f[i] - s), below += s * s;
    }
    free(f);
    out->estimated = !c->test->truth;
    out->value = sqrt(above / below);
    return code;
}

static int curl_defect(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    const hnn_data *d = c->test->clean;
    int n = c->dof, size = 2 * n;
    long rows = rows_of(c), each = (long)size * size;
    out->count = rows;
    double *J = malloc(sizeof *J * (size_t)(rows * each)), *B = malloc(sizeof *B * (size_t)each), above = 0,
           below = 0;
    int code = J && B ? hnn_flow_jacobian(c->f, rows, 0, d->z, J, e)
                      : hnn_fail(e, HNN_EMEM, "curl_defect: out of memory for %ld states", rows);
    for (long k = 0; k < rows && !code; k++) {
        const double *D = J + k * each; /* J^-1 (a, b) = (-b, a) */
        for (int j = 0; j < size; j++)
            for (int i = 0; i < n; i++)
                B[i * size + j] = -D[(n + i) * size + j], B[(n + i) * size + j] = D[i * size + j];
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) {
                double skew = B[i * size + j] - B[j * size + i];
                above += skew * skew, below += B[i * size + j] * B[i * size + j];
            }
    }
    free(J);
    free(B);
    if (!code && below == 0)
        return hnn_metric_missing(out, "the field does not depend on the state");
    out->value = sqrt(above / (4 * below));
    return code;
}

static double wrapped(double x)
{
    const double pi = 3.14159265358979323846;
    return x - 2 * pi * floor((x + pi) / (2 * pi));
}

/* Rollouts of the model from all starts, at the times of the reference: z [rows, 2n], NaN after a divergence. */
static int rollouts(const hnn_measuring *c, double z[], hnn_metric *out, hnn_error *e)
{
    const hnn_data *d = c->test->clean;
    int size = 2 * c->dof, code = HNN_OK;
    out->integrator = c->test->method ? c->test->method : "dop853";
    out->h = c->test->method ? c->h : 0;
    out->count = c->starts;
    for (int i = 0; i < c->starts && !code; i++) {
        long from = d->offset[i], n = d->offset[i + 1] - from, done = 0;
        code = hnn_flow_rollout(c->f, c->test->method, out->h, d->z + from * size, n, d->t + from,
                                z + from * size, &done, e);
        out->diverged += done < n;
        out->horizon = fmax(out->horizon, d->t[from + n - 1] - d->t[from]);
    }
    return code;
}

static int rollout_error(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    const hnn_data *d = c->test->clean;
    int size = 2 * c->dof;
    double *z = malloc(sizeof *z * (size_t)(rows_of(c) * size)), sum = 0;
    if (!z)
        return hnn_fail(e, HNN_EMEM, "rollout_error: out of memory");
    int code = rollouts(c, z, out, e);
    long terms = 0;
    for (int i = 0; i < c->starts && !code; i++)
        for (long k = d->offset[i] + 1; k < d->offset[i + 1]; k++, terms++)
            for (int j = 0; j < size; j++) {
                double x = z[k * size + j] - d->z[k * size + j];
                if (j < c->dof && j < 32 && c->test->angles >> j & 1)
                    x = wrapped(x);
                sum += x * x / (c->sd[j] * c->sd[j]);
            }
    free(z);
    if (!code && !terms)
        return hnn_metric_missing(out, "held-out trajectories of one row");
    out->value = out->diverged ? INFINITY : sqrt(sum / (double)terms / size);
    return code;
}

static hnn_flow *judge(const hnn_measuring *c) { return c->test->truth ? c->test->truth : c->test->energy; }

static int energy_mse_true(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    const hnn_data *d = c->test->clean;
    long n = rows_of(c);
    if (!judge(c))
        return hnn_metric_missing(out, "no true H");
    double *z = malloc(sizeof *z * (size_t)(n * 2 * c->dof)), *H = malloc(2 * sizeof *H * (size_t)n);
    double *mean = calloc((size_t)c->starts, sizeof *mean), sum = 0;
    int code =
        z && H && mean ? rollouts(c, z, out, e) : hnn_fail(e, HNN_EMEM, "energy_mse_true: out of memory");
    code = code ? code : hnn_flow_energy(judge(c), n, 0, z, H, e);
    code = code ? code : hnn_flow_energy(judge(c), n, 0, d->z, H + n, e);
    for (int i = 0; i < c->starts && !code; i++) {
        for (long k = d->offset[i]; k < d->offset[i + 1]; k++)
            mean[i] += (H[k] - H[n + k]) * (H[k] - H[n + k]);
        sum += mean[i];
        mean[i] /= (double)(d->offset[i + 1] - d->offset[i]);
    }
    if (!code) {
        out->value = isfinite(sum) ? sum / (double)n : INFINITY;
        out->extra = hnn_median(c->starts, mean);
    }
    out->estimated = !c->test->truth;
    free(z);
    free(H);
    free(mean);
    return code;
}

enum { BOX_POINTS = 4096 };

/* Points of one fixed stream, uniform in the box: the same for every model and run. */
static int H_error(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    if (!c->test->truth)
        return hnn_metric_missing(out, "no true H");
    if (!hnn_flow_has_energy(c->f))
        return hnn_metric_missing(out, "the model has no H");
    int size = 2 * c->dof;
    out->count = BOX_POINTS;
    double *z = malloc(sizeof *z * BOX_POINTS * (size_t)size), *H = malloc(2 * sizeof *H * BOX_POINTS);
    int code = z && H ? HNN_OK : hnn_fail(e, HNN_EMEM, "H_error: out of memory");
    hnn_rng r = hnn_rng_stream(0, HNN_RNG_START, 1);
    for (long i = 0; i < BOX_POINTS * (long)size && !code; i++)
        z[i] = hnn_rng_between(&r, c->lo[i % size], c->hi[i % size]);
    code = code ? code : hnn_flow_energy(c->f, BOX_POINTS, 0, z, H, e);
    code = code ? code : hnn_flow_energy(c->test->truth, BOX_POINTS, 0, z, H + BOX_POINTS, e);
    double mean[2] = {0, 0}, above = 0, below = 0;
    for (int i = 0; i < BOX_POINTS && !code; i++)
        mean[0] += H[i] / BOX_POINTS, mean[1] += H[BOX_POINTS + i] / BOX_POINTS;
    for (int i = 0; i < BOX_POINTS && !code; i++) {
        double star = H[BOX_POINTS + i] - mean[1], d = H[i] - mean[0] - star;
        above += d * d, below += star * star;
    }
    free(z);
    free(H);
    out->value = sqrt(above / below);
    return code;
}

/* ---- The table ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *title;
    int larger; /* is better */
    hnn_metric_function *measure;
} rows[HNN_METRICS] = {
    [HNN_FIELD_ERROR] = {"field_error", "relative error of the field at clean held-out states", 0,
                         field_error},
    [HNN_ROLLOUT_ERROR] = {"rollout_error",
                           "rollouts against the reference, in standard deviations of the data", 0,
                           rollout_error},
    [HNN_ENERGY_MSE_TRUE] = {"energy_mse_true", "mean square error of the true energy along rollouts", 0,
                             energy_mse_true},
    [HNN_ENERGY_DRIFT_MODEL] = {"energy_drift_model",
                                "largest change of the model's own energy, in its spread", 0,
                                hnn_metric_drift},
    [HNN_VOLUME_DEFECT] = {"volume_defect", "rate at which phase volume changes", 0, hnn_metric_volume},
    [HNN_SYMPLECTIC_DEFECT] = {"symplectic_defect", "largest entry of |M'JM - J| of a step", 0,
                               hnn_metric_symplectic},
    [HNN_CURL_DEFECT] = {"curl_defect", "asymmetry of J^-1 df/dz: 0 for a Hamiltonian field", 0, curl_defect},
    [HNN_LONG_HORIZON] = {"long_horizon", "time until the true energy is off by a tenth of its spread", 1,
                          hnn_metric_horizon},
    [HNN_LANDSCAPE] = {"landscape", "equilibria found and classified (F1)", 1, hnn_metric_landscape},
    [HNN_H_ERROR] = {"H_error", "relative error of H over the box, up to a constant", 0, H_error},
};

const char *hnn_metric_name(int id) { return id >= 0 && id < HNN_METRICS ? rows[id].name : NULL; }
const char *hnn_metric_title(int id) { return id >= 0 && id < HNN_METRICS ? rows[id].title : NULL; }
int hnn_metric_larger_is_better(int id) { return id >= 0 && id < HNN_METRICS && rows[id].larger; }

/* ---- Set-up ---------------------------------------------------------------------------------------------------------- */

static double median_interval(const hnn_data *d)
{
    double *x = malloc(sizeof *x * (size_t)(d->n + 1)), h = NAN;
    long n = 0;
    for (int k = 0; x && k < d->ntraj; k++)
        for (long i = d->offset[k] + 1; i < d->offset[k + 1]; i++)
            x[n++] = d->t[i] - d->t[i - 1];
    if (x && n)
        h = hnn_median(n, x);
    free(x);
    return h;
}

static int set_up(hnn_measuring *c, hnn_error *e)
{
    const hnn_data *d = c->test->train;
    int size = 2 * c->dof;
    if (c->test->clean->dof != c->dof || d->dof != c->dof || c->test->clean->ntraj < 1 || d->n < 2)
        return hnn_fail(e, HNN_ESHAPE,
                        "measure: %d degrees of freedom, %d held-out trajectories, %ld training states; "
                        "needed %d, at least 1, at least 2",
                        c->test->clean->dof, c->test->clean->ntraj, d->n, c->dof);
    c->starts = c->test->starts > 0 && c->test->starts < c->test->clean->ntraj ? c->test->starts
                                                                               : c->test->clean->ntraj;
    c->h = c->test->h > 0 ? c->test->h : median_interval(d);
    if (!(c->h > 0))
        return hnn_fail(e, HNN_EARG, "measure: no step, and no two training states to take it from");
    c->sd = malloc(3 * sizeof *c->sd * (size_t)size);
    if (!c->sd)
        return hnn_fail(e, HNN_EMEM, "measure: out of memory");
    c->lo = c->sd + size, c->hi = c->lo + size;
    for (int j = 0; j < size; j++) {
        double mean = 0, square = 0, lo = INFINITY, hi = -INFINITY;
        for (long i = 0; i < d->n; i++) {
            double x = d->z[i * size + j];
            mean += x / (double)d->n, lo = fmin(lo, x), hi = fmax(hi, x);
        }
        for (long i = 0; i < d->n; i++)
            square += (d->z[i * size + j] - mean) * (d->z[i * size + j] - mean);
        c->sd[j] = sqrt(square / (double)d->n);
        c->lo[j] = c->test->lo ? c->test->lo[j] : lo;
        c->hi[j] = c->test->hi ? c->test->hi[j] : hi;
        if (!(c->sd[j] > 0)) /* a coordinate that never moves: its errors count in its own unit */
            c->sd[j] = 1;
    }
    return HNN_OK;
}

int hnn_energy_spread(hnn_flow *f, const hnn_data *d, double *sd, hnn_error *e)
{
    *sd = NAN;
    double *H = malloc(sizeof *H * (size_t)d->n), mean = 0, square = 0;
    int code = H ? hnn_flow_energy(f, d->n, 0, d->z, H, e) : hnn_fail(e, HNN_EMEM, "measure: out of memory");
    for (long i = 0; i < d->n && !code; i++)
        mean += H[i] / (double)d->n;
    for (long i = 0; i < d->n && !code; i++)
        square += (H[i] - mean) * (H[i] - mean);
    if (!code)
        *sd = sqrt(square / (double)d->n);
    free(H);
    return code;
}

/* An error of one metric is its reason; only memory ends the whole. The texts of reasons are constants. */
static int settle(int code, hnn_metric *out, hnn_error *e)
{
    if (code == HNN_EMEM)
        return code;
    if (code) {
        hnn_metric_missing(out, "the model could not be evaluated there");
        if (e)
            *e = (hnn_error){0};
    }
    return HNN_OK;
}

static void empty(hnn_metric *m) { *m = (hnn_metric){.value = NAN, .extra = NAN}; }

int hnn_measure_one(hnn_flow *f, const hnn_test *test, int id, hnn_metric *out, hnn_error *e)
{
    if (id < 0 || id >= HNN_METRICS)
        return hnn_fail(e, HNN_EARG, "measure: metric %d; needed 0 to %d", id, HNN_METRICS - 1);
    empty(out);
    hnn_measuring c = {.test = test, .f = f, .dof = hnn_flow_dof(f)};
    int code = set_up(&c, e);
    code = code ? code : settle(rows[id].measure(&c, out, e), out, e);
    free(c.sd);
    return code;
}

int hnn_measure(const hnn_model *m, const hnn_test *test, hnn_metric out[HNN_METRICS], hnn_error *e)
{
    hnn_measuring c = {.test = test, .dof = m->spec.dof};
    int code = hnn_flow_new(m, NULL, &c.f, e);
    code = code ? code : set_up(&c, e);
    const unsigned both = 1u << HNN_VOLUME_DEFECT | 1u << HNN_SYMPLECTIC_DEFECT;
    for (int id = 0; id < HNN_METRICS; id++)
        empty(&out[id]);
    for (int id = 0; id < HNN_METRICS && !code; id++) {
        if (test->skip >> id & 1)
            hnn_metric_missing(&out[id], "not asked for");
        else if (both >> id & 1 && !(test->skip & both)) { /* the second finds its value there */
            if (id == HNN_VOLUME_DEFECT)
                code = hnn_metric_tangent(&c, &out[HNN_VOLUME_DEFECT], &out[HNN_SYMPLECTIC_DEFECT], e);
            if (code && code != HNN_EMEM)
                settle(code, &out[HNN_SYMPLECTIC_DEFECT], NULL);
            code = settle(code, &out[id], e);
        } else
            code = settle(rows[id].measure(&c, &out[id], e), &out[id], e);
    }
    free(c.sd);
    hnn_flow_free(c.f);
    return code;
}
