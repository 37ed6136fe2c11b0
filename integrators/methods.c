/* methods.c - the catalogue, and what a method needs of a field.
 * Invariant: a method that is not refused steps the field with the order ode_method_order returns. */
/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "rows.h"

int ode_method_count(void) { return ode_rows_rk_count + ode_rows_split_count + ode_rows_implicit_count; }
const ode_method *ode_method_at(int i)
{
    if (i < 0)
        return NULL;
    if (i < ode_rows_rk_count)
        return &ode_rows_rk[i];
    i -= ode_rows_rk_count;
    if (i < ode_rows_split_count)
        return &ode_rows_split[i];
    i -= ode_rows_split_count;
    return i < ode_rows_implicit_count ? &ode_rows_implicit[i] : NULL;
}
const ode_method *ode_method_find(const char *name)
{
    static const char *const alias[][2] = {{"leapfrog", "verlet"},           {"verlet-kdk", "verlet"},
                                           {"midpoint", "gauss2"},           {"implicit-midpoint", "gauss2"},
                                           {"yoshida4", "forest-ruth4"},     {"symplectic-euler", "euler-pq"},
                                           {"candy-rozmus4", "forest-ruth4"}};
    if (!name)
        return NULL;
    for (size_t k = 0; k < sizeof alias / sizeof *alias; k++)
        if (!strcmp(name, alias[k][0]))
            name = alias[k][1];
    for (int i = 0; i < ode_method_count(); i++)
        if (!strcmp(ode_method_at(i)->name, name))
            return ode_method_at(i);
    return NULL;
}
int ode_method_order(const ode_method *m, const ode_field *f)
{
    int general = (f->kind & ODE_SEPARABLE) && !(f->kind & ODE_QUADRATIC_T);
    return general ? m->order_general : m->order;
}
const char *ode_method_refuses(const ode_method *m, const ode_field *f)
{
    int halves = f->dHdp && f->dHdq;
    if (!m->driver || !m->driver->step || !m->driver->slots)
        return "the row names no driver";
    if (f->size < 1)
        return "the field's size must be at least 1";
    if ((f->kind & ODE_CANONICAL) && f->size % 2)
        return "a canonical state is q then p, so its size is even";
    if (!f->rhs && !halves)
        return "the field has no right-hand side: give rhs, or both dHdp and dHdq";
    if (halves && !f->rhs && !(f->kind & ODE_CANONICAL))
        return "dHdp and dHdq belong to a canonical field: set ODE_CANONICAL";
    if ((m->needs & (ODE_CANONICAL | ODE_SEPARABLE)) && !(f->kind & ODE_CANONICAL))
        return "the method needs a canonical field (q then p, ODE_CANONICAL); use rk4, dopri5 or dop853 for "
               "any other";
    if ((m->needs & ODE_SEPARABLE) && !(f->kind & ODE_SEPARABLE))
        return "the method needs a separable H = T(p) + V(q) (ODE_SEPARABLE); use gauss4 or gauss6 for any "
               "other H";
    if ((m->needs & ODE_ENERGY) && !f->energy)
        return "the method needs the field's energy; use gauss10 without one";
    return NULL;
}
const char *ode_status_name(int status)
{
    static const char *const name[] = {"ok",    "input", "field",  "value",  "solve",
                                       "stuck", "limit", "method", "memory", "user"};
    return status >= 0 && status < (int)(sizeof name / sizeof *name) ? name[status] : "unknown";
}
