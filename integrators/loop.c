/* loop.c - many recorded steps as one loop on the tape (ad_scan): equal ones, or a list of lengths.
 * Invariant: what changes from step to step is carried (state, time) or given (the length); all else is shared, so that it gets
 * one derivative. */
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
} loop;

/* A value on the tape where a number was given. */
static ad_var on(ad_tape *t, ad_var v) { return ad_is_number(v) ? ad_fill(t, 1, 1, v.value) : v; }

/* (h, params; y, t) -> (y, t + h), and each once more when it is to be kept; h comes last where each step has its own. */
static ad_func *body(const loop *l)
{
    ode_recorded *r = l->r;
    ad_tape *b = ad_new();
    ad_var *in = calloc((size_t)(3 + r->params), sizeof *in), out[4];
    int n = 0, nout = 2;
    if (b && in) {
        ad_var h = ad_input(b, "h", ad_rows(l->h), 1), *param = in + !l->each;
        if (!l->each)
            in[n++] = h;
        n += ode_body_params(r, b, l->param, in + n);
        ad_var y = in[n++] = ad_input(b, "y", ad_rows(l->y), ad_cols(l->y)),
               t = in[n++] = ad_input(b, "t", ad_rows(l->t), 1);
        if (l->each)
            in[n++] = h;
        out[0] = ode_record_step(l->m, r, y, t, h, param, l->omega);
        out[1] = (ad_add)(t, h);
        if (l->trajectory)
            out[nout++] = out[0];
        if (l->ends)
            out[nout++] = out[1];
    }
    return ode_body_func(r, "ode_record", b, n, in, nout, out);
}

static ad_var run(loop *l)
{
    ode_recorded *r = l->r;
    ad_var none = ad_num(0), last[2] = {none, none}, kept[2] = {none, none},
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
    if (ad_rows(l->t) == 1) /* as many times as lengths of steps */
        l->t = ad_expand(l->t, ad_rows(l->h), 1);
    int collect = (l->trajectory != NULL) + (l->ends != NULL);
    ad_func *f = ad_status(l->tape) ? NULL : body(l);
    if (f)
        ad_scan(l->tape, &(ad_scan_spec){.f = f,
                                         .count = l->steps,
                                         .nshared = n + r->params,
                                         .ncarry = 2,
                                         .nstep = l->each,
                                         .ncollect = collect,
                                         .shared = shared,
                                         .carry = (ad_var[]){l->y, l->t},
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

ad_var ode_record(const ode_method *m, ode_recorded *r, int64_t steps, ad_var y, ad_var t, ad_var h,
                  const ad_var param[], double omega, int64_t checkpoints, ad_var *trajectory)
{
    if (!r || r->status || !y.tape)
        return ad_num(0);
    if (steps < 1)
        return ode_recorded_fail(r, ODE_EINPUT, "ode_record: %lld steps", (long long)steps), ad_num(0);
    return run(&(loop){m, r, y.tape, y, t, h, param, omega, steps, checkpoints, 0, trajectory, NULL});
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
    return run(&(loop){m, r, y.tape, y, t, h, param, omega, ad_cols(h), checkpoints, 1, trajectory, NULL});
}

void ode_record_path(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h, const ad_var param[],
                     int64_t checkpoints, ad_var *trajectory, ad_var *ends)
{
    *trajectory = *ends = ad_num(0);
    run(&(loop){m, r, y.tape, y, t, h, param, 0, ad_cols(h), checkpoints, 1, trajectory, ends});
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
