/* data_integrate.c - states from clean derivatives: when only the states are noisy, a trajectory is known up to one
 * constant, which is the mean of many noisy values. Invariant: exact data stay as they are to the order of the rule. */
/* SPDX-License-Identifier: MIT */
#include "data.h"

/* Integral of column y over [t[i], t[i+1]]: Simpson's rule on the cubic through four neighbours (fewer at short
 * trajectories), which is exact for it. */
static double piece(long n, const double t[], const double y[], long stride, long i)
{
    long first = i > 0 ? i - 1 : 0, points = n < 4 ? n : 4;
    first = first + points > n ? n - points : first;
    double middle = (t[i] + t[i + 1]) / 2, f = 0;
    for (long a = first; a < first + points; a++) {
        double w = 1;
        for (long b = first; b < first + points; b++)
            if (b != a)
                w *= (middle - t[b]) / (t[a] - t[b]);
        f += w * y[a * stride];
    }
    return (t[i + 1] - t[i]) / 6 * (y[i * stride] + 4 * f + y[(i + 1) * stride]);
}

int hnn_data_integrate(hnn_data *d, hnn_error *e)
{
    int size = 2 * d->dof;
    if (!d->dz || !d->has_time)
        return hnn_fail(e, HNN_EARG, "states from derivatives: the data have no %s",
                        d->dz ? "times" : "derivatives");
    for (int k = 0; k < d->ntraj; k++)
        for (int j = 0; j < size; j++) {
            long n = d->offset[k + 1] - d->offset[k];
            double *z = d->z + d->offset[k] * size + j, sum = 0, mean = 0;
            const double *dz = d->dz + d->offset[k] * size + j, *t = d->t + d->offset[k];
            for (long i = 0; i < n; i++) {
                mean += (z[i * size] - sum) / (double)n;
                sum += i + 1 < n ? piece(n, t, dz, size, i) : 0;
            }
            sum = mean;
            for (long i = 0; i < n; i++) {
                z[i * size] = sum;
                sum += i + 1 < n ? piece(n, t, dz, size, i) : 0;
            }
        }
    return HNN_OK;
}
