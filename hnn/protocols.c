/* protocols.c - named settings of a comparison. Invariant: a protocol fills options and nothing else; whatever it sets can
 * be set by hand. */
/* SPDX-License-Identifier: MIT */
#include "compare.h"

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

/* d-200-200-1, Adam 1e-3 with L2 1e-4 in the gradient, float, all samples in each of 2001 steps; the second half of the
 * trajectories is for test there, here test starts are drawn apart. */
static void fill_small(hnn_compare_options *o, const char *system, long rows, double inner, double outer)
{
    *o = (hnn_compare_options){.system = hnn_system_find(system, NULL),
                               .trajectories = 25,
                               .rows = rows,
                               .span = 3,
                               .noise = 0.1,
                               .radius = {inner, outer},
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
