/* error.c - the one place where an hnn_error is filled. Invariant: the message always ends in a zero byte. */
/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int hnn_fail(hnn_error *e, int code, const char *format, ...)
{
    if (!e)
        return code;
    va_list list;
    va_start(list, format);
    e->code = code;
    if (vsnprintf(e->message, sizeof e->message, format, list) < 0)
        e->message[0] = 0;
    va_end(list);
    return code;
}
