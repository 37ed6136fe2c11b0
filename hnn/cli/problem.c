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
        if (!open)
            return cli_usage(c, "%s has no parameter '%.20s'%s%s%s", p->row.name, name,
                             near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
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

static int weights_of(cli *c, const char *name, char path[4096])
{
    struct stat st;
    glob_t g;
    snprintf(path, 4096, "%.4000s", name);
    if (stat(name, &st) || !S_ISDIR(st.st_mode))
        return CLI_OK;
    snprintf(path, 4096, "%.4000s/*.safetensors", name);
    if (glob(path, 0, NULL, &g) || !g.gl_pathc)
        return cli_usage(c, "%.200s holds no model (*.safetensors)", name);
    snprintf(path, 4096, "%.4000s", g.gl_pathv[0]);
    globfree(&g);
    return CLI_OK;
}

static int learned_row(cli *c, cli_problem *p)
{
    char path[4096];
    int status = weights_of(c, c->argv[0], path);
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
        return near ? cli_usage(c, "no system is called '%.60s': did you mean '%s'?", name, near)
                    : cli_usage(c, "no system is called '%.60s'; 'noether list systems' names them", name);
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

/* ---- the field, which Ctrl-C can stop ---- */

static int go_on(int code) { return code ? code : cli_interrupted(); }
static int rhs(void *user, double t, const double y[], double d[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->rhs(f->user, t, y, d));
}
static int dHdp(void *user, double t, const double y[], double d[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->dHdp(f->user, t, y, d));
}
static int dHdq(void *user, double t, const double y[], double d[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->dHdq(f->user, t, y, d));
}
static int energy(void *user, double t, const double y[], double *H)
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return f->energy(f->user, t, y, H);
}
static int jacobian(void *user, double t, const double y[], double B[])
{
    const ode_field *f = ((cli_problem *)user)->inner;
    return go_on(f->jacobian(f->user, t, y, B));
}

/* H = T(p) + V(q), and T quadratic: the mixed second derivatives are 0, and those of p the same, at random states. For
 * the analytic functions that texts are, one state would almost surely do. */
static unsigned shape_of_H(const cli_problem *p)
{
    enum { STATES = 6, MOST = 64 };
    int n = p->dof, size = 2 * n, finite = 0;
    unsigned kind = ODE_SEPARABLE | ODE_QUADRATIC_T;
    if (n > MOST || !(p->field.kind & ODE_CANONICAL))
        return 0;
    double *work = malloc(sizeof *work * (size_t)(2 * size + 2 * size * size)), *lo = work, *hi = lo + size,
           *A = hi + size, *first = A + size * size;
    if (!work || hnn_system_box(&p->row, n, p->value, lo, hi, NULL)) {
        free(work);
        return 0;
    }
    for (int k = 0; k < STATES; k++) {
        hnn_rng r = hnn_rng_stream(0, HNN_RNG_USER, (uint64_t)k);
        double z[2 * MOST], scale = 0;
        for (int i = 0; i < size; i++)
            z[i] = hnn_rng_between(&r, lo[i], hi[i]);
        int bad = hnn_flow_hessian(p->flow, 1, 0, z, A, NULL);
        for (int i = 0; i < size * size && !bad; i++)
            bad = !isfinite(A[i]);
        if (bad)
            continue;
        if (!finite++)
            memcpy(first, A, sizeof *A * (size_t)(size * size));
        for (int i = n; i < size; i++)
            for (int j = n; j < size; j++)
                scale = fmax(scale, fabs(A[i * size + j]));
        for (int i = n; i < size; i++)
            for (int j = 0; j < size; j++) {
                if (j < n && A[i * size + j] != 0)
                    kind = 0;
                else if (j >= n && fabs(A[i * size + j] - first[i * size + j]) > 1e-13 * scale)
                    kind &= ~(unsigned)ODE_QUADRATIC_T;
            }
    }
    free(work);
    return finite > 1 ? kind : 0;
}

int cli_problem_open(cli *c, cli_problem *p)
{
    int status = cli_problem_row(c, p);
    if (status != CLI_OK) {
        cli_problem_close(p);
        return status;
    }
    if ((!p->learned && hnn_model_system(&p->row, p->dof, p->value, &p->model, &c->error)) ||
        hnn_flow_new(p->model, NULL, &p->flow, &c->error)) {
        status = cli_error(c);
        if (strstr(c->error.message, "unknown name"))
            fprintf(stderr, "names are q, p, t, those of --set%s\n",
                    p->row.dissipation ? ", and in the dissipation v" : "");
        cli_problem_close(p);
        return status;
    }
    p->inner = hnn_flow_ode(p->flow);
    p->field = *p->inner;
    p->field.user = p;
    p->field.rhs = p->inner->rhs ? rhs : NULL;
    p->field.dHdp = p->inner->dHdp ? dHdp : NULL;
    p->field.dHdq = p->inner->dHdq ? dHdq : NULL;
    p->field.energy = p->inner->energy ? energy : NULL;
    p->field.jacobian = p->inner->jacobian ? jacobian : NULL;
    p->field.kind |= shape_of_H(p);
    return CLI_OK;
}

void cli_problem_close(cli_problem *p)
{
    hnn_flow_free(p->flow);
    hnn_model_free(p->model);
    p->flow = NULL, p->model = NULL;
}

int cli_function(cli *c, const cli_problem *p, const char *option, const char *text, hnn_model **m,
                 hnn_flow **f)
{
    hnn_system row = p->row;
    row.H = text, row.space = 0;
    row.dissipation = row.drive = NULL;
    *m = NULL, *f = NULL;
    if (hnn_model_system(&row, p->dof, p->value, m, &c->error) || hnn_flow_new(*m, NULL, f, &c->error)) {
        hnn_model_free(*m);
        *m = NULL;
        return cli_usage(c, "--%s: %s", option, c->error.message);
    }
    return CLI_OK;
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

const ode_method *cli_method(cli *c, const ode_field *f, const char *name, int *status)
{
    const ode_method *m = ode_method_find(name);
    if (!m) {
        const char *words[256];
        int n = 0;
        for (; n < ode_method_count() && n < 256; n++)
            words[n] = ode_method_at(n)->name;
        const char *near = cli_nearest(name, n, words);
        *status = near ? cli_usage(c, "no method is called '%.40s': did you mean '%s'?", name, near)
                       : cli_usage(c, "no method is called '%.40s'; 'noether list methods' names them", name);
        return NULL;
    }
    const char *why = ode_method_refuses(m, f);
    if (why) {
        *status = cli_usage(c, "%s: %s", name, why);
        return NULL;
    }
    *status = CLI_OK;
    return m;
}
