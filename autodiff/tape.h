/* tape.h - private: what a tape holds. Nodes live in chunks and never move; an operand is always
 * recorded before its user, so ascending ids are a topological order.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_TAPE_H
#define AD_TAPE_H

#define AD_NO_SUGAR
#include "ad.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define N ad_num

enum {
    OP_INPUT, /* attr: input number */
    OP_CONST, /* attr: offset into values (two halves) */
    OP_FILL,  /* all elements equal; attr: offset into values */
    OP_EYE,
#define UNARY(name, cost, value, rule, lo, hi) OP_##name,
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) OP_##name,
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) OP_##name,
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
    OP_ADD_N,
#define SHAPE_OP(OP, name, kind, arity, attrs) OP,
#include "ops_shape.def"
#undef SHAPE_OP
    OP_COUNT_
};

enum { AD_LEAF, AD_ELEMENTWISE, AD_LINEAR, AD_BILINEAR, AD_OTHER };

enum {
    NODE_EXT = 1,   /* operands and attributes are in the ext pool, at arg[0] */
    NODE_MASKED = 2 /* a product or sum with what where() made 0: the other factor may be infinite there */
};

typedef struct ad_node {
    uint16_t op;
    uint8_t nargs, flags;
    int32_t nattr;
    int32_t rows, cols;
    int32_t arg[3]; /* operands first, then attributes */
} ad_node;          /* 28 bytes */

typedef struct ad_inp { /* an input and its bound value */
    char *name;
    int32_t id, rows_bound, next; /* next: the input before it under the same hash of names + 1 */
    double *value;
} ad_inp;

_Static_assert(sizeof(ad_node) <= 32, "a recorded scalar node costs at most 32 bytes");

#define CHUNK_BITS 12
#define CHUNK (1 << CHUNK_BITS)
#define CACHE (1 << 12)

struct ad_tape {
    ad_node **chunk;
    int32_t nchunks, n;
    int32_t *ext;
    int32_t next, ext_cap;
    double *values;
    int64_t nvalues, values_cap;
    ad_inp *input;
    int32_t ninputs, inputs_cap;
    int32_t *named, named_size; /* by hash of names: the last input + 1 */
    uint32_t epoch;
    struct ad_cut {
        uint32_t epoch;
        int32_t nodes;
    } * cut; /* rewinds, ascending in nodes: a handle is stale when a later one cut below its id */
    int32_t ncuts, cuts_cap;
    struct ad_recent { /* recently recorded nodes by hash */
        uint32_t tag;  /* more bits of it: few nodes are looked at in vain */
        int32_t id;    /* + 1 */
    } * cache;
    bool masks; /* some node is masked */
    int status;
    char message[400];
    double **val; /* values of nodes, kept until an input changes */
    int32_t nval;
    int64_t batch; /* the batch at which they were computed; 0 before any has one */
    bool guard;    /* a rule is being recorded for a masked adjoint: 0 times infinity is 0 */
    struct ad_entry {
        const struct ad_object *object;
        int32_t node;
    } * object; /* what nodes of several results refer to, ascending in nodes; references are counted */
    int32_t nobjects, objects_cap;
    struct ad_evals *evals; /* programs that ad_eval keeps */
};

typedef struct ad_opinfo {
    const char *name;
    uint8_t kind, cost;
    int8_t arity;
} ad_opinfo;
extern HIDDEN const ad_opinfo ad_ops[OP_COUNT_];

/* A row count at run time: the number, or a multiple of the batch. */
static inline int64_t ad_rows_at(int32_t rows, int64_t batch)
{
    return rows >= 0 ? rows : -(int64_t)rows * batch;
}
static inline ad_node *ad_at_id(const ad_tape *t, int32_t id)
{
    return &t->chunk[id >> CHUNK_BITS][id & (CHUNK - 1)];
}
static inline const int32_t *ad_args(const ad_tape *t, const ad_node *n)
{
    return n->flags & NODE_EXT ? t->ext + n->arg[0] : n->arg;
}
static inline int ad_nargs(const ad_tape *t, const ad_node *n)
{
    return n->flags & NODE_EXT ? t->ext[n->arg[0] - 1] : n->nargs;
}
static inline const int32_t *ad_attrs(const ad_tape *t, const ad_node *n)
{
    return ad_args(t, n) + ad_nargs(t, n);
}
static inline ad_var ad_var_of(ad_tape *t, int32_t id)
{
    ad_var v;
    v.tape = t;
    v.id = id;
    v.mark = t->epoch;
    return v;
}

/* A live handle of this very tape: what a call almost always gets. Anything else is sorted out by ad_join. */
static inline bool ad_fresh(const ad_tape *t, ad_var v)
{
    return v.tape == t && v.id >= 0 && v.mark == t->epoch && v.id < t->n;
}

/* A handle without a usable tape, the result of calls on a NULL tape, points here. Never read, never written. */
extern HIDDEN const char ad_nowhere;
static inline bool ad_real_tape(const ad_tape *t)
{
    return t && t != (const ad_tape *)(const void *)&ad_nowhere;
}

HIDDEN ad_var ad_void(ad_tape *t);
HIDDEN ad_var ad_fail(ad_tape *t, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
HIDDEN char *ad_shape_text(char buffer[32], int rows, int cols);
HIDDEN ad_node *ad_node_of(ad_var v); /* NULL for numbers, void and stale handles */
/* One tape for all operands; numbers become nodes. false when something is void or foreign. */
HIDDEN bool ad_join(const char *who, int n, const ad_var in[], ad_var out[], ad_tape **tape);
/* Records a node whose shape is known and whose operands are checked. */
HIDDEN ad_var ad_push(ad_tape *t, int op, int rows, int cols, int nargs, const ad_var args[], int nattr,
                      const int32_t attrs[]);
HIDDEN bool ad_literal(ad_var x, double *value); /* a number, or a fill of one value */
HIDDEN ad_var ad_record_fill(ad_tape *t, int rows, int cols, double value);
HIDDEN int64_t ad_add_values(ad_tape *t, int64_t count,
                             const double values[]); /* where they are; -1: no memory */
HIDDEN void ad_inputs_cut(ad_tape *t, int32_t to);   /* leaf.c: the later ones go */
/* Records the same operation on other operands (shape inferred anew). */
HIDDEN ad_var ad_again(const ad_tape *from, const ad_node *n, ad_tape *t, const ad_var args[]);
/* Adjoints of the operands of node y, given its adjoint g: da[i] for those with want[i]. */
HIDDEN void ad_pullback(ad_var y, ad_var g, const ad_var args[], const bool want[], ad_var da[]);
HIDDEN void ad_shape_pullback(ad_var y, ad_var g, const ad_var a[], const bool want[], ad_var da[]);
HIDDEN ad_var ad_elementwise(int op, int n, const ad_var in[]);
/* Tangent of node y given the tangents of its operands (number 0 where there is none). */
HIDDEN ad_var ad_shape_tangent(ad_var y, const ad_var a[], const ad_var ta[]);
/* Which nodes lie between x and y: they depend on an x, and a y depends on them. NULL after an error; free(on). */
typedef struct ad_span {
    int32_t lo, hi; /* ids lo ... hi-1 */
    uint8_t *on;
} ad_span;
HIDDEN ad_tape *ad_between(const char *who, int ny, const ad_var y[], int nx, const ad_var x[], ad_span *s);
HIDDEN void ad_forget_values(ad_tape *t);

#endif
