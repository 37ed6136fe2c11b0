/* test_plot.c - contours against the curves they approximate, pictures as well-formed, finite and repeatable text. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "plot.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NX = 41, NY = 31 };

static void grid(double z[NX * NY], double (*f)(double, double))
{
    for (int j = 0; j < NY; j++)
        for (int i = 0; i < NX; i++)
            z[j * NX + i] = f(-2 + 0.1 * i, -1.5 + 0.1 * j);
}

static double bowl(double x, double y) { return x * x + y * y; }
static double slant(double x, double y) { return x + 0.3 * y - 0.017; }
static double wells(double x, double y) { return y * y / 2 + (x * x - 1) * (x * x - 1) / 4; }
static double hyperbola(double x, double y) { return (x - 0.05) * (y - 0.05); }
static double hole(double x, double y) { return x > 1.05 ? NAN : x * x + y * y; }

Test(plot, contours_have_the_topology_of_the_function)
{
    const struct {
        const char *name;
        double (*f)(double, double), level;
        int lines, closed;
    } cases[] = {
        {"circle", bowl, 1.01, 1, 1},         {"line", slant, 0, 1, 0},
        {"both wells", wells, 0.1, 2, 2},     {"around both wells", wells, 0.3, 1, 1},
        {"hyperbola", hyperbola, 1e-4, 2, 0}, {"hyperbola below", hyperbola, -1e-4, 2, 0},
        {"above all", bowl, 100, 0, 0},       {"below all", bowl, -1, 0, 0},
        {"cut open by NaN", hole, 1.5, 1, 0}, {"through nodes", bowl, 1, 1, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static double z[NX * NY];
        hnn_lines l;
        int closed = 0;
        grid(z, cases[c].f);
        cr_assert_eq(hnn_contour(NX, NY, z, cases[c].level, &l, NULL), HNN_OK);
        for (long i = 0; i < l.n; i++) {
            const double *a = l.xy + 2 * l.first[i], *b = l.xy + 2 * (l.first[i + 1] - 1);
            cr_assert_geq(l.first[i + 1] - l.first[i], 2);
            closed += a[0] == b[0] && a[1] == b[1];
        }
        cr_assert(l.n == cases[c].lines && closed == cases[c].closed, "%s: %ld lines, %d closed",
                  cases[c].name, l.n, closed);
        for (long k = 0; k < l.points; k++) {
            double x = -2 + 0.1 * l.xy[2 * k], y = -1.5 + 0.1 * l.xy[2 * k + 1];
            /* linear interpolation: h^2/8 max|f''|, and |f''| <= 11 on the box */
            cr_assert_float_eq(cases[c].f(x, y), cases[c].level, 0.01 / 8 * 11, "%s", cases[c].name);
        }
        hnn_lines_free(&l);
    }
    hnn_lines l;
    hnn_error e;
    double z[4] = {-DBL_MAX, DBL_MAX, -DBL_MAX, DBL_MAX};
    cr_assert_eq(hnn_contour(2, 2, z, 1, &l, NULL), HNN_OK);
    cr_assert(l.n == 1 && l.xy[0] == 0.5);
    hnn_lines_free(&l);
    cr_assert_eq(hnn_contour(1, 5, z, 0, &l, &e), HNN_EARG);
    cr_assert(strstr(e.message, "1 x 5"), "%s", e.message);
}

/* every tag is closed by its own, every attribute is quoted, no number is missing */
static void check_svg(const char *s, const char *what)
{
    const char *open[64];
    int depth = 0;
    for (const char *c = s; *c; c++) {
        if (*c == '&')
            cr_assert(!strncmp(c, "&lt;", 4) || !strncmp(c, "&gt;", 4) || !strncmp(c, "&amp;", 5) ||
                          !strncmp(c, "&quot;", 6) || !strncmp(c, "&#39;", 5),
                      "%s: a bare &", what);
        if (*c != '<')
            continue;
        const char *name = c + 1 + (c[1] == '/');
        size_t n = strcspn(name, " />");
        if (c[1] == '/') {
            cr_assert(depth > 0 && !strncmp(open[--depth], name, n), "%s: </%.*s>", what, (int)n, name);
            continue;
        }
        cr_assert(n > 0 && islower((unsigned char)*name), "%s: %.20s", what, c);
        const char *end = c + strcspn(c, ">");
        cr_assert(*end == '>', "%s: %.40s is not finished", what, c);
        int quotes = 0;
        for (const char *k = c; k < end; k++)
            quotes += *k == '"';
        cr_assert_eq(quotes % 2, 0, "%s: quotes in %.60s", what, c);
        if (end[-1] != '/') {
            cr_assert_lt(depth, 64);
            open[depth++] = name;
        }
    }
    cr_assert_eq(depth, 0, "%s: %d open tags", what, depth);
    cr_assert(!strstr(s, "nan") && !strstr(s, "inf\"") && !strstr(s, "inf ") && !strstr(s, " id="), "%s",
              what);
}

static void draw(const hnn_plot *p, const char *what, hnn_text *t)
{
    hnn_text again = {0};
    hnn_error e;
    cr_assert_eq(hnn_plot_svg(p, t, &e), HNN_OK, "%s: %s", what, e.message);
    cr_assert_eq(hnn_plot_svg(p, &again, &e), HNN_OK);
    cr_assert_str_eq(t->s, again.s, "%s: not the same bytes twice", what);
    hnn_text_free(&again);
    check_svg(t->s, what);
}

Test(plot, wild_data_make_finite_well_formed_pictures)
{
    const double x[6] = {0, 1, 2, 3, 4, 5};
    const double rows[][6] = {
        {1, 2, NAN, 3, INFINITY, 4},
        {NAN, NAN, NAN, NAN, NAN, NAN},
        {-1, 0, 1e-3, 1e3, -5, 1e-12},
        {7, 7, 7, 7, 7, 7},
        {DBL_MAX, -DBL_MAX, 0, 1, 2, 3},
        {1e-320, 0, 0, 0, 0, 0},
        {0, 0, 0, 0, 0, 0},
        {1e-9, 1.1e-9, 1.2e-9, 0, 3e-9, 0},
        {1, 1 + DBL_EPSILON, 1, 1, 1, 1},
        {3e-3, 4e-3, 5e-3, 6e-3, 7e-3, 8e-3},
        {1e300, 1e-300, 1, 1, 1, 1e10},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int mode = 0; mode < 16; mode++) {
            const double up[6] = {9, 9, INFINITY, 9, 9, 9};
            hnn_series s[4] = {
                {.kind = HNN_PLOT_LINE, .label = "a", .n = 6, .x = x, .y = rows[r]},
                {.kind = HNN_PLOT_BAND, .label = "b", .colour = 1, .n = 6, .x = x, .y = rows[r], .y2 = up},
                {.kind = HNN_PLOT_POINTS,
                 .shape = (int)r % 6,
                 .colour = HNN_INK,
                 .n = 6,
                 .x = rows[r],
                 .y = x},
                {.kind = HNN_PLOT_REGION,
                 .colour = HNN_GREY,
                 .n = 6,
                 .x = x,
                 .x2 = rows[r],
                 .y = rows[r],
                 .y2 = x}};
            hnn_plot p = {.title = "<a & \"b\">",
                          .xlabel = "x",
                          .ylabel = mode & 4 ? NULL : "y",
                          .xlog = mode & 1,
                          .ylog = mode >> 1 & 1,
                          .equal = mode >> 3,
                          .series = s,
                          .n = 4};
            hnn_text t = {0};
            char what[40];
            snprintf(what, sizeof what, "row %zu mode %d", r, mode);
            draw(&p, what, &t);
            cr_assert(strstr(t.s, "&lt;a &amp; &quot;b&quot;&gt;") && t.n < 20000, "%s", what);
            hnn_text_free(&t);
        }
    hnn_plot nothing = {0};
    hnn_text t = {0};
    draw(&nothing, "nothing", &t);
    hnn_text_free(&t);
}

Test(plot, points_are_where_the_axes_say)
{
    const double x[3] = {0, 5, 10}, y[3] = {1, 10, 100};
    hnn_series s = {.kind = HNN_PLOT_POINTS, .n = 3, .x = x, .y = y};
    hnn_plot p = {.x = {0, 10}, .y = {1, 100}, .ylog = 1, .series = &s, .n = 1};
    hnn_text t = {0};
    draw(&p, "three points", &t);
    double cx[3], cy[3];
    const char *at = t.s;
    for (int i = 0; i < 3; i++) {
        at = strstr(at, "cx=\"");
        cr_assert(at && sscanf(at, "cx=\"%lf\" cy=\"%lf\"", &cx[i], &cy[i]) == 2);
        at++;
    }
    cr_assert_float_eq(cx[1], (cx[0] + cx[2]) / 2, 0.011); /* two decimals */
    cr_assert_float_eq(cy[1], (cy[0] + cy[2]) / 2, 0.011);
    cr_assert(cx[0] < cx[2] && cy[0] > cy[2], "up is up");
    for (int k = 0; k <= 10; k += 2) {
        char text[16];
        snprintf(text, sizeof text, ">%d</text>", k);
        cr_assert(strstr(t.s, text), "no label %d", k);
    }
    cr_assert(strstr(t.s, ">10<tspan dy=\"-5\" font-size=\"9\">2</tspan>"), "no label 10^2");
    hnn_text_free(&t);
}

/* Powers alone would leave less than a decade with one label, or none. */
Test(plot, logarithmic_axes_have_labels_and_marks_between_powers)
{
    const struct {
        double y[2], given[2];
        const char *label[5], *none;
    } cases[] = {{{0.3, 0.8}, {0}, {">0.2<", ">0.5<", ">1<"}, ">0.1<"},
                 {{3, 40}, {0}, {">2<", ">5<", ">10<", ">20<", ">50<"}, ">1<"},
                 {{3e-7, 8e-7}, {0}, {">2 \xc2\xb7 10<", ">5 \xc2\xb7 10<", ">10<"}, ">0"},
                 {{7, 7}, {0}, {">10<tspan"}, ">5<"},
                 {{1, 1e4}, {0}, {">10<tspan"}, ">5<"},
                 {{2, 3}, {2, 8}, {">2<", ">5<"}, ">10<"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hnn_series s = {.kind = HNN_PLOT_LINE, .n = 2, .x = (const double[]){1, 2}, .y = cases[c].y};
        hnn_plot p = {
            .y = {cases[c].given[0], cases[c].given[1]}, .x = {1, 3}, .ylog = 1, .series = &s, .n = 1};
        hnn_text t = {0};
        draw(&p, "logarithmic", &t);
        const char *labels = strstr(t.s, "text-anchor=\"end\"");
        for (int k = 0; k < 5 && cases[c].label[k]; k++)
            cr_assert(strstr(labels, cases[c].label[k]), "case %zu: no label %s", c, cases[c].label[k]);
        cr_assert(!strstr(labels, cases[c].none), "case %zu: %s", c, cases[c].none);
        cr_assert(strstr(t.s, "<g stroke=\"#444\">"), "case %zu: no marks", c);
        hnn_text_free(&t);
    }
}

Test(plot, long_lines_keep_their_envelope_in_a_small_file)
{
    enum { N = 200000 };
    static double x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = i, y[i] = i == 123456 ? 2.5 : sin(i);
    hnn_series s = {.kind = HNN_PLOT_LINE, .n = N, .x = x, .y = y};
    hnn_plot p = {.y = {-4, 3}, .series = &s, .n = 1}, panels[3] = {p, p, p};
    hnn_text t = {0};
    draw(&p, "long line", &t);
    cr_assert_lt(t.n, 150000, "%zu bytes", t.n);
    double top = 1e9, lx, ly;
    for (const char *c = strstr(t.s, "d=\"M"); *c != '>'; c++)
        if (*c == 'L' && sscanf(c, "L%lf %lf", &lx, &ly) == 2)
            top = fmin(top, ly);
    double height, above;
    cr_assert(sscanf(strstr(t.s, "overflow="),
                     "overflow=\"hidden\" x=\"%*f\" y=\"%lf\" width=\"%*f\" height=\"%lf\"", &above,
                     &height) == 2);
    double want = above + height * 0.5 / 7; /* the one large value is seen */
    cr_assert_float_eq(top, want, 0.02, "%g, not %g", top, want);
    hnn_text many = {0};
    cr_assert_eq(hnn_plot_panels(panels, 3, 2, &many, NULL), HNN_OK);
    cr_assert(strstr(many.s, "viewBox=\"0 0 1120 720\"") && strstr(many.s, "translate(560 0)") &&
              strstr(many.s, "translate(0 360)"));
    check_svg(many.s, "panels");
    hnn_text_free(&many);
    hnn_text_free(&t);
}

Test(plot, refusals_leave_the_text_as_it_was)
{
    const struct {
        hnn_plot p;
        const char *says;
    } bad[] = {{{.xlog = 1, .x = {-1, 10}}, "logarithmic"},
               {{.y = {0, INFINITY}}, "inf"},
               {{.y = {1, 1 + 1e-15}}, "from 1"},
               {{.width = 60, .height = 40}, "no room"},
               {{.width = 9000}, "9000"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hnn_text t = {0};
        hnn_error e = {0};
        hnn_text_add(&t, "before");
        cr_assert_eq(hnn_plot_svg(&bad[i].p, &t, &e), HNN_EARG, "case %zu", i);
        cr_assert(strstr(e.message, bad[i].says), "%s", e.message);
        cr_assert_str_eq(t.s, "before");
        hnn_text_free(&t);
    }
    hnn_error e;
    cr_assert_eq(hnn_plot_panels(NULL, 0, 1, NULL, &e), HNN_EARG);
}

Test(plot, every_allocation_may_fail)
{
    static double z[NX * NY];
    const double level[2] = {0.1, 0.3};
    grid(z, wells);
    hnn_series s = {.kind = HNN_PLOT_CONTOUR,
                    .label = "H",
                    .n = 2,
                    .nx = NX,
                    .ny = NY,
                    .z = z,
                    .level = level,
                    .box = {-2, 2, -1.5, 1.5}};
    hnn_plot p = {.title = "wells", .series = &s, .n = 1};
    for (long n = 1;; n++) {
        hnn_text t = {0};
        failalloc_arm(n, 1);
        int code = hnn_plot_svg(&p, &t, NULL);
        hnn_text_free(&t);
        int enough = failalloc_disarm() < n;
        cr_assert_eq(code, enough ? HNN_OK : HNN_EMEM, "allocation %ld", n);
        cr_assert_eq(failalloc_live(), 0);
        if (enough)
            break;
    }
}
