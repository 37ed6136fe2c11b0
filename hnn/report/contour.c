/* contour.c - marching squares. Invariant: a crossing is named by the grid edge it lies on, and an edge borders at
 * most two cells, so every crossing has at most two neighbours and the lines are walks along them. */
/* SPDX-License-Identifier: MIT */
#include "plot.h"

#include <math.h>
#include <stdlib.h>

void hnn_lines_free(hnn_lines *l)
{
    free(l->first);
    free(l->xy);
    *l = (hnn_lines){0};
}

static void link_edges(long *next, long a, long b)
{
    next[2 * a + (next[2 * a] >= 0)] = b;
    next[2 * b + (next[2 * b] >= 0)] = a;
}

/* the links of cell (i, j): edges bottom, right, top, left */
static void cell(int nx, int ny, const double *z, double level, int i, int j, long *next)
{
    const double *at = z + (long)j * nx + i;
    double c[4] = {at[0], at[1], at[nx + 1], at[nx]}; /* counter-clockwise from lower left */
    long horizontal = (long)j * (nx - 1) + i, vertical = (long)ny * (nx - 1) + (long)j * nx + i;
    long edge[4] = {horizontal, vertical + 1, horizontal + nx - 1, vertical};
    int above[4], crossed[4], n = 0;
    for (int k = 0; k < 4; k++) {
        if (!isfinite(c[k]))
            return;
        above[k] = c[k] >= level;
    }
    for (int k = 0; k < 4; k++) /* edge k joins corners k and k + 1 */
        if (above[k] != above[(k + 1) % 4])
            crossed[n++] = k;
    if (n == 2)
        link_edges(next, edge[crossed[0]], edge[crossed[1]]);
    else if (n == 4) { /* corners that differ from the middle are cut off: 0 and 2, or 1 and 3 */
        int middle = (c[0] / 4 + c[1] / 4 + c[2] / 4 + c[3] / 4) >= level, k = above[0] != middle ? 0 : 1;
        link_edges(next, edge[k], edge[(k + 3) % 4]);
        link_edges(next, edge[k + 1], edge[k + 2]);
    }
}

static void put_point(int nx, int ny, const double *z, double level, long edge, double xy[2])
{
    long horizontals = (long)ny * (nx - 1);
    int flat = edge < horizontals;
    long k = flat ? edge : edge - horizontals, width = flat ? nx - 1 : nx, i = k % width, j = k / width;
    double a = z[j * nx + i], b = flat ? z[j * nx + i + 1] : z[(j + 1) * nx + i],
           t = (level / 2 - a / 2) / (b / 2 - a / 2);
    t = isfinite(t) ? t : 0.5; /* two subnormal neighbours; the halves keep b - a from overflow */
    xy[0] = (double)i + (flat ? t : 0);
    xy[1] = (double)j + (flat ? 0 : t);
}

int hnn_contour(int nx, int ny, const double z[], double level, hnn_lines *out, hnn_error *e)
{
    *out = (hnn_lines){0};
    if (nx < 2 || ny < 2)
        return hnn_fail(e, HNN_EARG, "contours need a grid of at least 2 x 2, not %d x %d", nx, ny);
    long edges = (long)ny * (nx - 1) + (long)(ny - 1) * nx, crossings = 0;
    long *next = malloc(sizeof *next * 2 * (size_t)edges);
    if (!next)
        goto memory;
    for (long k = 0; k < 2 * edges; k++)
        next[k] = -1;
    for (int j = 0; j + 1 < ny; j++)
        for (int i = 0; i + 1 < nx; i++)
            cell(nx, ny, z, level, i, j, next);
    for (long k = 0; k < edges; k++)
        crossings += next[2 * k] >= 0;
    /* a line has at least two crossings, and a closed one repeats its first */
    out->first = malloc(sizeof *out->first * (size_t)(crossings / 2 + 2));
    out->xy = malloc(sizeof *out->xy * 2 * (size_t)(crossings + crossings / 2 + 1));
    if (!out->first || !out->xy)
        goto memory;
    out->first[0] = 0;
    for (int loops = 0; loops < 2; loops++) /* open lines from their ends, then the closed ones */
        for (long start = 0; start < edges; start++) {
            if (next[2 * start] < 0 || (!loops && next[2 * start + 1] >= 0))
                continue;
            long at = start, before = -1;
            do {
                put_point(nx, ny, z, level, at, out->xy + 2 * out->points++);
                long a = next[2 * at], b = next[2 * at + 1], to = before < 0 || a != before ? a : b;
                next[2 * at] = next[2 * at + 1] = -1;
                before = at;
                at = to;
            } while (at >= 0 && at != start);
            if (at == start)
                put_point(nx, ny, z, level, at, out->xy + 2 * out->points++);
            out->first[++out->n] = out->points;
        }
    free(next);
    return HNN_OK;
memory:
    free(next);
    hnn_lines_free(out);
    return hnn_fail(e, HNN_EMEM, "out of memory for the contours of a grid of %d x %d", nx, ny);
}
