/* lbfgs.c - limited-memory BFGS with a strong-Wolfe search. Invariant: every pair kept has s'y > 0, so the matrix behind the
 * direction is positive definite. */
/* SPDX-License-Identifier: MIT */
#include "lbfgs.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double C1 = 1e-4, C2 = 0.9;
enum { TRIALS = 40 };

/* Numbers of the block: head, then x, g, d, x1, g1 [n each], then memory pairs (s, y), then s'y of each. */
enum { STARTED, ITERATION, CALLS, PAIRS, NEWEST, F, HEAD = 8 };

struct hnn_lbfgs {
    long n;
    int memory;
    long count;
    double *block, *x, *g, *d, *x1, *g1, *pair, *sy, *alpha;
};

hnn_lbfgs *hnn_lbfgs_new(long n, int memory, const double x[], hnn_error *e)
{
    if (n < 1 || memory < 0) {
        hnn_fail(e, HNN_EARG, "L-BFGS: %ld variables, memory %d; needed: at least 1, 0", n, memory);
        return NULL;
    }
    memory = memory ? memory : 10;
    hnn_lbfgs *s = malloc(sizeof *s);
    long count = HEAD + 5 * n + 2 * n * memory + memory;
    double *block = calloc((size_t)(count + memory), sizeof *block);
    if (!s || !block) {
        free(s), free(block);
        hnn_fail(e, HNN_EMEM, "out of memory for L-BFGS of %ld variables", n);
        return NULL;
    }
    double *at = block + HEAD;
    *s = (hnn_lbfgs){
        .n = n, .memory = memory, .count = count, .block = block, .x = at, .g = at + n, .d = at + 2 * n};
    s->x1 = at + 3 * n;
    s->g1 = at + 4 * n;
    s->pair = at + 5 * n;
    s->sy = s->pair + 2 * n * memory;
    s->alpha = s->sy + memory;
    memcpy(s->x, x, sizeof *x * (size_t)n);
    block[F] = NAN;
    return s;
}

void hnn_lbfgs_free(hnn_lbfgs *s)
{
    if (s)
        free(s->block);
    free(s);
}

const double *hnn_lbfgs_x(const hnn_lbfgs *s) { return s->x; }
double hnn_lbfgs_f(const hnn_lbfgs *s) { return s->block[F]; }
long hnn_lbfgs_calls(const hnn_lbfgs *s) { return (long)s->block[CALLS]; }
double *hnn_lbfgs_state(hnn_lbfgs *s, long *count)
{
    *count = s->count;
    return s->block;
}

double hnn_lbfgs_gradient(const hnn_lbfgs *s)
{
    double most = 0;
    for (long i = 0; i < s->n; i++)
        most = fabs(s->g[i]) > most || isnan(s->g[i]) ? fabs(s->g[i]) : most;
    return most;
}

static double dot(long n, const double *x, const double *y)
{
    double s[4] = {0};
    for (long i = 0; i < n; i++)
        s[i & 3] += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void direction(hnn_lbfgs *s)
{
    int pairs = (int)s->block[PAIRS], newest = (int)s->block[NEWEST];
    long n = s->n;
    for (long i = 0; i < n; i++)
        s->d[i] = -s->g[i];
    for (int k = 0; k < pairs; k++) {
        int at = (newest - k + s->memory) % s->memory;
        const double *step = s->pair + 2 * n * at, *y = step + n;
        s->alpha[at] = dot(n, step, s->d) / s->sy[at];
        for (long i = 0; i < n; i++)
            s->d[i] -= s->alpha[at] * y[i];
    }
    if (pairs) {
        const double *y = s->pair + 2 * n * newest + n;
        double scale = s->sy[newest] / dot(n, y, y);
        for (long i = 0; i < n; i++)
            s->d[i] *= scale;
    }
    for (int k = pairs - 1; k >= 0; k--) {
        int at = (newest - k + s->memory) % s->memory;
        const double *step = s->pair + 2 * n * at, *y = step + n;
        double beta = dot(n, y, s->d) / s->sy[at];
        for (long i = 0; i < n; i++)
            s->d[i] += (s->alpha[at] - beta) * step[i];
    }
}

/* phi(a) = f(x + a d), and its slope */
typedef struct point {
    double a, f, slope;
} point;

static int probe(hnn_lbfgs *s, hnn_function call, void *data, double a, point *p)
{
    for (long i = 0; i < s->n; i++)
        s->x1[i] = s->x[i] + a * s->d[i];
    *p = (point){a, NAN, NAN};
    s->block[CALLS]++;
    int code = call(data, s->x1, &p->f, s->g1);
    p->slope = dot(s->n, s->g1, s->d);
    if (!isfinite(p->f) || !isfinite(p->slope))
        p->f = INFINITY;
    return code;
}

/* the minimum of the cubic through two points and slopes, kept away from both ends */
static double between(point lo, point hi)
{
    double width = hi.a - lo.a, middle = lo.a + width / 2;
    if (!isfinite(hi.f))
        return lo.a + width / 10;
    double d1 = lo.slope + hi.slope - 3 * (hi.f - lo.f) / width, under = d1 * d1 - lo.slope * hi.slope;
    if (!(under >= 0))
        return middle;
    double d2 = copysign(sqrt(under), width),
           a = hi.a - width * (hi.slope + d2 - d1) / (hi.slope - lo.slope + 2 * d2);
    double t = (a - lo.a) / width;
    return t > 0.1 && t < 0.9   ? a
           : t >= 0.9 && t <= 1 ? lo.a + 0.9 * width
           : t >= 0 && t <= 0.1 ? lo.a + 0.1 * width
                                : middle;
}

/* A step that satisfies the strong Wolfe conditions; *found 0 when round-off hides them. f0 may be exceeded by a few units
 * in its last place: near a minimum differences of f are noise while slopes still tell. */
static int search(hnn_lbfgs *s, hnn_function call, void *data, double first, point *out, int *found)
{
    point zero = {0, s->block[F], dot(s->n, s->g, s->d)}, lo = zero, hi, p;
    double slack = 4 * DBL_EPSILON * fabs(zero.f), a = first;
    int bracketed = 0, code;
    *found = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        if (bracketed)
            a = between(lo, hi);
        if (a == lo.a || (bracketed && a == hi.a))
            return 0;
        if ((code = probe(s, call, data, a, &p)))
            return code;
        int low = p.f <= zero.f + C1 * a * zero.slope + slack;
        if (low && fabs(p.slope) <= -C2 * zero.slope) {
            *out = p;
            *found = 1;
            return 0;
        }
        if (!low || p.f > lo.f + slack || (bracketed && p.f >= lo.f && fabs(p.slope) >= fabs(lo.slope))) {
            hi = p;
            bracketed = 1;
        } else if (bracketed) {
            if (p.slope * (hi.a - lo.a) >= 0)
                hi = lo;
            lo = p;
        } else if (p.slope >= 0) {
            hi = lo;
            lo = p;
            bracketed = 1;
        } else {
            lo = p;
            a *= 3;
            if (!isfinite(a))
                return 0;
        }
    }
    return 0;
}

static void keep_pair(hnn_lbfgs *s)
{
    int at = s->block[PAIRS] ? ((int)s->block[NEWEST] + 1) % s->memory : 0;
    double *step = s->pair + 2 * s->n * at, *y = step + s->n;
    for (long i = 0; i < s->n; i++) {
        step[i] = s->x1[i] - s->x[i];
        y[i] = s->g1[i] - s->g[i];
    }
    double sy = dot(s->n, step, y);
    if (!(sy > DBL_EPSILON * sqrt(dot(s->n, step, step)) * sqrt(dot(s->n, y, y)))) {
        s->block[PAIRS] = 0; /* the place may have held an older pair */
        return;
    }
    s->sy[at] = sy;
    s->block[NEWEST] = at;
    if (s->block[PAIRS] < s->memory)
        s->block[PAIRS]++;
}

static int start(hnn_lbfgs *s, hnn_function call, void *data, hnn_error *e)
{
    s->block[CALLS]++;
    int code = call(data, s->x, &s->block[F], s->g);
    if (code)
        return hnn_fail(e, code, "L-BFGS: the function failed at the start");
    if (!isfinite(s->block[F]) || !isfinite(hnn_lbfgs_gradient(s)))
        return hnn_fail(e, HNN_EARG,
                        "L-BFGS: the function or its gradient is not finite at the start (f = %g)",
                        s->block[F]);
    s->block[STARTED] = 1;
    return HNN_OK;
}

int hnn_lbfgs_step(hnn_lbfgs *s, hnn_function call, void *data, int *why, hnn_error *e)
{
    int code, found = 0;
    *why = HNN_GO_ON;
    if (!s->block[STARTED] && (code = start(s, call, data, e)))
        return code;
    for (int attempt = 0; attempt < 2 && !found; attempt++) {
        direction(s);
        double slope = dot(s->n, s->g, s->d), size = sqrt(dot(s->n, s->g, s->g));
        if (size == 0)
            break;
        /* without curvature: a step of length 1, or the gradient's if that is less */
        double first = s->block[PAIRS] ? 1 : fmin(1, 1 / size);
        point p = {0};
        if (slope < 0 && (code = search(s, call, data, first, &p, &found)))
            return hnn_fail(e, code, "L-BFGS: the function failed in iteration %ld",
                            (long)s->block[ITERATION] + 1);
        if (found) {
            keep_pair(s);
            memcpy(s->x, s->x1, sizeof *s->x * (size_t)s->n);
            memcpy(s->g, s->g1, sizeof *s->g * (size_t)s->n);
            s->block[F] = p.f;
            s->block[ITERATION]++;
        } else if (s->block[PAIRS])
            s->block[PAIRS] = 0; /* once more, along the gradient */
        else
            break;
    }
    if (!found)
        *why = HNN_DONE_STUCK;
    return HNN_OK;
}

int hnn_lbfgs_run(hnn_lbfgs *s, hnn_function call, void *data, long iterations, double gradient, int *why,
                  hnn_error *e)
{
    int code;
    *why = HNN_GO_ON;
    if (!s->block[STARTED] && (code = start(s, call, data, e)))
        return code;
    for (long i = 0; *why == HNN_GO_ON; i++) {
        if (hnn_lbfgs_gradient(s) <= gradient)
            *why = HNN_DONE_GRADIENT;
        else if (i >= iterations)
            *why = HNN_DONE_ITERATIONS;
        else if ((code = hnn_lbfgs_step(s, call, data, why, e)))
            return code;
    }
    return HNN_OK;
}
