/* eval.h - private: the programs that ad_eval keeps with a tape.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_EVAL_H
#define AD_EVAL_H

#include "tape.h"

HIDDEN void ad_evals_free(ad_tape *t); /* nodes may be removed: forget the programs made of them */
/* The batch that the bound inputs among the needed nodes (ids below n) agree on; -1 after an error. */
HIDDEN int64_t ad_batch_for(ad_tape *t, const char *who, const uint8_t *need, int32_t n);

#endif
