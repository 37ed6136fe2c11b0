/* systems.h - the known systems as rows: the text of H, dissipation and drive, parameters, where to sample, and
 * the source. Invariant: a row is text and numbers only; every vector field comes from the text through the
 * tape, so there is no second place where a system's physics is written. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_SYSTEMS_H
#define HNN_SYSTEMS_H

#include "error.h"
#include "text.h"

enum { HNN_SYSTEM_PARAMETERS = 8, HNN_SYSTEM_COORDINATES = 18, HNN_SYSTEM_MAX_DOF = 4096 };

typedef struct hnn_parameter {
    const char *name;
    double value;
    const char *unit; /* NULL: dimensionless */
} hnn_parameter;

typedef struct hnn_system {
    const char *name, *title, *source;
    int dof;     /* the default; bodies x space for a row of bodies */
    int min_dof; /* > 0: the text holds for every dof from here on (a multiple of `space` for bodies) */
    int space;   /* > 0: bodies in a space of that dimension; body b has q[space*(b-1)+1] .. q[space*b] */
    /* Text in the expression language: q[i], p[i] from 1, n = dof; q and p alone with one degree of freedom.
     * NULL for bodies, whose pair sums hnn_system_hamiltonian writes out. */
    const char *H;
    /* Rayleigh's function D of the velocities v = dH/dp: p' = -dH/dq - dD/dv + drive. NULL: none. */
    const char *dissipation;
    const char *drive;                    /* force on p[1], text in q, p and the time t. NULL: none */
    const char *unit_q, *unit_p, *unit_t; /* NULL: dimensionless */
    hnn_parameter parameter[HNN_SYSTEM_PARAMETERS]; /* up to the first without a name */
    unsigned angles;                                /* bit i-1: q[i] is an angle with period 2 pi */
    /* Where samples start. Fixed dof: box[i] of z = (q, p); any dof: box[0] for every q, box[1] for every p.
     * Bodies: around the start, with half width spread x the largest start of the block. */
    double box[HNN_SYSTEM_COORDINATES][2];
    double spread;
    double energy[2];    /* keep samples with H in here; equal: no limit */
    double span, step;   /* default length and sampling interval of a trajectory, in units of t */
    const double *start; /* bodies: z[2 dof], momenta last; NULL: a ring in circular motion of radius 1 */
} hnn_system;

int hnn_system_count(void);
const hnn_system *hnn_system_at(int i); /* NULL outside 0 .. count-1 */

/* hnn_system_find - the row of that name; NULL, and an error that lists the names, if there is none. */
const hnn_system *hnn_system_find(const char *name, hnn_error *e);

/* hnn_system_parameter - index of the parameter of that name, -1 if there is none. */
int hnn_system_parameter(const hnn_system *s, const char *name);

/* hnn_system_hamiltonian - append the text of H for dof degrees of freedom (0: the row's) to out.
 * Errors: HNN_ESHAPE if the row is not made for dof, HNN_EMEM. */
int hnn_system_hamiltonian(const hnn_system *s, int dof, hnn_text *out, hnn_error *e);

/* hnn_system_start - a typical state z [2 dof]: the row's data for real bodies, a ring of equal masses in uniform
 * circular motion for others (value[]: parameters in the row's order, NULL for the defaults), else the middle of the
 * box. Errors: HNN_ESHAPE. */
int hnn_system_start(const hnn_system *s, int dof, const double value[], double z[], hnn_error *e);

/* hnn_system_box - sampling box lo, hi [2 dof] in the coordinates z = (q, p). Errors: HNN_ESHAPE. */
int hnn_system_box(const hnn_system *s, int dof, const double value[], double lo[], double hi[],
                   hnn_error *e);

#endif
