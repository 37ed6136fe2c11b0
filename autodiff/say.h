/* say.h - private: a text that grows, and how a node is written in one.
 * Invariant: after a failed allocation a text stays empty, and ad_said gives NULL.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_SAY_H
#define AD_SAY_H

#include "tape.h"

typedef struct ad_text {
    char *s;
    size_t n, room;
    bool failed;
} ad_text;

HIDDEN void ad_say(ad_text *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
HIDDEN void ad_say_to(ad_text *b, size_t column); /* blanks up to a column of this line, at least two */
HIDDEN char *ad_said(ad_text *b);                 /* the text, to free(); NULL when memory ran out */
HIDDEN void ad_unsay(ad_text *b);                 /* give the text up */

HIDDEN void ad_say_number(ad_text *b, double v); /* six digits; "nan" without a sign */
/* A name with quotes, backslashes and control characters escaped as in C. */
HIDDEN void ad_say_name(ad_text *b, const char *name);
/* A node as an operand: the name of an input, the number of a [1,1] literal, else %id. */
HIDDEN void ad_say_operand(ad_text *b, ad_tape *t, int32_t id);
/* A node as the call that records it: slice(q, 0, 1, 2, 3), matmul_nt(%4, W); scan of 20 steps(q, p), result 2 of %7. */
HIDDEN void ad_say_call(ad_text *b, ad_tape *t, int32_t id);
struct ad_object;
HIDDEN void ad_say_object(ad_text *b,
                          const struct ad_object *o); /* ` of 20 steps`, ` "name of a callback"` */
/* The name of an operation as a caller of ad.h knows it. */
HIDDEN const char *ad_call_name(const ad_tape *t, const ad_node *n);
/* rows x cols numbers as [1 2; 3 4]; what is long is abbreviated. */
HIDDEN void ad_say_matrix(ad_text *b, int64_t rows, int64_t cols, const double v[]);

/* Marks the nodes that x[0 ... n-1] depend on: an array of *count bytes to free(). NULL on an error, which the
 * tape keeps. *tape is the tape of the values. */
HIDDEN uint8_t *ad_needed(const char *who, int n, const ad_var x[], ad_tape **tape, int32_t *count);
/* The batch at which ad_value has computed these nodes; 1 when nothing has one. */
HIDDEN int64_t ad_bound_batch(const ad_tape *t, const uint8_t need[], int32_t count);

#endif
