/* systems.c - the rows of systems.def, and what is generated from a row: the pair sums of bodies, a starting state,
 * the sampling box. Invariant: nothing here changes; a row can be used from every thread. */
/* SPDX-License-Identifier: MIT */
#include "systems.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Heliocentric positions (au), then momenta m v (m_Sun au/d), 1994-09-05 0h. Hairer, Lubich, Wanner (2006), I.2.4,
 * list velocities; the products keep them readable. The digits were compared in three independent transcriptions. */
static const double outer_solar_system[36] = {
    /* Sun      */ 0,
    0,
    0,
    /* Jupiter  */ -3.5023653,
    -3.8169847,
    -1.5507963,
    /* Saturn   */ 9.0755314,
    -3.0458353,
    -1.6483708,
    /* Uranus   */ 8.3101420,
    -16.2901086,
    -7.2521278,
    /* Neptune  */ 11.4707666,
    -25.7294829,
    -10.8169456,
    /* Pluto    */ -15.5387357,
    -25.2225594,
    -3.1902382,
    /* Sun      */ 0,
    0,
    0,
    /* Jupiter  */ 0.000954786104043 * 0.00565429,
    0.000954786104043 * -0.00412490,
    0.000954786104043 * -0.00190589,
    /* Saturn   */ 0.000285583733151 * 0.00168318,
    0.000285583733151 * 0.00483525,
    0.000285583733151 * 0.00192462,
    /* Uranus   */ 0.0000437273164546 * 0.00354178,
    0.0000437273164546 * 0.00137102,
    0.0000437273164546 * 0.00055029,
    /* Neptune  */ 0.0000517759138449 * 0.00288930,
    0.0000517759138449 * 0.00114527,
    0.0000517759138449 * 0.00039677,
    /* Pluto    */ 0.00276725 / 1.3e8,
    -0.00170702 / 1.3e8,
    -0.00136504 / 1.3e8,
};

static const hnn_system rows[] = {
#define SYSTEM(n, ...) {.name = n, __VA_ARGS__},
#include "systems.def"
#undef SYSTEM
};

int hnn_system_count(void) { return (int)(sizeof rows / sizeof *rows); }

const hnn_system *hnn_system_at(int i) { return i >= 0 && i < hnn_system_count() ? &rows[i] : NULL; }

const hnn_system *hnn_system_find(const char *name, hnn_error *e)
{
    char list[400] = "";
    size_t used = 0;
    for (int i = 0; i < hnn_system_count(); i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
        int n = snprintf(list + used, sizeof list - used, " %s", rows[i].name);
        used += n > 0 && (size_t)n < sizeof list - used ? (size_t)n : 0;
    }
    hnn_fail(e, HNN_EARG, "no system is called '%.40s'; there are%s", name, list);
    return NULL;
}

int hnn_system_parameter(const hnn_system *s, const char *name)
{
    for (int i = 0; i < HNN_SYSTEM_PARAMETERS && s->parameter[i].name; i++)
        if (!strcmp(s->parameter[i].name, name))
            return i;
    return -1;
}

static int system_dof(const hnn_system *s, int *dof, hnn_error *e)
{
    int d = *dof = *dof ? *dof : s->dof;
    if (d == s->dof)
        return HNN_OK;
    if (!s->min_dof)
        return hnn_fail(e, HNN_ESHAPE, "%s has %d degrees of freedom, not %d", s->name, s->dof, d);
    if (d < s->min_dof || d > HNN_SYSTEM_MAX_DOF)
        return hnn_fail(e, HNN_ESHAPE, "%s takes %d to %d degrees of freedom, not %d", s->name, s->min_dof,
                        HNN_SYSTEM_MAX_DOF, d);
    if (s->space && d % s->space)
        return hnn_fail(e, HNN_ESHAPE, "%s has %d degrees of freedom for each body: %d is not a multiple",
                        s->name, s->space, d);
    return HNN_OK;
}

/* one mass for all is called m, own masses m1, m2, ... */
static void mass_name(const hnn_system *s, int body, char name[16])
{
    if (hnn_system_parameter(s, "m") >= 0)
        snprintf(name, 16, "m");
    else
        snprintf(name, 16, "m%d", body);
}

int hnn_system_hamiltonian(const hnn_system *s, int dof, hnn_text *out, hnn_error *e)
{
    int code = system_dof(s, &dof, e);
    if (code)
        return code;
    if (s->H)
        hnn_text_add(out, s->H);
    int d = s->space, bodies = d ? dof / d : 0;
    char a[16], b[16];
    for (int i = 1; i <= bodies; i++) {
        mass_name(s, i, a);
        for (int k = 1; k <= d; k++)
            hnn_text_printf(out, "%sp[%d]^2", k > 1 ? " + " : i > 1 ? " + (" : "(", d * (i - 1) + k);
        hnn_text_printf(out, ")/(2*%s)", a);
    }
    for (int i = 1; i <= bodies; i++)
        for (int j = i + 1; j <= bodies; j++) {
            mass_name(s, i, a);
            mass_name(s, j, b);
            hnn_text_printf(out, " - G*%s*%s/sqrt(", a, b);
            for (int k = 1; k <= d; k++)
                hnn_text_printf(out, "(q[%d] - q[%d])^2 + ", d * (i - 1) + k, d * (j - 1) + k);
            hnn_text_add(out, "eps^2)");
        }
    return hnn_text_status(out, e);
}

static double parameter_value(const hnn_system *s, const double value[], const char *name)
{
    int i = hnn_system_parameter(s, name);
    return i < 0 ? 0 : value ? value[i] : s->parameter[i].value;
}

/* Equal masses at the corners of a regular polygon of radius 1 in uniform rotation: body j, seen under the angle
 * 2x, x = pi j/N, is at distance 2 sin x and pulls inwards with 2 sin(x)^2 G m/(4 sin(x)^2 + eps^2)^(3/2). */
static void ring(const hnn_system *s, int dof, const double value[], double z[])
{
    const double pi = 3.14159265358979323846;
    int d = s->space, bodies = dof / d;
    double G = parameter_value(s, value, "G"), eps = parameter_value(s, value, "eps"), pull = 0;
    double m = parameter_value(s, value, hnn_system_parameter(s, "m") >= 0 ? "m" : "m1");
    for (int j = 1; j < bodies; j++) {
        double r = 2 * sin(pi * j / bodies), r2 = r * r + eps * eps;
        pull += G * m * r * r / 2 / (r2 * sqrt(r2));
    }
    memset(z, 0, sizeof(double) * 2 * (size_t)dof);
    for (int b = 0; b < bodies; b++) {
        double angle = 2 * pi * b / bodies, speed = sqrt(pull);
        z[d * b] = cos(angle), z[d * b + 1] = sin(angle);
        z[dof + d * b] = -m * speed * sin(angle), z[dof + d * b + 1] = m * speed * cos(angle);
    }
}

int hnn_system_start(const hnn_system *s, int dof, const double value[], double z[], hnn_error *e)
{
    int code = system_dof(s, &dof, e);
    if (code)
        return code;
    if (s->start)
        memcpy(z, s->start, sizeof(double) * 2 * (size_t)dof);
    else if (s->space)
        ring(s, dof, value, z);
    else
        for (int i = 0; i < 2 * dof; i++) {
            const double *box = s->min_dof ? s->box[i >= dof] : s->box[i];
            z[i] = (box[0] + box[1]) / 2;
        }
    return HNN_OK;
}

int hnn_system_box(const hnn_system *s, int dof, const double value[], double lo[], double hi[], hnn_error *e)
{
    int code = hnn_system_start(s, dof, value, lo, e);
    if (code)
        return code;
    dof = dof ? dof : s->dof;
    for (int block = 0; block < 2; block++) {
        double largest = 0;
        for (int i = block * dof; i < (block + 1) * dof; i++)
            largest = fmax(largest, fabs(lo[i]));
        for (int i = block * dof; i < (block + 1) * dof; i++) {
            const double *box = s->min_dof ? s->box[block] : s->box[s->space ? 0 : i];
            double middle = lo[i];
            lo[i] = s->space ? middle - s->spread * largest : box[0];
            hi[i] = s->space ? middle + s->spread * largest : box[1];
        }
    }
    return HNN_OK;
}
