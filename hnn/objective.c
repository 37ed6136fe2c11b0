/* objective.c - a loss and its gradient as one compiled program over a flat vector of parameters. Invariant: what goes
 * in and out is double; the program may be float, and then samples are converted once and theta at every call. */
/* SPDX-License-Identifier: MIT */
#include "loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    T,
    Z,
    THIRD,
    FIELDS
}; /* inputs before the parameters; the third are derivatives or starts, where the loss has them */

struct hnn_objective {
    const hnn_samples *x;
    hnn_model *m;              /* for its list of matrices */
    int real, inputs, columns; /* columns: of the residual */
    int starts;                /* the third input is the tail of theta */
    long size;                 /* of theta */
    long directions;           /* columns of the recorded Jacobian: parameters, coordinates of a start */
    ad_program *program, *jacobian;
    ad_work *work, *jacobian_work;
    int width[FIELDS];
    void *all[FIELDS];   /* the samples in the program's type: x itself for double */
    void *stage[FIELDS]; /* gathered rows of a batch */
    long room;           /* rows of stage */
    void *theta, *grad;  /* in the program's type; theta is the caller's for double */
    const void **in;
    void **out;
};

void hnn_objective_free(hnn_objective *o)
{
    if (!o)
        return;
    ad_work_free(o->work);
    ad_work_free(o->jacobian_work);
    ad_program_free(o->program);
    ad_program_free(o->jacobian);
    for (int k = 0; k < FIELDS; k++) {
        if (o->real == AD_F32)
            free(o->all[k]);
        free(o->stage[k]);
    }
    free(o->theta);
    free(o->grad);
    free(o->in);
    free(o->out);
    hnn_model_free(o->m);
    free(o);
}

static size_t size_of(const hnn_objective *o) { return o->real == AD_F32 ? sizeof(float) : sizeof(double); }

static void to_program(const hnn_objective *o, long n, const double from[], void *to)
{
    if (o->real != AD_F32) {
        memcpy(to, from, sizeof *from * (size_t)n);
        return;
    }
    float *f = to;
    for (long i = 0; i < n; i++)
        f[i] = (float)from[i];
}

static void from_program(const hnn_objective *o, long n, const void *from, double to[])
{
    if (o->real != AD_F32) {
        memcpy(to, from, sizeof *to * (size_t)n);
        return;
    }
    const float *f = from;
    for (long i = 0; i < n; i++)
        to[i] = f[i];
}

/* One directional derivative of the residual for each parameter, then for each coordinate of the starts (0 of them: there are
 * none): for few parameters. */
static void record_jacobian(ad_tape *t, const hnn_model *m, const ad_var param[], ad_var start,
                            int coordinates, ad_var residual, ad_var column[])
{
    long k = 0;
    for (int j = 0; j < coordinates; j++) {
        ad_var one = ad_pad(ad_fill(t, 1, 1, 1.0), 0, 0, j, coordinates - 1 - j);
        one = ad_expand(one, ad_rows(start), coordinates);
        ad_jvp(1, &residual, 1, &start, &one, &column[m->size + j]);
    }
    for (int i = 0; i < m->params; i++) {
        int rows = m->param[i].rows, cols = m->param[i].cols;
        for (int a = 0; a < rows; a++)
            for (int b = 0; b < cols; b++, k++) {
                ad_var one = ad_pad(ad_fill(t, 1, 1, 1.0), a, rows - 1 - a, b, cols - 1 - b);
                ad_jvp(1, &residual, 1, &param[i], &one, &column[k]);
                if (ad_rows(column[k]) != ad_rows(residual) || ad_cols(column[k]) != ad_cols(residual))
                    column[k] = ad_expand(column[k], ad_rows(residual), ad_cols(residual));
            }
    }
}

static int compile(hnn_objective *o, const hnn_loss_spec *s, const hnn_objective_options *options,
                   hnn_error *e)
{
    const hnn_model *m = o->m;
    int n = m->params, jacobian = options->jacobian;
    ad_tape *t = ad_new();
    ad_var *in = calloc((size_t)(FIELDS + n + 1), sizeof *in),
           *out = calloc((size_t)(n + 2 + jacobian * (o->directions + 1)), sizeof *out);
    int code = HNN_OK;
    if (!t || !in || !out) {
        code = hnn_fail(e, HNN_EMEM, "loss %s: out of memory", s->loss);
        goto end;
    }
    const char *const name[FIELDS] = {"t", "z", o->starts ? "start" : "dz"};
    for (int k = 0; k < o->inputs; k++)
        in[k] = ad_input(t, name[k], AD_BATCH, o->width[k]);
    ad_var *param = in + o->inputs;
    hnn_model_inputs(m, t, param);
    ad_var residual = o->starts ? hnn_loss_moved(s, m, param, in[T], in[Z], in[THIRD])
                                : hnn_loss_residual(s, m, param, in[T], in[Z], in[o->inputs - 1]);
    o->columns = ad_cols(residual);
    out[0] = ad_mean(ad_square(residual));
    in[o->inputs + n] = in[THIRD]; /* so that the starts are the last of what it is differentiated by */
    if (n + o->starts)
        ad_grads(out[0], n + o->starts, param, out + 1);
    ad_options how = {.real = options->real, .opt = options->naive ? AD_OPT_NONE : AD_OPT_FULL};
    o->program = ad_compile(t, o->inputs + n, in, n + 1 + o->starts, out, &how);
    if (o->program && jacobian) {
        out[n + 1] = residual;
        record_jacobian(t, m, param, in[THIRD], (int)(o->directions - m->size), residual, out + n + 2);
        o->jacobian = ad_compile(t, o->inputs + n, in, (int)o->directions + 1, out + n + 1, &how);
    }
    if (ad_status(t))
        code = hnn_fail(e, ad_status(t) == AD_ENOMEM ? HNN_EMEM : HNN_EARG, "loss %s, model %s: %s", s->loss,
                        m->row->name, ad_message(t));
    else if (!(o->work = ad_work_new(o->program, options->pool)) ||
             (jacobian && !(o->jacobian_work = ad_work_new(o->jacobian, options->pool))))
        code = hnn_fail(e, HNN_EMEM, "loss %s: out of memory", s->loss);
end:
    free(in);
    free(out);
    ad_free(t);
    return code;
}

int hnn_objective_new(const hnn_loss_spec *s, const hnn_model *m, const hnn_samples *x,
                      const hnn_objective_options *given, hnn_objective **out, hnn_error *e)
{
    *out = NULL;
    const hnn_objective_options options = given ? *given : (hnn_objective_options){0};
    hnn_loss_spec full;
    int code = hnn_loss_resolve(s, m, &full, e);
    if (code)
        return code;
    if (x->dof != m->spec.dof || x->states != full.window + 1)
        return hnn_fail(e, HNN_ESHAPE,
                        "loss %s: samples of %d states with %d degrees of freedom; needed %d and %d",
                        full.loss, x->states, x->dof, full.window + 1, m->spec.dof);
    if (options.jacobian && options.real != AD_F64)
        return hnn_fail(e, HNN_EARG, "loss %s: residuals and their Jacobian are in double only", full.loss);
    hnn_objective *o = calloc(1, sizeof *o);
    if (!o)
        return hnn_fail(e, HNN_EMEM, "loss %s: out of memory", full.loss);
    int derivatives = hnn_loss_find(full.loss, NULL)->derivatives;
    o->x = x, o->real = options.real, o->starts = full.starts, o->inputs = 2 + derivatives + full.starts;
    o->size = m->size + full.starts * x->n * 2 * x->dof;
    o->directions = m->size + full.starts * 2 * x->dof;
    o->width[T] = x->states, o->width[Z] = x->states * 2 * x->dof,
    o->width[THIRD] = derivatives || full.starts ? 2 * x->dof : 0;
    code = hnn_model_copy(m, &o->m, e);
    code = code ? code : compile(o, &full, &options, e);
    size_t unit = size_of(o), size = (size_t)o->size + 1;
    const double *sample[FIELDS] = {x->t, x->z, x->dz};
    if (!code) {
        o->in = calloc((size_t)(FIELDS + m->params), sizeof *o->in);
        o->out =
            calloc((size_t)m->params + 2 + (size_t)options.jacobian * (size_t)o->directions, sizeof *o->out);
        o->theta = o->real == AD_F32 ? malloc(unit * size) : NULL;
        o->grad = malloc(unit * size);
        if (!o->in || !o->out || !o->grad || (o->real == AD_F32 && !o->theta))
            code = hnn_fail(e, HNN_EMEM, "loss %s: out of memory", full.loss);
    }
    for (int k = 0; k < FIELDS && !code; k++) {
        long count = x->n * o->width[k];
        if (o->real != AD_F32 || !count || !sample[k]) {
            o->all[k] = count ? (void *)sample[k] : NULL;
            continue;
        }
        o->all[k] = malloc(unit * (size_t)count);
        if (!o->all[k])
            code = hnn_fail(e, HNN_EMEM, "loss %s: out of memory for %ld samples", full.loss, x->n);
        else
            to_program(o, count, sample[k], o->all[k]);
    }
    if (code) {
        for (int k = 0; k < FIELDS && o->real != AD_F32; k++)
            o->all[k] = NULL;
        hnn_objective_free(o);
        return code;
    }
    *out = o;
    return HNN_OK;
}

long hnn_objective_size(const hnn_objective *o) { return o->size; }
long hnn_objective_rows(const hnn_objective *o) { return o->x->n * o->columns; }

/* Rows of a batch, one behind the other. */
static int gather(hnn_objective *o, long n, const long rows[], hnn_error *e)
{
    size_t unit = size_of(o);
    for (int k = 0; k < FIELDS && n > o->room; k++) {
        void *p = realloc(o->stage[k], unit * (size_t)(n * o->width[k]) + 1);
        if (!p)
            return hnn_fail(e, HNN_EMEM, "loss: out of memory for a batch of %ld", n);
        o->stage[k] = p;
    }
    o->room = n > o->room ? n : o->room;
    for (int k = 0; k < FIELDS; k++)
        for (long i = 0; i < n && o->width[k]; i++) {
            size_t bytes = unit * (size_t)o->width[k];
            memcpy((char *)o->stage[k] + (size_t)i * bytes, (char *)o->all[k] + (size_t)rows[i] * bytes,
                   bytes);
        }
    return HNN_OK;
}

static void bind_parameters(hnn_objective *o, const double theta[])
{
    const hnn_model *m = o->m;
    if (o->real == AD_F32)
        to_program(o, o->size, theta, o->theta);
    const char *base = o->real == AD_F32 ? o->theta : (const void *)theta;
    for (int i = 0; i < m->params; i++)
        o->in[o->inputs + i] = base + size_of(o) * (size_t)m->param[i].offset;
    if (o->starts)
        o->in[THIRD] = base + size_of(o) * (size_t)m->size;
}

static int run(ad_work *w, int n, const hnn_objective *o, hnn_error *e)
{
    int status = ad_run(w, n, o->in, o->out);
    if (!status)
        return HNN_OK;
    return hnn_fail(e, status == AD_ENOMEM ? HNN_EMEM : HNN_EARG, "loss, model %s: %s", o->m->row->name,
                    ad_work_message(w));
}

int hnn_objective_batch(hnn_objective *o, const double theta[], long n, const long rows[], double *f,
                        double g[], hnn_error *e)
{
    if (rows && o->starts)
        return hnn_fail(e, HNN_EARG, "loss: starts are trained on all samples, not on %ld of them", n);
    if (rows) {
        int code = gather(o, n, rows, e);
        if (code)
            return code;
    } else
        n = o->x->n;
    const hnn_model *m = o->m;
    for (int k = 0; k < o->inputs; k++)
        o->in[k] = rows ? o->stage[k] : o->all[k];
    bind_parameters(o, theta);
    o->out[0] = (char *)o->grad + size_of(o) * (size_t)o->size; /* the loss stands behind the gradient */
    for (int i = 0; i < m->params; i++)
        o->out[1 + i] = (char *)o->grad + size_of(o) * (size_t)m->param[i].offset;
    o->out[1 + m->params] = (char *)o->grad + size_of(o) * (size_t)m->size; /* read where there are starts */
    int code = run(o->work, (int)n, o, e);
    if (code)
        return code;
    from_program(o, 1, o->out[0], f);
    if (g)
        from_program(o, o->size, o->grad, g);
    return HNN_OK;
}

int hnn_objective_value(void *objective, const double theta[], double *f, double g[], hnn_error *e)
{
    return hnn_objective_batch(objective, theta, 0, NULL, f, g, e);
}

/* What is left of the columns of sample i when its start moves along, too: orthogonal to the columns of the starts. */
static void eliminate(const hnn_objective *o, long i, double columns[])
{
    long rows = hnn_objective_rows(o), c = o->columns;
    for (long k = o->m->size; k < o->directions; k++) {
        double *s = columns + k * rows + i * c, before = 0, after = 0;
        for (long j = 0; j < c; j++)
            before += s[j] * s[j];
        for (int twice = 0; twice < 2; twice++)
            for (long l = o->m->size; l < k; l++) {
                const double *q = columns + l * rows + i * c;
                double dot = 0;
                for (long j = 0; j < c; j++)
                    dot += q[j] * s[j];
                for (long j = 0; j < c; j++)
                    s[j] -= dot * q[j];
            }
        for (long j = 0; j < c; j++)
            after += s[j] * s[j];
        double length = after > 1e-24 * before ? sqrt(after) : INFINITY; /* else it depends on those before */
        for (long j = 0; j < c; j++)
            s[j] /= length;
        for (long l = 0; l < o->m->size; l++) {
            double *p = columns + l * rows + i * c, dot = 0;
            for (long j = 0; j < c; j++)
                dot += p[j] * s[j];
            for (long j = 0; j < c; j++)
                p[j] -= dot * s[j];
        }
    }
}

int hnn_objective_residuals(void *objective, const double theta[], double r[], double jacobian[],
                            hnn_error *e)
{
    hnn_objective *o = objective;
    long rows = hnn_objective_rows(o), size = o->m->size;
    if (!o->jacobian)
        return hnn_fail(e, HNN_EARG, "loss: the objective was made without its Jacobian");
    double *columns = malloc(sizeof *columns * (size_t)(rows * o->directions) + 1);
    if (!columns)
        return hnn_fail(e, HNN_EMEM, "loss: out of memory for %ld residuals by %ld parameters", rows, size);
    for (int k = 0; k < o->inputs; k++)
        o->in[k] = o->all[k];
    bind_parameters(o, theta);
    o->out[0] = r;
    for (long k = 0; k < o->directions; k++)
        o->out[1 + k] = columns + k * rows;
    int code = run(o->jacobian_work, (int)o->x->n, o, e);
    for (long i = 0; i < o->x->n && o->starts && jacobian && !code; i++)
        eliminate(o, i, columns);
    for (long i = 0; i < rows && jacobian && !code; i++)
        for (long k = 0; k < size; k++)
            jacobian[i * size + k] = columns[k * rows + i];
    free(columns);
    return code;
}
