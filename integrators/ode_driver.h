/* ode_driver.h - for those who add a family of methods: the abstract space in which a step is written.
 * Invariant: a driver never sees a number of the state, so the same step runs on doubles, wider reals, dual numbers
 * and tape variables. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_DRIVER_H
#define ODE_DRIVER_H

#include "ode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A coefficient to 106 bits: hi + lo. (ode_num){0.5, 0} is a half. */
typedef struct {
    double hi, lo;
} ode_num;

/* Terms of a sum over slots: c[j] of slot at[j]. */
typedef struct ode_sum {
    int count;
    ode_num *c;
    int *at;
} ode_sum;

/* The row, its texts read. All arrays may be NULL when the row has no such text. */
typedef struct ode_plan ode_plan;
struct ode_plan {
    const ode_method *row;
    int stages;
    int na, na2, nb, ne, ne2, nextra, ndense;
    ode_num *a, *a2, *b, *e, *e2, *extra, *dense;
    /* explicit Runge-Kutta: the times of the stages; the sums that are arguments of stages 1 .. s-1, then solution, two errors,
     * further stages */
    ode_num *c;
    struct ode_sum *sums;
    double *guess;  /* collocation: stages x stages, extrapolates the stages of the last step */
    int same_last;  /* explicit Runge-Kutta: the last stage is the next step's first */
    ode_plan *base; /* of a composition */
};

/* A state lives in numbered slots, slot 0 is the solution. Slots keep their value from step to step.
 * `part` says which rows an operation touches. */
enum { ODE_Q = 1, ODE_P = 2, ODE_ALL = 3 };

typedef struct ode_space ode_space;
typedef void ode_map(ode_space *s, const void *ctx);
typedef struct {
    void (*set)(ode_space *, int part, int dst, int src);             /* dst = src; src < 0: 0 */
    void (*add)(ode_space *, int part, int dst, ode_num c, int src);  /* dst += c src */
    void (*addh)(ode_space *, int part, int dst, ode_num c, int src); /* dst += c h src */
    void (*sum)(ode_space *, int dst, int src,
                const ode_sum *); /* dst = src + h times the sum; into slot 0 only from slot 0 */
    void (*eval)(ode_space *, int part, int dst, int src,
                 ode_num c);                            /* dst = f(t + c h, src), rows of part */
    void (*rotate)(ode_space *, int dst, int src);      /* dst = J src: (q, p) -> (p, -q) */
    void (*pick)(ode_space *, int i, int dst, int src); /* dst[i] = src[i] */
    void (*mix)(ode_space *, int a, int b,
                ode_num c); /* a - b turns by 2 omega c h in each (q, p) plane; a + b stays */
    /* numbers computed from states, in registers of their own */
    void (*dot)(ode_space *, int r, int x, int y);        /* r = x . y */
    void (*entry)(ode_space *, int r, int x, int i);      /* r = x[i] */
    void (*energy)(ode_space *, int r, int x, ode_num c); /* r = H(t + c h, x) */
    void (*plus)(ode_space *, int r, double c, int a);    /* r += c a */
    void (*quotient)(ode_space *, int r, int a, int b, double small,
                     int alt);                                    /* |b| > small ? a/b : alt (alt < 0: 0) */
    void (*put)(ode_space *, int dst, int i, int r);              /* dst[i] = r */
    void (*addr)(ode_space *, int part, int dst, int r, int src); /* dst += r src */
    /* Solve y = G(y): map computes the slots g[] from the slots y[]; on return y[] solves. */
    void (*solve)(ode_space *, int n, const int y[], const int g[], ode_map *map, const void *ctx);
} ode_ops;

struct ode_space {
    const ode_ops *ops;
    int size, half; /* length of a state; half = size / 2 when canonical, else 0 */
    int fresh; /* 1: slot 0 was set from outside, nothing kept means anything; 2: registers do, slots do not;
                * 3: as 1, but slot 1 is f(t, slot 0) already (explicit Runge-Kutta after a rejected step) */
    ode_num hs, tc; /* a composition's sub-step: h is hs times the step, t begins tc steps later */
    int slot0;      /* slots of the driver running begin here, but slot 0 stays the solution */
    int hold; /* 1: what a sum into slot 0 loses is for a later one: where sums follow each other, none waits for the last one's error */
    double omega; /* extended phase space: coupling of the copies, 1 / time; 0 = not given */
    double ratio; /* this step / last step, 0 when unknown: for extrapolation */
};

/* What a step reads as the last one left it: slots, the rows of `part` of them; field: they hold values of the field, not
 * states. implicit: the step solves equations (ops->solve). */
typedef struct {
    int count, slot[16], part, field, implicit;
} ode_kept;

/* A family. step advances slot 0 by one step of the plan and returns nothing: failures are the space's. keeps fills a
 * zeroed ode_kept and returns 1 where nothing else is read, and then steps can be programs (ode_options.compiled);
 * NULL or 0: they cannot. */
struct ode_driver {
    const char *name;
    int (*slots)(const ode_plan *);     /* states needed beside slot 0 */
    int (*registers)(const ode_plan *); /* numbers needed; NULL = 0 */
    void (*step)(ode_space *, const ode_plan *);
    int (*keeps)(const ode_plan *, ode_kept *);
};
extern ODE_API const ode_driver ode_rk_driver, ode_split_driver, ode_collocation_driver, ode_avf_driver,
    ode_gonzalez_driver, ode_compose_driver, ode_tao_driver, ode_semiexplicit_driver, ode_itoh_abe_driver;

#ifdef __cplusplus
}
#endif
#endif
