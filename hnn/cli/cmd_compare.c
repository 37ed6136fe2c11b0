/* cmd_compare.c - noether compare, noether demo: train every model for every seed, measure, print one table. Invariant: what
 * stdout, results.json and the report say comes from one hnn_compare_result. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "report.h"
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

static void summary_json(cli_json *j, const hnn_summary *s)
{
    const double iqr[2] = {s->q1, s->q3};
    cli_json_number(j, "median", s->n ? s->median : NAN);
    cli_json_numbers(j, "iqr", 2, s->n ? iqr : (const double[]){NAN, NAN});
    cli_json_int(j, "seeds", s->n);
    cli_json_int(j, "diverged_seeds", s->diverged);
}

static void metric_json(cli_json *j, const hnn_compare_result *r, const hnn_compare_row *row, int id)
{
    const hnn_metric *m = &row->run[0].metric[id];
    const hnn_comparison *a = &row->against[id];
    double value[HNN_STATS_MAX_SEEDS], extra[HNN_STATS_MAX_SEEDS];
    long count = 0, diverged = 0;
    int n = r->seeds < HNN_STATS_MAX_SEEDS ? r->seeds : HNN_STATS_MAX_SEEDS;
    for (int s = 0; s < n; s++) {
        value[s] = row->run[s].metric[id].why ? NAN : row->run[s].metric[id].value;
        extra[s] = row->run[s].metric[id].why ? NAN : row->run[s].metric[id].extra;
        count += row->run[s].metric[id].count, diverged += row->run[s].metric[id].diverged;
    }
    cli_json_object(j, hnn_metric_name(id));
    summary_json(j, &row->summary[id]);
    cli_json_numbers(j, "values", n, value);
    if (m->why)
        cli_json_text(j, "reason", m->why);
    if (id == HNN_ENERGY_MSE_TRUE || id == HNN_LONG_HORIZON)
        cli_json_numbers(j, id == HNN_LONG_HORIZON ? "censored" : "median_over_starts", n, extra);
    cli_json_text(j, "integrator", m->integrator);
    cli_json_number(j, "h", m->h > 0 ? m->h : NAN);
    cli_json_number(j, "horizon", m->horizon > 0 ? m->horizon : NAN);
    cli_json_int(j, "count", count);
    cli_json_int(j, "diverged", diverged);
    cli_json_bool(j, "by_construction", hnn_by_construction(row->run[0].model, id));
    if (m->estimated)
        cli_json_bool(j, "estimated", 1);
    if (!row->reference && a->n > 0 && isfinite(a->ratio)) {
        cli_json_object(j, "against_first");
        cli_json_number(j, "ratio", a->ratio);
        cli_json_numbers(j, "interval", 2, (const double[]){a->lo, a->hi});
        cli_json_number(j, "p", a->p);
        cli_json_close(j);
    }
    cli_json_close(j);
}

/* sample efficiency: medians of a few metrics for each size */
static const int size_metrics[] = {HNN_FIELD_ERROR, HNN_ROLLOUT_ERROR, HNN_ENERGY_MSE_TRUE};
enum { SIZES = 16, SIZE_METRICS = sizeof size_metrics / sizeof *size_metrics };
typedef struct sizes {
    int n, size[SIZES];
    hnn_summary s[SIZES][HNN_COMPARE_MODELS][SIZE_METRICS];
} sizes;

static void result_json(cli *c, const hnn_compare_result *r, const sizes *z)
{
    cli_json *j = &c->json;
    cli_json_text(j, "system", r->system);
    cli_json_int(j, "degrees_of_freedom", r->dof);
    cli_json_int(j, "seeds", r->seeds);
    cli_json_int(j, "training_trajectories", r->train[0].ntraj);
    cli_json_int(j, "training_states", r->train[0].n);
    cli_json_int(j, "test_trajectories", r->test[0].ntraj);
    cli_json_bool(j, "interrupted", r->interrupted);
    cli_json_array(j, "models");
    for (int k = 0; k < r->rows; k++) {
        const hnn_compare_row *row = &r->row[k];
        const hnn_model *m = row->run[0].model;
        cli_json_object(j, NULL);
        cli_json_text(j, "name", row->label);
        cli_json_text(j, "reference",
                      row->reference == 1   ? "true H"
                      : row->reference == 2 ? "constant predictor"
                                            : NULL);
        cli_json_text(j, "model", m ? m->row->name : NULL);
        cli_json_text(j, "learns", m ? m->row->learns : NULL);
        cli_json_int(j, "parameters", row->parameters);
        cli_json_number(j, "train_seconds", row->reference ? NAN : row->seconds.median);
        for (int id = 0; id < HNN_METRICS; id++)
            metric_json(j, r, row, id);
        cli_json_array(j, "sample_efficiency");
        for (int i = 0; i < z->n && !row->reference && k < HNN_COMPARE_MODELS; i++) {
            cli_json_object(j, NULL);
            cli_json_int(j, "trajectories", z->size[i]);
            for (int a = 0; a < SIZE_METRICS; a++) {
                cli_json_object(j, hnn_metric_name(size_metrics[a]));
                summary_json(j, &z->s[i][k][a]);
                cli_json_close(j);
            }
            cli_json_close(j);
        }
        cli_json_close(j);
        cli_json_close(j);
    }
    cli_json_close(j);
}

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

static void sizes_text(cli *c, const hnn_compare_result *r, const sizes *z)
{
    for (int a = 0; a < SIZE_METRICS && z->n; a++) {
        hnn_text_printf(&c->out, "\n%s by number of trajectories\n", hnn_metric_name(size_metrics[a]));
        for (int i = 0; i < z->n; i++) {
            hnn_text_printf(&c->out, "%6d", z->size[i]);
            for (int k = 0; k < r->rows && !r->row[k].reference; k++) {
                hnn_text_printf(&c->out, "   %s ", r->row[k].label);
                hnn_short_number(&c->out, z->s[i][k][a].median);
                hnn_text_add(&c->out, " [");
                hnn_short_number(&c->out, z->s[i][k][a].q1);
                hnn_text_add(&c->out, ", ");
                hnn_short_number(&c->out, z->s[i][k][a].q3);
                hnn_text_add(&c->out, "]");
            }
            hnn_text_add(&c->out, "\n");
        }
    }
}

/* weights of every run, data of the first seed, the page */
static int keep(cli *c, const hnn_compare_result *r, const hnn_model *energy)
{
    char name[96];
    int status = CLI_OK;
    for (int k = 0; k < r->rows; k++)
        for (int s = 0; s < r->seeds && !r->row[k].reference && status == CLI_OK; s++) {
            snprintf(name, sizeof name, "%.32s-%d.safetensors", r->row[k].label, s + 1);
            char *path = cli_path(c, name);
            if (!path)
                return cli_fail(c, "out of memory");
            if (r->row[k].run[s].model && hnn_model_save(path, r->row[k].run[s].model, HNN_F64, &c->error))
                status = cli_error(c);
            free(path);
        }
    const hnn_data *data[] = {&r->train[0], &r->test[0]};
    static const char *const file[] = {"train.npz", "test.npz"};
    for (int k = 0; k < 2 && status == CLI_OK; k++) {
        char *path = cli_path(c, file[k]);
        if (!path || hnn_data_save(path, data[k], &c->error))
            status = path ? cli_error(c) : cli_fail(c, "out of memory");
        free(path);
    }
    if (status != CLI_OK || r->interrupted)
        return status;
    hnn_text line = {0};
    hnn_text_printf(&line, "noether %s", c->command->name);
    for (int i = 0; i < c->argc; i++)
        hnn_text_printf(&line, " %s", c->argv[i]);
    for (int i = 0; i < c->ngiven; i++)
        if (strcmp(c->given[i].option->name, "out"))
            hnn_text_printf(&line,
                            strpbrk(c->given[i].text, " *()^") ? " --%s \"%s\""
                            : *c->given[i].text                ? " --%s %s"
                                                               : " --%s",
                            c->given[i].option->name, c->given[i].text);
    cli_progress(c, "writing the report");
    if (hnn_compare_page(r, energy, cli_text(c, "out"), line.s, &c->error))
        status = cli_error(c);
    hnn_text_free(&line);
    return status;
}

/* ---- running ---- */

static int compare_sizes(cli *c, hnn_compare_options o, sizes *z)
{
    char *list = strdup(cli_text(c, "sizes") ? cli_text(c, "sizes") : ""), *save;
    int status = list ? CLI_OK : cli_fail(c, "out of memory");
    for (char *word = list ? strtok_r(list, ",", &save) : NULL; word && status == CLI_OK;
         word = strtok_r(NULL, ",", &save)) {
        double n;
        if (!cli_number(word, &n) || n < 1 || n != floor(n) || n > 1e6 || z->n == SIZES)
            status =
                cli_usage(c, "--sizes needs at most %d numbers of trajectories, as in 5,10,25, not '%.40s'",
                          SIZES, word);
        else
            z->size[z->n++] = (int)n;
    }
    o.budget.skip = ~0u;
    for (int a = 0; a < SIZE_METRICS; a++)
        o.budget.skip &= ~(1u << size_metrics[a]);
    for (int i = 0; i < z->n && status == CLI_OK; i++) {
        hnn_compare_result r;
        o.trajectories = z->size[i];
        if (hnn_compare(&o, &r, &c->error))
            status = cli_error(c);
        else {
            for (int k = 0; k < o.models; k++)
                for (int a = 0; a < SIZE_METRICS; a++)
                    z->s[i][k][a] = r.row[k].summary[size_metrics[a]];
            hnn_compare_free(&r);
        }
        if (cli_interrupted())
            status = CLI_INTERRUPTED;
    }
    free(list);
    return status;
}

static int compare(cli *c, cli_setup *s)
{
    watch w = {.o = &s->o};
    hnn_compare_result r;
    sizes z = {0};
    int status = cli_log_open(c, &w.log, 0);
    if (status != CLI_OK)
        return status;
    s->o.log = on_progress, s->o.user = &w, s->o.interrupt = cli_interrupt_flag();
    status = hnn_compare(&s->o, &r, &c->error) ? cli_error(c) : CLI_OK;
    if (status == CLI_OK) {
        if (!r.interrupted && cli_text(c, "sizes") && !s->o.data)
            status = compare_sizes(c, s->o, &z);
        if (status == CLI_OK)
            status = result_text(c, &r);
        if (s->o.energy) {
            hnn_text_printf(
                &c->out,
                "Stated energy: H = %s. The constant row is the floor of a model that conserves it.\n",
                cli_text(c, "H"));
            cli_json_text(&c->json, "stated_energy", cli_text(c, "H"));
        }
        sizes_text(c, &r, &z);
        result_json(c, &r, &z);
        if (cli_text(c, "out") && status == CLI_OK)
            status = keep(c, &r, s->o.energy);
        if (r.interrupted && status == CLI_OK)
            status = CLI_INTERRUPTED;
        c->show = status == CLI_INTERRUPTED;
        hnn_compare_free(&r);
    }
    cli_log_close(&w.log);
    return status;
}

static int run(cli *c)
{
    cli_setup s;
    int status = cli_setup_open(c, &s, cli_text(c, "models"));
    if (status == CLI_OK)
        status = compare(c, &s);
    cli_setup_close(&s);
    return status;
}

static const cli_option own[] = {
    {"models", "NAME,...", CLI_TEXT, NULL,
     "'noether list models'; hnn,node unless told, or those of the protocol", 0, 0},
    {"seeds", "N", CLI_INT, "3", "each draws data, noise and weights; with 10 or more p-values are printed",
     1, HNN_STATS_MAX_SEEDS},
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
static const cli_option *const demo_groups[] = {demo, cli_common, NULL};
const cli_command cli_cmd_demo = {
    .name = "demo",
    .args = "",
    .summary = "the pendulum: a Hamiltonian network beside a neural ODE, with a report",
    .groups = demo_groups,
    .run = run_demo};
