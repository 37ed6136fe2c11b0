/* array.h - named arrays of doubles and the binary files that hold them: .npy, .npz, .safetensors.
 * Invariant: values are row-major doubles in memory, whatever order, width or endianness the file has. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_ARRAY_H
#define HNN_ARRAY_H

#include "error.h"

enum { HNN_MAXDIM = 8 };

typedef struct hnn_array {
    char *name;
    int dims; /* 0 for a scalar */
    long dim[HNN_MAXDIM];
    long size; /* product of dim */
    int type; /* HNN_F64, HNN_F32: how it is stored when written, what it was when read; integers are read as HNN_F64 */
    double *v;
} hnn_array;

typedef struct hnn_arrays {
    int n;
    hnn_array *a;
    int metas; /* safetensors "__metadata__": pairs of strings */
    char **key, **value;
} hnn_arrays;

void hnn_array_free(hnn_array *a);
void hnn_arrays_free(hnn_arrays *s);
const hnn_array *hnn_arrays_find(const hnn_arrays *s, const char *name); /* NULL if there is none */

/* hnn_arrays_add - a copy of v under this name. Errors: HNN_EARG (dims, a name that is there already), HNN_EMEM. */
int hnn_arrays_add(hnn_arrays *s, const char *name, int type, int dims, const long dim[], const double v[],
                   hnn_error *e);
int hnn_arrays_note(hnn_arrays *s, const char *key, const char *value, hnn_error *e);

/* .npy versions 1 to 3; f8 f4 f2, i1 i2 i4 i8, u1 u2 u4 u8, b1; both byte orders; C and Fortran order.
 * Written: version 1, little-endian, C order. Source: NumPy, numpy.lib.format. */
int hnn_npy_read(const char *path, hnn_array *a, hnn_error *e);
int hnn_npy_parse(const char *path, const char *bytes, size_t n, hnn_array *a,
                  hnn_error *e); /* path: for messages */
int hnn_npy_write(const char *path, const hnn_array *a, hnn_error *e);

/* .npz: a zip of .npy; stored entries always, deflated ones when built with zlib (else HNN_ESUPPORT), zip64 sizes.
 * Entries that are not .npy are skipped. CRCs are checked. Written: stored. Source: PKWARE APPNOTE 6.3. */
int hnn_npz_read(const char *path, hnn_arrays *s, hnn_error *e);
int hnn_npz_write(const char *path, const hnn_arrays *s, hnn_error *e);

/* .safetensors with F64, F32, F16, BF16, I8..I64, U8, BOOL read; F64 and F32 written, F64 first so that all is aligned.
 * Refused: overlaps, holes, ranges outside the file, sizes that are not the product of the shape, duplicate
 * names. Source: huggingface/safetensors, README "Format". */
int hnn_safetensors_read(const char *path, hnn_arrays *s, hnn_error *e);
int hnn_safetensors_write(const char *path, const hnn_arrays *s, hnn_error *e);

/* Shared by the three: n elements of one type ("f8", "i4", ...) to doubles. Returns 0 for an unknown type. */
size_t hnn_dtype_size(const char *type);
double hnn_dtype_value(const char *type, const unsigned char *p, int big_endian);

#endif
