/* test_ode_gradient.c - derivatives of a function of a trajectory through every row, by start, time, step and parameter, first and
 * second. Invariant: the reference never uses a derivative rule: it is differences of order ten of the value alone, in long
 * double, so that neither truncation nor round-off reaches the 1e-10 asked for. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "ode.h"
#include "systems.h"

enum { SIZE = 4, OMEGA = 4, MOST = 400 };
static const char separable[] =
    "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3) + 0.1*q[1]*sin(t)";
static const char any[] =
    "(1 + q[1]^2)*p[1]^2/2 + p[2]^2/2 + c*q[2]*p[1]*p[2]/2 + (q[1]^2 + q[2]^2)/2 + 0.1*q[2]*cos(t)";
/* A particle that starts near the top of a hill: what it starts with grows two-hundredfold in 20 steps. */
static const char hill[] =
    "(p[1]^2 + p[2]^2)/2 + (q[2]^2 - q[1]^2)/2 + c*(q[1]^4 + q[1]*q[2])/4 + 0.01*q[1]*sin(t)";
static const double start[] = {0.3, -0.2, 0.25, 0.3}, top[] = {0.01, 0.02, 0.01, -0.01};

static int shortened(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }
static ode_recorded *field_of(const char *text, int rows)
{
    ad_tape *tape = ad_new();
    ad_var q = ad_input(tape, "q", rows, 2), p = ad_input(tape, "p", rows, 2),
           t = ad_input(tape, "t", rows, 1), c = ad_input(tape, "c", rows, 1);
    const char *names[] = {"q", "p", "t", "c"};
    ad_var H = ad_parse(tape, text, 4, names, (ad_var[]){q, p, t, c});
    ode_recorded *r =
        ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p, .t = t, .params = 1, .param = &c});
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
    ad_free(tape);
    return r;
}

/* The inputs y, t, h, c as one vector x [1, n]; h has one length or one for each step. */
typedef struct {
    const char *name;
    int n, steps, hs; /* elements of x; steps; lengths */
    ad_program *plain, *derived;
    ad_work *wide, *work;
    double x[SIZE + 2 + MOST], v[SIZE + 2 + MOST], reach,
        least; /* reach: what differences may move x by; least: a derivative below
                                                     it is the small difference of large ones */
} map;

/* loss = sum over steps and components of weight y^2, and what is derived from it by x: the gradient, v'Hv. */
static map map_of(const ode_method *m, ode_recorded *r, int steps, int hs, const double h[], double t0,
                  double c)
{
    map a = {.name = m->name, .n = SIZE + 2 + hs, .steps = steps, .hs = hs, .reach = 1e-2};
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, a.n), v = ad_input(t, "v", 1, a.n), y = ad_cols_of(x, 0, SIZE),
           at = ad_cols_of(x, SIZE, 1), par = ad_cols_of(x, SIZE + 1, 1), len = ad_cols_of(x, SIZE + 2, hs),
           path,
           end = hs == 1 ? ode_record(m, r, steps, y, at, len, &par, OMEGA, 0, &path)
                         : ode_record_steps(m, r, y, at, len, &par, OMEGA, 0, &path);
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s: %s", m->name, ode_recorded_message(r));
    double *w = malloc(sizeof *w * (size_t)(steps * SIZE));
    for (int k = 0; k < steps * SIZE; k++)
        w[k] = (1 + 0.5 * sin(3 * k)) / steps;
    ad_var loss = ad_dot(path, ad_mul(ad_const(t, 1, steps * SIZE, w), path)), g = ad_grad(loss, x),
           gv = ad_dot(g, v), vHv;
    free(w);
    ad_jvp(1, &gv, 1, &x, &v, &vHv);
    cr_assert_eq(ad_status(t), AD_OK, "%s: %s", m->name, ad_message(t));
    a.plain = ad_compile(t, 1, &x, 2, (ad_var[]){loss, end}, &(ad_options){.real = AD_F80});
    cr_assert(a.plain, "%s: %s", m->name, ad_message(t));
    a.derived = ad_compile(t, 2, (ad_var[]){x, v}, 4, (ad_var[]){loss, end, g, vHv}, NULL);
    cr_assert(a.derived, "%s: %s", m->name, ad_message(t));
    a.wide = ad_work_new(a.plain, NULL), a.work = ad_work_new(a.derived, NULL);
    ad_free(t);
    memcpy(a.x, start, sizeof start);
    a.x[SIZE] = t0, a.x[SIZE + 1] = c;
    memcpy(a.x + SIZE + 2, h, sizeof *h * (size_t)hs);
    for (int i = 0; i < a.n; i++) /* a direction in everything; a step moves less than the rest */
        a.v[i] = cos(1 + 2 * i) * (i < SIZE + 2 ? 1 : 0.1);
    return a;
}
static void map_free(map *a)
{
    ad_work_free(a->wide), ad_work_free(a->work);
    ad_program_free(a->plain), ad_program_free(a->derived);
}
/* The loss (value[0]) and y_N at x + e d, in long double. */
static void value_at(map *a, const double d[], long double e, long double value[1 + SIZE])
{
    long double x[SIZE + 2 + MOST];
    for (int i = 0; i < a->n; i++)
        x[i] = a->x[i] + e * d[i];
    int status = ad_run(a->wide, 1, (const void *[]){x}, (void *[]){value, value + 1});
    cr_assert_eq(status, AD_OK, "%s: %s", a->name, ad_work_message(a->wide));
}
/* First and second derivative along d: central differences of order ten. Fornberg (1988), Math. Comp. 51, 699-706. */
static void along(map *a, const double d[], long double e, long double first[1 + SIZE],
                  long double second[1 + SIZE])
{
    static const long double w1[] = {0, 5 / 6.0L, -5 / 21.0L, 5 / 84.0L, -5 / 504.0L, 1 / 1260.0L},
                             w2[] = {-5269 / 1800.0L, 5 / 3.0L,     -5 / 21.0L,
                                     5 / 126.0L,      -5 / 1008.0L, 1 / 3150.0L};
    memset(first, 0, sizeof *first * (1 + SIZE)), memset(second, 0, sizeof *second * (1 + SIZE));
    for (int k = -5; k <= 5; k++) {
        long double f[1 + SIZE];
        value_at(a, d, k * e, f);
        for (int j = 0; j <= SIZE; j++) {
            first[j] += (k < 0 ? -1 : 1) * w1[abs(k)] * f[j] / e;
            second[j] += w2[abs(k)] * f[j] / (e * e);
        }
    }
}
/* Gradient and v'Hv against differences; elements of x from `from` on every `every`. Returns the worst relative error. */
static double compare(map *a, int every, double *growth)
{
    static double g[SIZE + 2 + MOST];
    double loss, end[SIZE], vHv, worst = 0;
    long double wide[1 + SIZE], first[1 + SIZE], second[1 + SIZE];
    int status = ad_run(a->work, 1, (const void *[]){a->x, a->v}, (void *[]){&loss, end, g, &vHv});
    cr_assert_eq(status, AD_OK, "%s: %s", a->name, ad_work_message(a->work));
    value_at(a, a->v, 0, wide);
    cr_expect_float_eq(loss, (double)wide[0], 1e-13 * (1 + fabs(loss)), "%s: loss %.17g", a->name, loss);
    for (int i = 0; i < a->n; i += i < SIZE + 2 ? 1 : every) {
        double unit[SIZE + 2 + MOST] = {0};
        unit[i] = 1;
        along(a, unit, a->reach * (i < SIZE + 2 ? 1 : 0.1L), first, second);
        double error = fabs(g[i] - (double)first[0]) / fmax(fabs((double)first[0]), a->least);
        cr_expect_leq(error, 1e-10, "%s: d loss / d x[%d] is %.15g, not %.15g", a->name, i, g[i],
                      (double)first[0]);
        worst = fmax(worst, error);
        for (int j = 1; j <= SIZE && i < SIZE; j++)
            *growth = fmax(*growth, fabs((double)first[j]));
    }
    along(a, a->v, a->reach / 2, first, second);
    double error = fabs(vHv - (double)second[0]) / fabs((double)second[0]);
    cr_expect_leq(error, 1e-10, "%s: v'Hv is %.15g, not %.15g", a->name, vHv, (double)second[0]);
    return fmax(worst, error);
}

Test(ode_gradient, through_every_row_it_is_that_of_the_map_in_long_double, .timeout = 600)
{
    double worst = 0, growth[3] = {0};
    for (int i = 0; i < ode_method_count(); i++)
        for (int which = 0; which < (shortened() ? 2 : 3); which++) {
            const ode_method *m = ode_method_at(i);
            ode_recorded *r = field_of(which == 0 ? separable : which == 1 ? any : hill, 1);
            double h = which == 2 ? 0.3 : 0.1;
            if (!ode_method_refuses(m, ode_recorded_field(r)) && !(shortened() && (i % 8 || m->order > 4))) {
                map a = map_of(m, r, shortened() ? 3 : which == 2 ? 20 : 8, 1, &h, 0.4, 0.9);
                if (which == 2)
                    memcpy(a.x, top, sizeof top),
                        a.reach = 1e-4; /* less would be lost where long double is double */
                worst = fmax(worst, compare(&a, 1, growth + which));
                map_free(&a);
            }
            ode_recorded_free(r);
        }
    cr_log_info("worst relative error %.2g, largest |M| %.2g %.2g %.2g", worst, growth[0], growth[1],
                growth[2]);
    cr_expect(growth[2] <= 1e3 && (growth[2] > 100 || shortened()));
}

/* The steps of a run with tolerances, frozen: the same end, and derivatives by every length and all else. */
static double tolerances(const ode_method *m, ode_recorded *r, double t0, double t1, ode_steps *list,
                         double end[SIZE])
{
    double c = 0.9;
    ode_recorded_set(r, 0, 1, &c);
    ode_solver *s = ode_new(m, ode_recorded_field(r));
    ode_options o = {.rtol = 1e-6, .atol = 1e-8, .accepted = list};
    ode_start(s, t0, start);
    cr_assert_eq(ode_integrate(s, 0.5 * (t0 + t1), &o), ODE_OK, "%s",
                 ode_message(s)); /* two runs, one list */
    cr_assert_eq(ode_integrate(s, t1, &o), ODE_OK, "%s", ode_message(s));
    cr_expect_eq(list->count, ode_counters(s).steps, "%s", m->name);
    cr_expect_eq(list->t, t0);
    memcpy(end, ode_y(s), SIZE * sizeof *end);
    ode_free(s);
    double sum = t0;
    for (int k = 0; k < list->count; k++)
        sum += list->h[k];
    return sum;
}
Test(ode_gradient, through_accepted_steps_it_is_that_of_the_steps_frozen, .timeout = 300)
{
    double growth = 0;
    for (int i = 0; i < ode_method_count(); i++)
        for (int way = -1; way <= 1; way += 2) {
            const ode_method *m = ode_method_at(i);
            double t1 = way * (shortened() ? 0.4 : m->order < 4 ? 1 : 6), end[SIZE];
            if (!(m->flags & ODE_ADAPTIVE) || (shortened() && m->order != 5))
                continue;
            ode_recorded *r = field_of(way > 0 ? separable : any, 1);
            ode_steps list = {0};
            double sum = tolerances(m, r, 0.4, 0.4 + t1, &list, end);
            cr_expect_float_eq(sum, 0.4 + t1, 1e-14);
            map a = map_of(m, r, (int)list.count, (int)list.count, list.h, list.t, 0.9);
            long double wide[1 + SIZE];
            value_at(&a, a.v, 0, wide);
            for (int j = 0; j < SIZE; j++)
                cr_expect_float_eq(end[j], (double)wide[1 + j], 1e-14, "%s: y[%d] differs by %g", m->name, j,
                                   end[j] - (double)wide[1 + j]);
            compare(&a, (int)list.count / 5 + 1, &growth);
            map_free(&a);
            free(list.h);
            ode_recorded_free(r);
        }
    cr_expect_leq(growth, 1e3);
}

Test(ode_gradient, rows_with_steps_of_their_own_are_one_loop_that_ends_with_steps_of_zero)
{
    enum { ROWS = 3 };
    const ode_method *m = ode_method_find("dopri5");
    ode_recorded *r = field_of(separable, AD_BATCH);
    double y[ROWS][SIZE], c = 0.9, got[ROWS][SIZE], t0[ROWS] = {0.4, 0.4, 0.4}, cs[ROWS] = {c, c, c};
    for (int b = 0; b < ROWS; b++)
        for (int i = 0; i < SIZE; i++)
            y[b][i] = start[i] * (1 - 0.3 * b);
    ode_recorded_set(r, 0, 1, &c);
    ode_steps list[ROWS] = {{0}};
    ode_solver *s = ode_new_batch(m, ode_recorded_field(r), ROWS);
    ode_start(s, 0.4, y[0]);
    cr_assert_eq(ode_integrate(s, 3, &(ode_options){.rtol = 1e-7, .atol = 1e-8, .accepted = list}), ODE_OK);
    int most = 0;
    for (int b = 0; b < ROWS; b++)
        most = list[b].count > most ? (int)list[b].count : most;
    cr_expect_neq(list[0].count, list[ROWS - 1].count, "rows of different lengths");
    double *h = calloc((size_t)(ROWS * most), sizeof *h);
    for (int b = 0; b < ROWS; b++)
        memcpy(h + b * most, list[b].h, sizeof *h * (size_t)list[b].count);
    ad_tape *t = ad_new();
    ad_var in[] = {ad_input(t, "y", AD_BATCH, SIZE), ad_input(t, "t", AD_BATCH, 1),
                   ad_input(t, "h", AD_BATCH, most), ad_input(t, "c", AD_BATCH, 1)};
    ad_var end = ode_record_steps(m, r, in[0], in[1], in[2], &in[3], 0, 0, NULL);
    ad_program *p = ad_compile(t, 4, in, 1, &end, NULL);
    cr_assert(p, "%s %s", ad_message(t), ode_recorded_message(r));
    ad_work *w = ad_work_new(p, NULL);
    cr_assert_eq(ad_run(w, ROWS, (const void *[]){y, t0, h, cs}, (void *[]){got}), AD_OK);
    for (int i = 0; i < ROWS * SIZE; i++)
        cr_expect_float_eq((&got[0][0])[i], ode_y(s)[i], 2e-15, "%d: %g", i, (&got[0][0])[i] - ode_y(s)[i]);
    for (int b = 0; b < ROWS; b++)
        free(list[b].h);
    free(h);
    ad_work_free(w), ad_program_free(p), ad_free(t);
    ode_free(s);
    ode_recorded_free(r);
}

/* States at given times by dense output: the solver's, and their derivatives by start, lengths, times, start time, parameter. */
enum { TIMES = 5 };
static map times_of(const ode_method *m, ode_recorded *r, const ode_steps *list, const double times[TIMES])
{
    int steps = (int)list->count;
    map a = {
        .name = m->name, .n = SIZE + 2 + steps + TIMES, .reach = shortened() ? 1e-2 : 1e-3, .least = 0.01};
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, a.n), v = ad_input(t, "v", 1, a.n), y = ad_cols_of(x, 0, SIZE),
           at = ad_cols_of(x, SIZE, 1), par = ad_cols_of(x, SIZE + 1, 1), h = ad_cols_of(x, SIZE + 2, steps),
           when = ad_cols_of(x, SIZE + 2 + steps, TIMES),
           path = ode_record_times(m, r, y, at, h, &par, 0, list, TIMES, times, when);
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s: %s", m->name, ode_recorded_message(r));
    double w[TIMES * SIZE];
    for (int k = 0; k < TIMES * SIZE; k++)
        w[k] = 1 + 0.5 * sin(3 * k);
    ad_var loss = ad_dot(path, ad_mul(ad_const(t, 1, TIMES * SIZE, w), path)), g = ad_grad(loss, x), vHv,
           gv = ad_dot(g, v), last = ad_cols_of(path, (TIMES - 1) * SIZE, SIZE);
    ad_jvp(1, &gv, 1, &x, &v, &vHv);
    a.plain = ad_compile(t, 1, &x, 2, (ad_var[]){loss, last}, &(ad_options){.real = AD_F80});
    a.derived = ad_compile(t, 2, (ad_var[]){x, v}, 4, (ad_var[]){loss, last, g, vHv}, NULL);
    cr_assert(a.plain && a.derived, "%s: %s", m->name, ad_message(t));
    a.wide = ad_work_new(a.plain, NULL), a.work = ad_work_new(a.derived, NULL);
    ad_free(t);
    memcpy(a.x, start, sizeof start);
    a.x[SIZE] = list->t, a.x[SIZE + 1] = 0.9;
    memcpy(a.x + SIZE + 2, list->h, sizeof *list->h * (size_t)steps);
    memcpy(a.x + SIZE + 2 + steps, times, TIMES * sizeof *times);
    for (int i = 0; i < a.n; i++)
        a.v[i] = cos(1 + 2 * i) * (i < SIZE + 2 ? 1 : 0.1);
    return a;
}
Test(ode_gradient, at_given_times_it_is_that_of_the_dense_output, .timeout = 300)
{
    double growth = 0, c = 0.9;
    for (int i = 0; i < ode_method_count(); i++)
        for (int way = -1; way <= 1; way += 2) {
            const ode_method *m = ode_method_at(i);
            if (!(m->flags & ODE_ADAPTIVE) || (shortened() && m->order != 5))
                continue;
            ode_recorded *r = field_of(way > 0 ? separable : any, 1);
            ode_recorded_set(r, 0, 1, &c);
            double part = shortened() ? 0.1 : m->order < 4 ? 0.3 : 1, times[TIMES], out[TIMES][SIZE];
            for (int k = 0; k < TIMES; k++) /* two in one step, one at the end */
                times[k] = 0.4 + way * part * (k < 2 ? 0.1 + 1e-3 * k : k);
            ode_steps list = {0};
            ode_solver *s = ode_new(m, ode_recorded_field(r));
            ode_options o = {.rtol = 1e-6,
                             .atol = 1e-8,
                             .accepted = &list,
                             .times = times,
                             .time_count = TIMES,
                             .out = out[0]};
            ode_start(s, 0.4, start);
            cr_assert_eq(ode_integrate(s, times[TIMES - 1], &o), ODE_OK, "%s", ode_message(s));
            ode_free(s);
            map a = times_of(m, r, &list, times);
            double loss = 0;
            long double wide[1 + SIZE];
            value_at(&a, a.v, 0, wide);
            for (int k = 0; k < TIMES * SIZE; k++)
                loss += (1 + 0.5 * sin(3 * k)) * (&out[0][0])[k] * (&out[0][0])[k];
            cr_expect_float_eq(loss, (double)wide[0], 1e-13 * loss, "%s: the solver's %.17g", m->name, loss);
            for (int j = 0; j < SIZE; j++)
                cr_expect_float_eq(out[TIMES - 1][j], (double)wide[1 + j], 1e-13,
                                   "%s: %g (coefficients up to 50 cancel at the end of a step)", m->name,
                                   out[TIMES - 1][j] - (double)wide[1 + j]);
            compare(&a, 3, &growth);
            map_free(&a);
            free(list.h);
            ode_recorded_free(r);
        }
}
Test(ode_gradient, times_that_cannot_be_recorded_say_why)
{
    double h[] = {0.5, 0.25, 0.25}, good[] = {0.1, 1}, order[] = {0.5, 0.1}, late[] = {0.5, 1.01},
           early[] = {-0.1, 0};
    const ode_steps list = {.h = h, .count = 3};
    const struct {
        const char *method, *says;
        const double *times;
        int n, lengths, status;
    } bad[] = {
        {"rk4", "dense output", good, 2, 3, ODE_EMETHOD},    {"no-such", "NULL", good, 2, 3, ODE_EMETHOD},
        {"dopri5", "out of order", order, 2, 3, ODE_EINPUT}, {"dopri5", "outside", late, 2, 3, ODE_EINPUT},
        {"dopri5", "outside", early, 2, 3, ODE_EINPUT},      {"dopri5", "0 times", good, 0, 3, ODE_EINPUT},
        {"dopri5", "[1,2]", good, 2, 2, ODE_EINPUT},         {"dop853", "", good, 2, 3, ODE_OK}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ode_recorded *r = field_of(separable, 1);
        ad_tape *t = ad_new();
        ad_var y = ad_input(t, "y", 1, SIZE), c = ad_num(0.9), len = ad_input(t, "h", 1, bad[k].lengths),
               out = ode_record_times(ode_method_find(bad[k].method), r, y, ad_num(0), len, &c, 0, &list,
                                      bad[k].n, bad[k].times, ad_num(0));
        cr_expect_eq(ode_recorded_status(r), bad[k].status, "%zu: %s", k, ode_recorded_message(r));
        cr_expect(strstr(ode_recorded_message(r), bad[k].says), "%zu: %s", k, ode_recorded_message(r));
        cr_expect_eq(ad_is_number(out), bad[k].status != ODE_OK);
        ad_free(t);
        ode_recorded_free(r);
    }
}

static double first_coordinate(void *u, double t, const double y[])
{
    (void)u, (void)t;
    return y[0];
}
Test(ode_gradient, a_terminal_event_ends_the_list_and_a_fixed_step_has_none)
{
    ode_recorded *r = field_of(separable, 1);
    double c = 0.9;
    ode_recorded_set(r, 0, 1, &c);
    ode_steps list = {0};
    ode_event stop = {.g = first_coordinate, .terminal = 1};
    ode_solver *s = ode_new(ode_method_find("dop853"), ode_recorded_field(r));
    ode_start(s, 0, start);
    cr_assert_eq(
        ode_integrate(
            s, 10,
            &(ode_options){.rtol = 1e-9, .atol = 1e-9, .accepted = &list, .events = &stop, .event_count = 1}),
        ODE_OK);
    double sum = 0;
    for (int k = 0; k < list.count; k++)
        sum += list.h[k];
    cr_expect_float_eq(sum, ode_t(s), 1e-15);
    cr_expect_lt(ode_t(s), 10);
    free(list.h);
    list = (ode_steps){0};
    cr_expect_eq(ode_integrate(s, 20, &(ode_options){.h = 0.1, .accepted = &list}), ODE_EINPUT);
    cr_expect(strstr(ode_message(s), "accepted"), "%s", ode_message(s));
    cr_expect_eq(list.count, 0);
    ode_free(s);
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", 1, SIZE), par = ad_num(1);
    cr_expect(ad_is_number(
        ode_record_steps(ode_method_find("rk4"), r, y, ad_num(0), ad_num(0.1), &par, 0, 0, NULL)));
    cr_expect(strstr(ode_recorded_message(r), "number"), "%s", ode_recorded_message(r));
    ad_free(t);
    ode_recorded_free(r);
}

/* y' = y^2: the implicit midpoint has no solution when h y > 1/2 or so (a discriminant is negative): never a number then. */
Test(ode_gradient, a_recorded_solve_that_does_not_converge_is_told_with_its_row_and_step)
{
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", AD_BATCH, 1), h = ad_input(t, "h", 1, 1);
    ode_recorded *r = ode_recorded_new(&(ode_recording){.f = ad_square(y), .y = y});
    const ode_method *m = ode_method_find("gauss2");
    ad_var one = ode_record_step(m, r, y, ad_num(0), h, NULL, 0), g[2],
           many = ode_record(m, r, 9, y, ad_num(0), h, NULL, 0, 0, NULL);
    g[0] = one, g[1] = ad_grad(ad_sum(one), y);
    ad_program *p[] = {ad_compile(t, 2, (ad_var[]){y, h}, 2, g, NULL),
                       ad_compile(t, 2, (ad_var[]){y, h}, 1, &many, NULL)};
    cr_assert(p[0] && p[1], "%s %s", ad_message(t), ode_recorded_message(r));
    double y0[] = {0.1, 0.2, 1, 0.3}, step = 1, out[4], slope[4];
    ad_work *w = ad_work_new(p[0], NULL);
    cr_expect_eq(ad_run(w, 4, (const void *[]){y0, &step}, (void *[]){out, slope}), AD_EROOT);
    cr_expect(strstr(ad_work_message(w), "ad_root") && strstr(ad_work_message(w), "row 2"), "%s",
              ad_work_message(w));
    ad_work_free(w);
    w = ad_work_new(p[0], NULL);
    y0[2] = 0.2;
    cr_expect_eq(ad_run(w, 4, (const void *[]){y0, &step}, (void *[]){out, slope}), AD_OK, "%s",
                 ad_work_message(w));
    for (int b = 0; b < 4; b++) { /* y1 = 2/h - y - 2/h sqrt(1 - 2 h y): the closed form and its derivative */
        double root = sqrt(1 - 2 * step * y0[b]);
        cr_expect_float_eq(out[b], (2 - step * y0[b] - 2 * root) / step, 2e-15);
        cr_expect_float_eq(slope[b], -1 + 2 / root, 4e-14, "%d: %.17g", b, slope[b]);
    }
    ad_work_free(w);
    w = ad_work_new(p[1], NULL);
    y0[0] = 0.2;
    cr_expect_eq(ad_run(w, 1, (const void *[]){y0, &step}, (void *[]){out}), AD_EROOT);
    cr_expect(strstr(ad_work_message(w), "step 3"), "%s", ad_work_message(w));
    ad_work_free(w), ad_program_free(p[0]), ad_program_free(p[1]);
    ad_free(t);
    ode_recorded_free(r);
}

/* H = s^2 H1(y / s): the orbit of H1, s times smaller. Solved as well, and told as well where there is no solution. */
Test(ode_gradient, a_small_system_is_solved_as_well_as_a_large_one)
{
    const char *name[] = {"gauss4", "gonzalez", "avf4", "semi-explicit2", "lobatto4", "itoh-abe"};
    const double h = 0.6;
    for (double scale = 1; scale > 1e-31; scale *= 1e-10) {
        ad_tape *t = ad_new();
        ad_var q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1), c = ad_input(t, "c", 1, 1),
               y = ad_input(t, "y", 1, 2), v = ad_input(t, "v", 1, 1), end;
        ode_recorded *r = ode_recorded_new(
            &(ode_recording){.H = ad_expr(t, "p^2*(1 + (q/c)^2/2)/2 - c^2*cos(q/c)", q, p, c),
                             .q = q,
                             .p = p,
                             .params = 1,
                             .param = &c});
        ode_recorded_set(r, 0, 1, &scale);
        double y0[] = {1.2 * scale, 0.3 * scale};
        ad_set(y, 1, y0), ad_set(c, 1, &scale), ad_set(v, 1, &scale);
        for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
            const ode_method *m = ode_method_find(name[k]);
            end = ode_record_step(m, r, y, ad_num(0), ad_num(h), &c, 0);
            const double *got = ad_value(end);
            cr_assert(got, "%s at %g: %s", name[k], scale, ad_message(t));
            ode_solver *s = ode_new(m, ode_recorded_field(r));
            ode_start(s, 0, y0), ode_step(s, h);
            for (int i = 0; i < 2; i++)
                cr_expect_float_eq(got[i] / scale, ode_y(s)[i] / scale, 2e-15, "%s at %g: %g", name[k], scale,
                                   (got[i] - ode_y(s)[i]) / scale);
            ode_free(s);
        }
        ode_recorded_free(r);
        r = ode_recorded_new(&(ode_recording){.f = ad_div(ad_square(v), scale), .y = v});
        end = ode_record_step(ode_method_find("gauss2"), r, v, ad_num(0), ad_num(1), NULL, 0);
        cr_expect(!ad_value(end) && ad_status(t) == AD_EROOT, "at %g: %s", scale, ad_message(t));
        ode_recorded_free(r);
        ad_free(t);
    }
    ad_tape *t = ad_new(); /* at rest at 0 there is no size */
    ad_var y = ad_input(t, "y", 1, 1), end;
    ode_recorded *r = ode_recorded_new(&(ode_recording){.f = ad_sub(1, ad_square(y)), .y = y});
    end = ode_record_step(ode_method_find("gauss10"), r, y, ad_num(0), ad_num(0.5), NULL, 0);
    ad_set(y, 1, (double[]){0});
    cr_expect_float_eq(ad_scalar(end), tanh(0.5), 1e-10, "%s", ad_message(t));
    cr_expect_float_eq(ad_scalar(ad_grad(end, y)), ad_scalar(ad_dtanh(ad_num(0.5))), 1e-10);
    ode_recorded_free(r);
    ad_free(t);
}

/* Sun and five bodies: H = sum |p|^2 / 2m - G sum m m' / r, the masses a parameter, G another. */
enum { BODIES = 6, HALF = 3 * BODIES, PAIRS = BODIES * (BODIES - 1) / 2 };
static ode_recorded *solar(double y0[2 * HALF], double m0[BODIES], double *G0)
{
    const hnn_system *s = hnn_system_find("outer-solar-system", NULL);
    int one[3 * PAIRS], two[3 * PAIRS], of[HALF], n = 0;
    *G0 = s->parameter[0].value;
    for (int b = 0; b < BODIES; b++)
        m0[b] = s->parameter[1 + b].value;
    memcpy(y0, s->start, 2 * HALF * sizeof *y0);
    for (int i = 0; i < 3; i++) /* all x, then all y, then all z of the pairs */
        for (int a = 0; a < BODIES; a++)
            for (int b = 0; b < a; b++, n++)
                one[n] = 3 * a + i, two[n] = 3 * b + i;
    for (int i = 0; i < HALF; i++)
        of[i] = i / 3;
    int first[PAIRS], second[PAIRS];
    for (int k = 0; k < PAIRS; k++)
        first[k] = one[k] / 3, second[k] = two[k] / 3;
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, HALF), p = ad_input(t, "p", 1, HALF), m = ad_input(t, "m", 1, BODIES),
           G = ad_input(t, "G", 1, 1);
    ad_var d = ad_square(ad_sub(ad_gather_cols(q, 3 * PAIRS, one), ad_gather_cols(q, 3 * PAIRS, two)));
    ad_var r2 =
        ad_add(ad_add(ad_cols_of(d, 0, PAIRS), ad_cols_of(d, PAIRS, PAIRS)), ad_cols_of(d, 2 * PAIRS, PAIRS));
    ad_var mm = ad_mul(ad_gather_cols(m, PAIRS, first), ad_gather_cols(m, PAIRS, second));
    ad_var T = ad_sum(ad_div(ad_square(p), ad_mul(2, ad_gather_cols(m, HALF, of)))),
           V = ad_neg(ad_mul(G, ad_sum(ad_div(mm, ad_sqrt(r2)))));
    ode_recorded *r = ode_recorded_new(
        &(ode_recording){.H = ad_add(T, V), .q = q, .p = p, .params = 2, .param = (ad_var[]){m, G}});
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
    cr_assert(ode_recorded_field(r)->kind & ODE_SEPARABLE);
    ad_free(t);
    return r;
}
enum { ALL = 2 * HALF + BODIES + 2 };
/* Gradient of |q_N|^2 by start, masses, G and h through a long run, and with `second` what its Hessian makes of a start moved by
 * its own size; returns the most bytes that were in use. */
static long solar_gradient(int64_t steps, int64_t checkpoints, int second, double g[ALL])
{
    double y0[2 * HALF], m0[BODIES], G0, h0 = 10, hv[2 * HALF];
    ode_recorded *r = solar(y0, m0, &G0);
    failalloc_arm(0, 0);
    ad_tape *t = ad_new();
    ad_var in[] = {ad_input(t, "y", 1, 2 * HALF), ad_input(t, "m", 1, BODIES), ad_input(t, "G", 1, 1),
                   ad_input(t, "h", 1, 1)},
           dx[5],
           end = ode_record(ode_method_find("verlet"), r, steps, in[0], ad_num(0), in[3], in + 1, 0,
                            checkpoints, NULL),
           q = ad_cols_of(end, 0, HALF);
    ad_grads(ad_dot(q, q), 4, in, dx);
    if (second)
        ad_jvp(1, dx, 1, in, in, dx + 4);
    ad_program *p = ad_compile(t, 4, in, 4 + second, dx, NULL);
    cr_assert(p, "%s %s", ad_message(t), ode_recorded_message(r));
    ad_work *w = ad_work_new(p, NULL);
    int status = ad_run(w, 1, (const void *[]){y0, m0, &G0, &h0},
                        (void *[]){g, g + 2 * HALF, g + 2 * HALF + BODIES, g + 2 * HALF + BODIES + 1, hv});
    cr_assert_eq(status, AD_OK, "%s", ad_work_message(w));
    failalloc_disarm();
    long peak = failalloc_peak();
    for (int i = 0; second && i < 2 * HALF; i++)
        cr_expect(isfinite(hv[i]) && hv[i] != 0);
    ad_work_free(w), ad_program_free(p), ad_free(t);
    ode_recorded_free(r);
    return peak;
}
/* The same running backward on integers. */
static void solar_backward(int64_t steps, double g[ALL])
{
    double y0[2 * HALF], m0[BODIES], G0;
    ode_recorded *r = solar(y0, m0, &G0);
    ode_recorded_set(r, 0, 1, m0), ode_recorded_set(r, 1, 1, &G0);
    ode_reversible *x =
        ode_reversible_new(ode_method_find("verlet"), ode_recorded_field(r), 1, 0, 10, y0, 0, 0);
    ode_reversible_run(x, steps);
    memset(g, 0, ALL * sizeof *g);
    for (int i = 0; i < HALF; i++)
        g[i] = 2 * ode_reversible_y(x)[i];
    ode_reversible_back(x, steps, g, NULL, g + ALL - 1, (double *[]){g + 2 * HALF, g + 2 * HALF + BODIES});
    cr_assert_eq(ode_reversible_status(x), ODE_OK, "%s", ode_reversible_message(x));
    ode_reversible_free(x);
    ode_recorded_free(r);
}
Test(ode_gradient, of_a_hundred_thousand_steps_of_six_bodies_takes_less_than_8_MiB, .timeout = 300)
{
    double g[ALL], all[ALL], few[ALL], back[ALL];
    int64_t steps = shortened() ? 300 : 100000;
    long peak = solar_gradient(steps, 0, 0, g), peak2 = solar_gradient(steps / 5, 0, 1, all);
    cr_log_info("peak of %lld steps: %.2f MiB; of the Hessian's product through a fifth: %.2f MiB",
                (long long)steps, (double)peak / 1048576, (double)peak2 / 1048576);
    cr_expect_leq(peak, 8L << 20, "tape, program, workspace and checkpoints: %ld bytes", peak);
    cr_expect_leq(peak2, 8L << 20, "second derivatives: %ld bytes", peak2);
    for (int i = 0; i < ALL; i++)
        cr_expect(isfinite(g[i]) && g[i] != 0, "%d: %g", i, g[i]);
    solar_gradient(steps / 100, steps / 100, 0, all), solar_gradient(steps / 100, 3, 0, few);
    solar_backward(steps / 100, back);
    for (int i = 0; i < ALL; i++) { /* the same steps are recomputed from wherever they are kept, or undone */
        cr_expect_eq(all[i], few[i], "%d: %.17g %.17g", i, all[i], few[i]);
        cr_expect_float_eq(back[i], all[i], 1e-10 * fabs(all[i]), "%d: %.17g %.17g", i, back[i], all[i]);
    }
}

Test(ode_gradient, out_of_memory_is_a_status_and_leaks_nothing, .timeout = 120)
{
    for (long n = 1;; n += 1 + n / (shortened() ? 4 : 40)) {
        ode_recorded *r = field_of(separable, 1);
        double c = 0.9;
        ode_recorded_set(r, 0, 1, &c);
        failalloc_arm(n, 1);
        ode_steps list = {0};
        ode_solver *s = ode_new(ode_method_find("dopri5"), ode_recorded_field(r));
        ode_start(s, 0, start);
        ode_integrate(s, 0.2, &(ode_options){.rtol = 1e-4, .accepted = &list});
        ad_tape *t = ad_new();
        ad_var y = ad_input(t, "y", 1, SIZE), h = ad_input(t, "h", 1, 2), par = ad_num(1),
               end = ode_record_steps(ode_method_find("gauss4"), r, y, ad_num(0), h, &par, 0, 0, NULL);
        double lengths[] = {0.1, 0.1}, times[] = {0.05, 0.1};
        ad_var path = ode_record_times(ode_method_find("dopri5"), r, y, ad_num(0), h, &par, 0,
                                       &(ode_steps){.h = lengths, .count = 2}, 2, times, ad_num(0));
        int bad = ode_status(s) || ode_recorded_status(r) || ad_status(t) || ad_is_number(end) ||
                  ad_is_number(path);
        ad_free(t);
        ode_free(s);
        free(list.h);
        long asked = failalloc_disarm();
        ode_recorded_free(r);
        if (asked < n) {
            cr_expect(!bad, "%ld allocations are enough", asked);
            break;
        }
        cr_expect(bad, "allocation %ld of %ld", n, asked);
    }
}
