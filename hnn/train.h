/* train.h - fitting a model to samples. Invariant: the state of a training is a few arrays and counters, all of which
 * are in its checkpoint, so an interrupted run that resumes ends with the bits of an unbroken one. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_TRAIN_H
#define HNN_TRAIN_H

#include "loss.h"
#include "model.h"

#include <signal.h>

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

/* ---- Training --------------------------------------------------------------------------------------------- */
enum {
    HNN_CONSTANT,
    HNN_COSINE,
    HNN_PLATEAU
}; /* schedules of the rate, all after an optional linear warm-up */

typedef struct hnn_progress { /* what a log line needs; also the record of a run's curve */
    long step, steps;
    double loss, validation, best; /* validation and best are NaN where they were not computed */
    double rate;                   /* learning rate */
    double gradient;               /* Euclidean norm */
    double seconds; /* since the start of this call, wall clock: the only number here that is not
                                    * reproducible; never part of a checkpoint */
} hnn_progress;
typedef void hnn_log(void *user, const hnn_progress *p);

typedef struct hnn_train_options { /* zero is the default of every field */
    const char *
        optimiser; /* "adam" (default); "lbfgs" in steps of one line search; "lm" in steps that lower the loss, for few
                    * parameters; "lsq" in one step: the network hnn with one hidden layer of tanh or sin is sampled (seed)
                    * and its output weights are solved for. The last three take all samples in a step. */
    long steps;      /* 0: 2000 */
    long batch;      /* samples in a step; 0: all */
    double rate;     /* 0: 1e-3 */
    double l2;       /* added to the gradient: l2 * theta */
    int schedule;    /* HNN_CONSTANT, HNN_COSINE (to rate_end), HNN_PLATEAU */
    double rate_end; /* cosine: rate at the last step */
    long warmup;     /* steps of linear growth from 0 */
    double factor;   /* plateau: the rate is multiplied by this; 0: 0.5 */
    long patience;   /* plateau: after so many checks without improvement; 0: 10 */
    int real;        /* AD_F64, AD_F32: of the program; Adam itself is in double */
    struct ad_pool *pool;
    uint64_t seed;    /* order of batches */
    long check_every; /* steps between looks at the validation loss and calls of log; 0: 100 */
    long stop_after;  /* early stopping: checks without improvement; 0: never. The best model is kept whenever
                            * there are validation samples */
    hnn_log *log;
    void *user;
    const volatile sig_atomic_t *interrupt; /* nonzero: finish the step, write the checkpoint, return */
    const char *checkpoint;                 /* file; NULL: none */
    long checkpoint_every;                  /* steps; 0: only at the end and on interrupt */
    int resume;                             /* 1: go on from the checkpoint when it exists */
} hnn_train_options;

enum { HNN_TRAINED, HNN_STOPPED_EARLY, HNN_INTERRUPTED, HNN_DIVERGED };

typedef struct hnn_train_result {
    int end; /* HNN_TRAINED, ... */
    long steps;
    double loss;       /* of the last step's batch, before the step */
    double validation; /* of the model kept; NaN without validation samples */
    long best_step;    /* at which the model kept was seen */
    double seconds;    /* wall clock */
    long points;       /* the curve: one entry a check */
    hnn_progress *curve;
    double *
        starts; /* where the loss has starts: the first state of each sample as trained, [n, 2 dof]; else NULL */
} hnn_train_result;

/* hnn_train - change m->theta to fit the samples. validation may be NULL. The same arguments give the same bits, for
 * every number of threads, and over any number of interruptions.
 * Errors: HNN_EARG, HNN_EMEM, HNN_EIO and HNN_ECHECKSUM (checkpoint), HNN_ESHAPE (a checkpoint of another model). A loss
 * that is not finite ends the training with HNN_DIVERGED and the last finite theta; that is a result, not an error. */
int hnn_train(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *train,
              const hnn_samples *validation, const hnn_train_options *o, hnn_train_result *out, hnn_error *e);
/* hnn_train_windows - the same from trajectories, for the rollout loss in stages: windows of 1, 2, 4, ... samples up to that of
 * the loss, which share the steps equally. Checkpoints of the stages before the last are called checkpoint.1, .2, .4, ... The
 * result is the last stage's, but steps and seconds are those of all. Other losses have one stage. */
int hnn_train_windows(hnn_model *m, const hnn_loss_spec *loss, const hnn_data *train,
                      const hnn_data *validation, const hnn_train_options *o, hnn_train_result *out,
                      hnn_error *e);
void hnn_train_result_free(hnn_train_result *r);

#endif
