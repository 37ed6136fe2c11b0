/* native_build.c - the system's compiler: where it is, and one run of it, without a shell.
 * Invariant: a library appears under its name complete or not at all; nothing is printed.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char *const *ad_nat_flags(const ad_program *p, bool plain)
{
    /* The instruction set is that of the kernels in use, not the newest one, so that an entry of the cache runs wherever
     * its key is found. None of the flags changes a bit. */
#define COMMON                                                                                               \
    "-std=c99", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared"
#define V4 "-march=x86-64-v4"
#define WIDE "-mprefer-vector-width=512"
    /* A loop of steps waits for one number after the other: packing them into vectors of two only adds to the wait, and what
     * a long vector leaves over of a few numbers, and what is read of it one by one, costs more than it saves. */
#define LOOP "-fno-tree-slp-vectorize"
#define NARROW "-mprefer-vector-width=256"
    static const char *const flags[2][3][12] = {
        {{COMMON}, {COMMON, "-march=x86-64-v3"}, {COMMON, V4, WIDE}},
        {{COMMON, LOOP}, {COMMON, LOOP, "-march=x86-64-v3"}, {COMMON, LOOP, V4, NARROW}}};
    int isa = plain || !strcmp(p->k->isa, "base") ? 0 : !strcmp(p->k->isa, "v4") ? 2 : 1;
    return flags[p->feed != NULL][isa];
}

/* The file of a command: as it is when it holds a slash, else in PATH. */
static bool command(const char *name, char path[AD_NAT_PATH])
{
    const char *list = strchr(name, '/') ? "" : getenv("PATH");
    for (const char *s = list ? list : "/usr/bin:/bin";; s++) {
        int n = (int)strcspn(s, ":");
        int m = strchr(name, '/') ? snprintf(path, AD_NAT_PATH, "%s", name)
                                  : snprintf(path, AD_NAT_PATH, "%.*s%s%s", n, s, n ? "/" : "./", name);
        struct stat st;
        if (m > 0 && m < AD_NAT_PATH && access(path, X_OK) == 0 && stat(path, &st) == 0 &&
            S_ISREG(st.st_mode))
            return true;
        s += n;
        if (!*s)
            return false;
    }
}

bool ad_nat_find(ad_nat_compiler *c, char say[AD_NAT_SAY])
{
    static const char *const names[] = {"cc", "gcc", "clang"};
    const char *cc = getenv("CC");
    c->words = 0;
    if (cc && *cc) {
        char *rest = NULL;
        snprintf(c->text, sizeof c->text, "%s", cc);
        for (char *w = strtok_r(c->text, " \t", &rest); w && c->words < AD_NAT_WORDS;
             w = strtok_r(NULL, " \t", &rest))
            c->word[c->words++] = w;
    }
    for (int i = 0; c->words == 0 && i < 3; i++)
        if (command(names[i], c->path)) {
            snprintf(c->text, sizeof c->text, "%s", names[i]);
            c->word[c->words++] = c->text;
        }
    struct stat st;
    if (c->words == 0 || !command(c->word[0], c->path) || stat(c->path, &st)) {
        snprintf(say, AD_NAT_SAY,
                 c->words ? "no compiler: CC is \"%.200s\", which is not a command"
                          : "no C compiler: neither CC nor cc, gcc or clang in PATH",
                 c->words ? c->word[0] : "");
        return false;
    }
    c->word[0] = c->path;
    c->stamp[0] = (uint64_t)st.st_size;
    c->stamp[1] = (uint64_t)st.st_mtime;
    return true;
}

bool ad_nat_write(const char *path, const char *text, size_t n)
{
    char temporary[AD_NAT_PATH + 16];
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkstemp(temporary);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool ok = fwrite(text, 1, n, f) == n;
    ok = fclose(f) == 0 && ok && rename(temporary, path) == 0;
    if (!ok)
        unlink(temporary);
    return ok;
}

/* The exit status of the command, its output thrown away; -1 when it could not be run. */
static int run(char *const argv[])
{
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status;
    if (posix_spawn_file_actions_init(&files))
        return -1;
    bool ok = !posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) &&
              !posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) &&
              !posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) &&
              !posix_spawn(&pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (!ok)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool ad_nat_build(const ad_nat_compiler *c, const ad_program *p, const char *text, const char *to,
                  char say[AD_NAT_SAY])
{
    char source[AD_NAT_PATH + 16], library[AD_NAT_PATH + 32];
    char *argv[AD_NAT_WORDS + 20];
    snprintf(source, sizeof source, "%s.XXXXXX.c", to);
    int fd = mkstemps(source, 2);
    if (fd < 0) {
        snprintf(say, AD_NAT_SAY, "the cache cannot be written: %.200s: %s", source, strerror(errno));
        return false;
    }
    snprintf(library, sizeof library, "%s.so", source);
    size_t n = strlen(text);
    FILE *f = fdopen(fd, "w");
    bool ok = f && fwrite(text, 1, n, f) == n;
    if (!f)
        close(fd);
    ok = f && fclose(f) == 0 && ok;
    int status = -1;
    for (int plain = 0; ok && plain < 2 && status;
         plain++) { /* an old compiler may not know the instruction set */
        int m = 0;
        for (int i = 0; i < c->words; i++)
            argv[m++] = c->word[i];
        for (const char *const *flag = ad_nat_flags(p, plain); *flag; flag++)
            argv[m++] = (char *)(uintptr_t)*flag;
        const char *last[] = {"-o", library, source, "-lm", NULL};
        for (int i = 0; i < 5; i++)
            argv[m++] = (char *)(uintptr_t)last[i];
        status = run(argv);
    }
    unlink(source);
    if (!ok)
        snprintf(say, AD_NAT_SAY, "the cache cannot be written: %.200s", source);
    else if (status)
        snprintf(say, AD_NAT_SAY, "%.200s failed with status %d", c->path, status);
    else if (rename(library, to))
        snprintf(say, AD_NAT_SAY, "the cache cannot be written: %.200s: %s", to, strerror(errno));
    else
        return true;
    unlink(library);
    return false;
}
