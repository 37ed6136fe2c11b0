/* test_dump.c - the tape as text and as a graph, and where a NaN comes from.
 *
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void bind(ad_var x, int rows, double first, double step)
{
    double v[64];
    for (int i = 0; i < rows * ad_cols(x); i++)
        v[i] = first + step * i;
    ad_set(x, rows, v);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *c = strstr(text, what); c; c = strstr(c + 1, what))
        n++;
    return n;
}

Test(dump, a_line_a_node_with_values_and_adjoints_beside)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1);
    bind(q, 1, 0.5, 0);
    bind(p, 1, 1, 0);
    ad_sin(p); /* not needed */
    ad_var K = ad_div(ad_square(p), 2), V = ad_sub(1, ad_cos(q)), H = ad_add(K, V);
    int32_t nodes = ad_nodes(t);
    char *s = ad_dump(1, &H, 1);
    cr_assert_str_eq(s, "   id  name  operation    shape  value     adjoint\n"
                        "    0  q     input        [1,1]  0.5       0.479426\n"
                        "    1  p     input        [1,1]  1         1\n"
                        "    3        square(p)    [1,1]  1         0.5\n"
                        "    4        2            [1,1]  2         -0.25\n"
                        "    5        div(%3, 2)   [1,1]  0.5       1\n"
                        "    6        cos(q)       [1,1]  0.877583  -1\n"
                        "    7        1            [1,1]  1         1\n"
                        "    8        sub(1, %6)   [1,1]  0.122417  1\n"
                        "    9        add(%5, %8)  [1,1]  0.622417  1\n");
    free(s);
    cr_assert_eq(ad_nodes(t), nodes); /* looking leaves nothing behind */
    cr_assert(!ad_is_void(H));
    s = ad_dump(1, &p, 0);
    cr_assert_str_eq(s, "   id  name  operation  shape\n    1  p     input      [1,1]\n");
    free(s);
    ad_free(t);
}

Test(dump, operations_stand_as_the_calls_that_record_them)
{
    static const int index[] = {1, 0, 1, 2, 2, 0, 1};
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", AD_BATCH, 3), W = ad_input(t, "W", 3, 4);
    ad_var sum[9];
    for (int i = 0; i < 9; i++)
        sum[i] = ad_add(W, i + 1);
    const struct {
        ad_var v;
        const char *call, *shape;
    } rows[] = {
        {ad_matmul(x, W), "matmul(x, W)", "[B,4]"},
        {ad_matmul_tn(W, W), "matmul_tn(W, W)", "[4,4]"},
        {ad_matmul_nt(W, W), "matmul_nt(W, W)", "[3,3]"},
        {ad_matmul_tt(W, ad_transpose(W)), "matmul_tt(W, %", "[4,4]"},
        {ad_cols_of(x, 1, 2), "slice(x, 0, B, 1, 2)", "[B,2]"},
        {ad_slice(W, 1, 2, 0, 3), "slice(W, 1, 2, 0, 3)", "[2,3]"},
        {ad_pad(W, 1, 2, 3, 4), "pad(W, 1, 2, 3, 4)", "[6,11]"},
        {ad_pad(x, 0, 2 * AD_BATCH, 0, 0), "pad(x, 0, 2B, 0, 0)", "[3B,3]"},
        {ad_reshape(W, 2, 6), "reshape(W, 2, 6)", "[2,6]"},
        {ad_expand(ad_sum_rows(x), AD_BATCH, 3), ", B, 3)", "[B,3]"},
        {ad_gather_cols(W, 3, index), "gather_cols(W; 1, 0, 1)", "[3,3]"},
        {ad_gather_cols(W, 7, index), "gather_cols(W; 1, 0, 1, 2, ... 7 indices)", "[3,7]"},
        {ad_row_solve(ad_input(t, "A", AD_BATCH, 9), x, 3, 1), "row_solve(A, x, 3, 1, 0)", "[B,3]"},
        {ad_add_n(9, sum), "... 3 more ..., ", "[3,4]"},
        {ad_eye(t, 3), "eye", "[3,3]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *s = ad_dump(1, &rows[i].v, 0);
        cr_assert(s && strstr(s, rows[i].call), "%s is not in\n%s", rows[i].call, s ? s : ad_message(t));
        cr_assert(strstr(strstr(s, rows[i].call), rows[i].shape), "%s", s);
        free(s);
    }
    ad_free(t);
}

Test(dump, long_matrices_are_abbreviated_and_batches_have_their_rows)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", AD_BATCH, 2), W = ad_input(t, "W", 3, 8);
    bind(x, 3, 1, 1);
    bind(W, 3, 1, 1);
    ad_var y[2] = {ad_sum(W), ad_sum(ad_mul(x, x))};
    char *s = ad_dump(2, y, 1);
    cr_assert(strstr(s, "[1 2 ... 8; 9 10 ... 16; ...]"), "%s", s);
    cr_assert(strstr(s, "[1 2; 3 4; 5 6]"), "%s", s);
    cr_assert(strstr(s, "[2 4; 6 8; 10 12]"), "%s", s); /* the adjoint of x, for the last value */
    cr_assert(strstr(s, "[0 0 ... 0; 0 0 ... 0; ...]"), "%s", s);
    free(s);
    ad_free(t);
}

Test(dump, what_stops_a_value_is_told_and_not_kept)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2), y = ad_sum(ad_exp(x));
    char *s = ad_dump(1, &y, 1);
    cr_assert(strstr(s, "values end here: ad_value: input \"x\" has no value"), "%s", s);
    cr_assert_eq(count(s, "\n"), 5, "%s", s);
    free(s);
    cr_assert_eq(ad_status(t), AD_OK);
    ad_matmul(x, x); /* an error before looking stays the error */
    s = ad_dump(1, &y, 1);
    cr_assert(s);
    free(s);
    cr_assert_str_eq(ad_message(t), "ad_matmul: [1,2] x [1,2]: inner sizes differ");
    ad_clear(t);
    ad_tape *u = ad_new();
    ad_var mixed[2] = {y, ad_input(u, "z", 1, 1)}, number = ad_num(1), gone = ad_matmul(x, x);
    ad_clear(t);
    cr_assert_null(ad_dump(2, mixed, 0));
    cr_assert_eq(ad_status(t), AD_ETAPE);
    ad_clear(t);
    cr_assert_null(ad_dump(1, &number, 1));
    cr_assert_eq(ad_status(t), AD_OK);
    cr_assert_null(ad_dot_graph(1, &gone));
    cr_assert_eq(ad_status(t), AD_ESTALE);
    ad_free(t);
    ad_free(u);
}

/* A statement is "n<id> [...]" or "n<id> -> n<id>"; text stands in quotes in which \ takes the next character. */
static void check_graph(const char *s, int vertices, int edges)
{
    bool seen[256] = {false};
    int v = 0, e = 0;
    cr_assert_eq(strncmp(s, "digraph tape {\n", 15), 0);
    for (const char *line = strchr(s, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        int a, b, quote = 0, bracket = 0;
        for (const char *c = line; *c != '\n'; c++) {
            cr_assert(*c, "a line without an end in\n%s", s);
            if (quote && *c == '\\')
                c++;
            else if (*c == '"')
                quote = !quote;
            else if (!quote)
                bracket += (*c == '[') - (*c == ']');
        }
        cr_assert(!quote && !bracket, "%s", line);
        if (sscanf(line, " n%d -> n%d", &a, &b) == 2) {
            cr_assert(a < b && seen[a] && seen[b], "%s", line); /* both ends are declared before */
            e++;
        } else if (sscanf(line, " n%d [", &a) == 1) {
            cr_assert(!seen[a], "%s", line);
            seen[a] = true;
            v++;
        }
    }
    cr_assert_str_eq(s + strlen(s) - 2, "}\n");
    cr_assert_eq(v, vertices, "%d vertices in\n%s", v, s);
    cr_assert_eq(e, edges, "%d edges in\n%s", e, s);
}

Test(dump, a_graph_has_each_node_once_and_an_edge_an_operand)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), odd = ad_input(t, "a \"name\" [with] \\ and\nmore", 2, 2);
    ad_var y = ad_mul(ad_sin(x), ad_sub(x, 2.5)), z[2] = {y, ad_sum(ad_mul(odd, y))};
    char *s = ad_dot_graph(1, &y);
    check_graph(s, 5, 5);
    cr_assert_eq(count(s, "peripheries=2"), 1);
    cr_assert(strstr(s, "label=\"2.5\\n[1,1]\""), "%s", s);
    free(s);
    s = ad_dot_graph(2, z);
    check_graph(s, 9, 9);
    cr_assert_eq(count(s, "peripheries=2"), 2);
    cr_assert(strstr(s, "a \\\"name\\\" [with] \\\\ and\\\\x0amore"), "%s", s);
    free(s);
    ad_free(t);
}

Test(dump, the_first_nan_is_found_with_its_operands)
{
    double nan2[2] = {1, NAN};
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), b = ad_input(t, "b", AD_BATCH, 2), n = ad_input(t, "n", 1, 2);
    bind(x, 1, -4, 0);
    bind(b, 3, 1, -0.5);
    ad_set(n, 1, nan2);
    ad_var inf = ad_exp(ad_mul(b, -1000)), two = ad_const(t, 1, 2, nan2);
    const struct {
        ad_var v;
        const char *say;
    } rows[] = {
        {ad_exp(ad_add(ad_sqrt(x), b)), "ad_sqrt (node #) is NaN: its operand is -4 from input \"x\""},
        {ad_sum(ad_log(ad_add(b, 0.25))), "ad_log (node #) is NaN in row 1, column 1: its operand is -0.25 "
                                          "from ad_add (node #)"},
        {ad_mul(n, b), "input \"n\" is NaN in row 0, column 1: ad_set gave it so"},
        {ad_add(two, x), "constant (node #) is NaN in row 0, column 1"},
        {ad_sub(inf, inf), "ad_sub (node #) is NaN in row 2, column 0: operand 1 is inf from ad_exp (node #) "
                           "and operand 2 is inf from ad_exp (node #)"},
        {ad_mul(inf, 0.5), NULL},
        {ad_matmul(inf, ad_const(t, 2, 1, (double[]){1, -1})),
         "ad_matmul (node #) is NaN in row 2, column 0: operand 1 is ad_exp (node #) [B,2] with inf in row "
         "2, "
         "column 0 and operand 2 is constant (node #) [2,1] between -1 and 1"},
        {ad_pow(x, 0.5), "ad_pow (node #) is NaN: operand 1 is -4 from input \"x\" and operand 2 is 0.5"},
        {ad_num(NAN), NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *s = ad_first_nan(rows[i].v);
        cr_assert_eq(ad_status(t), AD_OK, "%zu: %s", i, ad_message(t));
        if (s) /* the order in which operands are recorded is the compiler's */
            for (char *c = strstr(s, "(node "); c; c = strstr(c + 1, "(node ")) {
                size_t digits = strspn(c + 6, "0123456789");
                c[6] = '#';
                memmove(c + 7, c + 6 + digits, strlen(c + 6 + digits) + 1);
            }
        if (rows[i].say)
            cr_assert_str_eq(s ? s : "none", rows[i].say);
        else
            cr_assert_null(s, "%s", s);
        free(s);
    }
    cr_assert_null(ad_first_nan(ad_sin(ad_input(t, "unbound", 1, 1))));
    cr_assert_eq(ad_status(t), AD_EUNBOUND);
    ad_free(t);
}

Test(dump, every_allocation_may_fail)
{
    for (int which = 0; which < 4; which++)
        for (long k = 1;; k++) {
            ad_tape *t = ad_new();
            ad_var x = ad_input(t, "x", 2, 2), y = ad_sum(ad_sqrt(ad_matmul(x, ad_transpose(x))));
            bind(x, 2, -1, 0.7);
            failalloc_arm(k, 1);
            char *s = which == 3 ? ad_first_nan(y) : which == 2 ? ad_dot_graph(1, &y) : ad_dump(1, &y, which);
            long asked = failalloc_disarm();
            /* a value that could not be had is told in the text; otherwise the tape has the error */
            cr_assert(s || ad_status(t) == AD_ENOMEM, "%d, %ld", which, k);
            free(s);
            ad_free(t);
            if (asked < k)
                break;
        }
}

/* Calls, loops, roots, callbacks ------------------------------------------------------------------------ */

static int halve(void *user, int nin, const double *const in[], const int in_rows[], const int in_cols[],
                 double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols;
    for (int i = 0; i < rows * cols; i++)
        out[i] = in[0][i] / 2;
    return 0;
}

typedef struct objects {
    ad_tape *t;
    ad_func *f, *body, *F;
    ad_var x, k, call[2], z, collected, root, custom;
} objects;

static void three_steps(objects *o)
{
    ad_scan(o->t, &(ad_scan_spec){.f = o->body,
                                  .count = 3,
                                  .ncarry = 1,
                                  .nstep = 1,
                                  .ncollect = 1,
                                  .carry = &o->x,
                                  .per_step = &o->k,
                                  .carry_out = &o->z,
                                  .collected = &o->collected});
}

/* x [1,2]: log(x+1), x^2 by a call; three steps of x <- sin(x k), of which sum x is collected; the root of y^2 + y - x;
 * x/2 by a callback. */
static objects objects_new(void)
{
    objects o = {.t = ad_new()};
    o.x = ad_input(o.t, "x", 1, 2);
    o.k = ad_input(o.t, "k", 1, 6);
    ad_var y = ad_input(o.t, "y", 1, 2), s = ad_input(o.t, "s", 1, 2);
    ad_var two[2] = {ad_log(ad_add(o.x, 1)), ad_square(o.x)}, step[2] = {ad_sin(ad_mul(o.x, s)), ad_sum(o.x)};
    ad_var residual = ad_sub(ad_add(ad_square(y), y), o.x);
    o.f = ad_func_new(1, &o.x, 2, two);
    o.body = ad_func_new(2, (ad_var[]){o.x, s}, 2, step);
    o.F = ad_func_new(2, (ad_var[]){y, o.x}, 1, &residual);
    ad_call(o.t, o.f, &o.x, o.call);
    three_steps(&o);
    o.root = ad_root(o.t, o.F, o.x, 1, &o.x, NULL);
    o.custom = ad_custom(o.t, &(ad_callback){.name = "halve", .value = halve}, 1, &o.x, 1, 2);
    cr_assert_eq(ad_status(o.t), AD_OK, "%s", ad_message(o.t));
    return o;
}

static void objects_free(objects *o)
{
    ad_func_free(o->f);
    ad_func_free(o->body);
    ad_func_free(o->F);
    ad_free(o->t);
}

Test(dump, calls_loops_roots_and_callbacks_are_shown_with_their_results)
{
    static const char *const lines[] = {
        " call(x) ",     "2 results\n", "result 1 of %",        "scan of 3 steps(x, k) ",
        "result 2 of %", "root(x, x) ", "custom \"halve\"(x) ", "1 result\n",
        "[0.25 0.5]"};
    static const char *const labels[] = {"label=\"call\\n2 results\"", "label=\"result 2\\n[1,2]\"",
                                         "label=\"scan\\n2 results\"", "label=\"custom\\n1 result\""};
    objects o = objects_new();
    ad_set(o.x, 1, (double[]){.5, 1});
    ad_set(o.k, 1, (double[]){1, 2, 3, 4, 5, 6});
    ad_var all[6] = {o.call[0], o.call[1], o.z, o.collected, o.root, o.custom};
    char *text = ad_dump(6, all, 1), *graph = ad_dot_graph(6, all);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_assert(strstr(text, lines[i]), "no \"%s\" in\n%s", lines[i], text);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        cr_assert(strstr(graph, labels[i]), "no \"%s\" in\n%s", labels[i], graph);
    free(text);
    free(graph);
    for (int i = 0; i < 6; i++) { /* no text that could be read back */
        cr_assert_null(ad_print(all[i]));
        cr_assert_eq(ad_status(o.t), AD_EUNSUPPORTED, "%s", ad_message(o.t));
        cr_assert_str_eq(ad_message(o.t), "ad_print: result has no text that ad_parse reads");
        ad_clear(o.t);
    }
    objects_free(&o);
}

Test(dump, the_first_nan_of_a_call_or_loop_is_named_with_its_result)
{
    objects o = objects_new();
    ad_set(o.k, 1, (double[]){1, 2, 3, 4, 5, 6});
    ad_set(o.x, 1, (double[]){1, -3});
    char *s = ad_first_nan(ad_sum(ad_concat_cols(2, o.call)));
    cr_assert(s && strstr(s, "result 1 of ad_call (node ") && strstr(s, " is NaN in row 0, column 1") &&
                  strstr(s, "its operand is input \"x\" [1,2] between -3 and 1"),
              "%s", s ? s : ad_message(o.t));
    free(s);
    ad_set(o.x, 1, (double[]){1, INFINITY});
    s = ad_first_nan(o.z);
    cr_assert(s && strstr(s, "result 1 of ad_scan (node ") &&
                  strstr(s, "operand 1 is input \"x\" [1,2] with inf in row 0, column 1"),
              "%s", s ? s : ad_message(o.t));
    free(s);
    ad_set(o.x, 1, (double[]){1, NAN});
    s = ad_first_nan(o.custom);
    cr_assert(s && strstr(s, "input \"x\" is NaN"), "%s", s ? s : ad_message(o.t));
    free(s);
    objects_free(&o);
}

/* A call costs what its nodes cost, a loop so many times its body; the tape counts their nodes' memory. */
Test(dump, reports_count_what_calls_and_loops_run)
{
    objects o = objects_new();
    ad_report called, written, loop, once;
    ad_var step[2];
    ad_program *p[4] = {ad_compile(o.t, 1, &o.x, 2, o.call, &(ad_options){.opt = AD_OPT_NONE}),
                        ad_compile(o.t, 1, &o.x, 2, o.call, NULL),
                        ad_compile(o.t, 2, (ad_var[]){o.x, o.k}, 1, &o.collected, NULL), NULL};
    ad_call(o.t, o.body, (ad_var[]){o.x, ad_cols_of(o.k, 0, 2)}, step);
    p[3] = ad_compile(o.t, 2, (ad_var[]){o.x, o.k}, 2, step, NULL);
    ad_report *r[4] = {&called, &written, &loop, &once};
    for (int i = 0; i < 4; i++) {
        cr_assert(p[i], "%s", ad_message(o.t));
        ad_program_report(p[i], r[i]);
        ad_program_free(p[i]);
    }
    cr_assert_eq(written.flops, 2 + 2 * 10 + 2); /* add, log, square of two numbers */
    cr_assert_eq(called.flops, written.flops);
    cr_assert_eq(loop.flops, 3 * once.flops);
    cr_assert(loop.work_bytes >= 2 * 2 * (long)sizeof(double));
    size_t before = ad_bytes(o.t);
    for (int i = 0; i < 1000; i++)
        three_steps(&o);
    cr_assert_geq(ad_bytes(o.t), before + 1000 * 100);
    objects_free(&o);
}
