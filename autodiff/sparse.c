/* sparse.c - Jacobians and Hessians of which only the entries that can differ from 0 are computed.
 * Invariant: every entry is read from a directional derivative in which no other entry of its row takes part.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"
#include "pattern.h"

/* Where each entry is found in the products: product of colour c with the matrix, element i. */
typedef struct reading {
    int32_t count; /* colours */
    int32_t *color;
    int32_t *index; /* of each entry: c * size + i */
} reading;

/* J by its columns (a tangent for each colour) or, of its transpose, by its rows (an adjoint for each colour). */
static bool read_columns(const ad_pattern *a, reading *r)
{
    r->color = malloc(((size_t)a->n + 1) * sizeof *r->color);
    r->index = malloc(((size_t)a->nnz + 1) * sizeof *r->index);
    r->count = r->color && r->index ? ad_color_columns(a, r->color) : -1;
    for (int32_t i = 0; r->count >= 0 && i < a->m; i++)
        for (int32_t k = a->start[i]; k < a->start[i + 1]; k++)
            r->index[k] = r->color[a->col[k]] * a->m + i;
    return r->count >= 0;
}

/* J by its columns or by its rows, whichever takes fewer products. */
static bool read_best(const ad_pattern *a, reading *f, bool *forward)
{
    ad_pattern b = {0};
    reading g = {0};
    bool ok = ad_pattern_transpose(a, &b) && read_columns(a, f) && read_columns(&b, &g);
    *forward = !ok || f->count <= g.count;
    if (!*forward) { /* entries of the transpose in the order of a: each row of it is passed once, ascending */
        int32_t *next = b.start;
        for (int32_t i = 0; i < a->m; i++)
            for (int32_t k = a->start[i]; k < a->start[i + 1]; k++)
                f->index[k] = g.index[next[a->col[k]]++];
        free(f->color);
        f->color = g.color;
        f->count = g.count;
        g.color = NULL;
    }
    free(g.color);
    free(g.index);
    ad_pattern_free(&b);
    return ok;
}

/* Of a symmetric pattern: entry (i,j) is read in row i where colour j is alone there, else in row j. */
static bool read_symmetric(const ad_pattern *a, reading *r)
{
    r->color = malloc(((size_t)a->n + 1) * sizeof *r->color);
    r->index = malloc(((size_t)a->nnz + 1) * sizeof *r->index);
    r->count = r->color && r->index ? ad_color_star(a, r->color) : -1;
    int32_t *alone = malloc(((size_t)a->nnz + 1) * sizeof *alone);
    int32_t *first = calloc((size_t)(r->count > 0 ? r->count : 0) + 1, sizeof *first);
    bool ok = r->count >= 0 && alone && first, direct = true;
    for (int32_t i = 0; ok && i < a->m; i++) {
        int32_t b = a->start[i], e = a->start[i + 1];
        for (int32_t k = b; k < e; k++) {
            alone[k] = 1;
            first[r->color[a->col[k]]] = -1;
        }
        for (int32_t k = b; k < e; k++) {
            int32_t c = r->color[a->col[k]];
            if (first[c] >= 0)
                alone[k] = alone[first[c]] = 0;
            first[c] = k;
        }
    }
    for (int32_t i = 0; ok && i < a->m; i++)
        for (int32_t k = a->start[i]; k < a->start[i + 1]; k++) {
            int32_t j = a->col[k], mirror = a->start[j], last = a->start[j + 1] - 1;
            while (mirror < last) { /* entry (j,i) by halving */
                int32_t half = mirror + (last - mirror) / 2;
                if (a->col[half] < i)
                    mirror = half + 1;
                else
                    last = half;
            }
            r->index[k] = alone[k] ? r->color[j] * a->m + i : r->color[i] * a->m + j;
            direct = direct && (alone[k] || alone[mirror]);
        }
    free(alone);
    free(first);
    if (ok && !direct) { /* cannot happen with a star colouring; a plain one always serves */
        free(r->color);
        free(r->index);
        return read_columns(a, r);
    }
    return ok;
}

/* Ones at the columns of each colour: [colours, n]. */
static ad_var seeds(const ad_part *p, const reading *r, int32_t n)
{
    double *v = calloc((size_t)r->count * (size_t)n, sizeof *v);
    if (!v)
        return ad_fail(p->home, AD_ENOMEM, "%s: out of memory", p->who);
    for (int32_t j = 0; j < n; j++)
        v[(int64_t)r->color[j] * n + j] = 1;
    ad_var s = ad_const(p->home, r->count, n, v);
    free(v);
    return s;
}

/* The products one by one, where they cannot be rows of one graph: y, x on home. */
static ad_var one_by_one(ad_var y, ad_var x, ad_var seed, bool forward)
{
    ad_tape *t = x.tape;
    int32_t count = ad_rows(seed), r = ad_rows(forward ? x : y), c = ad_cols(forward ? x : y);
    ad_var *d = malloc((size_t)count * sizeof *d), out;
    if (!d)
        return ad_fail(t, AD_ENOMEM, "ad_jacobian_sparse: out of memory");
    for (int32_t i = 0; i < count && !t->status; i++) {
        ad_var e = ad_reshape(ad_rows_of(seed, i, 1), r, c);
        if (forward)
            ad_jvp(1, &y, 1, &x, &e, &d[i]);
        else
            ad_vjp(1, &y, &e, 1, &x, &d[i]);
        d[i] = ad_reshape(d[i], 1, ad_rows(d[i]) * ad_cols(d[i]));
    }
    out = t->status ? ad_void(t) : ad_concat_rows(count, d);
    free(d);
    return out;
}

/* The pattern as lists; with `lower` only entries on and below the diagonal, and `index` follows. */
static bool listed(const ad_pattern *a, bool lower, int *nnz, int **row, int **col, int32_t *index)
{
    int n = 0;
    *row = malloc(((size_t)a->nnz + 1) * sizeof **row);
    *col = malloc(((size_t)a->nnz + 1) * sizeof **col);
    for (int32_t i = 0; *row && *col && i < a->m; i++)
        for (int32_t k = a->start[i]; k < a->start[i + 1]; k++)
            if (!lower || a->col[k] <= i) {
                (*row)[n] = i;
                (*col)[n] = a->col[k];
                index[n++] = index[k];
            }
    *nnz = n;
    return *row && *col;
}

/* y on p->t; root, x on home, root(x) the function that y copies. */
static ad_var compressed(ad_part *p, const ad_pattern *a, const reading *r, bool forward, ad_var y, int nnz,
                         ad_var v[2])
{
    ad_var d, b = ad_void(p->home), like = forward ? p->x[0] : y;
    ad_var e = ad_part_leaf(p, ad_rows(like), ad_cols(like)), seed = seeds(p, r, forward ? a->n : a->m);
    int32_t blocked;
    if (nnz == 0)
        return ad_fill(p->home, 1, 1, 0);
    if (forward)
        ad_jvp(1, &y, 1, p->x, &e, &d);
    else
        ad_vjp(1, &y, &e, 1, p->x, &d);
    if (ad_lift(p, e, seed, 1, &d, &b, &blocked) == AD_EUNSUPPORTED)
        b = one_by_one(v[0], v[1], seed, forward);
    b = ad_reshape(b, 1, r->count * (forward ? a->m : a->n));
    return p->home->status ? ad_void(p->home) : ad_gather_cols(b, nnz, r->index);
}

static ad_var failed(ad_tape *t, const char *who, int *nnz, int **row, int **col)
{
    if (row && *row) {
        free(*row);
        *row = NULL;
    }
    if (col && *col) {
        free(*col);
        *col = NULL;
    }
    if (nnz)
        *nnz = 0;
    return who ? ad_fail(t, AD_ENOMEM, "%s: out of memory", who) : ad_void(t);
}

static bool asked(const char *who, ad_var y, ad_var x, bool hessian, int *nnz, int **row, int **col)
{
    char s[2][32];
    ad_tape *t = x.tape ? x.tape : y.tape;
    if (row)
        *row = NULL;
    if (col)
        *col = NULL;
    if (!nnz || !row || !col)
        ad_fail(t, AD_EARG, "%s: nnz, row and col are all needed", who);
    else if (ad_is_number(x))
        ad_fail(t, AD_EARG, "%s: x is a number; needs a recorded value", who);
    else if (ad_is_void(x) || ad_is_void(y))
        return false;
    else if (hessian && (ad_rows(y) != 1 || ad_cols(y) != 1))
        ad_fail(t, AD_ESHAPE, "%s: y is %s; needs [1,1]", who, ad_shape_text(s[0], ad_rows(y), ad_cols(y)));
    else if (ad_rows(y) < 0 || ad_rows(x) < 0)
        ad_fail(t, AD_ESHAPE, "%s: y is %s, x is %s; needs fixed numbers of rows", who,
                ad_shape_text(s[0], ad_rows(y), ad_cols(y)), ad_shape_text(s[1], ad_rows(x), ad_cols(x)));
    return ad_status(t) == AD_OK;
}

ad_var ad_jacobian_sparse(ad_var y, ad_var x, int *nnz, int **row, int **col)
{
    static const char who[] = "ad_jacobian_sparse";
    ad_part p;
    ad_pattern a;
    reading f = {0};
    ad_var out;
    ad_tape *t = x.tape ? x.tape : y.tape;
    if (!asked(who, y, x, false, nnz, row, col) || !ad_part_open(&p, who, 1, &y, 1, &x))
        return failed(t, NULL, nnz, row, col);
    ad_var py = ad_is_number(p.y[0]) ? ad_fill(p.t, 1, 1, 0) : p.y[0];
    if (ad_part_status(&p) || !ad_pattern_of(&p, py, p.x[0], &a)) {
        ad_part_close(&p);
        return failed(t, NULL, nnz, row, col);
    }
    bool forward, ok = read_best(&a, &f, &forward);
    ok = ok && listed(&a, false, nnz, row, col, f.index);
    out = ok ? compressed(&p, &a, &f, forward, py, *nnz, (ad_var[]){y, x}) : failed(t, who, nnz, row, col);
    if (ad_is_void(out))
        failed(t, NULL, nnz, row, col);
    free(f.color), free(f.index);
    ad_pattern_free(&a);
    ad_part_close(&p);
    return out;
}

/* Are the entries of the gradient's Jacobian cheaper written out? A product costs one number for each element of each node;
 * an entry of a node is read by index, multiplied and added by index. */
static bool written_out(const ad_part *p, const ad_pattern *a, const reading *r)
{
    enum { ENTRY = 4 };
    bool known = ENTRY * a->entries < (int64_t)r->count * a->elements;
    for (int32_t id = 0; known && id < p->t->n; id++)
        known = ad_at_id(p->t, id)->rows > 0 && ad_entries_known(ad_at_id(p->t, id)->op);
    return known;
}

/* The listed entries of a symmetric matrix out of those that are written out, in either triangle. */
static ad_var picked(const ad_part *p, ad_var y, ad_var x, int nnz, const int *row, const int *col,
                     int32_t *index)
{
    ad_pattern e = {0};
    ad_var all, out = ad_void(p->home);
    if (!ad_entries(ad_grad(y, x), x, &e, &all)) {
        ad_pattern_free(&e);
        return out;
    }
    for (int k = 0; k < nnz; k++)
        for (int turn = 0, found = 0; turn < 2 && !found; turn++) {
            int32_t i = turn ? col[k] : row[k], j = turn ? row[k] : col[k], a = e.start[i],
                    b = e.start[i + 1];
            while (a < b) {
                int32_t half = a + (b - a) / 2;
                if (e.col[half] < j)
                    a = half + 1;
                else
                    b = half;
            }
            found = a < e.start[i + 1] && e.col[a] == j;
            index[k] = a;
        }
    out = nnz ? ad_gather_cols(all, nnz, index) : ad_fill(p->home, 1, 1, 0);
    ad_pattern_free(&e);
    return out;
}

ad_var ad_hessian_sparse(ad_var y, ad_var x, int *nnz, int **row, int **col)
{
    static const char who[] = "ad_hessian_sparse";
    ad_part p;
    ad_pattern a, b = {0};
    reading r = {0};
    ad_var out, v[2] = {ad_void(NULL), x};
    ad_tape *t = x.tape ? x.tape : y.tape;
    if (!asked(who, y, x, true, nnz, row, col) || !ad_part_open(&p, who, 1, &y, 1, &x))
        return failed(t, NULL, nnz, row, col);
    ad_var g = ad_is_number(p.y[0]) ? ad_fill(p.t, ad_rows(x), ad_cols(x), 0) : ad_grad(p.y[0], p.x[0]);
    if (ad_part_status(&p) || !ad_pattern_of(&p, g, p.x[0], &a)) {
        ad_part_close(&p);
        return failed(t, NULL, nnz, row, col);
    }
    bool ok = ad_pattern_mirror(&a, &b) && read_symmetric(&b, &r) && listed(&b, true, nnz, row, col, r.index);
    out = failed(t, ok ? NULL : who, NULL, NULL, NULL);
    if (ok) {
        bool in_the_way = false; /* then ad_lift will say so: the gradient is needed on home */
        for (int32_t id = 0; id < p.t->n; id++)
            in_the_way = in_the_way || ad_at_id(p.t, id)->rows < 0 || ad_has_object(ad_at_id(p.t, id)->op);
        v[0] = in_the_way ? ad_grad(y, x) : v[0];
        out = !in_the_way && !ad_is_number(y) && written_out(&p, &a, &r)
                  ? picked(&p, y, x, *nnz, *row, *col, r.index)
                  : compressed(&p, &b, &r, true, g, *nnz, v);
    }
    if (ad_is_void(out))
        failed(t, NULL, nnz, row, col);
    free(r.color), free(r.index);
    ad_pattern_free(&a);
    ad_pattern_free(&b);
    ad_part_close(&p);
    return out;
}

/* Whole matrices ----------------------------------------------------------------------------------------- */

enum { WORTH = 16 }; /* directions, fewer of which are not worth a pattern */

/* The entries [1,nnz] put where they belong, zeros elsewhere; of a symmetric matrix they are the lower triangle. */
static ad_var spread(const ad_part *p, ad_var entries, int nnz, const int *row, const int *col, int32_t m,
                     int32_t n, bool symmetric)
{
    int *index = malloc((size_t)m * (size_t)n * sizeof *index);
    if (!index)
        return ad_fail(p->home, AD_ENOMEM, "%s: out of memory", p->who);
    for (int64_t k = 0; k < (int64_t)m * n; k++)
        index[k] = nnz; /* the zero behind them */
    for (int k = 0; k < nnz; k++) {
        index[(int64_t)row[k] * n + col[k]] = k;
        if (symmetric)
            index[(int64_t)col[k] * n + row[k]] = k;
    }
    ad_var both[2] = {entries, ad_fill(p->home, 1, 1, 0)};
    ad_var all = ad_gather_cols(ad_concat_cols(2, both), m * n, index);
    free(index);
    return ad_reshape(all, m, n);
}

bool ad_by_pattern(const char *who, ad_var y, ad_var x, bool hessian, ad_var *out)
{
    int32_t n = ad_rows(x) * ad_cols(x), m = hessian ? n : ad_rows(y) * ad_cols(y), least = m < n ? m : n;
    ad_part p;
    ad_pattern a = {0}, b = {0};
    reading r = {0};
    int nnz, *row = NULL, *col = NULL;
    bool forward = true, cheaper = false, in_the_way = false;
    *out = ad_void(x.tape);
    if (least < WORTH || ad_is_number(y))
        return false;
    if (!ad_part_open(&p, who, 1, &y, 1, &x))
        return true;
    for (int32_t id = 0; id < p.t->n; id++) /* products cannot be rows of one graph */
        in_the_way = in_the_way || ad_at_id(p.t, id)->rows < 0 || ad_has_object(ad_at_id(p.t, id)->op);
    if (!in_the_way) {
        ad_var g = hessian ? ad_grad(p.y[0], p.x[0]) : p.y[0];
        bool ok = !ad_part_status(&p) && ad_pattern_of(&p, g, p.x[0], &a);
        ok = ok &&
             (hessian ? ad_pattern_mirror(&a, &b) && read_symmetric(&b, &r) : read_best(&a, &r, &forward));
        bool entries = ok && hessian && written_out(&p, &a, &r);
        cheaper = ok && (entries || 2 * (int64_t)r.count <= least);
        ok = ok && (!cheaper || listed(hessian ? &b : &a, hessian, &nnz, &row, &col, r.index));
        if (ok && cheaper) {
            ad_var v = entries ? picked(&p, y, x, nnz, row, col, r.index)
                               : compressed(&p, hessian ? &b : &a, &r, forward, g, nnz, (ad_var[]){y, x});
            *out = spread(&p, v, nnz, row, col, m, n, hessian);
        } else if (!ok && !p.home->status) {
            ad_fail(p.home, AD_ENOMEM, "%s: out of memory", who);
        }
    }
    free(row), free(col), free(r.color), free(r.index);
    ad_pattern_free(&a);
    ad_pattern_free(&b);
    cheaper = cheaper || p.home->status;
    ad_part_close(&p);
    return cheaper;
}
