/* matmul_isa.c - what the library's product is held against, for one instruction set and real type, behind a table.
 *
 * Serves test_matmul.c and bench_matmul.c. Invariant: one exported symbol, the table. By hand, for each:
 *     cc -O3 -ffp-contract=off -march=x86-64-v4 -mprefer-vector-width=512
 *         -DAD_KERNELS_ISA=v4 -DAD_KERNELS_REAL=f64 -c tests/matmul_isa.c
 */
/* SPDX-License-Identifier: MIT */
#include "matmul_test.h"

#include <math.h>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define KIND_f64 64
#define KIND_f32 32
#define KIND_f80 80
#define KIND PASTE(KIND_, AD_KERNELS_REAL)

#if KIND == 80
#include "../autodiff/kernels/ld.h"
#else
#if defined(__AVX512F__)
#define REGISTER 512
#elif defined(__AVX2__)
#define REGISTER 256
#else
#define REGISTER 128
#endif
#if KIND == 64
#define VREAL64 1
#else
#define VREAL32 1
#endif
#define LANES (REGISTER / KIND)
#include "../autodiff/kernels/vec.h"
#endif

#define TABLE(name) PASTE(PASTE(PASTE(name, AD_KERNELS_ISA), _), AD_KERNELS_REAL)
extern HIDDEN const ad_kernels TABLE(ad_kernels_);

/* Vectors here would be the compiler's, of the same bits; the point is that the text says the law. */
static void plain(long m, long n, long k, const void *a_, long lda, int ta, const void *b_, long ldb, int tb,
                  void *c_, long ldc, int acc)
{
    const REAL *a = a_, *b = b_;
    REAL *c = c_;
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            REAL s = acc ? c[i * ldc + j] : 0;
            for (long kk = 0; kk < k; kk++) {
                REAL x = ta ? a[kk * lda + i] : a[i * lda + kk], y = tb ? b[j * ldb + kk] : b[kk * ldb + j];
#if !HAS_FMA
                s = x * y + s;
#elif KIND == 64
                s = fma(x, y, s);
#else
                s = fmaf(x, y, s);
#endif
            }
            c[i * ldc + j] = s;
        }
}

static void hand(long m, long n, long k, const void *a_, long lda, int ta, const void *b_, long ldb, int tb,
                 void *c_, long ldc)
{
    const REAL *a = a_, *b = b_;
    REAL *restrict c = c_;
    if (tb) {
        for (long i = 0; i < m; i++)
            for (long j = 0; j < n; j++) {
                REAL s = 0;
                for (long kk = 0; kk < k; kk++)
                    s += (ta ? a[kk * lda + i] : a[i * lda + kk]) * b[j * ldb + kk];
                c[i * ldc + j] = s;
            }
        return;
    }
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++)
            c[i * ldc + j] = 0;
    for (long kk0 = 0; kk0 < (ta ? k : 1); kk0++)
        for (long i = 0; i < m; i++)
            for (long kk = ta ? kk0 : 0; kk < (ta ? kk0 + 1 : k); kk++) {
                const REAL x = ta ? a[kk * lda + i] : a[i * lda + kk];
                for (long j = 0; j < n; j++)
                    c[i * ldc + j] += x * b[kk * ldb + j];
            }
}

static void peak(long rounds, void *sink)
{
    V s[12], a = V_SET1((REAL)0.5), b = V_SET1((REAL)0.25);
    REAL *out = sink;
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        s[i] = V_SET1((REAL)i);
    for (long r = 0; r < rounds; r++) {
#if defined(__GNUC__) && (KIND == 64 || KIND == 32) && defined(__x86_64__)
        __asm__ volatile("" : "+x"(a), "+x"(b)); /* nothing here is constant, so nothing is folded */
#endif
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            s[i] = FMA(a, s[i], b);
    }
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        V_STORE(out + i * W, s[i]);
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
const matmul_table TABLE(matmul_) = {TEXT(AD_KERNELS_ISA) " " TEXT(AD_KERNELS_REAL), &TABLE(ad_kernels_),
                                     plain, hand, peak};
