/* cmd_lyapunov.c - noether lyapunov: the spectrum of Lyapunov exponents, twice over half of the time each, so that the
 * difference says how far to believe it. */
/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <math.h>
#include <stdlib.h>

static int spectrum(cli *c, cli_problem *p, double *work)
{
    int status, n = 2 * p->dof;
    const ode_method *m = cli_method(c, &p->field, cli_text(c, "method"), &status);
    if (status == CLI_OK)
        status = cli_start(c, p, work);
    if (status != CLI_OK)
        return status;
    double h = cli_has(c, "h") ? cli_real(c, "h") : p->row.step, *half[2] = {work + n, work + 2 * n};
    long steps = cli_int(c, "steps"), skip = cli_int(c, "skip");
    ode_solver *s = ode_new(m, &p->field);
    ode_start(s, 0, work);
    if (skip)
        ode_run(s, skip, h, NULL);
    for (int k = 0; k < 2 && !ode_status(s); k++) {
        cli_progress(c, "half %d of 2", k + 1);
        ode_lyapunov(s, h, steps / 2, (int)cli_int(c, "qr-every"), half[k]);
        if (k == 0) /* it leaves the solver where it was */
            ode_run(s, steps / 2, h, NULL);
    }
    if (cli_interrupted())
        status = CLI_INTERRUPTED;
    else if (ode_status(s))
        status = cli_fail(c, "%s", ode_message(s));
    ode_free(s);
    if (status != CLI_OK)
        return status;
    double sum = 0, *mean = work, *spread = work + 3 * n;
    for (int i = 0; i < n; i++) {
        mean[i] = (half[0][i] + half[1][i]) / 2;
        spread[i] = fabs(half[0][i] - half[1][i]) / 2;
        sum += mean[i];
    }
    cli_problem_json(c, p);
    cli_json_text(&c->json, "method", m->name);
    cli_json_number(&c->json, "h", h);
    cli_json_number(&c->json, "time", h * (double)(steps / 2 * 2));
    cli_json_numbers(&c->json, "exponents", n, mean);
    cli_json_numbers(&c->json, "half_difference", n, spread);
    cli_json_number(&c->json, "sum", sum);
    hnn_text_printf(&c->out,
                    "Lyapunov exponents (1/time) over t = %g, half the difference of its two halves:\n",
                    h * (double)(steps / 2 * 2));
    for (int i = 0; i < n; i++)
        hnn_text_printf(&c->out, "  %+.5f  +- %.5f\n", mean[i], spread[i]);
    hnn_text_printf(&c->out, "sum %+.2g%s\n", sum,
                    p->field.kind & ODE_CANONICAL ? " (a Hamiltonian flow has 0, and pairs of opposite sign)"
                                                  : "");
    return CLI_OK;
}

static int run(cli *c)
{
    cli_problem p;
    int status = cli_problem_open(c, &p);
    if (status != CLI_OK)
        return status;
    double *work = calloc(8 * (size_t)p.dof, sizeof *work);
    status = work ? spectrum(c, &p, work) : cli_fail(c, "out of memory");
    free(work);
    cli_problem_close(&p);
    return status;
}

static const cli_option own[] = {
    {"method", "NAME", CLI_TEXT, "rk4", "'noether list methods' names them", 0, 0},
    {"h", "STEP", CLI_REAL, NULL, "step; the system has a default", 1e-300, 1e300},
    {"steps", "N", CLI_INT, "20000", "steps over which exponents are averaged", 2, 1e12},
    {"skip", "N", CLI_INT, "0", "steps before", 0, 1e12},
    {"qr-every", "N", CLI_INT, "5", "steps between orthogonalisations", 1, 1000},
    {"start", "q=1,p=0", CLI_LIST, NULL, "the state at t = 0, others 0; else one drawn with --seed", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_problem_options, cli_sampling_options, cli_common, NULL};
const cli_command cli_cmd_lyapunov = {.name = "lyapunov",
                                      .args = "SYSTEM|--H TEXT",
                                      .summary = "Lyapunov exponents of a system",
                                      .more =
                                          "  noether lyapunov henon-heiles --start q=[0,-0.25],p=[0.42,0]\n",
                                      .groups = groups,
                                      .max_args = 1,
                                      .run = run};
