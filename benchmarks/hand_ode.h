/* hand_ode.h - verlet and its adjoint written out, as one would by hand: what bench_ode compares with. */
/* SPDX-License-Identifier: MIT */
#ifndef HAND_ODE_H
#define HAND_ODE_H
#include <math.h>
#include <stdlib.h>

enum { HAND_BODIES = 6 };

/* Henon-Heiles; one force a step. */
static void hand_henon_heiles(double y[], long steps, double h)
{
    double q = y[0], s = y[1], p = y[2], r = y[3];
    double f = q + 2 * q * s, g = s + q * q - s * s;
    for (long k = 0; k < steps; k++) {
        p -= h / 2 * f, r -= h / 2 * g;
        q += h * p, s += h * r;
        f = q + 2 * q * s, g = s + q * q - s * s;
        p -= h / 2 * f, r -= h / 2 * g;
    }
    y[0] = q, y[1] = s, y[2] = p, y[3] = r;
}

/* Bodies under gravity in space; one force a step. */
static inline void hand_forces(const double q[], double G, const double m[], double f[])
{
    for (int i = 0; i < 3 * HAND_BODIES; i++)
        f[i] = 0;
    for (int a = 1; a < HAND_BODIES; a++)
        for (int b = 0; b < a; b++) {
            double x = q[3 * a] - q[3 * b], y = q[3 * a + 1] - q[3 * b + 1], z = q[3 * a + 2] - q[3 * b + 2],
                   r2 = x * x + y * y + z * z, w = G * m[a] * m[b] / (r2 * sqrt(r2));
            f[3 * a] += w * x, f[3 * a + 1] += w * y, f[3 * a + 2] += w * z;
            f[3 * b] -= w * x, f[3 * b + 1] -= w * y, f[3 * b + 2] -= w * z;
        }
}
static void hand_solar_verlet(double y[], long steps, double h, double G, const double m[])
{
    enum { N = 3 * HAND_BODIES };
    double *q = y, *p = y + N, f[N], hm[N];
    for (int i = 0; i < N; i++)
        hm[i] = h / m[i / 3];
    hand_forces(q, G, m, f);
    for (long k = 0; k < steps; k++) {
        for (int i = 0; i < N; i++)
            p[i] -= h / 2 * f[i], q[i] += hm[i] * p[i];
        hand_forces(q, G, m, f);
        for (int i = 0; i < N; i++)
            p[i] -= h / 2 * f[i];
    }
}

/* d |z_N|^2 / dz_0 of Henon-Heiles, the positions of all steps stored, or of a stretch of them at a time. */
static void hand_gradient(const double start[4], long steps, double h, int checkpointed, double dz[4])
{
    long stretch = checkpointed ? (long)sqrt((double)steps) : steps, count = (steps + stretch - 1) / stretch;
    double(*at)[4] = malloc(sizeof *at * (size_t)(count + 1)),
    (*path)[2] = malloc(sizeof *path * (size_t)(stretch + 1)),
    y[4] = {start[0], start[1], start[2], start[3]};
    double a = 0, b = 0, c = 0, d = 0; /* adjoints of q, s, p, r */
    for (long j = 0; j < count; j++) { /* the last stretch is not run twice */
        for (int i = 0; i < 4; i++)
            at[j][i] = y[i];
        long n = j == count - 1 ? steps - j * stretch : stretch;
        if (j < count - 1)
            hand_henon_heiles(y, n, h);
    }
    for (long j = count - 1; j >= 0; j--) {
        long n = j == count - 1 ? steps - j * stretch : stretch;
        double q = at[j][0], s = at[j][1], p = at[j][2], r = at[j][3];
        double f = q + 2 * q * s, g = s + q * q - s * s;
        path[0][0] = q, path[0][1] = s;
        for (long k = 0; k < n; k++) {
            p -= h / 2 * f, r -= h / 2 * g;
            q += h * p, s += h * r;
            f = q + 2 * q * s, g = s + q * q - s * s;
            p -= h / 2 * f, r -= h / 2 * g;
            path[k + 1][0] = q, path[k + 1][1] = s;
        }
        if (j == count - 1)
            a = 2 * q, b = 2 * s, c = 2 * p, d = 2 * r;
        for (long k = n; k > 0; k--) {
            q = path[k][0], s = path[k][1];
            a -= h / 2 * ((1 + 2 * s) * c + 2 * q * d), b -= h / 2 * (2 * q * c + (1 - 2 * s) * d);
            c += h * a, d += h * b;
            q = path[k - 1][0], s = path[k - 1][1];
            a -= h / 2 * ((1 + 2 * s) * c + 2 * q * d), b -= h / 2 * (2 * q * c + (1 - 2 * s) * d);
        }
    }
    dz[0] = a, dz[1] = b, dz[2] = c, dz[3] = d;
    free(at), free(path);
}
#endif
