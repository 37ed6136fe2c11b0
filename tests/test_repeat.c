/* test_repeat.c - programs whose results are fed back: as many ad_run, by replay and as emitted C. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE = 3, RUNS = 9, MOST = 19 };

/* (h; y, k; u) -> (y + h f(y, u), k + 1, |y|^2): y and k are fed, u and the square move. */
typedef struct {
    ad_tape *t;
    ad_var in[4], out[3];
} step;
static step step_of(int rows)
{
    step s = {.t = ad_new()};
    ad_var h = s.in[0] = ad_input(s.t, "h", 1, 1), y = s.in[1] = ad_input(s.t, "y", rows, STATE),
           k = s.in[2] = ad_input(s.t, "k", 1, 1), u = s.in[3] = ad_input(s.t, "u", 1, STATE);
    s.out[0] = ad_row_dot(y, y);
    s.out[1] = ad_add(y, ad_mul(h, ad_sin(ad_add(ad_gather_cols(y, STATE, (int[]){2, 0, 1}), u))));
    s.out[2] = ad_add(k, 1);
    return s;
}
static const int feed[] = {-1, 1, 2};

Test(repeat, is_as_many_runs)
{
    for (int rows = -1; rows <= 1; rows += 2)
        for (int native = 0; native < 2; native++)
            for (int backward = 0; backward < 2; backward++) {
                step s = step_of(rows);
                ad_program *p = ad_compile(s.t, 4, s.in, 3, s.out, &(ad_options){.feed = feed}), *q = p;
                cr_assert(p, "%s", ad_message(s.t));
                if (native)
                    q = ad_native(p, NULL, NULL);
                ad_work *w = ad_work_new(q, NULL);
                for (int batch = 1; batch <= (rows < 0 ? MOST : 1); batch += 6) {
                    double h = 0.1, u[RUNS * STATE], k[2][2] = {{0}}, y[2][MOST * STATE], z[2][MOST * STATE],
                           square[2][RUNS * MOST] = {{0}};
                    for (int i = 0; i < RUNS * STATE; i++)
                        u[i] = cos(i);
                    for (int i = 0; i < batch * STATE; i++)
                        y[0][i] = y[1][i] = sin(i);
                    int at = backward ? RUNS - 1 : 0, by = backward ? -1 : 1;
                    int64_t in_step[] = {0, INT64_MAX / 2, 0,
                                         by * STATE} /* y is fed: its step is not used */,
                            out_step[] = {batch, 0, 0};
                    const double *from[] = {&h, y[0], &k[0][0], u + at * STATE};
                    cr_assert_eq(ad_repeat(w, batch, RUNS, in_step, out_step, (const void *const *)from,
                                           (void *[]){square[0], z[0], &k[0][1]}),
                                 AD_OK, "%s", ad_work_message(w));
                    for (int i = 0; i < RUNS; i++) {
                        cr_assert_eq(ad_run(w, batch,
                                            (const void *[]){&h, y[1], &k[1][0], u + (at + by * i) * STATE},
                                            (void *[]){square[1] + i * batch, z[1], &k[1][1]}),
                                     AD_OK);
                        memcpy(y[1], z[1], sizeof(double) * (size_t)(batch * STATE));
                        k[1][0] = k[1][1];
                    }
                    cr_assert_eq(k[0][1], RUNS);
                    cr_assert(!memcmp(z[0], z[1], sizeof(double) * (size_t)(batch * STATE)));
                    cr_assert(!memcmp(square[0], square[1], sizeof square[0]));
                    /* nothing moves: the last one stays */
                    cr_assert_eq(ad_repeat(w, batch, 2, NULL, NULL, (const void *const *)from,
                                           (void *[]){square[0], z[0], &k[0][1]}),
                                 AD_OK);
                    cr_assert_eq(k[0][1], 2);
                }
                ad_work_free(w);
                if (native)
                    ad_program_free(q);
                ad_program_free(p);
                ad_free(s.t);
            }
}

Test(repeat, refuses_what_does_not_fit_and_says_which_run_failed)
{
    step s = step_of(1);
    static const int wrong[][3] = {{1, -1, -1}, {-1, 1, 1}, {-1, 4, -1}, {-2, -1, -1}, {-1, INT_MAX, -1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_null(ad_compile(s.t, 4, s.in, 3, s.out, &(ad_options){.feed = wrong[i]}));
        cr_expect_eq(ad_status(s.t), AD_EARG);
        cr_expect(strstr(ad_message(s.t), "is fed to input"), "%s", ad_message(s.t));
        cr_expect_null(strstr(ad_message(s.t), "input -2147483648"), "%s", ad_message(s.t));
        ad_clear(s.t);
    }
    ad_program *p[] = {ad_compile(s.t, 4, s.in, 3, s.out, NULL),
                       ad_compile(s.t, 4, s.in, 3, s.out, &(ad_options){.feed = feed})};
    double v[STATE] = {0}, to[3][STATE];
    const void *in[] = {v, v, v, v}, *none[] = {v, NULL, v, v};
    void *out[] = {to[0], to[1], to[2]};
    for (int k = 0; k < 2; k++) {
        ad_work *w = ad_work_new(p[k], NULL);
        cr_expect_eq(ad_repeat(w, 1, k ? 0 : 1, NULL, NULL, in, out), AD_EARG);
        cr_expect(strstr(ad_work_message(w), k ? "0 runs" : "without feed"), "%s", ad_work_message(w));
        cr_expect_eq(ad_repeat(w, 1, 1, NULL, NULL, none, out), AD_EUNBOUND);
        ad_work_free(w);
        ad_program_free(p[k]);
    }
    cr_expect_eq(ad_repeat(NULL, 1, 1, NULL, NULL, in, out), AD_ENOMEM);
    ad_free(s.t);

    ad_tape *t = ad_new(); /* a logarithm of a determinant that becomes singular in the second run */
    ad_var x = ad_input(t, "x", 1, 4), y = ad_sub(x, 1.0), d = ad_row_logdet(y, 2), both[] = {y, d};
    ad_program *q = ad_compile(t, 1, &x, 2, both, &(ad_options){.feed = (int[]){0, -1}});
    ad_work *w = ad_work_new(q, NULL);
    double a[4] = {4, 0, 0, 4}, e[4], det;
    cr_expect_eq(ad_repeat(w, 1, 9, NULL, NULL, (const void *[]){a}, (void *[]){e, &det}), AD_EDOMAIN);
    cr_expect(strstr(ad_work_message(w), "ad_repeat: run 2: "), "%s", ad_work_message(w));
    ad_work_free(w);
    ad_program_free(q);
    ad_free(t);
}

Test(repeat, no_allocation_that_fails_leaks)
{
    step s = step_of(AD_BATCH);
    for (long n = 1;; n++) {
        failalloc_arm(n, 1);
        ad_program *p = ad_compile(s.t, 4, s.in, 3, s.out, &(ad_options){.feed = feed});
        ad_work *w = p ? ad_work_new(p, NULL) : NULL;
        double v[4 * STATE] = {0}, to[3][4 * STATE];
        int status =
            w ? ad_repeat(w, 4, 2, NULL, NULL, (const void *[]){v, v, v, v}, (void *[]){to[0], to[1], to[2]})
              : AD_ENOMEM;
        ad_work_free(w);
        ad_program_free(p);
        long asked = failalloc_disarm();
        if (asked < n) {
            cr_assert_eq(status, AD_OK);
            break;
        }
        cr_assert_eq(status, AD_ENOMEM, "allocation %ld", n);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
        ad_clear(s.t);
    }
    ad_free(s.t);
}
