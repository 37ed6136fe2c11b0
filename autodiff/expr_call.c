/* expr_call.c - numbers, literals and functions of expressions; broadcasting between sums.
 *
 * Invariant: elementwise functions act term by term inside a sum; all others act on whole values only.
 */
/* SPDX-License-Identifier: MIT */
#include "expr.h"

#include <math.h>
#include <stdio.h>

typedef union fn { /* f23: of 2 values and 3 integers */
    ad_var (*f01)(ad_tape *, int);
    ad_var (*f10)(ad_var);
    ad_var (*f20)(ad_var, ad_var);
    ad_var (*f30)(ad_var, ad_var, ad_var);
    ad_var (*f11)(ad_var, int);
    ad_var (*f12)(ad_var, int, int);
    ad_var (*f14)(ad_var, int, int, int, int);
    ad_var (*f22)(ad_var, ad_var, int, int);
    ad_var (*f23)(ad_var, ad_var, int, int, int);
    ad_var (*values)(int, const ad_var[]);
    ad_var (*integers)(ad_var, int, const int[]);
} fn;
enum { ELEMENTWISE, WHOLE, MANY_VALUES, MANY_INTEGERS };

/* name(values..., integers...): a function of every operation. The elementwise ones come from ops.def. */
static const struct row {
    const char *name;
    int kind, values, integers;
    fn f;
} table[] = {
#define ROW(kind, name, values, integers) {#name, kind, values, integers, {.f##values##integers = ad_##name}},
#define UNARY(name, cost, value, rule, lo, hi) ROW(ELEMENTWISE, name, 1, 0)
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) ROW(ELEMENTWISE, name, 2, 0)
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) ROW(ELEMENTWISE, name, 3, 0)
#include "ops.def"
    ROW(ELEMENTWISE, stop, 1, 0) ROW(WHOLE, sum, 1, 0) ROW(WHOLE, sum_rows, 1, 0) ROW(WHOLE, sum_cols, 1, 0)
        ROW(WHOLE, mean, 1, 0) ROW(WHOLE, count, 1, 0) ROW(WHOLE, logsumexp, 1, 0) ROW(WHOLE, norm, 1, 0)
            ROW(WHOLE, reshape, 1, 2) ROW(WHOLE, expand, 1, 2) ROW(WHOLE, sum_to, 1, 2)
                ROW(WHOLE, slice, 1, 4) ROW(WHOLE, cols_of, 1, 2) ROW(WHOLE, rows_of, 1, 2)
                    ROW(WHOLE, at, 1, 2)
                        ROW(WHOLE, pad, 1, 4){"concat_rows", MANY_VALUES, -1, 0, {.values = ad_concat_rows}},
    {"concat_cols", MANY_VALUES, -1, 0, {.values = ad_concat_cols}},
    {"add_n", MANY_VALUES, -1, 0, {.values = ad_add_n}},
    {"gather_cols", MANY_INTEGERS, 1, -1, {.integers = ad_gather_cols}},
    {"gather_rows", MANY_INTEGERS, 1, -1, {.integers = ad_gather_rows}},
    {"scatter_cols", MANY_INTEGERS, 1, -1, {.integers = ad_scatter_cols}},
    {"scatter_rows", MANY_INTEGERS, 1, -1, {.integers = ad_scatter_rows}},
    ROW(WHOLE, transpose, 1, 0) ROW(WHOLE, matmul, 2, 0) ROW(WHOLE, matmul_nt, 2, 0)
        ROW(WHOLE, matmul_tn, 2, 0) ROW(WHOLE, matmul_tt, 2, 0) ROW(WHOLE, dot, 2, 0) ROW(WHOLE, outer, 2, 0)
            ROW(WHOLE, diag, 1, 0) ROW(WHOLE, diagonal, 1, 0) ROW(WHOLE, trace, 1, 0)
                ROW(WHOLE, tril_pack, 1, 0) ROW(WHOLE, tril_unpack, 1, 0) ROW(WHOLE, solve, 2, 0)
                    ROW(WHOLE, cholesky, 1, 0) ROW(WHOLE, logdet, 1, 0) ROW(WHOLE, row_matmul, 2, 3)
                        ROW(WHOLE, row_transpose, 1, 2) ROW(WHOLE, row_dot, 2, 0) ROW(WHOLE, row_outer, 2, 0)
                            ROW(WHOLE, row_diag, 1, 0) ROW(WHOLE, row_diagonal, 1, 1)
                                ROW(WHOLE, row_trace, 1, 1) ROW(WHOLE, row_tril_pack, 1, 1)
                                    ROW(WHOLE, row_tril_unpack, 1, 1) ROW(WHOLE, row_solve, 2, 2)
                                        ROW(WHOLE, row_trisolve, 2, 3) ROW(WHOLE, row_cholesky, 1, 1)
                                            ROW(WHOLE, row_logdet, 1, 1) ROW(WHOLE, eye, 0, 1)};

/* The digits, whatever the decimal point of the locale: strtod sees them without one. */
double ad_ex_number(ex_parser *p)
{
    enum { KEEP = 800 }; /* more digits than decide the rounding of any double */
    char digits[KEEP + 32];
    const char *where = p->at;
    int n = 0, point = 0, seen_point = 0, dropped = 0;
    long exponent = 0;

    for (;; p->at++) {
        char c = *p->at;
        if (c == '.' && !seen_point && p->at[1] != '.') { /* 1..n is a range */
            seen_point = 1;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (n < KEEP && (n > 0 || c != '0'))
            digits[n++] = c;
        else if (n == KEEP) {
            dropped |= c != '0';
            point++;
        }
        point -= seen_point;
    }
    if (dropped && digits[n - 1] == '0') /* not a tie */
        digits[n - 1] = '1';
    const char *e = p->at;
    if ((*e == 'e' || *e == 'E') && (e++, *e == '+' || *e == '-' || (*e >= '0' && *e <= '9'))) {
        int minus = *e == '-';
        e += *e == '-' || *e == '+';
        if (*e < '0' || *e > '9') {
            ad_ex_fail(p, p->at, AD_EPARSE, "an exponent without digits");
            return 0;
        }
        for (; *e >= '0' && *e <= '9'; e++)
            exponent = exponent < 10000000 ? 10 * exponent + (*e - '0') : exponent;
        exponent = minus ? -exponent : exponent;
        p->at = e;
    }
    if (n == 0)
        return 0;
    snprintf(digits + n, 32, "e%ld", exponent + point);
    double value = strtod(digits, NULL);
    if (!isfinite(value))
        ad_ex_fail(p, where, AD_EPARSE, "this number is too large");
    return value;
}

/* [1, 2; 3, 4]: numbers, row by row; the "[" is read. */
ex_value ad_ex_literal(ex_parser *p)
{
    double *value = NULL;
    int n = 0, room = 0, rows = 1, cols = 0;
    const char *where = p->at;
    for (;;) {
        ex_value x = ad_ex_expr(p, 1);
        if (!p->failed && !ad_is_number(x.v))
            ad_ex_fail(p, where, AD_EPARSE, "the elements of [ ] must be numbers: use concat_cols");
        if (!p->failed && n == room) {
            double *more = realloc(value, sizeof *more * (size_t)(room = room ? 2 * room : 8));
            if (more)
                value = more;
            else
                ad_ex_fail(p, where, AD_ENOMEM, "out of memory");
        }
        if (p->failed)
            break;
        value[n++] = x.v.value;
        where = p->at;
        if (ad_ex_take(p, ','))
            continue;
        int row_ends = ad_ex_take(p, ';');
        if (!row_ends && !ad_ex_expect(p, ']', "or \",\" or \";\" in [ ]"))
            break;
        if (rows == 1)
            cols = n;
        if (n != rows * cols) {
            ad_ex_fail(p, where, AD_EPARSE, "the rows of [ ] differ in length");
            break;
        }
        if (!row_ends)
            break;
        rows++;
    }
    ad_var y = p->failed ? p->bad : p->dry ? ad_num(0) : ad_const(p->t, rows, cols, value);
    free(value);
    return (ex_value){y, 0};
}

/* [r,c] with [r,c]: equal sizes or 1, as the operations broadcast. */
static int shapes_fit(ex_parser *p, int n, const ex_value x[], const char *where)
{
    int size[2] = {1, 1};
    for (int i = 0; i < n; i++) {
        int is[2] = {ad_is_number(x[i].v) ? 1 : ad_rows(x[i].v), ad_is_number(x[i].v) ? 1 : ad_cols(x[i].v)};
        for (int d = 0; d < 2; d++) {
            if (is[d] != 1 && size[d] != 1 && is[d] != size[d]) {
                char a[32], b[32];
                ad_ex_fail(p, where, AD_ESHAPE, "%s with %s: sizes must be equal or 1",
                           ad_shape_text(a, ad_rows(x[0].v), ad_cols(x[0].v)),
                           ad_shape_text(b, is[0], is[1]));
                return 0;
            }
            size[d] = is[d] != 1 ? is[d] : size[d];
        }
    }
    return 1;
}

static ad_var apply(const struct row *f, ad_tape *t, const ad_var x[], const int i[], int nx, int ni)
{
    if (f->kind == MANY_VALUES)
        return f->f.values(nx, x);
    if (f->kind == MANY_INTEGERS) /* gather: the list; scatter: the size, then the list */
        return f->name[0] == 'g' ? f->f.integers(x[0], ni, i) : f->f.integers(x[0], i[0], i + 1);
    switch (10 * nx + ni) {
    case 1:
        return f->f.f01(t, i[0]);
    case 10:
        return f->f.f10(x[0]);
    case 20:
        return f->f.f20(x[0], x[1]);
    case 30:
        return f->f.f30(x[0], x[1], x[2]);
    case 11:
        return f->f.f11(x[0], i[0]);
    case 12:
        return f->f.f12(x[0], i[0], i[1]);
    case 14:
        return f->f.f14(x[0], i[0], i[1], i[2], i[3]);
    case 22:
        return f->f.f22(x[0], x[1], i[0], i[1]);
    default:
        return f->f.f23(x[0], x[1], i[0], i[1], i[2]);
    }
}

/* An operation that refused has told the tape why. */
static ex_value checked(ex_parser *p, ex_value x, const char *where)
{
    if (!ad_is_void(x.v) || p->failed)
        return x;
    if (ad_status(p->t) == AD_OK)
        return ad_ex_fail(p, where, AD_EARG, "this has no value");
    p->failed = 1;
    p->bad = x.v;
    return x;
}

/* Term by term: operands of sums outside are repeated first. */
static ex_value act(ex_parser *p, const struct row *f, int n, ex_value x[], const char *where)
{
    ad_var v[3];
    int level = 0;
    for (int i = 0; i < n; i++)
        level = x[i].level > level ? x[i].level : level;
    for (int i = 0; i < n && !p->failed; i++)
        v[i] = (x[i] = ad_ex_lift(p, x[i], level, where)).v;
    if (p->failed || p->dry)
        return (ex_value){p->failed ? p->bad : ad_num(0), 0};
    if (!shapes_fit(p, n, x, where))
        return (ex_value){p->bad, 0};
    return checked(p, (ex_value){apply(f, p->t, v, NULL, n, 0), level}, where);
}

ex_value ad_ex_binary(ex_parser *p, ad_var (*f)(ad_var, ad_var), ex_value a, ex_value b, const char *where)
{
    struct row r = {"", ELEMENTWISE, 2, 0, {.f20 = f}};
    return act(p, &r, 2, (ex_value[]){a, b}, where);
}

/* Is this i = ... or i < ..., and not a value? */
static int range_follows(ex_parser *p)
{
    const char *start = p->at;
    int yes = ad_ex_read_name(p).n > 0 && (ad_ex_peek(p) == '=' || *p->at == '<');
    p->at = start;
    return yes;
}

static const struct row *look_up(ex_name name)
{
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (ad_ex_same(name, (ex_name){table[k].name, (int)strlen(table[k].name)}))
            return &table[k];
    return NULL;
}

int ad_ex_callable(const char *name, int integers)
{
    const struct row *f = look_up((ex_name){name, (int)strlen(name)});
    return f && (f->integers < 0 || f->integers == integers);
}

static int grow(void **list, int n, size_t size)
{
    if (n & (n + 1) || n < 3) /* room for 4, then for 8, 16, ... */
        return *list || n > 0 ? 1 : (*list = malloc(4 * size)) != NULL;
    void *more = realloc(*list, 2 * ((size_t)n + 1) * size);
    if (more)
        *list = more;
    return more != NULL;
}

/* name(...); the name is read and "(" follows. */
ex_value ad_ex_call(ex_parser *p, ex_name name)
{
    const struct row *f = look_up(name);
    int product = ad_ex_same(name, (ex_name){"prod", 4}), nx = 0, ni = 0, integer,
        shown = name.n < 60 ? name.n : 60;
    ex_value three[3];
    void *x = NULL, *i = NULL;

    p->at++;
    if ((product || ad_ex_same(name, (ex_name){"sum", 3})) && range_follows(p))
        return ad_ex_sum(p, product, name.s);
    if (product)
        return ad_ex_fail(p, name.s, AD_EPARSE, "prod needs an index: prod(i=1..n, ...)");
    if (!f)
        return ad_ex_fail(p, name.s, AD_ENAME, "unknown function \"%.*s\"", shown, name.s);

    while (!p->failed && ad_ex_peek(p) != ')') {
        const char *where = p->at;
        if (nx + ni > 0 && !ad_ex_expect(p, ',', "or \")\" between arguments"))
            break;
        if (nx + ni == EX_ARGS || !grow(&x, nx, sizeof(ad_var)) || !grow(&i, ni, sizeof(int))) {
            ad_ex_fail(p, where, nx + ni == EX_ARGS ? AD_EPARSE : AD_ENOMEM, "too many arguments");
            break;
        }
        if (f->values < 0 || nx < f->values) {
            ex_value z = ad_ex_expr(p, 1);
            if (f->kind != ELEMENTWISE && z.level > 0 && !p->failed)
                ad_ex_fail(p, where, AD_EPARSE, "%s needs a whole value, not one element for each index",
                           f->name);
            if (f->kind == ELEMENTWISE)
                three[nx] = z;
            ((ad_var *)x)[nx++] = z.v;
        } else if (f->integers < 0 || ni < f->integers) {
            if (ad_ex_integer(p, &integer))
                ((int *)i)[ni++] = integer;
        } else {
            ad_ex_fail(p, where, AD_EPARSE, "too many arguments: %s takes %d", f->name,
                       f->values + f->integers);
        }
    }
    int many = f->kind == MANY_VALUES || f->kind == MANY_INTEGERS;
    int few =
        nx < f->values || ni < f->integers || (f->values < 0 && nx == 0) || (f->integers < 0 && ni == 0);
    if (!p->failed && few)
        ad_ex_fail(p, p->at, AD_EPARSE, "too few arguments: %s takes %s%d", f->name, many ? "at least " : "",
                   many ? f->values < 0 ? 1 : 2 : f->values + f->integers);
    ad_ex_expect(p, ')', "to close the arguments");
    ex_value result = {p->failed ? p->bad : ad_num(0), 0};
    if (!p->failed && !p->dry) {
        for (int k = 0; k < nx && f->kind != ELEMENTWISE; k++) /* these need a tape, and find it in a node */
            if (ad_is_number(((ad_var *)x)[k]))
                ((ad_var *)x)[k] = ad_fill(p->t, 1, 1, ((ad_var *)x)[k].value);
        if (f->kind == ELEMENTWISE)
            result = act(p, f, nx, three, name.s);
        else if (f->kind == MANY_INTEGERS && f->name[0] == 's' &&
                 ni - 1 != (f->name[8] == 'c' ? ad_cols(*(ad_var *)x) : ad_rows(*(ad_var *)x)))
            result = ad_ex_fail(p, name.s, AD_EPARSE, "%s needs its size, then an index for each of the %s",
                                f->name, f->name + 8);
        else
            result = checked(p, (ex_value){apply(f, p->t, x, i, nx, ni), 0}, name.s);
    }
    free(x);
    free(i);
    return result;
}
