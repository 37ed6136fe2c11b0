/* resolved.c - what a comparison or a training uses, as members of config.json: every default and what a protocol says as the
 * value it has. Invariant: the values come from the functions that the run itself calls for them. */
/* SPDX-License-Identifier: MIT */
#include "compare_rows.h"
#include "setup.h"

#include <string.h>

static void data(const hnn_compare_options *o, cli_json *j)
{
    cli_json_object(j, "data");
    if (o->data) {
        cli_json_int(j, "trajectories", o->data->ntraj);
        cli_json_int(j, "rows", o->data->n);
        cli_json_number(j, "test_share", o->test_share);
        cli_json_bool(j, "forward_differences", o->forward_differences);
        cli_json_text(j, "stated_energy", o->energy ? o->energy->spec.H : o->energy_text);
    } else {
        cli_json_int(j, "trajectories", o->trajectories);
        cli_json_int(j, "rows", o->rows);
        cli_json_number(j, "span", o->span);
        cli_json_text(j, "starts", o->start ? "of the protocol" : o->radius[1] > 0 ? "circles" : "box");
        if (!o->start && o->radius[1] > 0)
            cli_json_numbers(j, "radius", 2, o->radius);
        cli_json_number(j, "noise", o->noise);
        cli_json_number(j, "noise_derivatives", o->noise_dz);
        cli_json_bool(j, "states_from_derivatives", o->integrate);
        cli_json_int(j, "tests", o->tests);
        cli_json_int(j, "test_rows", o->test_rows);
        cli_json_number(j, "test_span", o->test_span);
        cli_json_text(j, "test_starts", o->test_start ? "of the protocol" : "as for training");
    }
    cli_json_number(j, "validation", o->validation);
    cli_json_close(j);
}

static void loss(const hnn_compare_model *c, const hnn_model *m, cli_json *j)
{
    hnn_loss_spec s;
    if (hnn_loss_resolve(&c->loss, m, &s, NULL))
        return; /* the run will say why */
    cli_json_text(j, "loss", s.loss);
    if (!strcmp(s.loss, "rollout")) {
        cli_json_int(j, "window", s.window);
        cli_json_text(j, "rollout_method", s.method);
        cli_json_int(j, "substeps", s.substeps);
        cli_json_bool(j, "curriculum", c->curriculum);
    }
    cli_json_int(j, "stride", s.stride);
    if (!strcmp(s.loss, "midpoint"))
        cli_json_int(j, "correction", s.correction);
    cli_json_bool(j, "train_starts", s.starts);
}

static void training(const hnn_compare_model *c, cli_json *j)
{
    static const char *const schedules[] = {"constant", "cosine", "plateau"};
    hnn_train_options t;
    if (hnn_train_resolve(&c->train, &t, NULL))
        return;
    cli_json_text(j, "optimiser", t.optimiser);
    if (!strcmp(t.optimiser, "lsq")) {
        cli_json_text(j, "features", t.sampling);
        cli_json_int(j, "polish", t.polish);
    }
    cli_json_int(j, "steps", strcmp(t.optimiser, "lsq") != 0 ? t.steps : 1);
    cli_json_int(j, "batch", t.batch);
    if (!strcmp(t.optimiser, "adam")) {
        cli_json_number(j, "rate", t.rate);
        cli_json_text(j, "schedule", schedules[t.schedule]);
        if (t.schedule == HNN_COSINE)
            cli_json_number(j, "rate_end", t.rate_end);
        cli_json_int(j, "warmup", t.warmup);
    }
    cli_json_number(j, "l2", t.l2);
    cli_json_int(j, "check_every", t.check_every);
    cli_json_int(j, "stop_after", t.stop_after);
    cli_json_text(j, "real", t.real == AD_F32 ? "float" : "double");
}

/* parameters: of the first model, when counts are matched; 0: not known yet, or not matched */
static long one(const hnn_compare_model *c, int dof, long parameters, cli_json *j)
{
    hnn_compare_model plain = *c; /* scales need data, and change nothing that is told here */
    hnn_model *m = NULL;
    plain.scaled = 0;
    if (hnn_compare_model_new(&plain, dof, NULL, parameters, 0, &m, NULL))
        return 0;
    long size = m->size;
    cli_json_object(j, NULL);
    cli_json_text(j, "label", c->label ? c->label : m->row->name);
    cli_json_text(j, "model", m->row->name);
    cli_json_int(j, "parameters", size);
    if (m->spec.H)
        cli_json_text(j, "H", m->spec.H);
    else {
        cli_json_int(j, "layers", m->spec.layers);
        cli_json_int(j, "width", m->spec.width);
        cli_json_text(j, "activation", m->spec.activation);
        cli_json_int(j, "angles", (long)m->spec.angles);
        cli_json_bool(j, "scaled", c->scaled);
    }
    loss(c, m, j);
    training(c, j);
    cli_json_close(j);
    hnn_model_free(m);
    return size;
}

void cli_resolved(cli_json *j, const void *setup)
{
    const cli_setup *s = setup;
    hnn_compare_options o;
    long first = 0;
    hnn_compare_resolve(&s->o, &o);
    int dof = o.data     ? o.data->dof
              : o.typed  ? o.typed->spec.dof
              : o.dof    ? o.dof
              : o.system ? o.system->dof
                         : 0;
    cli_json_text(j, "system", o.data ? "data" : o.typed ? "typed" : o.system ? o.system->name : NULL);
    cli_json_int(j, "degrees_of_freedom", dof);
    data(&o, j);
    cli_json_int(j, "seed", (long)o.seed);
    if (!s->single) {
        cli_json_int(j, "seeds", o.seeds);
        cli_json_int(j, "threads", o.threads);
        cli_json_bool(j, "matched", o.match);
        cli_json_int(j, "drift_steps", o.budget.drift_steps);
        cli_json_int(j, "tangent_steps", o.budget.tangent_steps);
        cli_json_int(j, "long_steps", o.budget.horizon_steps);
    }
    cli_json_array(j, "models");
    for (int k = 0; k < o.models && dof > 0; k++) {
        long size = one(&o.model[k], dof, o.match && k > 0 ? first : 0, j);
        first = k ? first : size;
    }
    cli_json_close(j);
}
