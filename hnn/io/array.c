/* array.c - the list of named arrays, and elements of every stored type as doubles. Invariant: a list whose
 * addition failed is as it was before. */
/* SPDX-License-Identifier: MIT */
#include "array.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void hnn_array_free(hnn_array *a)
{
    free(a->name);
    free(a->v);
    *a = (hnn_array){0};
}

void hnn_arrays_free(hnn_arrays *s)
{
    for (int i = 0; i < s->n; i++)
        hnn_array_free(&s->a[i]);
    for (int i = 0; i < s->metas; i++) {
        free(s->key[i]);
        free(s->value[i]);
    }
    free(s->a);
    free(s->key);
    free(s->value);
    *s = (hnn_arrays){0};
}

const hnn_array *hnn_arrays_find(const hnn_arrays *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->a[i].name, name) == 0)
            return &s->a[i];
    return NULL;
}

static char *copy_string(const char *s)
{
    size_t n = strlen(s) + 1;
    char *t = malloc(n);
    return t ? memcpy(t, s, n) : NULL;
}

int hnn_arrays_add(hnn_arrays *s, const char *name, int type, int dims, const long dim[], const double v[],
                   hnn_error *e)
{
    hnn_array a = {.dims = dims, .type = type, .size = 1};
    if (dims < 0 || dims > HNN_MAXDIM)
        return hnn_fail(e, HNN_EARG, "array %s: %d dimensions, at most %d", name, dims, HNN_MAXDIM);
    if (hnn_arrays_find(s, name))
        return hnn_fail(e, HNN_EARG, "array %s: the name is there already", name);
    for (int i = 0; i < dims; i++) {
        if (dim[i] < 0 || (dim[i] && a.size > INT64_MAX / 16 / dim[i]))
            return hnn_fail(e, HNN_EARG, "array %s: dimension %d is %ld", name, i, dim[i]);
        a.dim[i] = dim[i];
        a.size *= dim[i];
    }
    hnn_array *grown = realloc(s->a, (size_t)(s->n + 1) * sizeof *grown);
    if (grown)
        s->a = grown;
    a.name = copy_string(name);
    a.v = malloc((size_t)(a.size ? a.size : 1) * sizeof *a.v);
    if (!grown || !a.name || !a.v) {
        hnn_array_free(&a);
        return hnn_fail(e, HNN_EMEM, "array %s: out of memory", name);
    }
    if (a.size)
        memcpy(a.v, v, (size_t)a.size * sizeof *v);
    s->a[s->n++] = a;
    return HNN_OK;
}

int hnn_arrays_note(hnn_arrays *s, const char *key, const char *value, hnn_error *e)
{
    size_t room = (size_t)(s->metas + 1) * sizeof(char *);
    char **keys = realloc(s->key, room);
    if (keys)
        s->key = keys;
    char **values = realloc(s->value, room);
    if (values)
        s->value = values;
    char *k = copy_string(key), *v = copy_string(value);
    if (!keys || !values || !k || !v) {
        free(k);
        free(v);
        return hnn_fail(e, HNN_EMEM, "metadata %s: out of memory", key);
    }
    s->key[s->metas] = k;
    s->value[s->metas++] = v;
    return HNN_OK;
}

size_t hnn_dtype_size(const char *type)
{
    static const struct {
        const char *name;
        size_t size;
    } row[] = {{"f8", 8}, {"f4", 4}, {"f2", 2}, {"bf", 2}, {"i8", 8}, {"i4", 4}, {"i2", 2},
               {"i1", 1}, {"u8", 8}, {"u4", 4}, {"u2", 2}, {"u1", 1}, {"b1", 1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(row[i].name, type) == 0)
            return row[i].size;
    return 0;
}

static double half_value(unsigned bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double m = bits & 1023, x;
    if (exponent == 31)
        x = m > 0 ? NAN : INFINITY;
    else
        x = exponent ? ldexp(m + 1024, exponent - 25) : ldexp(m, -24);
    return bits >> 15 ? -x : x;
}

double hnn_dtype_value(const char *type, const unsigned char *p, int big_endian)
{
    size_t n = hnn_dtype_size(type);
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits |= (uint64_t)p[big_endian ? n - 1 - i : i] << 8 * i;
    double x;
    float f;
    uint32_t word = (uint32_t)(type[0] == 'b' && type[1] == 'f' ? bits << 16 : bits);
    if (type[0] == 'f' && n == 2)
        return half_value((unsigned)bits);
    if ((type[0] == 'f' && n == 4) || (type[0] == 'b' && n == 2)) {
        memcpy(&f, &word, 4);
        return (double)f;
    }
    if (type[0] == 'f') {
        memcpy(&x, &bits, 8);
        return x;
    }
    if (type[0] != 'i')
        return (double)bits;
    uint64_t sign = (uint64_t)1 << (8 * n - 1);
    return bits & sign ? -(double)(sign - (bits & (sign - 1))) : (double)bits;
}
