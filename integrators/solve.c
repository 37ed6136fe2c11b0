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

static double *unknown(ode_real *r, const int slot[], int k)
{
    return ode_slot(r, (slot[k] ? slot[k] + r->base.slot0 : 0));
}
/* Largest change relative to the size of the state, so that one scale serves all unknowns. */
static double change(ode_real *r, int n, const int y[], const int g[])
{
    double d = 0, m = 0;
    for (int i = 0; i < r->base.size; i++)
        m = fmax(m, fabs(r->x[i])); /* an unknown may be a small correction of it */
    for (int k = 0; k < n; k++) {
        const double *a = unknown(r, y, k), *b = unknown(r, g, k);
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
static void accept(ode_real *r, int n, const int y[], const int g[])
{
    for (int k = 0; k < n; k++)
        memcpy(unknown(r, y, k), unknown(r, g, k), sizeof(double) * (size_t)r->base.size);
}

/* Newton on y - G(y) with a differenced matrix: it steers the iteration only, the solution does not depend on it. */
static int newton(ode_real *r, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    int size = r->base.size, N = n * size;
    size_t need = (size_t)N * (size_t)N + 2 * (size_t)N;
    if (r->work_size < need) {
        double *w = realloc(r->work, need * sizeof *w);
        if (w)
            r->work = w;
        int *p = realloc(r->pivot, (size_t)N * sizeof *p);
        if (p)
            r->pivot = p;
        if (!w || !p) {
            if (!r->failed)
                r->failed = ODE_EMEMORY, r->failed_t = r->t, r->failed_what = "no memory for Newton's matrix";
            return 0;
        }
        r->work_size = need;
    }
    double *A = r->work, *g0 = A + (size_t)N * (size_t)N, *res = g0 + N, last = INFINITY, part = 1;
    int known = 0;
    for (int turn = 0; turn < 40; turn++) {
        map(&r->base, ctx);
        if (r->failed)
            return 0;
        double d = change(r, n, y, g);
        r->counts.newtons++;
        if (d <= r->solve_tol || d == 0 || (d >= last * 0.5 && d < 1e-13))
            return accept(r, n, y, g), 1;
        if (!(d < last) && part > 1e-3) { /* too far: half of the way there */
            part /= 2;
            for (int q = 0; q < N; q++)
                unknown(r, y, q / size)[q % size] -= part * res[q];
            continue;
        }
        if (!(d < last))
            return 0;
        part = 1;
        for (int k = 0; k < n; k++)
            for (int i = 0; i < size; i++) {
                g0[k * size + i] = unknown(r, g, k)[i];
                res[k * size + i] = unknown(r, g, k)[i] - unknown(r, y, k)[i];
            }
        if (!known || d > 1e-3 * last || d > 1e-3) /* near the solution one matrix serves several turns */
            for (int c = 0; c < N; c++) {
                double *v = &unknown(r, y, c / size)[c % size], keep = *v;
                double step = 1e-7 * (fabs(keep) + 1e-3);
                *v = keep + step;
                step = *v - keep;
                map(&r->base, ctx);
                *v = keep;
                for (int q = 0; q < N; q++)
                    A[q * N + c] = (q == c) - (unknown(r, g, q / size)[q % size] - g0[q]) / step;
                if (c == N - 1 && (r->failed || !ode_factor(N, A, r->pivot)))
                    return 0;
                known = 1;
            }
        ode_back(N, A, r->pivot, res);
        for (int q = 0; q < N; q++)
            unknown(r, y, q / size)[q % size] += res[q];
        last = d;
    }
    return 0;
}

void ode_real_solve(ode_space *s, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    ode_real *r = (ode_real *)s;
    if (r->failed)
        return;
    if (r->schedule > 0) { /* as many sweeps as asked, whatever they reach */
        double d = 0;
        for (int k = 0; k < r->schedule && !r->failed; k++) {
            map(s, ctx);
            d = change(r, n, y, g);
            accept(r, n, y, g);
            r->counts.iterations++;
        }
        r->counts.unconverged += !(d <= (r->solve_tol > 0 ? r->solve_tol : 1e-14));
        return;
    }
    double last = INFINITY;
    for (int k = 0; k < 50; k++) {
        map(s, ctx);
        if (r->failed)
            return;
        double d = change(r, n, y, g);
        accept(r, n, y, g);
        r->counts.iterations++;
        if (d <= r->solve_tol || d == 0)
            return;
        /* Round-off: the change no longer shrinks, and is small. Hairer, McLachlan, Razakarivony (2008), BIT 48. */
        if (d >= last && d < 1e-14)
            return;
        if (!isfinite(d) || (k > 4 && d > 0.7 * last && d > 1e-12))
            break;
        last = d;
    }
    /* Sweeps diverge: their last point may be far away, so Newton starts again at the solution's last value. */
    for (int k = 0; k < n; k++)
        if (y[k])
            memcpy(unknown(r, y, k), ode_slot(r, 0), sizeof(double) * (size_t)s->size);
    if (!newton(r, n, y, g, map, ctx))
        r->counts.unconverged++;
}
