/* emit.h - private: a program on its way to C text.
 *
 *   ad_program -> values, views (emit_view.c) -> stages, groups (emit_group.c) -> storage (emit_store.c)
 *              -> text (emit_loop.c, emit_call.c, emit.c) -> file (emit_file.c)
 *
 * A call, a loop or a root is a function of the text, and so is what it calls (emit_object.c); its results are values of
 * their own, numbered after those of the program.
 *
 * A unit is what one pass of code works on: all of a value without a batch, or the rows of a value that belong to one
 * row of the batch. Even stages work on values without a batch, or on whole batches; odd stages are a loop over the
 * batch. A group is a loop over elements, straight code, a copy or a call. A view is a value that only arranges others:
 * it is not computed but read through. A chunk is a function of the text.
 * Invariant: a group reads what groups before it stored, or the same element in its own group.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_EMIT_H
#define AD_EMIT_H

#include "func.h"
#include "program.h"
#include "say.h"

#include <stdio.h>

typedef struct ad_em_part { /* kernels as text: embed.awk makes the table; a file's head has the name "" */
    const char *file, *name, *text;
} ad_em_part;
extern HIDDEN const ad_em_part ad_em_parts[];

/* One element of a view: element `at` of value `src`; 0; or 0 + the elements that sums[at ...] counts and lists. */
typedef struct em_entry {
    int32_t src, at;
} em_entry;
enum { EM_ZERO = -1, EM_SUM = -2 };

enum { EM_LEAF, EM_CALC, EM_VIEW, EM_CALL }; /* how a value comes about */
enum {
    EM_TEMP,
    EM_BOUND,
    EM_LOCAL,
    EM_WORK,
    EM_ROWS
}; /* its memory: none; an input, output or constant;
    an array of the function; the workspace; there, for each row of the batch */

typedef struct em_value {
    int32_t ins;           /* its instruction; -1 */
    int32_t n, rows, cols; /* of a unit */
    int32_t times;         /* rows of a unit in a batch; 0 without a batch */
    uint8_t how, where;
    bool variable, stored;     /* has a C variable; needs memory */
    bool crosses, whole;       /* is read by another function; is read as a whole batch */
    bool rows_kept;            /* is read after its loop over the batch */
    int32_t stage, group;      /* where it is computed */
    int32_t last;              /* the order of the group that reads it last */
    int32_t inside;            /* it lives in the memory of that output, from `offset`; -1 */
    int64_t offset;            /* there, or in the workspace */
    int32_t next_end;          /* another value whose memory ends with the same group, + 1 */
    int32_t part_of;           /* its memory is that value's, + 1; 0 */
    int32_t results, unit;     /* of an object: its first result; the function of the text that runs it */
    int64_t marks, marks_rows; /* of a loop: where its checkpoints are among those kept, + 1; 0 */
    em_entry *view;
} em_value;

enum { EM_AFFINE, EM_GRID, EM_PIECES, EM_TABLE };
typedef struct em_piece { /* from element `from` on: src[at + (j - from) step] */
    int32_t from, src, at, step;
} em_piece;
typedef struct em_ref {                               /* an operand, as the elements of the result read it */
    int32_t kind, table, npieces, step_row, step_col; /* grid: src[at + i step_row + k step_col] of piece 0 */
    em_piece *piece;
} em_ref;

enum { EM_LOOP, EM_STRAIGHT, EM_SCALARS, EM_COPY, EM_CALLS };
typedef struct em_group {
    int32_t stage, n, rows, cols, nmembers, cap, cost;
    int32_t place, order, chunk; /* in its stage; among all; which function */
    uint8_t kind;
    bool grid, pieces;
    int32_t *member; /* instructions; of a copy, the value */
} em_group;

typedef struct em_list {
    int32_t *at, n, cap;
} em_list;

typedef struct em_unit { /* a function of the text for a program (p) or an object (o) */
    const void *of;
    char kind;
    int64_t work, work_rows; /* numbers; for each row of its batch */
    int64_t marks,
        marks_rows; /* numbers that outlast it: checkpoints from a loop forward for the one backward */
} em_unit;

enum {
    EM_WHY = 200,
    AD_EM_NAME = 99
}; /* bytes of a reason; characters of a name that those of functions inside begin with */
#define AD_EM_PARAMETERS "const REAL *const in[], REAL *const out[], REAL *work"

typedef struct ad_emitter {
    const ad_program *p;
    struct ad_emitter *top; /* of the program: it has the next two lines; itself */
    ad_text tables, body;   /* the tables and the functions of the text */
    em_unit *unit;
    int32_t nunits, units_cap;
    char why[EM_WHY]; /* what cannot be emitted */
    const char *name; /* of the function */
    char tag[32];     /* ends the names of tables */
    ad_place *place;  /* those of the program, then of results of objects */
    int32_t nvalues;
    em_value *value;
    em_ref **ref; /* by instruction: its operands */
    em_ref *copy; /* by value: what a copy reads */
    em_entry *line;
    int64_t line_cap;
    em_list sums, table, chunk; /* table: numbers; chunk: first group of each, in order */
    struct em_span {
        int32_t at, n;
        bool used;
    } * span; /* tables */
    int32_t nspans, spans_cap;
    em_group *group;
    int32_t ngroups, groups_cap;
    em_list *stage; /* groups of each stage */
    int32_t nstages;
    em_list order;                    /* all groups */
    int64_t work, work_rows, scratch; /* numbers; for each row of the batch; where kernels have scratch */
    int64_t inner, inner_rows;        /* after these: the greediest function that is called */
    int64_t kept, kept_rows;          /* between: checkpoints that outlast such a call */
    bool inlined;                     /* into the loop that runs it */
    uint8_t *used; /* by value, of a function: 1 its address, 2 that of its rows, 4 listed in touched */
    em_list touched;
    bool *const_used;
    struct em_block *blocks;
    bool failed;
} ad_emitter;

/* emit.c: the functions of a program, into body and tables of the top; false with `why` there, or out of memory. */
HIDDEN bool ad_em_program(ad_emitter *e);
/* emit_object.c */
HIDDEN bool ad_em_results(ad_emitter *e); /* a value for each result of each object */
HIDDEN int32_t ad_em_result_at(const ad_emitter *e, int32_t object,
                               int64_t *offset); /* whose memory that is */
/* Its function, of a loop with or without checkpoints that outlast it; -1: it cannot be emitted. */
HIDDEN int32_t ad_em_unit(ad_emitter *e, const ad_object *o, bool linked);
HIDDEN void ad_em_unit_name(const ad_emitter *e, int32_t unit, char out[120]);
/* emit_text.c: text; memory that lives as long as the emitter; NULL and e->failed when there is none. */
HIDDEN void ad_em_indented(ad_text *t, const ad_text *lines); /* by the braces that are open */
HIDDEN void *ad_em_room(ad_emitter *e, size_t bytes);
HIDDEN bool ad_em_push(ad_emitter *e, em_list *l, int32_t x);
HIDDEN void ad_em_release(ad_emitter *e);
HIDDEN void ad_em_number(ad_emitter *e, ad_text *t, int64_t at); /* a number of the program's constants */
HIDDEN void ad_em_real(ad_text *t, double v);                    /* a double */
HIDDEN void ad_em_operation(ad_text *t, int op, const char *const operand[]);
HIDDEN void ad_em_kernels(ad_text *t, const char *body); /* the texts of kernels that the body calls */

/* emit_view.c */
HIDDEN bool ad_em_is_view(int op);
HIDDEN bool ad_em_view(ad_emitter *e, int32_t ins);
HIDDEN em_entry ad_em_entry(const ad_emitter *e, int32_t value, int32_t at); /* what an element of it is */
HIDDEN bool ad_em_read(ad_emitter *e, int32_t operand, int32_t rows, int32_t cols, em_ref *r);
HIDDEN void ad_em_pieces(ad_emitter *e, const em_entry *line, int32_t n, em_ref *r);
HIDDEN em_entry ad_em_at(const ad_emitter *e, const em_ref *r, const em_group *g, int32_t j);
/* emit_group.c */
HIDDEN bool ad_em_group_all(ad_emitter *e);
HIDDEN bool ad_em_pointwise(const ad_emitter *e, const em_ref *r, int32_t n); /* read where it is computed? */
/* emit_store.c */
HIDDEN bool ad_em_store_all(ad_emitter *e);
HIDDEN bool ad_em_in_scope(const ad_emitter *e, int32_t value, const em_group *g);      /* its variable */
HIDDEN int64_t ad_sayress(ad_emitter *e, ad_text *t, int32_t value, const em_group *g); /* name; offset */
/* emit_call.c: where a loop keeps its checkpoints, in C */
HIDDEN void ad_em_marks(const ad_emitter *e, ad_text *t, const em_value *v);
/* emit_loop.c, emit_call.c */
HIDDEN void ad_em_write_group(ad_emitter *e, ad_text *t, const em_group *g);
HIDDEN void ad_em_element(ad_emitter *e, ad_text *t, em_entry x, const em_group *g);
HIDDEN void ad_em_write_call(ad_emitter *e, ad_text *t, const em_group *g);
/* emit_steps.c: is a loop one of few numbers and no batch? Its steps forward, by a C function of `step`, and backward. */
struct ad_loop;
HIDDEN bool ad_em_steps_fit(const struct ad_loop *l);
HIDDEN void ad_em_ahead(ad_text *t, const struct ad_loop *l, const ad_func *step, const char *name,
                        const char *function);
HIDDEN void ad_em_behind(ad_text *t, const struct ad_loop *l, const char *name, const char *function);
/* emit_repeat.c */
HIDDEN bool ad_em_repeats(const ad_emitter *e);
HIDDEN void ad_em_repeat(ad_emitter *e);

static inline const ad_ins *em_ins_of(const ad_emitter *e, int32_t value)
{
    return &e->p->ins[e->value[value].ins];
}
#endif
