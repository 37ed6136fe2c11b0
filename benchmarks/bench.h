/* bench.h - what the benchmarks of programs share: a clock, medians, and the measured FMA peak of this core.
 *
 * Invariant: the peak is measured in the same run as what is compared with it, because clocks drift.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

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

/* Median of a / b over rounds in which both are timed in turn, so that both see the same clock. *ns_a and *ns_b get
 * the medians of each, in nanoseconds a call. */
static inline double bench_ratio(void (*a)(void *), void *arg_a, void (*b)(void *), void *arg_b, double *ns_a,
                                 double *ns_b)
{
    double xa[BENCH_ROUNDS], xb[BENCH_ROUNDS], ratio[BENCH_ROUNDS];
    void (*work[2])(void *) = {a, b};
    void *arg[2] = {arg_a, arg_b};
    long repeat[2] = {1, 1};
    for (int k = 0; k < 2; k++)
        for (;; repeat[k] *= 2) {
            double t0 = bench_now();
            for (long i = 0; i < repeat[k]; i++)
                work[k](arg[k]);
            if (bench_now() - t0 > 2e-3 || repeat[k] > 1 << 24)
                break;
        }
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        for (int k = 0; k < 2; k++) {
            double t0 = bench_now();
            for (long i = 0; i < repeat[k]; i++)
                work[k](arg[k]);
            (k ? xb : xa)[r] = (bench_now() - t0) / (double)repeat[k];
        }
        ratio[r] = xa[r] / xb[r];
    }
    qsort(xa, BENCH_ROUNDS, sizeof *xa, bench_by_value);
    qsort(xb, BENCH_ROUNDS, sizeof *xb, bench_by_value);
    qsort(ratio, BENCH_ROUNDS, sizeof *ratio, bench_by_value);
    *ns_a = 1e9 * xa[BENCH_ROUNDS / 2];
    *ns_b = 1e9 * xb[BENCH_ROUNDS / 2];
    return ratio[BENCH_ROUNDS / 2];
}

/* The same by the wall clock, for work on several threads: a's seconds over b's. */
static inline double bench_wall_ratio(void (*a)(void *), void *arg_a, void (*b)(void *), void *arg_b)
{
    double ratio[BENCH_ROUNDS];
    for (int r = -1; r < BENCH_ROUNDS; r++) {
        double t0 = bench_wall();
        a(arg_a);
        double t1 = bench_wall();
        b(arg_b);
        if (r >= 0)
            ratio[r] = (t1 - t0) / (bench_wall() - t1);
    }
    qsort(ratio, BENCH_ROUNDS, sizeof *ratio, bench_by_value);
    return ratio[BENCH_ROUNDS / 2];
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
