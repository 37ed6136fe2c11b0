/* error.h - how the toolkit reports a failure: a code, and one sentence that names what was given and what
 * was needed. Invariant: a function that returns nonzero has filled the caller's hnn_error (when there is one)
 * and has released everything it allocated. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_ERROR_H
#define HNN_ERROR_H

#include <stddef.h>

enum {
    HNN_OK = 0,
    HNN_EARG = 1,      /* a bad argument or option */
    HNN_EMEM = 2,      /* out of memory */
    HNN_EIO = 3,       /* the operating system refused: open, read, write, rename */
    HNN_EFORMAT = 4,   /* the file is not what its name says, or is damaged */
    HNN_ESHAPE = 5,    /* sizes do not fit */
    HNN_ESUPPORT = 6,  /* a valid file that needs something this build does not have */
    HNN_ECHECKSUM = 7, /* what was read is not what was written */
};

typedef struct hnn_error {
    int code;
    char message[512];
} hnn_error;

#if defined(__GNUC__)
#define HNN_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define HNN_PRINTF(a, b)
#endif

/* hnn_fail - fill e (may be NULL) and return code, so that `return hnn_fail(e, HNN_EARG, ...)` reads well. */
int hnn_fail(hnn_error *e, int code, const char *format, ...) HNN_PRINTF(3, 4);

#endif
