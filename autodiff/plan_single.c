/* plan_single.c - single numbers computed from one or two of them: place, instruction and code in one go, with hardly a
 * branch, for which operands die where is not to be foreseen.
 * Contract: what plan.c and code.c would do, number for number; nearly all of a long tape comes this way.
 *
 * SPDX-License-Identifier: MIT */
#include "plan.h"

int32_t ad_plan_singles(ad_planner *s, int32_t k)
{
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    ad_coder *c = &s->code;
    const ad_node *const node = ir->node;
    const int32_t *const order = ir->order, *const origin = ir->origin, *const uses = ir->uses,
                         most = ir->n - k > 1 << 29 ? k + (1 << 29) : ir->n;
    const uint8_t *const mark = s->mark;
    ad_spot *const spot = s->spot, *const one = s->h.one;
    int32_t *const left = s->left, *const pool = p->pool;
    ad_place *const place = p->place;
    ad_ins *const ins = p->ins;
    int32_t *code = p->code;
    int32_t nins = p->nins, npool = p->npool, none = s->h.none, at = p->ncode, op = c->op,
            count_at = c->count_at, last = c->code_cap - 5;
    int64_t flops = 0;
    left[0] = INT32_MAX; /* values elsewhere live on */
    for (; k < most; k++) {
        int32_t i = order ? order[k] : k;
        const ad_node *v = &node[i];
        int two = v->nargs > 1;
        if ((v->rows != 1) | (v->cols != 1) | mark[i] | ((uint8_t)(v->nargs - 1) > 1) | v->flags |
            (ad_ops[v->op].kind != AD_ELEMENTWISE) | (v->op == OP_ADD_N) | (at > last))
            break;
        int32_t x = v->arg[0], y = v->arg[two];
        ad_spot sx = spot[x], sy = spot[y];
        int32_t bx = sx.hold >> 1, by = sy.hold >> 1;
        left[bx]--;
        left[by] -= two;
        bool x_dies = !left[bx], y_dies = !left[by], same = bx == by;
        if ((x_dies & !(sx.hold & 1)) | (y_dies & !(sy.hold & 1)) | (x_dies & same & (x != y))) {
            left[bx]++;
            left[by] += two;
            break;
        }
        if ((sx.at | sy.at) & (INT32_MIN | 1)) { /* from elsewhere, for the first time in this run */
            sx.at = 2 * ad_code_slot(c, x);
            sy.at = 2 * ad_code_slot(c, y);
            if (!c->ok)
                break;
        }
        bool neither = !x_dies & !y_dies;
        ad_spot to = one[none - (none > 0)];
        if (neither & !none) {
            int32_t b = ad_new_buffer(s, (ad_buffer){.fixed = 1});
            to = (ad_spot){2 * (b + 1) + 1, 2 * p->slot[b]};
        } else {
            none -= neither;
        }
        to = y_dies ? sy : to;
        to = x_dies ? sx : to;
        one[none] = sy;
        none += x_dies & y_dies & !same;
        left[to.hold >> 1] = uses[i];
        spot[i] = to;
        place[i] = (ad_place){1, 1, AD_AT_BUFFER, (to.hold >> 1) - 1, 0};
        ins[nins++] = (ad_ins){.op = v->op, .nargs = v->nargs, .at = npool, .origin = origin[i]};
        pool[npool] = i;
        pool[npool + 1] = x;
        pool[npool + 2] = y; /* there is room for one more */
        npool += 2 + two;
        /* the tuple is written as if it began a group */
        bool begins = v->op != op;
        code[at] = op = v->op;
        code[at + 1] = 0;
        count_at = begins ? at + 1 : count_at;
        at += begins ? 2 : 0;
        code[at] = to.at >> 1;
        code[at + 1] = sx.at >> 1;
        code[at + 2] = sy.at >> 1;
        at += 2 + two;
        code[count_at]++;
        flops += ad_ops[v->op].cost;
    }
    p->nins = c->run.end = nins;
    p->npool = npool;
    p->ncode = at;
    s->h.none = none;
    c->op = op;
    c->count_at = count_at;
    p->report.flops += (double)flops;
    return k;
}
