/* rng.c - Philox4x32-10 and what is drawn from it. Invariant: integer arithmetic and correctly rounded
 * operations only, so every machine gives the same bits. */
/* SPDX-License-Identifier: MIT */
#include "rng.h"
#include "error.h"

#include <math.h>
#include <stdlib.h>

void hnn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t x = (uint64_t)0xD2511F53u * a, y = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(y >> 32) ^ b ^ k0;
        c = (uint32_t)(x >> 32) ^ d ^ k1;
        b = (uint32_t)y;
        d = (uint32_t)x;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

hnn_rng hnn_rng_stream(uint64_t seed, uint32_t purpose, uint64_t index)
{
    hnn_rng r = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                 .counter = {0, purpose, (uint32_t)index, (uint32_t)(index >> 32)},
                 .used = 4};
    return r;
}

uint32_t hnn_rng_u32(hnn_rng *r)
{
    if (r->used == 4) {
        hnn_philox(r->counter, r->key, r->word);
        r->counter[0]++;
        r->used = 0;
    }
    return r->word[r->used++];
}

uint64_t hnn_rng_u64(hnn_rng *r)
{
    uint64_t low = hnn_rng_u32(r);
    return low | (uint64_t)hnn_rng_u32(r) << 32;
}

uint64_t hnn_rng_below(hnn_rng *r, uint64_t n)
{
    if (n == 0)
        return 0;
    uint64_t reject = (0 - n) % n; /* 2^64 mod n: the values below it would be drawn once too often */
    uint64_t x;
    do
        x = hnn_rng_u64(r);
    while (x < reject);
    return x % n;
}

double hnn_rng_uniform(hnn_rng *r) { return (double)(hnn_rng_u64(r) >> 11) * 0x1p-53; }

double hnn_rng_open(hnn_rng *r) { return ((double)(hnn_rng_u64(r) >> 12) + 0.5) * 0x1p-52; }

double hnn_rng_between(hnn_rng *r, double lo, double hi) { return fma(hi - lo, hnn_rng_uniform(r), lo); }

/* log x for 0 < x <= 1, normal numbers. x = m 2^e, m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m-1)/(m+1)), whose
 * argument stays below 0.172, so ten terms of the odd series leave an error below 1e-18. */
static double log_portable(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752440)
        m *= 2, e--;
    double s = (m - 1) / (m + 1), w = s * s, tail = 0;
    for (int k = 21; k >= 3; k -= 2)
        tail = fma(tail, w, 1.0 / k);
    /* e * log 2 in two parts: the high one has 32 zero bits at the end, so the product is exact */
    const double ln2_hi = 0x1.62e42feep-1, ln2_lo = 0x1.a39ef35793c76p-33;
    return fma(e, ln2_hi, fma(2 * s, tail * w, 2 * s) + e * ln2_lo);
}

double hnn_rng_normal(hnn_rng *r)
{
    if (r->spare_set) {
        r->spare_set = 0;
        return r->spare;
    }
    double x, y, s;
    do {
        x = 2 * hnn_rng_open(r) - 1;
        y = 2 * hnn_rng_open(r) - 1;
        s = fma(x, x, y * y);
    } while (s >= 1 || s == 0);
    double f = sqrt(-2 * log_portable(s) / s);
    r->spare = y * f;
    r->spare_set = 1;
    return x * f;
}

void hnn_rng_permutation(hnn_rng *r, long n, long out[])
{
    for (long i = 0; i < n; i++) {
        long j = (long)hnn_rng_below(r, (uint64_t)i + 1);
        out[i] = out[j];
        out[j] = i;
    }
}

int hnn_rng_orthogonal(hnn_rng *r, int rows, int cols, double gain, double out[])
{
    if (rows < 1 || cols < 1 || !out)
        return HNN_EARG;
    int tall = rows >= cols, m = tall ? rows : cols, n = tall ? cols : rows;
    if ((size_t)m * (size_t)n > SIZE_MAX / sizeof(double) / 2)
        return HNN_EMEM;
    /* columns contiguous: a[j*m + i]; w holds 2/|v|^2 and then the sign of R_jj */
    double *a = malloc(sizeof *a * (size_t)m * (size_t)n), *w = malloc(2 * sizeof *w * (size_t)n);
    double *q = calloc((size_t)m * (size_t)n, sizeof *q);
    if (!a || !w || !q) {
        free(a), free(w), free(q);
        return HNN_EMEM;
    }
    for (size_t i = 0; i < (size_t)m * (size_t)n; i++)
        a[i] = hnn_rng_normal(r);
    for (int j = 0; j < n; j++) {
        double *v = a + (size_t)j * (size_t)m, norm2 = 0;
        for (int i = j; i < m; i++)
            norm2 = fma(v[i], v[i], norm2);
        double alpha = v[j] > 0 ? -sqrt(norm2) : sqrt(norm2); /* R_jj; away from v[j], so nothing cancels */
        w[n + j] = alpha > 0 ? 1 : -1;
        v[j] -= alpha;
        double size2 = 2 * (norm2 - alpha * (v[j] + alpha));
        w[j] = size2 > 0 ? 2 / size2 : 0;
        for (int k = j + 1; k < n; k++) {
            double *c = a + (size_t)k * (size_t)m, dot = 0;
            for (int i = j; i < m; i++)
                dot = fma(v[i], c[i], dot);
            for (int i = j; i < m; i++)
                c[i] = fma(-dot * w[j], v[i], c[i]);
        }
    }
    for (int k = 0; k < n; k++) { /* column k of Q = H_0 .. H_{n-1} e_k, times the sign */
        double *c = q + (size_t)k * (size_t)m;
        c[k] = w[n + k];
        for (int j = n - 1; j >= 0; j--) {
            const double *v = a + (size_t)j * (size_t)m;
            double dot = 0;
            for (int i = j; i < m; i++)
                dot = fma(v[i], c[i], dot);
            for (int i = j; i < m; i++)
                c[i] = fma(-dot * w[j], v[i], c[i]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            out[(size_t)i * (size_t)cols + (size_t)j] =
                gain * (tall ? q[(size_t)j * (size_t)m + (size_t)i] : q[(size_t)i * (size_t)m + (size_t)j]);
    free(a), free(w), free(q);
    return HNN_OK;
}
