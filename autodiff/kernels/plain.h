/* plain.h - what the kernels of k_shape.h and k_dense.h need besides scalar.h when they stand alone: emitted C embeds
 * this text, nothing else includes it. Invariant: matmul has the bits of kernels/matmul.h.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_PLAIN_H
#define AD_KERNELS_PLAIN_H
#include <stdbool.h>
#include <stddef.h>

#define K(name) k_##name
#define AD_OK 0
#define AD_EDOMAIN 9

typedef struct ad_kcall {
    void *dst;
    const void *const *src;
    int64_t rows, cols;
    const int64_t (*shape)[2];
    int nargs, nattr;
    const int32_t *attr;
    void *scratch;
    int64_t bad_row;
} ad_kcall;

/* C = A B, either factor transposed: each element one chain of fused multiply-adds over ascending k, from +0. */
VEC_FN void K(matmul)(long m, long n, long k, const REAL *a, long lda, int ta, const REAL *b, long ldb,
                      int tb, REAL *c, long ldc, int unused)
{
    (void)unused;
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j += 32) {
            long w = n - j < 32 ? n - j : 32;
            REAL s[32];
            for (long l = 0; l < w; l++)
                s[l] = 0;
            for (long p = 0; p < k; p++) {
                REAL f = ta ? a[p * lda + i] : a[i * lda + p];
                if (tb)
                    for (long l = 0; l < w; l++)
                        s[l] = FMA(f, b[(j + l) * ldb + p], s[l]);
                else
                    for (long l = 0; l < w; l++)
                        s[l] = FMA(f, b[p * ldb + j + l], s[l]);
            }
            for (long l = 0; l < w; l++)
                c[i * ldc + j + l] = s[l];
        }
}
#endif
