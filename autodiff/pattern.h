/* pattern.h - private: which elements of x each element of a recorded value depends on, and colourings of that.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_PATTERN_H
#define AD_PATTERN_H

#include "part.h"

typedef struct
    ad_pattern { /* the entries of an m x n matrix that may differ from 0, by rows, each row ascending */
    int32_t m, n, nnz;
    int32_t *start, *col; /* row i: col[start[i]] ... col[start[i+1]-1] */
    int64_t elements;     /* of all nodes that depend on x: what one directional derivative costs */
    int64_t entries;      /* of the Jacobians of all these nodes: what sparse accumulation costs */
} ad_pattern;

/* The pattern of dy/dx for y and x on p->t; false after an error on p->home. A batch counts as one row. */
HIDDEN bool ad_pattern_of(ad_part *p, ad_var y, ad_var x, ad_pattern *out);
HIDDEN void ad_pattern_free(ad_pattern *a);
HIDDEN bool ad_pattern_transpose(const ad_pattern *a, ad_pattern *out);
HIDDEN bool ad_pattern_mirror(const ad_pattern *a, ad_pattern *out); /* with a' */

/* Colours of the columns so that no row has two entries of one colour: [n], ascending from 0; the number of colours, or
 * -1 when out of memory. Source: Curtis, Powell, Reid (1974), J. Inst. Maths Applics 13, 117-119. */
HIDDEN int32_t ad_color_columns(const ad_pattern *a, int32_t color[]);
/* The same for a symmetric pattern whose entry (i,j) may be read as (j,i): a star colouring, no path of four vertices in
 * two colours. Source: Gebremedhin, Manne, Pothen (2005), SIAM Review 47, 629-705. */
HIDDEN int32_t ad_color_star(const ad_pattern *a, int32_t color[]);

/* The element (r,c) of the operand x that element (i,j) of a movement is a copy of; false where it is 0. */
HIDDEN bool ad_source_of(const ad_node *n, const ad_node *x, const int32_t *attr, int32_t i, int32_t j,
                         int32_t *r, int32_t *c);
/* entries.c: dy/dx written out, y and x on one tape: its pattern (to be freed) and the entries in that order, [1,nnz]. Only
 * for nodes of operations that are known there, with fixed numbers of rows. false after an error. */
HIDDEN bool ad_entries(ad_var y, ad_var x, ad_pattern *a, ad_var *out);
HIDDEN bool ad_entries_known(int op);

#endif
