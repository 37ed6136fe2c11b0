/* compare_data.c - the data of one seed of a comparison: drawn from a known system, or measured ones split. Invariant:
 * held-out trajectories are never among those that train or validate. */
/* SPDX-License-Identifier: MIT */
#include "compare_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void hnn_drawn_free(hnn_drawn *d)
{
    hnn_data_free(&d->train);
    hnn_data_free(&d->validation);
    hnn_data_free(&d->clean);
    hnn_data_free(&d->test);
    *d = (hnn_drawn){0};
}

static int copy(const hnn_data *d, int from, int to, hnn_data *out, hnn_error *e)
{
    int n = to - from;
    int *which = malloc(sizeof *which * (size_t)(n + 1));
    long *first = malloc(2 * sizeof *first * (size_t)(n + 1)), *last = first ? first + n : NULL;
    int code = which && first ? HNN_OK : hnn_fail(e, HNN_EMEM, "compare: out of memory");
    for (int k = 0; k < n && !code; k++)
        which[k] = from + k, first[k] = 0, last[k] = d->offset[from + k + 1] - d->offset[from + k];
    code = code ? code : hnn_data_pick(d, n, which, first, last, out, e);
    free(which);
    free(first);
    return code;
}

static int draw(const hnn_compare_options *o, hnn_flow *flow, uint64_t seed, uint32_t purpose, int count,
                double z[], hnn_error *e)
{
    int dof = hnn_flow_dof(flow), size = 2 * dof;
    hnn_start *start = purpose == HNN_RNG_START && o->test_start ? o->test_start : o->start;
    if (!start && o->radius[1] == 0)
        return o->system ? hnn_draw_starts(o->system, o->value, flow, seed, purpose, 0, count, z, e)
                         : hnn_fail(e, HNN_EARG,
                                    "compare: a typed H needs a range of radii or a function for its starts");
    if (!start && size != 2)
        return hnn_fail(e, HNN_EARG, "compare: radii are for one degree of freedom, the system has %d", dof);
    for (int i = 0; i < count; i++) {
        hnn_rng r = hnn_rng_stream(seed, purpose, (uint64_t)i);
        int other = start ? start(&r, dof, z + (long)i * size) : 0;
        if (other)
            return hnn_fail(e, HNN_ESHAPE,
                            "compare: starts for %d degrees of freedom were given, the system has %d", other,
                            dof);
        if (!start)
            hnn_start_on_circle(&r, o->radius, z + (long)i * size);
    }
    return HNN_OK;
}

void hnn_compare_resolve(const hnn_compare_options *o, hnn_compare_options *out)
{
    *out = *o;
    double step;
    out->trajectories = o->trajectories ? o->trajectories : 25, out->tests = o->tests ? o->tests : 15;
    out->span = o->span > 0 ? o->span : o->system ? o->system->span : 0;
    step = o->system ? o->system->step : out->span / 29;
    out->rows = o->rows ? o->rows : out->span > 0 ? lround(out->span / step) + 1 : 0;
    out->test_rows = o->test_rows ? o->test_rows : out->rows;
    out->test_span = o->test_span > 0 ? o->test_span : out->span;
    out->test_share = o->test_share > 0 ? o->test_share : 0.2;
    out->seeds = o->seeds ? o->seeds : 3, out->threads = o->threads ? o->threads : 1;
    hnn_test *b = &out->budget;
    b->drift_steps = b->drift_steps ? b->drift_steps : 10000;
    b->tangent_steps = b->tangent_steps ? b->tangent_steps : 1000;
    b->horizon_steps = b->horizon_steps ? b->horizon_steps : 100000;
}

static int drawn(const hnn_compare_options *given, const hnn_model *truth, uint64_t seed, hnn_drawn *out,
                 hnn_error *e)
{
    hnn_compare_options full;
    const hnn_compare_options *o = &full;
    hnn_compare_resolve(given, &full);
    int count = o->trajectories, tests = o->tests, size = 2 * truth->spec.dof;
    double span = o->span;
    long rows = o->rows;
    int extra = o->validation > 0 ? (int)ceil(o->validation * count) : 0;
    hnn_flow *flow = NULL;
    hnn_data all = {0};
    double *z = malloc(sizeof *z * (size_t)size * (size_t)(count + extra > tests ? count + extra : tests));
    int code = z ? hnn_flow_new(truth, NULL, &flow, e) : hnn_fail(e, HNN_EMEM, "compare: out of memory");
    code = code ? code : draw(o, flow, seed, HNN_RNG_DATA, count + extra, z, e);
    code = code ? code : hnn_simulate(flow, count + extra, z, rows, span, &all, e);
    code = code ? code : copy(&all, 0, count, &out->clean, e);
    if (!code)
        hnn_data_noise(&all, o->noise, o->noise_dz, seed);
    code = code || !o->integrate ? code : hnn_data_integrate(&all, e);
    code = code ? code : copy(&all, 0, count, &out->train, e);
    code = code || !extra ? code : copy(&all, count, count + extra, &out->validation, e);
    hnn_data_free(&all);
    code = code ? code : draw(o, flow, seed, HNN_RNG_START, tests, z, e);
    code = code ? code : hnn_simulate(flow, tests, z, o->test_rows, o->test_span, &out->test, e);
    free(z);
    hnn_flow_free(flow);
    return code;
}

/* dz of row i from row i+1; the last row of each trajectory goes. */
static int forward(const hnn_data *d, hnn_data *out, hnn_error *e)
{
    int size = 2 * d->dof, code = HNN_OK;
    long *length = malloc(sizeof *length * (size_t)d->ntraj);
    if (!length)
        return hnn_fail(e, HNN_EMEM, "compare: out of memory");
    for (int k = 0; k < d->ntraj && !code; k++) {
        length[k] = d->offset[k + 1] - d->offset[k] - 1;
        if (length[k] < 1)
            code = hnn_fail(e, HNN_ESHAPE, "forward differences: trajectory %d has one row", k + 1);
    }
    code = code ? code : hnn_data_new(d->dof, d->ntraj, length, 1, out, e);
    free(length);
    if (code)
        return code;
    out->has_time = d->has_time, out->coords = d->coords, out->dz_estimated = 1;
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k], o = out->offset[k]; o < out->offset[k + 1]; i++, o++) {
            out->t[o] = d->t[i];
            memcpy(out->z + o * size, d->z + i * size, sizeof(double) * (size_t)size);
            for (int j = 0; j < size; j++)
                out->dz[o * size + j] =
                    (d->z[(i + 1) * size + j] - d->z[i * size + j]) / (d->t[i + 1] - d->t[i]);
        }
    return HNN_OK;
}

static int measured(const hnn_compare_options *o, uint64_t seed, hnn_drawn *out, hnn_error *e)
{
    hnn_data part[3] = {{0}, {0}, {0}}, *to[3] = {&out->train, &out->validation, &out->test};
    int code = hnn_data_split(o->data, o->validation, o->test_share > 0 ? o->test_share : 0.2, seed, part, e);
    for (int k = 0; k < 3 && !code; k++) {
        if (!part[k].ntraj)
            continue;
        if (o->forward_differences && !part[k].dz)
            code = forward(&part[k], to[k], e);
        else {
            if (!part[k].dz)
                code = hnn_data_derivatives(&part[k], 3, 3, e);
            *to[k] = part[k], part[k] = (hnn_data){0};
        }
    }
    for (int k = 0; k < 3; k++)
        hnn_data_free(&part[k]);
    return code ? code : copy(&out->train, 0, out->train.ntraj, &out->clean, e);
}

int hnn_compare_data(const hnn_compare_options *o, const hnn_model *truth, uint64_t seed, hnn_drawn *out,
                     hnn_error *e)
{
    *out = (hnn_drawn){0};
    int code = o->data ? measured(o, seed, out, e) : drawn(o, truth, seed, out, e);
    if (code)
        hnn_drawn_free(out);
    return code;
}
