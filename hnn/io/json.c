/* json.c - JSON, read strictly: piece by piece, or one document as a tree. */
/* SPDX-License-Identifier: MIT */
#include "io/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

char hnn_json_peek(hnn_json_reader *j)
{
    while (j->s < j->end && (*j->s == ' ' || *j->s == '\n' || *j->s == '\t' || *j->s == '\r'))
        j->s++;
    return j->s < j->end ? *j->s : 0;
}

int hnn_json_take(hnn_json_reader *j, char c)
{
    if (hnn_json_peek(j) != c)
        return 0;
    j->s++;
    return 1;
}

static int hex4(const char *s, unsigned *x)
{
    *x = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, s[i] | (s[i] > '9' ? 32 : 0));
        if (!s[i] || !at)
            return 0;
        *x = *x * 16 + (unsigned)(at - digits);
    }
    return 1;
}

static void add_utf8(hnn_text *t, unsigned c)
{
    char u[4];
    size_t n = 0;
    if (c < 0x80)
        u[n++] = (char)c;
    else {
        if (c < 0x800)
            u[n++] = (char)(0xc0 | c >> 6);
        else {
            if (c < 0x10000)
                u[n++] = (char)(0xe0 | c >> 12);
            else {
                u[n++] = (char)(0xf0 | c >> 18);
                u[n++] = (char)(0x80 | (c >> 12 & 63));
            }
            u[n++] = (char)(0x80 | (c >> 6 & 63));
        }
        u[n++] = (char)(0x80 | (c & 63));
    }
    hnn_text_bytes(t, u, n);
}

int hnn_json_string(hnn_json_reader *j)
{
    j->string.n = 0;
    hnn_text_bytes(&j->string, "", 0);
    if (!hnn_json_take(j, '"'))
        return 0;
    while (j->s < j->end && *j->s != '"') {
        unsigned c = (unsigned char)*j->s++, low;
        if (c < 32)
            return 0;
        if (c != '\\') {
            hnn_text_bytes(&j->string, j->s - 1, 1);
            continue;
        }
        if (j->s >= j->end)
            return 0;
        const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t", *at = strchr(from, *j->s);
        if (*j->s == 'u') {
            if (j->end - j->s < 5 || !hex4(j->s + 1, &c) || c == 0)
                return 0;
            j->s += 5;
            if (c >= 0xd800 && c < 0xdc00) { /* a surrogate pair */
                if (j->end - j->s < 6 || j->s[0] != '\\' || j->s[1] != 'u' || !hex4(j->s + 2, &low) ||
                    low < 0xdc00 || low > 0xdfff)
                    return 0;
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                j->s += 6;
            }
            add_utf8(&j->string, c);
        } else if (*j->s && at) {
            hnn_text_bytes(&j->string, to + (at - from), 1);
            j->s++;
        } else
            return 0;
    }
    return hnn_json_take(j, '"') && !j->string.failed && memchr(j->string.s, 0, j->string.n) == NULL;
}

/* ---- trees ---- */

enum { DEEPEST = 64 };

void hnn_json_free(hnn_json *j)
{
    while (j) {
        hnn_json *next = j->next;
        hnn_json_free(j->child);
        free(j->name), free(j->text);
        free(j);
        j = next;
    }
}

/* -? (0 | [1-9] digits) fraction? exponent?: hnn_number takes what is more than that, so its text is looked at */
static int number(hnn_json_reader *j, double *x)
{
    const char *s = j->s;
    size_t n = hnn_number(s, (size_t)(j->end - s), '.', x), i = n && *s == '-', whole = i;
    while (whole < n && s[whole] >= '0' && s[whole] <= '9')
        whole++;
    if (whole == i || (s[i] == '0' && whole > i + 1) || !isfinite(*x))
        return 0;
    for (size_t k = whole; k < n; k++)
        if (!strchr("0123456789.eE+-", s[k]) ||
            (s[k] == '.' && (k + 1 == n || s[k + 1] < '0' || s[k + 1] > '9')))
            return 0;
    j->s += n;
    return 1;
}

static int word(hnn_json_reader *j, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(j->end - j->s) < n || memcmp(j->s, w, n))
        return 0;
    j->s += n;
    return 1;
}

/* What is read is linked in before its value is known, so that freeing the root frees everything after a failure. */
static int value(hnn_json_reader *j, int depth, hnn_json *v, int *memory);

static int elements(hnn_json_reader *j, int depth, hnn_json *parent, char close, int *memory)
{
    hnn_json **last = &parent->child;
    if (hnn_json_take(j, close))
        return 1;
    do {
        hnn_json *v = calloc(1, sizeof *v);
        if (!v) {
            *memory = 1;
            return 0;
        }
        if (close == '}') {
            int twice = !hnn_json_string(j) || hnn_json_member(parent, j->string.s);
            v->name = twice ? NULL : strdup(j->string.s);
            *memory |= !twice && !v->name;
        }
        *last = v, last = &v->next;
        if (close == '}' && (!v->name || !hnn_json_take(j, ':')))
            return 0;
        if (!value(j, depth + 1, v, memory))
            return 0;
    } while (hnn_json_take(j, ','));
    return hnn_json_take(j, close);
}

static int value(hnn_json_reader *j, int depth, hnn_json *v, int *memory)
{
    static const struct {
        char first;
        int type;
        const char *word;
    } words[] = {{'n', HNN_JSON_NULL, "null"}, {'f', HNN_JSON_FALSE, "false"}, {'t', HNN_JSON_TRUE, "true"}};
    char c = hnn_json_peek(j);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (c == words[i].first) {
            v->type = words[i].type;
            return word(j, words[i].word);
        }
    if (c == '"') {
        int good = hnn_json_string(j);
        v->type = HNN_JSON_TEXT, v->text = good ? strdup(j->string.s) : NULL;
        *memory |= good && !v->text;
        return v->text != NULL;
    }
    if (c != '{' && c != '[') {
        v->type = HNN_JSON_NUMBER;
        return number(j, &v->number);
    }
    v->type = c == '{' ? HNN_JSON_OBJECT : HNN_JSON_ARRAY;
    return depth < DEEPEST && hnn_json_take(j, c) && elements(j, depth, v, c == '{' ? '}' : ']', memory);
}

int hnn_json_read(const char *path, const char *s, size_t n, hnn_json **out, hnn_error *e)
{
    hnn_json_reader j = {s, s + n, {0}};
    int memory = 0;
    *out = calloc(1, sizeof **out);
    int good = *out && value(&j, 0, *out, &memory) && hnn_json_peek(&j) == 0 && j.s == j.end;
    memory |= !*out || j.string.failed;
    hnn_text_free(&j.string);
    if (good && !memory)
        return HNN_OK;
    hnn_json_free(*out);
    *out = NULL;
    return memory ? hnn_fail(e, HNN_EMEM, "%s: out of memory", path)
                  : hnn_fail(e, HNN_EFORMAT, "%s: byte %zu is not what JSON allows", path, (size_t)(j.s - s));
}

const hnn_json *hnn_json_member(const hnn_json *j, const char *name)
{
    const hnn_json *m = j && j->type == HNN_JSON_OBJECT ? j->child : NULL;
    while (m && (!m->name || strcmp(m->name, name)))
        m = m->next;
    return m;
}

const char *hnn_json_text_of(const hnn_json *j, const char *name)
{
    const hnn_json *m = hnn_json_member(j, name);
    return m && m->type == HNN_JSON_TEXT ? m->text : NULL;
}

double hnn_json_number_of(const hnn_json *j, const char *name, double otherwise)
{
    const hnn_json *m = hnn_json_member(j, name);
    return m && m->type == HNN_JSON_NUMBER ? m->number : otherwise;
}
