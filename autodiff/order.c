/* order.c - pass: in long stretches of single numbers, what has the same operation and depth comes together, so that
 * scalar code is a few long groups: an operation and a count once, then nothing but indices.
 * Contract: still topological, stages as before; values keep their bits. A stretch is sorted by depth and operation in windows, so
 * that what a window reads and writes stays near; a pair of tanh and its derivative is left where group.c put it.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { WINDOW = 512, SHORTEST = 32 };

typedef struct sorter {
    ad_ir *ir;
    int32_t *where; /* by node: its new index */
    ad_node node[WINDOW];
    int32_t origin[WINDOW], uses[WINDOW], depth[WINDOW], by_op[WINDOW], first[WINDOW + 1],
        of_op[OP_COUNT_ + 1];
} sorter;

/* Constants are no instructions: they go along. */
static inline bool movable(const ad_ir *ir, const ad_node *n)
{
    if (n->op == OP_CONST)
        return true;
    return n->cols == 1 && (n->rows == 1 || n->rows == -1) &&
           (n->op == OP_SLICE || (ad_short(n) && !(ir->pairs && (n->op == OP_tanh || n->op == OP_dtanh))));
}

static void sort(sorter *s, int32_t begin, int32_t end)
{
    ad_ir *ir = s->ir;
    int32_t count = end - begin, deepest = 0;
    memset(s->of_op, 0, sizeof s->of_op);
    memset(s->first, 0, sizeof s->first);
    for (int32_t i = 0; i < count; i++) {
        const ad_node *n = &ir->node[begin + i];
        int32_t d = 0;
        for (int k = 0; k < n->nargs; k++) /* operands stand before it, so its window knows their depth */
            if (n->arg[k] >= begin && s->depth[n->arg[k] - begin] >= d)
                d = s->depth[n->arg[k] - begin] + 1;
        s->depth[i] = n->op == OP_CONST ? 0 : d;
        deepest = d > deepest ? d : deepest;
        s->of_op[n->op + 1]++;
        s->first[s->depth[i] + 1]++;
    }
    for (int k = 0; k < OP_COUNT_; k++)
        s->of_op[k + 1] += s->of_op[k];
    for (int32_t d = 0; d <= deepest; d++)
        s->first[d + 1] += s->first[d];
    for (int32_t i = 0; i < count; i++)
        s->by_op[s->of_op[ir->node[begin + i].op]++] = i;
    for (int32_t k = 0; k < count; k++) {
        int32_t i = s->by_op[k];
        s->where[begin + i] = begin + s->first[s->depth[i]]++;
    }
}

/* Operands by their new indices; the nodes of a window to their places. */
static void place(sorter *s, int32_t begin, int32_t end, bool moved)
{
    ad_ir *ir = s->ir;
    for (int32_t i = begin; i < end; i++) {
        ad_node *v = &ir->node[i];
        int32_t *a = v->flags & NODE_EXT ? ir->ext + v->arg[0] : v->arg;
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++)
            a[k] = s->where[a[k]];
        if (moved) {
            int32_t to = s->where[i] - begin;
            s->node[to] = *v;
            s->origin[to] = ir->origin[i];
            s->uses[to] = ir->uses[i];
        }
    }
    if (moved) {
        size_t count = (size_t)(end - begin);
        memcpy(ir->node + begin, s->node, count * sizeof *s->node);
        memcpy(ir->origin + begin, s->origin, count * sizeof *s->origin);
        memcpy(ir->uses + begin, s->uses, count * sizeof *s->uses);
    }
}

bool ad_pass_order(ad_ir *ir)
{
    if (ir->n < SHORTEST)
        return true;
    sorter *s = malloc(sizeof *s);
    int32_t *where = ad_long_array((size_t)ir->n * sizeof *where);
    if (!s || !where) {
        free(s);
        free(where);
        return false;
    }
    s->ir = ir;
    s->where = where;
    for (int32_t i = 0; i < ir->n;) {
        int32_t end = i;
        while (end < ir->n && end - i < WINDOW && movable(ir, &ir->node[end]) &&
               (!ir->stage || ir->stage[end] == ir->stage[i]))
            end++;
        bool moved = end - i >= SHORTEST;
        end += end == i;
        if (moved)
            sort(s, i, end);
        for (int32_t k = i; !moved && k < end; k++)
            where[k] = k;
        place(s, i, end, moved);
        i = end;
    }
    for (int j = 0; j < ir->nout; j++)
        ir->out[j] = where[ir->out[j]];
    for (int i = 0; i < ir->nin; i++)
        ir->in[i] = ir->in[i] < 0 ? -1 : where[ir->in[i]];
    free(s);
    free(where);
    return true;
}
