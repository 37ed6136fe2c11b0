/* bench.h - what the benchmarks of programs share: a clock, medians, and the measured FMA peak of this core.
 *
 * Invariant: the peak is measured in the same run as what is compared with it, because clocks drift.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BENCH_ROUNDS = 21 };

static inline double bench_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
/* Processor seconds of this thread: what other processes take on a shared machine does not count. */
static inline double bench_now(void) { return bench_clock(CLOCK_THREAD_CPUTIME_ID); }
static inline double bench_wall(void) { return bench_clock(CLOCK_MONOTONIC); }

/* Stay on this processor, and so do the processes started from here. */
static inline void bench_pin(void)
{
    cpu_set_t set;
    int cpu = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : cpu, &set);
    if (cpu >= 0)
        sched_setaffinity(0, sizeof set, &set);
}

static inline int bench_by_value(const void *p, const void *q)
{
    const double x = *(const double *)p, y = *(const double *)q;
    return (x > y) - (x < y);
}

/* Seconds of one call: the median of BENCH_ROUNDS rounds, each long enough for the clock. */
static inline double bench_seconds(void (*work)(void *), void *arg)
{
    double x[BENCH_ROUNDS];
    long repeat = 1;
    for (;; repeat *= 2) {
        double t0 = bench_now();
        for (long i = 0; i < repeat; i++)
            work(arg);
        if (bench_now() - t0 > 2e-3 || repeat > 1 << 24)
            break;
    }
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        double t0 = bench_now();
        for (long i = 0; i < repeat; i++)
            work(arg);
        x[r] = (bench_now() - t0) / (double)repeat;
    }
    qsort(x, BENCH_ROUNDS, sizeof *x, bench_by_value);
    return x[BENCH_ROUNDS / 2];
}

/* One side of a comparison: work(arg), or a clock of its own, timed(arg, repeat), seconds of so many calls elsewhere. */
typedef struct {
    void (*work)(void *);
    double (*timed)(void *, long repeat);
    void *arg;
} bench_side;
enum { BENCH_SIDES = 6 };

static inline double bench_side_seconds(const bench_side *s, long repeat)
{
    if (s->timed)
        return s->timed(s->arg, repeat);
    double t0 = bench_now();
    for (long i = 0; i < repeat; i++)
        s->work(s->arg);
    return bench_now() - t0;
}

/* The sides in turn, `rounds` (at most BENCH_ROUNDS) times, so that all see the same clock; sides with neither work nor
 * clock are passed over. ns[k]: the median of side k, nanoseconds a call; ratio[k]: the median over the rounds of side
 * k's time over side 0's (NaN where there is none). */
static inline void bench_compare(int n, const bench_side side[], int rounds, double ns[], double ratio[])
{
    double x[BENCH_SIDES][BENCH_ROUNDS], y[BENCH_ROUNDS];
    long repeat[BENCH_SIDES];
    for (int k = 0; k < n; k++)
        for (repeat[k] = 1; side[k].work || side[k].timed; repeat[k] *= 2)
            if (bench_side_seconds(&side[k], repeat[k]) > 2e-3 || repeat[k] > 1 << 24)
                break;
    for (int r = 0; r < rounds; r++)
        for (int k = 0; k < n; k++)
            x[k][r] = side[k].work || side[k].timed
                          ? bench_side_seconds(&side[k], repeat[k]) / (double)repeat[k]
                          : 0.0 / 0.0;
    for (int k = n - 1; k >= 0; k--) { /* side 0 last: the others need its rounds in order */
        for (int r = 0; r < rounds; r++)
            y[r] = x[k][r] / x[0][r];
        qsort(y, (size_t)rounds, sizeof *y, bench_by_value);
        ratio[k] = y[rounds / 2];
        qsort(x[k], (size_t)rounds, sizeof *y, bench_by_value);
        ns[k] = 1e9 * x[k][rounds / 2];
    }
}

/* Median of a / b over rounds in which both are timed in turn. *ns_a and *ns_b get the medians of each, in nanoseconds
 * a call. */
static inline double bench_ratio(void (*a)(void *), void *arg_a, void (*b)(void *), void *arg_b, double *ns_a,
                                 double *ns_b)
{
    double ns[2], ratio[2];
    bench_compare(2, (bench_side[]){{b, NULL, arg_b}, {a, NULL, arg_a}}, BENCH_ROUNDS, ns, ratio);
    *ns_a = ns[1];
    *ns_b = ns[0];
    return ratio[1];
}

/* The same by the wall clock, for work on several threads: a's seconds over b's. */
static inline double bench_wall_ratio(void (*a)(void *), void *arg_a, void (*b)(void *), void *arg_b)
{
    double ratio[BENCH_ROUNDS];
    for (int r = -1; r < BENCH_ROUNDS; r++) {
        double t[2];
        for (int side = 0; side < 2;
             side++) { /* twice: its caches and threads come back from the other's turn */
            double t0 = 0;
            for (int k = 0; k < 2; k++) {
                t0 = bench_wall();
                side ? b(arg_b) : a(arg_a);
            }
            t[side] = bench_wall() - t0;
        }
        if (r >= 0)
            ratio[r] = t[0] / t[1];
    }
    qsort(ratio, BENCH_ROUNDS, sizeof *ratio, bench_by_value);
    return ratio[BENCH_ROUNDS / 2];
}

/* `, "name": x`, null where x is NaN. */
static inline void bench_number(const char *format, const char *name, double x)
{
    printf(", \"%s\": ", name);
    if (x == x)
        printf(format, x);
    else
        printf("null");
}

#if defined(__x86_64__)
#define BENCH_PEAK(name, isa, vec, set1, fma, store, lanes)                                                  \
    __attribute__((target(isa), unused)) static void name(void *sink)                                        \
    {                                                                                                        \
        vec s[12], x = set1(0.5f), y = set1(0.25f);                                                          \
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) s[i] = set1((float)i);                         \
        for (int r = 0; r < 2000; r++) {                                                                     \
            __asm__ volatile("" : "+v"(x), "+v"(y)); /* nothing is constant, so nothing is folded */         \
            _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) s[i] = fma(x, s[i], y);                    \
        }                                                                                                    \
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) store((void *)((char *)sink + 64 * i), s[i]);  \
    }
BENCH_PEAK(bench_peak_v4d, "avx512f", __m512d, _mm512_set1_pd, _mm512_fmadd_pd, _mm512_storeu_pd, 8)
BENCH_PEAK(bench_peak_v4f, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps, 16)
BENCH_PEAK(bench_peak_v3d, "avx2,fma", __m256d, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_storeu_pd, 4)
BENCH_PEAK(bench_peak_v3f, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps, 8)
#endif

/* Flops of one call of the peak loop for this processor, and the loop; NULL where it is not known. */
typedef void bench_loop(void *);
static inline bench_loop *bench_peak_loop(int is_float, double *flops)
{
    (void)is_float;
    *flops = 0;
#if defined(__x86_64__)
    *flops = 2.0 * 2000 * 12 * (is_float ? 16 : 8);
    if (__builtin_cpu_supports("avx512f"))
        return is_float ? bench_peak_v4f : bench_peak_v4d;
    *flops /= 2;
    if (__builtin_cpu_supports("fma"))
        return is_float ? bench_peak_v3f : bench_peak_v3d;
#endif
    return NULL;
}

/* The first lines of a benchmark that counts flops. */
static inline void bench_print_peak(void)
{
    static char sink[768] __attribute__((aligned(64)));
    for (int is_float = 0; is_float < 2; is_float++) {
        double flops;
        bench_loop *loop = bench_peak_loop(is_float, &flops);
        if (loop)
            printf("{\"bench\": \"peak\", \"real\": \"%s\", \"gflops\": %.1f}\n",
                   is_float ? "float" : "double", flops / bench_seconds(loop, sink) * 1e-9);
    }
}

/* Share of the FMA peak that `work` with so many flops reaches, both timed in turn; also its seconds, and the peak in
 * GFLOP/s. NaN where the peak is not known. */
static inline double bench_of_peak(void (*work)(void *), void *arg, double flops, int is_float,
                                   double *seconds, double *peak)
{
    static char sink[768] __attribute__((aligned(64)));
    double f, ns_work, ns_peak;
    bench_loop *loop = bench_peak_loop(is_float, &f);
    if (!loop) {
        *seconds = bench_seconds(work, arg);
        *peak = 0;
        return 0.0 / 0.0;
    }
    double ratio = bench_ratio(work, arg, loop, sink, &ns_work, &ns_peak);
    *seconds = ns_work * 1e-9;
    *peak = f / ns_peak;
    return flops / f / ratio;
}

#endif
