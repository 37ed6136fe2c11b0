/* scan_body.c - the functions that loops run besides the one that was given: its carries alone, with tangents, and
 * one step backward.
 *
 * SPDX-License-Identifier: MIT */
#include "scan.h"

/* A key: the kind, a flag, the counts of the loop, then masks. */
typedef struct key {
    uint8_t *b;
    size_t n;
} key;

enum { HEAD = 2 + 4 * sizeof(int) };

static key key_new(int kind, bool flag, const ad_loop *l, int nmasks, const bool *const mask[],
                   const int size[])
{
    const int count[4] = {l->nshared, l->ncarry, l->nstep, l->ncollect};
    key k = {NULL, HEAD};
    for (int i = 0; i < nmasks; i++)
        k.n += (size_t)size[i];
    k.b = malloc(k.n);
    if (!k.b)
        return k;
    k.b[0] = (uint8_t)kind;
    k.b[1] = flag;
    memcpy(k.b + 2, count, sizeof count);
    uint8_t *at = k.b + HEAD;
    for (int i = 0; i < nmasks; i++)
        for (int j = 0; j < size[i]; j++)
            *at++ = mask[i][j];
    return k;
}

static const ad_func *kept(const ad_func *f, key k,
                           ad_func *(*record)(const ad_func *, const uint8_t[], ad_reason *), ad_reason *why)
{
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    const ad_func *g = k.b ? ad_derived(f, k.n, k.b, record, why) : NULL;
    free(k.b);
    return g;
}

/* What every recorder begins with: a tape, the inputs and results of f on it, and room for more values. */
typedef struct sheet {
    ad_tape *t;
    int nshared, ncarry, nstep, ncollect;
    const uint8_t *mask;
    ad_var *x, *y, *in, *out, *u, *v, *w; /* x, y: of f; in, out: of the new function */
    int nin, nout;
} sheet;

static bool sheet_open(sheet *s, const ad_func *f, const uint8_t k[])
{
    int count[4];
    memcpy(count, k + 2, sizeof count);
    size_t most = 3 * ((size_t)f->o.nin + (size_t)f->o.nout) + 1;
    *s = (sheet){.t = ad_new(),
                 .nshared = count[0],
                 .ncarry = count[1],
                 .nstep = count[2],
                 .ncollect = count[3],
                 .mask = k + HEAD};
    s->x = s->t ? malloc(7 * most * sizeof *s->x) : NULL;
    if (!s->x) {
        ad_free(s->t);
        return false;
    }
    s->y = s->x + most;
    s->in = s->y + most;
    s->out = s->in + most;
    s->u = s->out + most;
    s->v = s->u + most;
    s->w = s->v + most;
    return true;
}

static ad_var input(sheet *s, const char *kind, int i, ad_shape shape, bool masked)
{
    return s->in[s->nin++] = ad_func_input(s->t, kind, i, shape, masked);
}

static ad_func *sheet_close(sheet *s, ad_reason *why)
{
    ad_func *g = ad_func_take(s->t, s->nin, s->in, s->nout, s->out, why);
    free(s->x);
    return g;
}

static ad_func *record_carries(const ad_func *f, const uint8_t k[], ad_reason *why)
{
    sheet s;
    if (!sheet_open(&s, f, k))
        return NULL;
    for (int i = 0; i < f->o.nin; i++)
        s.x[i] = input(&s, "x", i, f->o.in[i], ad_func_masked(f, i));
    if (ad_func_into(f, s.t, s.x, s.y))
        for (int i = 0; i < s.ncarry; i++)
            s.out[s.nout++] = s.y[i];
    return sheet_close(&s, why);
}

const ad_func *ad_scan_carries(const ad_func *f, const ad_loop *l, ad_reason *why)
{
    return kept(f, key_new(AD_KEY_STEP, false, l, 0, NULL, NULL), record_carries, why);
}

/* Inputs: shared, carry, step, adjoints of carries and of seeded results, sums. Masks: shared, step, seeded. */
static ad_func *record_back(const ad_func *f, const uint8_t k[], ad_reason *why)
{
    sheet s;
    if (!sheet_open(&s, f, k))
        return NULL;
    const uint8_t *shared = s.mask, *step = shared + s.nshared, *seeded = step + s.nstep;
    int ny = 0, nx = 0;
    for (int i = 0; i < f->o.nin; i++)
        s.x[i] = input(&s, "x", i, f->o.in[i], ad_func_masked(f, i));
    ad_var *y = s.u, *seed = s.v, *x = s.w;
    bool ok = ad_func_into(f, s.t, s.x, s.y);
    for (int i = 0; ok && i < f->o.nout; i++)
        if (i < s.ncarry || seeded[i - s.ncarry]) {
            seed[ny] = input(&s, "g", i, f->o.out[i], k[1]);
            y[ny++] = s.y[i];
        }
    for (int i = 0; ok && i < f->o.nin; i++) {
        int at = i - s.nshared - s.ncarry;
        if (i < s.nshared ? shared[i] : at < 0 || step[at])
            x[nx++] = s.x[i];
    }
    if (ok && nx && ny) {
        ad_vjp(ny, y, seed, nx, x, s.out);
    } else if (ok) { /* nothing seeded: nothing comes back */
        for (int i = 0; i < nx; i++)
            s.out[i] = ad_fill(s.t, ad_rows(x[i]), ad_cols(x[i]), 0);
    }
    s.nout = nx;
    for (int i = 0, n = 0; ok && i < s.nshared; i++)
        if (shared[i]) {
            s.out[n] = ad_add(input(&s, "sum", i, f->o.in[i], k[1]), s.out[n]);
            n++;
        }
    return sheet_close(&s, why);
}

const ad_func *ad_scan_back_body(const ad_func *f, const ad_loop *l, bool masked, const bool shared[],
                                 const bool step[], const bool seeded[], ad_reason *why)
{
    return kept(f,
                key_new(AD_KEY_BACK, masked, l, 3, (const bool *const[]){shared, step, seeded},
                        (const int[]){l->nshared, l->nstep, l->ncollect}),
                record_back, why);
}

/* Inputs: shared, their tangents where moved, carry, tangents, step, tangents where moved. Masks: shared, step,
 * collected values, collected tangents. */
static ad_func *record_tangent(const ad_func *f, const uint8_t k[], ad_reason *why)
{
    sheet s;
    if (!sheet_open(&s, f, k))
        return NULL;
    const uint8_t *shared = s.mask, *step = shared + s.nshared, *value = step + s.nstep,
                  *tangent = value + s.ncollect;
    const int begin[4] = {0, s.nshared, s.nshared + s.ncarry, f->o.nin};
    ad_var *x = s.u, *v = s.v, *dy = s.w;
    int nx = 0;
    for (int part = 0; part < 3; part++) {
        for (int i = begin[part]; i < begin[part + 1]; i++)
            s.x[i] = input(&s, "x", i, f->o.in[i], ad_func_masked(f, i));
        for (int i = begin[part]; i < begin[part + 1]; i++)
            if (part == 1 || (part == 0 ? shared[i] : step[i - begin[2]])) {
                v[nx] = input(&s, "v", i, f->o.in[i], ad_func_masked(f, i));
                x[nx++] = s.x[i];
            }
    }
    if (ad_func_into(f, s.t, s.x, s.y)) {
        if (nx)
            ad_jvp(f->o.nout, s.y, nx, x, v, dy);
        for (int i = 0; i < f->o.nout && !nx; i++)
            dy[i] = ad_fill(s.t, ad_rows(s.y[i]), ad_cols(s.y[i]), 0);
        for (int i = 0; i < s.ncarry; i++)
            s.out[s.nout++] = s.y[i];
        for (int i = 0; i < s.ncarry; i++)
            s.out[s.nout++] = dy[i];
        for (int i = 0; i < s.ncollect; i++)
            if (value[i])
                s.out[s.nout++] = s.y[s.ncarry + i];
        for (int i = 0; i < s.ncollect; i++)
            if (tangent[i])
                s.out[s.nout++] = dy[s.ncarry + i];
    }
    return sheet_close(&s, why);
}

const ad_func *ad_scan_tangent_body(const ad_func *f, const ad_loop *l, const bool shared[],
                                    const bool step[], const bool value[], const bool tangent[],
                                    ad_reason *why)
{
    return kept(f,
                key_new(AD_KEY_SCAN_JVP, false, l, 4, (const bool *const[]){shared, step, value, tangent},
                        (const int[]){l->nshared, l->nstep, l->ncollect, l->ncollect}),
                record_tangent, why);
}
