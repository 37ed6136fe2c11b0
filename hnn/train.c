/* train.c - the training loop: batches, schedule, checks, checkpoints. Invariant: step k depends on (options, samples,
 * state after k-1) only, so stopping anywhere and resuming changes nothing. */
/* SPDX-License-Identifier: MIT */
#include "train.h"
#include "rng.h"
#include "text.h"
#include "train_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct training {
    hnn_model *m;
    const hnn_train_options *o; /* with defaults filled in */
    const hnn_samples *x;
    hnn_objective *objective, *validation;
    hnn_train_state s;
    hnn_fitter *fit; /* NULL: Adam */
    long size;       /* parameters, and starts where the loss has them */
    double *g;       /* [size] */
    long *order;     /* of samples in the epoch `epoch` */
    long epoch;
    struct timespec start;
    uint32_t fingerprint;
} training;

static double elapsed(const training *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->start.tv_sec) + 1e-9 * (double)(now.tv_nsec - t->start.tv_nsec);
}

int hnn_train_resolve(const hnn_train_options *given, hnn_train_options *o, hnn_error *e)
{
    *o = given ? *given : (hnn_train_options){0};
    o->optimiser = o->optimiser ? o->optimiser : "adam";
    o->steps = o->steps ? o->steps : 2000;
    o->rate = o->rate == 0 ? 1e-3 : o->rate;
    o->factor = o->factor == 0 ? 0.5 : o->factor;
    o->patience = o->patience ? o->patience : 10;
    o->check_every = o->check_every ? o->check_every : 100;
    o->sampling = o->sampling ? o->sampling : "normal";
    int lsq = !strcmp(o->optimiser, "lsq");
    if (o->polish < 0 || (o->polish && !lsq))
        return hnn_fail(e, HNN_EARG, "train: %ld steps of polish for %s; lsq takes any number from 0",
                        o->polish, o->optimiser);
    if (lsq && !hnn_fitter_samples(o->sampling))
        return hnn_fail(e, HNN_EARG,
                        "lsq: '%.30s' is no way to draw features; there are normal, pairs, steep",
                        o->sampling);
    if (o->steps < 1 || o->batch < 0 || o->warmup < 0 || o->patience < 1 || o->check_every < 1 ||
        o->stop_after < 0 || o->checkpoint_every < 0)
        return hnn_fail(
            e, HNN_EARG,
            "train: %ld steps, batch %ld, warmup %ld, patience %ld, check every %ld, stop after %ld; "
            "counts cannot be negative",
            o->steps, o->batch, o->warmup, o->patience, o->check_every, o->stop_after);
    if (!(o->rate > 0) || !(o->l2 >= 0) || !(o->rate_end >= 0) || !(o->factor > 0 && o->factor <= 1))
        return hnn_fail(e, HNN_EARG,
                        "train: rate %g, l2 %g, rate_end %g, factor %g; needed > 0, >= 0, >= 0, in (0, 1]",
                        o->rate, o->l2, o->rate_end, o->factor);
    if (o->schedule < HNN_CONSTANT || o->schedule > HNN_PLATEAU)
        return hnn_fail(e, HNN_EARG, "train: schedule %d; needed constant, cosine or plateau", o->schedule);
    int all = hnn_fitter_known(o->optimiser);
    if (!all && strcmp(o->optimiser, "adam") != 0)
        return hnn_fail(e, HNN_EARG, "train: no optimiser is called '%.30s'; there are adam, lbfgs, lm, lsq",
                        o->optimiser);
    if (all && o->batch)
        return hnn_fail(e, HNN_EARG, "train: %s takes all samples in a step, not batches of %ld",
                        o->optimiser, o->batch);
    return HNN_OK;
}

static double rate_at(const hnn_train_options *o, const hnn_train_state *s)
{
    double rate = o->rate * s->factor;
    if (s->step < o->warmup)
        return rate * (double)(s->step + 1) / (double)(o->warmup + 1);
    if (o->schedule == HNN_COSINE && o->steps > o->warmup + 1) {
        double f = (double)(s->step - o->warmup) / (double)(o->steps - 1 - o->warmup);
        return o->rate_end + (rate - o->rate_end) * 0.5 * (1 + cos(3.14159265358979323846 * f));
    }
    return rate;
}

/* The samples of the next step: a slice of this epoch's permutation. */
static const long *batch_of(training *t, long *n)
{
    long all = t->x->n, size = t->o->batch;
    if (!size || size >= all) {
        *n = all;
        return NULL;
    }
    long each = (all + size - 1) / size, epoch = t->s.step / each, first = t->s.step % each * size;
    if (epoch != t->epoch) {
        hnn_rng r = hnn_rng_stream(t->o->seed, HNN_RNG_BATCH, (uint64_t)epoch);
        hnn_rng_permutation(&r, all, t->order);
        t->epoch = epoch;
    }
    *n = first + size <= all ? size : all - first;
    return t->order + first;
}

/* What must be the same for a resumed run to be the same run. */
static uint32_t fingerprint_of(const hnn_model *m, const hnn_loss_spec *l, const hnn_samples *x,
                               const hnn_samples *v, const hnn_train_options *o)
{
    hnn_text t = {0};
    hnn_text_printf(&t, "%s %ld %d %d %s|%s %d %d %s %d %d %d %d|", m->row->name, m->size, m->spec.layers,
                    m->spec.width, m->spec.activation, l->loss, l->correction, l->sweeps, l->method,
                    l->window, l->substeps, l->stride, l->starts);
    hnn_text_printf(&t, "%s %s %ld %ld %.17g %.17g %d %.17g %ld %.17g %ld %d %llu %ld %ld", o->optimiser,
                    strcmp(o->optimiser, "lsq") != 0 ? "" : o->sampling, o->steps, o->batch, o->rate, o->l2,
                    o->schedule, o->rate_end, o->warmup, o->factor, o->patience, o->real,
                    (unsigned long long)o->seed, o->check_every, o->stop_after);
    uint32_t crc = hnn_crc32(0, t.s, t.n);
    hnn_text_free(&t);
    const hnn_samples *all[] = {x, v};
    for (int k = 0; k < 2; k++) {
        if (!all[k])
            continue;
        size_t n = (size_t)all[k]->n * (size_t)all[k]->states, width = 2 * (size_t)all[k]->dof;
        crc = hnn_crc32(crc, all[k]->t, sizeof(double) * n);
        crc = hnn_crc32(crc, all[k]->z, sizeof(double) * n * width);
        if (all[k]->dz)
            crc = hnn_crc32(crc, all[k]->dz, sizeof(double) * (size_t)all[k]->n * width);
    }
    return crc;
}

static int all_finite(long n, const double x[])
{
    double sum = 0;
    for (long i = 0; i < n; i++)
        sum += fabs(x[i]) * 0; /* 0, or NaN once something is not finite */
    return sum == 0;
}

/* A look at the model before step s.step (or after the last): validation, schedule, early stopping, the curve, the log. */
static int check(training *t, double rate, hnn_error *e)
{
    hnn_train_state *s = &t->s;
    const hnn_train_options *o = t->o;
    double validation = NAN, norm = 0, watched = s->loss;
    if (t->validation) {
        int code = hnn_objective_value(t->validation, s->theta, &validation, NULL, e);
        if (code)
            return code;
        watched = validation;
    }
    for (long i = 0; i < t->size; i++)
        norm += t->g[i] * t->g[i];
    if (watched < s->best) {
        s->best = watched, s->best_step = s->step, s->waited = s->unimproved = 0;
        if (t->validation)
            memcpy(s->kept, s->theta, sizeof *s->kept * (size_t)t->size);
    } else
        s->waited++, s->unimproved++;
    if (!t->validation && all_finite(t->size, s->theta))
        memcpy(s->kept, s->theta, sizeof *s->kept * (size_t)t->size);
    if (o->schedule == HNN_PLATEAU && s->waited >= o->patience)
        s->factor *= o->factor, s->waited = 0;
    if (o->stop_after && t->validation && s->unimproved >= o->stop_after)
        s->end = HNN_STOPPED_EARLY;
    if (s->points == s->room) {
        long room = s->room ? 2 * s->room : 64;
        hnn_progress *p = realloc(s->curve, sizeof *p * (size_t)room);
        if (!p)
            return hnn_fail(e, HNN_EMEM, "train: out of memory after %ld steps", s->step);
        s->curve = p, s->room = room;
    }
    hnn_progress *p = &s->curve[s->points++];
    *p = (hnn_progress){.step = s->step,
                        .steps = o->steps,
                        .loss = s->loss,
                        .validation = validation,
                        .best = t->validation ? s->best : NAN,
                        .rate = rate,
                        .gradient = sqrt(norm),
                        .seconds = elapsed(t)};
    if (o->log)
        o->log(o->user, p);
    return HNN_OK;
}

static int save(const training *t, hnn_error *e)
{
    return t->o->checkpoint ? hnn_train_save(t->o->checkpoint, &t->s, t->fingerprint, e) : HNN_OK;
}

static int loop(training *t, int *interrupted, hnn_error *e)
{
    const hnn_train_options *o = t->o;
    hnn_train_state *s = &t->s;
    while (s->step < o->steps && s->end == HNN_TRAINED) {
        if (o->interrupt && *o->interrupt) {
            *interrupted = 1;
            return save(t, e);
        }
        long n;
        const long *rows = batch_of(t, &n);
        int code = HNN_OK, looks = s->step % o->check_every == 0;
        if (!t->fit || looks) /* the others have evaluated theta already */
            code = hnn_objective_batch(t->objective, s->theta, n, rows, &s->loss, t->g, e);
        if (code)
            return code;
        double rate = rate_at(o, s);
        if (!isfinite(s->loss) || !all_finite(t->size, t->g)) {
            s->end = HNN_DIVERGED;
            break;
        }
        if (looks) {
            code = check(t, rate, e);
            if (code)
                return code;
            if (s->end != HNN_TRAINED)
                break;
        }
        int nothing_left = 0;
        if (t->fit)
            code = hnn_fitter_step(t->fit, s->theta, &nothing_left, e);
        else
            hnn_adam_step(&s->adam, rate, t->g, s->theta);
        if (code)
            return code;
        s->step++;
        if (nothing_left)
            break;
        if (o->checkpoint_every && s->step % o->checkpoint_every == 0 && s->step < o->steps &&
            (code = save(t, e)))
            return code;
    }
    if (s->end == HNN_TRAINED) { /* the model after the last step is a candidate, too */
        int code = hnn_objective_value(t->objective, s->theta, &s->loss, t->g, e);
        if (code)
            return code;
        code = check(t, 0, e);
        if (code)
            return code;
        s->end = isfinite(s->loss) ? HNN_TRAINED : HNN_DIVERGED;
    }
    s->done = 1;
    return save(t, e);
}

/* Objectives, vectors, optimiser; t holds what was made, also after an error. */
static int prepare(training *t, const hnn_loss_spec *loss, const hnn_samples *v, hnn_error *e)
{
    hnn_model *m = t->m;
    hnn_objective_options how = {.real = t->o->real, .pool = t->o->pool};
    int code = hnn_objective_new(loss, m, t->x, &how, &t->objective, e);
    hnn_loss_spec measured = *loss; /* of what is held out the first states are as they were measured */
    how.real = AD_F64, measured.starts = 0;
    if (!code && v)
        code = hnn_objective_new(&measured, m, v, &how, &t->validation, e);
    if (code)
        return code;
    t->size = hnn_objective_size(t->objective);
    code = hnn_adam_new(&t->s.adam, t->size, 0, 0, 0, t->o->l2, e);
    t->s.adam.decayed = m->size;
    size_t n = (size_t)t->size;
    t->g = calloc(n, sizeof *t->g), t->s.kept = calloc(n, sizeof *t->g), t->s.theta = calloc(n, sizeof *t->g);
    t->order = malloc(sizeof(long) * (size_t)t->x->n);
    if (!code && (!t->g || !t->s.kept || !t->s.theta || !t->order))
        code = hnn_fail(e, HNN_EMEM, "train: out of memory for %ld parameters", t->size);
    if (code)
        return code;
    memcpy(t->s.theta, m->theta, sizeof *m->theta * (size_t)m->size);
    memcpy(t->s.kept, m->theta, sizeof *m->theta * (size_t)m->size);
    t->fingerprint = fingerprint_of(m, loss, t->x, v, t->o);
    if (hnn_fitter_known(t->o->optimiser))
        code = hnn_fitter_new(m, loss, t->x, t->o, t->objective, t->s.theta, &t->fit, e);
    if (t->fit)
        t->s.block = hnn_fitter_state(t->fit, &t->s.blocks);
    return code;
}

static int results(training *t, int interrupted, hnn_train_result *out, hnn_error *e)
{
    const hnn_samples *x = t->x;
    int keep = !interrupted && (t->validation || t->s.end == HNN_DIVERGED), each = 2 * x->dof;
    const double *theta = keep ? t->s.kept : t->s.theta;
    if (t->size > t->m->size) {
        out->starts = malloc(sizeof *out->starts * (size_t)(x->n * each));
        if (!out->starts)
            return hnn_fail(e, HNN_EMEM, "train: out of memory for %ld first states", x->n);
    }
    for (long i = 0; i < x->n * each && out->starts; i++)
        out->starts[i] = theta[t->m->size + i] + x->z[i / each * x->states * each + i % each];
    memcpy(t->m->theta, theta, sizeof *theta * (size_t)t->m->size);
    out->end = interrupted ? HNN_INTERRUPTED : t->s.end;
    out->steps = t->s.step, out->loss = t->s.loss, out->seconds = elapsed(t);
    out->validation = t->validation ? t->s.best : NAN;
    out->best_step = t->validation ? t->s.best_step : t->s.step;
    out->points = t->s.points, out->curve = t->s.curve, t->s.curve = NULL;
    return HNN_OK;
}

int hnn_train(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x, const hnn_samples *v,
              const hnn_train_options *given, hnn_train_result *out, hnn_error *e)
{
    *out = (hnn_train_result){0};
    hnn_train_options o;
    hnn_loss_spec full;
    int code = hnn_train_resolve(given, &o, e);
    code = code ? code : hnn_loss_resolve(loss, m, &full, e);
    if (code)
        return code;
    if (o.polish)
        return hnn_train_polished(m, loss, x, v, &o, out, e);
    if (!m->size)
        return hnn_fail(e, HNN_EARG, "train: model %s has no parameters", m->row->name);
    training t = {.m = m, .o = &o, .x = x, .epoch = -1, .s = {.factor = 1, .best = INFINITY}};
    clock_gettime(CLOCK_MONOTONIC, &t.start);
    int found = 0, interrupted = 0;
    code = prepare(&t, &full, v, e);
    if (!code && o.checkpoint && o.resume)
        code = hnn_train_load(o.checkpoint, &t.s, t.fingerprint, &found, e);
    if (!code && !t.s.done)
        code = loop(&t, &interrupted, e);
    code = code ? code : results(&t, interrupted, out, e);
    hnn_objective_free(t.objective);
    hnn_objective_free(t.validation);
    hnn_adam_free(&t.s.adam);
    hnn_fitter_free(t.fit);
    free(t.s.theta);
    free(t.s.kept);
    free(t.s.curve);
    free(t.g);
    free(t.order);
    return code;
}

void hnn_train_result_free(hnn_train_result *r)
{
    free(r->curve);
    free(r->starts);
    *r = (hnn_train_result){0};
}
