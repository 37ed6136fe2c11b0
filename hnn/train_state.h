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
    int done;                /* 1: it is over, and the model after the last step was looked at */
    double loss;
    hnn_adam adam;
    double *theta; /* [size of adam]: not owned */
    double *kept;  /* [size] best on validation, or the last finite one at a check */
    long points, room;
    hnn_progress *curve;
    double *block; /* [blocks] what the optimiser remembers beside Adam's moments: not owned */
    long blocks;
} hnn_train_state;

/* Optimisers other than Adam. A step changes theta; what must be remembered between steps is in the state. */
typedef struct hnn_fitter hnn_fitter;
int hnn_fitter_known(const char *optimiser);  /* 0: none of that name */
int hnn_fitter_samples(const char *sampling); /* lsq: whether features can be drawn so */
/* objective and samples must outlive it. Errors: HNN_EARG when the model is not of the kind that the optimiser fits. */
int hnn_fitter_new(const hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x,
                   const hnn_train_options *o, hnn_objective *objective, const double theta[],
                   hnn_fitter **out, hnn_error *e);
void hnn_fitter_free(hnn_fitter *f);
/* *done: there is nothing left to gain. */
int hnn_fitter_step(hnn_fitter *f, double theta[], int *done, hnn_error *e);
double *hnn_fitter_state(hnn_fitter *f, long *count); /* NULL and 0: nothing beside theta */

/* fingerprint: of everything that must be the same when a run resumes. */
int hnn_train_save(const char *path, const hnn_train_state *s, uint32_t fingerprint, hnn_error *e);
/* *found is 0, without an error, where there is no file. */
int hnn_train_load(const char *path, hnn_train_state *s, uint32_t fingerprint, int *found, hnn_error *e);

#endif
