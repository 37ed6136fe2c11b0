/* trace.h - private: the abstract space on tape variables, shared by trace*.c.
 * Invariant: a slot is values on the tape, never overwritten. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_TRACE_H
#define ODE_TRACE_H

#include "recorded.h"

typedef struct {
    ad_var part[2]; /* q, p of a canonical state; else y, nothing */
    int minus;      /* 1: part[1] is minus the value, as dH/dq is: adding it subtracts */
} state;
/* What a function recorded on a tape of its own reads from outside: an input for each value, made when it is first read. */
typedef struct {
    ad_var *outer, *inner;
    int n, room;
} reading;
typedef struct {
    ode_space base;
    ad_tape *tape;    /* where operations record */
    reading *outside; /* while a residual is recorded, else NULL */
    ode_recorded *r;
    const ad_func *const *fn; /* by what they give */
    const ad_var *param;
    ad_var t, h, *reg, *args;
    state *slot;
    int compensate; /* slot 0 is summed with what it lost before */
    ad_var carry[2];
    int64_t fields;     /* evaluations so far */
    int64_t iterations; /* sweeps */
    int parts, slots, regs;
    int sweeps;     /* of a solve; 0: a root */
    double allowed; /* of the last one's change */
    ad_var worst;   /* with sweeps: the largest excess of a last change so far */
} ode_trace;

static inline int n_of(const ode_trace *d) { return d->parts == 2 ? d->base.half : d->base.size; }
/* The parts an operation touches: from, to. */
static inline int from(const ode_trace *d, int part) { return d->parts == 2 && part == ODE_P; }
static inline int to(const ode_trace *d, int part) { return d->parts == 2 && part != ODE_Q ? 2 : 1; }
/* v on the tape that operations record on. */
ODE_HIDDEN ad_var ode_trace_here(ode_trace *d, ad_var v);
/* A part of a slot, with its sign; and a new value of it. */
ODE_HIDDEN ad_var ode_trace_get(ode_trace *d, int slot, int part);
static inline void put_part(ode_trace *d, int slot, int part, ad_var v)
{
    d->slot[slot].part[part] = v;
    if (part)
        d->slot[slot].minus = 0;
}
static inline ad_var times(double c, ad_var x)
{
    return c == 1 ? x : c == -1 ? (ad_neg)(x) : (ad_mul)(ad_num(c), x);
}
/* trace_sum.c */
ODE_HIDDEN void ode_trace_add(ode_space *s, int part, int dst, ode_num c, int src);
ODE_HIDDEN void ode_trace_addh(ode_space *s, int part, int dst, ode_num c, int src);
ODE_HIDDEN void ode_trace_addr(ode_space *s, int part, int dst, int k, int src);
ODE_HIDDEN void ode_trace_sum(ode_space *s, int dst, int src, const ode_sum *terms);
/* trace_solve.c */
ODE_HIDDEN void ode_trace_solve(ode_space *s, int n, const int y[], const int g[], ode_map *map,
                                const void *ctx);
#endif
