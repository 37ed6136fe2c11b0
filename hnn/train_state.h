/* train_state.h - private: all that a training has to remember, and its file. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_TRAIN_STATE_H
#define HNN_TRAIN_STATE_H

#include "train.h"

typedef struct hnn_train_state {
    long step;     /* steps done */
    double factor; /* of the rate, by plateaus */
    double best;   /* smallest validation loss seen, +infinity before */
    long best_step;
    long waited, unimproved; /* checks since the best (or the last cut of the rate), and since the best */
    int end;                 /* HNN_TRAINED while it goes on; else why it stopped */
    double loss;
    hnn_adam adam;
    double *theta; /* of the model: not owned */
    double *kept;  /* [size] best on validation, or the last finite one at a check */
    long points, room;
    hnn_progress *curve;
    double *block; /* [blocks] what the optimiser remembers beside Adam's moments: not owned */
    long blocks;
} hnn_train_state;

/* Optimisers that do all at once. x: samples; steps: at most so many iterations. The model's theta is the start, and then the
 * result; *loss and *steps say what was reached. Errors: HNN_EARG when the model is not of the kind that they fit. */
typedef int hnn_fit_function(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x,
                             const hnn_train_options *o, double *reached, long *steps, hnn_error *e);
hnn_fit_function *hnn_fit_at_once(const char *optimiser); /* NULL: none of that name */

/* fingerprint: of everything that must be the same when a run resumes. */
int hnn_train_save(const char *path, const hnn_train_state *s, uint32_t fingerprint, hnn_error *e);
/* *found is 0, without an error, where there is no file. */
int hnn_train_load(const char *path, hnn_train_state *s, uint32_t fingerprint, int *found, hnn_error *e);

#endif
