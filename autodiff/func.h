/* func.h - private: recorded functions.
 *
 * A function holds a tape of its own that nothing else touches: its inputs, in order, and the nodes its outputs
 * need. Functions derived from it (pullback, tangent, the bodies of loops) are recorded when first asked for and
 * kept under a key; so are its programs, one for each real type.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_FUNC_H
#define AD_FUNC_H

#include "object.h"

struct ad_func {
    ad_object o; /* in, out: the shapes of arguments and results */
    ad_tape *tape;
    ad_var *in, *out;     /* on it */
    uint8_t *need;        /* by node: an output needs it */
    int32_t inline_nodes; /* what a program gets when the call is written out: nodes and pool entries */
    int64_t inline_pool;
    struct ad_func_kept *kept; /* programs and derived functions, behind a lock */
};

extern HIDDEN const ad_class ad_call_class;
HIDDEN void ad_func_destroy(ad_object *o);

/* Kinds of derived functions: the first byte of a key. The rest is written by the recorder that uses it. */
enum { AD_KEY_VJP = 1, AD_KEY_JVP, AD_KEY_STEP, AD_KEY_BACK, AD_KEY_SCAN_JVP, AD_KEY_ROOT };

/* The function kept under the key (of n bytes), recorded by `record` when it is not there yet; owned by f.
 * NULL with *why set (a status and a text) when that fails. */
typedef struct ad_reason {
    int status;
    char message[300];
} ad_reason;
HIDDEN const ad_func *ad_derived(const ad_func *f, size_t n, const uint8_t key[],
                                 ad_func *(*record)(const ad_func *f, const uint8_t key[], ad_reason *why),
                                 ad_reason *why);
/* Records the nodes of f on t, with in[] (of exactly its shapes) for its inputs. */
HIDDEN bool ad_func_into(const ad_func *f, ad_tape *t, const ad_var in[], ad_var out[]);
/* A function of nodes of t, which is freed with what is on it; NULL with the reason. */
HIDDEN ad_func *ad_func_take(ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[],
                             ad_reason *why);
/* A fresh input of a private tape: its name is the kind and a number. */
HIDDEN ad_var ad_func_input(ad_tape *t, const char *kind, int i, ad_shape s, bool masked);
HIDDEN bool ad_func_masked(const ad_func *f, int i); /* whether input i carries zeros of a where() */
/* The function that programs write out instead of calling it at node n; NULL for any other node. */
HIDDEN const ad_func *ad_inlined(const ad_tape *t, const ad_node *n);
HIDDEN const ad_program *ad_func_program(const ad_func *f, int real);
/* Of a root: (y, x) -> F and J row by row, and when it has arrived. */
HIDDEN const ad_func *ad_root_newton(const ad_object *o, int real, int *max_iter, double *tolerance);
/* f's pullback for the wanted arguments and seeded results: (in..., seeds) -> wanted adjoints. */
HIDDEN const ad_func *ad_func_vjp(const ad_func *f, bool masked, const bool want[], const bool seeded[],
                                  ad_reason *why);
/* f's tangent: (in..., tangents of the moved arguments) -> the tangents of all results. */
HIDDEN const ad_func *ad_func_jvp(const ad_func *f, const bool moved[], ad_reason *why);

#endif
