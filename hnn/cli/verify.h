/* verify.h - private: what is verified of a model, and how. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "problem.h"

enum { CLI_STATES = 64, CLI_CLAIMS = 12 };

typedef struct cli_subject {
    cli_problem p;
    const char *name;
    int n;      /* 2 dof */
    double *z;  /* [CLI_STATES, n] states of the box where H is finite */
    double sd;  /* of H over them; NaN where there is no H */
    long steps; /* of long runs */
    double h;
    hnn_flow *truth;  /* NULL: not known */
    double *lo, *hi;  /* [n] the box of the states: there equilibria are looked for; hi is behind lo */
    unsigned angles;  /* bit i-1: q[i] is an angle of the truth */
    char folder[256]; /* of the run; empty: none */
    char why[200];    /* the last number is NaN */
} cli_subject;

/* Each gives the number of its claim; NaN, and why, when the model cannot be measured that way. */
typedef double cli_measure(cli_subject *s);

typedef struct cli_claim {
    const char *name, *text, *kind;
    double tolerance; /* 0: no claim, only told */
    cli_measure *number;
    int needs; /* CLI_TRUTH: left out without a known truth; CLI_SIZES: without a run of several sizes */
} cli_claim;
enum { CLI_TRUTH = 1, CLI_SIZES = 2 };
extern const cli_claim cli_claims[CLI_CLAIMS];
int cli_has_sizes(const cli_subject *s); /* its run was trained with several numbers of trajectories */

#endif
