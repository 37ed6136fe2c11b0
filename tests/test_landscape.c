/* test_landscape.c - equilibria, kinds, level topology and merge trees of Hamiltonians where they are known. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "landscape.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

/* H = T + V(q) with T = sum p^2/2 scaled by `mass`: the rows below give V, its gradient and Hessian */
typedef struct potential {
    void (*V)(const double *q, double *v, double *g, double *h);
    int n;
    double mass;
} potential;

static int energy(void *data, const double z[], double *H, double g[], double h[])
{
    const potential *s = data;
    int n = s->n, dim = 2 * n;
    double slope[3] = {0}, curve[9] = {0};
    s->V(z, H, slope, curve);
    for (int i = 0; i < n; i++)
        *H += z[n + i] * z[n + i] / (2 * s->mass);
    for (int i = 0; g && i < n; i++) {
        g[i] = slope[i];
        g[n + i] = z[n + i] / s->mass;
    }
    for (int i = 0; h && i < dim; i++)
        for (int j = 0; j < dim; j++)
            h[i * dim + j] = i < n && j < n ? curve[i * n + j] : i == j ? 1 / s->mass : 0;
    return 0;
}

static void V_pendulum(const double *q, double *v, double *g, double *h)
{
    *v = 1 - cos(q[0]);
    g[0] = sin(q[0]);
    h[0] = cos(q[0]);
}
static void V_wells(const double *q, double *v, double *g, double *h)
{
    double w = q[0] * q[0] - 1;
    *v = w * w / 4;
    g[0] = w * q[0];
    h[0] = 3 * q[0] * q[0] - 1;
}
static void V_spring(const double *q, double *v, double *g, double *h)
{
    *v = q[0] * q[0] / 2;
    g[0] = q[0];
    h[0] = 1;
}
static void V_quartic(const double *q, double *v, double *g, double *h)
{
    *v = pow(q[0], 4) / 4;
    g[0] = pow(q[0], 3);
    h[0] = 3 * q[0] * q[0];
}
static void V_free(const double *q, double *v, double *g, double *h) { (void)q, *v = 0, g[0] = 0, h[0] = 0; }
static void V_fall(const double *q, double *v, double *g, double *h) { *v = q[0], g[0] = 1, h[0] = 0; }
static void V_hill(const double *q, double *v, double *g, double *h)
{
    *v = -2 * q[0] * q[0], g[0] = -4 * q[0], h[0] = -4;
}
static void V_henon(const double *q, double *v, double *g, double *h)
{
    double x = q[0], y = q[1];
    *v = (x * x + y * y) / 2 + x * x * y - y * y * y / 3;
    g[0] = x + 2 * x * y;
    g[1] = y + x * x - y * y;
    h[0] = 1 + 2 * y;
    h[1] = h[2] = 2 * x;
    h[3] = 1 - 2 * y;
}
enum { TILT_X, TILT_Y };
static const double tilt[2] = {0.1, 0.05};
static void V_four(const double *q, double *v, double *g, double *h) /* two tilted double wells */
{
    *v = 0;
    for (int i = 0; i < 2; i++) {
        double w = q[i] * q[i] - 1;
        *v += w * w / 4 + tilt[i] * q[i];
        g[i] = w * q[i] + tilt[i];
        h[3 * i] = 3 * q[i] * q[i] - 1;
    }
}
static void V_hat(const double *q, double *v, double *g, double *h) /* minima on a circle */
{
    double w = q[0] * q[0] + q[1] * q[1] - 1;
    *v = w * w / 4;
    for (int i = 0; i < 2; i++) {
        g[i] = w * q[i];
        for (int j = 0; j < 2; j++)
            h[2 * i + j] = 2 * q[i] * q[j] + (i == j) * w;
    }
}
static void V_kepler(const double *q, double *v, double *g, double *h) /* not finite at 0; no equilibrium */
{
    double r = hypot(q[0], q[1]), r3 = r * r * r;
    *v = -1 / r;
    for (int i = 0; i < 2; i++) {
        g[i] = q[i] / r3;
        for (int j = 0; j < 2; j++)
            h[2 * i + j] = (i == j) / r3 - 3 * q[i] * q[j] / (r3 * r * r);
    }
}
static void V_nan(const double *q, double *v, double *g, double *h) { (void)q, *v = g[0] = h[0] = NAN; }

static hnn_landscape find(void (*V)(const double *, double *, double *, double *), int n, double mass,
                          const double box[], const double *period, int starts)
{
    potential s = {V, n, mass};
    double lo[6], hi[6];
    hnn_landscape l;
    hnn_error e = {0};
    for (int i = 0; i < 2 * n; i++) {
        lo[i] = -box[i];
        hi[i] = box[i];
    }
    hnn_landscape_options o = {
        .starts = starts, .period = period, .grid = getenv("NOETHER_TEST_SHORT") ? 41 : 0};
    cr_assert_eq(hnn_landscape_find(energy, &s, 2 * n, lo, hi, &o, &l, &e), 0, "%s", e.message);
    return l;
}

Test(landscape, equilibria_of_one_degree_of_freedom_have_their_place_and_kind)
{
    static const struct {
        void (*V)(const double *, double *, double *, double *);
        double mass, box[2];
        int n;
        struct {
            double q, energy, frequency;
            int kind, index, spectrum;
        } at[3];
    } cases[] = {
        {V_pendulum,
         1,
         {4, 3},
         3,
         {{0, 0, 1, HNN_MINIMUM, 0, HNN_CENTRE},
          {-PI, 2, 0, HNN_SADDLE, 1, HNN_HYPERBOLIC},
          {PI, 2, 0, HNN_SADDLE, 1, HNN_HYPERBOLIC}}},
        {V_wells,
         0.25,
         {1.6, 1},
         3,
         {{-1, 0, 2.8284271247461903, HNN_MINIMUM, 0, HNN_CENTRE},
          {1, 0, 2.8284271247461903, HNN_MINIMUM, 0, HNN_CENTRE},
          {0, 0.25, 0, HNN_SADDLE, 1, HNN_HYPERBOLIC}}},
        {V_quartic, 1, {2, 2}, 1, {{0, 0, 0, HNN_DEGENERATE, 0, HNN_CENTRE}}},
        {V_hill, -1, {1, 1}, 1, {{0, 0, 2, HNN_MAXIMUM, 2, HNN_CENTRE}}},
        {V_hill, 1, {1, 1}, 1, {{0, 0, 0, HNN_SADDLE, 1, HNN_HYPERBOLIC}}},
        {V_pendulum,
         1,
         {1e-3, 1e3},
         1,
         {{0, 0, 1, HNN_MINIMUM, 0, HNN_CENTRE}}}, /* a box of very different sides */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hnn_landscape l = find(cases[c].V, 1, cases[c].mass, cases[c].box, NULL, 0);
        cr_assert_eq(l.n, cases[c].n, "case %zu: %d equilibria, %s", c, l.n, l.reason);
        cr_assert_eq(l.reason[0], 0);
        for (int k = 0; k < l.n; k++) {
            const hnn_equilibrium *q = &l.at[k];
            cr_assert_float_eq(q->z[0], cases[c].at[k].q, 1e-9, "case %zu: %.17g", c, q->z[0]);
            cr_assert_float_eq(q->z[1], 0, 1e-9);
            cr_assert_float_eq(q->energy, cases[c].at[k].energy, 1e-12);
            cr_assert(q->kind == cases[c].at[k].kind && q->index == cases[c].at[k].index &&
                          q->spectrum == cases[c].at[k].spectrum,
                      "case %zu: %s of index %d, %s", c, hnn_kind_name(q->kind), q->index,
                      hnn_spectrum_name(q->spectrum));
            cr_assert_eq(q->modes, cases[c].at[k].frequency > 0);
            if (q->modes)
                cr_assert_float_eq(q->frequency[0], cases[c].at[k].frequency, 1e-9);
        }
        hnn_landscape_free(&l);
    }
}

Test(landscape, a_periodic_coordinate_has_each_equilibrium_once)
{
    const double box[2] = {PI, 3}, period[2] = {2 * PI, 0};
    hnn_landscape l = find(V_pendulum, 1, 1, box, period, 0);
    cr_assert_eq(l.n, 2);
    cr_assert(l.at[0].kind == HNN_MINIMUM && l.at[1].kind == HNN_SADDLE);
    cr_assert_float_eq(fabs(l.at[1].z[0]), PI, 1e-9);
    cr_assert(l.separatrices == 1 && fabs(l.separatrix[0] - 2) < 1e-12);
    /* below the separatrix it swings, above it turns, one way and the other */
    cr_assert(l.levels == 2 && l.level[0].energy == 1, "%d", l.levels);
    cr_assert(l.level[0].components == 1 && l.level[0].closed == 1 && l.level[0].rotations == 0);
    cr_assert(l.level[1].components == 2 && l.level[1].closed == 0 && l.level[1].rotations == 2);
    hnn_landscape_free(&l);
}

Test(landscape, levels_between_critical_energies_have_the_topology_of_the_wells)
{
    const double box[2] = {1.6, 1}, wide[2] = {4, 3}, hill[2] = {1, 1};
    hnn_landscape l = find(V_wells, 1, 1, box, NULL, 0);
    cr_assert_eq(l.levels, 2);
    cr_assert_float_eq(l.level[0].energy, 0.125, 1e-12);
    cr_assert(l.level[0].components == 2 && l.level[0].closed == 2);
    cr_assert(l.level[1].energy > 0.25 && l.level[1].components == 1 && l.level[1].closed == 1);
    hnn_landscape_free(&l);
    l = find(V_pendulum, 1, 1, wide, NULL, 0); /* not periodic: above the saddles two lines, cut by the box */
    cr_assert(l.levels == 2 && l.level[0].closed == 1 && l.level[0].components == 1);
    cr_assert(l.level[1].components == 2 && l.level[1].closed == 0 && l.level[1].rotations == 0);
    hnn_landscape_free(&l);
    l = find(V_hill, 1, 1, hill, NULL, 0); /* a hyperbola on either side of a saddle */
    cr_assert(l.levels == 2 && l.level[0].components == 2 && l.level[1].components == 2 &&
              l.level[0].closed == 0);
    hnn_landscape_free(&l);
}

Test(landscape, henon_heiles_has_one_minimum_and_three_saddles_at_a_sixth)
{
    const double box[4] = {1.1, 1.2, 0.8, 0.8};
    /* equal energies: in ascending q[1] */
    hnn_landscape l = find(V_henon, 2, 1, box, NULL, getenv("NOETHER_TEST_SHORT") ? 4 : 0);
    cr_assert_eq(l.n, 4, "%d", l.n);
    cr_assert(l.at[0].kind == HNN_MINIMUM && l.at[0].spectrum == HNN_CENTRE && l.at[0].modes == 2);
    cr_assert(fabs(l.at[0].frequency[0] - 1) < 1e-9 && fabs(l.at[0].frequency[1] - 1) < 1e-9);
    for (int k = 1; k < 4; k++) {
        const hnn_equilibrium *q = &l.at[k];
        cr_assert(q->kind == HNN_SADDLE && q->index == 1 && q->spectrum == HNN_MIXED);
        cr_assert_float_eq(q->energy, 1.0 / 6, 1e-12);
        cr_assert_float_eq(hypot(q->z[0], q->z[1]), 1, 1e-9);
        cr_assert(q->modes == 1 && fabs(q->frequency[0] - sqrt(3)) < 1e-9);
        cr_assert_float_eq(q->z[0], (k - 2) * 0.86602540378443865, 1e-9);
    }
    cr_assert(l.separatrices == 1 && fabs(l.separatrix[0] - 1.0 / 6) < 1e-12);
    cr_assert_eq(l.merges, 3);
    int escapes = 0, loops = 0;
    for (int k = 0; k < 3; k++) {
        const hnn_merge *m = &l.merge[k];
        cr_assert((m->end[0] == 0 && m->end[1] == HNN_OUTSIDE) ||
                      (m->end[1] == 0 && m->end[0] == HNN_OUTSIDE),
                  "%d %d", m->end[0], m->end[1]);
        escapes += m->kind == HNN_ESCAPE;
        loops += m->kind == HNN_LOOP;
        if (m->kind == HNN_ESCAPE)
            cr_assert(m->dies == 0 && fabs(m->persistence - 1.0 / 6) < 1e-12);
    }
    cr_assert(escapes == 1 && loops == 2); /* once out, out by all three */
    hnn_landscape_free(&l);
}

static double tilted(double a, double guess) /* root of q^3 - q + a */
{
    for (int k = 0; k < 50; k++)
        guess -= (guess * guess * guess - guess + a) / (3 * guess * guess - 1);
    return guess;
}

static double well(double a, double q) { return (q * q - 1) * (q * q - 1) / 4 + a * q; }

Test(landscape, four_wells_merge_by_the_elder_rule)
{
    const double box[4] = {1.6, 1.6, 1, 1};
    hnn_landscape l = find(V_four, 2, 1, box, NULL, getenv("NOETHER_TEST_SHORT") ? 4 : 0);
    double x[3], y[3], ex[3], ey[3]; /* left minimum, saddle, right minimum of each */
    for (int i = 0; i < 3; i++) {
        x[i] = tilted(tilt[TILT_X], i - 1 ? i - 1 : 0.1);
        y[i] = tilted(tilt[TILT_Y], i - 1 ? i - 1 : 0.1);
        ex[i] = well(tilt[TILT_X], x[i]);
        ey[i] = well(tilt[TILT_Y], y[i]);
    }
    cr_assert_eq(l.n, 9, "%d", l.n);
    int found = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 9; k++)
                if (fabs(l.at[k].z[0] - x[i]) < 1e-9 && fabs(l.at[k].z[1] - y[j]) < 1e-9) {
                    found++;
                    cr_assert_eq(l.at[k].index, (i == 1) + (j == 1));
                    cr_assert_eq(l.at[k].kind, i == 1 || j == 1 ? HNN_SADDLE : HNN_MINIMUM);
                    cr_assert_eq(l.at[k].spectrum, i == 1 && j == 1   ? HNN_HYPERBOLIC
                                                   : i == 1 || j == 1 ? HNN_MIXED
                                                                      : HNN_CENTRE);
                    cr_assert_float_eq(l.at[k].energy, ex[i] + ey[j], 1e-12);
                }
    cr_assert_eq(found, 9);
    cr_assert_eq(l.merges, 4);
    cr_assert_eq(l.separatrices, 5);
    /* saddles in ascending energy join neighbours; three merge, the last closes a loop */
    int loops = 0;
    double persistence = 0;
    for (int k = 0; k < 4; k++) {
        const hnn_merge *m = &l.merge[k];
        cr_assert(m->end[0] >= 0 && m->end[1] >= 0 && m->end[0] != m->end[1]);
        const double *a = l.at[m->end[0]].z, *b = l.at[m->end[1]].z, *s = l.at[m->saddle].z;
        int along = fabs(s[0] - x[1]) < 1e-9 ? 0 : 1; /* the coordinate it passes over */
        cr_assert(fabs(a[!along] - s[!along]) < 1e-6 && fabs(b[!along] - s[!along]) < 1e-6 &&
                  a[along] * b[along] < 0);
        cr_assert(k == 0 || l.at[m->saddle].energy >= l.at[l.merge[k - 1].saddle].energy);
        loops += m->kind == HNN_LOOP;
        persistence += m->persistence;
    }
    cr_assert_eq(loops, 1);
    cr_assert_eq(l.merge[3].kind, HNN_LOOP);
    /* by hand, in ascending order: (left, middle), (middle, left), (middle, right), and (right, middle) closes the loop */
    double s0 = ex[0] + ey[1], s1 = ex[1] + ey[0], s2 = ex[1] + ey[2];
    double want = (s0 - (ex[0] + ey[2])) + (s1 - (ex[2] + ey[0])) + (s2 - (ex[2] + ey[2]));
    cr_assert_float_eq(persistence, want, 1e-9, "%.12g %.12g", persistence, want);
    hnn_landscape_free(&l);
}

Test(landscape, without_isolated_equilibria_there_is_a_reason)
{
    const double box[2] = {1, 1}, square[4] = {1.6, 1.6, 1, 1};
    static const struct {
        void (*V)(const double *, double *, double *, double *);
        int n;
        const char *says;
    } cases[] = {{V_free, 1, "not isolated"},
                 {V_fall, 1, "no equilibrium was found"},
                 {V_nan, 1, "not finite at any start"},
                 {V_kepler, 2, "no equilibrium was found"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hnn_landscape l = find(cases[c].V, cases[c].n, 1, cases[c].n == 1 ? box : square, NULL, 8);
        double f1, scale[4] = {1, 1, 1, 1};
        cr_assert(l.n == 0 && strstr(l.reason, cases[c].says), "case %zu: %d, %s", c, l.n, l.reason);
        cr_assert_eq(hnn_landscape_score(&l, &l, scale, NULL, &f1, NULL), 0);
        cr_assert(isnan(f1));
        hnn_landscape_free(&l);
    }
    hnn_landscape l = find(V_hat, 2, 1, square, NULL, 8); /* the top is isolated, the circle below is not */
    cr_assert(l.n == 1 && l.at[0].index == 2 && l.at[0].spectrum == HNN_HYPERBOLIC &&
                  strstr(l.reason, "not isolated"),
              "%d %s", l.n, l.reason);
    hnn_landscape_free(&l);
}

Test(landscape, score_counts_one_to_one_matches)
{
    const double box[2] = {4, 3}, scale[2] = {1, 1}, far[2] = {1e-12, 1}, period[2] = {2 * PI, 0};
    hnn_landscape a = find(V_pendulum, 1, 1, box, NULL, 0), b = find(V_spring, 1, 1, box, NULL, 0),
                  c = find(V_hill, 1, 1, box, NULL, 0),
                  d = find(V_henon, 2, 1, (const double[]){1, 1, 1, 1}, NULL, 4);
    double f1;
    hnn_error e = {0};
    cr_assert(hnn_landscape_score(&a, &a, scale, NULL, &f1, &e) == 0 && f1 == 1);
    cr_assert(hnn_landscape_score(&a, &b, scale, NULL, &f1, &e) == 0 && f1 == 2.0 * 1 / (3 + 1));
    cr_assert(hnn_landscape_score(&b, &a, scale, NULL, &f1, &e) == 0 && f1 == 2.0 * 1 / (3 + 1));
    cr_assert(hnn_landscape_score(&a, &c, scale, NULL, &f1, &e) == 0 &&
              f1 == 0); /* a saddle where the minimum is */
    a.at[1].z[0] += 0.05 * sqrt(2) * 0.999;
    hnn_landscape same = find(V_pendulum, 1, 1, box, NULL, 0);
    cr_assert(hnn_landscape_score(&same, &a, scale, NULL, &f1, &e) == 0 && f1 == 1);
    a.at[1].z[0] += 0.05 * sqrt(2) * 0.002;
    cr_assert(hnn_landscape_score(&same, &a, scale, NULL, &f1, &e) == 0 && fabs(f1 - 2.0 / 3) < 1e-15);
    cr_assert(hnn_landscape_score(&same, &a, scale, period, &f1, &e) == 0 && fabs(f1 - 2.0 / 3) < 1e-15);
    a.at[1].z[0] =
        a.at[2].z
            [0]; /* two learned at one true place: only one counts, unless the period brings the other round */
    cr_assert(hnn_landscape_score(&same, &a, scale, NULL, &f1, &e) == 0 && fabs(f1 - 2.0 / 3) < 1e-15);
    cr_assert(hnn_landscape_score(&same, &a, scale, period, &f1, &e) == 0 && f1 == 1);
    cr_assert(hnn_landscape_score(&same, &same, far, NULL, &f1, &e) == 0 && f1 == 1);
    cr_assert_eq(hnn_landscape_score(&a, &d, scale, NULL, &f1, &e), HNN_EARG);
    cr_assert(strstr(e.message, "2 coordinates against 4"));
    cr_assert_eq(hnn_landscape_score(&a, &a, (const double[2]){0}, NULL, &f1, &e), HNN_EARG);
    hnn_landscape_free(&a), hnn_landscape_free(&b), hnn_landscape_free(&c), hnn_landscape_free(&d),
        hnn_landscape_free(&same);
}

static int failing(void *data, const double z[], double *H, double g[], double h[])
{
    int *left = data;
    potential s = {V_wells, 1, 1};
    return (*left)-- > 0 ? energy(&s, z, H, g, h) : 33;
}

Test(landscape, bad_boxes_and_failing_hamiltonians_are_errors)
{
    potential s = {V_wells, 1, 1};
    const double lo[2] = {-1.6, -1}, hi[2] = {1.6, 1}, bad[2] = {-1.6, 1};
    hnn_landscape l;
    hnn_error e = {0};
    cr_assert_eq(hnn_landscape_find(energy, &s, 3, lo, hi, NULL, &l, &e), HNN_EARG);
    cr_assert(strstr(e.message, "3 coordinates"));
    cr_assert_eq(hnn_landscape_find(energy, &s, 2, lo, bad, NULL, &l, &e), HNN_EARG);
    cr_assert(strstr(e.message, "box of coordinate 1"));
    hnn_landscape_free(&l);
    hnn_landscape_options o = {.starts = 1, .grid = 5};
    int most = 0, count = 1 << 20;
    cr_assert_eq(hnn_landscape_find(failing, &count, 2, lo, hi, &o, &l, &e), 0);
    hnn_landscape_free(&l);
    most = (1 << 20) - count;
    for (int left = 0; left < most; left += 1 + left / 10) {
        count = left;
        cr_assert_eq(hnn_landscape_find(failing, &count, 2, lo, hi, &o, &l, &e), 33, "%d", left);
        cr_assert(strstr(e.message, "code 33"), "%s", e.message);
        cr_assert(l.n == 0 && !l.at);
    }
    cr_assert_str_eq(hnn_kind_name(99), "unknown");
    cr_assert_str_eq(hnn_spectrum_name(HNN_MIXED), "mixed");
}

Test(landscape, out_of_memory_is_an_error_and_leaks_nothing)
{
    potential s[2] = {{V_wells, 1, 1}, {V_henon, 2, 1}};
    const double lo[4] = {-1.6, -1.6, -1, -1}, hi[4] = {1.6, 1.6, 1, 1};
    hnn_landscape_options o = {.starts = 1, .grid = 5};
    for (int k = 0; k < (getenv("NOETHER_TEST_SHORT") ? 1 : 2); k++)
        for (long n = 1;; n += 1 + n / 12) {
            hnn_landscape l;
            failalloc_arm(n, 1);
            int code =
                hnn_landscape_find(energy, &s[k], 2 * s[k].n, k ? lo : lo + 1, k ? hi : hi + 1, &o, &l, NULL);
            hnn_landscape_free(&l);
            if (failalloc_disarm() < n) {
                cr_assert_eq(code, 0);
                break;
            }
            cr_assert(code == HNN_EMEM, "allocation %ld: %d", n, code);
            cr_assert_eq(failalloc_live(), 0, "allocation %ld leaked", n);
        }
    hnn_landscape a = find(V_wells, 1, 1, hi + 1, NULL, 1);
    double f1;
    failalloc_arm(1, 1);
    cr_assert_eq(hnn_landscape_score(&a, &a, hi, NULL, &f1, NULL), HNN_EMEM);
    failalloc_disarm();
    hnn_landscape_free(&a);
}
