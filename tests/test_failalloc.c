/* test_failalloc.c - the tool that the tests of error paths stand on. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Two blocks and a growth; 0 when all were had. The optimiser must not see through the allocations. */
static int work(void)
{
    char *volatile a = malloc(10), *volatile b = a ? strdup("b") : NULL,
                   *volatile c = b ? realloc(b, 100) : NULL;
    free(a);
    free(c ? c : b);
    return c ? 0 : -1;
}

Test(failalloc, each_allocation_fails_once_and_nothing_leaks)
{
    long n = 1;
    for (;; n++) {
        failalloc_arm(n, n % 2 == 0);
        int code = work();
        if (failalloc_disarm() < n) {
            cr_assert_eq(code, 0);
            break;
        }
        cr_assert_eq(code, -1, "allocation %ld did not fail", n);
        cr_assert_eq(failalloc_live(), 0);
    }
    cr_assert_eq(n, 4);
}

Test(failalloc, a_leak_is_counted)
{
    failalloc_arm(0, 0);
    void *volatile p = malloc(1);
    cr_assert_eq(failalloc_disarm(), 1);
    cr_assert_eq(failalloc_live(), 1);
    free(p);
}

Test(failalloc, the_peak_is_of_bytes_in_use_at_one_time)
{
    failalloc_arm(0, 0);
    for (int k = 0; k < 5; k++) {
        void *volatile p = malloc(3000);
        p = realloc(p, 10000);
        free(p);
    }
    failalloc_disarm();
    cr_assert_geq(failalloc_peak(), 10000);
    cr_assert_leq(failalloc_peak(), 20000);
}
