/* adam.c - Adam with the bias corrections of its paper. Invariant: a step is + - * / sqrt on each element alone, so its bits
 * depend on nothing but the gradients. */
/* SPDX-License-Identifier: MIT */
#include "train.h"

#include <math.h>
#include <stdlib.h>

int hnn_adam_new(hnn_adam *a, long size, double beta1, double beta2, double epsilon, double l2, hnn_error *e)
{
    *a = (hnn_adam){.size = size,
                    .decayed = size,
                    .beta1 = beta1 == 0 ? 0.9 : beta1,
                    .beta2 = beta2 == 0 ? 0.999 : beta2,
                    .epsilon = epsilon == 0 ? 1e-8 : epsilon,
                    .l2 = l2};
    if (size < 0 || !(a->beta1 > 0 && a->beta1 < 1) || !(a->beta2 > 0 && a->beta2 < 1) || !(a->epsilon > 0) ||
        !(l2 >= 0))
        return hnn_fail(e, HNN_EARG,
                        "adam: beta1 %g, beta2 %g, epsilon %g, l2 %g; needed (0, 1), (0, 1), > 0, >= 0",
                        a->beta1, a->beta2, a->epsilon, l2);
    a->m = calloc((size_t)size + 1, sizeof *a->m);
    a->v = calloc((size_t)size + 1, sizeof *a->v);
    if (a->m && a->v)
        return HNN_OK;
    hnn_adam_free(a);
    return hnn_fail(e, HNN_EMEM, "adam: out of memory for %ld parameters", size);
}

void hnn_adam_free(hnn_adam *a)
{
    free(a->m);
    free(a->v);
    *a = (hnn_adam){0};
}

/* x^n by squaring: products only, so no C library decides the bits. */
static double power(double x, long n)
{
    double p = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1)
            p *= x;
    return p;
}

void hnn_adam_step(hnn_adam *a, double rate, const double g[], double x[])
{
    a->steps++;
    double step = rate / (1 - power(a->beta1, a->steps)), second = sqrt(1 - power(a->beta2, a->steps));
    for (long i = 0; i < a->size; i++) {
        double d = g[i] + (i < a->decayed ? a->l2 * x[i] : 0);
        a->m[i] = a->beta1 * a->m[i] + (1 - a->beta1) * d;
        a->v[i] = a->beta2 * a->v[i] + (1 - a->beta2) * d * d;
        x[i] -= step * a->m[i] / (sqrt(a->v[i]) / second + a->epsilon);
    }
}
