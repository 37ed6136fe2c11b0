/* bench_ode.c - integrators against hand-written C in the same run: a JSON line for each figure, the answer checked.
 * Invariant: a ratio is of medians of times taken in turns, so that both see the same machine; both make one force a step. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "hand_ode.h"
#include "hnn.h"
#include "ode.h"

enum { TURNS = 21, LANES = 32, LONGEST = 36, GRADIENT_STEPS = 100000 };

static int hand_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
static int hand_q(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[0] + 2 * y[0] * y[1];
    g[1] = y[1] + y[0] * y[0] - y[1] * y[1];
    return 0;
}
static ode_recorded *recorded(ad_tape *t, ad_var q, ad_var p, ad_var H)
{
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p});
    ad_free(t);
    return r;
}
static ode_recorded *henon_heiles(int rows)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", rows, 2), p = ad_input(t, "p", rows, 2);
    return recorded(t, q, p,
                    ad_expr(t, "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + q[1]^2*q[2] - q[2]^3/3", q, p));
}
static double gravity, mass[HAND_BODIES];
/* The differences of all pairs, x of each, then y, then z, as one vector. */
static ode_recorded *solar(int rows)
{
    enum { PAIRS = HAND_BODIES * (HAND_BODIES - 1) / 2 };
    int first[3 * PAIRS], second[3 * PAIRS], k = 0;
    double pull[PAIRS], half[3 * HAND_BODIES];
    for (int a = 0; a < HAND_BODIES; a++)
        for (int b = 0; b < a; b++, k++) {
            pull[k] = gravity * mass[a] * mass[b];
            for (int i = 0; i < 3; i++)
                first[i * PAIRS + k] = 3 * a + i, second[i * PAIRS + k] = 3 * b + i;
        }
    for (int i = 0; i < 3 * HAND_BODIES; i++)
        half[i] = 0.5 / mass[i / 3];
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", rows, 3 * HAND_BODIES), p = ad_input(t, "p", rows, 3 * HAND_BODIES),
           d = ad_sub(ad_gather_cols(q, 3 * PAIRS, first), ad_gather_cols(q, 3 * PAIRS, second)),
           s = ad_square(d),
           r2 = ad_add(ad_add(ad_cols_of(s, 0, PAIRS), ad_cols_of(s, PAIRS, PAIRS)),
                       ad_cols_of(s, 2 * PAIRS, PAIRS)),
           T = ad_sum_cols(ad_mul(ad_const(t, 1, 3 * HAND_BODIES, half), ad_square(p))),
           V = ad_sum_cols(ad_div(ad_const(t, 1, PAIRS, pull), ad_sqrt(r2)));
    return recorded(t, q, p, ad_sub(T, V));
}
static void hand_solar(double y[], long steps, double h) { hand_solar_verlet(y, steps, h, gravity, mass); }

static const double hh_start[] = {0.3, -0.2, 0.25, 0.3};
static double solar_start[LONGEST];
typedef struct {
    const char *name;
    int size;
    double h;
    long steps; /* of the hand-written loop */
    const double *start;
    void (*by_hand)(double y[], long steps, double h);
    ode_recorded *(*record)(int rows);
} problem;
static const problem problems[] = {
    {"henon-heiles", 4, 0.01, 200000, hh_start, hand_henon_heiles, henon_heiles},
    {"outer-solar-system", LONGEST, 20, 10000, solar_start, hand_solar, solar},
};

typedef struct {
    const char *work, *method;
    int problem, recorded, compiled, plain, rows; /* plain: sums, as in the hand-written loop */
    long steps;
    double target; /* of the issue; 0: none */
} row;
static const row rows[] = {
    {"callback", "verlet", 0, 0, 0, 0, 1, 100000, 0},
    {"recorded, ordinary steps", "verlet", 0, 1, -1, 0, 1, 5000, 0},
    {"recorded, by itself", "verlet", 0, 1, 0, 0, 1, 20000000, 0},
    {"recorded, steps by replay", "verlet", 0, 1, 1, 0, 1, 200000, 12},
    {"recorded, steps by replay, plain sums", "verlet", 0, 1, 1, 1, 1, 200000, 12},
    {"recorded, steps by replay, each of 32 states", "verlet", 0, 1, 1, 0, LANES, 50000, 2},
    {"recorded, steps by replay, each of 32 states, plain sums", "verlet", 0, 1, 1, 1, LANES, 50000, 2},
    {"recorded, steps as emitted C", "verlet", 0, 1, 2, 0, 1, 2000000, 0},
    {"recorded, steps as emitted C, plain sums", "verlet", 0, 1, 2, 1, 1, 2000000, 1.3},
    {"recorded, steps as emitted C, each of 32 states", "verlet", 0, 1, 2, 0, LANES, 50000, 0},
    {"recorded, steps by replay", "verlet", 1, 1, 1, 0, 1, 10000, 6},
    {"recorded, steps by replay, plain sums", "verlet", 1, 1, 1, 1, 1, 10000, 6},
    {"recorded, steps as emitted C", "verlet", 1, 1, 2, 0, 1, 50000, 1.2},
    {"recorded, steps as emitted C, plain sums", "verlet", 1, 1, 2, 1, 1, 50000, 1.2},
    {"callback", "rk4", 0, 0, 0, 0, 1, 50000, 0},
    {"recorded, steps as emitted C", "rk4", 0, 1, 2, 0, 1, 500000, 0},
    {"callback", "gauss4", 0, 0, 0, 0, 1, 5000, 0},
    {"recorded, ordinary steps", "gauss4", 0, 1, -1, 0, 1, 5000, 0},
    {"recorded, steps by replay", "gauss4", 0, 1, 1, 0, 1, 20000, 0},
    {"recorded, steps as emitted C", "gauss4", 0, 1, 2, 0, 1, 1000000, 10},
    {"recorded, steps as emitted C, plain sums", "gauss4", 0, 1, 2, 1, 1, 1000000, 10},
    {"callback", "gauss8", 0, 0, 0, 0, 1, 2000, 0},
    {"recorded, steps as emitted C", "gauss8", 0, 1, 2, 0, 1, 1000000, 25},
    {"recorded, steps as emitted C, plain sums", "gauss8", 0, 1, 2, 1, 1, 1000000, 25},
    {"callback", "avf4", 0, 0, 0, 0, 1, 5000, 0},
    {"recorded, steps as emitted C", "avf4", 0, 1, 2, 0, 1, 1000000, 9},
    {"recorded, steps as emitted C, plain sums", "avf4", 0, 1, 2, 1, 1, 1000000, 9},
};

static volatile double sink; /* so that the hand-written loop is not left out */
static int report(const char *name, const char *method, const char *work, int states, double mine[],
                  double theirs[], double target)
{
    qsort(mine, TURNS, sizeof *mine, bench_by_value), qsort(theirs, TURNS, sizeof *theirs, bench_by_value);
    printf("{\"bench\":\"ode\",\"problem\":\"%s\",\"method\":\"%s\",\"work\":\"%s\",\"states\":%d,"
           "\"ns_per_step\":%.2f,\"verlet_in_c_ns\":%.2f,\"ratio\":%.2f",
           name, method, work, states, mine[TURNS / 2] * 1e9, theirs[TURNS / 2] * 1e9,
           mine[TURNS / 2] / theirs[TURNS / 2]);
    if (target > 0)
        printf(",\"must_reach\":%g", target);
    printf("}\n");
    return 0;
}
static double one_by_hand(const problem *p)
{
    double y[LONGEST], a;
    memcpy(y, p->start, sizeof *y * (size_t)p->size);
    a = bench_now();
    p->by_hand(y, p->steps, p->h);
    a = (bench_now() - a) / (double)p->steps;
    sink = y[0];
    return a;
}

static int run(const row *w)
{
    const ode_field field = {
        .size = 4, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, .dHdp = hand_p, .dHdq = hand_q};
    const problem *p = &problems[w->problem];
    ode_recorded *r = w->recorded ? p->record(w->rows > 1 ? AD_BATCH : 1) : NULL;
    ode_solver *s = ode_new_batch(ode_method_find(w->method), r ? ode_recorded_field(r) : &field, w->rows);
    double mine[TURNS], theirs[TURNS], ys[4 * LANES + LONGEST], y[LONGEST], worst = 0, scale = 0;
    size_t size = sizeof *y * (size_t)p->size;
    int verlet = !strcmp(w->method, "verlet"), status = 0;
    for (int b = 0; b < w->rows; b++)
        memcpy(ys + p->size * b, p->start, size);
    for (int turn = 0; turn < TURNS; turn++) {
        ode_options o = {.compiled = w->compiled, .plain_sums = w->plain};
        ode_start(s, 0, ys);
        double a = bench_now(); /* recording and compiling: in the first turn, of implicit rows in each */
        ode_run(s, w->steps, p->h, &o);
        mine[turn] = (bench_now() - a) / (double)w->steps / w->rows;
        theirs[turn] = one_by_hand(p);
    }
    /* Against the hand-written loop, or over a shorter run against the row as it is without programs. */
    long check = verlet ? (w->compiled ? w->steps : 100000) : 2000;
    if (w->problem)
        check = 1000;
    memcpy(y, p->start, size);
    ode_start(s, 0, ys);
    ode_run(s, check, p->h, &(ode_options){.compiled = w->compiled, .plain_sums = w->plain});
    if (verlet) {
        p->by_hand(y, check, p->h);
    } else {
        ode_solver *plain = ode_new(ode_method_find(w->method), &field);
        ode_start(plain, 0, p->start);
        ode_run(plain, check, p->h, NULL);
        memcpy(y, ode_y(plain), size);
        ode_free(plain);
    }
    for (int i = 0; i < p->size; i++)
        scale = fmax(scale, fabs(y[i]));
    for (int b = 0; b < w->rows; b++)
        for (int i = 0; i < p->size; i++)
            worst = fmax(worst, fabs(ode_y(s)[p->size * b + i] - y[i]) / scale);
    if (ode_status(s) || !(worst < 1e-9)) {
        fprintf(stderr, "%s, %s: %s, off by %g\n", w->method, w->work, ode_message(s), worst);
        status = 1;
    }
    report(p->name, w->method, w->work, w->rows, mine, theirs, w->target);
    ode_free(s);
    ode_recorded_free(r);
    return status;
}

/* The gradient of |z_N|^2 by z_0: the loop on a tape, its derivative, all of it as emitted C. */
static int gradient(const char *work, int64_t checkpoints, double target)
{
    ode_recorded *r = henon_heiles(1);
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", 1, 4), h = ad_input(t, "h", 1, 1),
           z = ode_record(ode_method_find("verlet"), r, GRADIENT_STEPS, y, ad_num(0), h, NULL, 0, checkpoints,
                          NULL),
           g = ad_grad(ad_sum(ad_square(z)), y);
    ad_program *replay = ad_compile(t, 2, (ad_var[]){y, h}, 1, &g, NULL), *p = ad_native(replay, NULL, NULL);
    ad_work *w = ad_work_new(p, NULL);
    double step = 0.01, dy[4], dz[4], mine[TURNS], theirs[TURNS], worst = 0, scale = 0;
    int status = 0;
    hand_gradient(hh_start, GRADIENT_STEPS, step, 0, dz);
    for (int turn = -1; turn < TURNS; turn++) {
        double a = bench_now();
        status |= ad_run(w, 1, (const void *[]){hh_start, &step}, (void *[]){dy});
        a = (bench_now() - a) / GRADIENT_STEPS;
        if (turn >= 0)
            mine[turn] = a, theirs[turn] = one_by_hand(&problems[0]);
    }
    for (int i = 0; i < 4; i++)
        scale = fmax(scale, fabs(dz[i])), worst = fmax(worst, fabs(dy[i] - dz[i]));
    if (status || !(worst < 1e-8 * scale)) {
        fprintf(stderr, "gradient, %s: %s, off by %g of %g\n", work, ad_work_message(w), worst, scale);
        status = 1;
    }
    report("henon-heiles", "verlet", work, 1, mine, theirs, target);
    ad_work_free(w);
    ad_program_free(p);
    ad_program_free(replay);
    ad_free(t);
    ode_recorded_free(r);
    return status;
}
/* The sum of |z|^2 at ten times on the way, by z_0 and the step; the answer is that of replay, to the bit. */
static int observed_gradient(const char *work, int64_t checkpoints, double target)
{
    enum { TIMES = 10 };
    ode_recorded *r = henon_heiles(1);
    ad_tape *t = ad_new();
    ad_var in[2] = {ad_input(t, "y", 1, 4), ad_input(t, "h", 1, 1)}, z = in[0], sum = ad_num(0), g[2];
    for (int i = 0; i < TIMES; i++) {
        z = ode_record(ode_method_find("verlet"), r, GRADIENT_STEPS / TIMES, z, ad_num(0), in[1], NULL, 0,
                       checkpoints, NULL);
        sum = ad_add(sum, ad_sum(ad_square(z)));
    }
    ad_grads(sum, 2, in, g);
    ad_program *replay = ad_compile(t, 2, in, 2, g, NULL), *p = ad_native(replay, NULL, NULL);
    ad_work *w[2] = {ad_work_new(replay, NULL), ad_work_new(p, NULL)};
    double step = 0.01, got[2][5], mine[TURNS], theirs[TURNS];
    int status = 0;
    for (int k = 0; k < 2; k++)
        status |= ad_run(w[k], 1, (const void *[]){hh_start, &step}, (void *[]){got[k], got[k] + 4});
    for (int turn = 0; turn < TURNS && !status; turn++) {
        double a = bench_now();
        status |= ad_run(w[1], 1, (const void *[]){hh_start, &step}, (void *[]){got[1], got[1] + 4});
        mine[turn] = (bench_now() - a) / GRADIENT_STEPS, theirs[turn] = one_by_hand(&problems[0]);
    }
    if (status || memcmp(got[0], got[1], sizeof got[0])) {
        fprintf(stderr, "gradient, %s: %s, or not that of replay\n", work, ad_work_message(w[1]));
        status = 1;
    } else {
        report("henon-heiles", "verlet", work, 1, mine, theirs, target);
    }
    for (int k = 0; k < 2; k++)
        ad_work_free(w[k]);
    ad_program_free(p), ad_program_free(replay);
    ad_free(t);
    ode_recorded_free(r);
    return status;
}
/* The same by ad_repeat: a step, and the adjoint of a step, as loops in emitted C; states stored for a stretch of steps. Drift,
 * kick, drift, whose step begins with nothing that the last one computed. */
typedef struct {
    ad_work *step, *back;
    long stretch;
    double *mark, *path, h;
} driven;
static int drive(driven *d, double dz[4])
{
    static const int64_t store[] = {0, 4}, reverse[] = {0, -4, 0};
    long count = (GRADIENT_STEPS + d->stretch - 1) / d->stretch;
    double y[2][4], spare[4];
    int bad = 0;
    memcpy(d->mark, hh_start, sizeof hh_start);
    for (long j = 0; j < count - 1; j++)
        bad |= ad_repeat(d->step, 1, d->stretch, NULL, NULL, (const void *[]){d->mark + 4 * j, &d->h},
                         (void *[]){d->mark + 4 * (j + 1), spare});
    for (long j = count - 1; j >= 0 && !bad; j--) {
        long n = j == count - 1 ? GRADIENT_STEPS - j * d->stretch : d->stretch;
        bad |= ad_repeat(d->step, 1, n, NULL, store, (const void *[]){d->mark + 4 * j, &d->h},
                         (void *[]){y[0], d->path});
        for (int i = 0; i < 4; i++)
            y[1][i] = j == count - 1 ? 2 * y[0][i] : dz[i];
        bad |= ad_repeat(d->back, 1, n, reverse, NULL, (const void *[]){y[1], d->path + 4 * (n - 1), &d->h},
                         (void *[]){dz});
    }
    return bad;
}
static int driven_gradient(const char *work, long stretch, double target)
{
    ode_recorded *r = henon_heiles(1);
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", 1, 4), h = ad_input(t, "h", 1, 1), l = ad_input(t, "adjoint", 1, 4), dy,
           z = ode_record_step(ode_method_find("verlet-dkd"), r, y, ad_num(0), h, NULL, 0);
    ad_vjp(1, &z, &l, 1, &y, &dy);
    ad_program *p[4] = {
        ad_compile(t, 2, (ad_var[]){y, h}, 2, (ad_var[]){z, y}, &(ad_options){.feed = (int[]){0, -1}}),
        ad_compile(t, 3, (ad_var[]){l, y, h}, 1, &dy, &(ad_options){.feed = (int[]){0}})};
    for (int k = 0; k < 2; k++)
        p[2 + k] = ad_native(p[k], NULL, NULL);
    driven d = {ad_work_new(p[2], NULL), ad_work_new(p[3], NULL), stretch, NULL, NULL, 0.01};
    d.path = malloc(sizeof(double) * 4 * (size_t)stretch);
    d.mark = malloc(sizeof(double) * 4 * (size_t)(GRADIENT_STEPS / stretch + 2));
    double mine[TURNS], theirs[TURNS], dz[4], want[4], worst = 0;
    int bad = drive(&d, dz);
    for (int turn = 0; turn < TURNS; turn++) {
        double a = bench_now();
        bad |= drive(&d, dz);
        mine[turn] = (bench_now() - a) / GRADIENT_STEPS, theirs[turn] = one_by_hand(&problems[0]);
    }
    ad_var end = ode_record(ode_method_find("verlet-dkd"), r, GRADIENT_STEPS, y, ad_num(0), h, NULL, 0, 0,
                            NULL),
           g = ad_grad(ad_sum(ad_square(end)), y);
    ad_set(y, 1, hh_start), ad_set(h, 1, &d.h);
    bad |= ad_eval(t, 1, &g, (double *[]){want});
    for (int i = 0; i < 4; i++)
        worst = fmax(worst, fabs(dz[i] - want[i]) / fabs(want[i]));
    if (bad || !(worst < 1e-8)) {
        fprintf(stderr, "gradient, %s: off by %g\n", work, worst);
        bad = 1;
    }
    report("henon-heiles", "verlet-dkd", work, 1, mine, theirs, target);
    free(d.path), free(d.mark);
    ad_work_free(d.step), ad_work_free(d.back);
    for (int k = 0; k < 4; k++)
        ad_program_free(p[k]);
    ad_free(t);
    ode_recorded_free(r);
    return bad;
}
static int gradient_by_hand(const char *work, int checkpointed)
{
    double dz[4], mine[TURNS], theirs[TURNS];
    for (int turn = 0; turn < TURNS; turn++) {
        double a = bench_now();
        hand_gradient(hh_start, GRADIENT_STEPS, 0.01, checkpointed, dz);
        mine[turn] = (bench_now() - a) / GRADIENT_STEPS, theirs[turn] = one_by_hand(&problems[0]);
        sink = dz[0];
    }
    return report("henon-heiles", "verlet", work, 1, mine, theirs, 0);
}

int main(int argc, char **argv)
{
    const hnn_system *s = hnn_system_find("outer-solar-system", NULL);
    int status = 0;
    gravity = s->parameter[0].value;
    for (int b = 0; b < HAND_BODIES; b++)
        mass[b] = s->parameter[1 + b].value;
    memcpy(solar_start, s->start, sizeof solar_start);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (argc < 2 || strstr(rows[k].work, argv[1]) || strstr(rows[k].method, argv[1]) ||
            strstr(problems[rows[k].problem].name, argv[1]))
            status |= run(&rows[k]);
    if (argc < 2 || strstr("gradient", argv[1])) {
        status |= gradient_by_hand("gradient through 100000 steps by hand, stored", 0);
        status |= gradient_by_hand("gradient through 100000 steps by hand, checkpointed", 1);
        status |= driven_gradient(
            "gradient through 100000 steps, step and adjoint repeated, stored, emitted C", GRADIENT_STEPS, 3);
        status |= driven_gradient(
            "gradient through 100000 steps, step and adjoint repeated, checkpointed, emitted C", 316, 5);
        status |=
            gradient("gradient through 100000 steps, loop on the tape, stored, emitted C", GRADIENT_STEPS, 3);
        status |= gradient("gradient through 100000 steps, loop on the tape, checkpointed, emitted C", 0, 5);
        status |= observed_gradient(
            "gradient of ten states on the way by start and step, loops on the tape, stored, emitted C",
            GRADIENT_STEPS, 0);
        status |= observed_gradient(
            "gradient of ten states on the way by start and step, loops on the tape, checkpointed, emitted C",
            0, 0);
    }
    return status;
}
