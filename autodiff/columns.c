/* columns.c - pass: a program whose values are a few columns works on each column by itself: what takes columns apart and
 * puts them together again then costs nothing, and all of it is scalar code (code.c), a state of a batch or many.
 * Contract: every element is computed by the same operations in the same order. All or nothing: a program that holds anything
 * but elementwise operations and moves of columns of at most MANY (ALONE without a batch) is left as it is.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { MANY = 8, ALONE = AD_SLOT_MOST }; /* a sum over more columns than 8 is not one chain */

typedef struct splitter {
    ad_ir *ir;
    ad_node *node; /* the new nodes */
    int32_t *origin, n, cap;
    int32_t *whole, *first, *col; /* by old node: the new node, -1; where its columns begin in col; -1 each */
    int32_t zero;                 /* the constant, -1 */
    bool ok;
} splitter;

static bool moves(int op)
{
    return op == OP_SLICE || op == OP_PAD || op == OP_CONCAT_COLS || op == OP_GATHER_COLS ||
           op == OP_SCATTER_COLS;
}

static bool fits(const ad_ir *ir, const ad_node *n)
{
    const int32_t *a = ad_ir_args(ir, n);
    int kind = ad_ops[n->op].kind;
    if (n->rows != 1 && n->rows != -1)
        return false;
    if (n->cols > (n->rows < 0 ? MANY : ALONE))
        return false;
    if (kind == AD_ELEMENTWISE || n->op == OP_INPUT || n->op == OP_CONST || n->op == OP_EXPAND)
        return true;
    return (moves(n->op) || n->op == OP_SUM_COLS) && ir->node[a[0]].rows == n->rows;
}

/* Is it worth it? Not where columns come from inputs and go to outputs after little work. */
static bool worth(const ad_ir *ir)
{
    int64_t moved = 0, work = 0, edge = 0;
    for (int32_t i = 0; i < ir->n; i++) {
        const ad_node *n = &ir->node[i];
        if (!fits(ir, n))
            return false;
        moved += moves(n->op);
        work += ad_ops[n->op].kind == AD_ELEMENTWISE ? n->cols : 0;
        edge += n->op == OP_INPUT && n->cols > 1 ? n->cols : 0;
    }
    for (int j = 0; j < ir->nout; j++)
        edge += ir->node[ir->out[j]].cols;
    return moved && work >= edge;
}

static int32_t push(splitter *s, int32_t from, ad_node n)
{
    if (s->n == s->cap) {
        int32_t cap = 2 * s->cap + 64;
        ad_node *node = realloc(s->node, (size_t)cap * sizeof *node);
        s->node = node ? node : s->node;
        int32_t *origin = realloc(s->origin, (size_t)cap * sizeof *origin);
        s->origin = origin ? origin : s->origin;
        if (!node || !origin) {
            s->ok = false;
            return 0;
        }
        s->cap = cap;
    }
    s->origin[s->n] = s->ir->origin[from];
    s->node[s->n] = n;
    return s->n++;
}

/* A node of so many operands, which the caller fills in at *a. */
static ad_node with_operands(splitter *s, int op, int nargs, int32_t **a)
{
    ad_node n = {.op = (uint16_t)op, .rows = 1, .cols = 1};
    ad_ir *ir = s->ir;
    *a = NULL;
    if (nargs <= 3) {
        n.nargs = (uint8_t)nargs;
        return n;
    }
    if (ir->next + nargs + 1 > ir->ext_cap) {
        int32_t cap = 2 * (ir->next + nargs + 1);
        int32_t *ext = realloc(ir->ext, (size_t)cap * sizeof *ext);
        if (!ext) {
            s->ok = false;
            return n;
        }
        ir->ext = ext;
        ir->ext_cap = cap;
    }
    ir->ext[ir->next] = nargs;
    n.flags = NODE_EXT;
    n.arg[0] = ir->next + 1;
    *a = ir->ext + n.arg[0];
    ir->next += nargs + 1;
    return n;
}

/* x [1,1] as a column of so many rows: columns whose rows are all the same have one until they are put together. */
static int32_t tall(splitter *s, int32_t i, int32_t x, int32_t rows)
{
    if (!s->ok || s->node[x].rows == rows)
        return x;
    return push(s, i, (ad_node){.op = OP_EXPAND, .nargs = 1, .rows = rows, .cols = 1, .arg = {x}});
}

static int32_t whole(splitter *s, int32_t i)
{
    const ad_node *n = &s->ir->node[i];
    if (s->whole[i] >= 0 || !s->ok)
        return s->whole[i];
    int32_t *a, *c = s->col + s->first[i];
    if (n->cols == 1)
        return s->whole[i] = tall(s, i, c[0], n->rows);
    for (int32_t j = 0; j < n->cols; j++)
        c[j] = tall(s, i, c[j], n->rows);
    ad_node m = with_operands(s, OP_CONCAT_COLS, n->cols, &a);
    m.rows = n->rows;
    m.cols = n->cols;
    for (int32_t j = 0; s->ok && j < n->cols; j++)
        (a ? a : m.arg)[j] = c[j];
    return s->whole[i] = push(s, i, m);
}

/* Column j of the old node i. */
static int32_t column(splitter *s, int32_t i, int32_t j)
{
    const ad_node *n = &s->ir->node[i];
    int32_t *c = s->col + s->first[i] + j;
    if (*c >= 0 || !s->ok)
        return *c;
    if (n->cols == 1)
        return *c = s->whole[i];
    ad_node m = {.op = OP_SLICE, .nargs = 1, .nattr = 2, .rows = n->rows, .cols = 1};
    if (n->op == OP_CONST) {
        int64_t at = ad_const_at(n->arg) + j;
        m.op = OP_CONST;
        m.nargs = 0;
        m.arg[0] = (int32_t)(at & 0x3fffffff);
        m.arg[1] = (int32_t)(at >> 30);
    } else {
        m.arg[0] = s->whole[i];
        m.arg[2] = j;
    }
    return *c = push(s, i, m);
}

static int32_t zero(splitter *s, int32_t i)
{
    if (s->zero < 0) {
        int64_t at = ad_ir_const(s->ir, 1);
        s->ok = s->ok && at >= 0;
        if (!s->ok)
            return 0;
        memset(s->ir->consts + (size_t)at * s->ir->k->size, 0, s->ir->k->size);
        ad_node z = {.op = OP_CONST, .nattr = 2, .rows = 1, .cols = 1};
        z.arg[0] = (int32_t)(at & 0x3fffffff);
        z.arg[1] = (int32_t)(at >> 30);
        s->zero = push(s, i, z);
    }
    return s->zero;
}

static int32_t plus(splitter *s, int32_t i, int32_t x, int32_t y)
{
    int32_t rows = s->ok && (s->node[x].rows < 0 || s->node[y].rows < 0) ? -1 : 1;
    return push(s, i, (ad_node){.op = OP_add, .nargs = 2, .rows = rows, .cols = 1, .arg = {x, y}});
}

/* Column j of a node that has operands. */
static int32_t made(splitter *s, int32_t i, int32_t j)
{
    const ad_ir *ir = s->ir;
    const ad_node *n = &ir->node[i];
    const int32_t *a = ad_ir_args(ir, n), *at = ad_ir_attrs(ir, n);
    int m = ad_ir_nargs(ir, n), k = 0;
    int32_t x, *to;
    if (ad_ops[n->op].kind == AD_ELEMENTWISE) {
        int32_t few[MANY], *arg = m <= MANY ? few : malloc((size_t)m * sizeof *arg);
        s->ok = s->ok && arg;
        for (; s->ok && k < m; k++) {
            a = ad_ir_args(ir, n);
            arg[k] = column(s, a[k], ir->node[a[k]].cols == 1 ? 0 : j);
        }
        ad_node v = with_operands(s, n->op, m, &to);
        for (k = 0; s->ok && k < m; k++)
            v.rows = s->node[arg[k]].rows < 0 ? -1 : v.rows;
        if (s->ok)
            memcpy(to ? to : v.arg, arg, (size_t)m * sizeof *arg);
        if (arg != few)
            free(arg);
        return push(s, i, v);
    }
    switch (n->op) {
    case OP_SLICE:
        return column(s, a[0], at[1] + j);
    case OP_GATHER_COLS:
        return column(s, a[0], at[j]);
    case OP_CONCAT_COLS:
        for (; j >= ir->node[a[k]].cols; k++)
            j -= ir->node[a[k]].cols;
        return column(s, a[k], j);
    case OP_PAD:
        j -= at[1];
        return j < 0 || j >= ir->node[a[0]].cols ? zero(s, i) : column(s, a[0], j);
    case OP_SCATTER_COLS: /* 0 + the columns that go there */
        x = zero(s, i);
        for (k = 0; s->ok && k < n->nattr; k++)
            if (at[k] == j)
                x = plus(s, i, x, column(s, a[0], k));
        return x;
    case OP_SUM_COLS:
        x = column(s, a[0], 0);
        for (k = 1; s->ok && k < ir->node[a[0]].cols; k++)
            x = plus(s, i, x, column(s, a[0], k));
        return x;
    default: /* OP_EXPAND */
        return column(s, a[0], ir->node[a[0]].cols == 1 ? 0 : j);
    }
}

static void take(splitter *s)
{
    ad_ir *ir = s->ir;
    for (int32_t i = 0; s->ok && i < ir->n; i++) {
        const ad_node *n = &ir->node[i];
        if (n->op == OP_INPUT || n->op == OP_CONST)
            s->whole[i] = push(s, i, *n);
        for (int32_t j = 0; s->whole[i] < 0 && s->ok && j < n->cols; j++)
            s->col[s->first[i] + j] = made(s, i, j);
    }
    for (int j = 0; s->ok && j < ir->nout; j++)
        ir->out[j] = whole(s, ir->out[j]);
    for (int j = 0; s->ok && j < ir->nin; j++)
        ir->in[j] = ir->in[j] < 0 ? -1 : s->whole[ir->in[j]];
}

bool ad_pass_columns(ad_ir *ir)
{
    if (!worth(ir))
        return true;
    splitter s = {.ir = ir, .zero = -1, .cap = 2 * ir->n};
    size_t n = (size_t)ir->n + 1, columns = 0;
    s.first = malloc(n * sizeof *s.first);
    s.whole = malloc(n * sizeof *s.whole);
    for (int32_t i = 0; s.first && i < ir->n; i++) {
        s.first[i] = (int32_t)columns;
        columns += (size_t)ir->node[i].cols;
    }
    s.col = malloc((columns + 1) * sizeof *s.col);
    s.node = malloc(((size_t)s.cap + 1) * sizeof *s.node);
    s.origin = malloc(((size_t)s.cap + 1) * sizeof *s.origin);
    s.ok = s.first && s.whole && s.col && s.node && s.origin && columns < INT32_MAX;
    if (s.ok) {
        memset(s.whole, -1, n * sizeof *s.whole);
        memset(s.col, -1, (columns + 1) * sizeof *s.col);
        take(&s);
    }
    if (s.ok) {
        free(ir->block);
        ad_ir_give(ir, ir->origin);
        ir->node = s.node;
        ir->block = (void *)s.node;
        ir->origin = s.origin;
        ir->n = s.n;
    } else {
        free(s.node);
        free(s.origin);
    }
    free(s.first);
    free(s.whole);
    free(s.col);
    ad_report kept = ir->report;
    bool ok = s.ok && ad_pass_fold(ir);
    ir->report = kept;
    return ok;
}
