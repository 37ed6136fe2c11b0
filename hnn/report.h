/* report.h - one self-contained HTML page: text, tables, figures as inline SVG; beside it each figure as .svg and the
 * numbers behind it as .csv. Invariant: the page needs no network and no script, and the same input gives the same bytes. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_REPORT_H
#define HNN_REPORT_H

#include "compare.h"
#include "error.h"
#include "plot.h"
#include "text.h"

typedef struct hnn_page {
    hnn_text html;
    const char *folder; /* where figures are kept as files; NULL: only in the page */
    int figures;
} hnn_page;

void hnn_page_begin(hnn_page *p, const char *folder, const char *title);
void hnn_page_heading(hnn_page *p, const char *text);
void hnn_page_text(hnn_page *p, const char *text); /* a paragraph */
void hnn_page_pre(hnn_page *p, const char *text);  /* as it is, in a fixed pitch */

/* hnn_page_table - cells [rows, columns], the first row headings, the first column names. */
void hnn_page_table(hnn_page *p, int columns, int rows, const char *const cells[]);

/* hnn_page_figure - n plots in one figure with a caption; in the folder NAME.svg and NAME.csv: panel, series, x, y (bands:
 * and y2; contours: the grid z at x, y). Errors: of hnn_plot_panels, HNN_EIO. */
int hnn_page_figure(hnn_page *p, const char *name, const char *caption, const hnn_plot plots[], int n,
                    int columns, hnn_error *e);

/* hnn_page_end - closes the page and writes it. Frees the text in every case. */
int hnn_page_end(hnn_page *p, const char *path, hnn_error *e);

/* ---- A comparison as table and page ---------------------------------------------------------------------- */

typedef struct hnn_cells { /* of a table: s[rows * columns], the first row headings */
    int columns, rows, failed;
    char **s;
} hnn_cells;
void hnn_cells_free(hnn_cells *t);

/* hnn_compare_table - a row for each metric, a column for each model and reference: the median over seeds, for models with
 * [quartiles]; * marks what holds by construction, - what has no value. Errors: HNN_EMEM. */
int hnn_compare_table(const hnn_compare_result *r, hnn_cells *out, hnn_error *e);
/* hnn_compare_notes - what the table's marks mean, how many runs diverged, what was tested; one sentence a line. */
void hnn_compare_notes(const hnn_compare_result *r, hnn_text *out);
/* hnn_by_construction - 1 when metric id of this model holds whatever its parameters are. */
int hnn_by_construction(const hnn_model *m, int id);
const char *hnn_metric_label(int id);         /* as in the table: "field error" */
void hnn_short_number(hnn_text *t, double x); /* 0.123, 4.5e-7, inf, - for NaN */

/* hnn_compare_page - the page of a comparison in `folder` (report.html and the figures). command: how it was
 * made, for the reader; NULL: not said. Errors: HNN_EARG, HNN_EIO, HNN_EMEM. */
int hnn_compare_page(const hnn_compare_result *r, const char *folder, const char *command, hnn_error *e);

#endif
