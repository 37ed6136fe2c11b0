/* data_tools.c - what is done with trajectories once they are loaded: split, differentiate, disturb, save.
 * Invariant: nothing here changes the order of rows or mixes trajectories. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "data.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int hnn_data_pick(const hnn_data *d, int n, const int which[], const long from[], const long to[],
                  hnn_data *out, hnn_error *e)
{
    long *length = malloc(sizeof *length * (size_t)(n ? n : 1));
    *out = (hnn_data){0};
    if (!length)
        return hnn_fail(e, HNN_EMEM, "out of memory for %d trajectories", n);
    for (int k = 0; k < n; k++)
        length[k] = to[k] - from[k];
    int code = hnn_data_new(d->dof, n, length, d->dz != NULL, out, e);
    free(length);
    if (code)
        return code;
    size_t width = 2 * (size_t)d->dof;
    for (int k = 0; k < n; k++) {
        size_t source = (size_t)(d->offset[which[k]] + from[k]), target = (size_t)out->offset[k];
        size_t rows = (size_t)(to[k] - from[k]);
        memcpy(out->t + target, d->t + source, rows * sizeof *d->t);
        memcpy(out->z + target * width, d->z + source * width, rows * width * sizeof *d->z);
        if (d->dz)
            memcpy(out->dz + target * width, d->dz + source * width, rows * width * sizeof *d->dz);
    }
    out->coords = d->coords;
    out->has_time = d->has_time;
    out->dz_estimated = d->dz_estimated;
    out->v_estimated = d->v_estimated;
    return HNN_OK;
}

int hnn_data_split(const hnn_data *d, double validation, double test, uint64_t seed, hnn_data out[3],
                   hnn_error *e)
{
    out[0] = out[1] = out[2] = (hnn_data){0};
    if (!(validation >= 0 && test > 0 && validation + test < 1))
        return hnn_fail(e, HNN_EARG,
                        "shares of validation %g and test %g: test above 0, both together below 1",
                        validation, test);
    long units = d->ntraj == 1 ? d->n : d->ntraj; /* one trajectory is cut in time */
    if (units < 2)
        return hnn_fail(e, HNN_ESHAPE, "%ld rows in %d trajectories cannot be split", d->n, d->ntraj);
    long n_test = (long)floor(test * (double)units + 0.5),
         n_val = (long)floor(validation * (double)units + 0.5);
    n_test = n_test < 1 ? 1 : n_test > units - 1 ? units - 1 : n_test;
    n_val = validation > 0 && n_val < 1 ? 1 : n_val;
    n_val = n_val > units - n_test - 1 ? units - n_test - 1 : n_val;
    long edge[4] = {0, units - n_test - n_val, units - n_test, units};
    long *order = malloc(sizeof *order * (size_t)units), *zero = calloc((size_t)units, sizeof *zero);
    long *count = malloc(sizeof *count * (size_t)units);
    int *which = malloc(sizeof *which * (size_t)units);
    int code = HNN_OK;
    if (!order || !zero || !count || !which)
        code = hnn_fail(e, HNN_EMEM, "out of memory for %ld trajectories", units);
    else {
        hnn_rng r = hnn_rng_stream(seed, HNN_RNG_SPLIT, 0);
        if (d->ntraj > 1)
            hnn_rng_permutation(&r, units, order);
    }
    for (int part = 0; !code && part < 3; part++) {
        int n = (int)(edge[part + 1] - edge[part]);
        if (d->ntraj == 1)
            code = hnn_data_pick(d, n > 0, (int[]){0}, &edge[part], &edge[part + 1], &out[part], e);
        else {
            for (int k = 0; k < n; k++) {
                which[k] = (int)order[edge[part] + k];
                count[k] = d->offset[which[k] + 1] - d->offset[which[k]];
            }
            code = hnn_data_pick(d, n, which, zero, count, &out[part], e);
        }
    }
    free(order);
    free(zero);
    free(count);
    free(which);
    for (int part = 0; code && part < 3; part++)
        hnn_data_free(&out[part]);
    return code;
}

hnn_fit hnn_local_fit(long n, const double t[], const double y[], long stride, long i, int order,
                      int half_width)
{
    long points = 2 * (long)half_width + 1 < n ? 2 * (long)half_width + 1 : n;
    long first = i - half_width < 0 ? 0 : i - half_width;
    first = first + points > n ? n - points : first;
    int degree = order < points ? order : (int)points - 1;
    hnn_fit f = {.points = (int)points, .order = degree};
    double scale = 0, size = 0; /* of time, so that the polynomials stay of order 1 */
    for (long k = first; k < first + points; k++)
        scale = fmax(scale, fabs(t[k] - t[i]));
    scale = scale > 0 ? scale : 1;
    /* p[j] at the points by the three-term recurrence; at 0, with two derivatives, in a[], b[], c[] */
    double alpha[16], beta[16], weight[16], a[16] = {0}, b[16] = {0}, c[16] = {0}, norm_before = 1;
    degree = degree > 15 ? 15 : degree;
    for (int j = 0; j <= degree; j++) {
        double norm = 0, dot = 0, shift = 0;
        for (long k = first; k < first + points; k++) {
            double x = (t[k] - t[i]) / scale, p = 1, before = 0, residual = y[k * stride];
            for (int m = 0; m < j; m++) {
                double next = (x - alpha[m]) * p - (m ? beta[m] : 0) * before;
                residual = fma(-weight[m], p, residual);
                before = p;
                p = next;
            }
            norm = fma(p, p, norm);
            dot = fma(p, residual, dot);
            shift = fma(x * p, p, shift);
        }
        if (!(norm > 0))
            break;
        alpha[j] = shift / norm;
        beta[j] = norm / norm_before;
        norm_before = norm;
        weight[j] = dot / norm;
        if (j == 0)
            a[0] = 1;
        else {
            double s = -alpha[j - 1], r = j > 1 ? beta[j - 1] : 0;
            int u = j > 1 ? j - 2 : 0;
            a[j] = s * a[j - 1] - r * a[u];
            b[j] = s * b[j - 1] + a[j - 1] - r * b[u];
            c[j] = s * c[j - 1] + 2 * b[j - 1] - r * c[u];
        }
        f.value = fma(weight[j], a[j], f.value);
        f.d1 = fma(weight[j], b[j] / scale, f.d1);
        f.d2 = fma(weight[j], c[j] / (scale * scale), f.d2);
        f.se1 += b[j] * b[j] / (norm * scale * scale);
    }
    for (long k = first; k < first + points; k++) {
        double x = (t[k] - t[i]) / scale, p = 1, before = 0, residual = y[k * stride];
        for (int m = 0; m <= degree; m++) {
            residual = fma(-weight[m], p, residual);
            double next = (x - alpha[m]) * p - (m ? beta[m] : 0) * before;
            before = p;
            p = next;
        }
        size += residual * residual;
    }
    f.se1 = sqrt(f.se1);
    f.rms = sqrt(size / (double)points);
    return f;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* median interval within trajectories; 0 when there is none, -1 when memory ran out */
static double median_interval(const hnn_data *d)
{
    double *h = malloc(sizeof *h * (size_t)(d->n ? d->n : 1));
    long m = 0;
    if (!h)
        return -1;
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k] + 1; i < d->offset[k + 1]; i++)
            h[m++] = d->t[i] - d->t[i - 1];
    qsort(h, (size_t)m, sizeof *h, by_value);
    double median = m ? 0.5 * (h[(m - 1) / 2] + h[m / 2]) : 0;
    free(h);
    return median;
}

int hnn_data_derivatives(hnn_data *d, int order, int half_width, hnn_error *e)
{
    int n = 2 * d->dof;
    if (!d->has_time)
        return hnn_fail(e, HNN_ESHAPE, "data without times: derivatives need a time column or --dt");
    if (order < 1 || half_width < 1 || order > 15)
        return hnn_fail(e, HNN_EARG, "local polynomials of order %d with half width %d", order, half_width);
    double h = median_interval(d);
    double *dz = calloc((size_t)d->n * (size_t)n + 1, sizeof *dz);
    if (!dz || h < 0) {
        free(dz);
        return hnn_fail(e, HNN_EMEM, "out of memory for derivatives of %ld rows", d->n);
    }
    for (int k = 0; k < d->ntraj; k++)
        for (long first = d->offset[k], last; first < d->offset[k + 1]; first = last) {
            for (last = first + 1; last < d->offset[k + 1] && d->t[last] - d->t[last - 1] <= 4 * h; last++)
                ;
            if (last - first < 2) {
                free(dz);
                return hnn_fail(e, HNN_ESHAPE,
                                "trajectory %d has a row alone between gaps (t = %.9g): no derivative there",
                                k + 1, d->t[first]);
            }
            for (long i = first; i < last; i++)
                for (int j = 0; j < n; j++)
                    dz[i * n + j] = hnn_local_fit(last - first, d->t + first, d->z + first * n + j, n,
                                                  i - first, order, half_width)
                                        .d1;
        }
    free(d->dz);
    d->dz = dz;
    d->dz_estimated = 1;
    return HNN_OK;
}

void hnn_data_noise(hnn_data *d, double sd, double sd_dz, uint64_t seed)
{
    int n = 2 * d->dof;
    for (long i = 0; i < d->n; i++) { /* a stream a row: the draw does not depend on what is disturbed */
        hnn_rng r = hnn_rng_stream(seed, HNN_RNG_NOISE, (uint64_t)i);
        for (int j = 0; j < n; j++)
            d->z[i * n + j] = fma(sd, hnn_rng_normal(&r), d->z[i * n + j]);
        for (int j = 0; d->dz && j < n; j++)
            d->dz[i * n + j] = fma(sd_dz, hnn_rng_normal(&r), d->dz[i * n + j]);
    }
}

static int save_npz(const char *path, const hnn_data *d, hnn_error *e)
{
    hnn_arrays s = {0};
    long shape[2] = {d->n, 2 * d->dof};
    double *trial = malloc(sizeof *trial * (size_t)(d->n ? d->n : 1));
    if (!trial)
        return hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k]; i < d->offset[k + 1]; i++)
            trial[i] = k;
    int code = hnn_arrays_add(&s, "trial", HNN_F64, 1, shape, trial, e);
    if (!code && d->has_time)
        code = hnn_arrays_add(&s, "t", HNN_F64, 1, shape, d->t, e);
    if (!code)
        code = hnn_arrays_add(&s, "z", HNN_F64, 2, shape, d->z, e);
    if (!code && d->dz)
        code = hnn_arrays_add(&s, "dz", HNN_F64, 2, shape, d->dz, e);
    if (!code)
        code = hnn_npz_write(path, &s, e);
    free(trial);
    hnn_arrays_free(&s);
    return code;
}

void hnn_data_text(const hnn_data *d, hnn_text *t)
{
    const char *second = d->coords == HNN_QP ? "p" : "v", *name[4] = {"q", second, "dq", "d"};
    int n = d->dof, parts = d->dz ? 4 : 2;
    hnn_text_add(t, d->has_time ? "trial,t" : "trial");
    for (int k = 0; k < parts; k++)
        for (int j = 0; j < n; j++) {
            hnn_text_printf(t, ",%s%s", name[k], k == 3 ? second : "");
            if (n > 1)
                hnn_text_printf(t, "%d", j + 1);
        }
    hnn_text_add(t, "\n");
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k]; i < d->offset[k + 1] && !t->failed; i++) {
            hnn_text_printf(t, "%d", k);
            if (d->has_time) {
                hnn_text_add(t, ",");
                hnn_text_number(t, d->t[i]);
            }
            for (int j = 0; j < parts * n; j++) {
                hnn_text_add(t, ",");
                hnn_text_number(t, j < 2 * n ? d->z[i * 2 * n + j] : d->dz[i * 2 * n + j - 2 * n]);
            }
            hnn_text_add(t, "\n");
        }
}

int hnn_data_save(const char *path, const hnn_data *d, hnn_error *e)
{
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".npz") == 0)
        return save_npz(path, d, e);
    hnn_text t = {0};
    hnn_data_text(d, &t);
    int code = hnn_text_status(&t, e);
    if (!code)
        code = hnn_file_write(path, t.s, t.n, e);
    hnn_text_free(&t);
    return code;
}
