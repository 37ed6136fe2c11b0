/* scan_run.c - a loop forward: one workspace for the body, two buffers for each carry in turn; or carries where the loop backward
 * of the same program keeps its checkpoints.
 * Invariant: nothing is allocated but when the batch grows; a step changes pointers, no number is copied except
 * per-step values of several rows, which lie apart.
 *
 * SPDX-License-Identifier: MIT */
#include "scan_run.h"

#include <stdio.h>

enum { ALIGN = 64 };

size_t ad_slice_size(ad_shape s, int64_t batch, size_t size)
{
    return ((size_t)ad_shape_size(s, batch) * size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/* Step k of a value [rows, count*c]: where it is, or a copy of its rows. */
const void *ad_step_get(ad_shape s, int64_t batch, size_t size, int64_t count, int64_t k, const void *all,
                        void *buffer)
{
    int64_t rows = ad_rows_at(s.rows, batch);
    size_t row = (size_t)s.cols * size;
    const char *from = (const char *)all + (size_t)k * row;
    if (rows == 1)
        return from;
    for (int64_t i = 0; i < rows; i++)
        memcpy((char *)buffer + (size_t)i * row, from + (size_t)(i * count) * row, row);
    return buffer;
}

/* Where step k of a result is to be written, and the way to its place. */
void *ad_step_at(ad_shape s, int64_t batch, size_t size, int64_t k, void *all, void *buffer)
{
    return ad_rows_at(s.rows, batch) == 1 ? (char *)all + (size_t)k * (size_t)s.cols * size : buffer;
}
void ad_step_put(ad_shape s, int64_t batch, size_t size, int64_t count, int64_t k, void *all,
                 const void *buffer)
{
    int64_t rows = ad_rows_at(s.rows, batch);
    size_t row = (size_t)s.cols * size;
    char *to = (char *)all + (size_t)k * row;
    for (int64_t i = 0; rows != 1 && i < rows; i++)
        memcpy(to + (size_t)(i * count) * row, (const char *)buffer + (size_t)i * row, row);
}

typedef struct scan_state {
    ad_state s;
    size_t size;
    ad_work *work;
    ad_state *back; /* the loop backward that goes on with the checkpoints of this one; NULL */
    bool begun;
    int64_t batch; /* that memory is for */
    char *memory;
    size_t memory_size;
    const void **in;
    void **out;
    char **buffer; /* two for each carry, then one for each step and collected value */
} scan_state;

static void scan_close(ad_state *state)
{
    scan_state *s = (scan_state *)state;
    ad_work_free(s->work);
    free(s->memory);
    free(s->in);
    free(s->out);
    free(s->buffer);
    free(s);
}

static ad_state *scan_open(const ad_object *o, int real, ad_pool *pool)
{
    const ad_loop *l = (const ad_loop *)o;
    const ad_program *p = ad_func_program(l->f, real);
    scan_state *s = p ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    size_t nin = (size_t)l->f->o.nin, nout = (size_t)l->f->o.nout;
    s->s.object = o;
    s->size = ad_kernels_for(real)->size;
    s->work = ad_work_new(p, pool);
    s->in = calloc(nin + 1, sizeof *s->in);
    s->out = calloc(nout + 1, sizeof *s->out);
    s->buffer = calloc(nin + 2 * nout + 1, sizeof *s->buffer);
    if (s->work && s->in && s->out && s->buffer)
        return &s->s;
    scan_close(&s->s);
    return NULL;
}

static int scan_bind(scan_state *s, const ad_loop *l, int64_t batch)
{
    const ad_object *f = &l->f->o;
    const ad_shape *carry = f->in + l->nshared, *step = carry + l->ncarry, *collect = f->out + l->ncarry;
    size_t need = 0;
    for (int pass = 0; pass < 2; pass++) {
        char *at = s->memory;
        int n = 0;
        for (int i = 0; i < 2 * l->ncarry + l->nstep + l->ncollect; i++) {
            int k = i - 2 * l->ncarry;
            ad_shape shape = k < 0 ? carry[i / 2] : k < l->nstep ? step[k] : collect[k - l->nstep];
            size_t bytes = ad_slice_size(shape, batch, s->size);
            if (pass) {
                s->buffer[n++] = at;
                at += bytes;
            } else {
                need += bytes;
            }
        }
        if (pass == 0 && need > s->memory_size) {
            free(s->memory);
            s->memory = aligned_alloc(ALIGN, need);
            s->memory_size = s->memory ? need : 0;
            if (!s->memory) {
                snprintf(s->s.message, sizeof s->s.message, "out of memory for a batch of %lld",
                         (long long)batch);
                return AD_ENOMEM;
            }
        }
    }
    s->batch = batch;
    return AD_OK;
}

/* Step k; carries are set. */
static int one_step(scan_state *s, const ad_kcall *c, int64_t k)
{
    const ad_loop *l = c->object;
    int64_t b = c->rows, count = l->count;
    int steps = l->nshared + l->ncarry;
    const ad_shape *step = l->f->o.in + steps, *collect = l->f->o.out + l->ncarry;
    char **step_buffer = s->buffer + 2 * l->ncarry, **collect_buffer = step_buffer + l->nstep;
    for (int i = 0; i < l->nstep; i++)
        s->in[steps + i] = ad_step_get(step[i], b, s->size, count, k, c->src[steps + i], step_buffer[i]);
    for (int i = 0; i < l->ncollect; i++)
        s->out[l->ncarry + i] = ad_step_at(
            collect[i], b, s->size, k,
            (char *)c->dst + (size_t)ad_result_at(&l->o, l->ncarry + i, b) * s->size, collect_buffer[i]);
    int status = ad_run_next(&s->begun, s->work, b, s->in, s->out);
    if (status) {
        snprintf(s->s.message, sizeof s->s.message, "step %lld: %s", (long long)k,
                 ad_inner(ad_work_message(s->work)));
        return status;
    }
    for (int i = 0; i < l->ncollect; i++)
        ad_step_put(collect[i], b, s->size, count, k,
                    (char *)c->dst + (size_t)ad_result_at(&l->o, l->ncarry + i, b) * s->size,
                    collect_buffer[i]);
    return AD_OK;
}

static void *last_at(const scan_state *s, const ad_kcall *c, int i)
{
    return (char *)c->dst + (size_t)ad_result_at(c->object, i, c->rows) * s->size;
}

typedef struct marked {
    scan_state *s;
    const ad_kcall *c;
    const ad_marks *m;
} marked;

static int marked_step(void *user, int64_t k, const char *from, char *to)
{
    const marked *u = user;
    const ad_loop *l = u->c->object;
    for (int i = 0; i < l->ncarry; i++) {
        u->s->in[l->nshared + i] = from + u->m->offset[i];
        u->s->out[i] = to ? to + u->m->offset[i] : last_at(u->s, u->c, i);
    }
    return one_step(u->s, u->c, k);
}

/* The way that the loop backward would take first: the same steps, with its checkpoints. */
static int scan_marked(scan_state *s, const ad_kcall *c)
{
    const ad_loop *l = c->object;
    ad_marks *m = ad_back_begin(s->back, c);
    if (!m) {
        snprintf(s->s.message, sizeof s->s.message, "%s", s->back->message);
        return AD_ENOMEM;
    }
    marked u = {s, c, m};
    int status = ad_marks_descend(m, l->count, marked_step, &u);
    if (!status)
        status = marked_step(&u, l->count - 1, m->path + (size_t)(l->count - 1 - m->first) * m->bytes, NULL);
    m->given = !status;
    return status;
}

static int scan_run(ad_kcall *c)
{
    scan_state *s = c->state;
    const ad_loop *l = c->object;
    if (c->rows != s->batch) {
        s->batch = 0;
        if (scan_bind(s, l, c->rows))
            return AD_ENOMEM;
    }
    for (int i = 0; i < l->nshared + l->ncarry; i++)
        s->in[i] = c->src[i];
    s->begun = false;
    if (s->back)
        return scan_marked(s, c);
    for (int64_t k = 0; k < l->count; k++) {
        for (int i = 0; i < l->ncarry; i++)
            s->out[i] = k == l->count - 1 ? last_at(s, c, i) : s->buffer[2 * i + (k & 1)];
        int status = one_step(s, c, k);
        if (status)
            return status;
        for (int i = 0; i < l->ncarry; i++)
            s->in[l->nshared + i] = s->out[i];
    }
    return AD_OK;
}

void ad_scan_link(ad_state *forward, ad_state *back) { ((scan_state *)forward)->back = back; }

const ad_class ad_scan_class = {.op = OP_SCAN,
                                .destroy = ad_loop_destroy,
                                .open = scan_open,
                                .close = scan_close,
                                .run = scan_run,
                                .pullback = ad_scan_pullback,
                                .tangent = ad_scan_tangent};
