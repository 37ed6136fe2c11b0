/* loss_rows.h - private: what the files of the losses share. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LOSS_ROWS_H
#define HNN_LOSS_ROWS_H

#include "loss.h"

/* The pieces of a pair: its states, their difference and middle, its step and the time of its middle. */
typedef struct hnn_pair {
    ad_var z0, z1, change, middle, h, t0, t1, half;
} hnn_pair;
hnn_pair hnn_loss_pair(const hnn_model *m, ad_var t, ad_var z, int k); /* of states k and k+1 of a window */

/* The row "rollout" (loss_rollout.c), for a resolved spec; and whether its method can step the model. Errors: HNN_EARG. */
ad_var hnn_loss_rollout(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                        ad_var dz);
int hnn_loss_rollout_check(const hnn_loss_spec *s, const hnn_model *m, hnn_error *e);

#endif
