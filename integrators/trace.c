/* trace.c - the abstract space of ode_driver.h on tape variables: one step of a method as recorded mathematics.
 * Invariant: a slot is values on the tape, never overwritten, so a step is a pure function of state, time, step and parameters:
 * nothing is kept from one step to the next. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

/* v on the tape that operations record on. */
ad_var ode_trace_here(ode_trace *d, ad_var v)
{
    reading *o = d->outside;
    if (ad_is_number(v) || v.tape == d->tape || !o)
        return v;
    for (int i = 0; i < o->n; i++)
        if (o->outer[i].tape == v.tape && o->outer[i].id == v.id)
            return o->inner[i];
    if (o->n == o->room) {
        int room = 2 * o->room + 8;
        ad_var *w = realloc(o->outer, sizeof *w * 2 * (size_t)room);
        if (!w)
            return ode_recorded_fail(d->r, ODE_EMEMORY, "ode_record_step: out of memory"), ad_num(0);
        memmove(w + room, w + o->room, sizeof *w * (size_t)o->n);
        o->outer = w, o->inner = w + room, o->room = room;
    }
    char name[32];
    snprintf(name, sizeof name, "x%d", o->n);
    o->outer[o->n] = v;
    return o->inner[o->n++] = ad_input(d->tape, name, ad_rows(v), ad_cols(v));
}
ad_var ode_trace_get(ode_trace *d, int slot, int part)
{
    ad_var v = ode_trace_here(d, d->slot[slot].part[part]);
    return part && d->slot[slot].minus ? (ad_neg)(v) : v;
}
static ad_var number(ode_trace *d, int k) { return ode_trace_here(d, d->reg[k]); }

static ad_var plus_times(ad_var y, double c, ad_var x) { return (ad_add)(y, times(c, x)); }

static void set(ode_space *s, int part, int dst, int src)
{
    ode_trace *d = (ode_trace *)s;
    for (int k = from(d, part); k < to(d, part); k++) {
        d->slot[dst].part[k] = src < 0 ? ad_num(0) : d->slot[src].part[k];
        if (dst == 0)
            d->carry[k] = ad_num(0);
    }
    if (part & ODE_P)
        d->slot[dst].minus = src < 0 ? 0 : d->slot[src].minus;
}
/* What the recorded field gives at a slot. */
static ad_var ask(ode_trace *d, int what, int src, ode_num c)
{
    int n = 0;
    ad_var out = ad_num(0);
    for (int k = 0; k < d->parts; k++)
        d->args[n++] = ode_trace_get(d, src, k);
    if (d->r->timed)
        d->args[n++] = plus_times(ode_trace_here(d, d->t), d->base.tc.hi + c.hi * d->base.hs.hi,
                                  ode_trace_here(d, d->h));
    for (int i = 0; i < d->r->params; i++)
        d->args[n++] = ode_trace_here(d, d->param[i]);
    ad_call(d->tape, d->fn[what], d->args, &out);
    return out;
}
static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    ode_trace *d = (ode_trace *)s;
    state f = d->slot[dst];
    d->fields++;
    if (d->parts == 1)
        f.part[0] = ask(d, ODE_OF_RHS, src, c);
    else {
        if (part & ODE_Q)
            f.part[0] = ask(d, ODE_OF_DHDP, src, c);
        if (part & ODE_P)
            f.part[1] = ask(d, ODE_OF_DHDQ, src, c), f.minus = 1;
    }
    d->slot[dst] = f;
}
static void rotate(ode_space *s, int dst, int src)
{
    ode_trace *d = (ode_trace *)s;
    d->slot[dst] = (state){{ode_trace_get(d, src, 1), ode_trace_get(d, src, 0)}, 1};
}
/* x with column i replaced. */
static ad_var with_column(ad_var x, int n, int i, ad_var column)
{
    ad_var part[3];
    int k = 0;
    if (i > 0)
        part[k++] = ad_cols_of(x, 0, i);
    part[k++] = column;
    if (i < n - 1)
        part[k++] = ad_cols_of(x, i + 1, n - 1 - i);
    return ad_concat_cols(k, part);
}
static ad_var *half(ode_trace *d, int slot, int *i)
{
    int n = n_of(d), k = *i / n;
    if (k) /* it is read and written by columns */
        put_part(d, slot, 1, ode_trace_get(d, slot, 1));
    *i %= n;
    return &d->slot[slot].part[k];
}
static ad_var column(ode_trace *d, int slot, int i)
{
    ad_var x = ode_trace_here(d, *half(d, slot, &i));
    return ad_is_number(x) ? x : ad_cols_of(x, i, 1);
}
/* A slot that was set to 0 gets a shape before a column is put into it. */
static void put_column(ode_trace *d, int dst, int i, ad_var v)
{
    ad_var *x = half(d, dst, &i), like = d->slot[0].part[0];
    if (ad_is_number(*x))
        *x = ad_fill(d->tape, ad_rows(like), ad_cols(like), x->value);
    *x = with_column(ode_trace_here(d, *x), n_of(d), i, v);
}
static void pick(ode_space *s, int i, int dst, int src)
{
    ode_trace *d = (ode_trace *)s;
    put_column(d, dst, i, column(d, src, i));
}
static void mix(ode_space *s, int a, int b, ode_num k)
{
    ode_trace *d = (ode_trace *)s;
    ad_var angle = times(2 * s->omega * k.hi * s->hs.hi, ode_trace_here(d, d->h)), c = ad_cos(angle),
           z = ad_sin(angle);
    ad_var diff[2], mean[2];
    for (int i = 0; i < 2; i++) {
        ad_var x = ode_trace_get(d, a, i), y = ode_trace_get(d, b, i);
        diff[i] = times(0.5, (ad_sub)(x, y));
        mean[i] = times(0.5, (ad_add)(x, y));
    }
    ad_var u = (ad_add)((ad_mul)(c, diff[0]), (ad_mul)(z, diff[1])),
           v = (ad_sub)((ad_mul)(c, diff[1]), (ad_mul)(z, diff[0]));
    d->slot[a] = (state){{(ad_add)(mean[0], u), (ad_add)(mean[1], v)}, 0};
    d->slot[b] = (state){{(ad_sub)(mean[0], u), (ad_sub)(mean[1], v)}, 0};
}
static void put(ode_space *s, int dst, int i, int k)
{
    put_column((ode_trace *)s, dst, i, number((ode_trace *)s, k));
}
static void dot(ode_space *s, int k, int x, int y)
{
    ode_trace *d = (ode_trace *)s;
    d->reg[k] = ad_num(0);
    for (int i = 0; i < d->parts; i++)
        d->reg[k] = (ad_add)(d->reg[k], ad_row_dot(ode_trace_get(d, x, i), ode_trace_get(d, y, i)));
}
static void entry(ode_space *s, int k, int x, int i)
{
    ((ode_trace *)s)->reg[k] = column((ode_trace *)s, x, i);
}
static void energy(ode_space *s, int k, int x, ode_num c)
{
    ((ode_trace *)s)->reg[k] = ask((ode_trace *)s, ODE_OF_ENERGY, x, c);
}
static void plus(ode_space *s, int k, double c, int a)
{
    ode_trace *d = (ode_trace *)s;
    d->reg[k] = k == a && c == -1 ? ad_num(0) : plus_times(number(d, k), c, number(d, a));
}
static void quotient(ode_space *s, int k, int a, int b, double small, int alt)
{
    ode_trace *d = (ode_trace *)s;
    ad_var x = number(d, a), y = number(d, b);
    d->reg[k] =
        (ad_where)((ad_lt)(ad_num(small), ad_abs(y)), (ad_div)(x, y), alt < 0 ? ad_num(0) : number(d, alt));
}
static const ode_ops trace_ops = {
    set, ode_trace_add, ode_trace_addh, ode_trace_sum, eval,     rotate, pick,           mix,
    dot, entry,         energy,         plus,          quotient, put,    ode_trace_addr, ode_trace_solve};

/* The functions of the recorded field that a step may call. */
static const ad_func *function(ode_recorded *r, int what)
{
    if (r->fn[what] || r->status)
        return r->fn[what];
    ad_var *in = malloc(sizeof *in * (size_t)(3 + r->params));
    ad_var out = what == ODE_OF_RHS    ? r->f
                 : what == ODE_OF_DHDP ? r->dHdp
                 : what == ODE_OF_DHDQ ? r->dHdq
                                       : r->H;
    if (!in)
        return ode_recorded_fail(r, ODE_EMEMORY, "ode_record_step: out of memory"), NULL;
    r->fn[what] = ad_func_new(ode_recorded_inputs(r, in), in, 1, &out);
    free(in);
    if (!r->fn[what])
        ode_recorded_tape(r, "ode_record_step");
    return r->fn[what];
}

/* The state as parts, and a value where a number was given. */
static int begin(ode_trace *d, ode_recorded *r, const ode_method *m, ad_var y)
{
    static const int plain[] = {ODE_OF_RHS}, halves[] = {ODE_OF_DHDP, ODE_OF_DHDQ};
    for (int k = 0; k < d->parts; k++)
        if (!function(r, d->parts == 2 ? halves[k] : plain[k]))
            return r->status;
    if ((m->needs & ODE_ENERGY || (m->base && m->base->needs & ODE_ENERGY)) && !function(r, ODE_OF_ENERGY))
        return r->status;
    for (int k = 0; k < d->parts; k++)
        d->slot[0].part[k] = d->parts == 2 ? ad_cols_of(y, k * n_of(d), n_of(d)) : y;
    return ODE_OK;
}

/* A slot's parts that are kept: from, to; and back, with the sign they had. */
static void take_kept(ode_trace *d, const ode_traced *more)
{
    for (int i = 0, n = 0; i < more->kept; i++) {
        state *x = &d->slot[more->slot[i]];
        for (int k = from(d, more->part); k < to(d, more->part); k++)
            x->part[k] = more->keep[n++];
        x->minus = more->minus;
    }
}
static void give_kept(ode_trace *d, const ode_traced *more)
{
    for (int i = 0, n = 0; i < more->kept; i++)
        for (int k = from(d, more->part); k < to(d, more->part); k++) {
            const state *x = &d->slot[more->slot[i]];
            more->keep[n++] = k && x->minus != more->minus ? (ad_neg)(x->part[k]) : x->part[k];
        }
}

ad_var ode_trace_steps(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                       const ad_var param[], double omega, ode_traced *more)
{
    ad_var none = ad_num(0);
    if (!r || r->status || !y.tape)
        return none;
    const char *why = m ? ode_method_refuses(m, &r->field) : "method is NULL";
    if (!why && (m->needs & ODE_OMEGA) && !(omega > 0))
        return ode_recorded_fail(r, ODE_EINPUT, "ode_record_step: %s needs omega > 0, given %g", m->name,
                                 omega),
               none;
    ode_plan *plan = why ? NULL : ode_plan_new(m, &why);
    if (!plan)
        return ode_recorded_fail(r, ODE_EMETHOD, "ode_record_step: %s", why), none;
    const ode_driver *driver = m->driver;
    int slots = driver->slots(plan) + 2, registers = driver->registers ? driver->registers(plan) : 0;
    ode_trace d = {
        .base =
            {.ops = &trace_ops, .size = r->size, .half = r->half, .fresh = 1, .hs = {1, 0}, .omega = omega},
        .tape = y.tape,
        .r = r,
        .fn = (const ad_func *const *)r->fn,
        .param = param,
        .t = t,
        .h = h,
        .parts = r->half ? 2 : 1,
        .slots = slots,
        .regs = registers,
        .sweeps = more->sweeps,
        .allowed = more->allowed,
        .worst = more->worst,
        .compensate = more->carry != NULL};
    d.slot = calloc((size_t)slots, sizeof *d.slot);
    d.reg = calloc((size_t)(registers + 3 + r->params), sizeof *d.reg);
    ad_var out = none;
    if (!d.slot || !d.reg)
        ode_recorded_fail(r, ODE_EMEMORY, "ode_record_step: out of memory");
    else if (d.args = d.reg + registers, !begin(&d, r, m, y)) {
        for (int k = 0; k < d.parts; k++)
            d.carry[k] = more->carry ? more->carry[k] : none;
        if (more->steps)
            take_kept(&d, more);
        else
            eval(&d.base, more->part, more->slot[0], 0, (ode_num){0, 0});
        for (int k = 0; k < more->steps; k++) {
            d.base.fresh = !more->kept;
            d.base.ratio = 1;
            d.t = more->times ? more->times[k] : k ? plus_times(t, k, h) : t;
            driver->step(&d.base, plan);
        }
        give_kept(&d, more);
        more->worst = d.worst;
        more->fields = d.fields, more->iterations = d.iterations;
        for (int k = 0; more->carry && k < d.parts; k++)
            more->carry[k] = d.carry[k];
        out = r->status ? none : d.parts == 2 ? ad_concat_cols(2, d.slot[0].part) : d.slot[0].part[0];
    }
    free(d.slot), free(d.reg);
    ode_plan_free(plan);
    return out;
}
ad_var ode_record_step(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                       const ad_var param[], double omega)
{
    return ode_trace_steps(m, r, y, t, h, param, omega, &(ode_traced){.steps = 1});
}
