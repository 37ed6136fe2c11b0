/* metrics.h - what is measured of a model, one definition each. Invariant: what cannot be computed is missing with a
 * reason, never zero; a run that diverged counts as infinite and is counted. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_METRICS_H
#define HNN_METRICS_H

#include "data.h"
#include "field.h"
#include "model.h"

typedef struct hnn_metric {
    double value;           /* NaN when why is not NULL */
    const char *why;        /* the reason why there is no value; NULL: there is one. A constant string */
    const char *integrator; /* name of the method; NULL where none is used */
    double h, horizon;      /* step and length, units of t; 0 where none is used */
    long count;             /* of starts (or states) that entered */
    long diverged;          /* of these, runs that left the finite numbers */
    double extra;  /* energy_mse_true: median over starts; long_horizon: censored fraction; else NaN */
    int estimated; /* 1: against estimated derivatives (measured data) */
} hnn_metric;

typedef enum {
    HNN_FIELD_ERROR,
    HNN_ROLLOUT_ERROR,
    HNN_ENERGY_MSE_TRUE,
    HNN_ENERGY_DRIFT_MODEL,
    HNN_VOLUME_DEFECT,
    HNN_SYMPLECTIC_DEFECT,
    HNN_CURL_DEFECT,
    HNN_LONG_HORIZON,
    HNN_LANDSCAPE, /* in the box below; needs an H that is all of the field, in truth and model */
    HNN_H_ERROR,   /* relative error of H */
    HNN_METRICS
} hnn_metric_id;
const char *hnn_metric_name(int id);  /* "field_error" ..., as in the JSON */
const char *hnn_metric_title(int id); /* one line for people, with the definition in short */
int hnn_metric_larger_is_better(int id);

/* What a model is measured against. */
typedef struct hnn_test {
    hnn_flow *truth;  /* the true system; NULL for measured data */
    hnn_flow *energy; /* measured data: a stated energy function in place of the true one; may be NULL */
    const hnn_data *
        clean; /* held-out clean trajectories: reference solution in z, times in t; trajectory i is start i. dz
                            * is read only without truth, and then counts as estimated */
    const hnn_data *train; /* clean training states: standard deviations, box */
    unsigned angles;       /* bit i-1: differences of q[i] are wrapped to [-pi, pi) */
    double h;              /* step; 0: the median interval of `train` */
    const double *lo,
        *hi; /* [2 dof] box for landscape and the relative error of H; NULL: the range of the training states */
    /* Budgets; 0: what METRICS says */
    long drift_steps;   /* 10^4 */
    long tangent_steps; /* 1000 */
    long horizon_steps; /* 10^5 */
    int sweeps;         /* of the Gauss steps whose tangent map is taken: a fixed schedule; 0: 24 */
    int starts;         /* use the first so many trajectories; 0: all */
    unsigned skip;      /* bit id: do not compute; the reason is then "not asked for" */
    const char *method; /* of rollouts; NULL: "dop853" with tolerances 1e-10 */
} hnn_test;

/* hnn_measure - all metrics of m in out[HNN_METRICS]. An error of one metric
 * is its reason, not the call's failure. Errors: HNN_EARG, HNN_ESHAPE (dof), HNN_EMEM. */
int hnn_measure(const hnn_model *m, const hnn_test *test, hnn_metric out[HNN_METRICS], hnn_error *e);

/* One metric alone; f is the model's flow. Volume and symplectic defect come from the same steps: use hnn_measure for both. */
int hnn_measure_one(hnn_flow *f, const hnn_test *test, int id, hnn_metric *out, hnn_error *e);

/* hnn_draw_starts - count states [count, 2 dof] from the system's box, kept when H lies in the row's range of energies;
 * stream (seed, purpose, index). flow: of the system. Errors: HNN_EARG when 10000 draws give no state. */
int hnn_draw_starts(const hnn_system *s, const double value[], hnn_flow *flow, uint64_t seed,
                    uint32_t purpose, uint64_t index, int count, double starts[], hnn_error *e);

/* hnn_simulate - clean trajectories from starts [count, 2 dof]: `rows` rows over [0, span] by dop853 at 1e-10, dz from the
 * field. Errors: HNN_EARG when a trajectory diverges, HNN_EMEM. */
int hnn_simulate(hnn_flow *truth, int count, const double starts[], long rows, double span, hnn_data *out,
                 hnn_error *e);

#endif
