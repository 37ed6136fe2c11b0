/* dual.c - the abstract space on dual numbers: a state and its derivative by all of the start.
 * Invariant: every operation carries its exact derivative, so M is that of the step as executed, sweeps included. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solver.h"

/* A slot is 1 + ways rows of `size` numbers: the value, then its derivative in each direction; a register 1 + ways. */
typedef struct {
    ode_space base;
    ode_real *real; /* evaluates the field, of this row */
    int row, ways;
    double *x, *reg, *jac, t, h;
    int schedule, failed;
} dual;

static double *slot(const dual *d, int k)
{
    return d->x + (size_t)k * (size_t)d->base.size * (size_t)(d->ways + 1);
}
static int from(const dual *d, int part) { return part == ODE_P ? d->base.half : 0; }
static int to(const dual *d, int part) { return part == ODE_Q ? d->base.half : d->base.size; }
static double when(const dual *d, ode_num c) { return d->t + (d->base.tc.hi + c.hi * d->base.hs.hi) * d->h; }

static void axpy(dual *d, int part, int dst, double c, int src)
{
    double *y = slot(d, dst);
    const double *x = slot(d, src);
    int n = d->base.size;
    for (int k = 0; k <= d->ways; k++)
        for (int i = from(d, part); i < to(d, part); i++)
            y[k * n + i] = fma(c, x[k * n + i], y[k * n + i]);
}
static void set(ode_space *s, int part, int dst, int src)
{
    dual *d = (dual *)s;
    double *y = slot(d, dst);
    int n = s->size;
    for (int k = 0; k <= d->ways; k++)
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
static void sum(ode_space *s, int dst, int src, const ode_sum *terms)
{
    if (dst != src)
        set(s, ODE_ALL, dst, src);
    for (int j = 0; j < terms->count; j++)
        addh(s, ODE_ALL, dst, terms->c[j], terms->at[j]);
}
static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    dual *d = (dual *)s;
    int n = s->size;
    double *f = slot(d, dst), *y = slot(d, src), t = when(d, c);
    if (ode_row_give(d->real, d->row, ODE_OF_JACOBIAN, t, y, d->jac) ||
        ode_row_field(d->real, part, d->row, t, y, f))
        d->failed = ODE_EVALUE;
    for (int k = 1; k <= d->ways; k++)
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
    for (int k = 0, n = s->size, m = s->half; k <= d->ways; k++)
        for (int i = 0; i < m; i++)
            y[k * n + i] = x[k * n + m + i], y[k * n + m + i] = -x[k * n + i];
}
static void pick(ode_space *s, int i, int dst, int src)
{
    dual *d = (dual *)s;
    for (int k = 0, n = s->size; k <= d->ways; k++)
        slot(d, dst)[k * n + i] = slot(d, src)[k * n + i];
}
static void mix(ode_space *s, int a, int b, ode_num w)
{
    dual *d = (dual *)s;
    double angle = 2 * s->omega * w.hi * s->hs.hi * d->h, c = cos(angle), z = sin(angle);
    for (int k = 0, n = s->size, m = s->half; k <= d->ways; k++) {
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
    for (int k = 0, n = s->size; k <= d->ways; k++)
        slot(d, dst)[k * n + i] = d->reg[r * (d->ways + 1) + k];
}
static void dot(ode_space *s, int r, int x, int y)
{
    dual *d = (dual *)s;
    int n = s->size;
    const double *a = slot(d, x), *b = slot(d, y);
    double *out = d->reg + r * (d->ways + 1);
    for (int k = 0; k <= d->ways; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += k ? a[i] * b[k * n + i] + a[k * n + i] * b[i] : a[i] * b[i];
        out[k] = sum;
    }
}
static void entry(ode_space *s, int r, int x, int i)
{
    dual *d = (dual *)s;
    for (int k = 0, n = s->size; k <= d->ways; k++)
        d->reg[r * (d->ways + 1) + k] = slot(d, x)[k * n + i];
}
static void energy(ode_space *s, int r, int x, ode_num c)
{
    dual *d = (dual *)s;
    int n = s->size, m = s->half;
    double *out = d->reg + r * (d->ways + 1), *y = slot(d, x), t = when(d, c), *f = d->jac;
    if (ode_row_give(d->real, d->row, ODE_OF_ENERGY, t, y, out) ||
        ode_row_field(d->real, ODE_ALL, d->row, t, y, f)) /* grad H = (-f_p, f_q) */
        d->failed = ODE_EVALUE;
    for (int k = 1; k <= d->ways; k++) {
        double sum = 0;
        for (int i = 0; i < m; i++)
            sum += f[i] * y[k * n + m + i] - f[m + i] * y[k * n + i];
        out[k] = sum;
    }
}
static void plus(ode_space *s, int r, double c, int a)
{
    dual *d = (dual *)s;
    for (int k = 0; k <= d->ways; k++)
        d->reg[r * (d->ways + 1) + k] += c * d->reg[a * (d->ways + 1) + k];
}
static void quotient(ode_space *s, int r, int a, int b, double small, int alt)
{
    dual *d = (dual *)s;
    double *out = d->reg + r * (d->ways + 1), *u = d->reg + a * (d->ways + 1),
           *v = d->reg + b * (d->ways + 1), q = u[0] / v[0];
    if (fabs(v[0]) > small) {
        for (int k = 1; k <= d->ways; k++)
            out[k] = (u[k] - q * v[k]) / v[0];
        out[0] = q;
    } else
        for (int k = 0; k <= d->ways; k++)
            out[k] = alt < 0 ? 0 : d->reg[alt * (d->ways + 1) + k];
}
static void addr(ode_space *s, int part, int dst, int r, int src)
{
    dual *d = (dual *)s;
    int n = s->size;
    const double *q = d->reg + r * (d->ways + 1), *x = slot(d, src);
    double *y = slot(d, dst);
    for (int k = d->ways; k >= 0; k--)
        for (int i = from(d, part); i < to(d, part); i++)
            y[k * n + i] += q[0] * x[k * n + i] + (k ? q[k] * x[i] : 0);
}
/* The sweeps themselves, on duals: the schedule asked for, or until value and derivative stop changing. */
static void solve(ode_space *s, int m, const int y[], const int g[], ode_map *map, const void *ctx)
{
    dual *d = (dual *)s;
    int count = s->size * (d->ways + 1), sweeps = d->schedule > 0 ? d->schedule : 100;
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
static const ode_ops dual_ops = {set, add,   addh,   sum,  eval,     rotate, pick, mix,
                                 dot, entry, energy, plus, quotient, put,    addr, solve};

static int dual_new(dual *d, ode_real *r, int row, int ways)
{
    size_t n = (size_t)r->base.size, w = (size_t)ways + 1, slots = n * w * (size_t)r->slots,
           regs = w * (size_t)r->registers;
    *d = (dual){.base = r->base, .real = r, .row = row, .ways = ways, .schedule = r->schedule};
    d->base.ops = &dual_ops;
    d->t = r->t;
    if (!(d->x = calloc(slots + regs + n * n, sizeof(double))))
        return 0;
    d->reg = d->x + slots;
    d->jac = d->reg + regs;
    return 1;
}

/* The slots as they are, with the unknowns as directions, through the map once. */
int ode_dual_matrix(ode_real *r, int row, int n, const int y[], const int g[], ode_map *map, const void *ctx,
                    double A[])
{
    int size = r->base.size, N = n * size;
    dual d;
    if (!r->field->jacobian || !dual_new(&d, r, row, N))
        return 0;
    d.t = r->row_t[row], d.h = r->row_h[row];
    for (int k = 0; k < r->slots; k++)
        memcpy(slot(&d, k), ode_row(r, k, row), sizeof(double) * (size_t)size);
    for (int k = 0; k < r->registers; k++)
        d.reg[k * (N + 1)] = r->reg[k * r->rows + row];
    for (int q = 0; q < N; q++)
        slot(&d, y[q / size])[(q + 1) * size + q % size] = 1;
    map(&d.base, ctx);
    double bad = 0;
    for (int q = 0; q < N; q++) {
        const double *G = slot(&d, g[q / size]);
        for (int c = 0; c < N; c++)
            A[q * N + c] = (q == c) - G[(c + 1) * size + q % size], bad += A[q * N + c] * 0.0;
    }
    free(d.x);
    return !d.failed && bad == 0;
}

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
    int n = s->field.size;
    dual d;
    if (!dual_new(&d, &s->space, 0, n))
        return ode_fail(s, ODE_EMEMORY, "ode_tangent: out of memory");
    d.h = h;
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
    int failed = d.failed ? d.failed : bad != 0 ? ODE_EVALUE : 0;
    free(d.x);
    if (failed == ODE_ESOLVE)
        return ode_fail(s, failed, "ode_tangent: %s: the sweeps do not converge at h = %g", s->method->name,
                        h);
    return failed ? ode_fail(s, failed, "ode_tangent: the field or its jacobian is not finite") : ODE_OK;
}
