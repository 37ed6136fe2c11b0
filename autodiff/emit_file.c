/* emit_file.c - one program, or several, as one standalone C99 file: the kernels that any of them calls stand before
 * them once.
 * Invariant: a program alone and the same program among others compute the same bits.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

#include <ctype.h>

static bool identifier(const char *s)
{
    if (!s || (!isalpha((unsigned char)*s) && *s != '_'))
        return false;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return !*s;
}

static const char *const intro =
    "/* Made by Noether (ad_emit): int NAME(int batch, in, out, work), work of NAME_work(batch) numbers.\n"
    "%s *\n"
    " * in[i] and out[j] hold rows*cols numbers, row-major, not overlapping.\n"
    " * Returns 0, or a status of ad.h: a matrix was singular or not positive definite (9), a root not found "
    "(10).\n"
    " * Compile as C99 or later with -O3 -ffp-contract=off (a multiplication and an addition are fused where "
    "the\n"
    " * text says so, nowhere else; the results then have the bits of the program). -march=native makes it "
    "fast,\n"
    " * -fno-math-errno -fno-trapping-math let compilers use vectors; neither changes a bit. Link with -lm. "
    "*/\n"
    "#if defined(__clang__)\n"
    "#pragma STDC FP_CONTRACT OFF\n"
    "#pragma clang diagnostic ignored \"-Wunused-function\"\n"
    "#pragma clang diagnostic ignored \"-Wunused-variable\"\n"
    "#pragma clang diagnostic ignored \"-Wunused-const-variable\"\n"
    "#pragma clang diagnostic ignored \"-Wpass-failed\"\n"
    "#define EACH _Pragma(\"clang loop vectorize(assume_safety)\")\n"
    "#elif defined(__GNUC__)\n"
    "#if !defined(__STRICT_ANSI__)\n"
    "#pragma GCC optimize(\"fp-contract=off\")\n"
    "#endif\n"
    "#pragma GCC diagnostic ignored \"-Wunused-function\"\n"
    "#pragma GCC diagnostic ignored \"-Wunused-variable\"\n"
    "#pragma GCC diagnostic ignored \"-Wmaybe-uninitialized\" /* a batch has rows */\n"
    "#define EACH _Pragma(\"GCC ivdep\")\n"
    "#else\n"
    "#define EACH\n"
    "#endif\n"
    "#define VREAL%s 1\n%s\n";

static const char *const vocabulary = "#define C(c) V_SET1((REAL)(c))\n"
                                      "/* Compilers compute functions of constants otherwise than the "
                                      "library does: they may not look through these. */\n"
                                      "static REAL (*const volatile lib_cbrt)(REAL) = cbrt%s;\n"
                                      "static REAL (*const volatile lib_pow)(REAL, REAL) = pow%s;\n"
                                      "static REAL (*const volatile lib_atan2)(REAL, REAL) = atan2%s;\n"
                                      "static REAL (*const volatile lib_hypot)(REAL, REAL) = hypot%s;\n"
                                      "#define LIBM1(f, x) lib_##f(x)\n"
                                      "#define LIBM2(f, x, y) lib_##f(x, y)\n\n";

static const char *const inlines =
    "#if defined(__GNUC__)\n#define ALWAYS_INLINE static inline __attribute__((always_inline))\n"
    "#else\n#define ALWAYS_INLINE static inline\n#endif\n";
static const char *const steps =
    "#if defined(__GNUC__) && !defined(__clang__) /* no vectors of two in what waits for one number */\n"
    "#define STEPS __attribute__((optimize(\"fp-contract=off\", \"no-tree-slp-vectorize\")))\n"
    "#else\n#define STEPS\n#endif\n";

typedef struct em_file { /* what all programs have so far: what is declared, tables, functions */
    ad_text what, heads, tables, body;
} em_file;

/* Its functions join the file; why, where they cannot. */
static bool join(em_file *f, const ad_program *p, const char *name, int which, char why[EM_WHY])
{
    ad_emitter e = {.p = p, .name = name, .top = &e};
    if (which)
        snprintf(e.tag, sizeof e.tag, "_p%d", which);
    bool ok = ad_em_program(&e) && !e.tables.failed && !e.body.failed;
    memcpy(why, e.why, sizeof e.why);
    if (ok) {
        ad_say(&f->what, " *   %s: %d inputs, %d outputs\n", name, p->nin, p->nout);
        ad_say(&f->tables, "%s", e.tables.s ? e.tables.s : "");
        ad_say(&f->heads,
               "size_t %s_work(int batch);\n"
               "int %s(int batch, " AD_EM_PARAMETERS ");\n\n"
               "size_t %s_work(int batch) { return %lldu + %lldu * (size_t)batch; }\n\n",
               name, name, name, (long long)(e.work + e.kept + e.inner),
               (long long)(e.work_rows + e.kept_rows + e.inner_rows));
        if (ad_em_repeats(&e))
            ad_say(
                &f->heads,
                "int %s_repeat(int64_t count, const int64_t in_step[], const int64_t out_step[], int batch,\n"
                "    " AD_EM_PARAMETERS ");\n\n",
                name);
        ad_say(&f->body, "%s", e.body.s);
    }
    ad_em_release(&e);
    return ok;
}

static void written(ad_text *out, const em_file *f, const ad_kernels *k)
{
    bool single = k->real == AD_F32;
    const char *r = single ? "f" : "", *body = f->body.s;
    ad_say(out, intro, f->what.s, single ? "32" : "64",
           k->fma ? "" : "#define HAS_FMA 0 /* as where the program was compiled */\n");
    ad_em_kernels(out, body);
    ad_say(out, vocabulary, r, r, r, r);
    ad_say(out, "%s%s", f->tables.s, f->heads.s);
    if (strstr(body, "ALWAYS_INLINE"))
        ad_say(out, "%s", inlines);
    if (strstr(body, "STEPS "))
        ad_say(out, "%s", steps);
    ad_em_indented(out, &f->body);
}

/* May the functions of two programs have the same name? Those of "f" begin with "f" or with "f_". */
static bool clash(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    bool whole = n < AD_EM_NAME; /* names of functions that it calls are cut there */
    n = whole ? n : AD_EM_NAME;
    return !strncmp(a, b, n) && (!whole || ((!a[n] || a[n] == '_') && (!b[n] || b[n] == '_')));
}

/* What is wrong with program i of these before it is looked into; false when something is. */
static bool admitted(int i, const ad_program *const p[], const char *const names[], char why[EM_WHY])
{
    static const char *const real[] = {[AD_F64] = "double", [AD_F32] = "float"};
    const ad_kernels *k = p[i] ? p[i]->k : NULL;
    const char *bad = !k                      ? "no program"
                      : !identifier(names[i]) ? "the name is not a C identifier"
                      : k->real == AD_F80     ? "a program in long double: only double and float are emitted"
                      : k->real == p[0]->k->real && k->fma != p[0]->k->fma
                          ? "compiled with other kernels (NOETHER_ISA) than the first"
                          : "";
    snprintf(why, EM_WHY, "%s", bad);
    if (!*why && k->real != p[0]->k->real)
        snprintf(why, EM_WHY, "it is in %s, the first in %s", real[k->real], real[p[0]->k->real]);
    for (int j = 0; j < i && !*why; j++)
        if (clash(names[i], names[j]))
            snprintf(why, EM_WHY,
                     "its name %.40s and that of program %d, %.40s, are equal up to an underscore", names[i],
                     j + 1, names[j]);
    return !*why;
}

/* The file; NULL and why, of program *at. */
static char *emitted(int n, const ad_program *const p[], const char *const names[], int *at, char why[EM_WHY])
{
    em_file f = {0};
    ad_text out = {0};
    bool ok = true;
    for (int i = 0; i < n && ok; i++) {
        *at = i + 1;
        ok = admitted(i, p, names, why) && join(&f, p[i], names[i], i, why);
    }
    if (ok && !f.what.failed && !f.heads.failed && !f.tables.failed && !f.body.failed)
        written(&out, &f, p[0]->k);
    ad_unsay(&f.what);
    ad_unsay(&f.heads);
    ad_unsay(&f.tables);
    ad_unsay(&f.body);
    if (!out.s && !*why)
        snprintf(why, EM_WHY, "out of memory");
    return out.s;
}

char *ad_emit_all(int n, const ad_program *const p[], const char *const names[], char **why)
{
    char bad[EM_WHY] = "";
    int at = 0;
    char *text = n > 0 ? emitted(n, p, names, &at, bad) : NULL;
    ad_text reason = {0};
    if (why && !text && at)
        ad_say(&reason, "ad_emit_all: program %d of %d: %s", at, n, bad);
    else if (why && !text)
        ad_say(&reason, "ad_emit_all: no programs");
    if (why)
        *why = reason.s;
    return text;
}

char *ad_emit(const ad_program *p, const char *name, char **why)
{
    char bad[EM_WHY] = "";
    int at = 0;
    char *text = emitted(1, &p, &name, &at, bad);
    ad_text reason = {0};
    if (why && !text)
        ad_say(&reason, "ad_emit: %s", bad);
    if (why)
        *why = reason.s;
    return text;
}
