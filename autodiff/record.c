/* record.c - a node is recorded, or found where an equal one was recorded lately.
 * Invariant: a node is written once and never moves.
 *
 * SPDX-License-Identifier: MIT */
#include "tape.h"

#include <limits.h>

bool ad_literal(ad_var x, double *value)
{
    if (ad_is_number(x)) {
        *value = x.value;
        return true;
    }
    const ad_node *n = ad_node_of(x);
    if (!n || n->op != OP_FILL)
        return false;
    *value = x.tape->values[n->arg[0]];
    return true;
}

static uint64_t hash(const ad_node *n)
{ /* independent products: they overlap */
    uint64_t a = (uint32_t)n->arg[0] * 0x9e3779b97f4a7c15u ^ (uint32_t)n->arg[1] * 0xff51afd7ed558ccdu;
    uint64_t b = (uint32_t)n->arg[2] * 0xc4ceb9fe1a85ec53u ^ n->op * 0xd6e8feb86659fd93u;
    uint64_t c = (((uint64_t)(uint32_t)n->rows << 32) ^ (uint32_t)n->cols) * 0xa0761d6478bd642fu;
    uint64_t h = (a ^ b ^ c) * 0xe7037ed1a0b428dbu;
    return h ^ h >> 32;
}

/* Where a node of this hash may be: *id is its number + 1, or 0 when it is not there for certain. */
static struct ad_recent *recent(const ad_tape *t, uint64_t h, int32_t *id)
{
    struct ad_recent *r = &t->cache[h % CACHE];
    *id = r->tag == (uint32_t)(h >> 32) ? r->id : 0;
    return r;
}

static bool room(ad_tape *t)
{
    if (t->n < t->nchunks * CHUNK)
        return true;
    if (t->n >= INT_MAX - CHUNK)
        return false;
    ad_node **chunk = realloc(t->chunk, (size_t)(t->nchunks + 1) * sizeof *chunk);
    if (!chunk)
        return false;
    t->chunk = chunk;
    t->chunk[t->nchunks] = malloc(CHUNK * sizeof(ad_node));
    if (!t->chunk[t->nchunks])
        return false;
    t->nchunks++;
    return true;
}

static int32_t add_ext(ad_tape *t, int nargs, const ad_var args[], int nattr, const int32_t attrs[])
{
    int64_t need = (int64_t)t->next + 1 + nargs + nattr;
    int32_t *spare = NULL;
    if (need > t->ext_cap) {
        int64_t cap = 2 * need + 64;
        int32_t *ext = cap < INT_MAX ? malloc((size_t)cap * sizeof *ext) : NULL, *old = t->ext;
        if (!ext)
            return -1;
        if (t->next)
            memcpy(ext, old, (size_t)t->next * sizeof *ext);
        t->ext = ext;
        spare = old; /* attrs may point into it */
        t->ext_cap = (int32_t)cap;
    }
    int32_t at = t->next + 1;
    t->ext[at - 1] = nargs;
    for (int i = 0; i < nargs; i++)
        t->ext[at + i] = args[i].id;
    for (int i = 0; i < nattr; i++)
        t->ext[at + nargs + i] = attrs[i];
    free(spare);
    t->next = (int32_t)need;
    return at;
}

/* How many operands pass a mask on to the result: what is linear in them, element by element. */
static const uint8_t passes[OP_COUNT_] = {
    [OP_neg] = 1, [OP_add] = 2,  [OP_sub] = 2,   [OP_mul] = 2, [OP_mulz] = 2,
    [OP_div] = 1, [OP_divz] = 1, [OP_where] = 3, [OP_fma] = 3, [OP_ADD_N] = UINT8_MAX,
#define SHAPE_OP(OP, name, kind, arity, attrs) [OP] = kind == AD_LINEAR ? UINT8_MAX : 0,
#include "ops_shape.def"
#undef SHAPE_OP
};

/* Whether an element of the result is 0 where an element of a masked operand is; where(c, x, 0) begins a mask. Rules then
 * multiply with mulz, so that the branch not taken stays out of every derivative. A result marked without need costs a
 * few instructions and nothing else. */
static bool masked(ad_tape *t, int op, int nargs, const ad_var args[])
{
    double v;
    int n = nargs < passes[op] || passes[op] == UINT8_MAX ? nargs : passes[op];
    if (op == OP_where)
        for (int i = 1; i < 3; i++)
            if (ad_literal(args[i], &v) && v == 0)
                return t->masks = true;
    for (int i = 0; t->masks && i < n; i++)
        if (ad_at_id(t, args[i].id)->flags & NODE_MASKED)
            return true;
    return false;
}

static ad_var append(ad_tape *t, const ad_node *n)
{
    if (!room(t))
        return ad_fail(t, AD_ENOMEM, "ad_%s: out of memory after %d nodes", ad_ops[n->op].name, t->n);
    *ad_at_id(t, t->n) = *n;
    return ad_var_of(t, t->n++);
}

ad_var ad_push(ad_tape *t, int op, int rows, int cols, int nargs, const ad_var args[], int nattr,
               const int32_t attrs[])
{
    if (t->status)
        return ad_void(t);
    ad_node n = {.op = (uint16_t)op, .nattr = nattr, .rows = rows, .cols = cols};
    if ((t->masks || op == OP_where) && masked(t, op, nargs, args))
        n.flags = NODE_MASKED;
    if (nargs + nattr > 3) {
        if (!room(t))
            return append(t, &n);
        n.flags |= NODE_EXT;
        n.arg[0] = add_ext(t, nargs, args, nattr, attrs);
        if (n.arg[0] < 0)
            return ad_fail(t, AD_ENOMEM, "ad_%s: out of memory for %d operands", ad_ops[op].name, nargs);
        return append(t, &n);
    }
    n.nargs = (uint8_t)nargs;
    for (int i = 0; i < nargs; i++)
        n.arg[i] = args[i].id;
    for (int i = 0; i < nattr; i++)
        n.arg[nargs + i] = attrs[i];
    if (op == OP_INPUT) /* never shared */
        return append(t, &n);
    int32_t old;
    uint64_t h = hash(&n);
    struct ad_recent *r = recent(t, h, &old);
    if (old && !memcmp(ad_at_id(t, old - 1), &n, sizeof n))
        return ad_var_of(t, old - 1);
    ad_var v = append(t, &n);
    if (v.id >= 0)
        *r = (struct ad_recent){(uint32_t)(h >> 32), v.id + 1};
    return v;
}

int64_t ad_add_values(ad_tape *t, int64_t count, const double values[])
{
    double *spare = NULL;
    if (t->nvalues + count > t->values_cap) {
        int64_t cap = 2 * (t->nvalues + count) + 32;
        double *v = malloc((size_t)cap * sizeof *v);
        if (!v)
            return -1;
        if (t->nvalues)
            memcpy(v, t->values, (size_t)t->nvalues * sizeof *v);
        spare = t->values; /* `values` may point into it */
        t->values = v;
        t->values_cap = cap;
    }
    memcpy(t->values + t->nvalues, values, (size_t)count * sizeof *values);
    free(spare);
    t->nvalues += count;
    return t->nvalues - count;
}

ad_var ad_record_fill(ad_tape *t, int rows, int cols, double value)
{
    /* equal constants share their value by bits, through a node of the cache where it is still there */
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int32_t old;
    uint64_t h = (bits ^ bits >> 32 ^ ((uint64_t)(uint32_t)rows << 40) ^ ((uint64_t)(uint32_t)cols << 20)) *
                 0x9e3779b97f4a7c15u; /* a short number has its bits on top */
    h ^= h >> 32;
    struct ad_recent *r = recent(t, h, &old);
    if (old) {
        const ad_node *n = ad_at_id(t, old - 1);
        if (n->op == OP_FILL && n->rows == rows && n->cols == cols &&
            !memcmp(&t->values[n->arg[0]], &value, sizeof value))
            return ad_var_of(t, old - 1);
    }
    int64_t at = ad_add_values(t, 1, &value);
    if (at < 0 || at > INT_MAX)
        return ad_fail(t, AD_ENOMEM, "ad_fill: out of memory");
    ad_node n = {.op = OP_FILL, .nattr = 1, .rows = rows, .cols = cols, .arg = {(int32_t)at}};
    ad_var v = append(t, &n);
    if (v.id >= 0)
        *r = (struct ad_recent){(uint32_t)(h >> 32), v.id + 1};
    return v;
}
