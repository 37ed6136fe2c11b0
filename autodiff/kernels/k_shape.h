/* k_shape.h - template: sums and movement. The order of a sum is part of its meaning: over rows, chains of
 * 64 rows and then a chain over them; over columns, one chain up to 8 columns, beyond that 8 chains
 * (column j in chain j mod 8) that are added as a tree.
 *
 * SPDX-License-Identifier: MIT */

static int K(copy)(ad_kcall *c)
{
    memcpy(c->dst, c->src[0], (size_t)(c->rows * c->cols) * sizeof(REAL));
    return AD_OK;
}
static int K(result)(ad_kcall *c)
{
    int64_t at = ad_result_offset(c->object, c->attr[0], c->shape[0][0]);
    memcpy(c->dst, (const REAL *)c->src[0] + at, (size_t)(c->rows * c->cols) * sizeof(REAL));
    return AD_OK;
}
static int K(eye)(ad_kcall *c)
{
    REAL *d = c->dst;
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++)
            d[i * c->cols + j] = i == j;
    return AD_OK;
}
static int K(count)(ad_kcall *c)
{
    *(REAL *)c->dst = (REAL)c->shape[0][0];
    return AD_OK;
}
static void K(add_to)(REAL *d, const REAL *a, int64_t n)
{
    int64_t j = 0;
    for (; j + W <= n; j += W)
        V_STORE(d + j, V_LOAD(d + j) + V_LOAD(a + j));
    if (j < n)
        V_STOREN(d + j, V_LOADN(d + j, (int)(n - j)) + V_LOADN(a + j, (int)(n - j)), (int)(n - j));
}
/* w <= W of the n columns: four chains of 64 rows beside each other, because a chain waits for each of its sums. */
static void K(sum_few)(REAL *d, const REAL *a, int64_t rows, int64_t n, int w)
{
    V total = V_SET1(0);
    int64_t i = 0;
    for (; i + 256 <= rows; i += 256) {
        const REAL *b = a + i * n;
        V s = V_LOADN(b, w), t = V_LOADN(b + 64 * n, w), u = V_LOADN(b + 128 * n, w),
          v = V_LOADN(b + 192 * n, w);
        for (int k = 1; k < 64; k++) {
            b += n;
            s = s + V_LOADN(b, w);
            t = t + V_LOADN(b + 64 * n, w);
            u = u + V_LOADN(b + 128 * n, w);
            v = v + V_LOADN(b + 192 * n, w);
        }
        total = i ? total + s : s;
        total = ((total + t) + u) + v;
    }
    for (; i < rows; i += 64) {
        V s = V_LOADN(a + i * n, w);
        for (int64_t k = i + 1; k < rows && k < i + 64; k++)
            s = s + V_LOADN(a + k * n, w);
        total = i ? total + s : s;
    }
    V_STOREN(d, total, w);
}
static int K(sum_rows)(ad_kcall *c)
{
    const REAL *a = c->src[0];
    REAL *d = c->dst, *chain = c->scratch; /* cols numbers */
    int64_t rows = c->shape[0][0], n = c->cols;
    if (n <= 4 * W) {
        for (int64_t j = 0; j < n; j += W)
            K(sum_few)(d + j, a + j, rows, n, (int)(n - j < W ? n - j : W));
        return AD_OK;
    }
    for (int64_t i = 0; i < rows; i += 64) {
        REAL *to = i == 0 ? d : chain;
        memcpy(to, a + i * n, (size_t)n * sizeof(REAL));
        for (int64_t k = i + 1; k < rows && k < i + 64; k++)
            K(add_to)(to, a + k * n, n);
        if (i)
            K(add_to)(d, chain, n);
    }
    return AD_OK;
}
static REAL K(sum_of)(const REAL *a, int64_t n)
{
    REAL s[8];
    if (n <= 8) {
        REAL t = a[0];
        for (int64_t j = 1; j < n; j++)
            t += a[j];
        return t;
    }
    for (int l = 0; l < 8; l++)
        s[l] = a[l];
    int64_t j = 8;
    for (; j + 8 <= n; j += 8)
        for (int l = 0; l < 8; l++)
            s[l] += a[j + l];
    for (; j < n; j++)
        s[j & 7] += a[j];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}
static int K(sum_cols)(ad_kcall *c)
{
    const REAL *a = c->src[0];
    REAL *d = c->dst;
    int64_t n = c->shape[0][1];
    for (int64_t i = 0; i < c->rows; i++)
        d[i] = K(sum_of)(a + i * n, n);
    return AD_OK;
}
static REAL K(largest)(const REAL *a, int64_t n, bool magnitude)
{
    REAL m = magnitude ? 0 : a[0];
    for (int64_t j = 0; j < n; j++) {
        REAL v = magnitude && a[j] < 0 ? -a[j] : a[j];
        m = v > m || v != v ? v : m;
    }
    return m;
}
static int K(logsumexp)(ad_kcall *c)
{
    REAL *d = c->dst, *e = c->scratch; /* cols of the operand */
    int64_t n = c->shape[0][1];
    for (int64_t i = 0; i < c->rows; i++) {
        const REAL *a = (const REAL *)c->src[0] + i * n;
        REAL m = K(largest)(a, n, false);
        if (m - m != 0) { /* infinite or NaN: that is the answer */
            d[i] = m;
            continue;
        }
        for (int64_t j = 0; j < n; j += W) {
            int w = (int)(n - j < W ? n - j : W);
            V_STOREN(e + j, vm_exp(V_LOADN(a + j, w) - V_SET1(m)), w);
        }
        d[i] = m + LANE(vm_log(V_SET1(K(sum_of)(e, n))), 0);
    }
    return AD_OK;
}
static int K(norm)(ad_kcall *c)
{
    REAL *d = c->dst, *e = c->scratch;
    int64_t n = c->shape[0][1];
    for (int64_t i = 0; i < c->rows; i++) {
        const REAL *a = (const REAL *)c->src[0] + i * n;
        REAL m = K(largest)(a, n, true);
        if (m == 0 || m - m != 0) {
            d[i] = m;
            continue;
        }
        for (int64_t j = 0; j < n; j++)
            e[j] = (a[j] / m) * (a[j] / m);
        d[i] = m * LANE(SQRT(V_SET1(K(sum_of)(e, n))), 0);
    }
    return AD_OK;
}
static int K(expand)(ad_kcall *c)
{
    const REAL *a = c->src[0];
    REAL *d = c->dst;
    int64_t r = c->shape[0][0], k = c->shape[0][1];
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++)
            *d++ = a[(r == 1 ? 0 : i * k) + (k == 1 ? 0 : j)];
    return AD_OK;
}
static void K(block)(REAL *d, int64_t ld, const REAL *a, int64_t la, int64_t rows, int64_t cols)
{
    if (cols == 1) { /* a column: a call for each number would cost more than the number */
        for (int64_t i = 0; i < rows; i++)
            d[i * ld] = a[i * la];
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        memcpy(d + i * ld, a + i * la, (size_t)cols * sizeof(REAL));
}
/* Rows of a batch are counted in batches (negative): the caller gives attr[0] already as rows. */
static int K(slice)(ad_kcall *c)
{
    int64_t la = c->shape[0][1];
    K(block)(c->dst, c->cols, (const REAL *)c->src[0] + c->attr[0] * la + c->attr[1], la, c->rows, c->cols);
    return AD_OK;
}
static int K(pad)(ad_kcall *c)
{
    memset(c->dst, 0, (size_t)(c->rows * c->cols) * sizeof(REAL));
    K(block)
    ((REAL *)c->dst + c->attr[0] * c->cols + c->attr[1], c->cols, c->src[0], c->shape[0][1], c->shape[0][0],
     c->shape[0][1]);
    return AD_OK;
}
static int K(concat_rows)(ad_kcall *c)
{
    REAL *d = c->dst;
    for (int i = 0; i < c->nargs; i++) {
        int64_t n = c->shape[i][0] * c->cols;
        memcpy(d, c->src[i], (size_t)n * sizeof(REAL));
        d += n;
    }
    return AD_OK;
}
static int K(concat_cols)(ad_kcall *c)
{
    REAL *d = c->dst;
    for (int i = 0; i < c->nargs; i++) {
        K(block)(d, c->cols, c->src[i], c->shape[i][1], c->rows, c->shape[i][1]);
        d += c->shape[i][1];
    }
    return AD_OK;
}
static int K(gather_cols)(ad_kcall *c)
{
    REAL *d = c->dst;
    for (int64_t i = 0; i < c->rows; i++) {
        const REAL *a = (const REAL *)c->src[0] + i * c->shape[0][1];
        for (int64_t j = 0; j < c->cols; j++)
            *d++ = a[c->attr[j]];
    }
    return AD_OK;
}
static int K(gather_rows)(ad_kcall *c)
{
    for (int64_t i = 0; i < c->rows; i++)
        K(block)
    ((REAL *)c->dst + i * c->cols, 0, (const REAL *)c->src[0] + c->attr[i] * c->cols, 0, 1, c->cols);
    return AD_OK;
}
static int K(scatter_cols)(ad_kcall *c)
{
    const REAL *a = c->src[0];
    memset(c->dst, 0, (size_t)(c->rows * c->cols) * sizeof(REAL));
    for (int64_t i = 0; i < c->rows; i++) {
        REAL *d = (REAL *)c->dst + i * c->cols;
        for (int j = 0; j < c->nattr; j++)
            d[c->attr[j]] += *a++;
    }
    return AD_OK;
}
static int K(scatter_rows)(ad_kcall *c)
{
    const REAL *a = c->src[0];
    memset(c->dst, 0, (size_t)(c->rows * c->cols) * sizeof(REAL));
    for (int i = 0; i < c->nattr; i++, a += c->cols)
        K(add_to)((REAL *)c->dst + c->attr[i] * c->cols, a, c->cols);
    return AD_OK;
}
static void K(turn)(REAL *d, const REAL *a, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            d[j * rows + i] = a[i * cols + j];
}
static int K(transpose)(ad_kcall *c)
{
    K(turn)(c->dst, c->src[0], c->cols, c->rows);
    return AD_OK;
}
static int K(row_transpose)(ad_kcall *c)
{
    for (int64_t i = 0; i < c->rows; i++)
        K(turn)((REAL *)c->dst + i * c->cols, (const REAL *)c->src[0] + i * c->cols, c->attr[0], c->attr[1]);
    return AD_OK;
}
