/* kernels.c - one object per instruction set and real type; the build gives AD_KERNELS_ISA and _REAL.
 *
 * SPDX-License-Identifier: MIT */
#define AD_PASTE2(a, b) a##b
#define AD_PASTE(a, b) AD_PASTE2(a, b)
#define AD_REAL_f64 0
#define AD_REAL_f32 1
#define AD_REAL_f80 2
#define AD_REAL_IS AD_PASTE(AD_REAL_, AD_KERNELS_REAL)
#define AD_STRING2(x) #x
#define AD_STRING(x) AD_STRING2(x)
#define K(name) AD_PASTE(AD_PASTE(k_, AD_KERNELS_REAL), AD_PASTE(_, name))

#if AD_REAL_IS == 2
#include "ld.h"
#define LIBM(name) name##l
#else
#if defined(__AVX512F__)
#define AD_VECTOR 64
#elif defined(__AVX2__)
#define AD_VECTOR 32
#else
#define AD_VECTOR 16
#endif
#if AD_REAL_IS == 1
#define VREAL32 1
#define LANES (AD_VECTOR / 4)
#define LIBM(name) name##f
#else
#define VREAL64 1
#define LANES (AD_VECTOR / 8)
#define LIBM(name) name
#endif
#include "vec.h"

#include "vmath.h"
#endif

#include "kernels.h"

#include <math.h>

#include "matmul.h"

#include "k_value.h"

#include "k_elementwise.h"

#include "k_code.h"

#include "k_shape.h"

#include "k_dense.h"

extern HIDDEN void AD_PASTE(AD_PASTE(ad_code_, AD_KERNELS_ISA),
                            AD_PASTE(_, AD_KERNELS_REAL))(void *, const int32_t *, int64_t);
extern HIDDEN const ad_kernels AD_PASTE(AD_PASTE(ad_kernels_, AD_KERNELS_ISA), AD_PASTE(_, AD_KERNELS_REAL));
const ad_kernels
    AD_PASTE(AD_PASTE(ad_kernels_, AD_KERNELS_ISA), AD_PASTE(_, AD_KERNELS_REAL)) =
        {
            .isa = AD_STRING(AD_KERNELS_ISA),
            .real = AD_REAL_IS,
            .size = sizeof(REAL),
            .fma = HAS_FMA,
            .run =
                {
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = K(name),
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = K(name),
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) [OP_##name] = K(name),
#include "../ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
                    [OP_ADD_N] = K(add_n),
                    [OP_EYE] = K(eye),
                    [OP_STOP] = K(copy),
                    [OP_SUM_ROWS] = K(sum_rows),
                    [OP_SUM_COLS] = K(sum_cols),
                    [OP_COUNT] = K(count),
                    [OP_LOGSUMEXP] = K(logsumexp),
                    [OP_NORM] = K(norm),
                    [OP_RESHAPE] = K(copy),
                    [OP_EXPAND] = K(expand),
                    [OP_SLICE] = K(slice),
                    [OP_PAD] = K(pad),
                    [OP_CONCAT_ROWS] = K(concat_rows),
                    [OP_CONCAT_COLS] = K(concat_cols),
                    [OP_GATHER_COLS] = K(gather_cols),
                    [OP_GATHER_ROWS] = K(gather_rows),
                    [OP_SCATTER_COLS] = K(scatter_cols),
                    [OP_SCATTER_ROWS] = K(scatter_rows),
                    [OP_TRANSPOSE] = K(transpose),
                    [OP_MATMUL] = K(op_matmul),
                    [OP_ROW_MATMUL] = K(row_matmul),
                    [OP_ROW_TRANSPOSE] = K(row_transpose),
                    [OP_ROW_SOLVE] = K(row_solve),
                    [OP_ROW_TRISOLVE] = K(row_trisolve),
                    [OP_ROW_CHOLESKY] = K(row_cholesky),
                    [OP_ROW_LOGDET] = K(row_logdet),
                    [OP_CALL] = ad_object_run,
                    [OP_SCAN] = ad_object_run,
                    [OP_SCAN_BACK] = ad_object_run,
                    [OP_ROOT] = ad_object_run,
                    [OP_CUSTOM] = ad_object_run,
                    [OP_RESULT] = K(result),
                },
            .tanh_pair = K(tanh_pair),
            .code_lanes = K(code),
            .code_one = AD_PASTE(AD_PASTE(ad_code_, AD_KERNELS_ISA), AD_PASTE(_, AD_KERNELS_REAL)),
            .lanes = W,
            .matmul_rows = K(matmul_rows),
            .matmul = K(matmul_any),
            .pack_size = K(matmul_pack_size),
            .pack = K(pack_any),
            .packed = K(packed_any),
};
