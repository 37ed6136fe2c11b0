/* landscape.h - the equilibria of any H in a box, what kind they are, and how its levels hang together.
 * Invariant: a function of H, the box, the options and the seed alone; equilibria are in ascending energy. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LANDSCAPE_H
#define HNN_LANDSCAPE_H

#include "error.h"

#include <stdint.h>

/* H, its gradient g [dim] and Hessian h [dim, dim] at z [dim] = (q, p); g and h may be NULL. What is not finite is outside
 * the domain. Nonzero: stop with that code. */
typedef int (*hnn_landscape_energy)(void *data, const double z[], double *H, double g[], double h[]);

enum {
    HNN_MINIMUM,
    HNN_SADDLE,
    HNN_MAXIMUM,
    HNN_DEGENERATE
}; /* of H, from the signs of the Hessian's eigenvalues */
enum {
    HNN_CENTRE,
    HNN_HYPERBOLIC,
    HNN_MIXED
}; /* of J Hess H: all real parts 0 (centre), none (saddle), some (mixed) */

typedef struct hnn_equilibrium {
    double *z; /* [dim] inside the box */
    double energy;
    int kind,
        index; /* index: number of negative eigenvalues of the Hessian (the Morse index unless degenerate) */
    int spectrum; /* real part 0 means abs(Re lambda) < 1e-3 norm_2(df/dz) */
    int modes;
    double
        *frequency;  /* [modes] imaginary parts > 0 of the eigenvalues, ascending: normal modes at a centre */
    double *re, *im; /* [dim] all eigenvalues of J Hess H */
} hnn_equilibrium;

typedef struct hnn_level { /* one degree of freedom: the lines H = energy in the box */
    double energy;
    int components, closed, rotations; /* rotations: closed only around the period of q */
} hnn_level;

enum { HNN_OUTSIDE = -1, HNN_UNRESOLVED = -2 };
enum { HNN_MERGE, HNN_LOOP, HNN_ESCAPE, HNN_UNKNOWN };
typedef struct
    hnn_merge {         /* a saddle of index 1 and where the two ways down from it end, in ascending energy */
    int saddle, end[2]; /* indices of equilibria; ends: minima, or HNN_OUTSIDE the box, or HNN_UNRESOLVED */
    /* MERGE: joins two basins that were apart below; `dies` is the higher of their deepest minima. ESCAPE: the same with the
     * outside, which is deepest of all. LOOP: joins what was joined. UNKNOWN: an end is unresolved. */
    int kind, dies;
    double persistence; /* energy of the saddle minus that of `dies`; 0 for LOOP and UNKNOWN */
} hnn_merge;

typedef struct hnn_landscape_options { /* 0: the default */
    int starts;                        /* random starts of Newton's method beside a grid; 64 dim */
    int grid;                          /* points of a side for contours; 241 */
    int points_only;                   /* 1: equilibria and separatrices, but no levels and no merges */
    const double *period;              /* [dim], > 0 for a periodic coordinate; NULL: none */
    uint64_t seed;
} hnn_landscape_options;

typedef struct hnn_landscape {
    int dim, n;
    hnn_equilibrium *at; /* [n] isolated equilibria */
    char reason[200];    /* why n is 0, or what was left out; empty: nothing */
    int separatrices;
    double *separatrix; /* [separatrices] different energies of the saddles of H, ascending */
    int levels;
    hnn_level *level; /* [levels] dim 2: one between each two critical energies, and one below and one above
                         * all of them where H in the box goes there */
    int merges;
    hnn_merge *merge; /* [merges] dim > 2: every saddle of index 1 */
} hnn_landscape;

/* hnn_landscape_find - box lo[dim], hi[dim]. Starts from a grid and from random points of the stream (seed, HNN_RNG_START);
 * damped Newton on dH/dz = 0 with a trust region; duplicates joined (within 1e-5 of the box); equilibria outside the box
 * dropped; families that are not isolated (a step along a null direction of the Hessian stays in equilibrium) dropped and
 * named in reason. Ways down from saddles follow the steepest descent in coordinates scaled by the box, by local quadratic
 * approximation; a minimum found only there is added. Free the result with hnn_landscape_free, also after an error.
 * Errors: HNN_EARG (box, dim), HNN_EMEM, the code of `H`.
 * Source: Page, McIver (1988), J. Chem. Phys. 88, 922-935 (descent); Edelsbrunner, Harer (2010), Computational topology,
 * VII.1 (the elder rule). */
int hnn_landscape_find(hnn_landscape_energy H, void *data, int dim, const double lo[], const double hi[],
                       const hnn_landscape_options *o, hnn_landscape *out, hnn_error *e);
void hnn_landscape_free(hnn_landscape *l);

/* hnn_flow_landscape - the hnn_flow * `flow` as H of hnn_landscape_find; where it cannot be evaluated is outside the domain. */
int hnn_flow_landscape(void *flow, const double z[], double *H, double g[], double h[]);

/* hnn_landscape_score - the F1 score of one-to-one matches (as many as possible) between true and learned equilibria: distance
 * norm(S^-1 dz) <= 0.05 sqrt(dim), same kind, index and spectrum; S = diag(scale), period [dim] or NULL. NaN when the truth has
 * no isolated equilibrium. Errors: HNN_EARG (dimensions differ, scale not positive), HNN_EMEM. */
int hnn_landscape_score(const hnn_landscape *truth, const hnn_landscape *learned, const double scale[],
                        const double period[], double *f1, hnn_error *e);

const char *hnn_kind_name(int kind);         /* "minimum", ... */
const char *hnn_spectrum_name(int spectrum); /* "centre", "saddle", "mixed" */

#endif
