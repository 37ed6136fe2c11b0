/* run.c - one run of a program: stage after stage, those that are row by row block after block.
 * Invariant: a run writes only the pointers that lead to inputs and outputs, and those that move from block to block.
 * Which thread works on a block changes no bit: a block writes its own rows only.
 *
 * SPDX-License-Identifier: MIT */
#include "work.h"

enum { SHARE_WORTH = 1 << 19 }; /* multiply-adds of a product worth sharing between threads */

/* A few numbers; sizes known to the compiler are single moves. */
static inline void copy_numbers(char *to, const char *from, int32_t count, size_t size)
{
    if (count == 1 && size == 8)
        memcpy(to, from, 8);
    else if (count == 2 && size == 8)
        memcpy(to, from, 16);
    else
        memcpy(to, from, (size_t)count * size);
}

/* A run of scalar code in an even stage. */
static void run_code(const ad_work *w, const ad_run_code *r)
{
    const ad_program *p = w->p;
    size_t size = p->k->size;
    const ad_port *port = p->port + r->import;
    for (int32_t i = 0; i < r->nimport; i++)
        copy_numbers(w->memory + (size_t)port[i].slot * size, (const char *)w->addr[port[i].place],
                     port[i].count, size);
    p->k->code_one(w->memory, p->code + r->code, 1);
    port = p->port + r->export;
    for (int32_t i = 0; i < r->nexport; i++)
        copy_numbers((char *)w->addr[port[i].place], w->memory + (size_t)port[i].slot * size, port[i].count,
                     size);
}

/* Keeps the failure that a run in order would meet first. */
static void failed(ad_work *w, int status, int piece, int32_t ins, int64_t row)
{
    pthread_mutex_lock(&w->lock);
    if (!w->bad_status || piece < w->bad_piece) {
        w->bad_status = status;
        w->bad_piece = piece;
        w->bad_ins = ins;
        w->bad_row = row;
    }
    pthread_mutex_unlock(&w->lock);
}

static int run_call(const ad_program *p, ad_ready *c)
{
    if (c->packed) {
        p->k->packed((long)c->c.rows, (long)c->c.cols, (long)c->c.shape[0][1], c->c.src[0],
                     (long)c->c.shape[0][1], c->packed, c->c.dst, (long)c->c.cols, 0);
        return AD_OK;
    }
    return c->fn(&c->c);
}

static void run_pair(const ad_program *p, ad_ready *c, bool derivative_first)
{
    p->k->tanh_pair(c[derivative_first].c.dst, c[!derivative_first].c.dst, c->c.src[0],
                    c->c.rows * c->c.cols);
}

typedef struct job {
    ad_work *w;
    const ad_stage *stage;
} job;

/* Where the rows of a block that begins at row `first` of the batch are. */
static uintptr_t part_of(const ad_work *w, const ad_lane *v, int32_t place, int64_t first)
{
    return w->addr[place] +
           (ad_in_block(w->p, place) ? (uintptr_t)v->block : (size_t)first * ad_step_of(w->p, place));
}

/* A run of scalar code in one block of an odd stage. */
static void run_code_rows(const ad_work *w, const ad_lane *v, const ad_run_code *r, int64_t first,
                          int64_t rows)
{
    const ad_program *p = w->p;
    size_t size = p->k->size, stride = (size_t)w->file * size;
    const ad_port *port = p->port + r->import;
    for (int32_t i = 0; i < r->nimport; i++) {
        char *to = v->block + (size_t)port[i].slot * stride;
        const char *from = (const char *)part_of(w, v, port[i].place, first);
        if (p->place[port[i].place].rows == 1)
            ad_splat(to, from, (int)rows, size);
        else
            memcpy(to, from, (size_t)rows * size);
    }
    p->k->code_lanes(v->block, p->code + r->code, w->file);
    port = p->port + r->export;
    for (int32_t i = 0; i < r->nexport; i++)
        memcpy((char *)part_of(w, v, port[i].place, first), v->block + (size_t)port[i].slot * stride,
               (size_t)rows * size);
}

/* The first run of scalar code at or after instruction i. */
static const ad_run_code *next_run(const ad_program *p, int32_t i)
{
    int32_t lo = 0, hi = p->nrun;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if (p->run[mid].first < i)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->nrun ? &p->run[lo] : NULL;
}

/* Points an instruction to the rows of a block. */
static void aim(const ad_work *w, ad_lane *v, int32_t i, int64_t first, int64_t rows)
{
    const ad_program *p = w->p;
    ad_kcall *c = &v->call[i].c;
    const int32_t *a = ad_ins_args(p, &p->ins[i]);
    const void **src = (const void **)(uintptr_t)c->src;
    int64_t(*shape)[2] = (int64_t(*)[2])(uintptr_t)c->shape;
    c->dst = (void *)part_of(w, v, a[-1], first);
    c->rows = -p->place[a[-1]].rows * rows;
    for (int k = 0; k < c->nargs; k++) {
        const ad_place *o = &p->place[a[k]];
        src[k] = (const void *)part_of(w, v, a[k], first);
        if (o->rows < 0)
            shape[k][0] = -o->rows * rows;
    }
}

/* One block of a row-by-row stage. */
static void run_block(void *arg, int piece, int thread)
{
    const job *j = arg;
    ad_work *w = j->w;
    const ad_program *p = w->p;
    ad_lane *v = &w->lane[thread];
    int64_t first = (int64_t)piece * w->block,
            rows = w->batch - first < w->block ? w->batch - first : w->block;
    const ad_run_code *r = next_run(p, j->stage->first), *last = p->run + p->nrun;
    for (int32_t i = j->stage->first; i < j->stage->end; i++) {
        if (r && r < last && r->first == i) {
            run_code_rows(w, v, r, first, rows);
            i = r++->end - 1;
            continue;
        }
        ad_ready *c = &v->call[i];
        aim(w, v, i, first, rows);
        if (c->paired) {
            aim(w, v, i + 1, first, rows);
            run_pair(p, c, p->ins[i].op == OP_dtanh);
            i++;
            continue;
        }
        int status = run_call(p, c);
        if (status) {
            failed(w, status, piece, i, c->c.bad_row - p->place[p->pool[p->ins[i].at]].rows * first);
            return;
        }
    }
}

/* Products that sum over the batch, cut into rows of their results. */
typedef struct share {
    ad_work *w;
    int32_t first, end;
} share;
enum { PIECES = 8 };

static void run_share(void *arg, int piece, int thread)
{
    const share *s = arg;
    (void)thread;
    const ad_kcall *c = &s->w->lane[0].call[s->first + piece / PIECES].c;
    int64_t part = (c->rows + PIECES - 1) / PIECES, from = piece % PIECES * part,
            to = from + part < c->rows ? from + part : c->rows;
    if (from < to)
        s->w->p->k->matmul_rows(c, from, to);
}

/* How many instructions from i on are large products, none of which reads another's result. */
static int32_t sharable(const ad_work *w, int32_t i, int32_t end)
{
    const ad_program *p = w->p;
    int32_t n = 0;
    for (; i + n < end && p->ins[i + n].op == OP_MATMUL; n++) {
        const ad_kcall *c = &w->lane[0].call[i + n].c;
        const int32_t *a = ad_ins_args(p, &p->ins[i + n]);
        if (c->rows * c->cols * (c->attr[0] ? c->shape[0][0] : c->shape[0][1]) < SHARE_WORTH ||
            c->rows < PIECES)
            return n;
        for (int32_t k = i; k < i + n; k++)
            if (p->pool[p->ins[k].at] == a[0] || p->pool[p->ins[k].at] == a[1])
                return n;
    }
    return n;
}

static void run_single(ad_work *w, const ad_stage *s)
{
    const ad_program *p = w->p;
    ad_ready *calls = w->lane[0].call;
    const ad_run_code *r = next_run(p, s->first), *last = p->run + p->nrun;
    for (int32_t i = s->first; i < s->end; i++) {
        ad_ready *c = &calls[i];
        if (r && r < last && r->first == i) {
            run_code(w, r);
            i = r++->end - 1;
            continue;
        }
        if (c->paired) {
            run_pair(p, c, p->ins[i].op == OP_dtanh);
            i++;
            continue;
        }
        if (w->lanes > 1 && p->ins[i].op == OP_MATMUL) {
            share part = {w, i, 0};
            int32_t n = sharable(w, i, s->end);
            if (n > 0) {
                ad_pool_run(w->pool, n * PIECES, run_share, &part);
                i += n - 1;
                continue;
            }
        }
        int status = c->fn(&c->c);
        if (status) {
            failed(w, status, 0, i, c->c.bad_row);
            return;
        }
    }
}

static void run_rows(ad_work *w, const ad_stage *s)
{
    const ad_program *p = w->p;
    size_t last = 0; /* places ascend; what is shared was packed before */
    for (int32_t i = s->first; p->products && i < s->end; i++)
        if (w->packed[i] > last) {
            last = w->packed[i];
            const int32_t *a = ad_ins_args(p, &p->ins[i]), tb = ad_ins_attrs(p, &p->ins[i])[1];
            const ad_place *b = &p->place[a[1]];
            p->k->pack(tb ? b->rows : b->cols, tb ? b->cols : b->rows, (const void *)w->addr[a[1]], b->cols,
                       tb, w->memory + w->packed[i]);
        }
    job j = {w, s};
    ad_pool_run(w->pool, (w->batch + w->block - 1) / w->block, run_block, &j);
}

int ad_run_check(ad_work *w, const char *who, int batch, const void *const in[], void *const out[])
{
    const ad_program *p = w->p;
    w->status = w->bad_status = AD_OK;
    w->message[0] = 0;
    if (batch < 1)
        return ad_work_fail(w, AD_EARG, "%s: a batch of %d; needs at least 1", who, batch);
    for (int i = 0; i < p->nin; i++)
        if (p->in[i] >= 0 && (!in || !in[i]))
            return ad_work_fail(w, AD_EUNBOUND, "%s: input %d has no memory", who, i + 1);
    for (int j = 0; j < p->nout; j++)
        if (!out || !out[j])
            return ad_work_fail(w, AD_EARG, "%s: output %d has no memory", who, j + 1);
    return AD_OK;
}

int ad_run_native(ad_work *w, int batch)
{
    size_t size = ad_rounded((w->p->native_work(batch) + 1) * w->p->k->size);
    if (size > w->native_size) {
        free(w->native);
        w->native = aligned_alloc(64, size);
        w->native_size = w->native ? size : 0;
        if (!w->native)
            return ad_work_fail(w, AD_ENOMEM, "ad_run: out of memory for a batch of %d (%zu bytes)", batch,
                                size);
    }
    return AD_OK;
}

int ad_run_bound(ad_work *w, const void *const in[], void *const out[])
{
    const ad_program *p = w->p;
    for (int32_t k = 0; k < p->noutside; k++) {
        const ad_place *v = &p->place[p->outside[k]];
        const void *base = v->where == AD_AT_INPUT ? in[v->index] : out[v->index];
        w->addr[p->outside[k]] = (uintptr_t)base + (size_t)v->offset * p->k->size;
    }
    for (int32_t k = 0; k < w->npatch; k++)
        *w->patch[k].pointer = (const void *)w->addr[w->patch[k].place];
    for (int32_t s = 0; s < p->nstages && !w->bad_status; s++)
        (p->stage[s].rows ? run_rows : run_single)(w, &p->stage[s]);
    if (w->bad_status && w->state && w->state[w->bad_ins])
        return ad_work_fail(w, w->bad_status, "ad_run: ad_%s (node %d): %s",
                            ad_ops[p->ins[w->bad_ins].op].name, p->ins[w->bad_ins].origin,
                            w->state[w->bad_ins]->message);
    if (w->bad_status)
        return ad_work_fail(
            w, w->bad_status,
            "ad_run: ad_%s (node %d): the matrix in row %lld is singular or not positive definite",
            ad_ops[p->ins[w->bad_ins].op].name, p->ins[w->bad_ins].origin, (long long)w->bad_row);
    return AD_OK;
}

int ad_run(ad_work *w, int batch, const void *const in[], void *const out[])
{
    if (!w)
        return AD_ENOMEM;
    if (ad_run_check(w, "ad_run", batch, in, out))
        return w->status;
    /* A compiled program. What it fails in is run again by replay, which says what and where. */
    if (w->p->native && (ad_run_native(w, batch) || w->p->native(batch, in, out, w->native) == AD_OK))
        return w->status;
    if (batch != w->batch && ad_work_bind(w, batch))
        return w->status;
    return ad_run_bound(w, in, out);
}
