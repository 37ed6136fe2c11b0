/* result.c - a comparison as JSON and as files in the run folder. Invariant: results.json, log.jsonl, the weights and the data of
 * the first seed are all that a report is made of, so folder.c can read it back. */
/* SPDX-License-Identifier: MIT */
#include "result.h"
#include "array.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void cli_result_json(cli *c, const hnn_compare_result *r)
{
    cli_json *j = &c->json;
    cli_json_text(j, "system", r->system);
    cli_json_int(j, "degrees_of_freedom", r->dof);
    cli_json_int(j, "angles", (long)r->angles);
    cli_json_int(j, "seed", cli_int(c, "seed"));
    cli_json_object(j, "units");
    static const char *const of[] = {"q", "p", "t"};
    for (int k = 0; k < 3; k++)
        cli_json_text(j, of[k], *r->unit[k] ? r->unit[k] : NULL);
    cli_json_close(j);
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
        double seconds[HNN_STATS_MAX_SEEDS];
        for (int s = 0; s < r->seeds && s < HNN_STATS_MAX_SEEDS; s++)
            seconds[s] = row->run[s].training.seconds;
        if (!row->reference)
            cli_json_numbers(j, "train_seconds_values", r->seeds, seconds);
        for (int id = 0; id < HNN_METRICS; id++)
            metric_json(j, r, row, id);
        cli_json_array(j, "sample_efficiency");
        for (int i = 0; i < r->sizes && !row->reference && k < HNN_COMPARE_MODELS; i++) {
            cli_json_object(j, NULL);
            cli_json_int(j, "trajectories", r->size[i].trajectories);
            for (int a = 0; a < HNN_SIZE_METRICS; a++) {
                cli_json_object(j, hnn_metric_name(hnn_size_metric(a)));
                summary_json(j, &r->size[i].summary[k][a]);
                cli_json_close(j);
            }
            cli_json_close(j);
        }
        cli_json_close(j);
        cli_json_close(j);
    }
    cli_json_close(j);
}

/* `what` is written to FILE of the run folder */
static int keep(cli *c, const char *file, const hnn_model *m, const hnn_data *d)
{
    char *path = cli_path(c, file);
    int bad = !path || (m ? hnn_model_save(path, m, HNN_F64, &c->error) : hnn_data_save(path, d, &c->error));
    int status = !bad ? CLI_OK : path ? cli_error(c) : cli_fail(c, "out of memory");
    free(path);
    return status;
}

int cli_result_data(cli *c, const hnn_compare_result *r)
{
    int status = r->truth ? keep(c, "truth.safetensors", r->truth, NULL) : CLI_OK;
    if (status == CLI_OK && r->stated)
        status = keep(c, "stated.safetensors", r->stated, NULL);
    if (status == CLI_OK)
        status = keep(c, "train.npz", NULL, &r->train[0]);
    return status == CLI_OK ? keep(c, "test.npz", NULL, &r->test[0]) : status;
}

int cli_result_keep(cli *c, const hnn_compare_result *r)
{
    char name[96];
    int status = CLI_OK;
    for (int k = 0; k < r->rows; k++)
        for (int s = 0; s < r->seeds && !r->row[k].reference && status == CLI_OK; s++) {
            snprintf(name, sizeof name, "%.32s-%d.safetensors", r->row[k].label, s + 1);
            if (r->row[k].run[s].model)
                status = keep(c, name, r->row[k].run[s].model, NULL);
        }
    return status == CLI_OK ? cli_result_data(c, r) : status;
}
