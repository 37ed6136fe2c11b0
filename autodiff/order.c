/* order.c - in long stretches of single numbers, what has the same operation and depth comes together, so that
 * scalar code is a few long groups: an operation and a count once, then nothing but indices.
 * Contract: still topological, stages as before; values keep their bits. A stretch is sorted by depth and operation in windows, so
 * that what a window reads and writes stays near; a pair of tanh and its derivative is left where group.c put it. Nodes do not move,
 * and are sorted shortly before they are planned.
 *
 * SPDX-License-Identifier: MIT */
#include "plan.h"

enum { WINDOW = AD_WINDOW, SHORTEST = 32 };

typedef struct sorter {
    uint16_t depth[WINDOW + 1], by_op[WINDOW], of_depth[WINDOW + 2], of_op[OP_COUNT_ + 1];
} sorter;

/* Nodes begin ... begin+count-1 by depth, those of one depth by operation, those of one operation as they were. */
static void sort(const ad_planner *p, int32_t begin, int32_t count)
{
    sorter room, *s = &room;
    const ad_ir *ir = p->ir;
    const ad_node *n = ir->node + begin;
    const uint8_t *trait = ir->trait + begin;
    int32_t *order = ad_order_at(p, begin);
    uint32_t deepest = 0;
    memset(s->of_op, 0, sizeof s->of_op);
    memset(s->of_depth, 0, sizeof s->of_depth);
    s->depth[WINDOW] = 0; /* that of all outside, and of what has no operand */
    for (int32_t i = 0; i < count;
         i++, n++) { /* operands stand before: those of this window have their depth + 1 */
        uint32_t none = n->nargs ? 0 : WINDOW, x = (uint32_t)(n->arg[0] - begin) | none,
                 y = (uint32_t)(n->arg[n->nargs > 1] - begin) | none;
        uint32_t d = s->depth[x < WINDOW ? x : WINDOW], e = s->depth[y < WINDOW ? y : WINDOW];
        d = e > d ? e : d;
        deepest = d > deepest ? d : deepest;
        s->depth[i] = (uint16_t)(d + 1);
        s->of_depth[d + 1]++;
        s->of_op[n->op + 1]++;
    }
    for (int k = 0; k < OP_COUNT_; k++)
        s->of_op[k + 1] = (uint16_t)(s->of_op[k + 1] + s->of_op[k]);
    for (uint32_t d = 0; d <= deepest; d++)
        s->of_depth[d + 1] = (uint16_t)(s->of_depth[d + 1] + s->of_depth[d]);
    n = ir->node + begin;
    for (int32_t i = 0; i < count; i++, n++)
        s->by_op[s->of_op[n->op]++] = (uint16_t)i;
    for (int32_t k = 0; k < count; k++) {
        int32_t i = s->by_op[k];
        order[s->of_depth[s->depth[i] - 1]++] = (begin + i) ^ -!(trait[i] & AD_SINGLE);
    }
}

void ad_order_begin(ad_planner *s)
{
    const ad_ir *ir = s->ir;
    for (int j = 0; j < ir->nout; j++) /* an output's place is its own */
        ir->trait[ir->out[j]] &= ~AD_SINGLE;
}

void ad_order_more(ad_planner *s, int32_t k, int32_t most)
{
    const ad_ir *ir = s->ir;
    const uint8_t *trait = ir->trait;
    const int32_t *stage = ir->stage;
    const uint8_t moves = AD_MOVES, asked = moves | (ir->pairs ? AD_IS_TANH : 0);
    int32_t i = s->ordered, end;
    if (most + WINDOW - s->first > AD_ORDER) {
        memmove(s->order, ad_order_at(s, k), (size_t)(i - k) * sizeof *s->order);
        s->first = k;
    }
    for (; i < most; i = end) {
        int32_t last = (trait[i] & asked) != moves ? i + 1 : ir->n - i < WINDOW ? ir->n : i + WINDOW;
        for (end = i + 1; end < last && (trait[end] & asked) == moves && (!stage || stage[end] == stage[i]);)
            end++;
        if (end - i >= SHORTEST)
            sort(s, i, end - i);
        else
            for (int32_t j = i; j < end; j++)
                *ad_order_at(s, j) = j ^ -!(trait[j] & AD_SINGLE);
    }
    s->ordered = i;
}
