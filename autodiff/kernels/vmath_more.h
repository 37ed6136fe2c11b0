/* vmath_more.h - erf, erfc, and the inverse functions: atan asin acos, asinh acosh atanh.
 *
 * erf is a polynomial below 1/2 and 1 - erfc above; erfc(a) = exp(-a^2) F(u)/(1+2a) with the square
 * taken exactly, u = (a-c)/(a+c) mapping the half line to an interval (as Shepherd and Laframboise,
 * Math. Comp. 36, 1981, do). The inverse functions go through atan and log1p. The polynomials are
 * made as in vmath_exp.h. Invariant: no branch on data; every lane does the same work.
 */
/* SPDX-License-Identifier: MIT */
#if !defined(AD_KERNELS_VMATH_MORE_H) || defined(VEC_AGAIN)
#define AD_KERNELS_VMATH_MORE_H

#if VREAL64 + 0
#define VM_ERFC_MAX 27.3 /* erfc has underflowed */
#define VM_ERFC_CENTRE 3.0
#define VM_SPLIT (~(UINT64_C(0x7ffffff)))
#define VM_PI_HI 3.14159265358979312e+00
#define VM_PI_LO 1.22464679914735318e-16
#define VM_LN2 6.93147180559945286e-01
#define VM_HUGE 1e17
#else
#define VM_ERFC_MAX 10.2f
#define VM_ERFC_CENTRE 2.0f
#define VM_SPLIT (~(UINT32_C(0xfff)))
#define VM_PI_HI 3.141592741f
#define VM_PI_LO -8.742277657e-08f
#define VM_LN2 6.931471825e-01f
#define VM_HUGE 1e9f
#endif

/* erf(x)/x - 1 in z = x^2, x <= 0.5: 2.6e-17, float 8.6e-10 */
VEC_FN V vm_poly_erf(V z)
{
#if VREAL64 + 0
    V p = VM_K(1.46605952642250614e-06);
    p = FMA(p, z, VM_K(-1.48396054927852082e-05));
    p = FMA(p, z, VM_K(1.20530935133020674e-04));
    p = FMA(p, z, VM_K(-8.54829290920183435e-04));
    p = FMA(p, z, VM_K(5.22397731951782830e-03));
    p = FMA(p, z, VM_K(-2.68661706297006475e-02));
    p = FMA(p, z, VM_K(1.12837916709161032e-01));
    p = FMA(p, z, VM_K(-3.76126389031833708e-01));
    return FMA(p, z, VM_K(1.28379167095512574e-01));
#else
    V p = VM_K(-7.662388962e-04f);
    p = FMA(p, z, VM_K(5.198567640e-03f));
    p = FMA(p, z, VM_K(-2.686277591e-02f));
    p = FMA(p, z, VM_K(1.128377095e-01f));
    p = FMA(p, z, VM_K(-3.761263788e-01f));
    return FMA(p, z, VM_K(1.283791671e-01f));
#endif
}

/* (1+2a) exp(a^2) erfc(a), a in [0.5, VM_ERFC_MAX]: 5.0e-17, float 2.3e-8 */
VEC_FN V vm_poly_erfc(V u)
{
#if VREAL64 + 0
    V p = VM_K(9.41363843349117451e-09);
    p = FMA(p, u, VM_K(7.08602294863471119e-08));
    p = FMA(p, u, VM_K(-8.63521969868815155e-08));
    p = FMA(p, u, VM_K(-5.83150571824324666e-07));
    p = FMA(p, u, VM_K(3.05493176784969518e-07));
    p = FMA(p, u, VM_K(3.45158397697371267e-06));
    p = FMA(p, u, VM_K(-7.02802073201314184e-07));
    p = FMA(p, u, VM_K(-2.00924688138299743e-05));
    p = FMA(p, u, VM_K(4.93940621760044354e-06));
    p = FMA(p, u, VM_K(1.25097324338421150e-04));
    p = FMA(p, u, VM_K(-1.05157563214346779e-04));
    p = FMA(p, u, VM_K(-7.79831946529359050e-04));
    p = FMA(p, u, VM_K(1.88869005300709583e-03));
    p = FMA(p, u, VM_K(2.52939178380630087e-03));
    p = FMA(p, u, VM_K(-2.37705148943560228e-02));
    p = FMA(p, u, VM_K(6.83080273457886966e-02));
    p = FMA(p, u, VM_K(-1.19273663416292572e-01));
    p = FMA(p, u, VM_K(1.29645158702712537e-01));
    p = FMA(p, u, VM_K(-4.75622943534352652e-02));
    p = FMA(p, u, VM_K(-1.35621106124580781e-01));
    return FMA(p, u, VM_K(1.25300805826972961e+00));
#else
    V p = VM_K(-1.362615149e-03f);
    p = FMA(p, u, VM_K(9.579061298e-04f));
    p = FMA(p, u, VM_K(8.728690445e-03f));
    p = FMA(p, u, VM_K(-7.952519692e-03f));
    p = FMA(p, u, VM_K(-5.422674492e-02f));
    p = FMA(p, u, VM_K(1.640431136e-01f));
    p = FMA(p, u, VM_K(-1.660297215e-01f));
    p = FMA(p, u, VM_K(-9.276360273e-02f));
    return FMA(p, u, VM_K(1.276978374e+00f));
#endif
}

/* (atan t - t)/t^3 in z = t^2, t <= tan(pi/8): 2.9e-18, float 2.7e-9 */
VEC_FN V vm_poly_atan(V z)
{
#if VREAL64 + 0
    V p = VM_K(-1.91620689159025734e-02);
    p = FMA(p, z, VM_K(3.92195525325512925e-02));
    p = FMA(p, z, VM_K(-5.08503049281094077e-02));
    p = FMA(p, z, VM_K(5.85806875686151057e-02));
    p = FMA(p, z, VM_K(-6.66450221567144729e-02));
    p = FMA(p, z, VM_K(7.69218253511664840e-02));
    p = FMA(p, z, VM_K(-9.09090454988461111e-02));
    p = FMA(p, z, VM_K(1.11111110145610134e-01));
    p = FMA(p, z, VM_K(-1.42857142846578938e-01));
    p = FMA(p, z, VM_K(1.99999999999954797e-01));
    return FMA(p, z, VM_K(-3.33333333333333315e-01));
#else
    V p = VM_K(-6.449835002e-02f);
    p = FMA(p, z, VM_K(1.074309945e-01f));
    p = FMA(p, z, VM_K(-1.426389664e-01f));
    p = FMA(p, z, VM_K(1.999953836e-01f));
    return FMA(p, z, VM_K(-3.333333135e-01f));
#endif
}

/* erfc for a >= 1/2 */
VEC_FN V vm_erfc_tail(V x)
{
    V a = V_MIN(VM_K(VM_ERFC_MAX), x), centre = VM_K(VM_ERFC_CENTRE), one = VM_K(1), k;
    V top = AS_V(AS_U(a) & U_SET1(VM_SPLIT)); /* its square is exact */
    V p = vm_exp_parts_low(-(top * top), -((a - top) * (a + top)), &k);
    V f = vm_poly_erfc((a - centre) / (a + centre));
    return V_LDEXP((p + one) * f / (one + a + a), k);
}

VEC_FN V vm_erf(V x)
{
    V a = ABS(x), small = FMA(x, vm_poly_erf(x * x), x);
    return SEL(LT(a, VM_K(0.5)), small, COPYSIGN(VM_K(1) - vm_erfc_tail(a), x));
}

VEC_FN V vm_erfc(V x)
{
    V a = ABS(x), one = VM_K(1), tail = vm_erfc_tail(a);
    V y = SEL(LT(x, VM_K(0)), VM_K(2) - tail, tail);
    return SEL(LT(a, VM_K(0.5)), one - FMA(x, vm_poly_erf(x * x), x), y);
}

/* atan(num/den) for num >= 0, den >= 0, not both 0 or infinite: one division whatever the octant */
VEC_FN V vm_atan_ratio(V num, V den)
{
    M far = GT(num, VM_K(2.414213562373095) * den);
    M near = LT(num, VM_K(0.41421356237309503) * den);
    V zero = VM_K(0), quarter = VM_K(0.25);
    V t = SEL(far, -den, SEL(near, num, num - den)) / SEL(far, num, SEL(near, den, num + den));
    V turns = SEL(far, VM_K(0.5), SEL(near, zero, quarter)), z = t * t;
    V y = FMA(t * z, vm_poly_atan(z), turns * VM_K(VM_PI_LO)) + t;
    return SEL(near, y, turns * VM_K(VM_PI_HI) + y);
}

VEC_FN V vm_atan(V x)
{
    V y = COPYSIGN(vm_atan_ratio(ABS(x), VM_K(1)), x);
    return SEL(EQ(x, VM_K(0)), x, y);
}

VEC_FN V vm_asin(V x)
{
    V a = ABS(x), one = VM_K(1);
    return COPYSIGN(vm_atan_ratio(a, SQRT((one - a) * (one + a))), x);
}

/* acos x = 2 atan(sqrt((1-x)/(1+x))) keeps its digits near 1, where acos goes to 0 */
VEC_FN V vm_acos(V x)
{
    V one = VM_K(1);
    return VM_K(2) * vm_atan_ratio(SQRT(one - x), SQRT(one + x));
}

VEC_FN V vm_asinh(V x)
{
    V a = ABS(x), one = VM_K(1), b = V_MIN(VM_K(VM_HUGE), a), z = b * b;
    M huge = GE(a, VM_K(VM_HUGE));
    V y = vm_log1p(SEL(huge, a, b + z / (one + SQRT(one + z))));
    y = SEL(huge, y + VM_K(VM_LN2), y);
    return COPYSIGN(y, x);
}

VEC_FN V vm_acosh(V x)
{
    V one = VM_K(1), t = x - one, b = V_MIN(VM_K(VM_HUGE), t);
    M huge = GE(t, VM_K(VM_HUGE));
    V y = vm_log1p(SEL(huge, t, b + SQRT(b * (b + VM_K(2)))));
    y = SEL(huge, y + VM_K(VM_LN2), y);
    return SEL(LT(x, one), AS_V(U_SET1(VM_NAN)), y);
}

VEC_FN V vm_atanh(V x)
{
    V a = ABS(x);
    return COPYSIGN(VM_K(0.5) * vm_log1p((a + a) / (VM_K(1) - a)), x);
}
#endif
