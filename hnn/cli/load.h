/* load.h - measured data from the command line. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H

#include "cli.h"
#include "data.h"

extern const cli_option
    cli_load_options[]; /* --columns --coords --dt --length --derivatives --order --window */

/* cli_load - the files as one set of trajectories. Returns the exit status, reported. */
int cli_load(cli *c, int files, const char *const path[], hnn_data *d);

#endif
