/* test_matmul.c - every path of the matrix product against the plain triple loop, bit for bit.
 *
 * Invariant: the kernels are the library's own, the oracle is compiled with their flags; numbers around C and between
 * its rows are checked, so a product writes its own elements and nothing else.
 */
/* SPDX-License-Identifier: MIT */
#include "matmul_test.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t tables(const matmul_table *out[8])
{
    size_t n = 0;
    out[n++] = &matmul_base_f64;
    out[n++] = &matmul_base_f32;
    out[n++] = &matmul_base_f80;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        out[n++] = &matmul_v3_f64;
        out[n++] = &matmul_v3_f32;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        out[n++] = &matmul_v4_f64;
        out[n++] = &matmul_v4_f32;
    }
#endif
    return n;
}

static double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(*state >> 11) * 0x1p-52 - 1;
}
static void put(const matmul_table *t, void *p, size_t i, double x)
{
    if (t->kernels->size == 8)
        ((double *)p)[i] = x;
    else if (t->kernels->size == 4)
        ((float *)p)[i] = (float)x;
    else
        ((long double *)p)[i] = x;
}
static void fill(const matmul_table *t, void *p, size_t n, uint64_t seed)
{
    memset(p, 0, n * t->kernels->size); /* the padding of a long double compares too */
    for (size_t i = 0; i < n; i++)
        put(t, p, i, draw(&seed));
}

/* Operands, and the same C three times: before, wanted, got. Sizes that are a multiple of 64 bytes are
 * allocated to the byte, so that a sanitizer sees a read past an operand. */
enum { GUARD = 40, LARGE = 60000 };
typedef struct {
    unsigned char *a, *b, *before, *want, *got, *packed;
    size_t n;
} room;
static room room_new(const matmul_table *t, size_t n)
{
    room r = {.n = n};
    unsigned char **all[] = {&r.a, &r.b, &r.before, &r.want, &r.got, &r.packed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i] = aligned_alloc(64, (n * t->kernels->size + 63) / 64 * 64);
        cr_assert(*all[i] != NULL);
    }
    fill(t, r.a, n, 1), fill(t, r.b, n, 2), fill(t, r.before, n, 3);
    return r;
}
static void room_free(room r)
{
    free(r.a), free(r.b), free(r.before), free(r.want), free(r.got), free(r.packed);
}

/* The gaps between the rows of an operand hold NaN: what is read there must not reach C. */
static void spoil(const matmul_table *t, unsigned char *p, size_t first, long rows, long cols, long ld)
{
    for (long i = 0; cols > 0 && i < rows - 1; i++)
        for (long j = cols; j < ld; j++)
            put(t, p, first + (size_t)(i * ld + j), NAN);
}

/* Equal bits of n numbers; a long double has 10 bytes of value and 6 that mean nothing. */
static int same(const void *a, const void *b, size_t n, size_t size)
{
    if (size <= 8)
        return memcmp(a, b, n * size) == 0;
    for (size_t i = 0; i < n; i++)
        if (memcmp((const char *)a + i * size, (const char *)b + i * size, 10))
            return 0;
    return 1;
}

/* Rows i0..i1, columns j0..j1 of C [m,n] (+)= A' B, A [k,m], B [k,n]. */
static void tile(const matmul_table *t, long k, const unsigned char *a, long lda, const unsigned char *b,
                 long ldb, unsigned char *c, long ldc, int acc, long i0, long i1, long j0, long j1)
{
    const long size = (long)t->kernels->size;
    t->kernels->matmul(i1 - i0, j1 - j0, k, a + i0 * size, lda, 1, b + j0 * size, ldb, 0,
                       c + (i0 * ldc + j0) * size, ldc, acc);
}

/* One shape by every entry that takes it. Operands end where their array ends, so that a sanitizer
 * or a guard sees a read past the last element. */
static void check(const matmul_table *t, const room *r, long m, long n, long k, int ta, int tb, long gap,
                  int acc)
{
    const size_t size = t->kernels->size;
    const long lda = (ta ? m : k) + gap, ldb = (tb ? k : n) + 2 * gap, ldc = n + 3 * gap;
    const long na = ta ? k : m, ca = ta ? m : k, nb = tb ? n : k, cb = tb ? k : n;
    const size_t used_a = na && ca ? (size_t)((na - 1) * lda + ca) : 0,
                 used_b = nb && cb ? (size_t)((nb - 1) * ldb + cb) : 0;
    unsigned char *a = r->a + (r->n - used_a) * size, *b = r->b + (r->n - used_b) * size;
    const size_t bytes = r->n * size, at = GUARD * size;
    cr_assert(used_a <= r->n && used_b <= r->n && (size_t)(m * ldc) + 2 * GUARD <= r->n);

    fill(t, a, used_a, 1), fill(t, b, used_b, 2);
    spoil(t, r->a, r->n - used_a, na, ca, lda), spoil(t, r->b, r->n - used_b, nb, cb, ldb);
    memcpy(r->want, r->before, bytes);
    t->plain(m, n, k, a, lda, ta, b, ldb, tb, r->want + at, ldc, acc);
    for (int path = 0; path < 3; path++) {
        memcpy(r->got, r->before, bytes);
        if (path == 0) {
            t->kernels->matmul(m, n, k, a, lda, ta, b, ldb, tb, r->got + at, ldc, acc);
        } else if (path == 1 && !ta) {
            const size_t need = t->kernels->pack_size(n, k);
            cr_assert(need + GUARD <= r->n);
            memset(r->packed, 0xab, bytes);
            t->kernels->pack(n, k, b, ldb, tb, r->packed);
            for (size_t i = need * size; i < (need + GUARD) * size; i++)
                cr_assert(r->packed[i] == 0xab, "%s: pack %ldx%ld writes past its size", t->name, n, k);
            t->kernels->packed(m, n, k, a, lda, r->packed, r->got + at, ldc, acc);
        } else if (path == 2 && ta && !tb) {
            /* Four tiles, in an order that a thread pool might take. */
            const long i = m / 3, j = n / 2;
            tile(t, k, a, lda, b, ldb, r->got + at, ldc, acc, i, m, j, n);
            tile(t, k, a, lda, b, ldb, r->got + at, ldc, acc, 0, i, 0, j);
            tile(t, k, a, lda, b, ldb, r->got + at, ldc, acc, i, m, 0, j);
            tile(t, k, a, lda, b, ldb, r->got + at, ldc, acc, 0, i, j, n);
        } else
            continue;
        if (same(r->want, r->got, r->n, size))
            continue;
        size_t e = 0;
        while (same(r->want + e * size, r->got + e * size, 1, size))
            e++;
        cr_assert_fail(
            "%s path %d: %ldx%ldx%ld ta %d tb %d gap %ld acc %d: element %ld of C with rows of %ld differs",
            t->name, path, m, n, k, ta, tb, gap, acc, (long)e - GUARD, ldc);
    }
}

Test(matmul, all_small_shapes_have_the_bits_of_the_triple_loop)
{
    const int all = getenv("NOETHER_TEST_SHORT") == NULL;
    const matmul_table *t[8];
    for (size_t i = 0, count = tables(t); i < count; i++) {
        room r = room_new(t[i], 720);
        for (long m = 0; m <= 20; m++)
            for (long n = 0; n <= 20; n++)
                for (long k = 0; k <= 20; k++) {
                    const int bits =
                        (int)(m + 3 * n + 5 * k); /* all 16 combinations where shapes are close */
                    /* Short: one way of transposing for each shape, its neighbours have the others. */
                    for (int c = all ? 0 : bits & 3; c < (all ? 4 : (bits & 3) + 1); c++)
                        check(t[i], &r, m, n, k, c & 1, c >> 1, (bits + c) % 3, (bits / 3 + c) & 1);
                }
        room_free(r);
    }
}

Test(matmul, long_and_wide_shapes_have_the_bits_of_the_triple_loop)
{
    static const long shapes[][3] = {
        {1, 203, 67},  {203, 1, 67},  {2, 203, 67},  {203, 2, 67},    {3, 130, 301}, {130, 3, 301},
        {5, 121, 300}, {121, 5, 300}, {7, 97, 33},   {97, 7, 33},     {1, 1, 1100},  {4, 4, 1001},
        {1, 400, 1},   {150, 200, 2}, {150, 37, 8},  {101, 101, 257}, {193, 51, 70}, {51, 193, 70},
        {97, 33, 513}, {200, 2, 200}, {1, 200, 200}, {19, 1, 1030},   {18, 2, 1030},
    };
    const int all = getenv("NOETHER_TEST_SHORT") == NULL;
    const matmul_table *t[8];
    for (size_t i = 0, count = tables(t); i < count; i++) {
        room r = room_new(t[i], LARGE);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const long m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
            /* Short: three of the eight ways, the others for the next shape; small ones of long double. */
            if (!all && t[i]->kernels->size > 8 && m * n * k > 100000)
                continue;
            for (int c = all ? 0 : (int)s & 1; c < 8; c += all ? 1 : 3)
                check(t[i], &r, m, n, k, c & 1, c >> 1 & 1, c % 3, c >> 2);
        }
        room_free(r);
    }
}

/* 0.1 is far from a float, so a chain that rounds products, or one split in two, differs at once. */
Test(matmul, instruction_sets_with_fma_agree_to_the_bit)
{
    const matmul_table *t[8];
    const size_t count = tables(t);
    const long m = 37, n = 41, k = 300;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            if (!t[i]->kernels->fma || !t[j]->kernels->fma || t[i]->kernels->size != t[j]->kernels->size)
                continue;
            for (int c = 0; c < 4; c++) {
                room r = room_new(t[i], 13000);
                const long lda = c & 1 ? m : k, ldb = c & 2 ? k : n;
                t[i]->kernels->matmul(m, n, k, r.a, lda, c & 1, r.b, ldb, c >> 1, r.want, n, 0);
                t[j]->kernels->matmul(m, n, k, r.a, lda, c & 1, r.b, ldb, c >> 1, r.got, n, 0);
                cr_assert(same(r.want, r.got, (size_t)(m * n), t[i]->kernels->size), "%s, %s, %d", t[i]->name,
                          t[j]->name, c);
                room_free(r);
            }
        }
}

Test(matmul, the_chain_begins_at_positive_zero_and_passes_what_is_not_finite)
{
    const matmul_table *t[8];
    for (size_t i = 0, count = tables(t); i < count; i++) {
        for (long n = 1; n < 40; n += 6) {
            room r = room_new(t[i], 1000);
            fill(t[i], r.got, 1000, 9);
            for (size_t e = 0; e < 1000; e++)
                put(t[i], r.a, e, -0.0), put(t[i], r.b, e, e % 3 ? 1 : INFINITY);
            t[i]->kernels->matmul(2, n, 1, r.a, 1, 0, r.b, n, 0, r.got, n, 0);
            for (long e = 0; e < n; e++) {
                double x = t[i]->kernels->size == 8   ? ((double *)r.got)[e]
                           : t[i]->kernels->size == 4 ? (double)((float *)r.got)[e]
                                                      : (double)((long double *)r.got)[e];
                cr_assert(e % 3 ? x == 0 && !signbit(x) : isnan(x), "%s, column %ld: %g", t[i]->name, e, x);
            }
            room_free(r);
        }
    }
}
