/* check.c - recorded derivatives against differences, both in long double, so that a wrong rule is not lost in
 * rounding and rounding is not taken for a wrong rule.
 * Invariant: order k is held against differences of order k-1 as recorded, so the first wrong order is the one
 * that is named; the tape is left as it was.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"

#include <math.h>
#include <stdio.h>

enum { SINGLY = 64 };

/* The name of an element: q, x[2,0]. */
static void say_element(ad_text *b, const ad_checking *c, int64_t i)
{
    int j = 0;
    while (i >= c->start[j + 1])
        j++;
    int cols = ad_cols(c->x[j]);
    int64_t at = i - c->start[j];
    ad_say_name(b, ad_name(c->x[j]));
    if (c->start[j + 1] - c->start[j] > 1)
        ad_say(b, "[%lld,%lld]", (long long)(at / cols), (long long)(at % cols));
}

static const size_t column[] = {2, 34, 44, 57, 68, 79, 95};

/* One row of the report: n elements of which the recorded and the other derivative are known. where[i] is the
 * place of element i among all x, or -1 for a direction. */
static void compare(ad_checking *c, const char *what, const char *of, int64_t n, const int64_t where[],
                    const long double got[], const double rounded[], const long double want[],
                    const long double doubt[])
{
    long double scale = 0, known = 0, worst = -1, rounding = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++)
        scale = fmaxl(scale, isfinite(want[i]) ? fabsl(want[i]) : 0);
    for (int64_t i = 0; i < n; i++)
        scale = fmaxl(scale, isfinite(got[i]) ? fabsl(got[i]) : 0);
    long double broad = fmaxl(scale, c->natural);
    bool wrong = false;
    for (int64_t i = 0; i < n; i++) {
        /* what ten times the doubt explains is not held against a derivative that is 0 but for rounding */
        long double e = fabsl(got[i] - want[i]);
        bool bad = !(e <= 10 * doubt[i]);
        long double in = bad ? scale : broad;
        e = !isfinite(got[i]) || !isfinite(want[i]) ? (long double)INFINITY : in > 0 ? e / in : e;
        if (bad > wrong || (bad == wrong && e > worst)) {
            worst = e;
            wrong = bad;
            at = i;
        }
        known = fmaxl(known, doubt[i] / (broad > 0 ? broad : 1));
        rounding = fmaxl(rounding, fabsl((long double)rounded[i] - got[i]) / (scale > 0 ? scale : 1));
    }
    c->natural = 0;
    ad_text name = {0};
    if (where[at] >= 0)
        say_element(&name, c, where[at]);
    else
        ad_say(&name, "along v");
    char *element = ad_said(&name);
    ad_text *b = c->report;
    ad_say_to(b, column[0]);
    ad_say(b, "%s%s", what, of);
    ad_say_to(b, column[1]);
    ad_say(b, "%lld", (long long)n);
    ad_say_to(b, column[2]);
    ad_say(b, "%.1Le", worst);
    ad_say_to(b, column[3]);
    ad_say(b, "%.1Le", known);
    ad_say_to(b, column[4]);
    ad_say(b, "%.1Le", rounding);
    ad_say_to(b, column[5]);
    ad_say(b, "%s", element ? element : "");
    ad_say_to(b, column[6]);
    ad_say(b, "%.15Lg", got[at]);
    ad_say_to(b, column[6] + 24);
    ad_say(b, "%.15Lg\n", want[at]);
    if (wrong > c->wrong || (wrong == c->wrong && (double)worst > c->worst)) {
        c->worst = (double)worst;
        c->wrong = wrong;
        ad_unsay(&c->worst_at);
        c->worst_at = (ad_text){0};
        ad_say(&c->worst_at, "%s%s at %s", what, of, element ? element : "");
    }
    c->known = fmax(c->known, (double)known);
    free(element);
}

/* Order 1: each element alone where there are few, some of many, and all along v. */
static bool first_order(ad_checking *c, ad_var y, const long double got[], const double rounded[])
{
    ad_probe f;
    bool ok = ad_probe_new(&f, c, 1, &y);
    long double want[SINGLY], doubt[SINGLY], g[SINGLY], along = 0;
    double r[SINGLY], along_rounded = 0;
    int64_t where[SINGLY];
    for (int j = 0; ok && j < c->nx; j++) {
        int64_t n = c->start[j + 1] - c->start[j], m = n > SINGLY ? SINGLY / 2 : n;
        for (int64_t k = 0; ok && k < m; k++) {
            where[k] = c->start[j] + k * n / m;
            g[k] = got[where[k]];
            r[k] = rounded[where[k]];
            ok = ad_differentiate(c, &f, where[k], c->size[j], &want[k], &doubt[k]);
        }
        if (ok)
            compare(c, "gradient, ", ad_name(c->x[j]), m, where, g, r, want, doubt);
    }
    ok = ok && ad_differentiate(c, &f, -1, 1, want, doubt);
    if (ok) {
        where[0] = -1;
        for (int64_t i = 0; i < c->total; i++) {
            along += got[i] * c->dir[i];
            along_rounded += rounded[i] * (double)c->dir[i];
        }
        compare(c, "gradient, all", "", 1, where, &along, &along_rounded, want, doubt);
    }
    ad_probe_free(&f);
    return ok;
}

/* Orders 2 and 3: `lower` is of one order less, and differentiated along v. */
static bool next_order(ad_checking *c, const char *what, const ad_var lower[], const long double got[],
                       const double rounded[])
{
    ad_probe f;
    bool ok = ad_probe_new(&f, c, c->nx, lower);
    int64_t n = c->total, *where = malloc((size_t)n * sizeof *where);
    long double *want = malloc((size_t)n * 2 * sizeof *want);
    ok = ok && where && want && ad_differentiate(c, &f, -1, 1, want, want + n);
    for (int64_t i = 0; ok && i < n; i++)
        where[i] = i;
    for (int j = 0; ok && j < c->nx; j++) {
        int64_t s = c->start[j];
        compare(c, what, ad_name(c->x[j]), c->start[j + 1] - s, where + s, got + s, rounded + s, want + s,
                want + n + s);
    }
    free(where);
    free(want);
    ad_probe_free(&f);
    return ok;
}

/* The derivatives as recorded: in long double, and in double as ad_value has them. */
static bool recorded(ad_checking *c, const ad_var d[], long double got[], double rounded[])
{
    ad_probe f;
    bool ok = ad_probe_new(&f, c, c->nx, d);
    if (ok) {
        memcpy(c->moved, c->at, (size_t)c->total * sizeof *c->at);
        ad_probe_run(&f, c);
        memcpy(got, f.value, (size_t)c->total * sizeof *got);
    }
    for (int j = 0; ok && j < c->nx; j++) {
        const double *v = ad_value(d[j]);
        ok = v != NULL;
        if (ok)
            memcpy(rounded + c->start[j], v, (size_t)(c->start[j + 1] - c->start[j]) * sizeof *v);
    }
    ad_probe_free(&f);
    return ok;
}

static const ad_inp *input_of(ad_var x) { return &x.tape->input[ad_node_of(x)->arg[0]]; }
static int64_t elements(const ad_tape *t, const ad_inp *in)
{
    return in->value ? (int64_t)in->rows_bound * ad_at_id(t, in->id)->cols : 0;
}

/* The values of x, how large each is, and a direction of that size, bound to v. */
static bool directions(ad_checking *c, ad_var v[])
{
    double *dir = malloc((size_t)c->total * sizeof *dir);
    for (int j = 0; dir && j < c->nx; j++) {
        const ad_inp *in = input_of(c->x[j]);
        int64_t s = c->start[j], n = c->start[j + 1] - s;
        long double size = 0;
        for (int64_t i = 0; i < n; i++) {
            c->at[s + i] = in->value[i];
            size = fmaxl(size, fabsl(c->at[s + i]));
        }
        c->size[j] = size > 0 && isfinite(size) ? size : 1;
        for (int64_t i = 0; i < n; i++) { /* multiples of the golden ratio spread evenly */
            double u = fmod(0.618033988749895 * (double)(s + i + 1), 1);
            dir[s + i] = (double)c->size[j] * (u < 0.5 ? -0.5 - u : u);
            c->dir[s + i] = dir[s + i];
        }
        ad_set(v[j], in->rows_bound, dir + s);
    }
    free(dir);
    return dir && !c->t->status;
}

/* Where the programs find all inputs: x, which moves, then the others. */
static bool bind(ad_checking *c, ad_var v[])
{
    ad_tape *t = c->t;
    int nx = c->nx;
    for (int j = 0; j < nx; j++) {
        char name[32]; /* a control character: not a name that someone else uses */
        snprintf(name, sizeof name, "\001direction %d", j + 1);
        v[j] = ad_input(t, name, ad_rows(c->x[j]), ad_cols(c->x[j]));
    }
    int nin = ad_inputs(t);
    c->start = calloc((size_t)nx + 1, sizeof *c->start);
    c->in = calloc((size_t)nin + 1, sizeof *c->in);
    if (t->status || !c->start || !c->in)
        return false;
    for (int j = 0; j < nx; j++)
        c->start[j + 1] = c->start[j] + elements(t, input_of(c->x[j]));
    c->total = c->start[nx];
    c->at = malloc(((size_t)c->total * 2 + (size_t)nx) * sizeof *c->at);
    if (!c->at)
        return false;
    c->dir = c->at + c->total;
    c->size = c->dir + c->total;
    int64_t all = 0, next = c->total;
    if (!directions(c, v))
        return false;
    for (int i = 0; i < nin; i++)
        all += elements(t, &t->input[i]);
    c->moved = malloc((size_t)all * sizeof *c->moved);
    if (!c->moved)
        return false;
    for (int j = 0; j < nx; j++)
        c->in[ad_node_of(c->x[j])->arg[0]] = c->moved + c->start[j];
    for (int i = 0; i < nin; i++) {
        const ad_inp *in = &t->input[i];
        if (c->in[i] || !in->value)
            continue;
        c->in[i] = c->moved + next;
        for (int64_t k = 0, n = elements(t, in); k < n; k++)
            c->moved[next++] = in->value[k];
    }
    return true;
}

/* y and every x are what can be checked; the values are bound. */
static ad_tape *checkable(ad_var y, int nx, const ad_var x[], int order, int64_t *batch)
{
    ad_tape *t = nx > 0 && x ? x[0].tape : NULL;
    ad_var v;
    char s[32];
    int32_t count;
    if (!t || !ad_join("ad_check", 1, x, &v, &t))
        return NULL;
    if (order < 1 || order > 3) {
        ad_fail(t, AD_EARG, "ad_check: order %d; needs 1, 2 or 3", order);
        return NULL;
    }
    for (int j = 0; j < nx; j++) {
        if (ad_is_number(x[j]) || (ad_node_of(x[j]) && ad_node_of(x[j])->op != OP_INPUT)) {
            ad_fail(t, AD_EARG, "ad_check: x %d is %s; needs an input", j + 1, ad_name(x[j]));
            return NULL;
        }
        for (int k = 0; k < j; k++)
            if (x[k].id == x[j].id) {
                ad_fail(t, AD_EARG, "ad_check: input \"%.60s\" is given twice", ad_name(x[j]));
                return NULL;
            }
    }
    if (ad_is_number(y) || (!ad_is_void(y) && (ad_rows(y) != 1 || ad_cols(y) != 1))) {
        ad_fail(t, AD_ESHAPE, "ad_check: y is %s; needs [1,1] on the tape",
                ad_is_number(y) ? "a number" : ad_shape_text(s, ad_rows(y), ad_cols(y)));
        return NULL;
    }
    ad_var all = y; /* x and y as one, so that they have one batch */
    for (int j = 0; j < nx && !t->status; j++)
        all = ad_add(ad_stop(all), ad_sum(x[j]));
    if (!ad_value(all))
        return NULL;
    uint8_t *need = ad_needed("ad_check", 1, &all, &t, &count);
    *batch = need ? ad_bound_batch(t, need, count) : 0;
    free(need);
    return need ? t : NULL;
}

static bool run(ad_checking *c, ad_var y, int order)
{
    int nx = c->nx;
    ad_var *v = malloc((size_t)nx * 4 * sizeof *v), *g = v + nx, *h = g + nx, *third = h + nx;
    bool ok = v && bind(c, v);
    long double *got = malloc(((size_t)c->total + 1) * sizeof *got);
    double *rounded = malloc(((size_t)c->total + 1) * sizeof *rounded);
    ok = ok && got && rounded && !ad_grads(y, nx, c->x, g);
    ok = ok && recorded(c, g, got, rounded) && first_order(c, y, got, rounded);
    if (ok && order > 1)
        ok = !ad_jvp(nx, g, nx, c->x, v, h) && recorded(c, h, got, rounded) &&
             next_order(c, "Hessian v, ", g, got, rounded);
    if (ok && order > 2) {
        ad_var s = N(0); /* v' H v, whose gradient is the third derivative along v twice */
        for (int j = 0; j < nx; j++)
            s = ad_add(s, ad_dot(h[j], v[j]));
        if (ad_is_number(s))
            s = ad_fill(c->t, 1, 1, s.value);
        ok = !ad_grads(s, nx, c->x, third) && recorded(c, third, got, rounded) &&
             next_order(c, "third v v, ", h, got, rounded);
    }
    free(v);
    free(got);
    free(rounded);
    return ok;
}

static void heading(ad_checking *c, ad_var y)
{
    static const char *const title[] = {"derivative", "elements", "error",   "known to",
                                        "rounding",   "worst at", "recorded"};
    ad_say(c->report, "y = ad_%s (node %d) = %.15g", ad_call_name(c->t, ad_node_of(y)), y.id, ad_scalar(y));
    ad_say(c->report, c->batch > 1 ? ", a batch of %d\n" : "\n", c->batch);
    for (int i = 0; i < 7; i++) {
        ad_say_to(c->report, column[i]);
        ad_say(c->report, "%s", title[i]);
    }
    ad_say_to(c->report, column[6] + 24);
    ad_say(c->report, "by differences\n");
}

static void verdict(ad_checking *c)
{
    const double limit = 1e-9;
    const char *at = ad_said(&c->worst_at);
    ad_text *b = c->report;
    if (c->wrong && c->worst > limit)
        ad_say(b, "the derivatives DISAGREE: relative error %.1e, %s\n", c->worst, at ? at : "");
    else if (c->known > 1e-6)
        ad_say(
            b,
            "undecided: the differences are known to %.1e only; is there a kink, or the end of a domain?\n",
            c->known);
    else
        ad_say(b, "the derivatives agree: worst relative error %.1e, %s\n", c->worst, at ? at : "");
}

double ad_check(ad_var y, int nx, const ad_var x[], int order, char **text)
{
    ad_text report = {0};
    int64_t batch = 1;
    if (text)
        *text = NULL;
    ad_tape *home = nx > 0 && x ? x[0].tape : NULL, *t;
    ad_mark here = ad_here(home);
    t = checkable(y, nx, x, order, &batch);
    ad_checking c = {.t = t, .nx = nx, .batch = (int)batch, .x = x, .report = &report, .worst = -1};
    bool ok = t != NULL;
    if (ok) {
        heading(&c, y);
        ok = run(&c, y, order);
        verdict(&c);
        if (!ok)
            ad_fail(t, AD_ENOMEM, "ad_check: out of memory");
    }
    if (ad_nodes(home) > here.nodes)
        ad_rewind(home, here);
    free(c.start);
    free(c.at);
    free(c.moved);
    free((void *)c.in);
    ad_unsay(&c.worst_at);
    char *s = ad_said(&report);
    if (!s && ok)
        ad_fail(t, AD_ENOMEM, "ad_check: out of memory");
    ok = ok && s && !home->status; /* going back may have failed */
    if (ok && text)
        *text = s;
    else
        free(s);
    return ok ? c.worst : NAN;
}
