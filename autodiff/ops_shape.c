/* ops_shape.c - sums, movement and matrices: the shape of each operation, its constructor.
 * Their derivative rules are in ops_rules.c, their kernels in kernels/.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"

static ad_var one(const char *who, ad_var x, ad_tape **t, int32_t *r, int32_t *c)
{
    ad_var v;
    if (!ad_join(who, 1, &x, &v, t))
        return ad_void(*t);
    *r = ad_rows(v);
    *c = ad_cols(v);
    return v;
}

static ad_var bad(ad_tape *t, const char *who, ad_var x, const char *needs)
{
    char s[32];
    return ad_fail(t, AD_ESHAPE, "%s: %s; %s", who, ad_shape_text(s, ad_rows(x), ad_cols(x)), needs);
}

#define ONE(who, x)                                                                                          \
    ad_tape *t;                                                                                              \
    int32_t r = 0, c = 0;                                                                                    \
    x = one(who, x, &t, &r, &c);                                                                             \
    if (x.id < 0)                                                                                            \
    return x

ad_var ad_stop(ad_var x)
{
    if (ad_is_number(x))
        return x;
    ONE("ad_stop", x);
    return ad_push(t, OP_STOP, r, c, 1, &x, 0, NULL);
}
ad_var ad_sum_rows(ad_var x)
{
    if (ad_is_number(x))
        return x;
    ONE("ad_sum_rows", x);
    return r == 1 ? x : ad_push(t, OP_SUM_ROWS, 1, c, 1, &x, 0, NULL);
}
ad_var ad_sum_cols(ad_var x)
{
    if (ad_is_number(x))
        return x;
    ONE("ad_sum_cols", x);
    return c == 1 ? x : ad_push(t, OP_SUM_COLS, r, 1, 1, &x, 0, NULL);
}
ad_var ad_sum(ad_var x) { return ad_sum_rows(ad_sum_cols(x)); }
ad_var ad_count(ad_var x)
{
    if (ad_is_number(x))
        return N(1);
    ONE("ad_count", x);
    return r > 0 ? ad_fill(t, 1, 1, r) : ad_push(t, OP_COUNT, 1, 1, 1, &x, 0, NULL);
}
ad_var ad_mean(ad_var x) { return ad_div(ad_sum(x), ad_mul(ad_count(x), N(ad_is_void(x) ? 1 : ad_cols(x)))); }
ad_var ad_logsumexp(ad_var x)
{
    if (ad_is_number(x))
        return x;
    ONE("ad_logsumexp", x);
    return ad_push(t, OP_LOGSUMEXP, r, 1, 1, &x, 0, NULL);
}
ad_var ad_norm(ad_var x)
{
    if (ad_is_number(x))
        return ad_abs(x);
    ONE("ad_norm", x);
    return ad_push(t, OP_NORM, r, 1, 1, &x, 0, NULL);
}

/* Movement ------------------------------------------------------------------------------------------------ */

ad_var ad_reshape(ad_var x, int rows, int cols)
{
    ONE("ad_reshape", x);
    char s[2][32];
    if (rows == 0 || cols < 1 || (rows < 0) != (r < 0) || (int64_t)rows * cols != (int64_t)r * c)
        return ad_fail(t, AD_ESHAPE, "ad_reshape: %s to %s: the numbers of elements differ",
                       ad_shape_text(s[0], r, c), ad_shape_text(s[1], rows, cols));
    return rows == r ? x : ad_push(t, OP_RESHAPE, rows, cols, 1, &x, 0, NULL);
}
ad_var ad_expand(ad_var x, int rows, int cols)
{
    ONE("ad_expand", x);
    char s[2][32];
    double value;
    if (rows == 0 || cols < 1 || (r != 1 && r != rows) || (c != 1 && c != cols))
        return ad_fail(t, AD_ESHAPE, "ad_expand: %s to %s: a size that changes must be 1",
                       ad_shape_text(s[0], r, c), ad_shape_text(s[1], rows, cols));
    if (r == rows && c == cols)
        return x;
    return ad_literal(x, &value) ? ad_fill(t, rows, cols, value)
                                 : ad_push(t, OP_EXPAND, rows, cols, 1, &x, 0, NULL);
}
ad_var ad_sum_to(ad_var x, int rows, int cols)
{
    ONE("ad_sum_to", x);
    char s[2][32];
    if ((rows != r && rows != 1) || (cols != c && cols != 1))
        return ad_fail(t, AD_ESHAPE, "ad_sum_to: %s to %s: a size that changes must become 1",
                       ad_shape_text(s[0], r, c), ad_shape_text(s[1], rows, cols));
    if (cols != c)
        x = ad_sum_cols(x);
    return rows != r ? ad_sum_rows(x) : x;
}
/* Row counts are all numbers, or all multiples of the batch (as negative numbers). */
static bool within(int32_t first, int32_t count, int32_t of)
{
    return of > 0 ? first >= 0 && count >= 1 && (int64_t)first + count <= of
                  : first <= 0 && count <= -1 && (int64_t)first + count >= of;
}
ad_var ad_slice(ad_var x, int row, int rows, int col, int cols)
{
    ONE("ad_slice", x);
    char s[32];
    if (!within(row, rows, r) || col < 0 || cols < 1 || (int64_t)col + cols > c)
        return ad_fail(t, AD_ESHAPE, "ad_slice: %d rows from row %d, %d columns from column %d, of %s", rows,
                       row, cols, col, ad_shape_text(s, r, c));
    return rows == r && cols == c ? x : ad_push(t, OP_SLICE, rows, cols, 1, &x, 2, (int32_t[]){row, col});
}
ad_var ad_cols_of(ad_var x, int col, int cols)
{
    return ad_slice(x, 0, ad_is_void(x) ? 1 : ad_rows(x), col, cols);
}
ad_var ad_rows_of(ad_var x, int row, int rows)
{
    return ad_slice(x, row, rows, 0, ad_is_void(x) ? 1 : ad_cols(x));
}
ad_var ad_at(ad_var x, int row, int col) { return ad_slice(x, row, 1, col, 1); }
ad_var ad_pad(ad_var x, int above, int below, int left, int right)
{
    ONE("ad_pad", x);
    char s[32];
    if (left < 0 || right < 0 || (r > 0 ? above < 0 || below < 0 : above > 0 || below > 0))
        return ad_fail(t, AD_ESHAPE, "ad_pad: %d above, %d below, %d left, %d right of %s: negative padding",
                       above, below, left, right, ad_shape_text(s, r, c));
    int32_t rows = r + above + below, cols = c + left + right;
    return rows == r && cols == c ? x : ad_push(t, OP_PAD, rows, cols, 1, &x, 2, (int32_t[]){above, left});
}

static ad_var concat(int op, const char *who, int n, const ad_var in[])
{
    if (n < 1 || !in)
        return ad_fail(n > 0 && in ? in[0].tape : NULL, AD_EARG, "%s: %d operands; needs at least 1", who, n);
    ad_tape *t = in[0].tape;
    ad_var *x = malloc((size_t)n * sizeof *x), y;
    if (!x)
        return ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
    if (!ad_join(who, n, in, x, &t)) {
        free(x);
        return ad_void(t);
    }
    int64_t r = ad_rows(x[0]), c = ad_cols(x[0]);
    bool ok = true;
    for (int i = 1; i < n && ok; i++) {
        int32_t ri = ad_rows(x[i]), ci = ad_cols(x[i]);
        ok = op == OP_CONCAT_COLS ? ri == r : ci == c && (ri < 0) == (r < 0);
        char s[2][32];
        if (!ok)
            ad_fail(t, AD_ESHAPE, "%s: %s with %s (operand %d): the other size must agree", who,
                    ad_shape_text(s[0], (int)r, (int)c), ad_shape_text(s[1], ri, ci), i + 1);
        if (op == OP_CONCAT_COLS)
            c += ci;
        else
            r += ri;
    }
    if (ok && (c > INT32_MAX || r > INT32_MAX || r < INT32_MIN)) {
        ad_fail(t, AD_ESHAPE, "%s: the result is too large", who);
        ok = false;
    }
    y = !ok ? ad_void(t) : n == 1 ? x[0] : ad_push(t, op, (int32_t)r, (int32_t)c, n, x, 0, NULL);
    free(x);
    return y;
}
ad_var ad_concat_rows(int n, const ad_var x[]) { return concat(OP_CONCAT_ROWS, "ad_concat_rows", n, x); }
ad_var ad_concat_cols(int n, const ad_var x[]) { return concat(OP_CONCAT_COLS, "ad_concat_cols", n, x); }

static ad_var indexed(int op, const char *who, ad_var x, int n, int size, const int index[])
{
    ONE(who, x);
    bool by_rows = op == OP_GATHER_ROWS || op == OP_SCATTER_ROWS;
    bool gather = op == OP_GATHER_ROWS || op == OP_GATHER_COLS;
    if (by_rows && r < 0)
        return bad(t, who, x, "needs a fixed number of rows");
    if (n < 1 || size < 1 || !index)
        return ad_fail(t, AD_EARG, "%s: %d indices into %d; needs at least 1", who, n, size);
    for (int i = 0; i < n; i++)
        if (index[i] < 0 || index[i] >= size)
            return ad_fail(t, AD_EARG, "%s: index %d at place %d; needs 0 ... %d", who, index[i], i,
                           size - 1);
    int32_t out = gather ? n : size;
    return ad_push(t, op, by_rows ? out : r, by_rows ? c : out, 1, &x, n, index);
}
ad_var ad_gather_cols(ad_var x, int n, const int index[])
{
    return indexed(OP_GATHER_COLS, "ad_gather_cols", x, n, ad_is_void(x) ? 1 : ad_cols(x), index);
}
ad_var ad_gather_rows(ad_var x, int n, const int index[])
{
    return indexed(OP_GATHER_ROWS, "ad_gather_rows", x, n, ad_is_void(x) ? 1 : ad_rows(x), index);
}
ad_var ad_scatter_cols(ad_var x, int cols, const int index[])
{
    return indexed(OP_SCATTER_COLS, "ad_scatter_cols", x, ad_is_void(x) ? 1 : ad_cols(x), cols, index);
}
ad_var ad_scatter_rows(ad_var x, int rows, const int index[])
{
    return indexed(OP_SCATTER_ROWS, "ad_scatter_rows", x, ad_is_void(x) ? 1 : ad_rows(x), rows, index);
}

/* Matrices ---------------------------------------------------------------------------------------------- */

ad_var ad_transpose(ad_var x)
{
    ONE("ad_transpose", x);
    if (r < 0)
        return bad(t, "ad_transpose", x, "a batch of rows cannot become columns (ad_matmul_tn contracts it)");
    return r == 1 || c == 1 ? ad_reshape(x, c, r) : ad_push(t, OP_TRANSPOSE, c, r, 1, &x, 0, NULL);
}

static ad_var matmul(const char *who, ad_var a, ad_var b, int ta, int tb)
{
    ad_var x[2];
    ad_tape *t;
    if (!ad_join(who, 2, (ad_var[]){a, b}, x, &t))
        return ad_void(t);
    int32_t m = ta ? ad_cols(x[0]) : ad_rows(x[0]), k = ta ? ad_rows(x[0]) : ad_cols(x[0]);
    int32_t l = tb ? ad_cols(x[1]) : ad_rows(x[1]), n = tb ? ad_rows(x[1]) : ad_cols(x[1]);
    char s[2][32];
    ad_shape_text(s[0], ad_rows(x[0]), ad_cols(x[0]));
    ad_shape_text(s[1], ad_rows(x[1]), ad_cols(x[1]));
    if (k != l)
        return ad_fail(t, AD_ESHAPE, "%s: %s x %s: inner sizes differ", who, s[0], s[1]);
    if (n < 0)
        return ad_fail(t, AD_ESHAPE, "%s: %s x %s: the batch would become columns", who, s[0], s[1]);
    return ad_push(t, OP_MATMUL, m, n, 2, x, 2, (int32_t[]){ta, tb});
}
ad_var ad_matmul(ad_var a, ad_var b) { return matmul("ad_matmul", a, b, 0, 0); }
ad_var ad_matmul_nt(ad_var a, ad_var b) { return matmul("ad_matmul_nt", a, b, 0, 1); }
ad_var ad_matmul_tn(ad_var a, ad_var b) { return matmul("ad_matmul_tn", a, b, 1, 0); }
ad_var ad_matmul_tt(ad_var a, ad_var b) { return matmul("ad_matmul_tt", a, b, 1, 1); }
ad_var ad_dot(ad_var a, ad_var b) { return ad_sum(ad_mul(a, b)); }
ad_var ad_outer(ad_var a, ad_var b)
{
    ad_var x[2];
    ad_tape *t;
    if (!ad_join("ad_outer", 2, (ad_var[]){a, b}, x, &t))
        return ad_void(t);
    for (int i = 0; i < 2; i++)
        if (ad_rows(x[i]) < 0 || (ad_rows(x[i]) != 1 && ad_cols(x[i]) != 1))
            return bad(t, "ad_outer", x[i], "needs two vectors without a batch");
    return ad_matmul(ad_reshape(x[0], ad_rows(x[0]) * ad_cols(x[0]), 1),
                     ad_reshape(x[1], 1, ad_rows(x[1]) * ad_cols(x[1])));
}

/* A small matrix in each row; a side with one row is shared. */
static ad_var rowwise(int op, const char *who, int n, const ad_var in[], const int64_t need[], int32_t cols,
                      int nattr, const int32_t attr[])
{
    ad_var x[2];
    ad_tape *t;
    int32_t rows = 1;
    char s[32];
    if (!ad_join(who, n, in, x, &t))
        return ad_void(t);
    for (int i = 0; i < nattr; i++)
        if (attr[i] < (op == OP_ROW_SOLVE || op == OP_ROW_TRISOLVE ? i < 2 : 1))
            return ad_fail(t, AD_EARG, "%s: size %d; needs at least 1", who, attr[i]);
    for (int i = 0; i < n; i++) {
        int32_t r = ad_rows(x[i]);
        if (ad_cols(x[i]) != need[i])
            return ad_fail(t, AD_ESHAPE, "%s: operand %d is %s; needs %lld columns", who, i + 1,
                           ad_shape_text(s, r, ad_cols(x[i])), (long long)need[i]);
        if (rows != 1 && r != 1 && r != rows)
            return ad_fail(t, AD_ESHAPE, "%s: operand %d is %s; needs 1 or as many rows as operand 1", who,
                           i + 1, ad_shape_text(s, r, ad_cols(x[i])));
        if (r != 1)
            rows = r;
    }
    return ad_push(t, op, rows, cols, n, x, nattr, attr);
}
ad_var ad_row_matmul(ad_var a, ad_var b, int m, int k, int n)
{
    return rowwise(OP_ROW_MATMUL, "ad_row_matmul", 2, (ad_var[]){a, b},
                   (int64_t[]){(int64_t)m * k, (int64_t)k * n}, m * n, 3, (int32_t[]){m, k, n});
}
ad_var ad_row_transpose(ad_var a, int m, int n)
{
    if (m == 1 || n == 1)
        return a;
    return rowwise(OP_ROW_TRANSPOSE, "ad_row_transpose", 1, &a, (int64_t[]){(int64_t)m * n}, m * n, 2,
                   (int32_t[]){m, n});
}
static ad_var row_solve(ad_var a, ad_var b, int n, int k, int transposed)
{
    return rowwise(OP_ROW_SOLVE, "ad_row_solve", 2, (ad_var[]){a, b},
                   (int64_t[]){(int64_t)n * n, (int64_t)n * k}, n * k, 3, (int32_t[]){n, k, transposed});
}
ad_var ad_row_solve(ad_var a, ad_var b, int n, int k) { return row_solve(a, b, n, k, 0); }
ad_var ad_row_trisolve(ad_var l, ad_var b, int n, int k, int transposed)
{
    return rowwise(OP_ROW_TRISOLVE, "ad_row_trisolve", 2, (ad_var[]){l, b},
                   (int64_t[]){(int64_t)n * n, (int64_t)n * k}, n * k, 3, (int32_t[]){n, k, transposed != 0});
}
ad_var ad_row_cholesky(ad_var a, int n)
{
    return rowwise(OP_ROW_CHOLESKY, "ad_row_cholesky", 1, &a, (int64_t[]){(int64_t)n * n}, n * n, 1, &n);
}
ad_var ad_row_logdet(ad_var a, int n)
{
    return rowwise(OP_ROW_LOGDET, "ad_row_logdet", 1, &a, (int64_t[]){(int64_t)n * n}, 1, 1, &n);
}
ad_var ad_row_dot(ad_var a, ad_var b) { return ad_sum_cols(ad_mul(a, b)); }
ad_var ad_row_outer(ad_var a, ad_var b) { return ad_row_matmul(a, b, ad_cols(a), 1, ad_cols(b)); }

/* The same operation on other operands ----------------------------------------------------------------- */

ad_var ad_again(const ad_tape *from, const ad_node *n, ad_tape *t, const ad_var x[])
{
    const int32_t *at = ad_attrs(from, n);
    int32_t nargs = ad_nargs(from, n);
    switch (n->op) {
    case OP_CONST:
        return ad_const(t, n->rows, n->cols, from->values + at[0] + ((int64_t)at[1] << 30));
    case OP_FILL:
        return ad_fill(t, n->rows, n->cols, from->values[at[0]]);
    case OP_EYE:
        return ad_eye(t, n->cols);
    case OP_ADD_N:
        return ad_add_n(nargs, x);
    case OP_STOP:
        return ad_stop(x[0]);
    case OP_SUM_ROWS:
        return ad_sum_rows(x[0]);
    case OP_SUM_COLS:
        return ad_sum_cols(x[0]);
    case OP_COUNT:
        return ad_count(x[0]);
    case OP_LOGSUMEXP:
        return ad_logsumexp(x[0]);
    case OP_NORM:
        return ad_norm(x[0]);
    case OP_RESHAPE:
        return ad_reshape(x[0], n->rows, n->cols);
    case OP_EXPAND:
        return ad_expand(x[0], n->rows, n->cols);
    case OP_SLICE:
        return ad_slice(x[0], at[0], n->rows, at[1], n->cols);
    case OP_PAD: {
        int32_t r = ad_rows(x[0]), c = ad_cols(x[0]);
        return ad_pad(x[0], at[0], n->rows - r - at[0], at[1], n->cols - c - at[1]);
    }
    case OP_CONCAT_ROWS:
        return ad_concat_rows(nargs, x);
    case OP_CONCAT_COLS:
        return ad_concat_cols(nargs, x);
    case OP_GATHER_COLS:
        return ad_gather_cols(x[0], n->nattr, at);
    case OP_GATHER_ROWS:
        return ad_gather_rows(x[0], n->nattr, at);
    case OP_SCATTER_COLS:
        return ad_scatter_cols(x[0], n->cols, at);
    case OP_SCATTER_ROWS:
        return ad_scatter_rows(x[0], n->rows, at);
    case OP_TRANSPOSE:
        return ad_transpose(x[0]);
    case OP_MATMUL:
        return matmul("ad_matmul", x[0], x[1], at[0], at[1]);
    case OP_ROW_MATMUL:
        return ad_row_matmul(x[0], x[1], at[0], at[1], at[2]);
    case OP_ROW_TRANSPOSE:
        return ad_row_transpose(x[0], at[0], at[1]);
    case OP_ROW_SOLVE:
        return row_solve(x[0], x[1], at[0], at[1], at[2]);
    case OP_ROW_TRISOLVE:
        return ad_row_trisolve(x[0], x[1], at[0], at[1], at[2]);
    case OP_ROW_CHOLESKY:
        return ad_row_cholesky(x[0], at[0]);
    case OP_ROW_LOGDET:
        return ad_row_logdet(x[0], at[0]);
    case OP_CALL:
    case OP_SCAN:
    case OP_SCAN_BACK:
    case OP_ROOT:
    case OP_CUSTOM:
        return ad_object_node(t, ad_ops[n->op].name, ad_object_of(from, n), x);
    case OP_RESULT:
        return ad_result(x[0], at[0]);
    case OP_INPUT:
        return ad_fail(t, AD_EARG, "an input cannot be recorded again");
    default:
        return ad_elementwise(n->op, nargs, x);
    }
}
