/* kernel.h - private: the inner loops of linear algebra, one table per instruction set.
 * Invariant: a number of a result depends on its own operands only, by a chain of operations whose order does not
 * depend on vector width, tile or thread, so v3 and v4 agree to the bit (base has no fused multiply-add). */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LINALG_KERNEL_H
#define HNN_LINALG_KERNEL_H

#include <stddef.h>

#define HNN_HIDDEN __attribute__((visibility("hidden")))

enum { HNN_KC = 256 }; /* the inner size is cut into chunks of this many, summed in ascending order */

typedef struct hnn_linalg_kernels {
    const char *isa;
    int mr; /* rows of a packed panel */
    /* packed[...] = A [m, k], element (i, p) at a[i*row + p*col]: chunks of HNN_KC of k, in them panels of mr rows,
     * zero beyond m. Takes hnn_packed_size(m, k, mr) numbers. */
    void (*pack)(long m, long k, const double *a, size_t row, size_t col, double *packed);
    /* C [m, n] = C + sign A B (add) or sign A B, A packed, B [k, n] and C by columns */
    void (*gemm)(long m, long n, long k, const double *packed, const double *b, size_t ldb, double sign,
                 int add, double *c, size_t ldc);
    double (*dot)(long n, const double *x, const double *y);    /* 32 chains, added as a tree */
    void (*axpy)(long n, double a, const double *x, double *y); /* y += a x */
} hnn_linalg_kernels;

static inline size_t hnn_packed_size(long m, long k, int mr)
{
    return (size_t)((m + mr - 1) / mr * mr) * (size_t)k;
}

/* for this processor; NOETHER_ISA=base|v3|v4 asks for less */
HNN_HIDDEN const hnn_linalg_kernels *hnn_linalg_kernels_here(void);

#endif
