/* solver.h - private: what solver.c, adaptive.c and the diagnostics share.
 * Invariant: `saved` holds ODE_SAVED states: 0 before the step, 1 start of the dense step, 2-3 kept by a partial step,
 * 4 scratch for output, 5 error weights. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_SOLVER_H
#define ODE_SOLVER_H
#include "space.h"
enum { ODE_SAVED = 7 };
ODE_HIDDEN int ode_observe(ode_solver *s, ode_options *o, double t, const double *y); /* nonzero: stop */
ODE_HIDDEN int ode_partial(ode_solver *s, double h,
                           double *y); /* a step aside: the solver stays where it is */
#endif
