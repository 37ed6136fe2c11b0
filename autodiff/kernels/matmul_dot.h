/* matmul_dot.h - a few rows times the transpose of a matrix: blocks are turned in registers and used.
 *
 * Included by matmul.h. C[r,l] += x[r,kk] y[l,kk] for few r: y is read once, so that a copy of it would
 * cost more than the products. Vectors run over l. Invariant: as in matmul_tile.h.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_MATMUL_DOT_H
#define AD_KERNELS_MATMUL_DOT_H

#if defined(MM_TURN)
enum { MM_DOT_ROWS = 4 };
/* Vectors side by side for one row: their chains hide each other's latency. */
#if VBYTES == 64
enum { MM_DOT_WIDE = 2 };
#else
enum { MM_DOT_WIDE = 4 };
#endif

/* tall rows of x, wide vectors of l; one vector with job.tail lanes if `part`. */
MM_TILE_FN void K(mm_dot_tile)(const int tall, const int wide, const int part, const struct K(mm_job) * j,
                               const REAL *y, REAL *c)
{
    const long k = j->k, ldx = j->ldx, ldy = j->ldy;
    const REAL *x = j->x;
    const int lanes = part ? j->tail : wide * W;
    const long down = j->turned ? 1 : j->ldc, along = j->turned ? j->ldc : 1;
    REAL sums[4 * 4 * W];
    V s[4][4], t[W];
    long at[W], kk = 0;
    for (int r = 0; r < tall; r++)
        for (int l = 0; l < wide * W; l++)
            sums[r * wide * W + l] = j->acc && l < lanes ? c[r * down + l * along] : 0;
    MM_EACH(r, tall) MM_EACH(v, wide) s[r][v] = V_LOAD(sums + (r * wide + v) * W);
    for (int l = 0; l < W; l++) /* lanes past the end repeat the last row and are dropped */
        at[l] = (part && l >= lanes ? lanes - 1 : l) * ldy;
    for (; kk + W <= k; kk += W) {
        MM_EACH(v, wide)
        {
            if (part) {
                MM_EACH(l, W) t[l] = V_LOAD(y + at[l] + kk);
                K(mm_turn)(t);
            } else
                K(mm_load_turned)(y + v * W * ldy + kk, ldy, t);
            MM_EACH(l, W) MM_EACH(r, tall) s[r][v] = FMA(V_SET1(x[r * ldx + kk + l]), t[l], s[r][v]);
        }
    }
    if (kk < k) {
        const int n = (int)(k - kk);
        MM_EACH(v, wide)
        {
            MM_EACH(l, W) t[l] = V_LOADN(y + v * W * ldy + at[l] + kk, n);
            K(mm_turn)(t);
            MM_EACH(l, W - 1)
            {
                if (l >= n)
                    break;
                MM_EACH(r, tall) s[r][v] = FMA(V_SET1(x[r * ldx + kk + l]), t[l], s[r][v]);
            }
        }
    }
    MM_EACH(r, tall) MM_EACH(v, wide) V_STORE(sums + (r * wide + v) * W, s[r][v]);
    for (int l = 0; l < lanes; l++)
        for (int r = 0; r < tall; r++)
            c[r * down + l * along] = sums[r * wide * W + l];
}

/* `n` columns of C with `tall` rows. */
#define MM_DOT(tall, wide)                                                                                   \
    static void K(mm_dot_##tall)(const struct K(mm_job) * j, long n)                                         \
    {                                                                                                        \
        const long along = j->turned ? j->ldc : 1;                                                           \
        long l = 0;                                                                                          \
        for (; l + wide * W <= n; l += wide * W)                                                             \
            K(mm_dot_tile)(tall, wide, 0, j, j->y + l * j->ldy, j->c + l * along);                           \
        for (; l + W <= n; l += W)                                                                           \
            K(mm_dot_tile)(tall, 1, 0, j, j->y + l * j->ldy, j->c + l * along);                              \
        if (l < n)                                                                                           \
            K(mm_dot_tile)(tall, 1, 1, j, j->y + l * j->ldy, j->c + l * along);                              \
    }
MM_DOT(1, MM_DOT_WIDE)
MM_DOT(2, 2)
MM_DOT(3, 1)
MM_DOT(4, 1)

/* C [m,n] (or its transpose, when turned) += x y', y [n,k]; m <= MM_DOT_ROWS. A column-wise x is copied. */
static void K(mm_dots)(long m, long n, long k, const REAL *x, long ldx, int by_column, const REAL *y,
                       long ldy, REAL *c, long ldc, int turned, int acc)
{
    enum { MOST = 512 };
    REAL copy[MM_DOT_ROWS * MOST];
    struct K(mm_job) j = {.ldx = ldx, .ldy = ldy, .ldc = ldc, .c = c, .turned = turned, .acc = acc};
    const int copied = by_column && (ldx != 1 || m > 1);
    long k0 = 0;
    j.tail = (int)(n % W);
    do {
        j.k = copied && k - k0 > MOST ? MOST : k - k0;
        j.x = x + k0;
        j.y = y + k0;
        if (copied) {
            for (long r = 0; r < m; r++)
                for (long kk = 0; kk < j.k; kk++)
                    copy[r * MOST + kk] = x[(k0 + kk) * ldx + r];
            j.x = copy;
            j.ldx = MOST;
        }
        switch (m) {
        case 1:
            K(mm_dot_1)(&j, n);
            break;
        case 2:
            K(mm_dot_2)(&j, n);
            break;
        case 3:
            K(mm_dot_3)(&j, n);
            break;
        default:
            K(mm_dot_4)(&j, n);
        }
        k0 += j.k;
        j.acc = 1;
    } while (k0 < k);
}
#endif
#endif
