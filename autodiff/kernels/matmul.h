/* matmul.h - products of dense row-major matrices: C = A B with either factor transposed.
 *
 * A template: include vec.h (or types and macros of the same names) and define K(name), then include
 * this once. Invariant, which every other file of the engine may lean on: an element of C is one
 * chain of fused multiply-adds over ascending k that begins at +0, or at C when `acc`. So its bits
 * depend neither on the path taken nor on tiles, threads, lanes or, with FMA in hardware, on the
 * instruction set. (Without FMA the chain multiplies, rounds and adds.) k is never split over lanes.
 *
 * What is called from outside, all static; lda, ldb, ldc are the distances between rows:
 *   matmul          any shape, either factor transposed (ta: A is [k,m]; tb: B is [n,k])
 *   matmul_pack     B once for many products; matmul_packed multiplies rows with it
 * A is never copied, B only where its columns are not vectors (tb), piece by piece on the stack. The
 * factors may overlap each other, not C. With a leading dimension of 2^p the rows of a tile fall into
 * the same sets of the cache: pad it. Source of the scheme: Goto and van de Geijn (2008), ACM TOMS 34,
 * article 12, without the copy of A.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_MATMUL_H
#define AD_KERNELS_MATMUL_H

#include <stddef.h>

/* Sums live in registers only if every loop over them is unrolled; the compilers spell it differently. AD_KERNELS_SMALL, for
 * builds under a sanitizer: no loop is, and one function serves every size of tile, which runs as fast there and
 * compiles in a third of the time. */
#if defined(AD_KERNELS_SMALL)
#define MM_UNROLL
#elif defined(__clang__)
#define MM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MM_UNROLL _Pragma("GCC unroll 16")
#endif
#define MM_EACH(i, n) MM_UNROLL for (int i = 0; i < (n); i++)
#if defined(AD_KERNELS_SMALL)
#define MM_TILE_FN static __attribute__((noinline))
#else
#define MM_TILE_FN VEC_FN
#endif

#include "matmul_pack.h"
#include "matmul_tile.h"

#include "matmul_dot.h" /* after the job of matmul_tile.h */

#define MM_FN static __attribute__((unused))

enum {
    MM_DEPTH = 256,                           /* of k between two visits of a tile of C */
    MM_DEPTH_DOWN = MM_TALL == 8 ? 192 : 128, /* the same where x is read down its columns */
    MM_BLOCK = 96,                            /* rows of A that stay in cache under all columns */
    MM_BUFFER = 24576 / sizeof(REAL) / W * W, /* a turned piece of B: most of the first-level cache */
    MM_TURN_COST = W >= 8 ? 2 : 1,            /* to turn an element, in lanes of FMA */
    MM_SHALLOW = 8,                           /* k of a row of C that is computed in one sweep */
    MM_TINY = 24,                             /* multiply-adds below which vectors do not pay */
};

/* n cut into pieces of at most `most` that differ by at most 1. Divides only where it must: a division
 * costs as much as a small product. */
struct K(mm_cut) {
    long parts, size, longer; /* the first `longer` pieces have size + 1 */
};
static inline struct K(mm_cut) K(mm_cut_up)(long n, long most)
{
    struct K(mm_cut) cut = {.parts = 1, .size = n, .longer = 0};
    if (n > most) {
        cut.parts = (n + most - 1) / most;
        cut.size = n / cut.parts;
        cut.longer = n - cut.size * cut.parts;
    }
    return cut;
}
static inline long K(mm_piece)(const struct K(mm_cut) * cut, long p) { return cut->size + (p < cut->longer); }
static inline long K(mm_vectors)(long n) { return (long)(((unsigned long)n + W - 1) / W); }

/* [m,n] += x[m,k] y[k,n], vectors along n. x is by_column ? [k,m] : [m,k]; y is turn ? [n,k] : [k,n];
 * turned: C is [n,m]. */
static void K(mm_product)(long m, long n, long k, const REAL *x, long ldx, int by_column, const REAL *y,
                          long ldy, int turn, REAL *c, long ldc, int turned, int acc)
{
#if defined(MM_TURN)
    if (turn && m <= MM_DOT_ROWS) {
        K(mm_dots)(m, n, k, x, ldx, by_column, y, ldy, c, ldc, turned, acc);
        return;
    }
#endif
    if (m == 1 && !turn && !turned && k <= MM_SHALLOW) {
        /* Little to do for a vector of C: many of them in one call. */
        struct K(mm_job)
            row = {.k = k, .ldx = by_column ? ldx : 1, .ldy = ldy, .x = x, .y = y, .c = c, .acc = acc};
        K(mm_shallow)(&row, n);
        return;
    }
    const int widest = K(mm_widest)(m);
    const struct K(mm_cut) panels = K(mm_cut_up)(K(mm_vectors)(n), widest);
    const struct K(mm_cut) depths = K(mm_cut_up)(k, turn        ? MM_BUFFER / (widest * W)
                                                    : by_column ? MM_DEPTH_DOWN
                                                                : MM_DEPTH);
    /* A turned piece serves all rows; otherwise rows go in blocks under all of the columns. */
    const long block = turn ? m : MM_BLOCK;
    struct K(mm_job) job = {.ldx = ldx, .ldc = ldc, .acc = acc, .turned = turned};
    for (long d = 0, depth0 = 0; d < depths.parts; d++, depth0 += job.k, job.acc = 1) {
        job.k = K(mm_piece)(&depths, d);
        for (long row = 0; row < m; row += block) {
            const long rows = m - row < block ? m - row : block;
            for (long p = 0, column = 0; p < panels.parts; p++) {
                REAL buffer[MM_BUFFER] __attribute__((aligned(64)));
                const int wide = (int)K(mm_piece)(&panels, p);
                const long left = n - column, columns = left < (long)wide * W ? left : (long)wide * W;
                job.x = x + (by_column ? depth0 * ldx + row : row * ldx + depth0);
                job.c = c + (turned ? column * ldc + row : row * ldc + column);
                job.tail = (int)(columns - (wide - 1) * W);
                if (turn) {
                    K(mm_pack)(job.k, columns, wide, y + column * ldy + depth0, ldy, 1, buffer);
                    job.y = buffer;
                    job.ldy = (long)wide * W;
                } else {
                    job.y = y + depth0 * ldy + column;
                    job.ldy = ldy;
                }
                K(mm_rows)(&job, rows, wide, by_column);
                column += columns;
            }
        }
    }
}

/* REALs that matmul_pack writes; the buffer is aligned to 64 bytes. */
MM_FN size_t K(matmul_pack_size)(long n, long k) { return (size_t)(K(mm_vectors)(n) * W) * (size_t)k; }

/* B [k,n], or [n,k] when tb, into panels of up to MM_WIDE vectors, each [k, its columns]. */
MM_FN void K(matmul_pack)(long n, long k, const REAL *b, long ldb, int tb, REAL *packed)
{
    const struct K(mm_cut) panels = K(mm_cut_up)(K(mm_vectors)(n), MM_WIDE);
    for (long p = 0, column = 0; p < panels.parts && column < n; p++) {
        const int wide = (int)K(mm_piece)(&panels, p);
        const long left = n - column, columns = left < (long)wide * W ? left : (long)wide * W;
        K(mm_pack)(k, columns, wide, b + (tb ? column * ldb : column), ldb, tb, packed + column * k);
        column += columns;
    }
}

/* C [m,n] (+)= A [m,k] times the packed B [k,n]. For fewer than about 8 rows matmul is the faster one. */
MM_FN void K(matmul_packed)(long m, long n, long k, const REAL *a, long lda, const REAL *packed, REAL *c,
                            long ldc, int acc)
{
    const struct K(mm_cut) panels = K(mm_cut_up)(K(mm_vectors)(n), MM_WIDE),
                           depths = K(mm_cut_up)(k, MM_DEPTH);
    struct K(mm_job) job = {.ldx = lda, .ldc = ldc};
    for (long row = 0; row < m; row += MM_BLOCK) {
        const long rows = m - row < MM_BLOCK ? m - row : MM_BLOCK;
        job.acc = acc;
        for (long d = 0, depth0 = 0; d < depths.parts; d++, depth0 += job.k, job.acc = 1) {
            job.k = K(mm_piece)(&depths, d);
            for (long p = 0, column = 0; p < panels.parts && column < n; p++) {
                const int wide = (int)K(mm_piece)(&panels, p);
                job.ldy = (long)wide * W;
                const long left = n - column, columns = left < job.ldy ? left : job.ldy;
                job.x = a + row * lda + depth0;
                job.y = packed + column * k + depth0 * job.ldy;
                job.c = c + row * ldc + column;
                job.tail = (int)(columns - (wide - 1) * W);
                K(mm_rows)(&job, rows, wide, 0);
                column += columns;
            }
        }
    }
}

#if defined(VEC_FMA1) && HAS_FMA
#define MM_FMA1(a, b, c) VEC_FMA1(a, b, c)
#else
#define MM_FMA1(a, b, c) ((a) * (b) + (c))
#endif
/* A handful of elements, without vectors. */
static void K(mm_tiny)(long m, long n, long k, const REAL *a, long ai, long ak, const REAL *b, long bk,
                       long bj, REAL *c, long ldc, int acc)
{
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            REAL s = acc ? c[i * ldc + j] : 0;
            for (long kk = 0; kk < k; kk++)
                s = MM_FMA1(a[i * ai + kk * ak], b[kk * bk + j * bj], s);
            c[i * ldc + j] = s;
        }
}

/* C [m,n] (+)= op(A) op(B), where op transposes if ta, tb. Only C's m n elements are touched, so threads may share C. */
static void K(matmul)(long m, long n, long k, const REAL *a, long lda, int ta, const REAL *b, long ldb,
                      int tb, REAL *c, long ldc, int acc)
{
    if (m <= 0 || n <= 0)
        return;
    if (m * n <= MM_TINY && m * n * k <= MM_TINY) {
        K(mm_tiny)(m, n, k, a, ta ? 1 : lda, ta ? lda : 1, b, tb ? 1 : ldb, tb ? ldb : 1, c, ldc, acc);
        return;
    }
    /* Vectors along the rows of C or down its columns: lanes of work for each k, more for an element
     * that must be turned in registers first, and the scattered stores. */
    const long along = K(mm_vectors)(n) * W * (m + (tb ? MM_TURN_COST : 0));
    const long down = K(mm_vectors)(m) * W * (n + (ta ? 0 : MM_TURN_COST)),
               scattered = ldc == 1 ? 0 : 4 * m * n * W;
    if (along <= down || (along - down) * (k + 1) <= scattered)
        K(mm_product)(m, n, k, a, lda, ta, b, ldb, tb, c, ldc, 0, acc);
    else /* C' = B' A'; a column without gaps is a row */
        K(mm_product)(n, m, k, b, ldb, !tb, a, lda, !ta, c, ldc, ldc != 1, acc);
}

#endif
