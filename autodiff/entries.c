/* entries.c - a sparse Jacobian written out entry by entry: those of a node are its partial derivatives times those of its
 * operands, added where they meet.
 * Invariant: the entries of each element stand in ascending order of columns; each is one element of a vector [1,nnz].
 *
 * SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <limits.h>

typedef struct known { /* the entries of a node: row i (element i) has start[i] ... start[i+1]-1 */
    int32_t *start, *col;
    ad_var e; /* [1,nnz] */
} known;

typedef struct writer {
    ad_tape *t;
    int32_t lo, hi;
    known *of;
    int32_t *stamp, now, n; /* by column */
    bool ok;
} writer;

typedef struct
    reads { /* what the elements of a node read: for element i, from[start[i]] ... of operand which[...] */
    int32_t *start, *which, *from, n, cap;
} reads;

bool ad_entries_known(int op)
{
    switch (op) {
    case OP_SUM_COLS:
    case OP_SUM_ROWS:
    case OP_RESHAPE:
    case OP_SLICE:
    case OP_PAD:
    case OP_GATHER_COLS:
    case OP_GATHER_ROWS:
    case OP_SCATTER_COLS:
    case OP_SCATTER_ROWS:
    case OP_TRANSPOSE:
    case OP_EXPAND:
    case OP_CONCAT_ROWS:
    case OP_CONCAT_COLS:
    case OP_STOP:
        return true;
    default: /* a branch that is not taken may have infinite entries */
        return ad_ops[op].kind == AD_LEAF || (ad_ops[op].kind == AD_ELEMENTWISE && op != OP_where);
    }
}

static int32_t size_of(const ad_node *n) { return n->rows * n->cols; }

static bool push(reads *r, int32_t which, int32_t from)
{
    if (r->n == r->cap) {
        int32_t cap = 2 * r->cap + 64, *a = realloc(r->which, (size_t)cap * sizeof *a),
                *b = a ? realloc(r->from, (size_t)cap * sizeof *b) : NULL;
        r->which = a ? a : r->which;
        r->from = b ? b : r->from;
        if (!a || !b)
            return false;
        r->cap = cap;
    }
    r->which[r->n] = which;
    r->from[r->n++] = from;
    return true;
}

/* The operands of element (i,j) of an operation that is not a scatter. */
static bool element(const writer *w, const ad_node *n, int32_t i, int32_t j, reads *r)
{
    const int32_t *arg = ad_args(w->t, n), *attr = ad_attrs(w->t, n);
    const ad_node *x = ad_at_id(w->t, arg[0]);
    int m = ad_nargs(w->t, n);
    bool ok = true;
    int32_t row = i, col = j;
    if (ad_ops[n->op].kind == AD_ELEMENTWISE) {
        for (int q = 0; ok && q < m; q++) {
            const ad_node *a = ad_at_id(w->t, arg[q]);
            ok = push(r, q, (a->rows == 1 ? 0 : i) * a->cols + (a->cols == 1 ? 0 : j));
        }
    } else if (n->op == OP_SUM_COLS || n->op == OP_SUM_ROWS) {
        int32_t count = n->op == OP_SUM_COLS ? x->cols : x->rows;
        for (int32_t k = 0; ok && k < count; k++)
            ok = push(r, 0, n->op == OP_SUM_COLS ? i * x->cols + k : k * x->cols + j);
    } else if (n->op == OP_CONCAT_COLS || n->op == OP_CONCAT_ROWS) {
        bool side = n->op == OP_CONCAT_COLS;
        int q = 0;
        for (int32_t size; *(side ? &col : &row) >=
                           (size = side ? ad_at_id(w->t, arg[q])->cols : ad_at_id(w->t, arg[q])->rows);
             q++)
            *(side ? &col : &row) -= size;
        ok = push(r, q, row * ad_at_id(w->t, arg[q])->cols + col);
    } else if (n->op != OP_STOP && ad_source_of(n, x, attr, i, j, &row, &col)) {
        ok = push(r, 0, (x->rows == 1 ? 0 : row) * x->cols + (x->cols == 1 ? 0 : col));
    }
    return ok;
}

/* Sources by target: sorted by counting. */
static bool scattered(const writer *w, const ad_node *n, reads *r)
{
    const int32_t *attr = ad_attrs(w->t, n);
    const ad_node *x = ad_at_id(w->t, ad_args(w->t, n)[0]);
    bool cols = n->op == OP_SCATTER_COLS;
    int32_t count = cols ? x->cols : x->rows, targets = cols ? n->cols : n->rows;
    int32_t *start = calloc((size_t)targets + 2, sizeof *start),
            *by = malloc(((size_t)count + 1) * sizeof *by);
    bool ok = start && by;
    for (int32_t s = 0; ok && s < count; s++)
        start[attr[s] + 2]++;
    for (int32_t k = 0; ok && k < targets; k++)
        start[k + 2] += start[k + 1];
    for (int32_t s = 0; ok && s < count; s++)
        by[start[attr[s] + 1]++] = s;
    for (int32_t i = 0, k = 0; ok && i < n->rows; i++)
        for (int32_t j = 0; j < n->cols && ok; j++) {
            for (int32_t q = start[cols ? j : i]; ok && q < start[(cols ? j : i) + 1]; q++)
                ok = push(r, 0, cols ? i * x->cols + by[q] : by[q] * x->cols + j);
            r->start[++k] = r->n;
        }
    free(start);
    free(by);
    return ok;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static const known *known_of(const writer *w, int32_t id)
{
    return id >= w->lo && id < w->hi && w->of[id - w->lo].start ? &w->of[id - w->lo] : NULL;
}

/* The columns of each element: the union of what it reads. */
static bool unite(writer *w, const ad_node *n, const reads *r, known *y)
{
    const int32_t *arg = ad_args(w->t, n);
    int32_t size = size_of(n), cap = 0, nnz = 0;
    for (int32_t i = 0; i < size; i++) {
        w->now++;
        for (int32_t k = r->start[i]; k < r->start[i + 1]; k++) {
            const known *x = known_of(w, arg[r->which[k]]);
            for (int32_t l = x ? x->start[r->from[k]] : 0; x && l < x->start[r->from[k] + 1]; l++) {
                if (w->stamp[x->col[l]] == w->now)
                    continue;
                w->stamp[x->col[l]] = w->now;
                if (nnz == cap) {
                    cap = 2 * cap + 64;
                    int32_t *more = realloc(y->col, (size_t)cap * sizeof *more);
                    if (!more)
                        return false;
                    y->col = more;
                }
                y->col[nnz++] = x->col[l];
            }
        }
        if (nnz > y->start[i])
            qsort(y->col + y->start[i], (size_t)(nnz - y->start[i]), sizeof *y->col, ascending);
        y->start[i + 1] = nnz;
    }
    return true;
}

static int32_t place_of(const known *y, int32_t i, int32_t col)
{
    int32_t a = y->start[i], b = y->start[i + 1] - 1;
    while (a < b) {
        int32_t half = a + (b - a) / 2;
        if (y->col[half] < col)
            a = half + 1;
        else
            b = half;
    }
    return a;
}

static ad_var gathered(ad_var v, int32_t n, const int32_t index[])
{
    bool same = n == ad_cols(v);
    for (int32_t i = 0; same && i < n; i++)
        same = index[i] == i;
    return same ? v : ad_gather_cols(v, n, index);
}

/* Entries of y by operand q: those it reads, times the partial derivative; their places in y follow in `place`. */
static ad_var share(writer *w, const ad_node *n, const reads *r, const known *y, int q, ad_var partial,
                    int32_t *list[3], int32_t *place, int32_t *count)
{
    const known *x = known_of(w, ad_args(w->t, n)[q]);
    int32_t m = 0, pr = ad_is_number(partial) ? 1 : ad_rows(partial),
            pc = ad_is_number(partial) ? 1 : ad_cols(partial);
    for (int32_t i = 0, size = size_of(n); i < size; i++)
        for (int32_t k = r->start[i]; k < r->start[i + 1]; k++)
            for (int32_t l = r->which[k] == q ? x->start[r->from[k]] : 0;
                 r->which[k] == q && l < x->start[r->from[k] + 1]; l++) {
                list[0][m] = l;
                list[1][m] = (pr == 1 ? 0 : i / n->cols) * pc + (pc == 1 ? 0 : i % n->cols);
                place[m++] = place_of(y, i, x->col[l]);
            }
    *count = m;
    if (m == 0)
        return N(0);
    ad_var e = gathered(x->e, m, list[0]);
    if (!ad_is_number(partial) && pr * pc > 1)
        partial = gathered(ad_reshape(partial, 1, pr * pc), m, list[1]);
    /* where an operand does not move, it does not matter that the operation has no finite derivative: as in a tangent */
    return ad_is_number(partial) || n->op == OP_mul || n->op == OP_square ? ad_mul(e, partial)
                                                                          : ad_mulz(e, partial);
}

static void write_node(writer *w, int32_t id, const reads *r)
{
    ad_node n = *ad_at_id(w->t, id);
    int m = ad_nargs(w->t, &n);
    known *y = &w->of[id - w->lo];
    int64_t total = 0;
    ad_var few[4], *partial = m <= 4 ? few : malloc((size_t)m * sizeof *partial),
                   *arg = malloc((size_t)m * sizeof *arg), *part = malloc((size_t)m * sizeof *part);
    bool *want = malloc((size_t)m * sizeof *want);
    int32_t *list[3] = {NULL, NULL, NULL}, *place = NULL, used = 0;
    int parts = 0;
    y->start = calloc((size_t)size_of(&n) + 1, sizeof *y->start);
    w->ok = partial && arg && part && want && y->start && unite(w, &n, r, y);
    for (int32_t k = 0; w->ok && k < r->n; k++) {
        const known *x = known_of(w, ad_args(w->t, &n)[r->which[k]]);
        total += x ? x->start[r->from[k] + 1] - x->start[r->from[k]] : 0;
    }
    w->ok = w->ok && total < INT_MAX;
    for (int q = 0; w->ok && q < m; q++) {
        arg[q] = ad_var_of(w->t, ad_args(w->t, &n)[q]);
        want[q] = known_of(w, arg[q].id);
        partial[q] = N(ad_ops[n.op].kind == AD_ELEMENTWISE ? 0 : 1);
    }
    if (w->ok && ad_ops[n.op].kind == AD_ELEMENTWISE)
        ad_pullback(ad_var_of(w->t, id), ad_fill(w->t, n.rows, n.cols, 1), arg, want, partial);
    for (int k = 0; w->ok && k < 2; k++)
        w->ok = (list[k] = malloc(((size_t)total + 1) * sizeof **list));
    w->ok = w->ok && (place = malloc(((size_t)total + 1) * sizeof *place));
    for (int q = 0; w->ok && q < m; q++) {
        int32_t count;
        bool zero = ad_is_number(partial[q]) && partial[q].value == 0;
        if (!want[q] || zero)
            continue;
        part[parts] = share(w, &n, r, y, q, partial[q], list, place + used, &count);
        parts += count > 0;
        used += count;
    }
    if (w->ok && y->start[size_of(&n)] > 0) {
        int32_t nnz = y->start[size_of(&n)];
        bool same = used == nnz;
        for (int32_t k = 0; same && k < nnz; k++)
            same = place[k] == k;
        y->e = parts ? ad_concat_cols(parts, part) : ad_fill(w->t, 1, nnz, 0);
        if (parts && !same)
            y->e = ad_scatter_cols(y->e, nnz, place);
    }
    w->ok = w->ok && !w->t->status;
    if (w->ok && y->start[size_of(&n)] == 0) { /* nothing depends */
        free(y->start);
        free(y->col);
        *y = (known){0};
    }
    if (partial != few)
        free(partial);
    free(arg), free(part), free(want), free(list[0]), free(list[1]), free(place);
}

bool ad_entries(ad_var y, ad_var x, ad_pattern *a, ad_var *out)
{
    ad_span s;
    ad_tape *t = ad_between("ad_hessian_sparse", 1, &y, 1, &x, &s);
    if (!t)
        return false;
    int32_t n = ad_rows(x) * ad_cols(x), m = ad_rows(y) * ad_cols(y), hi = s.hi > s.lo ? s.hi : s.lo;
    writer w = {.t = t, .lo = s.lo, .hi = hi, .n = n};
    reads r = {0};
    w.of = calloc((size_t)(hi - s.lo) + 1, sizeof *w.of);
    w.stamp = calloc((size_t)n + 1, sizeof *w.stamp);
    w.ok = w.of && w.stamp;
    *a = (ad_pattern){.m = m, .n = n};
    for (int32_t id = s.lo; w.ok && id < hi; id++) {
        const ad_node *v = ad_at_id(t, id);
        int32_t size = size_of(v);
        if (!s.on[id - s.lo])
            continue;
        if (id == x.id) {
            known *k = &w.of[id - s.lo];
            k->start = malloc(((size_t)n + 1) * sizeof *k->start);
            k->col = malloc(((size_t)n + 1) * sizeof *k->col);
            w.ok = k->start && k->col;
            for (int32_t i = 0; w.ok && i <= n; i++)
                k->start[i] = k->col[i] = i;
            k->e = ad_fill(t, 1, n, 1);
            continue;
        }
        r.n = 0;
        free(r.start);
        r.start = calloc((size_t)size + 1, sizeof *r.start);
        w.ok = r.start;
        if (w.ok && (v->op == OP_SCATTER_COLS || v->op == OP_SCATTER_ROWS))
            w.ok = scattered(&w, v, &r);
        else
            for (int32_t i = 0; w.ok && i < size; i++) {
                w.ok = element(&w, v, i / v->cols, i % v->cols, &r);
                r.start[i + 1] = r.n;
            }
        if (w.ok)
            write_node(&w, id, &r);
    }
    known *last = y.id >= s.lo && y.id < hi && w.of ? &w.of[y.id - s.lo] : NULL;
    if (w.ok && last && last->start) {
        a->start = last->start;
        a->col = last->col;
        a->nnz = last->start[m];
        *out = last->e;
        last->start = last->col = NULL;
    } else if (w.ok) {
        a->start = calloc((size_t)m + 1, sizeof *a->start);
        a->col = calloc(1, sizeof *a->col);
        w.ok = a->start && a->col;
        *out = ad_fill(t, 1, 1, 0);
    }
    if (!w.ok)
        ad_fail(t, AD_ENOMEM, "ad_hessian_sparse: out of memory");
    for (int32_t k = 0; w.of && k < hi - s.lo; k++) {
        free(w.of[k].start);
        free(w.of[k].col);
    }
    free(w.of), free(w.stamp), free(r.start), free(r.which), free(r.from), free(s.on);
    return w.ok && !t->status;
}
