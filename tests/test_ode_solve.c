/* test_ode_solve.c - how the equations of an implicit step are solved: sweeps where they contract, Newton where they do not.
 * Invariant: the solution does not depend on the way there. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "ode.h"

/* A planet of a millionth of the sun's mass, in astronomical units and days: p is small beside q, and its changes with it. */
static const double gravity = 2.9591220828559110e-4, mass = 1e-6;
static int dHdp(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2] / mass, g[1] = y[3] / mass;
    return 0;
}
static int dHdq(void *u, double t, const double y[], double g[])
{
    double r2 = y[0] * y[0] + y[1] * y[1], w = gravity * mass / (r2 * sqrt(r2));
    (void)u, (void)t;
    g[0] = w * y[0], g[1] = w * y[1];
    return 0;
}
static int energy(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    *H = (y[2] * y[2] + y[3] * y[3]) / (2 * mass) - gravity * mass / hypot(y[0], y[1]);
    return 0;
}
static const ode_field planet = {.size = 4,
                                 .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                                 .dHdp = dHdp,
                                 .dHdq = dHdq,
                                 .energy = energy};

/* A sweep moves q by the p of the one before and p by its q: what is seen of it is small in every second one only. Such sweeps
 * contract, and need no matrix (which a field without a Jacobian pays with an evaluation for each unknown). */
Test(ode_solve, sweeps_that_shrink_in_every_second_one_are_no_reason_for_newton)
{
    static const char *const name[] = {"gauss2", "gauss4", "gauss6",   "gauss8",   "avf2",
                                       "avf4",   "avf8",   "lobatto4", "gonzalez", "avf6-order4"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        const ode_method *m = ode_method_find(name[k]);
        ode_solver *s = ode_new(m, &planet);
        double start[] = {5.2, 0, 0, mass * sqrt(gravity / 5.2)};
        ode_start(s, 0, start);
        ode_run(s, 50, 200, NULL);
        ode_counts c = ode_counters(s);
        cr_expect_eq(ode_status(s), ODE_OK, "%s: %s", name[k], ode_message(s));
        cr_expect_eq(c.newtons, 0, "%s: %g turns of Newton and %g sweeps a step", name[k],
                     (double)c.newtons / 50, (double)c.iterations / 50);
        cr_expect_eq(c.unconverged, 0, "%s: %d", name[k], (int)c.unconverged);
        ode_free(s);
    }
}
