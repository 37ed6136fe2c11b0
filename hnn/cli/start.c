/* start.c - coordinates by name, and the state an orbit starts from. */
/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <stdio.h>
#include <string.h>

void cli_coordinate(int dof, int i, char name[24])
{
    if (dof == 1)
        snprintf(name, 24, "%s", i ? "p" : "q");
    else
        snprintf(name, 24, "%s[%d]", i < dof ? "q" : "p", i % dof + 1);
}

int cli_coordinate_of(int dof, const char *name)
{
    int block = *name == 'q' ? 0 : *name == 'p' ? 1 : -1, i = 1, used = 0;
    if (block < 0)
        return -1;
    if (name[1] && (sscanf(name + 1, "[%d]%n", &i, &used) != 1 || !used || name[1 + used]))
        return -1;
    if ((!name[1] && dof > 1) || i < 1 || i > dof)
        return -1;
    return block * dof + i - 1;
}

/* ---- starts ---- */

typedef struct start_state {
    int dof;
    double *z;
} start_state;

static int put_start(cli *c, void *to, const char *name, const char *text)
{
    start_state *s = to;
    int one = cli_coordinate_of(s->dof, name), n = s->dof, status = CLI_OK;
    int block = !strcmp(name, "q") ? 0 : !strcmp(name, "p") ? n : -1;
    if (one < 0 && block < 0)
        return cli_usage(c, "--start: '%.20s' is no coordinate of %d %s of freedom", name, n,
                         n == 1 ? "degree" : "degrees");
    if (*text != '[') {
        double x;
        if (one < 0)
            return cli_usage(c, "--start %s needs %d numbers, [x,y,...]", name, n);
        if (!cli_number(text, &x))
            return cli_usage(c, "--start %s needs a number, not '%.60s'", name, text);
        s->z[one] = x;
        return CLI_OK;
    }
    ad_tape *t = ad_new();
    ad_var v = ad_parse(t, text, 0, NULL, NULL);
    const double *x = ad_value(v);
    if (ad_status(t) || !x)
        status = cli_usage(c, "--start %s: %s", name, ad_message(t));
    else if (block < 0 || ad_rows(v) != 1 || ad_cols(v) != n)
        status = cli_usage(c, "--start %s needs %d numbers in one row, not %d x %d", name, block < 0 ? 1 : n,
                           ad_rows(v), ad_cols(v));
    else
        memcpy(s->z + block, x, sizeof *x * (size_t)n);
    ad_free(t);
    return status;
}

int cli_start(cli *c, cli_problem *p, double z[])
{
    const char *text;
    int status = CLI_OK;
    start_state s = {p->dof, z};
    if (!cli_has(c, "start")) {
        uint64_t seed = (uint64_t)cli_int(c, "seed");
        int bad = p->row.start || p->row.space
                      ? hnn_system_start(&p->row, p->dof, p->value, z, &c->error)
                      : hnn_draw_starts(&p->row, p->value, p->flow, seed, HNN_RNG_START, 0, 1, z, &c->error);
        return bad ? cli_fail(c, "%s", c->error.message) : CLI_OK;
    }
    for (int i = 0; i < 2 * p->dof; i++)
        z[i] = 0;
    for (int i = 0; cli_list(c, "start", i, &text) && status == CLI_OK; i++)
        status = cli_pairs(c, "start", text, put_start, &s);
    return status;
}

void cli_problem_json(cli *c, const cli_problem *p)
{
    cli_json *j = &c->json;
    hnn_text H = {0};
    cli_json_object(j, "system");
    cli_json_text(j, "name", p->typed ? NULL : p->row.name);
    if (p->learned)
        cli_json_text(j, "model", p->model->row->name);
    hnn_system_hamiltonian(&p->row, p->dof, &H, &c->error);
    cli_json_text(j, "H", H.s);
    hnn_text_free(&H);
    cli_json_text(j, "dissipation", p->row.dissipation);
    cli_json_text(j, "drive", p->row.drive);
    cli_json_int(j, "degrees_of_freedom", p->dof);
    cli_json_object(j, "parameters");
    for (int i = 0; i < p->parameters; i++)
        cli_json_number(j, p->row.parameter[i].name, p->value[i]);
    cli_json_close(j);
    cli_json_close(j);
}
