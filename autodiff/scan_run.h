/* scan_run.h - private: the parts of a per-step value at run time.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_SCAN_RUN_H
#define AD_SCAN_RUN_H

#include "scan.h"
#include "work.h"

HIDDEN size_t ad_slice_size(ad_shape s, int64_t batch, size_t size); /* bytes, rounded up */
/* Step k of a value of `count` steps: where it is, or a copy in buffer. */
HIDDEN const void *ad_step_get(ad_shape s, int64_t batch, size_t size, int64_t count, int64_t k,
                               const void *all, void *buffer);
/* Where to write step k (its place, or the buffer), and how it gets from the buffer to its place. */
HIDDEN void *ad_step_at(ad_shape s, int64_t batch, size_t size, int64_t k, void *all, void *buffer);
HIDDEN void ad_step_put(ad_shape s, int64_t batch, size_t size, int64_t count, int64_t k, void *all,
                        const void *buffer);

/* A run after others of the same batch: what ad_run checks and prepares is done. */
static inline int ad_run_next(bool *begun, ad_work *w, int64_t batch, const void *const in[],
                              void *const out[])
{
    int status = *begun ? ad_run_bound(w, in, out) : ad_run(w, (int)batch, in, out);
    *begun = true;
    return status;
}

/* Checkpoints of a loop backward (scan_back.c): the carries of step at[i] are carries + i bytes, i = 0 ... top. The last steps of a
 * stretch, from `first` on, have theirs at path, one after the other. */
typedef struct ad_marks {
    int64_t slots, top, first, *at;
    char *carries, *path;
    size_t bytes, *offset; /* of all carries of a step; of each in them */
    bool given;            /* by the loop forward */
} ad_marks;
/* Runs step k from carries to carries. */
typedef int ad_stepper(void *user, int64_t k, const char *from, char *to);
/* From the last checkpoint to step end - 1: further checkpoints, until the carries of all steps left find room. */
HIDDEN int ad_marks_descend(ad_marks *m, int64_t end, ad_stepper *step, void *user);
/* Those of a loop backward, for the operands of its loop forward, begun; NULL: out of memory. */
HIDDEN ad_marks *ad_back_begin(ad_state *back, const ad_kcall *forward);
/* The loop forward hands its checkpoints to that one backward. */
HIDDEN void ad_scan_link(ad_state *forward, ad_state *back);

#endif
