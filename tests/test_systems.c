/* test_systems.c - every row's text against the same function written in C, its starts and boxes against the physics
 * they claim. The texts are read by a small evaluator of its own, so that the rows need no engine to be tested. */
/* SPDX-License-Identifier: MIT */
#include "systems.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *at, *error;
    const hnn_system *system;
    const double *q, *p;
    int n;
    double v, t;
    char bound; /* the variable of a sum, and its value */
    double index;
} reader;

static double sum_of(reader *r);

static void blank(reader *r)
{
    while (*r->at == ' ')
        r->at++;
}

static int take(reader *r, char c)
{
    blank(r);
    if (*r->at != c)
        return 0;
    r->at++;
    return 1;
}

static void need(reader *r, char c)
{
    if (!take(r, c) && !r->error)
        r->error = r->at;
}

static double one_sum(reader *r)
{
    reader outer = *r;
    blank(r);
    r->bound = *r->at++;
    need(r, '=');
    int from = (int)sum_of(r);
    need(r, '.'), need(r, '.');
    int to = (int)sum_of(r);
    need(r, ',');
    const char *body = r->at, *end = NULL;
    double total = 0;
    for (int i = from; i <= to || !end; i++) {
        r->at = body;
        r->index = i;
        double x = i <= to ? sum_of(r) : (sum_of(r), 0);
        total += x;
        end = r->at;
        if (i > to)
            break;
    }
    r->bound = outer.bound, r->index = outer.index;
    need(r, ')');
    return total;
}

static double atom(reader *r)
{
    static const struct {
        const char *name;
        double (*f)(double);
    } functions[] = {{"sin", sin}, {"cos", cos}, {"exp", exp}, {"sqrt", sqrt}};
    blank(r);
    if (take(r, '(')) {
        double x = sum_of(r);
        need(r, ')');
        return x;
    }
    if (isdigit((unsigned char)*r->at)) { /* not strtod: "1..n" is 1, then two points */
        double x = 0;
        while (isdigit((unsigned char)*r->at))
            x = 10 * x + (*r->at++ - '0');
        return x;
    }
    char name[32];
    size_t m = 0;
    while (m < 31 && (isalnum((unsigned char)*r->at) || *r->at == '_'))
        name[m++] = *r->at++;
    name[m] = 0;
    if (take(r, '(')) {
        if (!strcmp(name, "sum"))
            return one_sum(r);
        double x = sum_of(r);
        need(r, ')');
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
            if (!strcmp(name, functions[i].name))
                return functions[i].f(x);
    } else if (take(r, '[')) {
        int i = (int)sum_of(r);
        need(r, ']');
        if (i < 1 || i > r->n)
            return r->error = "an index outside 1..n", NAN;
        if (!strcmp(name, "q") || !strcmp(name, "p"))
            return name[0] == 'q' ? r->q[i - 1] : r->p[i - 1];
    } else if (m == 1 && name[0] == r->bound)
        return r->index;
    else if (!strcmp(name, "n"))
        return r->n;
    else if (r->n == 1 && !strcmp(name, "q"))
        return r->q[0];
    else if (r->n == 1 && !strcmp(name, "p"))
        return r->p[0];
    else if (!strcmp(name, "v"))
        return r->v;
    else if (!strcmp(name, "t"))
        return r->t;
    else if (hnn_system_parameter(r->system, name) >= 0)
        return r->system->parameter[hnn_system_parameter(r->system, name)].value;
    r->error = r->error ? r->error : r->at;
    return NAN;
}

static double power(reader *r)
{
    double x = atom(r);
    return take(r, '^') ? pow(x, power(r)) : x;
}

static double product(reader *r)
{
    double x = take(r, '-') ? -power(r) : power(r);
    for (;;)
        if (take(r, '*'))
            x *= power(r);
        else if (take(r, '/'))
            x /= power(r);
        else
            return x;
}

static double sum_of(reader *r)
{
    double x = product(r);
    for (;;)
        if (take(r, '+'))
            x += product(r);
        else if (take(r, '-'))
            x -= product(r);
        else
            return x;
}

static double text_value(const hnn_system *s, const char *text, int n, const double z[], double v, double t)
{
    reader r = {.at = text, .system = s, .q = z, .p = z + n, .n = n, .v = v, .t = t};
    double x = sum_of(&r);
    blank(&r);
    cr_assert(!r.error && !*r.at, "%s: not understood at '%s' in %s", s->name, r.error ? r.error : r.at,
              text);
    return x;
}

static double energy(const hnn_system *s, int n, const double z[])
{
    hnn_text text = {0};
    hnn_error e;
    cr_assert_eq(hnn_system_hamiltonian(s, n, &text, &e), HNN_OK, "%s", e.message);
    double x = text_value(s, text.s, n, z, 0, 0);
    hnn_text_free(&text);
    return x;
}

static double P(const hnn_system *s, const char *name)
{
    int i = hnn_system_parameter(s, name);
    cr_assert_geq(i, 0, "%s has no %s", s->name, name);
    return s->parameter[i].value;
}

/* H again, by other means: from positions and velocities, by loops, by the literature's number */
static double again(const hnn_system *s, int n, const double *q)
{
    const double *p = q + n;
    const char *name = s->name;
    double h = 0;
    if (!strcmp(name, "spring"))
        return q[0] * q[0] + p[0] * p[0];
    if (!strcmp(name, "spring-mk") || !strcmp(name, "damped-spring"))
        return P(s, "m") * pow(p[0] / P(s, "m"), 2) / 2 + P(s, "k") * q[0] * q[0] / 2;
    if (!strcmp(name, "pendulum"))
        return 6 * pow(sin(q[0] / 2), 2) + p[0] * p[0];
    if (!strcmp(name, "pendulum-mgl"))
        return p[0] * p[0] / 2 / (P(s, "m") * pow(P(s, "l"), 2)) +
               2 * P(s, "m") * P(s, "g") * P(s, "l") * pow(sin(q[0] / 2), 2);
    if (!strcmp(name, "driven-pendulum"))
        return p[0] * p[0] / 2 + 2 * pow(sin(q[0] / 2), 2);
    if (!strcmp(name, "double-well"))
        return p[0] * p[0] / 2 + pow(q[0], 4) / 4 - q[0] * q[0] / 2 + 0.25;
    if (!strcmp(name, "duffing"))
        return p[0] * p[0] / 2 + q[0] * q[0] / 2 + pow(q[0], 4) / 4;
    if (!strcmp(name, "henon-heiles")) { /* polar: the cubic term is -r^3 sin(3 phi)/3 up to sign */
        double r = hypot(q[0], q[1]), phi = atan2(q[1], q[0]);
        return (p[0] * p[0] + p[1] * p[1] + r * r) / 2 + r * r * r * sin(3 * phi) / 3;
    }
    if (!strcmp(name, "kepler"))
        return pow(hypot(p[0], p[1]), 2) / 2 - 1 / hypot(q[0], q[1]);
    if (!strcmp(name, "nonseparable"))
        return (q[0] * q[0] * p[0] * p[0] + q[0] * q[0] + p[0] * p[0] + 1) / 2;
    if (!strcmp(name, "magnetic")) { /* kinetic + L omega term + diamagnetic term, unit m, c, B */
        double L = q[0] * p[1] - q[1] * p[0];
        return (p[0] * p[0] + p[1] * p[1]) / 2 - L / 2 + (q[0] * q[0] + q[1] * q[1]) / 8;
    }
    if (!strcmp(name, "double-pendulum")) { /* p = M v; T = v' M v / 2; lengths and masses 1 */
        double c = cos(q[0] - q[1]), det = 2 - c * c;
        double v0 = (p[0] - c * p[1]) / det, v1 = (2 * p[1] - c * p[0]) / det;
        double vx = v0 * cos(q[0]) + v1 * cos(q[1]), vy = v0 * sin(q[0]) + v1 * sin(q[1]);
        return v0 * v0 / 2 + (vx * vx + vy * vy) / 2 + 9.81 * (3 - 2 * cos(q[0]) - cos(q[1]));
    }
    for (int i = 0; i < n; i++)
        h += p[i] * p[i] / 2; /* unit masses */
    if (!strcmp(name, "fput")) {
        for (int i = 0; i <= n; i++) {
            double r = (i < n ? q[i] : 0) - (i ? q[i - 1] : 0);
            h += r * r / 2 + P(s, "alpha") * r * r * r / 3 + P(s, "beta") * r * r * r * r / 4;
        }
        return h;
    }
    if (!strcmp(name, "toda")) {
        for (int i = 0; i < n; i++)
            h += expm1(q[i] - q[(i + 1) % n]);
        return h;
    }
    if (!strcmp(name, "coupled-springs")) {
        for (int i = 0; i < n; i++)
            h += q[i] * q[i] / 2 + (i ? 0.25 * pow(q[i] - q[i - 1], 2) : 0);
        return h;
    }
    cr_assert(s->space, "%s has no second formula", name);
    h = 0;
    double eps = P(s, "eps");
    int d = s->space;
    char a[16], b[16];
    for (int i = 0; i < n / d; i++) {
        snprintf(a, sizeof a, strcmp(name, "n-body") ? "m%d" : "m", i + 1);
        for (int k = 0; k < d; k++)
            h += p[d * i + k] * p[d * i + k] / 2 / P(s, a);
        for (int j = 0; j < i; j++) {
            double r2 = eps * eps;
            snprintf(b, sizeof b, strcmp(name, "n-body") ? "m%d" : "m", j + 1);
            for (int k = 0; k < d; k++)
                r2 += pow(q[d * i + k] - q[d * j + k], 2);
            h -= P(s, "G") * P(s, a) * P(s, b) / sqrt(r2);
        }
    }
    return h;
}

Test(systems, texts_are_the_functions_they_name_over_the_whole_box)
{
    for (int i = 0; i < hnn_system_count(); i++) {
        const hnn_system *s = hnn_system_at(i);
        int sizes[3] = {s->dof, s->min_dof, s->min_dof ? s->min_dof + 2 : 0};
        for (int k = 0; k < 3; k++) {
            int n = sizes[k], accepted = 0;
            double z[64], lo[64], hi[64];
            hnn_error e;
            if (!n)
                continue;
            cr_assert_eq(hnn_system_box(s, n, NULL, lo, hi, &e), HNN_OK, "%s", e.message);
            unsigned long state = 1; /* a plain congruential generator */
            for (int trial = 0; trial < 200; trial++) {
                for (int j = 0; j < 2 * n; j++) {
                    state = (state * 1103515245ul + 12345ul) & 0x7ffffffful;
                    z[j] = lo[j] + (hi[j] - lo[j]) * ((double)state / 0x7fffffff);
                }
                double h = energy(s, n, z), want = again(s, n, z);
                accepted += s->energy[0] == s->energy[1] || (h >= s->energy[0] && h <= s->energy[1]);
                /* both forms cancel terms of order 10 or less */
                cr_assert_float_eq(h, want, 1e-13 * (10 + fabs(want)), "%s n=%d: %.17g, not %.17g", s->name,
                                   n, h, want);
            }
            cr_assert_geq(accepted, 60, "%s: the energies reject %d of 200 samples", s->name, 200 - accepted);
        }
    }
}

Test(systems, rows_are_complete_and_found_by_name)
{
    hnn_error e;
    for (int i = 0; i < hnn_system_count(); i++) {
        const hnn_system *s = hnn_system_at(i);
        cr_assert_eq(hnn_system_find(s->name, &e), s, "%s: not found, or twice", s->name);
        cr_assert(s->title && s->source && s->dof >= 1, "%s", s->name);
        cr_assert(s->span > 0 && s->step > 0 && s->step < s->span && s->energy[0] <= s->energy[1], "%s",
                  s->name);
        cr_assert_eq(s->H == NULL, s->space > 0, "%s: text, or bodies", s->name);
        double z[36] = {0.3}, x;
        if (s->dissipation) { /* a Rayleigh function is not negative and 0 at rest */
            cr_assert_eq(text_value(s, s->dissipation, s->dof, z, 0, 0), 0);
            cr_assert_gt(text_value(s, s->dissipation, s->dof, z, -1, 0), 0);
        }
        if (s->drive) {
            x = text_value(s, s->drive, s->dof, z, 0, 2);
            cr_assert_float_eq(x, 1.5 * cos(4.0 / 3), 1e-15, "%s: %g", s->name, x);
        }
    }
    cr_assert_null(hnn_system_at(-1));
    cr_assert_null(hnn_system_at(hnn_system_count()));
    cr_assert_null(hnn_system_find("pendulun", &e));
    cr_assert(strstr(e.message, "pendulun") && strstr(e.message, "henon-heiles") &&
                  strstr(e.message, "driven-pendulum"),
              "%s", e.message);
}

/* central difference of H, h = 1e-5: O(h^2) + eps/h, 1e-9 */
static double slope(const hnn_system *s, int n, double z[], int i)
{
    double h = 1e-5, z0 = z[i];
    z[i] = z0 + h;
    double up = energy(s, n, z);
    z[i] = z0 - h;
    double down = energy(s, n, z);
    z[i] = z0;
    return (up - down) / (2 * h);
}

Test(systems, ring_of_bodies_moves_on_its_circle)
{
    const struct {
        const char *name;
        int dof;
    } rings[] = {{"two-body", 4}, {"three-body", 6}, {"three-body-soft", 6}, {"n-body", 8}, {"n-body", 14}};
    for (size_t k = 0; k < sizeof rings / sizeof *rings; k++) {
        const hnn_system *s = hnn_system_find(rings[k].name, NULL);
        int n = rings[k].dof;
        double z[64];
        cr_assert_eq(hnn_system_start(s, n, NULL, z, NULL), HNN_OK);
        for (int b = 0; b < n / 2; b++) { /* q'' = -|v|^2 q on the unit circle, and v is across q */
            double *q = z + 2 * b, *p = z + n + 2 * b, v2 = p[0] * p[0] + p[1] * p[1];
            cr_assert_float_eq(q[0] * p[0] + q[1] * p[1], 0, 1e-15);
            for (int c = 0; c < 2; c++)
                cr_assert_float_eq(slope(s, n, z, 2 * b + c), v2 * q[c], 1e-8, "%s body %d", s->name, b);
        }
    }
}

Test(systems, outer_planets_have_the_periods_of_the_almanac)
{
    const hnn_system *s = hnn_system_find("outer-solar-system", NULL);
    /* sidereal periods in years; the osculating ones differ by the perturbations, less than 3 % */
    const double years[] = {11.862, 29.457, 84.011, 164.79, 247.94};
    double z[36], G = P(s, "G");
    char name[16];
    cr_assert_eq(hnn_system_start(s, 0, NULL, z, NULL), HNN_OK);
    for (int b = 1; b < 6; b++) {
        double r2 = 0, v2 = 0;
        snprintf(name, sizeof name, "m%d", b + 1);
        double m = P(s, name), mu = G * (P(s, "m1") + m);
        for (int k = 0; k < 3; k++)
            r2 += pow(z[3 * b + k], 2), v2 += pow(z[18 + 3 * b + k] / m, 2);
        double a = 1 / (2 / sqrt(r2) - v2 / mu), period = 2 * acos(-1) * sqrt(a * a * a / mu) / 365.25;
        cr_assert_float_eq(period, years[b - 1], 0.03 * years[b - 1], "body %d: %g years", b, period);
    }
}

Test(systems, wrong_sizes_are_refused_with_the_right_ones)
{
    const struct {
        const char *name, *says;
        int dof;
    } bad[] = {{"pendulum", "has 1 degrees", 2},
               {"fput", "2 to 4096", 1},
               {"n-body", "multiple", 7},
               {"toda", "2 to 4096", -3},
               {"toda", "4096", 5000}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hnn_error e = {0};
        hnn_text text = {0};
        double z[4];
        const hnn_system *s = hnn_system_find(bad[i].name, NULL);
        cr_assert_eq(hnn_system_hamiltonian(s, bad[i].dof, &text, &e), HNN_ESHAPE);
        cr_assert(strstr(e.message, bad[i].says) && strstr(e.message, bad[i].name), "%s", e.message);
        cr_assert_eq(hnn_system_start(s, bad[i].dof, NULL, z, &e), HNN_ESHAPE);
        cr_assert_eq(hnn_system_box(s, bad[i].dof, NULL, z, z, &e), HNN_ESHAPE);
        cr_assert_null(text.s);
    }
}
