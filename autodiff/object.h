/* object.h - private: what a node of several results refers to: a function, a loop, a root, a callback.
 *
 * The node (OP_CALL ... OP_CUSTOM) stands for all results, laid one after another; OP_RESULT nodes are its parts.
 * An object has a signature: the shapes of its operands and results, where AD_BATCH is its own batch. A node binds
 * that batch to a row count of its tape: its `rows`. Attributes: OP_CALL ... OP_CUSTOM {index into the objects of
 * the tape or program}, OP_RESULT {which, the same index}.
 * Invariant: an object never changes once it is on a tape; what is found out later about it (programs, derived
 * functions) is behind a lock. Tapes and programs count their references.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_OBJECT_H
#define AD_OBJECT_H

#include "kernels/kernels.h"

typedef struct ad_shape {
    int32_t rows, cols;
} ad_shape;

typedef struct ad_object ad_object;

typedef struct ad_state { /* begins what a workspace keeps for one node */
    const ad_object *object;
    char message[240]; /* of the last failure */
} ad_state;

typedef struct ad_class {
    int op;
    void (*destroy)(ad_object *o); /* what is its own; the object itself is freed after it */
    ad_state *(*open)(const ad_object *o, int real, ad_pool *pool); /* NULL: out of memory */
    void (*close)(ad_state *s);
    int (*run)(ad_kcall *c);
    /* Adjoints da of the operands a with want from those of the results, g (the number 0 where there is none). */
    void (*pullback)(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[], const bool want[],
                     ad_var da[]);
    /* Tangents ty of all results from those of the operands, ta (the number 0 where there is none). */
    void (*tangent)(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[], ad_var ty[]);
} ad_class;

struct ad_object {
    const ad_class *class;
    int references; /* atomic */
    int nin, nout;
    ad_shape *in, *out; /* in one block with the two below */
    int64_t *at_fixed;  /* result k begins at at_fixed[k] + at_row[k] * batch numbers; [nout] is the size */
    int64_t *at_row;
};

static inline bool ad_is_object(int op) { return op >= OP_CALL && op <= OP_CUSTOM; }
static inline bool ad_has_object(int op) { return op >= OP_CALL && op <= OP_RESULT; }
static inline int64_t ad_result_at(const ad_object *o, int k, int64_t batch)
{
    return o->at_fixed[k] + o->at_row[k] * batch;
}
static inline int64_t ad_shape_size(ad_shape s, int64_t batch) { return ad_rows_at(s.rows, batch) * s.cols; }

/* Room for a signature in a zeroed object; the caller writes the shapes, then ad_object_lay. false: out of memory. */
HIDDEN bool ad_object_sign(ad_object *o, const ad_class *class, int nin, int nout);
HIDDEN void ad_object_lay(ad_object *o);
HIDDEN const ad_object *ad_object_keep(const ad_object *o); /* one reference more */
HIDDEN void ad_object_drop(const ad_object *o);             /* one less; NULL is allowed */
HIDDEN const ad_object *ad_object_of(const ad_tape *t, const ad_node *n);
HIDDEN void ad_objects_cut(ad_tape *t, int32_t nodes); /* releases those of nodes >= `nodes` */

/* Checks operands against the signature (numbers and single rows are repeated), records the node. */
HIDDEN ad_var ad_object_node(ad_tape *t, const char *who, const ad_object *o, const ad_var in[]);
HIDDEN ad_var ad_result(ad_var node, int k); /* the value of result k */
/* Shapes at a node whose rows are `bind`. */
HIDDEN ad_shape ad_operand_shape(const ad_object *o, int i, int32_t bind);
HIDDEN ad_shape ad_result_shape(const ad_object *o, int k, int32_t bind);

/* g as a value of result k's shape at that node. */
HIDDEN ad_var ad_shaped(ad_tape *t, ad_var g, ad_shape s);

/* object_report.c: what running it costs, and the memory that holds it. Flops and bytes are for a batch of 1, and more
 * for each further row. A loop backward counts each step forward twice unless it keeps all; a root one Newton step. */
typedef struct ad_cost {
    double flops, flops_per_row;
    int64_t bytes, bytes_per_row;
} ad_cost;
HIDDEN ad_cost ad_object_cost(const ad_object *o, int real, int32_t bind);
HIDDEN size_t ad_object_bytes(const ad_object *o);
HIDDEN const char *ad_custom_name(const ad_object *o);
HIDDEN bool ad_custom_row_local(const ad_object *o); /* as the caller said */

/* "ad_call (node 7): ..." without the name of the run inside. */
HIDDEN const char *ad_inner(const char *message);

#endif
