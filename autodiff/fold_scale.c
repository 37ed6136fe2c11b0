/* fold_scale.c - products with literals that are gone: 1 x, and 0.5 (2 x) as the derivative of x^2 / 2 has it.
 * Contract: the value keeps its bits, except that (1/d) (d x), d a power of two, is x where d x overflows to infinity on the way
 * (|x| above 2^1013).
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

#include <math.h>

enum { LARGEST = 1024 }; /* of the d above */

/* The number of a constant [1,1]. */
static bool literal(const ad_ir *ir, const ad_node *n, double *v)
{
    if (n->op != OP_CONST || n->rows != 1 || n->cols != 1 || ir->k->real == AD_F80)
        return false;
    const char *at = ir->consts + (size_t)ad_const_at(n->arg) * ir->k->size;
    float single;
    if (ir->k->real == AD_F32)
        memcpy(&single, at, sizeof single);
    else
        memcpy(v, at, sizeof *v);
    if (ir->k->real == AD_F32)
        *v = single;
    return true;
}

/* The operand of a product that is not a literal; -1 when neither or both are. */
static int32_t scaled(const ad_ir *ir, const ad_node *n, double *by)
{
    for (int k = 0; k < 2 && n->op == OP_mul; k++)
        if (literal(ir, &ir->node[n->arg[k]], by) && ir->node[n->arg[1 - k]].op != OP_CONST)
            return n->arg[1 - k];
    return -1;
}

/* The node that n equals; -1: none. */
int32_t ad_fold_scale(const ad_ir *ir, const ad_node *n)
{
    double c, d;
    int e;
    int32_t x = scaled(ir, n, &c);
    if (x >= 0 && c != 1) {
        x = scaled(ir, &ir->node[x], &d);
        if (x >= 0 && (c * d != 1 || !(fabs(d) > 1 && fabs(d) <= LARGEST) || fabs(frexp(d, &e)) != 0.5))
            x = -1;
    }
    return x >= 0 && ir->node[x].rows == n->rows && ir->node[x].cols == n->cols ? x : -1;
}
