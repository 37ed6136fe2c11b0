/* orbits.c - orbits of several degrees of freedom: in the plane of the first two positions, and where they cross a section.
 * Invariant: truth and model start from the same held-out states and are stepped by the same method. */
/* SPDX-License-Identifier: MIT */
#include "report/figures.h"

#include <math.h>
#include <stdlib.h>

/* limits of a picture: those of x, with a margin, so that what runs away does not shrink the rest */
static void limits(long n, const double *x, double out[2])
{
    double lo = INFINITY, hi = -INFINITY;
    for (long i = 0; i < n; i++)
        if (isfinite(x[i]))
            lo = fmin(lo, x[i]), hi = fmax(hi, x[i]);
    if (lo < hi)
        out[0] = lo - 0.25 * (hi - lo), out[1] = hi + 0.25 * (hi - lo);
}

/* ---- orbits in the plane of the first two positions (more degrees of freedom) ---- */

void hnn_fig_orbits(hnn_figures *p)
{
    int dof = p->n / 2, mark = p->nowned, m = hnn_fig_models(p), panels = 0;
    hnn_plot plot[HNN_COMPARE_MODELS];
    hnn_series s[HNN_COMPARE_MODELS][4];
    char name[2][HNN_FIG_NAME];
    const double all[4] = {-1e30, 1e30, -1e30, 1e30}; /* the picture cuts it off */
    if (dof < 2)
        return;
    hnn_fig_name(p, 0, 0, name[0]), hnn_fig_name(p, 1, 0, name[1]);
    double view[2][2] = {{0}};
    for (int k = 0; k < m && panels < HNN_COMPARE_MODELS && !p->code; k++) {
        int used = hnn_fig_outside(p, 0, 1, all, s[panels]);
        hnn_flow *f[2] = {p->truth, hnn_fig_flow(p, k, 0)};
        for (int which = 0; which < 2 && !p->code; which++) {
            if (!f[which])
                continue;
            double *z = hnn_fig_room(p, (long)p->times * p->n), *x = hnn_fig_room(p, p->times),
                   *y = hnn_fig_room(p, p->times);
            p->code = p->code ? p->code : hnn_fig_rollouts(p, &f[which], 1, 0, z);
            for (int i = 0; i < p->times && !p->code; i++)
                x[i] = z[i * p->n], y[i] = z[i * p->n + 1];
            if (!which && !p->code)
                limits(p->times, x, view[0]), limits(p->times, y, view[1]);
            s[panels][used++] = (hnn_series){.kind = HNN_PLOT_LINE,
                                             .label = which ? p->r->row[k].label : "truth",
                                             .colour = which ? k : HNN_INK,
                                             .dash = which,
                                             .n = p->times,
                                             .x = x,
                                             .y = y};
        }
        plot[panels++] = (hnn_plot){.title = p->r->row[k].label,
                                    .xlabel = name[0],
                                    .ylabel = name[1],
                                    .width = 480,
                                    .height = 430,
                                    .x = {view[0][0], view[0][1]},
                                    .y = {view[1][0], view[1][1]},
                                    .n = used};
    }
    for (int k = 0; k < panels; k++)
        plot[k].series = s[k];
    if (!p->code && panels) {
        hnn_page_heading(&p->page, "Orbits");
        hnn_fig_add(p, "orbits",
                    "One held-out start in the plane of the first two positions, first seed. Grey: outside "
                    "the range of the "
                    "training states.",
                    plot, panels, 2);
    }
    hnn_fig_give_back(p, mark);
}

/* ---- Poincare sections (two degrees of freedom) ---- */

enum { ORBITS = 6, CROSSINGS = 80, STEPS = 20000 };

static double first_position(void *user, double t, const double z[])
{
    (void)user, (void)t;
    return z[0];
}

/* where orbits from the first held-out starts cross q1 = 0 upwards: q2 and p2 of at most ORBITS * CROSSINGS points */
static long crossings(hnn_figures *p, hnn_flow *f, double h, double *x, double *y)
{
    const hnn_data *d = &p->r->test[0];
    double *z = hnn_fig_room(p, (long)CROSSINGS * p->n);
    long n = 0;
    for (int k = 0; k < ORBITS && k < d->ntraj && z; k++) {
        ode_solver *s = ode_new(ode_method_find("rk4"), hnn_flow_ode(f));
        int count = 0;
        ode_start(s, 0, d->z + d->offset[k] * p->n);
        ode_section(s, h, STEPS, first_position, NULL, CROSSINGS, NULL, z, &count);
        ode_free(s); /* a run that diverged has the points until then */
        for (int i = 0; i < count; i++)
            x[n] = z[i * p->n + 1], y[n++] = z[i * p->n + 3];
    }
    return n;
}

static int section_series(hnn_figures *p, hnn_flow *f, const char *label, int colour, double h, hnn_series *s)
{
    double *x = hnn_fig_room(p, ORBITS * CROSSINGS), *y = hnn_fig_room(p, ORBITS * CROSSINGS);
    long n = y && f ? crossings(p, f, h, x, y) : 0;
    if (n)
        *s = (hnn_series){.kind = HNN_PLOT_POINTS,
                          .label = label,
                          .colour = colour,
                          .width = colour == HNN_INK ? 4 : 3,
                          .n = n,
                          .x = x,
                          .y = y};
    return n > 0;
}

void hnn_fig_sections(hnn_figures *p)
{
    int mark = p->nowned, m = hnn_fig_models(p), panels = 0;
    const hnn_data *d = &p->r->test[0];
    hnn_plot plot[HNN_COMPARE_MODELS];
    hnn_series s[HNN_COMPARE_MODELS][3], truth = {0};
    char name[2][HNN_FIG_NAME];
    const double all[4] = {-1e30, 1e30, -1e30, 1e30};
    double h = d->n > 1 ? (d->t[1] - d->t[0]) / 2 : 0;
    if (p->n != 4 || !(h > 0))
        return;
    hnn_fig_name(p, 1, 0, name[0]), hnn_fig_name(p, 3, 0, name[1]);
    int known = p->truth && section_series(p, p->truth, "truth", HNN_INK, h, &truth);
    for (int k = 0; k < m && !p->code && (known || !p->truth); k++) {
        int used = hnn_fig_outside(p, 1, 3, all, s[panels]), drawn = known;
        if (known)
            s[panels][used++] = truth;
        int own = section_series(p, hnn_fig_flow(p, k, 0), p->r->row[k].label, k, h, &s[panels][used]);
        used += own, drawn += own;
        if (!drawn)
            continue;
        plot[panels] = (hnn_plot){.title = p->r->row[k].label,
                                  .xlabel = name[0],
                                  .ylabel = name[1],
                                  .width = 480,
                                  .height = 430,
                                  .series = s[panels],
                                  .n = used};
        if (known)
            limits(truth.n, truth.x, plot[panels].x), limits(truth.n, truth.y, plot[panels].y);
        panels++;
    }
    if (!p->code && panels) {
        hnn_text caption = {0};
        hnn_page_heading(&p->page, "Poincar\xc3\xa9 section");
        hnn_text_printf(
            &caption,
            "Where orbits from the first held-out starts cross q1 = 0 with q1 rising, each at its own "
            "energy; rk4, step %.3g, first seed. A regular orbit gives a curve, a chaotic one fills an "
            "area. Grey: outside the range of the training states.",
            h);
        hnn_fig_add(p, "section", caption.s ? caption.s : "", plot, panels, 2);
        hnn_text_free(&caption);
    }
    hnn_fig_give_back(p, mark);
}
