/* test_check.c - ad_check agrees where the derivatives are right, and names the element and the order where not.
 *
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tools that emulate long double in double know differences to 1e-11 only. */
static double limit(void) { return getenv("NOETHER_TEST_SHORT") ? 1e-9 : 1e-14; }

static void bind(ad_var x, int rows, double phase)
{
    double v[1024];
    for (int i = 0; i < rows * ad_cols(x); i++)
        v[i] = 0.3 + sin(phase + 2.7 * i);
    ad_set(x, rows, v);
}

static ad_var scalar_text(ad_tape *t, ad_var x[])
{
    ad_var q = x[0] = ad_input(t, "q", 1, 1), p = x[1] = ad_input(t, "p", 1, 1);
    bind(q, 1, 1);
    bind(p, 1, 2);
    return ad_expr(t, "p^2/2 + 1 - cos(q) + 0.1*q*p*exp(-q^2)", q, p);
}
static ad_var hnn_loss(ad_tape *t, ad_var x[])
{
    enum { B = 3, D = 2, W = 4 };
    x[0] = ad_input(t, "z", AD_BATCH, D);
    x[1] = ad_input(t, "W1", D, W);
    x[2] = ad_input(t, "b", 1, W);
    x[3] = ad_input(t, "w2", W, 1);
    bind(x[0], B, 0);
    bind(x[1], D, 1);
    bind(x[2], 1, 2);
    bind(x[3], W, 3);
    ad_var E = ad_matmul(ad_tanh(ad_add(ad_matmul(x[0], x[1]), x[2])), x[3]);
    return ad_mean(ad_square(ad_sub(ad_grad(ad_sum(E), x[0]), 0.2)));
}
static ad_var dense(ad_tape *t, ad_var x[])
{
    x[0] = ad_input(t, "A", 3, 3);
    bind(x[0], 3, 0.7);
    ad_var S = ad_add(ad_matmul_nt(x[0], x[0]), ad_mul(3, ad_eye(t, 3)));
    return ad_add(ad_logdet(S), ad_sum(ad_solve(ad_cholesky(S), ad_norm(x[0]))));
}
static ad_var other_units(ad_tape *t, ad_var x[])
{ /* inputs of 1e-9 and 1e12: steps follow the size of the input */
    x[0] = ad_input(t, "radius", 1, 2);
    x[1] = ad_input(t, "energy", 1, 1);
    ad_set(x[0], 1, (double[]){3e-9, 4e-9});
    ad_set(x[1], 1, (double[]){2e12});
    return ad_mul(ad_log(x[1]), ad_norm(x[0]));
}
static ad_var with_other_inputs(ad_tape *t, ad_var x[])
{ /* m is not differentiated, but needed */
    ad_var m = ad_input(t, "m", 1, 1), unused = ad_input(t, "unused", 4, 4);
    (void)unused;
    x[0] = ad_input(t, "p", 2, 1);
    bind(m, 1, 0);
    bind(x[0], 2, 5);
    return ad_div(ad_sum(ad_square(x[0])), ad_mul(2, m));
}
static ad_var cancelling(ad_tape *t, ad_var x[])
{ /* all derivatives are 0 but for rounding */
    x[0] = ad_input(t, "x", 1, 3);
    bind(x[0], 1, 1);
    return ad_sum(ad_add(ad_square(ad_sin(x[0])), ad_square(ad_cos(x[0]))));
}
static ad_var many(ad_tape *t, ad_var x[])
{
    x[0] = ad_input(t, "x", 20, 30);
    bind(x[0], 20, 0.1);
    return ad_sum(ad_logsumexp(x[0]));
}

static const struct {
    const char *name;
    ad_var (*f)(ad_tape *, ad_var[]);
    int nx;
} right[] = {
    {"scalar text", scalar_text, 2},
    {"HNN loss on a batch", hnn_loss, 4},
    {"dense", dense, 1},
    {"other units", other_units, 2},
    {"other inputs", with_other_inputs, 1},
    {"cancelling", cancelling, 1},
    {"many", many, 1},
};

Test(check, right_derivatives_agree_to_order_3_and_the_tape_is_as_before)
{
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        ad_tape *t = ad_new();
        ad_var x[4], y = right[i].f(t, x);
        double before = ad_scalar(y);
        int32_t nodes = ad_nodes(t);
        int inputs = ad_inputs(t);
        char *text;
        double e = ad_check(y, right[i].nx, x, 3, &text);
        cr_assert(e >= 0 && e <= limit(), "%s: %g %s\n%s", right[i].name, e, ad_message(t), text);
        cr_assert(strstr(text, "the derivatives agree"), "%s\n%s", right[i].name, text);
        for (int j = 0; j < right[i].nx; j++)
            for (int order = 1; order <= 3; order++) {
                static const char *const what[] = {"gradient, ", "Hessian v, ", "third v v, "};
                char row[64];
                snprintf(row, sizeof row, "%s%s ", what[order - 1], ad_name(x[j]));
                cr_assert(strstr(text, row), "%s is not in\n%s", row, text);
            }
        free(text);
        cr_assert(ad_nodes(t) == nodes && ad_inputs(t) == inputs && ad_status(t) == AD_OK, "%s",
                  right[i].name);
        cr_assert_eq(ad_scalar(y), before);
        ad_free(t);
    }
}

Test(check, a_wrong_rule_is_found_in_the_order_where_it_is_wrong)
{
    static const char *const what[] = {"gradient, x", "Hessian v, x", "third v v, x"};
    for (int wrong = 1; wrong <= 3; wrong++)
        for (int order = 1; order <= 3; order++) {
            ad_tape *t = ad_new();
            ad_var x = ad_input(t, "x", 1, 1), miss = ad_sub(x, ad_stop(x)), power = miss;
            bind(x, 1, 0.4);
            for (int k = 1; k < wrong; k++)
                power = ad_mul(power, miss);
            char *text;
            double e = ad_check(ad_add(ad_exp(x), power), 1, &x, order, &text);
            if (order < wrong) {
                cr_assert(e <= limit(), "%s", text);
            } else {
                cr_assert(e > 0.1, "%s", text);
                cr_assert(strstr(strstr(text, "DISAGREE"), what[wrong - 1]), "%s", text);
            }
            free(text);
            ad_free(t);
        }
}

Test(check, the_worst_element_is_named)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), W = ad_input(t, "W", 3, 4), in[2] = {x, W};
    bind(x, 1, 0.5);
    bind(W, 3, 1);
    ad_var one = ad_at(W, 2, 1), y = ad_add(ad_mul(x, ad_sum(ad_square(W))), ad_mul(ad_stop(one), one));
    char *text;
    cr_assert_gt(ad_check(y, 2, in, 1, &text), 1e-3);
    cr_assert(strstr(text, "DISAGREE") && strstr(text, "gradient, W at W[2,1]\n"), "%s", text);
    free(text);
    ad_var big = ad_input(t, "big", 30, 30); /* an element that is not looked at singly */
    bind(big, 30, 1);
    one = ad_at(big, 17, 2);
    y = ad_add(ad_sum(ad_square(big)), ad_mul(ad_stop(one), one));
    cr_assert_gt(ad_check(y, 1, &big, 1, &text), 1e-4);
    cr_assert(strstr(text, "DISAGREE") && strstr(text, "gradient, all at along v\n"), "%s", text);
    free(text);
    ad_free(t);
}

Test(check, at_a_kink_or_the_end_of_a_domain_nothing_is_promised)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1);
    char *text;
    ad_set(x, 1, (double[]){0});
    ad_check(ad_mul(ad_abs(x), x), 1, &x, 3, &text);
    cr_assert(strstr(text, "undecided"), "%s", text);
    free(text);
    cr_assert(isinf(ad_check(ad_sqrt(x), 1, &x, 1, &text)));
    cr_assert(strstr(text, "DISAGREE"), "%s", text);
    free(text);
    ad_set(x, 1, (double[]){1e-4}); /* close to an end, far enough */
    cr_assert_leq(ad_check(ad_log(x), 1, &x, 3, NULL), limit());
    ad_free(t);
}

Test(check, a_bad_call_is_one_clear_error)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2), free_ = ad_input(t, "free", 1, 1), y, twice[2] = {x, x};
    bind(x, 1, 0);
    y = ad_sum(ad_sin(x));
    ad_var number = ad_num(2), inner = ad_sin(x);
    const struct {
        ad_var y;
        int nx;
        const ad_var *x;
        int order, status;
        const char *say;
    } rows[] = {
        {y, 1, &x, 0, AD_EARG, "ad_check: order 0; needs 1, 2 or 3"},
        {y, 1, &x, 4, AD_EARG, "ad_check: order 4; needs 1, 2 or 3"},
        {x, 1, &x, 1, AD_ESHAPE, "ad_check: y is [1,2]; needs [1,1] on the tape"},
        {number, 1, &x, 1, AD_ESHAPE, "ad_check: y is a number; needs [1,1] on the tape"},
        {y, 1, &inner, 1, AD_EARG, "ad_check: x 1 is sin; needs an input"},
        {y, 2, twice, 1, AD_EARG, "ad_check: input \"x\" is given twice"},
        {ad_mul(y, free_), 1, &x, 1, AD_EUNBOUND,
         "ad_value: input \"free\" has no value; give it one with ad_set"},
        {y, 1, &free_, 1, AD_EUNBOUND, "ad_value: input \"free\" has no value; give it one with ad_set"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t nodes = ad_nodes(t);
        char *text = (char *)&nodes;
        cr_assert(isnan(ad_check(rows[i].y, rows[i].nx, rows[i].x, rows[i].order, &text)), "%zu", i);
        cr_assert_null(text);
        cr_assert_eq(ad_status(t), rows[i].status, "%zu: %s", i, ad_message(t));
        cr_assert_str_eq(ad_message(t), rows[i].say);
        cr_assert_eq(ad_nodes(t), nodes, "%zu", i);
        ad_clear(t);
    }
    cr_assert(isnan(ad_check(y, 0, NULL, 1, NULL)));
    cr_assert(isnan(ad_check(y, 1, &number, 1, NULL)));
    ad_clear(t);
    cr_assert_leq(ad_check(y, 1, &x, 3, NULL), limit()); /* and all is usable */
    ad_free(t);
}

Test(check, every_allocation_may_fail)
{
    long step = getenv("NOETHER_TEST_SHORT") ? 17 : 1;
    for (long k = 1;; k += step) {
        failalloc_arm(k, 1);
        ad_tape *t = ad_new();
        ad_var x = ad_input(t, "x", AD_BATCH, 2), y = ad_sum(ad_exp(x));
        ad_set(x, 2, (double[]){1, 2, 3, 4});
        char *text;
        double e = ad_check(y, 1, &x, 2, &text);
        int status = ad_status(t);
        free(text);
        ad_free(t);
        long live = failalloc_live();
        if (failalloc_disarm() < k) {
            cr_assert(e <= limit() && status == AD_OK);
            break;
        }
        cr_assert(isnan(e) && status == AD_ENOMEM, "allocation %ld: %g, status %d", k, e, status);
        cr_assert_eq(live, 0, "allocation %ld: %ld blocks left", k, live);
    }
}
