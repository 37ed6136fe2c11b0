/* vec.h - the vector prelude: one vocabulary for kernels, at any width and real type.
 *
 * Before inclusion define VREAL64 or VREAL32 to 1 and LANES to the number of lanes (a power of two,
 * 1 included). One inclusion per translation unit: the instruction set is a property of the object.
 * The same vocabulary without vectors is scalar.h.
 *
 *   REAL INT UINT         the element types; W is LANES
 *   V I U M               vectors of reals, of signed and unsigned integers of the same width; masks
 *   + - * /, & | ^ ~      the C operators, lane by lane (>> is arithmetic on I and logical on U)
 *   LT LE GT GE EQ NE     comparisons of reals, false on NaN (NE true); masks combine with & | ^ ~
 *   ITEST(i,b) IEQ(i,j)   masks from integers: (i & b) != 0, i == j
 *   SEL(m,a,b) ISEL       m ? a : b lane by lane, exact to the bit; ANY(m) is an int
 *   AS_I(v) AS_U(v) AS_V(u)   bits of a real and back (AS_V takes U); I and U convert by a C cast
 *   LANE(v,i) SETLANE(v,i,x) MLANE(m,i)   one lane
 *   FMA(a,b,c)            a*b+c, fused when HAS_FMA is 1
 *   FUSED(a,b,c)          a*b+c rounded once, everywhere (slow without the instruction)
 *   SQRT ABS COPYSIGN RINT_MAGIC V_RINT(x)   (V_RINT: to nearest even, for |x| < 2^(digits-2))
 *   V_MIN(a,b) V_MAX(a,b) a < b ? a : b and a > b ? a : b, so that a NaN in b passes
 *   V_POW2(k) V_LDEXP(x,k)  k integers held as reals: 2^k for a normal result; x 2^k rounded once
 *                         while x is in [2^-8, 2^8] and |k| within twice the exponent range
 *   V_SET1 I_SET1 U_SET1 V_LOAD V_STORE V_LOADN V_STOREN   (unaligned; N: the first n <= W elements)
 *
 * Invariant: every lane is computed by the IEEE operation named, so a result does not depend on W,
 * and a lane never touches memory outside the elements it was given.
 */
/* SPDX-License-Identifier: MIT */
#if !defined(AD_KERNELS_VEC_H) || defined(VEC_AGAIN) /* a test instantiates several widths, renamed */
#define AD_KERNELS_VEC_H

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if !defined(LANES) || (VREAL64 + 0) + (VREAL32 + 0) != 1
#error "vec.h: define LANES, and one of VREAL64 and VREAL32 to 1"
#endif

#undef VEC_512
#undef VEC_256
#undef VEC_128
#define W LANES
#if VREAL64 + 0
#undef REAL
#define REAL double
#define INT int64_t
#define UINT uint64_t
#define VBYTES (LANES * 8)
#define RINT_MAGIC 0x1.8p52
#define VEC_SIGN 0x8000000000000000u
#define VEC_MANT 52
#define VEC_BIAS 1023
#define VEC_FMA1(a, b, c) __builtin_fma(a, b, c)
#if defined(__SSE2__) /* __builtin_sqrt would call libm for errno */
#define VEC_SQRT1(a) _mm_cvtsd_f64(_mm_sqrt_pd(_mm_set1_pd(a)))
#else
#define VEC_SQRT1(a) __builtin_sqrt(a)
#endif
#else
#undef REAL
#define REAL float
#define INT int32_t
#define UINT uint32_t
#define VBYTES (LANES * 4)
#define RINT_MAGIC 0x1.8p23f
#define VEC_SIGN 0x80000000u
#define VEC_MANT 23
#define VEC_BIAS 127
#define VEC_FMA1(a, b, c) __builtin_fmaf(a, b, c)
#if defined(__SSE2__)
#define VEC_SQRT1(a) _mm_cvtss_f32(_mm_sqrt_ps(_mm_set1_ps(a)))
#else
#define VEC_SQRT1(a) __builtin_sqrtf(a)
#endif
#endif

typedef REAL V __attribute__((vector_size(VBYTES)));
typedef INT I __attribute__((vector_size(VBYTES)));
typedef UINT U __attribute__((vector_size(VBYTES)));
typedef REAL vec_unaligned __attribute__((vector_size(VBYTES), aligned(VBYTES / LANES), may_alias));

/* Which registers hold a V. Widths that are not a register's go lane by lane: right, slower. */
#if defined(__AVX512F__) && defined(__AVX512DQ__) && VBYTES == 64
#define VEC_512 1
#elif defined(__AVX2__) && defined(__FMA__) && VBYTES == 32
#define VEC_256 1
#elif defined(__SSE2__) && VBYTES == 16
#define VEC_128 1
#endif

#if defined(__FMA__) || defined(__AVX512F__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
#define HAS_FMA 1
#else
#define HAS_FMA 0
#endif

/* Everything here is inlined, so how a wide V would be passed in a call does not matter
 * (gcc 12 may still note it, once, for a V wider than a register; use -Wno-psabi there). */
#pragma GCC diagnostic ignored "-Wpsabi"
#define VEC_FN static inline __attribute__((always_inline, unused))
#define VEC_EACH _Pragma("GCC unroll 64") for (int l = 0; l < W; l++)

#define AS_I(x) ((I)(x))
#define AS_U(x) ((U)(x))
#define AS_V(x) ((V)(x))
#define LANE(v, l) ((v)[l])
#define SETLANE(v, l, x) ((v)[l] = (x))

/* x - 0 keeps the sign of -0, which 0 + x would lose. */
VEC_FN V V_SET1(REAL x) { return x - (V){0}; }
VEC_FN I I_SET1(INT x) { return x + (I){0}; }
VEC_FN U U_SET1(UINT x) { return x + (U){0}; }

VEC_FN V ABS(V x) { return AS_V(AS_U(x) & ~U_SET1(VEC_SIGN)); }
VEC_FN V COPYSIGN(V x, V s)
{
    U m = U_SET1(VEC_SIGN);
    return AS_V((AS_U(x) & ~m) | (AS_U(s) & m));
}
VEC_FN V V_RINT(V x) { return (x + V_SET1(RINT_MAGIC)) - V_SET1(RINT_MAGIC); }

/* Masks: predicate registers on AVX-512, lanes of all ones or all zeros elsewhere. */
#if defined(VEC_512) && (VREAL64 + 0)
typedef __mmask8 M;
VEC_FN M LT(V a, V b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
VEC_FN M LE(V a, V b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
VEC_FN M EQ(V a, V b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
VEC_FN M NE(V a, V b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
VEC_FN M IEQ(I a, I b) { return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b); }
VEC_FN M ITEST(I a, I b) { return _mm512_test_epi64_mask((__m512i)a, (__m512i)b); }
VEC_FN V SEL(M m, V a, V b) { return (V)_mm512_mask_blend_pd(m, b, a); }
VEC_FN I ISEL(M m, I a, I b) { return (I)_mm512_mask_blend_epi64(m, (__m512i)b, (__m512i)a); }
#elif defined(VEC_512)
typedef __mmask16 M;
VEC_FN M LT(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC_FN M LE(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VEC_FN M EQ(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VEC_FN M NE(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
VEC_FN M IEQ(I a, I b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
VEC_FN M ITEST(I a, I b) { return _mm512_test_epi32_mask((__m512i)a, (__m512i)b); }
VEC_FN V SEL(M m, V a, V b) { return (V)_mm512_mask_blend_ps(m, b, a); }
VEC_FN I ISEL(M m, I a, I b) { return (I)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a); }
#else
typedef I M;
VEC_FN M LT(V a, V b) { return (M)(a < b); }
VEC_FN M LE(V a, V b) { return (M)(a <= b); }
VEC_FN M EQ(V a, V b) { return (M)(a == b); }
VEC_FN M NE(V a, V b) { return (M)(a != b); }
VEC_FN M IEQ(I a, I b) { return (M)(a == b); }
VEC_FN M ITEST(I a, I b) { return (M)((a & b) != (I){0}); }
VEC_FN V SEL(M m, V a, V b)
{
#if defined(VEC_256) && (VREAL64 + 0)
    return (V)_mm256_blendv_pd(b, a, (__m256d)m);
#elif defined(VEC_256)
    return (V)_mm256_blendv_ps(b, a, (__m256)m);
#else
    return AS_V((AS_I(a) & m) | (AS_I(b) & ~m));
#endif
}
VEC_FN I ISEL(M m, I a, I b) { return (a & m) | (b & ~m); }
#endif
VEC_FN M GT(V a, V b) { return LT(b, a); }
VEC_FN M GE(V a, V b) { return LE(b, a); }
VEC_FN int MLANE(M m, int l)
{
#if defined(VEC_512)
    return (m >> l) & 1;
#else
    return m[l] != 0;
#endif
}
VEC_FN int ANY(M m)
{
#if defined(VEC_512)
    return m != 0;
#elif defined(VEC_256)
    return _mm256_movemask_epi8((__m256i)m) != 0;
#elif defined(VEC_128)
    return _mm_movemask_epi8((__m128i)m) != 0;
#else
    INT any = 0;
    VEC_EACH any |= m[l];
    return any != 0;
#endif
}

VEC_FN V FMA(V a, V b, V c)
{
#if !HAS_FMA
    return a * b + c;
#elif defined(VEC_512) && (VREAL64 + 0)
    return (V)_mm512_fmadd_pd(a, b, c);
#elif defined(VEC_512)
    return (V)_mm512_fmadd_ps(a, b, c);
#elif defined(VEC_256) && (VREAL64 + 0)
    return (V)_mm256_fmadd_pd(a, b, c);
#elif defined(VEC_256)
    return (V)_mm256_fmadd_ps(a, b, c);
#elif defined(VEC_128) && (VREAL64 + 0)
    return (V)_mm_fmadd_pd(a, b, c);
#elif defined(VEC_128)
    return (V)_mm_fmadd_ps(a, b, c);
#else
    V r;
    VEC_EACH r[l] = VEC_FMA1(a[l], b[l], c[l]);
    return r;
#endif
}

VEC_FN V FUSED(V a, V b, V c)
{
#if HAS_FMA
    return FMA(a, b, c);
#else
    V r;
    for (int l = 0; l < W; l++)
        r[l] = VEC_FMA1(a[l], b[l], c[l]);
    return r;
#endif
}

VEC_FN V SQRT(V a)
{
#if defined(VEC_512) && (VREAL64 + 0)
    return (V)_mm512_sqrt_pd(a);
#elif defined(VEC_512)
    return (V)_mm512_sqrt_ps(a);
#elif defined(VEC_256) && (VREAL64 + 0)
    return (V)_mm256_sqrt_pd(a);
#elif defined(VEC_256)
    return (V)_mm256_sqrt_ps(a);
#elif defined(VEC_128) && (VREAL64 + 0)
    return (V)_mm_sqrt_pd(a);
#elif defined(VEC_128)
    return (V)_mm_sqrt_ps(a);
#else
    V r;
    VEC_EACH r[l] = VEC_SQRT1(a[l]);
    return r;
#endif
}

VEC_FN V V_MIN(V a, V b)
{
#if defined(VEC_512) && (VREAL64 + 0)
    return (V)_mm512_min_pd(a, b);
#elif defined(VEC_512)
    return (V)_mm512_min_ps(a, b);
#else
    return SEL(LT(a, b), a, b);
#endif
}
VEC_FN V V_MAX(V a, V b)
{
#if defined(VEC_512) && (VREAL64 + 0)
    return (V)_mm512_max_pd(a, b);
#elif defined(VEC_512)
    return (V)_mm512_max_ps(a, b);
#else
    return SEL(GT(a, b), a, b);
#endif
}

VEC_FN V V_POW2(V k) { return AS_V(AS_U(k + V_SET1(RINT_MAGIC + VEC_BIAS)) << VEC_MANT); }
VEC_FN V V_LDEXP(V x, V k)
{
#if defined(VEC_512) && (VREAL64 + 0)
    return (V)_mm512_scalef_pd(x, k);
#elif defined(VEC_512)
    return (V)_mm512_scalef_ps(x, k);
#else
    V half = V_RINT(k * V_SET1((REAL)0.5)); /* the first product is normal, so only the second rounds */
    return x * V_POW2(half) * V_POW2(k - half);
#endif
}

VEC_FN V V_LOAD(const REAL *p) { return (V) * (const vec_unaligned *)p; }
VEC_FN void V_STORE(REAL *p, V v) { *(vec_unaligned *)p = v; }

/* The tail of a row: lanes n.. read as +0 and are not written. Masked instructions or unrolled
 * compares, never a call, so that accumulators stay in registers around it. */
#if defined(VEC_256)
VEC_FN __m256i vec_first(int n)
{
#if VREAL64 + 0
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
#else
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#endif
}
#endif

VEC_FN V V_LOADN(const REAL *p, int n)
{
#if defined(VEC_512) && (VREAL64 + 0)
    return (V)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif defined(VEC_512)
    return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(VEC_256) && (VREAL64 + 0)
    return (V)_mm256_maskload_pd(p, vec_first(n));
#elif defined(VEC_256)
    return (V)_mm256_maskload_ps(p, vec_first(n));
#else
    V r = {0};
    VEC_EACH
    {
        if (l < n)
            r[l] = p[l];
    }
    return r;
#endif
}

VEC_FN void V_STOREN(REAL *p, V v, int n)
{
#if defined(VEC_512) && (VREAL64 + 0)
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), v);
#elif defined(VEC_512)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#elif defined(VEC_256) && (VREAL64 + 0)
    _mm256_maskstore_pd(p, vec_first(n), v);
#elif defined(VEC_256)
    _mm256_maskstore_ps(p, vec_first(n), v);
#else
    VEC_EACH
    {
        if (l < n)
            p[l] = v[l];
    }
#endif
}
#endif
