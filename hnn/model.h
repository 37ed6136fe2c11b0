/* model.h - models as rows: how parameters make a Hamiltonian, or a field. Invariant: all parameters of a model are one
 * flat vector theta of doubles; on a tape they are one input per matrix, in the order of `param`, so a program reads
 * and writes theta in place and no optimiser needs to know the model. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_MODEL_H
#define HNN_MODEL_H

#include "data.h"
#include "error.h"
#include "systems.h"

/* hnn_model_init - draw theta again, as hnn_model_new does. */
int hnn_model_init(hnn_model *m, uint64_t seed, hnn_error *e);

/* hnn_model_features - the last hidden layer of H's network at z -> [B, width], so that H is energy_scale * features *
 * (last matrix) up to the gauge; void (no error) where H is not one network. For least squares on output weights. */
ad_var hnn_model_features(const hnn_model *m, const ad_var param[], ad_var z);

#endif
