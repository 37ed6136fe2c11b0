/* test_rng.c - the generator against its published vectors, the draws against their distributions. */
/* SPDX-License-Identifier: MIT */
#include "error.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random123, tests/kat_vectors: the three lines "philox4x32 10" */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

Test(rng, philox_gives_the_published_known_answers)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        hnn_philox(known[i].counter, known[i].key, out);
        cr_assert(memcmp(out, known[i].out, sizeof out) == 0, "vector %zu", i);
    }
}

Test(rng, streams_differ_by_seed_purpose_and_index_and_repeat)
{
    hnn_rng s[5] = {hnn_rng_stream(1, 2, 3), hnn_rng_stream(2, 2, 3), hnn_rng_stream(1, 3, 3),
                    hnn_rng_stream(1, 2, 4), hnn_rng_stream(1 + (1ull << 32), 2, 3)};
    uint64_t x[5];
    for (int i = 0; i < 5; i++)
        x[i] = hnn_rng_u64(&s[i]);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++)
            cr_assert(x[i] != x[j]);
    hnn_rng again = hnn_rng_stream(1, 2, 3);
    cr_assert(hnn_rng_u64(&again) == x[0]);
}

Test(rng, uniform_has_the_moments_of_the_uniform_distribution)
{
    hnn_rng r = hnn_rng_stream(7, HNN_RNG_USER, 0);
    enum { n = 200000 };
    double s1 = 0, s2 = 0;
    for (int i = 0; i < n; i++) {
        double u = i & 1 ? hnn_rng_uniform(&r) : hnn_rng_open(&r);
        cr_assert(u >= 0 && u < 1);
        s1 += u, s2 += u * u;
    }
    cr_assert(fabs(s1 / n - 0.5) < 5 * sqrt(1.0 / 12 / n)); /* five standard errors */
    cr_assert(fabs(s2 / n - 1.0 / 3) < 5 * sqrt(4.0 / 45 / n));
}

Test(rng, normal_has_the_moments_and_the_distribution_function_of_the_normal)
{
    hnn_rng r = hnn_rng_stream(7, HNN_RNG_USER, 1);
    enum { n = 200000 };
    double m[5] = {0}, at[] = {-2, -1, 0, 0.5, 1.5};
    int below[5] = {0};
    for (int i = 0; i < n; i++) {
        double x = hnn_rng_normal(&r), p = 1;
        for (int k = 0; k < 5; k++, p *= x)
            m[k] += p / n;
        for (int k = 0; k < 5; k++)
            below[k] += x < at[k];
    }
    cr_assert(fabs(m[1]) < 5 / sqrt(n) && fabs(m[2] - 1) < 5 * sqrt(2.0 / n));
    cr_assert(fabs(m[3]) < 5 * sqrt(15.0 / n) && fabs(m[4] - 3) < 5 * sqrt(96.0 / n));
    for (int k = 0; k < 5; k++) {
        double f = 0.5 * erfc(-at[k] / sqrt(2));
        cr_assert(fabs(below[k] / (double)n - f) < 5 * sqrt(f * (1 - f) / n), "at %g", at[k]);
    }
}

Test(rng, normal_agrees_with_the_formula_through_libm)
{
    hnn_rng r = hnn_rng_stream(11, HNN_RNG_USER, 2), u = r;
    for (int i = 0; i < 2000; i++) {
        double x, y, s;
        do {
            x = 2 * hnn_rng_open(&u) - 1, y = 2 * hnn_rng_open(&u) - 1;
            s = x * x + y * y;
        } while (s >= 1);
        double f = sqrt(-2 * log(s) / s);
        /* s near 1 loses the rounding of s itself in log s: relative 1e-16 / (1 - s) */
        double tolerance = 1e-14 + 4e-16 / (1 - s);
        cr_assert(fabs(hnn_rng_normal(&r) - x * f) <= tolerance);
        cr_assert(fabs(hnn_rng_normal(&r) - y * f) <= tolerance);
    }
}

Test(rng, the_first_normals_keep_their_bits)
{
    hnn_rng r = hnn_rng_stream(42, HNN_RNG_NOISE, 5);
    static const double want[] = {0x1.be555d514bd3bp+0, 0x1.f8ab2dd174b6cp+0, 0x1.1009ec5ca66f4p+1,
                                  -0x1.966bfa616ab54p-1};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_assert(hnn_rng_normal(&r) == want[i], "draw %zu", i);
}

Test(rng, below_is_uniform_over_its_range)
{
    hnn_rng r = hnn_rng_stream(3, HNN_RNG_USER, 0);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t k = hnn_rng_below(&r, 7);
        cr_assert(k < 7);
        count[k]++;
    }
    for (int k = 0; k < 7; k++)
        cr_assert(abs(count[k] - 10000) < 500); /* five standard deviations: 5 sqrt(70000/7 * 6/7) = 463 */
    cr_assert(hnn_rng_below(&r, 1) == 0 && hnn_rng_below(&r, 0) == 0);
}

Test(rng, permutation_holds_every_number_once_and_every_place_is_equally_likely)
{
    enum { n = 6 };
    hnn_rng r = hnn_rng_stream(3, HNN_RNG_USER, 1);
    int at[n][n] = {{0}};
    for (int i = 0; i < 6000; i++) {
        long p[n];
        int seen = 0;
        hnn_rng_permutation(&r, n, p);
        for (int k = 0; k < n; k++)
            seen |= 1 << p[k], at[k][p[k]]++;
        cr_assert(seen == (1 << n) - 1);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            cr_assert(abs(at[i][k] - 1000) < 150); /* five standard deviations: 144 */
}

Test(rng, orthogonal_matrices_have_orthonormal_rows_or_columns)
{
    static const int shape[][2] = {{1, 1}, {5, 5}, {200, 2}, {2, 200}, {40, 30}, {1, 7}};
    for (size_t c = 0; c < sizeof shape / sizeof *shape; c++) {
        int m = shape[c][0], n = shape[c][1], small = m < n ? m : n;
        double *q = malloc(sizeof *q * (size_t)(m * n));
        hnn_rng r = hnn_rng_stream(1, HNN_RNG_WEIGHTS, c);
        cr_assert(hnn_rng_orthogonal(&r, m, n, 1, q) == HNN_OK);
        for (int i = 0; i < small; i++)
            for (int j = 0; j < small; j++) {
                double dot = 0;
                for (int k = 0; k < (m < n ? n : m); k++)
                    dot += m < n ? q[i * n + k] * q[j * n + k] : q[k * n + i] * q[k * n + j];
                cr_assert(fabs(dot - (i == j)) < 1e-13, "%d x %d", m, n);
            }
        free(q);
    }
}

Test(rng, orthogonal_matrices_follow_the_haar_measure_in_sign_and_size)
{
    /* without the sign fix q[0][0] of a Householder QR always has one sign */
    double mean = 0, square = 0;
    enum { count = 4000, n = 3 };
    hnn_rng r = hnn_rng_stream(5, HNN_RNG_USER, 0);
    for (int i = 0; i < count; i++) {
        double q[n * n];
        hnn_rng_orthogonal(&r, n, n, 1, q);
        mean += q[0] / count, square += q[0] * q[0] / count;
    }
    cr_assert(fabs(mean) < 5 * sqrt(1.0 / n / count));
    cr_assert(fabs(square - 1.0 / n) < 0.025); /* five standard errors: var q^2 = 4/45 */
    double q[1];
    cr_assert(hnn_rng_orthogonal(&r, 0, 3, 1, q) == HNN_EARG);
}
