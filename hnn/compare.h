/* compare.h - the main job: for every model and seed, draw data, train, measure. Invariant: the models of a comparison
 * see the same data, seeds, steps and number of parameters, and all of these are in the result. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_COMPARE_H
#define HNN_COMPARE_H

#include "metrics.h"
#include "rng.h"
#include "stats.h"
#include "train.h"

enum { HNN_COMPARE_MODELS = 8 };

typedef struct hnn_compare_model {
    const char *label; /* NULL: the row's name */
    hnn_model_spec spec;
    hnn_loss_spec loss;
    hnn_train_options train; /* log, user, pool, seed, interrupt and checkpoint are set by hnn_compare */
    int curriculum;          /* 1: hnn_train_windows, for the rollout loss */
    int equal_time; /* n > 0: as model n-1 of the list, which stands before, but with as many steps as take, by the median over
                     * seeds, the time of model 0. The number of steps then depends on the clock, and so do the results */
    int scaled; /* 1: mean, scale, rate_scale and energy_scale come from the training data */
} hnn_compare_model;

/* Draws one start z [2 dof] from r. Returns 0, or, having drawn nothing, the degrees of freedom that it is made for. */
typedef int hnn_start(hnn_rng *r, int dof, double z[]);

typedef struct hnn_compare_options {
    /* the system: a row (with values), or a typed one, or measured data */
    const hnn_system *system;
    int dof;                /* 0: the row's */
    const double *value;    /* parameters; NULL: the row's */
    const hnn_model *typed; /* instead of system: a model of row text */
    const hnn_data *data;   /* instead of both */
    /* data that are drawn */
    int trajectories;       /* 0: 25 for training, as many rows as the system's span and step say */
    long rows;              /* of each; 0: span/step + 1 */
    double span;            /* 0: the system's */
    double noise, noise_dz; /* standard deviations, on states and on derivatives */
    int integrate;          /* 1: training states are replaced by hnn_data_integrate, for clean derivatives */
    double
        radius[2]; /* not 0: starts are (q, p) on circles with radii in this range, one degree of freedom */
    hnn_start *start; /* how a start is drawn, for training and test; NULL: by radius, or the system's box */
    hnn_start *test_start; /* how a held-out start is drawn; NULL: as for training */
    double validation;     /* share of the training trajectories (more than asked for are drawn); 0: none */
    int tests;             /* held-out starts; 0: 15 */
    long test_rows;        /* 0: as rows */
    double test_span;      /* 0: as span */
    /* measured data */
    double test_share;       /* 0: 0.2 */
    int forward_differences; /* 1: dz from the next row, else by local polynomials where the data have none */
    const char
        *energy_text; /* text in q, p of a stated energy function, in place of the true one; NULL: none */
    const hnn_model
        *energy;   /* or as a model: a stated energy function, in place of the true one; NULL: none */
    int seeds;     /* 0: 3 */
    uint64_t seed; /* of the first; the others follow */
    int models;
    hnn_compare_model model[HNN_COMPARE_MODELS];
    int match;       /* 1: give all networks the number of parameters of the first model */
    hnn_test budget; /* budgets of the measurements: *_steps, starts, skip, method */
    int threads;     /* models x seeds run on so many threads; 0: 1. Results do not depend on it */
    void (*log)(void *user, int model, int seed,
                const hnn_progress *p); /* may be called from any of the threads */
    void *user;
    const volatile sig_atomic_t *interrupt;
} hnn_compare_options;

typedef struct hnn_compare_run { /* one model, one seed */
    hnn_model *model;            /* trained; the rows "true" and "constant" have none */
    hnn_train_result training;
    hnn_metric metric[HNN_METRICS];
    double measure_seconds;
} hnn_compare_run;

typedef struct hnn_compare_row { /* one model */
    char label[32];
    int reference; /* 1: the true H (the floor), 2: the constant predictor; neither is trained */
    long parameters;
    hnn_compare_run *run;                      /* [seeds] */
    hnn_summary summary[HNN_METRICS], seconds; /* over seeds; n is 0 where no seed has a value */
    hnn_comparison
        against[HNN_METRICS]; /* with the first model; p is Holm-adjusted over metrics, NaN under 10 seeds */
} hnn_compare_row;

/* What is followed over the number of training trajectories. */
enum { HNN_SIZE_METRICS = 3, HNN_COMPARE_SIZES = 16 };
int hnn_size_metric(int i); /* an hnn_metric_id */

typedef struct hnn_compare_size { /* the same comparison with so many trajectories */
    int trajectories;
    hnn_summary summary[HNN_COMPARE_MODELS][HNN_SIZE_METRICS];
} hnn_compare_size;

typedef struct hnn_compare_result {
    char system[64];
    char unit[3][24];     /* of q, p and t; empty: dimensionless, or for measured data not known */
    int dof, seeds, rows; /* rows: models, then the reference rows */
    hnn_compare_row *row;
    hnn_data *train, *test; /* [seeds], as the models saw them */
    hnn_model *truth;       /* NULL for measured data */
    hnn_model *stated;      /* the stated energy function of measured data; NULL: none */
    unsigned angles;        /* bit i-1: q[i] is an angle */
    double h, span;
    int interrupted;
    int sizes; /* of hnn_compare_sizes */
    hnn_compare_size size[HNN_COMPARE_SIZES];
} hnn_compare_result;

/* hnn_compare_resolve - o with the defaults of data, seeds and budgets filled in; those of models, losses and trainings are theirs. */
void hnn_compare_resolve(const hnn_compare_options *o, hnn_compare_options *out);
/* hnn_compare - all of it. A model that fails on a seed counts as diverged. Errors: HNN_EARG, HNN_ESHAPE, HNN_EMEM. */
int hnn_compare(const hnn_compare_options *o, hnn_compare_result *out, hnn_error *e);
/* hnn_compare_sizes - the same again with n numbers of trajectories, into r->size: field error, rollout error, energy.
 * Errors: of hnn_compare; HNN_EARG for n above HNN_COMPARE_SIZES, a size below 1, measured data. */
int hnn_compare_sizes(const hnn_compare_options *o, int n, const int trajectories[], hnn_compare_result *r,
                      hnn_error *e);
void hnn_compare_free(hnn_compare_result *r);

/* A published or recommended setting by name: "demo", "greydanus-spring", "greydanus-pendulum", "greydanus-two-body",
 * "greydanus-three-body", ... Fills o; strings and rows are constants. */
typedef struct hnn_protocol {
    const char *name, *title, *source;
    void (*fill)(hnn_compare_options *o);
} hnn_protocol;
int hnn_protocol_count(void);
const hnn_protocol *hnn_protocol_at(int i);
const hnn_protocol *hnn_protocol_find(const char *name, hnn_error *e);

#endif
