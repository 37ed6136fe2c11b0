/* torch.h - PyTorch in a process of its own, as one side of a ratio: torch_peer.py started once, asked over pipes.
 *
 * It inherits the processor this process is pinned to, has one thread, and the allocator's settings without which glibc
 * gives every large tensor back to the system. Where Python or PyTorch is missing, peer_torch_new returns NULL.
 * SPDX-License-Identifier: MIT */
#ifndef PEER_TORCH_H
#define PEER_TORCH_H

typedef struct peer_torch peer_torch;
/* script: the path of torch_peer.py. version gets that of PyTorch and the file of its BLAS. */
peer_torch *peer_torch_new(const char *script, char version[64]);
void peer_torch_free(peer_torch *t);
/* Data of the function `name`: `count` arrays of so many doubles. real: "f64" or "f32". 0, or not 0 on failure. */
int peer_torch_problem(peer_torch *t, const char *name, const char *real, int count,
                       const double *const array[], const int size[]);
/* Evaluates `work` once and makes it what is timed: n results into out, 0; not 0 when it has another number of them. */
int peer_torch_work(peer_torch *t, const char *work, int n, double out[]);
/* Processor seconds of `repeat` evaluations, negative on failure. */
double peer_torch_time(void *t, long repeat);

#endif
