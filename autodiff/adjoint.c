/* adjoint.c - the sum of the contributions to an adjoint. Blocks, the adjoints of slices, are put side by side where there
 * are many: a function of n elements taken out one by one has a gradient in time n, not n^2.
 * Invariant: the order of a sum is the order of the reverse sweep.
 *
 * SPDX-License-Identifier: MIT */
#include "adjoint.h"

enum { WHOLE = INT32_MIN };

bool ad_sums_block(ad_sums *s, int32_t node, ad_var v, int32_t row, int32_t col)
{
    if (ad_is_number(v) && v.value == 0)
        return true;
    int32_t at = s->spare;
    if (at) {
        s->spare = s->part[at - 1].next;
    } else if (s->n == s->cap) {
        int32_t cap = 2 * s->cap + 64;
        struct ad_part_sum *p = realloc(s->part, (size_t)cap * sizeof *p);
        if (!p)
            return false;
        s->part = p;
        s->cap = cap;
    }
    if (!at)
        at = ++s->n;
    s->part[at - 1] = (struct ad_part_sum){v, s->head[node], row, col};
    s->head[node] = at;
    return true;
}

bool ad_sums_add(ad_sums *s, int32_t node, ad_var v) { return ad_sums_block(s, node, v, WHOLE, 0); }

typedef struct block {
    ad_var v;
    int32_t row, col, rows, cols;
    int64_t first, size; /* place and number of elements in the flat value */
} block;

static int by_place(const void *a, const void *b)
{
    int64_t x = ((const block *)a)->first, y = ((const block *)b)->first;
    return (x > y) - (x < y);
}

/* Blocks that do not overlap, side by side with zeros between; void, without an error, where they do. */
static ad_var side_by_side(ad_tape *t, int n, const block in[], int32_t rows, int64_t size)
{
    block *b = malloc((size_t)n * sizeof *b);
    ad_var *v = malloc((2 * (size_t)n + 1) * sizeof *v), y = ad_void(t);
    int m = 0;
    int64_t at = 0;
    if (!b || !v) {
        ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
        goto done;
    }
    memcpy(b, in, (size_t)n * sizeof *b);
    qsort(b, (size_t)n, sizeof *b, by_place);
    for (int i = 0; i < n && b[i].first >= at; i++) {
        if (b[i].first > at)
            v[m++] = ad_fill(t, rows, (int32_t)(b[i].first - at), 0);
        v[m++] = b[i].v;
        at = b[i].first + b[i].size;
        if (i == n - 1) {
            if (at < size)
                v[m++] = ad_fill(t, rows, (int32_t)(size - at), 0);
            y = ad_concat_cols(m, v);
        }
    }
done:
    free(b);
    free(v);
    return y;
}

/* All blocks as columns, added to their places. */
static ad_var scattered(ad_tape *t, int n, const block b[], int32_t cols, int64_t size, int64_t all)
{
    ad_var *v = malloc((size_t)n * sizeof *v), y = ad_void(t);
    int *index = malloc((size_t)all * sizeof *index), k = 0;
    if (v && index) {
        for (int q = 0; q < n; q++) {
            v[q] = b[q].v;
            for (int32_t i = 0; i < b[q].rows; i++)
                for (int32_t j = 0; j < b[q].cols; j++)
                    index[k++] = (b[q].row + i) * cols + b[q].col + j;
        }
        y = ad_scatter_cols(ad_concat_cols(n, v), (int)size, index);
    } else {
        ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
    }
    free(v);
    free(index);
    return y;
}

/* n blocks summed to [rows,cols]; they are worth joining when padding each would touch more than they hold. */
static ad_var joined(ad_tape *t, int n, block b[], int32_t rows, int32_t cols)
{
    int64_t size = rows < 0 ? cols : (int64_t)rows * cols, all = 0;
    bool apart = true, whole = true;
    for (int i = 0; i < n; i++) {
        b[i].rows = rows < 0 ? 1 : ad_rows(b[i].v);
        b[i].cols = ad_cols(b[i].v);
        b[i].first = (int64_t)b[i].row * cols + b[i].col;
        b[i].size = (int64_t)b[i].rows * b[i].cols;
        all += b[i].size;
        apart = apart && (b[i].rows == 1 || b[i].cols == cols);
        whole = whole && (rows > 0 || ad_rows(b[i].v) == rows);
    }
    /* Two halves of a value are put side by side; any other two are padded. */
    bool halves = n == 2 && apart && all == size && b[0].first + b[1].first == b[b[0].first > 0].size;
    if ((n < 3 && !halves) || !whole || 2 * all > n * size || size > INT32_MAX || all > INT32_MAX) {
        ad_var few[8], *v = n <= 8 ? few : malloc((size_t)n * sizeof *v), y;
        if (!v)
            return ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
        for (int i = 0; i < n; i++)
            v[i] = ad_pad(b[i].v, b[i].row, rows - ad_rows(b[i].v) - b[i].row, b[i].col,
                          cols - b[i].cols - b[i].col);
        y = ad_add_n(n, v);
        if (v != few)
            free(v);
        return y;
    }
    if (rows > 1)
        for (int i = 0; i < n; i++)
            b[i].v = ad_reshape(b[i].v, 1, (int)b[i].size);
    int32_t r = rows < 0 ? rows : 1;
    ad_var y = apart ? side_by_side(t, n, b, r, size) : ad_void(t);
    if (ad_is_void(y) && !t->status)
        y = scattered(t, n, b, cols, size, all);
    return rows > 1 ? ad_reshape(y, rows, cols) : y;
}

ad_var ad_sums_total(ad_sums *s, int32_t node, int32_t rows, int32_t cols, ad_tape *t)
{
    int n = 0, blocks = 0;
    int32_t head = s->head[node], last = head;
    for (int32_t i = head; i; i = s->part[i - 1].next) {
        n++;
        blocks += s->part[i - 1].row != WHOLE;
        last = i;
    }
    if (n == 0)
        return N(0);
    s->head[node] = 0;
    ad_var few[8], *v = n <= 8 ? few : malloc((size_t)n * sizeof *v), y = ad_void(t);
    block *b = blocks ? malloc((size_t)blocks * sizeof *b) : NULL;
    if (!v || (blocks && !b)) {
        ad_fail(t, AD_ENOMEM, "ad_vjp: out of memory");
        goto done;
    }
    int k = n - blocks, l = blocks;
    for (int32_t i = head; i; i = s->part[i - 1].next) { /* the last one comes first */
        const struct ad_part_sum *p = &s->part[i - 1];
        if (p->row != WHOLE) {
            b[--l] = (block){.v = p->value, .row = p->row, .col = p->col};
        } else {
            v[--k] = p->value;
            const ad_node *nv = p->value.tape ? ad_node_of(p->value) : NULL;
            if (nv && ((nv->rows != rows && nv->rows != 1) || (nv->cols != cols && nv->cols != 1)))
                v[k] = ad_sum_to(v[k], nv->rows == rows ? rows : 1, nv->cols == cols ? cols : 1);
        }
    }
    if (blocks)
        v[n - blocks] = joined(t, blocks, b, rows, cols);
    y = ad_add_n(n - blocks + (blocks > 0), v);
done:
    s->part[last - 1].next = s->spare;
    s->spare = head;
    if (v != few)
        free(v);
    free(b);
    return y;
}
