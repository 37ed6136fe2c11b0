/* order.c - pass: in long stretches of single numbers, what has the same operation and depth comes together, so that
 * scalar code is a few long groups: an operation and a count once, then nothing but indices.
 * Contract: still topological, stages as before; values keep their bits. A stretch is sorted by depth and operation in windows, so
 * that what a window reads and writes stays near; a pair of tanh and its derivative is left where group.c put it. Nodes do not move:
 * ir->order lists them.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { WINDOW = 512, SHORTEST = 32 };

/* Constants are no instructions: they go along. */
static inline bool movable(const ad_ir *ir, const ad_node *n)
{
    if (n->op == OP_CONST)
        return true;
    return n->cols == 1 && (n->rows == 1 || n->rows == -1) && !(n->flags & NODE_EXT) &&
           (n->op == OP_SLICE || (ad_short(n) && !(ir->pairs && (n->op == OP_tanh || n->op == OP_dtanh))));
}

typedef struct sorter {
    uint16_t depth[WINDOW], by_op[WINDOW], of_depth[WINDOW + 2], of_op[OP_COUNT_ + 1];
} sorter;

/* Nodes begin ... begin+count-1 by depth, those of one depth by operation, those of one operation as they were. */
static void sort(sorter *s, const ad_node node[], int32_t begin, int32_t count, int32_t order[])
{
    uint32_t deepest = 0;
    memset(s->of_op, 0, sizeof s->of_op);
    memset(s->of_depth, 0, sizeof s->of_depth);
    for (int32_t i = 0; i < count; i++) {
        const ad_node *n =
            &node[begin + i]; /* operands stand before it: those of this window have their depth */
        uint32_t x = (uint32_t)(n->arg[0] - begin), y = (uint32_t)(n->arg[n->nargs > 1] - begin);
        uint32_t d = x < WINDOW && n->nargs ? s->depth[x] + 1u : 0,
                 e = y < WINDOW && n->nargs ? s->depth[y] + 1u : 0;
        d = e > d ? e : d;
        deepest = d > deepest ? d : deepest;
        s->depth[i] = (uint16_t)d;
        s->of_depth[d + 1]++;
        s->of_op[n->op + 1]++;
    }
    for (int k = 0; k < OP_COUNT_; k++)
        s->of_op[k + 1] = (uint16_t)(s->of_op[k + 1] + s->of_op[k]);
    for (uint32_t d = 0; d <= deepest; d++)
        s->of_depth[d + 1] = (uint16_t)(s->of_depth[d + 1] + s->of_depth[d]);
    for (int32_t i = 0; i < count; i++)
        s->by_op[s->of_op[node[begin + i].op]++] = (uint16_t)i;
    for (int32_t k = 0; k < count; k++)
        order[begin + s->of_depth[s->depth[s->by_op[k]]]++] = begin + s->by_op[k];
}

bool ad_pass_order(ad_ir *ir)
{
    sorter s;
    if (ir->n < SHORTEST)
        return true;
    ir->order = ad_long_array((size_t)ir->n * sizeof *ir->order);
    for (int32_t i = 0, end; ir->order && i < ir->n; i = end) {
        for (end = i; end < ir->n && end - i < WINDOW && movable(ir, &ir->node[end]) &&
                      (!ir->stage || ir->stage[end] == ir->stage[i]);
             end++)
            ;
        end += end == i;
        if (end - i >= SHORTEST)
            sort(&s, ir->node, i, end - i, ir->order);
        else
            for (int32_t k = i; k < end; k++)
                ir->order[k] = k;
    }
    return ir->order;
}
