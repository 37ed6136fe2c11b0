/* test_ode_reversible.c - steps on a grid of integers: undone to the bit, within the grid's resolution of the row's own step, and
 * with the gradient of the recorded loop in memory that no run makes larger. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "ode.h"
#include "ode_field.h"

enum { SIZE = 4, ROWS = 3 };
static const char driven[] =
    "(p[1]^2 + p[2]^2)/2 + p[1]^4/40 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3) + 0.02*q[1]*sin(2*t)",
                  mixed[] = "(1 + q[1]^2)*p[1]^2/2 + p[2]^2/2 + c*q[1]*q[2] + t*q[1]";
static const double start[ROWS][SIZE] = {{0.3, -0.2, 0.25, 0.3}, {0.1, 0.2, 0, -0.3}, {-0.2, 0.25, 0.125, 0}};

static int shortened(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }
static int is_split(const ode_method *m, const ode_field *f)
{
    return !ode_method_refuses(m, f) && (m->needs & ODE_SEPARABLE) && m->order <= 6;
}

Test(ode_reversible, what_is_run_is_undone_to_the_bit)
{
    const double c[ROWS] = {0.5, 0.4, 0.3};
    ode_recorded *r = field_of(driven, AD_BATCH);
    ode_recorded_set(r, 0, ROWS, c);
    int64_t steps = shortened() ? 20 : 1000;
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        if (!is_split(m, ode_recorded_field(r)))
            continue;
        double first[ROWS * SIZE], middle[ROWS * SIZE], gq, gp;
        ode_reversible *x = ode_reversible_new(m, ode_recorded_field(r), ROWS, 0.4, 0.1, start[0], 0, 0);
        cr_assert_eq(ode_reversible_status(x), ODE_OK, "%s: %s", m->name, ode_reversible_message(x));
        ode_reversible_grid(x, &gq, &gp);
        memcpy(first, ode_reversible_y(x), sizeof first);
        for (int k = 0; k < ROWS * SIZE; k++)
            cr_expect_leq(fabs(first[k] - (&start[0][0])[k]), (k % SIZE < 2 ? gq : gp) / 2);
        ode_reversible_run(x, steps);
        memcpy(middle, ode_reversible_y(x), sizeof middle);
        cr_expect_float_eq(ode_reversible_t(x), 0.4 + 0.1 * (double)steps, 1e-12);
        ode_reversible_run(x, 2 * steps), ode_reversible_run(x, -2 * steps);
        cr_expect_eq(memcmp(middle, ode_reversible_y(x), sizeof middle), 0, "%s", m->name);
        ode_reversible_run(x, -steps);
        cr_expect_eq(memcmp(first, ode_reversible_y(x), sizeof first), 0, "%s", m->name);
        ode_reversible_run(x, -steps), ode_reversible_run(x, steps); /* before the start, too */
        cr_expect_eq(memcmp(first, ode_reversible_y(x), sizeof first), 0, "%s", m->name);
        ode_reversible_free(x);
    }
    ode_recorded_free(r);
}

Test(ode_reversible, a_step_is_that_of_the_row_within_the_resolution_of_the_grid)
{
    const double c = 0.5;
    ode_recorded *r = field_of(driven, 1);
    ode_recorded_set(r, 0, 1, &c);
    const double grids[] = {0, 0x1p-45, 1e-8};
    for (int i = 0; i < ode_method_count(); i++)
        for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
            const ode_method *m = ode_method_at(i);
            if (!is_split(m, ode_recorded_field(r)))
                continue;
            ode_reversible *x =
                ode_reversible_new(m, ode_recorded_field(r), 1, 0.4, 0.1, start[0], grids[g], grids[g]);
            ode_solver *s = ode_new(m, ode_recorded_field(r));
            double gq, gp, grid;
            ode_reversible_grid(x, &gq, &gp);
            grid = fmax(gq, gp);
            cr_expect(g == 0 || (grid <= grids[g] && grid > grids[g] / 2));
            for (int k = 0; k < 5;
                 k++) { /* each time from the same point: half a unit a shear, passed on by the next */
                ode_start(s, ode_reversible_t(x), ode_reversible_y(x));
                ode_run(s, 1, 0.1, NULL);
                cr_assert_eq(ode_reversible_run(x, 1), ODE_OK, "%s", ode_reversible_message(x));
                for (int j = 0; j < SIZE; j++)
                    cr_expect_leq(fabs(ode_y(s)[j] - ode_reversible_y(x)[j]), grid * m->stages + 4e-16,
                                  "%s: %g", m->name, ode_y(s)[j] - ode_reversible_y(x)[j]);
            }
            ode_free(s);
            ode_reversible_free(x);
        }
    ode_recorded_free(r);
}

/* loss = sum over the states after steps N/2 and N of weight y^2: by the recorded loop, and running backward. */
enum { N = 100 };
static const double weight[SIZE] = {1, 0.5, -0.75, 2};
static double recorded(const ode_method *m, ode_recorded *r, int rows, const double c[], double dy[],
                       double dc[], double *dt, double *dh)
{
    ad_tape *t = ad_new();
    ad_var in[] = {ad_input(t, "y", rows > 1 ? AD_BATCH : 1, SIZE), ad_input(t, "t", 1, 1),
                   ad_input(t, "h", 1, 1), ad_input(t, "c", rows > 1 ? AD_BATCH : 1, 1)},
           w = ad_const(t, 1, SIZE, weight), time = rows > 1 ? ad_add(in[1], ad_mul(0, in[3])) : in[1],
           at = ad_add(time, ad_mul(N / 2, in[2])), y[2], out[5];
    y[0] = ode_record(m, r, N / 2, in[0], time, in[2], &in[3], 0, 0, NULL);
    y[1] = ode_record(m, r, N / 2, y[0], at, in[2], &in[3], 0, 0, NULL);
    out[4] = ad_add(ad_sum(ad_mul(w, ad_square(y[0]))), ad_sum(ad_mul(w, ad_square(y[1]))));
    ad_grads(out[4], 4, in, out);
    ad_program *p = ad_compile(t, 4, in, 5, out, NULL);
    cr_assert(p, "%s %s", ad_message(t), ode_recorded_message(r));
    ad_work *work = ad_work_new(p, NULL);
    double t0 = 0.4, h = 0.1, loss;
    cr_assert_eq(ad_run(work, rows, (const void *[]){start, &t0, &h, c}, (void *[]){dy, dt, dh, dc, &loss}),
                 AD_OK);
    ad_work_free(work), ad_program_free(p), ad_free(t);
    return loss;
}
static void add_loss(const ode_reversible *x, int rows, double *loss, double dy[])
{
    for (int i = 0; i < rows * SIZE; i++) {
        double y = ode_reversible_y(x)[i];
        *loss += weight[i % SIZE] * y * y, dy[i] += 2 * weight[i % SIZE] * y;
    }
}
static void near(const char *name, int n, const double got[], const double want[])
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(want[i]));
    for (int i = 0; i < n; i++)
        cr_expect_float_eq(got[i], want[i], 1e-11 * most, "%s[%d]: %.15g, not %.15g", name, i, got[i],
                           want[i]);
}
Test(ode_reversible, the_gradient_running_backward_is_that_of_the_recorded_loop)
{
    for (int rows = 1; rows <= ROWS; rows += 2) {
        const double c[ROWS] = {0.5, 0.4, 0.3};
        ode_recorded *r = field_of(driven, rows > 1 ? AD_BATCH : 1);
        ode_recorded_set(r, 0, rows, c);
        for (int i = 0; i < ode_method_count(); i++) {
            const ode_method *m = ode_method_at(i);
            if (!is_split(m, ode_recorded_field(r)) || (shortened() && i % 8))
                continue;
            double want[3][ROWS * SIZE],
                dy[ROWS * SIZE] = {0}, dc[ROWS] = {0}, dt = 0, dh = 0, loss = 0, *dparam[] = {dc}, by_t, by_h,
                          value = recorded(m, r, rows, c, want[0], want[1], &by_t, &by_h);
            ode_reversible *x = ode_reversible_new(m, ode_recorded_field(r), rows, 0.4, 0.1, start[0], 0, 0);
            ode_reversible_run(x, N);
            for (int part = 0; part < 2; part++) {
                add_loss(x, rows, &loss, dy);
                cr_assert_eq(ode_reversible_back(x, N / 2, dy, &dt, &dh, dparam), ODE_OK, "%s",
                             ode_reversible_message(x));
            }
            near(m->name, 1, &loss, &value), near("dy", rows * SIZE, dy, want[0]),
                near("dc", rows, dc, want[1]);
            near("dt", 1, &dt, &by_t), near("dh", 1, &dh, &by_h);
            cr_expect_float_eq(ode_reversible_t(x), 0.4, 1e-15);
            ode_reversible_free(x);
        }
        ode_recorded_free(r);
    }
}
Test(ode_reversible, one_value_for_all_rows_gets_the_sum_of_their_derivatives)
{
    const double c = 0.5, each[ROWS] = {c, c, c};
    double sum[2] = {0}, dc[ROWS] = {0}, *dparam[] = {dc};
    ode_recorded *r = field_of(driven, AD_BATCH);
    for (int k = 0; k < 2; k++) {
        ode_recorded_set(r, 0, k ? ROWS : 1, k ? each : &c);
        double dy[ROWS * SIZE];
        for (int i = 0; i < ROWS * SIZE; i++)
            dy[i] = cos(i);
        memset(dc, 0, sizeof dc);
        ode_reversible *x = ode_reversible_new(ode_method_find("verlet"), ode_recorded_field(r), ROWS, 0, 0.1,
                                               start[0], 0, 0);
        ode_reversible_run(x, 30);
        cr_assert_eq(ode_reversible_back(x, 30, dy, NULL, NULL, dparam), ODE_OK, "%s",
                     ode_reversible_message(x));
        cr_expect_eq(ode_reversible_back(x, 0, dy, NULL, NULL, NULL), ODE_OK);
        for (int b = 0; b < ROWS; b++)
            sum[k] += dc[b];
        cr_expect(k || (dc[1] == 0 && dc[2] == 0));
        ode_reversible_free(x);
    }
    near("dc", 1, sum, sum + 1);
    ode_recorded_free(r);
}

Test(ode_reversible, a_run_and_its_gradient_allocate_nothing_however_long)
{
    const double c = 0.5;
    double dy[SIZE] = {1, 1, 1, 1};
    int64_t steps = shortened() ? 500 : 100000;
    ode_recorded *r = field_of(driven, 1);
    ode_recorded_set(r, 0, 1, &c);
    ode_reversible *x =
        ode_reversible_new(ode_method_find("verlet"), ode_recorded_field(r), 1, 0, 0.01, start[0], 0, 0);
    ode_reversible_run(x, 1);
    ode_reversible_back(x, 1, dy, NULL, NULL, NULL);
    failalloc_arm(1, 1);
    ode_reversible_run(x, steps);
    ode_reversible_back(x, steps, dy, NULL, NULL, NULL);
    cr_expect_eq(failalloc_disarm(), 0);
    cr_expect_eq(ode_reversible_status(x), ODE_OK, "%s", ode_reversible_message(x));
    ode_reversible_free(x);
    ode_recorded_free(r);
}

/* dq/dt = p, dp/dt = 1e3 q^2: from a callback; it leaves every grid in the end. */
static int T_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[1];
    return 0;
}
static int V_q(void *u, double t, const double y[], double g[])
{
    (void)t;
    g[0] = -1e3 * y[0] * y[0];
    return u && y[0] > 2 ? *(int *)u : 0;
}
Test(ode_reversible, a_step_that_cannot_be_made_leaves_the_state_where_it_began)
{
    int fails = 1;
    for (int way = 0; way < 2; way++) {
        ode_field f = {.size = 2,
                       .kind = ODE_CANONICAL | ODE_SEPARABLE,
                       .dHdp = T_p,
                       .dHdq = V_q,
                       .user = way ? &fails : NULL};
        const double y0[] = {0.5, 0.5};
        double last[2], y[2];
        ode_reversible *x = ode_reversible_new(ode_method_find("forest-ruth4"), &f, 1, 0, 0.01, y0, 0, 0);
        int64_t made = 0;
        do
            memcpy(last, ode_reversible_y(x), sizeof last), made++;
        while (!ode_reversible_run(x, 1) && made < 1000);
        cr_expect_eq(ode_reversible_status(x), ODE_EVALUE);
        cr_expect(strstr(ode_reversible_message(x), way ? "the field failed" : "leaves the grid"), "%s",
                  ode_reversible_message(x));
        cr_expect_eq(memcmp(last, ode_reversible_y(x), sizeof last), 0);
        char where[80];
        snprintf(where, sizeof where, "y = %.9g %.9g)", last[0], last[1]);
        cr_expect(strstr(ode_reversible_message(x), where), "%s", ode_reversible_message(x));
        cr_expect_float_eq(ode_reversible_t(x), 0.01 * (double)(made - 1), 1e-14);
        cr_expect_eq(ode_reversible_run(x, 1), ODE_EVALUE, "the error stays");
        memcpy(y, y0, sizeof y);
        cr_expect_eq(ode_reversible_back(x, 1, y, NULL, NULL, NULL), ODE_EVALUE);
        ode_reversible_free(x);
    }
}

static int fails_soon(void *user, double t, const double y[], double g[])
{
    int *left = user;
    (void)t;
    g[0] = y[0];
    return --*left < 0;
}
/* The most steps that can be asked for, either way, are made one by one until something stops them. */
Test(ode_reversible, the_longest_runs_there_are_make_steps)
{
    for (int back = 0; back < 2; back++) {
        int left = 40;
        const ode_field f = {
            .size = 2, .kind = ODE_CANONICAL | ODE_SEPARABLE, .dHdp = T_p, .dHdq = fails_soon, .user = &left};
        ode_reversible *x =
            ode_reversible_new(ode_method_find("verlet-dkd"), &f, 1, 0, 0.125, (double[]){0.5, 0.5}, 0, 0);
        cr_expect_eq(ode_reversible_run(x, back ? INT64_MIN : INT64_MAX), ODE_EVALUE);
        cr_expect_eq(ode_reversible_t(x), back ? -39 * 0.125 : 39 * 0.125, "%s", ode_reversible_message(x));
        ode_reversible_free(x);
    }
}
/* Of a state near the smallest numbers there are, the grid is the smallest number that is not subnormal. */
Test(ode_reversible, a_tiny_start_has_a_grid_and_is_undone)
{
    const ode_field f = {.size = 2, .kind = ODE_CANONICAL | ODE_SEPARABLE, .dHdp = T_p, .dHdq = V_q};
    const double size[] = {0, 1e-250, 1e-295, 1e-305, 1e-310};
    for (int k = 0; k < 5; k++) {
        double y0[] = {size[k], -size[k]}, first[2], q, p, h = 100;
        ode_reversible *x = ode_reversible_new(ode_method_find("verlet"), &f, 1, 0, h, y0, 0, 0);
        cr_assert_eq(ode_reversible_status(x), ODE_OK, "%g: %s", size[k], ode_reversible_message(x));
        ode_reversible_grid(x, &q, &p);
        cr_expect(q >= 0x1p-1022 && p >= 0x1p-1022);
        memcpy(first, ode_reversible_y(x), sizeof first);
        cr_expect_leq(fabs(first[0] - size[k]), q / 2);
        cr_expect_eq(ode_reversible_run(x, 2), ODE_OK, "%g: %s", size[k], ode_reversible_message(x));
        cr_expect_eq(ode_reversible_run(x, -2), ODE_OK);
        cr_expect_eq(memcmp(first, ode_reversible_y(x), sizeof first), 0);
        ode_reversible_free(x);
    }
}

Test(ode_reversible, what_cannot_be_done_says_why)
{
    ode_recorded *r[] = {field_of(driven, 1), field_of(mixed, 1)};
    const ode_field hand = {.size = 2, .kind = ODE_CANONICAL | ODE_SEPARABLE, .dHdp = T_p, .dHdq = V_q};
    const double c = 0.5, nan[SIZE] = {0, NAN};
    const struct {
        const char *method, *says;
        int field, rows, status;
        double h, grid;
        const double *y;
    } bad[] = {{"no-such", "NULL", 0, 1, ODE_EINPUT, 0.1, 0, start[0]},
               {"gauss4", "shears", 0, 1, ODE_EFIELD, 0.1, 0, start[0]},
               {"verlet", "separable", 1, 1, ODE_EFIELD, 0.1, 0, start[0]},
               {"verlet", "step other than 0", 0, 1, ODE_EINPUT, 0, 0, start[0]},
               {"verlet", "recorded for one", 0, 2, ODE_EINPUT, 0.1, 0, start[0]},
               {"verlet", "0 rows", 0, 0, ODE_EINPUT, 0.1, 0, start[0]},
               {"verlet", "y NULL", 0, 1, ODE_EINPUT, 0.1, 0, NULL},
               {"verlet", "not finite", 0, 1, ODE_EINPUT, 0.1, 0, nan},
               {"verlet", "or 0 to choose it", 0, 1, ODE_EINPUT, 0.1, -1, start[0]},
               {"verlet", "needed 2.2", 0, 1, ODE_EINPUT, 0.1, 1e-310, (const double[SIZE]){0}},
               {"verlet", "outside the grid", 0, 1, ODE_EINPUT, 0.1, 1e-40, start[0]}};
    ode_recorded_set(r[0], 0, 1, &c), ode_recorded_set(r[1], 0, 1, &c);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ode_reversible *x =
            ode_reversible_new(ode_method_find(bad[k].method), ode_recorded_field(r[bad[k].field]),
                               bad[k].rows, 0, bad[k].h, bad[k].y, bad[k].grid, bad[k].grid);
        cr_expect_eq(ode_reversible_status(x), bad[k].status, "%zu: %s", k, ode_reversible_message(x));
        cr_expect(strstr(ode_reversible_message(x), bad[k].says), "%s", ode_reversible_message(x));
        cr_expect_eq(ode_reversible_run(x, 1), bad[k].status);
        ode_reversible_free(x);
    }
    double dy[SIZE] = {1};
    for (int k = 0; k < 3; k++) {
        ode_reversible *x = ode_reversible_new(
            ode_method_find("verlet"), k ? ode_recorded_field(r[0]) : &hand, 1, 0, 0.1, start[0], 0, 0);
        cr_expect_neq(ode_reversible_back(x, k == 1 ? -1 : 1, k == 2 ? NULL : dy, NULL, NULL, NULL), ODE_OK);
        cr_expect(strstr(ode_reversible_message(x), k == 0   ? "recorded"
                                                    : k == 1 ? "-1 steps"
                                                             : "dy NULL"),
                  "%s", ode_reversible_message(x));
        ode_reversible_free(x);
    }
    ode_recorded_free(r[0]), ode_recorded_free(r[1]);
}

Test(ode_reversible, out_of_memory_is_a_status_and_leaks_nothing)
{
    const double c[ROWS] = {0.5, 0.4, 0.3};
    for (long n = 1;; n += 1 + n / (shortened() ? 3 : 20)) {
        ode_recorded *r = field_of(driven, AD_BATCH);
        ode_recorded_set(r, 0, ROWS, c);
        double dy[ROWS * SIZE] = {1}, dc[ROWS] = {0}, *dparam[] = {dc};
        ode_reversible_free(ode_reversible_new(ode_method_find("verlet"), ode_recorded_field(r), ROWS, 0, 0.1,
                                               start[0], 0, 0));
        failalloc_arm(n, 1);
        ode_reversible *x = ode_reversible_new(ode_method_find("verlet"), ode_recorded_field(r), ROWS, 0, 0.1,
                                               start[0], 0, 0);
        ode_reversible_run(x, 2);
        ode_reversible_back(x, 2, dy, NULL, NULL, dparam);
        int status = ode_reversible_status(x);
        ode_reversible_free(x);
        long asked = failalloc_disarm();
        ode_recorded_free(r);
        if (asked < n) {
            cr_expect_eq(status, ODE_OK);
            break;
        }
        cr_expect_neq(status, ODE_OK, "allocation %ld of %ld", n, asked);
    }
}
