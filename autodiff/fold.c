/* fold.c - equal nodes become one, constants are computed, and what only moves or repeats numbers goes away.
 * Contract: the value of every output keeps its bits. What is done to a node when it comes, in this order:
 *   expand below an elementwise operation   gone: kernels broadcast
 *   x + (-y), x - (-y), --x                 x - y, x + y, x
 *   transpose below a product               the product reads it transposed
 *   stop                                    its operand
 *   division by a power of two              product with its reciprocal
 *   1 x, 0.5 (2 x)                          x (fold_scale.c)
 *   constant operands                       the kernel runs now, with the program's type and kernels
 *   a node equal to an earlier one          that one
 * At the end nodes that no output needs are dropped. Linear in the nodes, and near in memory: a tape's operands are
 * mostly recent, so equal nodes are looked for among the users of the largest operand, and what decides whether one of
 * the above applies is a byte for each operand.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

#include <math.h>

enum { LARGEST = 4096 }; /* elements of a constant worth computing now */
enum {
    LINE = 8,
    LINE_BITS = 2
}; /* users in a line, for 4 operands: the average node is the largest of one */
enum { IS_CONST = 1, IS_EXPAND = 2, IS_NEG = 4 };

static uint32_t mix(uint32_t h, uint32_t v) { return (h ^ v) * 0x9e3779b1u + (h >> 15); }

/* Nodes with up to three operands and attributes: all that they are. */
static uint32_t hash_short(const ad_node *n)
{
    uint64_t w[3];
    memcpy(w, n, sizeof w);
    uint64_t h = (w[0] ^ w[1] << 21) * 0x9e3779b97f4a7c15u + (w[2] ^ (uint64_t)(uint32_t)n->arg[2] << 40);
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(h >> 32);
}

static uint32_t hash(const ad_ir *ir, const ad_node *n)
{
    const int32_t *a = ad_ir_args(ir, n);
    uint32_t h = mix(mix(n->op, (uint32_t)n->rows), (uint32_t)n->cols);
    if (n->op == OP_CONST && n->rows * n->cols == 1) {
        uint32_t word[4] = {0};
        memcpy(word, ir->consts + ad_const_at(a) * (int64_t)ir->k->size,
               ir->k->real == AD_F80 ? 10 : ir->k->size);
        return mix(mix(mix(h, word[0]), word[1]), word[2]);
    }
    for (int i = 0, m = ad_ir_nargs(ir, n) + n->nattr; i < m; i++)
        h = mix(h, (uint32_t)a[i]);
    return h;
}

static bool equal(const ad_ir *ir, const ad_node *x, const ad_node *y)
{
    if (x->op != y->op || x->rows != y->rows || x->cols != y->cols || x->nattr != y->nattr)
        return false;
    const int32_t *a = ad_ir_args(ir, x), *b = ad_ir_args(ir, y);
    int m = ad_ir_nargs(ir, x);
    if (x->op == OP_CONST) {
        size_t size = ir->k->size;
        if (x->rows * x->cols != 1)
            return false;
        return !memcmp(ir->consts + ad_const_at(a) * (int64_t)size,
                       ir->consts + ad_const_at(b) * (int64_t)size, ir->k->real == AD_F80 ? 10 : size);
    }
    return m == ad_ir_nargs(ir, y) && !memcmp(a, b, (size_t)(m + x->nattr) * sizeof *a);
}

/* The operands of a node, writable. */
static int32_t *operands(const ad_ir *ir, ad_node *n)
{
    return n->flags & NODE_EXT ? ir->ext + n->arg[0] : n->arg;
}

static ad_node *at(const ad_fold *f, int32_t i) { return &f->ir->node[i]; }

/* A node that stays; its operands are counted by the caller. */
static inline int32_t append(ad_fold *f, const ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    int32_t i = ir->n++;
    ir->node[i] = *n;
    ir->origin[i] = origin;
    ir->uses[i] = 0;
    ir->batch |= n->rows < 0;
    ir->pairs |= n->op == OP_dtanh;
    f->trait[i] = n->op == OP_CONST    ? IS_CONST
                  : n->op == OP_EXPAND ? IS_EXPAND
                  : n->op == OP_neg    ? IS_NEG
                                       : 0;
    if (i % (1 << LINE_BITS) == 0)
        memset(f->line[i >> LINE_BITS].tag, 0, sizeof f->line->tag);
    return i;
}

static __attribute__((noinline)) int32_t append_any(ad_fold *f, const ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    const int32_t *a = ad_ir_args(ir, n);
    int m = ad_ir_nargs(ir, n);
    ir->words += 2 + m + n->nattr;
    for (int k = 0; k < m; k++)
        ir->uses[a[k]]++;
    return append(f, n, origin);
}

/* Elementwise operands lose their expansions. */
static void broadcast(ad_fold *f, ad_node *n)
{
    int32_t *a = operands(f->ir, n);
    for (int i = 0, m = ad_ir_nargs(f->ir, n); i < m; i++)
        if (at(f, a[i])->op == OP_EXPAND)
            a[i] = at(f, a[i])->arg[0];
}

static void signs(ad_fold *f, ad_node *n)
{
    ad_node *b = at(f, n->arg[1]);
    if (b->op == OP_neg && (n->op == OP_add || n->op == OP_sub)) {
        n->op = n->op == OP_add ? OP_sub : OP_add;
        n->arg[1] = b->arg[0];
    } else if (n->op == OP_add && at(f, n->arg[0])->op == OP_neg) {
        int32_t x = at(f, n->arg[0])->arg[0];
        n->op = OP_sub;
        n->arg[0] = n->arg[1];
        n->arg[1] = x;
    }
}

static void transposes(ad_fold *f, ad_node *n)
{
    int32_t *a = operands(f->ir, n);
    for (int i = 0; i < 2; i++)
        if (at(f, a[i])->op == OP_TRANSPOSE) {
            a[i] = at(f, a[i])->arg[0];
            a[2 + i] = !a[2 + i];
        }
}

/* Division by a power of two is the product with its reciprocal: both round the same real number. */
static bool halves(ad_fold *f, ad_node *n, int32_t origin)
{
    const ad_node *b = at(f, n->arg[1]);
    if (b->op != OP_CONST || b->rows != 1 || b->cols != 1 || f->ir->k->real == AD_F80)
        return true;
    const char *at_c = f->ir->consts + (size_t)ad_const_at(b->arg) * f->ir->k->size;
    bool is_float = f->ir->k->real == AD_F32;
    float c4;
    double c8;
    memcpy(&c4, at_c, sizeof c4);
    memcpy(&c8, at_c, is_float ? sizeof c4 : sizeof c8);
    double v = is_float ? c4 : c8;
    int e;
    if (fabs(frexp(v, &e)) != 0.5 || abs(e) > 100)
        return true;
    int64_t here = ad_ir_const(f->ir, 1);
    if (here < 0)
        return false;
    c8 = 1 / v;
    c4 = (float)c8;
    memcpy(f->ir->consts + (size_t)here * f->ir->k->size, is_float ? (const void *)&c4 : &c8, f->ir->k->size);
    ad_node k = {.op = OP_CONST, .nattr = 2, .rows = 1, .cols = 1};
    k.arg[0] = (int32_t)(here & 0x3fffffff);
    k.arg[1] = (int32_t)(here >> 30);
    n->op = OP_mul;
    n->arg[1] = append_any(f, &k, origin);
    return true;
}

/* The value of a node of constants, as a constant. Left alone when the kernel reports failure: that is for the run. */
static bool compute(ad_fold *f, ad_node *n)
{
    ad_ir *ir = f->ir;
    const int32_t *a = ad_ir_args(ir, n);
    int m = ad_ir_nargs(ir, n);
    if (n->rows < 0 || (int64_t)n->rows * n->cols > LARGEST || m > 8 || !ir->k->run[n->op] ||
        ad_has_object(n->op))
        return true;
    for (int i = 0; i < m; i++)
        if (at(f, a[i])->op != OP_CONST)
            return true;
    int64_t here = ad_ir_const(ir, (int64_t)n->rows * n->cols), shape[8][2];
    int64_t need = ad_scratch_of(n->op, ad_ir_attrs(ir, n), m ? at(f, a[0])->cols : 0);
    void *scratch = malloc(((size_t)need + 1) * ir->k->size);
    const void *src[8];
    if (here < 0 || !scratch) {
        free(scratch);
        return false;
    }
    for (int i = 0; i < m; i++) {
        const ad_node *o = at(f, a[i]);
        src[i] = ir->consts + (size_t)ad_const_at(o->arg) * ir->k->size;
        shape[i][0] = o->rows;
        shape[i][1] = o->cols;
    }
    ad_kcall c = {.dst = ir->consts + (size_t)here * ir->k->size,
                  .src = src,
                  .rows = n->rows,
                  .cols = n->cols,
                  .shape = (const int64_t(*)[2])shape,
                  .nargs = m,
                  .nattr = n->nattr,
                  .attr = ad_ir_attrs(ir, n),
                  .scratch = scratch};
    if (ir->k->run[n->op](&c) == AD_OK) {
        ad_node k = {.op = OP_CONST, .nattr = 2, .rows = n->rows, .cols = n->cols};
        k.arg[0] = (int32_t)(here & 0x3fffffff);
        k.arg[1] = (int32_t)(here >> 30);
        *n = k;
    } else {
        ir->nconsts = here;
    }
    free(scratch);
    return true;
}

/* Doubles the table of the rest when it is half full. */
static bool room_in_rest(ad_fold *f)
{
    if (2 * f->nrest < f->rest_size)
        return true;
    uint32_t size = f->rest_size ? 2 * f->rest_size : 32;
    struct ad_rest *more = calloc(size, sizeof *more);
    if (!more)
        return false;
    for (uint32_t i = 0; i < f->rest_size; i++)
        if (f->rest[i].node) {
            uint32_t h = f->rest[i].tag;
            while (more[h & (size - 1)].node)
                h++;
            more[h & (size - 1)] = f->rest[i];
        }
    free(f->rest);
    f->rest = more;
    f->rest_size = size;
    return true;
}

/* An equal node among the rest; else the new one is among them. */
static __attribute__((noinline)) int32_t share_rest(ad_fold *f, const ad_node *n, int32_t origin,
                                                    uint32_t tag)
{
    if (!room_in_rest(f))
        return -1;
    uint32_t h = tag;
    for (; f->rest[h & (f->rest_size - 1)].node; h++) {
        const struct ad_rest *r = &f->rest[h & (f->rest_size - 1)];
        if (r->tag == tag && equal(f->ir, at(f, r->node - 1), n)) {
            f->ir->report.after_cse--;
            return r->node - 1;
        }
    }
    f->rest[h & (f->rest_size - 1)] = (struct ad_rest){tag, f->ir->n + 1};
    f->nrest++;
    return append_any(f, n, origin);
}

/* What is equal to n among the nodes whose tags are: an index in ir, -1 where none is. */
static __attribute__((noinline)) int32_t same_in_line(ad_fold *f, const ad_line *l, unsigned same,
                                                      const ad_node *n)
{
    for (unsigned k = 0; same; k++, same >>= 1)
        if ((same & 1) && equal(f->ir, at(f, l->node[k]), n)) {
            f->ir->report.after_cse--;
            return l->node[k];
        }
    return -1;
}

/* An equal node among the users of the same largest operand; -1 when there is none, and the next node is where it will
 * be looked for; -2 when its line is full. */
static inline int32_t share(ad_fold *f, const ad_node *n, int32_t largest, uint32_t tag)
{
    ad_line *l = &f->line[largest >> LINE_BITS];
    unsigned same = 0, taken = 0;
    for (unsigned k = 0; k < LINE; k++) { /* without a branch: how many are taken is not to be foreseen */
        same |= (unsigned)(l->tag[k] == tag) << k;
        taken += l->tag[k] != 0;
    }
    if (same) {
        int32_t old = same_in_line(f, l, same, n);
        if (old >= 0)
            return old;
    }
    if (taken == LINE)
        return -2;
    l->tag[taken] = tag;
    l->node[taken] = f->ir->n;
    return -1;
}

/* All that may be done to a node. */
static __attribute__((noinline)) int32_t visit(ad_fold *f, ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    int kind = ad_ops[n->op].kind;
    if (n->op == OP_STOP)
        return n->arg[0];
    if (n->op == OP_neg && at(f, n->arg[0])->op == OP_neg)
        return at(f, n->arg[0])->arg[0];
    if (n->op == OP_TRANSPOSE && at(f, n->arg[0])->op == OP_TRANSPOSE)
        return at(f, n->arg[0])->arg[0];
    if (kind == AD_ELEMENTWISE) {
        broadcast(f, n);
        if (n->op == OP_add || n->op == OP_sub)
            signs(f, n);
        if (n->op == OP_div && !halves(f, n, origin))
            return -1;
        int32_t same = n->op == OP_mul ? ad_fold_scale(ir, n) : -1;
        if (same >= 0)
            return same;
    } else if (n->op == OP_MATMUL) {
        transposes(f, n);
    }
    if (kind != AD_LEAF || n->op == OP_EYE)
        if (!compute(f, n))
            return -1;
    const int32_t *a = ad_ir_args(ir, n);
    int m = ad_ir_nargs(ir, n);
    if (n->op == OP_INPUT)
        return append_any(f, n, origin);
    uint32_t tag = (n->flags & NODE_EXT || !m ? hash(ir, n) : hash_short(n)) | 1; /* 0 is free */
    int32_t old = m ? share(f, n, m > 1 && a[1] > a[0] ? a[1] : a[0], tag) : -2;
    return old >= 0 ? old : old == -1 ? append_any(f, n, origin) : share_rest(f, n, origin, tag);
}

int32_t ad_fold_node(ad_fold *f, ad_node *n, int32_t origin)
{
    f->ir->report.live++;
    f->ir->report.after_cse++;
    return visit(f, n, origin);
}

int32_t ad_fold_short(ad_fold *f, ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    int two = n->nargs > 1;
    int32_t x = n->arg[0], y = n->arg[two];
    int a = f->trait[x], b = f->trait[y];
    if (((a | b) & (IS_EXPAND | IS_NEG)) | (a & b & IS_CONST) | ((a | b) & IS_CONST & (n->op == OP_mul)) |
        (n->op == OP_div))
        return ad_fold_node(f, n, origin);
    ir->report.live++;
    ir->report.after_cse++;
    uint32_t tag = hash_short(n) | 1;
    int32_t old = share(f, n, x > y ? x : y, tag);
    if (old != -1)
        return old >= 0 ? old : share_rest(f, n, origin, tag);
    ir->words += 2 + n->nargs;
    ir->uses[x]++;
    ir->uses[y] += two;
    return append(f, n, origin);
}

/* Drops nodes that no output needs. */
static void compact(ad_ir *ir, int32_t *map)
{
    int32_t n = 0;
    for (int32_t i = 0; i < ir->n; i++) {
        if (!ir->uses[i]) {
            map[i] = -1;
            continue;
        }
        ad_node *v = &ir->node[i];
        int32_t *a = operands(ir, v);
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++)
            a[k] = map[a[k]];
        ir->node[n] = *v;
        ir->origin[n] = ir->origin[i];
        ir->uses[n] = ir->uses[i];
        map[i] = n++;
    }
    for (int j = 0; j < ir->nout; j++)
        ir->out[j] = map[ir->out[j]];
    for (int i = 0; i < ir->nin; i++)
        ir->in[i] = ir->in[i] < 0 ? -1 : map[ir->in[i]];
    ir->n = n;
}

bool ad_fold_begin(ad_fold *f, ad_ir *ir, int64_t room)
{
    size_t n = (size_t)room + 1;
    *f = (ad_fold){.ir = ir,
                   .trait = malloc(n),
                   .line = aligned_alloc(sizeof *f->line, ((n >> LINE_BITS) + 1) * sizeof *f->line)};
    ir->uses = malloc(n * sizeof *ir->uses);
    if (f->trait && f->line && ir->uses)
        return true;
    free(f->trait);
    free(f->line);
    return false;
}

bool ad_fold_end(ad_fold *f, bool ok)
{
    ad_ir *ir = f->ir;
    int32_t dead = 0;
    for (int j = 0; ok && j < ir->nout; j++)
        ir->uses[ir->out[j]]++;
    for (int32_t i = ok ? ir->n - 1 : -1; i >= 0; i--) {
        if (ir->uses[i])
            continue;
        dead++;
        const int32_t *a = ad_ir_args(ir, &ir->node[i]);
        for (int k = 0, m = ad_ir_nargs(ir, &ir->node[i]); k < m; k++)
            ir->uses[a[k]]--;
    }
    /* the lines have served: they are as long as the map */
    if (dead)
        compact(ir, (int32_t *)(void *)f->line);
    free(f->trait);
    free(f->line);
    free(f->rest);
    return ok;
}

bool ad_pass_fold(ad_ir *ir)
{
    ad_ir old = *ir;
    ad_fold f;
    size_t n = (size_t)old.n + 1, room = 2 * n; /* were all of them quotients */
    int32_t *map = malloc(n * sizeof *map);
    ir->node = malloc(room * sizeof *ir->node);
    ir->origin = malloc(room * sizeof *ir->origin);
    ir->uses = NULL;
    ir->n = 0;
    ir->words = 0;
    bool begun = map && ir->node && ir->origin && ad_fold_begin(&f, ir, (int64_t)room), ok = begun;
    for (int32_t i = 0; ok && i < old.n; i++) {
        ad_node v = old.node[i];
        int32_t *a = operands(ir, &v);
        for (int k = 0, m = ad_ir_nargs(ir, &v); k < m; k++)
            a[k] = map[a[k]];
        map[i] = ad_fold_node(&f, &v, old.origin[i]);
        ok = map[i] >= 0;
    }
    for (int j = 0; ok && j < ir->nout; j++)
        ir->out[j] = map[ir->out[j]];
    for (int i = 0; ok && i < ir->nin; i++)
        ir->in[i] = ir->in[i] < 0 ? -1 : map[ir->in[i]];
    if (begun)
        ok = ad_fold_end(&f, ok);
    free(map);
    free(old.node);
    free(old.origin);
    free(old.uses);
    return ok;
}
