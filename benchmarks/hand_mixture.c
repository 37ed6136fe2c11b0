/* hand_mixture.c - log-likelihood of a Gaussian mixture and its gradient: plain loops, eight samples beside each other
 * so that the compiler vectorises over them.
 *
 * Compiled for this processor with reassociation allowed (-O3 -march=native -ffast-math), exp from the vector library
 * of glibc where the compiler knows it.
 * SPDX-License-Identifier: MIT */
#include "hand_mixture.h"

#include <math.h>
#include <string.h>

enum { S = 8, D = MIX_D, K = MIX_K, BLOCKS = MIX_N / S };
_Static_assert(MIX_N % S == 0, "whole blocks of samples");

/* Blocks of samples [BLOCKS][D][S]; the diagonals of Q; alpha_k + log det Q_k. */
typedef struct {
    double x[BLOCKS][D][S], diagonal[K][D], base[K];
} prepared;

static void prepare(const double *x, const double *a, prepared *p)
{
    for (int b = 0; b < BLOCKS; b++)
        for (int r = 0; r < D; r++)
            for (int s = 0; s < S; s++)
                p->x[b][r][s] = x[(b * S + s) * D + r];
    for (int k = 0; k < K; k++) {
        const double *q = a + MIX_ICF + k * MIX_Q;
        p->base[k] = a[k];
        for (int r = 0; r < D; r++) {
            p->base[k] += q[r];
            p->diagonal[k][r] = exp(q[r]);
        }
    }
}

/* y = Q_k (x - mu_k) and x - mu_k of one block. */
static inline void whiten(const prepared *p, const double *a, int b, int k, double d[D][S], double y[D][S])
{
    const double *low = a + MIX_ICF + k * MIX_Q + D, *mu = a + MIX_MU + k * D;
    for (int r = 0; r < D; r++)
        for (int s = 0; s < S; s++)
            d[r][s] = p->x[b][r][s] - mu[r];
    for (int r = 0; r < D; r++) {
        double t[S];
        for (int s = 0; s < S; s++)
            t[s] = p->diagonal[k][r] * d[r][s];
        for (int c = 0; c < r; c++, low++)
            for (int s = 0; s < S; s++)
                t[s] += *low * d[c][s];
        memcpy(y[r], t, sizeof t);
    }
}

/* The terms of one block, its logsumexp added to total; the weights of the components, if asked for, [K][S]. */
static double block(const prepared *p, const double *a, int b, double weight[K][S])
{
    double term[K][S], top[S], sum[S] = {0}, total = 0;
    for (int k = 0; k < K; k++) {
        double d[D][S], y[D][S], square[S] = {0};
        whiten(p, a, b, k, d, y);
        for (int r = 0; r < D; r++)
            for (int s = 0; s < S; s++)
                square[s] += y[r][s] * y[r][s];
        for (int s = 0; s < S; s++)
            term[k][s] = p->base[k] - square[s] / 2;
    }
    memcpy(top, term[0], sizeof top);
    for (int k = 1; k < K; k++)
        for (int s = 0; s < S; s++)
            top[s] = top[s] > term[k][s] ? top[s] : term[k][s];
    for (int k = 0; k < K; k++)
        for (int s = 0; s < S; s++) {
            term[k][s] = exp(term[k][s] - top[s]);
            sum[s] += term[k][s];
        }
    if (weight)
        for (int k = 0; k < K; k++)
            for (int s = 0; s < S; s++)
                weight[k][s] = term[k][s] / sum[s];
    else
        for (int s = 0; s < S; s++)
            total += top[s] + log(sum[s]);
    return total;
}

/* logsumexp of alpha and, if asked for, the weights. */
static double prior(const double *a, double weight[K])
{
    double top = a[0], sum = 0;
    for (int k = 1; k < K; k++)
        top = top > a[k] ? top : a[k];
    for (int k = 0; k < K; k++)
        sum += exp(a[k] - top);
    for (int k = 0; weight && k < K; k++)
        weight[k] = exp(a[k] - top) / sum;
    return top + log(sum);
}

double hand_mixture(const double *x, const double *a)
{
    prepared p;
    double total = 0;
    prepare(x, a, &p);
    for (int b = 0; b < BLOCKS; b++)
        total += block(&p, a, b, NULL);
    return total - MIX_N * prior(a, NULL);
}

void hand_mixture_gradient(const double *x, const double *a, double *g)
{
    static _Thread_local double weight[BLOCKS][K][S];
    prepared p;
    double prior_weight[K];
    prepare(x, a, &p);
    prior(a, prior_weight);
    for (int b = 0; b < BLOCKS; b++)
        block(&p, a, b, weight[b]);
    for (int k = 0; k < K; k++) { /* sums over samples stay in eight lanes to the end */
        const double *low = a + MIX_ICF + k * MIX_Q + D;
        double mass[S] = {0}, mu[D][S] = {{0}}, diagonal[D][S] = {{0}}, below[MIX_TRI][S] = {{0}};
        for (int b = 0; b < BLOCKS; b++) {
            double d[D][S], y[D][S];
            whiten(&p, a, b, k, d, y);
            for (int s = 0; s < S; s++)
                mass[s] += weight[b][k][s];
            for (int r = 0; r < D; r++)
                for (int s = 0; s < S; s++)
                    y[r][s] *= weight[b][k][s];
            for (int r = 0, e = 0; r < D; r++) {
                for (int s = 0; s < S; s++) {
                    diagonal[r][s] += y[r][s] * d[r][s];
                    mu[r][s] += p.diagonal[k][r] * y[r][s];
                }
                for (int c = 0; c < r; c++, e++)
                    for (int s = 0; s < S; s++) {
                        below[e][s] += y[r][s] * d[c][s];
                        mu[c][s] += low[e] * y[r][s];
                    }
            }
        }
        double sum = 0, *q = g + MIX_ICF + k * MIX_Q;
        for (int s = 0; s < S; s++)
            sum += mass[s];
        g[k] = sum - MIX_N * prior_weight[k];
        for (int r = 0; r < D; r++) {
            double t = 0, u = 0;
            for (int s = 0; s < S; s++)
                t += mu[r][s], u += diagonal[r][s];
            g[MIX_MU + k * D + r] = t;
            q[r] = sum - p.diagonal[k][r] * u;
        }
        for (int e = 0; e < MIX_TRI; e++) {
            double t = 0;
            for (int s = 0; s < S; s++)
                t += below[e][s];
            q[D + e] = -t;
        }
    }
}
