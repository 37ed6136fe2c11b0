/* test_arrays.c - .npy, .npz and .safetensors: good files, damaged files, and what is written read back. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "data_path.h"
#include "text.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(npy, every_stored_type_order_and_version_gives_the_same_doubles)
{
    static const struct {
        const char *file;
        int dims;
        long dim[2];
        double v[6];
    } row[] = {{"f8.npy", 2, {2, 3}, {1.5, -2, 3, 4.25, 5, 6}},
               {"f4_big.npy", 2, {2, 3}, {1.5, -2, 3, 4.25, 5, 6}},
               {"f8_fortran.npy", 2, {2, 3}, {1.5, -2, 3, 4.25, 5, 6}},
               {"f2_v2.npy", 1, {6}, {1.5, -2, 3, 4.25, 5, 6}},
               {"i4.npy", 2, {2, 3}, {1, -2, 3, 4, 5, -6}},
               {"u1.npy", 1, {3}, {0, 1, 255}},
               {"scalar.npy", 0, {0}, {7}},
               {"empty.npy", 2, {0, 2}, {0}}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char path[512];
        hnn_array a;
        hnn_error e = {0};
        cr_assert(hnn_npy_read(data_path(path, row[i].file), &a, &e) == HNN_OK, "%s", e.message);
        cr_assert(a.dims == row[i].dims);
        for (int k = 0; k < a.dims; k++)
            cr_assert(a.dim[k] == row[i].dim[k], "%s", row[i].file);
        for (long k = 0; k < a.size; k++)
            cr_assert(a.v[k] == row[i].v[k], "%s: value %ld is %g", row[i].file, k, a.v[k]);
        hnn_array_free(&a);
    }
}

Test(npy, half_precision_and_integers_have_their_edge_values)
{
    const unsigned char half[][2] = {{0, 0x3c}, {0, 0xc0}, {1, 0}, {0xff, 0x7b},
                                     {0, 0x7c}, {0, 0xfc}, {0, 4}};
    const double want[] = {1, -2, 0x1p-24, 65504, INFINITY, -INFINITY, 0x1p-14};
    for (size_t i = 0; i < 7; i++)
        cr_assert(hnn_dtype_value("f2", half[i], 0) == want[i], "%zu", i);
    const unsigned char minimum[8] = {0, 0, 0, 0, 0, 0, 0, 0x80},
                        ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    cr_assert(hnn_dtype_value("i8", minimum, 0) == -0x1p63);
    cr_assert(hnn_dtype_value("i8", ones, 0) == -1 && hnn_dtype_value("i1", ones, 0) == -1);
    cr_assert(hnn_dtype_value("u8", ones, 0) == 0x1p64 && hnn_dtype_value("u2", ones, 1) == 65535);
    const unsigned char bf[2] = {0x40, 0xc0};
    cr_assert(hnn_dtype_value("bf", bf, 0) == -3 && hnn_dtype_size("c16") == 0);
}

Test(npy, malformed_files_are_refused_with_the_path_in_the_message)
{
    static const char *file[] = {"bad_object.npy",  "bad_short.npy",    "bad_huge.npy", "bad_negative.npy",
                                 "bad_complex.npy", "good.safetensors", "stored.npz",   "absent.npy"};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        char path[512];
        hnn_array a;
        hnn_error e = {0};
        cr_assert(hnn_npy_read(data_path(path, file[i]), &a, &e) != HNN_OK, "%s", file[i]);
        cr_assert(strstr(e.message, file[i]) && e.code && !a.v, "%s", e.message);
    }
}

/* every truncation must be refused; every changed byte may be refused, but nothing may be read outside */
static void damage(const char *file, int (*read)(const char *, void *, hnn_error *), void (*release)(void *),
                   void *out)
{
    char path[512], temp[] = "/tmp/noether-damage-XXXXXX", *bytes;
    size_t n;
    hnn_error e = {0};
    int fd = mkstemp(temp);
    cr_assert(fd >= 0);
    close(fd);
    cr_assert(hnn_file_read(data_path(path, file), &bytes, &n, &e) == HNN_OK, "%s", e.message);
    for (size_t k = 0; k < n; k++) {
        FILE *f = fopen(temp, "wb");
        cr_assert(f && fwrite(bytes, 1, k, f) == k && fclose(f) == 0);
        cr_assert(read(temp, out, &e) != HNN_OK, "%s cut to %zu of %zu bytes was read", file, k, n);
    }
    for (size_t k = 0; k < n; k++)
        for (int mask = 1; mask < 256; mask = mask * 3 + 12) {
            bytes[k] ^= (char)mask;
            FILE *f = fopen(temp, "wb");
            cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
            e = (hnn_error){0};
            int code = read(temp, out, &e);
            cr_assert(code == e.code && (!code || e.message[0]));
            if (!code)
                release(out);
            bytes[k] ^= (char)mask;
        }
    free(bytes);
    unlink(temp);
}

static int npy_any(const char *path, void *out, hnn_error *e)
{
    int code = hnn_npy_read(path, out, e);
    if (code)
        hnn_array_free(out); /* a refused array holds nothing; freeing it must be harmless */
    return code;
}
static int npz_any(const char *path, void *out, hnn_error *e) { return hnn_npz_read(path, out, e); }
static int safetensors_any(const char *path, void *out, hnn_error *e)
{
    return hnn_safetensors_read(path, out, e);
}
static void free_array(void *a) { hnn_array_free(a); }
static void free_arrays(void *s) { hnn_arrays_free(s); }

Test(npy, damaged_bytes_never_read_outside_the_file)
{
    hnn_array a;
    damage("f8.npy", npy_any, free_array, &a);
    damage("f2_v2.npy", npy_any, free_array, &a);
}

Test(npz, damaged_bytes_never_read_outside_the_file)
{
    hnn_arrays s;
    damage("stored.npz", npz_any, free_arrays, &s);
}

Test(safetensors, damaged_bytes_never_read_outside_the_file)
{
    hnn_arrays s;
    damage("good.safetensors", safetensors_any, free_arrays, &s);
}

Test(npz, stored_and_deflated_archives_hold_the_same_arrays)
{
    static const char *file[] = {"stored.npz", "deflated.npz"};
    for (int i = 0; i < 2; i++) {
        char path[512];
        hnn_arrays s;
        hnn_error e = {0};
        int code = hnn_npz_read(data_path(path, file[i]), &s, &e);
        if (code == HNN_ESUPPORT && strstr(e.message, "no zlib")) /* a build without zlib says so */
            continue;
        cr_assert(code == HNN_OK, "%s", e.message);
        const hnn_array *z = hnn_arrays_find(&s, "z"), *t = hnn_arrays_find(&s, "t");
        cr_assert(s.n == 2 && z && t && z->dims == 3 && z->dim[1] == 20 && t->size == 40);
        for (int k = 0; k < 40; k++)
            cr_assert(fabs(z->v[2 * k] - cos(.1 * k)) < 1e-15 && t->v[k] == .1 * k);
        cr_assert(!hnn_arrays_find(&s, "readme"));
        hnn_arrays_free(&s);
    }
}

Test(safetensors, a_file_with_two_types_and_metadata_is_read)
{
    char path[512];
    hnn_arrays s;
    hnn_error e = {0};
    cr_assert(hnn_safetensors_read(data_path(path, "good.safetensors"), &s, &e) == HNN_OK, "%s", e.message);
    const hnn_array *w = hnn_arrays_find(&s, "w"), *b = hnn_arrays_find(&s, "b");
    cr_assert(w && b && w->dims == 2 && w->v[3] == 4.25 && b->v[1] == -1 && b->type == HNN_F32);
    cr_assert(s.metas == 2);
    cr_assert_str_eq(s.key[1], "no\xc3\xa9 \"x\"");
    hnn_arrays_free(&s);
}

Test(safetensors, malformed_files_are_refused_with_the_path_in_the_message)
{
    static const char *name[] = {"overlap", "hole",  "outside", "shape",   "overflow", "type",   "key",
                                 "missing", "twice", "length",  "reverse", "json",     "escape", "trailing"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char file[64], path[512];
        hnn_arrays s;
        hnn_error e = {0};
        snprintf(file, sizeof file, "bad_%s.safetensors", name[i]);
        cr_assert(hnn_safetensors_read(data_path(path, file), &s, &e) != HNN_OK, "%s was read", file);
        cr_assert(e.code != HNN_EIO && (strstr(e.message, file) || strstr(e.message, "array w")), "%s: %s",
                  file, e.message);
        cr_assert(s.n == 0 && !s.a);
    }
}

Test(arrays, what_is_written_is_read_back_to_the_same_bits)
{
    const double x[] = {1 / 3.0, -0.0, 5e-324, INFINITY, 1e308, -7};
    const long shape[] = {2, 3}, one[] = {1}, none[] = {0, 4};
    hnn_arrays s = {0}, r;
    hnn_array a;
    hnn_error e = {0};
    char dir[] = "/tmp/noether-arrays-XXXXXX", path[96];
    cr_assert(mkdtemp(dir) != NULL);
    cr_assert(hnn_arrays_add(&s, "f", HNN_F32, 1, one, (double[]){0.1f}, &e) == HNN_OK);
    cr_assert(hnn_arrays_add(&s, "layer.0/\"w\"", HNN_F64, 2, shape, x, &e) == HNN_OK);
    cr_assert(hnn_arrays_add(&s, "none", HNN_F64, 2, none, x, &e) == HNN_OK);
    cr_assert(hnn_arrays_add(&s, "scalar", HNN_F64, 0, NULL, x, &e) == HNN_OK);
    cr_assert(hnn_arrays_add(&s, "scalar", HNN_F64, 0, NULL, x, &e) == HNN_EARG && s.n == 4);
    cr_assert(hnn_arrays_note(&s, "config", "{\"a\": 1}\n", &e) == HNN_OK);
    for (int kind = 0; kind < 2; kind++) {
        snprintf(path, sizeof path, "%s/file", dir);
        cr_assert((kind ? hnn_npz_write : hnn_safetensors_write)(path, &s, &e) == HNN_OK, "%s", e.message);
        cr_assert((kind ? hnn_npz_read : hnn_safetensors_read)(path, &r, &e) == HNN_OK, "%s", e.message);
        cr_assert(r.n == s.n && (kind || (r.metas == 1 && strcmp(r.value[0], s.value[0]) == 0)));
        for (int i = 0; i < s.n; i++) {
            const hnn_array *b = hnn_arrays_find(&r, s.a[i].name);
            cr_assert(b && b->type == s.a[i].type && b->dims == s.a[i].dims && b->size == s.a[i].size);
            cr_assert(memcmp(b->v, s.a[i].v, (size_t)b->size * sizeof *b->v) == 0, "%s", b->name);
        }
        hnn_arrays_free(&r);
        for (int i = 0; i < s.n; i++) {
            cr_assert(hnn_npy_write(path, &s.a[i], &e) == HNN_OK && hnn_npy_read(path, &a, &e) == HNN_OK);
            cr_assert(a.dims == s.a[i].dims && memcmp(a.v, s.a[i].v, (size_t)a.size * sizeof *a.v) == 0);
            hnn_array_free(&a);
        }
    }
    unlink(path), rmdir(dir);
    hnn_arrays_free(&s);
}
