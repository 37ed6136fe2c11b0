/* leaf.c - inputs and their names, constants.
 * Invariant: inputs have names, each once; they are never shared, constants of equal bits are.
 *
 * SPDX-License-Identifier: MIT */
#include "tape.h"

/* Where the inputs begin whose names have the same hash. */
static int32_t *named(const ad_tape *t, const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u; /* FNV-1a */
    return &t->named[(h ^ h >> 16) & (uint32_t)(t->named_size - 1)];
}

/* Room for one more input and its name. */
static bool room_for_input(ad_tape *t)
{
    if (t->ninputs < t->inputs_cap)
        return true;
    int32_t cap = t->inputs_cap ? 2 * t->inputs_cap : 8;
    ad_inp *in = realloc(t->input, (size_t)cap * sizeof *in);
    t->input = in ? in : t->input;
    int32_t *hashes = calloc((size_t)cap, sizeof *hashes);
    if (!in || !hashes) {
        free(hashes);
        return false;
    }
    free(t->named);
    t->named = hashes;
    t->named_size = t->inputs_cap = cap;
    for (int32_t i = 0; i < t->ninputs; i++) {
        int32_t *last = named(t, in[i].name);
        in[i].next = *last;
        *last = i + 1;
    }
    return true;
}

void ad_inputs_cut(ad_tape *t, int32_t to)
{
    for (; t->ninputs > to; t->ninputs--) {
        const ad_inp *in = &t->input[t->ninputs - 1];
        *named(t, in->name) = in->next; /* the last of its hash */
        free(in->name);
        free(in->value);
    }
}

const char *ad_name(ad_var x)
{
    if (ad_is_number(x))
        return "number";
    const ad_node *n = ad_node_of(x);
    if (!n)
        return "void";
    return n->op == OP_INPUT && n->arg[0] >= 0 ? x.tape->input[n->arg[0]].name : ad_ops[n->op].name;
}
int ad_inputs(const ad_tape *t) { return ad_real_tape(t) ? t->ninputs : 0; }
ad_var ad_input_at(ad_tape *t, int i)
{
    if (!ad_real_tape(t) || i < 0 || i >= t->ninputs)
        return ad_fail(t, AD_EARG, "ad_input_at: input %d of %d", i, ad_inputs(t));
    return ad_var_of(t, t->input[i].id);
}
ad_var ad_find(ad_tape *t, const char *name)
{
    if (ad_real_tape(t) && name && t->ninputs)
        for (int32_t i = *named(t, name); i; i = t->input[i - 1].next)
            if (!strcmp(t->input[i - 1].name, name))
                return ad_var_of(t, t->input[i - 1].id);
    return ad_void(t);
}

static bool good_shape(ad_tape *t, const char *who, int rows, int cols)
{
    char s[32];
    if (rows != 0 && cols > 0)
        return true;
    ad_fail(t, AD_ESHAPE, "%s: shape %s; rows must be a number >= 1 or AD_BATCH, columns >= 1", who,
            ad_shape_text(s, rows, cols));
    return false;
}

ad_var ad_input(ad_tape *t, const char *name, int rows, int cols)
{
    if (!ad_real_tape(t) || t->status)
        return ad_void(t);
    if (!name || !*name)
        return ad_fail(t, AD_ENAME, "ad_input: an input needs a name");
    if (!good_shape(t, "ad_input", rows, cols))
        return ad_void(t);
    if (!ad_is_void(ad_find(t, name)))
        return ad_fail(t, AD_ENAME, "ad_input: the name \"%.60s\" is taken", name);
    if (!room_for_input(t))
        return ad_fail(t, AD_ENOMEM, "ad_input: out of memory");
    size_t len = strlen(name) + 1;
    char *copy = malloc(len);
    if (!copy)
        return ad_fail(t, AD_ENOMEM, "ad_input: out of memory");
    memcpy(copy, name, len);
    ad_var v = ad_push(t, OP_INPUT, rows, cols, 0, NULL, 1, &t->ninputs);
    if (v.id < 0) {
        free(copy);
        return v;
    }
    int32_t *last = named(t, copy);
    t->input[t->ninputs++] = (ad_inp){.name = copy, .id = v.id, .next = *last};
    *last = t->ninputs;
    return v;
}

ad_var ad_fill(ad_tape *t, int rows, int cols, double value)
{
    if (!ad_real_tape(t) || t->status || !good_shape(t, "ad_fill", rows, cols))
        return ad_void(t);
    return ad_record_fill(t, rows, cols, value);
}

ad_var ad_const(ad_tape *t, int rows, int cols, const double values[])
{
    if (!ad_real_tape(t) || t->status || !good_shape(t, "ad_const", rows, cols))
        return ad_void(t);
    if (rows < 0)
        return ad_fail(t, AD_ESHAPE,
                       "ad_const: a constant has a fixed number of rows (ad_fill may have AD_BATCH)");
    if (!values)
        return ad_fail(t, AD_EARG, "ad_const: no values");
    if (rows == 1 && cols == 1)
        return ad_fill(t, 1, 1, values[0]);
    int64_t at = ad_add_values(t, (int64_t)rows * cols, values);
    if (at < 0)
        return ad_fail(t, AD_ENOMEM, "ad_const: out of memory for [%d,%d]", rows, cols);
    int32_t attr[2] = {(int32_t)(at & 0x3fffffff), (int32_t)(at >> 30)};
    return ad_push(t, OP_CONST, rows, cols, 0, NULL, 2, attr);
}

ad_var ad_eye(ad_tape *t, int n)
{
    if (!ad_real_tape(t) || t->status || !good_shape(t, "ad_eye", n, n))
        return ad_void(t);
    if (n < 0)
        return ad_fail(t, AD_ESHAPE, "ad_eye: size %d; needs a number >= 1", n);
    return ad_push(t, OP_EYE, n, n, 0, NULL, 0, NULL);
}
