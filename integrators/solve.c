/* solve.c - y = G(y) in doubles: fixed-point sweeps, Newton where they do not contract.
 * Invariant: a solve either reached round-off (or the tolerance asked for) or is counted as unconverged. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

int ode_factor(int n, double *a, int *pivot)
{
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
                best = i;
        pivot[k] = best;
        if (!(fabs(a[best * n + k]) > 0))
            return 0;
        if (best != k)
            for (int j = 0; j < n; j++) {
                double x = a[k * n + j];
                a[k * n + j] = a[best * n + j];
                a[best * n + j] = x;
            }
        for (int i = k + 1; i < n; i++) {
            double f = a[i * n + k] /= a[k * n + k];
            for (int j = k + 1; j < n; j++)
                a[i * n + j] = fma(-f, a[k * n + j], a[i * n + j]);
        }
    }
    return 1;
}
void ode_back(int n, const double *a, const int *pivot, double *b)
{
    for (int k = 0; k < n; k++) {
        double x = b[pivot[k]];
        b[pivot[k]] = b[k];
        b[k] = x;
    }
    for (int i = 1; i < n; i++)
        for (int j = 0; j < i; j++)
            b[i] = fma(-a[i * n + j], b[j], b[i]);
    for (int i = n - 1; i >= 0; i--) {
        for (int j = i + 1; j < n; j++)
            b[i] = fma(-a[i * n + j], b[j], b[i]);
        b[i] /= a[i * n + i];
    }
}

static double *unknown(ode_real *r, int row, const int slot[], int k)
{
    return ode_row(r, slot[k] ? slot[k] + r->base.slot0 : 0, row);
}
/* Largest change of a row relative to the size of its state, so that one scale serves all unknowns. */
static double change(ode_real *r, int row, int n, const int y[], const int g[])
{
    const double *x = ode_row(r, 0, row);
    double d = 0, m = 0;
    for (int i = 0; i < r->base.size; i++) { /* an unknown may be a small correction of it */
        double v = fabs(x[i]);
        if (v > m)
            m = v;
    }
    for (int k = 0; k < n; k++) {
        const double *a = unknown(r, row, y, k), *b = unknown(r, row, g, k);
        for (int i = 0; i < r->base.size; i++) {
            double e = fabs(b[i] - a[i]), v = fabs(b[i]);
            if (!(e <= d))
                d = e;
            if (v > m)
                m = v;
        }
    }
    return m > 0 ? d / m : d;
}
static void accept(ode_real *r, int row, int n, const int y[], const int g[])
{
    for (int k = 0; k < n; k++)
        memcpy(unknown(r, row, y, k), unknown(r, row, g, k), sizeof(double) * (size_t)r->base.size);
}

static int newton_memory(ode_real *r, size_t N)
{
    size_t need = N * N + 2 * N;
    if (r->work_size >= need)
        return 1;
    double *w = realloc(r->work, need * sizeof *w);
    if (w)
        r->work = w;
    int *p = realloc(r->pivot, N * sizeof *p);
    if (p)
        r->pivot = p;
    if (w && p)
        r->work_size = need;
    else if (!r->failed)
        r->failed = ODE_EMEMORY, r->failed_t = r->t, r->failed_what = "no memory for Newton's matrix";
    return w && p;
}

/* The matrix by differences, for a field without a Jacobian. g0 is G at y. */
static void differences(ode_real *r, int row, int n, const int y[], const int g[], const double g0[],
                        ode_map *map, const void *ctx, double A[])
{
    int size = r->base.size, N = n * size;
    for (int c = 0; c < N; c++) {
        double *v = &unknown(r, row, y, c / size)[c % size], keep = *v;
        double step = 1e-7 * (fabs(keep) + 1e-3);
        *v = keep + step;
        step = *v - keep;
        map(&r->base, ctx);
        *v = keep;
        for (int q = 0; q < N; q++)
            A[q * N + c] = (q == c) - (unknown(r, row, g, q / size)[q % size] - g0[q]) / step;
    }
}

/* Newton on y - G(y) of the one live row. The matrix steers the iteration only, the solution does not depend on it. */
static int newton(ode_real *r, int row, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    int size = r->base.size, N = n * size;
    if (!newton_memory(r, (size_t)N))
        return 0;
    double *A = r->work, *g0 = A + (size_t)N * (size_t)N, *res = g0 + N, last = INFINITY, part = 1;
    int known = 0;
    for (int turn = 0; turn < 40; turn++) {
        map(&r->base, ctx);
        if (!r->live[row])
            return 0;
        double d = change(r, row, n, y, g);
        r->counts.newtons++;
        if (d <= r->solve_tol || d == 0 || (d >= last * 0.5 && d < 1e-13))
            return accept(r, row, n, y, g), 1;
        if (!(d < last) && part > 1e-3) { /* too far: half of the way there */
            part /= 2;
            for (int q = 0; q < N; q++)
                unknown(r, row, y, q / size)[q % size] -= part * res[q];
            continue;
        }
        if (!(d < last))
            return 0;
        part = 1;
        for (int k = 0; k < n; k++)
            for (int i = 0; i < size; i++) {
                g0[k * size + i] = unknown(r, row, g, k)[i];
                res[k * size + i] = unknown(r, row, g, k)[i] - unknown(r, row, y, k)[i];
            }
        if (!known || d > 1e-3 * last || d > 1e-3) { /* near the solution one matrix serves several turns */
            if (!ode_dual_matrix(r, row, n, y, g, map, ctx, A))
                differences(r, row, n, y, g, g0, map, ctx, A);
            if (!r->live[row] || !ode_factor(N, A, r->pivot))
                return 0;
            known = 1;
        }
        ode_back(N, A, r->pivot, res);
        for (int q = 0; q < N; q++)
            unknown(r, row, y, q / size)[q % size] += res[q];
        last = d;
    }
    return 0;
}

/* As many sweeps as asked, whatever they reach. */
static void scheduled(ode_real *r, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    for (int b = 0; b < r->rows; b++)
        r->last[b] = 0;
    for (int k = 0; k < r->schedule; k++) {
        map(&r->base, ctx);
        for (int b = 0; b < r->rows; b++)
            if (r->live[b]) {
                r->last[b] = change(r, b, n, y, g);
                accept(r, b, n, y, g);
                r->counts.iterations++;
            }
    }
    for (int b = 0; b < r->rows; b++)
        if (r->live[b])
            r->counts.unconverged += !(r->last[b] <= (r->solve_tol > 0 ? r->solve_tol : 1e-14));
}

/* Sweeps until each row is at round-off; a row that is there is not touched again. Marks in `open`: 1 a row of this solve,
 * 2 one whose sweeps do not contract, 2 + k one whose change has not become smaller for k sweeps. `last` is its smallest. */
static int sweeps(ode_real *r, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    int left = 0, diverged = 0;
    for (int b = 0; b < r->rows; b++) {
        r->open[b] = r->live[b];
        r->last[b] = r->past[b] = r->past[r->rows + b] = INFINITY;
        left += r->live[b];
    }
    for (int k = 0; k < 50 && left; k++) {
        map(&r->base, ctx);
        left = 0;
        for (int b = 0; b < r->rows; b++) {
            if (!r->live[b])
                continue;
            double d = change(r, b, n, y, g), last = r->last[b], before = r->past[r->rows + b];
            accept(r, b, n, y, g);
            r->counts.iterations++;
            r->last[b] = fmin(d, last), r->past[r->rows + b] = r->past[b], r->past[b] = d;
            r->open[b] = d < last ? 1 : r->open[b] == 1 ? 3 : r->open[b] + 1;
            /* Round-off: the change no longer shrinks, and is small. Hairer, McLachlan, Razakarivony (2008), BIT 48. An energy
             * that is large beside its changes has a floor above round-off of the state: sweeps that contract get smaller every
             * time, so five that do not have arrived there. */
            if (d <= r->solve_tol || d == 0 || (d >= last && (d < 1e-14 || (r->open[b] >= 7 && d < 1e-12))))
                r->live[b] = 0;
            /* Contraction is that of two sweeps: the first may move q by the change of p alone, the second p by that of q. */
            else if (!isfinite(d) || (k > 4 && d > 0.49 * before && d > 1e-12))
                r->live[b] = 0, r->open[b] = 2, diverged = 1;
            else
                left++;
        }
    }
    for (int b = 0; b < r->rows; b++) /* 50 sweeps were not enough */
        if (r->live[b])
            r->live[b] = 0, r->open[b] = 2, diverged = 1;
    return diverged;
}

void ode_real_solve(ode_space *s, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    ode_real *r = (ode_real *)s;
    if (r->failed)
        return;
    if (r->schedule > 0) {
        scheduled(r, n, y, g, map, ctx);
        return;
    }
    if (sweeps(r, n, y, g, map, ctx))
        for (int b = 0; b < r->rows; b++)
            if (r->open[b] == 2 && !r->failed) {
                /* Sweeps diverge: their last point may be far away, so Newton starts again at the solution's last value. */
                r->live[b] = 1;
                for (int k = 0; k < n; k++)
                    if (y[k])
                        memcpy(unknown(r, b, y, k), ode_row(r, 0, b), sizeof(double) * (size_t)s->size);
                if (!newton(r, b, n, y, g, map, ctx))
                    r->counts.unconverged++;
                r->live[b] = 0;
            }
    for (int b = 0; b < r->rows; b++)
        r->live[b] = r->open[b] && !r->fault[b].status;
}
