/* ir.c - memory of a subgraph on its way to a program.
 * Invariant: what only the passes need comes from the caller's room while there is some, and goes when the program is made;
 * the block of the nodes becomes the program's.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

void ad_ir_free(ad_ir *ir)
{
    free(ir->block);
    ad_ir_give(ir, ir->origin);
    free(ir->ext);
    ad_ir_give(ir, ir->stage);
    ad_ir_give(ir, ir->scratch);
    free(ir->in);
    free(ir->consts);
    for (int32_t i = 0; i < ir->nobjects; i++)
        ad_object_drop(ir->object[i]);
    free(ir->object);
    memset(ir, 0, sizeof *ir);
}

void *ad_ir_take(ad_ir *ir, size_t bytes)
{
    bytes = (bytes + 63) / 64 * 64;
    if (bytes > (size_t)(ir->room_end - ir->room))
        return ad_long_array(bytes);
    return ad_carve(&ir->room, bytes);
}

void ad_ir_give(ad_ir *ir, void *p)
{
    if ((uintptr_t)p - (uintptr_t)ir->room_end + AD_IR_ROOM >= AD_IR_ROOM)
        free(p);
}

void *ad_ir_scratch(ad_ir *ir, size_t bytes)
{
    if (ir->scratch_size < bytes) {
        ad_ir_give(ir, ir->scratch);
        ir->scratch = ad_ir_take(ir, bytes);
        ir->scratch_size = ir->scratch ? bytes : 0;
    }
    return ir->scratch;
}

/* One block that becomes the program's: pool, instructions, what take_block of plan.c puts after them. Nodes are planned in
 * windows, each in some order of its own: as many instructions as a window has fit before them. Most of the rest remains
 * untouched; that all is one large piece keeps an allocator from giving it back to the system after each program. */
bool ad_ir_nodes(ad_ir *ir, int64_t room, int64_t words)
{
    size_t n = (size_t)room + 1, before = room < AD_WINDOW ? n : AD_WINDOW,
           pool = ((size_t)words + 16) / 16 * 16, all = n + (size_t)ir->nout;
    bool fits =
        all + before < (INT32_MAX - pool) / (sizeof *ir->node / sizeof *ir->block) && pool < INT32_MAX;
    size_t nodes = (pool * sizeof *ir->block + (all + before) * sizeof *ir->node + 63) / 64 * 64,
           rest = all * (sizeof(ad_place) + sizeof(int32_t) + sizeof(ad_buffer)) +
                  (size_t)ir->nout * sizeof(int32_t) + 4 * 64;
    ir->block = fits ? ad_long_array(nodes + rest) : NULL;
    char *at = ad_ir_take(ir, n * (sizeof *ir->origin + sizeof *ir->uses + 1) + 3 * 64);
    ir->origin = (void *)at;
    if (!ir->block || !at)
        return false;
    ir->pool = (int32_t)pool;
    ir->rest = (char *)ir->block + nodes;
    ir->node = (ad_node *)(void *)(ir->block + pool) + before;
    ad_carve(&at, n * sizeof *ir->origin);
    ir->uses = ad_carve(&at, n * sizeof *ir->uses);
    ir->trait = ad_carve(&at, n);
    return true;
}

int64_t ad_ir_const(ad_ir *ir, int64_t count)
{
    if (ir->nconsts + count > UINT32_MAX) /* more than a place can tell */
        return -1;
    if (ir->nconsts + count > ir->consts_cap) {
        int64_t cap = 2 * (ir->nconsts + count) + 16;
        char *c = realloc(ir->consts, (size_t)cap * ir->k->size);
        if (!c)
            return -1;
        ir->consts = c;
        ir->consts_cap = cap;
    }
    ir->nconsts += count;
    return ir->nconsts - count;
}
