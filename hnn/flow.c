/* flow.c - a model as numbers: its programs, compiled when first needed, and the callbacks that ode.h wants. Invariant:
 * theta is copied when the flow is made, so a flow never changes. */
/* SPDX-License-Identifier: MIT */
#include "field.h"
#include "model_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ENERGY, RATE, GRADIENT, BY_P, BY_Q, JACOBIAN, HESSIAN, PROGRAMS };
static const char *const what[PROGRAMS] = {"H",     "field",    "gradient of H", "dH/dp",
                                           "dH/dq", "Jacobian", "Hessian of H"};

typedef struct many {
    hnn_flow *flow;
    int n;
    unsigned char *frozen;
} many;

struct hnn_flow {
    hnn_model *m;
    struct ad_pool *pool;
    ad_tape *tape;
    ad_var z, time, *param, *in; /* in: z, time, parameters */
    ad_var *column;              /* [2 dof] */
    ad_program *program[PROGRAMS];
    ad_work *work[PROGRAMS];
    const void **pointer; /* of inputs */
    ode_field field;
    many batch;
};

/* df/dz of each row [B, m*2n], row-major, one tangent for each column of z. */
static ad_var jacobian(hnn_flow *f, ad_var y)
{
    int size = ad_cols(f->z), m = ad_cols(y);
    for (int j = 0; j < size; j++) {
        ad_var e = ad_pad(ad_fill(f->tape, AD_BATCH, 1, 1.0), 0, 0, j, size - 1 - j);
        ad_jvp(1, &y, 1, &f->z, &e, &f->column[j]);
    }
    return ad_row_transpose(ad_concat_cols(size, f->column), size, m);
}

static ad_var record(hnn_flow *f, int which)
{
    int n = f->m->spec.dof;
    if (which == RATE || which == JACOBIAN) {
        ad_var rate = hnn_model_field(f->m, f->param, f->z, f->time);
        return which == RATE ? rate : jacobian(f, rate);
    }
    ad_var H = hnn_model_energy(f->m, f->param, f->z, f->time), seed = ad_num(1), g;
    if (which == ENERGY)
        return H;
    ad_vjp(1, &H, &seed, 1, &f->z, &g);
    switch (which) {
    case BY_P:
        return ad_cols_of(g, n, n);
    case BY_Q:
        return ad_cols_of(g, 0, n);
    case HESSIAN:
        return jacobian(f, g);
    default:
        return g;
    }
}

static int prepare(hnn_flow *f, int which, hnn_error *e)
{
    if (f->work[which])
        return HNN_OK;
    const char *model = f->m->row->name;
    if (which != RATE && which != JACOBIAN && !hnn_flow_has_energy(f))
        return hnn_fail(e, HNN_EARG, "model %s has no H, so no %s", model, what[which]);
    ad_var y = record(f, which);
    f->program[which] = ad_compile(f->tape, 2 + f->m->params, f->in, 1, &y, NULL);
    if (f->program[which])
        f->work[which] = ad_work_new(f->program[which], f->pool);
    if (f->work[which])
        return HNN_OK;
    int code = ad_status(f->tape) && ad_status(f->tape) != AD_ENOMEM ? HNN_EARG : HNN_EMEM;
    code = hnn_fail(e, code, "%s of model %s: %s", what[which], model,
                    ad_status(f->tape) ? ad_message(f->tape) : "out of memory");
    ad_program_free(f->program[which]);
    f->program[which] = NULL;
    return code;
}

static int run(hnn_flow *f, int which, long n, double t, const double z[], double out[], hnn_error *e)
{
    int code = prepare(f, which, e);
    if (code)
        return code;
    f->pointer[0] = z, f->pointer[1] = &t;
    int status = ad_run(f->work[which], (int)n, f->pointer, (void *[]){out});
    if (!status)
        return HNN_OK;
    return hnn_fail(e, status == AD_ENOMEM ? HNN_EMEM : HNN_EARG, "%s of model %s: %s", what[which],
                    f->m->row->name, ad_work_message(f->work[which]));
}

#define CALLBACK(name, which)                                                                                \
    static int name(void *user, double t, const double y[], double out[])                                    \
    {                                                                                                        \
        return run(user, which, 1, t, y, out, NULL);                                                         \
    }
CALLBACK(rhs, RATE)
CALLBACK(by_p, BY_P)
CALLBACK(by_q, BY_Q)
CALLBACK(energy, ENERGY)
CALLBACK(tangent, JACOBIAN)
#undef CALLBACK

/* Nothing but J grad H, in canonical coordinates. */
static int canonical(const hnn_model *m)
{
    return m->row->H && !m->row->D && !m->row->R && !m->spec.dissipation && !m->spec.drive &&
           !hnn_model_velocities(m);
}

int hnn_flow_new(const hnn_model *m, struct ad_pool *pool, hnn_flow **out, hnn_error *e)
{
    *out = NULL;
    hnn_flow *f = calloc(1, sizeof *f);
    if (!f)
        return hnn_fail(e, HNN_EMEM, "model %s: out of memory", m->row->name);
    int code = hnn_model_copy(m, &f->m, e), n = m->params;
    f->pool = pool;
    f->tape = ad_new();
    f->in = calloc((size_t)n + 2, sizeof *f->in);
    f->pointer = calloc((size_t)n + 2, sizeof *f->pointer);
    f->column = calloc(2 * (size_t)m->spec.dof, sizeof *f->column);
    if (!code && (!f->tape || !f->in || !f->pointer || !f->column))
        code = hnn_fail(e, HNN_EMEM, "model %s: out of memory", m->row->name);
    if (!code) {
        f->z = f->in[0] = ad_input(f->tape, "z", AD_BATCH, 2 * m->spec.dof);
        f->time = f->in[1] = ad_input(f->tape, "t", 1, 1);
        f->param = f->in + 2;
        hnn_model_inputs(f->m, f->tape, f->param);
        hnn_model_pointers(f->m, f->m->theta, (const double **)f->pointer + 2);
        code = prepare(f, RATE, e);
    }
    if (code) {
        hnn_flow_free(f);
        return code;
    }
    f->field = (ode_field){.size = 2 * m->spec.dof, .rhs = rhs, .jacobian = tangent, .user = f};
    if (canonical(m)) {
        f->field.kind = ODE_CANONICAL;
        if (m->row->flags & HNN_MODEL_SEPARABLE)
            f->field.kind |= ODE_SEPARABLE | (m->row->flags & HNN_MODEL_QUADRATIC ? ODE_QUADRATIC_T : 0);
        f->field.energy = energy, f->field.dHdp = by_p, f->field.dHdq = by_q;
    }
    *out = f;
    return HNN_OK;
}

void hnn_flow_free(hnn_flow *f)
{
    if (!f)
        return;
    for (int k = 0; k < PROGRAMS; k++) {
        ad_work_free(f->work[k]);
        ad_program_free(f->program[k]);
    }
    ad_free(f->tape);
    free(f->in);
    free(f->pointer);
    free(f->column);
    hnn_model_free(f->m);
    free(f);
}

const ode_field *hnn_flow_ode(hnn_flow *f) { return &f->field; }
int hnn_flow_has_energy(const hnn_flow *f) { return f->m->row->H != NULL; }
int hnn_flow_dof(const hnn_flow *f) { return f->m->spec.dof; }
const hnn_model *hnn_flow_model(const hnn_flow *f) { return f->m; }

/* A row that is not finite must not spoil the others through the solver's norms: it stops where it is. */
static int many_rhs(void *user, double t, const double y[], double out[])
{
    many *b = user;
    int size = b->flow->field.size;
    if (run(b->flow, RATE, b->n, t, y, out, NULL))
        return 1;
    for (int i = 0; i < b->n; i++) {
        double *row = out + (long)i * size;
        for (int k = 0; k < size && !b->frozen[i]; k++)
            if (!isfinite(row[k]))
                b->frozen[i] = 2;
        if (b->frozen[i])
            memset(row, 0, sizeof *row * (size_t)size);
    }
    return 0;
}

int hnn_flow_batch(hnn_flow *f, int n, unsigned char *frozen, ode_field *out, hnn_error *e)
{
    if (n < 1 || n > 1 << 20)
        return hnn_fail(e, HNN_EARG, "a batch of %d states; needed 1 to %d", n, 1 << 20);
    f->batch = (many){f, n, frozen};
    *out = (ode_field){.size = n * f->field.size, .rhs = many_rhs, .user = &f->batch};
    return HNN_OK;
}

int hnn_flow_energy(hnn_flow *f, long n, double t, const double z[], double H[], hnn_error *e)
{
    return run(f, ENERGY, n, t, z, H, e);
}

int hnn_flow_rate(hnn_flow *f, long n, double t, const double z[], double dz[], hnn_error *e)
{
    return run(f, RATE, n, t, z, dz, e);
}

int hnn_flow_jacobian(hnn_flow *f, long n, double t, const double z[], double B[], hnn_error *e)
{
    return run(f, JACOBIAN, n, t, z, B, e);
}

int hnn_flow_hessian(hnn_flow *f, long n, double t, const double z[], double Hzz[], hnn_error *e)
{
    return run(f, HESSIAN, n, t, z, Hzz, e);
}

int hnn_flow_gradient(hnn_flow *f, long n, double t, const double z[], double Hz[], hnn_error *e)
{
    return run(f, GRADIENT, n, t, z, Hz, e);
}

int hnn_flow_rollout(hnn_flow *f, const char *method, double h, const double z0[], long n, const double t[],
                     double out[], long *done, hnn_error *e)
{
    const ode_method *row = ode_method_find(method ? method : "dop853");
    if (!row)
        return hnn_fail(e, HNN_EARG, "no integrator is called '%.40s'", method);
    const char *refused = ode_method_refuses(row, &f->field);
    if (refused)
        return hnn_fail(e, HNN_EARG, "%s with model %s: %s", row->name, f->m->row->name, refused);
    int size = f->field.size, adaptive = row->flags & ODE_ADAPTIVE && h == 0;
    if (!adaptive && !(h > 0))
        return hnn_fail(e, HNN_EARG, "%s: step %g; needed a positive one", row->name, h);
    ode_solver *s = ode_new(row, &f->field);
    long k = 0;
    if (!ode_start(s, t[0], z0)) {
        memcpy(out, z0, sizeof *out * (size_t)size), k = 1;
        if (adaptive) { /* one call, so that the step goes on over the sampling times */
            ode_options o = {.rtol = 1e-10,
                             .atol = 1e-10,
                             .times = t + 1,
                             .time_count = (int)n - 1,
                             .out = out + size,
                             .max_steps = 10000000};
            if (n > 1)
                ode_integrate(s, t[n - 1], &o);
            k += o.written;
        }
        for (; k < n && !adaptive; k++) { /* equal steps, none longer than h */
            double span = t[k] - t[k - 1];
            long steps = (long)ceil(span / h * (1 - 1e-12));
            if (ode_run(s, steps > 0 ? steps : 1, span / (double)(steps > 0 ? steps : 1), NULL))
                break;
            memcpy(out + k * size, ode_y(s), sizeof *out * (size_t)size);
        }
    }
    int status = ode_status(s), code = HNN_OK;
    if (status == ODE_EINPUT || status == ODE_EMEMORY) /* anything else is a run that ended early */
        code = hnn_fail(e, status == ODE_EINPUT ? HNN_EARG : HNN_EMEM, "%s: %s", row->name, ode_message(s));
    for (long i = k * size; i < n * size; i++)
        out[i] = NAN;
    if (done)
        *done = k;
    ode_free(s);
    return code;
}
