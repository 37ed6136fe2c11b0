/* hnn.h - Hamiltonian learning: systems, data, models, losses, training, and what is measured of a model. Every function says its
 * shapes, units, signs and errors. Invariant: a state is z = (q1..qn, p1..pn), 2 dof numbers; arrays of states are row-major; time,
 * positions and momenta have the units of the data or of the system, and H that of q p / t. One thread at a time for an object that
 * is changed; different objects are independent; nothing is global.
 *
 *     const hnn_system *s = hnn_system_find("pendulum", &e);         a known system,
 *     hnn_model_system(s, 0, NULL, &truth, &e);                      as a model,
 *     hnn_flow_new(truth, NULL, &flow, &e);                          as numbers;
 *     hnn_draw_starts(...); hnn_simulate(flow, ..., &data, &e);      trajectories of it
 *     hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1}, 0, &m, &e);
 *     hnn_samples_new(&loss, m, &data, &x, &e);                      what the loss is computed on
 *     hnn_train(m, &loss, &x, NULL, &options, &result, &e);
 *     hnn_measure(m, &test, metric, &e);                             against the truth */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_H
#define HNN_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "ad.h"
#include "ode.h"

#if defined(__GNUC__)
#define HNN_API __attribute__((visibility("default")))
#else
#define HNN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1. What can go wrong -------------------------------------------------------------------------------
 * A function that can fail returns a code and, when e is not NULL, fills it with a sentence that names what was given and
 * what was needed. It has then released everything it allocated. Zero is the default of every field of options. */
enum {
    HNN_OK = 0,
    HNN_EARG = 1,      /* a bad argument or option */
    HNN_EMEM = 2,      /* out of memory */
    HNN_EIO = 3,       /* the operating system refused: open, read, write, rename */
    HNN_EFORMAT = 4,   /* the file is not what its name says, or is damaged */
    HNN_ESHAPE = 5,    /* sizes do not fit */
    HNN_ESUPPORT = 6,  /* a valid file that needs something this build does not have */
    HNN_ECHECKSUM = 7, /* what was read is not what was written */
};

typedef struct hnn_error {
    int code;
    char message[512];
} hnn_error;

/* Random draws are counter-based: a number depends on (seed, purpose, index) and its position only, so neither the order of calls
 * nor threads change it. These are the purposes; a new use gets a new number, and none is used again, or old runs
 * would change. Your own begin at HNN_RNG_USER. */
enum {
    HNN_RNG_DATA = 1,      /* starts of trajectories */
    HNN_RNG_NOISE = 2,     /* noise on states and derivatives */
    HNN_RNG_TIMES = 3,     /* irregular sampling */
    HNN_RNG_WEIGHTS = 4,   /* initial weights; index = layer */
    HNN_RNG_SPLIT = 5,     /* train, validation, test */
    HNN_RNG_BATCH = 6,     /* order of batches; index = epoch */
    HNN_RNG_FEATURES = 7,  /* random features */
    HNN_RNG_BOOTSTRAP = 8, /* resampling */
    HNN_RNG_START = 9,     /* held-out and multistart points */
    HNN_RNG_SKETCH = 10,   /* random projections of linear algebra */
    HNN_RNG_USER = 1000,
};

/* ---- 2. Known systems -----------------------------------------------------------------------------------
 * A row is text and numbers; `noether list systems` shows them. */
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

HNN_API int hnn_system_count(void);
HNN_API const hnn_system *hnn_system_at(int i); /* NULL outside 0 .. count-1 */

/* hnn_system_find - the row of that name; NULL, and an error that lists the names, if there is none. */
HNN_API const hnn_system *hnn_system_find(const char *name, hnn_error *e);

/* hnn_system_parameter - index of the parameter of that name, -1 if there is none. */
HNN_API int hnn_system_parameter(const hnn_system *s, const char *name);

/* hnn_system_start - a typical state z [2 dof]: the row's data for real bodies, a ring of equal masses in uniform
 * circular motion for others (value[]: parameters in the row's order, NULL for the defaults), else the middle of the
 * box. Errors: HNN_ESHAPE. */
HNN_API int hnn_system_start(const hnn_system *s, int dof, const double value[], double z[], hnn_error *e);

/* ---- 3. Trajectories ------------------------------------------------------------------------------------
 * Trajectory k is the rows offset[k] .. offset[k+1]-1, and within it time increases strictly. */
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
HNN_API int hnn_data_load(int files, const char *const path[], const hnn_data_options *o, hnn_data *d,
                          hnn_error *e);
HNN_API void hnn_data_free(hnn_data *d);

/* hnn_data_new - room for ntraj trajectories of the given lengths, values zero. derivatives: with dz or without. */
HNN_API int hnn_data_new(int dof, int ntraj, const long length[], int derivatives, hnn_data *d, hnn_error *e);

/* hnn_data_save - by ending: .npz (t, z, dz, trial, coords) or text with a header. Read back to the same bits. */
HNN_API int hnn_data_save(const char *path, const hnn_data *d, hnn_error *e);

/* hnn_data_split - train, validation, test. Whole trajectories, drawn by seed; one trajectory is cut in time in this
 * order. Train and test are never empty; validation is empty when its share is 0 or trajectories do not
 * suffice. Errors: HNN_EARG (shares), HNN_ESHAPE (fewer than 2 rows), HNN_EMEM. */
HNN_API int hnn_data_split(const hnn_data *d, double validation, double test, uint64_t seed, hnn_data out[3],
                           hnn_error *e);

/* hnn_data_derivatives - dz from local polynomials; windows do not cross gaps (4 median intervals).
 * Errors: HNN_ESHAPE (no time, a piece with one point), HNN_EMEM. */
HNN_API int hnn_data_derivatives(hnn_data *d, int order, int half_width, hnn_error *e);

/* hnn_data_noise - add normal noise: sd on every component of z, sd_dz on every one of dz. */
HNN_API void hnn_data_noise(hnn_data *d, double sd, double sd_dz, uint64_t seed);

/* ---- 4. Models ------------------------------------------------------------------------------------------
 * A model is a row with its parameters: one flat vector theta of doubles. On a tape they are one input for each matrix, in the
 * order of `param`, so a program reads and writes theta in place. `noether list models` shows the rows. */
/* What a row can do. */
enum {
    HNN_MODEL_ENERGY = 1,     /* there is a scalar H */
    HNN_MODEL_SEPARABLE = 2,  /* H = T(p) + V(q) */
    HNN_MODEL_DISSIPATES = 4, /* something beside J grad H: energy may be lost or put in */
    HNN_MODEL_SECOND = 8,     /* q' is p by construction: the momenta of the data are velocities */
    HNN_MODEL_TEXT = 16,      /* H is the text of the spec */
    HNN_MODEL_QUADRATIC = 32, /* T is quadratic in p */
};

/* A function of the state that can be recorded: z [B, 2n], time [B,1] or a number, parameters -> [B, columns]. */
typedef ad_var hnn_recorded(const void *context, ad_var z, ad_var time, const ad_var params[]);

/* A network of a row: what it sees, and how many columns it gives. n is the number of degrees of freedom. */
enum {
    HNN_SEES_Z = 1,
    HNN_SEES_Q,
    HNN_SEES_P,
    HNN_SEES_PAIR,
    HNN_SEES_NOTHING
}; /* NOTHING: one number, no network */
enum { HNN_GIVES_ONE = 1, HNN_GIVES_N, HNN_GIVES_2N, HNN_GIVES_TRIANGLE_N, HNN_GIVES_TRIANGLE_2N };
typedef struct hnn_part {
    const char *name; /* of its matrices: "H" gives H.w1, H.b1, ... */
    int sees, gives;
} hnn_part;
enum { HNN_PARTS = 3 };

typedef struct hnn_model_row { /* the context of its functions is the hnn_model */
    const char *name, *title, *learns, *source;
    unsigned flags;
    const char *loss; /* the loss it is trained with unless told: a name of loss.h */
    hnn_part part[HNN_PARTS];
    hnn_recorded *H, *D, *R, *g; /* as in field.h; NULL: none */
    hnn_recorded *rate;          /* the field itself [B, 2n], where there is no H */
} hnn_model_row;
HNN_API int hnn_model_count(void);
HNN_API const hnn_model_row *hnn_model_at(int i); /* NULL outside 0 .. count-1 */
HNN_API const hnn_model_row *hnn_model_find(const char *name,
                                            hnn_error *e); /* NULL and an error that lists the names */

typedef struct hnn_constant { /* a constant of a text */
    const char *name;
    double value;
    int fit; /* 1: a parameter of the model, with this value at the start */
} hnn_constant;

/* Zero is the default of every field. Strings and arrays are copied by hnn_model_new. */
typedef struct hnn_model_spec {
    const char *model; /* name of the row */
    int dof;
    hnn_coords
        coords; /* of the states the model sees: HNN_QP, or HNN_QV for (q, v) with p = M(q) v (row mass) */
    /* networks: hidden layers of equal width */
    int layers;             /* 0: 2 */
    int width;              /* 0: 200, or chosen by `parameters` */
    long parameters;        /* > 0: the width whose number of parameters is nearest to this */
    const char *activation; /* an elementwise operation of ad.h; NULL: "tanh" */
    unsigned angles;        /* bit i-1: q[i] is an angle, and enters as (cos, sin) */
    int space;              /* pairs: dimension of the space of the bodies, q[1..space] the first; 0: 1 */
    double gain;            /* of the orthogonal initial weights; 0: 1 */
    /* scaling: the network sees (z - mean)/scale and H is energy_scale times its output; a field is rate_scale times
     * its output. NULL: 0 and 1. Gradients are always taken in physical coordinates. */
    const double *mean, *scale, *rate_scale; /* [2 dof] each; angles are never scaled */
    double energy_scale;                     /* 0: 1 */
    const double *reference;                 /* [2 dof] z_ref with H(z_ref) = 0; NULL: the origin */
    int no_gauge;                            /* 1: H as the network or the text gives it */
    /* texts, in q, p (of dof columns), t and the constants; NULL: none */
    const char *H;           /* row text */
    const char *dissipation; /* Rayleigh's function D of q and v = dH/dp: p' gets - dD/dv */
    const char *drive;       /* text: the force on p[1]; port: the input u of g(q) u */
    const hnn_constant *constant;
    int constants;
} hnn_model_spec;

typedef struct hnn_param { /* one matrix of parameters */
    char name[24];         /* "H.w1", "H.b1", "D.w1", or the name of a constant */
    int rows, cols;
    long offset; /* in theta */
} hnn_param;

typedef struct hnn_model {
    const hnn_model_row *row;
    hnn_model_spec spec; /* a copy, with the chosen width and every default filled in */
    int params;
    hnn_param *param;
    long size;     /* number of parameters */
    double *theta; /* [size] */
    void *owned;   /* what spec points to */
} hnn_model;

/* hnn_model_new - a model with random parameters from the streams (seed, HNN_RNG_WEIGHTS, number of the matrix): orthogonal
 * matrices [in, out], biases (on hidden layers only) U(-1, 1)/sqrt(in). A layer is activation(x W + b).
 * Errors: HNN_EARG (unknown row or activation, sizes, a text that does not parse, with its message), HNN_EMEM. */
HNN_API int hnn_model_new(const hnn_model_spec *spec, uint64_t seed, hnn_model **out, hnn_error *e);
HNN_API void hnn_model_free(hnn_model *m);
HNN_API int hnn_model_copy(const hnn_model *m, hnn_model **out, hnn_error *e);

/* hnn_model_system - a known system as a model of row text without anything to fit (or with: set fit in the model's
 * spec first). value[]: parameters in the row's order, NULL: the row's; dof 0: the row's. No gauge: H is the row's H. */
HNN_API int hnn_model_system(const hnn_system *s, int dof, const double value[], hnn_model **out,
                             hnn_error *e);

/* hnn_model_save / _load - a model as one .safetensors file: an array for each matrix, the spec as its metadata; with HNN_F64 it is
 * read back to the same bits. Errors: HNN_EIO, HNN_EFORMAT, HNN_ESHAPE, HNN_EMEM. */
enum { HNN_F64 = 0, HNN_F32 = 1 };
HNN_API int hnn_model_save(const char *path, const hnn_model *m, int type,
                           hnn_error *e); /* type: HNN_F64, HNN_F32 */
HNN_API int hnn_model_load(const char *path, hnn_model **out, hnn_error *e);

/* hnn_model_inputs - record the parameters as inputs of t: param[params], void on error (the tape keeps it). */
HNN_API void hnn_model_inputs(const hnn_model *m, ad_tape *t, ad_var param[]);

/* hnn_model_pointers - p[i] = theta + offset of matrix i, for ad_run. theta may be any vector of m->size numbers. */
HNN_API void hnn_model_pointers(const hnn_model *m, const double *theta, const double *p[]);

/* hnn_model_energy - H at z [B, 2 dof] and time [B,1] (or a number) -> [B,1]; void (no error) when there is no H. */
HNN_API ad_var hnn_model_energy(const hnn_model *m, const ad_var param[], ad_var z, ad_var time);

/* hnn_model_field - dz/dt at z [B, 2 dof] and time [B,1] (or a number) -> [B, 2 dof]. Goes through hnn_field. */
HNN_API ad_var hnn_model_field(const hnn_model *m, const ad_var param[], ad_var z, ad_var time);

/* ---- 5. From a Hamiltonian to its field, on a tape ------------------------------------------------------
 * Every vector field, of true systems, texts and networks, is made by hnn_field. */
/* What stands beside J grad H. Zero: nothing, the field is canonical. */
typedef struct hnn_structure {
    const void *context; /* given to H and to the functions below */
    hnn_recorded *D;     /* Rayleigh's function of y = (q, v), v = dH/dp -> [B,1]: p' gets - dD/dv */
    hnn_recorded *R; /* L [B, (2n)^2], a matrix per row: z' gets - L L' grad H, so energy is never gained */
    hnn_recorded *g; /* G [B, 2n m], a matrix per row: z' gets G u */
} hnn_structure;

/* hnn_field - (J - R) grad H + g u - (0, dD/dv).   H -> [B,1], z [B, 2n] with columns q1..qn p1..pn, time [B,1] or a
 * number, u [B,m] (read only when s->g) -> [B, 2n]. s NULL: J grad H. The gradient of each row is one reverse
 * sweep from seed 1 on H [B,1], since row i of H depends on row i of z only.
 * q' = dH/dp, p' = -dH/dq. Errors: of the tape; AD_ESHAPE when z has an odd number of columns. */
HNN_API ad_var hnn_field(hnn_recorded *H, const hnn_structure *s, ad_var z, ad_var time, ad_var u,
                         const ad_var params[]);

/* hnn_canonical - J g: (g_q, g_p) -> (g_p, -g_q), columns of g [B, 2n]. */
HNN_API ad_var hnn_canonical(ad_var g);

/* ---- 6. A model as numbers ------------------------------------------------------------------------------ */

/* A model as numbers: compiled H, field and Jacobian, with theta as it was when the flow was made. One thread at a time. */
typedef struct hnn_flow hnn_flow;

/* hnn_flow_new - pool may be NULL. Errors: HNN_EMEM, HNN_EARG with the tape's message. */
HNN_API int hnn_flow_new(const hnn_model *m, ad_pool *pool, hnn_flow **out, hnn_error *e);
HNN_API void hnn_flow_free(hnn_flow *f);

/* hnn_flow_ode - the flow as a field for ode.h, valid as long as f: rhs and jacobian always; energy, dHdp, dHdq where
 * there is an H and nothing dissipates or drives. kind says ODE_CANONICAL, ODE_SEPARABLE, ODE_QUADRATIC_T. */
HNN_API const ode_field *hnn_flow_ode(hnn_flow *f);

/* For n states z [n, 2 dof] (all at time t). Errors: HNN_EARG with the message of the run, e.g. where H does not exist. */
HNN_API int hnn_flow_energy(hnn_flow *f, long n, double t, const double z[], double H[],
                            hnn_error *e); /* [n] */
HNN_API int hnn_flow_rate(hnn_flow *f, long n, double t, const double z[], double dz[],
                          hnn_error *e); /* [n, 2 dof] */
HNN_API int hnn_flow_jacobian(hnn_flow *f, long n, double t, const double z[], double B[],
                              hnn_error *e); /* [n, (2 dof)^2] */
HNN_API int hnn_flow_hessian(hnn_flow *f, long n, double t, const double z[], double Hzz[],
                             hnn_error *e); /* of H */
HNN_API int hnn_flow_gradient(hnn_flow *f, long n, double t, const double z[], double Hz[],
                              hnn_error *e); /* of H, [n, 2 dof] */
HNN_API int hnn_flow_has_energy(const hnn_flow *f);
HNN_API int hnn_flow_dof(const hnn_flow *f);
HNN_API const hnn_model *hnn_flow_model(const hnn_flow *f); /* its copy of the model */

/* hnn_flow_rollout - states at the times t[0] .. t[n-1] from z0 at t[0], by the named method of ode.h with step h (0 and
 * an adaptive method: tolerances 1e-10): out [n, 2 dof]. *done (may be NULL) is how many rows are valid: fewer than n
 * when the run diverged, which is not an error; rows after them are NaN. Errors: HNN_EARG (method, step, a start that is not
 * finite, times out of order), HNN_EMEM. */
HNN_API int hnn_flow_rollout(hnn_flow *f, const char *method, double h, const double z0[], long n,
                             const double t[], double out[], long *done, hnn_error *e);

/* hnn_draw_starts - count states [count, 2 dof] from the system's box, kept when H lies in the row's range of energies;
 * stream (seed, purpose, index). flow: of the system. Errors: HNN_EARG when 10000 draws give no state. */
HNN_API int hnn_draw_starts(const hnn_system *s, const double value[], hnn_flow *flow, uint64_t seed,
                            uint32_t purpose, uint64_t index, int count, double starts[], hnn_error *e);

/* hnn_simulate - clean trajectories from starts [count, 2 dof]: `rows` rows over [0, span] by dop853 at 1e-10, dz from the
 * field. Errors: HNN_EARG when a trajectory diverges, HNN_EMEM. */
HNN_API int hnn_simulate(hnn_flow *truth, int count, const double starts[], long rows, double span,
                         hnn_data *out, hnn_error *e);

/* ---- 7. Losses ------------------------------------------------------------------------------------------
 * Every loss is the mean of the squares of a residual [B, c] that is recorded on the tape. `noether list losses` shows them.
 * Packing of trajectories: a window of K+1 states is one row; z [B, (K+1) 2n] has state k in columns 2nk .. 2nk+2n-1, each
 * q1..qn p1..pn; t [B, K+1] its time in column k. */
typedef struct hnn_loss_spec { /* zero is the default of every field */
    const char
        *loss; /* "derivative", "midpoint", "mirk4", "gauss4", "gonzalez", "rollout"; NULL: the model row's */
    int correction; /* midpoint: 2 or 4: of the modified Hamiltonian, so that coarse steps do not bias H; 0: none */
    int sweeps; /* gauss4: fixed-point sweeps for the stages; 0: 4 */
    const char
        *method;  /* rollout: the name of an integrator, or "midpoint" (implicit, six sweeps); NULL: "rk4" */
    int window;   /* rollout: steps K of a window; 0: 8 */
    int substeps; /* rollout: steps of the method between two samples; 0: 1 */
    int stride;   /* pairs and windows begin at every stride-th row; 0: 1 */
    int starts; /* 1: the first state of each sample is unknown, too: it is trained beside the parameters, and its
                 * distance from the measured one is part of the residual. For noisy states; not for derivative */
    const double *weight; /* [2 dof] the residual's columns are multiplied by these; NULL: 1 */
} hnn_loss_spec;

typedef struct hnn_loss_row {
    const char *name, *title, *source;
    int states;      /* in a row of samples: 1, 2, or 0 for window + 1 */
    int derivatives; /* 1: needs dz */
    ad_var (*residual)(const hnn_loss_spec *s, const hnn_model *m, const ad_var param[], ad_var t, ad_var z,
                       ad_var dz);
} hnn_loss_row;
HNN_API int hnn_loss_count(void);
HNN_API const hnn_loss_row *hnn_loss_at(int i);
HNN_API const hnn_loss_row *hnn_loss_find(const char *name, hnn_error *e);

typedef struct hnn_samples { /* the rows a loss is computed on */
    int dof, states;         /* states = K+1 */
    long n;
    double *t;  /* [n, states] */
    double *z;  /* [n, states 2 dof] */
    double *dz; /* [n, 2 dof]; NULL where the loss does not need it */
} hnn_samples;

/* hnn_samples_new - cut trajectories into the rows that the loss of (s, m) needs; windows never cross trajectories.
 * Errors: HNN_EARG (no derivatives in d), HNN_ESHAPE (no trajectory is long enough), HNN_EMEM. */
HNN_API int hnn_samples_new(const hnn_loss_spec *s, const hnn_model *m, const hnn_data *d, hnn_samples *out,
                            hnn_error *e);
HNN_API void hnn_samples_free(hnn_samples *s);

/* ---- 8. Training ---------------------------------------------------------------------------------------- */

enum {
    HNN_CONSTANT,
    HNN_COSINE,
    HNN_PLATEAU
}; /* schedules of the rate, all after an optional linear warm-up */

typedef struct hnn_progress { /* what a log line needs; also the record of a run's curve */
    long step, steps;
    double loss, validation, best; /* validation and best are NaN where they were not computed */
    double rate;                   /* learning rate */
    double gradient;               /* Euclidean norm */
    double seconds; /* since the start of this call, wall clock: the only number here that is not
                                    * reproducible; never part of a checkpoint */
} hnn_progress;
typedef void hnn_log(void *user, const hnn_progress *p);

typedef struct hnn_train_options { /* zero is the default of every field */
    const char *
        optimiser; /* "adam" (default); "lbfgs" in steps of one line search; "lm" in steps that lower the loss, for few
                    * parameters; "lsq" in one step: the network hnn with one hidden layer of tanh or sin is sampled (seed)
                    * and its output weights are solved for. The last three take all samples in a step. */
    const char *
        sampling; /* lsq: how hidden weights are drawn: "normal" (default), or "pairs" of states, or "steep" ones: pairs between
                           * which H changes most */
    long polish;     /* lsq: steps of L-BFGS on all weights that follow */
    long steps;      /* 0: 2000 */
    long batch;      /* samples in a step; 0: all */
    double rate;     /* 0: 1e-3 */
    double l2;       /* added to the gradient: l2 * theta */
    int schedule;    /* HNN_CONSTANT, HNN_COSINE (to rate_end), HNN_PLATEAU */
    double rate_end; /* cosine: rate at the last step */
    long warmup;     /* steps of linear growth from 0 */
    double factor;   /* plateau: the rate is multiplied by this; 0: 0.5 */
    long patience;   /* plateau: after so many checks without improvement; 0: 10 */
    int real;        /* AD_F64, AD_F32: of the program; Adam itself is in double */
    ad_pool *pool;
    uint64_t seed;    /* order of batches */
    long check_every; /* steps between looks at the validation loss and calls of log; 0: 100 */
    long stop_after;  /* early stopping: checks without improvement; 0: never. The best model is kept whenever
                            * there are validation samples */
    hnn_log *log;
    void *user;
    const volatile sig_atomic_t *interrupt; /* nonzero: finish the step, write the checkpoint, return */
    const char *checkpoint;                 /* file; NULL: none */
    long checkpoint_every;                  /* steps; 0: only at the end and on interrupt */
    int resume;                             /* 1: go on from the checkpoint when it exists */
} hnn_train_options;

enum { HNN_TRAINED, HNN_STOPPED_EARLY, HNN_INTERRUPTED, HNN_DIVERGED };

typedef struct hnn_train_result {
    int end; /* HNN_TRAINED, ... */
    long steps;
    double loss;       /* of the last step's batch, before the step */
    double validation; /* of the model kept; NaN without validation samples */
    long best_step;    /* at which the model kept was seen */
    double seconds;    /* wall clock */
    long points;       /* the curve: one entry a check */
    hnn_progress *curve;
    double *
        starts; /* where the loss has starts: the first state of each sample as trained, [n, 2 dof]; else NULL */
} hnn_train_result;

/* hnn_train - change m->theta to fit the samples. validation may be NULL. The same arguments give the same bits, for
 * every number of threads, and over any number of interruptions.
 * Errors: HNN_EARG, HNN_EMEM, HNN_EIO and HNN_ECHECKSUM (checkpoint), HNN_ESHAPE (a checkpoint of another model). A loss
 * that is not finite ends the training with HNN_DIVERGED and the last finite theta; that is a result, not an error. */
HNN_API int hnn_train(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *train,
                      const hnn_samples *validation, const hnn_train_options *o, hnn_train_result *out,
                      hnn_error *e);
/* hnn_train_windows - the same from trajectories, for the rollout loss in stages: windows of 1, 2, 4, ... samples up to that of
 * the loss, which share the steps equally. Checkpoints of the stages before the last are called checkpoint.1, .2, .4, ... The
 * result is the last stage's, but steps and seconds are those of all. Other losses have one stage. */
HNN_API int hnn_train_windows(hnn_model *m, const hnn_loss_spec *loss, const hnn_data *train,
                              const hnn_data *validation, const hnn_train_options *o, hnn_train_result *out,
                              hnn_error *e);
HNN_API void hnn_train_result_free(hnn_train_result *r);

/* ---- 9. What is measured of a model ---------------------------------------------------------------------
 * What cannot be computed is missing with a reason, never zero; a run that diverged counts as infinite and is counted. */
typedef struct hnn_metric {
    double value;           /* NaN when why is not NULL */
    const char *why;        /* the reason why there is no value; NULL: there is one. A constant string */
    const char *integrator; /* name of the method; NULL where none is used */
    double h, horizon;      /* step and length, units of t; 0 where none is used */
    long count;             /* of starts (or states) that entered */
    long diverged;          /* of these, runs that left the finite numbers */
    double extra;  /* energy_mse_true: median over starts; long_horizon: censored fraction; else NaN */
    int estimated; /* 1: against estimated derivatives (measured data) */
} hnn_metric;

typedef enum {
    HNN_FIELD_ERROR,
    HNN_ROLLOUT_ERROR,
    HNN_ENERGY_MSE_TRUE,
    HNN_ENERGY_DRIFT_MODEL,
    HNN_VOLUME_DEFECT,
    HNN_SYMPLECTIC_DEFECT,
    HNN_CURL_DEFECT,
    HNN_LONG_HORIZON,
    HNN_LANDSCAPE, /* in the box below; needs an H that is all of the field, in truth and model */
    HNN_H_ERROR,   /* relative error of H */
    HNN_METRICS
} hnn_metric_id;
HNN_API const char *hnn_metric_name(int id);  /* "field_error" ..., as in the JSON */
HNN_API const char *hnn_metric_title(int id); /* one line for people, with the definition in short */
HNN_API int hnn_metric_larger_is_better(int id);

/* What a model is measured against. */
typedef struct hnn_test {
    hnn_flow *truth;  /* the true system; NULL for measured data */
    hnn_flow *energy; /* measured data: a stated energy function in place of the true one; may be NULL */
    const hnn_data *
        clean; /* held-out clean trajectories: reference solution in z, times in t; trajectory i is start i. dz
                            * is read only without truth, and then counts as estimated */
    const hnn_data *train; /* clean training states: standard deviations, box */
    unsigned angles;       /* bit i-1: differences of q[i] are wrapped to [-pi, pi) */
    double h;              /* step; 0: the median interval of `train` */
    const double *lo,
        *hi; /* [2 dof] box for landscape and the relative error of H; NULL: the range of the training states */
    /* Budgets; 0: what METRICS says */
    long drift_steps;   /* 10^4 */
    long tangent_steps; /* 1000 */
    long horizon_steps; /* 10^5 */
    int sweeps;         /* of the Gauss steps whose tangent map is taken: a fixed schedule; 0: 24 */
    int starts;         /* use the first so many trajectories; 0: all */
    unsigned skip;      /* bit id: do not compute; the reason is then "not asked for" */
    const char *method; /* of rollouts; NULL: "dop853" with tolerances 1e-10 */
} hnn_test;

/* hnn_measure - all metrics of m in out[HNN_METRICS]. An error of one metric
 * is its reason, not the call's failure. Errors: HNN_EARG, HNN_ESHAPE (dof), HNN_EMEM. */
HNN_API int hnn_measure(const hnn_model *m, const hnn_test *test, hnn_metric out[HNN_METRICS], hnn_error *e);

/* ---- 10. The landscape of H -----------------------------------------------------------------------------
 * Equilibria in a box, what kind they are, and how the levels of H hang together: a function of H, the box, the options and
 * the seed alone; equilibria are in ascending energy. */
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
HNN_API int hnn_landscape_find(hnn_landscape_energy H, void *data, int dim, const double lo[],
                               const double hi[], const hnn_landscape_options *o, hnn_landscape *out,
                               hnn_error *e);
HNN_API void hnn_landscape_free(hnn_landscape *l);

/* hnn_flow_landscape - the hnn_flow * `flow` as H of hnn_landscape_find; where it cannot be evaluated is outside the domain. */
HNN_API int hnn_flow_landscape(void *flow, const double z[], double *H, double g[], double h[]);

HNN_API const char *hnn_kind_name(int kind);         /* "minimum", ... */
HNN_API const char *hnn_spectrum_name(int spectrum); /* "centre", "saddle", "mixed" */

#ifdef __cplusplus
}
#endif

#endif
