/* test_json.c - JSON as a tree: values, names, what is refused, every failed allocation. */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"
#include "io/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int reads(const char *s, hnn_json **j, hnn_error *e)
{
    return hnn_json_read("x.json", s, strlen(s), j, e);
}

Test(json, a_document_becomes_a_tree)
{
    hnn_json *j;
    hnn_error e = {0};
    const char *s =
        " {\"a\": [1, -2.5e3, null, true, false], \"b\": {\"c\": \"x\\u00e9\\n\\ud83d\\ude00\"}, \"d\": {}, "
        "\"e\": [], \"f\": 0.1}\n";
    cr_assert_eq(reads(s, &j, &e), HNN_OK, "%s", e.message);
    const hnn_json *a = hnn_json_member(j, "a");
    const int types[] = {HNN_JSON_NUMBER, HNN_JSON_NUMBER, HNN_JSON_NULL, HNN_JSON_TRUE, HNN_JSON_FALSE};
    cr_assert(a && a->type == HNN_JSON_ARRAY);
    const hnn_json *v = a->child;
    for (int i = 0; i < 5; i++, v = v->next)
        cr_assert(v && v->type == types[i], "element %d", i);
    cr_expect_null(v);
    cr_expect_eq(a->child->number, 1);
    cr_expect_eq(a->child->next->number, -2500);
    cr_expect_str_eq(hnn_json_text_of(hnn_json_member(j, "b"), "c"), "x\xc3\xa9\n\xf0\x9f\x98\x80");
    cr_expect_eq(hnn_json_number_of(j, "f", 7), 0.1);
    cr_expect_eq(hnn_json_number_of(j, "a", 7), 7);
    cr_expect_eq(hnn_json_number_of(NULL, "f", 7), 7);
    cr_expect_null(hnn_json_text_of(j, "f"));
    cr_expect_null(hnn_json_member(a, "f"));
    cr_expect_null(hnn_json_member(j, "d")->child);
    hnn_json_free(j);
}

Test(json, what_is_not_json_is_refused_with_the_byte)
{
    static const char *const bad[] = {
        "",           "{",           "[1,]",
        "{\"a\":1,}", "{\"a\" 1}",   "{a:1}",
        "[1 2]",      "01",          "-",
        "1.",         ".5",          "1e",
        "+1",         "nan",         "Infinity",
        "1e999",      "truee",       "\"a",
        "\"\\x\"",    "[1]]",        "{\"a\":1,\"a\":2}",
        "nul",        "'a'",         "\"\\u0000\"",
        "[",          "\"\\ud800\"", "0x10",
        "1d3",        "{\"a\":}",    "{\"a\":1 \"b\":2}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hnn_json *j;
        hnn_error e = {0};
        cr_expect_eq(reads(bad[i], &j, &e), HNN_EFORMAT, "%s", bad[i]);
        cr_expect_null(j);
        cr_expect(strstr(e.message, "x.json: byte"), "%s: %s", bad[i], e.message);
    }
    char deep[200];
    for (int depth = 60; depth < 70; depth++) {
        hnn_json *j;
        memset(deep, '[', (size_t)depth), memset(deep + depth, ']', (size_t)depth);
        deep[2 * depth] = 0;
        cr_expect_eq(reads(deep, &j, NULL), depth <= 64 ? HNN_OK : HNN_EFORMAT, "%d levels", depth);
        hnn_json_free(j);
    }
}

Test(json, every_failed_allocation_is_an_error_without_a_leak)
{
    const char *s = "{\"a\": [1, {\"b\": \"text\"}], \"c\": null}";
    for (long n = 1;; n++) {
        hnn_json *j;
        hnn_error e = {0};
        failalloc_arm(n, 1);
        int code = reads(s, &j, &e);
        if (failalloc_disarm() < n) {
            cr_assert_eq(code, HNN_OK, "%s", e.message);
            cr_expect_gt(n, 6);
            hnn_json_free(j);
            break;
        }
        cr_expect_eq(code, HNN_EMEM, "allocation %ld", n);
        cr_expect_null(j);
        cr_expect_eq(failalloc_live(), 0, "allocation %ld leaks", n);
    }
}
