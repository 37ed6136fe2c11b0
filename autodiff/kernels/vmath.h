/* vmath.h - the elementary functions of the engine, over the vocabulary of vec.h or scalar.h.
 *
 * Include one prelude first. To embed the text elsewhere take the prelude and then the three files
 * below in this order; they include nothing. Invariant: only IEEE operations, fused multiply-adds
 * and integer operations on one lane, so with HAS_FMA a result has the same bits at every width and
 * in plain C (a NaN is a NaN: its sign and payload are not promised). Rounding is to nearest.
 */
/* SPDX-License-Identifier: MIT */
#if !defined(AD_KERNELS_VMATH_H) || defined(VEC_AGAIN)
#define AD_KERNELS_VMATH_H
#include "vmath_exp.h"
#include "vmath_more.h"
#include "vmath_trig.h"
#endif
