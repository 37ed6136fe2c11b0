/* extended.c - explicit or nearly explicit symplectic steps for any H, on two copies (q, p) and (x, y) of the state;
 * and Itoh and Abe's discrete gradient, coordinate by coordinate.
 * Invariant: on the diagonal (both copies equal) a step agrees with the flow of H to the row's order. */
/* SPDX-License-Identifier: MIT */
#include "ode_driver.h"

#define ONE ((ode_num){1, 0})
#define ZERO ((ode_num){0, 0})
#define HALF ((ode_num){0.5, 0})

/* Flow of H(q of one, p of other): it moves the other half of each. work + 1 is scratch. */
static void shear(ode_space *s, int one, int other, int work, ode_num c, ode_num when)
{
    const ode_ops *o = s->ops;
    o->set(s, ODE_Q, work, one);
    o->set(s, ODE_P, work, other);
    o->eval(s, ODE_ALL, work + 1, work, when);
    o->addh(s, ODE_Q, other, c, work + 1);
    o->addh(s, ODE_P, one, c, work + 1);
}

/* ---- Tao: H(q, y) + H(x, p) + omega (|q - x|^2 + |p - y|^2) / 2. The copies are kept; slot 0 shows the first. */
static int tao_slots(const ode_plan *p) { return (void)p, 4; }
static void tao_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    (void)p;
    if (s->fresh == 1) {
        o->set(s, ODE_ALL, 1, 0);
        o->set(s, ODE_ALL, 2, 0);
    }
    shear(s, 1, 2, 3, HALF, ZERO);
    shear(s, 2, 1, 3, HALF, ZERO);
    o->mix(s, 1, 2, ONE);
    shear(s, 2, 1, 3, HALF, ONE);
    shear(s, 1, 2, 3, HALF, ONE);
    o->set(s, ODE_ALL, 0, 1);
}
const ode_driver ode_tao_driver = {"extended phase space", tao_slots, NULL, tao_step, NULL};

/* ---- semi-explicit: start at (z + mu, z - mu), a palindrome of shears gives (a, b); mu is such that
 * a + mu = b - mu = z1. Slots: 1 mu, 2 G, 3 a, 4 b, 5-6 work. */
static int semi_slots(const ode_plan *p) { return (void)p, 6; }
static void semi_map(ode_space *s, const void *ctx)
{
    const ode_ops *o = s->ops;
    (void)ctx;
    o->set(s, ODE_ALL, 3, 0);
    o->set(s, ODE_ALL, 4, 0);
    o->add(s, ODE_ALL, 3, ONE, 1);
    o->add(s, ODE_ALL, 4, (ode_num){-1, 0}, 1);
    shear(s, 3, 4, 5, HALF, ZERO);
    shear(s, 4, 3, 5, ONE, HALF);
    shear(s, 3, 4, 5, HALF, ONE);
    o->set(s, ODE_ALL, 2, -1); /* a - b + 2 mu = 4 mu + O(h mu) + O(h^3): G = mu - that / 4 contracts */
    o->add(s, ODE_ALL, 2, HALF, 1);
    o->add(s, ODE_ALL, 2, (ode_num){-0.25, 0}, 3);
    o->add(s, ODE_ALL, 2, (ode_num){0.25, 0}, 4);
}
static void semi_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    static const int y[] = {1}, g[] = {2};
    (void)p;
    if (s->fresh)
        o->set(s, ODE_ALL, 1, -1);
    o->solve(s, 1, y, g, semi_map, NULL);
    semi_map(s, NULL); /* a and b must be those of the mu that is used, or the step is not symplectic */
    o->set(s, ODE_ALL, 5, 3);
    o->add(s, ODE_ALL, 5, (ode_num){-1, 0}, 0);
    o->add(s, ODE_ALL, 5, ONE, 1);
    o->add(s, ODE_ALL, 0, ONE, 5);
}
const ode_driver ode_semiexplicit_driver = {"semi-explicit", semi_slots, NULL, semi_step, NULL};

/* ---- Itoh and Abe (1988): the derivative by coordinate i is the difference of H over that coordinate's own move,
 * with coordinates below i already moved. Slots: 1 y1, 2 G, 3 field, 4 and 7 path after and before the move, 5 a point
 * of the move, 6 f there. Registers: 0 H before, 1 H after, 2 move, 3 the partial averaged, 4 the mean derivative, 5 work.
 * For moves under 1e-2 the average by Gauss' three points serves: it errs by move^6 / 2e6, the difference by
 * eps |H| / move. */
static int itoh_slots(const ode_plan *p) { return (void)p, 7; }
static int itoh_registers(const ode_plan *p) { return (void)p, 6; }
static void itoh_map(ode_space *s, const void *ctx)
{
    const ode_ops *o = s->ops;
    int n = s->size, m = s->half;
    (void)ctx;
    o->set(s, ODE_ALL, 3, -1);
    o->set(s, ODE_ALL, 4, 0);
    o->energy(s, 0, 4, HALF);
    for (int i = 0; i < n; i++) {
        int j = i < m ? i + m : i - m; /* the rate of coordinate j is +- dH by coordinate i */
        o->set(s, ODE_ALL, 7, 4);
        o->pick(s, i, 4, 1);
        o->plus(s, 3, -1, 3); /* 0 */
        for (int k = 0; k < 3; k++) {
            static const ode_num node[] = {{0.1127016653792583, 0}, {0.5, 0}, {0.8872983346207417, 0}};
            o->set(s, ODE_ALL, 5, -1);
            o->add(s, ODE_ALL, 5, node[k], 4);
            o->add(s, ODE_ALL, 5, node[2 - k], 7);
            o->eval(s, ODE_ALL, 6, 5, HALF);
            o->entry(s, 5, 6, j);
            o->plus(s, 3, k == 1 ? 4.0 / 9 : 5.0 / 18, 5);
        }
        o->energy(s, 1, 4, HALF);
        o->entry(s, 2, 1, i);
        o->entry(s, 4, 0, i);
        o->plus(s, 2, -1, 4);
        o->plus(s, 4, -1, 4);
        o->plus(s, 4, i < m ? -1 : 1, 1);
        o->plus(s, 4, i < m ? 1 : -1, 0);
        o->quotient(s, 4, 4, 2, 1e-2, 3);
        o->put(s, 3, j, 4);
        o->energy(s, 0, 4, HALF);
    }
    o->set(s, ODE_ALL, 2, 0);
    o->addh(s, ODE_ALL, 2, ONE, 3);
}
static void itoh_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    static const int y[] = {1}, g[] = {2};
    (void)p;
    if (s->fresh || s->ratio != 1)
        o->eval(s, ODE_ALL, 3, 0, ZERO);
    o->set(s, ODE_ALL, 1, 0);
    o->addh(s, ODE_ALL, 1, ONE, 3);
    o->solve(s, 1, y, g, itoh_map, NULL);
    o->addh(s, ODE_ALL, 0, ONE, 3);
}
const ode_driver ode_itoh_abe_driver = {"coordinate increments", itoh_slots, itoh_registers, itoh_step, NULL};
