/* loss.c - the residuals of losses.def, recorded. Invariant: a residual is zero when the model's flow passes through the
 * data, up to the order of the row. */
/* SPDX-License-Identifier: MIT */
#include "loss.h"
#include "field.h"
#include "loss_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ad_var scaled(double c, ad_var x) { return ad_mul(ad_num(c), x); }

static ad_var state(const hnn_model *m, ad_var z, int k)
{
    return ad_cols_of(z, 2 * m->spec.dof * k, 2 * m->spec.dof);
}

hnn_pair hnn_loss_pair(const hnn_model *m, ad_var t, ad_var z, int k)
{
    hnn_pair p = {.z0 = state(m, z, k),
                  .z1 = state(m, z, k + 1),
                  .t0 = ad_cols_of(t, k, 1),
                  .t1 = ad_cols_of(t, k + 1, 1)};
    p.change = ad_sub(p.z1, p.z0);
    p.middle = scaled(0.5, ad_add(p.z0, p.z1));
    p.h = ad_sub(p.t1, p.t0);
    p.half = scaled(0.5, ad_add(p.t0, p.t1));
    return p;
}

static ad_var derivative(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                         ad_var dz)
{
    (void)s;
    return ad_sub(hnn_model_field(m, param, z, t), dz);
}

/* Derivative of x (a function of z and time) along (v, 1): the time derivative when v = f; without time, (v, 0). */
static ad_var along(ad_var x, ad_var z, ad_var v, ad_var time, int moves)
{
    ad_var at[2] = {z, time}, by[2] = {v, ad_num(1)}, dx;
    ad_jvp(1, &x, 1 + moves, at, by, &dx);
    return dx;
}

/* The field under which the midpoint rule gives the exact flow of f, to order h^2 or h^4. With z(t) through the middle,
 * (z1-z0)/h = z' + h^2/24 z''' + h^4/1920 z^(5) and (z0+z1)/2 = z + h^2/8 z'' + h^4/384 z'''', all at the middle time;
 * eliminating z in favour of (z0+z1)/2 = x gives, with z2 = f'f, z3 = z2'f, ... at x,
 *   f + h^2/24 (z3 - 3 f'z2) + h^4 (z5/1920 - f'z4/384 - z3'z2/192 + (f'z2)'z2/128 + f'(z2'z2)/128). */
static ad_var modified(ad_var f, ad_var x, ad_var time, ad_var h, int correction)
{
    ad_var h2 = ad_square(h);
    ad_var z2 = along(f, x, f, time, 1), z3 = along(z2, x, f, time, 1), w = along(f, x, z2, time, 0);
    ad_var sum = ad_add(f, ad_mul(scaled(1.0 / 24, h2), ad_sub(z3, scaled(3, w))));
    if (correction < 4)
        return sum;
    ad_var z4 = along(z3, x, f, time, 1), z5 = along(z4, x, f, time, 1), c2 = along(z2, x, z2, time, 0);
    ad_var term[] = {scaled(1.0 / 1920, z5), scaled(-1.0 / 384, along(f, x, z4, time, 0)),
                     scaled(-1.0 / 192, along(z3, x, z2, time, 0)),
                     scaled(1.0 / 128, along(w, x, z2, time, 0)),
                     scaled(1.0 / 128, along(f, x, c2, time, 0))};
    return ad_add(sum, ad_mul(ad_square(h2), ad_add_n(5, term)));
}

static ad_var midpoint(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                       ad_var dz)
{
    (void)dz;
    hnn_pair p = hnn_loss_pair(m, t, z, 0);
    ad_var f = hnn_model_field(m, param, p.middle, p.half);
    if (s->correction)
        f = modified(f, p.middle, p.half, p.h, s->correction);
    return ad_sub(ad_div(p.change, p.h), f);
}

/* z1 = z0 + h/6 (f0 + 4 f((z0+z1)/2 + h/8 (f0 - f1)) + f1): implicit in z1 only, so data make it explicit. */
static ad_var mirk4(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                    ad_var dz)
{
    (void)s, (void)dz;
    hnn_pair p = hnn_loss_pair(m, t, z, 0);
    ad_var f0 = hnn_model_field(m, param, p.z0, p.t0), f1 = hnn_model_field(m, param, p.z1, p.t1);
    ad_var y = ad_add(p.middle, ad_mul(scaled(0.125, p.h), ad_sub(f0, f1)));
    ad_var term[] = {scaled(1.0 / 6, f0), scaled(2.0 / 3, hnn_model_field(m, param, y, p.half)),
                     scaled(1.0 / 6, f1)};
    return ad_sub(ad_div(p.change, p.h), ad_add_n(3, term));
}

static ad_var gauss4(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                     ad_var dz)
{
    (void)dz;
    const double r = 0.28867513459481287; /* sqrt(3)/6: nodes 1/2 -+ r, A = (1/4, 1/4 - r; 1/4 + r, 1/4) */
    const double a[2][2] = {{0.25, 0.25 - r}, {0.25 + r, 0.25}};
    hnn_pair p = hnn_loss_pair(m, t, z, 0);
    ad_var y[2], f[2], time[2];
    for (int i = 0; i < 2; i++) { /* start on the chord between the data */
        double c = a[i][0] + a[i][1];
        y[i] = ad_add(p.z0, scaled(c, p.change));
        time[i] = ad_add(p.t0, scaled(c, p.h));
    }
    for (int sweep = 0; sweep <= s->sweeps; sweep++) {
        for (int i = 0; i < 2; i++)
            f[i] = hnn_model_field(m, param, y[i], time[i]);
        for (int i = 0; i < 2 && sweep < s->sweeps; i++)
            y[i] = ad_add(p.z0, ad_mul(p.h, ad_add(scaled(a[i][0], f[0]), scaled(a[i][1], f[1]))));
    }
    return ad_sub(ad_div(p.change, p.h), scaled(0.5, ad_add(f[0], f[1])));
}

/* grad H(m) + (H1 - H0 - grad H(m).d)/|d|^2 d in place of grad H(m); what is beside J grad H is taken at the middle. */
static ad_var gonzalez(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                       ad_var dz)
{
    (void)s, (void)dz;
    hnn_pair p = hnn_loss_pair(m, t, z, 0);
    ad_var H0 = hnn_model_energy(m, param, p.z0, p.half), H1 = hnn_model_energy(m, param, p.z1, p.half);
    ad_var H = hnn_model_energy(m, param, p.middle, p.half), seed = ad_num(1), g;
    ad_vjp(1, &H, &seed, 1, &p.middle, &g);
    ad_var rest = ad_sub(ad_sub(H1, H0), ad_row_dot(g, p.change));
    ad_var c = ad_mulz(ad_divz(rest, ad_row_dot(p.change, p.change)), p.change);
    ad_var f = ad_add(hnn_model_field(m, param, p.middle, p.half), hnn_canonical(c));
    return ad_sub(ad_div(p.change, p.h), f);
}

/* ---- The table ------------------------------------------------------------------------------------------------------ */

static const hnn_loss_row rows[] = {
#define LOSS(n, ...) {.name = n, __VA_ARGS__},
#include "losses.def"
#undef LOSS
};

int hnn_loss_count(void) { return (int)(sizeof rows / sizeof *rows); }

const hnn_loss_row *hnn_loss_at(int i) { return i >= 0 && i < hnn_loss_count() ? &rows[i] : NULL; }

const hnn_loss_row *hnn_loss_find(const char *name, hnn_error *e)
{
    char list[200] = "";
    size_t used = 0;
    for (int i = 0; i < hnn_loss_count(); i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
        int n = snprintf(list + used, sizeof list - used, " %s", rows[i].name);
        used += n > 0 && (size_t)n < sizeof list - used ? (size_t)n : 0;
    }
    hnn_fail(e, HNN_EARG, "no loss is called '%.40s'; there are%s", name, list);
    return NULL;
}

int hnn_loss_resolve(const hnn_loss_spec *s, const hnn_model *m, hnn_loss_spec *out, hnn_error *e)
{
    *out = *s;
    out->loss = s->loss ? s->loss : m->row->loss;
    const hnn_loss_row *row = hnn_loss_find(out->loss, e);
    if (!row)
        return HNN_EARG;
    out->sweeps = s->sweeps ? s->sweeps : 4;
    out->method = s->method ? s->method : "rk4";
    out->window = row->states ? row->states - 1 : s->window ? s->window : 8;
    out->substeps = s->substeps ? s->substeps : 1;
    out->stride = s->stride ? s->stride : 1;
    if (out->sweeps < 0 || out->sweeps > 64 || out->window < 0 || out->window > HNN_MAX_WINDOW ||
        out->substeps < 1 || out->substeps > 1024 || out->stride < 1)
        return hnn_fail(
            e, HNN_EARG,
            "loss %s: %d sweeps, window %d, %d substeps, stride %d; needed 0-64, 1-%d, 1-1024, at least 1",
            out->loss, out->sweeps, out->window, out->substeps, out->stride, HNN_MAX_WINDOW);
    if (out->correction != 0 && out->correction != 2 && out->correction != 4)
        return hnn_fail(e, HNN_EARG, "loss %s: correction %d; needed 0, 2 or 4", out->loss, out->correction);
    if (out->starts && row->states == 1)
        return hnn_fail(e, HNN_EARG, "loss %s: has no first state to train; pairs and rollouts have",
                        out->loss);
    if (out->correction && row->residual != midpoint)
        return hnn_fail(e, HNN_EARG, "loss %s: a correction is for midpoint", out->loss);
    if (row->residual == gonzalez && !(m->row->flags & HNN_MODEL_ENERGY))
        return hnn_fail(e, HNN_EARG, "loss gonzalez: model %s has no H; midpoint or gauss4 need none",
                        m->row->name);
    return row->residual == hnn_loss_rollout ? hnn_loss_rollout_check(out, m, e) : HNN_OK;
}

static ad_var nothing(ad_var z)
{
    ad_var none = {.tape = z.tape};
    none.id = -1;
    return none;
}

/* The columns of every state in r times the weights. */
static ad_var weighted(const hnn_loss_spec *s, const hnn_model *m, ad_var r)
{
    if (!s->weight)
        return r;
    int n = 2 * m->spec.dof, copies = ad_cols(r) / n;
    ad_var w = ad_const(r.tape, 1, n, s->weight), repeated[HNN_MAX_WINDOW + 1];
    for (int k = 0; k < copies && k <= HNN_MAX_WINDOW; k++)
        repeated[k] = w;
    return ad_mul(r, copies > 1 ? ad_concat_cols(copies, repeated) : w);
}

ad_var hnn_loss_residual(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                         ad_var dz)
{
    hnn_loss_spec full;
    if (hnn_loss_resolve(s, m, &full, NULL))
        return nothing(z);
    return weighted(s, m, hnn_loss_find(full.loss, NULL)->residual(&full, m, param, t, z, dz));
}

ad_var hnn_loss_moved(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                      ad_var start)
{
    hnn_loss_spec full;
    const hnn_loss_row *row = hnn_loss_resolve(s, m, &full, NULL) ? NULL : hnn_loss_find(full.loss, NULL);
    if (!row || row->states == 1)
        return nothing(z);
    int n = 2 * m->spec.dof;
    ad_var moved[2] = {ad_add(state(m, z, 0), start), ad_cols_of(z, n, n * full.window)}, r[2] = {start};
    r[1] = row->residual(&full, m, param, t, ad_concat_cols(2, moved), z);
    if (row->states == 2)
        r[0] = ad_div(start, ad_sub(ad_cols_of(t, 1, 1), ad_cols_of(t, 0, 1)));
    return weighted(s, m, ad_concat_cols(2, r));
}
