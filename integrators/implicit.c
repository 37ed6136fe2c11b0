/* implicit.c - collocation (Gauss, Lobatto pairs), average vector field, Gonzalez' discrete gradient.
 * Invariant: a step is y + h (an average of f), with the average taken at solved stages, so the sums into slot 0 are
 * increments and lose nothing. */
/* SPDX-License-Identifier: MIT */
#include "ode_driver.h"

#define ONE ((ode_num){1, 0})
#define ZERO ((ode_num){0, 0})
#define HALF ((ode_num){0.5, 0})

/* ---- collocation: slots 1..s hold f_j (kept: the next step extrapolates them), s+1..2s Y_i, 2s+1..3s G_i */
static int collocation_slots(const ode_plan *p) { return 3 * p->stages; }
static ode_num node(const ode_plan *p, int i)
{
    double c = 0, e = 0;
    for (int j = 0; j < p->stages; j++) {
        ode_num a = p->a[i * p->stages + j];
        double s = c + a.hi, t = s - c;
        e += (c - (s - t)) + (a.hi - t) + a.lo;
        c = s;
    }
    return (ode_num){c, e};
}
static void collocation_map(ode_space *s, const void *ctx)
{
    const ode_plan *p = ctx;
    const ode_ops *o = s->ops;
    int n = p->stages;
    for (int j = 0; j < n; j++)
        o->eval(s, ODE_ALL, 1 + j, n + 1 + j, node(p, j));
    for (int i = 0; i < n; i++) {
        int g = 2 * n + 1 + i;
        o->set(s, ODE_ALL, g, -1); /* the increment first, at its own finer resolution */
        for (int j = 0; j < n; j++)
            if (!p->a2)
                o->addh(s, ODE_ALL, g, p->a[i * n + j], 1 + j);
            else {
                if (p->a[i * n + j].hi != 0)
                    o->addh(s, ODE_Q, g, p->a[i * n + j], 1 + j);
                if (p->a2[i * n + j].hi != 0)
                    o->addh(s, ODE_P, g, p->a2[i * n + j], 1 + j);
            }
        o->add(s, ODE_ALL, g, ONE, 0);
    }
}
static void collocation_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    int n = p->stages, y[16] = {0}, g[16] = {0}, good = !s->fresh && p->guess && s->ratio == 1;
    for (int i = 0; i < n; i++) {
        y[i] = n + 1 + i;
        g[i] = 2 * n + 1 + i;
        o->set(s, ODE_ALL, y[i], 0);
        for (int j = 0; good && j < n; j++)
            o->addh(s, ODE_ALL, y[i], (ode_num){p->guess[i * n + j], 0}, 1 + j);
    }
    o->solve(s, n, y, g, collocation_map, p); /* leaves f_j where the last sweep evaluated it */
    for (int j = 0; j < n; j++)
        o->addh(s, ODE_ALL, 0, p->b[j], 1 + j);
}
static int collocation_keeps(const ode_plan *p, ode_kept *k)
{
    *k = (ode_kept){.count = p->stages, .part = ODE_ALL, .field = 1, .implicit = 1};
    for (int i = 0; i < p->stages; i++)
        k->slot[i] = 1 + i;
    return 1;
}
const ode_driver ode_collocation_driver = {"collocation", collocation_slots, NULL, collocation_step,
                                           collocation_keeps};

/* ---- average vector field: y1 = y + h sum b_i f(y + a_i (y1 - y)). Slots: 1 y1, 2 G, 3 f, 4 argument, 5 the average, 6 that of
 * the step before */
static int avf_slots(const ode_plan *p) { return (void)p, 6; }
static void avf_map(ode_space *s, const void *ctx)
{
    const ode_plan *p = ctx;
    const ode_ops *o = s->ops;
    o->set(s, ODE_ALL, 5, -1);
    for (int i = 0; i < p->stages; i++) {
        ode_num c = p->a[i], d = {1 - c.hi, -c.lo};
        o->set(s, ODE_ALL, 4, -1);
        o->add(s, ODE_ALL, 4, d, 0);
        o->add(s, ODE_ALL, 4, c, 1);
        o->eval(s, ODE_ALL, 3, 4, c);
        o->add(s, ODE_ALL, 5, p->b[i], 3);
    }
    o->set(s, ODE_ALL, 2, 0);
    o->addh(s, ODE_ALL, 2, ONE, 5);
}
static void avf_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    static const int y[] = {1}, g[] = {2};
    /* the first guess: the last two averages, continued */
    int known = !s->fresh && s->ratio == 1;
    if (!known) {
        o->eval(s, ODE_ALL, 5, 0, ZERO);
        o->set(s, ODE_ALL, 6, 5);
    }
    o->set(s, ODE_ALL, 1, 0);
    o->addh(s, ODE_ALL, 1, (ode_num){2, 0}, 5);
    o->addh(s, ODE_ALL, 1, (ode_num){-1, 0}, 6);
    o->set(s, ODE_ALL, 6, 5);
    o->solve(s, 1, y, g, avf_map, p);
    o->addh(s, ODE_ALL, 0, ONE, 5);
}
static int avf_keeps(const ode_plan *p, ode_kept *k)
{
    (void)p;
    *k = (ode_kept){2, {5, 6}, ODE_ALL, 0, 1};
    return 1;
}
const ode_driver ode_avf_driver = {"average vector field", avf_slots, NULL, avf_step, avf_keeps};

/* ---- Gonzalez (1996): y1 = y + h J (g + lambda d), g = grad H at the midpoint, d = y1 - y,
 * lambda = (H(y1) - H(y) - g.d) / d.d. With f = J g: g.d = f.(J d). Slots: 1 y1, 2 G, 3 mean field, 4 midpoint, 5 d,
 * 6 J d. Registers: 0 H(y), 1 numerator, 2 d.d, 3 lambda, 4 g.d, 5 H where the last step ended, 6 H where this begins.
 * H(y) is not measured anew but carried: the value to return to is that of the first step, plus what a drive did at
 * fixed y (registers 6 - 5, exactly 0 without one). So the rounding of one step is mended by the next.
 * The numerator's rounding is of the order of |H|, and moves y1 by |H| eps / |grad H|: the same as rounding y1. */
static int gonzalez_slots(const ode_plan *p) { return (void)p, 6; }
static int gonzalez_registers(const ode_plan *p) { return (void)p, 7; }
static void gonzalez_map(ode_space *s, const void *ctx)
{
    const ode_ops *o = s->ops;
    (void)ctx;
    o->set(s, ODE_ALL, 4, 0);
    o->set(s, ODE_ALL, 5, 1);
    o->add(s, ODE_ALL, 5, (ode_num){-1, 0}, 0);
    o->add(s, ODE_ALL, 4, HALF, 5);
    o->eval(s, ODE_ALL, 3, 4, HALF);
    o->rotate(s, 6, 5);
    o->dot(s, 4, 3, 6);
    o->dot(s, 2, 5, 5);
    o->energy(s, 1, 1,
              HALF); /* both ends at the middle of the step: a driven H changes only through its own drive */
    o->plus(s, 1, -1, 0);
    o->plus(s, 1, -1, 4);
    o->quotient(s, 3, 1, 2, 1e-300, -1);
    o->addr(s, ODE_ALL, 3, 3, 6);
    o->set(s, ODE_ALL, 2, 0);
    o->addh(s, ODE_ALL, 2, ONE, 3);
}
static void gonzalez_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    static const int y[] = {1}, g[] = {2};
    if (s->fresh || s->ratio != 1)
        o->eval(s, ODE_ALL, 3, 0, ZERO);
    if (s->fresh == 1)
        o->energy(s, 0, 0, HALF);
    else {
        o->energy(s, 6, 0, HALF);
        o->plus(s, 6, -1, 5);
        o->plus(s, 0, 1, 6);
    }
    o->set(s, ODE_ALL, 1, 0);
    o->addh(s, ODE_ALL, 1, ONE, 3);
    o->solve(s, 1, y, g, gonzalez_map, p);
    o->addh(s, ODE_ALL, 0, ONE, 3);
    o->energy(s, 5, 0, HALF);
}
const ode_driver ode_gonzalez_driver = {"discrete gradient", gonzalez_slots, gonzalez_registers,
                                        gonzalez_step, NULL};
