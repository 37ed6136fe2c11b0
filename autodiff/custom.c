/* custom.c - a C callback as a node. Its pullback, where there is one, is recorded on the tape; its tangent is the pullback
 * of the pullback, which is linear in the adjoint.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"

#include <stdio.h>

typedef struct custom {
    ad_object o;
    ad_callback cb;
    char name[64]; /* a copy: the caller's may go away */
} custom;

typedef struct custom_state {
    ad_state s;
    int real;
    int *rows, *cols;
    const double **in;
    double *memory; /* operands and result in double, where the program has another type */
    size_t memory_size;
} custom_state;

static void custom_close(ad_state *state)
{
    custom_state *s = (custom_state *)state;
    free(s->rows);
    free(s->in);
    free(s->memory);
    free(s);
}

static ad_state *custom_open(const ad_object *o, int real, ad_pool *pool)
{
    (void)pool;
    custom_state *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->s.object = o;
    s->real = real;
    s->rows = malloc(2 * ((size_t)o->nin + 1) * sizeof *s->rows);
    s->in = malloc(((size_t)o->nin + 1) * sizeof *s->in);
    if (!s->rows || !s->in) {
        custom_close(&s->s);
        return NULL;
    }
    s->cols = s->rows + o->nin + 1;
    return &s->s;
}

static void to_double(int real, size_t n, const void *from, double *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = real == AD_F32 ? (double)((const float *)from)[i] : (double)((const long double *)from)[i];
}
static void from_double(int real, size_t n, const double *from, void *to)
{
    for (size_t i = 0; i < n; i++) {
        if (real == AD_F32)
            ((float *)to)[i] = (float)from[i];
        else
            ((long double *)to)[i] = from[i];
    }
}

static int custom_run(ad_kcall *c)
{
    custom_state *s = c->state;
    const custom *u = c->object;
    int64_t rows = ad_rows_at(u->o.out[0].rows, c->rows);
    size_t need = (size_t)(rows * u->o.out[0].cols), size = need;
    for (int i = 0; i < c->nargs; i++) {
        s->rows[i] = (int)c->shape[i][0];
        s->cols[i] = (int)c->shape[i][1];
        s->in[i] = c->src[i];
        need += (size_t)(c->shape[i][0] * c->shape[i][1]);
    }
    double *out = c->dst;
    if (s->real != AD_F64) {
        if (need > s->memory_size) {
            free(s->memory);
            s->memory = malloc(need * sizeof *s->memory);
            s->memory_size = s->memory ? need : 0;
            if (!s->memory) {
                snprintf(s->s.message, sizeof s->s.message, "out of memory");
                return AD_ENOMEM;
            }
        }
        out = s->memory;
        double *at = out + size;
        for (int i = 0; i < c->nargs; i++) {
            size_t n = (size_t)(c->shape[i][0] * c->shape[i][1]);
            to_double(s->real, n, c->src[i], at);
            s->in[i] = at;
            at += n;
        }
    }
    int code = u->cb.value(u->cb.user, c->nargs, s->in, s->rows, s->cols, out, (int)rows, u->o.out[0].cols);
    if (code) {
        snprintf(s->s.message, sizeof s->s.message, "the callback \"%s\" failed with code %d", u->name, code);
        return AD_ECALL;
    }
    if (s->real != AD_F64)
        from_double(s->real, size, out, c->dst);
    return AD_OK;
}

/* The recorded adjoints, of the operands' shapes; false after an error. */
static bool recorded(const custom *u, const char *who, ad_var node, const ad_var a[], ad_var dy, ad_var din[])
{
    ad_tape *t = node.tape;
    char s[2][32];
    if (!u->cb.pullback) {
        ad_fail(t, AD_EUNSUPPORTED, "%s: the callback \"%s\" has no pullback", who, u->name);
        return false;
    }
    for (int i = 0; i < u->o.nin; i++)
        din[i] = N(0);
    int code = u->cb.pullback(u->cb.user, t, u->o.nin, a, ad_result(node, 0), dy, din);
    if (code && !t->status)
        ad_fail(t, AD_ECALL, "%s: the pullback of \"%s\" failed with code %d", who, u->name, code);
    for (int i = 0; i < u->o.nin && !t->status; i++) {
        int32_t r = ad_rows(a[i]), c = ad_cols(a[i]), dr = ad_rows(din[i]), dc = ad_cols(din[i]);
        if (ad_is_number(din[i]) && din[i].value == 0)
            continue;
        if (!ad_is_number(din[i]) && (din[i].tape != t || (dr != 1 && dr != r) || (dc != 1 && dc != c)))
            ad_fail(t, AD_ESHAPE, "%s: the pullback of \"%s\" gives %s for operand %d; needs %s", who,
                    u->name, din[i].tape != t ? "a value of another tape" : ad_shape_text(s[0], dr, dc),
                    i + 1, ad_shape_text(s[1], r, c));
        else
            din[i] = ad_shaped(t, din[i], (ad_shape){r, c});
    }
    return !t->status;
}

static void custom_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[],
                            const bool want[], ad_var da[])
{
    ad_var dy = ad_shaped(node.tape, g[0], ad_result_shape(o, 0, ad_rows(node)));
    (void)want;
    recorded((const custom *)o, "ad_vjp", node, a, dy, da);
}

static void custom_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[], ad_var ty[])
{
    ad_tape *t = node.tape;
    ad_shape y = ad_result_shape(o, 0, ad_rows(node));
    ad_var *din = malloc(2 * ((size_t)o->nin + 1) * sizeof *din), *v = din + o->nin;
    if (!din) {
        ad_fail(t, AD_ENOMEM, "ad_jvp: out of memory");
        return;
    }
    memset(t->cache, 0, CACHE * sizeof *t->cache); /* w is to be a node of its own */
    ad_var w = ad_stop(ad_fill(t, y.rows, y.cols, 0));
    if (recorded((const custom *)o, "ad_jvp", node, a, w, din)) {
        int n = 0; /* those that move */
        for (int i = 0; i < o->nin; i++)
            if (!(ad_is_number(ta[i]) && ta[i].value == 0)) {
                v[n] = ad_shaped(t, ta[i], (ad_shape){ad_rows(a[i]), ad_cols(a[i])});
                din[n++] = din[i];
            }
        ad_vjp(n, din, v, 1, &w, ty);
    }
    free(din);
}

bool ad_custom_row_local(const ad_object *o) { return ((const custom *)o)->cb.row_local; }
const char *ad_custom_name(const ad_object *o) { return ((const custom *)o)->name; }

static const ad_class custom_class = {.op = OP_CUSTOM,
                                      .open = custom_open,
                                      .close = custom_close,
                                      .run = custom_run,
                                      .pullback = custom_pullback,
                                      .tangent = custom_tangent};

ad_var ad_custom(ad_tape *t, const ad_callback *cb, int nin, const ad_var in[], int rows, int cols)
{
    if (ad_status(t))
        return ad_void(t);
    if (!cb || !cb->value || nin < 0 || (nin && !in))
        return ad_fail(t, AD_EARG, "ad_custom: %d operands; needs a callback with a value, and its operands",
                       nin);
    if (rows == 0 || cols < 1)
        return ad_fail(t, AD_ESHAPE, "ad_custom: a result of [%d,%d] for \"%.60s\"", rows, cols,
                       cb->name ? cb->name : "");
    bool batch = rows > 0;
    custom *u = calloc(1, sizeof *u);
    if (!u || !ad_object_sign(&u->o, &custom_class, nin, 1)) {
        free(u);
        return ad_fail(t, AD_ENOMEM, "ad_custom: out of memory");
    }
    u->cb = *cb;
    snprintf(u->name, sizeof u->name, "%s", cb->name ? cb->name : "callback");
    u->cb.name = u->name;
    ad_var y = ad_void(t);
    for (int i = 0; i < nin; i++) {
        ad_var v;
        ad_tape *of;
        if (ad_is_number(in[i])) {
            u->o.in[i] = (ad_shape){1, 1};
            continue;
        }
        if (!ad_join("ad_custom", 1, &in[i], &v, &of) || of != t) {
            ad_fail(t, AD_ETAPE, "ad_custom: operand %d is on another tape", i + 1);
            goto done;
        }
        u->o.in[i] = (ad_shape){ad_rows(v), ad_cols(v)};
        batch = batch || u->o.in[i].rows < 0;
    }
    if (!batch) {
        ad_fail(t, AD_ESHAPE, "ad_custom: the result of \"%s\" has a batch of rows, none of its operands has",
                u->name);
        goto done;
    }
    u->o.out[0] = (ad_shape){rows, cols};
    ad_object_lay(&u->o);
    y = ad_result(ad_object_node(t, "ad_custom", &u->o, in), 0);
done:
    ad_object_drop(&u->o);
    return y;
}
