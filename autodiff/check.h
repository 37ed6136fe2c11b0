/* check.h - private: the differences behind ad_check.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_CHECK_H
#define AD_CHECK_H

#include "say.h"

typedef struct ad_checking {
    ad_tape *t;
    int nx, batch;
    const ad_var *x;
    int64_t total;      /* elements of all x */
    int64_t *start;     /* of each x in the arrays below; [nx] = total */
    long double *at;    /* the values of x */
    long double *dir;   /* the direction v, each element of the size of its input */
    long double *size;  /* of each x: its largest element, 1 when all are 0 */
    long double *moved; /* what the programs read; x first, then the other inputs */
    const void **in;    /* by number of input */
    ad_text *report;
    long double
        natural; /* what a derivative would be if f changed by itself over its step: a scale for doubt */
    double worst, known; /* over the rows so far */
    bool wrong;          /* the worst is more than the doubt explains */
    ad_text worst_at;
} ad_checking;

typedef struct ad_probe { /* a program in long double; its outputs stand one behind the other */
    ad_program *p;
    ad_work *w;
    int64_t count;
    void **out;
    long double *value;
} ad_probe;

HIDDEN bool ad_probe_new(ad_probe *f, const ad_checking *c, int n, const ad_var y[]);
HIDDEN void ad_probe_run(const ad_probe *f, const ad_checking *c); /* at c->moved; NaN outside the domain */
HIDDEN void ad_probe_free(ad_probe *f);
/* The derivative of f's outputs along v, or in element `one` when it is not negative, whose size is given. want and
 * doubt take f->count numbers; doubt is infinite where no step gave a number. false when memory runs out. */
HIDDEN bool ad_differentiate(ad_checking *c, const ad_probe *f, int64_t one, long double size,
                             long double *want, long double *doubt);

#endif
