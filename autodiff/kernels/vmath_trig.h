/* vmath_trig.h - sin, cos and tan over the whole range.
 *
 * Reduction: up to VM_TRIG_MAX by three pieces of pi/2 with the rounding errors carried in a second
 * word; beyond it lane by lane with integers, from the bits of 2/pi that the argument selects (Payne
 * and Hanek 1983). Invariant: the reduced argument, high + low, is right to beyond one word, so that
 * a result is right relative to itself next to every multiple of pi/2.
 */
/* SPDX-License-Identifier: MIT */
#if !defined(AD_KERNELS_VMATH_TRIG_H) || defined(VEC_AGAIN)
#define AD_KERNELS_VMATH_TRIG_H

#if VREAL64 + 0
#define VM_TRIG_MAX 1e6
#define VM_TWO_OVER_PI 6.36619772367581382e-01
#if HAS_FMA
#define VM_PIO2_1 1.57079632679489656e+00
#define VM_PIO2_2 6.12323399573676604e-17
#define VM_PIO2_3 -1.49738490485916983e-33
#else /* 33 bits each, so that k times a piece is exact without a fused multiply-add */
#define VM_PIO2_1 1.57079632673412561e+00
#define VM_PIO2_2 6.07710050630396598e-11
#define VM_PIO2_3 2.02226624879595063e-21
#endif
#else
#define VM_TRIG_MAX 1e4f
#define VM_TWO_OVER_PI 6.366197467e-01f
#if HAS_FMA
#define VM_PIO2_1 1.570796371e+00f
#define VM_PIO2_2 -4.371138829e-08f
#define VM_PIO2_3 -1.715124510e-15f
#else /* 9 bits each */
#define VM_PIO2_0 1.570312500e+00f
#define VM_PIO2_1 4.835128784e-04f
#define VM_PIO2_2 3.138557076e-07f
#define VM_PIO2_3 6.077100628e-11f
#endif
#endif

/* (sin r - r)/r^3 in z = r^2, |r| <= pi/4: 1.9e-17, float 1.2e-8 */
VEC_FN V vm_poly_sin(V z)
{
#if VREAL64 + 0
    V p = VM_K(1.59179889793974346e-10);
    p = FMA(p, z, VM_K(-2.50511298964501847e-08));
    p = FMA(p, z, VM_K(2.75573160931984042e-06));
    p = FMA(p, z, VM_K(-1.98412698367405325e-04));
    p = FMA(p, z, VM_K(8.33333333333093583e-03));
    return FMA(p, z, VM_K(-1.66666666666666657e-01));
#else
    V p = VM_K(-1.958763896e-04f);
    p = FMA(p, z, VM_K(8.332747035e-03f));
    return FMA(p, z, VM_K(-1.666666418e-01f));
#endif
}

/* (cos r - 1 + z/2)/z^2: 1.2e-18, float 1.1e-9 */
VEC_FN V vm_poly_cos(V z)
{
#if VREAL64 + 0
    V p = VM_K(-1.13825446453492505e-11);
    p = FMA(p, z, VM_K(2.08761450494131784e-09));
    p = FMA(p, z, VM_K(-2.75573172658780818e-07));
    p = FMA(p, z, VM_K(2.48015872987543999e-05));
    p = FMA(p, z, VM_K(-1.38888888888873889e-03));
    return FMA(p, z, VM_K(4.16666666666666644e-02));
#else
    V p = VM_K(2.454768946e-05f);
    p = FMA(p, z, VM_K(-1.388830133e-03f));
    return FMA(p, z, VM_K(4.166666418e-02f));
#endif
}

/* The 128-bit product of two 64-bit numbers, in C99. */
VEC_FN void vm_mul_wide(uint64_t a, uint64_t b, uint64_t *high, uint64_t *low)
{
    uint64_t a1 = a >> 32, a0 = a & 0xffffffffu, b1 = b >> 32, b0 = b & 0xffffffffu;
    uint64_t mid = a1 * b0 + ((a0 * b0) >> 32);
    uint64_t mid2 = a0 * b1 + (mid & 0xffffffffu);
    *high = a1 * b1 + (mid >> 32) + (mid2 >> 32);
    *low = a * b;
}

/* A finite x > 1e4 as m 2^e, m of 53 bits: the 192 bits of 2/pi that matter times m, the two
 * bits before the point being the quadrant and the fraction, brought to +-1/2, times pi/2. */
static
#if defined(__GNUC__)
    __attribute__((noinline, unused))
#endif
    int
    vm_payne_hanek(double x, double *high, double *low)
{
    static const uint64_t two_over_pi[20] = {
        0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u, 0xfe5163abdebbc561u,
        0xb7246e3a424dd2e0u, 0x06492eea09d1921cu, 0xfe1deb1cb129a73eu, 0xe88235f52ebb4484u,
        0xe99c7026b45f7e41u, 0x3991d639835339f4u, 0x9c845f8bbdf9283bu, 0x1ff897ffde05980fu,
        0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du, 0x7527bac7ebe5f17bu,
        0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu, 0xf0cfbc209af4361du};
    uint64_t bits, m, w[3], h0, l0, h1, l1, h2, l2;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)((bits >> 52) & 2047) - 1023 - 52; /* x = m 2^e, m of 53 bits */
    m = (bits & 0xfffffffffffffu) | 0x10000000000000u;
    /* The first e-3 bits of 2/pi only add multiples of 8. */
    int first = e > 3 ? e - 3 : 0, word = first / 64, shift = first % 64, point = e - first;
    for (int i = 0; i < 3; i++) {
        w[i] = two_over_pi[word + i] << shift;
        if (shift)
            w[i] |= two_over_pi[word + i + 1] >> (64 - shift);
    }
    vm_mul_wide(m, w[0], &h0, &l0);
    vm_mul_wide(m, w[1], &h1, &l1);
    vm_mul_wide(m, w[2], &h2, &l2);
    uint64_t f1 = h2 + l1, carry = h1 + (f1 < l1), f0 = l0 + carry; /* h1 < 2^53: carry does not wrap */
    uint64_t top = h0 + (f0 < l0);
    /* The value is (top . f0 f1) 2^point; bring the point to just below two integer bits. */
    uint64_t a, b;
    int up = point + 62; /* quadrant to the two top bits of a */
    if (up >= 64) {
        a = up == 64 ? f0 : (f0 << (up - 64)) | (f1 >> (128 - up));
        b = up == 64 ? f1 : f1 << (up - 64);
    } else {
        a = (top << up) | (f0 >> (64 - up));
        b = (f0 << up) | (f1 >> (64 - up));
    }
    int quadrant = (int)(a >> 62), minus = 0;
    a = (a << 2) | (b >> 62); /* the fraction of a quarter turn */
    b <<= 2;
    if (a >> 63) {
        quadrant++;
        minus = 1;
        a = ~a + (b == 0);
        b = ~b + 1;
    }
    int zeros = 0;
    while (!(a >> 63) && zeros < 120) {
        a = (a << 1) | (b >> 63);
        b <<= 1;
        zeros++;
    }
    uint64_t ph, pl;
    vm_mul_wide(a, 0xc90fdaa22168c234u, &ph, &pl); /* pi/2 is this 2^-63 */
    uint64_t scale_bits = (uint64_t)(1023 - 63 - zeros) << 52;
    double scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    double r = (double)(ph >> 11) * 2048.0 * scale, rest = (double)(ph & 2047) * scale;
    *high = minus ? -r : r;
    *low = minus ? -rest : rest;
    return quadrant;
}

/* x = quadrant pi/2 + high + low; the quadrant is exact modulo 4. */
VEC_FN U vm_trig_reduce(V x, V *high, V *low)
{
    V shifted = FMA(x, VM_K(VM_TWO_OVER_PI), VM_K(RINT_MAGIC)), k = shifted - VM_K(RINT_MAGIC);
#if defined(VM_PIO2_0)
    V a = x - k * VM_K(VM_PIO2_0);
    a = a - k * VM_K(VM_PIO2_1);
#else
    V a = FMA(-k, VM_K(VM_PIO2_1), x); /* exact: |a| < 1 in steps of 2^-52 */
#endif
    V b = k * VM_K(VM_PIO2_2);
#if HAS_FMA
    V b_low = FMA(k, VM_K(VM_PIO2_2), -b);
#else
    V b_low = VM_K(0);
#endif
    V r = a - b, back = r - a; /* a - b = r + error */
    V error = (a - (r - back)) - (b + back);
    V rest = error - FMA(k, VM_K(VM_PIO2_3), b_low);
    *high = r + rest;
    *low = (r - *high) + rest;
    U q = AS_U(shifted);
    M big = GT(ABS(x), VM_K(VM_TRIG_MAX)) & LT(ABS(x), AS_V(U_SET1(VM_INF)));
    if (ANY(big)) {
        for (int l = 0; l < W; l++) {
            if (MLANE(big, l)) {
                double h, t, v = (double)LANE(x, l);
                int quadrant = vm_payne_hanek(v < 0 ? -v : v, &h, &t);
                REAL sign = v < 0 ? (REAL)-1 : (REAL)1, hr = (REAL)h;
                SETLANE(*high, l, sign * hr);
                SETLANE(*low, l, sign * (REAL)((h - (double)hr) + t));
                SETLANE(q, l, (UINT)(v < 0 ? -quadrant : quadrant));
            }
        }
    }
    return q;
}

VEC_FN V vm_sin_kernel(V r, V low)
{
    V z = r * r, cube = z * r;
    return r + FMA(cube, vm_poly_sin(z), FMA(VM_K(-0.5) * z, low, low));
}

VEC_FN V vm_cos_kernel(V r, V low)
{
    V z = r * r, half = VM_K(0.5) * z, w = VM_K(1) - half;
    return w + (((VM_K(1) - w) - half) + FMA(z * z, vm_poly_cos(z), -r * low));
}

/* Both at once; shared reduction. */
VEC_FN V vm_sincos(V x, V *cosine)
{
    V r, low;
    U q = vm_trig_reduce(x, &r, &low);
    M odd = ITEST((I)q, I_SET1(1));
    V s = vm_sin_kernel(r, low), c = vm_cos_kernel(r, low);
    U sign_s = (q & U_SET1(2)) << (int)(8 * sizeof(REAL) - 2);
    U sign_c = ((q + U_SET1(1)) & U_SET1(2)) << (int)(8 * sizeof(REAL) - 2);
    V nan = x - x; /* 0 where x is finite, NaN elsewhere */
    *cosine = AS_V(AS_U(SEL(odd, s, c)) ^ sign_c) + nan;
    V sine = AS_V(AS_U(SEL(odd, c, s)) ^ sign_s) + nan;
    return SEL(EQ(x, VM_K(0)), x, sine);
}

VEC_FN V vm_sin(V x)
{
    V c;
    return vm_sincos(x, &c);
}

VEC_FN V vm_cos(V x)
{
    V c;
    (void)vm_sincos(x, &c);
    return c;
}

VEC_FN V vm_tan(V x)
{
    V c, s = vm_sincos(x, &c);
    return s / c;
}
#endif
