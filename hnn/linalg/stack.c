/* stack.c - Householder QR of [R; B], recursive inside a panel, matrix products outside.
 * Invariant: see stack.h. Source: Elmroth, Gustavson (2000), IBM J. Res. Dev. 44, 605-624 (recursion); Schreiber, Van Loan
 * (1989), SIAM J. Sci. Stat. Comput. 10, 53-57 (I - V T V'). */
/* SPDX-License-Identifier: MIT */
#include "stack.h"

#include <math.h>
#include <stdlib.h>

enum { LEAF = 8 };

int hnn_stack_width(int n) { return n >= 1536 ? 96 : 48; }

int hnn_stack_open(hnn_stack *s, const hnn_linalg_kernels *kernel, hnn_team *team, int n, long k)
{
    int nb = hnn_stack_width(n);
    size_t v = hnn_packed_size(k, nb, kernel->mr), vt = hnn_packed_size(nb, k, kernel->mr),
           t = hnn_packed_size(nb, nb, kernel->mr),
           w = (size_t)nb * (nb > HNN_STRIP ? (size_t)nb : HNN_STRIP);
    *s = (hnn_stack){.kernel = kernel, .team = team, .nb = nb, .k = k};
    s->scratch = aligned_alloc(
        64, (sizeof(double) * (v + vt + t + 2 * w * (size_t)hnn_team_size(team)) + 63) / 64 * 64);
    if (!s->scratch)
        return 0;
    s->packed_v = s->scratch;
    s->packed_vt = s->packed_v + v;
    s->packed_t = s->packed_vt + vt;
    s->w = s->packed_t + t;
    return 1;
}

void hnn_stack_close(hnn_stack *s) { free(s->scratch); }

double hnn_norm2(const hnn_linalg_kernels *kernel, long n, const double *x)
{
    double s = kernel->dot(n, x, x), most = 0;
    if (s > 1e-280 && s < 1e300)
        return sqrt(s);
    for (long i = 0; i < n; i++)
        most = fabs(x[i]) > most || isnan(x[i]) ? fabs(x[i]) : most;
    if (most == 0 || !isfinite(most))
        return most;
    int e;
    frexp(most, &e); /* a power of two: scaling does not round */
    s = 0;
    for (long i = 0; i < n; i++) {
        double y = ldexp(x[i], -e);
        s += y * y;
    }
    return ldexp(sqrt(s), e);
}

/* column j of the panel that begins at j0: its reflection, and T's column */
static void reflect(hnn_stack *s, long j0, long j)
{
    double *x = s->b + (size_t)j * s->ldb, *pivot = s->r + (size_t)j * (s->ldr + 1), *t = s->t;
    double alpha = *pivot, norm = hnn_norm2(s->kernel, s->k, x), tau = 0;
    if (norm > 0 || isnan(norm)) {
        double beta =
            alpha > 0 ? -hypot(alpha, norm) : hypot(alpha, norm); /* away from alpha: nothing cancels */
        tau = (beta - alpha) / beta;
        double scale = alpha - beta;
        for (long i = 0; i < s->k; i++)
            x[i] /= scale;
        *pivot = beta;
    }
    long c = j - j0;
    double *column = t + (size_t)c * (size_t)s->nb, h[LEAF];
    column[c] = tau;
    long first = c / LEAF * LEAF; /* of this leaf; the rest of T's column comes from the recursion */
    for (long i = first; i < c; i++)
        h[i - first] = s->kernel->dot(s->k, s->b + (size_t)(j0 + i) * s->ldb, x);
    for (long i = first; i < c; i++) {
        double sum = 0;
        for (long l = i; l < c; l++)
            sum += t[(size_t)i + (size_t)l * (size_t)s->nb] * h[l - first];
        column[i] = -tau * sum;
    }
}

static void leaf(hnn_stack *s, long j0, long from, int n)
{
    for (long j = from; j < from + n; j++) {
        reflect(s, j0, j);
        const double *v = s->b + (size_t)j * s->ldb;
        double tau = s->t[(size_t)(j - j0) * (size_t)(s->nb + 1)];
        for (long l = j + 1; l < from + n; l++) {
            double *x = s->b + (size_t)l * s->ldb, *top = s->r + (size_t)j + (size_t)l * s->ldr;
            double w = tau * (*top + s->kernel->dot(s->k, v, x));
            *top -= w;
            s->kernel->axpy(s->k, -w, v, x);
        }
    }
}

static void pack_reflections(hnn_stack *s, long j, const double *t, int n)
{
    const double *v = s->b + (size_t)j * s->ldb;
    s->kernel->pack(n, s->k, v, s->ldb, 1, s->packed_vt);
    s->kernel->pack(s->k, n, v, 1, s->ldb, s->packed_v);
    s->kernel->pack(n, n, t, (size_t)s->nb, 1, s->packed_t);
}

/* columns from .. from+count-1 times I - V T' V' of columns j .. j+n-1 */
static void apply(hnn_stack *s, long j, int n, long from, long count, double *w)
{
    const hnn_linalg_kernels *kernel = s->kernel;
    size_t nb = (size_t)s->nb;
    double *top = s->r + (size_t)j + (size_t)from * s->ldr, *bottom = s->b + (size_t)from * s->ldb;
    double *w2 = w + nb * (nb > HNN_STRIP ? nb : HNN_STRIP);
    kernel->gemm(n, count, s->k, s->packed_vt, bottom, s->ldb, 1, 0, w, nb);
    for (long c = 0; c < count; c++)
        for (long i = 0; i < n; i++)
            w[(size_t)i + (size_t)c * nb] += top[(size_t)i + (size_t)c * s->ldr];
    kernel->gemm(n, count, n, s->packed_t, w, nb, 1, 0, w2, nb);
    for (long c = 0; c < count; c++)
        for (long i = 0; i < n; i++)
            top[(size_t)i + (size_t)c * s->ldr] -= w2[(size_t)i + (size_t)c * nb];
    kernel->gemm(s->k, count, n, s->packed_v, w2, nb, -1, 1, bottom, s->ldb);
}

static void recurse(hnn_stack *s, long j0, long from, int n)
{
    if (n <= LEAF) {
        leaf(s, j0, from, n);
        return;
    }
    int n1 = (n / 2 + LEAF - 1) / LEAF * LEAF, n2 = n - n1;
    size_t nb = (size_t)s->nb, c = (size_t)(from - j0);
    double *t1 = s->t + c * (nb + 1), *t2 = t1 + (size_t)n1 * (nb + 1), *t12 = t1 + (size_t)n1 * nb;
    recurse(s, j0, from, n1);
    pack_reflections(s, from, t1, n1);
    apply(s, from, n1, from + n1, n2, s->w);
    recurse(s, j0, from + n1, n2);
    /* T12 = -T1 (V1' V2) T2; the identities in V1 and V2 do not meet */
    double *h = s->w, *h2 = s->w + nb * nb;
    s->kernel->pack(n1, s->k, s->b + (size_t)from * s->ldb, s->ldb, 1, s->packed_vt);
    s->kernel->gemm(n1, n2, s->k, s->packed_vt, s->b + (size_t)(from + n1) * s->ldb, s->ldb, 1, 0, h, nb);
    s->kernel->pack(n1, n1, t1, 1, nb, s->packed_t);
    s->kernel->gemm(n1, n2, n1, s->packed_t, h, nb, 1, 0, h2, nb);
    s->kernel->pack(n1, n2, h2, 1, nb, s->packed_t);
    s->kernel->gemm(n1, n2, n2, s->packed_t, t2, nb, -1, 0, t12, nb);
}

void hnn_stack_panel(hnn_stack *s, long j, int n)
{
    for (size_t i = 0; i < (size_t)s->nb * (size_t)s->nb; i++)
        s->t[i] = 0;
    recurse(s, j, j, n);
}

struct job {
    hnn_stack *s;
    long j, from, to;
    int n;
};

static void strip(void *shared, long task, int worker)
{
    const struct job *job = shared;
    hnn_stack *s = job->s;
    size_t nb = (size_t)s->nb;
    long from = job->from + task * HNN_STRIP, count = job->to - from < HNN_STRIP ? job->to - from : HNN_STRIP;
    apply(s, job->j, job->n, from, count, s->w + (size_t)worker * 2 * nb * (nb > HNN_STRIP ? nb : HNN_STRIP));
    if (s->norm2)
        for (long c = from; c < from + count; c++)
            s->norm2[c] = s->kernel->dot(s->k, s->b + (size_t)c * s->ldb, s->b + (size_t)c * s->ldb);
}

void hnn_stack_update(hnn_stack *s, long j, int n, long from, long to)
{
    if (from >= to)
        return;
    pack_reflections(s, j, s->t, n);
    hnn_team_run(s->team, (to - from + HNN_STRIP - 1) / HNN_STRIP, strip, &(struct job){s, j, from, to, n});
}

void hnn_stack_factor(hnn_stack *s, long n, long columns, double *t, int keep)
{
    for (long j = 0; j < n; j += s->nb) {
        int width = n - j < s->nb ? (int)(n - j) : s->nb;
        s->t = t + (keep ? (size_t)(j / s->nb) * (size_t)s->nb * (size_t)s->nb : 0);
        hnn_stack_panel(s, j, width);
        hnn_stack_update(s, j, width, j + width, columns);
    }
}
