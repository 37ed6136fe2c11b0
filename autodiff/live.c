/* live.c - pass: the nodes that the outputs need, in recorded order, renumbered without gaps, and folded as they come.
 * Contract: operands come before their users; each listed input is one node or -1; every constant with a fixed
 * number of rows has become numbers of the program's type, every constant with a batch of rows an expansion of one
 * number. A call of a small function has become the function's nodes.
 *
 * SPDX-License-Identifier: MIT */
#include "fold.h"
#include "func.h"

enum {
    LARGE = 4096, /* a constant of equal elements beyond this is expanded when it runs, not stored */
    MANY = 8,     /* operands that are fetched ahead */
    FEW = 4096    /* nodes whose stages get memory from the beginning, may be for nothing */
};

static void store(ad_ir *ir, int64_t at, int64_t count, const double v[], int64_t step)
{
    for (int64_t i = 0; i < count; i++, v += step) {
        if (ir->k->real == AD_F32)
            ((float *)(void *)ir->consts)[at + i] = (float)*v;
        else if (ir->k->real == AD_F80)
            ((long double *)(void *)ir->consts)[at + i] = *v;
        else
            ((double *)(void *)ir->consts)[at + i] = *v;
    }
}

static bool constant(ad_ir *ir, ad_node *m, int64_t count, const double v[], int64_t step)
{
    int64_t at = ad_ir_const(ir, count);
    if (at < 0)
        return false;
    store(ir, at, count, v, step);
    m->op = OP_CONST;
    m->nargs = m->flags = 0;
    m->nattr = 2;
    m->arg[0] = (int32_t)(at & 0x3fffffff);
    m->arg[1] = (int32_t)(at >> 30);
    m->arg[2] = 0;
    return true;
}

/* The listed position of each needed input; -1 when one is not listed. */
static bool name_inputs(ad_ir *ir, ad_tape *t, const uint8_t *need, int32_t top, int nin, const ad_var in[],
                        int32_t *slot)
{
    for (int32_t i = 0; i < t->ninputs; i++)
        slot[i] = -1;
    for (int i = 0; i < nin; i++) {
        const ad_node *n = ad_node_of(in[i]);
        if (!n || in[i].tape != t || n->op != OP_INPUT) {
            ad_fail(t, AD_EARG, "ad_compile: input %d is %s; needs an ad_input of this tape", i + 1,
                    ad_name(in[i]));
            return false;
        }
        if (slot[n->arg[0]] >= 0) {
            ad_fail(t, AD_EARG, "ad_compile: input \"%.60s\" is listed twice, at %d and %d", ad_name(in[i]),
                    slot[n->arg[0]] + 1, i + 1);
            return false;
        }
        slot[n->arg[0]] = i;
    }
    for (int32_t i = 0; i < t->ninputs; i++)
        if (slot[i] < 0 && t->input[i].id < top && need[t->input[i].id]) {
            ad_fail(t, AD_EUNBOUND, "ad_compile: the outputs need input \"%.60s\", which is not listed",
                    t->input[i].name);
            return false;
        }
    (void)ir;
    return true;
}

/* Marks what the outputs need; counts nodes, pool entries, and the words that instructions need beside their own. */
static void mark(const ad_tape *t, uint8_t *need, int32_t top, bool write_out, int64_t *nodes, int64_t *pool,
                 int64_t *words)
{
    int64_t count = 0, more = 0, longer = 0;
    *pool = 0;
    for (int32_t first = (top - 1) / CHUNK * CHUNK; first >= 0; first -= CHUNK) {
        const ad_node *chunk = t->chunk[first >> CHUNK_BITS];
        for (int32_t k = (top - first < CHUNK ? top - first : CHUNK) - 1; k >= 0; k--) {
            if (!need[first + k])
                continue;
            const ad_node *n = &chunk[k];
            count++;
            if (ad_short(n)) { /* one or two operands, without a branch on which */
                need[n->arg[0]] = need[n->arg[n->nargs > 1]] = 1;
                more += n->op == OP_div; /* a quotient may need its reciprocal */
                continue;
            }
            const int32_t *a = ad_args(t, n);
            int m = ad_nargs(t, n);
            for (int i = 0; i < m; i++)
                need[a[i]] = 1;
            longer++;
            more += (n->op == OP_FILL) + (n->op == OP_div); /* a filled batch needs its number */
            *pool += n->flags & NODE_EXT ? 1 + m + n->nattr : 0;
            const ad_func *f = write_out && n->op == OP_CALL ? ad_inlined(t, n) : NULL;
            more += f ? 2 * f->inline_nodes : 0; /* were all of them quotients */
            longer += f ? f->inline_nodes : 0;
            *pool += f ? f->inline_pool : 0;
        }
    }
    *nodes = count + more;
    *words = 4 * longer + *pool; /* at most: see ad_ir_words */
}

/* One tape being copied: that of the program, or that of a function where it is called. */
typedef struct copier {
    ad_ir *ir;
    ad_fold *fold; /* or NULL */
    const ad_tape *t;
    int32_t
        *map; /* by node of t: node of ir; a call that is written out: where its results begin in `result` */
    const int32_t *slot;
    int32_t bind, origin; /* rows of ir that t's batch is; for messages, -1: the node's own id */
    int32_t *result, nresults, results_cap;
} copier;

static int32_t bound(const copier *c, int32_t rows) { return rows < 0 ? -rows * c->bind : rows; }

static bool write_out(copier *c, int32_t id, const ad_func *f);

/* The number of the object in the program, -1 when out of memory. */
static int32_t add_object(ad_ir *ir, const ad_object *o)
{
    if (ir->nobjects == ir->objects_cap) {
        int32_t cap = 2 * ir->objects_cap + 8;
        const ad_object **more = realloc(ir->object, (size_t)cap * sizeof *more);
        if (!more)
            return -1;
        ir->object = more;
        ir->objects_cap = cap;
    }
    ir->object[ir->nobjects] = ad_object_keep(o);
    return ir->nobjects++;
}

/* The node's index in the program; -1 when out of memory. */
static int32_t place_node(copier *c, int32_t id, ad_node *m)
{
    ad_ir *ir = c->ir;
    int32_t origin = c->origin < 0 ? id : c->origin;
    if (c->fold)
        return ad_short(m) ? ad_fold_short(c->fold, m, origin) : ad_fold_node(c->fold, m, origin);
    ir->batch = ir->batch || m->rows < 0;
    ir->words += 2 + ad_ir_nargs(ir, m) + m->nattr;
    ir->origin[ir->n] = origin;
    ir->node[ir->n] = *m;
    return ir->n++;
}

/* A constant: numbers of the program; a batch of rows, or a large one, is expanded when it runs. */
static bool copy_constant(copier *c, int32_t id, const ad_node *n, ad_node *m)
{
    ad_ir *ir = c->ir;
    const ad_tape *t = c->t;
    if (n->op == OP_CONST)
        return constant(ir, m, (int64_t)n->rows * n->cols, t->values + ad_const_at(ad_attrs(t, n)), 1);
    const double *v = t->values + n->arg[0];
    if (m->rows > 0 && (int64_t)m->rows * m->cols <= LARGE)
        return constant(ir, m, (int64_t)m->rows * m->cols, v, 0);
    ad_node one = *m;
    one.rows = one.cols = 1;
    if (!constant(ir, &one, 1, v, 0))
        return false;
    int32_t at = place_node(c, id, &one);
    *m = (ad_node){.op = OP_EXPAND, .nargs = 1, .rows = m->rows, .cols = m->cols, .arg = {at}};
    return at >= 0;
}

static bool copy_node(copier *c, int32_t id)
{
    ad_ir *ir = c->ir;
    const ad_tape *t = c->t;
    const ad_node *n = ad_at_id(t, id);
    if (ad_short(n)) {
        int32_t x = c->map[n->arg[0]], y = c->map[n->arg[n->nargs > 1]];
        ad_node m = {.op = n->op, .nargs = n->nargs, .rows = bound(c, n->rows), .cols = n->cols};
        m.arg[0] = x;
        m.arg[1] = n->nargs > 1 ? y : 0;
        if (c->fold)
            c->map[id] = ad_fold_short(c->fold, &m, c->origin < 0 ? id : c->origin);
        else
            c->map[id] = place_node(c, id, &m);
        return c->map[id] >= 0;
    }
    const int32_t *a = ad_args(t, n);
    int nargs = ad_nargs(t, n);
    ad_node m = *n;
    const ad_func *f = ir->write_out && n->op == OP_CALL ? ad_inlined(t, n) : NULL;
    if (f)
        return write_out(c, id, f);
    if (n->op == OP_RESULT && ir->write_out && ad_inlined(t, ad_at_id(t, a[0]))) {
        c->map[id] = c->result[c->map[a[0]] + n->arg[1]];
        return true;
    }
    m.flags &= NODE_EXT;
    m.rows = bound(c, n->rows);
    if (n->op == OP_INPUT) {
        m.arg[0] = c->slot[n->arg[0]];
    } else if (n->op == OP_CONST || n->op == OP_FILL) {
        if (!copy_constant(c, id, n, &m))
            return false;
    } else {
        int32_t *to = m.arg;
        if (n->flags & NODE_EXT) {
            ir->ext[ir->next] = nargs;
            m.arg[0] = ir->next + 1;
            to = ir->ext + m.arg[0];
            ir->next += 1 + nargs + n->nattr;
            if (n->nattr)
                memcpy(to + nargs, a + nargs, (size_t)n->nattr * sizeof *a);
        }
        for (int i = 0; nargs > MANY && i < nargs; i++) /* they are anywhere */
            __builtin_prefetch(&c->map[a[i]]);
        for (int i = 0; i < nargs; i++)
            to[i] = c->map[a[i]];
        for (int i = 0; c->fold && nargs > MANY && i < nargs; i++)
            __builtin_prefetch(&ir->uses[to[i]], 1);
        if (n->op == OP_SLICE || n->op == OP_PAD)
            to[nargs] = bound(c, to[nargs]);
        if (n->op == OP_RESULT) /* the object of the node it is a part of */
            to[2] = ad_ir_attrs(ir, &ir->node[to[0]])[0];
        else if (ad_is_object(n->op) && (to[nargs] = add_object(ir, ad_object_of(t, n))) < 0)
            return false;
    }
    c->map[id] = place_node(c, id, &m);
    if (n->op == OP_INPUT)
        ir->in[m.arg[0]] = c->map[id];
    return c->map[id] >= 0;
}

/* The nodes of f in place of its call; its results are remembered for the OP_RESULT nodes that follow. */
static bool write_out(copier *c, int32_t id, const ad_func *f)
{
    const ad_node *n = ad_at_id(c->t, id);
    const int32_t *a = ad_args(c->t, n);
    copier s = {.ir = c->ir,
                .fold = c->fold,
                .t = f->tape,
                .map = malloc(((size_t)f->tape->n + 1) * sizeof *s.map),
                .bind = bound(c, n->rows),
                .origin = c->origin < 0 ? id : c->origin};
    bool ok = s.map;
    if (ok && c->nresults + f->o.nout > c->results_cap) {
        int32_t cap = 2 * (c->nresults + f->o.nout);
        int32_t *more = realloc(c->result, (size_t)cap * sizeof *more);
        ok = more;
        if (more) {
            c->result = more;
            c->results_cap = cap;
        }
    }
    for (int i = 0; ok && i < f->o.nin; i++)
        s.map[f->in[i].id] = c->map[a[i]];
    for (int32_t k = 0; ok && k < f->tape->n; k++)
        if (f->need[k] && ad_at_id(f->tape, k)->op != OP_INPUT)
            ok = copy_node(&s, k);
    for (int i = 0; ok && i < f->o.nout; i++)
        c->result[c->nresults + i] = s.map[f->out[i].id];
    c->map[id] = c->nresults;
    c->nresults += f->o.nout;
    free(s.map);
    free(s.result);
    return ok;
}

/* The needed nodes among first ... first+count-1, which are in one chunk; -1 when out of memory, or how many came without
 * being looked at closer. Where operands are anywhere on a long tape, what will be asked about them is fetched ahead. */
static inline int64_t copy_chunk(copier *c, const ad_fold *g, const uint8_t *need, int32_t first,
                                 int32_t count, const bool far)
{
    enum { LATER = 24, SOON = 12 };
    ad_fold *f = c->fold;
    int32_t *const map = c->map;
    const ad_node *n = ad_at_id(c->t, first);
    int64_t plain = 0;
    for (int32_t id = first, end = first + count; id < end; id++, n++) {
        if (far && id + LATER < end) {
            __builtin_prefetch(map + n[LATER].arg[0]);
            __builtin_prefetch(map + n[LATER].arg[1]);
            int32_t later[2] = {n[SOON].arg[0], n[SOON].arg[n[SOON].nargs > 1]};
            for (int i = 0; i < 2; i++)
                if ((uint32_t)later[i] < (uint32_t)id) { /* else it has no number yet, and is near */
                    int32_t x = map[later[i]];
                    __builtin_prefetch(g->trait + x);
                    __builtin_prefetch(g->uses + x, 1);
                    __builtin_prefetch(g->line + x / AD_LINE_OF, 1);
                }
        }
        if (!need[id])
            continue;
        if (f && ad_short(n)) {
            int two = n->nargs > 1;
            int32_t x = map[n->arg[0]], y = map[n->arg[two]];
            if (!((g->trait[x] | g->trait[y]) & (AD_IS_CONST | AD_IS_EXPAND | AD_IS_NEG))) {
                plain++;
                g->ir->batch |= n->rows < 0;
                if ((map[id] = ad_fold_plain(f, g, ad_kind_of(n), n->op, two, x, y, id)) < 0)
                    return -1;
                continue;
            }
        }
        if (!copy_node(c, id))
            return -1;
    }
    return plain;
}

/* Do most of some nodes of a chunk have an operand at a distance? */
static bool is_far(const ad_tape *t, int32_t first, int32_t count)
{
    enum { EVERY = 64, NEAR = 1 << 14 };
    int32_t far = 0;
    for (int32_t id = first; id < first + count; id += EVERY) {
        const ad_node *n = ad_at_id(t, id);
        far += ad_short(n) && (id - n->arg[0] > NEAR || id - n->arg[n->nargs > 1] > NEAR);
    }
    return far > count / EVERY / 4;
}

/* All needed nodes of the program's own tape. */
static bool copy_nodes(copier *c, const uint8_t *need, int32_t top)
{
    const ad_fold g = c->fold ? *c->fold : (ad_fold){0};
    for (int32_t first = 0; first < top; first += CHUNK) {
        int32_t count = top - first < CHUNK ? top - first : CHUNK;
        bool far = c->fold && is_far(c->t, first, count);
        int64_t plain =
            far ? copy_chunk(c, &g, need, first, count, true) : copy_chunk(c, &g, need, first, count, false);
        if (plain < 0)
            return false;
        c->ir->report.live += plain;
        c->ir->report.after_cse += plain;
        c->ir->far |= far;
    }
    return true;
}

bool ad_pass_live(ad_ir *ir, ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[], bool fold)
{
    int32_t top = 0;
    int64_t nodes, pool, words;
    for (int i = 0; i < nout; i++)
        top = out[i].id >= top ? out[i].id + 1 : top;
    int32_t *slot = ad_ir_take(ir, (size_t)t->ninputs * sizeof *slot + (size_t)top + 1);
    uint8_t *need = slot ? (uint8_t *)(slot + t->ninputs) : NULL;
    size_t map_bytes = ((size_t)top + 16) / 16 * 64, scratch = map_bytes;
    int32_t *map = NULL;
    ir->tape = t;
    ir->nin = nin;
    ir->nout = nout;
    ir->in = malloc(((size_t)nin + (size_t)nout + 1) * sizeof *ir->in);
    ir->out = ir->in ? ir->in + nin : NULL;
    bool ok = slot && ir->in;
    if (ok) {
        memset(need, 0, (size_t)top + 1);
        for (int i = 0; i < nout; i++)
            need[out[i].id] = 1;
        mark(t, need, top, ir->write_out, &nodes, &pool, &words);
        if (!name_inputs(ir, t, need, top, nin, in, slot)) {
            ad_ir_give(ir, slot);
            return false;
        }
        if (fold && ad_fold_scratch(nodes) + map_bytes > scratch) /* room for all passes at once */
            scratch = ad_fold_scratch(nodes) + map_bytes;
        if (ad_plan_scratch(nodes, nout) > scratch)
            scratch = ad_plan_scratch(nodes, nout);
        if (nodes < FEW && ad_group_scratch(nodes) > scratch)
            scratch = ad_group_scratch(nodes);
        map = ad_ir_scratch(ir, scratch);
        ir->ext = malloc(((size_t)pool + 1) * sizeof *ir->ext);
        ir->ext_cap = pool < INT32_MAX ? (int32_t)pool + 1 : 0;
        ok = map && ir->ext && nodes < INT32_MAX && pool < INT32_MAX && ad_ir_nodes(ir, nodes, words);
    }
    ad_fold folder;
    fold = ok && fold && (ok = ad_fold_begin(&folder, ir, nodes, map_bytes));
    for (int i = 0; ok && i < nin; i++)
        ir->in[i] = -1;
    copier c = {.ir = ir,
                .fold = fold ? &folder : NULL,
                .t = t,
                .map = map,
                .slot = slot,
                .bind = AD_BATCH,
                .origin = -1};
    ok = ok && copy_nodes(&c, need, top);
    free(c.result);
    for (int i = 0; ok && i < nout; i++)
        ir->out[i] = map[out[i].id];
    if (fold)
        ok = ad_fold_end(&folder, ok);
    ad_ir_give(ir, slot);
    if (!ok)
        ad_fail(t, AD_ENOMEM, "ad_compile: out of memory");
    ir->report.nodes = top;
    if (!fold)
        ir->report.live = ir->report.after_cse = ir->report.after_fold = ir->n;
    return ok;
}
