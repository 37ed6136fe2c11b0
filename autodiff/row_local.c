/* row_local.c - does row i of a value depend on row i of another only? Functions, loops and roots are looked into; a
 * callback says so itself.
 * Invariant: when in doubt the answer is no, and the message names the node.
 *
 * SPDX-License-Identifier: MIT */
#include "scan.h"

#include "part.h"

typedef struct
    walk { /* dep[id - lo]: the node depends on what is asked about. R: the rows of that, or AD_BATCH */
    const ad_tape *t;
    const uint8_t *dep;
    int32_t lo, hi, R;
} walk;

static const char no_memory[] = "out of memory";

static bool depends(const walk *w, int32_t id) { return id >= w->lo && id < w->hi && w->dep[id - w->lo]; }

static const char *mixes(const walk *w, const ad_node *n);

/* Of a function whose inputs depend on it as `in` says. */
static const char *in_function(const ad_func *f, const bool in[], int32_t R)
{
    const ad_tape *t = f->tape;
    uint8_t *dep = calloc((size_t)t->n + 1, 1);
    walk w = {t, dep, 0, t->n, R};
    const char *why = dep ? NULL : no_memory;
    for (int i = 0; dep && i < f->o.nin; i++)
        dep[f->in[i].id] = in[i];
    for (int32_t id = 0; !why && id < t->n; id++) {
        const ad_node *n = ad_at_id(t, id);
        const int32_t *arg = ad_args(t, n);
        bool any = false;
        for (int i = 0, m = ad_nargs(t, n); i < m; i++)
            any = any || dep[arg[i]];
        if (!f->need[id] || !any || n->op == OP_COUNT)
            continue;
        dep[id] = 1;
        why = mixes(&w, n);
    }
    free(dep);
    return why;
}

/* Of a node of several results: of what it runs, with all that a step hands to the next. */
static const char *in_object(const walk *w, const ad_node *n)
{
    static const char may[] = "may mix them";
    const ad_object *o = ad_object_of(w->t, n);
    const int32_t *arg = ad_args(w->t, n);
    const ad_loop *l = (const ad_loop *)o;
    const char *why = may;
    int32_t R =
        n->rows == w->R ? AD_BATCH : w->R; /* inside, the batch of the function, or as many fixed rows */
    double unused;
    int count;
    if (n->op == OP_CUSTOM)
        return ad_custom_row_local(o) ? NULL : may;
    if ((n->rows != w->R && (n->rows != 1 || w->R < 0)) || (n->op == OP_SCAN_BACK && l->nsums))
        return may;
    const ad_func *f = n->op == OP_CALL        ? (const ad_func *)o
                       : n->op == OP_ROOT      ? ad_root_newton(o, AD_F64, &count, &unused)
                       : n->op == OP_SCAN_BACK ? l->back
                                               : l->f;
    bool *in = calloc((size_t)f->o.nin + 1, sizeof *in);
    if (!in)
        return no_memory;
    for (int i = 0; i < f->o.nin; i++)
        in[i] = i >= o->nin || depends(w, arg[i]);
    if (n->op == OP_ROOT)
        in[0] = true; /* y comes of all others */
    for (int i = 0; n->op == OP_SCAN && i < l->ncarry; i++)
        in[l->nshared + i] = true;
    for (int i = l->nshared; n->op == OP_SCAN_BACK && i < f->o.nin; i++)
        in[i] = true;
    why = in_function(f, in, R);
    free(in);
    return why;
}

/* Why a node that depends on them keeps the rows apart no longer; NULL when it does. A value may have several rows for each
 * row, one after the other. */
static const char *mixes(const walk *w, const ad_node *n)
{
    const int32_t *arg = ad_args(w->t, n), *at = ad_attrs(w->t, n);
    int32_t r0 = ad_at_id(w->t, arg[0])->rows, R = w->R;
    if (ad_is_object(n->op))
        return in_object(w, n);
    switch (n->op) {
    case OP_SUM_ROWS:
        return "sums over them";
    case OP_CONCAT_ROWS:
    case OP_GATHER_ROWS:
    case OP_SCATTER_ROWS:
    case OP_TRANSPOSE:
        return "moves them";
    case OP_SLICE:
    case OP_PAD:
        return n->rows == r0 ? NULL : "moves them";
    case OP_MATMUL:
        return at[0] || depends(w, arg[1]) ? "sums over them" : NULL;
    case OP_RESULT:
    case OP_RESHAPE:
        return n->rows % R == 0 && n->rows / R > 0 ? NULL : "does not keep them apart";
    default:
        return n->rows == r0 || ad_ops[n->op].kind == AD_ELEMENTWISE || ad_nargs(w->t, n) > 1
                   ? NULL
                   : "repeats them";
    }
}

bool ad_row_local(const char *who, ad_var y, ad_var x, int32_t R, bool of_x)
{
    ad_span s;
    ad_tape *t = ad_between(who, 1, &y, 1, &x, &s);
    if (!t)
        return false;
    uint8_t *dep = calloc((size_t)(s.hi > s.lo ? s.hi - s.lo : 0) + 1, 1);
    walk w = {t, dep, s.lo, s.hi, R};
    if (!dep)
        ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
    for (int32_t id = s.lo; dep && id < s.hi; id++)
        dep[id - s.lo] = s.on[id - s.lo] && (of_x || ad_at_id(t, id)->rows < 0);
    for (int32_t id = s.lo; id < s.hi && !t->status && R != 1; id++) {
        const ad_node *n = ad_at_id(t, id);
        const int32_t *arg = ad_args(t, n);
        bool any = false;
        if (!s.on[id - s.lo] || id == x.id || n->op == OP_COUNT)
            continue;
        for (int i = 0, m = ad_nargs(t, n); i < m; i++)
            any = any || depends(&w, arg[i]);
        const char *why = any ? mixes(&w, n) : NULL;
        if (why == no_memory)
            ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
        else if (why)
            ad_fail(t, AD_ESHAPE, "%s: row i of y depends on other rows than row i of %s: ad_%s (node %d) %s",
                    who, of_x ? "x" : "the batch", ad_ops[n->op].name, id, why);
    }
    free(dep);
    free(s.on);
    return !t->status;
}
