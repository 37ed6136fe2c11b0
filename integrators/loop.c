/* loop.c - many recorded steps as one loop on the tape (ad_scan): equal ones, or a list of lengths.
 * Invariant: what changes from step to step is carried (state, the force there where a step ends and begins with it, time) or given
 * (the length); all else is shared, so that it gets one derivative. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "recorded.h"
#include "solver.h"

typedef struct {
    const ode_method *m;
    ode_recorded *r;
    ad_tape *tape;
    ad_var y, t, h; /* h: of every step, or [., steps] */
    const ad_var *param;
    double omega;
    int64_t steps, checkpoints;
    int each;                  /* 1: every step has its own length */
    ad_var *trajectory, *ends; /* NULL where not asked for; ends: the time after each step */
    ode_kept kept;             /* count 0, or 1: a force that is carried */
    ad_var carry[3];           /* y, force, t */
    int carries;
} loop;

/* The force of the last kick, where the next step begins with it: it moves the state of both. What a Runge-Kutta step evaluates last
 * for the next one moves its own state not at all, so the next evaluates it as cheaply. */
static ode_kept kept_of(const ode_method *m, ode_recorded *r)
{
    const char *why;
    ode_kept k = {0}, none = {0};
    if (!m || !m->driver || !m->driver->keeps)
        return none;
    ode_plan *plan = ode_plan_new(m, &why);
    if (!plan)
        ode_recorded_fail(r, ODE_EMETHOD, "ode_record: %s", why);
    int fine = plan && m->driver->keeps(plan, &k) && k.count == 1 && k.field && k.part == ODE_P && r->half;
    ode_plan_free(plan);
    return fine ? k : none;
}

/* A value on the tape where a number was given. */
static ad_var on(ad_tape *t, ad_var v) { return ad_is_number(v) ? ad_fill(t, 1, 1, v.value) : v; }

/* (h, params; y, force, t) -> (y, force, t + h), and y and the time once more when they are to be kept; h comes last where each step
 * has its own. The time is carried where something reads it. */
static ad_func *body(const loop *l)
{
    ode_recorded *r = l->r;
    ad_tape *b = ad_new();
    ad_var *in = calloc((size_t)(2 + l->carries + r->params), sizeof *in), out[5], force = ad_num(0);
    int n = 0, nout = 1;
    if (b && in) {
        ad_var h = ad_input(b, "h", ad_rows(l->h), 1), *param = in + !l->each, t = ad_num(0);
        if (!l->each)
            in[n++] = h;
        n += ode_body_params(r, b, l->param, in + n);
        ad_var *carry = in + n;
        for (int i = 0; i < l->carries; i++)
            in[n++] =
                ad_input(b, (const char *[]){"y", "x1", "x2"}[i], ad_rows(l->carry[i]), ad_cols(l->carry[i]));
        if (l->kept.count)
            force = carry[1];
        if (l->carries > 1 + l->kept.count)
            t = carry[1 + l->kept.count];
        if (l->each)
            in[n++] = h;
        out[0] = ode_trace_steps(l->m, r, carry[0], t, h, param, l->omega,
                                 &(ode_traced){.steps = 1,
                                               .kept = l->kept.count,
                                               .part = ODE_P,
                                               .minus = 1,
                                               .slot = l->kept.slot,
                                               .keep = &force});
        if (l->kept.count)
            out[nout++] = force;
        if (l->carries > nout)
            out[nout++] = (ad_add)(t, h);
        if (l->trajectory)
            out[nout++] = out[0];
        if (l->ends)
            out[nout++] = out[l->carries - 1];
    }
    return ode_body_func(r, "ode_record", b, n, in, nout, out);
}

/* What is carried, as it is before the first step. */
static int carry(loop *l)
{
    ode_recorded *r = l->r;
    l->kept = kept_of(l->m, r);
    l->carry[l->carries++] = l->y;
    if (l->kept.count)
        ode_trace_steps(
            l->m, r, l->y, l->t, ad_num(0), l->param, l->omega,
            &(ode_traced){.kept = 1, .part = ODE_P, .minus = 1, .slot = l->kept.slot, .keep = l->carry + 1});
    l->carries += l->kept.count;
    if (r->timed || l->ends) /* as many times as lengths of steps */
        l->carry[l->carries++] = ad_rows(l->t) == 1 ? ad_expand(l->t, ad_rows(l->h), 1) : l->t;
    return r->status || ad_status(l->tape);
}

static ad_var run(loop *l)
{
    ode_recorded *r = l->r;
    ad_var none = ad_num(0), last[3] = {none, none, none}, kept[2] = {none, none},
           *shared = calloc((size_t)(1 + r->params), sizeof *shared);
    if (!shared)
        return ode_recorded_fail(r, ODE_EMEMORY, "ode_record: out of memory"), none;
    int n = 0;
    l->h = on(l->tape, l->h), l->t = on(l->tape, l->t);
    if (!l->each)
        shared[n++] = l->h;
    for (int i = 0; i < r->params; i++)
        shared[n + i] = on(l->tape, l->param[i]);
    l->param = shared + n;
    int collect = (l->trajectory != NULL) + (l->ends != NULL);
    ad_func *f = ad_status(l->tape) || carry(l) ? NULL : body(l);
    if (f)
        ad_scan(l->tape, &(ad_scan_spec){.f = f,
                                         .count = l->steps,
                                         .nshared = n + r->params,
                                         .ncarry = l->carries,
                                         .nstep = l->each,
                                         .ncollect = collect,
                                         .shared = shared,
                                         .carry = l->carry,
                                         .per_step = &l->h,
                                         .carry_out = last,
                                         .collected = kept,
                                         .checkpoints = l->checkpoints});
    if (f && l->trajectory)
        *l->trajectory = kept[0];
    if (f && l->ends)
        *l->ends = kept[collect - 1];
    ad_func_free(f);
    free(shared);
    return f ? last[0] : none;
}

static loop of(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h, const ad_var param[],
               int64_t steps, int64_t checkpoints)
{
    return (loop){.m = m,
                  .r = r,
                  .tape = y.tape,
                  .y = y,
                  .t = t,
                  .h = h,
                  .param = param,
                  .steps = steps,
                  .checkpoints = checkpoints};
}

ad_var ode_record(const ode_method *m, ode_recorded *r, int64_t steps, ad_var y, ad_var t, ad_var h,
                  const ad_var param[], double omega, int64_t checkpoints, ad_var *trajectory)
{
    if (!r || r->status || !y.tape)
        return ad_num(0);
    if (steps < 1)
        return ode_recorded_fail(r, ODE_EINPUT, "ode_record: %lld steps", (long long)steps), ad_num(0);
    loop l = of(m, r, y, t, h, param, steps, checkpoints);
    l.omega = omega, l.trajectory = trajectory;
    return run(&l);
}
ad_var ode_record_steps(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                        const ad_var param[], double omega, int64_t checkpoints, ad_var *trajectory)
{
    if (!r || r->status || !y.tape)
        return ad_num(0);
    if (ad_is_number(h) || ad_is_void(h))
        return ode_recorded_fail(r, ODE_EINPUT, "ode_record_steps: h is %s, needed a value [., steps]",
                                 ad_name(h)),
               ad_num(0);
    loop l = of(m, r, y, t, h, param, ad_cols(h), checkpoints);
    l.omega = omega, l.each = 1, l.trajectory = trajectory;
    return run(&l);
}

void ode_record_path(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h, const ad_var param[],
                     int64_t checkpoints, ad_var *trajectory, ad_var *ends)
{
    *trajectory = *ends = ad_num(0);
    loop l = of(m, r, y, t, h, param, ad_cols(h), checkpoints);
    l.each = 1, l.trajectory = trajectory, l.ends = ends;
    run(&l);
}

int ode_steps_put(ode_steps *a, double t, double h)
{
    if (a->count == a->room) {
        int64_t room = a->room < 32 ? 64 : 2 * a->room;
        double *v = realloc(a->h, (size_t)room * sizeof *v);
        if (!v)
            return ODE_EMEMORY;
        a->h = v, a->room = room;
    }
    if (a->count == 0)
        a->t = t;
    a->h[a->count++] = h;
    return ODE_OK;
}
