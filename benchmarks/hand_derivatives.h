/* hand_derivatives.h - value, gradient, Hessian-vector product, full and sparse Hessian of the three benchmark
 * Hamiltonians, by hand.
 *
 * One call each: out gets 1, n, n, n*n or nnz numbers for the state z [n] = (q, p) and the direction v [n]. The sparse
 * Hessian lists the lower triangle by rows, the order of ad_hessian_sparse. Only what is asked for is computed.
 * SPDX-License-Identifier: MIT */
#ifndef HAND_DERIVATIVES_H
#define HAND_DERIVATIVES_H

enum { WORK_VALUE, WORK_GRADIENT, WORK_HVP, WORK_HESSIAN, WORK_SPARSE, WORKS };
typedef void hand_work(const double *z, const double *v, double *out);
extern hand_work *const hand_nbody8[WORKS], *const hand_fput64[WORKS], *const hand_henon[WORKS];

#endif
