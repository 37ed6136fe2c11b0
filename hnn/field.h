/* field.h - from a Hamiltonian to its field, on the tape and as numbers. Invariant: every vector field, of true systems,
 * texts and networks, is made by hnn_field; none is derived by hand. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_FIELD_H
#define HNN_FIELD_H

#include "ad.h"
#include "model.h"
#include "ode.h"

struct ad_pool; /* of ad.h */

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
ad_var hnn_field(hnn_recorded *H, const hnn_structure *s, ad_var z, ad_var time, ad_var u,
                 const ad_var params[]);

/* hnn_canonical - J g: (g_q, g_p) -> (g_p, -g_q), columns of g [B, 2n]. */
ad_var hnn_canonical(ad_var g);

/* A model as numbers: compiled H, field and Jacobian, with theta as it was when the flow was made. One thread at a time. */
typedef struct hnn_flow hnn_flow;

/* hnn_flow_new - pool may be NULL. Errors: HNN_EMEM, HNN_EARG with the tape's message. */
int hnn_flow_new(const hnn_model *m, struct ad_pool *pool, hnn_flow **out, hnn_error *e);
void hnn_flow_free(hnn_flow *f);

/* hnn_flow_ode - the flow as a field for ode.h, valid as long as f: rhs and jacobian always; energy, dHdp, dHdq where
 * there is an H and nothing dissipates or drives. kind says ODE_CANONICAL, ODE_SEPARABLE, ODE_QUADRATIC_T. */
const ode_field *hnn_flow_ode(hnn_flow *f);
/* hnn_flow_batch - n states as one state of n * 2 dof numbers, state after state: rhs only. For many starts at once
 * with methods that treat the components alike. Rows whose value is not finite, and those with frozen[i] != 0, get field
 * 0; the former are marked frozen[i] = 2. frozen [n] belongs to the caller. */
int hnn_flow_batch(hnn_flow *f, int n, unsigned char *frozen, ode_field *out, hnn_error *e);

/* For n states z [n, 2 dof] (all at time t). Errors: HNN_EARG with the message of the run, e.g. where H does not exist. */
int hnn_flow_energy(hnn_flow *f, long n, double t, const double z[], double H[], hnn_error *e); /* [n] */
int hnn_flow_rate(hnn_flow *f, long n, double t, const double z[], double dz[],
                  hnn_error *e); /* [n, 2 dof] */
int hnn_flow_jacobian(hnn_flow *f, long n, double t, const double z[], double B[],
                      hnn_error *e); /* [n, (2 dof)^2] */
int hnn_flow_hessian(hnn_flow *f, long n, double t, const double z[], double Hzz[], hnn_error *e); /* of H */
int hnn_flow_gradient(hnn_flow *f, long n, double t, const double z[], double Hz[],
                      hnn_error *e); /* of H, [n, 2 dof] */
int hnn_flow_has_energy(const hnn_flow *f);
int hnn_flow_dof(const hnn_flow *f);
const hnn_model *hnn_flow_model(const hnn_flow *f); /* its copy of the model */

/* hnn_flow_rollout - states at the times t[0] .. t[n-1] from z0 at t[0], by the named method of ode.h with step h (0 and
 * an adaptive method: tolerances 1e-10): out [n, 2 dof]. *done (may be NULL) is how many rows are valid: fewer than n
 * when the run diverged, which is not an error; rows after them are NaN. */
int hnn_flow_rollout(hnn_flow *f, const char *method, double h, const double z0[], long n, const double t[],
                     double out[], long *done, hnn_error *e);

#endif
