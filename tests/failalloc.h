/* failalloc.h - make the n-th allocation of a test fail, and count what is still allocated and how much was.
 *
 * Every test executable is linked with -Wl,--wrap for malloc, calloc, realloc, aligned_alloc, posix_memalign, strdup,
 * strndup and free, so the calls that the library and the test make (not those inside libc and Criterion) come here.
 * Idiom, with work() giving an error code and freeing what it made:
 *
 *     for (long n = 1;; n++) {
 *         failalloc_arm(n, 1);                       // the n-th allocation from here fails, and all after it
 *         int code = work();
 *         if (failalloc_disarm() < n) break;         // work() needed fewer: every allocation has failed once
 *         cr_assert_eq(code, AD_EMEMORY);
 *         cr_assert_eq(failalloc_live(), 0);         // nothing leaked on the way out
 *     }
 *
 * Invariant: disarmed, the wrappers only count. Threads may allocate at the same time. */
/* SPDX-License-Identifier: MIT */
#ifndef FAILALLOC_H
#define FAILALLOC_H

void failalloc_arm(long n, int also_later); /* n >= 1; 0 only counts */
long failalloc_disarm(void);                /* how many allocations were asked for since failalloc_arm */
long failalloc_peak(void); /* the most bytes allocated since failalloc_arm that were in use at one time */
long failalloc_live(void); /* blocks allocated since failalloc_arm minus blocks freed since */

#endif
