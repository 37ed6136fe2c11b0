/* dense.c - the dense output of adaptive rows as recorded mathematics: y(t + theta h) = y + h sum_j b_j(theta) k_j.
 * Invariant: what is recorded is what adaptive.c gives, to rounding, so that a loss at given times has its derivative. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "recorded.h"
#include "solver.h"

#define ZERO ((ode_num){0, 0})
/* Slot `arg` = y + h sum a_j k_j, then k = f there; returns what follows in a. Slots are those of the rk family. */
static const ode_num *stage(ode_space *s, int arg, int k, int before, int stages, const ode_num *a)
{
    double c = 0, e = 0;
    s->ops->set(s, ODE_ALL, arg, 0);
    for (int j = 0; j < before; j++, a++) {
        double sum = c + a->hi, t = sum - c;
        e += (c - (sum - t)) + (a->hi - t) + a->lo;
        c = sum;
        if (a->hi != 0)
            s->ops->addh(s, ODE_ALL, arg, *a, j < stages ? 1 + j : 2 + j);
    }
    s->ops->eval(s, ODE_ALL, k, arg, (ode_num){c, e});
    return a;
}
/* Slot 0 = h sum_j d_j k_j, d_j the coefficient of theta^(power + 1) in b_j. */
static void column(ode_space *s, const ode_plan *p, int power)
{
    int n = p->stages, extras = p->row->extras, degree = p->row->degree;
    const ode_num *a = p->a;
    s->ops->eval(s, ODE_ALL, 1, 0, ZERO);
    for (int i = 1; i < n; i++)
        a = stage(s, n + 1, 1 + i, i, n, a);
    a = p->extra;
    for (int i = 0; i < extras; i++)
        a = stage(s, n + 1, n + 2 + i, n + i, n, a);
    s->ops->set(s, ODE_ALL, 0, -1);
    for (int j = 0; j < n + extras; j++)
        if (p->dense[j * degree + power].hi != 0)
            s->ops->addh(s, ODE_ALL, 0, p->dense[j * degree + power], j < n ? 1 + j : 2 + j);
}
static int slots(const ode_plan *p) { return p->stages + 1 + p->row->extras; }
#define COLUMN(k)                                                                                            \
    static void column_##k(ode_space *s, const ode_plan *p) { column(s, p, k); }
COLUMN(0)
COLUMN(1)
COLUMN(2)
COLUMN(3)
COLUMN(4)
COLUMN(5)
COLUMN(6)
COLUMN(7)
#define ROW(k)                                                                                               \
    {                                                                                                        \
        "dense output", slots, NULL, column_##k, NULL                                                        \
    }
static const ode_driver columns[] = {ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7)};
enum { MOST = sizeof columns / sizeof *columns };

/* The body of the loop over times: (params; y, t, h, at) -> the state at `at`, in the step h from (t, y). */
static ad_func *body(const ode_method *m, ode_recorded *r, ad_var y, const ad_var param[], ad_var t)
{
    ad_tape *b = ad_new();
    ad_var *in = calloc((size_t)(4 + r->params), sizeof *in), out = ad_num(0);
    int n = 0;
    if (b && in) {
        n = ode_body_params(r, b, param, in);
        ad_var y0 = in[n++] = ad_input(b, "y", ad_rows(y), ad_cols(y)),
               begin = in[n++] = ad_input(b, "t", ad_rows(t), 1), h = in[n++] = ad_input(b, "h", 1, 1),
               at = in[n++] = ad_input(b, "at", 1, 1), theta = ad_div(ad_sub(at, begin), h);
        for (int k = m->degree - 1; k >= 0 && !r->status; k--) {
            ode_method row = *m;
            row.driver = &columns[k];
            ad_var d = ode_record_step(&row, r, y0, begin, h, in, 0);
            out = ad_mul(theta, ad_add(out, d));
        }
        out = ad_add(y0, out);
    }
    return ode_body_func(r, "ode_record_times", b, n, in, 1, &out);
}

/* Which step each time lies in; ODE_EINPUT when one lies outside. */
static int find(ode_recorded *r, const ode_steps *list, int n, const double times[], int step[])
{
    double way = list->count > 0 && list->h[0] < 0 ? -1 : 1, t = list->t, rest = 0;
    int64_t k = 0;
    for (int i = 0; i < n; i++) {
        /* the end of step k, summed as the solver does; the last one ends where it is told, so a rounding is allowed */
        for (; k < list->count; k++) {
            double p = list->h[k] + rest, end = t + p;
            if ((times[i] - end) * way <= (k == list->count - 1 ? 1e-12 * (fabs(end) + fabs(list->h[k])) : 0))
                break;
            rest = p - (end - t), t = end;
        }
        if (k == list->count || (times[i] - (i ? times[i - 1] : list->t)) * way < 0)
            return ode_recorded_fail(
                r, ODE_EINPUT,
                "ode_record_times: times[%d] = %g is out of order or outside the %lld steps from %g", i,
                times[i], (long long)list->count, list->t);
        step[i] = (int)k;
    }
    return ODE_OK;
}

/* The columns of the steps asked for: of a value [., steps * c], with `first` in front of it (then what they begin with). */
static ad_var pick(const ad_var *first, ad_var all, int c, int n, const int step[], int *index)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < c; j++)
            index[i * c + j] = step[i] * c + j;
    return ad_gather_cols(first ? ad_concat_cols(2, (ad_var[]){*first, all}) : all, n * c, index);
}

ad_var ode_record_times(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                        const ad_var param[], int64_t checkpoints, const ode_steps *list, int n,
                        const double times[], ad_var at)
{
    ad_var none = ad_num(0), path, out = none;
    if (!r || r->status || !y.tape)
        return none;
    if (!m || !m->dense || m->degree < 1 || m->degree > MOST)
        return ode_recorded_fail(r, ODE_EMETHOD,
                                 "ode_record_times: %s has no dense output; use dopri5, tsit5 or dop853",
                                 m ? m->name : "NULL"),
               none;
    if (!list || !times || n < 1 || list->count < 1 || ad_cols(h) != list->count || ad_rows(h) != 1)
        return ode_recorded_fail(
                   r, ODE_EINPUT,
                   "ode_record_times: %d times, h [%d,%d], %lld accepted steps; needed one time or more and "
                   "h [1, steps]",
                   n, ad_rows(h), ad_cols(h), list ? (long long)list->count : 0),
               none;
    ad_tape *tape = y.tape;
    int size = r->size, *step = malloc(sizeof *step * (size_t)n * (size_t)(1 + size)), *index = step + n;
    ad_var *shared = calloc((size_t)(1 + r->params), sizeof *shared), ends, per_step[4];
    ad_func *f = NULL;
    t = ad_is_number(t) ? ad_fill(tape, 1, 1, t.value) : t;
    for (int i = 0; shared && i < r->params; i++)
        shared[i] = ad_is_number(param[i]) ? ad_fill(tape, 1, 1, param[i].value) : param[i];
    if (!step || !shared)
        ode_recorded_fail(r, ODE_EMEMORY, "ode_record_times: out of memory");
    else if (!find(r, list, n, times, step)) {
        ode_record_path(m, r, y, t, h, shared, checkpoints, &path, &ends);
        per_step[0] = pick(&y, path, size, n, step, index), per_step[1] = pick(&t, ends, 1, n, step, index);
        per_step[2] = pick(NULL, h, 1, n, step, index);
        per_step[3] = ad_is_number(at) ? ad_const(tape, 1, n, times) : at;
        f = r->status || ad_status(tape) ? NULL : body(m, r, y, shared, t);
    }
    if (f)
        ad_scan(tape, &(ad_scan_spec){.f = f,
                                      .count = n,
                                      .nshared = r->params,
                                      .nstep = 4,
                                      .ncollect = 1,
                                      .shared = shared,
                                      .per_step = per_step,
                                      .collected = &out});
    ad_func_free(f);
    free(step), free(shared);
    return out;
}
