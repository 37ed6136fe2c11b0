/* test_matrix.c - whole Jacobians and Hessians against products with unit vectors, rows of a batch against one row at
 * a time, brackets against their identities, packs, and every error.
 *
 * SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "grad_functions.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ad_var unit(ad_tape *t, int rows, int cols, int i)
{
    double v[64] = {0};
    v[i] = 1;
    return ad_const(t, rows, cols, v);
}
static double *copy(ad_var x, int n)
{
    const double *v = ad_value(x);
    cr_assert(v, "%s", ad_message(x.tape));
    double *c = malloc((size_t)n * sizeof *c);
    memcpy(c, v, (size_t)n * sizeof *c);
    return c;
}
static void same(const char *what, const double *a, const double *b, int n, double tolerance)
{
    double scale = 1;
    for (int i = 0; i < n; i++)
        scale = fmax(scale, fabs(b[i]));
    for (int i = 0; i < n; i++)
        cr_assert(fabs(a[i] - b[i]) <= tolerance * scale, "%s, entry %d of %d: %.17g, not %.17g", what, i, n,
                  a[i], b[i]);
}
static ad_var f_long(ad_var x)
{ /* operations that the list lacks, in matrix form */
    ad_var a = ad_concat_rows(2, (ad_var[]){ad_tanh(x), ad_slice(x, 0, 1, 0, 4)}); /* [4,4] */
    ad_var b = ad_matmul(a, ad_matmul_tn(x, ad_pad(x, 0, 0, 0, 0)));               /* [4,4] */
    return weigh(
        ad_where(ad_lt(b, 0.3), ad_mul(ad_sum_cols(b), b), ad_div(b, ad_add(2, ad_sum_rows(ad_square(b))))));
}

Test(matrix, jacobian_and_hessian_agree_with_one_product_for_each_direction)
{
    double v[12], ignore[12];
    point(v, ignore);
    size_t count = sizeof functions / sizeof functions[0];
    for (size_t k = 0; k <= count; k++) {
        const char *name = k < count ? functions[k].name : "f_long";
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", 3, 4);
        ad_set(x, 3, v);
        ad_var y = k < count ? functions[k].f(x) : f_long(x), g = ad_grad(y, x),
               two = ad_slice(g, 1, 2, 1, 2);
        ad_var h = ad_hessian(y, x), forward = ad_jacobian(g, x), reverse = ad_jacobian(two, x);
        cr_assert_eq(ad_status(t), AD_OK, "%s: %s", name, ad_message(t));
        cr_assert(ad_rows(h) == 12 && ad_cols(h) == 12 && ad_rows(reverse) == 4 && ad_cols(reverse) == 12);
        double *H = copy(h, 144), *F = copy(forward, 144), *R = copy(reverse, 48), want[144], some[48];
        for (int i = 0; i < 12; i++) {
            double *col = copy(ad_hvp(y, x, unit(t, 3, 4, i)), 12);
            for (int j = 0; j < 12; j++)
                want[12 * j + i] = col[j];
            free(col);
        }
        for (int i = 0; i < 4; i++)
            memcpy(some + 12 * i, want + 12 * (4 * (1 + i / 2) + 1 + i % 2), 12 * sizeof *some);
        same(name, H, want, 144, 1e-13);
        same(name, F, want, 144, 1e-13);
        same(name, R, some, 48, 1e-12);
        free(H), free(F), free(R);
        ad_free(t);
    }
}

Test(matrix, hessians_agree_with_their_programs_in_long_double)
{
    double v[12], ignore[12];
    point(v, ignore);
    long double wide[12], want[144];
    for (int i = 0; i < 12; i++)
        wide[i] = v[i];
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", 3, 4), h = ad_hessian(functions[k].f(x), x);
        ad_set(x, 3, v);
        ad_program *p = ad_compile(t, 1, &x, 1, &h, &(ad_options){.real = AD_F80});
        ad_work *w = ad_work_new(p, NULL);
        cr_assert(w, "%s: %s", functions[k].name, ad_message(t));
        cr_assert_eq(ad_run(w, 1, (const void *[]){wide}, (void *[]){want}), AD_OK);
        double *got = copy(h, 144);
        long double scale = 1;
        for (int i = 0; i < 144; i++)
            scale = fmaxl(scale, fabsl(want[i]));
        for (int i = 0; i < 144; i++)
            cr_assert(fabsl(got[i] - want[i]) <= 1e-13L * scale, "%s, entry %d: %.17g, not %.17Lg",
                      functions[k].name, i, got[i], want[i]);
        free(got);
        ad_work_free(w);
        ad_program_free(p);
        ad_free(t);
    }
}

Test(matrix, jacobian_of_values_that_do_not_depend_or_are_the_variable)
{
    ad_tape *t = ad_new();
    double v[3] = {1, 2, 3};
    ad_var x = ad_input(t, "x", 1, 3), z = ad_input(t, "z", 1, 2);
    ad_set(x, 1, v), ad_set(z, 1, v);
    double *j = copy(ad_jacobian(x, x), 9);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(j[i], i % 4 == 0);
    free(j);
    j = copy(ad_jacobian(z, x), 6);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(j[i], 0);
    free(j);
    cr_assert_eq(ad_value(ad_jacobian(ad_num(3), x))[2], 0);
    cr_assert_eq(ad_value(ad_hessian(ad_num(3), x))[8], 0);
    cr_assert_eq(ad_value(ad_hessian(ad_sum(x), x))[8], 0);
    ad_var y = ad_exp(x), w = ad_mul(y, y); /* a variable that is not an input */
    j = copy(ad_jacobian(w, y), 9);
    for (int i = 0; i < 9; i++)
        cr_assert_float_eq(j[i], i % 4 == 0 ? 2 * exp(v[i / 4]) : 0, 1e-14);
    free(j);
    cr_assert_eq(ad_status(t), AD_OK);
    ad_free(t);
}

Test(matrix, the_tape_grows_by_one_direction_not_by_all)
{
    int nodes[2];
    for (int k = 0; k < 2; k++) {
        int n = k ? 40 : 20;
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", 1, n), y = ad_sum(ad_square(ad_mul(ad_sin(x), ad_sum(ad_exp(x)))));
        nodes[k] = ad_nodes(t);
        ad_hessian(y, x);
        nodes[k] = ad_nodes(t) - nodes[k];
        cr_assert_eq(ad_status(t), AD_OK);
        ad_free(t);
    }
    cr_assert_eq(nodes[0], nodes[1]);
    cr_assert_lt(nodes[0], 60);
}

/* A network with a batch, and the quantities learning needs of it for each row. */
enum { B = 5, D = 2, HIDDEN_ = 3 };
static ad_var energy(ad_var z, ad_var W, ad_var b, ad_var V)
{
    return ad_matmul(ad_tanh(ad_add(ad_matmul(z, W), b)), V);
}
static void bind(ad_var z, const ad_var p[3], int first, int rows)
{
    double v[B * D], w[12];
    for (int i = 0; i < B * D; i++)
        v[i] = sin(3.1 * i + 1);
    ad_set(z, rows, v + first * D);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 12; i++)
            w[i] = cos(1.3 * i + k);
        ad_set(p[k], ad_rows(p[k]), w);
    }
}

Test(matrix, rows_of_a_batch_agree_with_one_row_at_a_time)
{
    for (int fixed = 0; fixed < 2; fixed++) {
        ad_tape *t = ad_new(), *u = ad_new();
        ad_tape *tape[2] = {t, u};
        ad_var out[2][8];
        ad_var z[2], p[2][3];
        for (int k = 0; k < 2; k++) { /* a batch, and one row */
            int rows = k ? 1 : fixed ? B : AD_BATCH;
            ad_var x = z[k] = ad_input(tape[k], "z", rows, D);
            ad_var W = p[k][0] = ad_input(tape[k], "W", D, HIDDEN_),
                   b = p[k][1] = ad_input(tape[k], "b", 1, HIDDEN_),
                   V = p[k][2] = ad_input(tape[k], "V", HIDDEN_, 1);
            ad_var W2 =
                ad_add(W, ad_mul(0.1, ad_matmul(W, ad_matmul_tn(W, W)))); /* parameters made of parameters */
            ad_var H = ad_add(energy(x, W2, b, V), ad_norm(ad_reshape(V, 1, HIDDEN_)));
            ad_var g = ad_grad(ad_sum(H), x);
            ad_var loss = ad_row_dot(ad_sub(g, x), ad_mul(g, ad_add(2, ad_sin(ad_cols_of(b, 0, 1)))));
            out[k][0] = ad_grad_rows(loss, x);
            out[k][1] = ad_jacobian_rows(g, x);
            out[k][2] = ad_jacobian_rows(ad_concat_cols(2, (ad_var[]){H, ad_sin(ad_row_outer(x, x))}), x);
            out[k][3] = ad_hessian_rows(loss, x);
            out[k][4] = ad_grad_rows(loss, W);
            out[k][5] = ad_grad_rows(loss, b);
            out[k][6] = ad_grad_rows(loss, V);
            out[k][7] = ad_jacobian_rows(H, x);
            cr_assert_eq(ad_status(tape[k]), AD_OK, "%s", ad_message(tape[k]));
        }
        bind(z[0], p[0], 0, B);
        for (int i = 0; i < 8; i++) {
            int c = ad_cols(out[0][i]);
            cr_assert_eq(c, ad_rows(out[1][i]) * ad_cols(out[1][i]), "%d", i);
            double *all = copy(out[0][i], B * c);
            for (int row = 0; row < B; row++) {
                bind(z[1], p[1], row, 1);
                double *one = copy(out[1][i], c);
                char what[40];
                snprintf(what, sizeof what, "quantity %d, row %d", i, row);
                same(what, all + row * c, one, c, 1e-13);
                free(one);
            }
            free(all);
        }
        ad_free(t);
        ad_free(u);
    }
}

Test(matrix, per_sample_gradients_add_up_to_the_gradient)
{
    ad_tape *t = ad_new();
    ad_var z = ad_input(t, "z", AD_BATCH, D), W = ad_input(t, "W", D, HIDDEN_),
           b = ad_input(t, "b", 1, HIDDEN_), V = ad_input(t, "V", HIDDEN_, 1), p[3] = {W, b, V};
    bind(z, p, 0, B);
    ad_var y =
        ad_add(ad_square(energy(z, W, b, V)), ad_at(b, 0, 1)); /* a share that is the same in every row */
    for (int i = 0; i < 3; i++) {
        int n = ad_rows(p[i]) * ad_cols(p[i]);
        double *rows = copy(ad_sum_rows(ad_grad_rows(y, p[i])), n), *g = copy(ad_grad(ad_sum(y), p[i]), n);
        same("sum", rows, g, n, 1e-14);
        free(rows), free(g);
    }
    cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
    ad_free(t);
}

Test(matrix, rows_that_are_reshaped_stay_apart)
{
    ad_tape *t = ad_new();
    double v[12], ignore[12];
    point(v, ignore);
    ad_var x = ad_input(t, "x", AD_BATCH, 4), w = ad_input(t, "w", 2, 2);
    ad_set(x, 3, v), ad_set(w, 2, v);
    ad_var pairs = ad_matmul(ad_reshape(x, -2, 2), w); /* two rows for each */
    ad_var y = ad_sum_cols(ad_reshape(ad_mul(ad_exp(pairs), ad_norm(pairs)), AD_BATCH, 4));
    double *per = copy(ad_grad_rows(y, w), 12), *total = copy(ad_grad(ad_sum(y), w), 4), sum[4] = {0};
    for (int i = 0; i < 12; i++)
        sum[i % 4] += per[i];
    same("w", sum, total, 4, 1e-14);
    double *rows = copy(ad_grad_rows(y, x), 12), *g = copy(ad_grad(ad_sum(y), x), 12);
    same("x", rows, g, 12, 1e-15);
    free(per), free(total), free(rows), free(g);
    cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
    ad_free(t);
}

Test(matrix, a_hessian_in_parameters_passes_through_a_batch)
{
    ad_tape *t = ad_new();
    ad_var z = ad_input(t, "z", AD_BATCH, D), W = ad_input(t, "W", D, HIDDEN_),
           b = ad_input(t, "b", 1, HIDDEN_), V = ad_input(t, "V", HIDDEN_, 1), p[3] = {W, b, V}, q[3];
    bind(z, p, 0, B);
    ad_var theta = ad_pack(3, p);
    cr_assert_eq(ad_unpack(theta, 3, p, q), AD_OK);
    ad_var loss = ad_mean(ad_square(energy(z, q[0], q[1], q[2])));
    int n = ad_cols(theta);
    double *h = copy(ad_hessian(loss, theta), n * n),
           *w = copy(ad_hessian(ad_mean(ad_square(energy(z, W, b, V))), W), 36);
    double *j = copy(ad_jacobian(ad_grad(loss, theta), theta), n * n);
    same("jacobian of the gradient", j, h, n * n, 1e-14);
    for (int i = 0; i < n; i++) {
        double *col = copy(ad_hvp(loss, theta, unit(t, 1, n, i)), n), mine[64];
        for (int k = 0; k < n; k++)
            mine[k] = h[k * n + i];
        same("hvp", mine, col, n, 1e-14);
        if (i < 6)
            same("block of W", w + 6 * i, col, 6, 1e-14);
        free(col);
    }
    free(h), free(w), free(j);
    ad_free(t);
}

Test(matrix, matrices_pass_through_called_functions)
{
    double v[3] = {0.3, -0.7, 1.1};
    ad_tape *ft = ad_new(), *t = ad_new();
    ad_var u = ad_input(ft, "u", 1, 3), w = ad_mul(ad_sin(u), ad_sum(ad_exp(u)));
    ad_func *f = ad_func_new(1, &u, 1, &w);
    ad_var x = ad_input(t, "x", 1, 3), y[2], z = ad_input(t, "z", AD_BATCH, 3), p = ad_input(t, "p", 1, 3), c;
    ad_set(x, 1, v);
    y[0] = ad_mul(ad_sin(x), ad_sum(ad_exp(x)));
    cr_assert_eq(ad_call(t, f, &x, &y[1]), AD_OK, "%s", ad_message(t));
    double *h[2], *j[2], *g[2];
    for (int k = 0; k < 2; k++) {
        int nnz, *row, *col;
        h[k] = copy(ad_hessian(ad_sum(ad_square(y[k])), x), 9);
        j[k] = copy(ad_jacobian(y[k], x), 9);
        ad_var s = ad_hessian_sparse(ad_sum(ad_square(y[k])), x, &nnz, &row, &col);
        cr_assert_eq(nnz, 6, "%d: %d %s", k, nnz, ad_message(t));
        g[k] = copy(s, 6);
        free(row), free(col);
        ad_var d = ad_grad(ad_sum(y[k]), y[k]); /* in the result itself */
        cr_assert_eq(ad_value(d)[2], 1);
    }
    same("hessian", h[1], h[0], 9, 1e-14);
    same("jacobian", j[1], j[0], 9, 1e-14);
    same("sparse", g[1], g[0], 6, 1e-14);
    for (int k = 0; k < 2; k++)
        free(h[k]), free(j[k]), free(g[k]);
    cr_assert_eq(ad_call(t, f, &p, &c), AD_OK);
    cr_assert(ad_is_void(ad_grad_rows(ad_sum_cols(ad_mul(z, c)), p)));
    cr_assert_eq(ad_status(t), AD_EUNSUPPORTED, "%s", ad_message(t));
    cr_assert(strstr(ad_message(t), "ad_grad_rows: ad_") && strstr(ad_message(t), "lies between y and x"),
              "%s", ad_message(t));
    ad_free(t);
    ad_free(ft);
    ad_func_free(f);
}

/* Rows of calls, loops, roots and callbacks: x [B,2] -> [B,2]. */
static int square_each(void *user, int nin, const double *const in[], const int in_rows[],
                       const int in_cols[], double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols;
    for (int i = 0; i < rows * cols; i++)
        out[i] = in[0][i] * in[0][i];
    return 0;
}
static int square_pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy,
                           ad_var din[])
{
    (void)user, (void)t, (void)nin, (void)y;
    din[0] = ad_mul(dy, ad_mul(2, in[0]));
    return 0;
}

enum { CALLED, LOOPED, GRADIENT, ROOTED, CALLBACK, KINDS };
/* mix: something of all rows comes in. The number of rows of x inside the function is `rows`. */
static ad_var through(int kind, ad_var x, int rows, int mix)
{
    ad_tape *t = ad_new();
    ad_var z = ad_input(t, "z", rows, 2), y = ad_input(t, "y", rows, 2), out = x;
    ad_var turned = ad_concat_cols(2, (ad_var[]){ad_cols_of(z, 1, 1), ad_cols_of(z, 0, 1)});
    ad_var step = ad_add(z, ad_mul(0.1, ad_mul(ad_sin(z), mix ? ad_mean(z) : turned)));
    ad_var residual = ad_sub(ad_add(y, ad_mul(0.2, ad_sin(y))), mix ? ad_mean(z) : ad_mul(z, turned));
    ad_func *f = ad_func_new(1, &z, 1, &step), *F = ad_func_new(2, (ad_var[]){y, z}, 1, &residual);
    if (kind == CALLED)
        ad_call(x.tape, f, &x, &out);
    else if (kind == ROOTED)
        out = ad_root(x.tape, F, x, 1, &x, NULL);
    else if (kind == CALLBACK)
        out = ad_custom(x.tape,
                        &(ad_callback){.value = square_each, .pullback = square_pullback, .row_local = !mix},
                        1, &x, ad_rows(x), 2);
    else
        ad_scan(x.tape, &(ad_scan_spec){.f = f, .count = 3, .ncarry = 1, .carry = &x, .carry_out = &out});
    if (kind == GRADIENT)
        out = ad_grad(ad_sum(ad_square(out)), x);
    ad_func_free(f);
    ad_func_free(F);
    ad_free(t);
    return out;
}

Test(matrix, rows_pass_through_calls_loops_roots_and_callbacks)
{
    enum { ROWS = 3 };
    static const char *const name[KINDS] = {"ad_call", "ad_scan", "ad_scan", "ad_root", "ad_custom"};
    for (int kind = 0; kind < KINDS; kind++)
        for (int batch = 0; batch < 2; batch++) { /* the function has a batch, or as many fixed rows */
            ad_tape *t = ad_new();
            ad_var x = ad_input(t, "x", ROWS, 2);
            double v[2 * ROWS], want[4 * ROWS * ROWS];
            for (int i = 0; i < 2 * ROWS; i++)
                v[i] = 0.3 + 0.2 * i;
            ad_set(x, ROWS, v);
            ad_var y = through(kind, x, batch ? AD_BATCH : ROWS, 0), j = ad_jacobian_rows(y, x);
            ad_var sum = ad_sum_cols(ad_sin(y)), g = ad_grad_rows(sum, x), h = ad_hessian_rows(sum, x);
            cr_assert_eq(ad_status(t), AD_OK, "%s: %s", name[kind], ad_message(t));
            memcpy(want, ad_value(ad_jacobian(y, x)), sizeof want);
            for (int r = 0; r < ROWS; r++)
                for (int e = 0; e < 4; e++)
                    cr_assert_float_eq(ad_value(j)[4 * r + e],
                                       want[(2 * r + e / 2) * 2 * ROWS + 2 * r + e % 2], 1e-13, "%s",
                                       name[kind]);
            memcpy(want, ad_value(ad_hessian(ad_sum(sum), x)), sizeof want);
            for (int r = 0; r < ROWS; r++)
                for (int e = 0; e < 4; e++)
                    cr_assert_float_eq(ad_value(h)[4 * r + e],
                                       want[(2 * r + e / 2) * 2 * ROWS + 2 * r + e % 2], 1e-12, "%s",
                                       name[kind]);
            memcpy(want, ad_value(ad_grad(ad_sum(sum), x)), 2 * ROWS * sizeof *want);
            cr_assert(!memcmp(ad_value(g), want, 2 * ROWS * sizeof *want));
            ad_var bad = through(kind, x, batch ? AD_BATCH : ROWS, 1);
            cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
            cr_assert(ad_is_void(ad_jacobian_rows(bad, x)));
            cr_assert_eq(ad_status(t), AD_ESHAPE);
            cr_assert(strstr(ad_message(t), "depends on other rows") && strstr(ad_message(t), name[kind]),
                      "%s", ad_message(t));
            ad_free(t);
        }
}

Test(matrix, poisson_brackets_obey_their_identities)
{
    for (int batch = 0; batch < 2; batch++) {
        ad_tape *t = ad_new();
        int rows = batch ? AD_BATCH : 1, B1 = batch ? 4 : 1;
        double vq[12], vp[12];
        point(vq, vp);
        ad_var q = ad_input(t, "q", rows, 3), p = ad_input(t, "p", rows, 3);
        ad_set(q, B1, vq), ad_set(p, B1, vp);
        ad_var r = ad_norm(q), H = ad_sub(ad_mul(0.5, ad_row_dot(p, p)), ad_div(1, r));
        ad_var L[3];
        for (int i = 0; i < 3; i++) {
            int a = (i + 1) % 3, b = (i + 2) % 3;
            L[i] = ad_sub(ad_mul(ad_cols_of(q, a, 1), ad_cols_of(p, b, 1)),
                          ad_mul(ad_cols_of(q, b, 1), ad_cols_of(p, a, 1)));
        }
        ad_var f = ad_mul(ad_sin(ad_cols_of(q, 0, 1)), ad_exp(ad_cols_of(p, 1, 1)));
        ad_var zero[] = {ad_poisson(L[0], H, q, p),
                         ad_sub(ad_poisson(L[0], L[1], q, p), L[2]),
                         ad_poisson(f, f, q, p),
                         ad_add(ad_poisson(f, H, q, p), ad_poisson(H, f, q, p)),
                         ad_sub(ad_poisson(ad_cols_of(q, 1, 1), ad_cols_of(p, 1, 1), q, p), 1),
                         ad_poisson(ad_num(2), H, q, p),
                         ad_add_n(3, (ad_var[]){ad_poisson(f, ad_poisson(H, L[0], q, p), q, p), /* Jacobi */
                                                ad_poisson(H, ad_poisson(L[0], f, q, p), q, p),
                                                ad_poisson(L[0], ad_poisson(f, H, q, p), q, p)})};
        for (size_t k = 0; k < sizeof zero / sizeof *zero; k++) {
            cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
            cr_assert(ad_rows(zero[k]) == rows && ad_cols(zero[k]) == 1, "bracket %zu", k);
            const double *z = ad_value(ad_add(zero[k], ad_mul(0, H)));
            for (int i = 0; i < B1; i++)
                cr_assert(fabs(z[i]) <= 1e-13, "bracket %zu, row %d: %g", k, i, z[i]);
        }
        ad_free(t);
    }
}

Test(matrix, packs_return_what_was_put_in)
{
    ad_tape *t = ad_new();
    double v[12], w[12];
    point(v, w);
    ad_var x[3] = {ad_input(t, "a", 3, 4), ad_num(7), ad_input(t, "b", 2, 1)}, y[3];
    ad_set(x[0], 3, v), ad_set(x[2], 2, w);
    ad_var flat = ad_pack(3, x);
    cr_assert(ad_rows(flat) == 1 && ad_cols(flat) == 15);
    cr_assert_eq(ad_unpack(flat, 3, x, y), AD_OK);
    double *a = copy(y[0], 12);
    same("a", a, v, 12, 0);
    cr_assert_eq(ad_scalar(y[1]), 7);
    cr_assert(ad_rows(y[2]) == 2 && ad_value(y[2])[1] == w[1]);
    free(a);
    ad_free(t);
}

Test(matrix, errors_say_what_was_given_and_needed)
{
    ad_tape *t = ad_new(), *other = ad_new();
    ad_var x = ad_input(t, "x", AD_BATCH, 3), w = ad_input(t, "w", 3, 2), s = ad_input(t, "s", 1, 1);
    ad_var o = ad_input(other, "o", 1, 1), out[2], y = ad_sum_cols(ad_matmul(x, w));
    ad_var mixed = ad_mul(y, ad_sum(y)), moved = ad_concat_rows(2, (ad_var[]){x, x});
    ad_var f = ad_input(t, "f", 4, 3);
#define REFUSED(call, code, text)                                                                            \
    do {                                                                                                     \
        call;                                                                                                \
        cr_assert_eq(ad_status(t), code, "%s: %s", #call, ad_message(t));                                    \
        cr_assert_str_eq(ad_message(t), text);                                                               \
        ad_clear(t);                                                                                         \
    } while (0)
    REFUSED(
        ad_jacobian(y, w), AD_ESHAPE,
        "ad_jacobian: y is [B,1], x is [3,2]; needs fixed numbers of rows (for a batch: ad_jacobian_rows)");
    REFUSED(ad_hessian(y, x), AD_ESHAPE, "ad_hessian: y is [B,1]; needs [1,1]");
    REFUSED(ad_hessian(s, x), AD_ESHAPE,
            "ad_hessian: y is [1,1], x is [B,3]; needs fixed numbers of rows (for a batch: ad_hessian_rows)");
    REFUSED(ad_jacobian(s, ad_num(1)), AD_EARG, "ad_jacobian: x is a number; needs a recorded value");
    REFUSED(ad_grad_rows(x, x), AD_ESHAPE, "ad_grad_rows: y is [B,3], x is [B,3]; needs [B,1] and [B,n]");
    REFUSED(ad_jacobian_rows(x, w), AD_ESHAPE,
            "ad_jacobian_rows: y is [B,3], x is [3,2]; needs [B,m] and [B,n]");
    REFUSED(ad_jacobian_rows(moved, moved), AD_ESHAPE,
            "ad_jacobian_rows: y is [2B,3], x is [2B,3]; needs [B,m] and [B,n]");
    REFUSED(ad_grad_rows(ad_num(1), x), AD_EARG, "ad_grad_rows: y is a number; needs a recorded value");
    char text[200];
    ad_var loop[] = {mixed, ad_sum_cols(ad_matmul(x, ad_matmul_tn(x, x))),
                     ad_sum_cols(ad_slice(moved, 1 - 1, -1, 0, 3))};
    const char *why[] = {"ad_sum_rows (node %d) sums over them", "ad_matmul (node %d) sums over them",
                         "ad_concat_rows (node %d) moves them"};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            const char *name[] = {"ad_grad_rows", "ad_jacobian_rows", "ad_hessian_rows"};
            ad_var r = k == 0   ? ad_grad_rows(loop[i], x)
                       : k == 1 ? ad_jacobian_rows(loop[i], x)
                                : ad_hessian_rows(loop[i], x);
            cr_assert(ad_is_void(r));
            cr_assert_eq(ad_status(t), AD_ESHAPE);
            snprintf(text, sizeof text, "%s: row i of y depends on other rows than row i of x: ", name[k]);
            cr_assert_eq(strncmp(ad_message(t), text, strlen(text)), 0, "%s", ad_message(t));
            int node;
            cr_assert_eq(sscanf(ad_message(t) + strlen(text), why[i], &node), 1, "%s", ad_message(t));
            cr_assert(strstr(ad_message(t), i == 2 ? "moves them" : "sums over them"));
            ad_clear(t);
        }
    ad_grad_rows(mixed, w);
    cr_assert(strstr(ad_message(t),
                     "ad_grad_rows: row i of y depends on other rows than row i of the batch: ad_sum_rows"),
              "%s", ad_message(t));
    ad_clear(t);
    const ad_var fixed[] = {ad_sum_cols(ad_matmul(ad_const(t, 4, 4, (double[16]){1}), f)),
                            ad_sum_cols(ad_gather_rows(f, 4, (int[]){0, 1, 2, 3})),
                            ad_sum_cols(ad_matmul(f, ad_reshape(ad_transpose(f), 3, 4)))};
    for (int i = 0; i < 3; i++) {
        cr_assert(ad_is_void(ad_grad_rows(fixed[i], f)));
        cr_assert_eq(ad_status(t), AD_ESHAPE, "%d: %s", i, ad_message(t));
        ad_clear(t);
    }
    REFUSED(ad_poisson(y, y, x, w), AD_ESHAPE, "ad_poisson: q is [B,3], p is [3,2]; needs equal shapes");
    REFUSED(ad_poisson(w, s, w, w), AD_ESHAPE,
            "ad_poisson: f is [3,2], q is [3,2]; needs [1,1], or [B,1] with q and p [B,n]");
    REFUSED(ad_poisson(y, s, x, x), AD_ESHAPE, "ad_poisson: f is [B,1], g is [1,1]; needs equal shapes");
    REFUSED(ad_pack(2, (ad_var[]){s, x}), AD_ESHAPE,
            "ad_pack: value 2 is [B,3]; needs a fixed number of rows");
    REFUSED(ad_unpack(w, 1, &s, out), AD_ESHAPE, "ad_unpack: [3,2] into 1 values; needs [1,1]");
    REFUSED(ad_unpack(s, 1, &x, out), AD_ESHAPE,
            "ad_unpack: value 1 is like [B,3]; needs a fixed number of rows");
    cr_assert(ad_is_void(ad_pack(0, &s)));
    REFUSED(ad_jacobian(o, s), AD_ETAPE, "ad_jacobian: y 1 is on another tape");
    REFUSED(ad_poisson(mixed, mixed, x, x), AD_ESHAPE, ad_message(t));
    cr_assert(ad_is_void(ad_hessian(ad_sin(ad_matmul(x, x)), x)));
    cr_assert(ad_is_void(ad_grad_rows(ad_poisson(mixed, s, x, x), x)));
    ad_free(t);
    ad_free(other);
}

Test(matrix, every_allocation_that_fails_is_an_error_and_no_leak)
{
    for (int what = 0; what < 9; what++)
        for (long n = 1;; n++) {
            failalloc_arm(n, what % 2);
            ad_tape *t = ad_new();
            int status = AD_ENOMEM;
            if (t) {
                ad_var x = ad_input(t, "x", 1, 4), z = ad_input(t, "z", AD_BATCH, 2),
                       w = ad_input(t, "w", 2, 2), out[2];
                ad_var y = ad_sum(ad_matmul_tn(ad_sin(x), ad_square(x))),
                       e = ad_sum_cols(ad_tanh(ad_matmul(z, w)));
                switch (what) {
                case 0:
                    ad_hessian(y, x);
                    break;
                case 1:
                    ad_jacobian(ad_sin(x), x);
                    break;
                case 2:
                    ad_hessian(ad_mean(e), w);
                    break;
                case 3:
                    ad_grad_rows(e, w);
                    break;
                case 4:
                    ad_jacobian_rows(ad_tanh(z), z);
                    break;
                case 5:
                    ad_hessian_rows(e, z);
                    break;
                case 6:
                    ad_unpack(ad_pack(2, (ad_var[]){x, w}), 2, (ad_var[]){x, w}, out);
                    break;
                case 7: /* blocks that are put side by side, and that overlap */
                    for (int i = 0; i < 2; i++) {
                        ad_var s = ad_num(0);
                        for (int j = 0; j < 3; j++)
                            s = ad_add(s, ad_sum(ad_sin(ad_cols_of(x, j, i + 1))));
                        ad_grad(s, x);
                    }
                    break;
                default:
                    ad_poisson(ad_sum(ad_sin(x)), ad_sum(x), x, ad_sin(x));
                }
                status = ad_status(t);
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
