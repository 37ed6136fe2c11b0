/* spread.c - how the errors spread over the seeds, and how they fall with the number of training trajectories. Invariant: a run
 * without a finite value is no point. */
/* SPDX-License-Identifier: MIT */
#include "report/figures.h"

#include <math.h>

/* ---- spread over the seeds ---- */

void hnn_fig_seeds(hnn_figures *p)
{
    static const int ids[] = {HNN_FIELD_ERROR, HNN_ROLLOUT_ERROR, HNN_ENERGY_MSE_TRUE, HNN_H_ERROR};
    enum { PANELS = sizeof ids / sizeof *ids };
    hnn_plot plot[PANELS];
    hnn_series s[PANELS][HNN_COMPARE_MODELS];
    int m = hnn_fig_models(p), mark = p->nowned, panels = 0;
    for (int a = 0; a < PANELS && p->r->seeds > 1 && !p->code; a++) {
        int used = 0;
        for (int k = 0; k < m && k < HNN_COMPARE_MODELS; k++) {
            double *x = hnn_fig_room(p, p->r->seeds), *y = hnn_fig_room(p, p->r->seeds);
            int n = 0;
            for (int seed = 0; y && seed < p->r->seeds; seed++) {
                const hnn_metric *v = &p->r->row[k].run[seed].metric[ids[a]];
                if (!v->why && isfinite(v->value) && v->value > 0)
                    x[n] = seed + 1 + 0.08 * (k - (m - 1) / 2.0), y[n++] = v->value;
            }
            if (n)
                s[panels][used++] = (hnn_series){.kind = HNN_PLOT_POINTS,
                                                 .label = p->r->row[k].label,
                                                 .colour = k,
                                                 .shape = k % 6 == HNN_CROSS ? HNN_TRIANGLE : k % 6,
                                                 .width = 9,
                                                 .n = n,
                                                 .x = x,
                                                 .y = y};
        }
        if (!used)
            continue;
        const char *name =
            ids[a] == HNN_ENERGY_MSE_TRUE && !p->r->truth ? "stated energy, MSE" : hnn_metric_label(ids[a]);
        plot[panels] = (hnn_plot){.title = name,
                                  .xlabel = "seed",
                                  .ylabel = name,
                                  .ylog = 1,
                                  .width = 480,
                                  .height = 260,
                                  .x = {0, p->r->seeds + 1},
                                  .series = s[panels],
                                  .n = used};
        panels++;
    }
    if (!p->code && panels) {
        hnn_page_heading(&p->page, "Spread over the seeds");
        hnn_fig_add(p, "seeds", "A seed draws data, noise and weights, and is shared by the models.", plot,
                    panels, 2);
    }
    hnn_fig_give_back(p, mark);
}

/* ---- errors over the number of trajectories ---- */

static int size_curve(hnn_figures *p, int row, int metric, hnn_series *s)
{
    int n = p->r->sizes, any = 0;
    double *x = hnn_fig_room(p, n), *lo = hnn_fig_room(p, n), *middle = hnn_fig_room(p, n),
           *hi = hnn_fig_room(p, n);
    for (int i = 0; hi && i < n; i++) {
        const hnn_summary *v = &p->r->size[i].summary[row][metric];
        x[i] = p->r->size[i].trajectories;
        lo[i] = v->n ? v->q1 : NAN, middle[i] = v->n ? v->median : NAN, hi[i] = v->n ? v->q3 : NAN;
        any |= isfinite(middle[i]) && middle[i] > 0;
    }
    if (!any)
        return 0;
    s[0] = (hnn_series){.kind = HNN_PLOT_BAND, .colour = row, .n = n, .x = x, .y = lo, .y2 = hi};
    s[1] = (hnn_series){.kind = HNN_PLOT_LINE,
                        .label = p->r->row[row].label,
                        .colour = row,
                        .dash = row % 3,
                        .n = n,
                        .x = x,
                        .y = middle};
    s[2] = (hnn_series){.kind = HNN_PLOT_POINTS, .colour = row, .width = 6, .n = n, .x = x, .y = middle};
    return 3;
}

void hnn_fig_sizes(hnn_figures *p)
{
    hnn_plot plot[HNN_SIZE_METRICS];
    hnn_series s[HNN_SIZE_METRICS][3 * HNN_COMPARE_MODELS];
    int m = hnn_fig_models(p), mark = p->nowned, panels = 0;
    for (int a = 0; a < HNN_SIZE_METRICS && p->r->sizes && !p->code; a++) {
        const char *name = hnn_metric_label(hnn_size_metric(a));
        int used = 0;
        for (int k = 0; k < m && k < HNN_COMPARE_MODELS; k++)
            used += size_curve(p, k, a, s[panels] + used);
        if (!used)
            continue;
        plot[panels] = (hnn_plot){.title = name,
                                  .xlabel = "training trajectories",
                                  .ylabel = name,
                                  .x = {0, 1.05 * p->r->size[p->r->sizes - 1].trajectories},
                                  .ylog = 1,
                                  .width = 480,
                                  .height = 320,
                                  .series = s[panels],
                                  .n = used};
        panels++;
    }
    if (!p->code && panels) {
        hnn_page_heading(&p->page, "Errors over the number of training trajectories");
        hnn_fig_add(p, "sizes", "Median over the seeds, and the range between the quartiles.", plot, panels,
                    2);
    }
    hnn_fig_give_back(p, mark);
}
