/* plan.h - private: what plan.c, plan_single.c, order.c and code.c share while a program is made.
 * Invariant: a value has its place, and its slot where it has one, when its instruction is there; code follows the
 * instructions one by one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_PLAN_H
#define AD_PLAN_H

#include "program.h"

/* Where a value is, in one word so that it moves as one. Low half, `hold`: twice (its buffer + 1), 0 when it is elsewhere;
 * + 1 when it is all of a single number. High half, `slot`: twice its slot in a file, + 1 in that of odd stages; negative
 * when it has none in this run. */
typedef uint64_t ad_spot;
static inline ad_spot ad_spot_of(int32_t hold, int32_t slot)
{
    return (uint32_t)hold | (uint64_t)(uint32_t)slot << 32;
}
static inline int32_t ad_hold(ad_spot s) { return (int32_t)s; }
static inline bool ad_is_one(ad_spot s) { return s & 1; }
static inline int32_t ad_slot(ad_spot s) { return (int32_t)(s >> 32); }

typedef struct ad_coder {
    ad_program *p;
    ad_spot *spot;                           /* by place */
    int32_t *touched, ntouched, touched_cap; /* places that have a slot in this run only */
    int32_t *exported, nexported, exported_cap;
    int32_t *const_slot
        [2]; /* by place, and one more for zero: the slot of a constant + 1; NULL: none has one yet */
    int32_t code_cap, port_cap, fixed_cap[2], run_cap;
    struct ad_written {
        int32_t place, run;
    } * written;          /* by output: what wrote it, in which run */
    int32_t count_at, op; /* of the group being written */
    int32_t first;        /* of the run, known to be scalar; -1: none is */
    bool open;            /* the run is being written: it has two instructions or more */
    ad_run_code run;
    int odd;
    bool ok;
} ad_coder;

/* Free buffers: those of at most SMALL numbers by exact size, larger ones in a list searched for the best fit. */
enum { AD_FIXED, AD_BATCHED, AD_BLOCK, AD_KINDS, AD_SMALL = 64 };
typedef struct ad_heap {
    int32_t small[AD_KINDS][AD_SMALL + 1]; /* by size: first free buffer + 1 */
    int32_t *next;                         /* by buffer: the next free one + 1 */
    int32_t *large[AD_KINDS], nlarge[AD_KINDS], cap[AD_KINDS];
    ad_spot *
        one; /* those of one number, fixed, as what they hold has them: the last is taken first, as with the others */
    uint32_t none;
} ad_heap;

typedef struct ad_planner {
    ad_ir *ir;
    ad_program *p;
    ad_coder code;
    ad_heap h;
    uint8_t *mark; /* by node */
    uint32_t
        *left; /* by buffer + 1: operands and outputs still to come that are what is in it, or a part of it */
    ad_spot *spot; /* by place */
    int32_t *pending, npending, pending_cap, outside_cap;
    int32_t *order;  /* nodes as they are planned, ~i unless it is AD_SINGLE; NULL: as they stand */
    int32_t first;   /* position where it begins */
    int32_t ordered; /* positions that have their nodes */
    int32_t *root;   /* by node, where there are stages: the node whose memory it is part of */
    int32_t fetched; /* nodes that are in cache, or on the way */
    bool reuse;
} ad_planner;

/* order.c: the nodes of some more positions */
enum { AD_PIECE = AD_WINDOW, AD_AHEAD = 16, AD_ORDER = 2048 };
_Static_assert(AD_ORDER >= AD_PIECE + AD_AHEAD + AD_WINDOW, "what is planned and what is sorted at once");
static inline int32_t *ad_order_at(const ad_planner *s, int32_t k) { return &s->order[k - s->first]; }
HIDDEN void ad_order_begin(ad_planner *s);
HIDDEN void ad_order_more(ad_planner *s, int32_t k,
                          int32_t most);                    /* as many at least; those before k have served */
static inline void ad_order_ahead(ad_planner *s, int32_t k) /* those of a piece from k on, and a few */
{
    int32_t most = s->ir->n - k < AD_PIECE + AD_AHEAD ? s->ir->n : k + AD_PIECE + AD_AHEAD;
    if (s->ordered < most)
        ad_order_more(s, k, most);
}

/* plan_heap.c */
static inline int ad_kind_of_buffer(const ad_buffer *b)
{
    return b->fixed ? AD_FIXED : b->local ? AD_BLOCK : AD_BATCHED;
}
HIDDEN bool ad_heap_put(ad_heap *h, const ad_program *p, int32_t b); /* it is free; false: out of memory */
HIDDEN int32_t ad_heap_take(ad_planner *s, int kind, int64_t size);  /* a free one, or a new one */
HIDDEN int32_t ad_new_buffer(ad_planner *s, int64_t fixed, int64_t per_row, bool local);

/* plan_single.c: nodes k ... of the order, as far as they are single numbers computed from one or two of them inside a run
 * of an even stage: where it stopped, which may be k. */
HIDDEN int32_t ad_plan_singles(ad_planner *s, int32_t k);

/* code.c */
HIDDEN void ad_code_begin(ad_coder *c, ad_program *p, ad_spot *spot, int64_t pool); /* of so many words */
HIDDEN void ad_code_add(ad_coder *c);                    /* the last instruction of the program */
HIDDEN int32_t ad_code_slot(ad_coder *c, int32_t place); /* where an operand is in the open run */
HIDDEN bool ad_code_room(ad_coder *c, int32_t words);    /* for so many more */
HIDDEN void ad_code_close(ad_coder *c);                  /* the run, where one is open */
HIDDEN bool ad_code_end(ad_coder *c);                    /* frees; false: out of memory on the way */
/* As a spot has it, of a place whose buffer is in a file itself; negative: it is not. */
static inline int32_t ad_own_slot(const ad_program *p, int32_t place)
{
    const ad_place *v = &p->place[place];
    if (v->where != AD_AT_BUFFER || p->slot[v->index] < 0)
        return -2;
    return 2 * (p->slot[v->index] + (int32_t)v->offset) + (v->rows < 0);
}

#endif
