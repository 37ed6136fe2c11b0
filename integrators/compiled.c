/* compiled.c - steps of a recorded field as one program: recorded by ode_record_step, compiled, replayed.
 * Invariant: n steps are the same map however they are cut into programs, up to the rounding of t + k h. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "recorded.h"
#include "solver.h"

/* Several steps in one program: what one ends with and the next begins with is then computed once (the kicks of verlet). */
enum { MANY = 16 };
struct ode_compiled {
    ad_program *program[2]; /* one step, MANY steps */
    ad_work *work[2];
    double t, h, *out; /* the inputs t and h; the result */
    const void **in;
};

void ode_compiled_free(struct ode_compiled *c)
{
    if (!c)
        return;
    for (int k = 0; k < 2; k++)
        ad_work_free(c->work[k]), ad_program_free(c->program[k]);
    free(c->out), free(c->in), free(c);
}

/* An explicit row: one whose step never calls `solve`. */
static int is_explicit(const ode_method *m)
{
    return m->driver == &ode_rk_driver || m->driver == &ode_split_driver ||
           (m->driver == &ode_compose_driver && m->base && is_explicit(m->base));
}

static ad_program *record(ode_solver *s, ode_recorded *r, int steps, int native)
{
    ad_tape *t = ad_new();
    int rows = r->batch ? AD_BATCH : 1;
    ad_var *in = calloc((size_t)(3 + r->params), sizeof *in);
    ad_program *p = NULL;
    if (t && in) {
        in[0] = ad_input(t, "y", rows, r->size);
        in[1] = ad_input(t, "t", 1, 1), in[2] = ad_input(t, "h", 1, 1);
        for (int i = 0; i < r->params; i++) {
            char name[32];
            snprintf(name, sizeof name, "param%d", i);
            int shared = r->each[i] && r->rows[i] == 1;
            in[3 + i] = ad_input(t, name, shared ? 1 : ad_rows(r->param[i]), ad_cols(r->param[i]));
        }
        ad_var y = in[0];
        for (int k = 0; k < steps; k++)
            y = ode_record_step(s->method, r, y, k ? ad_add(in[1], ad_mul(k, in[2])) : in[1], in[2], in + 3,
                                0);
        p = ad_is_number(y) ? NULL : ad_compile(t, 3 + r->params, in, 1, &y, NULL);
        ad_program *replay = native ? p : NULL;
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

int ode_compiled_begin(ode_solver *s, int native)
{
    ode_compiled_free(s->compiled);
    s->compiled = NULL;
    if (s->field.rows != ode_recorded_give)
        return ode_fail(s, ODE_EINPUT,
                        "compiled steps: the field is not a recorded one (ode_recorded_field)");
    ode_recorded *r = s->field.user;
    if (!is_explicit(s->method))
        return ode_fail(s, ODE_EINPUT,
                        "compiled steps: %s solves equations in each step; leave `compiled` out",
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
    struct ode_compiled *c = s->compiled = calloc(1, sizeof *c);
    size_t n = (size_t)r->size * (size_t)s->space.rows;
    if (!c || !(c->out = malloc(n * sizeof *c->out)) ||
        !(c->in = calloc((size_t)(3 + r->params), sizeof *c->in)))
        return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory");
    c->in[0] = s->space.x, c->in[1] = &c->t, c->in[2] = &c->h;
    for (int k = 0; k < 2; k++) {
        if (!(c->program[k] = record(s, r, k ? MANY : 1, native)))
            return s->status;
        if (!(c->work[k] = ad_work_new(c->program[k], r->pool)))
            return ode_fail(s, ODE_EMEMORY, "compiled steps: out of memory");
    }
    return ODE_OK;
}

static int all_finite(const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i] * 0.0;
    return sum == 0;
}
/* Up to n steps; how many were made. 0: the next one has to be made in the ordinary way (a row fails in it). */
int64_t ode_compiled_steps(ode_solver *s, int64_t n, double h)
{
    struct ode_compiled *c = s->compiled;
    ode_real *r = &s->space;
    ode_recorded *f = s->field.user;
    size_t size = (size_t)f->size * (size_t)r->rows;
    int k = n >= MANY, steps = k ? MANY : 1;
    for (int b = 0; b < r->rows; b++)
        if (r->fault[b].status)
            return 0;
    for (int i = 0; i < f->params; i++)
        c->in[3 + i] = f->value[i];
    c->t = r->t, c->h = h;
    if (ad_run(c->work[k], r->rows, c->in, (void *[]){c->out}) || !all_finite(c->out, size))
        return 0;
    memcpy(r->x, c->out, size * sizeof *c->out);
    memset(r->carry, 0, size * sizeof *c->out);
    for (int j = 0; j < steps; j++) {
        double p = h + r->t_carry, t = r->t + p;
        r->t_carry = p - (t - r->t);
        r->t = t;
    }
    r->base.fresh = 1;
    r->h = h;
    s->dense_ready = 0;
    r->counts.steps += steps * (int64_t)r->rows;
    return steps;
}
