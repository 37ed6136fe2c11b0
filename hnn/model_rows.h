/* model_rows.h - private: what the files of a model share. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_MODEL_ROWS_H
#define HNN_MODEL_ROWS_H

#include "model.h"

enum { HNN_MAX_LAYERS = 16, HNN_MAX_WIDTH = 65536, HNN_MAX_BODIES = 32, HNN_MAX_SPACE = 3 };

int hnn_part_columns(const hnn_part *part, int dof,
                     unsigned angles); /* of the network's input, angles doubled */
int hnn_part_outputs(const hnn_part *part, int dof);
/* hnn_part_network - the output of part `which` of the model's row at the states z [B, 2n]; features: without its last
 * matrix. */
ad_var hnn_part_network(const hnn_model *m, int which, ad_var z, const ad_var param[], int features);
/* hnn_model_text - text in q, x (called `second`: p or v) of z = (q, x), t and the constants -> [B,1]. */
ad_var hnn_model_text(const hnn_model *m, const char *text, const char *second, ad_var z, ad_var time,
                      const ad_var param[]);
/* hnn_model_parsed - the same, of whatever shape the text has. */
ad_var hnn_model_parsed(const hnn_model *m, const char *text, const char *second, ad_var z, ad_var time,
                        const ad_var param[]);
/* Whether states are (q, v) with p = M(q) v. */
int hnn_model_velocities(const hnn_model *m);
hnn_recorded hnn_rayleigh_text; /* spec.dissipation */

#endif
