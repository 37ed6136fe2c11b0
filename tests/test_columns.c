/* test_columns.c - programs of a few columns, which are compiled column by column, have the bits of their nodes one by one. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 7, WIDEST = 8, NODES = 40, OUTPUTS = 3 };

static unsigned next(unsigned *s, int n) { return ((*s = *s * 1664525u + 1013904223u) >> 8) % (unsigned)n; }

/* A value made of those before it, by an operation that columns can be taken apart for; now and then a signed zero. */
static ad_var made(unsigned *s, int n, const ad_var v[])
{
    ad_var x = v[next(s, n)], y = v[next(s, n)];
    int c = ad_cols(x), index[WIDEST];
    for (int i = 0; i < WIDEST; i++)
        index[i] = (int)next(s, c);
    switch (next(s, 9)) {
    case 0:
        return ad_cols_of(x, (int)next(s, c), 1);
    case 1:
        return c < WIDEST ? ad_pad(x, 0, 0, (int)next(s, 2), 1 - (int)next(s, 2)) : ad_neg(x);
    case 2:
        return c + ad_cols(y) <= WIDEST && ad_rows(x) == ad_rows(y) ? ad_concat_cols(2, (ad_var[]){x, y})
                                                                    : ad_tanh(x);
    case 3:
        return ad_gather_cols(x, 1 + (int)next(s, 4), index);
    case 4:
        return ad_scatter_cols(x, c, index);
    case 5:
        return ad_sum_cols(x);
    case 6:
        return ad_cols(y) == c || c == 1 || ad_cols(y) == 1 ? ad_mul(x, y) : ad_square(x);
    case 7:
        return ad_cols(y) == c || c == 1 || ad_cols(y) == 1 ? ad_sub(ad_mul(0.5, x), y) : ad_mul(0.0, x);
    default:
        return ad_add_n(5, (ad_var[]){x, x, ad_cols_of(x, 0, 1), x, x});
    }
}

Test(columns, programs_of_few_columns_have_the_bits_of_their_nodes)
{
    int runs = getenv("NOETHER_TEST_SHORT") ? 20 : 400, fewer = 0;
    for (int run = 0; run < runs; run++)
        for (int alone = 0; alone < 2; alone++) {
            unsigned s = (unsigned)run;
            ad_tape *t = ad_new();
            ad_var v[NODES + 3];
            int most = alone ? 4 : MOST, n = 0, c = 2 + (int)next(&s, most - 1);
            double row[WIDEST] = {0.5, -0.0, 1, -2, 0, 3, -0.25, 1};
            v[n++] = ad_input(t, "x", alone ? 1 : AD_BATCH, c);
            v[n++] = ad_input(t, "h", 1, 1);
            v[n++] = ad_const(t, 1, c, row);
            while (n < NODES) {
                ad_var y = made(&s, n, v);
                v[n++] = ad_cols(y) <= (alone ? 4 : WIDEST) ? y : ad_sum_cols(y);
            }
            cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
            ad_var in[2] = {v[0], v[1]}, out[OUTPUTS];
            for (int j = 0; j < OUTPUTS; j++)
                out[j] = v[NODES - 1 - 3 * j];
            ad_program *p[2] = {ad_compile(t, 2, in, OUTPUTS, out, NULL),
                                ad_compile(t, 2, in, OUTPUTS, out, &(ad_options){.opt = AD_OPT_NONE})};
            ad_report r[2];
            for (int batch = 1; batch <= (alone ? 1 : 19); batch += 9) {
                double x[19 * MOST], h = -1.5, got[2][OUTPUTS][19 * WIDEST];
                memset(got, 0, sizeof got);
                for (int i = 0; i < batch * c; i++)
                    x[i] = next(&s, 5) ? (double)next(&s, 1000) / 500 - 1 : next(&s, 2) ? 0.0 : -0.0;
                for (int k = 0; k < 2; k++) {
                    cr_assert(p[k]);
                    ad_program_report(p[k], &r[k]);
                    ad_work *w = ad_work_new(p[k], NULL);
                    cr_assert_eq(ad_run(w, batch, (const void *[]){x, &h},
                                        (void *[]){got[k][0], got[k][1], got[k][2]}),
                                 AD_OK);
                    ad_work_free(w);
                }
                for (size_t i = 0; i < sizeof got[0] / sizeof(double);
                     i++) /* NaN has a sign that nothing promises */
                    cr_assert(!memcmp(&((double *)got[0])[i], &((double *)got[1])[i], sizeof(double)) ||
                                  (((double *)got[0])[i] != ((double *)got[0])[i] &&
                                   ((double *)got[1])[i] != ((double *)got[1])[i]),
                              "run %d, batch %d, number %zu: %a, %a", run, batch, i, ((double *)got[0])[i],
                              ((double *)got[1])[i]);
            }
            fewer += r[0].scalar_instructions > r[0].instructions / 2;
            ad_program_free(p[0]);
            ad_program_free(p[1]);
            ad_free(t);
        }
    cr_assert(fewer > runs / 2, "%d programs are scalar code", fewer);
}

/* The derivative of q^2/2 + p^2/2 is one product with nothing: 0.5 (2 q) is q, and the parts are put side by side. */
Test(columns, the_derivative_of_a_half_square_is_the_value)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2), q = ad_cols_of(x, 0, 1), p = ad_cols_of(x, 1, 1),
           H = ad_expr(t, "p^2/2 + q^2/2", q, p), g = ad_grad(H, x);
    ad_program *c = ad_compile(t, 1, &x, 1, &g, NULL);
    ad_report r;
    ad_program_report(c, &r);
    cr_assert_leq(r.instructions, 1);
    double in[2] = {-0.0, 3}, out[2];
    ad_work *w = ad_work_new(c, NULL);
    cr_assert_eq(ad_run(w, 1, (const void *[]){in}, (void *[]){out}), AD_OK);
    cr_assert(!memcmp(in, out, sizeof in));
    ad_work_free(w);
    ad_program_free(c);
    ad_free(t);
}

Test(columns, no_allocation_that_fails_leaks)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", AD_BATCH, 6), y = ad_add_n(5, (ad_var[]){x, ad_tanh(x), x, x, x});
    for (int k = 0; k < 40; k++)
        y = ad_mul(y, ad_gather_cols(y, 6, (int[]){5, 0, 1, 2, 3, 4}));
    for (long n = 1;; n++) {
        failalloc_arm(n, 1);
        ad_program *p = ad_compile(t, 1, &x, 1, &y, NULL);
        ad_program_free(p);
        long asked = failalloc_disarm();
        if (asked < n)
            break;
        cr_assert(!p && ad_status(t) == AD_ENOMEM, "allocation %ld", n);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
        ad_clear(t);
    }
    ad_free(t);
}
