/* ode_field.h - the recorded field of a Hamiltonian in two degrees of freedom, time and one parameter, for tests of integrators.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ODE_FIELD_H
#define ODE_FIELD_H

#include <criterion/criterion.h>

#include "ode.h"

/* H of q[1], q[2], p[1], p[2], t and c, as text; rows: 1 or AD_BATCH. */
static ode_recorded *field_of(const char *text, int rows)
{
    ad_tape *tape = ad_new();
    ad_var q = ad_input(tape, "q", rows, 2), p = ad_input(tape, "p", rows, 2),
           t = ad_input(tape, "t", rows, 1), c = ad_input(tape, "c", rows, 1);
    const char *names[] = {"q", "p", "t", "c"};
    ad_var H = ad_parse(tape, text, 4, names, (ad_var[]){q, p, t, c});
    ode_recorded *r =
        ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p, .t = t, .params = 1, .param = &c});
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s", ode_recorded_message(r));
    ad_free(tape);
    return r;
}

#endif
