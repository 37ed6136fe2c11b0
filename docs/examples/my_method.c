/* my_method.c - a row and a whole family, added without touching the library.
 * Invariant: a driver speaks of slots only, never of numbers, so it runs wherever the library's own drivers run. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ode_driver.h>
#include <stdio.h>

/* A row of a family that exists: Ralston's method of order 2. */
static const ode_method ralston2 = {.name = "my-ralston2",
                                    .driver = &ode_rk_driver,
                                    .order = 2,
                                    .order_general = 2,
                                    .stages = 2,
                                    .a = "2/3",
                                    .b = "1/4 3/4",
                                    .source = "Ralston (1962)"};

/* A family of its own: y += h f(t + h/2, y + h/2 f(t, y)). Slot 0 is the solution, 1 and 2 are ours. */
static int slots(const ode_plan *p)
{
    (void)p;
    return 2;
}
static void step(ode_space *s, const ode_plan *p)
{
    const ode_num zero = {0, 0}, half = {0.5, 0}, one = {1, 0};
    (void)p;
    s->ops->eval(s, ODE_ALL, 1, 0, zero);
    s->ops->set(s, ODE_ALL, 2, 0);
    s->ops->addh(s, ODE_ALL, 2, half, 1);
    s->ops->eval(s, ODE_ALL, 1, 2, half);
    s->ops->addh(s, ODE_ALL, 0, one, 1);
}
static const ode_driver driver = {.name = "my family", .slots = slots, .step = step};
static const ode_method midpoint = {
    .name = "my-midpoint", .driver = &driver, .order = 2, .order_general = 2, .stages = 2};

static int decay(void *user, double t, const double y[], double f[])
{
    (void)user, (void)t;
    f[0] = -y[0];
    return 0;
}

int main(void)
{
    const ode_method *mine[] = {&ralston2, &midpoint};
    ode_field field = {.size = 1, .rhs = decay};
    for (int k = 0; k < 2; k++) {
        double error[2], one = 1;
        for (int i = 0; i < 2; i++) {
            ode_solver *s = ode_new(mine[k], &field);
            ode_start(s, 0, &one);
            ode_integrate(s, 1, &(ode_options){.h = i ? 0.005 : 0.01});
            error[i] = fabs(ode_y(s)[0] - exp(-1));
            if (ode_status(s))
                fprintf(stderr, "%s\n", ode_message(s));
            ode_free(s);
        }
        printf("%s: measured order %.1f\n", mine[k]->name, log2(error[0] / error[1]));
    }
    return 0;
}
