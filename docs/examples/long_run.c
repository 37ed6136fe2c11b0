/* long_run.c - the pendulum for a long time: crossings, angle per step, drift, exponents, dense output.
 * Invariant: every figure printed is far from where it would round the other way, so the output is the same on
 * every machine. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ode.h>
#include <stdio.h>

/* H = p^2 / 2 - cos q, with m = g = l = 1 */
static int dHdp(void *user, double t, const double y[], double out[])
{
    (void)user, (void)t;
    out[0] = y[1];
    return 0;
}
static int dHdq(void *user, double t, const double y[], double out[])
{
    (void)user, (void)t;
    out[0] = sin(y[0]);
    return 0;
}
static int energy(void *user, double t, const double y[], double *H)
{
    (void)user, (void)t;
    *H = y[1] * y[1] / 2 - cos(y[0]);
    return 0;
}
static int jacobian(void *user, double t, const double y[], double J[])
{
    (void)user, (void)t;
    J[0] = J[3] = 0, J[1] = 1, J[2] = -cos(y[0]);
    return 0;
}

static double angle(void *user, double t, const double y[])
{
    (void)user, (void)t;
    return y[0];
}

enum { SAMPLES = 200 };
typedef struct {
    int n;
    double t[SAMPLES], e[SAMPLES];
} record;
static ode_observer keep_energy;
static int keep_energy(void *user, double t, const double y[])
{
    record *r = user;
    double H;
    energy(NULL, t, y, &H);
    if (r->n < SAMPLES)
        r->t[r->n] = t, r->e[r->n++] = H;
    return 0;
}

int main(void)
{
    const ode_field field = {.size = 2,
                             .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                             .dHdp = dHdp,
                             .dHdq = dHdq,
                             .energy = energy,
                             .jacobian = jacobian};
    const ode_field heated = {.size = 2, .rhs = dHdp}; /* not even canonical */
    const double start[] = {1, 0};

    /* What there is, and what refuses a field it cannot step. */
    int symplectic = 0;
    for (int i = 0; i < ode_method_count(); i++)
        symplectic += (ode_method_at(i)->flags & ODE_SYMPLECTIC) != 0;
    printf("more than 20 symplectic rows: %s\n", symplectic > 20 ? "yes" : "no");
    printf("verlet here: %s\n",
           ode_method_refuses(ode_method_find("verlet"), &field) ? "refused" : "accepted");
    printf("verlet there: %s\n",
           ode_method_refuses(ode_method_find("verlet"), &heated) ? "refused" : "accepted");

    /* Rising zeros of q, each located to the resolution of t. */
    ode_solver *s = ode_new(ode_method_find("blanes-moan6"), &field);
    double times[3];
    int hits;
    ode_start(s, 0, start);
    ode_section(s, 0.1, 1000, angle, NULL, 3, times, NULL, &hits);
    printf("period %.5f\n", times[2] - times[1]); /* 4 K(sin 1/2) = 6.6999757 */

    /* Turns per step of 0.1 about the origin: minus 0.1 / period. */
    double turns, exponents[2], M[4];
    ode_start(s, 0, start);
    ode_rotation(s, 0.1, 20000, 0, 0, 0, &turns);
    printf("turns per step %.5f\n", turns);

    /* A regular motion: both exponents go to 0, and sum to 0 because volume is kept. */
    ode_start(s, 0, start);
    ode_lyapunov(s, 0.1, 20000, 10, exponents);
    printf("exponents below 0.01: %s, their sum: %s\n", exponents[0] < 0.01 ? "yes" : "no",
           fabs(exponents[0] + exponents[1]) < 1e-12 ? "round-off" : "more");
    ode_tangent(s, 0.1, M);
    printf("|det M - 1|: %s\n", ode_volume_defect(2, M) < 1e-14 ? "round-off" : "more");
    ode_free(s);

    /* Energy over 20,000 steps: rk4 loses some at every step, verlet only swings. */
    const char *names[] = {"rk4", "verlet"};
    for (int k = 0; k < 2; k++) {
        record r = {0};
        ode_drift d;
        s = ode_new(ode_method_find(names[k]), &field);
        ode_start(s, 0, start);
        ode_run(s, 20000, 0.1, &(ode_options){.every = 100, .observer = keep_energy, .user = &r});
        for (int i = r.n - 1; i >= 0; i--)
            r.e[i] -= r.e[0];
        ode_drift_of(1, r.n, r.t, r.e, &d);
        printf("%-7s at t = %g the energy %s\n", names[k], ode_t(s),
               -d.slope * ode_t(s) > 3 * d.amplitude ? "has drifted down" : "has not drifted");
        ode_free(s);
    }

    /* Between adaptive steps the solution is a polynomial. */
    double y[2];
    s = ode_new(ode_method_find("dopri5"), &field);
    ode_start(s, 0, start);
    ode_integrate(s, 10, &(ode_options){.rtol = 1e-9, .atol = 1e-9});
    ode_dense(s, 1, y);
    printf("dense output at the end of a step: %s\n",
           fabs(y[0] - ode_y(s)[0]) < 1e-12 ? "the step" : "not the step");

    /* An error is kept until it is cleared, and the state stays. Tao's method has no default coupling. */
    ode_step(s, NAN);
    printf("%s", ode_status_name(ode_status(s)));
    ode_clear(s);
    printf(", then %s\n", ode_status_name(ode_status(s)));
    ode_free(s);
    s = ode_new(ode_method_find("tao2"), &field);
    ode_start(s, 0, start);
    ode_step(s, 0.1);
    printf("tao2 without a coupling: %s", ode_status_name(ode_status(s)));
    ode_clear(s);
    ode_coupling(s, 20);
    ode_start(s, 0, start);
    ode_step(s, 0.01);
    printf(", with one: %s\n", ode_status_name(ode_status(s)));
    ode_free(s);
    return 0;
}
