/* part.h - private: a copy of what lies between x and y on a tape of its own, where derivatives of one direction are
 * recorded; ad_lift then records them on the real tape for many directions at once.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_PART_H
#define AD_PART_H

#include "tape.h"

typedef struct ad_part {
    const char *who;
    ad_tape *home, *t; /* the real tape, the copy */
    int32_t n;         /* nodes of the copy that have an origin; later ones are derivatives */
    int32_t *origin;   /* by id on t: the id on home, or -1 */
    ad_var *y, *x;     /* on t; x are leaves */
} ad_part;

/* false after an error, which is on the tape of x or y; nothing is to be closed then. */
HIDDEN bool ad_part_open(ad_part *p, const char *who, int ny, const ad_var y[], int nx, const ad_var x[]);
HIDDEN void ad_part_close(ad_part *p);
HIDDEN ad_var ad_part_leaf(ad_part *p, int rows, int cols); /* a value known to nobody */
HIDDEN int ad_part_status(ad_part *p);                      /* an error of the copy becomes one of home */

/* ad_lift - records roots (on p->t) on p->home for all rows of `value` at once.
 *   v [r,c] a leaf of p->t   value [k, r*c] on home, a row for each direction   ->   out[i] [k, elements of root i]
 * With v void: one direction for each row of the batch (k = AD_BATCH), the roots are gradients with respect to what has no
 * batch, and a sum over the batch is left unsummed, so that out[i] holds the share of each row.
 * AD_EUNSUPPORTED, with the node in *blocked and no error on the tape, when a batch is in the way. */
HIDDEN int ad_lift(ad_part *p, ad_var v, ad_var value, int n, const ad_var root[], ad_var out[],
                   int32_t *blocked);

/* row_local.c: row i of y [R,.] depends on row i of x only (not of_x: x has no batch, the rows are those of y); else false
 * and an error that names the node. */
HIDDEN bool ad_row_local(const char *who, ad_var y, ad_var x, int32_t R, bool of_x);
/* sparse.c: the whole Jacobian of y, or Hessian of y [1,1], by its pattern, where that takes at most half of the directions
 * (or an error was found: *out is void then); false where the directions one by one are no dearer. */
HIDDEN bool ad_by_pattern(const char *who, ad_var y, ad_var x, bool hessian, ad_var *out);

#endif
