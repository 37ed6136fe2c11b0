/* one_process.c - a runner that calls every test of one executable in this process, for valgrind and ThreadSanitizer.
 *
 * Criterion forks for each test, where those tools lose sight of it. Test() leaves a pointer to each test in the linker
 * section cr_tst; this file walks it and, instead of linking libcriterion, defines the few functions that Criterion's
 * assert macros call. So a test's object file runs here unchanged, and a macro that needs more fails to link: then add
 * the function below. A failed cr_assert leaves its test by longjmp; in a thread other than the main one it ends the
 * process. Tests that expect a signal or an exit status, or are disabled, are skipped: they need a process of their own.
 *
 * Invariant: one line `PASSED|FAILED|SKIPPED suite/name` for every test in the section, then `END`; exit status 1 if
 * any failed. NOETHER_ONE_LENIENT=1 gives status 0 nevertheless (valgrind computes long double in 64 bits, so values
 * may differ there and only its own findings count). An argument selects the tests whose suite/name contains it. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak)), *__stop_cr_sts[] __attribute__((weak));

struct criterion_options criterion_options;

static jmp_buf leave;
static pthread_t runner;
static int failures, skipped;
static const struct criterion_test *current;

static _Noreturn void leave_test(void)
{
    if (pthread_equal(pthread_self(), runner))
        longjmp(leave, 1);
    fprintf(stderr, "a test left from a thread of its own: %s/%s\n", current->category, current->name);
    exit(3);
}

void criterion_internal_test_setup(void) {}
void criterion_internal_test_main(void (*fn)(void)) { fn(); }
void criterion_internal_test_teardown(void) {}
void cri_asserts_passed_incr(void) {}
void criterion_continue_test(void) {}
void criterion_abort_test(void) { leave_test(); }

void criterion_test_die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    failures++;
    leave_test();
}

void criterion_skip_test(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    skipped = 1;
    leave_test();
}

void criterion_send_assert(struct criterion_assert_stats *s)
{
    if (!s->passed) {
        __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
        fprintf(stderr, "%s:%u: %s\n", s->file, s->line, s->message ? s->message : "assertion failed");
    }
}

/* The message of an assertion without one of its own: the expression is enough. */
char *cr_translate_assert_msg(int index, ...)
{
    va_list ap;
    va_start(ap, index);
    const char *text = va_arg(ap, const char *);
    va_end(ap);
    return strdup(text ? text : "");
}

int cr_asprintf(char **out, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(out, format, ap);
    va_end(ap);
    if (n < 0)
        *out = NULL;
    return n;
}

void cr_asprintf_free(char *s) { free(s); }

void cr_log(enum criterion_severity level, const char *format, ...)
{
    va_list ap;
    (void)level;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static const struct criterion_suite *suite_of(const struct criterion_test *t)
{
    for (struct criterion_suite **s = __start_cr_sts; s < __stop_cr_sts; s++)
        if (*s && !strcmp((*s)->name, t->category))
            return *s;
    return NULL;
}

/* Apart from run(), so that no local variable of it lives across the setjmp. */
static void call(const struct criterion_test *t, const struct criterion_test_extra_data *suite)
{
    if (setjmp(leave))
        return;
    if (suite && suite->init)
        suite->init();
    if (t->data->init)
        t->data->init();
    t->test();
    if (t->data->fini)
        t->data->fini();
    if (suite && suite->fini)
        suite->fini();
}

static const char *run(const struct criterion_test *t)
{
    const struct criterion_suite *suite = suite_of(t);
    const struct criterion_test_extra_data *d = t->data, *sd = suite ? suite->data : NULL;
    if (d->disabled || d->signal || d->exit_code || d->kind_ == CR_TEST_PARAMETERIZED ||
        (sd && (sd->disabled || sd->signal || sd->exit_code)))
        return "SKIPPED";
    int before = failures;
    skipped = 0;
    current = t;
    call(t, sd);
    return failures != before ? "FAILED" : skipped ? "SKIPPED" : "PASSED";
}

int main(int argc, char **argv)
{
    const char *lenient = getenv("NOETHER_ONE_LENIENT");
    int failed = 0;
    runner = pthread_self();
    for (struct criterion_test **t = __start_cr_tst; t < __stop_cr_tst; t++) {
        char name[512];
        if (!*t)
            continue;
        snprintf(name, sizeof name, "%s/%s", (*t)->category, (*t)->name);
        if (argc > 1 && !strstr(name, argv[1]))
            continue;
        const char *result = run(*t);
        failed += *result == 'F';
        printf("%s %s\n", *result == 'F' && lenient ? "PASSED" : result, name);
        fflush(stdout);
    }
    puts("END");
    return failed && !lenient;
}
