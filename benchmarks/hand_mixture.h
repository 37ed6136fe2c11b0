/* hand_mixture.h - log-likelihood of a Gaussian mixture and its gradient in the parameters, by hand.
 *   x [MIX_N, MIX_D]; parameters, one after the other: alpha [K], means [K,D], for each component the logarithms of the
 *   diagonal of Q [D] and what is below it, by rows [D(D-1)/2]:
 *   L = sum_i logsumexp_k (alpha_k + log det Q_k - |Q_k (x_i - mu_k)|^2 / 2) - N logsumexp(alpha)
 * which is the log-likelihood but for a constant; Q'Q is the inverse covariance. (The parameters of ADBench's problem:
 * Srajer, Kukelova, Fitzgibbon (2018), without its prior.)
 * SPDX-License-Identifier: MIT */
#ifndef HAND_MIXTURE_H
#define HAND_MIXTURE_H

enum { MIX_N = 1000, MIX_D = 10, MIX_K = 25 };
#include "mixture.h"

double hand_mixture(const double *x, const double *parameters);
void hand_mixture_gradient(const double *x, const double *parameters, double *gradient);

#endif
