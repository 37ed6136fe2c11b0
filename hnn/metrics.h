/* metrics.h - what is measured of a model, one definition each. Invariant: what cannot be computed is missing with a
 * reason, never zero; a run that diverged counts as infinite and is counted. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_METRICS_H
#define HNN_METRICS_H

#include "data.h"
#include "field.h"
#include "model.h"

/* One metric alone; f is the model's flow. Volume and symplectic defect come from the same steps: use hnn_measure for both. */
int hnn_measure_one(hnn_flow *f, const hnn_test *test, int id, hnn_metric *out, hnn_error *e);

#endif
