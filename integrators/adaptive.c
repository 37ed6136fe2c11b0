/* adaptive.c - embedded pairs: PI step control, dense output, events.
 * Invariant: slot 0 and the time are always those of the last accepted step. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <string.h>

#include "solver.h"

static double weight(const ode_options *o, int i, double a, double b)
{
    return (o->atols ? o->atols[i] : o->atol) + (o->rtols ? o->rtols[i] : o->rtol) * fmax(fabs(a), fabs(b));
}
/* Root mean square of h sum e_i k_i over the tolerance. With a second estimate, dop853's blend of both. */
static double error_of(const ode_solver *s, const ode_options *o, double h)
{
    const ode_plan *p = s->plan;
    double sum = 0, sum2 = 0;
    int n = s->field.size;
    for (int i = 0; i < n; i++) {
        double e = 0, e2 = 0, w = weight(o, i, s->last_y[i], s->space.x[i]);
        for (int j = 0; j < p->stages; j++) {
            double k = ode_slot(&s->space, 1 + j)[i];
            e = fma(p->e[j].hi, k, e);
            if (p->ne2)
                e2 = fma(p->e2[j].hi, k, e2);
        }
        sum += (e / w) * (e / w);
        sum2 += (e2 / w) * (e2 / w);
    }
    if (!p->ne2)
        return fabs(h) * sqrt(sum / n);
    double d = sum + 0.01 * sum2; /* Hairer, Norsett, Wanner (1993), II.10 */
    return d > 0 ? fabs(h) * sum / sqrt(d * n) : 0;
}

/* Hairer, Norsett, Wanner (1993), II.4: a first step from the sizes of y, f and the change of f over a trial step. */
static double first_step(ode_solver *s, const ode_options *o, double way)
{
    ode_real *r = &s->space;
    int n = s->field.size;
    double d0 = 0, d1 = 0, d2 = 0, *f0 = ode_slot(r, 1), *y1 = s->saved + 4 * (size_t)n,
           *f1 = s->saved + 5 * (size_t)n;
    ode_real_field(r, ODE_ALL, r->t, r->x, f0);
    for (int i = 0; i < n; i++) {
        double w = weight(o, i, r->x[i], 0);
        d0 += r->x[i] / w * (r->x[i] / w);
        d1 += f0[i] / w * (f0[i] / w);
    }
    double h = d0 / n < 1e-10 || d1 / n < 1e-10 ? 1e-6 : 0.01 * sqrt(d0 / d1);
    if (o->h_max > 0)
        h = fmin(h, o->h_max);
    for (int i = 0; i < n; i++)
        y1[i] = r->x[i] + way * h * f0[i];
    ode_real_field(r, ODE_ALL, r->t + way * h, y1, f1);
    for (int i = 0; i < n; i++) {
        double w = weight(o, i, r->x[i], 0);
        d2 += (f1[i] - f0[i]) / w * ((f1[i] - f0[i]) / w);
    }
    double d = fmax(sqrt(d1 / n), sqrt(d2 / n) / h);
    double h1 = d <= 1e-15 ? fmax(1e-6, h * 1e-3) : pow(0.01 / d, 1.0 / s->method->error_order);
    return fmin(100 * h, h1);
}

/* The further stages of dense output, only when somebody asks inside this step. */
static void prepare(ode_solver *s)
{
    if (s->dense_ready == 2)
        return;
    const ode_plan *p = s->plan;
    ode_real *r = &s->space;
    const ode_num *a = p->extra;
    int n = s->field.size;
    double *arg = ode_slot(r, p->stages + 1);
    for (int e = 0; e < p->row->extras; e++) {
        double c = 0;
        memcpy(arg, s->last_y, sizeof(double) * (size_t)n);
        for (int j = 0; j < p->stages + e; j++, a++) {
            const double *k = ode_slot(r, j < p->stages ? 1 + j : 2 + j);
            c += a->hi;
            if (a->hi != 0)
                for (int i = 0; i < n; i++)
                    arg[i] = fma(a->hi * s->dense_h, k[i], arg[i]);
        }
        ode_real_field(r, ODE_ALL, s->last_t + c * s->dense_h, arg, ode_slot(r, p->stages + 2 + e));
    }
    s->dense_ready = 2;
}
int ode_dense(ode_solver *s, double theta, double y[])
{
    if (s->status)
        return s->status;
    if (!s->dense_ready || !s->plan->ndense)
        return ode_fail(s, ODE_EINPUT, "ode_dense: %s has no adaptive step to look into", s->method->name);
    prepare(s);
    const ode_plan *p = s->plan;
    int deg = p->row->degree, n = s->field.size;
    memcpy(y, s->last_y, sizeof *y * (size_t)n);
    for (int j = 0; j < p->stages + p->row->extras; j++) {
        const double *k = ode_slot(&s->space, j < p->stages ? 1 + j : 2 + j);
        double b = 0;
        for (int d = deg - 1; d >= 0; d--)
            b = fma(b, theta, p->dense[j * deg + d].hi);
        b *= theta * s->dense_h;
        for (int i = 0; i < n; i++)
            y[i] = fma(b, k[i], y[i]);
    }
    return ode_check(s);
}

/* Illinois: bracketed, so it cannot leave the step; stops at the resolution of theta. */
static double crossing(ode_solver *s, const ode_event *e, double lo, double glo, double hi, double ghi,
                       double *y)
{
    for (int k = 0, side = 0; k < 100 && hi - lo > 4 * DBL_EPSILON; k++) {
        double m = (lo * ghi - hi * glo) / (ghi - glo);
        if (!(m > lo && m < hi))
            m = 0.5 * (lo + hi);
        if (ode_dense(s, m, y))
            return m;
        double g = e->g(e->user, s->last_t + m * s->dense_h, y);
        if (g == 0)
            return m;
        if ((g > 0) == (ghi > 0)) {
            hi = m, ghi = g;
            if (side == 1)
                glo /= 2;
            side = 1;
        } else {
            lo = m, glo = g;
            if (side == 2)
                ghi /= 2;
            side = 2;
        }
    }
    ode_dense(s, hi, y);
    return hi;
}
/* Events of the step just accepted, in order of time. Returns theta of a terminal one, or 2. */
static double events(ode_solver *s, ode_options *o, double *y)
{
    double end = 2;
    for (int k = 0; k < o->event_count; k++) {
        ode_event *e = &o->events[k];
        double glo = e->g(e->user, s->last_t, s->last_y), ghi = e->g(e->user, s->space.t, s->space.x);
        if (!(glo * ghi < 0 || (ghi == 0 && glo != 0)) || (e->direction > 0 && ghi < glo) ||
            (e->direction < 0 && ghi > glo))
            continue;
        double theta = ghi == 0 ? 1 : crossing(s, e, 0, glo, 1, ghi, y);
        if (ghi == 0)
            memcpy(y, s->space.x, sizeof *y * (size_t)s->field.size);
        if (s->status)
            return end;
        if (e->count < e->max) {
            if (e->times)
                e->times[e->count] = s->last_t + theta * s->dense_h;
            if (e->states)
                memcpy(e->states + (size_t)e->count * (size_t)s->field.size, y,
                       sizeof *y * (size_t)s->field.size);
            e->count++;
        }
        if (e->terminal && theta < end)
            end = theta;
    }
    return end;
}

int ode_adaptive(ode_solver *s, double t_end, ode_options *o)
{
    ode_real *r = &s->space;
    int n = s->field.size, order = s->method->error_order;
    size_t bytes = sizeof(double) * (size_t)n;
    for (int i = 0; i < n; i++)
        if (!((o->atols ? o->atols[i] : o->atol) >= 0) || !((o->rtols ? o->rtols[i] : o->rtol) >= 0) ||
            !(weight(o, i, r->x[i], 1) > 0))
            return ode_fail(s, ODE_EINPUT, "ode_integrate: tolerance of component %d is not positive", i);
    double way = t_end > r->t ? 1 : -1, beta = order >= 8 ? 0 : 0.04, power = 1.0 / order - 0.75 * beta,
           last = 1e-4;
    double *y = s->saved + 4 * (size_t)n, *carry = s->saved + 6 * (size_t)n;
    double h = o->h != 0 ? fabs(o->h) : first_step(s, o, way);
    int rejected = 0;
    for (int k = 0; k < o->event_count; k++)
        o->events[k].count = 0;
    if (ode_check(s))
        return s->status;
    r->base.fresh = o->h != 0 ? 1 : 3;
    if (o->every > 0 && ode_observe(s, o, r->t, r->x))
        return s->status;
    for (int64_t step = 1; r->t != t_end;) {
        if (o->max_steps && r->counts.steps + r->counts.rejected >= o->max_steps)
            return ode_fail(s, ODE_ELIMIT, "ode_integrate: max_steps = %lld reached before t = %g",
                            (long long)o->max_steps, t_end);
        if (o->h_max > 0)
            h = fmin(h, o->h_max);
        double left = fabs(t_end - r->t), take = h;
        if (take >= left * (1 - 1e-12))
            take = left;
        else if (take > 0.5 * left)
            take = 0.5 * left; /* two even steps rather than one and a splinter */
        if (!(take > 4 * DBL_EPSILON * fabs(r->t)) && take < left)
            return ode_fail(s, ODE_ESTUCK,
                            "ode_integrate: the step control cannot advance: step %g, tolerance too small or "
                            "a singularity",
                            take);
        double t = r->t, t_carry = r->t_carry;
        int fresh = r->base.fresh;
        memcpy(s->last_y, r->x, bytes);
        memcpy(carry, r->carry, bytes);
        ode_real_step(r, s->plan, way * take);
        double err = r->failed ? INFINITY : error_of(s, o, take), factor;
        if (!(err <= 1)) {
            int failed = r->failed;
            r->failed = 0;
            memcpy(r->x, s->last_y, bytes);
            memcpy(r->carry, carry, bytes);
            r->t = t;
            r->t_carry = t_carry;
            r->base.fresh = failed ? 1 : 3; /* f at the start is known: not evaluated again */
            r->counts.rejected++;
            s->dense_ready = 0;
            h = take * (isfinite(err) ? fmax(0.2, 0.9 * pow(err, -power)) : 0.2);
            if (fresh && failed && h < 4 * DBL_EPSILON * fabs(t) + DBL_MIN)
                return r->failed = failed, ode_check(s);
            if (failed && h < 1e-14 * (fabs(t) + left))
                return r->failed = failed, ode_check(s);
            rejected = 1;
            continue;
        }
        r->counts.steps++;
        s->last_t = t;
        s->dense_h = way * take;
        s->dense_ready = 1;
        if (take == left)
            r->t = t_end, r->t_carry = 0;
        factor = err > 0 ? 0.9 * pow(err, -power) * pow(last, beta) : 10;
        factor = fmin(rejected ? 1 : order >= 8 ? 6 : 10, fmax(0.2, factor));
        last = fmax(err, 1e-4);
        rejected = 0;
        h = take * factor;
        double end = o->event_count ? events(s, o, y) : 2;
        if (s->status)
            return s->status;
        double until = end <= 1 ? t + end * s->dense_h : r->t;
        while (o->written < o->time_count && (o->times[o->written] - until) * way <= 0) {
            double at = o->times[o->written], *row = o->out ? o->out + (size_t)o->written * (size_t)n : y;
            if (at == r->t)
                memcpy(row, r->x, bytes);
            else if (ode_dense(s, (at - t) / s->dense_h, row))
                return s->status;
            o->written++;
            if (ode_observe(s, o, at, row))
                return s->status;
        }
        if (end <= 1) {
            ode_dense(s, end, y);
            memcpy(r->x, y, bytes);
            memset(r->carry, 0, bytes);
            r->t = until;
            r->t_carry = 0;
            r->base.fresh = 1;
            return s->status;
        }
        if (o->every > 0 && step++ % o->every == 0 && ode_observe(s, o, r->t, r->x))
            return s->status;
    }
    return s->status;
}
