/* model.h - models as rows: how parameters make a Hamiltonian, or a field. Invariant: all parameters of a model are one
 * flat vector theta of doubles; on a tape they are one input per matrix, in the order of `param`, so a program reads
 * and writes theta in place and no optimiser needs to know the model. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_MODEL_H
#define HNN_MODEL_H

#include "ad.h"
#include "data.h"
#include "error.h"
#include "systems.h"

#include <stdint.h>

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
int hnn_model_count(void);
const hnn_model_row *hnn_model_at(int i); /* NULL outside 0 .. count-1 */
const hnn_model_row *hnn_model_find(const char *name,
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
int hnn_model_new(const hnn_model_spec *spec, uint64_t seed, hnn_model **out, hnn_error *e);
void hnn_model_free(hnn_model *m);
int hnn_model_copy(const hnn_model *m, hnn_model **out, hnn_error *e);

/* hnn_model_init - draw theta again, as hnn_model_new does. */
int hnn_model_init(hnn_model *m, uint64_t seed, hnn_error *e);

/* hnn_model_system - a known system as a model of row text without anything to fit (or with: set fit in the model's
 * spec first). value[]: parameters in the row's order, NULL: the row's; dof 0: the row's. No gauge: H is the row's H. */
int hnn_model_system(const hnn_system *s, int dof, const double value[], hnn_model **out, hnn_error *e);

/* hnn_model_inputs - record the parameters as inputs of t: param[params], void on error (the tape keeps it). */
void hnn_model_inputs(const hnn_model *m, ad_tape *t, ad_var param[]);

/* hnn_model_pointers - p[i] = theta + offset of matrix i, for ad_run. theta may be any vector of m->size numbers. */
void hnn_model_pointers(const hnn_model *m, const double *theta, const double *p[]);

/* hnn_model_energy - H at z [B, 2 dof] and time [B,1] (or a number) -> [B,1]; void (no error) when there is no H. */
ad_var hnn_model_energy(const hnn_model *m, const ad_var param[], ad_var z, ad_var time);

/* hnn_model_field - dz/dt at z [B, 2 dof] and time [B,1] (or a number) -> [B, 2 dof]. Goes through hnn_field. */
ad_var hnn_model_field(const hnn_model *m, const ad_var param[], ad_var z, ad_var time);

/* hnn_model_features - the last hidden layer of H's network at z -> [B, width], so that H is energy_scale * features *
 * (last matrix) up to the gauge; void (no error) where H is not one network. For least squares on output weights. */
ad_var hnn_model_features(const hnn_model *m, const ad_var param[], ad_var z);

/* hnn_model_save / _load - weights as safetensors: one array per matrix, the spec as its metadata. */
int hnn_model_save(const char *path, const hnn_model *m, int type, hnn_error *e); /* type: HNN_F64, HNN_F32 */
int hnn_model_load(const char *path, hnn_model **out, hnn_error *e);

#endif
