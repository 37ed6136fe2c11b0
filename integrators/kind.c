/* kind.c - what a recorded H is made of: T(p) + V(q, t) or not, T quadratic or not.
 * Invariant: a kind is claimed only when no path on the tape contradicts it, so it holds at every point. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "recorded.h"

/* H = T(p) + V(q, t) exactly when dHdp depends neither on q nor on t, and T is quadratic when the first derivative of dHdp does
 * not depend on p. Which input a value depends on is read from the tape: the pattern of a sparse derivative has an
 * entry for every path, whatever travels on it. One number, w dHdp or w (dHdp)' v, stands for all. */
typedef struct {
    ad_tape *tape;
    ad_var q, p, t, dHdp, *in; /* in: q, p; t; parameters */
    int n, timed;
} copy;

/* The recorded function called for one row, on a tape of its own. */
static int copied(const ode_recorded *r, copy *c)
{
    ad_tape *t = c->tape = ad_new();
    int m = r->half, n = 0, k = 0;
    ad_var *given = malloc((size_t)(3 + r->params) * sizeof *given), H;
    c->in = malloc((size_t)(3 + r->params) * sizeof *c->in);
    if (t && given && c->in) {
        c->q = c->in[n++] = ad_input(t, "q", 1, m), c->p = c->in[n++] = ad_input(t, "p", 1, m);
        if (r->split)
            given[k++] = c->q, given[k++] = c->p;
        else
            given[k++] = ad_concat_cols(2, (ad_var[]){c->q, c->p});
        if ((c->timed = r->timed != 0))
            c->t = given[k++] = c->in[n++] = ad_input(t, "t", 1, 1);
        for (int i = 0; i < r->params; i++)
            given[k++] = c->in[n++] = ad_input(t, ad_name(r->param[i]), r->each[i] ? 1 : ad_rows(r->param[i]),
                                               ad_cols(r->param[i]));
        c->n = n;
        ad_call(t, r->source, given, &H);
        c->dHdp = ad_grad(H, c->p);
    }
    free(given);
    return t && c->in && given;
}

/* 1 when the number f has no path to x. */
static int free_of(ad_var f, ad_var x)
{
    int nnz = 0, *row = NULL, *col = NULL;
    ad_jacobian_sparse(f, x, &nnz, &row, &col);
    free(row), free(col);
    return nnz == 0;
}
static unsigned structure(const copy *c)
{
    int m = ad_cols(c->p);
    ad_var v = ad_input(c->tape, "v", 1, m), w = ad_input(c->tape, "w", 1, m), first;
    ad_jvp(1, &c->dHdp, 1, &c->p, &v, &first);
    int split = free_of(ad_dot(w, c->dHdp), c->q) && (!c->timed || free_of(ad_dot(w, c->dHdp), c->t)),
        quadratic = free_of(ad_dot(w, first), c->p);
    return ad_status(c->tape) || !split ? 0 : ODE_SEPARABLE | (quadratic ? ODE_QUADRATIC_T : 0);
}

/* A comparison has no derivative: by it H may choose one T or another, and no path says so. Then dHdp changes with q (or t), and an H
 * that is T(p) + V(q, t) gives the same bits wherever q is; asked at points farther and farther away. */
enum { POINTS = 6, PLACES = 4 };
static double
generic(uint64_t *x) /* in (-1, 1) but for 0: Marsaglia (2003), xorshift, J. Stat. Softw. 8 (14) */
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return (double)(*x >> 11 | 1) * 0x1p-52 - 1;
}
static int same_wherever(const ode_recorded *r, const copy *c, ad_work *work, const void **in, double *room)
{
    int m = r->half, n = 0;
    double *q = room, *t = q + m, *p = t + 1, *at = p + m;
    uint64_t x = 88172645463325252u;
    in[n++] = q, in[n++] = p;
    if (c->timed)
        in[n++] = t;
    for (int i = 0; i < r->params; at += r->shape[i++])
        in[n++] = at;
    double *first = at, *other = first + m;
    for (int k = 0; k < POINTS; k++) {
        int known = 0;
        for (double *v = p; v < first;
             v++) /* parameters of either sign: a mass may have to be positive, but not everywhere */
            *v = v < p + m || k >= POINTS / 2 ? generic(&x) : 1 + generic(&x) / 2;
        double scale = 1;
        for (int j = 0; j < PLACES; j++, scale *= 8) {
            double sum = 0;
            for (double *v = q; v < p; v++)
                *v = scale * generic(&x);
            if (ad_run(work, 1, in, (void *[]){other}))
                continue;
            for (int i = 0; i < m; i++)
                sum += other[i] * 0.0;
            if (sum != 0) /* H is not defined there */
                continue;
            for (int i = 0; known && i < m; i++)
                if (other[i] != first[i])
                    return 0;
            memcpy(first, other, (size_t)m * sizeof *first);
            known = 1;
        }
    }
    return 1;
}

unsigned ode_recorded_kind(ode_recorded *r)
{
    copy c = {0};
    unsigned kind = 0;
    int no_memory = !copied(r, &c);
    if (!no_memory && !ad_status(c.tape) && (kind = structure(&c))) {
        size_t size = 4 * (size_t)r->half + 1;
        for (int i = 0; i < r->params; i++)
            size += (size_t)r->shape[i];
        ad_program *p = ad_compile(c.tape, c.n, c.in, 1, &c.dHdp, NULL);
        ad_work *work = p ? ad_work_new(p, NULL) : NULL;
        double *room = malloc(size * sizeof *room);
        const void **in = malloc((size_t)c.n * sizeof *in);
        no_memory = !work || !room || !in;
        if (!no_memory && !same_wherever(r, &c, work, in, room))
            kind = 0;
        free(room), free(in);
        ad_work_free(work), ad_program_free(p);
    }
    /* any other status: a callback without a pullback, say; then nothing is known */
    if (no_memory || ad_status(c.tape) == AD_ENOMEM)
        ode_recorded_fail(r, ODE_EMEMORY, "ode_recorded_new: out of memory");
    free(c.in);
    ad_free(c.tape);
    return kind;
}
