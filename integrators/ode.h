/* ode.h - integrators: methods as rows, one driver per family, results that keep their failures.
 * Invariant: a field, a method and a driver are constants of the caller; all that changes is in an ode_solver. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_H
#define ODE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ad.h"

#if defined(__GNUC__)
#define ODE_API __attribute__((visibility("default")))
#else
#define ODE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1. What can go wrong -------------------------------------------------------------------------------
 * The first error of a solver is kept with one message that says what was given, what was needed and where
 * (t, state). Results written before it stay valid. */
enum {
    ODE_OK = 0,
    ODE_EINPUT,  /* an argument: step 0, tolerance 0, NaN in the start, sizes */
    ODE_EFIELD,  /* the field is not what the method needs (not separable, no energy, odd length) */
    ODE_EVALUE,  /* the field gave NaN or infinity, or its callback reported failure */
    ODE_ESOLVE,  /* an implicit step did not converge and the solver was told to stop there */
    ODE_ESTUCK,  /* the step control cannot advance: the step is below the resolution of t */
    ODE_ELIMIT,  /* max_steps reached */
    ODE_EMETHOD, /* a row that cannot be used: too few coefficients, no driver */
    ODE_EMEMORY,
    ODE_EUSER /* an observer asked to stop with an error */
};
ODE_API const char *ode_status_name(int status);

/* ---- 2. A field: dy/dt = f(t, y) ------------------------------------------------------------------------
 * A canonical state is y = (q1..qn, p1..pn); dq/dt = dH/dp, dp/dt = -dH/dq. Fill in what you have:
 *   any method                      rhs, or dHdp and dHdq
 *   splitting                       kind has ODE_SEPARABLE, and dHdp reads p only, dHdq reads q only
 *   discrete gradients, diagnostics energy
 *   tangent map                     jacobian
 * A callback returns 0, or anything else to stop the integration. It must not write to y. */
enum {
    ODE_CANONICAL = 1,   /* y is q then p, and f = J grad H */
    ODE_SEPARABLE = 2,   /* H = T(p) + V(q, t) */
    ODE_QUADRATIC_T = 4, /* T is quadratic in p: the first of a method's two orders holds */
    ODE_ENERGY = 8,      /* as a need of a method: energy must be given */
    ODE_OMEGA = 16       /* as a need of a method: ode_coupling must be called */
};
typedef struct ode_field {
    int size; /* length of y; 2n for a canonical field */
    unsigned kind;
    int (*rhs)(void *user, double t, const double y[], double dydt[]);
    int (*dHdp)(void *user, double t, const double y[], double dqdt[]);       /* n values */
    int (*dHdq)(void *user, double t, const double y[], double minus_dpdt[]); /* n values */
    int (*energy)(void *user, double t, const double y[], double *H);
    int (*jacobian)(void *user, double t, const double y[], double dfdy[]); /* size x size, row-major */
    void *user;
    /* Many states at once, for ode_new_batch; NULL: the above, state by state. Gives `what` (the above, in their shapes) for
     * `count` rows of the batch: row[k] is the number of the row (for parameters of its own), t[k] its time, y [count, size] its
     * state; out is [count, values of what]. ODE_OF_RHS must be given, the others where the callback above is.
     * Not 0: asked again row by row, and the rows that fail then are out. */
    int (*rows)(void *user, int what, int count, const int row[], const double t[], const double y[],
                double out[]);
} ode_field;
enum { ODE_OF_RHS, ODE_OF_DHDP, ODE_OF_DHDQ, ODE_OF_ENERGY, ODE_OF_JACOBIAN }; /* what to give */

/* ---- 3. A method is a row -------------------------------------------------------------------------------
 * Coefficients are text, as a book prints them: decimals of any length, fractions a/b, with | and ; as
 * decoration. They are read to 106 bits, so a table is not degraded by the compiler's double. */
enum { ODE_SYMPLECTIC = 1, ODE_SYMMETRIC = 2, ODE_EXACT_ENERGY = 4, ODE_ADAPTIVE = 8 };

typedef struct ode_driver ode_driver;
typedef struct ode_method ode_method;
struct ode_method {
    const char *name;
    const ode_driver *driver; /* the family: rk, split, collocation, gonzalez, ... (ode_driver.h) */
    int order;                /* for H whose T is quadratic in p, and for a general field */
    int order_general;        /* for a general separable T(p) + V(q): never more than order */
    int stages;               /* evaluations of the field in a step (of the force, for splitting); of an
                               * adaptive row one less, the last is the next step's first */
    unsigned flags;           /* ODE_SYMPLECTIC, ... */
    unsigned needs;           /* of the field: ODE_CANONICAL, ODE_SEPARABLE, ODE_ENERGY */
    const char *a, *a2,
        *b; /* rk: rows of A below the diagonal, b. split: drifts, kicks. collocation: A, A of p, b */
    const char *e, *e2; /* embedded error weights */
    const char *extra;  /* further rows of A that only dense output needs */
    const char *dense;  /* b_i(theta): for each stage, the coefficients of theta, theta^2, ... */
    int extras, degree, error_order;
    const ode_method *base; /* composition: the method composed, with steps a[i] h */
    const char *source;
};
ODE_API int ode_method_count(void);
ODE_API const ode_method *ode_method_at(int i);              /* NULL outside [0, count) */
ODE_API const ode_method *ode_method_find(const char *name); /* NULL if there is none */
/* The order that holds for this field: order or order_general. */
ODE_API int ode_method_order(const ode_method *m, const ode_field *f);
/* NULL if m can step f, else a sentence that says why not and what to use instead. */
ODE_API const char *ode_method_refuses(const ode_method *m, const ode_field *f);

/* ---- 4. A solver ----------------------------------------------------------------------------------------
 *     ode_solver *s = ode_new(ode_method_find("verlet"), &field);
 *     ode_start(s, 0.0, y0);
 *     ode_integrate(s, 100.0, &(ode_options){.h = 0.01});
 *     if (ode_status(s)) puts(ode_message(s));
 *     ode_y(s), ode_t(s)
 *     ode_free(s);
 * ode_new never returns NULL: out of memory is a solver whose status says so. */
typedef struct ode_solver ode_solver;
ODE_API ode_solver *ode_new(const ode_method *m, const ode_field *f);
/* Many states side by side: every y below is then [rows, size], state after state, and every row comes out as it would
 * alone, bit for bit, where the field gives the same bits. Adaptive methods give each row its own steps. A row that fails
 * stands still at its last good state and is NaN in what is written; the solver fails when all rows have. */
ODE_API ode_solver *ode_new_batch(const ode_method *m, const ode_field *f, int rows);
/* ODE_OK or why the row failed; when and how (t, what may be NULL; *what is a constant). */
ODE_API int ode_row_status(const ode_solver *s, int row, double *t, const char **what);
ODE_API void ode_free(ode_solver *s);
ODE_API int ode_status(const ode_solver *s);
ODE_API const char *ode_message(const ode_solver *s);
ODE_API void ode_clear(ode_solver *s); /* forget the error; state and time stay */

ODE_API int ode_start(ode_solver *s, double t, const double y[]);
/* Extended phase space (tao2, tao4): the coupling of the two copies, 1 / time. There is no default: an untuned omega
 * fails on the double pendulum, and the right one depends on H. */
ODE_API int ode_coupling(ode_solver *s, double omega);
ODE_API int ode_step(ode_solver *s, double h); /* one step of the method; h < 0 goes back */
ODE_API double ode_t(const ode_solver *s);
ODE_API const double *ode_y(const ode_solver *s); /* [rows, size], valid until the next step */

typedef struct {
    int64_t steps, rejected,
        fields; /* accepted steps, rejected steps, evaluations: f, dHdp or dHdq count one each */
    int64_t iterations, newtons; /* of implicit solves: fixed-point sweeps, Newton steps */
    int64_t unconverged;         /* solves that stopped above round-off; never hidden */
} ode_counts;
ODE_API ode_counts ode_counters(const ode_solver *s);

/* Called at t with y (size values); return 0 to go on, > 0 to stop here in good order, < 0 to stop with ODE_EUSER. */
typedef int ode_observer(void *user, double t, const double y[]);

/* A zero of g along the solution. direction: +1 rising, -1 falling, 0 both. terminal != 0 stops there. */
typedef struct {
    double (*g)(void *user, double t, const double y[]);
    void *user;
    int direction, terminal;
    double *times, *states; /* where to write at most max hits: times[k], states[k * size]; may be NULL */
    int max, count;         /* count is written */
} ode_event;

/* The steps an adaptive run accepted, for ode_record_steps: {0} before the first run; free(h) in the end. A run that a terminal
 * event stops ends with a step as long as to the event. */
typedef struct {
    double t, *h;        /* where the first step begins; lengths, negative backward */
    int64_t count, room; /* steps in h; what h has room for */
} ode_steps;

typedef struct {
    double h;                    /* the step; for adaptive methods the first step, 0 = choose */
    double rtol, atol;           /* adaptive: both zero means a fixed step h, as for any other row */
    const double *rtols, *atols; /* per component, instead of the above */
    double h_max;                /* 0 = no limit */
    int64_t max_steps;           /* 0 = no limit */
    int64_t every;               /* observe every k steps (and the start); 0 = do not */
    const double *times;         /* or at these times, in the order of integration */
    int time_count;
    double *out;     /* times: [time_count, rows, size] */
    int64_t written; /* rows of out that are valid: written by the call */
    ode_observer *observer;
    void *user;
    ode_event *events;
    int event_count;
    int plain_sums;       /* 1: no compensated summation (for comparison; compensated is the default) */
    int schedule;         /* implicit: exactly this many sweeps, no test; 0 = until round-off */
    double solve_tol;     /* implicit: relative change that ends a solve; 0 = at round-off */
    int stop_unconverged; /* 1: an unconverged solve is an error, not only counted */
    ode_steps *accepted;  /* adaptive: [rows], the accepted steps of each row are put at its end; or NULL */
    /* Each observation (of `every` or `times`) as 1 + rows * size doubles, t then the states: into an array, and as they are
     * in memory to a binary file. Nothing else grows with the length of a run. */
    double *records;
    int64_t record_max, recorded; /* observations that fit; that were made: written by the call */
    FILE *file;
    /* Fixed steps of a recorded field (section 5): a step is recorded, compiled and repeated by replay, or as emitted C where there is
     * a compiler (ad_native; kept by content, so a program is compiled once).
     *  0  by itself: as soon as that pays, emitted C in runs long enough. The steps of explicit and splitting rows and their
     *     compositions have the same bits in every way of running them. Those of collocation and avf rows are programs in runs of at
     *     least 1000 steps, solved as well as ordinary ones, to other last bits.
     *  1  programs from the first step, by replay; 2: as emitted C; an error where steps of this row or field cannot be programs
     * -1  ordinary steps
     * An implicit row makes as many sweeps as its equations need on a few steps made first; the program foretells the last change in every
     * step from two before it. A step in which a row fails or does not converge, and those with a `schedule`, are made in the ordinary way.
     * With tolerances steps are ordinary ones, and 2 makes the field emitted C, of the same bits, in this run and later ones. */
    int compiled;
} ode_options;
/* From the solver's time to t_end, backward when t_end < t. A fixed step that does not divide the interval ends with
 * one shorter step. opt may be read after the call for `written` and event counts. */
ODE_API int ode_integrate(ode_solver *s, double t_end, ode_options *opt);
/* Exactly n fixed steps of size h: no time arithmetic to go wrong in long runs. */
ODE_API int ode_run(ode_solver *s, int64_t n, double h, ode_options *opt);
/* The solution inside the last accepted adaptive step, theta in [0, 1]. */
ODE_API int ode_dense(ode_solver *s, double theta, double y[]);

/* ---- 5. A field from a tape ------------------------------------------------------------------------------
 * A Hamiltonian H(y; t; params) or a vector field f recorded once (ad.h) gives right-hand side, halves, energy and Jacobian by
 * differentiation on the tape, compiled, one state or many rows at a time. What it was recorded on is copied; tape and
 * recording may go. The state is one input y [., size], q then p for H, or two inputs q, p [., n]; its rows are AD_BATCH (then
 * a batch is one run, and row i of H must depend on row i of its inputs only) or 1.
 *
 *     ad_var q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1);
 *     ode_recorded *r = ode_recorded_new(&(ode_recording){.H = ad_expr(t, "p^2/2 - cos(q)", q, p), .q = q, .p = p});
 *     ode_solver *s = ode_new(ode_method_find("verlet"), ode_recorded_field(r));
 *
 * Whether H is T(p) + V(q, t), and T quadratic, is found on the tape: mixed and third derivatives vanish there structurally
 * (ODE_SEPARABLE, ODE_QUADRATIC_T in the field's kind, so ode_method_order tells the order that holds). */
typedef struct ode_recorded ode_recorded;
typedef struct {
    ad_var H;    /* [., 1], or */
    ad_var f;    /* [., size]; with H as well: f is the field, H only its energy */
    ad_var y;    /* the state, an input, or */
    ad_var q, p; /* two */
    ad_var t;    /* the time, an input [1,1] or [AD_BATCH,1]; absent where nothing depends on it */
    int params;
    const ad_var *param; /* further inputs: of fixed rows, or [AD_BATCH, c] where each state has its own */
    ad_pool *pool;       /* threads for large batches, or NULL; must outlive the field */
} ode_recording;
/* Never NULL. Errors (status and message of the result, whose field no method takes): ODE_EINPUT, ODE_EFIELD with the shapes
 * given and needed, ODE_EMEMORY. The functions of one object are not to be called from two threads at once. */
ODE_API ode_recorded *ode_recorded_new(const ode_recording *recording);
ODE_API void ode_recorded_free(ode_recorded *r);
ODE_API const ode_field *ode_recorded_field(const ode_recorded *r); /* valid until r is freed */
/* The values of param[i], copied: [rows, c] with the rows it was recorded with; of an AD_BATCH one, 1 row for all states or
 * one for each. Takes effect at once, for solvers that run, too. */
ODE_API int ode_recorded_set(ode_recorded *r, int i, int rows, const double values[]);
ODE_API int ode_recorded_status(const ode_recorded *r);
ODE_API const char *ode_recorded_message(const ode_recorded *r); /* also why the last run failed in a row */

/* ode_record_step - one step as mathematics on y's tape: y(t) -> y(t + h), a pure function of all it is given, so it can be
 * differentiated to any order, looped by ad_scan and compiled; the row's own arithmetic, with plain sums.
 *   y [., size]   t, h [1,1], [B,1] or numbers   param: as recorded   ->   [., size]
 * omega: of tao2 and tao4, else 0. An implicit row solves by ad_root, Newton's method from the row's own guess: its derivatives are
 * those of the implicit function, and a step that does not converge is AD_EROOT when it runs, with the row (and the step of
 * a loop) in the workspace's message. Errors: a number instead of a value, with the reason in r (a method that refuses
 * the field) or on the tape (shapes). */
ODE_API ad_var ode_record_step(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                               const ad_var param[], double omega);

/* ode_record - `steps` such steps as one loop on the tape (ad_scan): y(t) -> y(t + steps h). Its derivatives are loops, too, with
 * about sqrt(2 steps) states kept, or `checkpoints` of them when > 0, so a gradient through a long run needs little memory.
 * trajectory, when not NULL: [., steps * size], the state after step k in columns k * size ... */
ODE_API ad_var ode_record(const ode_method *m, ode_recorded *r, int64_t steps, ad_var y, ad_var t, ad_var h,
                          const ad_var param[], double omega, int64_t checkpoints, ad_var *trajectory);

/* ode_record_steps - the same with a length for each step: h [1, steps], or [B, steps] where each row has its own (a step 0 stands
 * still: fewer steps end with zeros). With the accepted steps of an adaptive run (ode_options.accepted) it is that run with its
 * steps frozen: what a derivative of it means, first or second. By the end time: the derivative by the last length. */
ODE_API ad_var ode_record_steps(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                                const ad_var param[], double omega, int64_t checkpoints, ad_var *trajectory);

/* ode_record_times - the states at given times of such a run, by the dense output of its row: what ode_options.times and .out give,
 * as mathematics.
 *   y [., size]   t [1,1] or a number   h [1, steps]   param: as recorded   ->   [., n * size], state i in columns i * size ...
 * accepted: the list of the run; times: in its order, within it; at: the times as a value [1, n] where a derivative by them is
 * wanted, else any number. Which step a time lies in is frozen with the steps. Errors: as ode_record_step, ODE_EMETHOD for a
 * row without dense output, ODE_EINPUT for times outside the list or another number of lengths. */
ODE_API ad_var ode_record_times(const ode_method *m, ode_recorded *r, ad_var y, ad_var t, ad_var h,
                                const ad_var param[], int64_t checkpoints, const ode_steps *accepted, int n,
                                const double times[], ad_var at);

/* ode_reversible - a splitting row (verlet, say) in fixed-point arithmetic, for gradients whose memory does not depend on the length
 * of a run. The state is integers in units of a grid; every drift and kick is rounded to the grid and added, so it is undone exactly
 * by subtracting the same. A run is made, then undone step by step while the adjoint is pulled back through it: twice the
 * evaluations, no checkpoints; parameters must not change in between. A shear errs by half a unit of the grid. Source: Levesque and
 * Verlet (1993), J. Stat. Phys. 72 (3/4) (integer leapfrog); Rein and Tamayo (2017), arXiv:1704.07715 (higher orders); Stam (2022),
 * arXiv:2207.07695 (adjoints).
 *   y [rows, size]   grid_q, grid_p: resolution (rounded down to a power of two), in units of q and p; 0: about 2^-90 of the largest
 *   value in y or of what 100 steps add to it. The integers have 128 bits: a grid ends at 2^126 of its units.
 * Never NULL. Errors: ODE_EINPUT, ODE_EFIELD (not a splitting, not separable), ODE_EVALUE (the field fails, or a value leaves the grid:
 * it stands where the step began), ODE_EMEMORY. */
typedef struct ode_reversible ode_reversible;
ODE_API ode_reversible *ode_reversible_new(const ode_method *m, const ode_field *f, int rows, double t,
                                           double h, const double y[], double grid_q, double grid_p);
ODE_API void ode_reversible_free(ode_reversible *x);
ODE_API int ode_reversible_status(const ode_reversible *x);
ODE_API const char *ode_reversible_message(const ode_reversible *x);
ODE_API int ode_reversible_run(ode_reversible *x, int64_t n); /* n steps; n < 0 undoes them, to the bit */
ODE_API double ode_reversible_t(const ode_reversible *x);
ODE_API const double *ode_reversible_y(const ode_reversible *x); /* [rows, size], valid until the next call */
ODE_API void ode_reversible_grid(const ode_reversible *x, double *q, double *p); /* the resolutions in use */
/* ode_reversible_back - undoes n steps of a recorded field (ode_recorded_field) and takes derivatives along: dy, the derivative of a
 * function by the state now, becomes that by the state n steps ago; to *dt, *dh and dparam[i] (as ode_recorded_set gave it) is
 * added what these steps contribute by start time, step and parameters; each may be NULL. Of a function of several states: go
 * back to the next one, add its derivative to dy, go on. After an error state and derivatives are of no use. */
ODE_API int ode_reversible_back(ode_reversible *x, int64_t n, double dy[], double *dt, double *dh,
                                double *const dparam[]);

/* ---- 6. Diagnostics ------------------------------------------------------------------------------------- */
ODE_API double ode_energy(ode_solver *s); /* H at the solver's state; NaN (and an error) without energy */
ODE_API int ode_energies(ode_solver *s, double H[]); /* of each row; NaN where a row has failed */

/* Straight lines through energy errors e (row-major [starts, count]) at times t: means over starts of the slope and of
 * the amplitude (half of max - min of the residue), the largest |e|, and p of RMS over starts ~ (t - t[0])^p. */
typedef struct {
    double slope, amplitude, max, exponent;
} ode_drift;
ODE_API int ode_drift_of(int starts, int count, const double t[], const double e[], ode_drift *out);

/* Tangent map M = d y(t + h) / d y(t) of one step as executed, sweeps included: the step runs on dual numbers, with the
 * solver's schedule of the last run. Needs field->jacobian. M is size x size, row-major. */
ODE_API int ode_tangent(ode_solver *s, double h, double M[]);
ODE_API double ode_symplectic_defect(int size,
                                     const double M[]); /* largest entry of |M'JM - J|; 2n columns q then p */
ODE_API double ode_volume_defect(int size, const double M[]); /* |det M - 1|; NaN without memory */
/* `steps` steps h and as many of -h: largest |y - y0|. NaN and a status on failure. */
ODE_API double ode_reversibility(ode_solver *s, double h, int64_t steps);
/* Lyapunov spectrum: `size` exponents (1 / time), the largest first once n is large, by QR of the tangent map. */
ODE_API int ode_lyapunov(ode_solver *s, double h, int64_t n, int qr_every, double exponents[]);
/* Poincare section: crossings of g = 0 by rising g over at most max_steps steps, each located by a partial step of the
 * method to the resolution of t. states: [max, size]; times and states may be NULL. The solver moves on. */
ODE_API int ode_section(ode_solver *s, double h, int64_t max_steps,
                        double (*g)(void *, double, const double *), void *user, int max, double times[],
                        double states[], int *count);
/* Mean advance per step, in turns (negative clockwise), of the angle of (q_i, p_i) about (q0, p0). The solver moves on. */
ODE_API int ode_rotation(ode_solver *s, double h, int64_t n, int i, double q0, double p0, double *turns);

#ifdef __cplusplus
}
#endif
#endif
