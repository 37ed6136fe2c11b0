/* diagnose.c - what a run conserved: energy drift, symplecticity, volume, reversibility, Lyapunov spectrum.
 * Invariant: a diagnostic leaves the solver where it was. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solver.h"

double ode_symplectic_defect(int size, const double M[])
{
    int m = size / 2;
    double worst = 0;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            double sum = 0, J = j == i + m ? 1 : i == j + m ? -1 : 0;
            for (int k = 0; k < m; k++)
                sum += M[k * size + i] * M[(k + m) * size + j] - M[(k + m) * size + i] * M[k * size + j];
            worst = fmax(worst, fabs(sum - J));
        }
    return worst;
}
double ode_volume_defect(int size, const double M[])
{
    double *a = malloc(sizeof *a * (size_t)size * (size_t)size), det = 1;
    int *pivot = malloc(sizeof *pivot * (size_t)size);
    if (a && pivot) {
        memcpy(a, M, sizeof *a * (size_t)size * (size_t)size);
        if (!ode_factor(size, a, pivot))
            det = 0;
        else
            for (int k = 0; k < size; k++)
                det *= pivot[k] == k ? a[k * size + k] : -a[k * size + k];
    } else
        det = NAN;
    free(a);
    free(pivot);
    return fabs(det - 1);
}

/* Everything a step changes, put aside and back. */
typedef struct {
    double *y, t, t_carry, h;
} place;
static int keep(ode_solver *s, place *p)
{
    size_t n = (size_t)s->field.size;
    ode_real *r = &s->space;
    if (!(p->y = malloc(2 * n * sizeof(double))))
        return ode_fail(s, ODE_EMEMORY, "diagnostic: out of memory");
    memcpy(p->y, r->x, n * sizeof(double));
    memcpy(p->y + n, r->carry, n * sizeof(double));
    p->t = r->t, p->t_carry = r->t_carry, p->h = r->h;
    return 0;
}
static void put_back(ode_solver *s, place *p)
{
    size_t n = (size_t)s->field.size;
    ode_real *r = &s->space;
    memcpy(r->x, p->y, n * sizeof(double));
    memcpy(r->carry, p->y + n, n * sizeof(double));
    r->t = p->t, r->t_carry = p->t_carry, r->h = p->h;
    r->base.fresh = 1;
    free(p->y);
}

double ode_reversibility(ode_solver *s, double h, int64_t steps)
{
    place p = {0};
    double worst = NAN;
    if (s->status || !s->started || ode_only_one(s, "ode_reversibility") || keep(s, &p))
        return NAN;
    s->space.base.fresh = 1;
    if (!ode_run(s, steps, h, NULL)) {
        s->space.base.fresh = 1;
        if (!ode_run(s, steps, -h, NULL)) {
            worst = 0;
            for (int i = 0; i < s->field.size; i++)
                worst = fmax(worst, fabs(s->space.x[i] - p.y[i]));
        }
    }
    put_back(s, &p);
    return worst;
}

int ode_lyapunov(ode_solver *s, double h, int64_t n, int qr_every, double exponents[])
{
    if (s->status)
        return s->status;
    if (ode_only_one(s, "ode_lyapunov"))
        return s->status;
    if (n < 1 || qr_every < 1)
        return ode_fail(s, ODE_EINPUT, "ode_lyapunov: n = %lld, qr_every = %d, both must be at least 1",
                        (long long)n, qr_every);
    int d = s->field.size;
    size_t dd = (size_t)d * (size_t)d;
    place p = {0};
    if (keep(s, &p))
        return s->status;
    double *M = malloc(3 * dd * sizeof *M), t0 = s->space.t;
    if (!M)
        return put_back(s, &p), ode_fail(s, ODE_EMEMORY, "ode_lyapunov: out of memory");
    double *Q = M + dd, *W = Q + dd;
    memset(Q, 0, dd * sizeof *Q);
    for (int i = 0; i < d; i++)
        Q[i * d + i] = 1, exponents[i] = 0;
    for (int64_t k = 1; k <= n; k++) {
        if (ode_tangent(s, h, M) || ode_step(s, h))
            break;
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++) {
                double sum = 0;
                for (int l = 0; l < d; l++)
                    sum = fma(M[i * d + l], Q[l * d + j], sum);
                W[i * d + j] = sum;
            }
        memcpy(Q, W, dd * sizeof *Q);
        if (k % qr_every && k < n)
            continue;
        for (int j = 0; j < d; j++) { /* Gram-Schmidt, twice: enough for orthogonality at round-off */
            for (int turn = 0; turn < 2; turn++)
                for (int l = 0; l < j; l++) {
                    double c = 0;
                    for (int i = 0; i < d; i++)
                        c += Q[i * d + l] * Q[i * d + j];
                    for (int i = 0; i < d; i++)
                        Q[i * d + j] -= c * Q[i * d + l];
                }
            double norm = 0;
            for (int i = 0; i < d; i++)
                norm = hypot(norm, Q[i * d + j]);
            exponents[j] += log(norm);
            for (int i = 0; i < d; i++)
                Q[i * d + j] /= norm;
        }
    }
    for (int i = 0; i < d; i++)
        exponents[i] /= fabs(s->space.t - t0);
    put_back(s, &p);
    free(M);
    return s->status;
}

int ode_drift_of(int starts, int count, const double t[], const double e[], ode_drift *out)
{
    *out = (ode_drift){NAN, NAN, NAN, NAN};
    if (starts < 1 || count < 3)
        return ODE_EINPUT;
    double slope = 0, amplitude = 0, max = 0;
    for (int s = 0; s < starts; s++) { /* mean over starts of the line through each */
        const double *v = e + (size_t)s * (size_t)count;
        double mt = 0, me = 0, stt = 0, ste = 0, low = INFINITY, high = -INFINITY;
        for (int k = 0; k < count; k++)
            mt += t[k] / count, me += v[k] / count;
        for (int k = 0; k < count; k++)
            stt += (t[k] - mt) * (t[k] - mt), ste += (t[k] - mt) * (v[k] - me);
        for (int k = 0; k < count; k++) {
            double rest = v[k] - me - ste / stt * (t[k] - mt);
            low = fmin(low, rest), high = fmax(high, rest), max = fmax(max, fabs(v[k]));
        }
        slope += ste / stt / starts, amplitude += (high - low) / 2 / starts;
    }
    /* growth exponent: log RMS over starts against log time, RMS pooled in octaves of time so that late samples do
     * not outvote early ones */
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    int bins = 0;
    for (int k = 0; k < count;) {
        if (!(t[k] > t[0])) {
            k++;
            continue;
        }
        double begin = t[k] - t[0], square = 0, middle = 0;
        int m = 0;
        for (; k < count && t[k] - t[0] < 2 * begin; k++, m++) {
            middle += log(t[k] - t[0]);
            for (int s = 0; s < starts; s++)
                square += e[(size_t)s * (size_t)count + (size_t)k] * e[(size_t)s * (size_t)count + (size_t)k];
        }
        if (!(square > 0))
            continue;
        double x = middle / m, y = 0.5 * log(square / m / starts);
        sx += x, sy += y, sxx += x * x, sxy += x * y, bins++;
    }
    out->slope = slope, out->amplitude = amplitude, out->max = max;
    if (bins >= 2)
        out->exponent = (bins * sxy - sx * sy) / (bins * sxx - sx * sx);
    return ODE_OK;
}
