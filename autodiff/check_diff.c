/* check_diff.c - differences of recorded functions in long double, with what they leave in doubt.
 * Invariant: the doubt of a difference is never less than what rounding alone can do to it.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"

#include <float.h>
#include <math.h>

enum { STEPS = 12, SIDE = 6 };

/* Weights of f(x + kh) - f(x - kh) in the difference of order 12: (-1)^(k+1) m!^2 / (k (m-k)! (m+k)!), m = 6. */
static const long double weight[SIDE + 1] = {0,          6 / 7.0L,   -15 / 56.0L, 5 / 63.0L,
                                             -1 / 56.0L, 1 / 385.0L, -1 / 5544.0L};

void ad_probe_free(ad_probe *f)
{
    ad_work_free(f->w);
    ad_program_free(f->p);
    free(f->out);
    free(f->value);
    *f = (ad_probe){0};
}

bool ad_probe_new(ad_probe *f, const ad_checking *c, int n, const ad_var y[])
{
    ad_tape *t = c->t;
    const ad_options o = {.real = AD_F80, .opt = AD_OPT_NONE};
    int nin = ad_inputs(t);
    ad_var *in = malloc((size_t)nin * sizeof *in);
    for (int i = 0; in && i < nin; i++)
        in[i] = ad_input_at(t, i);
    *f = (ad_probe){.p = in ? ad_compile(t, nin, in, n, y, &o) : NULL};
    free(in);
    if (!f->p)
        return false;
    for (int i = 0; i < n; i++)
        f->count += ad_rows_at(ad_rows(y[i]), c->batch) * ad_cols(y[i]);
    f->w = ad_work_new(f->p, NULL);
    f->out = malloc((size_t)n * sizeof *f->out);
    f->value = malloc((size_t)f->count * sizeof *f->value);
    if (!f->w || !f->out || !f->value)
        return false;
    long double *v = f->value;
    for (int i = 0; i < n; i++) {
        f->out[i] = v;
        v += ad_rows_at(ad_rows(y[i]), c->batch) * ad_cols(y[i]);
    }
    return true;
}

/* A point outside the domain (a Cholesky, a root) has values that are not numbers. */
void ad_probe_run(const ad_probe *f, const ad_checking *c)
{
    if (ad_run(f->w, c->batch, c->in, f->out))
        for (int64_t i = 0; i < f->count; i++)
            f->value[i] = (long double)NAN;
}

/* Moves x by h along v, or element `one` alone when it is not negative. */
static void move(ad_checking *c, int64_t one, long double h)
{
    memcpy(c->moved, c->at, (size_t)c->total * sizeof *c->at);
    if (one >= 0)
        c->moved[one] += h;
    else
        for (int64_t i = 0; i < c->total; i++)
            c->moved[i] += h * c->dir[i];
}

/* One difference of step h; noise: what rounding can do to it. */
static void difference(ad_checking *c, const ad_probe *f, int64_t one, long double h, long double d[],
                       long double noise[])
{
    memset(d, 0, (size_t)f->count * sizeof *d);
    memset(noise, 0, (size_t)f->count * sizeof *noise);
    for (int s = 0; s < 2 * SIDE; s++) {
        int k = s / 2 + 1, sign = s % 2 ? -1 : 1;
        move(c, one, sign * k * h);
        ad_probe_run(f, c);
        for (int64_t i = 0; i < f->count; i++) {
            d[i] += sign * weight[k] * f->value[i] / h;
            noise[i] = fmaxl(noise[i], fabsl(f->value[i]) * (4 * LDBL_EPSILON) / h);
        }
    }
}

/* The derivative of f's outputs along v or one element. Steps shrink until rounding is all that differs; where
 * that leaves much in doubt they grow as long as it helps. want and doubt take f->count numbers. */
bool ad_differentiate(ad_checking *c, const ad_probe *f, int64_t one, long double size, long double *want,
                      long double *doubt)
{
    int64_t n = f->count;
    long double *last = malloc((size_t)n * 3 * sizeof *last), *d = last + n, *noise = d + n;
    if (!last)
        return false;
    for (int64_t i = 0; i < n; i++) {
        want[i] = (long double)NAN;
        doubt[i] = (long double)INFINITY;
    }
    bool enough = false;
    for (int grow = 0; grow < 2 && !enough; grow++) {
        long double h = size / 32, largest = 0, open = 0;
        difference(c, f, one, h, last, noise);
        for (int64_t i = 0; i < n && !grow; i++) /* noise is of the size of f eps/h */
            c->natural = fmaxl(c->natural, noise[i] / (48 * LDBL_EPSILON));
        bool useful = true;
        for (int step = 0; step < STEPS && useful; step++) {
            h *= grow ? 4 : 0.25L;
            difference(c, f, one, h, d, noise);
            useful = false;
            largest = open = 0;
            for (int64_t i = 0; i < n; i++) {
                /* the larger step has the less noise and the more truncation: say the worse of both */
                long double change = fabsl(d[i] - last[i]), u = noise[i] * (grow ? 4 : 1);
                bool flat = !grow && step == 0 && d[i] == 0 && last[i] == 0;
                useful = useful || (grow ? change + u < doubt[i] : !(change <= u) && !flat);
                if (flat || change + u < doubt[i]) {
                    doubt[i] = flat ? 0 : change + u;
                    want[i] = grow ? last[i] : d[i];
                }
                largest = fmaxl(largest, fabsl(want[i]));
                open = fmaxl(open, doubt[i]);
            }
            memcpy(last, d, (size_t)n * sizeof *last);
        }
        enough = open <= 1e-13L * largest;
    }
    free(last);
    return true;
}
