/* k_code.h - template: the interpreter of scalar code. Code is groups of an operation and a count, then so many tuples
 * of indices: result, operands. OP_INPUT ends it. Index i stands for the `lanes` numbers from file[i * lanes] on; lanes is
 * a multiple of the width. One jump a group, none inside it.
 *
 * SPDX-License-Identifier: MIT */

#if defined(CODE_ONE) /* lanes is 1: nothing to multiply, nothing to loop over */
#define AT(k) (file + code[k])
#define LANES_OF(l) for (int l = 0; l < 1; l++)
#else
#define AT(k) (file + (int64_t)code[k] * lanes)
#define LANES_OF(l) for (int64_t l = 0; l < lanes; l += W)
#endif
#define EACH(size, value)                                                                                    \
    {                                                                                                        \
        int32_t n = code[1];                                                                                 \
        code += 2;                                                                                           \
        do {                                                                                                 \
            REAL *d = AT(0);                                                                                 \
            LANES_OF(l)                                                                                      \
            V_STORE(d + l, value);                                                                           \
            code += size;                                                                                    \
        } while (--n);                                                                                       \
        goto *to[code[0]];                                                                                   \
    }

static void K(code)(void *numbers, const int32_t *code, int64_t lanes)
{
    REAL *file = numbers;
    (void)lanes;
    static const void *const to[OP_COUNT_] = {
        [OP_INPUT] = &&done,
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = &&do_##name,
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = &&do_##name,
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) [OP_##name] = &&do_##name,
#include "../ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
        [OP_STOP] = &&do_copy,
    };
    goto *to[code[0]];
#define UNARY(name, cost, value, rule, lo, hi) do_##name : EACH(2, K(f_##name)(V_LOAD(AT(1) + l)))
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi)                                                    \
    do_##name : EACH(3, K(f_##name)(V_LOAD(AT(1) + l), V_LOAD(AT(2) + l)))
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi)                                           \
    do_##name : EACH(4, K(f_##name)(V_LOAD(AT(1) + l), V_LOAD(AT(2) + l), V_LOAD(AT(3) + l)))
#include "../ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
do_copy:
    EACH(2, V_LOAD(AT(1) + l))
done:
    return;
}
#undef AT
#undef LANES_OF
#undef EACH
