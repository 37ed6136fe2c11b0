/* metrics_rows.h - private: one function per metric, and what they share. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_METRICS_ROWS_H
#define HNN_METRICS_ROWS_H

#include "metrics.h"

typedef struct hnn_measuring { /* what is computed once for a test */
    const hnn_test *test;
    hnn_flow *f;
    int dof, starts;
    double h;
    double *sd;      /* [2 dof] of the training states */
    double *lo, *hi; /* [2 dof] */
} hnn_measuring;

/* Each fills out (why is set and value NaN where it cannot be computed) and returns HNN_OK, or HNN_EMEM. */
typedef int hnn_metric_function(const hnn_measuring *c, hnn_metric *out, hnn_error *e);
hnn_metric_function hnn_metric_drift, hnn_metric_horizon, hnn_metric_landscape, hnn_metric_volume,
    hnn_metric_symplectic;
/* Both defects from the same steps. */
int hnn_metric_tangent(const hnn_measuring *c, hnn_metric *volume, hnn_metric *symplectic, hnn_error *e);

int hnn_metric_missing(hnn_metric *out, const char *why); /* returns HNN_OK */
double hnn_median(long n, double x[]);                    /* sorts x; not finite counts as +infinity */
/* H of the flow at the training states: its standard deviation, NaN (and a code) on error. */
int hnn_energy_spread(hnn_flow *f, const hnn_data *train, double *sd, hnn_error *e);
const double *hnn_test_start(const hnn_measuring *c, int i);

#endif
