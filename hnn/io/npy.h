/* npy.h - pieces of npy.c that the other containers use. Invariant: bytes are little-endian on every machine. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_IO_NPY_H
#define HNN_IO_NPY_H

#include "array.h"
#include "text.h"

void hnn_values_bytes(hnn_text *t, int type, long n, const double v[]); /* HNN_F64 or HNN_F32 */
void hnn_npy_bytes(hnn_text *t, const hnn_array *a);                    /* a whole .npy file */

#endif
