/* repeat.c - a program run again and again, its results fed back: the loop of steps.
 * Invariant: the runs are those of ad_run, in order; nothing is allocated but when the batch grows.
 *
 * SPDX-License-Identifier: MIT */
#include "work.h"

static size_t bytes_of(const ad_program *p, int place, int batch)
{
    const ad_place *v = &p->place[place];
    return (size_t)ad_rows_at(v->rows, batch) * (size_t)v->cols * p->k->size;
}

/* Pointers for one run, then two of each value that is fed; false when out of memory. */
static bool memory(ad_work *w, int batch)
{
    const ad_program *p = w->p;
    size_t need = ad_rounded(((size_t)p->nin + (size_t)p->nout) * sizeof(void *));
    for (int j = 0; j < p->nout; j++)
        need += p->feed[j] >= 0 ? 2 * ad_rounded(bytes_of(p, p->out[j], batch)) : 0;
    if (need > w->turn_size) {
        free(w->turn);
        w->turn = aligned_alloc(64, need);
        w->turn_size = w->turn ? need : 0;
    }
    return w->turn;
}

static int loop(ad_work *w, int batch, int64_t count, const int64_t in_step[], const int64_t out_step[],
                const void *const in[], void *const out[])
{
    const ad_program *p = w->p;
    const void **from = (const void **)(void *)w->turn;
    void **to = (void **)(void *)w->turn + p->nin;
    char *first = w->turn + ad_rounded(((size_t)p->nin + (size_t)p->nout) * sizeof(void *));
    bool native = p->native;
    for (int64_t k = 0; k < count; k++) {
        int64_t size = (int64_t)p->k->size;
        /* unsigned: what is fed has any step, and is replaced below */
        for (int i = 0; i < p->nin; i++)
            from[i] = in_step
                          ? (void *)((uintptr_t)in[i] + (uint64_t)k * (uint64_t)in_step[i] * (uint64_t)size)
                          : in[i];
        char *at = first;
        for (int j = 0; j < p->nout; j++) {
            to[j] = out_step && p->feed[j] < 0 ? (char *)out[j] + k * out_step[j] * size : out[j];
            if (p->feed[j] < 0)
                continue;
            size_t bytes = ad_rounded(bytes_of(p, p->out[j], batch));
            from[p->feed[j]] = k ? at + (size_t)(~k & 1) * bytes : in[p->feed[j]];
            if (k < count - 1)
                to[j] = at + (size_t)(k & 1) * bytes;
            at += 2 * bytes;
        }
        if (native && p->native(batch, from, to, w->native) == AD_OK)
            continue;
        if (batch != w->batch && ad_work_bind(w, batch))
            return w->status;
        if (ad_run_bound(w, from, to)) {
            char text[sizeof w->message];
            memcpy(text, w->message, sizeof text);
            return ad_work_fail(w, w->status, "ad_repeat: run %lld: %.180s", (long long)k + 1, text);
        }
    }
    return AD_OK;
}

int ad_repeat(ad_work *w, int batch, int64_t count, const int64_t in_step[], const int64_t out_step[],
              const void *const in[], void *const out[])
{
    if (!w)
        return AD_ENOMEM;
    const ad_program *p = w->p;
    if (ad_run_check(w, "ad_repeat", batch, in, out))
        return w->status;
    if (count < 1 || !p->feed)
        return ad_work_fail(w, AD_EARG, "ad_repeat: %lld runs of a program compiled %s feed (ad_options)",
                            (long long)count, p->feed ? "with" : "without");
    if (p->native && ad_run_native(w, batch))
        return w->status;
    /* What it fails in is run again below, which says what and where. */
    if (p->native_repeat && p->native_repeat(count, in_step, out_step, batch, in, out, w->native) == AD_OK)
        return AD_OK;
    if (!memory(w, batch))
        return ad_work_fail(w, AD_ENOMEM, "ad_repeat: out of memory for a batch of %d", batch);
    return loop(w, batch, count, in_step, out_step, in, out);
}
