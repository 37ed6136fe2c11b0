/* test_ode_gradient.c - derivatives of a function of a trajectory through every row, by start, time, step and parameter, first and
 * second; long loops; implicit steps that have no solution. */
/* SPDX-License-Identifier: MIT */
#include "ode_gradient.h"
#include "systems.h"

/* A particle that starts near the top of a hill: what it starts with grows two-hundredfold in 20 steps. */
static const char hill[] =
    "(p[1]^2 + p[2]^2)/2 + (q[2]^2 - q[1]^2)/2 + c*(q[1]^4 + q[1]*q[2])/4 + 0.01*q[1]*sin(t)";
static const double top[] = {0.01, 0.02, 0.01, -0.01};

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
