/* scalar.h - the scalar prelude: the vocabulary of vec.h for one element, in standard C99.
 *
 * Before inclusion define VREAL64 or VREAL32 to 1. Emitted C embeds this text and vmath.h, so that
 * nothing here may need a compiler extension. Invariant: each macro computes the bits that one
 * lane of vec.h computes where that has a hardware FMA (fma() is exact everywhere, if slow).
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_SCALAR_H
#define AD_KERNELS_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if (VREAL64 + 0) + (VREAL32 + 0) != 1
#error "scalar.h: define one of VREAL64 and VREAL32 to 1"
#endif

#define LANES 1
#define W 1
#ifndef HAS_FMA /* emitted C for programs without it says 0 */
#define HAS_FMA 1
#endif
#if VREAL64 + 0
#undef REAL
#define REAL double
#define INT int64_t
#define UINT uint64_t
#define RINT_MAGIC 6755399441055744.0 /* 1.5 * 2^52 */
#define VEC_SIGN UINT64_C(0x8000000000000000)
#define VEC_MANT 52
#define VEC_BIAS 1023
#define SQRT(a) sqrt(a)
#define ABS(a) fabs(a)
#define COPYSIGN(a, b) copysign(a, b)
#else
#undef REAL
#define REAL float
#define INT int32_t
#define UINT uint32_t
#define RINT_MAGIC 12582912.0f /* 1.5 * 2^23 */
#define VEC_SIGN UINT32_C(0x80000000)
#define VEC_MANT 23
#define VEC_BIAS 127
#define SQRT(a) sqrtf(a)
#define ABS(a) fabsf(a)
#define COPYSIGN(a, b) copysignf(a, b)
#endif
#if VREAL64 + 0
#define FUSED(a, b, c) fma(a, b, c)
#else
#define FUSED(a, b, c) fmaf(a, b, c)
#endif
#if HAS_FMA
#define FMA(a, b, c) FUSED(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

typedef REAL V;
typedef INT I;
typedef UINT U;
typedef int M; /* 0 or -1, so that ~ negates */

#if defined(__GNUC__)
#define VEC_FN static inline __attribute__((unused))
#else
#define VEC_FN static inline
#endif

VEC_FN I AS_I(V x)
{
    I i;
    memcpy(&i, &x, sizeof i);
    return i;
}
VEC_FN U AS_U(V x)
{
    U u;
    memcpy(&u, &x, sizeof u);
    return u;
}
VEC_FN V AS_V(U u)
{
    V x;
    memcpy(&x, &u, sizeof x);
    return x;
}
VEC_FN V V_RINT(V x)
{
    V y = x + (V)RINT_MAGIC;
    return y - (V)RINT_MAGIC;
}
VEC_FN V V_MIN(V a, V b) { return a < b ? a : b; }
VEC_FN V V_MAX(V a, V b) { return a > b ? a : b; }
VEC_FN V V_POW2(V k) { return AS_V(AS_U(k + (V)(RINT_MAGIC + VEC_BIAS)) << VEC_MANT); }
VEC_FN V V_LDEXP(V x, V k)
{
    V half = V_RINT(k * (V)0.5);
    return x * V_POW2(half) * V_POW2(k - half);
}

#define LANE(v, l) (v)
#define SETLANE(v, l, x) ((v) = (x))
#define V_SET1(x) ((V)(x))
#define I_SET1(x) ((I)(x))
#define U_SET1(x) ((U)(x))
#define LT(a, b) (-((a) < (b)))
#define LE(a, b) (-((a) <= (b)))
#define GT(a, b) (-((a) > (b)))
#define GE(a, b) (-((a) >= (b)))
#define EQ(a, b) (-((a) == (b)))
#define NE(a, b) (-((a) != (b)))
#define IEQ(a, b) (-((a) == (b)))
#define ITEST(a, b) (-(((a) & (b)) != 0))
#define SEL(m, a, b) ((m) ? (a) : (b))
#define ISEL(m, a, b) ((m) ? (a) : (b))
#define ANY(m) (m)
#define MLANE(m, l) ((m) != 0)
#define V_LOAD(p) (*(p))
#define V_STORE(p, v) (*(p) = (v))
#define V_LOADN(p, n) ((n) > 0 ? *(p) : (V)0)
#define V_STOREN(p, v, n) ((n) > 0 ? (void)(*(p) = (v)) : (void)0)
#endif
