/* csv.c - text tables: comma, semicolon, tab or white space, with comments, headers and blank lines.
 * Invariant: every refusal names file, line and column; a value is never guessed. */
/* SPDX-License-Identifier: MIT */
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *path, *s, *end;
    long line;
    const char *from, *to; /* the line without its end and without a comment */
    char mark;             /* '#' or '%' when the line is a comment; from..to is then what follows it */
    char separator;        /* ',' ';' '\t' or ' '; 0: not known yet */
    hnn_text names;        /* zero-separated */
    int names_n;
};

struct field {
    const char *s;
    size_t n;
};

void hnn_table_free(hnn_table *t)
{
    for (int i = 0; i < t->names; i++)
        free(t->name[i]);
    free(t->name);
    free(t->v);
    free(t->line);
    free(t->block);
    *t = (hnn_table){0};
}

static int is_blank(char c) { return c == ' ' || c == '\t'; }

static int next_line(struct reader *r)
{
    if (r->s >= r->end)
        return 0;
    const char *p = r->s;
    while (p < r->end && *p != '\n' && *p != '\r')
        p++;
    r->from = r->s;
    r->to = p;
    r->s = p + (p < r->end) + (p + 1 < r->end && p[0] == '\r' && p[1] == '\n');
    r->line++;
    const char *q = r->from;
    while (q < r->to && is_blank(*q))
        q++;
    r->mark = q < r->to && (*q == '#' || *q == '%') ? *q : 0;
    if (r->mark) {
        while (q < r->to && (*q == '#' || *q == '%'))
            q++;
        r->from = q;
    } else
        for (int quoted = 0; q < r->to; q++) { /* a comment behind the values */
            quoted ^= *q == '"';
            if (!quoted && (*q == '#' || *q == '%'))
                r->to = q;
        }
    while (r->to > r->from && is_blank(r->to[-1]))
        r->to--;
    return 1;
}

/* The next field of [*at, to). Returns 0 at the end of the line. */
static int next_field(const char **at, const char *to, char separator, struct field *f)
{
    const char *p = *at;
    if (!p)
        return 0;
    while (p < to && (*p == ' ' || (separator != '\t' && *p == '\t')))
        p++;
    if (separator == ' ' && p >= to)
        return 0;
    f->s = p;
    if (p < to && *p == '"') {
        const char *q = ++p;
        while (q < to && *q != '"')
            q++;
        *f = (struct field){p, (size_t)(q - p)};
        p = q < to ? q + 1 : q;
        while (p < to && (separator == ' ' ? !is_blank(*p) : *p != separator))
            p++;
    } else {
        while (p < to && (separator == ' ' ? !is_blank(*p) : *p != separator))
            p++;
        f->n = (size_t)(p - f->s);
        while (f->n && is_blank(f->s[f->n - 1]))
            f->n--;
    }
    *at = p < to ? p + 1 : NULL; /* NULL: this was the last one */
    if (separator == ' ' && p >= to)
        *at = to;
    return 1;
}

static int same_word(struct field f, const char *word)
{
    size_t n = strlen(word);
    if (f.n != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if ((f.s[i] | 32) != word[i] && f.s[i] != word[i])
            return 0;
    return 1;
}

static int is_missing(struct field f)
{
    static const char *word[] = {"nan", "na", "n/a", "null", "none", "-nan", "?"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (same_word(f, word[i]))
            return 1;
    return f.n == 0;
}

static int read_number(struct field f, char separator, double *x)
{
    if (is_missing(f)) {
        *x = NAN;
        return 1;
    }
    return f.n && hnn_number(f.s, f.n, separator == ';' ? ',' : '.', x) == f.n;
}

static char find_separator(const struct reader *r)
{
    size_t n = (size_t)(r->to - r->from);
    if (memchr(r->from, ';', n))
        return ';';
    if (memchr(r->from, ',', n))
        return ',';
    if (!memchr(r->from, '\t', n))
        return ' ';
    /* tabs may also only align a white-space table: "1.0 \t 2.0 3.0" */
    const char *at = r->from;
    struct field f;
    while (next_field(&at, r->to, '\t', &f))
        if (memchr(f.s, ' ', f.n) && f.s[0] != '"' && (f.s[0] < 'A' || f.s[0] > 'z'))
            return ' ';
    return '\t';
}

/* 1: the line holds a word that is not a number, so it can be a header */
static int is_header(const struct reader *r, char separator)
{
    const char *at = r->from;
    struct field f;
    int words = 0;
    double x;
    while (next_field(&at, r->to, separator, &f)) {
        if (f.n && hnn_number(f.s, f.n, '.', &x) == f.n)
            return 0;
        words += f.n > 0 && !is_missing(f);
    }
    return words > 0;
}

static void take_names(struct reader *r, char separator)
{
    const char *at = r->from;
    struct field f;
    r->names.n = 0;
    r->names_n = 0;
    while (next_field(&at, r->to, separator, &f)) {
        if (separator == ' ' && r->names_n && (*f.s == '[' || *f.s == '(') && f.n > 1)
            continue; /* "t [s]": a unit, not a name */
        hnn_text_bytes(&r->names, f.s, f.n);
        hnn_text_bytes(&r->names, "", 1);
        r->names_n++;
    }
    if (r->names_n > 1 && separator == ',' && r->to[-1] == ',')
        r->names_n--; /* "t,q,p," : as in the rows, no column */
}

/* the names of a comment: by its own separator; "% x v" also above a comma-separated table */
static void take_comment_names(struct reader *r)
{
    char separator = find_separator(r);
    if (is_header(r, separator))
        take_names(r, separator);
}

static int bad(const struct reader *r, const char *at, hnn_error *e, const char *what, struct field f)
{
    return hnn_fail(e, HNN_EFORMAT, "%s:%ld:%ld: '%.*s' %s", r->path, r->line, (long)(at - r->from) + 1,
                    (int)(f.n < 60 ? f.n : 60), f.s, what);
}

struct growing {
    hnn_text v, line, block; /* doubles, longs, longs */
};

static int read_row(struct reader *r, hnn_table *t, struct growing *g, hnn_error *e)
{
    const char *at = r->from;
    struct field f;
    int n = 0;
    while (next_field(&at, r->to, r->separator, &f)) {
        double x;
        if (f.n == 0 && (!at || at >= r->to) && r->separator != '\t' && n == t->cols && t->rows)
            break; /* a separator at the end of the line */
        if (!read_number(f, r->separator, &x)) {
            if (same_word(f, "inf") || same_word(f, "-inf") || same_word(f, "+inf") ||
                same_word(f, "infinity"))
                return bad(r, f.s, e, "is not finite", f);
            return bad(r, f.s, e, "is not a number", f);
        }
        if (t->rows && n == t->cols)
            return bad(r, f.s, e, "is one value too many for this row", f);
        hnn_text_bytes(&g->v, &x, sizeof x);
        n++;
    }
    if (!t->rows) {
        const char *last = r->to;
        if (n > 1 && last > r->from && last[-1] == r->separator && r->separator == ',') {
            n--; /* "1,2,3," : the empty last field is no column */
            g->v.n -= sizeof(double);
        }
        t->cols = n;
    }
    if (n != t->cols)
        return hnn_fail(e, HNN_EFORMAT, "%s:%ld:%ld: this row has %d values, the first one has %d", r->path,
                        r->line, (long)(r->to - r->from) + 1, n, t->cols);
    hnn_text_bytes(&g->line, &r->line, sizeof r->line);
    t->rows++;
    return HNN_OK;
}

static int read_rows(struct reader *r, hnn_table *t, struct growing *g, hnn_error *e)
{
    long block = 0, in_block = 0;
    int code = HNN_OK, header = 0;
    while (!code && next_line(r)) {
        if (r->from >= r->to && !r->mark && r->s <= r->end) {
            block += in_block > 0;
            in_block = 0;
            continue;
        }
        if (r->mark) {
            if (!t->rows && !header && r->from < r->to)
                take_comment_names(r);
            continue;
        }
        if (memchr(r->from, 0, (size_t)(r->to - r->from)))
            return hnn_fail(e, HNN_EFORMAT, "%s:%ld:1: a zero byte: not a text file in UTF-8", r->path,
                            r->line);
        if (!t->rows && !header && is_header(r, find_separator(r))) {
            take_names(r, find_separator(r));
            header = 1;
            continue;
        }
        if (!r->separator)
            r->separator = find_separator(r);
        code = read_row(r, t, g, e);
        if (!code)
            hnn_text_bytes(&g->block, &block, sizeof block);
        in_block++;
    }
    if (!code && !t->rows)
        code = hnn_fail(e, HNN_EFORMAT, "%s:%ld:1: no row of numbers", r->path, r->line ? r->line : 1);
    if (!code && header && r->names_n > t->cols)
        code = hnn_fail(e, HNN_EFORMAT, "%s:%ld:1: the header has %d names, the rows have %d values", r->path,
                        *(long *)(void *)g->line.s, r->names_n, t->cols);
    if (!code && t->rows > 2 &&
        block + (in_block > 0) == t->rows) /* double-spaced text, not one-row trajectories */
        memset(g->block.s, 0, g->block.n);
    return code;
}

static int keep_names(struct reader *r, hnn_table *t)
{
    if (r->names_n > t->cols || !r->names_n)
        return 1; /* a comment in prose above the rows */
    t->name = calloc((size_t)r->names_n, sizeof *t->name);
    const char *s = r->names.s;
    for (int i = 0; t->name && i < r->names_n; i++, s += strlen(s) + 1) {
        t->name[i] = malloc(strlen(s) + 1);
        if (!t->name[i])
            return 0;
        strcpy(t->name[i], s);
        t->names++;
    }
    return t->name != NULL;
}

int hnn_table_text(const char *path, const char *s, size_t n, hnn_table *t, hnn_error *e)
{
    struct reader r = {.path = path, .s = s, .end = s + n};
    struct growing g = {{0}, {0}, {0}};
    *t = (hnn_table){0};
    if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        r.s += 3;
    int code = read_rows(&r, t, &g, e);
    if (!code && (g.v.failed || g.line.failed || g.block.failed || r.names.failed || !keep_names(&r, t)))
        code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    hnn_text_free(&r.names);
    t->v = (double *)(void *)g.v.s; /* malloc'd, hence aligned */
    t->line = (long *)(void *)g.line.s;
    t->block = (long *)(void *)g.block.s;
    if (code)
        hnn_table_free(t);
    return code;
}
