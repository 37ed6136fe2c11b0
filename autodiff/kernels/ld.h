/* ld.h - the vocabulary of vec.h for long double, one lane: the reference the other kernels are held against.
 * Elementary functions are those of the C library.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_LD_H
#define AD_KERNELS_LD_H

#include <math.h>
#include <stdint.h>

#define REAL long double
#define W 1
#define LANES 1
#define HAS_FMA 0
#define VEC_FN static inline __attribute__((always_inline, unused))
typedef long double V;
#define LT(a, b) ((a) < (b))
#define LE(a, b) ((a) <= (b))
#define GT(a, b) ((a) > (b))
#define EQ(a, b) ((a) == (b))
#define NE(a, b) ((a) != (b))
#define SEL(m, a, b) ((m) ? (a) : (b))
#define FMA(a, b, c) ((a) * (b) + (c)) /* fmal() is emulated, and a fused rounding of 64 bits tells no more */
#define FUSED(a, b, c) fmal(a, b, c)
#define SQRT(x) sqrtl(x)
#define ABS(x) fabsl(x)
#define V_SET1(x) (x)
#define V_LOAD(p) (*(p))
#define V_STORE(p, v) (*(p) = (v))
VEC_FN V V_LOADN(const REAL *p, int n) { return n > 0 ? *p : 0; }
VEC_FN void V_STOREN(REAL *p, V v, int n)
{
    if (n > 0)
        *p = v;
}
#define LANE(v, l) (v)
#define SETLANE(v, l, x) ((v) = (x))
#define vm_exp expl
#define vm_expm1 expm1l
#define vm_log logl
#define vm_log1p log1pl
#define vm_sin sinl
#define vm_cos cosl
#define vm_tan tanl
#define vm_asin asinl
#define vm_acos acosl
#define vm_atan atanl
#define vm_sinh sinhl
#define vm_cosh coshl
#define vm_tanh tanhl
#define vm_asinh asinhl
#define vm_acosh acoshl
#define vm_atanh atanhl
#define vm_erf erfl
#define vm_erfc erfcl
static inline V vm_sech2(V x)
{
    V c = coshl(x);
    return 1 / (c * c);
}
static inline V vm_tanh_sech2(V x, V *sech2)
{
    *sech2 = vm_sech2(x);
    return tanhl(x);
}
static inline V vm_sigmoid(V x) { return x > 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }
static inline V vm_softplus(V x) { return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x)); }

#endif
