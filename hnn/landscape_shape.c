/* landscape_shape.c - how levels hang together: contour lines for one degree of freedom, the merge tree for more.
 * Invariant: below a saddle's energy two minima are in one component exactly when saddles of less energy join them. */
/* SPDX-License-Identifier: MIT */
#include "landscape_search.h"

#include "linalg/linalg.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int root(int *parent, int k)
{
    while (parent[k] != k)
        k = parent[k] = parent[parent[k]];
    return k;
}

/* Lines of one level, joined where they meet across the seam of a periodic q (columns 0 and last of the grid). */
static int count_lines(const hnn_lines *l, int last, int periodic, hnn_level *out, hnn_error *e)
{
    long n = l->n;
    int *parent = malloc(sizeof *parent * (size_t)(3 * n + 1)), *open = parent + n, *across = open + n;
    if (!parent)
        return hnn_fail(e, HNN_EMEM, "out of memory for %ld contour lines", n);
    for (long i = 0; i < n; i++) {
        const double *a = l->xy + 2 * l->first[i], *b = l->xy + 2 * (l->first[i + 1] - 1);
        parent[i] = (int)i;
        open[i] = a[0] != b[0] || a[1] != b[1] ? 2 : 0; /* free ends */
        across[i] = open[i] && fabs(a[0] - b[0]) == last;
    }
    for (long i = 0; periodic && i < n; i++)
        for (int end = 0; end < 2 && open[i]; end++) {
            const double *a = l->xy + 2 * (end ? l->first[i + 1] - 1 : l->first[i]);
            int met = 0;
            for (long j = 0; j < n && a[0] == 0; j++)
                for (int other = 0; other < 2 && !met; other++) {
                    const double *b = l->xy + 2 * (other ? l->first[j + 1] - 1 : l->first[j]);
                    if (b[0] == last && fabs(a[1] - b[1]) < 1e-6) {
                        open[i]--;
                        open[j]--;
                        parent[root(parent, (int)i)] = root(parent, (int)j);
                        met = 1;
                    }
                }
        }
    for (long i = 0; i < n; i++) { /* sums to the roots */
        int r = root(parent, (int)i);
        if (r != i) {
            open[r] += open[i];
            across[r] += across[i];
        }
    }
    for (long i = 0; i < n; i++)
        if (parent[i] == i) {
            out->components++;
            out->rotations += open[i] == 0 && across[i] % 2;
            out->closed += open[i] == 0 && across[i] % 2 == 0;
        }
    free(parent);
    return HNN_OK;
}

int hnn_search_contours(hnn_search *s, int grid, hnn_error *e)
{
    hnn_landscape *l = s->out;
    double *z = malloc(sizeof *z * (size_t)grid * (size_t)grid), least = INFINITY, most = -INFINITY;
    double *critical = malloc(sizeof *critical * (size_t)(l->n + 2));
    int periodic = s->period && fabs(s->period[0] - 2 * s->half[0]) < 1e-9 * s->half[0], code = HNN_OK, n = 0;
    l->level = calloc((size_t)(l->n + 1), sizeof *l->level);
    if (!z || !critical || !l->level) {
        code = hnn_fail(e, HNN_EMEM, "out of memory for the contours of a grid of %d x %d", grid, grid);
        goto done;
    }
    for (int j = 0; j < grid; j++)
        for (int i = 0; i < grid; i++) {
            double u[2] = {2.0 * i / (grid - 1) - 1, 2.0 * j / (grid - 1) - 1}, *at = z + (long)j * grid + i;
            if ((code = hnn_search_at(s, u, at, NULL, NULL))) {
                hnn_fail(e, code, "landscape: H failed with code %d on the grid", code);
                goto done;
            }
            if (isfinite(*at)) {
                least = fmin(least, *at);
                most = fmax(most, *at);
            }
        }
    /* Above all of them, levels that the box does not cut open are between the last and the least value on the box's rim. */
    double rim = INFINITY;
    for (int k = 0; k < grid; k++) {
        double *low = z + k, *high = z + (long)(grid - 1) * grid + k, *left = z + (long)k * grid,
               *right = left + grid - 1;
        rim = fmin(rim, fmin(*low, *high));
        rim = periodic ? rim : fmin(rim, fmin(*left, *right));
    }
    for (int k = 0; k < l->n; k++) /* different critical energies, ascending */
        if (!n || l->at[k].energy - critical[n - 1] > 1e-9 * (most - least))
            critical[n++] = l->at[k].energy;
    for (int k = 0; k <= n && !code; k++) {
        double below = k ? critical[k - 1] : least, above = k < n ? critical[k]
                                                            : rim > below + 1e-6 * (most - least) ? rim
                                                                                                  : most;
        if (!(above - below > 1e-6 * (most - least)))
            continue;
        hnn_lines lines;
        hnn_level *level = &l->level[l->levels++];
        level->energy = below + (above - below) / 2;
        if ((code = hnn_contour(grid, grid, z, level->energy, &lines, e)))
            break;
        code = count_lines(&lines, grid - 1, periodic, level, e);
        hnn_lines_free(&lines);
    }
done:
    free(z), free(critical);
    return code;
}

/* Displacement after time t of the steepest descent of the quadratic model, along eigenvector with slope g, curvature w. */
static double slide(double g, double w, double t) { return w * t == 0 ? -g * t : g * expm1(-w * t) / w; }

static double slid(const hnn_search *s, const double *slope, double t)
{
    double sum = 0;
    for (int i = 0; i < s->dim; i++)
        sum = hypot(sum, slide(slope[i], s->w[i], t));
    return sum;
}

/* one step of length at most `step` down from u; *rest 1 if the model's minimum is nearer than that, and u is there */
static int descend(hnn_search *s, double *u, double *slope, double step, int *rest, hnn_error *e)
{
    int n = s->dim, code = hnn_search_at(s, u, NULL, s->g, s->h);
    *rest = 0;
    if (code)
        return hnn_fail(e, code, "landscape: H failed with code %d on the way down", code);
    if ((code = hnn_eigen_symmetric(n, s->h, s->w, s->v, e)))
        return code;
    double newton = 0;
    for (int i = 0; i < n; i++) {
        slope[i] = 0;
        for (int k = 0; k < n; k++)
            slope[i] += s->v[k * n + i] * s->g[k];
        newton = s->w[i] > 0 ? hypot(newton, slope[i] / s->w[i]) : INFINITY;
    }
    double t = INFINITY;
    if (newton <= step)
        *rest = 1;
    else { /* the length grows with t: bisection on its logarithm */
        double low = 0, high = 1 / (s->curvature > 0 ? s->curvature : 1);
        for (int k = 0; k < 1000 && slid(s, slope, high) < step; k++)
            low = high, high *= 2;
        for (int k = 0; k < 40; k++) {
            t = low + (high - low) / 2;
            if (slid(s, slope, t) < step)
                low = t;
            else
                high = t;
        }
        t = low;
    }
    for (int i = 0; i < n; i++) {
        double move = *rest ? -slope[i] / s->w[i] : slide(slope[i], s->w[i], t);
        for (int k = 0; k < n; k++)
            u[k] += s->v[k * n + i] * move;
    }
    return HNN_OK;
}

/* where the way down from u ends */
static int way_down(hnn_search *s, double *u, double *slope, int *end, hnn_error *e)
{
    enum { STEPS = 4000 };
    *end = HNN_UNRESOLVED;
    for (int k = 0; k < STEPS; k++) {
        int rest, found, code = descend(s, u, slope, 0.01, &rest, e);
        if (code)
            return code == HNN_EARG && !s->failed ? HNN_OK
                                                  : code; /* a Hessian that is not finite: unresolved */
        if (rest) {
            if ((code = hnn_search_newton(s, u, &found, e)))
                return code;
            if (!found)
                return HNN_OK;
            if (!hnn_search_wrap(s, u)) {
                *end = HNN_OUTSIDE;
                return HNN_OK;
            }
            if ((code = hnn_search_add(s, u, end, e)))
                return code;
            if (*end < 0 || s->out->at[*end].kind != HNN_MINIMUM)
                *end = HNN_UNRESOLVED;
            return HNN_OK;
        }
        memcpy(s->u1, u, sizeof *u * (size_t)s->dim);
        if (!hnn_search_wrap(s, s->u1)) {
            *end = HNN_OUTSIDE;
            return HNN_OK;
        }
    }
    return HNN_OK;
}

static int ways_down(hnn_search *s, int saddle, int end[2], hnn_error *e)
{
    int n = s->dim, code = HNN_OK;
    double *block = malloc(sizeof *block * (size_t)(3 * n)), *u = block + n, *slope = u + n;
    if (!block)
        return hnn_fail(e, HNN_EMEM, "out of memory for the ways down from a saddle");
    for (int side = 0; side < 2 && !code; side++) {
        for (int i = 0; i < n; i++)
            u[i] = (s->out->at[saddle].z[i] - s->middle[i]) / s->half[i];
        if ((code = hnn_search_at(s, u, NULL, NULL, s->h))) {
            hnn_fail(e, code, "landscape: H failed with code %d at a saddle", code);
            break;
        }
        if ((code = hnn_eigen_symmetric(n, s->h, s->w, s->v, e)))
            break;
        for (int i = 0; i < n; i++) /* along the only direction that leads down */
            u[i] += (side ? -1e-3 : 1e-3) * s->v[i * n];
        code = way_down(s, u, slope, &end[side], e);
    }
    free(block);
    return code;
}

static int by_energy(const void *x, const void *y)
{
    const hnn_equilibrium *a = *(const hnn_equilibrium *const *)x, *b = *(const hnn_equilibrium *const *)y;
    double tiny = 1e-11 * (fabs(a->energy) + fabs(b->energy));
    if (fabs(a->energy - b->energy) > tiny)
        return a->energy < b->energy ? -1 : 1;
    for (int i = 0; i < 2; i++)
        if (a->z[i] != b->z[i])
            return a->z[i] < b->z[i] ? -1 : 1;
    return 0;
}

/* equilibria into ascending energy, and the merges' indices with them */
static int sort(hnn_landscape *l, hnn_error *e)
{
    size_t n = (size_t)l->n;
    const hnn_equilibrium **order = malloc(sizeof *order * (n + 1));
    hnn_equilibrium *sorted = malloc(sizeof *sorted * (n + 1));
    int *to = malloc(sizeof *to * (n + 1));
    int ok = order && sorted && to;
    for (size_t k = 0; ok && k < n; k++)
        order[k] = &l->at[k];
    if (ok && n)
        qsort(order, n, sizeof *order, by_energy);
    for (size_t k = 0; ok && k < n; k++) {
        sorted[k] = *order[k];
        to[order[k] - l->at] = (int)k;
    }
    if (ok && n)
        memcpy(l->at, sorted, sizeof *sorted * n);
    for (int m = 0; ok && m < l->merges; m++) {
        l->merge[m].saddle = to[l->merge[m].saddle];
        for (int side = 0; side < 2; side++)
            if (l->merge[m].end[side] >= 0)
                l->merge[m].end[side] = to[l->merge[m].end[side]];
    }
    free(order), free(sorted), free(to);
    return ok ? HNN_OK : hnn_fail(e, HNN_EMEM, "out of memory for %d equilibria", l->n);
}

static int by_saddle(const void *x, const void *y)
{
    const hnn_merge *a = x, *b = y;
    return (a->saddle > b->saddle) - (a->saddle < b->saddle);
}

int hnn_search_merges(hnn_search *s, hnn_error *e)
{
    hnn_landscape *l = s->out;
    int code = HNN_OK, before = l->n;
    l->merge = calloc((size_t)before + 1, sizeof *l->merge);
    if (!l->merge)
        return hnn_fail(e, HNN_EMEM, "out of memory for the merge tree");
    for (int k = 0; k < before; k++)
        if (l->at[k].kind == HNN_SADDLE && l->at[k].index == 1) {
            hnn_merge *m = &l->merge[l->merges++];
            m->saddle = k;
            if ((code = ways_down(s, k, m->end, e)))
                return code;
        }
    if ((code = sort(l, e)))
        return code;
    qsort(l->merge, (size_t)l->merges, sizeof *l->merge, by_saddle);
    /* the elder rule; node n is the outside, deepest of all, and the root of a component is its deepest */
    int outside = l->n, *parent = malloc(sizeof *parent * (size_t)(l->n + 1));
    if (!parent)
        return hnn_fail(e, HNN_EMEM, "out of memory for the merge tree");
    for (int k = 0; k <= l->n; k++)
        parent[k] = k;
    for (int k = 0; k < l->merges; k++) {
        hnn_merge *m = &l->merge[k];
        m->dies = -1;
        if (m->end[0] == HNN_UNRESOLVED || m->end[1] == HNN_UNRESOLVED) {
            m->kind = HNN_UNKNOWN;
            continue;
        }
        int a = root(parent, m->end[0] == HNN_OUTSIDE ? outside : m->end[0]),
            b = root(parent, m->end[1] == HNN_OUTSIDE ? outside : m->end[1]);
        if (a == b) {
            m->kind = HNN_LOOP;
            continue;
        }
        int elder = a == outside || b == outside ? outside : a < b ? a : b; /* in ascending energy */
        m->dies = elder == a ? b : a;
        m->kind = elder == outside ? HNN_ESCAPE : HNN_MERGE;
        m->persistence = l->at[m->saddle].energy - l->at[m->dies].energy;
        parent[m->dies] = elder;
    }
    free(parent);
    return HNN_OK;
}
