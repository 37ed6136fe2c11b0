/* bench_vmath.c - ns an element of the elementary functions, beside libm on the same numbers.
 *
 * For each instruction set the processor has and each real type, at the native width (the last row
 * of a table of tests/vmath_isa.c), data in cache, the median of 31 rounds. Invariant: the arrays
 * escape to the compiler's eye after every pass, so that no measured work is dead.
 */
/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "../tests/vmath_test.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 1024, REPEAT = 100, ROUNDS = 31 };
static union {
    double d[N];
    float s[N];
} in;
static union {
    double d[2 * N];
    float s[2 * N];
} out;

#define LIBM(name)                                                                                           \
    static void libm_##name(int f32)                                                                         \
    {                                                                                                        \
        for (int i = 0; i < N && f32; i++)                                                                   \
            out.s[i] = name##f(in.s[i]);                                                                     \
        for (int i = 0; i < N && !f32; i++)                                                                  \
            out.d[i] = name(in.d[i]);                                                                        \
    }
LIBM(exp)
LIBM(log)
LIBM(sin)
LIBM(cos)
LIBM(expm1)
LIBM(log1p)
LIBM(sinh)
LIBM(erf)
LIBM(erfc)
LIBM(atan)
LIBM(tanh)

static void libm_both(int f32)
{
    for (int i = 0; i < N && f32; i++) {
        float c = coshf(in.s[i]);
        out.s[i] = tanhf(in.s[i]);
        out.s[N + i] = 1 / (c * c);
    }
    for (int i = 0; i < N && !f32; i++) {
        double c = cosh(in.d[i]);
        out.d[i] = tanh(in.d[i]);
        out.d[N + i] = 1 / (c * c);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One of the two is given. */
static double median_ns(vmath_fn *ours, void (*libm)(int), int f32, int repeat)
{
    double t[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int k = 0; k < repeat; k++) {
            if (ours)
                ours(&in, &out, N);
            else
                libm(f32);
            __asm__ volatile("" ::"r"(&in), "r"(&out) : "memory");
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        t[r] = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / repeat / N;
    }
    qsort(t, ROUNDS, sizeof *t, by_value);
    return t[ROUNDS / 2];
}

static void measure(const char *isa, const struct vmath_table *table, int f32)
{
    static const struct {
        const char *name;
        int index; /* -1: tanh_sech2 */
        void (*libm)(int);
        double lo, hi;
    } rows[] = {{"tanh_sech2", -1, libm_both, -4, 4},      {"tanh", VMATH_tanh, libm_tanh, -4, 4},
                {"exp", VMATH_exp, libm_exp, -10, 10},     {"log", VMATH_log, libm_log, 0.01, 100},
                {"sin", VMATH_sin, libm_sin, -10, 10},     {"cos", VMATH_cos, libm_cos, -10, 10},
                {"expm1", VMATH_expm1, libm_expm1, -2, 2}, {"log1p", VMATH_log1p, libm_log1p, -0.9, 5},
                {"sinh", VMATH_sinh, libm_sinh, -3, 3},    {"erf", VMATH_erf, libm_erf, -3, 3},
                {"erfc", VMATH_erfc, libm_erfc, -1, 5},    {"atan", VMATH_atan, libm_atan, -3, 3}};
    printf("%-5s %-12s %8s %8s %7s   (ns an element)\n", isa, f32 ? "float" : "double", "ours", "libm",
           "ratio");
    for (size_t f = 0; f < sizeof rows / sizeof *rows; f++) {
        for (int i = 0; i < N; i++) {
            double x = rows[f].lo + (rows[f].hi - rows[f].lo) * ((i * 617) % N + 0.5) / N;
            if (f32)
                in.s[i] = (float)x;
            else
                in.d[i] = x;
        }
        vmath_fn *run =
            rows[f].index < 0 ? table->both[VMATH_WIDTHS - 1] : table->run[VMATH_WIDTHS - 1][rows[f].index];
        double ours = median_ns(run, NULL, f32, REPEAT),
               libm = median_ns(NULL, rows[f].libm, f32, REPEAT / 10);
        printf("      %-12s %8.3f %8.3f %7.1f\n", rows[f].name, ours, libm, libm / ours);
    }
}

int main(void)
{
    measure("base", &vmath_table_base_f64, 0);
    measure("base", &vmath_table_base_f32, 1);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        measure("v3", &vmath_table_v3_f64, 0);
        measure("v3", &vmath_table_v3_f32, 1);
    }
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        measure("v4", &vmath_table_v4_f64, 0);
        measure("v4", &vmath_table_v4_f32, 1);
    }
#endif
    return 0;
}
