/* page.c - the HTML of a report. Invariant: everything that comes from outside passes hnn_text_xml. */
/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>
#include <string.h>

static const char style[] =
    "body{font:16px/1.5 system-ui,'DejaVu Sans',Arial,sans-serif;color:#222;max-width:70rem;margin:2rem "
    "auto;padding:0 1.2rem}"
    "h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;border-bottom:1px solid "
    "#ddd}"
    "p{max-width:50rem;margin:.5rem 0}"
    "table{border-collapse:collapse;font-size:.86rem;margin:.8rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #e4e4e4;vertical-align:top}"
    "th{font-weight:600;border-bottom:2px solid "
    "#444}td:first-child,th:first-child{text-align:left;padding-left:0}"
    "figure{margin:1rem 0;break-inside:avoid}figcaption{font-size:.86rem;color:#444;max-width:50rem}"
    "svg{max-width:100%;height:auto}pre{background:#f6f6f6;padding:.6rem "
    ".8rem;font-size:.8rem;white-space:pre-wrap}"
    ".wide{overflow-x:auto}"
    "@media "
    "print{body{margin:0;max-width:none;font-size:10.5pt}h2{break-after:avoid}tr{break-inside:avoid}a{color:"
    "inherit}"
    ".wide{overflow:visible}table{font-size:7.5pt}}@page{margin:15mm}";

void hnn_page_begin(hnn_page *p, const char *folder, const char *title)
{
    *p = (hnn_page){.folder = folder};
    hnn_text_add(&p->html,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    hnn_text_xml(&p->html, title);
    hnn_text_printf(&p->html,
                    "</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>%s</style>\n</head>\n<body>\n<h1>",
                    style);
    hnn_text_xml(&p->html, title);
    hnn_text_add(&p->html, "</h1>\n");
}

static void element(hnn_page *p, const char *name, const char *text)
{
    hnn_text_printf(&p->html, "<%s>", name);
    hnn_text_xml(&p->html, text);
    hnn_text_printf(&p->html, "</%s>\n", name);
}

void hnn_page_heading(hnn_page *p, const char *text) { element(p, "h2", text); }
void hnn_page_text(hnn_page *p, const char *text) { element(p, "p", text); }
void hnn_page_pre(hnn_page *p, const char *text) { element(p, "pre", text); }

void hnn_page_table(hnn_page *p, int columns, int rows, const char *const cells[])
{
    hnn_text_add(&p->html, "<div class=\"wide\"><table>\n");
    for (int i = 0; i < rows; i++) {
        hnn_text_add(&p->html, "<tr>");
        for (int k = 0; k < columns; k++) {
            const char *tag = i ? "td" : "th";
            hnn_text_printf(&p->html, "<%s>", tag);
            hnn_text_xml(&p->html, cells[i * columns + k]);
            hnn_text_printf(&p->html, "</%s>", tag);
        }
        hnn_text_add(&p->html, "</tr>\n");
    }
    hnn_text_add(&p->html, "</table></div>\n");
}

static void row(hnn_text *t, int panel, const char *series, double x, double y, const double *y2)
{
    hnn_text_printf(t, "%d,\"", panel + 1);
    for (const char *s = series; *s; s++) /* a quote inside quotes is doubled */
        hnn_text_printf(t, *s == '"' ? "\"\"" : "%c", *s);
    hnn_text_add(t, "\",");
    hnn_text_number(t, x);
    hnn_text_add(t, ",");
    hnn_text_number(t, y);
    hnn_text_add(t, ",");
    if (y2)
        hnn_text_number(t, *y2);
    hnn_text_add(t, "\n");
}

static void series_rows(hnn_text *t, int panel, const hnn_series *s, const char *name)
{
    if (s->kind == HNN_PLOT_CONTOUR) {
        for (int j = 0; j < s->ny; j++)
            for (int i = 0; i < s->nx; i++)
                row(t, panel, name, s->box[0] + (s->box[1] - s->box[0]) * i / (s->nx - 1),
                    s->box[2] + (s->box[3] - s->box[2]) * j / (s->ny - 1), &s->z[j * s->nx + i]);
        return;
    }
    for (long i = 0; i < s->n && s->kind != HNN_PLOT_REGION; i++)
        row(t, panel, name, s->x[i], s->y[i], s->kind == HNN_PLOT_BAND ? &s->y2[i] : NULL);
}

static int keep(hnn_page *p, const char *name, const char *ending, const hnn_text *t, hnn_error *e)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s.%s", p->folder, name, ending);
    if (n < 0 || (size_t)n >= sizeof path)
        return hnn_fail(e, HNN_EARG, "%.200s: the name of the folder is too long", p->folder);
    int code = hnn_text_status(t, e);
    return code ? code : hnn_file_write(path, t->s ? t->s : "", t->n, e);
}

int hnn_page_figure(hnn_page *p, const char *name, const char *caption, const hnn_plot plots[], int n,
                    int columns, hnn_error *e)
{
    hnn_text svg = {0}, csv = {0};
    int code = hnn_plot_panels(plots, n, columns, &svg, e);
    if (!code) {
        hnn_text_add(&p->html, "<figure>\n");
        hnn_text_bytes(&p->html, svg.s, svg.n);
        hnn_text_printf(&p->html, "<figcaption>Figure %d. ", ++p->figures);
        hnn_text_xml(&p->html, caption);
        hnn_text_add(&p->html, "</figcaption>\n</figure>\n");
    }
    if (!code && p->folder) {
        hnn_text_add(&csv, "panel,series,x,y,y2\n");
        for (int i = 0; i < n; i++)
            for (int k = 0; k < plots[i].n; k++) {
                const hnn_series *s = &plots[i].series[k];
                /* a line and its band are usually neighbours, and only one of them is in the legend */
                const char *label = s->label                        ? s->label
                                    : s->kind == HNN_PLOT_BAND && k ? plots[i].series[k - 1].label
                                                                    : NULL;
                series_rows(&csv, i, s, label ? label : "");
            }
        code = keep(p, name, "svg", &svg, e);
        code = code ? code : keep(p, name, "csv", &csv, e);
    }
    hnn_text_free(&svg);
    hnn_text_free(&csv);
    return code;
}

int hnn_page_end(hnn_page *p, const char *path, hnn_error *e)
{
    hnn_text_add(&p->html, "</body>\n</html>\n");
    int code = hnn_text_status(&p->html, e);
    if (!code)
        code = hnn_file_write(path, p->html.s, p->html.n, e);
    hnn_text_free(&p->html);
    return code;
}
