/* train_fit.c - optimisers that do all at once: Levenberg-Marquardt, and random features by least squares. Invariant: the
 * result is in the model's theta like that of any other training. */
/* SPDX-License-Identifier: MIT */
#include "optim/lm.h"
#include "optim/rfls.h"
#include "train_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct fitting {
    hnn_objective *objective;
    hnn_error *error;
} fitting;

static int residuals(void *data, const double x[], double r[], double J[])
{
    fitting *f = data;
    return hnn_objective_residuals(f->objective, x, r, J, f->error);
}

enum { LM_PARAMETERS = 2000 };

static int fit_lm(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x, const hnn_train_options *o,
                  double *reached, long *steps, hnn_error *e)
{
    if (m->size > LM_PARAMETERS)
        return hnn_fail(e, HNN_EARG, "lm: %ld parameters, at most %d; lbfgs takes any number", m->size,
                        LM_PARAMETERS);
    fitting f = {.error = e};
    hnn_objective_options how = {.pool = o->pool, .jacobian = 1};
    int code = hnn_objective_new(loss, m, x, &how, &f.objective, e);
    if (code)
        return code;
    hnn_lm_result r = {0};
    hnn_lm_options options = {.iterations = o->steps};
    long rows = hnn_objective_rows(f.objective);
    code = rows > 1 << 30 ? hnn_fail(e, HNN_EARG, "lm: %ld residuals", rows)
                          : hnn_lm((int)rows, (int)m->size, m->theta, residuals, &f, &options, &r, e);
    *steps = r.iterations;
    *reached = r.rss / (double)rows;
    hnn_lm_free(&r);
    hnn_objective_free(f.objective);
    return code;
}

static int fit_lsq(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x, const hnn_train_options *o,
                   double *reached, long *steps, hnn_error *e)
{
    const hnn_model_spec *s = &m->spec;
    int sine = !strcmp(s->activation, "sin"), size = 2 * s->dof;
    if (strcmp(m->row->name, "hnn") != 0 || s->layers != 1 || (!sine && strcmp(s->activation, "tanh") != 0) ||
        !x->dz || s->mean || s->scale || s->angles || s->energy_scale != 1)
        return hnn_fail(
            e, HNN_EARG,
            "lsq: fits hnn with one hidden layer of tanh or sin, without scaling and angles, to derivatives; "
            "given %s with %d layers of %s and loss %s",
            m->row->name, s->layers, s->activation, loss->loss);
    hnn_rfls_options how = {.features = s->width,
                            .activation = sine ? HNN_ACT_SIN : HNN_ACT_TANH,
                            .seed = o->seed,
                            .sampling = HNN_SAMPLE_NORMAL,
                            .threads = 1};
    hnn_rfls r = {0};
    int code = hnn_rfls_fit(&how, size, x->n, x->z, x->dz, s->reference, &r, e);
    for (int k = 0; k < s->width && !code; k++) {
        for (int i = 0; i < size; i++)
            m->theta[m->param[0].offset + (long)i * s->width + k] = r.w[k * size + i];
        m->theta[m->param[1].offset + k] = r.b[k];
        m->theta[m->param[2].offset + k] = r.c[k];
    }
    hnn_rfls_free(&r);
    hnn_objective *objective = NULL;
    code = code ? code : hnn_objective_new(loss, m, x, NULL, &objective, e);
    code = code ? code : hnn_objective_value(objective, m->theta, reached, NULL, e);
    hnn_objective_free(objective);
    *steps = 1;
    return code;
}

hnn_fit_function *hnn_fit_at_once(const char *optimiser)
{
    return !strcmp(optimiser, "lm") ? fit_lm : !strcmp(optimiser, "lsq") ? fit_lsq : NULL;
}
