/* simulate.c - starts and clean trajectories of a known system. Invariant: start i of a stream depends on (seed, purpose,
 * i) only, so more starts do not change the first. */
/* SPDX-License-Identifier: MIT */
#include "compare_rows.h"
#include "metrics.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int hnn_draw_starts(const hnn_system *s, const double value[], hnn_flow *flow, uint64_t seed,
                    uint32_t purpose, uint64_t index, int count, double starts[], hnn_error *e)
{
    int dof = hnn_flow_dof(flow), size = 2 * dof;
    double *lo = malloc(2 * sizeof *lo * (size_t)size), *hi = lo ? lo + size : NULL;
    int code = lo ? hnn_system_box(s, dof, value, lo, hi, e) : hnn_fail(e, HNN_EMEM, "starts: out of memory");
    int limited = s->energy[0] != s->energy[1];
    for (int i = 0; i < count && !code; i++) {
        hnn_rng r = hnn_rng_stream(seed, purpose, index + (uint64_t)i);
        double *z = starts + (long)i * size, H;
        int tries = 0, inside = 0;
        while (!inside && tries++ < 10000 && !code) {
            for (int k = 0; k < size; k++)
                z[k] = hnn_rng_between(&r, lo[k], hi[k]);
            code = limited ? hnn_flow_energy(flow, 1, 0, z, &H, e) : HNN_OK;
            inside = !limited || (H >= s->energy[0] && H <= s->energy[1]);
        }
        if (!code && !inside)
            code = hnn_fail(e, HNN_EARG, "%s: no state with H in [%g, %g] among 10000 draws from its box",
                            s->name, s->energy[0], s->energy[1]);
    }
    free(lo);
    return code;
}

/* Where trajectory k was last: time and state. */
static int diverges(int k, int size, double t, const double z[], hnn_error *e)
{
    char state[160];
    int n = 0;
    for (int i = 0; i < size && i < 6; i++)
        n += snprintf(state + n, sizeof state - (size_t)n, " %.9g", z[i]);
    return hnn_fail(e, HNN_EARG, "simulate: trajectory %d diverges after t = %g, z =%s%s", k + 1, t, state,
                    size > 6 ? " ..." : "");
}
int hnn_simulate(hnn_flow *truth, int count, const double starts[], long rows, double span, hnn_data *out,
                 hnn_error *e)
{
    *out = (hnn_data){0};
    if (count < 1 || rows < 2 || !(span > 0))
        return hnn_fail(e, HNN_EARG,
                        "simulate: %d trajectories of %ld rows over %g; needed at least 1, 2 and > 0", count,
                        rows, span);
    long *length = malloc(sizeof *length * (size_t)count);
    if (!length)
        return hnn_fail(e, HNN_EMEM, "simulate: out of memory");
    for (int k = 0; k < count; k++)
        length[k] = rows;
    int dof = hnn_flow_dof(truth), size = 2 * dof, code = hnn_data_new(dof, count, length, 1, out, e);
    free(length);
    if (code)
        return code;
    out->has_time = 1;
    const hnn_model *m = hnn_flow_model(truth);
    for (int k = 0; k < count && !code; k++) {
        long from = k * rows, done;
        for (long i = 0; i < rows; i++)
            out->t[from + i] = span * (double)i / (double)(rows - 1);
        double *z = out->z + from * size;
        code = hnn_flow_rollout(truth, NULL, 0, starts + (long)k * size, rows, out->t + from, z, &done, e);
        if (!code && done < rows)
            code = diverges(k, size, out->t[from + (done ? done - 1 : 0)],
                            done ? z + (done - 1) * size : starts + (long)k * size, e);
        for (long i = 0; i < rows && !code && m->spec.drive; i++)
            code = hnn_flow_rate(truth, 1, out->t[from + i], z + i * size, out->dz + (from + i) * size, e);
        if (!code && !m->spec.drive)
            code = hnn_flow_rate(truth, rows, 0, z, out->dz + from * size, e);
    }
    if (code)
        hnn_data_free(out);
    return code;
}

/* On a circle of a radius drawn from the range, the direction from a square, as the original code does. */
void hnn_start_on_circle(hnn_rng *r, const double radius[2], double z[2])
{
    double x = hnn_rng_between(r, -1, 1), y = hnn_rng_between(r, -1, 1), length = hypot(x, y);
    double R = hnn_rng_between(r, radius[0], radius[1]);
    z[0] = length > 0 ? R * x / length : R;
    z[1] = length > 0 ? R * y / length : 0;
}

/* rms of each column about `about` (NULL: 0). */
static void spread(long n, int size, const double z[], const double *about, double out[])
{
    for (int j = 0; j < size; j++) {
        double sum = 0;
        for (long i = 0; i < n; i++) {
            double x = z[i * size + j] - (about ? about[j] : 0);
            sum += x * x;
        }
        out[j] = n && sum > 0 ? sqrt(sum / (double)n) : 1;
    }
}

/* The rates of the data: their derivatives, or differences between rows. */
static int rates(const hnn_data *d, double out[], hnn_error *e)
{
    int size = 2 * d->dof;
    if (d->dz) {
        spread(d->n, size, d->dz, NULL, out);
        return HNN_OK;
    }
    double *v = malloc(sizeof *v * (size_t)(d->n * size));
    long n = 0;
    if (!v)
        return hnn_fail(e, HNN_EMEM, "scaling: out of memory");
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k] + 1; i < d->offset[k + 1]; i++, n++)
            for (int j = 0; j < size; j++)
                v[n * size + j] = (d->z[i * size + j] - d->z[(i - 1) * size + j]) / (d->t[i] - d->t[i - 1]);
    spread(n, size, v, NULL, out);
    free(v);
    return HNN_OK;
}

int hnn_scaling(const hnn_data *d, double mean[], double scale[], double rate[], double *energy, hnn_error *e)
{
    int n = d->dof, size = 2 * n;
    for (int j = 0; j < size; j++) {
        mean[j] = 0;
        for (long i = 0; i < d->n; i++)
            mean[j] += d->z[i * size + j] / (double)d->n;
    }
    spread(d->n, size, d->z, mean, scale);
    int code = rates(d, rate, e);
    *energy = 0; /* dH/dp = q' and dH/dq = -p': H varies by about rate times the conjugate scale */
    for (int j = 0; j < size && !code; j++)
        *energy += rate[j] * scale[(j + n) % size] / size;
    return code;
}
