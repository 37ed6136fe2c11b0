/* cmd_diff.c - noether diff: value, gradient, Hessian and higher derivatives of an expression, and its tape.
 * Invariant: every derivative is a gradient of a gradient on one tape; nothing here knows a rule. */
/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <ad.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 64, MAX_ELEMENTS = 256, MAX_ORDER = 6, MAX_LINES = 5000 };

typedef struct point {
    ad_tape *tape;
    int n;
    char *name[MAX_NAMES];
    ad_var x[MAX_NAMES];
    int elements; /* of all variables together: element k is (row, col) of variable var */
    struct {
        int var, row, col;
        char name[56];
    } at[MAX_ELEMENTS];
} point;

static int tape_error(cli *c, const ad_tape *t)
{
    int usage = ad_status(t) == AD_EPARSE || ad_status(t) == AD_ENAME || ad_status(t) == AD_ESHAPE;
    return usage ? cli_usage(c, "%s", ad_message(t)) : cli_fail(c, "%s", ad_message(t));
}

/* one x=1 or q=[1,2] of --at */
static int put(cli *c, void *to, const char *name, const char *value)
{
    point *p = to;
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->name[i], name))
            return cli_usage(c, "--at gives %s twice", name);
    ad_tape *scratch = ad_new();
    ad_var v = ad_parse(scratch, value, 0, NULL, NULL);
    int rows = ad_rows(v), cols = ad_cols(v), status = CLI_OK;
    const double *number = ad_value(v);
    double one = ad_is_number(v) ? ad_scalar(v) : 0;
    if (ad_is_number(v))
        rows = cols = 1, number = &one;
    if (ad_status(scratch) || !number)
        status = cli_usage(c, "--at: %s is not a number: %s", name, ad_message(scratch));
    else if (p->n == MAX_NAMES || p->elements + rows * cols > MAX_ELEMENTS)
        status = cli_usage(c, "--at gives more than %d names or %d numbers", MAX_NAMES, MAX_ELEMENTS);
    else {
        p->x[p->n] = ad_input(p->tape, name, rows, cols);
        p->name[p->n] = strdup(name);
        if (ad_set(p->x[p->n], rows, number) || !p->name[p->n])
            status = tape_error(c, p->tape);
        for (int k = 0; k < rows * cols; k++) {
            int e = p->elements++;
            p->at[e].var = p->n, p->at[e].row = k / cols, p->at[e].col = k % cols;
            if (rows * cols == 1)
                snprintf(p->at[e].name, sizeof p->at[e].name, "%.40s", name);
            else if (rows == 1)
                snprintf(p->at[e].name, sizeof p->at[e].name, "%.30s[%d]", name, k + 1);
            else
                snprintf(p->at[e].name, sizeof p->at[e].name, "%.20s[%d,%d]", name, k / cols + 1,
                         k % cols + 1);
        }
        p->n++;
    }
    ad_free(scratch);
    return status;
}

/* d[k] = dy / d element k, [1,1] each */
static int gradient(const point *p, ad_var y, ad_var d[])
{
    ad_var g[MAX_NAMES];
    if (ad_is_number(y) || !p->n) {
        for (int k = 0; k < p->elements; k++)
            d[k] = ad_fill(p->tape, 1, 1, 0);
        return ad_status(p->tape);
    }
    if (ad_grads(y, p->n, p->x, g))
        return ad_status(p->tape);
    for (int k = 0; k < p->elements; k++)
        d[k] = ad_at(g[p->at[k].var], p->at[k].row, p->at[k].col);
    return ad_status(p->tape);
}

static void number(hnn_text *t, double x) { hnn_text_printf(t, "%.10g", x == 0 ? 0 : x); /* no -0 */ }

/* the matrix of second derivatives, aligned */
static int hessian(cli *c, const point *p, const ad_var d[])
{
    int n = p->elements, rows = n + 1, status = CLI_OK;
    char **cell = calloc((size_t)rows * (size_t)rows, sizeof *cell);
    if (!cell)
        return cli_fail(c, "out of memory");
    cli_json_array(&c->json, "hessian");
    for (int i = -1; i < n && status == CLI_OK; i++) {
        ad_var h[MAX_ELEMENTS];
        if (i >= 0 && gradient(p, d[i], h))
            status = tape_error(c, p->tape);
        double row[MAX_ELEMENTS];
        for (int k = -1; k < n && status == CLI_OK; k++) {
            hnn_text one = {0};
            if (i < 0 || k < 0)
                hnn_text_printf(&one, "%s%s", k < 0 ? "  " : "",
                                i < 0 ? k < 0 ? "" : p->at[k].name : p->at[i].name);
            else
                number(&one, row[k] = ad_scalar(h[k]));
            if (hnn_text_status(&one, NULL) || !(cell[(i + 1) * rows + k + 1] = one.s))
                status = cli_fail(c, "out of memory");
        }
        if (i >= 0 && status == CLI_OK)
            cli_json_numbers(&c->json, NULL, n, row);
    }
    cli_json_close(&c->json);
    if (status == CLI_OK) {
        hnn_text_add(&c->out, "second derivatives\n");
        cli_table(&c->out, rows, rows, (const char *const *)cell);
    }
    for (int i = 0; i < rows * rows; i++)
        free(cell[i]);
    free(cell);
    return status;
}

/* d3f/dx2dy and so on: element numbers ascending, one line each */
static int higher(cli *c, const point *p, ad_var y, int order, int depth, int index[], int *lines)
{
    if (depth == order) {
        if (++*lines > MAX_LINES)
            return cli_usage(c, "more than %d derivatives of order %d", MAX_LINES, order);
        cli_json_object(&c->json, NULL);
        cli_json_array(&c->json, "of");
        hnn_text_printf(&c->out, "  d%df/", order);
        for (int k = 0; k < order; k++)
            cli_json_text(&c->json, NULL, p->at[index[k]].name);
        for (int k = 0, n = 1; k < order; k += n, n = 1) {
            while (k + n < order && index[k + n] == index[k])
                n++;
            hnn_text_printf(&c->out, n > 1 ? "d%s^%d" : "d%s", p->at[index[k]].name, n);
        }
        cli_json_close(&c->json);
        double v = ad_scalar(y);
        hnn_text_add(&c->out, " = ");
        number(&c->out, v);
        hnn_text_add(&c->out, "\n");
        cli_json_number(&c->json, "value", v);
        cli_json_close(&c->json);
        return CLI_OK;
    }
    ad_var d[MAX_ELEMENTS];
    if (gradient(p, y, d))
        return tape_error(c, p->tape);
    for (int k = depth ? index[depth - 1] : 0; k < p->elements; k++) {
        index[depth] = k;
        int status = higher(c, p, d[k], order, depth + 1, index, lines);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

static int derivatives(cli *c, const point *p, ad_var y)
{
    long order = cli_int(c, "order");
    ad_var d[MAX_ELEMENTS];
    double g[MAX_ELEMENTS];
    if (order < 1 || !p->elements)
        return CLI_OK;
    if (gradient(p, y, d))
        return tape_error(c, p->tape);
    hnn_text_add(&c->out, "first derivatives\n");
    cli_json_object(&c->json, "gradient");
    for (int k = 0; k < p->elements; k++) {
        g[k] = ad_scalar(d[k]);
        hnn_text_printf(&c->out, "  df/d%s = ", p->at[k].name);
        number(&c->out, g[k]);
        hnn_text_add(&c->out, "\n");
        cli_json_number(&c->json, p->at[k].name, g[k]);
    }
    cli_json_close(&c->json);
    int status = order >= 2 ? hessian(c, p, d) : CLI_OK;
    for (long k = 3; k <= order && status == CLI_OK; k++) {
        int index[MAX_ORDER], lines = 0;
        char name[40];
        snprintf(name, sizeof name, "order_%ld", k);
        hnn_text_printf(&c->out, "derivatives of order %ld\n", k);
        cli_json_array(&c->json, name);
        status = higher(c, p, y, (int)k, 0, index, &lines);
        cli_json_close(&c->json);
    }
    return status;
}

/* the tape with values, and adjoints of f; a picture of it for Graphviz */
static int tape(cli *c, ad_var y)
{
    int status = CLI_OK;
    if (cli_has(c, "tape")) {
        char *text = ad_is_number(y) ? strdup("a number: nothing is recorded\n") : ad_dump(1, &y, 1);
        if (text) {
            hnn_text_printf(&c->out, "tape\n%s", text);
            cli_json_text(&c->json, "tape", text);
        } else
            status = ad_is_number(y) ? cli_fail(c, "out of memory") : tape_error(c, y.tape);
        free(text);
    }
    if (cli_has(c, "dot") && status == CLI_OK) {
        char *text = ad_is_number(y) ? strdup("digraph {}\n") : ad_dot_graph(1, &y);
        if (text)
            status =
                hnn_file_write(cli_text(c, "dot"), text, strlen(text), &c->error) ? cli_error(c) : CLI_OK;
        else
            status = ad_is_number(y) ? cli_fail(c, "out of memory") : tape_error(c, y.tape);
        free(text);
    }
    return status;
}

static int run(cli *c)
{
    point p = {.tape = ad_new()};
    const char *text = c->argv[0], *at;
    int status = CLI_OK;
    for (int i = 0; cli_list(c, "at", i, &at) && status == CLI_OK; i++)
        status = cli_pairs(c, "at", at, put, &p);
    ad_var y = ad_num(0);
    if (status == CLI_OK) {
        y = ad_parse(p.tape, text, p.n, (const char *const *)p.name, p.x);
        if (ad_status(p.tape))
            status = tape_error(c, p.tape);
        else if (!ad_is_number(y) && (ad_rows(y) != 1 || ad_cols(y) != 1))
            status = cli_usage(
                c, "the expression is a matrix of %d x %d; derivatives are of one number: sum(...)?",
                ad_rows(y), ad_cols(y));
    }
    if (status == CLI_OK) {
        double v = ad_scalar(y);
        cli_json_text(&c->json, "expression", text);
        cli_json_object(&c->json, "at");
        for (int k = 0; k < p.elements; k++) {
            const double *x = ad_value(p.x[p.at[k].var]);
            cli_json_number(&c->json, p.at[k].name,
                            x ? x[p.at[k].row * ad_cols(p.x[p.at[k].var]) + p.at[k].col] : 0);
        }
        cli_json_close(&c->json);
        cli_json_number(&c->json, "value", v);
        hnn_text_printf(&c->out, "f = %s\nvalue ", text);
        number(&c->out, v);
        hnn_text_add(&c->out, "\n");
        char *nan_at = v != v && !ad_is_number(y) ? ad_first_nan(y) : NULL;
        if (nan_at)
            hnn_text_printf(&c->out, "not a number: %s\n", nan_at);
        free(nan_at);
        status = ad_status(p.tape) ? tape_error(c, p.tape) : tape(c, y);
        if (status == CLI_OK)
            status = derivatives(c, &p, y);
    }
    for (int i = 0; i < p.n; i++)
        free(p.name[i]);
    ad_free(p.tape);
    return status;
}

static const cli_option own[] = {
    {"at", "x=1,y=2", CLI_LIST, NULL, "the point: every name of the expression; q=[1,2,3] is a vector", 0, 0},
    {"order", "N", CLI_INT, "2", "derivatives up to this order", 0, MAX_ORDER},
    {"tape", NULL, CLI_FLAG, NULL, "the nodes of the tape, with values and adjoints", 0, 0},
    {"dot", "FILE", CLI_TEXT, NULL, "the tape as a graph for Graphviz: dot -Tsvg FILE", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_common, NULL};
const cli_command cli_cmd_diff = {.name = "diff",
                                  .args = "EXPRESSION",
                                  .summary =
                                      "value and derivatives of an expression, and how the tape sees it",
                                  .more = "  noether diff \"x^2*sin(y)\" --at x=1,y=2\n",
                                  .groups = groups,
                                  .min_args = 1,
                                  .max_args = 1,
                                  .run = run};
