/* pattern.c - index sets carried through the tape, node by node: the pattern of a Jacobian.
 * Invariant: a set is written once and shared by all elements that have it; a node's sets are dropped after its last
 * user, so memory follows what is live.
 *
 * SPDX-License-Identifier: MIT */
#include "pattern.h"
#include "func.h"

#include <limits.h>

typedef struct set {
    int32_t refs, n;
    int32_t i[];
} set;

typedef struct sets {
    const ad_tape *t;
    set ***of; /* by node: a set for each element (NULL: empty); NULL: none depends on x */
    int32_t n; /* elements of x */
    int32_t *stamp, now, *found, nfound;
    set *largest; /* among those put into the union: it is shared when it is all of it */
    bool ok;
} sets;

static set *keep(set *s)
{
    if (s)
        s->refs++;
    return s;
}
static void drop(set *s)
{
    if (s && --s->refs == 0)
        free(s);
}
/* A batch counts as one row. */
static int32_t rows_of(const ad_node *n) { return n->rows < 1 ? 1 : n->rows; }
/* The function of a call that is looked into: its batch, where it has one, is one row here, too. NULL otherwise: then every
 * result may depend on all operands. */
static const ad_func *inside(const ad_tape *t, const ad_node *n)
{
    if (n->op != OP_CALL)
        return NULL;
    const ad_func *f = (const ad_func *)ad_object_of(t, n);
    for (int i = 0; i < f->o.nin + f->o.nout; i++) {
        int32_t rows = i < f->o.nin ? f->o.in[i].rows : f->o.out[i - f->o.nin].rows;
        if (rows < AD_BATCH || (rows == AD_BATCH && rows_of(n) != 1))
            return NULL;
    }
    return f;
}
/* Elements with a set each: of a call all its results, one after the other. */
static int64_t size_of(const ad_tape *t, const ad_node *n)
{
    const ad_func *f = inside(t, n);
    return f ? ad_result_at(&f->o, f->o.nout, 1) : (int64_t)rows_of(n) * n->cols;
}

static void begin(sets *s)
{
    s->now++;
    s->nfound = 0;
    s->largest = NULL;
}
static void put(sets *s, set *v)
{
    if (!v || v == s->largest)
        return;
    for (int32_t k = 0; k < v->n; k++)
        if (s->stamp[v->i[k]] != s->now) {
            s->stamp[v->i[k]] = s->now;
            s->found[s->nfound++] = v->i[k];
        }
    if (!s->largest || v->n > s->largest->n)
        s->largest = v;
}
static set *end(sets *s)
{
    if (s->nfound == 0 || s->nfound == s->largest->n)
        return keep(s->largest);
    set *v = malloc(sizeof *v + (size_t)s->nfound * sizeof v->i[0]);
    if (!v) {
        s->ok = false;
        return NULL;
    }
    v->refs = 1;
    v->n = s->nfound;
    memcpy(v->i, s->found, (size_t)s->nfound * sizeof v->i[0]);
    return v;
}

/* The set of element (i,j) of operand `id`, a size of 1 repeated. */
static set *at(const sets *s, int32_t id, int32_t i, int32_t j)
{
    const ad_node *n = ad_at_id(s->t, id);
    return s->of[id] ? s->of[id][(int64_t)(rows_of(n) == 1 ? 0 : i) * n->cols + (n->cols == 1 ? 0 : j)]
                     : NULL;
}

/* Derivative 0 in this operand: conditions, and what is constant between its steps. */
static bool flat(const ad_node *n, int operand)
{
    return n->op == OP_sign || n->op == OP_lt || n->op == OP_le || n->op == OP_eq ||
           (n->op == OP_where && !operand);
}

/* The union over a block of rows i0 ... i1-1 and columns j0 ... j1-1 of an operand. */
static void block(sets *s, int32_t id, int32_t i0, int32_t i1, int32_t j0, int32_t j1)
{
    for (int32_t i = i0; s->of[id] && i < i1; i++)
        for (int32_t j = j0; j < j1; j++)
            put(s, at(s, id, i, j));
}

/* Products: element (i,j) has row i of op(A) and column j of op(B), each of them once collected. */
static void product(sets *s, int32_t a, int32_t b, int32_t row, const int32_t d[3], bool ta, bool tb,
                    bool small, set **y)
{
    int32_t m = d[0], k = d[1], n = d[2];
    set **side = calloc((size_t)m + (size_t)n, sizeof *side);
    if (!side) {
        s->ok = false;
        return;
    }
    for (int32_t q = 0; q < m + n && s->ok; q++) {
        bool first = q < m;
        int32_t id = first ? a : b, i = first ? q : q - m;
        bool down = first ? ta : !tb; /* along a column of what is stored */
        begin(s);
        for (int32_t l = 0; s->of[id] && l < k; l++) {
            int32_t r = down ? l : i, c = down ? i : l;
            put(s, small ? at(s, id, row, r * (first ? k : n) + c) : at(s, id, r, c));
        }
        side[q] = end(s);
    }
    for (int32_t i = 0; i < m && s->ok; i++)
        for (int32_t j = 0; j < n && s->ok; j++) {
            begin(s);
            put(s, side[i]);
            put(s, side[m + j]);
            y[i * n + j] = end(s);
        }
    for (int32_t q = 0; q < m + n; q++)
        drop(side[q]);
    free(side);
}

/* The element of the operand that element (i,j) is a copy of; false where it is 0. */
bool ad_source_of(const ad_node *n, const ad_node *x, const int32_t *attr, int32_t i, int32_t j, int32_t *r,
                  int32_t *c)
{
    int64_t k = (int64_t)i * n->cols + j;
    switch (n->op) {
    case OP_RESHAPE:
        *r = (int32_t)(k / x->cols) % rows_of(x); /* rows of a batch count as one */
        *c = (int32_t)(k % x->cols);
        return true;
    case OP_SLICE:
        *r = x->rows < 0 ? 0 : attr[0] + i;
        *c = attr[1] + j;
        return true;
    case OP_PAD:
        *r = x->rows < 0 ? 0 : i - attr[0];
        *c = j - attr[1];
        return *r >= 0 && *r < rows_of(x) && *c >= 0 && *c < x->cols;
    case OP_GATHER_COLS:
        *r = i;
        *c = attr[j];
        return true;
    case OP_GATHER_ROWS:
        *r = attr[i];
        *c = j;
        return true;
    case OP_TRANSPOSE:
        *r = j;
        *c = i;
        return true;
    case OP_ROW_TRANSPOSE: /* [m,n] -> [n,m] in each row */
        *r = i;
        *c = j % attr[0] * attr[1] + j / attr[0];
        return true;
    default: /* OP_EXPAND */
        *r = i;
        *c = j;
        return true;
    }
}

/* Every element may depend on all of the operands: what is inside a loop, a root or a callback is not looked at, and a batch
 * that is reshaped to more rows for each keeps no single row. */
static bool every(const ad_node *n, const ad_node *x)
{
    return n->op == OP_RESHAPE && (n->rows < 0 || x->rows < 0);
}

/* Sources by target: sorted by counting, so that each union is made once. */
static void scatter(sets *s, const ad_node *n, int32_t id, const int32_t *attr, set **y)
{
    const ad_node *x = ad_at_id(s->t, id);
    int64_t size = size_of(s->t, n), from = size_of(s->t, x);
    int32_t *start = calloc((size_t)size + 2, sizeof *start), *by = malloc((size_t)from * sizeof *by);
    for (int pass = 0; start && by && pass < 2; pass++) {
        for (int64_t k = 0; k < from; k++) {
            int32_t i = (int32_t)(k / x->cols), j = (int32_t)(k % x->cols);
            int64_t to =
                n->op == OP_SCATTER_COLS ? (int64_t)i * n->cols + attr[j] : (int64_t)attr[i] * n->cols + j;
            if (pass)
                by[start[to + 1]++] = (int32_t)k;
            else
                start[to + 2]++;
        }
        for (int64_t k = 0; !pass && k < size; k++)
            start[k + 2] += start[k + 1];
    }
    s->ok = start && by;
    for (int64_t k = 0; s->ok && k < size; k++) {
        begin(s);
        for (int32_t q = start[k]; q < start[k + 1]; q++)
            put(s, s->of[id][by[q]]);
        y[k] = end(s);
    }
    free(start);
    free(by);
}

static void joined(sets *s, const ad_node *n, const int32_t arg[], int m, set **y)
{
    int32_t row = 0, col = 0;
    for (int q = 0; q < m; q++) {
        const ad_node *x = ad_at_id(s->t, arg[q]);
        for (int32_t i = 0; i < rows_of(x); i++)
            for (int32_t j = 0; j < x->cols; j++) {
                int64_t k = (int64_t)(n->rows < 0 ? 0 : row + i) * n->cols + col + j;
                set *old = y[k];
                begin(s);
                put(s, old); /* rows of a batch fall together */
                put(s, at(s, arg[q], i, j));
                y[k] = end(s);
                drop(old);
            }
        row += n->op == OP_CONCAT_ROWS ? rows_of(x) : 0;
        col += n->op == OP_CONCAT_COLS ? x->cols : 0;
    }
}

static void by_element(sets *s, const ad_node *n, const int32_t arg[], int m, const int32_t *attr, set **y)
{
    const ad_node *x = ad_at_id(s->t, arg[0]);
    bool elementwise = ad_ops[n->op].kind == AD_ELEMENTWISE;
    for (int32_t i = 0; i < rows_of(n); i++)
        for (int32_t j = 0; j < n->cols && s->ok; j++) {
            int32_t r, c;
            begin(s);
            if (elementwise) {
                for (int q = 0; q < m; q++)
                    put(s, flat(n, q) ? NULL : at(s, arg[q], i, j));
            } else if (n->op == OP_SUM_ROWS) {
                block(s, arg[0], 0, rows_of(x), j, j + 1);
            } else if (every(n, x)) {
                for (int q = 0; q < m; q++)
                    block(s, arg[q], 0, rows_of(ad_at_id(s->t, arg[q])), 0, ad_at_id(s->t, arg[q])->cols);
            } else if (ad_ops[n->op].kind == AD_LINEAR && n->op != OP_SUM_COLS) {
                if (ad_source_of(n, x, attr, i, j, &r, &c))
                    put(s, at(s, arg[0], r, c));
            } else { /* each element of a row from all of that row */
                for (int q = 0; q < m; q++)
                    block(s, arg[q], i, i + 1, 0, ad_at_id(s->t, arg[q])->cols);
            }
            y[(int64_t)i * n->cols + j] = end(s);
        }
}

static void forget(sets *s, int32_t id)
{
    int64_t size = s->of[id] ? size_of(s->t, ad_at_id(s->t, id)) : 0;
    for (int64_t k = 0; k < size; k++)
        drop(s->of[id][k]);
    free(s->of[id]);
    s->of[id] = NULL;
}

static void node(sets *s, int32_t id);

/* The sets of the operands carried through the function's own tape. */
static void called(sets *s, const ad_func *f, const int32_t arg[], set **y)
{
    sets in = *s;
    in.t = f->tape;
    in.of = calloc((size_t)f->tape->n, sizeof *in.of);
    in.ok = in.of != NULL;
    for (int i = 0; in.ok && i < f->o.nin; i++) {
        int32_t id = f->in[i].id;
        int64_t size = size_of(in.t, ad_at_id(in.t, id));
        if (!s->of[arg[i]])
            continue;
        in.of[id] = calloc((size_t)size, sizeof *in.of[id]);
        in.ok = in.of[id] != NULL;
        for (int64_t k = 0; in.ok && k < size; k++)
            in.of[id][k] = keep(s->of[arg[i]][k]);
    }
    for (int32_t id = 0; in.ok && id < f->tape->n; id++)
        if (f->need[id] && !in.of[id])
            node(&in, id);
    for (int k = 0; in.ok && k < f->o.nout; k++) {
        set **from = in.of[f->out[k].id], **to = y + ad_result_at(&f->o, k, 1);
        for (int64_t e = 0, n = from ? ad_shape_size(f->o.out[k], 1) : 0; e < n; e++)
            to[e] = keep(from[e]);
    }
    for (int32_t id = 0; in.of && id < f->tape->n; id++)
        forget(&in, id);
    free(in.of);
    s->ok = in.ok;
    s->now = in.now;
}

static void node(sets *s, int32_t id)
{
    const ad_node *n = ad_at_id(s->t, id);
    const int32_t *arg = ad_args(s->t, n), *attr = ad_attrs(s->t, n);
    int m = ad_nargs(s->t, n);
    bool any = false;
    for (int i = 0; i < m; i++)
        any = any || (s->of[arg[i]] && !flat(n, i));
    if (!any || n->op == OP_STOP || n->op == OP_COUNT)
        return;
    set **y = s->of[id] = calloc((size_t)size_of(s->t, n), sizeof *y);
    if (!y) {
        s->ok = false;
        return;
    }
    if (n->op == OP_MATMUL) {
        const ad_node *a = ad_at_id(s->t, arg[0]);
        int32_t d[3] = {rows_of(n), attr[0] ? rows_of(a) : a->cols, n->cols};
        product(s, arg[0], arg[1], 0, d, attr[0], attr[1], false, y);
    } else if (n->op == OP_ROW_MATMUL) {
        for (int32_t i = 0; i < rows_of(n) && s->ok; i++)
            product(s, arg[0], arg[1], i, attr, false, false, true, y + (int64_t)i * n->cols);
    } else if (n->op == OP_SCATTER_COLS || n->op == OP_SCATTER_ROWS) {
        scatter(s, n, arg[0], attr, y);
    } else if (inside(s->t, n)) {
        called(s, inside(s->t, n), arg, y);
    } else if (n->op == OP_RESULT && inside(s->t, ad_at_id(s->t, arg[0]))) {
        const ad_object *o = ad_object_of(s->t, ad_at_id(s->t, arg[0]));
        for (int64_t k = 0, size = size_of(s->t, n); k < size; k++)
            y[k] = keep(s->of[arg[0]][ad_result_at(o, attr[0], 1) + k]);
    } else if (n->op == OP_CONCAT_COLS || n->op == OP_CONCAT_ROWS) {
        joined(s, n, arg, m, y);
    } else {
        by_element(s, n, arg, m, attr, y);
    }
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool written(sets *s, int32_t id, ad_pattern *out)
{
    int64_t nnz = 0;
    set **e = s->of[id];
    for (int32_t i = 0; e && i < out->m; i++)
        nnz += e[i] ? e[i]->n : 0;
    out->start = calloc((size_t)out->m + 1, sizeof *out->start);
    out->col = nnz < INT_MAX ? malloc(((size_t)nnz + 1) * sizeof *out->col) : NULL;
    if (!out->start || !out->col)
        return false;
    out->nnz = (int32_t)nnz;
    for (int32_t i = 0; i < out->m; i++) {
        int32_t k = out->start[i], n = e && e[i] ? e[i]->n : 0;
        if (n) {
            memcpy(out->col + k, e[i]->i, (size_t)n * sizeof *out->col);
            qsort(out->col + k, (size_t)n, sizeof *out->col, ascending);
        }
        out->start[i + 1] = k + n;
    }
    return true;
}

static void propagate(sets *s, int32_t y, int32_t *uses, ad_pattern *out)
{
    for (int32_t id = 0; id <= y && s->ok; id++) {
        if (!uses[id])
            continue;
        const ad_node *n = ad_at_id(s->t, id);
        if (!s->of[id])
            node(s, id);
        if (s->of[id]) {
            out->elements += size_of(s->t, n);
            for (int64_t k = 0, size = size_of(s->t, n); k < size; k++)
                out->entries += s->of[id][k] ? s->of[id][k]->n : 0;
        }
        const int32_t *arg = ad_args(s->t, n);
        for (int i = 0, m = ad_nargs(s->t, n); i < m; i++)
            if (--uses[arg[i]] == 0)
                forget(s, arg[i]);
    }
}

bool ad_pattern_of(ad_part *p, ad_var y, ad_var x, ad_pattern *out)
{
    const ad_tape *t = p->t;
    const ad_node *nx = ad_at_id(t, x.id), *ny = ad_at_id(t, y.id);
    int32_t hi = t->n, *uses = calloc((size_t)hi, sizeof *uses);
    sets s = {.t = t, .n = (int32_t)size_of(t, nx)};
    *out = (ad_pattern){.m = (int32_t)size_of(t, ny), .n = s.n};
    s.of = calloc((size_t)hi, sizeof *s.of);
    s.stamp = calloc((size_t)s.n, sizeof *s.stamp);
    s.found = malloc((size_t)s.n * sizeof *s.found);
    set **first = calloc((size_t)s.n, sizeof *first);
    s.ok = uses && s.of && s.stamp && s.found && first;
    if (s.of)
        s.of[x.id] = first;
    for (int32_t i = 0; s.ok && i < s.n; i++) {
        first[i] = malloc(sizeof **first + sizeof(int32_t));
        s.ok = first[i];
        if (first[i])
            *first[i] = (set){.refs = 1, .n = 1}, first[i]->i[0] = i;
    }
    if (s.ok) {
        uses[y.id] = 1;
        for (int32_t id = y.id; id >= 0; id--) {
            const ad_node *n = ad_at_id(t, id);
            const int32_t *arg = ad_args(t, n);
            for (int i = 0, m = uses[id] ? ad_nargs(t, n) : 0; i < m; i++)
                uses[arg[i]]++;
        }
        propagate(&s, y.id, uses, out);
        s.ok = s.ok && written(&s, y.id, out);
    }
    for (int32_t id = 0; s.of && first && id < hi; id++)
        forget(&s, id);
    if (!s.of || !first)
        free(first);
    free(s.of);
    free(s.stamp);
    free(s.found);
    free(uses);
    if (!s.ok) {
        ad_pattern_free(out);
        ad_fail(p->home, AD_ENOMEM, "%s: out of memory for the pattern", p->who);
    }
    return s.ok;
}
