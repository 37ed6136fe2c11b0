/* cli.h - what the commands of the program share: options as rows, a run with its results, errors with their exit
 * status. Invariant: results go to stdout once, at the end; progress and errors go to stderr. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_H
#define CLI_H

#include "error.h"
#include "json.h"
#include "text.h"

#include <signal.h>
#include <stdint.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 }; /* exit status */

/* How the text after an option is checked. Numbers may be expressions: 3/44, 2*pi, 1e5. */
enum { CLI_FLAG, CLI_TEXT, CLI_INT, CLI_REAL, CLI_LIST }; /* LIST: may be given several times */

typedef struct cli_option {
    const char *name; /* without the dashes; "": a heading, whose text is the help */
    const char *arg;  /* what follows it, for the help; NULL for a flag */
    int type;
    const char
        *value; /* the default, as one would type it; NULL: none. The help prints it, the run reads it. */
    const char *help;
    double lo, hi; /* limits of a number; equal: none */
} cli_option;

typedef struct cli cli;

typedef struct cli_command {
    const char *name, *args, *summary;
    const char *more;                /* further help, lines; NULL: none */
    const cli_option *const *groups; /* lists of options, each ends with a row without a name; NULL ends */
    int min_args, max_args;
    int plain; /* 1: --out is only where files go, not a run that could be repeated */
    int (*run)(cli *c);
} cli_command;

typedef struct cli_given {
    const cli_option *option;
    const char *text;
} cli_given;

struct cli {
    const cli_command *command;
    int argc, ngiven;
    char **argv;      /* positional arguments */
    cli_given *given; /* options in the order given */
    hnn_text out;     /* results for a person */
    cli_json json;    /* the same as a document */
    hnn_error error;  /* of the library calls of the command */
    double started;
    int show; /* 1: results are shown although it failed */
    void (*resolve)(cli_json *j,
                    const void *of); /* members of config.json: what was resolved; NULL: nothing */
    const void *of;
};

/* options.c */
extern const cli_option cli_common[];                                     /* --json --seed --out --help */
int cli_parse(cli *c, const cli_command *command, int argc, char **argv); /* CLI_OK or CLI_USAGE, reported */
void cli_help(const cli_command *command, hnn_text *out);
const cli_option *cli_option_of(const cli *c, const char *name); /* the row that holds; NULL if none does */
int cli_has(const cli *c, const char *name);                     /* given, or a flag that is set */
const char *cli_text(const cli *c, const char *name); /* the last one given, else the default, may be NULL */
long cli_int(const cli *c, const char *name);
double cli_real(const cli *c, const char *name); /* NaN when there is neither a value nor a default */
int cli_list(const cli *c, const char *name, int i, const char **text); /* the i-th; 0 when there are fewer */
/* The word nearest to s among n, at a distance that a typing error explains; NULL if none is. */
const char *cli_nearest(const char *s, int n, const char *const words[]);
int cli_number(const char *s, double *x); /* a number or an expression of numbers; 0 when it is none */

/* name=value pairs separated by commas: calls put for each. CLI_OK, or the status of the first that fails. */
int cli_pairs(cli *c, const char *option, const char *text,
              int (*put)(cli *c, void *to, const char *name, const char *value), void *to);

/* run.c */
int cli_usage(cli *c, const char *format, ...) HNN_PRINTF(2, 3); /* reports, returns CLI_USAGE */
int cli_fail(cli *c, const char *format, ...) HNN_PRINTF(2, 3);  /* reports, returns CLI_FAILED */
int cli_error(cli *c);                    /* reports c->error: CLI_USAGE for HNN_EARG, else CLI_FAILED */
int cli_config(cli *c);                   /* writes config.json into the run folder, if there is one */
int cli_begin(cli *c);                    /* makes the run folder of --out and writes config.json into it */
int cli_end(cli *c, int status);          /* prints the results, writes results.json and results.txt */
void cli_line(const cli *c, hnn_text *t); /* the command as one would type it again, without --out */
/* A file in the run folder; NULL when there is no --out. The caller frees it. */
char *cli_path(cli *c, const char *file);
int cli_save(cli *c, const char *path, const hnn_text *t); /* writes t, reports failure */
void cli_progress(cli *c, const char *format, ...)
    HNN_PRINTF(2, 3);      /* one line that replaces the last, on a terminal */
int cli_interrupted(void); /* Ctrl-C was pressed */
const volatile sig_atomic_t *cli_interrupt_flag(void);
void cli_catch_interrupts(void);
double cli_clock(void); /* seconds */

/* Numbers for people: 4 significant digits; "-" for what is not finite. */
void cli_put(hnn_text *t, double x);
/* A table whose columns are aligned: cells by rows, first the headings. Columns of numbers are flush right. */
void cli_table(hnn_text *t, int columns, int rows, const char *const cells[]);

/* One row of the list of commands each: cmd_NAME.c */
extern const cli_command cli_cmd_list, cli_cmd_data, cli_cmd_diff, cli_cmd_simulate, cli_cmd_poincare,
    cli_cmd_lyapunov, cli_cmd_compare, cli_cmd_demo, cli_cmd_rollout, cli_cmd_verify, cli_cmd_train,
    cli_cmd_landscape, cli_cmd_export, cli_cmd_report;

#endif
