/* recorded_run.c - what a recorded field gives, row by row or for many rows in one run.
 * Invariant: each quantity has one program, compiled when it is first asked for; results are the same however rows come. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "recorded.h"
#include "solver.h"

int ode_recorded_inputs(const ode_recorded *r, ad_var in[])
{
    int n = 0;
    if (r->half)
        in[n++] = r->q, in[n++] = r->p;
    else
        in[n++] = r->y;
    if (r->timed)
        in[n++] = r->t;
    for (int i = 0; i < r->params; i++)
        in[n++] = r->param[i];
    return n;
}
static ad_program *compile(ode_recorded *r, int extra, const ad_var more[], int nout, const ad_var out[])
{
    ad_var *in = malloc(sizeof *in * (size_t)(3 + r->params + extra));
    if (!in)
        return ode_recorded_fail(r, ODE_EMEMORY, "recorded field: out of memory"), NULL;
    int n = ode_recorded_inputs(r, in);
    for (int k = 0; k < extra; k++)
        in[n++] = more[k];
    ad_program *p = ad_compile(r->tape, n, in, nout, out, NULL);
    free(in);
    if (!p)
        ode_recorded_tape(r, "recorded field");
    return p;
}
/* f [., m], x [., n] -> [., m*n], the Jacobian of each row: one tangent for each column of x. */
ad_var ode_jacobian(ad_var f, ad_var x)
{
    int n = ad_cols(x), m = ad_cols(f), rows = ad_rows(x);
    ad_var *column = calloc((size_t)n, sizeof *column);
    double *unit = calloc((size_t)n, sizeof *unit);
    ad_var J = ad_num(0);
    for (int j = 0; column && unit && j < n && !ad_status(x.tape); j++) {
        unit[j] = 1;
        ad_var v = ad_expand(ad_const(x.tape, 1, n, unit), rows, n);
        unit[j] = 0;
        ad_jvp(1, &f, 1, &x, &v, &column[j]);
    }
    if (column && unit && n > 0)
        J = ad_row_transpose(ad_concat_cols(n, column), n, m);
    free(column), free(unit);
    return J;
}
/* The program of `what`; its outputs are blocks: RHS of an H is dHdp, dHdq; its Jacobian d dHdp/dq, /dp, d dHdq/dq, /dp. */
static ad_work *work_of(ode_recorded *r, int what)
{
    if (r->work[what] || r->status)
        return r->work[what];
    ad_var out[4];
    int n = 0;
    if (what == ODE_OF_DHDP || (what == ODE_OF_RHS && r->half))
        out[n++] = r->dHdp;
    if (what == ODE_OF_DHDQ || (what == ODE_OF_RHS && r->half))
        out[n++] = r->dHdq;
    if (what == ODE_OF_RHS && !r->half)
        out[n++] = r->f;
    if (what == ODE_OF_ENERGY)
        out[n++] = r->H;
    if (what == ODE_OF_JACOBIAN && !r->half)
        out[n++] = ode_jacobian(r->f, r->y);
    if (what == ODE_OF_JACOBIAN && r->half)
        for (int k = 0; k < 4; k++)
            out[n++] = ode_jacobian(k < 2 ? r->dHdp : r->dHdq, k % 2 ? r->p : r->q);
    if (!r->program[what])
        r->program[what] = compile(r, 0, NULL, n, out);
    if (what == ODE_OF_RHS && r->native && r->program[what]) {
        ad_program *replay = r->program[what];
        r->program[what] =
            ad_native(replay, NULL, NULL); /* replays all the same where there is no compiler */
        ad_program_free(replay);
        if (!r->program[what])
            ode_recorded_fail(r, ODE_EMEMORY, "recorded field: out of memory");
    }
    if (r->program[what] && !(r->work[what] = ad_work_new(r->program[what], r->pool)))
        ode_recorded_fail(r, ODE_EMEMORY, "recorded field: out of memory");
    return r->work[what];
}

void ode_recorded_native(ode_recorded *r)
{
    if (r->native)
        return;
    ad_work_free(r->work[ODE_OF_RHS]);
    r->work[ODE_OF_RHS] = NULL;
    r->native = 1;
}

/* Scratch for `count` rows: the split state, parameters of the rows, blocks of results. */
static double *room_for(ode_recorded *r, size_t need)
{
    if (need > r->room_size) {
        double *v = realloc(r->room, need * sizeof *v);
        if (!v)
            return ode_recorded_fail(r, ODE_EMEMORY, "recorded field: out of memory"), NULL;
        r->room = v;
        r->room_size = need;
    }
    return r->room;
}
static size_t room_of_inputs(const ode_recorded *r, int count)
{
    size_t n = (size_t)r->size;
    for (int i = 0; i < r->params; i++)
        n += r->each[i] ? (size_t)r->shape[i] : 0;
    return n * (size_t)count;
}
static size_t width_of(const ode_recorded *r, int what)
{
    size_t n = (size_t)r->size;
    return what == ODE_OF_RHS        ? n
           : what == ODE_OF_ENERGY   ? 1
           : what == ODE_OF_JACOBIAN ? n * n
                                     : (size_t)r->half;
}
/* r->in for `count` rows; returns how many are set, or 0 when a parameter has no value. direct: a single row as it lies. */
static int bind(ode_recorded *r, int direct, int count, const int row[], const double t[], const double y[],
                double *room)
{
    int n = 0, m = r->half;
    if (m && direct)
        r->in[n++] = y, r->in[n++] = y + m;
    else if (m) {
        double *q = room, *p = room + (size_t)count * (size_t)m;
        for (int k = 0; k < count; k++) {
            memcpy(q + (size_t)k * (size_t)m, y + (size_t)k * (size_t)r->size, (size_t)m * sizeof *q);
            memcpy(p + (size_t)k * (size_t)m, y + (size_t)k * (size_t)r->size + m, (size_t)m * sizeof *p);
        }
        r->in[n++] = q, r->in[n++] = p;
        room += (size_t)count * (size_t)r->size;
    } else
        r->in[n++] = y;
    if (r->timed)
        r->in[n++] = t;
    for (int i = 0; i < r->params; i++) {
        size_t c = (size_t)r->shape[i];
        if (!r->value[i])
            return ode_recorded_fail(r, ODE_EFIELD,
                                     "recorded field: parameter %d has no value: ode_recorded_set", i),
                   0;
        if (!r->each[i]) {
            r->in[n++] = r->value[i];
            continue;
        }
        for (int k = 0; k < count; k++) {
            if (r->rows[i] > 1 && row[k] >= r->rows[i])
                return ode_recorded_fail(r, ODE_EFIELD,
                                         "recorded field: parameter %d has %d rows, none for row %d", i,
                                         r->rows[i], row[k]),
                       0;
            memcpy(room + (size_t)k * c, r->value[i] + (r->rows[i] > 1 ? (size_t)row[k] * c : 0),
                   c * sizeof *room);
        }
        r->in[n++] = room;
        room += (size_t)count * c;
    }
    return n;
}
static int fails(ode_recorded *r, ad_work *w)
{
    if (!r->message[0]) /* kept to be read; a row that fails is no failure of the field */
        snprintf(r->message, sizeof r->message, "recorded field: %s", ad_work_message(w));
    return -1;
}

int ode_recorded_give(void *user, int what, int count, const int row[], const double t[], const double y[],
                      double out[])
{
    ode_recorded *r = user;
    int size = r->size, m = r->half, apart = count > 1 && !r->batch;
    size_t width = width_of(r, what);
    for (int k = 1; k < count && r->timed == 1; k++)
        apart |= t[k] != t[0];
    if (apart) { /* one row, or one time, in a run */
        for (int k = 0; k < count; k++)
            if (ode_recorded_give(r, what, 1, row + k, t + k, y + (size_t)k * (size_t)size,
                                  out + (size_t)k * width))
                return -1;
        return 0;
    }
    ad_work *w = work_of(r, what);
    size_t n = room_of_inputs(r, count),
           block = (size_t)count * (size_t)m * (size_t)(what == ODE_OF_JACOBIAN ? m : 1);
    int blocks = m && what == ODE_OF_JACOBIAN ? 4 : m && what == ODE_OF_RHS ? 2 : 0;
    double *room = w ? room_for(r, n + block * (size_t)blocks) : NULL, *b = room + n;
    int direct = count == 1 && (out + width <= y || y + size <= out), whole = direct && blocks == 2;
    if (!room || !bind(r, direct, count, row, t, y, room))
        return -1;
    void *to[4] = {out, out + m};
    for (int k = 0; k < blocks && !whole; k++)
        to[k] = b + block * (size_t)k;
    if (ad_run(w, count, r->in, to))
        return fails(r, w);
    for (int i = 0; i < m && whole; i++)
        out[m + i] = -out[m + i];
    if (blocks == 2 && !whole)
        for (int k = 0; k < count; k++)
            for (int i = 0; i < m; i++) {
                out[k * size + i] = b[k * m + i];
                out[k * size + m + i] = -b[block + (size_t)(k * m + i)];
            }
    if (blocks == 4)
        for (int k = 0; k < count; k++)
            for (int i = 0; i < size; i++)
                for (int j = 0; j < size; j++) {
                    size_t at =
                        block * (size_t)((i >= m) * 2 + (j >= m)) + (size_t)((k * m + i % m) * m + j % m);
                    out[(k * size + i) * size + j] = i < m ? b[at] : -b[at];
                }
    return 0;
}

int ode_changed(ode_solver *s)
{
    int64_t now = s->field.rows == ode_recorded_give ? ((ode_recorded *)s->field.user)->changes : 0;
    if (now == s->changes)
        return 0;
    s->changes = now;
    s->space.base.fresh = 1;
    return 1;
}
