/* landscape.h - the equilibria of any H in a box, what kind they are, and how its levels hang together.
 * Invariant: a function of H, the box, the options and the seed alone; equilibria are in ascending energy. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LANDSCAPE_H
#define HNN_LANDSCAPE_H

#include "error.h"

/* hnn_landscape_score - the F1 score of one-to-one matches (as many as possible) between true and learned equilibria: distance
 * norm(S^-1 dz) <= 0.05 sqrt(dim), same kind, index and spectrum; S = diag(scale), period [dim] or NULL. NaN when the truth has
 * no isolated equilibrium. Errors: HNN_EARG (dimensions differ, scale not positive), HNN_EMEM. */
int hnn_landscape_score(const hnn_landscape *truth, const hnn_landscape *learned, const double scale[],
                        const double period[], double *f1, hnn_error *e);

#endif
