/* test_program.c - compiled programs against ad_value, which evaluates one node at a time. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The energy of a small network, its field, a loss of the field and the loss's gradient. */
enum { D = 4, H = 7, ROWS = 13, NW = 5 };
typedef struct {
    ad_tape *t;
    ad_var in[NW + 2], out[NW + 3];
    double v[NW + 2][256];
} net;

static net net_new(void)
{
    static const char *const name[NW + 2] = {"W1", "b1", "W2", "b2", "w3", "z", "dz"};
    static const int rows[NW + 2] = {H, 1, H, 1, 1, AD_BATCH, AD_BATCH}, cols[NW + 2] = {D, H, H, H, H, D, D};
    net n = {.t = ad_new()};
    unsigned s = 1;
    for (int i = 0; i < NW + 2; i++) {
        n.in[i] = ad_input(n.t, name[i], rows[i], cols[i]);
        for (int k = 0; k < 256; k++)
            n.v[i][k] = (double)((s = s * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
    }
    const ad_var *w = n.in, z = n.in[NW], dz = n.in[NW + 1];
    ad_var a1 = ad_tanh(ad_add(ad_matmul_nt(z, w[0]), w[1])),
           a2 = ad_tanh(ad_add(ad_matmul_nt(a1, w[2]), w[3])), e = ad_matmul_nt(a2, w[4]), g, one = ad_num(1);
    ad_vjp(1, &e, &one, 1, &z, &g);
    ad_var f = ad_concat_cols(2, (ad_var[]){ad_cols_of(g, D / 2, D / 2), ad_neg(ad_cols_of(g, 0, D / 2))});
    n.out[0] = ad_mean(ad_square(ad_sub(f, dz)));
    n.out[1] = f;
    n.out[2] = e;
    ad_grads(n.out[0], NW, n.in, n.out + 3);
    cr_assert_eq(ad_status(n.t), AD_OK, "%s", ad_message(n.t));
    return n;
}

static int size_of(ad_var x, int batch)
{
    int r = ad_rows(x);
    return (r < 0 ? -r * batch : r) * ad_cols(x);
}

/* The arrays of a run. */
static void bind_to(net *n, double value[NW + 3][256], const void *in[NW + 2], void *out[NW + 3])
{
    for (int i = 0; i < NW + 2; i++)
        in[i] = n->v[i];
    for (int i = 0; i < NW + 3; i++)
        out[i] = value[i];
}

/* Two runs side by side, and whether they gave the same bits. */
typedef struct {
    double want[NW + 3][256], got[NW + 3][256];
    const void *in[NW + 2];
    void *out[2][NW + 3];
} two_runs;
static void two_runs_of(net *n, two_runs *r)
{
    bind_to(n, r->want, r->in, r->out[0]);
    bind_to(n, r->got, r->in, r->out[1]);
}
static void second_is_first(net *n, two_runs *r, ad_work *w, int batch)
{
    memset(r->got, 0x7f, sizeof r->got);
    cr_assert_eq(ad_run(w, batch, r->in, r->out[1]), AD_OK);
    for (int i = 0; i < NW + 3; i++)
        cr_assert(!memcmp(r->want[i], r->got[i], (size_t)size_of(n->out[i], batch) * sizeof(double)),
                  "batch %d, output %d", batch, i);
}

static void outputs_equal_values(net *n, int batch, const ad_options *o)
{
    for (int i = 0; i < NW + 2; i++)
        ad_set(n->in[i], ad_rows(n->in[i]) < 0 ? batch : ad_rows(n->in[i]), n->v[i]);
    ad_program *p = ad_compile(n->t, NW + 2, n->in, NW + 3, n->out, o);
    cr_assert(p, "%s", ad_message(n->t));
    ad_work *w = ad_work_new(p, NULL);
    double got[NW + 3][256];
    const void *in[NW + 2];
    void *out[NW + 3];
    bind_to(n, got, in, out);
    for (int again = 0; again < 2; again++) {
        memset(got, 0x7f, sizeof got);
        cr_assert_eq(ad_run(w, batch, in, out), AD_OK, "%s", ad_work_message(w));
        for (int i = 0; i < NW + 3; i++) {
            const double *want = ad_value(n->out[i]);
            cr_assert(want, "%s", ad_message(n->t));
            cr_assert(!memcmp(want, got[i], (size_t)size_of(n->out[i], batch) * sizeof *want),
                      "output %d, batch %d", i, batch);
        }
    }
    ad_work_free(w);
    ad_program_free(p);
}

Test(program, a_training_step_has_the_bits_of_ad_value_for_every_batch)
{
    net n = net_new();
    for (int opt = AD_OPT_FULL; opt <= AD_OPT_NONE; opt++)
        for (int batch = 1; batch <= ROWS; batch += 3)
            outputs_equal_values(&n, batch, &(ad_options){.opt = opt});
    ad_free(n.t);
}

Test(program, threads_and_blocks_change_no_bit)
{
    net n = net_new();
    two_runs r;
    two_runs_of(&n, &r);
    ad_program *naive = ad_compile(n.t, NW + 2, n.in, NW + 3, n.out, &(ad_options){.opt = AD_OPT_NONE});
    ad_work *w = ad_work_new(naive, NULL);
    cr_assert_eq(ad_run(w, 60, r.in, r.out[0]), AD_OK);
    for (int threads = 1; threads <= 3; threads++)
        for (int block = 1; block <= 64; block *= 4) {
            ad_pool *pool = ad_pool_new(threads);
            ad_program *p = ad_compile(n.t, NW + 2, n.in, NW + 3, n.out, &(ad_options){.block = block});
            ad_work *v = ad_work_new(p, pool);
            for (int again = 0; again < 3; again++)
                second_is_first(&n, &r, v, 60);
            ad_work_free(v);
            ad_program_free(p);
            ad_pool_free(pool);
        }
    ad_work_free(w);
    ad_program_free(naive);
    ad_free(n.t);
}

/* Jobs of a pool follow one another while its threads still look for work, and after they fell asleep. */
Test(program, a_pool_takes_many_short_runs_with_and_without_a_pause)
{
    net n = net_new();
    two_runs r;
    two_runs_of(&n, &r);
    ad_pool *pool = ad_pool_new(4);
    ad_program *p = ad_compile(n.t, NW + 2, n.in, NW + 3, n.out, &(ad_options){.block = 1});
    ad_work *alone = ad_work_new(p, NULL), *w = ad_work_new(p, pool);
    for (int run = 0, runs = getenv("NOETHER_TEST_SHORT") ? 60 : 1500; run < runs; run++) {
        int batch = 1 + run % 60;
        cr_assert_eq(ad_run(alone, batch, r.in, r.out[0]), AD_OK);
        if (run % 50 == 49)
            usleep(2000);
        second_is_first(&n, &r, w, batch);
    }
    ad_work_free(alone);
    ad_work_free(w);
    ad_program_free(p);
    ad_pool_free(pool);
    ad_free(n.t);
}

/* The number of samples is known before the first row is: a mean does not end the stage of its rows. */
Test(program, the_rows_of_the_gradient_of_a_mean_are_one_stage)
{
    net n = net_new();
    ad_program *p = ad_compile(n.t, NW + 2, n.in, 1, n.out, NULL), *q;
    ad_report r;
    ad_program_report(p, &r);
    int loss = r.stages;
    ad_var wanted[NW + 1] = {n.out[0]};
    for (int i = 0; i < NW; i++)
        wanted[1 + i] = n.out[3 + i];
    q = ad_compile(n.t, NW + 2, n.in, NW + 1, wanted, NULL);
    ad_program_report(q, &r);
    cr_assert(loss == 3 && r.stages == 3, "%d and %d stages", loss, r.stages); /* count; rows; sums */
    ad_program_free(p);
    ad_program_free(q);
    ad_free(n.t);
}

Test(program, one_workspace_serves_batches_of_any_size_in_turn)
{
    net n = net_new();
    ad_program *p = ad_compile(n.t, NW + 2, n.in, 1, n.out, NULL);
    ad_work *w = ad_work_new(p, NULL);
    const void *in[NW + 2];
    for (int i = 0; i < NW + 2; i++)
        in[i] = n.v[i];
    static const int batch[] = {3, 60, 1, 3, 60};
    double loss[5];
    for (int i = 0; i < 5; i++) {
        void *out[] = {&loss[i]};
        cr_assert_eq(ad_run(w, batch[i], in, out), AD_OK, "%s", ad_work_message(w));
    }
    cr_assert_eq(loss[0], loss[3]);
    cr_assert_eq(loss[1], loss[4]);
    ad_work_free(w);
    ad_program_free(p);
    ad_free(n.t);
}

Test(program, float_and_long_double_programs_agree_with_double_to_their_precision)
{
    net n = net_new();
    double want[3] = {0};
    float vf[NW + 2][256], lf;
    long double vl[NW + 2][256], ll;
    const void *in[3][NW + 2];
    void *out[3] = {&want[0], &lf, &ll};
    for (int i = 0; i < NW + 2; i++) {
        for (int k = 0; k < 256; k++) {
            vf[i][k] = (float)n.v[i][k];
            n.v[i][k] = vf[i][k];
            vl[i][k] = n.v[i][k];
        }
        in[AD_F64][i] = n.v[i];
        in[AD_F32][i] = vf[i];
        in[AD_F80][i] = vl[i];
    }
    for (int real = AD_F64; real <= AD_F80; real++) {
        ad_program *p = ad_compile(n.t, NW + 2, n.in, 1, n.out, &(ad_options){.real = real});
        ad_work *w = ad_work_new(p, NULL);
        cr_assert_eq(ad_run(w, ROWS, in[real], &out[real]), AD_OK);
        ad_work_free(w);
        ad_program_free(p);
    }
    cr_assert_float_eq(want[0], (double)ll, 1e-14);
    cr_assert_float_eq((double)lf, (double)ll, 1e-5);
    ad_free(n.t);
}

Test(program, an_output_may_be_an_input_a_constant_or_listed_twice)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2), y = ad_exp(x), c = ad_const(t, 1, 2, (double[]){5, 6});
    ad_program *p = ad_compile(t, 1, &x, 5, (ad_var[]){x, y, y, c, ad_num(3)}, NULL);
    ad_work *w = ad_work_new(p, NULL);
    double in[] = {0, 1}, out[5][2] = {{0}};
    cr_assert_eq(ad_run(w, 1, (const void *[]){in}, (void *[]){out[0], out[1], out[2], out[3], out[4]}),
                 AD_OK);
    cr_assert(out[0][0] == 0 && out[0][1] == 1 && out[1][0] == 1 && out[3][0] == 5 && out[3][1] == 6 &&
              out[4][0] == 3);
    cr_assert(!memcmp(out[1], out[2], sizeof out[1]));
    ad_work_free(w);
    ad_program_free(p);
    ad_free(t);
}

Test(program, a_bad_compile_names_what_is_wrong)
{
    ad_tape *t = ad_new(), *other = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = ad_input(t, "y", 1, 1), z = ad_input(other, "z", 1, 1),
           s = ad_add(x, y);
    struct {
        int nin, nout;
        ad_var in[2], out[1];
        ad_options o;
        int status;
        const char *says;
    } bad[] = {{1, 1, {x}, {s}, {0}, AD_EUNBOUND, "\"y\", which is not listed"},
               {2, 1, {x, x}, {x}, {0}, AD_EARG, "\"x\" is listed twice"},
               {1, 1, {s}, {s}, {0}, AD_EARG, "input 1 is add"},
               {1, 1, {x}, {z}, {0}, AD_ETAPE, "another tape"},
               {1, 0, {x}, {x}, {0}, AD_EARG, "0 outputs"},
               {1, 1, {x}, {x}, {.real = 7}, AD_EARG, "real 7"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_null(ad_compile(t, bad[i].nin, bad[i].in, bad[i].nout, bad[i].out, &bad[i].o));
        cr_assert_eq(ad_status(t), bad[i].status, "%zu: %s", i, ad_message(t));
        cr_assert(strstr(ad_message(t), bad[i].says), "%zu: %s", i, ad_message(t));
        ad_clear(t);
    }
    ad_free(t);
    ad_free(other);
}

Test(program, a_failure_in_a_run_names_operation_and_row_and_the_workspace_goes_on)
{
    ad_tape *t = ad_new();
    ad_var a = ad_input(t, "a", AD_BATCH, 4), l = ad_row_cholesky(a, 2);
    ad_program *p = ad_compile(t, 1, &a, 1, &l, NULL);
    ad_work *w = ad_work_new(p, NULL);
    double good[] = {4, 0, 0, 9}, bad[] = {4, 0, 0, 9, 1, 2, 2, 1}, out[8];
    cr_assert_eq(ad_run(w, 2, (const void *[]){bad}, (void *[]){out}), AD_EDOMAIN);
    cr_assert(strstr(ad_work_message(w), "row_cholesky") && strstr(ad_work_message(w), "row 1"), "%s",
              ad_work_message(w));
    cr_assert_eq(ad_run(w, 0, (const void *[]){good}, (void *[]){out}), AD_EARG);
    cr_assert_eq(ad_run(w, 1, (const void *[]){NULL}, (void *[]){out}), AD_EUNBOUND);
    cr_assert_eq(ad_run(w, 1, (const void *[]){good}, (void *[]){NULL}), AD_EARG);
    cr_assert_eq(ad_run(w, 1, (const void *[]){good}, (void *[]){out}), AD_OK);
    cr_assert(ad_work_status(w) == AD_OK && out[0] == 2 && out[3] == 3);
    ad_work_free(w);
    ad_program_free(p);
    ad_free(t);
}

Test(program, every_allocation_of_compiling_and_running_may_fail)
{
    for (long k = 1;; k++) {
        net n = net_new();
        double loss = 0;
        const void *in[NW + 2];
        for (int i = 0; i < NW + 2; i++)
            in[i] = n.v[i];
        failalloc_arm(k, 1);
        ad_program *p = ad_compile(n.t, NW + 2, n.in, 1, n.out, NULL);
        ad_work *w = ad_work_new(p, NULL);
        int status = p && w ? ad_run(w, 5, in, (void *[]){&loss}) : AD_ENOMEM;
        ad_work_free(w);
        ad_program_free(p);
        long count = failalloc_disarm();
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", k);
        ad_free(n.t);
        cr_assert_eq(status, count < k ? AD_OK : AD_ENOMEM);
        if (count < k)
            break;
    }
}

Test(program, report_and_dump_describe_the_program)
{
    net n = net_new();
    ad_program *p = ad_compile(n.t, NW + 2, n.in, NW + 3, n.out, NULL);
    ad_report r;
    ad_program_report(p, &r);
    cr_assert(r.live > 0 && r.live <= r.nodes && r.instructions > 0 && r.flops_per_row > 0 && *r.isa);
    char *text = ad_program_dump(p);
    cr_assert(text && strstr(text, "matmul") && strstr(text, "[B,7]"));
    free(text);
    ad_program_free(p);
    ad_free(n.t);
}

/* What each pass must have done with a tape made for it: nodes that nothing needs, equal ones far apart, a sum of constants. */
Test(program, a_report_counts_what_each_pass_did)
{
    enum { FAR = 3000, C = 64 };
    ad_report full, naive;
    ad_tape *t = ad_new();
    double v[C], u[C];
    for (int i = 0; i < C; i++)
        v[i] = i, u[i] = 1.0 / (1 + i);
    ad_var x = ad_input(t, "x", AD_BATCH, C), y[2],
           c = ad_add(ad_const(t, 1, C, v), ad_sin(ad_const(t, 1, C, u)));
    for (int k = 0; k < 2; k++) {
        y[k] = ad_mul(ad_exp(x), c);
        for (int i = 0; i < FAR; i++) /* dead; the recorder forgets what came before */
            ad_mul(ad_cos(x), ad_num(i + FAR * k + 0.5));
    }
    ad_var out = ad_sum_cols(ad_mul(y[0], y[1]));
    ad_program *p = ad_compile(t, 1, &x, 1, &out, NULL),
               *q = ad_compile(t, 1, &x, 1, &out, &(ad_options){.opt = AD_OPT_NONE});
    cr_assert(p && q, "%s", ad_message(t));
    ad_program_report(p, &full), ad_program_report(q, &naive);
    cr_assert_eq(full.nodes, ad_nodes(t));
    cr_assert(full.live < 20 && full.after_cse < full.live && full.after_fold < full.after_cse,
              "%ld nodes, %ld live, %ld after equal ones, %ld after folding", (long)full.nodes,
              (long)full.live, (long)full.after_cse, (long)full.after_fold);
    cr_assert(naive.instructions > full.instructions, "%ld instructions, naive %ld", (long)full.instructions,
              (long)naive.instructions);
    /* an exponential, two products and an addition of each of C elements */
    cr_assert_eq(full.flops_per_row, C * (10 + 1 + 1 + 1), "%g flops", full.flops_per_row);
    /* The workspace is what it says: bytes for a batch of 1, and for each further row. */
    for (int batch = 1; batch <= 4096; batch *= 16) {
        double *in = calloc((size_t)batch * C, sizeof *in), *to = calloc((size_t)batch, sizeof *to);
        failalloc_arm(0, 0);
        ad_work *w = ad_work_new(q, NULL);
        cr_assert_eq(ad_run(w, batch, (const void *[]){in}, (void *[]){to}), AD_OK);
        failalloc_disarm();
        double says = (double)naive.work_bytes + (double)naive.work_bytes_per_row * (batch - 1);
        cr_assert((double)failalloc_peak() <= 1.1 * says + 16384, "batch %d: %ld bytes, the report says %.0f",
                  batch, failalloc_peak(), says);
        ad_work_free(w);
        free(in), free(to);
    }
    ad_program_free(p), ad_program_free(q);
    ad_free(t);
}

/* Arrays of the caller are read and written where they are: 8 MiB in, 8 MiB out, next to nothing of its own. */
Test(program, inputs_and_outputs_are_bound_without_a_copy)
{
    enum { N = 1 << 20 };
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", AD_BATCH, 1), y = ad_add(ad_sin(x), ad_square(x));
    ad_program *p = ad_compile(t, 1, &x, 1, &y, NULL);
    double *in = malloc(N * sizeof *in), *out = malloc(N * sizeof *out);
    for (int i = 0; i < N; i++)
        in[i] = 1e-6 * i;
    failalloc_arm(0, 0);
    ad_work *w = ad_work_new(p, NULL);
    cr_assert_eq(ad_run(w, N, (const void *[]){in}, (void *[]){out}), AD_OK, "%s", ad_work_message(w));
    failalloc_disarm();
    cr_assert_leq(failalloc_peak(), 1L << 18, "%ld bytes for 2^20 rows", failalloc_peak());
    for (int i = 0; i < N; i += 4099)
        cr_assert_float_eq(out[i], sin(in[i]) + in[i] * in[i], 4e-16 * (1 + fabs(out[i])));
    free(in), free(out);
    ad_work_free(w);
    ad_program_free(p);
    ad_free(t);
}
