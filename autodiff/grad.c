/* grad.c - derivatives recorded on the tape: the reverse sweep is one loop down the ids between x and y.
 * Invariant: a contribution has the operand's shape or broadcasts to it; x gets exactly its own shape.
 *
 * SPDX-License-Identifier: MIT */
#include "adjoint.h"
#include "object.h"

ad_tape *ad_between(const char *who, int ny, const ad_var y[], int nx, const ad_var x[], ad_span *s)
{
    ad_tape *t = NULL;
    s->on = NULL;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < (k ? ny : nx); i++) {
            ad_var v = k ? y[i] : x[i], w;
            ad_tape *u;
            if (ad_is_number(v) && k)
                continue; /* a number depends on nothing */
            if (ad_is_number(v)) {
                ad_fail(t, AD_EARG, "%s: x %d is a number; needs a recorded value", who, i + 1);
                return NULL;
            }
            if (!ad_join(who, 1, &v, &w, &u))
                return NULL;
            if (t && u != t) {
                ad_fail(t, AD_ETAPE, "%s: %c %d is on another tape", who, k ? 'y' : 'x', i + 1);
                return NULL;
            }
            t = u;
        }
    if (!t || t->status)
        return NULL;
    s->lo = t->n;
    s->hi = 0;
    for (int i = 0; i < nx; i++)
        if (x[i].id < s->lo)
            s->lo = x[i].id;
    for (int i = 0; i < ny; i++)
        if (y[i].tape && y[i].id >= s->hi)
            s->hi = y[i].id + 1;
    if (s->hi < s->lo)
        s->hi = s->lo;
    s->on = calloc((size_t)(s->hi - s->lo) + 1, 1);
    if (!s->on) {
        ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
        return NULL;
    }
    for (int i = 0; i < nx; i++)
        if (x[i].id < s->hi)
            s->on[x[i].id - s->lo] = 1;
    for (int32_t id = s->lo; id < s->hi; id++) {
        const ad_node *n = ad_at_id(t, id);
        const int32_t *a = ad_args(t, n);
        if (n->op == OP_STOP)
            continue;
        for (int i = 0, m = ad_nargs(t, n); i < m && !s->on[id - s->lo]; i++)
            s->on[id - s->lo] = a[i] >= s->lo && s->on[a[i] - s->lo];
    }
    uint8_t *on = s->on; /* then keep what a y reaches: bit 2 */
    for (int i = 0; i < ny; i++)
        if (y[i].tape && y[i].id >= s->lo)
            on[y[i].id - s->lo] |= 2;
    for (int32_t id = s->hi - 1; id >= s->lo; id--) {
        if (on[id - s->lo] != 3)
            continue;
        const ad_node *n = ad_at_id(t, id);
        const int32_t *a = ad_args(t, n);
        for (int i = 0, m = ad_nargs(t, n); i < m; i++)
            if (a[i] >= s->lo)
                on[a[i] - s->lo] |= 2;
    }
    for (int32_t i = 0; i < s->hi - s->lo; i++)
        on[i] = on[i] == 3;
    return t;
}

static ad_var shaped(ad_tape *t, ad_var v, int32_t rows, int32_t cols)
{
    return ad_is_number(v) ? ad_fill(t, rows, cols, v.value) : ad_expand(v, rows, cols);
}

/* Operands as values (a few on the stack). */
static ad_var *operands(ad_tape *t, int32_t id, ad_var few[8], int *count)
{
    const ad_node *n = ad_at_id(t, id);
    *count = ad_nargs(t, n);
    ad_var *a = *count <= 8 ? few : malloc((size_t)*count * sizeof *a);
    for (int i = 0; a && i < *count; i++)
        a[i] = ad_var_of(t, ad_args(t, n)[i]);
    return a;
}

/* An adjoint smaller than its node stands for equal rows or columns. An operand that was itself repeated gets
 * their sum: as many times the one that is there. */
static ad_var repeated(ad_var y, ad_var d, int32_t rows, int32_t cols)
{
    int32_t r = ad_rows(y), c = ad_cols(y);
    if (ad_is_number(d) && d.value == 0)
        return d;
    if (rows == 1 && r != 1 && ad_rows(d) == 1)
        d = ad_mul(d, r > 0 ? N(r) : ad_count(y));
    if (cols == 1 && c != 1 && ad_cols(d) == 1)
        d = ad_mul(d, N(c));
    return d;
}

/* A node of several results: the adjoint of each is a block whose row is its number. */
static bool pull_results(ad_tape *t, const ad_span *s, const ad_sums *acc, int32_t id, const ad_var a[],
                         const bool want[], ad_var da[])
{
    const ad_object *o = ad_object_of(t, ad_at_id(t, id));
    ad_var *g = malloc(((size_t)o->nout + 1) * sizeof *g);
    if (!g)
        return false;
    for (int k = 0; k < o->nout; k++)
        g[k] = N(0);
    for (int32_t i = acc->head[id - s->lo]; i; i = acc->part[i - 1].next)
        g[acc->part[i - 1].row] = ad_add(acc->part[i - 1].value, g[acc->part[i - 1].row]);
    if (!t->status)
        o->class->pullback(o, ad_var_of(t, id), a, g, want, da);
    free(g);
    return true;
}

static bool pull(ad_tape *t, ad_span *s, ad_sums *acc, int32_t id, ad_var g)
{
    ad_var few_a[8], few_d[8];
    bool few_w[8];
    int m;
    const ad_node n = *ad_at_id(t, id);
    if (n.op == OP_SLICE || n.op == OP_RESULT) { /* kept as a block: many are put together */
        bool slice = n.op == OP_SLICE;
        if (n.arg[0] < s->lo || !s->on[n.arg[0] - s->lo]) /* it is itself an x */
            return true;
        g = shaped(t, g, n.rows, n.cols);
        if (!ad_sums_block(acc, n.arg[0] - s->lo, g, n.arg[1], slice ? n.arg[2] : 0))
            ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
        return !t->status;
    }
    ad_var *a = operands(t, id, few_a, &m);
    ad_var *da = m <= 8 ? few_d : malloc((size_t)m * sizeof *da);
    bool *want = m <= 8 ? few_w : malloc((size_t)m * sizeof *want);
    bool ok = a && da && want;
    for (int i = 0; ok && i < m; i++) {
        want[i] = a[i].id >= s->lo && s->on[a[i].id - s->lo];
        da[i] = N(0);
    }
    if (ok && ad_is_object(n.op))
        ok = pull_results(t, s, acc, id, a, want, da);
    else if (ok && m)
        ad_pullback(ad_var_of(t, id), g, a, want, da);
    bool several = ad_ops[n.op].kind == AD_ELEMENTWISE && (n.rows != 1 || n.cols != 1);
    for (int i = 0; ok && i < m; i++)
        if (want[i])
            ok = ad_sums_add(acc, a[i].id - s->lo,
                             several ? repeated(ad_var_of(t, id), da[i], ad_rows(a[i]), ad_cols(a[i]))
                                     : da[i]);
    if (m > 8) {
        free(a);
        free(da);
        free(want);
    }
    if (!ok)
        ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
    return ok;
}

/* The x by ascending id: the sweep meets them from the last one down. */
typedef struct target {
    int32_t id, i;
} target;
static int by_id(const void *a, const void *b)
{
    const target *p = a, *q = b;
    return (p->id > q->id) - (p->id < q->id);
}

static bool sow(ad_tape *t, const ad_span *s, ad_sums *acc, int ny, const ad_var y[], const ad_var seed[])
{
    for (int i = 0; i < ny; i++) {
        char w[2][32];
        if (ad_is_number(y[i]) || y[i].id < s->lo || !s->on[y[i].id - s->lo])
            continue;
        if (!ad_is_number(seed[i]) && ((ad_rows(seed[i]) != 1 && ad_rows(seed[i]) != ad_rows(y[i])) ||
                                       (ad_cols(seed[i]) != 1 && ad_cols(seed[i]) != ad_cols(y[i])))) {
            ad_fail(t, AD_ESHAPE, "ad_vjp: seed %d is %s; needs %s", i + 1,
                    ad_shape_text(w[0], ad_rows(seed[i]), ad_cols(seed[i])),
                    ad_shape_text(w[1], ad_rows(y[i]), ad_cols(y[i])));
            return true;
        }
        if (!ad_sums_add(acc, y[i].id - s->lo, seed[i]))
            return false;
    }
    return true;
}

int ad_vjp(int ny, const ad_var y[], const ad_var seed[], int nx, const ad_var x[], ad_var dx[])
{
    ad_span s;
    ad_tape *t = ad_between("ad_vjp", ny, y, nx, x, &s);
    if (!t) {
        t = nx > 0 ? x[0].tape : NULL;
        for (int i = 0; i < nx; i++)
            dx[i] = ad_void(t);
        return ad_status(t) ? ad_status(t) : AD_EARG;
    }
    ad_sums acc = {.head = calloc((size_t)(s.hi - s.lo) + 1, sizeof *acc.head)};
    target *want = malloc(((size_t)nx + 1) * sizeof *want);
    ad_var *at_x = malloc(((size_t)nx + 1) * sizeof *at_x);
    bool ok = acc.head && want && at_x && sow(t, &s, &acc, ny, y, seed);
    for (int i = 0; ok && i < nx; i++) {
        want[i] = (target){x[i].id, i};
        at_x[i] = N(0);
    }
    if (ok && nx > 1)
        qsort(want, (size_t)nx, sizeof *want, by_id);
    int k = nx - 1;
    for (int32_t id = s.hi - 1; ok && !t->status && id >= s.lo; id--) {
        if (!s.on[id - s.lo] || !acc.head[id - s.lo])
            continue;
        const ad_node *n = ad_at_id(t, id);
        ad_var g = ad_is_object(n->op) ? N(1) : ad_sums_total(&acc, id - s.lo, n->rows, n->cols, t);
        for (; k >= 0 && want[k].id >= id; k--)
            if (want[k].id == id)
                at_x[want[k].i] = g;
        if (!(ad_is_number(g) && g.value == 0))
            ok = pull(t, &s, &acc, id, g);
    }
    if (!ok)
        ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
    for (int i = 0; i < nx; i++)
        dx[i] = ok && !t->status ? shaped(t, at_x[i], ad_rows(x[i]), ad_cols(x[i])) : ad_void(t);
    free(at_x);
    free(want);
    free(acc.head);
    free(acc.part);
    free(s.on);
    return t->status;
}

int ad_grads(ad_var y, int nx, const ad_var x[], ad_var dx[])
{
    char s[32];
    if (!ad_is_void(y) && (ad_rows(y) != 1 || ad_cols(y) != 1))
        ad_fail(y.tape, AD_ESHAPE, "ad_grad: y is %s; needs [1,1] (ad_sum, or ad_vjp with a seed)",
                ad_shape_text(s, ad_rows(y), ad_cols(y)));
    ad_var one = N(1);
    return ad_vjp(1, &y, &one, nx, x, dx);
}

ad_var ad_grad(ad_var y, ad_var x)
{
    ad_var dx = ad_void(x.tape);
    ad_grads(y, 1, &x, &dx);
    return dx;
}

/* Forward mode -------------------------------------------------------------------------------------------- */

/* The tangent of one node from the tangents of its operands. */
static ad_var push(ad_tape *t, int32_t id, int m, const ad_var a[], ad_var ta[], bool want[])
{
    const ad_node n = *ad_at_id(t, id);
    int kind = ad_ops[n.op].kind;
    ad_var y = ad_var_of(t, id), sum[8], d[8];
    if (n.op == OP_STOP)
        return N(0);
    if (n.op == OP_ADD_N)
        return ad_add_n(m, ta);
    if (kind == AD_ELEMENTWISE) { /* the pullback applied to each tangent */
        for (int i = 0; i < m; i++) {
            bool only[3] = {i == 0, i == 1, i == 2};
            sum[i] = N(0);
            for (int k = 0; k < m; k++)
                d[k] = N(0);
            if (want[i]) {
                ad_pullback(y, ta[i], a, only, d);
                sum[i] = d[i];
            }
        }
        return ad_add_n(m, sum);
    }
    for (int i = 0; i < m; i++)
        if (want[i] || (kind == AD_LINEAR && m > 1))
            ta[i] = shaped(t, ta[i], ad_rows(a[i]), ad_cols(a[i]));
    if (kind == AD_LINEAR)
        return ad_again(t, &n, t, ta);
    if (kind == AD_BILINEAR) {
        for (int i = 0; i < 2; i++) {
            ad_var b[2] = {a[0], a[1]};
            b[i] = ta[i];
            sum[i] = want[i] ? ad_again(t, &n, t, b) : N(0);
        }
        return ad_add_n(2, sum);
    }
    return ad_shape_tangent(y, a, ta);
}

/* Tangents of all results of nodes of several; the tangent of such a node is the number of its first one. */
typedef struct results {
    ad_var *v;
    int32_t n;
} results;

static ad_var push_results(ad_tape *t, results *r, int32_t id, const ad_var a[], const ad_var ta[])
{
    const ad_object *o = ad_object_of(t, ad_at_id(t, id));
    int32_t at = r->n ? r->n : 1; /* 0 would say that there is none */
    ad_var *v = realloc(r->v, ((size_t)at + (size_t)o->nout) * sizeof *v);
    if (!v)
        return ad_fail(t, AD_ENOMEM, "ad_jvp: out of memory");
    r->v = v;
    r->n = at + o->nout;
    for (int k = 0; k < o->nout; k++)
        v[at + k] = N(0);
    o->class->tangent(o, ad_var_of(t, id), a, ta, v + at);
    return N(at);
}

int ad_jvp(int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[])
{
    ad_span s;
    ad_tape *t = ad_between("ad_jvp", ny, y, nx, x, &s);
    ad_var *tan = NULL;
    results many = {NULL, 0};
    if (t) {
        tan = malloc(((size_t)(s.hi - s.lo) + 1) * sizeof *tan);
        if (!tan)
            ad_fail(t, AD_ENOMEM, "ad_jvp: out of memory");
    }
    for (int32_t id = s.lo; tan && id < s.hi; id++)
        tan[id - s.lo] = N(0);
    for (int i = 0; tan && i < nx; i++) {
        char w[2][32];
        if (!ad_is_number(v[i]) && (ad_rows(v[i]) != ad_rows(x[i]) || ad_cols(v[i]) != ad_cols(x[i])))
            ad_fail(t, AD_ESHAPE, "ad_jvp: v %d is %s; needs %s", i + 1,
                    ad_shape_text(w[0], ad_rows(v[i]), ad_cols(v[i])),
                    ad_shape_text(w[1], ad_rows(x[i]), ad_cols(x[i])));
        if (x[i].id < s.hi)
            tan[x[i].id - s.lo] =
                ad_is_number(tan[x[i].id - s.lo]) ? v[i] : ad_add(tan[x[i].id - s.lo], v[i]);
    }
    for (int32_t id = s.lo; tan && !t->status && id < s.hi; id++) {
        ad_var few[8], few_t[8];
        bool few_w[8], any = false;
        int m = 0;
        if (!s.on[id - s.lo])
            continue;
        ad_var *a = operands(t, id, few, &m);
        ad_var *ta = m <= 8 ? few_t : malloc((size_t)m * sizeof *ta);
        bool *want = m <= 8 ? few_w : malloc((size_t)m * sizeof *want);
        if (a && ta && want) {
            for (int i = 0; i < m; i++) {
                want[i] = a[i].id >= s.lo && s.on[a[i].id - s.lo];
                ta[i] = want[i] ? tan[a[i].id - s.lo] : N(0);
                want[i] = want[i] && !(ad_is_number(ta[i]) && ta[i].value == 0);
                any = any || want[i];
            }
            if (any && ad_is_object(ad_at_id(t, id)->op)) {
                tan[id - s.lo] = push_results(t, &many, id, a, ta);
            } else if (any) {
                const ad_node *n = ad_at_id(t, id);
                ad_var p = n->op == OP_RESULT ? many.v[(int32_t)ta[0].value + n->arg[1]]
                                              : push(t, id, m, a, ta, want);
                tan[id - s.lo] =
                    ad_is_number(tan[id - s.lo]) && tan[id - s.lo].value == 0 ? p : ad_add(tan[id - s.lo], p);
            }
        } else {
            ad_fail(t, AD_ENOMEM, "ad_jvp: out of memory");
        }
        if (m > 8) {
            free(a);
            free(ta);
            free(want);
        }
    }
    ad_tape *home = t ? t : nx > 0 ? x[0].tape : NULL;
    for (int i = 0; i < ny; i++) {
        if (!tan || t->status)
            dy[i] = ad_void(home);
        else if (ad_is_number(y[i]))
            dy[i] = N(0);
        else
            dy[i] = shaped(t, y[i].id >= s.lo ? tan[y[i].id - s.lo] : N(0), ad_rows(y[i]), ad_cols(y[i]));
    }
    free(tan);
    free(many.v);
    if (t)
        free(s.on);
    return home && ad_status(home) ? ad_status(home) : t ? AD_OK : AD_EARG;
}

ad_var ad_hvp(ad_var y, ad_var x, ad_var v)
{
    ad_var g = ad_grad(y, x), h = ad_void(x.tape);
    ad_jvp(1, &g, 1, &x, &v, &h);
    return h;
}
