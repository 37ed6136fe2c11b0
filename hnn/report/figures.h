/* figures.h - private: what the figures of a comparison share. Invariant: arrays of a figure live in `owned` until it is in
 * the page, and after the first error nothing more is drawn. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_FIGURES_H
#define HNN_FIGURES_H

#include "field.h"
#include "report.h"

enum { HNN_FIG_TIMES = 401, HNN_FIG_SERIES = 64 };

typedef struct hnn_figures {
    const hnn_compare_result *r;
    hnn_page page;
    hnn_flow *energy; /* of the truth or the stated one; NULL: none. Not owned */
    hnn_flow *stated;
    hnn_flow *truth;  /* NULL for measured data */
    hnn_flow **flow;  /* [rows * seeds]; NULL where there is no model */
    double *t;        /* [times] of long rollouts */
    double horizon;   /* of the training data */
    int n, times;     /* 2 dof */
    void *owned[512]; /* freed at the end */
    int nowned;
    int code;
    hnn_error *e;
} hnn_figures;

double *hnn_fig_room(hnn_figures *p, long n); /* n zeros; NULL and p->code set when there is no memory */
void hnn_fig_give_back(hnn_figures *p, int to);
hnn_flow *hnn_fig_flow(const hnn_figures *p, int row, int seed);
int hnn_fig_models(const hnn_figures *p); /* rows that are no references */
/* a band from the lowest to the highest seed and a line for the median: two series, or 0 without memory */
int hnn_fig_band(hnn_figures *p, hnn_series *s, const char *label, int colour, int dash, long n,
                 const double *x, const double *values);
int hnn_fig_after(hnn_figures *p, hnn_series *s, double end); /* greys what lies after the training data */
void hnn_fig_add(hnn_figures *p, const char *name, const char *caption, const hnn_plot plots[], int n,
                 int columns);
/* z [count, times, n]: from held-out start `start` by each of the flows, NaN where there is none or it diverged */
int hnn_fig_rollouts(hnn_figures *p, hnn_flow *const f[], int count, int start, double *z);

enum { HNN_FIG_NAME = 48 };
/* of coordinate i with its unit: "q1 (m)"; i = -1: the time. bare: without the unit */
void hnn_fig_name(const hnn_figures *p, int i, int bare, char name[HNN_FIG_NAME]);
/* The range lo, hi of coordinate a of the training states of the first seed. */
void hnn_fig_range(const hnn_figures *p, int a, double *lo, double *hi);
/* greys the box [x0, x1, y0, y1] where coordinates a, b are outside that range: one series, or 0 without memory */
int hnn_fig_outside(hnn_figures *p, int a, int b, const double box[4], hnn_series *s);

void hnn_fig_portraits(hnn_figures *p); /* portrait.c */
void hnn_fig_orbits(hnn_figures *p);    /* orbits.c */
void hnn_fig_sections(hnn_figures *p);
void hnn_fig_seeds(hnn_figures *p); /* spread.c */
void hnn_fig_sizes(hnn_figures *p);

#endif
