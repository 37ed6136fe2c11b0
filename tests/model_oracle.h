/* model_oracle.h - every model row once more, in complex long double: gradients by complex steps, so without the tape,
 * its rules or its order of operations. Reads a model's spec and list of matrices only. */
/* SPDX-License-Identifier: MIT */
#ifndef MODEL_ORACLE_H
#define MODEL_ORACLE_H

#include "model.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef long double real;
typedef long double complex cplx;
enum { OMAX = 8 }; /* 2 dof at most, and a triangle of 2 dof for dof 1 */

typedef struct oracle {
    const hnn_model *m;
    const real *theta;
} oracle;

static cplx oracle_activation(const char *name, cplx x)
{
    if (!strcmp(name, "tanh"))
        return ctanhl(x);
    if (!strcmp(name, "sin"))
        return csinl(x);
    return clogl(1 + cexpl(x)); /* softplus */
}

static void oracle_layers(const oracle *o, int part, int in, const cplx input[], cplx out[])
{
    const hnn_model_spec *s = &o->m->spec;
    cplx x[64] = {0}, y[64] = {0};
    memcpy(x, input, sizeof *x * (size_t)in);
    int at = part * (2 * s->layers + 1);
    for (int layer = 0; layer <= s->layers; layer++, at += 2) {
        const hnn_param *w = &o->m->param[at];
        for (int b = 0; b < w->cols; b++) {
            cplx sum = layer < s->layers ? o->theta[o->m->param[at + 1].offset + b] : 0;
            for (int a = 0; a < w->rows; a++)
                sum += x[a] * o->theta[w->offset + a * w->cols + b];
            y[b] = layer < s->layers ? oracle_activation(s->activation, sum) : sum;
        }
        memcpy(x, y, sizeof x);
        in = w->cols;
    }
    memcpy(out, x, sizeof *out * (size_t)in);
}

static void oracle_network(const oracle *o, int part, const cplx z[], cplx out[])
{
    const hnn_model_spec *s = &o->m->spec;
    const hnn_part *p = &o->m->row->part[part];
    int n = s->dof, from = p->sees == HNN_SEES_P ? n : 0, to = p->sees == HNN_SEES_Q ? n : 2 * n, in = 0;
    cplx x[64] = {0};
    /* runs of plain columns and cosines in order, then the sines */
    for (int i = from; i < to; i++) {
        int angle = i < n && s->angles >> i & 1;
        x[in++] = angle ? ccosl(z[i]) : (z[i] - (s->mean ? s->mean[i] : 0)) / (s->scale ? s->scale[i] : 1);
    }
    for (int i = from; i < to; i++)
        if (i < n && s->angles >> i & 1)
            x[in++] = csinl(z[i]);
    oracle_layers(o, part, in, x, out);
}

/* Lower triangle with an added diagonal, as a full matrix. */
static void oracle_triangle(const oracle *o, int part, int n, real diagonal, const cplx z[], cplx L[])
{
    cplx v[64];
    oracle_network(o, part, z, v);
    for (int i = 0, k = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            L[i * n + j] = (j <= i ? v[k++] : 0) + (i == j ? diagonal : 0);
}

/* M = L L' + 1e-6, in units of the model. */
static void oracle_mass(const oracle *o, const cplx z[], cplx M[])
{
    int n = o->m->spec.dof;
    cplx L[64];
    oracle_triangle(o, 0, n, 1, z, L);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            M[i * n + j] = i == j ? 1e-6L : 0;
            for (int k = 0; k < n; k++)
                M[i * n + j] += L[i * n + k] * L[j * n + k];
        }
}

/* x = A^-1 b by elimination. */
static void oracle_solve(int n, const cplx A[], const cplx b[], cplx x[])
{
    cplx a[64];
    memcpy(a, A, sizeof *a * (size_t)(n * n));
    memcpy(x, b, sizeof *x * (size_t)n);
    for (int k = 0; k < n; k++)
        for (int i = k + 1; i < n; i++) {
            cplx f = a[i * n + k] / a[k * n + k];
            for (int j = k; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
            x[i] -= f * x[k];
        }
    for (int i = n - 1; i >= 0; i--) {
        for (int j = i + 1; j < n; j++)
            x[i] -= a[i * n + j] * x[j];
        x[i] /= a[i * n + i];
    }
}

/* H without gauge. The text row is H = a p^2/2 + b (1 - cos q1) + q1^2 q2^2 (dof 2) with fitted a, b. */
static cplx oracle_raw(const oracle *o, const cplx z[])
{
    const hnn_model_spec *s = &o->m->spec;
    const char *row = o->m->row->name;
    int n = s->dof;
    cplx out[64], sum = 0;
    if (!strcmp(row, "text")) {
        for (int i = 0; i < n; i++)
            sum += o->theta[0] * z[n + i] * z[n + i] / 2;
        sum += o->theta[1] * (1 - ccosl(z[0]));
        return n > 1 ? sum + z[0] * z[0] * z[1] * z[1] : sum;
    }
    if (!strcmp(row, "pairs")) { /* bodies on a line; only with the spec's space of 1 */
        for (int i = 0; i < n; i++)
            sum += z[n + i] * z[n + i] / (2 * o->theta[o->m->size - 1]);
        for (int a = 0; a < n; a++)
            for (int b = a + 1; b < n; b++) {
                cplx x = clogl((z[a] - z[b]) * (z[a] - z[b])) / 2;
                oracle_layers(o, 0, 1, &x, out);
                sum += s->energy_scale * out[0];
            }
        return sum;
    }
    if (!strcmp(row, "separable")) {
        oracle_network(o, 0, z, out);
        sum = out[0];
        oracle_network(o, 1, z, out);
        return s->energy_scale * (sum + out[0]);
    }
    if (!strcmp(row, "mass")) {
        cplx M[64], p[OMAX], w[OMAX];
        oracle_mass(o, z, M);
        for (int i = 0; i < n; i++)
            p[i] = z[n + i] / (s->scale ? s->scale[n + i] : 1);
        oracle_solve(n, M, p, w);
        for (int i = 0; i < n; i++)
            sum += p[i] * w[i] / 2;
        oracle_network(o, 1, z, out);
        return s->energy_scale * (sum + out[0]);
    }
    oracle_network(o, 0, z, out);
    return s->energy_scale * out[0];
}

static real oracle_energy(const oracle *o, const real z[])
{
    int size = 2 * o->m->spec.dof;
    cplx x[OMAX] = {0}, r[OMAX] = {0};
    for (int i = 0; i < size; i++)
        x[i] = z[i], r[i] = o->m->spec.reference[i];
    return creall(oracle_raw(o, x) - (o->m->spec.no_gauge ? 0 : oracle_raw(o, r)));
}

static void oracle_gradient(const oracle *o, const real z[], real g[])
{
    int size = 2 * o->m->spec.dof;
    cplx x[OMAX] = {0};
    for (int i = 0; i < size; i++) {
        for (int k = 0; k < size; k++)
            x[k] = z[k] + (k == i ? 1e-30L * I : 0);
        g[i] = cimagl(oracle_raw(o, x)) / 1e-30L;
    }
}

/* The drive of the port row in the tests is sin(2*t) + q[1]. */
static void oracle_canonical_field(const oracle *o, const real z[], real t, real f[])
{
    int n = o->m->spec.dof, size = 2 * n;
    const char *row = o->m->row->name;
    real g[OMAX];
    cplx x[OMAX] = {0}, out[64], L[64];
    for (int i = 0; i < size; i++)
        x[i] = z[i];
    if (!o->m->row->H) {
        oracle_network(o, 0, x, out);
        const double *rate = o->m->spec.rate_scale;
        int second = !strcmp(row, "node2");
        for (int i = 0; i < n && second; i++)
            f[i] = z[n + i], f[n + i] = creall(out[i]) * (rate ? rate[n + i] : 1);
        for (int i = 0; i < size && !second; i++)
            f[i] = creall(out[i]) * (rate ? rate[i] : 1);
        return;
    }
    oracle_gradient(o, z, g);
    for (int i = 0; i < n; i++)
        f[i] = g[n + i], f[n + i] = -g[i];
    if (!strcmp(row, "dissipative")) {
        oracle_triangle(o, 1, n, 0, x, L);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int k = 0; k < n; k++)
                    f[n + i] -= creall(L[i * n + k] * L[j * n + k]) * g[n + j];
    }
    if (!strcmp(row, "port")) {
        oracle_triangle(o, 1, size, 0, x, L);
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                for (int k = 0; k < size; k++)
                    f[i] -= creall(L[i * size + k] * L[j * size + k]) * g[j];
        oracle_network(o, 2, x, out);
        for (int i = 0; i < size && o->m->spec.drive; i++)
            f[i] += creall(out[i]) * (sinl(2 * t) + z[0]);
    }
}

/* p = M(q) v in physical units: H = E w'M^-1 w/2, w = p/scale, v = dH/dp. */
static void oracle_momenta(const oracle *o, const real q[], const real v[], real p[])
{
    const hnn_model_spec *s = &o->m->spec;
    int n = s->dof;
    cplx x[OMAX] = {0}, M[64];
    for (int i = 0; i < n; i++)
        x[i] = q[i];
    oracle_mass(o, x, M);
    for (int i = 0; i < n; i++) {
        p[i] = 0;
        for (int j = 0; j < n; j++)
            p[i] += creall(M[i * n + j]) * v[j] * (s->scale ? s->scale[n + j] : 1);
        p[i] *= (s->scale ? s->scale[n + i] : 1) / s->energy_scale;
    }
}

static void oracle_field(const oracle *o, const real z[], real t, real f[])
{
    int n = o->m->spec.dof;
    if (o->m->spec.coords == HNN_QP) {
        oracle_canonical_field(o, z, t, f);
        return;
    }
    /* v'(q, p(t)): differentiate v = dH/dp along the canonical flow, central differences of fourth order */
    real x[OMAX], rate[OMAX], v[4][OMAX], g[OMAX];
    memcpy(x, z, sizeof(real) * (size_t)n);
    oracle_momenta(o, z, z + n, x + n);
    oracle_canonical_field(o, x, t, rate);
    const real step = 1e-4L, at[4] = {-2, -1, 1, 2};
    for (int k = 0; k < 4; k++) {
        real y[OMAX];
        for (int i = 0; i < 2 * n; i++)
            y[i] = x[i] + at[k] * step * rate[i];
        oracle_gradient(o, y, g);
        memcpy(v[k], g + n, sizeof(real) * (size_t)n);
    }
    for (int i = 0; i < n; i++) {
        f[i] = z[n + i];
        f[n + i] = (v[0][i] - 8 * v[1][i] + 8 * v[2][i] - v[3][i]) / (12 * step);
    }
}

/* A small model of every row, with scaling, an angle and a reference. */
static const double oracle_mean[] = {0.1, -0.2, 0.3, 0.05}, oracle_scale[] = {1.5, 0.8, 1.2, 0.7},
                    oracle_rate[] = {1.1, 0.9, 1.3, 0.6}, oracle_reference[] = {0.2, -0.1, 0.4, 0.3};
static const hnn_constant oracle_constants[] = {{"a", 1.3, 1}, {"b", 0.7, 1}};

static hnn_model_spec oracle_spec(int row, int dof, int width)
{
    const hnn_model_row *r = hnn_model_at(row);
    hnn_model_spec s = {.model = r->name,
                        .dof = dof,
                        .width = width,
                        .angles = 1,
                        .energy_scale = 1.7,
                        .mean = oracle_mean,
                        .scale = oracle_scale,
                        .rate_scale = oracle_rate,
                        .reference = oracle_reference};
    if (r->flags & HNN_MODEL_TEXT) {
        s.H = dof == 1 ? "a*p^2/2 + b*(1 - cos(q))"
                       : "sum(i=1..n, a*p[i]^2/2) + b*(1 - cos(q[1])) + q[1]^2*q[2]^2";
        s.constant = oracle_constants, s.constants = 2;
    }
    if (r->part[0].sees == HNN_SEES_PAIR)
        s.angles = 0;
    if (!strcmp(r->name, "port"))
        s.drive = "sin(2*t) + q[1]";
    return s;
}

#endif
