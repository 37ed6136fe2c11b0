/* matmul_isa.c - kernels/matmul.h for one instruction set and real type, behind a table.
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

#if defined(__AVX512F__)
#define REGISTER 512
#elif defined(__AVX2__)
#define REGISTER 256
#else
#define REGISTER 128
#endif

#if KIND == 80
/* The type of the oracles has no vectors: one lane, the names of vec.h. */
#define REAL long double
#define LANES 1
#define W 1
#define HAS_FMA 1
#define VEC_FMA1 fmal
#define VEC_FN static inline __attribute__((always_inline, unused))
typedef REAL V;
VEC_FN V V_SET1(REAL x) { return x; }
VEC_FN V V_LOAD(const REAL *p) { return *p; }
VEC_FN void V_STORE(REAL *p, V v) { *p = v; }
VEC_FN V V_LOADN(const REAL *p, int n) { return n > 0 ? *p : 0; }
VEC_FN void V_STOREN(REAL *p, V v, int n)
{
    if (n > 0)
        *p = v;
}
VEC_FN V FMA(V a, V b, V c) { return fmal(a, b, c); }
#else
#if KIND == 64
#define VREAL64 1
#else
#define VREAL32 1
#endif
#define LANES (REGISTER / KIND)
#include "../autodiff/kernels/vec.h"
#endif

#define K(name) name##_k
#include "../autodiff/kernels/matmul.h"

static void pack(long n, long k, const void *b, long ldb, int tb, void *packed)
{
    K(matmul_pack)(n, k, b, ldb, tb, packed);
}
static void packed_(long m, long n, long k, const void *a, long lda, const void *packed, void *c, long ldc,
                    int acc)
{
    K(matmul_packed)(m, n, k, a, lda, packed, c, ldc, acc);
}
static void tn(long m, long n, long k, const void *a, long lda, const void *b, long ldb, void *c, long ldc,
               int acc, long i0, long i1, long j0, long j1)
{
    K(matmul_tn)(m, n, k, a, lda, b, ldb, c, ldc, acc, i0, i1, j0, j1);
}
static void any(long m, long n, long k, const void *a, long lda, int ta, const void *b, long ldb, int tb,
                void *c, long ldc, int acc, void *scratch)
{
    K(matmul)(m, n, k, a, lda, ta, b, ldb, tb, c, ldc, acc, scratch);
}

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
#elif KIND == 32
                s = fmaf(x, y, s);
#else
                s = fmal(x, y, s);
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
const matmul_table PASTE(PASTE(PASTE(matmul_, AD_KERNELS_ISA), _),
                         AD_KERNELS_REAL) = {TEXT(AD_KERNELS_ISA) " " TEXT(AD_KERNELS_REAL),
                                             sizeof(REAL),
                                             W,
                                             HAS_FMA,
                                             K(matmul_pack_size),
                                             pack,
                                             packed_,
                                             tn,
                                             K(matmul_scratch),
                                             any,
                                             plain,
                                             hand,
                                             peak};
