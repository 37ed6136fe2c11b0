/* solver.c - a method on a field: start, step, run, observe.
 * Invariant: after an error the state is the last good one, and everything written before it stays valid. */
/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorded.h"
#include "solver.h"

/* What ode_new returns when there is no memory at all: constant, so that a caller never meets NULL. */
static const ode_solver no_memory = {.status = ODE_EMEMORY, .message = "ode_new: out of memory"};

int ode_fail(ode_solver *s, int status, const char *format, ...)
{
    if (s->status)
        return s->status;
    s->status = status;
    va_list list;
    va_start(list, format);
    int n = vsnprintf(s->message, sizeof s->message, format, list);
    va_end(list);
    if (!s->started || n < 0 || n >= (int)sizeof s->message)
        return status;
    size_t k = (size_t)n;
    k += (size_t)snprintf(s->message + k, sizeof s->message - k, " (at t = %.17g, y =", s->space.t);
    for (int i = 0; i < s->field.size && i < 6 && k < sizeof s->message; i++)
        k += (size_t)snprintf(s->message + k, sizeof s->message - k, " %.9g", s->space.x[i]);
    if (k < sizeof s->message)
        snprintf(s->message + k, sizeof s->message - k, s->field.size > 6 ? " ...)" : ")");
    return status;
}
/* A single row's failure becomes the solver's; the row itself may go on. */
void ode_forgive(ode_real *r)
{
    r->failed = 0;
    if (r->rows == 1)
        r->fault[0] = (ode_fault){0}, r->live[0] = 1;
}
/* Rows that failed stand still; the solver goes on as long as one row does. */
static int survivors(ode_solver *s)
{
    const ode_real *r = &s->space;
    for (int b = 0; b < r->rows; b++)
        if (!r->fault[b].status)
            return ODE_OK;
    return ode_fail(s, r->fault[0].status, "%s: all %d rows failed, the first: %s at t = %.17g",
                    s->method->name, r->rows, r->fault[0].what, r->fault[0].t);
}
int ode_check(ode_solver *s)
{
    ode_real *r = &s->space;
    if (!r->failed)
        return r->rows > 1 ? survivors(s) : s->status;
    int status = r->failed;
    ode_forgive(r);
    r->base.fresh = 1;
    return ode_fail(s, status, "%s: %s at t = %.17g", s->method->name, r->failed_what, r->failed_t);
}

ode_solver *ode_new(const ode_method *m, const ode_field *f) { return ode_new_batch(m, f, 1); }
ode_solver *ode_new_batch(const ode_method *m, const ode_field *f, int rows)
{
    ode_solver *s = calloc(1, sizeof *s);
    if (!s)
        return (ode_solver *)(uintptr_t)&no_memory;
    if (!m || !f) {
        ode_fail(s, ODE_EINPUT, "ode_new: %s is NULL%s", m ? "field" : "method", m ? "" : " (no such name?)");
        return s;
    }
    s->method = m;
    s->field = *f;
    const char *why = ode_method_refuses(m, f);
    if (why)
        return ode_fail(s, m->driver ? ODE_EFIELD : ODE_EMETHOD, "ode_new: %s: %s", m->name, why), s;
    if (rows < 1 ||
        (size_t)rows > SIZE_MAX / 64 / (size_t)f->size / (size_t)(ODE_SAVED + m->stages + m->extras))
        return ode_fail(s, ODE_EINPUT, "ode_new_batch: %d rows of %d, needed at least 1 and less than memory",
                        rows, f->size),
               s;
    if (!(s->plan = ode_plan_new(m, &why)))
        return ode_fail(s, ODE_EMETHOD, "ode_new: %s: %s", m->name, why), s;
    size_t n = (size_t)f->size * (size_t)rows;
    if (ode_real_new(&s->space, s->plan, &s->field, rows) ||
        !(s->saved = calloc(ODE_SAVED * n + 2 * (size_t)rows, sizeof(double))) ||
        !(s->lane = calloc((size_t)rows, sizeof *s->lane))) {
        ode_fail(s, ODE_EMEMORY, "ode_new: out of memory");
        return s;
    }
    s->last_y = s->saved + n;
    s->last_t = s->saved + ODE_SAVED * n;
    s->dense_h = s->last_t + rows;
    return s;
}
void ode_free(ode_solver *s)
{
    if (!s || s == &no_memory)
        return;
    ode_plan_free(s->plan);
    ode_real_free(&s->space);
    free(s->saved);
    free(s->lane);
    ode_compiled_free(s->compiled);
    free(s);
}
int ode_status(const ode_solver *s) { return s->status; }
const char *ode_message(const ode_solver *s) { return s->message; }
void ode_clear(ode_solver *s)
{
    if (s == &no_memory || !s->lane)
        return; /* a solver that was never built has nothing to go on with */
    s->status = 0;
    s->message[0] = 0;
    ode_forgive(&s->space);
}
double ode_t(const ode_solver *s) { return s->space.t; }
const double *ode_y(const ode_solver *s) { return s->space.x; }
ode_counts ode_counters(const ode_solver *s) { return s->space.counts; }

int ode_start(ode_solver *s, double t, const double y[])
{
    if (s->status)
        return s->status;
    ode_real *r = &s->space;
    int n = s->field.size * r->rows;
    if (!y || !isfinite(t))
        return ode_fail(s, ODE_EINPUT, "ode_start: %s", y ? "t is not finite" : "y is NULL");
    for (int i = 0; i < n; i++)
        if (!isfinite(y[i]))
            return ode_fail(s, ODE_EINPUT, "ode_start: y[%d] = %g is not finite", i, y[i]);
    memcpy(r->x, y, sizeof *y * (size_t)n);
    memset(r->carry, 0, sizeof *y * (size_t)n);
    memset(&r->counts, 0, sizeof r->counts);
    memset(r->fault, 0, sizeof *r->fault * (size_t)r->rows);
    memset(r->live, 1, (size_t)r->rows);
    r->t = t;
    r->t_carry = r->h = 0;
    r->base.fresh = 1;
    s->dense_ready = 0;
    s->started = 1;
    return ODE_OK;
}

int ode_coupling(ode_solver *s, double omega)
{
    if (s->status)
        return s->status;
    if (!(omega > 0) || !isfinite(omega))
        return ode_fail(s, ODE_EINPUT, "ode_coupling: omega = %g, needed > 0", omega);
    s->space.base.omega = omega;
    s->space.base.fresh = 1;
    return ODE_OK;
}
int ode_step(ode_solver *s, double h)
{
    if (s->status)
        return s->status;
    if (!s->started)
        return ode_fail(s, ODE_EINPUT, "ode_step: call ode_start first");
    if (!isfinite(h) || h == 0)
        return ode_fail(s, ODE_EINPUT, "ode_step: h = %g, needed a finite step other than 0", h);
    ode_real *r = &s->space;
    if ((s->method->needs & ODE_OMEGA) && r->base.omega == 0)
        return ode_fail(s, ODE_EINPUT,
                        "ode_step: %s needs ode_coupling(solver, omega); there is no safe default",
                        s->method->name);
    size_t n = (size_t)s->field.size, bytes = sizeof(double) * n * (size_t)r->rows;
    double t = r->t, t_carry = r->t_carry;
    memcpy(s->saved, r->x, bytes);
    s->dense_ready = 0;
    ode_changed(s);
    ode_real_step(r, s->plan, h);
    for (int b = 0; b < r->rows; b++) {
        double *y = ode_row(r, 0, b), bad = 0;
        for (size_t i = 0; i < n; i++)
            bad += y[i] * 0.0;
        if (bad != 0)
            ode_real_fault(r, b, ODE_EVALUE, t, "the state became NaN or infinite");
        if (r->fault[b].status) { /* back to its last good state */
            memcpy(y, s->saved + (size_t)b * n, n * sizeof *y);
            memset(r->carry + (size_t)b * n, 0, n * sizeof *y);
        } else
            r->counts.steps++;
    }
    if (r->failed) {
        memcpy(r->x, s->saved, bytes);
        memset(r->carry, 0, bytes);
        r->t = t;
        r->t_carry = t_carry;
    }
    return ode_check(s);
}

/* One observation: t, then the states, to the array or the file; then the observer. Nonzero: stop. */
static int observe(ode_solver *s, ode_options *o, double t, const double *y)
{
    size_t n = (size_t)s->field.size * (size_t)s->space.rows;
    if (o->records) {
        if (o->recorded == o->record_max)
            return ode_fail(s, ODE_ELIMIT, "records: there is room for %lld", (long long)o->record_max);
        double *to = o->records + (size_t)o->recorded++ * (n + 1);
        to[0] = t;
        memcpy(to + 1, y, n * sizeof *y);
    }
    if (o->file && (fwrite(&t, sizeof t, 1, o->file) != 1 || fwrite(y, sizeof *y, n, o->file) != n))
        return ode_fail(s, ODE_EUSER, "the file of the observations: %s", strerror(errno));
    int stop = o->observer ? o->observer(o->user, t, y) : 0;
    if (stop < 0)
        ode_fail(s, ODE_EUSER, "the observer asked to stop: %d", stop);
    return stop;
}
int ode_observe(ode_solver *s, ode_options *o, double t, const double *y)
{
    if (s->space.rows == 1)
        return observe(s, o, t, y);
    size_t n = (size_t)s->field.size * (size_t)s->space.rows;
    double *seen = s->saved + 5 * n;
    memcpy(seen, y, n * sizeof *y);
    ode_blank(s, seen);
    return observe(s, o, t, seen);
}
/* Rows that have failed have no state: NaN in what is written. */
void ode_blank(const ode_solver *s, double *y)
{
    for (int b = 0; b < s->space.rows; b++)
        for (int i = 0; s->space.fault[b].status && i < s->field.size; i++)
            y[b * s->field.size + i] = NAN;
}
static void apply(ode_solver *s, const ode_options *o)
{
    s->space.compensate = !o->plain_sums;
    s->space.schedule = o->schedule;
    s->space.solve_tol = o->solve_tol;
}
static int unsolved(ode_solver *s, const ode_options *o, int64_t before)
{
    if (!o->stop_unconverged || s->space.counts.unconverged == before)
        return 0;
    return ode_fail(s, ODE_ESOLVE, "%s: the implicit equations did not converge; use a smaller step",
                    s->method->name);
}

int ode_run(ode_solver *s, int64_t n, double h, ode_options *opt)
{
    ode_options none = {0}, *o = opt ? opt : &none;
    if (s->status)
        return s->status;
    if (!s->started)
        return ode_fail(s, ODE_EINPUT, "ode_run: call ode_start first");
    if (n < 0)
        return ode_fail(s, ODE_EINPUT, "ode_run: %lld steps", (long long)n);
    apply(s, o);
    o->written = o->recorded = 0;
    int64_t bad = s->space.counts.unconverged;
    if (ode_compiled_begin(s, o->compiled, n))
        return s->status;
    if (o->every > 0 && ode_observe(s, o, s->space.t, s->space.x))
        return s->status;
    for (int64_t k = 0; k < n;) {
        int64_t ahead = o->every > 0 && o->every - k % o->every < n - k ? o->every - k % o->every : n - k;
        int64_t done = ode_compiled_steps(s, ahead, n - k, h);
        if (!done && (done = 1, ode_step(s, h) || unsolved(s, o, bad)))
            return s->status;
        k += done;
        if (o->every > 0 && k % o->every == 0 && ode_observe(s, o, s->space.t, s->space.x))
            return s->status;
    }
    return s->status;
}

/* A fixed step: whole steps on the grid t0 + k h, and where a time asked for (or the end) lies inside one, a partial
 * step of the same method from the grid point - taken aside, so that asking for output never changes the solution. */
int ode_partial(ode_solver *s, double h, double *y)
{
    ode_real *r = &s->space;
    size_t n = (size_t)s->field.size * (size_t)r->rows, bytes = sizeof(double) * n;
    double *keep = s->saved + 2 * n, t = r->t, t_carry = r->t_carry;
    int64_t steps = r->counts.steps;
    memcpy(keep, r->x, bytes);
    memcpy(keep + n, r->carry, bytes);
    r->base.fresh = 1;
    int status = ode_step(s, h);
    if (!status)
        memcpy(y, r->x, bytes), r->counts.steps = steps;
    memcpy(r->x, keep, bytes);
    memcpy(r->carry, keep + n, bytes);
    r->t = t;
    r->t_carry = t_carry;
    r->base.fresh = 1;
    return status;
}
static int fixed(ode_solver *s, double t_end, ode_options *o)
{
    double t0 = s->space.t, h = copysign(o->h, t_end - t0), span = t_end - t0, eps = 1e-12 * fabs(h);
    int64_t k = 0, bad = s->space.counts.unconverged;
    size_t n = (size_t)s->field.size * (size_t)s->space.rows;
    if (!(fabs(o->h) > 0) || !isfinite(o->h))
        return ode_fail(s, ODE_EINPUT, "ode_integrate: h = %g, needed a step", o->h);
    if (t0 + h == t0)
        return ode_fail(s, ODE_ESTUCK, "ode_integrate: h = %g is below the resolution of t", h);
    if (fabs(span / h) > 9e18)
        return ode_fail(s, ODE_EINPUT, "ode_integrate: %g steps", fabs(span / h));
    int64_t whole = (int64_t)floor(span / h + 1e-9);
    if (ode_compiled_begin(s, o->compiled, whole))
        return s->status;
    if (o->every > 0 && ode_observe(s, o, t0, s->space.x))
        return s->status;
    for (;;) {
        while (o->written < o->time_count) { /* times before the next grid point */
            double ahead = (o->times[o->written] - (t0 + (double)k * h)) * (h > 0 ? 1 : -1);
            if (ahead >= fabs(h) - eps || (k == whole && ahead > fabs(span - (double)whole * h) + eps))
                break;
            double *row = o->out ? o->out + (size_t)o->written * n : s->saved + 4 * n;
            if (ahead > eps ? ode_partial(s, copysign(ahead, h), row)
                            : (memcpy(row, s->space.x, n * sizeof *row), 0))
                return s->status;
            double t = o->times[o->written++];
            ode_blank(s, row);
            if (ode_observe(s, o, t, row))
                return s->status;
        }
        if (k == whole)
            break;
        if (o->max_steps && k >= o->max_steps)
            return ode_fail(s, ODE_ELIMIT, "ode_integrate: max_steps = %lld reached",
                            (long long)o->max_steps);
        int64_t ahead = whole - k;
        if (o->every > 0 && o->every - k % o->every < ahead)
            ahead = o->every - k % o->every;
        if (o->max_steps && o->max_steps - k < ahead)
            ahead = o->max_steps - k;
        if (o->written < o->time_count) {
            double to = floor((o->times[o->written] - (t0 + (double)k * h)) / h + 1e-9);
            ahead = to < 1 ? 1 : to < (double)ahead ? (int64_t)to : ahead;
        }
        int64_t done = ode_compiled_steps(s, ahead, whole - k, h);
        if (!done && (done = 1, ode_step(s, h) || unsolved(s, o, bad)))
            return s->status;
        k += done;
        if (o->every > 0 && k % o->every == 0 && ode_observe(s, o, s->space.t, s->space.x))
            return s->status;
    }
    double rest = span - (double)whole * h;
    if (fabs(rest) > eps) {
        s->space.base.fresh = 1;
        if (ode_step(s, rest) || unsolved(s, o, bad))
            return s->status;
    }
    s->space.t = t_end;
    s->space.t_carry = 0;
    return s->status;
}

int ode_integrate(ode_solver *s, double t_end, ode_options *opt)
{
    ode_options none = {0}, *o = opt ? opt : &none;
    if (s->status)
        return s->status;
    if (!s->started)
        return ode_fail(s, ODE_EINPUT, "ode_integrate: call ode_start first");
    if (!isfinite(t_end))
        return ode_fail(s, ODE_EINPUT, "ode_integrate: t_end = %g", t_end);
    if (o->time_count && !o->times)
        return ode_fail(s, ODE_EINPUT, "ode_integrate: time_count without times");
    double way = t_end >= s->space.t ? 1 : -1;
    for (int k = 0; k < o->time_count; k++)
        if (!((o->times[k] - (k ? o->times[k - 1] : s->space.t)) * way >= 0) ||
            (o->times[k] - t_end) * way > 0)
            return ode_fail(s, ODE_EINPUT,
                            "ode_integrate: times[%d] = %g is out of order or outside [%g, %g]", k,
                            o->times[k], s->space.t, t_end);
    apply(s, o);
    o->written = o->recorded = 0;
    int adaptive = o->rtol != 0 || o->atol != 0 || o->rtols || o->atols;
    if (adaptive && !(s->method->flags & ODE_ADAPTIVE))
        return ode_fail(s, ODE_EINPUT,
                        "ode_integrate: %s has no error estimate; give h, or use dopri5, tsit5 or dop853",
                        s->method->name);
    size_t n = (size_t)s->field.size * (size_t)s->space.rows;
    if (t_end == s->space.t) {
        for (; o->written < o->time_count; o->written++)
            if (o->out)
                memcpy(o->out + (size_t)o->written * n, s->space.x, n * sizeof *o->out);
        return ODE_OK;
    }
    if (o->event_count && !adaptive)
        return ode_fail(
            s, ODE_EINPUT,
            "ode_integrate: events need dense output; give a tolerance to dopri5, tsit5 or dop853");
    if (!adaptive && o->h == 0 && (s->method->flags & ODE_ADAPTIVE))
        return ode_fail(s, ODE_EINPUT, "ode_integrate: tolerance 0 and step 0; give rtol and atol, or h");
    if (!adaptive && o->accepted)
        return ode_fail(
            s, ODE_EINPUT,
            "ode_integrate: accepted steps are listed with tolerances; steps of a fixed h are known");
    if (adaptive && o->compiled && s->field.rows != ode_recorded_give)
        return ode_fail(s, ODE_EINPUT,
                        "compiled steps: the field is not a recorded one (ode_recorded_field)");
    if (adaptive && o->compiled > 1)
        ode_recorded_native(s->field.user);
    return adaptive ? ode_adaptive(s, t_end, o) : fixed(s, t_end, o);
}
int ode_only_one(ode_solver *s, const char *who)
{
    if (s->space.rows > 1)
        return ode_fail(s, ODE_EINPUT, "%s: %d rows, needed a solver of one", who, s->space.rows);
    return s->status;
}
int ode_energies(ode_solver *s, double H[])
{
    ode_real *r = &s->space;
    if (s->status)
        return s->status;
    if (!s->field.energy || !s->started)
        return ode_fail(s, ODE_EFIELD, "ode_energies: %s",
                        s->started ? "the field has no energy" : "call ode_start first");
    for (int b = 0; b < r->rows; b++) {
        double y = NAN;
        int bad = r->fault[b].status || ode_row_give(r, b, ODE_OF_ENERGY, r->t, ode_row(r, 0, b), &y);
        H[b] = bad ? NAN : y;
    }
    return ODE_OK;
}
double ode_energy(ode_solver *s)
{
    double H = NAN;
    if (s->status)
        return NAN;
    if (ode_only_one(s, "ode_energy"))
        return NAN;
    return ode_energies(s, &H) ? NAN : H;
}
int ode_row_status(const ode_solver *s, int row, double *t, const char **what)
{
    if (s == &no_memory || !s->lane || row < 0 || row >= s->space.rows)
        return ODE_EINPUT;
    const ode_fault *f = &s->space.fault[row];
    if (t)
        *t = f->status ? f->t : s->space.t;
    if (what)
        *what = f->status ? f->what : "";
    return f->status;
}
