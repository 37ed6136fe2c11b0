/* hand_step.c - the step of bench_step.c for one sample, written by hand: matrix loops, each in the order of memory.
 *
 * A batch goes in blocks of 128 rows, whose intermediate values stay in cache, with OpenBLAS for the products.
 *
 * Compiled for this processor with reassociation allowed: what a careful person would reach without intrinsics.
 * SPDX-License-Identifier: MIT */
#include "hand_step.h"

#include <math.h>
#include <string.h>
#if defined(BENCH_HAVE_OPENBLAS)
#include <cblas.h>
#endif

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

#if defined(BENCH_HAVE_OPENBLAS)
/* c [m,n] = a b, a' b or a b'; added to c where add is set. */
static void product(int ta, int tb, int m, int n, int k, const double *a, const double *b, int add, double *c)
{
    cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1, a,
                ta ? m : k, b, tb ? k : n, add, c, n);
}

/* One block of rows: its share of the loss; gradients are added. scale = 2 / numbers in dz. */
static double rows_step(int rows, int d, const double *const x[7], const double *z, const double *dz,
                        double scale, double *const grad[5], double *room)
{
    const double *W1 = x[0], *b1 = x[1], *W2 = x[2], *b2 = x[3], *w3 = x[4];
    const int n = rows * H;
    double *a1 = room, *a2 = a1 + n, *u2 = a2 + n, *v1 = u2 + n, *u1 = v1 + n, *du1 = u1 + n, *dv1 = du1 + n,
           *g = dv1 + n, *gb = g + rows * d, loss = 0;
    product(0, 1, rows, H, d, z, W1, 0, a1);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < H; j++)
            a1[i * H + j] = tanh(a1[i * H + j] + b1[j]);
    product(0, 1, rows, H, H, a1, W2, 0, a2);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < H; j++) {
            double a = tanh(a2[i * H + j] + b2[j]);
            a2[i * H + j] = a;
            u2[i * H + j] = w3[j] * (1 - a * a);
        }
    product(0, 0, rows, H, H, u2, W2, 0, v1);
    for (int i = 0; i < n; i++)
        u1[i] = v1[i] * (1 - a1[i] * a1[i]);
    product(0, 0, rows, d, H, u1, W1, 0, g);
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < d / 2; k++) {
            double rq = g[i * d + d / 2 + k] - dz[i * d + k], rp = -g[i * d + k] - dz[i * d + d / 2 + k];
            loss += rq * rq + rp * rp;
            gb[i * d + k] = -scale * rp;
            gb[i * d + d / 2 + k] = scale * rq;
        }
    product(1, 0, H, d, rows, u1, gb, 1, grad[0]);
    product(0, 1, rows, H, d, gb, W1, 0, du1);
    for (int i = 0; i < n; i++)
        dv1[i] = du1[i] * (1 - a1[i] * a1[i]);
    product(1, 0, H, H, rows, u2, dv1, 1, grad[2]);
    double *dz2 = u2, *da1 = u1; /* no longer needed */
    product(0, 1, rows, H, H, dv1, W2, 0, dz2);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < H; j++) {
            double a = a2[i * H + j], q = dz2[i * H + j] * (1 - a * a);
            grad[4][j] += q;
            q *= -2 * w3[j] * a;
            grad[3][j] += q;
            dz2[i * H + j] = q;
        }
    product(1, 0, H, H, rows, dz2, a1, 1, grad[2]);
    product(0, 0, rows, H, H, dz2, W2, 0, da1);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < H; j++) {
            double a = a1[i * H + j],
                   q = (da1[i * H + j] - 2 * a * du1[i * H + j] * v1[i * H + j]) * (1 - a * a);
            grad[1][j] += q;
            da1[i * H + j] = q;
        }
    product(1, 0, H, d, rows, da1, z, 1, grad[0]);
    return loss;
}

double hand_step_batch(int batch, int d, const double *const x[7], double *const g[5], double *room)
{
    const int size[5] = {H * d, H, H * H, H, H};
    double loss = 0;
    for (int i = 0; i < 5; i++)
        memset(g[i], 0, (size_t)size[i] * sizeof *g[i]);
    for (int i = 0; i < batch; i += HAND_ROWS)
        loss += rows_step(batch - i < HAND_ROWS ? batch - i : HAND_ROWS, d, x, x[5] + (size_t)i * d,
                          x[6] + (size_t)i * d, 2.0 / batch / d, g, room);
    return loss / batch / d;
}
#endif
