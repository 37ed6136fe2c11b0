/* compiled.c - steps of a recorded field as one program: recorded by trace.c, compiled, repeated (ad_repeat) by replay or as
 * emitted C. An implicit row makes as many sweeps as its equations need at this step, measured on the first steps; the
 * program says where the last one would still change something, and there the steps are made again in the ordinary way.
 * Invariant: a step of an explicit row has the bits of the ordinary one, so a run may change from one to the other wherever it
 * pays; n steps are the same map however they are cut into programs. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorded.h"
#include "solver.h"

/* Steps of a replayed program, so that its start costs little; of one ad_repeat, after which the state is looked at. */
enum { MANY = 16, STRETCH = 1024, SWEEPS = 20, TRIAL = 4, FIXED = 3, FED = 3 + 2 * 16 + 2 };
/* The last sweep's change, relative to the state: the error it leaves is the same in every step, so it has to stay far below
 * round-off for the energy's drift to do so, too. */
#define CHANGE 1e-17
/* By itself: from how many steps of a run on those of an implicit row are programs, which have not the bits of ordinary steps; after how
 * many ordinary steps of an explicit row its programs are made; after how many milliseconds of replay they are emitted as C,
 * when at the speed so far at least so many are left. A compiler takes about 100. */
enum { LONG = 1000, WARM = 500, REPLAYED = 100, LEFT = 300 };
struct ode_compiled {
    ad_program *program[2]; /* one step, MANY steps */
    ad_work *work[2];
    int native, plain, timed, sweeps; /* sweeps 0: not known yet */
    int minus;                        /* what is kept has the sign of dH/dq in its rows of p */
    ode_kept kept;
    int64_t fields, iterations; /* of a step of one row */
    int64_t stretch;            /* steps of one ad_repeat: fewer where a row has failed in them */
    int64_t made, look;         /* steps, and at how many the clock is looked at */
    double since;               /* its first look, in milliseconds */
    int in_count, out_count;
    int *rows; /* of each parameter, for which the programs are */
    double h;
    double *memory,
        *fed[2][FED]; /* y, its carry, kept parts, number of the step, worst; of the last run and the next */
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

static int parts_of(const ode_recorded *r) { return r->half ? 2 : 1; }
static int kept_parts(const ode_recorded *r, const ode_kept *k)
{
    return k->count * (k->part == ODE_ALL ? parts_of(r) : 1);
}
/* The time after so many steps, as ode_real_tick has it. */
static ad_var time_at(ad_var number, double more, ad_var base, ad_var carry, ad_var h)
{
    ad_var k = ad_add(number, more), p = ad_mul(k, h), low = ad_add(ad_fma(k, h, ad_neg(p)), carry),
           t = ad_add(base, p), v = ad_sub(t, base);
    low = ad_add(low, ad_add(ad_sub(base, ad_sub(t, v)), ad_sub(p, v)));
    return ad_add(t, low);
}
/* Inputs: what is fed (y, carry, kept parts, the number of the step, worst); the clock's base, its carry, h; params. Outputs: what
 * is fed. */
static ad_program *record(ode_solver *s, ode_recorded *r, int steps)
{
    struct ode_compiled *c = s->compiled;
    ad_tape *t = ad_new();
    int rows = r->batch ? AD_BATCH : 1, n = 0, feed[FED];
    ad_var *in = calloc((size_t)(c->in_count + 1), sizeof *in), out[FED], keep[2 * 16], carry[2], times[MANY];
    ad_program *p = NULL;
    if (t && in) {
        ode_traced more = {.steps = steps,
                           .kept = c->kept.count,
                           .part = c->kept.part,
                           .minus = c->minus,
                           .slot = c->kept.slot,
                           .keep = keep,
                           .sweeps = c->kept.implicit ? c->sweeps : 0,
                           .allowed = s->space.solve_tol > 0 ? s->space.solve_tol : CHANGE,
                           .worst = ad_num(0)};
        ad_var y = in[n++] = ad_input(t, "y", rows, r->size), number = y;
        int parts = parts_of(r), count = kept_parts(r, &c->kept), width = r->size / parts;
        if (!c->plain) {
            ad_var low = in[n++] = ad_input(t, "carry", rows, r->size);
            for (int i = 0; i < parts; i++)
                carry[i] = parts == 1 ? low : ad_cols_of(low, i * width, width);
            more.carry = carry;
        }
        for (int i = 0; i < count; i++) {
            char name[32];
            snprintf(name, sizeof name, "kept%d", i);
            keep[i] = in[n++] = ad_input(t, name, rows, width);
        }
        if (c->timed)
            number = in[n++] = ad_input(t, "number", 1, 1);
        if (c->kept.implicit)
            more.worst = in[n++] = ad_input(t, "worst", rows, 1);
        int nfed = n;
        ad_var base = in[n++] = ad_input(t, "t", 1, 1), low = in[n++] = ad_input(t, "t_carry", 1, 1),
               h = in[n++] = ad_input(t, "h", 1, 1), *param = in + n;
        for (int i = 0; i < r->params; i++) {
            char name[32];
            snprintf(name, sizeof name, "param%d", i);
            int shared = r->each[i] && r->rows[i] == 1;
            in[n++] = ad_input(t, name, shared ? 1 : ad_rows(r->param[i]), ad_cols(r->param[i]));
        }
        for (int i = 0; c->timed && i < steps; i++)
            times[i] = time_at(number, i, base, low, h);
        more.times = c->timed ? times : NULL;
        n = 0;
        out[n++] = ode_trace_steps(s->method, r, y, base, h, param, 0, &more);
        if (!c->plain)
            out[n++] = parts == 1 ? carry[0] : ad_concat_cols(2, carry);
        for (int i = 0; i < count; i++)
            out[n++] = keep[i];
        if (c->timed)
            out[n++] = ad_add(number, steps);
        if (c->kept.implicit)
            out[n++] = more.worst;
        for (int i = 0; i < nfed; i++)
            feed[i] = i;
        c->fields = more.fields / steps, c->iterations = more.iterations / steps;
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

/* Why steps of this solver cannot be programs; NULL: they can. */
static const char *unfit(const ode_solver *s, ode_kept *kept, char text[200])
{
    *kept = (ode_kept){0};
    if (s->field.rows != ode_recorded_give)
        return "the field is not a recorded one (ode_recorded_field)";
    const ode_recorded *r = s->field.user;
    if (!s->method->driver->keeps || !s->method->driver->keeps(s->plan, kept)) {
        snprintf(text, 200, "%s keeps more than states from step to step; leave `compiled` out",
                 s->method->name);
        return text;
    }
    if (!r->batch && s->space.rows > 1) {
        snprintf(text, 200, "%d rows of a field recorded for one; record it with AD_BATCH", s->space.rows);
        return text;
    }
    for (int i = 0; i < r->params; i++)
        if (!r->value[i] || (r->each[i] && r->rows[i] > 1 && r->rows[i] < s->space.rows)) {
            snprintf(text, 200, "parameter %d has %d rows for %d states: ode_recorded_set", i,
                     r->value[i] ? r->rows[i] : 0, s->space.rows);
            return text;
        }
    return NULL;
}
/* Are the programs of the last run those of this one? Sweeps are measured anew: nothing of a result may depend on earlier runs. */
static int same_programs(const struct ode_compiled *c, const ode_recorded *r, int plain)
{
    int same = c && c->program[0] && c->plain == plain && !c->kept.implicit;
    for (int i = 0; same && i < r->params; i++)
        same = c->rows[i] == r->rows[i];
    return same;
}
/* Everything but the programs of an implicit row. */
static int make(ode_solver *s, const ode_kept *kept, int native)
{
    ode_recorded *r = s->field.user;
    ode_compiled_free(s->compiled);
    struct ode_compiled *c = s->compiled = calloc(1, sizeof *c);
    if (!c)
        return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory");
    c->native = native;
    c->plain = !s->space.compensate;
    c->kept = *kept;
    c->stretch = STRETCH;
    c->minus = kept->count && kept->field && r->half > 0;
    if (kept->implicit && s->space.schedule > 0)
        c->sweeps = -1; /* as many as told, whatever they reach: made in the ordinary way */
    c->timed = r->timed != 0;
    size_t rows = (size_t)s->space.rows, size[FED], total = 0;
    size[c->out_count++] = rows * (size_t)r->size;
    if (!c->plain)
        size[c->out_count++] = rows * (size_t)r->size;
    for (int i = 0; i < kept_parts(r, kept); i++)
        size[c->out_count++] = rows * (size_t)(r->size / parts_of(r));
    if (c->timed)
        size[c->out_count++] = 1;
    if (kept->implicit)
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
    return kept->implicit ? ODE_OK : make_programs(s, r);
}
int ode_compiled_begin(ode_solver *s, int how, int64_t n)
{
    ode_kept kept;
    char text[200];
    const char *why = how < 0 ? "" : unfit(s, &kept, text);
    s->programs = why || (!how && kept.implicit && n < LONG) ? ODE_STEPS_ORDINARY
                  : how                                      ? ODE_STEPS_TOLD
                                                             : ODE_STEPS_MAY;
    if (why)
        return how > 0 ? ode_fail(s, ODE_EINPUT, "compiled steps: %s", why) : ODE_OK;
    int same = same_programs(s->compiled, s->field.user, !s->space.compensate);
    if (how)
        return same && s->compiled->native == (how > 1) ? ODE_OK : make(s, &kept, how > 1);
    if (!same)
        ode_compiled_free(s->compiled), s->compiled = NULL;
    return ODE_OK;
}
static double milliseconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) ? 0 : (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
/* Programs that nobody asked for: without them steps are ordinary ones, and nothing is an error. */
static int try_programs(ode_solver *s, int native)
{
    ode_kept kept;
    char text[200];
    ode_recorded *r = s->field.user;
    int sweeps = s->compiled ? s->compiled->sweeps : 0;
    if (!unfit(s, &kept, text) && !make(s, &kept, native)) {
        s->compiled->sweeps = sweeps > 0 ? sweeps : s->compiled->sweeps;
        if (sweeps <= 0 || !make_programs(s, r))
            return 1;
    }
    ode_compiled_free(s->compiled);
    s->compiled = NULL, s->programs = ODE_STEPS_ORDINARY;
    s->status = r->status = 0, s->message[0] = r->message[0] = 0;
    return 0;
}
/* Is it time for programs, or for emitted ones? `left`: steps of this run. */
static int by_itself(ode_solver *s, int64_t left)
{
    struct ode_compiled *c = s->compiled;
    ode_kept kept = {0};
    s->method->driver->keeps(s->plan, &kept);
    if (!c && !kept.implicit && (s->ordinary < WARM || left < 2))
        return s->ordinary++, 0;
    if (!c)
        return try_programs(s, 0);
    if (c->native || c->made < c->look)
        return 1;
    double now = milliseconds();
    if (!c->look)
        c->since = now;
    else if (now - c->since > REPLAYED && (now - c->since) * (double)left > LEFT * (double)c->made)
        return try_programs(s, 1);
    c->look = 2 * c->made + STRETCH;
    return 1;
}

static int all_finite(const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i] * 0.0;
    return sum == 0;
}
/* Sweeps, at least ODE_FEWEST, that solve the next steps; 0: more than SWEEPS. The solver is left where it is. They are made with more
 * and more until the last change is small, or at round-off; how the changes got smaller tells what the allowed one needs. */
static int measure(ode_solver *s, double h)
{
    ode_real *r = &s->space;
    size_t n = (size_t)r->base.size * (size_t)r->rows * (size_t)(r->slots + 1), rows = (size_t)r->rows;
    double *kept = malloc(n * sizeof *kept), t = r->t, t_carry = r->t_carry, change[SWEEPS + 1],
           allowed = r->solve_tol > 0 ? r->solve_tol : CHANGE;
    int schedule = r->schedule, found = 0;
    ode_counts counts = r->counts;
    if (!kept)
        return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory"), 0;
    memcpy(kept, r->x, n * sizeof *kept);
    for (int k = 1; k <= SWEEPS && !found; k++) {
        int good = 1;
        r->schedule = k;
        change[k] = 0;
        for (int j = 0; j < TRIAL && good; j++) {
            ode_real_step(r, s->plan, h);
            good = !r->failed;
            for (size_t b = 0; b < rows; b++) {
                good &= !r->fault[b].status;
                change[k] = fmax(change[k], r->last[b]);
            }
        }
        if (good && change[k] < fmax(1e-14, allowed))
            found = k;
        memcpy(r->x, kept, n * sizeof *kept);
        memset(r->fault, 0, rows * sizeof *r->fault);
        memset(r->live, 1, rows);
        r->failed = 0, r->t = t, r->t_carry = t_carry, r->counts = counts;
    }
    free(kept);
    r->schedule = schedule;
    if (!found)
        return 0;
    double ratio = found > 2 ? sqrt(change[found] / change[found - 2]) : 0.1;
    for (double d = change[found]; d > allowed && found <= SWEEPS; found++)
        d *= ratio < 0.9 ? ratio : 0.9;
    return found < ODE_FEWEST ? ODE_FEWEST : found <= SWEEPS ? found : 0;
}

/* What the driver has kept: into what is fed, or back, with the sign it has there. */
static void move_kept(ode_solver *s, int back)
{
    struct ode_compiled *c = s->compiled;
    const ode_real *r = &s->space;
    int m = r->base.half, parts = m && c->kept.part == ODE_ALL ? 2 : 1, n = 1 + !c->plain;
    for (int i = 0; i < c->kept.count; i++)
        for (int k = 0; k < parts; k++, n++)
            for (int b = 0; b < r->rows; b++) {
                int width = m ? m : r->base.size, p = m && (k || c->kept.part == ODE_P);
                double *x = ode_row(r, c->kept.slot[i], b) + (p ? m : 0), *f = c->fed[0][n] + b * width,
                       sign = p && c->minus ? -1 : 1;
                for (int j = 0; j < width; j++)
                    *(back ? x + j : f + j) = sign * (back ? f[j] : x[j]);
            }
}

/* Up to n steps; how many were made. 0: the next one has to be made in the ordinary way: a row fails in it, an equation is not
 * solved, the program needs what such a step keeps, or it does not pay yet. left: steps to the end of the run. */
int64_t ode_compiled_steps(ode_solver *s, int64_t n, int64_t left, double h)
{
    ode_real *r = &s->space;
    ode_recorded *f = s->field.user;
    size_t size = (size_t)s->field.size * (size_t)r->rows;
    if (s->programs == ODE_STEPS_ORDINARY || h == 0) /* a step 0 is an error, which ode_step tells */
        return 0;
    for (int b = 0; b < r->rows; b++)
        if (r->fault[b].status)
            return 0;
    if (s->programs == ODE_STEPS_MAY && !by_itself(s, left))
        return 0;
    struct ode_compiled *c = s->compiled;
    ode_changed(s);
    if ((c->kept.count && (r->base.fresh || r->h != h)) || c->sweeps < 0)
        return 0;
    if (c->kept.implicit && !c->sweeps) {
        c->sweeps = measure(s, h);
        if (!c->sweeps || make_programs(s, f))
            return c->sweeps = -1, 0;
    }
    int k = c->program[1] && n >= MANY && c->stretch >= MANY, steps = k ? MANY : 1, fed = c->out_count,
        worst = fed - 1, at = worst - c->kept.implicit;
    int64_t count = (n < c->stretch ? n : c->stretch) / steps;
    const ode_clock *clock = ode_real_clock(r, h);
    memcpy(c->fed[0][0], r->x, size * sizeof(double));
    if (!c->plain)
        memcpy(c->fed[0][1], r->carry, size * sizeof(double));
    move_kept(s, 0);
    if (c->timed)
        c->fed[0][at][0] = (double)clock->k;
    for (int b = 0; c->kept.implicit && b < r->rows; b++)
        c->fed[0][worst][b] = 0;
    for (int i = 0; i < fed; i++)
        c->in[i] = c->fed[0][i];
    c->h = h;
    c->in[fed] = &clock->base, c->in[fed + 1] = &clock->base_carry, c->in[fed + 2] = &c->h;
    for (int i = 0; i < f->params; i++)
        c->in[fed + FIXED + i] = f->value[i];
    if (ad_repeat(c->work[k], r->rows, count, NULL, NULL, c->in, (void **)c->fed[1]) ||
        !all_finite(c->fed[1][0], size)) {
        c->stretch = count * steps > 1 ? count * steps / 2 : 1; /* the steps before it are wanted soon */
        return 0;
    }
    for (int b = 0; c->kept.implicit && b < r->rows; b++)
        if (!(c->fed[1][worst][b] <= 0)) { /* it needs one more, or the ordinary way to the end */
            c->sweeps = c->sweeps < SWEEPS ? c->sweeps + 1 : -1;
            if (c->sweeps < 0 || make_programs(s, f))
                c->sweeps = -1;
            return 0;
        }
    for (int i = 0; i < fed; i++) {
        double *v = c->fed[0][i];
        c->fed[0][i] = c->fed[1][i], c->fed[1][i] = v;
    }
    int64_t made = steps * count;
    memcpy(r->x, c->fed[0][0], size * sizeof(double));
    if (!c->plain)
        memcpy(r->carry, c->fed[0][1], size * sizeof(double));
    move_kept(s, 1);
    ode_real_tick(r, h, made);
    r->base.fresh = 0;
    r->h = h;
    s->dense_ready = 0;
    c->made += made;
    r->counts.steps += made * (int64_t)r->rows;
    r->counts.fields += made * (int64_t)r->rows * c->fields;
    r->counts.iterations += made * (int64_t)r->rows * c->iterations;
    return made;
}
