/* metrics_landscape.c - the metric `landscape`: equilibria of the model's H against those of the true H, in the box of the
 * test. Invariant: both are searched from the same starts, so a model equal to the truth scores 1. */
/* SPDX-License-Identifier: MIT */
#include "landscape.h"
#include "metrics_rows.h"

#include <math.h>
#include <stdlib.h>

enum {
    STARTS_PER_COORDINATE = 16
}; /* beside the grid: a network's Hessian costs a millisecond, and a seed has many */

int hnn_flow_landscape(void *data, const double z[], double *H, double g[], double h[])
{
    hnn_flow *f = data;
    int size = 2 * hnn_flow_dof(f), code = hnn_flow_energy(f, 1, 0, z, H, NULL);
    if (!code && g)
        code = hnn_flow_gradient(f, 1, 0, z, g, NULL);
    if (!code && h)
        code = hnn_flow_hessian(f, 1, 0, z, h, NULL);
    if (code != HNN_EARG)
        return code;
    *H = NAN;
    for (int i = 0; g && i < size; i++)
        g[i] = NAN;
    for (int i = 0; h && i < size * size; i++)
        h[i] = NAN;
    return HNN_OK;
}

int hnn_metric_landscape(const hnn_measuring *c, hnn_metric *out, hnn_error *e)
{
    if (!c->test->truth || !hnn_flow_ode(c->test->truth)->energy)
        return hnn_metric_missing(out, "no true H, or it is not all of the field");
    if (!hnn_flow_ode(c->f)->energy)
        return hnn_metric_missing(out, "the model has no H, or it is not all of its field");
    int size = 2 * c->dof, code = HNN_OK;
    hnn_landscape truth = {0}, learned = {0};
    double *period = calloc((size_t)size, sizeof *period);
    if (!period)
        return hnn_fail(e, HNN_EMEM, "landscape: out of memory");
    for (int i = 0; i < c->dof && i < 32; i++)
        period[i] = c->test->angles >> i & 1 ? 2 * 3.14159265358979323846 : 0;
    hnn_landscape_options o = {.starts = STARTS_PER_COORDINATE * size, .period = period, .points_only = 1};
    if (!(code = hnn_landscape_find(hnn_flow_landscape, c->test->truth, size, c->lo, c->hi, &o, &truth, e)) &&
        truth.n)
        code = hnn_landscape_find(hnn_flow_landscape, c->f, size, c->lo, c->hi, &o, &learned, e);
    if (!code)
        code = hnn_landscape_score(&truth, &learned, c->sd, period, &out->value, e);
    out->count = truth.n;
    if (!code && !truth.n)
        hnn_metric_missing(out, "the true H has no isolated equilibria in the box");
    hnn_landscape_free(&truth);
    hnn_landscape_free(&learned);
    free(period);
    return code;
}
