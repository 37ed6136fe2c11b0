/* work.c - a workspace: made for a program, laid out for a batch.
 * Invariant: nothing is allocated unless the batch grows. Calls are prepared when the batch changes.
 *
 * SPDX-License-Identifier: MIT */
#include "work.h"

#include "scan_run.h"

#include <stdio.h>

enum { PACK_WORTH = 4096 }; /* elements of a second factor worth packing for all blocks */
enum { LEAST_BLOCK = 16 };  /* rows worth a thread */

int ad_work_status(const ad_work *w) { return w ? w->status : AD_ENOMEM; }
const char *ad_work_message(const ad_work *w) { return w ? w->message : "ad_work_new: out of memory"; }

void ad_work_free(ad_work *w)
{
    if (!w)
        return;
    for (int l = 0; w->lane && l < w->lanes; l++) {
        free(w->lane[l].call);
        free(w->lane[l].src);
        free(w->lane[l].shape);
    }
    free(w->lane);
    free(w->memory);
    free(w->native);
    free(w->turn);
    free(w->addr);
    free(w->buffer);
    free(w->packed);
    free(w->patch);
    free(w->moved);
    for (int32_t i = 0; w->state && i < w->p->nins; i++)
        if (w->state[i])
            w->state[i]->object->class->close(w->state[i]);
    free(w->state);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* Loops backward go on from the checkpoints of loops forward. */
static bool link_loops(ad_work *w)
{
    const ad_program *p = w->p;
    int32_t *link = malloc(((size_t)p->nins + 1) * sizeof *link);
    if (!link)
        return false;
    ad_scan_links(p, link);
    for (int32_t i = 0; i < p->nins; i++)
        if (link[i] > i)
            ad_scan_link(w->state[i], w->state[link[i]]);
    free(link);
    return true;
}

/* What nodes of several results keep between runs: workspaces of functions, checkpoints. */
static bool open_states(ad_work *w)
{
    const ad_program *p = w->p;
    if (!p->nobjects)
        return true;
    w->state = calloc((size_t)p->nins + 1, sizeof *w->state);
    for (int32_t i = 0; w->state && i < p->nins; i++) {
        const ad_object *o = ad_ins_object(p, &p->ins[i]);
        if (o && ad_is_object(p->ins[i].op) && !(w->state[i] = o->class->open(o, p->k->real, w->pool)))
            return false;
    }
    return w->state && link_loops(w);
}

ad_work *ad_work_new(const ad_program *p, ad_pool *pool)
{
    ad_work *w = p ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    w->p = p;
    w->pool = pool;
    w->lanes = ad_pool_threads(pool);
    for (int32_t i = 0; i < p->nins; i++)
        w->args += ad_ins_nargs(p, &p->ins[i]);
    size_t n = (size_t)p->nins + 1, args = (size_t)w->args + 1;
    w->lane = calloc((size_t)w->lanes, sizeof *w->lane);
    w->addr = calloc((size_t)p->nplaces + 1, sizeof *w->addr);
    w->buffer = calloc((size_t)p->nbuffers + 1, sizeof *w->buffer);
    w->packed = calloc(n, sizeof *w->packed);
    w->patch = calloc(args + n, sizeof *w->patch);
    w->moved = calloc(2 * n, sizeof *w->moved);
    bool ok = w->lane && w->addr && w->buffer && w->packed && w->patch && w->moved;
    for (int l = 0; ok && l < w->lanes; l++) {
        ad_lane *v = &w->lane[l];
        v->call = calloc(n, sizeof *v->call);
        v->src = calloc(args, sizeof *v->src);
        v->shape = calloc(args, sizeof *v->shape);
        ok = v->call && v->src && v->shape;
    }
    if (!ok || !open_states(w)) {
        ad_work_free(w);
        return NULL;
    }
    return w;
}

int ad_work_fail(ad_work *w, int status, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    w->status = status;
    vsnprintf(w->message, sizeof w->message, format, ap);
    va_end(ap);
    return status;
}

/* The product before i in its stage that has the same second factor, the same way round; i where there is none. */
static int32_t packed_before(const ad_work *w, int32_t first, int32_t i)
{
    const ad_program *p = w->p;
    for (int32_t k = first; k < i; k++)
        if (w->packed[k] && ad_ins_args(p, &p->ins[k])[1] == ad_ins_args(p, &p->ins[i])[1] &&
            ad_ins_attrs(p, &p->ins[k])[1] == ad_ins_attrs(p, &p->ins[i])[1])
            return k;
    return i;
}

/* Memory for every buffer, packed factor and lane: the total, and where each begins. */
static size_t layout(ad_work *w, int batch, size_t *block_size)
{
    const ad_program *p = w->p;
    int share = (batch / w->lanes / 2 + 7) / 8 * 8, block = batch < p->block ? batch : p->block;
    if (w->lanes > 1 && share < block)
        block = share < LEAST_BLOCK ? LEAST_BLOCK : share;
    w->block = block = batch < block ? batch : block;
    w->file = (block + p->k->lanes - 1) / p->k->lanes * p->k->lanes;
    /* The files of scalar code stand first. */
    size_t at = ad_rounded((size_t)p->slots[0] * p->k->size),
           local = ad_rounded((size_t)p->slots[1] * (size_t)w->file * p->k->size);
    for (int32_t b = 0; b < p->nbuffers; b++) {
        const ad_buffer *v = &p->buffer[b];
        size_t *here = v->local ? &local : &at;
        if (p->slot[b] >= 0) {
            w->buffer[b] = (size_t)p->slot[b] * (size_t)(v->local ? w->file : 1) * p->k->size;
            continue;
        }
        w->buffer[b] = *here;
        *here += ad_rounded((size_t)(v->fixed + v->per_row * (v->local ? block : batch)) * p->k->size);
    }
    at += 64; /* so that a packed factor never begins at 0 */
    for (int32_t s = 0; s < p->nstages; s++)
        for (int32_t i = p->stage[s].first; i < p->stage[s].end; i++) {
            const ad_place *b = p->ins[i].op == OP_MATMUL ? &p->place[ad_ins_args(p, &p->ins[i])[1]] : NULL;
            w->packed[i] = 0;
            if (b && p->stage[s].rows && (int64_t)b->rows * b->cols >= PACK_WORTH && batch >= 16) {
                int tb = ad_ins_attrs(p, &p->ins[i])[1];
                int32_t same = packed_before(w, p->stage[s].first, i);
                w->packed[i] = same < i ? w->packed[same] : at;
                if (same == i)
                    at += ad_rounded(p->k->pack_size(tb ? b->rows : b->cols, tb ? b->cols : b->rows) *
                                     p->k->size);
            }
        }
    *block_size = local;
    return at;
}

static void prepare(ad_work *w, ad_lane *v, int batch)
{
    const ad_program *p = w->p;
    const void **src = v->src;
    int64_t(*shape)[2] = v->shape;
    for (int32_t s = 0; s < p->nstages; s++)
        for (int32_t i = p->stage[s].first; i < p->stage[s].end; i++) {
            const ad_ins *ins = &p->ins[i];
            int n = ad_ins_nargs(p, ins);
            const int32_t *a = ad_ins_args(p, ins), *attr = ad_ins_attrs(p, ins);
            int32_t dst = p->pool[ins->at];
            for (int k = 0; k < n; k++) {
                src[k] = (const void *)(w->addr[a[k]] + (ad_in_block(p, a[k]) ? (uintptr_t)v->block : 0));
                shape[k][0] = ad_rows_at(p->place[a[k]].rows, batch);
                shape[k][1] = p->place[a[k]].cols;
            }
            if (ins->op == OP_SLICE || ins->op == OP_PAD) {
                w->moved[2 * i] = (int32_t)ad_rows_at(attr[0], batch);
                w->moved[2 * i + 1] = attr[1];
                attr = w->moved + 2 * (size_t)i;
            }
            ad_ready *c = &v->call[i];
            c->fn = p->k->run[ins->op];
            c->packed = w->packed[i] ? w->memory + w->packed[i] : NULL;
            c->paired = i + 1 < p->stage[s].end && (ins->op == OP_tanh || ins->op == OP_dtanh) &&
                        ins[1].op == (ins->op == OP_tanh ? OP_dtanh : OP_tanh) &&
                        a[0] == ad_ins_args(p, ins + 1)[0] && p->place[a[0]].rows == p->place[dst].rows &&
                        p->place[a[0]].cols == p->place[dst].cols;
            c->c = (ad_kcall){.dst = (void *)(w->addr[dst] + (ad_in_block(p, dst) ? (uintptr_t)v->block : 0)),
                              .src = src,
                              .rows = ad_rows_at(p->place[dst].rows, batch),
                              .cols = p->place[dst].cols,
                              .shape = (const int64_t(*)[2])shape,
                              .nargs = n,
                              .nattr = ins->nattr,
                              .attr = attr,
                              .scratch = v->scratch,
                              .object = ad_ins_object(p, ins),
                              .state = w->state ? w->state[i] : NULL};
            src += n;
            shape += n;
        }
}

static bool outside(const ad_program *p, int32_t place)
{
    return p->place[place].where == AD_AT_INPUT || p->place[place].where == AD_AT_OUTPUT;
}

/* The pointers that lead to inputs and outputs from instructions of even stages. Scalar code finds its way by addresses. */
static void find_patches(ad_work *w)
{
    const ad_program *p = w->p;
    const ad_run_code *r = p->run, *last = p->run + p->nrun;
    w->npatch = 0;
    for (int32_t s = 0; s < p->nstages; s++)
        for (int32_t i = p->stage[s].first; i < p->stage[s].end && !p->stage[s].rows; i++) {
            while (r < last && r->end <= i)
                r++;
            if (r < last && i >= r->first)
                continue;
            ad_kcall *c = &w->lane[0].call[i].c;
            const int32_t *a = ad_ins_args(p, &p->ins[i]);
            if (outside(p, a[-1]))
                w->patch[w->npatch++] = (ad_patch){(const void **)(void *)&c->dst, a[-1]};
            for (int k = 0; k < c->nargs; k++)
                if (outside(p, a[k]))
                    w->patch[w->npatch++] = (ad_patch){(const void **)(uintptr_t)&c->src[k], a[k]};
        }
}

/* The constants of a file: several numbers in one lane, or one number in every lane. */
static void fill(char *file, const ad_port *port, int32_t n, const ad_work *w, int lanes)
{
    size_t size = w->p->k->size;
    for (int32_t i = 0; i < n; i++) {
        char *to = file + (size_t)port[i].slot * (size_t)lanes * size;
        if (port[i].place < 0)
            memset(to, 0, (size_t)lanes * size);
        else if (port[i].count > 1)
            memcpy(to, (const char *)w->addr[port[i].place], (size_t)port[i].count * size);
        else
            ad_splat(to, (const char *)w->addr[port[i].place], lanes, size);
    }
}

int ad_work_bind(ad_work *w, int batch)
{
    const ad_program *p = w->p;
    size_t block, scratch = ad_rounded((size_t)p->scratch * p->k->size), shared = layout(w, batch, &block),
                  size = shared + (size_t)w->lanes * (block + scratch);
    w->batch = 0;
    if (size > w->memory_size) {
        free(w->memory);
        w->memory = aligned_alloc(64, size);
        w->memory_size = w->memory ? size : 0;
        if (!w->memory)
            return ad_work_fail(w, AD_ENOMEM, "ad_run: out of memory for a batch of %d (%zu bytes)", batch,
                                size);
    }
    for (int32_t i = 0; i < p->nplaces; i++) {
        const ad_place *v = &p->place[i];
        uintptr_t base = v->where == AD_AT_CONST ? (uintptr_t)p->consts : 0;
        if (v->where == AD_AT_BUFFER)
            base = w->buffer[v->index] + (ad_in_block(p, i) ? 0 : (uintptr_t)w->memory);
        w->addr[i] = base + (size_t)v->offset * p->k->size;
    }
    for (int l = 0; l < w->lanes; l++) {
        w->lane[l].block = w->memory + shared + (size_t)l * (block + scratch);
        w->lane[l].scratch = w->lane[l].block + block;
        memset(w->lane[l].block, 0, block); /* lanes beyond the rows are computed, too */
        prepare(w, &w->lane[l], batch);
        fill(w->lane[l].block, p->fixed[1], p->nfixed[1], w, w->file);
    }
    fill(w->memory, p->fixed[0], p->nfixed[0], w, 1);
    find_patches(w);
    w->batch = batch;
    return AD_OK;
}
