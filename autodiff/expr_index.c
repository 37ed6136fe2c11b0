/* expr_index.c - integers of expressions: indices, ranges, q[i+1], sum(i=1..n, ...), sum(i<j, ...).
 *
 * Invariant: inside a sum an index is a list with one integer for each term, so the body is recorded
 * once, on slices and gathers. A sum inside a sum lists the terms of both; its terms are added up by a
 * scatter into the elements of the sum outside.
 */
/* SPDX-License-Identifier: MIT */
#include "expr.h"

#include <limits.h>

struct ex_block {
    struct ex_block *before;
    int list[];
};

int *ad_ex_room(ex_parser *p, int n)
{
    struct ex_block *b = malloc(sizeof *b + sizeof(int) * ((size_t)n + 1));
    if (!b) {
        ad_ex_fail(p, p->at, AD_ENOMEM, "out of memory");
        return NULL;
    }
    b->before = p->blocks;
    p->blocks = b;
    return b->list;
}

void ad_ex_release(ex_parser *p, const struct ex_block *to)
{
    while (p->blocks != to) {
        struct ex_block *b = p->blocks;
        p->blocks = b->before;
        free(b);
    }
}

static int size(const ex_parser *p, int level) { return level ? p->axis[level - 1].n : 1; }

/* The element of level `to` that element k of level `from` belongs to. */
static int outside(const ex_parser *p, int from, int to, int k)
{
    for (; from > to; from--)
        k = to == 0 ? 0 : p->axis[from - 1].up[k];
    return k;
}

static int at(const ex_parser *p, ex_ints x, int level, int k)
{
    return x.level ? x.list[outside(p, level, x.level, k)] : x.one;
}

/* The index called `name` of an open sum, innermost first. */
int ad_ex_axis_index(const ex_parser *p, ex_name name, int *level, int **list)
{
    for (int a = p->axes - 1; a >= 0; a--)
        for (int i = 0; i < p->axis[a].names; i++)
            if (ad_ex_same(p->axis[a].name[i], name)) {
                *level = a + 1;
                *list = p->axis[a].value[i];
                return 1;
            }
    return 0;
}

static ex_ints one(int value) { return (ex_ints){0, value, NULL}; }

static ex_ints bad_index(ex_parser *p, const char *where, const char *what)
{
    ad_ex_fail(p, where, AD_EPARSE, "%s", what);
    return one(1);
}

static int integer(ad_var v, int *out)
{
    if (!ad_is_number(v) || !(v.value > -INT_MAX && v.value < INT_MAX) || v.value != (int)v.value)
        return 0;
    *out = (int)v.value;
    return 1;
}

static ex_ints index_name(ex_parser *p, ex_name name)
{
    ex_ints x = {0, 1, NULL};
    ad_var v;
    int shown = name.n < 60 ? name.n : 60;
    if (ad_ex_axis_index(p, name, &x.level, &x.list))
        return p->dry ? one(1) : x;
    if (!ad_ex_find(p, name, &v)) {
        ad_ex_fail(p, name.s, AD_ENAME, "unknown name \"%.*s\"", shown, name.s);
        return x;
    }
    if (!p->dry && !integer(v, &x.one)) {
        ad_ex_fail(p, name.s, AD_EPARSE, "\"%.*s\" is not an integer constant, and an index needs one", shown,
                   name.s);
        return x;
    }
    return x;
}

static ex_ints index_primary(ex_parser *p)
{
    const char *where = (ad_ex_peek(p), p->at);
    ex_name name = ad_ex_read_name(p);
    if (name.n > 0)
        return index_name(p, name);
    if (ad_ex_take(p, '(')) {
        ex_ints x = ad_ex_index(p, 1);
        ad_ex_expect(p, ')', "to close \"(\"");
        return x;
    }
    long long value = 0;
    if (*where < '0' || *where > '9')
        return bad_index(p, where, "an index needs an integer, or the name of one");
    for (; *p->at >= '0' && *p->at <= '9'; p->at++)
        if ((value = 10 * value + (*p->at - '0')) > INT_MAX)
            return bad_index(p, where, "this integer is too large");
    if (*p->at == '.' && p->at[1] != '.')
        return bad_index(p, where, "an index needs an integer");
    return one((int)value);
}

static ex_ints combine(ex_parser *p, char op, ex_ints a, ex_ints b, const char *where)
{
    ex_ints y = {a.level > b.level ? a.level : b.level, 1, NULL};
    if (p->failed || p->dry)
        return one(1);
    int n = size(p, y.level), *out = y.level ? (y.list = ad_ex_room(p, n)) : &y.one;
    for (int k = 0; out && k < n; k++) {
        long long u = at(p, a, y.level, k), v = at(p, b, y.level, k), w;
        if (op == '/' && (v == 0 || u % v != 0))
            return bad_index(p, where, "this division does not give an integer");
        w = op == '+' ? u + v : op == '-' ? u - v : op == '*' ? u * v : u / v;
        if (w > INT_MAX || w < -INT_MAX)
            return bad_index(p, where, "this integer is too large");
        out[k] = (int)w;
    }
    return y;
}

/* Integer arithmetic: 1 + -, 2 * /, 3 the sign. */
ex_ints ad_ex_index(ex_parser *p, int min)
{
    ex_ints x;
    char c = ad_ex_peek(p);
    const char *where = p->at;

    if (p->failed)
        return one(1);
    if (++p->depth > EX_DEPTH)
        return bad_index(p, where, "an index nested too deeply");
    if (c == '-' || c == '+') {
        p->at++;
        x = ad_ex_index(p, 3);
        x = c == '-' ? combine(p, '-', one(0), x, where) : x;
    } else
        x = index_primary(p);
    while (!p->failed) {
        c = ad_ex_peek(p);
        where = p->at;
        int tight = c == '+' || c == '-' ? 1 : c == '*' || c == '/' ? 2 : 0;
        if (tight == 0 || tight < min)
            break;
        p->at++;
        x = combine(p, c, x, ad_ex_index(p, tight + 1), where);
    }
    p->depth--;
    return x;
}

int ad_ex_integer(ex_parser *p, int *out)
{
    const char *where = (ad_ex_peek(p), p->at);
    ex_ints x = ad_ex_index(p, 1);
    if (!p->failed && x.level > 0)
        ad_ex_fail(p, where, AD_EPARSE, "this integer may not depend on the index of a sum");
    *out = x.one;
    return !p->failed;
}

/* Columns of x by a list of 0-based indices: itself, a block, or a gather. */
static ad_var columns(ad_var x, int n, const int list[])
{
    for (int k = 1; k < n; k++)
        if (list[k] != list[0] + k)
            return ad_gather_cols(x, n, list);
    return n == ad_cols(x) && list[0] == 0 ? x : ad_cols_of(x, list[0], n);
}

/* x[i], or x[i,j] of a matrix; the "[" is read. */
ex_value ad_ex_element(ex_parser *p, ex_value x, const char *where)
{
    struct ex_block *kept = p->blocks;
    const char *place[2] = {p->at, p->at};
    ex_ints i[2] = {{0, 1, NULL}, {0, 1, NULL}};
    int two;

    i[1] = ad_ex_index(p, 1);
    if ((two = ad_ex_take(p, ','))) {
        place[1] = p->at;
        i[0] = i[1];
        i[1] = ad_ex_index(p, 1);
    }
    if (!ad_ex_expect(p, ']', "to close \"[\"") || p->dry)
        return (ex_value){p->failed ? p->bad : ad_num(0), 0};
    if (ad_is_number(x.v) || x.level > 0)
        return ad_ex_fail(p, where, AD_EPARSE, "a number has no elements");
    int cols = ad_cols(x.v), rows = two ? ad_rows(x.v) : 1,
        level = i[0].level > i[1].level ? i[0].level : i[1].level;
    if (rows < 1)
        return ad_ex_fail(p, where, AD_ESHAPE, "a batch of rows has no element [i,j]: write [j]");
    int n = size(p, level), *list = ad_ex_room(p, n);
    for (int k = 0; list && k < n; k++) {
        int r = at(p, i[0], level, k), c = at(p, i[1], level, k);
        if (r < 1 || r > rows)
            return ad_ex_fail(p, place[0], AD_EPARSE, "row %d of %d", r, rows);
        if (c < 1 || c > cols)
            return ad_ex_fail(p, place[1], AD_EPARSE, "element %d of %d", c, cols);
        list[k] = (r - 1) * cols + c - 1;
    }
    if (!p->failed)
        x = (ex_value){columns(two && rows > 1 ? ad_reshape(x.v, 1, rows * cols) : x.v, n, list), level};
    ad_ex_release(p, kept);
    return x;
}

/* x, which belongs to a sum outside, for each element of an inner one. One column broadcasts. */
ex_value ad_ex_lift(ex_parser *p, ex_value x, int level, const char *where)
{
    if (p->failed || x.level >= level || ad_is_number(x.v) || ad_cols(x.v) == 1)
        return x;
    if (x.level == 0)
        return ad_ex_fail(p, where, AD_ESHAPE, "a vector of %d inside a sum: write its element, x[i]",
                          ad_cols(x.v));
    struct ex_block *kept = p->blocks;
    int n = size(p, level), *list = ad_ex_room(p, n);
    for (int k = 0; list && k < n; k++)
        list[k] = outside(p, level, x.level, k);
    if (!p->failed)
        x = (ex_value){columns(x.v, n, list), level};
    ad_ex_release(p, kept);
    return x;
}

/* Opens the sum whose terms are those of i = lo..hi, or of the pairs i < j up to n, for each element outside. */
static int open_axis(ex_parser *p, ex_axis *a, ex_ints lo, ex_ints hi, const char *where)
{
    int level = p->axes, pairs = a->names == 2;
    long long total = 0;
    for (int k = 0; !p->dry && k < size(p, level); k++) {
        long long n = (long long)at(p, hi, level, k) - at(p, lo, level, k) + 1;
        total += n < 0 ? 0 : pairs ? n * (n - 1) / 2 : n;
        if (total > EX_TERMS) {
            ad_ex_fail(p, where, AD_EPARSE, "more than %d terms", EX_TERMS);
            return 0;
        }
    }
    a->n = 0;
    if (!(a->up = ad_ex_room(p, (int)total)) || !(a->value[0] = ad_ex_room(p, (int)total)) ||
        !(a->value[1] = ad_ex_room(p, pairs ? (int)total : 0)))
        return 0;
    for (int k = 0; total > 0 && k < size(p, level); k++) {
        int last = at(p, hi, level, k);
        for (long long i = at(p, lo, level, k); i <= last; i++)
            for (long long j = pairs ? i + 1 : last; j <= last; j++) {
                a->up[a->n] = k;
                a->value[0][a->n] = (int)i;
                if (pairs)
                    a->value[1][a->n] = (int)j;
                a->n++;
            }
    }
    return 1;
}

static ex_value times(ex_parser *p, ex_value x, double k, int product, const char *where)
{
    return ad_ex_binary(p, product ? ad_pow : ad_mul, x, (ex_value){ad_num(k), 0}, where);
}

/* The terms of each element outside, multiplied in pairs: log2 of their number steps. */
static ex_value multiply(ex_parser *p, const ex_axis *a, ex_value x, int outer, const char *where)
{
    int elements = size(p, outer), longest = 0;
    int *count = ad_ex_room(p, elements);
    for (int k = 0; count && k < elements; k++)
        count[k] = 0;
    for (int k = 0; count && k < a->n; k++)
        if (++count[a->up[k]] > longest)
            longest = count[a->up[k]];
    long long cells = (long long)longest * elements;
    if (cells > EX_TERMS)
        return ad_ex_fail(p, where, AD_EPARSE, "more than %d terms", EX_TERMS);
    int *list = ad_ex_room(p, (int)cells);
    if (!list)
        return x;
    /* Term m of element k in column m*elements + k; missing terms take a column of ones. */
    for (int k = 0, first = 0; k < elements; first += count[k++])
        for (int m = 0; m < longest; m++)
            list[m * elements + k] = m < count[k] ? first + m : a->n;
    if (cells > a->n)
        x.v = ad_concat_cols(2, (ad_var[]){x.v, ad_fill(p->t, ad_rows(x.v), 1, 1)});
    ad_var y = columns(x.v, (int)cells, list);
    for (int m = longest; m > 1; m = (m + 1) / 2) {
        int half = m / 2;
        ad_var z = ad_mul(ad_cols_of(y, 0, half * elements), ad_cols_of(y, half * elements, half * elements));
        y = m % 2 ? ad_concat_cols(2, (ad_var[]){z, ad_cols_of(y, 2 * half * elements, elements)}) : z;
    }
    return (ex_value){y, outer};
}

/* The body, with one column a term, to one column an element outside. */
static ex_value close_axis(ex_parser *p, const ex_axis *a, ex_value x, int product, const char *where)
{
    int outer = p->axes, elements = size(p, outer);
    if (p->failed || p->dry || a->n == 0)
        return (ex_value){p->failed ? p->bad : ad_num(product), 0};
    if (x.level <= outer) { /* every term is the same: x times, or to the power of, their number */
        if (outer == 0)
            return times(p, x, a->n, product, where);
        double *count = calloc((size_t)elements, sizeof *count);
        if (!count)
            return ad_ex_fail(p, where, AD_ENOMEM, "out of memory");
        for (int k = 0; k < a->n; k++)
            count[a->up[k]]++;
        ex_value c = {ad_const(p->t, 1, elements, count), outer};
        free(count);
        return ad_ex_binary(p, product ? ad_pow : ad_mul, x, c, where);
    }
    if (product)
        return multiply(p, a, x, outer, where);
    return (ex_value){outer == 0 ? ad_sum_cols(x.v) : ad_scatter_cols(x.v, elements, a->up), outer};
}

/* After "sum(": i=1..n, or i<j, then a comma and the body. */
ex_value ad_ex_sum(ex_parser *p, int product, const char *where)
{
    struct ex_block *kept = p->blocks;
    ex_axis a = {.names = 1};
    ex_ints lo = one(1), hi = one(1);
    const char *range = (ad_ex_peek(p), p->at);
    ad_var v;

    a.name[0] = ad_ex_read_name(p);
    if (ad_ex_take(p, '<')) {
        ad_ex_peek(p);
        a.names = 2;
        a.name[1] = ad_ex_read_name(p);
        if (a.name[1].n == 0)
            return ad_ex_fail(p, p->at, AD_EPARSE, "expected the name of the second index");
        if (ad_ex_same(a.name[0], a.name[1]))
            return ad_ex_fail(p, a.name[1].s, AD_ENAME, "the same index twice");
        if (!ad_ex_find(p, (ex_name){"n", 1}, &v) || !integer(v, &hi.one))
            return ad_ex_fail(p, range, AD_EPARSE,
                              "i < j runs up to n, which is not an integer constant here");
    } else {
        ad_ex_expect(p, '=', "after the index");
        lo = ad_ex_index(p, 1);
        if (ad_ex_expect(p, '.', "of \"..\"") && *p->at != '.')
            return ad_ex_fail(p, p->at, AD_EPARSE, "expected \"..\" between the ends of a range");
        p->at += !p->failed;
        hi = ad_ex_index(p, 1);
    }
    for (int i = 0, level; i < a.names; i++) {
        int *list;
        if (!p->failed && ad_ex_axis_index(p, a.name[i], &level, &list))
            return ad_ex_fail(p, a.name[i].s, AD_ENAME, "\"%.*s\" is an index already",
                              a.name[i].n < 60 ? a.name[i].n : 60, a.name[i].s);
    }
    if (p->axes == EX_AXES)
        return ad_ex_fail(p, where, AD_EPARSE, "more than %d sums inside each other", EX_AXES);
    if (!ad_ex_expect(p, ',', "after the range of the index") || !open_axis(p, &a, lo, hi, range))
        return (ex_value){p->bad, 0};
    int empty = a.n == 0;
    p->axis[p->axes++] = a;
    p->dry += empty;
    const char *body = (ad_ex_peek(p), p->at);
    ex_value x = ad_ex_lift(p, ad_ex_expr(p, 1), 1, body); /* a vector here lacks its index */
    p->dry -= empty;
    ad_ex_expect(p, ')', "to close the sum");
    p->axes--;
    x = close_axis(p, &a, x, product, where);
    ad_ex_release(p, kept);
    return x;
}
