/* space.c - the abstract space of ode_driver.h on arrays of doubles.
 * Invariant: slot 0 is summed with compensation (when asked), everything else plainly. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

typedef struct {
    int from, to;
} rows;
static rows rows_of(const ode_real *r, int part)
{
    int n = r->base.size, m = r->base.half;
    return part == ODE_Q ? (rows){0, m} : part == ODE_P ? (rows){m, n} : (rows){0, n};
}
static int at(const ode_real *r, int k) { return k ? k + r->base.slot0 : 0; }

static void set(ode_space *s, int part, int dst, int src)
{
    ode_real *r = (ode_real *)s;
    rows w = rows_of(r, part);
    double *d = ode_slot(r, at(r, dst));
    const double *x = src < 0 ? NULL : ode_slot(r, at(r, src));
    for (int i = w.from; i < w.to; i++)
        d[i] = x ? x[i] : 0;
    if (dst == 0)
        for (int i = w.from; i < w.to; i++)
            r->carry[i] = 0;
}

/* dst += (hi + lo) x. Into slot 0 the rounding errors are carried along: long runs then err like one rounding. */
static void axpy(ode_real *r, int part, int dst, double hi, double lo, const double *x)
{
    rows w = rows_of(r, part);
    double *restrict d = ode_slot(r, at(r, dst));
    if (dst == 0 && r->compensate) {
        double *restrict e = r->carry;
        for (int i = w.from; i < w.to; i++) {
            double p = hi * x[i], low = fma(hi, x[i], -p) + lo * x[i] + e[i];
            double y = d[i], u = y + p, v = u - y, err = (y - (u - v)) + (p - v);
            low += err;
            d[i] = u + low;
            e[i] = (u - d[i]) + low;
        }
    } else if (
        r->compensate) /* the low half too: a coefficient's rounding is the same in every step, and would add up */
        for (int i = w.from; i < w.to; i++)
            d[i] = fma(hi, x[i], fma(lo, x[i], d[i]));
    else
        for (int i = w.from; i < w.to; i++)
            d[i] = fma(hi, x[i], d[i]);
}
static void add(ode_space *s, int part, int dst, ode_num c, int src)
{
    ode_real *r = (ode_real *)s;
    axpy(r, part, dst, c.hi, c.lo, ode_slot(r, at(r, src)));
}
static void addh(ode_space *s, int part, int dst, ode_num c, int src)
{
    ode_real *r = (ode_real *)s;
    double g = c.hi * s->hs.hi, gl = fma(c.hi, s->hs.hi, -g) + (c.hi * s->hs.lo + c.lo * s->hs.hi);
    double hi = g * r->h, lo = fma(g, r->h, -hi) + gl * r->h;
    axpy(r, part, dst, hi, lo, ode_slot(r, at(r, src)));
}

void ode_real_field(ode_real *r, int part, double t, const double *y, double *out)
{
    const ode_field *f = r->field;
    int n = r->base.size, m = r->base.half, bad = 0;
    r->counts.fields++;
    if (part == ODE_ALL && f->rhs)
        bad = f->rhs(f->user, t, y, out);
    else if (f->dHdp && f->dHdq) {
        if (part & ODE_Q)
            bad = f->dHdp(f->user, t, y, out);
        if (part & ODE_P) {
            bad |= f->dHdq(f->user, t, y, out + m);
            for (int i = m; i < n; i++)
                out[i] = -out[i];
        }
    } else { /* a half wanted, the whole given: through the last slot, kept free for this */
        double *all = ode_slot(r, r->slots - 1);
        rows w = rows_of(r, part);
        bad = f->rhs(f->user, t, y, all);
        memcpy(out + w.from, all + w.from, sizeof(double) * (size_t)(w.to - w.from));
    }
    rows w = rows_of(r, part);
    double sum = 0;
    for (int i = w.from; i < w.to; i++)
        sum += out[i] * 0.0; /* NaN exactly if one is not finite */
    if ((bad || sum != 0) && !r->failed) {
        r->failed = ODE_EVALUE;
        r->failed_t = t;
        r->failed_what = bad ? "the field's callback reported failure" : "the field is NaN or infinite";
    }
}
static double time_at(const ode_real *r, ode_num c)
{
    return r->t + (r->base.tc.hi + c.hi * r->base.hs.hi) * r->h;
}

static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    ode_real *r = (ode_real *)s;
    ode_real_field(r, part, time_at(r, c), ode_slot(r, at(r, src)), ode_slot(r, at(r, dst)));
}
static void rotate(ode_space *s, int dst, int src)
{
    ode_real *r = (ode_real *)s;
    double *d = ode_slot(r, at(r, dst));
    const double *x = ode_slot(r, at(r, src));
    for (int i = 0, m = s->half; i < m; i++)
        d[i] = x[m + i], d[m + i] = -x[i];
}
static void pick(ode_space *s, int i, int dst, int src)
{
    ode_real *r = (ode_real *)s;
    ode_slot(r, at(r, dst))[i] = ode_slot(r, at(r, src))[i];
}
static void mix(ode_space *s, int a, int b, ode_num k)
{
    ode_real *r = (ode_real *)s;
    double angle = 2 * s->omega * k.hi * s->hs.hi * r->h, c = cos(angle), z = sin(angle);
    double *x = ode_slot(r, at(r, a)), *y = ode_slot(r, at(r, b));
    for (int i = 0, m = s->half; i < m;
         i++) { /* the sine and cosine form keeps |a - b| whatever their rounding does to a + b */
        double q = (x[i] - y[i]) / 2, p = (x[m + i] - y[m + i]) / 2, Q = (x[i] + y[i]) / 2,
               P = (x[m + i] + y[m + i]) / 2;
        double u = c * q + z * p, v = c * p - z * q;
        x[i] = Q + u, y[i] = Q - u, x[m + i] = P + v, y[m + i] = P - v;
    }
}
static void put(ode_space *s, int dst, int i, int k)
{
    ode_real *r = (ode_real *)s;
    ode_slot(r, at(r, dst))[i] = r->reg[k];
}
static void dot(ode_space *s, int k, int x, int y)
{
    ode_real *r = (ode_real *)s;
    const double *a = ode_slot(r, at(r, x)), *b = ode_slot(r, at(r, y));
    double sum = 0;
    for (int i = 0; i < s->size; i++)
        sum = fma(a[i], b[i], sum);
    r->reg[k] = sum;
}
static void entry(ode_space *s, int k, int x, int i)
{
    ode_real *r = (ode_real *)s;
    r->reg[k] = ode_slot(r, at(r, x))[i];
}
static void energy(ode_space *s, int k, int x, ode_num c)
{
    ode_real *r = (ode_real *)s;
    double H = 0, t = time_at(r, c);
    int bad = r->field->energy(r->field->user, t, ode_slot(r, at(r, x)), &H);
    if ((bad || !isfinite(H)) && !r->failed) {
        r->failed = ODE_EVALUE;
        r->failed_t = t;
        r->failed_what = "the energy is NaN or infinite";
    }
    r->reg[k] = H;
}
static void plus(ode_space *s, int k, double c, int a)
{
    ode_real *r = (ode_real *)s;
    r->reg[k] = fma(c, r->reg[a], r->reg[k]);
}
static void quotient(ode_space *s, int k, int a, int b, double small, int alt)
{
    ode_real *r = (ode_real *)s;
    r->reg[k] = fabs(r->reg[b]) > small ? r->reg[a] / r->reg[b] : alt < 0 ? 0 : r->reg[alt];
}
static void addr(ode_space *s, int part, int dst, int k, int src)
{
    ode_real *r = (ode_real *)s;
    axpy(r, part, dst, r->reg[k], 0, ode_slot(r, at(r, src)));
}

static const ode_ops real_ops = {set,   add,    addh, eval,     rotate, pick, mix,           dot,
                                 entry, energy, plus, quotient, put,    addr, ode_real_solve};

int ode_real_new(ode_real *r, const ode_plan *plan, const ode_field *f)
{
    const ode_driver *d = plan->row->driver;
    memset(r, 0, sizeof *r);
    r->base.ops = &real_ops;
    r->base.size = f->size;
    r->base.half = f->kind & ODE_CANONICAL ? f->size / 2 : 0;
    r->base.fresh = 1;
    r->base.hs = (ode_num){1, 0};
    r->field = f;
    r->compensate = 1;
    r->slots = d->slots(plan) + 2; /* the solution, the driver's own, one for halves of a whole field */
    r->registers = d->registers ? d->registers(plan) : 0;
    size_t n = (size_t)f->size;
    r->x = calloc((size_t)(r->slots + 1) * n + (size_t)r->registers, sizeof(double));
    if (!r->x)
        return ODE_EMEMORY;
    r->carry = r->x + (size_t)r->slots * n;
    r->reg = r->carry + n;
    return ODE_OK;
}
void ode_real_free(ode_real *r)
{
    free(r->x);
    free(r->work);
    free(r->pivot);
}

void ode_real_step(ode_real *r, const ode_plan *plan, double h)
{
    r->base.ratio = r->h != 0 ? h / r->h : 0;
    r->h = h;
    r->base.hs = (ode_num){1, 0};
    r->base.tc = (ode_num){0, 0};
    plan->row->driver->step(&r->base, plan);
    r->base.fresh = 0;
    double p = h + r->t_carry, t = r->t + p; /* time is summed as the state is */
    r->t_carry = p - (t - r->t);
    r->t = t;
}
