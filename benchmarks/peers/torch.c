/* torch.c - PyTorch in a process of its own, as one side of a ratio.
 * SPDX-License-Identifier: MIT */
#include "torch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer_torch {
    FILE *to, *from;
    pid_t child;
};

peer_torch *peer_torch_new(const char *script, char version[64])
{
    int down[2], up[2];
    peer_torch *t = calloc(1, sizeof *t);
    if (!t || pipe(down) || pipe(up))
        return free(t), NULL;
    signal(SIGPIPE, SIG_IGN);
    t->child = fork();
    if (t->child == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        close(down[1]);
        close(up[0]);
        setenv("OMP_NUM_THREADS", "1", 1);
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
        setenv("MALLOC_MMAP_THRESHOLD_", "33554432", 1);
        setenv("MALLOC_TRIM_THRESHOLD_", "2147483647", 1);
        if (!freopen("/dev/null", "w", stderr))
            _exit(127);
        /* The distribution's interpreter has the distribution's PyTorch. */
        execl("/usr/bin/python3", "python3", script, (char *)NULL);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    t->to = fdopen(down[1], "w");
    t->from = fdopen(up[0], "r");
    if (t->child < 0 || !t->to || !t->from || fscanf(t->from, "ready %63s", version) != 1 ||
        fgetc(t->from) != '\n') {
        peer_torch_free(t);
        return NULL;
    }
    return t;
}

void peer_torch_free(peer_torch *t)
{
    if (!t)
        return;
    if (t->to)
        fclose(t->to);
    if (t->from)
        fclose(t->from);
    if (t->child > 0)
        waitpid(t->child, NULL, 0);
    free(t);
}

int peer_torch_problem(peer_torch *t, const char *name, const char *real, int count,
                       const double *const array[], const int size[])
{
    fprintf(t->to, "problem %s %s %d", name, real, count);
    for (int i = 0; i < count; i++)
        fprintf(t->to, " %d", size[i]);
    fputc('\n', t->to);
    for (int i = 0; i < count; i++)
        fwrite(array[i], sizeof(double), (size_t)size[i], t->to);
    return fflush(t->to);
}

int peer_torch_work(peer_torch *t, const char *work, int n, double out[])
{
    int given;
    fprintf(t->to, "work %s\n", work);
    if (fflush(t->to) || fscanf(t->from, "%d", &given) != 1 || fgetc(t->from) != '\n' || given != n)
        return 1;
    return fread(out, sizeof *out, (size_t)n, t->from) != (size_t)n;
}

double peer_torch_time(void *arg, long repeat)
{
    peer_torch *t = arg;
    double seconds;
    fprintf(t->to, "time %ld\n", repeat);
    if (fflush(t->to) || fscanf(t->from, "%lf", &seconds) != 1 || fgetc(t->from) != '\n')
        return -1;
    return seconds;
}
