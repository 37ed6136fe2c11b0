/* test_ode_diagnose.c - diagnostics against closed forms, and methods that need what the caller has not given.
 * Invariant: what is measured is the discrete map, so closed forms are those of the map. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ode.h"

/* A hill whose two slopes lie askew: q'' = S q, S with the eigenvalues a_i^2; at rest on top. */
static const double a[2] = {1, 0.4};
static double S(int i, int j)
{
    double x = (a[0] * a[0] + a[1] * a[1]) / 2, y = (a[0] * a[0] - a[1] * a[1]) / 2;
    return i == j ? x + (i ? -y : y) * cos(1.0) : y * sin(1.0);
}
static int hills_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
static int hills_q(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    for (int i = 0; i < 2; i++)
        g[i] = -S(i, 0) * y[0] - S(i, 1) * y[1];
    return 0;
}
static int hills_J(void *u, double t, const double y[], double J[])
{
    (void)u, (void)t, (void)y;
    memset(J, 0, 16 * sizeof *J);
    J[2] = J[7] = 1, J[8] = S(0, 0), J[9] = J[12] = S(0, 1), J[13] = S(1, 1);
    return 0;
}
static const ode_field hills = {.size = 4,
                                .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                                .dHdp = hills_p,
                                .dHdq = hills_q,
                                .jacobian = hills_J};

Test(ode_diagnose, lyapunov_spectrum_of_a_hill_is_that_of_the_map)
{
    const double top[4] = {0}, h = 0.1;
    double l[4];
    ode_solver *s = ode_new(ode_method_find("verlet"), &hills);
    ode_start(s, 0, top);
    cr_expect_eq(ode_lyapunov(s, h, 10000, 5, l), ODE_OK, "%s", ode_message(s));
    /* a verlet step has the trace 2 + (h a)^2 in each of its planes: e^(+-h lambda) */
    for (int i = 0; i < 4; i++) {
        double lambda = acosh(1 + h * h * a[i % 3 != 0] * a[i % 3 != 0] / 2) / h,
               want = i < 2 ? lambda : -lambda;
        /* the directions turn first: a factor of at most e^2 in 1000 time units */
        cr_expect_float_eq(l[i], want, 2e-3, "exponent %d: %.6f, not %.6f", i, l[i], want);
    }
    ode_free(s);
}

Test(ode_diagnose, the_extended_phase_space_has_no_default_coupling)
{
    const char *name[] = {"tao2", "tao4"};
    const double y[] = {0.1, 0.2, 0, 0};
    for (int k = 0; k < 2; k++) {
        ode_solver *s = ode_new(ode_method_find(name[k]), &hills);
        ode_start(s, 0, y);
        cr_expect_eq(ode_run(s, 3, 0.1, NULL), ODE_EINPUT, "%s", name[k]);
        cr_expect(strstr(ode_message(s), "ode_coupling") && strstr(ode_message(s), "no safe default"), "%s",
                  ode_message(s));
        cr_expect_eq(memcmp(ode_y(s), y, sizeof y), 0);
        ode_clear(s);
        const double bad[] = {0, -1, NAN, INFINITY};
        for (int i = 0; i < 4; i++) {
            cr_expect_eq(ode_coupling(s, bad[i]), ODE_EINPUT, "omega = %g", bad[i]);
            ode_clear(s);
        }
        cr_expect_eq(ode_coupling(s, 5), ODE_OK);
        cr_expect_eq(ode_run(s, 3, 0.1, NULL), ODE_OK, "%s", ode_message(s));
        ode_free(s);
    }
}

/* Every row that runs here: the section is where g is 0 to round-off, by its own steps; the time is that of its own map. */
static double of_q(void *u, double t, const double y[]) { return (void)u, (void)t, y[0]; }
static int turn_p(void *u, double t, const double y[], double g[])
{
    return (void)u, (void)t, g[0] = y[1], 0;
}
static int turn_q(void *u, double t, const double y[], double g[])
{
    return (void)u, (void)t, g[0] = y[0], 0;
}
static int turn_H(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    *H = (y[0] * y[0] + y[1] * y[1]) / 2;
    return 0;
}
Test(ode_diagnose, sections_of_every_row_are_located_to_1e_12)
{
    const ode_field f = {.size = 2,
                         .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                         .dHdp = turn_p,
                         .dHdq = turn_q,
                         .energy = turn_H};
    const double y0[] = {1, 0.3};
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        double times[5], states[5][2];
        int count;
        ode_solver *s = ode_new(m, &f);
        ode_start(s, 0, y0);
        if (m->needs & ODE_OMEGA)
            ode_coupling(s, 4);
        cr_expect_eq(ode_section(s, 0.05, 1000, of_q, NULL, 5, times, states[0], &count), ODE_OK, "%s: %s",
                     m->name, ode_message(s));
        cr_assert_eq(count, 5, "%s: %d", m->name, count);
        for (int k = 0; k < 5; k++) {
            cr_expect_float_eq(states[k][0], 0, 1e-12, "%s: %g", m->name, states[k][0]);
            cr_expect_gt(states[k][1], 0);
        }
        if (m->order >= 8) /* the exact crossings: the phase of (1, 0.3) until q rises through 0 */
            for (int k = 0; k < 5; k++) {
                double want = acos(-1.0) * (1.5 + 2 * k) + atan2(0.3, 1);
                cr_expect_float_eq(times[k], want, 1e-12 * want, "%s: %.17g, not %.17g", m->name, times[k],
                                   want);
            }
        ode_free(s);
    }
}

/* A solve that stops above round-off is counted, or ends the run where it is asked to. */
Test(ode_diagnose, an_unconverged_solve_is_counted_and_an_error_where_asked)
{
    const double y[] = {0.1, 0.2, 0, 0};
    const char *name[] = {"gauss4", "avf4", "stormer-verlet", "semi-explicit2"};
    for (int k = 0; k < 4; k++)
        for (int stop = 0; stop < 2; stop++) {
            ode_solver *s = ode_new(ode_method_find(name[k]), &hills);
            ode_start(s, 0, y);
            int status = ode_run(s, 5, 0.3, &(ode_options){.schedule = 1, .stop_unconverged = stop});
            cr_expect_eq(status, stop ? ODE_ESOLVE : ODE_OK, "%s: %s", name[k], ode_message(s));
            cr_expect(stop ? ode_counters(s).unconverged > 0 : ode_counters(s).unconverged >= 5,
                      "%s: %d counted", name[k], (int)ode_counters(s).unconverged);
            cr_expect(!stop ||
                          (strstr(ode_message(s), "did not converge") && strstr(ode_message(s), "at t = ")),
                      "%s", ode_message(s));
            cr_expect(isfinite(ode_y(s)[0]) && ode_t(s) <= (stop ? 0.31 : 1.51), "%s", name[k]);
            ode_free(s);
        }
}

/* The stages of a step are guessed from those of the last one: fewer sweeps than from the state alone. */
Test(ode_diagnose, the_iteration_starts_from_the_last_step)
{
    const char *name[] = {"gauss2", "gauss4", "gauss6", "gauss8", "gauss10", "gauss12"};
    const ode_field f = {
        .size = 2, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, .dHdp = turn_p, .dHdq = turn_q};
    enum { STEPS = 50 };
    for (int k = 0; k < 6; k++) {
        double y[2] = {1, 0.3};
        int64_t sweeps[2] = {0};
        ode_solver *s = ode_new(ode_method_find(name[k]), &f);
        ode_start(s, 0, y);
        ode_run(s, STEPS, 0.1, NULL);
        sweeps[0] = ode_counters(s).iterations;
        ode_free(s);
        for (int i = 0; i < STEPS; i++) { /* each step the first one */
            s = ode_new(ode_method_find(name[k]), &f);
            ode_start(s, 0.1 * i, y);
            ode_run(s, 1, 0.1, NULL);
            sweeps[1] += ode_counters(s).iterations;
            memcpy(y, ode_y(s), sizeof y);
            ode_free(s);
        }
        cr_expect_lt(sweeps[0], sweeps[1], "%s: %d sweeps, from the state alone %d", name[k], (int)sweeps[0],
                     (int)sweeps[1]);
    }
}

/* H = p^2/2 + q^d/d. */
static int power_of(const void *u) { return *(const int *)u; }
static int power_q(void *u, double t, const double y[], double g[])
{
    (void)t;
    g[0] = pow(y[0], power_of(u) - 1);
    return 0;
}
static int power_H(void *u, double t, const double y[], double *H)
{
    (void)t;
    *H = y[1] * y[1] / 2 + pow(y[0], power_of(u)) / power_of(u);
    return 0;
}
/* Every row that claims it; avfK has the quadrature for a polynomial H of degree K, and shows it above. */
Test(ode_diagnose, energy_is_exact_as_far_as_the_row_claims)
{
    const int degree[] = {2, 4, 6, 8, 12, 16};
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i), *base = m->base ? m->base : m;
        int most = !strncmp(base->name, "avf", 3) ? atoi(base->name + 3) : 1000;
        if (!(m->flags & ODE_EXACT_ENERGY))
            continue;
        if (!strcmp(base->name,
                    "itoh-abe")) /* moves under 1e-2 by Gauss' three points: the 7th derivative counts */
            most = 12;
        for (int k = 0; k < 6; k++) {
            int d = degree[k];
            const ode_field f = {.size = 2,
                                 .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                                 .dHdp = turn_p,
                                 .dHdq = power_q,
                                 .energy = power_H,
                                 .user = &d};
            const double y[] = {0.9, 0.4};
            double H0, worst = 0;
            ode_solver *s = ode_new(m, &f);
            ode_start(s, 0, y);
            H0 = ode_energy(s);
            for (int n = 0; n < 1000 && !ode_step(s, 0.1); n++)
                worst = fmax(worst, fabs(ode_energy(s) - H0) / H0);
            cr_expect_eq(ode_status(s), ODE_OK, "%s: %s", m->name, ode_message(s));
            cr_expect_eq(ode_counters(s).unconverged, 0, "%s, degree %d", m->name, d);
            if (d <= most)
                cr_expect_leq(worst, 1e-12, "%s, degree %d: %g", m->name, d, worst);
            else if (m == base && most <= 6) /* a higher quadrature errs below round-off here */
                cr_expect_gt(worst, 1e-12, "%s, degree %d: %g", m->name, d, worst);
            ode_free(s);
        }
    }
}

/* A row is complete, and an explicit step evaluates the field, or the force, as often as it says. */
static int forces;
static int counted_q(void *u, double t, const double y[], double g[]) { return forces++, turn_q(u, t, y, g); }
static int counted_f(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t;
    forces++;
    f[0] = y[1], f[1] = -y[0];
    return 0;
}
Test(ode_diagnose, rows_are_complete_and_cost_what_they_say)
{
    enum { STEPS = 20 };
    const ode_driver *rk = ode_method_find("rk4")->driver, *split = ode_method_find("verlet")->driver;
    const ode_field parts = {.size = 2,
                             .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                             .dHdp = turn_p,
                             .dHdq = counted_q},
                    whole = {.size = 2, .rhs = counted_f};
    const double y[] = {1, 0.3};
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        cr_expect(m->name && m->driver && m->source && strlen(m->source) > 5, "row %d", i);
        cr_expect_eq(ode_method_find(m->name), m, "%s is there twice", m->name);
        cr_expect(m->order >= m->order_general && m->order_general >= 1 && m->stages >= 1, "%s", m->name);
        if (m->driver != rk && m->driver != split)
            continue;
        ode_solver *s = ode_new(m, m->driver == rk ? &whole : &parts);
        ode_start(s, 0, y);
        ode_run(s, 1, 0.1, NULL); /* what is kept for the next step is there now */
        forces = 0;
        ode_run(s, STEPS, 0.1, NULL);
        int each = m->stages -
                   (m->driver == rk && (m->flags & ODE_ADAPTIVE)); /* the last is the first of the next */
        cr_expect_eq(forces, STEPS * each, "%s: %d evaluations in %d steps, %d stages", m->name, forces,
                     STEPS, m->stages);
        ode_free(s);
    }
}
