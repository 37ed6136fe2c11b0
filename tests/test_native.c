/* test_native.c - programs as machine code: the same bits, a cache that mends itself, replay where nothing compiles. */
/* SPDX-License-Identifier: MIT */
#include "emit_test.h"
#include "failalloc.h"

#include <dirent.h>
#include <sys/stat.h>

static char
    place[128]; /* the cache of a test: a folder with a space and a quote in its name, made by the library */

static void place_new(void)
{
    char top[] = "/tmp/nativeXXXXXX";
    cr_assert(mkdtemp(top));
    snprintf(place, sizeof place, "%s/it's a/cache", top);
}

/* Calls `each` for the files of the cache whose name ends so; their number. */
static int files(const char *end, void (*each)(const char *path))
{
    int n = 0;
    DIR *d = opendir(place);
    for (struct dirent *f = d ? readdir(d) : NULL; f; f = readdir(d)) {
        size_t m = strlen(f->d_name), k = strlen(end);
        char path[512];
        snprintf(path, sizeof path, "%s/%s", place, f->d_name);
        if (f->d_name[0] != '.' && m >= k && !strcmp(f->d_name + m - k, end)) {
            n++;
            if (each)
                each(path);
        }
    }
    if (d)
        closedir(d);
    return n;
}
static void remove_file(const char *path) { unlink(path); }
static void flip_byte(const char *path)
{
    FILE *f = fopen(path, "r+b");
    cr_assert(f && fseek(f, 5000, SEEK_SET) == 0);
    int c = fgetc(f);
    fseek(f, 5000, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}
static void cut_short(const char *path) { cr_assert_eq(truncate(path, 1000), 0); }

static void place_free(void)
{
    files("", remove_file);
    for (int i = 0; i < 3; i++) {
        rmdir(place);
        *strrchr(place, '/') = 0;
    }
}

/* A network's energy, its gradients in state and weights; or a factorisation that may fail. */
static ad_program *program(int real, int factor)
{
    ad_tape *t = ad_new();
    ad_var z = ad_input(t, "z", AD_BATCH, 4), w = ad_input(t, "w", 3, 4), out[4], one = ad_num(1);
    ad_var h = ad_tanh(ad_matmul_nt(z, w)), e = ad_sum_cols(ad_mul(h, ad_sin(h)));
    ad_vjp(1, &e, &one, 1, &z, &out[0]);
    out[1] = e;
    out[2] = ad_grad(ad_mean(ad_square(out[0])), w);
    out[3] = factor ? ad_row_cholesky(z, 2) : ad_exp(z);
    ad_program *p = ad_compile(t, 2, (ad_var[]){z, w}, 4, out, &(ad_options){.real = real});
    cr_assert(p, "%s", ad_message(t));
    ad_free(t);
    return p;
}

enum { ROWS = 9 };

/* Runs both on the same numbers: equal statuses, messages and bits. */
static void same_results(const ad_program *p, const ad_program *q, int real, unsigned seed)
{
    static const int size[] = {4 * ROWS, ROWS, 12, 4 * ROWS};
    union {
        double d[4 * ROWS];
        float s[4 * ROWS];
    } in[2], out[2][4];
    ad_work *w[2] = {ad_work_new(p, NULL), ad_work_new(q, NULL)};
    for (int batch = 1; batch <= ROWS; batch += 4) {
        for (int i = 0; i < 2 * 4 * ROWS; i++) {
            double v = emit_number(&seed, 0);
            if (real == AD_F32)
                in[i & 1].s[i / 2] = (float)v;
            else
                in[i & 1].d[i / 2] = v;
        }
        memset(out, 0, sizeof out);
        int status[2];
        for (int k = 0; k < 2; k++)
            status[k] = ad_run(w[k], batch, (const void *[]){&in[0], &in[1]},
                               (void *[]){&out[k][0], &out[k][1], &out[k][2], &out[k][3]});
        cr_assert_eq(status[0], status[1]);
        cr_assert_str_eq(ad_work_message(w[0]), ad_work_message(w[1]));
        size_t at;
        for (int i = 0; i < 4 && status[0] == AD_OK; i++)
            cr_assert(emit_same(&out[0][i], &out[1][i], (size_t)(size[i] * (i == 2 ? ROWS : batch) / ROWS),
                                real, &at),
                      "real %d, batch %d, output %d differs at %zu", real, batch, i, at);
    }
    ad_work_free(w[0]);
    ad_work_free(w[1]);
}

static int no_compiler(const char *how) { return strstr(how, "no C compiler") != NULL; }

Test(native, a_compiled_program_has_the_bits_of_replay_and_outlives_it)
{
    place_new();
    for (int k = 0; k < 4; k++) {
        ad_program *p = program(k & 1, k >> 1), *again = program(k & 1, k >> 1);
        char *how;
        ad_program *q = ad_native(p, place, &how);
        if (no_compiler(how))
            cr_skip("there is no C compiler");
        cr_assert(!strncmp(how, "native: compiled", 16), "%s", how);
        free(how);
        ad_program_free(p);
        ad_program *r = ad_native(q, place, &how);
        cr_assert(!strncmp(how, "native: loaded from ", 20), "%s", how);
        free(how);
        same_results(again, q, k & 1, (unsigned)k);
        ad_program_free(q);
        same_results(again, r, k & 1, (unsigned)k);
        ad_program_free(r);
        ad_program_free(again);
    }
    cr_assert_eq(files("", NULL), 8);
    place_free();
}

Test(native, a_damaged_entry_of_the_cache_is_built_again)
{
    static void (*const damage[])(const char *) = {flip_byte, cut_short, remove_file};
    ad_program *p = program(AD_F64, 0);
    char *how;
    place_new();
    ad_program_free(ad_native(p, place, &how));
    if (no_compiler(how))
        cr_skip("there is no C compiler");
    free(how);
    for (int k = 0; k < 4; k++) {
        files(k == 3 ? ".sum" : ".so", damage[k < 3 ? k : 2]);
        ad_program *q = ad_native(p, place, &how);
        cr_assert(!strncmp(how, "native: compiled", 16), "%d: %s", k, how);
        free(how);
        same_results(p, q, AD_F64, 1);
        ad_program_free(q);
    }
    cr_assert_eq(files("", NULL), 2); /* no temporary file stays */
    place_free();
    ad_program_free(p);
}

Test(native, without_a_compiler_or_a_cache_a_program_replays_and_says_why)
{
    static const struct {
        const char *cc, *path, *cache, *home, *says;
    } rows[] = {{"/no/such/cc", NULL, NULL, NULL, "no compiler: CC is \"/no/such/cc\""},
                {NULL, "/nowhere", NULL, NULL, "neither CC nor cc, gcc or clang in PATH"},
                {"/bin/false -m64", NULL, NULL, NULL, "failed with status 1"},
                {"/bin/true", NULL, NULL, NULL, "cannot be written"}, /* it leaves no library */
                {"/bin/true", NULL, "/dev/null/x", NULL, "cannot be written"},
                {"/bin/true", NULL, "/tmp", NULL, "can be written by others"},
                {"/bin/true", NULL, "", "", "XDG_CACHE_HOME and HOME are not set"}};
    char *path = strdup(getenv("PATH")), *cc = getenv("CC") ? strdup(getenv("CC")) : NULL, *how;
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL,
         *xdg = getenv("XDG_CACHE_HOME") ? strdup(getenv("XDG_CACHE_HOME")) : NULL;
    ad_program *p = program(AD_F64, 0), *l;
    place_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsetenv("XDG_CACHE_HOME");
        rows[i].cc ? setenv("CC", rows[i].cc, 1) : unsetenv("CC");
        setenv("PATH", rows[i].path ? rows[i].path : path, 1);
        if (rows[i].home)
            setenv("HOME", rows[i].home, 1);
        ad_program *q = ad_native(p, rows[i].cache ? rows[i].cache : place, &how);
        cr_assert(q && !strncmp(how, "replay: ", 8) && strstr(how, rows[i].says), "%zu: %s", i, how);
        free(how);
        same_results(p, q, AD_F64, 2);
        ad_program_free(q);
    }
    cr_assert_eq(files("", NULL), 0);
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = ad_exp(x);
    l = ad_compile(t, 1, &x, 1, &y, &(ad_options){.real = AD_F80});
    ad_program *q = ad_native(l, place, &how);
    cr_assert(q && strstr(how, "long double"), "%s", how);
    free(how);
    ad_program_free(q);
    ad_program_free(l);
    cr_assert_null(ad_native(NULL, place, &how));
    cr_assert_str_eq(how, "ad_native: no program");
    free(how);
    cr_assert_null(ad_native(NULL, place, NULL));
    setenv("PATH", path, 1);
    cc ? setenv("CC", cc, 1) : unsetenv("CC");
    home ? setenv("HOME", home, 1) : unsetenv("HOME");
    xdg ? setenv("XDG_CACHE_HOME", xdg, 1) : unsetenv("XDG_CACHE_HOME");
    free(path);
    free(cc);
    free(home);
    free(xdg);
    ad_free(t);
    ad_program_free(p);
    place_free();
}

Test(native, a_failed_allocation_replays_or_gives_nothing_and_leaks_nothing)
{
    ad_program *p = program(AD_F64, 0);
    char *how;
    place_new();
    ad_program_free(ad_native(p, place, &how)); /* from here on it is in the cache */
    free(how);
    for (long n = 1;; n += getenv("NOETHER_TEST_SHORT") ? 7 : 1) {
        how = NULL;
        failalloc_arm(n, 1);
        ad_program *q = ad_native(p, place, &how);
        ad_program_free(q);
        long asked = failalloc_disarm();
        free(how);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
        if (asked < n)
            break;
    }
    same_results(p, p, AD_F64, 3);
    ad_program_free(p);
    place_free();
}
