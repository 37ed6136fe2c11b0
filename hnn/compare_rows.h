/* compare_rows.h - private: what the files of the comparison share. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_COMPARE_ROWS_H
#define HNN_COMPARE_ROWS_H

#include "compare.h"

void hnn_start_on_circle(hnn_rng *r, const double radius[2], double z[2]);
/* hnn_scaling - for hnn_model_spec: mean, scale and rate [2 dof] and the energy scale, from training data. */
int hnn_scaling(const hnn_data *d, double mean[], double scale[], double rate[], double *energy,
                hnn_error *e);
/* The model of a row for one seed: scaled by its data if asked, of so many parameters (0: as the spec says), initial weights
 * by the seed. */
int hnn_compare_model_new(const hnn_compare_model *c, int dof, const hnn_data *train, long parameters,
                          uint64_t seed, hnn_model **out, hnn_error *e);
/* The data of one seed: what trains (noise and all), what validates (ntraj 0: nothing), the clean training states, and
 * the held-out test. */
typedef struct hnn_drawn {
    hnn_data train, validation, clean, test;
} hnn_drawn;
int hnn_compare_data(const hnn_compare_options *o, const hnn_model *truth, uint64_t seed, hnn_drawn *out,
                     hnn_error *e);
void hnn_drawn_free(hnn_drawn *d);
/* The name of the system and its units. */
void hnn_compare_name(const hnn_compare_options *o, hnn_compare_result *r);
/* Summaries and tests over the seeds, from the metrics of the runs. seed: of the bootstrap. */
int hnn_compare_summarise(hnn_compare_result *r, uint64_t seed, hnn_error *e);

#endif
