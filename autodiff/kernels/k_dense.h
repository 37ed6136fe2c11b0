/* k_dense.h - template: products and small dense factorisations, one matrix in each row.
 * An element of a product is one chain of fused multiply-adds over ascending k (matmul.h).
 *
 * SPDX-License-Identifier: MIT */

static int K(op_matmul)(ad_kcall *c)
{
    int ta = c->attr[0], tb = c->attr[1];
    int64_t k = ta ? c->shape[0][0] : c->shape[0][1];
    K(matmul)
    ((long)c->rows, (long)c->cols, (long)k, c->src[0], (long)c->shape[0][1], ta, c->src[1],
     (long)c->shape[1][1], tb, c->dst, (long)c->cols, 0);
    return AD_OK;
}

static void K(matmul_rows)(const ad_kcall *c, int64_t from, int64_t to)
{
    int ta = c->attr[0], tb = c->attr[1];
    long lda = (long)c->shape[0][1], k = ta ? (long)c->shape[0][0] : lda;
    K(matmul)
    ((long)(to - from), (long)c->cols, k, (const REAL *)c->src[0] + from * (ta ? 1 : lda), lda, ta, c->src[1],
     (long)c->shape[1][1], tb, (REAL *)c->dst + from * c->cols, (long)c->cols, 0);
}
static void K(matmul_any)(long m, long n, long k, const void *a, long lda, int ta, const void *b, long ldb,
                          int tb, void *c, long ldc, int acc)
{
    K(matmul)(m, n, k, a, lda, ta, b, ldb, tb, c, ldc, acc);
}
static void K(pack_any)(long n, long k, const void *b, long ldb, int tb, void *packed)
{
    K(matmul_pack)(n, k, b, ldb, tb, packed);
}
static void K(packed_any)(long m, long n, long k, const void *a, long lda, const void *packed, void *c,
                          long ldc, int acc)
{
    K(matmul_packed)(m, n, k, a, lda, packed, c, ldc, acc);
}

/* Operand i in row `row`: a side with one row is shared. */
static const REAL *K(row_of)(const ad_kcall *c, int i, int64_t row)
{
    return (const REAL *)c->src[i] + (c->shape[i][0] == 1 ? 0 : row * c->shape[i][1]);
}

static int K(row_matmul)(ad_kcall *c)
{
    int m = c->attr[0], k = c->attr[1], n = c->attr[2];
    for (int64_t i = 0; i < c->rows; i++)
        K(matmul)
    (m, n, k, K(row_of)(c, 0, i), k, 0, K(row_of)(c, 1, i), n, 0, (REAL *)c->dst + i * c->cols, n, 0);
    return AD_OK;
}

/* LU with row pivots: a [n,n] in place, perm[i] the row swapped with row i. 0 when singular. */
static int K(lu)(REAL *a, int n, int32_t *perm)
{
    for (int k = 0; k < n; k++) {
        int p = k;
        for (int i = k + 1; i < n; i++) {
            REAL u = a[i * n + k], v = a[p * n + k];
            if ((u < 0 ? -u : u) > (v < 0 ? -v : v))
                p = i;
        }
        REAL pivot = a[p * n + k];
        if (pivot == 0 || pivot != pivot)
            return 0;
        if (perm)
            perm[k] = p;
        if (p != k)
            for (int j = 0; j < n; j++) {
                REAL t = a[k * n + j];
                a[k * n + j] = a[p * n + j];
                a[p * n + j] = t;
            }
        for (int i = k + 1; i < n; i++) {
            REAL f = a[i * n + k] /= pivot;
            for (int j = k + 1; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
        }
    }
    return 1;
}

static int K(row_solve)(ad_kcall *c)
{
    int n = c->attr[0], k = c->attr[1];
    REAL *lu = c->scratch;
    int32_t *perm = (int32_t *)(void *)(lu + (size_t)n * (size_t)n);
    for (int64_t r = 0; r < c->rows; r++) {
        REAL *x = (REAL *)c->dst + r * c->cols;
        if (r == 0 || c->shape[0][0] != 1) { /* a shared matrix is factored once */
            memcpy(lu, K(row_of)(c, 0, r), (size_t)n * (size_t)n * sizeof(REAL));
            if (!K(lu)(lu, n, perm)) {
                c->bad_row = r;
                return AD_EDOMAIN;
            }
        }
        memcpy(x, K(row_of)(c, 1, r), (size_t)c->cols * sizeof(REAL));
        for (int i = 0; i < n; i++)
            for (int j = 0; j < k && perm[i] != i; j++) {
                REAL t = x[i * k + j];
                x[i * k + j] = x[perm[i] * k + j];
                x[perm[i] * k + j] = t;
            }
        for (int i = 1; i < n; i++)
            for (int p = 0; p < i; p++)
                for (int j = 0; j < k; j++)
                    x[i * k + j] -= lu[i * n + p] * x[p * k + j];
        for (int i = n - 1; i >= 0; i--) {
            for (int p = i + 1; p < n; p++)
                for (int j = 0; j < k; j++)
                    x[i * k + j] -= lu[i * n + p] * x[p * k + j];
            for (int j = 0; j < k; j++)
                x[i * k + j] /= lu[i * n + i];
        }
    }
    return AD_OK;
}

static int K(row_trisolve)(ad_kcall *c)
{
    int n = c->attr[0], k = c->attr[1], transposed = c->attr[2];
    for (int64_t r = 0; r < c->rows; r++) {
        const REAL *l = K(row_of)(c, 0, r);
        REAL *x = (REAL *)c->dst + r * c->cols;
        memcpy(x, K(row_of)(c, 1, r), (size_t)c->cols * sizeof(REAL));
        for (int s = 0; s < n; s++) {
            int i = transposed ? n - 1 - s : s;
            for (int q = 0; q < s; q++) {
                int p = transposed ? n - 1 - q : q;
                REAL f = transposed ? l[p * n + i] : l[i * n + p];
                for (int j = 0; j < k; j++)
                    x[i * k + j] -= f * x[p * k + j];
            }
            if (l[i * n + i] == 0) {
                c->bad_row = r;
                return AD_EDOMAIN;
            }
            for (int j = 0; j < k; j++)
                x[i * k + j] /= l[i * n + i];
        }
    }
    return AD_OK;
}

static int K(row_cholesky)(ad_kcall *c)
{
    int n = c->attr[0];
    for (int64_t r = 0; r < c->rows; r++) {
        const REAL *a = K(row_of)(c, 0, r);
        REAL *l = (REAL *)c->dst + r * c->cols;
        memset(l, 0, (size_t)c->cols * sizeof(REAL));
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++) {
                REAL s = a[i * n + j];
                for (int k = 0; k < j; k++)
                    s -= l[i * n + k] * l[j * n + k];
                if (i == j && !(s > 0)) {
                    c->bad_row = r;
                    return AD_EDOMAIN;
                }
                l[i * n + j] = i == j ? LANE(SQRT(V_SET1(s)), 0) : s / l[j * n + j];
            }
    }
    return AD_OK;
}

static int K(row_logdet)(ad_kcall *c)
{
    int n = c->attr[0];
    REAL *lu = c->scratch;
    for (int64_t r = 0; r < c->rows; r++) {
        memcpy(lu, K(row_of)(c, 0, r), (size_t)n * (size_t)n * sizeof(REAL));
        if (!K(lu)(lu, n, NULL)) {
            c->bad_row = r;
            return AD_EDOMAIN;
        }
        REAL s = 0;
        for (int i = 0; i < n; i++)
            s += LANE(vm_log(ABS(V_SET1(lu[i * n + i]))), 0);
        ((REAL *)c->dst)[r] = s;
    }
    return AD_OK;
}
