/* table.h - a rectangle of numbers with the place in the file that each row came from. Invariant: v is rows x cols;
 * a missing value is NaN; names, when there are any, belong to the last columns. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_IO_TABLE_H
#define HNN_IO_TABLE_H

#include "error.h"

typedef struct hnn_table {
    long rows;
    int cols;
    double *v;
    int names;
    char **name; /* names of the last `names` columns */
    long *line;  /* line in the file, from 1; NULL for binary files */
    long *block; /* number of blank-line separated block, or of trajectory in a binary file */
    int states;  /* a bare array of states: no time column is expected */
    int flat;    /* rows of unknown trajectories: block says nothing */
} hnn_table;

void hnn_table_free(hnn_table *t);
int hnn_table_text(const char *path, const char *s, size_t n, hnn_table *t, hnn_error *e);
int hnn_table_arrays(const char *path, const char *derivatives, hnn_table *t,
                     hnn_error *e); /* .npy or .npz */

/* What a column is. kind: 0 unused, 'i' trial, 't' time, 'q' 'p' state, 'Q' 'P' their derivatives; index from 0. */
typedef struct hnn_role {
    char kind;
    int index;
} hnn_role;

/* hnn_table_roles - from the option's text, else from names, else from the number of columns. role[cols] */
int hnn_table_roles(const char *path, const hnn_table *t, const char *columns, int positions_only,
                    hnn_role role[], int *dof, hnn_error *e);

#endif
