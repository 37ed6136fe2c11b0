/* emit_view.c - values that only arrange other values: slices, gathers, pads, concatenations, scatters.
 * Invariant: a view lists, for each of its elements, an element of a value that is computed or given (never of another
 * view), 0, or a sum; so what reads a view of views reads the source.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

enum {
    FEW_PIECES = 4,   /* that a loop is cut into */
    MANY_PIECES = 256 /* that straight code is written for, or a copy */
};

bool ad_em_is_view(int op)
{
    switch (op) {
    case OP_STOP:
    case OP_RESHAPE:
    case OP_EXPAND:
    case OP_SLICE:
    case OP_PAD:
    case OP_CONCAT_ROWS:
    case OP_CONCAT_COLS:
    case OP_GATHER_COLS:
    case OP_GATHER_ROWS:
    case OP_SCATTER_COLS:
    case OP_SCATTER_ROWS:
    case OP_TRANSPOSE:
    case OP_ROW_TRANSPOSE:
    case OP_RESULT:
        return true;
    default:
        return false;
    }
}

em_entry ad_em_entry(const ad_emitter *e, int32_t value, int32_t at)
{
    const em_value *v = &e->value[value];
    if (!v->view)
        return (em_entry){value, at};
    return v->part_of ? ad_em_entry(e, v->part_of - 1, v->view[at].at) : v->view[at];
}

/* A scatter: 0 + the elements that go there, in their order. */
static bool scatter(ad_emitter *e, const ad_ins *ins, em_value *d, int32_t operand)
{
    const int32_t *to = ad_ins_attrs(e->p, ins);
    bool by_rows = ins->op == OP_SCATTER_ROWS;
    const em_value *o = &e->value[operand];
    int32_t *count = ad_em_room(e, ((size_t)d->n + 1) * sizeof *count);
    if (!count)
        return false;
    for (int32_t j = 0; j < d->n; j++)
        d->view[j].src = EM_ZERO;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < o->rows; i++)
            for (int32_t k = 0; k < o->cols; k++) {
                int32_t j = by_rows ? to[i] * d->cols + k : i * d->cols + to[k];
                em_entry x = ad_em_entry(e, operand, i * o->cols + k);
                if (pass == 0) {
                    count[j]++;
                    continue;
                }
                int32_t *s = e->sums.at + d->view[j].at;
                s[1 + 2 * s[0]] = x.src;
                s[2 + 2 * s[0]++] = x.at;
            }
        for (int32_t j = 0; j < d->n && pass == 0; j++) {
            if (!count[j])
                continue;
            d->view[j] = (em_entry){EM_SUM, e->sums.n};
            for (int32_t k = 0; k < 1 + 2 * count[j]; k++)
                if (!ad_em_push(e, &e->sums, 0))
                    return false;
        }
    }
    return true;
}

/* The view of an instruction, on views of its operands. */
bool ad_em_view(ad_emitter *e, int32_t index)
{
    const ad_program *p = e->p;
    const ad_ins *ins = &p->ins[index];
    const int32_t *a = ad_ins_args(p, ins), *attr = ad_ins_attrs(p, ins);
    em_value *d = &e->value[p->pool[ins->at]];
    const em_value *o = &e->value[a[0]];
    d->view = ad_em_room(e, (size_t)d->n * sizeof *d->view);
    if (!d->view)
        return false;
    if (ins->op == OP_SCATTER_COLS || ins->op == OP_SCATTER_ROWS)
        return scatter(e, ins, d, a[0]);
    if (ins->op == OP_RESULT) {
        for (int32_t j = 0; j < d->n; j++)
            d->view[j] = (em_entry){o->results + attr[0], j};
        return true;
    }
    int32_t first = 0, which = 0; /* of a concatenation: the operand, and where it begins */
    for (int32_t i = 0; i < d->rows; i++)
        for (int32_t k = 0; k < d->cols; k++) {
            em_entry *x = &d->view[i * d->cols + k];
            int32_t r = i, c = k;
            if (ins->op == OP_CONCAT_COLS) {
                if (k == 0)
                    first = which = 0;
                while (k - first >= e->value[a[which]].cols)
                    first += e->value[a[which++]].cols;
                c = k - first;
            } else if (ins->op == OP_CONCAT_ROWS) {
                while (i - first >= e->value[a[which]].rows)
                    first += e->value[a[which++]].rows;
                r = i - first;
            } else if (ins->op == OP_SLICE) {
                r = i + attr[0];
                c = k + attr[1];
            } else if (ins->op == OP_PAD) {
                r = i - attr[0];
                c = k - attr[1];
            } else if (ins->op == OP_GATHER_COLS) {
                c = attr[k];
            } else if (ins->op == OP_GATHER_ROWS) {
                r = attr[i];
            } else if (ins->op == OP_EXPAND) {
                r = o->rows == 1 ? 0 : i;
                c = o->cols == 1 ? 0 : k;
            } else if (ins->op == OP_TRANSPOSE) {
                r = k;
                c = i;
            } else if (ins->op ==
                       OP_ROW_TRANSPOSE) { /* [m,n] in each row: element k of the result is (k % m, k / m) */
                c = k % attr[0] * attr[1] + k / attr[0];
            } else {
                r = 0;
                c = i * d->cols + k;
            }
            const em_value *s = &e->value[a[which]];
            if (ins->op == OP_PAD && (r < 0 || c < 0 || r >= s->rows || c >= s->cols))
                x->src = EM_ZERO;
            else
                *x = ad_em_entry(e, a[which], r * s->cols + c);
        }
    return true;
}

/* Runs of equal step; r gets them all. */
void ad_em_pieces(ad_emitter *e, const em_entry *x, int32_t n, em_ref *r)
{
    for (int pass = 0; pass < 2; pass++) {
        int32_t count = 0;
        for (int32_t j = 0; j < n; count++) {
            int32_t from = j++, step = 0;
            if (x[from].src == EM_ZERO) {
                while (j < n && x[j].src == EM_ZERO)
                    j++;
            } else if (x[from].src >= 0 && j < n && x[j].src == x[from].src) {
                step = x[j].at - x[from].at;
                while (j < n && x[j].src == x[from].src && x[j].at - x[j - 1].at == step)
                    j++;
            }
            if (pass)
                r->piece[count] = (em_piece){from, x[from].src, x[from].at, step};
        }
        r->kind = count == 1 && r->npieces >= 0 && x[0].src >= 0 ? EM_AFFINE : EM_PIECES;
        r->npieces = count;
        if (pass == 0 && !(r->piece = ad_em_room(e, (size_t)count * sizeof *r->piece))) {
            r->npieces = 0;
            return;
        }
    }
}

/* src[at + i a + k b] for every element of [rows,cols]? */
static bool grid(const em_entry *x, int32_t rows, int32_t cols, em_ref *r)
{
    if (rows < 2 || cols < 2 || x[0].src < 0)
        return false;
    r->step_row = x[cols].at - x[0].at;
    r->step_col = x[1].at - x[0].at;
    for (int32_t i = 0, j = 0; i < rows; i++)
        for (int32_t k = 0; k < cols; k++, j++)
            if (x[j].src != x[0].src || x[j].at != x[0].at + i * r->step_row + k * r->step_col)
                return false;
    return true;
}

/* One table of numbers for all that read in the same order. */
static int32_t table_of(ad_emitter *e, const em_entry *x, int32_t n)
{
    for (int32_t s = 0; s < e->nspans; s++) {
        const int32_t *t = e->table.at + e->span[s].at;
        int32_t j = 0;
        while (e->span[s].n == n && j < n && t[j] == x[j].at)
            j++;
        if (j == n)
            return s;
    }
    if (e->nspans == e->spans_cap) {
        int32_t cap = 2 * e->spans_cap + 16;
        struct em_span *s = realloc(e->span, (size_t)cap * sizeof *s);
        if (!s) {
            e->failed = true;
            return 0;
        }
        e->span = s;
        e->spans_cap = cap;
    }
    e->span[e->nspans].at = e->table.n;
    e->span[e->nspans].n = n;
    for (int32_t j = 0; j < n; j++)
        if (!ad_em_push(e, &e->table, x[j].at))
            return 0;
    return e->nspans++;
}

/* How elements of [rows,cols] read an operand that is broadcast to them; false when it must be stored first. */
bool ad_em_read(ad_emitter *e, int32_t operand, int32_t rows, int32_t cols, em_ref *r)
{
    const em_value *o = &e->value[operand];
    int32_t n = rows * cols;
    bool same = o->n == n && o->rows == rows, one = o->n == 1;
    *r = (em_ref){.kind = EM_AFFINE, .npieces = 1};
    if (!o->view && (same || one)) {
        r->piece = ad_em_room(e, sizeof *r->piece);
        if (r->piece)
            *r->piece = (em_piece){0, operand, 0, same};
        return true;
    }
    if (n > e->line_cap) {
        em_entry *line = realloc(e->line, (size_t)n * sizeof *line);
        if (!line) {
            e->failed = true;
            return true;
        }
        e->line = line;
        e->line_cap = n;
    }
    em_entry *x = e->line;
    bool single = true;
    for (int32_t i = 0, j = 0; i < rows; i++)
        for (int32_t k = 0; k < cols; k++, j++) {
            x[j] = ad_em_entry(e, operand, (o->rows == 1 ? 0 : i) * o->cols + (o->cols == 1 ? 0 : k));
            single = single && x[j].src >= 0 && x[j].src == x[0].src;
        }
    ad_em_pieces(e, x, n, r);
    if (r->npieces <= FEW_PIECES || e->failed)
        return true;
    if (grid(x, rows, cols, r)) {
        r->kind = EM_GRID;
        r->npieces = 1;
        return true;
    }
    if (single) {
        r->kind = EM_TABLE;
        r->npieces = 1;
        r->table = table_of(e, x, n);
        return true;
    }
    return r->npieces <= MANY_PIECES;
}

em_entry ad_em_at(const ad_emitter *e, const em_ref *r, const em_group *g, int32_t j)
{
    const em_piece *q = r->piece;
    if (r->kind == EM_TABLE)
        return (em_entry){q->src, e->table.at[e->span[r->table].at + j]};
    if (r->kind == EM_GRID)
        return (em_entry){q->src, q->at + j / g->cols * r->step_row + j % g->cols * r->step_col};
    for (int32_t k = r->npieces - 1; k > 0; k--)
        if (j >= q[k].from) {
            q += k;
            break;
        }
    return (em_entry){q->src, q->src >= 0 ? q->at + (j - q->from) * q->step : q->at};
}
