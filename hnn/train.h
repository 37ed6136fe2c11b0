/* train.h - fitting a model to samples. Invariant: the state of a training is a few arrays and counters, all of which
 * are in its checkpoint, so an interrupted run that resumes ends with the bits of an unbroken one. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_TRAIN_H
#define HNN_TRAIN_H

#include "loss.h"
#include "model.h"

/* ---- Adam ------------------------------------------------------------------------------------------------- */
typedef struct hnn_adam {
    long size, steps;
    long decayed;  /* l2 acts on the first so many; hnn_adam_new sets it to size */
    double *m, *v; /* first and second moments */
    double beta1, beta2, epsilon, l2;
} hnn_adam;
/* hnn_adam_new - zero beta1, beta2, epsilon: 0.9, 0.999, 1e-8. l2 x is added to the gradient (not decoupled).
 * Source: Kingma, Ba (2015), Adam: a method for stochastic optimization, ICLR, algorithm 1. */
int hnn_adam_new(hnn_adam *a, long size, double beta1, double beta2, double epsilon, double l2, hnn_error *e);
void hnn_adam_free(hnn_adam *a);
void hnn_adam_step(hnn_adam *a, double rate, const double g[], double x[]);

/* The options of lsq with polish > 0: the solve, then L-BFGS (train_windows.c). */
int hnn_train_polished(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x, const hnn_samples *v,
                       const hnn_train_options *o, hnn_train_result *out, hnn_error *e);
/* hnn_train_resolve - given (may be NULL) with every default filled in. Errors: HNN_EARG. */
int hnn_train_resolve(const hnn_train_options *given, hnn_train_options *o, hnn_error *e);

#endif
