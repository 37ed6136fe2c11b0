/* compare_sizes.c - sample efficiency: the same comparison for several numbers of trajectories. Invariant: but for that number
 * and what is not asked for, its options are those of the comparison. */
/* SPDX-License-Identifier: MIT */
#include "compare.h"

static const int metric[HNN_SIZE_METRICS] = {HNN_FIELD_ERROR, HNN_ROLLOUT_ERROR, HNN_ENERGY_MSE_TRUE};

int hnn_size_metric(int i) { return metric[i]; }

int hnn_compare_sizes(const hnn_compare_options *o, int n, const int trajectories[], hnn_compare_result *r,
                      hnn_error *e)
{
    hnn_compare_options one = *o;
    int code = HNN_OK;
    if (n < 0 || n > HNN_COMPARE_SIZES || (n && o->data))
        return hnn_fail(e, HNN_EARG,
                        "sizes: %d numbers of trajectories%s; needed at most %d, and data that are drawn", n,
                        o->data ? " of measured data" : "", HNN_COMPARE_SIZES);
    one.budget.skip = ~0u;
    for (int a = 0; a < HNN_SIZE_METRICS; a++)
        one.budget.skip &= ~(1u << metric[a]);
    for (r->sizes = 0; r->sizes < n && !code && !(o->interrupt && *o->interrupt);) {
        hnn_compare_result at;
        one.trajectories = trajectories[r->sizes];
        if (one.trajectories < 1)
            return hnn_fail(e, HNN_EARG, "sizes: %d trajectories", one.trajectories);
        if ((code = hnn_compare(&one, &at, e)))
            return code;
        hnn_compare_size *to = &r->size[r->sizes];
        to->trajectories = one.trajectories;
        for (int k = 0; k < o->models; k++)
            for (int a = 0; a < HNN_SIZE_METRICS; a++)
                to->summary[k][a] = at.row[k].summary[metric[a]];
        r->sizes += !at.interrupted;
        hnn_compare_free(&at);
    }
    return code;
}
