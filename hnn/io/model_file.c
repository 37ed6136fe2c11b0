/* model_file.c - a model as one .safetensors file: a tensor for each matrix of parameters, the spec as metadata.
 * Invariant: what is read back has the bits of what was written (HNN_F64), and a file that is no model of ours is refused
 * with the key or tensor that is wrong. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "model.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a key goes in the spec. STATES: 2 dof numbers. */
enum { INT, UNSIGNED, REAL, TEXT, STATES };
static const struct {
    const char *key;
    int type;
    size_t at;
} keys[] = {
#define KEY(type, member)                                                                                    \
    {                                                                                                        \
#member, type, offsetof(hnn_model_spec, member)                                                      \
    }
    KEY(INT, dof),           KEY(INT, layers),
    KEY(INT, width),         KEY(TEXT, activation),
    KEY(UNSIGNED, angles),   KEY(INT, space),
    KEY(REAL, gain),         KEY(STATES, mean),
    KEY(STATES, scale),      KEY(STATES, rate_scale),
    KEY(REAL, energy_scale), KEY(STATES, reference),
    KEY(INT, no_gauge),      KEY(TEXT, H),
    KEY(TEXT, dissipation),  KEY(TEXT, drive),
#undef KEY
};
enum { KEYS = sizeof keys / sizeof *keys, MOST_CONSTANTS = 64 };
static const char *const coords[] = {"qp", "qv", "q"};

/* ---- writing ---- */

static int value_text(const hnn_model_spec *s, int i, hnn_text *t)
{
    const char *at = (const char *)s + keys[i].at;
    const double *v;
    switch (keys[i].type) {
    case INT:
        hnn_text_printf(t, "%d", *(const int *)at);
        return 1;
    case UNSIGNED:
        hnn_text_printf(t, "%u", *(const unsigned *)at);
        return 1;
    case REAL:
        hnn_text_number(t, *(const double *)at);
        return 1;
    case TEXT:
        if (*(const char *const *)at)
            hnn_text_add(t, *(const char *const *)at);
        return *(const char *const *)at != NULL;
    default:
        v = *(const double *const *)at;
        for (int k = 0; v && k < 2 * s->dof; k++) {
            hnn_text_add(t, k ? " " : "");
            hnn_text_number(t, v[k]);
        }
        return v != NULL;
    }
}

static int note(hnn_arrays *a, const char *key, hnn_text *t, hnn_error *e)
{
    int code = hnn_text_status(t, e);
    code = code ? code : hnn_arrays_note(a, key, t->s ? t->s : "", e);
    hnn_text_free(t);
    return code;
}

static int spec_notes(const hnn_model *m, hnn_arrays *a, hnn_error *e)
{
    const hnn_model_spec *s = &m->spec;
    hnn_text t = {0};
    int code = hnn_arrays_note(a, "format", "noether model 1", e);
    code = code ? code : hnn_arrays_note(a, "model", m->row->name, e);
    code = code ? code : hnn_arrays_note(a, "coords", coords[s->coords], e);
    for (int i = 0; i < KEYS && !code; i++) {
        if (value_text(s, i, &t))
            code = note(a, keys[i].key, &t, e);
        hnn_text_free(&t);
    }
    for (int i = 0; i < s->constants; i++) {
        hnn_text_printf(&t, "%s%s %s ", i ? ";" : "", s->constant[i].name, s->constant[i].fit ? "fit" : "is");
        hnn_text_number(&t, s->constant[i].value);
    }
    if (!code && s->constants)
        code = note(a, "constants", &t, e);
    hnn_text_free(&t);
    return code;
}

int hnn_model_save(const char *path, const hnn_model *m, int type, hnn_error *e)
{
    hnn_arrays a = {0};
    int code = spec_notes(m, &a, e);
    for (int i = 0; i < m->params && !code; i++) {
        const hnn_param *p = &m->param[i];
        const long shape[2] = {p->rows, p->cols};
        code = hnn_arrays_add(&a, p->name, type, 2, shape, m->theta + p->offset, e);
    }
    code = code ? code : hnn_safetensors_write(path, &a, e);
    hnn_arrays_free(&a);
    return code;
}

/* ---- reading ---- */

typedef struct reading {
    const char *path;
    hnn_error *e;
    double *states[KEYS]; /* owned */
    hnn_constant constant[MOST_CONSTANTS];
    char *names; /* owned: of the constants */
} reading;

static const char *find(const hnn_arrays *a, const char *key)
{
    for (int i = 0; i < a->metas; i++)
        if (!strcmp(a->key[i], key))
            return a->value[i];
    return NULL;
}

static int wrong(const reading *r, const char *key, const char *value)
{
    return hnn_fail(r->e, HNN_EFORMAT, "%s: '%s' is '%.60s': not what a model has there", r->path, key,
                    value);
}

static int read_key(reading *r, hnn_model_spec *s, int i, const char *text)
{
    char *at = (char *)s + keys[i].at;
    double x = 0;
    if (keys[i].type == TEXT) {
        *(const char **)at = text;
        return HNN_OK;
    }
    if (keys[i].type != STATES) {
        if (!*text || hnn_number(text, strlen(text), '.', &x) != strlen(text) || !isfinite(x))
            return wrong(r, keys[i].key, text);
        if (keys[i].type == REAL)
            *(double *)at = x;
        else if (x != floor(x) || x < 0 || x > 1e9)
            return wrong(r, keys[i].key, text);
        else if (keys[i].type == INT)
            *(int *)at = (int)x;
        else
            *(unsigned *)at = (unsigned)x;
        return HNN_OK;
    }
    double *v = r->states[i] = malloc(sizeof *v * 2 * (size_t)(s->dof + 1));
    if (!v)
        return hnn_fail(r->e, HNN_EMEM, "%s: out of memory", r->path);
    for (int k = 0; k < 2 * s->dof; k++) {
        size_t n = hnn_number(text, strlen(text), '.', &v[k]);
        if (!n || !isfinite(v[k]) || (text[n] && text[n] != ' '))
            return wrong(r, keys[i].key, text);
        text += n + (text[n] == ' ');
    }
    if (*text)
        return wrong(r, keys[i].key, text);
    *(const double **)at = v;
    return HNN_OK;
}

/* "m fit 1.5;k is 2" */
static int read_constants(reading *r, hnn_model_spec *s, const char *text)
{
    char *save, *all = r->names = strdup(text);
    if (!all)
        return hnn_fail(r->e, HNN_EMEM, "%s: out of memory", r->path);
    for (char *one = strtok_r(all, ";", &save); one; one = strtok_r(NULL, ";", &save)) {
        char *kind = strchr(one, ' '), *number = kind ? strchr(kind + 1, ' ') : NULL;
        if (!number || s->constants == MOST_CONSTANTS)
            return wrong(r, "constants", text);
        *kind++ = 0, *number++ = 0;
        hnn_constant *c = &r->constant[s->constants++];
        c->name = one, c->fit = !strcmp(kind, "fit");
        if (!*number || hnn_number(number, strlen(number), '.', &c->value) != strlen(number) ||
            (!c->fit && strcmp(kind, "is")))
            return wrong(r, "constants", text);
    }
    s->constant = r->constant;
    return HNN_OK;
}

static int read_spec(reading *r, const hnn_arrays *a, hnn_model_spec *s)
{
    const char *format = find(a, "format"), *text = find(a, "coords");
    int code = HNN_OK;
    if (!format || strcmp(format, "noether model 1") || !find(a, "model") || !find(a, "dof"))
        return hnn_fail(r->e, HNN_EFORMAT,
                        "%s: no model of this program: 'format' is '%.40s', needed 'noether model 1'",
                        r->path, format ? format : "missing");
    s->model = find(a, "model");
    for (int k = 0; text && k < 3; k++)
        if (!strcmp(text, coords[k]))
            s->coords = (hnn_coords)k, text = NULL;
    if (text)
        return wrong(r, "coords", text);
    for (int i = 0; i < KEYS && !code; i++) /* dof comes first: the others need it */
        if ((text = find(a, keys[i].key)))
            code = read_key(r, s, i, text);
    if (!code && (s->dof < 1 || s->dof > HNN_SYSTEM_MAX_DOF || s->layers > 64 || s->width > 1000000))
        return hnn_fail(r->e, HNN_EFORMAT, "%s: a model of %d degrees of freedom, %d layers of %d", r->path,
                        s->dof, s->layers, s->width);
    if (!code && (text = find(a, "constants")))
        code = read_constants(r, s, text);
    return code;
}

static int read_theta(const reading *r, const hnn_arrays *a, hnn_model *m)
{
    if (a->n != m->params)
        return hnn_fail(r->e, HNN_ESHAPE, "%s: %d tensors, model %s has %d", r->path, a->n, m->row->name,
                        m->params);
    for (int i = 0; i < m->params; i++) {
        const hnn_param *p = &m->param[i];
        const hnn_array *x = hnn_arrays_find(a, p->name);
        if (!x)
            return hnn_fail(r->e, HNN_EFORMAT, "%s: there is no tensor '%s'", r->path, p->name);
        if (x->dims != 2 || x->dim[0] != p->rows || x->dim[1] != p->cols)
            return hnn_fail(r->e, HNN_ESHAPE, "%s: tensor '%s' has %ld values, needed %d x %d", r->path,
                            p->name, x->size, p->rows, p->cols);
        memcpy(m->theta + p->offset, x->v, sizeof *x->v * (size_t)x->size);
    }
    return HNN_OK;
}

int hnn_model_load(const char *path, hnn_model **out, hnn_error *e)
{
    hnn_arrays a = {0};
    hnn_model_spec s = {0};
    reading r = {.path = path, .e = e};
    *out = NULL;
    int code = hnn_safetensors_read(path, &a, e);
    code = code ? code : read_spec(&r, &a, &s);
    code = code ? code : hnn_model_new(&s, 0, out, e);
    code = code ? code : read_theta(&r, &a, *out);
    if (code) {
        hnn_model_free(*out);
        *out = NULL;
    }
    for (int i = 0; i < KEYS; i++)
        free(r.states[i]);
    free(r.names);
    hnn_arrays_free(&a);
    return code;
}
