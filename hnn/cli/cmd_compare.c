/* cmd_compare.c - noether compare, noether demo: train every model for every seed, measure, print one table. Invariant: what
 * stdout, results.json and the report say comes from one hnn_compare_result. */
/* SPDX-License-Identifier: MIT */
#include "report.h"
#include "result.h"
#include "setup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- progress and log ---- */

typedef struct watch {
    cli_log log;
    const hnn_compare_options *o;
} watch;

static void on_progress(void *user, int model, int seed, const hnn_progress *p)
{
    watch *w = user;
    const hnn_compare_model *m = &w->o->model[model];
    cli_log_line(&w->log, m->label ? m->label : m->spec.model, seed, p);
}

/* ---- results ---- */

static int result_text(cli *c, const hnn_compare_result *r)
{
    hnn_cells cells;
    if (hnn_compare_table(r, &cells, &c->error))
        return cli_error(c);
    cli_table(&c->out, cells.columns, cells.rows, (const char *const *)cells.s);
    hnn_cells_free(&cells);
    hnn_compare_notes(r, &c->out);
    return CLI_OK;
}

static void sizes_text(cli *c, const hnn_compare_result *r)
{
    for (int a = 0; a < HNN_SIZE_METRICS && r->sizes; a++) {
        hnn_text_printf(&c->out, "\n%s by number of trajectories\n", hnn_metric_name(hnn_size_metric(a)));
        for (int i = 0; i < r->sizes; i++) {
            hnn_text_printf(&c->out, "%6d", r->size[i].trajectories);
            for (int k = 0; k < r->rows && !r->row[k].reference; k++) {
                const hnn_summary *s = &r->size[i].summary[k][a];
                hnn_text_printf(&c->out, "   %s ", r->row[k].label);
                hnn_short_number(&c->out, s->median);
                hnn_text_add(&c->out, " [");
                hnn_short_number(&c->out, s->q1);
                hnn_text_add(&c->out, ", ");
                hnn_short_number(&c->out, s->q3);
                hnn_text_add(&c->out, "]");
            }
            hnn_text_add(&c->out, "\n");
        }
    }
}

/* ---- running ---- */

static int sizes_of(cli *c, int size[HNN_COMPARE_SIZES], int *n)
{
    char *list = strdup(cli_text(c, "sizes") ? cli_text(c, "sizes") : ""), *save;
    int status = list ? CLI_OK : cli_fail(c, "out of memory");
    *n = 0;
    for (char *word = list ? strtok_r(list, ",", &save) : NULL; word && status == CLI_OK;
         word = strtok_r(NULL, ",", &save)) {
        double x;
        if (!cli_number(word, &x) || x < 1 || x != floor(x) || x > 1e6 || *n == HNN_COMPARE_SIZES)
            status =
                cli_usage(c, "--sizes needs at most %d numbers of trajectories, as in 5,10,25, not '%.40s'",
                          HNN_COMPARE_SIZES, word);
        else
            size[(*n)++] = (int)x;
    }
    free(list);
    return status;
}

static int page(cli *c, const hnn_compare_result *r)
{
    hnn_text line = {0};
    cli_line(c, &line);
    cli_progress(c, "writing the report");
    int code = hnn_compare_page(r, cli_text(c, "out"), line.s, &c->error);
    hnn_text_free(&line);
    return code ? cli_error(c) : CLI_OK;
}

/* --equal-time: each model after the first once more, for as long as the first was trained */
static int equal_time(cli *c, hnn_compare_options *o, char label[HNN_COMPARE_MODELS][32])
{
    int models = o->models;
    if (!cli_has(c, "equal-time"))
        return CLI_OK;
    if (2 * models - 1 > HNN_COMPARE_MODELS)
        return cli_usage(c, "--equal-time: %d models and these again are more than %d", models,
                         HNN_COMPARE_MODELS);
    for (int k = 1; k < models; k++) {
        hnn_compare_model *m = &o->model[o->models++];
        *m = o->model[k];
        snprintf(label[k], sizeof label[k], "%.20s-equal-time", m->label ? m->label : m->spec.model);
        m->label = label[k], m->equal_time = k + 1;
    }
    return CLI_OK;
}

static int compare(cli *c, cli_setup *s)
{
    char label[HNN_COMPARE_MODELS][32];
    watch w = {.o = &s->o};
    hnn_compare_result r;
    int size[HNN_COMPARE_SIZES], sizes, status = sizes_of(c, size, &sizes);
    if (status == CLI_OK && sizes && s->o.data)
        status = cli_usage(c, "--sizes draws data anew: measured data have the size they have");
    status = status == CLI_OK ? equal_time(c, &s->o, label) : status;
    status = status == CLI_OK ? cli_log_open(c, &w.log, 0) : status;
    if (status != CLI_OK)
        return status;
    s->o.log = on_progress, s->o.user = &w, s->o.interrupt = cli_interrupt_flag();
    status = hnn_compare(&s->o, &r, &c->error) ? cli_error(c) : CLI_OK;
    if (status == CLI_OK) {
        s->o.log = NULL; /* the log is of the comparison */
        if (!r.interrupted && hnn_compare_sizes(&s->o, sizes, size, &r, &c->error))
            status = cli_error(c);
        r.interrupted |= cli_interrupted();
        if (status == CLI_OK)
            status = result_text(c, &r);
        if (s->o.energy) {
            hnn_text_printf(
                &c->out,
                "Stated energy: H = %s. The constant row is the floor of a model that conserves it.\n",
                cli_text(c, "H"));
            cli_json_text(&c->json, "stated_energy", cli_text(c, "H"));
        }
        sizes_text(c, &r);
        cli_result_json(c, &r);
        if (cli_text(c, "out") && status == CLI_OK)
            status = cli_result_keep(c, &r);
        if (cli_text(c, "out") && status == CLI_OK && !r.interrupted)
            status = page(c, &r);
        if (r.interrupted && status == CLI_OK)
            status = CLI_INTERRUPTED;
        c->show = status == CLI_INTERRUPTED;
        hnn_compare_free(&r);
    }
    cli_log_close(&w.log);
    return status;
}

static int run(cli *c) { return cli_with_setup(c, cli_text(c, "models"), compare); }

static const cli_option own[] = {
    {"models", "NAME,...", CLI_TEXT, NULL,
     "'noether list models'; hnn,node unless told, or those of the protocol", 0, 0},
    {"seeds", "N", CLI_INT, "3", "each draws data, noise and weights; with 10 or more p-values are printed",
     1, HNN_STATS_MAX_SEEDS},
    {"equal-time", NULL, CLI_FLAG, NULL,
     "each model after the first again, for as long as the first was trained: not the same bits each time", 0,
     0},
    {"sizes", "5,10,25", CLI_TEXT, NULL, "also train with so many trajectories: sample efficiency", 0, 0},
    {"long", "N", CLI_INT, "100000", "steps of the long horizon", 1, 1e9},
    {"drift-steps", "N", CLI_INT, "10000", "steps over which the model's own energy is followed", 1, 1e9},
    {"tangent-steps", "N", CLI_INT, "1000", "steps over which volume is followed", 1, 1e9},
    {"threads", "N", CLI_INT, "1", "runs at the same time; results do not depend on it", 1, 256},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own,
                                           cli_problem_options,
                                           cli_drawn_options,
                                           cli_sampling_options,
                                           cli_measured_options,
                                           cli_load_options,
                                           cli_model_options,
                                           cli_training_options,
                                           cli_common,
                                           NULL};
const cli_command cli_cmd_compare = {
    .name = "compare",
    .args = "SYSTEM|--H TEXT|--data FILE|--protocol NAME",
    .summary = "train models for several seeds, measure them, print one table",
    .more = "  noether compare pendulum --models hnn,node --seeds 3 --out run\n"
            "  noether compare --H \"p^2/2 + q^4/4\" --models separable,node\n"
            "  noether compare --data measured.txt --columns t=1,q=2,p=3 --coords qv\n",
    .groups = groups,
    .max_args = 1,
    .run = run};

/* ---- the demonstration: a comparison whose settings are a protocol ---- */

static int run_demo(cli *c)
{
    int status = run(c);
    if (status == CLI_OK)
        hnn_text_printf(&c->out, "Report: %s/report.html\n", cli_text(c, "out"));
    return status;
}

static const cli_option demo[] = {
    {"protocol", "NAME", CLI_TEXT, "demo", "'noether list protocols'", 0, 0},
    {"models", "NAME,...", CLI_TEXT, NULL, "instead of those of the protocol", 0, 0},
    {"seeds", "N", CLI_INT, "3", "each draws data, noise and weights", 1, HNN_STATS_MAX_SEEDS},
    {"steps", "N", CLI_INT, NULL, "of the optimiser, instead of those of the protocol", 1, 1e9},
    {"threads", "N", CLI_INT, "2", "runs at the same time; results do not depend on it", 1, 256},
    {"out", "DIR", CLI_TEXT, "noether-demo", "the report, weights, data, log", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const demo_groups[] = {
    demo, cli_problem_options, cli_measured_options, cli_load_options, cli_common, NULL};
const cli_command cli_cmd_demo = {
    .name = "demo",
    .args = "",
    .summary = "the pendulum, or measured data: a Hamiltonian network beside a neural ODE, with a report",
    .more = "  noether demo --data measured.txt --columns t=1,q=2,p=3 --coords qv\n",
    .groups = demo_groups,
    .run = run_demo};
