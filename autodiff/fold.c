/* fold.c - pass: equal nodes become one, constants are computed, and what only moves or repeats numbers goes away.
 * Contract: the value of every output keeps its bits. What is done to a node, in this order:
 *   expand below an elementwise operation   gone: kernels broadcast
 *   x + (-y), x - (-y), --x                 x - y, x + y, x
 *   transpose below a product               the product reads it transposed
 *   stop                                    its operand
 *   division by a power of two              product with its reciprocal
 *   1 x, 0.5 (2 x)                          x (fold_scale.c)
 *   constant operands                       the kernel runs now, with the program's type and kernels
 *   a node equal to an earlier one          that one
 * Then nodes that no output needs are dropped. One loop each, linear in the nodes.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

#include <math.h>

enum { LARGEST = 4096 }; /* elements of a constant worth computing now */

typedef struct folder {
    ad_ir *ir;
    int32_t *map;   /* old index -> new */
    int32_t *table; /* hash -> new index + 1 */
    uint32_t mask;
    int32_t n;     /* nodes kept so far: a prefix of ir->node, never longer than what is read */
    int32_t shift; /* the nodes that are read begin here: room for a reciprocal for each division */
} folder;

static uint32_t mix(uint32_t h, uint32_t v) { return (h ^ v) * 0x9e3779b1u + (h >> 15); }

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

static ad_node *at(const folder *f, int32_t i) { return &f->ir->node[i]; }

/* Elementwise operands lose their expansions. */
static void broadcast(folder *f, ad_node *n)
{
    int32_t *a = operands(f->ir, n);
    for (int i = 0, m = ad_ir_nargs(f->ir, n); i < m; i++)
        if (at(f, a[i])->op == OP_EXPAND)
            a[i] = at(f, a[i])->arg[0];
}

static void signs(folder *f, ad_node *n)
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

static void transposes(folder *f, ad_node *n)
{
    int32_t *a = operands(f->ir, n);
    for (int i = 0; i < 2; i++)
        if (at(f, a[i])->op == OP_TRANSPOSE) {
            a[i] = at(f, a[i])->arg[0];
            a[2 + i] = !a[2 + i];
        }
}

/* Division by a power of two is the product with its reciprocal: both round the same real number. */
static bool halves(folder *f, ad_node *n, int32_t from)
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
    f->ir->node[f->n] = k;
    f->ir->origin[f->n] = f->ir->origin[from];
    n->op = OP_mul;
    n->arg[1] = f->n++;
    return true;
}

/* The value of a node of constants, as a constant. Left alone when the kernel reports failure: that is for the run. */
static bool compute(folder *f, ad_node *n)
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

/* The new index of node i; -1 when out of memory. */
static int32_t visit(folder *f, int32_t i)
{
    ad_ir *ir = f->ir;
    ad_node n = ir->node[f->shift + i];
    int32_t *a = operands(ir, &n);
    for (int k = 0, m = ad_ir_nargs(ir, &n); k < m; k++)
        a[k] = f->map[a[k]];
    int kind = ad_ops[n.op].kind;
    if (n.op == OP_STOP)
        return n.arg[0];
    if (n.op == OP_neg && at(f, n.arg[0])->op == OP_neg)
        return at(f, n.arg[0])->arg[0];
    if (n.op == OP_TRANSPOSE && at(f, n.arg[0])->op == OP_TRANSPOSE)
        return at(f, n.arg[0])->arg[0];
    if (kind == AD_ELEMENTWISE) {
        broadcast(f, &n);
        if (n.op == OP_add || n.op == OP_sub)
            signs(f, &n);
        if (n.op == OP_div && !halves(f, &n, f->shift + i))
            return -1;
        int32_t same = ad_fold_scale(ir, &n);
        if (same >= 0)
            return same;
    } else if (n.op == OP_MATMUL) {
        transposes(f, &n);
    }
    if (kind != AD_LEAF || n.op == OP_EYE)
        if (!compute(f, &n))
            return -1;
    uint32_t h = hash(ir, &n);
    if (n.op != OP_INPUT)
        for (; f->table[h & f->mask]; h++) {
            int32_t old = f->table[h & f->mask] - 1;
            if (equal(ir, at(f, old), &n)) {
                ir->report.after_cse--;
                return old;
            }
        }
    if (n.op != OP_INPUT)
        f->table[h & f->mask] = f->n + 1;
    ir->node[f->n] = n;
    ir->origin[f->n] = ir->origin[f->shift + i];
    return f->n++;
}

/* Drops nodes that no output needs. */
static void compact(ad_ir *ir, int32_t *map)
{
    int32_t n = 0;
    memset(map, 0, (size_t)ir->n * sizeof *map);
    for (int j = 0; j < ir->nout; j++)
        map[ir->out[j]] = 1;
    for (int32_t i = ir->n - 1; i >= 0; i--) {
        const int32_t *a = ad_ir_args(ir, &ir->node[i]);
        for (int k = 0, m = map[i] ? ad_ir_nargs(ir, &ir->node[i]) : 0; k < m; k++)
            map[a[k]] = 1;
    }
    for (int32_t i = 0; i < ir->n; i++) {
        if (!map[i]) {
            map[i] = -1;
            continue;
        }
        ad_node v = ir->node[i];
        int32_t *a = operands(ir, &v);
        for (int k = 0, m = ad_ir_nargs(ir, &v); k < m; k++)
            a[k] = map[a[k]];
        ir->node[n] = v;
        ir->origin[n] = ir->origin[i];
        map[i] = n++;
    }
    for (int j = 0; j < ir->nout; j++)
        ir->out[j] = map[ir->out[j]];
    for (int i = 0; i < ir->nin; i++)
        ir->in[i] = ir->in[i] < 0 ? -1 : map[ir->in[i]];
    ir->n = n;
}

bool ad_pass_fold(ad_ir *ir)
{
    uint32_t size = 16;
    while (size < 2u * (uint32_t)ir->n)
        size *= 2;
    folder f = {.ir = ir, .mask = size - 1};
    f.map = malloc((2 * (size_t)ir->n + 1) * sizeof *f.map);
    f.table = calloc(size, sizeof *f.table);
    bool ok = f.map && f.table;
    int32_t n = ir->n;
    for (int32_t i = 0; i < n; i++)
        f.shift += ir->node[i].op == OP_div;
    if (ok && f.shift) {
        size_t room = (size_t)n + (size_t)f.shift;
        ad_node *node = realloc(ir->node, room * sizeof *node);
        ir->node = node ? node : ir->node;
        int32_t *origin = realloc(ir->origin, room * sizeof *origin);
        ir->origin = origin ? origin : ir->origin;
        ok = node && origin;
        if (ok) {
            memmove(node + f.shift, node, (size_t)n * sizeof *node);
            memmove(origin + f.shift, origin, (size_t)n * sizeof *origin);
        }
    }
    ir->report.after_cse = n;
    for (int32_t i = 0; ok && i < n; i++) {
        f.map[i] = visit(&f, i);
        ok = f.map[i] >= 0;
    }
    if (ok) {
        for (int j = 0; j < ir->nout; j++)
            ir->out[j] = f.map[ir->out[j]];
        for (int i = 0; i < ir->nin; i++)
            ir->in[i] = ir->in[i] < 0 ? -1 : f.map[ir->in[i]];
        ir->n = f.n;
        compact(ir, f.map);
        ir->report.after_fold = ir->n;
    }
    free(f.map);
    free(f.table);
    return ok;
}
