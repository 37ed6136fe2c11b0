/* emit_steps.c - the steps of a loop (ad_scan) as text: carries and adjoints are arrays of the function with fixed indices, which
 * compilers keep in registers; the function that is run is inlined where it is small. A step waits for one number after the other:
 * packing them into vectors of two only adds to the wait, so compilers are told not to (STEPS).
 * Invariant: such a loop has no batch, and its per-step values are rows, so that a step's part of them is a pointer.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

#include "scan.h"

enum { MOST = 1024, FEW = 16 }; /* numbers that are carried; that are copied one by one */

static int64_t size(ad_shape s) { return (int64_t)s.rows * s.cols; }

bool ad_em_steps_fit(const ad_loop *l)
{
    const ad_object *f = &l->f->o;
    int64_t carries = 0, sums = 0;
    for (int i = 0; i < f->nin + f->nout; i++) {
        bool out = i >= f->nin;
        ad_shape s = out ? f->out[i - f->nin] : f->in[i];
        bool steps = i >= (out ? f->nin + l->ncarry : l->nshared + l->ncarry);
        if (s.rows < 0 || (steps && s.rows != 1))
            return false;
    }
    for (int i = 0; i < l->ncarry; i++)
        carries += size(f->out[i]);
    for (int i = 0; i < l->nsums; i++)
        sums += size(f->in[l->sum[i]]);
    return carries > 0 && carries <= MOST && sums <= MOST;
}

static void copy(ad_text *t, int64_t n, const char *to, const char *from)
{
    if (n > FEW)
        ad_say(t, "for (int i = 0; i < %lld; i++)\n(%s)[i] = (%s)[i];\n", (long long)n, to, from);
    for (int64_t i = 0; i < n && n <= FEW; i++)
        ad_say(t, "(%s)[%lld] = (%s)[%lld];\n", to, (long long)i, from, (long long)i);
}

/* One of the carries or sums that go along: old and new of it, and where it stands among all. */
typedef struct part {
    char old[32], new[32], at[64];
    int64_t n;
} part;

static part part_of(char kind, int i, int64_t n, const char *array, int64_t offset)
{
    part p = {.n = n};
    snprintf(p.old, sizeof p.old, "%c%d", kind, i);
    snprintf(p.new, sizeof p.new, "%c%d_new", kind, i);
    snprintf(p.at, sizeof p.at, "%s + %lld", array, (long long)offset);
    return p;
}
static void declare(ad_text *t, const part *p)
{
    ad_say(t, "REAL %s[%lld], %s[%lld];\n", p->old, (long long)p->n, p->new, (long long)p->n);
    copy(t, p->n, p->old, p->at);
}

/* A pointer to step k of a value of all steps. */
static void moving(ad_text *t, const char *array, int i, ad_shape s)
{
    ad_say(t, "%s[%d] + k * %d, ", array, i, s.cols);
}

static const char *const given = AD_EM_PARAMETERS;

void ad_em_ahead(ad_text *t, const ad_loop *l, const ad_func *step, const char *name, const char *function)
{
    const ad_object *f = &step->o;
    int steps = l->nshared + l->ncarry;
    ad_say(t,
           "STEPS static int %s_ahead(int64_t from, int64_t to, const REAL *here, REAL *path, int64_t "
           "stride, %s)\n{\n"
           "(void)in, (void)out;\n",
           name, given);
    int64_t at = 0;
    for (int i = 0; i < l->ncarry; at += size(f->out[i++])) {
        part p = part_of('c', i, size(f->out[i]), "here", at);
        declare(t, &p);
    }
    ad_say(t, "for (int64_t k = from; k < to; k++) {\nconst REAL *const src[] = {");
    for (int i = 0; i < f->nin; i++)
        if (i < l->nshared)
            ad_say(t, "in[%d], ", i);
        else if (i < steps)
            ad_say(t, "c%d, ", i - l->nshared);
        else
            moving(t, "in", i, f->in[i]);
    ad_say(t, "};\nREAL *const dst[] = {");
    for (int i = 0; i < f->nout; i++)
        if (i < l->ncarry)
            ad_say(t, "c%d_new, ", i);
        else
            moving(t, "out", i, f->out[i]);
    ad_say(t, "};\nconst int status = %s(1, src, dst, work);\nif (status)\nreturn status;\n", function);
    at = 0;
    for (int i = 0; i < l->ncarry; at += size(f->out[i++])) {
        part p = part_of('c', i, size(f->out[i]), "path", at);
        copy(t, p.n, p.old, p.new);
        copy(t, p.n, p.at, p.new);
    }
    ad_say(t, "path += stride;\n}\nreturn 0;\n}\n");
}

/* What a loop backward takes along: adjoints of carries, then sums. */
static part along(const ad_loop *l, int i, int64_t *at)
{
    bool sum = i >= l->ncarry;
    ad_shape s = sum ? l->f->o.in[l->sum[i - l->ncarry]] : l->f->o.out[i];
    part p = part_of(sum ? 's' : 'a', sum ? i - l->ncarry : i, size(s), "adjoint", *at);
    *at += p.n;
    return p;
}

void ad_em_behind(ad_text *t, const ad_loop *l, const char *name, const char *function)
{
    const ad_object *f = &l->f->o;
    int steps = l->nshared + l->ncarry, n = 0;
    int64_t numbers = 0, at = 0;
    ad_say(t,
           "STEPS static int %s_behind(int64_t from, int64_t to, const REAL *path, REAL *adjoint, "
           "%s)\n{\n(void)in, "
           "(void)out;\n",
           name, given);
    for (int i = 0; i < l->ncarry; i++)
        numbers += size(f->out[i]);
    for (int i = 0; i < l->ncarry + l->nsums; i++) {
        part p = along(l, i, &at);
        declare(t, &p);
    }
    ad_say(t,
           "for (int64_t k = to - 1; k >= from; k--) {\nconst REAL *const here = path + (k - from) * %lld;\n"
           "const REAL *const src[] = {",
           (long long)numbers);
    at = 0;
    for (int i = 0; i < f->nin; i++)
        if (i < l->nshared) {
            ad_say(t, "in[%d], ", i);
        } else if (i < steps) {
            ad_say(t, "here + %lld, ", (long long)at);
            at += size(f->in[i]);
        } else {
            moving(t, "in", i, f->in[i]);
        }
    for (int i = 0; i < l->ncarry; i++)
        ad_say(t, "a%d, ", i);
    for (int i = 0; i < l->nseeds; i++)
        moving(t, "in", f->nin + l->ncarry + i, f->out[l->ncarry + l->seed[i]]);
    for (int i = 0; i < l->nsums; i++)
        ad_say(t, "s%d, ", i);
    ad_say(t, "};\nREAL *const dst[] = {");
    for (int i = 0; i < l->nsums; i++, n++)
        ad_say(t, "s%d_new, ", i);
    for (int i = 0; i < l->ncarry; i++, n++)
        ad_say(t, "a%d_new, ", i);
    for (int i = 0; i < l->nmoved; i++, n++)
        moving(t, "out", n, f->in[steps + l->moved[i]]);
    ad_say(t, "};\nconst int status = %s(1, src, dst, work);\nif (status)\nreturn status;\n", function);
    for (int end = 0; end < 2; end++) {
        at = 0;
        for (int i = 0; i < l->ncarry + l->nsums; i++) {
            part p = along(l, i, &at);
            copy(t, p.n, end ? p.at : p.old, end ? p.old : p.new);
        }
        ad_say(t, end ? "return 0;\n}\n" : "}\n");
    }
}
