/* checkpoint.c - the state of a training as a sealed file. Invariant: a file is complete and of the same training, or it is
 * refused; numbers are stored as their bits, in the machine's order, since only the same machine promises the same run. */
/* SPDX-License-Identifier: MIT */
#include "text.h"
#include "train_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct header {
    char magic[16];
    uint32_t fingerprint, end;
    int64_t size, step, best_step, waited, unimproved, adam_steps, points, blocks;
    double factor, best, loss;
} header;
static const char magic[16] = "noether train 1";

int hnn_train_save(const char *path, const hnn_train_state *s, uint32_t fingerprint, hnn_error *e)
{
    long n = s->adam.size;
    header h = {.fingerprint = fingerprint,
                .end = (uint32_t)s->end | (uint32_t)s->done << 8,
                .size = n,
                .step = s->step,
                .best_step = s->best_step,
                .waited = s->waited,
                .unimproved = s->unimproved,
                .adam_steps = s->adam.steps,
                .points = s->points,
                .blocks = s->blocks,
                .factor = s->factor,
                .best = s->best,
                .loss = s->loss};
    memcpy(h.magic, magic, sizeof magic);
    hnn_text t = {0};
    hnn_text_bytes(&t, &h, sizeof h);
    const double *const all[] = {s->theta, s->kept, s->adam.m, s->adam.v};
    for (int k = 0; k < 4; k++)
        hnn_text_bytes(&t, all[k], sizeof(double) * (size_t)n);
    hnn_text_bytes(&t, s->block, sizeof(double) * (size_t)s->blocks);
    for (long i = 0; i < s->points; i++) { /* without the clock, so that equal runs have equal files */
        hnn_progress p = s->curve[i];
        double row[8] = {(double)p.step, (double)p.steps, p.loss,     p.validation,
                         p.best,         p.rate,          p.gradient, 0};
        hnn_text_bytes(&t, row, sizeof row);
    }
    int code = hnn_text_status(&t, e);
    code = code ? code : hnn_sealed_write(path, t.s, t.n, e);
    hnn_text_free(&t);
    return code;
}

int hnn_train_load(const char *path, hnn_train_state *s, uint32_t fingerprint, int *found, hnn_error *e)
{
    struct stat st;
    *found = 0;
    if (stat(path, &st) != 0 && errno == ENOENT)
        return HNN_OK;
    char *bytes;
    size_t n;
    int code = hnn_sealed_read(path, &bytes, &n, e);
    if (code)
        return code;
    header h = {0};
    size_t values = 4 * (size_t)s->adam.size + (size_t)s->blocks, curve = 0;
    if (n >= sizeof h) {
        memcpy(&h, bytes, sizeof h);
        curve = h.points >= 0 && h.points < 1 << 30 ? (size_t)h.points : 0;
    }
    if (n < sizeof h || memcmp(h.magic, magic, sizeof magic) != 0)
        code = hnn_fail(e, HNN_EFORMAT, "%s: not the checkpoint of a training", path);
    else if (h.size != s->adam.size)
        code = hnn_fail(e, HNN_ESHAPE, "%s: has %lld parameters, the model has %ld", path, (long long)h.size,
                        s->adam.size);
    else if (h.fingerprint != fingerprint || h.blocks != s->blocks)
        code = hnn_fail(e, HNN_ESHAPE, "%s: was made with another model, loss, data or options", path);
    else if (n != sizeof h + sizeof(double) * (values + 8 * curve))
        code = hnn_fail(e, HNN_EFORMAT, "%s: has %zu bytes; needed %zu", path, n,
                        sizeof h + sizeof(double) * (values + 8 * curve));
    else if (curve && !(s->curve = malloc(sizeof *s->curve * curve)))
        code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    if (!code) {
        *found = 1;
        s->step = h.step, s->best_step = h.best_step, s->waited = h.waited, s->unimproved = h.unimproved;
        s->factor = h.factor, s->best = h.best, s->loss = h.loss, s->end = (int)(h.end & 255),
        s->done = h.end >> 8 & 1, s->adam.steps = h.adam_steps;
        s->points = s->room = (long)curve;
        const char *at = bytes + sizeof h;
        double *const all[] = {s->theta, s->kept, s->adam.m, s->adam.v};
        size_t block = sizeof(double) * (size_t)s->adam.size;
        for (int k = 0; k < 4; k++, at += block)
            memcpy(all[k], at, block);
        if (s->blocks)
            memcpy(s->block, at, sizeof(double) * (size_t)s->blocks);
        at += sizeof(double) * (size_t)s->blocks;
        for (size_t i = 0; i < curve; i++, at += 8 * sizeof(double)) {
            double row[8];
            memcpy(row, at, sizeof row);
            s->curve[i] = (hnn_progress){.step = (long)row[0],
                                         .steps = (long)row[1],
                                         .loss = row[2],
                                         .validation = row[3],
                                         .best = row[4],
                                         .rate = row[5],
                                         .gradient = row[6]};
        }
    }
    free(bytes);
    return code;
}
