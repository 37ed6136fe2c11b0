/* evaluations_gsl.c - the second half of evaluations.txt (see evaluations.py): GSL's rk8pd on the same problems. */
/* SPDX-License-Identifier: MIT */
#include "problems.h"
#include <gsl/gsl_errno.h>
#include <gsl/gsl_odeiv2.h>
#include <gsl/gsl_version.h>
#include <math.h>
#include <stdio.h>

static long count;
typedef int field(void *, double, const double *, double *);
static int counted(double t, const double y[], double f[], void *p)
{
    count++;
    (*(field **)p)(NULL, t, y, f);
    return GSL_SUCCESS;
}
int main(void)
{
    const double k[] = {0.4, 0, 0, 2};
    const struct {
        const char *name;
        field *f;
        double t;
        const double *y;
    } problem[] = {{"henon-heiles", hh_f, 100, hh_start},
                   {"kepler", kepler_f, 20, k},
                   {"double-pendulum", double_pendulum_f, 10, double_pendulum_start},
                   {"arenstorf", arenstorf_f, ARENSTORF_PERIOD, arenstorf_start}};
    printf("# GSL %s\n", GSL_VERSION);
    for (int i = 0; i < 4; i++)
        for (double tol = 1e-6; tol > 0.9e-12; tol *= 1e-3) {
            field *f = problem[i].f;
            gsl_odeiv2_system s = {counted, NULL, 4, &f};
            gsl_odeiv2_driver *d = gsl_odeiv2_driver_alloc_y_new(&s, gsl_odeiv2_step_rk8pd, 1e-4, tol, tol);
            double y[4], t = 0;
            memcpy(y, problem[i].y, sizeof y);
            count = 0;
            gsl_odeiv2_driver_apply(d, &t, problem[i].t, y);
            printf("gsl rk8pd %s %g %ld\n", problem[i].name, tol, count);
            gsl_odeiv2_driver_free(d);
        }
    return 0;
}
