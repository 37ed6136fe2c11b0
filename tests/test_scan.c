/* test_scan.c - loops against the same steps recorded one after another. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { B = 3, D = 2, STEPS = 9 };
typedef struct {
    ad_tape *t;
    ad_var w, c, z, s, u, k; /* shared [D,D], [1,1]; carry [B,D], [1,1]; steps [B,1], [1,2] */
    ad_var zn, sn, e, a;     /* carries and collected [B,1], [1,1] of the last step */
    double v[6][64];
} model;

static const int rows_[6] = {D, 1, AD_BATCH, 1, AD_BATCH, 1}, cols_[6] = {D, 1, D, 1, STEPS, 2 * STEPS};

static model model_new(void)
{
    static const char *const name[6] = {"w", "c", "z", "s", "u", "k"};
    model m = {.t = ad_new()};
    ad_var *v[6] = {&m.w, &m.c, &m.z, &m.s, &m.u, &m.k};
    unsigned seed = 7;
    for (int i = 0; i < 6; i++) {
        *v[i] = ad_input(m.t, name[i], rows_[i], cols_[i]);
        for (int j = 0; j < 64; j++)
            m.v[i][j] = (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
        ad_set(*v[i], rows_[i] < 0 ? B : rows_[i], m.v[i]);
    }
    return m;
}

/* One step. out: z, s, e, a. */
static void body(const ad_var in[6], ad_var out[4])
{
    ad_var w = in[0], c = in[1], z = in[2], s = in[3], u = in[4], k = in[5];
    ad_var f = ad_tanh(ad_add(ad_matmul(z, w), ad_mul(u, ad_cols_of(k, 0, 1))));
    out[0] = ad_add(z, ad_mul(ad_mul(c, ad_num(.4)), ad_mul(f, ad_cos(s))));
    out[1] = ad_add(ad_mul(s, ad_num(.9)), ad_mean(ad_mul(out[0], ad_cols_of(k, 1, 1))));
    out[2] = ad_sum_cols(ad_square(ad_sub(out[0], u)));
    out[3] = ad_mul(s, out[1]);
}

static ad_func *body_func(void)
{
    ad_tape *t = ad_new();
    ad_var in[6], out[4];
    static const int cols[6] = {D, 1, D, 1, 1, 2};
    static const char *const name[6] = {"w", "c", "z", "s", "u", "k"};
    for (int i = 0; i < 6; i++)
        in[i] = ad_input(t, name[i], rows_[i], cols[i]);
    body(in, out);
    ad_func *f = ad_func_new(6, in, 4, out);
    ad_free(t);
    return f;
}

static void scanned(model *m, const ad_func *f, int64_t checkpoints)
{
    ad_scan_spec s = {.f = f,
                      .count = STEPS,
                      .nshared = 2,
                      .ncarry = 2,
                      .nstep = 2,
                      .ncollect = 2,
                      .shared = (ad_var[]){m->w, m->c},
                      .carry = (ad_var[]){m->z, m->s},
                      .per_step = (ad_var[]){m->u, m->k},
                      .carry_out = (ad_var[2]){m->z},
                      .collected = (ad_var[2]){m->z},
                      .checkpoints = checkpoints};
    ad_var carry[2], collected[2];
    s.carry_out = carry;
    s.collected = collected;
    cr_assert_eq(ad_scan(m->t, &s), AD_OK, "%s", ad_message(m->t));
    m->zn = carry[0], m->sn = carry[1], m->e = collected[0], m->a = collected[1];
}

static void unrolled(model *m)
{
    ad_var z = m->z, s = m->s, out[4], e[STEPS], a[STEPS];
    for (int i = 0; i < STEPS; i++) {
        body((ad_var[]){m->w, m->c, z, s, ad_cols_of(m->u, i, 1), ad_cols_of(m->k, 2 * i, 2)}, out);
        z = out[0], s = out[1], e[i] = out[2], a[i] = out[3];
    }
    m->zn = z, m->sn = s, m->e = ad_concat_cols(STEPS, e), m->a = ad_concat_cols(STEPS, a);
}

/* All derivatives that are compared: n values with their sizes. */
enum { VALUES = 24 };
static int derive(const model *m, int part, ad_var out[VALUES], int size[VALUES], ad_var alone[VALUES])
{
    const ad_var x[6] = {m->w, m->c, m->z, m->s, m->u, m->k};
    static const int n[6] = {D * D, 1, B * D, 1, B * STEPS, 2 * STEPS};
    ad_var loss = ad_num(0), g[6], h[6], hv[6], v[6], third, one = ad_num(1), inner;
    if (part != 1)
        loss = ad_add(ad_sum(ad_square(m->zn)), ad_sin(m->sn));
    if (part != 0)
        loss =
            ad_add(loss, ad_add(ad_sum(ad_square(m->e)), ad_sum(ad_mul(m->a, ad_cols_of(m->k, 0, STEPS)))));
    for (int i = 0; i < 6; i++)
        v[i] = ad_cos(ad_add(x[i], ad_num(i)));
    int k = 0;
    alone[k] = ad_num(0), out[k] = loss, size[k++] = 1;
    ad_grads(loss, 6, x, g);
    for (int i = 0; i < 6; i++)
        alone[k] = ad_num(0), out[k] = g[i], size[k++] = n[i];
    ad_jvp(6, g, 6, x, v, h); /* Hessian-vector product: the tangent of the gradient */
    ad_var dot[6];
    for (int i = 0; i < 6; i++)
        dot[i] = ad_dot(g[i], ad_stop(v[i]));
    inner = ad_add_n(6, dot); /* and as the gradient of the gradient */
    ad_vjp(1, &inner, &one, 6, x, hv);
    for (int i = 0; i < 6; i++)
        alone[k] = hv[i], out[k] = h[i], size[k++] = n[i];
    third = ad_add(ad_dot(h[0], h[0]), ad_add(ad_sum(ad_sin(h[2])), ad_dot(h[4], h[4])));
    ad_grads(third, 6, x, g);
    for (int i = 0; i < 6; i++)
        alone[k] = ad_num(0), out[k] = g[i], size[k++] = n[i];
    cr_assert_eq(ad_status(m->t), AD_OK, "%s", ad_message(m->t));
    return k;
}

static void near(const double *p, const double *q, int n, double tol, const char *what, int i)
{
    double scale = 1;
    for (int j = 0; j < n; j++)
        scale = fmax(scale, fabs(q[j]));
    for (int j = 0; j < n; j++)
        cr_assert(fabs(p[j] - q[j]) <= tol * scale, "%s: value %d [%d] is %.17g, unrolled %.17g", what, i, j,
                  p[j], q[j]);
}

Test(scan, value_and_derivatives_to_order_3_are_those_of_the_unrolled_steps)
{
    ad_func *f = body_func();
    for (int part = 0; part < 3; part++) {
        model a = model_new(), b = model_new();
        scanned(&a, f, part);
        unrolled(&b);
        ad_var pairs[4][2] = {{a.zn, b.zn}, {a.sn, b.sn}, {a.e, b.e}, {a.a, b.a}};
        static const int n[4] = {B * D, 1, B * STEPS, STEPS};
        for (int i = 0; i < 4; i++) {
            const double *p = ad_value(pairs[i][0]), *q = ad_value(pairs[i][1]);
            cr_assert(p, "%s", ad_message(a.t));
            cr_assert(!memcmp(p, q, (size_t)n[i] * sizeof *p), "result %d", i);
        }
        ad_var x[VALUES], y[VALUES], again[VALUES], other[VALUES];
        int size[VALUES], k = derive(&a, part, x, size, again);
        derive(&b, part, y, size, other);
        for (int i = 0; i < k; i++) {
            const double *p = ad_value(x[i]), *q = ad_value(y[i]);
            cr_assert(p, "%s", ad_message(a.t));
            near(p, q, size[i], i < 13 ? 1e-13 : 1e-12, "tape", i);
            if (!ad_is_number(again[i]))
                near(ad_value(again[i]), q, size[i], 1e-13, "gradient of the gradient", i);
        }
        const ad_var in[6] = {a.w, a.c, a.z, a.s, a.u, a.k};
        double got[VALUES][64];
        for (int opt = AD_OPT_FULL; opt <= AD_OPT_NONE; opt++) { /* the bits of ad_value */
            ad_program *p = ad_compile(a.t, 6, in, k, x, &(ad_options){.opt = opt});
            ad_work *w = ad_work_new(p, NULL);
            cr_assert(w, "%s", ad_message(a.t));
            const void *from[6];
            void *to[VALUES];
            for (int i = 0; i < 6; i++)
                from[i] = a.v[i];
            for (int i = 0; i < k; i++)
                to[i] = got[i];
            for (int turn = 0; turn < 2; turn++)
                cr_assert_eq(ad_run(w, B, from, to), AD_OK, "%s", ad_work_message(w));
            for (int i = 0; i < k; i++)
                cr_assert(!memcmp(got[i], ad_value(x[i]), (size_t)size[i] * sizeof(double)),
                          "opt %d value %d", opt, i);
            ad_work_free(w);
            ad_program_free(p);
        }
        ad_free(a.t);
        ad_free(b.t);
    }
    ad_func_free(f);
}

Test(scan, the_number_of_checkpoints_changes_no_bit)
{
    ad_func *f = body_func();
    double want[D * D + B * D] = {0};
    for (int64_t points = 1; points <= STEPS + 1; points++) {
        model m = model_new();
        scanned(&m, f, points);
        ad_var g[2], x[2] = {m.w, m.z}, h[2];
        ad_grads(ad_add(ad_sum(ad_square(m.zn)), ad_sum(m.e)), 2, x, g);
        ad_jvp(2, g, 2, x, (ad_var[]){ad_num(1), ad_num(.5)}, h);
        (void)h;
        double got[D * D + B * D];
        const double *p = ad_value(g[0]);
        cr_assert(p, "%s", ad_message(m.t));
        memcpy(got, p, D * D * sizeof *p);
        memcpy(got + D * D, ad_value(g[1]), B * D * sizeof *p);
        if (points == 1)
            memcpy(want, got, sizeof got);
        cr_assert(!memcmp(want, got, sizeof got), "%lld checkpoints", (long long)points);
        ad_free(m.t);
    }
    ad_func_free(f);
}

/* x <- x + h sin x, with and without anything else. */
static ad_func *scalar_body(ad_tape *t)
{
    ad_var h = ad_input(t, "h", 1, 1), x = ad_input(t, "x", 1, 1), y = ad_add(x, ad_mul(h, ad_sin(x)));
    return ad_func_new(2, (ad_var[]){h, x}, 1, &y);
}

static double euler(double h, double x, int n, double *dx, double *dh)
{
    *dx = 1, *dh = 0;
    for (int i = 0; i < n; i++) {
        *dh = *dh * (1 + h * cos(x)) + sin(x);
        *dx *= 1 + h * cos(x);
        x += h * sin(x);
    }
    return x;
}

Test(scan, every_length_and_number_of_checkpoints_reverses_every_step_once)
{
    ad_tape *t = ad_new();
    ad_func *f = scalar_body(t);
    ad_var h = ad_find(t, "h"), x = ad_find(t, "x"), y, g[2];
    ad_set(h, 1, (double[]){.05});
    ad_set(x, 1, (double[]){.3});
    ad_mark m = ad_here(t);
    int most = getenv("NOETHER_TEST_SHORT") ? 6 : 40;
    for (int n = 1; n <= most; n++)
        for (int points = 0; points <= n + 1; points++) {
            ad_scan(t, &(ad_scan_spec){.f = f,
                                       .count = n,
                                       .nshared = 1,
                                       .ncarry = 1,
                                       .shared = &h,
                                       .carry = &x,
                                       .carry_out = &y,
                                       .checkpoints = points});
            ad_grads(y, 2, (ad_var[]){h, x}, g);
            double dx, dh, v = euler(.05, .3, n, &dx, &dh);
            cr_assert(fabs(ad_scalar(y) - v) < 1e-14 && fabs(ad_scalar(g[0]) - dh) < 1e-12 &&
                          fabs(ad_scalar(g[1]) - dx) < 1e-13,
                      "%d steps, %d checkpoints: %s", n, points, ad_message(t));
            ad_rewind(t, m);
        }
    ad_func_free(f);
    ad_free(t);
}

/* The same in one program, where the loop backward begins with the checkpoints that the one forward leaves: run after run, also
 * after a batch of another size, and with a run that fails in between. */
Test(scan, checkpoints_that_a_loop_forward_leaves_change_no_bit)
{
    static const int steps[] = {1, 2, 3, 8, 21};
    ad_tape *b = ad_new();
    ad_var h = ad_input(b, "h", 1, 1), x = ad_input(b, "x", AD_BATCH, 2),
           solved = ad_row_solve(ad_add(ad_expand(ad_const(b, 1, 4, (double[]){1, 0, 0, 1}), AD_BATCH, 4),
                                        ad_concat_cols(2, (ad_var[]){x, ad_mul(h, x)})),
                                 x, 2, 1),
           y[2] = {ad_add(x, ad_mul(h, ad_sin(solved))), ad_sum_cols(ad_square(x))};
    ad_func *f = ad_func_new(2, (ad_var[]){h, x}, 2, y);
    cr_assert(f, "%s", ad_message(b));
    ad_free(b);
    for (int i = 0; i < 5 * 4; i++) {
        int n = steps[i / 4], points = i % 4;
        ad_tape *t = ad_new();
        ad_var in[2] = {ad_input(t, "h", 1, 1), ad_input(t, "x", AD_BATCH, 2)}, end, kept, g[3];
        ad_scan(t, &(ad_scan_spec){.f = f,
                                   .count = n,
                                   .nshared = 1,
                                   .ncarry = 1,
                                   .ncollect = 1,
                                   .shared = in,
                                   .carry = in + 1,
                                   .carry_out = &end,
                                   .collected = &kept,
                                   .checkpoints = points});
        ad_grads(ad_add(ad_sum(ad_square(end)), ad_sum(ad_sin(kept))), 2, in, g);
        g[2] = end;
        ad_program *p = ad_compile(t, 2, in, 3, g, NULL);
        cr_assert(p, "%s", ad_message(t));
        ad_work *w = ad_work_new(p, NULL);
        double hv = .05, xv[6] = {.3, -.4, 1.1, .2, -.7, .6}, bad[2] = {-1, 0}, got[13], want[13];
        for (int run = 0; run < 4; run++) {
            int rows = run % 2 ? 3 : 1;
            if (run == 2) { /* the matrix is singular in the first step */
                cr_assert_eq(ad_run(w, 1, (const void *[]){&hv, bad}, (void *[]){got, got + 1, got + 7}),
                             AD_EDOMAIN);
            }
            cr_assert_eq(ad_run(w, rows, (const void *[]){&hv, xv}, (void *[]){got, got + 1, got + 7}), AD_OK,
                         "%s", ad_work_message(w));
            ad_set(in[0], 1, &hv), ad_set(in[1], rows, xv); /* node by node: nothing is left by anything */
            memcpy(want, ad_value(g[0]), sizeof *want);
            memcpy(want + 1, ad_value(g[1]), 2 * sizeof *want * (size_t)rows);
            cr_assert(!memcmp(want, got, sizeof *want * (size_t)(1 + 2 * rows)),
                      "%d steps, %d checkpoints, run %d", n, points, run);
        }
        ad_work_free(w);
        ad_program_free(p);
        ad_free(t);
    }
    ad_func_free(f);
}

/* A state of 100 numbers through many steps: memory as for sqrt(2 steps) of them, every step run at most three times
 * (its own way included). benchmarks/bench_scan.c measures the same at 10^6 steps of 1,000. */
enum { WIDE = 100, MANY = 50000 };

static long steps_run;
static int counted_sin(void *user, int nin, const double *const in[], const int in_rows[],
                       const int in_cols[], double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols;
    for (int i = 0; i < rows * cols; i++)
        out[i] = sin(in[0][i]);
    steps_run++;
    return 0;
}
static int sin_pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy, ad_var din[])
{
    (void)user, (void)t, (void)nin, (void)y;
    din[0] = ad_mul(dy, ad_cos(in[0]));
    return 0;
}

Test(scan, derivatives_through_many_steps_take_the_memory_of_few)
{
    const int count = getenv("NOETHER_TEST_SHORT") ? MANY / 25 : MANY;
    const ad_callback cb = {.name = "sin", .value = counted_sin, .pullback = sin_pullback};
    ad_tape *t = ad_new();
    ad_var h = ad_input(t, "h", 1, 1), x = ad_input(t, "x", 1, WIDE), z;
    ad_var turned = ad_concat_cols(2, (ad_var[]){ad_cols_of(x, 1, WIDE - 1), ad_cols_of(x, 0, 1)});
    ad_var y = ad_add(x, ad_mul(h, ad_custom(t, &cb, 1, &turned, 1, WIDE)));
    ad_func *f = ad_func_new(2, (ad_var[]){h, x}, 1, &y);
    ad_scan(
        t,
        &(ad_scan_spec){
            .f = f, .count = count, .nshared = 1, .ncarry = 1, .shared = &h, .carry = &x, .carry_out = &z});
    ad_var energy = ad_sum(ad_square(z)), out[2] = {ad_grad(energy, x), ad_hvp(energy, x, ad_stop(x))};
    double hv = 1e-4, xv[WIDE], got[WIDE];
    for (int i = 0; i < WIDE; i++)
        xv[i] = sin(i);
    for (int second = 0; second < 2; second++) {
        ad_program *p = ad_compile(t, 2, (ad_var[]){h, x}, 1, out + second, NULL);
        cr_assert(p, "%s", ad_message(t));
        steps_run = 0;
        failalloc_arm(0, 0);
        ad_work *w = ad_work_new(p, NULL);
        cr_assert_eq(ad_run(w, 1, (const void *[]){&hv, xv}, (void *[]){got}), AD_OK, "%s",
                     ad_work_message(w));
        failalloc_disarm();
        /* As many carries as are kept, by half more; 256 KiB of carries are kept in any case; programs. A product with
         * the Hessian has carries of twice the size. */
        double carries = sqrt(2.0 * count) * WIDE * sizeof(double) * (1 + second);
        cr_assert(failalloc_peak() < 1.5 * carries + 1.2e6, "%ld bytes, carries %.0f", failalloc_peak(),
                  carries);
        cr_assert(failalloc_peak() < 0.1 * count * WIDE * sizeof(double) || count < MANY);
        /* Once by the loop forward, which leaves its checkpoints, and at most once more between them. */
        cr_assert(steps_run <= (second ? 4L : 2L) * count, "%ld runs of %d steps", steps_run, count);
        ad_work_free(w);
        ad_program_free(p);
    }
    ad_func_free(f);
    ad_free(t);
}

/* A loop without carries is a map; its backward loop needs no checkpoints. A loop in a loop; a loop in a call. */
Test(scan, maps_and_nested_loops_have_the_derivatives_of_their_steps)
{
    ad_tape *t = ad_new();
    ad_var a = ad_input(t, "a", 1, 1), x = ad_input(t, "x", 1, 1), y = ad_mul(a, ad_exp(x)), all, g[2];
    ad_func *map = ad_func_new(2, (ad_var[]){a, x}, 1, &y);
    ad_var p = ad_input(t, "p", 1, 4);
    ad_set(a, 1, (double[]){2});
    ad_set(x, 1, (double[]){.3});
    ad_set(p, 1, (double[]){.1, .2, .3, .4});
    ad_scan(t, &(ad_scan_spec){.f = map,
                               .count = 4,
                               .nshared = 1,
                               .nstep = 1,
                               .ncollect = 1,
                               .shared = &a,
                               .per_step = &p,
                               .collected = &all});
    ad_grads(ad_sum(all), 2, (ad_var[]){a, p}, g);
    double sum = exp(.1) + exp(.2) + exp(.3) + exp(.4);
    cr_assert(fabs(ad_scalar(g[0]) - sum) < 1e-14, "%s", ad_message(t));
    cr_assert(fabs(ad_value(g[1])[2] - 2 * exp(.3)) < 1e-14);
    ad_func_free(map);

    ad_tape *own = ad_new();
    ad_func *step = scalar_body(own);
    ad_var h = ad_find(own, "h"), z = ad_find(own, "x"), in, out[2], gg[2], hh[2];
    ad_scan(
        own,
        &(ad_scan_spec){
            .f = step, .count = 5, .nshared = 1, .ncarry = 1, .shared = &h, .carry = &z, .carry_out = &in});
    ad_func *five = ad_func_new(2, (ad_var[]){h, z}, 1, &in);
    ad_free(own);
    ad_func_free(step);
    ad_scan(
        t,
        &(ad_scan_spec){
            .f = five, .count = 7, .nshared = 1, .ncarry = 1, .shared = &a, .carry = &x, .carry_out = out});
    ad_call(t, five, (ad_var[]){a, out[0]}, out + 1);
    ad_set(a, 1, (double[]){.05});
    double dx, dh, v = euler(.05, .3, 40, &dx, &dh);
    ad_grads(out[1], 2, (ad_var[]){a, x}, gg);
    ad_jvp(2, gg, 2, (ad_var[]){a, x}, (ad_var[]){ad_num(1), ad_num(0)}, hh);
    cr_assert(fabs(ad_scalar(out[1]) - v) < 1e-14, "%s", ad_message(t));
    cr_assert(fabs(ad_scalar(gg[0]) - dh) < 1e-12 && fabs(ad_scalar(gg[1]) - dx) < 1e-13);
    double up[2], down[2], e = 1e-5;
    euler(.05 + e, .3, 40, &up[0], &up[1]);
    euler(.05 - e, .3, 40, &down[0], &down[1]);
    cr_assert(fabs(ad_scalar(hh[0]) / ((up[1] - down[1]) / (2 * e)) - 1) < 1e-7 /* h^2 */ &&
              fabs(ad_scalar(hh[1]) / ((up[0] - down[0]) / (2 * e)) - 1) < 1e-7);
    ad_func_free(five);
    ad_free(t);
}

Test(scan, float_and_long_double_loops_agree_with_double_to_their_precision)
{
    ad_func *f = body_func();
    model m = model_new();
    scanned(&m, f, 0);
    ad_var g = ad_grad(ad_add(ad_sum(ad_square(m.zn)), ad_sum(m.e)), m.w);
    const ad_var in[6] = {m.w, m.c, m.z, m.s, m.u, m.k};
    float vf[6][64], gf[D * D];
    long double vl[6][64], gl[D * D];
    const void *from[3][6];
    void *to[3] = {NULL, gf, gl};
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 64; k++) {
            vf[i][k] = (float)m.v[i][k];
            vl[i][k] = m.v[i][k];
        }
        from[AD_F32][i] = vf[i];
        from[AD_F80][i] = vl[i];
    }
    for (int real = AD_F32; real <= AD_F80; real++) {
        ad_program *p = ad_compile(m.t, 6, in, 1, &g, &(ad_options){.real = real});
        ad_work *w = ad_work_new(p, NULL);
        cr_assert_eq(ad_run(w, B, from[real], &to[real]), AD_OK, "%s", ad_work_message(w));
        ad_work_free(w);
        ad_program_free(p);
    }
    const double *want = ad_value(g);
    for (int i = 0; i < D * D; i++) {
        cr_assert(fabs((double)gf[i] - want[i]) < 1e-5 * (1 + fabs(want[i])));
        cr_assert(fabs((double)gl[i] - want[i]) < 1e-13 * (1 + fabs(want[i])));
    }
    ad_free(m.t);
    ad_func_free(f);
}

Test(scan, one_workspace_serves_batches_of_any_size_and_threads_share_the_program)
{
    ad_func *f = body_func();
    model m = model_new();
    scanned(&m, f, 0);
    ad_var g = ad_grad(ad_sum(ad_square(m.zn)), m.w);
    const ad_var in[6] = {m.w, m.c, m.z, m.s, m.u, m.k};
    ad_program *p = ad_compile(m.t, 6, in, 1, &g, NULL);
    ad_pool *pool = ad_pool_new(2);
    ad_work *w[2] = {ad_work_new(p, NULL), ad_work_new(p, pool)};
    const void *from[6];
    for (int i = 0; i < 6; i++)
        from[i] = m.v[i];
    double got[2][3][D * D];
    static const int batch[3] = {1, B, 1};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 3; i++)
            cr_assert_eq(ad_run(w[k], batch[i], from, (void *[]){got[k][i]}), AD_OK, "%s",
                         ad_work_message(w[k]));
    cr_assert(!memcmp(got[0][0], got[0][2], sizeof got[0][0]) &&
              memcmp(got[0][0], got[0][1], sizeof got[0][0]));
    cr_assert(!memcmp(got[0], got[1], sizeof got[0]));
    ad_work_free(w[0]);
    ad_work_free(w[1]);
    ad_pool_free(pool);
    ad_program_free(p);
    ad_free(m.t);
    ad_func_free(f);
}

Test(scan, a_bad_loop_names_what_is_wrong)
{
    ad_tape *t = ad_new();
    ad_func *f = scalar_body(t);
    ad_var h = ad_find(t, "h"), x = ad_find(t, "x"), two = ad_concat_cols(2, (ad_var[]){x, x}),
           wide = ad_input(t, "wide", 1, 2), y = ad_num(0);
    ad_func *grow = ad_func_new(1, &x, 1, &two), *cut = ad_func_new(1, &wide, 1, &two);
    (void)cut;
    ad_status(t);
    ad_clear(t);
    struct {
        ad_scan_spec s;
        int status;
        const char *says;
    } bad[] = {
        {{.f = NULL, .count = 1}, AD_EARG, "no function"},
        {{.f = f, .count = 0, .nshared = 1, .ncarry = 1, .shared = &h, .carry = &x, .carry_out = &y},
         AD_EARG,
         "0 steps"},
        {{.f = f,
          .count = 2,
          .nshared = 1,
          .ncarry = 1,
          .nstep = 1,
          .shared = &h,
          .carry = &x,
          .carry_out = &y},
         AD_EARG,
         "a function of 2 inputs"},
        {{.f = f, .count = 2, .nshared = 1, .ncarry = 1, .shared = &h, .carry_out = &y}, AD_EARG, "missing"},
        {{.f = f, .count = 2, .nshared = 1, .ncarry = 1, .shared = &h, .carry = &wide, .carry_out = &y},
         AD_ESHAPE,
         "operand 2 is [1,2]; needs [1,1]"},
        {{.f = grow, .count = 2, .ncarry = 1, .carry = &x, .carry_out = &y},
         AD_ESHAPE,
         "carry 1 is [1,1] and becomes [1,2]"},
        {{.f = f,
          .count = 1LL << 40,
          .nshared = 1,
          .nstep = 1,
          .ncollect = 1,
          .shared = &h,
          .per_step = &x,
          .collected = &y},
         AD_ESHAPE,
         "too many"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(ad_scan(t, &bad[i].s), bad[i].status, "%zu: %s", i, ad_message(t));
        cr_assert(strstr(ad_message(t), bad[i].says), "%zu: %s", i, ad_message(t));
        cr_assert(i == 0 || ad_is_void(y));
        ad_clear(t);
    }
    cr_assert_eq(ad_scan(t, NULL), AD_EARG);
    ad_func_free(f);
    ad_func_free(grow);
    ad_func_free(cut);
    ad_free(t);
}

Test(scan, a_failure_names_the_step)
{
    ad_tape *t = ad_new();
    ad_var a = ad_input(t, "a", 1, 4), b = ad_sub(a, ad_const(t, 1, 4, (double[]){1, 0, 0, 1})),
           l = ad_sum_cols(ad_row_cholesky(a, 2)), out[2];
    ad_func *f = ad_func_new(1, &a, 2, (ad_var[]){b, l});
    ad_set(a, 1, (double[]){3.5, 0, 0, 9});
    ad_scan(t, &(ad_scan_spec){.f = f,
                               .count = 6,
                               .ncarry = 1,
                               .ncollect = 1,
                               .carry = &a,
                               .carry_out = out,
                               .collected = out + 1});
    cr_assert_null(ad_value(out[1]));
    cr_assert(ad_status(t) == AD_EDOMAIN && strstr(ad_message(t), "ad_value: ad_scan (node ") &&
                  strstr(ad_message(t), "step 4: ad_row_cholesky"),
              "%s", ad_message(t));
    ad_clear(t);
    ad_var g = ad_grad(ad_sum(out[1]), a); /* backward, too, where the last step is run first */
    cr_assert_null(ad_value(g));
    cr_assert(strstr(ad_message(t), "step 5"), "%s", ad_message(t));
    ad_func_free(f);
    ad_free(t);
}

static int all_of_it(void)
{
    ad_tape *t = ad_new();
    ad_func *f = scalar_body(t);
    ad_var h = ad_find(t, "h"), x = ad_find(t, "x"), y, g, hv;
    double r;
    int status = AD_ENOMEM;
    if (!ad_set(h, 1, (double[]){.1}) && !ad_set(x, 1, (double[]){.2}) &&
        !ad_scan(t, &(ad_scan_spec){.f = f,
                                    .count = 4,
                                    .nshared = 1,
                                    .ncarry = 1,
                                    .shared = &h,
                                    .carry = &x,
                                    .carry_out = &y,
                                    .checkpoints = 2})) {
        g = ad_grad(y, h);
        ad_jvp(1, &g, 1, &x, &h, &hv);
        ad_var again = ad_grad(g, x);
        status = ad_eval(t, 1, &hv, (double *[]){&r});
        if (!status && !ad_value(again))
            status = ad_status(t);
    }
    status = ad_status(t) ? ad_status(t) : status;
    ad_func_free(f);
    ad_free(t);
    return status;
}

Test(scan, every_allocation_may_fail)
{
    long step = getenv("NOETHER_TEST_SHORT") ? 97 : 1;
    for (long n = 1;; n += step) {
        failalloc_arm(n, 1);
        int status = all_of_it();
        if (failalloc_disarm() < n) {
            cr_assert_eq(status, AD_OK);
            break;
        }
        cr_assert_eq(status, AD_ENOMEM, "allocation %ld: %s", n, ad_status_name(status));
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
    }
}
