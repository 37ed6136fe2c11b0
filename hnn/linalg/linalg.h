/* linalg.h - dense linear algebra in double: large least squares, and small solves, eigenvalues, singular values.
 * Invariant: same bits for every number of threads; matrices are row-major [rows, cols] unless a line says otherwise;
 * least squares by orthogonal transformations only, never by the normal equations. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LINALG_H
#define HNN_LINALG_H

#include "error.h"

/* ---- Large least squares: min |A X - B|, rows given piece by piece -----------------------------------------------
 * The rows are folded, 512 at a time and in the order given, into a triangle R [n, n] by Householder reflections (a
 * tall-skinny QR with a flat tree), so A is never stored and cutting it into calls changes nothing. The solution takes a
 * QR of R with column pivoting, cuts it at a tolerance, and is the one of least norm.
 * Source: Demmel, Grigori, Hoemmen, Langou (2012), SIAM J. Sci. Comput. 34, A206-A239 (the tree); Duersch, Gu (2017),
 * SIAM J. Sci. Comput. 39, C263-C291 (pivots from a sketch); Golub, Van Loan (2013), Matrix computations, 5.5.2 (the
 * complete orthogonal decomposition). */
typedef struct hnn_lsq hnn_lsq;

typedef struct hnn_lsq_options {
    double
        tolerance; /* directions with a pivot at most tolerance x the largest are dropped; 0: max(rows, n) 2^-52 */
    int scale; /* divide the columns by their norms first: the norm minimised is that of the scaled unknowns */
} hnn_lsq_options;

typedef struct hnn_lsq_info {
    long rows;
    int rank;
    double largest, smallest; /* |pivots| kept */
    double residual;          /* norm of A X - B over all right-hand sides */
} hnn_lsq_info;

/* hnn_lsq_new - n unknowns, nrhs right-hand sides; threads 0: one per processor. NULL and e: HNN_EARG, HNN_EMEM. */
hnn_lsq *hnn_lsq_new(int n, int nrhs, int threads, hnn_error *e);
/* hnn_lsq_rows - append a [rows, n], b [rows, nrhs]. Errors: HNN_EARG if a number is not finite (nothing is appended). */
int hnn_lsq_rows(hnn_lsq *s, long rows, const double a[], const double b[], hnn_error *e);
/* hnn_lsq_solve - x [n, nrhs] for the rows so far; more may follow. options, info may be NULL. With fewer than n
 * independent rows the solution of least norm. Errors: HNN_EARG (no rows, an overflow), HNN_EMEM. */
int hnn_lsq_solve(hnn_lsq *s, const hnn_lsq_options *o, double x[], hnn_lsq_info *info, hnn_error *e);
/* hnn_lsq_triangle - r [n, n] with A'A = R'R, zeros below the diagonal; its signs are not fixed. */
void hnn_lsq_triangle(hnn_lsq *s, double r[]);
void hnn_lsq_free(hnn_lsq *s);

/* hnn_lstsq - the same in one call: a [m, n], b [m, nrhs], x [n, nrhs]. */
int hnn_lstsq(long m, int n, int nrhs, const double a[], const double b[], const hnn_lsq_options *o,
              int threads, double x[], hnn_lsq_info *info, hnn_error *e);

/* ---- Small matrices ---------------------------------------------------------------------------------------------- */

/* hnn_lu_solve - solve A X = B with partial pivoting: a [n, n] and b [n, m] are overwritten, b by X. *rcond: an estimate
 * of 1/cond_1(A), may be NULL. Errors: HNN_EARG if a pivot is 0 or not finite, HNN_EMEM. */
int hnn_lu_solve(int n, int m, double a[], double b[], double *rcond, hnn_error *e);

/* hnn_qrp - Householder QR with column pivoting, A P = Q R, of a [m, n] in place: above the diagonal R, below it the
 * vectors with first element 1 left out, their factors in tau [min(m, n)]; column j of A P is column jpvt[j] of A.
 * |R_jj| do not grow. Errors: HNN_EARG, HNN_EMEM. Source: Businger, Golub (1965), Numer. Math. 7, 269-276. */
int hnn_qrp(int m, int n, double a[], double tau[], int jpvt[], hnn_error *e);
/* hnn_qrp_apply - c [m, k] becomes Q'C (transpose 1) or Q C (0), for a, tau from hnn_qrp. */
void hnn_qrp_apply(int m, int n, const double a[], const double tau[], int transpose, int k, double c[]);

/* hnn_eigen_symmetric - a [n, n] symmetric (the lower triangle is not read) = V diag(w) V': w ascending, column j of v
 * [n, n] (may be NULL) belongs to w[j]. Jacobi's method by rows: small eigenvalues keep their digits where the matrix
 * determines them. Errors: HNN_EARG if a number is not finite, HNN_EMEM.
 * Source: Golub, Van Loan (2013), Matrix computations, 8.5. */
int hnn_eigen_symmetric(int n, const double a[], double w[], double v[], hnn_error *e);

/* hnn_eigen_general - the eigenvalues re[n] + i im[n] of a [n, n], conjugates beside each other, positive imaginary part
 * first: balancing, Hessenberg form by reflections, double-shift QR. Errors: HNN_EARG (not finite, or no convergence after
 * 60 sweeps an eigenvalue), HNN_EMEM. Source: Francis (1961, 1962), Computer J. 4, 265-271, 332-345. */
int hnn_eigen_general(int n, const double a[], double re[], double im[], hnn_error *e);

/* hnn_svd - a [m, n], m >= n, = U diag(s) V': s descending, u [m, n] and v [n, n] may be NULL; columns of u for s = 0 are 0.
 * One-sided Jacobi. Errors: HNN_EARG, HNN_EMEM. Source: Hestenes (1958), J. SIAM 6, 51-90. */
int hnn_svd(int m, int n, const double a[], double s[], double u[], double v[], hnn_error *e);

#endif
