/* lsq.h - private: what lsq.c (rows into a triangle) and rrqr.c (the triangle into a solution) share. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LINALG_LSQ_H
#define HNN_LINALG_LSQ_H

#include "linalg.h"
#include "stack.h"

struct hnn_lsq {
    int n, nrhs;
    long filled, rows; /* waiting in the block; given so far */
    hnn_team *team;
    hnn_stack stack;
    double *r, *block, *t; /* r [n, n + nrhs] by columns: R and Q'B */
    size_t ld;
    double residual; /* norm of what no unknown can reach */
};

/* a leading dimension that no cache maps onto itself */
static inline size_t hnn_lsq_ld(long rows) { return ((size_t)rows + 7) / 8 * 8 + (rows % 512 < 8 ? 8 : 0); }

HNN_HIDDEN int hnn_rrqr_solve(const hnn_lsq *s, const hnn_lsq_options *o, double x[], hnn_lsq_info *info,
                              hnn_error *e);

#endif
