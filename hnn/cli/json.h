/* json.h - a JSON document, written as it goes. Invariant: the text so far is the beginning of a valid document, and
 * closing what is open makes it one; numbers have 17 digits, and what is not finite is null. */
/* SPDX-License-Identifier: MIT */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "text.h"

enum { CLI_JSON_DEPTH = 32 };

typedef struct cli_json {
    hnn_text text;
    int depth;
    char open[CLI_JSON_DEPTH]; /* '{' or '[' */
    int count[CLI_JSON_DEPTH]; /* members so far */
} cli_json;

/* name: of a member of an object; NULL in an array and for the document itself. */
void cli_json_object(cli_json *j, const char *name);
void cli_json_array(cli_json *j, const char *name);
void cli_json_close(cli_json *j);
void cli_json_number(cli_json *j, const char *name, double x);
void cli_json_int(cli_json *j, const char *name, long x);
void cli_json_bool(cli_json *j, const char *name, int x);
void cli_json_text(cli_json *j, const char *name, const char *s); /* NULL: null */
void cli_json_numbers(cli_json *j, const char *name, long n, const double x[]);
void cli_json_raw(cli_json *j, const char *name, const char *document); /* a document as a member */
void cli_json_free(cli_json *j);

#endif
