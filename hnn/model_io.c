/* model_io.c - models as .safetensors: one array per matrix, the spec as metadata and "spec." arrays. Invariant: what is
 * loaded records the same functions as what was saved, to the bit when stored as doubles. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "model.h"
#include "text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTEGER, NUMBER, STRING, STATE }; /* STATE: an array [2 dof], stored beside the weights */
static const struct {
    const char *name;
    size_t at;
    int kind;
} fields[] = {
#define FIELD(name, kind)                                                                                    \
    {                                                                                                        \
#name, offsetof(hnn_model_spec, name), kind                                                          \
    }
    FIELD(model, STRING),    FIELD(dof, INTEGER),       FIELD(coords, INTEGER),   FIELD(layers, INTEGER),
    FIELD(width, INTEGER),   FIELD(activation, STRING), FIELD(angles, INTEGER),   FIELD(gain, NUMBER),
    FIELD(mean, STATE),      FIELD(scale, STATE),       FIELD(rate_scale, STATE), FIELD(energy_scale, NUMBER),
    FIELD(reference, STATE), FIELD(no_gauge, INTEGER),  FIELD(H, STRING),         FIELD(dissipation, STRING),
    FIELD(drive, STRING),
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof *fields };

static int save_field(const hnn_model *m, int k, hnn_arrays *s, hnn_error *e)
{
    const char *at = (const char *)&m->spec + fields[k].at;
    char number[40], name[40];
    switch (fields[k].kind) {
    case INTEGER:
        snprintf(number, sizeof number, "%d", *(const int *)(const void *)at);
        return hnn_arrays_note(s, fields[k].name, number, e);
    case NUMBER: {
        hnn_text t = {0};
        hnn_text_number(&t, *(const double *)(const void *)at);
        int code = hnn_text_status(&t, e);
        code = code ? code : hnn_arrays_note(s, fields[k].name, t.s, e);
        hnn_text_free(&t);
        return code;
    }
    case STRING: {
        const char *text = *(const char *const *)(const void *)at;
        return text ? hnn_arrays_note(s, fields[k].name, text, e) : HNN_OK;
    }
    default: {
        const double *v = *(const double *const *)(const void *)at;
        snprintf(name, sizeof name, "spec.%s", fields[k].name);
        return v ? hnn_arrays_add(s, name, HNN_F64, 1, (long[]){2 * m->spec.dof}, v, e) : HNN_OK;
    }
    }
}

int hnn_model_save(const char *path, const hnn_model *m, int type, hnn_error *e)
{
    hnn_arrays s = {0};
    int code = hnn_arrays_note(&s, "format", "noether model 1", e);
    for (int k = 0; k < FIELDS && !code; k++)
        code = save_field(m, k, &s, e);
    for (int i = 0; i < m->spec.constants && !code; i++) {
        const hnn_constant *c = &m->spec.constant[i];
        hnn_text key = {0}, value = {0};
        hnn_text_printf(&key, "constant.%s", c->name);
        hnn_text_number(&value, c->value);
        hnn_text_add(&value, c->fit ? " fit" : "");
        code = hnn_text_status(&key, e);
        code = code ? code : hnn_text_status(&value, e);
        code = code ? code : hnn_arrays_note(&s, key.s, value.s, e);
        hnn_text_free(&key);
        hnn_text_free(&value);
    }
    for (int i = 0; i < m->params && !code; i++)
        code = hnn_arrays_add(&s, m->param[i].name, type, 2, (long[]){m->param[i].rows, m->param[i].cols},
                              m->theta + m->param[i].offset, e);
    code = code ? code : hnn_safetensors_write(path, &s, e);
    hnn_arrays_free(&s);
    return code;
}

static const char *noted(const hnn_arrays *s, const char *key)
{
    for (int i = 0; i < s->metas; i++)
        if (!strcmp(s->key[i], key))
            return s->value[i];
    return NULL;
}

/* The pointers of the spec go into s; constant must have room for s->metas entries. */
static int load_spec(const char *path, const hnn_arrays *s, hnn_constant *constant, hnn_model_spec *spec,
                     hnn_error *e)
{
    *spec = (hnn_model_spec){.constant = constant};
    const char *format = noted(s, "format"), *dof = noted(s, "dof");
    if (!format || strcmp(format, "noether model 1") != 0)
        return hnn_fail(e, HNN_EFORMAT, "%s: not a model: no metadata \"format\": \"noether model 1\"", path);
    long n = dof ? strtol(dof, NULL, 10) : 0;
    for (int k = 0; k < FIELDS; k++) {
        char *at = (char *)spec + fields[k].at, name[40];
        const char *text = noted(s, fields[k].name);
        if (fields[k].kind == INTEGER && text)
            *(int *)(void *)at = (int)strtol(text, NULL, 10);
        if (fields[k].kind == NUMBER && text && !hnn_number(text, strlen(text), '.', (double *)(void *)at))
            return hnn_fail(e, HNN_EFORMAT, "%s: metadata %s is \"%.40s\", a number was needed", path,
                            fields[k].name, text);
        if (fields[k].kind == STRING)
            *(const char **)(void *)at = text;
        if (fields[k].kind != STATE)
            continue;
        snprintf(name, sizeof name, "spec.%s", fields[k].name);
        const hnn_array *a = hnn_arrays_find(s, name);
        if (a && a->size != 2 * n)
            return hnn_fail(e, HNN_ESHAPE, "%s: %s has %ld numbers; needed %ld", path, name, a->size, 2 * n);
        *(const double **)(void *)at = a ? a->v : NULL;
    }
    for (int i = 0; i < s->metas; i++) {
        if (strncmp(s->key[i], "constant.", 9) != 0)
            continue;
        hnn_constant *c = &constant[spec->constants++];
        *c = (hnn_constant){.name = s->key[i] + 9, .fit = strstr(s->value[i], " fit") != NULL};
        if (!hnn_number(s->value[i], strlen(s->value[i]), '.', &c->value))
            return hnn_fail(e, HNN_EFORMAT, "%s: %s is \"%.40s\", a number was needed", path, s->key[i],
                            s->value[i]);
    }
    return HNN_OK;
}

int hnn_model_load(const char *path, hnn_model **out, hnn_error *e)
{
    hnn_arrays s = {0};
    hnn_model_spec spec;
    *out = NULL;
    int code = hnn_safetensors_read(path, &s, e);
    if (code)
        return code;
    hnn_constant *constant = calloc((size_t)s.metas + 1, sizeof *constant);
    code =
        constant ? load_spec(path, &s, constant, &spec, e) : hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    code = code ? code : hnn_model_new(&spec, 0, out, e);
    for (int i = 0; !code && i < (*out)->params; i++) {
        const hnn_param *p = &(*out)->param[i];
        const hnn_array *a = hnn_arrays_find(&s, p->name);
        if (!a || a->dims != 2 || a->dim[0] != p->rows || a->dim[1] != p->cols)
            code = hnn_fail(e, HNN_ESHAPE, "%s: %s; needed [%d, %d]", path,
                            a ? "a matrix has another shape" : "a matrix is missing", p->rows, p->cols);
        else
            memcpy((*out)->theta + p->offset, a->v, sizeof *a->v * (size_t)a->size);
    }
    if (code) {
        hnn_model_free(*out);
        *out = NULL;
    }
    free(constant);
    hnn_arrays_free(&s);
    return code;
}
