/* value.c - evaluation of one node at a time: for teaching, debugging, and as the oracle of programs.
 * Values are kept with the tape until an input changes; the kernels are those that programs use.
 *
 * SPDX-License-Identifier: MIT */
#include "eval.h"
#include "object.h"
#include "program.h"

#include <math.h>

extern HIDDEN const ad_kernels ad_kernels_base_f64, ad_kernels_base_f32, ad_kernels_base_f80;
#if defined(__x86_64__)
extern HIDDEN const ad_kernels ad_kernels_v3_f64, ad_kernels_v3_f32, ad_kernels_v4_f64, ad_kernels_v4_f32;
#endif

const ad_kernels *ad_kernels_for(int real)
{
    if (real == AD_F80)
        return &ad_kernels_base_f80;
    int level = 0;
#if defined(__x86_64__)
    const char *ask = getenv("NOETHER_ISA");
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        level = 1;
    if (level && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        level = 2;
    if (ask && level > 1 && !strcmp(ask, "v3"))
        level = 1;
    if (ask && !strcmp(ask, "base"))
        level = 0;
    static const ad_kernels *const table[2][3] = {
        {&ad_kernels_base_f64, &ad_kernels_v3_f64, &ad_kernels_v4_f64},
        {&ad_kernels_base_f32, &ad_kernels_v3_f32, &ad_kernels_v4_f32}};
#else
    static const ad_kernels *const table[2][1] = {{&ad_kernels_base_f64}, {&ad_kernels_base_f32}};
#endif
    return table[real == AD_F32][level];
}

/* Numbers of scratch for a kernel whose first operand has `cols` columns and whose result `out`. */
int64_t ad_scratch_of(int op, const int32_t attr[], int64_t cols)
{
    switch (op) {
    case OP_SUM_ROWS:
    case OP_LOGSUMEXP:
    case OP_NORM:
        return cols;
    case OP_ROW_SOLVE:
    case OP_ROW_LOGDET:
        return (int64_t)attr[0] * attr[0] + attr[0];
    default:
        return 0;
    }
}

static ad_inp *bound(ad_var x)
{
    const ad_node *n = ad_node_of(x);
    return n && n->op == OP_INPUT ? &x.tape->input[n->arg[0]] : NULL;
}

int ad_set(ad_var x, int rows, const double values[])
{
    ad_tape *t = x.tape;
    ad_inp *in = bound(x);
    char s[32];
    if (!in) {
        if (!ad_is_number(x))
            ad_fail(t, ad_is_void(x) ? AD_ESTALE : AD_EARG, "ad_set: %s is not an input", ad_name(x));
        return ad_is_number(x) ? AD_EARG : ad_status(t);
    }
    int32_t r = ad_rows(x), c = ad_cols(x);
    if (rows < 1 || (r > 0 ? rows != r : rows % -r != 0) || !values) {
        ad_fail(t, AD_ESHAPE, "ad_set: %d rows for input \"%.60s\" of %s", rows, in->name,
                ad_shape_text(s, r, c));
        return t->status;
    }
    double *copy = malloc((size_t)rows * (size_t)c * sizeof *copy);
    if (!copy) {
        ad_fail(t, AD_ENOMEM, "ad_set: out of memory");
        return t->status;
    }
    memcpy(copy, values, (size_t)rows * (size_t)c * sizeof *copy);
    free(in->value);
    in->value = copy;
    in->rows_bound = rows;
    ad_forget_values(t);
    return AD_OK;
}

/* The batch that the bound inputs among the needed nodes agree on; -1 after an error. Where none of them has one,
 * constants with a batch of rows take it from the first bound input that has. */
int64_t ad_batch_for(ad_tape *t, const char *who, const uint8_t *need, int32_t n)
{
    int64_t batch = 0, other = 0;
    for (int32_t i = 0; i < t->ninputs; i++) {
        const ad_inp *in = &t->input[i];
        int32_t rows = ad_at_id(t, in->id)->rows;
        if (in->id >= n || !need[in->id]) {
            if (!other && in->value && rows < 0)
                other = in->rows_bound / -rows;
            continue;
        }
        if (!in->value) {
            ad_fail(t, AD_EUNBOUND, "%s: input \"%.60s\" has no value; give it one with ad_set", who,
                    in->name);
            return -1;
        }
        if (rows > 0)
            continue;
        int64_t b = in->rows_bound / -rows;
        if (batch && b != batch) {
            ad_fail(t, AD_ESHAPE, "%s: input \"%.60s\" has a batch of %lld, an input before it %lld", who,
                    in->name, (long long)b, (long long)batch);
            return -1;
        }
        batch = b;
    }
    return batch ? batch : other ? other : 1;
}

static double *evaluate(ad_tape *t, int32_t id, int64_t batch, const ad_kernels *k)
{
    const ad_node *n = ad_at_id(t, id);
    const int32_t *a = ad_args(t, n), *attr = ad_attrs(t, n);
    int nargs = ad_nargs(t, n);
    const ad_object *object = ad_has_object(n->op) ? ad_object_of(t, n) : NULL;
    int64_t rows = ad_rows_at(n->rows, batch),
            size = ad_is_object(n->op) ? ad_result_at(object, object->nout, rows) : rows * n->cols;
    ad_state *state = NULL;
    double *v = malloc((size_t)size * sizeof *v), *scratch = NULL;
    const void *few[8], **src = nargs <= 8 ? few : malloc((size_t)nargs * sizeof *src);
    int64_t few_s[8][2], (*shape)[2] = nargs <= 8 ? few_s : malloc((size_t)nargs * sizeof *shape);
    int32_t moved[2];
    bool ok = v && src && shape;
    if (!ok)
        goto memory;
    if (n->op == OP_INPUT) {
        memcpy(v, t->input[attr[0]].value, (size_t)size * sizeof *v);
    } else if (n->op == OP_CONST) {
        memcpy(v, t->values + attr[0] + ((int64_t)attr[1] << 30), (size_t)size * sizeof *v);
    } else if (n->op == OP_FILL) {
        for (int64_t i = 0; i < size; i++)
            v[i] = t->values[attr[0]];
    } else {
        for (int i = 0; i < nargs; i++) {
            const ad_node *o = ad_at_id(t, a[i]);
            src[i] = t->val[a[i]];
            shape[i][0] = ad_rows_at(o->rows, batch);
            shape[i][1] = o->cols;
        }
        int64_t need = ad_scratch_of(n->op, attr, nargs ? shape[0][1] : 0);
        scratch = need ? malloc((size_t)need * sizeof *scratch) : NULL;
        if (need && !scratch)
            goto memory;
        if (ad_is_object(n->op) && !(state = object->class->open(object, AD_F64, NULL)))
            goto memory;
        if (n->op == OP_SLICE || n->op == OP_PAD) { /* rows of a batch, as rows */
            moved[0] = (int32_t)ad_rows_at(attr[0], batch);
            moved[1] = attr[1];
            attr = moved;
        }
        ad_kcall c = {.dst = v,
                      .src = src,
                      .rows = rows,
                      .cols = n->cols,
                      .shape = (const int64_t(*)[2])shape,
                      .nargs = nargs,
                      .nattr = n->nattr,
                      .attr = attr,
                      .scratch = scratch,
                      .object = object,
                      .state = state};
        int status = k->run[n->op](&c);
        if (status && state) {
            ad_fail(t, status, "ad_value: ad_%s (node %d): %s", ad_ops[n->op].name, id, state->message);
            ok = false;
        } else if (status) {
            ad_fail(t, status,
                    "ad_value: ad_%s (node %d): the matrix in row %lld is singular or not positive "
                    "definite",
                    ad_ops[n->op].name, id, (long long)c.bad_row);
            ok = false;
        }
    }
    goto done;
memory:
    ad_fail(t, AD_ENOMEM, "ad_value: out of memory at node %d (ad_%s)", id, ad_ops[n->op].name);
    ok = false;
done:
    if (state)
        object->class->close(state);
    free(scratch);
    if (nargs > 8) {
        free(src);
        free(shape);
    }
    if (!ok) {
        free(v);
        v = NULL;
    }
    return v;
}

static bool room_for_values(ad_tape *t)
{
    if (t->n <= t->nval)
        return true;
    double **val = realloc(t->val, (size_t)t->n * sizeof *val);
    if (!val)
        return false;
    memset(val + t->nval, 0, (size_t)(t->n - t->nval) * sizeof *val);
    t->val = val;
    t->nval = t->n;
    return true;
}

const double *ad_value(ad_var x)
{
    ad_var v;
    ad_tape *t;
    if (!ad_join("ad_value", 1, &x, &v, &t))
        return NULL;
    uint8_t *need = calloc((size_t)v.id + 1, 1);
    if (!need || !room_for_values(t)) {
        free(need);
        ad_fail(t, AD_ENOMEM, "ad_value: out of memory");
        return NULL;
    }
    need[v.id] = 1;
    for (int32_t id = v.id; id >= 0; id--) {
        if (!need[id])
            continue;
        const ad_node *n = ad_at_id(t, id);
        const int32_t *a = ad_args(t, n);
        for (int i = 0, m = ad_nargs(t, n); i < m; i++)
            need[a[i]] = 1;
    }
    int64_t batch = ad_batch_for(t, "ad_value", need, v.id + 1);
    bool by_batch =
        false; /* a constant with a batch of rows belongs to no input: kept values may have another */
    for (int32_t id = 0; batch > 0 && batch != t->batch && id <= v.id && !by_batch; id++)
        by_batch = need[id] && ad_at_id(t, id)->rows < 0;
    if (by_batch) {
        ad_forget_values(t);
        t->batch = batch;
    }
    const ad_kernels *k = ad_kernels_for(AD_F64);
    for (int32_t id = 0; batch > 0 && id <= v.id && !t->status; id++)
        if (need[id] && !t->val[id])
            t->val[id] = evaluate(t, id, batch, k);
    free(need);
    return batch > 0 && !t->status ? t->val[v.id] : NULL;
}

double ad_scalar(ad_var x)
{
    char s[32];
    if (ad_is_number(x))
        return x.value;
    if (!ad_is_void(x) && (ad_cols(x) != 1 || (ad_rows(x) != 1 && ad_rows(x) != AD_BATCH))) {
        ad_fail(x.tape, AD_ESHAPE, "ad_scalar: %s; needs [1,1]", ad_shape_text(s, ad_rows(x), ad_cols(x)));
        return NAN;
    }
    const double *v = ad_value(x);
    return v ? v[0] : NAN;
}
