/* test_optim.c - minimisers on functions whose minima are known, least squares against certified results, and random-feature
 * least squares against the Hamiltonians its data came from. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "optim/lbfgs.h"
#include "optim/lm.h"
#include "optim/rfls.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

static int brief(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

/* ---- L-BFGS ---- */

enum { N = 20 };

static int rosenbrock(void *data, const double x[], double *f, double g[])
{
    (void)data;
    *f = 0;
    for (int i = 0; i < N; i += 2) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        *f += 100 * a * a + b * b;
        g[i] = -400 * a * x[i] - 2 * b;
        g[i + 1] = 200 * a;
    }
    return 0;
}

static int valley(void *data, const double x[], double *f, double g[]) /* condition 1e4 */
{
    (void)data;
    *f = 0;
    for (int i = 0; i < N; i++) {
        double k = pow(10, 4.0 * i / (N - 1)), y = x[i] - i;
        *f += k * y * y / 2;
        g[i] = k * y;
    }
    return 0;
}

static int barrier(void *data, const double x[], double *f,
                   double g[]) /* log is NaN outside; minimum at 1/(i+1) */
{
    (void)data;
    *f = 0;
    for (int i = 0; i < N; i++) {
        *f += (i + 1) * x[i] - log(x[i]);
        g[i] = i + 1 - 1 / x[i];
    }
    return 0;
}

static int singular(void *data, const double x[], double *f,
                    double g[]) /* Powell: the Hessian at 0 has rank 2 */
{
    (void)data;
    *f = 0;
    for (int i = 0; i < N; i += 4) {
        double a = x[i] + 10 * x[i + 1], b = x[i + 2] - x[i + 3], c = x[i + 1] - 2 * x[i + 2],
               d = x[i] - x[i + 3];
        *f += a * a + 5 * b * b + c * c * c * c + 10 * d * d * d * d;
        g[i] = 2 * a + 40 * d * d * d;
        g[i + 1] = 20 * a + 4 * c * c * c;
        g[i + 2] = 10 * b - 8 * c * c * c;
        g[i + 3] = -10 * b - 40 * d * d * d;
    }
    return 0;
}

static void start_of(hnn_function f, double x[N])
{
    for (int i = 0; i < N; i++)
        x[i] = f == singular     ? (const double[]){3, -1, 0, 1}[i % 4]
               : f == rosenbrock ? (i % 2 ? 1 : -1.2)
                                 : 5;
}

static double end_of(hnn_function f, int i)
{
    return f == rosenbrock ? 1 : f == valley ? i : f == barrier ? 1.0 / (i + 1) : 0;
}

Test(optim, lbfgs_finds_known_minima)
{
    static const struct {
        hnn_function f;
        double gradient, x;
        long calls;
    } cases[] = {{rosenbrock, 1e-9, 1e-8, 80},
                 {valley, 1e-6, 1e-6, 2000},
                 {barrier, 1e-9, 1e-9, 500},
                 {singular, 1e-9, 1e-2, 400}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double x[N];
        int why;
        hnn_error e = {0};
        start_of(cases[c].f, x);
        hnn_lbfgs *s = hnn_lbfgs_new(N, 0, x, &e);
        cr_assert(isnan(hnn_lbfgs_f(s)));
        cr_assert_eq(hnn_lbfgs_run(s, cases[c].f, NULL, 10000, cases[c].gradient, &why, &e), HNN_OK, "%s",
                     e.message);
        cr_assert_eq(why, HNN_DONE_GRADIENT, "case %zu: %d, |g| = %g", c, why, hnn_lbfgs_gradient(s));
        cr_assert_leq(hnn_lbfgs_gradient(s), cases[c].gradient);
        cr_assert_leq(hnn_lbfgs_calls(s), cases[c].calls, "case %zu: %ld calls", c, hnn_lbfgs_calls(s));
        for (int i = 0; i < N; i++)
            cr_assert_float_eq(hnn_lbfgs_x(s)[i], end_of(cases[c].f, i), cases[c].x,
                               "case %zu: x[%d] = %.17g", c, i, hnn_lbfgs_x(s)[i]);
        hnn_lbfgs_free(s);
    }
}

Test(optim, lbfgs_steps_satisfy_the_strong_wolfe_conditions)
{
    hnn_function f[] = {rosenbrock, valley, barrier, singular};
    for (size_t c = 0; c < sizeof f / sizeof *f; c++) {
        double x[N], g[N], x1[N], g1[N], f0, f1;
        int why = HNN_GO_ON;
        start_of(f[c], x);
        hnn_lbfgs *s = hnn_lbfgs_new(N, 4, x, NULL);
        for (int step = 0; step < 30; step++) {
            f[c](NULL, x, &f0, g);
            cr_assert_eq(hnn_lbfgs_step(s, f[c], NULL, &why, NULL), HNN_OK);
            if (why != HNN_GO_ON)
                break;
            memcpy(x1, hnn_lbfgs_x(s), sizeof x1);
            f[c](NULL, x1, &f1, g1);
            cr_assert_eq(f1, hnn_lbfgs_f(s));
            double before = 0, after = 0;
            for (int i = 0; i < N; i++) {
                before += g[i] * (x1[i] - x[i]);
                after += g1[i] * (x1[i] - x[i]);
            }
            /* the last digits of x1 - x and of f are not exact */
            cr_assert(before < 0 && f1 <= f0 + 1e-4 * before + 1e-14 * fabs(f0), "case %zu step %d", c, step);
            cr_assert_leq(fabs(after), 0.9 * fabs(before) * (1 + 1e-6) + 1e-14, "case %zu step %d", c, step);
            memcpy(x, x1, sizeof x);
        }
        hnn_lbfgs_free(s);
    }
}

Test(optim, lbfgs_saved_between_steps_goes_on_to_the_same_bits)
{
    double x[N];
    int why;
    start_of(rosenbrock, x);
    hnn_lbfgs *whole = hnn_lbfgs_new(N, 3, x, NULL);
    for (int stop = 0; stop < 20; stop++) {
        long count, count2;
        double *block = hnn_lbfgs_state(whole, &count);
        hnn_lbfgs *part = hnn_lbfgs_new(N, 3, x, NULL);
        memcpy(hnn_lbfgs_state(part, &count2), block, sizeof *block * (size_t)count);
        cr_assert_eq(count, count2);
        cr_assert_eq(hnn_lbfgs_step(whole, rosenbrock, NULL, &why, NULL), HNN_OK);
        cr_assert_eq(hnn_lbfgs_step(part, rosenbrock, NULL, &why, NULL), HNN_OK);
        cr_assert_eq(memcmp(hnn_lbfgs_state(part, &count2), block, sizeof *block * (size_t)count), 0,
                     "step %d", stop);
        hnn_lbfgs_free(part);
    }
    hnn_lbfgs_free(whole);
}

static int failing(void *data, const double x[], double *f, double g[])
{
    int *left = data;
    return (*left)-- > 0 ? rosenbrock(NULL, x, f, g) : 42;
}
static int nowhere(void *data, const double x[], double *f, double g[])
{
    (void)data, (void)x;
    *f = NAN;
    g[0] = 1;
    return 0;
}
static int liar(void *data, const double x[], double *f, double g[]) /* the gradient has the wrong sign */
{
    (void)data;
    *f = x[0] * x[0];
    g[0] = -2 * x[0];
    return 0;
}

Test(optim, lbfgs_says_what_is_wrong)
{
    hnn_error e = {0};
    double x[N] = {1};
    int why, left = 0;
    cr_assert_null(hnn_lbfgs_new(0, 1, x, &e));
    cr_assert(e.code == HNN_EARG && strstr(e.message, "0 variables"));
    hnn_lbfgs *s = hnn_lbfgs_new(N, 2, x, &e);
    cr_assert_eq(hnn_lbfgs_run(s, failing, &left, 5, 0, &why, &e), 42);
    cr_assert(strstr(e.message, "failed at the start"));
    left = 3;
    cr_assert_eq(hnn_lbfgs_run(s, failing, &left, 50, 0, &why, &e), 42);
    cr_assert(strstr(e.message, "failed in iteration"));
    hnn_lbfgs_free(s);
    s = hnn_lbfgs_new(1, 2, x, &e);
    cr_assert_eq(hnn_lbfgs_step(s, nowhere, NULL, &why, &e), HNN_EARG);
    cr_assert(strstr(e.message, "not finite at the start"));
    hnn_lbfgs_free(s);
    s = hnn_lbfgs_new(1, 2, x, &e);
    cr_assert_eq(hnn_lbfgs_run(s, liar, NULL, 5, 1e-9, &why, &e), HNN_OK);
    cr_assert_eq(why, HNN_DONE_STUCK);
    hnn_lbfgs_free(s);
    start_of(rosenbrock, x);
    s = hnn_lbfgs_new(N, 2, x, &e);
    cr_assert_eq(hnn_lbfgs_run(s, rosenbrock, NULL, 3, 0, &why, &e), HNN_OK);
    cr_assert_eq(why, HNN_DONE_ITERATIONS);
    cr_assert_eq(hnn_lbfgs_run(s, rosenbrock, NULL, 10000, 0, &why, &e),
                 HNN_OK); /* to round-off, then it stops */
    cr_assert(why == HNN_DONE_STUCK || why == HNN_DONE_GRADIENT);
    cr_assert_leq(hnn_lbfgs_gradient(s), 1e-11);
    hnn_lbfgs_free(s);
    hnn_lbfgs_free(NULL);
}

/* ---- Levenberg-Marquardt ---- */

/* y, x of Misra1a. Source: NIST Statistical Reference Datasets, Nonlinear regression */
static const double misra[][2] = {{10.07, 77.6},  {14.73, 114.9}, {17.94, 141.1}, {23.93, 190.8},
                                  {29.61, 239.9}, {35.18, 289.0}, {40.02, 332.8}, {44.82, 378.4},
                                  {50.76, 434.8}, {55.05, 477.3}, {61.01, 536.8}, {66.40, 593.1},
                                  {75.47, 689.1}, {81.78, 760.0}};

static int misra1a(void *unit, const double b[], double r[], double J[])
{
    double u = unit ? *(double *)unit : 1, b2 = b[1] * u;
    for (int i = 0; i < 14; i++) {
        double x = misra[i][1];
        r[i] = b[0] * -expm1(-b2 * x) - misra[i][0];
        if (J) {
            J[2 * i] = -expm1(-b2 * x);
            J[2 * i + 1] = b[0] * x * exp(-b2 * x) * u;
        }
    }
    return 0;
}

Test(optim, levenberg_marquardt_has_the_certified_estimates_and_standard_errors)
{
    const double starts[2][2] = {{500, 1e-4}, {250, 5e-4}}, units[3] = {1, 1e-12, 1e15};
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < 3; k++) {
            double unit = units[k], b[2] = {starts[s][0], starts[s][1] / unit};
            hnn_lm_result r;
            hnn_error e = {0};
            cr_assert_eq(hnn_lm(14, 2, b, misra1a, &unit, NULL, &r, &e), HNN_OK, "%s", e.message);
            cr_assert_float_eq(b[0], 2.3894212918e2,
                               1e-7); /* 11 digits are certified; the fit ends within its own limits */
            cr_assert_float_eq(b[1] * unit, 5.5015643181e-4, 1e-12);
            cr_assert_float_eq(r.error[0], 2.7070075241, 1e-6);
            cr_assert_float_eq(r.error[1] * unit, 7.2668688436e-6, 1e-12);
            cr_assert_float_eq(r.rss, 1.2455138894e-1, 1e-10);
            cr_assert_float_eq(r.sigma, 1.0187876330e-1, 1e-10);
            cr_assert(r.rank == 2 && r.iterations < 40 && r.why && r.why != HNN_LM_ITERATIONS);
            /* (J'J)^-1 sigma^2 by hand */
            double J[28], f[14];
            long double a = 0, c = 0, d = 0;
            misra1a(&unit, b, f, J);
            for (int i = 0; i < 14; i++) {
                a += (long double)J[2 * i] * J[2 * i];
                c += (long double)J[2 * i] * J[2 * i + 1];
                d += (long double)J[2 * i + 1] * J[2 * i + 1];
            }
            double off = (double)(-c / (a * d - c * c)) * r.sigma * r.sigma;
            cr_assert_float_eq(r.cov[1], off, 1e-9 * fabs(off));
            cr_assert_eq(r.cov[1], r.cov[2]);
            hnn_lm_free(&r);
        }
}

/* p^2/(2m) + k q^2 + a b q^3 seen through its derivatives k q and p/m only: a and b appear as a product, c not at all */
static int unidentified(void *data, const double x[], double r[], double J[])
{
    (void)data;
    for (int i = 0; i < 12; i++) {
        double q = 0.3 * i - 1.5, noise = 0.01 * (i % 3 - 1);
        r[i] = x[0] * q + x[1] * x[2] * q * q * q - (2 * q + 6 * q * q * q + noise);
        if (J) {
            J[4 * i] = q;
            J[4 * i + 1] = x[2] * q * q * q;
            J[4 * i + 2] = x[1] * q * q * q;
            J[4 * i + 3] = 0;
        }
    }
    return 0;
}

Test(optim, directions_the_data_cannot_identify_are_found)
{
    double x[4] = {1, 1, 40, 7};
    hnn_lm_result r;
    cr_assert_eq(hnn_lm(12, 4, x, unidentified, NULL, NULL, &r, NULL), HNN_OK);
    cr_assert(r.rank == 2, "rank %d", r.rank);
    cr_assert(fabs(x[0] - 2) < 0.05 && fabs(x[1] * x[2] - 6) < 0.05 && x[3] == 7);
    cr_assert(isfinite(r.error[0]) && isinf(r.error[1]) && isinf(r.error[2]) && isinf(r.error[3]));
    double J[48], f[12];
    unidentified(NULL, x, f, J);
    for (int k = 0; k < 2; k++) {
        double size = 0;
        for (int j = 0; j < 4; j++)
            size += r.null[4 * k + j] * r.null[4 * k + j];
        cr_assert_float_eq(size, 1, 1e-12);
        for (int i = 0; i < 12; i++) {
            double s = 0, big = 0;
            for (int j = 0; j < 4; j++) {
                s += J[4 * i + j] * r.null[4 * k + j];
                big = fmax(big, fabs(J[4 * i + j]));
            }
            cr_assert_leq(fabs(s), 1e-9 * big);
        }
    }
    /* in the plane of (a, b) the direction keeps the product: da/a = -db/b */
    for (int k = 0; k < 2; k++)
        cr_assert_float_eq(r.null[4 * k + 1] * x[2], -r.null[4 * k + 2] * x[1], 1e-7 * fabs(x[2]));
    hnn_lm_free(&r);
}

static int helix(void *data, const double x[], double r[],
                 double J[]) /* Fletcher, Powell (1963); minimum 0 at (1, 0, 0) */
{
    (void)data;
    const double tau = 6.28318530717958648;
    double radius = hypot(x[0], x[1]), square = radius * radius;
    r[0] = 10 * (x[2] - 10 * atan2(x[1], x[0]) / tau);
    r[1] = 10 * (radius - 1);
    r[2] = x[2];
    const double d[9] = {100 / tau * x[1] / square,
                         -100 / tau * x[0] / square,
                         10,
                         10 * x[0] / radius,
                         10 * x[1] / radius,
                         0,
                         0,
                         0,
                         1};
    if (J)
        memcpy(J, d, sizeof d);
    return 0;
}

static int under(void *data, const double x[], double r[], double J[]) /* fewer residuals than parameters */
{
    (void)data;
    r[0] = exp(x[0]) * (1 + x[1] * x[1]) - 2 + sqrt(x[2]);
    if (J) {
        J[0] = exp(x[0]) * (1 + x[1] * x[1]);
        J[1] = exp(x[0]) * 2 * x[1];
        J[2] = 0.5 / sqrt(x[2]);
    }
    return 0;
}

static int failing_residuals(void *data, const double x[], double r[], double J[])
{
    int *left = data;
    return (*left)-- > 0 ? helix(NULL, x, r, J) : 17;
}

static int broken(void *data, const double x[], double r[], double J[])
{
    int what = *(int *)data;
    r[0] = what == 0 ? NAN : x[0] - 3;
    if (J)
        J[0] = what == 1 ? INFINITY : what == 2 && x[0] != 1 ? NAN : 1;
    return 0;
}

Test(optim, levenberg_marquardt_of_zero_residuals_and_its_errors)
{
    hnn_error e = {0};
    hnn_lm_result r;
    double x[3] = {-1, 0, 0}, y[3] = {0, 0.5, 9};
    cr_assert_eq(hnn_lm(3, 3, x, helix, NULL, NULL, &r, &e), HNN_OK);
    cr_assert(fabs(x[0] - 1) < 1e-12 && fabs(x[1]) < 1e-12 && fabs(x[2]) < 1e-12 && r.rank == 3);
    cr_assert(isnan(r.sigma) &&
              r.calls < 100); /* three residuals, three parameters: nothing left to estimate noise from */
    hnn_lm_free(&r);
    cr_assert_eq(hnn_lm(1, 3, y, under, NULL, NULL, &r, &e), HNN_OK);
    cr_assert(r.rank == 1 && r.rss < 1e-20, "%g", r.rss);
    hnn_lm_free(&r);
    cr_assert_eq(hnn_lm(0, 1, x, helix, NULL, NULL, &r, &e), HNN_EARG);
    for (int left = 0; left < 6; left++) {
        double z[3] = {-1, 0, 0};
        int count = left;
        cr_assert_eq(hnn_lm(3, 3, z, failing_residuals, &count, NULL, &r, &e), 17);
        cr_assert(strstr(e.message, left ? "failed in iteration" : "failed at the start"));
    }
    for (int what = 0; what < 3; what++) {
        double z[1] = {1};
        cr_assert_eq(hnn_lm(1, 1, z, broken, &what, NULL, &r, &e), HNN_EARG);
        cr_assert(strstr(e.message, what < 2 ? "not finite at the start" : "not finite in iteration 1"));
    }
    hnn_lm_options once = {.iterations = 1};
    double z[3] = {-1, 0, 0};
    cr_assert_eq(hnn_lm(3, 3, z, helix, NULL, &once, &r, &e), HNN_OK);
    cr_assert(r.why == HNN_LM_ITERATIONS && r.iterations == 1);
    hnn_lm_free(&r);
}

/* ---- random-feature least squares ---- */

static double pendulum(const double *z, double *g)
{
    g[0] = sin(z[0]);
    g[1] = z[1];
    return z[1] * z[1] / 2 + 1 - cos(z[0]);
}

static double henon_heiles(const double *z, double *g)
{
    double x = z[0], y = z[1];
    g[0] = x + 2 * x * y;
    g[1] = y + x * x - y * y;
    g[2] = z[2];
    g[3] = z[3];
    return (z[2] * z[2] + z[3] * z[3] + x * x + y * y) / 2 + x * x * y - y * y * y / 3;
}

typedef double (*hamiltonian)(const double *, double *);

static double *states(hamiltonian H, int dim, const double *box,
                      long rows) /* z [rows, dim], dz [rows, dim] */
{
    double *z = malloc(sizeof *z * (size_t)(2 * rows * dim)), *dz = z + rows * dim, g[4];
    hnn_rng r = hnn_rng_stream(1, HNN_RNG_DATA, 0);
    for (long i = 0; i < rows; i++) {
        for (int a = 0; a < dim; a++)
            z[i * dim + a] = hnn_rng_between(&r, -box[a], box[a]);
        H(z + i * dim, g);
        for (int a = 0; a < dim / 2; a++) {
            dz[i * dim + a] = g[a + dim / 2];
            dz[i * dim + a + dim / 2] = -g[a];
        }
    }
    return z;
}

/* relative L2 error over the box after subtracting the difference of box means */
static double box_error(const hnn_rfls *m, hamiltonian H, const double *box, int points)
{
    double *e = malloc(sizeof *e * (size_t)points), z[4], g[4], mean = 0, above = 0, below = 0;
    hnn_rng r = hnn_rng_stream(1, HNN_RNG_START, 0);
    for (int i = 0; i < points; i++) {
        for (int a = 0; a < m->dim; a++)
            z[a] = hnn_rng_between(&r, -box[a], box[a]);
        double h = H(z, g);
        e[i] = hnn_rfls_value(m, z, NULL, NULL) - h;
        mean += e[i] / points;
        below += h * h;
    }
    for (int i = 0; i < points; i++)
        above += (e[i] - mean) * (e[i] - mean);
    free(e);
    return sqrt(above / below);
}

Test(optim, random_features_learn_the_pendulum_and_henon_heiles_to_many_digits)
{
    static const struct {
        hamiltonian H;
        int dim;
        double box[4];
        long rows;
        hnn_rfls_options o;
        double error;
    } cases[] = {
        /* the small ones: ten times what was measured; the large ones: the figures that must be reached */
        {pendulum, 2, {1, 1}, 60, {40, HNN_ACT_SIN, HNN_SAMPLE_NORMAL, 0.5, 0, 0, 1, 1}, 1.3e-5},
        {pendulum, 2, {1, 1}, 60, {40, HNN_ACT_TANH, HNN_SAMPLE_STEEP, 0.5, 0, 0, 1, 1}, 2.6e-3},
        {pendulum, 2, {2 * PI, 1}, 1500, {1000, HNN_ACT_TANH, HNN_SAMPLE_NORMAL, 1, 3, 0, 2, 1}, 1e-9},
        {pendulum, 2, {2 * PI, 1}, 600, {400, HNN_ACT_SIN, HNN_SAMPLE_NORMAL, 2, 0, 0, 2, 1}, 1e-9},
        {pendulum, 2, {2 * PI, 1}, 600, {400, HNN_ACT_TANH, HNN_SAMPLE_PAIRS, 0, 0, 0, 2, 1}, 2e-6},
        {pendulum, 2, {2 * PI, 1}, 600, {400, HNN_ACT_TANH, HNN_SAMPLE_STEEP, 0, 0, 0, 2, 1}, 6e-7},
        {henon_heiles, 4, {5, 5, 5, 5}, 800, {900, HNN_ACT_TANH, HNN_SAMPLE_NORMAL, 0.06, 1, 0, 2, 1}, 1e-7},
    };
    for (size_t c = 0; c < (brief() ? 2 : sizeof cases / sizeof *cases); c++) {
        int dim = cases[c].dim;
        double *z = states(cases[c].H, dim, cases[c].box, cases[c].rows), origin[4] = {0};
        hnn_rfls m;
        hnn_error e = {0};
        cr_assert_eq(hnn_rfls_fit(&cases[c].o, dim, cases[c].rows, z, z + cases[c].rows * dim, NULL, &m, &e),
                     HNN_OK, "%s", e.message);
        double error = box_error(&m, cases[c].H, cases[c].box, brief() ? 200 : 2000);
        cr_assert_leq(error, cases[c].error, "case %zu: %g", c, error);
        cr_assert_eq(hnn_rfls_value(&m, origin, NULL, NULL), 0); /* the gauge */
        hnn_rfls_free(&m);
        free(z);
    }
}

Test(optim, random_features_derivatives_are_those_of_the_value)
{
    const double box[2] = {2, 2}, at[2] = {0.3, -0.7};
    double *z = states(pendulum, 2, box, 40);
    for (int act = 0; act < HNN_ACTS; act++) {
        hnn_rfls_options o = {20, act, HNN_SAMPLE_PAIRS, 0, 0, 0, 1, 3};
        hnn_rfls m;
        cr_assert_eq(hnn_rfls_fit(&o, 2, 40, z, z + 80, at, &m, NULL), HNN_OK);
        double g[2], h[4], gp[2], gm[2], step = 1e-5, size = 1;
        cr_assert_eq(hnn_rfls_value(&m, at, g, h), 0);
        for (int k = 0; k < 20; k++)
            size = fmax(size, fabs(m.c[k]));
        for (int a = 0; a < 2; a++) {
            double p[2] = {at[0], at[1]}, q[2] = {at[0], at[1]};
            p[a] += step;
            q[a] -= step;
            double slope =
                (hnn_rfls_value(&m, p, gp, NULL) - hnn_rfls_value(&m, q, gm, NULL)) / (p[a] - q[a]);
            cr_assert_float_eq(slope, g[a], 1e-8 * size); /* central difference: step^2 + eps/step */
            for (int b = 0; b < 2; b++)
                cr_assert_float_eq((gp[b] - gm[b]) / (p[a] - q[a]), h[2 * b + a], 1e-8 * size);
        }
        hnn_rfls_free(&m);
    }
    free(z);
}

Test(optim, random_features_have_the_same_bits_for_every_thread_count)
{
    const double box[2] = {2, 2};
    int features = brief() ? 30 : 120;
    double *z = states(pendulum, 2, box, 300), first[120];
    for (int threads = 1; threads <= 3; threads++) {
        hnn_rfls_options o = {features, HNN_ACT_TANH, HNN_SAMPLE_STEEP, 0, 0, 0, threads, 5};
        hnn_rfls m;
        cr_assert_eq(hnn_rfls_fit(&o, 2, 300, z, z + 600, NULL, &m, NULL), HNN_OK);
        if (threads == 1)
            memcpy(first, m.c, sizeof *first * (size_t)features);
        cr_assert_eq(memcmp(first, m.c, sizeof *first * (size_t)features), 0);
        hnn_rfls_free(&m);
    }
    free(z);
}

Test(optim, random_features_say_what_is_wrong)
{
    hnn_error e = {0};
    hnn_rfls m;
    double z[8] = {1, 1, 1, 1, 1, 1, 1, 1}, bad[8] = {1, NAN, 1, 1, 1, 1, 1, 1};
    const struct {
        hnn_rfls_options o;
        int dim;
        const double *z;
        const char *says;
    } cases[] = {
        {{.features = 0}, 2, z, "0 features"},
        {{.features = 1}, 3, z, "3 coordinates"},
        {{.features = 1, .activation = 9}, 2, z, "no activation 9"},
        {{.features = 1, .sampling = -1}, 2, z, "no sampling -1"},
        {{.features = 1, .scale = -1}, 2, z, "scale -1"},
        {{.features = 1}, 2, bad, "state 1 or its derivative"},
        {{.features = 1, .sampling = HNN_SAMPLE_PAIRS}, 2, z, "no two differ"},
        {{.features = 1, .sampling = HNN_SAMPLE_STEEP}, 2, z, "no two differ"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        cr_assert_eq(hnn_rfls_fit(&cases[c].o, cases[c].dim, 2, cases[c].z, z, NULL, &m, &e), HNN_EARG);
        cr_assert(strstr(e.message, cases[c].says), "%s", e.message);
        hnn_rfls_free(&m);
    }
}

static int everything(const double *z)
{
    hnn_error e = {0};
    double x[4] = {1, 1, 40, 7}, y[N];
    hnn_rfls m;
    hnn_lm_result r;
    hnn_rfls_options o = {20, HNN_ACT_TANH, HNN_SAMPLE_STEEP, 0, 0, 0, 1, 3};
    int why, code = hnn_rfls_fit(&o, 2, 40, z, z + 80, NULL, &m, &e);
    hnn_rfls_free(&m);
    if (code)
        return code;
    code = hnn_lm(12, 4, x, unidentified, NULL, NULL, &r, &e);
    hnn_lm_free(&r);
    if (code)
        return code;
    start_of(rosenbrock, y);
    hnn_lbfgs *s = hnn_lbfgs_new(N, 3, y, &e);
    if (!s)
        return e.code;
    code = hnn_lbfgs_run(s, rosenbrock, NULL, 20, 0, &why, &e);
    hnn_lbfgs_free(s);
    return code;
}

Test(optim, out_of_memory_is_an_error_and_leaks_nothing)
{
    const double box[2] = {2, 2};
    double *z = states(pendulum, 2, box, 40);
    for (long n = 1;; n++) {
        failalloc_arm(n, 1);
        int code = everything(z);
        if (failalloc_disarm() < n) {
            cr_assert_eq(code, HNN_OK);
            break;
        }
        cr_assert(code == HNN_EMEM, "allocation %ld: %d", n, code);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld leaked", n);
    }
    free(z);
}
