/* tape.c - nodes, leaves, handles, marks and the sticky error.
 * Invariant: a node is written once and never moves; what fails leaves the tape as it was, with a message.
 *
 * SPDX-License-Identifier: MIT */
#include "eval.h"
#include "object.h"

#include <limits.h>
#include <stdio.h>

/* A handle without a usable tape: the result of calls on a NULL tape. Never read, never written. */
static const char nowhere;

ad_var ad_void(ad_tape *t)
{
    ad_var v;
    v.tape = t ? t : (ad_tape *)(uintptr_t)&nowhere;
    v.id = -1;
    v.mark = 0;
    return v;
}

static bool real_tape(const ad_tape *t) { return t && t != (const ad_tape *)(const void *)&nowhere; }

ad_var ad_fail(ad_tape *t, int status, const char *format, ...)
{
    if (real_tape(t) && t->status == AD_OK) {
        va_list ap;
        va_start(ap, format);
        t->status = status;
        vsnprintf(t->message, sizeof t->message, format, ap);
        va_end(ap);
    }
    return ad_void(t);
}

const char *ad_status_name(int status)
{
    static const char *const name[] = {
        "AD_OK",     "AD_ENOMEM",   "AD_ESHAPE",  "AD_ETAPE", "AD_ESTALE", "AD_EARG",         "AD_ENAME",
        "AD_EPARSE", "AD_EUNBOUND", "AD_EDOMAIN", "AD_EROOT", "AD_ECALL",  "AD_EUNSUPPORTED", "AD_EIO"};
    return status >= 0 && status <= AD_EIO ? name[status] : "unknown status";
}

char *ad_shape_text(char buffer[32], int rows, int cols)
{
    if (rows >= 0)
        snprintf(buffer, 32, "[%d,%d]", rows, cols);
    else if (rows == AD_BATCH)
        snprintf(buffer, 32, "[B,%d]", cols);
    else
        snprintf(buffer, 32, "[%dB,%d]", -rows, cols);
    return buffer;
}

ad_tape *ad_new(void)
{
    ad_tape *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->cache = calloc(CACHE, sizeof *t->cache);
    if (!t->cache) {
        free(t);
        return NULL;
    }
    return t;
}

void ad_forget_values(ad_tape *t)
{
    for (int32_t i = 0; i < t->nval; i++) {
        free(t->val[i]);
        t->val[i] = NULL;
    }
}

void ad_free(ad_tape *t)
{
    if (!real_tape(t))
        return;
    ad_forget_values(t);
    ad_evals_free(t);
    ad_objects_cut(t, 0);
    for (int32_t i = 0; i < t->nchunks; i++)
        free(t->chunk[i]);
    for (int32_t i = 0; i < t->ninputs; i++) {
        free(t->input[i].name);
        free(t->input[i].value);
    }
    free(t->chunk);
    free(t->ext);
    free(t->values);
    free(t->input);
    free(t->named);
    free(t->cut);
    free(t->cache);
    free(t->val);
    free(t->object);
    free(t);
}

int ad_status(const ad_tape *t) { return real_tape(t) ? t->status : AD_ENOMEM; }

const char *ad_message(const ad_tape *t) { return real_tape(t) ? t->message : "ad_new: out of memory"; }

void ad_clear(ad_tape *t)
{
    if (!real_tape(t))
        return;
    t->status = AD_OK;
    t->message[0] = 0;
}

/* Handles ---------------------------------------------------------------------------------------- */

static bool stale(const ad_tape *t, int32_t id, uint32_t mark)
{
    if (mark == t->epoch)
        return id >= t->n;
    /* the lowest cut after `mark`: the first one recorded later, because cuts ascend */
    for (int32_t i = 0; i < t->ncuts; i++)
        if (t->cut[i].epoch > mark)
            return id >= t->cut[i].nodes;
    return id >= t->n;
}

ad_node *ad_node_of(ad_var v)
{
    if (v.id < 0 || !real_tape(v.tape) || (!ad_fresh(v.tape, v) && stale(v.tape, v.id, v.mark)))
        return NULL;
    return ad_at_id(v.tape, v.id);
}

ad_mark ad_here(ad_tape *t)
{
    ad_mark m = {0, 0, 0, 0, 0};
    if (real_tape(t)) {
        m.nodes = t->n;
        m.inputs = t->ninputs;
        m.ext = t->next;
        m.epoch = t->epoch;
        m.values = t->nvalues;
    }
    return m;
}

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

void ad_rewind(ad_tape *t, ad_mark to)
{
    if (!real_tape(t))
        return;
    if (to.nodes < 0 || to.nodes > t->n || to.ext < 0 || to.ext > t->next || to.inputs < 0 ||
        to.inputs > t->ninputs || to.values < 0 || to.values > t->nvalues ||
        (to.nodes > 0 && stale(t, to.nodes - 1, to.epoch))) {
        ad_fail(t, AD_ESTALE, "ad_rewind: the mark at node %d is no longer on the tape of %d nodes", to.nodes,
                t->n);
        return;
    }
    while (t->ncuts > 0 && t->cut[t->ncuts - 1].nodes >= to.nodes)
        t->ncuts--;
    if (t->ncuts == t->cuts_cap) {
        int32_t cap = t->cuts_cap ? 2 * t->cuts_cap : 8;
        struct ad_cut *cut = realloc(t->cut, (size_t)cap * sizeof *cut);
        if (!cut) {
            ad_fail(t, AD_ENOMEM, "ad_rewind: out of memory");
            return;
        }
        t->cut = cut;
        t->cuts_cap = cap;
    }
    ad_evals_free(t);
    ad_objects_cut(t, to.nodes);
    t->epoch++;
    t->cut[t->ncuts].epoch = t->epoch;
    t->cut[t->ncuts++].nodes = to.nodes;
    for (int32_t i = to.nodes; i < t->nval && i < t->n; i++) {
        free(t->val[i]);
        t->val[i] = NULL;
    }
    for (int32_t i = t->ninputs - 1; i >= to.inputs; i--) {
        *named(t, t->input[i].name) = t->input[i].next; /* the last of its hash */
        free(t->input[i].name);
        free(t->input[i].value);
    }
    t->n = to.nodes;
    t->ninputs = to.inputs;
    t->next = to.ext;
    t->nvalues = to.values;
    memset(t->cache, 0, CACHE * sizeof *t->cache); /* it may name removed nodes */
}

int ad_is_number(ad_var x) { return x.tape == NULL; }
int ad_is_void(ad_var x) { return x.tape && !ad_node_of(x); }
int ad_rows(ad_var x)
{
    const ad_node *n = ad_node_of(x);
    return n ? n->rows : ad_is_number(x);
}
int ad_cols(ad_var x)
{
    const ad_node *n = ad_node_of(x);
    return n ? n->cols : ad_is_number(x);
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
int32_t ad_nodes(const ad_tape *t) { return real_tape(t) ? t->n : 0; }
size_t ad_bytes(const ad_tape *t)
{
    if (!real_tape(t))
        return 0;
    size_t objects = (size_t)t->objects_cap * sizeof *t->object;
    for (int32_t i = 0; i < t->nobjects; i++)
        objects += ad_object_bytes(t->object[i].object);
    return objects + sizeof *t + (size_t)t->nchunks * (CHUNK * sizeof(ad_node) + sizeof(ad_node *)) +
           (size_t)t->ext_cap * sizeof *t->ext + (size_t)t->values_cap * sizeof(double) +
           (size_t)t->inputs_cap * sizeof *t->input + (size_t)t->named_size * sizeof *t->named +
           CACHE * sizeof *t->cache;
}
int ad_inputs(const ad_tape *t) { return real_tape(t) ? t->ninputs : 0; }
ad_var ad_input_at(ad_tape *t, int i)
{
    if (!real_tape(t) || i < 0 || i >= t->ninputs)
        return ad_fail(t, AD_EARG, "ad_input_at: input %d of %d", i, ad_inputs(t));
    return ad_var_of(t, t->input[i].id);
}
ad_var ad_find(ad_tape *t, const char *name)
{
    if (real_tape(t) && name && t->ninputs)
        for (int32_t i = *named(t, name); i; i = t->input[i - 1].next)
            if (!strcmp(t->input[i - 1].name, name))
                return ad_var_of(t, t->input[i - 1].id);
    return ad_void(t);
}

/* Recording --------------------------------------------------------------------------------------- */

bool ad_literal(ad_var x, double *value)
{
    if (ad_is_number(x)) {
        *value = x.value;
        return true;
    }
    const ad_node *n = ad_node_of(x);
    if (!n || n->op != OP_FILL)
        return false;
    *value = x.tape->values[n->arg[0]];
    return true;
}

static uint64_t hash(const ad_node *n)
{ /* independent products: they overlap */
    uint64_t a = (uint32_t)n->arg[0] * 0x9e3779b97f4a7c15u ^ (uint32_t)n->arg[1] * 0xff51afd7ed558ccdu;
    uint64_t b = (uint32_t)n->arg[2] * 0xc4ceb9fe1a85ec53u ^ n->op * 0xd6e8feb86659fd93u;
    uint64_t c = (((uint64_t)(uint32_t)n->rows << 32) ^ (uint32_t)n->cols) * 0xa0761d6478bd642fu;
    uint64_t h = (a ^ b ^ c) * 0xe7037ed1a0b428dbu;
    return h ^ h >> 32;
}

/* Where a node of this hash may be: *id is its number + 1, or 0 when it is not there for certain. */
static struct ad_recent *recent(const ad_tape *t, uint64_t h, int32_t *id)
{
    struct ad_recent *r = &t->cache[h % CACHE];
    *id = r->tag == (uint32_t)(h >> 32) ? r->id : 0;
    return r;
}

static bool room(ad_tape *t)
{
    if (t->n < t->nchunks * CHUNK)
        return true;
    if (t->n >= INT_MAX - CHUNK)
        return false;
    ad_node **chunk = realloc(t->chunk, (size_t)(t->nchunks + 1) * sizeof *chunk);
    if (!chunk)
        return false;
    t->chunk = chunk;
    t->chunk[t->nchunks] = malloc(CHUNK * sizeof(ad_node));
    if (!t->chunk[t->nchunks])
        return false;
    t->nchunks++;
    return true;
}

static int32_t add_ext(ad_tape *t, int nargs, const ad_var args[], int nattr, const int32_t attrs[])
{
    int64_t need = (int64_t)t->next + 1 + nargs + nattr;
    int32_t *spare = NULL;
    if (need > t->ext_cap) {
        int64_t cap = 2 * need + 64;
        int32_t *ext = cap < INT_MAX ? malloc((size_t)cap * sizeof *ext) : NULL, *old = t->ext;
        if (!ext)
            return -1;
        if (t->next)
            memcpy(ext, old, (size_t)t->next * sizeof *ext);
        t->ext = ext;
        spare = old; /* attrs may point into it */
        t->ext_cap = (int32_t)cap;
    }
    int32_t at = t->next + 1;
    t->ext[at - 1] = nargs;
    for (int i = 0; i < nargs; i++)
        t->ext[at + i] = args[i].id;
    for (int i = 0; i < nattr; i++)
        t->ext[at + nargs + i] = attrs[i];
    free(spare);
    t->next = (int32_t)need;
    return at;
}

/* How many operands pass a mask on to the result: what is linear in them, element by element. */
static const uint8_t passes[OP_COUNT_] = {
    [OP_neg] = 1, [OP_add] = 2,  [OP_sub] = 2,   [OP_mul] = 2,           [OP_mulz] = 2,
    [OP_div] = 1, [OP_divz] = 1, [OP_where] = 3, [OP_ADD_N] = UINT8_MAX,
#define SHAPE_OP(OP, name, kind, arity, attrs) [OP] = kind == AD_LINEAR ? UINT8_MAX : 0,
#include "ops_shape.def"
#undef SHAPE_OP
};

/* Whether an element of the result is 0 where an element of a masked operand is; where(c, x, 0) begins a mask. Rules then
 * multiply with mulz, so that the branch not taken stays out of every derivative. A result marked without need costs a
 * few instructions and nothing else. */
static bool masked(ad_tape *t, int op, int nargs, const ad_var args[])
{
    double v;
    int n = nargs < passes[op] || passes[op] == UINT8_MAX ? nargs : passes[op];
    if (op == OP_where)
        for (int i = 1; i < 3; i++)
            if (ad_literal(args[i], &v) && v == 0)
                return t->masks = true;
    for (int i = 0; t->masks && i < n; i++)
        if (ad_at_id(t, args[i].id)->flags & NODE_MASKED)
            return true;
    return false;
}

static ad_var append(ad_tape *t, const ad_node *n)
{
    if (!room(t))
        return ad_fail(t, AD_ENOMEM, "ad_%s: out of memory after %d nodes", ad_ops[n->op].name, t->n);
    *ad_at_id(t, t->n) = *n;
    return ad_var_of(t, t->n++);
}

ad_var ad_push(ad_tape *t, int op, int rows, int cols, int nargs, const ad_var args[], int nattr,
               const int32_t attrs[])
{
    if (t->status)
        return ad_void(t);
    ad_node n = {.op = (uint16_t)op, .nattr = nattr, .rows = rows, .cols = cols};
    if ((t->masks || op == OP_where) && masked(t, op, nargs, args))
        n.flags = NODE_MASKED;
    if (nargs + nattr > 3) {
        if (!room(t))
            return append(t, &n);
        n.flags |= NODE_EXT;
        n.arg[0] = add_ext(t, nargs, args, nattr, attrs);
        if (n.arg[0] < 0)
            return ad_fail(t, AD_ENOMEM, "ad_%s: out of memory for %d operands", ad_ops[op].name, nargs);
        return append(t, &n);
    }
    n.nargs = (uint8_t)nargs;
    for (int i = 0; i < nargs; i++)
        n.arg[i] = args[i].id;
    for (int i = 0; i < nattr; i++)
        n.arg[nargs + i] = attrs[i];
    if (op == OP_INPUT) /* never shared */
        return append(t, &n);
    int32_t old;
    uint64_t h = hash(&n);
    struct ad_recent *r = recent(t, h, &old);
    if (old && !memcmp(ad_at_id(t, old - 1), &n, sizeof n))
        return ad_var_of(t, old - 1);
    ad_var v = append(t, &n);
    if (v.id >= 0)
        *r = (struct ad_recent){(uint32_t)(h >> 32), v.id + 1};
    return v;
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

static int64_t add_values(ad_tape *t, int64_t count, const double values[])
{
    double *spare = NULL;
    if (t->nvalues + count > t->values_cap) {
        int64_t cap = 2 * (t->nvalues + count) + 32;
        double *v = malloc((size_t)cap * sizeof *v);
        if (!v)
            return -1;
        if (t->nvalues)
            memcpy(v, t->values, (size_t)t->nvalues * sizeof *v);
        spare = t->values; /* `values` may point into it */
        t->values = v;
        t->values_cap = cap;
    }
    memcpy(t->values + t->nvalues, values, (size_t)count * sizeof *values);
    free(spare);
    t->nvalues += count;
    return t->nvalues - count;
}

ad_var ad_input(ad_tape *t, const char *name, int rows, int cols)
{
    if (!real_tape(t) || t->status)
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
    if (!real_tape(t) || t->status || !good_shape(t, "ad_fill", rows, cols))
        return ad_void(t);
    /* equal constants share their value by bits, through a node of the cache where it is still there */
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int32_t old;
    uint64_t h = (bits ^ bits >> 32 ^ ((uint64_t)(uint32_t)rows << 40) ^ ((uint64_t)(uint32_t)cols << 20)) *
                 0x9e3779b97f4a7c15u; /* a short number has its bits on top */
    h ^= h >> 32;
    struct ad_recent *r = recent(t, h, &old);
    if (old) {
        const ad_node *n = ad_at_id(t, old - 1);
        if (n->op == OP_FILL && n->rows == rows && n->cols == cols &&
            !memcmp(&t->values[n->arg[0]], &value, sizeof value))
            return ad_var_of(t, old - 1);
    }
    int64_t at = add_values(t, 1, &value);
    if (at < 0 || at > INT_MAX)
        return ad_fail(t, AD_ENOMEM, "ad_fill: out of memory");
    ad_node n = {.op = OP_FILL, .nattr = 1, .rows = rows, .cols = cols, .arg = {(int32_t)at}};
    ad_var v = append(t, &n);
    if (v.id >= 0)
        *r = (struct ad_recent){(uint32_t)(h >> 32), v.id + 1};
    return v;
}

ad_var ad_const(ad_tape *t, int rows, int cols, const double values[])
{
    if (!real_tape(t) || t->status || !good_shape(t, "ad_const", rows, cols))
        return ad_void(t);
    if (rows < 0)
        return ad_fail(t, AD_ESHAPE,
                       "ad_const: a constant has a fixed number of rows (ad_fill may have AD_BATCH)");
    if (!values)
        return ad_fail(t, AD_EARG, "ad_const: no values");
    if (rows == 1 && cols == 1)
        return ad_fill(t, 1, 1, values[0]);
    int64_t at = add_values(t, (int64_t)rows * cols, values);
    if (at < 0)
        return ad_fail(t, AD_ENOMEM, "ad_const: out of memory for [%d,%d]", rows, cols);
    int32_t attr[2] = {(int32_t)(at & 0x3fffffff), (int32_t)(at >> 30)};
    return ad_push(t, OP_CONST, rows, cols, 0, NULL, 2, attr);
}

ad_var ad_eye(ad_tape *t, int n)
{
    if (!real_tape(t) || t->status || !good_shape(t, "ad_eye", n, n))
        return ad_void(t);
    if (n < 0)
        return ad_fail(t, AD_ESHAPE, "ad_eye: size %d; needs a number >= 1", n);
    return ad_push(t, OP_EYE, n, n, 0, NULL, 0, NULL);
}

bool ad_join(const char *who, int n, const ad_var in[], ad_var out[], ad_tape **tape)
{
    ad_tape *t = in[0].tape;
    bool fresh = real_tape(t) && !t->status;
    for (int i = 0; fresh && i < n; i++) {
        fresh = ad_fresh(t, in[i]);
        out[i] = in[i];
    }
    *tape = t;
    if (fresh)
        return true;
    t = NULL;
    for (int i = 0; i < n; i++)
        if (in[i].tape && (!t || !real_tape(t)))
            t = in[i].tape;
    *tape = t;
    if (!real_tape(t))
        return false;
    for (int i = 0; i < n; i++) {
        if (!in[i].tape) {
            out[i] = ad_fill(t, 1, 1, in[i].value);
        } else if (in[i].tape != t) {
            ad_fail(t, AD_ETAPE, "%s: operand %d is on another tape", who, i + 1);
            return false;
        } else if (in[i].id < 0) {
            return false;
        } else if (stale(t, in[i].id, in[i].mark)) {
            ad_fail(t, AD_ESTALE, "%s: operand %d (node %d) was removed by ad_rewind", who, i + 1, in[i].id);
            return false;
        } else {
            out[i] = in[i];
        }
        if (out[i].id < 0)
            return false;
    }
    return !t->status;
}
