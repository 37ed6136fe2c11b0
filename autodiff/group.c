/* group.c - pass: nodes in an order whose stages are either row by row or not.
 * Contract: still topological. Stage numbers ascend; a node of an odd stage computes row i of its result from row i of
 * operands that have the batch (and from all of the others), so that stage may run block by block on many threads; a
 * node of an even stage needs its operands whole: it has no batch, or sums over it. A node stands in the first
 * stage it can. tanh and its derivative of one operand stand together: one kernel computes both. Where all is one stage in recorded order
 * there are no numbers of stages.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

static bool is_local(const ad_ir *ir, const ad_node *n)
{
    const int32_t *a = ad_ir_args(ir, n);
    if (n->rows >= 0)
        return false;
    switch (ad_ops[n->op].kind) {
    case AD_LEAF:
        return false;
    case AD_ELEMENTWISE:
        return true;
    default:
        break;
    }
    switch (n->op) {
    case OP_SUM_COLS:
    case OP_LOGSUMEXP:
    case OP_NORM:
    case OP_RESHAPE:
    case OP_STOP:
    case OP_GATHER_COLS:
    case OP_SCATTER_COLS:
    case OP_CONCAT_COLS:
    case OP_ROW_MATMUL:
    case OP_ROW_TRANSPOSE:
    case OP_ROW_SOLVE:
    case OP_ROW_TRISOLVE:
    case OP_ROW_CHOLESKY:
    case OP_ROW_LOGDET:
        return true;
    case OP_EXPAND:
        return true;
    case OP_SLICE: /* all the rows, some columns */
    case OP_PAD:
        return n->rows == ir->node[a[0]].rows;
    case OP_MATMUL:
        return !a[2] && ir->node[a[0]].rows < 0 && ir->node[a[1]].rows > 0;
    default:
        return false;
    }
}

/* The derivative of tanh at the operand of node i, or tanh for its derivative: OP_... of the partner. */
static int partner_op(int op) { return op == OP_tanh ? OP_dtanh : op == OP_dtanh ? OP_tanh : -1; }

/* What is known of each node goes where it goes. */
static void permute(ad_ir *ir, const int32_t *where, char *spare)
{
    size_t n = (size_t)ir->n;
    ad_node *node = ad_carve(&spare, n * sizeof *node);
    int32_t *origin = ad_carve(&spare, n * sizeof *origin), *uses = ad_carve(&spare, n * sizeof *uses),
            *stage = ad_carve(&spare, n * sizeof *stage);
    uint8_t *trait = ad_carve(&spare, n);
    for (int32_t i = 0; i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        int32_t to = where[i], *a = v->flags & NODE_EXT ? ir->ext + v->arg[0] : node[to].arg;
        node[to] = *v;
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++)
            a[k] = where[a[k]];
        origin[to] = ir->origin[i];
        uses[to] = ir->uses[i];
        stage[to] = ir->stage[i];
        trait[to] = ir->trait[i];
    }
    memcpy(ir->node, node, n * sizeof *node);
    memcpy(ir->origin, origin, n * sizeof *origin);
    memcpy(ir->uses, uses, n * sizeof *uses);
    memcpy(ir->stage, stage, n * sizeof *stage);
    memcpy(ir->trait, trait, n);
    for (int j = 0; j < ir->nout; j++)
        ir->out[j] = where[ir->out[j]];
    for (int i = 0; i < ir->nin; i++)
        ir->in[i] = ir->in[i] < 0 ? -1 : where[ir->in[i]];
}

size_t ad_group_scratch(int64_t nodes)
{
    return ((size_t)nodes + 2) * (7 * sizeof(int32_t) + sizeof(ad_node) + 1) + 9 * 64;
}

bool ad_pass_group(ad_ir *ir, bool full)
{
    size_t n = (size_t)ir->n + 1;
    if (!full || (!ir->batch && !ir->pairs))
        return true;
    ir->stage = ad_ir_take(ir, n * sizeof *ir->stage);
    if (!ir->stage)
        return false;
    int32_t top = 0;
    bool local_ones = false;
    for (int32_t i = 0; i < ir->n; i++) {
        const ad_node *v = &ir->node[i];
        const int32_t *a = ad_ir_args(ir, v);
        int32_t s = 0, local = is_local(ir, v);
        for (int k = 0, m = ad_ir_nargs(ir, v); k < m; k++) {
            int32_t of = ir->stage[a[k]];
            of += (of & 1) != local;
            s = of > s ? of : s;
        }
        s += (s & 1) != local;
        ir->stage[i] = s;
        top = s > top ? s : top;
        local_ones = local_ones || local;
    }
    if (!local_ones && !ir->pairs) {
        ad_ir_give(ir, ir->stage);
        ir->stage = NULL;
        return true;
    }
    char *at = ad_ir_scratch(ir, ad_group_scratch(ir->n));
    if (!at)
        return false;
    int32_t *first = ad_carve(&at, (n + 1) * sizeof *first), *where = ad_carve(&at, n * sizeof *where),
            *partner = ad_carve(&at, n * sizeof *partner), *seen = ad_carve(&at, n * sizeof *seen);
    memset(first, 0, ((size_t)top + 2) * sizeof *first);
    memset(partner, -1, n * sizeof *partner);
    memset(seen, -1, n * sizeof *seen);
    memset(where, -1, n * sizeof *where);
    for (int32_t i = 0; i < ir->n; i++) {
        first[ir->stage[i] + 1]++;
        const ad_node *v = &ir->node[i]; /* seen[x]: the tanh or its derivative at x that came first */
        int want = partner_op(v->op);
        if (want < 0)
            continue;
        int32_t x = v->arg[0];
        if (seen[x] >= 0 && ir->node[seen[x]].op == want && ir->stage[seen[x]] == ir->stage[i])
            partner[seen[x]] = i;
        else if (seen[x] < 0)
            seen[x] = i;
    }
    for (int32_t s = 0; s <= top; s++)
        first[s + 1] += first[s];
    for (int32_t i = 0; i < ir->n; i++) {
        if (where[i] >= 0)
            continue;
        where[i] = first[ir->stage[i]]++;
        if (partner[i] >= 0)
            where[partner[i]] = first[ir->stage[i]]++;
    }
    permute(ir, where, at);
    if (!top) {
        ad_ir_give(ir, ir->stage);
        ir->stage = NULL;
    }
    return true;
}
