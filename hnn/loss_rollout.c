/* loss_rollout.c - the residual of rollouts: the steps of an integrator, recorded. Invariant: the steps are those that the integrator
 * of that name takes, and their derivatives are exact: of an implicit step by the implicit function. */
/* SPDX-License-Identifier: MIT */
#include "loss_rows.h"
#include "model_rows.h"

#include "ode.h"

#include <stdlib.h>
#include <string.h>

static ad_var times(double c, ad_var x) { return ad_mul(ad_num(c), x); }

/* ---- Three that are written out: shorter tapes than the general way, and the midpoint rule without Newton ---------------- */

typedef ad_var stepper(const hnn_model *m, const ad_var param[], ad_var z, ad_var t, ad_var h);

static ad_var step_rk4(const hnn_model *m, const ad_var param[], ad_var z, ad_var t, ad_var h)
{
    ad_var half = times(0.5, h), tm = ad_add(t, half);
    ad_var k1 = hnn_model_field(m, param, z, t);
    ad_var k2 = hnn_model_field(m, param, ad_add(z, ad_mul(half, k1)), tm);
    ad_var k3 = hnn_model_field(m, param, ad_add(z, ad_mul(half, k2)), tm);
    ad_var k4 = hnn_model_field(m, param, ad_add(z, ad_mul(h, k3)), ad_add(t, h));
    ad_var sum[] = {k1, times(2, k2), times(2, k3), k4};
    return ad_add(z, ad_mul(times(1.0 / 6, h), ad_add_n(4, sum)));
}

/* Kick, drift, kick; explicit and symplectic only because H is T(p) + V(q), which hnn_loss_residual has checked. */
static ad_var step_verlet(const hnn_model *m, const ad_var param[], ad_var z, ad_var t, ad_var h)
{
    int n = m->spec.dof;
    ad_var half = times(0.5, h), q = ad_cols_of(z, 0, n), p = ad_cols_of(z, n, n);
    for (int turn = 0; turn < 2; turn++) {
        ad_var at[2] = {q, p}, f = hnn_model_field(m, param, ad_concat_cols(2, at), turn ? ad_add(t, h) : t);
        p = ad_add(p, ad_mul(half, ad_cols_of(f, n, n)));
        if (turn)
            break;
        ad_var kicked[2] = {q, p};
        f = hnn_model_field(m, param, ad_concat_cols(2, kicked), t);
        q = ad_add(q, ad_mul(h, ad_cols_of(f, 0, n)));
    }
    ad_var end[2] = {q, p};
    return ad_concat_cols(2, end);
}

static ad_var step_midpoint(const hnn_model *m, const ad_var param[], ad_var z, ad_var t, ad_var h)
{
    ad_var half = times(0.5, h), tm = ad_add(t, half), y = z;
    for (int sweep = 0; sweep < 6; sweep++) /* y = z + h/2 f(y): each sweep gains a power of h */
        y = ad_add(z, ad_mul(half, hnn_model_field(m, param, y, tm)));
    return ad_sub(times(2, y), z);
}

static const struct {
    const char *name;
    stepper *step;
    unsigned needs;
} steppers[] = {
    {"rk4", step_rk4, 0}, {"verlet", step_verlet, HNN_MODEL_SEPARABLE}, {"midpoint", step_midpoint, 0}};

/* ---- All others ----------------------------------------------------------------------------------------------------------- */

typedef struct way { /* how a step is recorded */
    stepper *own;    /* one of the three, or */
    const ode_method *method;
    ode_recorded *field;
} way;

/* H where it is all of the field: only then can a splitting or a discrete gradient step it. */
static int canonical(const hnn_model *m)
{
    return (m->row->flags & HNN_MODEL_ENERGY) && !(m->row->flags & HNN_MODEL_DISSIPATES) &&
           !m->spec.dissipation && !m->spec.drive && !hnn_model_velocities(m);
}

static ode_recorded *recorded(const hnn_model *m)
{
    ad_tape *t = ad_new();
    ad_var *param = calloc((size_t)m->params + 1, sizeof *param);
    ode_recorded *r = NULL;
    if (t && param) {
        hnn_model_inputs(m, t, param);
        ode_recording what = {.y = ad_input(t, "z", AD_BATCH, 2 * m->spec.dof),
                              .t = ad_input(t, "t", AD_BATCH, 1),
                              .params = m->params,
                              .param = param};
        *(canonical(m) ? &what.H : &what.f) = canonical(m) ? hnn_model_energy(m, param, what.y, what.t)
                                                           : hnn_model_field(m, param, what.y, what.t);
        r = ode_recorded_new(&what);
    }
    free(param);
    ad_free(t);
    return r;
}

static int way_of(const hnn_loss_spec *s, const hnn_model *m, way *out, hnn_error *e)
{
    *out = (way){0};
    for (size_t i = 0; i < sizeof steppers / sizeof *steppers; i++)
        if (!strcmp(steppers[i].name, s->method) && (steppers[i].needs & m->row->flags) == steppers[i].needs)
            out->own = steppers[i].step;
    if (out->own)
        return HNN_OK;
    out->method = ode_method_find(s->method);
    if (!out->method)
        return hnn_fail(
            e, HNN_EARG,
            "loss rollout: no method is called '%.30s'; there are rk4, midpoint (implicit) and the "
            "integrators",
            s->method);
    if (out->method->needs & ODE_OMEGA)
        return hnn_fail(e, HNN_EARG, "loss rollout: %s needs a coupling of two copies, which a loss has not",
                        s->method);
    if (!(out->field = recorded(m)))
        return hnn_fail(e, HNN_EMEM, "loss rollout: out of memory");
    int status = ode_recorded_status(out->field);
    const char *why = status ? ode_recorded_message(out->field)
                             : ode_method_refuses(out->method, ode_recorded_field(out->field));
    if (!why)
        return HNN_OK;
    hnn_fail(e, status == ODE_EMEMORY ? HNN_EMEM : HNN_EARG, "loss rollout: method %s with model %s: %s",
             s->method, m->row->name, why);
    ode_recorded_free(out->field);
    *out = (way){0};
    return status == ODE_EMEMORY ? HNN_EMEM : HNN_EARG;
}

int hnn_loss_rollout_check(const hnn_loss_spec *s, const hnn_model *m, hnn_error *e)
{
    way w;
    int code = way_of(s, m, &w, e);
    if (!code)
        ode_recorded_free(w.field);
    return code;
}

/* ---- Windows -------------------------------------------------------------------------------------------------------------- */

/* From x over the step between two samples, in `substeps` steps. */
static ad_var over_sample(const hnn_loss_spec *s, const way *by, const hnn_model *m, const ad_var param[],
                          ad_var x, ad_var t, ad_var whole)
{
    ad_var h = times(1.0 / s->substeps, whole);
    for (int i = 0; i < s->substeps; i++) {
        ad_var at = i ? ad_add(t, times(i, h)) : t;
        x = by->own ? by->own(m, param, x, at, h)
                    : ode_record_step(by->method, by->field, x, at, h, param, 0);
    }
    return x;
}

/* The window as one loop, whose backward pass keeps about sqrt(2 window) states and computes the rest again: measured against
 * the same steps written out, a third of the time and, over 100 steps, a twentieth of the memory. */
static ad_var looped(const hnn_loss_spec *s, const way *by, const hnn_model *m, const ad_var param[],
                     ad_var t, ad_var z)
{
    int n = m->params, size = 2 * m->spec.dof, w = s->window;
    ad_tape *inner = ad_new();
    ad_var *in = calloc((size_t)n + 3, sizeof *in), none = {.tape = z.tape}, all = none;
    all.id = none.id = -1;
    if (inner && in) {
        hnn_model_inputs(m, inner, in);
        in[n] = ad_input(inner, "x", AD_BATCH, size);
        in[n + 1] = ad_input(inner, "t", AD_BATCH, 1);
        in[n + 2] = ad_input(inner, "h", AD_BATCH, 1);
        ad_var out[2], carry = ad_cols_of(z, 0, size), end;
        out[0] = out[1] = over_sample(s, by, m, in, in[n], in[n + 1], in[n + 2]);
        ad_func *f = ad_func_new(n + 3, in, 2, out);
        ad_var at = ad_cols_of(t, 0, w), each[2] = {at, ad_sub(ad_cols_of(t, 1, w), at)};
        ad_scan_spec loop = {.f = f,
                             .count = w,
                             .nshared = n,
                             .ncarry = 1,
                             .nstep = 2,
                             .ncollect = 1,
                             .shared = param,
                             .carry = &carry,
                             .per_step = each,
                             .carry_out = &end,
                             .collected = &all};
        if (!f || ad_scan(z.tape, &loop))
            all = none;
        ad_func_free(f);
    }
    free(in);
    ad_free(inner);
    return ad_sub(all, ad_cols_of(z, size, size * w));
}

ad_var hnn_loss_rollout(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                        ad_var dz)
{
    (void)dz;
    way w;
    ad_var r = {.tape = z.tape};
    r.id = -1;
    if (way_of(s, m, &w, NULL))
        return r;
    if (s->window > 1)
        r = looped(s, &w, m, param, t, z);
    else {
        hnn_pair p = hnn_loss_pair(m, t, z, 0);
        r = ad_sub(over_sample(s, &w, m, param, p.z0, p.t0, p.h), p.z1);
    }
    ode_recorded_free(w.field);
    return r;
}
