/* stats.h - statistics over seeds as METRICS.md defines them. Invariant: a run that diverged is never dropped: what
 * is not finite counts as +infinity, and how often that happened is part of the result. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_STATS_H
#define HNN_STATS_H

#include "error.h"

#include <stdint.h>

enum { HNN_STATS_MIN_SEEDS = 10, HNN_STATS_MAX_SEEDS = 40 };

typedef struct hnn_summary {
    int n, diverged;
    double median, q1, q3, min, max; /* NaN if n is 0 */
} hnn_summary;

/* hnn_quantile - of x[n], ascending, linear between order statistics: position f (n - 1), f in [0, 1]; NaN if n is 0.
 * Between a finite value and an infinite one the infinite one wins.
 * Source: Hyndman, Fan (1996), The American Statistician 50, 361-365, definition 7. */
double hnn_quantile(long n, const double x[], double f);

/* hnn_summarise - median, quartiles and extremes of x[n] (any order), NaN and infinities as +infinity.
 * Errors: HNN_EARG if n < 0, HNN_EMEM. */
int hnn_summarise(long n, const double x[], hnn_summary *out, hnn_error *e);

/* hnn_bootstrap_median - percentile interval [lo, hi] of the median of x[n] at the given level (0.95) from
 * `resamples` samples with replacement of the stream (seed, HNN_RNG_BOOTSTRAP, index).
 * Errors: HNN_EARG if n < 1, resamples < 1 or level outside (0, 1), HNN_EMEM.
 * Source: Efron, Tibshirani (1993), An introduction to the bootstrap, section 13.3. */
int hnn_bootstrap_median(long n, const double x[], double level, long resamples, uint64_t seed,
                         uint64_t index, double *lo, double *hi, hnn_error *e);

/* hnn_sign_flip - exact two-sided p of the hypothesis that l[n] is symmetric about 0: the share of the 2^n choices
 * of signs whose abs(sum) is at least the observed one (equal within 1e-12 sum abs(l)). Counted from two sorted
 * halves, 2^(n/2) sums each. An infinite l counts as 1 + the sum of the finite abs(l), NaN as 0.
 * Errors: HNN_EARG unless 1 <= n <= 40, HNN_EMEM. Source: Fisher (1935), The design of experiments, section 21. */
int hnn_sign_flip(int n, const double l[], double *p, hnn_error *e);

/* hnn_holm - p[m] becomes Holm's adjusted p. NaN (no test was made) stays and is not counted. Errors: HNN_EMEM.
 * Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70. */
int hnn_holm(int m, double p[], hnn_error *e);

typedef struct hnn_comparison {
    int n, diverged_a, diverged_b;
    double ratio, lo, hi; /* exp of the median log(a/b) and its 95 % bootstrap interval, 10000 resamples */
    double p;             /* of the sign-flip test; NaN with fewer than 10 seeds */
} hnn_comparison;

/* hnn_compare_seeds - a[i] against b[i] >= 0 of the same seed i: ratio, interval, p. Both diverged, or both 0, is a
 * tie. index: which metric (its own stream). Errors: HNN_EARG for n outside 1 .. 40 or a negative value, HNN_EMEM. */
int hnn_compare_seeds(int n, const double a[], const double b[], uint64_t seed, uint64_t index,
                      hnn_comparison *out, hnn_error *e);

#endif
