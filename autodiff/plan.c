/* plan.c - pass: instructions in the order of the nodes, and where every value lives.
 * Contract: a value's memory is given to another only after its last user; inputs and constants are bound before the
 * first instruction and never written; an output is written by one instruction and read by any. An output that is
 * an input, a constant, a view or listed twice is a copy at the end. A value that only its own row-by-row stage needs
 * has room for one block of rows, once for each thread; memory that lives longer is not given back inside such a
 * stage, whose blocks run in any order.
 *
 * SPDX-License-Identifier: MIT */
#include "plan.h"

/* Marks: a stage other than its own reads it; it is an output as it stands; it is a part of its operand's memory. */
enum { WIDE = 1, OUTPUT = 2, VIEW = 4 };

static uint32_t held(const ad_planner *s, int32_t node) { return (uint32_t)ad_hold(s->spot[node]) >> 1; }

/* May the result overwrite operand k, which dies here? Only where every element is read before it is written. */
static bool in_place(const ad_planner *s, const ad_node *n, const int32_t *a, int m, int k)
{
    const ad_place *o = &s->p->place[a[k]];
    if (o->rows != n->rows || o->cols != n->cols || (s->mark[a[k]] & VIEW))
        return false;
    for (int i = 0; i < m; i++) /* another part of the same memory is read later */
        if (i != k && held(s, a[i]) == held(s, a[k]) && (a[i] != a[k] || n->op == OP_ADD_N))
            return false;
    return true;
}

static void place_leaf(ad_place *at, const ad_node *n)
{
    at->where = n->op == OP_INPUT ? AD_AT_INPUT : AD_AT_CONST;
    at->index = n->op == OP_INPUT ? n->arg[0] : 0;
    at->offset = n->op == OP_INPUT ? 0 : (uint32_t)ad_const_at(n->arg);
}

/* Whether a node is a part of its operand's memory as it stands, and where in it; the operand is [rows,cols]. */
static bool is_view(const ad_ir *ir, const ad_node *n, int32_t rows, int32_t cols, int64_t *offset)
{
    *offset = 0;
    if (n->op == OP_RESHAPE)
        return true;
    if (n->op == OP_RESULT) { /* where it begins may depend on the batch */
        const ad_object *o = ir->object[n->arg[2]];
        *offset = ad_result_at(o, n->arg[1], rows > 0 ? rows : 0);
        return (rows > 0 || o->at_row[n->arg[1]] == 0) && *offset <= UINT32_MAX;
    }
    if (n->op != OP_SLICE || n->rows < 0)
        return false;
    const int32_t *a = ad_ir_args(ir, n);
    *offset = (int64_t)a[1] * cols + a[2];
    return rows > 0 && (n->rows == 1 || n->cols == cols) && *offset <= UINT32_MAX;
}

/* The same before anything is planned. */
static bool will_be_view(const ad_ir *ir, const ad_node *n)
{
    if (n->op != OP_RESHAPE && n->op != OP_RESULT && n->op != OP_SLICE)
        return false;
    const ad_node *o = &ir->node[ad_ir_args(ir, n)[0]];
    int64_t offset;
    return is_view(ir, n, o->rows, o->cols, &offset);
}

/* A buffer for all results of a node, one after another: fixed numbers and so many a row. */
static int32_t take_results(ad_planner *s, const ad_node *n)
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
        return ad_heap_take(s, fixed ? AD_FIXED : AD_BATCHED, fixed + row);
    return ad_new_buffer(s, fixed, row, false);
}

/* Memory of operands that died at this node goes back. */
static bool release(ad_planner *s, const int32_t *a, int m, bool rows)
{
    ad_program *p = s->p;
    for (int k = 0; k < m; k++) {
        uint32_t of = held(s, a[k]);
        if (s->left[of])
            continue;
        int32_t b = (int32_t)of - 1;
        s->left[of] = UINT32_MAX;
        if (!rows && ad_is_one(s->spot[a[k]])) { /* as ad_heap_put has it, without a look at the buffer */
            s->h.one[++s->h.none] = s->spot[a[k]];
            continue;
        }
        if (p->buffer[b].fixed && p->buffer[b].per_row)
            continue; /* of both kinds: not given to another */
        if (!rows || ad_kind_of_buffer(&p->buffer[b]) == AD_BLOCK) {
            if (!ad_heap_put(&s->h, p, b))
                return false;
        } else { /* until the stage ends */
            if (s->npending == s->pending_cap) {
                int32_t cap = 2 * s->pending_cap + 64,
                        *more = realloc(s->pending, (size_t)cap * sizeof *more);
                if (!more)
                    return false;
                s->pending = more;
                s->pending_cap = cap;
            }
            s->pending[s->npending++] = b;
        }
    }
    return true;
}

/* Operands of a long sum are anywhere: what is asked about them is fetched before it is. */
static void fetch_many(const ad_planner *s, const int32_t *a, int m)
{
    for (int k = 0; k < m; k++)
        __builtin_prefetch(&s->spot[a[k]]);
    for (int k = 0; k < m; k++)
        __builtin_prefetch(&s->left[held(s, a[k])], 1);
}

static bool place_result(ad_planner *s, int32_t i, const ad_node *n, const int32_t *a, int m)
{
    enum { MANY = 8 };
    ad_program *p = s->p;
    bool rows = s->ir->stage && (s->ir->stage[i] & 1);
    if (m > MANY && s->reuse)
        fetch_many(s, a, m);
    for (int k = 0; s->reuse && k < m; k++)
        s->left[held(s, a[k])]--; /* those elsewhere live on */
    if (!(s->mark[i] & OUTPUT)) {
        int kind = n->rows >= 0 ? AD_FIXED : rows && !(s->mark[i] & WIDE) ? AD_BLOCK : AD_BATCHED;
        int32_t b = -1;
        int most = s->reuse && ad_is_elementwise(n->op) && (kind == AD_BLOCK || !rows) ? m < 2 ? m : 2 : 0;
        for (int k = 0; k < most && b < 0; k++) {
            uint32_t of = held(s, a[k]);
            if (!s->left[of] && ad_kind_of_buffer(&p->buffer[of - 1]) == kind && in_place(s, n, a, m, k))
                b = (int32_t)of - 1;
        }
        if (ad_is_object(n->op))
            b = take_results(s, n);
        if (b < 0)
            b = ad_heap_take(s, kind, (int64_t)(n->rows < 0 ? -n->rows : n->rows) * n->cols);
        p->place[i] =
            (ad_place){.rows = n->rows, .cols = n->cols, .where = AD_AT_BUFFER, .index = b, .offset = 0};
        bool single = p->buffer[b].fixed == 1 && !p->buffer[b].per_row;
        s->spot[i] = ad_spot_of(2 * (b + 1) + single, p->slot[b] < 0 ? -2 : 2 * p->slot[b] + (n->rows < 0));
        if (s->reuse)
            s->left[b + 1] = (uint32_t)s->ir->uses[i];
    }
    return !s->reuse || release(s, a, m, rows);
}

static void emit(ad_planner *s, int op, int32_t dst, int nargs, const int32_t args[], int nattr,
                 const int32_t attr[], int32_t origin)
{
    ad_program *p = s->p;
    ad_ins *ins = &p->ins[p->nins++];
    if (nargs >= UINT16_MAX)
        p->pool[p->npool++] = nargs;
    bool few = 1 + nargs + nattr <= (int)(sizeof ins->few / sizeof *ins->few);
    int32_t *to = few ? ins->few : p->pool + p->npool;
    p->npool += few ? 0 : 1 + nargs + nattr;
    ins->op = (uint16_t)op;
    ins->nargs = nargs >= UINT16_MAX ? UINT16_MAX : (uint16_t)nargs;
    ins->nattr = nattr;
    ins->at = (int32_t)(to - p->pool);
    ins->origin = origin;
    *to++ = dst;
    for (int k = 0; k < nargs; k++)
        *to++ = args[k];
    for (int k = 0; k < nattr; k++)
        *to++ = attr[k];
    if (s->reuse)
        ad_code_add(&s->code);
    if (ad_ops[op].kind == AD_ELEMENTWISE)
        return;
    p->products |= op == OP_MATMUL;
    int64_t need = ad_scratch_of(op, attr, nargs ? p->place[args[0]].cols : 0);
    p->scratch = need > p->scratch ? need : p->scratch;
}

static void count_flops(ad_program *p, const ad_ir *ir, const ad_node *n)
{
    ad_report *r = &p->report;
    if (ad_ops[n->op].kind == AD_ELEMENTWISE) {
        double f = (n->rows < 0 ? -n->rows : n->rows) * (double)n->cols * ad_ops[n->op].cost *
                   (n->op == OP_ADD_N ? ad_ir_nargs(ir, n) - 1 : 1);
        *(n->rows < 0 ? &r->flops_per_row : &r->flops) += f;
        return;
    }
    const ad_place *a = ad_ir_nargs(ir, n) ? &p->place[ad_ir_args(ir, n)[0]] : NULL;
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
        f = 0;
    }
    *(batch ? &r->flops_per_row : &r->flops) += f;
}

/* Marks values that outlive their stage. */
static void find_wide(ad_planner *s)
{
    const ad_ir *ir = s->ir;
    int32_t *root = s->root;
    for (int32_t i = 0; i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        const int32_t *a = ad_ir_args(ir, v);
        root[i] = will_be_view(ir, v) ? root[a[0]] : i;
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++)
            if (ir->stage[i] != ir->stage[root[a[k]]])
                s->mark[root[a[k]]] |= WIDE;
    }
    for (int j = 0; j < ir->nout; j++)
        s->mark[root[ir->out[j]]] |= WIDE;
}

/* Which nodes are outputs as they are; the others get a copy at the end. */
static int32_t place_outputs(ad_planner *s)
{
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    int32_t extra = 0;
    for (int j = 0; j < ir->nout; j++) {
        int32_t i = ir->out[j];
        const ad_node *v = &ir->node[i];
        bool own = v->op != OP_INPUT && v->op != OP_CONST && !(s->reuse && will_be_view(ir, v)) &&
                   !(s->mark[i] & OUTPUT);
        int32_t at = own ? i : ir->n + extra++;
        if (own)
            s->mark[i] |= OUTPUT;
        p->place[at] = (ad_place){.rows = v->rows, .cols = v->cols, .where = AD_AT_OUTPUT, .index = j};
        p->out[j] = at;
    }
    return extra;
}

static bool end_stage(ad_planner *s, int32_t stage)
{
    ad_program *p = s->p;
    if (s->reuse)
        ad_code_close(&s->code);
    int32_t begun = p->nstages ? p->stage[p->nstages - 1].end : 0;
    if (p->nins > begun)
        p->stage[p->nstages++] = (ad_stage){begun, p->nins, stage & 1};
    while (s->npending)
        if (!ad_heap_put(&s->h, p, s->pending[--s->npending]))
            return false;
    return true;
}

static int32_t stage_of(const ad_ir *ir, int32_t i) { return ir->stage ? ir->stage[i] : 0; }

/* Notes a place in the memory of inputs or outputs. */
static bool note_outside(ad_planner *s, int32_t place)
{
    ad_program *p = s->p;
    if (p->noutside == s->outside_cap) {
        int32_t cap = 2 * s->outside_cap + 16, *more = realloc(p->outside, (size_t)cap * sizeof *more);
        if (!more)
            return false;
        p->outside = more;
        s->outside_cap = cap;
    }
    p->outside[p->noutside++] = place;
    return true;
}

/* A node that is no instruction: where its value is. 1: it is one; -1: out of memory. */
static inline int place_alone(ad_planner *s, int32_t i, const ad_node *v)
{
    ad_place *at = &s->p->place[i];
    int64_t offset;
    s->spot[i] = ad_spot_of(0, -2);
    if (v->op == OP_INPUT || v->op == OP_CONST) {
        *at = (ad_place){.rows = v->rows, .cols = v->cols};
        place_leaf(at, v);
    } else {
        int32_t a = ad_ir_nargs(s->ir, v) ? ad_ir_args(s->ir, v)[0] : i;
        const ad_place *of = &s->p->place[a];
        if (!s->reuse || !is_view(s->ir, v, of->rows, of->cols, &offset))
            return 1;
        s->mark[i] |= VIEW;
        if (of->offset + offset > UINT32_MAX)
            return -1;
        *at = (ad_place){v->rows, v->cols, of->where, of->index, of->offset + (uint32_t)offset};
        if (of->where == AD_AT_BUFFER) { /* its users are users of the whole */
            s->left[of->index + 1] += (uint32_t)s->ir->uses[i] - 1;
            s->spot[i] = ad_spot_of(2 * (of->index + 1), ad_own_slot(s->p, i));
        }
    }
    if (at->where == AD_AT_INPUT || at->where == AD_AT_OUTPUT)
        return note_outside(s, i) ? 0 : -1;
    return 0;
}

static bool plan_node(ad_planner *s, int32_t i)
{
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    const ad_node *v = &ir->node[i];
    bool output = s->mark[i] & OUTPUT;
    if (!output && !ad_is_elementwise(v->op)) {
        int more = place_alone(s, i, v);
        if (more <= 0)
            return !more;
    }
    const int32_t *a = ad_ir_args(ir, v);
    int m = ad_ir_nargs(ir, v);
    s->spot[i] = ad_spot_of(0, -2);
    if (!place_result(s, i, v, a, m) || (output && !note_outside(s, i)))
        return false;
    count_flops(p, ir, v);
    emit(s, v->op, i, m, a, v->nattr, a + m, ir->origin[i]);
    return s->code.ok;
}

/* The instructions of all nodes, stage after stage. */
static bool plan_nodes(ad_planner *s)
{
    const ad_ir *ir = s->ir;
    int32_t now = 0;
    for (int32_t k = 0; k < ir->n; k++) {
        if (s->order)
            ad_order_ahead(s, k);
        while (s->code.open && !ir->stage && *ad_order_at(s, k) >= 0) {
            int32_t begun = k;
            k = ad_plan_singles(s, k);
            if (k == begun || k == ir->n)
                break;
            ad_order_ahead(s, k);
        }
        if (k == ir->n)
            break;
        int32_t i = s->order ? *ad_order_at(s, k) : k;
        i = i < 0 ? ~i : i;
        int32_t stage = stage_of(ir, i);
        if (stage != now && !end_stage(s, now))
            return false;
        now = stage;
        s->code.odd = stage & 1;
        if (!plan_node(s, i))
            return false;
    }
    return end_stage(s, now);
}

/* Outputs that are no instruction's result. */
static bool copy_outputs(ad_planner *s)
{
    const ad_ir *ir = s->ir;
    ad_program *p = s->p;
    s->code.odd = 0;
    for (int j = 0; j < ir->nout; j++)
        if (p->out[j] >= ir->n) {
            s->spot[p->out[j]] = ad_spot_of(0, -2);
            emit(s, OP_RESHAPE, p->out[j], 1, &ir->out[j], 0, NULL, ir->origin[ir->out[j]]);
            if (!note_outside(s, p->out[j]))
                return false;
        }
    return end_stage(s, 0);
}

size_t ad_plan_scratch(int64_t nodes, int nout)
{
    const ad_planner *s = NULL;
    size_t n = (size_t)nodes + (size_t)nout + 1;
    return n * (sizeof *s->spot + sizeof *s->mark + sizeof *s->root + sizeof *s->h.one + sizeof *s->left +
                sizeof *s->h.next) +
           (size_t)nout * sizeof *s->code.written + 8 * 64;
}

/* The memory of the planner: what is known of buffers is as long as if each node had one, for most of it remains
 * untouched. */
static bool take_scratch(ad_planner *s)
{
    size_t n = (size_t)s->ir->n + (size_t)s->ir->nout + 1;
    char *at = ad_ir_scratch(s->ir, ad_plan_scratch(s->ir->n, s->ir->nout));
    if (!at)
        return false;
    s->spot = ad_carve(&at, n * sizeof *s->spot);
    s->mark = ad_carve(&at, n * sizeof *s->mark);
    s->code.written = ad_carve(&at, (size_t)s->ir->nout * sizeof *s->code.written);
    s->h.one = ad_carve(&at, (n + 1) * sizeof *s->h.one);
    s->left = ad_carve(&at, (n + 1) * sizeof *s->left);
    s->h.next = ad_carve(&at, n * sizeof *s->h.next);
    s->root = (int32_t *)(void *)at;
    s->h.one[0] = 0;
    s->left[0] = INT32_MAX;
    memset(s->mark, 0, n);
    memset(s->code.written, 0, (size_t)s->ir->nout * sizeof *s->code.written);
    return true;
}

/* The memory of the program but for its code: the block of the nodes. */
static bool take_block(ad_ir *ir, ad_program *p)
{
    size_t stages = ir->n ? (size_t)stage_of(ir, ir->n - 1) + 3 : 3;
    p->stage = malloc(stages * sizeof *p->stage);
    if (!p->stage)
        return false;
    p->pool = ir->block;
    p->ins = (ad_ins *)(void *)(ir->block + ir->pool);
    char *at = ir->rest;
    size_t n = (size_t)ir->n + (size_t)ir->nout + 1;
    p->place = ad_carve(&at, n * sizeof *p->place);
    p->out = ad_carve(&at, (size_t)ir->nout * sizeof *p->out);
    p->slot = ad_carve(&at, n * sizeof *p->slot);
    p->buffer = ad_carve(&at, n * sizeof *p->buffer);
    ir->block = NULL;
    return true;
}

bool ad_pass_plan(ad_ir *ir, ad_program *p, bool reuse)
{
    int64_t pool = 3 * (int64_t)ir->nout + ir->words;
    int32_t order[AD_ORDER];
    ad_planner s = {.ir = ir, .p = p, .reuse = reuse, .order = reuse ? order : NULL, .code.ok = true};
    bool ok = pool < INT32_MAX - 64 && take_scratch(&s) && take_block(ir, p);
    if (ok) {
        if (reuse)
            ad_order_begin(&s);
        if (ir->stage)
            find_wide(&s);
        p->nplaces = ir->n + place_outputs(&s);
        if (reuse)
            ad_code_begin(&s.code, p, s.spot, pool);
        ok = plan_nodes(&s) && copy_outputs(&s) && s.code.ok;
        ad_code_end(&s.code);
    }
    for (int k = 0; k < AD_KINDS; k++)
        free(s.h.large[k]);
    free(s.pending);
    return ok;
}
