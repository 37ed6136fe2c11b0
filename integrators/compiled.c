/* compiled.c - steps of a recorded field as one program: recorded by trace.c, compiled, repeated (ad_repeat) by replay or as
 * emitted C. An implicit row makes as many sweeps as its equations need at this step, measured on the first steps; the
 * program says where the last one would still change something, and there the steps are made again in the ordinary way.
 * Invariant: n steps are the same map however they are cut into programs, up to the rounding of t + k h. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recorded.h"
#include "solver.h"

/* Steps of a replayed program, so that its start costs little; of one ad_repeat, after which the state is looked at. */
enum { MANY = 16, STRETCH = 1024, SWEEPS = 16, TRIAL = 4, FIXED = 2 };
struct ode_compiled {
    ad_program *program[2]; /* one step, MANY steps */
    ad_work *work[2];
    int native, timed, sweeps; /* sweeps 0: not known yet */
    int minus;                 /* what is kept has the sign of dH/dq in its rows of p */
    ode_kept kept;
    int valid; /* the values below are those where the solver is */
    int in_count, out_count;
    int *rows; /* of each parameter, for which the programs are */
    double t, h;
    double *memory,
        *fed[2][2 + 2 * 16 + 2]; /* y, kept parts, number of the step, worst; of the last run and the next */
    const void **in;
};

static void drop_programs(struct ode_compiled *c)
{
    for (int k = 0; k < 2; k++) {
        ad_work_free(c->work[k]), ad_program_free(c->program[k]);
        c->work[k] = NULL, c->program[k] = NULL;
    }
}
void ode_compiled_free(struct ode_compiled *c)
{
    if (!c)
        return;
    drop_programs(c);
    free(c->memory), free(c->in), free(c->rows), free(c);
}

/* Inputs: what is fed (y, kept parts, the number of the step, worst); t, h, params. Outputs: what is fed. */
static ad_program *record(ode_solver *s, ode_recorded *r, int steps)
{
    struct ode_compiled *c = s->compiled;
    ad_tape *t = ad_new();
    int rows = r->batch ? AD_BATCH : 1, n = 0, feed[2 + 2 * 16 + 2];
    ad_var *in = calloc((size_t)(c->in_count + 1), sizeof *in), out[2 + 2 * 16 + 2], keep[2 * 16];
    ad_program *p = NULL;
    if (t && in) {
        ode_traced more = {.steps = steps,
                           .kept = c->kept.count,
                           .part = c->kept.part,
                           .minus = c->minus,
                           .slot = c->kept.slot,
                           .keep = keep,
                           .sweeps = c->kept.implicit ? c->sweeps : 0,
                           .worst = ad_num(0)};
        ad_var y = in[n++] = ad_input(t, "y", rows, r->size), at, number = y;
        int parts = r->half && c->kept.part == ODE_ALL ? 2 : 1, count = c->kept.count * parts;
        for (int i = 0; i < count; i++) {
            char name[32];
            snprintf(name, sizeof name, "kept%d", i);
            keep[i] = in[n++] = ad_input(t, name, rows, r->half ? r->half : r->size);
        }
        if (c->timed)
            number = in[n++] = ad_input(t, "number", 1, 1);
        if (c->kept.implicit)
            more.worst = in[n++] = ad_input(t, "worst", rows, 1);
        int nfed = n;
        at = in[n++] = ad_input(t, "t", 1, 1);
        ad_var h = in[n++] = ad_input(t, "h", 1, 1), *param = in + n;
        for (int i = 0; i < r->params; i++) {
            char name[32];
            snprintf(name, sizeof name, "param%d", i);
            int shared = r->each[i] && r->rows[i] == 1;
            in[n++] = ad_input(t, name, shared ? 1 : ad_rows(r->param[i]), ad_cols(r->param[i]));
        }
        if (c->timed)
            at = ad_add(at, ad_mul(number, h));
        n = 0;
        out[n++] = ode_trace_steps(s->method, r, y, at, h, param, 0, &more);
        for (int i = 0; i < count; i++)
            out[n++] = keep[i];
        if (c->timed)
            out[n++] = ad_add(number, steps);
        if (c->kept.implicit)
            out[n++] = more.worst;
        for (int i = 0; i < nfed; i++)
            feed[i] = i;
        p = r->status ? NULL : ad_compile(t, c->in_count, in, n, out, &(ad_options){.feed = feed});
        ad_program *replay = c->native ? p : NULL;
        if (replay) { /* where there is no compiler it replays all the same */
            p = ad_native(replay, NULL, NULL);
            ad_program_free(replay);
        }
    }
    if (!p)
        ode_fail(s, t && in && ad_status(t) != AD_ENOMEM ? ODE_EFIELD : ODE_EMEMORY, "compiled steps: %s",
                 r->status ? ode_recorded_message(r)
                 : t && in ? ad_message(t)
                           : "out of memory");
    free(in);
    ad_free(t);
    return p;
}
/* One program of one step where it is a loop of its own (emitted C of a single state), else two. */
static int make_programs(ode_solver *s, ode_recorded *r)
{
    struct ode_compiled *c = s->compiled;
    drop_programs(c);
    for (int k = 0; k < (c->native && !r->batch ? 1 : 2); k++) {
        if (!(c->program[k] = record(s, r, k ? MANY : 1)))
            return s->status;
        if (!(c->work[k] = ad_work_new(c->program[k], r->pool)))
            return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory");
    }
    return ODE_OK;
}

/* Are the programs of the last run those of this one? Sweeps are measured anew: nothing of a result may depend on earlier runs. */
static int same_programs(const struct ode_compiled *c, const ode_recorded *r, int native)
{
    int same = c && c->program[0] && c->native == native && !c->kept.implicit;
    for (int i = 0; same && i < r->params; i++)
        same = c->rows[i] == r->rows[i];
    return same;
}
int ode_compiled_begin(ode_solver *s, int native)
{
    ode_kept kept = {0};
    if (s->field.rows != ode_recorded_give)
        return ode_fail(s, ODE_EINPUT,
                        "compiled steps: the field is not a recorded one (ode_recorded_field)");
    ode_recorded *r = s->field.user;
    if (!s->method->driver->keeps || !s->method->driver->keeps(s->plan, &kept))
        return ode_fail(s, ODE_EINPUT,
                        "compiled steps: %s keeps more than states from step to step; leave `compiled` out",
                        s->method->name);
    if (!r->batch && s->space.rows > 1)
        return ode_fail(s, ODE_EINPUT,
                        "compiled steps: %d rows of a field recorded for one; record it with AD_BATCH",
                        s->space.rows);
    for (int i = 0; i < r->params; i++)
        if (!r->value[i] || (r->each[i] && r->rows[i] > 1 && r->rows[i] < s->space.rows))
            return ode_fail(s, ODE_EFIELD,
                            "compiled steps: parameter %d has %d rows for %d states: ode_recorded_set", i,
                            r->value[i] ? r->rows[i] : 0, s->space.rows);
    if (same_programs(s->compiled, r, native))
        return s->compiled->valid = 0;
    ode_compiled_free(s->compiled);
    struct ode_compiled *c = s->compiled = calloc(1, sizeof *c);
    if (!c)
        return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory");
    c->native = native;
    c->kept = kept;
    c->minus = kept.count && kept.field && r->half > 0;
    if (kept.implicit && s->space.schedule > 0)
        c->sweeps = -1; /* as many as told, whatever they reach: made in the ordinary way */
    c->timed = r->timed != 0;
    size_t rows = (size_t)s->space.rows, size[2 + 2 * 16 + 2], total = 0;
    size[c->out_count++] = rows * (size_t)r->size;
    for (int i = 0; i < c->kept.count * (r->half && c->kept.part == ODE_ALL ? 2 : 1); i++)
        size[c->out_count++] = rows * (size_t)(r->half ? r->half : r->size);
    if (c->timed)
        size[c->out_count++] = 1;
    if (kept.implicit)
        size[c->out_count++] = rows;
    c->in_count = c->out_count + FIXED + r->params;
    for (int i = 0; i < c->out_count; i++)
        total += size[i];
    c->memory = malloc(2 * total * sizeof *c->memory);
    c->in = calloc((size_t)c->in_count, sizeof *c->in);
    c->rows = malloc((size_t)(r->params + 1) * sizeof *c->rows);
    if (!c->memory || !c->in || !c->rows)
        return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory");
    for (int i = 0; i < r->params; i++)
        c->rows[i] = r->rows[i];
    double *at = c->memory;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < c->out_count; at += size[i++])
            c->fed[k][i] = at;
    return kept.implicit ? ODE_OK : make_programs(s, r);
}

static int all_finite(const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i] * 0.0;
    return sum == 0;
}
static int64_t now(const ode_real *r) { return r->counts.unconverged; }

/* The fewest sweeps, at least 3, that solve the next steps; 0: more than SWEEPS. The solver is left where it is. */
static int measure(ode_solver *s, double h)
{
    ode_real *r = &s->space;
    size_t n = (size_t)r->base.size * (size_t)r->rows * (size_t)(r->slots + 1), rows = (size_t)r->rows;
    double *kept = malloc(n * sizeof *kept), t = r->t, t_carry = r->t_carry;
    int schedule = r->schedule, found = 0;
    ode_counts counts = r->counts;
    if (!kept)
        return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory"), 0;
    memcpy(kept, r->x, n * sizeof *kept);
    for (int k = 3; k <= SWEEPS && !found; k++) {
        int64_t before = now(r);
        int good = 1;
        r->schedule = k;
        for (int j = 0; j < TRIAL && good; j++) {
            ode_real_step(r, s->plan, h);
            good = now(r) == before && !r->failed;
            for (size_t b = 0; b < rows; b++)
                good &= !r->fault[b].status;
        }
        found = good ? k : 0;
        memcpy(r->x, kept, n * sizeof *kept);
        memset(r->fault, 0, rows * sizeof *r->fault);
        memset(r->live, 1, rows);
        r->failed = 0, r->t = t, r->t_carry = t_carry, r->counts = counts;
    }
    free(kept);
    r->schedule = schedule;
    return found;
}

/* What the driver has kept, where it made the last step. */
static void take_kept(ode_solver *s)
{
    struct ode_compiled *c = s->compiled;
    const ode_real *r = &s->space;
    int m = r->base.half, parts = m && c->kept.part == ODE_ALL ? 2 : 1, n = 1;
    for (int i = 0; i < c->kept.count; i++)
        for (int k = 0; k < parts; k++, n++)
            for (int b = 0; b < r->rows; b++) {
                int width = m ? m : r->base.size, p = m && (k || c->kept.part == ODE_P);
                const double *x = ode_row(r, c->kept.slot[i], b) + (p ? m : 0);
                for (int j = 0; j < width; j++)
                    c->fed[0][n][b * width + j] = p && c->minus ? -x[j] : x[j];
            }
    c->valid = 1;
}

/* Up to n steps; how many were made. 0: the next one has to be made in the ordinary way: a row fails in it, an equation is not
 * solved, or the program needs what such a step keeps. */
int64_t ode_compiled_steps(ode_solver *s, int64_t n, double h)
{
    struct ode_compiled *c = s->compiled;
    ode_real *r = &s->space;
    ode_recorded *f = s->field.user;
    size_t size = (size_t)f->size * (size_t)r->rows;
    for (int b = 0; b < r->rows; b++)
        if (r->fault[b].status)
            return 0;
    if (ode_changed(s))
        c->valid = 0;
    if (h == 0) /* an error, which ode_step tells */
        return 0;
    if (r->base.fresh == 0 && r->h == h)
        take_kept(s);
    if ((c->kept.count && (!c->valid || r->h != h)) || c->sweeps < 0)
        return 0;
    if (c->kept.implicit && !c->sweeps) {
        c->sweeps = measure(s, h);
        if (!c->sweeps || make_programs(s, f))
            return c->sweeps = -1, 0;
    }
    int k = c->program[1] && n >= MANY, steps = k ? MANY : 1, fed = c->out_count, worst = fed - 1;
    int64_t count = (n < STRETCH ? n : STRETCH) / steps;
    memcpy(c->fed[0][0], r->x, size * sizeof(double));
    if (c->timed)
        c->fed[0][worst - c->kept.implicit][0] = 0;
    for (int b = 0; c->kept.implicit && b < r->rows; b++)
        c->fed[0][worst][b] = 0;
    for (int i = 0; i < fed; i++)
        c->in[i] = c->fed[0][i];
    c->in[fed] = &c->t, c->in[fed + 1] = &c->h;
    for (int i = 0; i < f->params; i++)
        c->in[fed + FIXED + i] = f->value[i];
    c->t = r->t, c->h = h;
    if (ad_repeat(c->work[k], r->rows, count, NULL, NULL, c->in, (void **)c->fed[1]) ||
        !all_finite(c->fed[1][0], size))
        return c->valid = 0;
    for (int b = 0; c->kept.implicit && b < r->rows; b++)
        if (!(c->fed[1][worst][b] <= 0)) { /* it needs one more, or the ordinary way to the end */
            c->sweeps = c->sweeps < SWEEPS ? c->sweeps + 1 : -1;
            if (c->sweeps < 0 || make_programs(s, f))
                c->sweeps = -1;
            return c->valid = 0;
        }
    for (int i = 0; i < fed; i++) {
        double *v = c->fed[0][i];
        c->fed[0][i] = c->fed[1][i], c->fed[1][i] = v;
    }
    memcpy(r->x, c->fed[0][0], size * sizeof(double));
    memset(r->carry, 0, size * sizeof(double));
    double made = (double)(steps * count), p = made * h, low = fma(made, h, -p) + r->t_carry, t = r->t + p,
           v = t - r->t; /* two-sum */
    low += (r->t - (t - v)) + (p - v);
    r->t = t + low;
    r->t_carry = (t - r->t) + low;
    r->base.fresh = 1;
    r->h = h;
    c->valid = 1;
    s->dense_ready = 0;
    r->counts.steps += steps * count * (int64_t)r->rows;
    return steps * count;
}
