/* npz.c - zip archives of .npy files. Invariant: the central directory is the truth; every offset and length from
 * the file is checked against the file's size before it is used. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "npy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef HNN_HAVE_ZLIB
#include <zlib.h>
#endif

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

/* The end record: "PK\5\6", at most 65557 bytes before the end. Gives the place and length of the directory. */
static int zip_directory(const char *path, const unsigned char *b, size_t n, size_t *at, size_t *count,
                         hnn_error *e)
{
    size_t lowest = n > 65557 ? n - 65557 : 0;
    for (size_t i = n >= 22 ? n - 22 + 1 : 0; i-- > lowest;) {
        if (memcmp(b + i, "PK\5\6", 4) != 0)
            continue;
        uint64_t entries = little(b + i + 10, 2), start = little(b + i + 16, 4);
        if ((entries == 0xffff || start == 0xffffffff) && i >= 20 && memcmp(b + i - 20, "PK\6\7", 4) == 0) {
            uint64_t far = little(b + i - 12, 8); /* zip64: the locator names the long end record */
            if (far > n || n - far < 56 || memcmp(b + far, "PK\6\6", 4) != 0)
                return hnn_fail(e, HNN_EFORMAT, "%s: the zip64 end record is damaged", path);
            entries = little(b + far + 32, 8);
            start = little(b + far + 48, 8);
        }
        if (start > i || entries > n / 46)
            return hnn_fail(e, HNN_EFORMAT, "%s: the zip directory lies outside the file", path);
        *at = (size_t)start;
        *count = (size_t)entries;
        return HNN_OK;
    }
    return hnn_fail(e, HNN_EFORMAT, "%s: not an npz file (no zip directory at its end)", path);
}

struct entry {
    const unsigned char *name;
    size_t name_n;
    int method, flags;
    uint32_t crc;
    uint64_t packed, size, offset;
};

/* Sizes of 2^32 - 1 mean: the real ones are in the extra field 1, in this order, only those that are needed. */
static int zip64_sizes(const unsigned char *x, size_t n, struct entry *z)
{
    uint64_t *need[3] = {&z->size, &z->packed, &z->offset};
    for (size_t i = 0; i + 4 <= n;) {
        size_t length = (size_t)little(x + i + 2, 2), from = i + 4;
        if (length > n - from)
            return 0;
        if (little(x + i, 2) == 1)
            for (int k = 0; k < 3; k++)
                if (*need[k] == 0xffffffff) {
                    if (from + 8 > i + 4 + length)
                        return 0;
                    *need[k] = little(x + from, 8);
                    from += 8;
                }
        i += 4 + length;
    }
    return 1;
}

static int zip_entry(const unsigned char *b, size_t n, size_t *at, struct entry *z)
{
    if (*at > n || n - *at < 46 || memcmp(b + *at, "PK\1\2", 4) != 0)
        return 0;
    const unsigned char *p = b + *at;
    size_t extra = (size_t)little(p + 30, 2), note = (size_t)little(p + 32, 2);
    z->flags = (int)little(p + 8, 2);
    z->method = (int)little(p + 10, 2);
    z->crc = (uint32_t)little(p + 16, 4);
    z->packed = little(p + 20, 4);
    z->size = little(p + 24, 4);
    z->name_n = (size_t)little(p + 28, 2);
    z->offset = little(p + 42, 4);
    z->name = p + 46;
    if (n - *at - 46 < z->name_n + extra + note)
        return 0;
    if (!zip64_sizes(p + 46 + z->name_n, extra, z))
        return 0;
    *at += 46 + z->name_n + extra + note;
    return 1;
}

/* The entry's bytes: *own is NULL when they lie in the file itself, else to be freed. */
static int zip_unpack(const char *path, const unsigned char *b, size_t n, const struct entry *z,
                      const char **bytes, char **own, hnn_error *e)
{
    *own = NULL;
    const int shown = (int)(z->name_n < 200 ? z->name_n : 200);
    const char *name = (const char *)z->name;
    if (z->flags & 1)
        return hnn_fail(e, HNN_ESUPPORT, "%s: %.*s is encrypted", path, shown, name);
    if (z->offset > n || n - z->offset < 30 || memcmp(b + z->offset, "PK\3\4", 4) != 0)
        return hnn_fail(e, HNN_EFORMAT, "%s: %.*s: its header lies outside the file", path, shown, name);
    const unsigned char *local = b + z->offset;
    uint64_t skip = 30 + little(local + 26, 2) + little(local + 28, 2);
    if (skip > n - z->offset || z->packed > n - z->offset - skip)
        return hnn_fail(e, HNN_EFORMAT, "%s: %.*s is cut short", path, shown, name);
    *bytes = (const char *)local + skip;
    if (z->method == 0 && z->packed != z->size)
        return hnn_fail(e, HNN_EFORMAT, "%s: %.*s: stored, but its two sizes differ", path, shown, name);
    if (z->method == 8) {
#ifdef HNN_HAVE_ZLIB
        if (z->size / 1100 > z->packed + 1) /* deflate cannot do better than 1032 to 1 */
            return hnn_fail(e, HNN_EFORMAT, "%s: %.*s: impossible size", path, shown, name);
        *own = malloc((size_t)z->size + 1);
        if (!*own)
            return hnn_fail(e, HNN_EMEM, "%s: %.*s: out of memory", path, shown, name);
        z_stream s = {0};
        s.next_in = (Bytef *)(uintptr_t)*bytes;
        s.avail_in = (uInt)z->packed;
        s.next_out = (Bytef *)*own;
        s.avail_out = (uInt)(z->size + 1);
        int done = z->packed < UINT32_MAX - 1 && z->size < UINT32_MAX - 1 && inflateInit2(&s, -15) == Z_OK;
        if (done) {
            done = inflate(&s, Z_FINISH) == Z_STREAM_END && s.total_out == z->size;
            inflateEnd(&s);
        }
        if (!done)
            return hnn_fail(e, HNN_EFORMAT, "%s: %.*s: damaged compressed data", path, shown, name);
        *bytes = *own;
#else
        return hnn_fail(e, HNN_ESUPPORT, "%s: %.*s is compressed and this build has no zlib; use numpy.savez",
                        path, shown, name);
#endif
    } else if (z->method != 0)
        return hnn_fail(e, HNN_ESUPPORT, "%s: %.*s: compression method %d", path, shown, name, z->method);
    if (hnn_crc32(0, *bytes, (size_t)z->size) != z->crc)
        return hnn_fail(e, HNN_ECHECKSUM, "%s: %.*s: the CRC differs", path, shown, name);
    return HNN_OK;
}

static int npz_parse(const char *path, const unsigned char *b, size_t n, hnn_arrays *s, hnn_error *e)
{
    size_t at = 0, count = 0;
    int code = zip_directory(path, b, n, &at, &count, e);
    for (size_t i = 0; !code && i < count; i++) {
        struct entry z;
        if (!zip_entry(b, n, &at, &z))
            return hnn_fail(e, HNN_EFORMAT, "%s: entry %zu of the zip directory is damaged", path, i + 1);
        if (z.name_n < 5 || memcmp(z.name + z.name_n - 4, ".npy", 4) != 0)
            continue;
        const char *bytes = NULL;
        char *own = NULL;
        hnn_array a = {0};
        hnn_text name = {0}, where = {0};
        hnn_text_bytes(&name, z.name, z.name_n - 4);
        hnn_text_printf(&where, "%s: %s", path, name.s ? name.s : "");
        if (name.failed || where.failed)
            code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
        else
            code = zip_unpack(path, b, n, &z, &bytes, &own, e);
        if (!code) {
            code = hnn_npy_parse(where.s, bytes, (size_t)z.size, &a, e);
            if (!code)
                code = hnn_arrays_add(s, name.s, a.type, a.dims, a.dim, a.v, e);
        }
        free(own);
        hnn_array_free(&a);
        hnn_text_free(&name);
        hnn_text_free(&where);
    }
    return code;
}

int hnn_npz_read(const char *path, hnn_arrays *s, hnn_error *e)
{
    char *bytes;
    size_t n;
    *s = (hnn_arrays){0};
    int code = hnn_file_read(path, &bytes, &n, e);
    if (code)
        return code;
    code = npz_parse(path, (unsigned char *)bytes, n, s, e);
    free(bytes);
    if (code)
        hnn_arrays_free(s);
    return code;
}

static void put(hnn_text *t, uint64_t x, int n)
{
    unsigned char p[8];
    for (int i = 0; i < n; i++)
        p[i] = (unsigned char)(x >> 8 * i);
    hnn_text_bytes(t, p, (size_t)n);
}

/* what the local header and the directory share; a fixed date, so that equal arrays give equal files */
static void put_common(hnn_text *t, uint32_t crc, uint64_t size, size_t name_n)
{
    put(t, 20, 2); /* version needed */
    put(t, 0, 4);  /* flags, method: stored */
    put(t, 0, 2);
    put(t, 0x21, 2); /* 1980-01-01 */
    put(t, crc, 4);
    put(t, size, 4);
    put(t, size, 4);
    put(t, name_n, 2);
    put(t, 0, 2);
}

int hnn_npz_write(const char *path, const hnn_arrays *s, hnn_error *e)
{
    hnn_text t = {0}, directory = {0}, one = {0};
    for (int i = 0; i < s->n; i++) {
        size_t at = t.n, name_n = strlen(s->a[i].name) + 4;
        one.n = 0;
        hnn_npy_bytes(&one, &s->a[i]);
        if (one.failed)
            break;
        if (at + one.n > UINT32_MAX - 65536 || name_n > 65535) {
            hnn_text_free(&t), hnn_text_free(&directory), hnn_text_free(&one);
            return hnn_fail(e, HNN_ESUPPORT, "%s: more than 4 GB; write several files", path);
        }
        uint32_t crc = hnn_crc32(0, one.s, one.n);
        hnn_text_bytes(&t, "PK\3\4", 4);
        put_common(&t, crc, one.n, name_n);
        hnn_text_printf(&t, "%s.npy", s->a[i].name);
        hnn_text_bytes(&t, one.s, one.n);
        hnn_text_bytes(&directory, "PK\1\2", 4);
        put(&directory, 20, 2);
        put_common(&directory, crc, one.n, name_n);
        put(&directory, 0, 8); /* comment, disk, attributes inside */
        put(&directory, 0, 2); /* ... and outside */
        put(&directory, at, 4);
        hnn_text_printf(&directory, "%s.npy", s->a[i].name);
    }
    size_t start = t.n;
    hnn_text_bytes(&t, directory.s ? directory.s : "", directory.n);
    hnn_text_bytes(&t, "PK\5\6", 4);
    put(&t, 0, 4);
    put(&t, (uint64_t)s->n, 2);
    put(&t, (uint64_t)s->n, 2);
    put(&t, directory.n, 4);
    put(&t, start, 4);
    put(&t, 0, 2);
    int code = directory.failed || one.failed ? hnn_fail(e, HNN_EMEM, "%s: out of memory", path)
                                              : hnn_text_status(&t, e);
    if (!code)
        code = hnn_file_write(path, t.s, t.n, e);
    hnn_text_free(&t);
    hnn_text_free(&directory);
    hnn_text_free(&one);
    return code;
}
