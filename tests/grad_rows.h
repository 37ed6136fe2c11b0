/* grad_rows.h - the rows of ops.def as functions to test, and the derivatives of a row's own expression in long double
 * by 13-point differences. Invariant: nothing here uses the derivative rules.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GRAD_ROWS_H
#define GRAD_ROWS_H

#include "ad.h"

#include <math.h>

/* The rows in long double. */
#include "kernels/ld.h"
#define C(c) ((long double)(c))
#define LIBM1(f, x) f##l(x)
#define LIBM2(f, x, y) f##l(x, y)
#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    static long double ref_##name(long double x, long double b)                                              \
    {                                                                                                        \
        (void)b;                                                                                             \
        return value;                                                                                        \
    }
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    static long double ref_##name(long double a, long double b) { return value; }
/* Three operands: a row for each two of them, the other one a number. */
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    static long double value_##name(long double a, long double b, long double c) { return value; }           \
    static long double ref_ab_##name(long double a, long double b) { return value_##name(a, b, 0.75L); }     \
    static long double ref_bc_##name(long double a, long double b) { return value_##name(0.75L, a, b); }     \
    static long double ref_ac_##name(long double a, long double b) { return value_##name(a, -0.5L, b); }     \
    static ad_var ab_##name(ad_var a, ad_var b) { return ad_##name(a, b, 0.75); }                            \
    static ad_var bc_##name(ad_var a, ad_var b) { return ad_##name(0.75, a, b); }                            \
    static ad_var ac_##name(ad_var a, ad_var b) { return ad_##name(a, -0.5, b); }
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY

typedef struct row {
    const char *name;
    ad_var (*one)(ad_var);
    ad_var (*two)(ad_var, ad_var);
    long double (*ref)(long double, long double);
    double lo, hi;
} row;
#define UNARY(name, cost, value, rule, lo, hi) {#name, ad_##name, NULL, ref_##name, lo, hi},
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) {#name, NULL, ad_##name, ref_##name, lo, hi},
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    {#name " of a, b", NULL, ab_##name, ref_ab_##name, lo, hi},                                              \
        {#name " of b, c", NULL, bc_##name, ref_bc_##name, lo, hi},                                          \
        {#name " of a, c", NULL, ac_##name, ref_ac_##name, lo, hi},
static const row rows[] = {
#include "ops.def"
};
enum { NROWS = sizeof rows / sizeof rows[0] };

/* Weights of the m-th derivative at 0 on points -6 ... 6. Source: Fornberg (1988), Math. Comp. 51, 699-706. */
static void weights(int m, long double w[13])
{
    long double c[13][4] = {{0}};
    long double c1 = 1;
    c[0][0] = 1;
    for (int i = 1; i < 13; i++) {
        long double c2 = 1;
        for (int j = 0; j < i; j++) {
            long double c3 = i - j;
            c2 *= c3;
            if (j == i - 1)
                for (int k = 3; k >= 0; k--)
                    c[i][k] = c1 * ((k ? k * c[i - 1][k - 1] : 0) - (i - 1 - 6) * c[i - 1][k]) / c2;
            for (int k = 3; k >= 0; k--)
                c[j][k] = ((i - 6) * c[j][k] - (k ? k * c[j][k - 1] : 0)) / c3;
        }
        c1 = c2;
    }
    for (int i = 0; i < 13; i++)
        w[i] = c[i][m];
}

static long double derivative(const row *r, int order, int side, long double a, long double b, long double h)
{
    long double w[13], s = 0;
    weights(order, w);
    for (int i = 0; i < 13; i++)
        s += w[i] * r->ref(a + (side == 0 ? (i - 6) * h : 0), b + (side == 1 ? (i - 6) * h : 0));
    return s / powl(h, order);
}

#endif
