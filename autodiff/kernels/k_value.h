/* k_value.h - template: the value of every row of ops.def as a function of vectors, at any width.
 *
 * SPDX-License-Identifier: MIT */

#define C(c) V_SET1((REAL)(c))
#define LIBM1(f, x)                                                                                          \
    __extension__({                                                                                          \
        V in_ = (x), out_ = in_;                                                                             \
        for (int l_ = 0; l_ < W; l_++)                                                                       \
            SETLANE(out_, l_, LIBM(f)(LANE(in_, l_)));                                                       \
        out_;                                                                                                \
    })
#define LIBM2(f, x, y)                                                                                       \
    __extension__({                                                                                          \
        V in_ = (x), in2_ = (y), out_ = in_;                                                                 \
        for (int l_ = 0; l_ < W; l_++)                                                                       \
            SETLANE(out_, l_, LIBM(f)(LANE(in_, l_), LANE(in2_, l_)));                                       \
        out_;                                                                                                \
    })

#define UNARY(name, cost, value, rule, lo, hi)                                                               \
    static inline V K(f_##name)(V x) { return value; }
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    static inline V K(f_##name)(V a, V b) { return value; }
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    static inline V K(f_##name)(V a, V b, V c) { return value; }
#include "../ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
