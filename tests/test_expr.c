/* test_expr.c - expressions: precedence, numbers, functions, sums recorded once. */
/* SPDX-License-Identifier: MIT */
#include "expr_test.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *text;
    double value;
} row;

static void check(const row r[], int n)
{
    given g = setup();
    for (int i = 0; i < n; i++) {
        double y = ad_scalar(parsed(&g, r[i].text));
        /* a handful of roundings, and elementary functions within 2 ulp */
        cr_expect(fabs(y - r[i].value) <= 1e-14 * (1 + fabs(r[i].value)), "%s = %.17g, not %.17g %s",
                  r[i].text, y, r[i].value, ad_message(g.t));
        ad_clear(g.t);
    }
    ad_free(g.t);
}

Test(expr, operators_bind_as_in_mathematics)
{
    const row r[] = {
        {"1+2*3", 7},
        {"(1+2)*3", 9},
        {"2*3+1", 7},
        {"10-4-3", 3},
        {"24/4/3", 2},
        {"2^3^2", 512},
        {"-2^2", -4},
        {"(-2)^2", 4},
        {"2^-1", 0.5},
        {"-2^-2", -0.25},
        {"2*-3", -6},
        {"2--3", 5},
        {"--3", 3},
        {"+3", 3},
        {"2^-1*4", 2},
        {"-x^2", -X * X},
        {"2*x^2", 2 * X * X},
        {"-x*m", -X * M},
        {"x-m-1", X - M - 1},
        {"x/m/2", X / M / 2},
        {"x^m^2", pow(X, M * M)},
        {"(x^m)^2", pow(pow(X, M), 2)},
        {"2^-x", pow(2, -X)},
        {"1e3", 1000},
        {"1.5e-3", 0.0015},
        {".5", 0.5},
        {"2.", 2},
        {"1E+2", 100},
        {" 1 +\n\t2 ", 3},
        {"pi", 3.14159265358979323846},
        {"n", 4},
        {"k*n", 12},
        {"x^2/(2*m)+1-cos(x)", X * X / (2 * M) + 1 - cos(X)},
        {"a = x+1; b = a*a; b-a", (X + 1) * (X + 1) - (X + 1)},
        {"(((((x)))))", X},
        {"[1,2;3,4][2,1]", 3},
    };
    check(r, COUNT(r));
}

Test(expr, numbers_are_the_nearest_doubles_in_every_locale)
{
    static const row r[] = {
        {"0.1", 0.1},
        {"123456789012345678", 123456789012345678.},
        {"4.9406564584124654e-324", 4.9406564584124654e-324},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"0.00000000000000000000000000012345", 1.2345e-28},
        {"9007199254740993", 9007199254740992.},
        {"9007199254740993.00000000000000000000000001", 9007199254740994.},
        {"2.2250738585072011e-308", 2.2250738585072011e-308},
        {"0", 0},
        {"000.5e0001", 5},
        {"1e-400", 0},
    };
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    ad_tape *t = ad_new();
    for (int l = 0; l < COUNT(locales); l++) {
        if (!setlocale(LC_ALL, locales[l]))
            continue;
        for (int i = 0; i < COUNT(r); i++)
            cr_expect_eq(ad_scalar(ad_parse(t, r[i].text, 0, NULL, NULL)), r[i].value, "%s", r[i].text);
    }
    setlocale(LC_ALL, "C");
    ad_free(t);
    /* half an ulp above 1, and then a one after 1,000 zeros: rounds up */
    char text[1200] = "1.00000000000000011102230246251565404236316680908203125";
    size_t n = strlen(text);
    memset(text + n, '0', 1000);
    t = ad_new();
    cr_expect_eq(ad_scalar(ad_parse(t, text, 0, NULL, NULL)), 1.0);
    strcpy(text + n + 1000, "1");
    cr_expect_eq(ad_scalar(ad_parse(t, text, 0, NULL, NULL)), 1 + 0x1p-52);
    ad_free(t);
}

Test(expr, functions_have_the_names_of_the_operations)
{
    const row r[] = {
        {"sin(x)", sin(X)},
        {"cos(x)", cos(X)},
        {"sqrt(x)", sqrt(X)},
        {"abs(-x)", X},
        {"exp(x)", exp(X)},
        {"log(x)", log(X)},
        {"tanh(x)", tanh(X)},
        {"atan2(x,m)", atan2(X, M)},
        {"hypot(x,m)", hypot(X, M)},
        {"min(x,m)", X},
        {"max(x,m)", M},
        {"pow(x,m)", pow(X, M)},
        {"where(lt(x,m),x,m)", X},
        {"le(x,x)", 1},
        {"eq(x,m)", 0},
        {"add(x,m)", X + M},
        {"sub(x,m)", X - M},
        {"sum(q)", 2},
        {"norm([3,4])", 5},
        {"mean(q)", 0.5},
        {"logsumexp([0,0])", log(2)},
        {"dot(q,p)", 0.5 - 2.5 - 6 + 0.375},
        {"sum(matmul(A,transpose(A)))", 14 + 2 * 32 + 77},
        {"sum(gather_cols(q,0,2))", 2.5},
        {"sum(cols_of(q,1,2))", 0.75},
        {"sum(concat_cols(q,x,m))", 2 + X + M},
        {"trace(eye(3))", 3},
        {"sum(reshape(A,3,2)[3,1])", 5},
        {"A[2,3]", 6},
        {"q[n]", 0.75},
        {"q[n-1]", 2},
        {"q[(k+1)/2]", -1.25},
        {"matmul(2,3)", 6},
        {"sum(scatter_cols(q,2,0,0,1,1)[1])", -0.75},
        {"norm(q-q)", 0},
    };
    check(r, COUNT(r));
    given g = setup();
    for (int i = 0; i < ad_op_count(); i++) { /* each elementwise operation of the table is known */
        ad_op_info op;
        char text[80];
        cr_assert_eq(ad_op_at(i, &op), AD_OK);
        if (!op.parsed)
            continue;
        snprintf(text, sizeof text, "%s(%s)", op.name, op.arity == 1 ? "x" : op.arity == 2 ? "x,m" : "x,m,q");
        cr_expect(!ad_is_void(parsed(&g, text)), "%s: %s", text, ad_message(g.t));
        ad_clear(g.t);
    }
    ad_free(g.t);
}

Test(expr, sums_over_ranges_pairs_and_sums)
{
    double chain = 0, pairs = 0, square = 0, tri = 0, product = 1, nested = 0, deep = 0;
    for (int i = 0; i < 4; i++) {
        double row_product = 1;
        chain += P[i] * P[i] / 2 + (i < 3 ? (Q[i + 1] - Q[i]) * (Q[i + 1] - Q[i]) / 2 : 0);
        product *= Q[i];
        for (int j = 0; j < 4; j++) {
            square += Q[i] * P[j] * (j + 1);
            tri += j > i ? cos(Q[i] - Q[j]) : 0;
            pairs += j > i ? 1 / fabs(Q[i] - Q[j]) : 0;
            row_product *= j >= i ? P[j] : 1;
            for (int k = 0; k < 4; k++)
                deep += k <= j ? Q[i] * P[j] * Q[k] : 0;
        }
        nested += Q[i] * row_product;
    }
    const row r[] = {
        {"sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2)", chain},
        {"sum(i<j, 1/abs(q[i]-q[j]))", pairs},
        {"sum(i=1..n, sum(j=1..n, q[i]*p[j]*j))", square},
        {"sum(i=1..n, q[i]*sum(j=1..n, p[j]*j))", square},
        {"sum(i=1..n, sum(j=i+1..n, cos(q[i]-q[j])))", tri},
        {"sum(i=1..n, sum(j=1..n, sum(k=1..j, q[i]*p[j]*q[k])))", deep},
        {"prod(i=1..n, q[i])", product},
        {"prod(i=1..n-1, q[i])", product / Q[3]},
        {"prod(i=1..5, i)", 120},
        {"sum(i=1..n, q[i]*prod(j=i..n, p[j]))", nested},
        {"sum(i=1..n, prod(j=i+1..n, j))", 24 + 12 + 4 + 1},
        {"sum(i=1..n, 1)", 4},
        {"sum(i=1..n, x)", 4 * X},
        {"prod(i=1..n, x)", X * X * X * X},
        {"sum(i=1..10, i)", 55},
        {"sum(i=2..2, q[i])", Q[1]},
        {"sum(i=3..2, q[i+7])", 0},
        {"prod(i=3..2, q[i+7]*sum(j=1..n,j))", 1},
        {"sum(i=1..n, sum(j=1..i, 1))", 10},
        {"sum(i=1..n, sum(j=1..i, q[i]))", Q[0] + 2 * Q[1] + 3 * Q[2] + 4 * Q[3]},
        {"sum(i=1..n, q[n+1-i]*i)", 4 * Q[0] + 3 * Q[1] + 2 * Q[2] + Q[3]},
        {"sum(i=1..n/2, q[2*i])", Q[1] + Q[3]},
        {"sum(i=1..2, sum(j=1..3, A[i,j]))", 21},
        {"sum(i=1..n, norm(q)*q[i])", 2 * sqrt(0.25 + 1.5625 + 4 + 0.5625)},
        {"c = q*2; sum(i=1..n, where(lt(c[i],0), 0, c[i]))", 2 * (Q[0] + Q[2] + Q[3])},
        {"sum(i=-1..1, i^2)", 2},
        {"N = 3; sum(i=1..N, i)", 6},
        {"sum(i=1..k, i)", 6},
    };
    check(r, COUNT(r));
}

Test(expr, a_chain_of_any_length_has_the_same_nodes_and_its_value)
{
    static const int size[] = {3, 10, 1000, 20000};
    int32_t nodes[COUNT(size)];
    for (int s = 0; s < COUNT(size); s++) {
        int n = size[s];
        ad_tape *t = ad_new();
        ad_var q = ad_input(t, "q", 1, n), p = ad_input(t, "p", 1, n);
        double *x = malloc(sizeof *x * (size_t)n), *y = malloc(sizeof *y * (size_t)n), h = 0;
        for (int i = 0; i < n; i++) {
            x[i] = sin(0.3 * i);
            y[i] = cos(0.7 * i);
        }
        for (int i = 0; i < n; i++)
            h += y[i] * y[i] / 2 + (i + 1 < n ? (x[i + 1] - x[i]) * (x[i + 1] - x[i]) / 2 : 0);
        ad_set(q, 1, x);
        ad_set(p, 1, y);
        ad_var H = ad_expr(t, "sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2)", q, p);
        nodes[s] = ad_nodes(t);
        cr_expect_eq(nodes[s], nodes[0], "%d nodes for n = %d", nodes[s], n);
        cr_expect(fabs(ad_scalar(H) - h) < 1e-13 * n, "%.17g %.17g %s", ad_scalar(H), h,
                  ad_message(t)); /* n roundings */
        free(x);
        free(y);
        ad_free(t);
    }
    cr_expect_lt(nodes[0], 20);
}

Test(expr, pairs_are_recorded_once)
{
    int32_t nodes[2];
    for (int s = 0; s < 2; s++) {
        ad_tape *t = ad_new();
        ad_var q = ad_input(t, "q", 1, s ? 300 : 5);
        ad_expr(t, "sum(i<j, 1/abs(q[i]-q[j])) + sum(i=1..n, sum(j=1..n, sin(q[i]-q[j])))", q);
        cr_expect_eq(ad_status(t), AD_OK, "%s", ad_message(t));
        nodes[s] = ad_nodes(t);
        ad_free(t);
    }
    cr_expect_eq(nodes[0], nodes[1]);
}

Test(expr, rows_of_a_batch_are_summed_each_for_itself)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", AD_BATCH, 3),
           H = ad_expr(t, "sum(i<j, q[i]*q[j]) + prod(i=1..n, q[i]) + sum(i=1..n, prod(j=1..i, q[j]))", q);
    static const double x[] = {1, 2, 3, 4, 5, 6};
    ad_set(q, 2, x);
    const double *y = ad_value(H);
    cr_assert(y, "%s", ad_message(t));
    cr_expect_eq(y[0], 11 + 6 + 1 + 2 + 6);
    cr_expect_eq(y[1], 74 + 120 + 4 + 20 + 120);
    ad_free(t);
}
