/* json.c - a JSON document, written as it goes. Arrays of numbers stand on one line, members on their own. */
/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>

static void indent(cli_json *j)
{
    hnn_text_add(&j->text, "\n");
    for (int i = 0; i < j->depth; i++)
        hnn_text_add(&j->text, "  ");
}

static void member(cli_json *j, const char *name)
{
    if (!j->depth)
        return;
    hnn_text_add(&j->text, j->count[j->depth - 1]++ ? "," : "");
    indent(j);
    if (name) {
        hnn_text_json(&j->text, name);
        hnn_text_add(&j->text, ": ");
    }
}

static void open_as(cli_json *j, const char *name, char bracket)
{
    member(j, name);
    if (j->depth == CLI_JSON_DEPTH) { /* a mistake of the program: the document is not written */
        j->text.failed = HNN_EARG;
        return;
    }
    hnn_text_bytes(&j->text, &bracket, 1);
    j->open[j->depth] = bracket;
    j->count[j->depth++] = 0;
}

void cli_json_object(cli_json *j, const char *name) { open_as(j, name, '{'); }
void cli_json_array(cli_json *j, const char *name) { open_as(j, name, '['); }

void cli_json_close(cli_json *j)
{
    if (!j->depth)
        return;
    j->depth--;
    if (j->count[j->depth])
        indent(j);
    hnn_text_add(&j->text, j->open[j->depth] == '{' ? "}" : "]");
    if (!j->depth)
        hnn_text_add(&j->text, "\n");
}

static void value(hnn_text *t, double x)
{
    if (isfinite(x))
        hnn_text_number(t, x);
    else
        hnn_text_add(t, "null");
}

void cli_json_number(cli_json *j, const char *name, double x)
{
    member(j, name);
    value(&j->text, x);
}

void cli_json_int(cli_json *j, const char *name, long x)
{
    member(j, name);
    hnn_text_printf(&j->text, "%ld", x);
}

void cli_json_bool(cli_json *j, const char *name, int x)
{
    member(j, name);
    hnn_text_add(&j->text, x ? "true" : "false");
}

void cli_json_text(cli_json *j, const char *name, const char *s)
{
    member(j, name);
    if (s)
        hnn_text_json(&j->text, s);
    else
        hnn_text_add(&j->text, "null");
}

void cli_json_numbers(cli_json *j, const char *name, long n, const double x[])
{
    member(j, name);
    hnn_text_add(&j->text, "[");
    for (long i = 0; i < n; i++) {
        hnn_text_add(&j->text, i ? ", " : "");
        value(&j->text, x[i]);
    }
    hnn_text_add(&j->text, "]");
}

void cli_json_raw(cli_json *j, const char *name, const char *document)
{
    member(j, name);
    hnn_text_add(&j->text, document);
}

void cli_json_free(cli_json *j)
{
    hnn_text_free(&j->text);
    *j = (cli_json){0};
}
