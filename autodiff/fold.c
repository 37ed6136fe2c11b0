/* fold.c - equal nodes become one, constants are computed, and what only moves or repeats numbers goes away.
 * Contract: the value of every output keeps its bits. What is done to a node when it comes, in this order:
 *   expand below an elementwise operation   gone: kernels broadcast
 *   x + (-y), x - (-y), --x                 x - y, x + y, x
 *   transpose below a product               the product reads it transposed
 *   stop                                    its operand
 *   count of rows that are the samples      that of an input, which waits for nothing: a mean is no reason to end a stage
 *   division by a power of two              product with its reciprocal
 *   1 x, 0.5 (2 x)                          x (fold_scale.c)
 *   constant operands                       the kernel runs now, with the program's type and kernels
 *   a node equal to an earlier one          that one
 * At the end nodes that no output needs are dropped. Nodes come one at a time, and each is written once (fold_share.c).
 *
 * SPDX-License-Identifier: MIT */
#include "fold.h"

#include <math.h>

enum {
    LARGEST = 4096, /* elements of a constant worth computing now */
    FEW = 16,       /* a part of the nodes that is not worth moving the rest, */
    LONG = 4096     /* where there are as many */
};
/* The operands of a node, writable. */
static int32_t *operands(const ad_ir *ir, ad_node *n)
{
    return n->flags & NODE_EXT ? ir->ext + n->arg[0] : n->arg;
}

static inline ad_node *at(const ad_fold *f, int32_t i) { return &f->ir->node[i]; }

/* Elementwise operands lose their expansions. */
static void broadcast(ad_fold *f, ad_node *n)
{
    int32_t *a = operands(f->ir, n);
    for (int i = 0, m = ad_ir_nargs(f->ir, n); i < m; i++)
        if (f->trait[a[i]] & AD_IS_EXPAND)
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
    n->arg[1] = ad_fold_keep(f, &k, origin);
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

/* All that may be done to a node. */
int32_t ad_fold_node(ad_fold *f, ad_node *n, int32_t origin)
{
    ad_ir *ir = f->ir;
    ir->report.live++;
    ir->report.after_cse++;
    int kind = ad_ops[n->op].kind;
    if (n->op == OP_STOP)
        return n->arg[0];
    if (n->op == OP_INPUT && n->rows == -1 && !f->samples)
        f->samples = ir->n + 1;
    if (n->op == OP_COUNT && f->samples && at(f, n->arg[0])->rows == -1)
        n->arg[0] = f->samples - 1;
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
    bool constant = n->op == OP_EYE || (kind != AD_LEAF && (f->trait[ad_ir_args(ir, n)[0]] & AD_IS_CONST));
    if (constant && !compute(f, n))
        return -1;
    return n->op == OP_INPUT ? ad_fold_keep(f, n, origin) : ad_fold_share(f, n, origin);
}

/* Drops nodes that no output needs. */
static void compact(ad_ir *ir, int32_t *map)
{
    int32_t n = 0;
    for (; ir->uses[n]; n++)
        map[n] = n;
    for (int32_t i = n; i < ir->n; i++) {
        if (!ir->uses[i]) {
            map[i] = -1;
            continue;
        }
        ad_node *v = &ir->node[i];
        if (ad_short(v)) {
            int two = v->nargs > 1;
            int32_t x = map[v->arg[0]], y = map[v->arg[two]];
            ir->node[n] = *v;
            ir->node[n].arg[0] = x;
            ir->node[n].arg[two] = y;
            ir->origin[n] = ir->origin[i];
            ir->uses[n] = ir->uses[i];
            ir->trait[n] = ir->trait[i];
            map[i] = n++;
            continue;
        }
        int32_t *a = operands(ir, v);
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++)
            a[k] = map[a[k]];
        ir->node[n] = *v;
        ir->origin[n] = ir->origin[i];
        ir->uses[n] = ir->uses[i];
        ir->trait[n] = ir->trait[i];
        map[i] = n++;
    }
    for (int j = 0; j < ir->nout; j++)
        ir->out[j] = map[ir->out[j]];
    for (int i = 0; i < ir->nin; i++)
        ir->in[i] = ir->in[i] < 0 ? -1 : map[ir->in[i]];
    ir->n = n;
}

/* Leaves nodes that no output needs where they are, as constants without users: where they are few, moving all others is
 * not worth it. */
static void bury(ad_ir *ir)
{
    for (int32_t i = 0; i < ir->n; i++)
        if (!ir->uses[i]) {
            ir->node[i] = (ad_node){.op = OP_CONST, .nattr = 2, .rows = 1, .cols = 1};
            ir->trait[i] = ad_op_trait[OP_CONST];
        }
    for (int i = 0; i < ir->nin; i++)
        ir->in[i] = ir->in[i] >= 0 && ir->uses[ir->in[i]] ? ir->in[i] : -1;
}

static size_t lines_of(int64_t room) { return (size_t)room / AD_LINE_OF + 1; }

size_t ad_fold_scratch(int64_t room) { return lines_of(room) * sizeof(ad_line) + 64; }

bool ad_fold_begin(ad_fold *f, ad_ir *ir, int64_t room, size_t kept)
{
    size_t lines = lines_of(room);
    *f = (ad_fold){.ir = ir,
                   .node = ir->node,
                   .origin = ir->origin,
                   .uses = ir->uses,
                   .trait = ir->trait,
                   .rest_first = 32};
    char *at = ad_ir_scratch(ir, kept + ad_fold_scratch(room));
    if (!at)
        return false;
    while (f->rest_first < room / 4)
        f->rest_first *= 2;
    f->line = (void *)(at + kept);
    for (size_t i = 0; i < lines; i++)
        f->line[i].tags = 0;
    return true;
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
    ir->words += 4 * (int64_t)ir->n; /* a result, and two operands of short ones */
    ir->pairs |= (f->traits & AD_IS_DTANH) != 0;
    ir->report.after_fold = ir->n - dead;
    if (dead > ir->n / FEW || (dead && ir->n < LONG))
        compact(ir, (int32_t *)(void *)f->line);
    else if (dead)
        bury(ir);
    free(f->rest);
    return ok;
}

bool ad_pass_fold(ad_ir *ir)
{
    ad_ir old = *ir;
    ad_fold f;
    size_t n = (size_t)old.n + 1, room = 2 * n; /* were all of them quotients */
    int32_t *map = ad_ir_scratch(ir, n * sizeof *map + 64 + ad_fold_scratch((int64_t)room));
    int64_t words = 0;
    for (int32_t i = 0; i < old.n; i++)
        words += ad_ir_words(ir, &old.node[i]);
    ir->n = 0;
    ir->words = 0;
    bool begun = ad_ir_nodes(ir, (int64_t)room, words) && map &&
                 ad_fold_begin(&f, ir, (int64_t)room, (n * sizeof *map + 63) / 64 * 64),
         ok = begun;
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
    free(old.block);
    ad_ir_give(ir, old.origin);
    return ok;
}
