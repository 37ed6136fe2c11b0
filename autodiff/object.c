/* object.c - nodes of several results: references, signatures, recording, the kernels' way in.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"

#include <limits.h>

bool ad_object_sign(ad_object *o, const ad_class *class, int nin, int nout)
{
    size_t shapes = (size_t)nin + (size_t)nout, offsets = 2 * ((size_t)nout + 1);
    int64_t *block = malloc(offsets * sizeof *block + shapes * sizeof(ad_shape));
    if (!block)
        return false;
    o->class = class;
    o->references = 1;
    o->nin = nin;
    o->nout = nout;
    o->at_fixed = block;
    o->at_row = block + nout + 1;
    o->in = (ad_shape *)(void *)(block + offsets);
    o->out = o->in + nin;
    return true;
}

void ad_object_lay(ad_object *o)
{
    int64_t fixed = 0, row = 0;
    for (int k = 0; k < o->nout; k++) {
        o->at_fixed[k] = fixed;
        o->at_row[k] = row;
        *(o->out[k].rows < 0 ? &row : &fixed) +=
            (o->out[k].rows < 0 ? -(int64_t)o->out[k].rows : o->out[k].rows) * o->out[k].cols;
    }
    o->at_fixed[o->nout] = fixed;
    o->at_row[o->nout] = row;
}

const ad_object *ad_object_keep(const ad_object *o)
{
    __atomic_add_fetch(&((ad_object *)(uintptr_t)o)->references, 1, __ATOMIC_RELAXED);
    return o;
}

void ad_object_drop(const ad_object *object)
{
    ad_object *o = (ad_object *)(uintptr_t)object;
    if (!o || __atomic_sub_fetch(&o->references, 1, __ATOMIC_ACQ_REL))
        return;
    if (o->class && o->class->destroy)
        o->class->destroy(o);
    free(o->at_fixed);
    free(o);
}

const ad_object *ad_object_of(const ad_tape *t, const ad_node *n)
{
    return t->object[ad_attrs(t, n)[n->op == OP_RESULT]].object;
}

void ad_objects_cut(ad_tape *t, int32_t nodes)
{
    while (t->nobjects > 0 && t->object[t->nobjects - 1].node >= nodes)
        ad_object_drop(t->object[--t->nobjects].object);
}

const char *ad_inner(const char *message) { return strncmp(message, "ad_run: ", 8) ? message : message + 8; }

/* Recording ---------------------------------------------------------------------------------------- */

static int64_t bound_rows(int32_t rows, int32_t bind) { return rows < 0 ? -(int64_t)rows * bind : rows; }

ad_shape ad_operand_shape(const ad_object *o, int i, int32_t bind)
{
    return (ad_shape){(int32_t)bound_rows(o->in[i].rows, bind), o->in[i].cols};
}

ad_shape ad_result_shape(const ad_object *o, int k, int32_t bind)
{
    return (ad_shape){(int32_t)bound_rows(o->out[k].rows, bind), o->out[k].cols};
}

/* The rows that operands agree on for the object's batch; 0 when they do not. */
static int32_t binding(const ad_object *o, const ad_var in[])
{
    int32_t bind = 1;
    for (int i = 0; i < o->nin; i++) {
        int32_t r = ad_rows(in[i]), k = -o->in[i].rows;
        if (k <= 0 || ad_is_number(in[i]) || r == 1 || r % k)
            continue;
        if (bind != 1 && r / k != bind)
            return 0;
        bind = r / k;
    }
    return bind;
}

static bool largest_fits(const ad_object *o, int32_t bind)
{
    int64_t b = bind < 0 ? -(int64_t)bind : bind;
    for (int i = 0; i < o->nin + o->nout; i++)
        if (o->in[i].rows < 0 && -(int64_t)o->in[i].rows * b > INT_MAX)
            return false;
    return true;
}

ad_var ad_object_node(ad_tape *t, const char *who, const ad_object *o, const ad_var in[])
{
    char s[2][32];
    if (ad_status(t))
        return ad_void(t);
    ad_var few[8], *a = o->nin <= 8 ? few : malloc((size_t)o->nin * sizeof *a), node = ad_void(t);
    if (!a)
        return ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
    for (int i = 0; i < o->nin; i++) {
        ad_tape *u;
        a[i] = in[i];
        if (ad_is_number(in[i]))
            continue;
        if (!ad_join(who, 1, &in[i], &a[i], &u))
            goto done;
        if (u != t) {
            ad_fail(t, AD_ETAPE, "%s: operand %d is on another tape", who, i + 1);
            goto done;
        }
    }
    int32_t bind = binding(o, a);
    if (bind == 0 || !largest_fits(o, bind)) {
        ad_fail(t, AD_ESHAPE, "%s: the operands disagree on the rows of a batch, or these are too many", who);
        goto done;
    }
    for (int i = 0; i < o->nin; i++) {
        int32_t rows = (int32_t)bound_rows(o->in[i].rows, bind), cols = o->in[i].cols;
        if (ad_is_number(a[i])) {
            a[i] = ad_fill(t, rows, cols, a[i].value);
        } else if (ad_cols(a[i]) == cols && (ad_rows(a[i]) == 1 || ad_rows(a[i]) == rows)) {
            a[i] = ad_expand(a[i], rows, cols);
        } else {
            ad_fail(t, AD_ESHAPE, "%s: operand %d is %s; needs %s", who, i + 1,
                    ad_shape_text(s[0], ad_rows(a[i]), ad_cols(a[i])), ad_shape_text(s[1], rows, cols));
            goto done;
        }
    }
    if (t->nobjects == t->objects_cap) {
        int32_t cap = 2 * t->objects_cap + 8;
        struct ad_entry *more = realloc(t->object, (size_t)cap * sizeof *more);
        if (!more) {
            ad_fail(t, AD_ENOMEM, "%s: out of memory", who);
            goto done;
        }
        t->object = more;
        t->objects_cap = cap;
    }
    node = ad_push(t, o->class->op, bind, 1, o->nin, a, 1, &t->nobjects);
    if (node.id >= 0)
        t->object[t->nobjects++] = (struct ad_entry){ad_object_keep(o), node.id};
done:
    if (a != few)
        free(a);
    return node;
}

ad_var ad_result(ad_var node, int k)
{
    const ad_node *n = ad_node_of(node);
    if (!n)
        return node;
    ad_shape s = ad_result_shape(ad_object_of(node.tape, n), k, n->rows);
    return ad_push(node.tape, OP_RESULT, s.rows, s.cols, 1, &node, 2,
                   (int32_t[]){k, ad_attrs(node.tape, n)[0]});
}

ad_var ad_shaped(ad_tape *t, ad_var g, ad_shape s)
{
    return ad_is_number(g) ? ad_fill(t, s.rows, s.cols, g.value) : ad_expand(g, s.rows, s.cols);
}

int ad_object_run(ad_kcall *c) { return ((const ad_object *)c->object)->class->run(c); }

int64_t ad_result_offset(const void *object, int k, int64_t batch) { return ad_result_at(object, k, batch); }
