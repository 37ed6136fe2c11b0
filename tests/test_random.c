/* test_random.c - random tapes: ad_value, naive replay, optimised replay, every block size and number of threads and
 * emitted C give equal bits; gradients and Hessian-vector products lie within rounding of long double.
 *
 * Emitted C goes through the C compiler, so one tape in 25 takes part in it, one in 10 in a long run, every one of
 * `./dev random 2000`.
 * NOETHER_RANDOM_TAPES=100000 makes the run long, NOETHER_RANDOM_SEED chooses where it begins (./dev random).
 * SPDX-License-Identifier: MIT */
#include "emit_test.h"
#include "random_tape.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 5, OUTS = 6, ROOM = 16 * 16 + 16 };

static long count(long usual)
{
    const char *n = getenv("NOETHER_RANDOM_TAPES"), *is_short = getenv("NOETHER_TEST_SHORT");
    return n ? atol(n) : is_short ? usual / 40 : usual;
}
static long first_seed(void)
{
    const char *s = getenv("NOETHER_RANDOM_SEED");
    return s ? atol(s) : 1;
}

static int size_of(ad_var x) { return (ad_rows(x) < 0 ? -ad_rows(x) * BATCH : ad_rows(x)) * ad_cols(x); }

static void inputs(random_tape *r, double x[RT_INPUTS][ROOM])
{
    for (int i = 0; i < RT_INPUTS; i++) {
        for (int k = 0; k < ROOM; k++)
            x[i][k] = 4 * rt_real(r) - 2;
        ad_set(r->in[i], ad_rows(r->in[i]) < 0 ? BATCH : ad_rows(r->in[i]), x[i]);
    }
}

/* The first element that differs, -1 when none does. A NaN is a NaN. */
static int first_other(const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) && !(isnan(a[i]) && isnan(b[i])))
            return i;
    return -1;
}

/* Outputs of one way of running against the values. */
static void ways_agree(random_tape *r, long seed, int nout, const ad_var out[], double x[RT_INPUTS][ROOM],
                       ad_pool *pool)
{
    static const ad_options options[] = {
        {.opt = AD_OPT_NONE}, {.opt = AD_OPT_FULL}, {.block = 1}, {.block = 2}};
    const void *in[RT_INPUTS];
    double got[OUTS][ROOM];
    void *to[OUTS];
    for (int i = 0; i < RT_INPUTS; i++)
        in[i] = x[i];
    for (int i = 0; i < nout; i++)
        to[i] = got[i];
    for (int o = 0; o < 4; o++) {
        ad_program *p = ad_compile(r->t, RT_INPUTS, r->in, nout, out, &options[o]);
        cr_assert(p, "seed %ld: %s", seed, ad_message(r->t));
        ad_work *w = ad_work_new(p, o == 2 ? pool : NULL);
        for (int again = 0; again < 2; again++) {
            memset(got, 0x55, sizeof got);
            cr_assert_eq(ad_run(w, BATCH, in, to), AD_OK, "seed %ld: %s", seed, ad_work_message(w));
            for (int i = 0; i < nout; i++) {
                const double *want = ad_value(out[i]);
                cr_assert(want, "seed %ld: %s", seed, ad_message(r->t));
                int at = first_other(want, got[i], size_of(out[i]));
                cr_assert(at < 0,
                          "seed %ld: output %d of way %d (ad_%s): element %d is %.17g, by ad_value %.17g",
                          seed, i, o, ad_name(out[i]), at, got[i][at < 0 ? 0 : at], want[at < 0 ? 0 : at]);
            }
        }
        ad_work_free(w);
        ad_program_free(p);
    }
}

/* The tape of a seed, what its inputs are set to, and its outputs: the last two nodes and any others. */
static random_tape tape_of(long seed, double x[RT_INPUTS][ROOM], ad_var out[OUTS])
{
    random_tape r = rt_new((uint64_t)seed, 10 + (int)(seed % 190), 0);
    inputs(&r, x);
    for (int i = 0; i < OUTS; i++)
        out[i] = i < 2 ? r.v[r.n - 1 - i] : rt_any(&r);
    return r;
}

Test(random, every_way_of_running_gives_the_same_bits)
{
    enum { POOLS = 4 };
    ad_pool *pool[POOLS];
    for (int i = 0; i < POOLS; i++)
        pool[i] = ad_pool_new(i + 1);
    for (long k = 0, n = count(2000); k < n; k++) {
        long seed = first_seed() + k;
        double x[RT_INPUTS][ROOM];
        ad_var out[OUTS];
        random_tape r = tape_of(seed, x, out);
        cr_assert_eq(ad_status(r.t), AD_OK, "seed %ld: %s", seed, ad_message(r.t));
        ways_agree(&r, seed, OUTS, out, x, pool[k % POOLS]);
        ad_free(r.t);
    }
    for (int i = 0; i < POOLS; i++)
        ad_pool_free(pool[i]);
}

/* Tapes whose emitted C is compiled together: what each read and what ad_value made of it. */
enum { TOGETHER = 50 };
typedef struct emitted {
    emit_batch e;
    long seed[TOGETHER];
    double x[TOGETHER][RT_INPUTS][ROOM], want[TOGETHER][OUTS][ROOM];
} emitted;

static void emit_tape(emitted *m, random_tape *r, long seed, const ad_var out[], double x[RT_INPUTS][ROOM])
{
    int k = m->e.n;
    m->seed[k] = seed;
    memcpy(m->x[k], x, sizeof m->x[k]);
    for (int i = 0; i < OUTS; i++)
        memcpy(m->want[k][i], ad_value(out[i]), (size_t)size_of(out[i]) * sizeof(double));
    emit_add_one(&m->e, r->t, RT_INPUTS, r->in, OUTS, out,
                 &(ad_options){.opt = k % 4 == 3 ? AD_OPT_NONE : AD_OPT_FULL});
}

/* Compiles what has gathered and compares; false where there is no compiler. */
static bool emitted_agree(emitted *m)
{
    bool there = m->e.n == 0 || emit_load(&m->e, "-O1");
    for (int k = 0; there && k < m->e.n; k++) {
        char name[32];
        double got[OUTS][ROOM], *to[OUTS];
        const double *in[RT_INPUTS];
        emit_f64 *run;
        size_t (*work_of)(int);
        snprintf(name, sizeof name, "f%d", k);
        *(void **)&run = dlsym(m->e.library, name);
        snprintf(name, sizeof name, "f%d_work", k);
        *(void **)&work_of = dlsym(m->e.library, name);
        cr_assert(run && work_of);
        double *work = malloc((work_of(BATCH) + 1) * sizeof *work);
        for (int i = 0; i < RT_INPUTS; i++)
            in[i] = m->x[k][i];
        for (int i = 0; i < OUTS; i++)
            to[i] = got[i];
        memset(got, 0x55, sizeof got);
        cr_assert_eq(run(BATCH, in, to, work), AD_OK, "seed %ld", m->seed[k]);
        free(work);
        for (int i = 0; i < OUTS; i++) {
            int n = (int)emit_size(m->e.c[k].out_rows[i], m->e.c[k].out_cols[i], BATCH);
            int at = first_other(m->want[k][i], got[i], n);
            cr_assert(at < 0, "seed %ld: output %d of emitted C: element %d is %.17g, by ad_value %.17g",
                      m->seed[k], i, at, got[i][at < 0 ? 0 : at], m->want[k][i][at < 0 ? 0 : at]);
        }
    }
    emit_free(&m->e);
    m->e = (emit_batch){0};
    return there;
}

Test(random, emitted_c_gives_the_bits_of_the_values)
{
    static emitted m;
    const char *asked = getenv("NOETHER_RANDOM_TAPES");
    long every = !asked ? 25 : atol(asked) <= 5000 ? 1 : 10, compared = 0;
    bool there = true;
    for (long k = 0, n = count(2000); there && k < n; k += every) {
        long seed = first_seed() + k;
        double x[RT_INPUTS][ROOM];
        ad_var out[OUTS];
        random_tape r = tape_of(seed, x, out);
        emit_tape(&m, &r, seed, out, x);
        ad_free(r.t);
        compared++;
        if (m.e.n == TOGETHER || k + every >= n)
            there = emitted_agree(&m);
    }
    if (!there)
        cr_skip("there is no C compiler");
    if (getenv("NOETHER_RANDOM_TAPES"))
        fprintf(stderr, "emitted C of %ld tapes compared\n", compared);
}

/* out [1,1] in double against long double; the bound is 16 eps times the sum over nodes of |d out/d v * v|. */
static double error_in_bounds(random_tape *r, long seed, const char *what, ad_var out,
                              double x[RT_INPUTS][ROOM])
{
    static long double xl[RT_INPUTS][ROOM];
    int nodes = ad_nodes(r->t);
    ad_var one = ad_num(1), *v = malloc((size_t)nodes * sizeof *v), *d = malloc((size_t)nodes * sizeof *d);
    const void *in64[RT_INPUTS], *in80[RT_INPUTS];
    int n = 0;
    for (int i = 0; i < RT_INPUTS; i++) {
        for (int k = 0; k < ROOM; k++)
            xl[i][k] = x[i][k];
        in64[i] = x[i];
        in80[i] = xl[i];
    }
    for (int i = 0; i < nodes; i++) { /* every node recorded so far */
        v[i] = out;
        v[i].id = i;
    }
    ad_vjp(1, &out, &one, nodes, v, d);
    for (int i = 0; i < nodes; i++)
        if (!ad_is_void(d[i]))
            d[n++] = ad_sum(ad_abs(ad_mul(d[i], v[i])));
    ad_var condition = ad_add_n(n, d), both[2] = {out, condition};
    free(d);
    free(v);
    cr_assert_eq(ad_status(r->t), AD_OK, "seed %ld, %s: %s", seed, what, ad_message(r->t));
    ad_program *p64 = ad_compile(r->t, RT_INPUTS, r->in, 1, both, NULL),
               *p80 = ad_compile(r->t, RT_INPUTS, r->in, 2, both, &(ad_options){.real = AD_F80});
    ad_work *w64 = ad_work_new(p64, NULL), *w80 = ad_work_new(p80, NULL);
    double y = 0;
    long double yl = 0, sum = 0;
    cr_assert_eq(ad_run(w64, BATCH, in64, (void *[]){&y}), AD_OK);
    cr_assert_eq(ad_run(w80, BATCH, in80, (void *[]){&yl, &sum}), AD_OK);
    ad_work_free(w64);
    ad_work_free(w80);
    ad_program_free(p64);
    ad_program_free(p80);
    if (!isfinite(y) || !isfinite((double)yl) || !isfinite((double)sum))
        return NAN;
    return (double)(fabsl(y - yl) / (0x1p-52L * (sum + fabsl(yl)) + 1e-300L));
}

Test(random, gradients_and_hessian_vector_products_lie_within_rounding_of_long_double)
{
    double worst = 0;
    long measured = 0, tapes = count(2000);
    for (long k = 0; k < tapes; k++) {
        long seed = first_seed() + k;
        random_tape r = rt_new((uint64_t)seed, 10 + (int)(seed % 60), 1);
        double x[RT_INPUTS][ROOM];
        inputs(&r, x);
        ad_var y = ad_sum(ad_tanh(r.v[r.n - 1])), g[2], h, w[2] = {r.in[4], r.in[1]};
        ad_vjp(1, &y, &(ad_var){.value = 1}, 2, w, g);
        ad_var slope = ad_add(ad_sum(ad_mul(g[0], ad_cos(ad_num(1)))), ad_sum(g[1]));
        h = ad_hvp(y, r.in[4], ad_mul(ad_num(0.5), ad_stop(r.in[4])));
        ad_var out[3] = {y, slope, ad_sum(h)};
        static const char *const what[] = {"value", "gradient", "Hessian-vector product"};
        for (int i = 0; i < 3; i++) {
            double e = error_in_bounds(&r, seed, what[i], out[i], x);
            if (isnan(e))
                continue;
            measured++;
            worst = e > worst ? e : worst;
            cr_assert(e <= 16, "seed %ld: %s is off by %.3g times the rounding of its nodes", seed, what[i],
                      e);
        }
        ad_free(r.t);
    }
    cr_assert(measured > tapes, "only %ld of %ld were finite", measured, 3 * tapes);
    if (getenv("NOETHER_RANDOM_TAPES"))
        fprintf(stderr, "%ld comparisons, the worst at %.2f of 16\n", measured, worst);
}
