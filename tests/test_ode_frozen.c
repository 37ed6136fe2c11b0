/* test_ode_frozen.c - derivatives through the accepted steps of adaptive rows: by lists of lengths, at given times, row by row. */
/* SPDX-License-Identifier: MIT */
#include "ode_gradient.h"

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
Test(ode_frozen, through_accepted_steps_it_is_that_of_the_steps_frozen, .timeout = 300)
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

Test(ode_frozen, rows_with_steps_of_their_own_are_one_loop_that_ends_with_steps_of_zero)
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
Test(ode_frozen, at_given_times_it_is_that_of_the_dense_output, .timeout = 300)
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
Test(ode_frozen, times_that_cannot_be_recorded_say_why)
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
Test(ode_frozen, a_terminal_event_ends_the_list_and_a_fixed_step_has_none)
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
