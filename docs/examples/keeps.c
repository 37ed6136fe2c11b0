/* keeps.c - what each family of integrators keeps on Henon-Heiles, h = 0.1, 10,000 steps.
 * Invariant: what is at round-off is printed as such, so that the output is the same on every machine. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ode.h>
#include <stdio.h>

/* H = (p1^2 + p2^2 + q1^2 + q2^2) / 2 + q1^2 q2 - q2^3 / 3 */
static int dHdp(void *user, double t, const double y[], double out[])
{
    (void)user, (void)t;
    out[0] = y[2], out[1] = y[3];
    return 0;
}
static int dHdq(void *user, double t, const double y[], double out[])
{
    (void)user, (void)t;
    out[0] = y[0] + 2 * y[0] * y[1];
    out[1] = y[1] + y[0] * y[0] - y[1] * y[1];
    return 0;
}
static int energy(void *user, double t, const double y[], double *H)
{
    (void)user, (void)t;
    *H = (y[2] * y[2] + y[3] * y[3] + y[0] * y[0] + y[1] * y[1]) / 2 + y[0] * y[0] * y[1] -
         y[1] * y[1] * y[1] / 3;
    return 0;
}
static int jacobian(void *user, double t, const double y[], double J[])
{
    (void)user, (void)t;
    for (int i = 0; i < 16; i++)
        J[i] = 0;
    J[2] = J[7] = 1;
    J[8] = -1 - 2 * y[1], J[9] = J[12] = -2 * y[0], J[13] = -1 + 2 * y[1];
    return 0;
}

/* The order measured: how often halving the step halves the error after 8 time units. */
static double order(const ode_method *m, const ode_field *field, const double start[])
{
    double error[2] = {0};
    ode_solver *exact = ode_new(ode_method_find("gauss12"), field);
    ode_start(exact, 0, start), ode_run(exact, 160, 0.05, NULL);
    int steps = m->order < 10 ? 32 : 20; /* round-off must stay out of it */
    for (int k = 1; k <= 2; k++) {
        ode_solver *s = ode_new(m, field);
        ode_start(s, 0, start), ode_run(s, k * steps, 8.0 / (k * steps), NULL);
        for (int i = 0; i < 4; i++)
            error[k - 1] = fmax(error[k - 1], fabs(ode_y(s)[i] - ode_y(exact)[i]));
        ode_free(s);
    }
    ode_free(exact);
    return log2(error[0] / error[1]);
}

static void show(double x)
{
    if (x < 1e-12)
        printf("  round-off");
    else
        printf("  %9.0e", x);
}

int main(void)
{
    ode_field field = {.size = 4,
                       .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                       .dHdp = dHdp,
                       .dHdq = dHdq,
                       .energy = energy,
                       .jacobian = jacobian};
    const double start[] = {0.3, -0.2, 0.25, 0.3};
    const char *names[] = {"rk4",    "dop853",  "verlet",   "forest-ruth4", "blanes-moan6",
                           "gauss4", "gauss10", "gonzalez", "avf4"};
    printf("%-14s order measured  eval./step   |dH/H0|  |M'JM - J|   there and back\n", "method");
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const ode_method *m = ode_method_find(names[k]);
        ode_solver *s = ode_new(m, &field);
        double worst = 0, M[16];
        ode_start(s, 0, start);
        double H0 = ode_energy(s);
        for (int step = 0; step < 10000; step++) {
            ode_step(s, 0.1);
            worst = fmax(worst, fabs(ode_energy(s) / H0 - 1));
        }
        ode_counts c = ode_counters(s);
        ode_start(s, 0, start);
        ode_tangent(s, 0.1, M);
        printf("%-14s %5d %8.0f  %10.0f", m->name, ode_method_order(m, &field), order(m, &field, start),
               (double)c.fields / (double)c.steps);
        show(worst);
        show(ode_symplectic_defect(4, M));
        printf("     ");
        show(ode_reversibility(s, 0.1, 10));
        printf("\n");
        if (ode_status(s))
            fprintf(stderr, "%s\n", ode_message(s));
        ode_free(s);
    }
    return 0;
}
