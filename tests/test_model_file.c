/* test_model_file.c - models as files: the same bits back for every row, and what is refused. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "failalloc.h"
#include "model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double two[] = {0.5, -1, 2, 3, 0.1, 0.2, 0.3, 1e-3};
static const hnn_constant constants[] = {{"m", 1.5, 1}, {"k", 1.0 / 3, 0}};

static hnn_model_spec spec_of(const hnn_model_row *row)
{
    hnn_model_spec s = {.model = row->name,
                        .dof = 2,
                        .layers = 1,
                        .width = 3,
                        .activation = "sin",
                        .angles = 2,
                        .gain = 0.5,
                        .mean = two,
                        .scale = two + 4,
                        .rate_scale = two + 4,
                        .energy_scale = 2.5,
                        .reference = two};
    if (row->part[0].sees == HNN_SEES_PAIR) /* distances are not angles */
        s.angles = 0, s.space = 1;
    if (row->flags & HNN_MODEL_TEXT)
        s.H = "dot(p, p)/(2*m) + k*dot(q, q)", s.dissipation = "k*dot(v, v)", s.constant = constants,
        s.constants = 2;
    return s;
}

static void temporary(char path[64])
{
    snprintf(path, 64, "/tmp/noether-model-%d.safetensors", (int)getpid());
}

Test(model_file, every_row_comes_back_with_its_bits)
{
    char path[64];
    temporary(path);
    for (int i = 0; i < hnn_model_count(); i++) {
        hnn_model_spec s = spec_of(hnn_model_at(i));
        hnn_model *m, *back;
        hnn_error e = {0};
        cr_assert(!hnn_model_new(&s, 7, &m, &e), "%s: %s", s.model, e.message);
        cr_assert(!hnn_model_save(path, m, HNN_F64, &e), "%s: %s", s.model, e.message);
        cr_assert(!hnn_model_load(path, &back, &e), "%s: %s", s.model, e.message);
        cr_assert(back->row == m->row && back->size == m->size && back->spec.dof == 2);
        cr_assert(!memcmp(back->theta, m->theta, sizeof(double) * (size_t)m->size), "%s", s.model);
        cr_assert(back->spec.width == m->spec.width && back->spec.angles == m->spec.angles);
        cr_assert(back->spec.energy_scale == m->spec.energy_scale && back->spec.gain == m->spec.gain);
        cr_assert((m->spec.mean != NULL) == (back->spec.mean != NULL));
        for (int k = 0; k < 4 && m->spec.mean; k++)
            cr_assert(back->spec.mean[k] == m->spec.mean[k] && back->spec.scale[k] == m->spec.scale[k]);
        cr_assert(back->spec.constants == m->spec.constants);
        for (int k = 0; k < m->spec.constants; k++)
            cr_assert(!strcmp(back->spec.constant[k].name, m->spec.constant[k].name) &&
                      back->spec.constant[k].value == m->spec.constant[k].value &&
                      back->spec.constant[k].fit == m->spec.constant[k].fit);
        hnn_model_free(m);
        hnn_model_free(back);
    }
    unlink(path);
}

/* a model of row hnn as arrays, with one thing wrong */
static int load_with(const char *key, const char *value, const char *drop, int wrong_shape, hnn_error *e)
{
    char path[64];
    hnn_model_spec s = spec_of(hnn_model_find("hnn", NULL));
    hnn_model *m, *back = NULL;
    hnn_arrays a = {0}, b = {0};
    temporary(path);
    cr_assert(!hnn_model_new(&s, 1, &m, e) && !hnn_model_save(path, m, HNN_F64, e));
    cr_assert(!hnn_safetensors_read(path, &a, e));
    for (int i = 0; i < a.metas; i++)
        if (!drop || strcmp(drop, a.key[i]))
            hnn_arrays_note(&b, a.key[i], key && !strcmp(key, a.key[i]) ? value : a.value[i], e);
    for (int i = 0; i < a.n; i++) {
        long shape[2] = {a.a[i].dim[0], a.a[i].dim[1]};
        if (wrong_shape && i == 0)
            shape[0] = a.a[i].size, shape[1] = 1;
        if (!drop || strcmp(drop, a.a[i].name))
            hnn_arrays_add(&b, a.a[i].name, HNN_F64, 2, shape, a.a[i].v, e);
    }
    cr_assert(!hnn_safetensors_write(path, &b, e));
    int code = hnn_model_load(path, &back, e);
    cr_assert(!code || !back);
    hnn_model_free(back);
    hnn_model_free(m);
    hnn_arrays_free(&a);
    hnn_arrays_free(&b);
    unlink(path);
    return code;
}

Test(model_file, what_is_no_model_is_refused_by_name)
{
    static const struct {
        const char *key, *value, *drop, *message;
        int shape, code;
    } cases[] = {
        {"format", "other", NULL, "'format' is 'other'", 0, HNN_EFORMAT},
        {NULL, NULL, "format", "'format' is 'missing'", 0, HNN_EFORMAT},
        {NULL, NULL, "dof", "no model", 0, HNN_EFORMAT},
        {"model", "hmm", NULL, "hmm", 0, HNN_EARG},
        {"dof", "two", NULL, "'dof' is 'two'", 0, HNN_EFORMAT},
        {"dof", "1000000", NULL, "mean", 0, HNN_EFORMAT},
        {"dof", "0", NULL, "mean", 0, HNN_EFORMAT},
        {"dof", "-1", NULL, "'dof' is '-1'", 0, HNN_EFORMAT},
        {"width", "2.5", NULL, "'width' is '2.5'", 0, HNN_EFORMAT},
        {"mean", "1 2 3", NULL, "'mean'", 0, HNN_EFORMAT},
        {"mean", "1 2 3 4 5", NULL, "'mean'", 0, HNN_EFORMAT},
        {"mean", "1 2 inf 4", NULL, "'mean'", 0, HNN_EFORMAT},
        {"coords", "pq", NULL, "'coords' is 'pq'", 0, HNN_EFORMAT},
        {"activation", "nothing", NULL, "nothing", 0, HNN_EARG},
        {NULL, NULL, "H.b1", "tensors", 0, HNN_ESHAPE},
        {NULL, NULL, NULL, "needed", 1, HNN_ESHAPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hnn_error e = {0};
        int code = load_with(cases[i].key, cases[i].value, cases[i].drop, cases[i].shape, &e);
        cr_assert(code == cases[i].code && strstr(e.message, cases[i].message), "case %zu: %d %s", i, code,
                  e.message);
    }
    hnn_error e = {0};
    hnn_model *m;
    cr_assert(hnn_model_load("/nowhere/x.safetensors", &m, &e) == HNN_EIO && !m);
}

Test(model_file, every_allocation_may_fail)
{
    char path[64];
    hnn_model_spec s = spec_of(hnn_model_find("text", NULL));
    hnn_model *m;
    hnn_error e = {0};
    temporary(path);
    cr_assert(!hnn_model_new(&s, 1, &m, &e));
    int failed = 0;
    for (long n = 1;; n++) {
        hnn_model *back = NULL;
        failalloc_arm(n, 1);
        int code = hnn_model_save(path, m, HNN_F64, &e);
        code = code ? code : hnn_model_load(path, &back, &e);
        hnn_model_free(back);
        long asked = failalloc_disarm();
        cr_assert_eq(failalloc_live(), 0, "allocation %ld leaks", n);
        if (asked < n)
            break;
        cr_assert(code, "allocation %ld failed unseen", n);
        failed++;
    }
    cr_assert(failed > 10);
    hnn_model_free(m);
    unlink(path);
}
