/* ops.c - expands ops.def: constructors with broadcasting and folding, derivative rules, the table.
 *
 * SPDX-License-Identifier: MIT */
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>

const ad_opinfo ad_ops[OP_COUNT_] = {
    [OP_INPUT] = {"input", AD_LEAF, 0, 0},         [OP_CONST] = {"const", AD_LEAF, 0, 0},
    [OP_FILL] = {"fill", AD_LEAF, 0, 0},           [OP_EYE] = {"eye", AD_LEAF, 0, 0},
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = {#name, AD_ELEMENTWISE, cost, 1},
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = {#name, AD_ELEMENTWISE, cost, 2},
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    [OP_##name] = {#name, AD_ELEMENTWISE, cost, 3},
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
    [OP_ADD_N] = {"add_n", AD_ELEMENTWISE, 1, -1},
#define SHAPE_OP(OP, name, kind, arity, attrs) [OP] = {name, kind, 1, arity},
#include "ops_shape.def"
#undef SHAPE_OP
};

int ad_op_count(void) { return OP_COUNT_; }

int ad_op_at(int i, ad_op_info *out)
{
    static const char *const kind[] = {"leaf", "elementwise", "linear", "bilinear", "other"};
    if (i < 0 || i >= OP_COUNT_ || !out)
        return AD_EARG;
    *out = (ad_op_info){ad_ops[i].name, kind[ad_ops[i].kind], ad_ops[i].arity,
                        ad_ops[i].kind == AD_ELEMENTWISE && i != OP_ADD_N};
    return AD_OK;
}

/* Elementwise construction -------------------------------------------------------------------------- */

/* One side of a broadcast: sizes agree, or one of them is 1. */
static bool broadcast(int32_t *size, int32_t other)
{
    if (*size == 1)
        *size = other;
    return other == 1 || other == *size;
}

/* Numbers alone need no tape: the same kernel computes them, so folding early or late gives equal bits. */
static double number(int op, int n, const double x[])
{
    switch (op) { /* exactly rounded: any way of computing them is the kernel's */
    case OP_neg:
        return -x[0];
    case OP_square:
        return x[0] * x[0];
    case OP_add:
        return x[0] + x[1];
    case OP_sub:
        return x[0] - x[1];
    case OP_mul:
        return x[0] * x[1];
    case OP_div:
        return x[0] / x[1];
    default:
        break;
    }
    const void *src[3] = {&x[0], &x[1], &x[2]};
    int64_t shape[3][2] = {{1, 1}, {1, 1}, {1, 1}};
    double y = NAN;
    ad_kcall c = {
        .dst = &y, .src = src, .rows = 1, .cols = 1, .shape = (const int64_t(*)[2])shape, .nargs = n};
    ad_kernels_for(AD_F64)->run[op](&c);
    return y;
}

static ad_var as_is(ad_tape *t, ad_var x, int32_t rows, int32_t cols)
{ /* x where it already has the result's shape */
    if (ad_is_number(x))
        return ad_fill(t, rows, cols, x.value);
    const ad_node *n = ad_at_id(t, x.id);
    return n->rows == rows && n->cols == cols ? x : ad_expand(x, rows, cols);
}

/* x^n as products: a few operations instead of a call of pow, and within n/2 ulp of it. */
static ad_var power(ad_var x, int n)
{
    if (n == 1)
        return x;
    ad_var half = ad_square(power(x, n / 2));
    return n & 1 ? ad_mul(half, x) : half;
}

/* Literal zeros and ones vanish while recording: which operand the result is, or what else. */
enum { FOLD_NONE, FOLD_A, FOLD_B, FOLD_ZERO, FOLD_ONE, FOLD_NEG_A, FOLD_NEG_B, FOLD_POWER };
static int fold(int op, bool lu, double u, bool lv, double v)
{
    switch (op) {
    case OP_add:
        return lu && u == 0 ? FOLD_B : lv && v == 0 ? FOLD_A : FOLD_NONE;
    case OP_sub:
        return lv && v == 0 ? FOLD_A : lu && u == 0 ? FOLD_NEG_B : FOLD_NONE;
    case OP_mul:
    case OP_mulz:
        if ((lu && u == 0) || (lv && v == 0))
            return FOLD_ZERO;
        if (lu && u == 1)
            return FOLD_B;
        if (lv && v == 1)
            return FOLD_A;
        return op == OP_mulz   ? FOLD_NONE
               : lu && u == -1 ? FOLD_NEG_B
               : lv && v == -1 ? FOLD_NEG_A
                               : FOLD_NONE;
    case OP_div:
        return lv && v == 1 ? FOLD_A : FOLD_NONE;
    case OP_divz:
        return lv && v == 1 ? FOLD_A : lu && u == 0 ? FOLD_ZERO : FOLD_NONE;
    case OP_pow:
        if (!lv || !(v >= 0 && v <= 16) || v != (int)v)
            return FOLD_NONE;
        return v == 0 ? FOLD_ONE : v == 1 ? FOLD_A : FOLD_POWER;
    default:
        return FOLD_NONE;
    }
}

static ad_var folded(ad_tape *t, int what, const ad_var x[], int32_t r, int32_t c, double exponent)
{
    switch (what) {
    case FOLD_A:
        return as_is(t, x[0], r, c);
    case FOLD_B:
        return as_is(t, x[1], r, c);
    case FOLD_NEG_A:
        return ad_neg(as_is(t, x[0], r, c));
    case FOLD_NEG_B:
        return ad_neg(as_is(t, x[1], r, c));
    case FOLD_POWER:
        return power(as_is(t, x[0], r, c), (int)exponent);
    default:
        return ad_fill(t, r, c, what == FOLD_ONE);
    }
}

static ad_var misfit(ad_tape *t, const char *who, int n, const ad_var x[])
{
    char s[3][32];
    for (int k = 0; k < n; k++)
        ad_shape_text(s[k], ad_rows(x[k]), ad_cols(x[k]));
    return n == 2 ? ad_fail(t, AD_ESHAPE, "ad_%s: %s with %s: sizes must be equal or 1", who, s[0], s[1])
                  : ad_fail(t, AD_ESHAPE, "ad_%s: %s with %s with %s: sizes must be equal or 1", who, s[0],
                            s[1], s[2]);
}

/* One tape for the operands that are not numbers; these stay numbers until it is known that they are needed. */
static bool tape_of(const char *who, int n, const ad_var in[], ad_var x[], ad_tape **t)
{
    *t = NULL;
    for (int i = 0; i < n; i++) {
        x[i] = in[i];
        if (!in[i].tape)
            continue;
        if (in[i].id >= 0 && (!*t || *t == in[i].tape) && !in[i].tape->status &&
            ad_fresh(in[i].tape, in[i])) {
            *t = in[i].tape;
        } else {
            char name[32];
            snprintf(name, sizeof name, "ad_%s", who);
            return ad_join(name, n, in, x, t);
        }
    }
    return true;
}

ad_var ad_elementwise(int op, int n, const ad_var in[])
{
    const char *who = ad_ops[op].name;
    ad_var x[3];
    ad_tape *t;
    if (!tape_of(who, n, in, x, &t))
        return ad_void(t);
    double value[3] = {0, 0, 0};
    bool literal[3] = {false, false, false}, all = true;
    int32_t r = 1, c = 1;
    for (int i = 0; i < n; i++) {
        if (ad_is_number(x[i])) {
            literal[i] = true;
            value[i] = x[i].value;
            continue;
        }
        const ad_node *a = ad_at_id(t, x[i].id);
        if (!broadcast(&r, a->rows) || !broadcast(&c, a->cols))
            return misfit(t, who, n, x);
        literal[i] = a->op == OP_FILL;
        if (literal[i])
            value[i] = t->values[a->arg[0]];
        all = all && literal[i];
    }
    if (all && (n < 3 || !t)) {
        double y = number(op, n, value);
        return t ? ad_fill(t, r, c, y) : ad_num(y);
    }
    if (t->guard && !literal[0] && !literal[1] && (op == OP_mul || op == OP_div))
        op = op == OP_mul ? OP_mulz : OP_divz;
    for (int i = 0; i < 2 && op == OP_mulz; i++)
        if (literal[i] && value[i] != 0 && isfinite(value[i]))
            op = OP_mul; /* a number that is neither 0 nor infinite needs no care */
    if (n == 2) {
        int what = fold(op, literal[0], value[0], literal[1], value[1]);
        if (what)
            return folded(t, what, x, r, c, value[1]);
        for (int i = 0; i < 2; i++)
            if (!x[i].tape)
                x[i] = ad_fill(t, 1, 1, value[i]);
    } else if (n == 1) {
        if (op == OP_neg && ad_at_id(t, x[0].id)->op == OP_neg)
            return ad_var_of(t, ad_at_id(t, x[0].id)->arg[0]);
    } else {
        if (op == OP_where && literal[0])
            return as_is(t, value[0] != 0 ? x[1] : x[2], r, c);
        if (op == OP_fma) { /* as mul and add fold */
            if (literal[2] && value[2] == 0)
                return as_is(t, ad_mul(x[0], x[1]), r, c);
            for (int i = 0; i < 2; i++)
                if (literal[i] && (value[i] == 0 || fabs(value[i]) == 1))
                    return value[i] == 0   ? as_is(t, x[2], r, c)
                           : value[i] == 1 ? as_is(t, ad_add(x[!i], x[2]), r, c)
                                           : as_is(t, ad_sub(x[2], x[!i]), r, c);
        }
        for (int i = 0; i < 3; i++)
            if (!x[i].tape)
                x[i] = ad_fill(t, 1, 1, value[i]);
    }
    return t->status ? ad_void(t) : ad_push(t, op, r, c, n, x, 0, NULL);
}

#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    ad_var ad_##name(ad_var x) { return ad_elementwise(OP_##name, 1, (ad_var[3]){x}); }
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    ad_var ad_##name(ad_var a, ad_var b) { return ad_elementwise(OP_##name, 2, (ad_var[3]){a, b}); }
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    ad_var ad_##name(ad_var a, ad_var b, ad_var c)                                                           \
    {                                                                                                        \
        return ad_elementwise(OP_##name, 3, (ad_var[3]){a, b, c});                                           \
    }
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY

ad_var ad_add_n(int n, const ad_var x[])
{
    if (n < 1 || !x)
        return ad_fail(n > 0 && x ? x[0].tape : NULL, AD_EARG, "ad_add_n: %d operands; needs at least 1", n);
    if (n <= 2)
        return n == 1 ? x[0] : ad_add(x[0], x[1]);
    ad_var *v = malloc((size_t)n * sizeof *v), y;
    ad_tape *t;
    double u;
    int m = 0;
    if (!v)
        return ad_fail(x[0].tape, AD_ENOMEM, "ad_add_n: out of memory");
    if (!ad_join("ad_add_n", n, x, v, &t)) {
        free(v);
        if (t)
            return ad_void(t);
        double sum = 0; /* all are numbers */
        for (int i = 0; i < n; i++)
            sum += x[i].value;
        return ad_num(sum);
    }
    int32_t r = 1, c = 1;
    for (int i = 0; i < n; i++)
        if (!broadcast(&r, ad_rows(v[i])) || !broadcast(&c, ad_cols(v[i]))) {
            char s[32], w[32];
            y = ad_fail(t, AD_ESHAPE,
                        "ad_add_n: operand %d is %s, the sum so far %s: sizes must be equal or 1", i + 1,
                        ad_shape_text(s, ad_rows(v[i]), ad_cols(v[i])), ad_shape_text(w, r, c));
            free(v);
            return y;
        }
    for (int i = 0; i < n; i++)
        if (!ad_literal(v[i], &u) || u != 0)
            v[m++] = v[i];
    y = m == 0   ? ad_fill(t, r, c, 0)
        : m == 1 ? as_is(t, v[0], r, c)
        : m == 2 ? as_is(t, ad_add(v[0], v[1]), r, c)
                 : ad_push(t, OP_ADD_N, r, c, m, v, 0, NULL);
    free(v);
    return y;
}

/* Derivative rules ------------------------------------------------------------------------------------ */

typedef ad_var unary_rule(ad_var g, ad_var x, ad_var y);
typedef ad_var binary_rule(ad_var g, ad_var a, ad_var b, ad_var y);
typedef ad_var ternary_rule(ad_var g, ad_var a, ad_var b, ad_var c);

#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    static ad_var rule_##name(ad_var g, ad_var x, ad_var y)                                                  \
    {                                                                                                        \
        (void)g, (void)x, (void)y;                                                                           \
        return rule;                                                                                         \
    }
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    static ad_var rule_a_##name(ad_var g, ad_var a, ad_var b, ad_var y)                                      \
    {                                                                                                        \
        (void)g, (void)a, (void)b, (void)y;                                                                  \
        return rule_a;                                                                                       \
    }                                                                                                        \
    static ad_var rule_b_##name(ad_var g, ad_var a, ad_var b, ad_var y)                                      \
    {                                                                                                        \
        (void)g, (void)a, (void)b, (void)y;                                                                  \
        return rule_b;                                                                                       \
    }
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    static ad_var rule_a_##name(ad_var g, ad_var a, ad_var b, ad_var c)                                      \
    {                                                                                                        \
        (void)g, (void)a, (void)b, (void)c;                                                                  \
        return rule_a;                                                                                       \
    }                                                                                                        \
    static ad_var rule_b_##name(ad_var g, ad_var a, ad_var b, ad_var c)                                      \
    {                                                                                                        \
        (void)g, (void)a, (void)b, (void)c;                                                                  \
        return rule_b;                                                                                       \
    }                                                                                                        \
    static ad_var rule_c_##name(ad_var g, ad_var a, ad_var b, ad_var c)                                      \
    {                                                                                                        \
        (void)g, (void)a, (void)b, (void)c;                                                                  \
        return rule_c;                                                                                       \
    }
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY

static unary_rule *const rule1[OP_COUNT_] = {
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = rule_##name,
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};
static binary_rule *const rule2[OP_COUNT_][2] = {
#define UNARY(name, cost, value, rule, lo, hi)
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = {rule_a_##name, rule_b_##name},
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};
static ternary_rule *const rule3[OP_COUNT_][3] = {
#define UNARY(name, cost, value, rule, lo, hi)
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    [OP_##name] = {rule_a_##name, rule_b_##name, rule_c_##name},
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

void ad_pullback(ad_var y, ad_var g, const ad_var a[], const bool want[], ad_var da[])
{
    const ad_node n = *ad_node_of(y); /* a copy: recording adds chunks */
    const ad_node *of_g = ad_is_number(g) ? NULL : ad_node_of(g);
    bool guard = y.tape->guard;
    y.tape->guard = guard || (of_g && of_g->flags & NODE_MASKED);
    if (n.op == OP_ADD_N) {
        for (int i = 0; i < ad_nargs(y.tape, &n); i++)
            da[i] = g;
    } else if (rule3[n.op][0]) {
        for (int i = 0; i < 3; i++)
            da[i] = want[i] ? rule3[n.op][i](g, a[0], a[1], a[2]) : N(0);
    } else if (rule1[n.op]) {
        da[0] = rule1[n.op](g, a[0], y);
    } else if (rule2[n.op][0]) {
        for (int i = 0; i < 2; i++)
            da[i] = want[i] ? rule2[n.op][i](g, a[0], a[1], y) : N(0);
    } else {
        ad_shape_pullback(y, g, a, want, da);
    }
    y.tape->guard = guard;
}
