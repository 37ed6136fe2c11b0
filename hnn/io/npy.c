/* npy.c - one array in NumPy's .npy format. Invariant: nothing outside [bytes, bytes + n) is read, whatever the
 * header says. */
/* SPDX-License-Identifier: MIT */
#include "npy.h"
#include "array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* the value of 'key' in the header's Python dictionary; NULL if absent. end: one past the header */
static const char *npy_key(const char *h, const char *end, const char *key)
{
    size_t n = strlen(key);
    for (; h + n + 2 < end; h++)
        if ((*h == '\'' || *h == '"') && memcmp(h + 1, key, n) == 0 && h[n + 1] == *h) {
            h += n + 2;
            while (h < end && (*h == ' ' || *h == ':'))
                h++;
            return h < end ? h : NULL;
        }
    return NULL;
}

static int npy_shape(const char *path, const char *s, const char *end, hnn_array *a, hnn_error *e)
{
    a->dims = 0;
    a->size = 1;
    if (!s || *s++ != '(')
        return hnn_fail(e, HNN_EFORMAT, "%s: npy header without a shape", path);
    for (;;) {
        while (s < end && (*s == ' ' || *s == ',' || *s == 'L'))
            s++;
        if (s >= end)
            return hnn_fail(e, HNN_EFORMAT, "%s: npy shape is not closed", path);
        if (*s == ')')
            return HNN_OK;
        if (*s < '0' || *s > '9')
            return hnn_fail(e, HNN_EFORMAT, "%s: npy shape has the character '%c'", path, *s);
        if (a->dims == HNN_MAXDIM)
            return hnn_fail(e, HNN_ESUPPORT, "%s: more than %d dimensions", path, HNN_MAXDIM);
        int64_t d = 0;
        for (; s < end && *s >= '0' && *s <= '9'; s++) {
            d = 10 * d + (*s - '0');
            if (d > INT32_MAX)
                return hnn_fail(e, HNN_EFORMAT, "%s: dimension %d is too large", path, a->dims + 1);
        }
        if (d && a->size > INT64_MAX / 16 / d)
            return hnn_fail(e, HNN_EFORMAT, "%s: the shape is too large", path);
        a->dim[a->dims++] = (long)d;
        a->size *= (long)d;
    }
}

/* row-major position of the element that Fortran order puts at place k */
static long npy_fortran(const hnn_array *a, long k)
{
    long at = 0, stride = a->size;
    for (int i = 0; i < a->dims; i++) { /* first index runs fastest */
        stride /= a->dim[i];
        at += k % a->dim[i] * stride;
        k /= a->dim[i];
    }
    return at;
}

int hnn_npy_parse(const char *path, const char *bytes, size_t n, hnn_array *a, hnn_error *e)
{
    const unsigned char *b = (const unsigned char *)bytes;
    *a = (hnn_array){0};
    if (n < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return hnn_fail(e, HNN_EFORMAT, "%s: not an npy file (its first bytes differ)", path);
    if (b[6] < 1 || b[6] > 3)
        return hnn_fail(e, HNN_ESUPPORT, "%s: npy version %d, at most 3", path, b[6]);
    size_t start = b[6] == 1 ? 10 : 12;
    if (n < start)
        return hnn_fail(e, HNN_EFORMAT, "%s: the npy header is cut short", path);
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > n - start)
        return hnn_fail(e, HNN_EFORMAT, "%s: npy header of %zu bytes in a file of %zu", path, length, n);
    const char *h = bytes + start, *end = h + length;
    const char *type = npy_key(h, end, "descr"), *order = npy_key(h, end, "fortran_order");
    char name[4] = {0};
    if (!type || end - type < 5 || (*type != '\'' && *type != '"') || type[4] != *type)
        return hnn_fail(e, HNN_ESUPPORT, "%s: npy type is not a plain number", path);
    memcpy(name, type + 2, 2);
    size_t width = name[0] == 'b' && name[1] == 'f' ? 0 : hnn_dtype_size(name);
    if (!width || !strchr("<>|=", type[1]))
        return hnn_fail(e, HNN_ESUPPORT, "%s: npy type '%.3s' is not read; save it as float64", path,
                        type + 1);
    if (!order || (*order != 'T' && *order != 'F'))
        return hnn_fail(e, HNN_EFORMAT, "%s: npy header without fortran_order", path);
    int code = npy_shape(path, npy_key(h, end, "shape"), end, a, e);
    if (code)
        return code;
    size_t have = n - start - length;
    if (have / width < (size_t)a->size || have != (size_t)a->size * width)
        return hnn_fail(e, HNN_EFORMAT, "%s: %zu bytes of values, the shape needs %ld of %zu each", path,
                        have, a->size, width);
    a->type = strcmp(name, "f4") == 0 ? HNN_F32 : HNN_F64;
    a->v = malloc((size_t)(a->size ? a->size : 1) * sizeof *a->v);
    if (!a->v)
        return hnn_fail(e, HNN_EMEM, "%s: out of memory for %ld values", path, a->size);
    const unsigned char *p = b + start + length;
    for (long k = 0; k < a->size; k++)
        a->v[*order == 'T' ? npy_fortran(a, k) : k] =
            hnn_dtype_value(name, p + (size_t)k * width, type[1] == '>');
    return HNN_OK;
}

int hnn_npy_read(const char *path, hnn_array *a, hnn_error *e)
{
    char *bytes;
    size_t n;
    *a = (hnn_array){0};
    int code = hnn_file_read(path, &bytes, &n, e);
    if (code)
        return code;
    code = hnn_npy_parse(path, bytes, n, a, e);
    free(bytes);
    return code;
}

void hnn_values_bytes(hnn_text *t, int type, long n, const double v[])
{
    for (long i = 0; i < n && !t->failed; i++) {
        unsigned char p[8];
        uint64_t bits = 0;
        float f = (float)v[i];
        uint32_t word;
        memcpy(&word, &f, 4);
        if (type == HNN_F32)
            bits = word; /* by value, not by memcpy: the byte order of the machine must not matter */
        else
            memcpy(&bits, &v[i], 8);
        for (int k = 0; k < 8; k++)
            p[k] = (unsigned char)(bits >> 8 * k);
        hnn_text_bytes(t, p, type == HNN_F32 ? 4 : 8);
    }
}

void hnn_npy_bytes(hnn_text *t, const hnn_array *a)
{
    hnn_text h = {0};
    hnn_text_printf(&h, "{'descr': '<f%d', 'fortran_order': False, 'shape': (", a->type == HNN_F32 ? 4 : 8);
    for (int i = 0; i < a->dims; i++)
        hnn_text_printf(&h, i + 1 < a->dims || a->dims == 1 ? "%ld," : "%ld", a->dim[i]);
    hnn_text_add(&h, "), }");
    while (!h.failed && (10 + h.n + 1) % 64)
        hnn_text_add(&h, " ");
    hnn_text_add(&h, "\n");
    unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)h.n, (unsigned char)(h.n >> 8)};
    if (h.failed)
        t->failed = h.failed;
    hnn_text_bytes(t, start, 10);
    hnn_text_bytes(t, h.s ? h.s : "", h.n);
    hnn_values_bytes(t, a->type, a->size, a->v);
    hnn_text_free(&h);
}

int hnn_npy_write(const char *path, const hnn_array *a, hnn_error *e)
{
    hnn_text t = {0};
    hnn_npy_bytes(&t, a);
    int code = hnn_text_status(&t, e);
    if (!code)
        code = hnn_file_write(path, t.s, t.n, e);
    hnn_text_free(&t);
    return code;
}
