/* model_new.c - a model from its spec: defaults, checks, the list of its matrices, their initial values. Invariant: a
 * model that exists can be recorded; everything that could be wrong with a spec was found here. */
/* SPDX-License-Identifier: MIT */
#include "field.h"
#include "model.h"
#include "model_rows.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A copy of a spec in one block: the same walk measures (to == NULL) and copies --------------------------------- */

typedef struct arena {
    char *to;
    size_t used;
} arena;

static const void *keep(arena *a, const void *p, size_t bytes)
{
    if (!p)
        return NULL;
    char *at = a->to ? memcpy(a->to + a->used, p, bytes) : NULL;
    a->used += (bytes + 15) / 16 * 16;
    return at;
}

static const char *keep_text(arena *a, const char *s) { return keep(a, s, s ? strlen(s) + 1 : 0); }

static void copy_spec(arena *a, const hnn_model_spec *from, hnn_model_spec *to)
{
    size_t state = sizeof(double) * 2 * (size_t)from->dof;
    hnn_constant *c =
        (hnn_constant *)keep(a, from->constants ? from->constant : NULL, sizeof *c * (size_t)from->constants);
    for (int i = 0; i < from->constants; i++) {
        const char *name = keep_text(a, from->constant[i].name);
        if (c)
            c[i].name = name;
    }
    const double *mean = keep(a, from->mean, state), *scale = keep(a, from->scale, state);
    const double *rate = keep(a, from->rate_scale, state), *reference = keep(a, from->reference, state);
    const char *model = keep_text(a, from->model), *activation = keep_text(a, from->activation);
    const char *H = keep_text(a, from->H), *D = keep_text(a, from->dissipation),
               *drive = keep_text(a, from->drive);
    *to = *from;
    to->constant = c;
    to->mean = mean, to->scale = scale, to->rate_scale = rate, to->reference = reference;
    to->model = model, to->activation = activation, to->H = H, to->dissipation = D, to->drive = drive;
}

/* ---- Checks ------------------------------------------------------------------------------------------------------- */

static int check_scales(const hnn_model_spec *s, hnn_error *e)
{
    const struct {
        const char *name;
        const double *v;
        int positive;
    } all[] = {{"mean", s->mean, 0},
               {"scale", s->scale, 1},
               {"rate_scale", s->rate_scale, 1},
               {"reference", s->reference, 0}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        for (int i = 0; all[k].v && i < 2 * s->dof; i++)
            if (!isfinite(all[k].v[i]) || (all[k].positive && all[k].v[i] <= 0))
                return hnn_fail(e, HNN_EARG, "model %s: %s[%d] is %g; needed a finite%s number", s->model,
                                all[k].name, i, all[k].v[i], all[k].positive ? " positive" : "");
    if (!isfinite(s->energy_scale) || s->energy_scale <= 0)
        return hnn_fail(e, HNN_EARG, "model %s: energy_scale is %g; needed a finite positive number",
                        s->model, s->energy_scale);
    return HNN_OK;
}

static int check_spec(const hnn_model_row *row, const hnn_model_spec *s, hnn_error *e)
{
    if (s->dof < 1 || s->dof > HNN_SYSTEM_MAX_DOF)
        return hnn_fail(e, HNN_EARG, "model %s: %d degrees of freedom; needed 1 to %d", row->name, s->dof,
                        HNN_SYSTEM_MAX_DOF);
    if (s->layers < 1 || s->layers > HNN_MAX_LAYERS || s->width < 1 || s->width > HNN_MAX_WIDTH)
        return hnn_fail(e, HNN_EARG, "model %s: %d hidden layers of width %d; needed 1 to %d of 1 to %d",
                        row->name, s->layers, s->width, HNN_MAX_LAYERS, HNN_MAX_WIDTH);
    if (s->dof < 32 && s->angles >> s->dof)
        return hnn_fail(e, HNN_EARG, "model %s: angles 0x%x beyond q[%d]", row->name, s->angles, s->dof);
    if (s->space < 1 || s->space > HNN_MAX_SPACE || s->dof % s->space ||
        (row->part[0].sees == HNN_SEES_PAIR && s->dof / s->space > HNN_MAX_BODIES))
        return hnn_fail(
            e, HNN_EARG,
            "model %s: %d degrees of freedom in a space of %d dimensions; needed 1 to %d, a divisor, "
            "at most %d bodies",
            row->name, s->dof, s->space, HNN_MAX_SPACE, HNN_MAX_BODIES);
    if (row->part[0].sees == HNN_SEES_PAIR && s->angles)
        return hnn_fail(e, HNN_EARG, "model %s: distances have no angles among their coordinates", row->name);
    if (row->flags & HNN_MODEL_TEXT && !s->H)
        return hnn_fail(e, HNN_EARG, "model %s: needs the text of H", row->name);
    if (!(row->flags & HNN_MODEL_ENERGY) && (s->dissipation || s->drive))
        return hnn_fail(e, HNN_EARG, "model %s: has no H, so no friction or drive can be added", row->name);
    for (int i = 0; i < s->constants; i++)
        if (!isfinite(s->constant[i].value))
            return hnn_fail(e, HNN_EARG, "model %s: the constant %s is %g", row->name, s->constant[i].name,
                            s->constant[i].value);
    int known = 0;
    ad_op_info op;
    for (int i = 0; i < ad_op_count(); i++)
        if (!ad_op_at(i, &op) && !strcmp(op.name, s->activation))
            known = !strcmp(op.kind, "elementwise") && op.arity == 1;
    if (!known)
        return hnn_fail(e, HNN_EARG,
                        "model %s: '%.40s' is no activation; needed an elementwise function such as tanh",
                        row->name, s->activation);
    return check_scales(s, e);
}

/* ---- The list of matrices ------------------------------------------------------------------------------------------- */

/* With list NULL: how many there are, and *size numbers in them. */
static int matrices(const hnn_model_row *row, const hnn_model_spec *s, hnn_param *list, long *size)
{
    int n = 0;
    long at = 0;
    for (int k = 0; k < HNN_PARTS && row->part[k].name; k++) {
        if (row->part[k].sees == HNN_SEES_NOTHING) {
            if (list) {
                snprintf(list[n].name, sizeof list[n].name, "%.8s.m1", row->part[k].name);
                list[n].rows = list[n].cols = 1, list[n].offset = at;
            }
            at++, n++;
            continue;
        }
        int in = hnn_part_columns(&row->part[k], s->dof, s->angles),
            out = hnn_part_outputs(&row->part[k], s->dof);
        for (int layer = 0; layer <= s->layers; layer++) {
            int last = layer == s->layers, cols = last ? out : s->width;
            for (int bias = 0; bias <= !last;
                 bias++, n++) { /* the last matrix has no bias: the gauge fixes H's */
                int rows = bias ? 1 : in;
                if (list) {
                    snprintf(list[n].name, sizeof list[n].name, "%.8s.%c%d", row->part[k].name,
                             bias ? 'b' : 'w', layer + 1);
                    list[n].rows = rows, list[n].cols = cols, list[n].offset = at;
                }
                at += (long)rows * cols;
            }
            in = cols;
        }
    }
    for (int i = 0; i < s->constants; i++)
        if (s->constant[i].fit) {
            if (list) {
                snprintf(list[n].name, sizeof list[n].name, "%.23s", s->constant[i].name);
                list[n].rows = list[n].cols = 1, list[n].offset = at;
            }
            at++, n++;
        }
    *size = at;
    return n;
}

/* The number of parameters grows with the width: bisection, then the nearer of two neighbours. */
static int matched_width(const hnn_model_row *row, hnn_model_spec s, long wanted)
{
    int lo = 1, hi = HNN_MAX_WIDTH;
    long size;
    while (hi - lo > 1) {
        s.width = lo + (hi - lo) / 2;
        matrices(row, &s, NULL, &size);
        if (size <= wanted)
            lo = s.width;
        else
            hi = s.width;
    }
    s.width = lo;
    matrices(row, &s, NULL, &size);
    long below = wanted - size;
    s.width = hi;
    matrices(row, &s, NULL, &size);
    return below >= 0 && below > size - wanted ? hi : lo;
}

/* p^2 of two degrees of freedom is two numbers. */
static int check_sizes(const hnn_model *m, const ad_var param[], ad_var z, ad_var time, hnn_error *e)
{
    const struct {
        const char *what, *text, *second;
    } texts[] = {
        {"H", m->spec.H, "p"}, {"dissipation", m->spec.dissipation, "v"}, {"drive", m->spec.drive, "p"}};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        ad_var y =
            texts[k].text ? hnn_model_parsed(m, texts[k].text, texts[k].second, z, time, param) : ad_num(0);
        if (!ad_is_number(y) && !ad_status(z.tape) && ad_cols(y) != 1)
            return hnn_fail(e, HNN_EARG,
                            "%s has %d columns for %d degrees of freedom; needed one number for each state: "
                            "sum(i=1..n, p[i]^2/2) adds, p[1] takes one",
                            texts[k].what, ad_cols(y), m->spec.dof);
    }
    return HNN_OK;
}

/* A wrong text shows when the model is recorded once. */
static int try_recording(const hnn_model *m, hnn_error *e)
{
    ad_tape *t = ad_new();
    ad_var *param = calloc((size_t)m->params + 1, sizeof *param);
    int code = HNN_OK;
    if (!t || !param)
        code = hnn_fail(e, HNN_EMEM, "model %s: out of memory", m->row->name);
    if (!code) {
        hnn_model_inputs(m, t, param);
        ad_var z = ad_input(t, "z", AD_BATCH, 2 * m->spec.dof), time = ad_input(t, "t", AD_BATCH, 1);
        code = check_sizes(m, param, z, time, e);
        if (!code) {
            hnn_model_energy(m, param, z, time);
            hnn_model_field(m, param, z, time);
        }
        if (!code && ad_status(t))
            code = hnn_fail(e, ad_status(t) == AD_ENOMEM ? HNN_EMEM : HNN_EARG, "model %s: %s", m->row->name,
                            ad_message(t));
    }
    free(param);
    ad_free(t);
    return code;
}

int hnn_model_new(const hnn_model_spec *spec, uint64_t seed, hnn_model **out, hnn_error *e)
{
    *out = NULL;
    hnn_model_spec s = *spec;
    if (!s.model)
        return hnn_fail(e, HNN_EARG, "a model spec without the name of a row");
    const hnn_model_row *row = hnn_model_find(s.model, e);
    if (!row)
        return HNN_EARG;
    double origin[2] = {0, 0}, *zero = NULL;
    s.layers = s.layers ? s.layers : 2;
    s.space = s.space ? s.space : 1;
    s.activation = s.activation ? s.activation : "tanh";
    s.gain = s.gain == 0 ? 1 : s.gain;
    s.energy_scale = s.energy_scale == 0 ? 1 : s.energy_scale;
    s.no_gauge |= (row->flags & HNN_MODEL_TEXT) != 0;
    int matched = !s.width && s.parameters > 0 && row->part[0].name;
    s.width = s.width ? s.width : 200;
    int code = check_spec(row, &s, e);
    if (code)
        return code;
    if (matched)
        s.width = matched_width(row, s, s.parameters);
    if (!s.reference && s.dof > 1) {
        zero = calloc(2 * (size_t)s.dof, sizeof *zero);
        if (!zero)
            return hnn_fail(e, HNN_EMEM, "model %s: out of memory", row->name);
    }
    s.reference = s.reference ? s.reference : zero ? zero : origin;
    arena a = {0};
    hnn_model_spec ignored;
    copy_spec(&a, &s, &ignored);
    hnn_model *m = calloc(1, sizeof *m);
    long size;
    int n = matrices(row, &s, NULL, &size);
    if (m) {
        a.to = m->owned = malloc(a.used + 1), a.used = 0;
        m->param = calloc((size_t)n + 1, sizeof *m->param);
        m->theta = calloc((size_t)size + 1, sizeof *m->theta);
    }
    if (!m || !m->owned || !m->param || !m->theta)
        code = hnn_fail(e, HNN_EMEM, "model %s: out of memory for %ld parameters", row->name, size);
    if (!code) {
        copy_spec(&a, &s, &m->spec);
        m->row = row, m->params = n;
        matrices(row, &m->spec, m->param, &m->size);
        code = try_recording(m, e);
    }
    code = code ? code : hnn_model_init(m, seed, e);
    free(zero);
    if (code) {
        hnn_model_free(m);
        return code;
    }
    *out = m;
    return HNN_OK;
}

void hnn_model_free(hnn_model *m)
{
    if (!m)
        return;
    free(m->owned);
    free(m->param);
    free(m->theta);
    free(m);
}

int hnn_model_copy(const hnn_model *m, hnn_model **out, hnn_error *e)
{
    int code = hnn_model_new(&m->spec, 0, out, e);
    if (!code)
        memcpy((*out)->theta, m->theta, sizeof *m->theta * (size_t)m->size);
    return code;
}

int hnn_model_init(hnn_model *m, uint64_t seed, hnn_error *e)
{
    int constant = 0;
    for (int i = 0; i < m->params; i++) {
        hnn_param *p = &m->param[i];
        double *x = m->theta + p->offset;
        hnn_rng r = hnn_rng_stream(seed, HNN_RNG_WEIGHTS, (uint64_t)i);
        if (!strchr(p->name, '.')) { /* a constant of a text */
            while (!m->spec.constant[constant].fit)
                constant++;
            *x = m->spec.constant[constant++].value;
        } else if (strchr(p->name, '.')[1] == 'm') {
            *x = 1;
        } else if (strchr(p->name, '.')[1] == 'b') {
            double bound = 1 / sqrt(m->param[i - 1].rows);
            for (int k = 0; k < p->cols; k++)
                x[k] = hnn_rng_between(&r, -bound, bound);
        } else {
            int code = hnn_rng_orthogonal(&r, p->rows, p->cols, m->spec.gain, x);
            if (code)
                return hnn_fail(e, code, "model %s: out of memory for %s", m->row->name, p->name);
        }
    }
    return HNN_OK;
}

int hnn_model_system(const hnn_system *s, int dof, const double value[], hnn_model **out, hnn_error *e)
{
    *out = NULL;
    hnn_text H = {0};
    int code = hnn_system_hamiltonian(s, dof, &H, e);
    if (!code) {
        hnn_constant constant[HNN_SYSTEM_PARAMETERS];
        int n = 0;
        for (; n < HNN_SYSTEM_PARAMETERS && s->parameter[n].name; n++)
            constant[n] = (hnn_constant){s->parameter[n].name, value ? value[n] : s->parameter[n].value, 0};
        hnn_model_spec spec = {.model = "text",
                               .dof = dof ? dof : s->dof,
                               .H = H.s,
                               .dissipation = s->dissipation,
                               .drive = s->drive,
                               .constant = constant,
                               .constants = n};
        code = hnn_model_new(&spec, 0, out, e);
    }
    hnn_text_free(&H);
    return code;
}

void hnn_model_inputs(const hnn_model *m, ad_tape *t, ad_var param[])
{
    for (int i = 0; i < m->params; i++)
        param[i] = ad_input(t, m->param[i].name, m->param[i].rows, m->param[i].cols);
}

void hnn_model_pointers(const hnn_model *m, const double *theta, const double *p[])
{
    for (int i = 0; i < m->params; i++)
        p[i] = theta + m->param[i].offset;
}
