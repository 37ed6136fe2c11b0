/* rfls.h - H by random-feature least squares: a hidden layer that is drawn, not trained, and output weights from one
 * rank-revealing solve of the derivative equations. Invariant: H(z_ref) = 0, and the model is a function of the data, the
 * options and the seed alone, for any number of threads. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_RFLS_H
#define HNN_RFLS_H

#include "error.h"
#include "linalg/linalg.h"

#include <stdint.h>

enum { HNN_ACT_TANH, HNN_ACT_SIN, HNN_ACTS };
enum { HNN_SAMPLE_NORMAL, HNN_SAMPLE_PAIRS, HNN_SAMPLE_STEEP, HNN_SAMPLES };

/* With u = (z - mean)/sd of the data, coordinate by coordinate, d coordinates:
 *   NORMAL  w ~ N(0, scale^2) for every coordinate, b uniform on [-bias, bias]
 *   PAIRS   two points u1, u2 of the data: w = 2 s (u2 - u1)/|u2 - u1|^2, b = -w.u1 - s, s = scale log(3)/2, so that with
 *           scale 1 tanh is -1/2 at u1 and 1/2 at u2
 *   STEEP   pairs too, drawn with a probability proportional to |H(u2) - H(u1)|/|u2 - u1|, the difference taken from the
 *           derivatives by the trapezoidal rule
 * Source: Bolager, Burak, Datar, Sun, Dietrich (2023), Sampling weights of deep neural networks, NeurIPS 36; Rahma, Datar,
 * Dietrich (2024), Training Hamiltonian neural networks without backpropagation, arXiv:2411.17511. */
typedef struct hnn_rfls_options {
    int features;
    int activation, sampling;
    double scale; /* 0: NORMAL 1/d, pairs 1. Smaller is smoother: more accurate where H is, up to round-off */
    double bias;  /* NORMAL; 0: 1 for tanh, pi for sin */
    double
        tolerance; /* of the least-squares solve, relative; 0: 1e-15 (small coefficients do not matter here) */
    int threads;   /* 0: one per processor */
    uint64_t seed;
} hnn_rfls_options;

typedef struct hnn_rfls {
    int dim, features, activation; /* dim = 2n coordinates z = (q, p) */
    double *w, *b, *c,
        c0; /* H(z) = c0 + sum_k c[k] act(w[k].z + b[k]), w [features, dim], physical coordinates */
    hnn_lsq_info info; /* of the solve: rank, residual */
} hnn_rfls;

/* hnn_rfls_fit - z [rows, dim] states, dz [rows, dim] their time derivatives J grad H, z_ref [dim] where H is 0 (NULL: the
 * origin). Free with hnn_rfls_free, also after an error. Errors: HNN_EARG (sizes, unknown activation or sampling, numbers
 * that are not finite, fewer than two different states for pairs), HNN_EMEM. */
int hnn_rfls_fit(const hnn_rfls_options *o, int dim, long rows, const double z[], const double dz[],
                 const double z_ref[], hnn_rfls *out, hnn_error *e);
void hnn_rfls_free(hnn_rfls *m);

/* H, dH/dz [dim] and d2H/dz2 [dim, dim] at z [dim]; gradient and hessian may be NULL. Returns H. */
double hnn_rfls_value(const hnn_rfls *m, const double z[], double gradient[], double hessian[]);

#endif
