/* call.c - ad_call: a recorded function on a tape as one node, its run and its derivatives.
 *
 * SPDX-License-Identifier: MIT */
#include "func.h"

#include <stdio.h>

int ad_call(ad_tape *t, const ad_func *f, const ad_var in[], ad_var out[])
{
    if (!f)
        ad_fail(t, AD_EARG, "ad_call: no function");
    else if (f->o.nin && !in)
        ad_fail(t, AD_EARG, "ad_call: no arguments; needs %d", f->o.nin);
    ad_var node = f && !ad_status(t) ? ad_object_node(t, "ad_call", &f->o, in) : ad_void(t);
    for (int k = 0; f && out && k < f->o.nout; k++)
        out[k] = ad_result(node, k);
    return ad_status(t);
}

/* Running ------------------------------------------------------------------------------------------ */

typedef struct call_state {
    ad_state s;
    size_t size;
    ad_work *work;
    void *out[];
} call_state;

static void call_close(ad_state *s)
{
    ad_work_free(((call_state *)s)->work);
    free(s);
}

static ad_state *call_open(const ad_object *o, int real, ad_pool *pool)
{
    const ad_program *p = ad_func_program((const ad_func *)o, real);
    call_state *s = p ? calloc(1, sizeof *s + (size_t)o->nout * sizeof *s->out) : NULL;
    if (!s)
        return NULL;
    s->s.object = o;
    s->size = ad_kernels_for(real)->size;
    s->work = ad_work_new(p, pool);
    if (!s->work) {
        free(s);
        return NULL;
    }
    return &s->s;
}

static int call_run(ad_kcall *c)
{
    call_state *s = c->state;
    const ad_object *o = c->object;
    for (int k = 0; k < o->nout; k++)
        s->out[k] = (char *)c->dst + (size_t)ad_result_at(o, k, c->rows) * s->size;
    int status = ad_run(s->work, (int)c->rows, c->src, s->out);
    if (status)
        snprintf(s->s.message, sizeof s->s.message, "%s", ad_inner(ad_work_message(s->work)));
    return status;
}

/* Derivatives: calls of the functions that the derivatives of f are --------------------------------- */

/* Operands of the derived call: those of the node, then those of more[] that are there, shaped. */
static bool call_derived(const ad_func *g, ad_tape *t, int nin, const ad_var a[], int nmore,
                         const ad_var more[], const bool there[], const ad_shape shape[], ad_var out[])
{
    ad_var *in = malloc(((size_t)nin + (size_t)nmore + 1) * sizeof *in);
    if (!in) {
        ad_fail(t, AD_ENOMEM, "ad_call: out of memory");
        return false;
    }
    int n = nin;
    memcpy(in, a, (size_t)nin * sizeof *a);
    for (int i = 0; i < nmore; i++)
        if (there[i])
            in[n++] = ad_shaped(t, more[i], shape[i]);
    ad_call(t, g, in, out);
    free(in);
    return !ad_status(t);
}

static bool is_zero(ad_var v) { return ad_is_number(v) && v.value == 0; }

static void call_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[],
                          const bool want[], ad_var da[])
{
    ad_tape *t = node.tape;
    int32_t bind = ad_rows(node);
    size_t nin = (size_t)o->nin, nout = (size_t)o->nout;
    bool masked = false, *seeded = malloc(nout + 1);
    ad_shape *shape = malloc((nout + 1) * sizeof *shape);
    ad_var *dx = malloc((nin + 1) * sizeof *dx);
    ad_reason why = {AD_ENOMEM, "out of memory"};
    const ad_func *f = NULL;
    if (seeded && shape && dx) {
        for (int k = 0; k < o->nout; k++) {
            const ad_node *n = ad_is_number(g[k]) ? NULL : ad_node_of(g[k]);
            seeded[k] = !is_zero(g[k]);
            masked = masked || (n && n->flags & NODE_MASKED);
            shape[k] = ad_result_shape(o, k, bind);
        }
        f = ad_func_vjp((const ad_func *)o, masked, want, seeded, &why);
        if (f && call_derived(f, t, o->nin, a, o->nout, g, seeded, shape, dx))
            for (int i = 0, k = 0; i < o->nin; i++)
                if (want[i]) {
                    da[i] = dx[k++];
                    if (masked)
                        ad_node_of(da[i])->flags |= NODE_MASKED;
                }
    }
    if (!f)
        ad_fail(t, why.status, "ad_vjp of ad_call: %s", why.message);
    free(seeded);
    free(shape);
    free(dx);
}

static void call_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[], ad_var ty[])
{
    ad_tape *t = node.tape;
    int32_t bind = ad_rows(node);
    size_t nin = (size_t)o->nin;
    bool *moved = malloc(nin + 1);
    ad_shape *shape = malloc((nin + 1) * sizeof *shape);
    ad_reason why = {AD_ENOMEM, "out of memory"};
    const ad_func *f = NULL;
    if (moved && shape) {
        for (int i = 0; i < o->nin; i++) {
            moved[i] = !is_zero(ta[i]);
            shape[i] = ad_operand_shape(o, i, bind);
        }
        f = ad_func_jvp((const ad_func *)o, moved, &why);
        if (f)
            call_derived(f, t, o->nin, a, o->nin, ta, moved, shape, ty);
    }
    if (!f)
        ad_fail(t, why.status, "ad_jvp of ad_call: %s", why.message);
    free(moved);
    free(shape);
}

const ad_class ad_call_class = {.op = OP_CALL,
                                .destroy = ad_func_destroy,
                                .open = call_open,
                                .close = call_close,
                                .run = call_run,
                                .pullback = call_pullback,
                                .tangent = call_tangent};
