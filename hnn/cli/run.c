/* run.c - a run of a command: its folder, its results, its errors. Invariant: config.json is there before the command
 * does anything, so what a folder holds can always be repeated. */
/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <ad.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t
    interrupted; /* of the program, not of the library: a signal has nowhere else to write */

static void on_interrupt(int signal_)
{
    if (interrupted) /* the second time: at once */
        _exit(CLI_INTERRUPTED);
    interrupted = signal_;
}

void cli_catch_interrupts(void)
{
    struct sigaction a = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

const volatile sig_atomic_t *cli_interrupt_flag(void) { return &interrupted; }

int cli_interrupted(void) { return interrupted != 0; }

double cli_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Names of functions and parts of the library mean nothing to someone who types commands; nor does a command named twice. */
static void plain(const cli *c, char *s)
{
    static const char *const inner[] = {"ad_parse: ", "model text: "};
    size_t n = strlen(c->command->name);
    if (!strncmp(s, c->command->name, n) && s[n] == ':' && s[n + 1] == ' ')
        memmove(s, s + n + 2, strlen(s + n + 2) + 1);
    for (size_t k = 0; k < sizeof inner / sizeof *inner; k++)
        for (char *at; (at = strstr(s, inner[k]));)
            memmove(at, at + strlen(inner[k]), strlen(at + strlen(inner[k])) + 1);
}

/* `unknown function "sine"`: the operation that may have been meant */
static void suggest_function(const char *s)
{
    const char *at = strstr(s, "unknown function \""), *words[256];
    ad_op_info op[256];
    char name[40];
    int n = 0;
    if (!at || sscanf(at, "unknown function \"%39[^\"]", name) != 1)
        return;
    for (int i = 0; i < ad_op_count() && n < 256; i++)
        if (!ad_op_at(i, &op[n]) && op[n].parsed)
            words[n] = op[n].name, n++;
    const char *near = cli_nearest(name, n, words);
    if (near)
        fprintf(stderr, "did you mean %s? ", near);
    fputs("'noether list operations' names the functions\n", stderr);
}

static void say(const cli *c, const char *format, va_list list)
{
    char s[1024];
    vsnprintf(s, sizeof s, format, list);
    plain(c, s);
    if (isatty(2))
        fputs("\r\033[K", stderr);
    fprintf(stderr, "noether %s: %s\n", c->command->name, s);
    suggest_function(s);
}

int cli_usage(cli *c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(c, format, list);
    va_end(list);
    fprintf(stderr, "'noether %s --help' explains the command\n", c->command->name);
    return CLI_USAGE;
}

int cli_fail(cli *c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(c, format, list);
    va_end(list);
    return CLI_FAILED;
}

int cli_error(cli *c)
{
    return c->error.code == HNN_EARG ? cli_usage(c, "%s", c->error.message)
                                     : cli_fail(c, "%s", c->error.message);
}

void cli_progress(cli *c, const char *format, ...)
{
    if (!isatty(2))
        return;
    va_list list;
    va_start(list, format);
    fprintf(stderr, "\r\033[K%s: ", c->command->name);
    vfprintf(stderr, format, list);
    va_end(list);
    fflush(stderr);
}

/* every folder of the path; HNN_OK or the error */
static int make_folder(const char *path, hnn_error *e)
{
    char *s = strdup(path);
    if (!s || !*s) {
        free(s);
        return hnn_fail(e, HNN_EARG, "a folder needs a name");
    }
    for (char *at = s + 1;; at++)
        if (*at == '/' || !*at) {
            char keep = *at;
            *at = 0;
            struct stat st;
            if (mkdir(s, 0777) && (errno != EEXIST || stat(s, &st) || !S_ISDIR(st.st_mode))) {
                int code = hnn_fail(e, HNN_EIO, "%.200s: cannot make this folder: %s", s,
                                    errno == EEXIST ? "a file of that name is there" : strerror(errno));
                free(s);
                return code;
            }
            if (!keep)
                break;
            *at = keep;
        }
    free(s);
    return HNN_OK;
}

char *cli_path(cli *c, const char *file)
{
    const char *dir = cli_text(c, "out");
    if (!dir)
        return NULL;
    size_t n = strlen(dir) + strlen(file) + 2;
    char *s = malloc(n);
    if (s)
        snprintf(s, n, "%s/%s", dir, file);
    return s;
}

int cli_save(cli *c, const char *path, const hnn_text *t)
{
    if (hnn_text_status(t, &c->error) || hnn_file_write(path, t->s ? t->s : "", t->n, &c->error))
        return cli_error(c);
    return CLI_OK;
}

/* what the processor can do, as Linux names it; only the sets that matter for the bits and the speed */
static void processor(cli_json *j)
{
    cli_json_object(j, "processor");
    static const char *const sets[] = {"avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl"};
    char line[8192], model[128] = "";
    int has[sizeof sets / sizeof *sets] = {0};
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, "model name", 10) && !*model)
            snprintf(model, sizeof model, "%.120s", strchr(line, ':') ? strchr(line, ':') + 2 : "");
        if (!strncmp(line, "flags", 5)) {
            for (char *save, *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
                for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
                    has[i] |= !strcmp(word, sets[i]);
            break;
        }
    }
    if (f)
        fclose(f);
    model[strcspn(model, "\n")] = 0;
    cli_json_text(j, "model", *model ? model : NULL);
    cli_json_int(j, "count", sysconf(_SC_NPROCESSORS_ONLN));
    cli_json_array(j, "features");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (has[i])
            cli_json_text(j, NULL, sets[i]);
    cli_json_close(j);
    cli_json_text(j, "NOETHER_ISA", getenv("NOETHER_ISA"));
    cli_json_close(j);
}

void cli_line(const cli *c, hnn_text *t)
{
    hnn_text_printf(t, "noether %s", c->command->name);
    for (int i = 0; i < c->argc; i++)
        hnn_text_printf(t, strpbrk(c->argv[i], " *()^") ? " \"%s\"" : " %s", c->argv[i]);
    for (int i = 0; i < c->ngiven; i++)
        if (strcmp(c->given[i].option->name, "out"))
            hnn_text_printf(t,
                            strpbrk(c->given[i].text, " *()^") ? " --%s \"%s\""
                            : *c->given[i].text                ? " --%s %s"
                                                               : " --%s%s",
                            c->given[i].option->name, c->given[i].text);
}

static void configuration(const cli *c, cli_json *j)
{
    cli_json_object(j, NULL);
    cli_json_text(j, "program", "noether");
    cli_json_text(j, "version", NOETHER_VERSION);
    cli_json_text(j, "command", c->command->name);
    hnn_text line = {0};
    cli_line(c, &line);
    cli_json_text(j, "line", line.s);
    hnn_text_free(&line);
    cli_json_array(j, "arguments");
    for (int i = 0; i < c->argc; i++)
        cli_json_text(j, NULL, c->argv[i]);
    cli_json_close(j);
    /* a protocol decides what is not given: a default would be a number that was not used */
    int decided = cli_option_of(c, "protocol") && cli_text(c, "protocol");
    cli_json_object(j, "options");
    for (int g = 0; c->command->groups[g]; g++)
        for (const cli_option *o = c->command->groups[g]; o->name; o++) {
            const char *text;
            int own = c->command->groups[g] == cli_common; /* no protocol says a seed or a folder */
            if (!*o->name || cli_option_of(c, o->name) != o)
                continue;
            if (decided && !cli_has(c, o->name) && !own && strcmp(o->name, "protocol"))
                cli_json_text(j, o->name, NULL);
            else if (o->type == CLI_FLAG)
                cli_json_bool(j, o->name, cli_has(c, o->name));
            else if (o->type == CLI_LIST) {
                cli_json_array(j, o->name);
                for (int i = 0; cli_list(c, o->name, i, &text); i++)
                    cli_json_text(j, NULL, text);
                cli_json_close(j);
            } else
                cli_json_text(j, o->name, cli_text(c, o->name));
        }
    cli_json_close(j);
    if (c->resolve) {
        cli_json_object(j, "resolved");
        c->resolve(j, c->of);
        cli_json_close(j);
    }
#ifdef __VERSION__
    cli_json_text(j, "compiler", __VERSION__);
#endif
    processor(j);
    cli_json_close(j);
}

int cli_config(cli *c)
{
    if (!cli_text(c, "out") || c->command->plain)
        return CLI_OK;
    cli_json j = {0};
    configuration(c, &j);
    char *path = cli_path(c, "config.json");
    int status = path ? cli_save(c, path, &j.text) : cli_fail(c, "out of memory");
    free(path);
    cli_json_free(&j);
    return status;
}

int cli_begin(cli *c)
{
    const char *dir = cli_text(c, "out");
    if (dir && make_folder(dir, &c->error))
        return cli_error(c);
    return cli_config(c);
}

int cli_end(cli *c, int status)
{
    if (isatty(2))
        fputs("\r\033[K", stderr);
    if (status == CLI_INTERRUPTED)
        fprintf(stderr, "noether %s: interrupted\n", c->command->name);
    while (c->json.depth)
        cli_json_close(&c->json);
    if (status != CLI_OK && !c->show)
        return status;
    if (hnn_text_status(&c->out, &c->error) || hnn_text_status(&c->json.text, &c->error))
        return cli_fail(c, "%s", c->error.message);
    const hnn_text *shown = cli_has(c, "json") ? &c->json.text : &c->out;
    if ((shown->n && fwrite(shown->s, 1, shown->n, stdout) != shown->n) || fflush(stdout))
        return cli_fail(c, "cannot write the results to stdout: %s", strerror(errno));
    const hnn_text *what[] = {&c->json.text, &c->out};
    const char *const name[] = {"results.json", "results.txt"};
    for (int i = 0; i < 2 && cli_text(c, "out") && !c->command->plain; i++) {
        char *path = cli_path(c, name[i]);
        int saved = path ? cli_save(c, path, what[i]) : cli_fail(c, "out of memory");
        free(path);
        status = status == CLI_OK ? saved : status;
    }
    return status;
}

void cli_put(hnn_text *t, double x)
{
    if (isfinite(x))
        hnn_text_printf(t, "%.4g", x);
    else
        hnn_text_add(t, "-");
}

/* letters, not bytes */
static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static int looks_numeric(const char *s)
{
    double x;
    return !*s || *s == '-' || hnn_number(s, strlen(s), '.', &x) > 0;
}

void cli_table(hnn_text *t, int columns, int rows, const char *const cells[])
{
    for (int r = 0; r < rows; r++) {
        int pending = 0; /* blanks that are only written before something */
        for (int k = 0; k < columns; k++) {
            int width = 0, right = 1;
            for (int i = 0; i < rows; i++) {
                int w = width_of(cells[i * columns + k]);
                width = w > width ? w : width;
                right = right && (i == 0 || looks_numeric(cells[i * columns + k]));
            }
            const char *s = cells[r * columns + k];
            int blank = width - width_of(s), before = pending + (right ? blank : 0);
            if (*s)
                hnn_text_printf(t, "%*s%s", before, "", s);
            pending = (*s ? 0 : pending + width) + (*s && !right ? blank : 0) + 2;
        }
        hnn_text_add(t, "\n");
    }
}
