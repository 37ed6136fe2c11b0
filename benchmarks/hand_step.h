/* hand_step.h - loss and gradients of one sample of the network d-200-200-1, by hand.
 *   W1 [H,d]  b1 [H]  W2 [H,H]  b2 [H]  w3 [H]  z, dz [d]; gradients in the same shapes
 * SPDX-License-Identifier: MIT */
#ifndef HAND_STEP_H
#define HAND_STEP_H

enum { HAND_WIDTH = 200 };
double hand_step(int d, const double *W1, const double *b1, const double *W2, const double *b2,
                 const double *w3, const double *z, const double *dz, double *gW1, double *gb1, double *gW2,
                 double *gb2, double *gw3);

/* The mean loss of a batch: x = W1, b1, W2, b2, w3, z [batch,d], dz [batch,d]; g the five gradients; room for
 * HAND_ROOM numbers. Products by OpenBLAS; only in benchmarks built with it. */
enum { HAND_ROWS = 128, HAND_ROOM = HAND_ROWS * (7 * HAND_WIDTH + 32) };
double hand_step_batch(int batch, int d, const double *const x[7], double *const g[5], double *room);

#endif
