/* dual.c - the abstract space on dual numbers: a state and its derivative by all of the start.
 * Invariant: every operation carries its exact derivative, so M is that of the step as executed, sweeps included. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solver.h"

/* A slot is 1 + size rows of `size` numbers: the value, then its derivative by y0[k] for each k. */
typedef struct {
    ode_space base;
    ode_real *real; /* evaluates the field */
    double *x, *reg, *jac, t, h;
    int schedule, failed;
} dual;

static double *slot(const dual *d, int k)
{
    return d->x + (size_t)k * (size_t)(d->base.size * (d->base.size + 1));
}
static int from(const dual *d, int part) { return part == ODE_P ? d->base.half : 0; }
static int to(const dual *d, int part) { return part == ODE_Q ? d->base.half : d->base.size; }
static double when(const dual *d, ode_num c) { return d->t + (d->base.tc.hi + c.hi * d->base.hs.hi) * d->h; }

static void axpy(dual *d, int part, int dst, double c, int src)
{
    double *y = slot(d, dst);
    const double *x = slot(d, src);
    int n = d->base.size;
    for (int k = 0; k <= n; k++)
        for (int i = from(d, part); i < to(d, part); i++)
            y[k * n + i] = fma(c, x[k * n + i], y[k * n + i]);
}
static void set(ode_space *s, int part, int dst, int src)
{
    dual *d = (dual *)s;
    double *y = slot(d, dst);
    int n = s->size;
    for (int k = 0; k <= n; k++)
        for (int i = from(d, part); i < to(d, part); i++)
            y[k * n + i] = src < 0 ? 0 : slot(d, src)[k * n + i];
}
static void add(ode_space *s, int part, int dst, ode_num c, int src)
{
    axpy((dual *)s, part, dst, c.hi, src);
}
static void addh(ode_space *s, int part, int dst, ode_num c, int src)
{
    axpy((dual *)s, part, dst, c.hi * s->hs.hi * ((dual *)s)->h, src);
}
static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    dual *d = (dual *)s;
    int n = s->size;
    double *f = slot(d, dst), *y = slot(d, src), t = when(d, c);
    if (d->real->field->jacobian(d->real->field->user, t, y, d->jac))
        d->failed = ODE_EVALUE;
    ode_real_field(d->real, part, &t, y, f);
    for (int k = 1; k <= n; k++)
        for (int i = from(d, part); i < to(d, part); i++) {
            double sum = 0;
            for (int j = 0; j < n; j++)
                sum = fma(d->jac[i * n + j], y[k * n + j], sum);
            f[k * n + i] = sum;
        }
}
static void rotate(ode_space *s, int dst, int src)
{
    dual *d = (dual *)s;
    double *y = slot(d, dst);
    const double *x = slot(d, src);
    for (int k = 0, n = s->size, m = s->half; k <= n; k++)
        for (int i = 0; i < m; i++)
            y[k * n + i] = x[k * n + m + i], y[k * n + m + i] = -x[k * n + i];
}
static void pick(ode_space *s, int i, int dst, int src)
{
    dual *d = (dual *)s;
    for (int k = 0, n = s->size; k <= n; k++)
        slot(d, dst)[k * n + i] = slot(d, src)[k * n + i];
}
static void mix(ode_space *s, int a, int b, ode_num w)
{
    dual *d = (dual *)s;
    double angle = 2 * s->omega * w.hi * s->hs.hi * d->h, c = cos(angle), z = sin(angle);
    for (int k = 0, n = s->size, m = s->half; k <= n; k++) {
        double *x = slot(d, a) + k * n, *y = slot(d, b) + k * n;
        for (int i = 0; i < m; i++) {
            double q = (x[i] - y[i]) / 2, p = (x[m + i] - y[m + i]) / 2, Q = (x[i] + y[i]) / 2,
                   P = (x[m + i] + y[m + i]) / 2;
            double u = c * q + z * p, v = c * p - z * q;
            x[i] = Q + u, y[i] = Q - u, x[m + i] = P + v, y[m + i] = P - v;
        }
    }
}
static void put(ode_space *s, int dst, int i, int r)
{
    dual *d = (dual *)s;
    for (int k = 0, n = s->size; k <= n; k++)
        slot(d, dst)[k * n + i] = d->reg[r * (n + 1) + k];
}
static void dot(ode_space *s, int r, int x, int y)
{
    dual *d = (dual *)s;
    int n = s->size;
    const double *a = slot(d, x), *b = slot(d, y);
    double *out = d->reg + r * (n + 1);
    for (int k = 0; k <= n; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += k ? a[i] * b[k * n + i] + a[k * n + i] * b[i] : a[i] * b[i];
        out[k] = sum;
    }
}
static void entry(ode_space *s, int r, int x, int i)
{
    dual *d = (dual *)s;
    for (int k = 0, n = s->size; k <= n; k++)
        d->reg[r * (n + 1) + k] = slot(d, x)[k * n + i];
}
static void energy(ode_space *s, int r, int x, ode_num c)
{
    dual *d = (dual *)s;
    int n = s->size, m = s->half;
    double *out = d->reg + r * (n + 1), *y = slot(d, x), t = when(d, c), *f = d->jac;
    if (d->real->field->energy(d->real->field->user, t, y, out))
        d->failed = ODE_EVALUE;
    ode_real_field(d->real, ODE_ALL, &t, y, f); /* grad H = (-f_p, f_q) */
    for (int k = 1; k <= n; k++) {
        double sum = 0;
        for (int i = 0; i < m; i++)
            sum += f[i] * y[k * n + m + i] - f[m + i] * y[k * n + i];
        out[k] = sum;
    }
}
static void plus(ode_space *s, int r, double c, int a)
{
    dual *d = (dual *)s;
    for (int k = 0, n = s->size; k <= n; k++)
        d->reg[r * (n + 1) + k] += c * d->reg[a * (n + 1) + k];
}
static void quotient(ode_space *s, int r, int a, int b, double small, int alt)
{
    dual *d = (dual *)s;
    int n = s->size;
    double *out = d->reg + r * (n + 1), *u = d->reg + a * (n + 1), *v = d->reg + b * (n + 1), q = u[0] / v[0];
    if (fabs(v[0]) > small) {
        for (int k = 1; k <= n; k++)
            out[k] = (u[k] - q * v[k]) / v[0];
        out[0] = q;
    } else
        for (int k = 0; k <= n; k++)
            out[k] = alt < 0 ? 0 : d->reg[alt * (n + 1) + k];
}
static void addr(ode_space *s, int part, int dst, int r, int src)
{
    dual *d = (dual *)s;
    int n = s->size;
    const double *q = d->reg + r * (n + 1), *x = slot(d, src);
    double *y = slot(d, dst);
    for (int k = n; k >= 0; k--)
        for (int i = from(d, part); i < to(d, part); i++)
            y[k * n + i] += q[0] * x[k * n + i] + (k ? q[k] * x[i] : 0);
}
/* The sweeps themselves, on duals: the schedule asked for, or until value and derivative stop changing. */
static void solve(ode_space *s, int m, const int y[], const int g[], ode_map *map, const void *ctx)
{
    dual *d = (dual *)s;
    int count = s->size * (s->size + 1), sweeps = d->schedule > 0 ? d->schedule : 100;
    double last = INFINITY;
    for (int turn = 0; turn < sweeps && !d->failed; turn++) {
        double change = 0, size = 1; /* the derivative of the state by itself */
        map(s, ctx);
        for (int k = 0; k < m; k++) {
            double *a = slot(d, y[k]), *b = slot(d, g[k]);
            for (int i = 0; i < count; i++)
                change = fmax(change, fabs(a[i] - b[i])), size = fmax(size, fabs(b[i]));
            memcpy(a, b, sizeof *a * (size_t)count);
        }
        if (d->schedule > 0)
            continue;
        if (change == 0 || (change >= last && change <= 1e-13 * size))
            return;
        if (turn == sweeps - 1 || !isfinite(change))
            d->failed = ODE_ESOLVE;
        last = change;
    }
}
static const ode_ops dual_ops = {set,   add,    addh, eval,     rotate, pick, mix,  dot,
                                 entry, energy, plus, quotient, put,    addr, solve};

int ode_tangent(ode_solver *s, double h, double M[])
{
    if (s->status)
        return s->status;
    if (!s->started)
        return ode_fail(s, ODE_EINPUT, "ode_tangent: call ode_start first");
    if (ode_only_one(s, "ode_tangent"))
        return s->status;
    if (!s->field.jacobian)
        return ode_fail(s, ODE_EFIELD, "ode_tangent: the field has no jacobian");
    if (!isfinite(h) || h == 0)
        return ode_fail(s, ODE_EINPUT, "ode_tangent: h = %g", h);
    int n = s->field.size, regs = s->space.registers;
    size_t per = (size_t)n * (size_t)(n + 1), slots = per * (size_t)s->space.slots;
    ode_real real = s->space; /* its own slots are not touched, but for the scratch of a half evaluation */
    dual d = {.base = s->space.base, .real = &real, .t = s->space.t, .h = h, .schedule = s->space.schedule};
    if (!(d.x = calloc(slots + (size_t)regs * (size_t)(n + 1) + (size_t)n * (size_t)n, sizeof(double))))
        return ode_fail(s, ODE_EMEMORY, "ode_tangent: out of memory");
    d.reg = d.x + slots;
    d.jac = d.reg + (size_t)regs * (size_t)(n + 1);
    d.base.ops = &dual_ops;
    d.base.fresh = 1;
    d.base.hs = (ode_num){1, 0};
    d.base.tc = (ode_num){0, 0};
    memcpy(d.x, s->space.x, sizeof(double) * (size_t)n);
    for (int k = 0; k < n; k++)
        d.x[(k + 1) * n + k] = 1;
    s->method->driver->step(&d.base, s->plan);
    double bad = 0;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++)
            M[i * n + k] = d.x[(k + 1) * n + i], bad += M[i * n + k] * 0.0;
    if (real.failed)
        ode_forgive(&s->space); /* faults are shared with the copy */
    int failed = d.failed ? d.failed : real.failed ? real.failed : bad != 0 ? ODE_EVALUE : 0;
    free(d.x);
    if (failed == ODE_ESOLVE)
        return ode_fail(s, failed, "ode_tangent: %s: the sweeps do not converge at h = %g", s->method->name,
                        h);
    return failed ? ode_fail(s, failed, "ode_tangent: the field or its jacobian is not finite") : ODE_OK;
}
