/* space.h - private: the space of double states, and the solver around it.
 * Invariant: every slot holds `size` finite doubles, or `failed` is set and says where the first failure was. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_SPACE_H
#define ODE_SPACE_H

#include "ode_driver.h"

#define ODE_HIDDEN __attribute__((visibility("hidden")))

typedef struct {
    ode_space base; /* first: a driver gets &base */
    const ode_field *field;
    double *x;     /* slots, size apart */
    double *carry; /* compensation of slot 0 */
    double *reg;   /* registers */
    double *work;  /* Newton: unknowns, residues, matrix; grown on first use */
    size_t work_size;
    int *pivot;
    double t, t_carry, h;
    int slots, registers;
    int compensate, schedule;
    double solve_tol;
    int failed; /* an ODE_E... */
    double failed_t;
    const char *failed_what;
    ode_counts counts;
} ode_real;

struct ode_solver {
    const ode_method *method;
    ode_field field;
    ode_plan *plan;
    ode_real space;
    double *saved; /* [6, size]: the state before a step and its like */
    double last_h;
    /* last accepted adaptive step */
    double *last_y; /* its start */
    double last_t, dense_h;
    int dense_ready;
    int status, started;
    char message[512];
};

ODE_HIDDEN int ode_fail(ode_solver *s, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
ODE_HIDDEN ode_plan *ode_plan_new(const ode_method *row, const char **why);
ODE_HIDDEN void ode_plan_free(ode_plan *p);
ODE_HIDDEN int ode_num_parse(const char *text, ode_num out[], int max);
ODE_HIDDEN int ode_real_new(ode_real *r, const ode_plan *plan, const ode_field *f);
ODE_HIDDEN void ode_real_free(ode_real *r);
ODE_HIDDEN void ode_real_step(ode_real *r, const ode_plan *plan, double h);
ODE_HIDDEN void ode_real_field(ode_real *r, int part, double t, const double *y, double *out);
ODE_HIDDEN void ode_real_solve(ode_space *s, int n, const int y[], const int g[], ode_map *map,
                               const void *ctx);
ODE_HIDDEN int ode_check(ode_solver *s); /* moves a failure of the space into the solver */
ODE_HIDDEN int ode_adaptive(ode_solver *s, double t_end, ode_options *opt);
ODE_HIDDEN int ode_factor(int n, double *a, int *pivot); /* LU with row exchanges; 0 when singular */
ODE_HIDDEN void ode_back(int n, const double *a, const int *pivot, double *b);

static inline double *ode_slot(const ode_real *r, int k) { return r->x + (size_t)k * (size_t)r->base.size; }
#endif
