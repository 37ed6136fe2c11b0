/* hand_step.c - the step of bench_step.c for one sample, written by hand: matrix loops, each in the order of memory.
 *
 * Compiled for this processor with reassociation allowed: what a careful person would reach without intrinsics.
 * SPDX-License-Identifier: MIT */
#include "hand_step.h"

#include <math.h>
#include <string.h>

enum { H = HAND_WIDTH };

double hand_step(int d, const double *W1, const double *b1, const double *W2, const double *b2,
                 const double *w3, const double *z, const double *dz, double *gW1, double *gb1, double *gW2,
                 double *gb2, double *gw3)
{
    double a1[H], s1[H], a2[H], s2[H], u2[H], v1[H] = {0}, u1[H], g[16] = {0}, gb[16], r[16], du1[H], dv1[H],
                                              da1[H] = {0}, loss = 0;
    for (int i = 0; i < H; i++) {
        double s = b1[i];
        for (int k = 0; k < d; k++)
            s += W1[i * d + k] * z[k];
        a1[i] = tanh(s);
        s1[i] = 1 - a1[i] * a1[i];
    }
    for (int i = 0; i < H; i++) {
        double s = b2[i];
        for (int j = 0; j < H; j++)
            s += W2[i * H + j] * a1[j];
        a2[i] = tanh(s);
        s2[i] = 1 - a2[i] * a2[i];
        u2[i] = w3[i] * s2[i];
    }
    for (int i = 0; i < H; i++)
        for (int j = 0; j < H; j++)
            v1[j] += u2[i] * W2[i * H + j];
    for (int i = 0; i < H; i++) {
        u1[i] = v1[i] * s1[i];
        for (int k = 0; k < d; k++)
            g[k] += u1[i] * W1[i * d + k];
    }
    for (int k = 0; k < d / 2; k++) {
        r[k] = g[d / 2 + k] - dz[k];
        r[d / 2 + k] = -g[k] - dz[d / 2 + k];
        loss += (r[k] * r[k] + r[d / 2 + k] * r[d / 2 + k]) / d;
        gb[k] = -2 * r[d / 2 + k] / d;
        gb[d / 2 + k] = 2 * r[k] / d;
    }
    for (int i = 0; i < H; i++) {
        double s = 0;
        for (int k = 0; k < d; k++)
            s += W1[i * d + k] * gb[k];
        du1[i] = s;
        dv1[i] = s * s1[i];
    }
    for (int i = 0; i < H; i++) {
        double s = 0;
        for (int j = 0; j < H; j++)
            s += W2[i * H + j] * dv1[j];
        gw3[i] = s * s2[i];
        double dz2 = -2 * s * w3[i] * a2[i] * s2[i];
        gb2[i] = dz2;
        for (int j = 0; j < H; j++) {
            gW2[i * H + j] = u2[i] * dv1[j] + dz2 * a1[j];
            da1[j] += dz2 * W2[i * H + j];
        }
    }
    for (int i = 0; i < H; i++) {
        double dz1 = da1[i] * s1[i] - 2 * du1[i] * v1[i] * a1[i] * s1[i];
        gb1[i] = dz1;
        for (int k = 0; k < d; k++)
            gW1[i * d + k] = u1[i] * gb[k] + dz1 * z[k];
    }
    return loss;
}
