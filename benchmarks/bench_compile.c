/* bench_compile.c - ns of ad_compile for each node that the outputs need, on tapes of 10^4, 10^5 and 10^6 scalar nodes
 * and on the small ones of the other benchmarks: a cost linear in the tape is a row of equal figures.
 *
 * The tapes: the gradient of bodies in pairs and of a chain of oscillators with transcendental forces, in scalars; random
 * operations on random earlier nodes, near ones mostly or any at all; a chain by its text; a step of a network. The
 * program is compared with the one without optimisation before anything is timed.
 *     taskset -c 0 bench_compile [PART OF A NAME]
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "functions.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 9, IN = 7, OUT = 6, INPUTS = 64 };

typedef struct problem {
    ad_tape *t;
    int nin, nout;
    ad_var in[IN], out[OUT];
} problem;

static void bodies(problem *p, int nodes)
{
    int n = (int)sqrt(nodes / 15.0) + 2;
    p->in[0] = ad_input(p->t, "x", 1, 6 * n);
    p->nin = p->nout = 1;
    p->out[0] = ad_grad(record_bodies(n, p->in[0]), p->in[0]);
}
static void chain(problem *p, int nodes)
{
    int n = nodes / 20 + 2;
    p->in[0] = ad_input(p->t, "x", 1, 2 * n);
    p->nin = p->nout = 1;
    p->out[0] = ad_grad(record_chain(n, p->in[0]), p->in[0]);
}

static void of_random(problem *p, int nodes, int window)
{
    ad_var *v = malloc(((size_t)nodes + INPUTS) * sizeof *v);
    unsigned long long s = 1;
    p->in[0] = ad_input(p->t, "x", 1, INPUTS);
    for (int i = 0; i < INPUTS; i++)
        v[i] = ad_at(p->in[0], 0, i);
    for (int i = INPUTS; i < nodes; i++) {
        int a[2];
        for (int k = 0; k < 2; k++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            a[k] = (int)((s >> 33) % (unsigned)(i < window ? i : window));
        }
        switch (s >> 61) { /* what stays bounded, and uses the node before it: all are needed */
        case 0:
            v[i] = ad_sin(v[i - 1]);
            break;
        case 1:
            v[i] = ad_tanh(ad_add(v[i - 1], v[i - 1 - a[0]]));
            break;
        case 2:
        case 3:
        case 4:
            v[i] = ad_sin(ad_mul(v[i - 1], ad_sub(v[i - 1 - a[0]], v[i - 1 - a[1]])));
            break;
        default:
            v[i] = ad_add(ad_mul(0.5, v[i - 1]), ad_cos(v[i - 1 - a[1]]));
        }
    }
    p->nin = p->nout = 1;
    p->out[0] = v[nodes - 1];
    free(v);
}
static void near(problem *p, int nodes) { of_random(p, nodes / 2, 1000); }
static void far(problem *p, int nodes) { of_random(p, nodes / 2, nodes); }

static void fput(problem *p, int nodes)
{
    (void)nodes;
    p->in[0] = ad_input(p->t, "q", 1, 64);
    p->in[1] = ad_input(p->t, "p", 1, 64);
    p->nin = 2;
    p->nout = 3;
    p->out[0] = record_fput(p->t, 64, p->in[0], p->in[1]);
    ad_grads(p->out[0], 2, p->in, p->out + 1);
}

/* H = MLP(z) of 2-200-200-1, the loss of its field, and the gradient of the loss in every weight */
static void network(problem *p, int nodes)
{
    static const char *const name[IN] = {"W1", "b1", "W2", "b2", "w3", "z", "dz"};
    const int rows[IN] = {200, 1, 200, 1, 1, AD_BATCH, AD_BATCH}, cols[IN] = {2, 200, 200, 200, 200, 2, 2};
    (void)nodes;
    for (int i = 0; i < IN; i++)
        p->in[i] = ad_input(p->t, name[i], rows[i], cols[i]);
    ad_var *in = p->in, z = in[5], a1 = ad_tanh(ad_add(ad_matmul_nt(z, in[0]), in[1])),
           a2 = ad_tanh(ad_add(ad_matmul_nt(a1, in[2]), in[3])), e = ad_matmul_nt(a2, in[4]), g,
           one = ad_num(1);
    ad_vjp(1, &e, &one, 1, &z, &g);
    ad_var f = ad_concat_cols(2, (ad_var[]){ad_cols_of(g, 1, 1), ad_neg(ad_cols_of(g, 0, 1))});
    p->out[0] = ad_mean(ad_square(ad_sub(f, in[6])));
    ad_grads(p->out[0], 5, in, p->out + 1);
    p->nin = IN;
    p->nout = OUT;
}

static int size_of(ad_var v) { return (ad_rows(v) < 0 ? 1 : ad_rows(v)) * ad_cols(v); }

/* The program computes what the naive one computes. */
static int right(const problem *p)
{
    double *in[IN] = {0}, *out[2][OUT] = {{0}};
    int ok = 1;
    for (int i = 0; i < p->nin; i++) {
        in[i] = malloc((size_t)size_of(p->in[i]) * sizeof **in);
        for (int k = 0; k < size_of(p->in[i]); k++)
            in[i][k] = sin(k * k + 1.0 + i);
    }
    for (int naive = 0; naive < 2; naive++) {
        ad_program *q = ad_compile(p->t, p->nin, p->in, p->nout, p->out,
                                   &(ad_options){.opt = naive ? AD_OPT_NONE : AD_OPT_FULL});
        ad_work *w = q ? ad_work_new(q, NULL) : NULL;
        for (int i = 0; i < p->nout; i++)
            out[naive][i] = calloc((size_t)size_of(p->out[i]), sizeof(double));
        ok = ok && w && ad_run(w, 1, (const void *const *)in, (void *const *)out[naive]) == AD_OK;
        ad_work_free(w);
        ad_program_free(q);
    }
    for (int i = 0; i < p->nout; i++) {
        for (int k = 0; k < size_of(p->out[i]); k++)
            ok = ok && out[0][i][k] == out[1][i][k];
        free(out[0][i]);
        free(out[1][i]);
    }
    for (int i = 0; i < p->nin; i++)
        free(in[i]);
    return ok;
}

/* Median seconds of ad_compile; what becomes of the program is not its cost, except where the clock would cost more. */
static double seconds(const problem *p, int repeat)
{
    double x[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double freed = 0, t0 = bench_now();
        for (int k = 0; k < repeat; k++) {
            ad_program *q = ad_compile(p->t, p->nin, p->in, p->nout, p->out, NULL);
            double t1 = repeat < 100 ? bench_now() : 0;
            ad_program_free(q);
            freed += repeat < 100 ? bench_now() - t1 : 0;
        }
        x[r] = (bench_now() - t0 - freed) / repeat;
    }
    qsort(x, ROUNDS, sizeof *x, bench_by_value);
    return x[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*record)(problem *, int nodes);
        int grows; /* of 10^4, 10^5 and 10^6 nodes */
    } cases[] = {{"bodies", bodies, 1},  {"chain", chain, 1},      {"random near", near, 1},
                 {"random far", far, 1}, {"fput64 text", fput, 0}, {"network step", network, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1]))
            continue;
        for (int nodes = 10000; nodes <= 1000000; nodes *= 10) {
            problem p = {.t = ad_new()};
            cases[i].record(&p, nodes);
            ad_program *q = ad_compile(p.t, p.nin, p.in, p.nout, p.out, NULL);
            if (!q || !right(&p)) {
                fprintf(stderr, "bench_compile: %s: %s\n", cases[i].name,
                        q ? "differs from the naive program" : ad_message(p.t));
                return 1;
            }
            ad_report r;
            ad_program_report(q, &r);
            ad_program_free(q);
            printf("{\"bench\": \"compile\", \"case\": \"%s\", \"nodes\": %lld, \"instructions\": %lld, "
                   "\"ns_per_node\": %.1f, \"must_reach\": 60}\n",
                   cases[i].name, (long long)r.live, (long long)r.instructions,
                   1e9 *
                       seconds(&p, r.live < 1000     ? 300
                                   : r.live < 100000 ? 10
                                                     : 1) /
                       (double)r.live);
            fflush(stdout);
            ad_free(p.t);
            if (!cases[i].grows)
                break;
        }
    }
    return 0;
}
