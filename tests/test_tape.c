/* test_tape.c - handles, leaves, errors, marks: what the tape promises before any derivative.
 *
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

Test(tape, a_shape_error_names_operation_and_shapes)
{
    ad_tape *t = ad_new();
    ad_var a = ad_input(t, "a", 64, 2), b = ad_input(t, "b", 3, 32);
    ad_var c = ad_matmul(a, b);
    cr_assert(ad_is_void(c));
    cr_assert_eq(ad_status(t), AD_ESHAPE);
    cr_assert_str_eq(ad_message(t), "ad_matmul: [64,2] x [3,32]: inner sizes differ");
    cr_assert(ad_is_void(ad_sin(ad_add(c, a)))); /* void passes through */
    cr_assert_str_eq(ad_message(t), "ad_matmul: [64,2] x [3,32]: inner sizes differ");
    ad_clear(t);
    cr_assert_eq(ad_status(t), AD_OK);
    cr_assert(!ad_is_void(ad_sin(a)));
    ad_free(t);
}

Test(tape, stale_handles_and_foreign_tapes_are_errors)
{
    ad_tape *t = ad_new(), *u = ad_new();
    ad_var x = ad_input(t, "x", 1, 1);
    ad_mark m = ad_here(t);
    ad_var y = ad_sin(x);
    ad_rewind(t, m);
    cr_assert(ad_is_void(y));
    cr_assert(ad_is_void(ad_add(x, y)));
    cr_assert_eq(ad_status(t), AD_ESTALE);
    ad_clear(t);
    ad_var z = ad_cos(x); /* reuses the id of y */
    cr_assert(ad_is_void(y));
    cr_assert(!ad_is_void(z));
    cr_assert(!ad_is_void(x));
    ad_mark inner = ad_here(t);
    ad_rewind(t, m);
    ad_rewind(t, inner);
    cr_assert_eq(ad_status(t), AD_ESTALE);
    ad_clear(t);
    ad_var w = ad_input(u, "w", 1, 1);
    cr_assert(ad_is_void(ad_mul(x, w)));
    cr_assert_eq(ad_status(t), AD_ETAPE);
    ad_free(t);
    ad_free(u);
}

Test(tape, numbers_need_no_tape)
{
    ad_var v = ad_add(2, ad_mul(3, ad_num(4)));
    cr_assert(ad_is_number(v));
    cr_assert_eq(v.value, 14);
    cr_assert_eq(ad_scalar(ad_sin(ad_num(0.0))), 0);
}

Test(tape, equal_nodes_are_shared_and_inputs_are_not)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1);
    ad_var a = ad_sin(x), b = ad_sin(x);
    cr_assert_eq(a.id, b.id);
    int32_t before = ad_nodes(t);
    ad_add(x, 0.1);
    ad_add(x, 0.1);
    cr_assert_eq(ad_nodes(t), before + 2);
    cr_assert(ad_is_void(ad_input(t, "x", 1, 1)));
    cr_assert_eq(ad_status(t), AD_ENAME);
    ad_free(t);
}

Test(tape, literal_zeros_and_ones_fold_with_the_right_shape)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", AD_BATCH, 3);
    cr_assert_eq(ad_add(x, 0).id, x.id);
    cr_assert_eq(ad_mul(1, x).id, x.id);
    ad_var z = ad_mul(x, 0);
    cr_assert_eq(ad_rows(z), AD_BATCH);
    cr_assert_eq(ad_cols(z), 3);
    cr_assert_eq(ad_neg(ad_neg(x)).id, x.id);
    ad_free(t);
}

Test(tape, an_unbound_input_is_one_clear_error)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "angle", 1, 1);
    cr_assert(isnan(ad_scalar(ad_sin(x))));
    cr_assert_eq(ad_status(t), AD_EUNBOUND);
    cr_assert(strstr(ad_message(t), "\"angle\""));
    ad_free(t);
}

/* A constant is its bits: no NaN or infinity is an error, none is taken for another number, and all ways agree. */
Test(tape, constants_that_are_not_numbers_are_values_like_others)
{
    ad_tape *t = ad_new();
    double v[4] = {NAN, INFINITY, -INFINITY, -0.0}, x = 2, got[4];
    ad_var c = ad_const(t, 1, 4, v);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++)
            cr_assert_eq(ad_fill(t, 1, 2, v[i]).id == ad_fill(t, 1, 2, v[k]).id, i == k, "%d %d", i, k);
    cr_assert_neq(ad_fill(t, 1, 2, 0.0).id, ad_fill(t, 1, 2, -0.0).id);
    ad_var in = ad_input(t, "x", 1, 1), y = ad_mul(c, in), n = ad_mul(ad_num(NAN), in),
           z = ad_add(in, ad_num(NAN)), w = ad_where(ad_lt(in, 0.0), ad_num(NAN), in);
    ad_set(in, 1, &x);
    cr_assert(isnan(ad_scalar(n)) && isnan(ad_scalar(z)) && ad_scalar(w) == 2);
    cr_assert(isnan(ad_scalar(ad_grad(n, in))) && ad_scalar(ad_grad(w, in)) == 1);
    for (int opt = AD_OPT_FULL; opt <= AD_OPT_NONE; opt++) {
        ad_program *p = ad_compile(t, 1, &in, 1, &y, &(ad_options){.opt = opt});
        cr_assert(p, "%s", ad_message(t));
        ad_work *run = ad_work_new(p, NULL);
        cr_assert_eq(ad_run(run, 1, (const void *[]){&x}, (void *[]){got}), AD_OK);
        cr_assert(isnan(got[0]) && got[1] == INFINITY && got[2] == -INFINITY && got[3] == 0 &&
                  signbit(got[3]));
        ad_work_free(run);
        ad_program_free(p);
    }
    cr_assert_eq(ad_status(t), AD_OK);
    ad_free(t);
}

Test(tape, a_null_tape_gives_void_values)
{
    ad_var x = ad_input(NULL, "x", 1, 1);
    cr_assert(ad_is_void(x));
    cr_assert(ad_is_void(ad_sin(x)));
    cr_assert(ad_is_void(ad_sum(ad_matmul(x, x))));
    cr_assert_eq(ad_status(NULL), AD_ENOMEM);
    ad_free(NULL);
}

Test(tape, batches_of_different_size_do_not_mix)
{
    ad_tape *t = ad_new();
    double v[6] = {1, 2, 3, 4, 5, 6};
    ad_var x = ad_input(t, "x", AD_BATCH, 1), y = ad_input(t, "y", AD_BATCH, 1);
    ad_set(x, 6, v);
    ad_set(y, 5, v);
    cr_assert_null(ad_value(ad_add(x, y)));
    cr_assert_eq(ad_status(t), AD_ESHAPE);
    ad_clear(t);
    ad_set(y, 6, v);
    cr_assert_eq(ad_scalar(ad_sum(ad_mul(x, y))), 91);
    cr_assert_eq(ad_scalar(ad_mean(x)), 3.5);
    ad_free(t);
}

Test(tape, a_constant_with_a_batch_of_rows_follows_the_batch_it_meets)
{
    ad_tape *t = ad_new();
    double v[6] = {1, 2, 3, 4, 5, 6};
    ad_var ones = ad_fill(t, AD_BATCH, 1, 1), n = ad_count(ones), x = ad_input(t, "x", AD_BATCH, 1);
    ad_var y = ad_input(t, "y", AD_BATCH, 1);
    cr_assert_eq(ad_scalar(n), 1); /* no input has a batch yet */
    ad_set(x, 6, v);
    cr_assert_eq(ad_scalar(n), 6);
    cr_assert_eq(ad_value(ones)[5], 1);
    cr_assert_eq(ad_scalar(ad_dot(x, ones)), 21);
    ad_set(y, 3, v);
    cr_assert_eq(ad_scalar(ad_mul(n, ad_dot(y, ones))), 18);
    cr_assert_eq(ad_scalar(ad_mul(n, ad_dot(x, ones))), 126);
    ad_free(t);
}

Test(tape, inputs_are_counted_and_memory_grows_with_what_is_recorded)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = ad_input(t, "y", 2, 2);
    cr_assert_eq(ad_inputs(t), 2);
    cr_assert(ad_input_at(t, 0).id == x.id && ad_input_at(t, 1).id == y.id);
    cr_assert(ad_is_void(ad_input_at(t, 2)));
    cr_assert_eq(ad_status(t), AD_EARG);
    ad_clear(t);
    size_t before = ad_bytes(t);
    for (int i = 0; i < 10000; i++)
        x = ad_sin(x);
    cr_assert_geq(ad_bytes(t), before + 8000 * 28); /* a node is 28 bytes, a chunk 4,096 nodes */
    cr_assert_eq(ad_bytes(NULL), 0);
    ad_free(t);
}

/* What is allocated, not what the tape says of itself; sums of two numbers, so operands are stored, too. */
Test(tape, a_recorded_scalar_node_costs_at_most_32_bytes)
{
    enum { NODES = 1 << 18 };
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = x;
    failalloc_arm(0, 0);
    size_t before = ad_bytes(t);
    int32_t first = ad_nodes(t);
    for (int i = 0; i < NODES / 4; i++)
        y = ad_sin(ad_mul(ad_add(y, x), ad_sub(y, x)));
    int32_t n = ad_nodes(t) - first;
    failalloc_disarm();
    cr_assert_eq(n, NODES, "%d nodes", n);
    cr_assert_leq(ad_bytes(t) - before, (size_t)32 * NODES);
    cr_assert_leq(failalloc_peak(), 32L * NODES, "%ld bytes", failalloc_peak());
    ad_free(t);
}

Test(tape, names_of_many_inputs_are_found_and_free_again_after_a_rewind)
{
    enum { MANY = 20000 };
    ad_tape *t = ad_new();
    ad_mark half = ad_here(t);
    char name[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "x%d", i);
        if (i == MANY / 2)
            half = ad_here(t);
        ad_input(t, name, 1, 1);
    }
    cr_assert_eq(ad_status(t), AD_OK);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof name, "x%d", i);
            ad_var x = ad_find(t, name);
            cr_assert_eq(ad_is_void(x), again && i >= MANY / 2);
            cr_assert(ad_is_void(x) || !strcmp(ad_name(x), name));
        }
        ad_rewind(t, half);
    }
    ad_input(t, "x7", 1, 1);
    cr_assert_eq(ad_status(t), AD_ENAME);
    ad_clear(t);
    ad_input(t, "x12345", 1, 1);
    cr_assert_eq(ad_status(t), AD_OK);
    cr_assert(!ad_is_void(ad_find(t, "x12345")) && ad_is_void(ad_find(t, "x12346")));
    ad_free(t);
}
