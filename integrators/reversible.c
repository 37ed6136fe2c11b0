/* reversible.c - splitting on a grid of fixed-point numbers: steps that are undone exactly, and gradients that run backward.
 * Invariant: a shear adds to integers what it computed from the other half and rounded to the grid. Undoing it computes the same
 * bits from the same half and subtracts them, so nothing of the way there has to be kept. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorded.h"

enum { KICK, DRIFT };

/* An integer of 128 bits, so that the grid is fine for the lightest body and has no end in practice: high * 2^64 + low. */
typedef struct {
    int64_t high;
    uint64_t low;
} wide;
static const double most = 0x1p126; /* of an integer: a sum of two does not overflow */

static wide wide_sum(wide a, wide b)
{
    uint64_t low = a.low + b.low;
    return (wide){(int64_t)((uint64_t)a.high + (uint64_t)b.high + (low < a.low)), low};
}
static wide wide_minus(wide a) { return wide_sum((wide){~a.high, ~a.low}, (wide){0, 1}); }
static wide wide_of(double d) /* d is whole, |d| < most; both parts of |d| are exact */
{
    double size = fabs(d), high = floor(size * 0x1p-64);
    wide a = {(int64_t)high, (uint64_t)(size - high * 0x1p64)};
    return d < 0 ? wide_minus(a) : a;
}
static double wide_value(wide a)
{
    if (a.high < 0)
        return -wide_value(wide_minus(a));
    return (double)a.high * 0x1p64 + (double)a.low;
}

struct ode_reversible {
    const ode_method *method;
    ode_plan *plan;
    ode_field field;
    ode_recorded *r; /* where the field is recorded, else NULL */
    int rows, half;
    double t, h, grid[2]; /* of q, of p */
    int64_t steps;        /* made so far: the time is t + steps h */
    wide *z;              /* [rows, 2 half], in units of the grid */
    double *y, *force, *when, *seed;
    int *index;
    ad_program *program[2]; /* pullbacks of dHdq by (q; t; params) and of dHdp by (p; t; params) */
    ad_work *work[2];
    const void **in;
    void **out;
    double *room; /* q, p, gathered parameters; results of a pullback */
    int status;
    char message[512];
    int bad; /* row of the last failure */
};
static const ode_reversible no_memory = {.status = ODE_EMEMORY,
                                         .message = "ode_reversible_new: out of memory"};

static double time_of(const ode_reversible *x, double c) { return x->t + ((double)x->steps + c) * x->h; }
static int fail(ode_reversible *x, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(ode_reversible *x, int status, const char *format, ...)
{
    if (x->status)
        return x->status;
    va_list list;
    va_start(list, format);
    vsnprintf(x->message, sizeof x->message, format, list);
    va_end(list);
    return x->status = status;
}
/* Where the last step ended, added to the message: time and state of a row. */
static void say_where(ode_reversible *x, int row)
{
    size_t k = strlen(x->message), room = sizeof x->message;
    const double *y = x->y + 2 * x->half * row;
    k += (size_t)snprintf(x->message + k, room - k, " (at t = %.17g, y =", time_of(x, 0));
    for (int i = 0; i < 2 * x->half && i < 6 && k < room; i++)
        k += (size_t)snprintf(x->message + k, room - k, " %.9g", y[i]);
    if (k < room)
        snprintf(x->message + k, room - k, x->half > 3 ? " ...)" : ")");
}
int ode_reversible_status(const ode_reversible *x) { return x->status; }
const char *ode_reversible_message(const ode_reversible *x) { return x->message; }

/* ---- a shear ------------------------------------------------------------------------------------------------ */

/* dHdq or dHdp of all rows into x->force. */
static int evaluate(ode_reversible *x, int kind, double c)
{
    const ode_field *f = &x->field;
    int m = x->half, what = kind == KICK ? ODE_OF_DHDQ : ODE_OF_DHDP;
    for (int b = 0; b < x->rows; b++)
        x->when[b] = time_of(x, c);
    if (f->rows)
        return f->rows(f->user, what, x->rows, x->index, x->when, x->y, x->force);
    for (int b = 0; b < x->rows; b++)
        if ((kind == KICK ? f->dHdq : f->dHdp)(f->user, x->when[b], x->y + 2 * m * b, x->force + m * b))
            return -1;
    return 0;
}
/* q += a h dHdp or p -= b h dHdq on the grid; sign -1 undoes it. What cannot be done leaves the state as it was. */
static int shear(ode_reversible *x, int kind, ode_num k, double c, int sign)
{
    int m = x->half, to = kind == KICK ? m : 0;
    double by = (kind == KICK ? -1 : 1) * (k.hi + k.lo) * x->h, grid = x->grid[kind == KICK];
    x->bad = 0;
    if (evaluate(x, kind, c))
        return fail(x, ODE_EVALUE, "%s: the field failed at t = %.17g", x->method->name, x->when[0]);
    for (int b = 0; b < x->rows; b++)
        for (int i = 0; i < m; i++) {
            double d = by * x->force[b * m + i] / grid, z = wide_value(x->z[2 * m * b + to + i]);
            x->bad = b;
            if (!isfinite(x->force[b * m + i]))
                return fail(x, ODE_EVALUE, "%s: the field is not finite at t = %.17g (row %d)",
                            x->method->name, x->when[b], b);
            if (!(fabs(d) < most) || !(fabs(z + sign * d) < most))
                return fail(
                    x, ODE_EVALUE,
                    "%s: %c[%d] leaves the grid of resolution %g, which ends at %g, at t = %.17g (row %d)",
                    x->method->name, "qp"[kind == KICK], i + 1, grid, most * grid, x->when[b], b);
        }
    for (int b = 0; b < x->rows; b++)
        for (int i = 0; i < m; i++) {
            size_t at = (size_t)(2 * m * b + to + i);
            x->z[at] = wide_sum(x->z[at], wide_of(sign * rint(by * x->force[b * m + i] / grid)));
            x->y[at] = wide_value(x->z[at]) * grid;
        }
    return ODE_OK;
}

/* Shear number k of a step (drift k/2, then kick k/2), where it begins in time; 0 when it moves nothing. */
static int nth(const ode_reversible *x, int k, ode_num *by, double *c)
{
    const ode_plan *p = x->plan;
    *c = 0;
    for (int i = 0; i < (k + 1) / 2; i++)
        *c += p->a[i].hi;
    *by = k % 2 ? p->b[k / 2] : p->a[k / 2];
    return by->hi != 0;
}
static int step(ode_reversible *x, int sign)
{
    int n = 2 * x->plan->na, first = sign > 0 ? 0 : n - 1;
    ode_num by;
    double c;
    x->steps -= sign < 0;
    for (int k = first; k >= 0 && k < n; k += sign)
        if (nth(x, k, &by, &c) && shear(x, k % 2 ? KICK : DRIFT, by, c, sign)) {
            int status = x->status, row = x->bad; /* back to where the step began, exactly */
            x->status = 0;
            for (k -= sign; k >= 0 && k < n; k -= sign)
                if (nth(x, k, &by, &c))
                    shear(x, k % 2 ? KICK : DRIFT, by, c, -sign);
            x->steps += sign < 0;
            x->status = status;
            say_where(x, row);
            return status;
        }
    x->steps += sign > 0;
    return ODE_OK;
}
int ode_reversible_run(ode_reversible *x, int64_t n)
{
    for (; !x->status && n != 0; n += n < 0 ? 1 : -1)
        step(x, n < 0 ? -1 : 1);
    return x->status;
}
double ode_reversible_t(const ode_reversible *x) { return time_of(x, 0); }
const double *ode_reversible_y(const ode_reversible *x) { return x->y; }

/* ---- backward ----------------------------------------------------------------------------------------------- */
/* The pullback of dHdq (dHdp) as a program: (q, p; t; params; seed) -> by q (p), by t, by the params. */
static int derive(ode_reversible *x, int kind)
{
    ode_recorded *r = x->r;
    ad_mark here = ad_here(r->tape);
    size_t n = (size_t)(4 + r->params);
    ad_var *in = malloc(3 * n * sizeof *in), *by = in + n, *dx = by + n, seed;
    if (!in)
        return fail(x, ODE_EMEMORY, "ode_reversible_back: out of memory");
    int nin = ode_recorded_inputs(r, in), nx = 0;
    in[nin++] = seed = ad_input(r->tape, "seed", r->batch ? AD_BATCH : 1, x->half);
    by[nx++] = kind == KICK ? r->q : r->p;
    if (r->timed)
        by[nx++] = r->t;
    for (int i = 0; i < r->params; i++)
        by[nx++] = r->param[i];
    ad_vjp(1, kind == KICK ? &r->dHdq : &r->dHdp, &seed, nx, by, dx);
    x->program[kind] = ad_compile(r->tape, nin, in, nx, dx, NULL);
    free(in);
    if (!x->program[kind] || !(x->work[kind] = ad_work_new(x->program[kind], r->pool))) {
        int memory = ad_status(r->tape) == AD_ENOMEM || !ad_status(r->tape);
        fail(x, memory ? ODE_EMEMORY : ODE_EFIELD, "ode_reversible_back: %s",
             memory ? "out of memory" : ad_message(r->tape));
        ad_clear(r->tape);
    }
    ad_rewind(r->tape, here);
    return x->status;
}
static size_t elements(const ode_reversible *x, int i)
{
    return (size_t)x->r->shape[i] * (size_t)(x->r->each[i] ? x->rows : 1);
}
/* Programs and rooms, when first asked for; then the inputs that stay. */
static int ready(ode_reversible *x)
{
    ode_recorded *r = x->r;
    if (!r)
        return fail(x, ODE_EFIELD,
                    "ode_reversible_back: the field is not a recorded one (ode_recorded_field)");
    size_t n = (size_t)x->half * (size_t)x->rows, need = 3 * n + (size_t)x->rows;
    for (int i = 0; i < r->params; i++)
        need += 2 * elements(x, i);
    if (!x->in && !((x->in = malloc((size_t)(4 + r->params) * sizeof *x->in)) &&
                    (x->out = malloc((size_t)(4 + r->params) * sizeof *x->out)) &&
                    (x->room = malloc(need * sizeof *x->room))))
        return fail(x, ODE_EMEMORY, "ode_reversible_back: out of memory");
    for (int kind = KICK; kind <= DRIFT; kind++)
        if (!x->work[kind] && derive(x, kind))
            return x->status;
    double *at = x->room + 3 * n;
    int c = 0, o = 0;
    x->in[c++] = x->room, x->in[c++] = x->room + n;
    x->out[o++] = x->room + 2 * n;
    if (r->timed)
        x->in[c++] = x->when, x->out[o++] = at;
    at += x->rows;
    for (int i = 0; i < r->params; i++) {
        if (!r->value[i] || (r->each[i] && r->rows[i] > 1 && r->rows[i] < x->rows))
            return fail(x, ODE_EFIELD, "ode_reversible_back: parameter %d has %d rows for %d states", i,
                        r->value[i] ? r->rows[i] : 0, x->rows);
        int repeat = r->each[i] && r->rows[i] == 1;
        for (int b = 0; repeat && b < x->rows; b++)
            memcpy(at + (size_t)b * (size_t)r->shape[i], r->value[i], sizeof *at * (size_t)r->shape[i]);
        x->in[c++] = repeat ? at : r->value[i];
        x->out[o++] = at + elements(x, i);
        at += 2 * elements(x, i);
    }
    x->in[c] = x->seed;
    return ODE_OK;
}
/* Undoes a shear and pulls the adjoint back through it. */
static int back(ode_reversible *x, int kind, ode_num k, double c, double dy[], double *dt, double *dh,
                double *const dparam[])
{
    ode_recorded *r = x->r;
    int m = x->half, to = kind == KICK ? m : 0, from = m - to, o = 0;
    size_t n = (size_t)m * (size_t)x->rows;
    double factor = (kind == KICK ? -1 : 1) * (k.hi + k.lo), by_h = 0, by_t = 0;
    if (shear(x, kind, k, c, -1))
        return x->status;
    for (int b = 0; b < x->rows; b++) {
        memcpy(x->room + b * m, x->y + 2 * m * b, (size_t)m * sizeof *x->y);
        memcpy(x->room + n + b * m, x->y + 2 * m * b + m, (size_t)m * sizeof *x->y);
        for (int i = 0; i < m; i++) {
            double d = factor * dy[2 * m * b + to + i];
            by_h += d * x->force[b * m + i];
            x->seed[b * m + i] = d * x->h;
        }
    }
    if (ad_run(x->work[kind], x->rows, x->in, x->out))
        return fail(x, ODE_EVALUE, "ode_reversible_back: %s", ad_work_message(x->work[kind]));
    const double *by = x->out[o++];
    for (int b = 0; b < x->rows; b++)
        for (int i = 0; i < m; i++)
            dy[2 * m * b + from + i] += by[b * m + i];
    if (r->timed) {
        by = x->out[o++];
        for (int b = 0; b < (r->timed == 2 ? x->rows : 1); b++)
            by_t += by[b];
    }
    if (dt)
        *dt += by_t;
    if (dh)
        *dh += by_h + ((double)x->steps + c) * by_t;
    for (int i = 0; i < r->params; i++) {
        by = x->out[o++];
        size_t all = elements(x, i), width = r->each[i] && r->rows[i] == 1 ? (size_t)r->shape[i] : all;
        for (size_t j = 0; dparam && dparam[i] && j < all; j++)
            dparam[i][j % width] += by[j];
    }
    return ODE_OK;
}
int ode_reversible_back(ode_reversible *x, int64_t n, double dy[], double *dt, double *dh,
                        double *const dparam[])
{
    if (x->status)
        return x->status;
    if (n < 0 || !dy)
        return fail(x, ODE_EINPUT, "ode_reversible_back: %lld steps, dy %s", (long long)n,
                    dy ? "given" : "NULL");
    if (ready(x))
        return x->status;
    for (int64_t s = 0; s < n; s++) {
        x->steps--;
        for (int k = 2 * x->plan->na - 1; k >= 0; k--) {
            ode_num by;
            double c;
            if (nth(x, k, &by, &c) && back(x, k % 2 ? KICK : DRIFT, by, c, dy, dt, dh, dparam))
                return x->status;
        }
    }
    return ODE_OK;
}

/* ---- made and freed ------------------------------------------------------------------------------------------ */
/* 2^-90 of the largest of v and of what a hundred steps add: finer than rounding for a value a millionth of it, and room for
 * 2^36 times it. No subnormal number: a state below 2^-932 has fewer digits. */
static double fitting(const ode_reversible *x, const double *v)
{
    int m = x->half, e = 0;
    double size = 0;
    for (int b = 0; b < x->rows; b++)
        for (int i = 0; i < m; i++)
            size = fmax(size, fmax(fabs(v[2 * m * b + i]), 100 * fabs(x->h * x->force[b * m + i])));
    frexp(size > 0 && isfinite(size) ? size : 1, &e);
    return fmax(ldexp(1, e - 90), DBL_MIN);
}
static int begin(ode_reversible *x, const double y[], double grid_q, double grid_p)
{
    int m = x->half, all = 2 * m * x->rows;
    for (int i = 0; i < all; i++)
        if (!isfinite(y[i]))
            return fail(x, ODE_EINPUT, "ode_reversible_new: y[%d] = %g is not finite", i, y[i]);
    memcpy(x->y, y, (size_t)all * sizeof *y);
    for (int kind = KICK; kind <= DRIFT; kind++) {
        double given = kind == KICK ? grid_p : grid_q;
        if (!(given == 0 || given >= DBL_MIN) || !isfinite(given))
            return fail(x, ODE_EINPUT,
                        "ode_reversible_new: resolution %g of %c, needed %g or more, or 0 to choose it",
                        given, "qp"[kind == KICK], DBL_MIN);
        if (evaluate(x, kind, 0))
            return fail(x, ODE_EVALUE, "ode_reversible_new: the field failed at t = %.17g", x->t);
        x->grid[kind == KICK] = given > 0 ? ldexp(1, ilogb(given)) : fitting(x, y + (kind == KICK ? m : 0));
    }
    for (int i = 0; i < all; i++) {
        double grid = x->grid[i % (2 * m) >= m], z = y[i] / grid;
        if (!(fabs(z) < most))
            return fail(x, ODE_EINPUT, "ode_reversible_new: y[%d] = %g is outside the grid of resolution %g",
                        i, y[i], grid);
        x->z[i] = wide_of(rint(z));
        x->y[i] = wide_value(x->z[i]) * grid;
    }
    return ODE_OK;
}
ode_reversible *ode_reversible_new(const ode_method *m, const ode_field *f, int rows, double t, double h,
                                   const double y[], double grid_q, double grid_p)
{
    ode_reversible *x = calloc(1, sizeof *x);
    if (!x)
        return (ode_reversible *)(uintptr_t)&no_memory;
    const char *why = m && f ? ode_method_refuses(m, f) : "method or field is NULL";
    if (!why && (m->driver != &ode_split_driver || !f->dHdp || !f->dHdq))
        why = "only a splitting of H = T(p) + V(q, t) is made of shears; use verlet, say";
    if (why)
        return fail(x, m && f ? ODE_EFIELD : ODE_EINPUT, "ode_reversible_new: %s: %s", m ? m->name : "NULL",
                    why),
               x;
    x->method = m, x->field = *f, x->rows = rows, x->half = f->size / 2, x->t = t, x->h = h;
    x->r = f->rows == ode_recorded_give ? f->user : NULL;
    if (rows < 1 || rows > INT32_MAX / 64 / f->size || !y || !isfinite(t) || !isfinite(h) || h == 0 ||
        (x->r && !x->r->batch && rows > 1))
        return fail(x, ODE_EINPUT,
                    "ode_reversible_new: %d rows%s, y %s, t = %g, h = %g; needed one row or more, finite "
                    "numbers and a "
                    "step other than 0",
                    rows, x->r && !x->r->batch && rows > 1 ? " of a field recorded for one" : "",
                    y ? "given" : "NULL", t, h),
               x;
    if (!(x->plan = ode_plan_new(m, &why)))
        return fail(x, ODE_EMETHOD, "ode_reversible_new: %s", why), x;
    size_t n = (size_t)x->half * (size_t)rows;
    if (!(x->z = malloc(2 * n * sizeof *x->z)) || !(x->index = malloc((size_t)rows * sizeof *x->index)) ||
        !(x->y = malloc((4 * n + (size_t)rows) * sizeof *x->y)))
        return fail(x, ODE_EMEMORY, "ode_reversible_new: out of memory"), x;
    x->force = x->y + 2 * n, x->seed = x->force + n, x->when = x->seed + n;
    for (int b = 0; b < rows; b++)
        x->index[b] = b;
    begin(x, y, grid_q, grid_p);
    return x;
}
void ode_reversible_grid(const ode_reversible *x, double *q, double *p) { *q = x->grid[0], *p = x->grid[1]; }
void ode_reversible_free(ode_reversible *x)
{
    if (!x || x == &no_memory)
        return;
    for (int k = 0; k < 2; k++)
        ad_work_free(x->work[k]), ad_program_free(x->program[k]);
    ode_plan_free(x->plan);
    free(x->in), free(x->out), free(x->room);
    free(x->z), free(x->y), free(x->index);
    free(x);
}
