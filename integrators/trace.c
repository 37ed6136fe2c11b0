/* trace.c - the abstract space of ode_driver.h on tape variables: one step of a method as recorded mathematics.
 * Invariant: a slot is values on the tape, never overwritten, so a step is a pure function of state, time, step and parameters:
 * nothing is kept from one step to the next. What is recorded is what space.c and combine.c do, operation by operation, so an explicit
 * step has the same bits in both. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorded.h"

typedef struct {
    ad_var part[2]; /* q, p of a canonical state; else y, nothing */
    int minus;      /* 1: part[1] is minus the value, as dH/dq is: adding it subtracts */
} state;
/* What a function recorded on a tape of its own reads from outside: an input for each value, made when it is first read. */
typedef struct {
    ad_var *outer, *inner;
    int n, room;
} reading;
typedef struct {
    ode_space base;
    ad_tape *tape;    /* where operations record */
    reading *outside; /* while a residual is recorded, else NULL */
    ode_recorded *r;
    const ad_func *const *fn; /* by what they give */
    const ad_var *param;
    ad_var t, h, *reg, *args;
    state *slot;
    int compensate; /* slot 0 is summed with what it lost before */
    ad_var carry[2];
    int64_t fields;     /* evaluations so far */
    int64_t iterations; /* sweeps */
    int parts, slots, regs;
    int sweeps;     /* of a solve; 0: a root */
    double allowed; /* of the last one's change */
    ad_var worst;   /* with sweeps: the largest excess of a last change so far */
} trace;

static int n_of(const trace *d) { return d->parts == 2 ? d->base.half : d->base.size; }
/* The parts an operation touches: from, to. */
static int from(const trace *d, int part) { return d->parts == 2 && part == ODE_P; }
static int to(const trace *d, int part) { return d->parts == 2 && part != ODE_Q ? 2 : 1; }

/* v on the tape that operations record on. */
static ad_var here(trace *d, ad_var v)
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
static ad_var get(trace *d, int slot, int part)
{
    ad_var v = here(d, d->slot[slot].part[part]);
    return part && d->slot[slot].minus ? (ad_neg)(v) : v;
}
static void put_part(trace *d, int slot, int part, ad_var v)
{
    d->slot[slot].part[part] = v;
    if (part)
        d->slot[slot].minus = 0;
}
static ad_var number(trace *d, int k) { return here(d, d->reg[k]); }

static ad_var times(double c, ad_var x)
{
    return c == 1 ? x : c == -1 ? (ad_neg)(x) : (ad_mul)(ad_num(c), x);
}
static ad_var plus_times(ad_var y, double c, ad_var x) { return (ad_add)(y, times(c, x)); }

/* A coefficient of 106 bits; lo is the number 0 where it vanishes whatever h is. */
typedef struct {
    ad_var hi, lo;
} pair;
/* c x + y, rounded once; c a number or a value. */
static ad_var fused(ad_var c, ad_var x, ad_var y) { return (ad_fma)(c, x, y); }
static ad_var negative(ad_var c) { return ad_is_number(c) ? ad_num(-c.value) : (ad_neg)(c); }
static int is_power_of_two(double c)
{
    int e;
    return fabs(frexp(c, &e)) == 0.5;
}
/* slot dst += c slot src, part k: PLAIN, LOW_HALF, HELD and CARRIED of space.c */
static void increase(trace *d, int dst, pair c, int src, int k)
{
    ad_var y = get(d, dst, k), x = here(d, d->slot[src].part[k]), a;
    int low = !ad_is_number(c.lo) || c.lo.value != 0;
    if (k && d->slot[src].minus)
        c.hi = negative(c.hi), c.lo = negative(c.lo);
    if (!d->compensate)
        a = fused(c.hi, x, y);
    else if (dst)
        a = (ad_add)(y, fused(c.hi, x, low ? (ad_mul)(c.lo, x) : ad_num(0)));
    else if (d->base.hold) {
        ad_var e = here(d, d->carry[k]), more;
        a = fused(c.hi, x, y);
        more = fused(c.hi, x, (ad_sub)(y, a));
        d->carry[k] = (ad_add)(e, low ? fused(c.lo, x, more) : more);
    } else {
        ad_var e = here(d, d->carry[k]), p = fused(c.hi, x, low ? fused(c.lo, x, e) : e);
        a = (ad_add)(y, p);
        d->carry[k] = (ad_sub)(p, (ad_sub)(a, y));
    }
    put_part(d, dst, k, a);
}

static void set(ode_space *s, int part, int dst, int src)
{
    trace *d = (trace *)s;
    for (int k = from(d, part); k < to(d, part); k++) {
        d->slot[dst].part[k] = src < 0 ? ad_num(0) : d->slot[src].part[k];
        if (dst == 0)
            d->carry[k] = ad_num(0);
    }
    if (part & ODE_P)
        d->slot[dst].minus = src < 0 ? 0 : d->slot[src].minus;
}
static void add(ode_space *s, int part, int dst, ode_num c, int src)
{
    trace *d = (trace *)s;
    for (int k = from(d, part); k < to(d, part); k++)
        increase(d, dst, (pair){ad_num(c.hi), ad_num(c.lo)}, src, k);
}
/* c h, and what its product loses. */
static pair steps(trace *d, ode_num c)
{
    ad_var h = here(d, d->h), hi = times(c.hi, h), lo = ad_num(0);
    if (d->compensate && !is_power_of_two(c.hi))
        lo = fused(ad_num(c.hi), h, negative(hi));
    if (d->compensate && c.lo != 0)
        lo = (ad_add)(lo, times(c.lo, h));
    return (pair){hi, lo};
}
static void addh(ode_space *s, int part, int dst, ode_num c, int src)
{
    trace *d = (trace *)s;
    pair ch = steps(d, ode_share(s, c));
    for (int k = from(d, part); k < to(d, part); k++)
        increase(d, dst, ch, src, k);
}
/* What a + b loses (two-sum). */
static ad_var lost(ad_var a, ad_var b)
{
    if (ad_is_number(a) && a.value == 0)
        return a;
    ad_var u = (ad_add)(a, b), w = (ad_sub)(u, a);
    return (ad_add)((ad_sub)(a, (ad_sub)(u, w)), (ad_sub)(b, w));
}
/* One part of a sum into slot 0 with what it loses, as combine.c has it. */
static void sum_carried(trace *d, int k, const ode_sum *terms)
{
    ad_var s = ad_num(0), low = s, y = get(d, 0, k), e = here(d, d->carry[k]);
    for (int j = 0; j < terms->count; j++) {
        ad_var x = here(d, d->slot[terms->at[j]].part[k]);
        double sign = k && d->slot[terms->at[j]].minus ? -1 : 1;
        ad_var c = ad_num(sign * terms->c[j].hi), p = times(c.value, x), more = ad_num(0);
        if (!is_power_of_two(c.value))
            more = fused(c, x, (ad_neg)(p));
        more = fused(ad_num(sign * terms->c[j].lo), x, more);
        low = (ad_add)(low, (ad_add)(more, lost(s, p)));
        s = (ad_add)(s, p);
    }
    pair h = steps(d, d->base.hs);
    ad_var p = fused(h.hi, s, fused(h.lo, s, fused(h.hi, low, e)));
    d->carry[k] = lost(y, p);
    put_part(d, 0, k, (ad_add)(y, p));
}
static void sum_slots(ode_space *s, int dst, int src, const ode_sum *terms)
{
    trace *d = (trace *)s;
    if (dst == 0 && d->compensate) {
        for (int k = 0; k < d->parts; k++)
            sum_carried(d, k, terms);
        return;
    }
    ad_var h = times(s->hs.hi, here(d, d->h));
    for (int k = 0; k < d->parts; k++) {
        ad_var y = src < 0 ? ad_num(0) : get(d, src, k);
        for (int j = 0; j < terms->count; j++) {
            ad_var x = here(d, d->slot[terms->at[j]].part[k]), c = times(terms->c[j].hi, h);
            y = fused(k && d->slot[terms->at[j]].minus ? negative(c) : c, x, y);
        }
        put_part(d, dst, k, y);
    }
}
/* What the recorded field gives at a slot. */
static ad_var ask(trace *d, int what, int src, ode_num c)
{
    int n = 0;
    ad_var out = ad_num(0);
    for (int k = 0; k < d->parts; k++)
        d->args[n++] = get(d, src, k);
    if (d->r->timed)
        d->args[n++] = plus_times(here(d, d->t), d->base.tc.hi + c.hi * d->base.hs.hi, here(d, d->h));
    for (int i = 0; i < d->r->params; i++)
        d->args[n++] = here(d, d->param[i]);
    ad_call(d->tape, d->fn[what], d->args, &out);
    return out;
}
static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    trace *d = (trace *)s;
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
    trace *d = (trace *)s;
    d->slot[dst] = (state){{get(d, src, 1), get(d, src, 0)}, 1};
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
    if (k) /* it is read and written by columns */
        put_part(d, slot, 1, get(d, slot, 1));
    *i %= n;
    return &d->slot[slot].part[k];
}
static ad_var column(trace *d, int slot, int i)
{
    ad_var x = here(d, *half(d, slot, &i));
    return ad_is_number(x) ? x : ad_cols_of(x, i, 1);
}
/* A slot that was set to 0 gets a shape before a column is put into it. */
static void put_column(trace *d, int dst, int i, ad_var v)
{
    ad_var *x = half(d, dst, &i), like = d->slot[0].part[0];
    if (ad_is_number(*x))
        *x = ad_fill(d->tape, ad_rows(like), ad_cols(like), x->value);
    *x = with_column(here(d, *x), n_of(d), i, v);
}
static void pick(ode_space *s, int i, int dst, int src)
{
    trace *d = (trace *)s;
    put_column(d, dst, i, column(d, src, i));
}
static void mix(ode_space *s, int a, int b, ode_num k)
{
    trace *d = (trace *)s;
    ad_var angle = times(2 * s->omega * k.hi * s->hs.hi, here(d, d->h)), c = ad_cos(angle), z = ad_sin(angle);
    ad_var diff[2], mean[2];
    for (int i = 0; i < 2; i++) {
        ad_var x = get(d, a, i), y = get(d, b, i);
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
    put_column((trace *)s, dst, i, number((trace *)s, k));
}
static void dot(ode_space *s, int k, int x, int y)
{
    trace *d = (trace *)s;
    d->reg[k] = ad_num(0);
    for (int i = 0; i < d->parts; i++)
        d->reg[k] = (ad_add)(d->reg[k], ad_row_dot(get(d, x, i), get(d, y, i)));
}
static void entry(ode_space *s, int k, int x, int i) { ((trace *)s)->reg[k] = column((trace *)s, x, i); }
static void energy(ode_space *s, int k, int x, ode_num c)
{
    ((trace *)s)->reg[k] = ask((trace *)s, ODE_OF_ENERGY, x, c);
}
static void plus(ode_space *s, int k, double c, int a)
{
    trace *d = (trace *)s;
    d->reg[k] = k == a && c == -1 ? ad_num(0) : plus_times(number(d, k), c, number(d, a));
}
static void quotient(ode_space *s, int k, int a, int b, double small, int alt)
{
    trace *d = (trace *)s;
    ad_var x = number(d, a), y = number(d, b);
    d->reg[k] =
        (ad_where)((ad_lt)(ad_num(small), ad_abs(y)), (ad_div)(x, y), alt < 0 ? ad_num(0) : number(d, alt));
}
static void addr(ode_space *s, int part, int dst, int k, int src)
{
    trace *d = (trace *)s;
    for (int i = from(d, part); i < to(d, part); i++)
        increase(d, dst, (pair){number(d, k), ad_num(0)}, src, i);
}

/* The unknown (or G) slots as one value [., N], and back. */
static ad_var gather(trace *d, int n, const int slot[])
{
    ad_var part[64];
    int k = 0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < d->parts; i++) {
            ad_var x = get(d, slot[j], i), like = d->slot[0].part[i];
            part[k++] = (ad_add)(x, ad_fill(d->tape, ad_rows(like), ad_cols(like), 0));
        }
    return ad_concat_cols(k, part);
}
static void scatter(trace *d, int n, const int slot[], ad_var Y)
{
    for (int j = 0, k = 0; j < n; j++)
        for (int i = 0; i < d->parts; i++, k++)
            put_part(d, slot[j], i, ad_cols_of(Y, k * n_of(d), n_of(d)));
}
/* What the unknowns of a solve are measured by: the size of each row's state, so that a step of a small system is solved as well as
 * that of a large one. The solution does not depend on it, nor does any derivative. */
static ad_var measure(trace *d)
{
    ad_var s = ad_norm(get(d, 0, 0));
    if (d->parts == 2)
        s = (ad_hypot)(s, ad_norm(get(d, 0, 1)));
    return ad_stop((ad_where)((ad_eq)(s, ad_num(0)), ad_num(1), s));
}
/* (U, what the map reads from outside) -> U - G(s U) / s, recorded on a tape of its own: slots and registers are those of the step
 * when the map begins, and are so again afterwards. */
static ad_func *residual(trace *d, int n, const int y[], const int g[], ode_map *map, const void *ctx,
                         ad_var scale, reading *outside)
{
    size_t slots = sizeof *d->slot * (size_t)d->slots, regs = sizeof *d->reg * (size_t)d->regs;
    state *slot = malloc(slots);
    ad_var *reg = malloc(regs + sizeof *reg), like = d->slot[0].part[0];
    ad_tape *outer = d->tape, *inner = ad_new();
    reading *before = d->outside;
    ad_func *f = NULL;
    if (slot && reg && inner) {
        memcpy(slot, d->slot, slots), memcpy(reg, d->reg, regs);
        d->tape = inner, d->outside = outside;
        ad_var U = ad_input(inner, "U", ad_rows(like), n * d->base.size), by = here(d, scale);
        scatter(d, n, y, (ad_mul)(by, U));
        map(&d->base, ctx);
        ad_var F = (ad_sub)(U, (ad_div)(gather(d, n, g), by)),
               *in = malloc(sizeof *in * (size_t)(1 + outside->n));
        if (in && !d->r->status) {
            in[0] = U;
            for (int i = 0; i < outside->n; i++)
                in[1 + i] = outside->inner[i];
            f = ad_func_new(1 + outside->n, in, 1, &F);
        }
        free(in);
        memcpy(d->slot, slot, slots), memcpy(d->reg, reg, regs);
        d->tape = outer, d->outside = before;
    }
    if (!f)
        ode_recorded_fail(
            d->r, inner && ad_status(inner) && ad_status(inner) != AD_ENOMEM ? ODE_EFIELD : ODE_EMEMORY,
            "ode_record_step: %s", inner && ad_status(inner) ? ad_message(inner) : "out of memory");
    free(slot), free(reg);
    ad_free(inner);
    return f;
}
/* The square of the change that this sweep makes. */
static ad_var change(trace *d, int n, const int y[], const int g[])
{
    ad_var sum = ad_num(0);
    for (int i = 0; i < d->parts; i++)
        for (int j = 0; j < n; j++) {
            ad_var e = (ad_sub)(get(d, g[j], i), get(d, y[j], i));
            sum = (ad_add)(sum, ad_row_dot(e, e));
        }
    return sum;
}
/* As many sweeps as told. They contract linearly: of the changes a and b of two of them, one after the other, the k-th after b is
 * b (b/a)^k. So both are measured well above round-off where k is 3, and the last sums, which are not needed, are left out. The low
 * halves of coefficients tell in the last two sweeps: what is left of it without them before is far below round-off there.
 * worst: by how much the square of the last change exceeds what is allowed for the size of the state. */
static void sweep(trace *d, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    int whole = d->compensate, first = d->sweeps > ODE_AHEAD + 2 ? d->sweeps - ODE_AHEAD - 2 : 0;
    ad_var a = ad_num(0), b = ad_num(0), size = ad_num(0);
    for (int k = 0; k < d->sweeps && !d->r->status; k++) {
        d->compensate = whole && k >= d->sweeps - 2;
        map(&d->base, ctx);
        d->iterations++;
        if (k == first)
            a = change(d, n, y, g);
        if (k == first + 1)
            b = change(d, n, y, g);
        for (int j = 0; j < n; j++)
            d->slot[y[j]] = d->slot[g[j]];
    }
    d->compensate = whole;
    for (int i = 0; i < d->parts; i++) {
        ad_var x = get(d, 0, i);
        size = (ad_add)(size, ad_row_dot(x, x));
    }
    ad_var ratio = (ad_divz)(b, a), last = b;
    for (int k = first + 2; k < d->sweeps; k++)
        last = (ad_mul)(last, ratio);
    d->worst = (ad_max)(d->worst, (ad_sub)(last, times(d->allowed * d->allowed, size)));
}
/* y = G(y) as a root of y - G(y): Newton's method from the driver's guess when it runs, the implicit-function theorem when it
 * is differentiated, to any order, so never through the iteration. A row that does not converge is AD_EROOT of the run. */
static void solve(ode_space *s, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    trace *d = (trace *)s;
    reading outside = {0};
    if (d->sweeps) {
        sweep(d, n, y, g, map, ctx);
        return;
    }
    ad_var scale = measure(d);
    ad_func *f = d->r->status || ad_status(d->tape) ? NULL : residual(d, n, y, g, map, ctx, scale, &outside);
    if (f) {
        for (int i = 0; i < outside.n; i++)
            outside.outer[i] = here(d, outside.outer[i]);
        ad_var U = ad_root(d->tape, f, (ad_div)(gather(d, n, y), scale), outside.n, outside.outer, NULL);
        scatter(d, n, y, (ad_mul)(scale, U));
        map(s, ctx); /* what the driver reads beside the unknowns */
    }
    ad_func_free(f);
    free(outside.outer);
}
static const ode_ops trace_ops = {set, add,   addh,   sum_slots, eval,     rotate, pick, mix,
                                  dot, entry, energy, plus,      quotient, put,    addr, solve};

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

/* A slot's parts that are kept: from, to; and back, with the sign they had. */
static void take_kept(trace *d, const ode_traced *more)
{
    for (int i = 0, n = 0; i < more->kept; i++) {
        state *x = &d->slot[more->slot[i]];
        for (int k = from(d, more->part); k < to(d, more->part); k++)
            x->part[k] = more->keep[n++];
        x->minus = more->minus;
    }
}
static void give_kept(trace *d, const ode_traced *more)
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
    trace d = {
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
