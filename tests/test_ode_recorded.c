/* test_ode_recorded.c - fields from a tape: what they give, what is found about H, batches with parameters of each row,
 * and every mistake in a recording. Invariant: hand-written derivatives are the reference, here only. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "ode.h"

static const char henon_heiles[] = "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3)";
/* H of a text in q, p, t and one parameter c; rows 1 or AD_BATCH. how: 0 q and p, 1 one input y; each: c by row. */
static ode_recorded *from_text(const char *text, int dof, int rows, int how, int each)
{
    ad_tape *tape = ad_new();
    ad_var y = how ? ad_input(tape, "y", rows, 2 * dof) : ad_num(0);
    ad_var q = how ? ad_cols_of(y, 0, dof) : ad_input(tape, "q", rows, dof);
    ad_var p = how ? ad_cols_of(y, dof, dof) : ad_input(tape, "p", rows, dof);
    ad_var t = ad_input(tape, "t", rows, 1), c = ad_input(tape, "c", each ? rows : 1, 1);
    const char *names[] = {"q", "p", "t", "c"};
    ad_var H = ad_parse(tape, text, 4, names, (ad_var[]){q, p, t, c});
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H,
                                                        .y = y,
                                                        .q = how ? ad_num(0) : q,
                                                        .p = how ? ad_num(0) : p,
                                                        .t = t,
                                                        .params = 1,
                                                        .param = &c});
    cr_expect_eq(ad_status(tape), AD_OK, "%s: %s", text, ad_message(tape));
    ad_free(tape); /* what was recorded is copied */
    return r;
}
static const double one[] = {1};

Test(ode_recorded, text_gives_what_hand_derivation_gives)
{
    const double y[] = {0.3, -0.2, 0.25, 0.4};
    const double gq[] = {y[0] + 2 * y[0] * y[1], y[1] + y[0] * y[0] - y[1] * y[1]};
    const double f[] = {y[2], y[3], -gq[0], -gq[1]};
    const double H = (y[2] * y[2] + y[3] * y[3] + y[0] * y[0] + y[1] * y[1]) / 2 + y[0] * y[0] * y[1] -
                     y[1] * y[1] * y[1] / 3;
    const double J[] = {0, 0, 1, 0, 0, 0, 0, 1, -1 - 2 * y[1], -2 * y[0], 0, 0, -2 * y[0], -1 + 2 * y[1],
                        0, 0};
    for (int k = 0; k < 4; k++) {
        ode_recorded *r = from_text(henon_heiles, 2, k % 2 ? AD_BATCH : 1, k / 2, 0);
        cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
        const ode_field *F = ode_recorded_field(r);
        double out[16];
        cr_expect_neq(F->rhs(F->user, 0, y, out), 0, "c has no value yet");
        cr_expect(strstr(ode_recorded_message(r), "ode_recorded_set"), "%s", ode_recorded_message(r));
        ode_recorded_free(r);
        r = from_text(henon_heiles, 2, k % 2 ? AD_BATCH : 1, k / 2, 0);
        F = ode_recorded_field(r);
        ode_recorded_set(r, 0, 1, one);
        cr_expect_eq(F->size, 4);
        cr_expect_eq(F->kind, ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, "%u", F->kind);
        cr_expect_eq(F->rhs(F->user, 0, y, out), 0, "%s", ode_recorded_message(r));
        for (int i = 0; i < 4; i++)
            cr_expect_float_eq(out[i], f[i], 2e-16, "f[%d] %g", i, out[i] - f[i]);
        F->dHdp(F->user, 0, y, out);
        for (int i = 0; i < 2; i++)
            cr_expect_eq(out[i], y[2 + i]);
        F->dHdq(F->user, 0, y, out);
        for (int i = 0; i < 2; i++)
            cr_expect_float_eq(out[i], gq[i], 2e-16);
        F->energy(F->user, 0, y, out);
        cr_expect_float_eq(out[0], H, 2e-16);
        cr_expect_eq(F->jacobian(F->user, 0, y, out), 0, "%s", ode_recorded_message(r));
        for (int i = 0; i < 16; i++)
            cr_expect_float_eq(out[i], J[i], 1e-15, "J[%d] %g %g", i, out[i], J[i]);
        double same[2][4] = {{y[0], y[1], y[2], y[3]}, {y[0], y[1], y[2], y[3]}}; /* where the state is */
        F->rhs(F->user, 0, same[0], same[0]);
        F->dHdq(F->user, 0, same[1], same[1]);
        for (int i = 0; i < 4; i++)
            cr_expect_float_eq(same[0][i], f[i], 2e-16);
        for (int i = 0; i < 2; i++)
            cr_expect_float_eq(same[1][i], gq[i], 2e-16);
        ode_recorded_free(r);
    }
}

Test(ode_recorded, what_H_is_made_of_is_found)
{
    enum { Q = ODE_SEPARABLE | ODE_QUADRATIC_T, S = ODE_SEPARABLE };
    const struct {
        const char *text;
        int dof;
        unsigned kind;
    } row[] = {{"p^2/2 + 1 - cos(q)", 1, Q},
               {"p^2/(2*c) + q^4", 1, Q},
               {"p^2/2 + q^2*cos(t)", 1, Q},
               {"p^2*(2 + cos(t)) + q^2", 1, 0}, /* T depends on the time: no splitting row expects that */
               {"p^4/4 + q^2", 1, S},
               {"sqrt(1 + p^2) + q^2", 1, S},
               {"(q^2 + 1)*(p^2 + 1)/2", 1, 0},
               {"tanh(p) + tanh(q)", 1, S},
               {"tanh(p + 0.1*q)", 1, 0},
               {"(p[1]^2 + p[2]^2)/2 - 1/sqrt(q[1]^2 + q[2]^2)", 2, Q},
               {"p[1]^2/2 + p[1]*p[2] + p[2]^2/c + q[1]*q[2]", 2, Q},
               {"((p[1] + c*q[2])^2 + (p[2] - c*q[1])^2)/2", 2, 0},
               {"p[1]^2/2 + p[2]^2/2 + p[1]^2*p[2] + q[1]*q[2]", 2, S},
               {"log(q) + p^2/2", 1, Q}, /* not defined at half of the points that are asked */
               {"log(q)*p^2", 1, 0},
               /* what no sample near the origin shows: 0 there, to the bit, with all derivatives */
               {"p^2/2 + max(q - 5, 0)^2*p", 1, 0},
               {"p^2/2 + q^2 + exp(-1e4*(q - 3)^2)*p^2", 1, 0},
               {"p^2/2 + q^2 + max(t - 7, 0)*p", 1, 0},
               {"p^2/2 + max(p - 5, 0)^3 + q^2", 1, S},
               {"p^2/2 + exp(-1e4*(p - 3)^2) + q^2", 1, S},
               {"where(lt(q, 5), p^2/2, p^4)", 1, 0}, /* no derivative by q at all */
               {"where(lt(q, 5), q, 2*q) + p^2/2", 1, Q},
               {"p^2/2 + sqrt(q - 1e9)", 1, Q}, /* not defined wherever it is asked */
               {"p^2/2 + 0*q*p", 1, Q},
               {henon_heiles, 2, Q}};
    for (size_t k = 0; k < sizeof row / sizeof *row; k++)
        for (int how = 0; how < 4; how++) {
            ode_recorded *r = from_text(row[k].text, row[k].dof, how % 2 ? AD_BATCH : 1, how / 2, how == 3);
            cr_expect_eq(ode_recorded_status(r), ODE_OK, "%s: %s", row[k].text, ode_recorded_message(r));
            cr_expect_eq(ode_recorded_field(r)->kind, ODE_CANONICAL | row[k].kind, "%s: %u", row[k].text,
                         ode_recorded_field(r)->kind);
            const ode_method *m = ode_method_find("srkn11b");
            if (row[k].kind)
                cr_expect_eq(ode_method_order(m, ode_recorded_field(r)), row[k].kind == Q ? 6 : 4);
            else
                cr_expect(ode_method_refuses(m, ode_recorded_field(r)));
            ode_recorded_free(r);
        }
}

static int hand_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
static int hand_q(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[0] + 2 * y[0] * y[1];
    g[1] = y[1] + y[0] * y[0] - y[1] * y[1];
    return 0;
}
static int hand_H(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    *H = (y[2] * y[2] + y[3] * y[3] + y[0] * y[0] + y[1] * y[1]) / 2 + y[0] * y[0] * y[1] -
         y[1] * y[1] * y[1] / 3;
    return 0;
}
Test(ode_recorded, every_method_steps_it_as_the_hand_written_field)
{
    const ode_field hand = {.size = 4,
                            .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                            .dHdp = hand_p,
                            .dHdq = hand_q,
                            .energy = hand_H};
    const double y[] = {0.3, -0.2, 0.25, 0.3};
    ode_recorded *r = from_text(henon_heiles, 2, 1, 0, 0);
    ode_recorded_set(r, 0, 1, one);
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        ode_solver *s[2] = {ode_new(m, &hand), ode_new(m, ode_recorded_field(r))};
        for (int k = 0; k < 2; k++) {
            ode_start(s[k], 0, y);
            if (m->needs & ODE_OMEGA)
                ode_coupling(s[k], 4);
            ode_run(s[k], 20, 0.1, NULL);
            cr_expect_eq(ode_status(s[k]), ODE_OK, "%s: %s", m->name, ode_message(s[k]));
        }
        for (int j = 0; j < 4; j++) /* H of a discrete gradient differs by its own rounding */
            cr_expect_float_eq(ode_y(s[0])[j], ode_y(s[1])[j], m->needs & ODE_ENERGY ? 1e-13 : 2e-15,
                               "%s: %g", m->name, ode_y(s[0])[j] - ode_y(s[1])[j]);
        cr_expect_float_eq(ode_energy(s[0]), ode_energy(s[1]), 1e-13);
        ode_free(s[0]), ode_free(s[1]);
    }
    ode_recorded_free(r);
}

enum { ROWS = 33, SIZE = 4 };
static void many_starts(double y[ROWS][SIZE], double c[ROWS])
{
    for (int b = 0; b < ROWS; b++) {
        c[b] = sin(b);
        for (int i = 0; i < SIZE; i++)
            y[b][i] = 0.35 * sin(1 + 3 * b + 7 * i);
    }
}
/* A network of one hidden layer on (q, p), with weights that are parameters of all rows, plus c |z|^2 of each. */
static ode_recorded *network(int rows)
{
    enum { UNITS = 12 };
    static double W[SIZE * UNITS], v[UNITS];
    for (int i = 0; i < SIZE * UNITS; i++)
        W[i] = sin(3 + 5 * i), v[i % UNITS] = 0.3 * cos(2 * i);
    ad_tape *tape = ad_new();
    ad_var y = ad_input(tape, "y", rows, SIZE),
           param[] = {ad_input(tape, "W", SIZE, UNITS), ad_input(tape, "v", UNITS, 1),
                      ad_input(tape, "c", rows, 1)};
    ad_var H =
        ad_add(ad_matmul(ad_tanh(ad_matmul(y, param[0])), param[1]), ad_mul(param[2], ad_row_dot(y, y)));
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H, .y = y, .params = 3, .param = param});
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
    ode_recorded_set(r, 0, SIZE, W), ode_recorded_set(r, 1, UNITS, v);
    ad_free(tape);
    return r;
}
Test(ode_recorded, rows_of_a_batch_are_what_they_would_be_alone)
{
    double y[ROWS][SIZE], c[ROWS];
    many_starts(y, c);
    for (int i = 0; i < ode_method_count(); i++)
        for (int net = 0; net < 2; net++) {
            const ode_method *m = ode_method_at(i);
            ode_recorded *all = net ? network(AD_BATCH) : from_text(henon_heiles, 2, AD_BATCH, 0, 1);
            ode_recorded *own = net ? network(AD_BATCH) : from_text(henon_heiles, 2, AD_BATCH, 0, 1);
            int k = net ? 2 : 0;
            ode_recorded_set(all, k, ROWS, c);
            if (!ode_method_refuses(m, ode_recorded_field(all))) {
                ode_solver *s = ode_new_batch(m, ode_recorded_field(all), ROWS);
                ode_start(s, 0, y[0]);
                if (m->needs & ODE_OMEGA)
                    ode_coupling(s, 4);
                ode_run(s, 3, 0.1, NULL);
                cr_expect_eq(ode_status(s), ODE_OK, "%s: %s; %s", m->name, ode_message(s),
                             ode_recorded_message(all));
                for (int b = 0; b < ROWS; b += 11) {
                    ode_recorded_set(own, k, 1, c + b);
                    ode_solver *a = ode_new(m, ode_recorded_field(own));
                    ode_start(a, 0, y[b]);
                    if (m->needs & ODE_OMEGA)
                        ode_coupling(a, 4);
                    ode_run(a, 3, 0.1, NULL);
                    cr_expect_eq(memcmp(ode_y(s) + b * SIZE, ode_y(a), sizeof y[b]), 0, "%s, row %d: %g",
                                 m->name, b, ode_y(s)[b * SIZE] - ode_y(a)[0]);
                    ode_free(a);
                }
                ode_free(s);
            }
            ode_recorded_free(all), ode_recorded_free(own);
        }
}
Test(ode_recorded, adaptive_rows_with_their_own_parameters_and_times)
{
    /* driven: every row is at its own time, which the field reads */
    double y[ROWS][SIZE], c[ROWS], times[] = {1, 2.5, 4}, out[3][ROWS][SIZE], mine[3][SIZE];
    const char text[] = "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*sin(t)*q[1]";
    many_starts(y, c);
    ode_recorded *all = from_text(text, 2, AD_BATCH, 1, 1), *own = from_text(text, 2, 1, 0, 0);
    ode_recorded_set(all, 0, ROWS, c);
    ode_solver *s = ode_new_batch(ode_method_find("dop853"), ode_recorded_field(all), ROWS);
    ode_start(s, 0, y[0]);
    ode_options o = {.rtol = 1e-9, .atol = 1e-9, .times = times, .time_count = 3, .out = out[0][0]};
    cr_expect_eq(ode_integrate(s, 4, &o), ODE_OK, "%s", ode_message(s));
    for (int b = 0; b < ROWS; b++) {
        ode_recorded_set(own, 0, 1, c + b);
        ode_solver *a = ode_new(ode_method_find("dop853"), ode_recorded_field(own));
        ode_start(a, 0, y[b]);
        o.out = mine[0];
        ode_integrate(a, 4, &o);
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < SIZE; i++)
                cr_expect_float_eq(out[k][b][i], mine[k][i], 1e-13, "row %d", b);
        ode_free(a);
    }
    ode_free(s);
    ode_recorded_free(all), ode_recorded_free(own);
}
/* Each row has its own Newton, with its own parameters in the Jacobian. */
Test(ode_recorded, newton_uses_the_hessian_of_the_row)
{
    double y[ROWS][SIZE], c[ROWS];
    many_starts(y, c);
    for (int b = 0; b < ROWS; b++)
        c[b] = 5 + c[b];
    ode_recorded *r = network(AD_BATCH), *own = network(1);
    ode_recorded_set(r, 2, ROWS, c);
    ode_solver *s = ode_new_batch(ode_method_find("gauss4"), ode_recorded_field(r), ROWS);
    ode_start(s, 0, y[0]);
    ode_run(s, 3, 0.7, NULL);
    cr_expect_eq(ode_status(s), ODE_OK, "%s", ode_message(s));
    cr_expect_gt(ode_counters(s).newtons, 0);
    cr_expect_eq(ode_counters(s).unconverged, 0);
    for (int b = 0; b < ROWS; b += 8) {
        ode_recorded_set(own, 2, 1, c + b);
        ode_solver *a = ode_new(ode_method_find("gauss4"), ode_recorded_field(own));
        ode_start(a, 0, y[b]);
        ode_run(a, 3, 0.7, NULL);
        for (int i = 0; i < SIZE; i++)
            cr_expect_float_eq(ode_y(s)[b * SIZE + i], ode_y(a)[i], 1e-12);
        ode_free(a);
    }
    ode_free(s);
    ode_recorded_free(r), ode_recorded_free(own);
}

Test(ode_recorded, a_vector_field_and_the_energy_it_loses)
{
    for (int rows = -1; rows <= 1; rows += 2)
        for (int timed = 0; timed < 3; timed++) {
            ad_tape *tape = ad_new();
            ad_var y = ad_input(tape, "y", rows, 2), q = ad_cols_of(y, 0, 1), p = ad_cols_of(y, 1, 1),
                   t = timed ? ad_input(tape, "t", timed == 1 ? 1 : rows, 1) : ad_num(0),
                   c = ad_input(tape, "c", 1, 1);
            ad_var f[] = {p, ad_add(ad_neg(ad_sin(q)), ad_mul(c, p))};
            if (timed)
                f[1] = ad_add(f[1], ad_cos(t));
            ad_var field = ad_concat_cols(2, f), H = ad_sub(ad_mul(ad_square(p), 0.5), ad_cos(q));
            ode_recorded *r = ode_recorded_new(
                &(ode_recording){.f = field, .H = H, .y = y, .t = t, .params = 1, .param = &c});
            ad_free(tape);
            cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
            const ode_field *F = ode_recorded_field(r);
            ode_recorded_set(r, 0, 1, (double[]){-0.25});
            cr_expect_eq(F->kind, 0);
            double out[4], at[] = {0.5, 2, -1, 1}, when[] = {0.75, 0.25};
            F->rhs(F->user, 0.75, at, out);
            cr_expect_float_eq(out[1], -sin(0.5) - 0.5 + (timed ? cos(0.75) : 0), 1e-15);
            F->jacobian(F->user, 0.75, at, out);
            const double J[] = {0, 1, -cos(0.5), -0.25};
            for (int i = 0; i < 4; i++)
                cr_expect_float_eq(out[i], J[i], 1e-15);
            /* two rows at two times, even where the recording knows one row or one time only */
            cr_expect_eq(F->rows(F->user, ODE_OF_RHS, 2, (int[]){0, 1}, when, at, out), 0);
            for (int b = 0; b < 2; b++)
                cr_expect_float_eq(out[2 * b + 1],
                                   -sin(at[2 * b]) - 0.25 * at[2 * b + 1] + (timed ? cos(when[b]) : 0),
                                   1e-15);
            ode_solver *s = ode_new(ode_method_find("rk4"), F);
            ode_start(s, 0, at);
            double H0 = ode_energy(s);
            ode_run(s, 100, 0.1, NULL);
            if (!timed)
                cr_expect_lt(ode_energy(s), H0 - 0.1);
            ode_free(s);
            ode_recorded_free(r);
        }
}

Test(ode_recorded, a_wrong_recording_says_what_was_given_and_needed)
{
    ad_tape *t = ad_new(), *u = ad_new();
    ad_var q = ad_input(t, "q", 1, 2), p = ad_input(t, "p", 1, 2), y3 = ad_input(t, "y", 1, 3),
           y = ad_input(t, "z", 1, 4), b = ad_input(t, "b", AD_BATCH, 4), two = ad_input(t, "two", 2, 4),
           c = ad_input(t, "c", 1, 1), cb = ad_input(t, "cb", AD_BATCH, 1), far = ad_input(u, "far", 1, 4),
           p3 = ad_input(t, "p3", 1, 3), none = ad_num(0);
    ad_var H = ad_sum(ad_square(y)), Hb = ad_row_dot(b, b), Hq = ad_add(ad_dot(q, q), ad_dot(p, p)),
           Hc = ad_mul(c, H), wide = ad_square(y);
    const struct {
        ode_recording r;
        const char *says;
    } bad[] = {
        {{.H = H}, "no state"},
        {{.H = H, .q = q}, "no state"},
        {{.H = Hq, .y = y, .q = q, .p = p}, "as well"},
        {{.y = y}, "neither H nor f"},
        {{.H = H, .y = two}, "[2,4]"},
        {{.H = ad_sum(y3), .y = y3}, "even"},
        {{.H = Hq, .q = q, .p = p3}, "[1,3]"},
        {{.H = wide, .y = y}, "H is [1,4], needed [1,1]"},
        {{.H = H, .y = b}, "H is [1,1], needed [B,1]"},
        {{.H = Hb, .y = y}, "needed [1,1]"},
        {{.f = ad_cols_of(y, 0, 3), .y = y}, "f is [1,3], needed [1,4]"},
        {{.H = H, .y = far}, "another tape"},
        {{.H = Hc, .y = y}, "\"c\""}, /* an input that was not named */
        {{.H = Hc, .y = y, .params = -1}, "-1 params"},
        {{.H = Hc, .y = y, .params = 1, .param = NULL}, "NULL"},
        {{.H = Hc, .y = y, .params = 1, .param = &far}, "param[0]"},
        {{.H = H, .y = y, .params = 1, .param = &cb}, "param[0]"},
        {{.H = H, .y = y, .t = q}, "t is [1,2]"},
        {{.H = H, .y = y, .t = cb}, "t is [B,1]"},
        {{.H = none, .y = y}, "neither"},
        {{.H = H, .y = H}, "even"},
    };
    cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ode_recorded *r = ode_recorded_new(&bad[k].r);
        int status = ode_recorded_status(r);
        cr_expect(status == ODE_EINPUT || status == ODE_EFIELD, "%zu", k);
        cr_expect(strstr(ode_recorded_message(r), bad[k].says), "%zu: %s", k, ode_recorded_message(r));
        ode_solver *s = ode_new(ode_method_find("rk4"), ode_recorded_field(r));
        cr_expect_eq(ode_status(s), ODE_EFIELD, "%zu", k);
        ode_free(s);
        ode_recorded_free(r);
        cr_expect_eq(ad_status(t), AD_OK, "%zu leaves an error on the tape: %s", k, ad_message(t));
    }
    ode_recorded_free(ode_recorded_new(NULL));
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = Hc, .y = y, .params = 1, .param = &c});
    cr_expect_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
    int32_t nodes = ad_nodes(t);
    ode_recorded_free(r);
    cr_expect_eq(ad_nodes(t), nodes);
    const struct {
        int i, rows;
        const double *v;
    } set[] = {{-1, 1, one}, {1, 1, one}, {0, 2, one}, {0, 0, one}, {0, 1, NULL}};
    for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
        r = ode_recorded_new(&(ode_recording){.H = Hc, .y = y, .params = 1, .param = &c});
        cr_expect_eq(ode_recorded_set(r, set[k].i, set[k].rows, set[k].v), ODE_EINPUT, "%zu", k);
        cr_expect(strstr(ode_recorded_message(r), "ode_recorded_set"));
        ode_recorded_free(r);
    }
    ad_sin(ad_add(y, q)); /* the tape has an error of its own */
    r = ode_recorded_new(&(ode_recording){.H = H, .y = y});
    cr_expect(strstr(ode_recorded_message(r), "ad_add"), "%s", ode_recorded_message(r));
    ode_recorded_free(r);
    ad_free(t), ad_free(u);
}

Test(ode_recorded, out_of_memory_is_a_status_and_leaks_nothing)
{
    const double y[] = {0.3, -0.2, 0.25, 0.3};
    for (long n = 1;; n++) {
        ad_tape *tape = ad_new();
        ad_var q = ad_input(tape, "q", 1, 2), p = ad_input(tape, "p", 1, 2), c = ad_input(tape, "c", 1, 1);
        const char *names[] = {"q", "p", "c"};
        ad_var H = ad_parse(tape, henon_heiles, 3, names, (ad_var[]){q, p, c});
        failalloc_arm(n, 1);
        ode_recorded *r =
            ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p, .params = 1, .param = &c});
        ode_recorded_set(r, 0, 1, one);
        ode_solver *s = ode_new(ode_method_find("gauss4"), ode_recorded_field(r));
        ode_start(s, 0, y);
        ode_run(s, 1, 0.1, NULL);
        int status = ode_status(s), made = ode_recorded_status(r);
        ode_free(s);
        ode_recorded_free(r);
        long asked = failalloc_disarm();
        cr_expect_eq(failalloc_live(), 0, "allocation %ld", n);
        ad_free(tape);
        if (asked < n) {
            cr_expect_eq(status, ODE_OK);
            break;
        }
        cr_expect(status != ODE_OK, "allocation %ld of %ld, recorded: %d", n, asked, made);
        if (getenv("NOETHER_TEST_SHORT"))
            n += 20;
    }
}
