/* cmd_data.c - noether data: trajectories of a system, or what measured data look like. Invariant: trajectory k depends on
 * the seed and on k only, so a larger set begins with the smaller one (noise, drawn by row, aside). */
/* SPDX-License-Identifier: MIT */
#include "load.h"
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- checking ---- */

static double typed_energy(const double z[], void *context)
{
    double H = NAN;
    hnn_flow_energy(context, 1, 0, z, &H, NULL);
    return H;
}

static void check_json(cli *c, const hnn_data *d, const hnn_check *k)
{
    cli_json *j = &c->json;
    cli_json_int(j, "rows", d->n);
    cli_json_int(j, "trajectories", d->ntraj);
    cli_json_int(j, "degrees_of_freedom", d->dof);
    cli_json_text(j, "coordinates", d->coords == HNN_QP ? "qp" : d->coords == HNN_QV ? "qv" : "q");
    cli_json_bool(j, "times", d->has_time);
    cli_json_bool(j, "derivatives", d->dz != NULL);
    cli_json_int(j, "missing", d->missing);
    cli_json_int(j, "repeated", d->repeated);
    cli_json_number(j, "interval", d->has_time ? k->interval : NAN);
    cli_json_number(j, "interval_min", d->has_time ? k->interval_min : NAN);
    cli_json_number(j, "interval_max", d->has_time ? k->interval_max : NAN);
    cli_json_number(j, "irregular", d->has_time ? k->irregular : NAN);
    cli_json_int(j, "gaps", k->gaps);
    cli_json_int(j, "outliers", k->outliers);
    if (k->ratio) {
        cli_json_numbers(j, "p_over_dq", d->dof, k->ratio);
        cli_json_numbers(j, "explained", d->dof, k->r2);
    }
    cli_json_number(j, "energy_change", k->energy_change);
    cli_json_bool(j, "energy_given", k->energy_given);
}

static int check(cli *c)
{
    const char *path[256], *text;
    int files = 0, status = CLI_OK, with_H = cli_has(c, "H");
    for (; files < 255 && cli_list(c, "check", files, &text); files++)
        path[files] = text;
    for (int i = 0; i < c->argc && files < 255; i++)
        path[files++] = c->argv[i];
    cli_problem p = {0};
    hnn_data d = {0};
    hnn_check k = {0};
    if (with_H) {
        c->argc = 0; /* files, not a system */
        status = cli_problem_open(c, &p);
    }
    if (status == CLI_OK)
        status = cli_load(c, files, path, &d);
    if (status == CLI_OK && with_H && p.dof != d.dof)
        status = cli_usage(c, "H has %d degrees of freedom, the data have %d", p.dof, d.dof);
    if (status == CLI_OK) {
        if (hnn_data_check(&d, with_H ? typed_energy : NULL, p.flow, &k, &c->error))
            status = cli_error(c);
        else {
            hnn_check_text(&d, &k, &c->out);
            check_json(c, &d, &k);
        }
        hnn_check_free(&k);
    }
    hnn_data_free(&d);
    cli_problem_close(&p);
    return status;
}

/* ---- making ---- */

/* rows times of a trajectory over [0, span]; jitter: inner times are moved by up to half of it times the interval */
static void sample_times(long rows, double span, double jitter, uint64_t seed, int k, double t[])
{
    hnn_rng r = hnn_rng_stream(seed, HNN_RNG_TIMES, (uint64_t)k);
    double h = rows > 1 ? span / (double)(rows - 1) : 0;
    for (long i = 0; i < rows; i++) {
        double u = hnn_rng_uniform(&r) - 0.5;
        t[i] = i == rows - 1 && rows > 1 ? span : h * (double)i;
        if (jitter > 0 && i > 0 && i < rows - 1)
            t[i] += jitter * h * u;
    }
}

static int make(cli *c, cli_problem *p, hnn_data *d)
{
    int count = (int)cli_int(c, "count"), n = 2 * p->dof, status = CLI_OK;
    double span = cli_has(c, "span") ? cli_real(c, "span") : p->row.span;
    long rows = cli_has(c, "rows") ? cli_int(c, "rows") : lround(span / p->row.step) + 1;
    uint64_t seed = (uint64_t)cli_int(c, "seed");
    long *length = malloc(sizeof *length * (size_t)count);
    double *start = malloc(sizeof *start * (size_t)count * (size_t)n);
    if (!length || !start) {
        status = cli_fail(c, "out of memory");
        goto end;
    }
    if (rows < 2 || rows > 100000000) {
        status = cli_usage(c, "a trajectory of %ld rows: --rows or --span gives 2 to 10^8", rows);
        goto end;
    }
    for (int k = 0; k < count; k++)
        length[k] = rows;
    if (hnn_draw_starts(&p->row, p->value, p->flow, seed, HNN_RNG_DATA, 0, count, start, &c->error) ||
        hnn_data_new(p->dof, count, length, 1, d, &c->error)) {
        status = cli_fail(c, "%s", c->error.message);
        goto end;
    }
    d->has_time = 1;
    for (int k = 0; k < count && status == CLI_OK; k++) {
        long at = d->offset[k], done = 0;
        double *t = d->t + at, *z = d->z + at * n;
        sample_times(rows, span, cli_real(c, "irregular"), seed, k, t);
        cli_progress(c, "trajectory %d of %d", k + 1, count);
        if (hnn_flow_rollout(p->flow, "dop853", 0, start + (long)k * n, rows, t, z, &done, &c->error))
            status = cli_fail(c, "trajectory %d: %s", k + 1, c->error.message);
        else if (done < rows)
            status = cli_fail(c, "trajectory %d leaves the finite numbers after t = %g", k + 1,
                              t[done ? done - 1 : 0]);
        for (long i = 0; i < rows && status == CLI_OK; i++)
            if (hnn_flow_rate(p->flow, 1, t[i], z + i * n, d->dz + (at + i) * n, &c->error))
                status = cli_fail(c, "%s", c->error.message);
        if (cli_interrupted())
            status = CLI_INTERRUPTED;
    }
    if (status == CLI_OK)
        hnn_data_noise(d, cli_real(c, "noise"), cli_real(c, "noise-derivatives"), seed);
    if (cli_has(c, "no-derivatives")) {
        free(d->dz);
        d->dz = NULL;
    }
end:
    free(length), free(start);
    return status;
}

static void data_json(cli *c, const hnn_data *d)
{
    static const char *const part[] = {"t", "z", "dz"};
    cli_json *j = &c->json;
    int n = 2 * d->dof;
    cli_json_array(j, "trajectories");
    for (int k = 0; k < d->ntraj; k++) {
        long first = d->offset[k], rows = d->offset[k + 1] - first;
        cli_json_object(j, NULL);
        cli_json_numbers(j, part[0], rows, d->t + first);
        const double *v[] = {d->z, d->dz};
        for (int which = 0; which < 2; which++) {
            if (!v[which])
                continue;
            cli_json_array(j, part[1 + which]);
            for (long i = 0; i < rows; i++)
                cli_json_numbers(j, NULL, n, v[which] + (first + i) * n);
            cli_json_close(j);
        }
        cli_json_close(j);
    }
    cli_json_close(j);
}

static int run(cli *c)
{
    if (cli_has(c, "check"))
        return check(c);
    if (c->argc > 1)
        return cli_usage(c, "'%.60s' is one argument too many", c->argv[1]);
    cli_problem p;
    hnn_data d = {0};
    int status = cli_problem_open(c, &p);
    if (status != CLI_OK)
        return status;
    status = make(c, &p, &d);
    if (status == CLI_OK) {
        char *inside = cli_path(c, "data.npz");
        const char *path = cli_has(c, "save") ? cli_text(c, "save") : inside;
        cli_problem_json(c, &p);
        cli_json_int(&c->json, "rows", d.n);
        cli_json_text(&c->json, "file", path);
        if (!path) {
            hnn_data_text(&d, &c->out);
            data_json(c, &d);
        } else if (hnn_data_save(path, &d, &c->error))
            status = cli_error(c);
        else
            hnn_text_printf(&c->out, "%s: %d %s, %ld rows, %d %s of freedom%s\n", path, d.ntraj,
                            d.ntraj == 1 ? "trajectory" : "trajectories", d.n, d.dof,
                            d.dof == 1 ? "degree" : "degrees", d.dz ? ", with derivatives" : "");
        free(inside);
    }
    hnn_data_free(&d);
    cli_problem_close(&p);
    return status;
}

static const cli_option own[] = {
    {"count", "N", CLI_INT, "25", "trajectories", 1, 1e6},
    {"span", "T", CLI_REAL, NULL, "length of each; the system has a default", 1e-300, 1e300},
    {"rows", "N", CLI_INT, NULL, "samples of each; the system has a default interval", 2, 1e8},
    {"noise", "SD", CLI_REAL, "0", "normal noise on the states", 0, 1e300},
    {"noise-derivatives", "SD", CLI_REAL, "0", "normal noise on the derivatives", 0, 1e300},
    {"irregular", "SHARE", CLI_REAL, "0", "times off their grid by up to half of this share of the interval",
     0, 0.99},
    {"no-derivatives", NULL, CLI_FLAG, NULL, "states only", 0, 0},
    {"save", "FILE", CLI_TEXT, NULL, ".npz, or text with commas; else stdout, or data.npz in --out", 0, 0},
    {"check", "FILE...", CLI_LIST, NULL,
     "instead: report sampling, gaps, outliers, q' against p, energy trend", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {
    own, cli_problem_options, cli_sampling_options, cli_load_options, cli_common, NULL};
const cli_command cli_cmd_data = {
    .name = "data",
    .args = "SYSTEM|--H TEXT|--check FILE",
    .summary = "make trajectories of a system, or check measured ones",
    .more = "  noether data pendulum --count 10 --noise 0.01 --save train.npz\n"
            "  noether data --check measured.txt --columns t=1,q=2,p=3 --coords qv\n",
    .groups = groups,
    .max_args = 250,
    .run = run};
