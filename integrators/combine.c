/* combine.c - d = y + h sum c_j x_j for one state in one pass: what an explicit Runge-Kutta step does most.
 * Invariant: the vector form and the plain one do the same operations on every component in the same order, and a fused
 * multiply-add is exact wherever it runs, so both give the same bits. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "space.h"
#if defined(__x86_64__) && !defined(double)
#include <immintrin.h>
#endif
#define INLINE static inline __attribute__((always_inline))

/* Components from .. n-1. */
INLINE void sum_from(int from, int n, double *d, const double *y, const ode_sum *t, const double *x,
                     size_t stride, double h)
{
    for (int i = from; i < n; i++) {
        double s = y ? y[i] : 0;
        for (int j = 0; j < t->count; j++)
            s = fma(t->c[j].hi * h, x[(size_t)t->at[j] * stride + (size_t)i], s);
        d[i] = s;
    }
}
INLINE void carried_from(int from, int n, double *d, double *e, const ode_sum *t, const double *x,
                         size_t stride, double h, double hl)
{
    for (int i = from; i < n; i++) {
        double s = 0, low = 0;
        for (int j = 0; j < t->count; j++) {
            double v = x[(size_t)t->at[j] * stride + (size_t)i], p = t->c[j].hi * v, u = s + p, w = u - s;
            low += (fma(t->c[j].hi, v, -p) + t->c[j].lo * v) + ((s - (u - w)) + (p - w));
            s = u;
        }
        double p = h * s, u = d[i] + p, w = u - d[i];
        low = ((fma(h, s, -p) + hl * s) + h * low) + ((d[i] - (u - w)) + (p - w)) + e[i];
        d[i] = u + low;
        e[i] = (u - d[i]) + low;
    }
}
static void sum_any(int n, double *d, const double *y, const ode_sum *t, const double *x, size_t stride,
                    double h)
{
    sum_from(0, n, d, y, t, x, stride, h);
}
static void carried_any(int n, double *d, double *e, const ode_sum *t, const double *x, size_t stride,
                        double h, double hl)
{
    carried_from(0, n, d, e, t, x, stride, h, hl);
}

#if defined(__x86_64__) && !defined(double)
/* The same, four components at once. */
typedef __m256d four;
#define V3 __attribute__((target("avx2,fma")))
#define ALL _mm256_set1_pd
#define AT(i) (x + (size_t)t->at[j] * stride + (i))
V3 INLINE void sum_four(int n, double *d, const double *y, const ode_sum *t, const double *x, size_t stride,
                        double h)
{
    int i = 0, m = t->count;
    for (; i + 4 <= n; i += 4) {
        four s = y ? _mm256_loadu_pd(y + i) : _mm256_setzero_pd();
        int j = 0;
        for (; j < m - 1; j++)
            s = _mm256_fmadd_pd(ALL(t->c[j].hi * h), _mm256_loadu_pd(AT(i)), s);
        if (j < m) {
            const volatile double *v = AT(i); /* just stored by the field: see ode_any_bad */
            s = _mm256_fmadd_pd(ALL(t->c[j].hi * h), _mm256_setr_pd(v[0], v[1], v[2], v[3]), s);
        }
        _mm256_storeu_pd(d + i, s);
    }
    sum_from(i, n, d, y, t, x, stride, h);
}
V3 static void sum_v3(int n, double *d, const double *y, const ode_sum *t, const double *x, size_t stride,
                      double h)
{
    sum_four(n, d, y, t, x, stride, h);
}
V3 static void carried_v3(int n, double *d, double *e, const ode_sum *t, const double *x, size_t stride,
                          double h, double hl)
{
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        four y = _mm256_loadu_pd(d + i), s = _mm256_setzero_pd(), low = s;
        for (int j = 0; j < t->count; j++) {
            four v = _mm256_loadu_pd(AT(i)), c = ALL(t->c[j].hi), p = c * v, u = s + p, w = u - s;
            low += (_mm256_fmsub_pd(c, v, p) + ALL(t->c[j].lo) * v) + ((s - (u - w)) + (p - w));
            s = u;
        }
        four p = ALL(h) * s, u = y + p, w = u - y;
        low = ((_mm256_fmsub_pd(ALL(h), s, p) + ALL(hl) * s) + ALL(h) * low) + ((y - (u - w)) + (p - w)) +
              _mm256_loadu_pd(e + i);
        y = u + low;
        _mm256_storeu_pd(d + i, y);
        _mm256_storeu_pd(e + i, (u - y) + low);
    }
    carried_from(i, n, d, e, t, x, stride, h, hl);
}
/* f at a stage; 0 when it failed. */
INLINE int ask(ode_real *r, double t, const double *y, double *out)
{
    r->counts.fields++;
    if (r->field->rhs(r->field->user, t, y, out))
        ode_real_fault(r, 0, ODE_EVALUE, t, "the field's callback reported failure");
    else if (ode_any_bad(out, r->base.size))
        ode_real_fault(r, 0, ODE_EVALUE, t, "the field is NaN or infinite");
    return r->live[0];
}
/* One step of an explicit row, one state, a field that is given whole: the operations of its driver without a call for each. */
V3 static void rk_v3(ode_real *r, const ode_plan *p)
{
    int n = r->base.size, stages = p->stages;
    size_t size = (size_t)n;
    double *y = r->x, *k = y + size, *arg = y + (size_t)(stages + 1) * size, h = r->row_h[0], t = r->row_t[0];
    if (!r->base.fresh && p->same_last)
        memcpy(k, y + (size_t)stages * size, size * sizeof *y);
    else if (r->base.fresh != 3 && !ask(r, t, y, k))
        return;
    for (int i = 1; i < stages - p->same_last; i++) {
        k += size;
        sum_four(n, arg, y, &p->sums[i], y, size, h);
        if (!ask(r, t + p->c[i].hi * h, arg, k))
            return;
    }
    if (r->compensate)
        carried_v3(n, y, r->carry, &p->sums[stages], y, size, h, 0);
    else
        sum_v3(n, y, y, &p->sums[stages], y, size, h);
    if (p->same_last)
        ask(r, t + h, y, y + (size_t)stages * size);
}
#endif

ode_combine ode_combine_best(void)
{
#if defined(__x86_64__) && !defined(double)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (ode_combine){sum_v3, carried_v3, rk_v3};
#endif
    return (ode_combine){sum_any, carried_any, NULL};
}
