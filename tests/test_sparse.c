/* test_sparse.c - sparse Jacobians and Hessians against the dense ones: every operation, random tapes, chains, arrows;
 * the colourings by their definitions; errors and failed allocations.
 *
 * SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "grad_functions.h"
#include "pattern.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static uint64_t state = 1;
static int below(int n)
{ /* a small generator of our own: the same tapes everywhere */
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (int)(state % (uint64_t)n);
}
static int quick(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

/* Entries against the dense matrix; what is not listed must be exactly 0. */
static int check(const char *what, ad_var sparse, int nnz, const int *row, const int *col, ad_var dense,
                 int m, int n, int lower)
{
    const double *d = ad_value(dense);
    cr_assert(d && !ad_is_void(sparse), "%s: %s", what, ad_message(dense.tape));
    double *left = malloc((size_t)m * (size_t)n * sizeof *left), scale = 1;
    memcpy(left, d, (size_t)m * (size_t)n * sizeof *left);
    for (int i = 0; i < m * n; i++)
        scale = fmax(scale, fabs(left[i]));
    const double *v = ad_value(sparse);
    cr_assert(v && ad_rows(sparse) == 1 && ad_cols(sparse) == (nnz ? nnz : 1), "%s: %s", what,
              ad_message(dense.tape));
    for (int k = 0; k < nnz; k++) {
        cr_assert(row[k] >= 0 && row[k] < m && col[k] >= 0 && col[k] < n && (!lower || col[k] <= row[k]));
        cr_assert(k == 0 || row[k] > row[k - 1] || (row[k] == row[k - 1] && col[k] > col[k - 1]), "%s: order",
                  what);
        double want = left[row[k] * n + col[k]];
        cr_assert(fabs(v[k] - want) <= 1e-12 * scale, "%s: (%d,%d) is %.17g, not %.17g", what, row[k], col[k],
                  v[k], want);
        left[row[k] * n + col[k]] = 0;
        if (lower)
            left[col[k] * n + row[k]] = 0;
    }
    for (int i = 0; i < m * n; i++)
        cr_assert(left[i] == 0, "%s: (%d,%d) is %g and not listed", what, i / n, i % n, left[i]);
    free(left);
    return nnz;
}

/* The Jacobian by a tangent for each element of x, one after the other; ad_jacobian and ad_hessian must agree, too. */
static ad_var by_columns(const char *what, ad_var y, ad_var x, ad_var other)
{
    if (ad_is_number(y))
        y = ad_fill(x.tape, 1, 1, y.value);
    int m = ad_rows(y) * ad_cols(y), n = ad_rows(x) * ad_cols(x);
    ad_var *d = malloc((size_t)n * sizeof *d);
    double *e = calloc((size_t)n, sizeof *e);
    for (int j = 0; j < n; j++) {
        e[j] = 1;
        ad_var v = ad_const(x.tape, ad_rows(x), ad_cols(x), e);
        ad_jvp(1, &y, 1, &x, &v, &d[j]);
        d[j] = ad_reshape(d[j], 1, m);
        e[j] = 0;
    }
    ad_var dense = ad_transpose(ad_concat_rows(n, d));
    free(d);
    free(e);
    cr_assert(ad_rows(other) == m && ad_cols(other) == n, "%s: %s", what, ad_message(x.tape));
    double *kept = malloc((size_t)m * (size_t)n * sizeof *kept), scale = 1;
    const double *v = ad_value(other);
    cr_assert(v, "%s: %s", what, ad_message(x.tape));
    memcpy(kept, v, (size_t)m * (size_t)n * sizeof *kept);
    v = ad_value(dense);
    cr_assert(v, "%s: %s", what, ad_message(x.tape));
    for (int k = 0; k < m * n; k++)
        scale = fmax(scale, fabs(v[k]));
    for (int k = 0; k < m * n; k++)
        cr_assert(fabs(v[k] - kept[k]) <= 1e-12 * scale, "%s: (%d,%d) is %.17g, not %.17g", what, k / n,
                  k % n, kept[k], v[k]);
    free(kept);
    return dense;
}

static int hessian(const char *what, ad_var y, ad_var x)
{
    int nnz, *row, *col, n = ad_rows(x) * ad_cols(x);
    ad_var s = ad_hessian_sparse(y, x, &nnz, &row, &col);
    cr_assert_eq(ad_status(x.tape), AD_OK, "%s: %s", what, ad_message(x.tape));
    ad_var g = ad_is_number(y) ? ad_fill(x.tape, ad_rows(x), ad_cols(x), 0) : ad_grad(y, x);
    check(what, s, nnz, row, col, by_columns(what, g, x, ad_hessian(y, x)), n, n, 1);
    free(row), free(col);
    return nnz;
}
static int jacobian(const char *what, ad_var y, ad_var x)
{
    int nnz, *row, *col;
    ad_var s = ad_jacobian_sparse(y, x, &nnz, &row, &col);
    cr_assert_eq(ad_status(x.tape), AD_OK, "%s: %s", what, ad_message(x.tape));
    check(what, s, nnz, row, col, by_columns(what, y, x, ad_jacobian(y, x)), ad_rows(y) * ad_cols(y),
          ad_rows(x) * ad_cols(x), 0);
    free(row), free(col);
    return nnz;
}

Test(sparse, every_operation_agrees_with_the_dense_matrix)
{
    double v[12], ignore[12];
    point(v, ignore);
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", 3, 4);
        ad_set(x, 3, v);
        ad_var y = functions[k].f(x), g = ad_grad(y, x);
        hessian(functions[k].name, y, x);
        jacobian(functions[k].name, g, x);
        jacobian(functions[k].name, ad_slice(g, 1, 1, 0, 3), x);
        ad_free(t);
    }
}

/* A random function: vectors of length n made of slices, gathers, pads and products of earlier ones. */
static ad_var random_value(ad_var x, int n, int depth)
{
    ad_var pool[64];
    int index[40], count = 1;
    pool[0] = x;
    for (int k = 0; k < depth; k++) {
        ad_var a = pool[below(count)], b = pool[below(count)], y;
        int len = 1 + below(n), at;
        for (int i = 0; i < n; i++)
            index[i] = below(n);
        switch (below(14)) {
        case 0:
            y = ad_mul(a, b);
            break;
        case 1:
            y = ad_sin(a);
            break;
        case 2:
            y = ad_add(a, ad_mul(0.3, b));
            break;
        case 3:
            y = ad_gather_cols(a, n, index);
            break;
        case 4:
            y = ad_scatter_cols(a, n, index);
            break;
        case 5:
            at = below(n - len + 1);
            y = ad_pad(ad_mul(ad_cols_of(a, at, len), ad_cols_of(b, at, len)), 0, 0, 0, n - len);
            break;
        case 6:
            at = below(n);
            y = ad_concat_cols(2, (ad_var[]){ad_cols_of(a, at, n - at), ad_cols_of(b, 0, at > 0 ? at : 1)});
            y = ad_cols_of(y, 0, n);
            break;
        case 7:
            y = ad_where(ad_lt(a, 0.1), a, ad_square(b));
            break;
        case 8:
            y = ad_mul(a, ad_at(b, 0, below(n)));
            break;
        case 9:
            y = ad_mul(0.1, ad_mul(a, ad_sum(ad_cols_of(b, below(n), 1))));
            break;
        case 10:
            y = ad_reshape(ad_transpose(ad_reshape(ad_tanh(a), 2, n / 2)), 1, n);
            break;
        case 11:
            y = ad_pad(ad_at(ad_exp(ad_tanh(a)), 0, below(n)), 0, 0, below(n), 0);
            y = ad_pad(y, 0, 0, 0, n - ad_cols(y));
            break;
        case 12:
            y = ad_reshape(ad_sum_rows(ad_reshape(ad_cos(a), 2, n / 2)), 1, n / 2);
            y = ad_concat_cols(2, (ad_var[]){y, ad_cols_of(b, 0, n / 2)});
            break;
        default:
            y = ad_div(a, ad_add(2, ad_square(b)));
        }
        pool[count++] = y;
    }
    return pool[count - 1];
}

Test(sparse, random_tapes_agree_with_the_dense_matrix)
{
    int rounds = quick() ? 20 : 600, sparse = 0;
    for (int k = 0; k < rounds; k++) {
        state = 0x9e3779b97f4a7c15u * (uint64_t)(k + 1);
        ad_tape *t = ad_new();
        int n = 4 + 2 * below(6);
        double v[40];
        for (int i = 0; i < n; i++)
            v[i] = sin(1.3 * i + k);
        ad_var x = ad_input(t, "x", 1, n);
        ad_set(x, 1, v);
        ad_var f = random_value(x, n, 3 + below(20));
        char name[32];
        snprintf(name, sizeof name, "tape %d", k);
        sparse += jacobian(name, f, x) < n * n;
        hessian(name, ad_sum(ad_square(ad_sin(f))), x);
        jacobian(name, ad_pad(ad_cols_of(f, 0, 2), 0, 1, 1, 0), x);
        ad_free(t);
    }
    cr_assert_gt(sparse, rounds / 4); /* the test would say little otherwise */
}

/* A function of functions, written out and called: the same entries, and those of the dense matrix. */
static ad_func *random_function(uint64_t seed, int n)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, n), y[2];
    state = seed;
    y[0] = random_value(x, n, 5), y[1] = random_value(x, n, 3);
    ad_func *f = ad_func_new(1, &x, 2, y);
    cr_assert(f, "%s", ad_message(t));
    ad_free(t);
    return f;
}
Test(sparse, a_called_function_has_the_pattern_of_the_function_written_out)
{
    int rounds = quick() ? 10 : 100;
    for (int k = 0; k < rounds; k++) {
        uint64_t seed = 0xd1342543de82ef95u * (uint64_t)(k + 1);
        int n = 4 + 2 * (k % 5), nnz[2][2];
        for (int call = 0; call < 2; call++) {
            double v[40];
            for (int i = 0; i < n; i++)
                v[i] = sin(1.7 * i + k);
            ad_tape *t = ad_new();
            ad_var x = ad_input(t, "x", 1, n), y[2], z;
            ad_set(x, 1, v);
            if (call) { /* a call in a call */
                ad_func *f = random_function(seed, n);
                ad_tape *u = ad_new();
                ad_var in[2] = {ad_input(u, "a", 1, n), ad_input(u, "b", 1, n)}, out[2];
                ad_call(u, f, in, out);
                z = ad_mul(out[0], ad_tanh(ad_add(out[1], in[1])));
                ad_func *g = ad_func_new(2, in, 1, &z);
                cr_assert(g, "%s", ad_message(u));
                ad_call(t, g, (ad_var[]){x, ad_cos(x)}, &z);
                ad_func_free(f), ad_func_free(g), ad_free(u);
            } else {
                state = seed;
                y[0] = random_value(x, n, 5), y[1] = random_value(x, n, 3);
                z = ad_mul(y[0], ad_tanh(ad_add(y[1], ad_cos(x))));
            }
            nnz[call][0] = jacobian(call ? "called" : "written out", z, x);
            nnz[call][1] = hessian(call ? "called" : "written out", ad_sum(z), x);
            ad_free(t);
        }
        cr_expect_eq(nnz[0][0], nnz[1][0], "round %d: Jacobian %d, called %d", k, nnz[0][0], nnz[1][0]);
        cr_expect_eq(nnz[0][1], nnz[1][1], "round %d: Hessian %d, called %d", k, nnz[0][1], nnz[1][1]);
    }
}
/* One row of a batch is looked at as itself; with several rows a function of a batch stays closed, and right. */
Test(sparse, a_function_of_a_batch_called_for_rows)
{
    ad_tape *u = ad_new();
    ad_var b = ad_input(u, "x", AD_BATCH, 3), f0 = ad_mul(ad_cols_of(b, 0, 1), ad_sin(ad_cols_of(b, 2, 1)));
    ad_func *f = ad_func_new(1, &b, 1, &f0);
    for (int rows = 1; rows <= 3; rows += 2) {
        const double v[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", rows, 3), y;
        ad_set(x, rows, v);
        ad_call(t, f, &x, &y);
        int n = jacobian("batch", y, x);
        cr_expect(rows > 1 || n == 2, "%d rows: %d entries", rows, n);
        hessian("batch", ad_sum(y), x);
        ad_free(t);
    }
    ad_func_free(f), ad_free(u);
}

Test(sparse, chain_of_1000_sites_is_a_band_found_in_linear_time)
{
    for (int scalar = 0; scalar < 2; scalar++) {
        int n = quick() ? 100 : 1000, nnz, *row, *col;
        ad_tape *t = ad_new();
        ad_var q = ad_input(t, "q", 1, n), y;
        double v[1000];
        for (int i = 0; i < n; i++)
            v[i] = sin(0.1 * i * i);
        ad_set(q, 1, v);
        if (scalar) {
            ad_var term[1001];
            for (int i = 0; i + 1 < n; i++) {
                ad_var d = ad_sub(ad_at(q, 0, i + 1), ad_at(q, 0, i));
                term[i] = ad_add(ad_mul(0.5, ad_square(d)), ad_mul(0.25, ad_square(ad_square(d))));
            }
            y = ad_add_n(n - 1, term);
        } else {
            ad_var d = ad_sub(ad_cols_of(q, 1, n - 1), ad_cols_of(q, 0, n - 1));
            y = ad_sum(ad_add(ad_mul(0.5, ad_square(d)), ad_mul(0.25, ad_square(ad_square(d)))));
        }
        struct timespec a, b;
        int32_t before = ad_nodes(t);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        ad_var h = ad_hessian_sparse(y, q, &nnz, &row, &col);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
        cr_assert_eq(nnz, 2 * n - 1);
        cr_assert(scalar || ad_nodes(t) - before < 100, "%d nodes", ad_nodes(t) - before);
        cr_assert(s < 0.2, "%g s", s); /* a few milliseconds */
        const double *got = ad_value(h);
        for (int k = 0; k < nnz; k++) {
            double e[2]; /* 1 + 3 d^2 of the springs on the left and right */
            for (int i = 0; i < 2; i++) {
                int l = row[k] - 1 + i;
                e[i] = l >= 0 && l + 1 < n ? 1 + 3 * (v[l + 1] - v[l]) * (v[l + 1] - v[l]) : 0;
            }
            double want = row[k] == col[k] ? e[0] + e[1] : -e[0];
            cr_assert(row[k] - col[k] <= 1 && fabs(got[k] - want) <= 1e-13 * (1 + fabs(want)),
                      "(%d,%d) %.17g %.17g", row[k], col[k], got[k], want);
        }
        free(row), free(col);
        ad_free(t);
    }
}

/* Entries written out against tangents one after the other; 0 where an operation is not known there. */
static int entries_agree(const char *what, ad_var y, ad_var x)
{
    int m = ad_rows(y) * ad_cols(y), n = ad_rows(x) * ad_cols(x), nnz;
    for (int id = 0; id < ad_nodes(x.tape); id++)
        if (ad_at_id(x.tape, id)->rows < 1 || !ad_entries_known(ad_at_id(x.tape, id)->op))
            return 0;
    ad_pattern a;
    ad_var e;
    cr_assert(ad_entries(y, x, &a, &e), "%s: %s", what, ad_message(x.tape));
    int *row = malloc(((size_t)a.nnz + 1) * sizeof *row);
    for (int i = 0; i < m; i++)
        for (int k = a.start[i]; k < a.start[i + 1]; k++)
            row[k] = i;
    ad_var dense = by_columns(what, y, x, ad_jacobian(y, x));
    nnz = check(what, e, a.nnz, row, a.col, dense, m, n, 0);
    ad_pattern_free(&a);
    free(row);
    return nnz + 1;
}

Test(sparse, entries_written_out_agree_with_the_dense_matrix)
{
    int known = 0;
    double v[12], ignore[12];
    point(v, ignore);
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", 3, 4);
        ad_set(x, 3, v);
        known += entries_agree(functions[k].name, ad_grad(functions[k].f(x), x), x) > 0;
        ad_free(t);
    }
    cr_assert(known > 10, "%d", known);
    known = 0;
    for (int k = 0, n = quick() ? 20 : 300; k < n; k++) {
        char what[32];
        ad_tape *t = ad_new();
        int size = 4 + 2 * below(6);
        ad_var x = ad_input(t, "x", 1, size);
        double u[16];
        for (int i = 0; i < size; i++)
            u[i] = below(1000) / 500.0 - 1;
        ad_set(x, 1, u);
        snprintf(what, sizeof what, "random %d", k);
        ad_var y = random_value(x, size, 1 + below(8));
        known += entries_agree(what, y, x) > 0;
        known += entries_agree(what, ad_grad(ad_sum(ad_sin(y)), x), x) > 0;
        ad_free(t);
    }
    cr_assert(known > (quick() ? 5 : 100), "%d", known);
}

static double flops_of(ad_tape *t, ad_var x, ad_var out)
{
    ad_report r;
    ad_program *p = ad_compile(t, 1, &x, 1, &out, NULL);
    cr_assert(p, "%s", ad_message(t));
    ad_program_report(p, &r);
    ad_program_free(p);
    return r.flops;
}

/* Bodies that attract each other in pairs: each term has 6 of the coordinates, the Hessian has all pairs of them. */
Test(sparse, hessian_of_bodies_in_pairs_is_written_out)
{
    enum { BODIES = 8 };
    static const char *const name[] = {"x", "y", "z", "n"};
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 3 * BODIES), in[4];
    for (int i = 0; i < 3; i++)
        in[i] = ad_cols_of(q, BODIES * i, BODIES);
    in[3] = ad_num(BODIES);
    ad_var y = ad_parse(t, "-sum(i<j, 1/sqrt((x[i]-x[j])^2 + (y[i]-y[j])^2 + (z[i]-z[j])^2))", 4, name, in);
    double v[3 * BODIES], flops[3];
    for (int i = 0; i < 3 * BODIES; i++)
        v[i] = 3 * sin(5 * i * i + 1);
    ad_set(q, 1, v);
    cr_assert_eq(hessian("bodies", y, q), 3 * BODIES * (3 * BODIES + 1) / 2);
    int nnz, *row, *col;
    ad_var out[3] = {ad_grad(y, q), ad_hessian(y, q), ad_hessian_sparse(y, q, &nnz, &row, &col)};
    free(row), free(col);
    for (int k = 0; k < 3; k++)
        flops[k] = flops_of(t, q, out[k]);
    /* 24 directions would cost 24 times a gradient and more */
    cr_assert(flops[2] < 6 * flops[0] && flops[1] < 6 * flops[0], "%g and %g flops, gradient %g", flops[2],
              flops[1], flops[0]);
    ad_free(t);
}

/* Where two variables meet, |d| and d^2 have the derivative 0 and powers of them have infinite ones. */
Test(sparse, entries_have_the_zeros_of_products_where_operations_are_singular)
{
    for (int what = 0; what < 2; what++)
        for (int n = 15; n < 18; n++) { /* of 16 variables on, ad_hessian is made of the entries */
            ad_tape *t = ad_new();
            ad_var x = ad_input(t, "x", 1, n);
            int first[18 * 17 / 2], second[18 * 17 / 2], pairs = 0, nnz, *row, *col;
            double at[18], h[18 * 18];
            for (int i = 0; i < n; i++)
                for (int j = 0; j < i; j++, pairs++)
                    first[pairs] = i, second[pairs] = j;
            for (int i = 0; i < n; i++)
                at[i] = 0.25 * (i % 5);
            ad_var u = ad_gather_cols(x, pairs, first), d = ad_sub(u, ad_gather_cols(x, pairs, second)),
                   y = ad_sum(what ? ad_mul(u, ad_square(ad_cbrt(ad_square(d))))
                                   : ad_pow(ad_abs(d), ad_num(1.5))),
                   whole = ad_hessian(y, x), some = ad_hessian_sparse(y, x, &nnz, &row, &col),
                   v = ad_input(t, "v", 1, n), product = ad_hvp(y, x, v);
            cr_assert_eq(ad_set(x, 1, at), AD_OK, "%s", ad_message(t));
            memcpy(h, ad_value(whole), sizeof(double) * (size_t)(n * n));
            for (int k = 0; k < nnz; k++)
                cr_assert(fabs(ad_value(some)[k] - h[row[k] * n + col[k]]) <=
                              1e-13 * (1 + fabs(h[row[k] * n + col[k]])),
                          "%d of %d: [%d,%d] %g, dense %g", what, n, row[k], col[k], ad_value(some)[k],
                          h[row[k] * n + col[k]]);
            for (int j = 0; j < n; j++) {
                double e[18] = {0};
                e[j] = 1;
                ad_set(v, 1, e);
                const double *column = ad_value(product);
                for (int i = 0; i < n; i++)
                    cr_assert(fabs(column[i] - h[i * n + j]) <= 1e-13 * (1 + fabs(column[i])),
                              "%d of %d: [%d,%d] %g, product %g", what, n, i, j, h[i * n + j], column[i]);
            }
            free(row), free(col);
            ad_free(t);
        }
}

/* The whole Hessian and Jacobian of a chain take the products of its band, not one for each site. */
Test(sparse, whole_matrices_are_made_of_the_entries_where_these_are_few)
{
    enum { SITES = 40 };
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, SITES),
           d = ad_sub(ad_cols_of(q, 1, SITES - 1), ad_cols_of(q, 0, SITES - 1));
    ad_var y = ad_sum(ad_exp(ad_square(d))), all = ad_mul(y, y); /* a band; every entry */
    ad_var out[4] = {ad_hessian(y, q), ad_jacobian(ad_sin(d), q), ad_hessian(all, q), ad_grad(y, q)};
    double v[SITES], flops[4];
    for (int i = 0; i < SITES; i++)
        v[i] = 0.5 * sin(i * i);
    ad_set(q, 1, v);
    for (int k = 0; k < 4; k++)
        flops[k] = flops_of(t, q, out[k]);
    cr_assert(flops[0] < 12 * flops[3], "%g flops, gradient %g", flops[0], flops[3]);
    cr_assert(flops[1] < 12 * flops[3], "%g flops, gradient %g", flops[1], flops[3]);
    cr_assert(flops[2] > 20 * flops[3], "%g flops, gradient %g", flops[2], flops[3]);
    cr_assert_eq(hessian("chain", y, q), 2 * SITES - 1);
    cr_assert_eq(jacobian("springs", ad_sin(d), q), 2 * (SITES - 1));
    cr_assert_eq(hessian("product", all, q), SITES * (SITES + 1) / 2);
    ad_free(t);
}

Test(sparse, shapes_with_few_or_no_entries)
{
    ad_tape *t = ad_new();
    double v[30];
    for (int i = 0; i < 30; i++)
        v[i] = cos(i);
    ad_var x = ad_input(t, "x", 1, 30), z = ad_input(t, "z", AD_BATCH, 2), w = ad_input(t, "w", 2, 3);
    ad_set(x, 1, v), ad_set(z, 5, v), ad_set(w, 2, v);
    cr_assert_eq(hessian("linear", ad_sum(x), x), 0);
    cr_assert_eq(hessian("number", ad_num(2), x), 0);
    cr_assert_eq(jacobian("number", ad_num(2), x), 0);
    cr_assert_eq(jacobian("other", w, x), 0);
    cr_assert_eq(jacobian("itself", x, x), 30);
    cr_assert_eq(jacobian("steps", ad_add(ad_sign(x), ad_lt(x, 0.5)), x), 0);
    cr_assert_eq(hessian("diagonal", ad_sum(ad_exp(x)), x), 30);
    /* an arrow: one variable meets all others */
    cr_assert_eq(hessian("arrow", ad_mul(ad_at(x, 0, 29), ad_sum(ad_square(x))), x), 59);
    cr_assert_eq(jacobian("one row", ad_sum(ad_exp(x)), x), 30);
    cr_assert_eq(jacobian("one column", ad_exp(ad_at(x, 0, 3)), ad_at(x, 0, 3)), 1);
    cr_assert_eq(jacobian("column of many", ad_concat_cols(2, (ad_var[]){ad_mul(x, ad_at(x, 0, 0)), x}), x),
                 89);
    /* a batch lies between */
    ad_var e = ad_square(ad_matmul(z, w));
    cr_assert_eq(hessian("batch", ad_mean(e), w), 9);
    cr_assert_eq(jacobian("batch", ad_sum_rows(ad_reshape(ad_exp(e), -3, 1)), w), 6);
    ad_free(t);
}

/* A random symmetric pattern with its diagonal, or any random pattern. */
static ad_pattern random_pattern(int m, int n, int one_in, int symmetric)
{
    static int32_t start[41], col[1600];
    char on[40][40] = {{0}};
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            on[i][j] = symmetric && i == j ? 1 : symmetric && j < i ? on[j][i] : below(one_in) == 0;
        }
    ad_pattern a = {.m = m, .n = n, .start = start, .col = col};
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++)
            if (on[i][j])
                col[a.nnz++] = j;
        start[i + 1] = a.nnz;
    }
    return a;
}

Test(sparse, colourings_keep_their_promise)
{
    int32_t color[40];
    for (int k = 0; k < 300; k++) {
        state = 0x9e3779b97f4a7c15u * (uint64_t)(k + 7);
        int m = 1 + below(40), n = 1 + below(40);
        ad_pattern a = random_pattern(m, n, 2 + below(12), 0);
        int32_t count = ad_color_columns(&a, color);
        cr_assert(count >= 1 && count <= n);
        for (int i = 0; i < m; i++)
            for (int p = a.start[i]; p < a.start[i + 1]; p++)
                for (int q = a.start[i]; q < p; q++)
                    cr_assert_neq(color[a.col[p]], color[a.col[q]]);
        a = random_pattern(n, n, 2 + below(12), 1);
        count = ad_color_star(&a, color);
        cr_assert(count >= 1 && count <= n);
        for (int i = 0; i < n; i++) /* no edge in one colour, no path i - j - l - o in two */
            for (int p = a.start[i]; p < a.start[i + 1]; p++) {
                int j = a.col[p];
                cr_assert(i == j || color[i] != color[j]);
                for (int q = a.start[j]; q < a.start[j + 1]; q++)
                    for (int l = a.col[q], r = a.start[l]; r < a.start[l + 1]; r++) {
                        int o = a.col[r];
                        cr_assert(i == j || i == l || i == o || j == l || j == o || l == o ||
                                      color[i] != color[l] || color[j] != color[o],
                                  "path %d %d %d %d", i, j, l, o);
                    }
            }
    }
    state = 3; /* an arrow needs two colours, a band of three three */
    ad_pattern arrow = random_pattern(40, 40, 1 << 30, 1);
    int32_t start[41], col[160], k = 0;
    for (int i = 0; i < 40; i++) {
        start[i] = k;
        for (int j = 0; j < 40; j++)
            if (i == j || i == 39 || j == 39)
                col[k++] = j;
    }
    start[40] = k;
    arrow.start = start, arrow.col = col, arrow.nnz = k;
    cr_assert_eq(ad_color_star(&arrow, color), 2);
    for (int i = k = 0; i < 40; i++) {
        start[i] = k;
        for (int j = i ? i - 1 : 0; j <= i + 1 && j < 40; j++)
            col[k++] = j;
    }
    start[40] = arrow.nnz = k;
    cr_assert_eq(ad_color_star(&arrow, color), 3);
    cr_assert_eq(ad_color_columns(&arrow, color), 3);
}

Test(sparse, errors_say_what_was_given_and_leave_no_lists)
{
    ad_tape *t = ad_new();
    int nnz = 5, *row = &nnz, *col = &nnz;
    ad_var x = ad_input(t, "x", 1, 3), z = ad_input(t, "z", AD_BATCH, 3);
    const struct {
        ad_var y, x;
        int hessian, status;
        const char *text;
    } rows[] = {
        {z, x, 0, AD_ESHAPE, "ad_jacobian_sparse: y is [B,3], x is [1,3]; needs fixed numbers of rows"},
        {x, ad_num(1), 0, AD_EARG, "ad_jacobian_sparse: x is a number; needs a recorded value"},
        {x, x, 1, AD_ESHAPE, "ad_hessian_sparse: y is [1,3]; needs [1,1]"},
        {ad_sum(z), z, 1, AD_ESHAPE,
         "ad_hessian_sparse: y is [1,1], x is [B,3]; needs fixed numbers of rows"}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        row = col = &nnz;
        ad_var h = rows[k].hessian ? ad_hessian_sparse(rows[k].y, rows[k].x, &nnz, &row, &col)
                                   : ad_jacobian_sparse(rows[k].y, rows[k].x, &nnz, &row, &col);
        cr_assert(ad_is_void(h) && !row && !col && nnz == 0);
        cr_assert_eq(ad_status(t), rows[k].status);
        cr_assert_str_eq(ad_message(t), rows[k].text);
        cr_assert(ad_is_void(ad_hessian_sparse(h, x, &nnz, &row, &col)));
        ad_clear(t);
    }
    cr_assert(ad_is_void(ad_jacobian_sparse(x, x, NULL, &row, &col)));
    cr_assert_str_eq(ad_message(t), "ad_jacobian_sparse: nnz, row and col are all needed");
    ad_free(t);
}

Test(sparse, every_allocation_that_fails_is_an_error_and_no_leak)
{
    enum { BODIES = 17 };
    int first[BODIES * (BODIES - 1) / 2], second[BODIES * (BODIES - 1) / 2], pairs = 0;
    for (int i = 0; i < BODIES; i++)
        for (int j = 0; j < i; j++, pairs++)
            first[pairs] = i, second[pairs] = j;
    for (int what = 0; what < 9; what++)
        for (long n = 1;; n++) {
            failalloc_arm(n, what % 2);
            ad_tape *t = ad_new();
            int status = AD_ENOMEM, nnz, *row = NULL, *col = NULL;
            if (t) {
                ad_var x = ad_input(t, "x", 1, what < 5 ? 6 : 18), z = ad_input(t, "z", AD_BATCH, 2),
                       w = ad_input(t, "w", 2, 3), h;
                ad_var d = ad_sub(ad_cols_of(x, 1, 5), ad_cols_of(x, 0, 5));
                if (what == 0)
                    h = ad_hessian_sparse(ad_sum(ad_exp(d)), x, &nnz, &row, &col);
                else if (what == 1)
                    h = ad_jacobian_sparse(ad_matmul(ad_reshape(ad_exp(x), 3, 2), ad_eye(t, 2)), x, &nnz,
                                           &row, &col);
                else if (what == 2)
                    h = ad_hessian_sparse(ad_mean(ad_square(ad_matmul(z, w))), w, &nnz, &row, &col);
                else if (what == 3)
                    h = ad_jacobian_sparse(ad_sum(ad_exp(x)), x, &nnz, &row, &col);
                else if (what == 5)
                    h = ad_hessian(ad_sum(ad_exp(x)), x);
                else if (what == 6)
                    h = ad_jacobian(ad_exp(x), x);
                else if (what > 6) { /* written out entry by entry */
                    ad_var q = ad_input(t, "q", 1, BODIES), u = ad_gather_cols(q, pairs, first),
                           v = ad_gather_cols(q, pairs, second), y = ad_sum(ad_mul(ad_sin(u), ad_cos(v)));
                    h = what == 7 ? ad_hessian(y, q) : ad_hessian_sparse(y, q, &nnz, &row, &col);
                } else {
                    ad_var y = ad_exp(x);
                    ad_func *f = ad_func_new(1, &x, 1, &y);
                    ad_call(t, f, &x, &y);
                    ad_func_free(f);
                    h = ad_jacobian_sparse(y, x, &nnz, &row, &col);
                }
                status = ad_status(t);
                cr_assert_eq(ad_is_void(h), status != AD_OK);
                cr_assert(status == AD_OK || (!row && !col));
                free(row), free(col);
                ad_free(t);
            }
            if (failalloc_disarm() < n) {
                cr_assert_eq(status, AD_OK, "%d", what);
                break;
            }
            cr_assert_eq(status, AD_ENOMEM, "%d, allocation %ld: %s", what, n, ad_status_name(status));
            cr_assert_eq(failalloc_live(), 0, "%d, allocation %ld: %ld blocks left", what, n,
                         failalloc_live());
        }
}
