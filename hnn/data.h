/* data.h - trajectories in memory: loading, checking, splitting, derivatives, noise, saving.
 * Invariant: trajectory k is the rows offset[k] .. offset[k+1]-1, and within it time increases strictly. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_DATA_H
#define HNN_DATA_H

#include "error.h"
#include "text.h"

/* hnn_data_pick - a copy of the rows [from[k], to[k]) of trajectory which[k], k < n, as n trajectories. */
int hnn_data_pick(const hnn_data *d, int n, const int which[], const long from[], const long to[],
                  hnn_data *out, hnn_error *e);

/* hnn_local_fit - least-squares polynomial through the n points (t, y[0], y[stride], ...) nearest in index to point i: 2
 * half_width + 1 of them, fewer at ends, where the window is one-sided. Gives value, first and second derivative at
 * t[i], the standard error of the first for unit noise in y, and the residual's RMS. order < points, else lowered.
 * Times need not be regular. Source: Savitzky, Golay (1964), Anal. Chem. 36, 1627; orthogonal
 * polynomials by Forsythe (1957), J. SIAM 5, 74. */
typedef struct hnn_fit {
    double value, d1, d2, se1, rms;
    int points, order;
} hnn_fit;
hnn_fit hnn_local_fit(long n, const double t[], const double y[], long stride, long i, int order,
                      int half_width);

/* hnn_data_integrate - replace z by the integral of dz plus, per trajectory and column, the constant that fits the old z best:
 * for derivatives that are far cleaner than the states. Noise falls by the square root of the length of a trajectory, and
 * a field fitted to it is no longer flattened by noise in its argument. Errors: HNN_EARG without derivatives or times. */
int hnn_data_integrate(hnn_data *d, hnn_error *e);

typedef double hnn_energy(const double z[], void *context);

typedef struct hnn_check {
    double interval, interval_min, interval_max; /* median and range; unit of t */
    double irregular; /* share of intervals that differ from the median by more than 1 % */
    long gaps;        /* intervals above 1.5 medians */
    double gap_longest;
    long gap_row;     /* row after the longest gap, -1 if none */
    long outliers;    /* values more than 6 robust standard deviations off a cubic through their neighbours */
    long outlier_row; /* the worst of them, -1 if none */
    int outlier_column; /* of z */
    int dof;
    double *ratio,
        *r2; /* [dof] least-squares p = ratio q', and the share of p it explains; NULL without time */
    double
        energy_change; /* (last third - first third) / first third, mean over trajectories: of the energy when one
                           * is given, else of the mean of p^2; NaN when trajectories are shorter than 12 rows */
    int energy_given;
} hnn_check;

/* hnn_data_check - what the data look like before anything is learned. energy may be NULL. */
int hnn_data_check(const hnn_data *d, hnn_energy *energy, void *context, hnn_check *c, hnn_error *e);
void hnn_check_free(hnn_check *c);
void hnn_check_text(const hnn_data *d, const hnn_check *c,
                    hnn_text *t); /* for a person, one finding a line */

void hnn_data_text(const hnn_data *d, hnn_text *t); /* appends that text */

#endif
