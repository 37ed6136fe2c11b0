/* plan_single.c - single numbers computed from one or two of them: place, instruction and code in one go, with hardly a
 * branch, for which operands die where is not to be foreseen.
 * Contract: what plan.c and code.c would do, number for number; nearly all of a long tape comes this way.
 *
 * SPDX-License-Identifier: MIT */
#include "plan.h"

enum { PIECE = AD_PIECE }; /* nodes in a piece: what is written of them is read again soon */

/* Places and slots of nodes k ... end-1 of the order: the first that is not a single number of that kind. */
static inline int32_t place_singles(ad_planner *s, int32_t k, int32_t end, const bool far)
{
    enum { LATER = AD_AHEAD, SOON = 8 };
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    const ad_node *const node = ir->node;
    const int32_t *const uses = ir->uses, *order = ad_order_at(s, k);
    ad_spot *const spot = s->spot, *const one = s->h.one;
    uint32_t *const left = s->left;
    ad_place *const place = p->place;
    uint32_t none = s->h.none;
    left[0] = INT32_MAX; /* values elsewhere live on */
    for (; k < end; k++, order++) {
        int32_t at = *order;
        if (at < 0)
            break;
        uint32_t i = (uint32_t)at;
        if (far && k + LATER < ir->n) {
            int32_t at_later = order[LATER], at_soon = order[SOON];
            const ad_node *later = &node[at_later ^ -(at_later < 0)], *soon = &node[at_soon ^ -(at_soon < 0)];
            __builtin_prefetch(spot + later->arg[0]);
            __builtin_prefetch(spot + later->arg[1]);
            if (at_soon >= 0) {
                __builtin_prefetch(left + (ad_hold(spot[soon->arg[0]]) >> 1), 1);
                __builtin_prefetch(left + (ad_hold(spot[soon->arg[soon->nargs > 1]]) >> 1), 1);
            }
        }
        const ad_node *v = &node[i];
        uint32_t two = v->nargs > 1, x = (uint32_t)v->arg[0], y = (uint32_t)v->arg[two];
        ad_spot sx = spot[x], sy = spot[y];
        uint32_t bx = (uint32_t)sx >> 1, by = (uint32_t)sy >> 1, same = bx == by;
        uint32_t lx = left[bx] - 1 - (same & two), ly = left[by] - two;
        ly += (lx - ly) & -same;
        uint32_t x_dies = !lx, y_dies = !ly;
        if ((x_dies & ~(uint32_t)sx) | (y_dies & ~(uint32_t)sy)) /* a part of more */
            break;
        left[bx] = lx;
        left[by] = ly;
        if ((sx | sy) &
            ((uint64_t)1 << 63 | (uint64_t)1 << 32)) { /* from elsewhere, for the first time in this run */
            ad_code_slot(&s->code, (int32_t)x);
            ad_code_slot(&s->code, (int32_t)y);
        }
        uint32_t neither = (x_dies | y_dies) ^ 1;
        ad_spot to = one[none];
        if (none < neither) {
            int32_t b = ad_new_buffer(s, 1, 0, false);
            to = ad_spot_of(2 * (b + 1) + 1, 2 * p->slot[b]);
        } else {
            none -= neither;
        }
        to ^= (to ^ sy) & -(uint64_t)y_dies;
        to ^= (to ^ sx) & -(uint64_t)x_dies;
        one[none + 1] = sy;
        none += x_dies & y_dies & (same ^ 1);
        uint32_t held = (uint32_t)to >> 1;
        left[held] = (uint32_t)uses[i];
        spot[i] = to;
        ad_place single = {.rows = 1, .cols = 1, .where = AD_AT_BUFFER};
        single.index = (int32_t)held - 1;
        place[i] = single;
    }
    s->h.none = none;
    return k;
}

/* Nodes are visited here and there inside a piece: what they need is fetched in the order in which it stands. */
static void fetch(const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)from + i, 0, 2);
}

int32_t ad_plan_singles(ad_planner *s, int32_t k)
{
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    ad_coder *c = &s->code;
    int32_t end = ir->n - k > PIECE ? k + PIECE : ir->n;
    if (!ad_code_room(c, 5 * (end - k)))
        return k;
    for (; s->fetched < end && ir->n - s->fetched > 2 * PIECE; s->fetched += PIECE) {
        int32_t next = s->fetched + PIECE;
        fetch(ir->uses + next, PIECE * sizeof *ir->uses);
        fetch(ir->origin + next, PIECE * sizeof *ir->origin);
        fetch(p->place + next, PIECE * sizeof *p->place);
        fetch(s->spot + next, PIECE * sizeof *s->spot);
    }
    end = ir->far ? place_singles(s, k, end, true) : place_singles(s, k, end, false);
    const ad_node *const node = ir->node;
    const ad_spot *const spot = s->spot;
    const int32_t *const origin = ir->origin, *order = ad_order_at(s, k);
    ad_ins *ins = p->ins + p->nins;
    int32_t *const code = p->code;
    uint32_t at = (uint32_t)p->ncode, count_at = (uint32_t)c->count_at;
    int32_t few = (int32_t)(ins->few - p->pool);
    int op = c->op;
    int64_t flops = 0;
    p->nins = c->run.end = p->nins + end - k;
    for (; k < end; k++, order++, ins++, few += sizeof *ins / sizeof *ins->few) {
        uint32_t i = (uint32_t)*order;
        const ad_node *v = &node[i];
        uint32_t two = v->nargs > 1, x = (uint32_t)v->arg[0], y = (uint32_t)v->arg[two];
        ins->op = v->op;
        ins->nargs = v->nargs;
        ins->nattr = 0;
        ins->at = few;
        ins->origin = origin[i];
        ins->few[0] = (int32_t)i;
        ins->few[1] = (int32_t)x;
        ins->few[2] = (int32_t)y; /* there is room for one more */
        /* the tuple is written as if it began a group */
        uint32_t begins = v->op != op;
        op = v->op;
        code[at] = op;
        code[at + 1] = 0;
        count_at = begins ? at + 1 : count_at;
        at += 2 * begins;
        code[at] = ad_slot(spot[i]) >> 1;
        code[at + 1] = ad_slot(spot[x]) >> 1;
        code[at + 2] = ad_slot(spot[y]) >> 1;
        at += 2 + two;
        code[count_at]++;
        flops += ad_ops[op].cost;
    }
    p->ncode = (int32_t)at;
    c->op = op;
    c->count_at = (int32_t)count_at;
    p->report.flops += (double)flops;
    return k;
}
