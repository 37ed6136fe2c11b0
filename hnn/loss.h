/* loss.h - losses as rows, and what optimisers see of them. Invariant: every loss is the mean of the squares of a residual
 * [B, c] that is recorded on the tape, so gradients, Gauss-Newton and tests share one definition.
 * Packing of trajectories (the only place where it is said): a window of K+1 states is one row; z [B, (K+1) 2n] has state
 * k in columns 2nk .. 2nk+2n-1, each q1..qn p1..pn; t [B, K+1] its time in column k. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LOSS_H
#define HNN_LOSS_H

#include "model.h"

enum { HNN_MAX_WINDOW = 4096 };

/* hnn_loss_residual - the residual on the tape: t [B, K+1], z [B, (K+1) 2n], dz [B, 2n] (read only where the loss needs
 * it) -> [B, c]; void when hnn_loss_resolve fails. The loss is ad_mean(ad_square(residual)): the mean over all elements. */
ad_var hnn_loss_residual(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                         ad_var dz);

/* hnn_loss_moved - the same with the first state moved by start [B, 2n], which counts as a residual like those of the other states:
 * in front of them, divided by the step for losses of pairs, whose residuals are rates. Void for losses of single states. */
ad_var hnn_loss_moved(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                      ad_var start);

/* hnn_loss_resolve - s with every default filled in, checked against the model. Errors: HNN_EARG. */
int hnn_loss_resolve(const hnn_loss_spec *s, const hnn_model *m, hnn_loss_spec *out, hnn_error *e);

/* ---- What an optimiser sees ------------------------------------------------------------------------------ */

/* A value that is not finite is not an error here: a line search steps back. */

/* Loss and gradient of a model on samples, compiled once. */
typedef struct hnn_objective hnn_objective;
typedef struct hnn_objective_options {
    int real;             /* AD_F64 or AD_F32: the type of the program; vectors outside are always double */
    struct ad_pool *pool; /* NULL: the caller's thread */
    int jacobian; /* 1: hnn_objective_residuals is wanted, too; its cost grows with the number of parameters */
    int naive;    /* 1: AD_OPT_NONE, the oracle of tests */
} hnn_objective_options;
/* The samples must outlive the objective; the model must not. */
int hnn_objective_new(const hnn_loss_spec *s, const hnn_model *m, const hnn_samples *x,
                      const hnn_objective_options *o, hnn_objective **out, hnn_error *e);
void hnn_objective_free(hnn_objective *o);
/* parameters; where the loss has starts, these follow: what is added to the first state of each sample, [n, 2 dof] */
long hnn_objective_size(const hnn_objective *o);
long hnn_objective_rows(const hnn_objective *o); /* residuals: samples x columns */
/* hnn_objective_value - loss f and gradient g [size] (NULL: not wanted) at theta [size], over all samples. The first argument
 * is the objective; a void pointer, so that the function is a callback. */
int hnn_objective_value(void *objective, const double theta[], double *f, double g[], hnn_error *e);
/* hnn_objective_batch - the same on the n samples with these numbers (rows NULL: all of them). */
int hnn_objective_batch(hnn_objective *o, const double theta[], long n, const long rows[], double *f,
                        double g[], hnn_error *e);
/* hnn_objective_residuals - r [rows] and the Jacobian by the parameters [rows, parameters], row-major (NULL: not wanted); the loss is
 * the mean of r^2. Where the loss has starts, the Jacobian is what is left of it when each start moves along, orthogonal to all
 * that a start can do: its singular values are those of the parameters alone. */
int hnn_objective_residuals(void *objective, const double theta[], double r[], double jacobian[],
                            hnn_error *e);

#endif
