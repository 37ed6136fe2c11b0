/* matrix.c - whole Jacobians and Hessians, of one point and of every row of a batch, and the Poisson bracket.
 * Invariant: the tape grows by the nodes of a few directional derivatives, not by one for each direction, wherever the
 * directions can be rows of one graph (lift.c).
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"
#include "part.h"

#include <limits.h>

typedef struct size {
    int32_t rows, cols;
    char text[32];
} size;

static size size_of(ad_var v)
{
    size s = {ad_rows(v), ad_cols(v), ""};
    ad_shape_text(s.text, s.rows, s.cols);
    return s;
}

/* x recorded, both with a fixed number of rows; the numbers of their elements. */
static bool fixed(const char *who, ad_var y, ad_var x, int32_t *m, int32_t *n)
{
    size sy = size_of(y), sx = size_of(x);
    if (ad_is_number(x))
        ad_fail(y.tape, AD_EARG, "%s: x is a number; needs a recorded value", who);
    if (ad_is_number(x) || ad_is_void(x) || ad_is_void(y))
        return false;
    if (sy.rows < 0 || sx.rows < 0)
        ad_fail(x.tape, AD_ESHAPE, "%s: y is %s, x is %s; needs fixed numbers of rows (for a batch: %s_rows)",
                who, sy.text, sx.text, who);
    else if ((int64_t)sy.rows * sy.cols * sx.rows * sx.cols > INT_MAX)
        ad_fail(x.tape, AD_ESHAPE, "%s: y is %s, x is %s; the matrix would have more than 2^31 elements", who,
                sy.text, sx.text);
    *m = sy.rows * sy.cols;
    *n = sx.rows * sx.cols;
    return ad_status(x.tape) == AD_OK;
}

/* The i-th of the unit vectors, in the shape of like. */
static ad_var unit(ad_tape *t, int32_t i, ad_var like)
{
    int32_t r = ad_rows(like), c = ad_cols(like);
    double *v = calloc((size_t)r * (size_t)c, sizeof *v);
    if (!v)
        return ad_fail(t, AD_ENOMEM, "ad_jacobian: out of memory");
    v[i] = 1;
    ad_var e = ad_const(t, r, c, v);
    free(v);
    return e;
}

/* One derivative for each direction: y' or x' flat, one below the other. What cannot be lifted comes here. */
static ad_var one_by_one(ad_var y, ad_var x, int32_t count, bool forward)
{
    ad_tape *t = x.tape;
    ad_var *d = malloc((size_t)count * sizeof *d), out;
    if (!d)
        return ad_fail(t, AD_ENOMEM, "ad_jacobian: out of memory");
    for (int32_t i = 0; i < count && !t->status; i++) {
        ad_var e = unit(t, i, forward ? x : y);
        if (forward)
            ad_jvp(1, &y, 1, &x, &e, &d[i]);
        else
            ad_vjp(1, &y, &e, 1, &x, &d[i]);
        d[i] = ad_reshape(d[i], 1, ad_rows(d[i]) * ad_cols(d[i]));
    }
    out = t->status ? ad_void(t) : ad_concat_rows(count, d);
    free(d);
    return out;
}

ad_var ad_jacobian(ad_var y, ad_var x)
{
    ad_part p;
    int32_t m, n, blocked;
    ad_tape *t = x.tape;
    ad_var whole;
    if (!fixed("ad_jacobian", y, x, &m, &n))
        return ad_void(t ? t : y.tape);
    if (ad_by_pattern("ad_jacobian", y, x, false, &whole))
        return whole;
    if (!ad_part_open(&p, "ad_jacobian", 1, &y, 1, &x))
        return ad_void(t ? t : y.tape);
    if (ad_is_number(y)) {
        ad_part_close(&p);
        return ad_fill(t, 1, n, 0);
    }
    bool forward = n <= m; /* a tangent costs no more than an adjoint */
    ad_var d, e = ad_part_leaf(&p, ad_rows(forward ? x : y), ad_cols(forward ? x : y)), j = ad_void(t);
    if (forward)
        ad_jvp(1, p.y, 1, p.x, &e, &d);
    else
        ad_vjp(1, p.y, &e, 1, p.x, &d);
    int status = ad_lift(&p, e, ad_eye(t, forward ? n : m), 1, &d, &j, &blocked);
    ad_part_close(&p);
    if (status == AD_EUNSUPPORTED)
        j = one_by_one(y, x, forward ? n : m, forward);
    return forward ? ad_transpose(j) : j;
}

/* The lower triangle by columns -> every entry: n(n+1)/2 columns -> n*n columns. */
static ad_var mirrored(ad_var lower, int32_t n)
{
    int *index = malloc((size_t)n * (size_t)n * sizeof *index);
    if (!index)
        return ad_fail(lower.tape, AD_ENOMEM, "ad_hessian: out of memory");
    for (int32_t j = 0, k = 0; j < n; j++)
        for (int32_t i = j; i < n; i++, k++)
            index[i * n + j] = index[j * n + i] = k;
    ad_var h = ad_gather_cols(lower, n * n, index);
    free(index);
    return h;
}

/* For each j: column j of the Jacobian of g [.,n] in x [.,n], from the diagonal down, side by side. */
static ad_var columns(ad_var g, ad_var x, int32_t n)
{
    ad_tape *t = x.tape;
    ad_var *d = malloc((size_t)n * sizeof *d), out;
    if (!d)
        return ad_fail(t, AD_ENOMEM, "ad_hessian: out of memory");
    for (int32_t j = 0; j < n && !t->status; j++) {
        ad_var e = ad_expand(unit(t, j, ad_fill(t, 1, n, 0)), ad_rows(x), n), below = ad_cols_of(g, j, n - j);
        ad_jvp(1, &below, 1, &x, &e, &d[j]);
    }
    out = t->status ? ad_void(t) : ad_concat_cols(n, d);
    free(d);
    return out;
}

static bool scalar(const char *who, ad_var y)
{
    size s = size_of(y);
    if (!ad_is_void(y) && (s.rows != 1 || s.cols != 1))
        ad_fail(y.tape, AD_ESHAPE, "%s: y is %s; needs [1,1]", who, s.text);
    return !ad_is_void(y) && s.rows == 1 && s.cols == 1;
}

ad_var ad_hessian(ad_var y, ad_var x)
{
    ad_part p;
    int32_t m, n, blocked;
    ad_tape *t = x.tape;
    ad_var whole;
    if (!scalar("ad_hessian", y) || !fixed("ad_hessian", ad_num(0), x, &m, &n))
        return ad_void(t ? t : y.tape);
    if ((int64_t)n * n > INT_MAX)
        return ad_fail(t, AD_ESHAPE, "ad_hessian: x has %d elements; the matrix would have more than 2^31",
                       n);
    if (ad_by_pattern("ad_hessian", y, x, true, &whole))
        return whole;
    if (!ad_part_open(&p, "ad_hessian", 1, &y, 1, &x))
        return ad_void(t ? t : y.tape);
    ad_var h = ad_void(t), d, v = ad_part_leaf(&p, ad_rows(x), ad_cols(x));
    ad_var g = ad_is_number(y) ? ad_fill(p.t, ad_rows(x), ad_cols(x), 0) : ad_grad(p.y[0], p.x[0]);
    ad_jvp(1, &g, 1, p.x, &v, &d);
    int status = ad_lift(&p, v, ad_eye(t, n), 1, &d, &h, &blocked);
    ad_part_close(&p);
    if (status == AD_EUNSUPPORTED) /* a batch lies between: one product for each direction, of the triangle */
        h = ad_rows(x) == 1 ? ad_reshape(mirrored(columns(ad_grad(y, x), x, n), n), n, n)
                            : one_by_one(ad_grad(y, x), x, n, true);
    return h;
}

/* Rows of a batch -------------------------------------------------------------------------------------- */

/* A batch, or rows of x and y that are the same number: y [R,m], x [R,n]. */
static bool rows_agree(const char *who, ad_var y, ad_var x, bool one_column)
{
    size sy = size_of(y), sx = size_of(x);
    if (ad_is_number(y) || ad_is_number(x))
        ad_fail(ad_is_number(y) ? x.tape : y.tape, AD_EARG, "%s: %c is a number; needs a recorded value", who,
                ad_is_number(y) ? 'y' : 'x');
    if (ad_is_number(y) || ad_is_number(x) || ad_is_void(y) || ad_is_void(x))
        return false;
    if (sy.rows != sx.rows || sy.rows < AD_BATCH || (one_column && sy.cols != 1))
        ad_fail(y.tape, AD_ESHAPE, "%s: y is %s, x is %s; needs %s", who, sy.text, sx.text,
                one_column ? "[B,1] and [B,n]" : "[B,m] and [B,n]");
    return ad_status(y.tape) == AD_OK;
}

/* The gradient of each row's y in what all rows share: the adjoints, with the sums over the batch left out. */
static ad_var shared_grad_rows(ad_var y, ad_var x)
{
    ad_part p;
    ad_var g, out = ad_void(x.tape);
    int32_t blocked;
    if (!ad_row_local("ad_grad_rows", y, x, AD_BATCH, false) ||
        !ad_part_open(&p, "ad_grad_rows", 1, &y, 1, &x))
        return out;
    g = ad_grad(ad_sum(p.y[0]), p.x[0]);
    if (ad_lift(&p, ad_void(x.tape), ad_num(0), 1, &g, &out, &blocked) == AD_EUNSUPPORTED)
        ad_fail(x.tape, AD_EUNSUPPORTED,
                "ad_grad_rows: ad_%s lies between y and x; its share for each row is not known",
                ad_ops[ad_at_id(p.t, blocked)->op].name);
    ad_part_close(&p);
    return out;
}

ad_var ad_grad_rows(ad_var y, ad_var x)
{
    size sy = size_of(y), sx = size_of(x);
    if (sy.cols == 1 && sy.rows == AD_BATCH && sx.rows > 0 && !ad_is_number(x))
        return shared_grad_rows(y, x);
    if (sy.cols == 1 && sy.rows > 0 && sx.rows > 0 && sy.rows != sx.rows)
        return ad_jacobian(y, x);
    if (!rows_agree("ad_grad_rows", y, x, true) || !ad_row_local("ad_grad_rows", y, x, sx.rows, true))
        return ad_void(y.tape ? y.tape : x.tape);
    return ad_grad(ad_sum(y), x);
}

ad_var ad_jacobian_rows(ad_var y, ad_var x)
{
    if (!rows_agree("ad_jacobian_rows", y, x, false) ||
        !ad_row_local("ad_jacobian_rows", y, x, ad_rows(x), true))
        return ad_void(y.tape ? y.tape : x.tape);
    ad_tape *t = x.tape;
    int32_t m = ad_cols(y), n = ad_cols(x), rows = ad_rows(x);
    bool forward = n <= m;
    int32_t count = forward ? n : m;
    ad_var *d = malloc((size_t)count * sizeof *d), like = ad_fill(t, 1, count, 0), out;
    if (!d)
        return ad_fail(t, AD_ENOMEM, "ad_jacobian_rows: out of memory");
    for (int32_t i = 0; i < count && !t->status; i++) {
        ad_var e = unit(t, i, like);
        if (forward) {
            e = ad_expand(e, rows, n);
            ad_jvp(1, &y, 1, &x, &e, &d[i]);
        } else {
            ad_vjp(1, &y, &e, 1, &x, &d[i]);
        }
    }
    out = t->status ? ad_void(t) : ad_concat_cols(count, d);
    free(d);
    return forward && !t->status ? ad_row_transpose(out, n, m) : out;
}

ad_var ad_hessian_rows(ad_var y, ad_var x)
{
    if (!rows_agree("ad_hessian_rows", y, x, true) ||
        !ad_row_local("ad_hessian_rows", y, x, ad_rows(x), true))
        return ad_void(y.tape ? y.tape : x.tape);
    int32_t n = ad_cols(x);
    return mirrored(columns(ad_grad(ad_sum(y), x), x, n), n);
}

/* Hamiltonian structure, and several values as one --------------------------------------------------------- */

ad_var ad_poisson(ad_var f, ad_var g, ad_var q, ad_var p)
{
    ad_var h[2] = {f, g}, x[2] = {q, p}, d[2][2];
    size sq = size_of(q), sp = size_of(p);
    ad_tape *t = q.tape;
    if (!ad_is_void(q) && !ad_is_void(p) && (sq.rows != sp.rows || sq.cols != sp.cols))
        return ad_fail(t ? t : p.tape, AD_ESHAPE, "ad_poisson: q is %s, p is %s; needs equal shapes", sq.text,
                       sp.text);
    for (int i = 0; i < 2; i++) {
        size s = size_of(h[i]);
        if (ad_is_void(h[i]) || ad_is_void(q) || ad_is_void(p))
            return ad_void(t);
        if (ad_is_number(h[i])) /* a constant commutes with everything */
            return ad_fill(t, sq.rows == AD_BATCH ? AD_BATCH : 1, 1, 0);
        if (s.cols != 1 || (s.rows != 1 && s.rows != sq.rows))
            return ad_fail(t, AD_ESHAPE,
                           "ad_poisson: %c is %s, q is %s; needs [1,1], or [B,1] with q and p [B,n]", "fg"[i],
                           s.text, sq.text);
    }
    bool rows = ad_rows(f) != 1 || ad_rows(g) != 1;
    for (int i = 0; i < 2; i++) {
        if (rows && ad_rows(h[i]) == 1 && sq.rows != 1)
            return ad_fail(t, AD_ESHAPE, "ad_poisson: f is %s, g is %s; needs equal shapes", size_of(f).text,
                           size_of(g).text);
        for (int k = 0; rows && k < 2; k++)
            if (!ad_row_local("ad_poisson", h[i], x[k], sq.rows, true))
                return ad_void(t);
        if (ad_grads(ad_sum(h[i]), 2, x, d[i]))
            return ad_void(t);
    }
    ad_var b = ad_sub(ad_mul(d[0][0], d[1][1]), ad_mul(d[0][1], d[1][0]));
    return rows ? ad_sum_cols(b) : ad_sum(b);
}
