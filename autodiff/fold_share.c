/* fold_share.c - nodes as they are kept: each once.
 * Contract: a node equal to an earlier one is that one. Linear in the nodes, and near in memory: a tape's operands are
 * mostly recent, so equal nodes are looked for among the users of the larger operand, which share a line with those of
 * its neighbours, then among those of the other one; only where both are full, or there is no operand, in a table of the
 * rest. What decides whether a rule of fold.c may apply is a byte for each operand.
 *
 * SPDX-License-Identifier: MIT */
#include "fold.h"

const uint8_t ad_op_trait[OP_COUNT_] = {
    [OP_CONST] = AD_IS_CONST | AD_MOVES,
    [OP_EXPAND] = AD_IS_EXPAND,
    [OP_SLICE] = AD_MOVES,
    [OP_ADD_N] = AD_MOVES,
#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    [OP_##name] = AD_MOVES | AD_SINGLE |                                                                     \
                  (OP_##name == OP_neg     ? AD_IS_NEG                                                       \
                   : OP_##name == OP_tanh  ? AD_IS_TANH                                                      \
                   : OP_##name == OP_dtanh ? AD_IS_TANH | AD_IS_DTANH                                        \
                                           : 0),
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = AD_MOVES | AD_SINGLE,
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) [OP_##name] = AD_MOVES | AD_SINGLE,
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

static ad_node *at(const ad_fold *f, int32_t i) { return &f->ir->node[i]; }

static uint32_t mix(uint32_t h, uint32_t v) { return (h ^ v) * 0x9e3779b1u + (h >> 15); }

/* Nodes with up to three operands and attributes: all that they are. */
static uint32_t hash_short(const ad_node *n)
{
    return ad_hash_of(ad_kind_of(n), n->arg[0], n->arg[1]) + (uint32_t)n->arg[2] * 0x9e3779b1u;
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

int32_t ad_fold_keep(ad_fold *f, const ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    const int32_t *a = ad_ir_args(ir, n);
    int m = ad_ir_nargs(ir, n);
    int32_t i = ir->n++;
    uint8_t t = ad_trait_of(n->op, n->rows, n->cols);
    if (ad_is_elementwise(n->op) && !ad_short(n))
        t &= ~(AD_SINGLE | AD_MOVES);
    f->traits |= f->trait[i] = t;
    ir->words += m + n->nattr; /* beside what is counted for each node at the end */
    for (int k = 0; k < m; k++)
        f->uses[a[k]]++;
    f->node[i] = *n;
    f->origin[i] = origin;
    f->uses[i] = 0;
    ir->batch |= n->rows < 0;
    return i;
}

/* Where a node is looked for in the rest: nodes alike but for the low bits of their operands are together, because they
 * come together. The lowest 8 bits tell those apart. */
static uint32_t rest_tag(const ad_node *n, uint32_t tag)
{
    if (n->flags & NODE_EXT || !n->nargs)
        return tag;
    ad_node near = *n;
    for (int k = 0; k < 3; k++)
        near.arg[k] /= AD_LINE_OF;
    return hash_short(&near) << 8 | tag >> 24;
}
static uint32_t rest_start(uint32_t rest_tag) { return (rest_tag >> 8) * AD_LINE + rest_tag % AD_LINE; }

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

/* An equal node among the rest; else the next one is among them. */
static int32_t found_in_rest(ad_fold *f, const ad_node *n, uint32_t hash)
{
    if (!room_in_rest(f))
        return -1;
    uint32_t tag = rest_tag(n, hash), h = rest_start(tag);
    for (; f->rest[h & (f->rest_size - 1)].node; h++) {
        const struct ad_rest *r = &f->rest[h & (f->rest_size - 1)];
        if (r->tag == tag && equal(f->ir, at(f, r->node - 1), n)) {
            f->ir->report.after_cse--;
            return r->node - 1;
        }
    }
    f->rest[h & (f->rest_size - 1)] = (struct ad_rest){tag, f->ir->n + 1};
    f->nrest++;
    return f->ir->n;
}

int32_t ad_fold_found(ad_fold *f, const ad_node *n, int32_t x, int32_t y, uint32_t hash)
{
    int32_t larger = (x > y ? x : y) / AD_LINE_OF, other = (x > y ? y : x) / AD_LINE_OF;
    for (int32_t line = larger;; line = other) {
        uint64_t *tags = &f->line[line].tags, same = ad_tags_same(*tags, hash), left = ad_tags_left(*tags);
        for (; same; same &= same - 1) {
            int32_t i = f->line[line].node[ad_tag_first(same)];
            if (equal(f->ir, at(f, i), n)) {
                f->ir->report.after_cse--;
                return i;
            }
        }
        if (left) {
            int k = ad_tag_first(left);
            *tags |= ad_tag_at(hash, k);
            return f->line[line].node[k] = f->ir->n;
        }
        if (line == other)
            break;
    }
    return found_in_rest(f, n, hash);
}

int32_t ad_fold_share(ad_fold *f, const ad_node *n, int32_t origin)
{
    const int32_t *a = ad_ir_args(f->ir, n);
    int m = ad_ir_nargs(f->ir, n);
    uint32_t h = n->flags & NODE_EXT || !m ? hash(f->ir, n) : hash_short(n);
    int32_t i = m ? ad_fold_found(f, n, a[0], a[m > 1], h) : found_in_rest(f, n, h);
    return i == f->ir->n ? ad_fold_keep(f, n, origin) : i;
}

int32_t ad_fold_short(ad_fold *f, ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    int two = n->nargs > 1;
    int32_t x = n->arg[0], y = n->arg[two];
    int a = f->trait[x], b = f->trait[y];
    bool summed = n->op == OP_add || n->op == OP_sub || n->op == OP_neg;
    if (((a | b) & (AD_IS_EXPAND | (summed ? AD_IS_NEG : 0))) | (a & b & AD_IS_CONST) |
        (b & AD_IS_CONST & (n->op == OP_div)))
        return ad_fold_node(f, n, origin);
    ir->report.live++;
    ir->report.after_cse++;
    if ((a | b) & AD_IS_CONST & (n->op == OP_mul)) {
        int32_t same = ad_fold_scale(ir, n);
        if (same >= 0)
            return same;
    }
    ir->batch |= n->rows < 0;
    return ad_fold_plain(f, f, ad_kind_of(n), n->op, two, x, y, origin);
}
