/* pool.c - threads that wait for work: one job at a time, its pieces taken from a counter.
 * Invariant: which thread takes a piece changes no result, because a piece writes only its own part. A job that finds
 * the pool busy (another workspace uses it) runs on the caller alone. Who waits looks for a while before it sleeps, for to
 * be woken takes longer than many jobs; not where there are more threads than processors.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* A job: what the caller gives, and a number that tells it from earlier ones. */
typedef struct job {
    void (*piece)(void *arg, int piece, int thread);
    void *arg;
    uint32_t pieces, number;
} job;

struct ad_pool {
    pthread_mutex_t lock, busy;
    pthread_cond_t start, done;
    pthread_t *thread;
    int threads, started; /* threads counts the caller */
    int looks;            /* how often to look before sleeping */
    job now;              /* under the lock */
    uint64_t ticket;      /* atomic: number of the current job, and its next piece */
    uint32_t left;        /* atomic: pieces of it that are not done */
    int stop;
};

typedef struct member {
    ad_pool *pool;
    int index;
} member;

enum { LOOKS = 5000 }; /* tens of microseconds */

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t number_of(uint64_t ticket) { return (uint32_t)(ticket >> 32); }

/* Pieces of a job until there are no more. Who comes when another job has begun takes none of that one. */
static void take_pieces(ad_pool *pool, const job *j, int thread)
{
    uint64_t t = __atomic_load_n(&pool->ticket, __ATOMIC_ACQUIRE);
    while (number_of(t) == j->number && (uint32_t)t < j->pieces) {
        if (!__atomic_compare_exchange_n(&pool->ticket, &t, t + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
            continue;
        j->piece(j->arg, (int)(uint32_t)t, thread);
        if (__atomic_sub_fetch(&pool->left, 1, __ATOMIC_ACQ_REL) == 0 && thread > 0) {
            pthread_mutex_lock(&pool->lock); /* the caller looks under the lock before it sleeps */
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
        t = __atomic_load_n(&pool->ticket, __ATOMIC_ACQUIRE);
    }
}

static void *worker(void *p)
{
    ad_pool *pool = ((member *)p)->pool;
    int index = ((member *)p)->index;
    free(p);
    for (job j = {0};;) {
        for (int k = 0;
             k < pool->looks && number_of(__atomic_load_n(&pool->ticket, __ATOMIC_ACQUIRE)) == j.number; k++)
            pause_a_little();
        pthread_mutex_lock(&pool->lock);
        while (!pool->stop && pool->now.number == j.number)
            pthread_cond_wait(&pool->start, &pool->lock);
        bool stop = pool->stop;
        j = pool->now;
        pthread_mutex_unlock(&pool->lock);
        if (stop)
            return NULL;
        take_pieces(pool, &j, index);
    }
}

ad_pool *ad_pool_new(int threads)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads <= 0)
        threads = n < 1 ? 1 : (int)n;
    ad_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->threads = threads;
    pool->looks = threads <= n ? LOOKS : 0;
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
    __atomic_store_n(&pool->ticket, (uint64_t)(pool->now.number + 1) << 32,
                     __ATOMIC_RELEASE); /* seen by who looks */
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
    job j = pool->now = (job){piece, arg, (uint32_t)pieces, pool->now.number + 1};
    __atomic_store_n(&pool->left, j.pieces, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->ticket, (uint64_t)j.number << 32, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    take_pieces(pool, &j, 0);
    for (int k = 0; k < pool->looks && __atomic_load_n(&pool->left, __ATOMIC_ACQUIRE); k++)
        pause_a_little();
    if (__atomic_load_n(&pool->left, __ATOMIC_ACQUIRE)) {
        pthread_mutex_lock(&pool->lock);
        while (__atomic_load_n(&pool->left, __ATOMIC_ACQUIRE))
            pthread_cond_wait(&pool->done, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->busy);
}
