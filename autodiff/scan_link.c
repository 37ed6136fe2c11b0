/* scan_link.c - which loops backward go the way of a loop forward of the same program: of the same function, on the same operands.
 * Their first way up to the end is the one that the loop forward takes, which then leaves its checkpoints.
 * Invariant: a loop is linked with one other at most, and the one forward comes first.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"
#include "scan.h"

static bool same(const ad_program *p, int32_t forth, int32_t back)
{
    const ad_ins *a = &p->ins[forth], *b = &p->ins[back];
    const ad_loop *f = (const ad_loop *)ad_ins_object(p, a), *g = (const ad_loop *)ad_ins_object(p, b);
    return f->f == g->f && f->count == g->count && f->checkpoints == g->checkpoints &&
           f->nshared == g->nshared && f->ncarry == g->ncarry && f->nstep == g->nstep && f->ncarry > 0 &&
           p->place[p->pool[a->at]].rows == p->place[p->pool[b->at]].rows &&
           !memcmp(ad_ins_args(p, a), ad_ins_args(p, b), (size_t)f->o.nin * sizeof(int32_t));
}

void ad_scan_links(const ad_program *p, int32_t link[])
{
    for (int32_t i = 0; i < p->nins; i++) {
        link[i] = -1;
        if (p->ins[i].op != OP_SCAN_BACK)
            continue;
        for (int32_t j = i - 1; j >= 0; j--)
            if (p->ins[j].op == OP_SCAN && link[j] < 0 && same(p, j, i)) {
                link[i] = j;
                link[j] = i;
                break;
            }
    }
}
