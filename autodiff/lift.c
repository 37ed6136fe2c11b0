/* lift.c - one recorded function, many directions: each node [r,c] that depends on the direction becomes [k, r*c], a
 * row for each direction, so that the graph has as many nodes as for one direction and each is large.
 * Invariant: row i of a lifted value is the value for direction i; what does not depend on it stays as it is.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"
#include "part.h"

typedef struct lift {
    ad_part *p;
    ad_tape *home;
    ad_var *to;  /* by id on p->t: on home, lifted or as it is */
    uint8_t *up; /* lifted: the value depends on the direction */
    int32_t k;   /* directions; AD_BATCH: the rows of the batch */
    bool each;   /* a sum over the batch is left unsummed */
} lift;

typedef struct shape {
    int32_t r, c; /* of one direction */
} shape;

static shape shape_of(const ad_node *n) { return (shape){n->rows < 0 ? -n->rows : n->rows, n->cols}; }
static bool varies(const lift *l, int32_t id) { return l->up[id] || ad_at_id(l->p->t, id)->rows < 0; }

/* [k, r*c], or [1, r*c] for what is the same in all directions. */
static ad_var flat(const lift *l, int32_t id)
{
    const ad_node *n = ad_at_id(l->p->t, id);
    shape s = shape_of(n);
    return l->up[id] ? l->to[id] : ad_reshape(l->to[id], n->rows < 0 ? -1 : 1, s.r * s.c);
}
static ad_var tall(const lift *l, ad_var v, shape s) { return ad_reshape(v, l->k * s.r, s.c); }
static ad_var unroll(const lift *l, ad_var v, shape s) { return ad_reshape(v, l->k, s.r * s.c); }
static ad_var every(const lift *l, ad_var v) { return ad_expand(v, l->k, ad_cols(v)); }

/* Columns of v in the order that place() gives for each element of an [r,c] result. */
static ad_var picked(ad_var v, shape s, shape from, const int32_t *at, bool scatter,
                     int (*place)(int i, int j, shape from, const int32_t *at))
{
    int n = s.r * s.c, *index = malloc((size_t)n * sizeof *index);
    if (!index)
        return ad_fail(v.tape, AD_ENOMEM, "ad_lift: out of memory");
    for (int i = 0, k = 0; i < s.r; i++)
        for (int j = 0; j < s.c; j++, k++)
            index[k] = place(i, j, from, at);
    ad_var y = scatter ? ad_scatter_cols(v, from.r * from.c, index) : ad_gather_cols(v, n, index);
    free(index);
    return y;
}
static int place_spread(int i, int j, shape from, const int32_t *at)
{
    (void)at;
    return (from.r == 1 ? 0 : i) * from.c + (from.c == 1 ? 0 : j);
}
static int place_row(int i, int j, shape from, const int32_t *at) { return at[i] * from.c + j; }

/* Operand id repeated to the shape of the result, flat. */
static ad_var spread(const lift *l, int32_t id, shape to)
{
    shape s = shape_of(ad_at_id(l->p->t, id));
    if (s.r == to.r && s.c == to.c)
        return flat(l, id);
    if (!varies(l, id))
        return ad_reshape(ad_expand(l->to[id], to.r, to.c), 1, to.r * to.c);
    if (s.r * s.c == 1)
        return ad_expand(flat(l, id), l->k, to.r * to.c);
    return picked(flat(l, id), to, s, NULL, false, place_spread);
}

static ad_var elementwise(const lift *l, const ad_node *n, int m, const int32_t arg[], ad_var x[])
{
    shape to = shape_of(n);
    for (int i = 0; i < m; i++) {
        shape s = shape_of(ad_at_id(l->p->t, arg[i]));
        x[i] = s.r * s.c == 1 ? flat(l, arg[i]) : spread(l, arg[i], to);
    }
    ad_var y = n->op == OP_ADD_N ? ad_add_n(m, x) : ad_elementwise(n->op, m, x);
    return ad_expand(y, l->k, to.r * to.c); /* a fold, or operands of one element */
}

/* op(A) op(B) for each direction. */
static ad_var product(const lift *l, const ad_node *n, const int32_t arg[], const int32_t at[])
{
    const ad_tape *t = l->p->t;
    shape a = shape_of(ad_at_id(t, arg[0])), b = shape_of(ad_at_id(t, arg[1])), y = shape_of(n);
    int ta = at[0], tb = at[1], inner = ta ? a.r : a.c;
    bool va = varies(l, arg[0]), vb = varies(l, arg[1]);
    ad_var A = va ? flat(l, arg[0]) : l->to[arg[0]], B = vb ? flat(l, arg[1]) : l->to[arg[1]];
    if (va && ta)
        A = ad_row_transpose(A, a.r, a.c);
    if (va && !vb) {
        A = tall(l, A, (shape){y.r, inner});
        return unroll(l, tb ? ad_matmul_nt(A, B) : ad_matmul(A, B), y);
    }
    if (!va && (tb || y.c == 1)) { /* (op(A) op(B))' = op(B)' op(A)', with op(B)' [n, inner] */
        B = tall(l, B, (shape){y.c, inner});
        B = unroll(l, ta ? ad_matmul(B, A) : ad_matmul_nt(B, A), y);
        return ad_row_transpose(B, y.c, y.r);
    }
    if (vb && tb)
        B = ad_row_transpose(B, b.r, b.c);
    if (!va)
        A = ad_reshape(ta ? ad_transpose(A) : A, 1, y.r * inner);
    return ad_row_matmul(A, B, y.r, inner, y.c);
}

/* Operands side by side or one below the other. */
static ad_var joined(const lift *l, const ad_node *n, int m, const int32_t arg[], ad_var x[])
{
    for (int i = 0; i < m; i++) {
        shape s = shape_of(ad_at_id(l->p->t, arg[i]));
        x[i] = every(l, flat(l, arg[i]));
        if (n->op == OP_CONCAT_COLS)
            x[i] = tall(l, x[i], s);
    }
    return unroll(l, ad_concat_cols(m, x), shape_of(n));
}

static ad_var moved(const lift *l, const ad_node *n, int32_t id, const int32_t at[])
{
    shape s = shape_of(ad_at_id(l->p->t, id)), y = shape_of(n);
    ad_var v = every(l, flat(l, id));
    int32_t row = at[0] < 0 ? -at[0] : at[0], col = at[1];
    if (n->op == OP_SLICE) {
        v = ad_cols_of(v, row * s.c, y.r * s.c);
        return y.c == s.c ? v : unroll(l, ad_cols_of(tall(l, v, (shape){y.r, s.c}), col, y.c), y);
    }
    if (y.c != s.c)
        v = unroll(l, ad_pad(tall(l, v, s), 0, 0, col, y.c - s.c - col), (shape){s.r, y.c});
    return ad_pad(v, 0, 0, row * y.c, (y.r - s.r - row) * y.c);
}

/* Operations that work on each row: the rows of all directions together. */
static ad_var rowwise(const lift *l, const ad_node *n, int m, const int32_t arg[])
{
    shape y = shape_of(n);
    ad_var x[2];
    for (int i = 0; i < m; i++) {
        shape s = shape_of(ad_at_id(l->p->t, arg[i]));
        if (s.r == 1 && !varies(l, arg[i]))
            x[i] = l->to[arg[i]]; /* shared by all rows */
        else
            x[i] = tall(l, every(l, spread(l, arg[i], (shape){y.r, s.c})), (shape){y.r, s.c});
    }
    return unroll(l, ad_again(l->p->t, n, l->home, x), y);
}

static ad_var lifted(const lift *l, int32_t id, ad_var x[])
{
    const ad_tape *t = l->p->t;
    const ad_node *n = ad_at_id(t, id);
    const int32_t *arg = ad_args(t, n), *at = ad_attrs(t, n);
    int m = ad_nargs(t, n);
    shape y = shape_of(n), s = m ? shape_of(ad_at_id(t, arg[0])) : y;
    if (ad_ops[n->op].kind == AD_ELEMENTWISE)
        return elementwise(l, n, m, arg, x);
    switch (n->op) {
    case OP_STOP:
        return ad_stop(flat(l, arg[0]));
    case OP_COUNT: /* of the rows of one direction */
        return ad_fill(l->home, 1, 1, s.r);
    case OP_SUM_ROWS:
        if (s.r == 1)
            return flat(l, arg[0]);
        if (s.c == 1)
            return ad_sum_cols(flat(l, arg[0]));
        return ad_row_matmul(ad_fill(l->home, 1, s.r, 1), flat(l, arg[0]), 1, s.r, s.c);
    case OP_SUM_COLS:
        return unroll(l, ad_sum_cols(tall(l, flat(l, arg[0]), s)), y);
    case OP_RESHAPE:
        return flat(l, arg[0]);
    case OP_EXPAND:
        return spread(l, arg[0], y);
    case OP_SLICE:
    case OP_PAD:
        return moved(l, n, arg[0], at);
    case OP_CONCAT_ROWS:
    case OP_CONCAT_COLS:
        return joined(l, n, m, arg, x);
    case OP_GATHER_ROWS:
        return picked(flat(l, arg[0]), y, s, at, false, place_row);
    case OP_SCATTER_ROWS:
        return picked(flat(l, arg[0]), s, y, at, true, place_row);
    case OP_TRANSPOSE:
        return ad_row_transpose(flat(l, arg[0]), s.r, s.c);
    case OP_MATMUL:
        return product(l, n, arg, at);
    default:
        return rowwise(l, n, m, arg);
    }
}

/* What the nodes of the copy become on home, in their order. */
static int32_t record(lift *l, const uint8_t *need, int32_t hi)
{
    const ad_tape *t = l->p->t;
    for (int32_t id = 0; id < hi && !l->home->status; id++) {
        if (!need[id] || l->up[id])
            continue;
        const ad_node *n = ad_at_id(t, id);
        const int32_t *arg = ad_args(t, n);
        int m = ad_nargs(t, n);
        bool up = false, batch = n->rows < 0, contracts = false;
        for (int i = 0; i < m; i++) {
            up = up || l->up[arg[i]];
            contracts = contracts || (n->rows >= 0 && ad_at_id(t, arg[i])->rows < 0);
            batch = batch || ad_at_id(t, arg[i])->rows < 0;
        }
        if (up && ((batch && !l->each) || ad_has_object(n->op)))
            return id;
        if (!up && id < l->p->n && l->p->origin[id] >= 0) {
            l->to[id] = ad_var_of(l->home, l->p->origin[id]);
            continue;
        }
        l->up[id] = up || (l->each && contracts && n->op != OP_COUNT);
        ad_var few[8], *x = m <= 8 ? few : malloc((size_t)m * sizeof *x);
        if (!x) {
            ad_fail(l->home, AD_ENOMEM, "%s: out of memory", l->p->who);
            break;
        }
        if (l->up[id] || (l->each && n->op == OP_COUNT)) {
            l->to[id] = lifted(l, id, x);
        } else {
            for (int i = 0; i < m; i++)
                x[i] = l->to[arg[i]];
            l->to[id] = ad_again(t, n, l->home, x);
        }
        if (x != few)
            free(x);
    }
    return -1;
}

int ad_lift(ad_part *p, ad_var v, ad_var value, int n, const ad_var root[], ad_var out[], int32_t *blocked)
{
    int32_t hi = p->t->n;
    lift l = {.p = p, .home = p->home, .each = ad_is_void(v)};
    l.k = l.each ? AD_BATCH : ad_rows(value);
    l.to = malloc((size_t)hi * sizeof *l.to);
    l.up = calloc((size_t)hi, 1);
    uint8_t *need = calloc((size_t)hi, 1);
    *blocked = -1;
    if (!l.to || !l.up || !need)
        ad_fail(p->home, AD_ENOMEM, "%s: out of memory", p->who);
    if (!ad_part_status(p)) {
        for (int i = 0; i < n; i++)
            if (!ad_is_number(root[i]))
                need[root[i].id] = 1;
        for (int32_t id = hi - 1; id >= 0; id--) {
            const ad_node *nd = ad_at_id(p->t, id);
            const int32_t *arg = ad_args(p->t, nd);
            for (int i = 0, m = need[id] ? ad_nargs(p->t, nd) : 0; i < m; i++)
                need[arg[i]] = 1;
        }
        if (!l.each) {
            l.up[v.id] = 1;
            l.to[v.id] = value;
        }
        *blocked = record(&l, need, hi);
    }
    for (int i = 0; i < n; i++) {
        if (p->home->status || *blocked >= 0)
            out[i] = ad_void(p->home);
        else if (ad_is_number(root[i]))
            out[i] = ad_fill(p->home, l.k, 1, root[i].value);
        else
            out[i] = every(&l, flat(&l, root[i].id));
    }
    free(need);
    free(l.up);
    free(l.to);
    return p->home->status ? p->home->status : *blocked >= 0 ? AD_EUNSUPPORTED : AD_OK;
}
