/* fold.h - private: how nodes come to a program, one after another, equal ones once (fold.c, fold_share.c, live.c).
 * Invariant: what is asked of every node is in line with its copy; everything else is asked of few.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_FOLD_H
#define AD_FOLD_H

#include "program.h"

enum { AD_LINE = 6, AD_LINE_OF = 4, AD_TAG = 10 };
typedef struct ad_line { /* users, by the largest operand, of AD_LINE_OF nodes beside each other */
    uint64_t tags;       /* AD_TAG bits for each: those of its hash, the highest one set; 0 where free */
    int32_t node[AD_LINE];
} ad_line;
typedef struct ad_fold {
    ad_ir *ir;
    ad_node *node; /* the four as in ir */
    int32_t *origin, *uses;
    uint8_t *trait;
    ad_line *line;
    struct ad_rest {
        uint32_t tag;
        int32_t node;                      /* + 1 */
    } * rest;                              /* those without operands or whose line is full, by hash */
    uint32_t nrest, rest_size, rest_first; /* entries, room, and how much it is at first */
    uint8_t traits;                        /* of all nodes */
    int32_t samples;                       /* the first input with a row for each sample, + 1; 0 before it */
} ad_fold;

HIDDEN extern const uint8_t ad_op_trait[OP_COUNT_];
/* At most `room` nodes will come; the first `kept` bytes of the scratch memory are in use. */
HIDDEN bool ad_fold_begin(ad_fold *f, ad_ir *ir, int64_t room, size_t kept);
HIDDEN size_t ad_fold_scratch(int64_t room);                         /* what it needs beside those */
HIDDEN int32_t ad_fold_node(ad_fold *f, ad_node *n, int32_t origin); /* its index in ir; -1: out of memory */
HIDDEN bool ad_fold_end(ad_fold *f, bool ok); /* drops nodes without users, frees all; ok again */
/* fold_share.c */
HIDDEN int32_t ad_fold_short(ad_fold *f, ad_node *n,
                             int32_t origin); /* the same as ad_fold_node where ad_short(n) */
HIDDEN int32_t ad_fold_keep(ad_fold *f, const ad_node *n, int32_t origin);  /* as it is */
HIDDEN int32_t ad_fold_share(ad_fold *f, const ad_node *n, int32_t origin); /* or an equal one */
/* What equals n among those of the line of the larger one of its operands x and y; where that is full, of the other; where
 * both are, among the rest. f->ir->n: none does, and that is where it will be looked for; -1: out of memory. */
HIDDEN int32_t ad_fold_found(ad_fold *f, const ad_node *n, int32_t x, int32_t y, uint32_t hash);

/* The first 16 bytes of a node as two words: what it is but for its operands. */
typedef struct ad_kind {
    uint64_t head, shape;
} ad_kind;
static inline ad_kind ad_kind_of(const ad_node *n)
{
    static const ad_node kept = {.op = UINT16_MAX, .nargs = UINT8_MAX, .flags = NODE_EXT, .nattr = -1};
    ad_kind k;
    uint64_t mask;
    memcpy(&k, n, sizeof k);
    memcpy(&mask, &kept, sizeof mask);
    k.head &= mask;
    return k;
}

static inline uint8_t ad_trait_of(int op, int32_t rows, int32_t cols)
{
    uint8_t t = ad_op_trait[op];
    if (cols == 1 && (rows == 1 || rows == -1))
        return rows == 1 ? t : t & ~AD_SINGLE;
    return op == OP_CONST ? t : t & ~(AD_SINGLE | AD_MOVES);
}

/* 32 bits of what a node with at most two operands is; those of an ad_line tag are the highest. */
static inline uint32_t ad_hash_of(ad_kind k, int32_t x, int32_t y)
{
    uint64_t h = ((uint32_t)x | (uint64_t)(uint32_t)y << 32) * 0x9e3779b97f4a7c15u +
                 (k.head ^ k.shape << 21) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(h >> 32);
}

/* The tags of a line: the highest bit of one is set where it may be that of the hash (where it is, and seldom above one that
 * is); where it is free. */
enum { AD_TAG_FULL = 1 << (AD_TAG - 1) };
static const uint64_t ad_tag_each = 1 | 1 << AD_TAG | 1 << 2 * AD_TAG | (uint64_t)1 << 3 * AD_TAG |
                                    (uint64_t)1 << 4 * AD_TAG | (uint64_t)1 << 5 * AD_TAG;
static inline uint64_t ad_tag_at(uint32_t hash, int at)
{
    return (uint64_t)(hash >> (33 - AD_TAG) | AD_TAG_FULL) << AD_TAG * at;
}
static inline uint64_t ad_tags_same(uint64_t tags, uint32_t hash)
{
    uint64_t differ = tags ^ ad_tag_at(hash, 0) * ad_tag_each;
    return (differ - ad_tag_each) & ~differ & ad_tag_each * AD_TAG_FULL;
}
static inline uint64_t ad_tags_left(uint64_t tags) { return ~tags & ad_tag_each * AD_TAG_FULL; }
static inline int ad_tag_first(uint64_t some) { return __builtin_ctzll(some) / AD_TAG; }

/* A short node to which no rule applies: an equal one, or itself. g is a copy of *f, for its pointers. */
static inline int32_t ad_fold_plain(ad_fold *f, const ad_fold *g, ad_kind k, int op, int two, int32_t x,
                                    int32_t y, int32_t origin)
{
    const uint64_t one = 0x0000000100000001u;
    int32_t second = y & -two, line = (x > y ? x : y) / AD_LINE_OF, i = g->ir->n;
    uint32_t hash = ad_hash_of(k, x, second);
    uint64_t tags = g->line[line].tags, same = ad_tags_same(tags, hash), left = ad_tags_left(tags);
    if (!left && !same) { /* the other operand may have room */
        line = (x > y ? y : x) / AD_LINE_OF;
        tags = g->line[line].tags;
        same = ad_tags_same(tags, hash);
        left = ad_tags_left(tags);
    }
    if (__builtin_expect(same || !left, 0)) { /* or has one that looks the same */
        ad_node n = {.arg = {x, second}};
        memcpy(&n, &k, sizeof k);
        i = ad_fold_found(f, &n, x, y, hash);
        if (i != g->ir->n)
            return i;
    } else {
        int at = ad_tag_first(left);
        g->line[line].tags = tags | ad_tag_at(hash, at);
        g->line[line].node[at] = i;
    }
    g->ir->n = i + 1;
    memcpy(&g->node[i], &k, sizeof k);
    g->node[i].arg[0] = x;
    g->node[i].arg[1] = second;
    g->node[i].arg[2] = 0;
    g->origin[i] = origin;
    g->uses[i] = 0;
    g->uses[x]++;
    g->uses[y] += two;
    uint8_t t = ad_op_trait[op];
    if (k.shape != one)
        t = ad_trait_of(op, g->node[i].rows, g->node[i].cols);
    f->traits |= g->trait[i] = t;
    return i;
}

#endif
