/* compiled_program.c - the programs of a solver's steps: recorded by trace.c, compiled, or emitted as C; and how many sweeps those of an
 * implicit row make. Invariant: a program's results are fed to its next run, in the order of its first inputs. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiled.h"

/* The last sweep's change, relative to the state: the error it leaves is the same in every step, so it has to stay far below
 * round-off for the energy's drift to do so, too. */
#define CHANGE 1e-17
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
int ode_compiled_programs(ode_solver *s)
{
    ode_recorded *r = s->field.user;
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
const char *ode_compiled_unfit(const ode_solver *s, ode_kept *kept, char text[200])
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
/* Everything but the programs of an implicit row. */
int ode_compiled_make(ode_solver *s, const ode_kept *kept, int native)
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
    return kept->implicit ? ODE_OK : ode_compiled_programs(s);
}
/* Sweeps, at least ODE_FEWEST, that solve the next steps; 0: more than SWEEPS. The solver is left where it is. They are made with more
 * and more until the last change is small, or at round-off; how the changes got smaller tells what the allowed one needs. */
int ode_compiled_measure(ode_solver *s, double h)
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
