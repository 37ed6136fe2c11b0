/* model.c - the rows of models.def: how parameters make a Hamiltonian, friction or a field. Invariant: a function here
 * only records; numbers of the model enter as parameters (theta) or as constants (scaling) of the tape. */
/* SPDX-License-Identifier: MIT */
#include "model.h"
#include "field.h"
#include "model_rows.h"

#include <stdio.h>
#include <string.h>

int hnn_part_columns(const hnn_part *part, int dof, unsigned angles)
{
    int columns = part->sees == HNN_SEES_Z ? 2 * dof : part->sees == HNN_SEES_PAIR ? 1 : dof;
    for (int i = 0; i < dof && i < 32 && (part->sees == HNN_SEES_Z || part->sees == HNN_SEES_Q); i++)
        columns += angles >> i & 1;
    return columns;
}

int hnn_part_outputs(const hnn_part *part, int dof)
{
    switch (part->gives) {
    case HNN_GIVES_N:
        return dof;
    case HNN_GIVES_2N:
        return 2 * dof;
    case HNN_GIVES_TRIANGLE_N:
        return dof * (dof + 1) / 2;
    case HNN_GIVES_TRIANGLE_2N:
        return dof * (2 * dof + 1);
    default:
        return 1;
    }
}

/* Columns [from, to) of z as the network sees them: scaled, angles as cosines, their sines behind all others. */
static ad_var network_input(const hnn_model *m, ad_var z, int from, int to)
{
    const hnn_model_spec *s = &m->spec;
    int angle[32], angles = 0, first = from;
    ad_var piece[3 * 32 + 1];
    int pieces = 0;
    ad_tape *t = z.tape;
    for (int i = from; i <= to; i++) { /* runs of columns that are no angles, scaled together */
        int is_angle = i < to && i < s->dof && i < 32 && s->angles >> i & 1;
        if (i < to && !is_angle)
            continue;
        if (i > first) {
            ad_var x = ad_cols_of(z, first, i - first);
            if (s->mean)
                x = ad_sub(x, ad_const(t, 1, i - first, s->mean + first));
            if (s->scale)
                x = ad_div(x, ad_const(t, 1, i - first, s->scale + first));
            piece[pieces++] = x;
        }
        if (is_angle) {
            angle[angles++] = i;
            piece[pieces++] = ad_cos(ad_cols_of(z, i, 1));
        }
        first = i + 1;
    }
    for (int k = 0; k < angles; k++)
        piece[pieces++] = ad_sin(ad_cols_of(z, angle[k], 1));
    return pieces == 1 ? piece[0] : ad_concat_cols(pieces, piece);
}

/* The layers of a part from its input on. */
static ad_var layers(const hnn_model *m, int which, ad_var x, const ad_var param[], int features)
{
    int i = which *
            (2 * m->spec.layers + 1); /* a weight and a bias for each hidden layer, then the last matrix */
    char text[48];
    const char *names[] = {"x"};
    snprintf(text, sizeof text, "%s(x)", m->spec.activation);
    for (int layer = 0; layer < m->spec.layers; layer++, i += 2) {
        ad_var sum = ad_add(ad_matmul(x, param[i]), param[i + 1]);
        x = ad_parse(x.tape, text, 1, names, &sum);
    }
    return features ? x : ad_matmul(x, param[i]);
}

ad_var hnn_part_network(const hnn_model *m, int which, ad_var z, const ad_var param[], int features)
{
    const hnn_part *part = &m->row->part[which];
    int n = m->spec.dof;
    ad_var x = network_input(m, z, part->sees == HNN_SEES_P ? n : 0, part->sees == HNN_SEES_Q ? n : 2 * n);
    return layers(m, which, x, param, features);
}

static int part_named(const hnn_model *m, const char *name)
{
    for (int k = 0; k < HNN_PARTS; k++)
        if (m->row->part[k].name && !strcmp(m->row->part[k].name, name))
            return k;
    return 0;
}

static ad_var network(const hnn_model *m, const char *part, ad_var z, const ad_var param[])
{
    return hnn_part_network(m, part_named(m, part), z, param, 0);
}

static ad_var times(double factor, ad_var x) { return factor == 1 ? x : ad_mul(ad_num(factor), x); }

/* The network's lower triangle plus the identity: starts as one, and L L' is positive semidefinite for all weights. */
static ad_var triangle(const hnn_model *m, const char *part, int n, double diagonal, ad_var z,
                       const ad_var param[])
{
    ad_var L = ad_row_tril_unpack(network(m, part, z, param), n);
    return diagonal == 0 ? L : ad_add(L, ad_reshape(times(diagonal, ad_eye(z.tape, n)), 1, n * n));
}

static ad_var H_network(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    return times(m->spec.energy_scale, network(m, "H", z, param));
}

static ad_var H_separable(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    return times(m->spec.energy_scale, ad_add(network(m, "T", z, param), network(m, "V", z, param)));
}

/* M = L L' + eps in units of p^2/energy. eps keeps M invertible for all weights; relative to the start M = 1. */
static const double mass_floor = 1e-6;

static ad_var mass_cholesky(const hnn_model *m, ad_var z, const ad_var param[])
{
    int n = m->spec.dof;
    ad_var L = triangle(m, "M", n, 1, z, param);
    ad_var M = ad_row_matmul(L, ad_row_transpose(L, n, n), n, n, n);
    return ad_row_cholesky(ad_add(M, ad_reshape(times(mass_floor, ad_eye(z.tape, n)), 1, n * n)), n);
}

static ad_var H_mass(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    int n = m->spec.dof;
    ad_var p = ad_cols_of(z, n, n); /* scaled but not shifted: T is quadratic in p itself */
    if (m->spec.scale)
        p = ad_div(p, ad_const(z.tape, 1, n, m->spec.scale + n));
    ad_var w = ad_row_trisolve(mass_cholesky(m, z, param), p, n, 1, 0);
    ad_var T = ad_mul(ad_num(0.5), ad_row_dot(w, w));
    return times(m->spec.energy_scale, ad_add(T, network(m, "V", z, param)));
}

/* U sees log r: a power law is an exponential of it, and near and far are equally spread. All pairs of all rows go through
 * the network as one tall column. */
static ad_var H_pairs(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    int n = m->spec.dof, d = m->spec.space, bodies = n / d, pairs = 0;
    int first[HNN_MAX_BODIES * (HNN_MAX_BODIES - 1) / 2 * HNN_MAX_SPACE];
    int second[HNN_MAX_BODIES * (HNN_MAX_BODIES - 1) / 2 * HNN_MAX_SPACE];
    for (int a = 0; a < bodies; a++)
        for (int b = a + 1; b < bodies; b++, pairs++)
            for (int k = 0; k < d; k++)
                first[pairs * d + k] = a * d + k, second[pairs * d + k] = b * d + k;
    ad_var p = ad_cols_of(z, n, n), mass = param[2 * m->spec.layers + 1];
    ad_var T = ad_div(ad_row_dot(p, p), ad_mul(ad_num(2), mass));
    if (!pairs)
        return T;
    ad_var apart = ad_sub(ad_gather_cols(z, pairs * d, first), ad_gather_cols(z, pairs * d, second));
    int rows = ad_rows(z) * pairs;
    ad_var r2 = ad_sum_cols(ad_reshape(ad_square(apart), rows, d));
    ad_var U = layers(m, 0, ad_mul(ad_num(0.5), ad_log(r2)), param, 0);
    return ad_add(T, times(m->spec.energy_scale, ad_sum_cols(ad_reshape(U, ad_rows(z), pairs))));
}

/* D = v'C(q)v/2 with C = L L': convex in v, so friction never adds energy. */
static ad_var D_network(const void *context, ad_var y, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    int n = m->spec.dof;
    ad_var Lt = ad_row_transpose(triangle(m, "D", n, 0, y, param), n, n);
    ad_var w = ad_row_matmul(Lt, ad_cols_of(y, n, n), n, n, 1);
    return ad_mul(ad_num(0.5), ad_row_dot(w, w));
}

static ad_var R_network(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    return triangle(m, "R", 2 * m->spec.dof, 0, z, param);
}

static ad_var g_network(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    return network(context, "g", z, param);
}

static ad_var rates(const hnn_model *m, ad_var f, int from)
{
    if (!m->spec.rate_scale)
        return f;
    return ad_mul(f, ad_const(f.tape, 1, ad_cols(f), m->spec.rate_scale + from));
}

static ad_var rate_network(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    return rates(context, network(context, "f", z, param), 0);
}

static ad_var rate_second(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time;
    const hnn_model *m = context;
    int n = m->spec.dof;
    ad_var part[2] = {ad_cols_of(z, n, n), rates(m, network(m, "a", z, param), n)};
    return ad_concat_cols(2, part);
}

enum { TEXT_NAMES = 64 };

ad_var hnn_model_parsed(const hnn_model *m, const char *text, const char *second, ad_var z, ad_var time,
                        const ad_var param[])
{
    const char *names[TEXT_NAMES];
    ad_var vars[TEXT_NAMES];
    int n = m->spec.dof, used = 0, fitted = m->params;
    names[used] = "q", vars[used++] = ad_cols_of(z, 0, n);
    names[used] = second, vars[used++] = ad_cols_of(z, n, n);
    names[used] = "t", vars[used++] = time;
    for (int i = 0; i < m->spec.constants; i++) /* fitted constants are the last parameters */
        fitted -= m->spec.constant[i].fit != 0;
    for (int i = 0; i < m->spec.constants && used < TEXT_NAMES; i++) {
        names[used] = m->spec.constant[i].name;
        vars[used++] = m->spec.constant[i].fit ? param[fitted++] : ad_num(m->spec.constant[i].value);
    }
    return ad_parse(z.tape, text, used, names, vars);
}

ad_var hnn_model_text(const hnn_model *m, const char *text, const char *second, ad_var z, ad_var time,
                      const ad_var param[])
{
    ad_var H = hnn_model_parsed(m, text, second, z, time, param);
    if (ad_is_number(H)) /* a text without a state, e.g. a constant drive */
        return ad_fill(z.tape, ad_rows(z), 1, H.value);
    return ad_rows(H) == ad_rows(z) && ad_cols(H) == 1 ? H : ad_expand(H, ad_rows(z), 1);
}

static ad_var H_text(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    const hnn_model *m = context;
    return hnn_model_text(m, m->spec.H, "p", z, time, param);
}

ad_var hnn_rayleigh_text(const void *context, ad_var y, ad_var time, const ad_var param[])
{
    const hnn_model *m = context;
    return hnn_model_text(m, m->spec.dissipation, "v", y, time, param);
}

static const hnn_model_row rows[] = {
#define MODEL(n, ...) {.name = n, __VA_ARGS__},
#include "models.def"
#undef MODEL
};

int hnn_model_count(void) { return (int)(sizeof rows / sizeof *rows); }

const hnn_model_row *hnn_model_at(int i) { return i >= 0 && i < hnn_model_count() ? &rows[i] : NULL; }

const hnn_model_row *hnn_model_find(const char *name, hnn_error *e)
{
    char list[300] = "";
    size_t used = 0;
    for (int i = 0; i < hnn_model_count(); i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
        int n = snprintf(list + used, sizeof list - used, " %s", rows[i].name);
        used += n > 0 && (size_t)n < sizeof list - used ? (size_t)n : 0;
    }
    hnn_fail(e, HNN_EARG, "no model is called '%.40s'; there are%s", name, list);
    return NULL;
}

/* ---- A model on a tape ------------------------------------------------------------------------------------------- */

/* With velocities in the data, z = (q, v) and p = M(q) v; in units of the model, scale_p w = p. */
int hnn_model_velocities(const hnn_model *m) { return m->spec.coords != HNN_QP && m->row->H == H_mass; }

/* M(q) v of the rows (q, v). */
static ad_var mass_times(const hnn_model *m, ad_var z, ad_var v, const ad_var param[])
{
    int n = m->spec.dof;
    ad_var C = mass_cholesky(m, z, param), s = v;
    if (m->spec.scale) /* H = E w'M^-1 w/2 with w = p/scale: v = dH/dp = E M^-1 w/scale */
        s = ad_mul(s, ad_const(z.tape, 1, n, m->spec.scale + n));
    s = ad_row_matmul(C, ad_row_matmul(ad_row_transpose(C, n, n), s, n, n, 1), n, n, 1);
    s = times(1 / m->spec.energy_scale, s);
    return m->spec.scale ? ad_mul(s, ad_const(z.tape, 1, n, m->spec.scale + n)) : s;
}

static ad_var momenta(const hnn_model *m, ad_var z, const ad_var param[])
{
    int n = m->spec.dof;
    ad_var part[2] = {ad_cols_of(z, 0, n), mass_times(m, z, ad_cols_of(z, n, n), param)};
    return ad_concat_cols(2, part);
}

ad_var hnn_model_energy(const hnn_model *m, const ad_var param[], ad_var z, ad_var time)
{
    if (!m->row->H) {
        ad_var none = {.tape = z.tape};
        none.id = -1;
        return none;
    }
    ad_var x = hnn_model_velocities(m) ? momenta(m, z, param) : z;
    ad_var H = m->row->H(m, x, time, param);
    if (m->spec.no_gauge)
        return H;
    ad_var at = ad_const(z.tape, 1, 2 * m->spec.dof, m->spec.reference);
    return ad_sub(H, m->row->H(m, at, ad_num(0), param));
}

/* The force that acts when a drive is given and the row has no g of its own: on p[1]. */
static ad_var first_force(const void *context, ad_var z, ad_var time, const ad_var param[])
{
    (void)time, (void)param;
    const hnn_model *m = context;
    int n = m->spec.dof;
    ad_var one = ad_fill(z.tape, 1, 1, 1.0);
    return ad_pad(one, 0, 0, n, n - 1);
}

ad_var hnn_model_field(const hnn_model *m, const ad_var param[], ad_var z, ad_var time)
{
    if (m->row->rate)
        return m->row->rate(m, z, time, param);
    hnn_structure s = {.context = m, .D = m->row->D, .R = m->row->R};
    ad_var u = ad_num(0);
    if (m->spec.dissipation)
        s.D = hnn_rayleigh_text;
    if (m->spec.drive) {
        s.g = m->row->g ? m->row->g : first_force;
        u = hnn_model_text(m, m->spec.drive, "p", z, time, param);
    }
    if (!hnn_model_velocities(m))
        return hnn_field(m->row->H, &s, z, time, u, param);
    /* p = M v: v' = M^-1 (p' - (dM/dq q') v), and q' is v itself */
    int n = m->spec.dof;
    ad_var v = ad_cols_of(z, n, n), f = hnn_field(m->row->H, &s, momenta(m, z, param), time, u, param);
    ad_var zero = ad_mul(ad_num(0), v), along[2] = {v, zero}, dz = ad_concat_cols(2, along), change;
    ad_var Mv = mass_times(m, z, v, param);
    ad_jvp(1, &Mv, 1, &z, &dz, &change);
    ad_var force = ad_sub(ad_cols_of(f, n, n), change);
    ad_var sp = m->spec.scale ? ad_const(z.tape, 1, n, m->spec.scale + n) : ad_num(1);
    ad_var C = mass_cholesky(m, z, param);
    ad_var a = ad_row_trisolve(C, ad_row_trisolve(C, ad_div(force, sp), n, 1, 0), n, 1, 1);
    ad_var part[2] = {v, ad_div(times(m->spec.energy_scale, a), sp)};
    return ad_concat_cols(2, part);
}

ad_var hnn_model_features(const hnn_model *m, const ad_var param[], ad_var z)
{
    if (m->row->H == H_network)
        return hnn_part_network(m, 0, z, param, 1);
    ad_var none = {.tape = z.tape};
    none.id = -1;
    return none;
}
