/* verify_claims.c - each claim about a Hamiltonian field as a row, with how it is measured. Invariant: a claim is measured the same
 * way for every model; a number that is missing says why. */
/* SPDX-License-Identifier: MIT */
#include "io/json.h"
#include "landscape.h"
#include "verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double missing(cli_subject *s, const char *why)
{
    snprintf(s->why, sizeof s->why, "%.190s", why);
    return NAN;
}

/* A = J^-1 df/dz is the Hessian of H: its antisymmetric part, as a share of twice its size */
static double asymmetry(cli_subject *s)
{
    int n = s->n, d = n / 2;
    double odd = 0, all = 0, *B = malloc(sizeof *B * (size_t)(n * n));
    hnn_error e;
    if (!B)
        return missing(s, "out of memory");
    for (int k = 0; k < CLI_STATES; k++) {
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

static double divergence(cli_subject *s)
{
    int n = s->n;
    double worst = 0, *B = malloc(sizeof *B * (size_t)(n * n));
    hnn_error e;
    if (!B)
        return missing(s, "out of memory");
    for (int k = 0; k < CLI_STATES; k++) {
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
    return cli_interrupted() ? -1 : 0;
}

/* the largest |H - H(0)| / sd over the steps from the first state */
static double energy_by(cli_subject *s, const char *method)
{
    const ode_method *m = ode_method_find(method);
    if (!hnn_flow_has_energy(s->p.flow))
        return missing(s, "the model has no H");
    if (ode_method_refuses(m, &s->p.field))
        return missing(s, "the model does not keep H: friction, drive or velocities");
    follow f = {.H = s->p.flow, .limit = -1, .off = INFINITY};
    ode_solver *solver = ode_new(m, s->p.inner);
    ode_options o = {.observer = observe, .user = &f, .every = 1};
    ode_start(solver, 0, s->z);
    ode_run(solver, s->steps, s->h, &o);
    double worst = ode_status(solver) ? missing(s, ode_message(solver)) : f.worst / s->sd;
    ode_free(solver);
    return worst;
}

static double energy_gonzalez(cli_subject *s) { return energy_by(s, "gonzalez"); }
static double energy_gauss(cli_subject *s) { return energy_by(s, "gauss8"); }
static double energy_rk4(cli_subject *s) { return energy_by(s, "rk4"); }

/* over 100 executed steps from the first state: the largest |M'JM - J|, or |det M - 1| */
static double tangent_by(cli_subject *s, const char *method, double (*defect)(int, const double *))
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

static double symplectic_gauss8(cli_subject *s) { return tangent_by(s, "gauss8", ode_symplectic_defect); }
static double volume_gauss8(cli_subject *s) { return tangent_by(s, "gauss8", ode_volume_defect); }
static double symplectic_rk4(cli_subject *s) { return tangent_by(s, "rk4", ode_symplectic_defect); }
static double volume_rk4(cli_subject *s) { return tangent_by(s, "rk4", ode_volume_defect); }

/* the share of the steps after which the true energy has left 0.1 sd: 0 when it never does */
static double true_energy(cli_subject *s)
{
    double sum = 0, square = 0;
    if (!s->truth)
        return NAN;
    for (int k = 0; k < CLI_STATES; k++) {
        double H = NAN;
        hnn_flow_energy(s->truth, 1, 0, s->z + k * s->n, &H, NULL);
        sum += H, square += H * H;
    }
    double sd = sqrt(fmax(square / CLI_STATES - sum * sum / CLI_STATES / CLI_STATES, 0));
    follow f = {.H = s->truth, .limit = -1, .off = 0.1 * sd};
    ode_solver *solver = ode_new(ode_method_find("gauss4"), s->p.inner);
    ode_options o = {.observer = observe, .user = &f, .every = 1};
    ode_start(solver, 0, s->z);
    ode_run(solver, s->steps, s->h, &o);
    int lost = ode_status(solver) != 0;
    ode_free(solver);
    if (lost && f.limit < 0)
        f.limit = f.steps;
    return f.limit < 0 ? 0 : 1 - (double)f.limit / (double)s->steps;
}

/* Places and kinds of the equilibria in the box; S is that of states spread evenly over it. */
static double landscape(cli_subject *s)
{
    hnn_landscape truth = {0}, learned = {0};
    double f1 = NAN, *scale = calloc(2 * (size_t)s->n, sizeof *scale), *period = scale ? scale + s->n : NULL;
    hnn_error e = {0};
    if (!scale)
        return missing(s, "out of memory");
    for (int i = 0; i < s->n; i++) {
        scale[i] = (s->hi[i] - s->lo[i]) / sqrt(12);
        period[i] = i < s->n / 2 && i < 32 && s->angles >> i & 1 ? 2 * 3.14159265358979323846 : 0;
    }
    const hnn_landscape_options o = {.period = period, .points_only = 1};
    if (!hnn_flow_ode(s->truth)->energy || !hnn_flow_ode(s->p.flow)->energy)
        missing(s, hnn_flow_ode(s->truth)->energy ? "the model has no H, or it is not all of its field"
                                                  : "the true H is not all of the field");
    else if (hnn_landscape_find(hnn_flow_landscape, s->truth, s->n, s->lo, s->hi, &o, &truth, &e) ||
             hnn_landscape_find(hnn_flow_landscape, s->p.flow, s->n, s->lo, s->hi, &o, &learned, &e) ||
             hnn_landscape_score(&truth, &learned, scale, period, &f1, &e))
        missing(s, e.message);
    else if (!truth.n)
        missing(s, "the true H has no isolated equilibria in the box");
    hnn_landscape_free(&truth), hnn_landscape_free(&learned);
    free(scale);
    return 1 - f1;
}

/* results.json of the run: the medians over its seeds of the field error, fewest and most trajectories */
static int errors_by_size(const cli_subject *s, double error[2])
{
    char path[300], *bytes = NULL;
    size_t n = 0;
    hnn_json *tree = NULL;
    int found = 0;
    snprintf(path, sizeof path, "%s/results.json", s->folder);
    error[0] = error[1] = NAN;
    if (*s->folder && !hnn_file_read(path, &bytes, &n, NULL) && !hnn_json_read(path, bytes, n, &tree, NULL)) {
        const hnn_json *m = hnn_json_member(tree, "models");
        size_t label = strlen(s->name) > 2 ? strlen(s->name) - 2 : 0; /* hnn-1: the first seed of hnn */
        for (m = m ? m->child : NULL; m && !found; m = m->next) {
            const char *name = hnn_json_text_of(m, "name");
            const hnn_json *size = hnn_json_member(m, "sample_efficiency");
            if (!name || strlen(name) != label || strncmp(name, s->name, label) != 0)
                continue;
            for (size = size ? size->child : NULL; size; size = size->next, found++) {
                const hnn_json *v = hnn_json_member(hnn_json_member(size, "field_error"), "median");
                error[found > 0] = v && v->type == HNN_JSON_NUMBER ? v->number : NAN;
            }
        }
    }
    hnn_json_free(tree);
    free(bytes);
    return found;
}

int cli_has_sizes(const cli_subject *s)
{
    double error[2];
    return errors_by_size(s, error) > 1;
}

static double efficiency(cli_subject *s)
{
    double error[2];
    if (errors_by_size(s, error) < 2)
        return missing(s, "its run has no --sizes");
    return error[1] / error[0];
}

const cli_claim cli_claims[CLI_CLAIMS] = {
    {"curl", "the field has a scalar H: J^-1 df/dz is symmetric", "by construction", 1e-12, asymmetry, 0},
    {"divergence", "the field keeps volume: |div f| / |df/dz|", "by construction", 1e-12, divergence, 0},
    {"energy", "its H is kept by discrete gradients (gonzalez)", "by construction", 1e-11, energy_gonzalez,
     0},
    {"symplectic", "a step of Gauss 8 is symplectic: |M'JM - J|", "by construction", 1e-12, symplectic_gauss8,
     0},
    {"volume", "a step of Gauss 8 keeps volume: |det M - 1|", "by construction", 1e-12, volume_gauss8, 0},
    {"true_energy", "the true H stays within 0.1 sd: share of the steps after", "learned", 1e-300,
     true_energy, CLI_TRUTH},
    {"landscape", "equilibria of the true H in the box: 1 - F1 of matches", "learned", 1e-300, landscape,
     CLI_TRUTH},
    {"sample_efficiency", "more trajectories help: error with most over that with fewest", "learned", 1,
     efficiency, CLI_SIZES},
    {"gauss_energy", "H by gauss8 at the same step", "not claimed", 0, energy_gauss, 0},
    {"rk4_energy", "H by rk4 at the same step", "not claimed", 0, energy_rk4, 0},
    {"rk4_symplectic", "|M'JM - J| by rk4", "not claimed", 0, symplectic_rk4, 0},
    {"rk4_volume", "|det M - 1| by rk4", "not claimed", 0, volume_rk4, 0},
};
