/* test_network.c - the second-order gradient that training needs, of a 2-200-200-1 tanh network, against long double. */
/* SPDX-License-Identifier: MIT */
#define AD_NO_SUGAR
#include "ad.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { H = 200, B = 5, PARTS = 6, MOST = H * H };
static const int rows[PARTS] = {2, 1, H, 1, H, 1}, cols[PARTS] = {H, H, H, H, 1, 1};

/* The same numbers in every type: floats. */
static float number(unsigned *s, float scale)
{
    *s = *s * 1664525u + 1013904223u;
    return scale * ((float)(*s >> 8) / (1 << 23) - 1);
}

static size_t put(int real, const float *from, size_t n, void *to)
{
    for (size_t i = 0; i < n; i++) {
        if (real == AD_F32)
            ((float *)to)[i] = from[i];
        else if (real == AD_F64)
            ((double *)to)[i] = from[i];
        else
            ((long double *)to)[i] = from[i];
    }
    return real == AD_F32 ? sizeof(float) : real == AD_F64 ? sizeof(double) : sizeof(long double);
}
static long double get(int real, const void *from, size_t i)
{
    return real == AD_F32   ? (long double)((const float *)from)[i]
           : real == AD_F64 ? (long double)((const double *)from)[i]
                            : ((const long double *)from)[i];
}

/* d/dtheta of sum |dH/dx|^2 over B states; the largest error of each part relative to its largest element. */
Test(network, gradient_of_the_squared_gradient_is_that_of_long_double)
{
    static const double bound[2] = {1e-12, 1e-5};
    static const char *const name[PARTS] = {"W1", "b1", "W2", "b2", "W3", "b3"};
    float *given[PARTS + 1];
    ad_tape *t = ad_new();
    ad_var in[PARTS + 1], g[PARTS], h;
    unsigned s = 5;
    h = in[PARTS] = ad_input(t, "x", AD_BATCH, 2);
    for (int k = 0; k < PARTS; k++)
        in[k] = ad_input(t, name[k], rows[k], cols[k]);
    for (int k = 0; k < PARTS; k += 2) {
        h = ad_add(ad_matmul(h, in[k]), in[k + 1]);
        h = k < 4 ? ad_tanh(h) : h;
    }
    ad_var loss = ad_sum(ad_square(ad_grad(ad_sum(h), in[PARTS])));
    ad_grads(loss, PARTS, in, g);
    for (int k = 0; k <= PARTS; k++) {
        size_t n = k < PARTS ? (size_t)(rows[k] * cols[k]) : 2 * B;
        given[k] = malloc(n * sizeof *given[k]);
        for (size_t i = 0; i < n; i++)
            given[k][i] = number(&s, k == PARTS ? 2 : k == 2 ? 0.12F : 0.8F);
    }
    void *out[3][PARTS];
    for (int real = 0; real < 3; real++) {
        ad_program *p = ad_compile(t, PARTS + 1, in, PARTS, g, &(ad_options){.real = real});
        cr_assert(p, "%s", ad_message(t));
        ad_work *w = ad_work_new(p, NULL);
        void *from[PARTS + 1];
        for (int k = 0; k <= PARTS; k++) {
            size_t n = k < PARTS ? (size_t)(rows[k] * cols[k]) : 2 * B;
            from[k] = malloc(n * sizeof(long double));
            put(real, given[k], n, from[k]);
            if (k < PARTS)
                out[real][k] = malloc(n * sizeof(long double));
        }
        cr_assert_eq(ad_run(w, B, (const void *const *)from, out[real]), AD_OK, "%s", ad_work_message(w));
        for (int k = 0; k <= PARTS; k++)
            free(from[k]);
        ad_work_free(w);
        ad_program_free(p);
    }
    for (int real = AD_F64; real <= AD_F32; real++)
        for (int k = 0; k < PARTS - 1; k++) { /* the last bias is not in the gradient */
            long double most = 0, size = 0;
            for (size_t i = 0; i < (size_t)(rows[k] * cols[k]); i++) {
                long double want = get(AD_F80, out[AD_F80][k], i);
                most = fmaxl(most, fabsl(get(real, out[real][k], i) - want));
                size = fmaxl(size, fabsl(want));
            }
            if (getenv("NOETHER_NETWORK"))
                fprintf(stderr, "real %d, %s: %.2g of %.2g\n", real, name[k], (double)(most / size),
                        bound[real]);
            cr_assert(size > 0 && most <= bound[real] * size, "real %d, %s: %g", real, name[k],
                      (double)(most / size));
        }
    for (int k = 0; k < PARTS; k++) {
        cr_assert(k < PARTS - 1 || get(AD_F64, out[AD_F64][k], 0) == 0);
        for (int real = 0; real < 3; real++)
            free(out[real][k]);
    }
    for (int k = 0; k <= PARTS; k++)
        free(given[k]);
    ad_free(t);
}
