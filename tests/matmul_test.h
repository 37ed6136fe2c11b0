/* matmul_test.h - what matmul_isa.c (compiled per instruction set) and test_ and bench_matmul.c agree on.
 *
 * Invariant: one table an object; void stands for the object's real type; `kernels` is the library's own table, so what is
 * tested and measured is what runs.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_MATMUL_TEST_H
#define TESTS_MATMUL_TEST_H
#include "../autodiff/kernels/kernels.h"

typedef struct matmul_table {
    const char *name;
    const ad_kernels *kernels;
    /* The plain triple loop: the oracle of the tests. */
    void (*plain)(long m, long n, long k, const void *a, long lda, int ta, const void *b, long ldb, int tb,
                  void *c, long ldc, int acc);
    /* What one writes by hand, in the order that suits each case: the peer of small batches. */
    void (*hand)(long m, long n, long k, const void *a, long lda, int ta, const void *b, long ldb, int tb,
                 void *c, long ldc);
    /* `rounds` times 12 independent vectors of FMAs: the peak of the core. */
    void (*peak)(long rounds, void *sink);
} matmul_table;

extern const matmul_table matmul_base_f64, matmul_base_f32, matmul_base_f80;
extern const matmul_table matmul_v3_f64, matmul_v3_f32, matmul_v4_f64, matmul_v4_f32;
#endif
