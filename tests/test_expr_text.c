/* test_expr_text.c - errors of expressions point at the place; printed text reads back. */
/* SPDX-License-Identifier: MIT */
#include "expr_test.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(expr_text, errors_name_the_column_and_point_at_it)
{
    static const struct {
        const char *text;
        int status, column;
        const char *says;
    } r[] = {
        {"p^2 + z", AD_ENAME, 7, "unknown name \"z\""},
        {"", AD_EPARSE, 1, "found the end"},
        {"  ", AD_EPARSE, 3, "found the end"},
        {"1+", AD_EPARSE, 3, "found the end"},
        {"(1", AD_EPARSE, 3, "to close \"(\""},
        {"1)", AD_EPARSE, 2, "found \")\""},
        {"1 2", AD_EPARSE, 3, "expected an operator, found \"2\""},
        {"2 x", AD_EPARSE, 3, "found \"x\""},
        {"foo(x)", AD_ENAME, 1, "unknown function \"foo\""},
        {"x(2)", AD_ENAME, 1, "unknown function \"x\""},
        {"1+sin()", AD_EPARSE, 7, "too few arguments: sin takes 1"},
        {"sin(x,m)", AD_EPARSE, 6, "too many arguments: sin takes 1"},
        {"atan2(x)", AD_EPARSE, 8, "atan2 takes 2"},
        {"sin(x", AD_EPARSE, 6, "found the end"},
        {"q[5]", AD_EPARSE, 3, "element 5 of 4"},
        {"q[0]", AD_EPARSE, 3, "element 0 of 4"},
        {"1 + q[x]", AD_EPARSE, 7, "not an integer constant"},
        {"q[1.5]", AD_EPARSE, 3, "integer"},
        {"q[1", AD_EPARSE, 4, "to close \"[\""},
        {"sum(i=1..n, q[i+1])", AD_EPARSE, 15, "element 5 of 4"},
        {"sum(i=1..n, q)", AD_ESHAPE, 13, "a vector of 4"},
        {"sum(i=1..n, q[i]*q)", AD_ESHAPE, 17, "write its element"},
        {"sum(i=1..n, norm(q[i]))", AD_EPARSE, 18, "needs a whole value"},
        {"sum(i=1,n, q[i])", AD_EPARSE, 8, "of \"..\""},
        {"sum(i=1..n q[i])", AD_EPARSE, 12, "after the range"},
        {"sum(i<i, 1)", AD_ENAME, 7, "same index"},
        {"sum(i=1..n, sum(i=1..n, 1))", AD_ENAME, 17, "index already"},
        {"i", AD_ENAME, 1, "unknown name"},
        {"sum(i=1..n, q[i]) + i", AD_ENAME, 21, "unknown name"},
        {"prod(q)", AD_EPARSE, 1, "prod needs an index"},
        {"a = 1; a = 2; a", AD_ENAME, 8, "defined twice"},
        {"x = 1; x", AD_ENAME, 1, "defined twice"},
        {"a = 1;", AD_EPARSE, 7, "found the end"},
        {"a = 1", AD_EPARSE, 6, "\";\""},
        {"1; 2", AD_EPARSE, 2, "a name and \"=\""},
        {"1e", AD_EPARSE, 2, ""},
        {"1e+", AD_EPARSE, 2, "exponent"},
        {"1e999", AD_EPARSE, 1, "too large"},
        {"x + $", AD_EPARSE, 5, "found \"$\""},
        {"x \xc2\xb2", AD_EPARSE, 3, "found \"\xc2\xb2\""},
        {"x + \x01", AD_EPARSE, 5, "control character"},
        {"q + [1,2,3]", AD_ESHAPE, 3, "[1,4] with [1,3]"},
        {"[1,2;3]", AD_EPARSE, 7, "differ in length"},
        {"[x]", AD_EPARSE, 2, "must be numbers"},
        {"sum(i=1..100000, sum(j=1..100000, 1))", AD_EPARSE, 22, "terms"},
        {"x x", AD_EPARSE, 3, ""},
        {"3[1]", AD_EPARSE, 1, "no elements"},
        {"..", AD_EPARSE, 1, ""},
        {"x**2", AD_EPARSE, 3, "found \"*\""},
    };
    for (int i = 0; i < COUNT(r); i++) {
        given g = setup();
        ad_var y = parsed(&g, r[i].text);
        char start[40];
        snprintf(start, sizeof start, "ad_parse: column %d: ", r[i].column);
        cr_expect(ad_is_void(y), "%s", r[i].text);
        cr_expect_eq(ad_status(g.t), r[i].status, "%s: %s", r[i].text, ad_message(g.t));
        cr_expect(strncmp(ad_message(g.t), start, strlen(start)) == 0 && strstr(ad_message(g.t), r[i].says),
                  "%s: %s", r[i].text, ad_message(g.t));
        ad_clear(g.t);
        cr_expect_eq(ad_scalar(parsed(&g, "x+1")), X + 1); /* the tape goes on */
        ad_free(g.t);
    }
}

Test(expr_text, a_message_shows_the_text_with_a_caret)
{
    given g = setup();
    parsed(&g, "p^2 + z");
    cr_expect_str_eq(ad_message(g.t), "ad_parse: column 7: unknown name \"z\"\n  p^2 + z\n        ^");
    ad_clear(g.t);
    char text[400];
    memset(text, 0, sizeof text);
    for (int i = 0; i < 80; i++)
        strcat(text, "x + ");
    memcpy(text + 200, "z", 1);
    parsed(&g, text);
    const char *m = ad_message(g.t), *line = strchr(m, '\n') + 1, *caret = strrchr(m, '\n') + 1;
    cr_expect(strncmp(m, "ad_parse: column 201:", 21) == 0, "%s", m);
    cr_expect_eq(line[strcspn(caret, "^")], 'z', "%s", m);
    cr_expect_eq(caret - 1 - line, 2 + 3 + 60 + 3, "%s", m);
    ad_free(g.t);
}

Test(expr_text, malformed_and_huge_texts_end_in_one_error)
{
    static const char *const unit[] = {"(",  "-",     "2^", "sin(", "1+(", "q[",  "sum(i=1..n,",
                                       "x+", "((x)+", "a=", "[",    "1,",  "q[(", "q[-"};
    static const int count[] = {100000, 3000000};
    for (int u = 0; u < COUNT(unit); u++)
        for (int c = 0; c < COUNT(count); c++) {
            size_t w = strlen(unit[u]), n = w * (size_t)count[c];
            char *text = malloc(n + 1);
            for (size_t i = 0; i < n; i++)
                text[i] = unit[u][i % w];
            text[n] = 0;
            given g = setup();
            cr_expect(ad_is_void(parsed(&g, text)));
            cr_expect(ad_status(g.t) == AD_EPARSE || ad_status(g.t) == AD_ENAME, "%s: %s", unit[u],
                      ad_message(g.t));
            cr_expect_lt(strlen(ad_message(g.t)), 399);
            ad_clear(g.t);
            cr_expect_eq(ad_scalar(parsed(&g, "x+1")), X + 1, "%s: the tape goes on", unit[u]);
            ad_free(g.t);
            free(text);
        }
    /* 100,000 parentheses that do close: one error that says so, or the value */
    enum { DEEP = 100000 };
    char *nested = malloc(2 * DEEP + 2);
    memset(nested, '(', DEEP), memset(nested + DEEP + 1, ')', DEEP);
    nested[DEEP] = 'x', nested[2 * DEEP + 1] = 0;
    given h = setup();
    ad_var y = parsed(&h, nested);
    cr_expect(ad_is_void(y) ? ad_status(h.t) == AD_EPARSE && strstr(ad_message(h.t), "column")
                            : ad_scalar(y) == X,
              "%s", ad_message(h.t));
    ad_clear(h.t);
    cr_expect_eq(ad_scalar(parsed(&h, "x+1")), X + 1);
    ad_free(h.t);
    free(nested);
    /* every piece of a good text: an error or a value, never a crash */
    const char *good =
        "a = [1,2;3,4]; sum(i<j, q[i]*q[j+0]) + prod(k2=1..n-1, p[k2]^-2) * where(le(x,m),a[1,2],1e-3)";
    size_t n = strlen(good);
    for (size_t i = 0; i < n; i++) {
        char piece[200];
        given g = setup();
        snprintf(piece, sizeof piece, "%.*s%s", (int)i, good, good + i + 1); /* one character left out */
        parsed(&g, piece);
        ad_clear(g.t);
        snprintf(piece, sizeof piece, "%.*s", (int)i, good);
        parsed(&g, piece);
        ad_free(g.t);
    }
}

Test(expr_text, names_given_to_the_parser_are_checked)
{
    given g = setup();
    const ad_var two[] = {g.v[2], g.v[3]};
    static const struct {
        const char *names;
        int status;
    } r[] = {{"m, x", AD_OK},   {" m ,x ", AD_OK},   {"m", AD_EARG},        {"m,x,y", AD_EARG},
             {"x,x", AD_ENAME}, {"m, 2x", AD_ENAME}, {"m, f(x)", AD_ENAME}, {"m,", AD_EARG}};
    for (int i = 0; i < COUNT(r); i++) {
        ad_parse_named(g.t, "x*2", r[i].names, 2, two);
        cr_expect_eq(ad_status(g.t), r[i].status, "%s: %s", r[i].names, ad_message(g.t));
        ad_clear(g.t);
    }
    cr_expect(ad_is_void(ad_parse(NULL, "1", 0, NULL, NULL)));
    cr_expect(ad_is_void(ad_parse(g.t, NULL, 0, NULL, NULL)));
    cr_expect_eq(ad_status(g.t), AD_EARG);
    ad_clear(g.t);
    given other = setup();
    cr_expect(ad_is_void(ad_parse(g.t, "x", 6, names, other.v)));
    cr_expect_eq(ad_status(g.t), AD_ETAPE, "%s", ad_message(g.t));
    cr_expect(ad_is_void(parsed(&g, "1"))); /* a tape with an error stays so */
    ad_free(g.t);
    ad_free(other.t);
}

Test(expr_text, printed_text_reads_back_to_the_same_node)
{
    static const char *const text[] = {
        "x",
        "2^-x",
        "-x^2",
        "(-x)^2",
        "x-(m-1)",
        "x/(m*x)",
        "x/m*x",
        "-(x+m)",
        "x - -m",
        "x*(-m)",
        "(x^m)^x",
        "x^m^x",
        "x^(-2)",
        "-2.5*x",
        "1e-300*x+0.1",
        "x^2/(2*m)+1-cos(x)",
        "a = sin(x)*m; a*a + a^3 - exp(a)",
        "where(lt(x,m), min(x,m), x)",
        "sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2)",
        "sum(i<j, 1/abs(q[i]-q[j]))",
        "sum(i=1..n, sum(j=i+1..n, q[i]*j))",
        "prod(i=1..n, q[i])",
        "sum(matmul(A, transpose(A)))",
        "matmul_tt(A, [1,2;3,4;5,6])",
        "pad(A,1,2,3,4)",
        "concat_cols(q,p,[1,2])",
        "scatter_cols(q,3,0,0,1,2)",
        "reshape(A,3,2)",
        "add_n(x,m,x*m)",
        "slice(A,1,1,1,2)",
        "logsumexp(q)",
        "stop(x)",
        "q+expand(x,3,4)*1",
        "solve(eye(2)+[1,2;2,5], [1;2])",
        "row_solve([1,2,3,5],[1,2],2,1)",
        "row_trisolve([1,0,3,5],[1,2],2,1,1)",
        "norm(A)",
    };
    given g = setup();
    for (int l = 0; l < 2; l++) {
        if (l && !setlocale(LC_ALL, "de_DE.UTF-8"))
            break;
        for (int i = 0; i < COUNT(text); i++) {
            ad_var y = parsed(&g, text[i]);
            char *s = ad_print(y);
            ad_var z = s ? parsed(&g, s) : y;
            char *again = ad_print(z);
            cr_expect(s && again && strcmp(s, again) == 0, "%s: %s %s", text[i], s ? s : "", ad_message(g.t));
            if (parsed(&g, text[i]).id == y.id) /* the tape shares what it has recorded lately */
                cr_expect_eq(z.id, y.id, "%s: %s", text[i], s);
            free(again);
            free(s);
            ad_clear(g.t);
        }
    }
    setlocale(LC_ALL, "C");
    ad_var deep = g.v[3], wide = g.v[3]; /* nested and shared: the text stays short */
    for (int i = 0; i < 3000; i++) {
        deep = ad_sin(deep);
        wide = ad_add(ad_mul(wide, wide), ad_num(i % 7));
        if (i > 500)
            wide = g.v[3];
    }
    const ad_var both[] = {deep, wide};
    for (int i = 0; i < 2; i++) {
        char *s = ad_print(both[i]);
        cr_assert(s && strlen(s) < 100000, "%s", ad_message(g.t));
        ad_var z = parsed(&g, s);
        cr_expect(!ad_is_void(z), "%s", ad_message(g.t));
        cr_expect_eq(ad_scalar(z), ad_scalar(both[i]));
        free(s);
    }
    cr_expect_null(ad_print(parsed(&g, "x*unknown")));
    ad_clear(g.t);
    cr_expect_null(ad_print(ad_mul(g.v[3], ad_num(INFINITY))));
    cr_expect_eq(ad_status(g.t), AD_EUNSUPPORTED, "%s", ad_message(g.t));
    ad_clear(g.t);
    ad_free(g.t);
    char *s = ad_print(ad_num(-0.1));
    cr_expect_str_eq(s, "(-0.1)");
    free(s);
}

static int all_of_it(void)
{
    ad_tape *t = ad_new();
    if (!t)
        return AD_ENOMEM;
    ad_var q = ad_input(t, "q", 1, 5);
    ad_var y = ad_expr(t,
                       "a = [1,2,3]; sum(i<j, q[i]*q[j]*i) + prod(i=1..n, q[i]) + sum(concat_cols(q,a)) + "
                       "sum(i=1..n, q[i]*sum(j=i..n, q[j]*prod(k=j..n, q[k]))) + sum(gather_cols(q,3,0))",
                       q);
    char *s = ad_print(y);
    int status = ad_status(t);
    cr_assert((s != NULL) == (status == AD_OK));
    free(s);
    ad_free(t);
    return status;
}

Test(expr_text, no_memory_at_any_moment_is_an_error_and_not_a_crash)
{
    long n = 1;
    for (;; n++) {
        failalloc_arm(n, 1);
        int status = all_of_it();
        long live = failalloc_live();
        if (failalloc_disarm() < n) {
            cr_expect_eq(status, AD_OK);
            break;
        }
        cr_expect_eq(status, AD_ENOMEM, "allocation %ld: %s", n, ad_status_name(status));
        cr_expect_eq(live, 0, "allocation %ld", n);
    }
    cr_expect_gt(n, 20);
}
