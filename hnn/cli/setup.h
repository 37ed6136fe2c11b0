/* setup.h - from options to a comparison or a training: data, models, optimiser. Invariant: an option that is not given
 * leaves what the protocol says; without a protocol its default, which the help prints, holds. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "compare.h"
#include "load.h"
#include "problem.h"

#include <pthread.h>
#include <stdio.h>

/* What a training tells while it runs: one line on a terminal, JSON lines in log.jsonl of the run folder. Any thread may
 * write a line. */
typedef struct cli_log {
    cli *c;
    FILE *file; /* NULL: none */
    int lines;
    long first; /* step of the first line: a resumed training begins there */
    pthread_mutex_t lock;
} cli_log;
int cli_log_open(cli *c, cli_log *l, int append);
void cli_log_line(cli_log *l, const char *model, int seed, const hnn_progress *p);
void cli_log_close(cli_log *l);

enum { CLI_CONSTANTS = 16 };

typedef struct cli_setup {
    hnn_compare_options o;
    int single; /* one model, one seed: a training */
    cli_problem problem;
    hnn_data data;
    const char *file[256];
    char *models; /* owned: the names of o.model */
    hnn_constant constant[CLI_CONSTANTS];
    char constant_name[CLI_CONSTANTS][24];
    int constants;
} cli_setup;

/* cli_resolved - members of an object: all that a comparison or training will use, defaults and protocol included. */
void cli_resolved(cli_json *j, const void *setup);

extern const cli_option cli_measured_options[]; /* --data --test-share --forward-differences */
extern const cli_option cli_drawn_options[];    /* --protocol --trajectories --rows ... */
extern const cli_option cli_model_options[];    /* --layers --width ... */
extern const cli_option cli_training_options[]; /* --steps --rate ... */

/* cli_with_setup - from the options, then the work. models: names separated by commas; NULL: those of the protocol. Returns the
 * exit status, reported. */
int cli_with_setup(cli *c, const char *models, int (*work)(cli *c, cli_setup *s));

#endif
