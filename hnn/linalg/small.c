/* small.c - solving with and factoring small matrices: LU with partial pivoting, QR with column pivoting.
 * Invariant: inputs that are not finite are refused before anything is written. */
/* SPDX-License-Identifier: MIT */
#include "linalg.h"

#include <math.h>
#include <stdlib.h>

static int finite_all(long n, const double *x)
{
    double zero = 0;
    for (long i = 0; i < n; i++)
        zero += x[i] * 0;
    return zero == 0;
}

static double one_norm(int n, const double *a)
{
    double most = 0;
    for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += fabs(a[i * n + j]);
        most = fmax(most, sum);
    }
    return most;
}

/* x := U^-1 L^-1 x, or its transpose, for factors in place; the exchanges are the caller's */
static void triangles(int n, const double *a, int transpose, double *x, int stride)
{
    if (!transpose) {
        for (int i = 0; i < n; i++)
            for (int k = 0; k < i; k++)
                x[i * stride] -= a[i * n + k] * x[k * stride];
        for (int i = n - 1; i >= 0; i--) {
            for (int k = i + 1; k < n; k++)
                x[i * stride] -= a[i * n + k] * x[k * stride];
            x[i * stride] /= a[i * n + i];
        }
    } else {
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < i; k++)
                x[i] -= a[k * n + i] * x[k];
            x[i] /= a[i * n + i];
        }
        for (int i = n - 1; i >= 0; i--)
            for (int k = i + 1; k < n; k++)
                x[i] -= a[k * n + i] * x[k];
    }
}

/* |A^-1|_1 from below, on the convex polytope |x|_1 = 1. Source: Hager (1984), SIAM J. Sci. Stat. Comput. 5, 311-316.
 * A^-1 = U^-1 L^-1 P; P exchanges entries only, which changes no norm, so it is left out on both sides. */
static double inverse_norm(int n, const double *lu, double *x)
{
    double best = 0;
    for (int i = 0; i < n; i++)
        x[i] = 1.0 / n;
    for (int round = 0; round < 5; round++) {
        triangles(n, lu, 0, x, 1);
        double norm = 0;
        int at = 0;
        for (int i = 0; i < n; i++) {
            norm += fabs(x[i]);
            x[i] = x[i] < 0 ? -1 : 1;
        }
        if (!(norm > best))
            break;
        best = norm;
        triangles(n, lu, 1, x, 1);
        for (int i = 1; i < n; i++)
            if (fabs(x[i]) > fabs(x[at]))
                at = i;
        for (int i = 0; i < n; i++)
            x[i] = i == at;
    }
    return best;
}

int hnn_lu_solve(int n, int m, double a[], double b[], double *rcond, hnn_error *e)
{
    if (n < 1 || m < 0)
        return hnn_fail(e, HNN_EARG, "LU: %d equations, %d right-hand sides; needed: at least 1, 0", n, m);
    if (!finite_all((long)n * n, a) || !finite_all((long)n * m, b))
        return hnn_fail(e, HNN_EARG, "LU: a number of the system is not finite");
    double norm = one_norm(n, a);
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
                best = i;
        if (a[best * n + k] == 0 || !isfinite(a[best * n + k]))
            return hnn_fail(e, HNN_EARG, "LU: the matrix [%d, %d] is singular: pivot %d is %g", n, n, k + 1,
                            a[best * n + k]);
        if (best != k) {
            for (int j = 0; j < n; j++) {
                double v = a[k * n + j];
                a[k * n + j] = a[best * n + j];
                a[best * n + j] = v;
            }
            for (int j = 0; j < m; j++) {
                double v = b[k * m + j];
                b[k * m + j] = b[best * m + j];
                b[best * m + j] = v;
            }
        }
        for (int i = k + 1; i < n; i++) {
            double f = a[i * n + k] /= a[k * n + k];
            for (int j = k + 1; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
        }
    }
    for (int j = 0; j < m; j++)
        triangles(n, a, 0, b + j, m);
    if (rcond) {
        double *x = malloc(sizeof *x * (size_t)n);
        if (!x)
            return hnn_fail(e, HNN_EMEM, "out of memory for the condition of a matrix [%d, %d]", n, n);
        *rcond = 1 / norm / inverse_norm(n, a, x);
        free(x);
    }
    return HNN_OK;
}

int hnn_qrp(int m, int n, double a[], double tau[], int jpvt[], hnn_error *e)
{
    if (m < 1 || n < 1)
        return hnn_fail(e, HNN_EARG, "QR: a matrix [%d, %d]; needed: at least [1, 1]", m, n);
    if (!finite_all((long)m * n, a))
        return hnn_fail(e, HNN_EARG, "QR: a number of the matrix is not finite");
    double *size = malloc(sizeof *size * (size_t)n), most = 0;
    if (!size)
        return hnn_fail(e, HNN_EMEM, "out of memory for the QR of a matrix [%d, %d]", m, n);
    for (long i = 0; i < (long)m * n; i++)
        most = fmax(most, fabs(a[i]));
    int exponent = 0; /* scaled to 1 by a power of two, so that squares neither overflow nor vanish */
    frexp(most, &exponent);
    for (long i = 0; i < (long)m * n; i++)
        a[i] = ldexp(a[i], -exponent);
    for (int j = 0; j < n; j++)
        jpvt[j] = j;
    for (int k = 0; k < n && k < m; k++) {
        int best = k;
        for (int j = k; j < n; j++) { /* small: norms afresh, not downdated */
            size[j] = 0;
            for (int i = k; i < m; i++)
                size[j] += a[i * n + j] * a[i * n + j];
            if (size[j] > size[best])
                best = j;
        }
        if (best != k) {
            for (int i = 0; i < m; i++) {
                double v = a[i * n + k];
                a[i * n + k] = a[i * n + best];
                a[i * n + best] = v;
            }
            int v = jpvt[k];
            jpvt[k] = jpvt[best];
            jpvt[best] = v;
        }
        double alpha = a[k * n + k], norm = sqrt(size[best]);
        tau[k] = 0;
        if (norm == 0)
            continue;
        double beta = alpha > 0 ? -norm : norm, scale = alpha - beta;
        tau[k] = (beta - alpha) / beta;
        for (int i = k + 1; i < m; i++)
            a[i * n + k] /= scale;
        a[k * n + k] = beta;
        for (int j = k + 1; j < n; j++) {
            double w = a[k * n + j];
            for (int i = k + 1; i < m; i++)
                w += a[i * n + k] * a[i * n + j];
            w *= tau[k];
            a[k * n + j] -= w;
            for (int i = k + 1; i < m; i++)
                a[i * n + j] -= w * a[i * n + k];
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = i; j < n; j++)
            a[i * n + j] = ldexp(a[i * n + j], exponent);
    free(size);
    return HNN_OK;
}

void hnn_qrp_apply(int m, int n, const double a[], const double tau[], int transpose, int k, double c[])
{
    int steps = m < n ? m : n;
    for (int s = 0; s < steps; s++) {
        int r = transpose ? s : steps - 1 - s; /* Q = H_0 H_1 ...; each H is its own transpose */
        for (int j = 0; j < k; j++) {
            double w = c[r * k + j];
            for (int i = r + 1; i < m; i++)
                w += a[i * n + r] * c[i * k + j];
            w *= tau[r];
            c[r * k + j] -= w;
            for (int i = r + 1; i < m; i++)
                c[i * k + j] -= w * a[i * n + r];
        }
    }
}
