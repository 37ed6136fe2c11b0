/* ops.c - expands ops.def: constructors with broadcasting and folding, derivative rules, the table.
 *
 * SPDX-License-Identifier: MIT */
#include "kernels/kernels.h"

#include <math.h>

const ad_opinfo ad_ops[OP_COUNT_] = {
    [OP_INPUT] = {"input", AD_LEAF, 0, 0},        [OP_CONST] = {"const", AD_LEAF, 0, 0},
    [OP_FILL] = {"fill", AD_LEAF, 0, 0},          [OP_EYE] = {"eye", AD_LEAF, 0, 0},
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = {#name, AD_ELEMENTWISE, cost, 1},
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = {#name, AD_ELEMENTWISE, cost, 2},
#include "ops.def"
#undef UNARY
#undef BINARY
    [OP_where] = {"where", AD_ELEMENTWISE, 1, 3}, [OP_ADD_N] = {"add_n", AD_ELEMENTWISE, 1, -1},
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
static ad_var number(int op, int n, const ad_var x[])
{
    const void *src[3] = {&x[0].value, &x[1].value, &x[2].value};
    int64_t shape[3][2] = {{1, 1}, {1, 1}, {1, 1}};
    double y = NAN;
    ad_kcall c = {
        .dst = &y, .src = src, .rows = 1, .cols = 1, .shape = (const int64_t(*)[2])shape, .nargs = n};
    ad_kernels_for(AD_F64)->run[op](&c);
    return ad_num(y);
}

static ad_var as_is(ad_var x, int32_t rows, int32_t cols)
{ /* x where it already has the result's shape */
    return ad_rows(x) == rows && ad_cols(x) == cols ? x : ad_expand(x, rows, cols);
}

/* x^n as products: a few operations instead of a call of pow, and within n/2 ulp of it. */
static ad_var power(ad_var x, int n)
{
    if (n == 1)
        return x;
    ad_var half = ad_square(power(x, n / 2));
    return n & 1 ? ad_mul(half, x) : half;
}

/* Literal zeros and ones vanish while recording. */
static bool fold(int op, int32_t r, int32_t c, const ad_var a[], ad_var *y)
{
    double u, v;
    bool lu = ad_literal(a[0], &u), lv = ad_literal(a[1], &v);
    ad_tape *t = a[0].tape;
    if (op == OP_add && lu && u == 0)
        *y = as_is(a[1], r, c);
    else if ((op == OP_add || op == OP_sub) && lv && v == 0)
        *y = as_is(a[0], r, c);
    else if (op == OP_sub && lu && u == 0)
        *y = ad_neg(as_is(a[1], r, c));
    else if ((op == OP_mul || op == OP_mulz) && ((lu && u == 0) || (lv && v == 0)))
        *y = ad_fill(t, r, c, 0);
    else if ((op == OP_mul || op == OP_mulz) && lu && u == 1)
        *y = as_is(a[1], r, c);
    else if ((op == OP_mul || op == OP_mulz || op == OP_div || op == OP_divz || op == OP_pow) && lv && v == 1)
        *y = as_is(a[0], r, c);
    else if (op == OP_mul && lu && u == -1)
        *y = ad_neg(as_is(a[1], r, c));
    else if (op == OP_mul && lv && v == -1)
        *y = ad_neg(as_is(a[0], r, c));
    else if (op == OP_divz && lu && u == 0)
        *y = ad_fill(t, r, c, 0);
    else if (op == OP_pow && lv && v == 0)
        *y = ad_fill(t, r, c, 1);
    else if (op == OP_pow && lv && v == 2)
        *y = ad_square(as_is(a[0], r, c));
    else if (op == OP_pow && lv && v == (int)v && v >= 3 && v <= 16)
        *y = power(as_is(a[0], r, c), (int)v);
    else
        return false;
    return true;
}

ad_var ad_elementwise(int op, const char *who, int n, const ad_var in[])
{
    bool numbers = true;
    for (int i = 0; i < n; i++)
        numbers = numbers && ad_is_number(in[i]);
    if (numbers)
        return number(op, n, in);
    ad_var x[3];
    ad_tape *t;
    if (!ad_join(who, n, in, x, &t))
        return ad_void(t);
    double u, v;
    if (t->guard && op == OP_mul && !ad_literal(x[0], &u) && !ad_literal(x[1], &v))
        op = OP_mulz;
    else if (t->guard && op == OP_div && !ad_literal(x[0], &u) && !ad_literal(x[1], &v))
        op = OP_divz;
    if (op == OP_mulz &&
        ((ad_literal(x[0], &u) && u != 0 && isfinite(u)) || (ad_literal(x[1], &v) && v != 0 && isfinite(v))))
        op = OP_mul; /* a number that is neither 0 nor infinite needs no care */
    int32_t r = 1, c = 1;
    for (int i = 0; i < n; i++)
        if (!broadcast(&r, ad_rows(x[i])) || !broadcast(&c, ad_cols(x[i]))) {
            char s[3][32];
            for (int k = 0; k < n; k++)
                ad_shape_text(s[k], ad_rows(x[k]), ad_cols(x[k]));
            return n == 2 ? ad_fail(t, AD_ESHAPE, "%s: %s with %s: sizes must be equal or 1", who, s[0], s[1])
                          : ad_fail(t, AD_ESHAPE, "%s: %s with %s with %s: sizes must be equal or 1", who,
                                    s[0], s[1], s[2]);
        }
    ad_var y;
    if (n == 1 && ad_literal(x[0], &u))
        return ad_fill(t, r, c, number(op, 1, (ad_var[]){N(u), N(0), N(0)}).value);
    if (n == 2 && ad_literal(x[0], &u) && ad_literal(x[1], &v))
        return ad_fill(t, r, c, number(op, 2, (ad_var[]){N(u), N(v), N(0)}).value);
    if (n == 2 && fold(op, r, c, x, &y))
        return y;
    if (op == OP_neg && ad_node_of(x[0])->op == OP_neg)
        return ad_var_of(t, ad_node_of(x[0])->arg[0]);
    if (op == OP_where && ad_literal(x[0], &u))
        return as_is(u != 0 ? x[1] : x[2], r, c);
    return ad_push(t, op, r, c, n, x, 0, NULL);
}

#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    ad_var ad_##name(ad_var x) { return ad_elementwise(OP_##name, "ad_" #name, 1, (ad_var[3]){x}); }
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    ad_var ad_##name(ad_var a, ad_var b)                                                                     \
    {                                                                                                        \
        return ad_elementwise(OP_##name, "ad_" #name, 2, (ad_var[3]){a, b});                                 \
    }
#include "ops.def"
#undef UNARY
#undef BINARY

ad_var ad_where(ad_var c, ad_var a, ad_var b)
{
    return ad_elementwise(OP_where, "ad_where", 3, (ad_var[3]){c, a, b});
}

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
        : m == 1 ? as_is(v[0], r, c)
        : m == 2 ? as_is(ad_add(v[0], v[1]), r, c)
                 : ad_push(t, OP_ADD_N, r, c, m, v, 0, NULL);
    free(v);
    return y;
}

/* Derivative rules ------------------------------------------------------------------------------------ */

typedef ad_var unary_rule(ad_var g, ad_var x, ad_var y);
typedef ad_var binary_rule(ad_var g, ad_var a, ad_var b, ad_var y);

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
#include "ops.def"
#undef UNARY
#undef BINARY

static unary_rule *const rule1[OP_COUNT_] = {
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = rule_##name,
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)
#include "ops.def"
#undef UNARY
#undef BINARY
};
static binary_rule *const rule2[OP_COUNT_][2] = {
#define UNARY(name, cost, value, rule, lo, hi)
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = {rule_a_##name, rule_b_##name},
#include "ops.def"
#undef UNARY
#undef BINARY
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
    } else if (n.op == OP_where) {
        da[0] = N(0);
        da[1] = want[1] ? ad_where(a[0], g, N(0)) : N(0);
        da[2] = want[2] ? ad_where(a[0], N(0), g) : N(0);
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
