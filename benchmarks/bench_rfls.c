/* bench_rfls.c - error and time of random-feature least squares, and the rate of the solver under it.
 *
 * One JSON line a figure. Pendulum on q in +-2 pi, p in +-1 with 1,000 features, Henon-Heiles on [-5,5]^4 with 5,000, from exact
 * derivatives at random states; the error is the relative L2 error of H over the box after subtracting the difference of box
 * means (20,000 random states). Invariant: the time is all of hnn_rfls_fit, and a figure is printed with the bound it must meet.
 *     bench_rfls [PART OF A CASE'S NAME]
 */
/* SPDX-License-Identifier: MIT */
#include "optim/rfls.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PI 3.14159265358979323846

static double clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(void) { return clock_of(CLOCK_MONOTONIC); }

static double pendulum(const double *z, double *g)
{
    g[0] = sin(z[0]);
    g[1] = z[1];
    return z[1] * z[1] / 2 + 1 - cos(z[0]);
}

static double henon_heiles(const double *z, double *g)
{
    double x = z[0], y = z[1];
    g[0] = x + 2 * x * y;
    g[1] = y + x * x - y * y;
    g[2] = z[2];
    g[3] = z[3];
    return (z[2] * z[2] + z[3] * z[3] + x * x + y * y) / 2 + x * x * y - y * y * y / 3;
}

static const struct {
    const char *name;
    double (*H)(const double *, double *);
    int dim;
    double box[4];
    long states;
    hnn_rfls_options o;
    double error, time; /* bounds */
} cases[] = {
    {"pendulum-tanh-normal",
     pendulum,
     2,
     {2 * PI, 1},
     1500,
     {1000, HNN_ACT_TANH, HNN_SAMPLE_NORMAL, 1, 3, 0, 2, 1},
     1e-9,
     2},
    {"pendulum-sin-normal",
     pendulum,
     2,
     {2 * PI, 1},
     1500,
     {1000, HNN_ACT_SIN, HNN_SAMPLE_NORMAL, 2, 0, 0, 2, 1},
     1e-9,
     2},
    {"pendulum-tanh-pairs",
     pendulum,
     2,
     {2 * PI, 1},
     1500,
     {1000, HNN_ACT_TANH, HNN_SAMPLE_PAIRS, 1, 0, 0, 2, 1},
     0,
     2},
    {"pendulum-tanh-steep",
     pendulum,
     2,
     {2 * PI, 1},
     1500,
     {1000, HNN_ACT_TANH, HNN_SAMPLE_STEEP, 1, 0, 0, 2, 1},
     0,
     2},
    {"henon-heiles-tanh-pairs",
     henon_heiles,
     4,
     {5, 5, 5, 5},
     2500,
     {5000, HNN_ACT_TANH, HNN_SAMPLE_PAIRS, 0.5, 0, 0, 2, 1},
     1e-7,
     90},
    {"henon-heiles-tanh-normal",
     henon_heiles,
     4,
     {5, 5, 5, 5},
     2500,
     {5000, HNN_ACT_TANH, HNN_SAMPLE_NORMAL, 0.15, 1, 0, 2, 1},
     1e-7,
     90},
};

static double box_error(const hnn_rfls *m, double (*H)(const double *, double *), const double *box)
{
    enum { N = 20000 };
    static double e[N], h[N];
    double g[4], z[4], mean = 0, above = 0, below = 0;
    hnn_rng r = hnn_rng_stream(1, HNN_RNG_START, 0);
    for (int i = 0; i < N; i++) {
        for (int a = 0; a < m->dim; a++)
            z[a] = hnn_rng_between(&r, -box[a], box[a]);
        h[i] = H(z, g);
        e[i] = hnn_rfls_value(m, z, NULL, NULL) - h[i];
        mean += e[i] / N;
    }
    for (int i = 0; i < N; i++) {
        above += (e[i] - mean) * (e[i] - mean);
        below += h[i] * h[i];
    }
    return sqrt(above / below);
}

static int features(const char *only)
{
    int failed = 0;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        if (only && !strstr(cases[c].name, only))
            continue;
        long rows = cases[c].states;
        int dim = cases[c].dim, n = dim / 2;
        double *z = malloc(sizeof *z * (size_t)(2 * rows * dim)), *dz = z + rows * dim, g[4];
        hnn_rng r = hnn_rng_stream(1, HNN_RNG_DATA, 0);
        for (long i = 0; i < rows; i++) {
            for (int a = 0; a < dim; a++)
                z[i * dim + a] = hnn_rng_between(&r, -cases[c].box[a], cases[c].box[a]);
            cases[c].H(z + i * dim, g);
            for (int a = 0; a < n; a++) {
                dz[i * dim + a] = g[a + n];
                dz[i * dim + a + n] = -g[a];
            }
        }
        hnn_rfls m;
        hnn_error e = {0};
        double start = seconds(), used = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        if (hnn_rfls_fit(&cases[c].o, dim, rows, z, dz, NULL, &m, &e)) {
            fprintf(stderr, "%s: %s\n", cases[c].name, e.message);
            return 1;
        }
        used = clock_of(CLOCK_PROCESS_CPUTIME_ID) -
               used; /* of all threads: on a loaded machine, seconds are longer */
        double took = seconds() - start, error = box_error(&m, cases[c].H, cases[c].box);
        int ok = (cases[c].error == 0 || error <= cases[c].error) && took <= cases[c].time;
        printf("{\"bench\":\"rfls\",\"case\":\"%s\",\"features\":%d,\"states\":%ld,\"threads\":%d,\"rank\":%"
               "d,\"error\":%.3e,"
               "\"must_reach\":%g,\"seconds\":%.3f,\"seconds_must_reach\":%g,\"cpu_seconds\":%.3f,"
               "\"residual\":%.3e,"
               "\"ok\":%s}\n",
               cases[c].name, m.features, rows, cases[c].o.threads, m.info.rank, error, cases[c].error, took,
               cases[c].time, used, m.info.residual, ok ? "true" : "false");
        fflush(stdout);
        failed |= !ok;
        hnn_rfls_free(&m);
        free(z);
    }
    return failed;
}

/* rows into the triangle: 2 m n^2 floating-point operations */
static int rate(void)
{
    static const struct {
        long m;
        int n;
    } size[] = {{4096, 1000}, {8192, 2000}};
    for (size_t c = 0; c < sizeof size / sizeof *size; c++)
        for (int threads = 1; threads <= 2; threads++) {
            long m = size[c].m;
            int n = size[c].n;
            double *a = malloc(sizeof *a * (size_t)m * (size_t)n), *b = calloc((size_t)m, sizeof *b),
                   best = INFINITY;
            hnn_rng r = hnn_rng_stream(1, HNN_RNG_USER, 0);
            for (long i = 0; i < m * n; i++)
                a[i] = hnn_rng_uniform(&r) - 0.5;
            for (int round = 0; round < 3; round++) {
                hnn_lsq *s = hnn_lsq_new(n, 1, threads, NULL);
                double start = seconds();
                if (!s || hnn_lsq_rows(s, m, a, b, NULL))
                    return 1;
                best = fmin(best, seconds() - start);
                hnn_lsq_free(s);
            }
            printf("{\"bench\":\"lsq\",\"rows\":%ld,\"unknowns\":%d,\"threads\":%d,\"seconds\":%.4f,"
                   "\"gflops\":%.1f}\n",
                   m, n, threads, best, 2e-9 * (double)m * n * n / best);
            fflush(stdout);
            free(a), free(b);
        }
    return 0;
}

int main(int argc, char **argv)
{
    int failed = argc > 1 ? 0 : rate();
    return failed | features(argc > 1 ? argv[1] : NULL);
}
