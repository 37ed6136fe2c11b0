/* kernels.h - private: the table of kernels, one per instruction set and real type.
 * A kernel reads its operands and writes its result; it keeps nothing and allocates nothing.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_H
#define AD_KERNELS_H

#include "../tape.h"

typedef struct ad_kcall {
    void *dst;
    const void *const *src;
    int64_t rows, cols;        /* of the result, at run time */
    const int64_t (*shape)[2]; /* of the operands */
    int nargs, nattr;
    const int32_t *attr;
    void *scratch;      /* as many numbers as value.c says the kernel needs */
    int64_t bad_row;    /* where a kernel failed */
    const void *object; /* of nodes with several results: ad_object */
    void *state;        /* what the workspace keeps for it */
} ad_kcall;

typedef int (*ad_kernel)(ad_kcall *c); /* AD_OK or AD_EDOMAIN */

/* object.c: the kernel of every node with several results, and where result k begins, in numbers. */
HIDDEN int ad_object_run(ad_kcall *c);
HIDDEN int64_t ad_result_offset(const void *object, int k, int64_t batch);

typedef struct ad_kernels {
    const char *isa;
    int real;
    size_t size; /* bytes of a number */
    bool fma;    /* fused multiply-adds are */
    ad_kernel run[OP_COUNT_];
    int lanes; /* numbers in a vector */
    /* Scalar code (k_code.h) on one number an index, and on a multiple of `lanes`. */
    void (*code_one)(void *file, const int32_t *code, int64_t lanes);
    void (*code_lanes)(void *file, const int32_t *code, int64_t lanes);
    void (*tanh_pair)(void *tanh, void *dtanh, const void *x, int64_t n); /* tanh(x) and 1/cosh(x)^2 */
    void (*matmul_rows)(const ad_kcall *c, int64_t from, int64_t to); /* rows from ... to-1 of a product */
    void (*matmul)(long m, long n, long k, const void *a, long lda, int ta, const void *b, long ldb, int tb,
                   void *c, long ldc, int acc); /* see matmul.h for all four */
    size_t (*pack_size)(long n, long k);        /* numbers */
    void (*pack)(long n, long k, const void *b, long ldb, int tb, void *packed);
    void (*packed)(long m, long n, long k, const void *a, long lda, const void *packed, void *c, long ldc,
                   int acc);
} ad_kernels;

HIDDEN const ad_kernels *ad_kernels_for(int real); /* for this processor; NOETHER_ISA overrides */

#endif
