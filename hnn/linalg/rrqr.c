/* rrqr.c - the triangle R of least squares into a solution of least norm: pivots for a panel of columns at a time are
 * chosen on a small random sketch G R (all of R when it is small), then the panel is reduced by matrix products.
 * Invariant: the columns done span, to the tolerance, all that is larger than what is left; G is drawn from a fixed
 * stream, so the result is a function of R alone. Source: Duersch, Gu (2017); Golub, Van Loan (2013), 5.5.2. */
/* SPDX-License-Identifier: MIT */
#include "lsq.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MORE = 8 }; /* rows of the sketch beyond the width of a panel */

typedef struct rrqr {
    const hnn_lsq *s;
    hnn_stack stack;
    long n, columns, rows; /* rows of the sketch */
    size_t ld;
    double *b, *top, *y, *norm2, *scale, *t, *x;
    long *perm;
} rrqr;

static void swap_columns(double *a, size_t ld, long rows, long i, long j)
{
    double *x = a + (size_t)i * ld, *y = a + (size_t)j * ld;
    for (long k = 0; k < rows; k++) {
        double v = x[k];
        x[k] = y[k];
        y[k] = v;
    }
}

struct product {
    const rrqr *q;
    const double *packed;
};

static void sketch_strip(void *shared, long task, int worker)
{
    (void)worker;
    const struct product *p = shared;
    const rrqr *q = p->q;
    long from = task * HNN_STRIP, count = q->n - from < HNN_STRIP ? q->n - from : HNN_STRIP;
    q->stack.kernel->gemm(q->rows, count, q->n, p->packed, q->b + (size_t)from * q->ld, q->ld, 1, 0,
                          q->y + (size_t)(from * q->rows), (size_t)q->rows);
}

/* Y = G R, or R itself when it has no more rows */
static int sketch(rrqr *q)
{
    if (q->rows == q->n) {
        for (long j = 0; j < q->n; j++)
            memcpy(q->y + (size_t)(j * q->n), q->b + (size_t)j * q->ld, sizeof(double) * (size_t)q->n);
        return 1;
    }
    size_t size = (size_t)q->rows * (size_t)q->n;
    double *g = malloc(sizeof *g * (size + hnn_packed_size(q->rows, q->n, q->stack.kernel->mr)));
    if (!g)
        return 0;
    hnn_rng r = hnn_rng_stream(0x51ce7c4, HNN_RNG_SKETCH, 0);
    for (size_t i = 0; i < size; i++)
        g[i] = hnn_rng_normal(&r);
    q->stack.kernel->pack(q->rows, q->n, g, 1, (size_t)q->rows, g + size);
    hnn_team_run(q->s->team, (q->n + HNN_STRIP - 1) / HNN_STRIP, sketch_strip,
                 &(struct product){q, g + size});
    free(g);
    return 1;
}

/* QR with pivoting of the sketch's columns from j on, `width` steps; the same exchanges in everything else */
static void choose(rrqr *q, long j, long width)
{
    const hnn_linalg_kernels *kernel = q->stack.kernel;
    size_t rows = (size_t)q->rows;
    double *size2 = q->x;
    for (long c = j; c < q->n; c++)
        size2[c] = kernel->dot(q->rows, q->y + (size_t)c * rows, q->y + (size_t)c * rows);
    for (long step = 0; step < width && step < q->rows; step++) {
        long at = j + step, best = at;
        for (long c = at; c < q->n; c++)
            if (size2[c] > size2[best])
                best = c;
        if (best != at) {
            swap_columns(q->y, rows, q->rows, at, best);
            swap_columns(q->b, q->ld, q->n, at, best);
            swap_columns(q->top, q->ld, j, at, best);
            long p = q->perm[at];
            q->perm[at] = q->perm[best];
            q->perm[best] = p;
            size2[best] = size2[at];
        }
        double *v = q->y + (size_t)at * rows + step, alpha = v[0];
        long left = q->rows - step;
        double norm = hnn_norm2(kernel, left, v);
        if (!(norm > 0))
            return;
        double beta = alpha > 0 ? -norm : norm;
        for (long i = 1; i < left; i++)
            v[i] /= alpha - beta;
        v[0] = 1;
        double tau = (beta - alpha) / beta;
        for (long c = at + 1; c < q->n; c++) {
            double *x = q->y + (size_t)c * rows + step;
            kernel->axpy(left, -tau * kernel->dot(left, v, x), v, x);
            /* what is left of the column; computed again when most of it has gone */
            double less = size2[c] - x[0] * x[0];
            size2[c] = less > 1e-6 * size2[c] ? less : kernel->dot(left - 1, x + 1, x + 1);
        }
        v[0] = beta;
        for (long i = 1; i < left; i++)
            v[i] = 0;
    }
}

/* The sketch of what is left, without forming it again: with G R = (S11 S12; 0 S22) it is (S12 - S11 R11^-1 R12; S22). */
static void downdate(rrqr *q, long j, long width)
{
    long rest = q->n - j - width;
    size_t rows = (size_t)q->rows, w = (size_t)width;
    double *x = q->x, *packed = x + w * w; /* X R11 = S11, by columns */
    if (rest <= 0 || q->rows < width)
        return;
    for (long c = 0; c < width; c++) {
        const double *r = q->top + (size_t)j + (size_t)(j + c) * q->ld;
        for (long i = 0; i < width; i++) {
            double sum = q->y[(size_t)(j + c) * rows + (size_t)i];
            for (long l = 0; l < c; l++)
                sum -= x[(size_t)i + (size_t)l * w] * r[l];
            x[(size_t)i + (size_t)c * w] = r[c] != 0 ? sum / r[c] : 0;
        }
    }
    q->stack.kernel->pack(width, width, x, 1, w, packed);
    q->stack.kernel->gemm(width, rest, width, packed, q->top + (size_t)j + (size_t)(j + width) * q->ld, q->ld,
                          -1, 1, q->y + (size_t)(j + width) * rows, rows);
}

/* The factorisation, until nothing left is above the tolerance; returns the number of columns done. */
static long reduce(rrqr *q, double tolerance, double *largest)
{
    long j = 0;
    double most = 0;
    for (long c = 0; c < q->n; c++)
        most = fmax(most, q->norm2[c]);
    *largest = 0;
    while (j < q->n && most > 0) {
        long width = q->n - j < q->stack.nb ? q->n - j : q->stack.nb;
        choose(q, j, width);
        hnn_stack_panel(&q->stack, j, (int)width);
        hnn_stack_update(&q->stack, j, (int)width, j + width, q->columns);
        downdate(q, j, width);
        for (long i = j; i < j + width; i++)
            *largest = fmax(*largest, fabs(q->top[(size_t)i * (q->ld + 1)]));
        j += width;
        most = 0;
        for (long c = j; c < q->n; c++)
            most = fmax(most, q->norm2[c]);
        if (sqrt(most) <= tolerance * *largest)
            break;
    }
    return j;
}

/* y [n, nrhs] by columns, in pivoted order: least norm with R y = c for the first `rank` rows of R. */
static int least_norm(rrqr *q, long rank, double *y)
{
    long more = q->n - rank, nrhs = q->columns - q->n;
    size_t ldr = hnn_lsq_ld(rank), ldb = hnn_lsq_ld(more), nb = (size_t)hnn_stack_width((int)rank);
    size_t panels = ((size_t)rank + nb - 1) / nb;
    hnn_stack k = {0};
    const hnn_linalg_kernels *kernel = q->stack.kernel;
    double *r = calloc(ldr * (size_t)rank, sizeof *r), *b = malloc(sizeof *b * ldb * (size_t)rank);
    double *t = malloc(sizeof *t * nb * nb * panels), *w = malloc(2 * sizeof *w * nb);
    int ok = r && b && t && w && hnn_stack_open(&k, kernel, q->s->team, (int)rank, more);
    if (!ok)
        goto done;
    /* (R11 R12) y = c with rows and the first columns reversed, so that the transpose is a triangle over a block */
    for (long a = 0; a < rank; a++) {
        long j = rank - 1 - a;
        for (long c = a; c < rank; c++)
            r[(size_t)(rank - 1 - c) + (size_t)j * ldr] = q->top[(size_t)a + (size_t)c * q->ld];
        for (long c = 0; c < more; c++)
            b[(size_t)c + (size_t)j * ldb] = q->top[(size_t)a + (size_t)(rank + c) * q->ld];
    }
    k.r = r;
    k.b = b;
    k.ldr = ldr;
    k.ldb = ldb;
    hnn_stack_factor(&k, rank, rank, t, 1);
    for (long c = 0; c < nrhs; c++) {
        const double *rhs = q->top + (size_t)(q->n + c) * q->ld;
        double *z = y + (size_t)(c * q->n), *rest = z + rank;
        for (long j = 0; j < rank; j++)
            z[j] = (rhs[rank - 1 - j] - kernel->dot(j, r + (size_t)j * ldr, z)) / r[(size_t)j * (ldr + 1)];
        for (long i = 0; i < more; i++)
            rest[i] = 0;
        for (long p = (long)panels - 1; p >= 0; p--) {
            long j = p * (long)nb, width = rank - j < (long)nb ? rank - j : (long)nb;
            const double *tp = t + (size_t)p * nb * nb;
            for (long i = 0; i < width; i++)
                w[i] = z[j + i] + kernel->dot(more, b + (size_t)(j + i) * ldb, rest);
            for (long i = 0; i < width; i++) {
                double sum = 0;
                for (long l = i; l < width; l++)
                    sum += tp[(size_t)i + (size_t)l * nb] * w[l];
                w[(long)nb + i] = sum;
            }
            for (long i = 0; i < width; i++) {
                z[j + i] -= w[(long)nb + i];
                kernel->axpy(more, -w[(long)nb + i], b + (size_t)(j + i) * ldb, rest);
            }
        }
        for (long i = 0; 2 * i < rank - 1; i++) { /* back into the order of the pivots */
            double v = z[i];
            z[i] = z[rank - 1 - i];
            z[rank - 1 - i] = v;
        }
    }
done:
    hnn_stack_close(&k);
    free(r), free(b), free(t), free(w);
    return ok;
}

static void back_substitute(rrqr *q, double *y)
{
    for (long c = 0; c < q->columns - q->n; c++) {
        double *z = y + (size_t)(c * q->n);
        memcpy(z, q->top + (size_t)(q->n + c) * q->ld, sizeof(double) * (size_t)q->n);
        for (long j = q->n - 1; j >= 0; j--) {
            z[j] /= q->top[(size_t)j * (q->ld + 1)];
            q->stack.kernel->axpy(j, -z[j], q->top + (size_t)j * q->ld, z);
        }
    }
}

int hnn_rrqr_solve(const hnn_lsq *s, const hnn_lsq_options *o, double x[], hnn_lsq_info *info, hnn_error *e)
{
    rrqr q = {.s = s, .n = s->n, .columns = s->n + s->nrhs, .ld = s->ld};
    long nb = hnn_stack_width(s->n);
    q.rows = nb + MORE < q.n ? nb + MORE : q.n;
    size_t all = q.ld * (size_t)q.columns, n = (size_t)q.n;
    size_t scratch = (size_t)nb * (size_t)nb + hnn_packed_size(nb, nb, 32);
    double *y = NULL;
    q.b = malloc(sizeof *q.b * all);
    q.top = calloc(all, sizeof *q.top);
    q.y = malloc(sizeof *q.y * (size_t)q.rows * n);
    q.norm2 = malloc(sizeof *q.norm2 * (size_t)q.columns);
    q.scale = malloc(sizeof *q.scale * n);
    q.perm = malloc(sizeof *q.perm * n);
    q.t = malloc(sizeof *q.t * (size_t)(nb * nb));
    q.x = malloc(sizeof *q.x * (scratch > n ? scratch : n));
    y = malloc(sizeof *y * n * (size_t)s->nrhs);
    int ok = q.b && q.top && q.y && q.norm2 && q.scale && q.perm && q.t && q.x && y &&
             hnn_stack_open(&q.stack, s->stack.kernel, s->team, s->n, s->n);
    if (!ok)
        goto done;
    memcpy(q.b, s->r, sizeof *q.b * all);
    int exponent =
        0; /* of the largest column: R is scaled to 1, so that squares neither overflow nor vanish */
    double most = 0;
    for (long j = 0; j < q.n; j++)
        most = fmax(most, q.norm2[j] = hnn_norm2(s->stack.kernel, j + 1, q.b + (size_t)j * q.ld));
    frexp(most, &exponent);
    for (long j = 0; j < q.n; j++) {
        double *c = q.b + (size_t)j * q.ld, norm = ldexp(q.norm2[j], -exponent);
        for (long i = j + 1; i < q.n; i++)
            c[i] = 0;
        q.perm[j] = j;
        q.scale[j] = o->scale && norm > 0 ? norm : 1;
        for (long i = 0; i <= j; i++)
            c[i] = ldexp(c[i], -exponent) / q.scale[j];
        q.norm2[j] = o->scale ? norm > 0 : norm * norm;
    }
    q.stack.r = q.top;
    q.stack.b = q.b;
    q.stack.ldr = q.stack.ldb = q.ld;
    q.stack.k = q.n;
    q.stack.t = q.t;
    q.stack.norm2 = q.norm2;
    if (!(ok = sketch(&q)))
        goto done;
    long done = reduce(&q, o->tolerance, &info->largest), rank = 0;
    for (long i = 0; i < done; i++)
        if (fabs(q.top[(size_t)i * (q.ld + 1)]) > o->tolerance * info->largest)
            rank = i + 1;
    info->rank = (int)rank;
    info->smallest = rank ? INFINITY : 0;
    for (long i = 0; i < rank; i++)
        info->smallest = fmin(info->smallest, fabs(q.top[(size_t)i * (q.ld + 1)]));
    for (long c = q.n; c < q.columns; c++) {
        info->residual = hypot(info->residual, hnn_norm2(s->stack.kernel, q.n, q.b + (size_t)c * q.ld));
        info->residual = hypot(
            info->residual, hnn_norm2(s->stack.kernel, done - rank, q.top + (size_t)rank + (size_t)c * q.ld));
    }
    if (rank == q.n)
        back_substitute(&q, y);
    else if (rank > 0)
        ok = least_norm(&q, rank, y);
    for (long j = 0; ok && j < q.n; j++)
        for (long c = 0; c < s->nrhs; c++)
            x[(size_t)q.perm[j] * (size_t)s->nrhs + (size_t)c] =
                rank ? ldexp(y[(size_t)(c * q.n + j)] / q.scale[q.perm[j]], -exponent) : 0;
    info->largest = ldexp(info->largest, exponent);
    info->smallest = ldexp(info->smallest, exponent);
done:
    hnn_stack_close(&q.stack);
    free(q.b), free(q.top), free(q.y), free(q.norm2), free(q.scale), free(q.perm), free(q.t), free(q.x),
        free(y);
    return ok ? HNN_OK
              : hnn_fail(e, HNN_EMEM, "out of memory for the solution of least squares with %d unknowns",
                         s->n);
}
