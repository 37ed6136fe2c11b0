/* plot.h - pictures as inline SVG: lines, bands, points, contours, greyed regions on linear or logarithmic axes.
 * Invariant: the same input gives the same bytes, without ids, scripts or links, so that any number of pictures can
 * stand in one page and be compared with `cmp`. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_PLOT_H
#define HNN_PLOT_H

#include "error.h"
#include "text.h"

enum { HNN_PLOT_LINE, HNN_PLOT_POINTS, HNN_PLOT_BAND, HNN_PLOT_CONTOUR, HNN_PLOT_REGION };
enum { HNN_DOT, HNN_RING, HNN_CROSS, HNN_SQUARE, HNN_DIAMOND, HNN_TRIANGLE }; /* shapes of points */
enum { HNN_INK = -1, HNN_GREY = -2 }; /* colours beside 0 .. 6 of the palette, which repeats */

typedef struct hnn_series {
    int kind;
    const char *label; /* in the legend; NULL: not there */
    int colour;        /* 0 .. 6, HNN_INK, HNN_GREY */
    int dash;          /* 0 solid, 1 dashed, 2 dotted: so that colour is not the only difference */
    int shape;         /* of points */
    double width;      /* of lines, of points the diameter, in pixels; 0: the usual */
    long n;
    /* LINE, POINTS: (x, y). BAND: y to y2 over x. REGION: rectangles x to x2, y to y2 (y NULL: the full height).
     * What is not finite, or not positive on a logarithmic axis, interrupts a line and is no point. */
    const double *x, *y, *x2, *y2;
    /* CONTOUR: lines z = level[0 .. n-1] of z [ny, nx], z[0] at (box[0], box[2]), the last at (box[1], box[3]) */
    int nx, ny;
    const double *z, *level;
    double box[4];
} hnn_series;

typedef struct hnn_plot {
    const char *title, *xlabel, *ylabel; /* plain text, UTF-8; NULL: none */
    const char *about; /* one sentence for readers who do not see the picture; NULL: the title */
    int width, height; /* pixels; 0: 560 x 360 */
    int xlog, ylog;
    int equal;         /* one unit has the same length on both axes */
    double x[2], y[2]; /* limits; equal: from the data */
    const hnn_series *series;
    int n;
} hnn_plot;

/* hnn_plot_svg - append one <svg> element. Errors: HNN_EARG (no size, limits <= 0 on a logarithmic axis), HNN_EMEM. */
int hnn_plot_svg(const hnn_plot *p, hnn_text *out, hnn_error *e);

/* hnn_plot_panels - n plots in one <svg>, row by row, `columns` beside each other; all get the size of the largest.
 * Errors: HNN_EARG, HNN_EMEM. */
int hnn_plot_panels(const hnn_plot p[], int n, int columns, hnn_text *out, hnn_error *e);

/* Contour lines in grid coordinates: xy[2k], xy[2k+1] = column, row of point k; line i has the points
 * first[i] .. first[i+1]-1; a closed line ends where it begins. */
typedef struct hnn_lines {
    long n, points;
    long *first;
    double *xy;
} hnn_lines;

/* hnn_contour - the lines z = level of z [ny, nx] by marching squares with linear interpolation, joined. A node at
 * the level counts as above; a saddle is decided by the mean of its cell; cells with a node that is not finite are
 * left out. Errors: HNN_EARG below 2 x 2, HNN_EMEM. Source: Lorensen, Cline (1987), Computer Graphics 21, 163-169. */
int hnn_contour(int nx, int ny, const double z[], double level, hnn_lines *out, hnn_error *e);
void hnn_lines_free(hnn_lines *l);

#endif
