/* landscape.c - equilibria by multistart Newton, and their kinds.
 * Invariant: coordinates are scaled by the box inside, so units do not decide what is found or what counts as zero. */
/* SPDX-License-Identifier: MIT */
#include "landscape_search.h"

#include "linalg/linalg.h"
#include "optim/lm.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double SAME = 1e-5; /* of half the box: two ends of Newton's method are one equilibrium */
static const double FLAT = 1e-6; /* an eigenvalue of the Hessian below this x the largest is 0 */

int hnn_search_at(hnn_search *s, const double u[], double *H, double g[], double h[])
{
    int n = s->dim;
    double energy;
    for (int i = 0; i < n; i++)
        s->z[i] = s->middle[i] + s->half[i] * u[i];
    if ((s->failed = s->H(s->data, s->z, H ? H : &energy, g, h)))
        return s->failed;
    for (int i = 0; i < n; i++) {
        if (g)
            g[i] *= s->half[i];
        for (int j = 0; h && j < n; j++)
            h[i * n + j] *= s->half[i] * s->half[j];
    }
    return 0;
}

static int slopes(void *search, const double u[], double r[], double J[])
{
    return hnn_search_at(search, u, NULL, r, J);
}

static double norm(int n, const double *x)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += x[i] * x[i];
    return sqrt(s);
}

int hnn_search_newton(hnn_search *s, double u[], int *found, hnn_error *e)
{
    /* 200 iterations: at a degenerate point Newton is linear, (2/3)^200 at a quartic one, while a slope vanishes
     * with it, so no direction is cut off by rank */
    hnn_lm_options o = {.iterations = 200,
                        .gradient = 1e-8,
                        .reduction = 1e-30,
                        .step = 1e-15,
                        .radius = 0.5,
                        .rank = 1e-200};
    hnn_lm_result r;
    hnn_error local = {0};
    *found = 0;
    int code = hnn_lm(s->dim, s->dim, u, slopes, s, &o, &r, &local);
    if (code == HNN_EARG && !s->failed)
        return HNN_OK; /* left the domain */
    if (code) {
        if (s->failed)
            return hnn_fail(e, code, "landscape: H failed with code %d at z[0] = %g", code, s->z[0]);
        return hnn_fail(e, code, "%s", local.message);
    }
    *found = sqrt(r.rss) <= 1e-9 * s->slope;
    hnn_lm_free(&r);
    return HNN_OK;
}

int hnn_search_wrap(const hnn_search *s, double u[])
{
    int inside = 1;
    for (int i = 0; i < s->dim; i++) {
        if (s->period && s->period[i] > 0) {
            double p = s->period[i] / s->half[i];
            u[i] -= p * floor((u[i] + 1) / p);
            if (u[i] + 1 > p - 1e-9)
                u[i] = -1; /* the end of the period is its beginning */
        }
        inside &= fabs(u[i]) <= 1 + 1e-9;
    }
    return inside;
}

double hnn_search_distance(const hnn_search *s, const double u[], const hnn_equilibrium *q)
{
    double sum = 0;
    for (int i = 0; i < s->dim; i++) {
        double d = s->middle[i] + s->half[i] * u[i] - q->z[i];
        if (s->period && s->period[i] > 0)
            d = remainder(d, s->period[i]);
        sum = hypot(sum, d / s->half[i]);
    }
    return sum;
}

/* Eigenvalues s->w and vectors s->v of the Hessian at u, each coordinate scaled by how much H usually bends along it: the
 * signs are those of the Hessian (Sylvester), and zero is measured against what is usual. Returns that zero in *flat. */
static int inertia(hnn_search *s, const double *u, double *flat, hnn_error *e)
{
    int n = s->dim, code = hnn_search_at(s, u, NULL, NULL, s->h);
    if (code)
        return hnn_fail(e, code, "landscape: H failed with code %d at z[0] = %g", code, s->z[0]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            s->h[i * n + j] /= sqrt(s->bend[i]) * sqrt(s->bend[j]);
    code = hnn_eigen_symmetric(n, s->h, s->w, s->v, e);
    *flat = code ? 0 : FLAT * fmax(fmax(fabs(s->w[0]), fabs(s->w[n - 1])), 1e-3);
    return code;
}

/* does equilibrium go on along the flat direction v? */
static int continues(hnn_search *s, const double *u, const double *v, int *isolated, hnn_error *e)
{
    enum { SIDES = 2 };
    const double step = 1e-2;
    *isolated = 1;
    double *to = malloc(sizeof *to * (size_t)s->dim), size = 0;
    if (!to)
        return hnn_fail(e, HNN_EMEM, "out of memory for the landscape");
    for (int i = 0; i < s->dim; i++)
        size = hypot(size, v[i * s->dim] / sqrt(s->bend[i]));
    int code = HNN_OK;
    for (int side = 0; side < SIDES && !code; side++) {
        int found;
        for (int i = 0; i < s->dim; i++)
            to[i] = u[i] + (side ? -step : step) / size * v[i * s->dim] / sqrt(s->bend[i]);
        code = hnn_search_newton(s, to, &found, e);
        double moved = 0;
        for (int i = 0; i < s->dim; i++)
            moved = hypot(moved, to[i] - u[i]);
        if (!code && found && moved > step / 2 && moved < 10 * step)
            *isolated = 0;
    }
    free(to);
    return code;
}

/* kind and spectrum from the Hessian in z, with s->w from inertia() */
static int classify(hnn_search *s, const double *u, double flat, hnn_equilibrium *q, hnn_error *e)
{
    int n = s->dim, half = n / 2, zeros = 0, code;
    for (int i = 0; i < n; i++) {
        zeros += fabs(s->w[i]) <= flat;
        q->index += s->w[i] < -flat;
    }
    q->kind = zeros ? HNN_DEGENERATE : q->index == 0 ? HNN_MINIMUM : q->index == n ? HNN_MAXIMUM : HNN_SADDLE;
    double *h = s->h, *a = malloc(sizeof *a * (size_t)(n * n + n)), *sv = a ? a + n * n : NULL;
    if (!a)
        return hnn_fail(e, HNN_EMEM, "out of memory for the landscape");
    for (int i = 0; i < n; i++)
        s->z[i] = s->middle[i] + s->half[i] * u[i];
    if ((code = s->failed = s->H(s->data, s->z, &q->energy, s->g, h)))
        goto done;
    memcpy(q->z, s->z, sizeof *q->z * (size_t)n);
    for (int i = 0; i < n; i++) /* q' = dH/dp, p' = -dH/dq */
        for (int j = 0; j < n; j++)
            a[i * n + j] = i < half ? h[(i + half) * n + j] : -h[(i - half) * n + j];
    if ((code = hnn_svd(n, n, a, sv, NULL, NULL, e)) || (code = hnn_eigen_general(n, a, q->re, q->im, e)))
        goto done;
    int still = 0;
    for (int i = 0; i < n; i++) {
        still += !(fabs(q->re[i]) >= 1e-3 * sv[0] && q->re[i] != 0);
        if (q->im[i] > 1e-9 * sv[0]) {
            int k = q->modes++;
            for (; k > 0 && q->frequency[k - 1] > q->im[i]; k--)
                q->frequency[k] = q->frequency[k - 1];
            q->frequency[k] = q->im[i];
        }
    }
    q->spectrum = still == n ? HNN_CENTRE : still == 0 ? HNN_HYPERBOLIC : HNN_MIXED;
done:
    free(a);
    return code && s->failed
               ? hnn_fail(e, code, "landscape: H failed with code %d at z[0] = %g", code, s->z[0])
               : code;
}

int hnn_search_add(hnn_search *s, const double u[], int *index, hnn_error *e)
{
    hnn_landscape *l = s->out;
    int n = s->dim, code;
    *index = -1;
    for (int k = 0; k < l->n; k++)
        if (hnn_search_distance(s, u, &l->at[k]) < SAME) {
            *index = k;
            return HNN_OK;
        }
    double flat = 0;
    if ((code = inertia(s, u, &flat, e)))
        return code == HNN_EARG && !s->failed ? HNN_OK
                                              : code; /* a Hessian that is not finite: no equilibrium */
    for (int k = 0; k < n; k++) {
        int isolated;
        if (fabs(s->w[k]) > flat)
            continue;
        double *v = malloc(sizeof *v * (size_t)n *
                           (size_t)n); /* the search below overwrites nothing of ours but H's */
        if (!v)
            return hnn_fail(e, HNN_EMEM, "out of memory for the landscape");
        memcpy(v, s->v, sizeof *v * (size_t)n * (size_t)n);
        code = continues(s, u, v + k, &isolated, e);
        free(v);
        if (code)
            return code;
        if (!isolated) {
            for (int i = 0; i < n && !l->reason[0]; i++)
                s->z[i] = s->middle[i] + s->half[i] * u[i];
            if (!l->reason[0])
                snprintf(l->reason, sizeof l->reason,
                         "equilibria that are not isolated were left out: a family passes through q[1] = "
                         "%.6g, p[1] = %.6g",
                         s->z[0], s->z[n / 2]);
            return HNN_OK;
        }
    }
    if (l->n == s->room) {
        int room = s->room ? 2 * s->room : 16;
        hnn_equilibrium *at = realloc(l->at, sizeof *at * (size_t)room);
        if (!at)
            return hnn_fail(e, HNN_EMEM, "out of memory for %d equilibria", room);
        l->at = at;
        s->room = room;
    }
    hnn_equilibrium q = {.z = calloc((size_t)(4 * n), sizeof *q.z)};
    if (!q.z)
        return hnn_fail(e, HNN_EMEM, "out of memory for the landscape");
    q.frequency = q.z + n;
    q.re = q.frequency + n;
    q.im = q.re + n;
    if ((code = classify(s, u, flat, &q, e))) {
        free(q.z);
        return code;
    }
    *index = l->n;
    l->at[l->n++] = q;
    return HNN_OK;
}

static int by_energy(const void *x, const void *y)
{
    const hnn_equilibrium *a = x, *b = y;
    /* equal within round-off: by position, so that the order does not hang on the last digit */
    double tiny = 1e-11 * (fabs(a->energy) + fabs(b->energy));
    if (fabs(a->energy - b->energy) > tiny)
        return a->energy < b->energy ? -1 : 1;
    return a->z[0] != b->z[0] ? (a->z[0] > b->z[0]) - (a->z[0] < b->z[0])
                              : (a->z[1] > b->z[1]) - (a->z[1] < b->z[1]);
}

/* start k: cell centres of a grid first, random ones after it */
static void start_at(const hnn_search *s, uint64_t seed, long k, long grid, int side, double *u)
{
    hnn_rng r = hnn_rng_stream(seed, HNN_RNG_START, (uint64_t)k);
    for (int i = 0; i < s->dim; i++) {
        if (k < grid) {
            u[i] = (2 * (double)(k % side) + 1) / side - 1;
            k /= side;
        } else
            u[i] = hnn_rng_between(&r, -1, 1);
    }
}

static int search_all(hnn_search *s, const hnn_landscape_options *o, hnn_error *e)
{
    int side = s->dim <= 4 ? 3 : s->dim <= 8 ? 2 : 1, code, found, index;
    long grid = 1, starts = o->starts ? o->starts : 64L * s->dim, finite = 0;
    for (int i = 0; i < s->dim; i++)
        grid *= side;
    for (int pass = 0; pass < 2; pass++) /* the scales first, then the search */
        for (long k = 0; k < grid + starts; k++) {
            start_at(s, o->seed, k, grid, side, s->u);
            if (pass) {
                if ((code = hnn_search_newton(s, s->u, &found, e)))
                    return code;
                if (found && hnn_search_wrap(s, s->u) && (code = hnn_search_add(s, s->u, &index, e)))
                    return code;
                if (s->out->reason[0] && !s->out->n && k > 8L * s->dim + grid)
                    break; /* every start ends on the family */
                continue;
            }
            double H;
            if ((code = hnn_search_at(s, s->u, &H, s->g, s->h)))
                return hnn_fail(e, code, "landscape: H failed with code %d at z[0] = %g", code, s->z[0]);
            double g = norm(s->dim, s->g), h = norm(s->dim * s->dim, s->h);
            if (isfinite(H) && isfinite(g) && isfinite(h)) {
                finite++;
                s->slope = hypot(s->slope, g);
                s->curvature = hypot(s->curvature, h);
                for (int i = 0; i < s->dim; i++)
                    s->bend[i] = hypot(s->bend[i], norm(s->dim, s->h + i * s->dim));
            }
            if (k == grid + starts - 1 && finite) {
                s->slope /= sqrt((double)finite);
                s->curvature /= sqrt((double)finite);
                for (int i = 0; i < s->dim; i++) /* 0: H is linear in it; any scale does */
                    s->bend[i] = s->bend[i] > 0     ? s->bend[i] / sqrt((double)finite)
                                 : s->curvature > 0 ? s->curvature
                                                    : 1;
            }
        }
    hnn_landscape *l = s->out;
    if (!finite)
        snprintf(l->reason, sizeof l->reason, "H is not finite at any start in the box");
    else if (s->slope == 0)
        snprintf(l->reason, sizeof l->reason, "H is constant in the box");
    else if (!l->n && !l->reason[0])
        snprintf(l->reason, sizeof l->reason, "no equilibrium was found in the box from %ld starts",
                 grid + starts);
    return HNN_OK;
}

static int separatrices(hnn_landscape *l, hnn_error *e)
{
    l->separatrix = malloc(sizeof *l->separatrix * (size_t)(l->n + 1));
    if (!l->separatrix)
        return hnn_fail(e, HNN_EMEM, "out of memory for %d energies", l->n);
    for (int k = 0; k < l->n; k++) {
        double E = l->at[k].energy;
        if (l->at[k].kind != HNN_SADDLE)
            continue;
        int first = !l->separatrices;
        double last = first ? 0 : l->separatrix[l->separatrices - 1];
        if (first || E - last > 1e-9 * (fabs(E) + fabs(last)))
            l->separatrix[l->separatrices++] = E;
    }
    return HNN_OK;
}

void hnn_landscape_free(hnn_landscape *l)
{
    for (int k = 0; k < l->n; k++)
        free(l->at[k].z);
    free(l->at), free(l->separatrix), free(l->level), free(l->merge);
    *l = (hnn_landscape){0};
}

int hnn_landscape_find(hnn_landscape_energy H, void *data, int dim, const double lo[], const double hi[],
                       const hnn_landscape_options *o, hnn_landscape *out, hnn_error *e)
{
    hnn_landscape_options options = o ? *o : (hnn_landscape_options){0};
    *out = (hnn_landscape){.dim = dim};
    if (dim < 2 || dim % 2 || options.starts < 0 || options.grid < 0 || options.grid == 1)
        return hnn_fail(e, HNN_EARG,
                        "landscape: %d coordinates, %d starts, grid %d; needed: even, at least 0, at least 2",
                        dim, options.starts, options.grid);
    for (int i = 0; i < dim; i++)
        if (!(hi[i] > lo[i]) || !isfinite(hi[i] - lo[i]))
            return hnn_fail(e, HNN_EARG, "landscape: the box of coordinate %d is [%g, %g]", i + 1, lo[i],
                            hi[i]);
    size_t n = (size_t)dim;
    hnn_search s = {
        .H = H, .data = data, .dim = dim, .lo = lo, .hi = hi, .period = options.period, .out = out};
    double *block = calloc(8 * n + 2 * n * n, sizeof *block);
    if (!block)
        return hnn_fail(e, HNN_EMEM, "out of memory for the landscape of %d coordinates", dim);
    s.half = block;
    s.middle = s.half + n;
    s.z = s.middle + n;
    s.g = s.z + n;
    s.w = s.g + n;
    s.u = s.w + n;
    s.u1 = s.u + n;
    s.bend = s.u1 + n;
    s.h = s.bend + n;
    s.v = s.h + n * n;
    for (int i = 0; i < dim; i++) {
        s.half[i] = (hi[i] - lo[i]) / 2;
        s.middle[i] = lo[i] + s.half[i];
    }
    int code = search_all(&s, &options, e), shape = !options.points_only;
    if (!code && shape && dim > 2)
        code = hnn_search_merges(&s, e); /* may add minima, so the order is made in it */
    else if (!code && out->n)
        qsort(out->at, (size_t)out->n, sizeof *out->at, by_energy);
    if (!code && shape && dim == 2 && out->n)
        code = hnn_search_contours(&s, options.grid ? options.grid : 241, e);
    if (!code)
        code = separatrices(out, e);
    free(block);
    if (code)
        hnn_landscape_free(out);
    return code;
}
