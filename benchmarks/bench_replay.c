/* bench_replay.c - scalar and short-vector programs, replayed and as emitted C, as ratios to hand-written C in the same run.
 *
 * One JSON line a case: nanoseconds of replay and of the hand-written function (for a batch: for each sample), the median
 * ratio, and what compiling and recording cost. Answers are compared first, to 1e-12 of their size.
 *     taskset -c 0 bench_replay [PART OF A NAME]
 * SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "functions.h"
#include "hand.h"

typedef struct {
    const char *name;
    ad_tape *t;
    int nin, nout, batch;
    ad_var in[10], out[10];
    double *x[10], *y[10];
    ad_program *p;
    ad_work *w;
    void (*hand)(void *);
    double *want[10];
} problem;

static int size_of(ad_var v, int batch) { return (ad_rows(v) < 0 ? batch : ad_rows(v)) * ad_cols(v); }
static double *room(int n) { return aligned_alloc(64, ((size_t)n * sizeof(double) + 63) / 64 * 64); }

static void replay(void *arg)
{
    problem *p = arg;
    const void *in[10];
    void *out[10];
    for (int i = 0; i < p->nin; i++)
        in[i] = p->x[i];
    for (int i = 0; i < p->nout; i++)
        out[i] = p->y[i];
    if (ad_run(p->w, p->batch, in, out))
        exit(1);
}

/* Each sample in turn: operand i of sample s is row s. */
static void nbody_by_hand(void *arg)
{
    problem *p = arg;
    for (int s = 0; s < p->batch; s++) {
        double r[3][BODIES], v[3][BODIES], dr[3][BODIES], dv[3][BODIES];
        for (int k = 0; k < 3; k++) {
            memcpy(r[k], p->x[k] + s * BODIES, sizeof r[k]);
            memcpy(v[k], p->x[3 + k] + s * BODIES, sizeof v[k]);
        }
        p->want[0][s] = hand_nbody((const double(*)[BODIES])r, (const double(*)[BODIES])v, dr, dv);
        for (int k = 0; k < 3; k++) {
            memcpy(p->want[1 + k] + s * BODIES, dr[k], sizeof dr[k]);
            memcpy(p->want[4 + k] + s * BODIES, dv[k], sizeof dv[k]);
        }
    }
}
static void fput_by_hand(void *arg)
{
    problem *p = arg;
    p->want[0][0] = hand_fput(0.25, p->x[0], p->x[1], p->want[1], p->want[2]);
}
static void henon_by_hand(void *arg)
{
    problem *p = arg;
    for (int s = 0; s < p->batch; s++) {
        double q[2] = {p->x[0][s], p->x[1][s]}, v[2] = {p->x[2][s], p->x[3][s]};
        __asm__ volatile("" ::: "memory");
        hand_henon_verlet(0.01, q, v);
        p->want[0][s] = q[0], p->want[1][s] = q[1], p->want[2][s] = v[0], p->want[3][s] = v[1];
    }
}

static void nbody_text(problem *p, int rows)
{
    static const char *const name[] = {"x", "y", "z", "px", "py", "pz"};
    for (int i = 0; i < 6; i++)
        p->in[i] = ad_input(p->t, name[i], rows, BODIES);
    p->nin = 6;
    p->nout = 7;
    p->out[0] = record_nbody(p->t, BODIES, p->in);
    ad_var one = ad_num(1);
    ad_vjp(1, p->out, &one, 6, p->in, p->out + 1);
    p->hand = nbody_by_hand;
}
static void nbody_one(problem *p) { nbody_text(p, 1); }
static void nbody_lanes(problem *p)
{
    p->batch = 8;
    nbody_text(p, AD_BATCH);
}

/* The same, one scalar operation at a time. */
static void nbody_scalar_of(problem *p, int rows)
{
    static const char *const name[] = {"x", "y", "z", "px", "py", "pz"};
    ad_var e[6][BODIES], h = ad_num(0), part[6 * BODIES], grad[6 * BODIES], one = ad_num(1);
    for (int i = 0; i < 6; i++) {
        p->in[i] = ad_input(p->t, name[i], rows, BODIES);
        for (int k = 0; k < BODIES; k++)
            part[i * BODIES + k] = e[i][k] = ad_cols_of(p->in[i], k, 1);
    }
    for (int i = 3; i < 6; i++)
        for (int k = 0; k < BODIES; k++)
            h = ad_add(h, ad_div(ad_square(e[i][k]), 2));
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            ad_var s = ad_num(0);
            for (int k = 0; k < 3; k++)
                s = ad_add(s, ad_square(ad_sub(e[k][i], e[k][j])));
            h = ad_sub(h, ad_div(1, ad_sqrt(s)));
        }
    p->nin = 6;
    p->nout = 7;
    p->out[0] = h;
    ad_vjp(1, &h, &one, 6 * BODIES, part, grad);
    for (int i = 0; i < 6; i++)
        p->out[1 + i] = ad_concat_cols(BODIES, grad + i * BODIES);
    p->hand = nbody_by_hand;
}
static void nbody_scalar(problem *p) { nbody_scalar_of(p, 1); }
static void nbody_scalar_lanes(problem *p)
{
    p->batch = 8;
    nbody_scalar_of(p, AD_BATCH);
}
static void fput(problem *p)
{
    p->in[0] = ad_input(p->t, "q", 1, SITES);
    p->in[1] = ad_input(p->t, "p", 1, SITES);
    p->nin = 2;
    p->nout = 3;
    p->out[0] = record_fput(p->t, SITES, p->in[0], p->in[1]);
    ad_grads(p->out[0], 2, p->in, p->out + 1);
    p->hand = fput_by_hand;
}
static void henon_of(problem *p, int rows)
{
    static const char *const name[] = {"q1", "q2", "p1", "p2"};
    for (int i = 0; i < 4; i++)
        p->in[i] = ad_input(p->t, name[i], rows, 1);
    ad_var q1 = ad_add(p->in[0], ad_mul(0.005, p->in[2])), q2 = ad_add(p->in[1], ad_mul(0.005, p->in[3])),
           g[2], one = ad_num(1);
    ad_var v = ad_add(ad_div(ad_add(ad_square(q1), ad_square(q2)), 2),
                      ad_sub(ad_mul(ad_square(q1), q2), ad_div(ad_mul(ad_square(q2), q2), 3)));
    ad_vjp(1, &v, &one, 2, (ad_var[]){q1, q2}, g);
    p->out[2] = ad_sub(p->in[2], ad_mul(0.01, g[0]));
    p->out[3] = ad_sub(p->in[3], ad_mul(0.01, g[1]));
    p->out[0] = ad_add(q1, ad_mul(0.005, p->out[2]));
    p->out[1] = ad_add(q2, ad_mul(0.005, p->out[3]));
    p->nin = p->nout = 4;
    p->hand = henon_by_hand;
}
static void henon(problem *p) { henon_of(p, 1); }
static void henon_lanes(problem *p)
{
    p->batch = 32;
    henon_of(p, AD_BATCH);
}

/* The answers by hand are those of the program; 0 with a message when not. */
static int right(const problem *p, const char *name)
{
    for (int k = 0; k < p->nout; k++)
        for (int j = 0; j < size_of(p->out[k], p->batch); j++)
            if (!(fabs(p->y[k][j] - p->want[k][j]) <= 1e-12 * (1 + fabs(p->want[k][j])))) {
                fprintf(stderr, "%s: output %d[%d] is %.17g, by hand %.17g\n", name, k, j, p->y[k][j],
                        p->want[k][j]);
                return 0;
            }
    return 1;
}

/* The end of a line, with the ratio that is asked for. */
static void print_must(double must)
{
    if (must > 0)
        printf(", \"must_reach\": %g", must);
    puts("}");
}

/* The same program emitted as C and compiled: `ratio` to hand-written C. Nothing where there is no compiler. */
static int emitted(problem *p, const char *name, double must)
{
    char *how;
    ad_program *q = ad_native(p->p, NULL, &how);
    ad_work *w = p->w;
    int ok = q != NULL;
    if (q && how && strncmp(how, "native", 6) != 0) {
        fprintf(stderr, "%s: %s\n", name, how);
    } else if (q) {
        p->w = ad_work_new(q, NULL);
        for (int k = 0; k < p->nout; k++)
            memset(p->y[k], 0xff, sizeof(double) * (size_t)size_of(p->out[k], p->batch));
        replay(p);
        ok = right(p, name);
        double ns, ns_hand, ratio = bench_ratio(replay, p, p->hand, p, &ns, &ns_hand);
        printf("{\"bench\": \"emitted\", \"case\": \"%s\", \"batch\": %d, \"ns\": %.1f, \"hand_ns\": %.1f, "
               "\"ratio\": %.2f",
               name, p->batch, ns / p->batch, ns_hand / p->batch, ratio);
        print_must(must);
        ad_work_free(p->w);
        p->w = w;
    }
    free(how);
    ad_program_free(q);
    return ok;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*record)(problem *);
        double must, emitted_must; /* times hand-written C at most; 0 where no figure is asked */
    } cases[] = {{"nbody8 text", nbody_one, 8, 1.5},
                 {"nbody8 text lanes 8", nbody_lanes, 2.5, 0},
                 {"nbody8 scalars", nbody_scalar, 8, 1.5},
                 {"nbody8 scalars lanes 8", nbody_scalar_lanes, 2.5, 0},
                 {"fput64 text", fput, 8, 2.4},
                 {"henon-heiles verlet", henon, 0, 0},
                 {"henon-heiles verlet lanes 32", henon_lanes, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1]))
            continue;
        problem p = {.t = ad_new(), .batch = 1};
        cases[i].record(&p);
        double t0 = bench_now();
        p.p = ad_compile(p.t, p.nin, p.in, p.nout, p.out, NULL);
        double compile = bench_now() - t0;
        if (!p.p) {
            fprintf(stderr, "%s: %s\n", cases[i].name, ad_message(p.t));
            return 1;
        }
        p.w = ad_work_new(p.p, NULL);
        unsigned seed = 1;
        for (int k = 0; k < p.nin; k++) {
            int n = size_of(p.in[k], p.batch);
            p.x[k] = room(n);
            for (int j = 0; j < n; j++)
                p.x[k][j] = (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
        }
        for (int k = 0; k < p.nout; k++) {
            p.y[k] = room(size_of(p.out[k], p.batch));
            p.want[k] = room(size_of(p.out[k], p.batch));
        }
        replay(&p);
        p.hand(&p);
        if (!right(&p, cases[i].name))
            return 1;
        double ns_replay, ns_hand, ratio = bench_ratio(replay, &p, p.hand, &p, &ns_replay, &ns_hand);
        ad_report r;
        ad_program_report(p.p, &r);
        printf("{\"bench\": \"replay\", \"case\": \"%s\", \"batch\": %d, \"isa\": \"%s\", \"ns\": %.1f, "
               "\"hand_ns\": %.1f, "
               "\"ratio\": %.2f, \"nodes\": %lld, \"instructions\": %lld, \"compile_ns_per_node\": %.0f",
               cases[i].name, p.batch, r.isa, ns_replay / p.batch, ns_hand / p.batch, ratio,
               (long long)r.live, (long long)r.instructions, compile * 1e9 / (double)r.live);
        print_must(cases[i].must);
        if (!emitted(&p, cases[i].name, cases[i].emitted_must))
            return 1;
        fflush(stdout);
        for (int k = 0; k < 10; k++) {
            free(p.x[k]);
            free(p.y[k]);
            free(p.want[k]);
        }
        ad_work_free(p.w);
        ad_program_free(p.p);
        ad_free(p.t);
    }
    return 0;
}
