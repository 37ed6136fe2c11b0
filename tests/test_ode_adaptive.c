/* test_ode_adaptive.c - what the options of a run promise: tolerances of each component, events on the dense output of every
 * adaptive row, forward and backward, and runs whose memory does not grow with their length.
 * Invariant: solutions are known in closed form. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "ode.h"

static const char *const adaptive[] = {"bosh3", "dopri5", "tsit5", "dop853"};
enum { ADAPTIVE = sizeof adaptive / sizeof *adaptive };

/* y[k]'' = -w_k^2 y[k], as pairs: a slow one and a fast one. */
static const double rate[2] = {0.5, 20};
static int two_oscillators(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t;
    for (int k = 0; k < 2; k++)
        f[2 * k] = y[2 * k + 1], f[2 * k + 1] = -rate[k] * rate[k] * y[2 * k];
    return 0;
}
static const ode_field oscillators = {.size = 4, .rhs = two_oscillators};
static const double start[] = {1, 0, 1, 0};

Test(ode_adaptive, each_component_has_its_own_tolerance)
{
    for (int k = 0; k < ADAPTIVE; k++) {
        const double tight[] = {1e-9, 1e-9, 1e-9, 1e-9}, loose[] = {1e-9, 1e-9, 1e-3, 1e-3};
        double y[2][4];
        int64_t steps[3];
        for (int how = 0; how < 3; how++) {
            ode_solver *s = ode_new(ode_method_find(adaptive[k]), &oscillators);
            ode_options o = {.rtol = 1e-9, .atol = 1e-9};
            if (how)
                o = (ode_options){.rtols = how == 1 ? tight : loose, .atols = how == 1 ? tight : loose};
            ode_start(s, 0, start);
            cr_expect_eq(ode_integrate(s, 3, &o), ODE_OK, "%s: %s", adaptive[k], ode_message(s));
            steps[how] = ode_counters(s).steps;
            if (how < 2)
                memcpy(y[how], ode_y(s), sizeof y[how]);
            else /* a tolerance is of a step; some hundred of them */
                cr_expect_float_eq(ode_y(s)[0], cos(rate[0] * 3), 1e-6, "%s: %g", adaptive[k],
                                   ode_y(s)[0] - cos(rate[0] * 3));
            ode_free(s);
        }
        cr_expect_eq(memcmp(y[0], y[1], sizeof y[0]), 0, "%s: the same for all is one for all", adaptive[k]);
        cr_expect_lt(steps[2], steps[1] / 2, "%s: %d and %d steps", adaptive[k], (int)steps[2],
                     (int)steps[1]);
    }
    const double zero[] = {1e-9, 0, 1e-9, 1e-9};
    ode_solver *s = ode_new(ode_method_find("dopri5"), &oscillators);
    ode_start(s, 0, start);
    cr_expect_eq(ode_integrate(s, 1, &(ode_options){.atols = zero}), ODE_EINPUT);
    cr_expect(strstr(ode_message(s), "component 1"), "%s", ode_message(s));
    ode_free(s);
}

static double of_slow(void *u, double t, const double y[]) { return (void)u, (void)t, y[0]; }
Test(ode_adaptive, events_of_every_row_are_found_forward_and_backward)
{
    const double pi = acos(-1.0);
    for (int k = 0; k < ADAPTIVE; k++)
        for (int back = 0; back < 2; back++)
            for (int direction = -1; direction <= 1; direction++) {
                double times[8], states[8][4], end = back ? -30 : 30;
                ode_event e = {
                    .g = of_slow, .direction = direction, .times = times, .states = states[0], .max = 8};
                ode_solver *s = ode_new(ode_method_find(adaptive[k]), &oscillators);
                const double loose[] = {1e-9, 1e-9, 1e-2, 1e-2};
                ode_start(s, 0, start);
                cr_expect_eq(
                    ode_integrate(
                        s, end,
                        &(ode_options){.rtols = loose, .atols = loose, .events = &e, .event_count = 1}),
                    ODE_OK, "%s", ode_message(s));
                cr_assert_eq(e.count, direction ? direction < 0 ? 3 : 2 : 5, "%s: %d events", adaptive[k],
                             e.count);
                for (int i = 0, n = 0; i < 5; i++) { /* falls first, as the integration goes */
                    if (direction && (i % 2 ? 1 : -1) != direction)
                        continue;
                    double want = (i + 0.5) * pi / rate[0] * (back ? -1 : 1);
                    cr_expect_float_eq(times[n], want, 1e-5, "%s: %.17g, not %.17g", adaptive[k], times[n],
                                       want);
                    cr_expect_float_eq(states[n][0], 0, 1e-10, "%s: %g", adaptive[k], states[n][0]);
                    cr_expect_float_eq(fabs(states[n][1]), rate[0], 1e-5, "%s", adaptive[k]);
                    n++;
                }
                ode_free(s);
            }
}

/* Observed on the way, into an array and a file. */
enum { ROOM = 40 }; /* a few more steps than asked for are accepted */
static long peak_of(const ode_method *m, const ode_field *f, int64_t steps, int compiled)
{
    const double y[] = {0.3, -0.2};
    double records[ROOM * 3], tolerance = compiled || !(m->flags & ODE_ADAPTIVE) ? 0 : 1e-6;
    FILE *sink = fopen("/dev/null", "wb");
    cr_assert(sink);
    failalloc_arm(0, 0);
    ode_solver *s = ode_new(m, f);
    ode_options o = {.h = 0.05,
                     .rtol = tolerance,
                     .every = steps / 10,
                     .records = records,
                     .record_max = ROOM,
                     .file = sink,
                     .compiled = compiled};
    ode_start(s, 0, y);
    if (tolerance > 0)
        o.h_max = 0.05, ode_integrate(s, 0.05 * (double)steps, &o);
    else
        ode_run(s, steps, 0.05, &o);
    cr_expect_eq(ode_status(s), ODE_OK, "%s: %s", m->name, ode_message(s));
    cr_expect_geq(ode_counters(s).steps, steps, "%s: %lld steps", m->name, (long long)ode_counters(s).steps);
    cr_expect_geq(o.recorded, 10, "%s: %lld observations", m->name, (long long)o.recorded);
    ode_free(s);
    failalloc_disarm();
    long peak = failalloc_peak();
    fclose(sink);
    return peak;
}
Test(ode_adaptive, a_long_run_takes_no_more_memory_than_a_short_one, .timeout = 300)
{
    const char *name[] = {"rk4", "verlet", "gauss4", "gonzalez", "dopri5", "dop853"};
    int fast = getenv("NOETHER_TEST_SHORT") != NULL;
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1);
    ode_recorded *r =
        ode_recorded_new(&(ode_recording){.H = ad_expr(t, "p^2/2 + q^2/2 + q^4/4", q, p), .q = q, .p = p});
    const ode_field *f = ode_recorded_field(r);
    for (size_t k = 0; k <= sizeof name / sizeof *name; k++) {
        int program = k == sizeof name / sizeof *name;
        const ode_method *m = ode_method_find(program ? "verlet" : name[k]);
        int64_t most = program ? fast ? 20000 : 100000000 : fast ? 3000 : 100000;
        peak_of(m, f, 1000, 2 * program); /* what the field makes when it is first asked */
        long few = peak_of(m, f, 1000, 2 * program), many = peak_of(m, f, most, 2 * program);
        /* names of files of the cache may differ by some bytes; a number a step would be 24 kB and more */
        cr_expect_leq(many, few + 4096, "%s, %lld steps: %ld bytes, a thousand %ld", m->name, (long long)most,
                      many, few);
    }
    ode_recorded_free(r);
    ad_free(t);
}
