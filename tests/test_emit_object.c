/* test_emit_object.c - calls, loops and roots in emitted C against replay, bit for bit, with their derivatives. */
/* SPDX-License-Identifier: MIT */
#include "emit_test.h"

#include <stdbool.h>

static int quick(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

#define N(x) ad_num(x)

/* What one step of a loop does to: shared w [2,2], c [1,1]; carries z [B,2], s [1,1]; steps u [B,1], k [1,2]. */
enum { IN = 6, OUT = 4 };
static const int rows_of[IN] = {2, 1, AD_BATCH, 1, AD_BATCH, 1}, cols_of[IN] = {2, 1, 2, 1, 1, 2};
static const char *const name_of[IN] = {"w", "c", "z", "s", "u", "k"};

static void step(const ad_var in[IN], ad_var out[OUT])
{
    ad_var w = in[0], c = in[1], z = in[2], s = in[3], u = in[4], k = in[5];
    ad_var f = ad_tanh(ad_add(ad_matmul(z, w), ad_mul(u, ad_cols_of(k, 0, 1))));
    out[0] = ad_add(z, ad_mul(ad_mul(c, N(.4)), ad_mul(f, ad_cos(s))));
    out[1] = ad_add(ad_mul(s, N(.9)), ad_mean(ad_mul(out[0], ad_cols_of(k, 1, 1))));
    out[2] = ad_sum_cols(ad_square(ad_sub(out[0], u)));
    out[3] = ad_concat_cols(2, (ad_var[]){ad_mul(s, out[1]), s});
}

/* batch: of z and u, AD_BATCH or 1 */
static void step_inputs(ad_tape *t, ad_var in[IN], int64_t count, int batch)
{
    for (int i = 0; i < IN; i++)
        in[i] = ad_input(t, name_of[i], rows_of[i] < 0 ? batch : rows_of[i],
                         i < 4 ? cols_of[i] : cols_of[i] * (int)count);
}

static ad_func *step_func(void (*of)(const ad_var[], ad_var[]), int batch)
{
    ad_tape *t = ad_new();
    ad_var in[IN], out[OUT];
    step_inputs(t, in, 1, batch);
    of(in, out);
    ad_func *f = ad_func_new(IN, in, OUT, out);
    cr_assert(f, "%s", ad_message(t));
    ad_free(t);
    return f;
}

static void loop(ad_tape *t, const ad_func *f, const ad_var in[IN], int64_t count, int64_t checkpoints,
                 ad_var out[OUT])
{
    ad_scan_spec s = {.f = f,
                      .count = count,
                      .nshared = 2,
                      .ncarry = 2,
                      .nstep = 2,
                      .ncollect = 2,
                      .shared = in,
                      .carry = in + 2,
                      .per_step = in + 4,
                      .carry_out = out,
                      .collected = out + 2,
                      .checkpoints = checkpoints};
    cr_assert_eq(ad_scan(t, &s), AD_OK, "%s", ad_message(t));
}

/* Results, the gradient, perhaps a product with the Hessian; how many. */
static int derivatives(const ad_var in[IN], const ad_var result[OUT], bool second, ad_var out[OUT + IN + 1])
{
    ad_var y = N(0);
    for (int k = 0; k < OUT; k++) {
        out[k] = result[k];
        y = ad_add(y, ad_sum(ad_sin(result[k])));
    }
    ad_grads(y, IN, in, out + OUT);
    if (second)
        out[OUT + IN] = ad_hvp(y, in[0], ad_mul(in[0], N(.3)));
    return OUT + IN + second;
}
static void add_derivatives(emit_batch *e, ad_tape *t, const ad_var in[IN], const ad_var result[OUT],
                            bool second)
{
    ad_var out[OUT + IN + 1];
    int n = derivatives(in, result, second, out);
    emit_add(e, t, IN, in, n, out);
}

static void compared(emit_batch *e)
{
    if (!emit_load(e, "-O1")) {
        emit_free(e);
        cr_skip("there is no C compiler");
    }
    for (int i = 0; i < e->n; i++)
        for (int batch = 1; batch < 6; batch += 2)
            emit_compare(e, i, batch, (unsigned)(7 * batch), 0);
    emit_free(e);
}

Test(emit_object, loops_and_their_derivatives_have_the_bits_of_replay)
{
    static const int64_t count[] = {1, 40, 300}, checkpoints[] = {2, 5, 0};
    emit_batch e = {0};
    ad_func *f = step_func(step, AD_BATCH);
    for (int k = 0; k < (quick() ? 2 : 3); k++) {
        ad_tape *t = ad_new();
        ad_var in[IN], out[OUT];
        step_inputs(t, in, count[k], AD_BATCH);
        loop(t, f, in, count[k], checkpoints[k], out);
        add_derivatives(&e, t, in, out, k == 1);
        ad_free(t);
    }
    ad_func_free(f);
    compared(&e);
}

/* Without a batch the steps of a loop are text of their own, and the loop backward begins with the checkpoints that the one
 * forward leaves: with any number of them, where two go backward, and where the one forward comes too late. */
Test(emit_object, loops_without_a_batch_have_the_bits_of_replay)
{
    static const int64_t count[] = {7, 1, 2, 40, 300}, checkpoints[] = {1, 0, 1, 4, 24};
    int n = quick() ? 1 : 5;
    emit_batch e = {0};
    ad_func *f = step_func(step, 1);
    for (int k = 0; k < n + 2; k++) {
        ad_tape *t = ad_new();
        ad_var in[IN], out[OUT];
        step_inputs(t, in, k < n ? count[k] : 40, 1);
        loop(t, f, in, k < n ? count[k] : 40, k < n ? checkpoints[k] : 3, out);
        ad_var all[OUT + IN + 1];
        int m = 2;
        if (k < n) {
            m = derivatives(in, out, k == 0, all);
        } else if (k == n) { /* two gradients of one loop */
            all[0] = ad_grad(ad_sum(ad_sin(out[0])), in[2]);
            all[1] = ad_grad(ad_sum(ad_exp(out[2])), in[1]);
        } else { /* a gradient that does not wait for the loop forward */
            all[0] = ad_grad(ad_sum(out[0]), in[2]);
            all[1] = ad_add(out[0], ad_sum(all[0]));
        }
        emit_add_one(
            &e, t, IN, in, m, all,
            &(ad_options){.real = k % 2 ? AD_F32 : AD_F64, .opt = k > n ? AD_OPT_NONE : AD_OPT_FULL});
        ad_free(t);
    }
    ad_func_free(f);
    compared(&e);
}

/* A loop whose steps run a loop, a root and a function. */
static ad_func *inner_func, *inner_root;
static void step_of_loops(const ad_var in[IN], ad_var out[OUT])
{
    ad_tape *t = in[0].tape;
    ad_var next[IN], twice[2], more[OUT];
    ad_scan_spec s = {.f = inner_func,
                      .count = 3,
                      .nshared = 1,
                      .ncarry = 1,
                      .shared = in + 1,
                      .carry = in + 2,
                      .carry_out = twice};
    ad_scan(t, &s);
    memcpy(next, in, sizeof next);
    next[2] = twice[0];
    next[3] = ad_sum(ad_root(t, inner_root, in[3], 1, in + 3, NULL));
    step(next, more);
    memcpy(out, more, sizeof more);
}

Test(emit_object, what_is_nested_has_the_bits_of_replay)
{
    ad_tape *t = ad_new();
    ad_var c = ad_input(t, "c", 1, 1), z = ad_input(t, "z", AD_BATCH, 2), y = ad_input(t, "y", 1, 1);
    ad_var drift = ad_add(z, ad_mul(ad_mul(c, N(.1)), ad_sin(z))), kepler, keeps[2];
    inner_func = ad_func_new(2, (ad_var[]){c, z}, 1, &drift);
    kepler = ad_sub(ad_sub(y, ad_mul(N(.3), ad_sin(y))), c); /* y - .3 sin y = c */
    inner_root = ad_func_new(2, (ad_var[]){y, c}, 1, &kepler);
    ad_free(t);
    ad_func *f = step_func(step_of_loops, AD_BATCH);
    emit_batch e = {0};
    t = ad_new();
    ad_var in[IN], out[OUT];
    step_inputs(t, in, 4, AD_BATCH);
    loop(t, f, in, 4, 0, out);
    add_derivatives(&e, t, in, out, false);
    ad_free(t);

    t = ad_new(); /* calls, with the batch and with three rows for it; one result is not used */
    step_inputs(t, in, 1, AD_BATCH);
    cr_assert_eq(ad_call(t, f, in, out), AD_OK, "%s", ad_message(t));
    ad_var fixed[IN], three = ad_input(t, "three", 3, 2);
    memcpy(fixed, in, sizeof fixed);
    fixed[2] = three;
    fixed[4] = ad_cols_of(three, 0, 1);
    cr_assert_eq(ad_call(t, f, fixed, fixed), AD_OK, "%s", ad_message(t));
    keeps[0] = fixed[0];
    keeps[1] = ad_reshape(fixed[0], 2, 3);
    ad_var all[IN + 1], results[OUT + 3] = {out[0],
                                            out[1],
                                            out[3],
                                            ad_sum_rows(ad_exp(out[0])),
                                            keeps[0],
                                            keeps[1],
                                            ad_concat_rows(2, (ad_var[]){out[0], ad_sin(out[0])})};
    memcpy(all, in, sizeof in);
    all[IN] = three;
    emit_add(&e, t, IN + 1, all, OUT + 3, results);
    ad_free(t);
    ad_func_free(f);
    ad_func_free(inner_func);
    ad_func_free(inner_root);
    compared(&e);
}

/* F(y; x) = y + .2 sin(A y) - x in each row, and where there is no root. */
Test(emit_object, roots_have_the_bits_and_the_statuses_of_replay)
{
    emit_batch e = {0};
    for (int fails = 0; fails < 2; fails++) {
        ad_tape *t = ad_new();
        ad_var y = ad_input(t, "y", AD_BATCH, 3), x = ad_input(t, "x", AD_BATCH, 3),
               a = ad_input(t, "a", 3, 3);
        ad_var residual = fails ? ad_add(ad_square(y), ad_add(N(.2), ad_square(ad_matmul(x, a))))
                                : ad_sub(ad_add(y, ad_mul(N(.2), ad_sin(ad_matmul(y, a)))), x);
        ad_var in[3] = {y, x, a}, out[5];
        ad_func *f = ad_func_new(3, in, 1, &residual);
        out[0] =
            ad_root(t, f, y, 2, in + 1, &(ad_root_options){.max_iter = 30, .tolerance = fails ? 0 : 1e-9});
        ad_var sum = ad_sum(ad_square(out[0]));
        ad_grads(sum, 3, in, out + 1);
        out[4] = ad_hvp(sum, a, ad_mul(a, N(.5)));
        emit_add(&e, t, 3, in, fails ? 1 : 5, out);
        ad_func_free(f);
        ad_free(t);
    }
    compared(&e);
}

static int halve(void *user, int nin, const double *const in[], const int in_rows[], const int in_cols[],
                 double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols;
    for (int i = 0; i < rows * cols; i++)
        out[i] = in[0][i] / 2;
    return 0;
}

Test(emit_object, a_callback_is_refused_by_name_wherever_it_is)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2),
           y = ad_custom(t, &(ad_callback){.name = "halve", .value = halve}, 1, &x, 1, 2), z;
    ad_func *f = ad_func_new(1, &x, 1, &y);
    ad_scan(t, &(ad_scan_spec){.f = f, .count = 5, .ncarry = 1, .carry = &x, .carry_out = &z});
    for (int k = 0; k < 2; k++) {
        char *why, *how;
        ad_program *p = ad_compile(t, 1, &x, 1, k ? &z : &y, NULL);
        cr_assert_null(ad_emit(p, "f", &why));
        cr_assert_str_eq(why, "ad_emit: ad_custom cannot be emitted");
        free(why);
        ad_program *q = ad_native(p, "/nowhere", &how);
        cr_assert(strstr(how, "replay") && strstr(how, "ad_custom"), "%s", how);
        double out[2];
        ad_work *w = ad_work_new(q, NULL);
        cr_assert_eq(ad_run(w, 1, (const void *[]){(double[]){8, 64}}, (void *[]){out}), AD_OK);
        cr_assert(out[0] == (k ? .25 : 4) && out[1] == (k ? 2 : 32));
        ad_work_free(w);
        free(how);
        ad_program_free(q);
        ad_program_free(p);
    }
    ad_func_free(f);
    ad_free(t);
}

Test(emit_object, a_failed_allocation_gives_no_text_and_leaks_nothing)
{
    ad_func *f = step_func(step, AD_BATCH);
    ad_tape *t = ad_new();
    ad_var in[IN], out[OUT], g;
    step_inputs(t, in, 4, AD_BATCH);
    loop(t, f, in, 4, 0, out);
    g = ad_grad(ad_sum(ad_add(out[0], out[1])), in[0]);
    ad_program *p = ad_compile(t, IN, in, 1, &g, NULL);
    cr_assert(p, "%s", ad_message(t));
    emit_without_memory(p, quick() ? 7 : 1);
    ad_program_free(p);
    ad_func_free(f);
    ad_free(t);
}
