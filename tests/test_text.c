/* test_text.c - growing strings, numbers in text, and files written completely or not at all. */
/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(text, appends_grow_and_escape)
{
    hnn_text t = {0};
    for (int i = 0; i < 1000; i++)
        hnn_text_printf(&t, "%d,", i % 10);
    cr_assert(t.n == 2000 && strlen(t.s) == 2000 && strncmp(t.s, "0,1,2,", 6) == 0);
    hnn_text_free(&t);
    hnn_text_xml(&t, "a<b>&\"c'\x01");
    cr_assert_str_eq(t.s, "a&lt;b&gt;&amp;&quot;c&#39;");
    hnn_text_free(&t);
    hnn_text_json(&t, "a\"b\\c\n\x01");
    cr_assert_str_eq(t.s, "\"a\\\"b\\\\c\\n\\u0001\"");
    cr_assert(hnn_text_status(&t, NULL) == HNN_OK);
    hnn_text_free(&t);
}

Test(text, a_failed_text_stays_failed_and_says_so)
{
    hnn_text t = {0};
    hnn_error e = {0};
    hnn_text_add(&t, "abc");
    hnn_text_bytes(&t, "", SIZE_MAX - 10); /* refused by the overflow check, nothing is read */
    hnn_text_add(&t, "def");
    cr_assert(hnn_text_status(&t, &e) == HNN_EMEM && e.code == HNN_EMEM && strlen(e.message) > 0);
    cr_assert_str_eq(t.s, "abc");
    hnn_text_free(&t);
}

Test(text, short_numbers_have_no_trailing_zeros_and_no_minus_zero)
{
    static const struct {
        double x;
        int digits;
        const char *s;
    } row[] = {{1.5, 2, "1.5"},     {2, 2, "2"},        {-0.001, 2, "0"}, {100, 0, "100"},
               {0.125, 3, "0.125"}, {-3.10, 2, "-3.1"}, {1e3, 3, "1000"}, {INFINITY, 2, "inf"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        hnn_text t = {0};
        hnn_text_short(&t, row[i].x, row[i].digits);
        cr_assert_str_eq(t.s, row[i].s);
        hnn_text_free(&t);
    }
}

Test(text, numbers_are_found_with_their_length)
{
    static const struct {
        const char *s;
        char decimal;
        size_t n;
        double x;
    } row[] = {{"1", '.', 1, 1},         {"-1.5e3x", '.', 6, -1500},  {"+.5", '.', 3, 0.5},
               {"1.0D+02", '.', 7, 100}, {"2d", '.', 1, 2},           {"1,5", ',', 3, 1.5},
               {"1,5", '.', 1, 1},       {"abc", '.', 0, 0},          {".", '.', 0, 0},
               {"-", '.', 0, 0},         {"e5", '.', 0, 0},           {"1e", '.', 1, 1},
               {"", '.', 0, 0},          {"3.2e+001", '.', 8, 32},    {"0x10", '.', 1, 0},
               {"1..2", '.', 2, 1},      {"1e400", '.', 5, INFINITY}, {"5e-324", '.', 6, 5e-324}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double x = 0;
        size_t n = hnn_number(row[i].s, strlen(row[i].s), row[i].decimal, &x);
        cr_assert(n == row[i].n && x == row[i].x, "%s: %zu characters, %g", row[i].s, n, x);
    }
}

Test(text, numbers_are_written_so_that_they_read_back_to_the_same_bits)
{
    static const double x[] = {0.1, 1 / 3.0, 1e300, 5e-324, -0.0, 123456789012345678.0};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        hnn_text t = {0};
        double y = 0;
        hnn_text_number(&t, x[i]);
        cr_assert(hnn_number(t.s, t.n, '.', &y) == t.n && memcmp(&x[i], &y, sizeof y) == 0);
        hnn_text_free(&t);
    }
}

Test(text, crc32_of_the_check_string_is_the_published_one)
{
    cr_assert(hnn_crc32(0, "123456789", 9) == 0xcbf43926u); /* the check value of CRC-32/ISO-HDLC */
    cr_assert(hnn_crc32(hnn_crc32(0, "1234", 4), "56789", 5) == 0xcbf43926u);
}

static void temp_folder(char *path)
{
    strcpy(path, "/tmp/noether-test-XXXXXX");
    cr_assert(mkdtemp(path) != NULL);
}

Test(atomic, what_is_written_is_read_back_and_no_temporary_file_stays)
{
    char dir[64], path[96], command[128];
    hnn_error e = {0};
    temp_folder(dir);
    snprintf(path, sizeof path, "%s/file", dir);
    for (size_t n = 0; n < 200000; n = n * 7 + 1) {
        char *bytes = malloc(n + 1), *back;
        size_t m;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(i * 31 + n);
        cr_assert(hnn_file_write(path, bytes, n, &e) == HNN_OK, "%s", e.message);
        cr_assert(hnn_file_read(path, &back, &m, &e) == HNN_OK && m == n && memcmp(back, bytes, n) == 0);
        free(back);
        cr_assert(hnn_sealed_write(path, bytes, n, &e) == HNN_OK, "%s", e.message);
        cr_assert(hnn_sealed_read(path, &back, &m, &e) == HNN_OK && m == n && memcmp(back, bytes, n) == 0);
        free(back), free(bytes);
    }
    snprintf(command, sizeof command, "test $(ls %s | wc -l) = 1", dir);
    cr_assert(system(command) == 0);
    unlink(path), rmdir(dir);
}

Test(atomic, every_flipped_bit_and_every_truncation_is_noticed)
{
    char dir[64], path[96], *back;
    hnn_error e = {0};
    size_t n, m;
    temp_folder(dir);
    snprintf(path, sizeof path, "%s/file", dir);
    cr_assert(hnn_sealed_write(path, "weights", 7, &e) == HNN_OK);
    char *whole;
    cr_assert(hnn_file_read(path, &whole, &n, &e) == HNN_OK && n == 31);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        whole[bit / 8] ^= (char)(1 << bit % 8);
        cr_assert(hnn_file_write(path, whole, n, &e) == HNN_OK);
        cr_assert(hnn_sealed_read(path, &back, &m, &e) == HNN_ECHECKSUM && !back, "bit %zu", bit);
        whole[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t k = 0; k < n; k++) {
        cr_assert(hnn_file_write(path, whole, k, &e) == HNN_OK);
        cr_assert(hnn_sealed_read(path, &back, &m, &e) == HNN_ECHECKSUM && !back, "length %zu", k);
    }
    free(whole);
    unlink(path), rmdir(dir);
}

Test(atomic, a_refused_write_leaves_the_old_file_and_names_the_path)
{
    char dir[64], path[96], *back;
    size_t n;
    hnn_error e = {0};
    temp_folder(dir);
    snprintf(path, sizeof path, "%s/none/file", dir);
    cr_assert(hnn_file_write(path, "x", 1, &e) == HNN_EIO && strstr(e.message, path));
    cr_assert(hnn_file_read(path, &back, &n, &e) == HNN_EIO && !back && strstr(e.message, path));
    cr_assert(hnn_file_read(dir, &back, &n, &e) == HNN_EIO && !back);
    cr_assert(hnn_file_write(dir, "x", 1, &e) == HNN_EIO); /* a file cannot replace a folder */
    struct stat st;
    snprintf(path, sizeof path, "%s/file", dir);
    cr_assert(hnn_file_write(path, "x", 1, &e) == HNN_OK && chmod(path, 0640) == 0);
    cr_assert(hnn_file_write(path, "y", 1, &e) == HNN_OK && stat(path, &st) == 0);
    cr_assert((st.st_mode & 0777) == 0640);
    unlink(path), rmdir(dir);
}
