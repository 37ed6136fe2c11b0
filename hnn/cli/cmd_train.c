/* cmd_train.c - noether train: one model, with checkpoints. Invariant: a run that was interrupted and is resumed ends with the
 * weights, to the bit, of one that was not. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "compare_rows.h"
#include "linalg/linalg.h"
#include "result.h"
#include "setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void on_progress(void *user, const hnn_progress *p)
{
    cli_log *l = user;
    cli_log_line(l, cli_text(l->c, "model"), 0, p);
}

/* ---- constants of a text: standard errors, rank, what the data do not say ---- */

typedef struct fitted {
    int n;
    long rows, free; /* equations; those beyond the unknowns */
    double *r, *J, *s, *v,
        *se; /* residuals, their Jacobian, its singular values and right vectors, standard errors */
} fitted;

/* A direction whose singular value is below this share of the largest is not seen in the data: round-off of J. */
static const double unseen = 1e-10;

/* theta: the constants, then the trained starts, where there are some */
static int linearise(const hnn_compare_model *row, const hnn_model *m, const hnn_samples *x,
                     const double theta[], fitted *f, hnn_error *e)
{
    hnn_objective *o = NULL;
    const hnn_objective_options options = {.jacobian = 1};
    int code = hnn_objective_new(&row->loss, m, x, &options, &o, e), n = f->n = (int)m->size;
    f->rows = code ? 0 : hnn_objective_rows(o);
    f->free = code ? 0 : f->rows - hnn_objective_size(o);
    if (!code && f->free < 0)
        code = hnn_fail(e, HNN_ESHAPE, "%ld equations for %ld unknowns", f->rows, hnn_objective_size(o));
    f->r = calloc((size_t)f->rows + 1, sizeof *f->r);
    f->J = calloc((size_t)f->rows * (size_t)n + 1, sizeof *f->J);
    f->s = calloc((size_t)(2 * n + n * n), sizeof *f->s);
    if (!code && (!f->r || !f->J || !f->s))
        code = hnn_fail(e, HNN_EMEM, "out of memory for %ld equations of %d constants", f->rows, n);
    if (!code) {
        f->se = f->s + n, f->v = f->se + n;
        code = hnn_objective_residuals(o, theta, f->r, f->J, e);
    }
    code = code ? code : hnn_svd((int)f->rows, n, f->J, f->s, NULL, f->v, e);
    hnn_objective_free(o);
    return code;
}

static int constants(cli *c, const hnn_compare_model *row, const hnn_model *m, const hnn_samples *x,
                     const double starts[])
{
    fitted f = {0};
    long moved = starts ? x->n * 2 * x->dof : 0, each = 2 * x->dof;
    double *theta = malloc(sizeof *theta * (size_t)(m->size + moved));
    if (!theta)
        return cli_fail(c, "out of memory for %ld numbers", m->size + moved);
    memcpy(theta, m->theta, sizeof *theta * (size_t)m->size);
    for (long i = 0; i < moved; i++)
        theta[m->size + i] = starts[i] - x->z[i / each * x->states * each + i % each];
    int code = linearise(row, m, x, theta, &f, &c->error), n = f.n, rank = 0;
    free(theta);
    double square = 0;
    for (long i = 0; i < f.rows && !code; i++)
        square += f.r[i] * f.r[i];
    double sigma = f.free > 0 ? sqrt(square / (double)f.free) : NAN;
    for (int j = 0; j < n && !code; j++)
        rank += f.s[j] > unseen * f.s[0];
    if (!code) {
        hnn_text_printf(&c->out, "constants, with standard errors from the residuals of %ld equations\n",
                        f.rows);
        cli_json_array(&c->json, "constants");
    }
    for (int i = 0; i < n && !code; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++) /* in a direction that is not seen, anything goes */
            sum += j < rank                      ? f.v[i * n + j] * f.v[i * n + j] / (f.s[j] * f.s[j])
                   : fabs(f.v[i * n + j]) > 1e-8 ? INFINITY
                                                 : 0;
        f.se[i] = sigma * sqrt(sum);
        if (isinf(sum))
            hnn_text_printf(&c->out, "  %s = %.10g, not determined by the data\n", m->param[i].name,
                            m->theta[i]);
        else
            hnn_text_printf(&c->out, "  %s = %.10g +- %.2g\n", m->param[i].name, m->theta[i], f.se[i]);
        cli_json_object(&c->json, NULL);
        cli_json_text(&c->json, "name", m->param[i].name);
        cli_json_number(&c->json, "value", m->theta[i]);
        cli_json_number(&c->json, "standard_error", isinf(sum) ? NAN : f.se[i]);
        cli_json_close(&c->json);
    }
    if (!code) {
        cli_json_close(&c->json);
        cli_json_int(&c->json, "rank", rank);
        hnn_text_printf(&c->out, "rank %d of %d\n", rank, n);
        cli_json_array(&c->json, "not_determined");
        for (int j = rank; j < n; j++) {
            double direction[CLI_CONSTANTS];
            hnn_text_add(&c->out, "not determined:");
            for (int i = 0; i < n && i < CLI_CONSTANTS; i++) {
                direction[i] = f.v[i * n + j];
                if (fabs(direction[i]) > 1e-8)
                    hnn_text_printf(&c->out, " %+.4g %s", direction[i], m->param[i].name);
            }
            hnn_text_add(&c->out, "\n");
            cli_json_numbers(&c->json, NULL, n < CLI_CONSTANTS ? n : CLI_CONSTANTS, direction);
        }
        cli_json_close(&c->json);
    }
    free(f.r), free(f.J), free(f.s);
    return code ? cli_error(c) : CLI_OK;
}

/* ---- the run ---- */

static int measure(cli *c, const cli_setup *s, const hnn_drawn *d, hnn_compare_run *run)
{
    static const int ids[] = {HNN_FIELD_ERROR, HNN_ROLLOUT_ERROR, HNN_ENERGY_MSE_TRUE};
    const hnn_metric *v = run->metric;
    hnn_flow *truth = NULL, *energy = NULL;
    int code = s->o.data ? HNN_OK : hnn_flow_new(s->problem.model, NULL, &truth, &c->error);
    code = code || !s->o.energy ? code : hnn_flow_new(s->o.energy, NULL, &energy, &c->error);
    hnn_test t = {.truth = truth,
                  .energy = energy,
                  .clean = &d->test,
                  .train = &d->clean,
                  .angles = s->o.data ? 0 : s->problem.row.angles,
                  .skip = ~0u};
    for (size_t k = 0; k < sizeof ids / sizeof *ids; k++)
        t.skip &= ~(1u << ids[k]);
    code = code ? code : hnn_measure(run->model, &t, run->metric, &c->error);
    for (size_t k = 0; k < sizeof ids / sizeof *ids && !code; k++) {
        const hnn_metric *x = &v[ids[k]];
        cli_json_number(&c->json, hnn_metric_name(ids[k]), x->why ? NAN : x->value);
        if (x->why)
            hnn_text_printf(&c->out, "%s: none, %s\n", hnn_metric_name(ids[k]), x->why);
        else
            hnn_text_printf(&c->out, "%s on held-out data: %.3g%s\n", hnn_metric_name(ids[k]), x->value,
                            x->estimated ? " (against estimated derivatives)" : "");
    }
    hnn_flow_free(truth), hnn_flow_free(energy);
    return code ? cli_error(c) : CLI_OK;
}

static int save(cli *c, const hnn_model *m)
{
    char *path = cli_path(c, "model.safetensors");
    int status = CLI_OK;
    if (!path || hnn_model_save(path, m, HNN_F64, &c->error))
        status = path ? cli_error(c) : cli_fail(c, "out of memory");
    else
        hnn_text_printf(&c->out, "weights: %s\n", path);
    free(path);
    return status;
}

/* the same as a comparison of one model and one seed: for results.json, the data files and the report */
static int as_comparison(cli *c, cli_setup *s, hnn_drawn *d, hnn_compare_run *run)
{
    hnn_compare_row row = {.parameters = run->model->size, .run = run};
    hnn_compare_result r = {.dof = run->model->spec.dof,
                            .seeds = 1,
                            .rows = 1,
                            .row = &row,
                            .train = &d->train,
                            .test = &d->test,
                            .truth = s->o.data ? NULL : s->problem.model,
                            .angles = s->o.data ? 0 : s->problem.row.angles,
                            .interrupted = run->training.end == HNN_INTERRUPTED};
    snprintf(row.label, sizeof row.label, "%s", run->model->row->name);
    hnn_compare_name(&s->o, &r);
    if (s->o.energy && hnn_model_copy(s->o.energy, &r.stated, &c->error))
        return cli_error(c);
    int status = hnn_compare_summarise(&r, s->o.seed, &c->error) ? cli_error(c) : CLI_OK;
    if (status == CLI_OK)
        cli_result_json(c, &r);
    if (status == CLI_OK && cli_text(c, "out"))
        status = cli_result_data(c, &r);
    hnn_model_free(r.stated);
    return status;
}

static int finish(cli *c, cli_setup *s, hnn_drawn *d, hnn_compare_run *run, const hnn_samples *x)
{
    static const char *const ends[] = {"trained", "stopped early", "interrupted", "diverged"};
    const hnn_train_result *r = &run->training;
    const hnn_model *m = run->model;
    cli_json_text(&c->json, "model", m->row->name);
    cli_json_text(&c->json, "learns", m->row->learns);
    cli_json_int(&c->json, "parameters", m->size);
    cli_json_int(&c->json, "samples", x->n);
    cli_json_text(&c->json, "end", ends[r->end]);
    cli_json_int(&c->json, "steps", r->steps);
    cli_json_number(&c->json, "loss", r->loss);
    cli_json_number(&c->json, "validation", r->validation);
    cli_json_number(&c->json, "seconds", r->seconds);
    hnn_text_printf(&c->out, "%s, %ld parameters, %ld samples: %s after %ld steps, loss %.3g", m->row->name,
                    m->size, x->n, ends[r->end], r->steps, r->loss);
    if (isfinite(r->validation))
        hnn_text_printf(&c->out, ", validation %.3g at step %ld", r->validation, r->best_step);
    hnn_text_add(&c->out, "\n");
    int status = cli_text(c, "out") ? save(c, m) : CLI_OK;
    for (int id = 0; id < HNN_METRICS; id++)
        run->metric[id] = (hnn_metric){.value = NAN, .extra = NAN, .why = "interrupted"};
    if (r->end == HNN_INTERRUPTED && status == CLI_OK) {
        c->show = 1;
        status = as_comparison(c, s, d, run);
        return status == CLI_OK ? CLI_INTERRUPTED : status;
    }
    if (status == CLI_OK && (m->row->flags & HNN_MODEL_TEXT) && m->size && m->size <= CLI_CONSTANTS)
        status = constants(c, &s->o.model[0], m, x, r->starts);
    if (status == CLI_OK)
        status = measure(c, s, d, run);
    if (status == CLI_OK)
        status = as_comparison(c, s, d, run);
    if (r->end == HNN_DIVERGED && status == CLI_OK) {
        c->show = 1;
        return cli_fail(c, "the loss left the finite numbers: a smaller --rate may help");
    }
    return status;
}

static int train(cli *c, cli_setup *s)
{
    hnn_compare_model *row = &s->o.model[0];
    hnn_train_options t = row->train;
    hnn_drawn d = {0};
    hnn_compare_run one = {0};
    hnn_samples x = {0}, v = {0};
    cli_log log = {0};
    int dof = s->o.data ? s->data.dof : s->problem.dof, status;
    if (s->o.models != 1)
        return cli_usage(c, "--model names one model; compare takes several");
    if (cli_has(c, "resume") && !cli_text(c, "out"))
        return cli_usage(c, "--resume needs the --out DIR of the run that goes on");
    char *checkpoint = cli_path(c, "checkpoint");
    t.seed = s->o.seed, t.interrupt = cli_interrupt_flag(), t.log = on_progress, t.user = &log;
    t.checkpoint = checkpoint, t.checkpoint_every = cli_int(c, "checkpoint-every"),
    t.resume = cli_has(c, "resume");
    int code = hnn_compare_data(&s->o, s->o.data ? NULL : s->problem.model, s->o.seed, &d, &c->error);
    code = code ? code : hnn_compare_model_new(row, dof, &d.train, 0, s->o.seed, &one.model, &c->error);
    code = code ? code : hnn_samples_new(&row->loss, one.model, &d.train, &x, &c->error);
    if (!code && d.validation.ntraj)
        code = hnn_samples_new(&row->loss, one.model, &d.validation, &v, &c->error);
    status = code ? cli_error(c) : cli_log_open(c, &log, t.resume);
    if (status == CLI_OK && one.model->size) {
        code = row->curriculum
                   ? hnn_train_windows(one.model, &row->loss, &d.train, v.n ? &d.validation : NULL, &t,
                                       &one.training, &c->error)
                   : hnn_train(one.model, &row->loss, &x, v.n ? &v : NULL, &t, &one.training, &c->error);
        status = code ? cli_error(c) : CLI_OK;
    }
    if (status == CLI_OK)
        status = finish(c, s, &d, &one, &x);
    cli_log_close(&log);
    free(checkpoint);
    hnn_train_result_free(&one.training);
    hnn_samples_free(&x), hnn_samples_free(&v);
    hnn_drawn_free(&d);
    hnn_model_free(one.model);
    return status;
}

static int run(cli *c) { return cli_with_setup(c, cli_text(c, "model"), train); }

static const cli_option own[] = {
    {"model", "NAME", CLI_TEXT, "hnn", "'noether list models'", 0, 0},
    {"resume", NULL, CLI_FLAG, NULL, "go on from the checkpoint in --out: the same bits as without the break",
     0, 0},
    {"checkpoint-every", "N", CLI_INT, "500", "steps between checkpoints in --out", 1, 1e12},
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
const cli_command cli_cmd_train = {
    .name = "train",
    .args = "SYSTEM|--H TEXT|--data FILE",
    .summary = "train one model; interrupt it, resume it",
    .more = "  noether train pendulum --model separable --steps 5000 --out run\n"
            "  noether train --data m.csv --model text --model-H \"p^2/(2*m)+k*q^2\" --fit m=1,k=1\n",
    .groups = groups,
    .max_args = 1,
    .run = run};
