/* cmd_verify.c - noether verify: what a Hamiltonian field promises, measured: number, tolerance, PASS or FAIL. Invariant: a claim
 * is measured the same way for every model; a model that cannot make a claim fails it. */
/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 64, MODELS = 8 };

typedef struct subject {
    cli_problem p;
    const char *name;
    int n;      /* 2 dof */
    double *z;  /* [STATES, n] states of the box where H is finite */
    double sd;  /* of H over them; NaN where there is no H */
    long steps; /* of long runs */
    double h;
    hnn_flow *truth; /* NULL: not known */
    char why[200];   /* the last number is NaN */
} subject;

/* Each gives the number of its claim; NaN, and why, when the model cannot be measured that way. */
typedef double measure(subject *s);

static double missing(subject *s, const char *why)
{
    snprintf(s->why, sizeof s->why, "%.190s", why);
    return NAN;
}

/* A = J^-1 df/dz is the Hessian of H: its antisymmetric part, as a share of twice its size */
static double asymmetry(subject *s)
{
    int n = s->n, d = n / 2;
    double odd = 0, all = 0, *B = malloc(sizeof *B * (size_t)(n * n));
    hnn_error e;
    if (!B)
        return missing(s, "out of memory");
    for (int k = 0; k < STATES; k++) {
        if (hnn_flow_jacobian(s->p.flow, 1, 0, s->z + k * n, B, &e))
            return free(B), missing(s, e.message);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) { /* rows of J^-1 B: minus the rows of p', then the rows of q' */
                double a = i < d ? -B[(i + d) * n + j] : B[(i - d) * n + j];
                double b = j < d ? -B[(j + d) * n + i] : B[(j - d) * n + i];
                odd += (a - b) * (a - b), all += a * a;
            }
    }
    free(B);
    if (!isfinite(all))
        return missing(s, "a derivative of the field is NaN or infinite");
    return all > 0 ? sqrt(odd / (4 * all)) : 0;
}

static double divergence(subject *s)
{
    int n = s->n;
    double worst = 0, *B = malloc(sizeof *B * (size_t)(n * n));
    hnn_error e;
    if (!B)
        return missing(s, "out of memory");
    for (int k = 0; k < STATES; k++) {
        double trace = 0, size = 0;
        if (hnn_flow_jacobian(s->p.flow, 1, 0, s->z + k * n, B, &e))
            return free(B), missing(s, e.message);
        for (int i = 0; i < n * n; i++)
            size += B[i] * B[i];
        if (!isfinite(size))
            return free(B), missing(s, "a derivative of the field is NaN or infinite");
        for (int i = 0; i < n; i++)
            trace += B[i * n + i];
        worst = fmax(worst, size > 0 ? fabs(trace) / sqrt(size) : 0);
    }
    free(B);
    return worst;
}

typedef struct follow {
    hnn_flow *H;
    double first, worst;
    int64_t steps, limit; /* limit: the first step off by more than `off` */
    double off;
} follow;

static int observe(void *user, double t, const double y[])
{
    follow *f = user;
    double H = NAN;
    hnn_flow_energy(f->H, 1, t, y, &H, NULL);
    if (!f->steps++)
        f->first = H;
    double e = fabs(H - f->first);
    f->worst = e <= f->worst ? f->worst : e;
    if (!(e <= f->off) && f->limit < 0)
        f->limit = f->steps - 1;
    return 0;
}

/* the largest |H - H(0)| / sd over the steps from the first state */
static double energy_by(subject *s, const char *method)
{
    const ode_method *m = ode_method_find(method);
    if (!hnn_flow_has_energy(s->p.flow))
        return missing(s, "the model has no H");
    if (ode_method_refuses(m, &s->p.field))
        return missing(s, "the model does not keep H: friction, drive or velocities");
    follow f = {.H = s->p.flow, .limit = -1, .off = INFINITY};
    ode_solver *solver = ode_new(m, &s->p.field);
    ode_options o = {.observer = observe, .user = &f, .every = 1};
    ode_start(solver, 0, s->z);
    ode_run(solver, s->steps, s->h, &o);
    double worst = ode_status(solver) ? missing(s, ode_message(solver)) : f.worst / s->sd;
    ode_free(solver);
    return worst;
}

static double energy_gonzalez(subject *s) { return energy_by(s, "gonzalez"); }
static double energy_rk4(subject *s) { return energy_by(s, "rk4"); }

/* over 100 executed steps from the first state: the largest |M'JM - J|, or |det M - 1| */
static double tangent_by(subject *s, const char *method, double (*defect)(int, const double *))
{
    double worst = 0, *M = malloc(sizeof *M * (size_t)(s->n * s->n));
    ode_solver *solver = ode_new(ode_method_find(method), &s->p.field);
    ode_start(solver, 0, s->z);
    for (int k = 0; M && k < 100; k++) {
        if (ode_tangent(solver, s->h, M) || ode_step(solver, s->h))
            break;
        double d = defect(s->n, M);
        worst = d <= worst ? worst : d;
    }
    if (ode_status(solver) || !M)
        worst = missing(s, M ? ode_message(solver) : "out of memory");
    ode_free(solver);
    free(M);
    return worst;
}

static double symplectic_gauss8(subject *s) { return tangent_by(s, "gauss8", ode_symplectic_defect); }
static double volume_gauss8(subject *s) { return tangent_by(s, "gauss8", ode_volume_defect); }
static double symplectic_rk4(subject *s) { return tangent_by(s, "rk4", ode_symplectic_defect); }
static double volume_rk4(subject *s) { return tangent_by(s, "rk4", ode_volume_defect); }

/* the share of the steps after which the true energy has left 0.1 sd: 0 when it never does */
static double true_energy(subject *s)
{
    double sum = 0, square = 0;
    if (!s->truth)
        return NAN;
    for (int k = 0; k < STATES; k++) {
        double H = NAN;
        hnn_flow_energy(s->truth, 1, 0, s->z + k * s->n, &H, NULL);
        sum += H, square += H * H;
    }
    double sd = sqrt(fmax(square / STATES - sum * sum / STATES / STATES, 0));
    follow f = {.H = s->truth, .limit = -1, .off = 0.1 * sd};
    ode_solver *solver = ode_new(ode_method_find("gauss4"), &s->p.field);
    ode_options o = {.observer = observe, .user = &f, .every = 1};
    ode_start(solver, 0, s->z);
    ode_run(solver, s->steps, s->h, &o);
    int lost = ode_status(solver) != 0;
    ode_free(solver);
    if (lost && f.limit < 0)
        f.limit = f.steps;
    return f.limit < 0 ? 0 : 1 - (double)f.limit / (double)s->steps;
}

static const struct claim {
    const char *name, *text, *kind;
    double tolerance; /* 0: no claim, only told */
    measure *number;
} claims[] = {
    {"curl", "the field has a scalar H: J^-1 df/dz is symmetric", "by construction", 1e-12, asymmetry},
    {"divergence", "the field keeps volume: |div f| / |df/dz|", "by construction", 1e-12, divergence},
    {"energy", "its H is kept by discrete gradients (gonzalez)", "by construction", 1e-11, energy_gonzalez},
    {"symplectic", "a step of Gauss 8 is symplectic: |M'JM - J|", "by construction", 1e-12,
     symplectic_gauss8},
    {"volume", "a step of Gauss 8 keeps volume: |det M - 1|", "by construction", 1e-12, volume_gauss8},
    {"true_energy", "the true H stays within 0.1 sd: share of the steps after", "learned", 1e-300,
     true_energy},
    {"rk4_energy", "H by rk4 at the same step", "not claimed", 0, energy_rk4},
    {"rk4_symplectic", "|M'JM - J| by rk4", "not claimed", 0, symplectic_rk4},
    {"rk4_volume", "|det M - 1| by rk4", "not claimed", 0, volume_rk4},
};
enum { CLAIMS = sizeof claims / sizeof *claims };

static int prepare(cli *c, subject *s)
{
    s->n = 2 * s->p.dof;
    s->steps = cli_int(c, "steps");
    s->h = cli_has(c, "h") ? cli_real(c, "h") : s->p.row.step;
    s->z = malloc(sizeof *s->z * STATES * (size_t)s->n);
    s->sd = NAN;
    if (!s->z)
        return cli_fail(c, "out of memory");
    if (hnn_draw_starts(&s->p.row, s->p.value, s->p.flow, (uint64_t)cli_int(c, "seed"), HNN_RNG_START, 0,
                        STATES, s->z, &c->error))
        return cli_fail(c, "%s", c->error.message);
    if (!hnn_flow_has_energy(s->p.flow))
        return CLI_OK;
    double sum = 0, square = 0;
    for (int k = 0; k < STATES; k++) {
        double H = NAN;
        hnn_flow_energy(s->p.flow, 1, 0, s->z + k * s->n, &H, NULL);
        sum += H / STATES, square += H * H / STATES;
    }
    s->sd = sqrt(fmax(square - sum * sum, 0));
    if (!(s->sd > 0))
        s->sd = 1;
    return CLI_OK;
}

static int judge(cli *c, subject s[], int models)
{
    enum { ROOM = 40 };
    int columns = 3 + models, failed = 0;
    hnn_text notes = {0};
    char(*cell)[ROOM] = calloc((size_t)((CLAIMS + 1) * columns), sizeof *cell);
    const char **text = malloc(sizeof *text * (size_t)((CLAIMS + 1) * columns));
    if (!cell || !text) {
        free(cell), free(text);
        return cli_fail(c, "out of memory");
    }
    text[0] = "claim", text[1] = "holds", text[2] = "tolerance";
    for (int m = 0; m < models; m++)
        text[3 + m] = s[m].name;
    int rows = 1;
    cli_json_array(&c->json, "claims");
    for (int k = 0; k < CLAIMS && !cli_interrupted(); k++) {
        if (claims[k].number == true_energy && !s[0].truth)
            continue;
        const char **row = text + rows * columns;
        char(*own)[ROOM] = cell + rows++ * columns;
        row[0] = claims[k].text, row[1] = claims[k].kind, row[2] = own[2];
        snprintf(own[2], ROOM,
                 claims[k].tolerance > 1e-200 ? "%.0e"
                 : claims[k].tolerance > 0    ? "0"
                                              : "-",
                 claims[k].tolerance);
        cli_json_object(&c->json, NULL);
        cli_json_text(&c->json, "claim", claims[k].name);
        cli_json_text(&c->json, "text", claims[k].text);
        cli_json_text(&c->json, "holds", claims[k].kind);
        cli_json_number(&c->json, "tolerance", claims[k].tolerance > 0 ? claims[k].tolerance : NAN);
        cli_json_array(&c->json, "models");
        for (int m = 0; m < models; m++) {
            cli_progress(c, "%s: %s", s[m].name, claims[k].text);
            s[m].why[0] = 0;
            double x = claims[k].number(&s[m]);
            if (isnan(x) && !s[m].why[0])
                missing(&s[m], "the number is NaN");
            if (isnan(x))
                hnn_text_printf(&notes, "%s: no value for %s (%s).\n", claims[k].text, s[m].name, s[m].why);
            int good = x <= claims[k].tolerance, judged = claims[k].tolerance > 0;
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
        s[0].steps, s[0].h, STATES, notes.s ? notes.s : "");
    hnn_text_free(&notes);
    free(cell), free(text);
    c->show = 1;
    return cli_interrupted() ? CLI_INTERRUPTED : failed ? CLI_FAILED : CLI_OK;
}

static int open_one(cli *c, const char *path, subject *s)
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
static void short_name(subject *s, char name[64])
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
    subject s[MODELS] = {0};
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
    for (int k = 0; k < models; k++)
        s[k].truth = truth;
    if (status == CLI_OK)
        status = judge(c, s, models);
    for (int k = 0; k < models; k++) {
        cli_problem_close(&s[k].p);
        free(s[k].z);
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
