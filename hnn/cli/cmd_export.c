/* cmd_export.c - noether export: a model or a system as standalone C99 (H, field, Hessian of H, a step) and as files of weights. Invariant:
 * weights are read back and compared before the command says that they are there. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "io/json.h"
#include "problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENERGY, FIELD, HESSIAN };
static const struct {
    int what;
    const char *name, *says;
} pieces[] = {{ENERGY, "energy", "H"},
              {FIELD, "field", "dz/dt"},
              {HESSIAN, "hessian", "second derivatives of H, row-major"}};

/* the program is emitted and freed */
static char *emit_program(ad_tape *t, ad_program *p, const char *name, char **why)
{
    char *text = p ? ad_emit(p, name, why) : NULL;
    if (!p && !*why)
        *why = strdup(ad_status(t) ? ad_message(t) : "out of memory");
    ad_program_free(p);
    return text;
}

/* the model with its parameters as constants, from z [B, 2n] and t [1,1] */
static ad_var recorded(const hnn_model *m, ad_tape *t, int what, const ad_var in[2])
{
    ad_var y = ad_num(0), *param = calloc((size_t)m->params + 1, sizeof *param);
    for (int i = 0; param && i < m->params; i++)
        param[i] = ad_const(t, m->param[i].rows, m->param[i].cols, m->theta + m->param[i].offset);
    if (param)
        y = what == FIELD ? hnn_model_field(m, param, in[0], in[1])
                          : hnn_model_energy(m, param, in[0], in[1]);
    if (what == HESSIAN && !ad_status(t))
        y = ad_hessian_rows(y, in[0]);
    free(param);
    return y;
}

static char *emit(const hnn_model *m, int what, const char *name, char **why)
{
    ad_tape *t = ad_new();
    ad_var in[2] = {ad_input(t, "z", AD_BATCH, 2 * m->spec.dof), ad_input(t, "t", 1, 1)};
    ad_var y = recorded(m, t, what, in);
    char *text = emit_program(t, ad_compile(t, 2, in, 1, &y, NULL), name, why);
    ad_free(t);
    return text;
}

/* one step of the method, from z [B, 2n], t [1,1] and h [1,1] */
static char *emit_step(const cli_problem *p, const ode_method *method, const char *name, char **why)
{
    ad_tape *t = ad_new(), *own = ad_new();
    int n = 2 * p->dof, canonical = (p->field.kind & ODE_CANONICAL) != 0;
    ad_var in[3] = {ad_input(t, "z", AD_BATCH, n), ad_input(t, "t", 1, 1), ad_input(t, "h", 1, 1)};
    ad_var z[2] = {ad_input(own, "z", AD_BATCH, n), ad_input(own, "t", 1, 1)};
    ode_recording what = {.y = z[0], .t = z[1]};
    *(canonical ? &what.H : &what.f) = recorded(p->model, own, canonical ? ENERGY : FIELD, z);
    ode_recorded *r = ode_recorded_new(&what);
    ad_var y = ode_record_step(method, r, in[0], in[1], in[2], NULL, 1);
    char *text = NULL;
    if (ode_recorded_status(r))
        *why = strdup(ode_recorded_message(r));
    else
        text = emit_program(t, ad_compile(t, 3, in, 1, &y, NULL), name, why);
    ode_recorded_free(r);
    ad_free(t), ad_free(own);
    return text;
}

static int source(cli *c, const char *name, char *text, const char *why, const char *arguments,
                  const char *says)
{
    char file[64];
    snprintf(file, sizeof file, "%.50s.c", name);
    char *path = cli_path(c, file);
    int status = CLI_OK;
    if (!text || !path)
        status = cli_fail(c, "%s: %s", file, why ? why : "out of memory");
    else if (hnn_file_write(path, text, strlen(text), &c->error))
        status = cli_error(c);
    else {
        hnn_text_printf(&c->out, "%s: int %s(int batch, in {%s}, out, work), %s\n", path, name, arguments,
                        says);
        cli_json_text(&c->json, NULL, path);
    }
    free(path);
    return status;
}

/* a symplectic method that can step the field, unless one is named */
static const ode_method *stepper(cli *c, const cli_problem *p, int *status)
{
    const char *name = cli_text(c, "method");
    if (!name)
        name = p->field.kind & ODE_SEPARABLE ? "blanes-moan4" : "gauss4";
    return cli_method(c, &p->field, name, status);
}

static int sources(cli *c, const cli_problem *p)
{
    int status = CLI_OK;
    const ode_method *method = stepper(c, p, &status);
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces && status == CLI_OK; k++) {
        char *why = NULL;
        if (pieces[k].what != FIELD && !hnn_flow_has_energy(p->flow))
            continue;
        char *text = emit(p->model, pieces[k].what, pieces[k].name, &why);
        status = source(c, pieces[k].name, text, why, "z, t", pieces[k].says);
        free(text), free(why);
    }
    if (status == CLI_OK) {
        char *why = NULL, *text = emit_step(p, method, "step", &why), says[96];
        snprintf(says, sizeof says, "z after a step h of %s", method->name);
        status = source(c, "step", text, why, "z, t, h", says);
        free(text), free(why);
    }
    return status;
}

/* ---- weights ---- */

static int same(const hnn_array *a, const hnn_array *b)
{
    return b && a->size == b->size && !memcmp(a->v, b->v, sizeof *a->v * (size_t)a->size);
}

/* {"metadata": {KEY: TEXT, ...}, "arrays": {NAME: {"shape": [...], "values": [...]}, ...}}, as in the .safetensors */
static void as_json(const hnn_arrays *a, cli_json *j)
{
    cli_json_object(j, NULL);
    cli_json_object(j, "metadata");
    for (int i = 0; i < a->metas; i++)
        cli_json_text(j, a->key[i], a->value[i]);
    cli_json_close(j);
    cli_json_object(j, "arrays");
    for (int i = 0; i < a->n; i++) {
        double shape[HNN_MAXDIM];
        for (int k = 0; k < a->a[i].dims; k++)
            shape[k] = (double)a->a[i].dim[k];
        cli_json_object(j, a->a[i].name);
        cli_json_numbers(j, "shape", a->a[i].dims, shape);
        cli_json_numbers(j, "values", a->a[i].size, a->a[i].v);
        cli_json_close(j);
    }
    cli_json_close(j);
    cli_json_close(j);
}

static int json_is(const hnn_json *j, const hnn_arrays *a)
{
    const hnn_json *notes = hnn_json_member(j, "metadata"), *arrays = hnn_json_member(j, "arrays");
    int good = 1;
    for (int i = 0; i < a->metas && good; i++) {
        const char *s = hnn_json_text_of(notes, a->key[i]);
        good = s && !strcmp(s, a->value[i]);
    }
    for (int i = 0; i < a->n && good; i++) {
        const hnn_json *v = hnn_json_member(hnn_json_member(arrays, a->a[i].name), "values");
        v = v ? v->child : NULL;
        for (long k = 0; k < a->a[i].size && good; k++, v = v->next)
            good = v && v->type == HNN_JSON_NUMBER && !memcmp(&v->number, &a->a[i].v[k], sizeof v->number);
    }
    return good;
}

enum { SAFETENSORS, JSON, NPZ, NPY, FORMATS };

/* writes a to path, reads it back; *good: it is the same to the bit */
static int write_one(int format, const char *path, const hnn_model *m, const hnn_arrays *a, int *good,
                     hnn_error *e)
{
    hnn_arrays read = {0};
    hnn_array flat = {.dims = 1, .dim = {m->size}, .size = m->size, .type = HNN_F64, .v = m->theta},
              one = {0};
    hnn_json *tree = NULL;
    cli_json j = {0};
    char *bytes = NULL;
    size_t n = 0;
    int code = HNN_OK;
    switch (format) {
    case SAFETENSORS:
    case NPZ:
        code = format == NPZ ? hnn_npz_write(path, a, e) : hnn_model_save(path, m, HNN_F64, e);
        code = code            ? code
               : format == NPZ ? hnn_npz_read(path, &read, e)
                               : hnn_safetensors_read(path, &read, e);
        *good = !code && read.n == a->n;
        for (int i = 0; i < a->n && *good; i++)
            *good = same(&a->a[i], hnn_arrays_find(&read, a->a[i].name));
        break;
    case JSON:
        as_json(a, &j);
        code = hnn_text_status(&j.text, e);
        code = code ? code : hnn_file_write(path, j.text.s, j.text.n, e);
        code = code ? code : hnn_file_read(path, &bytes, &n, e);
        code = code ? code : hnn_json_read(path, bytes, n, &tree, e);
        *good = !code && json_is(tree, a);
        break;
    default:
        code = hnn_npy_write(path, &flat, e);
        code = code ? code : hnn_npy_read(path, &one, e);
        *good = !code && same(&flat, &one);
    }
    hnn_arrays_free(&read), hnn_array_free(&one);
    hnn_json_free(tree), cli_json_free(&j), free(bytes);
    return code;
}

static int weights(cli *c, const cli_problem *p)
{
    static const char *const file[FORMATS] = {"model.safetensors", "model.json", "model.npz", "model.npy"};
    const hnn_model *m = p->model;
    hnn_arrays a = {0};
    int status = CLI_OK;
    for (int k = 0; k < FORMATS && status == CLI_OK; k++) {
        char *path = cli_path(c, file[k]);
        int good = 0, code = path ? HNN_OK : hnn_fail(&c->error, HNN_EMEM, "out of memory");
        if (k > JSON && !m->params) { /* arrays only: there is nothing to write */
            free(path);
            continue;
        }
        if (!code && k == JSON) { /* the same names and metadata as the file of tensors */
            char *first = cli_path(c, file[SAFETENSORS]);
            code = first ? hnn_safetensors_read(first, &a, &c->error)
                         : hnn_fail(&c->error, HNN_EMEM, "out of memory");
            free(first);
        }
        if (!code && k == SAFETENSORS)
            for (int i = 0; i < m->params && !code; i++) {
                const long shape[2] = {m->param[i].rows, m->param[i].cols};
                code = hnn_arrays_add(&a, m->param[i].name, HNN_F64, 2, shape, m->theta + m->param[i].offset,
                                      &c->error);
            }
        code = code ? code : write_one(k, path, m, &a, &good, &c->error);
        if (!code && !good)
            code = hnn_fail(&c->error, HNN_ECHECKSUM, "%s: what was read back is not what was written", path);
        if (k == SAFETENSORS)
            hnn_arrays_free(&a);
        if (code)
            status = cli_error(c);
        else {
            hnn_text_printf(&c->out, "%s: %ld parameters, read back to the same bits\n", path, m->size);
            cli_json_text(&c->json, NULL, path);
        }
        free(path);
    }
    hnn_arrays_free(&a);
    return status;
}

static int all(cli *c, cli_problem *p)
{
    cli_problem_json(c, p);
    cli_json_array(&c->json, "files");
    int status = sources(c, p);
    if (status == CLI_OK)
        status = weights(c, p);
    cli_json_close(&c->json);
    return status;
}

static int run(cli *c)
{
    return cli_has(c, "out") ? cli_with_problem(c, all) : cli_usage(c, "--out DIR says where the files go");
}

static const cli_option own[] = {
    {"method", "NAME", CLI_TEXT, NULL,
     "of step.c; else blanes-moan4 where H = T(p) + V(q), gauss4 for any other field", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_problem_options, cli_common, NULL};
const cli_command cli_cmd_export = {
    .name = "export",
    .args = "WEIGHTS|SYSTEM|--H TEXT",
    .summary = "H, field, Hessian and a step as standalone C99; weights as .safetensors, .json, .npz, .npy",
    .more =
        "  noether export noether-demo/hnn-1.safetensors --out c && cc -std=c99 -O2 -ffp-contract=off -c "
        "c/step.c\n"
        "energy.c, field.c and hessian.c take z [batch, 2n] and t; step.c z, t and the step h. model.npy is "
        "all\n"
        "parameters in one row, in the order of model.json. A folder of a run stands for its first model.\n",
    .groups = groups,
    .max_args = 1,
    .run = run};
