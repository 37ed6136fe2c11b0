/* program.h - private: a tape's subgraph on its way to instructions, the finished program, and its workspace.
 *
 *   tape -> ad_ir -> passes (live and fold, columns, group) -> plan (order, places, code) -> ad_program -> ad_work -> ad_run
 *
 * Invariant: a program never changes after ad_compile; all that changes in a run is in the workspace.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_PROGRAM_H
#define AD_PROGRAM_H

#include "object.h"

#include <sys/mman.h>

/* The subgraph: nodes as on the tape, but operands are indices into node[] and every constant is an OP_CONST
 * whose attributes are the two halves of an offset into the numbers of the program. */
typedef struct ad_ir {
    ad_tape *tape;  /* for errors only, once the nodes are copied */
    int32_t *block; /* becomes the program's pool and instructions; node stands in it */
    char *rest;     /* of the block, after the nodes */
    ad_node *node;  /* instructions are written over those that are planned */
    int32_t *ext,
        *origin;    /* origin: id on the tape, for messages and dumps; begins the block of uses and trait */
    int32_t *stage; /* odd: row by row; set by ad_pass_group; NULL: all 0 */
    char *room,
        *room_end; /* memory of the caller, AD_IR_ROOM bytes, that ad_ir_take gives first: the rest of it */
    void *scratch; /* what the passes need while they run; each begins with what the last one left */
    size_t scratch_size;
    int32_t *uses;                  /* how many operands and outputs a node is; NULL unless it was folded */
    uint8_t *trait;                 /* AD_IS_...; NULL unless it was folded */
    int32_t n, next, ext_cap, pool; /* pool: words of the block before the instructions */
    int64_t words;                  /* at most: what instructions of all nodes name */
    bool batch, pairs;              /* some node has a batch of rows; some node is the derivative of tanh */
    bool far; /* operands are often at a distance: what is known of them is fetched ahead */
    int nin, nout;
    int32_t *in, *out; /* node of each input (-1: not needed) and output; one block */
    char *consts;      /* numbers of the program's type */
    int64_t nconsts, consts_cap;
    const ad_object **object; /* what attributes of nodes of several results count; one reference each */
    int32_t nobjects, objects_cap;
    bool write_out; /* calls of small functions */
    const ad_kernels *k;
    ad_report report;
} ad_ir;

static inline const int32_t *ad_ir_args(const ad_ir *ir, const ad_node *n)
{
    return n->flags & NODE_EXT ? ir->ext + n->arg[0] : n->arg;
}
static inline int ad_ir_nargs(const ad_ir *ir, const ad_node *n)
{
    return n->flags & NODE_EXT ? ir->ext[n->arg[0] - 1] : n->nargs;
}
static inline const int32_t *ad_ir_attrs(const ad_ir *ir, const ad_node *n)
{
    return ad_ir_args(ir, n) + ad_ir_nargs(ir, n);
}
/* Elementwise operations stand together. */
static inline bool ad_is_elementwise(int op) { return (unsigned)(op - OP_neg) <= OP_ADD_N - OP_neg; }
/* One of one or two operands: nearly all of a long tape. */
static inline bool ad_short(const ad_node *n)
{
    return ad_is_elementwise(n->op) & ((uint8_t)(n->nargs - 1) < 2) & !(n->flags & NODE_EXT);
}
/* What passes ask about nodes, a byte each: a constant (the lowest bit: ad_fold_short compares with it), a repetition, a
 * change of sign, the derivative of tanh; tanh or its derivative; what order.c moves; a single number by a short
 * operation, which plan_single.c plans. */
enum {
    AD_IS_CONST = 1,
    AD_IS_EXPAND = 2,
    AD_IS_NEG = 4,
    AD_IS_DTANH = 8,
    AD_IS_TANH = 16,
    AD_MOVES = 32,
    AD_SINGLE = 64
};
static inline int64_t ad_const_at(const int32_t attr[2]) { return attr[0] + ((int64_t)attr[1] << 30); }

enum { AD_WINDOW = 512 }; /* nodes that order.c sorts at a time */

enum { AD_AT_CONST, AD_AT_INPUT, AD_AT_OUTPUT, AD_AT_BUFFER };

/* Memory for an array as long as the tape, free() it: in large pages from a few MiB on where the system has them, for
 * touching new memory is then a third of what compiling a long tape costs. */
static inline void *ad_long_array(size_t bytes)
{
    enum { LARGE_PAGE = 2 << 20 };
    if (bytes < LARGE_PAGE / 32)
        return malloc(bytes);
    if (bytes < 2 * LARGE_PAGE || bytes > SIZE_MAX - LARGE_PAGE)
        return aligned_alloc(64, (bytes + 64) / 64 * 64);
    size_t whole = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *p = aligned_alloc(LARGE_PAGE, whole);
#ifdef MADV_HUGEPAGE
    if (p)
        (void)madvise(p, whole, MADV_HUGEPAGE); /* advice: without it all works */
#endif
    return p;
}

/* Memory in one block: the next part of it, so many bytes. */
static inline void *ad_carve(char **at, size_t bytes)
{
    char *p = *at;
    *at += (bytes + 63) / 64 * 64;
    return p;
}

typedef struct ad_place { /* where a value lives */
    int32_t rows, cols;   /* as on the tape */
    uint32_t where : 2;   /* AD_AT_... */
    int32_t index : 30;   /* which input, output or buffer */
    uint32_t offset;      /* in numbers, inside it; what begins beyond is copied */
} ad_place;
_Static_assert(sizeof(ad_place) == 16, "a program has one for every node");

typedef struct ad_buffer { /* numbers: fixed, or so many for each row of the batch */
    int64_t fixed, per_row;
    bool local; /* rows of one block only, once for each thread */
} ad_buffer;

typedef struct ad_stage { /* instructions first ... end-1 */
    int32_t first, end;
    bool rows; /* row by row: block after block, in any order */
} ad_stage;

typedef struct ad_ins {
    uint16_t op;
    uint16_t nargs;    /* 65535: the count stands in the pool before the operands */
    int32_t nattr, at; /* pool: result, operands, attributes; in the instruction itself where they are few */
    int32_t origin;
    int32_t few[3];
} ad_ins;
_Static_assert(sizeof(ad_ins) == sizeof(ad_node), "one is written over the other");

/* A run of scalar instructions as code (kernels/k_code.h). Its numbers stand in a file: slots of the buffers of one
 * number (in even stages) or of one number a row of the block (in odd ones), then slots for what comes from elsewhere. */
typedef struct ad_port { /* a place (-1: zero), its first slot, and its numbers */
    int32_t slot, place, count;
} ad_port;
enum { AD_SLOT_MOST = 4 }; /* numbers of a buffer that is part of the file of even stages */
typedef struct ad_run_code {
    int32_t first, end;      /* the instructions it stands for */
    int32_t code;            /* where it begins in ad_program.code */
    int32_t import, nimport; /* in ad_program.port: read before it runs */
    int32_t export, nexport; /* written after it */
} ad_run_code;

struct ad_program {
    const ad_kernels *k;
    int nin, nout;
    int32_t *in, *out;                               /* value of each input (-1: not needed) and output */
    int32_t nplaces, nins, nbuffers, npool, nstages; /* npool: without those of the instructions */
    int block;                                       /* rows of the batch in a block */
    bool products;                                   /* some instruction is a matrix product */
    int32_t *outside, noutside;                      /* places in the memory of inputs and outputs */
    ad_stage *stage;
    ad_place *place;
    ad_buffer *buffer;
    int32_t *pool; /* begins the block that also has ins, place, out, slot and buffer */
    ad_ins *ins;
    ad_run_code *run;
    ad_port *port;
    int32_t *slot;                 /* by buffer: its slot in a file, or -1 */
    int32_t nrun, nport, slots[2]; /* slots in the file of even and of odd stages */
    ad_port *fixed[2];             /* constants of a file: filled once */
    int32_t nfixed[2];
    int32_t *code, ncode;
    char *consts;
    int64_t nconsts;
    const ad_object **object;
    int32_t nobjects;
    int64_t scratch; /* numbers that the greediest kernel needs */
    ad_report report;
    int32_t *feed; /* by output: the input that it is in the next run of ad_repeat, -1; NULL: of none */
    /* native.c: a compiled copy shares all of the above with `base`, which counts such copies as its users. */
    int users;
    ad_program *base;
    void *library;
    int (*native)(int batch, const void *const in[], void *const out[], void *work); /* or NULL */
    size_t (*native_work)(int batch);
    int (*native_repeat)(int64_t count, const int64_t in_step[], const int64_t out_step[], int batch,
                         const void *const in[], void *const out[], void *work); /* or NULL */
};

static inline int ad_ins_nargs(const ad_program *p, const ad_ins *i)
{
    return i->nargs == UINT16_MAX ? p->pool[i->at - 1] : i->nargs;
}
static inline const int32_t *ad_ins_args(const ad_program *p, const ad_ins *i) { return p->pool + i->at + 1; }
static inline const int32_t *ad_ins_attrs(const ad_program *p, const ad_ins *i)
{
    return ad_ins_args(p, i) + ad_ins_nargs(p, i);
}

/* The object of an instruction; NULL for most. */
static inline const ad_object *ad_ins_object(const ad_program *p, const ad_ins *i)
{
    return ad_has_object(i->op) ? p->object[ad_ins_attrs(p, i)[i->op == OP_RESULT]] : NULL;
}

/* live.c: the nodes that the outputs need, in recorded order, folded on the way when `fold`. false when out of memory or
 * an input is missing. */
HIDDEN bool ad_pass_live(ad_ir *ir, ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[],
                         bool fold);
/* ir.c */
HIDDEN void ad_ir_free(ad_ir *ir);
enum { AD_IR_ROOM = 16 << 10 };
HIDDEN void *ad_ir_take(ad_ir *ir, size_t bytes); /* until the program is made; NULL: out of memory */
HIDDEN void ad_ir_give(ad_ir *ir, void *p);       /* back, before that */
/* Memory for so many nodes, new, whose instructions have at most `words` outside of them; false: there is none. */
HIDDEN bool ad_ir_nodes(ad_ir *ir, int64_t room, int64_t words);
/* Words of the pool that the instruction of a node may need. */
static inline int64_t ad_ir_words(const ad_ir *ir, const ad_node *n)
{
    return ad_short(n) ? 0 : n->flags & NODE_EXT ? 2 + ad_ir_nargs(ir, n) + n->nattr : 4;
}
HIDDEN void *ad_ir_scratch(ad_ir *ir,
                           size_t bytes); /* at least so many, as they are where there are enough; or NULL */
HIDDEN int64_t ad_ir_const(ad_ir *ir, int64_t count); /* room for so many numbers: their offset, or -1 */
/* All of it once more, of nodes that a pass made: node and origin are blocks of their own. */
HIDDEN bool ad_pass_fold(ad_ir *ir);
HIDDEN int32_t ad_fold_scale(const ad_ir *ir, const ad_node *n); /* fold_scale.c */
/* columns.c: a few columns as values of their own. */
HIDDEN bool ad_pass_columns(ad_ir *ir);
/* group.c: stages. false when out of memory. */
HIDDEN bool ad_pass_group(ad_ir *ir, bool full);
HIDDEN size_t ad_group_scratch(int64_t nodes);
/* plan.c: instructions, places and buffers; with reuse of memory also runs of scalar instructions as code. */
HIDDEN bool ad_pass_plan(ad_ir *ir, ad_program *p, bool reuse);
HIDDEN size_t ad_plan_scratch(int64_t nodes, int nout); /* what plan.c needs */
/* value.c */
HIDDEN int64_t ad_scratch_of(int op, const int32_t attr[], int64_t cols);

#endif
