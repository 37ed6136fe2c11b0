/* test_compare.c - the comparison end to end: the same numbers for one and two threads, matched counts of parameters,
 * reference rows, protocols, what is refused. */
/* SPDX-License-Identifier: MIT */
#include "compare.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int shortly(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

static hnn_compare_options small(void)
{
    hnn_compare_options o;
    hnn_protocol_find("demo", NULL)->fill(&o);
    o.seeds = 2, o.trajectories = 4, o.rows = 10, o.tests = 2, o.test_rows = 10, o.test_span = 2,
    o.validation = 0.25;
    o.budget.drift_steps = o.budget.tangent_steps = 3, o.budget.horizon_steps = 20;
    for (int k = 0; k < o.models; k++) {
        o.model[k].spec.width = k ? 0 : 6;
        o.model[k].train.steps = shortly() ? 3 : 50;
    }
    return o;
}

Test(compare, a_model_of_equal_time_has_the_steps_that_take_as_long)
{
    hnn_compare_options o = small();
    hnn_compare_result r;
    hnn_error e = {0};
    o.models = 3, o.model[2] = o.model[1], o.model[2].equal_time = 2, o.model[2].label = "again",
    o.threads = 2;
    cr_assert_eq(hnn_compare(&o, &r, &e), HNN_OK, "%s", e.message);
    cr_expect_eq(r.rows, 5);
    cr_expect_str_eq(r.row[2].label, "again");
    double first = 0, each = 0; /* of two seeds the median is the mean */
    for (int s = 0; s < 2; s++) {
        first += r.row[0].run[s].training.seconds / 2;
        each += r.row[1].run[s].training.seconds / (double)r.row[1].run[s].training.steps / 2;
    }
    for (int s = 0; s < 2; s++) {
        cr_expect_eq(r.row[2].run[s].training.steps, lround(first / each));
        cr_expect_null(r.row[2].run[s].metric[HNN_FIELD_ERROR].why);
    }
    hnn_compare_free(&r);
}

Test(compare, one_and_two_threads_give_the_same_numbers)
{
    hnn_compare_options o = small();
    hnn_compare_result r[2];
    hnn_error e = {0};
    for (int k = 0; k < 2; k++) {
        o.threads = k + 1;
        cr_assert_eq(hnn_compare(&o, &r[k], &e), HNN_OK, "%s", e.message);
    }
    cr_assert_eq(r[0].rows, 4);
    cr_expect_str_eq(r[0].row[0].label, "hnn");
    cr_expect_str_eq(r[0].row[2].label, "true H");
    cr_expect_str_eq(r[0].row[3].label, "constant");
    cr_expect_eq(r[0].row[0].parameters, 2 * 6 + 6 + 36 + 6 + 6);
    cr_expect_leq(labs(r[0].row[1].parameters - r[0].row[0].parameters), 8);
    for (int k = 0; k < 4; k++)
        for (int s = 0; s < 2; s++)
            for (int id = 0; id < HNN_METRICS; id++) {
                const hnn_metric *a = &r[0].row[k].run[s].metric[id], *b = &r[1].row[k].run[s].metric[id];
                cr_expect_eq(memcmp(&a->value, &b->value, sizeof a->value), 0, "%s %s", r[0].row[k].label,
                             hnn_metric_name(id));
                cr_expect(a->why == b->why && (a->why != NULL) == isnan(a->value));
            }
    const hnn_metric *truth = r[0].row[2].run[0].metric, *still = r[0].row[3].run[0].metric;
    cr_expect_eq(truth[HNN_FIELD_ERROR].value, 0);
    cr_expect_lt(truth[HNN_ROLLOUT_ERROR].value, 1e-8);
    cr_expect_eq(still[HNN_FIELD_ERROR].value, 1);
    cr_expect_str_eq(r[0].row[1].run[0].metric[HNN_ENERGY_DRIFT_MODEL].why, "the model has no H");
    cr_expect_lt(r[0].row[0].run[0].metric[HNN_CURL_DEFECT].value, 1e-14);
    cr_expect_gt(r[0].row[1].run[0].metric[HNN_CURL_DEFECT].value, 1e-3);
    cr_expect_lt(r[0].row[0].run[0].metric[HNN_SYMPLECTIC_DEFECT].value, 1e-13);
    cr_expect_gt(r[0].row[1].run[0].metric[HNN_SYMPLECTIC_DEFECT].value, 1e-6);
    cr_expect_lt(r[0].row[0].run[0].metric[HNN_ENERGY_DRIFT_MODEL].value, 1e-12);
    hnn_compare_free(&r[0]);
    hnn_compare_free(&r[1]);
}

Test(compare, an_interrupt_ends_it_with_what_there_is)
{
    hnn_compare_options o = small();
    volatile sig_atomic_t stop = 1;
    o.interrupt = &stop;
    hnn_compare_result r;
    hnn_error e = {0};
    cr_assert_eq(hnn_compare(&o, &r, &e), HNN_OK, "%s", e.message);
    cr_expect(r.interrupted);
    cr_expect_str_eq(r.row[0].run[0].metric[HNN_FIELD_ERROR].why, "interrupted");
    hnn_compare_free(&r);
}

Test(compare, measured_data_are_split_in_time_and_marked_estimated)
{
    hnn_compare_options o = small();
    hnn_data d;
    hnn_error e = {0};
    cr_assert_eq(hnn_data_new(1, 1, (long[]){60}, 0, &d, &e), HNN_OK);
    for (int i = 0; i < 60; i++)
        d.t[i] = 0.1 * i, d.z[2 * i] = cos(0.1 * i), d.z[2 * i + 1] = -sin(0.1 * i);
    o.system = NULL, o.data = &d, o.seeds = 1;
    for (int forward = shortly(); forward < 2; forward++) {
        hnn_compare_result r;
        o.forward_differences = forward;
        cr_assert_eq(hnn_compare(&o, &r, &e), HNN_OK, "%s", e.message);
        cr_assert_eq(r.rows, 3); /* no true H */
        cr_expect(r.row[0].run[0].metric[HNN_FIELD_ERROR].estimated);
        cr_expect_str_eq(r.row[0].run[0].metric[HNN_ENERGY_MSE_TRUE].why, "no true H");
        cr_expect_gt(r.test[0].t[0], r.train[0].t[r.train[0].n - 1]);
        hnn_compare_free(&r);
    }
    hnn_data_free(&d);
}

Test(compare, protocols_are_complete_and_wrong_options_are_refused)
{
    for (int i = 0; i < hnn_protocol_count(); i += shortly() ? 5 : 1) {
        hnn_compare_options o;
        hnn_protocol_at(i)->fill(&o);
        cr_expect((o.system || o.energy_text) && o.models >= 1 && o.seeds >= 3, "%s",
                  hnn_protocol_at(i)->name);
        o.seeds = 1, o.trajectories = o.tests = 2, o.rows = o.test_rows = 4, o.span = o.test_span = 0.3;
        o.budget.drift_steps = o.budget.tangent_steps = o.budget.horizon_steps = 1;
        for (int k = 0; k < o.models; k++)
            o.model[k].spec.width = 3, o.model[k].train.steps = 2;
        hnn_data d = {0};
        if (!o.system) {
            cr_assert_eq(hnn_data_new(1, 1, (long[]){30}, 0, &d, NULL), HNN_OK);
            for (int k = 0; k < 30; k++)
                d.t[k] = 0.1 * k, d.z[2 * k] = cos(0.1 * k), d.z[2 * k + 1] = -sin(0.1 * k);
            o.data = &d;
        }
        hnn_compare_result once;
        hnn_error why = {0};
        cr_assert_eq(hnn_compare(&o, &once, &why), HNN_OK, "%s: %s", hnn_protocol_at(i)->name, why.message);
        cr_expect_null(once.row[0].run[0].metric[HNN_ENERGY_MSE_TRUE].why);
        hnn_compare_free(&once);
        hnn_data_free(&d);
    }
    hnn_error e = {0};
    cr_expect_null(hnn_protocol_find("nothing", &e));
    cr_expect(strstr(e.message, "greydanus-spring"), "%s", e.message);
    hnn_compare_result r;
    hnn_compare_options o = small();
    o.models = 0;
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_EARG);
    o = small(), o.model[0].equal_time = 1;
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "stand before"), "%s", e.message);
    o = small(), o.system = NULL;
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_EARG);
    o = small(), o.system = hnn_system_find("henon-heiles", NULL);
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "radii"), "%s", e.message);
    hnn_protocol_find("greydanus-two-body", NULL)->fill(&o);
    o.system = hnn_system_find("pendulum", NULL); /* as by --protocol greydanus-two-body pendulum */
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_ESHAPE);
    cr_expect(strstr(e.message, "for 4 degrees of freedom"), "%s", e.message);
    o = small(), o.model[1].spec.model = "nod";
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_EARG);
    o = small(), o.model[1].loss.loss = "gonzalez";
    cr_expect_eq(hnn_compare(&o, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "has no H"), "%s", e.message);
}
