/* fold_share.c - nodes as they are kept: each once.
 * Contract: a node equal to an earlier one is that one. Linear in the nodes, and near in memory: a tape's operands are mostly
 * recent, so equal nodes are looked for among the users of the largest operand, which share a cache line with those of its
 * neighbours; only where that is full, or there is no operand, in a table of the rest. What decides whether a rule of
 * fold.c may apply is a byte for each operand.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { LINE = 8, NEAR = AD_LINE_OF };
enum {
    IS_CONST = 1, /* the lowest bit: ad_fold_short compares with it */
    IS_EXPAND = 2,
    IS_NEG = 4
};

static ad_node *at(const ad_fold *f, int32_t i) { return &f->ir->node[i]; }

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
    if (i % NEAR == 0)
        memset(f->line[i / NEAR].tag, 0, sizeof f->line->tag);
    return i;
}

int32_t ad_fold_keep(ad_fold *f, const ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    const int32_t *a = ad_ir_args(ir, n);
    int m = ad_ir_nargs(ir, n);
    ir->words += 2 + m + n->nattr;
    for (int k = 0; k < m; k++)
        ir->uses[a[k]]++;
    return append(f, n, origin);
}

/* Where a node is looked for in the rest: nodes alike but for the low bits of their operands are together, because they
 * come together. The lowest 8 bits tell those apart. */
static uint32_t rest_tag(const ad_node *n, uint32_t tag)
{
    if (n->flags & NODE_EXT || !n->nargs)
        return tag;
    ad_node near = *n;
    for (int k = 0; k < 3; k++)
        near.arg[k] /= NEAR;
    return hash_short(&near) << 8 | tag >> 24;
}
static uint32_t rest_start(uint32_t rest_tag) { return (rest_tag >> 8) * LINE + rest_tag % LINE; }

/* Doubles the table of the rest when it is half full. */
static bool room_in_rest(ad_fold *f)
{
    if (2 * f->nrest < f->rest_size)
        return true;
    uint32_t size = f->rest_size ? 2 * f->rest_size : f->rest_first;
    struct ad_rest *more = calloc(size, sizeof *more);
    if (!more)
        return false;
    for (uint32_t i = 0; i < f->rest_size; i++)
        if (f->rest[i].node) {
            uint32_t h = rest_start(f->rest[i].tag);
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
    tag = rest_tag(n, tag);
    uint32_t h = rest_start(tag);
    for (; f->rest[h & (f->rest_size - 1)].node; h++) {
        const struct ad_rest *r = &f->rest[h & (f->rest_size - 1)];
        if (r->tag == tag && equal(f->ir, at(f, r->node - 1), n)) {
            f->ir->report.after_cse--;
            return r->node - 1;
        }
    }
    f->rest[h & (f->rest_size - 1)] = (struct ad_rest){tag, f->ir->n + 1};
    f->nrest++;
    return ad_fold_keep(f, n, origin);
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
    ad_line *l = &f->line[largest / NEAR];
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

int32_t ad_fold_share(ad_fold *f, const ad_node *n, int32_t origin)
{
    const int32_t *a = ad_ir_args(f->ir, n);
    int m = ad_ir_nargs(f->ir, n);
    uint32_t tag = (n->flags & NODE_EXT || !m ? hash(f->ir, n) : hash_short(n)) | 1; /* 0 is free */
    int32_t old = m ? share(f, n, m > 1 && a[1] > a[0] ? a[1] : a[0], tag) : -2;
    return old >= 0 ? old : old == -1 ? ad_fold_keep(f, n, origin) : share_rest(f, n, origin, tag);
}

int32_t ad_fold_short(ad_fold *f, ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    int two = n->nargs > 1;
    int32_t x = n->arg[0], y = n->arg[two];
    int a = f->trait[x], b = f->trait[y];
    bool summed = n->op == OP_add || n->op == OP_sub || n->op == OP_neg;
    if (((a | b) & (IS_EXPAND | (summed ? IS_NEG : 0))) | (a & b & IS_CONST) | (b & (n->op == OP_div)))
        return ad_fold_node(f, n, origin);
    ir->report.live++;
    ir->report.after_cse++;
    if ((a | b) & (n->op == OP_mul)) {
        int32_t same = ad_fold_scale(ir, n);
        if (same >= 0)
            return same;
    }
    uint32_t tag = hash_short(n) | 1;
    int32_t old = share(f, n, x > y ? x : y, tag);
    if (old != -1)
        return old >= 0 ? old : share_rest(f, n, origin, tag);
    ir->words += 2 + n->nargs;
    ir->uses[x]++;
    ir->uses[y] += two;
    return append(f, n, origin);
}
