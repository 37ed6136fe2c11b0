/* random_tape.h - a random recording from a seed: every row of ops.def, sums, movement, matrices, batches, mixed shapes.
 *
 * Operands of a row are squeezed into the interval that ops.def gives for it, so that values stay of moderate size.
 * SPDX-License-Identifier: MIT */
#ifndef RANDOM_TAPE_H
#define RANDOM_TAPE_H

#define AD_NO_SUGAR
#include "ad.h"

#include <stdlib.h>
#include <string.h>

enum { RT_INPUTS = 5, RT_NODES = 400 };

typedef struct {
    ad_tape *t;
    ad_var in[RT_INPUTS], v[RT_NODES];
    int n;
    int smooth; /* no jumps: rounding may not decide which side of one a value falls on */
    uint64_t s;
} random_tape;

static inline uint32_t rt_next(random_tape *r, uint32_t below)
{
    r->s = r->s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(((r->s >> 33) * below) >> 31);
}
static inline double rt_real(random_tape *r) { return rt_next(r, 1 << 24) / (double)(1 << 24); }

typedef struct {
    ad_var (*one)(ad_var);
    ad_var (*two)(ad_var, ad_var);
    ad_var (*three)(ad_var, ad_var, ad_var);
    double lo, hi;
    const char *name;
} rt_row;
#define UNARY(name, cost, value, rule, lo, hi) {ad_##name, NULL, NULL, lo, hi, #name},
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) {NULL, ad_##name, NULL, lo, hi, #name},
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) {NULL, NULL, ad_##name, lo, hi, #name},
static const rt_row rt_rows[] = {
#include "ops.def"
};
#undef UNARY
#undef BINARY
#undef TERNARY

static inline int rt_jumps(const rt_row *row)
{
    static const char *const jump[] = {"lt", "le", "eq", "sign"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(row->name, jump[i]))
            return 1;
    return 0;
}

static inline ad_var rt_squeeze(ad_var x, double lo, double hi)
{
    return ad_add(ad_num(lo), ad_mul(ad_num(hi - lo), ad_sigmoid(x)));
}
static inline ad_var rt_any(random_tape *r) { return r->v[rt_next(r, (uint32_t)r->n)]; }
/* Another value whose shape broadcasts with x, or a number. */
static inline ad_var rt_mate(random_tape *r, ad_var x)
{
    for (int i = 0; i < 12; i++) {
        ad_var y = rt_any(r);
        int a = ad_rows(x), b = ad_rows(y), c = ad_cols(x), d = ad_cols(y);
        if ((a == b || a == 1 || b == 1) && (c == d || c == 1 || d == 1))
            return y;
    }
    return ad_num(rt_real(r) * 2 - 1);
}

/* One operation that is not elementwise; void when the shape does not suit it. */
static inline ad_var rt_move(random_tape *r, ad_var x)
{
    int rows = ad_rows(x), cols = ad_cols(x), k = 1 + (int)rt_next(r, (uint32_t)cols), index[6], n;
    ad_var y;
    switch (rt_next(r, 17)) {
    case 0:
        return ad_sum(x);
    case 1:
        return ad_sum_rows(x);
    case 2:
        return ad_sum_cols(x);
    case 3:
        return ad_logsumexp(x);
    case 4:
        return ad_norm(x);
    case 5:
        return ad_cols_of(x, cols - k, k);
    case 6:
        return ad_pad(x, 0, 0, 1, (int)rt_next(r, 2));
    case 7:
        n = 1 + (int)rt_next(r, 6);
        for (int i = 0; i < n; i++)
            index[i] = (int)rt_next(r, (uint32_t)cols);
        return ad_gather_cols(x, n, index);
    case 8:
        if (cols > 6)
            return ad_mean(x);
        for (int i = 0; i < cols; i++)
            index[i] = (int)rt_next(r, 7);
        return ad_scatter_cols(x, 7, index);
    case 9:
        y = rt_any(r);
        if (ad_rows(y) == rows)
            return ad_concat_cols(3, (ad_var[]){x, y, x});
        return r->smooth ? ad_neg(x)
                         : ad_stop(x); /* a stop hides the rounding before it from a bound by derivatives */
    case 10:
        return rows > 0 ? ad_transpose(x) : ad_reshape(x, rows * cols, 1);
    case 11:
        y = rt_any(r); /* a product; a batch contracts with a batch */
        if (rows == ad_rows(y) && cols * ad_cols(y) <= 64)
            return ad_matmul_tn(ad_tanh(x), ad_tanh(y));
        return ad_rows(y) > 0 && ad_cols(y) == cols && ad_rows(y) < 9 ? ad_matmul_nt(ad_tanh(x), ad_tanh(y))
                                                                      : ad_square(x);
    case 12:
        return cols * cols <= 16 ? ad_row_outer(ad_sin(x), ad_cos(x)) : ad_sum_cols(x);
    case 13:
        if (cols > 3)
            return ad_row_dot(ad_sin(x), x);
        y = ad_row_outer(ad_sin(x), ad_sin(x)); /* positive definite */
        y = ad_add(y, ad_reshape(ad_eye(r->t, cols), 1, cols * cols));
        return rt_next(r, 2) ? ad_row_logdet(y, cols) : ad_row_cholesky(y, cols);
    case 14:
        if (cols > 3)
            return ad_abs(x);
        y = ad_add(ad_row_outer(ad_sin(x), ad_cos(x)), ad_reshape(ad_eye(r->t, cols), 1, cols * cols));
        y = ad_add(y, ad_reshape(ad_eye(r->t, cols), 1, cols * cols));
        return ad_row_solve(y, x, cols, 1);
    case 15:
        return rows > 1 ? ad_rows_of(x, rows - 1, 1) : ad_expand(ad_cols_of(x, 0, 1), rows, 3);
    default:
        if (r->smooth)
            return ad_square(ad_tanh(x));
        return ad_where(ad_lt(ad_sin(x), ad_num(rt_real(r))), x, rt_mate(r, x));
    }
}

static inline void rt_grow(random_tape *r)
{
    ad_var x = rt_any(r), y;
    if (rt_next(r, 3) == 0) {
        y = rt_move(r, x);
    } else {
        const rt_row *row = &rt_rows[rt_next(r, sizeof rt_rows / sizeof *rt_rows)];
        if (r->smooth && rt_jumps(row))
            return;
        ad_var u = rt_squeeze(x, row->lo, row->hi);
        if (row->one)
            y = row->one(u);
        else {
            ad_var v = rt_squeeze(rt_mate(r, x), row->lo, row->hi);
            y = row->two ? row->two(u, v)
                         : row->three(u, v, rt_squeeze(rt_mate(r, ad_mul(u, v)), row->lo, row->hi));
        }
        if (rt_next(r, 8) == 0)
            y = ad_add_n(3, (ad_var[]){y, x, y});
    }
    int rows = ad_rows(y), cols = ad_cols(y);
    if (ad_is_void(y) || ad_is_number(y) || cols > 16 || rows > 16 || rows < -3)
        return;
    r->v[r->n++] = y;
}

/* `depth` values from the inputs on. */
static inline random_tape rt_new(uint64_t seed, int depth, int smooth)
{
    static const char *const name[RT_INPUTS] = {"a", "b", "c", "d", "e"};
    static const int rows[RT_INPUTS] = {1, 1, 3, AD_BATCH, AD_BATCH}, cols[RT_INPUTS] = {1, 4, 2, 1, 4};
    random_tape r = {.t = ad_new(), .s = seed * 2 + 1, .smooth = smooth};
    for (int i = 0; i < 8; i++)
        rt_next(&r, 2);
    for (int i = 0; i < RT_INPUTS; i++)
        r.v[r.n++] = r.in[i] = ad_input(r.t, name[i], rows[i], cols[i]);
    for (int i = 0; r.n < depth && i < 2 * depth; i++)
        rt_grow(&r);
    return r;
}

#endif
