/* bench_step.c - one gradient step of a Hamiltonian network: H = MLP(z), f = J dH/dz, loss = mean (f - dz)^2, and the
 * gradient of the loss in every weight. MLP d-200-200-1, tanh, biases on the hidden layers.
 *
 * First the FMA peak. Then one JSON line for each batch and type: milliseconds, GFLOP/s by the useful flops
 * 12 B h^2 + 10 B d h + 6 B h, and their share of the FMA peak measured beside it; with two threads the speed-up; and
 * beside the same step by hand (one sample: matrix loops; a batch: loops and OpenBLAS, where linked; double), in ADOL-C
 * (one sample, double) and in PyTorch, timed in turn on one core: hand_ratio is our time over the hand-written one's, the
 * other ratios are their time over ours; null where a tool is missing. must_reach are what of_peak, two_threads and
 * hand_ratio are asked to be. All outputs are compared: with the same program without optimisation to the bit, with
 * other tools to 1e-12 of the largest number (1e-4 in float).
 *     taskset -c 0 bench_step [batch]
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "hand_step.h"
#include "peers/adolc.h"
#include "peers/torch.h"

#include <math.h>
#include <string.h>
#ifdef BENCH_HAVE_OPENBLAS
#include <cblas.h>
#endif

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

/* The same in other tools: loss and gradients one after the other, out[i] points to each. */
typedef struct {
    const step *s;
    int d, count;
    double *out[OUT], *flat, *room; /* flat: the weights one after the other */
} other;
static void run_hand(void *arg)
{
    other *h = arg;
    const double *const *x = (const double *const *)h->s->in;
    double *const *g = h->out;
    if (h->s->batch == 1)
        g[0][0] = hand_step(h->d, x[0], x[1], x[2], x[3], x[4], x[5], x[6], g[1], g[2], g[3], g[4], g[5]);
#ifdef BENCH_HAVE_OPENBLAS
    else
        g[0][0] = hand_step_batch(h->s->batch, h->d, x, g + 1, h->room);
#endif
}
#ifdef BENCH_HAVE_ADOLC
static void run_adolc(void *arg)
{
    other *h = arg;
    if (peer_adolc_gradient(0, h->count - 1, h->flat, h->out[1]))
        exit(1);
}
#endif

static int agree(const other *h, const step *s, int real, const char *who)
{
    double worst = 0, size = 0;
    for (int i = 0, n; i < OUT; i++) {
        n = i < OUT - 1 ? (int)(h->out[i + 1] - h->out[i]) : h->count - (int)(h->out[i] - h->out[0]);
        for (int k = 0; k < n; k++) {
            double ours = real == AD_F32 ? (double)((float *)s->out[i])[k] : ((double *)s->out[i])[k];
            worst = fmax(worst, fabs(h->out[i][k] - ours));
            size = fmax(size, fabs(ours));
            h->out[i][k] = NAN;
        }
    }
    if (worst <= (real == AD_F32 ? 1e-4 : 1e-12) * size)
        return 1;
    fprintf(stderr, "bench_step: %s differs by %g of %g\n", who, worst, size);
    return 0;
}

/* Ratios to other tools, printed; 0 when their numbers differ. */
static int compare(step *s, int d, int real, const ad_var in[], const ad_var out[], peer_torch *torch)
{
    enum { OURS, HAND, ADOLC, TORCH, SIDES };
    int size[IN], b = s->batch, ok = 1, weights = 0;
    double *array[IN + 1] = {(double[]){b, d, HID}}, ns[SIDES], ratio[SIDES];
    other h = {.s = s, .d = d, .count = 1};
    bench_side side[SIDES] = {{run, NULL, s}};
    for (int i = 0; i < IN; i++) {
        size[i] = size_of(in[i], b);
        array[1 + i] = malloc((size_t)size[i] * sizeof(double));
        for (int k = 0; k < size[i]; k++)
            array[1 + i][k] =
                real == AD_F32 ? (double)((const float *)s->in[i])[k] : ((const double *)s->in[i])[k];
    }
    for (int i = 1; i < OUT; i++)
        h.count += size_of(out[i], b);
    h.out[0] = malloc((size_t)h.count * sizeof(double));
    h.flat = malloc((size_t)h.count * sizeof(double));
    h.room = aligned_alloc(64, HAND_ROOM * sizeof(double));
    for (int i = 1; i < OUT; i++) {
        h.out[i] = i == 1 ? h.out[0] + 1 : h.out[i - 1] + size_of(out[i - 1], b);
        memcpy(h.flat + weights, array[i], (size_t)size[i - 1] * sizeof(double));
        weights += size[i - 1];
    }
#ifdef BENCH_HAVE_OPENBLAS
    openblas_set_num_threads(1);
    if (real == AD_F64)
#else
    if (real == AD_F64 && b == 1)
#endif
    {
        side[HAND] = (bench_side){run_hand, NULL, &h};
        run_hand(&h);
        ok = agree(&h, s, real, "by hand");
    }
#ifdef BENCH_HAVE_ADOLC
    if (ok && real == AD_F64 && b == 1) {
        side[ADOLC] = (bench_side){run_adolc, NULL, &h};
        peer_adolc_network(0, d, HID, h.flat, array[6], array[7]);
        ok = peer_adolc_value(0, h.count - 1, h.flat, h.out[0]) == 0;
        run_adolc(&h);
        ok = ok && agree(&h, s, real, "ADOL-C");
    }
#endif
    if (ok && torch) {
        side[TORCH] = (bench_side){NULL, peer_torch_time, torch};
        const int all[IN + 1] = {3, size[0], size[1], size[2], size[3], size[4], size[5], size[6]};
        ok = peer_torch_problem(torch, "network", real == AD_F32 ? "f32" : "f64", IN + 1,
                                (const double *const *)array, all) == 0 &&
             peer_torch_work(torch, "step", h.count, h.out[0]) == 0 && agree(&h, s, real, "PyTorch");
    }
    if (ok) {
        bench_compare(SIDES, side, 11, ns, ratio);
        bench_number("%.2f", "hand_ratio", 1 / ratio[HAND]);
        bench_number("%.2f", "adolc_time_ratio", ratio[ADOLC]);
        bench_number("%.2f", "torch_time_ratio", ratio[TORCH]);
    }
    for (int i = 0; i < IN; i++)
        free(array[1 + i]);
    free(h.out[0]);
    free(h.flat);
    free(h.room);
    return ok;
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
    char version[64] = "";
    peer_torch *torch = peer_torch_new(BENCH_PEERS "/torch_peer.py", version);
    bench_print_peak();
    if (torch)
        printf("{\"bench\": \"peers\", \"torch\": \"%s\"}\n", version);
    else
        fprintf(stderr, "bench_step: PyTorch is not installed (python3-torch): its column is null\n");
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
            int right = compare(&one, d, real, in, out, torch);
            if (b == 750)
                printf(", \"must_reach\": 0.65, \"two_threads_must_reach\": 1.7");
            if (b == 1 && real == AD_F64)
                printf(", \"hand_must_reach\": 2");
            puts("}");
            if (!right)
                return 1;
            fflush(stdout);
            drop(&one);
            drop(&two);
            drop(&naive);
            ad_pool_free(pool);
            ad_free(t);
        }
    peer_torch_free(torch);
    return 0;
}
