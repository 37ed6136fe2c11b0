/* test_ode_solver.c - what each row keeps, and what a solver says when it cannot go on.
 * Invariant: expectations come from the row (symplectic, symmetric, exact energy), never from its name. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ode.h"

static int V_q(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[0] + 2 * y[0] * y[1];
    g[1] = y[1] + y[0] * y[0] - y[1] * y[1];
    return 0;
}
static int T_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
static int henon_heiles(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    *H = (y[2] * y[2] + y[3] * y[3] + y[0] * y[0] + y[1] * y[1]) / 2 + y[0] * y[0] * y[1] -
         y[1] * y[1] * y[1] / 3;
    return 0;
}
static int henon_heiles_jacobian(void *u, double t, const double y[], double J[])
{
    (void)u, (void)t;
    memset(J, 0, 16 * sizeof *J);
    J[2] = J[7] = 1;
    J[8] = -1 - 2 * y[1], J[9] = J[12] = -2 * y[0], J[13] = -1 + 2 * y[1];
    return 0;
}
static const ode_field hh = {.size = 4,
                             .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                             .dHdp = T_p,
                             .dHdq = V_q,
                             .energy = henon_heiles,
                             .jacobian = henon_heiles_jacobian};

/* H = sum_k w_k tanh(a_k . z), not separable, with its exact derivatives. */
enum { UNITS = 6 };
static double unit_w(int k) { return 0.5 + 0.13 * k; }
static double unit_a(int k, int i) { return sin(1.7 * k + 2.3 * i + 0.4) * 0.9; }
static double unit_z(const double y[], int k)
{
    double s = 0.1 * k;
    for (int i = 0; i < 4; i++)
        s += unit_a(k, i) * y[i];
    return s;
}
static int net_H(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    *H = 0;
    for (int k = 0; k < UNITS; k++)
        *H += unit_w(k) * tanh(unit_z(y, k));
    return 0;
}
static int net_f(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t;
    memset(f, 0, 4 * sizeof *f);
    for (int k = 0; k < UNITS; k++) {
        double c = cosh(unit_z(y, k)), d = unit_w(k) / (c * c);
        for (int i = 0; i < 2; i++)
            f[i] += d * unit_a(k, i + 2), f[i + 2] -= d * unit_a(k, i);
    }
    return 0;
}
static int net_J(void *u, double t, const double y[], double J[])
{
    (void)u, (void)t;
    memset(J, 0, 16 * sizeof *J);
    for (int k = 0; k < UNITS; k++) {
        double z = unit_z(y, k), c = cosh(z), d = -2 * unit_w(k) * tanh(z) / (c * c);
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 4; j++) {
                J[i * 4 + j] += d * unit_a(k, i + 2) * unit_a(k, j);
                J[(i + 2) * 4 + j] -= d * unit_a(k, i) * unit_a(k, j);
            }
    }
    return 0;
}
static const ode_field net = {
    .size = 4, .kind = ODE_CANONICAL, .rhs = net_f, .energy = net_H, .jacobian = net_J};
static const double start[] = {0.3, -0.2, 0.25, 0.3};

static ode_solver *at_start(const char *method, const ode_field *f)
{
    ode_solver *s = ode_new(ode_method_find(method), f);
    ode_start(s, 0, start);
    if (!ode_status(s) && (ode_method_find(method)->needs & ODE_OMEGA))
        ode_coupling(s, 4);
    cr_assert_eq(ode_status(s), ODE_OK, "%s: %s", method, ode_message(s));
    return s;
}

Test(ode_solver, symplectic_rows_and_only_those_keep_area)
{
    const ode_field *fields[] = {&hh, &net};
    for (int i = 0; i < ode_method_count(); i++)
        for (int k = 0; k < 2; k++) {
            const ode_method *m = ode_method_at(i);
            if (ode_method_refuses(m, fields[k]))
                continue;
            double M[16];
            ode_solver *s = at_start(m->name, fields[k]);
            ode_run(s, 5, 0.1, NULL);
            cr_assert_eq(ode_tangent(s, 0.1, M), ODE_OK, "%s: %s", m->name, ode_message(s));
            double defect = ode_symplectic_defect(4, M);
            if (m->flags & ODE_SYMPLECTIC)
                cr_expect_leq(defect, 1e-12, "%s: %g", m->name, defect);
            else if (m->order <= 4)
                cr_expect_geq(defect, 1e-12, "%s claims too little: %g", m->name, defect);
            ode_free(s);
        }
}
Test(ode_solver, loosely_converged_gauss_step_shows_its_defect)
{
    double M[16];
    ode_solver *s = at_start("gauss4", &hh);
    ode_run(s, 1, 0.1, &(ode_options){.schedule = 3});
    ode_tangent(s, 0.1, M);
    cr_expect_gt(ode_symplectic_defect(4, M), 1e-9);
    cr_expect_eq(ode_counters(s).unconverged, 1);
    ode_free(s);
}
Test(ode_solver, symmetric_rows_return)
{
    const ode_field *fields[] = {&hh, &net};
    for (int i = 0; i < ode_method_count(); i++)
        for (int k = 0; k < 2; k++) {
            const ode_method *m = ode_method_at(i);
            if (!(m->flags & ODE_SYMMETRIC) || ode_method_refuses(m, fields[k]))
                continue;
            ode_solver *s = at_start(m->name, fields[k]);
            double r = ode_reversibility(s, 0.1, 10);
            cr_expect(r <= 1e-12, "%s: %g", m->name, r);
            ode_free(s);
        }
}
static double energy_error(const char *method, const ode_field *f, int steps)
{
    ode_solver *s = at_start(method, f);
    double H = ode_energy(s), worst = 0;
    for (int k = 0; k < steps && !ode_step(s, 0.1); k++)
        if (k % 16 == 0)
            worst = fmax(worst, fabs(ode_energy(s) - H));
    cr_expect_eq(ode_counters(s).unconverged, 0, "%s", method);
    cr_expect_eq(ode_status(s), ODE_OK, "%s", ode_message(s));
    ode_free(s);
    return worst / fabs(H);
}
static int far_energy(void *u, double t, const double y[], double *H)
{
    int status = henon_heiles(u, t, y, H);
    *H += 100; /* its round-off, 1e-14, is now large beside that of the state */
    return status;
}

Test(ode_solver, a_step_whose_energy_is_rounded_coarsely_ends_at_that_floor)
{
    ode_field far = hh;
    far.energy = far_energy;
    ode_solver *s = ode_new(ode_method_find("gonzalez"), &far);
    const double y0[] = {0.3, 0.2, 0.1, 0.3};
    double H0, H;
    ode_start(s, 0, y0);
    far_energy(NULL, 0, y0, &H0);
    cr_assert_eq(ode_run(s, 2000, 0.1, NULL), ODE_OK, "%s", ode_message(s));
    far_energy(NULL, 0, ode_y(s), &H);
    cr_expect_leq(fabs(H - H0), 1e-11, "%g", fabs(H - H0));
    cr_expect_eq(ode_counters(s).unconverged, 0);
    ode_free(s);
}

Test(ode_solver, gonzalez_keeps_energy_over_a_million_steps, .timeout = 300)
{
    int n = getenv("NOETHER_TEST_SHORT") ? 1000 : 1000000;
    cr_expect_leq(energy_error("gonzalez", &hh, n), 1e-12);
    cr_expect_leq(energy_error("gonzalez", &net, n), 1e-12);
    cr_expect_leq(energy_error("itoh-abe", &hh, n / 100), 1e-12);
    cr_expect_leq(energy_error("avf4", &hh, n / 10), 1e-12);
    cr_expect_leq(energy_error("gauss10", &hh, n / 10), 1e-12);
    cr_expect_leq(energy_error("gauss12", &hh, n / 10), 1e-12);
    const char *fail[] = {"rk4",          "dopri5",   "verlet",    "forest-ruth4",
                          "blanes-moan4", "yoshida6", "kahan-li6", "gauss4"};
    for (size_t k = 0; k < sizeof fail / sizeof *fail; k++)
        cr_expect_gt(energy_error(fail[k], &hh, 1000), 1e-12, "%s", fail[k]);
}
Test(ode_solver, newton_takes_over_where_sweeps_diverge)
{
    ode_solver *s = at_start("gauss4", &net);
    ode_run(s, 20, 4.0, NULL);
    cr_expect_gt(ode_counters(s).newtons, 0);
    cr_expect_eq(ode_counters(s).unconverged, 0, "%d", (int)ode_counters(s).unconverged);
    /* A differenced matrix steers to the same point, with more evaluations. */
    ode_field blind = net;
    blind.jacobian = NULL;
    ode_solver *b = at_start("gauss4", &blind);
    ode_run(b, 20, 4.0, NULL);
    cr_expect_eq(ode_counters(b).unconverged, 0);
    cr_expect_lt(ode_counters(s).fields, ode_counters(b).fields);
    for (int i = 0; i < 4; i++)
        cr_expect_float_eq(ode_y(s)[i], ode_y(b)[i], 1e-10 * (1 + fabs(ode_y(b)[i])), "%d: %.17g %.17g", i,
                           ode_y(s)[i], ode_y(b)[i]);
    ode_free(s), ode_free(b);
}
Test(ode_solver, adaptive_rows_meet_their_tolerance_and_dense_output_agrees)
{
    const char *name[] = {"bosh3", "dopri5", "tsit5", "dop853"};
    double want[4], mid[4], times[] = {3.123, 7.25, 10}, out[12];
    ode_solver *r = at_start("gauss12", &hh);
    ode_integrate(r, 7.25, &(ode_options){.h = 0.05}), memcpy(mid, ode_y(r), sizeof mid);
    ode_integrate(r, 10, &(ode_options){.h = 0.05}), memcpy(want, ode_y(r), sizeof want);
    ode_free(r);
    for (int k = 0; k < 4; k++) {
        ode_solver *s = at_start(name[k], &hh);
        ode_options o = {.rtol = 1e-9, .atol = 1e-9, .times = times, .time_count = 3, .out = out};
        cr_expect_eq(ode_integrate(s, 10, &o), ODE_OK, "%s", ode_message(s));
        cr_expect_eq(o.written, 3);
        for (int i = 0; i < 4; i++) {
            cr_expect_float_eq(ode_y(s)[i], want[i], 3e-7, "%s", name[k]); /* error per step times steps */
            cr_expect_float_eq(out[4 + i], mid[i], 3e-7, "%s dense", name[k]);
            cr_expect_eq(out[8 + i], ode_y(s)[i]);
        }
        ode_integrate(s, 0, &(ode_options){.rtol = 1e-9, .atol = 1e-9});
        for (int i = 0; i < 4; i++)
            cr_expect_float_eq(ode_y(s)[i], start[i], 1e-6, "%s back", name[k]);
        ode_free(s);
    }
}
static double first_q(void *u, double t, const double y[]) { return (void)u, (void)t, y[0]; }
static int oscillator(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t;
    f[0] = y[1], f[1] = -y[0];
    return 0;
}
Test(ode_solver, events_are_the_zeros_of_the_cosine)
{
    ode_field f = {.size = 2, .rhs = oscillator};
    double times[8], y0[] = {1, 0}, pi = acos(-1.0);
    ode_event e = {.g = first_q, .times = times, .max = 8};
    ode_options o = {.rtol = 1e-12, .atol = 1e-12, .events = &e, .event_count = 1};
    ode_solver *s = ode_new(ode_method_find("dop853"), &f);
    ode_start(s, 0, y0);
    ode_integrate(s, 10, &o);
    cr_expect_eq(e.count, 3);
    for (int k = 0; k < e.count; k++)
        cr_expect_float_eq(times[k], (k + 0.5) * pi, 1e-9);
    e.terminal = 1, e.direction = 1;
    ode_start(s, 0, y0);
    ode_integrate(s, 10, &o);
    cr_expect_float_eq(ode_t(s), 1.5 * pi, 1e-9, "%.17g", ode_t(s));
    ode_free(s);
}
static int blows_up(void *u, double t, const double y[], double f[])
{
    (void)u, (void)t;
    f[0] = y[0] * y[0]; /* y = 1 / (1 - t) */
    return 0;
}
static int square_of(void *user, double t, const double y[], double f[])
{
    (void)user, (void)t;
    f[0] = y[0] * y[0];
    return 0;
}
static int nan_later(void *user, double t, const double y[], double f[])
{
    (void)user;
    f[0] = t > 0.5 ? NAN : y[0];
    return 0;
}
static int fails_later(void *user, double t, const double y[], double f[])
{
    (void)user;
    f[0] = y[0];
    return t > 0.5;
}
static int pole(void *user, double t, const double y[], double f[])
{
    (void)user, (void)y;
    f[0] = 1 / ((t - 0.5) * (t - 0.5) * (t - 0.5));
    return 0;
}
Test(ode_solver, every_failure_says_at_which_time_and_state_and_keeps_what_was_reached)
{
    static const struct {
        const char *method;
        int (*f)(void *user, double t, const double y[], double dydt[]);
        double h, rtol;
        int status, written;
        const char *says;
    } bad[] = {{"rk4", square_of, 0, 0, ODE_EINPUT, 0, "h = 0, needed a step"},
               {"rk4", square_of, NAN, 0, ODE_EINPUT, 0, "h = nan, needed a step"},
               {"dopri5", square_of, 0, 0, ODE_EINPUT, 0, "tolerance 0 and step 0"},
               {"dopri5", square_of, 0, -1, ODE_EINPUT, 0, "tolerance of component 0 is not positive"},
               {"rk4", square_of, 0.1, 0, ODE_EVALUE, 2, "the field is NaN or infinite"},
               {"dopri5", square_of, 0.1, 0, ODE_EVALUE, 2, "the field is NaN or infinite"},
               {"rk4", nan_later, 0.1, 0, ODE_EVALUE, 2, "the field is NaN or infinite"},
               {"dopri5", nan_later, 0, 1e-9, ODE_EVALUE, 2, "the field is NaN or infinite"},
               {"rk4", fails_later, 0.1, 0, ODE_EVALUE, 2, "reported failure"},
               {"dop853", fails_later, 0, 1e-9, ODE_EVALUE, 2, "reported failure"},
               {"dopri5", pole, 0, 1e-9, ODE_ESTUCK, 2, "the step control cannot advance"}};
    const double times[] = {0.2, 0.4, 3}, one = 1;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ode_field f = {.size = 1, .rhs = bad[k].f};
        double out[3];
        ode_solver *s = ode_new(ode_method_find(bad[k].method), &f);
        ode_options o = {.h = bad[k].h, .rtol = bad[k].rtol, .times = times, .time_count = 3, .out = out};
        ode_start(s, 0, &one);
        cr_expect_eq(ode_integrate(s, 3, &o), bad[k].status, "%zu: %s", k, ode_message(s));
        const char *where = strstr(ode_message(s), "(at t = ");
        cr_expect(strstr(ode_message(s), bad[k].says) && where && strstr(where, "y = "), "%zu: %s", k,
                  ode_message(s));
        cr_expect_eq(o.written, bad[k].written, "%zu: %s", k, ode_message(s));
        cr_expect(isfinite(ode_y(s)[0]) && ode_t(s) >= (o.written ? 0.4 : 0));
        ode_free(s);
    }
}
Test(ode_solver, bad_input_says_what_and_where)
{
    ode_field up = {.size = 1, .rhs = blows_up};
    double one = 1, nan_ = NAN, times[] = {0.5, 0.9, 0.99, 2}, out[4];
    ode_solver *s = ode_new(ode_method_find("no-such-method"), &up);
    cr_expect_eq(ode_status(s), ODE_EINPUT);
    ode_free(s);
    s = ode_new(ode_method_find("verlet"), &net);
    cr_expect_eq(ode_status(s), ODE_EFIELD);
    cr_expect(strstr(ode_message(s), "gauss4"), "%s", ode_message(s));
    ode_free(s);
    s = ode_new(ode_method_find("rk4"), &up);
    cr_expect_eq(ode_step(s, 0.1), ODE_EINPUT);
    ode_clear(s);
    cr_expect_eq(ode_start(s, 0, &nan_), ODE_EINPUT);
    ode_clear(s);
    cr_expect_eq(ode_start(s, 0, &one), ODE_OK);
    cr_expect_eq(ode_step(s, 0), ODE_EINPUT);
    ode_clear(s);
    cr_expect_eq(ode_integrate(s, 1, &(ode_options){.rtol = 1e-6}), ODE_EINPUT);
    ode_clear(s);
    cr_expect_eq(ode_integrate(s, 1, NULL), ODE_EINPUT);
    ode_clear(s);
    cr_expect_eq(ode_integrate(s, 1, &(ode_options){.h = 1e-20}), ODE_EINPUT);
    ode_free(s);
    s = ode_new(ode_method_find("dopri5"), &up);
    ode_start(s, 0, &one);
    cr_expect_eq(ode_integrate(s, 2, &(ode_options){0}), ODE_EINPUT);
    ode_clear(s);
    cr_expect_eq(ode_integrate(s, 2, &(ode_options){.rtol = -1}), ODE_EINPUT);
    ode_clear(s);
    ode_options o = {.rtol = 1e-8, .atol = 1e-8, .times = times, .time_count = 4, .out = out};
    int status = ode_integrate(s, 2, &o);
    cr_expect(status == ODE_ESTUCK || status == ODE_EVALUE, "%s", ode_message(s));
    cr_expect_float_eq(ode_t(s), 1, 1e-8, "%s", ode_message(s)); /* the pole, to the tolerance */
    cr_expect(strstr(ode_message(s), "at t = "), "%s", ode_message(s));
    cr_expect_eq(o.written, 3);
    for (int k = 0; k < 3; k++)
        cr_expect_float_eq(out[k] * (1 - times[k]), 1, 1e-4);
    ode_free(s);
}
Test(ode_solver, asking_for_times_does_not_change_a_fixed_step_run)
{
    double times[] = {0, 0.05, 0.1, 0.77, 3.14, 5}, out[24];
    ode_solver *a = at_start("verlet", &hh), *b = at_start("verlet", &hh);
    ode_options o = {.h = 0.1, .times = times, .time_count = 6, .out = out};
    ode_integrate(a, 5, &o), ode_integrate(b, 5, &(ode_options){.h = 0.1});
    cr_expect_eq(o.written, 6);
    for (int i = 0; i < 4; i++) {
        cr_expect_float_eq(ode_y(a)[i], ode_y(b)[i], 1e-15);
        cr_expect_eq(out[i], start[i]);
    }
    ode_free(a), ode_free(b);
}
Test(ode_solver, lyapunov_exponents_of_a_hamiltonian_pair_up)
{
    double l[4];
    ode_solver *s = at_start("gauss6", &hh);
    cr_expect_eq(ode_lyapunov(s, 0.1, 2000, 5, l), ODE_OK, "%s", ode_message(s));
    cr_expect_float_eq(l[0] + l[1] + l[2] + l[3], 0, 1e-12);
    cr_expect_eq(ode_t(s), 0);
    ode_free(s);
}
Test(ode_solver, sections_lie_on_the_section_and_rotation_is_that_of_the_map)
{
    int count;
    double times[20], states[80], turns;
    ode_solver *s = at_start("verlet", &hh);
    cr_expect_eq(ode_section(s, 0.05, 100000, first_q, NULL, 20, times, states, &count), ODE_OK);
    cr_expect_eq(count, 20);
    for (int k = 0; k < count; k++) {
        cr_expect_float_eq(states[4 * k], 0, 1e-12, "%g", states[4 * k]);
        cr_expect_gt(states[4 * k + 2], 0);
    }
    ode_free(s);
    /* harmonic oscillator: a verlet step turns by 2 asin(h / 2) exactly */
    ode_field f = {.size = 2, .rhs = oscillator, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T};
    double y0[] = {1, 0}, h = 0.1;
    s = ode_new(ode_method_find("verlet"), &f);
    ode_start(s, 0, y0);
    cr_expect_eq(ode_rotation(s, h, 4000, 0, 0, 0, &turns), ODE_OK);
    cr_expect_float_eq(turns, -2 * asin(h / 2) / (2 * acos(-1.0)), 1e-12, "%.17g", turns);
    ode_free(s);
}
Test(ode_solver, dense_output_joins_the_ends_of_the_step)
{
    const char *name[] = {"bosh3", "dopri5", "tsit5", "dop853"};
    for (int k = 0; k < 4; k++) {
        ode_solver *s = at_start(name[k], &hh), *fine = at_start("gauss12", &hh);
        double from[4], at[4], t0, h;
        ode_options one = {.h = 0.001, .rtol = 1e-9, .atol = 1e-9, .max_steps = 1};
        cr_expect_eq(ode_dense(s, 0.5, at), ODE_EINPUT, "%s: no step yet", name[k]);
        ode_clear(s);
        t0 = ode_t(s), memcpy(from, ode_y(s), sizeof from);
        ode_integrate(s, 10, &one), ode_clear(s); /* stops after one step: ODE_ELIMIT */
        h = ode_t(s) - t0;
        cr_assert_gt(h, 0);
        ode_integrate(fine, t0 + h / 3, &(ode_options){.h = h / 3});
        for (int i = 0; i < 4; i++) {
            cr_expect_eq(ode_dense(s, 0, at), ODE_OK, "%s", ode_message(s));
            cr_expect_float_eq(at[i], from[i], 4 * DBL_EPSILON, "%s at 0", name[k]);
            ode_dense(s, 1, at);
            cr_expect_float_eq(at[i], ode_y(s)[i], 4 * DBL_EPSILON, "%s at 1", name[k]);
            ode_dense(s, 1. / 3, at);
            cr_expect_float_eq(at[i], ode_y(fine)[i], 1e-8, "%s inside", name[k]); /* a few times rtol */
        }
        ode_free(s), ode_free(fine);
    }
}

Test(ode_solver, volume_defect_is_that_of_the_determinant)
{
    const double shear[] = {1, 5, 0, 1}, twice[] = {2, 0, 0, 1}, flip[] = {0, 1, 1, 0};
    double M[16];
    cr_expect_eq(ode_volume_defect(2, shear), 0);
    cr_expect_eq(ode_volume_defect(2, twice), 1);
    cr_expect_eq(ode_volume_defect(2, flip), 2); /* det -1: pivoting must count its exchange */
    ode_solver *s = at_start("verlet", &hh);
    ode_tangent(s, 0.1, M);
    cr_expect_leq(ode_volume_defect(4, M), 1e-14, "16 entries of round-off");
    ode_free(s);
}

static ode_observer stop_at_three;
static int stop_at_three(void *user, double t, const double y[])
{
    (void)t, (void)y;
    return ++*(int *)user == 3 ? -1 : 0;
}
Test(ode_solver, an_observer_stops_a_run_and_every_status_has_a_name)
{
    int seen = 0;
    ode_solver *s = at_start("verlet", &hh);
    cr_expect_eq(ode_run(s, 10, 0.1, &(ode_options){.every = 1, .observer = stop_at_three, .user = &seen}),
                 ODE_EUSER);
    cr_expect_eq(seen, 3);
    cr_expect_float_eq(ode_t(s), 0.2, 1e-15, "the start is observed, too");
    ode_free(s);
    for (int a = ODE_OK; a <= ODE_EUSER; a++)
        for (int b = ODE_OK; b < a; b++)
            cr_expect(strcmp(ode_status_name(a), ode_status_name(b)) != 0, "%d and %d", a, b);
}

Test(ode_solver, drift_tells_a_line_from_an_oscillation_and_a_walk)
{
    enum { N = 4000 };
    static double t[N], e[N];
    ode_drift d;
    for (int k = 0; k < N; k++)
        t[k] = k, e[k] = 3e-4 * k + 0.01 * sin(0.7 * k);
    ode_drift_of(1, N, t, e, &d);
    cr_expect_float_eq(d.slope, 3e-4, 1e-7);
    cr_expect_float_eq(d.amplitude, 0.01, 5e-4);
    for (int k = 0; k < N; k++)
        e[k] = sqrt(k);
    ode_drift_of(1, N, t, e, &d);
    cr_expect_float_eq(d.exponent, 0.5, 0.01, "%g", d.exponent);
}
Test(ode_solver, a_user_adds_a_row_without_touching_the_library)
{
    ode_method mine = *ode_method_find("rk4");
    mine.name = "my-ralston2", mine.order = 2, mine.stages = 2, mine.a = "2/3", mine.b = "1/4 3/4";
    ode_solver *s = ode_new(&mine, &hh);
    ode_start(s, 0, start);
    cr_expect_eq(ode_run(s, 10, 0.01, NULL), ODE_OK, "%s", ode_message(s));
    ode_free(s);
    mine.a = "2/3 oops";
    s = ode_new(&mine, &hh);
    cr_expect_eq(ode_status(s), ODE_EMETHOD);
    ode_free(s);
}
