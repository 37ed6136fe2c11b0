/* folder.c - a comparison, or a training, read back from its run folder. Invariant: what results.json says is not trusted: sizes
 * are checked against the limits of a comparison before anything is allocated by them. */
/* SPDX-License-Identifier: MIT */
#include "compare_rows.h"
#include "io/json.h"
#include "result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct folder {
    cli *c;
    const char *name;
    hnn_compare_result *r;
    hnn_json *config, *results;
} folder;

static int path_of(const folder *f, const char *file, char path[4096])
{
    int n = snprintf(path, 4096, "%s/%s", f->name, file);
    return n < 0 || n >= 4096 ? hnn_fail(&f->c->error, HNN_EARG, "%.200s: the name is too long", f->name)
                              : HNN_OK;
}

static int document(folder *f, const char *file, hnn_json **out)
{
    char path[4096], *text = NULL;
    size_t n;
    int code = path_of(f, file, path);
    code = code ? code : hnn_file_read(path, &text, &n, &f->c->error);
    code = code ? code : hnn_json_read(path, text, n, out, &f->c->error);
    free(text);
    return code;
}

static int misses(folder *f, const char *what)
{
    return hnn_fail(&f->c->error, HNN_EFORMAT, "%s/results.json: no '%s' that a comparison has", f->name,
                    what);
}

/* a whole number in lo .. hi, or -1 */
static int whole(const hnn_json *j, const char *name, int lo, int hi)
{
    double x = hnn_json_number_of(j, name, -1);
    return x == floor(x) && x >= lo && x <= hi ? (int)x : -1;
}

/* element s of the array `name`; NaN for null and where there is none */
static double element(const hnn_json *j, const char *name, int s)
{
    const hnn_json *v = hnn_json_member(j, name);
    v = v && v->type == HNN_JSON_ARRAY ? v->child : NULL;
    while (v && s-- > 0)
        v = v->next;
    return v && v->type == HNN_JSON_NUMBER ? v->number : NAN;
}

/* Numbers that are not finite are null: those of runs that diverged, and those that a reason explains. */
static void metric(folder *f, const hnn_json *j, int id, hnn_compare_row *row)
{
    const char *reason = hnn_json_text_of(j, "reason");
    double diverged = hnn_json_number_of(j, "diverged_seeds", 0);
    for (int s = 0; s < f->r->seeds; s++) {
        hnn_metric *m = &row->run[s].metric[id];
        m->value = element(j, "values", s);
        m->extra = element(j, id == HNN_LONG_HORIZON ? "censored" : "median_over_starts", s);
        m->estimated = hnn_json_member(j, "estimated") != NULL;
        if (isnan(m->value) && reason && (s == 0 || diverged-- <= 0))
            m->why = reason;
        else if (isnan(m->value))
            m->value = INFINITY;
        if (!m->why && id == HNN_ENERGY_MSE_TRUE && isnan(m->extra))
            m->extra = INFINITY;
    }
}

static void summary(const hnn_json *j, hnn_summary *s)
{
    s->median = hnn_json_number_of(j, "median", INFINITY);
    s->q1 = element(j, "iqr", 0), s->q3 = element(j, "iqr", 1);
    s->n = (int)hnn_json_number_of(j, "seeds", 0),
    s->diverged = (int)hnn_json_number_of(j, "diverged_seeds", 0);
    s->q1 = isnan(s->q1) ? INFINITY : s->q1, s->q3 = isnan(s->q3) ? INFINITY : s->q3;
}

static void sizes(folder *f, const hnn_json *list, int row)
{
    hnn_compare_result *r = f->r;
    int n = 0;
    for (const hnn_json *v = list ? list->child : NULL; v && n < HNN_COMPARE_SIZES; v = v->next, n++) {
        r->size[n].trajectories = whole(v, "trajectories", 1, 1000000);
        for (int a = 0; a < HNN_SIZE_METRICS; a++)
            summary(hnn_json_member(v, hnn_metric_name(hnn_size_metric(a))), &r->size[n].summary[row][a]);
    }
    r->sizes = n > r->sizes ? n : r->sizes;
}

static int weights(folder *f, const hnn_compare_row *row, int seed, hnn_model **out)
{
    char name[96], path[4096];
    snprintf(name, sizeof name, "%.32s-%d.safetensors", row->label, seed + 1);
    if (path_of(f, name, path))
        return HNN_EARG;
    if (access(path, F_OK) && path_of(f, "model.safetensors", path))
        return HNN_EARG;
    if (access(path, F_OK) && f->r->interrupted)
        return HNN_OK; /* it was not trained */
    return hnn_model_load(path, out, &f->c->error);
}

static int one_row(folder *f, const hnn_json *j, int k)
{
    hnn_compare_row *row = &f->r->row[k];
    const char *name = hnn_json_text_of(j, "name"), *reference = hnn_json_text_of(j, "reference");
    row->run = calloc((size_t)f->r->seeds, sizeof *row->run);
    if (!row->run)
        return hnn_fail(&f->c->error, HNN_EMEM, "%s: out of memory", f->name);
    if (!name)
        return misses(f, "name");
    snprintf(row->label, sizeof row->label, "%s", name);
    row->reference = !reference ? 0 : !strcmp(reference, "true H") ? 1 : 2;
    row->parameters = (long)hnn_json_number_of(j, "parameters", 0);
    if (!row->reference && k >= HNN_COMPARE_MODELS)
        return misses(f, "models, at most 8,");
    for (int id = 0; id < HNN_METRICS; id++)
        metric(f, hnn_json_member(j, hnn_metric_name(id)), id, row);
    int code = HNN_OK;
    for (int s = 0; s < f->r->seeds && !code && !row->reference; s++) {
        row->run[s].training.seconds = element(j, "train_seconds_values", s);
        code = weights(f, row, s, &row->run[s].model);
        if (!code && row->run[s].model && row->run[s].model->spec.dof != f->r->dof)
            code = hnn_fail(&f->c->error, HNN_ESHAPE,
                            "%s: degrees of freedom: %d of model %s, %d of the results", f->name,
                            row->run[s].model->spec.dof, row->label, f->r->dof);
    }
    if (!row->reference)
        sizes(f, hnn_json_member(j, "sample_efficiency"), k);
    return code;
}

/* a point of a curve; what a resumed training repeats replaces what the killed one wrote */
static int point(hnn_train_result *t, long step, double loss)
{
    while (t->points && t->curve[t->points - 1].step >= step)
        t->points--;
    if (!(t->points & (t->points - 1))) { /* at every power of two the room doubles */
        hnn_progress *more = realloc(t->curve, sizeof *more * 2 * (size_t)(t->points + 1));
        if (!more)
            return 0;
        t->curve = more;
    }
    t->curve[t->points++] = (hnn_progress){.step = step, .loss = loss};
    return 1;
}

static int curves(folder *f)
{
    char path[4096], *text = NULL;
    size_t n;
    int code = path_of(f, "log.jsonl", path);
    code = code ? code : hnn_file_read(path, &text, &n, &f->c->error);
    for (char *line = text, *end; !code && *line; line = end + (*end != 0)) {
        end = line + strcspn(line, "\n");
        hnn_json *j = NULL;
        if (!*end)
            break; /* the last line of a run that was killed is not whole */
        code = hnn_json_read(path, line, (size_t)(end - line), &j, &f->c->error);
        const char *model = hnn_json_text_of(j, "model");
        int seed = whole(j, "seed", 0, f->r->seeds - 1);
        for (int k = 0; k < f->r->rows && !code && model && seed >= 0; k++)
            if (!strncmp(f->r->row[k].label, model, sizeof f->r->row[k].label - 1) &&
                !f->r->row[k].reference &&
                !point(&f->r->row[k].run[seed].training, (long)hnn_json_number_of(j, "step", 0),
                       hnn_json_number_of(j, "loss", NAN)))
                code = hnn_fail(&f->c->error, HNN_EMEM, "%s: out of memory", path);
        hnn_json_free(j);
    }
    free(text);
    return code;
}

static int known(folder *f, const char *file, hnn_model **out)
{
    char path[4096];
    int code = path_of(f, file, path);
    return code || access(path, F_OK) ? code : hnn_model_load(path, out, &f->c->error);
}

static int data(folder *f, const char *file, hnn_data *out)
{
    char path[4096];
    const char *paths[] = {path};
    int code = path_of(f, file, path);
    code = code ? code : hnn_data_load(1, paths, NULL, out, &f->c->error);
    if (!code && out->dof != f->r->dof)
        code = hnn_fail(&f->c->error, HNN_ESHAPE, "%s: %d degrees of freedom, the results have %d", path,
                        out->dof, f->r->dof);
    return code;
}

static int read_all(folder *f)
{
    hnn_compare_result *r = f->r;
    static const char *const of[] = {"q", "p", "t"};
    int code = document(f, "config.json", &f->config);
    code = code ? code : document(f, "results.json", &f->results);
    if (code)
        return code;
    const hnn_json *models = hnn_json_member(f->results, "models"),
                   *units = hnn_json_member(f->results, "units"),
                   *stopped = hnn_json_member(f->results, "interrupted");
    const char *system = hnn_json_text_of(f->results, "system");
    r->dof = whole(f->results, "degrees_of_freedom", 1, HNN_SYSTEM_MAX_DOF);
    r->angles = (unsigned)hnn_json_number_of(f->results, "angles", 0);
    r->interrupted = stopped && stopped->type == HNN_JSON_TRUE;
    int seeds = whole(f->results, "seeds", 1, HNN_STATS_MAX_SEEDS), rows = 0;
    for (const hnn_json *m = models && models->type == HNN_JSON_ARRAY ? models->child : NULL; m; m = m->next)
        rows++;
    if (!system || r->dof < 0 || seeds < 0 || rows < 1 || rows > HNN_COMPARE_MODELS + 2)
        return misses(f, !system      ? "system"
                         : r->dof < 0 ? "degrees_of_freedom"
                         : seeds < 0  ? "seeds"
                                      : "models");
    snprintf(r->system, sizeof r->system, "%s", system);
    for (int k = 0; k < 3; k++) {
        const char *unit = hnn_json_text_of(units, of[k]);
        snprintf(r->unit[k], sizeof r->unit[k], "%s", unit ? unit : "");
    }
    r->row = calloc((size_t)rows, sizeof *r->row);
    r->train = calloc((size_t)seeds, sizeof *r->train), r->test = calloc((size_t)seeds, sizeof *r->test);
    if (!r->row || !r->train || !r->test)
        return hnn_fail(&f->c->error, HNN_EMEM, "%s: out of memory", f->name);
    r->seeds = seeds, r->rows = rows;
    int k = 0;
    for (const hnn_json *m = models->child; m && !code; m = m->next)
        code = one_row(f, m, k++);
    code = code ? code : curves(f);
    code = code ? code : known(f, "truth.safetensors", &r->truth);
    code = code ? code : known(f, "stated.safetensors", &r->stated);
    code = code ? code : data(f, "train.npz", &r->train[0]);
    code = code ? code : data(f, "test.npz", &r->test[0]);
    double seed = hnn_json_number_of(f->results, "seed", 0);
    return code ? code : hnn_compare_summarise(r, seed >= 0 ? (uint64_t)seed : 0, &f->c->error);
}

int cli_result_read(cli *c, const char *name, hnn_compare_result *r, char **line, hnn_json **texts)
{
    folder f = {.c = c, .name = name, .r = r};
    *r = (hnn_compare_result){0};
    *line = NULL, *texts = NULL;
    int code = read_all(&f);
    if (!code && hnn_json_text_of(f.config, "line") && !(*line = strdup(hnn_json_text_of(f.config, "line"))))
        code = hnn_fail(&c->error, HNN_EMEM, "%s: out of memory", name);
    hnn_json_free(f.config);
    *texts = f.results;
    if (!code)
        return CLI_OK;
    hnn_json_free(f.results);
    hnn_compare_free(r);
    free(*line);
    *texts = NULL, *line = NULL;
    return cli_fail(c, "%s", c->error.message);
}
