/* vmath_exp.h - exp, log and what is made of them: expm1 log1p tanh sech2 sigmoid softplus sinh cosh.
 *
 * exp reduces x = k ln2 + r with |r| <= ln2/2 and returns 2^k (1 + p), p = exp(r) - 1; keeping p apart
 * is what gives expm1 and tanh their relative accuracy near 0. log is the series of 2 atanh(s) at
 * s = f/(2+f), 1 + f in [sqrt 1/2, sqrt 2]. The polynomials interpolate their function at Chebyshev
 * nodes (70-digit arithmetic, then rounded), which is close to minimax; the error stated is
 * relative to the function's result. Invariant: no branch on data; every lane does the same work.
 */
/* SPDX-License-Identifier: MIT */
#if !defined(AD_KERNELS_VMATH_EXP_H) || defined(VEC_AGAIN)
#define AD_KERNELS_VMATH_EXP_H

#define VM_K(x) V_SET1((REAL)(x))

#if VREAL64 + 0
#define VM_LN2_HI 6.93147180369123816490e-01 /* 32 bits: k VM_LN2_HI is exact */
#define VM_LN2_LO 1.90821492927058770002e-10
#define VM_INV_LN2 1.44269504088896338700e+00
#define VM_EXP_MAX 710.0  /* beyond these exp has overflowed and underflowed */
#define VM_SINH_MAX 710.6 /* sinh has overflowed, 2^(k-2) has not */
#define VM_EXP_MIN -750.0
#define VM_EXPM1_MIN -50.0
#define VM_TINY 8.673617379884035e-19 /* below it x is its own expm1, log1p, sinh */
#define VM_SUB_MAX 2.2250738585072014e-308
#define VM_SUB_SHIFT 54
#define VM_SUB_SCALE 18014398509481984.0
#define VM_INT_MAGIC 4503599627370496.0
#define VM_SQRT_HALF UINT64_C(0x3fe6a09e667f3bcd)
#define VM_ONE UINT64_C(0x3ff0000000000000)
#define VM_INF UINT64_C(0x7ff0000000000000)
#define VM_NAN UINT64_C(0x7ff8000000000000)
#else
#define VM_LN2_HI 6.93115234375e-01f /* 12 bits */
#define VM_LN2_LO 3.19461833e-05f
#define VM_INV_LN2 1.44269502f
#define VM_EXP_MAX 89.0f
#define VM_SINH_MAX 89.6f
#define VM_EXP_MIN -110.0f
#define VM_EXPM1_MIN -25.0f
#define VM_TINY 9.31322575e-10f
#define VM_SUB_MAX 1.17549435e-38f
#define VM_SUB_SHIFT 25
#define VM_SUB_SCALE 33554432.0f
#define VM_INT_MAGIC 8388608.0f
#define VM_SQRT_HALF UINT32_C(0x3f3504f3)
#define VM_ONE UINT32_C(0x3f800000)
#define VM_INF UINT32_C(0x7f800000)
#define VM_NAN UINT32_C(0x7fc00000)
#endif

/* (exp(r) - 1 - r) / r^2 on |r| <= ln2/2: 1.3e-17, float 8.0e-9 */
VEC_FN V vm_poly_exp(V r)
{
#if VREAL64 + 0
    V p = VM_K(2.51004241570050668e-08);
    p = FMA(p, r, VM_K(2.76201387197339936e-07));
    p = FMA(p, r, VM_K(2.75572683786841924e-06));
    p = FMA(p, r, VM_K(2.48015211902177286e-05));
    p = FMA(p, r, VM_K(1.98412698631059685e-04));
    p = FMA(p, r, VM_K(1.38888889172817938e-03));
    p = FMA(p, r, VM_K(8.33333333333005112e-03));
    p = FMA(p, r, VM_K(4.16666666666239902e-02));
    p = FMA(p, r, VM_K(1.66666666666666685e-01));
    return FMA(p, r, VM_K(5.00000000000000111e-01));
#else
    V p = VM_K(1.392621314e-03f);
    p = FMA(p, r, VM_K(8.363203146e-03f));
    p = FMA(p, r, VM_K(4.166655615e-02f));
    p = FMA(p, r, VM_K(1.666657627e-01f));
    return FMA(p, r, VM_K(0.5f));
#endif
}

/* (2 atanh(s) - 2s) / s^3 as a polynomial in z = s^2, s <= 0.1716: 4.7e-18, float 2.6e-9 */
VEC_FN V vm_poly_log(V z)
{
#if VREAL64 + 0
    V p = VM_K(1.46171283998072998e-01);
    p = FMA(p, z, VM_K(1.53316666765971749e-01));
    p = FMA(p, z, VM_K(1.81828907780261312e-01));
    p = FMA(p, z, VM_K(2.22222111121049476e-01));
    p = FMA(p, z, VM_K(2.85714286261145201e-01));
    p = FMA(p, z, VM_K(3.99999999998991995e-01));
    return FMA(p, z, VM_K(6.66666666666666963e-01));
#else
    V p = VM_K(2.958046794e-01f);
    p = FMA(p, z, VM_K(3.998876810e-01f));
    return FMA(p, z, VM_K(6.666668653e-01f));
#endif
}

/* k and p with exp(x + low) = 2^k (1 + p); x is not far beyond the exponent range, low is small. */
VEC_FN V vm_exp_parts_low(V x, V low, V *k)
{
    *k = V_RINT(x * VM_K(VM_INV_LN2));
    V r = FMA(-*k, VM_K(VM_LN2_HI), x) + FMA(-*k, VM_K(VM_LN2_LO), low);
    return FMA(r * r, vm_poly_exp(r), r);
}

VEC_FN V vm_exp_parts(V x, V *k)
{
    *k = V_RINT(x * VM_K(VM_INV_LN2));
    V r = FMA(-*k, VM_K(VM_LN2_LO), FMA(-*k, VM_K(VM_LN2_HI), x));
    return FMA(r * r, vm_poly_exp(r), r);
}

VEC_FN V vm_exp(V x)
{
    V k;
    V p = vm_exp_parts(V_MAX(VM_K(VM_EXP_MIN), V_MIN(VM_K(VM_EXP_MAX), x)), &k);
    return V_LDEXP(p + VM_K(1), k);
}

/* A quarter of expm1, which leaves room for sinh above the overflow of exp. The sum 2^k - 1 + 2^k p
 * cancels near k = 1, so r keeps its rounding error and the sum its own. */
VEC_FN V vm_expm1_quarter(V x)
{
    V k = V_RINT(x * VM_K(VM_INV_LN2));
    V high = FMA(-k, VM_K(VM_LN2_HI), x), r = FMA(-k, VM_K(VM_LN2_LO), high);
    V r_low = FMA(-k, VM_K(VM_LN2_LO), high - r);
    V scale = V_POW2(k - VM_K(2)), a = scale - VM_K(0.25), b = scale * r;
    V sum = a + b, back = sum - a;
    V low = (a - (sum - back)) + (b - back);
    return sum + (low + scale * FMA(r * r, vm_poly_exp(r), FMA(r, r_low, r_low)));
}

VEC_FN V vm_expm1(V x)
{
    V y = vm_expm1_quarter(V_MAX(VM_K(VM_EXPM1_MIN), V_MIN(VM_K(VM_EXP_MAX), x))) * VM_K(4);
    return SEL(LT(ABS(x), VM_K(VM_TINY)), x, y);
}

/* tanh and its derivative together, one exponential and one division. With t = expm1(-2|x|):
 * tanh = -t/(2+t) and 1/cosh^2 = 4 (1+t)/(2+t)^2, where 1+t comes as 2^k (1+p) with all its digits.
 * The quotients are corrected by their residuals, including the rounding of 2+t. */
VEC_FN V vm_tanh_sech2(V x, V *sech2)
{
    V k, two = VM_K(2);
    V p = vm_exp_parts(V_MAX(VM_K(VM_EXP_MIN), ABS(x) * VM_K(-2)), &k);
    V scale = V_POW2(V_MAX(VM_K(-100), k));
    V t = FMA(scale, p, scale - VM_K(1));
    V m = two + t, m_low = t - (m - two);
    V d = VM_K(1) / m, y = -t * d;
    V e = p + VM_K(1), e_low = p - (e - VM_K(1));
#if HAS_FMA
    V y_res = FMA(-m_low, y, FMA(-m, y, -t));
    V d_res = FMA(-m_low, d, FMA(-m, d, VM_K(1)));
    V g = e * d, g_low = FMA(e_low, d, FMA(e, d, -g));
    y = FMA(y_res, d, y);
    *sech2 = V_LDEXP(FMA(g, d, FMA(g + g, d_res, g_low) * d), k + two);
#else
    y = y - y * d * m_low;
    *sech2 = V_LDEXP((e * d + (e_low - two * e * d * m_low) * d) * d, k + two);
#endif
    return COPYSIGN(y, x);
}

VEC_FN V vm_tanh(V x)
{
    V s;
    return vm_tanh_sech2(x, &s);
}

VEC_FN V vm_sech2(V x)
{
    V s;
    (void)vm_tanh_sech2(x, &s);
    return s;
}

/* 1/(1+exp(-x)) through exp(-|x|), so that neither tail overflows or loses digits. */
VEC_FN V vm_sigmoid(V x)
{
    V k, p = vm_exp_parts(V_MAX(VM_K(VM_EXP_MIN), -ABS(x)), &k);
    V e1 = p + VM_K(1), d = VM_K(1) / (VM_K(1) + V_LDEXP(e1, k));
    return SEL(LT(x, VM_K(0)), V_LDEXP(e1 * d, k), d);
}

/* k ln2 + log(1+f) + c, with 1+f in [sqrt 1/2, sqrt 2] and c small */
VEC_FN V vm_log_sum(V f, V k, V c)
{
    V s = f / (VM_K(2) + f), z = s * s, half = VM_K(0.5) * f * f;
    V t = FMA(s, FMA(z, vm_poly_log(z), half), FMA(k, VM_K(VM_LN2_LO), c));
    return FMA(k, VM_K(VM_LN2_HI), f - (half - t));
}

/* x = 2^k (1+f) for a positive normal x */
VEC_FN V vm_log_parts(V x, V *k)
{
    U bits = AS_U(x), shifted = (bits + U_SET1(VM_ONE - VM_SQRT_HALF)) >> VEC_MANT;
    *k = AS_V(shifted | AS_U(VM_K(VM_INT_MAGIC))) - VM_K(VM_INT_MAGIC + VEC_BIAS);
    return AS_V(bits - (shifted << VEC_MANT) + U_SET1(VM_ONE)) - VM_K(1);
}

/* What both logarithms say outside their range: u is x, or 1 + x. */
VEC_FN V vm_log_edges(V u, V y)
{
    V inf = AS_V(U_SET1(VM_INF));
    y = SEL(EQ(u, VM_K(0)), -inf, y);
    y = SEL(LT(u, VM_K(0)) | NE(u, u), AS_V(U_SET1(VM_NAN)), y);
    return SEL(EQ(u, inf), inf, y);
}

VEC_FN V vm_log(V x)
{
    M tiny = LT(x, VM_K(VM_SUB_MAX));
    V k, f = vm_log_parts(SEL(tiny, x * VM_K(VM_SUB_SCALE), x), &k);
    k = SEL(tiny, k - VM_K(VM_SUB_SHIFT), k);
    return vm_log_edges(x, vm_log_sum(f, k, VM_K(0)));
}

/* log1p takes log of u = 1+x rounded, and c = (what the rounding lost)/u; for k = 0, f is x itself. */
VEC_FN V vm_log1p(V x)
{
    V one = VM_K(1), u = one + x, k, f = vm_log_parts(u, &k);
    M direct = EQ(k, VM_K(0));
    V lost = SEL(GE(x, one), one - (u - x), x - (u - one));
    V y = vm_log_sum(SEL(direct, x, f), k, SEL(direct, VM_K(0), lost / u));
    return SEL(LT(ABS(x), VM_K(VM_TINY)), x, vm_log_edges(u, y));
}

/* log(1 + exp(x)) */
VEC_FN V vm_softplus(V x) { return V_MAX(VM_K(0), x) + vm_log1p(vm_exp(-ABS(x))); }

VEC_FN V vm_sinh(V x)
{
    V q = vm_expm1_quarter(V_MIN(VM_K(VM_SINH_MAX), ABS(x)));
    V t = V_MIN(VM_K(VM_SUB_SCALE), VM_K(4) * q); /* keeps t/(t+1) from inf/inf */
    V y = q + q + VM_K(0.5) * t / (t + VM_K(1));
    return SEL(LT(ABS(x), VM_K(VM_TINY)), x, COPYSIGN(y, x));
}

VEC_FN V vm_cosh(V x)
{
    V k, p = vm_exp_parts(V_MIN(VM_K(VM_SINH_MAX), ABS(x)), &k);
    V half = V_LDEXP(p + VM_K(1), k - VM_K(1));
    return half + VM_K(0.25) / half;
}
#endif
