/* ode_gradient.h - what the tests of derivatives through steps share: fields, a function of a trajectory with its derivatives, and the
 * comparison. Invariant: the reference never uses a derivative rule: it is differences of order ten of the value alone, in long
 * double, so that neither truncation nor round-off reaches the 1e-10 asked for. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_GRADIENT_H
#define ODE_GRADIENT_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "ode.h"
#include "ode_field.h"

enum { SIZE = 4, OMEGA = 4, MOST = 400 };
static const char separable[] =
    "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + c*(q[1]^2*q[2] - q[2]^3/3) + 0.1*q[1]*sin(t)";
static const char any[] =
    "(1 + q[1]^2)*p[1]^2/2 + p[2]^2/2 + c*q[2]*p[1]*p[2]/2 + (q[1]^2 + q[2]^2)/2 + 0.1*q[2]*cos(t)";
static const double start[] = {0.3, -0.2, 0.25, 0.3};

static int shortened(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

/* The inputs y, t, h, c as one vector x [1, n]; h has one length or one for each step. */
typedef struct {
    const char *name;
    int n, steps, hs; /* elements of x; steps; lengths */
    ad_program *plain, *derived;
    ad_work *wide, *work;
    double x[SIZE + 2 + MOST], v[SIZE + 2 + MOST], reach,
        least; /* reach: what differences may move x by; least: a derivative below
                                                     it is the small difference of large ones */
} map;

/* loss = sum over steps and components of weight y^2, and what is derived from it by x: the gradient, v'Hv. */
static map map_of(const ode_method *m, ode_recorded *r, int steps, int hs, const double h[], double t0,
                  double c)
{
    map a = {.name = m->name, .n = SIZE + 2 + hs, .steps = steps, .hs = hs, .reach = 1e-2};
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, a.n), v = ad_input(t, "v", 1, a.n), y = ad_cols_of(x, 0, SIZE),
           at = ad_cols_of(x, SIZE, 1), par = ad_cols_of(x, SIZE + 1, 1), len = ad_cols_of(x, SIZE + 2, hs),
           path,
           end = hs == 1 ? ode_record(m, r, steps, y, at, len, &par, OMEGA, 0, &path)
                         : ode_record_steps(m, r, y, at, len, &par, OMEGA, 0, &path);
    cr_assert_eq(ode_recorded_status(r), ODE_OK, "%s: %s", m->name, ode_recorded_message(r));
    double *w = malloc(sizeof *w * (size_t)(steps * SIZE));
    for (int k = 0; k < steps * SIZE; k++)
        w[k] = (1 + 0.5 * sin(3 * k)) / steps;
    ad_var loss = ad_dot(path, ad_mul(ad_const(t, 1, steps * SIZE, w), path)), g = ad_grad(loss, x),
           gv = ad_dot(g, v), vHv;
    free(w);
    ad_jvp(1, &gv, 1, &x, &v, &vHv);
    cr_assert_eq(ad_status(t), AD_OK, "%s: %s", m->name, ad_message(t));
    a.plain = ad_compile(t, 1, &x, 2, (ad_var[]){loss, end}, &(ad_options){.real = AD_F80});
    cr_assert(a.plain, "%s: %s", m->name, ad_message(t));
    a.derived = ad_compile(t, 2, (ad_var[]){x, v}, 4, (ad_var[]){loss, end, g, vHv}, NULL);
    cr_assert(a.derived, "%s: %s", m->name, ad_message(t));
    a.wide = ad_work_new(a.plain, NULL), a.work = ad_work_new(a.derived, NULL);
    ad_free(t);
    memcpy(a.x, start, sizeof start);
    a.x[SIZE] = t0, a.x[SIZE + 1] = c;
    memcpy(a.x + SIZE + 2, h, sizeof *h * (size_t)hs);
    for (int i = 0; i < a.n; i++) /* a direction in everything; a step moves less than the rest */
        a.v[i] = cos(1 + 2 * i) * (i < SIZE + 2 ? 1 : 0.1);
    return a;
}
static void map_free(map *a)
{
    ad_work_free(a->wide), ad_work_free(a->work);
    ad_program_free(a->plain), ad_program_free(a->derived);
}
/* The loss (value[0]) and y_N at x + e d, in long double. */
static void value_at(map *a, const double d[], long double e, long double value[1 + SIZE])
{
    long double x[SIZE + 2 + MOST];
    for (int i = 0; i < a->n; i++)
        x[i] = a->x[i] + e * d[i];
    int status = ad_run(a->wide, 1, (const void *[]){x}, (void *[]){value, value + 1});
    cr_assert_eq(status, AD_OK, "%s: %s", a->name, ad_work_message(a->wide));
}
/* First and second derivative along d: central differences of order ten. Fornberg (1988), Math. Comp. 51, 699-706. */
static void along(map *a, const double d[], long double e, long double first[1 + SIZE],
                  long double second[1 + SIZE])
{
    static const long double w1[] = {0, 5 / 6.0L, -5 / 21.0L, 5 / 84.0L, -5 / 504.0L, 1 / 1260.0L},
                             w2[] = {-5269 / 1800.0L, 5 / 3.0L,     -5 / 21.0L,
                                     5 / 126.0L,      -5 / 1008.0L, 1 / 3150.0L};
    memset(first, 0, sizeof *first * (1 + SIZE)), memset(second, 0, sizeof *second * (1 + SIZE));
    for (int k = -5; k <= 5; k++) {
        long double f[1 + SIZE];
        value_at(a, d, k * e, f);
        for (int j = 0; j <= SIZE; j++) {
            first[j] += (k < 0 ? -1 : 1) * w1[abs(k)] * f[j] / e;
            second[j] += w2[abs(k)] * f[j] / (e * e);
        }
    }
}
/* Gradient and v'Hv against differences; elements of x from `from` on every `every`. Returns the worst relative error. */
static double compare(map *a, int every, double *growth)
{
    static double g[SIZE + 2 + MOST];
    double loss, end[SIZE], vHv, worst = 0;
    long double wide[1 + SIZE], first[1 + SIZE], second[1 + SIZE];
    int status = ad_run(a->work, 1, (const void *[]){a->x, a->v}, (void *[]){&loss, end, g, &vHv});
    cr_assert_eq(status, AD_OK, "%s: %s", a->name, ad_work_message(a->work));
    value_at(a, a->v, 0, wide);
    cr_expect_float_eq(loss, (double)wide[0], 1e-13 * (1 + fabs(loss)), "%s: loss %.17g", a->name, loss);
    for (int i = 0; i < a->n; i += i < SIZE + 2 ? 1 : every) {
        double unit[SIZE + 2 + MOST] = {0};
        unit[i] = 1;
        along(a, unit, a->reach * (i < SIZE + 2 ? 1 : 0.1L), first, second);
        double error = fabs(g[i] - (double)first[0]) / fmax(fabs((double)first[0]), a->least);
        cr_expect_leq(error, 1e-10, "%s: d loss / d x[%d] is %.15g, not %.15g", a->name, i, g[i],
                      (double)first[0]);
        worst = fmax(worst, error);
        for (int j = 1; j <= SIZE && i < SIZE; j++)
            *growth = fmax(*growth, fabs((double)first[j]));
    }
    along(a, a->v, a->reach / 2, first, second);
    double error = fabs(vHv - (double)second[0]) / fabs((double)second[0]);
    cr_expect_leq(error, 1e-10, "%s: v'Hv is %.15g, not %.15g", a->name, vHv, (double)second[0]);
    return fmax(worst, error);
}

#endif
