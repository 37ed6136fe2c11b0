/* color.c - columns that may share one directional derivative.
 * Invariant: greedy in the order of falling degree (ties in their order), so a band gets its width and an arrow two.
 *
 * SPDX-License-Identifier: MIT */
#include "pattern.h"

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
