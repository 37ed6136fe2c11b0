/* trace.c - the abstract space of ode_driver.h on tape variables: one step of a method as recorded mathematics.
 * Invariant: a slot is values on the tape, never overwritten, so a step is a pure function of state, time, step and parameters:
 * nothing is kept from one step to the next. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorded.h"

typedef struct {
    ad_var part[2]; /* q, p of a canonical state; else y, nothing */
} state;
typedef struct {
    ode_space base;
    ad_tape *tape;
    ode_recorded *r;
    const ad_func *const *fn; /* by what they give */
    const ad_var *param;
    ad_var t, h, *reg, *args;
    state *slot;
    int parts;
} trace;

static int n_of(const trace *d) { return d->parts == 2 ? d->base.half : d->base.size; }
/* The parts an operation touches: from, to. */
static int from(const trace *d, int part) { return d->parts == 2 && part == ODE_P; }
static int to(const trace *d, int part) { return d->parts == 2 && part != ODE_Q ? 2 : 1; }
static double num(ode_num c) { return c.hi + c.lo; }

static ad_var times(double c, ad_var x)
{
    return c == 1 ? x : c == -1 ? (ad_neg)(x) : (ad_mul)(ad_num(c), x);
}
static ad_var plus_times(ad_var y, double c, ad_var x) { return (ad_add)(y, times(c, x)); }

static void set(ode_space *s, int part, int dst, int src)
{
    trace *d = (trace *)s;
    for (int k = from(d, part); k < to(d, part); k++)
        d->slot[dst].part[k] = src < 0 ? ad_num(0) : d->slot[src].part[k];
}
static void add(ode_space *s, int part, int dst, ode_num c, int src)
{
    trace *d = (trace *)s;
    for (int k = from(d, part); k < to(d, part); k++)
        d->slot[dst].part[k] = plus_times(d->slot[dst].part[k], num(c), d->slot[src].part[k]);
}
static ad_var steps(trace *d, ode_num c) { return times(num(c) * num(d->base.hs), d->h); }
static void addh(ode_space *s, int part, int dst, ode_num c, int src)
{
    trace *d = (trace *)s;
    ad_var h = steps(d, c);
    for (int k = from(d, part); k < to(d, part); k++)
        d->slot[dst].part[k] = (ad_add)(d->slot[dst].part[k], (ad_mul)(h, d->slot[src].part[k]));
}
/* What the recorded field gives at a slot. */
static ad_var ask(trace *d, int what, int src, ode_num c)
{
    int n = 0;
    ad_var out = ad_num(0);
    for (int k = 0; k < d->parts; k++)
        d->args[n++] = d->slot[src].part[k];
    if (d->r->timed)
        d->args[n++] = plus_times(d->t, num(d->base.tc) + num(c) * num(d->base.hs), d->h);
    for (int i = 0; i < d->r->params; i++)
        d->args[n++] = d->param[i];
    ad_call(d->tape, d->fn[what], d->args, &out);
    return out;
}
static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    trace *d = (trace *)s;
    state f = d->slot[dst];
    if (d->parts == 1)
        f.part[0] = ask(d, ODE_OF_RHS, src, c);
    else {
        if (part & ODE_Q)
            f.part[0] = ask(d, ODE_OF_DHDP, src, c);
        if (part & ODE_P)
            f.part[1] = (ad_neg)(ask(d, ODE_OF_DHDQ, src, c));
    }
    d->slot[dst] = f;
}
static void rotate(ode_space *s, int dst, int src)
{
    trace *d = (trace *)s;
    state x = d->slot[src];
    d->slot[dst] = (state){{x.part[1], (ad_neg)(x.part[0])}};
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
static ad_var *half(trace *d, int slot, int *i)
{
    int n = n_of(d), k = *i / n;
    *i %= n;
    return &d->slot[slot].part[k];
}
static ad_var column(trace *d, int slot, int i)
{
    ad_var *x = half(d, slot, &i);
    return ad_is_number(*x) ? *x : ad_cols_of(*x, i, 1);
}
/* A slot that was set to 0 gets a shape before a column is put into it. */
static void put_column(trace *d, int dst, int i, ad_var v)
{
    ad_var *x = half(d, dst, &i), like = d->slot[0].part[0];
    if (ad_is_number(*x))
        *x = ad_fill(d->tape, ad_rows(like), ad_cols(like), x->value);
    *x = with_column(*x, n_of(d), i, v);
}
static void pick(ode_space *s, int i, int dst, int src)
{
    trace *d = (trace *)s;
    put_column(d, dst, i, column(d, src, i));
}
static void mix(ode_space *s, int a, int b, ode_num k)
{
    trace *d = (trace *)s;
    ad_var angle = times(2 * s->omega, steps(d, k)), c = ad_cos(angle), z = ad_sin(angle);
    state x = d->slot[a], y = d->slot[b];
    ad_var diff[2], mean[2];
    for (int i = 0; i < 2; i++) {
        diff[i] = times(0.5, (ad_sub)(x.part[i], y.part[i]));
        mean[i] = times(0.5, (ad_add)(x.part[i], y.part[i]));
    }
    ad_var u = (ad_add)((ad_mul)(c, diff[0]), (ad_mul)(z, diff[1])),
           v = (ad_sub)((ad_mul)(c, diff[1]), (ad_mul)(z, diff[0]));
    d->slot[a] = (state){{(ad_add)(mean[0], u), (ad_add)(mean[1], v)}};
    d->slot[b] = (state){{(ad_sub)(mean[0], u), (ad_sub)(mean[1], v)}};
}
static void put(ode_space *s, int dst, int i, int k) { put_column((trace *)s, dst, i, ((trace *)s)->reg[k]); }
static void dot(ode_space *s, int k, int x, int y)
{
    trace *d = (trace *)s;
    d->reg[k] = ad_num(0);
    for (int i = 0; i < d->parts; i++)
        d->reg[k] = (ad_add)(d->reg[k], ad_row_dot(d->slot[x].part[i], d->slot[y].part[i]));
}
static void entry(ode_space *s, int k, int x, int i) { ((trace *)s)->reg[k] = column((trace *)s, x, i); }
static void energy(ode_space *s, int k, int x, ode_num c)
{
    ((trace *)s)->reg[k] = ask((trace *)s, ODE_OF_ENERGY, x, c);
}
static void plus(ode_space *s, int k, double c, int a)
{
    trace *d = (trace *)s;
    d->reg[k] = k == a && c == -1 ? ad_num(0) : plus_times(d->reg[k], c, d->reg[a]);
}
static void quotient(ode_space *s, int k, int a, int b, double small, int alt)
{
    trace *d = (trace *)s;
    d->reg[k] = (ad_where)((ad_lt)(ad_num(small), ad_abs(d->reg[b])), (ad_div)(d->reg[a], d->reg[b]),
                           alt < 0 ? ad_num(0) : d->reg[alt]);
}
static void addr(ode_space *s, int part, int dst, int k, int src)
{
    trace *d = (trace *)s;
    for (int i = from(d, part); i < to(d, part); i++)
        d->slot[dst].part[i] = (ad_add)(d->slot[dst].part[i], (ad_mul)(d->reg[k], d->slot[src].part[i]));
}

/* The unknown (or G) slots as one value [., N], and back. */
static ad_var gather(trace *d, int n, const int slot[])
{
    ad_var part[64];
    int k = 0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < d->parts; i++) {
            ad_var x = d->slot[slot[j]].part[i], like = d->slot[0].part[i];
            part[k++] = (ad_add)(x, ad_fill(d->tape, ad_rows(like), ad_cols(like), 0));
        }
    return ad_concat_cols(k, part);
}
static void scatter(trace *d, int n, const int slot[], ad_var Y)
{
    for (int j = 0, k = 0; j < n; j++)
        for (int i = 0; i < d->parts; i++, k++)
            d->slot[slot[j]].part[i] = ad_cols_of(Y, k * n_of(d), n_of(d));
}
/* y = G(y): sweeps whose derivative is stopped, then Newton steps that are differentiated. A Newton step from a point that is
 * right to order m in the perturbation of anything is right to order 2 m + 1: two of them give derivatives to order 3 that are
 * those of the implicit function, whatever the sweeps did. Griewank and Walther (2008), Evaluating Derivatives, 15. */
enum { SWEEPS = 8, POLISH = 3 };
static void solve(ode_space *s, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    trace *d = (trace *)s;
    for (int k = 0; k < SWEEPS; k++) {
        map(s, ctx);
        for (int j = 0; j < n; j++)
            d->slot[y[j]] = d->slot[g[j]];
    }
    ad_var Y = ad_stop(gather(d, n, y));
    int N = n * s->size;
    for (int k = 0; k < POLISH && !ad_status(d->tape); k++) {
        scatter(d, n, y, Y);
        map(s, ctx);
        ad_var F = (ad_sub)(Y, gather(d, n, g));
        Y = (ad_sub)(Y, ad_row_solve(ode_jacobian(F, Y), F, N, 1));
    }
    scatter(d, n, y, Y);
    map(s, ctx); /* what the driver reads beside the unknowns */
}
static const ode_ops trace_ops = {set,   add,    addh, eval,     rotate, pick, mix,  dot,
                                  entry, energy, plus, quotient, put,    addr, solve};

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
static int begin(trace *d, ode_recorded *r, const ode_method *m, ad_var y)
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

ad_var ode_record_step(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                       const ad_var param[], double omega)
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
    trace d = {
        .base =
            {.ops = &trace_ops, .size = r->size, .half = r->half, .fresh = 1, .hs = {1, 0}, .omega = omega},
        .tape = y.tape,
        .r = r,
        .fn = (const ad_func *const *)r->fn,
        .param = param,
        .t = t,
        .h = h,
        .parts = r->half ? 2 : 1};
    d.slot = calloc((size_t)slots, sizeof *d.slot);
    d.reg = calloc((size_t)(registers + 3 + r->params), sizeof *d.reg);
    ad_var out = none;
    if (!d.slot || !d.reg)
        ode_recorded_fail(r, ODE_EMEMORY, "ode_record_step: out of memory");
    else if (d.args = d.reg + registers, !begin(&d, r, m, y)) {
        driver->step(&d.base, plan);
        out = d.parts == 2 ? ad_concat_cols(2, d.slot[0].part) : d.slot[0].part[0];
    }
    free(d.slot), free(d.reg);
    ode_plan_free(plan);
    return out;
}

/* A value on the tape where a number was given. */
static ad_var on(ad_tape *t, ad_var v) { return ad_is_number(v) ? ad_fill(t, 1, 1, v.value) : v; }
static ad_var input_like(ad_tape *t, const char *name, ad_var v)
{
    return ad_input(t, name, ad_rows(v), ad_cols(v));
}

/* The body: (h, params; y, t) -> (y, t + h), and y once more when it is to be kept. */
static ad_func *body(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h, const ad_var param[],
                     double omega, int keep, ad_tape *outer)
{
    ad_tape *b = ad_new();
    ad_var *in = calloc((size_t)(3 + r->params), sizeof *in), out[3];
    ad_func *f = NULL;
    if (b && in) {
        int n = 0;
        in[n++] = input_like(b, "h", h);
        for (int i = 0; i < r->params; i++) {
            char name[32];
            snprintf(name, sizeof name, "param%d", i);
            in[n++] = input_like(b, name, on(outer, param[i]));
        }
        in[n++] = input_like(b, "y", y), in[n++] = input_like(b, "t", t);
        out[0] = out[2] = ode_record_step(m, r, in[n - 2], in[n - 1], in[0], in + 1, omega);
        out[1] = (ad_add)(in[n - 1], in[0]);
        f = r->status ? NULL : ad_func_new(n, in, 2 + keep, out);
    }
    if (!f)
        ode_recorded_fail(r, !b || !in || ad_status(b) == AD_ENOMEM ? ODE_EMEMORY : ODE_EFIELD,
                          "ode_record: %s", b && in ? ad_message(b) : "out of memory");
    free(in);
    ad_free(b);
    return f;
}
ad_var ode_record(const ode_method *m, ode_recorded *r, int64_t steps, ad_var y, ad_var t, ad_var h,
                  const ad_var param[], double omega, int64_t checkpoints, ad_var *trajectory)
{
    ad_var none = ad_num(0), carry[2], last[2] = {none, none};
    if (!r || r->status || !y.tape)
        return none;
    if (steps < 1)
        return ode_recorded_fail(r, ODE_EINPUT, "ode_record: %lld steps", (long long)steps), none;
    ad_tape *tape = y.tape;
    ad_var *shared = calloc((size_t)(1 + r->params), sizeof *shared);
    if (!shared)
        return ode_recorded_fail(r, ODE_EMEMORY, "ode_record: out of memory"), none;
    shared[0] = on(tape, h);
    for (int i = 0; i < r->params; i++)
        shared[1 + i] = on(tape, param[i]);
    carry[0] = y, carry[1] = ad_expand(on(tape, t), ad_rows(shared[0]), 1);
    ad_func *f = ad_status(tape)
                     ? NULL
                     : body(m, r, y, carry[1], shared[0], shared + 1, omega, trajectory != NULL, tape);
    if (f)
        ad_scan(tape, &(ad_scan_spec){.f = f,
                                      .count = steps,
                                      .nshared = 1 + r->params,
                                      .ncarry = 2,
                                      .ncollect = trajectory != NULL,
                                      .shared = shared,
                                      .carry = carry,
                                      .carry_out = last,
                                      .collected = trajectory,
                                      .checkpoints = checkpoints});
    ad_func_free(f);
    free(shared);
    return f ? last[0] : none;
}
