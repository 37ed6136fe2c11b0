/* team.c - workers wait on a condition for the next batch of tasks and take them one by one. Invariant: all fields are
 * read and written under the lock, except the task function's own data. */
/* SPDX-License-Identifier: MIT */
#include "team.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 64 };

struct hnn_team {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    int size, quit;
    long next, tasks, finished;
    hnn_task task;
    void *shared;
    pthread_t thread[MOST];
    struct seat {
        struct hnn_team *team;
        int worker;
    } seat[MOST];
};

/* take tasks until there are none; called and left with the lock held */
static void take(hnn_team *t, int worker)
{
    while (t->next < t->tasks) {
        long k = t->next++;
        hnn_task task = t->task;
        void *shared = t->shared;
        pthread_mutex_unlock(&t->lock);
        task(shared, k, worker);
        pthread_mutex_lock(&t->lock);
        if (++t->finished == t->tasks)
            pthread_cond_signal(&t->done);
    }
}

static void *serve(void *seat)
{
    hnn_team *t = ((struct seat *)seat)->team;
    int worker = ((struct seat *)seat)->worker;
    pthread_mutex_lock(&t->lock);
    while (!t->quit) {
        take(t, worker);
        if (!t->quit)
            pthread_cond_wait(&t->work, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

hnn_team *hnn_team_new(int threads)
{
    long here = threads > 0 ? threads : sysconf(_SC_NPROCESSORS_ONLN);
    hnn_team *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->done, NULL);
    for (t->size = 1; t->size < here && t->size < MOST; t->size++) {
        t->seat[t->size] = (struct seat){t, t->size};
        if (pthread_create(&t->thread[t->size], NULL, serve, &t->seat[t->size]))
            break;
    }
    return t;
}

int hnn_team_size(const hnn_team *t) { return t->size; }

void hnn_team_run(hnn_team *t, long tasks, hnn_task task, void *shared)
{
    if (t->size == 1 || tasks < 2) {
        for (long k = 0; k < tasks; k++)
            task(shared, k, 0);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->task = task;
    t->shared = shared;
    t->next = t->finished = 0;
    t->tasks = tasks;
    pthread_cond_broadcast(&t->work);
    take(t, 0);
    while (t->finished < t->tasks)
        pthread_cond_wait(&t->done, &t->lock);
    t->tasks = t->next = 0;
    pthread_mutex_unlock(&t->lock);
}

void hnn_team_free(hnn_team *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->quit = 1;
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->size; i++)
        pthread_join(t->thread[i], NULL);
    pthread_cond_destroy(&t->done);
    pthread_cond_destroy(&t->work);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
