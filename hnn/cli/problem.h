/* problem.h - the system a command works on: a row of the table, a Hamiltonian typed as text, or a learned model. Invariant:
 * all end as one hnn_system row with values, a model and a flow, so that no command distinguishes them. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_PROBLEM_H
#define CLI_PROBLEM_H

#include "cli.h"
#include "field.h"
#include "metrics.h"
#include "rng.h"
#include "systems.h"

typedef struct cli_problem {
    hnn_system row; /* texts belong to the command line or to the table */
    int typed, learned, dof;
    double value[HNN_SYSTEM_PARAMETERS];
    char names[HNN_SYSTEM_PARAMETERS][24]; /* of typed parameters */
    int parameters;
    hnn_model *model;
    hnn_flow *flow;
    ode_recorded *recorded;
    const ode_field
        *inner;      /* what is recorded: steps may be programs, so an observer has to look for Ctrl-C */
    ode_field field; /* the same, stopped by Ctrl-C wherever it is evaluated */
} cli_problem;

extern const cli_option cli_problem_options[];  /* --H --set --dof --dissipation --drive */
extern const cli_option cli_sampling_options[]; /* --box --energy */

/* cli_problem_row - the row and its values from SYSTEM or a file of weights (the first argument) or --H; reads --box and --energy where the
 * command has them. cli_problem_open - that, its model and its flow. Returns the exit status, reported. */
int cli_problem_row(cli *c, cli_problem *p);
int cli_problem_open(cli *c, cli_problem *p);
void cli_problem_close(cli_problem *p);
/* cli_with_problem - opens it, does the work, closes it: the command of those that have nothing else to set up. */
int cli_with_problem(cli *c, int (*work)(cli *c, cli_problem *p));

/* --start: q=1,p=0 or q=[1,0],p=[0,1], else a state drawn from the system's box (bodies: their usual start). */
int cli_start(cli *c, cli_problem *p, double z[]);

/* A text in q, p, t and the parameters as a function of the state: its model and flow. The caller frees both. */
int cli_function(cli *c, const cli_problem *p, const char *option, const char *text, hnn_model **m,
                 hnn_flow **f);

/* "q" or "q[2]" for coordinate i of z, in a static-free way: name has room for 24. */
void cli_coordinate(int dof, int i, char name[24]);
/* The other way; -1 when it is none. */
int cli_coordinate_of(int dof, const char *name);

void cli_problem_json(cli *c, const cli_problem *p); /* member "system" */
const char *cli_problem_name(const cli_problem *p);

/* --method: the row, or NULL and *status when there is none or it cannot step the field. */
const ode_method *cli_method(cli *c, const ode_field *f, const char *name, int *status);

#endif
