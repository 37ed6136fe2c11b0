/* hand.h - what one would write by hand for the problems of the benchmarks: the peers in the same run.
 *
 * Plain loops, no vector types; derivatives worked out on paper. Compiled with the flags of the benchmark that
 * includes this.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_HAND_H
#define BENCH_HAND_H

#include <math.h>
#include <string.h>

enum { BODIES = 8, SITES = 64 };

/* H = sum p^2/2 - sum_{i<j} 1/|r_i - r_j|, unit masses; r and p are [3][BODIES]. Gradient in r and p. */
static inline double hand_nbody(const double r[3][BODIES], const double p[3][BODIES], double dr[3][BODIES],
                                double dp[3][BODIES])
{
    double h = 0;
    memset(dr, 0, 3 * BODIES * sizeof(double));
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            h += p[k][i] * p[k][i] / 2;
            dp[k][i] = p[k][i];
        }
        for (int j = i + 1; j < BODIES; j++) {
            double d[3], s = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = r[k][i] - r[k][j];
                s += d[k] * d[k];
            }
            double u = 1 / sqrt(s), w = u / s;
            h -= u;
            for (int k = 0; k < 3; k++) {
                dr[k][i] += d[k] * w;
                dr[k][j] -= d[k] * w;
            }
        }
    }
    return h;
}

/* H = sum p^2/2 + sum_{i=1}^{n-1} (d^2/2 + beta d^4/4), d = q_{i+1} - q_i. */
static inline double hand_fput(double beta, const double q[SITES], const double p[SITES], double dq[SITES],
                               double dp[SITES])
{
    double h = 0, before = 0;
    for (int i = 0; i < SITES; i++) {
        h += p[i] * p[i] / 2;
        dp[i] = p[i];
    }
    for (int i = 0; i + 1 < SITES; i++) {
        double d = q[i + 1] - q[i], force = d + beta * d * d * d;
        h += d * d / 2 + beta * d * d * d * d / 4;
        dq[i] = before - force;
        before = force;
    }
    dq[SITES - 1] = before;
    return h;
}

/* One drift-kick-drift step of H = (p1^2 + p2^2 + q1^2 + q2^2)/2 + q1^2 q2 - q2^3/3. */
static inline void hand_henon_verlet(double h, double q[2], double p[2])
{
    q[0] += h / 2 * p[0];
    q[1] += h / 2 * p[1];
    p[0] -= h * (q[0] + 2 * q[0] * q[1]);
    p[1] -= h * (q[1] + q[0] * q[0] - q[1] * q[1]);
    q[0] += h / 2 * p[0];
    q[1] += h / 2 * p[1];
}

#endif
