/* test_emit_all.c - several programs in one emitted file: each has the bits of replay, kernels stand there once, names
 * that could clash are refused. */
/* SPDX-License-Identifier: MIT */
#include "emit_test.h"

enum { EACH = 4 };

/* Programs with tables of constants and of indices, a kernel in each, and a loop of a function that two of them share. */
static void programs(emit_batch *e, int real)
{
    ad_tape *u = ad_new();
    ad_var c[2] = {ad_input(u, "c", 1, 1), ad_input(u, "z", AD_BATCH, 3)};
    ad_var next = ad_add(ad_mul(c[1], ad_const(u, 1, 3, (double[]){.9, .8, .7})), ad_mul(c[0], ad_sin(c[1])));
    ad_func *f = ad_func_new(2, c, 1, &next);
    cr_assert(f, "%s", ad_message(u));
    ad_free(u);
    for (int k = 0; k < EACH; k++) {
        ad_tape *t = ad_new();
        ad_var in[2] = {ad_input(t, "c", 1, 1), ad_input(t, "z", AD_BATCH, 3)}, out[2] = {in[1], in[1]};
        if (k != 1)
            cr_assert_eq(ad_scan(t, &(ad_scan_spec){.f = f,
                                                    .count = 20 + k,
                                                    .nshared = 1,
                                                    .ncarry = 1,
                                                    .shared = in,
                                                    .carry = in + 1,
                                                    .carry_out = out}),
                         AD_OK, "%s", ad_message(t));
        ad_var w = ad_const(t, 1, 3, (double[]){1 + k, 2, 3});
        out[1] = ad_gather_cols(ad_exp(ad_mul(out[0], ad_mul(w, ad_num(-.1)))), 4, (int[]){2, k % 3, 0, 1});
        out[1] = ad_concat_cols(2, (ad_var[]){ad_norm(out[1]), ad_tanh(ad_sum_cols(out[1]))});
        emit_add_one(e, t, 2, in, 2, out,
                     &(ad_options){.real = real, .opt = k & 2 ? AD_OPT_NONE : AD_OPT_FULL});
        ad_free(t);
    }
    ad_func_free(f);
}

Test(emit_all, programs_in_one_file_have_the_bits_of_replay)
{
    static const int reals[] = {AD_F64, AD_F32};
    for (int r = 0; r < 2; r++) {
        emit_batch e = {0};
        programs(&e, reals[r]);
        if (!emit_load_with(&e, 1, (const char *const[]){"-O1", NULL})) {
            emit_free(&e);
            cr_skip("there is no C compiler");
        }
        for (int i = 0; i < e.n; i++)
            for (int batch = 1; batch < 6; batch += 2)
                emit_compare(&e, i, batch, (unsigned)batch, 0);
        emit_free(&e);
    }
}

static int times(const char *text, const char *what)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, what)); s++)
        n++;
    return n;
}

Test(emit_all, kernels_stand_once_and_one_program_is_what_ad_emit_writes)
{
    emit_batch e = {0};
    programs(&e, AD_F64);
    const ad_program *p[EACH];
    static const char *const names[EACH] = {"one", "ones", "two", "x2"};
    size_t apart = 0;
    char *why = "";
    for (int i = 0; i < EACH; i++) {
        p[i] = e.c[i].p;
        char *alone = ad_emit(p[i], names[i], NULL), *same = ad_emit_all(1, p + i, names + i, &why);
        cr_assert(alone && same && !why);
        cr_assert_str_eq(alone, same);
        cr_assert_eq(times(alone, "VEC_FN V vm_tanh(V x)"), 1);
        apart += strlen(alone);
        free(alone);
        free(same);
    }
    char *all = ad_emit_all(EACH, p, names, &why);
    cr_assert(all && !why);
    cr_assert_eq(times(all, "VEC_FN V vm_tanh(V x)"), 1);
    cr_assert_eq(times(all, "VEC_FN V vm_sin(V x)"), 1);
    cr_assert_eq(times(all, "#include <math.h>"), 1);
    for (int i = 0; i < EACH; i++) {
        char line[80];
        snprintf(line, sizeof line, "\nsize_t %s_work(int batch) {", names[i]);
        cr_assert_eq(times(all, line), 1);
        snprintf(line, sizeof line, " *   %s: 2 inputs, 2 outputs\n", names[i]);
        cr_assert_eq(times(all, line), 1);
    }
    cr_assert_lt(2 * strlen(all), apart, "%zu, apart %zu", strlen(all), apart);
    free(all);
    emit_free(&e);
}

Test(emit_all, what_is_refused_is_named_with_its_program)
{
    emit_batch e = {0}, s = {0};
    programs(&e, AD_F64);
    programs(&s, AD_F32);
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 1), y = ad_exp(x);
    ad_program *l = ad_compile(t, 1, &x, 1, &y, &(ad_options){.real = AD_F80});
    ad_program *a = e.c[0].p, *b = e.c[1].p;
    char long_a[121] = "", long_b[121] = "";
    memset(long_a, 'a', 120);
    memcpy(long_b, long_a, 121);
    long_b[110] = 'b'; /* the functions that both call have the first 99 characters */
    const struct {
        int n;
        const ad_program *p[3];
        const char *name[3], *why;
    } bad[] = {
        {0, {a}, {"f"}, "ad_emit_all: no programs"},
        {-1, {a}, {"f"}, "ad_emit_all: no programs"},
        {2, {a, NULL}, {"f", "g"}, "ad_emit_all: program 2 of 2: no program"},
        {3, {a, b, a}, {"f", "1g", "h"}, "ad_emit_all: program 2 of 3: the name is not a C identifier"},
        {2, {a, b}, {"f", NULL}, "ad_emit_all: program 2 of 2: the name is not a C identifier"},
        {2, {a, l}, {"f", "g"}, "ad_emit_all: program 2 of 2: a program in long double"},
        {2, {a, s.c[0].p}, {"f", "g"}, "ad_emit_all: program 2 of 2: it is in float, the first in double"},
        {2, {s.c[0].p, a}, {"f", "g"}, "ad_emit_all: program 2 of 2: it is in double, the first in float"},
        {3, {a, b, a}, {"f", "g", "f"}, "ad_emit_all: program 3 of 3: its name f and that of program 1, f,"},
        {2,
         {a, b},
         {"f", "f_work"},
         "ad_emit_all: program 2 of 2: its name f_work and that of program 1, f,"},
        {2, {a, b}, {"f_2", "f"}, "ad_emit_all: program 2 of 2: its name f and that of program 1, f_2,"},
        {2, {a, b}, {long_a, long_b}, "ad_emit_all: program 2 of 2: its name aaa"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *why = NULL;
        cr_assert_null(ad_emit_all(bad[i].n, bad[i].p, bad[i].name, &why), "%zu", i);
        cr_assert(why && !strncmp(why, bad[i].why, strlen(bad[i].why)), "%s, not %s", why, bad[i].why);
        free(why);
        cr_assert_null(ad_emit_all(bad[i].n, bad[i].p, bad[i].name, NULL));
    }
    char *good =
        ad_emit_all(3, (const ad_program *const[]){a, b, a}, (const char *const[]){"f", "f2", "ff_2"}, NULL);
    cr_assert(good);
    free(good);
    ad_program_free(l);
    ad_free(t);
    emit_free(&e);
    emit_free(&s);
}

Test(emit_all, programs_of_kernels_with_and_without_fma_are_not_mixed)
{
    const char *isa = getenv("NOETHER_ISA");
    char kept[16] = "";
    snprintf(kept, sizeof kept, "%s", isa ? isa : "");
    emit_batch e = {0};
    programs(&e, AD_F64);
    setenv("NOETHER_ISA", "base", 1);
    programs(&e, AD_F64);
    if (*kept)
        setenv("NOETHER_ISA", kept, 1);
    else
        unsetenv("NOETHER_ISA");
    char *why, *text = ad_emit_all(2, (const ad_program *const[]){e.c[0].p, e.c[EACH].p},
                                   (const char *const[]){"f", "g"}, &why);
    char *alone = ad_emit(e.c[0].p, "f", NULL), *base = ad_emit(e.c[EACH].p, "g", NULL);
    cr_assert(alone && base);
    if (!strstr(alone, "#define HAS_FMA 0") == !strstr(base, "#define HAS_FMA 0"))
        cr_assert(text);
    else
        cr_assert_str_eq(
            why, "ad_emit_all: program 2 of 2: compiled with other kernels (NOETHER_ISA) than the first");
    free(why);
    free(text);
    free(alone);
    free(base);
    emit_free(&e);
}

Test(emit_all, a_failed_allocation_gives_no_text_and_leaks_nothing)
{
    emit_batch e = {0};
    programs(&e, AD_F64);
    const ad_program *const p[2] = {e.c[0].p, e.c[1].p};
    const char *const names[2] = {"f", "g"};
    char *whole = ad_emit_all(2, p, names, NULL);
    cr_assert(whole);
    for (long n = 1, stride = getenv("NOETHER_TEST_SHORT") ? 7 : 1;; n += stride) {
        char *why = NULL;
        failalloc_arm(n, 1);
        char *text = ad_emit_all(2, p, names, &why);
        if (failalloc_disarm() < n) {
            cr_assert_str_eq(text, whole);
            free(text);
            break;
        }
        cr_assert_null(text);
        cr_assert(!why || strstr(why, "out of memory"), "%s", why);
        free(why);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
    }
    free(whole);
    emit_free(&e);
}
