/* cmd_list.c - noether list: what there is, read from the tables themselves. */
/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include "compare.h"
#include "loss.h"
#include "model.h"
#include "systems.h"

#include <ad.h>
#include <ode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cells of a table, grown row by row; what does not fit into memory is reported at the end */
typedef struct cells {
    char **s;
    int n, room, failed;
} cells;

static void cell(cells *t, const char *s)
{
    if (t->n == t->room) {
        int room = t->room ? 2 * t->room : 64;
        char **more = realloc(t->s, sizeof *more * (size_t)room);
        if (!more) {
            t->failed = 1;
            return;
        }
        t->s = more, t->room = room;
    }
    t->s[t->n] = strdup(s ? s : "");
    t->failed |= !t->s[t->n];
    t->n += t->s[t->n] != NULL;
}

static int show(cli *c, cells *t, int columns)
{
    int failed = t->failed || t->n % columns;
    if (!failed)
        cli_table(&c->out, columns, t->n / columns, (const char *const *)t->s);
    for (int i = 0; i < t->n; i++)
        free(t->s[i]);
    free(t->s);
    return failed ? cli_fail(c, "out of memory") : CLI_OK;
}

static void row(cells *t, int n, const char *const s[])
{
    for (int i = 0; i < n; i++)
        cell(t, s[i]);
}
#define ROW(t, ...)                                                                                          \
    row(t, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

/* ---- systems ---- */

static void system_json(cli_json *j, const hnn_system *s, const char *H)
{
    cli_json_object(j, NULL);
    cli_json_text(j, "name", s->name);
    cli_json_text(j, "title", s->title);
    cli_json_int(j, "degrees_of_freedom", s->dof);
    cli_json_text(j, "H", H);
    cli_json_text(j, "dissipation", s->dissipation);
    cli_json_text(j, "drive", s->drive);
    cli_json_object(j, "parameters");
    for (int k = 0; k < HNN_SYSTEM_PARAMETERS && s->parameter[k].name; k++)
        cli_json_number(j, s->parameter[k].name, s->parameter[k].value);
    cli_json_close(j);
    cli_json_text(j, "source", s->source);
    cli_json_close(j);
}

static void bounds(hnn_text *t, const char *name, int i, int dof, double lo, double hi)
{
    if (dof > 1)
        hnn_text_printf(t, "  %s[%d] %g to %g\n", name, i + 1, lo, hi);
    else
        hnn_text_printf(t, "  %s %g to %g\n", name, lo, hi);
}

static int system_page(cli *c, const hnn_system *s, const char *H)
{
    hnn_text *t = &c->out;
    double lo[HNN_SYSTEM_COORDINATES], hi[HNN_SYSTEM_COORDINATES];
    hnn_text_printf(t, "%s: %s\nH = %s\n", s->name, s->title, H);
    if (s->dissipation)
        hnn_text_printf(t, "dissipation function D = %s, force -dD/dv\n", s->dissipation);
    if (s->drive)
        hnn_text_printf(t, "drive = %s, a force on the first momentum\n", s->drive);
    hnn_text_printf(t, "degrees of freedom: %d", s->dof);
    if (s->min_dof)
        hnn_text_printf(t, ", or any%s from %d on (--dof)", s->space ? " multiple of the space" : "",
                        s->min_dof);
    hnn_text_printf(t, "\nunits: q %s, p %s, t %s\n", s->unit_q ? s->unit_q : "1",
                    s->unit_p ? s->unit_p : "1", s->unit_t ? s->unit_t : "1");
    for (int k = 0; k < HNN_SYSTEM_PARAMETERS && s->parameter[k].name; k++)
        hnn_text_printf(t, "%s  %s = %g%s%s\n", k ? "" : "parameters (--set):\n", s->parameter[k].name,
                        s->parameter[k].value, s->parameter[k].unit ? " " : "",
                        s->parameter[k].unit ? s->parameter[k].unit : "");
    if (s->dof <= HNN_SYSTEM_COORDINATES / 2) {
        if (hnn_system_box(s, 0, NULL, lo, hi, &c->error))
            return cli_error(c);
        hnn_text_add(t, "trajectories start in\n");
        for (int i = 0; i < 2 * s->dof; i++)
            bounds(t, i < s->dof ? "q" : "p", i % s->dof, s->dof, lo[i], hi[i]);
    }
    if (s->energy[0] != s->energy[1])
        hnn_text_printf(t, "with energies %g to %g\n", s->energy[0], s->energy[1]);
    hnn_text_printf(t, "length of a trajectory %g, sampled every %.4g\nsource: %s\n", s->span, s->step,
                    s->source);
    return CLI_OK;
}

static int list_systems(cli *c, const char *name)
{
    cells t = {0};
    if (name && !hnn_system_find(name, NULL)) {
        const char *words[256];
        int n = 0;
        for (; n < hnn_system_count() && n < 256; n++)
            words[n] = hnn_system_at(n)->name;
        const char *near = cli_nearest(name, n, words);
        return cli_usage(
            c, near ? "no system is called '%.60s': did you mean '%s'?" : "no system is called '%.60s'", name,
            near);
    }
    ROW(&t, "system", "degrees of freedom", "H");
    cli_json_array(&c->json, "systems");
    int status = CLI_OK;
    for (int i = 0; i < hnn_system_count() && status == CLI_OK; i++) {
        const hnn_system *s = hnn_system_at(i);
        if (name && strcmp(name, s->name))
            continue;
        hnn_text H = {0};
        char dof[32], shown[72];
        if (hnn_system_hamiltonian(s, 0, &H, &c->error)) {
            status = cli_error(c);
            hnn_text_free(&H);
            break;
        }
        if (name)
            status = system_page(c, s, H.s);
        snprintf(dof, sizeof dof, "%d%s", s->dof, s->min_dof ? "+" : "");
        snprintf(shown, sizeof shown, "%.60s%s", H.s, strlen(H.s) > 60 ? " ..." : "");
        ROW(&t, s->name, dof, shown);
        system_json(&c->json, s, H.s);
        hnn_text_free(&H);
    }
    cli_json_close(&c->json);
    if (!name)
        return show(c, &t, 3);
    hnn_text keep = c->out; /* the page stands in place of the table */
    c->out = (hnn_text){0};
    int shown = show(c, &t, 3);
    hnn_text_free(&c->out);
    c->out = keep;
    return status == CLI_OK ? shown : status;
}

/* ---- methods ---- */

static int list_methods(cli *c, const char *name)
{
    static const struct {
        unsigned flag;
        const char *text;
    } keeps[] = {{ODE_SYMPLECTIC, "volume"}, {ODE_EXACT_ENERGY, "energy"}},
      needs[] = {{ODE_SEPARABLE, "separable H"}, {ODE_ENERGY, "energy"}, {ODE_CANONICAL, "canonical field"}};
    cells t = {0};
    ROW(&t, "method", "order", "stages", "adaptive", "keeps", "needs", "source");
    cli_json_array(&c->json, "methods");
    int any = 0;
    for (int i = 0; i < ode_method_count(); i++) {
        const ode_method *m = ode_method_at(i);
        if (name && strcmp(name, m->name))
            continue;
        any = 1;
        char order[24], stages[24], kept[64] = "", needed[96] = "";
        snprintf(order, sizeof order, m->order == m->order_general ? "%d" : "%d (%d)", m->order,
                 m->order_general);
        snprintf(stages, sizeof stages, "%d", m->stages);
        for (size_t k = 0; k < sizeof keeps / sizeof *keeps; k++)
            if (m->flags & keeps[k].flag)
                snprintf(kept + strlen(kept), sizeof kept - strlen(kept), "%s%s", *kept ? ", " : "",
                         keeps[k].text);
        for (size_t k = 0; k < sizeof needs / sizeof *needs; k++)
            if ((m->needs & needs[k].flag) && !(k == 2 && *needed)) /* separable or energy imply canonical */
                snprintf(needed + strlen(needed), sizeof needed - strlen(needed), "%s%s", *needed ? ", " : "",
                         needs[k].text);
        ROW(&t, m->name, order, stages, m->flags & ODE_ADAPTIVE ? "yes" : "", kept, needed, m->source);
        cli_json_object(&c->json, NULL);
        cli_json_text(&c->json, "name", m->name);
        cli_json_int(&c->json, "order", m->order);
        cli_json_int(&c->json, "order_general", m->order_general);
        cli_json_int(&c->json, "stages", m->stages);
        cli_json_bool(&c->json, "adaptive", (m->flags & ODE_ADAPTIVE) != 0);
        cli_json_bool(&c->json, "symplectic", (m->flags & ODE_SYMPLECTIC) != 0);
        cli_json_bool(&c->json, "symmetric", (m->flags & ODE_SYMMETRIC) != 0);
        cli_json_bool(&c->json, "exact_energy", (m->flags & ODE_EXACT_ENERGY) != 0);
        cli_json_bool(&c->json, "needs_separable", (m->needs & ODE_SEPARABLE) != 0);
        cli_json_text(&c->json, "source", m->source);
        cli_json_close(&c->json);
    }
    cli_json_close(&c->json);
    int status = show(c, &t, 7);
    return any ? status
               : cli_usage(c, "no method is called '%.60s'; 'noether list methods' names them", name);
}

/* ---- operations ---- */

static int list_operations(cli *c, const char *name)
{
    cells t = {0};
    ROW(&t, "operation", "operands", "kind", "in expressions");
    cli_json_array(&c->json, "operations");
    int any = 0;
    for (int i = 0; i < ad_op_count(); i++) {
        ad_op_info op;
        char arity[16];
        if (ad_op_at(i, &op) || (name && strcmp(name, op.name)))
            continue;
        any = 1;
        snprintf(arity, sizeof arity, op.arity < 0 ? "any" : "%d", op.arity);
        ROW(&t, op.name, arity, op.kind, op.parsed ? "yes" : "");
        cli_json_object(&c->json, NULL);
        cli_json_text(&c->json, "name", op.name);
        cli_json_int(&c->json, "operands", op.arity);
        cli_json_text(&c->json, "kind", op.kind);
        cli_json_bool(&c->json, "in_expressions", op.parsed);
        cli_json_close(&c->json);
    }
    cli_json_close(&c->json);
    int status = show(c, &t, 4);
    return any ? status
               : cli_usage(c, "no operation is called '%.60s'; 'noether list operations' names them", name);
}

/* ---- models, losses, protocols: a name, a title and what else there is ---- */

static int list_titles(cli *c, const char *what, const char *name, int count,
                       void (*at)(int i, const char *s[4]), const char *const heading[4])
{
    cells t = {0};
    int any = 0;
    row(&t, 4, heading);
    cli_json_array(&c->json, what);
    for (int i = 0; i < count; i++) {
        const char *s[4];
        at(i, s);
        if (name && strcmp(name, s[0]))
            continue;
        any = 1;
        row(&t, 4, s);
        cli_json_object(&c->json, NULL);
        for (int k = 0; k < 4; k++)
            cli_json_text(&c->json, heading[k], s[k]);
        cli_json_close(&c->json);
    }
    cli_json_close(&c->json);
    int status = show(c, &t, 4);
    return any ? status
               : cli_usage(c, "none of the %s is called '%.60s'; 'noether list %s' names them", what, name,
                           what);
}

static void model_at(int i, const char *s[4])
{
    const hnn_model_row *m = hnn_model_at(i);
    s[0] = m->name, s[1] = m->learns, s[2] = m->loss, s[3] = m->source;
}
static int list_models(cli *c, const char *name)
{
    return list_titles(c, "models", name, hnn_model_count(), model_at,
                       (const char *const[]){"model", "learns", "loss", "source"});
}

static void loss_at(int i, const char *s[4])
{
    const hnn_loss_row *l = hnn_loss_at(i);
    s[0] = l->name, s[1] = l->title, s[2] = l->derivatives ? "derivatives" : "states", s[3] = l->source;
}
static int list_losses(cli *c, const char *name)
{
    return list_titles(c, "losses", name, hnn_loss_count(), loss_at,
                       (const char *const[]){"loss", "what it is", "needs", "source"});
}

static void protocol_at(int i, const char *s[4])
{
    const hnn_protocol *p = hnn_protocol_at(i);
    s[0] = p->name, s[1] = p->title, s[2] = p->source ? "published" : "", s[3] = p->source;
}
static int list_protocols(cli *c, const char *name)
{
    return list_titles(c, "protocols", name, hnn_protocol_count(), protocol_at,
                       (const char *const[]){"protocol", "what it is", "by", "source"});
}

static const struct {
    const char *name;
    int (*list)(cli *c, const char *name);
} lists[] = {{"systems", list_systems}, {"methods", list_methods},     {"models", list_models},
             {"losses", list_losses},   {"protocols", list_protocols}, {"operations", list_operations}};
enum { LISTS = sizeof lists / sizeof *lists };

static int run(cli *c)
{
    const char *words[LISTS];
    for (int i = 0; i < LISTS; i++)
        words[i] = lists[i].name;
    for (int i = 0; i < LISTS; i++)
        if (c->argc && !strcmp(c->argv[0], words[i]))
            return lists[i].list(c, c->argc > 1 ? c->argv[1] : NULL);
    if (c->argc) {
        const char *near = cli_nearest(c->argv[0], LISTS, words);
        return cli_usage(c,
                         "'%.60s' is none of systems, methods, models, losses, protocols, operations%s%s%s",
                         c->argv[0], near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    for (int i = 0; i < LISTS; i++) {
        hnn_text_add(&c->out, i ? "\n" : "");
        int status = lists[i].list(c, NULL);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

static const cli_option *const groups[] = {cli_common, NULL};
const cli_command cli_cmd_list = {.name = "list",
                                  .args = "[systems|methods|models|losses|protocols|operations [NAME]]",
                                  .summary = "what there is: systems, integrators, models, losses, ...",
                                  .groups = groups,
                                  .max_args = 2,
                                  .run = run};
