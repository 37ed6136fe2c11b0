/* loops.h - loops forward and backward, and roots, over functions of emitted C: emitted C embeds this text, nothing else
 * includes it. The schedule of the backward loop is in loop_schedule.h.
 * Invariant: the bits of scan_run.c, scan_back.c and root.c.
 */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_LOOPS_H
#define AD_KERNELS_LOOPS_H
#define AD_EROOT 10

typedef int em_function(int batch, const REAL *const in[], REAL *const out[], REAL *work);

/* Shapes are rows (-k: k times the batch) and columns. f takes shared, carry, step values and gives carry, collected. */
typedef struct em_loop {
    em_function *f,
        *back; /* back: f's inputs, adjoints, seeds, sums -> sums, adjoints, those of moved steps */
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
    int64_t numbers; /* of all carries */
    int batch;
} em_run;

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

static int K(loop_scan)(const em_loop *l, em_run *s)
{
    const int steps = l->nshared + l->ncarry, b = s->batch;
    REAL **step = s->buffer + 2 * l->ncarry, **collect = step + l->nstep, *room = s->work;
    for (int i = 0; i < 2 * l->ncarry + l->nstep + l->ncollect; i++) {
        int k = i - 2 * l->ncarry - l->nstep;
        s->buffer[i] = room;
        room += K(loop_size)(i < 2 * l->ncarry ? l->out[i / 2]
                             : k < 0           ? l->in[steps + k + l->nstep]
                                               : l->out[l->ncarry + k],
                             b);
    }
    for (int i = 0; i < steps; i++)
        s->src[i] = s->in[i];
    for (int64_t k = 0; k < l->count; k++) {
        for (int i = 0; i < l->ncarry; i++)
            s->dst[i] = k == l->count - 1 ? s->out[i] : s->buffer[2 * i + (k & 1)];
        for (int i = 0; i < l->nstep; i++)
            s->src[steps + i] = K(loop_get)(l->in[steps + i], b, l->count, k, s->in[steps + i], step[i]);
        for (int i = l->ncarry; i < l->ncarry + l->ncollect; i++)
            s->dst[i] = K(loop_at)(l->out[i], b, k, s->out[i], collect[i - l->ncarry]);
        int status = l->f(b, s->src, s->dst, room);
        if (status)
            return status;
        for (int i = l->ncarry; i < l->ncarry + l->ncollect; i++)
            K(loop_put)(l->out[i], b, l->count, k, s->out[i], collect[i - l->ncarry]);
        for (int i = 0; i < l->ncarry; i++)
            s->src[l->nshared + i] = s->dst[i];
    }
    return AD_OK;
}

static void K(loop_steps)(const em_loop *l, em_run *s, int64_t k, const REAL **src)
{
    const int steps = l->nshared + l->ncarry;
    for (int i = steps; i < steps + l->nstep; i++)
        src[i] = K(loop_get)(l->in[i], s->batch, l->count, k, s->in[i], s->buffer[i - steps]);
}

static int K(loop_forward)(const em_loop *l, em_run *s, int64_t k, const REAL *from, REAL *to)
{
    for (int i = 0; i < l->ncarry; i++) {
        int64_t n = K(loop_size)(l->out[i], s->batch);
        s->src[l->nshared + i] = from;
        s->dst[i] = to;
        from += n;
        to += n;
    }
    K(loop_steps)(l, s, k, s->src);
    return l->f(s->batch, s->src, s->dst, s->work);
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

static int K(loop_back)(const em_loop *l, em_run *s)
{
    const int steps = l->nshared + l->ncarry, b = s->batch;
    int n = 0, status = AD_OK;
    int64_t slots = l->slots, top = 0;
    REAL *room = s->work;
#define LOOP_ROOM(shape) s->buffer[n++] = room, room += K(loop_size)(shape, b)
    for (int i = 0; i < l->nstep; i++)
        LOOP_ROOM(l->in[steps + i]);
    for (int i = 0; i < l->nseeds; i++)
        LOOP_ROOM(l->out[l->ncarry + l->seed[i]]);
    for (int i = 0; i < l->nmoved; i++)
        LOOP_ROOM(l->in[steps + l->moved[i]]);
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
    for (int i = 0; i < l->ncarry; i++)
        s->numbers += K(loop_size)(l->out[i], b);
    slots += s->numbers ? l->keep / s->numbers : 0;
    slots = slots < l->count ? slots : l->count;
    REAL *at = room, *carries = at + 2 * slots, *spare = carries + slots * s->numbers, *first = carries;
    s->work = spare + 2 * s->numbers;
    for (int i = 0; i < l->nshared; i++)
        s->src[i] = s->bsrc[i] = s->in[i];
    for (int i = 0; i < l->ncarry; i++) {
        int64_t size = K(loop_size)(l->out[i], b);
        memcpy(first, s->in[l->nshared + i], (size_t)size * sizeof *first);
        first += size;
    }
    K(loop_note)(at, 0, 0);
    for (int64_t end = l->count; end > 0 && !status; end--) {
        int64_t lo = K(loop_noted)(at, top);
        const REAL *here = carries + top * s->numbers;
        while (lo < end - 1 && l->ncarry && !status) {
            int64_t left = slots - 1 - top, stop = left ? lo + K(loop_cut)(end - lo, left) : end - 1;
            for (; lo < stop && !status; lo++) {
                REAL *to =
                    left && lo == stop - 1 ? carries + (top + 1) * s->numbers : spare + (lo & 1) * s->numbers;
                status = K(loop_forward)(l, s, lo, here, to);
                here = to;
            }
            if (left)
                K(loop_note)(at, ++top, lo);
        }
        if (!status)
            status = K(loop_backward)(l, s, end - 1, here);
        if (top > 0 && K(loop_noted)(at, top) == end - 1)
            top--;
    }
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
