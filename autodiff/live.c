/* live.c - pass: the nodes that the outputs need, in recorded order, renumbered without gaps.
 * Contract: operands come before their users; each listed input is one node or -1; every constant with a fixed
 * number of rows has become numbers of the program's type, every constant with a batch of rows an expansion of one
 * number.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { LARGE = 4096 }; /* a constant of equal elements beyond this is expanded when it runs, not stored */

void ad_ir_free(ad_ir *ir)
{
    free(ir->node);
    free(ir->ext);
    free(ir->origin);
    free(ir->stage);
    free(ir->in);
    free(ir->out);
    free(ir->consts);
    memset(ir, 0, sizeof *ir);
}

int64_t ad_ir_const(ad_ir *ir, int64_t count)
{
    if (ir->nconsts + count > ir->consts_cap) {
        int64_t cap = 2 * (ir->nconsts + count) + 16;
        char *c = realloc(ir->consts, (size_t)cap * ir->k->size);
        if (!c)
            return -1;
        ir->consts = c;
        ir->consts_cap = cap;
    }
    ir->nconsts += count;
    return ir->nconsts - count;
}

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

/* Marks what the outputs need; counts nodes and pool entries. */
static void mark(const ad_tape *t, uint8_t *need, int32_t top, int32_t *nodes, int64_t *pool)
{
    *nodes = 0;
    *pool = 0;
    for (int32_t id = top - 1; id >= 0; id--) {
        if (!need[id])
            continue;
        const ad_node *n = ad_at_id(t, id);
        const int32_t *a = ad_args(t, n);
        int m = ad_nargs(t, n);
        for (int i = 0; i < m; i++)
            need[a[i]] = 1;
        *nodes += 1 + (n->op == OP_FILL); /* a filled batch needs its number */
        *pool += n->flags & NODE_EXT ? 1 + m + n->nattr : 0;
    }
}

static bool copy_node(ad_ir *ir, const ad_tape *t, int32_t id, int32_t *map, const int32_t *slot)
{
    const ad_node *n = ad_at_id(t, id);
    ad_node m = *n;
    m.flags &= NODE_EXT;
    if (n->op == OP_INPUT) {
        ir->in[slot[n->arg[0]]] = ir->n;
        m.arg[0] = slot[n->arg[0]];
    } else if (n->op == OP_CONST) {
        const double *v = t->values + ad_const_at(ad_attrs(t, n));
        if (!constant(ir, &m, (int64_t)n->rows * n->cols, v, 1))
            return false;
    } else if (n->op == OP_FILL) {
        const double *v = t->values + n->arg[0];
        if (n->rows < 0 || (int64_t)n->rows * n->cols > LARGE) {
            ad_node one = *n;
            one.rows = one.cols = 1;
            if (!constant(ir, &one, 1, v, 0))
                return false;
            ir->node[ir->n] = one;
            ir->origin[ir->n] = id;
            m = (ad_node){.op = OP_EXPAND, .nargs = 1, .rows = n->rows, .cols = n->cols, .arg = {ir->n++}};
        } else if (!constant(ir, &m, (int64_t)n->rows * n->cols, v, 0)) {
            return false;
        }
    } else if (n->flags & NODE_EXT) {
        int nargs = ad_nargs(t, n);
        const int32_t *a = ad_args(t, n);
        int32_t at = ir->next + 1;
        ir->ext[at - 1] = nargs;
        for (int i = 0; i < nargs; i++)
            ir->ext[at + i] = map[a[i]];
        if (n->nattr)
            memcpy(ir->ext + at + nargs, a + nargs, (size_t)n->nattr * sizeof *a);
        ir->next = at + nargs + n->nattr;
        m.arg[0] = at;
    } else {
        for (int i = 0; i < n->nargs; i++)
            m.arg[i] = map[n->arg[i]];
    }
    map[id] = ir->n;
    ir->origin[ir->n] = id;
    ir->node[ir->n++] = m;
    return true;
}

bool ad_pass_live(ad_ir *ir, ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[])
{
    int32_t top = 0, nodes;
    int64_t pool;
    for (int i = 0; i < nout; i++)
        top = out[i].id >= top ? out[i].id + 1 : top;
    uint8_t *need = calloc((size_t)top + 1, 1);
    int32_t *map = malloc(((size_t)top + 1) * sizeof *map);
    int32_t *slot = malloc(((size_t)t->ninputs + 1) * sizeof *slot);
    ir->tape = t;
    ir->nin = nin;
    ir->nout = nout;
    ir->in = malloc(((size_t)nin + 1) * sizeof *ir->in);
    ir->out = malloc(((size_t)nout + 1) * sizeof *ir->out);
    bool ok = need && map && slot && ir->in && ir->out;
    if (ok) {
        for (int i = 0; i < nout; i++)
            need[out[i].id] = 1;
        mark(t, need, top, &nodes, &pool);
        if (!name_inputs(ir, t, need, top, nin, in, slot)) {
            free(need);
            free(map);
            free(slot);
            return false;
        }
        ir->node = malloc(((size_t)nodes + 1) * sizeof *ir->node);
        ir->origin = malloc(((size_t)nodes + 1) * sizeof *ir->origin);
        ir->ext = malloc(((size_t)pool + 1) * sizeof *ir->ext);
        ir->ext_cap = (int32_t)pool + 1;
        ok = ir->node && ir->origin && ir->ext;
    }
    for (int i = 0; ok && i < nin; i++)
        ir->in[i] = -1;
    for (int32_t id = 0; ok && id < top; id++)
        if (need[id])
            ok = copy_node(ir, t, id, map, slot);
    for (int i = 0; ok && i < nout; i++)
        ir->out[i] = map[out[i].id];
    free(need);
    free(map);
    free(slot);
    if (!ok)
        ad_fail(t, AD_ENOMEM, "ad_compile: out of memory");
    ir->report.nodes = top;
    ir->report.live = ir->report.after_cse = ir->report.after_fold = ir->n;
    return ok;
}
