/* bench_ode.c - integrators against hand-written C in the same run: a JSON line for each figure, the answer checked.
 * Invariant: a ratio is of medians of times taken in turns, so that both see the same machine. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ode.h"

enum { TURNS = 21, LANES = 32 };

/* Verlet on Henon-Heiles written out, as one would by hand; one force a step. */
static void by_hand(double y[4], long steps, double h)
{
    double q = y[0], s = y[1], p = y[2], r = y[3];
    double f = q + 2 * q * s, g = s + q * q - s * s;
    for (long k = 0; k < steps; k++) {
        p -= h / 2 * f, r -= h / 2 * g;
        q += h * p, s += h * r;
        f = q + 2 * q * s, g = s + q * q - s * s;
        p -= h / 2 * f, r -= h / 2 * g;
    }
    y[0] = q, y[1] = s, y[2] = p, y[3] = r;
}
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
static ode_recorded *henon_heiles(int rows)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", rows, 2), p = ad_input(t, "p", rows, 2);
    ad_var H = ad_expr(t, "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + q[1]^2*q[2] - q[2]^3/3", q, p);
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p});
    ad_free(t);
    return r;
}

static volatile double sink; /* so that the hand-written loop is not left out */
static const double start[] = {0.3, -0.2, 0.25, 0.3};
typedef struct {
    const char *work, *method;
    int recorded, compiled, rows;
    long steps;
    double target; /* of the issue; 0: none */
} row;
static const row rows[] = {
    {"callback", "verlet", 0, 0, 1, 100000, 0},
    {"recorded, callback by replay", "verlet", 1, 0, 1, 5000, 0},
    {"recorded, steps by replay", "verlet", 1, 1, 1, 500000, 12},
    {"recorded, steps by replay, each of 32 states", "verlet", 1, 1, LANES, 50000, 2},
    {"recorded, steps as emitted C", "verlet", 1, 2, 1, 5000000, 1.3},
    {"recorded, steps as emitted C, each of 32 states", "verlet", 1, 2, LANES, 100000, 0},
    {"callback", "rk4", 0, 0, 1, 50000, 0},
    {"callback", "gauss4", 0, 0, 1, 5000, 0},
    {"callback", "gauss8", 0, 0, 1, 2000, 0},
    {"callback", "avf4", 0, 0, 1, 5000, 0},
};

int main(void)
{
    const ode_field field = {
        .size = 4, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, .dHdp = hand_p, .dHdq = hand_q};
    int status = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const row *w = &rows[k];
        ode_recorded *r = w->recorded ? henon_heiles(w->rows > 1 ? AD_BATCH : 1) : NULL;
        ode_solver *s =
            ode_new_batch(ode_method_find(w->method), r ? ode_recorded_field(r) : &field, w->rows);
        double mine[TURNS], theirs[TURNS], ys[4 * LANES], y[4], worst = 0;
        for (int b = 0; b < LANES; b++)
            memcpy(ys + 4 * b, start, sizeof start);
        for (int turn = 0; turn < TURNS; turn++) {
            ode_options o = {.compiled = w->compiled};
            ode_start(s, 0, ys);
            double a = bench_now(); /* recording and compiling included, once in so many steps */
            ode_run(s, w->steps, 0.01, &o);
            mine[turn] = (bench_now() - a) / (double)w->steps / w->rows;
            memcpy(y, start, sizeof y);
            a = bench_now();
            by_hand(y, 200000, 0.01);
            theirs[turn] = (bench_now() - a) / 200000;
            sink = y[0];
            memcpy(y, start, sizeof y);
            by_hand(y, w->steps, 0.01);
        }
        for (int b = 0; b < w->rows; b++)
            for (int i = 0; i < 4; i++)
                worst = fmax(worst, fabs(ode_y(s)[4 * b + i] - y[i]));
        if (ode_status(s) || (!strcmp(w->method, "verlet") && !(worst < 1e-9))) {
            fprintf(stderr, "%s, %s: %s, off by %g\n", w->method, w->work, ode_message(s), worst);
            status = 1;
        }
        qsort(mine, TURNS, sizeof *mine, bench_by_value),
            qsort(theirs, TURNS, sizeof *theirs, bench_by_value);
        printf(
            "{\"bench\":\"ode\",\"problem\":\"henon-heiles\",\"method\":\"%s\",\"work\":\"%s\",\"states\":%d,"
            "\"ns_per_step\":%.2f,\"verlet_in_c_ns\":%.2f,\"ratio\":%.2f",
            w->method, w->work, w->rows, mine[TURNS / 2] * 1e9, theirs[TURNS / 2] * 1e9,
            mine[TURNS / 2] / theirs[TURNS / 2]);
        if (w->target > 0)
            printf(",\"must_reach\":%g", w->target);
        printf("}\n");
        ode_free(s);
        ode_recorded_free(r);
    }
    return status;
}
