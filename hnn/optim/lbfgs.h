/* lbfgs.h - minimise a smooth function of many variables from its gradients. Invariant: the state is one block of numbers, so
 * a run that is saved between steps and loaded again goes on to the same bits. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LBFGS_H
#define HNN_LBFGS_H

#include "error.h"

/* f and its gradient g [n] at x [n]. Not finite: outside the domain, the step is shortened. Nonzero: stop with that code. */
typedef int (*hnn_function)(void *data, const double x[], double *f, double g[]);

enum {
    HNN_GO_ON,
    HNN_DONE_GRADIENT, /* max |g| at most the limit */
    HNN_DONE_STUCK,    /* no step along the gradient lowers f: the limit of round-off, or g is wrong */
    HNN_DONE_ITERATIONS,
};

typedef struct hnn_lbfgs hnn_lbfgs;

/* hnn_lbfgs_new - start at x [n], keeping `memory` pairs (0: 10). NULL and e: HNN_EARG, HNN_EMEM. */
hnn_lbfgs *hnn_lbfgs_new(long n, int memory, const double x[], hnn_error *e);
void hnn_lbfgs_free(hnn_lbfgs *s);

/* hnn_lbfgs_step - one iteration: direction from the last pairs (two-loop recursion), then a step that satisfies the strong
 * Wolfe conditions f <= f0 + 1e-4 a g0'd, |g'd| <= 0.9 |g0'd| (bracketing and zoom, cubic interpolation). *why: HNN_GO_ON or
 * HNN_DONE_STUCK. Errors: HNN_EARG if f or g is not finite at the start; the code of `call`.
 * Source: Nocedal, Wright (2006), Numerical optimization, 2nd ed., algorithms 3.5, 3.6, 7.4, 7.5. */
int hnn_lbfgs_step(hnn_lbfgs *s, hnn_function call, void *data, int *why, hnn_error *e);

/* hnn_lbfgs_run - steps until max |g| <= gradient, at most `iterations` of them. */
int hnn_lbfgs_run(hnn_lbfgs *s, hnn_function call, void *data, long iterations, double gradient, int *why,
                  hnn_error *e);

const double *hnn_lbfgs_x(const hnn_lbfgs *s); /* [n] where it is */
double hnn_lbfgs_f(const hnn_lbfgs *s);        /* value there; NaN before the first step */
double hnn_lbfgs_gradient(const hnn_lbfgs *s); /* max |g| there */
long hnn_lbfgs_calls(const hnn_lbfgs *s);      /* evaluations so far */
double *hnn_lbfgs_state(hnn_lbfgs *s,
                        long *count); /* the block, to save and to load into one of the same n and memory */

#endif
