/* nan.c - where a value that is not a number comes from.
 * Invariant: operands are recorded before their users, so the first node with a NaN made it from operands
 * without one.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"
#include "say.h"

#include <math.h>
#include <stdio.h>

/* Who a node is: input "q", ad_exp (node 3), result 2 of ad_scan (node 7). */
static void say_who(ad_text *b, ad_tape *t, int32_t id)
{
    const ad_node *n = ad_at_id(t, id);
    if (n->op == OP_RESULT) {
        if (ad_object_of(t, n)->nout > 1)
            ad_say(b, "result %d of ", ad_attrs(t, n)[0] + 1);
        id = ad_args(t, n)[0];
        n = ad_at_id(t, id);
    }
    if (n->op == OP_INPUT) {
        ad_say(b, "input \"");
        ad_say_name(b, t->input[n->arg[0]].name);
        ad_say(b, "\"");
    } else if (ad_ops[n->op].kind == AD_LEAF) {
        ad_say(b, "constant (node %d)", id);
    } else {
        ad_say(b, "ad_%s (node %d)", ad_call_name(t, n), id);
    }
}

static void say_place(ad_text *b, int64_t rows, int64_t cols, int64_t at)
{
    if (rows * cols > 1)
        ad_say(b, " in row %lld, column %lld", (long long)(at / cols), (long long)(at % cols));
}

/* An operand of an elementwise operation: its number where the result is NaN. */
static void say_element(ad_text *b, ad_tape *t, int32_t id, int64_t batch, int64_t row, int64_t col)
{
    const ad_node *o = ad_at_id(t, id);
    int64_t rows = ad_rows_at(o->rows, batch);
    double v = t->val[id][(rows == 1 ? 0 : row) * o->cols + (o->cols == 1 ? 0 : col)];
    char s[32];
    for (int digits = 6; digits <= 17; digits++) { /* the fewest that give the number back */
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    ad_say(b, "%s", s);
    if (ad_ops[o->op].kind != AD_LEAF || o->op == OP_INPUT) {
        ad_say(b, " from ");
        say_who(b, t, id);
    }
}

/* An operand of any other operation: its first infinity, or its range. */
static void say_range(ad_text *b, ad_tape *t, int32_t id, int64_t batch)
{
    const ad_node *o = ad_at_id(t, id);
    int64_t rows = ad_rows_at(o->rows, batch), size = rows * o->cols;
    const double *v = t->val[id];
    double lo = v[0], hi = v[0];
    char shape[32];
    say_who(b, t, id);
    ad_say(b, " %s", ad_shape_text(shape, o->rows, o->cols));
    for (int64_t i = 0; i < size; i++) {
        if (isinf(v[i])) {
            ad_say(b, " with %g", v[i]);
            say_place(b, rows, o->cols, i);
            return;
        }
        lo = v[i] < lo ? v[i] : lo;
        hi = v[i] > hi ? v[i] : hi;
    }
    ad_say(b, " between %g and %g", lo, hi);
}

static char *sentence(ad_tape *t, int32_t id, int64_t batch, int64_t at)
{
    const ad_node *n = ad_at_id(t, id), *of = n->op == OP_RESULT ? ad_at_id(t, ad_args(t, n)[0]) : n;
    const int32_t *a = ad_args(t, of);
    int nargs = ad_nargs(t, of);
    bool elementwise = ad_ops[n->op].kind == AD_ELEMENTWISE;
    ad_text b = {0};
    say_who(&b, t, id);
    ad_say(&b, " is NaN");
    say_place(&b, ad_rows_at(n->rows, batch), n->cols, at);
    if (n->op == OP_INPUT)
        ad_say(&b, ": ad_set gave it so");
    for (int i = 0; i < nargs && i < 8; i++) {
        ad_say(&b, "%s", i == 0 ? ": " : i == nargs - 1 ? " and " : ", ");
        ad_say(&b, nargs == 1 ? "its operand is " : "operand %d is ", i + 1);
        if (elementwise)
            say_element(&b, t, a[i], batch, at / n->cols, at % n->cols);
        else
            say_range(&b, t, a[i], batch);
    }
    if (nargs > 8)
        ad_say(&b, " and %d more", nargs - 8);
    char *s = ad_said(&b);
    if (!s)
        ad_fail(t, AD_ENOMEM, "ad_first_nan: out of memory");
    return s;
}

char *ad_first_nan(ad_var x)
{
    ad_tape *t;
    int32_t count;
    if (!ad_value(x)) /* an error, or a number */
        return NULL;
    uint8_t *need = ad_needed("ad_first_nan", 1, &x, &t, &count);
    if (!need)
        return NULL;
    int64_t batch = ad_bound_batch(t, need, count);
    char *s = NULL;
    for (int32_t id = 0, found = 0; id < count && !found; id++) {
        if (!need[id])
            continue;
        const ad_node *n = ad_at_id(t, id);
        int64_t size =
            ad_is_object(n->op) ? 0 : ad_rows_at(n->rows, batch) * n->cols; /* its results follow */
        for (int64_t i = 0; i < size && !found; i++)
            if (isnan(t->val[id][i])) {
                s = sentence(t, id, batch, i);
                found = 1;
            }
    }
    free(need);
    return s;
}
