/* ode.c - the references of tests/test_ode_reference.c, in quadruple precision. Its output is ode.txt:
 *   gcc -O2 -o /tmp/ode tests/reference/ode.c -lquadmath -lm && /tmp/ode > tests/reference/ode.txt
 * Method: Gragg's midpoint rule extrapolated to order 20 (Hairer, Norsett, Wanner (1993), II.9), which shares nothing with
 * the integrators it judges; each run is repeated with a tolerance 1000 times as tight, and the difference printed.
 * Closed forms where there are any: Kepler's equation, the arithmetic-geometric mean. */
/* SPDX-License-Identifier: MIT */
#include <quadmath.h>
#include <stdio.h>

typedef __float128 real;
#define REAL_SIN sinq
#define REAL_COS cosq
#define REAL_SQRT sqrtq
#define REAL_EXP expq
#define C(x) x##Q
#include "problems.h"

typedef int field(void *, real, const real *, real *);
enum { COLUMNS = 10, MOST = 36 };

/* One basic step H; the result in y, the estimated error returned. */
static real extrapolate(field *f, int n, real H, real y[])
{
    real table[COLUMNS][MOST], error = 0;
    for (int k = 0; k < COLUMNS; k++) {
        int parts = 2 * (k + 1);
        real h = H / parts, a[MOST], b[MOST], g[MOST];
        f(NULL, 0, y, g);
        for (int i = 0; i < n; i++)
            a[i] = y[i], b[i] = y[i] + h * g[i];
        for (int s = 1; s < parts; s++) {
            f(NULL, 0, b, g);
            for (int i = 0; i < n; i++) {
                real next = a[i] + 2 * h * g[i];
                a[i] = b[i], b[i] = next;
            }
        }
        for (int i = 0; i < n; i++) { /* Aitken and Neville in h^2; table[j] holds T(k, k - j) */
            real above = b[i];
            for (int j = 1; j <= k; j++) {
                real ratio = (real)(k + 1) / (k + 1 - j), old = table[j - 1][i];
                table[j - 1][i] = above;
                above += (above - old) / (ratio * ratio - 1);
            }
            if (k == COLUMNS - 1)
                error = fmaxq(error, fabsq(above - table[k - 1][i]));
            table[k][i] = above;
        }
    }
    memcpy(y, table[COLUMNS - 1], (size_t)n * sizeof *y);
    return error;
}
static void integrate(field *f, int n, real t_end, real tolerance, real y[])
{
    real t = 0, H = t_end / 1024;
    while (t < t_end) {
        real z[MOST];
        memcpy(z, y, (size_t)n * sizeof *y);
        if (H > t_end - t)
            H = t_end - t;
        if (extrapolate(f, n, H, z) > tolerance) {
            H /= 2;
            continue;
        }
        memcpy(y, z, (size_t)n * sizeof *y);
        t = H == t_end - t ? t_end : t + H;
        H *= 1.25Q;
    }
}

static void print(const char *name, real t, int n, const real y[], real spread)
{
    char text[64];
    quadmath_snprintf(text, sizeof text, "%.33Qg", t);
    printf("%s %s", name, text);
    for (int i = 0; i < n; i++) {
        quadmath_snprintf(text, sizeof text, "%.33Qg", y[i]);
        printf(" %s", text);
    }
    printf(" # +- %.0e\n", (double)spread);
}
static void run(const char *name, field *f, int n, const real start[], real t)
{
    real y[MOST], z[MOST], spread = 0;
    memcpy(y, start, (size_t)n * sizeof *y), memcpy(z, y, sizeof z);
    integrate(f, n, t, 1e-27Q, y), integrate(f, n, t, 1e-30Q, z);
    for (int i = 0; i < n; i++)
        spread = fmaxq(spread, fabsq(y[i] - z[i]));
    print(name, t, n, z, spread);
}
static void wide(int n, const double from[], real to[])
{
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

int main(void)
{
    printf("# name t values, from tests/reference/ode.c in quadruple precision\n");
    real y[MOST];
    for (int k = 1; k <= 2; k++) { /* Kepler's equation E - e sin E = t */
        real e = 0.6Q, t = k == 1 ? 20 : 100, E = t;
        for (int turn = 0; turn < 100; turn++)
            E -= (E - e * sinq(E) - t) / (1 - e * cosq(E));
        real r = 1 - e * cosq(E), root = sqrtq(1 - e * e);
        real z[] = {cosq(E) - e, root * sinq(E), -sinq(E) / r, root * cosq(E) / r};
        print("kepler", t, 4, z, fabsq(E - e * sinq(E) - t));
    }
    for (int k = 1; k <= 3; k++) { /* H = p^2/2 + 1 - cos q from rest at q: T = 2 pi / agm(1, cos(q/2)) */
        real q = k, a = 1, b = cosq(q / 2);
        for (int turn = 0; turn < 12; turn++) {
            real m = (a + b) / 2;
            b = sqrtq(a * b), a = m;
        }
        real period = 2 * M_PIq / a;
        print("pendulum-period", q, 1, &period, fabsq(a - b));
    }
    wide(4, hh_start, y);
    run("henon-heiles", hh_f, 4, y, 10);
    run("henon-heiles", hh_f, 4, y, 1000);
    wide(2 * OUTER_HALF, outer_start, y);
    run("outer-solar-system", outer_f, 2 * OUTER_HALF, y, 200000);
    wide(4, double_pendulum_start, y);
    run("double-pendulum", double_pendulum_f, 4, y, 10);
    wide(6, toda_start, y);
    run("toda", toda_f, 6, y, 50);
    run("arenstorf", arenstorf_f, 4, arenstorf_start, ARENSTORF_PERIOD);
    return 0;
}
