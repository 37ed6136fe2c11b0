/* bench_vmath.c - ns an element of the elementary functions, beside libm on the same numbers, timed in turn.
 *
 * One JSON line a function, for each instruction set the processor has and each real type, at the native width (the last
 * row of a table of tests/vmath_isa.c), data in cache. tanh_sech2 is tanh with its derivative: its must_reach are for the
 * widest instruction set, and worst_ulp is that of both on these numbers (tests/test_vmath.c has the bound over the whole
 * range). Invariant: the arrays escape to the compiler's eye after every pass, so that no measured work is dead.
 *     taskset -c 0 bench_vmath [NAME]
 */
/* SPDX-License-Identifier: MIT */
#include "../tests/vmath_test.h"
#include "bench.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1024 };
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

typedef struct {
    vmath_fn *ours;
    void (*libm)(int);
    int f32;
} pass;
static void run_ours(void *arg)
{
    ((pass *)arg)->ours(&in, &out, N);
    __asm__ volatile("" ::"r"(&in), "r"(&out) : "memory");
}
static void run_libm(void *arg)
{
    ((pass *)arg)->libm(((pass *)arg)->f32);
    __asm__ volatile("" ::"r"(&in), "r"(&out) : "memory");
}

/* |got - want| in units of the last place of want. */
static double ulps(double got, long double want, int f32)
{
    int e;
    frexpl(want, &e);
    return (double)(fabsl(got - want) / ldexpl(1, e - (f32 ? 24 : 53)));
}
/* Of tanh and its derivative, as `out` has them. */
static double worst_ulp(int f32)
{
    double worst = 0;
    for (int i = 0; i < N; i++) {
        long double x = f32 ? (long double)in.s[i] : (long double)in.d[i], c = coshl(x);
        worst = fmax(worst, ulps(f32 ? (double)out.s[i] : out.d[i], tanhl(x), f32));
        worst = fmax(worst, ulps(f32 ? (double)out.s[N + i] : out.d[N + i], 1 / (c * c), f32));
    }
    return worst;
}

static void measure(const char *isa, const struct vmath_table *table, int f32, const char *only)
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
        if (!strstr(rows[f].name, only))
            continue;
        pass p = {run, rows[f].libm, f32};
        double ns_ours, ns_libm, ratio = bench_ratio(run_libm, &p, run_ours, &p, &ns_libm, &ns_ours);
        printf("{\"bench\": \"vmath\", \"isa\": \"%s\", \"real\": \"%s\", \"case\": \"%s\", \"ns\": %.3f, "
               "\"libm_ns\": %.3f, \"libm_time_ratio\": %.1f",
               isa, f32 ? "float" : "double", rows[f].name, ns_ours / N, ns_libm / N, ratio);
        if (rows[f].index < 0) {
            run_ours(&p);
            printf(", \"worst_ulp\": %.2f", worst_ulp(f32));
            if (table->fused) /* the baseline has a wider bound */
                printf(", \"ulp_must_reach\": 2.5");
            if (strcmp(isa, "v4") == 0)
                printf(", \"must_reach\": %g", f32 ? 0.8 : 2.0);
        }
        puts("}");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "";
    measure("base", &vmath_table_base_f64, 0, only);
    measure("base", &vmath_table_base_f32, 1, only);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        measure("v3", &vmath_table_v3_f64, 0, only);
        measure("v3", &vmath_table_v3_f32, 1, only);
    }
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        measure("v4", &vmath_table_v4_f64, 0, only);
        measure("v4", &vmath_table_v4_f32, 1, only);
    }
#endif
    return 0;
}
