/* systems.h - the known systems as rows: the text of H, dissipation and drive, parameters, where to sample, and
 * the source. Invariant: a row is text and numbers only; every vector field comes from the text through the
 * tape, so there is no second place where a system's physics is written. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_SYSTEMS_H
#define HNN_SYSTEMS_H

#include "error.h"
#include "text.h"

/* hnn_system_hamiltonian - append the text of H for dof degrees of freedom (0: the row's) to out.
 * Errors: HNN_ESHAPE if the row is not made for dof, HNN_EMEM. */
int hnn_system_hamiltonian(const hnn_system *s, int dof, hnn_text *out, hnn_error *e);

/* hnn_system_box - sampling box lo, hi [2 dof] in the coordinates z = (q, p). Errors: HNN_ESHAPE. */
int hnn_system_box(const hnn_system *s, int dof, const double value[], double lo[], double hi[],
                   hnn_error *e);

#endif
