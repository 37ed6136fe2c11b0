/* part.c - the part of a tape between x and y, copied onto a tape of its own.
 * Invariant: a node of the copy below p->n has the value of its origin; what does not depend on x is a leaf.
 *
 * SPDX-License-Identifier: MIT */
#include "part.h"

ad_var ad_part_leaf(ad_part *p, int rows, int cols)
{
    int32_t nobody = -1;
    return ad_push(p->t, OP_INPUT, rows, cols, 0, NULL, 1, &nobody);
}

int ad_part_status(ad_part *p)
{
    if (p->t->status && !p->home->status)
        ad_fail(p->home, p->t->status, "%s: %s", p->who, p->t->message);
    return p->home->status;
}

static bool grow(int32_t **origin, int32_t *cap, int32_t need)
{
    if (need <= *cap)
        return true;
    int32_t wider = 2 * need + 64, *o = realloc(*origin, (size_t)wider * sizeof *o);
    if (!o)
        return false;
    for (int32_t i = *cap; i < wider; i++)
        o[i] = -1;
    *origin = o;
    *cap = wider;
    return true;
}

/* The copy of operand `id` of home: copied before, a literal, or a leaf made now. */
static ad_var operand(ad_part *p, int32_t *to, int32_t id)
{
    const ad_node *n = ad_at_id(p->home, id);
    if (to[id] < 0) {
        ad_var v = n->op == OP_FILL ? ad_again(p->home, n, p->t, NULL) : ad_part_leaf(p, n->rows, n->cols);
        to[id] = v.id;
    }
    return to[id] < 0 ? ad_void(p->t) : ad_var_of(p->t, to[id]);
}

static bool copy(ad_part *p, const ad_span *s, int nx, const ad_var x[], int32_t *to, int32_t *cap)
{
    for (int i = 0; i < nx; i++) {
        const ad_node *n = ad_at_id(p->home, x[i].id);
        if (to[x[i].id] < 0)
            to[x[i].id] = ad_part_leaf(p, n->rows, n->cols).id;
        p->x[i] = ad_var_of(p->t, to[x[i].id]);
        if (p->t->status || !grow(&p->origin, cap, p->t->n))
            return false;
        p->origin[p->x[i].id] = x[i].id;
    }
    for (int32_t id = s->lo; id < s->hi; id++) {
        if (!s->on[id - s->lo] || to[id] >= 0)
            continue;
        const ad_node *n = ad_at_id(p->home, id);
        int m = ad_nargs(p->home, n);
        const int32_t *arg = ad_args(p->home, n);
        ad_var few[8], *a = m <= 8 ? few : malloc((size_t)m * sizeof *a), v;
        if (!a)
            return false;
        for (int i = 0; i < m; i++) {
            a[i] = operand(p, to, arg[i]);
            if (a[i].id >= 0 && grow(&p->origin, cap, p->t->n) && p->origin[a[i].id] < 0)
                p->origin[a[i].id] = arg[i];
        }
        /* a row count does not change with x */
        v = n->op == OP_COUNT ? ad_part_leaf(p, 1, 1) : ad_again(p->home, n, p->t, a);
        if (a != few)
            free(a);
        if (p->t->status || !grow(&p->origin, cap, p->t->n))
            return false;
        to[id] = v.id;
        if (p->origin[v.id] < 0)
            p->origin[v.id] = id;
    }
    return true;
}

bool ad_part_open(ad_part *p, const char *who, int ny, const ad_var y[], int nx, const ad_var x[])
{
    ad_span s;
    *p = (ad_part){.who = who};
    p->home = ad_between(who, ny, y, nx, x, &s);
    if (!p->home)
        return false;
    int32_t hi = p->home->n, cap = 0, *to = malloc((size_t)hi * sizeof *to);
    p->t = ad_new();
    p->x = malloc(((size_t)nx + (size_t)ny) * sizeof *p->x);
    bool ok = to && p->t && p->x;
    for (int32_t i = 0; ok && i < hi; i++)
        to[i] = -1;
    ok = ok && copy(p, &s, nx, x, to, &cap);
    if (ok) {
        p->y = p->x + nx;
        for (int i = 0; i < ny; i++) {
            if (ad_is_number(y[i]))
                p->y[i] = y[i];
            else if (to[y[i].id] < 0) /* does not depend on x */
                p->y[i] = ad_fill(p->t, ad_rows(y[i]), ad_cols(y[i]), 0);
            else
                p->y[i] = ad_var_of(p->t, to[y[i].id]);
        }
        ok = !p->t->status && grow(&p->origin, &cap, p->t->n);
        p->n = p->t->n;
    }
    free(to);
    free(s.on);
    if (ok)
        return true;
    if (!p->t || !p->t->status || !ad_part_status(p))
        ad_fail(p->home, AD_ENOMEM, "%s: out of memory", who);
    ad_part_close(p);
    return false;
}

void ad_part_close(ad_part *p)
{
    ad_free(p->t);
    free(p->origin);
    free(p->x);
    p->t = NULL;
    p->origin = NULL;
    p->x = NULL;
}
