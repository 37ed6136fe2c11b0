/* bench_work_precision.c - error against processor time for ten methods on Henon-Heiles and the outer solar system, beside GSL's rk8pd
 * and SciPy's DOP853 where they are installed; dop853 against rk8pd at equal error. A JSON line for each point and ratio; with a folder
 * as argument also FOLDER/work-precision.svg and FOLDER/work-precision.md.
 * Invariant: every error is the largest over the positions at the end, against tests/reference/ode.txt in quadruple precision. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef BENCH_HAVE_GSL
#include <gsl/gsl_odeiv2.h>
#endif

#include "../tests/reference/problems.h"
#include "ad.h"
#include "bench.h"
#include "ode.h"
#include "plot.h"
#include "text.h"

enum { MOST = 2 * OUTER_HALF, POINTS = 32, CURVES = 12, TURNS = 9 };
typedef struct {
    const char *name, *title;
    ode_field field;
    const double *start;
    double t_end, h,
        implicit; /* the largest fixed step, of all rows and of those that solve equations by sweeps */
    double want[MOST];
} problem;

#define FIELD(n, name)                                                                                       \
    {                                                                                                        \
        .size = n, .kind = ODE_CANONICAL | ODE_SEPARABLE | ODE_QUADRATIC_T, .rhs = name##_f,                 \
        .dHdp = name##_p, .dHdq = name##_q                                                                   \
    }
static problem problems[] = {
    {"henon-heiles", "Henon-Heiles, t = 1000", FIELD(4, hh), hh_start, 1000, 2, 1, {0}},
    {"outer-solar-system",
     "outer solar system, 200,000 days",
     FIELD(MOST, outer),
     outer_start,
     200000,
     800,
     50,
     {0}},
};
static const char *const methods[] = {"rk4",          "dopri5",  "tsit5",
                                      "dop853",       "verlet",  "gauss8",
                                      "blanes-moan6", "srkn14a", "sofroniou-spaletta10",
                                      "gauss4"};
enum { METHODS = sizeof methods / sizeof *methods };

typedef struct {
    const char *label;
    int n;
    double ms[POINTS], error[POINTS], setting[POINTS];
    long evaluations[POINTS];
} curve;

static int read_reference(problem *p)
{
    char line[4096], *at;
    FILE *in = fopen(BENCH_REFERENCE, "r");
    int found = 0;
    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, p->name, strlen(p->name)) && line[strlen(p->name)] == ' ' &&
            strtod(line + strlen(p->name), &at) == p->t_end) {
            for (int i = 0; i < p->field.size; i++)
                p->want[i] = strtod(at, &at);
            found = 1;
        }
    if (in)
        fclose(in);
    return found;
}
static double error_of(const problem *p, const double y[])
{
    double worst = 0;
    for (int i = 0; i < p->field.size / 2; i++)
        worst = fmax(worst, fabs(y[i] - p->want[i]));
    return worst;
}
static double median(int n, double x[])
{
    qsort(x, (size_t)n, sizeof *x, bench_by_value);
    return x[n / 2];
}

/* One run; its seconds. rtol = atol = tolerance, or a fixed step h. f: p's field as a recorded one, or NULL. */
static double once(const problem *p, const ode_field *f, const char *method, double h, double tolerance,
                   double y[], long *evaluations)
{
    double begin = bench_now();
    ode_solver *s = ode_new(ode_method_find(method), f ? f : &p->field);
    ode_start(s, 0, p->start);
    ode_integrate(s, p->t_end,
                  &(ode_options){.h = h, .rtol = tolerance, .atol = tolerance, .compiled = f ? 2 : 0});
    double spent = bench_now() - begin;
    memcpy(y, ode_y(s), sizeof *y * (size_t)p->field.size);
    *evaluations = (long)ode_counters(s).fields;
    if (ode_status(s))
        y[0] = NAN;
    ode_free(s);
    return spent;
}
static double gsl_once(const problem *p, double tolerance, double y[], long *evaluations);
#ifdef BENCH_HAVE_GSL
typedef struct {
    const problem *p;
    long count;
} counted;
static int gsl_field(double t, const double y[], double f[], void *user)
{
    counted *c = user;
    c->count++;
    return c->p->field.rhs(NULL, t, y, f);
}
static double gsl_once(const problem *p, double tolerance, double y[], long *evaluations)
{
    double begin = bench_now(), t = 0;
    counted c = {p, 0};
    gsl_odeiv2_system s = {gsl_field, NULL, (size_t)p->field.size, &c};
    gsl_odeiv2_driver *d =
        gsl_odeiv2_driver_alloc_y_new(&s, gsl_odeiv2_step_rk8pd, p->h / 100, tolerance, tolerance);
    memcpy(y, p->start, sizeof *y * (size_t)p->field.size);
    if (gsl_odeiv2_driver_apply(d, &t, p->t_end, y))
        y[0] = NAN;
    gsl_odeiv2_driver_free(d);
    *evaluations = c.count;
    return bench_now() - begin;
}
enum { HAVE_GSL = 1 };
#else
static double gsl_once(const problem *p, double tolerance, double y[], long *evaluations)
{
    (void)p, (void)tolerance, (void)evaluations;
    y[0] = NAN;
    return NAN;
}
enum { HAVE_GSL = 0 };
#endif

static void add(const problem *p, curve *c, double setting, double ms, double error, long evaluations)
{
    if (c->n == POINTS || !(error >= 0))
        return;
    c->setting[c->n] = setting, c->ms[c->n] = ms, c->error[c->n] = error,
    c->evaluations[c->n++] = evaluations;
    printf("{\"bench\":\"work_precision\",\"problem\":\"%s\",\"method\":\"%s\",\"setting\":%g,\"ms\":%.4g,"
           "\"error\":%.3g,\"evaluations\":%ld}\n",
           p->name, c->label, setting, ms, error, evaluations);
}
/* Steps are halved, tolerances divided by ten, until the error is at round-off or grows, or a run takes a tenth of a second. */
static void sweep(const problem *p, const char *method, curve *c)
{
    const ode_method *m = ode_method_find(method);
    int adaptive = !m || (m->flags & ODE_ADAPTIVE) != 0;
    double y[MOST], x[TURNS], least = INFINITY;
    c->label = m ? method : "GSL rk8pd";
    double first = !strncmp(method, "gauss", 5) ? p->implicit : p->h;
    for (double s = adaptive ? 1e-3 : first; c->n < POINTS && s > 0.9e-14; s /= adaptive ? 10 : 2) {
        long evaluations = 0;
        double error = 1;
        int turns = TURNS;
        for (int turn = 0; turn < turns; turn++) {
            x[turn] = m ? once(p, NULL, method, adaptive ? 0 : s, adaptive ? s : 0, y, &evaluations)
                        : gsl_once(p, s, y, &evaluations);
            error = isfinite(y[0]) ? error_of(p, y) : 1;
            if (turn == 0 && x[0] > 5e-3) /* long enough for the clock */
                turns = x[0] > 0.2 ? 1 : 3;
            if (error >= 1) /* this far off nobody asks for the time */
                break;
        }
        if (error >= 1)
            continue;
        double spent = median(turns, x);
        add(p, c, s, 1e3 * spent, error, evaluations);
        int dearer = c->n > 1 && c->ms[c->n - 1] > c->ms[c->n - 2];
        if ((spent > 0.1 && dearer) || (least < 1e-8 && error > 4 * least))
            break;
        least = fmin(least, error);
    }
}
/* SciPy as a program of its own; 0 when it is not there. */
static int scipy(curve c[2])
{
    char command[4096], input[] = "/tmp/noether-work-precision-XXXXXX";
    int file = mkstemp(input), lines = 0;
    FILE *f = file >= 0 ? fdopen(file, "w") : NULL;
    if (!f)
        return 0;
    for (int k = 0; k < 2; k++) {
        fprintf(f, "%s %.17g", problems[k].name, problems[k].t_end);
        if (k)
            fprintf(f, " %.17g", outer_G);
        for (int b = 0; k && b < OUTER_BODIES; b++)
            fprintf(f, " %.17g", outer_mass[b]);
        for (int i = 0; i < problems[k].field.size; i++)
            fprintf(f, " %.17g", problems[k].start[i]);
        fprintf(f, "\n");
    }
    fclose(f);
    /* the first Python that has SciPy: a distribution's packages belong to its own */
    snprintf(command, sizeof command,
             "for p in python3 /usr/bin/python3; do $p -c 'import scipy' 2>/dev/null && "
             "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 exec $p '%s/scipy_dop853.py' < %s; done; exit 1",
             BENCH_PEERS, input);
    FILE *in = popen(command, "r");
    char line[4096], name[64];
    while (in && fgets(line, sizeof line, in)) {
        double tolerance, ms, y[MOST];
        long evaluations;
        int used;
        if (sscanf(line, "%63s %lf %lf %ld%n", name, &tolerance, &ms, &evaluations, &used) != 4)
            continue;
        int k = strcmp(name, problems[0].name) != 0;
        char *at = line + used;
        for (int i = 0; i < problems[k].field.size; i++)
            y[i] = strtod(at, &at);
        c[k].label = "SciPy DOP853";
        add(&problems[k], &c[k], tolerance, ms, error_of(&problems[k], y), evaluations);
        lines++;
    }
    int bad = in ? pclose(in) : 1;
    remove(input);
    return lines > 0 && !bad;
}

/* The time that a curve needs for an error, between its points (log against log); NaN outside of them. */
static double time_for(const curve *c, double error)
{
    for (int i = 0; i + 1 < c->n; i++)
        if ((c->error[i] - error) * (c->error[i + 1] - error) <= 0 && c->error[i] != c->error[i + 1]) {
            double w = log(error / c->error[i]) / log(c->error[i + 1] / c->error[i]);
            return exp(log(c->ms[i]) + w * log(c->ms[i + 1] / c->ms[i]));
        }
    return NAN;
}
/* dop853 at 1e-12 and rk8pd at tolerances around it, in turns; rk8pd's time for the same error between its points. rk8pd always
 * calls the field written in C. */
static int equal_error(const problem *p, const ode_field *f)
{
    enum { AROUND = 5 };
    double mine[TURNS], theirs[AROUND][TURNS], y[MOST], z[MOST];
    long evaluations;
    curve c = {.label = "GSL rk8pd", .n = AROUND};
    for (int turn = 0; turn < TURNS; turn++) {
        mine[turn] = once(p, f, "dop853", 0, 1e-12, y, &evaluations);
        for (int k = 0; k < AROUND; k++) {
            theirs[k][turn] = gsl_once(p, 1e-12 * pow(4, 2 - k), z, &evaluations);
            c.error[k] = error_of(p, z);
        }
    }
    for (int k = 0; k < AROUND; k++)
        c.ms[k] = 1e3 * median(TURNS, theirs[k]);
    double ms = 1e3 * median(TURNS, mine), error = error_of(p, y), gsl = time_for(&c, error);
    printf("{\"bench\":\"work_precision\",\"problem\":\"%s\",\"work\":\"dop853 at 1e-12%s and GSL rk8pd at "
           "equal error\",\"error\":%.3g,\"ms\":%.4g,\"gsl_ms\":%.4g,\"ratio\":%.2f%s}\n",
           p->name, f ? " of a recorded Hamiltonian, emitted C," : "", error, ms, gsl, ms / gsl,
           f ? "" : ",\"must_reach\":1.3");
    return error < 1e-6 && gsl > 0;
}

/* The first problem from its text. */
static ode_recorded *recorded(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 2), p = ad_input(t, "p", 1, 2),
           H = ad_expr(t, "(p[1]^2 + p[2]^2)/2 + (q[1]^2 + q[2]^2)/2 + q[1]^2*q[2] - q[2]^3/3", q, p);
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p});
    ad_free(t);
    return r;
}
static void report(const char *folder, curve all[2][CURVES])
{
    static const double levels[] = {1e-2, 1e-4, 1e-6, 1e-8, 1e-10};
    hnn_text md = {0}, svg = {0};
    hnn_error e = {0};
    hnn_plot plots[2] = {{0}};
    hnn_series series[2][2 * CURVES];
    for (int k = 0; k < 2; k++) {
        hnn_text_printf(&md,
                        "%s%s: milliseconds for an error of\n\n| method | 1e-2 | 1e-4 | 1e-6 | 1e-8 | 1e-10 "
                        "|\n|---|---|---|---|---|---|\n",
                        k ? "\n" : "", problems[k].title);
        int n = 0;
        for (int m = 0; m < CURVES; m++) {
            curve *c = &all[k][m];
            if (!c->n)
                continue;
            hnn_text_printf(&md, "| %s |", c->label);
            for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
                double ms = time_for(c, levels[l]);
                hnn_text_printf(&md, isfinite(ms) ? " %.3g |" : " - |", ms);
            }
            hnn_text_add(&md, "\n");
            int peer = m >= METHODS;
            hnn_series s = {.label = c->label,
                            .colour = peer ? HNN_INK : m,
                            .dash = peer ? m - METHODS + 1 : m / 7,
                            .n = c->n,
                            .x = c->ms,
                            .y = c->error};
            s.kind = HNN_PLOT_LINE;
            series[k][n++] = s;
            s.kind = HNN_PLOT_POINTS, s.label = NULL;
            series[k][n++] = s;
        }
        plots[k] = (hnn_plot){
            .title = problems[k].title,
            .xlabel = "processor time, ms",
            .ylabel = "error of the positions",
            .about = "Error at the end against processor time, both logarithmic, a line for each method.",
            .width = 560,
            .height = 480,
            .xlog = 1,
            .ylog = 1,
            .x = {0.1, 1000},
            .y = {1e-12, 1},
            .series = series[k],
            .n = n};
    }
    char path[4096];
    int bad = hnn_plot_panels(plots, 2, 2, &svg, &e);
    snprintf(path, sizeof path, "%s/work-precision.svg", folder);
    bad = bad || hnn_file_write(path, svg.s, svg.n, &e);
    snprintf(path, sizeof path, "%s/work-precision.md", folder);
    bad = bad || hnn_file_write(path, md.s, md.n, &e);
    if (bad)
        fprintf(stderr, "bench_work_precision: %s\n", e.message);
    hnn_text_free(&md), hnn_text_free(&svg);
}

int main(int argc, char **argv)
{
    static curve all[2][CURVES];
    int status = 0;
    for (int k = 0; k < 2; k++) {
        problem *p = &problems[k];
        if (!read_reference(p)) {
            fprintf(stderr, "bench_work_precision: no line %s %g in %s\n", p->name, p->t_end,
                    BENCH_REFERENCE);
            return 1;
        }
        for (int m = 0; m < METHODS; m++) {
            sweep(p, methods[m], &all[k][m]);
            if (all[k][m].n < 2) {
                fprintf(stderr, "bench_work_precision: %s on %s has no errors below 1\n", methods[m],
                        p->name);
                status = 1;
            }
        }
        if (HAVE_GSL) {
            sweep(p, "GSL rk8pd", &all[k][METHODS]);
            status |= !equal_error(p, NULL);
            ode_recorded *r = k ? NULL : recorded();
            status |= r && !equal_error(p, ode_recorded_field(r));
            ode_recorded_free(r);
        }
    }
    if (!HAVE_GSL)
        fprintf(stderr, "bench_work_precision: GSL is not installed (libgsl-dev): no rk8pd\n");
    curve peer[2] = {{0}};
    if (!scipy(peer))
        fprintf(stderr, "bench_work_precision: SciPy is not installed (python3-scipy): no DOP853 of it\n");
    for (int k = 0; k < 2; k++)
        all[k][METHODS + 1] = peer[k];
    if (argc > 1)
        report(argv[1], all);
    return status;
}
