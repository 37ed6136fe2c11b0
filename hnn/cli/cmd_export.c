/* cmd_export.c - noether export: a model or a system as standalone C99 (H, field, Hessian of H) and as files of weights. Invariant:
 * weights are read back and compared before the command says that they are there. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
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

/* the model with its parameters as constants, from z [B, 2n] and t [1,1] */
static char *emit(const hnn_model *m, int what, const char *name, char **why)
{
    ad_tape *t = ad_new();
    ad_var in[2] = {ad_input(t, "z", AD_BATCH, 2 * m->spec.dof), ad_input(t, "t", 1, 1)}, y;
    ad_var *param = calloc((size_t)m->params + 1, sizeof *param);
    for (int i = 0; param && i < m->params; i++)
        param[i] = ad_const(t, m->param[i].rows, m->param[i].cols, m->theta + m->param[i].offset);
    y = !param          ? ad_num(0)
        : what == FIELD ? hnn_model_field(m, param, in[0], in[1])
                        : hnn_model_energy(m, param, in[0], in[1]);
    if (what == HESSIAN && !ad_status(t))
        y = ad_hessian_rows(y, in[0]);
    ad_program *p = param ? ad_compile(t, 2, in, 1, &y, NULL) : NULL;
    char *text = p ? ad_emit(p, name, why) : NULL;
    if (!p && !*why)
        *why = strdup(ad_status(t) ? ad_message(t) : "out of memory");
    ad_program_free(p);
    free(param);
    ad_free(t);
    return text;
}

static int sources(cli *c, const cli_problem *p)
{
    int status = CLI_OK;
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces && status == CLI_OK; k++) {
        char file[64], *why = NULL;
        if (pieces[k].what != FIELD && !hnn_flow_has_energy(p->flow))
            continue;
        snprintf(file, sizeof file, "%s.c", pieces[k].name);
        char *text = emit(p->model, pieces[k].what, pieces[k].name, &why), *path = cli_path(c, file);
        if (!text || !path)
            status = cli_fail(c, "%s: %s", file, why ? why : "out of memory");
        else if (hnn_file_write(path, text, strlen(text), &c->error))
            status = cli_error(c);
        else {
            hnn_text_printf(&c->out, "%s: int %s(int batch, in {z, t}, out, work), %s\n", path,
                            pieces[k].name, pieces[k].says);
            cli_json_text(&c->json, NULL, path);
        }
        free(text), free(path), free(why);
    }
    return status;
}

static int same(const hnn_model *a, const hnn_model *b)
{
    return a->row == b->row && a->size == b->size &&
           !memcmp(a->theta, b->theta, sizeof *a->theta * (size_t)a->size);
}

static int weights(cli *c, const cli_problem *p)
{
    const hnn_model *m = p->model;
    hnn_model *back = NULL;
    hnn_arrays a = {0}, read = {0};
    char *path[2] = {cli_path(c, "model.safetensors"), cli_path(c, "model.npz")};
    int code = path[0] && path[1] ? HNN_OK : hnn_fail(&c->error, HNN_EMEM, "out of memory");
    code = code ? code : hnn_model_save(path[0], m, HNN_F64, &c->error);
    code = code ? code : hnn_model_load(path[0], &back, &c->error);
    if (!code && !same(m, back))
        code = hnn_fail(&c->error, HNN_ECHECKSUM, "%s: what was read back is not what was written", path[0]);
    for (int i = 0; i < m->params && !code; i++) {
        const long shape[2] = {m->param[i].rows, m->param[i].cols};
        code =
            hnn_arrays_add(&a, m->param[i].name, HNN_F64, 2, shape, m->theta + m->param[i].offset, &c->error);
    }
    if (!code && m->params) {
        code = hnn_npz_write(path[1], &a, &c->error);
        code = code ? code : hnn_npz_read(path[1], &read, &c->error);
        for (int i = 0; i < a.n && !code; i++) {
            const hnn_array *x = hnn_arrays_find(&read, a.a[i].name);
            if (!x || x->size != a.a[i].size || memcmp(x->v, a.a[i].v, sizeof *x->v * (size_t)x->size))
                code = hnn_fail(&c->error, HNN_ECHECKSUM, "%s: '%s' is not what was written", path[1],
                                a.a[i].name);
        }
    }
    for (int k = 0; k < 2 && !code; k++)
        if (k == 0 || m->params) {
            hnn_text_printf(&c->out, "%s: %ld parameters, read back to the same bits\n", path[k], m->size);
            cli_json_text(&c->json, NULL, path[k]);
        }
    hnn_model_free(back);
    hnn_arrays_free(&a), hnn_arrays_free(&read);
    free(path[0]), free(path[1]);
    return code ? cli_error(c) : CLI_OK;
}

static int run(cli *c)
{
    cli_problem p;
    if (!cli_has(c, "out"))
        return cli_usage(c, "--out DIR says where the files go");
    int status = cli_problem_open(c, &p);
    if (status != CLI_OK)
        return status;
    cli_problem_json(c, &p);
    cli_json_array(&c->json, "files");
    status = sources(c, &p);
    if (status == CLI_OK)
        status = weights(c, &p);
    cli_json_close(&c->json);
    cli_problem_close(&p);
    return status;
}

static const cli_option *const groups[] = {cli_problem_options, cli_common, NULL};
const cli_command cli_cmd_export = {
    .name = "export",
    .args = "WEIGHTS|SYSTEM|--H TEXT",
    .summary = "H, field and Hessian as standalone C99; weights as .safetensors and .npz",
    .more = "  noether export noether-demo/hnn-1.safetensors --out c && cc -std=c99 -O2 -ffp-contract=off -c "
            "c/field.c\n",
    .groups = groups,
    .max_args = 1,
    .run = run};
