/* families.c - one step of each plain family: explicit Runge-Kutta, splitting, composition.
 * Invariant: slot 0 enters as y(t) and leaves as y(t + h); nothing here knows what a number is. */
/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "ode_driver.h"

#define ONE ((ode_num){1, 0})
#define ZERO ((ode_num){0, 0})
static ode_num num_plus(ode_num a, ode_num b)
{
    double s = a.hi + b.hi, t = s - a.hi;
    return (ode_num){s, ((a.hi - (s - t)) + (b.hi - t)) + a.lo + b.lo};
}

/* ---- explicit Runge-Kutta: slots 1..s are k_1..k_s, then the argument, then dense output's further stages */
static int rk_slots(const ode_plan *p) { return p->stages + 1 + p->row->extras; }
static void rk_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    int n = p->stages, arg = n + 1, fsal = p->same_last;
    if (!s->fresh && fsal)
        o->set(s, ODE_ALL, 1, n);
    else if (s->fresh != 3)
        o->eval(s, ODE_ALL, 1, 0, ZERO);
    for (int i = 1; i < n; i++) {
        if (fsal && i == n - 1) {
            o->sum(s, 0, 0, &p->sums[n]);
            o->eval(s, ODE_ALL, n, 0, ONE);
            return;
        }
        o->sum(s, arg, 0, &p->sums[i]);
        o->eval(s, ODE_ALL, i + 1, arg, p->c[i]);
    }
    o->sum(s, 0, 0, &p->sums[n]);
}
static int rk_keeps(const ode_plan *p, ode_kept *k)
{
    if (p->same_last)
        *k = (ode_kept){1, {p->stages}, ODE_ALL, 1, 0};
    return 1;
}
const ode_driver ode_rk_driver = {"rk", rk_slots, NULL, rk_step, rk_keeps};

/* ---- splitting: q += a_i h dT/dp, then p -= b_i h dV/dq. Time runs with the drifts, so that H = T(p) + V(q, t)
 * is stepped as the autonomous system it is in extended space. A kick that nothing moved since is not evaluated again. */
static int split_slots(const ode_plan *p) { return (void)p, 1; }
/* A step that begins and ends with a kick: slot 1 still holds the force where the next one starts. Tables may end in zeros. */
static int split_joins(const ode_plan *p)
{
    int i = p->nb - 1;
    while (i > 0 && p->b[i].hi == 0 && p->a[i].hi == 0)
        i--;
    return p->b[i].hi != 0 && p->a[0].hi == 0;
}
static void split_step(ode_space *s, const ode_plan *p)
{
    const ode_ops *o = s->ops;
    ode_num c = ZERO;
    int known = !s->fresh && split_joins(p);
    for (int i = 0; i < p->na; i++) {
        if (p->a[i].hi != 0) {
            o->eval(s, ODE_Q, 1, 0, c);
            o->addh(s, ODE_Q, 0, p->a[i], 1);
            c = num_plus(c, p->a[i]);
            known = 0;
        }
        if (p->b[i].hi != 0) {
            if (!known)
                o->eval(s, ODE_P, 1, 0, c);
            s->hold = known; /* the last step ended with a kick by this force */
            o->addh(s, ODE_P, 0, p->b[i], 1);
            s->hold = 0, known = 1;
        }
    }
}
static int split_keeps(const ode_plan *p, ode_kept *k) /* the force of the last kick */
{
    if (split_joins(p))
        *k = (ode_kept){1, {1}, ODE_P, 1, 0};
    return 1;
}
const ode_driver ode_split_driver = {"splitting", split_slots, NULL, split_step, split_keeps};

/* ---- composition: sub-steps a[0] h, a[1] h, ... of the base method */
static int compose_slots(const ode_plan *p) { return p->base->row->driver->slots(p->base); }
static int compose_registers(const ode_plan *p)
{
    const ode_driver *d = p->base->row->driver;
    return d->registers ? d->registers(p->base) : 0;
}
static ode_num num_times(ode_num a, ode_num b)
{
    double x = a.hi * b.hi;
    return (ode_num){x, fma(a.hi, b.hi, -x) + a.hi * b.lo + a.lo * b.hi};
}
static void compose_step(ode_space *s, const ode_plan *p)
{
    ode_num hs = s->hs, tc = s->tc;
    int fresh = s->fresh;
    for (int i = 0; i < p->na; i++) {
        s->hs = num_times(hs, p->a[i]);
        s->fresh =
            i == 0 && fresh == 1 ? 1 : 2; /* sub-steps differ in length: slots kept may not be reused */
        p->base->row->driver->step(s, p->base);
        s->tc = num_plus(s->tc, s->hs);
    }
    s->hs = hs;
    s->tc = tc;
}
static int compose_keeps(const ode_plan *p, ode_kept *k)
{
    int (*of_base)(const ode_plan *, ode_kept *) = p->base->row->driver->keeps,
                                              fine = of_base && of_base(p->base, k);
    fine = fine && !k->implicit;
    *k = (ode_kept){0}; /* sub-steps differ in length */
    return fine;
}
const ode_driver ode_compose_driver = {"composition", compose_slots, compose_registers, compose_step,
                                       compose_keeps};
