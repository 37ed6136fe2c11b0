/* test_random.c - random tapes: ad_value, naive replay, optimised replay, every block size on every number of threads and
 * emitted C give equal bits; gradients and Hessian-vector products lie within rounding of long double.
 *
 * Every tape takes part in all of it. The C of 100 tapes is one file (ad_emit_all); of few tapes (`./dev random 1 SEED`
 * repeats what failed) it is compiled at every level of optimisation.
 * NOETHER_RANDOM_TAPES=100000 makes the run long, NOETHER_RANDOM_SEED chooses where it begins (./dev random); it then says
 * how far it is, and what it compared, for tests/tools/random.sh to add up.
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

/* Of a long run: how far it is, now and then; at its end a line for tests/tools/random.sh. */
static void progress(const char *what, long done, long n)
{
    if (getenv("NOETHER_RANDOM_TAPES") && n >= 1000 && done % (n / 20) == 0)
        fprintf(stderr, "from seed %ld, %s: %ld of %ld\n", first_seed(), what, done, n);
}
#define SUM_UP(...) (getenv("NOETHER_RANDOM_TAPES") ? fprintf(stderr, "sum: " __VA_ARGS__) : 0)

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

enum { POOLS = 5 }; /* none, and of 1 to 4 threads */

static void run_agrees(ad_work *w, long seed, int way, int threads, const ad_var out[],
                       double x[RT_INPUTS][ROOM])
{
    const void *in[RT_INPUTS];
    double got[OUTS][ROOM];
    void *to[OUTS];
    for (int i = 0; i < RT_INPUTS; i++)
        in[i] = x[i];
    for (int i = 0; i < OUTS; i++)
        to[i] = got[i];
    memset(got, 0x55, sizeof got);
    cr_assert_eq(ad_run(w, BATCH, in, to), AD_OK, "seed %ld: %s", seed, ad_work_message(w));
    for (int i = 0; i < OUTS; i++) {
        const double *want = ad_value(out[i]);
        cr_assert(want, "seed %ld: no value of output %d", seed, i);
        int at = first_other(want, got[i], size_of(out[i]));
        cr_assert(
            at < 0,
            "seed %ld: output %d of way %d on %d threads (ad_%s): element %d is %.17g, by ad_value %.17g",
            seed, i, way, threads, ad_name(out[i]), at, got[i][at < 0 ? 0 : at], want[at < 0 ? 0 : at]);
    }
}

/* Every way of running against the values; how many runs. */
static long ways_agree(random_tape *r, long seed, const ad_var out[], double x[RT_INPUTS][ROOM],
                       ad_pool *const pool[POOLS])
{
    static const ad_options options[] = {
        {.opt = AD_OPT_NONE}, {.opt = AD_OPT_FULL}, {.block = 1}, {.block = 2}};
    long runs = 0;
    for (int o = 0; o < 4; o++) {
        ad_program *p = ad_compile(r->t, RT_INPUTS, r->in, OUTS, out, &options[o]);
        cr_assert(p, "seed %ld: %s", seed, ad_message(r->t));
        for (int threads = 0; threads < POOLS; threads++) {
            ad_work *w = ad_work_new(p, pool[threads]);
            for (int again = 0; again < 2; again++, runs++)
                run_agrees(w, seed, o, threads, out, x);
            ad_work_free(w);
        }
        ad_program_free(p);
    }
    return runs;
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
    ad_pool *pool[POOLS] = {NULL};
    long runs = 0, n = count(2000);
    for (int i = 1; i < POOLS; i++)
        pool[i] = ad_pool_new(i);
    for (long k = 0; k < n; k++) {
        long seed = first_seed() + k;
        double x[RT_INPUTS][ROOM];
        ad_var out[OUTS];
        random_tape r = tape_of(seed, x, out);
        cr_assert_eq(ad_status(r.t), AD_OK, "seed %ld: %s", seed, ad_message(r.t));
        runs += ways_agree(&r, seed, out, x, pool);
        ad_free(r.t);
        progress("ways of running", k + 1, n);
    }
    for (int i = 1; i < POOLS; i++)
        ad_pool_free(pool[i]);
    SUM_UP("ways %ld %ld\n", n, runs);
}

/* How emitted C is compiled: `usual` and `many` of each 1,000 tapes of the ordinary and of a long run. Alone: a file for
 * each tape, as ad_native has it, so that it must carry every kernel that it calls. The first is the level of ad_native. */
typedef struct level {
    const char *flags[6];
    bool alone;
    int usual, many;
} level;
#define NATIVE "-O3", "-fno-math-errno", "-fno-trapping-math"
static const level levels[] = {
    {{NATIVE, "-march=native"}, true, 5, 10},
    {{NATIVE, "-march=native"}, false, 0, 190},
    {{"-O1"}, false, 20, 200},
    {{"-Og"}, false, 55, 300},
    {{"-O0"}, false, 920, 300},
};
enum { LEVELS = sizeof levels / sizeof *levels, TOGETHER = EMIT_MOST, APART = 10, FEW = 20 };

/* Is tape k of n compiled at this level? Every one of few, and where time is short only without optimisation. */
static bool at_level(int l, long k, long n)
{
    bool many = getenv("NOETHER_RANDOM_TAPES") != NULL;
    long from = 0;
    if (getenv("NOETHER_TEST_SHORT"))
        return l == LEVELS - 1;
    for (int i = 0; i < l; i++)
        from += many ? levels[i].many : levels[i].usual;
    k = k % 1000 - from;
    return n <= FEW || (k >= 0 && k < (many ? levels[l].many : levels[l].usual));
}

/* Tapes whose emitted C is compiled together: what each read and what ad_value made of it. */
typedef struct emitted {
    emit_batch e;
    double x[TOGETHER][RT_INPUTS][ROOM], want[TOGETHER][OUTS][ROOM];
} emitted;

static void emit_tape(emitted *m, long seed)
{
    int k = m->e.n;
    ad_var out[OUTS];
    random_tape r = tape_of(seed, m->x[k], out);
    for (int i = 0; i < OUTS; i++) {
        const double *want = ad_value(out[i]);
        cr_assert(want, "seed %ld: %s", seed, ad_message(r.t));
        memcpy(m->want[k][i], want, (size_t)size_of(out[i]) * sizeof *want);
    }
    emit_add_one(&m->e, r.t, RT_INPUTS, r.in, OUTS, out,
                 &(ad_options){.opt = seed % 4 == 3 ? AD_OPT_NONE : AD_OPT_FULL});
    m->e.c[k].id = seed; /* so its function bears the seed in messages of the compiler */
    ad_free(r.t);
}

/* Compiles what has gathered and compares; false where there is no compiler. */
static bool emitted_agree(emitted *m, const level *l)
{
    bool there = m->e.n == 0 || emit_load_with(&m->e, !l->alone, l->flags);
    for (int k = 0; there && k < m->e.n; k++) {
        double got[OUTS][ROOM], *to[OUTS];
        const double *in[RT_INPUTS];
        emit_f64 *run;
        size_t (*work_of)(int);
        *(void **)&run = emit_function(&m->e, k, &work_of);
        double *work = malloc((work_of(BATCH) + 1) * sizeof *work);
        for (int i = 0; i < RT_INPUTS; i++)
            in[i] = m->x[k][i];
        for (int i = 0; i < OUTS; i++)
            to[i] = got[i];
        memset(got, 0x55, sizeof got);
        long seed = m->e.c[k].id;
        cr_assert_eq(run(BATCH, in, to, work), AD_OK, "seed %ld", seed);
        free(work);
        for (int i = 0; i < OUTS; i++) {
            int n = (int)emit_size(m->e.c[k].out_rows[i], m->e.c[k].out_cols[i], BATCH);
            int at = first_other(m->want[k][i], got[i], n);
            cr_assert(at < 0, "seed %ld: output %d of emitted C (%s): element %d is %.17g, by ad_value %.17g",
                      seed, i, l->flags[0], at, got[i][at < 0 ? 0 : at], m->want[k][i][at < 0 ? 0 : at]);
        }
    }
    emit_free(&m->e);
    m->e = (emit_batch){0};
    return there;
}

Test(random, emitted_c_gives_the_bits_of_the_values)
{
    static emitted m;
    long n = count(2000), compared = 0;
    bool there = true;
    for (int l = 0; l < LEVELS; l++) {
        for (long k = 0; there && k < n; k++) {
            if (!at_level(l, k, n))
                continue;
            emit_tape(&m, first_seed() + k);
            if (m.e.n == (levels[l].alone ? APART : TOGETHER))
                there = emitted_agree(&m, &levels[l]);
            compared++;
            progress("emitted C", compared, n);
        }
        there = there && emitted_agree(&m, &levels[l]);
    }
    if (!there)
        cr_skip("there is no C compiler");
    SUM_UP("emitted %ld\n", n <= FEW ? compared / LEVELS : compared);
}

/* Tapes of long runs that once did not pass: a copy of a view of which nobody read an element, "set but not used". */
Test(random, tapes_that_once_failed_pass)
{
    static const long seed[] = {36752, 57476};
    static emitted m;
    for (size_t i = 0; i < sizeof seed / sizeof *seed; i++)
        emit_tape(&m, seed[i]);
    if (!emitted_agree(&m, &levels[LEVELS - 1]))
        cr_skip("there is no C compiler");
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
        random_tape r = rt_new((uint64_t)seed, 10 + (int)(seed % 190), 1);
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
        progress("derivatives", k + 1, tapes);
    }
    cr_assert(measured > tapes, "only %ld of %ld were finite", measured, 3 * tapes);
    SUM_UP("derivatives %ld %ld %.2f\n", tapes, measured, worst);
}
