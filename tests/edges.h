/* edges.h - what every operation does at its edges, as data: tests/test_edges.c checks each row and that the tables of
 * docs/operations.md are these rows. (`NOETHER_WRITE=1 build/tests/test_edges` writes them into the page.)
 *
 * SPDX-License-Identifier: MIT */
#ifndef EDGES_H
#define EDGES_H

#include "ad.h"

#include <math.h>

#define INF INFINITY
#define PI 3.14159265358979323846
#define LN2 0.69314718055994530942
#define ROOT 1.12837916709551257390  /* 2/sqrt(pi) */
#define ROOT2 0.79788456080286535588 /* sqrt(2/pi) */

typedef struct edge1 { /* y = f(x): value, first and second derivative */
    double x, value, first, second;
} edge1;

/* At -infinity, -0, 0, infinity; then up to two more places, where the domain ends. */
static const struct {
    const char *name;
    ad_var (*f)(ad_var);
    edge1 at[4], end[2];
    int ends;
} edges1[] = {
#define AT(vm, fm, sm, vn, fn, sn, v0, f0, s0, vp, fp, sp)                                                   \
    {                                                                                                        \
        {-INF, vm, fm, sm}, {-0.0, vn, fn, sn}, {0, v0, f0, s0}, { INF, vp, fp, sp }                         \
    }
#define ROW(f) #f, ad_##f
#define NONE                                                                                                 \
    {                                                                                                        \
        {                                                                                                    \
            0, 0, 0, 0                                                                                       \
        }                                                                                                    \
    }
    /* clang-format off */
    /*             -infinity           -0                   0                    infinity */
    {ROW(neg),     AT(INF, -1, 0,      0, -1, 0,            -0.0, -1, 0,         -INF, -1, 0), NONE, 0},
    {ROW(square),  AT(INF, -INF, 2,    0, 0, 2,             0, 0, 2,             INF, INF, 2), NONE, 0},
    {ROW(sqrt),    AT(NAN, NAN, NAN,   -0.0, -INF, INF,     0, INF, -INF,        INF, 0, 0), NONE, 0},
    {ROW(cbrt),    AT(-INF, 0, 0,      -0.0, INF, INF,      0, INF, -INF,        INF, 0, 0), NONE, 0},
    {ROW(exp),     AT(0, 0, 0,         1, 1, 1,             1, 1, 1,             INF, INF, INF), NONE, 0},
    {ROW(expm1),   AT(-1, 0, 0,        -0.0, 1, 1,          0, 1, 1,             INF, INF, INF), NONE, 0},
    {ROW(log),     AT(NAN, 0, 0,       -INF, -INF, -INF,    -INF, INF, -INF,     INF, 0, 0), {{-1, NAN, -1, -1}}, 1},
    {ROW(log1p),   AT(NAN, 0, 0,       -0.0, 1, -1,         0, 1, -1,            INF, 0, 0), {{-1, -INF, INF, -INF}}, 1},
    {ROW(sin),     AT(NAN, NAN, NAN,   -0.0, 1, 0,          0, 1, 0,             NAN, NAN, NAN), NONE, 0},
    {ROW(cos),     AT(NAN, NAN, NAN,   1, 0, -1,            1, 0, -1,            NAN, NAN, NAN), NONE, 0},
    {ROW(tan),     AT(NAN, NAN, NAN,   -0.0, 1, 0,          0, 1, 0,             NAN, NAN, NAN), NONE, 0},
    {ROW(asin),    AT(NAN, NAN, NAN,   -0.0, 1, 0,          0, 1, 0,             NAN, NAN, NAN),
                   {{-1, -PI / 2, INF, -INF}, {1, PI / 2, INF, INF}}, 2},
    {ROW(acos),    AT(NAN, NAN, NAN,   PI / 2, -1, 0,       PI / 2, -1, 0,       NAN, NAN, NAN),
                   {{-1, PI, -INF, INF}, {1, 0, -INF, -INF}}, 2},
    {ROW(atan),    AT(-PI / 2, 0, 0,   -0.0, 1, 0,          0, 1, 0,             PI / 2, 0, 0), NONE, 0},
    {ROW(sinh),    AT(-INF, INF, -INF, -0.0, 1, 0,          0, 1, 0,             INF, INF, INF), NONE, 0},
    {ROW(cosh),    AT(INF, -INF, INF,  1, 0, 1,             1, 0, 1,             INF, INF, INF), NONE, 0},
    {ROW(tanh),    AT(-1, 0, 0,        -0.0, 1, 0,          0, 1, 0,             1, 0, 0), NONE, 0},
    {ROW(dtanh),   AT(0, 0, 0,         1, 0, -2,            1, 0, -2,            0, 0, 0), NONE, 0},
    {ROW(asinh),   AT(-INF, 0, 0,      -0.0, 1, 0,          0, 1, 0,             INF, 0, 0), NONE, 0},
    {ROW(acosh),   AT(NAN, NAN, NAN,   NAN, NAN, NAN,       NAN, NAN, NAN,       INF, 0, 0), {{1, 0, INF, -INF}}, 1},
    {ROW(atanh),   AT(NAN, 0, 0,       -0.0, 1, 0,          0, 1, 0,             NAN, 0, 0),
                   {{-1, -INF, INF, -INF}, {1, INF, INF, INF}}, 2},
    {ROW(sigmoid), AT(0, 0, 0,         0.5, 0.25, 0,        0.5, 0.25, 0,        1, 0, 0), NONE, 0},
    {ROW(softplus), AT(0, 0, 0,        LN2, 0.5, 0.25,      LN2, 0.5, 0.25,      INF, 1, 0), NONE, 0},
    {ROW(relu),    AT(0, 0, 0,         0, 0, 0,             0, 0, 0,             INF, 1, 0), NONE, 0},
    {ROW(silu),    AT(-0.0, 0, 0,      -0.0, 0.5, 0.5,      0, 0.5, 0.5,         INF, 1, NAN), NONE, 0},
    {ROW(gelu),    AT(-0.0, 0, NAN,    -0.0, 0.5, ROOT2,    0, 0.5, ROOT2,       INF, 1, NAN), NONE, 0},
    {ROW(elu),     AT(-1, 0, 0,        -0.0, 1, 1,          0, 1, 1,             INF, 1, 0), NONE, 0},
    {ROW(erf),     AT(-1, 0, 0,        -0.0, ROOT, 0,       0, ROOT, 0,          1, 0, 0), NONE, 0},
    {ROW(erfc),    AT(2, 0, 0,         1, -ROOT, 0,         1, -ROOT, 0,         0, 0, 0), NONE, 0},
    {ROW(abs),     AT(INF, -1, 0,      0, 0, 0,             0, 0, 0,             INF, 1, 0), NONE, 0},
    {ROW(sign),    AT(-1, 0, 0,        -0.0, 0, 0,          0, 0, 0,             1, 0, 0), NONE, 0},
#undef AT
#undef NONE
};

/* y = f(a, b): value, d/da, d/db, then d2/da2, d2/dadb, d2/db2. */
static const struct {
    const char *name;
    ad_var (*f)(ad_var, ad_var);
    double a, b, value, first[2], second[3];
} edges2[] = {
    {ROW(add), INF, -INF, NAN, {1, 1}, {0, 0, 0}},
    {ROW(sub), INF, INF, NAN, {1, -1}, {0, 0, 0}},
    {ROW(mul), 0, INF, NAN, {INF, 0}, {0, 1, 0}},
    {ROW(div), 1, 0, INF, {INF, -INF}, {0, -INF, INF}},
    {ROW(div), 1, -0.0, -INF, {-INF, -INF}, {0, -INF, -INF}},
    {ROW(div), 0, 0, NAN, {INF, NAN}, {0, -INF, NAN}},
    {ROW(div), 1, INF, 0, {0, 0}, {0, 0, 0}},
    {ROW(div), INF, INF, NAN, {0, 0}, {0, 0, 0}},
    {ROW(mulz), 0, INF, 0, {INF, 0}, {0, 1, 0}},
    {ROW(mulz), 0, NAN, 0, {NAN, 0}, {0, 1, 0}},
    {ROW(divz), 0, 0, 0, {INF, 0}, {0, -INF, 0}},
    {ROW(divz), 0, NAN, 0, {NAN, 0}, {0, NAN, 0}},
    {ROW(divz), 1, 0, INF, {INF, -INF}, {0, -INF, INF}},
    {ROW(pow), 0, 0, 1, {0, -INF}, {0, INF, INF}},
    {ROW(pow), 0, 0.5, 0, {INF, 0}, {-INF, NAN, 0}},
    {ROW(pow), 0, 1, 0, {1, 0}, {0, -INF, 0}},
    {ROW(pow), 0, 2, 0, {0, 0}, {2, 0, 0}},
    {ROW(pow), 0, -1, INF, {-INF, -INF}, {INF, INF, INF}},
    {ROW(pow), -2, 3, -8, {12, NAN}, {-12, NAN, NAN}},
    {ROW(pow), -2, 0.5, NAN, {NAN, NAN}, {NAN, NAN, NAN}},
    {ROW(pow), 2, INF, INF, {INF, INF}, {INF, INF, INF}},
    {ROW(pow), 2, -INF, 0, {0, 0}, {0, 0, 0}},
    {ROW(pow), INF, 0, 1, {0, INF}, {0, 0, INF}},
    {ROW(pow), 1, NAN, 1, {NAN, 0}, {NAN, 1, 0}},
    {ROW(pow), NAN, 0, 1, {0, NAN}, {0, NAN, NAN}},
    {ROW(atan2), 0, 0, 0, {NAN, NAN}, {0, INF, 0}},
    {ROW(atan2), 0, -1, PI, {-1, 0}, {0, -1, 0}},
    {ROW(atan2), -0.0, -1, -PI, {-1, 0}, {0, -1, 0}},
    {ROW(atan2), 1, 0, PI / 2, {0, -1}, {0, 1, 0}},
    {ROW(atan2), INF, 1, PI / 2, {0, 0}, {0, 0, 0}},
    {ROW(atan2), INF, INF, PI / 4, {0, 0}, {0, 0, 0}},
    {ROW(hypot), 0, 0, 0, {0, 0}, {INF, 0, INF}},
    {ROW(hypot), 3e200, 4e200, 5e200, {0.6, 0.8}, {0, 0, 0}},
    {ROW(hypot), INF, 1, INF, {NAN, 0}, {0, 0, 0}},
    {ROW(hypot), INF, NAN, INF, {NAN, NAN}, {0, 0, 0}},
    {ROW(min), 2, 2, 2, {1, 0}, {0, 0, 0}},
    {ROW(min), NAN, 1, NAN, {0, 1}, {0, 0, 0}},
    {ROW(min), 1, NAN, NAN, {0, 1}, {0, 0, 0}},
    {ROW(max), 2, 2, 2, {1, 0}, {0, 0, 0}},
    {ROW(max), NAN, 1, NAN, {0, 1}, {0, 0, 0}},
    {ROW(max), 1, NAN, NAN, {0, 1}, {0, 0, 0}},
    {ROW(lt), 2, 2, 0, {0, 0}, {0, 0, 0}},
    {ROW(lt), NAN, 1, 0, {0, 0}, {0, 0, 0}},
    {ROW(le), 2, 2, 1, {0, 0}, {0, 0, 0}},
    {ROW(le), 1, NAN, 0, {0, 0}, {0, 0, 0}},
    {ROW(eq), -0.0, 0, 1, {0, 0}, {0, 0, 0}},
    {ROW(eq), NAN, NAN, 0, {0, 0}, {0, 0, 0}},
    /* clang-format on */
};

/* Everything else: a call on x, and what comes of it: value; gradient of the sum of the value; gradient of that
 * gradient's sum. Or the status, with the message where it says more. */
static ad_var pair(ad_var x, ad_var (*f)(ad_var, ad_var))
{
    return f(ad_cols_of(x, 0, 1), ad_cols_of(x, 1, 1));
}
static ad_var e_fma(ad_var x)
{
    ad_var a = ad_cols_of(x, 0, 1), b = ad_cols_of(x, 1, 1);
    return ad_fma(a, b, ad_neg(ad_stop(ad_mul(a, b)))); /* what the product lost */
}
static ad_var e_fma_inf(ad_var x) { return ad_fma(ad_cols_of(x, 0, 1), ad_cols_of(x, 1, 1), 1); }
static ad_var e_where(ad_var x) { return ad_where(ad_lt(0, x), ad_sqrt(x), 0); }
static ad_var e_where_nan(ad_var x) { return ad_where(x, 1, 2); }
static ad_var e_where_left(ad_var x) { return ad_where(1, ad_cols_of(x, 0, 1), ad_log(ad_cols_of(x, 1, 1))); }
static ad_var e_add_n(ad_var x) { return ad_add_n(3, (ad_var[]){x, x, ad_num(1)}); }
static ad_var e_add_none(ad_var x) { return (void)x, ad_add_n(0, &x); }
static ad_var e_reshape(ad_var x) { return ad_reshape(x, 4, 1); }
static ad_var e_expand(ad_var x) { return ad_expand(x, 2, 3); }
static ad_var e_slice(ad_var x) { return ad_slice(x, 0, 1, 1, 2); }
static ad_var e_empty(ad_var x) { return ad_slice(x, 0, 1, 0, 0); }
static ad_var e_pad(ad_var x) { return ad_pad(x, 0, 0, 1, -1); }
static ad_var e_concat_rows(ad_var x) { return ad_concat_rows(2, (ad_var[]){x, ad_sum(x)}); }
static ad_var e_concat(ad_var x) { return ad_concat_cols(0, &x); }
static ad_var e_gather(ad_var x) { return ad_gather_cols(x, 3, (int[]){1, 1, 0}); }
static ad_var e_gather_bad(ad_var x) { return ad_gather_cols(x, 2, (int[]){0, 2}); }
static ad_var e_gather_rows(ad_var x) { return ad_gather_rows(x, 1, (int[]){-1}); }
static ad_var e_scatter(ad_var x) { return ad_scatter_cols(x, 3, (int[]){2, 2}); }
static ad_var e_scatter_rows(ad_var x) { return ad_scatter_rows(x, 1, (int[]){1}); }
static ad_var e_matmul(ad_var x) { return ad_matmul(x, ad_const(x.tape, 2, 1, (double[]){0, 1})); }
static ad_var e_transpose(ad_var x) { return ad_transpose(ad_input(x.tape, "batch", AD_BATCH, 2)); }
static ad_var e_solve(ad_var x) { return ad_solve(x, ad_const(x.tape, 2, 1, (double[]){1, 1})); }
static ad_var e_row_solve(ad_var x) { return ad_row_solve(x, ad_const(x.tape, 1, 1, (double[]){1}), 1, 1); }
static ad_var e_trisolve(ad_var x)
{
    return ad_row_trisolve(ad_reshape(x, 1, 4), ad_const(x.tape, 1, 2, (double[]){1, 1}), 2, 1, 0);
}
static ad_var e_row_cholesky(ad_var x) { return ad_row_cholesky(x, 1); }
static ad_var e_row_logdet(ad_var x) { return ad_row_logdet(x, 1); }
static ad_var e_row_matmul(ad_var x) { return ad_row_matmul(x, x, 0, 1, 2); }
static ad_var e_row_transpose(ad_var x) { return ad_row_transpose(x, 2, 2); }
static ad_var e_stop(ad_var x) { return ad_mul(ad_stop(x), x); }
static ad_var e_div(ad_var x) { return pair(x, ad_div); }

/* Functions, loops, roots and callbacks. */
static ad_func *e_func(ad_var (*f)(ad_var))
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = f(x);
    ad_func *g = ad_func_new(1, &x, 1, &y);
    ad_free(t);
    return g;
}
static ad_var e_call(ad_var x)
{
    ad_func *f = e_func(ad_sqrt);
    ad_var y;
    ad_call(x.tape, f, &x, &y);
    ad_func_free(f);
    return y;
}
static ad_var e_loop(ad_var x, ad_var (*of)(ad_var), int steps)
{
    ad_func *f = e_func(of);
    ad_var y;
    ad_scan(x.tape, &(ad_scan_spec){.f = f, .count = steps, .ncarry = 1, .carry = &x, .carry_out = &y});
    ad_func_free(f);
    return y;
}
static ad_var e_twice(ad_var x) { return ad_mul(2, x); }
static ad_var e_scan(ad_var x) { return e_loop(x, e_twice, 1100); }
static ad_var e_scan_none(ad_var x) { return e_loop(x, e_twice, 0); }
static ad_var e_scan_sqrt(ad_var x) { return e_loop(x, ad_sqrt, 2); }
static ad_var e_scan_back(ad_var x) { return ad_grad(e_loop(x, ad_square, 2), x); }
/* y^2 = x from y = 1 */
static ad_var e_root(ad_var x)
{
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", 1, 1), a = ad_input(t, "a", 1, 1), F = ad_sub(ad_square(y), a);
    ad_func *f = ad_func_new(2, (ad_var[]){y, a}, 1, &F);
    y = ad_root(x.tape, f, ad_num(1), 1, &x, NULL);
    ad_func_free(f);
    ad_free(t);
    return y;
}
static int e_value(void *user, int nin, const double *const in[], const int in_rows[], const int in_cols[],
                   double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols, (void)rows, (void)cols;
    *out = 2 * in[0][0];
    return in[0][0] < 0;
}
static int e_pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy, ad_var din[])
{
    (void)user, (void)t, (void)nin, (void)in, (void)y;
    din[0] = ad_mul(2, dy);
    return 0;
}
static ad_var e_custom(ad_var x)
{
    return ad_custom(x.tape, &(ad_callback){.value = e_value, .pullback = e_pullback}, 1, &x, 1, 1);
}
static ad_var e_custom_alone(ad_var x)
{
    return ad_custom(x.tape, &(ad_callback){.value = e_value}, 1, &x, 1, 1);
}

typedef struct edge_of {
    const char *name, *call;
    ad_var (*f)(ad_var);
    int rows, cols;
    double x[4];
    const char *result;
} edge_of;

static const edge_of others[] = {
    {"fma", "fma(a, a, -(a a)), a = 100000001", e_fma, 1, 2, {1e8 + 1, 1e8 + 1}, "1; [1e+08 1e+08]; [1 1]"},
    {"fma", "fma(0, b, 1), b = infinity", e_fma_inf, 1, 2, {0, INF}, "NaN; [inf 0]; [1 1]"},
    {"where", "where(0 < x, sqrt(x), 0), x = 0", e_where, 1, 1, {0}, "0; 0; 0"},
    {"where", "where(c, 1, 2), c = NaN", e_where_nan, 1, 1, {NAN}, "1; 0; 0"},
    {"where", "where(1, a, log(b)), b = -1", e_where_left, 1, 2, {3, -1}, "3; [1 0]; [0 0]"},
    {"add_n", "x + x + 1, x = inf", e_add_n, 1, 1, {INF}, "inf; 2; 0"},
    {"add_n", "of nothing", e_add_none, 1, 1, {0}, "void"},
    {"div", "x1 / x2, both 0", e_div, 1, 2, {0, 0}, "NaN; [inf NaN]; [-inf NaN]"},
    {"sum_rows", "[inf -inf], one row", ad_sum_rows, 1, 2, {INF, -INF}, "[inf -inf]; [1 1]; [0 0]"},
    {"sum_cols", "[inf -inf]", ad_sum_cols, 1, 2, {INF, -INF}, "NaN; [1 1]; [0 0]"},
    {"count", "rows of [2,1]", ad_count, 2, 1, {1, NAN}, "2; [0; 0]; [0; 0]"},
    {"mean", "[1 NaN]", ad_mean, 1, 2, {1, NAN}, "NaN; [0.5 0.5]; [0 0]"},
    {"logsumexp", "[1000 1000]", ad_logsumexp, 1, 2, {1000, 1000}, "1000.69; [0.5 0.5]; [0 0]"},
    {"logsumexp", "[-inf 0]", ad_logsumexp, 1, 2, {-INF, 0}, "0; [0 1]; [0 0]"},
    {"logsumexp", "[-inf -inf]", ad_logsumexp, 1, 2, {-INF, -INF}, "-inf; [NaN NaN]; [NaN NaN]"},
    {"logsumexp", "[inf 0]", ad_logsumexp, 1, 2, {INF, 0}, "inf; [NaN 0]; [NaN NaN]"},
    {"norm", "[0 0]", ad_norm, 1, 2, {0, 0}, "0; [0 0]; [inf inf]"},
    {"norm", "[3e200 4e200]", ad_norm, 1, 2, {3e200, 4e200}, "5e+200; [0.6 0.8]; [0 0]"},
    {"norm", "[inf 1]", ad_norm, 1, 2, {INF, 1}, "inf; [NaN 0]; [NaN 0]"},
    {"reshape", "[1,2] to [4,1]", e_reshape, 1, 2, {0}, "AD_ESHAPE"},
    {"expand", "[1,2] to [2,3]", e_expand, 1, 2, {0}, "AD_ESHAPE"},
    {"slice", "columns 1 to 2 of 2", e_slice, 1, 2, {0}, "AD_ESHAPE"},
    {"slice", "no columns: nothing is empty", e_empty, 1, 2, {0}, "AD_ESHAPE"},
    {"pad", "by -1", e_pad, 1, 2, {0}, "AD_ESHAPE"},
    {"concat_rows", "[1,2] above [1,1]", e_concat_rows, 1, 2, {0}, "AD_ESHAPE"},
    {"concat_cols", "of nothing", e_concat, 1, 1, {0}, "void"},
    {"gather_cols", "columns 1, 1, 0", e_gather, 1, 2, {5, 7}, "[7 7 5]; [1 2]; [0 0]"},
    {"gather_cols", "column 2 of 2", e_gather_bad, 1, 2, {5, 7}, "AD_EARG"},
    {"gather_rows", "row -1", e_gather_rows, 2, 1, {5, 7}, "AD_EARG"},
    {"scatter_cols", "two into column 2", e_scatter, 1, 2, {5, 7}, "[0 0 12]; [1 1]; [0 0]"},
    {"scatter_rows", "into row 1 of 1", e_scatter_rows, 1, 1, {5}, "AD_EARG"},
    {"transpose", "a batch of rows", e_transpose, 1, 1, {0}, "AD_ESHAPE"},
    {"matmul", "[inf 1] [0; 1]", e_matmul, 1, 2, {INF, 1}, "NaN; [0 1]; [0 0]"},
    {"solve", "a singular matrix", e_solve, 2, 2, {1, 2, 2, 4}, "AD_EDOMAIN"},
    {"solve",
     "a zero pivot: rows are exchanged",
     e_solve,
     2,
     2,
     {0, 1, 1, 0},
     "[1; 1]; [-1 -1; -1 -1]; [4 4; 4 4]"},
    {"cholesky", "not positive definite", ad_cholesky, 2, 2, {1, 2, 2, 1}, "AD_EDOMAIN"},
    {"cholesky",
     "above the diagonal nothing is read",
     ad_cholesky,
     2,
     2,
     {4, NAN, 2, 5},
     "[2 0; 1 2]; [0.1875 0; 0.25 0.25]; [-0.0175781 0; -0.117188 -0.0078125]"},
    {"logdet", "det < 0", ad_logdet, 2, 2, {0, 1, 1, 0}, "0; [0 1; 1 0]; [-1 -1; -1 -1]"},
    {"logdet", "det = 0", ad_logdet, 2, 2, {1, 2, 2, 4}, "AD_EDOMAIN"},
    {"row_solve", "row 1 is [0]", e_row_solve, 2, 1, {2, 0}, "AD_EDOMAIN in row 1"},
    {"row_trisolve", "0 on the diagonal", e_trisolve, 2, 2, {1, 0, 1, 0}, "AD_EDOMAIN in row 0"},
    {"row_cholesky", "row 1 is [-1]", e_row_cholesky, 2, 1, {4, -1}, "AD_EDOMAIN in row 1"},
    {"row_logdet", "row 1 is [NaN]", e_row_logdet, 2, 1, {1, NAN}, "AD_EDOMAIN in row 1"},
    {"row_matmul", "sizes 0, 1, 2", e_row_matmul, 1, 2, {0}, "AD_EARG"},
    {"row_transpose", "2 x 2 of [1,2]", e_row_transpose, 1, 2, {0}, "AD_ESHAPE"},
    {"stop", "stop(x) x, x = 3", e_stop, 1, 1, {3}, "9; 3; 0"},
    {"call", "of sqrt, x = 0: as sqrt itself", e_call, 1, 1, {0}, "0; inf; -inf"},
    {"call", "of a function of [1,1] with [1,2]", e_call, 1, 2, {0}, "AD_ESHAPE"},
    {"scan", "x <- 2 x, 1100 steps, x = 1", e_scan, 1, 1, {1}, "inf; inf; 0"},
    {"scan", "x <- sqrt(x), 2 steps, x = 0", e_scan_sqrt, 1, 1, {0}, "0; inf; -inf"},
    {"scan", "no steps", e_scan_none, 1, 1, {1}, "AD_EARG"},
    {"scan_back",
     "of x <- x^2, 2 steps, x = 1e100",
     e_scan_back,
     1,
     1,
     {1e100},
     "4e+300; 1.2e+201; 2.4e+101"},
    {"root", "y^2 = x from 1, x = 4", e_root, 1, 1, {4}, "2; 0.25; -0.03125"},
    {"root", "y^2 = x, x = -1: there is none", e_root, 1, 1, {-1}, "AD_EROOT"},
    {"root", "y^2 = x, x = NaN", e_root, 1, 1, {NAN}, "AD_EROOT"},
    {"custom", "2 x with its pullback, x = 3", e_custom, 1, 1, {3}, "6; 2; 0"},
    {"custom", "a callback that fails", e_custom, 1, 1, {-1}, "AD_ECALL"},
    {"custom", "a derivative without a pullback", e_custom_alone, 1, 1, {3}, "AD_EUNSUPPORTED"},
};

#undef ROW

#endif
