/* train_fit.c - the optimisers beside Adam as steps of a training: L-BFGS, Levenberg-Marquardt, and random features by least
 * squares, which needs one step. Invariant: a step depends on theta and the state only. */
/* SPDX-License-Identifier: MIT */
#include "optim/lbfgs.h"
#include "optim/lm.h"
#include "optim/rfls.h"
#include "train_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct kind {
    const char *name;
    int jacobian; /* of the residuals is needed */
    int (*start)(hnn_fitter *f, const double theta[], hnn_error *e);
    int (*step)(hnn_fitter *f, double theta[], int *done, hnn_error *e);
} kind;

struct hnn_fitter {
    const kind *kind;
    const hnn_model *m;
    const hnn_loss_spec *loss;
    const hnn_samples *x;
    const hnn_train_options *o;
    hnn_objective *objective, *own; /* own: with the Jacobian */
    hnn_lbfgs *lbfgs;
    hnn_lm_run *lm;
    long size, rows; /* parameters; residuals, without those of the penalty */
    hnn_error *error;
};

/* ---- L-BFGS ---- */

/* Loss with its L2 term, for the line search. */
static int penalised(void *data, const double x[], double *value, double g[])
{
    hnn_fitter *f = data;
    int code = hnn_objective_value(f->objective, x, value, g, f->error);
    for (long i = 0; i < f->m->size && !code && f->o->l2 > 0; i++)
        *value += 0.5 * f->o->l2 * x[i] * x[i], g[i] += f->o->l2 * x[i];
    return code;
}

static int lbfgs_start(hnn_fitter *f, const double theta[], hnn_error *e)
{
    f->lbfgs = hnn_lbfgs_new(f->size, 0, theta, e);
    return f->lbfgs ? HNN_OK : HNN_EMEM;
}

static int lbfgs_step(hnn_fitter *f, double theta[], int *done, hnn_error *e)
{
    int why, code = hnn_lbfgs_step(f->lbfgs, penalised, f, &why, e);
    if (!code)
        memcpy(theta, hnn_lbfgs_x(f->lbfgs), sizeof *theta * (size_t)f->size);
    *done = why == HNN_DONE_STUCK;
    return code;
}

/* ---- Levenberg-Marquardt ---- */

enum { LM_PARAMETERS = 2000 };

/* The loss is the mean of r^2 over the rows; so l2 |x|^2/2 are more residuals, sqrt(rows l2/2) x. */
static int residuals(void *data, const double x[], double r[], double J[])
{
    hnn_fitter *f = data;
    int code = hnn_objective_residuals(f->objective, x, r, J, f->error);
    if (f->o->l2 == 0 || code)
        return code;
    double c = sqrt(0.5 * f->o->l2 * (double)f->rows);
    for (long i = 0; i < f->size; i++)
        r[f->rows + i] = c * x[i];
    for (long i = 0; i < f->size * f->size && J; i++)
        J[f->rows * f->size + i] = i / f->size == i % f->size ? c : 0;
    return HNN_OK;
}

static int lm_start(hnn_fitter *f, const double theta[], hnn_error *e)
{
    f->rows = hnn_objective_rows(f->objective);
    long rows = f->rows + (f->o->l2 > 0 ? f->size : 0);
    if (rows > 1 << 30)
        return hnn_fail(e, HNN_EARG, "lm: %ld residuals", rows);
    f->lm = hnn_lm_new((int)rows, (int)f->size, theta, NULL, e);
    return f->lm ? HNN_OK : HNN_EMEM;
}

static int lm_step(hnn_fitter *f, double theta[], int *done, hnn_error *e)
{
    int code = hnn_lm_step(f->lm, residuals, f, done, e);
    if (!code)
        memcpy(theta, hnn_lm_x(f->lm), sizeof *theta * (size_t)f->size);
    return code;
}

/* ---- Random features ---- */

static const struct {
    const char *name;
    int sampling;
} samplings[] = {{"normal", HNN_SAMPLE_NORMAL}, {"pairs", HNN_SAMPLE_PAIRS}, {"steep", HNN_SAMPLE_STEEP}};
enum { SAMPLINGS = sizeof samplings / sizeof *samplings };

int hnn_fitter_samples(const char *sampling)
{
    int k = 0;
    while (k < SAMPLINGS && strcmp(samplings[k].name, sampling) != 0)
        k++;
    return k < SAMPLINGS;
}

static int lsq_start(hnn_fitter *f, const double theta[], hnn_error *e)
{
    const hnn_model *m = f->m;
    const hnn_model_spec *s = &m->spec;
    (void)theta;
    if (strcmp(m->row->name, "hnn") != 0 || s->layers != 1 ||
        (strcmp(s->activation, "sin") != 0 && strcmp(s->activation, "tanh") != 0) || !f->x->dz || s->mean ||
        s->scale || s->angles || s->energy_scale != 1)
        return hnn_fail(
            e, HNN_EARG,
            "lsq: fits hnn with one hidden layer of tanh or sin, without scaling and angles, to derivatives; "
            "given %s%s with %d layers of %s and loss %s",
            s->scale ? "scaled " : "", m->row->name, s->layers, s->activation, f->loss->loss);
    return HNN_OK;
}

static int lsq_step(hnn_fitter *f, double theta[], int *done, hnn_error *e)
{
    const hnn_model *m = f->m;
    const hnn_model_spec *s = &m->spec;
    int size = 2 * s->dof;
    hnn_rfls_options how = {.features = s->width,
                            .activation = !strcmp(s->activation, "sin") ? HNN_ACT_SIN : HNN_ACT_TANH,
                            .seed = f->o->seed,
                            .threads = 1};
    for (int k = 0; k < SAMPLINGS; k++)
        if (!strcmp(samplings[k].name, f->o->sampling))
            how.sampling = samplings[k].sampling;
    hnn_rfls r = {0};
    int code = hnn_rfls_fit(&how, size, f->x->n, f->x->z, f->x->dz, s->reference, &r, e);
    for (int k = 0; k < s->width && !code; k++) {
        for (int i = 0; i < size; i++)
            theta[m->param[0].offset + (long)i * s->width + k] = r.w[k * size + i];
        theta[m->param[1].offset + k] = r.b[k];
        theta[m->param[2].offset + k] = r.c[k];
    }
    hnn_rfls_free(&r);
    *done = 1;
    return code;
}

/* ---- The table ---- */

static const kind kinds[] = {
    {"lbfgs", 0, lbfgs_start, lbfgs_step}, {"lm", 1, lm_start, lm_step}, {"lsq", 0, lsq_start, lsq_step}};

static const kind *find(const char *optimiser)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (!strcmp(kinds[k].name, optimiser))
            return &kinds[k];
    return NULL;
}

int hnn_fitter_known(const char *optimiser) { return find(optimiser) != NULL; }

void hnn_fitter_free(hnn_fitter *f)
{
    if (!f)
        return;
    hnn_objective_free(f->own);
    hnn_lbfgs_free(f->lbfgs);
    hnn_lm_run_free(f->lm);
    free(f);
}

int hnn_fitter_new(const hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x,
                   const hnn_train_options *o, hnn_objective *objective, const double theta[],
                   hnn_fitter **out, hnn_error *e)
{
    *out = NULL;
    const kind *k = find(o->optimiser);
    long size = hnn_objective_size(objective);
    if (k->jacobian && size > LM_PARAMETERS)
        return hnn_fail(e, HNN_EARG, "%s: %ld parameters, at most %d; lbfgs takes any number", k->name, size,
                        LM_PARAMETERS);
    if (k->jacobian && loss->starts)
        return hnn_fail(e, HNN_EARG, "%s: trains no first states; adam and lbfgs do", k->name);
    hnn_fitter *f = malloc(sizeof *f);
    if (!f)
        return hnn_fail(e, HNN_EMEM, "%s: out of memory", k->name);
    *f = (hnn_fitter){.kind = k, .m = m, .loss = loss, .x = x, .o = o, .objective = objective, .size = size};
    hnn_objective_options how = {.real = o->real, .pool = o->pool, .jacobian = 1};
    int code = k->jacobian ? hnn_objective_new(loss, m, x, &how, &f->own, e) : HNN_OK;
    f->objective = f->own ? f->own : objective;
    code = code ? code : k->start(f, theta, e);
    if (code)
        hnn_fitter_free(f);
    else
        *out = f;
    return code;
}

int hnn_fitter_step(hnn_fitter *f, double theta[], int *done, hnn_error *e)
{
    f->error = e, *done = 0;
    return f->kind->step(f, theta, done, e);
}

double *hnn_fitter_state(hnn_fitter *f, long *count)
{
    *count = 0;
    return f->lbfgs ? hnn_lbfgs_state(f->lbfgs, count) : f->lm ? hnn_lm_state(f->lm, count) : NULL;
}
