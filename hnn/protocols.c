/* protocols.c - named settings of a comparison. Invariant: a protocol fills options and nothing else; whatever it sets can
 * be set by hand. */
/* SPDX-License-Identifier: MIT */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void two_models(hnn_compare_options *o, hnn_train_options t)
{
    o->models = 2;
    o->model[0] = (hnn_compare_model){.spec = {.model = "hnn"}, .train = t};
    o->model[1] = (hnn_compare_model){.spec = {.model = "node"}, .train = t};
}

static void fill_demo(hnn_compare_options *o)
{
    *o = (hnn_compare_options){
        .system = hnn_system_find("pendulum", NULL),
        .trajectories = 25,
        .rows = 45,
        .span = 3,
        .radius = {1.3, 2.3},
        .tests = 15,
        .test_rows = 100,
        .test_span = 20,
        .seeds = 3,
        .match = 1,
        .threads = 2,
        .budget = {.drift_steps = 1000, .tangent_steps = 200, .horizon_steps = 5000, .starts = 15}};
    two_models(o, (hnn_train_options){
                      .steps = 2000, .rate = 3e-3, .schedule = HNN_COSINE, .batch = 256, .real = AD_F32});
    for (int k = 0; k < o->models; k++)
        o->model[k].spec.width = k ? 0 : 64, o->model[k].scaled = 1;
}

/* The evaluation of the original code's notebooks of the spring and of the pendulum: q and p each +-U(.2, 1), not the circles that
 * train. For the spring most of these lie outside the training radii, for the pendulum inside of them. */
static int start_in_square(hnn_rng *r, int dof, double z[])
{
    if (dof != 1)
        return 1;
    for (int k = 0; k < 2; k++) {
        double x = hnn_rng_between(r, -0.8, 0.8);
        z[k] = x + (x < 0 ? -0.2 : 0.2);
    }
    return 0;
}

/* d-200-200-1, Adam 1e-3 with L2 1e-4 in the gradient, float, all samples in each of 2001 steps; the second half of the
 * trajectories is for the test loss there and not drawn here. */
static void fill_small(hnn_compare_options *o, const char *system, long rows, double inner, double outer)
{
    *o = (hnn_compare_options){.system = hnn_system_find(system, NULL),
                               .trajectories = 25,
                               .rows = rows,
                               .span = 3,
                               .noise = 0.1,
                               .radius = {inner, outer},
                               .test_start = start_in_square,
                               .tests = 15,
                               .test_rows = 100,
                               .test_span = 20,
                               .seeds = 10};
    two_models(o, (hnn_train_options){.steps = 2001, .rate = 1e-3, .l2 = 1e-4, .real = AD_F32});
    for (int k = 0; k < o->models; k++)
        o->model[k].spec.width = 200;
}

static void fill_spring(hnn_compare_options *o) { fill_small(o, "spring", 30, 0.1, 1); }
static void fill_pendulum(hnn_compare_options *o) { fill_small(o, "pendulum", 45, 1.3, 2.3); }

/* Two unit masses about their common centre: the position of one has components U(.5, 1.5), its velocity makes the orbit
 * circular (v = 1/(2 sqrt r) across) up to one factor 1 + .05 N(0, 1); the other mirrors it. Columns: body by body. */
static int start_two_body(hnn_rng *r, int dof, double z[])
{
    if (dof != 4)
        return 4;
    double x = hnn_rng_between(r, 0.5, 1.5), y = hnn_rng_between(r, 0.5, 1.5), distance = hypot(x, y);
    double factor = (1 + 0.05 * hnn_rng_normal(r)) / (2 * distance * sqrt(distance));
    const double one[4] = {x, y, -y * factor, x * factor};
    for (int k = 0; k < 2; k++) {
        z[k] = one[k], z[2 + k] = -one[k];
        z[4 + k] = one[2 + k], z[6 + k] = -one[2 + k];
    }
    return 0;
}

/* Three unit masses on a circle of radius U(.9, 1.2), 120 degrees apart, with the velocities of uniform rotation, v^2 =
 * 1/(sqrt 3 r), each component times 1 + .2 U(-1, 1). */
static int start_three_body(hnn_rng *r, int dof, double z[])
{
    if (dof != 6)
        return 6;
    double x = hnn_rng_between(r, -1, 1), y = hnn_rng_between(r, -1, 1), length = hypot(x, y);
    double radius = hnn_rng_between(r, 0.9, 1.2), speed = sqrt(1 / (sqrt(3) * radius));
    x = length > 0 ? x / length : 1, y = length > 0 ? y / length : 0;
    const double c = -0.5, s = sqrt(0.75);
    for (int b = 0; b < 3; b++) {
        z[2 * b] = radius * x, z[2 * b + 1] = radius * y;
        z[6 + 2 * b] = -speed * y * (1 + 0.2 * hnn_rng_between(r, -1, 1));
        z[6 + 2 * b + 1] = speed * x * (1 + 0.2 * hnn_rng_between(r, -1, 1));
        double turned = c * x - s * y;
        y = s * x + c * y, x = turned;
    }
    return 0;
}

/* The first 20 % of the points are the test there: 800 of 1000 trajectories train. */
static void fill_two_body(hnn_compare_options *o)
{
    *o = (hnn_compare_options){.system = hnn_system_find("two-body", NULL),
                               .trajectories = 800,
                               .rows = 50,
                               .span = 20,
                               .start = start_two_body,
                               .tests = 15,
                               .test_rows = 500,
                               .test_span = 25,
                               .seeds = 10};
    two_models(o, (hnn_train_options){.steps = 10001, .rate = 1e-3, .batch = 200, .real = AD_F32});
    for (int k = 0; k < o->models; k++)
        o->model[k].spec.width = 200;
}

static void fill_three_body(hnn_compare_options *o)
{
    fill_two_body(o);
    o->system = hnn_system_find("three-body", NULL);
    o->trajectories = 4000, o->rows = 20, o->span = 5, o->start = start_three_body;
    o->test_rows = 61, o->test_span = 3;
    for (int k = 0; k < o->models; k++)
        o->model[k].train.batch = 600, o->model[k].train.l2 = 1e-4;
}

static void fill_real(hnn_compare_options *o)
{
    *o = (hnn_compare_options){
        .forward_differences = 1, .test_share = 0.2, .seeds = 10, .energy_text = "2.4*(1 - cos(q)) + p^2"};
    two_models(o, (hnn_train_options){.steps = 2001, .rate = 1e-3, .l2 = 1e-5, .real = AD_F32});
    o->models = 3;
    o->model[2] = (hnn_compare_model){.spec = {.model = "dissipative"}, .train = o->model[0].train};
    for (int k = 0; k < o->models; k++)
        o->model[k].spec.width = 200;
}

/* The same data and as many samples in a step; what changes is the structure and the schedule. */
static void best(hnn_compare_options *o, const char *model, int width, hnn_train_options t)
{
    t.schedule = HNN_COSINE;
    o->models = 1;
    o->model[0] =
        (hnn_compare_model){.spec = {.model = model, .width = width, .space = o->system->space}, .train = t};
}

/* A text beside the network, even in q: with states from derivatives the noise leaves a shift of all of them, 0.1/sqrt(750) =
 * 0.004 in each coordinate, and what is left at that size is no error of the fit. Only an H that is known to be even is free of it. */
static void even(hnn_compare_options *o, const char *H, int n, const hnn_constant constant[])
{
    o->models = 2;
    o->model[1] = (hnn_compare_model){.label = "even series", .train = {.optimiser = "lm", .steps = 50}};
    o->model[1].spec = (hnn_model_spec){.model = "text", .H = H, .constant = constant, .constants = n};
}

static void fill_best_spring(hnn_compare_options *o)
{
    static const hnn_constant constants[] = {{"m", 1, 1}, {"a", 0, 1}, {"b1", 1, 1}, {"b2", 0, 1}};
    fill_spring(o);
    o->integrate = 1;
    best(o, "separable", 16, (hnn_train_options){.steps = 3000, .rate = 1e-2, .l2 = 1e-4});
    even(o, "p^2/(2*m) + a*p^4 + b1*q^2 + b2*q^4", 4, constants);
}

static void fill_best_pendulum(hnn_compare_options *o)
{
    static const hnn_constant constants[] = {{"m", 1, 1}, {"b1", 1, 1}, {"b2", 0, 1}, {"b3", 0, 1}};
    fill_pendulum(o);
    o->integrate = 1;
    best(o, "mass", 3, (hnn_train_options){.optimiser = "lbfgs", .steps = 300, .l2 = 1e-7});
    o->model[0].spec.layers = 1, o->model[0].spec.angles = 1;
    even(o, "p^2/(2*m) + b1*(1 - cos(q)) + b2*(1 - cos(2*q)) + b3*(1 - cos(3*q))", 4, constants);
}

static void fill_best_two_body(hnn_compare_options *o)
{
    fill_two_body(o);
    best(o, "pairs", 32, (hnn_train_options){.steps = 4000, .rate = 1e-2, .batch = 1000});
}

static void fill_best_three_body(hnn_compare_options *o)
{
    fill_three_body(o);
    best(o, "pairs", 32, (hnn_train_options){.steps = 4000, .rate = 1e-2, .batch = 1000});
}

/* States only: windows of 20 samples need no derivatives, which differences of a recording give badly. Window, width and steps were
 * chosen on the last fifth of the training time (docs/5). */
static void fill_best_real(hnn_compare_options *o)
{
    static const char *const models[] = {"hnn", "node", "dissipative"};
    fill_real(o);
    for (int k = 0; k < o->models; k++)
        o->model[k] = (hnn_compare_model){.spec = {.model = models[k], .width = 32, .angles = 1},
                                          .loss = {.loss = "rollout", .window = 20, .stride = 5},
                                          .train = {.optimiser = "lbfgs", .steps = 200},
                                          .scaled = 1};
}

static const hnn_protocol rows[] = {
#define PROTOCOL(name, title, source, fill) {name, title, source, fill},
#include "protocols.def"
#undef PROTOCOL
};

int hnn_protocol_count(void) { return (int)(sizeof rows / sizeof *rows); }

const hnn_protocol *hnn_protocol_at(int i) { return i >= 0 && i < hnn_protocol_count() ? &rows[i] : NULL; }

const hnn_protocol *hnn_protocol_find(const char *name, hnn_error *e)
{
    char list[300] = "";
    size_t used = 0;
    for (int i = 0; i < hnn_protocol_count(); i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
        int n = snprintf(list + used, sizeof list - used, " %s", rows[i].name);
        used += n > 0 && (size_t)n < sizeof list - used ? (size_t)n : 0;
    }
    hnn_fail(e, HNN_EARG, "no protocol is called '%.40s'; there are%s", name, list);
    return NULL;
}
