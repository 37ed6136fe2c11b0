/* team.h - private: a few threads that share out numbered tasks. Invariant: which thread runs a task is not part of any
 * result; a task writes only what belongs to its number, or to the scratch of the worker it is told. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_LINALG_TEAM_H
#define HNN_LINALG_TEAM_H

#include "kernel.h"

typedef struct hnn_team hnn_team;
typedef void (*hnn_task)(void *shared, long task, int worker);

/* hnn_team_new - `threads` workers, the caller among them; 0: as many as there are processors, at most 64. Threads the
 * system refuses are done without. NULL: out of memory. */
HNN_HIDDEN hnn_team *hnn_team_new(int threads);
HNN_HIDDEN int hnn_team_size(const hnn_team *t);
HNN_HIDDEN void hnn_team_run(hnn_team *t, long tasks, hnn_task task,
                             void *shared); /* returns when all are done */
HNN_HIDDEN void hnn_team_free(hnn_team *t);

#endif
