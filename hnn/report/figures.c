/* figures.c - what the figures of a comparison share: arrays, bands over seeds, rollouts. */
/* SPDX-License-Identifier: MIT */
#include "report/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double *hnn_fig_room(hnn_figures *p, long n)
{
    double *x = p->code ? NULL : calloc((size_t)n + 1, sizeof *x);
    if (!x || p->nowned == (int)(sizeof p->owned / sizeof *p->owned)) {
        free(x);
        if (!p->code)
            p->code = hnn_fail(p->e, HNN_EMEM, "out of memory for the figures of a report");
        return NULL;
    }
    return p->owned[p->nowned++] = x;
}

void hnn_fig_give_back(hnn_figures *p, int to)
{
    while (p->nowned > to)
        free(p->owned[--p->nowned]);
}

hnn_flow *hnn_fig_flow(const hnn_figures *p, int row, int seed) { return p->flow[row * p->r->seeds + seed]; }
int hnn_fig_models(const hnn_figures *p)
{
    int n = 0;
    while (n < p->r->rows && !p->r->row[n].reference)
        n++;
    return n;
}

/* the lower and upper value and the median over seeds at each of n places: x[seed * n + i] */
static void spread(int seeds, long n, const double x[], double lo[], double middle[], double hi[])
{
    double v[HNN_STATS_MAX_SEEDS];
    for (long i = 0; i < n; i++) {
        int used = 0;
        for (int s = 0; s < seeds && s < HNN_STATS_MAX_SEEDS; s++) {
            double a = x[s * n + i];
            int k = used;
            if (!isfinite(a))
                continue;
            for (; k > 0 && v[k - 1] > a; k--)
                v[k] = v[k - 1];
            v[k] = a, used++;
        }
        int all = used == seeds; /* where a run has left the finite numbers there is no band */
        lo[i] = all ? v[0] : NAN, hi[i] = all ? v[used - 1] : NAN;
        middle[i] = 2 * used > seeds ? hnn_quantile(used, v, 0.5) : NAN;
    }
}

/* a line for the median over seeds and a band from the lowest to the highest: two series */
int hnn_fig_band(hnn_figures *p, hnn_series *s, const char *label, int colour, int dash, long n,
                 const double *x, const double *values)
{
    double *lo = hnn_fig_room(p, n), *middle = hnn_fig_room(p, n), *hi = hnn_fig_room(p, n);
    if (!hi)
        return 0;
    spread(p->r->seeds, n, values, lo, middle, hi);
    s[0] = (hnn_series){.kind = HNN_PLOT_BAND, .colour = colour, .n = n, .x = x, .y = lo, .y2 = hi};
    s[1] = (hnn_series){
        .kind = HNN_PLOT_LINE, .label = label, .colour = colour, .dash = dash, .n = n, .x = x, .y = middle};
    return 2;
}

/* what lies after the training data on an axis of time */
int hnn_fig_after(hnn_figures *p, hnn_series *s, double end)
{
    double *x = hnn_fig_room(p, 2);
    if (!x || !(end > p->horizon))
        return 0;
    x[0] = p->horizon, x[1] = end;
    s[0] = (hnn_series){.kind = HNN_PLOT_REGION,
                        .label = "beyond the training data",
                        .colour = HNN_GREY,
                        .n = 1,
                        .x = &x[0],
                        .x2 = &x[1]};
    return 1;
}

void hnn_fig_add(hnn_figures *p, const char *name, const char *caption, const hnn_plot plots[], int n,
                 int columns)
{
    if (!p->code)
        p->code = hnn_page_figure(&p->page, name, caption, plots, n, columns, p->e);
}

/* z [seeds, times, n] of a model, or [1, ...] of the truth */
int hnn_fig_rollouts(hnn_figures *p, hnn_flow *const f[], int count, int start, double *z)
{
    const hnn_data *test = &p->r->test[0];
    for (int s = 0; s < count; s++) {
        double *out = z + (long)s * p->times * p->n;
        for (long i = 0; i < (long)p->times * p->n; i++)
            out[i] = NAN;
        if (f[s] && hnn_flow_rollout(f[s], "dop853", 0, test->z + test->offset[start] * p->n, p->times, p->t,
                                     out, NULL, p->e))
            return p->e ? p->e->code : HNN_EARG;
    }
    return HNN_OK;
}

void hnn_fig_name(const hnn_figures *p, int i, int bare, char name[HNN_FIG_NAME])
{
    int dof = p->n / 2, velocity = p->r->test[0].coords != HNN_QP;
    const char *unit = p->r->unit[i < 0 ? 2 : i >= dof];
    char letter = i < dof ? 'q' : velocity ? 'v' : 'p', index[12] = "";
    if (dof > 1)
        snprintf(index, sizeof index, "%d", i % dof + 1);
    if (i < 0)
        snprintf(name, HNN_FIG_NAME, "time%s%s%s", *unit ? " (" : "", unit, *unit ? ")" : "");
    else if (bare || !*unit || (velocity && i >= dof))
        snprintf(name, HNN_FIG_NAME, "%c%s", letter, index);
    else
        snprintf(name, HNN_FIG_NAME, "%c%s (%s)", letter, index, unit);
}

void hnn_fig_range(const hnn_figures *p, int a, double *lo, double *hi)
{
    const hnn_data *d = &p->r->train[0];
    *lo = INFINITY, *hi = -INFINITY;
    for (long i = 0; i < d->n; i++)
        *lo = fmin(*lo, d->z[i * p->n + a]), *hi = fmax(*hi, d->z[i * p->n + a]);
}

int hnn_fig_outside(hnn_figures *p, int a, int b, const double box[4], hnn_series *s)
{
    double lo[2], hi[2], *x = hnn_fig_room(p, 16);
    if (!x)
        return 0;
    hnn_fig_range(p, a, &lo[0], &hi[0]), hnn_fig_range(p, b, &lo[1], &hi[1]);
    const double r[4][4] = {{box[0], lo[0], box[2], box[3]},
                            {hi[0], box[1], box[2], box[3]},
                            {lo[0], hi[0], box[2], lo[1]},
                            {lo[0], hi[0], hi[1], box[3]}};
    for (int k = 0; k < 4; k++)
        for (int c = 0; c < 4; c++)
            x[4 * c + k] = r[k][c]; /* x, x2, y, y2 of four rectangles */
    s[0] = (hnn_series){.kind = HNN_PLOT_REGION,
                        .label = "outside the data",
                        .colour = HNN_GREY,
                        .n = 4,
                        .x = x,
                        .x2 = x + 4,
                        .y = x + 8,
                        .y2 = x + 12};
    return 1;
}
