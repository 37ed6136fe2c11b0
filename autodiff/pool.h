/* pool.h - private: run the pieces of one job on the threads of a pool.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_POOL_H
#define AD_POOL_H

#define AD_NO_SUGAR
#include "ad.h"

/* The number of threads, the caller's included; 1 for NULL. */
__attribute__((visibility("hidden"))) int ad_pool_threads(const ad_pool *pool);
/* Calls piece(arg, i, thread) for i = 0 ... pieces-1, in any order and on any thread (0 ... threads-1). */
__attribute__((visibility("hidden"))) void
ad_pool_run(ad_pool *pool, int pieces, void (*piece)(void *arg, int piece, int thread), void *arg);

#endif
