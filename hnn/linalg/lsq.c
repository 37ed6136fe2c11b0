/* lsq.c - least squares from rows in any number of pieces: the flat tree. Invariant: the state is R and Q'B of all rows but
 * the last few, which wait until a block of BLOCK is full; blocks are cut by row number, not by call. */
/* SPDX-License-Identifier: MIT */
#include "lsq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

void hnn_lsq_free(hnn_lsq *s)
{
    if (!s)
        return;
    hnn_team_free(s->team);
    hnn_stack_close(&s->stack);
    free(s->r);
    free(s->block);
    free(s->t);
    free(s);
}

hnn_lsq *hnn_lsq_new(int n, int nrhs, int threads, hnn_error *e)
{
    if (n < 1 || nrhs < 1 || threads < 0) {
        hnn_fail(e, HNN_EARG,
                 "least squares: %d unknowns, %d right-hand sides, %d threads; needed: at least 1, 1, 0", n,
                 nrhs, threads);
        return NULL;
    }
    hnn_lsq *s = calloc(1, sizeof *s);
    if (!s)
        goto memory;
    s->n = n;
    s->nrhs = nrhs;
    s->ld = hnn_lsq_ld(n);
    size_t columns = (size_t)n + (size_t)nrhs, nb = (size_t)hnn_stack_width(n);
    s->team = hnn_team_new(threads);
    s->r = calloc(s->ld * columns, sizeof *s->r);
    s->block = malloc(sizeof *s->block * hnn_lsq_ld(BLOCK) * columns);
    s->t = malloc(sizeof *s->t * nb * nb);
    if (!s->team || !s->r || !s->block || !s->t ||
        !hnn_stack_open(&s->stack, hnn_linalg_kernels_here(), s->team, n, BLOCK))
        goto memory;
    return s;
memory:
    hnn_lsq_free(s);
    hnn_fail(e, HNN_EMEM, "out of memory for least squares with %d unknowns", n);
    return NULL;
}

static void fold(hnn_lsq *s)
{
    size_t ldb = hnn_lsq_ld(BLOCK);
    if (!s->filled)
        return;
    s->stack.k = s->filled;
    s->stack.r = s->r;
    s->stack.ldr = s->ld;
    s->stack.b = s->block;
    s->stack.ldb = ldb;
    hnn_stack_factor(&s->stack, s->n, s->n + s->nrhs, s->t, 0);
    for (int j = 0; j < s->nrhs; j++)
        s->residual =
            hypot(s->residual, hnn_norm2(s->stack.kernel, s->filled, s->block + (size_t)(s->n + j) * ldb));
    s->filled = 0;
}

int hnn_lsq_rows(hnn_lsq *s, long rows, const double a[], const double b[], hnn_error *e)
{
    for (long i = 0; i < rows; i++)
        for (int part = 0; part < 2; part++) {
            int n = part ? s->nrhs : s->n;
            const double *x = (part ? b : a) + (size_t)i * (size_t)n;
            double zero = 0; /* x * 0 is NaN for what is not finite */
            for (int j = 0; j < n; j++)
                zero += x[j] * 0;
            if (!(zero == 0))
                return hnn_fail(e, HNN_EARG, "least squares: row %ld has a %s that is not finite",
                                s->rows + i + 1, part ? "right-hand side" : "coefficient");
        }
    size_t ldb = hnn_lsq_ld(BLOCK);
    while (rows > 0) {
        long take = BLOCK - s->filled < rows ? BLOCK - s->filled : rows;
        for (long i0 = 0; i0 < take;
             i0 += 16) /* a few rows at a time, so that the lines written stay in cache */
            for (int j = 0; j < s->n + s->nrhs; j++)
                for (long i = i0; i < take && i < i0 + 16; i++)
                    s->block[(size_t)j * ldb + (size_t)(s->filled + i)] =
                        j < s->n ? a[(size_t)i * (size_t)s->n + (size_t)j]
                                 : b[(size_t)i * (size_t)s->nrhs + (size_t)(j - s->n)];
        s->filled += take;
        s->rows += take;
        rows -= take;
        a += (size_t)take * (size_t)s->n;
        b += (size_t)take * (size_t)s->nrhs;
        if (s->filled == BLOCK)
            fold(s);
    }
    return HNN_OK;
}

void hnn_lsq_triangle(hnn_lsq *s, double r[])
{
    fold(s);
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < s->n; j++)
            r[(size_t)i * (size_t)s->n + (size_t)j] = j < i ? 0 : s->r[(size_t)i + (size_t)j * s->ld];
}

int hnn_lsq_solve(hnn_lsq *s, const hnn_lsq_options *o, double x[], hnn_lsq_info *info, hnn_error *e)
{
    hnn_lsq_options options = o ? *o : (hnn_lsq_options){0};
    hnn_lsq_info found = {0};
    if (!(options.tolerance >= 0 && options.tolerance < 1))
        return hnn_fail(e, HNN_EARG, "least squares: the tolerance is %g, needed: 0 <= tolerance < 1",
                        options.tolerance);
    if (!s->rows)
        return hnn_fail(e, HNN_EARG, "least squares: %d unknowns and no rows", s->n);
    fold(s);
    if (options.tolerance == 0)
        options.tolerance = (double)(s->rows > s->n ? s->rows : s->n) * 0x1p-52;
    found.rows = s->rows;
    int code = hnn_rrqr_solve(s, &options, x, &found, e);
    found.residual = hypot(found.residual, s->residual);
    if (code == HNN_OK) {
        double zero = found.residual * 0;
        for (size_t i = 0; i < (size_t)s->n * (size_t)s->nrhs; i++)
            zero += x[i] * 0;
        if (!(zero == 0))
            code = hnn_fail(e, HNN_EARG,
                            "least squares: the numbers are too large or too small, something overflowed");
    }
    if (info)
        *info = found;
    return code;
}

int hnn_lstsq(long m, int n, int nrhs, const double a[], const double b[], const hnn_lsq_options *o,
              int threads, double x[], hnn_lsq_info *info, hnn_error *e)
{
    hnn_lsq *s = hnn_lsq_new(n, nrhs, threads, e);
    if (!s)
        return e ? e->code : HNN_EMEM;
    int code = hnn_lsq_rows(s, m, a, b, e);
    if (code == HNN_OK)
        code = hnn_lsq_solve(s, o, x, info, e);
    hnn_lsq_free(s);
    return code;
}
