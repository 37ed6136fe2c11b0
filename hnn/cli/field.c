/* field.c - the field of a problem for the integrators, which Ctrl-C can stop, and the methods that can step it. */
/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the field, which Ctrl-C can stop ---- */

static int go_on(int code) { return code ? code : cli_interrupted(); }
static int rhs(void *user, double t, const double y[], double d[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->rhs(f->user, t, y, d));
}
static int dHdp(void *user, double t, const double y[], double d[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->dHdp(f->user, t, y, d));
}
static int dHdq(void *user, double t, const double y[], double d[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->dHdq(f->user, t, y, d));
}
static int energy(void *user, double t, const double y[], double *H)
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return f->energy(f->user, t, y, H);
}
static int jacobian(void *user, double t, const double y[], double B[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->jacobian(f->user, t, y, B));
}

/* H, or the field where there is more, with the parameters it has as constants (a coupling of 0 couples nothing). */
static ode_recorded *record(const cli_problem *p)
{
    const hnn_model *m = p->model;
    ode_recorded *r = NULL;
    ad_tape *t = ad_new();
    ad_var *param = calloc((size_t)m->params + 1, sizeof *param);
    const double **value = calloc((size_t)m->params + 1, sizeof *value);
    if (t && param && value) {
        hnn_model_pointers(m, m->theta, value);
        for (int i = 0; i < m->params; i++) {
            int rows = m->param[i].rows, cols = m->param[i].cols;
            param[i] = rows * cols == 1 ? ad_fill(t, 1, 1, *value[i]) : ad_const(t, rows, cols, value[i]);
        }
        ode_recording g = {.y = ad_input(t, "z", 1, 2 * p->dof), .t = ad_input(t, "t", 1, 1)};
        if (hnn_flow_ode(p->flow)->kind & ODE_CANONICAL)
            g.H = hnn_model_energy(m, param, g.y, g.t);
        else
            g.f = hnn_model_field(m, param, g.y, g.t);
        r = ode_recorded_new(&g);
    }
    free(param), free(value);
    ad_free(t);
    return r;
}

int cli_problem_open(cli *c, cli_problem *p)
{
    int status = cli_problem_row(c, p);
    if (status != CLI_OK) {
        cli_problem_close(p);
        return status;
    }
    if ((!p->learned && hnn_model_system(&p->row, p->dof, p->value, &p->model, &c->error)) ||
        hnn_flow_new(p->model, NULL, &p->flow, &c->error)) {
        status = cli_error(c);
        if (strstr(c->error.message, "unknown name"))
            fprintf(stderr, "names are q, p, t, those of --set%s\n",
                    p->row.dissipation ? ", and in the dissipation v" : "");
        cli_problem_close(p);
        return status;
    }
    p->recorded = record(p);
    if (!p->recorded || ode_recorded_status(p->recorded)) {
        status = cli_fail(c, "%s", p->recorded ? ode_recorded_message(p->recorded) : "out of memory");
        cli_problem_close(p);
        return status;
    }
    p->inner = ode_recorded_field(p->recorded);
    p->field = *p->inner;
    p->field.user = p;
    p->field.rhs = p->inner->rhs ? rhs : NULL;
    p->field.dHdp = p->inner->dHdp ? dHdp : NULL;
    p->field.dHdq = p->inner->dHdq ? dHdq : NULL;
    p->field.energy = p->inner->energy ? energy : NULL;
    p->field.jacobian = p->inner->jacobian ? jacobian : NULL;
    p->field.rows = NULL;
    return CLI_OK;
}

void cli_problem_close(cli_problem *p)
{
    ode_recorded_free(p->recorded);
    hnn_flow_free(p->flow);
    hnn_model_free(p->model);
    p->recorded = NULL, p->flow = NULL, p->model = NULL;
}

int cli_with_problem(cli *c, int (*work)(cli *c, cli_problem *p))
{
    cli_problem p;
    int status = cli_problem_open(c, &p);
    if (status != CLI_OK)
        return status;
    status = work(c, &p);
    cli_problem_close(&p);
    return status;
}

int cli_function(cli *c, const cli_problem *p, const char *option, const char *text, hnn_model **m,
                 hnn_flow **f)
{
    hnn_system row = p->row;
    row.H = text, row.space = 0;
    row.dissipation = row.drive = NULL;
    *m = NULL, *f = NULL;
    if (hnn_model_system(&row, p->dof, p->value, m, &c->error) || hnn_flow_new(*m, NULL, f, &c->error)) {
        hnn_model_free(*m);
        *m = NULL;
        return cli_usage(c, "--%s: %s", option, c->error.message);
    }
    return CLI_OK;
}

const ode_method *cli_method(cli *c, const ode_field *f, const char *name, int *status)
{
    const ode_method *m = ode_method_find(name);
    if (!m) {
        const char *words[256];
        int n = 0;
        for (; n < ode_method_count() && n < 256; n++)
            words[n] = ode_method_at(n)->name;
        const char *near = cli_nearest(name, n, words);
        *status = near ? cli_usage(c, "no method is called '%.40s': did you mean '%s'?", name, near)
                       : cli_usage(c, "no method is called '%.40s'; 'noether list methods' names them", name);
        return NULL;
    }
    const char *why = ode_method_refuses(m, f);
    if (why) {
        *status = cli_usage(c, "%s: %s", name, why);
        return NULL;
    }
    *status = CLI_OK;
    return m;
}
