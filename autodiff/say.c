/* say.c - a text that grows, and how a node is written in one.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include "object.h"

#include <stdio.h>

void ad_unsay(ad_text *b)
{
    free(b->s);
    *b = (ad_text){.failed = true};
}

char *ad_said(ad_text *b)
{
    ad_say(b, "%s", ""); /* even an empty text is one */
    return b->failed ? NULL : b->s;
}

static bool more(ad_text *b, size_t bytes)
{
    if (b->failed)
        return false;
    if (b->n + bytes < b->room)
        return true;
    size_t room = 2 * (b->n + bytes + 64);
    char *s = realloc(b->s, room);
    if (!s) {
        ad_unsay(b);
        return false;
    }
    b->s = s;
    b->room = room;
    return true;
}

void ad_say(ad_text *b, const char *format, ...)
{
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n >= 0 && more(b, (size_t)n + 1)) {
        vsnprintf(b->s + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void ad_say_to(ad_text *b, size_t column)
{
    size_t start = b->n;
    while (start > 0 && b->s[start - 1] != '\n')
        start--;
    size_t at = b->n - start;
    ad_say(b, "%*s", (int)(at + 2 > column ? 2 : column - at), "");
}

void ad_say_number(ad_text *b, double v)
{
    if (v != v) /* its sign depends on the processor */
        ad_say(b, "nan");
    else
        ad_say(b, "%.6g", v);
}

void ad_say_name(ad_text *b, const char *name)
{
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        if (c == '"' || c == '\\')
            ad_say(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            ad_say(b, "\\x%02x", c);
        else
            ad_say(b, "%c", c);
    }
}

void ad_say_operand(ad_text *b, ad_tape *t, int32_t id)
{
    const ad_node *n = ad_at_id(t, id);
    if (n->op == OP_INPUT)
        ad_say_name(b, t->input[n->arg[0]].name);
    else if (n->op == OP_FILL && n->rows == 1 && n->cols == 1)
        ad_say_number(b, t->values[n->arg[0]]);
    else
        ad_say(b, "%%%d", id);
}

const char *ad_call_name(const ad_tape *t, const ad_node *n)
{
    static const char *const matmul[4] = {"matmul", "matmul_tn", "matmul_nt", "matmul_tt"};
    const int32_t *at = ad_attrs(t, n);
    return n->op == OP_MATMUL ? matmul[(at[0] != 0) + 2 * (at[1] != 0)] : ad_ops[n->op].name;
}

/* The integers of the call: those of ad.h, in its order. */
static int integers(const ad_tape *t, const ad_node *n, int32_t out[5])
{
    const int32_t *at = ad_attrs(t, n);
    const ad_node *a = ad_nargs(t, n) ? ad_at_id(t, ad_args(t, n)[0]) : n;
    int count = 0;
    switch (n->op) {
    case OP_MATMUL:
    case OP_INPUT:
    case OP_CONST:
        break;
    case OP_RESHAPE:
    case OP_EXPAND:
        out[count++] = n->rows;
        out[count++] = n->cols;
        break;
    case OP_SLICE: {
        const int32_t call[4] = {at[0], n->rows, at[1], n->cols};
        memcpy(out, call, sizeof call);
        count = 4;
        break;
    }
    case OP_PAD: {
        const int32_t call[4] = {at[0], n->rows - a->rows - at[0], at[1], n->cols - a->cols - at[1]};
        memcpy(out, call, sizeof call);
        count = 4;
        break;
    }
    default:
        for (; count < n->nattr && count < 5; count++)
            out[count] = at[count];
    }
    return count;
}

void ad_say_call(ad_text *b, ad_tape *t, int32_t id)
{
    const ad_node *n = ad_at_id(t, id);
    const int32_t *a = ad_args(t, n);
    int nargs = ad_nargs(t, n);
    if (n->op == OP_RESULT) {
        ad_say(b, "result %d of %%%d", ad_attrs(t, n)[0] + 1, a[0]);
        return;
    }
    ad_say(b, "%s", ad_call_name(t, n));
    if (ad_is_object(n->op))
        ad_say_object(b, ad_object_of(t, n));
    if (nargs == 0)
        return;
    for (int i = 0; i < nargs; i++) {
        ad_say(b, i ? ", " : "(");
        if (nargs > 8 && i == 4) { /* a long sum: its beginning and its end */
            ad_say(b, "... %d more ..., ", nargs - 6);
            i = nargs - 2;
        }
        ad_say_operand(b, t, a[i]);
    }
    int32_t k[5];
    int count = ad_is_object(n->op) ? 0 : integers(t, n, k);
    bool index = n->op >= OP_GATHER_COLS && n->op <= OP_SCATTER_ROWS;
    for (int i = 0; i < count; i++) {
        ad_say(b, index && i == 0 ? "; " : ", ");
        if (i == 4 && n->nattr > 5)
            ad_say(b, "... %d indices", n->nattr);
        else if (k[i] < -1) /* rows of a batch */
            ad_say(b, "%dB", -k[i]);
        else
            ad_say(b, k[i] < 0 ? "B" : "%d", k[i]);
    }
    ad_say(b, ")");
}

/* Up to six numbers are written out; of more, the beginning and the last of a row, and the first rows. */
void ad_say_matrix(ad_text *b, int64_t rows, int64_t cols, const double v[])
{
    if (rows * cols == 1) {
        ad_say_number(b, v[0]);
        return;
    }
    bool all = rows * cols <= 6;
    ad_say(b, "[");
    for (int64_t i = 0; i < rows; i++) {
        if (!all && i == 2) {
            ad_say(b, "; ...");
            break;
        }
        ad_say(b, i ? "; " : "");
        for (int64_t j = 0; j < cols; j++) {
            if (!all && cols > 4 && j == 2) {
                ad_say(b, " ...");
                j = cols - 1;
            }
            ad_say(b, j ? " " : "");
            ad_say_number(b, v[i * cols + j]);
        }
    }
    ad_say(b, "]");
}

uint8_t *ad_needed(const char *who, int n, const ad_var x[], ad_tape **tape, int32_t *count)
{
    ad_tape *t = NULL;
    *count = 0;
    *tape = NULL;
    for (int i = 0; i < n; i++) {
        ad_tape *u = x[i].tape;
        if (ad_is_number(x[i]))
            continue; /* it depends on nothing */
        if (ad_is_void(x[i])) {
            ad_fail(u, AD_ESTALE, "%s: value %d is void or was removed by ad_rewind", who, i + 1);
            return NULL;
        }
        if (t && u != t) {
            ad_fail(t, AD_ETAPE, "%s: value %d is on another tape", who, i + 1);
            return NULL;
        }
        t = u;
        if (x[i].id >= *count)
            *count = x[i].id + 1;
    }
    if (!t)
        return NULL;
    uint8_t *need = calloc((size_t)*count, 1);
    if (!need) {
        ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        if (!ad_is_number(x[i]))
            need[x[i].id] = 1;
    for (int32_t id = *count - 1; id >= 0; id--) {
        if (!need[id])
            continue;
        const ad_node *node = ad_at_id(t, id);
        const int32_t *a = ad_args(t, node);
        for (int i = 0, m = ad_nargs(t, node); i < m; i++)
            need[a[i]] = 1;
    }
    *tape = t;
    return need;
}

int64_t ad_bound_batch(const ad_tape *t, const uint8_t need[], int32_t count)
{
    int64_t other = 1;
    for (int32_t i = t->ninputs - 1; i >= 0; i--) {
        const ad_inp *in = &t->input[i];
        int32_t rows = ad_at_id(t, in->id)->rows;
        if (!in->value || rows > 0)
            continue;
        other = in->rows_bound / -rows;
        if (in->id < count && need[in->id])
            return other;
    }
    return other;
}
