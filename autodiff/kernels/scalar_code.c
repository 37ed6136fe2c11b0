/* scalar_code.c - the interpreter of scalar code for one lane: plain C, whose latency is lower than a vector's.
 * One object per instruction set and real type, as kernels.c; the bits are those of its lanes.
 *
 * SPDX-License-Identifier: MIT */
#define AD_PASTE2(a, b) a##b
#define AD_PASTE(a, b) AD_PASTE2(a, b)
#define AD_REAL_f64 0
#define AD_REAL_f32 1
#define AD_REAL_f80 2
#define AD_REAL_IS AD_PASTE(AD_REAL_, AD_KERNELS_REAL)
#define K(name) AD_PASTE(AD_PASTE(one_, AD_KERNELS_REAL), AD_PASTE(_, name))

#if AD_REAL_IS == 2
#include "ld.h"
#define LIBM(name) name##l
#else
#if AD_REAL_IS == 1
#define VREAL32 1
#define LIBM(name) name##f
#else
#define VREAL64 1
#define LIBM(name) name
#endif
#include "scalar.h"
#if defined(__x86_64__) && !defined(__FMA__) /* as the lanes of this instruction set compute it */
#undef HAS_FMA
#define HAS_FMA 0
#undef FMA
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
#include "vmath.h"
#endif

#include "kernels.h"

#include "k_value.h"

#define CODE_ONE 1
#include "k_code.h"

extern HIDDEN void AD_PASTE(AD_PASTE(ad_code_, AD_KERNELS_ISA),
                            AD_PASTE(_, AD_KERNELS_REAL))(void *, const int32_t *, int64_t);
void AD_PASTE(AD_PASTE(ad_code_, AD_KERNELS_ISA),
              AD_PASTE(_, AD_KERNELS_REAL))(void *numbers, const int32_t *code, int64_t lanes)
{
    (void)lanes;
    K(code)(numbers, code, 1);
}
