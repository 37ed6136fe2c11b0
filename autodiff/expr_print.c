/* expr_print.c - a value as text that ad_parse reads back to the same node.
 *
 * Invariant: the text is as long as the nodes it names are many. A node with several users, or deep below
 * the next name, is a definition of its own.
 */
/* SPDX-License-Identifier: MIT */
#include "expr.h"

#include <math.h>
#include <stdio.h>

enum { DEEP = 60 }; /* levels between names, far below EX_DEPTH */

typedef struct printer {
    ad_tape *t;
    char *s;
    size_t n, room;
    int32_t *users; /* 0: not needed; -k: the k-th definition */
    int status;
    const char *what; /* the operation without a text */
} printer;

static void add(printer *p, const char *s)
{
    size_t n = strlen(s);
    if (p->status)
        return;
    if (p->n + n + 1 > p->room) {
        size_t room = 2 * (p->n + n + 64);
        char *more = realloc(p->s, room);
        if (!more) {
            p->status = AD_ENOMEM;
            return;
        }
        p->s = more;
        p->room = room;
    }
    memcpy(p->s + p->n, s, n + 1);
    p->n += n;
}

static void refuse(printer *p, const char *what)
{
    if (!p->status) {
        p->status = AD_EUNSUPPORTED;
        p->what = what;
    }
}

/* The fewest digits that give the number back; a point whatever the locale writes. */
static void number(printer *p, double value)
{
    char s[64], t[64];
    size_t n = 0;
    if (!isfinite(value)) {
        refuse(p, "a number that is not finite");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, value);
        if (strtod(s, NULL) == value)
            break;
    }
    for (const char *c = s; *c; c++)
        if (strchr("0123456789e+-", *c))
            t[n++] = *c;
        else if (n == 0 || t[n - 1] != '.') /* it may take several bytes */
            t[n++] = '.';
    t[n] = 0;
    add(p, signbit(value) ? "(" : "");
    add(p, t);
    add(p, signbit(value) ? ")" : "");
}

static void integer(printer *p, int value)
{
    char s[16];
    snprintf(s, sizeof s, "%d", value);
    add(p, s);
}

static void definition_name(printer *p, int32_t id)
{
    char s[16];
    snprintf(s, sizeof s, "_%d", -p->users[id]);
    add(p, s);
}

/* How tightly the text of a node holds together: 1 + -, 2 * /, 3 the sign, 4 ^, 5 a name or a call. */
static int tightness(int op)
{
    return op == OP_add || op == OP_sub      ? 1
           : op == OP_mul || op == OP_div    ? 2
           : op == OP_neg                    ? 3
           : op == OP_pow || op == OP_square ? 4
                                             : 5;
}

static void node(printer *p, int32_t id);

static void operand(printer *p, int32_t id, int min)
{
    int op = ad_at_id(p->t, id)->op;
    if (p->users[id] < 0)
        definition_name(p, id);
    else if (tightness(op) < min) {
        add(p, "(");
        node(p, id);
        add(p, ")");
    } else
        node(p, id);
}

static void call(printer *p, const ad_node *n, const char *name, int nints, const int32_t ints[])
{
    const int32_t *arg = ad_args(p->t, n);
    int nargs = ad_nargs(p->t, n);
    if (!ad_ex_callable(name, nints) || nargs + nints > EX_ARGS) {
        refuse(p, name);
        return;
    }
    add(p, name);
    for (int i = 0; i < nargs + nints; i++) {
        add(p, i ? ", " : "(");
        if (i < nargs)
            operand(p, arg[i], 1);
        else
            integer(p, ints[i - nargs]);
    }
    add(p, ")");
}

static void constant(printer *p, const ad_node *n)
{
    const int32_t *attr = ad_attrs(p->t, n);
    if (n->op == OP_FILL) {
        int one = n->rows == 1 && n->cols == 1;
        add(p, one ? "" : "expand(");
        number(p, p->t->values[attr[0]]);
        add(p, one ? "" : ", ");
        if (!one) {
            integer(p, n->rows);
            add(p, ", ");
            integer(p, n->cols);
            add(p, ")");
        }
        return;
    }
    const double *value = p->t->values + attr[0] + ((int64_t)attr[1] << 30);
    for (int64_t k = 0; k < (int64_t)n->rows * n->cols && !p->status; k++) {
        add(p, k == 0 ? "[" : k % n->cols ? ", " : "; ");
        number(p, value[k]);
    }
    add(p, "]");
}

static void node(printer *p, int32_t id)
{
    static const char *const product[] = {"matmul", "matmul_nt", "matmul_tn", "matmul_tt"};
    const ad_node *n = ad_at_id(p->t, id);
    const int32_t *arg = ad_args(p->t, n), *attr = ad_attrs(p->t, n);
    const ad_node *x = ad_nargs(p->t, n) > 0 ? ad_at_id(p->t, arg[0]) : n;
    int tight = tightness(n->op);

    if (p->status)
        return;
    switch (n->op) {
    case OP_INPUT:
        add(p, p->t->input[attr[0]].name);
        break;
    case OP_FILL:
    case OP_CONST:
        constant(p, n);
        break;
    case OP_EYE:
        call(p, n, "eye", 1, &n->rows);
        break;
    case OP_neg:
        add(p, "-");
        operand(p, arg[0], 4); /* not another sign */
        break;
    case OP_square:
        operand(p, arg[0], 5);
        add(p, "^2");
        break;
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
    case OP_pow:
        operand(p, arg[0], n->op == OP_pow ? 5 : tight);
        add(p, n->op == OP_add   ? " + "
               : n->op == OP_sub ? " - "
               : n->op == OP_mul ? "*"
               : n->op == OP_div ? "/"
                                 : "^");
        operand(p, arg[1], n->op == OP_pow ? 5 : tight + (tight == 1 ? 1 : 2));
        break;
    case OP_RESHAPE:
    case OP_EXPAND:
        call(p, n, ad_ops[n->op].name, 2, (const int32_t[]){n->rows, n->cols});
        break;
    case OP_SLICE:
        call(p, n, "slice", 4, (const int32_t[]){attr[0], n->rows, attr[1], n->cols});
        break;
    case OP_PAD:
        call(p, n, "pad", 4,
             (const int32_t[]){attr[0], n->rows - x->rows - attr[0], attr[1], n->cols - x->cols - attr[1]});
        break;
    case OP_MATMUL:
        call(p, n, product[2 * attr[0] + attr[1]], 0, NULL);
        break;
    case OP_SCATTER_COLS:
    case OP_SCATTER_ROWS: {
        int32_t *list = malloc(sizeof *list * ((size_t)n->nattr + 1));
        if (!list) {
            p->status = AD_ENOMEM;
            break;
        }
        list[0] = n->op == OP_SCATTER_COLS ? n->cols : n->rows;
        memcpy(list + 1, attr, sizeof *list * (size_t)n->nattr);
        call(p, n, ad_ops[n->op].name, n->nattr + 1, list);
        free(list);
        break;
    }
    default:
        if (n->op == OP_ROW_SOLVE && attr[2] == 0)
            call(p, n, "row_solve", 2, attr);
        else
            call(p, n, ad_ops[n->op].name, n->nattr, attr);
    }
}

/* Which nodes are needed, and which of them get names. Returns how many. */
static int name_nodes(printer *p, int32_t last, uint8_t *height)
{
    int names = 0;
    p->users[last] = 1;
    for (int32_t id = last; id >= 0; id--) {
        const ad_node *n = ad_at_id(p->t, id);
        for (int i = 0; p->users[id] && i < ad_nargs(p->t, n); i++)
            p->users[ad_args(p->t, n)[i]] += p->users[ad_args(p->t, n)[i]] < 2;
    }
    for (int32_t id = 0; id < last; id++) {
        const ad_node *n = ad_at_id(p->t, id);
        for (int i = 0; p->users[id] && i < ad_nargs(p->t, n); i++) {
            int32_t a = ad_args(p->t, n)[i];
            if (p->users[a] >= 0 && height[a] >= height[id])
                height[id] = (uint8_t)(height[a] + 1);
        }
        int leaf = n->op == OP_INPUT || (n->op == OP_FILL && n->rows == 1 && n->cols == 1);
        if (p->users[id] && !leaf && (p->users[id] > 1 || height[id] >= DEEP))
            p->users[id] = -++names;
    }
    return names;
}

char *ad_print(ad_var x)
{
    printer p = {0};
    if (ad_is_number(x)) {
        number(&p, x.value);
        return p.status ? (free(p.s), NULL) : p.s;
    }
    if (!ad_node_of(x)) {
        ad_fail(x.tape, AD_ESTALE, "ad_print: the value is void or was rewound");
        return NULL;
    }
    p.t = x.tape;
    p.users = calloc((size_t)x.id + 1, sizeof *p.users);
    uint8_t *height = calloc((size_t)x.id + 1, 1);
    if (!p.users || !height)
        p.status = AD_ENOMEM;
    else if (name_nodes(&p, x.id, height) > EX_NAMES)
        refuse(&p, "so many shared values");
    for (int i = 0; i < p.t->ninputs && !p.status; i++) {
        const char *s = p.t->input[i].name;
        if (s[0] == '_' && strspn(s + 1, "0123456789") == strlen(s + 1))
            refuse(&p, "an input named like a definition, _1,");
    }
    for (int32_t id = 0; id < x.id && !p.status; id++)
        if (p.users[id] < 0) {
            definition_name(&p, id);
            add(&p, " = ");
            node(&p, id);
            add(&p, "; ");
        }
    if (!p.status)
        node(&p, x.id);
    if (!p.status && p.n > EX_TEXT)
        refuse(&p, "so long a text");
    free(p.users);
    free(height);
    if (!p.status)
        return p.s;
    free(p.s);
    if (p.status == AD_ENOMEM)
        ad_fail(p.t, AD_ENOMEM, "ad_print: out of memory");
    else
        ad_fail(p.t, AD_EUNSUPPORTED, "ad_print: %s has no text that ad_parse reads", p.what);
    return NULL;
}
