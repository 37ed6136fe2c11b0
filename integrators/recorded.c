/* recorded.c - a Hamiltonian or a vector field recorded on a tape becomes a field for every method.
 * Invariant: what was recorded is copied; the tape it came from is left as it was and may go. */
/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorded.h"

static const ode_recorded no_memory = {.status = ODE_EMEMORY, .message = "ode_recorded_new: out of memory"};

int ode_recorded_fail(ode_recorded *r, int status, const char *format, ...)
{
    if (r->status)
        return r->status;
    va_list list;
    va_start(list, format);
    vsnprintf(r->message, sizeof r->message, format, list);
    va_end(list);
    return r->status = status;
}
int ode_recorded_tape(ode_recorded *r, const char *who)
{
    ad_tape *t = r->tape;
    if (!t || ad_status(t) == AD_ENOMEM)
        return ode_recorded_fail(r, ODE_EMEMORY, "%s: out of memory", who);
    if (ad_status(t))
        ode_recorded_fail(r, ODE_EFIELD, "%s: %s", who, ad_message(t));
    return r->status;
}
int ode_body_params(const ode_recorded *r, ad_tape *b, const ad_var like[], ad_var in[])
{
    for (int i = 0; i < r->params; i++) {
        char name[32];
        snprintf(name, sizeof name, "param%d", i);
        in[i] = ad_input(b, name, ad_rows(like[i]), ad_cols(like[i]));
    }
    return r->params;
}
ad_func *ode_body_func(ode_recorded *r, const char *who, ad_tape *b, int nin, ad_var in[], int nout,
                       const ad_var out[])
{
    ad_func *f = b && in && !r->status ? ad_func_new(nin, in, nout, out) : NULL;
    if (!f)
        ode_recorded_fail(r, !b || !in || ad_status(b) == AD_ENOMEM ? ODE_EMEMORY : ODE_EFIELD, "%s: %s", who,
                          b && in ? ad_message(b) : "out of memory");
    free(in);
    ad_free(b);
    return f;
}
int ode_recorded_status(const ode_recorded *r) { return r->status; }
const char *ode_recorded_message(const ode_recorded *r) { return r->message; }
const ode_field *ode_recorded_field(const ode_recorded *r) { return &r->field; }

/* ---- what was given ---------------------------------------------------------------------------------------- */
static int given(ad_var v) { return v.tape != NULL; }

/* Rows and columns as a sentence has them. */
static const char *shape(char text[32], ad_var v)
{
    int rows = ad_rows(v);
    if (rows < 0)
        snprintf(text, 32, "[%sB,%d]", rows == AD_BATCH ? "" : "k ", ad_cols(v));
    else
        snprintf(text, 32, "[%d,%d]", rows, ad_cols(v));
    return text;
}
static int check(ode_recorded *r, const char *name, ad_var v, ad_tape *t, int rows, int cols)
{
    char a[32], b[32];
    if (v.tape != t)
        return ode_recorded_fail(r, ODE_EFIELD, "ode_recorded_new: %s is on another tape than the state",
                                 name);
    if (ad_is_void(v))
        return ode_recorded_fail(r, ODE_EFIELD, "ode_recorded_new: %s is void: %s", name, ad_message(t));
    snprintf(b, sizeof b, rows < 0 ? "[B,%d]" : "[1,%d]", cols);
    if (ad_rows(v) != rows || ad_cols(v) != cols)
        return ode_recorded_fail(r, ODE_EFIELD, "ode_recorded_new: %s is %s, needed %s", name, shape(a, v),
                                 b);
    return ODE_OK;
}
static int shapes(ode_recorded *r, const ode_recording *g)
{
    char a[32], b[32];
    ad_var state = given(g->y) ? g->y : g->q;
    ad_tape *t = state.tape;
    if (!given(g->y) && !(given(g->q) && given(g->p)))
        return ode_recorded_fail(r, ODE_EINPUT, "ode_recorded_new: no state; give y, or q and p");
    if (given(g->y) && (given(g->q) || given(g->p)))
        return ode_recorded_fail(r, ODE_EINPUT,
                                 "ode_recorded_new: y, and q or p as well; give y, or q and p");
    if (!given(g->H) && !given(g->f))
        return ode_recorded_fail(r, ODE_EINPUT, "ode_recorded_new: neither H nor f is given");
    if (ad_status(t))
        return ode_recorded_fail(r, ODE_EFIELD, "ode_recorded_new: the tape has an error: %s", ad_message(t));
    int rows = ad_rows(state), cols = ad_cols(state);
    if (rows != 1 && rows != AD_BATCH)
        return ode_recorded_fail(
            r, ODE_EFIELD, "ode_recorded_new: the state is %s, needed one row or AD_BATCH", shape(a, state));
    r->batch = rows == AD_BATCH;
    r->split = !given(g->y);
    r->size = r->split ? 2 * cols : cols;
    r->half = given(g->f) ? 0 : r->size / 2;
    if (!given(g->f) && r->size % 2)
        return ode_recorded_fail(
            r, ODE_EFIELD,
            "ode_recorded_new: the state of a Hamiltonian is %s, needed q then p: an even "
            "number of columns",
            shape(a, state));
    if (r->split && (ad_rows(g->p) != rows || ad_cols(g->p) != cols || g->p.tape != t))
        return ode_recorded_fail(r, ODE_EFIELD, "ode_recorded_new: q is %s but p %s", shape(a, g->q),
                                 shape(b, g->p));
    if ((given(g->H) && check(r, "H", g->H, t, rows, 1)) ||
        (given(g->f) && check(r, "f", g->f, t, rows, r->size)))
        return r->status;
    if (given(g->t)) {
        r->timed = ad_rows(g->t) == 1 ? 1 : 2;
        if (check(r, "t", g->t, t, r->timed == 1 ? 1 : rows, 1))
            return r->status;
    }
    if (g->params < 0 || (g->params && !g->param))
        return ode_recorded_fail(r, ODE_EINPUT, "ode_recorded_new: %d params, param %s", g->params,
                                 g->param ? "given" : "NULL");
    for (int i = 0; i < g->params; i++) {
        int m = ad_rows(g->param[i]);
        if (g->param[i].tape != t || ad_is_void(g->param[i]) || (m < 0 && (m != AD_BATCH || !r->batch)))
            return ode_recorded_fail(
                r, ODE_EFIELD,
                "ode_recorded_new: param[%d] is %s, needed an input of the state's tape, of fixed "
                "rows or, like the state, AD_BATCH",
                i, shape(a, g->param[i]));
    }
    return ODE_OK;
}

/* ---- the private tape -------------------------------------------------------------------------------------- */
/* The function of what was recorded: (y or q, p; t; params) -> f, H, as far as given. */
static int take(ode_recorded *r, const ode_recording *g)
{
    ad_tape *t = given(g->y) ? g->y.tape : g->q.tape;
    int n = 0, m = 0;
    ad_var *in = malloc(sizeof *in * (size_t)(3 + g->params)), out[2];
    if (!in)
        return ode_recorded_fail(r, ODE_EMEMORY, "ode_recorded_new: out of memory");
    if (given(g->y))
        in[n++] = g->y;
    else
        in[n++] = g->q, in[n++] = g->p;
    if (r->timed)
        in[n++] = g->t;
    for (int i = 0; i < g->params; i++)
        in[n++] = g->param[i];
    if (given(g->f))
        out[m++] = g->f;
    if (given(g->H))
        out[m++] = g->H;
    r->source = ad_func_new(n, in, m, out);
    free(in);
    if (r->source)
        return ODE_OK;
    int status = ad_status(t);
    ode_recorded_fail(r, status == AD_ENOMEM ? ODE_EMEMORY : ODE_EFIELD, "ode_recorded_new: %s",
                      ad_message(t));
    ad_clear(t);
    return r->status;
}
/* Called anew on inputs of the private tape; q and p apart, so that each derivative is by its own input. */
static int record(ode_recorded *r, const ode_recording *g)
{
    ad_tape *t = r->tape = ad_new();
    int rows = r->batch ? AD_BATCH : 1, n = 0, m = r->half;
    ad_var *in = malloc(sizeof *in * (size_t)(3 + g->params)), out[2];
    if (!t || !in)
        return free(in), ode_recorded_fail(r, ODE_EMEMORY, "ode_recorded_new: out of memory");
    if (m) {
        r->q = ad_input(t, "q", rows, m), r->p = ad_input(t, "p", rows, m);
        r->y = ad_concat_cols(2, (ad_var[]){r->q, r->p});
    } else
        r->y = ad_input(t, "y", rows, r->size);
    if (r->split)
        for (int k = 0; k < 2; k++)
            in[n++] = m ? (k ? r->p : r->q) : ad_cols_of(r->y, k * r->size / 2, r->size / 2);
    else
        in[n++] = r->y;
    if (r->timed)
        r->t = in[n++] = ad_input(t, "t", r->timed == 1 ? 1 : rows, 1);
    for (int i = 0; i < r->params; i++) {
        char name[32];
        snprintf(name, sizeof name, "param%d", i);
        r->each[i] = ad_rows(g->param[i]) == AD_BATCH;
        r->shape[i] = ad_cols(g->param[i]) * (r->each[i] ? 1 : ad_rows(g->param[i]));
        r->param[i] = in[n++] = ad_input(t, name, ad_rows(g->param[i]), ad_cols(g->param[i]));
    }
    ad_call(t, r->source, in, out);
    free(in);
    if (given(g->f))
        r->f = out[0];
    if (given(g->H))
        r->H = out[given(g->f)];
    if (m) {
        ad_var d[2];
        ad_vjp(1, &r->H, (ad_var[]){ad_num(1)}, 2, (ad_var[]){r->q, r->p}, d);
        r->dHdq = d[0], r->dHdp = d[1];
    }
    return ode_recorded_tape(r, "ode_recorded_new");
}

static int rhs(void *u, double t, const double y[], double f[])
{
    return ode_recorded_give(u, ODE_OF_RHS, 1, &(int){0}, &t, y, f);
}
static int dHdp(void *u, double t, const double y[], double g[])
{
    return ode_recorded_give(u, ODE_OF_DHDP, 1, &(int){0}, &t, y, g);
}
static int dHdq(void *u, double t, const double y[], double g[])
{
    return ode_recorded_give(u, ODE_OF_DHDQ, 1, &(int){0}, &t, y, g);
}
static int energy(void *u, double t, const double y[], double *H)
{
    return ode_recorded_give(u, ODE_OF_ENERGY, 1, &(int){0}, &t, y, H);
}
static int jacobian(void *u, double t, const double y[], double J[])
{
    return ode_recorded_give(u, ODE_OF_JACOBIAN, 1, &(int){0}, &t, y, J);
}

ode_recorded *ode_recorded_new(const ode_recording *g)
{
    ode_recorded *r = calloc(1, sizeof *r);
    if (!r)
        return (ode_recorded *)(uintptr_t)&no_memory;
    if (!g)
        return ode_recorded_fail(r, ODE_EINPUT, "ode_recorded_new: recording is NULL"), r;
    if (shapes(r, g))
        return r;
    size_t k = (size_t)g->params + 1;
    r->params = g->params;
    r->pool = g->pool;
    r->param = calloc(k, sizeof *r->param + sizeof *r->value + 3 * sizeof(int));
    r->in = calloc(k + 5, sizeof *r->in);
    if (!r->param || !r->in)
        return ode_recorded_fail(r, ODE_EMEMORY, "ode_recorded_new: out of memory"), r;
    r->value = (double **)(r->param + k);
    r->rows = (int *)(r->value + k);
    r->shape = r->rows + k;
    r->each = r->shape + k;
    if (take(r, g) || record(r, g))
        return r;
    r->field =
        (ode_field){.size = r->size, .rhs = rhs, .jacobian = jacobian, .user = r, .rows = ode_recorded_give};
    if (given(r->H))
        r->field.energy = energy;
    if (r->half)
        r->field.dHdp = dHdp, r->field.dHdq = dHdq, r->field.kind = ODE_CANONICAL | ode_recorded_kind(r);
    if (r->status)
        r->field.size = 0; /* no method takes it */
    return r;
}
void ode_recorded_free(ode_recorded *r)
{
    if (!r || r == &no_memory)
        return;
    for (int k = 0; k < ODE_PROGRAMS; k++) {
        ad_work_free(r->work[k]);
        ad_program_free(r->program[k]);
        ad_func_free(r->fn[k]);
    }
    for (int i = 0; r->value && i < r->params; i++)
        free(r->value[i]);
    free(r->param);
    free(r->in);
    free(r->room);
    ad_func_free(r->source);
    ad_free(r->tape);
    free(r);
}
int ode_recorded_set(ode_recorded *r, int i, int rows, const double values[])
{
    if (r->status)
        return r->status;
    if (i < 0 || i >= r->params || !values)
        return ode_recorded_fail(r, ODE_EINPUT, "ode_recorded_set: parameter %d of %d%s", i, r->params,
                                 values ? "" : ", no values");
    int fixed = r->each[i] ? 0 : ad_rows(r->param[i]);
    if (rows < 1 || (fixed && rows != fixed))
        return ode_recorded_fail(r, ODE_EINPUT, "ode_recorded_set: %d rows for parameter %d, needed %d%s",
                                 rows, i, fixed ? fixed : 1, fixed ? "" : " or more");
    size_t n = (size_t)r->shape[i] * (size_t)(fixed ? 1 : rows);
    double *v = realloc(r->value[i], n * sizeof *v);
    if (!v)
        return ode_recorded_fail(r, ODE_EMEMORY, "ode_recorded_set: out of memory");
    memcpy(v, values, n * sizeof *v);
    r->value[i] = v;
    r->rows[i] = rows;
    r->changes++;
    return ODE_OK;
}
