/* scan.c - ad_scan and the derivatives of loops, which are loops again (scan.h says how).
 *
 * SPDX-License-Identifier: MIT */
#include "scan.h"

#include <limits.h>

void ad_loop_destroy(ad_object *o)
{
    ad_loop *l = (ad_loop *)o;
    free(l->sum);
    if (l->f)
        ad_object_drop(&l->f->o);
}

static ad_shape packed(ad_shape s, int64_t count) { return (ad_shape){s.rows, (int32_t)(s.cols * count)}; }

static ad_loop *loop_new(const ad_func *f, const ad_class *class, const ad_loop *like, int nin, int nout)
{
    ad_loop *l = calloc(1, sizeof *l);
    if (!l || !ad_object_sign(&l->o, class, nin, nout)) {
        free(l);
        return NULL;
    }
    l->f = f;
    ad_object_keep(&f->o);
    l->count = like->count;
    l->checkpoints = like->checkpoints;
    l->nshared = like->nshared;
    l->ncarry = like->ncarry;
    l->nstep = like->nstep;
    l->ncollect = like->ncollect;
    ad_shape *in = l->o.in;
    for (int i = 0; i < f->o.nin; i++)
        *in++ = i < l->nshared + l->ncarry ? f->o.in[i] : packed(f->o.in[i], l->count);
    return l;
}

static ad_loop *scan_new(const ad_func *f, const ad_loop *like)
{
    ad_loop *l = loop_new(f, &ad_scan_class, like, f->o.nin, f->o.nout);
    for (int k = 0; l && k < f->o.nout; k++)
        l->o.out[k] = k < l->ncarry ? f->o.out[k] : packed(f->o.out[k], l->count);
    if (l)
        ad_object_lay(&l->o);
    return l;
}

static int listed(int n, const bool mask[], int *which)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if (mask[i])
            which[m++] = i;
    return m;
}

/* The backward loop for the wanted shared values and steps, and the seeded collected values. */
static ad_loop *back_new(const ad_func *f, const ad_loop *like, bool masked, const bool shared[],
                         const bool step[], const bool seeded[], ad_reason *why)
{
    const ad_func *back = ad_scan_back_body(f, like, masked, shared, step, seeded, why);
    const ad_func *forward = f;
    if (back && like->ncarry && like->ncollect)
        forward = ad_scan_carries(f, like, why);
    if (!back || !forward)
        return NULL;
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    int *which =
        malloc(((size_t)like->nshared + (size_t)like->nstep + (size_t)like->ncollect + 1) * sizeof *which);
    if (!which)
        return NULL;
    int nsums = listed(like->nshared, shared, which), nseeds = listed(like->ncollect, seeded, which + nsums),
        nmoved = listed(like->nstep, step, which + nsums + nseeds);
    ad_loop *l =
        loop_new(f, &ad_back_class, like, f->o.nin + like->ncarry + nseeds, nsums + like->ncarry + nmoved);
    if (!l) {
        free(which);
        return NULL;
    }
    l->forward = forward;
    l->back = back;
    l->nsums = nsums;
    l->nseeds = nseeds;
    l->nmoved = nmoved;
    l->sum = which;
    l->seed = which + nsums;
    l->moved = l->seed + nseeds;
    ad_shape *in = l->o.in + f->o.nin, *out = l->o.out;
    for (int i = 0; i < l->ncarry; i++)
        *in++ = f->o.out[i];
    for (int i = 0; i < nseeds; i++)
        *in++ = packed(f->o.out[l->ncarry + l->seed[i]], l->count);
    for (int i = 0; i < nsums; i++)
        *out++ = f->o.in[l->sum[i]];
    for (int i = 0; i < l->ncarry; i++)
        *out++ = f->o.in[l->nshared + i];
    for (int i = 0; i < nmoved; i++)
        *out++ = packed(f->o.in[l->nshared + l->ncarry + l->moved[i]], l->count);
    ad_object_lay(&l->o);
    return l;
}

static ad_var loop_node(ad_tape *t, const char *who, ad_loop *l, const ad_var in[])
{
    if (!l)
        return ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
    ad_var node = ad_object_node(t, who, &l->o, in);
    ad_object_drop(&l->o);
    return node;
}

/* Recording ---------------------------------------------------------------------------------------- */

static bool good_spec(ad_tape *t, const ad_scan_spec *s)
{
    char w[2][32];
    if (!s || !s->f) {
        ad_fail(t, AD_EARG, "ad_scan: no function");
        return false;
    }
    const ad_object *o = &s->f->o;
    if (s->count < 1 || s->nshared < 0 || s->ncarry < 0 || s->nstep < 0 || s->ncollect < 0 ||
        s->checkpoints < 0) {
        ad_fail(
            t, AD_EARG,
            "ad_scan: %lld steps, %d shared, %d carry, %d per step, %d collected, %lld checkpoints; needs "
            "at least one step and no negative number",
            (long long)s->count, s->nshared, s->ncarry, s->nstep, s->ncollect, (long long)s->checkpoints);
        return false;
    }
    if ((int64_t)s->nshared + s->ncarry + s->nstep != o->nin || (int64_t)s->ncarry + s->ncollect != o->nout) {
        ad_fail(t, AD_EARG,
                "ad_scan: %d shared + %d carry + %d per step for a function of %d inputs, %d carry + %d "
                "collected for "
                "%d outputs",
                s->nshared, s->ncarry, s->nstep, o->nin, s->ncarry, s->ncollect, o->nout);
        return false;
    }
    if ((s->nshared && !s->shared) || (s->ncarry && (!s->carry || !s->carry_out)) ||
        (s->nstep && !s->per_step) || (s->ncollect && !s->collected)) {
        ad_fail(t, AD_EARG, "ad_scan: a list of values is missing");
        return false;
    }
    for (int i = 0; i < s->ncarry; i++) {
        ad_shape a = o->in[s->nshared + i], b = o->out[i];
        if (a.rows != b.rows || a.cols != b.cols) {
            ad_fail(t, AD_ESHAPE, "ad_scan: carry %d is %s and becomes %s", i + 1,
                    ad_shape_text(w[0], a.rows, a.cols), ad_shape_text(w[1], b.rows, b.cols));
            return false;
        }
    }
    for (int i = 0; i < s->nstep + s->ncollect; i++) {
        int32_t c =
            i < s->nstep ? o->in[s->nshared + s->ncarry + i].cols : o->out[s->ncarry + i - s->nstep].cols;
        if (s->count > INT_MAX / c) {
            ad_fail(t, AD_ESHAPE, "ad_scan: %lld steps of %d columns are too many for one value",
                    (long long)s->count, c);
            return false;
        }
    }
    return true;
}

int ad_scan(ad_tape *t, const ad_scan_spec *s)
{
    ad_var node = ad_void(t);
    if (!ad_status(t) && good_spec(t, s)) {
        const ad_loop like = {.count = s->count,
                              .checkpoints = s->checkpoints,
                              .nshared = s->nshared,
                              .ncarry = s->ncarry,
                              .nstep = s->nstep,
                              .ncollect = s->ncollect};
        ad_var *in = malloc(((size_t)s->f->o.nin + 1) * sizeof *in);
        if (in) {
            const ad_var *const part[3] = {s->shared, s->carry, s->per_step};
            const int size[3] = {s->nshared, s->ncarry, s->nstep};
            for (int k = 0, at = 0; k < 3; at += size[k++])
                if (size[k])
                    memcpy(in + at, part[k], (size_t)size[k] * sizeof *in);
        }
        node = loop_node(t, "ad_scan", in ? scan_new(s->f, &like) : NULL, in);
        free(in);
    }
    for (int i = 0; s && s->carry_out && i < s->ncarry; i++)
        s->carry_out[i] = ad_result(node, i);
    for (int i = 0; s && s->collected && i < s->ncollect; i++)
        s->collected[i] = ad_result(node, s->ncarry + i);
    return ad_status(t);
}

/* Derivatives ---------------------------------------------------------------------------------------- */

static bool is_zero(ad_var v) { return ad_is_number(v) && v.value == 0; }

/* Which of n values are there, and whether one of them is a masked adjoint. */
static void present(int n, const ad_var v[], bool there[], bool *masked)
{
    for (int i = 0; i < n; i++) {
        const ad_node *node = ad_is_number(v[i]) ? NULL : ad_node_of(v[i]);
        there[i] = !is_zero(v[i]);
        *masked = *masked || (node && node->flags & NODE_MASKED);
    }
}

/* Room for masks and operands while a rule is recorded. */
typedef struct room {
    bool *b[4];
    ad_var *v;
} room;

static bool room_open(room *r, const ad_loop *l, const ad_object *o)
{
    size_t n = (size_t)o->nin + (size_t)o->nout + (size_t)l->f->o.nin + (size_t)l->f->o.nout + 1;
    r->b[0] = calloc(4 * n, sizeof(bool));
    r->v = malloc(4 * n * sizeof *r->v);
    for (int i = 1; r->b[0] && i < 4; i++)
        r->b[i] = r->b[0] + (size_t)i * n;
    return r->b[0] && r->v;
}

static void room_close(room *r, ad_tape *t, const char *who, const ad_reason *why)
{
    free(r->b[0]);
    free(r->v);
    if (why->status)
        ad_fail(t, why->status, "%s: %s", who, why->message);
}

void ad_scan_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[], const bool want[],
                      ad_var da[])
{
    const ad_loop *l = (const ad_loop *)o;
    int steps = l->nshared + l->ncarry;
    room r;
    ad_reason why = {AD_ENOMEM, "out of memory"};
    bool masked = false;
    if (room_open(&r, l, o)) {
        present(o->nout, g, r.b[0], &masked);
        ad_loop *back = back_new(l->f, l, masked, want, want + steps, r.b[0] + l->ncarry, &why);
        if (back) {
            int n = o->nin, k = 0;
            memcpy(r.v, a, (size_t)o->nin * sizeof *a);
            for (int i = 0; i < o->nout; i++)
                if (i < l->ncarry || r.b[0][i])
                    r.v[n++] = g[i];
            why.status = AD_OK;
            ad_var adj = loop_node(node.tape, "ad_vjp of ad_scan", back, r.v);
            for (int i = 0; i < o->nin; i++) {
                bool carry = i >= l->nshared && i < steps;
                if (want[i])
                    da[i] = ad_result(adj, k);
                k += want[i] || carry;
                if (want[i] && masked && !ad_is_void(da[i]))
                    ad_node_of(da[i])->flags |= NODE_MASKED;
            }
        }
    }
    room_close(&r, node.tape, "ad_vjp of ad_scan", &why);
}

/* Operands of a loop with tangents: the values of each part, then the tangents that move. n of them. */
static int with_tangents(const ad_loop *l, const ad_var a[], const ad_var shared[], const ad_var carry[],
                         const ad_var step[], ad_var out[])
{
    int n = 0, steps = l->nshared + l->ncarry;
    for (int i = 0; i < l->nshared; i++)
        out[n++] = a[i];
    for (int i = 0; i < l->nshared; i++)
        if (!is_zero(shared[i]))
            out[n++] = shared[i];
    for (int i = 0; i < l->ncarry; i++)
        out[n++] = a[l->nshared + i];
    for (int i = 0; i < l->ncarry; i++)
        out[n++] = carry[i];
    for (int i = 0; i < l->nstep; i++)
        out[n++] = a[steps + i];
    for (int i = 0; i < l->nstep; i++)
        if (!is_zero(step[i]))
            out[n++] = step[i];
    return n;
}

static int count_of(int n, const bool mask[])
{
    int m = 0;
    for (int i = 0; i < n; i++)
        m += mask[i];
    return m;
}

/* What the loop of F looks like: its counts. */
static ad_loop tangent_like(const ad_loop *l, const bool shared[], const bool step[], int ncollect)
{
    ad_loop like = *l;
    like.nshared = l->nshared + count_of(l->nshared, shared);
    like.ncarry = 2 * l->ncarry;
    like.nstep = l->nstep + count_of(l->nstep, step);
    like.ncollect = ncollect;
    return like;
}

void ad_scan_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[], ad_var ty[])
{
    const ad_loop *l = (const ad_loop *)o;
    int steps = l->nshared + l->ncarry;
    room r;
    ad_reason why = {AD_ENOMEM, "out of memory"};
    if (room_open(&r, l, o)) {
        bool masked = false;
        present(o->nin, ta, r.b[0], &masked);
        for (int i = 0; i < l->ncollect; i++)
            r.b[2][i] = true;
        const ad_func *F = ad_scan_tangent_body(l->f, l, r.b[0], r.b[0] + steps, r.b[1], r.b[2], &why);
        if (F) {
            ad_loop like = tangent_like(l, r.b[0], r.b[0] + steps, l->ncollect);
            with_tangents(l, a, ta, ta + l->nshared, ta + steps, r.v);
            why.status = AD_OK;
            ad_var y = loop_node(node.tape, "ad_jvp of ad_scan", scan_new(F, &like), r.v);
            for (int k = 0; k < o->nout; k++)
                ty[k] = ad_result(y, l->ncarry + k);
        }
    }
    room_close(&r, node.tape, "ad_jvp of ad_scan", &why);
}

/* back[F] for tangents d of the operands of back[f] (of adjoints, too) and wanted shared values and steps: the results
 * for values. moved: which shared values and steps have tangents; value: which seeded ones have tangents. */
static ad_var back_of_tangent(const ad_loop *l, ad_var node, const ad_var a[], const ad_var dshared[],
                              const ad_var dcarry[], const ad_var dstep[], const ad_var dgcarry[],
                              const ad_var dgseed[], const bool want_shared[], const bool want_step[],
                              ad_reason *why)
{
    room r;
    bool masked = false;
    ad_var y = ad_void(node.tape);
    int nf = l->f->o.nin;
    const ad_var *gcarry = a + nf, *gseed = gcarry + l->ncarry;
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    if (room_open(&r, l, &l->o)) {
        bool *shared = r.b[0], *step = r.b[0] + l->nshared, *value = r.b[1], *tangent = r.b[2];
        present(l->nshared, dshared, shared, &masked);
        present(l->nstep, dstep, step, &masked);
        int nvalues = 0;
        for (int i = 0; i < l->nseeds; i++) {
            value[l->seed[i]] = dgseed && !is_zero(dgseed[i]);
            nvalues += value[l->seed[i]];
            tangent[l->seed[i]] = true;
        }
        const ad_func *F = ad_scan_tangent_body(l->f, l, shared, step, value, tangent, why);
        if (F) {
            ad_loop like = tangent_like(l, shared, step, nvalues + l->nseeds);
            int n = with_tangents(l, a, dshared, dcarry, dstep, r.v);
            for (int i = 0; i < l->ncarry; i++)
                r.v[n++] = dgcarry ? dgcarry[i] : N(0);
            for (int i = 0; i < l->ncarry; i++)
                r.v[n++] = gcarry[i];
            for (int i = 0; i < l->nseeds; i++)
                if (value[l->seed[i]])
                    r.v[n++] = dgseed[i];
            for (int i = 0; i < l->nseeds; i++)
                r.v[n++] = gseed[i];
            bool *ws = r.b[3], *wp = ws + like.nshared, *seeded = wp + like.nstep;
            memcpy(ws, want_shared, (size_t)l->nshared * sizeof *ws);
            memcpy(wp, want_step, (size_t)l->nstep * sizeof *wp);
            for (int i = 0; i < like.ncollect; i++)
                seeded[i] = true;
            ad_loop *back = back_new(F, &like, false, ws, wp, seeded, why);
            if (back) {
                why->status = AD_OK;
                y = loop_node(node.tape, "derivative of a scan backward", back, r.v);
            }
        }
    }
    free(r.b[0]);
    free(r.v);
    return y;
}

void ad_back_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[], ad_var ty[])
{
    const ad_loop *l = (const ad_loop *)o;
    int nf = l->f->o.nin, steps = l->nshared + l->ncarry;
    room r;
    ad_reason why = {AD_ENOMEM, "out of memory"};
    if (room_open(&r, l, o)) {
        for (int i = 0; i < l->nsums; i++)
            r.b[0][l->sum[i]] = true;
        for (int i = 0; i < l->nmoved; i++)
            r.b[1][l->moved[i]] = true;
        ad_var y = back_of_tangent(l, node, a, ta, ta + l->nshared, ta + steps, ta + nf, ta + nf + l->ncarry,
                                   r.b[0], r.b[1], &why);
        for (int k = 0; k < o->nout; k++) /* of 2 ncarry carries the first half is for values */
            ty[k] = ad_result(y, k < l->nsums + l->ncarry ? k : k + l->ncarry);
    }
    room_close(&r, node.tape, "ad_jvp of a scan backward", &why);
}

/* The directions in which the results of back[f] are asked for: one for each shared value, carry and step. */
static void directions(const ad_loop *l, const ad_var g[], ad_var dshared[], ad_var dcarry[], ad_var dstep[])
{
    for (int i = 0; i < l->nshared; i++)
        dshared[i] = N(0);
    for (int i = 0; i < l->nstep; i++)
        dstep[i] = N(0);
    for (int i = 0; i < l->nsums; i++)
        dshared[l->sum[i]] = *g++;
    for (int i = 0; i < l->ncarry; i++)
        dcarry[i] = *g++;
    for (int i = 0; i < l->nmoved; i++)
        dstep[l->moved[i]] = *g++;
}

/* For the adjoints that went in: tangents of scan[f] in the directions. */
static void pull_adjoints(const ad_loop *l, ad_var node, const ad_var a[], const ad_var dshared[],
                          const ad_var dcarry[], const ad_var dstep[], const bool want[], ad_var da[],
                          ad_reason *why)
{
    int nf = l->f->o.nin;
    room r;
    bool masked = false;
    *why = (ad_reason){AD_ENOMEM, "out of memory"};
    if (room_open(&r, l, &l->o)) {
        bool *shared = r.b[0], *step = r.b[0] + l->nshared, *tangent = r.b[2];
        present(l->nshared, dshared, shared, &masked);
        present(l->nstep, dstep, step, &masked);
        for (int i = 0; i < l->nseeds; i++)
            tangent[l->seed[i]] = true;
        const ad_func *F = ad_scan_tangent_body(l->f, l, shared, step, r.b[1], tangent, why);
        if (F) {
            ad_loop like = tangent_like(l, shared, step, l->nseeds);
            with_tangents(l, a, dshared, dcarry, dstep, r.v);
            why->status = AD_OK;
            ad_var y = loop_node(node.tape, "ad_vjp of a scan backward", scan_new(F, &like), r.v);
            for (int i = 0; i < l->ncarry + l->nseeds; i++)
                if (want[nf + i])
                    da[nf + i] = ad_result(y, l->ncarry + i);
        }
    }
    free(r.b[0]);
    free(r.v);
}

void ad_back_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[], const bool want[],
                      ad_var da[])
{
    const ad_loop *l = (const ad_loop *)o;
    int nf = l->f->o.nin, steps = l->nshared + l->ncarry;
    bool values = false, adjoints = false;
    room r;
    ad_reason why = {AD_ENOMEM, "out of memory"};
    for (int i = 0; i < o->nin; i++)
        *(i < nf ? &values : &adjoints) |= want[i];
    if (room_open(&r, l, o)) {
        ad_var *dshared = r.v, *dcarry = dshared + l->nshared, *dstep = dcarry + l->ncarry;
        directions(l, g, dshared, dcarry, dstep);
        why.status = AD_OK;
        if (adjoints)
            pull_adjoints(l, node, a, dshared, dcarry, dstep, want, da, &why);
        if (values && !why.status) {
            ad_var y =
                back_of_tangent(l, node, a, dshared, dcarry, dstep, NULL, NULL, want, want + steps, &why);
            int k = 0;
            for (int i = 0; i < nf && !why.status; i++) {
                bool carry = i >= l->nshared && i < steps;
                if (i == steps)
                    k += l->ncarry; /* adjoints of tangents */
                if (want[i])
                    da[i] = ad_result(y, k);
                k += want[i] || carry;
            }
        }
    }
    room_close(&r, node.tape, "ad_vjp of a scan backward", &why);
}
