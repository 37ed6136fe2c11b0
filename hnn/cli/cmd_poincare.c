/* cmd_poincare.c - noether poincare: where orbits of one energy cross a section, or a driven system at every period.
 * Invariant: an orbit's points depend on the seed and its number only. */
/* SPDX-License-Identifier: MIT */
#include "plot.h"
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct section {
    cli_problem p;
    hnn_model *g_model;
    hnn_flow *g;
    double level;
    int orbits, points, n;
    int *count;    /* [orbits] */
    double *t, *z; /* [orbits, points], [orbits, points, n] */
} section;

static double crossing(void *user, double t, const double y[])
{
    double g = NAN;
    hnn_flow_energy(user, 1, t, y, &g, NULL);
    return g;
}

static double scaled_energy(const section *s, const double z[], double m)
{
    int n = s->p.dof;
    double trial[2 * HNN_SYSTEM_COORDINATES], H = NAN;
    for (int i = 0; i < 2 * n; i++)
        trial[i] = i < n ? z[i] : m * z[i];
    return hnn_flow_energy(s->p.flow, 1, 0, trial, &H, NULL) ? NAN : H;
}

/* momenta times m so that H = level, by bisection; 0 when H does not reach it along this ray */
static int to_level(const section *s, double z[])
{
    double lo = 0, hi = 1;
    if (!(scaled_energy(s, z, 0) <= s->level))
        return 0;
    while (scaled_energy(s, z, hi) < s->level && hi < 1e6)
        lo = hi, hi *= 2;
    if (!(scaled_energy(s, z, hi) >= s->level))
        return 0;
    for (int turn = 0; turn < 60; turn++) {
        double m = (lo + hi) / 2;
        *(scaled_energy(s, z, m) <= s->level ? &lo : &hi) = m;
    }
    for (int i = s->p.dof; i < 2 * s->p.dof; i++)
        z[i] *= lo;
    return 1;
}

static int draw(cli *c, section *s, int orbit, double z[])
{
    hnn_system row = s->p.row;
    row.energy[0] = row.energy[1] = 0;
    for (uint64_t k = 0; k < 1000; k++) {
        if (hnn_draw_starts(&row, s->p.value, s->p.flow, (uint64_t)cli_int(c, "seed"), HNN_RNG_START,
                            (uint64_t)orbit * 1000 + k, 1, z, &c->error))
            return cli_fail(c, "%s", c->error.message);
        if (isnan(s->level) || to_level(s, z))
            return CLI_OK;
    }
    return cli_fail(c,
                    "no state of the box has the energy %g with other momenta: give --box or another --level",
                    s->level);
}

/* the state at every multiple of the period */
static void strobe(section *s, ode_solver *solver, double period, double h, int orbit)
{
    int64_t steps = (int64_t)fmax(1, ceil(period / h));
    double *z = s->z + (size_t)orbit * (size_t)s->points * (size_t)s->n,
           *t = s->t + (size_t)orbit * (size_t)s->points;
    for (int k = 0; k < s->points && !ode_status(solver); k++) {
        ode_run(solver, steps, period / (double)steps, NULL);
        if (ode_status(solver))
            break;
        t[k] = ode_t(solver);
        memcpy(z + k * s->n, ode_y(solver), sizeof *z * (size_t)s->n);
        s->count[orbit]++;
    }
}

static int follow(cli *c, section *s)
{
    int status;
    const ode_method *m = cli_method(c, &s->p.field, cli_text(c, "method"), &status);
    if (status != CLI_OK)
        return status;
    double h = cli_has(c, "h") ? cli_real(c, "h") : s->p.row.step, period = cli_real(c, "period");
    double z[2 * HNN_SYSTEM_COORDINATES];
    for (int k = 0; k < s->orbits && status == CLI_OK; k++) {
        if (cli_has(c, "start"))
            status = cli_start(c, &s->p, z);
        else
            status = draw(c, s, k, z);
        if (status != CLI_OK)
            return status;
        cli_progress(c, "orbit %d of %d", k + 1, s->orbits);
        ode_solver *solver = ode_new(m, &s->p.field);
        ode_start(solver, 0, z);
        size_t at = (size_t)k * (size_t)s->points;
        if (period > 0)
            strobe(s, solver, period, h, k);
        else
            ode_section(solver, h, cli_int(c, "max-steps"), crossing, s->g, s->points, s->t + at,
                        s->z + at * (size_t)s->n, &s->count[k]);
        if (cli_interrupted())
            status = CLI_INTERRUPTED;
        else if (ode_status(solver)) /* the points so far are good: an orbit may leave the region */
            fprintf(stderr, "noether poincare: orbit %d stops: %s\n", k + 1, ode_message(solver));
        ode_free(solver);
    }
    return status;
}

static void rows(cli *c, const section *s)
{
    char name[24];
    hnn_text_add(&c->out, "orbit,t");
    for (int i = 0; i < s->n; i++) {
        cli_coordinate(s->p.dof, i, name);
        hnn_text_printf(&c->out, ",%s", name);
    }
    hnn_text_add(&c->out, "\n");
    cli_json_array(&c->json, "orbits");
    for (int k = 0; k < s->orbits; k++) {
        cli_json_object(&c->json, NULL);
        const double *t = s->t + (size_t)k * (size_t)s->points,
                     *z = s->z + (size_t)k * (size_t)s->points * (size_t)s->n;
        cli_json_numbers(&c->json, "t", s->count[k], t);
        cli_json_array(&c->json, "z");
        for (int i = 0; i < s->count[k]; i++) {
            hnn_text_printf(&c->out, "%d,%.10g", k + 1, t[i]);
            for (int j = 0; j < s->n; j++)
                hnn_text_printf(&c->out, ",%.10g", z[i * s->n + j]);
            hnn_text_add(&c->out, "\n");
            cli_json_numbers(&c->json, NULL, s->n, z + i * s->n);
        }
        cli_json_close(&c->json);
        cli_json_close(&c->json);
    }
    cli_json_close(&c->json);
}

static double shown(const section *s, int axis, double x)
{
    int angle = axis < s->p.dof && axis < 32 && (s->p.row.angles >> axis & 1);
    return angle ? remainder(x, 2 * 3.14159265358979323846) : x;
}

static int picture(cli *c, const section *s, const char *path)
{
    int axis[2] = {s->p.dof > 1, s->p.dof > 1 ? s->p.dof + 1 : 1}, status = CLI_OK;
    char name[2][24], words[64];
    if (cli_has(c, "axes")) {
        snprintf(words, sizeof words, "%.60s", cli_text(c, "axes"));
        char *comma = strchr(words, ',');
        if (comma)
            *comma = 0;
        axis[0] = cli_coordinate_of(s->p.dof, words),
        axis[1] = comma ? cli_coordinate_of(s->p.dof, comma + 1) : -1;
        if (axis[0] < 0 || axis[1] < 0)
            return cli_usage(c, "--axes needs two coordinates as in q[2],p[2], not '%.40s'",
                             cli_text(c, "axes"));
    }
    size_t all = (size_t)s->orbits * (size_t)s->points;
    double *xy = malloc(2 * all * sizeof *xy + 1);
    hnn_series *series = calloc((size_t)s->orbits, sizeof *series);
    hnn_text svg = {0};
    if (!xy || !series)
        status = cli_fail(c, "out of memory");
    for (int k = 0; k < s->orbits && status == CLI_OK; k++) {
        double *x = xy + 2 * (size_t)k * (size_t)s->points, *y = x + s->points;
        for (int i = 0; i < s->count[k]; i++) {
            const double *z = s->z + ((size_t)k * (size_t)s->points + (size_t)i) * (size_t)s->n;
            x[i] = shown(s, axis[0], z[axis[0]]), y[i] = shown(s, axis[1], z[axis[1]]);
        }
        series[k] = (hnn_series){
            .kind = HNN_PLOT_POINTS, .colour = k % 7, .width = 2, .n = s->count[k], .x = x, .y = y};
    }
    cli_coordinate(s->p.dof, axis[0], name[0]), cli_coordinate(s->p.dof, axis[1], name[1]);
    hnn_plot plot = {.title = cli_problem_name(&s->p),
                     .xlabel = name[0],
                     .ylabel = name[1],
                     .width = 560,
                     .height = 520,
                     .series = series,
                     .n = s->orbits};
    if (status == CLI_OK && hnn_plot_svg(&plot, &svg, &c->error))
        status = cli_fail(c, "%s", c->error.message);
    if (status == CLI_OK)
        status = cli_save(c, path, &svg);
    hnn_text_free(&svg);
    free(xy), free(series);
    return status;
}

static int prepare(cli *c, section *s)
{
    s->n = 2 * s->p.dof;
    s->points = (int)cli_int(c, "points");
    s->orbits = cli_has(c, "start") ? 1 : (int)cli_int(c, "orbits");
    s->level = cli_real(c, "level");
    if (s->p.dof > HNN_SYSTEM_COORDINATES)
        return cli_usage(c, "sections are for at most %d degrees of freedom", HNN_SYSTEM_COORDINATES);
    if (!cli_has(c, "level") && s->p.row.energy[0] != s->p.row.energy[1])
        s->level = (s->p.row.energy[0] + s->p.row.energy[1]) / 2;
    if (!hnn_flow_has_energy(s->p.flow) || cli_has(c, "period"))
        s->level = NAN;
    size_t all = (size_t)s->orbits * (size_t)s->points;
    s->count = calloc((size_t)s->orbits, sizeof *s->count);
    s->t = malloc(all * sizeof *s->t);
    s->z = malloc(all * (size_t)s->n * sizeof *s->z);
    if (!s->count || !s->t || !s->z)
        return cli_fail(c, "out of memory");
    if (cli_has(c, "period"))
        return CLI_OK;
    if (s->p.dof < 2 && !cli_has(c, "section"))
        return cli_usage(c, "with one degree of freedom give --period T of the drive, or --section");
    const char *text = cli_has(c, "section") ? cli_text(c, "section") : "q[1]";
    return cli_function(c, &s->p, "section", text, &s->g_model, &s->g);
}

static int run(cli *c)
{
    section s = {0};
    int status = cli_problem_open(c, &s.p);
    if (status != CLI_OK)
        return status;
    status = prepare(c, &s);
    if (status == CLI_OK)
        status = follow(c, &s);
    if (status == CLI_OK) {
        char *inside = cli_path(c, "section.svg");
        const char *path = cli_has(c, "plot") ? cli_text(c, "plot") : inside;
        cli_problem_json(c, &s.p);
        cli_json_number(&c->json, "energy", s.level);
        rows(c, &s);
        if (path)
            status = picture(c, &s, path);
        free(inside);
    }
    hnn_flow_free(s.g);
    hnn_model_free(s.g_model);
    cli_problem_close(&s.p);
    free(s.count), free(s.t), free(s.z);
    return status;
}

static const cli_option own[] = {
    {"section", "TEXT", CLI_TEXT, NULL, "crossings of TEXT = 0 upwards; q[1] unless told", 0, 0},
    {"period", "T", CLI_REAL, NULL, "instead: the state at every multiple of T", 1e-300, 1e300},
    {"level", "E", CLI_REAL, NULL, "the energy of all orbits; else the middle of the system's range", -1e300,
     1e300},
    {"orbits", "N", CLI_INT, "10", "orbits from states of the box, momenta scaled to the energy", 1, 10000},
    {"start", "q=1,p=0", CLI_LIST, NULL, "one orbit from here instead", 0, 0},
    {"points", "N", CLI_INT, "100", "points of an orbit", 1, 1e6},
    {"max-steps", "N", CLI_INT, "1000000", "give an orbit up after so many steps", 1, 1e12},
    {"method", "NAME", CLI_TEXT, "gauss4", "'noether list methods' names them", 0, 0},
    {"h", "STEP", CLI_REAL, NULL, "step; the system has a default", 1e-300, 1e300},
    {"axes", "q[2],p[2]", CLI_TEXT, NULL, "of the picture; those unless told, with one degree of freedom q,p",
     0, 0},
    {"plot", "FILE.svg", CLI_TEXT, NULL, "picture of the points; else section.svg in --out", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_problem_options, cli_sampling_options, cli_common, NULL};
const cli_command cli_cmd_poincare = {
    .name = "poincare",
    .args = "SYSTEM|--H TEXT",
    .summary = "points of orbits on a section, as text and picture",
    .more = "  noether poincare henon-heiles --level 0.125 --plot section.svg\n"
            "  noether poincare driven-pendulum --period 3*pi --plot attractor.svg\n",
    .groups = groups,
    .max_args = 1,
    .run = run};
