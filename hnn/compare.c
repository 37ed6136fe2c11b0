/* compare.c - the main job. Invariant: a run (model, seed) reads the seed's data and writes its own entry only, so any
 * number of threads gives the same result. */
/* SPDX-License-Identifier: MIT */
#include "compare.h"
#include "compare_rows.h"
#include "metrics_rows.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct job {
    const hnn_compare_options *o;
    hnn_compare_result *r;
    hnn_drawn *drawn;        /* [seeds] */
    const hnn_model *energy; /* the result's */
    hnn_model *still;        /* the constant predictor: H = 0 */
    long parameters;         /* of the first model, when counts are matched */
    int next, failed;
    int later;                      /* 0: what does not depend on the clock; then what does */
    long steps[HNN_COMPARE_MODELS]; /* of those with equal_time */
    hnn_error error;
    pthread_mutex_t lock;
} job;

typedef struct logging {
    const hnn_compare_options *o;
    int model, seed;
} logging;

static void forward_log(void *user, const hnn_progress *p)
{
    const logging *l = user;
    l->o->log(l->o->user, l->model, l->seed, p);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static unsigned angles_of(const hnn_compare_options *o)
{
    return o->budget.angles ? o->budget.angles : o->system ? o->system->angles : 0;
}

int hnn_compare_model_new(const hnn_compare_model *c, int dof, const hnn_data *train, long parameters,
                          uint64_t seed, hnn_model **out, hnn_error *e)
{
    hnn_model_spec s = c->spec;
    int size = 2 * dof, code = HNN_OK;
    double *scales = NULL;
    s.dof = dof;
    if (parameters && !s.width)
        s.parameters = parameters;
    if (c->scaled) {
        scales = malloc(3 * sizeof *scales * (size_t)size);
        if (!scales)
            return hnn_fail(e, HNN_EMEM, "compare: out of memory");
        code = hnn_scaling(train, scales, scales + size, scales + 2 * size, &s.energy_scale, e);
        s.mean = scales, s.scale = scales + size, s.rate_scale = scales + 2 * size;
    }
    code = code ? code : hnn_model_new(&s, seed, out, e);
    free(scales);
    return code;
}

static int make_model(const job *j, int model, int seed, hnn_model **out, hnn_error *e)
{
    return hnn_compare_model_new(&j->o->model[model], j->r->dof, &j->drawn[seed].train,
                                 j->o->match && model > 0 ? j->parameters : 0, j->o->seed + (uint64_t)seed,
                                 out, e);
}

static int train_one(const job *j, int model, int seed, hnn_compare_run *run, hnn_error *e)
{
    const hnn_compare_options *o = j->o;
    const hnn_compare_model *c = &o->model[model];
    const hnn_drawn *d = &j->drawn[seed];
    logging log = {o, model, seed};
    hnn_train_options t = c->train;
    hnn_samples x = {0}, v = {0};
    t.seed = o->seed + (uint64_t)seed, t.interrupt = o->interrupt, t.pool = NULL, t.checkpoint = NULL;
    t.log = o->log ? forward_log : NULL, t.user = &log;
    t.steps = c->equal_time ? j->steps[model] : t.steps;
    int code = make_model(j, model, seed, &run->model, e);
    if (code || !run->model->size)
        return code;
    if (c->curriculum)
        return hnn_train_windows(run->model, &c->loss, &d->train, &d->validation, &t, &run->training, e);
    code = hnn_samples_new(&c->loss, run->model, &d->train, &x, e);
    if (!code && d->validation.ntraj)
        code = hnn_samples_new(&c->loss, run->model, &d->validation, &v, e);
    code = code ? code : hnn_train(run->model, &c->loss, &x, v.n ? &v : NULL, &t, &run->training, e);
    hnn_samples_free(&x);
    hnn_samples_free(&v);
    return code;
}

static int measure_one(const job *j, int seed, const hnn_model *m, hnn_compare_run *run, hnn_error *e)
{
    const hnn_compare_options *o = j->o;
    const hnn_drawn *d = &j->drawn[seed];
    hnn_test test = o->budget;
    hnn_flow *truth = NULL, *energy = NULL;
    int code = j->r->truth ? hnn_flow_new(j->r->truth, NULL, &truth, e) : HNN_OK;
    code = code || !j->energy ? code : hnn_flow_new(j->energy, NULL, &energy, e);
    test.truth = truth, test.energy = energy, test.clean = &d->test, test.train = &d->clean,
    test.angles = angles_of(o);
    double start = now();
    code = code ? code : hnn_measure(m, &test, run->metric, e);
    run->measure_seconds = now() - start;
    hnn_flow_free(truth);
    hnn_flow_free(energy);
    return code;
}

static int run_one(job *j, int row, int seed, hnn_error *e)
{
    hnn_compare_row *r = &j->r->row[row];
    if (r->reference)
        return measure_one(j, seed, r->reference == 1 ? j->r->truth : j->still, &r->run[seed], e);
    int code = train_one(j, row, seed, &r->run[seed], e);
    if (code || r->run[seed].training.end == HNN_INTERRUPTED)
        return code;
    return measure_one(j, seed, r->run[seed].model, &r->run[seed], e);
}

static void *worker(void *user)
{
    job *j = user;
    for (;;) {
        pthread_mutex_lock(&j->lock);
        int task = j->next++, stop = j->failed || (j->o->interrupt && *j->o->interrupt);
        pthread_mutex_unlock(&j->lock);
        if (stop || task >= j->r->rows * j->r->seeds)
            return NULL;
        hnn_error e = {0}; /* seed by seed, so that an interrupted comparison has whole seeds */
        int row = task % j->r->rows;
        if ((row < j->o->models && j->o->model[row].equal_time) != j->later)
            continue;
        int code = run_one(j, row, task / j->r->rows, &e);
        pthread_mutex_lock(&j->lock);
        if (code && !j->failed)
            j->failed = code, j->error = e;
        pthread_mutex_unlock(&j->lock);
    }
}

static void run_all(job *j)
{
    int threads = j->o->threads > 1 ? j->o->threads : 1, started = 0;
    pthread_t *more = calloc((size_t)threads, sizeof *more);
    pthread_mutex_init(&j->lock, NULL);
    for (; more && started < threads - 1; started++)
        if (pthread_create(&more[started], NULL, worker, j))
            break; /* fewer threads, the same result */
    worker(j);
    for (int k = 0; k < started; k++)
        pthread_join(more[k], NULL);
    pthread_mutex_destroy(&j->lock);
    free(more);
}

/* ---- Over seeds ----------------------------------------------------------------------------------------------------- */

/* Values of one metric over the seeds that have one; how many. */
static int gather(const hnn_compare_row *r, int seeds, int id, double x[])
{
    int n = 0;
    for (int k = 0; k < seeds; k++)
        if (!r->run[k].metric[id].why)
            x[n++] = r->run[k].metric[id].value;
    return n;
}

int hnn_compare_summarise(hnn_compare_result *r, uint64_t seed, hnn_error *e)
{
    double *a = malloc(2 * sizeof *a * (size_t)r->seeds), *b = a ? a + r->seeds : NULL;
    int code = a ? HNN_OK : hnn_fail(e, HNN_EMEM, "compare: out of memory");
    for (int k = 0; k < r->rows && !code; k++) {
        hnn_compare_row *row = &r->row[k];
        double p[HNN_METRICS];
        for (int id = 0; id < HNN_METRICS && !code; id++) {
            int n = gather(row, r->seeds, id, b), first = gather(&r->row[0], r->seeds, id, a);
            code = hnn_summarise(n, b, &row->summary[id], e);
            row->against[id] = (hnn_comparison){.ratio = NAN, .lo = NAN, .hi = NAN, .p = NAN};
            if (!code && k && n == r->seeds && first == n && n <= HNN_STATS_MAX_SEEDS)
                code =
                    hnn_compare_seeds(n, a, b, seed, (uint64_t)(k * HNN_METRICS + id), &row->against[id], e);
            p[id] = row->against[id].p;
        }
        code = code ? code : hnn_holm(HNN_METRICS, p, e);
        for (int id = 0; id < HNN_METRICS && !code; id++)
            row->against[id].p = p[id];
        for (int i = 0; i < r->seeds && !code; i++)
            a[i] = row->run[i].training.seconds;
        code = code ? code : hnn_summarise(r->seeds, a, &row->seconds, e);
    }
    free(a);
    return code;
}

/* ---- Set-up ---------------------------------------------------------------------------------------------------------- */

static int set_rows(job *j, hnn_error *e)
{
    const hnn_compare_options *o = j->o;
    hnn_compare_result *r = j->r;
    r->rows = o->models + (r->truth != NULL) + 1;
    r->row = calloc((size_t)r->rows, sizeof *r->row);
    for (int k = 0; k < r->rows && r->row; k++) {
        hnn_compare_row *row = &r->row[k];
        row->run = calloc((size_t)r->seeds, sizeof *row->run);
        if (!row->run)
            return hnn_fail(e, HNN_EMEM, "compare: out of memory for %d seeds", r->seeds);
        for (int i = 0; i < r->seeds * HNN_METRICS; i++)
            row->run[i / HNN_METRICS].metric[i % HNN_METRICS] =
                (hnn_metric){.value = NAN, .extra = NAN, .why = "interrupted"};
        row->reference = k < o->models ? 0 : r->truth && k == o->models ? 1 : 2;
        const char *label = row->reference == 1   ? "true H"
                            : row->reference == 2 ? "constant"
                            : o->model[k].label   ? o->model[k].label
                                                  : o->model[k].spec.model;
        snprintf(row->label, sizeof row->label, "%s", label ? label : "?");
        hnn_model *m;
        int code = row->reference ? HNN_OK : make_model(j, k, 0, &m, e);
        if (code)
            return code;
        if (row->reference)
            continue;
        row->parameters = m->size;
        j->parameters = k ? j->parameters : m->size;
        hnn_model_free(m);
    }
    return r->row ? HNN_OK : hnn_fail(e, HNN_EMEM, "compare: out of memory");
}

void hnn_compare_name(const hnn_compare_options *o, hnn_compare_result *r)
{
    const hnn_system *s = o->data || o->typed ? NULL : o->system;
    const char *unit[] = {s ? s->unit_q : NULL, s ? s->unit_p : NULL, s ? s->unit_t : NULL};
    snprintf(r->system, sizeof r->system, "%s", o->data ? "data" : o->typed ? "typed" : s->name);
    for (int k = 0; k < 3; k++)
        snprintf(r->unit[k], sizeof r->unit[k], "%s", unit[k] ? unit[k] : "");
}

static int set_up(job *j, hnn_error *e)
{
    const hnn_compare_options *o = j->o;
    hnn_compare_result *r = j->r;
    int code = HNN_OK;
    r->seeds = o->seeds ? o->seeds : 3;
    if (r->seeds < 1 || o->models < 1 || o->models > HNN_COMPARE_MODELS)
        return hnn_fail(e, HNN_EARG, "compare: %d seeds, %d models; needed at least 1, and 1 to %d", r->seeds,
                        o->models, HNN_COMPARE_MODELS);
    for (int k = 0; k < o->models; k++)
        if (o->model[k].equal_time < 0 || o->model[k].equal_time > k)
            return hnn_fail(e, HNN_EARG,
                            "compare: model %d is to be as model %d, which does not stand before it", k,
                            o->model[k].equal_time - 1);
    if (!o->data && !o->system && !o->typed)
        return hnn_fail(e, HNN_EARG, "compare: needs a system, a typed H or data");
    if (!o->data)
        code = o->typed ? hnn_model_copy(o->typed, &r->truth, e)
                        : hnn_model_system(o->system, o->dof, o->value, &r->truth, e);
    if (code)
        return code;
    r->dof = o->data ? o->data->dof : r->truth->spec.dof;
    r->angles = angles_of(o);
    hnn_compare_name(o, r);
    j->drawn = calloc((size_t)r->seeds, sizeof *j->drawn);
    r->train = calloc((size_t)r->seeds, sizeof *r->train),
    r->test = calloc((size_t)r->seeds, sizeof *r->test);
    if (!j->drawn || !r->train || !r->test)
        return hnn_fail(e, HNN_EMEM, "compare: out of memory for %d seeds", r->seeds);
    for (int k = 0; k < r->seeds && !code; k++)
        code = hnn_compare_data(o, r->truth, o->seed + (uint64_t)k, &j->drawn[k], e);
    hnn_model_spec zero = {.model = "text", .dof = r->dof, .H = "0"};
    code = code ? code : hnn_model_new(&zero, 0, &j->still, e);
    zero.H = o->energy_text;
    if (!code && (o->energy || o->energy_text))
        code = o->energy ? hnn_model_copy(o->energy, &r->stated, e) : hnn_model_new(&zero, 0, &r->stated, e);
    j->energy = r->stated;
    return code ? code : set_rows(j, e);
}

/* Steps that take as long as model 0 took. */
static int equal_steps(job *j, hnn_error *e)
{
    const hnn_compare_result *r = j->r;
    double *x = malloc(2 * sizeof *x * (size_t)r->seeds);
    if (!x)
        return hnn_fail(e, HNN_EMEM, "compare: out of memory");
    for (int k = 0; k < j->o->models; k++) {
        const int like = j->o->model[k].equal_time - 1;
        if (like < 0)
            continue;
        const hnn_compare_run *run = r->row[like].run;
        for (int i = 0; i < r->seeds; i++) {
            x[i] = r->row[0].run[i].training.seconds;
            x[r->seeds + i] =
                run[i].training.seconds / (double)(run[i].training.steps + !run[i].training.steps);
        }
        double steps = round(hnn_median(r->seeds, x) / hnn_median(r->seeds, x + r->seeds));
        j->steps[k] = steps >= 1 && steps < 1e9 ? (long)steps : 1;
    }
    free(x);
    return HNN_OK;
}

int hnn_compare(const hnn_compare_options *o, hnn_compare_result *r, hnn_error *e)
{
    *r = (hnn_compare_result){0};
    job j = {.o = o, .r = r};
    int code = set_up(&j, e);
    for (; j.later < 2 && !code; j.later++) {
        j.next = 0;
        code = j.later ? equal_steps(&j, e) : HNN_OK;
        if (!code)
            run_all(&j);
        if (j.failed && e)
            *e = j.error;
        code = code ? code : j.failed;
    }
    r->interrupted = o->interrupt && *o->interrupt;
    code = code ? code : hnn_compare_summarise(r, o->seed, e);
    for (int k = 0; k < r->seeds && j.drawn; k++) {
        if (!code) { /* the report draws what the models saw */
            r->train[k] = j.drawn[k].train, j.drawn[k].train = (hnn_data){0};
            r->test[k] = j.drawn[k].test, j.drawn[k].test = (hnn_data){0};
        }
        hnn_drawn_free(&j.drawn[k]);
    }
    free(j.drawn);
    hnn_model_free(j.still);
    if (code)
        hnn_compare_free(r);
    return code;
}

void hnn_compare_free(hnn_compare_result *r)
{
    for (int k = 0; k < r->rows && r->row; k++) {
        for (int i = 0; i < r->seeds && r->row[k].run; i++) {
            hnn_model_free(r->row[k].run[i].model);
            hnn_train_result_free(&r->row[k].run[i].training);
        }
        free(r->row[k].run);
    }
    for (int k = 0; k < r->seeds; k++) {
        if (r->train)
            hnn_data_free(&r->train[k]);
        if (r->test)
            hnn_data_free(&r->test[k]);
    }
    free(r->row);
    free(r->train);
    free(r->test);
    hnn_model_free(r->truth);
    hnn_model_free(r->stated);
    *r = (hnn_compare_result){0};
}
