/* landscape_score.c - how well one landscape has the equilibria of another. Invariant: the number of matches is the largest
 * possible, so the score does not hang on the order of the equilibria. */
/* SPDX-License-Identifier: MIT */
#include "landscape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int similar(const hnn_equilibrium *a, const hnn_equilibrium *b, int dim, const double *scale,
                   const double *period)
{
    double sum = 0;
    for (int i = 0; i < dim; i++) {
        double d = a->z[i] - b->z[i];
        if (period && period[i] > 0)
            d = remainder(d, period[i]);
        sum += d / scale[i] * (d / scale[i]);
    }
    return sqrt(sum) <= 0.05 * sqrt(dim) && a->kind == b->kind && a->index == b->index &&
           a->spectrum == b->spectrum;
}

/* an augmenting path from true equilibrium k */
static int augment(const hnn_landscape *t, const hnn_landscape *l, const double *scale, const double *period,
                   int k, int *owner, char *seen)
{
    for (int j = 0; j < l->n; j++)
        if (!seen[j] && similar(&t->at[k], &l->at[j], t->dim, scale, period)) {
            seen[j] = 1;
            if (owner[j] < 0 || augment(t, l, scale, period, owner[j], owner, seen)) {
                owner[j] = k;
                return 1;
            }
        }
    return 0;
}

int hnn_landscape_score(const hnn_landscape *truth, const hnn_landscape *learned, const double scale[],
                        const double period[], double *f1, hnn_error *e)
{
    *f1 = NAN;
    if (truth->dim != learned->dim)
        return hnn_fail(e, HNN_EARG, "landscape score: %d coordinates against %d", truth->dim, learned->dim);
    for (int i = 0; i < truth->dim; i++)
        if (!(scale[i] > 0))
            return hnn_fail(e, HNN_EARG, "landscape score: the scale of coordinate %d is %g", i + 1,
                            scale[i]);
    if (!truth->n)
        return HNN_OK;
    int *owner = malloc(sizeof *owner * (size_t)(learned->n + 1)), hits = 0;
    char *seen = malloc((size_t)(learned->n + 1));
    if (!owner || !seen) {
        free(owner), free(seen);
        return hnn_fail(e, HNN_EMEM, "out of memory for the score of %d equilibria", learned->n);
    }
    for (int j = 0; j < learned->n; j++)
        owner[j] = -1;
    for (int k = 0; k < truth->n; k++) {
        memset(seen, 0, (size_t)learned->n);
        hits += augment(truth, learned, scale, period, k, owner, seen);
    }
    *f1 = 2.0 * hits / (truth->n + learned->n);
    free(owner), free(seen);
    return HNN_OK;
}

const char *hnn_kind_name(int kind)
{
    static const char *const name[] = {"minimum", "saddle", "maximum", "degenerate"};
    return kind >= 0 && kind <= HNN_DEGENERATE ? name[kind] : "unknown";
}

const char *hnn_spectrum_name(int spectrum)
{
    static const char *const name[] = {"centre", "saddle", "mixed"};
    return spectrum >= 0 && spectrum <= HNN_MIXED ? name[spectrum] : "unknown";
}
