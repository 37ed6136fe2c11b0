/* plan_heap.c - buffers of a program while it is planned: new ones, and those that are free again.
 * Contract: a buffer keeps its kind and size; one that is given out again is large enough and wastes at most half. What is
 * part of a file of scalar code has its slot from the beginning.
 *
 * SPDX-License-Identifier: MIT */
#include "plan.h"

enum { SCAN = 64 };

bool ad_heap_put(ad_heap *h, const ad_program *p, int32_t b)
{
    int kind = ad_kind_of_buffer(&p->buffer[b]);
    int64_t size = p->buffer[b].fixed + p->buffer[b].per_row;
    if (size == 1 && kind == AD_FIXED) {
        h->one[++h->none] = ad_spot_of(2 * (b + 1) + 1, 2 * p->slot[b]);
        return true;
    }
    if (size <= AD_SMALL) {
        h->next[b] = h->small[kind][size];
        h->small[kind][size] = b + 1;
        return true;
    }
    if (h->nlarge[kind] == h->cap[kind]) {
        int32_t cap = 2 * h->cap[kind] + 16, *l = realloc(h->large[kind], (size_t)cap * sizeof *l);
        if (!l)
            return false;
        h->large[kind] = l;
        h->cap[kind] = cap;
    }
    h->large[kind][h->nlarge[kind]++] = b;
    return true;
}

int32_t ad_new_buffer(ad_planner *s, int64_t fixed, int64_t per_row, bool local)
{
    ad_program *p = s->p;
    int32_t b = p->nbuffers++;
    p->buffer[b].fixed = fixed;
    p->buffer[b].per_row = per_row;
    p->buffer[b].local = local;
    p->slot[b] = -1;
    if (!s->reuse) /* then there is no code */
        return b;
    if (fixed && fixed <= AD_SLOT_MOST && !per_row) {
        p->slot[b] = p->slots[0];
        p->slots[0] += (int32_t)fixed;
    } else if (local && per_row == 1 && !fixed) {
        p->slot[b] = p->slots[1]++;
    }
    return b;
}

int32_t ad_heap_take(ad_planner *s, int kind, int64_t size)
{
    ad_heap *h = &s->h;
    const ad_program *p = s->p;
    if (size == 1 && kind == AD_FIXED && h->none)
        return ad_hold(h->one[h->none--]) / 2 - 1;
    if (size <= AD_SMALL && h->small[kind][size]) {
        int32_t b = h->small[kind][size] - 1;
        h->small[kind][size] = h->next[b];
        return b;
    }
    if (size > AD_SMALL) {
        int32_t best = -1, n = h->nlarge[kind];
        int64_t waste = INT64_MAX;
        for (int32_t i = n - 1; i >= 0 && i >= n - SCAN; i--) {
            const ad_buffer *b = &p->buffer[h->large[kind][i]];
            int64_t has = b->fixed + b->per_row;
            if (has >= size && has - size < waste) {
                waste = has - size;
                best = i;
            }
        }
        if (best >= 0 && waste <= size) {
            int32_t b = h->large[kind][best];
            h->large[kind][best] = h->large[kind][--h->nlarge[kind]];
            return b;
        }
    }
    return ad_new_buffer(s, kind == AD_FIXED ? size : 0, kind == AD_FIXED ? 0 : size, kind == AD_BLOCK);
}
