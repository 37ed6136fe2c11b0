/* run.c - a workspace, and one run of a program.
 * Invariant: nothing is allocated unless the batch grows. Calls are prepared when the batch changes; a run writes only
 * the pointers that lead to inputs and outputs, and those that move from block to block. Which thread works on a
 * block changes no bit: a block writes its own rows only.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"
#include "program.h"

#include <pthread.h>
#include <stdio.h>

enum {
    PACK_WORTH = 4096,
    SHARE_WORTH = 1 << 19
}; /* elements of B worth packing; multiply-adds worth sharing */

typedef struct call { /* one instruction, ready to run */
    ad_kernel fn;
    ad_kcall c;
    const char *packed; /* second factor of a product, packed for this stage; or NULL */
    bool paired;        /* tanh and its derivative: with the next instruction */
} call;

typedef struct lane { /* what a thread needs of its own */
    call *call;       /* by instruction; lane 0 shares the workspace's */
    const void **src;
    int64_t (*shape)[2];
    char *block; /* memory of values that live in one block */
    char *scratch;
} lane;

typedef struct patch { /* a pointer that leads to an input or output */
    const void **pointer;
    int32_t place;
} patch;

struct ad_work {
    const ad_program *p;
    ad_pool *pool;
    int batch, status, lanes;
    char message[240];
    char *memory; /* buffers, packed factors; for each lane block memory and scratch; aligned to 64 bytes */
    size_t memory_size;
    void *native; /* the workspace of a compiled program */
    size_t native_size;
    /* By place; inputs and outputs: of this run; values of a block: their distance from its start. */
    uintptr_t *addr;
    size_t *buffer; /* by buffer: where it begins in memory, or in the block */
    size_t *packed; /* by instruction: distance of the packed factor in memory, 0: none */
    lane *lane;
    patch *patch;
    int32_t npatch;
    int32_t *moved;   /* attributes that count rows of the batch, two an instruction */
    ad_state **state; /* by instruction, of nodes with several results; NULL when there are none */
    int file; /* numbers in a slot of an odd stage: the rows of a block, rounded up to whole vectors */
    int64_t args;
    pthread_mutex_t lock;
    /* the first failure, by block, then by instruction */
    int bad_status, bad_piece;
    int32_t bad_ins;
    int64_t bad_row;
};

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
    return w->state;
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
        lane *v = &w->lane[l];
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

static const ad_buffer *buffer_of(const ad_program *p, int32_t place)
{
    const ad_place *v = &p->place[place];
    return v->where == AD_AT_BUFFER ? &p->buffer[v->index] : NULL;
}
static bool in_block(const ad_program *p, int32_t place)
{
    const ad_buffer *b = buffer_of(p, place);
    return b && b->local;
}

/* Bytes of a value for each row of the batch, where blocks are parts of it; 0 for what has no batch or is the block's. */
static size_t step_of(const ad_program *p, int32_t place)
{
    const ad_place *v = &p->place[place];
    return v->rows >= 0 || in_block(p, place) ? 0 : (size_t)-v->rows * (size_t)v->cols * p->k->size;
}

/* Memory for every buffer, packed factor and lane: the total, and where each begins. */
static size_t layout(ad_work *w, int batch, size_t *block_size)
{
    const ad_program *p = w->p;
    int block = batch < p->block ? batch : p->block;
    w->file = (block + p->k->lanes - 1) / p->k->lanes * p->k->lanes;
    /* The files of scalar code stand first. */
    size_t at = rounded((size_t)p->slots[0] * p->k->size),
           local = rounded((size_t)p->slots[1] * (size_t)w->file * p->k->size);
    for (int32_t b = 0; b < p->nbuffers; b++) {
        const ad_buffer *v = &p->buffer[b];
        size_t *here = v->local ? &local : &at;
        if (p->slot && p->slot[b] >= 0) {
            w->buffer[b] = (size_t)p->slot[b] * (size_t)(v->local ? w->file : 1) * p->k->size;
            continue;
        }
        w->buffer[b] = *here;
        *here += rounded((size_t)(v->fixed + v->per_row * (v->local ? block : batch)) * p->k->size);
    }
    at += 64; /* so that a packed factor never begins at 0 */
    for (int32_t s = 0; s < p->nstages; s++)
        for (int32_t i = p->stage[s].first; i < p->stage[s].end; i++) {
            const ad_place *b = p->ins[i].op == OP_MATMUL ? &p->place[ad_ins_args(p, &p->ins[i])[1]] : NULL;
            w->packed[i] = 0;
            if (b && p->stage[s].rows && (int64_t)b->rows * b->cols >= PACK_WORTH && batch >= 16) {
                int tb = ad_ins_attrs(p, &p->ins[i])[1];
                w->packed[i] = at;
                at += rounded(p->k->pack_size(tb ? b->rows : b->cols, tb ? b->cols : b->rows) * p->k->size);
            }
        }
    *block_size = local;
    return at;
}

static void prepare(ad_work *w, lane *v, int batch)
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
                src[k] = (const void *)(w->addr[a[k]] + (in_block(p, a[k]) ? (uintptr_t)v->block : 0));
                shape[k][0] = ad_rows_at(p->place[a[k]].rows, batch);
                shape[k][1] = p->place[a[k]].cols;
            }
            if (ins->op == OP_SLICE || ins->op == OP_PAD) {
                w->moved[2 * i] = (int32_t)ad_rows_at(attr[0], batch);
                w->moved[2 * i + 1] = attr[1];
                attr = w->moved + 2 * (size_t)i;
            }
            call *c = &v->call[i];
            c->fn = p->k->run[ins->op];
            c->packed = w->packed[i] ? w->memory + w->packed[i] : NULL;
            c->paired = i + 1 < p->stage[s].end && (ins->op == OP_tanh || ins->op == OP_dtanh) &&
                        ins[1].op == (ins->op == OP_tanh ? OP_dtanh : OP_tanh) &&
                        a[0] == ad_ins_args(p, ins + 1)[0] && p->place[a[0]].rows == p->place[dst].rows &&
                        p->place[a[0]].cols == p->place[dst].cols;
            c->c = (ad_kcall){.dst = (void *)(w->addr[dst] + (in_block(p, dst) ? (uintptr_t)v->block : 0)),
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

/* The pointers that lead to inputs and outputs from instructions of even stages. */
static void find_patches(ad_work *w)
{
    const ad_program *p = w->p;
    w->npatch = 0;
    for (int32_t s = 0; s < p->nstages; s++)
        for (int32_t i = p->stage[s].first; i < p->stage[s].end && !p->stage[s].rows; i++) {
            ad_kcall *c = &w->lane[0].call[i].c;
            const int32_t *a = ad_ins_args(p, &p->ins[i]);
            if (outside(p, a[-1]))
                w->patch[w->npatch++] = (patch){(const void **)(void *)&c->dst, a[-1]};
            for (int k = 0; k < c->nargs; k++)
                if (outside(p, a[k]))
                    w->patch[w->npatch++] = (patch){(const void **)(uintptr_t)&c->src[k], a[k]};
        }
}

/* `count` copies of a number. */
static void splat(char *to, const char *from, int count, size_t size)
{
    for (int i = 0; i < count; i++)
        memcpy(to + (size_t)i * size, from, size);
}
/* The constants of a file. */
static void fill(char *file, const ad_port *port, int32_t n, const ad_work *w, int lanes)
{
    size_t size = w->p->k->size;
    for (int32_t i = 0; i < n; i++)
        splat(file + (size_t)port[i].slot * (size_t)lanes * size, (const char *)w->addr[port[i].place], lanes,
              size);
}

static int bind(ad_work *w, int batch)
{
    const ad_program *p = w->p;
    size_t block, scratch = rounded((size_t)p->scratch * p->k->size), shared = layout(w, batch, &block),
                  size = shared + (size_t)w->lanes * (block + scratch);
    w->batch = 0;
    if (size > w->memory_size) {
        free(w->memory);
        w->memory = aligned_alloc(64, size);
        w->memory_size = w->memory ? size : 0;
        if (!w->memory)
            return fail(w, AD_ENOMEM, "ad_run: out of memory for a batch of %d (%zu bytes)", batch, size);
    }
    for (int32_t i = 0; i < p->nplaces; i++) {
        const ad_place *v = &p->place[i];
        uintptr_t base = v->where == AD_AT_CONST ? (uintptr_t)p->consts : 0;
        if (v->where == AD_AT_BUFFER)
            base = w->buffer[v->index] + (in_block(p, i) ? 0 : (uintptr_t)w->memory);
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

static inline void copy_number(char *to, const char *from, size_t size)
{ /* a size known to the compiler is one move */
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, size);
}

/* A run of scalar code in an even stage. */
static void run_code(const ad_work *w, const ad_run_code *r)
{
    const ad_program *p = w->p;
    size_t size = p->k->size;
    const ad_port *port = p->port + r->import;
    for (int32_t i = 0; i < r->nimport; i++)
        copy_number(w->memory + (size_t)port[i].slot * size, (const char *)w->addr[port[i].place], size);
    p->k->code_one(w->memory, p->code + r->code, 1);
    port = p->port + r->export;
    for (int32_t i = 0; i < r->nexport; i++)
        copy_number((char *)w->addr[port[i].place], w->memory + (size_t)port[i].slot * size, size);
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

static int run_call(const ad_program *p, call *c)
{
    if (c->packed) {
        p->k->packed((long)c->c.rows, (long)c->c.cols, (long)c->c.shape[0][1], c->c.src[0],
                     (long)c->c.shape[0][1], c->packed, c->c.dst, (long)c->c.cols, 0);
        return AD_OK;
    }
    return c->fn(&c->c);
}

static void run_pair(const ad_program *p, call *c, bool derivative_first)
{
    p->k->tanh_pair(c[derivative_first].c.dst, c[!derivative_first].c.dst, c->c.src[0],
                    c->c.rows * c->c.cols);
}

typedef struct job {
    ad_work *w;
    const ad_stage *stage;
} job;

/* Where the rows of a block that begins at row `first` of the batch are. */
static uintptr_t part_of(const ad_work *w, const lane *v, int32_t place, int64_t first)
{
    return w->addr[place] +
           (in_block(w->p, place) ? (uintptr_t)v->block : (size_t)first * step_of(w->p, place));
}

/* A run of scalar code in one block of an odd stage. */
static void run_code_rows(const ad_work *w, const lane *v, const ad_run_code *r, int64_t first, int64_t rows)
{
    const ad_program *p = w->p;
    size_t size = p->k->size, stride = (size_t)w->file * size;
    const ad_port *port = p->port + r->import;
    for (int32_t i = 0; i < r->nimport; i++) {
        char *to = v->block + (size_t)port[i].slot * stride;
        const char *from = (const char *)part_of(w, v, port[i].place, first);
        if (p->place[port[i].place].rows == 1)
            splat(to, from, (int)rows, size);
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
static void aim(const ad_work *w, lane *v, int32_t i, int64_t first, int64_t rows)
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
    lane *v = &w->lane[thread];
    int64_t first = (int64_t)piece * p->block,
            rows = w->batch - first < p->block ? w->batch - first : p->block;
    const ad_run_code *r = next_run(p, j->stage->first), *last = p->run + p->nrun;
    for (int32_t i = j->stage->first; i < j->stage->end; i++) {
        if (r && r < last && r->first == i) {
            run_code_rows(w, v, r, first, rows);
            i = r++->end - 1;
            continue;
        }
        call *c = &v->call[i];
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
    call *calls = w->lane[0].call;
    const ad_run_code *r = next_run(p, s->first), *last = p->run + p->nrun;
    for (int32_t i = s->first; i < s->end; i++) {
        call *c = &calls[i];
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
    for (int32_t i = s->first; i < s->end; i++)
        if (w->packed[i]) {
            const int32_t *a = ad_ins_args(p, &p->ins[i]), tb = ad_ins_attrs(p, &p->ins[i])[1];
            const ad_place *b = &p->place[a[1]];
            p->k->pack(tb ? b->rows : b->cols, tb ? b->cols : b->rows, (const void *)w->addr[a[1]], b->cols,
                       tb, w->memory + w->packed[i]);
        }
    job j = {w, s};
    ad_pool_run(w->pool, (w->batch + p->block - 1) / p->block, run_block, &j);
}

/* A compiled program. What it fails in is run again by replay, which says what and where. */
static int run_native(ad_work *w, int batch, const void *const in[], void *const out[])
{
    size_t size = rounded((w->p->native_work(batch) + 1) * w->p->k->size);
    if (size > w->native_size) {
        free(w->native);
        w->native = aligned_alloc(64, size);
        w->native_size = w->native ? size : 0;
        if (!w->native)
            return fail(w, AD_ENOMEM, "ad_run: out of memory for a batch of %d (%zu bytes)", batch, size);
    }
    return w->p->native(batch, in, out, w->native);
}

int ad_run(ad_work *w, int batch, const void *const in[], void *const out[])
{
    if (!w)
        return AD_ENOMEM;
    const ad_program *p = w->p;
    w->status = w->bad_status = AD_OK;
    w->message[0] = 0;
    if (batch < 1)
        return fail(w, AD_EARG, "ad_run: a batch of %d; needs at least 1", batch);
    for (int i = 0; i < p->nin; i++)
        if (p->in[i] >= 0 && (!in || !in[i]))
            return fail(w, AD_EUNBOUND, "ad_run: input %d has no memory", i + 1);
    for (int j = 0; j < p->nout; j++)
        if (!out || !out[j])
            return fail(w, AD_EARG, "ad_run: output %d has no memory", j + 1);
    if (p->native && (run_native(w, batch, in, out) == AD_OK || w->status))
        return w->status;
    if (batch != w->batch && bind(w, batch))
        return w->status;
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
        return fail(w, w->bad_status, "ad_run: ad_%s (node %d): %s", ad_ops[p->ins[w->bad_ins].op].name,
                    p->ins[w->bad_ins].origin, w->state[w->bad_ins]->message);
    if (w->bad_status)
        return fail(w, w->bad_status,
                    "ad_run: ad_%s (node %d): the matrix in row %lld is singular or not positive definite",
                    ad_ops[p->ins[w->bad_ins].op].name, p->ins[w->bad_ins].origin, (long long)w->bad_row);
    return AD_OK;
}
