/* cmd_simulate.c - noether simulate: one trajectory, and how well its energy was kept. */
/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct record {
    cli_problem *p;
    long n, room, steps, every; /* rows kept: every so many steps */
    double *t, *z, *H, H0, worst;
    int failed;
} record;

static int keep(record *r, double t, const double y[], double H)
{
    size_t n = 2 * (size_t)r->p->dof;
    if (r->n == r->room) {
        long room = r->room ? 2 * r->room : 256;
        double *a = realloc(r->t, sizeof *a * (size_t)room);
        r->t = a ? a : r->t;
        double *b = realloc(r->H, sizeof *b * (size_t)room);
        r->H = b ? b : r->H;
        double *d = realloc(r->z, sizeof *d * (size_t)room * n);
        r->z = d ? d : r->z;
        if (!a || !b || !d)
            return r->failed = -1;
        r->room = room;
    }
    r->t[r->n] = t, r->H[r->n] = H;
    memcpy(r->z + (size_t)r->n++ * n, y, n * sizeof *y);
    return 0;
}

static int observe(void *user, double t, const double y[])
{
    record *r = user;
    double H = NAN;
    if (hnn_flow_has_energy(r->p->flow))
        hnn_flow_energy(r->p->flow, 1, t, y, &H, NULL);
    if (!r->steps)
        r->H0 = H;
    double off = fabs(H - r->H0);
    r->worst = off <= r->worst ? r->worst : off; /* NaN stays */
    long k = r->steps++;
    if (cli_interrupted())
        return -1;
    return r->every && k % r->every == 0 ? keep(r, t, y, H) : 0;
}

static int save_rows(cli *c, const record *r, const char *path)
{
    hnn_data d = {0};
    int n = 2 * r->p->dof, status = CLI_OK;
    if (hnn_data_new(r->p->dof, 1, &r->n, 0, &d, &c->error))
        return cli_error(c);
    d.has_time = 1;
    memcpy(d.t, r->t, sizeof *d.t * (size_t)r->n);
    memcpy(d.z, r->z, sizeof *d.z * (size_t)r->n * (size_t)n);
    if (hnn_data_save(path, &d, &c->error))
        status = cli_error(c);
    hnn_data_free(&d);
    return status;
}

/* about 20 rows, columns t, z, H; the ones between are in --save */
static int show_rows(cli *c, const record *r)
{
    int n = 2 * r->p->dof, columns = n <= 8 ? n + 2 : 10, rows = r->n < 21 ? (int)r->n : 21;
    char(*cell)[24] = calloc((size_t)columns * (size_t)(rows + 1), sizeof *cell);
    const char **s = malloc(sizeof *s * (size_t)columns * (size_t)(rows + 1));
    if (!cell || !s) {
        free(cell), free(s);
        return cli_fail(c, "out of memory");
    }
    for (int i = 0; i <= rows; i++)
        for (int k = 0; k < columns; k++) {
            char *here = cell[i * columns + k];
            long row = rows > 1 ? (i - 1) * (r->n - 1) / (rows - 1) : 0;
            s[i * columns + k] = here;
            if (i == 0 && (k == 0 || k == columns - 1))
                snprintf(here, 24, "%s", k ? "H" : "t");
            else if (i == 0)
                cli_coordinate(r->p->dof, k - 1, here);
            else {
                double x = k == 0 ? r->t[row] : k == columns - 1 ? r->H[row] : r->z[row * n + k - 1];
                snprintf(here, 24, "%.*g", k == columns - 1 ? 10 : 6, x);
            }
        }
    cli_table(&c->out, columns, rows + 1, s);
    if (n > 8)
        hnn_text_printf(&c->out, "(the first 8 of %d coordinates)\n", n);
    free(cell), free(s);
    return CLI_OK;
}

/* Several tables lose orders where T is not quadratic in p: the row of the family that has the order there and costs about as
 * much a step (spare stages buy smaller errors), or NULL. */
static const ode_method *better_row(const ode_method *m, const ode_field *f)
{
    const ode_method *best = NULL;
    for (int i = 0, least = 0; ode_method_order(m, f) < m->order && i < ode_method_count(); i++) {
        const ode_method *r = ode_method_at(i);
        int order = ode_method_order(r, f), distance = 1000 * order + abs(r->stages - m->stages);
        if (r->driver == m->driver && !ode_method_refuses(r, f) && order >= m->order &&
            (!best || distance <= least))
            best = r, least = distance;
    }
    return best;
}

static void report(cli *c, const cli_problem *p, const ode_method *m, ode_solver *s, const record *r)
{
    cli_json *j = &c->json;
    ode_counts k = ode_counters(s);
    const ode_method *better = better_row(m, &p->field);
    int order = ode_method_order(m, &p->field),
        conserves = p->field.energy && (p->field.kind & ODE_CANONICAL);
    double last = r->n ? r->H[r->n - 1] : NAN;
    cli_json_text(j, "method", m->name);
    cli_json_int(j, "order", order);
    if (better)
        cli_json_text(j, "better", better->name);
    cli_json_number(j, "t", ode_t(s));
    cli_json_numbers(j, "z", 2 * p->dof, ode_y(s));
    cli_json_number(j, "energy_start", r->H0);
    cli_json_number(j, "energy_end", last);
    cli_json_number(j, "energy_error", conserves ? r->worst : NAN);
    cli_json_int(j, "steps", (long)k.steps);
    cli_json_int(j, "rejected", (long)k.rejected);
    cli_json_int(j, "evaluations", (long)k.fields);
    cli_json_int(j, "unconverged", (long)k.unconverged);
    cli_json_numbers(j, "times", r->n, r->t);
    cli_json_array(j, "states");
    for (long i = 0; i < r->n; i++)
        cli_json_numbers(j, NULL, 2 * p->dof, r->z + i * 2 * p->dof);
    cli_json_close(j);
    hnn_text_printf(&c->out, "%s, order %d: %ld steps to t = %.6g, %ld evaluations of the field\n", m->name,
                    order, (long)k.steps, ode_t(s), (long)k.fields);
    if (order < m->order)
        hnn_text_printf(&c->out, "(order %d needs T quadratic in p; %s%s has it for this H)\n", m->order,
                        better ? "" : "no splitting", better ? better->name : "");
    if (k.rejected)
        hnn_text_printf(&c->out, "%ld steps were rejected\n", (long)k.rejected);
    if (k.unconverged)
        hnn_text_printf(&c->out, "%ld implicit solves stopped above round-off\n", (long)k.unconverged);
    if (conserves)
        hnn_text_printf(&c->out, "largest |H - H(0)| at the steps: %.2g\n", r->worst);
    else if (isfinite(r->H0))
        hnn_text_printf(&c->out, "H went from %.6g to %.6g: friction or a drive acts\n", r->H0, last);
}

static int integrate(cli *c, cli_problem *p)
{
    int status;
    const ode_method *m = cli_method(c, &p->field, cli_text(c, "method"), &status);
    double *z = calloc(2 * (size_t)p->dof, sizeof *z);
    record r = {.p = p, .every = cli_int(c, "every")};
    ode_solver *s = NULL;
    if (!z)
        status = cli_fail(c, "out of memory");
    if (status == CLI_OK)
        status = cli_start(c, p, z);
    if (status != CLI_OK)
        goto end;
    double h = cli_has(c, "h") ? cli_real(c, "h") : p->row.step;
    long steps = cli_has(c, "steps") ? cli_int(c, "steps") : lround(p->row.span / h);
    int adaptive = (m->flags & ODE_ADAPTIVE) && !cli_has(c, "h");
    double tol = cli_real(c, "tol"), span = cli_has(c, "steps") ? h * (double)steps : p->row.span;
    if (h == 0) {
        status = cli_usage(c, "--h 0: a step has a length");
        goto end;
    }
    double H = 0;
    if (hnn_flow_has_energy(p->flow) && (hnn_flow_energy(p->flow, 1, 0, z, &H, &c->error) || !isfinite(H))) {
        status = cli_fail(c, "H has no finite value at the start");
        goto end;
    }
    s = ode_new(m, p->inner);
    ode_start(s, 0, z);
    if ((m->needs & ODE_OMEGA) && !cli_has(c, "omega"))
        status =
            cli_usage(c, "%s couples two copies of the state: --omega (1/time) says how strongly", m->name);
    else if (m->needs & ODE_OMEGA)
        ode_coupling(s, cli_real(c, "omega"));
    if (status != CLI_OK)
        goto end;
    ode_options o = {.observer = observe, .user = &r, .every = 1};
    if (adaptive) {
        o.rtol = o.atol = tol;
        ode_integrate(s, span, &o);
    } else
        ode_run(s, steps, h, &o);
    if (cli_interrupted())
        status = CLI_INTERRUPTED;
    else if (r.failed)
        status = cli_fail(c, "out of memory");
    else if (ode_status(s))
        status = cli_fail(c, "%s", ode_message(s));
    cli_problem_json(c, p);
    if (status == CLI_OK)
        status = show_rows(c, &r);
    if (status == CLI_OK)
        report(c, p, m, s, &r);
    char *inside = cli_path(c, "trajectory.csv");
    const char *path = cli_has(c, "save") ? cli_text(c, "save") : inside;
    if (status == CLI_OK && path)
        status = save_rows(c, &r, path);
    free(inside);
end:
    ode_free(s);
    free(z), free(r.t), free(r.z), free(r.H);
    return status;
}

static int run(cli *c) { return cli_with_problem(c, integrate); }

static const cli_option own[] = {
    {"method", "NAME", CLI_TEXT, "gauss4", "'noether list methods' names them", 0, 0},
    {"h", "STEP", CLI_REAL, NULL, "step; the system has a default, an adaptive method chooses", -1e300,
     1e300},
    {"steps", "N", CLI_INT, NULL, "so many steps; else the system's usual length", 0, 1e12},
    {"tol", "TOL", CLI_REAL, "1e-10", "relative and absolute tolerance of an adaptive method", 1e-16, 1},
    {"omega", "W", CLI_REAL, NULL, "coupling of methods in extended phase space, 1/time", 0, 1e300},
    {"start", "q=1,p=0", CLI_LIST, NULL, "the state at t = 0, others 0; else one drawn with --seed", 0, 0},
    {"every", "N", CLI_INT, "1", "keep every so many steps", 1, 1e12},
    {"save", "FILE", CLI_TEXT, NULL, "all kept rows: .npz or text with commas; else trajectory.csv in --out",
     0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_problem_options, cli_sampling_options, cli_common, NULL};
const cli_command cli_cmd_simulate = {
    .name = "simulate",
    .args = "SYSTEM|--H TEXT",
    .summary = "one trajectory of a system by any integrator",
    .more = "  noether simulate henon-heiles --method blanes-moan4 --steps 1000\n"
            "  noether simulate --H \"p^2/2 + q^4/4\" --start q=1 --h 0.05\n",
    .groups = groups,
    .max_args = 1,
    .run = run};

static const cli_option *const rollout_groups[] = {own, cli_sampling_options, cli_common, NULL};
const cli_command cli_cmd_rollout = {
    .name = "rollout",
    .args = "RUN|WEIGHTS.safetensors",
    .summary = "one trajectory of a learned model",
    .more = "  noether rollout noether-demo/hnn-1.safetensors --start q=1 --method gonzalez\n",
    .groups = rollout_groups,
    .min_args = 1,
    .max_args = 1,
    .run = run};
