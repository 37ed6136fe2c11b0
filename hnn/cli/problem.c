/* problem.c - the system a command works on: a row of the table, or one made of the texts on the command line. */
/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <ctype.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const cli_option cli_problem_options[] = {
    {"", NULL, 0, NULL, "The system", 0, 0},
    {"H", "TEXT", CLI_TEXT, NULL, "Hamiltonian as text instead of SYSTEM: \"p^2/(2*m) + 1 - cos(q)\"", 0, 0},
    {"set", "m=2,k=1", CLI_LIST, NULL, "parameters", 0, 0},
    {"dof", "N", CLI_INT, NULL, "degrees of freedom, where the system leaves them open", 1,
     HNN_SYSTEM_MAX_DOF},
    {"dissipation", "TEXT", CLI_TEXT, NULL, "Rayleigh's function of q and v: the force is -dD/dv", 0, 0},
    {"drive", "TEXT", CLI_TEXT, NULL, "a force on the first momentum, in q, p and t", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
const cli_option cli_sampling_options[] = {
    {"box", "q=-1:1,p=-2:2", CLI_LIST, NULL, "where trajectories start", 0, 0},
    {"energy", "LO:HI", CLI_TEXT, NULL, "keep only starts with energies between these", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};

const char *cli_problem_name(const cli_problem *p) { return p->typed ? p->row.H : p->row.name; }

/* the largest literal index of q[..] or p[..] in the text; *open: n stands in it as a word */
static int typed_dof(const char *text, int *open)
{
    int most = 1;
    for (const char *s = text; *s; s++) {
        int word = s > text && (isalnum((unsigned char)s[-1]) || s[-1] == '_'), i = 0;
        if (word)
            continue;
        if ((*s == 'q' || *s == 'p') && sscanf(s + 1, " [ %d", &i) == 1)
            most = i > most ? i : most;
        if (*s == 'n' && !isalnum((unsigned char)s[1]) && s[1] != '_' && s[1] != '(')
            *open = 1;
    }
    return most;
}

static int set_parameter(cli *c, void *to, const char *name, const char *text)
{
    cli_problem *p = to;
    double x;
    if (!cli_number(text, &x))
        return cli_usage(c, "--set %s needs a number, not '%.60s'", name, text);
    int i = hnn_system_parameter(&p->row, name);
    if (i < 0) {
        int open = p->typed || cli_has(c, "dissipation") || cli_has(c, "drive");
        const char *words[HNN_SYSTEM_PARAMETERS];
        for (int k = 0; k < p->parameters; k++)
            words[k] = p->row.parameter[k].name;
        const char *near = cli_nearest(name, p->parameters, words);
        if (!open && near)
            return cli_usage(c, "%s has no parameter '%.20s': did you mean '%s'?", p->row.name, name, near);
        if (!open) {
            hnn_text all = {0};
            for (int k = 0; k < p->parameters; k++)
                hnn_text_printf(&all, "%s%s", k ? ", " : "; it has ", words[k]);
            int status = cli_usage(c, "%s has no parameter '%.20s'%s", p->row.name, name,
                                   all.s ? all.s : " or any other");
            hnn_text_free(&all);
            return status;
        }
        if (p->parameters == HNN_SYSTEM_PARAMETERS)
            return cli_usage(c, "more than %d parameters", HNN_SYSTEM_PARAMETERS);
        if (strlen(name) >= sizeof p->names[0])
            return cli_usage(c, "the parameter '%.40s' has a name of more than %d letters", name,
                             (int)sizeof p->names[0] - 1);
        i = p->parameters++;
        snprintf(p->names[i], sizeof p->names[i], "%s", name);
        p->row.parameter[i].name = p->names[i];
    }
    p->row.parameter[i].value = p->value[i] = x;
    return CLI_OK;
}

/* "lo:hi" */
static int range(cli *c, const char *option, const char *text, double r[2])
{
    char left[64];
    size_t n = strcspn(text, ":");
    if (text[n] && n < sizeof left) {
        memcpy(left, text, n), left[n] = 0;
        if (cli_number(left, &r[0]) && cli_number(text + n + 1, &r[1]) && r[0] <= r[1])
            return CLI_OK;
    }
    return cli_usage(c, "--%s needs a range LO:HI, not '%.60s'", option, text);
}

static int set_box(cli *c, void *to, const char *name, const char *text)
{
    cli_problem *p = to;
    double r[2];
    if (range(c, "box", text, r) != CLI_OK)
        return CLI_USAGE;
    if (p->row.space)
        return cli_usage(c, "the bodies of %s start around their usual places: they have no box",
                         p->row.name);
    int all = !strcmp(name, "q") ? 0 : !strcmp(name, "p") ? 1 : -1, one = cli_coordinate_of(p->dof, name);
    if (all < 0 && (one < 0 || p->row.min_dof))
        return cli_usage(c, "--box: '%.20s' is not q, p%s", name,
                         p->row.min_dof ? ""
                         : p->dof > 1   ? ", q[i] or p[i] of this system"
                                        : "");
    for (int i = 0; i < (p->row.min_dof ? 2 : 2 * p->dof); i++) {
        int block = p->row.min_dof ? i : i >= p->dof;
        if (all >= 0 ? block == all : i == one)
            memcpy(p->row.box[i], r, sizeof r);
    }
    return CLI_OK;
}

static int typed_row(cli *c, cli_problem *p)
{
    int open = 0;
    if (!cli_text(c, "H")[strspn(cli_text(c, "H"), " \t\n")])
        return cli_usage(c, "the text of --H is empty: \"p^2/2 + 1 - cos(q)\", for example");
    p->typed = 1;
    p->row = (hnn_system){.name = cli_text(c, "H"),
                          .title = "typed",
                          .source = "the command line",
                          .H = cli_text(c, "H"),
                          .span = 10,
                          .step = 0.1};
    p->dof = typed_dof(p->row.H, &open);
    if (cli_has(c, "dof"))
        p->dof = (int)cli_int(c, "dof");
    else if (open)
        return cli_usage(
            c, "the Hamiltonian is made for any number n of degrees of freedom: --dof says how many");
    p->row.dof = p->dof;
    p->row.min_dof = 2 * p->dof > HNN_SYSTEM_COORDINATES; /* one box for every q, one for every p */
    for (int i = 0; i < (p->row.min_dof ? 2 : 2 * p->dof); i++)
        p->row.box[i][0] = -1, p->row.box[i][1] = 1;
    return CLI_OK;
}

/* A learned model: RUN/NAME.safetensors, or a folder with one or more of them (the first by name). */
static int is_file(const char *name)
{
    size_t n = strlen(name);
    struct stat st;
    return (n > 12 && !strcmp(name + n - 12, ".safetensors")) || (strchr(name, '/') && !stat(name, &st)) ||
           (!hnn_system_find(name, NULL) && !stat(name, &st));
}

/* what a run folder keeps beside the models: the true system, a stated energy */
static int is_known(const char *file)
{
    return !strcmp(file, "truth.safetensors") || !strcmp(file, "stated.safetensors");
}

static int weights_of(cli *c, const char *name, char path[4096])
{
    struct stat st;
    glob_t g;
    char pattern[4096];
    snprintf(path, 4096, "%.4000s", name);
    if (stat(name, &st) || !S_ISDIR(st.st_mode))
        return CLI_OK;
    snprintf(pattern, sizeof pattern, "%.4000s/*.safetensors", name);
    *path = 0;
    if (!glob(pattern, 0, NULL, &g)) {
        for (size_t i = 0; i < g.gl_pathc && !*path; i++)
            if (!is_known(strrchr(g.gl_pathv[i], '/') + 1))
                snprintf(path, 4096, "%.4000s", g.gl_pathv[i]);
        globfree(&g);
    }
    return *path ? CLI_OK : cli_usage(c, "%.200s holds no model (*.safetensors)", name);
}

static int learned_row(cli *c, cli_problem *p)
{
    char path[4096];
    int status = weights_of(c, c->argv[0], path);
    size_t n = strlen(path);
    if (status == CLI_OK && (n < 12 || strcmp(path + n - 12, ".safetensors")))
        return cli_usage(
            c, "'%.200s' is no model (.safetensors); measured data go after --data, or data --check", path);
    if (status == CLI_OK && hnn_model_load(path, &p->model, &c->error))
        status = cli_error(c);
    if (status != CLI_OK)
        return status;
    const hnn_model_spec *s = &p->model->spec;
    if (cli_has(c, "set") || cli_has(c, "dissipation") || cli_has(c, "drive") || cli_has(c, "dof"))
        return cli_usage(c, "a learned model is as it is: no --set, --dof, --dissipation or --drive");
    p->learned = 1;
    p->dof = s->dof;
    p->row = (hnn_system){.name = c->argv[0],
                          .title = p->model->row->title,
                          .source = "learned",
                          .H = s->H,
                          .dof = s->dof,
                          .span = 10,
                          .step = 0.1,
                          .angles = s->angles};
    p->row.min_dof = 2 * p->dof > HNN_SYSTEM_COORDINATES;
    for (int i = 0; i < (p->row.min_dof ? 2 : 2 * p->dof); i++) { /* where the training data were */
        int at = p->row.min_dof ? i * p->dof : i;
        double mean = s->mean ? s->mean[at] : 0, scale = s->scale ? s->scale[at] : 1;
        p->row.box[i][0] = mean - 1.5 * scale, p->row.box[i][1] = mean + 1.5 * scale;
    }
    return CLI_OK;
}

static int named_row(cli *c, cli_problem *p)
{
    const char *name = c->argv[0], *words[256];
    const hnn_system *s = hnn_system_find(name, NULL);
    if (!s) {
        int n = 0;
        for (; n < hnn_system_count() && n < 256; n++)
            words[n] = hnn_system_at(n)->name;
        const char *near = cli_nearest(name, n, words);
        return near
                   ? cli_usage(c, "no system is called '%.60s': did you mean '%s'?", name, near)
                   : cli_usage(
                         c,
                         "no system, run or file is called '%.60s'; 'noether list systems' names the systems",
                         name);
    }
    p->row = *s;
    p->dof = cli_has(c, "dof") ? (int)cli_int(c, "dof") : s->dof;
    for (; p->parameters < HNN_SYSTEM_PARAMETERS && s->parameter[p->parameters].name; p->parameters++)
        p->value[p->parameters] = s->parameter[p->parameters].value;
    hnn_text H = {0};
    int bad = hnn_system_hamiltonian(s, p->dof, &H, &c->error);
    hnn_text_free(&H);
    return bad ? cli_usage(c, "%s", c->error.message) : CLI_OK;
}

int cli_problem_row(cli *c, cli_problem *p)
{
    const char *text;
    *p = (cli_problem){0};
    if (c->argc && cli_has(c, "H"))
        return cli_usage(c, "both a system, '%.40s', and --H were given", c->argv[0]);
    if (!c->argc && !cli_has(c, "H"))
        return cli_usage(c, "a system or --H TEXT is missing; 'noether list systems' names the systems");
    int status = !c->argc ? typed_row(c, p) : is_file(c->argv[0]) ? learned_row(c, p) : named_row(c, p);
    if (status != CLI_OK)
        return status;
    if (cli_has(c, "dissipation"))
        p->row.dissipation = cli_text(c, "dissipation");
    if (cli_has(c, "drive"))
        p->row.drive = cli_text(c, "drive");
    for (int i = 0; cli_list(c, "set", i, &text) && status == CLI_OK; i++)
        status = cli_pairs(c, "set", text, set_parameter, p);
    for (int i = 0; cli_list(c, "box", i, &text) && status == CLI_OK; i++)
        status = cli_pairs(c, "box", text, set_box, p);
    if (status == CLI_OK && cli_has(c, "box") && !cli_has(c, "energy"))
        p->row.energy[0] = p->row.energy[1] = 0; /* the row's energies belong to the row's box */
    if (status == CLI_OK && cli_has(c, "energy"))
        status = range(c, "energy", cli_text(c, "energy"), p->row.energy);
    return status;
}
