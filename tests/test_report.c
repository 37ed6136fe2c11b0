/* test_report.c - the page of a comparison: what it shows, the same bytes each time, every kind of failed allocation without a leak. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "report.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int shortly(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

static void compared(const char *system, int seeds, hnn_compare_result *r)
{
    hnn_error e = {0};
    hnn_compare_options o = {.system = hnn_system_find(system, NULL),
                             .trajectories = 3,
                             .rows = 8,
                             .tests = 2,
                             .test_rows = 8,
                             .seeds = seeds,
                             .models = 2,
                             .budget.skip = ~(1u << HNN_FIELD_ERROR)};
    static const char *const names[] = {"hnn", "node"};
    for (int k = 0; k < 2; k++)
        o.model[k] = (hnn_compare_model){
            .spec = {.model = names[k], .width = 4}, .train = {.steps = 4, .check_every = 2}, .scaled = 1};
    cr_assert_eq(hnn_compare(&o, r, &e), HNN_OK, "%s", e.message);
    cr_assert_eq(hnn_compare_sizes(&o, 2, (const int[]){2, 3}, r, &e), HNN_OK, "%s", e.message);
    cr_expect_eq(r->sizes, 2);
    cr_expect_eq(r->size[1].trajectories, 3);
    cr_expect_eq(r->size[0].summary[1][0].n, seeds);
}

static char *page(const char *folder, size_t *n)
{
    char path[300], *bytes = NULL;
    hnn_error e = {0};
    snprintf(path, sizeof path, "%s/report.html", folder);
    cr_assert_eq(hnn_file_read(path, &bytes, n, &e), HNN_OK, "%s", e.message);
    return bytes;
}

static void folder_made(char name[64])
{
    strcpy(name, "/tmp/noether-report-XXXXXX");
    cr_assert(mkdtemp(name));
}

static void folder_gone(const char *name)
{
    DIR *d = opendir(name);
    char path[400];
    for (struct dirent *f; d && (f = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", name, f->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(name);
}

Test(report, a_page_shows_what_belongs_to_its_system_and_is_the_same_each_time)
{
    static const struct {
        const char *system;
        int seeds;
        const char *has[10], *hasnt[4];
    } cases[] = {
        {"spring-mk",
         2,
         {"Phase portrait", "true minimum", "q (m)", "p (kg m/s)", "time (s)", "Units: q in m",
          "Spread over the seeds", "number of training trajectories", "noether test", "held-out states"},
         {"Poincar", "<h2>Orbits", "<script", "landscape, F1"}},
        {"henon-heiles",
         1,
         {"Poincar", "<h2>Orbits", "All quantities are dimensionless", "outside the data", "One seed."},
         {"Phase portrait", "Spread over the seeds", "<script", "http://www.example"}},
        {"two-body", /* no portrait, no section: the quick one */
         1,
         {"<h2>Orbits", "Trajectories", "Energy over time", "outside the data"},
         {"Poincar", "Phase portrait", "<script", "Units: q"}},
    };
    for (size_t k = shortly() ? 2 : 0; k < sizeof cases / sizeof *cases; k++) {
        hnn_compare_result r;
        hnn_error e = {0};
        char folder[64];
        size_t n[2];
        folder_made(folder);
        compared(cases[k].system, cases[k].seeds, &r);
        cr_assert_eq(hnn_compare_page(&r, folder, "noether test", &e), HNN_OK, "%s", e.message);
        char *first = page(folder, &n[0]);
        cr_assert_eq(hnn_compare_page(&r, folder, "noether test", &e), HNN_OK, "%s", e.message);
        char *second = page(folder, &n[1]);
        cr_expect(n[0] == n[1] && !memcmp(first, second, n[0]), "%s", cases[k].system);
        for (int i = 0; i < 10 && cases[k].has[i]; i++)
            cr_expect(strstr(first, cases[k].has[i]), "%s: no '%s'", cases[k].system, cases[k].has[i]);
        for (int i = 0; i < 4 && cases[k].hasnt[i]; i++)
            cr_expect(!strstr(first, cases[k].hasnt[i]), "%s: '%s'", cases[k].system, cases[k].hasnt[i]);
        free(first), free(second);
        hnn_compare_free(&r);
        folder_gone(folder);
    }
}

Test(report, a_failed_allocation_is_an_error_without_a_leak)
{
    const char *const systems[] = {"spring", "henon-heiles"};
    for (int k = 0; k < (shortly() ? 1 : 2); k++) {
        hnn_compare_result r;
        char folder[64];
        folder_made(folder);
        compared(systems[k], 1, &r);
        /* thousands of places: ever wider apart; in a short run those before the pictures are computed */
        for (long n = 1; !shortly() || n < 200; n += shortly() ? 40 : 1 + n / 6) {
            hnn_error e = {0};
            failalloc_arm(n, 1);
            int code = hnn_compare_page(&r, folder, NULL, &e);
            if (failalloc_disarm() < n) {
                cr_assert_eq(code, HNN_OK, "%s", e.message);
                cr_expect_gt(n, 500);
                break;
            }
            cr_assert_neq(code, HNN_OK, "%s, allocation %ld", systems[k], n);
            cr_assert_eq(failalloc_live(), 0, "%s, allocation %ld leaks", systems[k], n);
        }
        hnn_compare_free(&r);
        folder_gone(folder);
    }
}

Test(report, sizes_of_measured_data_and_wrong_ones_are_refused)
{
    hnn_compare_options o = {
        .system = hnn_system_find("spring", NULL), .models = 1, .model[0].spec = {.model = "hnn"}};
    hnn_compare_result r = {0};
    hnn_error e = {0};
    hnn_data d = {0};
    cr_expect_eq(hnn_compare_sizes(&o, HNN_COMPARE_SIZES + 1, NULL, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "at most 16"), "%s", e.message);
    cr_expect_eq(hnn_compare_sizes(&o, 1, (const int[]){0}, &r, &e), HNN_EARG);
    o.data = &d;
    cr_expect_eq(hnn_compare_sizes(&o, 1, (const int[]){5}, &r, &e), HNN_EARG);
    cr_expect(strstr(e.message, "measured"), "%s", e.message);
    cr_expect_eq(hnn_compare_sizes(&o, 0, NULL, &r, &e), HNN_OK);
    cr_expect_eq(hnn_compare_page(&r, "/tmp", NULL, &e), HNN_EARG);
}
