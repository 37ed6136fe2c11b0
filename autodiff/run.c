/* run.c - a workspace, and one run of a program.
 * Invariant: nothing is allocated unless the batch grows; pointers to buffers and constants are computed when the batch
 * changes, those to inputs and outputs in each run.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

#include <stdio.h>

struct ad_work {
    const ad_program *p;
    ad_pool *pool;
    int batch, status;
    char message[240];
    char *memory; /* buffers, then scratch; aligned to 64 bytes */
    size_t memory_size;
    char **addr;      /* by place; inputs and outputs: of this run */
    char **buffer;    /* by buffer */
    ad_kcall *call;   /* by instruction */
    const void **src; /* pools that the calls point into */
    int64_t (*shape)[2];
    int32_t *moved; /* attributes that count rows of the batch, two an instruction */
};

int ad_work_status(const ad_work *w) { return w ? w->status : AD_ENOMEM; }
const char *ad_work_message(const ad_work *w) { return w ? w->message : "ad_work_new: out of memory"; }

void ad_work_free(ad_work *w)
{
    if (!w)
        return;
    free(w->memory);
    free(w->addr);
    free(w->buffer);
    free(w->call);
    free(w->src);
    free(w->shape);
    free(w->moved);
    free(w);
}

ad_work *ad_work_new(const ad_program *p, ad_pool *pool)
{
    ad_work *w = p ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return NULL;
    w->p = p;
    w->pool = pool;
    int64_t args = 0;
    for (int32_t i = 0; i < p->nins; i++)
        args += ad_ins_nargs(p, &p->ins[i]);
    w->addr = calloc((size_t)p->nplaces + 1, sizeof *w->addr);
    w->buffer = calloc((size_t)p->nbuffers + 1, sizeof *w->buffer);
    w->call = calloc((size_t)p->nins + 1, sizeof *w->call);
    w->src = calloc((size_t)args + 1, sizeof *w->src);
    w->shape = calloc((size_t)args + 1, sizeof *w->shape);
    w->moved = calloc(2 * (size_t)p->nins + 1, sizeof *w->moved);
    if (!w->addr || !w->buffer || !w->call || !w->src || !w->shape || !w->moved) {
        ad_work_free(w);
        return NULL;
    }
    return w;
}

static int fail(ad_work *w, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(ad_work *w, int status, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    w->status = status;
    vsnprintf(w->message, sizeof w->message, format, ap);
    va_end(ap);
    return status;
}

static size_t rounded(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

/* Memory for the batch, and every call ready but for inputs and outputs. */
static int bind(ad_work *w, int batch)
{
    const ad_program *p = w->p;
    size_t size = 0, scratch = rounded((size_t)p->scratch * p->k->size);
    for (int32_t b = 0; b < p->nbuffers; b++) {
        int64_t n = p->buffer[b].fixed + p->buffer[b].per_row * batch;
        size += rounded((size_t)n * p->k->size);
    }
    w->batch = 0;
    if (size + scratch > w->memory_size) {
        free(w->memory);
        w->memory = aligned_alloc(64, size + scratch);
        w->memory_size = w->memory ? size + scratch : 0;
        if (!w->memory)
            return fail(w, AD_ENOMEM, "ad_run: out of memory for a batch of %d (%zu bytes)", batch,
                        size + scratch);
    }
    size_t at = 0;
    for (int32_t b = 0; b < p->nbuffers; b++) {
        w->buffer[b] = w->memory + at;
        at += rounded((size_t)(p->buffer[b].fixed + p->buffer[b].per_row * batch) * p->k->size);
    }
    for (int32_t i = 0; i < p->nplaces; i++) {
        const ad_place *v = &p->place[i];
        char *base = v->where == AD_AT_CONST    ? p->consts
                     : v->where == AD_AT_BUFFER ? w->buffer[v->index]
                                                : NULL;
        w->addr[i] = base ? base + (size_t)v->offset * p->k->size : NULL;
    }
    const void **src = w->src;
    int64_t(*shape)[2] = w->shape;
    for (int32_t i = 0; i < p->nins; i++) {
        const ad_ins *ins = &p->ins[i];
        int n = ad_ins_nargs(p, ins);
        const int32_t *a = ad_ins_args(p, ins), *attr = ad_ins_attrs(p, ins);
        const ad_place *d = &p->place[p->pool[ins->at]];
        for (int k = 0; k < n; k++) {
            src[k] = w->addr[a[k]];
            shape[k][0] = ad_rows_at(p->place[a[k]].rows, batch);
            shape[k][1] = p->place[a[k]].cols;
        }
        if (ins->op == OP_SLICE || ins->op == OP_PAD) {
            w->moved[2 * i] = (int32_t)ad_rows_at(attr[0], batch);
            w->moved[2 * i + 1] = attr[1];
            attr = w->moved + 2 * (size_t)i;
        }
        w->call[i] = (ad_kcall){.dst = w->addr[p->pool[ins->at]],
                                .src = src,
                                .rows = ad_rows_at(d->rows, batch),
                                .cols = d->cols,
                                .shape = (const int64_t(*)[2])shape,
                                .nargs = n,
                                .nattr = ins->nattr,
                                .attr = attr,
                                .scratch = w->memory + at};
        src += n;
        shape += n;
    }
    w->batch = batch;
    return AD_OK;
}

int ad_run(ad_work *w, int batch, const void *const in[], void *const out[])
{
    if (!w)
        return AD_ENOMEM;
    const ad_program *p = w->p;
    w->status = AD_OK;
    w->message[0] = 0;
    if (batch < 1)
        return fail(w, AD_EARG, "ad_run: a batch of %d; needs at least 1", batch);
    if (batch != w->batch && bind(w, batch))
        return w->status;
    for (int i = 0; i < p->nin; i++) {
        if (p->in[i] < 0)
            continue;
        if (!in || !in[i])
            return fail(w, AD_EUNBOUND, "ad_run: input %d has no memory", i + 1);
        w->addr[p->in[i]] = (char *)(uintptr_t)in[i];
    }
    for (int j = 0; j < p->nout; j++) {
        if (!out || !out[j])
            return fail(w, AD_EARG, "ad_run: output %d has no memory", j + 1);
        w->addr[p->out[j]] = out[j];
    }
    for (int32_t i = 0; i < p->nins; i++) {
        const ad_ins *ins = &p->ins[i];
        ad_kcall *c = &w->call[i];
        const int32_t *a = ad_ins_args(p, ins);
        c->dst = w->addr[p->pool[ins->at]];
        for (int k = 0; k < c->nargs; k++)
            ((const void **)(uintptr_t)c->src)[k] = w->addr[a[k]];
        int status = p->k->run[ins->op](c);
        if (status)
            return fail(
                w, status,
                "ad_run: ad_%s (node %d): the matrix in row %lld is singular or not positive definite",
                ad_ops[ins->op].name, ins->origin, (long long)c->bad_row);
    }
    return AD_OK;
}
