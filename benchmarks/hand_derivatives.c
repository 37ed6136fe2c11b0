/* hand_derivatives.c - derivatives of three Hamiltonians as one would write them by hand: plain loops, worked out on
 * paper, in the form that the compiler vectorises best.
 *
 * Compiled for this processor with reassociation allowed (-O3 -march=native -ffast-math).
 * SPDX-License-Identifier: MIT */
#include "hand_derivatives.h"

#include <math.h>
#include <string.h>

enum { N = 8, Q = 3 * N, NB = 2 * Q, SITES = 64, NF = 2 * SITES };
static const double beta = 0.25;

/* N-body: H = sum p^2/2 - sum_{i<j} 1/|r_i - r_j|; z = x1..x8 y1..y8 z1..z8 and the momenta. The derivatives go over all 8 x 8
 * pairs, because eight lanes are cheaper than the triangle; there a body's distance to itself is taken as 1 and the difference there is 0. */
static void nbody_value(const double *z, const double *v, double *out)
{
    double kinetic = 0, potential = 0, s[N * (N - 1) / 2];
    (void)v;
    for (int i = 0; i < Q; i++)
        kinetic += z[Q + i] * z[Q + i];
    for (int i = 0, k = 0; i < N; i++)
        for (int j = i + 1; j < N; j++, k++) {
            double a = z[i] - z[j], b = z[N + i] - z[N + j], c = z[2 * N + i] - z[2 * N + j];
            s[k] = a * a + b * b + c * c;
        }
    for (int k = 0; k < N * (N - 1) / 2; k++)
        potential += 1 / sqrt(s[k]);
    out[0] = kinetic / 2 - potential;
}

static void nbody_gradient(const double *z, const double *v, double *out)
{
    (void)v;
    for (int i = 0; i < N; i++) {
        double ga = 0, gb = 0, gc = 0;
        for (int j = 0; j < N; j++) {
            double a = z[i] - z[j], b = z[N + i] - z[N + j], c = z[2 * N + i] - z[2 * N + j];
            double s = a * a + b * b + c * c + (i == j), w = 1 / (s * sqrt(s));
            ga += a * w, gb += b * w, gc += c * w;
        }
        out[i] = ga, out[N + i] = gb, out[2 * N + i] = gc;
    }
    memcpy(out + Q, z + Q, Q * sizeof *z);
}

/* d/dt of d w(s) with s = |d|^2, w = s^-3/2: d' w - 3 (d.d') w/s d. */
static void nbody_hvp(const double *z, const double *v, double *out)
{
    for (int i = 0; i < N; i++) {
        double ga = 0, gb = 0, gc = 0;
        for (int j = 0; j < N; j++) {
            double a = z[i] - z[j], b = z[N + i] - z[N + j], c = z[2 * N + i] - z[2 * N + j];
            double da = v[i] - v[j], db = v[N + i] - v[N + j], dc = v[2 * N + i] - v[2 * N + j];
            double r = 1 / (a * a + b * b + c * c + (i == j)), w = r * sqrt(r),
                   dw = -3 * (a * da + b * db + c * dc) * w * r;
            ga += da * w + a * dw, gb += db * w + b * dw, gc += dc * w + c * dw;
        }
        out[i] = ga, out[N + i] = gb, out[2 * N + i] = gc;
    }
    memcpy(out + Q, v + Q, Q * sizeof *v);
}

/* The six different 3 x 3 blocks of the potential's Hessian, each [N][N]: w 1 - 3 w/s d d' on the diagonal (summed over
 * the other bodies), its negative off it. */
static void nbody_blocks(const double *z, double h[6][N][N])
{
    for (int i = 0; i < N; i++) {
        double sum[6] = {0};
        for (int j = 0; j < N; j++) {
            double a = z[i] - z[j], b = z[N + i] - z[N + j], c = z[2 * N + i] - z[2 * N + j];
            double other = i != j, r = 1 / (a * a + b * b + c * c + (i == j)), w = r * sqrt(r) * other,
                   f = -3 * w * r;
            double aa = w + f * a * a, ab = f * a * b, ac = f * a * c, bb = w + f * b * b, bc = f * b * c,
                   cc = w + f * c * c;
            sum[0] += aa, sum[1] += ab, sum[2] += ac, sum[3] += bb, sum[4] += bc, sum[5] += cc;
            h[0][i][j] = -aa, h[1][i][j] = -ab, h[2][i][j] = -ac, h[3][i][j] = -bb, h[4][i][j] = -bc,
            h[5][i][j] = -cc;
        }
        for (int k = 0; k < 6; k++)
            h[k][i][i] = sum[k];
    }
}
static const int block[3][3] = {{0, 1, 2}, {1, 3, 4}, {2, 4, 5}};

static void nbody_hessian(const double *z, const double *v, double *out)
{
    double h[6][N][N];
    (void)v;
    nbody_blocks(z, h);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < N; i++) {
            double *row = out + (k * N + i) * NB;
            for (int l = 0; l < 3; l++)
                memcpy(row + l * N, h[block[k][l]][i], sizeof h[0][0]);
            memset(row + Q, 0, Q * sizeof *row);
        }
    memset(out + Q * NB, 0, (size_t)Q * NB * sizeof *out);
    for (int i = Q; i < NB; i++)
        out[i * NB + i] = 1;
}

static void nbody_sparse(const double *z, const double *v, double *out)
{
    double h[6][N][N];
    (void)v;
    nbody_blocks(z, h);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < N; i++) {
            for (int l = 0; l < k; l++, out += N)
                memcpy(out, h[block[k][l]][i], sizeof h[0][0]);
            for (int j = 0; j <= i; j++)
                *out++ = h[block[k][k]][i][j];
        }
    for (int i = Q; i < NB; i++)
        *out++ = 1;
}

/* FPUT: H = sum p^2/2 + sum_{i=1}^{n-1} (d^2/2 + beta d^4/4), d = q_{i+1} - q_i. */
static void fput_value(const double *z, const double *v, double *out)
{
    double h = 0;
    (void)v;
    for (int i = 0; i < SITES; i++)
        h += z[SITES + i] * z[SITES + i] / 2;
    for (int i = 0; i + 1 < SITES; i++) {
        double d = z[i + 1] - z[i], s = d * d;
        h += s / 2 + beta / 4 * s * s;
    }
    out[0] = h;
}
static void fput_gradient(const double *z, const double *v, double *out)
{
    double f[SITES + 1];
    (void)v;
    f[0] = f[SITES] = 0;
    for (int i = 0; i + 1 < SITES; i++) {
        double d = z[i + 1] - z[i];
        f[i + 1] = d + beta * d * d * d;
    }
    for (int i = 0; i < SITES; i++)
        out[i] = f[i] - f[i + 1];
    memcpy(out + SITES, z + SITES, SITES * sizeof *z);
}
static void fput_hvp(const double *z, const double *v, double *out)
{
    double f[SITES + 1];
    f[0] = f[SITES] = 0;
    for (int i = 0; i + 1 < SITES; i++) {
        double d = z[i + 1] - z[i];
        f[i + 1] = (1 + 3 * beta * d * d) * (v[i + 1] - v[i]);
    }
    for (int i = 0; i < SITES; i++)
        out[i] = f[i] - f[i + 1];
    memcpy(out + SITES, v + SITES, SITES * sizeof *v);
}
/* The stiffness of each bond, 0 beyond the ends. */
static void fput_bonds(const double *z, double k[SITES + 1])
{
    k[0] = k[SITES] = 0;
    for (int i = 0; i + 1 < SITES; i++) {
        double d = z[i + 1] - z[i];
        k[i + 1] = 1 + 3 * beta * d * d;
    }
}
static void fput_hessian(const double *z, const double *v, double *out)
{
    double k[SITES + 1];
    (void)v;
    fput_bonds(z, k);
    memset(out, 0, (size_t)NF * NF * sizeof *out);
    for (int i = 0; i < SITES; i++)
        out[i * NF + i] = k[i] + k[i + 1];
    for (int i = 1; i < SITES; i++)
        out[i * NF + i - 1] = out[(i - 1) * NF + i] = -k[i];
    for (int i = SITES; i < NF; i++)
        out[i * NF + i] = 1;
}
static void fput_sparse(const double *z, const double *v, double *out)
{
    double k[SITES + 1];
    (void)v;
    fput_bonds(z, k);
    out[0] = k[1];
    for (int i = 1; i < SITES; i++) {
        out[2 * i - 1] = -k[i];
        out[2 * i] = k[i] + k[i + 1];
    }
    for (int i = 0; i < SITES; i++)
        out[2 * SITES - 1 + i] = 1;
}

/* Henon-Heiles: H = (p1^2 + p2^2 + x^2 + y^2)/2 + x^2 y - y^3/3. */
static void henon_value(const double *z, const double *v, double *out)
{
    double x = z[0], y = z[1];
    (void)v;
    out[0] = (x * x + y * y + z[2] * z[2] + z[3] * z[3]) / 2 + x * x * y - y * y * y / 3;
}
static void henon_gradient(const double *z, const double *v, double *out)
{
    double x = z[0], y = z[1];
    (void)v;
    out[0] = x + 2 * x * y;
    out[1] = y + x * x - y * y;
    out[2] = z[2];
    out[3] = z[3];
}
static void henon_hvp(const double *z, const double *v, double *out)
{
    double x = z[0], y = z[1];
    out[0] = (1 + 2 * y) * v[0] + 2 * x * v[1];
    out[1] = 2 * x * v[0] + (1 - 2 * y) * v[1];
    out[2] = v[2];
    out[3] = v[3];
}
static void henon_hessian(const double *z, const double *v, double *out)
{
    double x = z[0], y = z[1];
    (void)v;
    memset(out, 0, 16 * sizeof *out);
    out[0] = 1 + 2 * y;
    out[1] = out[4] = 2 * x;
    out[5] = 1 - 2 * y;
    out[10] = out[15] = 1;
}
static void henon_sparse(const double *z, const double *v, double *out)
{
    (void)v;
    out[0] = 1 + 2 * z[1];
    out[1] = 2 * z[0];
    out[2] = 1 - 2 * z[1];
    out[3] = out[4] = 1;
}

hand_work *const hand_nbody8[WORKS] = {nbody_value, nbody_gradient, nbody_hvp, nbody_hessian, nbody_sparse};
hand_work *const hand_fput64[WORKS] = {fput_value, fput_gradient, fput_hvp, fput_hessian, fput_sparse};
hand_work *const hand_henon[WORKS] = {henon_value, henon_gradient, henon_hvp, henon_hessian, henon_sparse};
