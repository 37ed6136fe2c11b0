/* bench_step.c - one gradient step of a Hamiltonian network: H = MLP(z), f = J dH/dz, loss = mean (f - dz)^2, and the
 * gradient of the loss in every weight. MLP d-200-200-1, tanh, biases on the hidden layers.
 *
 * One JSON line for each batch and type: milliseconds, GFLOP/s by the useful flops 12 B h^2 + 10 B d h + 6 B h, and their
 * share of the FMA peak measured beside it; with two threads the speed-up. The loss and the gradient of W2 are compared
 * with the same program without optimisation.
 *     taskset -c 0 bench_step [batch]
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "hand_step.h"

#include <math.h>
#include <string.h>

enum { WEIGHTS = 5, IN = 7, OUT = 6, HID = HAND_WIDTH };

typedef struct {
    ad_program *p;
    ad_work *w;
    int batch;
    const void *in[IN];
    void *out[OUT];
} step;

static void run(void *s)
{
    step *v = s;
    if (ad_run(v->w, v->batch, v->in, v->out))
        exit(1);
}

static int size_of(ad_var x, int batch) { return (ad_rows(x) < 0 ? batch : ad_rows(x)) * ad_cols(x); }

/* One sample in double by hand, into outputs of its own. */
typedef struct {
    const step *s;
    int d;
    double *out[OUT];
} by_hand;
static void run_hand(void *arg)
{
    by_hand *h = arg;
    const double *const *x = (const double *const *)h->s->in;
    double *const *g = h->out;
    g[0][0] = hand_step(h->d, x[0], x[1], x[2], x[3], x[4], x[5], x[6], g[1], g[2], g[3], g[4], g[5]);
}
/* Median of our time over the hand-written one; NaN after a message when they disagree. */
static double hand_ratio(step *s, int d, const ad_var out[])
{
    by_hand h = {s, d, {0}};
    double worst = 0, ns[2], ratio;
    for (int i = 0; i < OUT; i++)
        h.out[i] = aligned_alloc(64, ((size_t)size_of(out[i], 1) * 8 + 63) / 64 * 64);
    run_hand(&h);
    for (int i = 0; i < OUT; i++)
        for (int k = 0; k < size_of(out[i], 1); k++)
            worst = fmax(worst, fabs(h.out[i][k] - ((double *)s->out[i])[k]));
    ratio = worst < 1e-11 ? bench_ratio(run, s, run_hand, &h, ns, ns + 1) : NAN;
    if (isnan(ratio))
        fprintf(stderr, "bench_step: by hand differs by %g\n", worst);
    for (int i = 0; i < OUT; i++)
        free(h.out[i]);
    return ratio;
}

static ad_tape *record(int d, ad_var in[IN], ad_var out[OUT])
{
    static const char *const name[IN] = {"W1", "b1", "W2", "b2", "w3", "z", "dz"};
    const int rows[IN] = {HID, 1, HID, 1, 1, AD_BATCH, AD_BATCH}, cols[IN] = {d, HID, HID, HID, HID, d, d};
    ad_tape *t = ad_new();
    for (int i = 0; i < IN; i++)
        in[i] = ad_input(t, name[i], rows[i], cols[i]);
    ad_var z = in[5], a1 = ad_tanh(ad_add(ad_matmul_nt(z, in[0]), in[1])),
           a2 = ad_tanh(ad_add(ad_matmul_nt(a1, in[2]), in[3])), e = ad_matmul_nt(a2, in[4]), g,
           one = ad_num(1);
    ad_vjp(1, &e, &one, 1, &z, &g);
    ad_var f = ad_concat_cols(2, (ad_var[]){ad_cols_of(g, d / 2, d / 2), ad_neg(ad_cols_of(g, 0, d / 2))});
    out[0] = ad_mean(ad_square(ad_sub(f, in[6])));
    ad_grads(out[0], WEIGHTS, in, out + 1);
    return t;
}

static step make(ad_tape *t, const ad_var in[], const ad_var out[], int batch, int real, int opt,
                 ad_pool *pool)
{
    step s = {.batch = batch, .p = ad_compile(t, IN, in, OUT, out, &(ad_options){.real = real, .opt = opt})};
    s.w = ad_work_new(s.p, pool);
    unsigned seed = 1;
    for (int i = 0; i < IN; i++) {
        int n = size_of(in[i], batch);
        void *m = aligned_alloc(64, ((size_t)n * 8 + 63) / 64 * 64);
        for (int k = 0; k < n; k++) {
            double v = ((double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5) *
                       (i == 2 ? 0.25 : 1.5);
            if (real == AD_F32)
                ((float *)m)[k] = (float)v;
            else
                ((double *)m)[k] = v;
        }
        s.in[i] = m;
    }
    for (int i = 0; i < OUT; i++)
        s.out[i] = aligned_alloc(64, ((size_t)size_of(out[i], batch) * 8 + 63) / 64 * 64);
    return s;
}
static void drop(step *s)
{
    for (int i = 0; i < IN; i++)
        free((void *)(size_t)s->in[i]);
    for (int i = 0; i < OUT; i++)
        free(s->out[i]);
    ad_work_free(s->w);
    ad_program_free(s->p);
}

int main(int argc, char **argv)
{
    static const struct {
        int batch, d;
    } cases[] = {{1, 2}, {64, 2}, {750, 2}, {4096, 2}, {200, 8}, {750, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int real = AD_F64; real <= AD_F32; real++) {
            int b = cases[i].batch, d = cases[i].d;
            if (argc > 1 && b != atoi(argv[1]))
                continue;
            ad_var in[IN], out[OUT];
            ad_tape *t = record(d, in, out);
            ad_pool *pool = ad_pool_new(2);
            step one = make(t, in, out, b, real, AD_OPT_FULL, NULL),
                 two = make(t, in, out, b, real, AD_OPT_FULL, pool),
                 naive = make(t, in, out, b, real, AD_OPT_NONE, NULL);
            run(&one);
            run(&two);
            run(&naive);
            size_t size = real == AD_F32 ? 4 : 8;
            for (int k = 0; k < OUT; k++)
                if (memcmp(one.out[k], naive.out[k], (size_t)size_of(out[k], b) * size) ||
                    memcmp(one.out[k], two.out[k], (size_t)size_of(out[k], b) * size)) {
                    fprintf(stderr, "bench_step: output %d differs\n", k);
                    return 1;
                }
            double flops = 12.0 * b * HID * HID + 10.0 * b * d * HID + 6.0 * b * HID, peak, s1,
                   share = bench_of_peak(run, &one, flops, real == AD_F32, &s1, &peak),
                   up = bench_wall_ratio(run, &one, run, &two);
            ad_report r;
            ad_program_report(one.p, &r);
            printf("{\"bench\": \"step\", \"batch\": %d, \"d\": %d, \"real\": \"%s\", \"isa\": \"%s\", "
                   "\"ms\": %.4f, "
                   "\"gflops\": %.2f, \"peak\": %.1f, \"of_peak\": %.3f, \"two_threads\": %.2f, "
                   "\"instructions\": "
                   "%lld",
                   b, d, real == AD_F32 ? "float" : "double", r.isa, s1 * 1e3, flops / s1 * 1e-9, peak, share,
                   up, (long long)r.instructions);
            if (b == 1 && real == AD_F64)
                printf(", \"hand_ratio\": %.2f", hand_ratio(&one, d, out));
            puts("}");
            fflush(stdout);
            drop(&one);
            drop(&two);
            drop(&naive);
            ad_pool_free(pool);
            ad_free(t);
        }
    return 0;
}
