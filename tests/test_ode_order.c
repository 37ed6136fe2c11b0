/* test_ode_order.c - every row's order, measured in quadruple precision by halving the step.
 * Invariant: the integrators' own sources run here with `double` widened, so it is the program itself that is measured. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef __float128 wide;
static wide wide_pow(wide x, int k)
{
    wide p = 1;
    while (k-- > 0)
        p *= x;
    return p;
}
#undef isfinite
#undef INFINITY
#define INFINITY ((wide)__builtin_inf())
#define isfinite(x) ((x) - (x) == 0)
#define fabs(x) ((x) < 0 ? -(x) : (x))
#define fma(a, b, c) ((a) * (b) + (c))
#define pow(x, k) wide_pow(x, k)
#define fmax(a, b) ((a) > (b) ? (a) : (b))
#define double wide
#include "../integrators/combine.c"
#include "../integrators/extended.c"
#undef ONE
#undef ZERO
#undef HALF
#include "../integrators/families.c"
#undef ONE
#undef ZERO
#include "../integrators/implicit.c"
#include "../integrators/methods.c"
#include "../integrators/plan.c"
#include "../integrators/rows_implicit.c"
#include "../integrators/rows_rk.c"
#include "../integrators/rows_split.c"
#include "../integrators/solve.c"
#include "../integrators/space.c"

/* The fields here have no Jacobian. */
int ode_dual_matrix(ode_real *r, int row, int n, const int y[], const int g[], ode_map *map, const void *ctx,
                    double A[])
{
    (void)r, (void)row, (void)n, (void)y, (void)g, (void)map, (void)ctx, (void)A;
    return 0;
}

/* Henon-Heiles: V = (q1^2 + q2^2)/2 + q1^2 q2 - q2^3/3, T = |p|^2/2 or a T(p) of degree four with mixed terms. */
static int V_q(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[0] + 2 * y[0] * y[1];
    g[1] = y[1] + y[0] * y[0] - y[1] * y[1];
    return 0;
}
static int T_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    g[0] = y[2], g[1] = y[3];
    return 0;
}
static int general_T_p(void *u, double t, const double y[], double g[])
{
    (void)u, (void)t;
    double p = y[2], r = y[3]; /* T = (p^2 + r^2)/2 + p^4/4 + p^2 r/2 + p r^3/3 */
    g[0] = p + p * p * p + p * r + r * r * r / 3;
    g[1] = r + p * p / 2 + p * r * r;
    return 0;
}
/* Not separable: H = (1 + q1^2) p1^2/2 + p2^2/2 + q2 p1 p2/2 + V. */
static int mixed(void *u, double t, const double y[], double f[])
{
    double q = y[0], s = y[1], p = y[2], r = y[3], v[2];
    V_q(u, t, y, v);
    f[0] = (1 + q * q) * p + s * r / 2;
    f[1] = r + s * p / 2;
    f[2] = -(q * p * p) - v[0];
    f[3] = -(p * r / 2) - v[1];
    return 0;
}
static int mixed_H(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    double q = y[0], s = y[1], p = y[2], r = y[3];
    *H =
        (1 + q * q) * p * p / 2 + r * r / 2 + s * p * r / 2 + (q * q + s * s) / 2 + q * q * s - s * s * s / 3;
    return 0;
}
/* The same under a drive, -q1 / (1 + t) - q2 t^2 in H: stages must be evaluated at their own times. */
static int driven_V_q(void *u, double t, const double y[], double g[])
{
    V_q(u, t, y, g);
    g[0] -= 1 / (1 + t);
    g[1] -= t * t;
    return 0;
}
static int driven_mixed(void *u, double t, const double y[], double f[])
{
    mixed(u, t, y, f);
    f[2] += 1 / (1 + t);
    f[3] += t * t;
    return 0;
}
static int driven_mixed_H(void *u, double t, const double y[], double *H)
{
    mixed_H(u, t, y, H);
    *H -= y[0] / (1 + t) + y[1] * t * t;
    return 0;
}
static const ode_field quadratic = {
    .size = 4, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, .dHdp = T_p, .dHdq = V_q};
static const ode_field general = {
    .size = 4, .kind = ODE_CANONICAL | ODE_SEPARABLE, .dHdp = general_T_p, .dHdq = V_q};
static const ode_field any = {.size = 4, .kind = ODE_CANONICAL, .rhs = mixed, .energy = mixed_H};
static const ode_field driven = {
    .size = 4, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, .dHdp = T_p, .dHdq = driven_V_q};
static const ode_field driven_any = {
    .size = 4, .kind = ODE_CANONICAL, .rhs = driven_mixed, .energy = driven_mixed_H};
/* A row's drivers and rows are this file's, not the library's: the linker takes the first it sees. */

static wide run(const ode_method *m, const ode_field *f, int steps, wide y[4])
{
    const char *why;
    ode_plan *p = ode_plan_new(m, &why);
    ode_real r;
    static const wide start[] = {0.3125, -0.25, 0.375, 0.28125};
    cr_assert(p, "%s: %s", m->name, why);
    cr_assert_eq(ode_real_new(&r, p, f, 1), 0);
    r.base.omega = 4;
    for (int i = 0; i < 4; i++)
        r.x[i] = start[i];
    for (int k = 0; k < steps; k++)
        ode_real_step(&r, p, (wide)1 / steps);
    for (int i = 0; i < 4; i++)
        y[i] = r.x[i];
    cr_expect_eq(r.counts.unconverged, 0, "%s: %d solves not converged", m->name, (int)r.counts.unconverged);
    ode_real_free(&r);
    ode_plan_free(p);
    return 0;
}
static wide distance(const wide a[4], const wide b[4])
{
    wide d = 0;
    for (int i = 0; i < 4; i++)
        d = fabs(a[i] - b[i]) > d ? fabs(a[i] - b[i]) : d;
    return d;
}
/* The finest pair of halvings whose difference is above what the table's digits allow. */
static void measure(const ode_method *m, const ode_field *f, int order, const char *problem)
{
    wide y[3][4], got = -1;
    /* many splitting tables have 15 digits; Runge-Kutta and Gauss tables have 30 and more */
    wide floor_ = m->driver == &ode_collocation_driver        ? 1e-29
                  : order >= 7 || m->driver == &ode_rk_driver ? 1e-23
                                                              : 1e-12;
    int n = order >= 8 ? 4 : 16;
    run(m, f, n, y[0]), run(m, f, 2 * n, y[1]);
    for (int k = 0; k < 6; k++, n *= 2) {
        run(m, f, 4 * n, y[2]);
        wide e1 = distance(y[0], y[1]), e2 = distance(y[1], y[2]);
        if (e2 < floor_ && got >= 0)
            break;
        got = (wide)log2((__typeof__(1.0))(e1 / e2));
        memcpy(y[0], y[1], sizeof y[0]), memcpy(y[1], y[2], sizeof y[0]);
        if (got > order - 0.05 && got < order + 0.05)
            break; /* settled */
    }
    cr_expect(fabs(got - order) <= 0.1, "%s on %s: order %d declared, %.3f measured", m->name, problem, order,
              (__typeof__(1.0))got);
}

Test(ode_order, every_row_has_its_declared_orders)
{
    cr_assert_geq(ode_method_count(), 45);
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        if (!(m->needs & ODE_ENERGY)) {
            measure(m, &quadratic, ode_method_order(m, &quadratic), "quadratic T");
            measure(m, &general, ode_method_order(m, &general), "general T");
        }
        if (!ode_method_refuses(m, &any))
            measure(m, &any, m->order, "non-separable H");
    }
}

Test(ode_order, every_row_has_its_order_under_a_drive, .timeout = 120)
{
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        if (!(m->needs & ODE_ENERGY))
            measure(m, &driven, ode_method_order(m, &driven), "driven, quadratic T");
        if (!ode_method_refuses(m, &driven_any))
            measure(m, &driven_any, m->order, "driven, non-separable H");
    }
}
