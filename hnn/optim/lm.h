/* lm.h - nonlinear least squares for few parameters, and what the data say about them. Invariant: steps and ranks do not
 * change when a parameter is measured in another unit, since each is divided by the norm of its column. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LM_H
#define HNN_LM_H

#include "error.h"

/* Residuals r [m] and, unless NULL, their derivatives J [m, n] at x [n]. Not finite: outside the domain, the step is
 * shortened. Nonzero: stop with that code. */
typedef int (*hnn_residuals)(void *data, const double x[], double r[], double J[]);

enum {
    HNN_LM_GRADIENT = 1, /* r is orthogonal to the columns of J, cosines at most options.gradient */
    HNN_LM_REDUCTION,    /* actual and predicted relative reduction of |r|^2 at most options.reduction */
    HNN_LM_STEP,         /* relative step at most options.step */
    HNN_LM_ZERO,         /* r is 0 */
    HNN_LM_ITERATIONS,
};

typedef struct hnn_lm_options {       /* 0: the default */
    long iterations;                  /* 200 */
    double gradient, reduction, step; /* 1e-12, 1e-14, 1e-12 */
    double radius;                    /* first trust region, in units of the scaled x; 1 (1 for x = 0) */
    double rank; /* singular values of the scaled J at most this x the largest count as 0; 1e-9 */
} hnn_lm_options;

/* What the data determine at the end. With J = the derivatives there, its columns divided by their norms d, and the singular
 * values s of that: cov = sigma^2 (J'J)^-1 over the directions that are determined, sigma^2 = |r|^2 / (m - rank). */
typedef struct hnn_lm_result {
    int why, rank;
    long iterations, calls;
    double rss;       /* |r|^2 */
    double sigma;     /* NaN if m = rank: there is nothing to estimate it from */
    double condition; /* of the scaled J, largest over smallest determined singular value */
    double *cov;      /* [n, n] */
    double *error;    /* [n] standard errors; +infinity for a parameter with a part in a null direction */
    double *null; /* [n - rank, n] unit vectors in x: moving along them changes no residual to first order */
    double *direction; /* [rank, n] the determined ones, best first, unit vectors in x scaled by d */
} hnn_lm_result;

/* hnn_lm - minimise |r(x)|^2 from x [n], which is overwritten. Free the result with hnn_lm_free, also after an error.
 * Errors: HNN_EARG (sizes, r or J not finite at the start), HNN_EMEM, the code of `call`. Levenberg-Marquardt steps with a
 * trust region |D step| <= radius, from the singular values, so a J of deficient rank is nothing special.
 * Source: More (1978), Lecture Notes in Mathematics 630, 105-116. */
int hnn_lm(int m, int n, double x[], hnn_residuals call, void *data, const hnn_lm_options *o,
           hnn_lm_result *out, hnn_error *e);
void hnn_lm_free(hnn_lm_result *r);

/* The same in single steps. */
typedef struct hnn_lm_run hnn_lm_run;
/* hnn_lm_new - start at x [n]; o->iterations is not read. NULL and e: HNN_EARG, HNN_EMEM. */
hnn_lm_run *hnn_lm_new(int m, int n, const double x[], const hnn_lm_options *o, hnn_error *e);
void hnn_lm_run_free(hnn_lm_run *l);
/* hnn_lm_step - go on until a step lowers |r|, or *why is one of the reasons above to end; else *why is 0. */
int hnn_lm_step(hnn_lm_run *l, hnn_residuals call, void *data, int *why, hnn_error *e);
const double *hnn_lm_x(const hnn_lm_run *l); /* [n] where it is */
/* hnn_lm_state - all that a run remembers, to save between steps and to load into a new one of the same m and n, which then goes
 * on to the same bits. */
double *hnn_lm_state(hnn_lm_run *l, long *count);

#endif
