/* rng.h - counter-based random numbers. Invariant: a number depends on (seed, purpose, index, position) only,
 * so the order of calls, threads and ranks do not change any draw. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_RNG_H
#define HNN_RNG_H

#include "hnn.h"

typedef struct hnn_rng {
    uint32_t key[2];     /* seed */
    uint32_t counter[4]; /* block, purpose, index (low, high) */
    uint32_t word[4];
    int used;      /* words of the block already given out, 0..4 */
    int spare_set; /* the polar method makes two normals at a time */
    double spare;
} hnn_rng;

/* hnn_philox - Philox4x32 with 10 rounds: out = bijection of counter under key.
 * Source: Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", SC'11. */
void hnn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* hnn_rng_stream - the stream (seed, purpose, index), at its beginning. 2^32 blocks of 128 bits long. */
hnn_rng hnn_rng_stream(uint64_t seed, uint32_t purpose, uint64_t index);

uint32_t hnn_rng_u32(hnn_rng *r);
uint64_t hnn_rng_u64(hnn_rng *r);
uint64_t hnn_rng_below(hnn_rng *r, uint64_t n);           /* uniform on 0 .. n-1, no bias; 0 if n is 0 */
double hnn_rng_uniform(hnn_rng *r);                       /* [0, 1), multiples of 2^-53 */
double hnn_rng_open(hnn_rng *r);                          /* (0, 1), odd multiples of 2^-53 */
double hnn_rng_between(hnn_rng *r, double lo, double hi); /* [lo, hi) */

/* hnn_rng_normal - N(0, 1) by the polar method with our own logarithm (+ - * / sqrt fma only), so that the bits do
 * not depend on the C library. Source: Marsaglia, Bray (1964), SIAM Review 6, 260-264. */
double hnn_rng_normal(hnn_rng *r);

/* hnn_rng_permutation - out[n] becomes a uniform permutation of 0 .. n-1 (Fisher-Yates). */
void hnn_rng_permutation(hnn_rng *r, long n, long out[]);

/* hnn_rng_orthogonal - out [rows, cols] row-major, distributed by Haar measure: orthonormal columns when
 * rows >= cols, orthonormal rows otherwise; times gain. Householder QR of a Gaussian matrix, columns
 * multiplied by the signs of R's diagonal. Errors: HNN_EARG, HNN_EMEM.
 * Source: Mezzadri (2007), Notices of the AMS 54, 592-604; Stewart (1980), SIAM J. Numer. Anal. 17, 403-409. */
int hnn_rng_orthogonal(hnn_rng *r, int rows, int cols, double gain, double out[]);

#endif
