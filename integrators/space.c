/* space.c - the abstract space of ode_driver.h on arrays of doubles, one state or a batch of them.
 * Invariant: slot 0 is summed with compensation (when asked), everything else plainly; only live rows are touched. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

#define EACH_LIVE_ROW(r, b)                                                                                  \
    for (int b = 0; b < (r)->rows; b++)                                                                      \
        if ((r)->live[b])

typedef struct {
    int from, to;
} rows;
static rows rows_of(const ode_real *r, int part)
{
    int n = r->base.size, m = r->base.half;
    return part == ODE_Q ? (rows){0, m} : part == ODE_P ? (rows){m, n} : (rows){0, n};
}
static int at(const ode_real *r, int k) { return k ? k + r->base.slot0 : 0; }
static double *row(const ode_real *r, int k, int b) { return ode_row(r, at(r, k), b); }
static double *carry(const ode_real *r, int b) { return r->carry + (size_t)b * (size_t)r->base.size; }
static double *number(const ode_real *r, int k) { return r->reg + (size_t)k * (size_t)r->rows; }

__attribute__((noinline, cold)) void ode_real_fault(ode_real *r, int b, int status, double t,
                                                    const char *what)
{
    if (r->fault[b].status)
        return;
    r->fault[b] = (ode_fault){status, what, t};
    r->live[b] = 0;
    if (r->rows == 1 && !r->failed)
        r->failed = status, r->failed_t = t, r->failed_what = what;
}

static void set(ode_space *s, int part, int dst, int src)
{
    ode_real *r = (ode_real *)s;
    rows w = rows_of(r, part);
    EACH_LIVE_ROW(r, b)
    {
        double *d = row(r, dst, b);
        const double *x = src < 0 ? NULL : row(r, src, b);
        for (int i = w.from; i < w.to; i++)
            d[i] = x ? x[i] : 0;
        if (dst == 0)
            for (int i = w.from; i < w.to; i++)
                carry(r, b)[i] = 0;
    }
}

/* d += (hi + lo) x for n numbers. With a carry e, what a sum loses comes back in the next one (Kahan): long runs then err like one
 * rounding, and what is left is the rounding of the product, h times smaller. Without one the low half still counts, since a
 * coefficient's rounding is the same in every step and would add up; it has to meet the product while that is exact: alone it is
 * below half a unit of d's last place, and would be rounded away every time. trace.c records the same operations. */
enum { PLAIN, LOW_HALF, CARRIED, HELD };
static inline __attribute__((always_inline)) void
multiply_add(int how, int n, double *restrict d, double *restrict e, double hi, double lo, const double *x)
{
    if (how == CARRIED)
        for (int i = 0; i < n; i++) {
            double y = d[i], a = fma(hi, x[i], fma(lo, x[i], e[i])), u = y + a;
            e[i] = a - (u - y);
            d[i] = u;
        }
    else if (how == HELD)
        for (int i = 0; i < n; i++) {
            double y = d[i], u = fma(hi, x[i], y);
            e[i] += fma(lo, x[i], fma(hi, x[i], y - u));
            d[i] = u;
        }
    else if (how == LOW_HALF)
        for (int i = 0; i < n; i++)
            d[i] += fma(hi, x[i], lo * x[i]);
    else
        for (int i = 0; i < n; i++)
            d[i] = fma(hi, x[i], d[i]);
}
/* The same with the coefficient (g + gl) h. */
static inline __attribute__((always_inline)) void step_add(int how, int n, double *restrict d,
                                                           double *restrict e, double g, double gl, double h,
                                                           const double *x)
{
    double hi = g * h, lo = fma(g, h, -hi) + gl * h;
    multiply_add(how, n, d, e, hi, lo, x);
}
static void step_add_any(int how, int n, double *d, double *e, double g, double gl, double h, const double *x)
{
    step_add(how, n, d, e, g, gl, h, x);
}
#if defined(__x86_64__) && !defined(double)
/* One instruction instead of a call of the C library for each product. */
__attribute__((target("fma"))) static void step_add_fma(int how, int n, double *d, double *e, double g,
                                                        double gl, double h, const double *x)
{
    step_add(how, n, d, e, g, gl, h, x);
}
#define STEP_ADD (__builtin_cpu_supports("fma") ? step_add_fma : step_add_any)
#else
#define STEP_ADD step_add_any
#endif

static void axpy(ode_real *r, int b, int part, int dst, double g, double gl, double h, const double *x)
{
    rows w = rows_of(r, part);
    int how = !r->compensate ? PLAIN : dst ? LOW_HALF : r->base.hold ? HELD : CARRIED;
    r->step_add(how, w.to - w.from, row(r, dst, b) + w.from, carry(r, b) + w.from, g, gl, h, x + w.from);
}
static void add(ode_space *s, int part, int dst, ode_num c, int src)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b) axpy(r, b, part, dst, c.hi, c.lo, 1, row(r, src, b));
}
static void addh(ode_space *s, int part, int dst, ode_num c, int src)
{
    ode_real *r = (ode_real *)s;
    ode_num g = ode_share(s, c);
    EACH_LIVE_ROW(r, b) axpy(r, b, part, dst, g.hi, g.lo, r->row_h[b], row(r, src, b));
}
/* Arguments of stages of explicit rows are summed plainly: what the coefficients' low halves do there is h times smaller than what
 * they do to the solution, and no explicit row is used so near to round-off. */
static void sum(ode_space *s, int dst, int src, const ode_sum *terms)
{
    ode_real *r = (ode_real *)s;
    const ode_num hs = s->hs;
    size_t n = (size_t)s->size, stride = n * (size_t)r->rows;
    double *d = ode_slot(r, at(r, dst)), *x = r->x + (size_t)s->slot0 * stride;
    const double *y = src < 0 ? NULL : ode_slot(r, at(r, src));
    EACH_LIVE_ROW(r, b)
    {
        double h = hs.hi * r->row_h[b], low = fma(hs.hi, r->row_h[b], -h) + hs.lo * r->row_h[b];
        size_t to = (size_t)b * n;
        if (dst == 0 && r->compensate)
            r->combine.carried(s->size, d + to, r->carry + to, terms, x + to, stride, h, low);
        else
            r->combine.plain(s->size, d + to, y ? y + to : NULL, terms, x + to, stride, h);
    }
}

/* One quantity of one row: in a batch from the callback for many, which knows whose row it is. */
int ode_row_give(const ode_real *r, int row, int what, double t, const double *y, double *out)
{
    const ode_field *f = r->field;
    if (r->rows > 1 && f->rows)
        return f->rows(f->user, what, 1, &row, &t, y, out);
    return what == ODE_OF_RHS      ? f->rhs(f->user, t, y, out)
           : what == ODE_OF_DHDP   ? f->dHdp(f->user, t, y, out)
           : what == ODE_OF_DHDQ   ? f->dHdq(f->user, t, y, out)
           : what == ODE_OF_ENERGY ? f->energy(f->user, t, y, out)
                                   : f->jacobian(f->user, t, y, out);
}
int ode_row_field(const ode_real *r, int part, int row, double t, const double *y, double *out)
{
    const ode_field *f = r->field;
    int n = r->base.size, m = r->base.half, bad = 0;
    if (part == ODE_ALL && (f->rhs || (r->rows > 1 && f->rows)))
        return ode_row_give(r, row, ODE_OF_RHS, t, y, out);
    if (f->dHdp && f->dHdq) {
        if (part & ODE_Q)
            bad = ode_row_give(r, row, ODE_OF_DHDP, t, y, out);
        if (part & ODE_P) {
            bad |= ode_row_give(r, row, ODE_OF_DHDQ, t, y, out + m);
            for (int i = m; i < n; i++)
                out[i] = -out[i];
        }
        return bad;
    } /* a half wanted, the whole given: through the last slot, kept free for this */
    double *all = ode_row(r, r->slots - 1, row);
    rows w = rows_of(r, part);
    bad = ode_row_give(r, row, ODE_OF_RHS, t, y, all);
    memcpy(out + w.from, all + w.from, sizeof(double) * (size_t)(w.to - w.from));
    return bad;
}

/* One quantity of the rows index[0..count-1] by the callback for many, `width` values a row, into r->pack's second half;
 * a row whose value cannot be had is faulted. */
static void ask(ode_real *r, int what, int count, int width, const double t[], const double *y)
{
    const ode_field *f = r->field;
    size_t n = (size_t)r->base.size;
    double *given = r->pack + (size_t)r->rows * n;
    const double *from = y;
    if (count < r->rows) {
        for (int k = 0; k < count; k++)
            memcpy(r->pack + (size_t)k * n, y + (size_t)r->index[k] * n, n * sizeof *y);
        from = r->pack;
    }
    for (int k = 0; k < count; k++)
        r->pack_t[k] = t[r->index[k]];
    if (!f->rows(f->user, what, count, r->index, r->pack_t, from, given))
        return;
    for (int k = 0; k < count; k++) /* one by one, to find which */
        if (f->rows(f->user, what, 1, r->index + k, r->pack_t + k, from + (size_t)k * n,
                    given + (size_t)k * (size_t)width))
            ode_real_fault(r, r->index[k], ODE_EVALUE, r->pack_t[k], "the field's callback reported failure");
}
static int live_rows(ode_real *r)
{
    int count = 0;
    EACH_LIVE_ROW(r, b) r->index[count++] = b;
    return count;
}
static void field_of_rows(ode_real *r, int part, const double t[], const double *y, double *out)
{
    int n = r->base.size, m = r->base.half, count = live_rows(r);
    const double *given = r->pack + (size_t)r->rows * (size_t)n;
    int halves = r->field->dHdp && r->field->dHdq && part != ODE_ALL;
    if (!count)
        return;
    int what = !halves ? ODE_OF_RHS : part == ODE_Q ? ODE_OF_DHDP : ODE_OF_DHDQ, width = halves ? m : n;
    rows w = rows_of(r, part);
    ask(r, what, count, width, t, y);
    for (int k = 0; k < count; k++) {
        const double *g = given + (size_t)k * (size_t)width;
        double *d = out + (size_t)r->index[k] * (size_t)n;
        for (int i = w.from; i < w.to; i++)
            d[i] = halves ? (part == ODE_P ? -g[i - m] : g[i]) : g[i];
    }
}

void ode_real_field(ode_real *r, int part, const double t[], const double *y, double *out)
{
    size_t n = (size_t)r->base.size;
    rows w = rows_of(r, part);
    if (r->rows > 1 && r->field->rows)
        field_of_rows(r, part, t, y, out);
    else
        EACH_LIVE_ROW(r, b)
    if (ode_row_field(r, part, b, t[b], y + (size_t)b * n, out + (size_t)b * n))
        ode_real_fault(r, b, ODE_EVALUE, t[b], "the field's callback reported failure");
    EACH_LIVE_ROW(r, b)
    {
        r->counts.fields++;
        if (ode_any_bad(out + (size_t)b * n + w.from, w.to - w.from))
            ode_real_fault(r, b, ODE_EVALUE, t[b], "the field is NaN or infinite");
    }
}
static const double *times(ode_real *r, ode_num c)
{
    double part = r->base.tc.hi + c.hi * r->base.hs.hi;
    for (int b = 0; b < r->rows; b++)
        r->when[b] = r->row_t[b] + part * r->row_h[b];
    return r->when;
}

static void eval(ode_space *s, int part, int dst, int src, ode_num c)
{
    ode_real *r = (ode_real *)s;
    ode_real_field(r, part, times(r, c), ode_slot(r, at(r, src)), ode_slot(r, at(r, dst)));
}
static void rotate(ode_space *s, int dst, int src)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b)
    {
        double *d = row(r, dst, b);
        const double *x = row(r, src, b);
        for (int i = 0, m = s->half; i < m; i++)
            d[i] = x[m + i], d[m + i] = -x[i];
    }
}
static void pick(ode_space *s, int i, int dst, int src)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b) row(r, dst, b)[i] = row(r, src, b)[i];
}
static void mix(ode_space *s, int a, int c, ode_num k)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b)
    {
        double angle = 2 * s->omega * k.hi * s->hs.hi * r->row_h[b], co = cos(angle), z = sin(angle);
        double *x = row(r, a, b), *y = row(r, c, b);
        for (int i = 0, m = s->half; i < m;
             i++) { /* the sine and cosine form keeps |a - b| whatever their rounding does to a + b */
            double q = (x[i] - y[i]) / 2, p = (x[m + i] - y[m + i]) / 2, Q = (x[i] + y[i]) / 2,
                   P = (x[m + i] + y[m + i]) / 2;
            double u = co * q + z * p, v = co * p - z * q;
            x[i] = Q + u, y[i] = Q - u, x[m + i] = P + v, y[m + i] = P - v;
        }
    }
}
static void put(ode_space *s, int dst, int i, int k)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b) row(r, dst, b)[i] = number(r, k)[b];
}
static void dot(ode_space *s, int k, int x, int y)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b)
    {
        const double *a = row(r, x, b), *c = row(r, y, b);
        double sum = 0;
        for (int i = 0; i < s->size; i++)
            sum = fma(a[i], c[i], sum);
        number(r, k)[b] = sum;
    }
}
static void entry(ode_space *s, int k, int x, int i)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b) number(r, k)[b] = row(r, x, b)[i];
}
static void energy(ode_space *s, int k, int x, ode_num c)
{
    ode_real *r = (ode_real *)s;
    const ode_field *f = r->field;
    const double *t = times(r, c), *given = r->pack + (size_t)r->rows * (size_t)s->size;
    int many = r->rows > 1 && f->rows, count = many ? live_rows(r) : 0;
    if (count)
        ask(r, ODE_OF_ENERGY, count, 1, t, ode_slot(r, at(r, x)));
    int j = 0;
    EACH_LIVE_ROW(r, b)
    {
        while (many && r->index[j] != b) /* rows that ask() has faulted */
            j++;
        double H = many ? given[j] : 0;
        int bad = many ? 0 : f->energy(f->user, t[b], row(r, x, b), &H);
        if (bad || !isfinite(H))
            ode_real_fault(r, b, ODE_EVALUE, t[b], "the energy is NaN or infinite");
        number(r, k)[b] = H;
    }
}
static void plus(ode_space *s, int k, double c, int a)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b) number(r, k)[b] = fma(c, number(r, a)[b], number(r, k)[b]);
}
static void quotient(ode_space *s, int k, int a, int c, double small, int alt)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b)
    {
        double den = number(r, c)[b];
        number(r, k)[b] = fabs(den) > small ? number(r, a)[b] / den : alt < 0 ? 0 : number(r, alt)[b];
    }
}
static void addr(ode_space *s, int part, int dst, int k, int src)
{
    ode_real *r = (ode_real *)s;
    EACH_LIVE_ROW(r, b) axpy(r, b, part, dst, number(r, k)[b], 0, 1, row(r, src, b));
}

static const ode_ops real_ops = {set, add,   addh,   sum,  eval,     rotate, pick, mix,
                                 dot, entry, energy, plus, quotient, put,    addr, ode_real_solve};

int ode_real_new(ode_real *r, const ode_plan *plan, const ode_field *f, int count)
{
    const ode_driver *d = plan->row->driver;
    memset(r, 0, sizeof *r);
    r->base.ops = &real_ops;
    r->base.size = f->size;
    r->base.half = f->kind & ODE_CANONICAL ? f->size / 2 : 0;
    r->base.fresh = 1;
    r->base.hs = (ode_num){1, 0};
    r->field = f;
    r->rows = count;
    r->compensate = 1;
    r->step_add = STEP_ADD;
    r->combine = ode_combine_best();
    r->slots = d->slots(plan) + 2; /* the solution, the driver's own, one for halves of a whole field */
    r->registers = d->registers ? d->registers(plan) : 0;
    size_t b = (size_t)count, n = (size_t)f->size * b;
    r->x = calloc((size_t)(r->slots + 3) * n + ((size_t)r->registers + 8) * b, sizeof(double));
    r->fault = calloc(b, sizeof *r->fault + sizeof *r->index + 2);
    if (!r->x || !r->fault)
        return ODE_EMEMORY;
    r->carry = r->x + (size_t)r->slots * n;
    r->pack = r->carry + n;
    r->reg = r->pack + 2 * n;
    r->row_t = r->reg + (size_t)r->registers * b;
    r->row_h = r->row_t + b;
    r->row_tc = r->row_h + b;
    r->when = r->row_tc + b;
    r->last = r->when + b;
    r->past = r->last + b;
    r->pack_t = r->past + 2 * b;
    r->index = (int *)(r->fault + b);
    r->live = (unsigned char *)(r->index + b);
    r->open = r->live + b;
    memset(r->live, 1, b);
    return ODE_OK;
}
void ode_real_free(ode_real *r)
{
    free(r->x);
    free(r->fault);
    free(r->work);
    free(r->pivot);
}

void ode_real_advance(ode_real *r, const ode_plan *plan)
{
    r->base.hs = (ode_num){1, 0};
    r->base.tc = (ode_num){0, 0};
    if (r->combine.rk && plan->row->driver == &ode_rk_driver && r->rows == 1 && r->live[0] && r->field->rhs)
        r->combine.rk(r, plan);
    else
        plan->row->driver->step(&r->base, plan);
    r->base.fresh = 0;
}
const ode_clock *ode_real_clock(ode_real *r, double h)
{
    ode_clock *c = &r->clock;
    if (c->h != h || c->t != r->t || c->t_carry != r->t_carry)
        *c = (ode_clock){r->t, r->t_carry, h, r->t, r->t_carry, 0};
    return c;
}
void ode_real_tick(ode_real *r, double h, int64_t n)
{
    ode_real_clock(r, h);
    ode_clock *c = &r->clock;
    c->k += n;
    double k = (double)c->k, p = k * h, low = fma(k, h, -p) + c->base_carry, t = c->base + p, v = t - c->base;
    low += (c->base - (t - v)) + (p - v); /* two-sum */
    c->t = r->t = t + low;
    c->t_carry = r->t_carry = (t - r->t) + low;
}
void ode_real_step(ode_real *r, const ode_plan *plan, double h)
{
    r->base.ratio = r->h != 0 ? h / r->h : 0;
    r->h = h;
    for (int b = 0; b < r->rows; b++)
        r->row_h[b] = h, r->row_t[b] = r->t;
    ode_real_advance(r, plan);
    ode_real_tick(r, h, 1);
}
