/* color.c - columns that may share one directional derivative; transposed and mirrored patterns.
 * Invariant: greedy in the order of falling degree (ties in their order), so a band gets its width and an arrow two.
 *
 * SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <limits.h>

/* Columns by falling degree, stable: by counting. */
static int32_t *order(int32_t n, const int32_t *start)
{
    int32_t top = 0, *by = malloc(((size_t)n + 1) * sizeof *by);
    for (int32_t i = 0; i < n; i++)
        top = start[i + 1] - start[i] > top ? start[i + 1] - start[i] : top;
    int32_t *place = calloc((size_t)top + 2, sizeof *place);
    if (!by || !place) {
        free(by);
        free(place);
        return NULL;
    }
    for (int32_t i = 0; i < n; i++)
        place[top - (start[i + 1] - start[i]) + 1]++;
    for (int32_t d = 0; d < top; d++)
        place[d + 1] += place[d];
    for (int32_t i = 0; i < n; i++)
        by[place[top - (start[i + 1] - start[i])]++] = i;
    free(place);
    return by;
}

typedef struct greedy {
    int32_t *by, *taken; /* taken[c] = v: colour c is not for column v - 1 */
    int32_t *color, count;
} greedy;

static bool ready(greedy *g, int32_t n, const int32_t *start, int32_t color[])
{
    g->by = order(n, start);
    g->taken = calloc((size_t)n + 1, sizeof *g->taken);
    g->color = color;
    g->count = 0;
    for (int32_t i = 0; i < n; i++)
        color[i] = -1;
    return g->by && g->taken;
}
static void forbid(greedy *g, int32_t v, int32_t c)
{
    if (c >= 0)
        g->taken[c] = v + 1;
}
static void choose(greedy *g, int32_t v)
{
    int32_t c = 0;
    while (g->taken[c] == v + 1)
        c++;
    g->color[v] = c;
    if (c >= g->count)
        g->count = c + 1;
}

int32_t ad_color_columns(const ad_pattern *a, int32_t color[])
{
    ad_pattern b; /* by columns */
    greedy g = {0};
    if (!ad_pattern_transpose(a, &b))
        return -1;
    bool ok = ready(&g, a->n, b.start, color);
    for (int32_t q = 0; ok && q < a->n; q++) {
        int32_t v = g.by[q];
        for (int32_t k = b.start[v]; k < b.start[v + 1]; k++)
            for (int32_t l = a->start[b.col[k]]; l < a->start[b.col[k] + 1]; l++)
                forbid(&g, v, color[a->col[l]]);
        choose(&g, v);
    }
    ad_pattern_free(&b);
    free(g.by);
    free(g.taken);
    return ok ? g.count : -1;
}

int32_t ad_color_star(const ad_pattern *a, int32_t color[])
{
    greedy g = {0};
    struct {
        int32_t of, times;
    } *near =
        calloc((size_t)a->n + 1, sizeof *near); /* by colour: how often among the neighbours of v = of - 1 */
    bool ok = ready(&g, a->n, a->start, color) && near;
    for (int32_t q = 0; ok && q < a->n; q++) {
        int32_t v = g.by[q];
        for (int32_t k = a->start[v]; k < a->start[v + 1]; k++) {
            int32_t c = color[a->col[k]];
            if (c >= 0) {
                near[c].times = near[c].of == v + 1 ? near[c].times + 1 : 1;
                near[c].of = v + 1;
            }
        }
        for (int32_t k = a->start[v]; k < a->start[v + 1]; k++) {
            int32_t w = a->col[k];
            if (w == v)
                continue;
            forbid(&g, v, color[w]);
            for (int32_t l = a->start[w]; l < a->start[w + 1]; l++) { /* v - w - x - y, or u - v - w - x */
                int32_t x = a->col[l];
                if (x == v || x == w || color[x] < 0 || g.taken[color[x]] == v + 1)
                    continue;
                bool two = color[w] < 0 /* w may yet get any colour */ || near[color[w]].times > 1;
                for (int32_t z = a->start[x]; !two && z < a->start[x + 1]; z++)
                    two = a->col[z] != w && a->col[z] != x && color[a->col[z]] == color[w];
                if (two)
                    forbid(&g, v, color[x]);
            }
        }
        choose(&g, v);
    }
    free(near);
    free(g.by);
    free(g.taken);
    return ok ? g.count : -1;
}

void ad_pattern_free(ad_pattern *a)
{
    free(a->start);
    free(a->col);
    a->start = a->col = NULL;
}

bool ad_pattern_transpose(const ad_pattern *a, ad_pattern *out)
{
    *out = (ad_pattern){.m = a->n, .n = a->m, .nnz = a->nnz, .elements = a->elements, .entries = a->entries};
    out->start = calloc((size_t)out->m + 2, sizeof *out->start);
    out->col = malloc(((size_t)a->nnz + 1) * sizeof *out->col);
    if (!out->start || !out->col) {
        ad_pattern_free(out);
        return false;
    }
    for (int32_t k = 0; k < a->nnz; k++)
        out->start[a->col[k] + 2]++;
    for (int32_t j = 0; j < out->m; j++)
        out->start[j + 2] += out->start[j + 1];
    for (int32_t i = 0; i < a->m; i++)
        for (int32_t k = a->start[i]; k < a->start[i + 1]; k++)
            out->col[out->start[a->col[k] + 1]++] = i;
    return true;
}

bool ad_pattern_mirror(const ad_pattern *a, ad_pattern *out)
{
    ad_pattern b;
    *out = (ad_pattern){.m = a->m, .n = a->n, .elements = a->elements, .entries = a->entries};
    if (!ad_pattern_transpose(a, &b))
        return false;
    out->start = calloc((size_t)a->m + 1, sizeof *out->start);
    out->col = malloc((2 * (size_t)a->nnz + 1) * sizeof *out->col);
    bool ok = out->start && out->col;
    for (int32_t i = 0; ok && i < a->m; i++) { /* merge two ascending rows */
        int32_t k = a->start[i], l = b.start[i], to = out->start[i];
        while (k < a->start[i + 1] || l < b.start[i + 1]) {
            int32_t c = k < a->start[i + 1] ? a->col[k] : INT_MAX,
                    d = l < b.start[i + 1] ? b.col[l] : INT_MAX;
            out->col[to++] = c < d ? c : d;
            k += c <= d;
            l += d <= c;
        }
        out->start[i + 1] = to;
    }
    if (ok)
        out->nnz = out->start[a->m];
    else
        ad_pattern_free(out);
    ad_pattern_free(&b);
    return ok;
}
