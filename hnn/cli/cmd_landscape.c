/* cmd_landscape.c - noether landscape: the equilibria of H in a box, their kinds, and how its levels hang together. */
/* SPDX-License-Identifier: MIT */
#include "landscape.h"
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int evaluate(void *data, const double z[], double *H, double g[], double h[])
{
    return cli_interrupted() ? HNN_EIO : hnn_flow_landscape(data, z, H, g, h);
}

static void numbers(hnn_text *t, int n, const double x[])
{
    for (int i = 0; i < n; i++)
        hnn_text_printf(t, "%s%.6g", i ? " " : "", fabs(x[i]) < 1e-12 ? 0 : x[i]);
}

static void equilibria(cli *c, const hnn_landscape *l)
{
    cli_json *j = &c->json;
    hnn_text_printf(&c->out, "%d %s\n", l->n, l->n == 1 ? "equilibrium" : "equilibria");
    cli_json_array(j, "equilibria");
    for (int i = 0; i < l->n; i++) {
        const hnn_equilibrium *e = &l->at[i];
        cli_json_object(j, NULL);
        cli_json_text(j, "kind", hnn_kind_name(e->kind));
        cli_json_int(j, "index", e->index);
        cli_json_text(j, "spectrum", hnn_spectrum_name(e->spectrum));
        cli_json_number(j, "energy", e->energy);
        cli_json_numbers(j, "z", l->dim, e->z);
        cli_json_numbers(j, "frequencies", e->modes, e->frequency);
        cli_json_numbers(j, "eigenvalues_re", l->dim, e->re);
        cli_json_numbers(j, "eigenvalues_im", l->dim, e->im);
        cli_json_close(j);
        hnn_text_printf(&c->out, "%3d  H = %-10.6g %s of index %d, %s, at (", i + 1,
                        fabs(e->energy) < 1e-12 ? 0 : e->energy, hnn_kind_name(e->kind), e->index,
                        hnn_spectrum_name(e->spectrum));
        numbers(&c->out, l->dim, e->z);
        hnn_text_add(&c->out, ")");
        if (e->modes) {
            hnn_text_add(&c->out, e->modes == 1 ? ", frequency " : ", frequencies ");
            numbers(&c->out, e->modes, e->frequency);
        }
        hnn_text_add(&c->out, "\n");
    }
    cli_json_close(j);
    if (*l->reason)
        hnn_text_printf(&c->out, "%s\n", l->reason);
    cli_json_text(j, "reason", *l->reason ? l->reason : NULL);
    cli_json_numbers(j, "separatrix_energies", l->separatrices, l->separatrix);
    if (l->separatrices) {
        hnn_text_add(&c->out, "energies of separatrices: ");
        numbers(&c->out, l->separatrices, l->separatrix);
        hnn_text_add(&c->out, "\n");
    }
}

static void topology(cli *c, const hnn_landscape *l)
{
    static const char *const kinds[] = {"joins two basins", "joins a basin with itself",
                                        "leads out of the box", "ends that are not resolved"};
    cli_json *j = &c->json;
    cli_json_array(j, "levels");
    for (int i = 0; i < l->levels; i++) {
        const hnn_level *v = &l->level[i];
        cli_json_object(j, NULL);
        cli_json_number(j, "energy", v->energy);
        cli_json_int(j, "components", v->components);
        cli_json_int(j, "closed", v->closed);
        cli_json_int(j, "rotations", v->rotations);
        cli_json_close(j);
        hnn_text_printf(&c->out, "level H = %.6g: %d %s, %d closed, %d around the period\n", v->energy,
                        v->components, v->components == 1 ? "line" : "lines", v->closed, v->rotations);
    }
    cli_json_close(j);
    cli_json_array(j, "merge_tree");
    for (int i = 0; i < l->merges; i++) {
        const hnn_merge *m = &l->merge[i];
        cli_json_object(j, NULL);
        cli_json_int(j, "saddle", m->saddle + 1);
        cli_json_array(j, "ends");
        for (int k = 0; k < 2; k++) {
            if (m->end[k] < 0)
                cli_json_text(j, NULL, m->end[k] == HNN_OUTSIDE ? "outside" : "unresolved");
            else
                cli_json_int(j, NULL, m->end[k] + 1);
        }
        cli_json_close(j);
        cli_json_text(j, "what", kinds[m->kind]);
        cli_json_number(j, "persistence", m->persistence);
        cli_json_close(j);
        hnn_text_printf(&c->out, "saddle %d %s, from", m->saddle + 1, kinds[m->kind]);
        for (int k = 0; k < 2; k++) {
            if (m->end[k] < 0)
                hnn_text_printf(&c->out, "%s %s", k ? " and" : "",
                                m->end[k] == HNN_OUTSIDE ? "outside" : "unresolved");
            else
                hnn_text_printf(&c->out, "%s %d", k ? " and" : "", m->end[k] + 1);
        }
        if (m->persistence > 0)
            hnn_text_printf(&c->out, ", barrier %.6g", m->persistence);
        hnn_text_add(&c->out, "\n");
    }
    cli_json_close(j);
}

static int look(cli *c, cli_problem *p)
{
    int n = 2 * p->dof, status = CLI_OK;
    double *lo = malloc(sizeof *lo * 3 * (size_t)n), *hi = lo + n, *period = hi + n;
    if (!lo)
        return cli_fail(c, "out of memory");
    if (!hnn_flow_has_energy(p->flow))
        status = cli_usage(c, "model %s has no H, so no landscape", p->model->row->name);
    else if (hnn_system_box(&p->row, p->dof, p->value, lo, hi, &c->error))
        status = cli_error(c);
    for (int i = 0; i < n && status == CLI_OK; i++)
        period[i] = i < p->dof && i < 32 && (p->row.angles >> i & 1) ? 2 * 3.14159265358979323846 : 0;
    hnn_landscape_options o = {
        .starts = (int)cli_int(c, "starts"), .period = period, .seed = (uint64_t)cli_int(c, "seed")};
    for (int i = 0; i < p->dof && status == CLI_OK; i++)
        if (period[i] > 0 && !cli_has(c, "box")) /* the whole circle, not the range of the samples */
            lo[i] = -period[i] / 2, hi[i] = period[i] / 2;
    hnn_landscape l = {0};
    if (status == CLI_OK && hnn_landscape_find(evaluate, p->flow, n, lo, hi, &o, &l, &c->error))
        status = cli_interrupted() ? CLI_INTERRUPTED : cli_error(c);
    if (status == CLI_OK) {
        cli_problem_json(c, p);
        equilibria(c, &l);
        topology(c, &l);
    }
    hnn_landscape_free(&l);
    free(lo);
    return status;
}

static int run(cli *c) { return cli_with_problem(c, look); }

static const cli_option own[] = {
    {"starts", "N", CLI_INT, "0", "random starts of Newton's method; 0: 64 for each coordinate", 0, 1e7},
    {"box", "q=-1:1,p=-2:2", CLI_LIST, NULL,
     "where equilibria are looked for; angles: the whole circle unless told", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_problem_options, cli_common, NULL};
const cli_command cli_cmd_landscape = {
    .name = "landscape",
    .args = "SYSTEM|--H TEXT|WEIGHTS",
    .summary = "equilibria of H, their kinds, and how its levels hang together",
    .more =
        "  noether landscape double-well\n  noether landscape run/hnn-1.safetensors --box q=-4:4,p=-3:3\n",
    .groups = groups,
    .max_args = 1,
    .run = run};
