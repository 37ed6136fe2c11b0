/* pool.c - threads that wait for work: one job at a time, its pieces taken from a counter.
 * Invariant: which thread takes a piece changes no result, because a piece writes only its own part. A job that finds
 * the pool busy (another workspace uses it) runs on the caller alone.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct ad_pool {
    pthread_mutex_t lock, busy;
    pthread_cond_t start, done;
    pthread_t *thread;
    int threads, started, running; /* threads counts the caller; running: workers still in the job */
    unsigned job;                  /* number of the current job */
    int stop;
    void (*piece)(void *arg, int piece, int thread);
    void *arg;
    int pieces, next; /* next: atomic */
};

typedef struct member {
    ad_pool *pool;
    int index;
} member;

static void take_pieces(ad_pool *pool, int thread)
{
    for (;;) {
        int i = __atomic_fetch_add(&pool->next, 1, __ATOMIC_RELAXED);
        if (i >= pool->pieces)
            return;
        pool->piece(pool->arg, i, thread);
    }
}

static void *worker(void *p)
{
    ad_pool *pool = ((member *)p)->pool;
    int index = ((member *)p)->index;
    free(p);
    unsigned seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stop && pool->job == seen)
            pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->stop)
            break;
        seen = pool->job;
        pthread_mutex_unlock(&pool->lock);
        take_pieces(pool, index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->running == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

ad_pool *ad_pool_new(int threads)
{
    if (threads <= 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        threads = n < 1 ? 1 : (int)n;
    }
    ad_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->threads = threads;
    pool->thread = calloc((size_t)threads, sizeof *pool->thread);
    if (!pool->thread) {
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->busy, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int i = 1; i < threads; i++) {
        member *m = malloc(sizeof *m);
        if (m)
            *m = (member){pool, i};
        if (!m || pthread_create(&pool->thread[i], NULL, worker, m)) {
            free(m);
            ad_pool_free(pool);
            return NULL;
        }
        pool->started = i;
    }
    return pool;
}

void ad_pool_free(ad_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i <= pool->started; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->busy);
    pthread_mutex_destroy(&pool->lock);
    free(pool->thread);
    free(pool);
}

int ad_pool_threads(const ad_pool *pool) { return pool ? pool->threads : 1; }

void ad_pool_run(ad_pool *pool, int pieces, void (*piece)(void *arg, int piece, int thread), void *arg)
{
    if (!pool || pool->threads == 1 || pieces <= 1 || pthread_mutex_trylock(&pool->busy)) {
        for (int i = 0; i < pieces; i++)
            piece(arg, i, 0);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->piece = piece;
    pool->arg = arg;
    pool->pieces = pieces;
    __atomic_store_n(&pool->next, 0, __ATOMIC_RELAXED);
    pool->running = pool->started;
    pool->job++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    take_pieces(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->running)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->busy);
}
