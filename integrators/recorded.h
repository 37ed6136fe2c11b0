/* recorded.h - private: a field recorded on a tape, its functions and its programs.
 * Invariant: the tape here is private; programs are compiled from it when first asked for. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_RECORDED_H
#define ODE_RECORDED_H

#include "ad.h"
#include "space.h"

enum { ODE_PROGRAMS = ODE_OF_JACOBIAN + 1 };

struct ode_recorded {
    ad_tape *tape;                       /* private */
    ad_func *source;                     /* (state, t, params) -> H or f, as it was recorded */
    int size, half;                      /* half = size / 2 of a Hamiltonian, else 0 */
    int batch;                           /* states come as [AD_BATCH, size]; else [1, size] */
    int timed;                           /* 0: no time; 1: [1,1]; 2: one for each row */
    int split;                           /* the state was recorded as q and p */
    ad_var q, p, y, t, H, f, dHdp, dHdq; /* on the private tape; y [., size] = (q, p) of a Hamiltonian */
    int params;
    ad_var *param;
    double **value;    /* of each parameter, rows x cols */
    int *rows, *shape; /* rows given (1 for one that is shared), elements of a row */
    int *each;         /* 1: a row of the batch has its own */
    ad_program *program[ODE_PROGRAMS];
    ad_work *work[ODE_PROGRAMS];
    ad_func *fn[ODE_PROGRAMS]; /* for recorded steps */
    ad_pool *pool;
    int native;   /* the right-hand side is emitted C, where there is a compiler */
    double *room; /* split states, gathered parameters, blocks of results */
    size_t room_size;
    const void **in;
    ode_field field;
    int64_t changes; /* of parameters, by ode_recorded_set */
    int status;
    char message[400];
};

ODE_HIDDEN int ode_recorded_fail(ode_recorded *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What the tape says, as a failure of r; the tape is cleared. */
ODE_HIDDEN int ode_recorded_tape(ode_recorded *r, const char *who);

/* The body of a loop over steps, recorded on a tape b of its own (b or in may be NULL: out of memory). First inputs shaped
 * like the parameters; last the function, which frees b and in: NULL with r's message when one of them failed. */
ODE_HIDDEN int ode_body_params(const ode_recorded *r, ad_tape *b, const ad_var like[], ad_var in[]);
ODE_HIDDEN ad_func *ode_body_func(ode_recorded *r, const char *who, ad_tape *b, int nin, ad_var in[],
                                  int nout, const ad_var out[]);
/* The inputs of every program and function: q, p or y; t; params. Returns how many, at most 3 + params. */
ODE_HIDDEN int ode_recorded_inputs(const ode_recorded *r, ad_var in[]);
ODE_HIDDEN ad_var ode_jacobian(ad_var f, ad_var x);
/* Finds ODE_SEPARABLE and ODE_QUADRATIC_T. */
ODE_HIDDEN unsigned ode_recorded_kind(ode_recorded *r);
/* Steps of lengths h [1, steps] (loop.c): the states and the times after each. */
ODE_HIDDEN void ode_record_path(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                                const ad_var param[], int64_t checkpoints, ad_var *trajectory, ad_var *ends);
/* From now on the right-hand side is emitted C; the bits are the same. */
ODE_HIDDEN void ode_recorded_native(ode_recorded *r);
/* Callback of ode_field.rows. */
ODE_HIDDEN int ode_recorded_give(void *user, int what, int count, const int row[], const double t[],
                                 const double y[], double out[]);
/* trace.c: some steps at once, for compiled.c and loop.c. No step: what one slot is before the first, the field at y. */
typedef struct {
    int steps;
    /* Slots that each step reads as the last one left them; 0: every step begins anew. */
    int kept, part, minus; /* how many; which part of each; 1: part P is minus the slot's */
    const int *slot;
    ad_var *keep;   /* their parts, slot after slot: in, and out */
    int sweeps;     /* of a solve, at least ODE_FEWEST; 0: ad_root */
    double allowed; /* the last sweep's change, relative to the state */
    ad_var worst;   /* with sweeps, largest so far, in and out: positive when a solve has not converged */
    ad_var *carry;  /* of q, p (or y): what sums into the state have lost, in and out; NULL: plain sums */
    const ad_var *times;        /* of each step; NULL: t + k h */
    int64_t fields, iterations; /* out: evaluations, sweeps of all steps */
} ode_traced;
enum { ODE_FEWEST = 3, ODE_AHEAD = 3 }; /* sweeps; those whose change is foretold */
ODE_HIDDEN ad_var ode_trace_steps(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                                  const ad_var param[], double omega, ode_traced *more);
#endif
