/* scan_run.h - private: the parts of a per-step value at run time.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_SCAN_RUN_H
#define AD_SCAN_RUN_H

#include "scan.h"

HIDDEN size_t ad_slice_size(ad_shape s, int64_t batch, size_t size); /* bytes, rounded up */
/* Step k of a value of `count` steps: where it is, or a copy in buffer. */
HIDDEN const void *ad_step_get(ad_shape s, int64_t batch, size_t size, int64_t count, int64_t k,
                               const void *all, void *buffer);
/* Where to write step k (its place, or the buffer), and how it gets from the buffer to its place. */
HIDDEN void *ad_step_at(ad_shape s, int64_t batch, size_t size, int64_t k, void *all, void *buffer);
HIDDEN void ad_step_put(ad_shape s, int64_t batch, size_t size, int64_t count, int64_t k, void *all,
                        const void *buffer);

#endif
