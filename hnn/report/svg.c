/* svg.c - plots as SVG. Invariant: all coordinates go through hnn_axis_at, which clamps to the surroundings of the
 * frame, so no input, however wild, makes an invalid number or an endless file. */
/* SPDX-License-Identifier: MIT */
#include "plot.h"
#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Okabe, Ito (2008), Color Universal Design, without the yellow that vanishes on white. */
static const char *const palette[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#7a5c99"};
enum { COLOURS = sizeof palette / sizeof *palette };
static const double letter = 6.4; /* a generous mean width at 12 pixels */

static const char *colour_of(const hnn_series *s)
{
    return s->colour == HNN_INK ? "#222222" : s->colour < 0 ? "#8a8a8a" : palette[s->colour % COLOURS];
}

static void number(hnn_text *t, const char *name, double x)
{
    hnn_text_printf(t, " %s=\"", name);
    hnn_text_short(t, x, 2);
    hnn_text_add(t, "\"");
}

static void point(hnn_text *t, char letter_, double x, double y)
{
    hnn_text_bytes(t, &letter_, 1);
    hnn_text_short(t, x, 2);
    hnn_text_add(t, " ");
    hnn_text_short(t, y, 2);
}

static void segment(hnn_text *t, double x1, double y1, double x2, double y2)
{
    hnn_text_add(t, "<line");
    number(t, "x1", x1), number(t, "y1", y1), number(t, "x2", x2), number(t, "y2", y2);
    hnn_text_add(t, "/>");
}

static void text_at(hnn_text *t, double x, double y, const char *more, const char *s)
{
    hnn_text_add(t, "<text");
    number(t, "x", x), number(t, "y", y);
    hnn_text_printf(t, "%s>", more);
    hnn_text_xml(t, s);
    hnn_text_add(t, "</text>");
}

static void stroke(hnn_text *t, const hnn_series *s)
{
    hnn_text_printf(t, "\" fill=\"none\" stroke=\"%s\" stroke-linejoin=\"round\"", colour_of(s));
    number(t, "stroke-width", s->width > 0 ? s->width : s->kind == HNN_PLOT_CONTOUR ? 1.2 : 1.8);
    if (s->dash)
        hnn_text_printf(t, " stroke-dasharray=\"%s\"", s->dash == 1 ? "7 4" : "2 3");
    hnn_text_add(t, "/>\n");
}

/* Points that share a third of a pixel column become its first, lowest, highest and last: the picture is the same,
 * and a line of a million points stays small. */
static void line(hnn_text *t, const hnn_series *s, const axis *ax, const axis *ay)
{
    hnn_text_add(t, "<path d=\"");
    int open = 0;
    for (long i = 0; i < s->n;) {
        if (!hnn_axis_usable(ax, s->x[i]) || !hnn_axis_usable(ay, s->y[i])) {
            open = 0;
            i++;
            continue;
        }
        double x = hnn_axis_at(ax, s->x[i]), y = hnn_axis_at(ay, s->y[i]), lo = y, hi = y, end = y;
        long k = i + 1;
        for (; k < s->n && hnn_axis_usable(ax, s->x[k]) && hnn_axis_usable(ay, s->y[k]); k++) {
            if (fabs(hnn_axis_at(ax, s->x[k]) - x) > 0.3)
                break;
            end = hnn_axis_at(ay, s->y[k]);
            lo = fmin(lo, end), hi = fmax(hi, end);
        }
        point(t, open ? 'L' : 'M', x, y);
        if (k - i > 3) {
            point(t, 'L', x, lo), point(t, 'L', x, hi), point(t, 'L', x, end);
            i = k;
        } else
            i++;
        open = 1;
    }
    stroke(t, s);
}

static void band(hnn_text *t, const hnn_series *s, const axis *ax, const axis *ay)
{
    hnn_text_add(t, "<path d=\"");
    for (long i = 0; i < s->n;) {
        long k = i;
        while (k < s->n && hnn_axis_usable(ax, s->x[k]) && hnn_axis_usable(ay, s->y[k]) &&
               hnn_axis_usable(ay, s->y2[k]))
            k++;
        for (long j = i; j < k; j++)
            point(t, j > i ? 'L' : 'M', hnn_axis_at(ax, s->x[j]), hnn_axis_at(ay, s->y[j]));
        for (long j = k; j-- > i;)
            point(t, 'L', hnn_axis_at(ax, s->x[j]), hnn_axis_at(ay, s->y2[j]));
        if (k > i)
            hnn_text_add(t, "Z");
        i = k + 1;
    }
    hnn_text_printf(t, "\" fill=\"%s\" fill-opacity=\"0.2\"/>\n", colour_of(s));
}

static void mark(hnn_text *t, const hnn_series *s, double x, double y)
{
    double r = (s->width > 0 ? s->width : s->shape == HNN_DOT ? 4 : 9) / 2;
    const char *c = colour_of(s);
    if (s->shape == HNN_DOT || s->shape == HNN_RING) {
        hnn_text_add(t, "<circle");
        number(t, "cx", x), number(t, "cy", y), number(t, "r", r);
    } else {
        hnn_text_add(t, "<path d=\"");
        if (s->shape == HNN_CROSS) {
            point(t, 'M', x - r, y - r), point(t, 'L', x + r, y + r);
            point(t, 'M', x - r, y + r), point(t, 'L', x + r, y - r);
        } else if (s->shape == HNN_SQUARE) {
            point(t, 'M', x - r, y - r), point(t, 'L', x + r, y - r);
            point(t, 'L', x + r, y + r), point(t, 'L', x - r, y + r);
        } else { /* a triangle is a diamond with its lower corners wider apart */
            double low = s->shape == HNN_TRIANGLE ? y + 0.8 * r : y;
            point(t, 'M', x, y - r * 1.2), point(t, 'L', x + r * 1.1, low);
            point(t, 'L', x, s->shape == HNN_TRIANGLE ? low : y + r * 1.2), point(t, 'L', x - r * 1.1, low);
        }
        hnn_text_add(t, s->shape == HNN_CROSS ? "\"" : "Z\"");
    }
    if (s->shape == HNN_DOT)
        hnn_text_printf(t, " fill=\"%s\"/>", c);
    else
        hnn_text_printf(t, " fill=\"%s\" stroke=\"%s\" stroke-width=\"2\"/>",
                        s->shape == HNN_CROSS ? "none" : "#fff", c);
}

static void points(hnn_text *t, const hnn_series *s, const axis *ax, const axis *ay)
{
    for (long i = 0; i < s->n; i++)
        if (hnn_axis_usable(ax, s->x[i]) && hnn_axis_usable(ay, s->y[i]))
            mark(t, s, hnn_axis_at(ax, s->x[i]), hnn_axis_at(ay, s->y[i]));
    hnn_text_add(t, "\n");
}

static void region(hnn_text *t, const hnn_series *s, const axis *ax, const axis *ay)
{
    for (long i = 0; i < s->n; i++) {
        if (!hnn_axis_usable(ax, s->x[i]) || !hnn_axis_usable(ax, s->x2[i]))
            continue;
        double x = hnn_axis_at(ax, s->x[i]), x2 = hnn_axis_at(ax, s->x2[i]), y = ay->from, y2 = ay->to;
        if (s->y && s->y2 && hnn_axis_usable(ay, s->y[i]) && hnn_axis_usable(ay, s->y2[i]))
            y = hnn_axis_at(ay, s->y[i]), y2 = hnn_axis_at(ay, s->y2[i]);
        hnn_text_add(t, "<rect");
        number(t, "x", fmin(x, x2)), number(t, "y", fmin(y, y2));
        number(t, "width", fabs(x2 - x)), number(t, "height", fabs(y2 - y));
        hnn_text_printf(t, " fill=\"%s\" fill-opacity=\"0.18\"/>", colour_of(s));
    }
    hnn_text_add(t, "\n");
}

static int contours(hnn_text *t, const hnn_series *s, const axis *ax, const axis *ay, hnn_error *e)
{
    hnn_text_add(t, "<path d=\"");
    for (long k = 0; k < s->n; k++) {
        hnn_lines l;
        int code = hnn_contour(s->nx, s->ny, s->z, s->level[k], &l, e);
        if (code)
            return code;
        for (long i = 0; i < l.n; i++)
            for (long j = l.first[i]; j < l.first[i + 1]; j++) {
                double x = s->box[0] + (s->box[1] - s->box[0]) * l.xy[2 * j] / (s->nx - 1);
                double y = s->box[2] + (s->box[3] - s->box[2]) * l.xy[2 * j + 1] / (s->ny - 1);
                if (hnn_axis_usable(ax, x) && hnn_axis_usable(ay, y))
                    point(t, j > l.first[i] ? 'L' : 'M', hnn_axis_at(ax, x), hnn_axis_at(ay, y));
            }
        hnn_lines_free(&l);
    }
    stroke(t, s);
    return HNN_OK;
}

/* Short marks at 2, 3, ..., 9 times powers of ten; many decades need none. (dx, dy): from the axis into the picture. */
static void marks(hnn_text *t, const axis *a, double at, double dx, double dy)
{
    double lo = fmin(a->lo, a->hi), hi = fmax(a->lo, a->hi);
    if (!a->log || hi - lo > 8)
        return;
    hnn_text_add(t, "<g stroke=\"#444\">");
    for (double ten = floor(lo); ten <= hi; ten++)
        for (int m = 2; m < 10; m++) {
            double v = ten + log10(m), x = hnn_axis_at(a, m * pow(10, ten));
            if (v >= lo && v <= hi && dx == 0)
                segment(t, x, at, x, at + dy);
            else if (v >= lo && v <= hi)
                segment(t, at, x, at + dx, x);
        }
    hnn_text_add(t, "</g>\n");
}

static void tick_label(hnn_text *t, const axis *a, long k, double x, double y)
{
    hnn_text_add(t, "<text");
    number(t, "x", x), number(t, "y", y);
    hnn_text_add(t, ">");
    hnn_axis_label(t, a, k);
    hnn_text_add(t, "</text>");
}

static void ticks(hnn_text *t, const axis *ax, const axis *ay)
{
    hnn_text_add(t, "<g stroke=\"#e4e4e4\">");
    for (long k = hnn_axis_first(ax); k <= hnn_axis_last(ax); k++)
        segment(t, hnn_axis_tick(ax, k), ay->from, hnn_axis_tick(ax, k), ay->to);
    for (long k = hnn_axis_first(ay); k <= hnn_axis_last(ay); k++)
        segment(t, ax->from, hnn_axis_tick(ay, k), ax->to, hnn_axis_tick(ay, k));
    hnn_text_add(t, "</g>\n");
    marks(t, ax, ay->from, 0, -4), marks(t, ay, ax->from, 4, 0);
    hnn_text_add(t, "<g fill=\"#444\" text-anchor=\"middle\">");
    for (long k = hnn_axis_first(ax); k <= hnn_axis_last(ax); k++)
        tick_label(t, ax, k, hnn_axis_tick(ax, k), ay->from + 17);
    hnn_text_add(t, "</g>\n<g fill=\"#444\" text-anchor=\"end\">");
    for (long k = hnn_axis_first(ay); k <= hnn_axis_last(ay); k++)
        tick_label(t, ay, k, ax->from - 7, hnn_axis_tick(ay, k) + 4);
    hnn_text_add(t, "</g>\n");
}

static void name_axis(hnn_text *t, const axis *a, const char *name, double x, double y, int turned)
{
    if (!name && !a->factor)
        return;
    hnn_text_add(t, "<text text-anchor=\"middle\"");
    number(t, "x", x), number(t, "y", y);
    if (turned) {
        hnn_text_add(t, " transform=\"rotate(-90 ");
        point(t, ' ', x, y);
        hnn_text_add(t, ")\"");
    }
    hnn_text_add(t, ">");
    hnn_text_xml(t, name ? name : "");
    if (a->factor) {
        hnn_text_add(t, " / ");
        hnn_axis_power(t, a->factor);
    }
    hnn_text_add(t, "</text>\n");
}

static double width_of(const char *s)
{
    double n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80; /* letters, not bytes */
    return n * letter;
}

/* returns the height used; t NULL: only measure */
static double legend(hnn_text *t, const hnn_plot *p, double left, double right, double y)
{
    double x = left, rows = 0;
    for (int i = 0; i < p->n; i++) {
        hnn_series s = p->series[i];
        if (!s.label)
            continue;
        double need = 32 + width_of(s.label) + 16;
        if (rows == 0 || (x > left && x + need - 16 > right))
            rows++, x = left;
        double middle = y + 18 * (rows - 1) + 9;
        if (t && (s.kind == HNN_PLOT_LINE || s.kind == HNN_PLOT_CONTOUR)) {
            hnn_text_add(t, "<path d=\"");
            point(t, 'M', x, middle), point(t, 'L', x + 26, middle);
            stroke(t, &s);
        } else if (t && s.kind == HNN_PLOT_POINTS) {
            mark(t, &s, x + 13, middle);
        } else if (t) {
            hnn_text_add(t, "<rect");
            number(t, "x", x), number(t, "y", middle - 5);
            hnn_text_printf(t, " width=\"26\" height=\"10\" fill=\"%s\" fill-opacity=\"0.25\"/>",
                            colour_of(&s));
        }
        if (t)
            text_at(t, x + 32, middle + 4, "", s.label);
        x += need;
    }
    return 18 * rows;
}

static void data_range(const hnn_plot *p, axis *ax, axis *ay)
{
    for (int i = 0; i < p->n; i++) {
        const hnn_series *s = &p->series[i];
        for (int k = 0; k < 4 && s->kind == HNN_PLOT_CONTOUR; k++)
            hnn_axis_widen(k < 2 ? ax : ay, s->box[k]);
        for (long j = 0; j < s->n && s->kind <= HNN_PLOT_BAND; j++) {
            if (!hnn_axis_usable(ax, s->x[j]) || !hnn_axis_usable(ay, s->y[j]))
                continue;
            hnn_axis_widen(ax, s->x[j]);
            hnn_axis_widen(ay, s->y[j]);
            if (s->kind == HNN_PLOT_BAND)
                hnn_axis_widen(ay, s->y2[j]);
        }
    }
}

static void same_unit(axis *ax, axis *ay)
{
    double kx = (ax->hi - ax->lo) / fabs(ax->to - ax->from), ky = (ay->hi - ay->lo) / fabs(ay->to - ay->from);
    axis *a = kx < ky ? ax : ay;
    double grow = (kx < ky ? ky / kx : kx / ky), middle = (a->lo + a->hi) / 2,
           half = (a->hi - a->lo) / 2 * grow;
    a->lo = middle - half;
    a->hi = middle + half;
}

static int body(const hnn_plot *p, double w, double h, hnn_text *t, hnn_error *e)
{
    axis ax = {.lo = INFINITY, .hi = -INFINITY, .log = p->xlog}, ay = ax;
    ay.log = p->ylog;
    data_range(p, &ax, &ay);
    int contour = p->n && p->series[0].kind == HNN_PLOT_CONTOUR;
    int code = hnn_axis_limit(&ax, p->x, contour ? 0 : 0.02, e);
    code = code ? code : hnn_axis_limit(&ay, p->y, contour ? 0 : 0.06, e);
    if (code)
        return code;
    hnn_axis_ticks(&ay, 5);
    int longest = 0;
    hnn_text trial = {0};
    for (long k = hnn_axis_first(&ay); k <= hnn_axis_last(&ay); k++) {
        int n = hnn_axis_label(&trial, &ay, k);
        longest = n > longest ? n : longest;
    }
    hnn_text_free(&trial);
    double left = 14 + (longest + 1) * letter + (p->ylabel || ay.factor ? 20 : 0), right = w - 16;
    double top = p->title ? 30 : 10, key = legend(NULL, p, left, right, 0);
    ax.from = left, ax.to = right;
    ay.from = h - (p->xlabel || ax.log || fmax(fabs(ax.lo), fabs(ax.hi)) >= 1e5 ? 44 : 26);
    ay.to = top + key + (key > 0 ? 6 : 2);
    if (ax.to - ax.from < 20 || ay.from - ay.to < 20)
        return hnn_fail(e, HNN_EARG, "a plot of %g x %g pixels has no room inside its labels", w, h);
    if (p->equal && !ax.log && !ay.log)
        same_unit(&ax, &ay);
    hnn_axis_ticks(&ax, (int)fmax(2, (right - left) / 80));
    hnn_axis_ticks(&ay, (int)fmax(2, (ay.from - ay.to) / 50));
    ticks(t, &ax, &ay);
    /* an inner <svg> clips without an id */
    hnn_text_add(t, "<svg overflow=\"hidden\"");
    number(t, "x", ax.from), number(t, "y", ay.to);
    number(t, "width", ax.to - ax.from), number(t, "height", ay.from - ay.to);
    hnn_text_add(t, " viewBox=\"");
    point(t, ' ', ax.from, ay.to), point(t, ' ', ax.to - ax.from, ay.from - ay.to);
    hnn_text_add(t, "\">\n");
    for (int i = 0; i < p->n && !code; i++) {
        const hnn_series *s = &p->series[i];
        if (s->kind == HNN_PLOT_CONTOUR)
            code = contours(t, s, &ax, &ay, e);
        else if (s->kind == HNN_PLOT_REGION)
            region(t, s, &ax, &ay);
        else
            (s->kind == HNN_PLOT_LINE ? line : s->kind == HNN_PLOT_BAND ? band : points)(t, s, &ax, &ay);
    }
    hnn_text_add(t, "</svg>\n<path d=\"");
    point(t, 'M', ax.from, ay.to), point(t, 'L', ax.from, ay.from), point(t, 'L', ax.to, ay.from);
    hnn_text_add(t, "\" fill=\"none\" stroke=\"#444\"/>\n");
    if (p->title)
        text_at(t, left, 20, " font-size=\"14\" font-weight=\"600\"", p->title);
    legend(t, p, left, right, top);
    name_axis(t, &ax, p->xlabel, (left + right) / 2, h - 8, 0);
    name_axis(t, &ay, p->ylabel, 16, (ay.from + ay.to) / 2, 1);
    return code;
}

int hnn_plot_panels(const hnn_plot p[], int n, int columns, hnn_text *out, hnn_error *e)
{
    int w = 0, h = 0;
    for (int i = 0; i < n; i++) {
        int pw = p[i].width ? p[i].width : 560, ph = p[i].height ? p[i].height : 360;
        w = pw > w ? pw : w, h = ph > h ? ph : h;
    }
    if (n < 1 || columns < 1 || w > 4000 || h > 4000)
        return hnn_fail(e, HNN_EARG, "%d plots of %d x %d pixels in %d columns", n, w, h, columns);
    columns = columns < n ? columns : n;
    int rows = (n + columns - 1) / columns, code = HNN_OK;
    size_t before = out->n;
    hnn_text_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"%d\" height=\"%d\" "
                    "viewBox=\"0 0 %d %d\" font-family=\"system-ui, 'DejaVu Sans', Arial, sans-serif\" "
                    "font-size=\"12\" fill=\"#222\">\n<title>",
                    w * columns, h * rows, w * columns, h * rows);
    for (int i = 0; i < n; i++) {
        const char *about = p[i].about ? p[i].about : p[i].title;
        hnn_text_add(out, i && about ? "; " : "");
        hnn_text_xml(out, about ? about : "");
    }
    hnn_text_add(out, "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    for (int i = 0; i < n && !code; i++) {
        hnn_text_printf(out, "<g transform=\"translate(%d %d)\">\n", i % columns * w, i / columns * h);
        code = body(&p[i], w, h, out, e);
        hnn_text_add(out, "</g>\n");
    }
    hnn_text_add(out, "</svg>\n");
    code = code ? code : hnn_text_status(out, e);
    if (code && out->s) { /* no half pictures */
        out->n = before;
        out->s[before] = 0;
    }
    return code;
}

int hnn_plot_svg(const hnn_plot *p, hnn_text *out, hnn_error *e) { return hnn_plot_panels(p, 1, 1, out, e); }
