/* portrait.c - contours of the true and the learned Hamiltonian, orbits in the plane. Invariant: both Hamiltonians are drawn
 * at the same levels, each without its mean over the picture, because a learned one is known up to a constant only. */
/* SPDX-License-Identifier: MIT */
#include "landscape.h"
#include "report/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { GRID = 81, LEVELS = 9, STARTS = 4, KINDS = 4 };

/* ---- phase portraits (one degree of freedom) ---- */

static int box_of(const hnn_figures *p, double box[4])
{
    box[0] = box[2] = INFINITY, box[1] = box[3] = -INFINITY;
    for (int which = 0; which < 2; which++) {
        const hnn_data *d = which ? &p->r->test[0] : &p->r->train[0];
        for (long i = 0; i < d->n; i++)
            for (int a = 0; a < 2; a++) {
                double x = d->z[i * 2 + a];
                box[2 * a] = fmin(box[2 * a], x), box[2 * a + 1] = fmax(box[2 * a + 1], x);
            }
    }
    for (int a = 0; a < 4; a += 2) {
        double margin = 0.2 * (box[a + 1] - box[a]);
        box[a] -= margin, box[a + 1] += margin;
    }
    return box[0] < box[1] && box[2] < box[3];
}

/* H on the grid; the mean over the grid is taken off, because a learned H is only known up to a constant */
static void on_grid(hnn_flow *f, const double box[4], double *z)
{
    double sum = 0, at[2];
    int finite = 0;
    for (int j = 0; j < GRID; j++)
        for (int i = 0; i < GRID; i++) {
            at[0] = box[0] + (box[1] - box[0]) * i / (GRID - 1),
            at[1] = box[2] + (box[3] - box[2]) * j / (GRID - 1);
            double *h = &z[j * GRID + i];
            if (hnn_flow_energy(f, 1, 0, at, h, NULL))
                *h = NAN;
            if (isfinite(*h))
                sum += *h, finite++;
        }
    for (int i = 0; i < GRID * GRID; i++)
        z[i] -= finite ? sum / finite : 0;
}

/* levels at equal shares of the grid, so that none is crowded */
static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void levels_of(hnn_figures *p, const double *z, double level[LEVELS])
{
    double *sorted = hnn_fig_room(p, GRID * GRID);
    if (!sorted)
        return;
    int n = 0;
    for (int i = 0; i < GRID * GRID; i++)
        if (isfinite(z[i]))
            sorted[n++] = z[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    for (int k = 0; k < LEVELS; k++)
        level[k] = n ? hnn_quantile(n, sorted, (k + 0.5) / LEVELS) : 0;
}

/* Equilibria of one kind as one series each: the shape says the kind; true ones are large and of ink, learned ones small. */
static int equilibria(hnn_figures *p, hnn_flow *f, const double box[4], int learned, int colour,
                      hnn_series *s)
{
    static const struct {
        int shape;
        const char *label[2];
    } kinds[] = {[HNN_MINIMUM] = {HNN_RING, {"true minimum", "learned minimum"}},
                 [HNN_SADDLE] = {HNN_CROSS, {"true saddle", "learned saddle"}},
                 [HNN_MAXIMUM] = {HNN_TRIANGLE, {"true maximum", "learned maximum"}},
                 [HNN_DEGENERATE] = {HNN_SQUARE, {"true, degenerate", "learned, degenerate"}}};
    const double lo[2] = {box[0], box[2]}, hi[2] = {box[1], box[3]};
    const hnn_landscape_options o = {.starts = 64, .points_only = 1};
    hnn_landscape l;
    int used = 0, code = hnn_landscape_find(hnn_flow_landscape, f, 2, lo, hi, &o, &l, p->e);
    if (code == HNN_EMEM)
        p->code = code;
    for (int kind = 0; kind < KINDS && !p->code; kind++) {
        double *x = hnn_fig_room(p, l.n), *y = hnn_fig_room(p, l.n);
        int n = 0;
        for (int i = 0; y && i < l.n; i++)
            if (l.at[i].kind == kind)
                x[n] = l.at[i].z[0], y[n++] = l.at[i].z[1];
        if (n)
            s[used++] = (hnn_series){.kind = HNN_PLOT_POINTS,
                                     .label = kinds[kind].label[learned],
                                     .colour = learned ? colour : HNN_INK,
                                     .shape = learned && kind == HNN_MINIMUM ? HNN_DOT : kinds[kind].shape,
                                     .width = learned ? 7 : 13,
                                     .n = n,
                                     .x = x,
                                     .y = y};
    }
    hnn_landscape_free(&l);
    return used;
}

/* rollouts from the first held-out starts, three times as long as the training data: longer ones would hide each other */
static int portrait_lines(hnn_figures *p, hnn_flow *f, int colour, hnn_series *s)
{
    const hnn_data *d = &p->r->test[0];
    int starts = d->ntraj < STARTS ? d->ntraj : STARTS, used = 0, shown = 0;
    while (shown < p->times && p->t[shown] <= 3 * p->horizon)
        shown++;
    for (int k = 0; k < starts && !p->code; k++) {
        double *z = hnn_fig_room(p, (long)p->times * p->n), *x = hnn_fig_room(p, shown),
               *y = hnn_fig_room(p, shown);
        p->code = p->code ? p->code : hnn_fig_rollouts(p, &f, 1, k, z);
        for (int i = 0; i < shown && !p->code; i++)
            x[i] = z[i * p->n], y[i] = z[i * p->n + p->n / 2];
        if (!p->code)
            s[used++] = (hnn_series){.kind = HNN_PLOT_LINE,
                                     .label = k ? NULL : "rollouts",
                                     .colour = colour,
                                     .width = 1.2,
                                     .n = shown,
                                     .x = x,
                                     .y = y};
    }
    return used;
}

/* measured states as small points: what trained and what tests, apart */
static int recording(hnn_figures *p, hnn_series *s)
{
    static const char *const label[2] = {"recording, training", "recording, test"};
    int used = 0;
    for (int which = 0; which < 2; which++) {
        const hnn_data *d = which ? &p->r->test[0] : &p->r->train[0];
        double *x = hnn_fig_room(p, d->n), *y = hnn_fig_room(p, d->n);
        for (long i = 0; y && i < d->n; i++)
            x[i] = d->z[2 * i], y[i] = d->z[2 * i + 1];
        if (y)
            s[used++] = (hnn_series){.kind = HNN_PLOT_POINTS,
                                     .label = label[which],
                                     .colour = which ? HNN_INK : HNN_GREY,
                                     .width = 2.5,
                                     .n = d->n,
                                     .x = x,
                                     .y = y};
    }
    return used;
}

void hnn_fig_portraits(hnn_figures *p)
{
    enum { PANELS = HNN_COMPARE_MODELS };
    double box[4], level[LEVELS] = {0}, *true_z = NULL;
    int m = hnn_fig_models(p), panels = 0, mark = p->nowned;
    if (p->n != 2 || !box_of(p, box))
        return;
    hnn_plot plot[PANELS];
    hnn_series s[PANELS][STARTS + 2 * KINDS + 4];
    char title[PANELS][64], name[2][HNN_FIG_NAME];
    hnn_fig_name(p, 0, 0, name[0]), hnn_fig_name(p, 1, 0, name[1]);
    if (p->truth && hnn_flow_has_energy(p->truth) && (true_z = hnn_fig_room(p, GRID * GRID))) {
        on_grid(p->truth, box, true_z);
        levels_of(p, true_z, level);
    }
    for (int k = 0; k < m && panels < PANELS && !p->code; k++) {
        hnn_flow *f = hnn_fig_flow(p, k, 0);
        int used = hnn_fig_outside(p, 0, 1, box, s[panels]);
        if (!f)
            continue;
        if (!p->truth)
            used += recording(p, s[panels] + used);
        if (true_z)
            s[panels][used++] = (hnn_series){.kind = HNN_PLOT_CONTOUR,
                                             .label = "true H",
                                             .colour = HNN_INK,
                                             .width = 1,
                                             .nx = GRID,
                                             .ny = GRID,
                                             .z = true_z,
                                             .level = level,
                                             .n = LEVELS,
                                             .box = {box[0], box[1], box[2], box[3]}};
        if (hnn_flow_has_energy(f)) {
            double *z = hnn_fig_room(p, GRID * GRID), *own = level;
            if (!z)
                break;
            on_grid(f, box, z);
            if (!true_z && (own = hnn_fig_room(p, LEVELS)))
                levels_of(p, z, own);
            s[panels][used++] = (hnn_series){.kind = HNN_PLOT_CONTOUR,
                                             .label = "learned H",
                                             .colour = k,
                                             .dash = 1,
                                             .width = 1.8,
                                             .nx = GRID,
                                             .ny = GRID,
                                             .z = z,
                                             .level = own,
                                             .n = LEVELS,
                                             .box = {box[0], box[1], box[2], box[3]}};
        } else
            used += portrait_lines(p, f, k, s[panels] + used);
        if (true_z)
            used += equilibria(p, p->truth, box, 0, k, s[panels] + used);
        if (hnn_flow_has_energy(f) && !p->code)
            used += equilibria(p, f, box, 1, k, s[panels] + used);
        snprintf(title[panels], sizeof title[panels], "%.40s", p->r->row[k].label);
        plot[panels] = (hnn_plot){.title = title[panels],
                                  .xlabel = name[0],
                                  .ylabel = name[1],
                                  .width = 480,
                                  .height = 450,
                                  .x = {box[0], box[1]},
                                  .y = {box[2], box[3]},
                                  .series = s[panels],
                                  .n = used};
        panels++;
    }
    if (!p->code && panels) {
        hnn_page_heading(&p->page, "Phase portrait");
        hnn_fig_add(
            p, "portrait",
            true_z
                ? "Contours of the true Hamiltonian and of the learned one at the same levels (each up to a "
                  "constant), first seed, with their equilibria: rings and dots minima, crosses saddles, "
                  "triangles "
                  "maxima. A model without a Hamiltonian has no contours: its rollouts from held-out starts "
                  "are "
                  "shown. Grey: outside the range of the training states."
                : "Contours of the learned Hamiltonian and its equilibria (dots minima, crosses saddles, "
                  "triangles "
                  "maxima), first seed, over the recording. A model without one has no contours: its "
                  "rollouts "
                  "from held-out starts are shown. Grey: outside the range of the training states.",
            plot, panels, 2);
    }
    hnn_fig_give_back(p, mark);
}
