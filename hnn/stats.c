/* stats.c - order statistics, bootstrap, exact sign-flip test, Holm. Invariant: the results depend on the numbers
 * and the seed only, not on their order in memory: everything is counted on sorted copies. */
/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(size_t n, double x[]) { qsort(x, n, sizeof *x, ascending); }

static double *copy_of(long n, const double x[], hnn_error *e)
{
    double *y = malloc(sizeof *y * (size_t)(n ? n : 1));
    if (!y)
        hnn_fail(e, HNN_EMEM, "out of memory for statistics of %ld numbers", n);
    else if (n)
        memcpy(y, x, sizeof *y * (size_t)n);
    return y;
}

double hnn_quantile(long n, const double x[], double f)
{
    if (n < 1)
        return NAN;
    double at = f * (double)(n - 1);
    long i = at <= 0 ? 0 : at >= (double)(n - 1) ? n - 1 : (long)at;
    double w = at - (double)i, a = x[i], b = x[i + 1 < n ? i + 1 : i];
    if (w <= 0 || a == b)
        return a;
    if (isinf(a) && isinf(b)) /* -inf and +inf */
        return w < 0.5 ? a : w > 0.5 ? b : 0;
    return isinf(a) ? a : isinf(b) ? b : a + w * (b - a);
}

int hnn_summarise(long n, const double x[], hnn_summary *out, hnn_error *e)
{
    if (n < 0)
        return hnn_fail(e, HNN_EARG, "statistics of %ld numbers", n);
    double *y = copy_of(n, x, e);
    if (!y)
        return HNN_EMEM;
    *out = (hnn_summary){.n = (int)n};
    for (long i = 0; i < n; i++)
        if (!isfinite(y[i]))
            y[i] = INFINITY, out->diverged++;
    sort((size_t)n, y);
    out->min = hnn_quantile(n, y, 0);
    out->q1 = hnn_quantile(n, y, 0.25);
    out->median = hnn_quantile(n, y, 0.5);
    out->q3 = hnn_quantile(n, y, 0.75);
    out->max = hnn_quantile(n, y, 1);
    free(y);
    return HNN_OK;
}

int hnn_bootstrap_median(long n, const double x[], double level, long resamples, uint64_t seed,
                         uint64_t index, double *lo, double *hi, hnn_error *e)
{
    if (n < 1 || resamples < 1 || !(level > 0 && level < 1))
        return hnn_fail(e, HNN_EARG, "bootstrap of %ld numbers, %ld resamples, level %g", n, resamples,
                        level);
    double *y = copy_of(n, x, e);
    double *medians = y ? malloc(sizeof *medians * (size_t)resamples) : NULL;
    double *draw = medians ? malloc(sizeof *draw * (size_t)n) : NULL;
    int code = draw ? HNN_OK : hnn_fail(e, HNN_EMEM, "out of memory for %ld resamples of %ld", resamples, n);
    if (draw) {
        hnn_rng r = hnn_rng_stream(seed, HNN_RNG_BOOTSTRAP, index);
        for (long i = 0; i < n; i++)
            y[i] = isnan(y[i]) ? INFINITY : y[i];
        sort((size_t)n, y);
        for (long k = 0; k < resamples; k++) {
            for (long i = 0; i < n; i++)
                draw[i] = y[hnn_rng_below(&r, (uint64_t)n)];
            sort((size_t)n, draw);
            medians[k] = hnn_quantile(n, draw, 0.5);
        }
        sort((size_t)resamples, medians);
        *lo = hnn_quantile(resamples, medians, (1 - level) / 2);
        *hi = hnn_quantile(resamples, medians, (1 + level) / 2);
    }
    free(draw);
    free(medians);
    free(y);
    return code;
}

/* all 2^n signed sums of l[n], ascending */
static void signed_sums(int n, const double l[], double out[])
{
    size_t count = 1;
    out[0] = 0;
    for (int i = 0; i < n; i++, count *= 2)
        for (size_t k = 0; k < count; k++) {
            out[count + k] = out[k] + l[i];
            out[k] -= l[i];
        }
    sort(count, out);
}

int hnn_sign_flip(int n, const double l[], double *p, hnn_error *e)
{
    if (n < 1 || n > HNN_STATS_MAX_SEEDS)
        return hnn_fail(e, HNN_EARG, "the exact sign-flip test takes 1 to %d seeds, not %d",
                        HNN_STATS_MAX_SEEDS, n);
    double x[HNN_STATS_MAX_SEEDS], observed = 0, scale = 0, finite = 0;
    for (int i = 0; i < n; i++)
        finite += isfinite(l[i]) ? fabs(l[i]) : 0;
    for (int i = 0; i < n; i++) {
        x[i] = isnan(l[i]) ? 0 : isinf(l[i]) ? copysign(1 + finite, l[i]) : l[i];
        observed += x[i], scale += fabs(x[i]);
    }
    double least = fabs(observed) - 1e-12 * scale;
    if (least <= 0) { /* every choice is at least as far from 0 */
        *p = 1;
        return HNN_OK;
    }
    int half = n / 2;
    size_t na = (size_t)1 << half, nb = (size_t)1 << (n - half), j = nb;
    double *a = malloc(sizeof *a * (na + nb)), *b = a ? a + na : NULL, count = 0;
    if (!a)
        return hnn_fail(e, HNN_EMEM, "out of memory for the %zu sums of a sign-flip test", na + nb);
    signed_sums(half, x, a);
    signed_sums(n - half, x + half, b);
    for (size_t i = 0; i < na; i++) { /* as a grows, more of b reaches the bound */
        while (j > 0 && a[i] + b[j - 1] >= least)
            j--;
        count += (double)(nb - j);
    }
    free(a);
    *p = ldexp(2 * count, -n); /* the sums are symmetric about 0 */
    return HNN_OK;
}

int hnn_holm(int m, double p[], hnn_error *e)
{
    double *y = copy_of(m < 0 ? 0 : m, p, e);
    if (!y)
        return HNN_EMEM;
    int tests = 0;
    for (int i = 0; i < m; i++)
        if (!isnan(p[i]))
            y[tests++] = p[i];
    sort((size_t)tests, y);
    for (int i = 0; i < m; i++) {
        double adjusted = 0;
        for (int k = 0; k < tests && y[k] <= p[i]; k++)
            adjusted = fmax(adjusted, (tests - k) * y[k]);
        p[i] = isnan(p[i]) ? p[i] : fmin(1, adjusted);
    }
    free(y);
    return HNN_OK;
}

int hnn_compare_seeds(int n, const double a[], const double b[], uint64_t seed, uint64_t index,
                      hnn_comparison *out, hnn_error *e)
{
    if (n < 1 || n > HNN_STATS_MAX_SEEDS)
        return hnn_fail(e, HNN_EARG, "a comparison takes 1 to %d seeds, not %d", HNN_STATS_MAX_SEEDS, n);
    double l[HNN_STATS_MAX_SEEDS];
    *out = (hnn_comparison){.n = n, .p = NAN};
    for (int i = 0; i < n; i++) {
        int da = !isfinite(a[i]), db = !isfinite(b[i]);
        if ((!da && a[i] < 0) || (!db && b[i] < 0))
            return hnn_fail(e, HNN_EARG, "seed %d: a ratio of %g and %g, which is negative", i, a[i], b[i]);
        out->diverged_a += da, out->diverged_b += db;
        /* the difference of logarithms does not overflow as the quotient can */
        l[i] = da && db ? 0 : da ? INFINITY : db ? -INFINITY : a[i] == b[i] ? 0 : log(a[i]) - log(b[i]);
    }
    double lo, hi;
    int code = hnn_bootstrap_median(n, l, 0.95, 10000, seed, index, &lo, &hi, e);
    if (!code && n >= HNN_STATS_MIN_SEEDS)
        code = hnn_sign_flip(n, l, &out->p, e);
    sort((size_t)n, l);
    out->ratio = exp(hnn_quantile(n, l, 0.5));
    out->lo = code ? NAN : exp(lo);
    out->hi = code ? NAN : exp(hi);
    return code;
}
