/* failalloc.c - the wrapped allocators of failalloc.h. Invariant: a failure looks like libc's (NULL and ENOMEM; the old
 * block of a realloc stays valid). */
/* SPDX-License-Identifier: MIT */
#include "failalloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_long asked, live, bytes, peak, fail_at, later;
static atomic_int armed;

void failalloc_arm(long n, int also_later)
{
    asked = 0;
    live = 0;
    bytes = peak = 0;
    fail_at = n;
    later = also_later;
    armed = 1;
}

long failalloc_disarm(void)
{
    armed = 0;
    fail_at = 0;
    return asked;
}

long failalloc_live(void) { return live; }
long failalloc_peak(void) { return peak; }

static void grow(long by)
{
    long now = atomic_fetch_add(&bytes, by) + by, most = peak;
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) {
    }
}

static int refuse(void)
{
    if (!armed)
        return 0;
    long n = ++asked, at = fail_at;
    if (!at || (later ? n < at : n != at))
        return 0;
    errno = ENOMEM;
    return 1;
}

static void *keep(void *p)
{
    if (p) {
        live++;
        grow((long)malloc_usable_size(p));
    }
    return p;
}

#define WRAP(type, name, parameters, arguments)                                                              \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters { return refuse() ? NULL : keep(__real_##name arguments); }

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, aligned_alloc, (size_t a, size_t n), (a, n))
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
    if (refuse())
        return NULL;
    long before = p ? (long)malloc_usable_size(p) : 0;
    void *r = __real_realloc(p, n);
    if (r) {
        live += !p;
        grow((long)malloc_usable_size(r) - before);
    }
    return r;
}

int __real_posix_memalign(void **p, size_t a, size_t n);
int __wrap_posix_memalign(void **p, size_t a, size_t n);
int __wrap_posix_memalign(void **p, size_t a, size_t n)
{
    if (refuse())
        return ENOMEM;
    int code = __real_posix_memalign(p, a, n);
    if (!code)
        keep(*p);
    return code;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
    if (p) {
        live--;
        grow(-(long)malloc_usable_size(p));
    }
    __real_free(p);
}
