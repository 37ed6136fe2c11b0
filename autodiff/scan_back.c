/* scan_back.c - a loop backward: steps in descending order, their carries recomputed from checkpoints.
 *
 * With s free checkpoints and every step run forward at most r times, T(s,r) = C(s+r+1, r) steps can be reversed from
 * a stored carry: the left part, T(s,r-1) steps, was run over once already, the right part, T(s-1,r), has one
 * checkpoint less; T(s,0) = 1, T(0,r) = r+1. A stretch is cut so that both parts keep within their r, which is
 * the schedule with the fewest runs. By default there are so many checkpoints that r = 2: about sqrt(2 count).
 * A stretch whose carries all find room is run forward in one go. The first way to the end is left to the loop forward where the
 * program has one on the same operands (scan_link.c).
 * Source: Griewank, Walther (2000), ACM Trans. Math. Softw. 26, 19-45 (revolve); the recurrence as above.
 * Invariant: which checkpoints there are changes no bit.
 *
 * SPDX-License-Identifier: MIT */
#include "scan_run.h"

#include <math.h>
#include <stdio.h>

#define K(name) name
#include "kernels/loop_schedule.h"

enum { KEEP_ALL = 256 << 10 }; /* bytes of carries that are all kept unless told otherwise */

typedef struct back_state {
    ad_state s;
    size_t size;
    ad_work *forward, *back;
    bool begun[2]; /* forward, back */
    int64_t batch; /* that memory is for */
    char *memory;
    ad_marks m;    /* room for two carries follows its slots */
    char **buffer; /* one for each step and seed, two for each adjoint of a carry and each sum */
    const void **fin, **bin;
    void **fout, **bout;
} back_state;

static void back_close(ad_state *state)
{
    back_state *s = (back_state *)state;
    ad_work_free(s->forward);
    ad_work_free(s->back);
    free(s->memory);
    free(s->m.at);
    free(s->m.offset);
    free(s->buffer);
    free(s->fin);
    free(s->fout);
    free(s);
}

static ad_state *back_open(const ad_object *o, int real, ad_pool *pool)
{
    const ad_loop *l = (const ad_loop *)o;
    const ad_program *forward = l->ncarry ? ad_func_program(l->forward, real) : NULL,
                     *back = ad_func_program(l->back, real);
    back_state *s = back && (forward || !l->ncarry) ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    size_t nf = (size_t)l->f->o.nin, nb = (size_t)l->back->o.nin, no = (size_t)l->back->o.nout;
    s->s.object = o;
    s->size = ad_kernels_for(real)->size;
    s->forward = forward ? ad_work_new(forward, pool) : NULL;
    s->back = ad_work_new(back, pool);
    s->m.offset = calloc((size_t)l->ncarry + 1, sizeof *s->m.offset);
    s->buffer = calloc(nf + nb + 2 * no + 1, sizeof *s->buffer);
    s->fin = calloc(nf + nb + 1, sizeof *s->fin);
    s->fout = calloc((size_t)l->ncarry + no + 1, sizeof *s->fout);
    if (s->back && (s->forward || !forward) && s->m.offset && s->buffer && s->fin && s->fout) {
        s->bin = s->fin + nf;
        s->bout = s->fout + l->ncarry;
        return &s->s;
    }
    back_close(&s->s);
    return NULL;
}

int64_t ad_scan_slots(const ad_loop *l, size_t bytes)
{
    int64_t all = bytes ? (int64_t)(KEEP_ALL / bytes) : l->count,
            few = (int64_t)ceil(sqrt(2.0 * (double)l->count));
    int64_t n = l->checkpoints ? l->checkpoints : all > few ? all : few;
    return n < l->count ? n : l->count;
}

/* Shapes of what has buffers: steps, seeds, then twice each adjoint of a carry and sum. */
static ad_shape buffered(const ad_loop *l, int i)
{
    const ad_object *f = &l->f->o;
    if (i < l->nstep)
        return f->in[l->nshared + l->ncarry + i];
    i -= l->nstep;
    if (i < l->nseeds)
        return f->out[l->ncarry + l->seed[i]];
    i -= l->nseeds;
    if (i < l->nmoved)
        return f->in[l->nshared + l->ncarry + l->moved[i]];
    i -= l->nmoved;
    return i < 2 * l->ncarry ? f->out[i / 2] : f->in[l->sum[(i - 2 * l->ncarry) / 2]];
}

static int back_bind(back_state *s, const ad_loop *l, int64_t batch)
{
    const ad_object *f = &l->f->o;
    int nbuffers = l->nstep + l->nseeds + l->nmoved + 2 * l->ncarry + 2 * l->nsums;
    ad_marks *m = &s->m;
    size_t need = 0, at;
    m->bytes = 0;
    for (int i = 0; i < l->ncarry; i++) {
        m->offset[i] = m->bytes;
        m->bytes += ((size_t)ad_shape_size(f->out[i], batch) * s->size + 15) & ~(size_t)15;
    }
    m->slots = ad_scan_slots(l, m->bytes);
    for (int i = 0; i < nbuffers; i++)
        need += ad_slice_size(buffered(l, i), batch, s->size);
    at = need;
    need += (size_t)(m->slots + 2) * m->bytes;
    free(s->memory);
    free(m->at);
    s->memory = aligned_alloc(64, (need + 63) & ~(size_t)63);
    m->at = malloc((size_t)m->slots * sizeof *m->at);
    if (!s->memory || !m->at) {
        snprintf(s->s.message, sizeof s->s.message, "out of memory for %lld checkpoints of %zu bytes",
                 (long long)m->slots, m->bytes);
        return AD_ENOMEM;
    }
    m->carries = s->memory + at;
    at = 0;
    for (int i = 0; i < nbuffers; i++) {
        s->buffer[i] = s->memory + at;
        at += ad_slice_size(buffered(l, i), batch, s->size);
    }
    s->batch = batch;
    return AD_OK;
}

static int failed(back_state *s, int status, int64_t k, const ad_work *w)
{
    snprintf(s->s.message, sizeof s->s.message, "step %lld: %s", (long long)k, ad_inner(ad_work_message(w)));
    return status;
}

static void get_steps(back_state *s, const ad_loop *l, const ad_kcall *c, int64_t k, const void **in)
{
    int steps = l->nshared + l->ncarry;
    for (int i = 0; i < l->nstep; i++)
        in[steps + i] = ad_step_get(l->f->o.in[steps + i], c->rows, s->size, l->count, k, c->src[steps + i],
                                    s->buffer[i]);
}

/* What a loop backward is run with. */
typedef struct running {
    back_state *s;
    const ad_loop *l;
    const ad_kcall *c;
} running;

static int step_forward(void *user, int64_t k, const char *from, char *to)
{
    const running *u = user;
    back_state *s = u->s;
    const ad_loop *l = u->l;
    for (int i = 0; i < l->ncarry; i++) {
        s->fin[l->nshared + i] = from + s->m.offset[i];
        s->fout[i] = to + s->m.offset[i];
    }
    get_steps(s, l, u->c, k, s->fin);
    int status = ad_run_next(&s->begun[0], s->forward, u->c->rows, s->fin, s->fout);
    return status ? failed(s, status, k, s->forward) : AD_OK;
}

static char *result_at(const back_state *s, const ad_loop *l, const ad_kcall *c, int k)
{
    return (char *)c->dst + (size_t)ad_result_at(&l->o, k, c->rows) * s->size;
}

/* Step k backward from its carry: inputs are values, adjoints, sums so far; results sums, adjoints. */
static int step_back(back_state *s, const ad_loop *l, const ad_kcall *c, int64_t k, const char *carry)
{
    int nf = l->f->o.nin, steps = l->nshared + l->ncarry, n = nf;
    char **seed = s->buffer + l->nstep, **moved = seed + l->nseeds, **adjoint = moved + l->nmoved,
         **sum = adjoint + 2 * l->ncarry;
    bool first = k == l->count - 1;
    int now = (int)(k & 1);
    for (int i = 0; i < l->ncarry; i++)
        s->bin[l->nshared + i] = carry + s->m.offset[i];
    get_steps(s, l, c, k, s->bin);
    for (int i = 0; i < l->ncarry; i++)
        s->bin[n++] = first ? c->src[nf + i] : adjoint[2 * i + !now];
    for (int i = 0; i < l->nseeds; i++)
        s->bin[n++] = ad_step_get(l->f->o.out[l->ncarry + l->seed[i]], c->rows, s->size, l->count, k,
                                  c->src[nf + l->ncarry + i], seed[i]);
    for (int i = 0; i < l->nsums; i++)
        s->bin[n++] = sum[2 * i + !now];
    n = 0;
    for (int i = 0; i < l->nsums; i++, n++)
        s->bout[n] = k ? sum[2 * i + now] : result_at(s, l, c, n);
    for (int i = 0; i < l->ncarry; i++, n++)
        s->bout[n] = k ? adjoint[2 * i + now] : result_at(s, l, c, n);
    for (int i = 0; i < l->nmoved; i++, n++)
        s->bout[n] =
            ad_step_at(l->f->o.in[steps + l->moved[i]], c->rows, s->size, k, result_at(s, l, c, n), moved[i]);
    int status = ad_run_next(&s->begun[1], s->back, c->rows, s->bin, s->bout);
    if (status)
        return failed(s, status, k, s->back);
    n = l->nsums + l->ncarry;
    for (int i = 0; i < l->nmoved; i++, n++)
        ad_step_put(l->f->o.in[steps + l->moved[i]], c->rows, s->size, l->count, k, result_at(s, l, c, n),
                    moved[i]);
    return AD_OK;
}

/* Steps from ... to-1 from the carries at here; those after each go to path, path + stride, ... */
static int ahead(int64_t from, int64_t to, const char *here, char *path, size_t stride, char *spare,
                 ad_stepper *step, void *user)
{
    int status = AD_OK;
    for (int64_t k = from; k < to && !status; k++) {
        char *next = stride || (to - 1 - k) % 2 == 0 ? path : spare;
        status = step(user, k, here, next);
        here = next;
        path += stride;
    }
    return status;
}

int ad_marks_descend(ad_marks *m, int64_t end, ad_stepper *step, void *user)
{
    const size_t size = m->bytes;
    int64_t lo = m->at[m->top], left = m->slots - 1 - m->top;
    char *here = m->carries + (size_t)m->top * size, *spare = m->carries + (size_t)m->slots * size;
    int status = AD_OK;
    for (; left > 0 && end - lo > left + 2 && !status; left--) {
        int64_t stop = lo + loop_cut(end - lo, left);
        status = ahead(lo, stop, here, here + size, 0, spare, step, user);
        m->at[++m->top] = lo = stop;
        here += size;
    }
    bool all = end - lo <= left + 2;
    m->first = all ? lo : end - 1;
    m->path = all ? here : spare;
    if (!status && lo < end - 1)
        status =
            ahead(lo, end - 1, here, all ? here + size : spare, all ? size : 0, spare + size, step, user);
    return status;
}

ad_marks *ad_back_begin(ad_state *state, const ad_kcall *c)
{
    back_state *s = (back_state *)state;
    const ad_loop *l = (const ad_loop *)state->object;
    ad_marks *m = &s->m;
    if (c->rows != s->batch) {
        s->batch = 0;
        if (back_bind(s, l, c->rows))
            return NULL;
    }
    for (int i = 0; i < l->ncarry; i++)
        memcpy(m->carries + m->offset[i], c->src[l->nshared + i],
               (size_t)ad_shape_size(l->f->o.out[i], c->rows) * s->size);
    m->at[0] = m->top = m->first = 0;
    m->path = m->carries;
    m->given = false;
    return m;
}

static int reverse(running *u)
{
    ad_marks *m = &u->s->m;
    int status = AD_OK;
    for (int64_t end = u->l->count; end > 0 && !status; end = m->first) {
        if (u->l->ncarry && !m->given)
            status = ad_marks_descend(m, end, step_forward, u);
        m->given = false;
        for (int64_t k = end - 1; k >= m->first && !status; k--)
            status = step_back(u->s, u->l, u->c, k, m->path + (size_t)(k - m->first) * m->bytes);
        if (m->top > 0 && m->at[m->top] == m->first)
            m->top--;
    }
    return status;
}

static int back_run(ad_kcall *c)
{
    back_state *s = c->state;
    const ad_loop *l = c->object;
    if (!(s->m.given && c->rows == s->batch) && !ad_back_begin(&s->s, c))
        return AD_ENOMEM;
    char **sum = s->buffer + l->nstep + l->nseeds + l->nmoved + 2 * l->ncarry;
    for (int i = 0; i < l->nshared; i++)
        s->fin[i] = s->bin[i] = c->src[i];
    for (int i = 0; i < l->nsums; i++) /* the sum that the last step reads */
        memset(sum[2 * i + (l->count & 1)], 0,
               (size_t)ad_shape_size(l->f->o.in[l->sum[i]], c->rows) * s->size);
    s->begun[0] = s->begun[1] = false;
    return reverse(&(running){s, l, c});
}

const ad_class ad_back_class = {.op = OP_SCAN_BACK,
                                .destroy = ad_loop_destroy,
                                .open = back_open,
                                .close = back_close,
                                .run = back_run,
                                .pullback = ad_back_pullback,
                                .tangent = ad_back_tangent};
