/* section.c - Poincare sections and rotation numbers.
 * Invariant: a crossing is a state of the method itself, reached by a partial step, never interpolated. */
/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solver.h"

static double g_after(ode_solver *s, double tau, double (*g)(void *, double, const double *), void *user,
                      double *y)
{
    if (ode_partial(s, tau, y))
        return NAN;
    return g(user, s->space.t + tau, y);
}

int ode_section(ode_solver *s, double h, int64_t max_steps, double (*g)(void *, double, const double *),
                void *user, int max, double times[], double states[], int *count)
{
    *count = 0;
    if (s->status || ode_only_one(s, "ode_section"))
        return s->status;
    if (!s->started || !isfinite(h) || h == 0 || !g)
        return ode_fail(s, ODE_EINPUT,
                        "ode_section: h = %g, g %s, needed ode_start before, h other than 0 and g", h,
                        g ? "given" : "NULL");
    int n = s->field.size;
    double *y = malloc(2 * (size_t)n * sizeof *y);
    if (!y)
        return ode_fail(s, ODE_EMEMORY, "ode_section: out of memory");
    double *before = y + n, last = g(user, s->space.t, s->space.x);
    for (int64_t k = 0; k < max_steps && *count < max && !s->status; k++) {
        memcpy(before, s->space.x, sizeof *y * (size_t)n);
        double lo = 0, hi = h, glo = last, ghi;
        if (ode_step(s, h))
            break;
        ghi = last = g(user, s->space.t, s->space.x);
        if (!(glo < 0 && ghi >= 0))
            continue;
        ode_real *r = &s->space; /* back to where the step began, to take parts of it; then on again */
        double *after = s->saved + 5 * (size_t)n, t = r->t, t_carry = r->t_carry;
        double *carry = s->saved + 6 * (size_t)n;
        memcpy(after, r->x, sizeof *y * (size_t)n);
        memcpy(carry, r->carry, sizeof *y * (size_t)n);
        memcpy(r->x, before, sizeof *y * (size_t)n);
        memset(r->carry, 0, sizeof *y * (size_t)n);
        r->t = t - h, r->t_carry = 0;
        double tau = hi, at = ghi;
        memcpy(y, after, sizeof *y * (size_t)n);
        for (int turn = 0, side = 0; turn < 100 && at != 0; turn++) {
            tau = (lo * ghi - hi * glo) / (ghi - glo);
            if (!(fabs(tau) > fabs(lo) && fabs(tau) < fabs(hi)))
                tau = 0.5 * (lo + hi);
            if (fabs(hi - lo) <= 4 * DBL_EPSILON * fabs(h))
                break;
            if (!isfinite(at = g_after(s, tau, g, user, y)))
                break;
            if (at > 0) {
                hi = tau, ghi = at;
                if (side == 1)
                    glo /= 2;
                side = 1;
            } else {
                lo = tau, glo = at;
                if (side == 2)
                    ghi /= 2;
                side = 2;
            }
        }
        if (times)
            times[*count] = r->t + tau;
        if (states)
            memcpy(states + (size_t)*count * (size_t)n, y, sizeof *y * (size_t)n);
        if (!s->status)
            ++*count;
        memcpy(r->x, after, sizeof *y * (size_t)n);
        memcpy(r->carry, carry, sizeof *y * (size_t)n);
        r->t = t, r->t_carry = t_carry;
        r->base.fresh = 1;
    }
    free(y);
    return s->status;
}

/* Weights exp(-1 / (u (1 - u))) instead of a plain mean: on a regular orbit the error falls faster than any power of
 * 1 / n. Das, Saiki, Sander and Yorke (2017), Nonlinearity 30, 4111-4140. */
int ode_rotation(ode_solver *s, double h, int64_t n, int i, double q0, double p0, double *turns)
{
    *turns = NAN;
    if (s->status || ode_only_one(s, "ode_rotation"))
        return s->status;
    int m = s->field.size / 2;
    if (!s->started || i < 0 || i >= m || n < 2)
        return ode_fail(s, ODE_EINPUT, "ode_rotation: degree of freedom %d of %d, %lld steps", i, m,
                        (long long)n);
    double sum = 0, weights = 0, pi = acos(-1.0), last = atan2(s->space.x[m + i] - p0, s->space.x[i] - q0);
    for (int64_t k = 0; k < n; k++) {
        if (ode_step(s, h))
            return s->status;
        double now = atan2(s->space.x[m + i] - p0, s->space.x[i] - q0), d = now - last,
               u = ((double)k + 0.5) / (double)n;
        d -= 2 * pi * rint(d / (2 * pi));
        double w = exp(-1 / (u * (1 - u)));
        sum += w * d, weights += w;
        last = now;
    }
    *turns = sum / weights / (2 * pi);
    return ODE_OK;
}
