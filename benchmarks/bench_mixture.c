/* bench_mixture.c - log-likelihood of a Gaussian mixture (d = 10, K = 25, n = 1000, 1,650 parameters) and its gradient:
 * recorded in matrix operations; in scalars for one sample, run for all as a batch; in scalars for all samples, the form
 * in which operator overloading sees it. Beside hand-written C and, where installed, ADOL-C (scalars) and PyTorch
 * (matrices), all timed in turn in one run.
 *
 * First the FMA peak of the core, then one JSON line for value and gradient: milliseconds of each, and the median ratio
 * of each to hand-written C (null where a tool is missing). Numbers are compared with the hand-written ones first, to
 * 1e-12 of the largest. Recording and taping are not in these times; ours are in lines of their own.
 *     bench_mixture [value|gradient]
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "hand_mixture.h"
#include "mixture_functions.h"
#include "peers/adolc.h"
#include "peers/torch.h"

#include <math.h>
#include <string.h>

enum { N = MIX_N, D = MIX_D, K = MIX_K };
typedef enum { HAND, MATRIX, ROWS, SCALARS, ADOLC, TORCH, TOOLS } tool;
static const char *const tool_name[TOOLS] = {"hand", "matrix", "scalar_rows", "scalars", "adolc", "torch"};
static const char *const work_name[] = {"value", "gradient"};

static double x[N * D], a[MIX_P], out[TOOLS][MIX_P];
typedef struct {
    int work;
    ad_program *p[TOOLS];
    ad_work *w[TOOLS];
} job;

static ad_var by_matrix(ad_var data, ad_var flat) { return record_mixture(data, flat); }
static ad_var by_rows(ad_var data, ad_var flat) { return record_mixture_rows(data, flat); }
static ad_var by_scalars(ad_var data, ad_var flat)
{
    (void)data; /* the samples are numbers of the tape */
    return record_mixture_scalars(x, flat);
}

static void run_hand(void *arg)
{
    if (((job *)arg)->work)
        hand_mixture_gradient(x, a, out[HAND]);
    else
        out[HAND][0] = hand_mixture(x, a);
}
static void run_program(job *j, tool who)
{
    if (ad_run(j->w[who], who == SCALARS ? 1 : N, (const void *[]){x, a}, (void *[]){out[who]}))
        exit(1);
}
static void run_matrix(void *arg) { run_program(arg, MATRIX); }
static void run_rows(void *arg) { run_program(arg, ROWS); }
static void run_scalars(void *arg) { run_program(arg, SCALARS); }
#ifdef BENCH_HAVE_ADOLC
static void run_adolc(void *arg)
{
    if (((job *)arg)->work ? peer_adolc_gradient(0, MIX_P, a, out[ADOLC])
                           : peer_adolc_value(0, MIX_P, a, out[ADOLC]))
        exit(1);
}
#endif

static int agree(int work, tool who)
{
    int n = work ? MIX_P : 1;
    double size = 0;
    for (int i = 0; i < n; i++)
        size = fmax(size, fabs(out[HAND][i]));
    for (int i = 0; i < n; i++)
        if (!(fabs(out[who][i] - out[HAND][i]) <= 1e-12 * size)) {
            fprintf(stderr, "mixture, %s: number %d is %.17g by %s, %.17g by hand\n", work_name[work], i,
                    out[who][i], tool_name[who], out[HAND][i]);
            return 0;
        }
    return 1;
}

/* Records, compiles and runs one form; 0 when it cannot. */
static int program(job *j, tool who, ad_var (*f)(ad_var, ad_var))
{
    double t0 = bench_now();
    ad_tape *t = ad_new();
    ad_var in[2] = {ad_input(t, "x", who == SCALARS ? N : AD_BATCH, D), ad_input(t, "a", 1, MIX_P)},
           y = f(in[0], in[1]);
    if (j->work)
        y = ad_grad(y, in[1]);
    double record = bench_now() - t0;
    j->p[who] = ad_compile(t, 2, in, 1, &y, NULL);
    double compile = bench_now() - t0 - record;
    if (!j->p[who])
        fprintf(stderr, "mixture, %s in %s: %s\n", work_name[j->work], tool_name[who], ad_message(t));
    ad_report r;
    if (j->p[who]) {
        ad_program_report(j->p[who], &r);
        printf(
            "{\"bench\": \"mixture\", \"work\": \"%s\", \"form\": \"%s\", \"nodes\": %lld, \"live\": %lld, "
            "\"record_ns_per_node\": %.1f, \"compile_ns_per_node\": %.1f, \"work_mib\": %.1f}\n",
            work_name[j->work], tool_name[who], (long long)r.nodes, (long long)r.live,
            1e9 * record / (double)r.nodes, 1e9 * compile / (double)r.nodes,
            ((double)r.work_bytes + N * (double)r.work_bytes_per_row) / (1 << 20));
    }
    ad_free(t);
    j->w[who] = j->p[who] ? ad_work_new(j->p[who], NULL) : NULL;
    if (!j->w[who])
        return 0;
    run_program(j, who);
    return agree(j->work, who);
}

static int bench(int work, peer_torch *torch)
{
    job j = {.work = work};
    bench_side side[TOOLS] = {
        {run_hand, NULL, &j}, {run_matrix, NULL, &j}, {run_rows, NULL, &j}, {run_scalars, NULL, &j}};
    run_hand(&j);
    int ok = program(&j, MATRIX, by_matrix) && program(&j, ROWS, by_rows) && program(&j, SCALARS, by_scalars);
#ifdef BENCH_HAVE_ADOLC
    if (ok) {
        side[ADOLC] = (bench_side){run_adolc, NULL, &j};
        run_adolc(&j);
        ok = agree(work, ADOLC);
    }
#endif
    if (ok && torch) {
        side[TORCH] = (bench_side){NULL, peer_torch_time, torch};
        ok = peer_torch_work(torch, work_name[work], work ? MIX_P : 1, out[TORCH]) == 0 && agree(work, TORCH);
    }
    if (ok) {
        double ns[TOOLS], ratio[TOOLS];
        ad_report r;
        bench_compare(TOOLS, side, 11, ns, ratio);
        ad_program_report(j.p[MATRIX], &r);
        printf("{\"bench\": \"mixture\", \"work\": \"%s\", \"d\": %d, \"K\": %d, \"n\": %d, \"isa\": \"%s\"",
               work_name[work], D, K, N, r.isa);
        for (int k = 0; k < TOOLS; k++) {
            char key[32];
            snprintf(key, sizeof key, "%s_ms", tool_name[k]);
            bench_number("%.3f", key, ns[k] * 1e-6);
        }
        for (int k = 1; k < TOOLS; k++)
            bench_number("%.2f", tool_name[k], ratio[k]);
        printf(", \"matrix_gflops\": %.2f}\n", (r.flops + N * r.flops_per_row) / ns[MATRIX]);
        fflush(stdout);
    }
    for (int k = 0; k < TOOLS; k++) {
        ad_work_free(j.w[k]);
        ad_program_free(j.p[k]);
    }
    return ok;
}

int main(int argc, char **argv)
{
    char version[64] = "";
    unsigned seed = 1;
    bench_pin();
    bench_print_peak();
    for (int i = 0; i < N * D + MIX_P; i++) {
        double r = (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
        if (i < N * D)
            x[i] = 4 * r;
        else
            a[i - N * D] = i - N * D < MIX_ICF ? 2 * r : 0.6 * r;
    }
    peer_torch *torch = peer_torch_new(BENCH_PEERS "/torch_peer.py", version);
    const double size[3] = {N, D, K};
    if (!torch)
        fprintf(stderr, "bench_mixture: PyTorch is not installed (python3-torch): its columns are null\n");
    else if (peer_torch_problem(torch, "mixture", "f64", 4, (const double *const[]){size, x, a, a},
                                (const int[]){3, N * D, MIX_P, MIX_P}))
        return 1;
#ifdef BENCH_HAVE_ADOLC
    peer_adolc_mixture(0, N, D, K, x, a);
#else
    fprintf(stderr, "bench_mixture: built without ADOL-C (libadolc-dev): its columns are null\n");
#endif
    int ok = 1;
    for (int w = 0; w < 2; w++)
        if (argc < 2 || strcmp(argv[1], work_name[w]) == 0)
            ok = bench(w, torch) && ok;
    peer_torch_free(torch);
    return !ok;
}
