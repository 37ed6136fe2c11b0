/* safetensors.c - named tensors behind a JSON header. Invariant: ranges in the header tile the data exactly, so no
 * byte is read twice and none is hidden. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "json.h"
#include "npy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* [1, 2, ...] of at most max non-negative integers; -1 if malformed */
static int json_integers(hnn_json_reader *j, int max, uint64_t out[])
{
    int n = 0;
    if (!hnn_json_take(j, '['))
        return -1;
    if (hnn_json_take(j, ']'))
        return 0;
    do {
        uint64_t x = 0;
        char c = hnn_json_peek(j);
        if (n == max || c < '0' || c > '9')
            return -1;
        for (; j->s < j->end && *j->s >= '0' && *j->s <= '9'; j->s++) {
            if (x > UINT64_MAX / 16)
                return -1;
            x = 10 * x + (uint64_t)(*j->s - '0');
        }
        out[n++] = x;
    } while (hnn_json_take(j, ','));
    return hnn_json_take(j, ']') ? n : -1;
}

struct tensor {
    char type[8];
    int dims;
    uint64_t dim[HNN_MAXDIM], range[2];
};

static int json_tensor(hnn_json_reader *j, struct tensor *t)
{
    int seen = 0;
    if (!hnn_json_take(j, '{'))
        return 0;
    do {
        if (!hnn_json_string(j) || !hnn_json_take(j, ':'))
            return 0;
        if (strcmp(j->string.s, "dtype") == 0) {
            if ((seen & 1) || !hnn_json_string(j) || j->string.n >= sizeof t->type)
                return 0;
            memcpy(t->type, j->string.s, j->string.n + 1);
            seen |= 1;
        } else if (strcmp(j->string.s, "shape") == 0) {
            if ((seen & 2) || (t->dims = json_integers(j, HNN_MAXDIM, t->dim)) < 0)
                return 0;
            seen |= 2;
        } else if (strcmp(j->string.s, "data_offsets") == 0) {
            if ((seen & 4) || json_integers(j, 2, t->range) != 2)
                return 0;
            seen |= 4;
        } else
            return 0;
    } while (hnn_json_take(j, ','));
    return hnn_json_take(j, '}') && seen == 7;
}

static int json_notes(hnn_json_reader *j, hnn_arrays *s)
{
    if (!hnn_json_take(j, '{'))
        return 0;
    if (hnn_json_take(j, '}'))
        return 1;
    do {
        hnn_text key = {0};
        int good = hnn_json_string(j) && hnn_json_take(j, ':');
        if (good)
            hnn_text_bytes(&key, j->string.s, j->string.n);
        good = good && !key.failed && hnn_json_string(j) &&
               hnn_arrays_note(s, key.s, j->string.s, NULL) == HNN_OK;
        hnn_text_free(&key);
        if (!good)
            return 0;
    } while (hnn_json_take(j, ','));
    return hnn_json_take(j, '}');
}

static const struct {
    const char *name, *type;
} types[] = {{"F64", "f8"}, {"F32", "f4"}, {"F16", "f2"}, {"BF16", "bf"}, {"I64", "i8"},
             {"I32", "i4"}, {"I16", "i2"}, {"I8", "i1"},  {"U8", "u1"},   {"BOOL", "b1"},
             {"U64", "u8"}, {"U32", "u4"}, {"U16", "u2"}};

static int add_tensor(const char *path, hnn_arrays *s, const char *name, const struct tensor *t,
                      const unsigned char *data, size_t room, hnn_error *e)
{
    const char *type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, t->type) == 0)
            type = types[i].type;
    if (!type)
        return hnn_fail(e, HNN_ESUPPORT, "%s: %s has type %s", path, name, t->type);
    size_t width = hnn_dtype_size(type);
    uint64_t size = 1;
    long dim[HNN_MAXDIM];
    for (int i = 0; i < t->dims; i++) {
        if (t->dim[i] > INT32_MAX || (t->dim[i] && size > (uint64_t)INT64_MAX / 16 / t->dim[i]))
            return hnn_fail(e, HNN_EFORMAT, "%s: %s: dimension %d is too large", path, name, i + 1);
        dim[i] = (long)t->dim[i];
        size *= t->dim[i];
    }
    if (t->range[0] > t->range[1] || t->range[1] > room)
        return hnn_fail(e, HNN_EFORMAT, "%s: %s: its bytes lie outside the file", path, name);
    if (t->range[1] - t->range[0] != size * width)
        return hnn_fail(e, HNN_EFORMAT, "%s: %s: %llu bytes, its shape needs %llu", path, name,
                        (unsigned long long)(t->range[1] - t->range[0]), (unsigned long long)(size * width));
    double *v = malloc((size_t)(size ? size : 1) * sizeof *v);
    if (!v)
        return hnn_fail(e, HNN_EMEM, "%s: %s: out of memory", path, name);
    for (uint64_t i = 0; i < size; i++)
        v[i] = hnn_dtype_value(type, data + t->range[0] + i * width, 0);
    int code = hnn_arrays_add(s, name, strcmp(type, "f4") ? HNN_F64 : HNN_F32, t->dims, dim, v, e);
    free(v);
    return code;
}

static int by_start(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : x[1] < y[1] ? -1 : x[1] > y[1];
}

static int safetensors_parse(const char *path, const char *bytes, size_t n, hnn_arrays *s, hnn_error *e)
{
    if (n < 10)
        return hnn_fail(e, HNN_EFORMAT, "%s: %zu bytes, too short for a safetensors file", path, n);
    uint64_t length = 0;
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    if (length > n - 8)
        return hnn_fail(e, HNN_EFORMAT, "%s: header of %llu bytes in a file of %zu", path,
                        (unsigned long long)length, n);
    const unsigned char *data = (const unsigned char *)bytes + 8 + length;
    size_t room = n - 8 - (size_t)length, ranges = 0, capacity = 0;
    uint64_t(*range)[2] = NULL, next = 0;
    hnn_json_reader j = {bytes + 8, bytes + 8 + length, {0}};
    hnn_text name = {0};
    int code = HNN_OK, good = hnn_json_take(&j, '{'), more = good && !hnn_json_take(&j, '}');
    while (!code && good && more) {
        struct tensor t = {0};
        good = hnn_json_string(&j) && hnn_json_take(&j, ':');
        name.n = 0;
        hnn_text_bytes(&name, j.string.s ? j.string.s : "", j.string.n);
        if (ranges == capacity) {
            capacity = 2 * capacity + 16;
            void *grown = realloc(range, capacity * sizeof *range);
            if (grown)
                range = grown;
            else
                code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
        }
        if (name.failed)
            code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
        if (code || !good)
            break;
        if (strcmp(name.s, "__metadata__") == 0)
            good = json_notes(&j, s);
        else if ((good = json_tensor(&j, &t)) != 0) {
            code = add_tensor(path, s, name.s, &t, data, room, e);
            range[ranges][0] = t.range[0];
            range[ranges++][1] = t.range[1];
        }
        more = good && hnn_json_take(&j, ',');
        if (good && !more)
            good = hnn_json_take(&j, '}');
    }
    if (!code && (!good || hnn_json_peek(&j) != 0))
        code = hnn_fail(e, HNN_EFORMAT, "%s: byte %zu of the header is not what safetensors allows", path,
                        (size_t)(j.s - bytes));
    if (!code && ranges)
        qsort(range, ranges, sizeof *range, by_start);
    for (size_t i = 0; !code && i < ranges; i++) {
        if (range[i][0] != next)
            code = hnn_fail(e, HNN_EFORMAT, "%s: tensors overlap or leave a hole at byte %llu", path,
                            (unsigned long long)next);
        next = range[i][1];
    }
    if (!code && next != room)
        code = hnn_fail(e, HNN_EFORMAT, "%s: %zu bytes of data, the header names %llu", path, room,
                        (unsigned long long)next);
    free(range);
    hnn_text_free(&j.string);
    hnn_text_free(&name);
    return code;
}

int hnn_safetensors_read(const char *path, hnn_arrays *s, hnn_error *e)
{
    char *bytes;
    size_t n;
    *s = (hnn_arrays){0};
    int code = hnn_file_read(path, &bytes, &n, e);
    if (code)
        return code;
    code = safetensors_parse(path, bytes, n, s, e);
    free(bytes);
    if (code)
        hnn_arrays_free(s);
    return code;
}

int hnn_safetensors_write(const char *path, const hnn_arrays *s, hnn_error *e)
{
    hnn_text t = {0}, h = {0};
    unsigned long long at = 0;
    hnn_text_add(&h, "{");
    for (int i = 0; i < s->metas; i++) {
        hnn_text_add(&h, i ? "," : "\"__metadata__\":{");
        hnn_text_json(&h, s->key[i]);
        hnn_text_add(&h, ":");
        hnn_text_json(&h, s->value[i]);
    }
    hnn_text_add(&h, s->metas ? "}" : "");
    for (int wide = 1; wide >= 0; wide--) /* eight-byte tensors first: every tensor is then aligned */
        for (int i = 0; i < s->n; i++) {
            const hnn_array *a = &s->a[i];
            if ((a->type != HNN_F32) != wide)
                continue;
            hnn_text_add(&h, h.n > 1 ? "," : "");
            hnn_text_json(&h, a->name);
            hnn_text_printf(&h, ":{\"dtype\":\"%s\",\"shape\":[", wide ? "F64" : "F32");
            for (int k = 0; k < a->dims; k++)
                hnn_text_printf(&h, k ? ",%ld" : "%ld", a->dim[k]);
            unsigned long long end = at + (unsigned long long)a->size * (wide ? 8 : 4);
            hnn_text_printf(&h, "],\"data_offsets\":[%llu,%llu]}", at, end);
            at = end;
        }
    hnn_text_add(&h, "}");
    while (!h.failed && h.n % 8)
        hnn_text_add(&h, " ");
    for (int i = 0; i < 8; i++)
        hnn_text_bytes(&t, &(char){(char)((uint64_t)h.n >> 8 * i)}, 1);
    hnn_text_bytes(&t, h.s ? h.s : "", h.n);
    for (int wide = 1; wide >= 0; wide--)
        for (int i = 0; i < s->n; i++)
            if ((s->a[i].type != HNN_F32) == wide)
                hnn_values_bytes(&t, s->a[i].type, s->a[i].size, s->a[i].v);
    int code = h.failed ? hnn_text_status(&h, e) : hnn_text_status(&t, e);
    if (!code)
        code = hnn_file_write(path, t.s, t.n, e);
    hnn_text_free(&h);
    hnn_text_free(&t);
    return code;
}
