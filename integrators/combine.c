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
            double v = x[(size_t)t->at[j] * stride + (size_t)i];
            double p = t->c[j].hi * v, u = s + p, w = u - s;
            low += fma(t->c[j].lo, v, fma(t->c[j].hi, v, -p)) + ((s - (u - w)) + (p - w));
            s = u;
        }
        double y = d[i], a = fma(h, s, fma(hl, s, fma(h, low, e[i]))), u = y + a, w = u - y;
        e[i] = (y - (u - w)) + (a - w);
        d[i] = u;
    }
}
/* Components from .. n-1, each into its part. */
INLINE void errors_from(int from, int n, const double *y0, const double *y1, const ode_sum e[2],
                        const double *x, size_t stride, const ode_options *o, double part[2][4])
{
    for (int i = from; i < n; i++) {
        double a = fabs(y0[i]), b = fabs(y1[i]);
        double w =
            1 / ((o->atols ? o->atols[i] : o->atol) + (o->rtols ? o->rtols[i] : o->rtol) * (a > b ? a : b));
        for (int k = 0; k < 2; k++) {
            double s = 0;
            for (int j = 0; j < e[k].count; j++)
                s = fma(e[k].c[j].hi, x[(size_t)e[k].at[j] * stride + (size_t)i], s);
            part[k][i % 4] += s * w * (s * w);
        }
    }
}
static void errors_any(int n, const double *y0, const double *y1, const ode_sum e[2], const double *x,
                       size_t stride, const ode_options *o, double out[2])
{
    double part[2][4] = {{0}};
    errors_from(0, n, y0, y1, e, x, stride, o, part);
    for (int k = 0; k < 2; k++)
        out[k] = (part[k][0] + part[k][1]) + (part[k][2] + part[k][3]);
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
/* Loaded one by one: the field has just stored them (see ode_any_bad). */
V3 INLINE four fresh(const volatile double *v) { return _mm256_setr_pd(v[0], v[1], v[2], v[3]); }
/* s + h sum c_j x_j of the components from i on, without the last term. */
V3 INLINE four sum_but_last(int i, four s, const ode_sum *t, const double *x, size_t stride, double h)
{
    for (int j = 0; j < t->count - 1; j++)
        s = _mm256_fmadd_pd(ALL(t->c[j].hi * h), _mm256_loadu_pd(AT(i)), s);
    return s;
}
V3 INLINE four sum_at(int i, four s, const ode_sum *t, const double *x, size_t stride, double h)
{
    int j = t->count - 1;
    s = sum_but_last(i, s, t, x, stride, h);
    return j < 0 ? s : _mm256_fmadd_pd(ALL(t->c[j].hi * h), fresh(AT(i)), s);
}
/* The argument of a stage. In a state of few components each stage waits for the one before: the last term is then added to each by
 * itself, as the field stored it and will load it. */
V3 INLINE void argument(int n, int few, double *d, const double *y, const ode_sum *t, const double *x,
                        size_t stride, double h)
{
    int i = 0, j = t->count - 1;
    for (; i + 4 <= n; i += 4) {
        four s = _mm256_loadu_pd(y + i);
        if (!few || j < 0) {
            _mm256_storeu_pd(d + i, sum_at(i, s, t, x, stride, h));
            continue;
        }
        s = sum_but_last(i, s, t, x, stride, h);
        double c = t->c[j].hi * h;
        const volatile double *v = AT(i);
        volatile double *to = d + i;
        for (int l = 0; l < 4; l++)
            to[l] = fma(c, v[l], s[l]);
    }
    sum_from(i, n, d, y, t, x, stride, h);
}
V3 static void sum_v3(int n, double *d, const double *y, const ode_sum *t, const double *x, size_t stride,
                      double h)
{
    int i = 0;
    for (; i + 4 <= n; i += 4)
        _mm256_storeu_pd(d + i, sum_at(i, y ? _mm256_loadu_pd(y + i) : _mm256_setzero_pd(), t, x, stride, h));
    sum_from(i, n, d, y, t, x, stride, h);
}
/* One more term of the sum s, v c, and of what is lost beside it. */
V3 INLINE void carry_term(four *s, four *low, four c, four cl, four v)
{
    four p = c * v, u = *s + p, w = u - *s;
    *low += _mm256_fmadd_pd(cl, v, _mm256_fmsub_pd(c, v, p)) + ((*s - (u - w)) + (p - w));
    *s = u;
}
V3 INLINE void carried_four(int n, double *d, double *e, const ode_sum *t, const double *x, size_t stride,
                            double h, double hl)
{
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        four y = _mm256_loadu_pd(d + i), s = _mm256_setzero_pd(), low = s;
        int j = 0;
        for (; j < t->count - 1; j++)
            carry_term(&s, &low, ALL(t->c[j].hi), ALL(t->c[j].lo), _mm256_loadu_pd(AT(i)));
        if (j < t->count)
            carry_term(&s, &low, ALL(t->c[j].hi), ALL(t->c[j].lo), fresh(AT(i)));
        four a = _mm256_fmadd_pd(ALL(h), low, _mm256_loadu_pd(e + i));
        a = _mm256_fmadd_pd(ALL(h), s, _mm256_fmadd_pd(ALL(hl), s, a));
        four u = y + a, w = u - y;
        _mm256_storeu_pd(d + i, u);
        _mm256_storeu_pd(e + i, (y - (u - w)) + (a - w));
    }
    carried_from(i, n, d, e, t, x, stride, h, hl);
}
V3 static void carried_v3(int n, double *d, double *e, const ode_sum *t, const double *x, size_t stride,
                          double h, double hl)
{
    carried_four(n, d, e, t, x, stride, h, hl);
}
V3 INLINE four size_of(four v) { return _mm256_andnot_pd(ALL(-0.0), v); }
V3 INLINE void errors_four(int n, const double *y0, const double *y1, const ode_sum e[2], const double *x,
                           size_t stride, const ode_options *o, double out[2])
{
    four sum = _mm256_setzero_pd(), sum2 = sum, atol = ALL(o->atol), rtol = ALL(o->rtol);
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        four larger = _mm256_max_pd(size_of(_mm256_loadu_pd(y0 + i)), size_of(_mm256_loadu_pd(y1 + i)));
        four w = ALL(1) / ((o->atols ? _mm256_loadu_pd(o->atols + i) : atol) +
                           (o->rtols ? _mm256_loadu_pd(o->rtols + i) : rtol) * larger);
        four s = sum_at(i, _mm256_setzero_pd(), e, x, stride, 1) * w,
             s2 = sum_at(i, _mm256_setzero_pd(), e + 1, x, stride, 1) * w;
        sum += s * s, sum2 += s2 * s2;
    }
    if (i < n) {
        double part[2][4] = {{0}};
        errors_from(i, n, y0, y1, e, x, stride, o, part);
        sum += _mm256_loadu_pd(part[0]), sum2 += _mm256_loadu_pd(part[1]);
    }
    out[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    out[1] = (sum2[0] + sum2[1]) + (sum2[2] + sum2[3]);
}
V3 static void errors_v3(int n, const double *y0, const double *y1, const ode_sum e[2], const double *x,
                         size_t stride, const ode_options *o, double out[2])
{
    if (n == 4)
        errors_four(4, y0, y1, e, x, stride, o, out);
    else
        errors_four(n, y0, y1, e, x, stride, o, out);
}
/* f at a stage; 0 when it failed. */
INLINE int ask(ode_real *r, int n, double t, const double *y, double *out)
{
    r->counts.fields++;
    if (r->field->rhs(r->field->user, t, y, out))
        ode_real_fault(r, 0, ODE_EVALUE, t, "the field's callback reported failure");
    else if (ode_any_bad(out, n))
        ode_real_fault(r, 0, ODE_EVALUE, t, "the field is NaN or infinite");
    else
        return 1;
    return 0;
}
V3 INLINE void rk(ode_real *r, const ode_plan *p, int n, int few)
{
    int stages = p->stages;
    size_t size = (size_t)n;
    double *y = r->x, *k = y + size, *arg = y + (size_t)(stages + 1) * size, h = r->row_h[0], t = r->row_t[0];
    if (!r->base.fresh && p->same_last)
        memcpy(k, y + (size_t)stages * size, size * sizeof *y);
    else if (r->base.fresh != 3 && !ask(r, n, t, y, k))
        return;
    for (int i = 1; i < stages - p->same_last; i++) {
        k += size;
        argument(n, few, arg, y, &p->sums[i], y, size, h);
        if (!ask(r, n, t + p->c[i].hi * h, arg, k))
            return;
    }
    if (r->compensate)
        carried_four(n, y, r->carry, &p->sums[stages], y, size, h, 0);
    else
        sum_v3(n, y, y, &p->sums[stages], y, size, h);
    if (p->same_last)
        ask(r, n, t + h, y, y + (size_t)stages * size);
}
/* One step of an explicit row, one state, a field that is given whole: the operations of its driver without a call for each. */
V3 static void rk_v3(ode_real *r, const ode_plan *p)
{
    switch (r->base.size) {
    case 2:
        rk(r, p, 2, 1);
        break;
    case 4:
        rk(r, p, 4, 1);
        break;
    case 6:
        rk(r, p, 6, 1);
        break;
    default:
        rk(r, p, r->base.size, 0);
    }
}
#endif

ode_combine ode_combine_best(void)
{
#if defined(__x86_64__) && !defined(double)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (ode_combine){sum_v3, carried_v3, errors_v3, rk_v3};
#endif
    return (ode_combine){sum_any, carried_any, errors_any, NULL};
}
