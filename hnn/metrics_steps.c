/* metrics_steps.c - the metrics of executed steps: the model's own energy, the tangent map, the long horizon. Invariant:
 * steps have one fixed size h, and every step that is judged was executed exactly as it is differentiated. */
/* SPDX-License-Identifier: MIT */
#include "metrics_rows.h"
#include "ode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static long or_default(long given, long standard) { return given > 0 ? given : standard; }

/* ---- Gonzalez steps keep H_theta ------------------------------------------------------------------------------------ */

typedef struct drift {
    hnn_flow *f;
    double H0, worst;
} drift;

static int watch_energy(void *user, double t, const double y[])
{
    drift *d = user;
    double H;
    if (hnn_flow_energy(d->f, 1, t, y, &H, NULL))
        return -1;
    d->worst = fmax(d->worst, isfinite(H) ? fabs(H - d->H0) : INFINITY);
    return 0;
}

int hnn_metric_drift(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    if (!hnn_flow_has_energy(c->f))
        return hnn_metric_missing(out, "the model has no H");
    const ode_field *field = hnn_flow_ode(c->f);
    if (!field->energy)
        return hnn_metric_missing(out, "the model does not keep H: friction, drive or velocities");
    long steps = or_default(c->test->drift_steps, 10000);
    *out = (hnn_metric){.integrator = "gonzalez",
                        .h = c->h,
                        .horizon = c->h * (double)steps,
                        .count = c->starts,
                        .extra = NAN};
    double sd, worst = 0;
    int code = hnn_energy_spread(c->f, c->test->train, &sd, e);
    for (int i = 0; i < c->starts && !code; i++) {
        drift d = {.f = c->f};
        code = hnn_flow_energy(c->f, 1, 0, hnn_test_start(c, i), &d.H0, e);
        if (code)
            break;
        ode_solver *s = ode_new(ode_method_find("gonzalez"), field);
        if (!ode_start(s, 0, hnn_test_start(c, i)))
            ode_run(s, steps, c->h, &(ode_options){.every = 1, .observer = watch_energy, .user = &d});
        if (ode_status(s) == ODE_EMEMORY)
            code = hnn_fail(e, HNN_EMEM, "energy_drift_model: %s", ode_message(s));
        else if (ode_status(s))
            out->diverged++, d.worst = INFINITY;
        worst = fmax(worst, d.worst);
        ode_free(s);
    }
    if (!code && !(sd > 0))
        return hnn_metric_missing(out, "H is constant on the training states");
    out->value = worst / sd;
    return code;
}

/* ---- Tangent maps of Gauss steps ------------------------------------------------------------------------------------ */

/* log |det M| by elimination with row pivots. */
static double log_det(int n, double M[])
{
    double sum = 0;
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(M[i * n + k]) > fabs(M[pivot * n + k]))
                pivot = i;
        for (int j = 0; j < n && pivot != k; j++) {
            double x = M[k * n + j];
            M[k * n + j] = M[pivot * n + j], M[pivot * n + j] = x;
        }
        sum += log(fabs(M[k * n + k]));
        for (int i = k + 1; i < n; i++) {
            double f = M[i * n + k] / M[k * n + k];
            for (int j = k; j < n; j++)
                M[i * n + j] -= f * M[k * n + j];
        }
    }
    return sum;
}

int hnn_metric_tangent(const hnn_measuring *c, hnn_metric *volume, hnn_metric *symplectic, hnn_error *e)
{
    long steps = or_default(c->test->tangent_steps, 1000);
    int size = 2 * c->dof, code = HNN_OK;
    hnn_metric out = {
        .integrator = "gauss4", .h = c->h, .horizon = c->h * (double)steps, .count = c->starts, .extra = NAN};
    double *M = malloc(sizeof *M * (size_t)size * (size_t)size),
           *rate = malloc(sizeof *rate * (size_t)c->starts);
    double *y = malloc(sizeof *y * (size_t)size), worst = 0;
    if (!M || !rate || !y)
        code = hnn_fail(e, HNN_EMEM, "volume_defect: out of memory");
    ode_options how = {.schedule = c->test->sweeps > 0 ? c->test->sweeps : 24};
    for (int i = 0; i < c->starts && !code; i++) {
        ode_solver *s = ode_new(ode_method_find("gauss4"), hnn_flow_ode(c->f));
        double sum = 0, defect = 0;
        memcpy(y, hnn_test_start(c, i), sizeof *y * (size_t)size);
        for (long k = 0; k < steps; k++) {
            /* each step starts afresh, so that its first guess is the one that is differentiated */
            if (ode_start(s, (double)k * c->h, y) || ode_run(s, 0, c->h, &how) || ode_tangent(s, c->h, M) ||
                ode_run(s, 1, c->h, &how))
                break;
            memcpy(y, ode_y(s), sizeof *y * (size_t)size);
            defect = fmax(defect, ode_symplectic_defect(size, M));
            sum += log_det(size, M);
        }
        if (ode_status(s) == ODE_EMEMORY)
            code = hnn_fail(e, HNN_EMEM, "volume_defect: %s", ode_message(s));
        else if (ode_status(s) || !isfinite(sum))
            out.diverged++, sum = defect = INFINITY;
        rate[i] = fabs(sum) / out.horizon;
        worst = fmax(worst, defect);
        ode_free(s);
    }
    if (!code) {
        *volume = *symplectic = out;
        volume->value = hnn_median(c->starts, rate);
        symplectic->value = worst;
    }
    free(M);
    free(rate);
    free(y);
    return code;
}

int hnn_metric_volume(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    hnn_metric other;
    return hnn_metric_tangent(c, out, &other, e);
}

int hnn_metric_symplectic(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    hnn_metric other;
    return hnn_metric_tangent(c, &other, out, e);
}

/* ---- Long horizon: all starts in one batch -------------------------------------------------------------------------- */

typedef struct horizon {
    hnn_flow *judge; /* the true H */
    int n, size, running;
    unsigned char *frozen; /* 0 runs, 1 left the energy surface, 2 not finite */
    double *H0, *H, *left; /* [n] */
    double limit;
} horizon;

static int watch_surface(void *user, double t, const double y[])
{
    horizon *w = user;
    if (hnn_flow_energy(w->judge, w->n, 0, y, w->H, NULL))
        return -1;
    w->running = 0;
    for (int i = 0; i < w->n; i++) {
        int bad = w->frozen[i] == 2 || !isfinite(w->H[i]);
        if (isnan(w->left[i]) && (bad || fabs(w->H[i] - w->H0[i]) > w->limit)) {
            w->left[i] = t;
            w->frozen[i] = bad ? 2 : 1;
        }
        w->running += isnan(w->left[i]);
    }
    return w->running == 0;
}

int hnn_metric_horizon(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    hnn_flow *judge = c->test->truth ? c->test->truth : c->test->energy;
    if (!judge || !hnn_flow_has_energy(judge))
        return hnn_metric_missing(out, "no true H");
    const hnn_model *m = hnn_flow_model(judge);
    if (m->spec.dissipation || m->spec.drive)
        return hnn_metric_missing(out, "the true energy is not conserved");
    long steps = or_default(c->test->horizon_steps, 100000);
    int n = c->starts, size = 2 * c->dof;
    *out = (hnn_metric){
        .integrator = "gauss4", .h = c->h, .horizon = c->h * (double)steps, .count = n, .extra = NAN};
    horizon w = {.judge = judge, .n = n, .size = size, .running = n};
    w.H0 = malloc(3 * sizeof *w.H0 * (size_t)n), w.frozen = calloc((size_t)n, 1);
    double *y = malloc(sizeof *y * (size_t)(n * size)), sd = NAN;
    int code = HNN_OK;
    if (!w.H0 || !w.frozen || !y)
        code = hnn_fail(e, HNN_EMEM, "long_horizon: out of memory");
    for (int i = 0; i < n && !code; i++)
        memcpy(y + i * size, hnn_test_start(c, i), sizeof *y * (size_t)size);
    ode_field field;
    code = code ? code : hnn_energy_spread(judge, c->test->train, &sd, e);
    code = code ? code : hnn_flow_energy(judge, n, 0, y, w.H0, e);
    code = code ? code : hnn_flow_batch(c->f, n, w.frozen, &field, e);
    if (!code) {
        w.H = w.H0 + n, w.left = w.H + n, w.limit = 0.1 * sd;
        for (int i = 0; i < n; i++)
            w.left[i] = NAN;
        ode_solver *s = ode_new(ode_method_find("gauss4"), &field);
        if (!ode_start(s, 0, y))
            ode_run(s, steps, c->h, &(ode_options){.every = 1, .observer = watch_surface, .user = &w});
        if (ode_status(s) == ODE_EMEMORY)
            code = hnn_fail(e, HNN_EMEM, "long_horizon: %s", ode_message(s));
        long censored = 0;
        for (int i = 0; i < n; i++) {
            if (isnan(w.left[i]) &&
                ode_status(s)) /* a failure of the whole batch: what still ran ends here */
                w.left[i] = ode_t(s), w.frozen[i] = 2;
            censored += isnan(w.left[i]);
            out->diverged += w.frozen[i] == 2;
            w.left[i] = isnan(w.left[i]) ? out->horizon : w.left[i];
        }
        ode_free(s);
        out->value = hnn_median(n, w.left);
        out->extra = (double)censored / n;
    }
    free(w.H0);
    free(w.frozen);
    free(y);
    return code;
}
