/* isa.c - which table of kernels this processor runs. Invariant: read from the processor and NOETHER_ISA at every call, so
 * there is no state. */
/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

extern HNN_HIDDEN const hnn_linalg_kernels hnn_linalg_kernels_base;
#if defined(HNN_LINALG_X86)
extern HNN_HIDDEN const hnn_linalg_kernels hnn_linalg_kernels_v3, hnn_linalg_kernels_v4;
#endif

const hnn_linalg_kernels *hnn_linalg_kernels_here(void)
{
#if defined(HNN_LINALG_X86)
    const char *ask = getenv("NOETHER_ISA");
    int most = ask && !strcmp(ask, "base") ? 0 : ask && !strcmp(ask, "v3") ? 3 : 4;
    if (most >= 3 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return most == 4 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
                   ? &hnn_linalg_kernels_v4
                   : &hnn_linalg_kernels_v3;
#endif
    return &hnn_linalg_kernels_base;
}
