/* json.h - private: JSON read strictly (RFC 8259). Invariant: a reader never looks past `end`, and a tree that was read holds
 * only valid values: numbers are finite, strings have no zero byte, names are unique in their object. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_JSON_H
#define HNN_JSON_H

#include "error.h"
#include "text.h"

/* ---- Piece by piece: for formats that allow only a part of JSON ---- */
typedef struct hnn_json_reader {
    const char *s, *end;
    hnn_text string; /* the last string read, unescaped; the reader's owner frees it */
} hnn_json_reader;

char hnn_json_peek(hnn_json_reader *j);        /* the next character that is not blank; 0 at the end */
int hnn_json_take(hnn_json_reader *j, char c); /* 1 and a step forward when that is c */
int hnn_json_string(hnn_json_reader *j);       /* a string, into j->string; 0 when there is none */

/* ---- As a tree ---- */
enum {
    HNN_JSON_NULL,
    HNN_JSON_FALSE,
    HNN_JSON_TRUE,
    HNN_JSON_NUMBER,
    HNN_JSON_TEXT,
    HNN_JSON_ARRAY,
    HNN_JSON_OBJECT
};

typedef struct hnn_json {
    int type;
    char *name; /* of a member of an object, else NULL */
    char *text; /* of TEXT */
    double number;
    struct hnn_json *child, *next; /* the first element, the next one of the same array or object */
} hnn_json;

/* hnn_json_read - one document of n bytes; path is for messages. At most 64 levels. Errors: HNN_EFORMAT with the byte, HNN_EMEM. */
int hnn_json_read(const char *path, const char *s, size_t n, hnn_json **out, hnn_error *e);
void hnn_json_free(hnn_json *j);

/* Of a member (j NULL or no object, no such member or one of another type: NULL, or `otherwise`). */
const hnn_json *hnn_json_member(const hnn_json *j, const char *name);
const char *hnn_json_text_of(const hnn_json *j, const char *name);
double hnn_json_number_of(const hnn_json *j, const char *name, double otherwise);

#endif
