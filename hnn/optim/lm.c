/* lm.c - Levenberg-Marquardt by the singular value decomposition of the scaled Jacobian. Invariant: x always holds the best
 * point so far, r and J belong to it. */
/* SPDX-License-Identifier: MIT */
#include "lm.h"

#include "linalg/linalg.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct hnn_lm_run {
    int m, n, rows; /* rows = max(m, n), so that the decomposition is of a tall matrix */
    int known;      /* r and J belong to x; else they are computed first */
    hnn_residuals call;
    void *data;
    hnn_lm_options o;
    long iterations, calls;
    double *state;                                            /* radius, x, d */
    double *radius, *x, *d;                                   /* 0: not chosen yet */
    double *r, *J, *scaled, *s, *u, *v, *ur, *step, *x1, *r1; /* ur = U'r */
} lm;

static double norm(long n, const double *x)
{
    double most = 0, s = 0;
    for (long i = 0; i < n; i++)
        most = fabs(x[i]) > most || isnan(x[i]) ? fabs(x[i]) : most;
    if (most == 0 || !isfinite(most))
        return most;
    for (long i = 0; i < n; i++)
        s += x[i] / most * (x[i] / most);
    return most * sqrt(s);
}

static int finite_all(long n, const double *x)
{
    double zero = 0;
    for (long i = 0; i < n; i++)
        zero += x[i] * 0;
    return zero == 0;
}

/* J/D = U diag(s) V' with D at least the norms of the columns */
static int decompose(lm *l, int fresh, hnn_error *e)
{
    int m = l->m, n = l->n;
    for (int j = 0; j < n; j++) {
        double size = 0, most = 0;
        for (int i = 0; i < m; i++)
            most = fmax(most, fabs(l->J[i * n + j]));
        for (int i = 0; i < m && most > 0; i++)
            size += l->J[i * n + j] / most * (l->J[i * n + j] / most);
        size = most * sqrt(size);
        /* only growing while it iterates (More), so that a column that shrinks does not open the region */
        l->d[j] = fresh ? size : fmax(l->d[j], size);
        for (int i = 0; i < l->rows; i++)
            l->scaled[i * n + j] = i < m && l->d[j] > 0 ? l->J[i * n + j] / l->d[j] : 0;
    }
    int code = hnn_svd(l->rows, n, l->scaled, l->s, l->u, l->v, e);
    for (int j = 0; j < n && !code; j++) {
        l->ur[j] = 0;
        for (int i = 0; i < m; i++)
            l->ur[j] += l->u[i * n + j] * l->r[i];
    }
    return code;
}

/* |(S^2 + lambda)^-1 S U'r| and its derivative by lambda */
static double length(const lm *l, double lambda, double *slope)
{
    double size2 = 0, sum = 0;
    for (int j = 0; j < l->n; j++) {
        double under = l->s[j] * l->s[j] + lambda;
        if (!(under > 0) || (lambda == 0 && l->s[j] <= l->o.rank * l->s[0]))
            continue;
        double p = l->s[j] * l->ur[j] / under;
        size2 += p * p;
        sum += p * p / under;
    }
    double size = sqrt(size2);
    if (slope)
        *slope = size > 0 ? -sum / size : 0;
    return size;
}

/* step with |D step| = radius (within 10 %), or the Gauss-Newton step if that is shorter; returns lambda */
static double solve(lm *l, double radius)
{
    double lambda = 0, slope, size = length(l, 0, NULL);
    if (size > 1.1 * radius) {
        double low = 0, high = 0;
        for (int j = 0; j < l->n; j++)
            high = hypot(high, l->s[j] * l->ur[j]);
        high /= radius;
        lambda = 1e-3 * high;
        for (int k = 0; k < 60; k++) {
            size = length(l, lambda, &slope);
            if (fabs(size - radius) <= 0.1 * radius)
                break;
            if (size > radius)
                low = lambda;
            else
                high = lambda;
            /* Newton on 1/size, which is nearly linear in lambda */
            double next = lambda + (size - radius) / radius * size / -slope;
            lambda = next > low && next < high ? next : low > 0 ? sqrt(low * high) : high * 1e-3;
        }
    }
    for (int i = 0; i < l->n; i++) {
        l->step[i] = 0;
        for (int j = 0; j < l->n; j++) {
            double under = l->s[j] * l->s[j] + lambda;
            if (under > 0 && (lambda > 0 || l->s[j] > l->o.rank * l->s[0]))
                l->step[i] -= l->v[i * l->n + j] * (l->s[j] * l->ur[j] / under);
        }
        l->step[i] = l->d[i] > 0 ? l->step[i] / l->d[i] : 0;
    }
    return lambda;
}

/* the largest cosine between r and a column of J */
static double gradient(const lm *l, double size)
{
    double most = 0;
    for (int j = 0; j < l->n; j++) {
        double g = 0, c = 0;
        for (int i = 0; i < l->m; i++) {
            g += l->J[i * l->n + j] * (l->r[i] / size);
            c = hypot(c, l->J[i * l->n + j]);
        }
        most = c > 0 ? fmax(most, fabs(g) / c) : most;
    }
    return most;
}

static double scaled_norm(const lm *l, const double *x)
{
    double s = 0;
    for (int j = 0; j < l->n; j++)
        s = hypot(s, l->d[j] * x[j]);
    return s;
}

/* one iteration; *why is set when it is over */
static int iterate(lm *l, int *why, hnn_error *e)
{
    int code;
    double *radius = l->radius;
    double size = norm(l->m, l->r);
    if (size == 0 || gradient(l, size) <= l->o.gradient) {
        *why = size == 0 ? HNN_LM_ZERO : HNN_LM_GRADIENT;
        return HNN_OK;
    }
    if ((code = decompose(l, 0, e)))
        return code;
    double at = scaled_norm(l, l->x);
    if (*radius == 0)
        *radius = l->o.radius * (at > 0 ? at : 1);
    for (int good = 0; !good && !*why;) {
        double lambda = solve(l, *radius), moved = scaled_norm(l, l->step), linear = 0;
        for (int j = 0; j < l->n; j++)
            l->x1[j] = l->x[j] + l->step[j];
        for (int i = 0; i < l->m; i++) { /* |J step| */
            double s = 0;
            for (int j = 0; j < l->n; j++)
                s += l->J[i * l->n + j] * l->step[j];
            linear = hypot(linear, s);
        }
        l->calls++;
        if ((code = l->call(l->data, l->x1, l->r1, NULL)))
            return hnn_fail(e, code, "least squares: the residuals failed in iteration %ld",
                            l->iterations + 1);
        double size1 = finite_all(l->m, l->r1) ? norm(l->m, l->r1) : INFINITY, f = size1 / size;
        double actual = 1 - f * f;
        double predicted = linear / size * (linear / size) + 2 * lambda * (moved / size) * (moved / size);
        double ratio = predicted > 0 ? actual / predicted : 0;
        if (ratio > 0.75 || lambda == 0)
            *radius = ratio > 0.75 ? fmax(*radius, 2 * moved) : *radius;
        if (ratio < 0.25)
            *radius = (isfinite(size1) ? 0.5 : 0.1) * fmin(*radius, moved);
        good = ratio > 1e-4;
        if (good) {
            memcpy(l->x, l->x1, sizeof *l->x * (size_t)l->n);
            l->calls++;
            if ((code = l->call(l->data, l->x, l->r, l->J)))
                return hnn_fail(e, code, "least squares: the residuals failed in iteration %ld",
                                l->iterations + 1);
            if (!finite_all((long)l->m * l->n, l->J))
                return hnn_fail(e, HNN_EARG, "least squares: a derivative is not finite in iteration %ld",
                                l->iterations + 1);
            l->iterations++;
        }
        if (fabs(actual) <= l->o.reduction && predicted <= l->o.reduction)
            *why = HNN_LM_REDUCTION;
        else if (moved <= l->o.step * at || *radius <= DBL_MIN)
            *why = HNN_LM_STEP;
    }
    return HNN_OK;
}

/* ---- A run ------------------------------------------------------------------------------------------------------------ */

void hnn_lm_run_free(hnn_lm_run *l)
{
    if (l)
        free(l->state);
    free(l);
}

hnn_lm_run *hnn_lm_new(int m, int n, const double x[], const hnn_lm_options *o, hnn_error *e)
{
    if (m < 1 || n < 1) {
        hnn_fail(e, HNN_EARG, "least squares: %d residuals, %d parameters; needed: at least 1, 1", m, n);
        return NULL;
    }
    lm *l = calloc(1, sizeof *l);
    size_t M = (size_t)(m > n ? m : n), N = (size_t)n;
    if (l)
        l->state = calloc(1 + 3 * M * N + N * N + 6 * N + 2 * M, sizeof *l->state);
    if (!l || !l->state) {
        hnn_lm_run_free(l);
        hnn_fail(e, HNN_EMEM, "out of memory for least squares with %d residuals, %d parameters", m, n);
        return NULL;
    }
    l->m = m, l->n = n, l->rows = (int)M;
    l->o = o ? *o : (hnn_lm_options){0};
    const struct {
        double *at, usual;
    } usual[] = {{&l->o.gradient, 1e-12},
                 {&l->o.reduction, 1e-14},
                 {&l->o.step, 1e-12},
                 {&l->o.radius, 1},
                 {&l->o.rank, 1e-9}};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (*usual[i].at == 0)
            *usual[i].at = usual[i].usual;
    l->radius = l->state;
    l->x = l->radius + 1;
    l->d = l->x + N;
    l->J = l->d + N;
    l->scaled = l->J + M * N;
    l->u = l->scaled + M * N;
    l->v = l->u + M * N;
    l->s = l->v + N * N;
    l->ur = l->s + N;
    l->step = l->ur + N;
    l->x1 = l->step + N;
    l->r = l->x1 + N;
    l->r1 = l->r + M;
    memcpy(l->x, x, sizeof *x * N);
    return l;
}

const double *hnn_lm_x(const hnn_lm_run *l) { return l->x; }

double *hnn_lm_state(hnn_lm_run *l, long *count)
{
    *count = 1 + 2 * (long)l->n;
    return l->state;
}

static int know(lm *l, hnn_error *e)
{
    l->calls++;
    int code = l->call(l->data, l->x, l->r, l->J);
    if (code)
        return hnn_fail(e, code, "least squares: the residuals failed at the start");
    if (!finite_all(l->m, l->r) || !finite_all((long)l->m * l->n, l->J))
        return hnn_fail(e, HNN_EARG, "least squares: a residual or derivative is not finite at the start");
    l->known = 1;
    return HNN_OK;
}

int hnn_lm_step(hnn_lm_run *l, hnn_residuals call, void *data, int *why, hnn_error *e)
{
    l->call = call, l->data = data, *why = 0;
    int code = l->known ? HNN_OK : know(l, e);
    return code ? code : iterate(l, why, e);
}

/* rank, covariance, standard errors, null directions at x */
static int describe(lm *l, hnn_lm_result *out, hnn_error *e)
{
    int n = l->n, code = decompose(l, 1, e);
    if (code)
        return code;
    double size = norm(l->m, l->r);
    out->rss = size * size;
    while (out->rank < n && l->s[out->rank] > l->o.rank * l->s[0])
        out->rank++;
    out->condition = out->rank ? l->s[0] / l->s[out->rank - 1] : NAN;
    out->sigma = l->m > out->rank ? size / sqrt(l->m - out->rank) : NAN;
    for (int i = 0; i < n; i++) {
        double loose = 0;
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < out->rank; k++)
                sum += l->v[i * n + k] / l->s[k] * (l->v[j * n + k] / l->s[k]);
            out->cov[i * n + j] =
                sum > 0 || sum < 0 ? out->sigma / l->d[i] * (out->sigma / l->d[j]) * sum : 0;
        }
        for (int k = out->rank; k < n; k++)
            loose = hypot(loose, l->v[i * n + k]);
        /* singular vectors are determined to about round-off over the gap, here at least the rank's tolerance */
        out->error[i] = loose > 1e-6 ? INFINITY : sqrt(out->cov[i * n + i]);
    }
    for (int k = 0; k < n; k++) {
        double *to = k < out->rank ? out->direction + k * n : out->null + (k - out->rank) * n, most = 0;
        for (int j = 0; j < n; j++) {
            to[j] = l->v[j * n + k];
            /* d = 0: no residual depends on it, so it is a null direction by itself */
            if (k >= out->rank && l->d[j] > 0)
                to[j] /= l->d[j];
        }
        double length = norm(n, to);
        for (int j = 0; j < n; j++) {
            to[j] /= length;
            most = fabs(to[j]) > fabs(most) ? to[j] : most;
        }
        for (int j = 0; j < n; j++) /* the largest component is positive: the sign is free */
            to[j] = most < 0 ? -to[j] : to[j];
    }
    return HNN_OK;
}

void hnn_lm_free(hnn_lm_result *r)
{
    free(r->cov);
    *r = (hnn_lm_result){0};
}

int hnn_lm(int m, int n, double x[], hnn_residuals call, void *data, const hnn_lm_options *o,
           hnn_lm_result *out, hnn_error *e)
{
    *out = (hnn_lm_result){0};
    lm *l = hnn_lm_new(m, n, x, o, e);
    if (!l)
        return m < 1 || n < 1 ? HNN_EARG : HNN_EMEM;
    size_t N = (size_t)n;
    long most = l->o.iterations ? l->o.iterations : 200;
    int code = HNN_OK, why = 0;
    l->call = call, l->data = data;
    out->cov = calloc(3 * N * N + N, sizeof *out->cov);
    if (!out->cov)
        code =
            hnn_fail(e, HNN_EMEM, "out of memory for least squares with %d residuals, %d parameters", m, n);
    else {
        out->null = out->cov + N * N;
        out->direction = out->null + N * N;
        out->error = out->direction + N * N;
        code = know(l, e);
    }
    while (!why && !code) {
        if (l->iterations >= most)
            why = HNN_LM_ITERATIONS;
        else
            code = iterate(l, &why, e);
    }
    out->why = why, out->iterations = l->iterations, out->calls = l->calls;
    memcpy(x, l->x, sizeof *x * N);
    if (!code)
        code = describe(l, out, e);
    hnn_lm_run_free(l);
    if (code)
        hnn_lm_free(out);
    return code;
}
