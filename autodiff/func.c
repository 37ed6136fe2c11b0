/* func.c - recorded functions: a private copy of the nodes between inputs and outputs, and what is derived from it.
 *
 * SPDX-License-Identifier: MIT */
#include "func.h"

#include <pthread.h>
#include <stdio.h>

enum { INLINE_AT_MOST = 10000 }; /* nodes of a function that programs write out where it is called */

struct ad_func_kept {
    pthread_mutex_t lock;
    ad_program *program[3]; /* by real type */
    struct derived {
        struct derived *next;
        ad_func *f;
        size_t n;
        uint8_t key[];
    } * derived;
};

void ad_func_destroy(ad_object *o)
{
    ad_func *f = (ad_func *)o;
    if (f->kept) {
        for (struct derived *d = f->kept->derived, *next; d; d = next) {
            next = d->next;
            ad_func_free(d->f);
            free(d);
        }
        for (int i = 0; i < 3; i++)
            ad_program_free(f->kept->program[i]);
        pthread_mutex_destroy(&f->kept->lock);
        free(f->kept);
    }
    free(f->in);
    free(f->out);
    free(f->need);
    ad_free(f->tape);
}

void ad_func_free(ad_func *f)
{
    if (f)
        ad_object_drop(&f->o);
}

/* Copying ------------------------------------------------------------------------------------------ */

/* Records on `to` the nodes that out[] need, with the values at[] for the nodes in[]. false: out of memory (also an
 * error of `to`), or an input that is not listed: *missing is its id, else -1. */
static bool copy_nodes(const ad_tape *from, int nin, const ad_var in[], int nout, const ad_var out[],
                       ad_tape *to, const ad_var at[], ad_var copy[], int32_t *missing)
{
    int32_t top = 0;
    for (int i = 0; i < nout; i++)
        top = out[i].id >= top ? out[i].id + 1 : top;
    ad_var *map = malloc(((size_t)top + 1) * sizeof *map), *args = NULL;
    uint8_t *need = calloc((size_t)top + 1, 1);
    bool ok = map && need;
    int most = 0;
    *missing = -1;
    for (int i = 0; ok && i < nout; i++)
        need[out[i].id] = 1;
    for (int i = 0; ok && i < nin; i++)
        if (in[i].id < top) {
            map[in[i].id] = at[i];
            need[in[i].id] |= 2;
        }
    for (int32_t id = top - 1; ok && id >= 0; id--) {
        const ad_node *n = ad_at_id(from, id);
        const int32_t *a = ad_args(from, n);
        int m = ad_nargs(from, n);
        if (need[id] != 1)
            continue;
        if (n->op == OP_INPUT)
            *missing = id;
        for (int i = 0; i < m; i++)
            need[a[i]] |= 1;
        most = m > most ? m : most;
    }
    ok = ok && *missing < 0 && (args = malloc(((size_t)most + 1) * sizeof *args));
    for (int32_t id = 0; ok && id < top; id++) {
        if (need[id] != 1)
            continue;
        const ad_node *n = ad_at_id(from, id);
        for (int i = 0, m = ad_nargs(from, n); i < m; i++)
            args[i] = map[ad_args(from, n)[i]];
        map[id] = ad_again(from, n, to, args);
        ok = !to->status;
    }
    for (int i = 0; ok && i < nout; i++)
        copy[i] = map[out[i].id];
    free(args);
    free(need);
    free(map);
    return ok;
}

bool ad_func_into(const ad_func *f, ad_tape *t, const ad_var in[], ad_var out[])
{
    int32_t missing;
    if (t->status || !copy_nodes(f->tape, f->o.nin, f->in, f->o.nout, f->out, t, in, out, &missing))
        return ad_fail(t, AD_ENOMEM, "ad_call: out of memory"), false;
    return true;
}

ad_var ad_func_input(ad_tape *t, const char *kind, int i, ad_shape s, bool masked)
{
    char name[40];
    snprintf(name, sizeof name, "%s%d", kind, i + 1);
    ad_var v = ad_input(t, name, s.rows, s.cols);
    if (masked && v.id >= 0)
        ad_node_of(v)->flags |= NODE_MASKED;
    return v;
}

bool ad_func_masked(const ad_func *f, int i) { return ad_node_of(f->in[i])->flags & NODE_MASKED; }

/* An input named like the value it stands for, where that is an input, too. */
static ad_var stand_in(ad_tape *t, ad_var x, int i)
{
    const ad_node *n = ad_node_of(x);
    ad_shape s = {n->rows, n->cols};
    bool masked = n->flags & NODE_MASKED;
    if (n->op == OP_INPUT && ad_find(t, ad_name(x)).id < 0)
        return ad_input(t, ad_name(x), s.rows, s.cols);
    char kind[16] = "in", name[40];
    for (int k = 0; k < 100; k++) {
        snprintf(name, sizeof name, "%s%d", kind, i + 1);
        if (ad_find(t, name).id < 0)
            break;
        snprintf(kind, sizeof kind, "in%d_", k);
    }
    return ad_func_input(t, kind, i, s, masked);
}

/* Creation ------------------------------------------------------------------------------------------ */

/* What the outputs need on the private tape, and how much that is in a program. */
static void measure(ad_func *f)
{
    for (int i = 0; i < f->o.nout; i++)
        f->need[f->out[i].id] = 1;
    for (int32_t id = f->tape->n - 1; id >= 0; id--) {
        const ad_node *n = ad_at_id(f->tape, id);
        const int32_t *a = ad_args(f->tape, n);
        int m = ad_nargs(f->tape, n);
        if (!f->need[id])
            continue;
        for (int i = 0; i < m; i++)
            f->need[a[i]] = 1;
        f->inline_nodes += 1 + (n->op == OP_FILL);
        f->inline_pool += n->flags & NODE_EXT ? 1 + m + n->nattr : 0;
        const ad_func *g = ad_inlined(f->tape, n);
        if (g) {
            f->inline_nodes += g->inline_nodes;
            f->inline_pool += g->inline_pool;
        }
    }
}

const ad_func *ad_inlined(const ad_tape *t, const ad_node *n)
{
    if (n->op != OP_CALL)
        return NULL;
    const ad_func *g = (const ad_func *)ad_object_of(t, n);
    return g->inline_nodes <= INLINE_AT_MOST ? g : NULL;
}

/* The function of checked values of t; NULL when out of memory or an input is missing. */
static ad_func *make(const ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[],
                     int32_t *missing)
{
    ad_func *f = calloc(1, sizeof *f);
    *missing = -1;
    if (!f || !ad_object_sign(&f->o, &ad_call_class, nin, nout)) {
        free(f);
        return NULL;
    }
    f->tape = ad_new();
    f->in = malloc(((size_t)nin + 1) * sizeof *f->in);
    f->out = malloc(((size_t)nout + 1) * sizeof *f->out);
    f->kept = calloc(1, sizeof *f->kept);
    if (f->kept && pthread_mutex_init(&f->kept->lock, NULL)) {
        free(f->kept);
        f->kept = NULL;
    }
    bool ok = f->tape && f->in && f->out && f->kept;
    for (int i = 0; ok && i < nin; i++) {
        f->in[i] = stand_in(f->tape, in[i], i);
        f->o.in[i] = (ad_shape){ad_rows(in[i]), ad_cols(in[i])};
        ok = !f->tape->status;
    }
    ok = ok && copy_nodes(t, nin, in, nout, out, f->tape, f->in, f->out, missing);
    f->need = ok ? calloc((size_t)f->tape->n + 1, 1) : NULL;
    if (!f->need) {
        ad_func_free(f);
        return NULL;
    }
    for (int i = 0; i < nout; i++)
        f->o.out[i] = (ad_shape){ad_rows(f->out[i]), ad_cols(f->out[i])};
    ad_object_lay(&f->o);
    measure(f);
    return f;
}

static bool good_inputs(ad_tape *t, int nin, const ad_var in[])
{
    for (int i = 0; i < nin; i++) {
        const ad_node *n = in[i].tape == t ? ad_node_of(in[i]) : NULL;
        if (!n) {
            ad_fail(t, in[i].tape && in[i].tape != t ? AD_ETAPE : AD_EARG,
                    "ad_func_new: input %d is %s; needs a value of the outputs' tape", i + 1,
                    in[i].tape && in[i].tape != t ? "on another tape" : ad_name(in[i]));
            return false;
        }
    }
    int32_t *seen = calloc((size_t)t->n + 1, sizeof *seen); /* by node: which input it is, counted from 1 */
    if (!seen) {
        ad_fail(t, AD_ENOMEM, "ad_func_new: out of memory");
        return false;
    }
    bool ok = true;
    for (int i = 0; i < nin && ok; i++) {
        ok = !seen[in[i].id];
        if (!ok)
            ad_fail(t, AD_EARG, "ad_func_new: inputs %d and %d are the same value", seen[in[i].id], i + 1);
        seen[in[i].id] = i + 1;
    }
    free(seen);
    return ok;
}

ad_func *ad_func_new(int nin, const ad_var in[], int nout, const ad_var out[])
{
    ad_tape *t = NULL;
    for (int i = 0; out && i < nout && !t; i++)
        t = out[i].tape;
    for (int i = 0; in && i < nin && !t; i++)
        t = in[i].tape;
    if (ad_status(t))
        return NULL;
    if (nin < 0 || nout < 1 || (nin && !in) || !out) {
        ad_fail(t, AD_EARG, "ad_func_new: %d inputs, %d outputs; needs at least one output", nin, nout);
        return NULL;
    }
    ad_var *y = malloc((size_t)nout * sizeof *y);
    ad_func *f = NULL;
    int32_t missing = -1;
    if (!y) {
        ad_fail(t, AD_ENOMEM, "ad_func_new: out of memory");
        return NULL;
    }
    for (int i = 0; i < nout; i++) {
        ad_var v = ad_is_number(out[i]) ? ad_fill(t, 1, 1, out[i].value) : out[i];
        ad_tape *u;
        if (!ad_join("ad_func_new", 1, &v, &y[i], &u) || u != t) {
            ad_fail(t, u != t ? AD_ETAPE : AD_EARG, "ad_func_new: output %d is %s", i + 1,
                    u != t ? "on another tape" : "void");
            goto done;
        }
    }
    if (!good_inputs(t, nin, in))
        goto done;
    f = make(t, nin, in, nout, y, &missing);
    if (missing >= 0)
        ad_fail(t, AD_EUNBOUND, "ad_func_new: the outputs need input \"%.60s\", which is not listed",
                ad_name(ad_var_of(t, missing)));
    else if (!f)
        ad_fail(t, AD_ENOMEM, "ad_func_new: out of memory");
done:
    free(y);
    return f;
}

/* Derived functions and programs -------------------------------------------------------------------- */

ad_func *ad_func_take(ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[], ad_reason *why)
{
    ad_func *f =
        ad_status(t) ? NULL : ad_func_new(nin, in, nout, out); /* after an error nothing is in out[] */
    if (!f) {
        why->status = ad_status(t) ? ad_status(t) : AD_ENOMEM;
        snprintf(why->message, sizeof why->message, "%s", ad_status(t) ? ad_message(t) : "out of memory");
    }
    ad_free(t);
    return f;
}

static const ad_func *find(const ad_func *f, size_t n, const uint8_t key[])
{
    for (struct derived *d = f->kept->derived; d; d = d->next)
        if (d->n == n && !memcmp(d->key, key, n))
            return d->f;
    return NULL;
}

const ad_func *ad_derived(const ad_func *f, size_t n, const uint8_t key[],
                          ad_func *(*record)(const ad_func *f, const uint8_t key[], ad_reason *why),
                          ad_reason *why)
{
    pthread_mutex_lock(&f->kept->lock);
    const ad_func *g = find(f, n, key);
    pthread_mutex_unlock(&f->kept->lock);
    if (g)
        return g;
    struct derived *d = malloc(sizeof *d + n); /* recorded without the lock: recording may ask for others */
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    ad_func *mine = d ? record(f, key, why) : NULL;
    if (!mine) {
        free(d);
        return NULL;
    }
    memcpy(d->key, key, n);
    d->n = n;
    d->f = mine;
    pthread_mutex_lock(&f->kept->lock);
    g = find(f, n, key); /* another thread may have been first */
    if (!g) {
        d->next = f->kept->derived;
        f->kept->derived = d;
    }
    pthread_mutex_unlock(&f->kept->lock);
    if (!g)
        return mine;
    ad_func_free(mine);
    free(d);
    return g;
}

const ad_program *ad_func_program(const ad_func *f, int real)
{
    struct ad_func_kept *k = f->kept;
    pthread_mutex_lock(&k->lock);
    if (!k->program[real]) {
        k->program[real] =
            ad_compile(f->tape, f->o.nin, f->in, f->o.nout, f->out, &(ad_options){.real = real});
        ad_clear(f->tape);
    }
    const ad_program *p = k->program[real];
    pthread_mutex_unlock(&k->lock);
    return p;
}

/* Key: kind, masked, want..., seeded... */
static ad_func *record_vjp(const ad_func *f, const uint8_t key[], ad_reason *why)
{
    int nin = f->o.nin, nout = f->o.nout;
    const uint8_t *want = key + 2, *seeded = want + nin;
    ad_tape *t = ad_new();
    size_t most = 2 * ((size_t)nin + (size_t)nout);
    ad_var *v = t ? calloc(5 * most, sizeof *v) : NULL; /* void until recorded */
    if (!v) {
        ad_free(t);
        return NULL;
    }
    ad_var *in = v, *y = v + most, *x = y + most, *dx = x + most, *seed = dx + most;
    int ny = 0, nx = 0;
    for (int i = 0; i < nin; i++) {
        in[i] = ad_func_input(t, "x", i, f->o.in[i], ad_func_masked(f, i));
        if (want[i])
            x[nx++] = in[i];
    }
    if (ad_func_into(f, t, in, y)) {
        for (int k = 0; k < nout; k++)
            if (seeded[k]) {
                seed[ny] = in[nin + ny] = ad_func_input(t, "g", k, f->o.out[k], key[1]);
                y[ny++] = y[k];
            }
        ad_vjp(ny, y, seed, nx, x, dx);
    }
    ad_func *g = ad_func_take(t, nin + ny, in, nx, dx, why);
    free(v);
    return g;
}

const ad_func *ad_func_vjp(const ad_func *f, bool masked, const bool want[], const bool seeded[],
                           ad_reason *why)
{
    size_t n = 2 + (size_t)f->o.nin + (size_t)f->o.nout;
    uint8_t *key = malloc(n);
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    if (!key)
        return NULL;
    key[0] = AD_KEY_VJP;
    key[1] = masked;
    for (int i = 0; i < f->o.nin; i++)
        key[2 + i] = want[i];
    for (int k = 0; k < f->o.nout; k++)
        key[2 + f->o.nin + k] = seeded[k];
    const ad_func *g = ad_derived(f, n, key, record_vjp, why);
    free(key);
    return g;
}

/* Key: kind, moved... */
static ad_func *record_jvp(const ad_func *f, const uint8_t key[], ad_reason *why)
{
    int nin = f->o.nin, nout = f->o.nout, nx = 0;
    ad_tape *t = ad_new();
    size_t most = 2 * ((size_t)nin + (size_t)nout);
    ad_var *v = t ? calloc(5 * most, sizeof *v) : NULL; /* void until recorded */
    if (!v) {
        ad_free(t);
        return NULL;
    }
    ad_var *in = v, *y = v + most, *x = y + most, *dx = x + most, *dy = dx + most;
    for (int i = 0; i < nin; i++)
        in[i] = ad_func_input(t, "x", i, f->o.in[i], ad_func_masked(f, i));
    for (int i = 0; i < nin; i++)
        if (key[1 + i]) {
            dx[nx] = in[nin + nx] = ad_func_input(t, "v", i, f->o.in[i], ad_func_masked(f, i));
            x[nx++] = in[i];
        }
    if (ad_func_into(f, t, in, y))
        ad_jvp(nout, y, nx, x, dx, dy);
    ad_func *g = ad_func_take(t, nin + nx, in, nout, dy, why);
    free(v);
    return g;
}

const ad_func *ad_func_jvp(const ad_func *f, const bool moved[], ad_reason *why)
{
    size_t n = 1 + (size_t)f->o.nin;
    uint8_t *key = malloc(n);
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    if (!key)
        return NULL;
    key[0] = AD_KEY_JVP;
    for (int i = 0; i < f->o.nin; i++)
        key[1 + i] = moved[i];
    const ad_func *g = ad_derived(f, n, key, record_jvp, why);
    free(key);
    return g;
}
