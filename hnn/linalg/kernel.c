/* kernel.c - one object per instruction set; the build gives HNN_LINALG_ISA. A register tile of C takes MR rows (MV
 * vectors) and NR columns; A is packed so that a tile reads it in order, B is read where it is.
 * Invariant: an element of C gets one chain of fused multiply-adds per chunk of HNN_KC, from zero, whatever tile it is in.
 * Source of the scheme: Goto, van de Geijn (2008), ACM Trans. Math. Softw. 34, 12. */
/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include "simd.h"

#if W == 8
enum { MV = 3, NR = 8 };
#elif W == 4
enum { MV = 3, NR = 4 };
#else
enum { MV = 2, NR = 4 };
#endif
enum { MR = MV * W, MC = 192 / MR * MR, CHAINS = 32 };

static void pack(long m, long k, const double *a, size_t row, size_t col, double *packed)
{
    for (long p0 = 0; p0 < k; p0 += HNN_KC) {
        long kc = k - p0 < HNN_KC ? k - p0 : HNN_KC;
        for (long i0 = 0; i0 < m; i0 += MR) {
            long rows = m - i0 < MR ? m - i0 : MR;
            const double *from = a + (size_t)i0 * row + (size_t)p0 * col;
            if (row == 1 || rows < MR) {
                for (long p = 0; p < kc; p++, packed += MR)
                    for (long i = 0; i < MR; i++)
                        packed[i] = i < rows ? from[(size_t)i * row + (size_t)p * col] : 0;
            } else { /* reads along the columns of the source */
                for (long i = 0; i < MR; i++)
                    for (long p = 0; p < kc; p++)
                        packed[p * MR + i] = from[(size_t)i * row + (size_t)p * col];
                packed += kc * MR;
            }
        }
    }
}

/* c [MR, NR] = c + sign A B or sign A B over kc */
FN void tile(long kc, const double *a, const double *b, size_t ldb, double sign, int add, double *c,
             size_t ldc)
{
    V acc[NR][MV];
    UNROLL for (int j = 0; j < NR; j++)
    {
        UNROLL for (int i = 0; i < MV; i++) { acc[j][i] = SET1(0); }
    }
    for (long p = 0; p < kc; p++, a += MR) {
        V x[MV];
        UNROLL for (int i = 0; i < MV; i++) { x[i] = LOAD(a + i * W); }
        UNROLL for (int j = 0; j < NR; j++)
        {
            V y = SET1(b[(size_t)p + (size_t)j * ldb]);
            UNROLL for (int i = 0; i < MV; i++) { acc[j][i] = FMA(x[i], y, acc[j][i]); }
        }
    }
    V s = SET1(sign);
    UNROLL for (int j = 0; j < NR; j++)
    {
        UNROLL for (int i = 0; i < MV; i++)
        {
            double *to = c + (size_t)j * ldc + i * W;
            STORE(to, add ? LOAD(to) + s * acc[j][i] : s * acc[j][i]);
        }
    }
}

static void gemm(long m, long n, long k, const double *packed, const double *b, size_t ldb, double sign,
                 int add, double *c, size_t ldc)
{
    double edge[MR * NR], last[HNN_KC * NR];
    long padded = (m + MR - 1) / MR * MR;
    for (long p0 = 0; p0 < k || p0 == 0; p0 += HNN_KC) {
        long kc = k - p0 < HNN_KC ? k - p0 : HNN_KC;
        for (long i0 = 0; i0 < m; i0 += MC)
            for (long j = 0; j < n; j += NR) {
                const double *bj = b + (size_t)p0 + (size_t)j * ldb;
                size_t step = ldb;
                long cols = n - j < NR ? n - j : NR;
                if (cols < NR) {
                    for (long q = 0; q < NR; q++)
                        for (long p = 0; p < kc; p++)
                            last[q * HNN_KC + p] = q < cols ? bj[(size_t)p + (size_t)q * ldb] : 0;
                    bj = last;
                    step = HNN_KC;
                }
                for (long i = i0; i < m && i < i0 + MC; i += MR) {
                    const double *a = packed + p0 * padded + i * kc;
                    double *to = c + (size_t)i + (size_t)j * ldc;
                    if (cols == NR && m - i >= MR) {
                        tile(kc, a, bj, step, sign, add || p0, to, ldc);
                        continue;
                    }
                    long rows = m - i < MR ? m - i : MR;
                    tile(kc, a, bj, step, sign, 0, edge, MR);
                    for (long q = 0; q < cols; q++)
                        for (long r = 0; r < rows; r++) {
                            double v = edge[q * MR + r];
                            to[(size_t)r + (size_t)q * ldc] =
                                add || p0 ? to[(size_t)r + (size_t)q * ldc] + v : v;
                        }
                }
            }
    }
}

FN double tree(const V acc[CHAINS / W])
{
    double s[CHAINS];
    for (int i = 0; i < CHAINS / W; i++)
        STORE(s + i * W, acc[i]);
    for (int half = CHAINS / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            s[i] += s[i + half];
    return s[0];
}

static double dot(long n, const double *x, const double *y)
{
    V acc[CHAINS / W];
    double tail[2][CHAINS] = {{0}};
    UNROLL for (int i = 0; i < CHAINS / W; i++) { acc[i] = SET1(0); }
    long k = 0;
    for (; k + CHAINS <= n; k += CHAINS) {
        UNROLL for (int i = 0; i < CHAINS / W; i++)
        {
            acc[i] = FMA(LOAD(x + k + i * W), LOAD(y + k + i * W), acc[i]);
        }
    }
    if (k < n) {
        for (long i = 0; k + i < n; i++)
            tail[0][i] = x[k + i], tail[1][i] = y[k + i];
        UNROLL for (int i = 0; i < CHAINS / W; i++)
        {
            acc[i] = FMA(LOAD(tail[0] + i * W), LOAD(tail[1] + i * W), acc[i]);
        }
    }
    return tree(acc);
}

static void axpy(long n, double a, const double *x, double *y)
{
    V s = SET1(a);
    long k = 0;
    for (; k + W <= n; k += W)
        STORE(y + k, FMA(s, LOAD(x + k), LOAD(y + k)));
    for (; k < n; k++)
        y[k] = FMA1(a, x[k], y[k]);
}

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define STRING2(x) #x
#define STRING(x) STRING2(x)
extern HNN_HIDDEN const hnn_linalg_kernels PASTE(hnn_linalg_kernels_, HNN_LINALG_ISA);
const hnn_linalg_kernels PASTE(hnn_linalg_kernels_, HNN_LINALG_ISA) = {
    .isa = STRING(HNN_LINALG_ISA), .mr = MR, .pack = pack, .gemm = gemm, .dot = dot, .axpy = axpy};
