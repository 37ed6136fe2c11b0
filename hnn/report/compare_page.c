/* compare_page.c - the page of a comparison: table, curves, trajectories, energies, spread. Invariant: every picture is made
 * from numbers that are also in the .csv beside it; times after the training data are greyed. */
/* SPDX-License-Identifier: MIT */
#include "report/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- loss curves ---- */

static void loss_curves(hnn_figures *p)
{
    hnn_series s[HNN_FIG_SERIES];
    int used = 0, mark = p->nowned;
    for (int k = 0; k < hnn_fig_models(p) && used + 3 < HNN_FIG_SERIES; k++) {
        long points = -1;
        for (int seed = 0; seed < p->r->seeds; seed++) {
            long n = p->r->row[k].run[seed].training.points;
            points = points < 0 || n < points ? n : points;
        }
        if (points < 2)
            continue;
        double *x = hnn_fig_room(p, points), *y = hnn_fig_room(p, points * p->r->seeds);
        for (long i = 0; y && i < points * p->r->seeds; i++) {
            const hnn_progress *c = &p->r->row[k].run[i / points].training.curve[i % points];
            y[i] = c->loss, x[i % points] = (double)c->step;
        }
        if (y)
            used += hnn_fig_band(p, s + used, p->r->row[k].label, k, 0, points, x, y);
    }
    hnn_plot plot = {.title = "training loss",
                     .xlabel = "step",
                     .ylabel = "loss",
                     .ylog = 1,
                     .height = 320,
                     .width = 760,
                     .series = s,
                     .n = used};
    if (used) {
        hnn_page_heading(&p->page, "Training");
        hnn_fig_add(
            p, "loss",
            "Loss on the training batch over the steps: median over the seeds, and the range. Losses of "
            "noisy data end at the level of the noise, so they are no score.",
            &plot, 1, 1);
    }
    hnn_fig_give_back(p, mark);
}

/* one panel each for the first coordinates: truth, models with their range over the seeds */
static void trajectories(hnn_figures *p)
{
    enum { PANELS = 4 };
    int dof = p->n / 2, panels = p->n < PANELS ? p->n : PANELS, mark = p->nowned, m = hnn_fig_models(p);
    hnn_plot plot[PANELS];
    hnn_series s[PANELS][HNN_FIG_SERIES];
    char name[PANELS][HNN_FIG_NAME], title[PANELS][HNN_FIG_NAME], time[HNN_FIG_NAME];
    int used[PANELS] = {0}, which[PANELS];
    long block = (long)p->times * p->n;
    double end = p->t[p->times - 1];
    hnn_fig_name(p, -1, 0, time);
    for (int a = 0; a < panels; a++) { /* the first positions, then their momenta */
        which[a] = a < (panels + 1) / 2 ? a : dof + a - (panels + 1) / 2;
        hnn_fig_name(p, which[a], 0, name[a]), hnn_fig_name(p, which[a], 1, title[a]);
        used[a] = hnn_fig_after(p, s[a], end);
    }
    for (int k = -1; k < m && !p->code; k++) {
        int count = k < 0 ? 1 : p->r->seeds;
        if (k < 0 && !p->truth)
            continue;
        double *z = hnn_fig_room(p, block * count);
        p->code = p->code ? p->code
                          : hnn_fig_rollouts(p, k < 0 ? &p->truth : &p->flow[k * p->r->seeds], count, 0, z);
        for (int a = 0; a < panels && !p->code && used[a] + 2 < HNN_FIG_SERIES; a++) {
            double *y = hnn_fig_room(p, (long)count * p->times);
            for (long i = 0; y && i < (long)count * p->times; i++)
                y[i] = z[i * p->n + which[a]];
            if (y && k < 0)
                s[a][used[a]++] = (hnn_series){.kind = HNN_PLOT_LINE,
                                               .label = "truth",
                                               .colour = HNN_INK,
                                               .n = p->times,
                                               .x = p->t,
                                               .y = y};
            else if (y)
                used[a] += hnn_fig_band(p, s[a] + used[a], p->r->row[k].label, k, 1, p->times, p->t, y);
        }
    }
    if (!p->truth)
        for (int a = 0; a < panels && used[a] < HNN_FIG_SERIES; a++) { /* measured points */
            const hnn_data *d = &p->r->test[0];
            long rows = d->offset[1] - d->offset[0];
            double *x = hnn_fig_room(p, rows), *y = hnn_fig_room(p, rows);
            for (long i = 0; y && i < rows; i++)
                x[i] = d->t[d->offset[0] + i] - d->t[d->offset[0]],
                y[i] = d->z[(d->offset[0] + i) * p->n + which[a]];
            if (y)
                s[a][used[a]++] = (hnn_series){.kind = HNN_PLOT_POINTS,
                                               .label = "measured",
                                               .colour = HNN_INK,
                                               .n = rows,
                                               .width = 3,
                                               .x = x,
                                               .y = y};
        }
    for (int a = 0; a < panels; a++)
        plot[a] = (hnn_plot){.title = title[a],
                             .xlabel = time,
                             .ylabel = name[a],
                             .width = 480,
                             .height = 300,
                             .series = s[a],
                             .n = used[a]};
    if (!p->code) {
        hnn_page_heading(&p->page, "Trajectories");
        hnn_fig_add(p, "trajectories",
                    "One held-out start over time: the median over the seeds (dashed) and the range between "
                    "the seeds. Grey: longer than any trajectory of the training data.",
                    plot, panels, 2);
    }
    hnn_fig_give_back(p, mark);
}

/* ---- energies ---- */

/* of the recording, as points */
static int measured_energy(hnn_figures *p, hnn_series *s)
{
    const hnn_data *d = &p->r->test[0];
    long rows = d->offset[1] - d->offset[0];
    double *x = hnn_fig_room(p, rows), *y = hnn_fig_room(p, rows);
    if (!y)
        return 0;
    for (long i = rows; i-- > 0;) {
        long at = d->offset[0] + i;
        x[i] = d->t[at] - d->t[d->offset[0]], y[i] = NAN;
        hnn_flow_energy(p->energy, 1, d->t[at], d->z + at * p->n, &y[i], NULL);
    }
    for (long i = rows; i-- > 0;)
        y[i] -= y[0];
    s[0] = (hnn_series){.kind = HNN_PLOT_POINTS,
                        .label = "measured",
                        .colour = HNN_INK,
                        .n = rows,
                        .width = 3,
                        .x = x,
                        .y = y};
    return 1;
}

static void energies(hnn_figures *p)
{
    hnn_series s[2][HNN_FIG_SERIES];
    int used[2], mark = p->nowned, own = 0;
    long block = (long)p->times * p->n;
    double end = p->t[p->times - 1];
    char time[HNN_FIG_NAME];
    hnn_fig_name(p, -1, 0, time);
    used[0] = hnn_fig_after(p, s[0], end), used[1] = hnn_fig_after(p, s[1], end);
    for (int k = 0; k < hnn_fig_models(p) && !p->code && used[0] + 2 < HNN_FIG_SERIES; k++) {
        int seeds = p->r->seeds;
        double *z = hnn_fig_room(p, block * seeds), *H = hnn_fig_room(p, (long)seeds * p->times),
               *G = hnn_fig_room(p, (long)seeds * p->times);
        p->code = p->code ? p->code : hnn_fig_rollouts(p, &p->flow[k * seeds], seeds, 0, z);
        for (int seed = 0; seed < seeds && !p->code; seed++) {
            double *h = H + (long)seed * p->times, *g = G + (long)seed * p->times;
            hnn_flow *f = hnn_fig_flow(p, k, seed);
            for (long i = 0; i < p->times; i++) {
                const double *at = z + seed * block + i * p->n;
                double t = p->t[i];
                h[i] = g[i] = NAN;
                if (!isfinite(at[0]))
                    continue;
                if (p->energy)
                    hnn_flow_energy(p->energy, 1, t, at, &h[i], NULL);
                if (f && hnn_flow_has_energy(f))
                    hnn_flow_energy(f, 1, t, at, &g[i], NULL);
            }
            for (long i = p->times; i-- > 0;)
                h[i] -= h[0], g[i] -= g[0];
        }
        if (p->code)
            break;
        if (p->energy)
            used[0] += hnn_fig_band(p, s[0] + used[0], p->r->row[k].label, k, 0, p->times, p->t, H);
        if (hnn_fig_flow(p, k, 0) && hnn_flow_has_energy(hnn_fig_flow(p, k, 0))) {
            used[1] += hnn_fig_band(p, s[1] + used[1], p->r->row[k].label, k, 0, p->times, p->t, G);
            own++;
        }
    }
    if (p->energy && !p->truth && !p->code && used[0] < HNN_FIG_SERIES)
        used[0] += measured_energy(p, s[0] + used[0]);
    hnn_plot plot[2] = {{.title = p->truth ? "true energy of the rollouts" : "stated energy",
                         .xlabel = time,
                         .ylabel = "H - H(0)",
                         .width = 480,
                         .height = 320,
                         .series = s[0],
                         .n = used[0]},
                        {.title = "each model's own energy",
                         .xlabel = time,
                         .ylabel = "learned H - H(0)",
                         .width = 480,
                         .height = 320,
                         .series = s[1],
                         .n = used[1]}};
    int from = p->energy ? 0 : 1, to = own ? 2 : 1;
    if (!p->code && from < to) {
        hnn_page_heading(&p->page, "Energy over time");
        hnn_text caption = {0};
        if (p->truth)
            hnn_text_add(
                &caption,
                "The true energy along the rollouts of the models, which no model conserves exactly. ");
        else if (p->energy)
            hnn_text_add(&caption,
                         "The stated energy along the recording and along the rollouts of the models. ");
        if (own)
            hnn_text_add(&caption,
                         "A model's own energy, where it has one: without friction what is left there is the "
                         "error of the integrator (dop853, tolerance 1e-10). ");
        hnn_text_add(&caption, "Median and range over the seeds.");
        hnn_fig_add(p, "energy", caption.s ? caption.s : "", plot + from, to - from, 2);
        hnn_text_free(&caption);
    }
    hnn_fig_give_back(p, mark);
}

/* ---- the page ---- */

/* units, and how much of the test is extrapolation */
static void where(const hnn_figures *p, hnn_text *t)
{
    const hnn_compare_result *r = p->r;
    const hnn_data *d = &r->test[0];
    long outside = 0;
    double *range = malloc(2 * sizeof *range * (size_t)p->n);
    for (int a = 0; range && a < p->n; a++)
        hnn_fig_range(p, a, &range[2 * a], &range[2 * a + 1]);
    for (long i = 0; range && i < d->n; i++) {
        int out = 0;
        for (int a = 0; a < p->n; a++)
            out |= d->z[i * p->n + a] < range[2 * a] || d->z[i * p->n + a] > range[2 * a + 1];
        outside += out;
    }
    if (*r->unit[0] || *r->unit[1] || *r->unit[2])
        hnn_text_printf(t, "Units: q in %s, p in %s, t in %s, H in those of q p/t. ",
                        *r->unit[0] ? r->unit[0] : "1", *r->unit[1] ? r->unit[1] : "1",
                        *r->unit[2] ? r->unit[2] : "1");
    else
        hnn_text_add(t, r->truth ? "All quantities are dimensionless. " : "Units are those of the data. ");
    if (range)
        hnn_text_printf(
            t,
            "%ld of %ld held-out states of the first seed lie outside the range of its training states; "
            "figures grey what lies there, and times after the training data.",
            outside, d->n);
    free(range);
}

static void first_page(hnn_figures *p, const char *command)
{
    const hnn_compare_result *r = p->r;
    hnn_cells cells = {0};
    hnn_text notes = {0}, title = {0}, line = {0};
    hnn_text_printf(&title, "%s: what was learned, and how well", r->system);
    hnn_page_begin(&p->page, p->page.folder, title.s ? title.s : "");
    hnn_text_printf(&line,
                    "%d %s of freedom, %d %s; training data of the first seed: %d %s, %ld states. Errors are "
                    "measured %s.",
                    r->dof, r->dof == 1 ? "degree" : "degrees", r->seeds, r->seeds == 1 ? "seed" : "seeds",
                    r->train[0].ntraj, r->train[0].ntraj == 1 ? "trajectory" : "trajectories", r->train[0].n,
                    r->truth ? "against the clean field and on rollouts from held-out starts"
                             : "against held-out derivatives and on the held-out part of the recording");
    hnn_page_text(&p->page, line.s ? line.s : "");
    hnn_text_free(&line);
    where(p, &line);
    hnn_page_text(&p->page, line.s ? line.s : "");
    if (r->interrupted)
        hnn_page_text(&p->page,
                      "The run was interrupted: seeds that were not trained and measured have no values.");
    if (command)
        hnn_page_pre(&p->page, command);
    hnn_page_heading(&p->page, r->rows > 1 ? "Comparison" : "Results");
    p->code = hnn_compare_table(r, &cells, p->e);
    if (!p->code)
        hnn_page_table(&p->page, cells.columns, cells.rows, (const char *const *)cells.s);
    hnn_compare_notes(r, &notes);
    for (char *s = notes.s, *end; s && *s; s = end + 1) {
        end = strchr(s, '\n');
        if (!end)
            break;
        *end = 0;
        hnn_page_text(&p->page, s);
    }
    hnn_cells_free(&cells);
    hnn_text_free(&notes), hnn_text_free(&title), hnn_text_free(&line);
}

static int prepare(hnn_figures *p)
{
    const hnn_compare_result *r = p->r;
    int count = r->rows * r->seeds;
    p->n = 2 * r->dof;
    p->times = HNN_FIG_TIMES;
    p->t = hnn_fig_room(p, HNN_FIG_TIMES);
    p->flow = calloc((size_t)(count ? count : 1), sizeof *p->flow);
    if (!p->flow || !p->t)
        return hnn_fail(p->e, HNN_EMEM, "out of memory for a report");
    p->horizon = 0;
    for (int k = 0; k < r->train[0].ntraj; k++) {
        const hnn_data *d = &r->train[0];
        p->horizon = fmax(p->horizon, d->t[d->offset[k + 1] - 1] - d->t[d->offset[k]]);
    }
    const hnn_data *test = &r->test[0];
    double span = test->t[test->offset[1] - 1] - test->t[test->offset[0]];
    span = r->truth ? fmax(span, 3 * p->horizon) : span;
    for (int i = 0; i < HNN_FIG_TIMES; i++)
        p->t[i] = span * i / (HNN_FIG_TIMES - 1);
    if (r->truth)
        p->code = hnn_flow_new(r->truth, NULL, &p->truth, p->e);
    else if (r->stated)
        p->code = hnn_flow_new(r->stated, NULL, &p->stated, p->e);
    p->energy = p->truth ? p->truth : p->stated;
    if (p->energy && !hnn_flow_has_energy(p->energy))
        p->energy = NULL;
    for (int i = 0; i < count && !p->code; i++) {
        const hnn_compare_row *row = &r->row[i / r->seeds];
        const hnn_model *m = row->run && !row->reference ? row->run[i % r->seeds].model : NULL;
        if (m)
            p->code = hnn_flow_new(m, NULL, &p->flow[i], p->e);
    }
    return p->code;
}

int hnn_compare_page(const hnn_compare_result *r, const char *folder, const char *command, hnn_error *e)
{
    hnn_error own;
    hnn_figures p = {.r = r, .e = e ? e : &own, .page = {.folder = folder}};
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/report.html", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return hnn_fail(e, HNN_EARG, "%.200s: the name of the folder is too long", folder);
    if (!r->seeds || !r->rows || !r->train || !r->test || !r->test[0].ntraj)
        return hnn_fail(e, HNN_EARG, "a comparison without runs has no page");
    p.code = prepare(&p);
    if (!p.code)
        first_page(&p, command);
    static void (*const parts[])(hnn_figures *) = {hnn_fig_portraits, hnn_fig_orbits, hnn_fig_sections,
                                                   trajectories,      energies,       loss_curves,
                                                   hnn_fig_seeds,     hnn_fig_sizes};
    for (size_t k = 0; k < sizeof parts / sizeof *parts && !p.code; k++)
        parts[k](&p);
    if (p.code)
        hnn_text_free(&p.page.html);
    else
        p.code = hnn_page_end(&p.page, path, p.e);
    for (int i = 0; p.flow && i < r->rows * r->seeds; i++)
        hnn_flow_free(p.flow[i]);
    free(p.flow);
    hnn_flow_free(p.truth);
    hnn_flow_free(p.stated);
    hnn_fig_give_back(&p, 0);
    return p.code;
}
