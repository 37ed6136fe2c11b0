/* test_ode_batch.c - many states side by side: every row as it would be alone; a row that fails stands still.
 * Invariant: equality is of bits, for every method of the catalogue that accepts the field. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "ode.h"

enum { ROWS = 5, SIZE = 4 };
/* Henon-Heiles with a strength of the cubic terms that may be another in each row. */
static const double strength[ROWS] = {1, 0.5, -0.25, 0, 1.5};
static void V_q(double c, const double y[], double g[])
{
    g[0] = y[0] + c * 2 * y[0] * y[1];
    g[1] = y[1] + c * (y[0] * y[0] - y[1] * y[1]);
}
static int dHdp(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
static int dHdq(void *u, double t, const double y[], double g[])
{
    (void)t;
    V_q(*(const double *)u, y, g);
    return 0;
}
static double H_of(double c, const double y[])
{
    return (y[2] * y[2] + y[3] * y[3] + y[0] * y[0] + y[1] * y[1]) / 2 +
           c * (y[0] * y[0] * y[1] - y[1] * y[1] * y[1] / 3);
}
static int energy(void *u, double t, const double y[], double *H)
{
    (void)t;
    *H = H_of(*(const double *)u, y);
    return 0;
}
static int many(void *u, int what, int count, const int row[], const double t[], const double y[],
                double out[])
{
    const double *c = u;
    for (int k = 0; k < count; k++, y += SIZE) {
        double g[2];
        V_q(c[row[k]], y, g);
        if (what == ODE_OF_RHS) {
            double f[] = {y[2], y[3], -g[0], -g[1]};
            memcpy(out + SIZE * k, f, sizeof f);
        } else if (what == ODE_OF_ENERGY)
            out[k] = H_of(c[row[k]], y);
        else
            memcpy(out + 2 * k, what == ODE_OF_DHDP ? y + 2 : g, sizeof g);
    }
    (void)t;
    return 0;
}
static const ode_field one = {.size = SIZE,
                              .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                              .dHdp = dHdp,
                              .dHdq = dHdq,
                              .energy = energy};
static const double starts[ROWS][SIZE] = {{0.3, -0.2, 0.25, 0.3},
                                          {0.1, 0.2, -0.3, 0.1},
                                          {0, 0, 0.5, 0},
                                          {-0.4, 0.3, 0, 0.1},
                                          {0.05, 0.02, 0.01, -0.03}};

static ode_solver *batch(const ode_method *m, const ode_field *f)
{
    ode_solver *s = ode_new_batch(m, f, ROWS);
    ode_start(s, 0, starts[0]);
    if (m->needs & ODE_OMEGA)
        ode_coupling(s, 4);
    cr_assert_eq(ode_status(s), ODE_OK, "%s: %s", m->name, ode_message(s));
    return s;
}
static ode_solver *alone(const ode_method *m, int row)
{
    ode_field f = one;
    f.user = (void *)(uintptr_t)&strength[row];
    ode_solver *s = ode_new(m, &f);
    ode_start(s, 0, starts[row]);
    if (m->needs & ODE_OMEGA)
        ode_coupling(s, 4);
    return s;
}

Test(ode_batch, every_row_is_what_it_would_be_alone)
{
    ode_field f = one;
    f.user = (void *)(uintptr_t)strength;
    f.rows = many;
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        double times[] = {0.5, 0.75, 1.5}, out[3][ROWS][SIZE], mine[3][SIZE];
        ode_options o = {.h = m->order > 4 ? 0.5 : 0.1, .times = times, .time_count = 3, .out = out[0][0]};
        ode_solver *s = batch(m, &f);
        cr_expect_eq(ode_integrate(s, 1.5, &o), ODE_OK, "%s: %s", m->name, ode_message(s));
        cr_expect_eq(o.written, 3);
        ode_counts all = {0};
        for (int b = 0; b < ROWS; b++) {
            ode_solver *a = alone(m, b);
            ode_options p = {.h = o.h, .times = times, .time_count = 3, .out = mine[0]};
            ode_integrate(a, 1.5, &p);
            cr_expect_eq(memcmp(ode_y(s) + b * SIZE, ode_y(a), sizeof starts[0]), 0, "%s, row %d", m->name,
                         b);
            for (int k = 0; k < 3; k++)
                cr_expect_eq(memcmp(out[k][b], mine[k], sizeof mine[k]), 0, "%s, row %d, time %d", m->name, b,
                             k);
            all.fields += ode_counters(a).fields, all.iterations += ode_counters(a).iterations;
            ode_free(a);
        }
        cr_expect_eq(ode_counters(s).fields, all.fields, "%s", m->name);
        cr_expect_eq(ode_counters(s).iterations, all.iterations, "%s", m->name);
        ode_free(s);
    }
}
Test(ode_batch, adaptive_rows_choose_their_own_steps)
{
    ode_field f = one;
    f.user = (void *)(uintptr_t)strength;
    f.rows = many;
    const char *name[] = {"bosh3", "dopri5", "tsit5", "dop853"};
    for (int i = 0; i < 8; i++) {
        const ode_method *m = ode_method_find(name[i % 4]);
        double times[] = {0, 0.1, 0.11, 3.5, 9, 10}, out[6][ROWS][SIZE], mine[6][SIZE],
               end = i < 4 ? 10 : -10;
        for (int k = 0; k < 6 && i >= 4; k++)
            times[k] = -times[k];
        ode_options o = {.rtol = 1e-8, .atol = 1e-8, .times = times, .time_count = 6, .out = out[0][0]};
        ode_solver *s = batch(m, &f);
        cr_expect_eq(ode_integrate(s, end, &o), ODE_OK, "%s", ode_message(s));
        cr_expect_eq(o.written, 6);
        int64_t steps = 0, fewest = INT64_MAX, most = 0;
        for (int b = 0; b < ROWS; b++) {
            ode_solver *a = alone(m, b);
            ode_options p = {.rtol = 1e-8, .atol = 1e-8, .times = times, .time_count = 6, .out = mine[0]};
            ode_integrate(a, end, &p);
            cr_expect_eq(memcmp(ode_y(s) + b * SIZE, ode_y(a), sizeof starts[0]), 0, "%s, row %d", m->name,
                         b);
            for (int k = 0; k < 6; k++)
                cr_expect_eq(memcmp(out[k][b], mine[k], sizeof mine[k]), 0, "%s, row %d, time %d", m->name, b,
                             k);
            int64_t n = ode_counters(a).steps;
            steps += n, fewest = n < fewest ? n : fewest, most = n > most ? n : most;
            ode_free(a);
        }
        cr_expect_eq(ode_counters(s).steps, steps);
        cr_expect_lt(fewest, most, "all rows took the same steps: the test tests nothing");
        ode_free(s);
    }
}

/* y' = y^2 from 1 / T is at infinity at T; row b has T = 1 + b. */
static int pole(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t;
    f[0] = y[0] * y[0];
    return 0;
}
Test(ode_batch, a_row_that_fails_stands_still_and_is_nan_in_the_output)
{
    ode_field f = {.size = 1, .rhs = pole};
    double y0[] = {1, 1.0 / 2, 1.0 / 3, 1.0 / 4}, times[] = {0.5, 1.5, 2.5, 3.5}, out[4][4], t;
    const char *what;
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        ode_options o = {.times = times, .time_count = 4, .out = out[0]};
        o.h = adaptive ? 0 : 0.01, o.rtol = o.atol = adaptive ? 1e-8 : 0;
        ode_solver *s = ode_new_batch(ode_method_find("dopri5"), &f, 4);
        ode_start(s, 0, y0);
        cr_expect_eq(ode_integrate(s, 3.5, &o), ODE_OK, "%s", ode_message(s));
        cr_expect_eq(o.written, 4);
        for (int k = 0; k < 4; k++)
            for (int b = 0; b < 4; b++)
                if (times[k] < 1 + b)
                    cr_expect_float_eq(out[k][b], 1 / (1 + b - times[k]), 1e-5 / (1 + b - times[k]));
                else if (adaptive ||
                         times[k] > 1 + b + 0.2) /* a fixed step jumps over the pole for a while */
                    cr_expect(isnan(out[k][b]), "row %d at %g: %g", b, times[k], out[k][b]);
        for (int b = 0; b < 4; b++) {
            int status = ode_row_status(s, b, &t, &what);
            cr_expect_eq(status != ODE_OK, b < 3, "row %d: %d", b, status);
            cr_expect(isfinite(ode_y(s)[b]));
            if (b < 3) {
                cr_expect_float_eq(t, 1 + b, adaptive ? 1e-6 : 0.2, "row %d: %g", b, t);
                cr_expect_neq(what[0], 0);
            } else
                cr_expect_eq(t, 3.5);
        }
        cr_expect_eq(ode_row_status(s, 4, NULL, NULL), ODE_EINPUT);
        int last =
            ode_integrate(s, 5, &o); /* now the last one goes, too: a wrong times array is told first */
        cr_expect_eq(last, ODE_EINPUT);
        ode_clear(s);
        o.time_count = 0;
        cr_expect_neq(ode_integrate(s, 5, &o), ODE_OK);
        cr_expect(strstr(ode_message(s), "all 4 rows failed"), "%s", ode_message(s));
        ode_clear(s);
        cr_expect_eq(ode_start(s, 0, y0), ODE_OK, "a new start revives all");
        cr_expect_eq(ode_run(s, 10, 0.01, NULL), ODE_OK);
        cr_expect_eq(ode_row_status(s, 0, NULL, NULL), ODE_OK);
        ode_free(s);
    }
}
static int grumpy(void *u, int what, int count, const int row[], const double t[], const double y[],
                  double out[])
{
    (void)u, (void)what, (void)y;
    for (int k = 0; k < count; k++) {
        if (row[k] == 1 && t[k] > 0.45)
            return -1;
        out[k] = row[k];
    }
    return 0;
}
Test(ode_batch, a_callback_that_fails_for_one_row_costs_that_row_only)
{
    ode_field f = {.size = 1, .rhs = pole, .rows = grumpy};
    double y0[] = {0, 0, 0}, t;
    ode_solver *s = ode_new_batch(ode_method_find("rk4"), &f, 3);
    ode_start(s, 0, y0);
    cr_expect_eq(ode_run(s, 10, 0.1, NULL), ODE_OK, "%s", ode_message(s));
    cr_expect_float_eq(ode_y(s)[0], 0, 1e-15);
    cr_expect_float_eq(ode_y(s)[1], 0.4, 1e-15, "%g", ode_y(s)[1]);
    cr_expect_float_eq(ode_y(s)[2], 2, 1e-14);
    cr_expect_eq(ode_row_status(s, 1, &t, NULL), ODE_EVALUE);
    cr_expect_float_eq(t, 0.5, 0.051);
    ode_free(s);
}

static int count_calls(void *user, double t, const double y[])
{
    (void)t, (void)y;
    return ++*(int *)user == 4;
}
Test(ode_batch, observations_go_to_arrays_and_files)
{
    ode_field f = one;
    f.user = (void *)(uintptr_t)strength, f.rows = many;
    enum { RECORD = 1 + ROWS * SIZE };
    double kept[6 * RECORD], read[6 * RECORD], H[ROWS];
    int calls = 0;
    FILE *file = tmpfile();
    cr_assert(file);
    ode_solver *s = batch(ode_method_find("verlet"), &f);
    ode_options o = {.every = 3, .records = kept, .record_max = 6, .file = file};
    cr_expect_eq(ode_run(s, 15, 0.1, &o), ODE_OK, "%s", ode_message(s));
    cr_expect_eq(o.recorded, 6);
    cr_expect_eq(memcmp(kept + 1, starts, sizeof starts), 0);
    cr_expect_eq(memcmp(kept + 5 * RECORD + 1, ode_y(s), sizeof starts), 0);
    cr_expect_eq(kept[5 * RECORD], ode_t(s));
    rewind(file);
    cr_expect_eq(fread(read, sizeof *read, 6 * RECORD + 1, file), 6 * RECORD);
    cr_expect_eq(memcmp(read, kept, sizeof kept), 0);
    fclose(file);
    cr_expect_eq(ode_energies(s, H), ODE_OK);
    for (int b = 0; b < ROWS; b++)
        cr_expect_eq(H[b], H_of(strength[b], ode_y(s) + b * SIZE));
    ode_free(s);
    s = batch(ode_method_find("verlet"), &f);
    o = (ode_options){.every = 1, .records = kept, .record_max = 6};
    cr_expect_eq(ode_run(s, 20, 0.1, &o), ODE_ELIMIT);
    cr_expect_eq(o.recorded, 6);
    ode_clear(s);
    o = (ode_options){.every = 1, .observer = count_calls, .user = &calls};
    cr_expect_eq(ode_run(s, 20, 0.1, &o), ODE_OK);
    cr_expect_eq(calls, 4);
    FILE *full = fopen("/dev/full", "wb");
    if (full) {
        setvbuf(full, NULL, _IONBF, 0);
        o = (ode_options){.every = 1, .file = full};
        cr_expect_eq(ode_run(s, 20, 0.1, &o), ODE_EUSER);
        cr_expect(strstr(ode_message(s), "file"), "%s", ode_message(s));
        fclose(full);
    }
    ode_free(s);
}
Test(ode_batch, what_is_for_one_row_is_refused_for_many)
{
    ode_field f = one;
    f.user = (void *)(uintptr_t)strength;
    double M[16], turns, y[SIZE];
    int count;
    ode_solver *none = ode_new_batch(NULL, &f, 2);
    cr_expect_eq(ode_status(none), ODE_EINPUT);
    ode_free(none);
    const int bad[] = {0, -3};
    for (int k = 0; k < 2; k++) {
        ode_solver *s = ode_new_batch(ode_method_find("verlet"), &f, bad[k]);
        cr_expect_eq(ode_status(s), ODE_EINPUT);
        ode_free(s);
    }
    ode_solver *s = batch(ode_method_find("dopri5"), &f);
    ode_event e = {0};
    ode_options with_event = {.rtol = 1e-6, .events = &e, .event_count = 1},
                with_observer = {.rtol = 1e-6, .every = 1};
    for (int k = 0; k < 8; k++) {
        if (k == 0)
            ode_tangent(s, 0.1, M);
        else if (k == 1)
            ode_reversibility(s, 0.1, 3);
        else if (k == 2)
            ode_lyapunov(s, 0.1, 3, 1, M);
        else if (k == 3)
            ode_section(s, 0.1, 3, NULL, NULL, 0, NULL, NULL, &count);
        else if (k == 4)
            ode_rotation(s, 0.1, 3, 0, 0, 0, &turns);
        else if (k == 5)
            ode_energy(s);
        else if (k == 6)
            ode_integrate(s, 1, &with_event);
        else
            ode_integrate(s, 1, &with_observer);
        cr_expect_eq(ode_status(s), ODE_EINPUT, "%d", k);
        cr_expect(strstr(ode_message(s), "5 rows"), "%d: %s", k, ode_message(s));
        ode_clear(s);
    }
    cr_expect_eq(ode_dense(s, 0.5, y), ODE_EINPUT);
    ode_free(s);
}
Test(ode_batch, out_of_memory_is_a_status_and_leaks_nothing)
{
    ode_field f = one;
    f.user = (void *)(uintptr_t)strength;
    const char *name[] = {"dop853", "gauss4", "gonzalez", "gonzalez-order4"};
    for (int k = 0; k < 4; k++)
        for (long n = 1;; n++) {
            failalloc_arm(n, 1);
            ode_solver *s = ode_new_batch(ode_method_find(name[k]), &f, ROWS);
            ode_start(s, 0, starts[0]);
            ode_run(s, 2, 0.1, NULL);
            int status = ode_status(s);
            ode_clear(s), ode_row_status(s, 0, NULL, NULL);
            ode_free(s);
            long asked = failalloc_disarm();
            cr_expect_eq(failalloc_live(), 0);
            if (asked < n)
                break;
            cr_expect(status == ODE_EMEMORY || status == ODE_EMETHOD, "%s, allocation %ld: %d", name[k], n,
                      status);
        }
}
