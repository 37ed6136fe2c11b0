/* test_order.c - long stretches of single numbers: what has the same operation comes together, bits stay. */
/* SPDX-License-Identifier: MIT */
#define AD_NO_SUGAR
#include "../benchmarks/functions.h"
#include "failalloc.h"
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>

enum { MOST = 6 * 40 };

/* H of n bodies or the chain of n sites with its gradient, values of x set. */
static int record(ad_tape *t, int which, int n, ad_var *x, ad_var out[2], double v[MOST])
{
    int size = which ? 2 * n : 6 * n;
    *x = ad_input(t, "x", 1, size);
    for (int i = 0; i < size; i++)
        v[i] = sin(i * i + 1.0);
    ad_set(*x, 1, v);
    out[0] = which ? record_chain(n, *x) : record_bodies(n, *x);
    out[1] = ad_grad(out[0], *x);
    return size;
}

Test(order, sorted_programs_have_the_bits_of_their_nodes)
{
    static const int sizes[][2] = {{0, 2}, {0, 3}, {0, 8}, {0, 25}, {1, 3}, {1, 40}, {1, 100}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        ad_tape *t = ad_new();
        ad_var x, out[2];
        double v[MOST], got[2][MOST];
        int n = record(t, sizes[k][0], sizes[k][1], &x, out, v);
        ad_program *p = ad_compile(t, 1, &x, 2, out, NULL);
        ad_work *w = ad_work_new(p, NULL);
        cr_assert(w, "%s", ad_message(t));
        cr_assert_eq(ad_run(w, 1, (const void *[]){v}, (void *[]){got[0], got[1]}), AD_OK);
        cr_assert_eq(got[0][0], ad_scalar(out[0]));
        cr_assert_eq(memcmp(got[1], ad_value(out[1]), (size_t)n * sizeof(double)), 0, "case %zu", k);
        ad_work_free(w);
        ad_program_free(p);
        ad_free(t);
    }
}

/* An operation and a count once, then indices: at most 12 bytes for each number that is computed. */
Test(order, code_of_a_long_run_takes_at_most_12_bytes_a_number)
{
    ad_tape *t = ad_new();
    ad_var x, out[2];
    double v[MOST];
    record(t, 0, 40, &x, out, v);
    ad_program *p = ad_compile(t, 1, &x, 2, out, NULL);
    cr_assert(p, "%s", ad_message(t));
    long groups = 0, tuples = 0;
    const int32_t *c = p->code;
    for (; *c != OP_INPUT; groups++) {
        int size = 1 + (*c == OP_STOP ? 1 : *c == OP_where ? 3 : ad_ops[*c].arity);
        tuples += c[1];
        c += 2 + size * c[1];
    }
    cr_assert(tuples > 15000 && tuples > 20 * groups, "%ld numbers in %ld groups", tuples, groups);
    cr_assert_leq((c - p->code) * (long)sizeof *c, 12 * tuples);
    ad_program_free(p);
    ad_free(t);
}

Test(order, every_allocation_may_fail)
{
    for (long k = 1;; k++) {
        ad_tape *t = ad_new();
        ad_var x, out[2];
        double v[MOST];
        record(t, 0, 4, &x, out, v);
        failalloc_arm(k, 1);
        ad_program *p = ad_compile(t, 1, &x, 2, out, NULL);
        int made = p != NULL;
        ad_program_free(p);
        long asked = failalloc_disarm();
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", k);
        cr_assert(made ? asked < k : ad_status(t) == AD_ENOMEM, "allocation %ld", k);
        ad_free(t);
        if (asked < k)
            break;
    }
}
