/* bench_matmul.c - GFLOP/s of the matrix product and its share of the core's FMA peak.
 *
 * Each instruction set of the processor in double and float, one thread, one JSON line a figure; beside
 * it OpenBLAS (where linked) and hand-written loops compiled for the same set. Time is the median of
 * rounds. Invariant: the peak is measured just before each case, since clocks drift, and every product
 * is compared with the triple loop before its time counts. Operands rest in cache where they fit. must_reach is the
 * share of the peak that the widest instruction set is asked for. Time is that of the processor.
 *     taskset -c 1 bench_matmul [PART OF A CASE'S NAME]
 */
/* SPDX-License-Identifier: MIT */
#include "../tests/matmul_test.h"
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(BENCH_HAVE_OPENBLAS)
#include <cblas.h>
#endif

enum { ROOM = 1 << 19 };
typedef enum { ANY, PACKED, PACK } entry;
typedef struct {
    const char *name;
    long m, n, k;
    int ta, tb;
    entry entry;
    double must; /* share of the peak that is asked for; 0: none is */
} shape;

static const shape shapes[] = {
    {"AB", 750, 200, 200, 0, 0, ANY, 0.85},     {"AB packed", 750, 200, 200, 0, 0, PACKED, 0.85},
    {"AB'", 750, 200, 200, 0, 1, ANY, 0.85},    {"A'B", 200, 200, 750, 1, 0, ANY, 0.85},
    {"pack B", 200, 200, 200, 0, 0, PACK, 0},   {"pack B'", 200, 200, 200, 0, 1, PACK, 0},
    {"AB rows 96", 96, 200, 200, 0, 0, ANY, 0}, {"AB packed rows 96", 96, 200, 200, 0, 0, PACKED, 0},
    {"AB rows 32", 32, 200, 200, 0, 0, ANY, 0}, {"AB' rows 32", 32, 200, 200, 0, 1, ANY, 0},
    {"Ax, n = 1", 750, 1, 200, 0, 0, ANY, 0},   {"Ax, n = 1", 200, 1, 200, 0, 0, ANY, 0},
    {"A'x, n = 1", 200, 1, 750, 1, 0, ANY, 0},  {"xB, m = 1", 1, 200, 200, 0, 0, ANY, 0},
    {"xB', m = 1", 1, 200, 200, 0, 1, ANY, 0},  {"outer k = 1", 750, 200, 1, 0, 0, ANY, 0},
    {"outer k = 2", 750, 200, 2, 0, 0, ANY, 0}, {"outer k = 4", 750, 200, 4, 0, 0, ANY, 0},
    {"outer k = 8", 750, 200, 8, 0, 0, ANY, 0}, {"outer k = 1, m = 200", 200, 200, 1, 1, 0, ANY, 0},
    {"n = 2", 750, 2, 200, 0, 0, ANY, 0},       {"n = 4", 750, 4, 200, 0, 0, ANY, 0},
    {"n = 2, B'", 750, 2, 200, 0, 1, ANY, 0},   {"n = 4, B'", 750, 4, 200, 0, 1, ANY, 0},
    {"A'B m = 2", 2, 200, 750, 1, 0, ANY, 0},   {"A'B n = 2", 200, 2, 750, 1, 0, ANY, 0},
    {"A'B m = 4", 4, 200, 750, 1, 0, ANY, 0},   {"2x2x2", 2, 2, 2, 0, 0, ANY, 0},
    {"3x3x3", 3, 3, 3, 0, 0, ANY, 0},           {"4x4x4", 4, 4, 4, 0, 0, ANY, 0},
    {"4x4x4, B'", 4, 4, 4, 0, 1, ANY, 0},       {"8x8x8", 8, 8, 8, 0, 0, ANY, 0},
    {"8x8x8, B'", 8, 8, 8, 0, 1, ANY, 0},       {"8x8x8, A'", 8, 8, 8, 1, 0, ANY, 0},
    {"1x8x8", 1, 8, 8, 0, 0, ANY, 0},           {"1x200x2", 1, 200, 2, 0, 0, ANY, 0},
};

/* The products of one HNN step of a network 2-200-200-1: H, dH/dz, their tangents, weight gradients.
 * B stands for the batch. */
enum { B = -1 };
static const shape step[] = {
    {"z W1", B, 200, 2, 0, 0, ANY, 0},   {"h W2", B, 200, 200, 0, 0, ANY, 0},
    {"h w3", B, 1, 200, 0, 0, ANY, 0},   {"g W2'", B, 200, 200, 0, 1, ANY, 0},
    {"g W1'", B, 2, 200, 0, 1, ANY, 0},  {"v W1", B, 200, 2, 0, 0, ANY, 0},
    {"u W2", B, 200, 200, 0, 0, ANY, 0}, {"s W2'", B, 200, 200, 0, 1, ANY, 0},
    {"h'g", 200, 200, B, 1, 0, ANY, 0},  {"u'g", 200, 200, B, 1, 0, ANY, 0},
    {"z'g", 2, 200, B, 1, 0, ANY, 0},    {"v'g", 2, 200, B, 1, 0, ANY, 0},
    {"h'w", 200, 1, B, 1, 0, ANY, 0},
};

static unsigned char *a, *b, *c, *d, *packed;

static void ours(const matmul_table *t, const shape *s, int packed_before)
{
    const long lda = s->ta ? s->m : s->k, ldb = s->tb ? s->k : s->n;
    if (s->entry == ANY)
        t->kernels->matmul(s->m, s->n, s->k, a, lda, s->ta, b, ldb, s->tb, c, s->n, 0);
    if (s->entry == PACK || (s->entry == PACKED && !packed_before))
        t->kernels->pack(s->n, s->k, b, ldb, s->tb, packed);
    if (s->entry == PACKED)
        t->kernels->packed(s->m, s->n, s->k, a, lda, packed, c, s->n, 0);
}
static void hand(const matmul_table *t, const shape *s)
{
    t->hand(s->m, s->n, s->k, a, s->ta ? s->m : s->k, s->ta, b, s->tb ? s->k : s->n, s->tb, c, s->n);
}
#if defined(BENCH_HAVE_OPENBLAS)
static void openblas(const matmul_table *t, const shape *s)
{
    const int m = (int)s->m, n = (int)s->n, k = (int)s->k, lda = s->ta ? m : k, ldb = s->tb ? k : n;
    const int ta = s->ta ? CblasTrans : CblasNoTrans, tb = s->tb ? CblasTrans : CblasNoTrans;
    if (t->kernels->size == 8)
        cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, (double *)a, lda, (double *)b, ldb, 0, (double *)c, n);
    else
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, (float *)a, lda, (float *)b, ldb, 0, (float *)c, n);
}
#endif

typedef struct {
    const matmul_table *t;
    const shape *s;
    int count;
} pass; /* over so many shapes */
static void run_peak(void *arg) { ((pass *)arg)->t->peak(2000, d); }
static void run_ours(void *arg)
{
    const pass *p = arg;
    for (int i = 0; i < p->count; i++)
        ours(p->t, p->s + i, 1);
}
static void run_hand(void *arg)
{
    const pass *p = arg;
    for (int i = 0; i < p->count; i++)
        hand(p->t, p->s + i);
}
#if defined(BENCH_HAVE_OPENBLAS)
static void run_openblas(void *arg)
{
    const pass *p = arg;
    for (int i = 0; i < p->count; i++)
        openblas(p->t, p->s + i);
}
#endif

static void bench(const matmul_table *t, const shape *s, int count, const char *name, long batch)
{
    double flops = 0;
    for (int i = 0; i < count; i++) {
        flops += 2.0 * (double)s[i].m * (double)s[i].n * (double)s[i].k;
        if (s[i].entry == PACK)
            continue;
        ours(t, s + i, 0);
        t->plain(s[i].m, s[i].n, s[i].k, a, s[i].ta ? s[i].m : s[i].k, s[i].ta, b, s[i].tb ? s[i].k : s[i].n,
                 s[i].tb, d, s[i].n, 0);
        if (memcmp(c, d, (size_t)(s[i].m * s[i].n * t->kernels->size)) != 0) {
            fprintf(stderr, "%s %s: wrong\n", t->name, s[i].name);
            exit(1);
        }
    }
    pass p = {t, s, count};
    enum { OURS, PEAK, HAND, OPENBLAS, SIDES };
    bench_side side[SIDES] = {{run_ours, NULL, &p}, {run_peak, NULL, &p}};
    double ns[SIDES], ratio[SIDES];
    if (s->entry != PACK)
        side[HAND] = (bench_side){run_hand, NULL, &p};
#if defined(BENCH_HAVE_OPENBLAS)
    if (s->entry != PACK)
        side[OPENBLAS] = (bench_side){run_openblas, NULL, &p};
#endif
    bench_compare(SIDES, side, BENCH_ROUNDS, ns, ratio);
    printf("{\"bench\": \"matmul\", \"isa\": \"%s\", \"case\": \"%s\", ", t->name, name);
    if (count > 1)
        printf("\"batch\": %ld, ", batch);
    else
        printf("\"m\": %ld, \"n\": %ld, \"k\": %ld, ", s->m, s->n, s->k);
    printf("\"ns\": %.1f, ", ns[OURS]);
    if (s->entry == PACK) {
        printf("\"ns_per_element\": %.3f}\n", ns[OURS] / (double)(s->n * s->k));
        return;
    }
    const double peak = 2.0 * 2000 * 12 * t->kernels->lanes;
    printf("\"gflops\": %.2f, \"peak\": %.1f, \"of_peak\": %.3f", flops / ns[OURS], peak / ns[PEAK],
           flops / peak * ratio[PEAK]);
    if (s->must && strncmp(t->name, "v4", 2) == 0)
        printf(", \"must_reach\": %g", s->must);
    bench_number("%.2f", "openblas_time_ratio", ratio[OPENBLAS]);
    bench_number("%.2f", "hand_time_ratio", ratio[HAND]);
    puts("}");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "";
    const matmul_table *tables[4];
    int count = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        tables[count++] = &matmul_v4_f64, tables[count++] = &matmul_v4_f32;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[count++] = &matmul_v3_f64, tables[count++] = &matmul_v3_f32;
#endif
    if (count == 0)
        tables[count++] = &matmul_base_f64, tables[count++] = &matmul_base_f32;
    unsigned char **all[] = {&a, &b, &c, &d, &packed};
    for (int i = 0; i < 5; i++)
        if ((*all[i] = aligned_alloc(64, ROOM * sizeof(double))) == NULL)
            return 1;
#if defined(BENCH_HAVE_OPENBLAS)
    openblas_set_num_threads(1);
#endif
    bench_print_peak();
    for (int i = 0; i < count; i++) {
        for (size_t e = 0; e < ROOM; e++) {
            const double x = sin((double)e), y = cos((double)e);
            if (tables[i]->kernels->size == 8)
                ((double *)a)[e] = x, ((double *)b)[e] = y;
            else
                ((float *)a)[e] = (float)x, ((float *)b)[e] = (float)y;
        }
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            if (strstr(shapes[s].name, only))
                bench(tables[i], &shapes[s], 1, shapes[s].name, 0);
        static const long batches[] = {1, 32, 750};
        for (int n = 0; n < 3; n++) {
            enum { STEPS = sizeof step / sizeof *step };
            shape at[STEPS];
            for (int s = 0; s < STEPS; s++) {
                at[s] = step[s];
                at[s].m = at[s].m == B ? batches[n] : at[s].m;
                at[s].k = at[s].k == B ? batches[n] : at[s].k;
            }
            if (strstr("HNN step 2-200-200-1", only))
                bench(tables[i], at, STEPS, "HNN step 2-200-200-1", batches[n]);
        }
    }
    for (int i = 0; i < 5; i++)
        free(*all[i]);
    return 0;
}
