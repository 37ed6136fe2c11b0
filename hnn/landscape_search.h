/* landscape_search.h - private: what finding, contours and ways down share. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LANDSCAPE_SEARCH_H
#define HNN_LANDSCAPE_SEARCH_H

#include "landscape.h"

#define HNN_LOCAL __attribute__((visibility("hidden")))

typedef struct hnn_search {
    hnn_landscape_energy H;
    void *data;
    int dim, failed; /* failed: the code of H */
    const double *lo, *hi, *period;
    double *half, *middle;              /* u = (z - middle)/half is in [-1, 1] */
    double *z, *g, *h, *w, *v, *u, *u1; /* scratch: [dim], [dim], [dim, dim], ... */
    double slope, curvature;            /* root mean square of |dH/du| and |d2H/du2| at the starts */
    double *bend;                       /* [dim] the same of the rows of d2H/du2 */
    int room;
    hnn_landscape *out;
} hnn_search;

/* energy, gradient and Hessian by u, any of them NULL */
HNN_LOCAL int hnn_search_at(hnn_search *s, const double u[], double *H, double g[], double h[]);
/* from u to an equilibrium; *found 0 if there is none on the way */
HNN_LOCAL int hnn_search_newton(hnn_search *s, double u[], int *found, hnn_error *e);
/* into one period; 1 if inside the box */
HNN_LOCAL int hnn_search_wrap(const hnn_search *s, double u[]);
HNN_LOCAL double hnn_search_distance(const hnn_search *s, const double u[], const hnn_equilibrium *q);
/* index of the equilibrium at u, which is added if it is new; -1: not isolated */
HNN_LOCAL int hnn_search_add(hnn_search *s, const double u[], int *index, hnn_error *e);
HNN_LOCAL int hnn_search_contours(hnn_search *s, int grid, hnn_error *e);
HNN_LOCAL int hnn_search_merges(hnn_search *s, hnn_error *e);

#endif
