/* dump.c - what is on a tape, to look at: a line a node, or a Graphviz graph.
 * Invariant: looking changes nothing. Adjoints are recorded, read and removed again; an error that stops a value
 * or an adjoint is told in the text and not kept on the tape.
 *
 * SPDX-License-Identifier: MIT */
#include "object.h"
#include "say.h"

#include <stdio.h>

/* An error of the tape put aside while it is looked at. */
typedef struct aside {
    int status;
    char message[sizeof((ad_tape *)0)->message];
} aside;

static aside put_aside(ad_tape *t)
{
    aside a = {.status = t->status};
    memcpy(a.message, t->message, sizeof a.message);
    ad_clear(t);
    return a;
}
static void put_back(ad_tape *t, const aside *a)
{
    t->status = a->status;
    memcpy(t->message, a->message, sizeof a->message);
}

static int of_shape(ad_text *b, const ad_tape *t, const ad_node *n)
{
    char s[32];
    if (ad_is_object(n->op))
        snprintf(s, sizeof s, "%d result%s", ad_object_of(t, n)->nout,
                 ad_object_of(t, n)->nout == 1 ? "" : "s");
    else
        ad_shape_text(s, n->rows, n->cols);
    if (b)
        ad_say(b, "%s", s);
    return (int)strlen(s);
}

/* Computes all values as one, so that they have one batch. */
static void evaluate(ad_tape *t, int n, const ad_var x[])
{
    ad_var *part = malloc((size_t)n * sizeof *part);
    for (int i = 0; part && i < n; i++)
        part[i] = ad_sum(x[i]);
    if (part)
        ad_value(ad_concat_cols(n, part));
    else
        ad_fail(t, AD_ENOMEM, "ad_dump: out of memory");
    free(part);
}

/* The adjoints of the needed nodes for y, each element of y counted once; NULL with the reason on the tape. */
static ad_var *adjoints(ad_tape *t, ad_var y, const uint8_t need[], int32_t count)
{
    int n = 0;
    ad_var *x = malloc((size_t)count * sizeof *x), one = N(1);
    ad_var *dx = malloc(((size_t)count + 1) * sizeof *dx);
    for (int32_t id = 0; x && id < count; id++)
        if (need[id])
            x[n++] = ad_var_of(t, id);
    if (x && dx) {
        ad_vjp(1, &y, &one, n, x, dx);
        dx[n] = y;
        evaluate(t, n + 1, dx);
    } else {
        ad_fail(t, AD_ENOMEM, "ad_dump: out of memory");
    }
    free(x);
    if (t->status) {
        free(dx);
        dx = NULL;
    }
    return dx;
}

/* Where each column begins: id, name, operation, shape, value, adjoint. */
typedef struct columns {
    size_t name, call, shape, value, adjoint;
} columns;

static void say_call(ad_text *b, ad_tape *t, int32_t id)
{
    if (ad_at_id(t, id)->op == OP_FILL)
        ad_say_number(b, t->values[ad_at_id(t, id)->arg[0]]);
    else
        ad_say_call(b, t, id);
}

static void say_value(ad_text *b, ad_tape *t, int32_t id, int64_t batch)
{
    const ad_node *n = ad_at_id(t, id);
    if (ad_is_object(n->op))
        return; /* its results follow */
    if (id < t->nval && t->val[id])
        ad_say_matrix(b, ad_rows_at(n->rows, batch), n->cols, t->val[id]);
    else
        ad_say(b, "-");
}

/* The length of what `b` holds; it is emptied. */
static size_t length(ad_text *b)
{
    size_t n = b->n;
    b->n = 0;
    return n;
}
static void widen(size_t *column, size_t width, size_t limit)
{
    if (width > limit)
        width = limit; /* one long line must not push all others away */
    if (width > *column)
        *column = width;
}

static columns measure(ad_tape *t, const uint8_t need[], int32_t count, int64_t batch)
{
    columns w = {.name = 4, .call = 9, .shape = 5, .value = 5};
    ad_text b = {0};
    for (int32_t id = 0; id < count; id++) {
        const ad_node *n = ad_at_id(t, id);
        if (!need[id])
            continue;
        if (n->op == OP_INPUT) {
            ad_say_name(&b, t->input[n->arg[0]].name);
            widen(&w.name, length(&b), 16);
        }
        say_call(&b, t, id);
        widen(&w.call, length(&b), 48);
        widen(&w.shape, (size_t)of_shape(NULL, t, n), 16);
        say_value(&b, t, id, batch);
        widen(&w.value, length(&b), 48);
    }
    ad_unsay(&b);
    columns c = {.name = 7};
    c.call = c.name + w.name + 2;
    c.shape = c.call + w.call + 2;
    c.value = c.shape + w.shape + 2;
    c.adjoint = c.value + w.value + 2;
    return c;
}

/* One line; `adjoint` is negative where there is none. */
static void line(ad_text *b, ad_tape *t, int32_t id, const columns *c, bool values, int32_t adjoint,
                 int64_t batch)
{
    const ad_node *n = ad_at_id(t, id);
    ad_say(b, "%5d", id);
    if (n->op == OP_INPUT) {
        ad_say_to(b, c->name);
        ad_say_name(b, t->input[n->arg[0]].name);
    }
    ad_say_to(b, c->call);
    say_call(b, t, id);
    ad_say_to(b, c->shape);
    of_shape(b, t, n);
    if (values && !ad_is_object(n->op)) {
        ad_say_to(b, c->value);
        say_value(b, t, id, batch);
        if (adjoint >= 0) {
            ad_say_to(b, c->adjoint);
            say_value(b, t, adjoint, batch);
        }
    }
    ad_say(b, "\n");
}

static void heading(ad_text *b, const columns *c, bool values, bool derivatives)
{
    const char *const title[] = {"name", "operation", "shape", "value", "adjoint"};
    const size_t at[] = {c->name, c->call, c->shape, c->value, c->adjoint};
    ad_say(b, "   id");
    for (int i = 0; i < (values ? derivatives ? 5 : 4 : 3); i++) {
        ad_say_to(b, at[i]);
        ad_say(b, "%s", title[i]);
    }
    ad_say(b, "\n");
}

char *ad_dump(int n, const ad_var x[], int values)
{
    ad_tape *t;
    int32_t count;
    uint8_t *need = n > 0 && x ? ad_needed("ad_dump", n, x, &t, &count) : NULL;
    if (!need)
        return NULL;
    ad_text b = {0};
    ad_var *dx = NULL;
    ad_mark here = ad_here(t);
    aside before = put_aside(t), no_value = {0}, no_adjoint = {0};
    if (values) {
        evaluate(t, n, x);
        no_value = put_aside(t);
        if (!no_value.status && !ad_is_number(x[n - 1])) {
            dx = adjoints(t, x[n - 1], need, count);
            no_adjoint = put_aside(t);
        }
    }
    int64_t batch = ad_bound_batch(t, need, count);
    columns c = measure(t, need, count, batch);
    heading(&b, &c, values, dx != NULL);
    for (int32_t id = 0, k = 0; id < count; id++)
        if (need[id])
            line(&b, t, id, &c, values, dx ? dx[k++].id : -1, batch);
    if (no_value.status)
        ad_say(&b, "values end here: %s\n", no_value.message);
    if (no_adjoint.status)
        ad_say(&b, "no adjoints: %s\n", no_adjoint.message);
    free(dx);
    free(need);
    if (ad_nodes(t) > here.nodes)
        ad_rewind(t, here);
    put_back(t, &before);
    char *text = ad_said(&b);
    if (!text)
        ad_fail(t, AD_ENOMEM, "ad_dump: out of memory");
    return text;
}

/* Graphviz ----------------------------------------------------------------------------------------------- */

/* Text inside a quoted label, shown as it is; control characters as \xNN. */
static void say_label(ad_text *b, const char *s)
{
    for (; *s; s++)
        if (*s == '"' || *s == '\\')
            ad_say(b, "\\%c", *s);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            ad_say(b, "\\\\x%02x", (unsigned)*s);
        else
            ad_say(b, "%c", *s);
}

static void vertex(ad_text *b, ad_tape *t, int32_t id, bool result)
{
    const ad_node *n = ad_at_id(t, id);
    ad_say(b, "  n%d [label=\"", id);
    if (n->op == OP_FILL)
        ad_say_number(b, t->values[n->arg[0]]);
    else
        say_label(b, n->op == OP_INPUT ? t->input[n->arg[0]].name : ad_call_name(t, n));
    if (n->op == OP_RESULT)
        ad_say(b, " %d", ad_attrs(t, n)[0] + 1);
    ad_say(b, "\\n");
    of_shape(b, t, n);
    ad_say(b, "\"");
    if (n->op == OP_INPUT)
        ad_say(b, ", shape=ellipse, style=filled, fillcolor=\"#dbe9f6\"");
    else if (ad_ops[n->op].kind == AD_LEAF)
        ad_say(b, ", shape=plaintext");
    if (result)
        ad_say(b, ", peripheries=2");
    ad_say(b, "];\n");
}

char *ad_dot_graph(int n, const ad_var x[])
{
    ad_tape *t;
    int32_t count;
    uint8_t *need = n > 0 && x ? ad_needed("ad_dot_graph", n, x, &t, &count) : NULL;
    if (!need)
        return NULL;
    ad_text b = {0};
    ad_say(&b, "digraph tape {\n  rankdir=BT;\n  node [shape=box, fontname=\"monospace\"];\n"
               "  edge [fontname=\"monospace\", fontsize=10];\n");
    for (int i = 0; i < n; i++)
        if (!ad_is_number(x[i]))
            need[x[i].id] = 2;
    for (int32_t id = 0; id < count; id++) {
        if (!need[id])
            continue;
        const ad_node *node = ad_at_id(t, id);
        const int32_t *a = ad_args(t, node);
        int nargs = ad_nargs(t, node);
        vertex(&b, t, id, need[id] == 2);
        for (int i = 0; i < nargs; i++)
            if (nargs == 1)
                ad_say(&b, "  n%d -> n%d;\n", a[i], id);
            else /* which operand it is matters: a - b */
                ad_say(&b, "  n%d -> n%d [label=\"%d\"];\n", a[i], id, i + 1);
    }
    ad_say(&b, "}\n");
    free(need);
    char *text = ad_said(&b);
    if (!text)
        ad_fail(t, AD_ENOMEM, "ad_dot_graph: out of memory");
    return text;
}
