/* plan.c - pass: instructions in the order of the nodes, and where every value lives.
 * Contract: a value's memory is given to another only after its last user; inputs and constants are bound before the
 * first instruction and never written; an output is written by one instruction and read by any. An output that is
 * an input, a constant, a view or listed twice is a copy at the end. A value that only its own row-by-row stage needs
 * has room for one block of rows, once for each thread; memory that lives longer is not given back inside such a
 * stage, whose blocks run in any order.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { SMALL = 64, SCAN = 64 };

enum { FIXED, BATCH, BLOCK, KINDS };

/* Free buffers: those of at most SMALL numbers by exact size, larger ones in a list searched for the best fit. */
typedef struct heap {
    int32_t small[KINDS][SMALL + 1]; /* by size: first free buffer + 1 */
    int32_t *next;                   /* by buffer: the next free one + 1 */
    int32_t *large[KINDS], nlarge[KINDS], cap[KINDS];
} heap;

static int kind_of(const ad_buffer *b) { return b->fixed ? FIXED : b->local ? BLOCK : BATCH; }

static bool put(heap *h, const ad_program *p, int32_t b)
{
    int kind = kind_of(&p->buffer[b]);
    int64_t size = p->buffer[b].fixed + p->buffer[b].per_row;
    if (size <= SMALL) {
        h->next[b] = h->small[kind][size];
        h->small[kind][size] = b + 1;
        return true;
    }
    if (h->nlarge[kind] == h->cap[kind]) {
        int32_t cap = 2 * h->cap[kind] + 16, *l = realloc(h->large[kind], (size_t)cap * sizeof *l);
        if (!l)
            return false;
        h->large[kind] = l;
        h->cap[kind] = cap;
    }
    h->large[kind][h->nlarge[kind]++] = b;
    return true;
}

static int32_t take(heap *h, ad_program *p, int kind, int64_t size)
{
    if (size <= SMALL && h->small[kind][size]) {
        int32_t b = h->small[kind][size] - 1;
        h->small[kind][size] = h->next[b];
        return b;
    }
    if (size > SMALL) {
        int32_t best = -1, n = h->nlarge[kind];
        int64_t waste = INT64_MAX;
        for (int32_t i = n - 1; i >= 0 && i >= n - SCAN; i--) {
            const ad_buffer *b = &p->buffer[h->large[kind][i]];
            int64_t has = b->fixed + b->per_row;
            if (has >= size && has - size < waste) {
                waste = has - size;
                best = i;
            }
        }
        if (best >= 0 && waste <= size) {
            int32_t b = h->large[kind][best];
            h->large[kind][best] = h->large[kind][--h->nlarge[kind]];
            return b;
        }
    }
    p->buffer[p->nbuffers] = (ad_buffer){kind == FIXED ? size : 0, kind == FIXED ? 0 : size, kind == BLOCK};
    return p->nbuffers++;
}

typedef struct planner {
    const ad_ir *ir;
    ad_program *p;
    heap h;
    int32_t *root; /* by node: the node whose memory it is part of */
    int32_t *last; /* by root: the last node that reads it; n when an output, -1 when its memory went on */
    int32_t *wide; /* by root: a stage other than its own reads it */
    int32_t *pending, npending;
    bool reuse;
} planner;

/* May the result overwrite operand k, which dies here? Only where every element is read before it is written. */
static bool in_place(const planner *s, const ad_node *n, int k)
{
    const ad_ir *ir = s->ir;
    const int32_t *a = ad_ir_args(ir, n);
    const ad_node *o = &ir->node[a[k]];
    if (ad_ops[n->op].kind != AD_ELEMENTWISE || o->rows != n->rows || o->cols != n->cols || k > 1 ||
        s->root[a[k]] != a[k])
        return false;
    for (int i = 0, m = ad_ir_nargs(ir, n); i < m; i++) /* another part of the same memory is read later */
        if (i != k && s->root[a[i]] == a[k] && (a[i] != a[k] || n->op == OP_ADD_N))
            return false;
    return true;
}

static void place_leaf(ad_place *at, const ad_node *n)
{
    at->where = n->op == OP_INPUT ? AD_AT_INPUT : AD_AT_CONST;
    at->index = n->op == OP_INPUT ? n->arg[0] : 0;
    at->offset = n->op == OP_INPUT ? 0 : ad_const_at(n->arg);
}

/* Whether a node is a part of its operand's memory as it stands, and where in it. */
static bool is_view(const ad_ir *ir, const ad_node *n, int64_t *offset)
{
    *offset = 0;
    if (n->op == OP_RESHAPE)
        return true;
    if (n->op == OP_RESULT) { /* where it begins may depend on the batch */
        const ad_object *o = ir->object[n->arg[2]];
        const ad_node *of = &ir->node[n->arg[0]];
        *offset = ad_result_at(o, n->arg[1], of->rows > 0 ? of->rows : 0);
        return of->rows > 0 || o->at_row[n->arg[1]] == 0;
    }
    if (n->op != OP_SLICE || n->rows < 0)
        return false;
    const int32_t *a = ad_ir_args(ir, n);
    const ad_node *o = &ir->node[a[0]];
    *offset = (int64_t)a[1] * o->cols + a[2];
    return o->rows > 0 && (n->rows == 1 || n->cols == o->cols);
}

/* A buffer for all results of a node, one after another: fixed numbers and so many a row. */
static int32_t take_results(planner *s, const ad_node *n)
{
    const ad_object *o = s->ir->object[ad_ir_attrs(s->ir, n)[0]];
    int64_t fixed = o->at_fixed[o->nout], row = o->at_row[o->nout];
    if (n->rows > 0) {
        fixed += row * n->rows;
        row = 0;
    } else {
        row *= -n->rows;
    }
    if (fixed == 0 || row == 0)
        return take(&s->h, s->p, fixed ? FIXED : BATCH, fixed + row);
    s->p->buffer[s->p->nbuffers] = (ad_buffer){fixed, row, false};
    return s->p->nbuffers++;
}

static bool place_result(planner *s, int32_t i)
{
    const ad_node *n = &s->ir->node[i];
    ad_program *p = s->p;
    ad_place *at = &p->place[i];
    const int32_t *a = ad_ir_args(s->ir, n);
    int m = ad_ir_nargs(s->ir, n);
    bool rows = s->ir->stage[i] & 1;
    int kind = n->rows >= 0 ? FIXED : rows && !s->wide[i] ? BLOCK : BATCH;
    if (at->where != AD_AT_OUTPUT) {
        at->where = AD_AT_BUFFER;
        at->offset = 0;
        at->index = -1;
        for (int k = 0; s->reuse && k < m && k < 2 && at->index < 0; k++) {
            const ad_place *o = &p->place[a[k]];
            if (s->last[a[k]] == i && o->where == AD_AT_BUFFER && in_place(s, n, k) &&
                kind_of(&p->buffer[o->index]) == kind && (kind == BLOCK || !rows)) {
                at->index = o->index;
                s->last[a[k]] = -1;
            }
        }
        if (ad_is_object(n->op))
            at->index = take_results(s, n);
        if (at->index < 0)
            at->index = take(&s->h, p, kind, (int64_t)(n->rows < 0 ? -n->rows : n->rows) * n->cols);
    }
    for (int k = 0; s->reuse && k < m; k++) {
        int32_t r = s->root[a[k]];
        if (s->last[r] != i || p->place[r].where != AD_AT_BUFFER)
            continue;
        s->last[r] = -1;
        int32_t b = p->place[r].index;
        if (p->buffer[b].fixed && p->buffer[b].per_row)
            continue; /* of both kinds: not given to another */
        if (rows && kind_of(&p->buffer[b]) != BLOCK)
            s->pending[s->npending++] = b; /* until the stage ends */
        else if (!put(&s->h, p, b))
            return false;
    }
    return true;
}

static void emit(ad_program *p, const ad_ir *ir, int op, int32_t dst, int nargs, const int32_t args[],
                 int nattr, const int32_t attr[], int32_t origin)
{
    ad_ins *ins = &p->ins[p->nins++];
    if (nargs >= UINT16_MAX)
        p->pool[p->npool++] = nargs;
    *ins = (ad_ins){.op = (uint16_t)op,
                    .nargs = nargs >= UINT16_MAX ? UINT16_MAX : (uint16_t)nargs,
                    .nattr = nattr,
                    .at = p->npool,
                    .origin = origin};
    p->pool[p->npool++] = dst;
    for (int k = 0; k < nargs; k++)
        p->pool[p->npool++] = args[k];
    for (int k = 0; k < nattr; k++)
        p->pool[p->npool++] = attr[k];
    int64_t need = ad_scratch_of(op, attr, nargs ? ir->node[args[0]].cols : 0);
    p->scratch = need > p->scratch ? need : p->scratch;
}

static void count_flops(ad_report *r, const ad_ir *ir, const ad_node *n)
{
    const ad_node *a = ad_ir_nargs(ir, n) ? &ir->node[ad_ir_args(ir, n)[0]] : n;
    const int32_t *at = ad_ir_attrs(ir, n);
    double rows = n->rows < 0 ? -n->rows : n->rows, f = rows * n->cols;
    bool batch = n->rows < 0;
    switch (n->op) {
    case OP_MATMUL:
        f *= 2.0 * (at[0] ? (a->rows < 0 ? -a->rows : a->rows) : a->cols);
        batch = batch || a->rows < 0;
        break;
    case OP_ROW_MATMUL:
        f *= 2.0 * at[1];
        break;
    case OP_SUM_ROWS:
    case OP_SUM_COLS:
        f = (double)(a->rows < 0 ? -a->rows : a->rows) * a->cols;
        batch = a->rows < 0;
        break;
    case OP_ROW_SOLVE:
    case OP_ROW_LOGDET:
        f = rows * 2.0 / 3 * at[0] * at[0] * at[0];
        break;
    case OP_ROW_CHOLESKY:
        f = rows / 3 * at[0] * at[0] * at[0];
        break;
    default:
        f *= ad_ops[n->op].kind == AD_ELEMENTWISE
                 ? ad_ops[n->op].cost * (n->op == OP_ADD_N ? ad_ir_nargs(ir, n) - 1 : 1)
                 : 0;
    }
    *(batch ? &r->flops_per_row : &r->flops) += f;
}

/* Views, last readers, and which values outlive their stage. */
static void lifetimes(planner *s)
{
    const ad_ir *ir = s->ir;
    for (int32_t i = 0; i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        const int32_t *a = ad_ir_args(ir, v);
        int64_t offset;
        bool view = s->reuse && v->op != OP_CONST && v->op != OP_INPUT && is_view(ir, v, &offset);
        s->last[i] = i;
        s->wide[i] = 0;
        s->root[i] = view ? s->root[a[0]] : i;
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++) {
            int32_t r = s->root[a[k]];
            s->last[r] = i;
            s->wide[r] |= ir->stage[i] != ir->stage[r];
        }
    }
    for (int j = 0; j < ir->nout; j++) {
        s->last[s->root[ir->out[j]]] = ir->n;
        s->wide[s->root[ir->out[j]]] = 1;
    }
}

/* Which nodes are outputs as they are; the others get a copy at the end. */
static int32_t place_outputs(planner *s)
{
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    int32_t extra = 0;
    for (int j = 0; j < ir->nout; j++) {
        int32_t i = ir->out[j];
        const ad_node *v = &ir->node[i];
        if (v->op != OP_INPUT && v->op != OP_CONST && s->root[i] == i && p->place[i].where < 0) {
            p->place[i].where = AD_AT_OUTPUT;
            p->place[i].index = j;
            p->out[j] = i;
        } else {
            int32_t c = ir->n + extra++;
            p->place[c] = (ad_place){v->rows, v->cols, AD_AT_OUTPUT, j, 0};
            p->out[j] = c;
        }
    }
    return extra;
}

static void end_stage(planner *s, int32_t stage, bool *ok)
{
    ad_program *p = s->p;
    int32_t begun = p->nstages ? p->stage[p->nstages - 1].end : 0;
    if (p->nins > begun)
        p->stage[p->nstages++] = (ad_stage){begun, p->nins, stage & 1};
    while (*ok && s->npending)
        *ok = put(&s->h, p, s->pending[--s->npending]);
}

bool ad_pass_plan(const ad_ir *ir, ad_program *p, bool reuse)
{
    int64_t pool = 3 * (int64_t)ir->nout, args = 0;
    for (int32_t i = 0; i < ir->n; i++) {
        args += ad_ir_nargs(ir, &ir->node[i]);
        pool += 2 + ir->node[i].nattr;
    }
    pool += args;
    planner s = {.ir = ir, .p = p, .reuse = reuse};
    size_t n = (size_t)ir->n + (size_t)ir->nout + 1, stages = ir->n ? (size_t)ir->stage[ir->n - 1] + 3 : 3;
    s.last = malloc(n * sizeof *s.last);
    s.root = malloc(n * sizeof *s.root);
    s.wide = malloc(n * sizeof *s.wide);
    s.pending = malloc(n * sizeof *s.pending);
    s.h.next = malloc(n * sizeof *s.h.next);
    p->place = calloc(n, sizeof *p->place);
    p->buffer = malloc(n * sizeof *p->buffer);
    p->ins = malloc(n * sizeof *p->ins);
    p->stage = malloc(stages * sizeof *p->stage);
    p->pool = malloc(((size_t)pool + 1) * sizeof *p->pool);
    p->out = malloc(((size_t)ir->nout + 1) * sizeof *p->out);
    bool ok = s.last && s.root && s.wide && s.pending && s.h.next && p->place && p->buffer && p->ins &&
              p->stage && p->pool && p->out && pool < INT32_MAX;
    if (ok) {
        for (int32_t i = 0; i < ir->n; i++)
            p->place[i] = (ad_place){ir->node[i].rows, ir->node[i].cols, -1, 0, 0};
        lifetimes(&s);
        p->nplaces = ir->n + place_outputs(&s);
    }
    for (int32_t i = 0; ok && i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        if (v->op == OP_INPUT || v->op == OP_CONST) {
            place_leaf(&p->place[i], v);
            continue;
        }
        if (i && ir->stage[i] != ir->stage[i - 1])
            end_stage(&s, ir->stage[i - 1], &ok);
        if (s.root[i] != i) {
            const ad_place *of = &p->place[ad_ir_args(ir, v)[0]];
            int64_t offset;
            is_view(ir, v, &offset);
            p->place[i] = (ad_place){v->rows, v->cols, of->where, of->index, of->offset + offset};
            continue;
        }
        ok = ok && place_result(&s, i);
        count_flops(&p->report, ir, v);
        emit(p, ir, v->op, i, ad_ir_nargs(ir, v), ad_ir_args(ir, v), v->nattr, ad_ir_attrs(ir, v),
             ir->origin[i]);
    }
    if (ok && ir->n)
        end_stage(&s, ir->stage[ir->n - 1], &ok);
    for (int j = 0; ok && j < ir->nout; j++)
        if (p->out[j] >= ir->n)
            emit(p, ir, OP_RESHAPE, p->out[j], 1, &ir->out[j], 0, NULL, ir->origin[ir->out[j]]);
    end_stage(&s, 0, &ok);
    p->outside = malloc(n * sizeof *p->outside);
    ok = ok && p->outside;
    for (int32_t i = 0; ok && i < p->nplaces; i++)
        if (p->place[i].where == AD_AT_INPUT || p->place[i].where == AD_AT_OUTPUT)
            p->outside[p->noutside++] = i;
    for (int k = 0; k < KINDS; k++)
        free(s.h.large[k]);
    free(s.h.next);
    free(s.pending);
    free(s.wide);
    free(s.root);
    free(s.last);
    return ok;
}
