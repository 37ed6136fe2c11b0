/* space.h - private: the space of double states, and the solver around it.
 * Invariant: every slot holds `rows` states of `size` finite doubles, one after the other, or the row's fault says where
 * its first failure was. Operations touch live rows only, so a row's bits do not depend on its neighbours. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_SPACE_H
#define ODE_SPACE_H

#include <math.h>

#include "ode_driver.h"

#define ODE_HIDDEN __attribute__((visibility("hidden")))

/* Sums of slots in one pass; x_j begins at x + at[j] stride, n components of it.
 * plain:   d = y + h sum c_j x_j, fused from y on, of c_j the high halves; y NULL: 0
 * carried: d += (h + hl) sum c_j x_j + e: the error of every product and sum comes in with it; e is what the last such sum lost, and
 *          takes what this one does
 * errors:  out[k] = sum over the components of (w sum c_j x_j)^2 for the sums e[0], e[1] (without terms: 0), w = 1 / (atol + rtol of the
 *          larger of |y0|, |y1|); components i mod 4 = 0, 1, 2, 3 apart first, then (0 + 1) + (2 + 3) */
struct ode_real;
typedef struct {
    void (*plain)(int n, double *d, const double *y, const ode_sum *terms, const double *x, size_t stride,
                  double h);
    void (*carried)(int n, double *d, double *e, const ode_sum *terms, const double *x, size_t stride,
                    double h, double hl);
    void (*errors)(int n, const double *y0, const double *y1, const ode_sum e[2], const double *x,
                   size_t stride, const ode_options *o, double out[2]);
    /* one whole step of an explicit row of a single state, or NULL */
    void (*rk)(struct ode_real *r, const ode_plan *p);
} ode_combine;
ODE_HIDDEN ode_combine ode_combine_best(void);

/* Steps of one length since a time: where the solver is after k of them does not depend on how they are cut into runs. */
typedef struct {
    double base, base_carry, h, t, t_carry; /* t: after k steps */
    int64_t k;
} ode_clock;

/* The first failure of a row. */
typedef struct {
    int status; /* 0, or an ODE_E... */
    const char *what;
    double t;
} ode_fault;

typedef struct ode_real {
    ode_space base; /* first: a driver gets &base */
    const ode_field *field;
    int rows;      /* states stepped side by side */
    double *x;     /* slots, rows * size apart */
    double *carry; /* compensation of slot 0 */
    double *reg;   /* registers, rows apart */
    double *row_t, *row_h, *row_tc,
        *when;             /* of each row: start of the step, step, its carry, a stage's time */
    double *pack, *pack_t; /* [2, rows, size]: live rows side by side, and what the field gives for them */
    double *last,
        *past;  /* of each row: the smallest change of a solve; [2, rows] those of the last two sweeps */
    int *index; /* numbers of the live rows */
    ode_fault *fault;
    unsigned char *live, *open; /* [rows]: touched by operations; those a solve began with */
    double *work;               /* Newton: unknowns, residues, matrix; grown on first use */
    size_t work_size;
    int *pivot;
    ode_combine combine;
    void (*step_add)(int, int, double *, double *, double, double, double, const double *);
    double t, t_carry, h; /* of the whole, where steps are common */
    ode_clock clock;
    int slots, registers;
    int compensate, schedule;
    double solve_tol;
    int failed; /* an ODE_E...: one row and it failed, or no memory */
    double failed_t;
    const char *failed_what;
    ode_counts counts;
} ode_real;

/* Steps are ordinary ones; programs as soon as they pay; programs. */
enum { ODE_STEPS_ORDINARY, ODE_STEPS_MAY, ODE_STEPS_TOLD };

struct ode_solver {
    const ode_method *method;
    ode_field field;
    ode_plan *plan;
    ode_real space;
    double *saved; /* [ODE_SAVED, rows, size]: the states before a step and their like */
    /* last accepted adaptive step */
    double *last_y; /* its start */
    double *last_t, *dense_h;
    struct ode_lane *lane;         /* step control of each row */
    struct ode_compiled *compiled; /* programs of steps, or NULL */
    int programs;                  /* ODE_STEPS_...: of the run that goes on */
    int64_t ordinary;              /* steps that could have been programs */
    int64_t changes;               /* of the parameters of a recorded field, up to the last step */
    int dense_ready;
    int status, started;
    char message[512];
};

ODE_HIDDEN int ode_fail(ode_solver *s, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
ODE_HIDDEN ode_plan *ode_plan_new(const ode_method *row, const char **why);
ODE_HIDDEN void ode_plan_free(ode_plan *p);
ODE_HIDDEN int ode_num_parse(const char *text, ode_num out[], int max);
ODE_HIDDEN int ode_real_new(ode_real *r, const ode_plan *plan, const ode_field *f, int rows);
ODE_HIDDEN void ode_real_free(ode_real *r);
/* One step h of all live rows, and their time. */
ODE_HIDDEN void ode_real_step(ode_real *r, const ode_plan *plan, double h);
/* The clock of steps h from where the solver is; and n of them later. */
ODE_HIDDEN const ode_clock *ode_real_clock(ode_real *r, double h);
ODE_HIDDEN void ode_real_tick(ode_real *r, double h, int64_t n);
/* One step row_h of each live row; times are the caller's. */
ODE_HIDDEN void ode_real_advance(ode_real *r, const ode_plan *plan);
/* The field of live rows at times t[row]; y and out are [rows, size]. */
ODE_HIDDEN void ode_real_field(ode_real *r, int part, const double t[], const double *y, double *out);
ODE_HIDDEN void ode_real_solve(ode_space *s, int n, const int y[], const int g[], ode_map *map,
                               const void *ctx);
/* One row of the field, or one quantity of one row, wherever it is; not 0 when it cannot be had. */
ODE_HIDDEN int ode_row_field(const ode_real *r, int part, int row, double t, const double *y, double *out);
ODE_HIDDEN int ode_row_give(const ode_real *r, int row, int what, double t, const double *y, double *out);
/* d (y - G(y)) / dy of one row into A [N,N], N = n size, by differentiating the map; 0 without a Jacobian of the field. */
ODE_HIDDEN int ode_dual_matrix(ode_real *r, int row, int n, const int y[], const int g[], ode_map *map,
                               const void *ctx, double A[]);
ODE_HIDDEN void ode_real_fault(ode_real *r, int row, int status, double t, const char *what);
ODE_HIDDEN int ode_check(ode_solver *s); /* moves a failure of the space into the solver */
ODE_HIDDEN int ode_adaptive(ode_solver *s, double t_end, ode_options *opt);
ODE_HIDDEN int ode_factor(int n, double *a, int *pivot); /* LU with row exchanges; 0 when singular */
ODE_HIDDEN void ode_back(int n, const double *a, const int *pivot, double *b);

/* Not 0 when one of n values is NaN or infinite: the sum is NaN then, and exactly 0 otherwise. Volatile, so that values are loaded
 * one by one as the field has just stored them: a vector load across fresh stores waits until they have left the store buffer. */
static inline int ode_any_bad(const volatile double *d, int n)
{
    double even = 0, odd = 0;
    int i = 0;
    for (; i + 2 <= n; i += 2)
        even += d[i] * 0.0, odd += d[i + 1] * 0.0;
    if (i < n)
        even += d[i] * 0.0;
    return even + odd != 0;
}

/* c times the share of a composition's sub-step. */
static inline ode_num ode_share(const ode_space *s, ode_num c)
{
    double g = c.hi * s->hs.hi;
    if (s->hs.hi == 1 && s->hs.lo == 0)
        return c;
    return (ode_num){g, fma(c.hi, s->hs.hi, -g) + (c.hi * s->hs.lo + c.lo * s->hs.hi)};
}

static inline double *ode_slot(const ode_real *r, int k)
{
    return r->x + (size_t)k * (size_t)r->base.size * (size_t)r->rows;
}
static inline double *ode_row(const ode_real *r, int k, int row)
{
    return ode_slot(r, k) + (size_t)row * (size_t)r->base.size;
}
#endif
