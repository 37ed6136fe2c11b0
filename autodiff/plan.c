/* plan.c - pass: instructions in the order of the nodes, and where every value lives.
 * Contract: a value's memory is given to another only after its last user; inputs and constants are bound before the
 * first instruction and never written; an output is written by one instruction and read by any. An output that is
 * an input, a constant or listed twice is a copy at the end.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { SMALL = 64, SCAN = 64 };

/* Free buffers: those of at most SMALL numbers by exact size, larger ones in a list searched for the best fit. */
typedef struct heap {
    int32_t small[2][SMALL + 1]; /* by kind (fixed, per row) and size: first free buffer + 1 */
    int32_t *next;               /* by buffer: the next free one + 1 */
    int32_t *large[2], nlarge[2], cap[2];
} heap;

static bool put(heap *h, const ad_program *p, int32_t b)
{
    int kind = p->buffer[b].per_row > 0;
    int64_t size = kind ? p->buffer[b].per_row : p->buffer[b].fixed;
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
            int64_t has = kind ? b->per_row : b->fixed;
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
    p->buffer[p->nbuffers] = (ad_buffer){kind ? 0 : size, kind ? size : 0};
    return p->nbuffers++;
}

/* May the result overwrite operand k, which dies here? Only where every element is read before it is written. */
static bool in_place(const ad_ir *ir, const ad_node *n, int k)
{
    const int32_t *a = ad_ir_args(ir, n);
    const ad_node *o = &ir->node[a[k]];
    if (ad_ops[n->op].kind != AD_ELEMENTWISE || o->rows != n->rows || o->cols != n->cols || k > 2)
        return false;
    if (n->op == OP_ADD_N) { /* the first two are added first; later ones are read again */
        for (int i = 0, m = ad_ir_nargs(ir, n); i < m; i++)
            if (i != k && (a[i] == a[k] || k > 1))
                return false;
    }
    return true;
}

typedef struct planner {
    const ad_ir *ir;
    ad_program *p;
    heap h;
    int32_t *last; /* by node: the last node that reads it; n when an output */
    bool reuse;
} planner;

static void place_leaf(ad_place *at, const ad_ir *ir, const ad_node *n)
{
    (void)ir;
    at->where = n->op == OP_INPUT ? AD_AT_INPUT : AD_AT_CONST;
    at->index = n->op == OP_INPUT ? n->arg[0] : 0;
    at->offset = n->op == OP_INPUT ? 0 : ad_const_at(n->arg);
}

static bool place_result(planner *s, int32_t i)
{
    const ad_node *n = &s->ir->node[i];
    ad_place *at = &s->p->place[i];
    const int32_t *a = ad_ir_args(s->ir, n);
    int m = ad_ir_nargs(s->ir, n);
    if (at->where == AD_AT_OUTPUT)
        return true;
    at->where = AD_AT_BUFFER;
    at->offset = 0;
    at->index = -1;
    for (int k = 0; s->reuse && k < m && k < 3 && at->index < 0; k++)
        if (s->last[a[k]] == i && s->p->place[a[k]].where == AD_AT_BUFFER && in_place(s->ir, n, k)) {
            at->index = s->p->place[a[k]].index;
            s->last[a[k]] = -1; /* its memory lives on */
        }
    int kind = n->rows < 0;
    if (at->index < 0)
        at->index = take(&s->h, s->p, kind, (int64_t)(kind ? -n->rows : n->rows) * n->cols);
    for (int k = 0; s->reuse && k < m; k++)
        if (s->last[a[k]] == i && s->p->place[a[k]].where == AD_AT_BUFFER) {
            s->last[a[k]] = -1;
            if (!put(&s->h, s->p, s->p->place[a[k]].index))
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

bool ad_pass_plan(const ad_ir *ir, ad_program *p, bool reuse)
{
    int64_t pool = 0, extra = 0;
    for (int32_t i = 0; i < ir->n; i++)
        pool += 2 + ad_ir_nargs(ir, &ir->node[i]) + ir->node[i].nattr;
    pool += 3 * (int64_t)ir->nout;
    planner s = {.ir = ir, .p = p, .reuse = reuse};
    size_t n = (size_t)ir->n + (size_t)ir->nout + 1;
    s.last = malloc(n * sizeof *s.last);
    s.h.next = malloc(n * sizeof *s.h.next);
    p->place = calloc(n, sizeof *p->place);
    p->buffer = malloc(n * sizeof *p->buffer);
    p->ins = malloc(n * sizeof *p->ins);
    p->pool = malloc(((size_t)pool + 1) * sizeof *p->pool);
    p->out = malloc(((size_t)ir->nout + 1) * sizeof *p->out);
    bool ok = s.last && s.h.next && p->place && p->buffer && p->ins && p->pool && p->out && pool < INT32_MAX;
    for (int32_t i = 0; ok && i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        const int32_t *a = ad_ir_args(ir, v);
        s.last[i] = i;
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++)
            s.last[a[k]] = i;
        p->place[i].rows = v->rows;
        p->place[i].cols = v->cols;
        p->place[i].where = -1;
    }
    for (int j = 0; ok && j < ir->nout; j++) {
        int32_t i = ir->out[j];
        const ad_node *v = &ir->node[i];
        s.last[i] = ir->n;
        if (v->op != OP_INPUT && v->op != OP_CONST && p->place[i].where < 0) {
            p->place[i].where = AD_AT_OUTPUT;
            p->place[i].index = j;
            p->out[j] = i;
        } else { /* a copy, into a place of its own */
            int32_t c = ir->n + (int32_t)extra++;
            p->place[c] = (ad_place){v->rows, v->cols, AD_AT_OUTPUT, j, 0};
            p->out[j] = c;
        }
    }
    for (int32_t i = 0; ok && i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        if (v->op == OP_INPUT || v->op == OP_CONST) {
            place_leaf(&p->place[i], ir, v);
            continue;
        }
        ok = place_result(&s, i);
        count_flops(&p->report, ir, v);
        emit(p, ir, v->op, i, ad_ir_nargs(ir, v), ad_ir_args(ir, v), v->nattr, ad_ir_attrs(ir, v),
             ir->origin[i]);
    }
    for (int j = 0; ok && j < ir->nout; j++)
        if (p->out[j] >= ir->n)
            emit(p, ir, OP_RESHAPE, p->out[j], 1, &ir->out[j], 0, NULL, ir->origin[ir->out[j]]);
    p->nplaces = ir->n + (int32_t)extra;
    for (int k = 0; k < 2; k++)
        free(s.h.large[k]);
    free(s.h.next);
    free(s.last);
    return ok;
}
