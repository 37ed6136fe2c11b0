/* bench_scan.c - derivatives through many steps of a loop in little memory: a ring of 500 oscillators, 1,000 numbers of
 * state, stepped by leapfrog.
 *
 * Memory: what a gradient and a Hessian-vector product through 10^6 steps add to the process, by the system's count
 * of resident pages (what was there before the run against the most there ever was). Time: the gradient through 3,000 steps
 * with the checkpoints that ad_scan chooses against the gradient that keeps every step, both timed in turn; and emitted
 * C of it against replay. What a step of a loop costs beside its body: bodies of 5, 50 and 1,000 scalar operations in a loop
 * against as many of them written out in one program, and the same for gradients.
 */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SITES = 500, LONG = 1000000, SHORT = 3000 };

/* -dV/dq of V = sum_i d_i^2/2 + c d_i^4/4, d_i = q_i+1 - q_i round a ring */
static ad_var force(ad_var q, ad_var c)
{
    ad_var next = ad_concat_cols(2, (ad_var[]){ad_cols_of(q, 1, SITES - 1), ad_cols_of(q, 0, 1)}),
           d = ad_sub(next, q);
    ad_var pull = ad_add(d, ad_mul(c, ad_mul(d, ad_square(d))));
    ad_var before =
        ad_concat_cols(2, (ad_var[]){ad_cols_of(pull, SITES - 1, 1), ad_cols_of(pull, 0, SITES - 1)});
    return ad_sub(pull, before);
}

static ad_func *leapfrog(double h)
{
    ad_tape *t = ad_new();
    ad_var c = ad_input(t, "c", 1, 1), q = ad_input(t, "q", 1, SITES), p = ad_input(t, "p", 1, SITES);
    ad_var out[2];
    out[1] = ad_add(p, ad_mul(h, force(q, c)));
    out[0] = ad_add(q, ad_mul(h, out[1]));
    ad_func *f = ad_func_new(3, (ad_var[]){c, q, p}, 2, out);
    ad_free(t);
    return f;
}

typedef struct job { /* y = sum q(T)^2/2 of a loop; g: its gradient, or the product of its Hessian with v */
    ad_tape *t;
    ad_program *p;
    ad_work *w;
    double c, q[SITES], zero[SITES], out[2 * SITES + 2];
} job;

static int job_new(job *j, const ad_func *f, int64_t count, int64_t checkpoints, int second)
{
    *j = (job){.t = ad_new(), .c = 0.1};
    ad_var in[3] = {ad_input(j->t, "c", 1, 1), ad_input(j->t, "q", 1, SITES), ad_input(j->t, "p", 1, SITES)},
           z[2];
    ad_scan(j->t, &(ad_scan_spec){.f = f,
                                  .count = count,
                                  .nshared = 1,
                                  .ncarry = 2,
                                  .shared = in,
                                  .carry = in + 1,
                                  .carry_out = z,
                                  .checkpoints = checkpoints});
    ad_var y = ad_mul(0.5, ad_sum(ad_square(z[0]))), g[2];
    ad_grads(y, 2, in, g);
    if (second)
        g[1] = ad_hvp(y, in[1], ad_stop(in[1]));
    j->p = ad_compile(j->t, 3, in, 2, g, NULL);
    j->w = j->p ? ad_work_new(j->p, NULL) : NULL;
    for (int i = 0; i < SITES; i++)
        j->q[i] = 0.1 * sin(6.283185307179586 * i / SITES);
    return j->w != NULL;
}

static void job_run(void *arg)
{
    job *j = arg;
    ad_run(j->w, 1, (const void *[]){&j->c, j->q, j->zero}, (void *[]){j->out, j->out + 2});
}

static void job_free(job *j)
{
    ad_work_free(j->w);
    ad_program_free(j->p);
    ad_free(j->t);
}

static double resident(void) /* MiB now; NaN where the system does not tell */
{
    long pages = -1;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = -1;
    if (f)
        fclose(f);
    return pages < 0 ? 0.0 / 0.0 : (double)pages * (double)sysconf(_SC_PAGESIZE) / 0x1p20;
}

static double most_resident(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_maxrss / 1024;
}

static int memory(const ad_func *f)
{
    static const char *const what[] = {"gradient", "Hessian-vector product"};
    for (int second = 0; second < 2; second++) {
        job j;
        double before = resident();
        if (!job_new(&j, f, LONG, 0, second))
            return 0;
        double t0 = bench_now();
        job_run(&j);
        double seconds = bench_now() - t0;
        int ok = ad_work_status(j.w) == 0 && isfinite(j.out[0]) && isfinite(j.out[2]);
        printf("{\"bench\": \"scan\", \"work\": \"%s\", \"steps\": %d, \"state\": %d, \"seconds\": %.1f",
               what[second], LONG, 2 * SITES, seconds);
        bench_number("%.1f", "mebibytes", most_resident() - before);
        printf(", \"must_reach\": 64}\n");
        fflush(stdout);
        job_free(&j);
        if (!ok)
            return 0;
    }
    return 1;
}

/* n operations on two numbers: cos(k a), cos((k+1) a), ... by their recurrence, and a bound that is never met where n is odd. */
static void body(int n, const ad_var x[2], ad_var y[2])
{
    y[0] = x[0], y[1] = x[1];
    for (int i = 0; i < n / 2; i++) {
        ad_var next = ad_sub(ad_mul(1.9, y[1]), y[0]);
        y[0] = y[1], y[1] = next;
    }
    if (n % 2)
        y[1] = ad_min(y[1], 2.0);
}
typedef struct steps {
    ad_program *p;
    ad_work *w;
    double out[2];
} steps;
static void steps_run(void *arg)
{
    static const double x = 1, y = 0.95;
    steps *s = arg;
    ad_run(s->w, 1, (const void *[]){&x, &y}, (void *[]){s->out, s->out + 1});
}
/* The loop, the loop as emitted C, the body written out; then the gradients of the square of their first results. */
static int bodies(void)
{
    static const int size[] = {5, 50, 1000};
    for (int k = 0; k < 3; k++) {
        int n = size[k], written = 2000 / n, count = 50 * written, ok = 1;
        ad_tape *t = ad_new();
        ad_var x[2] = {ad_input(t, "x", 1, 1), ad_input(t, "y", 1, 1)}, y[2], z[2], u[2] = {x[0], x[1]};
        body(n, x, y);
        ad_func *f = ad_func_new(2, x, 2, y);
        ad_scan(t, &(ad_scan_spec){.f = f, .count = count, .ncarry = 2, .carry = x, .carry_out = z});
        for (int i = 0; i < written; i++) {
            body(n, u, y);
            u[0] = y[0], u[1] = y[1];
        }
        steps s[6] = {{0}};
        double ns[6], ratio[6];
        bench_side side[6];
        for (int gradient = 0; gradient < 2; gradient++) {
            steps *of = s + 3 * gradient;
            if (gradient)
                ad_grads(ad_square(z[0]), 2, x, z), ad_grads(ad_square(u[0]), 2, x, u);
            of[0].p = ad_compile(t, 2, x, 2, z, NULL);
            of[1].p = ad_native(of[0].p, NULL, NULL);
            of[2].p = ad_compile(t, 2, x, 2, u, NULL);
        }
        for (int i = 0; i < 6; i++) {
            s[i].w = ad_work_new(s[i].p, NULL);
            ok = ok && s[i].w;
            side[i] = (bench_side){steps_run, NULL, s + i};
        }
        for (int i = 0; ok && i < 6; i++)
            steps_run(s + i), ok = isfinite(s[i].out[0]) && ad_work_status(s[i].w) == 0;
        ok = ok && !memcmp(s[0].out, s[1].out, sizeof s[0].out) &&
             !memcmp(s[3].out, s[4].out, sizeof s[0].out);
        for (int g = 0; ok && g < 6; g += 3) {
            bench_compare(3, (bench_side[]){side[g + 2], side[g], side[g + 1]}, 11, ns, ratio);
            printf("{\"bench\": \"scan\", \"work\": \"%s of a loop, a body of %d operations\", "
                   "\"ns_per_step\": %.1f, "
                   "\"times_written_out\": %.2f, \"native\": %.2f}\n",
                   g ? "gradient" : "values", n, ns[1] / count, ratio[1] * written / count,
                   ratio[2] * written / count);
        }
        for (int i = 0; i < 6; i++)
            ad_work_free(s[i].w), ad_program_free(s[i].p);
        ad_func_free(f);
        ad_free(t);
        if (!ok)
            return 0;
    }
    return 1;
}

int main(void)
{
    ad_func *f = leapfrog(0.05);
    job few, all, native = {0};
    bench_pin();
    if (!bodies()) {
        fprintf(stderr, "bench_scan: a loop is not what it is as emitted C\n");
        return 1;
    }
    if (!f || !memory(f) || !job_new(&few, f, SHORT, 0, 0) || !job_new(&all, f, SHORT, SHORT, 0)) {
        fprintf(stderr, "bench_scan: a loop has no derivative\n");
        return 1;
    }
    job_run(&few);
    job_run(&all);
    if (memcmp(few.out, all.out, sizeof few.out)) {
        fprintf(stderr, "bench_scan: checkpoints change the gradient\n");
        return 1;
    }
    char *how = NULL;
    native = few;
    native.p = ad_native(few.p, NULL, &how);
    native.w = ad_work_new(native.p, NULL);
    job_run(&native);
    if (memcmp(few.out, native.out, sizeof few.out)) {
        fprintf(stderr, "bench_scan: emitted C has another gradient (%s)\n", how ? how : "");
        return 1;
    }
    double ns[3], ratio[3];
    bench_compare(3, (bench_side[]){{job_run, NULL, &all}, {job_run, NULL, &few}, {job_run, NULL, &native}},
                  7, ns, ratio);
    printf("{\"bench\": \"scan\", \"work\": \"gradient, checkpoints\", \"steps\": %d, \"state\": %d, "
           "\"ns_per_step\": %.0f, \"ns_per_step_all_kept\": %.0f, \"times_all_kept\": %.2f, \"must_reach\": "
           "2.5",
           SHORT, 2 * SITES, ns[1] / SHORT, ns[0] / SHORT, ratio[1]);
    bench_number("%.0f", "ns_per_step_native", how && !strncmp(how, "native", 6) ? ns[2] / SHORT : 0.0 / 0.0);
    printf("}\n");
    free(how);
    ad_work_free(native.w);
    ad_program_free(native.p);
    job_free(&few);
    job_free(&all);
    ad_func_free(f);
    return 0;
}
