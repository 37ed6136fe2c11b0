/* emit_test.h - emitted C compiled by the system's compiler, loaded, and held against replay to the bit.
 * Invariant: one compiler run for all programs of a test. */
/* SPDX-License-Identifier: MIT */
#ifndef EMIT_TEST_H
#define EMIT_TEST_H

#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { EMIT_MOST = 100, EMIT_IO = 160 };

typedef struct emit_case { /* a program and the shapes of what it reads and writes */
    ad_program *p;
    long id; /* its function is f and this number: its place unless a test says otherwise */
    int real, nin, nout, ok;
    int in_rows[EMIT_IO], in_cols[EMIT_IO], out_rows[EMIT_IO], out_cols[EMIT_IO];
} emit_case;

typedef struct emit_batch {
    emit_case c[EMIT_MOST];
    int n;
    void *library;
    char folder[64];
} emit_batch;

/* One program with options of a recording. */
static inline void emit_add_one(emit_batch *e, ad_tape *t, int nin, const ad_var in[], int nout,
                                const ad_var out[], const ad_options *o)
{
    cr_assert(nin <= EMIT_IO && nout <= EMIT_IO && e->n < EMIT_MOST);
    emit_case *c = &e->c[e->n++];
    *c = (emit_case){
        .p = ad_compile(t, nin, in, nout, out, o), .id = e->n - 1, .real = o->real, .nin = nin, .nout = nout};
    cr_assert(c->p, "%s", ad_message(t));
    for (int i = 0; i < nin; i++) {
        c->in_rows[i] = ad_rows(in[i]);
        c->in_cols[i] = ad_cols(in[i]);
    }
    for (int i = 0; i < nout; i++) {
        c->out_rows[i] = ad_rows(out[i]);
        c->out_cols[i] = ad_cols(out[i]);
    }
}

/* Programs of both real types, optimised and not, of one recording. */
static inline void emit_add(emit_batch *e, ad_tape *t, int nin, const ad_var in[], int nout,
                            const ad_var out[])
{
    cr_assert(ad_status(t) == AD_OK, "%s", ad_message(t));
    for (int k = 0; k < 4; k++)
        emit_add_one(
            e, t, nin, in, nout, out,
            &(ad_options){.real = k & 1 ? AD_F32 : AD_F64, .opt = k & 2 ? AD_OPT_NONE : AD_OPT_FULL});
}

static inline int emit_spawn(char *const argv[])
{
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
        return -1;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void emit_write(const char *file, char *text, char *const *why)
{
    cr_assert(text, "%s", *why);
    FILE *f = fopen(file, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    free(text);
}

/* The sources: a file for each program, or one for all; how many. */
static inline int emit_sources(const emit_batch *e, int together, char file[][128])
{
    const ad_program *p[EMIT_MOST];
    const char *names[EMIT_MOST];
    char name[EMIT_MOST][24], *why = NULL;
    for (int i = 0; i < e->n; i++) {
        snprintf(name[i], sizeof name[i], "f%ld", e->c[i].id);
        const char *base = together ? "all" : name[i];
        names[i] = name[i];
        p[i] = e->c[i].p;
        snprintf(file[i], 128, "%.64s/%.24s.c", e->folder, base);
        if (!together)
            emit_write(file[i], ad_emit(p[i], name[i], &why), &why);
    }
    if (together)
        emit_write(file[0], ad_emit_all(e->n, p, names, &why), &why);
    return together ? 1 : e->n;
}

/* Compiles and loads all of them; 0 where there is no compiler. flags, at most 12, end with NULL. */
static inline int emit_load_with(emit_batch *e, int together, const char *const flags[])
{
    const char *cc = getenv("CC") && *getenv("CC") && !strchr(getenv("CC"), ' ') ? getenv("CC") : "cc";
    char *argv[EMIT_MOST + 30], file[EMIT_MOST][128], out[96];
    int n = 0;
    strcpy(e->folder, "/tmp/emitXXXXXX");
    cr_assert(mkdtemp(e->folder));
    snprintf(out, sizeof out, "%s/all.so", e->folder);
    const char *usual[] = {cc,        "-std=c99", "-ffp-contract=off", "-Wall", "-Wextra",
                           "-Werror", "-fPIC",    "-shared",           "-o",    out};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        argv[n++] = (char *)(uintptr_t)usual[i];
    for (const char *const *flag = flags; *flag; flag++)
        argv[n++] = (char *)(uintptr_t)*flag;
    int sources = emit_sources(e, together, file);
    for (int i = 0; i < sources; i++)
        argv[n++] = file[i];
    argv[n++] = (char *)(uintptr_t) "-lm";
    argv[n] = NULL;
    int status = emit_spawn(argv);
    if (status == -1 || status == 127)
        return 0;
    cr_assert_eq(status, 0, "%s did not compile the files in %s", cc, e->folder);
    e->library = dlopen(out, RTLD_NOW | RTLD_LOCAL);
    cr_assert(e->library, "%s", dlerror());
    for (int i = 0; i < sources; i++)
        unlink(file[i]);
    unlink(out);
    rmdir(e->folder);
    return 1;
}
static inline int emit_load(emit_batch *e, const char *optimise)
{
    return emit_load_with(e, 0, (const char *const[]){optimise, NULL});
}

/* The functions of a program: itself, and the numbers of workspace that it needs. */
static inline void *emit_function(const emit_batch *e, int which, size_t (**work_of)(int))
{
    char name[40];
    snprintf(name, sizeof name, "f%ld_work", e->c[which].id);
    *(void **)work_of = dlsym(e->library, name);
    name[strlen(name) - 5] = 0;
    void *f = dlsym(e->library, name);
    cr_assert(*work_of && f, "%s is not in the library", name);
    return f;
}

static inline void emit_free(emit_batch *e)
{
    for (int i = 0; i < e->n; i++)
        ad_program_free(e->c[i].p);
    if (e->library)
        dlclose(e->library);
}

static inline size_t emit_size(int rows, int cols, int batch)
{
    return (size_t)(rows < 0 ? -rows * batch : rows) * (size_t)cols;
}

/* Numbers between -2 and 2, a few of them special. */
static inline double emit_number(unsigned *s, int special)
{
    static const double odd[] = {0, -0.0, 1, -1, 0.5, 3, 1e-3, 40};
    *s = *s * 1664525u + 1013904223u;
    if (special && (*s >> 28) == 0)
        return odd[(*s >> 20) & 7];
    return (double)(*s >> 8) / (1 << 22) - 2;
}

static inline int emit_same(const void *a, const void *b, size_t n, int real, size_t *where)
{
    for (size_t i = 0; i < n; i++) {
        double x = real == AD_F32 ? (double)((const float *)a)[i] : ((const double *)a)[i];
        double y = real == AD_F32 ? (double)((const float *)b)[i] : ((const double *)b)[i];
        *where = i;
        if (!(isnan(x) && isnan(y)) && memcmp(&x, &y, sizeof x) != 0)
            return 0;
    }
    return 1;
}

typedef int emit_f64(int, const double *const[], double *const[], double *);
typedef int emit_f32(int, const float *const[], float *const[], float *);

/* One case against replay; the statuses must agree, too. */
static inline void emit_compare(const emit_batch *e, int which, int batch, unsigned seed, int special)
{
    const emit_case *c = &e->c[which];
    size_t (*work_of)(int);
    void *f = emit_function(e, which, &work_of);
    void *in[EMIT_IO], *want[EMIT_IO], *got[EMIT_IO];
    size_t b = c->real == AD_F32 ? sizeof(float) : sizeof(double), nwork = work_of(batch);
    for (int i = 0; i < c->nin; i++) {
        size_t n = emit_size(c->in_rows[i], c->in_cols[i], batch);
        in[i] = malloc(n * b);
        for (size_t k = 0; k < n; k++) {
            double v = emit_number(&seed, special);
            if (c->real == AD_F32)
                ((float *)in[i])[k] = (float)v;
            else
                ((double *)in[i])[k] = v;
        }
    }
    for (int i = 0; i < c->nout; i++) {
        size_t n = emit_size(c->out_rows[i], c->out_cols[i], batch) * b;
        want[i] = malloc(n);
        got[i] = malloc(n);
        memset(got[i], 0x55, n);
    }
    void *work = malloc((nwork + 1) * b);
    memset(work, 0x7f, (nwork + 1) * b);
    ad_work *w = ad_work_new(c->p, NULL);
    int status = ad_run(w, batch, (const void *const *)in, want), mine;
    if (c->real == AD_F32) {
        emit_f32 *run;
        *(void **)&run = f;
        mine = run(batch, (const float *const *)in, (float *const *)got, work);
    } else {
        emit_f64 *run;
        *(void **)&run = f;
        mine = run(batch, (const double *const *)in, (double *const *)got, work);
    }
    cr_assert_eq(mine, status, "case %d, batch %d: status %d, replay %d", which, batch, mine, status);
    for (int i = 0; i < c->nout && status == AD_OK; i++) {
        size_t at, n = emit_size(c->out_rows[i], c->out_cols[i], batch);
        cr_assert(emit_same(want[i], got[i], n, c->real, &at),
                  "case %d (real %d), batch %d: output %d differs at %zu", which, c->real, batch, i, at);
    }
    cr_assert(((unsigned char *)work)[nwork * b] == 0x7f, "case %d writes beyond its workspace", which);
    ad_work_free(w);
    free(work);
    for (int i = 0; i < c->nin; i++)
        free(in[i]);
    for (int i = 0; i < c->nout; i++) {
        free(want[i]);
        free(got[i]);
    }
}

/* Every `stride`-th allocation of ad_emit fails: no text, and nothing leaks. What is emitted is kept by p's functions. */
static inline void emit_without_memory(const ad_program *p, long stride)
{
    char *whole = ad_emit(p, "f", NULL);
    cr_assert(whole);
    for (long n = 1;; n += stride) {
        char *why = NULL;
        failalloc_arm(n, 1);
        char *text = ad_emit(p, "f", &why);
        long asked = failalloc_disarm();
        if (asked < n) {
            cr_assert_str_eq(text, whole);
            free(text);
            cr_assert_eq(failalloc_live(), 0);
            break;
        }
        cr_assert_null(text);
        free(why);
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
    }
    free(whole);
}
#endif
