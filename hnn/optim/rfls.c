/* rfls.c - draw hidden weights, solve for the output weights. Invariant: feature k is drawn from its own random stream, so
 * more features leave the first ones as they are (except STEEP, where all candidates compete). */
/* SPDX-License-Identifier: MIT */
#include "rfls.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 100, CANDIDATES = 4, POINTS = 32 };

/* act, its first and second derivative at x */
static void act_tanh(double x, double f[3])
{
    double e = exp(-2 * fabs(x)); /* 1 - tanh^2 without cancellation */
    f[0] = tanh(x);
    f[1] = 4 * e / ((1 + e) * (1 + e));
    f[2] = -2 * f[0] * f[1];
}
static void act_sin(double x, double f[3])
{
    f[0] = sin(x);
    f[1] = cos(x);
    f[2] = -f[0];
}
static const struct {
    void (*f)(double x, double f[3]);
    double bias;
} acts[HNN_ACTS] = {[HNN_ACT_TANH] = {act_tanh, 1}, [HNN_ACT_SIN] = {act_sin, 3.14159265358979323846}};

typedef struct draw {
    const hnn_rfls_options *o;
    int dim;
    long rows;
    const double *z, *dz, *mean, *sd;
    double scale, bias;
} draw;

static void draw_normal(const draw *d, hnn_rng *r, double *w, double *b)
{
    for (int a = 0; a < d->dim; a++)
        w[a] = d->scale * hnn_rng_normal(r);
    *b = hnn_rng_between(r, -d->bias, d->bias);
}

/* weights on u from two points; *steep: |difference of H| / distance. 0 when no two different points are found. */
static int draw_pair(const draw *d, hnn_rng *r, double *w, double *b, double *steep)
{
    for (int t = 0; t < TRIES; t++) {
        long i = (long)hnn_rng_below(r, (uint64_t)d->rows), j = (long)hnn_rng_below(r, (uint64_t)d->rows);
        const double *zi = d->z + i * d->dim, *zj = d->z + j * d->dim, *fi = d->dz + i * d->dim,
                     *fj = d->dz + j * d->dim;
        double size2 = 0, rise = 0, s = d->scale * 0.5 * log(3.0);
        int n = d->dim / 2;
        for (int a = 0; a < d->dim; a++) {
            double step = zj[a] - zi[a], u = step / d->sd[a];
            /* dH/dq = -p', dH/dp = q' */
            double slope = a < n ? -(fi[a + n] + fj[a + n]) / 2 : (fi[a - n] + fj[a - n]) / 2;
            w[a] = u;
            size2 += u * u;
            rise += slope * step;
        }
        if (!(size2 > 1e-6 * d->dim)) /* neighbours would make a step, not a feature */
            continue;
        *b = -s;
        for (int a = 0; a < d->dim; a++) {
            w[a] *= 2 * s / size2;
            *b -= w[a] * (zi[a] - d->mean[a]) / d->sd[a];
        }
        *steep = fabs(rise) / sqrt(size2);
        return 1;
    }
    return 0;
}

typedef struct candidate {
    double key;
    long index;
} candidate;

static int by_key(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    return a->key != b->key ? (a->key < b->key) - (a->key > b->key)
                            : (a->index > b->index) - (a->index < b->index);
}

static int draw_all(const draw *d, hnn_rfls *m, hnn_error *e)
{
    int steep = d->o->sampling == HNN_SAMPLE_STEEP, k = 0;
    long count = steep ? CANDIDATES * (long)m->features : m->features;
    candidate *list = NULL;
    if (steep) {
        /* without replacement: the largest log(uniform)/weight. Source: Efraimidis, Spirakis (2006), Inf. Proc. Lett. 97,
         * 181-185 */
        list = malloc(sizeof *list * (size_t)count);
        if (!list)
            return hnn_fail(e, HNN_EMEM, "out of memory for %ld pairs of points", count);
        for (long i = 0; i < count; i++) {
            hnn_rng r = hnn_rng_stream(d->o->seed, HNN_RNG_FEATURES, (uint64_t)i);
            double weight = 0, b;
            if (!draw_pair(d, &r, m->w, &b, &weight))
                goto same;
            list[i] = (candidate){weight > 0 ? log(hnn_rng_open(&r)) / weight : -INFINITY, i};
        }
        qsort(list, (size_t)count, sizeof *list, by_key);
    }
    for (k = 0; k < m->features; k++) {
        hnn_rng r = hnn_rng_stream(d->o->seed, HNN_RNG_FEATURES, (uint64_t)(steep ? list[k].index : k));
        double weight, *w = m->w + (long)k * m->dim;
        if (d->o->sampling == HNN_SAMPLE_NORMAL)
            draw_normal(d, &r, w, &m->b[k]);
        else if (!draw_pair(d, &r, w, &m->b[k], &weight))
            goto same;
        for (int a = 0; a < m->dim; a++) { /* from u to z */
            w[a] /= d->sd[a];
            m->b[k] -= w[a] * d->mean[a];
        }
    }
    free(list);
    return HNN_OK;
same:
    free(list);
    return hnn_fail(e, HNN_EARG, "features from pairs of points: among %ld states no two differ enough",
                    d->rows);
}

static void spread(int dim, long rows, const double *z, double *mean, double *sd)
{
    for (int a = 0; a < dim; a++) {
        double sum = 0, square = 0;
        for (long i = 0; i < rows; i++)
            sum += z[i * dim + a];
        mean[a] = sum / (double)rows;
        for (long i = 0; i < rows; i++)
            square += (z[i * dim + a] - mean[a]) * (z[i * dim + a] - mean[a]);
        sd[a] = square > 0 ? sqrt(square / (double)rows) : 1;
    }
}

static double dot(int n, const double *x, const double *y)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += x[i] * y[i];
    return s;
}

/* the derivative equations sum_k c_k act'(w_k.z + b_k) w_k = dH/dz, a few points at a time */
static int equations(hnn_lsq *s, const hnn_rfls *m, long rows, const double *z, const double *dz,
                     hnn_error *e)
{
    int dim = m->dim, n = dim / 2, code = HNN_OK;
    double *a = malloc(sizeof *a * (size_t)POINTS * (size_t)dim * ((size_t)m->features + 1));
    if (!a)
        return hnn_fail(e, HNN_EMEM, "out of memory for the equations of %d features", m->features);
    double *rhs = a + (size_t)POINTS * (size_t)dim * (size_t)m->features;
    for (long from = 0; from < rows && code == HNN_OK; from += POINTS) {
        long points = rows - from < POINTS ? rows - from : POINTS;
        for (long i = 0; i < points; i++) {
            const double *zi = z + (from + i) * dim, *fi = dz + (from + i) * dim;
            double *row = a + (size_t)(i * dim) * (size_t)m->features;
            for (int k = 0; k < m->features; k++) {
                const double *w = m->w + (long)k * dim;
                double f[3];
                acts[m->activation].f(dot(dim, w, zi) + m->b[k], f);
                for (int c = 0; c < dim; c++)
                    row[(size_t)c * (size_t)m->features + (size_t)k] = f[1] * w[c];
            }
            for (int c = 0; c < dim; c++)
                rhs[i * dim + c] = c < n ? -fi[c + n] : fi[c - n];
        }
        code = hnn_lsq_rows(s, points * dim, a, rhs, e);
    }
    free(a);
    return code;
}

void hnn_rfls_free(hnn_rfls *m)
{
    free(m->w);
    *m = (hnn_rfls){0};
}

int hnn_rfls_fit(const hnn_rfls_options *o, int dim, long rows, const double z[], const double dz[],
                 const double z_ref[], hnn_rfls *out, hnn_error *e)
{
    *out = (hnn_rfls){0};
    if (dim < 2 || dim % 2 || rows < 1 || o->features < 1)
        return hnn_fail(
            e, HNN_EARG,
            "random features: %d coordinates, %ld states, %d features; needed: even, at least 1, 1", dim,
            rows, o->features);
    if (o->activation < 0 || o->activation >= HNN_ACTS || o->sampling < 0 || o->sampling >= HNN_SAMPLES)
        return hnn_fail(e, HNN_EARG, "random features: no activation %d or no sampling %d", o->activation,
                        o->sampling);
    if (!(o->scale >= 0 && o->bias >= 0))
        return hnn_fail(e, HNN_EARG, "random features: scale %g, bias %g; needed: at least 0", o->scale,
                        o->bias);
    for (long i = 0; i < rows * dim; i++)
        if (!isfinite(z[i]) || !isfinite(dz[i]))
            return hnn_fail(e, HNN_EARG, "random features: state %ld or its derivative is not finite",
                            i / dim + 1);
    size_t f = (size_t)o->features, d = (size_t)dim;
    hnn_lsq *s = NULL;
    int code = HNN_EMEM;
    hnn_rfls m = {.dim = dim, .features = o->features, .activation = o->activation};
    m.w = malloc(sizeof *m.w * (f * (d + 2) + 2 * d));
    if (!m.w)
        return hnn_fail(e, HNN_EMEM, "out of memory for %d features", o->features);
    m.b = m.w + f * d;
    m.c = m.b + f;
    double *mean = m.c + f, *sd = mean + d;
    spread(dim, rows, z, mean, sd);
    draw how = {o, dim, rows, z, dz, mean, sd, o->scale, o->bias > 0 ? o->bias : acts[o->activation].bias};
    if (how.scale == 0)
        how.scale = o->sampling == HNN_SAMPLE_NORMAL ? 1.0 / dim : 1;
    if ((code = draw_all(&how, &m, e)))
        goto done;
    if (!(s = hnn_lsq_new(o->features, 1, o->threads, e))) {
        code = HNN_EMEM;
        goto done;
    }
    if ((code = equations(s, &m, rows, z, dz, e)))
        goto done;
    hnn_lsq_options solve = {o->tolerance > 0 ? o->tolerance : 1e-15, 0};
    if ((code = hnn_lsq_solve(s, &solve, m.c, &m.info, e)))
        goto done;
    /* the gauge row c0 + sum c_k act(w_k.z_ref + b_k) = 0 is the only one with c0, so it is solved exactly */
    double origin = 0;
    if (z_ref)
        origin = hnn_rfls_value(&m, z_ref, NULL, NULL);
    else {
        memset(mean, 0, sizeof *mean * d);
        origin = hnn_rfls_value(&m, mean, NULL, NULL);
    }
    m.c0 = -origin;
    *out = m;
    m.w = NULL;
done:
    hnn_lsq_free(s);
    free(m.w);
    return code;
}

double hnn_rfls_value(const hnn_rfls *m, const double z[], double gradient[], double hessian[])
{
    double h = 0;
    for (int i = 0; gradient && i < m->dim; i++)
        gradient[i] = 0;
    for (int i = 0; hessian && i < m->dim * m->dim; i++)
        hessian[i] = 0;
    for (int k = 0; k < m->features; k++) {
        const double *w = m->w + (long)k * m->dim;
        double f[3];
        acts[m->activation].f(dot(m->dim, w, z) + m->b[k], f);
        h += m->c[k] * f[0];
        for (int i = 0; gradient && i < m->dim; i++)
            gradient[i] += m->c[k] * f[1] * w[i];
        for (int i = 0; hessian && i < m->dim; i++)
            for (int j = 0; j < m->dim; j++)
                hessian[i * m->dim + j] += m->c[k] * f[2] * w[i] * w[j];
    }
    return h + m->c0; /* last, so that H(z_ref) is 0 exactly */
}
