/* vmath_isa.c - the kernel side of test_vmath.c, compiled once per instruction set and real type.
 *
 * Every function of kernels/vmath.h over an array at 1, 2, 4, 8 and 16 lanes as far as registers go; the f80 object, a type
 * without a vector form, holds the plain C form for float instead. The file includes itself once per
 * width with every name of the prelude and of vmath.h carrying the width. Invariant: one exported
 * table per object. By hand, for each: cc -O3 -ffp-contract=off -march=x86-64-v4
 *     -DAD_KERNELS_ISA=v4 -DAD_KERNELS_REAL=f64 -c tests/vmath_isa.c
 */
/* SPDX-License-Identifier: MIT */
#ifndef LANES
#include "vmath_test.h"

#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define KIND_f64 64
#define KIND_f32 32
#define KIND_f80 80
#define KIND PASTE(KIND_, AD_KERNELS_REAL, )

#if KIND == 80
#define VREAL32 1
#include "../autodiff/kernels/scalar.h"

#include "../autodiff/kernels/vmath.h"
#define VMATH_AT(name) name
VMATH_EACH(VMATH_RUN)
VMATH_RUN_BOTH
#define ROW(f) run_##f,
const struct vmath_table vmath_table_scalar_f32 = {1, {{VMATH_EACH(ROW)}}, {run_both}};

#else
#if KIND == 64
#define VREAL64 1
#else
#define VREAL32 1
#endif
#define VEC_AGAIN 1
#define VMATH_AT(name) PASTE(name, _w, LANES)
#define ABS VMATH_AT(ABS)
#define ANY VMATH_AT(ANY)
#define COPYSIGN VMATH_AT(COPYSIGN)
#define EQ VMATH_AT(EQ)
#define FMA VMATH_AT(FMA)
#define FUSED VMATH_AT(FUSED)
#define GE VMATH_AT(GE)
#define GT VMATH_AT(GT)
#define I VMATH_AT(I)
#define IEQ VMATH_AT(IEQ)
#define ISEL VMATH_AT(ISEL)
#define ITEST VMATH_AT(ITEST)
#define I_SET1 VMATH_AT(I_SET1)
#define LE VMATH_AT(LE)
#define LT VMATH_AT(LT)
#define M VMATH_AT(M)
#define MLANE VMATH_AT(MLANE)
#define NE VMATH_AT(NE)
#define SEL VMATH_AT(SEL)
#define SQRT VMATH_AT(SQRT)
#define U VMATH_AT(U)
#define U_SET1 VMATH_AT(U_SET1)
#define V VMATH_AT(V)
#define V_LDEXP VMATH_AT(V_LDEXP)
#define V_LOAD VMATH_AT(V_LOAD)
#define V_LOADN VMATH_AT(V_LOADN)
#define V_MAX VMATH_AT(V_MAX)
#define V_MIN VMATH_AT(V_MIN)
#define V_POW2 VMATH_AT(V_POW2)
#define V_RINT VMATH_AT(V_RINT)
#define V_SET1 VMATH_AT(V_SET1)
#define V_STORE VMATH_AT(V_STORE)
#define V_STOREN VMATH_AT(V_STOREN)
#define vec_first VMATH_AT(vec_first)
#define vec_unaligned VMATH_AT(vec_unaligned)
#define vm_acos VMATH_AT(vm_acos)
#define vm_acosh VMATH_AT(vm_acosh)
#define vm_asin VMATH_AT(vm_asin)
#define vm_asinh VMATH_AT(vm_asinh)
#define vm_atan VMATH_AT(vm_atan)
#define vm_atan_ratio VMATH_AT(vm_atan_ratio)
#define vm_atanh VMATH_AT(vm_atanh)
#define vm_cos VMATH_AT(vm_cos)
#define vm_cos_kernel VMATH_AT(vm_cos_kernel)
#define vm_cosh VMATH_AT(vm_cosh)
#define vm_erf VMATH_AT(vm_erf)
#define vm_erfc VMATH_AT(vm_erfc)
#define vm_erfc_tail VMATH_AT(vm_erfc_tail)
#define vm_exp VMATH_AT(vm_exp)
#define vm_exp_parts VMATH_AT(vm_exp_parts)
#define vm_exp_parts_low VMATH_AT(vm_exp_parts_low)
#define vm_expm1 VMATH_AT(vm_expm1)
#define vm_expm1_quarter VMATH_AT(vm_expm1_quarter)
#define vm_log VMATH_AT(vm_log)
#define vm_log1p VMATH_AT(vm_log1p)
#define vm_log_edges VMATH_AT(vm_log_edges)
#define vm_log_parts VMATH_AT(vm_log_parts)
#define vm_log_sum VMATH_AT(vm_log_sum)
#define vm_mul_wide VMATH_AT(vm_mul_wide)
#define vm_payne_hanek VMATH_AT(vm_payne_hanek)
#define vm_poly_atan VMATH_AT(vm_poly_atan)
#define vm_poly_cos VMATH_AT(vm_poly_cos)
#define vm_poly_erf VMATH_AT(vm_poly_erf)
#define vm_poly_erfc VMATH_AT(vm_poly_erfc)
#define vm_poly_exp VMATH_AT(vm_poly_exp)
#define vm_poly_log VMATH_AT(vm_poly_log)
#define vm_poly_sin VMATH_AT(vm_poly_sin)
#define vm_sech2 VMATH_AT(vm_sech2)
#define vm_sigmoid VMATH_AT(vm_sigmoid)
#define vm_sin VMATH_AT(vm_sin)
#define vm_sin_kernel VMATH_AT(vm_sin_kernel)
#define vm_sincos VMATH_AT(vm_sincos)
#define vm_sinh VMATH_AT(vm_sinh)
#define vm_softplus VMATH_AT(vm_softplus)
#define vm_tan VMATH_AT(vm_tan)
#define vm_tanh VMATH_AT(vm_tanh)
#define vm_tanh_sech2 VMATH_AT(vm_tanh_sech2)
#define vm_trig_reduce VMATH_AT(vm_trig_reduce)
#if defined(__AVX512F__)
#define REGISTER 512
#elif defined(__AVX2__)
#define REGISTER 256
#else
#define REGISTER 128
#endif
/* A width beyond the registers is not compiled: its row repeats the widest one that fits. */
#define LANES 1
#include "vmath_isa.c"
#define ROW1(f) run_##f##_w1,
#define BOTH1 run_both_w1
#define LANES 2
#include "vmath_isa.c"
#define ROW2(f) run_##f##_w2,
#define BOTH2 run_both_w2
#if 4 * KIND <= REGISTER
#define LANES 4
#include "vmath_isa.c"
#define ROW4(f) run_##f##_w4,
#define BOTH4 run_both_w4
#else
#define ROW4 ROW2
#define BOTH4 BOTH2
#endif
#if 8 * KIND <= REGISTER
#define LANES 8
#include "vmath_isa.c"
#define ROW8(f) run_##f##_w8,
#define BOTH8 run_both_w8
#else
#define ROW8 ROW4
#define BOTH8 BOTH4
#endif
#if 16 * KIND <= REGISTER
#define LANES 16
#include "vmath_isa.c"
#define ROW16(f) run_##f##_w16,
#define BOTH16 run_both_w16
#else
#define ROW16 ROW8
#define BOTH16 BOTH8
#endif

const struct vmath_table PASTE(PASTE(vmath_table_, AD_KERNELS_ISA, _), AD_KERNELS_REAL, ) = {
    HAS_FMA,
    {{VMATH_EACH(ROW1)}, {VMATH_EACH(ROW2)}, {VMATH_EACH(ROW4)}, {VMATH_EACH(ROW8)}, {VMATH_EACH(ROW16)}},
    {BOTH1, BOTH2, BOTH4, BOTH8, BOTH16}};
#endif

#else
#include "../autodiff/kernels/vec.h"

#include "../autodiff/kernels/vmath.h"
VMATH_EACH(VMATH_RUN)
VMATH_RUN_BOTH
#undef LANES
#endif
