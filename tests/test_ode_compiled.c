/* test_ode_compiled.c - steps as programs: what a run gives does not depend on whether, when and how they are compiled.
 * Invariant: the reference makes every step in the ordinary way (compiled = -1). */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ode.h"
#include "ode_driver.h"
#include "ode_field.h"

enum { SIZE = 4, ROWS = 3, STEPS = 1203 };
static const char separable[] =
    "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3) + 0.1*q[1]*sin(3*t)";

/* The steps have programs with the bits of ordinary ones: all explicit rows but those of the extended phase space. */
static int explicit_row(const ode_method *m)
{
    const ode_driver *d = m->driver == &ode_compose_driver ? m->base->driver : m->driver;
    return d == &ode_rk_driver || d == &ode_split_driver;
}

typedef struct {
    int compiled, part, plain; /* part: steps of one run, 0: all */
} manner;
static ode_solver *run(const ode_method *m, ode_recorded *r, int rows, const double *y, manner w)
{
    ode_solver *s = ode_new_batch(m, ode_recorded_field(r), rows);
    ode_start(s, 0.3, y);
    for (int k = 0; k < STEPS;) {
        int n = w.part && w.part < STEPS - k ? w.part : STEPS - k;
        ode_run(s, n, 0.02, &(ode_options){.compiled = w.compiled, .plain_sums = w.plain});
        k += n;
    }
    cr_assert_eq(ode_status(s), ODE_OK, "%s: %s", m->name, ode_message(s));
    return s;
}
Test(ode_compiled, explicit_steps_have_the_same_bits_however_they_are_run, .timeout = 300)
{
    static const manner ways[] = {{0, 0, 0}, {1, 0, 0}, {0, 7, 0}, {1, 37, 0},
                                  {2, 0, 0}, {0, 0, 1}, {1, 61, 1}};
    double y[ROWS][SIZE], c[ROWS];
    int rows = 0;
    for (int b = 0; b < ROWS; b++) {
        c[b] = 0.5 + 0.1 * b;
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.2 * sin(2 + b + 5 * i);
    }
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        if (!explicit_row(m) || (getenv("NOETHER_TEST_SHORT") && i % 9))
            continue;
        rows++;
        for (int batch = 0; batch < 2; batch++) {
            int count = batch ? ROWS : 1;
            ode_recorded *r = field_of(separable, batch ? AD_BATCH : 1);
            ode_recorded_set(r, 0, count, c);
            ode_solver *want[2] = {run(m, r, count, y[0], (manner){-1, 0, 0}),
                                   run(m, r, count, y[0], (manner){-1, 0, 1})};
            for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
                if (ways[k].compiled == 2 && i % 8)
                    continue;
                ode_solver *s = run(m, r, count, y[0], ways[k]), *ref = want[ways[k].plain];
                cr_expect(!memcmp(ode_y(s), ode_y(ref), sizeof *y * (size_t)count),
                          "%s, batch %d, way %zu: %g beside %g", m->name, batch, k, ode_y(s)[0],
                          ode_y(ref)[0]);
                cr_expect_eq(ode_t(s), ode_t(ref), "%s: %.17g", m->name, ode_t(s));
                ode_counts a = ode_counters(s), b = ode_counters(ref);
                cr_expect_eq(a.steps, b.steps, "%s", m->name);
                cr_expect_eq(a.fields, b.fields, "%s, way %zu: %lld fields, not %lld", m->name, k,
                             (long long)a.fields, (long long)b.fields);
                ode_free(s);
            }
            ode_free(want[0]), ode_free(want[1]);
            ode_recorded_free(r);
        }
    }
    cr_assert(rows >= 3, "%d rows", rows);
}

/* Observations, times inside a step, parameters that change, and runs after runs: nothing of it shows the programs. */
Test(ode_compiled, what_is_observed_has_the_bits_of_ordinary_steps)
{
    static const char *const name[] = {"verlet", "rk4", "dopri5", "blanes-moan6"};
    static const double times[] = {0.0, 3.3, 12.34567, 29.99, 30};
    const double y[SIZE] = {0.1, -0.05, 0.1, 0.1}, c[2] = {0.9, 0.4};
    for (int k = 0; k < 4; k++) {
        ode_recorded *r = field_of(separable, 1);
        double seen[2][64 * (SIZE + 1)], out[2][5 * SIZE];
        ode_solver *s[2];
        for (int j = 0; j < 2; j++) {
            s[j] = ode_new(ode_method_find(name[k]), ode_recorded_field(r));
            ode_start(s[j], 0, y);
            ode_recorded_set(r, 0, 1, c);
            ode_options o = {.h = 0.02, .compiled = -j, .times = times, .time_count = 5, .out = out[j]},
                        p = {.compiled = -j, .every = 50, .records = seen[j], .record_max = 64};
            cr_assert_eq(ode_integrate(s[j], 30, &o), ODE_OK, "%s", ode_message(s[j]));
            ode_recorded_set(r, 0, 1, c + 1);
            cr_assert_eq(ode_run(s[j], 1500, -0.01, &p), ODE_OK, "%s", ode_message(s[j]));
            cr_assert_eq(p.recorded, 31);
        }
        cr_expect(!memcmp(out[0], out[1], sizeof out[0]), "%s: at times", name[k]);
        cr_expect(!memcmp(seen[0], seen[1], sizeof(double) * 31 * (SIZE + 1)), "%s: on the way", name[k]);
        cr_expect(!memcmp(ode_y(s[0]), ode_y(s[1]), sizeof y), "%s: at the end", name[k]);
        ode_free(s[0]), ode_free(s[1]);
        ode_recorded_free(r);
    }
}
/* An observer gives each state a parameter of its own, then all of them one. */
typedef struct {
    ode_recorded *r;
    int seen;
} teller;
static int tell(void *user, double t, const double y[])
{
    teller *u = user;
    double c[ROWS] = {0.9, 0.5, 0.1};
    (void)t, (void)y;
    if (++u->seen == 9 || u->seen == 14)
        ode_recorded_set(u->r, 0, u->seen == 9 ? ROWS : 1, c);
    return 0;
}
Test(ode_compiled, parameters_may_change_their_rows_on_the_way)
{
    static const char *const name[] = {"verlet", "rk4", "gauss4"};
    double y[ROWS][SIZE], c = 0.9, z[3][ROWS * SIZE];
    for (int b = 0; b < ROWS; b++)
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.2 * sin(2 + b + 5 * i);
    for (int k = 0; k < 3; k++) {
        for (int way = 0; way < 3; way++) {
            teller u = {.r = field_of(separable, AD_BATCH)};
            ode_recorded_set(u.r, 0, 1, &c);
            ode_solver *s = ode_new_batch(ode_method_find(name[k]), ode_recorded_field(u.r), ROWS);
            ode_start(s, 0, y[0]);
            cr_assert_eq(
                ode_run(s, 2000, 0.01,
                        &(ode_options){.compiled = way - 1, .every = 100, .observer = tell, .user = &u}),
                ODE_OK, "%s: %s", name[k], ode_message(s));
            memcpy(z[way], ode_y(s), sizeof z[way]);
            ode_free(s);
            ode_recorded_free(u.r);
        }
        for (int i = 0; i < ROWS * SIZE; i++)
            for (int way = 1; way < 3; way++)
                cr_expect_float_eq(z[way][i], z[0][i], k == 2 ? 1e-13 : 0, "%s: %g", name[k],
                                   z[way][i] - z[0][i]);
    }
}
Test(ode_compiled, a_run_that_fails_says_where_an_ordinary_one_does)
{
    const double y[SIZE] = {0.9, 1.1, 0.8, 0.3}, c = 1; /* it escapes */
    for (int k = 0; k < 3; k++) {
        ode_recorded *r = field_of(separable, 1);
        ode_recorded_set(r, 0, 1, &c);
        ode_solver *s[2];
        for (int j = 0; j < 2; j++) {
            s[j] = ode_new(ode_method_find(k == 1 ? "rk4" : "verlet"), ode_recorded_field(r));
            ode_start(s[j], 0, y);
            cr_assert_eq(ode_run(s[j], 100000, 0.002, &(ode_options){.compiled = j ? -1 : k}), ODE_EVALUE);
        }
        cr_expect_str_eq(ode_message(s[0]), ode_message(s[1]));
        cr_expect_eq(ode_t(s[0]), ode_t(s[1]));
        cr_expect(!memcmp(ode_y(s[0]), ode_y(s[1]), sizeof y), "%g, %g", ode_y(s[0])[0], ode_y(s[1])[0]);
        cr_expect_eq(ode_counters(s[0]).steps, ode_counters(s[1]).steps);
        ode_free(s[0]), ode_free(s[1]);
        ode_recorded_free(r);
    }
}
/* By itself nothing is an error: such runs are ordinary ones. */
Test(ode_compiled, what_cannot_be_a_program_is_run_in_the_ordinary_way)
{
    double y[2][SIZE] = {{0.1, -0.05, 0.1, 0.1}, {0.05, 0.1, 0.1, 0.1}}, c = 0.9;
    for (int k = 0; k < 2; k++) {
        ode_recorded *r = field_of(separable, 1);
        ode_recorded_set(r, 0, 1, &c);
        ode_solver *s[2];
        for (int j = 0; j < 2; j++) {
            s[j] =
                ode_new_batch(ode_method_find(k ? "gonzalez" : "verlet"), ode_recorded_field(r), k ? 1 : 2);
            ode_start(s[j], 0, y[0]);
            cr_assert_eq(ode_run(s[j], 1200, 0.02, &(ode_options){.compiled = -j}), ODE_OK, "%s",
                         ode_message(s[j]));
        }
        cr_expect(!memcmp(ode_y(s[0]), ode_y(s[1]), sizeof y[0]), "%d", k);
        cr_expect_eq(ode_run(s[0], 10, 0.02, &(ode_options){.compiled = 1}), ODE_EINPUT);
        ode_free(s[0]), ode_free(s[1]);
        ode_recorded_free(r);
    }
}
/* A fixed number of sweeps leaves an error that is the same in every step: were it not far below round-off, the energy would drift. */
Test(ode_compiled, implicit_programs_keep_the_energy_as_ordinary_steps_do, .timeout = 120)
{
    static const struct {
        const char *name;
        double h;
    } rows[] = {{"gauss8", 0.1}, {"avf4", 0.05}, {"gauss12", 0.25}, {"gauss10", 0.1}};
    int n = getenv("NOETHER_TEST_SHORT") ? 1200 : 40000;
    for (int k = 0; k < 4; k++) {
        ode_recorded *r =
            field_of("(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3)", 1);
        double c = 1;
        ode_recorded_set(r, 0, 1, &c);
        for (int w = -1; w < 2; w++) {
            ode_solver *s = ode_new(ode_method_find(rows[k].name), ode_recorded_field(r));
            ode_start(s, 0, (double[]){0.1, -0.2, 0.25, 0.2});
            double H = ode_energy(s);
            cr_assert_eq(ode_run(s, n, rows[k].h, &(ode_options){.compiled = w}), ODE_OK, "%s",
                         ode_message(s));
            double drift = fabs(ode_energy(s) - H) / H;
            cr_expect(drift < 1e-14, "%s, compiled %d: %g", rows[k].name, w, drift);
            ode_counts count = ode_counters(s);
            cr_expect_eq(count.unconverged, 0);
            cr_expect(count.steps == n && count.iterations >= 3 * n && count.iterations < 16 * n,
                      "%s, compiled %d: %lld sweeps", rows[k].name, w, (long long)count.iterations);
            ode_free(s);
        }
        ode_recorded_free(r);
    }
}
