/* table.c - the table of a comparison. Invariant: what has no value is a dash, never a zero, and what holds by
 * construction says so. */
/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hnn_cells_free(hnn_cells *t)
{
    for (int i = 0; t->s && i < t->rows * t->columns; i++)
        free(t->s[i]);
    free(t->s);
    *t = (hnn_cells){0};
}

void hnn_short_number(hnn_text *t, double x)
{
    char s[40];
    double size = fabs(x);
    if (isnan(x)) {
        hnn_text_add(t, "-");
        return;
    }
    if (isinf(x) || x == 0) {
        hnn_text_add(t, x == 0 ? "0" : x > 0 ? "inf" : "-inf");
        return;
    }
    if (size >= 0.01 && size < 9999.5) {
        int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
        hnn_text_printf(t, "%.*f", decimals, x);
        return;
    }
    snprintf(s, sizeof s, "%.1e", x);
    char *e = strchr(s, 'e');
    int exponent = e ? atoi(e + 1) : 0;
    if (e)
        *e = 0;
    hnn_text_printf(t, "%se%d", s, exponent);
}

int hnn_by_construction(const hnn_model *m, int id)
{
    int canonical = m && (m->row->flags & HNN_MODEL_ENERGY) && !(m->row->flags & HNN_MODEL_DISSIPATES);
    return canonical && (id == HNN_ENERGY_DRIFT_MODEL || id == HNN_VOLUME_DEFECT ||
                         id == HNN_SYMPLECTIC_DEFECT || id == HNN_CURL_DEFECT);
}

static const hnn_model *model_of(const hnn_compare_row *row) { return row->run ? row->run[0].model : NULL; }

/* a column of numbers over the seeds: median, for models with quartiles */
static void summary(hnn_text *t, const hnn_summary *s, int quartiles)
{
    if (!s->n) {
        hnn_text_add(t, "-");
        return;
    }
    hnn_short_number(t, s->median);
    if (!quartiles || s->n < 2)
        return;
    hnn_text_add(t, " [");
    hnn_short_number(t, s->q1);
    hnn_text_add(t, ", ");
    hnn_short_number(t, s->q3);
    hnn_text_add(t, "]");
}

/* rows above the metrics */
enum { LEARNS, PARAMETERS, SECONDS, ABOVE };
static const char *const above[] = {"learns", "parameters", "training time (s)"};

/* metrics and, after the metric it belongs to, the median over starts of the true energy's error */
static const struct {
    int id, extra;
    const char *name;
} lines[] = {
    {HNN_FIELD_ERROR, 0, "field error"},
    {HNN_ROLLOUT_ERROR, 0, "rollout error"},
    {HNN_ENERGY_MSE_TRUE, 0, "true energy, MSE"},
    {HNN_ENERGY_MSE_TRUE, 1, "true energy, median over starts"},
    {HNN_ENERGY_DRIFT_MODEL, 0, "model energy, drift"},
    {HNN_VOLUME_DEFECT, 0, "volume defect"},
    {HNN_SYMPLECTIC_DEFECT, 0, "symplectic defect"},
    {HNN_CURL_DEFECT, 0, "curl defect"},
    {HNN_LONG_HORIZON, 0, "long horizon (t)"},
    {HNN_LANDSCAPE, 0, "landscape, F1"},
    {HNN_H_ERROR, 0, "error of H"},
};
enum { LINES = sizeof lines / sizeof *lines };

const char *hnn_metric_label(int id)
{
    for (int i = 0; i < LINES; i++)
        if (lines[i].id == id)
            return lines[i].name;
    return "";
}

static int extra_summary(const hnn_compare_result *r, const hnn_compare_row *row, int id, hnn_summary *out,
                         hnn_error *e)
{
    double *x = malloc(sizeof *x * (size_t)(r->seeds ? r->seeds : 1));
    int n = 0;
    if (!x)
        return hnn_fail(e, HNN_EMEM, "out of memory");
    for (int s = 0; s < r->seeds && row->run; s++)
        if (!row->run[s].metric[id].why && !isnan(row->run[s].metric[id].extra))
            x[n++] = row->run[s].metric[id].extra;
    int code = hnn_summarise(n, x, out, e);
    free(x);
    return code;
}

static int line(const hnn_compare_result *r, const hnn_compare_row *row, int i, hnn_text *t, hnn_error *e)
{
    const hnn_model *m = model_of(row);
    if (i == LEARNS) {
        hnn_text_add(t, row->reference == 1                    ? "the floor"
                        : row->reference == 2                  ? "nothing"
                        : !m                                   ? "-"
                        : m->row->flags & HNN_MODEL_DISSIPATES ? "H, friction"
                        : m->row->flags & HNN_MODEL_ENERGY     ? "a scalar H"
                        : m->row->flags & HNN_MODEL_SECOND     ? "an acceleration"
                                                               : "a field");
        return HNN_OK;
    }
    if (i == PARAMETERS) {
        if (row->reference)
            hnn_text_add(t, "-");
        else
            hnn_text_printf(t, "%ld", row->parameters);
        return HNN_OK;
    }
    hnn_summary s = row->seconds;
    int id = i >= ABOVE ? lines[i - ABOVE].id : -1, code = HNN_OK;
    if (i == SECONDS && row->reference)
        s.n = 0;
    if (i >= ABOVE && lines[i - ABOVE].extra)
        code = extra_summary(r, row, id, &s, e);
    else if (i >= ABOVE)
        s = row->summary[id];
    summary(t, &s, !row->reference);
    if (id >= 0 && s.n && !row->reference && hnn_by_construction(m, id))
        hnn_text_add(t, " *");
    return code;
}

static int asked(const hnn_compare_result *r, int i) /* line i of the table */
{
    for (int k = 0; i > ABOVE && k < r->rows; k++) {
        const hnn_compare_row *row = &r->row[k];
        const char *why = row->run[0].metric[lines[i - 1 - ABOVE].id].why;
        if (!why || strcmp(why, "not asked for"))
            return 1;
    }
    return i <= ABOVE;
}

/* of measured data no energy is known to be true */
static void name_line(const hnn_compare_result *r, int i, hnn_text *t)
{
    const char *name = i == 0 ? r->system : i <= ABOVE ? above[i - 1] : lines[i - 1 - ABOVE].name;
    int stated = i > ABOVE && !r->truth && !strncmp(name, "true", 4);
    hnn_text_printf(t, "%s%s", stated ? "stated" : "", stated ? name + 4 : name);
}

int hnn_compare_table(const hnn_compare_result *r, hnn_cells *out, hnn_error *e)
{
    *out = (hnn_cells){.columns = 1 + r->rows, .rows = 1 + ABOVE + LINES};
    out->s = calloc((size_t)out->columns * (size_t)out->rows, sizeof *out->s);
    if (!out->s)
        return hnn_fail(e, HNN_EMEM, "out of memory for the table of a comparison");
    int at = 0;
    for (int i = 0; i < 1 + ABOVE + LINES; i++) {
        if (!asked(r, i))
            continue;
        for (int k = 0; k < out->columns; k++) {
            hnn_text t = {0};
            int code = HNN_OK;
            if (k == 0)
                name_line(r, i, &t);
            else if (i == 0)
                hnn_text_add(&t, r->row[k - 1].label);
            else
                code = line(r, &r->row[k - 1], i - 1, &t, e);
            code = code ? code : hnn_text_status(&t, e);
            if (code) {
                hnn_text_free(&t);
                hnn_cells_free(out);
                return code;
            }
            out->s[at * out->columns + k] = t.s;
        }
        at++;
    }
    out->rows = at;
    return HNN_OK;
}

/* why there is no value: a sentence for each metric and reason */
static void reasons(const hnn_compare_result *r, hnn_text *t)
{
    for (int id = 0; id < HNN_METRICS; id++)
        for (int k = 0; k < r->rows; k++) {
            const char *why = r->row[k].run[0].metric[id].why;
            int first = why && strcmp(why, "not asked for") && !r->row[k].reference, all = 1, named = 0;
            for (int i = 0; i < r->rows && first; i++) {
                const char *other = r->row[i].run[0].metric[id].why;
                int same = other && !strcmp(other, why);
                first = first && !(same && i < k);
                all = all && (same || r->row[i].reference);
            }
            if (!first)
                continue;
            hnn_text_printf(t, "%s: no value", hnn_metric_label(id));
            for (int i = k; i < r->rows && !all; i++)
                if (!r->row[i].reference && r->row[i].run[0].metric[id].why &&
                    !strcmp(r->row[i].run[0].metric[id].why, why))
                    hnn_text_printf(t, "%s %s", named++ ? "," : " for", r->row[i].label);
            hnn_text_printf(t, " (%s).\n", why);
        }
}

void hnn_compare_notes(const hnn_compare_result *r, hnn_text *t)
{
    if (r->seeds > 1)
        hnn_text_printf(t, "Medians over %d seeds [quartiles]. ", r->seeds);
    else
        hnn_text_add(t, "One seed. ");
    hnn_text_add(t, "* holds by construction, everything else is learned; - has no value.\n");
    for (int k = 0; k < r->rows; k++) {
        const hnn_compare_row *row = &r->row[k];
        for (int id = 0; id < HNN_METRICS; id++)
            if (!row->reference && row->summary[id].n && row->summary[id].diverged)
                hnn_text_printf(t, "%s, %s: %d of %d seeds diverged and count as infinite.\n", row->label,
                                hnn_metric_name(id), row->summary[id].diverged, row->summary[id].n);
    }
    reasons(r, t);
    for (int k = 1; k < r->rows; k++)
        for (int id = 0; id < HNN_METRICS; id++) {
            const hnn_comparison *a = &r->row[k].against[id];
            if (r->row[k].reference || !(a->n >= HNN_STATS_MIN_SEEDS) || isnan(a->p))
                continue;
            hnn_text_printf(t, "%s / %s, %s: ratio ", r->row[k].label, r->row[0].label, hnn_metric_name(id));
            hnn_short_number(t, a->ratio);
            hnn_text_add(t, " (95 % from ");
            hnn_short_number(t, a->lo);
            hnn_text_add(t, " to ");
            hnn_short_number(t, a->hi);
            hnn_text_printf(t, "), p = %.2g after Holm's correction.\n", a->p);
        }
}
