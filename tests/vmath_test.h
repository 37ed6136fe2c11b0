/* vmath_test.h - what vmath_isa.c (compiled per instruction set) and test_vmath.c agree on.
 *
 * Invariant: VMATH_EACH is the one list of functions; every table is in its order.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_VMATH_TEST_H
#define TESTS_VMATH_TEST_H

#define VMATH_EACH(F)                                                                                        \
    F(exp)                                                                                                   \
    F(log)                                                                                                   \
    F(expm1)                                                                                                 \
    F(log1p)                                                                                                 \
    F(tanh)                                                                                                  \
    F(sech2)                                                                                                 \
    F(sigmoid)                                                                                               \
    F(softplus)                                                                                              \
    F(sinh) F(cosh) F(sin) F(cos) F(tan) F(erf) F(erfc) F(atan) F(asin) F(acos) F(asinh) F(acosh) F(atanh)
#define VMATH_INDEX(f) VMATH_##f,
enum { VMATH_EACH(VMATH_INDEX) VMATH_COUNT };

typedef void vmath_fn(const void *in, void *out, int n);
enum { VMATH_WIDTHS = 5 }; /* 1, 2, 4, 8, 16 lanes; a scalar table has row 0 only */
struct vmath_table {
    int fused; /* the object had a fused multiply-add */
    vmath_fn *run[VMATH_WIDTHS][VMATH_COUNT];
    vmath_fn *both[VMATH_WIDTHS]; /* tanh_sech2 of whole vectors: the n derivatives follow the n values */
};
extern const struct vmath_table vmath_table_base_f64, vmath_table_base_f32, vmath_table_scalar_f32;
extern const struct vmath_table vmath_table_v3_f64, vmath_table_v3_f32, vmath_table_v4_f64,
    vmath_table_v4_f32;

#define VMATH_RUN_BOTH                                                                                       \
    static void VMATH_AT(run_both)(const void *in, void *out, int n)                                         \
    {                                                                                                        \
        const REAL *x = in;                                                                                  \
        REAL *y = out;                                                                                       \
        for (int i = 0; i + W <= n; i += W) {                                                                \
            V s, t = vm_tanh_sech2(V_LOAD(x + i), &s);                                                       \
            V_STORE(y + i, t);                                                                               \
            V_STORE(y + n + i, s);                                                                           \
        }                                                                                                    \
    }

/* One function over an array, whole vectors first and then the tail. The function stands here once: compiling it costs. */
#define VMATH_RUN(f)                                                                                         \
    static void VMATH_AT(run_##f)(const void *in, void *out, int n)                                          \
    {                                                                                                        \
        const REAL *x = in;                                                                                  \
        REAL *y = out;                                                                                       \
        for (int i = 0; i < n; i += W) {                                                                     \
            V v = vm_##f(i + W <= n ? V_LOAD(x + i) : V_LOADN(x + i, n - i));                                \
            if (i + W <= n)                                                                                  \
                V_STORE(y + i, v);                                                                           \
            else                                                                                             \
                V_STOREN(y + i, v, n - i);                                                                   \
        }                                                                                                    \
    }
#endif
