/* batch.c - four pendulums of different length side by side, one of them hung on a rod that breaks.
 * Invariant: each row comes out as it would alone; a row that fails is told apart and costs the others nothing. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ode.h>
#include <stdio.h>

/* H = p^2 / 2 - cos(q) g / l, one l for each row; the last row has no field below q = -0.5. */
static const double length[] = {1, 2, 4, 1};
static int rows(void *user, int what, int count, const int row[], const double t[], const double y[],
                double out[])
{
    (void)user, (void)t;
    for (int k = 0; k < count; k++, y += 2) {
        double w = 9.81 / length[row[k]];
        if (what == ODE_OF_RHS)
            out[2 * k] = y[1], out[2 * k + 1] = -w * sin(y[0]);
        else if (what == ODE_OF_ENERGY)
            out[k] = y[1] * y[1] / 2 - w * cos(y[0]);
        else
            out[k] = what == ODE_OF_DHDP ? y[1] : w * sin(y[0]);
        if (row[k] == 3 && y[0] < -0.5)
            out[k * (what == ODE_OF_RHS ? 2 : 1)] = NAN;
    }
    return 0;
}
/* For one row alone; a batch asks `rows`. */
static int dHdp(void *user, double t, const double y[], double out[])
{
    return rows(user, ODE_OF_DHDP, 1, &(int){0}, &t, y, out);
}
static int dHdq(void *user, double t, const double y[], double out[])
{
    return rows(user, ODE_OF_DHDQ, 1, &(int){0}, &t, y, out);
}
static int energy(void *user, double t, const double y[], double *H)
{
    return rows(user, ODE_OF_ENERGY, 1, &(int){0}, &t, y, H);
}

int main(void)
{
    const ode_field field = {.size = 2,
                             .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                             .dHdp = dHdp,
                             .dHdq = dHdq,
                             .energy = energy,
                             .rows = rows};
    const double starts[] = {1, 0, 1, 0, 1, 0, 1, 0}, times[] = {0.5, 1, 1.5};
    double out[3 * 4 * 2], H[4], t, records[9 * 11];
    const char *what;

    ode_options o = {.h = 0.01, .times = times, .time_count = 3, .out = out}; /* out is [time, row, (q, p)] */
    ode_solver *s = ode_new_batch(ode_method_find("blanes-moan6"), &field, 4);
    ode_start(s, 0, starts);
    ode_integrate(s, 1.5, &o);
    for (int k = 0; k < 3; k++)
        printf("t = %.1f   q = %7.4f %7.4f %7.4f %7.4f\n", times[k], out[8 * k], out[8 * k + 2],
               out[8 * k + 4], out[8 * k + 6]);
    ode_energies(s, H);
    printf("energy changed by less than 1e-9: %s\n", fabs(H[0] + 9.81 * cos(1)) < 1e-9 ? "yes" : "no");
    for (int row = 0; row < 4; row++)
        if (ode_row_status(s, row, &t, &what))
            printf("row %d: %s at t = %.1f\n", row, what, t);
    ode_free(s);

    /* Every tenth step, t and the four states, into an array; a file takes the same records. */
    ode_options r = {.every = 10, .records = records, .record_max = 11};
    s = ode_new_batch(ode_method_find("verlet"), &field, 4);
    ode_start(s, 0, starts);
    ode_run(s, 50, 0.01, &r);
    printf("%d records, the last at t = %.1f\n", (int)r.recorded, records[9 * (r.recorded - 1)]);
    ode_free(s);
    return 0;
}
