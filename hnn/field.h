/* field.h - from a Hamiltonian to its field, on the tape and as numbers. Invariant: every vector field, of true systems,
 * texts and networks, is made by hnn_field; none is derived by hand. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_FIELD_H
#define HNN_FIELD_H

#include "model.h"

/* hnn_flow_batch - n states as one state of n * 2 dof numbers, state after state: rhs only. For many starts at once
 * with methods that treat the components alike. Rows whose value is not finite, and those with frozen[i] != 0, get field
 * 0; the former are marked frozen[i] = 2. frozen [n] belongs to the caller. */
int hnn_flow_batch(hnn_flow *f, int n, unsigned char *frozen, ode_field *out, hnn_error *e);

#endif
