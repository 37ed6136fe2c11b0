/* adaptive.c - embedded pairs: PI step control, dense output, events.
 * Invariant: slot 0 and the time are always those of the last accepted step. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <string.h>

#include "solver.h"

static double weight(const ode_options *o, int i, double a, double b)
{
    a = fabs(a), b = fabs(b);
    return (o->atols ? o->atols[i] : o->atol) + (o->rtols ? o->rtols[i] : o->rtol) * (a > b ? a : b);
}
static const double *start_of(const ode_solver *s, int row)
{
    return s->last_y + (size_t)row * (size_t)s->field.size;
}
/* out = y + h times a sum over the stages of a row; y NULL: 0. */
static void stages(ode_solver *s, int row, const ode_sum *terms, double h, const double *y, double *out)
{
    ode_real *r = &s->space;
    size_t n = (size_t)s->field.size;
    r->combine.plain(s->field.size, out, y, terms, ode_row(r, 0, row), n * (size_t)r->rows, h);
}
/* Mean square of h sum e_i k_i over the tolerance. With a second estimate, the square of dop853's blend of both. The root is never
 * taken: the next step waits for every operation here. */
static double error_of(ode_solver *s, const ode_options *o, int row, double h)
{
    ode_real *r = &s->space;
    const ode_plan *p = s->plan;
    int n = s->field.size;
    double sum[2];
    r->combine.errors(n, start_of(s, row), ode_row(r, 0, row), &p->sums[p->stages + 1], ode_row(r, 0, row),
                      (size_t)n * (size_t)r->rows, o, sum);
    double c = h * h / n, d = sum[0] + 0.01 * sum[1]; /* Hairer, Norsett, Wanner (1993), II.10 */
    if (!p->ne2)
        return c * sum[0];
    return d == 0 ? 0 : c * sum[0] * (sum[0] / d);
}

/* Hairer, Norsett, Wanner (1993), II.4: a first step from the sizes of y, f and the change of f over a trial step. */
static void first_step(ode_solver *s, const ode_options *o, double way)
{
    ode_real *r = &s->space;
    int n = s->field.size;
    size_t all = (size_t)n * (size_t)r->rows;
    double *f0 = ode_slot(r, 1), *y1 = s->saved + 4 * all, *f1 = s->saved + 5 * all;
    ode_real_field(r, ODE_ALL, r->row_t, r->x, f0);
    for (int b = 0; b < r->rows; b++) {
        const double *y = ode_row(r, 0, b), *f = f0 + (size_t)b * (size_t)n;
        double d0 = 0, d1 = 0;
        for (int i = 0; i < n; i++) {
            double w = weight(o, i, y[i], 0);
            d0 += y[i] / w * (y[i] / w);
            d1 += f[i] / w * (f[i] / w);
        }
        double h = d0 / n < 1e-10 || d1 / n < 1e-10 ? 1e-6 : 0.01 * sqrt(d0 / d1);
        if (o->h_max > 0)
            h = fmin(h, o->h_max);
        for (int i = 0; i < n; i++)
            y1[(size_t)b * (size_t)n + (size_t)i] = y[i] + way * h * f[i];
        s->lane[b].h = h, s->lane[b].last = d1;
        r->row_tc[b] = r->row_t[b] + way * h;
    }
    ode_real_field(r, ODE_ALL, r->row_tc, y1, f1);
    for (int b = 0; b < r->rows; b++) {
        const double *y = ode_row(r, 0, b), *f = f0 + (size_t)b * (size_t)n, *g = f1 + (size_t)b * (size_t)n;
        double d2 = 0, h = s->lane[b].h;
        for (int i = 0; i < n; i++) {
            double w = weight(o, i, y[i], 0);
            d2 += (g[i] - f[i]) / w * ((g[i] - f[i]) / w);
        }
        double d = fmax(sqrt(s->lane[b].last / n), sqrt(d2 / n) / h);
        double h1 = d <= 1e-15 ? fmax(1e-6, h * 1e-3) : pow(0.01 / d, 1.0 / s->method->error_order);
        s->lane[b].h = fmin(100 * h, h1);
    }
}

/* The further stages of dense output of the live rows, only when somebody asks inside this step. */
static void prepare(ode_solver *s)
{
    if (s->dense_ready == 2)
        return;
    const ode_plan *p = s->plan;
    ode_real *r = &s->space;
    for (int e = 0; e < p->row->extras; e++) {
        const ode_sum *terms = &p->sums[p->stages + 3 + e];
        double c = 0;
        for (int j = 0; j < terms->count; j++)
            c += terms->c[j].hi;
        for (int b = 0; b < r->rows; b++) {
            stages(s, b, terms, s->dense_h[b], start_of(s, b), ode_row(r, p->stages + 1, b));
            r->row_tc[b] = s->last_t[b] + c * s->dense_h[b];
        }
        ode_real_field(r, ODE_ALL, r->row_tc, ode_slot(r, p->stages + 1), ode_slot(r, p->stages + 2 + e));
    }
    s->dense_ready = 2;
}
static void dense(ode_solver *s, int row, double theta, double y[])
{
    const ode_plan *p = s->plan;
    int deg = p->row->degree, n = s->field.size;
    memcpy(y, start_of(s, row), sizeof *y * (size_t)n);
    for (int j = 0; j < p->stages + p->row->extras; j++) {
        const double *k = ode_row(&s->space, j < p->stages ? 1 + j : 2 + j, row);
        double b = 0;
        for (int d = deg - 1; d >= 0; d--)
            b = fma(b, theta, p->dense[j * deg + d].hi);
        b *= theta * s->dense_h[row];
        for (int i = 0; i < n; i++)
            y[i] = fma(b, k[i], y[i]);
    }
}
int ode_dense(ode_solver *s, double theta, double y[])
{
    if (s->status || ode_only_one(s, "ode_dense"))
        return s->status;
    if (!s->dense_ready || !s->plan->ndense)
        return ode_fail(s, ODE_EINPUT, "ode_dense: %s has no adaptive step to look into", s->method->name);
    prepare(s);
    dense(s, 0, theta, y);
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
        double g = e->g(e->user, s->last_t[0] + m * s->dense_h[0], y);
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
        double glo = e->g(e->user, s->last_t[0], s->last_y), ghi = e->g(e->user, s->space.t, s->space.x);
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
                e->times[e->count] = s->last_t[0] + theta * s->dense_h[0];
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

/* The first stage of the next step: kept by a rejected row, the last stage of an accepted one where that is the same. */
static void next_first(ode_solver *s)
{
    ode_real *r = &s->space;
    int again = ode_changed(s);
    for (int b = 0; b < r->rows; b++)
        again |= s->lane[b].rejected == 2 || (s->lane[b].accepted && !s->plan->same_last);
    for (int b = 0; b < r->rows && !again; b++)
        if (s->lane[b].accepted && s->lane[b].active)
            memcpy(ode_row(r, 1, b), ode_row(r, s->plan->stages, b), sizeof *r->x * (size_t)s->field.size);
    r->base.fresh = again ? 1 : 3;
}

/* Room for the next step of every active row; 0 when none is active. */
static int next_steps(ode_solver *s, const ode_options *o, double t_end)
{
    ode_real *r = &s->space;
    size_t n = (size_t)s->field.size, all = n * (size_t)r->rows;
    double way = t_end > s->space.t ? 1 : -1;
    int active = 0;
    for (int b = 0; b < r->rows; b++) {
        struct ode_lane *l = &s->lane[b];
        r->live[b] = 0;
        if (!l->active)
            continue;
        double t = r->row_t[b];
        if (o->max_steps && l->tries >= o->max_steps) {
            if (r->rows == 1)
                return ode_fail(s, ODE_ELIMIT, "ode_integrate: max_steps = %lld reached before t = %g",
                                (long long)o->max_steps, t_end),
                       0;
            ode_real_fault(r, b, ODE_ELIMIT, t, "max_steps reached");
            l->active = 0;
            continue;
        }
        if (o->h_max > 0)
            l->h = fmin(l->h, o->h_max);
        l->left = fabs(t_end - t), l->take = l->h;
        if (l->take >= l->left * (1 - 1e-12))
            l->take = l->left;
        else if (l->take > 0.5 * l->left)
            l->take = 0.5 * l->left; /* two even steps rather than one and a splinter */
        if (!(l->take > 4 * DBL_EPSILON * fabs(t)) && l->take < l->left) {
            if (r->rows == 1)
                return ode_fail(
                           s, ODE_ESTUCK,
                           "ode_integrate: the step control cannot advance: step %g, tolerance too small or "
                           "a singularity",
                           l->take),
                       0;
            ode_real_fault(r, b, ODE_ESTUCK, t, "the step control cannot advance");
            l->active = 0;
            continue;
        }
        l->tries++;
        l->t = t;
        r->row_h[b] = way * l->take;
        memcpy(s->last_y + (size_t)b * n, ode_row(r, 0, b), n * sizeof *r->x);
        memcpy(s->saved + 6 * all + (size_t)b * n, r->carry + (size_t)b * n, n * sizeof *r->x);
        r->live[b] = 1;
        active++;
    }
    return active;
}

/* Back to the start of the step, and a shorter one; a row that fails however short the step is faulted for good. */
static void reject(ode_solver *s, int b, double err2, double power)
{
    ode_real *r = &s->space;
    struct ode_lane *l = &s->lane[b];
    size_t n = (size_t)s->field.size, all = n * (size_t)r->rows;
    ode_fault fault = r->fault[b];
    r->fault[b] = (ode_fault){0};
    r->live[b] = 1;
    if (r->rows == 1)
        r->failed = 0;
    memcpy(ode_row(r, 0, b), start_of(s, b), n * sizeof *r->x);
    memcpy(r->carry + (size_t)b * n, s->saved + 6 * all + (size_t)b * n, n * sizeof *r->x);
    r->counts.rejected++;
    l->h = l->take * (isfinite(err2) ? fmax(0.2, 0.9 * pow(err2, -power)) : 0.2);
    l->rejected = fault.status ? 2 : 1;
    l->accepted = 0;
    if (fault.status && l->h < 1e-14 * (fabs(l->t) + l->left) + DBL_MIN) {
        ode_real_fault(r, b, fault.status, fault.t, fault.what);
        l->active = 0;
    }
}
static void approve(ode_solver *s, int b, double err2, double power, double beta, double t_end)
{
    ode_real *r = &s->space;
    struct ode_lane *l = &s->lane[b];
    double p = r->row_h[b] + l->tc, t = l->t + p; /* time is summed as the state is */
    s->last_t[b] = l->t;
    s->dense_h[b] = r->row_h[b];
    if (l->take == l->left)
        r->row_t[b] = t_end, l->tc = 0, l->active = 0;
    else
        r->row_t[b] = t, l->tc = p - (t - l->t);
    if (r->rows == 1)
        r->t = r->row_t[b], r->t_carry = l->tc;
    double factor = err2 > 0 ? 0.9 * pow(err2, -power) * (beta > 0 ? pow(l->last, beta) : 1) : 10,
           most = l->rejected                   ? 1
                  : s->method->error_order >= 8 ? 6
                                                : 10;
    factor = factor < 0.2 ? 0.2 : factor > most ? most : factor;
    l->last = fmax(err2, 1e-8);
    l->rejected = 0;
    l->accepted = 1;
    l->h = l->take * factor;
    r->counts.steps++;
}

/* States at the times that lie in the steps just accepted, up to `until` of a single row. */
static int output(ode_solver *s, ode_options *o, double way, double until, double *y)
{
    ode_real *r = &s->space;
    size_t n = (size_t)s->field.size;
    int wanted = 0;
    for (int b = 0; b < r->rows; b++) {
        struct ode_lane *l = &s->lane[b];
        double end = r->rows == 1 ? until : r->row_t[b];
        r->live[b] = l->accepted && l->written < o->time_count && (o->times[l->written] - end) * way <= 0;
        wanted |= r->live[b] && (o->times[l->written] - r->row_t[b]) * way < 0;
    }
    if (wanted)
        prepare(s);
    for (int b = 0; b < r->rows && !s->status; b++) {
        struct ode_lane *l = &s->lane[b];
        double end = r->rows == 1 ? until : r->row_t[b];
        if (!r->live[b])
            continue;
        for (; l->written < o->time_count && (o->times[l->written] - end) * way <= 0; l->written++) {
            double at = o->times[l->written],
                   *to = o->out ? o->out + ((size_t)l->written * (size_t)r->rows + (size_t)b) * n : y;
            if (at == r->row_t[b])
                memcpy(to, ode_row(r, 0, b), n * sizeof *to);
            else
                dense(s, b, (at - l->t) / s->dense_h[b], to);
            if (r->rows > 1)
                continue;
            if (ode_check(s))
                return s->status;
            o->written++;
            if (ode_observe(s, o, at, to)) {
                l->written++;
                return 1;
            }
        }
    }
    r->live[0] |= r->rows == 1;
    return ode_check(s);
}

/* Rows that failed get NaN at the times they did not reach. */
static void finish(ode_solver *s, ode_options *o, double t_end)
{
    ode_real *r = &s->space;
    size_t n = (size_t)s->field.size;
    for (int b = 0; b < r->rows; b++) {
        for (int k = s->lane[b].written; o->out && k < o->time_count; k++)
            for (size_t i = 0; i < n; i++)
                o->out[((size_t)k * (size_t)r->rows + (size_t)b) * n + i] = NAN;
        r->live[b] = !r->fault[b].status;
    }
    r->base.fresh = 1;
    if (s->status || ode_check(s))
        return;
    o->written = o->time_count;
    r->t = t_end;
    r->t_carry = 0;
}

int ode_adaptive(ode_solver *s, double t_end, ode_options *o)
{
    ode_real *r = &s->space;
    int n = s->field.size, order = s->method->error_order;
    size_t all = (size_t)n * (size_t)r->rows;
    if (r->rows > 1 && (o->event_count || o->every > 0 || o->observer || o->records || o->file))
        return ode_fail(
            s, ODE_EINPUT,
            "ode_integrate: %d rows of their own steps have no common step to observe and no events; ask "
            "for times",
            r->rows);
    for (int b = 0; b < r->rows; b++)
        for (int i = 0; i < n; i++)
            if (!((o->atols ? o->atols[i] : o->atol) >= 0) || !((o->rtols ? o->rtols[i] : o->rtol) >= 0) ||
                !(weight(o, i, ode_row(r, 0, b)[i], 1) > 0))
                return ode_fail(s, ODE_EINPUT, "ode_integrate: tolerance of component %d is not positive", i);
    double way = t_end > r->t ? 1 : -1, beta = order >= 8 ? 0 : 0.02, power = 0.5 / order - 0.75 * beta;
    /* both of the square of the error */
    double *y = s->saved + 4 * all;
    for (int b = 0; b < r->rows; b++) {
        s->lane[b] = (struct ode_lane){.h = fabs(o->h), .tc = r->t_carry};
        r->row_t[b] = r->t;
    }
    ode_changed(s);
    if (o->h == 0)
        first_step(s, o, way);
    for (int k = 0; k < o->event_count; k++)
        o->events[k].count = 0;
    if (ode_check(s))
        return s->status;
    for (int b = 0; b < r->rows; b++)
        s->lane[b].last = 1e-8, s->lane[b].active = !r->fault[b].status;
    r->base.fresh = o->h != 0 ? 1 : 3;
    if (o->every > 0 && ode_observe(s, o, r->t, r->x))
        return s->status;
    int begun = 0;
    for (int64_t step = 1; next_steps(s, o, t_end); begun = 1) {
        if (begun)
            next_first(s);
        ode_real_advance(r, s->plan);
        r->h = r->row_h[0];
        s->dense_ready = 0;
        for (int b = 0; b < r->rows; b++) {
            struct ode_lane *l = &s->lane[b];
            l->accepted = 0;
            if (!l->active)
                continue;
            double err2 = r->fault[b].status ? INFINITY : error_of(s, o, b, l->take);
            if (!(err2 <= 1)) {
                reject(s, b, err2, power);
                continue;
            }
            approve(s, b, err2, power, beta, t_end), s->dense_ready = 1;
            if (o->accepted && ode_steps_put(&o->accepted[b], s->last_t[b], r->row_h[b]))
                return ode_fail(s, ODE_EMEMORY, "ode_integrate: no memory for the accepted steps");
        }
        if (ode_check(s))
            break;
        double end = o->event_count && s->lane[0].accepted ? events(s, o, y) : 2;
        if (s->status)
            return s->status;
        double until = end <= 1 ? s->last_t[0] + end * s->dense_h[0] : r->row_t[0];
        if (s->dense_ready && output(s, o, way, until, y))
            return s->status;
        if (end <= 1) {
            ode_dense(s, end, y);
            memcpy(r->x, y, all * sizeof *y);
            memset(r->carry, 0, all * sizeof *y);
            if (o->accepted)
                o->accepted->h[o->accepted->count - 1] = until - s->last_t[0];
            r->t = r->row_t[0] = until;
            r->t_carry = 0;
            r->base.fresh = 1;
            return s->status;
        }
        if (o->every > 0 && s->lane[0].accepted && step++ % o->every == 0 && ode_observe(s, o, r->t, r->x))
            return s->status;
    }
    if (r->rows > 1)
        finish(s, o, t_end);
    r->live[0] |= r->rows == 1;
    return s->status;
}
