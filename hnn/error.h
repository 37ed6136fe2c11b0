/* error.h - how the toolkit reports a failure: a code, and one sentence that names what was given and what
 * was needed. Invariant: a function that returns nonzero has filled the caller's hnn_error (when there is one)
 * and has released everything it allocated. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_ERROR_H
#define HNN_ERROR_H

#include "hnn.h"

#if defined(__GNUC__)
#define HNN_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define HNN_PRINTF(a, b)
#endif

/* hnn_fail - fill e (may be NULL) and return code, so that `return hnn_fail(e, HNN_EARG, ...)` reads well. */
int hnn_fail(hnn_error *e, int code, const char *format, ...) HNN_PRINTF(3, 4);

#endif
