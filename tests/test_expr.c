/* test_expr.c - expressions: precedence, functions, sums recorded once, and errors that point at the place. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* q [1,4], p [1,4], m and x [1,1], A [2,3], k a number 3. */
typedef struct {
    ad_tape *t;
    ad_var v[6];
} given;
static const char *const names[] = {"q", "p", "m", "x", "A", "k"};
static const double Q[] = {0.5, -1.25, 2, 0.75}, P[] = {1, 2, -3, 0.5}, M = 1.5, X = 0.7,
                    A[] = {1, 2, 3, 4, 5, 6};

static given setup(void)
{
    given g = {.t = ad_new()};
    g.v[0] = ad_input(g.t, "q", 1, 4);
    g.v[1] = ad_input(g.t, "p", 1, 4);
    g.v[2] = ad_input(g.t, "m", 1, 1);
    g.v[3] = ad_input(g.t, "x", 1, 1);
    g.v[4] = ad_input(g.t, "A", 2, 3);
    g.v[5] = ad_num(3);
    ad_set(g.v[0], 1, Q);
    ad_set(g.v[1], 1, P);
    ad_set(g.v[2], 1, &M);
    ad_set(g.v[3], 1, &X);
    ad_set(g.v[4], 2, A);
    return g;
}

static ad_var parsed(given *g, const char *text) { return ad_parse(g->t, text, 6, names, g->v); }

typedef struct {
    const char *text;
    double value;
} row;

static void check(const row r[], int n)
{
    given g = setup();
    for (int i = 0; i < n; i++) {
        double y = ad_scalar(parsed(&g, r[i].text));
        /* a handful of roundings, and elementary functions within 2 ulp */
        cr_expect(fabs(y - r[i].value) <= 1e-14 * (1 + fabs(r[i].value)), "%s = %.17g, not %.17g %s",
                  r[i].text, y, r[i].value, ad_message(g.t));
        ad_clear(g.t);
    }
    ad_free(g.t);
}

Test(expr, operators_bind_as_in_mathematics)
{
    const row r[] = {
        {"1+2*3", 7},
        {"(1+2)*3", 9},
        {"2*3+1", 7},
        {"10-4-3", 3},
        {"24/4/3", 2},
        {"2^3^2", 512},
        {"-2^2", -4},
        {"(-2)^2", 4},
        {"2^-1", 0.5},
        {"-2^-2", -0.25},
        {"2*-3", -6},
        {"2--3", 5},
        {"--3", 3},
        {"+3", 3},
        {"2^-1*4", 2},
        {"-x^2", -X * X},
        {"2*x^2", 2 * X * X},
        {"-x*m", -X * M},
        {"x-m-1", X - M - 1},
        {"x/m/2", X / M / 2},
        {"x^m^2", pow(X, M * M)},
        {"(x^m)^2", pow(pow(X, M), 2)},
        {"2^-x", pow(2, -X)},
        {"1e3", 1000},
        {"1.5e-3", 0.0015},
        {".5", 0.5},
        {"2.", 2},
        {"1E+2", 100},
        {" 1 +\n\t2 ", 3},
        {"pi", 3.14159265358979323846},
        {"n", 4},
        {"k*n", 12},
        {"x^2/(2*m)+1-cos(x)", X * X / (2 * M) + 1 - cos(X)},
        {"a = x+1; b = a*a; b-a", (X + 1) * (X + 1) - (X + 1)},
        {"(((((x)))))", X},
        {"[1,2;3,4][2,1]", 3},
    };
    check(r, COUNT(r));
}

Test(expr, numbers_are_the_nearest_doubles_in_every_locale)
{
    static const row r[] = {
        {"0.1", 0.1},
        {"123456789012345678", 123456789012345678.},
        {"4.9406564584124654e-324", 4.9406564584124654e-324},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"0.00000000000000000000000000012345", 1.2345e-28},
        {"9007199254740993", 9007199254740992.},
        {"9007199254740993.00000000000000000000000001", 9007199254740994.},
        {"2.2250738585072011e-308", 2.2250738585072011e-308},
        {"0", 0},
        {"000.5e0001", 5},
        {"1e-400", 0},
    };
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    ad_tape *t = ad_new();
    for (int l = 0; l < COUNT(locales); l++) {
        if (!setlocale(LC_ALL, locales[l]))
            continue;
        for (int i = 0; i < COUNT(r); i++)
            cr_expect_eq(ad_scalar(ad_parse(t, r[i].text, 0, NULL, NULL)), r[i].value, "%s", r[i].text);
    }
    setlocale(LC_ALL, "C");
    ad_free(t);
    /* half an ulp above 1, and then a one after 1,000 zeros: rounds up */
    char text[1200] = "1.00000000000000011102230246251565404236316680908203125";
    size_t n = strlen(text);
    memset(text + n, '0', 1000);
    t = ad_new();
    cr_expect_eq(ad_scalar(ad_parse(t, text, 0, NULL, NULL)), 1.0);
    strcpy(text + n + 1000, "1");
    cr_expect_eq(ad_scalar(ad_parse(t, text, 0, NULL, NULL)), 1 + 0x1p-52);
    ad_free(t);
}

Test(expr, functions_have_the_names_of_the_operations)
{
    const row r[] = {
        {"sin(x)", sin(X)},
        {"cos(x)", cos(X)},
        {"sqrt(x)", sqrt(X)},
        {"abs(-x)", X},
        {"exp(x)", exp(X)},
        {"log(x)", log(X)},
        {"tanh(x)", tanh(X)},
        {"atan2(x,m)", atan2(X, M)},
        {"hypot(x,m)", hypot(X, M)},
        {"min(x,m)", X},
        {"max(x,m)", M},
        {"pow(x,m)", pow(X, M)},
        {"where(lt(x,m),x,m)", X},
        {"le(x,x)", 1},
        {"eq(x,m)", 0},
        {"add(x,m)", X + M},
        {"sub(x,m)", X - M},
        {"sum(q)", 2},
        {"norm([3,4])", 5},
        {"mean(q)", 0.5},
        {"logsumexp([0,0])", log(2)},
        {"dot(q,p)", 0.5 - 2.5 - 6 + 0.375},
        {"sum(matmul(A,transpose(A)))", 14 + 2 * 32 + 77},
        {"sum(gather_cols(q,0,2))", 2.5},
        {"sum(cols_of(q,1,2))", 0.75},
        {"sum(concat_cols(q,x,m))", 2 + X + M},
        {"trace(eye(3))", 3},
        {"sum(reshape(A,3,2)[3,1])", 5},
        {"A[2,3]", 6},
        {"q[n]", 0.75},
        {"q[n-1]", 2},
        {"q[(k+1)/2]", -1.25},
        {"matmul(2,3)", 6},
        {"sum(scatter_cols(q,2,0,0,1,1)[1])", -0.75},
        {"norm(q-q)", 0},
    };
    check(r, COUNT(r));
    given g = setup();
    for (int i = 0; i < ad_op_count(); i++) { /* each elementwise operation of the table is known */
        ad_op_info op;
        char text[80];
        cr_assert_eq(ad_op_at(i, &op), AD_OK);
        if (!op.parsed)
            continue;
        snprintf(text, sizeof text, "%s(%s)", op.name, op.arity == 1 ? "x" : op.arity == 2 ? "x,m" : "x,m,q");
        cr_expect(!ad_is_void(parsed(&g, text)), "%s: %s", text, ad_message(g.t));
        ad_clear(g.t);
    }
    ad_free(g.t);
}

Test(expr, sums_over_ranges_pairs_and_sums)
{
    double chain = 0, pairs = 0, square = 0, tri = 0, product = 1, nested = 0, deep = 0;
    for (int i = 0; i < 4; i++) {
        double row_product = 1;
        chain += P[i] * P[i] / 2 + (i < 3 ? (Q[i + 1] - Q[i]) * (Q[i + 1] - Q[i]) / 2 : 0);
        product *= Q[i];
        for (int j = 0; j < 4; j++) {
            square += Q[i] * P[j] * (j + 1);
            tri += j > i ? cos(Q[i] - Q[j]) : 0;
            pairs += j > i ? 1 / fabs(Q[i] - Q[j]) : 0;
            row_product *= j >= i ? P[j] : 1;
            for (int k = 0; k < 4; k++)
                deep += k <= j ? Q[i] * P[j] * Q[k] : 0;
        }
        nested += Q[i] * row_product;
    }
    const row r[] = {
        {"sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2)", chain},
        {"sum(i<j, 1/abs(q[i]-q[j]))", pairs},
        {"sum(i=1..n, sum(j=1..n, q[i]*p[j]*j))", square},
        {"sum(i=1..n, q[i]*sum(j=1..n, p[j]*j))", square},
        {"sum(i=1..n, sum(j=i+1..n, cos(q[i]-q[j])))", tri},
        {"sum(i=1..n, sum(j=1..n, sum(k=1..j, q[i]*p[j]*q[k])))", deep},
        {"prod(i=1..n, q[i])", product},
        {"prod(i=1..n-1, q[i])", product / Q[3]},
        {"prod(i=1..5, i)", 120},
        {"sum(i=1..n, q[i]*prod(j=i..n, p[j]))", nested},
        {"sum(i=1..n, prod(j=i+1..n, j))", 24 + 12 + 4 + 1},
        {"sum(i=1..n, 1)", 4},
        {"sum(i=1..n, x)", 4 * X},
        {"prod(i=1..n, x)", X * X * X * X},
        {"sum(i=1..10, i)", 55},
        {"sum(i=2..2, q[i])", Q[1]},
        {"sum(i=3..2, q[i+7])", 0},
        {"prod(i=3..2, q[i+7]*sum(j=1..n,j))", 1},
        {"sum(i=1..n, sum(j=1..i, 1))", 10},
        {"sum(i=1..n, sum(j=1..i, q[i]))", Q[0] + 2 * Q[1] + 3 * Q[2] + 4 * Q[3]},
        {"sum(i=1..n, q[n+1-i]*i)", 4 * Q[0] + 3 * Q[1] + 2 * Q[2] + Q[3]},
        {"sum(i=1..n/2, q[2*i])", Q[1] + Q[3]},
        {"sum(i=1..2, sum(j=1..3, A[i,j]))", 21},
        {"sum(i=1..n, norm(q)*q[i])", 2 * sqrt(0.25 + 1.5625 + 4 + 0.5625)},
        {"c = q*2; sum(i=1..n, where(lt(c[i],0), 0, c[i]))", 2 * (Q[0] + Q[2] + Q[3])},
        {"sum(i=-1..1, i^2)", 2},
        {"N = 3; sum(i=1..N, i)", 6},
        {"sum(i=1..k, i)", 6},
    };
    check(r, COUNT(r));
}

Test(expr, a_chain_of_any_length_has_the_same_nodes_and_its_value)
{
    static const int size[] = {3, 10, 1000, 20000};
    int32_t nodes[COUNT(size)];
    for (int s = 0; s < COUNT(size); s++) {
        int n = size[s];
        ad_tape *t = ad_new();
        ad_var q = ad_input(t, "q", 1, n), p = ad_input(t, "p", 1, n);
        double *x = malloc(sizeof *x * (size_t)n), *y = malloc(sizeof *y * (size_t)n), h = 0;
        for (int i = 0; i < n; i++) {
            x[i] = sin(0.3 * i);
            y[i] = cos(0.7 * i);
        }
        for (int i = 0; i < n; i++)
            h += y[i] * y[i] / 2 + (i + 1 < n ? (x[i + 1] - x[i]) * (x[i + 1] - x[i]) / 2 : 0);
        ad_set(q, 1, x);
        ad_set(p, 1, y);
        ad_var H = ad_expr(t, "sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2)", q, p);
        nodes[s] = ad_nodes(t);
        cr_expect_eq(nodes[s], nodes[0], "%d nodes for n = %d", nodes[s], n);
        cr_expect(fabs(ad_scalar(H) - h) < 1e-13 * n, "%.17g %.17g %s", ad_scalar(H), h,
                  ad_message(t)); /* n roundings */
        free(x);
        free(y);
        ad_free(t);
    }
    cr_expect_lt(nodes[0], 20);
}

Test(expr, pairs_are_recorded_once)
{
    int32_t nodes[2];
    for (int s = 0; s < 2; s++) {
        ad_tape *t = ad_new();
        ad_var q = ad_input(t, "q", 1, s ? 300 : 5);
        ad_expr(t, "sum(i<j, 1/abs(q[i]-q[j])) + sum(i=1..n, sum(j=1..n, sin(q[i]-q[j])))", q);
        cr_expect_eq(ad_status(t), AD_OK, "%s", ad_message(t));
        nodes[s] = ad_nodes(t);
        ad_free(t);
    }
    cr_expect_eq(nodes[0], nodes[1]);
}

Test(expr, rows_of_a_batch_are_summed_each_for_itself)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", AD_BATCH, 3),
           H = ad_expr(t, "sum(i<j, q[i]*q[j]) + prod(i=1..n, q[i]) + sum(i=1..n, prod(j=1..i, q[j]))", q);
    static const double x[] = {1, 2, 3, 4, 5, 6};
    ad_set(q, 2, x);
    const double *y = ad_value(H);
    cr_assert(y, "%s", ad_message(t));
    cr_expect_eq(y[0], 11 + 6 + 1 + 2 + 6);
    cr_expect_eq(y[1], 74 + 120 + 4 + 20 + 120);
    ad_free(t);
}

Test(expr, errors_name_the_column_and_point_at_it)
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

Test(expr, a_message_shows_the_text_with_a_caret)
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

Test(expr, malformed_and_huge_texts_end_in_one_error)
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
            ad_free(g.t);
            free(text);
        }
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

Test(expr, names_given_to_the_parser_are_checked)
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

Test(expr, printed_text_reads_back_to_the_same_node)
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

Test(expr, no_memory_at_any_moment_is_an_error_and_not_a_crash)
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
