/* problems.h - the problems with a reference, once for every real type: in double, or include it after defining
 *   real   REAL_SIN(x) REAL_COS(x) REAL_SQRT(x) REAL_EXP(x)   C(x), a constant of 34 digits
 * Invariant: nothing here integrates; the fields are written out by hand, as tests may. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#ifndef REAL_SIN
typedef double real;
#define REAL_SIN sin
#define REAL_COS cos
#define REAL_SQRT sqrt
#define REAL_EXP exp
#define C(x) x
#endif
#define PROBLEM __attribute__((unused)) static

/* Henon and Heiles (1964): V = (q1^2 + q2^2)/2 + q1^2 q2 - q2^3/3. The start, of energy 0.12, lies on a regular orbit. */
PROBLEM const double hh_start[4] = {0.3125, -0.25, 0.25, 0.25};
PROBLEM int hh_p(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
PROBLEM int hh_q(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    g[0] = y[0] + 2 * y[0] * y[1];
    g[1] = y[1] + y[0] * y[0] - y[1] * y[1];
    return 0;
}
PROBLEM int hh_f(void *u, real t, const real y[], real f[])
{
    hh_p(u, t, y, f), hh_q(u, t, y, f + 2);
    f[2] = -f[2], f[3] = -f[3];
    return 0;
}

/* Kepler, mu = 1, from the pericentre of an ellipse with a = 1: q = (1 - e, 0), p = (0, sqrt((1 + e)/(1 - e))). */
PROBLEM int kepler_p(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
PROBLEM int kepler_q(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    real r2 = y[0] * y[0] + y[1] * y[1], r3 = r2 * REAL_SQRT(r2);
    g[0] = y[0] / r3, g[1] = y[1] / r3;
    return 0;
}
PROBLEM int kepler_f(void *u, real t, const real y[], real f[])
{
    kepler_p(u, t, y, f), kepler_q(u, t, y, f + 2);
    f[2] = -f[2], f[3] = -f[3];
    return 0;
}

/* Double pendulum of unit masses and lengths, g = 9.81, from rest:
 * H = (p1^2 + 2 p2^2 - 2 p1 p2 cos d) / (2 (1 + sin^2 d)) + 2 g (1 - cos q1) + g (1 - cos q2), d = q1 - q2. */
PROBLEM const double double_pendulum_start[4] = {1, -0.5, 0, 0};
PROBLEM int double_pendulum_f(void *u, real t, const real y[], real f[])
{
    (void)u, (void)t;
    real g = C(9.81), c = REAL_COS(y[0] - y[1]), s = REAL_SIN(y[0] - y[1]), S = 1 + s * s, p = y[2], r = y[3];
    real N = p * p + 2 * r * r - 2 * p * r * c, d = p * r * s / S - N * s * c / (S * S);
    f[0] = (p - r * c) / S;
    f[1] = (2 * r - p * c) / S;
    f[2] = -d - 2 * g * REAL_SIN(y[0]);
    f[3] = d - g * REAL_SIN(y[1]);
    return 0;
}

/* Restricted three-body problem in the rotating frame. Hairer, Norsett, Wanner (1993), II.0: the orbit closes. */
#define ARENSTORF_PERIOD C(17.0652165601579625588917206249)
PROBLEM const real arenstorf_start[4] = {C(0.994), 0, 0, C(-2.00158510637908252240537862224)};
PROBLEM int arenstorf_f(void *u, real t, const real y[], real f[])
{
    (void)u, (void)t;
    real m = C(0.012277471), M = 1 - m;
    real a = (y[0] + m) * (y[0] + m) + y[1] * y[1], b = (y[0] - M) * (y[0] - M) + y[1] * y[1];
    a *= REAL_SQRT(a), b *= REAL_SQRT(b);
    f[0] = y[2];
    f[1] = y[3];
    f[2] = y[0] + 2 * y[3] - M * (y[0] + m) / a - m * (y[0] - M) / b;
    f[3] = y[1] - 2 * y[2] - M * y[1] / a - m * y[1] / b;
    return 0;
}

/* Toda's periodic lattice of three: H = sum p^2/2 + sum exp(q_i - q_i+1). Henon (1974), Phys. Rev. B 9, 1921-1923:
 * I3 = p1 p2 p3 - p1 exp(q2 - q3) - p2 exp(q3 - q1) - p3 exp(q1 - q2) is kept as well. */
PROBLEM const double toda_start[6] = {0.25, -0.5, 0.125, 0.5, -0.25, 0.375};
PROBLEM int toda_p(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    memcpy(g, y + 3, 3 * sizeof *g);
    return 0;
}
PROBLEM int toda_q(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    real a = REAL_EXP(y[0] - y[1]), b = REAL_EXP(y[1] - y[2]), c = REAL_EXP(y[2] - y[0]);
    g[0] = a - c, g[1] = b - a, g[2] = c - b;
    return 0;
}
PROBLEM int toda_f(void *u, real t, const real y[], real f[])
{
    toda_p(u, t, y, f), toda_q(u, t, y, f + 3);
    for (int i = 3; i < 6; i++)
        f[i] = -f[i];
    return 0;
}
PROBLEM void toda_integrals(const real y[], real out[3])
{
    real a = REAL_EXP(y[0] - y[1]), b = REAL_EXP(y[1] - y[2]), c = REAL_EXP(y[2] - y[0]);
    const real *p = y + 3;
    out[0] = p[0] + p[1] + p[2];
    out[1] = (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) / 2 + a + b + c;
    out[2] = p[0] * p[1] * p[2] - p[0] * b - p[1] * c - p[2] * a;
}

/* The outer solar system, as the row of hnn/systems.c has it: Sun, Jupiter, Saturn, Uranus, Neptune, Pluto; au, days, masses of the
 * Sun. Hairer, Lubich, Wanner (2006), I.2.4. Positions, then momenta. */
enum { OUTER_BODIES = 6, OUTER_HALF = 18 };
PROBLEM const double outer_G = 2.95912208286e-4;
PROBLEM const double outer_mass[OUTER_BODIES] = {1.00000597682,      0.000954786104043,  0.000285583733151,
                                                 0.0000437273164546, 0.0000517759138449, 1 / 1.3e8};
PROBLEM const double outer_start[2 * OUTER_HALF] = {0,
                                                    0,
                                                    0,
                                                    -3.5023653,
                                                    -3.8169847,
                                                    -1.5507963,
                                                    9.0755314,
                                                    -3.0458353,
                                                    -1.6483708,
                                                    8.3101420,
                                                    -16.2901086,
                                                    -7.2521278,
                                                    11.4707666,
                                                    -25.7294829,
                                                    -10.8169456,
                                                    -15.5387357,
                                                    -25.2225594,
                                                    -3.1902382,
                                                    0,
                                                    0,
                                                    0,
                                                    0.000954786104043 * 0.00565429,
                                                    0.000954786104043 * -0.00412490,
                                                    0.000954786104043 * -0.00190589,
                                                    0.000285583733151 * 0.00168318,
                                                    0.000285583733151 * 0.00483525,
                                                    0.000285583733151 * 0.00192462,
                                                    0.0000437273164546 * 0.00354178,
                                                    0.0000437273164546 * 0.00137102,
                                                    0.0000437273164546 * 0.00055029,
                                                    0.0000517759138449 * 0.00288930,
                                                    0.0000517759138449 * 0.00114527,
                                                    0.0000517759138449 * 0.00039677,
                                                    0.00276725 / 1.3e8,
                                                    -0.00170702 / 1.3e8,
                                                    -0.00136504 / 1.3e8};
PROBLEM int outer_p(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    for (int i = 0; i < OUTER_HALF; i++)
        g[i] = y[OUTER_HALF + i] / outer_mass[i / 3];
    return 0;
}
PROBLEM int outer_q(void *u, real t, const real y[], real g[])
{
    (void)u, (void)t;
    memset(g, 0, OUTER_HALF * sizeof *g);
    for (int a = 0; a < OUTER_BODIES; a++)
        for (int b = 0; b < a; b++) {
            real d[3], r2 = 0;
            for (int i = 0; i < 3; i++)
                d[i] = y[3 * a + i] - y[3 * b + i], r2 += d[i] * d[i];
            real w = (real)outer_G * outer_mass[a] * outer_mass[b] / (r2 * REAL_SQRT(r2));
            for (int i = 0; i < 3; i++)
                g[3 * a + i] += w * d[i], g[3 * b + i] -= w * d[i];
        }
    return 0;
}
PROBLEM int outer_f(void *u, real t, const real y[], real f[])
{
    outer_p(u, t, y, f), outer_q(u, t, y, f + OUTER_HALF);
    for (int i = OUTER_HALF; i < 2 * OUTER_HALF; i++)
        f[i] = -f[i];
    return 0;
}
