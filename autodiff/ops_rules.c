/* ops_rules.c - derivative rules of sums, movement and matrices, and the small operations made of them.
 * Rules are written in tape operations only, so every order of derivative follows.
 *
 * SPDX-License-Identifier: MIT */
#include "tape.h"

/* A constant [1,n*n]: below, on and above the diagonal. */
static ad_var mask(ad_tape *t, int n, double below, double on, double above)
{
    double *v = malloc((size_t)n * (size_t)n * sizeof *v);
    if (!v)
        return ad_fail(t, AD_ENOMEM, "ad_row_cholesky: out of memory");
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            v[i * n + j] = j < i ? below : j == i ? on : above;
    ad_var m = ad_const(t, 1, n * n, v);
    free(v);
    return m;
}

static ad_var row_eye(ad_tape *t, int n) { return ad_reshape(ad_eye(t, n), 1, n * n); }

static ad_var transposed_solve(const ad_node *n, ad_var a, ad_var b, int nn, int k, int transposed)
{
    if (n->op == OP_ROW_TRISOLVE)
        return ad_row_trisolve(a, b, nn, k, transposed);
    return ad_row_solve(transposed ? ad_row_transpose(a, nn, nn) : a, b, nn, k);
}

/* narrow: g before it had the shape of C. */
static void matmul_pullback(const ad_var g, const ad_var narrow, const ad_var a[], const bool want[], int ta,
                            int tb, ad_var da[])
{
    bool one = ad_is_number(narrow) || (ad_rows(narrow) == 1 && ad_cols(narrow) == 1);
    ad_var (*const mm[2][2])(ad_var, ad_var) = {{ad_matmul, ad_matmul_nt}, {ad_matmul_tn, ad_matmul_tt}};
    if (want[0]) /* C = A B: dA = G B';  C = A'B: dA = B G' */
        da[0] = ta ? mm[tb][1](a[1], g)
                : one && ad_cols(g) == 1 /* every row of G B' is the same one */
                    ? ad_mul(narrow, tb ? a[1] : ad_transpose(a[1]))
                    : mm[0][!tb](g, a[1]);
    if (want[1])
        da[1] = tb ? mm[1][ta](g, a[0]) : mm[!ta][0](a[0], g);
}

static void solve_pullback(const ad_node *n, ad_var y, ad_var g, const ad_var a[], const bool want[],
                           const int32_t at[], ad_var da[])
{
    int nn = at[0], k = at[1], transposed = at[2];
    ad_var db = transposed_solve(n, a[0], g, nn, k, !transposed);
    if (want[0]) { /* A x = b: dA = -db x';  A'x = b: dA = -x db' */
        ad_var u = transposed ? y : db, v = transposed ? db : y;
        da[0] = ad_neg(ad_row_matmul(u, ad_row_transpose(v, nn, k), nn, k, nn));
        if (n->op == OP_ROW_TRISOLVE)
            da[0] = ad_mul(da[0], mask(y.tape, nn, 1, 1, 0));
    }
    da[1] = db;
}

/* L^-T M L^-1 for M [n,n] in each row. */
static ad_var congruence(ad_var l, ad_var m, int n)
{
    ad_var u = ad_row_trisolve(l, m, n, n, 1);
    return ad_row_transpose(ad_row_trisolve(l, ad_row_transpose(u, n, n), n, n, 1), n, n);
}

void ad_shape_pullback(ad_var y, ad_var g, const ad_var a[], const bool want[], ad_var da[])
{
    ad_tape *t = y.tape;
    const ad_node n = *ad_node_of(y); /* a copy: the pool may grow while recording */
    int32_t nargs = ad_nargs(t, &n), at[3] = {0};
    for (int i = 0; i < 3 && i < n.nattr; i++)
        at[i] = ad_attrs(t, &n)[i];
    int32_t r = nargs ? ad_rows(a[0]) : 0, c = nargs ? ad_cols(a[0]) : 0;
    if (n.op == OP_SUM_ROWS || n.op == OP_SUM_COLS) {
        da[0] = g; /* broadcast later, where it is used */
        return;
    }
    if (n.op == OP_STOP || n.op == OP_COUNT) {
        da[0] = N(0);
        return;
    }
    const ad_var narrow = g;
    if (ad_is_number(g))
        g = ad_fill(t, n.rows, n.cols, g.value);
    else
        g = ad_expand(g, n.rows, n.cols);
    int *index = NULL;
    if (n.op >= OP_GATHER_COLS && n.op <= OP_SCATTER_ROWS) { /* the pool may move: keep a copy */
        index = malloc((size_t)n.nattr * sizeof *index);
        if (!index) {
            da[0] = ad_fail(t, AD_ENOMEM, "ad_%s: out of memory", ad_ops[n.op].name);
            return;
        }
        memcpy(index, ad_attrs(t, &n), (size_t)n.nattr * sizeof *index);
    }
    switch (n.op) {
    case OP_LOGSUMEXP:
        da[0] = ad_mul(g, ad_exp(ad_sub(a[0], y)));
        break;
    case OP_NORM:
        da[0] = ad_mul(g, ad_divz(a[0], y));
        break;
    case OP_RESHAPE:
        da[0] = ad_reshape(g, r, c);
        break;
    case OP_EXPAND:
        da[0] = ad_sum_to(g, r, c);
        break;
    case OP_PAD:
        da[0] = ad_slice(g, at[0], r, at[1], c);
        break;
    case OP_CONCAT_ROWS:
    case OP_CONCAT_COLS:
        for (int32_t i = 0, row = 0, col = 0; i < nargs; i++) {
            if (want[i])
                da[i] = ad_slice(g, row, ad_rows(a[i]), col, ad_cols(a[i]));
            row += n.op == OP_CONCAT_ROWS ? ad_rows(a[i]) : 0;
            col += n.op == OP_CONCAT_COLS ? ad_cols(a[i]) : 0;
        }
        break;
    case OP_GATHER_COLS:
        da[0] = ad_scatter_cols(g, c, index);
        break;
    case OP_GATHER_ROWS:
        da[0] = ad_scatter_rows(g, r, index);
        break;
    case OP_SCATTER_COLS:
        da[0] = ad_gather_cols(g, n.nattr, index);
        break;
    case OP_SCATTER_ROWS:
        da[0] = ad_gather_rows(g, n.nattr, index);
        break;
    case OP_TRANSPOSE:
        da[0] = ad_transpose(g);
        break;
    case OP_MATMUL:
        matmul_pullback(g, narrow, a, want, at[0], at[1], da);
        break;
    case OP_ROW_MATMUL:
        if (want[0])
            da[0] = ad_row_matmul(g, ad_row_transpose(a[1], at[1], at[2]), at[0], at[2], at[1]);
        if (want[1])
            da[1] = ad_row_matmul(ad_row_transpose(a[0], at[0], at[1]), g, at[1], at[0], at[2]);
        break;
    case OP_ROW_TRANSPOSE:
        da[0] = ad_row_transpose(g, at[1], at[0]);
        break;
    case OP_ROW_SOLVE:
    case OP_ROW_TRISOLVE:
        solve_pullback(&n, y, g, a, want, at, da);
        break;
    case OP_ROW_CHOLESKY: { /* S = L^-T Phi(L'G) L^-1; only the lower triangle of A was read */
        int m = at[0];
        ad_var phi = ad_mul(ad_row_matmul(ad_row_transpose(y, m, m), g, m, m, m), mask(t, m, 1, 0.5, 0));
        ad_var s = congruence(y, phi, m);
        da[0] = ad_mul(ad_add(s, ad_row_transpose(s, m, m)), mask(t, m, 1, 0.5, 0));
        break;
    }
    case OP_ROW_LOGDET:
        da[0] =
            ad_mul(g, ad_row_solve(ad_row_transpose(a[0], at[0], at[0]), row_eye(t, at[0]), at[0], at[0]));
        break;
    default:
        break; /* leaves have no operands */
    }
    free(index);
}

ad_var ad_shape_tangent(ad_var y, const ad_var a[], const ad_var ta[])
{
    ad_tape *t = y.tape;
    const ad_node n = *ad_node_of(y);
    int32_t m = n.nattr ? ad_attrs(t, &n)[0] : 0, k = n.nattr > 2 ? ad_attrs(t, &n)[1] : 0;
    int32_t transposed = n.nattr > 2 ? ad_attrs(t, &n)[2] : 0;
    switch (n.op) {
    case OP_LOGSUMEXP:
        return ad_sum_cols(ad_mul(ad_exp(ad_sub(a[0], y)), ta[0]));
    case OP_NORM:
        return ad_sum_cols(ad_mul(ad_divz(a[0], y), ta[0]));
    case OP_ROW_LOGDET:
        return ad_sum_cols(ad_mul(ad_row_solve(ad_row_transpose(a[0], m, m), row_eye(t, m), m, m), ta[0]));
    case OP_ROW_CHOLESKY: { /* L Phi(L^-1 dA L^-T), dA symmetric from its lower triangle */
        ad_var s = ad_mul(ta[0], mask(t, m, 1, 0.5, 0));
        s = ad_add(s, ad_row_transpose(s, m, m));
        s = ad_row_trisolve(y, s, m, m, 0);
        s = ad_row_transpose(ad_row_trisolve(y, ad_row_transpose(s, m, m), m, m, 0), m, m);
        return ad_row_matmul(y, ad_mul(s, mask(t, m, 1, 0.5, 0)), m, m, m);
    }
    case OP_ROW_SOLVE:
    case OP_ROW_TRISOLVE: { /* x' = A^-1 (b' - A' x) */
        ad_var rhs = ta[1];
        if (!ad_is_number(ta[0])) {
            ad_var da = n.op == OP_ROW_TRISOLVE ? ad_mul(ta[0], mask(t, m, 1, 1, 0)) : ta[0];
            rhs = ad_sub(rhs, ad_row_matmul(transposed ? ad_row_transpose(da, m, m) : da, y, m, m, k));
        }
        return transposed_solve(&n, a[0], rhs, m, k, transposed);
    }
    default:
        return N(0);
    }
}

/* Operations made of others ------------------------------------------------------------------------------ */

static ad_var picked(ad_var x, int n, int count, bool scatter, int (*place)(int i, int n))
{
    int *index = malloc((size_t)(count > 0 ? count : 1) * sizeof *index);
    if (!index)
        return ad_fail(x.tape, AD_ENOMEM, "ad_diag: out of memory");
    for (int i = 0; i < count; i++)
        index[i] = place(i, n);
    ad_var y = scatter ? ad_scatter_cols(x, n * n, index) : ad_gather_cols(x, count, index);
    free(index);
    return y;
}
static int on_diagonal(int i, int n) { return i * n + i; }
static int in_triangle(int i, int n)
{ /* entry i of the lower triangle by rows */
    int row = 0;
    while (i > row)
        i -= ++row;
    return row * n + i;
}
static bool square(const char *who, ad_var a, int n, int cols)
{
    if (!ad_is_void(a) && !ad_is_number(a) && n > 0 && ad_cols(a) == cols)
        return true;
    char s[32];
    if (!ad_is_void(a))
        ad_fail(a.tape, AD_ESHAPE, "%s: %s with n = %d; needs %d columns", who,
                ad_shape_text(s, ad_rows(a), ad_cols(a)), n, cols);
    return false;
}
ad_var ad_row_diag(ad_var v)
{
    int n = ad_cols(v);
    return square("ad_row_diag", v, n, n) ? picked(v, n, n, true, on_diagonal) : ad_void(v.tape);
}
ad_var ad_row_diagonal(ad_var a, int n)
{
    return square("ad_row_diagonal", a, n, n * n) ? picked(a, n, n, false, on_diagonal) : ad_void(a.tape);
}
ad_var ad_row_trace(ad_var a, int n) { return ad_sum_cols(ad_row_diagonal(a, n)); }
ad_var ad_row_tril_pack(ad_var a, int n)
{
    return square("ad_row_tril_pack", a, n, n * n) ? picked(a, n, n * (n + 1) / 2, false, in_triangle)
                                                   : ad_void(a.tape);
}
ad_var ad_row_tril_unpack(ad_var v, int n)
{
    return square("ad_row_tril_unpack", v, n, n * (n + 1) / 2)
               ? picked(v, n, n * (n + 1) / 2, true, in_triangle)
               : ad_void(v.tape);
}
/* One matrix is a batch of one. */
static ad_var as_row(const char *who, ad_var a, int *n)
{
    *n = ad_cols(a);
    char s[32];
    if (ad_is_void(a) || ad_is_number(a) || ad_rows(a) != *n) {
        if (!ad_is_void(a))
            ad_fail(a.tape, AD_ESHAPE, "%s: %s; needs a square matrix", who,
                    ad_shape_text(s, ad_rows(a), *n));
        return ad_void(a.tape);
    }
    return ad_reshape(a, 1, *n * *n);
}
ad_var ad_diag(ad_var v)
{
    int n = ad_rows(v) * ad_cols(v);
    return ad_reshape(ad_row_diag(ad_reshape(v, 1, n)), n, n);
}
ad_var ad_diagonal(ad_var a)
{
    int n;
    a = as_row("ad_diagonal", a, &n);
    return ad_row_diagonal(a, n);
}
ad_var ad_trace(ad_var a) { return ad_sum_cols(ad_diagonal(a)); }
ad_var ad_tril_pack(ad_var a)
{
    int n;
    a = as_row("ad_tril_pack", a, &n);
    return ad_row_tril_pack(a, n);
}
ad_var ad_tril_unpack(ad_var v)
{
    int n = 1;
    while (n < 40000 && n * (n + 1) / 2 < ad_cols(v))
        n++;
    return ad_reshape(ad_row_tril_unpack(v, n), n, n);
}
ad_var ad_solve(ad_var a, ad_var b)
{
    int n, k = ad_cols(b);
    a = as_row("ad_solve", a, &n);
    return ad_reshape(ad_row_solve(a, ad_reshape(b, 1, ad_rows(b) * k), n, k), n, k);
}
ad_var ad_cholesky(ad_var a)
{
    int n;
    a = as_row("ad_cholesky", a, &n);
    return ad_reshape(ad_row_cholesky(a, n), n, n);
}
ad_var ad_logdet(ad_var a)
{
    int n;
    a = as_row("ad_logdet", a, &n);
    return ad_row_logdet(a, n);
}
