/* test_train.c - Adam against its formula in long double, schedules, batches, checkpoints: a training that stops anywhere
 * and resumes ends with the bits of the unbroken one, for every number of threads. */
/* SPDX-License-Identifier: MIT */
#include "rng.h"
#include "text.h"
#include "train.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int shortly(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

/* Circles z' = (2p, -2q), exact states and derivatives. */
static hnn_data circles(int count, long rows, uint64_t seed)
{
    long length[64];
    hnn_data d;
    for (int k = 0; k < count; k++)
        length[k] = rows;
    cr_assert_eq(hnn_data_new(1, count, length, 1, &d, NULL), HNN_OK);
    hnn_rng r = hnn_rng_stream(seed, HNN_RNG_USER, 0);
    for (int k = 0; k < count; k++) {
        double R = hnn_rng_between(&r, 0.3, 1), a = hnn_rng_between(&r, 0, 6);
        for (long i = 0; i < rows; i++) {
            long at = k * rows + i;
            double t = 0.1 * (double)i, q = R * cos(a + 2 * t), p = -R * sin(a + 2 * t);
            d.t[at] = t, d.z[2 * at] = q, d.z[2 * at + 1] = p, d.dz[2 * at] = 2 * p,
            d.dz[2 * at + 1] = -2 * q;
        }
    }
    return d;
}

typedef struct task {
    hnn_data d, v;
    hnn_samples x, xv;
    hnn_loss_spec loss;
    hnn_model *m;
    double *start;
} task;

static void set_up(task *k, const char *loss, int width)
{
    hnn_error e = {0};
    *k = (task){.loss = {.loss = loss, .window = 3}};
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = width}, 5, &k->m, &e),
                 HNN_OK);
    k->d = circles(5, 8, 1), k->v = circles(2, 8, 2);
    cr_assert_eq(hnn_samples_new(&k->loss, k->m, &k->d, &k->x, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_samples_new(&k->loss, k->m, &k->v, &k->xv, &e), HNN_OK, "%s", e.message);
    k->start = malloc(sizeof *k->start * (size_t)k->m->size);
    memcpy(k->start, k->m->theta, sizeof *k->start * (size_t)k->m->size);
}

static void tear_down(task *k)
{
    hnn_data_free(&k->d), hnn_data_free(&k->v);
    hnn_samples_free(&k->x), hnn_samples_free(&k->xv);
    hnn_model_free(k->m);
    free(k->start);
}

static hnn_train_result run(task *k, const hnn_train_options *o)
{
    hnn_train_result r;
    hnn_error e = {0};
    memcpy(k->m->theta, k->start, sizeof *k->start * (size_t)k->m->size);
    cr_assert_eq(hnn_train(k->m, &k->loss, &k->x, &k->xv, o, &r, &e), HNN_OK, "%s", e.message);
    return r;
}

static double *copy_of(const hnn_model *m)
{
    double *x = malloc(sizeof *x * (size_t)m->size);
    memcpy(x, m->theta, sizeof *x * (size_t)m->size);
    return x;
}

Test(train, adam_agrees_with_its_formula_in_long_double)
{
    hnn_adam a;
    cr_assert_eq(hnn_adam_new(&a, 2, 0, 0, 0, 0.01, NULL), HNN_OK);
    double x[2] = {1, -2}, g[2];
    long double y[2] = {1, -2}, m[2] = {0}, v[2] = {0};
    for (int t = 1; t <= 50; t++) {
        for (int i = 0; i < 2; i++) {
            long double d = 3 * y[i] + cosl(y[i]) + 0.01L * y[i];
            m[i] = 0.9L * m[i] + 0.1L * d;
            v[i] = 0.999L * v[i] + 0.001L * d * d;
            y[i] -= 0.05L * (m[i] / (1 - powl(0.9L, t))) / (sqrtl(v[i] / (1 - powl(0.999L, t))) + 1e-8L);
            g[i] = 3 * x[i] + cos(x[i]);
        }
        hnn_adam_step(&a, 0.05, g, x);
        cr_assert_float_eq(x[0], (double)y[0], 1e-13);
        cr_assert_float_eq(x[1], (double)y[1], 1e-13);
    }
    hnn_adam_free(&a);
    hnn_error e = {0};
    cr_assert_eq(hnn_adam_new(&a, 2, 1, 0, 0, 0, &e), HNN_EARG);
    cr_assert(strstr(e.message, "beta1 1"), "%s", e.message);
}

Test(train, the_loss_of_a_spring_falls_and_the_curve_says_so)
{
    task k;
    set_up(&k, "derivative", 16);
    hnn_train_result r =
        run(&k, &(hnn_train_options){.steps = shortly() ? 40 : 600, .rate = 1e-2, .check_every = 20});
    cr_expect_eq(r.end, HNN_TRAINED);
    cr_assert_eq(r.points, r.steps / 20 + 1);
    cr_expect_lt(r.curve[r.points - 1].loss, r.curve[0].loss * (shortly() ? 0.9 : 0.02));
    for (long i = 0; i < r.points; i++)
        cr_expect_geq(r.curve[i].validation, r.validation);
    hnn_train_result_free(&r);
    tear_down(&k);
}

Test(train, schedules_have_the_rates_they_promise)
{
    task k;
    set_up(&k, "derivative", 4);
    hnn_train_options o = {
        .steps = 21, .rate = 0.1, .check_every = 1, .schedule = HNN_COSINE, .rate_end = 0.02, .warmup = 4};
    hnn_train_result r = run(&k, &o);
    for (int i = 0; i < 4; i++)
        cr_expect_float_eq(r.curve[i].rate, 0.1 * (i + 1) / 5, 1e-16);
    cr_expect_float_eq(r.curve[4].rate, 0.1, 1e-16);
    cr_expect_float_eq(r.curve[12].rate, 0.06, 1e-15); /* the middle of steps 4 .. 20 */
    cr_expect_float_eq(r.curve[20].rate, 0.02, 1e-15);
    hnn_train_result_free(&r);
    o = (hnn_train_options){.steps = 60, .rate = 3, .check_every = 1, .schedule = HNN_PLATEAU, .patience = 2};
    r = run(&k, &o);
    cr_expect_lt(r.curve[59].rate, 3); /* far too large a rate: no improvement, so it was halved */
    for (int i = 1; i < 60; i++)
        cr_expect(r.curve[i].rate == r.curve[i - 1].rate || r.curve[i].rate == r.curve[i - 1].rate / 2);
    hnn_train_result_free(&r);
    tear_down(&k);
}

Test(train, early_stopping_keeps_the_best_model)
{
    task k;
    set_up(&k, "derivative", 4);
    hnn_train_result r =
        run(&k, &(hnn_train_options){.steps = 500, .rate = 3, .check_every = 1, .stop_after = 3});
    cr_expect_eq(r.end, HNN_STOPPED_EARLY);
    cr_expect_lt(r.steps, 500);
    hnn_objective *o;
    double f;
    cr_assert_eq(hnn_objective_new(&k.loss, k.m, &k.xv, NULL, &o, NULL), HNN_OK);
    cr_assert_eq(hnn_objective_value(o, k.m->theta, &f, NULL, NULL), HNN_OK);
    cr_expect_eq(f, r.validation);
    hnn_objective_free(o);
    hnn_train_result_free(&r);
    tear_down(&k);
}

Test(train, a_diverging_run_ends_with_finite_parameters)
{
    task k;
    set_up(&k, "derivative", 4);
    k.x.dz[3] = INFINITY;
    hnn_train_result r = run(&k, &(hnn_train_options){.steps = 50});
    cr_expect_eq(r.end, HNN_DIVERGED);
    for (long i = 0; i < k.m->size; i++)
        cr_assert(isfinite(k.m->theta[i]));
    hnn_train_result_free(&r);
    tear_down(&k);
}

typedef struct stopper {
    volatile sig_atomic_t flag;
    long at;
} stopper;

static void stop_at(void *user, const hnn_progress *p)
{
    stopper *s = user;
    s->flag = p->step >= s->at;
}

Test(train, interrupted_anywhere_and_resumed_the_bits_are_those_of_the_unbroken_run)
{
    char folder[] = "/tmp/noether_trainXXXXXX", path[64], whole[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/part", folder);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    const char *const losses[] = {"derivative", "rollout"};
    for (int l = 0; l < (shortly() ? 1 : 4); l++) /* the last: L-BFGS, Levenberg-Marquardt */
        for (int real = AD_F64; real <= AD_F32; real++) {
            task k;
            set_up(&k, losses[l % 2], 6);
            hnn_train_options o = {.steps = 37,
                                   .rate = 1e-2,
                                   .batch = 7,
                                   .check_every = 3,
                                   .schedule = HNN_PLATEAU,
                                   .patience = 1,
                                   .real = real,
                                   .seed = 9,
                                   .checkpoint = whole};
            if (l >= 2)
                o.optimiser = l == 2 ? "lbfgs" : "lm", o.batch = 0, o.real = AD_F64;
            hnn_train_result r = run(&k, &o);
            double *want = copy_of(k.m);
            long points = r.points;
            hnn_train_result_free(&r);
            hnn_rng rng = hnn_rng_stream(3, HNN_RNG_USER, 0);
            for (int turn = 0; turn < (shortly() ? 1
                                       : l == 3  ? 3
                                                 : 10);
                 turn++) { /* two interruptions each */
                remove(path);
                stopper s = {.at = (long)hnn_rng_below(&rng, 18)};
                o.checkpoint = path, o.log = stop_at, o.user = &s, o.interrupt = &s.flag, o.resume = 1;
                r = run(&k, &o);
                cr_assert_eq(r.end, HNN_INTERRUPTED);
                hnn_train_result_free(&r);
                s = (stopper){.at = 18 + (long)hnn_rng_below(&rng, 18)};
                o.checkpoint_every = 4;
                r = run(&k, &o); /* from the checkpoint, whatever theta is now */
                hnn_train_result_free(&r);
                s = (stopper){.at = 1000};
                r = run(&k, &o);
                cr_assert_eq(r.end, HNN_TRAINED);
                cr_assert_eq(r.points, points, "%ld points", r.points);
                cr_assert_eq(memcmp(want, k.m->theta, sizeof *want * (size_t)k.m->size), 0);
                hnn_train_result_free(&r);
                o.checkpoint_every = 0;
                char *a, *b;
                size_t na, nb;
                cr_assert_eq(hnn_file_read(path, &a, &na, NULL), HNN_OK);
                cr_assert_eq(hnn_file_read(whole, &b, &nb, NULL), HNN_OK);
                cr_expect(na == nb && !memcmp(a, b, na), "the last checkpoints differ");
                free(a), free(b);
            }
            free(want);
            tear_down(&k);
        }
    remove(path), remove(whole), rmdir(folder);
}

Test(train, one_and_two_threads_give_the_same_bits)
{
    static const char *const losses[] = {"midpoint", "rollout"};
    for (int l = 0; l < 2; l++) {
        task k;
        set_up(&k, losses[l], 24);
        hnn_train_options o = {.steps = shortly() ? 5 : 30, .rate = 1e-2};
        hnn_train_result r = run(&k, &o);
        double *want = copy_of(k.m);
        hnn_train_result_free(&r);
        for (int threads = 2; threads <= 3; threads++) {
            o.pool = ad_pool_new(threads);
            r = run(&k, &o);
            cr_expect_eq(memcmp(want, k.m->theta, sizeof *want * (size_t)k.m->size), 0, "%s, %d threads",
                         losses[l], threads);
            hnn_train_result_free(&r);
            ad_pool_free(o.pool);
        }
        free(want);
        tear_down(&k);
    }
}

Test(train, what_does_not_fit_is_refused)
{
    task k;
    set_up(&k, "derivative", 4);
    hnn_train_result r;
    hnn_error e = {0};
    const struct {
        hnn_train_options o;
        const char *says;
    } wrong[] = {
        {{.steps = -1}, "-1 steps"},
        {{.rate = -1}, "rate -1"},
        {{.l2 = NAN}, "l2 nan"},
        {{.schedule = 7}, "schedule 7"},
        {{.optimiser = "sgd"}, "called 'sgd'"},
        {{.factor = 2}, "factor 2"},
        {{.patience = -2}, "patience -2"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_eq(hnn_train(k.m, &k.loss, &k.x, NULL, &wrong[i].o, &r, &e), HNN_EARG);
        cr_expect(strstr(e.message, wrong[i].says), "%s", e.message);
    }
    /* checkpoints: of another training, cut, of something else */
    char folder[] = "/tmp/noether_trainXXXXXX", path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c", folder);
    hnn_train_options o = {.steps = 3, .checkpoint = path};
    r = run(&k, &o);
    hnn_train_result_free(&r);
    o.resume = 1, o.rate = 0.5;
    cr_expect_eq(hnn_train(k.m, &k.loss, &k.x, &k.xv, &o, &r, &e), HNN_ESHAPE);
    cr_expect(strstr(e.message, "another model, loss, data or options"), "%s", e.message);
    hnn_model *other;
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 5}, 5, &other, &e),
                 HNN_OK);
    cr_expect_eq(hnn_train(other, &k.loss, &k.x, &k.xv, &o, &r, &e), HNN_ESHAPE);
    hnn_model_free(other);
    cr_assert_eq(hnn_sealed_write(path, "not a training, but sealed well", 31, &e), HNN_OK);
    cr_expect_eq(hnn_train(k.m, &k.loss, &k.x, &k.xv, &o, &r, &e), HNN_EFORMAT);
    cr_assert_eq(hnn_file_write(path, "short", 5, &e), HNN_OK);
    cr_expect_eq(hnn_train(k.m, &k.loss, &k.x, &k.xv, &o, &r, &e), HNN_ECHECKSUM);
    remove(path), rmdir(folder);
    tear_down(&k);
}

Test(train, lbfgs_lm_and_lsq_reach_losses_that_adam_does_not)
{
    task k;
    set_up(&k, "derivative", 4);
    hnn_train_result r = run(&k, &(hnn_train_options){.steps = shortly() ? 3 : 200, .rate = 1e-2});
    double adam = r.loss;
    hnn_train_result_free(&r);
    r = run(&k, &(hnn_train_options){.optimiser = "lbfgs", .steps = shortly() ? 5 : 200, .check_every = 10});
    cr_expect_eq(r.end, HNN_TRAINED);
    cr_expect(shortly() || r.loss < 0.01 * adam, "lbfgs %g, adam %g", r.loss, adam);
    for (long i = 2; i < r.points; i++)
        cr_expect_leq(r.curve[i].loss, r.curve[i - 1].loss, "a line search never climbs");
    hnn_train_result_free(&r);
    r = run(&k, &(hnn_train_options){.optimiser = "lm", .steps = shortly() ? 3 : 100});
    cr_expect(shortly() || r.loss < 0.01 * adam, "lm %g, adam %g", r.loss, adam);
    hnn_train_result_free(&r);
    tear_down(&k);
    hnn_data d = circles(12, 8, 1);
    hnn_samples x;
    hnn_model *m;
    hnn_error e = {0};
    hnn_loss_spec loss = {0};
    cr_assert_eq(
        hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = shortly() ? 12 : 60, .layers = 1},
                      5, &m, &e),
        HNN_OK);
    cr_assert_eq(hnn_samples_new(&loss, m, &d, &x, &e), HNN_OK);
    cr_assert_eq(hnn_train(m, &loss, &x, NULL, &(hnn_train_options){.optimiser = "lsq"}, &r, &e), HNN_OK,
                 "%s", e.message);
    cr_expect(shortly() || r.loss < 1e-8, "lsq %g", r.loss); /* 60 features: 5e-10 */
    hnn_train_result_free(&r);
    hnn_model_free(m);
    /* every way to draw features, polished: the loss falls on, and a resumed run has the same bits */
    char folder[] = "/tmp/noether_trainXXXXXX", path[64], first[72];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c", folder), snprintf(first, sizeof first, "%s.lsq", path);
    const char *const sampling[] = {"normal", "pairs", "steep"};
    for (int s = 0; s < 3; s++) {
        double solved = 0, *want = NULL;
        for (int turn = 0; turn < 4; turn++) { /* solved; polished; interrupted in it; resumed */
            stopper stop = {.at = turn == 2 ? 3 : 1000};
            hnn_train_options o = {
                .optimiser = "lsq", .sampling = sampling[s], .polish = turn ? 12 : 0, .check_every = 1};
            o.checkpoint = turn ? path : NULL, o.resume = turn == 3, o.log = stop_at, o.user = &stop,
            o.interrupt = &stop.flag;
            if (turn < 3) {
                hnn_model_free(turn ? m : NULL);
                hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 8, .layers = 1}, 5, &m,
                              NULL);
            }
            cr_assert_eq(hnn_train(m, &loss, &x, NULL, &o, &r, &e), HNN_OK, "%s", e.message);
            cr_expect_eq(r.end, turn == 2 ? HNN_INTERRUPTED : HNN_TRAINED);
            cr_expect_eq(r.steps,
                         turn == 0   ? 1
                         : turn == 2 ? 5
                                     : 13,
                         "%s, turn %d: %ld steps", sampling[s], turn, r.steps);
            if (turn == 0)
                solved = r.loss;
            else if (turn == 1)
                want = copy_of(m);
            if (turn == 1)
                cr_expect_lt(r.loss, 0.9 * solved, "%s: %g after %g", sampling[s], r.loss, solved);
            if (turn == 3)
                cr_expect_eq(memcmp(want, m->theta, sizeof *want * (size_t)m->size), 0, "%s", sampling[s]);
            hnn_train_result_free(&r);
            if (turn == 1)
                remove(path), remove(first);
        }
        free(want);
        hnn_model_free(m);
        remove(path), remove(first);
    }
    rmdir(folder);
    cr_assert_eq(
        hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 8, .layers = 1}, 5, &m, &e),
        HNN_OK);
    cr_expect_eq(
        hnn_train(m, &loss, &x, NULL, &(hnn_train_options){.optimiser = "lsq", .sampling = "even"}, &r, &e),
        HNN_EARG);
    cr_expect(strstr(e.message, "'even'"), "%s", e.message);
    cr_expect_eq(hnn_train(m, &loss, &x, NULL, &(hnn_train_options){.polish = 3}, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "lsq"), "%s", e.message);
    hnn_model_free(m);
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "node", .dof = 1, .width = 30}, 5, &m, &e), HNN_OK);
    cr_expect_eq(hnn_train(m, &loss, &x, NULL, &(hnn_train_options){.optimiser = "lsq"}, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "given node with 2 layers"), "%s", e.message);
    hnn_model_free(m);
    cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 60}, 5, &m, &e), HNN_OK);
    cr_expect_eq(hnn_train(m, &loss, &x, NULL, &(hnn_train_options){.optimiser = "lm"}, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "at most 2000"), "%s", e.message);
    cr_expect_eq(
        hnn_train(m, &loss, &x, NULL, &(hnn_train_options){.optimiser = "lbfgs", .batch = 5}, &r, &e),
        HNN_EARG);
    cr_expect(strstr(e.message, "not batches of 5"), "%s", e.message);
    hnn_model_free(m);
    hnn_samples_free(&x);
    hnn_data_free(&d);
}

Test(train, lm_and_lsq_validate_keep_the_best_and_have_checkpoints)
{
    char folder[] = "/tmp/noether_trainXXXXXX", path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c", folder);
    static const char *const optimiser[] = {"lm", "lsq"};
    for (int l = 0; l < 2; l++) {
        task k;
        set_up(&k, "derivative", 4);
        hnn_model_free(k.m);
        cr_assert_eq(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .width = 12, .layers = 1}, 5,
                                   &k.m, NULL),
                     HNN_OK);
        free(k.start), k.start = copy_of(k.m);
        for (long i = 0; i < k.xv.n; i++) /* what is held out is something else, so it stops early */
            k.xv.dz[2 * i] *= -1;
        hnn_train_options o = {
            .optimiser = optimiser[l], .steps = 30, .check_every = 1, .stop_after = 4, .checkpoint = path};
        hnn_train_result r = run(&k, &o);
        cr_expect_eq(r.end, l ? HNN_TRAINED : HNN_STOPPED_EARLY, "%s: end %d", optimiser[l], r.end);
        cr_expect(l == 0 || r.steps == 1);
        double smallest = INFINITY;
        for (long i = 0; i < r.points; i++)
            smallest = fmin(smallest, r.curve[i].validation);
        cr_expect_eq(r.validation, smallest, "%s: kept %g, seen %g", optimiser[l], r.validation, smallest);
        cr_expect(l || r.best_step < r.steps);
        double *want = copy_of(k.m);
        long points = r.points;
        hnn_train_result_free(&r);
        o.resume = 1;
        r = run(&k, &o); /* it was over: nothing is done again */
        cr_expect_eq(r.points, points);
        cr_expect_eq(memcmp(want, k.m->theta, sizeof *want * (size_t)k.m->size), 0, "%s", optimiser[l]);
        hnn_train_result_free(&r);
        remove(path);
        free(want);
        tear_down(&k);
    }
    rmdir(folder);
    /* the penalty of lm is that of the others: one constant, whose minimum is known */
    task k;
    set_up(&k, "derivative", 4);
    hnn_model_free(k.m), free(k.start);
    const hnn_constant c = {"k", 0.3, 1};
    cr_assert_eq(
        hnn_model_new(
            &(hnn_model_spec){.model = "text", .dof = 1, .H = "p^2+k*q^2", .constant = &c, .constants = 1}, 1,
            &k.m, NULL),
        HNN_OK);
    k.start = copy_of(k.m);
    double qq = 0; /* mean of (2 k q - 2 q)^2 over 2 n numbers + l2 k^2/2 */
    for (long i = 0; i < k.x.n; i++)
        qq += 4 * k.x.z[2 * i] * k.x.z[2 * i] / (2 * (double)k.x.n);
    hnn_train_result r = run(&k, &(hnn_train_options){.optimiser = "lm", .l2 = 0.1});
    cr_expect_float_eq(k.m->theta[0], qq / (qq + 0.05), 1e-9);
    hnn_train_result_free(&r);
    tear_down(&k);
}

/* Noisy states of a spring: the constant that comes from rollouts whose first states are as measured, and as trained. */
Test(train, first_states_that_are_trained_give_better_constants_from_noisy_states)
{
    const hnn_constant c = {"k", 0.8, 1};
    const hnn_model_spec spec = {.model = "text", .dof = 1, .H = "p^2+k*q^2", .constant = &c, .constants = 1};
    static const struct {
        hnn_loss_spec loss;
        const char *optimiser;
    } all[] = {{{.loss = "rollout", .window = 23, .stride = 24}, "lbfgs"},
               {{.loss = "rollout", .window = 23, .stride = 24}, "adam"},
               {{.loss = "gauss4"}, "lbfgs"}};
    for (int l = 0; l < (shortly() ? 1 : 3); l++) {
        double error[2] = {0, 0}, away[2] = {0, 0};
        for (int seed = 0; seed < (shortly() ? 2 : 6); seed++)
            for (int starts = 0; starts < 2; starts++) {
                hnn_data d = circles(6, 24, (uint64_t)seed), clean = circles(6, 24, (uint64_t)seed);
                hnn_data_noise(&d, 0.05, 0, (uint64_t)seed);
                hnn_model *m;
                hnn_samples x;
                hnn_train_result r;
                hnn_error e = {0};
                hnn_loss_spec loss = all[l].loss;
                loss.starts = starts;
                cr_assert_eq(hnn_model_new(&spec, 1, &m, &e), HNN_OK);
                cr_assert_eq(hnn_samples_new(&loss, m, &d, &x, &e), HNN_OK);
                hnn_train_options o = {.optimiser = all[l].optimiser,
                                       .steps = l == 1 ? 400 : 60,
                                       .rate = 0.01,
                                       .schedule = HNN_COSINE};
                cr_assert_eq(hnn_train(m, &loss, &x, NULL, &o, &r, &e), HNN_OK, "%s", e.message);
                cr_assert_eq(r.starts != NULL, starts);
                error[starts] += (m->theta[0] - 1) * (m->theta[0] - 1);
                for (long i = 0; i < x.n && l < 2; i++) /* first states, one a trajectory */
                    for (int j = 0; j < 2; j++) {
                        double truth = clean.z[i * 24 * 2 + j];
                        double got = starts ? r.starts[2 * i + j] : x.z[i * x.states * 2 + j];
                        away[starts] += (got - truth) * (got - truth);
                    }
                hnn_train_result_free(&r);
                hnn_samples_free(&x);
                hnn_model_free(m);
                hnn_data_free(&d), hnn_data_free(&clean);
            }
        cr_expect(shortly() || error[1] < (l == 2 ? 1 : 0.3) * error[0],
                  "%s, %s: squared errors %g with, %g without", all[l].loss.loss, all[l].optimiser, error[1],
                  error[0]);
        cr_expect(l == 2 || away[1] < 0.3 * away[0], "%s: first states %g away, %g as measured",
                  all[l].loss.loss, away[1], away[0]);
    }
    task k;
    set_up(&k, "rollout", 4);
    k.loss.starts = 1;
    static const struct {
        hnn_train_options o;
        const char *says;
    } wrong[] = {{{.batch = 5}, "on all samples, not on 5"}, {{.optimiser = "lm"}, "no first states"}};
    hnn_train_result r;
    hnn_error e = {0};
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(hnn_train(k.m, &k.loss, &k.x, NULL, &wrong[i].o, &r, &e), HNN_EARG);
        cr_expect(strstr(e.message, wrong[i].says), "%s", e.message);
    }
    k.loss.loss = "derivative";
    cr_expect_eq(hnn_train(k.m, &k.loss, &k.x, NULL, NULL, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "no first state"), "%s", e.message);
    tear_down(&k);
}

Test(train, windows_grow_and_a_resumed_stage_is_skipped)
{
    char folder[] = "/tmp/noether_trainXXXXXX", path[64], part[80];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c", folder);
    task k;
    set_up(&k, "rollout", 4);
    k.loss.window = 5; /* stages of 1, 2, 4, 5 */
    hnn_train_options o = {.steps = 12, .rate = 1e-2, .check_every = 5, .checkpoint = path};
    hnn_train_result r;
    hnn_error e = {0};
    cr_assert_eq(hnn_train_windows(k.m, &k.loss, &k.d, &k.v, &o, &r, &e), HNN_OK, "%s", e.message);
    cr_expect_eq(r.steps, 12);
    cr_expect_eq(r.end, HNN_TRAINED);
    double *want = copy_of(k.m);
    hnn_train_result_free(&r);
    remove(path); /* interrupted before the last stage, so to say */
    memcpy(k.m->theta, k.start, sizeof *k.start * (size_t)k.m->size);
    o.resume = 1;
    cr_assert_eq(hnn_train_windows(k.m, &k.loss, &k.d, &k.v, &o, &r, &e), HNN_OK, "%s", e.message);
    cr_expect_eq(memcmp(want, k.m->theta, sizeof *want * (size_t)k.m->size), 0);
    hnn_train_result_free(&r);
    free(want);
    for (int w = 1; w <= 4; w *= 2) {
        snprintf(part, sizeof part, "%s.%d", path, w);
        cr_expect_eq(remove(part), 0, "%s is not there", part);
    }
    k.loss.loss = "none";
    cr_expect_eq(hnn_train_windows(k.m, &k.loss, &k.d, NULL, &o, &r, &e), HNN_EARG);
    remove(path), rmdir(folder);
    tear_down(&k);
}
