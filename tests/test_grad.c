/* test_grad.c - derivatives against independent ones. Elementwise rows: the row's own expression in long
 * double, differentiated by 13-point differences. Everything else: products of vjp and jvp, and differences.
 *
 * SPDX-License-Identifier: MIT */
#include "grad_functions.h"
#include "grad_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(grad, every_row_has_its_derivatives_to_order_3)
{
    for (int i = 0; i < NROWS; i++) {
        const row *r = &rows[i];
        for (int side = 0; side < (r->two ? 2 : 1); side++)
            for (int k = 1; k < 8; k++) {
                double va = r->lo + (r->hi - r->lo) * k / 8.0,
                       vb = r->lo + (r->hi - r->lo) * ((3 * k + 1) % 8 + 0.5) / 8.6;
                ad_tape *t = ad_new();
                ad_var a = ad_input(t, "a", 1, 1), b = ad_input(t, "b", 1, 1);
                ad_set(a, 1, &va);
                ad_set(b, 1, &vb);
                ad_var y = r->one ? r->one(a) : r->two(a, b);
                cr_assert_float_eq(ad_scalar(y), (double)r->ref(va, vb),
                                   1e-15 * 8 * (1 + fabs((double)r->ref(va, vb))), "%s(%g, %g)", r->name, va,
                                   vb);
                long double scale = fabsl(r->ref(va, vb)); /* worst over the value and the lower orders */
                for (int order = 1; order <= 3; order++) {
                    y = ad_grad(y, side ? b : a);
                    long double want = derivative(r, order, side, va, vb, 0.011L);
                    /* the oracle's own error: what half the step changes */
                    long double doubt = fabsl(want - derivative(r, order, side, va, vb, 0.0055L));
                    scale = fmaxl(fmaxl(scale, fabsl(want)), 0.1L);
                    double got = ad_scalar(y);
                    cr_assert(doubt <= 1e-9L * scale && fabsl(got - want) <= 1e-12L * scale + 2 * doubt,
                              "%s, order %d, operand %d at (%g, %g): %.17g, not %.17Lg", r->name, order,
                              side + 1, va, vb, got, want);
                }
                cr_assert_eq(ad_status(t), AD_OK, "%s: %s", r->name, ad_message(t));
                ad_free(t);
            }
    }
}

static ad_var f_stop(ad_var x) { return ad_sum(ad_mul(ad_sub(x, ad_stop(x)), ad_exp(x))); }

/* Differences of order 6 in double: h^6 and eps/h balance near 1e-11 relative. */
static const double diff_weight[3] = {0.75, -0.15, 1.0 / 60};

Test(grad, shape_operations_agree_with_differences_and_forward_mode)
{
    double v[12], dir[12];
    point(v, dir);
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", 3, 4), d = ad_const(t, 3, 4, dir);
        ad_set(x, 3, v);
        ad_var y = functions[k].f(x);
        ad_var g = ad_grad(y, x), dy, h = ad_hvp(y, x, d);
        ad_jvp(1, &y, 1, &x, &d, &dy);
        ad_var vv = ad_grad(ad_dot(g, d), x); /* the VJP of the VJP is the oracle of the HVP */
        ad_var third = ad_dot(ad_grad(ad_dot(h, d), x), d), third2;
        ad_var yy = ad_dot(h, d);
        ad_jvp(1, &yy, 1, &x, &d, &third2);
        cr_assert_eq(ad_status(t), AD_OK, "%s: %s", functions[k].name, ad_message(t));
        double gd = ad_scalar(ad_dot(g, d)), j = ad_scalar(dy), scale = 1 + fabs(gd);
        cr_assert(fabs(gd - j) <= 1e-13 * scale, "%s: gradient.v %.17g, tangent %.17g", functions[k].name, gd,
                  j);
        double t1 = ad_scalar(third), t2 = ad_scalar(third2);
        cr_assert(fabs(t1 - t2) <= 1e-11 * (1 + fabs(t1)), "%s: order 3: %.17g and %.17g", functions[k].name,
                  t1, t2);
        double hv[12], hw[12], fd = 0, fdh[12] = {0};
        for (int i = 0; i < 12; i++) {
            hv[i] = ad_value(h)[i];
            hw[i] = ad_value(vv)[i];
            scale = fmax(scale, fabs(hv[i]));
        }
        for (int i = 0; i < 12; i++)
            cr_assert(fabs(hv[i] - hw[i]) <= 1e-12 * scale, "%s: hvp[%d] %.17g and %.17g", functions[k].name,
                      i, hv[i], hw[i]);
        for (int s = 0; s < 6; s++) {
            int m = s / 2 + 1, sign = s % 2 ? -1 : 1;
            double w[12], eps = 1e-2;
            for (int i = 0; i < 12; i++)
                w[i] = v[i] + sign * m * eps * dir[i] / 4;
            ad_set(x, 3, w);
            fd += sign * diff_weight[m - 1] * ad_scalar(y) / (eps / 4);
            for (int i = 0; i < 12; i++)
                fdh[i] += sign * diff_weight[m - 1] * ad_value(g)[i] / (eps / 4);
        }
        cr_assert(fabs(fd - gd) <= 3e-9 * scale, "%s: gradient.v %.17g, differences %.17g", functions[k].name,
                  gd, fd);
        for (int i = 0; i < 12; i++)
            cr_assert(fabs(fdh[i] - hv[i]) <= 3e-8 * scale, "%s: hvp[%d] %.17g, differences %.17g",
                      functions[k].name, i, hv[i], fdh[i]);
        ad_free(t);
    }
}

/* A constant adjoint is kept as a number or a row while it is the same for all: it still counts every element. */
Test(grad, gradient_of_a_plain_sum_counts_every_repetition_of_an_operand)
{
    enum { R = 5, C = 3 };
    double v[R * C], w[C] = {0.5, -1, 2}, u[R] = {1, 2, 3, 4, 5}, one = 0.7, first_column = 0;
    for (int i = 0; i < R * C; i++) {
        v[i] = sin(i + 1.0);
        first_column += i % C ? 0 : v[i];
    }
    for (int batch = 0; batch < 2; batch++) {
        ad_tape *t = ad_new();
        int n = batch ? AD_BATCH : R;
        ad_var x = ad_input(t, "x", n, C), b = ad_input(t, "b", 1, C), c = ad_input(t, "c", n, 1),
               s = ad_input(t, "s", 1, 1), p[4] = {x, b, c, s};
        ad_set(x, R, v), ad_set(b, 1, w), ad_set(c, R, u), ad_set(s, 1, &one);
        const struct {
            ad_var y;
            double want[4]; /* each element of the gradient */
        } sums[] = {
            {ad_sum(ad_add(x, b)), {1, R, 0, 0}},
            {ad_sum(ad_sub(x, s)), {1, 0, 0, -R * C}},
            {ad_sum(ad_add(c, b)), {0, R, C, 0}},
            {ad_sum(ad_add_n(4, p)), {1, R, C, R * C}},
            {ad_sum(ad_sum_cols(ad_add(x, c))), {1, 0, C, 0}},
            {ad_sum(ad_where(ad_lt(ad_num(-9), x), b, s)), {0, R, 0, 0}},
            {ad_sum(ad_add(ad_sum_rows(ad_mul(ad_num(2), x)), s)), {2, 0, 0, C}},
            {ad_sum(ad_add(x, ad_mul(ad_num(3), ad_add(b, s)))), {1, 3 * R, 0, 3 * R * C}},
            {ad_sum(ad_matmul(c, b)), {0, 15, 1.5, 0}}, /* sums of u and of w */
            {ad_sum(ad_matmul(c, ad_const(t, 1, R, u))), {0, 0, 15, 0}},
            {ad_sum(ad_matmul(x, ad_reshape(b, C, 1))), {w[0], first_column, 0, 0}},
            {ad_sum(ad_matmul_nt(x, b)), {w[0], first_column, 0, 0}},
        };
        for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
            ad_var g[4];
            cr_assert_eq(ad_grads(sums[k].y, 4, p, g), AD_OK, "%s", ad_message(t));
            for (int i = 0; i < 4; i++) {
                const double *got = ad_value(g[i]);
                cr_assert(got, "%s", ad_message(t));
                cr_assert_float_eq(got[0], sums[k].want[i], 1e-14, "sum %zu, operand %d: %g, not %g", k, i,
                                   got[0], sums[k].want[i]);
            }
        }
        ad_free(t);
    }
}

/* Elements and blocks taken out one by one: their adjoints are put side by side (apart) or added up (overlapping). */
Test(grad, gradient_of_blocks_has_every_block_at_its_place)
{
    static const struct {
        int rows, cols, high, wide,
            step; /* blocks of high x wide elements, every step columns; high 0: all rows */
    } layouts[] = {{1, 12, 1, 1, 1},       {12, 1, 1, 1, 1},       {3, 4, 1, 1, 1},       {3, 4, 1, 2, 1},
                   {3, 4, 2, 2, 1},        {3, 4, 2, 4, 1},        {1, 12, 1, 3, 4},      {1, 12, 1, 2, 3},
                   {AD_BATCH, 4, 0, 1, 1}, {AD_BATCH, 4, 0, 2, 1}, {AD_BATCH, 7, 0, 1, 2}};
    double v[21];
    for (int i = 0; i < 21; i++)
        v[i] = sin(2.0 * i + 1);
    for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
        ad_tape *t = ad_new();
        int r = layouts[k].rows, c = layouts[k].cols, high = layouts[k].high, wide = layouts[k].wide, n = 0;
        int down = r < 0 ? 1 : r;
        double count[12 * 12] = {0}; /* how often each element is taken, weighted */
        ad_var x = ad_input(t, "x", r, c), sum[100], y = ad_num(0);
        ad_set(x, r < 0 ? 3 : r, v);
        for (int i = 0; i + (high ? high : 1) <= down; i++)
            for (int j = 0; j + wide <= c; j += layouts[k].step) {
                ad_var b = high ? ad_slice(x, i, high, j, wide) : ad_cols_of(x, j, wide);
                sum[n] = ad_mul(n + 1, ad_sum(ad_exp(b)));
                for (int p = 0; p < (high ? high : 1); p++)
                    for (int q = 0; q < wide; q++)
                        count[(i + p) * c + j + q] += n + 1;
                n++;
            }
        for (int i = 0; i < n; i++)
            y = ad_add(y, sum[i]);
        ad_var w = ad_const(t, down, c, count), plain = ad_sum(ad_mul(w, ad_exp(x)));
        ad_var g[3], h[3]; /* to order 3 */
        for (int order = 0; order < 3; order++) {
            g[order] = y = ad_grad(order ? ad_sum(ad_mul(y, x)) : y, x);
            h[order] = plain = ad_grad(order ? ad_sum(ad_mul(plain, x)) : plain, x);
            double want[36];
            int size = (r < 0 ? 3 : r) * c;
            memcpy(want, ad_value(h[order]), (size_t)size * sizeof *want);
            const double *got = ad_value(g[order]);
            cr_assert(got, "%s", ad_message(t));
            for (int i = 0; i < size; i++)
                cr_assert(fabs(got[i] - want[i]) <= 1e-12 * (1 + fabs(want[i])),
                          "layout %zu, order %d, %d: %g, not %g", k, order, i, got[i], want[i]);
        }
        ad_free(t);
    }
}

Test(grad, gradient_in_a_block_stops_at_the_block)
{
    double v[5] = {1, 2, 3, 4, 5};
    ad_tape *t = ad_new();
    ad_var z = ad_input(t, "z", 1, 5), q = ad_cols_of(z, 0, 2), g[2];
    ad_set(z, 1, v);
    ad_var y = ad_sum(ad_square(q));
    for (int i = 0; i < 2; i++)
        y = ad_add(y, ad_square(ad_at(q, 0, i)));
    ad_grads(y, 2, (ad_var[]){q, z}, g);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < (k ? 5 : 2); i++)
            cr_assert_eq(ad_value(g[k])[i], i < 2 ? 4 * v[i] : 0);
    ad_free(t);
}

Test(grad, stop_blocks_a_derivative)
{
    double v[12], dir[12];
    point(v, dir);
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 3, 4);
    ad_set(x, 3, v);
    ad_var g = ad_grad(f_stop(x), x);
    for (int i = 0; i < 12; i++)
        cr_assert_float_eq(ad_value(g)[i], exp(v[i]), 1e-14);
    ad_free(t);
}

/* Each is singular, or becomes so on differentiating, where its operand is 0. */
static ad_var edge_sqrt(ad_var x) { return ad_sqrt(x); }
static ad_var edge_cbrt(ad_var x) { return ad_cbrt(x); }
static ad_var edge_log(ad_var x) { return ad_log(x); }
static ad_var edge_log1p(ad_var x) { return ad_log1p(ad_sub(x, 1)); }
static ad_var edge_pow(ad_var x) { return ad_pow(x, 0.3); }
static ad_var edge_pow_both(ad_var x) { return ad_pow(x, x); }
static ad_var edge_div(ad_var x) { return ad_div(1, x); }
static ad_var edge_div_0(ad_var x) { return ad_div(x, ad_square(x)); }
static ad_var edge_asin(ad_var x) { return ad_asin(ad_sub(1, x)); }
static ad_var edge_acos(ad_var x) { return ad_acos(ad_sub(x, 1)); }
static ad_var edge_acosh(ad_var x) { return ad_acosh(ad_add(x, 1)); }
static ad_var edge_acosh_nan(ad_var x) { return ad_acosh(x); }
static ad_var edge_atanh(ad_var x) { return ad_atanh(ad_sub(1, x)); }
static ad_var edge_norm(ad_var x) { return ad_norm(ad_expand(x, 1, 3)); }
static ad_var edge_hypot(ad_var x) { return ad_hypot(x, ad_mul(2, x)); }
static ad_var edge_atan2(ad_var x) { return ad_atan2(x, ad_square(x)); }
static ad_var edge_product(ad_var x) { return ad_mul(ad_sqrt(x), ad_log(x)); }
static ad_var edge_chain(ad_var x)
{
    return ad_sin(ad_mul(ad_exp(ad_cbrt(x)), ad_div(ad_cbrt(x), ad_sqrt(x))));
}
static ad_var edge_square(ad_var x) { return ad_square(ad_mul(3, ad_log(x))); }
static ad_var edge_sum(ad_var x)
{
    return ad_add_n(3, (ad_var[]){ad_log(x), ad_div(1, x), ad_exp(ad_sqrt(x))});
}
static ad_var edge_tan(ad_var x) { return ad_tan(ad_atan(ad_div(1, x))); }
static ad_var edge_lse(ad_var x) { return ad_logsumexp(ad_concat_cols(2, (ad_var[]){ad_log(x), ad_log(x)})); }

/* Reverse mode, and once forward mode over it. */
static ad_var next_order(ad_var y, ad_var x, int order)
{
    ad_var one = ad_const(x.tape, 1, 1, (double[]){1}), d;
    if (order != 1)
        return ad_grad(y, x);
    ad_jvp(1, &y, 1, &x, &one, &d);
    return d;
}

Test(grad, where_keeps_singular_branches_out_to_every_order)
{
    static const struct {
        const char *name;
        ad_var (*f)(ad_var);
    } edges[] = {{"sqrt", edge_sqrt},     {"cbrt", edge_cbrt},        {"log", edge_log},
                 {"log1p", edge_log1p},   {"pow", edge_pow},          {"x^x", edge_pow_both},
                 {"div", edge_div},       {"0/0", edge_div_0},        {"asin", edge_asin},
                 {"acos", edge_acos},     {"acosh", edge_acosh},      {"acosh of NaN", edge_acosh_nan},
                 {"atanh", edge_atanh},   {"norm", edge_norm},        {"hypot", edge_hypot},
                 {"atan2", edge_atan2},   {"sqrt log", edge_product}, {"chain", edge_chain},
                 {"square", edge_square}, {"sum", edge_sum},          {"tan", edge_tan},
                 {"logsumexp", edge_lse}};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        for (int form = 0; form < 3; form++) {
            ad_tape *t = ad_new();
            double at[2] = {0, 0.7};
            ad_var x = ad_input(t, "x", 1, 1), zero = ad_num(0);
            ad_var f = edges[i].f(x), free = f, y;
            if (form == 0)
                y = ad_where(ad_lt(0, x), f, 0);
            else if (form == 1)
                y = ad_where(ad_le(x, 0), zero, ad_mul(ad_exp(x), f));
            else /* the mask below other operations */
                y = ad_add(ad_mul(-2, ad_sum(ad_where(ad_lt(0, ad_expand(x, 2, 3)), ad_mul(f, f), 0))), 0);
            if (form)
                free = form == 1 ? ad_mul(ad_exp(x), f) : ad_mul(-12, ad_mul(f, f));
            for (int order = 0; order < 4; order++) {
                ad_set(x, 1, &at[0]);
                double got = ad_scalar(y);
                cr_assert_eq(got, 0, "%s, form %d, order %d: %g", edges[i].name, form, order, got);
                ad_set(x, 1, &at[1]); /* and away from the edge nothing is lost */
                double a = ad_scalar(y), b = ad_scalar(free);
                cr_assert((isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fmax(1, fabs(b)),
                          "%s, form %d, order %d: %.17g, not %.17g", edges[i].name, form, order, a, b);
                free = ad_grad(free, x);
                y = form == 2 ? next_order(y, x, order) : ad_grad(y, x);
            }
            ad_free(t);
        }
}

Test(grad, an_hnn_loss_has_the_right_parameter_gradient_on_a_batch)
{
    enum { B = 7, H = 5 };
    ad_tape *t = ad_new();
    double w1[2 * H], b1[H], w2[H], z[B * 2];
    for (int i = 0; i < 2 * H; i++)
        w1[i] = sin(i + 0.3);
    for (int i = 0; i < H; i++) {
        b1[i] = 0.1 * i;
        w2[i] = cos(2.0 * i);
    }
    for (int i = 0; i < 2 * B; i++)
        z[i] = sin(3.1 * i);
    ad_var W1 = ad_input(t, "W1", 2, H), b = ad_input(t, "b", 1, H), W2 = ad_input(t, "W2", H, 1);
    ad_var x = ad_input(t, "x", AD_BATCH, 2);
    ad_set(W1, 2, w1);
    ad_set(b, 1, b1);
    ad_set(W2, H, w2);
    ad_set(x, B, z);
    ad_var E = ad_matmul(ad_tanh(ad_add(ad_matmul(x, W1), b)), W2);
    ad_var loss = ad_mean(ad_square(ad_grad(ad_sum(E), x))), p[3] = {W1, b, W2}, g[3];
    cr_assert_eq(ad_grads(loss, 3, p, g), AD_OK, "%s", ad_message(t));
    double got = ad_value(g[0])[3], got_b = ad_value(g[1])[2], fd = 0, fd_b = 0, eps = 2e-3;
    for (int s = 0; s < 6; s++) {
        int m = s / 2 + 1, sign = s % 2 ? -1 : 1;
        w1[3] += sign * m * eps;
        ad_set(W1, 2, w1);
        fd += sign * diff_weight[m - 1] * ad_scalar(loss) / eps;
        w1[3] -= sign * m * eps;
        ad_set(W1, 2, w1);
        b1[2] += sign * m * eps;
        ad_set(b, 1, b1);
        fd_b += sign * diff_weight[m - 1] * ad_scalar(loss) / eps;
        b1[2] -= sign * m * eps;
        ad_set(b, 1, b1);
    }
    cr_assert_float_eq(got, fd, 1e-11);
    cr_assert_float_eq(got_b, fd_b, 1e-11);
    ad_free(t);
}

Test(grad, a_power_with_exponent_0_is_flat_and_relu_hides_no_nan)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), b = ad_input(t, "b", 1, 1);
    ad_set(x, 1, (double[]){0});
    ad_set(b, 1, (double[]){0});
    cr_assert_eq(ad_scalar(ad_grad(ad_pow(x, b), x)), 0); /* 0 0^-1 */
    ad_set(x, 1, (double[]){2});
    ad_set(b, 1, (double[]){-INFINITY});
    cr_assert_eq(ad_scalar(ad_grad(ad_pow(x, b), x)), 0); /* -infinity 2^-infinity */
    ad_set(x, 1, (double[]){NAN});
    cr_assert(isnan(ad_scalar(ad_relu(x))));
    ad_free(t);
}
