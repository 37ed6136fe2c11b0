/* expr.c - "p^2/(2*m) + 1 - cos(q)" -> values on a tape: operators, names, definitions, errors.
 *
 * Invariant: the first error ends the reading, and is the only one reported. The grammar is in
 * docs/expressions.md; sums and indices are in expr_index.c, functions in expr_call.c.
 */
/* SPDX-License-Identifier: MIT */
#include "expr.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "ad_parse: column 7: ..." with the piece of the text around it and a caret. */
ex_value ad_ex_fail(ex_parser *p, const char *where, int status, const char *format, ...)
{
    enum { WIDE = 60 };
    char message[200], piece[WIDE + 1];
    va_list args;

    if (p->failed)
        return (ex_value){p->bad, 0};
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    size_t length = strlen(p->text), column = (size_t)(where - p->text);
    size_t first = column > WIDE / 2 && length > WIDE ? column - WIDE / 2 : 0;
    size_t n = length - first < WIDE ? length - first : WIDE;
    while (n > 0 && first + n < length && ((unsigned char)p->text[first + n] & 0xC0) == 0x80)
        n--; /* not a part of a character */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p->text[first + i];
        piece[i] = (char)(c < 32 || c == 127 ? ' ' : c);
    }
    piece[n] = 0;
    const char *before = first > 0 ? "..." : "", *after = first + n < length ? "..." : "";
    int caret = (int)(column - first) + (first > 0 ? 3 : 0);
    p->failed = 1;
    p->bad = ad_fail(p->t, status, "ad_parse: column %zu: %s\n  %s%s%s\n  %*s^", column + 1, message, before,
                     piece, after, caret, "");
    return (ex_value){p->bad, 0};
}

char ad_ex_peek(ex_parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
    return *p->at;
}

int ad_ex_take(ex_parser *p, char c)
{
    if (ad_ex_peek(p) != c)
        return 0;
    p->at++;
    return 1;
}

/* What stands here, for a message. */
static const char *here(ex_parser *p, char out[16])
{
    char c = ad_ex_peek(p);
    int n = 1;
    if (!c)
        return "the end";
    while (n < 4 && ((unsigned char)c & 0x80) && ((unsigned char)p->at[n] & 0xC0) == 0x80)
        n++;
    if ((unsigned char)c < 32 || c == 127)
        return "a control character";
    snprintf(out, 16, "\"%.*s\"", n, p->at);
    return out;
}

int ad_ex_expect(ex_parser *p, char c, const char *after)
{
    char seen[16];
    if (p->failed)
        return 0;
    if (ad_ex_take(p, c))
        return 1;
    const char *what = here(p, seen);
    ad_ex_fail(p, p->at, AD_EPARSE, "expected \"%c\" %s, found %s", c, after, what);
    return 0;
}

static int letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static int name_length(const char *s)
{
    int n = 0;
    if (!letter(*s))
        return 0;
    while (letter(s[n]) || (s[n] >= '0' && s[n] <= '9'))
        n++;
    return n;
}

ex_name ad_ex_read_name(ex_parser *p)
{
    ad_ex_peek(p);
    ex_name name = {p->at, name_length(p->at)};
    p->at += name.n;
    return name;
}

int ad_ex_same(ex_name a, ex_name b) { return a.n == b.n && memcmp(a.s, b.s, (size_t)a.n) == 0; }

/* Names given or defined; then pi; then n, the columns of the widest value given. */
int ad_ex_find(const ex_parser *p, ex_name name, ad_var *v)
{
    for (int i = p->symbols - 1; i >= 0; i--)
        if (ad_ex_same(p->symbol[i].name, name)) {
            *v = p->symbol[i].v;
            return 1;
        }
    if (ad_ex_same(name, (ex_name){"pi", 2})) {
        *v = ad_num(3.14159265358979323846);
        return 1;
    }
    if (ad_ex_same(name, (ex_name){"n", 1}) && p->n > 0) {
        *v = ad_num(p->n);
        return 1;
    }
    return 0;
}

static ex_value named(ex_parser *p, ex_name name)
{
    ex_value x = {ad_num(0), 0};
    int *list;

    if (ad_ex_axis_index(p, name, &x.level, &list)) {
        if (p->dry)
            return (ex_value){ad_num(0), 0};
        int n = p->axis[x.level - 1].n;
        double *value = malloc(sizeof *value * (size_t)n);
        if (!value)
            return ad_ex_fail(p, name.s, AD_ENOMEM, "out of memory");
        for (int k = 0; k < n; k++)
            value[k] = list[k];
        x.v = ad_const(p->t, 1, n, value);
        free(value);
        return x;
    }
    if (!ad_ex_find(p, name, &x.v))
        return ad_ex_fail(p, name.s, AD_ENAME, "unknown name \"%.*s\"", name.n < 60 ? name.n : 60, name.s);
    if (p->dry)
        x.v = ad_num(0);
    return x;
}

static ex_value primary(ex_parser *p)
{
    const char *where = (ad_ex_peek(p), p->at);
    char seen[16];
    ex_value x;
    ex_name name = ad_ex_read_name(p);

    if (name.n > 0)
        x = ad_ex_peek(p) == '(' ? ad_ex_call(p, name) : named(p, name);
    else if (ad_ex_take(p, '(')) {
        x = ad_ex_expr(p, 1);
        ad_ex_expect(p, ')', "to close \"(\"");
    } else if ((*where >= '0' && *where <= '9') || (*where == '.' && where[1] >= '0' && where[1] <= '9'))
        x = (ex_value){ad_num(ad_ex_number(p)), 0};
    else if (ad_ex_take(p, '['))
        x = ad_ex_literal(p);
    else
        return ad_ex_fail(p, where, AD_EPARSE, "expected a number, a name or \"(\", found %s", here(p, seen));
    while (!p->failed && ad_ex_take(p, '['))
        x = ad_ex_element(p, x, where);
    return x;
}

/* Operators that bind at least as tightly as `min`: 1 + -, 2 * /, 3 the sign, 4 ^. */
ex_value ad_ex_expr(ex_parser *p, int min)
{
    ex_value x = {p->bad, 0};
    char c = ad_ex_peek(p);

    if (p->failed)
        return x;
    if (++p->depth > EX_DEPTH)
        return ad_ex_fail(p, p->at, AD_EPARSE, "nested deeper than %d", EX_DEPTH);
    if (c == '-' || c == '+') {
        p->at++;
        x = ad_ex_expr(p, 3);
        if (c == '-')
            x.v = p->failed ? p->bad : ad_neg(x.v);
    } else
        x = primary(p);

    while (!p->failed) {
        c = ad_ex_peek(p);
        const char *where = p->at;
        int tight = c == '+' || c == '-' ? 1 : c == '*' || c == '/' ? 2 : c == '^' ? 4 : 0;
        if (tight == 0 || tight < min)
            break;
        p->at++;
        ex_value y =
            ad_ex_expr(p, tight == 4 ? 3 : tight + 1); /* a sign may follow ^, and ^ groups to the right */
        x = ad_ex_binary(p,
                         c == '+'   ? ad_add
                         : c == '-' ? ad_sub
                         : c == '*' ? ad_mul
                         : c == '/' ? ad_div
                                    : ad_pow,
                         x, y, where);
    }
    p->depth--;
    return x;
}

/* Is this `name =`? Then the name is read, and the sign of equality. */
static ex_name definition(ex_parser *p)
{
    const char *start = (ad_ex_peek(p), p->at);
    ex_name name = ad_ex_read_name(p);
    if (name.n > 0 && ad_ex_take(p, '='))
        return name;
    p->at = start;
    return (ex_name){start, 0};
}

static int add_symbol(ex_parser *p, ex_name name, ad_var v)
{
    if (p->symbols == p->room) {
        int room = p->room ? 2 * p->room : 16;
        ex_symbol *more = realloc(p->symbol, sizeof *more * (size_t)room);
        if (!more)
            return 0;
        p->symbol = more;
        p->room = room;
    }
    p->symbol[p->symbols++] = (ex_symbol){name, v};
    return 1;
}

static int known(const ex_parser *p, ex_name name)
{
    for (int i = 0; i < p->symbols; i++)
        if (ad_ex_same(p->symbol[i].name, name))
            return 1;
    return 0;
}

static ex_value whole_text(ex_parser *p)
{
    for (;;) {
        char seen[16];
        ex_name name = definition(p);
        if (name.n > 0 && known(p, name))
            return ad_ex_fail(p, name.s, AD_ENAME, "\"%.*s\" is defined twice", name.n < 60 ? name.n : 60,
                              name.s);
        ex_value x = ad_ex_expr(p, 1);
        if (p->failed)
            return (ex_value){p->bad, 0};
        char next = ad_ex_peek(p);
        if (name.n == 0 && next == 0)
            return x;
        if (name.n == 0 || next != ';')
            return ad_ex_fail(p, p->at, AD_EPARSE, "expected %s, found %s",
                              name.n        ? "an operator or \";\""
                              : next == ';' ? "a name and \"=\" before this"
                                            : "an operator",
                              here(p, seen));
        p->at++;
        if (p->symbols - p->given >= EX_NAMES)
            return ad_ex_fail(p, name.s, AD_EPARSE, "more than %d definitions", EX_NAMES);
        if (!add_symbol(p, name, x.v))
            return ad_ex_fail(p, name.s, AD_ENOMEM, "out of memory");
    }
}

/* The names given, then the text. */
static ad_var parse(ex_parser *p, int n, const ex_name names[], const ad_var vars[])
{
    for (int i = 0; i < n; i++) {
        if (names[i].n == 0 || name_length(names[i].s) != names[i].n)
            return ad_fail(p->t, AD_ENAME, "ad_parse: \"%.*s\" is not a name",
                           names[i].n < 60 ? names[i].n : 60, names[i].s);
        if (known(p, names[i]))
            return ad_fail(p->t, AD_ENAME, "ad_parse: the name \"%.*s\" is given twice",
                           names[i].n < 60 ? names[i].n : 60, names[i].s);
        if (!ad_is_number(vars[i]) && (ad_is_void(vars[i]) || vars[i].tape != p->t))
            return ad_fail(p->t, ad_is_void(vars[i]) ? AD_ESTALE : AD_ETAPE, "ad_parse: \"%.*s\" is %s",
                           names[i].n < 60 ? names[i].n : 60, names[i].s,
                           ad_is_void(vars[i]) ? "void or was rewound" : "on another tape");
        if (!ad_is_number(vars[i]) && ad_cols(vars[i]) > p->n)
            p->n = ad_cols(vars[i]);
        if (!add_symbol(p, names[i], vars[i]))
            return ad_fail(p->t, AD_ENOMEM, "ad_parse: out of memory");
    }
    p->given = p->symbols;
    if (strnlen(p->text, EX_TEXT + 1) > EX_TEXT)
        return ad_fail(p->t, AD_EPARSE, "ad_parse: the text has more than %d characters", EX_TEXT);
    return whole_text(p).v;
}

static ad_var parse_all(ad_tape *t, const char *text, int n, const ex_name names[], const ad_var vars[])
{
    ex_parser p = {.t = t, .text = text, .at = text};
    ad_var y = parse(&p, n, names, vars);
    free(p.symbol);
    ad_ex_release(&p, NULL);
    return y;
}

ad_var ad_parse(ad_tape *t, const char *text, int n, const char *const names[], const ad_var vars[])
{
    if (!t || ad_status(t) != AD_OK || !text || n < 0 || (n > 0 && (!names || !vars)))
        return ad_fail(t, AD_EARG, "ad_parse: a text, and a name for each of the values, are needed");
    ex_name *name = malloc(sizeof *name * ((size_t)n + 1));
    if (!name)
        return ad_fail(t, AD_ENOMEM, "ad_parse: out of memory");
    for (int i = 0; i < n; i++)
        name[i] = names[i] ? (ex_name){names[i], (int)strnlen(names[i], EX_TEXT)} : (ex_name){"", 0};
    ad_var y = parse_all(t, text, n, name, vars);
    free(name);
    return y;
}

ad_var ad_parse_named(ad_tape *t, const char *text, const char *names, int n, const ad_var vars[])
{
    if (!t || ad_status(t) != AD_OK || !text || !names || n < 0 || (n > 0 && !vars))
        return ad_fail(t, AD_EARG, "ad_parse: a text, and a name for each of the values, are needed");
    ex_name *name = malloc(sizeof *name * ((size_t)n + 1));
    if (!name)
        return ad_fail(t, AD_ENOMEM, "ad_parse: out of memory");
    int count = 0;
    for (const char *s = names; *s; count++) {
        s += strspn(s, " \t\n");
        size_t length = strcspn(s, ","), kept = length;
        while (kept > 0 && strchr(" \t\n", s[kept - 1]))
            kept--;
        if (count < n)
            name[count] = (ex_name){s, (int)kept};
        s += length + (s[length] == ',');
    }
    ad_var y = count == n
                   ? parse_all(t, text, n, name, vars)
                   : ad_fail(t, AD_EARG, "ad_parse: %d names \"%.60s\" for %d values", count, names, n);
    free(name);
    return y;
}
