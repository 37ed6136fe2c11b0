/* gradients.c - the derivative of where a pendulum is at t = 10 by its start and its length, through four kinds of solver.
 * Invariant: each derivative is that of the steps as they were made, not of the equation they approximate. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ad.h>
#include <noether/ode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double start[] = {1, 0}, length = 2;

/* q(10)^2 of the end y, and its gradient by the start, the length and whatever h is; prints them. */
static void gradient(const char *name, ad_var y, ad_var y0, ad_var l, ad_var h, const double lengths[])
{
    ad_tape *t = y0.tape;
    ad_var q = ad_cols_of(y, 0, 1), loss = ad_sum(ad_square(q)), d[2];
    ad_grads(loss, 2, (ad_var[]){y0, l}, d);
    ad_set(y0, 1, start), ad_set(l, 1, &length), ad_set(h, 1, lengths);
    double value, by_start[2], by_length, second;
    ad_eval(t, 3, (ad_var[]){loss, d[0], d[1]}, (double *[]){&value, by_start, &by_length});
    ad_eval(t, 1, (ad_var[]){ad_grad(d[1], l)}, (double *[]){&second});
    if (ad_status(t))
        printf("%s: %s\n", name, ad_message(t));
    else
        printf("%-14s q^2 = %.6f  by start %.6f %.6f  by length %.6f, again %.6f\n", name, value, by_start[0],
               by_start[1], by_length, second);
    ad_clear(t);
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1), l = ad_input(t, "l", 1, 1),
           y = ad_input(t, "y", 1, 2), h = ad_input(t, "h", 1, 1);
    ad_var H = ad_expr(t, "p^2/2 - cos(q)/l", q, p, l);
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p, .params = 1, .param = &l});
    ode_recorded_set(r, 0, 1, &length);
    const double step = 0.01, large = 0.1;

    /* A loop of explicit steps. */
    ad_var end = ode_record(ode_method_find("verlet"), r, 1000, y, ad_num(0), h, &l, 0, 0, NULL);
    gradient("verlet", end, y, l, h, &step);

    /* Implicit steps: by the implicit-function theorem. */
    end = ode_record(ode_method_find("gauss6"), r, 100, y, ad_num(0), h, &l, 0, 0, NULL);
    gradient("gauss6", end, y, l, h, &large);

    /* Adaptive steps: a run lists those it accepted; the derivative is with these steps frozen. */
    ode_steps list = {0};
    ode_solver *s = ode_new(ode_method_find("dopri5"), ode_recorded_field(r));
    ode_start(s, 0, start);
    ode_integrate(s, 10, &(ode_options){.rtol = 1e-10, .atol = 1e-10, .accepted = &list});
    ode_free(s);
    ad_var hs = ad_input(t, "hs", 1, (int)list.count);
    end = ode_record_steps(ode_method_find("dopri5"), r, y, ad_num(list.t), hs, &l, 0, 0, NULL);
    gradient("dopri5", end, y, l, hs, list.h);
    end = ode_record_times(ode_method_find("dopri5"), r, y, ad_num(list.t), hs, &l, 0, &list, 1,
                           (double[]){5}, ad_num(0)); /* inside a step: dense output */
    gradient("dopri5, t = 5", end, y, l, hs, list.h);
    free(list.h);

    /* On a grid of integers: run, then run back with the derivative; no memory however long. */
    double grid_q, grid_p, by_length = 0, *param[] = {&by_length};
    ode_reversible *x =
        ode_reversible_new(ode_method_find("verlet"), ode_recorded_field(r), 1, 0, step, start, 0, 0);
    ode_reversible_grid(x, &grid_q, &grid_p);
    printf("resolution 2^%d of q, 2^%d of p\n", ilogb(grid_q), ilogb(grid_p));
    ode_reversible_run(x, 1000);
    double end_q = ode_reversible_y(x)[0], dy[] = {2 * end_q, 0};
    ode_reversible_back(x, 1000, dy, NULL, NULL, param);
    if (ode_reversible_status(x))
        printf("%s\n", ode_reversible_message(x));
    printf("%-14s q^2 = %.6f  by start %.6f %.6f  by length %.6f\n", "verlet, exact", end_q * end_q, dy[0],
           dy[1], by_length);
    printf("back at t = %g, q = %g, p = %g\n", ode_reversible_t(x), ode_reversible_y(x)[0],
           ode_reversible_y(x)[1]);
    ode_reversible_free(x);
    ode_recorded_free(r);

    /* y' = y^2 from y = 1: the implicit midpoint with h = 1 has no solution, and says so. */
    ad_var v = ad_input(t, "v", 1, 1);
    r = ode_recorded_new(&(ode_recording){.f = ad_square(v), .y = v});
    ad_var z = ad_const(t, 1, 1, (double[]){0.2});
    end = ode_record(ode_method_find("gauss2"), r, 9, z, ad_num(0), ad_num(1), NULL, 0, 0, NULL);
    double lost;
    ad_eval(t, 1, &end, (double *[]){&lost});
    printf("%s in step 3: %s\n", ad_status_name(ad_status(t)),
           strstr(ad_message(t), "step 3: ") ? "yes" : "no");
    ode_recorded_free(r);
    ad_free(t);
    return 0;
}
