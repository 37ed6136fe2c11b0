/* work.h - private: the workspace of a program: memory, and every call ready to run.
 * Invariant: what is here changes in ad_work_bind, when the batch does, and in ad_run; never in the program.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_WORK_H
#define AD_WORK_H

#include "pool.h"
#include "program.h"

#include <pthread.h>

typedef struct ad_ready { /* one instruction, ready to run */
    ad_kernel fn;
    ad_kcall c;
    const char *packed; /* second factor of a product, packed for this stage; or NULL */
    bool paired;        /* tanh and its derivative: with the next instruction */
} ad_ready;

typedef struct ad_lane { /* what a thread needs of its own */
    ad_ready *call;      /* by instruction; lane 0 shares the workspace's */
    const void **src;
    int64_t (*shape)[2];
    char *block; /* memory of values that live in one block */
    char *scratch;
} ad_lane;

typedef struct ad_patch { /* a pointer that leads to an input or output */
    const void **pointer;
    int32_t place;
} ad_patch;

struct ad_work {
    const ad_program *p;
    ad_pool *pool;
    int batch, status, lanes;
    char message[240];
    char *memory; /* buffers, packed factors; for each lane block memory and scratch; aligned to 64 bytes */
    size_t memory_size;
    void *native; /* the workspace of a compiled program */
    size_t native_size;
    char *turn; /* repeat.c: pointers, then two of each value that is fed back */
    size_t turn_size;
    /* By place; inputs and outputs: of this run; values of a block: their distance from its start. */
    uintptr_t *addr;
    size_t *buffer; /* by buffer: where it begins in memory, or in the block */
    size_t *packed; /* by instruction: distance of the packed factor in memory, 0: none */
    ad_lane *lane;
    ad_patch *patch;
    int32_t npatch;
    int32_t *moved;   /* attributes that count rows of the batch, two an instruction */
    ad_state **state; /* by instruction, of nodes with several results; NULL when there are none */
    int block;        /* rows of a block: the program's, fewer where that gives threads something to do */
    int file; /* numbers in a slot of an odd stage: the rows of a block, rounded up to whole vectors */
    int64_t args;
    pthread_mutex_t lock;
    /* the first failure, by block, then by instruction */
    int bad_status, bad_piece;
    int32_t bad_ins;
    int64_t bad_row;
};

static inline const ad_buffer *ad_buffer_of(const ad_program *p, int32_t place)
{
    const ad_place *v = &p->place[place];
    return v->where == AD_AT_BUFFER ? &p->buffer[v->index] : NULL;
}
static inline bool ad_in_block(const ad_program *p, int32_t place)
{
    const ad_buffer *b = ad_buffer_of(p, place);
    return b && b->local;
}

/* Bytes of a value for each row of the batch, where blocks are parts of it; 0 for what has no batch or is the block's. */
static inline size_t ad_step_of(const ad_program *p, int32_t place)
{
    const ad_place *v = &p->place[place];
    return v->rows >= 0 || ad_in_block(p, place) ? 0 : (size_t)-v->rows * (size_t)v->cols * p->k->size;
}

static inline size_t ad_rounded(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
/* `count` copies of a number. */
static inline void ad_splat(char *to, const char *from, int count, size_t size)
{
    for (int i = 0; i < count; i++)
        memcpy(to + (size_t)i * size, from, size);
}

/* run.c, the parts of a run: what was given; workspace for a compiled program; the run of a batch that is bound. */
HIDDEN int ad_run_check(ad_work *w, const char *who, int batch, const void *const in[], void *const out[]);
HIDDEN int ad_run_native(ad_work *w, int batch);
HIDDEN int ad_run_bound(ad_work *w, const void *const in[], void *const out[]);
/* Memory, addresses and calls for a batch. AD_OK, or AD_ENOMEM with the message. */
HIDDEN int ad_work_bind(ad_work *w, int batch);
/* Keeps status and message; gives the status. */
HIDDEN int ad_work_fail(ad_work *w, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
