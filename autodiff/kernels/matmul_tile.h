/* matmul_tile.h - register tiles: a few rows of scalars times a few vectors of columns, all of k.
 *
 * C[r,:] += x[r,kk] y[kk,:]: x is broadcast from where it lies, y is read as vectors. Included by
 * matmul.h. Invariant: each element of C is one chain of FMAs over ascending k, which begins at +0
 * or at C; between two calls the chain rests in C, and storing a REAL loses nothing.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_MATMUL_TILE_H
#define AD_KERNELS_MATMUL_TILE_H

/* Rows and vectors of a tile. With R + 1 registers for y and the broadcast, tall * wide sums fill
 * the rest. Fewer rows take more vectors, so that enough chains hide the latency of the FMA. */
#if defined(VEC_512) || defined(__aarch64__)
enum { MM_TALL = 8, MM_WIDE = 3, MM_WIDE4 = 6, MM_WIDE2 = 8, MM_WIDE1 = 12 };
#else
enum { MM_TALL = 6, MM_WIDE = 2, MM_WIDE4 = 3, MM_WIDE2 = 4, MM_WIDE1 = 8 };
#endif

enum {
    MM_AHEAD = 8
}; /* rows that are fetched ahead where x is read down its columns, a line here and there */

struct K(mm_job) {
    long k, ldx, ldy, ldc;
    const REAL *x, *y;
    REAL *c;
    int acc;    /* the chains begin at C */
    int turned; /* C is written transposed: vectors run down its columns */
    int tail;   /* lanes of the last vector, 1..W; the others of y are not read, of C not written */
};

/* Lane l of vector v, row r of a turned tile. */
VEC_FN REAL *K(mm_at)(const struct K(mm_job) * j, REAL *c, int r, int lane) { return c + lane * j->ldc + r; }

/* tall, wide, by_column, masked are constants where this is inlined. x[r,kk] is x[r*ldx + kk], or
 * x[kk*ldx + r] by column. */
MM_TILE_FN void K(mm_tile)(const int tall, const int wide, const int by_column, const int masked,
                           const struct K(mm_job) * j, const REAL *x, const REAL *y, REAL *c)
{
    const long k = j->k, ldx = j->ldx, ldy = j->ldy, ldc = j->ldc;
    const int tail = j->tail, all = (wide - 1) * W + tail;
    V s[8][12], b[12];
    if (!j->acc) {
        MM_EACH(r, tall) MM_EACH(v, wide) s[r][v] = V_SET1(0);
    } else if (!j->turned) {
        MM_EACH(r, tall)
        MM_EACH(v, wide)
        s[r][v] = v < wide - 1 ? V_LOAD(c + r * ldc + v * W) : V_LOADN(c + r * ldc + v * W, tail);
    } else {
        REAL lanes[8 * 12 * W];
        for (int r = 0; r < tall; r++)
            for (int l = 0; l < wide * W; l++)
                lanes[r * wide * W + l] = l < all ? *K(mm_at)(j, c, r, l) : 0;
        MM_EACH(r, tall) MM_EACH(v, wide) s[r][v] = V_LOAD(lanes + (r * wide + v) * W);
    }
    for (long kk = 0; kk < k; kk++) {
        if (by_column && tall >= 4) {
            __builtin_prefetch(x + MM_AHEAD * ldx);
            MM_EACH(v, wide) __builtin_prefetch(y + v * W + MM_AHEAD * ldy);
        }
        MM_EACH(v, wide) b[v] = masked && v == wide - 1 ? V_LOADN(y + v * W, tail) : V_LOAD(y + v * W);
        MM_EACH(r, tall)
        {
            V a = V_SET1(by_column ? x[r] : x[r * ldx]);
            MM_EACH(v, wide) s[r][v] = FMA(a, b[v], s[r][v]);
        }
        x += by_column ? ldx : 1;
        y += ldy;
    }
    if (!j->turned) {
        MM_EACH(r, tall) { MM_EACH(v, wide - 1) V_STORE(c + r * ldc + v * W, s[r][v]); }
        if (tail == W) {
            MM_EACH(r, tall) V_STORE(c + r * ldc + (wide - 1) * W, s[r][wide - 1]);
        } else {
            MM_EACH(r, tall)
            V_STOREN(c + r * ldc + (wide - 1) * W, s[r][wide - 1], tail);
        }
    } else {
        REAL lanes[8 * 12 * W];
        MM_EACH(r, tall) MM_EACH(v, wide) V_STORE(lanes + (r * wide + v) * W, s[r][v]);
        for (int l = 0; l < all; l++)
            for (int r = 0; r < tall; r++)
                *K(mm_at)(j, c, r, l) = lanes[r * wide * W + l];
    }
}

/* Masked loads cost nothing with AVX-512; elsewhere only a row's end pays for them. */
#if defined(VEC_512)
#define MM_MASKED(j) 1
#else
#define MM_MASKED(j) ((j)->tail < W)
#endif

/* A strip: `tiles` tiles one below the other, so that a call is paid once for all of them. */
#define MM_STRIP(tall, wide, by_column)                                                                      \
    static __attribute__((noinline)) void K(mm_strip_##tall##_##wide##_##by_column)(                         \
        const struct K(mm_job) * j, long row, long tiles)                                                    \
    {                                                                                                        \
        const long step = by_column ? tall : tall * j->ldx, down = j->turned ? tall : tall * j->ldc;         \
        const REAL *x = j->x + row * (by_column ? 1 : j->ldx);                                               \
        REAL *c = j->c + row * (j->turned ? 1 : j->ldc);                                                     \
        for (; tiles > 0; tiles--, x += step, c += down) {                                                   \
            if (MM_MASKED(j))                                                                                \
                K(mm_tile)(tall, wide, by_column, 1, j, x, j->y, c);                                         \
            else                                                                                             \
                K(mm_tile)(tall, wide, by_column, 0, j, x, j->y, c);                                         \
        }                                                                                                    \
    }
#define MM_BOTH(tall, wide) MM_STRIP(tall, wide, 0) MM_STRIP(tall, wide, 1)
#define MM_NAMES(tall, wide) {K(mm_strip_##tall##_##wide##_0), K(mm_strip_##tall##_##wide##_1)},
#define MM_1_TO_3(S, tall) S(tall, 1) S(tall, 2) S(tall, 3)
#define MM_1_TO_4(S, tall) MM_1_TO_3(S, tall) S(tall, 4)
#define MM_1_TO_6(S, tall) MM_1_TO_4(S, tall) S(tall, 5) S(tall, 6)
#define MM_1_TO_8(S, tall) MM_1_TO_6(S, tall) S(tall, 7) S(tall, 8)
#define MM_1_TO_12(S, tall) MM_1_TO_8(S, tall) S(tall, 9) S(tall, 10) S(tall, 11) S(tall, 12)
#if defined(VEC_512) || defined(__aarch64__)
#define MM_T(S) MM_1_TO_3(S, 8)
#define MM_4(S) MM_1_TO_6(S, 4)
#define MM_2(S) MM_1_TO_8(S, 2)
#define MM_1(S) MM_1_TO_12(S, 1)
#else
#define MM_T(S) S(6, 1) S(6, 2)
#define MM_4(S) MM_1_TO_3(S, 4)
#define MM_2(S) MM_1_TO_4(S, 2)
#define MM_1(S) MM_1_TO_8(S, 1)
#endif
MM_T(MM_BOTH)
MM_4(MM_BOTH)
MM_2(MM_BOTH)
MM_1(MM_BOTH)

typedef void K(mm_strip_fn)(const struct K(mm_job) *, long, long);
static K(mm_strip_fn) *const K(mm_strip_t)[][2] = {MM_T(MM_NAMES)};
static K(mm_strip_fn) *const K(mm_strip_4)[][2] = {MM_4(MM_NAMES)};
static K(mm_strip_fn) *const K(mm_strip_2)[][2] = {MM_2(MM_NAMES)};
static K(mm_strip_fn) *const K(mm_strip_1)[][2] = {MM_1(MM_NAMES)};

/* One row of C, n long. */
static void K(mm_shallow)(struct K(mm_job) * j, long n)
{
    const REAL *y = j->y;
    REAL *c = j->c;
    j->tail = W;
    for (; n >= 4 * W; n -= 4 * W, y += 4 * W, c += 4 * W)
        K(mm_tile)(1, 4, 1, 0, j, j->x, y, c);
    for (; n >= W; n -= W, y += W, c += W)
        K(mm_tile)(1, 1, 1, 0, j, j->x, y, c);
    if (n > 0) {
        j->tail = (int)n;
        K(mm_tile)(1, 1, 1, 1, j, j->x, y, c);
    }
}

/* Vectors that a tile of m rows may hold. */
static inline int K(mm_widest)(long m)
{
    return m >= MM_TALL ? MM_WIDE : m >= 4 ? MM_WIDE4 : m >= 2 ? MM_WIDE2 : MM_WIDE1;
}

/* m rows by tiles of `wide` vectors; wide <= mm_widest(m). */
VEC_FN void K(mm_rows)(const struct K(mm_job) * j, long m, int wide, int by_column)
{
    long row = 0;
    if (m >= MM_TALL) {
        const long tiles = m / MM_TALL;
        K(mm_strip_t)[wide - 1][by_column](j, 0, tiles);
        row = tiles * MM_TALL;
    }
    if (m - row >= 4) {
        K(mm_strip_4)[wide - 1][by_column](j, row, 1);
        row += 4;
    }
    if (m - row >= 2) {
        K(mm_strip_2)[wide - 1][by_column](j, row, 1);
        row += 2;
    }
    if (m - row >= 1)
        K(mm_strip_1)[wide - 1][by_column](j, row, 1);
}
#endif
