/* test_stats.c - order statistics, bootstrap, the sign-flip test against brute force, Holm against numbers worked by hand. */
/* SPDX-License-Identifier: MIT */
#include "rng.h"
#include "stats.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

Test(stats, quartiles_are_those_of_definition_7)
{
    /* worked by hand: position f (n - 1) between order statistics */
    const struct {
        int n;
        double x[6], q1, median, q3;
    } cases[] = {
        {1, {3}, 3, 3, 3},
        {2, {2, 1}, 1.25, 1.5, 1.75},
        {5, {5, 1, 4, 2, 3}, 2, 3, 4},
        {6, {6, 1, 5, 2, 4, 3}, 2.25, 3.5, 4.75},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hnn_summary s;
        cr_assert_eq(hnn_summarise(cases[i].n, cases[i].x, &s, NULL), HNN_OK);
        cr_assert(s.q1 == cases[i].q1 && s.median == cases[i].median && s.q3 == cases[i].q3, "case %zu", i);
        cr_assert(s.n == cases[i].n && s.diverged == 0);
    }
    hnn_summary s;
    cr_assert_eq(hnn_summarise(0, NULL, &s, NULL), HNN_OK);
    cr_assert(isnan(s.median) && s.n == 0);
    cr_assert_eq(hnn_summarise(-1, NULL, &s, NULL), HNN_EARG);
}

Test(stats, runs_that_diverged_count_as_plus_infinity)
{
    hnn_summary s;
    double x[5] = {1, NAN, 2, -INFINITY, 3};
    cr_assert_eq(hnn_summarise(5, x, &s, NULL), HNN_OK);
    cr_assert(s.diverged == 2 && s.median == 3 && s.q1 == 2 && s.q3 == INFINITY && s.min == 1);
    cr_assert(isnan(x[1]), "the input is not changed");
    double y[2] = {1, INFINITY}, both[2] = {-INFINITY, INFINITY}, low[2] = {-INFINITY, 1};
    cr_assert_eq(hnn_quantile(2, y, 0.5), INFINITY);
    cr_assert_eq(hnn_quantile(2, y, 0), 1);
    cr_assert_eq(hnn_quantile(2, both, 0.5), 0);
    cr_assert_eq(hnn_quantile(2, both, 0.25), -INFINITY);
    cr_assert_eq(hnn_quantile(2, low, 0.5), -INFINITY);
}

static double brute(int n, const double x[])
{
    double observed = 0, scale = 0;
    long count = 0;
    for (int i = 0; i < n; i++)
        observed += x[i], scale += fabs(x[i]);
    for (long signs = 0; signs < 1l << n; signs++) {
        double s = 0;
        for (int i = 0; i < n; i++)
            s += signs >> i & 1 ? x[i] : -x[i];
        count += fabs(s) >= fabs(observed) - 1e-12 * scale;
    }
    return ldexp((double)count, -n);
}

Test(stats, sign_flip_is_the_share_of_all_sign_choices)
{
    hnn_rng r = hnn_rng_stream(1, HNN_RNG_USER, 0);
    for (int n = 1; n <= 13; n++)
        for (int trial = 0; trial < 20; trial++) {
            double x[13], p;
            for (int i = 0; i < n; i++) /* integers make ties; normals do not */
                x[i] = trial % 2 ? (double)hnn_rng_below(&r, 7) - 2 : hnn_rng_normal(&r) + 0.5;
            cr_assert_eq(hnn_sign_flip(n, x, &p, NULL), HNN_OK);
            cr_assert_eq(p, brute(n, x), "n = %d: %.17g, not %.17g", n, p, brute(n, x));
        }
}

Test(stats, sign_flip_of_one_sided_data_is_two_over_two_to_the_n)
{
    double x[41], p;
    for (int i = 0; i < 41; i++)
        x[i] = -0.1 - 0.01 * i;
    const int sizes[] = {1, 5, 10, 20, 31};
    for (size_t k = 0; k < 5; k++) {
        cr_assert_eq(hnn_sign_flip(sizes[k], x, &p, NULL), HNN_OK);
        cr_assert_eq(p, ldexp(1, 1 - sizes[k]), "n = %d: %g", sizes[k], p);
    }
    double wild[4] = {INFINITY, 1, NAN, INFINITY}, none[3] = {0, 0, 0};
    cr_assert_eq(hnn_sign_flip(4, wild, &p, NULL), HNN_OK);
    cr_assert_eq(p, 4.0 / 16); /* the tie flips freely */
    cr_assert_eq(hnn_sign_flip(3, none, &p, NULL), HNN_OK);
    cr_assert_eq(p, 1);
    hnn_error e;
    cr_assert_eq(hnn_sign_flip(41, x, &p, &e), HNN_EARG);
    cr_assert(strstr(e.message, "1 to 40 seeds, not 41"), "%s", e.message);
    cr_assert_eq(hnn_sign_flip(0, x, &p, &e), HNN_EARG);
}

Test(stats, holm_gives_the_numbers_worked_by_hand)
{
    double p[5] = {0.01, 0.04, NAN, 0.03, 0.005}, q[2] = {0.9, 0.8}, tie[3] = {0.02, 0.02, 0.02};
    const double want[5] = {0.03, 0.06, NAN, 0.06, 0.02}; /* 4 x 0.005, 3 x 0.01, 2 x 0.03, then monotone */
    cr_assert_eq(hnn_holm(5, p, NULL), HNN_OK);
    for (int i = 0; i < 5; i++)
        cr_assert(isnan(want[i]) ? isnan(p[i]) : fabs(p[i] - want[i]) < 1e-15, "%d: %g", i, p[i]);
    cr_assert_eq(hnn_holm(2, q, NULL), HNN_OK);
    cr_assert(q[0] == 1 && q[1] == 1);
    cr_assert_eq(hnn_holm(3, tie, NULL), HNN_OK);
    cr_assert(tie[0] == 0.06 && tie[2] == 0.06);
    cr_assert_eq(hnn_holm(0, NULL, NULL), HNN_OK);
}

Test(stats, bootstrap_interval_covers_the_median_as_often_as_it_says)
{
    int covered = 0;
    const int trials = 300;
    for (int k = 0; k < trials; k++) {
        hnn_rng r = hnn_rng_stream(7, HNN_RNG_USER, (uint64_t)k);
        double x[25], lo, hi, lo2, hi2;
        for (int i = 0; i < 25; i++)
            x[i] = hnn_rng_normal(&r);
        cr_assert_eq(hnn_bootstrap_median(25, x, 0.9, 400, 3, (uint64_t)k, &lo, &hi, NULL), HNN_OK);
        double swap = x[0]; /* the order of the seeds does not matter */
        x[0] = x[24], x[24] = swap;
        hnn_bootstrap_median(25, x, 0.9, 400, 3, (uint64_t)k, &lo2, &hi2, NULL);
        cr_assert(lo == lo2 && hi == hi2 && lo < hi);
        covered += lo <= 0 && 0 <= hi;
    }
    /* 90 %, three binomial deviations of 1.7 %, and the percentile method's slight excess for a median */
    cr_assert(covered > 0.84 * trials && covered < 0.98 * trials, "%d of %d", covered, trials);
    double x = 1, lo, hi;
    cr_assert_eq(hnn_bootstrap_median(0, &x, 0.9, 10, 0, 0, &lo, &hi, NULL), HNN_EARG);
    cr_assert_eq(hnn_bootstrap_median(1, &x, 1, 10, 0, 0, &lo, &hi, NULL), HNN_EARG);
}

Test(stats, comparison_pairs_seeds_and_gives_no_p_below_ten)
{
    double a[12], b[12];
    for (int i = 0; i < 12; i++)
        b[i] = 1 + i, a[i] = b[i] * (i % 2 ? 0.5 : 0.25);
    hnn_comparison c;
    cr_assert_eq(hnn_compare_seeds(12, a, b, 1, 0, &c, NULL), HNN_OK);
    cr_assert_float_eq(c.ratio, sqrt(0.125), 1e-15); /* halfway in the logarithm */
    cr_assert(c.lo >= 0.25 - DBL_EPSILON && c.hi <= 0.5 + DBL_EPSILON && c.lo < c.hi);
    cr_assert_eq(c.p, ldexp(1, -11));
    cr_assert_eq(hnn_compare_seeds(9, a, b, 1, 0, &c, NULL), HNN_OK);
    cr_assert(isnan(c.p) && c.n == 9);
    a[0] = NAN, b[1] = INFINITY, a[2] = b[2] = INFINITY, a[3] = 0, b[4] = 0, a[5] = b[5] = 0;
    cr_assert_eq(hnn_compare_seeds(12, a, b, 1, 0, &c, NULL), HNN_OK);
    cr_assert(c.diverged_a == 2 && c.diverged_b == 2 && c.p > 0 && c.p <= 1);
    cr_assert_float_eq(c.ratio, 0.5, 1e-15);
    hnn_error e;
    a[7] = -1;
    cr_assert_eq(hnn_compare_seeds(12, a, b, 1, 0, &c, &e), HNN_EARG);
    cr_assert(strstr(e.message, "seed 7"), "%s", e.message);
}
