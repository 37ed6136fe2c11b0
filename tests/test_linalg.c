/* test_linalg.c - least squares, factorisations and eigenvalues against the properties that define them, residuals summed in
 * long double; the same bits for every number of threads. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "linalg/linalg.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double normal(long n, uint64_t index, double *x)
{
    hnn_rng r = hnn_rng_stream(7, HNN_RNG_USER, index);
    for (long i = 0; i < n; i++)
        x[i] = hnn_rng_normal(&r);
    return x[0];
}

static double *numbers(long n) { return calloc((size_t)n + 1, sizeof(double)); }

static double norm(long n, const double *x)
{
    double most = 0;
    long double s = 0;
    for (long i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    for (long i = 0; i < n && most > 0; i++)
        s += x[i] / (long double)most * (x[i] / (long double)most);
    return most * (double)sqrtl(s);
}

static int brief(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

/* a [m, n] of the given rank, singular values between 1 and about sqrt(mn) */
static void ranked(long m, int n, int rank, uint64_t index, double *a)
{
    if (rank >= n || rank >= m) {
        normal(m * n, index, a);
        return;
    }
    double *u = numbers(m * rank), *w = numbers((long)n * rank);
    normal(m * rank, index, u);
    normal((long)n * rank, index + 1, w);
    for (long i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int k = 0; k < rank; k++)
                s += u[i * rank + k] * w[j * rank + k];
            a[i * n + j] = s;
        }
    free(u), free(w);
}

static const struct least_squares {
    long m;
    int n, nrhs, rank;
    int graded; /* columns scaled by 10^-2g .. 10^2g over the columns; solved with .scale */
} least_squares[] = {
    {1, 1, 1, 1, 0},         {40, 1, 1, 1, 0},      {3, 7, 1, 3, 0},
    {30, 7, 2, 7, 0},        {30, 7, 2, 4, 0},      {7, 7, 1, 7, 0},
    {600, 60, 1, 60, 0},     {600, 60, 3, 31, 0},   {50, 120, 2, 50, 0},
    {1200, 130, 1, 130, 0},  {1100, 130, 2, 77, 0}, {700, 130, 1, 1, 0},
    {300, 20, 1, 20, 6},     {300, 20, 1, 20, 60},  {900, 100, 1, 100, 5},
    {1600, 1540, 1, 200, 0}, /* the last: wide panels */
};
enum { CASES = sizeof least_squares / sizeof *least_squares };

static int cases(void) { return brief() ? 6 : CASES; }

Test(linalg, least_squares_residual_is_orthogonal_to_the_columns)
{
    for (int k = 0; k < cases(); k++) {
        struct least_squares c = least_squares[k];
        double *a = numbers(c.m * c.n), *b = numbers(c.m * c.nrhs), *x = numbers((long)c.n * c.nrhs),
               *r = numbers(c.m);
        ranked(c.m, c.n, c.rank, 10 * (uint64_t)k, a);
        normal(c.m * c.nrhs, 10 * (uint64_t)k + 5, b);
        for (long i = 0; i < c.m && c.graded; i++)
            for (int j = 0; j < c.n; j++)
                a[i * c.n + j] *= pow(10, 4.0 * c.graded * j / (c.n - 1) - 2 * c.graded);
        hnn_lsq_info info;
        hnn_error e = {0};
        hnn_lsq_options o = {1e-12, c.graded > 0};
        cr_assert_eq(hnn_lstsq(c.m, c.n, c.nrhs, a, b, &o, 2, x, &info, &e), HNN_OK, "%s", e.message);
        cr_assert_eq(info.rank, c.rank, "case %d: rank %d", k, info.rank);
        cr_assert(info.rows == c.m && info.smallest <= info.largest && info.smallest > 1e-12 * info.largest);
        double total = 0;
        for (int s = 0; s < c.nrhs; s++) {
            for (long i = 0; i < c.m; i++) {
                long double sum = -b[i * c.nrhs + s];
                for (int j = 0; j < c.n; j++)
                    sum += (long double)a[i * c.n + j] * x[j * c.nrhs + s];
                r[i] = (double)sum;
            }
            total = hypot(total, norm(c.m, r));
            /* backward stability: |a_j' r| <= c m eps |a_j| |b| for every column */
            for (int j = 0; j < c.n; j++) {
                long double sum = 0, size = 0;
                for (long i = 0; i < c.m; i++) {
                    sum += (long double)a[i * c.n + j] * r[i];
                    size += (long double)a[i * c.n + j] * a[i * c.n + j];
                }
                cr_assert_leq(fabs((double)sum),
                              60.0 * DBL_EPSILON * (double)c.m * (double)sqrtl(size) * norm(c.m * c.nrhs, b),
                              "case %d column %d: %g", k, j, (double)sum);
            }
        }
        cr_assert_float_eq(info.residual, total, 1e-12 * norm(c.m * c.nrhs, b), "case %d: %g %g", k,
                           info.residual, total);
        free(a), free(b), free(x), free(r);
    }
}

Test(linalg, least_squares_of_deficient_rank_has_the_least_norm)
{
    const int shapes[][3] = {{40, 12, 5}, {90, 60, 59}, {20, 30, 20}, {130, 110, 40}, {64, 64, 0}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        int m = shapes[k][0], n = shapes[k][1], rank = shapes[k][2];
        if (brief() && k && k != 2)
            continue;
        double *a = numbers(m * n), *at = numbers(m * n), *b = numbers(m), *x = numbers(n), *y = numbers(n);
        int wide = n > m, small = wide ? m : n, large = wide ? n : m;
        double *s = numbers(small), *u = numbers(large * small), *v = numbers(small * small);
        if (rank)
            ranked(m, n, rank, 100 + 3 * k, a);
        normal(m, 200 + k, b);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
                at[j * m + i] = a[i * n + j];
        cr_assert_eq(hnn_svd(large, small, wide ? at : a, s, u, v, NULL), HNN_OK);
        for (int l = 0; l < rank; l++) { /* the pseudo-inverse */
            double f = 0;
            for (int i = 0; i < m; i++)
                f += (wide ? v[i * small + l] : u[i * small + l]) * b[i] / s[l];
            for (int j = 0; j < n; j++)
                y[j] += f * (wide ? u[j * small + l] : v[j * small + l]);
        }
        hnn_lsq_info info;
        cr_assert_eq(hnn_lstsq(m, n, 1, a, b, NULL, 1, x, &info, NULL), HNN_OK);
        cr_assert_eq(info.rank, rank, "%d of %d", info.rank, rank);
        for (int j = 0; j < n; j++) /* condition^2 below 1e4 */
            cr_assert_float_eq(x[j], y[j], 1e-11 * (norm(n, y) + (rank == 0)), "shape %zu: %g %g", k, x[j],
                               y[j]);
        free(a), free(at), free(b), free(x), free(y), free(s), free(u), free(v);
    }
}

Test(linalg, pivots_from_a_sketch_are_as_good_as_the_classical_ones)
{
    int n = brief() ? 64 : 240;
    long m = n + 40;
    double *u = numbers(m * n), *v = numbers((long)n * n), *a = numbers(m * n), *b = numbers(m),
           *x = numbers(n);
    double *want = numbers(n), decay = 16.0 / n; /* s_k = 10^(-decay k) */
    hnn_rng r = hnn_rng_stream(7, HNN_RNG_USER, 1400);
    cr_assert_eq(hnn_rng_orthogonal(&r, (int)m, n, 1, u), HNN_OK);
    cr_assert_eq(hnn_rng_orthogonal(&r, n, n, 1, v), HNN_OK);
    for (int j = 0; j < n; j++)
        want[j] = v[j * n] - v[j * n + 3]; /* in the span of leading right vectors */
    for (long i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            for (int k = 0; k < n; k++)
                a[i * n + j] += u[i * n + k] * pow(10, -decay * k) * v[j * n + k];
            b[i] += a[i * n + j] * want[j];
        }
    double *f = numbers(m * n), *tau = numbers(n);
    int *jpvt = calloc((size_t)n, sizeof *jpvt);
    memcpy(f, a, sizeof *f * (size_t)(m * n));
    cr_assert_eq(hnn_qrp((int)m, n, f, tau, jpvt, NULL), HNN_OK);
    for (double tolerance = 1e-4; tolerance > 1e-13; tolerance *= 1e-4) {
        hnn_lsq_info info;
        hnn_lsq_options o = {tolerance, 0};
        cr_assert_eq(hnn_lstsq(m, n, 1, a, b, &o, 2, x, &info, NULL), HNN_OK);
        int rank = 0; /* of the classical choice, one column at a time */
        while (rank < n && fabs(f[rank * n + rank]) > tolerance * fabs(f[0]))
            rank++;
        cr_assert(abs(info.rank - rank) <= 3, "%g: rank %d, %d", tolerance, info.rank, rank);
        cr_assert_leq(info.residual, 10 * tolerance * norm(n, want) * sqrt(n));
        double off = 0;
        for (int j = 0; j < n; j++)
            off = hypot(off, x[j] - want[j]);
        /* what was cut off, and the rounding of b over the smallest pivot kept */
        double bound = 100 * sqrt(n) * (tolerance + DBL_EPSILON / info.smallest);
        cr_assert_leq(off, bound, "%g: %g", tolerance, off);
    }
    free(u), free(v), free(a), free(b), free(x), free(want), free(f), free(tau), free(jpvt);
}

Test(linalg, least_squares_has_the_same_bits_for_every_thread_count_and_every_cut)
{
    const struct {
        long m;
        int n, rank;
    } shape[] = {{1500, 200, 200}, {700, 230, 90}};
    for (size_t k = 0; k < (brief() ? 1 : sizeof shape / sizeof *shape); k++) {
        long m = brief() ? 600 : shape[k].m;
        int n = brief() ? 60 : shape[k].n;
        double *a = numbers(m * n), *b = numbers(m), *x = numbers(n), *y = numbers(n);
        ranked(m, n, shape[k].rank, 300 + 3 * k, a);
        normal(m, 400 + k, b);
        cr_assert_eq(hnn_lstsq(m, n, 1, a, b, NULL, 1, x, NULL, NULL), HNN_OK);
        for (int threads = 1; threads <= 4; threads++) {
            hnn_lsq *s = hnn_lsq_new(n, 1, threads, NULL);
            for (long at = 0, step = 1; at < m; at += step, step = step % 97 + threads)
                cr_assert_eq(hnn_lsq_rows(s, at + step < m ? step : m - at, a + at * n, b + at, NULL),
                             HNN_OK);
            cr_assert_eq(hnn_lsq_solve(s, NULL, y, NULL, NULL), HNN_OK);
            cr_assert_eq(memcmp(x, y, sizeof *x * (size_t)n), 0, "%d threads", threads);
            cr_assert_eq(hnn_lsq_solve(s, NULL, y, NULL, NULL), HNN_OK);
            cr_assert_eq(memcmp(x, y, sizeof *x * (size_t)n), 0, "solving changed the state");
            hnn_lsq_free(s);
        }
        free(a), free(b), free(x), free(y);
    }
}

Test(linalg, instruction_sets_with_fma_agree_to_the_bit)
{
    const char *was = getenv("NOETHER_ISA"), *isa[] = {"v3", "v4", "base"};
    char *before = was ? strdup(was) : NULL;
    long m = brief() ? 60 : 800;
    int n = brief() ? 31 : 101;
    double *a = numbers(m * n), *b = numbers(m), *x = numbers(3 * n);
    ranked(m, n, n, 500, a);
    normal(m, 501, b);
    for (int k = 0; k < 3; k++) {
        setenv("NOETHER_ISA", isa[k], 1);
        cr_assert_eq(hnn_lstsq(m, n, 1, a, b, NULL, 1, x + k * n, NULL, NULL), HNN_OK);
    }
    cr_assert_eq(memcmp(x, x + n, sizeof *x * (size_t)n), 0); /* where there is no AVX at all, trivially */
    for (int j = 0; j < n; j++)
        cr_assert_float_eq(x[j], x[2 * n + j], 1e-13);
    if (before)
        setenv("NOETHER_ISA", before, 1);
    else
        unsetenv("NOETHER_ISA");
    free(before), free(a), free(b), free(x);
}

Test(linalg, the_triangle_has_the_gram_matrix_of_the_rows)
{
    long m = brief() ? 100 : 530;
    int n = brief() ? 20 : 70;
    double *a = numbers(m * n), *b = numbers(m), *r = numbers((long)n * n);
    normal(m * n, 600, a);
    for (long i = 0; i < m; i++)
        a[i * n + 3] *= 1e-9, a[i * n + 4] *= 1e9;
    hnn_lsq *s = hnn_lsq_new(n, 1, 2, NULL);
    cr_assert_eq(hnn_lsq_rows(s, m, a, b, NULL), HNN_OK);
    hnn_lsq_triangle(s, r);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            long double gram = 0, rr = 0, si = 0, sj = 0;
            for (long k = 0; k < m; k++) {
                gram += (long double)a[k * n + i] * a[k * n + j];
                si += (long double)a[k * n + i] * a[k * n + i];
                sj += (long double)a[k * n + j] * a[k * n + j];
            }
            for (int k = 0; k < n; k++)
                rr += (long double)r[k * n + i] * r[k * n + j];
            cr_assert(j >= i || r[i * n + j] == 0);
            cr_assert_leq(fabs((double)(gram - rr)),
                          100 * DBL_EPSILON * (double)sqrtl(si * sj)); /* column by column */
        }
    hnn_lsq_free(s);
    free(a), free(b), free(r);
}

Test(linalg, least_squares_with_extreme_numbers_neither_overflows_nor_vanishes)
{
    for (int k = 0; k < 4; k++) {
        const double scale[] = {1e-200, 1e-140, 1e140, 1e-290}, want[] = {1, -2, 3, -4};
        double f = scale[k], a[30 * 4], b[30], x[4];
        normal(120, 700, a);
        for (int i = 0; i < 30; i++) {
            b[i] = a[4 * i] - 2 * a[4 * i + 1] + 3 * a[4 * i + 2] - 4 * a[4 * i + 3];
            b[i] *= f;
        }
        for (int i = 0; i < 120; i++)
            a[i] *= f;
        cr_assert_eq(hnn_lstsq(30, 4, 1, a, b, NULL, 1, x, NULL, NULL), HNN_OK);
        for (int j = 0; j < 4; j++)
            cr_assert_float_eq(x[j], want[j], 1e-13, "%g: %g", f, x[j]);
    }
}

Test(linalg, least_squares_says_what_is_wrong)
{
    hnn_error e = {0};
    double one[4] = {1, 1, 1, 1}, bad[4] = {1, NAN, 1, 1}, x[4];
    cr_assert_null(hnn_lsq_new(0, 1, 1, &e));
    cr_assert(e.code == HNN_EARG && strstr(e.message, "0 unknowns"));
    hnn_lsq *s = hnn_lsq_new(2, 1, 1, &e);
    cr_assert_eq(hnn_lsq_solve(s, NULL, x, NULL, &e), HNN_EARG);
    cr_assert(strstr(e.message, "no rows"));
    cr_assert_eq(hnn_lsq_rows(s, 2, bad, one, &e), HNN_EARG);
    cr_assert(strstr(e.message, "row 1 has a coefficient"));
    cr_assert_eq(hnn_lsq_rows(s, 2, one, bad, &e), HNN_EARG);
    cr_assert(strstr(e.message, "row 2 has a right-hand side"), "%s", e.message);
    cr_assert_eq(hnn_lsq_rows(s, 2, one, one, &e), HNN_OK);
    hnn_lsq_options loose = {2, 0};
    cr_assert_eq(hnn_lsq_solve(s, &loose, x, NULL, &e), HNN_EARG);
    cr_assert(strstr(e.message, "tolerance is 2"));
    cr_assert_eq(hnn_lsq_solve(s, NULL, x, NULL, &e), HNN_OK);
    cr_assert(fabs(x[0] - 0.5) < 1e-15 && fabs(x[1] - 0.5) < 1e-15); /* x + y = 1 */
    hnn_lsq_free(s);
    cr_assert_eq(hnn_lstsq(1, 0, 1, one, one, NULL, 1, x, NULL, NULL),
                 HNN_EMEM); /* without a place for the reason */
    double huge[4] = {1.5e308, 1.5e308, 1.5e308, 1.5e308};
    cr_assert_eq(hnn_lstsq(4, 1, 1, huge, one, NULL, 1, x, NULL, &e), HNN_EARG);
    cr_assert(strstr(e.message, "overflowed"));
}

Test(linalg, pivoted_qr_is_a_factorisation_with_orthonormal_q)
{
    const int shape[][3] = {{1, 1, 1}, {9, 4, 4}, {4, 9, 4}, {20, 20, 20}, {30, 12, 5}, {6, 6, 0}};
    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++)
        for (int power = -250; power <= 250; power += 250) {
            int m = shape[k][0], n = shape[k][1], jpvt[20], least = m < n ? m : n;
            double a[600], f[600], tau[20], q[900] = {0}, scale = pow(10, power);
            memset(a, 0, sizeof a);
            if (shape[k][2])
                ranked(m, n, shape[k][2], 800 + 2 * k, a);
            for (int i = 0; i < m * n; i++)
                f[i] = a[i] *= scale;
            for (int i = 0; i < m; i++)
                q[i * m + i] = 1;
            cr_assert_eq(hnn_qrp(m, n, f, tau, jpvt, NULL), HNN_OK);
            hnn_qrp_apply(m, n, f, tau, 0, m, q);
            for (int i = 0; i < m; i++)
                for (int j = 0; j < m; j++) {
                    long double s = 0;
                    for (int l = 0; l < m; l++)
                        s += (long double)q[l * m + i] * q[l * m + j];
                    cr_assert_float_eq((double)s, i == j, 1e-14);
                }
            for (int j = 0; j < n; j++) {
                double c[30];
                for (int i = 0; i < m; i++) {
                    long double s = 0;
                    for (int l = 0; l <= j && l < m; l++)
                        s += (long double)q[i * m + l] * f[l * n + j];
                    c[i] = a[i * n + jpvt[j]];
                    cr_assert_float_eq((double)s, c[i], 1e-14 * norm(m * n, a));
                }
                hnn_qrp_apply(m, n, f, tau, 1, 1, c);
                for (int i = 0; i < m; i++)
                    cr_assert_float_eq(c[i], i <= j ? f[i * n + j] : 0, 1e-14 * norm(m * n, a));
            }
            for (int j = 1; j < least; j++)
                cr_assert_leq(fabs(f[j * n + j]), fabs(f[(j - 1) * n + j - 1]) * (1 + 1e-12));
            for (int j = shape[k][2]; j < least; j++)
                cr_assert_leq(fabs(f[j * n + j]), 1e-13 * norm(m * n, a));
        }
}

Test(linalg, lu_solves_and_estimates_the_condition)
{
    for (int n = 1; n <= (brief() ? 8 : 24); n++) {
        double a[576], f[576], b[48], x[48], rcond, s[24];
        normal(n * n, 900 + (uint64_t)n, a);
        normal(2 * n, 950 + (uint64_t)n, b);
        if (n == 1)
            a[0] = 0.5;
        memcpy(f, a, sizeof f);
        memcpy(x, b, sizeof x);
        cr_assert_eq(hnn_lu_solve(n, 2, f, x, &rcond, NULL), HNN_OK);
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 2; c++) {
                long double r = -b[2 * i + c];
                for (int j = 0; j < n; j++)
                    r += (long double)a[i * n + j] * x[2 * j + c];
                cr_assert_leq(fabs((double)r),
                              10 * n * DBL_EPSILON * (norm(n * n, a) * norm(2 * n, x) + norm(2 * n, b)));
            }
        cr_assert_eq(hnn_svd(n, n, a, s, NULL, NULL, NULL), HNN_OK);
        double exact = s[n - 1] / s[0]; /* in the 2-norm: within a factor n of that in the 1-norm */
        cr_assert(rcond <= n * exact * 3 && rcond >= exact / n / 1.01, "%d: %g %g", n, rcond, exact);
    }
    hnn_error e = {0};
    double b[2] = {1, 1}, singular[4] = {1, 2, 2, 4};
    cr_assert_eq(hnn_lu_solve(2, 1, singular, b, NULL, &e), HNN_EARG);
    cr_assert(strstr(e.message, "singular: pivot 2"));
    cr_assert_eq(hnn_lu_solve(1, 1, (double[]){INFINITY}, b, NULL, &e), HNN_EARG);
    cr_assert_eq(hnn_lu_solve(0, 1, b, b, NULL, &e), HNN_EARG);
}

Test(linalg, symmetric_eigenvectors_diagonalise)
{
    for (int n = 1; n <= (brief() ? 13 : 40); n += 3)
        for (int kind = 0; kind < 3; kind++) { /* random; of rank 2; graded over 120 decades */
            double *a = numbers(n * n), *w = numbers(n), *v = numbers(n * n), *w2 = numbers(n);
            normal(n * n, 1000 + (uint64_t)n, a);
            for (int i = 0; i < n; i++)
                for (int j = 0; j <= i; j++) {
                    double x =
                        kind == 1 ? a[i] * a[j] - a[n * (n - 1) + i] * a[n * (n - 1) + j] : a[i * n + j];
                    if (kind == 2) /* d_i (I + E) d_j */
                        x = ((i == j) + 0.3 / n * tanh(x)) * pow(10, -60.0 * (i + j) / n);
                    a[i * n + j] = a[j * n + i] = x;
                }
            cr_assert_eq(hnn_eigen_symmetric(n, a, w, v, NULL), HNN_OK);
            cr_assert_eq(hnn_eigen_symmetric(n, a, w2, NULL, NULL), HNN_OK);
            cr_assert_eq(memcmp(w, w2, sizeof *w * (size_t)n), 0);
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) {
                    long double s = 0, av = -(long double)w[j] * v[i * n + j];
                    for (int k = 0; k < n; k++) {
                        s += (long double)v[k * n + i] * v[k * n + j];
                        av += (long double)a[i * n + k] * v[k * n + j];
                    }
                    cr_assert_float_eq((double)s, i == j, 1e-14 * n);
                    cr_assert_leq(fabs((double)av), 1e-14 * norm(n * n, a));
                }
            for (int i = 1; i < n; i++)
                cr_assert_leq(w[i - 1], w[i]);
            if (kind == 2) /* each d_i^2 to within the factor that |E| <= 0.3 leaves (Ostrowski) */
                for (int i = 0; i < n; i++)
                    cr_assert(w[n - 1 - i] > 0.69 * pow(10, -120.0 * i / n) &&
                              w[n - 1 - i] < 1.31 * pow(10, -120.0 * i / n));
            free(a), free(w), free(v), free(w2);
        }
    hnn_error e = {0};
    double w[1];
    cr_assert_eq(hnn_eigen_symmetric(1, (double[]){NAN}, w, NULL, &e), HNN_EARG);
    cr_assert_eq(hnn_eigen_symmetric(0, w, w, NULL, &e), HNN_EARG);
}

static int by_real(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

Test(linalg, general_eigenvalues_are_those_the_matrix_was_built_from)
{
    for (int n = 1; n <= (brief() ? 9 : 30); n++) {
        double *d = numbers(n * n), *x = numbers(n * n), *y = numbers(n * n), *a = numbers(n * n), want[60],
               got[60];
        double re[30], im[30];
        hnn_rng r = hnn_rng_stream(7, HNN_RNG_USER, 1100 + (uint64_t)n);
        for (int i = 0; i < n; i++) {
            int two = i + 1 < n && n % 3 != 1;
            double p = i + 0.5 * hnn_rng_uniform(&r), w = 0.1 + hnn_rng_uniform(&r);
            d[i * n + i] = want[2 * i] = p;
            want[2 * i + 1] = 0;
            if (two) {
                d[i * n + i + 1] = w;
                d[(i + 1) * n + i] = -w;
                d[(i + 1) * n + i + 1] = want[2 * i + 2] = p;
                want[2 * i + 1] = -w;
                want[2 * i + 3] = w;
                i++;
            }
        }
        cr_assert_eq(hnn_rng_orthogonal(&r, n, n, 1, x), HNN_OK);
        for (int i = 0; i < n * n; i++) /* rotated, then scaled apart, which balancing undoes */
            y[i] = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int k = 0; k < n; k++)
                    y[i * n + j] += d[i * n + k] * x[j * n + k];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                for (int k = 0; k < n; k++)
                    a[i * n + j] += x[i * n + k] * y[k * n + j];
                a[i * n + j] = ldexp(a[i * n + j], 7 * (i % 5) - 7 * (j % 5));
            }
        cr_assert_eq(hnn_eigen_general(n, a, re, im, NULL), HNN_OK);
        for (int i = 0; i < n; i++) {
            got[2 * i] = re[i];
            got[2 * i + 1] = im[i];
            if (im[i] > 0)
                cr_assert(i + 1 < n && im[i + 1] == -im[i] && re[i + 1] == re[i]);
        }
        qsort(got, (size_t)n, 2 * sizeof(double), by_real);
        qsort(want, (size_t)n, 2 * sizeof(double), by_real);
        for (int i = 0; i < 2 * n; i++)
            cr_assert_float_eq(got[i], want[i], 1e-12 * n, "n = %d: %.17g %.17g", n, got[i], want[i]);
        free(d), free(x), free(y), free(a);
    }
}

Test(linalg, general_eigenvalues_of_special_matrices)
{
    /* a cyclic shift: without exceptional shifts QR does not move; roots of unity */
    double shift[36] = {0}, zero[9] = {0}, re[6], im[6];
    for (int i = 0; i < 6; i++)
        shift[6 * i + (i + 1) % 6] = 1e200;
    cr_assert_eq(hnn_eigen_general(6, shift, re, im, NULL), HNN_OK);
    for (int i = 0; i < 6; i++) {
        double angle = atan2(im[i], re[i]) * 3 / 3.14159265358979324;
        cr_assert_float_eq(hypot(re[i], im[i]), 1e200, 1e186);
        cr_assert_float_eq(angle, rint(angle), 1e-14);
    }
    cr_assert_eq(hnn_eigen_general(3, zero, re, im, NULL), HNN_OK);
    cr_assert(re[0] == 0 && re[1] == 0 && re[2] == 0 && im[0] == 0);
    double centre[4] = {0, 1, -1, 0};
    cr_assert_eq(hnn_eigen_general(2, centre, re, im, NULL), HNN_OK);
    cr_assert(re[0] == 0 && im[0] == 1 && im[1] == -1);
    hnn_error e = {0};
    cr_assert_eq(hnn_eigen_general(1, (double[]){NAN}, re, im, &e), HNN_EARG);
    cr_assert_eq(hnn_eigen_general(0, zero, re, im, &e), HNN_EARG);
}

Test(linalg, singular_values_rebuild_the_matrix)
{
    const int shape[][3] = {{1, 1, 1}, {7, 3, 3}, {12, 12, 12}, {40, 25, 10}, {5, 5, 0}};
    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
        int m = shape[k][0], n = shape[k][1], rank = shape[k][2];
        double *a = numbers(m * n), *s = numbers(n), *u = numbers(m * n), *v = numbers(n * n);
        if (rank)
            ranked(m, n, rank, 1200 + 2 * k, a);
        cr_assert_eq(hnn_svd(m, n, a, s, u, v, NULL), HNN_OK);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                long double x = -a[i * n + j];
                for (int l = 0; l < n; l++)
                    x += (long double)u[i * n + l] * s[l] * v[j * n + l];
                cr_assert_leq(fabs((double)x), 1e-14 * norm(m * n, a));
            }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                long double vv = 0, uu = 0;
                for (int l = 0; l < n; l++)
                    vv += (long double)v[l * n + i] * v[l * n + j];
                for (int l = 0; l < m; l++)
                    uu += (long double)u[l * n + i] * u[l * n + j];
                cr_assert_float_eq((double)vv, i == j, 1e-14 * n);
                if (i < rank && j < rank)
                    cr_assert_float_eq((double)uu, i == j, 1e-14 * n);
            }
        for (int j = 0; j < n; j++)
            cr_assert((j == 0 || s[j] <= s[j - 1]) && (j < rank) == (s[j] > 1e-13 * s[0]));
        free(a), free(s), free(u), free(v);
    }
    hnn_error e = {0};
    double x[4] = {1, 2, 3, 4};
    cr_assert_eq(hnn_svd(1, 2, x, x, NULL, NULL, &e), HNN_EARG);
    cr_assert_eq(hnn_svd(1, 1, (double[]){INFINITY}, x, NULL, NULL, &e), HNN_EARG);
    cr_assert_eq(hnn_qrp(1, 1, (double[]){INFINITY}, x, (int[]){0}, &e), HNN_EARG);
    cr_assert_eq(hnn_qrp(0, 1, x, x, (int[]){0}, &e), HNN_EARG);
}

static int everything(double *a, double *b)
{
    double x[60], w[60], v[16], small[16];
    int jpvt[60], code;
    memcpy(small, b, sizeof small);
    if ((code = hnn_lstsq(60, 60, 1, a, b, NULL, 2, x, NULL, NULL)) ||
        (code = hnn_svd(4, 4, b, w, x, v, NULL)) || (code = hnn_eigen_symmetric(4, b, w, v, NULL)) ||
        (code = hnn_eigen_general(4, b, w, x, NULL)) || (code = hnn_qrp(4, 4, small, w, jpvt, NULL)))
        return code;
    memcpy(small, b, sizeof small);
    return hnn_lu_solve(4, 1, small, w, x, NULL);
}

Test(linalg, out_of_memory_is_an_error_and_leaks_nothing)
{
    static double a[60 * 60], b[60];
    ranked(60, 60, 40, 1300, a);
    normal(60, 1302, b);
    for (long n = 1;; n++) {
        failalloc_arm(n, 1);
        int code = everything(a, b);
        if (failalloc_disarm() < n) {
            cr_assert_eq(code, HNN_OK);
            break;
        }
        cr_assert(code == HNN_EMEM, "allocation %ld: %d", n, code);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld leaked", n);
    }
}
