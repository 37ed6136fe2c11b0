/* compiled.h - private: steps of a solver as programs, shared by compiled.c and compiled_program.c.
 * Invariant: the values in `fed` are those of the last run, or nothing. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_COMPILED_H
#define ODE_COMPILED_H

#include "recorded.h"
#include "solver.h"

/* Steps of a replayed program, so that its start costs little; of one ad_repeat, after which the state is looked at. */
enum { MANY = 16, STRETCH = 1024, SWEEPS = 20, TRIAL = 4, FIXED = 3, FED = 3 + 2 * 16 + 2 };
struct ode_compiled {
    ad_program *program[2]; /* one step, MANY steps */
    ad_work *work[2];
    int native, plain, timed, sweeps; /* sweeps 0: not known yet */
    int minus;                        /* what is kept has the sign of dH/dq in its rows of p */
    ode_kept kept;
    int64_t fields, iterations; /* of a step of one row */
    int64_t stretch;            /* steps of one ad_repeat: fewer where a row has failed in them */
    int64_t made, look;         /* steps, and at how many the clock is looked at */
    double since;               /* its first look, in milliseconds */
    int in_count, out_count;
    int *rows; /* of each parameter, for which the programs are */
    double h;
    double *memory,
        *fed[2][FED]; /* y, its carry, kept parts, number of the step, worst; of the last run and the next */
    const void **in;
};

/* Why steps of this solver cannot be programs, in text or elsewhere; NULL: they can, and keep that. */
ODE_HIDDEN const char *ode_compiled_unfit(const ode_solver *s, ode_kept *kept, char text[200]);
/* s->compiled anew, the programs of an implicit row left out; an error of the solver or 0, as of the next one. */
ODE_HIDDEN int ode_compiled_make(ode_solver *s, const ode_kept *kept, int native);
ODE_HIDDEN int ode_compiled_programs(ode_solver *s);
/* The sweeps that an implicit row needs now; 0: too many. */
ODE_HIDDEN int ode_compiled_measure(ode_solver *s, double h);
#endif
