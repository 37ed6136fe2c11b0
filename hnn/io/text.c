/* text.c - the growing string. Invariant: s[n] is a zero byte whenever s is not NULL. */
/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int text_reserve(hnn_text *t, size_t more)
{
    if (t->failed)
        return 0;
    if (more >= SIZE_MAX / 2 - t->n) {
        t->failed = HNN_EMEM;
        return 0;
    }
    size_t need = t->n + more + 1;
    if (need <= t->room)
        return 1;
    size_t room = t->room ? 2 * t->room : 256;
    while (room < need)
        room *= 2;
    char *s = realloc(t->s, room);
    if (!s) {
        t->failed = HNN_EMEM;
        return 0;
    }
    t->s = s;
    t->room = room;
    return 1;
}

void hnn_text_free(hnn_text *t)
{
    free(t->s);
    *t = (hnn_text){0};
}

void hnn_text_bytes(hnn_text *t, const void *bytes, size_t n)
{
    if (!text_reserve(t, n))
        return;
    if (n)
        memcpy(t->s + t->n, bytes, n);
    t->n += n;
    t->s[t->n] = 0;
}

void hnn_text_add(hnn_text *t, const char *s) { hnn_text_bytes(t, s, strlen(s)); }

void hnn_text_printf(hnn_text *t, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (n < 0)
        t->failed = t->failed ? t->failed : HNN_EARG;
    else if (text_reserve(t, (size_t)n)) {
        vsnprintf(t->s + t->n, (size_t)n + 1, format, again);
        t->n += (size_t)n;
    }
    va_end(again);
}

/* printf writes the decimal sign of the locale that the application chose; files always have a point */
static void text_decimal(char *s)
{
    const char *sign = localeconv()->decimal_point;
    size_t n = strlen(sign);
    char *at = strcmp(sign, ".") ? strstr(s, sign) : NULL;
    if (at) {
        *at = '.';
        memmove(at + 1, at + n, strlen(at + n) + 1);
    }
}

void hnn_text_number(hnn_text *t, double x)
{
    char s[64];
    if (isnan(x))
        hnn_text_add(t, "nan");
    else if (isinf(x))
        hnn_text_add(t, x > 0 ? "inf" : "-inf");
    else {
        snprintf(s, sizeof s, "%.17g", x);
        text_decimal(s);
        hnn_text_add(t, s);
    }
}

void hnn_text_short(hnn_text *t, double x, int digits)
{
    char s[400];
    if (!isfinite(x)) {
        hnn_text_number(t, x);
        return;
    }
    snprintf(s, sizeof s, "%.*f", digits < 0 ? 0 : digits > 17 ? 17 : digits, x);
    text_decimal(s);
    if (strchr(s, '.')) {
        size_t n = strlen(s);
        while (s[n - 1] == '0')
            n--;
        if (s[n - 1] == '.')
            n--;
        s[n] = 0;
    }
    hnn_text_add(t, strcmp(s, "-0") ? s : "0");
}

void hnn_text_xml(hnn_text *t, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        const char *name = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
        name = c == '"' ? "&quot;" : c == '\'' ? "&#39;" : name;
        if (name)
            hnn_text_add(t, name);
        else if (c >= 32 || c == '\t' || c == '\n')
            hnn_text_bytes(t, s, 1);
    }
}

void hnn_text_json(hnn_text *t, const char *s)
{
    hnn_text_add(t, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            hnn_text_printf(t, "\\%c", c);
        else if (c == '\n')
            hnn_text_add(t, "\\n");
        else if (c < 32)
            hnn_text_printf(t, "\\u%04x", c);
        else
            hnn_text_bytes(t, s, 1);
    }
    hnn_text_add(t, "\"");
}

int hnn_text_status(const hnn_text *t, hnn_error *e)
{
    if (!t->failed)
        return HNN_OK;
    return hnn_fail(e, t->failed, "out of memory while writing text of %zu bytes", t->n);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

size_t hnn_number(const char *s, size_t n, char decimal, double *x)
{
    char copy[128];
    size_t i = 0, digits = 0;
    const char *sign = localeconv()->decimal_point;
    size_t m = 0, sign_n = strlen(sign);
    if (sign_n > 8)
        return 0;
    if (i < n && (s[i] == '+' || s[i] == '-'))
        copy[m++] = s[i++];
    for (int point = 0; i < n && (is_digit(s[i]) || (!point && (s[i] == '.' || s[i] == decimal))); i++) {
        if (m + 16 > sizeof copy)
            return 0;
        if (is_digit(s[i]))
            copy[m++] = s[i], digits++;
        else {
            memcpy(copy + m, sign, sign_n);
            m += sign_n, point = 1;
        }
    }
    if (!digits)
        return 0;
    if (i < n && strchr("eEdD", s[i]) && s[i]) { /* an exponent only if digits follow it */
        size_t j = i + 1, start = m;
        copy[m++] = 'e';
        if (j < n && (s[j] == '+' || s[j] == '-'))
            copy[m++] = s[j++];
        size_t first = j;
        while (j < n && is_digit(s[j])) {
            if (m + 2 > sizeof copy)
                return 0;
            copy[m++] = s[j++];
        }
        if (j > first)
            i = j;
        else
            m = start;
    }
    copy[m] = 0;
    *x = strtod(copy, NULL);
    return i;
}
