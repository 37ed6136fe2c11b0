/* trace_solve.c - the implicit equations of a step as recorded mathematics: a fixed number of sweeps, or a root.
 * Invariant: slots and registers are left as the map finds them at the solution. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

/* The unknown (or G) slots as one value [., N], and back. */
static ad_var gather(ode_trace *d, int n, const int slot[])
{
    ad_var part[64];
    int k = 0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < d->parts; i++) {
            ad_var x = ode_trace_get(d, slot[j], i), like = d->slot[0].part[i];
            part[k++] = (ad_add)(x, ad_fill(d->tape, ad_rows(like), ad_cols(like), 0));
        }
    return ad_concat_cols(k, part);
}
static void scatter(ode_trace *d, int n, const int slot[], ad_var Y)
{
    for (int j = 0, k = 0; j < n; j++)
        for (int i = 0; i < d->parts; i++, k++)
            put_part(d, slot[j], i, ad_cols_of(Y, k * n_of(d), n_of(d)));
}
/* What the unknowns of a solve are measured by: the size of each row's state, so that a step of a small system is solved as well as
 * that of a large one. The solution does not depend on it, nor does any derivative. */
static ad_var measure(ode_trace *d)
{
    ad_var s = ad_norm(ode_trace_get(d, 0, 0));
    if (d->parts == 2)
        s = (ad_hypot)(s, ad_norm(ode_trace_get(d, 0, 1)));
    return ad_stop((ad_where)((ad_eq)(s, ad_num(0)), ad_num(1), s));
}
/* (U, what the map reads from outside) -> U - G(s U) / s, recorded on a tape of its own: slots and registers are those of the step
 * when the map begins, and are so again afterwards. */
static ad_func *residual(ode_trace *d, int n, const int y[], const int g[], ode_map *map, const void *ctx,
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
        ad_var U = ad_input(inner, "U", ad_rows(like), n * d->base.size), by = ode_trace_here(d, scale);
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
static ad_var change(ode_trace *d, int n, const int y[], const int g[])
{
    ad_var sum = ad_num(0);
    for (int i = 0; i < d->parts; i++)
        for (int j = 0; j < n; j++) {
            ad_var e = (ad_sub)(ode_trace_get(d, g[j], i), ode_trace_get(d, y[j], i));
            sum = (ad_add)(sum, ad_row_dot(e, e));
        }
    return sum;
}
/* As many sweeps as told. They contract linearly: of the changes a and b of two of them, one after the other, the k-th after b is
 * b (b/a)^k. So both are measured well above round-off where k is 3, and the last sums, which are not needed, are left out. The low
 * halves of coefficients tell in the last two sweeps: what is left of it without them before is far below round-off there.
 * worst: by how much the square of the last change exceeds what is allowed for the size of the state. */
static void sweep(ode_trace *d, int n, const int y[], const int g[], ode_map *map, const void *ctx)
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
        ad_var x = ode_trace_get(d, 0, i);
        size = (ad_add)(size, ad_row_dot(x, x));
    }
    ad_var ratio = (ad_divz)(b, a), last = b;
    for (int k = first + 2; k < d->sweeps; k++)
        last = (ad_mul)(last, ratio);
    d->worst = (ad_max)(d->worst, (ad_sub)(last, times(d->allowed * d->allowed, size)));
}
/* y = G(y) as a root of y - G(y): Newton's method from the driver's guess when it runs, the implicit-function theorem when it
 * is differentiated, to any order, so never through the iteration. A row that does not converge is AD_EROOT of the run. */
void ode_trace_solve(ode_space *s, int n, const int y[], const int g[], ode_map *map, const void *ctx)
{
    ode_trace *d = (ode_trace *)s;
    reading outside = {0};
    if (d->sweeps) {
        sweep(d, n, y, g, map, ctx);
        return;
    }
    ad_var scale = measure(d);
    ad_func *f = d->r->status || ad_status(d->tape) ? NULL : residual(d, n, y, g, map, ctx, scale, &outside);
    if (f) {
        for (int i = 0; i < outside.n; i++)
            outside.outer[i] = ode_trace_here(d, outside.outer[i]);
        ad_var U = ad_root(d->tape, f, (ad_div)(gather(d, n, y), scale), outside.n, outside.outer, NULL);
        scatter(d, n, y, (ad_mul)(scale, U));
        map(s, ctx); /* what the driver reads beside the unknowns */
    }
    ad_func_free(f);
    free(outside.outer);
}
