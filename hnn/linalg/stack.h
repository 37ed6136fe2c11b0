/* stack.h - private: Householder QR of [R; B] with R upper triangular, by panels of columns.
 * Reflection j is I - tau v v' with v = (e_j; a column of B), so R's part of V is an identity and needs no storage; the
 * reflections of a panel are I - V T V', T upper triangular. Invariant: columns right of a panel are updated in strips of
 * fixed width, each from its own numbers, so any thread may do any strip. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LINALG_STACK_H
#define HNN_LINALG_STACK_H

#include "kernel.h"
#include "team.h"

enum { HNN_STRIP = 64 };

typedef struct hnn_stack {
    const hnn_linalg_kernels *kernel;
    hnn_team *team;
    int nb;        /* width of a panel */
    long k;        /* rows of B */
    double *r, *b; /* by columns: R(i, j) = r[i + j*ldr] */
    size_t ldr, ldb;
    double *t;     /* T of the panel [nb, nb] by columns, zeros below the diagonal */
    double *norm2; /* NULL, or |column of B|^2 is written here for every updated column */
    double *scratch, *packed_v, *packed_vt, *packed_t, *w; /* scratch owns the others */
} hnn_stack;

/* hnn_stack_open - scratch for B of at most k rows; 0 when out of memory. t, r, b are the caller's. */
HNN_HIDDEN int hnn_stack_open(hnn_stack *s, const hnn_linalg_kernels *kernel, hnn_team *team, int n, long k);
HNN_HIDDEN void hnn_stack_close(hnn_stack *s);
HNN_HIDDEN int hnn_stack_width(int n);                        /* of a panel for n columns */
HNN_HIDDEN void hnn_stack_panel(hnn_stack *s, long j, int n); /* factor columns j .. j+n-1 */
HNN_HIDDEN void hnn_stack_update(hnn_stack *s, long j, int n, long from,
                                 long to); /* apply it to columns from .. to-1 */
HNN_HIDDEN void hnn_stack_factor(hnn_stack *s, long n, long columns, double *t,
                                 int keep); /* all; t: one, or (keep) all T */
HNN_HIDDEN double hnn_norm2(const hnn_linalg_kernels *kernel, long n,
                            const double *x); /* without over- or underflow */

#endif
