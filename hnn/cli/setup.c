/* setup.c - from options to a comparison or a training. Where an option goes is a row. */
/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cli_option cli_measured_options[] = {
    {"", NULL, 0, NULL, "Measured data", 0, 0},
    {"data", "FILE...", CLI_LIST, NULL,
     "measured trajectories instead of a system, from each file at least one; --H is then the energy "
     "function",
     0, 0},
    {"test-share", "SHARE", CLI_REAL, "0.2",
     "of measured data that is held out: trajectories, or the end of a single one", 0.01, 0.9},
    {"forward-differences", NULL, CLI_FLAG, NULL,
     "derivatives of measured data from the next row, not local polynomials", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
const cli_option cli_drawn_options[] = {
    {"", NULL, 0, NULL, "Data that are drawn", 0, 0},
    {"protocol", "NAME", CLI_TEXT, NULL,
     "a published setting, 'noether list protocols'; other options change it", 0, 0},
    {"trajectories", "N", CLI_INT, "25", "for training", 1, 1e6},
    {"rows", "N", CLI_INT, NULL, "samples of each; the system has a default interval", 2, 1e8},
    {"span", "T", CLI_REAL, NULL, "length of each; the system has a default", 1e-300, 1e300},
    {"radius", "LO:HI", CLI_TEXT, NULL, "start on circles with radii in this range (one degree of freedom)",
     0, 0},
    {"noise", "SD", CLI_REAL, "0", "normal noise on the states", 0, 1e300},
    {"noise-derivatives", "SD", CLI_REAL, "0", "normal noise on the derivatives", 0, 1e300},
    {"validation", "SHARE", CLI_REAL, "0", "of trajectories for early stopping", 0, 0.9},
    {"tests", "N", CLI_INT, "15", "held-out starts", 1, 1e6},
    {"test-rows", "N", CLI_INT, NULL, "samples of a held-out trajectory; else as for training", 2, 1e8},
    {"test-span", "T", CLI_REAL, NULL, "its length; else as for training", 1e-300, 1e300},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
const cli_option cli_model_options[] = {
    {"", NULL, 0, NULL, "Models", 0, 0},
    {"layers", "N", CLI_INT, "2", "hidden layers", 1, 16},
    {"width", "N", CLI_INT, "200", "their width", 1, 100000},
    {"activation", "NAME", CLI_TEXT, "tanh", "an elementwise operation, 'noether list operations'", 0, 0},
    {"no-match", NULL, CLI_FLAG, NULL,
     "all networks of this width; else as many parameters as the first model has", 0, 0},
    {"angles", NULL, CLI_FLAG, NULL, "networks see the system's angles as (cos, sin)", 0, 0},
    {"angle", "q[i]", CLI_LIST, NULL, "networks see this coordinate as (cos, sin)", 0, 0},
    {"unscaled", NULL, CLI_FLAG, NULL, "networks see the states as they are, not scaled by the training data",
     0, 0},
    {"model-H", "TEXT", CLI_TEXT, NULL, "the Hamiltonian of model text; else that of the system", 0, 0},
    {"fit", "m=1,k=1", CLI_LIST, NULL, "constants of model text to fit, from these values on", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
const cli_option cli_training_options[] = {
    {"", NULL, 0, NULL, "Training", 0, 0},
    {"loss", "NAME", CLI_TEXT, NULL, "'noether list losses'; each model has a default", 0, 0},
    {"window", "N", CLI_INT, NULL, "steps of a window of the rollout loss", 1, 1e6},
    {"rollout-method", "NAME", CLI_TEXT, NULL,
     "integrator of the rollout loss, or midpoint (implicit); else rk4", 0, 0},
    {"substeps", "N", CLI_INT, NULL, "its steps between two samples", 1, 1024},
    {"curriculum", NULL, CLI_FLAG, NULL,
     "windows of 1, 2, 4, ... steps up to --window, which share the steps of training", 0, 0},
    {"stride", "N", CLI_INT, NULL, "pairs and windows begin at every N-th row", 1, 1e6},
    {"correction", "2|4", CLI_INT, NULL, "loss midpoint: order of the modified Hamiltonian, for coarse steps",
     0, 4},
    {"train-starts", NULL, CLI_FLAG, NULL,
     "noisy states: losses of pairs and rollouts also train the first state of each", 0, 0},
    {"optimiser", "NAME", CLI_TEXT, "adam",
     "adam, lbfgs, lm (few parameters) or lsq (model hnn with one hidden layer)", 0, 0},
    {"features", "NAME", CLI_TEXT, NULL,
     "lsq: how hidden weights are drawn: normal, pairs of states, or steep ones: where H changes most; else "
     "normal",
     0, 0},
    {"polish", "N", CLI_INT, "0", "lsq: steps of lbfgs on all weights after the solve", 0, 1e9},
    {"steps", "N", CLI_INT, "2000", "of the optimiser", 1, 1e12},
    {"batch", "N", CLI_INT, "0", "samples in a step; 0: all", 0, 1e12},
    {"rate", "X", CLI_REAL, "0.002", "learning rate", 1e-12, 1e3},
    {"schedule", "NAME", CLI_TEXT, "cosine", "constant, cosine (down to --rate-end) or plateau", 0, 0},
    {"rate-end", "X", CLI_REAL, "1e-5", "learning rate at the end of cosine", 0, 1e3},
    {"warmup", "N", CLI_INT, "0", "steps over which the rate grows from 0", 0, 1e12},
    {"l2", "X", CLI_REAL, "0", "x theta is added to the gradient", 0, 1e9},
    {"stop-after", "N", CLI_INT, "0", "checks without a better validation loss before it stops; 0: never", 0,
     1e9},
    {"check-every", "N", CLI_INT, "50", "steps between checks and lines of the log", 1, 1e9},
    {"float", NULL, CLI_FLAG, NULL, "single precision (Adam itself is in double)", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};

/* ---- where an option goes ---- */
enum { INT, LONG, REAL, TEXT };
typedef struct place {
    const char *option;
    int type;
    size_t at;
} place;
#define OF_ALL(name, type, member)                                                                           \
    {                                                                                                        \
        name, type, offsetof(hnn_compare_options, member)                                                    \
    }
#define OF_ONE(name, type, member)                                                                           \
    {                                                                                                        \
        name, type, offsetof(hnn_compare_model, member)                                                      \
    }
static const place of_all[] = {
    OF_ALL("trajectories", INT, trajectories),
    OF_ALL("rows", LONG, rows),
    OF_ALL("span", REAL, span),
    OF_ALL("noise", REAL, noise),
    OF_ALL("noise-derivatives", REAL, noise_dz),
    OF_ALL("validation", REAL, validation),
    OF_ALL("tests", INT, tests),
    OF_ALL("test-rows", LONG, test_rows),
    OF_ALL("test-span", REAL, test_span),
    OF_ALL("test-share", REAL, test_share),
    OF_ALL("seeds", INT, seeds),
    OF_ALL("drift-steps", LONG, budget.drift_steps),
    OF_ALL("tangent-steps", LONG, budget.tangent_steps),
    OF_ALL("long", LONG, budget.horizon_steps),
    OF_ALL("threads", INT, threads),
};
static const place of_one[] = {
    OF_ONE("layers", INT, spec.layers),
    OF_ONE("width", INT, spec.width),
    OF_ONE("activation", TEXT, spec.activation),
    OF_ONE("loss", TEXT, loss.loss),
    OF_ONE("window", INT, loss.window),
    OF_ONE("rollout-method", TEXT, loss.method),
    OF_ONE("substeps", INT, loss.substeps),
    OF_ONE("stride", INT, loss.stride),
    OF_ONE("correction", INT, loss.correction),
    OF_ONE("optimiser", TEXT, train.optimiser),
    OF_ONE("features", TEXT, train.sampling),
    OF_ONE("polish", LONG, train.polish),
    OF_ONE("steps", LONG, train.steps),
    OF_ONE("batch", LONG, train.batch),
    OF_ONE("rate", REAL, train.rate),
    OF_ONE("rate-end", REAL, train.rate_end),
    OF_ONE("warmup", LONG, train.warmup),
    OF_ONE("l2", REAL, train.l2),
    OF_ONE("stop-after", LONG, train.stop_after),
    OF_ONE("check-every", LONG, train.check_every),
};

static void put(const cli *c, const place *p, void *to)
{
    char *at = (char *)to + p->at;
    const char *text = cli_text(c, p->option);
    switch (text ? p->type : -1) {
    case INT:
        *(int *)at = (int)cli_int(c, p->option);
        break;
    case LONG:
        *(long *)at = cli_int(c, p->option);
        break;
    case REAL:
        *(double *)at = cli_real(c, p->option);
        break;
    case TEXT:
        *(const char **)at = text;
        break;
    default:
        break;
    }
}

static void put_all(const cli *c, const place *p, size_t n, void *to, int protocol)
{
    for (size_t i = 0; i < n; i++)
        if (!protocol || cli_has(c, p[i].option))
            put(c, &p[i], to);
}

static int add_constant(cli *c, void *to, const char *name, const char *text)
{
    cli_setup *s = to;
    double x;
    if (!cli_number(text, &x))
        return cli_usage(c, "--fit %s needs a number to start from, not '%.60s'", name, text);
    if (s->constants == CLI_CONSTANTS || strlen(name) >= sizeof s->constant_name[0])
        return cli_usage(c, "--fit takes %d constants with names of at most %d letters", CLI_CONSTANTS,
                         (int)sizeof s->constant_name[0] - 1);
    snprintf(s->constant_name[s->constants], sizeof s->constant_name[0], "%s", name);
    s->constant[s->constants] = (hnn_constant){s->constant_name[s->constants], x, 1};
    s->constants++;
    return CLI_OK;
}

/* the text of model text: with the system's constants that are not to be fitted as they are */
static int text_model(cli *c, cli_setup *s, hnn_model_spec *spec)
{
    const char *text;
    spec->H = cli_has(c, "model-H")      ? cli_text(c, "model-H")
              : s->o.energy || s->o.data ? NULL
                                         : s->problem.row.H;
    if (!spec->H)
        return cli_usage(c, "model text needs --model-H TEXT");
    if (!s->constants)
        for (int i = 0; cli_list(c, "fit", i, &text); i++) {
            int status = cli_pairs(c, "fit", text, add_constant, s);
            if (status != CLI_OK)
                return status;
        }
    int fitted = s->constants;
    for (int i = 0; i < s->problem.parameters && s->constants < CLI_CONSTANTS; i++) {
        int known = 0;
        for (int k = 0; k < fitted; k++)
            known |= !strcmp(s->constant[k].name, s->problem.row.parameter[i].name);
        if (!known)
            s->constant[s->constants++] =
                (hnn_constant){s->problem.row.parameter[i].name, s->problem.value[i], 0};
    }
    spec->constant = s->constant, spec->constants = s->constants;
    spec->dissipation = s->problem.row.dissipation, spec->drive = s->problem.row.drive;
    return CLI_OK;
}

static int one_model(cli *c, cli_setup *s, hnn_compare_model *m, int protocol)
{
    static const char *const schedules[] = {"constant", "cosine", "plateau"};
    const char *text;
    put_all(c, of_one, sizeof of_one / sizeof *of_one, m, protocol);
    if (!protocol)
        m->scaled = 1;
    if (s->o.match && m != s->o.model)
        m->spec.width = 0; /* chosen by the number of parameters */
    if (cli_has(c, "unscaled"))
        m->scaled = 0;
    if (cli_has(c, "train-starts"))
        m->loss.starts = 1;
    if (cli_has(c, "curriculum"))
        m->curriculum = 1;
    if (cli_has(c, "float"))
        m->train.real = AD_F32;
    if (cli_has(c, "angles"))
        m->spec.angles = s->problem.row.angles;
    for (int i = 0; cli_list(c, "angle", i, &text); i++) {
        int k = cli_coordinate_of(s->o.data ? s->data.dof : s->problem.dof, text);
        if (k < 0 || *text != 'q' || k > 31)
            return cli_usage(c, "--angle: '%.20s' is no position", text);
        m->spec.angles |= 1u << k;
    }
    if (!protocol || cli_has(c, "schedule")) {
        int k = 0;
        while (k < 3 && strcmp(schedules[k], cli_text(c, "schedule")))
            k++;
        if (k == 3)
            return cli_usage(c, "--schedule is constant, cosine or plateau, not '%.40s'",
                             cli_text(c, "schedule"));
        m->train.schedule = k;
    }
    if (m->loss.loss && !hnn_loss_find(m->loss.loss, &c->error))
        return cli_error(c);
    if (!m->spec.model || strcmp(m->spec.model, "text") != 0)
        return CLI_OK;
    if (m->spec.H && !cli_has(c, "model-H") && !cli_has(c, "fit")) /* the protocol has text and constants */
        return CLI_OK;
    return text_model(c, s, &m->spec);
}

static int model_names(cli *c, cli_setup *s, const char *models, hnn_compare_model pattern)
{
    s->models = strdup(models);
    s->o.models = 0;
    if (!s->models)
        return cli_fail(c, "out of memory");
    for (char *save, *name = strtok_r(s->models, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        if (s->o.models == HNN_COMPARE_MODELS)
            return cli_usage(c, "more than %d models", HNN_COMPARE_MODELS);
        if (!hnn_model_find(name, NULL)) {
            const char *words[64];
            int n = 0;
            for (; n < hnn_model_count() && n < 64; n++)
                words[n] = hnn_model_at(n)->name;
            const char *near = cli_nearest(name, n, words);
            return near ? cli_usage(c, "no model is called '%.40s': did you mean '%s'?", name, near)
                        : cli_usage(c, "no model is called '%.40s'; 'noether list models' names them", name);
        }
        s->o.model[s->o.models] = pattern;
        s->o.model[s->o.models].label = NULL;
        s->o.model[s->o.models++].spec.model = name;
    }
    return s->o.models ? CLI_OK : cli_usage(c, "--models names no model");
}

static int measured(cli *c, cli_setup *s)
{
    int n = 0, status = CLI_OK;
    for (const char *text; n < 255 && cli_list(c, "data", n, &text); n++)
        s->file[n] = text;
    if (c->argc)
        return cli_usage(c, "both a system, '%.40s', and --data were given", c->argv[0]);
    status = cli_load(c, n, s->file, &s->data);
    if (status == CLI_OK && cli_has(c, "H")) {
        status = cli_problem_open(c, &s->problem);
        if (status == CLI_OK && s->problem.dof != s->data.dof)
            status =
                cli_usage(c, "H has %d degrees of freedom, the data have %d", s->problem.dof, s->data.dof);
        s->o.energy = s->problem.model;
    }
    s->o.data = &s->data;
    return status;
}

static int pair_of(cli *c, const char *option, double r[2])
{
    const char *text = cli_text(c, option);
    char left[64];
    size_t n = text ? strcspn(text, ":") : 0;
    if (!text)
        return CLI_OK;
    snprintf(left, sizeof left, "%.*s", (int)(n < 60 ? n : 60), text);
    if (text[n] && cli_number(left, &r[0]) && cli_number(text + n + 1, &r[1]) && r[0] <= r[1])
        return CLI_OK;
    return cli_usage(c, "--%s needs a range LO:HI, not '%.60s'", option, text);
}

/* Options that one kind of model, loss or optimiser looks at: nothing that was asked for is passed over in silence. */
enum { MODEL, LOSS, OPTIMISER };
static const struct {
    const char *option;
    int kind;
    const char *name;
} only_for[] = {
    {"fit", MODEL, "text"},           {"model-H", MODEL, "text"},      {"window", LOSS, "rollout"},
    {"substeps", LOSS, "rollout"},    {"curriculum", LOSS, "rollout"}, {"rollout-method", LOSS, "rollout"},
    {"correction", LOSS, "midpoint"}, {"features", OPTIMISER, "lsq"},  {"polish", OPTIMISER, "lsq"},
};

static int used_by_one(cli *c, const cli_setup *s)
{
    const char *const kind[] = {s->single ? "model" : "models", "loss", "optimiser"};
    for (size_t i = 0; i < sizeof only_for / sizeof *only_for; i++) {
        int used = !cli_has(c, only_for[i].option);
        for (int k = 0; k < s->o.models && !used; k++) {
            const hnn_compare_model *m = &s->o.model[k];
            const hnn_model_row *row = hnn_model_find(m->spec.model ? m->spec.model : "hnn", &c->error);
            if (!row)
                return cli_error(c);
            const char *has[] = {row->name, m->loss.loss ? m->loss.loss : row->loss,
                                 m->train.optimiser ? m->train.optimiser : "adam"};
            used = !strcmp(has[only_for[i].kind], only_for[i].name);
        }
        if (!used)
            return cli_usage(c, "--%s is for --%s %s", only_for[i].option, kind[only_for[i].kind],
                             only_for[i].name);
    }
    return CLI_OK;
}

static int set_up(cli *c, cli_setup *s, const char *models)
{
    *s = (cli_setup){.single = !cli_option_of(c, "models")};
    int protocol = cli_text(c, "protocol") != NULL, status = CLI_OK;
    if (protocol) {
        const char *words[64], *name = cli_text(c, "protocol");
        const hnn_protocol *p = hnn_protocol_find(name, &c->error);
        int n = 0;
        for (; n < hnn_protocol_count() && n < 64; n++)
            words[n] = hnn_protocol_at(n)->name;
        if (!p && cli_nearest(name, n, words))
            return cli_usage(c, "no protocol is called '%.40s': did you mean '%s'?", name,
                             cli_nearest(name, n, words));
        if (!p)
            return cli_error(c);
        p->fill(&s->o);
    }
    hnn_compare_model pattern = s->o.models ? s->o.model[0] : (hnn_compare_model){0};
    if (cli_has(c, "data"))
        status = measured(c, s);
    else if (!protocol || c->argc || cli_has(c, "H")) {
        status = cli_problem_open(c, &s->problem);
        if (status == CLI_OK) {
            s->o.system = &s->problem.row, s->o.dof = s->problem.dof, s->o.value = s->problem.value;
            s->o.typed = NULL;
        }
    }
    if (status != CLI_OK)
        return status;
    put_all(c, of_all, sizeof of_all / sizeof *of_all, &s->o, protocol);
    if (!protocol || cli_has(c, "no-match"))
        s->o.match = !cli_has(c, "no-match");
    s->o.seed = (uint64_t)cli_int(c, "seed");
    s->o.forward_differences |= cli_has(c, "forward-differences");
    if (cli_has(c, "radius")) /* of a protocol's held-out starts, too */
        s->o.test_start = NULL;
    status = pair_of(c, "radius", s->o.radius);
    if (status == CLI_OK && (models || !s->o.models))
        status = model_names(c, s, models ? models : "hnn,node", pattern);
    for (int k = 0; k < s->o.models && status == CLI_OK; k++)
        status = one_model(c, s, &s->o.model[k], protocol);
    return status == CLI_OK ? used_by_one(c, s) : status;
}

int cli_with_setup(cli *c, const char *models, int (*work)(cli *c, cli_setup *s))
{
    cli_setup s;
    int status = set_up(c, &s, models);
    if (status == CLI_OK) {
        c->resolve = cli_resolved, c->of = &s;
        status = cli_config(c);
        c->resolve = NULL;
    }
    if (status == CLI_OK)
        status = work(c, &s);
    cli_problem_close(&s.problem);
    hnn_data_free(&s.data);
    free(s.models);
    return status;
}
