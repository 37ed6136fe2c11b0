/* test_sums.c - the order of a sum is part of its meaning: over rows, chains of 64 rows and a chain over them; over
 * columns, one chain, or from nine on eight of them, added as a tree. To the bit, for every shape of loop in the kernels. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 700 * 33 };
static double x[MOST], got[700], want[700];
static float x32[MOST], got32[700], want32[700];

/* double and float: the same loops. */
#define IN_ORDER(name, real)                                                                                 \
    static void name(const real *a, int rows, int cols, real *d)                                             \
    {                                                                                                        \
        for (int j = 0; j < cols; j++)                                                                       \
            for (int i = 0; i < rows; i += 64) {                                                             \
                real s = a[i * cols + j];                                                                    \
                for (int k = i + 1; k < rows && k < i + 64; k++)                                             \
                    s += a[k * cols + j];                                                                    \
                d[j] = i ? d[j] + s : s;                                                                     \
            }                                                                                                \
    }
IN_ORDER(sum_rows, double)
IN_ORDER(sum_rows32, float)

static void run(ad_var in, ad_var out, int real, int rows, const void *from, void *to)
{
    ad_tape *t = in.tape;
    ad_program *p = ad_compile(t, 1, &in, 1, &out, &(ad_options){.real = real});
    cr_assert(p, "%s", ad_message(t));
    ad_work *w = ad_work_new(p, NULL);
    cr_assert_eq(ad_run(w, rows, &from, &to), AD_OK, "%s", ad_work_message(w));
    ad_work_free(w);
    ad_program_free(p);
}

Test(sums, a_sum_over_rows_is_chains_of_64_rows_for_any_number_of_columns)
{
    static const int rows[] = {2, 63, 64, 65, 128, 255, 256, 257, 511, 512, 700},
                     cols[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33};
    for (int i = 0; i < MOST; i++)
        x32[i] = (float)(x[i] = sin(1.7 * i) * exp(0.3 * (i % 11)));
    x[0] = x32[0] = -0.0f;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++)
            for (int batch = 0; batch < 2; batch++) {
                int m = rows[r], n = cols[c];
                ad_tape *t = ad_new();
                ad_var in = ad_input(t, "x", batch ? AD_BATCH : m, n), s = ad_sum_rows(in);
                sum_rows(x, m, n, want);
                sum_rows32(x32, m, n, want32);
                run(in, s, AD_F64, m, x, got);
                cr_assert(memcmp(got, want, (size_t)n * sizeof *got) == 0, "[%d,%d] in double", m, n);
                run(in, s, AD_F32, m, x32, got32);
                cr_assert(memcmp(got32, want32, (size_t)n * sizeof *got32) == 0, "[%d,%d] in float", m, n);
                ad_set(in, m, x);
                cr_assert(memcmp(ad_value(s), want, (size_t)n * sizeof *got) == 0, "[%d,%d] as value", m, n);
                ad_free(t);
            }
}

Test(sums, logsumexp_has_the_bits_of_its_exponentials_for_any_number_of_columns)
{
    for (int n = 1; n < 34; n++) {
        ad_tape *t = ad_new();
        ad_var in = ad_input(t, "x", AD_BATCH, n), top = ad_input(t, "top", AD_BATCH, 1);
        ad_var by_parts = ad_add(top, ad_log(ad_sum_cols(ad_exp(ad_sub(in, top))))), y = ad_logsumexp(in);
        double largest[3];
        for (int i = 0; i < 3 * n; i++)
            x[i] = 8 * sin(2.3 * i);
        x[n - 1] = -INFINITY; /* of the first row, a term that is 0 (or, alone, the answer) */
        for (int i = 0; i < 3; i++) {
            largest[i] = x[i * n];
            for (int j = 1; j < n; j++)
                largest[i] = fmax(largest[i], x[i * n + j]);
        }
        run(in, y, AD_F64, 3, x, got);
        ad_set(in, 3, x);
        ad_set(top, 3, largest);
        const double *parts = ad_value(by_parts);
        int from = n == 1; /* -inf - -inf is not a number by parts */
        cr_assert(memcmp(got + from, parts + from, (size_t)(3 - from) * sizeof *got) == 0, "%d columns", n);
        cr_assert(n > 1 || got[0] == -INFINITY);
        x[1] = NAN;
        run(in, y, AD_F64, 3, x, got);
        cr_assert(isnan(got[n == 1]));
        ad_free(t);
    }
}
