/* test_vmath.c - the engine's elementary functions: error against long double, edges, equal bits.
 *
 * Invariant: the points are fixed, so a failure repeats. The bounds are in units of the last place
 * of the correctly rounded result; those without a fused multiply-add are the second column.
 */
/* SPDX-License-Identifier: MIT */
#define VREAL64 1
#include "../autodiff/kernels/scalar.h"

#include "../autodiff/kernels/vmath.h"

#include "vmath_test.h"

#include <criterion/criterion.h>
#include <float.h>

#define VMATH_AT(name) name
VMATH_EACH(VMATH_RUN)
VMATH_RUN_BOTH
#define ROW(f) run_##f,
static const struct vmath_table scalar_f64 = {1, {{VMATH_EACH(ROW)}}, {run_both}};

typedef long double real80;
static real80 ref_sech2(real80 x)
{
    real80 e = expl(-2 * fabsl(x)), s = 1 + e;
    return 4 * e / (s * s);
}
static real80 ref_sigmoid(real80 x)
{
    real80 e = expl(-fabsl(x));
    return (x < 0 ? e : 1) / (1 + e);
}
static real80 ref_softplus(real80 x) { return x < -12000 ? 0 : (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }

static const struct {
    const char *name;
    real80 (*ref)(real80);
    double bound, unfused; /* ulp */
    double range[3][2];    /* f64; clipped to float's range for f32 */
} rows[VMATH_COUNT] = {
    [VMATH_exp] = {"exp", expl, 1.25, 1.5, {{-1, 1}, {-104, 89}, {-746, 710}}},
    [VMATH_log] = {"log", logl, 1, 1.25, {{0.5, 1.5}, {0, 1e-37}, {0, 1e300}}},
    [VMATH_expm1] = {"expm1", expm1l, 1.5, 2, {{-1, 1}, {0.2, 0.8}, {-50, 710}}},
    [VMATH_log1p] = {"log1p", log1pl, 1, 1.25, {{-1, 2}, {-.01, .01}, {0, 1e300}}},
    [VMATH_tanh] = {"tanh", tanhl, 2.5, 4, {{0, 0.35}, {-1, 1}, {-20, 20}}},
    [VMATH_sech2] = {"sech2", ref_sech2, 2.5, 5, {{-1, 1}, {-20, 20}, {10, 375}}},
    [VMATH_sigmoid] = {"sigmoid", ref_sigmoid, 3, 3.5, {{-1, 1}, {-20, 20}, {-746, 40}}},
    [VMATH_softplus] = {"softplus", ref_softplus, 2, 2.5, {{-1, 1}, {-20, 20}, {-746, 40}}},
    [VMATH_sinh] = {"sinh", sinhl, 2.5, 3, {{-1, 1}, {-20, 20}, {-711, 711}}},
    [VMATH_cosh] = {"cosh", coshl, 2, 2.5, {{-1, 1}, {-20, 20}, {-711, 711}}},
    [VMATH_sin] = {"sin", sinl, 1, 1.5, {{-10, 10}, {-1e6, 1e6}, {-4e18, 4e18}}},
    [VMATH_cos] = {"cos", cosl, 1, 1.5, {{-10, 10}, {-1e6, 1e6}, {-4e18, 4e18}}},
    [VMATH_tan] = {"tan", tanl, 2.5, 3, {{-10, 10}, {-1e6, 1e6}, {-4e18, 4e18}}},
    [VMATH_erf] = {"erf", erfl, 2.5, 3, {{-1e-3, 1e-3}, {-0.6, 0.6}, {-6, 6}}},
    [VMATH_erfc] = {"erfc", erfcl, 4, 5, {{-2, 2}, {0.5, 5}, {-6, 27.3}}},
    [VMATH_atan] = {"atan", atanl, 2, 2.5, {{-1e-3, 1e-3}, {-3, 3}, {-1e4, 1e4}}},
    [VMATH_asin] = {"asin", asinl, 3, 3.5, {{-1e-3, 1e-3}, {-1, 1}, {0.99, 1}}},
    [VMATH_acos] = {"acos", acosl, 3, 3.5, {{-1e-3, 1e-3}, {-1, 1}, {0.99, 1}}},
    [VMATH_asinh] = {"asinh", asinhl, 2, 2.5, {{-1e-3, 1e-3}, {-3, 3}, {-1e300, 1e300}}},
    [VMATH_acosh] = {"acosh", acoshl, 2.75, 3, {{1, 1.01}, {1, 3}, {1, 1e300}}},
    [VMATH_atanh] = {"atanh", atanhl, 2.5, 3, {{-1e-3, 1e-3}, {-0.2, 0.2}, {-1, 1}}},
};

enum { POINTS = 20011 };

/* Half the points even, half spread by a multiplicative sequence; from decade to decade where the
 * range is wide, because that is where the exponents are. */
static double point(const double range[2], int i, int f32)
{
    double lo = range[0], hi = range[1], most = f32 ? 3e38 : 1e300;
    hi = hi > most ? most : hi;
    lo = lo < -most ? -most : lo;
    double u = i % 2 ? (double)i / POINTS : (double)((uint64_t)i * 0x9e3779b97f4a7c15u >> 11) * 0x1p-53;
    if (i % 4 == 3 && hi > 0)
        return lo > 0 ? lo + (hi - lo) * pow(2, -40 * u) : hi * pow(2, -60 * u);
    return lo + (hi - lo) * u;
}

static double ulps(real80 got, real80 want, int f32)
{
    real80 rounded = f32 ? (real80)(float)want : (real80)(double)want;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (isinf(rounded) || isinf(got))
        return rounded == got ? 0 : INFINITY;
    int e, least = f32 ? FLT_MIN_EXP : DBL_MIN_EXP;
    (void)frexpl(want, &e);
    e = (want == 0 || e < least ? least : e) - (f32 ? FLT_MANT_DIG : DBL_MANT_DIG);
    return (double)ldexpl(fabsl(got - want), -e);
}

#if defined(__x86_64__)
static int has_v3(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_v4(void)
{
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

/* The tables this processor can run, for one real type; the scalar form is first. */
static int tables(int f32, const struct vmath_table *out[4])
{
    int n = 0;
    out[n++] = f32 ? &vmath_table_scalar_f32 : &scalar_f64;
    out[n++] = f32 ? &vmath_table_base_f32 : &vmath_table_base_f64;
#if defined(__x86_64__)
    if (has_v3())
        out[n++] = f32 ? &vmath_table_v3_f32 : &vmath_table_v3_f64;
    if (has_v4())
        out[n++] = f32 ? &vmath_table_v4_f32 : &vmath_table_v4_f64;
#endif
    return n;
}

union array {
    double d[POINTS];
    float s[POINTS];
};

static void set(union array *a, int i, int f32, double x)
{
    if (f32)
        a->s[i] = (float)x;
    else
        a->d[i] = x;
}
static double get(const union array *a, int i, int f32) { return f32 ? (double)a->s[i] : a->d[i]; }

static int same(const union array *a, const union array *b, int i, int f32)
{
    double x = get(a, i, f32), y = get(b, i, f32);
    return (isnan(x) && isnan(y)) || (x == y && !signbit(x) == !signbit(y));
}

static union array in, first, other;

Test(vmath, every_function_keeps_its_bound_and_its_bits)
{
    for (int f32 = 0; f32 < 2; f32++) {
        const struct vmath_table *list[4];
        int count = tables(f32, list);
        for (int f = 0; f < VMATH_COUNT; f++) {
            for (int r = 0; r < 3; r++) {
                for (int i = 0; i < POINTS; i++)
                    set(&in, i, f32, point(rows[f].range[r], i, f32));
                list[0]->run[0][f](&in, &first, POINTS);
                for (int i = 0; i < POINTS; i++) {
                    double x = get(&in, i, f32),
                           e = ulps((real80)get(&first, i, f32), rows[f].ref((real80)x), f32);
                    cr_assert(e <= rows[f].bound, "%s f%d at %.17g: %.3f ulp", rows[f].name, f32 ? 32 : 64, x,
                              e);
                }
                for (int t = 1; t < count; t++) {
                    for (int w = 0; w < VMATH_WIDTHS; w++) {
                        list[t]->run[w][f](&in, &other, POINTS);
                        for (int i = 0; i < POINTS; i++) {
                            double x = get(&in, i, f32);
                            if (list[t]->fused) {
                                cr_assert(same(&first, &other, i, f32),
                                          "%s f%d table %d width %d at %.17g: %.17g %.17g", rows[f].name,
                                          f32 ? 32 : 64, t, 1 << w, x, get(&first, i, f32),
                                          get(&other, i, f32));
                            } else if (w == 0) {
                                double e = ulps((real80)get(&other, i, f32), rows[f].ref((real80)x), f32);
                                cr_assert(e <= rows[f].unfused, "%s f%d unfused at %.17g: %.3f ulp",
                                          rows[f].name, f32 ? 32 : 64, x, e);
                            }
                        }
                    }
                }
            }
        }
    }
}

static const double edges[] = {0.0,
                               -0.0,
                               1.0,
                               -1.0,
                               INFINITY,
                               -INFINITY,
                               NAN,
                               DBL_MIN,
                               -DBL_MIN,
                               4.9e-324,
                               -4.9e-324,
                               1e-310,
                               FLT_MIN,
                               1e-40,
                               -1e-45,
                               FLT_MAX,
                               -FLT_MAX,
                               DBL_MAX,
                               -DBL_MAX,
                               709.782712893384,
                               709.7827128933841,
                               -745.1332191019411,
                               -745.1332191019412,
                               710.4758600739439,
                               710.475860073944,
                               88.72283,
                               88.72284,
                               89.41598,
                               89.415985,
                               -103.97207,
                               -103.97208,
                               354.9,
                               372.5,
                               1e22,
                               0x1.6ac5b262ca1ffp+849,
                               1e-20,
                               -1e-20,
                               0.5,
                               -0.5,
                               2.0,
                               3.0,
                               1e300,
                               -1e300,
                               1.5707963267948966,
                               3.141592653589793,
                               1e6,
                               1000001,
                               1e10,
                               26.6,
                               0.9999999999999999,
                               -0.9999999999999999,
                               1.0000000000000002,
                               37.0,
                               -37.0};

Test(vmath, edges_have_the_value_and_the_sign_of_libm)
{
    int n = (int)(sizeof edges / sizeof *edges);
    for (int f32 = 0; f32 < 2; f32++) {
        const struct vmath_table *list[4];
        int count = tables(f32, list);
        for (int t = 0; t < count; t++) {
            for (int w = 0; w < (t == 0 ? 1 : VMATH_WIDTHS); w++) {
                for (int f = 0; f < VMATH_COUNT; f++) {
                    for (int i = 0; i < n; i++)
                        set(&in, i, f32, edges[i]);
                    list[t]->run[w][f](&in, &other, n);
                    for (int i = 0; i < n; i++) {
                        double x = get(&in, i, f32), y = get(&other, i, f32);
                        real80 want = rows[f].ref((real80)x);
                        double e = ulps((real80)y, want, f32);
                        cr_assert(e <= (list[t]->fused ? rows[f].bound : rows[f].unfused) &&
                                      (isnan(y) || !signbit(y) == !signbit(want)),
                                  "%s(%.17g) = %.17g, not %.20Lg (f%d, table %d, width %d)", rows[f].name, x,
                                  y, want, f32 ? 32 : 64, t, 1 << w);
                    }
                }
            }
        }
    }
}

Test(vmath, a_tail_reads_and_writes_its_own_elements_only)
{
    for (int f32 = 0; f32 < 2; f32++) {
        const struct vmath_table *list[4];
        int count = tables(f32, list);
        for (int t = 0; t < count; t++) {
            for (int w = 0; w < (t == 0 ? 1 : VMATH_WIDTHS); w++) {
                for (int n = 0; n < 34; n++) {
                    for (int i = 0; i < 40; i++) {
                        set(&in, i, f32, i < n ? 0.25 : NAN);
                        set(&other, i, f32, -7);
                    }
                    list[t]->run[w][VMATH_sech2](&in, &other, n);
                    for (int i = 0; i < 40; i++)
                        cr_assert((get(&other, i, f32) == -7) == (i >= n), "table %d width %d n %d i %d", t,
                                  1 << w, n, i);
                }
            }
        }
    }
}

Test(vmath, tanh_with_its_derivative_is_both_of_them)
{
    enum { N = 4096 };
    for (int f32 = 0; f32 < 2; f32++) {
        const struct vmath_table *list[4];
        int count = tables(f32, list);
        for (int i = 0; i < N; i++)
            set(&in, i, f32, -30 + 60.0 * i / N);
        for (int t = 0; t < count; t++) {
            for (int w = 0; w < (t == 0 ? 1 : VMATH_WIDTHS); w++) {
                list[t]->both[w](&in, &other, N);
                list[t]->run[w][VMATH_tanh](&in, &first, N);
                for (int i = 0; i < N; i++)
                    cr_assert(same(&first, &other, i, f32), "tanh: table %d width %d point %d", t, 1 << w, i);
                list[t]->run[w][VMATH_sech2](&in, &first, N);
                for (int i = 0; i < N; i++)
                    cr_assert(get(&first, i, f32) == get(&other, N + i, f32),
                              "sech2: table %d width %d point %d", t, 1 << w, i);
            }
        }
    }
}
