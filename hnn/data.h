/* data.h - trajectories in memory: loading, checking, splitting, derivatives, noise, saving.
 * Invariant: trajectory k is the rows offset[k] .. offset[k+1]-1, and within it time increases strictly. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_DATA_H
#define HNN_DATA_H

#include "error.h"
#include "text.h"

typedef enum {
    HNN_QP, /* positions and canonical momenta */
    HNN_QV, /* positions and velocities: p = M(q) v, M learned or given */
    HNN_Q,  /* positions only: velocities are estimated, then as HNN_QV */
} hnn_coords;

typedef struct hnn_data {
    int dof;
    int ntraj;
    long n; /* rows of all trajectories */
    hnn_coords coords;
    long *offset; /* ntraj + 1 */
    double *t;    /* n; the row number within the trajectory when the file had no time */
    double *z;    /* n x 2 dof: q1..qn p1..pn (or v1..vn) */
    double *dz;   /* n x 2 dof: time derivatives of z; NULL when there are none */
    int has_time;
    int dz_estimated; /* dz comes from local polynomials */
    int v_estimated;  /* so do the velocities in z */
    long missing;     /* rows left out because a value was empty, nan or NA */
    long repeated;    /* rows left out because their time was that of the row before */
} hnn_data;

typedef struct hnn_data_options {
    const char *
        columns; /* "trial=1,t=2,q=3,p=4"; names or numbers from 1; ranges "q=3:5"; NULL: by name, else by count */
    hnn_coords coords;
    double dt;               /* interval between rows when there is no time; 0: unknown */
    long rows;               /* rows of one trajectory when nothing in the file separates them; 0: all */
    const char *derivatives; /* a second .npy with dz, row by row as the first; NULL: none */
    int order, half_width;   /* of local polynomials for HNN_Q; 0: 3 and 3 */
} hnn_data_options;

/* hnn_data_load - read files into d. By ending: .npy, .npz, anything else is text (comma, semicolon, tab or white
 * space; # and % comments; header by names, also in a comment, also shorter than the rows: it then names the
 * last columns). A trajectory ends at a new value of the trial column, a blank line, the end of a file, or where
 * time starts again. o may be NULL.
 * Errors: HNN_EIO, HNN_EFORMAT, HNN_ESHAPE, HNN_EARG, HNN_EMEM; the message names file, line and column. */
int hnn_data_load(int files, const char *const path[], const hnn_data_options *o, hnn_data *d, hnn_error *e);
void hnn_data_free(hnn_data *d);

/* hnn_data_new - room for ntraj trajectories of the given lengths, values zero. derivatives: with dz or without. */
int hnn_data_new(int dof, int ntraj, const long length[], int derivatives, hnn_data *d, hnn_error *e);

/* hnn_data_save - by ending: .npz (t, z, dz, trial, coords) or text with a header. Read back to the same bits. */
int hnn_data_save(const char *path, const hnn_data *d, hnn_error *e);
void hnn_data_text(const hnn_data *d, hnn_text *t); /* appends that text */

/* hnn_data_pick - a copy of the rows [from[k], to[k]) of trajectory which[k], k < n, as n trajectories. */
int hnn_data_pick(const hnn_data *d, int n, const int which[], const long from[], const long to[],
                  hnn_data *out, hnn_error *e);

/* hnn_data_split - train, validation, test. Whole trajectories, drawn by seed; one trajectory is cut in time in this
 * order. Train and test are never empty; validation is empty when its share is 0 or trajectories do not
 * suffice. Errors: HNN_EARG (shares), HNN_ESHAPE (fewer than 2 rows), HNN_EMEM. */
int hnn_data_split(const hnn_data *d, double validation, double test, uint64_t seed, hnn_data out[3],
                   hnn_error *e);

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

/* hnn_data_derivatives - dz from local polynomials; windows do not cross gaps (4 median intervals).
 * Errors: HNN_ESHAPE (no time, a piece with one point), HNN_EMEM. */
int hnn_data_derivatives(hnn_data *d, int order, int half_width, hnn_error *e);

/* hnn_data_integrate - replace z by the integral of dz plus, per trajectory and column, the constant that fits the old z best:
 * for derivatives that are far cleaner than the states. Noise falls by the square root of the length of a trajectory, and
 * a field fitted to it is no longer flattened by noise in its argument. Errors: HNN_EARG without derivatives or times. */
int hnn_data_integrate(hnn_data *d, hnn_error *e);

/* hnn_data_noise - add normal noise: sd on every component of z, sd_dz on every one of dz. */
void hnn_data_noise(hnn_data *d, double sd, double sd_dz, uint64_t seed);

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

#endif
