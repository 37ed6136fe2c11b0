/* adolc.h - the same work in ADOL-C (adouble, taped once, replayed), for the benchmarks written in C.
 *
 * A function is taped under a tag; all calls then use that tape. Vectors have n numbers, a Hessian n*n (its lower
 * triangle is set). Each returns 0, or not 0 when ADOL-C reports that the tape does not hold for these values.
 * SPDX-License-Identifier: MIT */
#ifndef PEER_ADOLC_H
#define PEER_ADOLC_H

#ifdef __cplusplus
extern "C" {
#endif

enum { ADOLC_NBODY8, ADOLC_FPUT64, ADOLC_HENON };
void peer_adolc_hamiltonian(int tag, int which, int n, const double *z);
/* The log-likelihood of bench_mixture.c: samples x [n,d], parameters [K + K d + K d (d+1)/2]. */
void peer_adolc_mixture(int tag, int n, int d, int K, const double *x, const double *parameters);

/* The loss of bench_step.c for one sample; parameters W1 [h,d], b1 [h], W2 [h,h], b2 [h], w3 [h], one after the other.
 * The gradient in z inside the loss is written out: ADOL-C does not tape its own derivatives. */
void peer_adolc_network(int tag, int d, int h, const double *parameters, const double *z, const double *dz);

int peer_adolc_value(int tag, int n, const double *z, double *y);
int peer_adolc_gradient(int tag, int n, const double *z, double *g);
int peer_adolc_hvp(int tag, int n, const double *z, const double *v, double *hv);
int peer_adolc_hessian(int tag, int n, const double *z, double *h);
/* Sparse Hessian: pattern and colouring (ColPack: star colouring, direct recovery) are made once; each evaluation is one
 * product with the seed matrix and the recovery. Entries are of one triangle, in ColPack's order. NULL without ColPack. */
typedef struct peer_adolc_sparse peer_adolc_sparse;
peer_adolc_sparse *peer_adolc_sparse_new(int tag, int n, const double *z, int *colours);
int peer_adolc_sparse_run(peer_adolc_sparse *s, const double *z);
int peer_adolc_sparse_entries(const peer_adolc_sparse *s, const unsigned **row, const unsigned **col,
                              const double **values);
void peer_adolc_sparse_free(peer_adolc_sparse *s);

#ifdef __cplusplus
}
#endif
#endif
