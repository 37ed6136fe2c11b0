/* simd.h - private: vectors of double at the width of the instruction set that the object is compiled for.
 * Invariant: lane by lane the IEEE operation named; FMA is fused when the set has it and two roundings otherwise. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LINALG_SIMD_H
#define HNN_LINALG_SIMD_H

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define W 8
#elif defined(__AVX2__) && defined(__FMA__)
#define W 4
#else
#define W 2
#endif

typedef double V __attribute__((vector_size(W * 8)));
typedef double hnn_unaligned __attribute__((vector_size(W * 8), aligned(8), may_alias));

#define FN static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 64")

FN V SET1(double x) { return x - (V){0}; }
FN V LOAD(const double *p) { return (V) * (const hnn_unaligned *)p; }
FN void STORE(double *p, V v) { *(hnn_unaligned *)p = v; }
FN V FMA(V a, V b, V c)
{
#if defined(__AVX512F__)
    return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif W == 4
    return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__ARM_FEATURE_FMA)
    for (int i = 0; i < W; i++)
        c[i] = __builtin_fma(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}
FN double FMA1(double a, double b, double c)
{
#if W > 2 || defined(__ARM_FEATURE_FMA)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

#endif
