/* samples.c - trajectories cut into the rows a loss is computed on. Invariant: a row never crosses trajectories, and its
 * packing is the one of loss.h. */
/* SPDX-License-Identifier: MIT */
#include "loss.h"

#include <stdlib.h>
#include <string.h>

void hnn_samples_free(hnn_samples *s)
{
    free(s->t);
    free(s->z);
    free(s->dz);
    *s = (hnn_samples){0};
}

int hnn_samples_new(const hnn_loss_spec *s, const hnn_model *m, const hnn_data *d, hnn_samples *out,
                    hnn_error *e)
{
    *out = (hnn_samples){0};
    hnn_loss_spec full;
    int code = hnn_loss_resolve(s, m, &full, e);
    if (code)
        return code;
    const hnn_loss_row *row = hnn_loss_find(full.loss, NULL);
    if (d->dof != m->spec.dof)
        return hnn_fail(e, HNN_ESHAPE, "loss %s: data with %d degrees of freedom, model %s with %d",
                        full.loss, d->dof, m->row->name, m->spec.dof);
    if (row->derivatives && !d->dz)
        return hnn_fail(e, HNN_EARG,
                        "loss %s: needs time derivatives, the data have none; midpoint needs states only",
                        full.loss);
    if (!row->derivatives && !d->has_time)
        return hnn_fail(e, HNN_EARG, "loss %s: needs times, the data have none", full.loss);
    int states = full.window + 1, width = 2 * d->dof;
    long n = 0;
    for (int k = 0; k < d->ntraj; k++) {
        long length = d->offset[k + 1] - d->offset[k];
        n += length >= states ? (length - states) / full.stride + 1 : 0;
    }
    if (!n)
        return hnn_fail(e, HNN_ESHAPE,
                        "loss %s: needs trajectories of at least %d rows, there is none among %d", full.loss,
                        states, d->ntraj);
    out->dof = d->dof, out->states = states, out->n = n;
    size_t rows = (size_t)n;
    out->t = malloc(sizeof(double) * rows * (size_t)states);
    out->z = malloc(sizeof(double) * rows * (size_t)states * (size_t)width);
    out->dz = row->derivatives ? malloc(sizeof(double) * rows * (size_t)width) : NULL;
    if (!out->t || !out->z || (row->derivatives && !out->dz)) {
        hnn_samples_free(out);
        return hnn_fail(e, HNN_EMEM, "loss %s: out of memory for %ld samples", full.loss, n);
    }
    long r = 0;
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k]; i + states <= d->offset[k + 1]; i += full.stride, r++) {
            memcpy(out->t + r * states, d->t + i, sizeof(double) * (size_t)states);
            memcpy(out->z + r * states * width, d->z + i * width, sizeof(double) * (size_t)(states * width));
            if (out->dz)
                memcpy(out->dz + r * width, d->dz + i * width, sizeof(double) * (size_t)width);
        }
    return HNN_OK;
}
