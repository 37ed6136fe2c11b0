/* loops.h - loops forward and backward, and roots, over functions of emitted C: emitted C embeds this text, nothing else
 * includes it. The schedule of the backward loop is in loop_schedule.h.
 * Invariant: the bits of scan_run.c, scan_back.c and root.c.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_LOOPS_H
#define AD_KERNELS_LOOPS_H
#define AD_EROOT 10

typedef int em_function(int batch, const REAL *const in[], REAL *const out[], REAL *work);
/* Steps of a loop of few numbers and no batch (emit_steps.c). Forward: from ... to-1, from the carries at here; those after each step
 * go to path, path + stride, ... Backward: to-1 ... from, whose carries are at path; adjoint: of the carries, then sums. */
typedef int em_ahead(int64_t from, int64_t to, const REAL *here, REAL *path, int64_t stride,
                     const REAL *const in[], REAL *const out[], REAL *work);
typedef int em_behind(int64_t from, int64_t to, const REAL *path, REAL *adjoint, const REAL *const in[],
                      REAL *const out[], REAL *work);

/* Shapes are rows (-k: k times the batch) and columns. f takes shared, carry, step values and gives carry, collected. */
typedef struct em_loop {
    em_function *f,
        *back;         /* back: f's inputs, adjoints, seeds, sums -> sums, adjoints, those of moved steps */
    em_ahead *ahead;   /* 0: by f */
    em_behind *behind; /* 0: by back */
    int64_t count, slots, keep; /* checkpoints; numbers that more of them may take */
    int nshared, ncarry, nstep, ncollect, nsums, nseeds, nmoved;
    const int (*in)[2], (*out)[2];
    const int *sum, *seed, *moved;
} em_loop;

typedef struct em_run {
    const REAL *const *in;
    REAL *const *out;
    const REAL **src, **bsrc;
    REAL **dst, **buffer, *work;
    REAL *adjoint;   /* for behind */
    REAL *marks;     /* room for checkpoints that lasts from the loop forward to the one backward; 0: none */
    int64_t numbers; /* of all carries */
    int batch;
} em_run;

/* Carries that are kept: the state at step noted(at, i) is carries + i numbers, i = 0 ... top. The last steps of a stretch, from
 * `first` on, have theirs at path, one after the other. */
typedef struct em_marks {
    int64_t slots, top, first;
    REAL *at, *carries, *path;
} em_marks;

typedef struct em_root {
    em_function *fj; /* y, x -> F, J row by row */
    int nin, rows, cols, max_iter;
    double tolerance;
} em_root;

static int64_t K(loop_rows)(const int shape[2], int batch)
{
    return shape[0] < 0 ? -(int64_t)shape[0] * batch : shape[0];
}
static int64_t K(loop_size)(const int shape[2], int batch) { return K(loop_rows)(shape, batch) * shape[1]; }

/* Step k of a value: where it is, or a copy of its rows. */
static const REAL *K(loop_get)(const int shape[2], int batch, int64_t count, int64_t k, const REAL *all,
                               REAL *buffer)
{
    int64_t rows = K(loop_rows)(shape, batch), cols = shape[1];
    if (rows == 1)
        return all + k * cols;
    for (int64_t i = 0; i < rows; i++)
        memcpy(buffer + i * cols, all + (i * count + k) * cols, (size_t)cols * sizeof *all);
    return buffer;
}
static REAL *K(loop_at)(const int shape[2], int batch, int64_t k, REAL *all, REAL *buffer)
{
    return K(loop_rows)(shape, batch) == 1 ? all + k * shape[1] : buffer;
}
static void K(loop_put)(const int shape[2], int batch, int64_t count, int64_t k, REAL *all,
                        const REAL *buffer)
{
    int64_t rows = K(loop_rows)(shape, batch), cols = shape[1];
    for (int64_t i = 0; rows != 1 && i < rows; i++)
        memcpy(all + (i * count + k) * cols, buffer + i * cols, (size_t)cols * sizeof *all);
}

static void K(loop_steps)(const em_loop *l, em_run *s, int64_t k, const REAL **src)
{
    const int steps = l->nshared + l->ncarry;
    for (int i = steps; i < steps + l->nstep; i++)
        src[i] = K(loop_get)(l->in[i], s->batch, l->count, k, s->in[i], s->buffer[i - steps]);
}

/* Step k; of a loop forward with its collected values, whose buffers follow those of step values. */
static int K(loop_forward)(const em_loop *l, em_run *s, int64_t k, const REAL *from, REAL *to)
{
    const int collected = l->back ? 0 : l->ncollect;
    REAL **collect = s->buffer + l->nstep - l->ncarry;
    for (int i = 0; i < l->ncarry; i++) {
        int64_t n = K(loop_size)(l->out[i], s->batch);
        s->src[l->nshared + i] = from;
        s->dst[i] = to;
        from += n;
        to += n;
    }
    K(loop_steps)(l, s, k, s->src);
    for (int i = l->ncarry; i < l->ncarry + collected; i++)
        s->dst[i] = K(loop_at)(l->out[i], s->batch, k, s->out[i], collect[i]);
    int status = l->f(s->batch, s->src, s->dst, s->work);
    for (int i = l->ncarry; i < l->ncarry + collected && !status; i++)
        K(loop_put)(l->out[i], s->batch, l->count, k, s->out[i], collect[i]);
    return status;
}

/* Step k backward from its carry. */
static int K(loop_backward)(const em_loop *l, em_run *s, int64_t k, const REAL *carry)
{
    const int steps = l->nshared + l->ncarry, b = s->batch, now = (int)(k & 1);
    REAL **seed = s->buffer + l->nstep, **moved = seed + l->nseeds, **adjoint = moved + l->nmoved,
         **sum = adjoint + 2 * l->ncarry;
    const REAL *const *given = s->in + steps + l->nstep; /* adjoints, seeds */
    int n = steps + l->nstep;
    for (int i = 0; i < l->ncarry; i++) {
        s->bsrc[l->nshared + i] = carry;
        carry += K(loop_size)(l->out[i], b);
    }
    K(loop_steps)(l, s, k, s->bsrc);
    for (int i = 0; i < l->ncarry; i++)
        s->bsrc[n++] = k == l->count - 1 ? given[i] : adjoint[2 * i + !now];
    for (int i = 0; i < l->nseeds; i++)
        s->bsrc[n++] =
            K(loop_get)(l->out[l->ncarry + l->seed[i]], b, l->count, k, given[l->ncarry + i], seed[i]);
    for (int i = 0; i < l->nsums; i++)
        s->bsrc[n++] = sum[2 * i + !now];
    n = 0;
    for (int i = 0; i < l->nsums; i++, n++)
        s->dst[n] = k ? sum[2 * i + now] : s->out[n];
    for (int i = 0; i < l->ncarry; i++, n++)
        s->dst[n] = k ? adjoint[2 * i + now] : s->out[n];
    for (int i = 0; i < l->nmoved; i++, n++)
        s->dst[n] = K(loop_at)(l->in[steps + l->moved[i]], b, k, s->out[n], moved[i]);
    int status = l->back(b, s->bsrc, s->dst, s->work);
    n = l->nsums + l->ncarry;
    for (int i = 0; !status && i < l->nmoved; i++, n++)
        K(loop_put)(l->in[steps + l->moved[i]], b, l->count, k, s->out[n], moved[i]);
    return status;
}

/* The step that a checkpoint is at, in the room of two numbers. */
static int64_t K(loop_noted)(const REAL *at, int64_t i)
{
    int64_t k;
    memcpy(&k, at + 2 * i, sizeof k);
    return k;
}
static void K(loop_note)(REAL *at, int64_t i, int64_t k) { memcpy(at + 2 * i, &k, sizeof k); }

/* As em_ahead, on any loop; spare: room for carries on their way. */
static int K(loop_ahead)(const em_loop *l, em_run *s, int64_t from, int64_t to, const REAL *here, REAL *path,
                         int64_t stride, REAL *spare)
{
    int status = AD_OK;
    if (l->ahead)
        return l->ahead(from, to, here, path, stride, s->in, s->out, s->work);
    for (int64_t k = from; k < to && !status; k++) {
        REAL *next = stride || (to - 1 - k) % 2 == 0 ? path : spare;
        status = K(loop_forward)(l, s, k, here, next);
        here = next;
        path += stride;
    }
    return status;
}

/* Room for checkpoints, and the first of them: the carries that the loop begins with. */
static em_marks K(loop_marks)(const em_loop *l, em_run *s, REAL *room)
{
    em_marks m = {l->slots, 0, 0, room, 0, 0};
    s->numbers = 0;
    for (int i = 0; i < l->ncarry; i++)
        s->numbers += K(loop_size)(l->out[i], s->batch);
    m.slots += s->numbers ? l->keep / s->numbers : 0;
    m.slots = m.slots < l->count ? m.slots : l->count;
    REAL *first = m.path = m.carries = room + 2 * m.slots;
    for (int i = 0; i < l->ncarry; i++) {
        int64_t size = K(loop_size)(l->out[i], s->batch);
        memcpy(first, s->in[l->nshared + i], (size_t)size * sizeof *first);
        first += size;
    }
    if (m.slots)
        K(loop_note)(m.at, 0, 0);
    return m;
}

/* From the last checkpoint to step end - 1: further checkpoints, until the carries of all steps left find room. */
static int K(loop_descend)(const em_loop *l, em_run *s, em_marks *m, int64_t end)
{
    const int64_t size = s->numbers;
    int64_t lo = K(loop_noted)(m->at, m->top), left = m->slots - 1 - m->top;
    REAL *here = m->carries + m->top * size, *spare = m->carries + m->slots * size;
    int status = AD_OK;
    for (; left > 0 && end - lo > left + 2 && !status; left--) {
        int64_t stop = lo + K(loop_cut)(end - lo, left);
        status = K(loop_ahead)(l, s, lo, stop, here, here + size, 0, spare);
        K(loop_note)(m->at, ++m->top, stop);
        lo = stop;
        here += size;
    }
    bool all = end - lo <= left + 2;
    m->first = all ? lo : end - 1;
    m->path = all ? here : spare;
    if (!status && lo < end - 1)
        status =
            K(loop_ahead)(l, s, lo, end - 1, here, all ? here + size : spare, all ? size : 0, spare + size);
    return status;
}

/* The state that a loop forward leaves for the one backward stands before its checkpoints: is it there, top, first. */
enum { LOOP_HEAD = 8 };
static void K(loop_forget)(REAL *marks) { K(loop_note)(marks, 0, 0); }

/* With room for them it leaves the checkpoints that the loop backward would make first. */
static int K(loop_scan)(const em_loop *l, em_run *s)
{
    const int steps = l->nshared + l->ncarry;
    int status = AD_OK;
    for (int i = 0; i < l->nstep + l->ncollect; i++) {
        s->buffer[i] = s->work;
        s->work += K(loop_size)(i < l->nstep ? l->in[steps + i] : l->out[l->ncarry + i - l->nstep], s->batch);
    }
    for (int i = 0; i < l->nshared; i++)
        s->src[i] = s->in[i];
    em_marks m = K(loop_marks)(l, s, s->marks ? s->marks + LOOP_HEAD : s->work);
    REAL *last = s->marks ? s->work : m.carries + s->numbers, *spare = last + s->numbers;
    s->work = spare + s->numbers;
    if (s->marks) {
        status = K(loop_descend)(l, s, &m, l->count);
        K(loop_note)(s->marks, 1, m.top);
        K(loop_note)(s->marks, 2, m.first);
        K(loop_note)(s->marks, 3, m.path - m.carries);
        K(loop_note)(s->marks, 0, 1);
        m.path += (l->count - 1 - m.first) * s->numbers;
    }
    if (!status)
        status = K(loop_ahead)(l, s, s->marks ? l->count - 1 : 0, l->count, m.path, last, 0, spare);
    for (int i = 0; i < l->ncarry && !status; i++) {
        int64_t size = K(loop_size)(l->out[i], s->batch);
        memcpy(s->out[i], last, (size_t)size * sizeof *last);
        last += size;
    }
    return status;
}

/* What `behind` takes along, from what the loop is given, or to its results. */
static void K(loop_adjoint)(const em_loop *l, em_run *s, bool in)
{
    const REAL *const *given = s->in + l->nshared + l->ncarry + l->nstep;
    REAL *a = s->adjoint;
    for (int i = 0; i < l->ncarry && l->behind; i++) {
        int64_t size = K(loop_size)(l->out[i], s->batch);
        if (in)
            memcpy(a, given[i], (size_t)size * sizeof *a);
        else
            memcpy(s->out[l->nsums + i], a, (size_t)size * sizeof *a);
        a += size;
    }
    for (int i = 0; i < l->nsums && l->behind; i++) {
        int64_t size = K(loop_size)(l->in[l->sum[i]], s->batch);
        for (int64_t k = 0; k < size && in; k++)
            a[k] = 0;
        if (!in)
            memcpy(s->out[i], a, (size_t)size * sizeof *a);
        a += size;
    }
}

static int K(loop_back)(const em_loop *l, em_run *s)
{
    const int steps = l->nshared + l->ncarry, b = s->batch;
    int n = 0, status = AD_OK;
    REAL *room = s->work;
#define LOOP_ROOM(shape) s->buffer[n++] = room, room += K(loop_size)(shape, b)
    for (int i = 0; i < l->nstep; i++)
        LOOP_ROOM(l->in[steps + i]);
    for (int i = 0; i < l->nseeds; i++)
        LOOP_ROOM(l->out[l->ncarry + l->seed[i]]);
    for (int i = 0; i < l->nmoved; i++)
        LOOP_ROOM(l->in[steps + l->moved[i]]);
    s->adjoint = room;
    for (int i = 0; i < 2 * l->ncarry; i++)
        LOOP_ROOM(l->out[i / 2]);
    for (int i = 0; i < 2 * l->nsums; i++) {
        int64_t size = K(loop_size)(l->in[l->sum[i / 2]], b);
        for (int64_t k = 0; k < size; k++)
            room[k] = 0;
        s->buffer[n++] = room;
        room += size;
    }
#undef LOOP_ROOM
    em_marks m = K(loop_marks)(l, s, s->marks ? s->marks + LOOP_HEAD : room);
    s->work = s->marks ? room : m.carries + (m.slots + 2) * s->numbers;
    for (int i = 0; i < l->nshared; i++)
        s->src[i] = s->bsrc[i] = s->in[i];
    bool given = s->marks && K(loop_noted)(s->marks, 0);
    if (given) {
        m.top = K(loop_noted)(s->marks, 1);
        m.first = K(loop_noted)(s->marks, 2);
        m.path = m.carries + K(loop_noted)(s->marks, 3);
        K(loop_forget)(s->marks);
    }
    K(loop_adjoint)(l, s, true);
    for (int64_t end = l->count; end > 0 && !status; end = m.first) {
        if (l->ncarry && !given)
            status = K(loop_descend)(l, s, &m, end);
        given = false;
        if (!status && l->behind)
            status = l->behind(m.first, end, m.path, s->adjoint, s->in, s->out, s->work);
        for (int64_t k = end - 1; k >= m.first && !status && !l->behind; k--)
            status = K(loop_backward)(l, s, k, m.path + (k - m.first) * s->numbers);
        if (m.top > 0 && K(loop_noted)(m.at, m.top) == m.first)
            m.top--;
    }
    K(loop_adjoint)(l, s, false);
    return status;
}

static int K(newton)(const em_root *r, int batch, const REAL *const in[], REAL *y, const REAL **src,
                     REAL *work)
{
    int64_t rows = r->rows < 0 ? -(int64_t)r->rows * batch : r->rows, n = r->cols, left = rows;
    REAL *f = work, *j = f + rows * n, *step = j + rows * n * n, *phase = step + n, *scratch = phase + rows,
         *rest = scratch + n * n + n;
    REAL *const fj[] = {f, j};
    const int64_t shape[][2] = {{1, n * n}, {1, n}};
    const int32_t attr[] = {(int32_t)n, 1, 0};
    memcpy(y, in[0], (size_t)(rows * n) * sizeof *y);
    src[0] = y;
    for (int i = 1; i < r->nin; i++)
        src[i] = in[i];
    for (int64_t i = 0; i < rows; i++)
        phase[i] = 0; /* on its way; 1: close, one more step; 2: arrived */
    for (int it = 0; left > 0; it++) {
        int status = r->fj(batch, src, fj, rest);
        if (status)
            return status;
        for (int64_t i = 0; i < rows; i++) {
            if (phase[i] > 1)
                continue;
            if (it >= r->max_iter && phase[i] < 1)
                return AD_EROOT;
            const void *const system[] = {j + i * n * n, f + i * n};
            ad_kcall call = {step, system, 1, n, shape, 2, 3, attr, scratch, 0};
            if (K(row_solve)(&call))
                return AD_EROOT;
            double most = 0;
            for (int64_t k = 0; k < n; k++) {
                REAL d = step[k], v = y[i * n + k] -= d;
                double size = fabs((double)d) / (1 + fabs((double)v));
                most = size > most || size != size ? size : most;
            }
            if (phase[i] > 0)
                phase[i] = 2;
            else if (most <= r->tolerance)
                phase[i] = 1;
            left -= phase[i] > 1;
        }
    }
    return AD_OK;
}
#endif
