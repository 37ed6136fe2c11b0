/* test_ode_trace.c - a step of every row as mathematics on the tape: its value is the solver's, its derivatives by the start,
 * the step, the time and a parameter are those of the map. Invariant: the reference never uses the tape's derivatives
 * of the step: it is the dual-number tangent map, or differences of order six. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ode.h"
#include "ode_driver.h"
#include "ode_field.h"

enum { SIZE = 4, OMEGA = 4 };
static const char separable[] =
    "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3) + 0.1*q[1]*sin(t)";
static const char any[] = "(1 + q[1]^2)*p[1]^2/2 + p[2]^2/2 + c*q[2]*p[1]*p[2]/2 + (q[1]^2 + q[2]^2)/2";
static const double start[] = {0.3, -0.2, 0.25, 0.3};

/* The solver: y after n steps of x[5] from x[0..3] at time x[4] with parameter x[6]. */
static void reference(const ode_method *m, ode_recorded *r, int n, const double x[7], double y[SIZE])
{
    ode_recorded_set(r, 0, 1, x + 6);
    ode_solver *s = ode_new(m, ode_recorded_field(r));
    ode_start(s, x[4], x);
    if (m->needs & ODE_OMEGA)
        ode_coupling(s, OMEGA);
    for (int k = 0; k < n; k++) {
        ode_run(s, 1, x[5], &(ode_options){.plain_sums = 1});
        if (n > 1) { /* a recorded step keeps nothing */
            double z[SIZE], t = ode_t(s);
            memcpy(z, ode_y(s), sizeof z);
            ode_start(s, t, z);
        }
    }
    cr_assert_eq(ode_status(s), ODE_OK, "%s", ode_message(s));
    memcpy(y, ode_y(s), SIZE * sizeof *y);
    ode_free(s);
}
/* d y / d x[i] by differences: weights of the seven-point formula, error O(d^6). */
static void slope(const ode_method *m, ode_recorded *r, int n, const double x[7], int i, double out[SIZE])
{
    static const double w[] = {3.0 / 4, -3.0 / 20, 1.0 / 60};
    double d = 4e-3;
    memset(out, 0, SIZE * sizeof *out);
    for (int k = 1; k <= 3; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double at[7], y[SIZE];
            memcpy(at, x, sizeof at);
            at[i] += sign * k * d;
            reference(m, r, n, at, y);
            for (int j = 0; j < SIZE; j++)
                out[j] += sign * w[k - 1] * y[j] / d;
        }
}

/* dy/dx [elements of y, columns of x], a tangent a column. */
static ad_var columns(ad_var y, ad_var x)
{
    ad_var c[SIZE];
    int n = ad_cols(x);
    for (int j = 0; j < n; j++) {
        double unit[SIZE] = {0};
        unit[j] = 1;
        ad_var v = ad_const(x.tape, 1, n, unit);
        ad_jvp(1, &y, 1, &x, &v, &c[j]);
        c[j] = ad_transpose(c[j]);
    }
    return ad_concat_cols(n, c);
}
Test(ode_trace, a_recorded_step_and_its_derivatives_are_those_of_the_solver, .timeout = 300)
{
    for (int i = 0; i < ode_method_count(); i++)
        for (int which = 0; which < 2; which++) {
            const ode_method *m = ode_method_at(i);
            ode_recorded *r = field_of(which ? any : separable, 1);
            double x[7] = {start[0], start[1], start[2], start[3], 0.4, 0.1, 0.9}, want[SIZE], d[SIZE];
            if (ode_method_refuses(m, ode_recorded_field(r)) ||
                (getenv("NOETHER_TEST_SHORT") && (i % 8 || m->order > 4))) {
                ode_recorded_free(r);
                continue;
            }
            ad_tape *t = ad_new();
            ad_var in[] = {ad_input(t, "y", 1, SIZE), ad_input(t, "t", 1, 1), ad_input(t, "h", 1, 1),
                           ad_input(t, "c", 1, 1)};
            ad_var y = ode_record_step(m, r, in[0], in[1], in[2], &in[3], OMEGA);
            cr_assert_eq(ad_status(t), AD_OK, "%s: %s", m->name, ad_message(t));
            cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s: %s", m->name, ode_recorded_message(r));
            ad_var J[4];
            for (int k = 0; k < 4; k++)
                J[k] = columns(y, in[k]);
            const ad_var out[] = {y, J[0], J[1], J[2], J[3]};
            ad_program *p = ad_compile(t, 4, in, 5, out, NULL);
            cr_assert(p, "%s: %s", m->name, ad_message(t));
            ad_work *w = ad_work_new(p, NULL);
            double got[SIZE], by[4][16];
            int status = ad_run(w, 1, (const void *[]){x, x + 4, x + 5, x + 6},
                                (void *[]){got, by[0], by[1], by[2], by[3]});
            cr_assert_eq(status, AD_OK, "%s: %s", m->name, ad_work_message(w));
            reference(m, r, 1, x, want);
            for (int j = 0; j < SIZE; j++)
                cr_expect_float_eq(got[j], want[j], 4e-15, "%s: y[%d] differs by %g", m->name, j,
                                   got[j] - want[j]);
            for (int k = 0; k < 7; k++) {
                slope(m, r, 1, x, k, d);
                for (int j = 0; j < SIZE; j++) {
                    double mine = k < 4 ? by[0][j * SIZE + k] : by[k - 3][j];
                    cr_expect_float_eq(mine, d[j], 1e-10, "%s: d y[%d] / d x[%d]: %.12g, not %.12g", m->name,
                                       j, k, mine, d[j]);
                }
            }
            ad_work_free(w), ad_program_free(p), ad_free(t);
            ode_recorded_free(r);
        }
}

/* Second derivatives through several steps: of |y_N|^2 by the start, against differences of the gradient. */
Test(ode_trace, second_derivatives_through_steps)
{
    const char *name[] = {"verlet", "rk4", "gauss4", "gonzalez", "tao2", "semi-explicit2"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        const ode_method *m = ode_method_find(name[k]);
        ode_recorded *r = field_of(separable, 1);
        ad_tape *t = ad_new();
        ad_var y0 = ad_input(t, "y", 1, SIZE), h = ad_input(t, "h", 1, 1), c = ad_input(t, "c", 1, 1), y = y0;
        for (int n = 0; n < 3; n++)
            y = ode_record_step(m, r, y, ad_mul(n, h), h, &c, OMEGA);
        ad_var loss = ad_dot(y, y), g = ad_grad(loss, y0), H = columns(g, y0), in[] = {y0, h, c};
        cr_assert_eq(ad_status(t), AD_OK, "%s: %s", name[k], ad_message(t));
        ad_program *p = ad_compile(t, 3, in, 2, (ad_var[]){g, H}, NULL);
        cr_assert(p, "%s", ad_message(t));
        ad_work *w = ad_work_new(p, NULL);
        double step = 0.1, c0 = 0.9, gradient[SIZE], hessian[SIZE * SIZE], skip[SIZE * SIZE];
        cr_assert_eq(ad_run(w, 1, (const void *[]){start, &step, &c0}, (void *[]){gradient, hessian}), AD_OK);
        static const double weight[] = {3.0 / 4, -3.0 / 20, 1.0 / 60};
        for (int i = 0; i < SIZE; i++) {
            double d = 4e-3, sum[SIZE] = {0};
            for (int n = 1; n <= 3; n++)
                for (int sign = -1; sign <= 1; sign += 2) {
                    double at[SIZE], ga[SIZE];
                    memcpy(at, start, sizeof at);
                    at[i] += sign * n * d;
                    ad_run(w, 1, (const void *[]){at, &step, &c0}, (void *[]){ga, skip});
                    for (int j = 0; j < SIZE; j++)
                        sum[j] += sign * weight[n - 1] * ga[j] / d;
                }
            for (int j = 0; j < SIZE; j++)
                cr_expect_float_eq(hessian[i * SIZE + j], sum[j], 1e-10, "%s: [%d,%d] %g %g", name[k], i, j,
                                   hessian[i * SIZE + j], sum[j]);
        }
        ad_work_free(w), ad_program_free(p), ad_free(t);
        ode_recorded_free(r);
    }
}

Test(ode_trace, a_batch_of_recorded_steps_is_that_of_its_rows)
{
    enum { ROWS = 9 };
    double y[ROWS][SIZE], c[ROWS], out[ROWS][SIZE], one[SIZE], zero[ROWS] = {0};
    for (int b = 0; b < ROWS; b++) {
        c[b] = cos(b);
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.3 * sin(2 + b + 5 * i);
    }
    const char *name[] = {"blanes-moan4", "dopri5", "gauss4", "gonzalez", "itoh-abe", "avf4"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        ode_recorded *r = field_of(separable, AD_BATCH);
        ad_tape *t = ad_new();
        ad_var in[] = {ad_input(t, "y", AD_BATCH, SIZE), ad_input(t, "t", AD_BATCH, 1),
                       ad_input(t, "c", AD_BATCH, 1)};
        ad_var step = ode_record_step(ode_method_find(name[k]), r, in[0], in[1], ad_num(0.1), &in[2], 0);
        ad_program *p = ad_compile(t, 3, in, 1, &step, NULL);
        cr_assert(p, "%s: %s %s", name[k], ad_message(t), ode_recorded_message(r));
        ad_work *w = ad_work_new(p, NULL);
        ad_run(w, ROWS, (const void *[]){y, zero, c}, (void *[]){out});
        for (int b = 0; b < ROWS; b++) {
            ad_run(w, 1, (const void *[]){y[b], zero, c + b}, (void *[]){one});
            cr_expect_eq(memcmp(one, out[b], sizeof one), 0, "%s, row %d", name[k], b);
        }
        ad_work_free(w), ad_program_free(p), ad_free(t);
        ode_recorded_free(r);
    }
}

Test(ode_trace, what_cannot_be_recorded_says_why)
{
    const struct {
        const char *method, *says;
        double omega;
    } bad[] = {{"verlet", "separable", 0}, {"tao2", "omega", 0}, {"no-such", "NULL", 1}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ode_recorded *r = field_of(any, 1);
        ad_tape *t = ad_new();
        ad_var y = ad_input(t, "y", 1, SIZE), c = ad_num(1);
        ad_var step =
            ode_record_step(ode_method_find(bad[k].method), r, y, ad_num(0), ad_num(0.1), &c, bad[k].omega);
        cr_expect(ad_is_number(step));
        cr_expect_neq(ode_recorded_status(r), ODE_OK);
        cr_expect(strstr(ode_recorded_message(r), bad[k].says), "%s", ode_recorded_message(r));
        ad_free(t);
        ode_recorded_free(r);
    }
    ode_recorded *r = field_of(separable, 1);
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", 1, 3), c = ad_num(1);
    ode_record_step(ode_method_find("verlet"), r, y, ad_num(0), ad_num(0.1), &c, 0);
    cr_expect_eq(ad_status(t), AD_ESHAPE, "%s", ad_message(t));
    ad_free(t);
    ode_recorded_free(r);
}

Test(ode_trace, compiled_steps_are_the_steps_however_they_are_cut)
{
    enum { ROWS = 5 };
    double y[ROWS][SIZE], c[ROWS];
    for (int b = 0; b < ROWS; b++) {
        c[b] = cos(b);
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.3 * sin(2 + b + 5 * i);
    }
    const char *name[] = {"verlet", "blanes-moan6", "rk4",  "dopri5",   "yoshida8",
                          "gauss4", "gauss8",       "avf4", "lobatto4", "verlet-dkd"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        if (getenv("NOETHER_TEST_SHORT") && k && k != 7)
            continue;
        ode_recorded *r = field_of(separable, AD_BATCH);
        ode_recorded_set(r, 0, ROWS, c);
        double seen[8][1 + ROWS * SIZE], times[] = {0.25, 1.7}, out[2][ROWS][SIZE], ref[2][ROWS][SIZE];
        ode_options o[] = {{.compiled = k % 5 == 0 ? 2 : 1}, /* emitted C has the bits of replay */
                           {.compiled = 1, .every = 5, .records = seen[0], .record_max = 8},
                           {.plain_sums = 1}};
        ode_solver *s[3];
        for (int j = 0; j < 3; j++) {
            s[j] = ode_new_batch(ode_method_find(name[k]), ode_recorded_field(r), ROWS);
            ode_start(s[j], 0.3, y[0]);
            cr_expect_eq(ode_run(s[j], 35, 0.05, &o[j]), ODE_OK, "%s: %s", name[k], ode_message(s[j]));
        }
        cr_expect_eq(o[1].recorded, 8);
        cr_expect_eq(ode_t(s[0]), ode_t(s[2]));
        cr_expect_eq(ode_counters(s[0]).steps, 35 * ROWS);
        for (int i = 0; i < ROWS * SIZE; i++) {
            cr_expect_float_eq(ode_y(s[0])[i], ode_y(s[1])[i], 1e-14, "%s cut differently: %g", name[k],
                               ode_y(s[0])[i] - ode_y(s[1])[i]); /* t + k h is rounded otherwise */
            cr_expect_float_eq(ode_y(s[0])[i], ode_y(s[2])[i], 1e-13, "%s: %g", name[k],
                               ode_y(s[0])[i] - ode_y(s[2])[i]);
        }
        for (int j = 0; j < 3; j += 2) {
            ode_options p = {
                .h = 0.05, .compiled = j == 0, .times = times, .time_count = 2, .out = (j ? ref : out)[0][0]};
            ode_start(s[j], 0, y[0]);
            cr_expect_eq(ode_integrate(s[j], 2, &p), ODE_OK, "%s", ode_message(s[j]));
            cr_expect_eq(p.written, 2);
        }
        for (int i = 0; i < 2 * ROWS * SIZE; i++)
            cr_expect_float_eq((&out[0][0][0])[i], (&ref[0][0][0])[i], 1e-13, "%s at times", name[k]);
        for (int j = 0; j < 3; j++)
            ode_free(s[j]);
        ode_recorded_free(r);
    }
}
/* The programs stay with the solver; parameters of another number of rows, and the other way of running, need new ones. */
Test(ode_trace, compiled_steps_of_later_runs_are_those_of_a_new_solver)
{
    enum { ROWS = 3, RUNS = 6 };
    static const int rows[RUNS] = {1, 1, ROWS, 1, ROWS, ROWS}, compiled[RUNS] = {1, 1, 1, 1, 2, 1};
    double y[ROWS][SIZE], c[ROWS];
    for (int b = 0; b < ROWS; b++)
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.3 * sin(2 + b + 5 * i);
    const char *name[] = {"verlet", "rk4", "gauss4"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        ode_recorded *r = field_of(separable, AD_BATCH);
        ode_solver *old = ode_new_batch(ode_method_find(name[k]), ode_recorded_field(r), ROWS);
        for (int j = 0; j < RUNS; j++) {
            ode_solver *fresh = ode_new_batch(ode_method_find(name[k]), ode_recorded_field(r), ROWS);
            for (int b = 0; b < ROWS; b++)
                c[b] = cos(b + j);
            ode_recorded_set(r, 0, rows[j], c);
            for (int i = 0; i < 2; i++) {
                ode_solver *s = i ? fresh : old;
                ode_start(s, 0, y[0]);
                cr_expect_eq(ode_run(s, 20 + j, 0.05, &(ode_options){.compiled = compiled[j]}), ODE_OK,
                             "%s: %s", name[k], ode_message(s));
            }
            cr_expect(!memcmp(ode_y(old), ode_y(fresh), sizeof y), "%s, run %d", name[k], j);
            ode_free(fresh);
        }
        ode_free(old);
        ode_recorded_free(r);
    }
}
/* A force or a guess kept from the last step is of the old parameters. */
Test(ode_trace, parameters_changed_between_runs_count_from_the_next_step)
{
    const char *name[] = {"verlet", "dopri5", "gauss4", "avf4"};
    const double two = 2, one = 1;
    for (int k = 0; k < 12; k++) {
        ode_recorded *r = field_of(separable, 1);
        const ode_method *m = ode_method_find(name[k % 4]);
        ode_options o = {.compiled = k / 4 == 1, .h = 0.1, .rtol = k / 4 == 2 && k == 9 ? 1e-9 : 0};
        ode_recorded_set(r, 0, 1, &one);
        ode_solver *a = ode_new(m, ode_recorded_field(r)), *b = ode_new(m, ode_recorded_field(r));
        ode_start(a, 0, start);
        ode_integrate(a, 4, &o);
        double y[SIZE];
        memcpy(y, ode_y(a), sizeof y);
        ode_recorded_set(r, 0, 1, &two);
        ode_integrate(a, 6, &o);
        ode_start(b, 4, y);
        ode_integrate(b, 6, &o);
        cr_expect_eq(ode_status(a), ODE_OK, "%s", ode_message(a));
        for (int i = 0; i < SIZE; i++)
            cr_expect_float_eq(ode_y(a)[i], ode_y(b)[i], 1e-12, "%s %d: %g", m->name, k / 4,
                               ode_y(a)[i] - ode_y(b)[i]);
        ode_free(a), ode_free(b);
        ode_recorded_free(r);
    }
}
Test(ode_trace, compiled_steps_keep_to_the_step_and_the_schedule_they_are_given)
{
    const char *name[] = {"rk4", "verlet", "gauss4"};
    const double one = 1;
    ode_recorded *r = field_of(separable, 1);
    ode_recorded_set(r, 0, 1, &one);
    for (int k = 0; k < 3; k++) {
        ode_solver *s[2];
        for (int j = 0; j < 2; j++) {
            s[j] = ode_new(ode_method_find(name[k]), ode_recorded_field(r));
            ode_start(s[j], 0, start);
            cr_expect_eq(ode_run(s[j], 10, 0, &(ode_options){.compiled = j}), ODE_EINPUT, "%s", name[k]);
            cr_expect(strstr(ode_message(s[j]), "h = 0"), "%s", ode_message(s[j]));
            cr_expect_eq(ode_counters(s[j]).steps, 0);
            ode_clear(s[j]);
            ode_run(s[j], 40, 0.1, &(ode_options){.compiled = j, .schedule = 2});
        }
        for (int i = 0; i < SIZE; i++)
            cr_expect_float_eq(ode_y(s[0])[i], ode_y(s[1])[i], 1e-13, "%s", name[k]);
        cr_expect_eq(ode_counters(s[0]).unconverged, ode_counters(s[1]).unconverged);
        cr_expect_eq(ode_counters(s[0]).unconverged, k == 2 ? 40 : 0); /* two sweeps do not solve it */
        ode_free(s[0]), ode_free(s[1]);
    }
    ode_recorded_free(r);
}
static int still(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t, (void)y;
    f[0] = 0;
    return 0;
}
Test(ode_trace, compiled_steps_refuse_what_they_cannot_do)
{
    ode_recorded *r = field_of(separable, 1);
    ode_field hand = {.size = 1, .rhs = still};
    double zero = 0, c = 1;
    ode_options o = {.compiled = 1, .h = 0.1}, tolerant = {.compiled = 1, .rtol = 1e-6};
    const char *says[] = {"parameter 0", "keeps more than states", "rows of a field", "recorded one",
                          "recorded one"};
    for (int k = 0; k < 5; k++) {
        ode_solver *s = k >= 3 ? ode_new(ode_method_find(k == 3 ? "rk4" : "dopri5"), &hand)
                               : ode_new_batch(ode_method_find(k == 1 ? "gonzalez" : "verlet"),
                                               ode_recorded_field(r), k == 2 ? 2 : 1);
        double two[2 * SIZE] = {0};
        ode_start(s, 0, k >= 3 ? &zero : two);
        if (k)
            ode_recorded_set(r, 0, 1, &c);
        cr_expect_neq(k < 3 ? ode_run(s, 3, 0.1, &o) : ode_integrate(s, 1, k == 4 ? &tolerant : &o), ODE_OK);
        cr_expect(strstr(ode_message(s), says[k]), "%d: %s", k, ode_message(s));
        ode_free(s);
    }
    ode_recorded_free(r);
}
/* With tolerances it is the field that is emitted, for this run and the next ones; parameters are set in between. */
Test(ode_trace, the_field_of_adaptive_rows_as_emitted_c_has_the_same_bits)
{
    enum { ROWS = 3, RUNS = 4 };
    double y[ROWS][SIZE];
    for (int b = 0; b < ROWS; b++)
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.3 * sin(2 + b + 5 * i);
    for (int rows = 1; rows <= ROWS; rows += ROWS - 1) {
        ode_recorded *r[2] = {field_of(separable, AD_BATCH), field_of(separable, AD_BATCH)};
        ode_solver *s[2];
        for (int j = 0; j < 2; j++)
            s[j] = ode_new_batch(ode_method_find("dop853"), ode_recorded_field(r[j]), rows);
        for (int k = 0; k < RUNS;
             k++) { /* replay, emitted, as it was, replay of the emitted program's field */
            double c[ROWS] = {0.9 + k, 1, 1.1};
            for (int j = 0; j < 2; j++) {
                ode_recorded_set(r[j], 0, rows, c);
                ode_start(s[j], 0, y[0]);
                cr_expect_eq(ode_integrate(s[j], 2, &(ode_options){.rtol = 1e-9, .compiled = j ? k % 3 : 0}),
                             ODE_OK, "%s", ode_message(s[j]));
            }
            cr_expect(!memcmp(ode_y(s[0]), ode_y(s[1]), sizeof y[0] * (size_t)rows), "%d rows, run %d", rows,
                      k);
            cr_expect_eq(ode_counters(s[0]).fields, ode_counters(s[1]).fields);
        }
        for (int j = 0; j < 2; j++)
            ode_free(s[j]), ode_recorded_free(r[j]);
    }
}
/* Steps so long that sweeps do not contract: the bits of the run without programs, and of its counts. */
/* y += h f(t + h/2, y + h/2 f(t, y)), by a driver of the user. */
static int my_slots(const ode_plan *p) { return (void)p, 2; }
static void my_step(ode_space *s, const ode_plan *p)
{
    const ode_num zero = {0, 0}, half = {0.5, 0}, one = {1, 0};
    (void)p;
    s->ops->eval(s, ODE_ALL, 1, 0, zero);
    s->ops->set(s, ODE_ALL, 2, 0);
    s->ops->addh(s, ODE_ALL, 2, half, 1);
    s->ops->eval(s, ODE_ALL, 1, 2, half);
    s->ops->addh(s, ODE_ALL, 0, one, 1);
}
static int my_keeps(const ode_plan *p, ode_kept *k) { return (void)p, (void)k, 1; }
Test(ode_trace, a_family_of_the_user_is_compiled_when_it_says_what_it_keeps)
{
    const ode_driver says = {"mine", my_slots, NULL, my_step, my_keeps},
                     silent = {"mine", my_slots, NULL, my_step, NULL};
    const ode_method
        compiled = {.name = "mine", .driver = &says, .order = 2, .order_general = 2, .stages = 2},
        refused = {.name = "mine", .driver = &silent, .order = 2, .order_general = 2, .stages = 2},
        *m[] = {&compiled, ode_method_find("midpoint2"), &refused};
    const double one = 1;
    double y[3][SIZE];
    ode_recorded *r = field_of(separable, 1);
    ode_recorded_set(r, 0, 1, &one);
    for (int k = 0; k < 3; k++) {
        ode_solver *s = ode_new(m[k], ode_recorded_field(r));
        ode_start(s, 0, start);
        cr_expect_eq(ode_run(s, 40, 0.1, &(ode_options){.compiled = 1}), k == 2 ? ODE_EINPUT : ODE_OK, "%s",
                     ode_message(s));
        cr_expect_eq(ode_counters(s).steps, k == 2 ? 0 : 40);
        memcpy(y[k], ode_y(s), sizeof y[k]);
        ode_free(s);
    }
    for (int i = 0; i < SIZE; i++)
        cr_expect_float_eq(y[0][i], y[1][i], 1e-14);
    ode_recorded_free(r);
}
Test(ode_trace, compiled_steps_that_sweeps_do_not_solve_are_made_in_the_ordinary_way)
{
    double y[SIZE], c = 1;
    for (int i = 0; i < SIZE; i++)
        y[i] = 0.3 * sin(2 + 5 * i);
    ode_recorded *r = field_of(separable, 1);
    ode_recorded_set(r, 0, 1, &c);
    ode_solver *s[2];
    for (int j = 0; j < 2; j++) {
        s[j] = ode_new(ode_method_find("gauss4"), ode_recorded_field(r));
        ode_start(s[j], 0, y);
        cr_expect_eq(ode_run(s[j], 8, 4.0, &(ode_options){.compiled = j}), ODE_OK, "%s", ode_message(s[j]));
    }
    cr_expect(!memcmp(ode_y(s[0]), ode_y(s[1]), sizeof y));
    cr_expect_gt(ode_counters(s[0]).newtons, 0);
    cr_expect_eq(ode_counters(s[0]).newtons, ode_counters(s[1]).newtons);
    cr_expect_eq(ode_counters(s[0]).unconverged, ode_counters(s[1]).unconverged);
    for (int j = 0; j < 2; j++)
        ode_free(s[j]);
    ode_recorded_free(r);
}
/* y' = y^2: a row that blows up is told as without a program. */
Test(ode_trace, a_row_that_fails_in_a_compiled_step_is_told)
{
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", AD_BATCH, 1);
    ode_recorded *r = ode_recorded_new(&(ode_recording){.f = ad_square(y), .y = y});
    ad_free(t);
    double y0[] = {1, 0.125};
    ode_solver *s = ode_new_batch(ode_method_find("rk4"), ode_recorded_field(r), 2);
    ode_start(s, 0, y0);
    cr_expect_eq(ode_run(s, 400, 0.01, &(ode_options){.compiled = 1}), ODE_OK, "%s", ode_message(s));
    cr_expect_neq(ode_row_status(s, 0, NULL, NULL), ODE_OK);
    cr_expect_eq(ode_row_status(s, 1, NULL, NULL), ODE_OK);
    cr_expect_float_eq(ode_y(s)[1], 1 / (8 - 4.0), 1e-9);
    ode_free(s);
    ode_recorded_free(r);
}

/* Gradient of |y_N|^2 by start, time, step and parameter: the loop against the same steps written out. */
Test(ode_trace, a_loop_of_steps_has_the_gradient_of_the_steps_written_out)
{
    enum { N = 20 };
    const char *name[] = {"verlet", "forest-ruth4", "rk4", "dopri5", "gauss4", "tao2", "gonzalez"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        const ode_method *m = ode_method_find(name[k]);
        int steps = getenv("NOETHER_TEST_SHORT") || k > 3 ? 3 : N;
        double got[2][6][SIZE], path[N * SIZE];
        for (int loop = 0; loop < 2; loop++) {
            ode_recorded *r = field_of(separable, 1);
            ad_tape *t = ad_new();
            ad_var in[] = {ad_input(t, "y", 1, SIZE), ad_input(t, "t", 1, 1), ad_input(t, "h", 1, 1),
                           ad_input(t, "c", 1, 1)};
            ad_var y = in[0], time = in[1], kept = ad_num(0), g[6];
            if (loop)
                y = ode_record(m, r, steps, y, time, in[2], &in[3], OMEGA, 0, &kept);
            else
                for (int n = 0; n < steps; n++, time = ad_add(time, in[2]))
                    y = ode_record_step(m, r, y, time, in[2], &in[3], OMEGA);
            cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s: %s", name[k], ode_recorded_message(r));
            ad_grads(ad_dot(y, y), 4, in, g);
            g[4] = y, g[5] = kept;
            ad_program *p = ad_compile(t, 4, in, 5 + loop, g, NULL);
            cr_assert(p, "%s: %s", name[k], ad_message(t));
            ad_work *w = ad_work_new(p, NULL);
            const double at = 0.4, h = 0.05, c = 0.9;
            cr_assert_eq(ad_run(w, 1, (const void *[]){start, &at, &h, &c},
                                (void *[]){got[loop][0], got[loop][1], got[loop][2], got[loop][3],
                                           got[loop][4], path}),
                         AD_OK);
            ad_work_free(w), ad_program_free(p), ad_free(t);
            ode_recorded_free(r);
        }
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < (i % 4 ? 1 : SIZE); j++)
                cr_expect_float_eq(got[0][i][j], got[1][i][j], 1e-12 * (1 + fabs(got[0][i][j])),
                                   "%s [%d][%d]: %g %g", name[k], i, j, got[0][i][j], got[1][i][j]);
        for (int j = 0; j < SIZE; j++)
            cr_expect_eq(path[(steps - 1) * SIZE + j], got[1][4][j], "%s: the trajectory ends at the end",
                         name[k]);
    }
    ode_recorded *r = field_of(separable, 1);
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", 1, SIZE), c = ad_num(1);
    cr_expect(
        ad_is_number(ode_record(ode_method_find("rk4"), r, 0, y, ad_num(0), ad_num(0.1), &c, 0, 0, NULL)));
    cr_expect(strstr(ode_recorded_message(r), "0 steps"), "%s", ode_recorded_message(r));
    ad_free(t);
    ode_recorded_free(r);
}
/* The force at the end of a step is the one that the next begins with. */
Test(ode_trace, a_loop_of_steps_evaluates_the_force_once_where_steps_meet)
{
    static const char *const name[] = {"verlet-dkd", "verlet", "forest-ruth4"}; /* forces: 1, 1, 3 */
    double flops[3];
    ode_recorded *r = field_of(separable, 1);
    for (int k = 0; k < 3; k++) {
        ad_tape *t = ad_new();
        ad_var y = ad_input(t, "y", 1, SIZE), h = ad_input(t, "h", 1, 1), c = ad_num(1),
               end = ode_record(ode_method_find(name[k]), r, 1000, y, ad_num(0), h, &c, 0, 0, NULL);
        ad_program *p = ad_compile(t, 2, (ad_var[]){y, h}, 1, &end, NULL);
        cr_assert(p, "%s: %s", name[k], ad_message(t));
        ad_report report;
        ad_program_report(p, &report);
        flops[k] = report.flops;
        ad_program_free(p), ad_free(t);
    }
    cr_expect_leq(flops[1], flops[0]);
    cr_expect_leq(flops[2], 3 * flops[1]);
    ode_recorded_free(r);
}
