/* eigen.c - Jacobi's method: the symmetric eigenproblem by two-sided rotations, singular values by one-sided ones.
 * Invariant: a rotation is made only where the angle is above round-off, and it is computed without cancellation. */
/* SPDX-License-Identifier: MIT */
#include "linalg.h"

#include <math.h>
#include <stdlib.h>

enum { SWEEPS = 60 }; /* convergence is quadratic: 6 to 10 are usual */

/* the largest |x| as a power of two, so that scaling by it does not round; 0 for zeros, -1 if not finite */
static int scale_of(long n, const double *x, int *exponent)
{
    double most = 0, zero = 0;
    for (long i = 0; i < n; i++) {
        most = fmax(most, fabs(x[i]));
        zero += x[i] * 0;
    }
    *exponent = 0;
    if (!(zero == 0))
        return -1;
    frexp(most, exponent);
    return most > 0;
}

/* tangent of the smaller angle that zeroes b in (a b; b c) */
static double tangent(double a, double b, double c)
{
    double d = (c - a) / (2 * b);
    return fabs(d) > 1e150 ? 1 / (2 * d) : copysign(1, d) / (fabs(d) + sqrt(1 + d * d));
}

static void rotate(long n, double c, double s, double *x, long xstep, double *y, long ystep)
{
    for (long i = 0; i < n; i++) {
        double u = x[i * xstep], v = y[i * ystep];
        x[i * xstep] = c * u - s * v;
        y[i * ystep] = s * u + c * v;
    }
}

int hnn_eigen_symmetric(int n, const double a[], double w[], double v[], hnn_error *e)
{
    int exponent;
    if (n < 1)
        return hnn_fail(e, HNN_EARG, "eigenvalues of a symmetric matrix [%d, %d]; needed: at least [1, 1]", n,
                        n);
    if (scale_of((long)n * n, a, &exponent) < 0)
        return hnn_fail(e, HNN_EARG, "eigenvalues of a symmetric matrix: a number is not finite");
    size_t size = (size_t)n * (size_t)n;
    double *h = malloc(2 * sizeof *h * size), *u;
    if (!h)
        return hnn_fail(e, HNN_EMEM, "out of memory for the eigenvalues of a matrix [%d, %d]", n, n);
    u = h + size;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            h[i * n + j] = ldexp(i <= j ? a[i * n + j] : a[j * n + i], -exponent);
            u[i * n + j] = i == j; /* eigenvectors in rows */
        }
    for (int sweep = 0, moved = 1; moved && sweep < SWEEPS; sweep++) {
        moved = 0;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double off = fabs(h[p * n + q]);
                if (off <= 0x1p-53 * sqrt(fabs(h[p * n + p])) * sqrt(fabs(h[q * n + q])) || off < 0x1p-160)
                    continue;
                moved = 1;
                double t = tangent(h[p * n + p], h[p * n + q], h[q * n + q]), c = 1 / sqrt(1 + t * t),
                       s = t * c;
                double move = t * h[p * n + q], hp = h[p * n + p] - move, hq = h[q * n + q] + move;
                rotate(n, c, s, h + p, n, h + q, n);
                rotate(n, c, s, h + p * n, 1, h + q * n, 1);
                h[p * n + p] = hp;
                h[q * n + q] = hq;
                h[p * n + q] = h[q * n + p] = 0;
                rotate(n, c, s, u + p * n, 1, u + q * n, 1);
            }
    }
    for (int i = 0; i < n; i++) /* selection: ascending, the first of equals first */
        w[i] = h[i * n + i];
    for (int i = 0; i < n; i++) {
        int least = i;
        for (int j = i + 1; j < n; j++)
            if (w[j] < w[least])
                least = j;
        double x = w[i];
        w[i] = ldexp(w[least], exponent);
        if (least != i)
            w[least] = x;
        for (int k = 0; k < n && least != i; k++) {
            double y = u[i * n + k];
            u[i * n + k] = u[least * n + k];
            u[least * n + k] = y;
        }
    }
    for (int i = 0; v && i < n; i++)
        for (int j = 0; j < n; j++)
            v[i * n + j] = u[j * n + i];
    free(h);
    return HNN_OK;
}

static double dot(int n, const double *x, const double *y)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += x[i] * y[i];
    return s;
}

int hnn_svd(int m, int n, const double a[], double s[], double u[], double v[], hnn_error *e)
{
    int exponent;
    if (n < 1 || m < n)
        return hnn_fail(e, HNN_EARG, "singular values of a matrix [%d, %d]; needed: rows >= columns >= 1", m,
                        n);
    if (scale_of((long)m * n, a, &exponent) < 0)
        return hnn_fail(e, HNN_EARG, "singular values: a number of the matrix is not finite");
    size_t size = (size_t)m * (size_t)n;
    double *x = malloc(sizeof *x * (size + (size_t)n * (size_t)n)),
           *y; /* columns of A and of V, contiguous */
    int *order = malloc(sizeof *order * (size_t)n);
    if (!x || !order) {
        free(x), free(order);
        return hnn_fail(e, HNN_EMEM, "out of memory for the singular values of a matrix [%d, %d]", m, n);
    }
    y = x + size;
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++)
            x[j * m + i] = ldexp(a[i * n + j], -exponent);
        for (int i = 0; i < n; i++)
            y[j * n + i] = i == j;
    }
    for (int sweep = 0, moved = 1; moved && sweep < SWEEPS; sweep++) {
        moved = 0;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double *xp = x + p * m, *xq = x + q * m;
                double aa = dot(m, xp, xp), ab = dot(m, xp, xq), bb = dot(m, xq, xq);
                /* 2^-51: the sum of m products is not exact, so less would never end */
                if (fabs(ab) <= 0x1p-51 * sqrt(aa) * sqrt(bb) || fabs(ab) < 0x1p-900)
                    continue;
                moved = 1;
                double t = tangent(aa, ab, bb), c = 1 / sqrt(1 + t * t);
                rotate(m, c, t * c, xp, 1, xq, 1);
                rotate(n, c, t * c, y + p * n, 1, y + q * n, 1);
            }
    }
    for (int j = 0; j < n; j++) {
        s[j] = sqrt(dot(m, x + j * m, x + j * m));
        order[j] = j;
    }
    for (int i = 0; i < n; i++) {
        int most = i;
        for (int j = i + 1; j < n; j++)
            if (s[j] > s[most])
                most = j;
        double z = s[i];
        s[i] = s[most];
        s[most] = z;
        int k = order[i];
        order[i] = order[most];
        order[most] = k;
    }
    for (int j = 0; j < n; j++) {
        const double *from = x + order[j] * m;
        for (int i = 0; u && i < m; i++)
            u[i * n + j] = s[j] > 0 ? from[i] / s[j] : 0;
        for (int i = 0; v && i < n; i++)
            v[i * n + j] = y[order[j] * n + i];
        s[j] = ldexp(s[j], exponent);
    }
    free(x), free(order);
    return HNN_OK;
}
