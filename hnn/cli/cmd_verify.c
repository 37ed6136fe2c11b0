/* cmd_verify.c - noether verify: what a Hamiltonian field promises, measured: number, tolerance, PASS or FAIL. Invariant: a claim
 * is measured the same way for every model; a model that cannot make a claim fails it. */
/* SPDX-License-Identifier: MIT */
#include "verify.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS = 8 };

static int prepare(cli *c, cli_subject *s)
{
    s->n = 2 * s->p.dof;
    s->steps = cli_int(c, "steps");
    s->h = cli_has(c, "h") ? cli_real(c, "h") : s->p.row.step;
    s->z = malloc(sizeof *s->z * CLI_STATES * (size_t)s->n);
    s->lo = malloc(2 * sizeof *s->lo * (size_t)s->n), s->hi = s->lo ? s->lo + s->n : NULL;
    s->sd = NAN, s->angles = s->p.row.angles;
    if (!s->z || !s->lo)
        return cli_fail(c, "out of memory");
    if (hnn_system_box(&s->p.row, s->p.dof, s->p.value, s->lo, s->hi, &c->error))
        return cli_error(c);
    if (hnn_draw_starts(&s->p.row, s->p.value, s->p.flow, (uint64_t)cli_int(c, "seed"), HNN_RNG_START, 0,
                        CLI_STATES, s->z, &c->error))
        return cli_fail(c, "%s", c->error.message);
    if (!hnn_flow_has_energy(s->p.flow))
        return CLI_OK;
    double sum = 0, square = 0;
    for (int k = 0; k < CLI_STATES; k++) {
        double H = NAN;
        hnn_flow_energy(s->p.flow, 1, 0, s->z + k * s->n, &H, NULL);
        sum += H / CLI_STATES, square += H * H / CLI_STATES;
    }
    s->sd = sqrt(fmax(square - sum * sum, 0));
    if (!(s->sd > 0))
        s->sd = 1;
    return CLI_OK;
}

static int judge(cli *c, cli_subject s[], int models)
{
    enum { ROOM = 40 };
    int columns = 3 + models, failed = 0;
    hnn_text notes = {0};
    char(*cell)[ROOM] = calloc((size_t)((CLI_CLAIMS + 1) * columns), sizeof *cell);
    const char **text = malloc(sizeof *text * (size_t)((CLI_CLAIMS + 1) * columns));
    if (!cell || !text) {
        free(cell), free(text);
        return cli_fail(c, "out of memory");
    }
    text[0] = "claim", text[1] = "holds", text[2] = "tolerance";
    for (int m = 0; m < models; m++)
        text[3 + m] = s[m].name;
    int rows = 1;
    cli_json_array(&c->json, "claims");
    for (int k = 0; k < CLI_CLAIMS && !cli_interrupted(); k++) {
        if ((cli_claims[k].needs == CLI_TRUTH && !s[0].truth) ||
            (cli_claims[k].needs == CLI_SIZES && !cli_has_sizes(&s[0])))
            continue;
        const char **row = text + rows * columns;
        char(*own)[ROOM] = cell + rows++ * columns;
        row[0] = cli_claims[k].text, row[1] = cli_claims[k].kind, row[2] = own[2];
        snprintf(own[2], ROOM,
                 cli_claims[k].tolerance > 1e-200 ? "%.0e"
                 : cli_claims[k].tolerance > 0    ? "0"
                                                  : "-",
                 cli_claims[k].tolerance);
        cli_json_object(&c->json, NULL);
        cli_json_text(&c->json, "claim", cli_claims[k].name);
        cli_json_text(&c->json, "text", cli_claims[k].text);
        cli_json_text(&c->json, "holds", cli_claims[k].kind);
        cli_json_number(&c->json, "tolerance", cli_claims[k].tolerance > 0 ? cli_claims[k].tolerance : NAN);
        cli_json_array(&c->json, "models");
        for (int m = 0; m < models; m++) {
            cli_progress(c, "%s: %s", s[m].name, cli_claims[k].text);
            s[m].why[0] = 0;
            double x = cli_claims[k].number(&s[m]);
            if (isnan(x) && !s[m].why[0])
                snprintf(s[m].why, sizeof s[m].why, "the number is NaN");
            if (isnan(x))
                hnn_text_printf(&notes, "%s: no value for %s (%s).\n", cli_claims[k].text, s[m].name,
                                s[m].why);
            int good = x <= cli_claims[k].tolerance, judged = cli_claims[k].tolerance > 0;
            failed |= judged && !good && hnn_flow_has_energy(s[m].p.flow);
            if (isnan(x))
                snprintf(own[3 + m], ROOM, "-");
            else
                snprintf(own[3 + m], ROOM, "%.1e", x);
            if (judged)
                strcat(own[3 + m], good ? " PASS" : " FAIL");
            row[3 + m] = own[3 + m];
            cli_json_object(&c->json, NULL);
            cli_json_text(&c->json, "model", s[m].name);
            cli_json_number(&c->json, "value", x);
            if (isnan(x))
                cli_json_text(&c->json, "why", s[m].why);
            cli_json_text(&c->json, "result", judged ? good ? "PASS" : "FAIL" : NULL);
            cli_json_close(&c->json);
        }
        cli_json_close(&c->json);
        cli_json_close(&c->json);
    }
    cli_json_close(&c->json);
    cli_json_text(&c->json, "result", failed ? "FAIL" : "PASS");
    cli_table(&c->out, columns, rows, text);
    hnn_text_printf(
        &c->out, "%ld steps of %g; H in standard deviations over %d states of the box. - has no value.\n%s",
        s[0].steps, s[0].h, CLI_STATES, notes.s ? notes.s : "");
    hnn_text_free(&notes);
    free(cell), free(text);
    c->show = 1;
    return cli_interrupted() ? CLI_INTERRUPTED : failed ? CLI_FAILED : CLI_OK;
}

static int open_one(cli *c, const char *path, cli_subject *s)
{
    cli one = *c; /* the same options, with this argument */
    char *argument = (char *)path;
    if (path)
        one.argv = &argument, one.argc = 1;
    int status = cli_problem_open(&one, &s->p);
    c->error = one.error;
    s->name = path ? s->p.row.name : cli_problem_name(&s->p);
    if (status == CLI_OK)
        status = prepare(c, s);
    return status;
}

/* --truth: a system's name or the text of its H */
static int open_truth(cli *c, const cli_problem *p, hnn_model **m, hnn_flow **f)
{
    const char *text = cli_text(c, "truth");
    if (!text)
        return CLI_OK;
    const hnn_system *known = hnn_system_find(text, NULL);
    if (!known)
        return cli_function(c, p, "truth", text, m, f);
    if (known->dof != p->dof)
        return cli_usage(c, "--truth: %s has %d degrees of freedom, the model has %d", text, known->dof,
                         p->dof);
    if (hnn_model_system(known, 0, NULL, m, &c->error) || hnn_flow_new(*m, NULL, f, &c->error))
        return cli_error(c);
    return CLI_OK;
}

/* "run/hnn-1.safetensors" -> "hnn-1" */
static void short_name(cli_subject *s, char name[64])
{
    const char *slash = s->name ? strrchr(s->name, '/') : "";
    snprintf(name, 64, "%.60s", slash && *slash ? slash + 1 : s->name ? s->name : "");
    char *dot = strstr(name, ".safetensors");
    if (dot)
        *dot = 0;
    s->name = name;
}

static int run(cli *c)
{
    cli_subject s[MODELS] = {0};
    char pattern[4096], name[MODELS][64];
    glob_t g = {0};
    int models = 0, status = CLI_OK, learned = c->argc > 0;
    for (int i = 0; i < c->argc && status == CLI_OK; i++) {
        snprintf(pattern, sizeof pattern, "%.4000s/*-1.safetensors", c->argv[i]);
        if (glob(pattern, 0, NULL, &g) || !g.gl_pathc) { /* no run folder */
            globfree(&g);
            g = (glob_t){0};
            if (models == MODELS)
                status = cli_usage(c, "more than %d models", MODELS);
            else {
                status = open_one(c, c->argv[i], &s[models]);
                short_name(&s[models], name[models]);
                models++;
            }
            continue;
        }
        for (size_t k = 0; k < g.gl_pathc && status == CLI_OK && models < MODELS; k++) {
            status = open_one(c, g.gl_pathv[k], &s[models]);
            snprintf(s[models].folder, sizeof s[models].folder, "%.250s", c->argv[i]);
            short_name(&s[models], name[models]); /* the paths go with g */
            models++;
        }
        globfree(&g);
        g = (glob_t){0};
    }
    if (!learned && status == CLI_OK)
        status = open_one(c, NULL, &s[models++]);
    hnn_model *m = NULL;
    hnn_flow *truth = NULL;
    for (int k = 0; k < models && status == CLI_OK; k++)
        if (s[k].p.dof != s[0].p.dof)
            status = cli_usage(c, "%s has %d degrees of freedom, %s has %d", s[k].name, s[k].p.dof, s[0].name,
                               s[0].p.dof);
    if (status == CLI_OK)
        status = open_truth(c, &s[0].p, &m, &truth);
    const hnn_system *known = status == CLI_OK && truth ? hnn_system_find(cli_text(c, "truth"), NULL) : NULL;
    for (int k = 0; k < models; k++) {
        s[k].truth = truth;
        s[k].angles = known ? known->angles : s[k].angles;
    }
    if (status == CLI_OK)
        status = judge(c, s, models);
    for (int k = 0; k < models; k++) {
        cli_problem_close(&s[k].p);
        free(s[k].z), free(s[k].lo);
    }
    hnn_flow_free(truth);
    hnn_model_free(m);
    return status;
}

static const cli_option own[] = {
    {"steps", "N", CLI_INT, "10000", "over which energies are followed", 1, 1e9},
    {"h", "STEP", CLI_REAL, NULL, "step; the system has a default", 1e-300, 1e300},
    {"truth", "SYSTEM|TEXT", CLI_TEXT, NULL, "the true H: also follow it along the rollouts of the models", 0,
     0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_problem_options, cli_sampling_options, cli_common, NULL};
const cli_command cli_cmd_verify = {
    .name = "verify",
    .args = "RUN|WEIGHTS...|SYSTEM|--H TEXT",
    .summary = "what a Hamiltonian field promises, measured: PASS or FAIL",
    .more =
        "  noether verify noether-demo --truth pendulum\n"
        "Exit status 1 when a model that has an H fails a claim; a model without one is shown beside it.\n",
    .groups = groups,
    .max_args = MODELS,
    .run = run};
