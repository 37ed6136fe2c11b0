/* expr.h - private to the parser of expressions: what its files share.
 *
 * Invariant: a value at level 0 is whole; at level L > 0 it has one column for each element of the L-th
 * open sum, counted from the outside, so nothing recorded depends on how long a sum is.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_EXPR_H
#define AD_EXPR_H

#include "tape.h"

#define EX_HIDDEN __attribute__((visibility("hidden")))

enum {
    EX_DEPTH = 1000,    /* of nested parentheses, signs, powers and calls: bounds the stack */
    EX_TEXT = 1 << 20,  /* characters of a text */
    EX_TERMS = 1 << 26, /* terms of one sum */
    EX_NAMES = 4096,    /* definitions: they are looked up one by one */
    EX_AXES = 8,        /* sums inside each other */
    EX_ARGS = 1 << 16   /* arguments of a call */
};

typedef struct ex_name {
    const char *s;
    int n;
} ex_name;

typedef struct ex_value {
    ad_var v;
    int level;
} ex_value;

typedef struct ex_ints { /* integers, one for each element of its level; level 0: `one` */
    int level, one;
    int *list;
} ex_ints;

typedef struct ex_axis { /* an open sum */
    int n;               /* elements */
    int *up;             /* the element of the axis outside that each belongs to, ascending */
    int names;           /* its indices: i, or the pair i, j */
    ex_name name[2];
    int *value[2];
} ex_axis;

typedef struct ex_symbol {
    ex_name name;
    ad_var v;
} ex_symbol;

typedef struct ex_parser {
    ad_tape *t;
    const char *text, *at; /* at: the next character */
    ex_symbol *symbol;
    int symbols, room, given;
    int n; /* columns of the widest value named */
    ex_axis axis[EX_AXES];
    int axes, depth;
    int dry;    /* inside an empty sum: read, do not record */
    int failed; /* `bad` holds the void value of the first error */
    ad_var bad;
    struct ex_block *blocks; /* lists of integers, released in reverse order */
} ex_parser;

/* expr.c */
EX_HIDDEN ex_value ad_ex_fail(ex_parser *p, const char *where, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
EX_HIDDEN char ad_ex_peek(ex_parser *p); /* skips blanks */
EX_HIDDEN int ad_ex_take(ex_parser *p, char c);
EX_HIDDEN int ad_ex_expect(ex_parser *p, char c, const char *after);
EX_HIDDEN ex_name ad_ex_read_name(ex_parser *p); /* n = 0: none */
EX_HIDDEN int ad_ex_same(ex_name a, ex_name b);
EX_HIDDEN ex_value ad_ex_expr(ex_parser *p, int min);
EX_HIDDEN int ad_ex_find(const ex_parser *p, ex_name name, ad_var *v);

/* expr_index.c: integers and sums */
EX_HIDDEN int *ad_ex_room(ex_parser *p, int n);
EX_HIDDEN void ad_ex_release(ex_parser *p, const struct ex_block *to);
EX_HIDDEN ex_ints ad_ex_index(ex_parser *p, int min);
EX_HIDDEN int ad_ex_integer(ex_parser *p, int *out); /* an integer that no index changes */
EX_HIDDEN ex_value ad_ex_element(ex_parser *p, ex_value x, const char *where);
EX_HIDDEN ex_value ad_ex_sum(ex_parser *p, int product, const char *where);
EX_HIDDEN int ad_ex_axis_index(const ex_parser *p, ex_name name, int *level, int **list);
EX_HIDDEN ex_value ad_ex_lift(ex_parser *p, ex_value x, int level, const char *where);

/* expr_call.c: numbers and functions */
EX_HIDDEN double ad_ex_number(ex_parser *p);
EX_HIDDEN ex_value ad_ex_call(ex_parser *p, ex_name name);
EX_HIDDEN int ad_ex_callable(const char *name, int integers); /* a function with so many integers? */
EX_HIDDEN ex_value ad_ex_binary(ex_parser *p, ad_var (*f)(ad_var, ad_var), ex_value a, ex_value b,
                                const char *where);
EX_HIDDEN ex_value ad_ex_literal(ex_parser *p); /* [1, 2; 3, 4] */

#endif
