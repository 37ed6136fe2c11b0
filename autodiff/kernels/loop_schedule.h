/* loop_schedule.h - where a loop backward puts its checkpoints, for scan_back.c (which says where it comes from) and for emitted
 * C, which embeds this text. K() names the functions. */
/* SPDX-License-Identifier: MIT */
#ifndef AD_KERNELS_LOOP_SCHEDULE_H
#define AD_KERNELS_LOOP_SCHEDULE_H

/* T(s,r) = C(s+r+1, r), or INT64_MAX where it is larger than any count. */
static int64_t K(loop_reach)(int64_t s, int64_t r)
{
    double t = 1;
    for (int64_t i = 1; i <= r; i++) {
        t = t * (double)(s + 1 + i) / (double)i;
        if (t > 4e18)
            return INT64_MAX;
    }
    return (int64_t)(t + 0.5);
}

/* Where to cut a stretch of n >= 2 steps with s >= 1 free checkpoints: steps before the next one. */
static int64_t K(loop_cut)(int64_t n, int64_t s)
{
    int64_t r = 1;
    if (s + 2 >= n)
        return 1;
    while (K(loop_reach)(s, r) < n)
        r++;
    int64_t least = n - K(loop_reach)(s - 1, r), inner = K(loop_reach)(s, r - 2);
    return least > inner ? least : inner;
}

#endif
