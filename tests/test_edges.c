/* test_edges.c - every row of edges.h holds, every operation has one, and docs/operations.md shows these rows.
 *
 * SPDX-License-Identifier: MIT */
#include "ad.h"

#include "edges.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text(double v)
{
    static char ring[16][32];
    static int k;
    char *s = ring[k = (k + 1) % 16];
    snprintf(s, 32, "%.6g", v);
    return v != v ? "NaN" : s;
}
/* Derivatives are compared without the sign of a zero. */
static bool same(double got, double want)
{
    return (isnan(got) && isnan(want)) || got == want || fabs(got - want) <= 1e-15 * fabs(want);
}
static bool same_value(double got, double want)
{
    /* valgrind, which emulates fused multiply-adds, loses the sign of a zero in some */
    return same(got, want) && (got != 0 || signbit(got) == signbit(want) || getenv("NOETHER_TEST_SHORT"));
}

static ad_var bound(ad_tape *t, const char *name, double v)
{
    ad_var x = ad_input(t, name, 1, 1);
    ad_set(x, 1, &v);
    return x;
}

static void check1(const char *name, ad_var (*f)(ad_var), edge1 e)
{
    ad_tape *t = ad_new();
    ad_var x = bound(t, "x", e.x), y = f(x), g = ad_grad(y, x), h = ad_grad(g, x);
    double v = ad_scalar(y), d = ad_scalar(g), dd = ad_scalar(h);
    cr_assert(same_value(v, e.value) && same(d, e.first) && same(dd, e.second),
              "%s(%s): %s; %s; %s, not %s; %s; %s (%s)", name, text(e.x), text(v), text(d), text(dd),
              text(e.value), text(e.first), text(e.second), ad_message(t));
    ad_free(t);
}

Test(edges, of_one_operand_with_first_and_second_derivative)
{
    for (size_t i = 0; i < sizeof edges1 / sizeof edges1[0]; i++) {
        for (int k = 0; k < 4; k++)
            check1(edges1[i].name, edges1[i].f, edges1[i].at[k]);
        for (int k = 0; k < edges1[i].ends; k++)
            check1(edges1[i].name, edges1[i].f, edges1[i].end[k]);
        ad_tape *t = ad_new(); /* NaN goes through */
        cr_assert(isnan(ad_scalar(edges1[i].f(bound(t, "x", NAN)))), "%s(NaN)", edges1[i].name);
        ad_free(t);
    }
}

Test(edges, of_two_operands_with_first_and_second_derivatives)
{
    for (size_t i = 0; i < sizeof edges2 / sizeof edges2[0]; i++) {
        ad_tape *t = ad_new();
        ad_var x[2] = {bound(t, "a", edges2[i].a), bound(t, "b", edges2[i].b)}, y = edges2[i].f(x[0], x[1]);
        ad_var g[2] = {ad_grad(y, x[0]), ad_grad(y, x[1])};
        ad_var h[3] = {ad_grad(g[0], x[0]), ad_grad(g[0], x[1]), ad_grad(g[1], x[1])};
        char at[80];
        snprintf(at, sizeof at, "%s(%s, %s)", edges2[i].name, text(edges2[i].a), text(edges2[i].b));
        cr_assert(same_value(ad_scalar(y), edges2[i].value), "%s: %s", at, text(ad_scalar(y)));
        for (int k = 0; k < 2; k++)
            cr_assert(same(ad_scalar(g[k]), edges2[i].first[k]), "%s: derivative %d is %s", at, k + 1,
                      text(ad_scalar(g[k])));
        for (int k = 0; k < 3; k++) {
            double v = ad_scalar(h[k]); /* 1e-201 of the row that shows no overflow counts as 0 */
            cr_assert(same(fabs(v) < 1e-200 ? 0 : v, edges2[i].second[k]), "%s: second derivative %d is %s",
                      at, k + 1, text(v));
        }
        ad_free(t);
    }
}

/* "[1 2; 3 4]", or a number alone; rounding counts as 0. */
static void matrix(char *s, size_t room, ad_var x)
{
    int r = ad_rows(x), c = ad_cols(x);
    const double *v = ad_value(x);
    size_t n = strlen(s);
    if (!v)
        return;
    for (int i = 0; i < r * c; i++)
        n += (size_t)snprintf(s + n, room - n, "%s%s",
                              i           ? i % c ? " " : "; "
                              : r * c > 1 ? "["
                                          : "",
                              text(fabs(v[i]) < 1e-12 ? 0 : v[i]));
    if (r * c > 1)
        snprintf(s + n, room - n, "]");
}

static const char *outcome(const edge_of *e, char *s, size_t room)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", e->rows, e->cols);
    ad_set(x, e->rows, e->x);
    ad_var y = e->f(x), g = ad_grad(ad_sum(y), x), h = ad_grad(ad_sum(g), x);
    *s = 0;
    matrix(s, room, y);
    strcat(s, "; ");
    matrix(s, room, g);
    strcat(s, "; ");
    matrix(s, room, h);
    if (ad_status(t)) {
        const char *row = strstr(ad_message(t), "in row");
        bool many = row && e->name[0] == 'r' && e->name[1] == 'o';
        snprintf(s, room, "%s%s%.8s", ad_status_name(ad_status(t)), many ? " " : "", many ? row : "");
    } else if (ad_is_void(y))
        snprintf(s, room, "void");
    ad_free(t);
    return s;
}

Test(edges, of_everything_else)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char s[300];
        cr_expect_str_eq(outcome(&others[i], s, sizeof s), others[i].result, "%s, %s: %s", others[i].name,
                         others[i].call, s);
    }
}

Test(edges, every_operation_has_a_row)
{
    /* a part of a call, loop, root or callback */
    static const char *const elsewhere[] = {"result"};
    ad_op_info op;
    for (int k = 0; k < ad_op_count(); k++) {
        int found = 0;
        cr_assert_eq(ad_op_at(k, &op), AD_OK);
        if (!strcmp(op.kind, "leaf"))
            continue;
        for (size_t i = 0; i < sizeof edges1 / sizeof edges1[0]; i++)
            found += !strcmp(edges1[i].name, op.name);
        for (size_t i = 0; i < sizeof edges2 / sizeof edges2[0]; i++)
            found += !strcmp(edges2[i].name, op.name);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            found += !strcmp(others[i].name, op.name);
        for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
            found += !strcmp(elsewhere[i], op.name);
        cr_expect(found > 0, "%s", op.name);
    }
    cr_assert_eq(ad_op_at(-1, &op), AD_EARG);
    cr_assert_eq(ad_op_at(ad_op_count(), &op), AD_EARG);
}

/* The page ----------------------------------------------------------------------------------------------- */

static char *print(char *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static char *print(char *s, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsprintf(s, format, ap);
    va_end(ap);
    return s + n;
}

static const char *plain(double v) { return text(v == 0 ? 0 : v); }

static void tables(char *s)
{
    s = print(s, "| name | -inf | -0 | 0 | inf | ends |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof edges1 / sizeof edges1[0]; i++) {
        s = print(s, "| `%s` |", edges1[i].name);
        for (int k = 0; k < 4; k++) {
            const edge1 *e = &edges1[i].at[k];
            s = print(s, " %s; %s; %s |", text(e->value), plain(e->first), plain(e->second));
        }
        for (int k = 0; k < edges1[i].ends; k++) {
            const edge1 *e = &edges1[i].end[k];
            s = print(s, "%s %s: %s; %s; %s", k ? "," : "", text(e->x), text(e->value), plain(e->first),
                      plain(e->second));
        }
        s = print(s, " |\n");
    }
    s = print(s, "\n| name | a, b | value | d/da, d/db | d2/da2, d2/dadb, d2/db2 |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof edges2 / sizeof edges2[0]; i++)
        s = print(s, "| `%s` | %s, %s | %s | %s, %s | %s, %s, %s |\n", edges2[i].name, text(edges2[i].a),
                  text(edges2[i].b), text(edges2[i].value), plain(edges2[i].first[0]),
                  plain(edges2[i].first[1]), plain(edges2[i].second[0]), plain(edges2[i].second[1]),
                  plain(edges2[i].second[2]));
    s = print(s, "\n| name | of | result |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        s = print(s, "| `%s` | %s | %s |\n", others[i].name, others[i].call, others[i].result);
}

Test(edges, the_page_shows_these_rows)
{
    const char *root = getenv("NOETHER_ROOT");
    char path[1024], *page = calloc(1, 1 << 16), *want = calloc(1, 1 << 16);
    snprintf(path, sizeof path, "%s/docs/operations.md", root ? root : ".");
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    cr_assert_gt(fread(page, 1, (1 << 16) - 1, f), 0);
    fclose(f);
    tables(want);
    char *begin = strstr(page, "| name |"), *end = strstr(page, "\n<!-- end -->");
    cr_assert(begin && end);
    if (getenv("NOETHER_WRITE")) {
        f = fopen(path, "w");
        cr_assert(f);
        fprintf(f, "%.*s%s%s", (int)(begin - page), page, want, end);
        fclose(f);
    } else {
        *end = 0;
        cr_assert_str_eq(begin, want,
                         "docs/operations.md is not edges.h: NOETHER_WRITE=1 build/tests/test_edges");
    }
    free(page);
    free(want);
}
