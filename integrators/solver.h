/* solver.h - private: what solver.c, adaptive.c and the diagnostics share.
 * Invariant: `saved` holds ODE_SAVED states: 0 before the step, 1 start of the dense step, 2-3 kept by a partial step,
 * 4 scratch for output, 5 error weights. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_SOLVER_H
#define ODE_SOLVER_H
#include "space.h"
enum { ODE_SAVED = 7 };
/* Step control of one row of an adaptive run. */
struct ode_lane {
    double h, take, left, last, t, tc;
    int64_t tries;
    int active, accepted, rejected, written;
};
ODE_HIDDEN int ode_observe(ode_solver *s, ode_options *o, double t, const double *y); /* nonzero: stop */
ODE_HIDDEN int ode_partial(ode_solver *s, double h,
                           double *y);                     /* a step aside: the solver stays where it is */
ODE_HIDDEN void ode_blank(const ode_solver *s, double *y); /* NaN where a row has failed */
ODE_HIDDEN void ode_forgive(ode_real *r);
/* 1 when parameters of a recorded field have changed since it was last asked: then nothing kept from the last step is used. */
ODE_HIDDEN int ode_changed(ode_solver *s);
/* compiled.c: how is ode_options.compiled of the run of n steps that begins; up to n steps as programs, of `left` to the end of the run. */
ODE_HIDDEN int ode_compiled_begin(ode_solver *s, int how, int64_t n);
ODE_HIDDEN int64_t ode_compiled_steps(ode_solver *s, int64_t n, int64_t left, double h);
ODE_HIDDEN void ode_compiled_free(struct ode_compiled *c);
/* A step at the end of the list (loop.c); ODE_EMEMORY. */
ODE_HIDDEN int ode_steps_put(ode_steps *list, double t, double h);
/* A solver of several rows: an error that says that `who` is for one. */
ODE_HIDDEN int ode_only_one(ode_solver *s, const char *who);
#endif
