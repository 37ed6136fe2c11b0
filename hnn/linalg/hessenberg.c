/* hessenberg.c - eigenvalues of a general real matrix: balance, reduce to Hessenberg form, double-shift QR.
 * Invariant: every step is a similarity of the active block, so its trace and eigenvalues stay.
 * Source: Francis (1961, 1962); Golub, Van Loan (2013), Matrix computations, 7.4, 7.5; Parlett, Reinsch (1969), Numer.
 * Math. 13, 293-304 (balancing). */
/* SPDX-License-Identifier: MIT */
#include "linalg.h"

#include <math.h>
#include <stdlib.h>

enum { TRIES = 60 };

/* Scale rows and columns by powers of two until their norms are alike: nothing is rounded. */
static void balance(int n, double *h)
{
    for (int changed = 1, round = 0; changed && round < 100; round++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            double c = 0, r = 0, f = 1;
            for (int j = 0; j < n; j++)
                if (j != i) {
                    c += fabs(h[j * n + i]);
                    r += fabs(h[i * n + j]);
                }
            if (c == 0 || r == 0)
                continue;
            double before = c + r;
            while (c < r / 2 && f < 0x1p200)
                c *= 2, r /= 2, f *= 2;
            while (c > r * 2 && f > 0x1p-200)
                c /= 2, r *= 2, f /= 2;
            if (c + r >= 0.95 * before)
                continue;
            changed = 1;
            for (int j = 0; j < n; j++)
                if (j != i) {
                    h[j * n + i] *= f;
                    h[i * n + j] /= f;
                }
        }
    }
}

/* I - tau v v' with v = (1, v1, v2) turns x into a multiple of e_1; returns tau */
static double reflection(int n, double *x)
{
    double most = 0, norm = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    if (most == 0)
        return 0;
    for (int i = 0; i < n; i++)
        norm += x[i] / most * (x[i] / most);
    norm = most * sqrt(norm);
    double beta = x[0] > 0 ? -norm : norm, tau = (beta - x[0]) / beta, scale = x[0] - beta;
    for (int i = 1; i < n; i++)
        x[i] /= scale;
    x[0] = 1;
    return tau;
}

/* rows (step n) or columns (step 1) r .. r+m-1 of h, along from .. to */
static void reflect(int m, const double *v, double tau, double *h, int across, int along, int from, int to)
{
    for (int j = from; j <= to; j++) {
        double w = 0;
        for (int i = 0; i < m; i++)
            w += v[i] * h[i * across + j * along];
        w *= tau;
        for (int i = 0; i < m; i++)
            h[i * across + j * along] -= w * v[i];
    }
}

static void hessenberg(int n, double *h, double *v)
{
    for (int k = 0; k + 2 < n; k++) {
        for (int i = k + 1; i < n; i++)
            v[i - k - 1] = h[i * n + k];
        double tau = reflection(n - k - 1, v);
        reflect(n - k - 1, v, tau, h + (k + 1) * n, n, 1, k, n - 1);
        reflect(n - k - 1, v, tau, h + k + 1, 1, n, 0, n - 1);
        for (int i = k + 2; i < n; i++)
            h[i * n + k] = 0;
    }
}

static void pair(double a, double b, double c, double d, double re[2], double im[2])
{
    double p = (a - d) / 2, q = p * p + b * c;
    if (q >= 0) {
        double z = p + copysign(sqrt(q), p);
        re[0] = d + z;
        re[1] = z != 0 ? d - b * c / z : d;
        im[0] = im[1] = 0;
    } else {
        re[0] = re[1] = d + p;
        im[0] = sqrt(-q);
        im[1] = -im[0];
    }
}

/* one double-shift sweep over rows and columns l .. hi, at least three of them */
static void francis(int n, double *h, int l, int hi, int exceptional)
{
    double a = h[(hi - 1) * n + hi - 1], d = h[hi * n + hi], s = a + d,
           t = a * d - h[(hi - 1) * n + hi] * h[hi * n + hi - 1];
    if (exceptional) { /* away from a cycle */
        double w = fabs(h[hi * n + hi - 1]) + fabs(h[(hi - 1) * n + hi - 2]);
        s = 1.5 * w;
        t = w * w;
    }
    double h00 = h[l * n + l], h10 = h[(l + 1) * n + l], h11 = h[(l + 1) * n + l + 1];
    double v[3] = {h00 * h00 + h[l * n + l + 1] * h10 - s * h00 + t, h10 * (h00 + h11 - s),
                   h10 * h[(l + 2) * n + l + 1]};
    for (int k = l; k < hi; k++) {
        int m = k + 2 <= hi ? 3 : 2;
        double tau = reflection(m, v);
        reflect(m, v, tau, h + k * n, n, 1, k > l ? k - 1 : l, hi);
        reflect(m, v, tau, h + k, 1, n, l, k + 3 < hi ? k + 3 : hi);
        for (int i = 0; i < 3 && k + 1 + i <= hi; i++)
            v[i] = h[(k + 1 + i) * n + k];
        if (k > l)
            for (int i = k + 1; i < k + m; i++)
                h[i * n + k - 1] = 0;
    }
}

int hnn_eigen_general(int n, const double a[], double re[], double im[], hnn_error *e)
{
    double most = 0, zero = 0;
    if (n < 1)
        return hnn_fail(e, HNN_EARG, "eigenvalues of a matrix [%d, %d]; needed: at least [1, 1]", n, n);
    for (long i = 0; i < (long)n * n; i++) {
        zero += a[i] * 0;
        most = fmax(most, fabs(a[i]));
    }
    if (!(zero == 0))
        return hnn_fail(e, HNN_EARG, "eigenvalues of a matrix [%d, %d]: a number is not finite", n, n);
    double *h = malloc(sizeof *h * ((size_t)n * (size_t)n + (size_t)n));
    if (!h)
        return hnn_fail(e, HNN_EMEM, "out of memory for the eigenvalues of a matrix [%d, %d]", n, n);
    int exponent = 0, hi = n - 1, tries = 0;
    frexp(most, &exponent);
    for (long i = 0; i < (long)n * n; i++)
        h[i] = ldexp(a[i], -exponent);
    balance(n, h);
    hessenberg(n, h, h + (size_t)n * (size_t)n);
    while (hi >= 0) {
        int l = hi;
        for (; l > 0; l--) {
            double here = fabs(h[l * n + l]) + fabs(h[(l - 1) * n + l - 1]);
            if (fabs(h[l * n + l - 1]) <= 0x1p-53 * (here > 0 ? here : 1)) {
                h[l * n + l - 1] = 0;
                break;
            }
        }
        if (hi - l >= 2) {
            if (++tries > TRIES) {
                free(h);
                return hnn_fail(e, HNN_EARG, "eigenvalues of a matrix [%d, %d]: no convergence in %d sweeps",
                                n, n, TRIES);
            }
            francis(n, h, l, hi, tries % 10 == 0);
            continue;
        }
        tries = 0;
        if (l == hi) {
            re[hi] = h[hi * n + hi];
            im[hi] = 0;
        } else
            pair(h[l * n + l], h[l * n + hi], h[hi * n + l], h[hi * n + hi], re + l, im + l);
        hi = l - 1;
    }
    for (int i = 0; i < n; i++) {
        re[i] = ldexp(re[i], exponent);
        im[i] = ldexp(im[i], exponent);
    }
    free(h);
    return HNN_OK;
}
