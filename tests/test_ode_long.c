/* test_ode_long.c - what methods keep over long runs: energy and volume at round-off or not at all, energy without drift on
 * the outer solar system. NOETHER_TEST_LONG=1 (./dev long) runs the full lengths; otherwise the same over fewer steps.
 * Invariant: statistics of energy errors are those of METRICS: slope against amplitude, growth exponent over starts. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ode.h"
#include "reference/problems.h"
#include "systems.h"

/* Steps of a full, an ordinary and an instrumented run. */
static int64_t steps_of(int64_t full, int64_t ordinary, int64_t fast)
{
    return getenv("NOETHER_TEST_LONG") ? full : getenv("NOETHER_TEST_SHORT") ? fast : ordinary;
}
static int loud(void)
{
    return getenv("NOETHER_TEST_LONG") != NULL || getenv("NOETHER_TEST_VERBOSE") != NULL;
}

/* ---- energy and volume, two degrees of freedom, h = 0.1 ------------------------------------------------- */
static int hh_H(void *u, double t, const double y[], double *H)
{
    (void)u, (void)t;
    *H = (y[2] * y[2] + y[3] * y[3] + y[0] * y[0] + y[1] * y[1]) / 2 + y[0] * y[0] * y[1] -
         y[1] * y[1] * y[1] / 3;
    return 0;
}
static long double hh_energy(const double y[])
{
    long double q = y[0], s = y[1], p = y[2], r = y[3];
    return (p * p + r * r + q * q + s * s) / 2 + q * q * s - s * s * s / 3;
}
static int hh_J(void *u, double t, const double y[], double J[])
{
    (void)u, (void)t;
    memset(J, 0, 16 * sizeof *J);
    J[2] = J[7] = 1;
    J[8] = -1 - 2 * y[1], J[9] = J[12] = -2 * y[0], J[13] = -1 + 2 * y[1];
    return 0;
}
/* A random network, not separable: H = 2 + sum_k w_k tanh(b_k + a_k . z). Its units come in pairs that make troughs,
 * |w| (tanh(a z - b) - tanh(a z + b)), so that orbits stay: on an unbounded one |y| eps |grad H| alone exceeds any bound. The
 * constant keeps the scale |H0| away from 0. */
enum { UNITS = 16 };
typedef struct {
    double w[UNITS], b[UNITS], a[UNITS][4];
} network;
static network random_network(unsigned seed)
{
    network n;
    uint64_t x = 88172645463325252u + seed;
    double *v = (double *)&n;
    for (size_t i = 0; i < sizeof n / sizeof *v;
         i++) { /* Marsaglia (2003), xorshift, J. Stat. Softw. 8 (14) */
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        v[i] = (double)(x >> 11) * 0x1p-53 * 2 - 1;
    }
    for (int k = 0; k < UNITS; k += 2) {
        n.w[k] = -fabs(n.w[k]), n.w[k + 1] = -n.w[k];
        n.b[k] = 0.5 + fabs(n.b[k]), n.b[k + 1] = -n.b[k];
        memcpy(n.a[k + 1], n.a[k], sizeof n.a[k]);
    }
    return n;
}
static double unit(const network *n, int k, const double y[])
{
    double s = n->b[k];
    for (int i = 0; i < 4; i++)
        s += n->a[k][i] * y[i];
    return s;
}
static int net_H(void *u, double t, const double y[], double *H)
{
    (void)t;
    *H = 2;
    for (int k = 0; k < UNITS; k++)
        *H += ((network *)u)->w[k] * tanh(unit(u, k, y));
    return 0;
}
static int net_f(void *u, double t, const double y[], double f[])
{
    const network *n = u;
    (void)t;
    memset(f, 0, 4 * sizeof *f);
    for (int k = 0; k < UNITS; k++) {
        double c = cosh(unit(n, k, y)), d = n->w[k] / (c * c);
        for (int i = 0; i < 2; i++)
            f[i] += d * n->a[k][i + 2], f[i + 2] -= d * n->a[k][i];
    }
    return 0;
}
static ode_field field_of(int which, network *n)
{
    return which == 0
               ? (ode_field){.size = 4,
                             .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T,
                             .dHdp = hh_p,
                             .dHdq = hh_q,
                             .energy = hh_H,
                             .jacobian = hh_J}
               : (ode_field){.size = 4, .kind = ODE_CANONICAL, .rhs = net_f, .energy = net_H, .user = n};
}
typedef struct {
    double energy, volume;
} kept;
static kept keeps(const char *method, int which, int64_t steps)
{
    network n = random_network(1);
    ode_field f = field_of(which, &n);
    ode_solver *s = ode_new(ode_method_find(method), &f);
    kept worst = {0, 0};
    ode_start(s, 0, hh_start);
    double H = ode_energy(s), M[16];
    for (int64_t k = 0; k < steps && !ode_step(s, 0.1); k++) {
        if (k % 16 == 0)
            worst.energy = fmax(worst.energy, fabs(ode_energy(s) - H) / fabs(H));
        if (f.jacobian && k % (1 + steps / 100) == 0 && !ode_tangent(s, 0.1, M))
            worst.volume = fmax(worst.volume, ode_volume_defect(4, M));
    }
    cr_expect_eq(ode_status(s), ODE_OK, "%s", ode_message(s));
    cr_expect_eq(ode_counters(s).unconverged, 0, "%s", method);
    ode_free(s);
    if (loud())
        fprintf(stderr, "%-24s %-14s %9lld steps: energy %.1e, volume %.1e\n", method,
                which ? "tanh network" : "Henon-Heiles", (long long)steps, worst.energy, worst.volume);
    return worst;
}
Test(ode_long, energy_is_exact_or_is_not, .timeout = 36000)
{
    int64_t million = steps_of(1000000, 50000, 300);
    cr_expect_leq(keeps("gonzalez", 0, million).energy, 1e-12);
    cr_expect_leq(keeps("gonzalez", 1, million).energy, 1e-12);
    cr_expect_leq(keeps("avf4", 0, million).energy,
                  1e-12);                          /* polynomial of degree 3: exact with two points */
    for (int i = 0; i < ode_method_count(); i++) { /* these do not, nor should they seem to */
        const ode_method *m = ode_method_at(i);
        static const char *const named[] = {"rk4", "dopri5", "yoshida6", "kahan-li6", "gauss2", "gauss4"};
        int fails = m->driver == ode_method_find("verlet")->driver && m->order <= 4;
        for (size_t k = 0; k < sizeof named / sizeof *named; k++)
            fails |= !strcmp(m->name, named[k]);
        network n = random_network(1);
        for (int which = 0; fails && which < 2; which++) {
            ode_field f = field_of(which, &n);
            if (!ode_method_refuses(m, &f))
                cr_expect_gt(keeps(m->name, which, 1000).energy, 1e-12, "%s", m->name);
        }
    }
    keeps("srkn14a", 0, million / 10), keeps("sofroniou-spaletta10", 0, million / 10); /* reported */
}
Test(ode_long, gauss_10_and_12_keep_energy_and_volume_at_roundoff, .timeout = 36000)
{
    int64_t steps = steps_of(1000000, 20000, 100);
    const char *name[] = {"gauss10", "gauss12"};
    for (int k = 0; k < 2; k++) {
        kept w = keeps(name[k], 0, steps);
        cr_expect_leq(w.energy, 1e-13, "%s: %g", name[k], w.energy); /* sqrt(10^6) roundings of 1e-16 */
        cr_expect_leq(w.volume, 1e-13, "%s: %g", name[k], w.volume);
    }
    cr_expect_gt(keeps("gonzalez", 0, 100).volume, 1e-8, "exact energy is paid with volume");
}

/* Rounding errors that have a preferred direction add up like t, not like its square root. A coefficient's low half was once
 * rounded away in the same direction every time: the mean over starts was then 20 of its standard errors after 40,000 steps. */
Test(ode_long, round_off_has_no_preferred_direction, .timeout = 3600)
{
    enum { STARTS_ = 16 };
    int64_t steps = steps_of(1000000, 10000, 50);
    const char *name[] = {"gauss10", "gauss12"};
    ode_field f = field_of(0, NULL);
    for (int m = 0; m < 2; m++) {
        double mean = 0, square = 0;
        for (int k = 0; k < STARTS_; k++) {
            double y[4] = {0.3125 - 0.01 * k, -0.25 + 0.003 * k, 0.25, 0.25 - 0.005 * k};
            long double H = hh_energy(y);
            ode_solver *s = ode_new(ode_method_find(name[m]), &f);
            ode_start(s, 0, y);
            ode_run(s, steps, 0.2, NULL);
            double e = (double)((hh_energy(ode_y(s)) - H) / H);
            mean += e / STARTS_, square += e * e / STARTS_;
            ode_free(s);
        }
        double error = sqrt((square - mean * mean) / (STARTS_ - 1));
        cr_expect_leq(fabs(mean), 4 * error, "%s: mean %.2e, its standard error %.1e", name[m], mean, error);
        if (loud())
            fprintf(stderr,
                    "%s, Henon-Heiles, %d starts, %lld steps of 0.2: mean energy error %+.1e +- %.0e\n",
                    name[m], STARTS_, (long long)steps, mean, error);
    }
}

/* ---- the outer solar system ------------------------------------------------------------------------------ */
enum { BODIES = 6, HALF = 3 * BODIES };
typedef struct {
    double G, m[BODIES];
} masses;
/* H = sum p^2 / 2m - sum of G m m / r over the pairs. */
static ode_recorded *solar_field(const masses *c)
{
    enum { PAIRS = BODIES * (BODIES - 1) / 2 };
    int one[3 * PAIRS], other[3 * PAIRS], k = 0;
    double pull[PAIRS], half[HALF];
    for (int a = 0; a < BODIES; a++)
        for (int b = 0; b < a; b++, k++) {
            pull[k] = c->G * c->m[a] * c->m[b];
            for (int i = 0; i < 3; i++)
                one[i * PAIRS + k] = 3 * a + i, other[i * PAIRS + k] = 3 * b + i;
        }
    for (int i = 0; i < HALF; i++)
        half[i] = 0.5 / c->m[i / 3];
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, HALF), p = ad_input(t, "p", 1, HALF),
           s = ad_square(ad_sub(ad_gather_cols(q, 3 * PAIRS, one), ad_gather_cols(q, 3 * PAIRS, other))),
           r2 = ad_add(ad_add(ad_cols_of(s, 0, PAIRS), ad_cols_of(s, PAIRS, PAIRS)),
                       ad_cols_of(s, 2 * PAIRS, PAIRS)),
           T = ad_sum_cols(ad_mul(ad_const(t, 1, HALF, half), ad_square(p))),
           V = ad_sum_cols(ad_div(ad_const(t, 1, PAIRS, pull), ad_sqrt(r2)));
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = ad_sub(T, V), .q = q, .p = p});
    ad_free(t);
    return r;
}
static long double solar_H(const masses *c, const double y[])
{ /* in long double: the rounding of H itself must not be taken for the method's */
    long double H = 0;
    for (int i = 0; i < HALF; i++)
        H += (long double)y[HALF + i] * y[HALF + i] / (2 * c->m[i / 3]);
    for (int a = 0; a < BODIES; a++)
        for (int b = 0; b < a; b++) {
            long double r2 = 0;
            for (int i = 0; i < 3; i++) {
                long double d = (long double)y[3 * a + i] - y[3 * b + i];
                r2 += d * d;
            }
            H -= (long double)c->G * c->m[a] * c->m[b] / sqrtl(r2);
        }
    return H;
}
/* The row's start, seen from the centre of mass; start k > 0 has every coordinate changed by up to 1e-3 of itself. From the Sun's
 * start, as the row has it, the whole system would travel 2,500 au in 10^7 steps of 50 d, and the digits of the distances between
 * bodies, so the rounding of each step, would worsen with it. */
static void solar_start(int k, masses *c, double y[2 * HALF])
{
    const hnn_system *s = hnn_system_find("outer-solar-system", NULL);
    c->G = s->parameter[0].value;
    for (int b = 0; b < BODIES; b++)
        c->m[b] = s->parameter[1 + b].value;
    uint64_t x = 1234567u * (unsigned)k + 987654321u;
    long double mass = 0, q[3] = {0}, p[3] = {0};
    for (int i = 0; i < 2 * HALF; i++) {
        for (int turn = 0; turn < 3; turn++)
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        y[i] = s->start[i] * (1 + (k ? 1e-3 * ((double)(x >> 11) * 0x1p-53 * 2 - 1) : 0));
    }
    for (int b = 0; b < BODIES; b++) {
        mass += c->m[b];
        for (int i = 0; i < 3; i++)
            q[i] += (long double)c->m[b] * y[3 * b + i], p[i] += y[HALF + 3 * b + i];
    }
    for (int i = 0; i < HALF; i++) {
        y[i] = (double)(y[i] - q[i % 3] / mass);
        y[HALF + i] = (double)(y[HALF + i] - c->m[i / 3] * (p[i % 3] / mass));
    }
}
typedef struct {
    masses c;
    long double H0;
    double *t, *e;
    int count, max;
} record;
static int take(void *user, double t, const double y[])
{
    record *r = user;
    if (r->count == 0 && t == 0)
        r->H0 = solar_H(&r->c, y);
    r->t[r->count] = t;
    r->e[r->count++] = (double)((solar_H(&r->c, y) - r->H0) / fabsl(r->H0));
    return r->count == r->max;
}
/* As a user would: steps become programs by themselves. ordinary: they do not. */
static int solar_run(const char *method, int k, int64_t steps, double h, int ordinary, record *r)
{
    double y[2 * HALF];
    solar_start(k, &r->c, y);
    ode_recorded *f = solar_field(&r->c);
    ode_solver *s = ode_new(ode_method_find(method), ode_recorded_field(f));
    ode_start(s, 0, y);
    r->count = 0;
    int status = ode_run(
        s, steps, h,
        &(ode_options){
            .every = steps / (r->max - 1), .observer = take, .user = r, .compiled = ordinary ? -1 : 0});
    int64_t bad = ode_counters(s).unconverged;
    ode_free(s);
    ode_recorded_free(f);
    return status || bad ? -1 : 0;
}
Test(ode_long, verlet_on_the_outer_solar_system_does_not_drift, .timeout = 36000)
{
    enum { SAMPLES = 100001 };
    const double h = 20, longest = 90560; /* days; the period of Pluto */
    int64_t steps = steps_of(10000000, 300000, 3000);
    record r = {.max = SAMPLES};
    while (steps / (r.max - 1) < 3) /* every third step at most */
        r.max = r.max / 2 + 1;
    r.t = malloc(sizeof *r.t * SAMPLES), r.e = malloc(sizeof *r.e * SAMPLES);
    cr_assert(r.t && r.e);
    cr_expect_eq(solar_run("verlet", 0, steps, h, 0, &r), 0);
    ode_drift whole, part;
    ode_drift_of(1, r.count, r.t, r.e, &whole);
    double T = r.t[r.count - 1], amplitude = 0;
    int blocks = (int)(T / (10 * longest)), used = blocks > 0 ? blocks : 1;
    for (int b = 0; b < used; b++) { /* the oscillation in blocks of at least ten longest periods */
        int from = (int)((int64_t)r.count * b / used), to = (int)((int64_t)r.count * (b + 1) / used);
        ode_drift_of(1, to - from, r.t + from, r.e + from, &part);
        amplitude += part.amplitude / used;
    }
    if (blocks >= 2)
        cr_expect_leq(fabs(whole.slope) * T, 0.1 * amplitude, "|slope| T = %.2e, amplitude %.2e",
                      fabs(whole.slope) * T, amplitude);
    cr_expect(amplitude > 1e-9 && amplitude < 1e-3, "%g", amplitude);
    if (loud())
        fprintf(
            stderr,
            "verlet, outer solar system, %lld steps of %g d: |slope| T %.2e, amplitude %.2e in %d blocks\n",
            (long long)steps, h, fabs(whole.slope) * T, amplitude, blocks);
    free(r.t), free(r.e);
}

enum { STARTS = 16, POINTS = 513 };
typedef struct {
    double *t, *e;
    int64_t steps;
    int ordinary, next, ended, failed;
    pthread_mutex_t lock;
} crew;
static void *work(void *user)
{
    crew *c = user;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        int k = c->next++;
        pthread_mutex_unlock(&c->lock);
        if (k >= STARTS)
            return NULL;
        record r = {.max = POINTS, .t = c->t + (size_t)k * POINTS, .e = c->e + (size_t)k * POINTS};
        int bad = solar_run("gauss8", k, c->steps, 50, c->ordinary, &r) || r.count != POINTS;
        pthread_mutex_lock(&c->lock); /* a run of half an hour says where it is */
        c->failed |= bad, c->ended++;
        if (loud())
            fprintf(stderr, "gauss8, start %2d: %s after %lld steps, energy error %+.2e; %d of %d starts\n",
                    k, bad ? "failed" : "ended", (long long)c->steps, r.count ? r.e[r.count - 1] : NAN,
                    c->ended, STARTS);
        pthread_mutex_unlock(&c->lock);
    }
}
/* Sixteen starts as programs over the full length; in the ordinary way over a hundredth of it. */
static void random_walk(int ordinary)
{
    int64_t steps = steps_of(10000000, 4 * (POINTS - 1), POINTS - 1);
    crew c = {.steps = ordinary ? steps_of(steps / 100, 2 * (POINTS - 1), POINTS - 1) : steps,
              .ordinary = ordinary,
              .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t other;
    c.steps -= c.steps % (POINTS - 1);
    c.t = malloc(sizeof(double) * STARTS * POINTS), c.e = malloc(sizeof(double) * STARTS * POINTS);
    cr_assert(c.t && c.e);
    int two = !pthread_create(&other, NULL, work, &c);
    work(&c);
    if (two)
        pthread_join(other, NULL);
    cr_expect_eq(c.failed, 0);
    ode_drift d;
    ode_drift_of(STARTS, POINTS, c.t, c.e, &d);
    cr_expect_leq(d.exponent, 0.6, "RMS over %d starts ~ t^%.2f", STARTS, d.exponent);
    cr_expect_leq(d.max, 1e-12, "%g", d.max);
    if (loud())
        fprintf(stderr,
                "gauss8, outer solar system, %d starts, %lld %s of 50 d: RMS ~ t^%.2f, largest %.1e\n",
                STARTS, (long long)c.steps, ordinary ? "ordinary steps" : "steps", d.exponent, d.max);
    free(c.t), free(c.e);
}
Test(ode_long, gauss8_on_the_outer_solar_system_errs_like_a_random_walk, .timeout = 360000)
{
    for (int ordinary = 0; ordinary < 2; ordinary++)
        random_walk(ordinary);
}
