/* test_ode_reference.c - integrators against references of quadruple precision and closed forms (tests/reference/ode.c),
 * and the evaluations they need against those of established tools (tests/reference/evaluations.txt).
 * Invariant: every bound is either round-off times the condition of the problem or the tolerance asked for. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ode.h"
#include "reference/problems.h"
#include "systems.h"

static const double kepler_start[] = {0.4, 0, 0, 2};
#define SEPARABLE (ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T)
static const struct problem {
    const char *name;
    ode_field f;
    const double *start;
} problems[] = {
    {"henon-heiles", {.size = 4, .kind = SEPARABLE, .dHdp = hh_p, .dHdq = hh_q, .rhs = hh_f}, hh_start},
    {"kepler",
     {.size = 4, .kind = SEPARABLE, .dHdp = kepler_p, .dHdq = kepler_q, .rhs = kepler_f},
     kepler_start},
    {"double-pendulum", {.size = 4, .kind = ODE_CANONICAL, .rhs = double_pendulum_f}, double_pendulum_start},
    {"toda", {.size = 6, .kind = SEPARABLE, .dHdp = toda_p, .dHdq = toda_q, .rhs = toda_f}, toda_start},
    {"arenstorf", {.size = 4, .rhs = arenstorf_f}, arenstorf_start},
    {"outer-solar-system",
     {.size = 2 * OUTER_HALF, .kind = SEPARABLE, .dHdp = outer_p, .dHdq = outer_q, .rhs = outer_f},
     outer_start},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };
static const struct problem *problem_of(const char *name)
{
    for (int i = 0; i < PROBLEMS; i++)
        if (!strcmp(problems[i].name, name))
            return &problems[i];
    cr_assert(0, "no problem %s", name);
    return NULL;
}

static FILE *reference(const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/reference/%s",
             getenv("NOETHER_ROOT") ? getenv("NOETHER_ROOT") : ".", file);
    FILE *in = fopen(path, "r");
    cr_assert(in, "%s cannot be read", path);
    return in;
}
/* The line of that name and time; n values. */
static void expected(const char *name, double t, int n, double y[])
{
    FILE *in = reference("ode.txt");
    char line[4096], *at;
    while (fgets(line, sizeof line, in))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ' &&
            strtod(line + strlen(name), &at) == t) {
            for (int i = 0; i < n; i++)
                y[i] = strtod(at, &at);
            fclose(in);
            return;
        }
    fclose(in);
    cr_assert(0, "no line %s %g", name, t);
}

/* error: the largest over the components; round-off amplified by the problem, or what the tolerance or the order allows,
 * with a margin of 3 to 10 to what was seen. */
static const struct {
    const char *problem, *method;
    double t, h, tolerance, error;
} runs[] = {
    {"kepler", "dop853", 20, 0, 1e-13, 1e-11},
    {"kepler", "gauss12", 20, 0.02, 0, 1e-12},
    {"kepler", "gauss8", 100, 0.02, 0, 2e-11},
    {"kepler", "sofroniou-spaletta10", 20, 0.02, 0, 1e-12},
    {"kepler", "kahan-li8", 100, 0.02, 0, 1e-9},
    {"henon-heiles", "gauss12", 10, 0.1, 0, 1e-14},
    {"henon-heiles", "gauss12", 1000, 0.1, 0, 2e-12},
    {"henon-heiles", "gauss10", 1000, 0.1, 0, 2e-12},
    {"henon-heiles", "sofroniou-spaletta10", 1000, 0.1, 0, 2e-11},
    {"henon-heiles", "dop853", 1000, 0, 1e-14, 1e-10},
    {"henon-heiles", "srkn14a", 1000, 0.1, 0, 1e-6},
    {"henon-heiles", "verlet", 10, 0.001, 0, 1e-6},
    {"double-pendulum", "dop853", 10, 0, 1e-13, 1e-10},
    {"double-pendulum", "gauss12", 10, 0.01, 0, 1e-12},
    {"double-pendulum", "gauss6", 10, 0.005, 0, 1e-9},
    {"double-pendulum", "semi-explicit4", 10, 0.002, 0, 1e-6},
    {"toda", "gauss12", 50, 0.1, 0, 1e-12},
    {"toda", "dopri5", 50, 0, 1e-11, 1e-8},
    {"toda", "tsit5", 50, 0, 1e-11, 1e-8},
    {"outer-solar-system", "gauss12", 200000, 50, 0, 1e-10},
    {"outer-solar-system", "dop853", 200000, 0, 1e-12, 1e-7},
    {"outer-solar-system", "sofroniou-spaletta10", 200000, 50, 0, 1e-9},
};
Test(ode_reference, runs_end_where_quadruple_precision_ends)
{
    int fast = getenv("NOETHER_TEST_SHORT") != NULL;
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++) {
        if (fast && runs[k].t > 20)
            continue;
        const struct problem *p = problem_of(runs[k].problem);
        double want[2 * OUTER_HALF], worst = 0;
        expected(p->name, runs[k].t, p->f.size, want);
        ode_solver *s = ode_new(ode_method_find(runs[k].method), &p->f);
        ode_start(s, 0, p->start);
        ode_integrate(s, runs[k].t,
                      &(ode_options){.h = runs[k].h, .rtol = runs[k].tolerance, .atol = runs[k].tolerance});
        cr_expect_eq(ode_status(s), ODE_OK, "%s %s: %s", p->name, runs[k].method, ode_message(s));
        for (int i = 0; i < p->f.size; i++)
            worst = fmax(worst, fabs(ode_y(s)[i] - want[i]));
        cr_expect_leq(worst, runs[k].error, "%s to %g with %s: %.2e", p->name, runs[k].t, runs[k].method,
                      worst);
        if (getenv("NOETHER_TEST_VERBOSE"))
            fprintf(stderr, "%-16s %-6g %-22s %.2e of %.0e\n", p->name, runs[k].t, runs[k].method, worst,
                    runs[k].error);
        ode_free(s);
    }
}

Test(ode_reference, the_outer_solar_system_is_the_row_of_the_program)
{
    const hnn_system *row = hnn_system_find("outer-solar-system", NULL);
    cr_assert(row);
    cr_expect_eq(row->parameter[0].value, outer_G);
    for (int b = 0; b < OUTER_BODIES; b++)
        cr_expect_eq(row->parameter[1 + b].value, outer_mass[b], "mass %d", b);
    for (int i = 0; i < 2 * OUTER_HALF; i++)
        cr_expect_eq(row->start[i], outer_start[i], "%d: %.17g, not %.17g", i, row->start[i], outer_start[i]);
}

/* dopri5 and dop853 against SciPy's tables, splittings against ../shared/data where that is: tests/reference/coefficients.py. */
Test(ode_reference, tables_agree_with_independent_ones)
{
    char command[8192];
    const char *root = getenv("NOETHER_ROOT") ? getenv("NOETHER_ROOT") : ".";
    if (getenv("NOETHER_TEST_SHORT"))
        return;
    snprintf(command, sizeof command,
             "for p in /usr/bin/python3 python3; do $p -c '' 2>/dev/null || continue; "
             "$p '%s/tests/reference/coefficients.py' '%s/../shared/data/splitting_coefficients.txt' >&2; "
             "exit $?; done; "
             "echo 'no Python: tables are not compared' >&2",
             root, root);
    cr_expect_eq(system(command), 0, "a table differs: run tests/reference/coefficients.py");
}

static int pendulum_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[1];
    return 0;
}
static int pendulum_q(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = sin(y[0]);
    return 0;
}
static double momentum(void *u, double t, const double y[]) { return (void)u, (void)t, y[1]; }
Test(ode_reference, pendulum_period_is_the_elliptic_integral)
{
    ode_field f = {.size = 2, .kind = SEPARABLE, .dHdp = pendulum_p, .dHdq = pendulum_q};
    for (int k = 1; k <= 3; k++) {
        double want, y[] = {k, 0}, times[1];
        expected("pendulum-period", k, 1, &want);
        ode_event e = {.g = momentum, .direction = -1, .terminal = 1, .times = times, .max = 1};
        ode_solver *s = ode_new(ode_method_find("dop853"), &f);
        ode_start(s, 0, y);
        ode_integrate(s, 0.1, &(ode_options){.rtol = 1e-13, .atol = 1e-13}); /* off the event at the start */
        ode_integrate(s, 100, &(ode_options){.rtol = 1e-13, .atol = 1e-13, .events = &e, .event_count = 1});
        cr_expect_eq(e.count, 1, "%s", ode_message(s));
        /* the tolerance, amplified near the separatrix; dense output of order 7 */
        cr_expect_float_eq(times[0], want, 2e-11 * want, "%d: %.17g, not %.17g", k, times[0], want);
        /* by a partial step of the method: rising p from below, twice, one period apart */
        double at[2], minus[] = {-k, 0};
        int count;
        ode_free(s);
        s = ode_new(ode_method_find("gauss12"), &f);
        ode_start(s, 0, minus);
        ode_section(s, 0.05, 1000, momentum, NULL, 2, at, NULL, &count);
        cr_assert_eq(count, 2, "%s", ode_message(s));
        cr_expect_float_eq(at[1] - at[0], want, 1e-12 * want, "%d: %.17g, not %.17g", k, at[1] - at[0], want);
        ode_free(s);
    }
}

Test(ode_reference, toda_integrals_are_kept_or_swing)
{
    const struct problem *p = problem_of("toda");
    const struct {
        const char *method;
        double low, high; /* of the largest error of any integral over 1000 time units */
    } row[] = {{"gauss12", 0, 1e-12}, {"sofroniou-spaletta10", 0, 1e-10}, {"verlet", 1e-5, 1e-1}};
    double first[3], now[3], t_end = getenv("NOETHER_TEST_SHORT") ? 20 : 1000;
    toda_integrals(p->start, first);
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        ode_solver *s = ode_new(ode_method_find(row[k].method), &p->f);
        double worst = 0;
        ode_start(s, 0, p->start);
        for (double t = 10; t <= t_end; t += 10) {
            ode_integrate(s, t, &(ode_options){.h = 0.1});
            toda_integrals(ode_y(s), now);
            for (int i = 0; i < 3; i++)
                worst = fmax(worst, fabs(now[i] - first[i]));
        }
        cr_expect_eq(ode_status(s), ODE_OK, "%s", ode_message(s));
        cr_expect(worst >= row[k].low && worst <= row[k].high, "%s: %g", row[k].method, worst);
        ode_free(s);
    }
}

Test(ode_reference, arenstorf_orbit_closes)
{
    const struct problem *p = problem_of("arenstorf");
    const char *name[] = {"dopri5", "tsit5", "dop853"};
    for (int k = 0; k < 3; k++)
        for (double tolerance = 1e-8; tolerance > 1e-13; tolerance *= 1e-2) {
            ode_solver *s = ode_new(ode_method_find(name[k]), &p->f);
            ode_start(s, 0, p->start);
            ode_integrate(s, ARENSTORF_PERIOD, &(ode_options){.rtol = tolerance, .atol = tolerance});
            double gap = hypot(ode_y(s)[0] - 0.994, ode_y(s)[1]);
            /* an error in the position grows about 10^4 fold over the period (the reference of 1e-30 errs by 4e-24
             * in the velocity); 10 for the steps' number */
            cr_expect_leq(gap, 1e5 * tolerance, "%s at %g: %g", name[k], tolerance, gap);
            cr_expect_eq(ode_status(s), ODE_OK, "%s", ode_message(s));
            ode_free(s);
        }
}

Test(ode_reference, no_more_evaluations_than_established_tools)
{
    FILE *in = reference("evaluations.txt");
    char line[256], tool[32], method[32], problem[32];
    double tolerance, theirs;
    int lines = 0;
    while (fgets(line, sizeof line, in)) {
        if (sscanf(line, "%31s %31s %31s %lf %lf", tool, method, problem, &tolerance, &theirs) != 5)
            continue;
        const char *mine[2] = {"dop853", NULL};
        if (!strcmp(method, "RK45"))
            mine[0] = "dopri5", mine[1] = "tsit5";
        const struct problem *p = problem_of(problem);
        double t_end = !strcmp(problem, "henon-heiles")      ? 100
                       : !strcmp(problem, "kepler")          ? 20
                       : !strcmp(problem, "double-pendulum") ? 10
                                                             : ARENSTORF_PERIOD;
        for (int k = 0; k < 2 && mine[k]; k++) {
            ode_solver *s = ode_new(ode_method_find(mine[k]), &p->f);
            ode_start(s, 0, p->start);
            ode_integrate(s, t_end, &(ode_options){.rtol = tolerance, .atol = tolerance});
            double ratio = (double)ode_counters(s).fields / theirs;
            cr_expect_leq(ratio, 1.2, "%s on %s at %g: %.2f times %s %s", mine[k], problem, tolerance, ratio,
                          tool, method);
            if (getenv("NOETHER_TEST_VERBOSE"))
                fprintf(stderr, "%-8s %-16s %g: %.2f of %s %s\n", mine[k], problem, tolerance, ratio, tool,
                        method);
            ode_free(s);
            lines++;
        }
    }
    fclose(in);
    cr_expect_geq(lines, 48);
}
