/* k_elementwise.h - template: one kernel per row of ops.def, with broadcasting by strides.
 * A lane computes the row's expression; which lane it is, and how many there are, changes no bit.
 *
 * SPDX-License-Identifier: MIT */

/* Operand i by rows: where a row begins, and whether it is one number (step 0) or a row (step 1). */
typedef struct K(side) {
    const REAL *p;
    int64_t row;
    int step;
} K(side);

/* A result whose operands are all whole or single numbers is one long row. */
static inline int64_t K(sides)(const ad_kcall *c, K(side) s[3], int64_t *cols)
{
    bool flat = true;
    for (int i = 0; i < c->nargs; i++) {
        int64_t r = c->shape[i][0], k = c->shape[i][1];
        s[i].p = c->src[i];
        s[i].row = r == 1 ? 0 : k;
        s[i].step = k == 1 && c->cols != 1 ? 0 : 1;
        if (r * k == 1)
            s[i].row = s[i].step = 0;
        else if (r != c->rows || k != c->cols)
            flat = false;
    }
    *cols = flat ? c->rows * c->cols : c->cols;
    return flat ? 1 : c->rows;
}
static inline V K(side_load)(const K(side) * s, int64_t i, int64_t j)
{
    const REAL *p = s->p + i * s->row;
    return s->step ? V_LOAD(p + j) : V_SET1(*p);
}
static inline V K(side_tail)(const K(side) * s, int64_t i, int64_t j, int n)
{
    const REAL *p = s->p + i * s->row;
    return s->step ? V_LOADN(p + j, n) : V_SET1(*p);
}

#define LOOP(args, EXPR_FULL, EXPR_TAIL)                                                                     \
    REAL *d = c->dst;                                                                                        \
    K(side) s[3];                                                                                            \
    int64_t cols, rows = K(sides)(c, s, &cols);                                                              \
    for (int64_t i = 0; i < rows; i++, d += cols) {                                                          \
        int64_t j = 0;                                                                                       \
        for (; j + W <= cols; j += W)                                                                        \
            V_STORE(d + j, EXPR_FULL);                                                                       \
        if (j < cols) {                                                                                      \
            int n = (int)(cols - j);                                                                         \
            V_STOREN(d + j, EXPR_TAIL, n);                                                                   \
        }                                                                                                    \
    }                                                                                                        \
    return AD_OK;

#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    static int K(name)(ad_kcall * c)                                                                         \
    {                                                                                                        \
        LOOP(1, K(f_##name)(K(side_load)(&s[0], i, j)), K(f_##name)(K(side_tail)(&s[0], i, j, n)))           \
    }
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    static int K(name)(ad_kcall * c)                                                                         \
    {                                                                                                        \
        LOOP(2, K(f_##name)(K(side_load)(&s[0], i, j), K(side_load)(&s[1], i, j)),                           \
             K(f_##name)(K(side_tail)(&s[0], i, j, n), K(side_tail)(&s[1], i, j, n)))                        \
    }
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    static int K(name)(ad_kcall * c)                                                                         \
    {                                                                                                        \
        LOOP(3,                                                                                              \
             K(f_##name)(K(side_load)(&s[0], i, j), K(side_load)(&s[1], i, j), K(side_load)(&s[2], i, j)),   \
             K(f_##name)(K(side_tail)(&s[0], i, j, n), K(side_tail)(&s[1], i, j, n),                         \
                         K(side_tail)(&s[2], i, j, n)))                                                      \
    }
#include "../ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY

/* One exponential and one division for both. The bits are those of tanh and dtanh. */
static void K(tanh_pair)(void *tanh_x, void *dtanh_x, const void *x, int64_t n)
{
    REAL *t = tanh_x, *d = dtanh_x;
    const REAL *a = x;
    V s;
    int64_t j = 0;
    for (; j + W <= n; j += W) {
        V y = vm_tanh_sech2(V_LOAD(a + j), &s);
        V_STORE(t + j, y);
        V_STORE(d + j, s);
    }
    if (j < n) {
        V y = vm_tanh_sech2(V_LOADN(a + j, (int)(n - j)), &s);
        V_STOREN(t + j, y, (int)(n - j));
        V_STOREN(d + j, s, (int)(n - j));
    }
}

/* x0 + x1, then + x2, ...: the order is part of the meaning. */
static int K(add_n)(ad_kcall *c)
{
    const void *src[2] = {c->src[0], c->src[1]};
    int64_t shape[2][2] = {{c->shape[0][0], c->shape[0][1]}, {c->shape[1][0], c->shape[1][1]}};
    ad_kcall p = *c;
    p.src = src;
    p.shape = (const int64_t(*)[2])shape;
    p.nargs = 2;
    for (int i = 1; i < c->nargs; i++) {
        src[1] = c->src[i];
        shape[1][0] = c->shape[i][0];
        shape[1][1] = c->shape[i][1];
        K(add)(&p);
        src[0] = c->dst;
        shape[0][0] = c->rows;
        shape[0][1] = c->cols;
    }
    return AD_OK;
}
