/* adjoint.h - private: contributions to the adjoints of nodes, collected during a reverse sweep.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_ADJOINT_H
#define AD_ADJOINT_H

#include "tape.h"

typedef struct ad_sums { /* linked lists in one array */
    int32_t *head;       /* by node, index + 1 */
    struct ad_part_sum {
        ad_var value;
        int32_t next;
        int32_t row, col; /* of a block; row = INT32_MIN: the whole */
    } * part;
    int32_t n, cap, spare; /* spare: a list of those summed already, index + 1 */
} ad_sums;

/* A contribution to the adjoint of node, of its shape or one that broadcasts to it; false when out of memory. */
HIDDEN bool ad_sums_add(ad_sums *s, int32_t node, ad_var v);
/* A contribution to the block of the shape of v that begins at (row, col). */
HIDDEN bool ad_sums_block(ad_sums *s, int32_t node, ad_var v, int32_t row, int32_t col);
/* The adjoint of a node [rows,cols]: its contributions in the order they came, summed and forgotten. */
HIDDEN ad_var ad_sums_total(ad_sums *s, int32_t node, int32_t rows, int32_t cols, ad_tape *t);

#endif
