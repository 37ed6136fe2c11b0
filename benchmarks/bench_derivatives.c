/* bench_derivatives.c - value, gradient, Hessian-vector product, full and sparse Hessian of three Hamiltonians: our
 * replay and emitted C, beside hand-written C and, where installed, ADOL-C and PyTorch, all timed in turn in one run.
 *
 * One JSON line for each Hamiltonian and work: nanoseconds of each tool, and the median ratio of each to hand-written C
 * (null where a tool is missing or has no such work). Every tool's numbers are compared with the hand-written ones
 * first, to 1e-12 of their size. Recording, taping, colouring and compiling are not in these times; ours are beside them.
 *     bench_derivatives [PART OF A NAME OR WORK]
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "functions.h"
#include "hand_derivatives.h"
#include "peers/adolc.h"
#include "peers/torch.h"

#include <math.h>
#include <string.h>

enum { MOST = 128 };
typedef enum { HAND, REPLAY, EMITTED, ADOLC, TORCH, TOOLS } tool;
static const char *const tool_name[TOOLS] = {"hand", "replay", "emitted", "adolc", "torch"};
static const char *const work_name[WORKS] = {"value", "gradient", "hvp", "hessian", "sparse hessian"};
typedef struct {
    int tag, n, work, count;
    const double *z, *v;
    double *out[TOOLS];
    hand_work *hand;
    ad_work *replay, *emitted;
    peer_adolc_sparse *sparse;
} job;

static ad_var nbody(ad_tape *t, ad_var z)
{
    ad_var v[6];
    for (int i = 0; i < 6; i++)
        v[i] = ad_cols_of(z, 8 * i, 8);
    return record_nbody(t, 8, v);
}
static ad_var fput(ad_tape *t, ad_var z)
{
    return record_fput(t, 64, ad_cols_of(z, 0, 64), ad_cols_of(z, 64, 64));
}

/* ADOL-C's tag is the index. */
static const struct {
    const char *name;
    int n;
    ad_var (*energy)(ad_tape *, ad_var z);
    hand_work *const *hand;
} hamiltonians[] = {{"nbody8", 48, nbody, hand_nbody8},
                    {"fput64", 128, fput, hand_fput64},
                    {"henon-heiles", 4, record_henon, hand_henon}};

static void run_hand(void *arg)
{
    job *j = arg;
    j->hand(j->z, j->v, j->out[HAND]);
}
static void run_program(ad_work *w, job *j, tool who)
{
    if (ad_run(w, 1, (const void *[]){j->z, j->v}, (void *[]){j->out[who]}))
        exit(1);
}
static void run_replay(void *arg) { run_program(((job *)arg)->replay, arg, REPLAY); }
static void run_emitted(void *arg) { run_program(((job *)arg)->emitted, arg, EMITTED); }
#ifdef BENCH_HAVE_ADOLC
static void run_adolc(void *arg)
{
    job *j = arg;
    double *out = j->out[ADOLC];
    if (j->work == WORK_VALUE      ? peer_adolc_value(j->tag, j->n, j->z, out)
        : j->work == WORK_GRADIENT ? peer_adolc_gradient(j->tag, j->n, j->z, out)
        : j->work == WORK_HVP      ? peer_adolc_hvp(j->tag, j->n, j->z, j->v, out)
        : j->work == WORK_HESSIAN  ? peer_adolc_hessian(j->tag, j->n, j->z, out)
                                   : peer_adolc_sparse_run(j->sparse, j->z))
        exit(1);
}
/* ADOL-C's drivers give one triangle: the other for the comparison; entries of a sparse one in our order. */
static void complete_adolc(job *j, int nnz, const int *row, const int *col)
{
    double *out = j->out[ADOLC];
    if (j->work == WORK_HESSIAN)
        for (int r = 0; r < j->n; r++)
            for (int c = 0; c < r; c++)
                out[c * j->n + r] = out[r * j->n + c];
    if (j->work != WORK_SPARSE)
        return;
    const unsigned *r, *c;
    const double *value;
    int given = peer_adolc_sparse_entries(j->sparse, &r, &c, &value);
    for (int k = 0; k < nnz; k++)
        out[k] = NAN;
    for (int e = 0; e < given; e++)
        for (int k = 0; k < nnz; k++)
            if ((row[k] == (int)r[e] && col[k] == (int)c[e]) || (row[k] == (int)c[e] && col[k] == (int)r[e]))
                out[k] = value[e];
}
#endif

static ad_var derivative(int work, ad_var h, ad_var z, ad_var v, int *nnz, int **row, int **col)
{
    switch (work) {
    case WORK_VALUE:
        return h;
    case WORK_GRADIENT:
        return ad_grad(h, z);
    case WORK_HVP:
        return ad_hvp(h, z, v);
    case WORK_HESSIAN:
        return ad_hessian(h, z);
    default:
        return ad_hessian_sparse(h, z, nnz, row, col);
    }
}

static int agree(const char *name, const char *work, const job *j, tool who)
{
    for (int k = 0; k < j->count; k++) {
        double want = j->out[HAND][k], got = j->out[who][k];
        if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) {
            fprintf(stderr, "%s, %s: number %d is %.17g by %s, %.17g by hand\n", name, work, k, got,
                    tool_name[who], want);
            return 0;
        }
    }
    return 1;
}

/* What hand-written C is compared with, and what is right of it: sides that are missing stay empty. */
static int sides(job *j, const char *name, peer_torch *torch, int nnz, const int *row, const int *col,
                 bench_side side[TOOLS])
{
    int ok = 1;
    side[HAND] = (bench_side){run_hand, NULL, j};
    side[REPLAY] = (bench_side){run_replay, NULL, j};
    run_hand(j);
    run_replay(j);
    ok = agree(name, work_name[j->work], j, REPLAY);
    if (j->emitted) {
        side[EMITTED] = (bench_side){run_emitted, NULL, j};
        run_emitted(j);
        ok = ok && agree(name, work_name[j->work], j, EMITTED);
    }
#ifdef BENCH_HAVE_ADOLC
    int colours;
    peer_adolc_hamiltonian(j->tag, j->tag, j->n, j->z);
    if (j->work == WORK_SPARSE)
        j->sparse = peer_adolc_sparse_new(j->tag, j->n, j->z, &colours);
    if (j->work != WORK_SPARSE || j->sparse) {
        side[ADOLC] = (bench_side){run_adolc, NULL, j};
        run_adolc(j);
        complete_adolc(j, nnz, row, col);
        ok = ok && agree(name, work_name[j->work], j, ADOLC);
    }
#else
    (void)nnz, (void)row, (void)col;
#endif
    if (torch && j->work != WORK_SPARSE) {
        ok = ok && peer_torch_problem(torch, name, "f64", 2, (const double *const[]){j->z, j->v},
                                      (const int[]){j->n, j->n}) == 0;
        ok = ok && peer_torch_work(torch, work_name[j->work], j->count, j->out[TORCH]) == 0;
        ok = ok && agree(name, work_name[j->work], j, TORCH);
        side[TORCH] = (bench_side){NULL, peer_torch_time, torch};
    }
    return ok;
}

/* One line; 0 when something is wrong. */
static int bench(int which, int work, peer_torch *torch)
{
    const char *name = hamiltonians[which].name;
    int n = hamiltonians[which].n, nnz = 0, *row = NULL, *col = NULL, ok = 0;
    double z[MOST], v[MOST], ns[TOOLS], ratio[TOOLS];
    unsigned seed = 1;
    for (int i = 0; i < n; i++) {
        z[i] = (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
        v[i] = (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
    }
    double t0 = bench_now();
    ad_tape *t = ad_new();
    ad_var in[2] = {ad_input(t, "z", 1, n), ad_input(t, "v", 1, n)};
    ad_var out = derivative(work, hamiltonians[which].energy(t, in[0]), in[0], in[1], &nnz, &row, &col);
    double record = bench_now() - t0;
    ad_program *p = ad_compile(t, 2, in, 1, &out, NULL), *q = NULL;
    double compile = bench_now() - t0 - record;
    if (!p) {
        fprintf(stderr, "%s, %s: %s\n", name, work_name[work], ad_message(t));
        ad_free(t);
        return 0;
    }
    char *how = NULL;
    q = ad_native(p, NULL, &how);
    int native = q && how && strncmp(how, "native", 6) == 0;
    if (!native)
        fprintf(stderr, "%s, %s: no emitted C: %s\n", name, work_name[work], how ? how : "");
    free(how);

    job j = {.tag = which,
             .n = n,
             .work = work,
             .count = ad_rows(out) * ad_cols(out),
             .z = z,
             .v = v,
             .hand = hamiltonians[which].hand[work],
             .replay = ad_work_new(p, NULL),
             .emitted = native ? ad_work_new(q, NULL) : NULL};
    for (int k = 0; k < TOOLS; k++)
        j.out[k] = calloc((size_t)n * (size_t)n, sizeof(double));
    bench_side side[TOOLS] = {{0}};
    if (sides(&j, name, torch, nnz, row, col, side)) {
        ad_report r;
        bench_compare(TOOLS, side, BENCH_ROUNDS, ns, ratio);
        ad_program_report(p, &r);
        printf("{\"bench\": \"derivatives\", \"case\": \"%s\", \"work\": \"%s\", \"numbers\": %d, \"isa\": "
               "\"%s\"",
               name, work_name[work], j.count, r.isa);
        for (int k = 0; k < TOOLS; k++) {
            char key[32];
            snprintf(key, sizeof key, "%s_ns", tool_name[k]);
            bench_number("%.1f", key, ns[k]);
        }
        for (int k = 1; k < TOOLS; k++)
            bench_number("%.2f", tool_name[k], ratio[k]);
        printf(", \"flops\": %.0f, \"record_us\": %.1f, \"compile_us\": %.1f}\n", r.flops, record * 1e6,
               compile * 1e6);
        fflush(stdout);
        ok = 1;
    }
    for (int k = 0; k < TOOLS; k++)
        free(j.out[k]);
#ifdef BENCH_HAVE_ADOLC
    peer_adolc_sparse_free(j.sparse);
#endif
    ad_work_free(j.replay);
    ad_work_free(j.emitted);
    ad_program_free(q);
    ad_program_free(p);
    ad_free(t);
    free(row);
    free(col);
    return ok;
}

int main(int argc, char **argv)
{
    char version[64] = "";
    int ok = 1;
    bench_pin();
    peer_torch *torch = peer_torch_new(BENCH_PEERS "/torch_peer.py", version);
    if (!torch)
        fprintf(stderr,
                "bench_derivatives: PyTorch is not installed (python3-torch): its columns are null\n");
#ifndef BENCH_HAVE_ADOLC
    fprintf(stderr, "bench_derivatives: built without ADOL-C (libadolc-dev): its columns are null\n");
#endif
    for (int h = 0; h < (int)(sizeof hamiltonians / sizeof *hamiltonians); h++)
        for (int w = 0; w < WORKS; w++)
            if (argc < 2 || strstr(hamiltonians[h].name, argv[1]) || strstr(work_name[w], argv[1]))
                ok = bench(h, w, torch) && ok;
    peer_torch_free(torch);
    return !ok;
}
