/* axis.h - one axis of a plot: limits, ticks, labels, pixels. Invariant: lo < hi, both within 1e300, once
 * hnn_axis_limit has returned HNN_OK. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_AXIS_H
#define HNN_AXIS_H

#include "error.h"
#include "text.h"

typedef struct axis {
    double lo, hi, from, to; /* limits (logarithms on a logarithmic axis), pixels */
    int log, decimals;
    int fine;            /* logarithmic, with ticks at 1, 2, 5 times powers of ten, not at powers alone */
    double step, factor; /* ticks; labels show value / 10^factor when factor is not 0 */
} axis;

double hnn_axis_at(const axis *a, double x);  /* pixel of x, clamped to the neighbourhood of the picture */
int hnn_axis_usable(const axis *a, double x); /* finite, and positive on a logarithmic axis */
void hnn_axis_widen(axis *a, double x);       /* the limits so that x is between them */
int hnn_axis_limit(axis *a, const double given[2], double margin,
                   hnn_error *e);            /* given limits, or those of the data with a margin */
void hnn_axis_ticks(axis *a, int about);     /* about so many, at nice numbers */
double hnn_axis_tick(const axis *a, long k); /* pixel of tick k */
long hnn_axis_first(const axis *a);
long hnn_axis_last(const axis *a);
void hnn_axis_power(hnn_text *t, double k);             /* 10 with the exponent k raised */
int hnn_axis_label(hnn_text *t, const axis *a, long k); /* of tick k; returns its width in letters */

#endif
