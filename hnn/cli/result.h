/* result.h - a comparison in a run folder: written by compare, read back by report. Invariant: what is read back draws the same
 * page. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include "cli.h"
#include "compare.h"

void cli_result_json(cli *c, const hnn_compare_result *r); /* members of the document */
/* Weights of every run, LABEL-SEED.safetensors, and what cli_result_data keeps: truth.safetensors or stated.safetensors, and
 * train.npz and test.npz of the first seed. Return the exit status, reported. */
int cli_result_keep(cli *c, const hnn_compare_result *r);
int cli_result_data(cli *c, const hnn_compare_result *r);

/* The comparison, or the training as one of one model and one seed, that `folder` holds. line: how it was made, to be freed;
 * `texts` keeps what metrics point to: free it after r. Returns the exit status, reported; nothing to free then. */
struct hnn_json;
int cli_result_read(cli *c, const char *folder, hnn_compare_result *r, char **line, struct hnn_json **texts);

#endif
