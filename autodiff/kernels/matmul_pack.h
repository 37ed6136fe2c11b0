/* matmul_pack.h - copies a piece of a matrix into vectors of columns, turning it where it must.
 *
 * Included by matmul.h. out[kk, 0..W*wide) is row kk of the piece; lanes past its columns are 0.
 * Invariant: numbers are moved, never changed.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_MATMUL_PACK_H
#define AD_KERNELS_MATMUL_PACK_H

#if defined(VEC_512) || defined(VEC_256) || defined(VEC_128)
#define MM_TURN 1
typedef double K(mm_wide) __attribute__((vector_size(VBYTES))); /* lanes of 64 bits, whatever REAL is */
/* The pair (a, b) with every second chunk exchanged: chunks of 64, 128, 256 bits. */
#if VBYTES == 16
#define MM_ZIP(T, a, b, h) ((T)__builtin_shufflevector(a, b, h, 2 + h))
#define MM_ZIP32(a, b, h) __builtin_shufflevector(a, b, 2 * h, 4 + 2 * h, 2 * h + 1, 5 + 2 * h)
#elif VBYTES == 32
#define MM_ZIP(T, a, b, h) ((T)__builtin_shufflevector(a, b, h, 4 + h, 2 + h, 6 + h))
#define MM_ZIP128(T, a, b, h) ((T)__builtin_shufflevector(a, b, 2 * h, 2 * h + 1, 4 + 2 * h, 5 + 2 * h))
#define MM_ZIP32(a, b, h)                                                                                    \
    __builtin_shufflevector(a, b, 2 * h, 8 + 2 * h, 2 * h + 1, 9 + 2 * h, 4 + 2 * h, 12 + 2 * h, 5 + 2 * h,  \
                            13 + 2 * h)
#else
#define MM_ZIP(T, a, b, h)                                                                                   \
    ((T)__builtin_shufflevector(a, b, h, 8 + h, 2 + h, 10 + h, 4 + h, 12 + h, 6 + h, 14 + h))
#define MM_ZIP128(T, a, b, h)                                                                                \
    ((T)__builtin_shufflevector(a, b, 2 * h, 2 * h + 1, 8 + 2 * h, 9 + 2 * h, 4 + 2 * h, 5 + 2 * h,          \
                                12 + 2 * h, 13 + 2 * h))
#define MM_ZIP256(T, a, b, h)                                                                                \
    ((T)__builtin_shufflevector(a, b, 4 * h, 4 * h + 1, 4 * h + 2, 4 * h + 3, 8 + 4 * h, 9 + 4 * h,          \
                                10 + 4 * h, 11 + 4 * h))
#define MM_ZIP32(a, b, h)                                                                                    \
    __builtin_shufflevector(a, b, 2 * h, 16 + 2 * h, 2 * h + 1, 17 + 2 * h, 4 + 2 * h, 20 + 2 * h,           \
                            5 + 2 * h, 21 + 2 * h, 8 + 2 * h, 24 + 2 * h, 9 + 2 * h, 25 + 2 * h, 12 + 2 * h, \
                            28 + 2 * h, 13 + 2 * h, 29 + 2 * h)
#endif
#define MM_EXCHANGE(ZIP, distance)                                                                           \
    MM_EACH(i, W)                                                                                            \
    {                                                                                                        \
        if (i & (distance))                                                                                  \
            continue;                                                                                        \
        K(mm_wide) p = t[i], q = t[i + (distance)];                                                          \
        t[i] = ZIP(K(mm_wide), p, q, 0);                                                                     \
        t[i + (distance)] = ZIP(K(mm_wide), p, q, 1);                                                        \
    }

/* The exchanges but the one of the largest chunks, which a load can do. */
VEC_FN void K(mm_turn_within)(K(mm_wide) t[W])
{
    (void)t;
#if VREAL64 + 0
#if VBYTES >= 32
    MM_EXCHANGE(MM_ZIP, 1)
#endif
#if VBYTES >= 64
    MM_EXCHANGE(MM_ZIP128, 2)
#endif
#else
    /* Pairs of rows to pairs of floats, then 64-bit lanes: the columns come out in order. */
    MM_UNROLL for (int i = 0; i < W; i += 4)
    {
        V a = (V)t[i], b = (V)t[i + 1], c = (V)t[i + 2], d = (V)t[i + 3];
        K(mm_wide) p0 = (K(mm_wide))MM_ZIP32(a, b, 0), q0 = (K(mm_wide))MM_ZIP32(a, b, 1);
        K(mm_wide) p1 = (K(mm_wide))MM_ZIP32(c, d, 0), q1 = (K(mm_wide))MM_ZIP32(c, d, 1);
        t[i] = MM_ZIP(K(mm_wide), p0, p1, 0);
        t[i + 1] = MM_ZIP(K(mm_wide), p0, p1, 1);
        t[i + 2] = MM_ZIP(K(mm_wide), q0, q1, 0);
        t[i + 3] = MM_ZIP(K(mm_wide), q0, q1, 1);
    }
#if VBYTES >= 64
    MM_EXCHANGE(MM_ZIP128, 4)
#endif
#endif
}

/* Transposes W vectors of W lanes in registers. */
VEC_FN void K(mm_turn)(V row[W])
{
    K(mm_wide) t[W];
    MM_EACH(i, W) t[i] = (K(mm_wide))row[i];
#if VBYTES >= 64
    MM_EXCHANGE(MM_ZIP256, W / 2)
#elif VBYTES >= 32
    MM_EXCHANGE(MM_ZIP128, W / 2)
#elif VREAL64 + 0
    MM_EXCHANGE(MM_ZIP, 1)
#endif
    K(mm_turn_within)(t);
    MM_EACH(i, W) row[i] = (V)t[i];
}

/* Half a vector from p, half from q. As shuffles gcc makes this two loads and a shuffle more. */
#if defined(VEC_512)
#define MM_HALF(p) _mm256_castps_pd(_mm256_loadu_ps((const void *)(p)))
#define MM_HALVES(p, q) ((K(mm_wide))_mm512_insertf64x4(_mm512_castpd256_pd512(MM_HALF(p)), MM_HALF(q), 1))
#elif defined(VEC_256)
#define MM_HALF(p) _mm_castps_pd(_mm_loadu_ps((const void *)(p)))
#define MM_HALVES(p, q) ((K(mm_wide))_mm256_insertf128_pd(_mm256_castpd128_pd256(MM_HALF(p)), MM_HALF(q), 1))
#endif

/* The W x W block at b, transposed: t[i] lane l is b[l*ldb + i]. Two loads of half a vector spare the
 * widest shuffle. */
VEC_FN void K(mm_load_turned)(const REAL *b, long ldb, V row[W])
{
#if VBYTES >= 32
    K(mm_wide) t[W];
    MM_EACH(i, W / 2)
    {
        const REAL *p = b + i * ldb, *q = b + (i + W / 2) * ldb;
        t[i] = MM_HALVES(p, q);
        t[i + W / 2] = MM_HALVES(p + W / 2, q + W / 2);
    }
    K(mm_turn_within)(t);
    MM_EACH(i, W) row[i] = (V)t[i];
#else
    MM_EACH(i, W) row[i] = V_LOAD(b + i * ldb);
    K(mm_turn)(row);
#endif
}
#endif

/* out[kk*ldo + l] = b[l*ldb + kk] for kk < k, l < W; 0 for l >= rows. */
static void K(mm_pack_turned)(long k, int rows, const REAL *b, long ldb, REAL *out, long ldo)
{
    long kk = 0;
#if defined(MM_TURN)
    V t[W];
    if (rows == W) {
        for (; kk + W <= k; kk += W) {
            K(mm_load_turned)(b + kk, ldb, t);
            MM_EACH(l, W) V_STORE(out + (kk + l) * ldo, t[l]);
        }
    }
    for (; kk < k; kk += W) {
        const int n = k - kk < W ? (int)(k - kk) : W;
        MM_EACH(l, W) t[l] = V_SET1(0);
        MM_EACH(l, W)
        {
            if (l < rows)
                t[l] = V_LOADN(b + l * ldb + kk, n);
        }
        K(mm_turn)(t);
        MM_EACH(l, W)
        {
            if (l < n)
                V_STORE(out + (kk + l) * ldo, t[l]);
        }
    }
#else
    for (; kk < k; kk++)
        for (int l = 0; l < W; l++)
            out[kk * ldo + l] = l < rows ? b[l * ldb + kk] : 0;
#endif
}

/* out[kk, 0..wide*W) = rows of B, columns 0..n; B is [k,n], or [n,k] when turned. n > (wide-1)*W. */
static void K(mm_pack)(long k, long n, int wide, const REAL *b, long ldb, int turned, REAL *out)
{
    const long ldo = (long)wide * W;
    const int tail = (int)(n - (wide - 1) * W);
    if (turned) {
        for (int v = 0; v < wide; v++)
            K(mm_pack_turned)(k, v < wide - 1 ? W : tail, b + v * W * ldb, ldb, out + v * W, ldo);
        return;
    }
    for (long kk = 0; kk < k; kk++) {
        for (int v = 0; v < wide - 1; v++)
            V_STORE(out + kk * ldo + v * W, V_LOAD(b + kk * ldb + v * W));
        V_STORE(out + kk * ldo + (wide - 1) * W, V_LOADN(b + kk * ldb + (wide - 1) * W, tail));
    }
}
#endif
