/* code.c - pass: runs of scalar instructions become code for the interpreter of kernels/k_code.h.
 * Contract: an instruction belongs to a run when its result and operands are at most MOST numbers (even stages: one tuple
 * of code an element) or one number for each row (odd stages, where one number may stand for all rows). A run computes
 * what its instructions compute, in their order, so bits do not change. What it reads from other places is imported into
 * its file first, what it writes to other places exported at its end; constants are in the file from the beginning.
 *
 * SPDX-License-Identifier: MIT */
#include "plan.h"

enum { MOST = AD_SLOT_MOST, OPERANDS = 16, ZERO = -1 };

static int64_t numbers(const ad_place *v) { return v->rows < 0 ? INT64_MAX : (int64_t)v->rows * v->cols; }

static bool moves(int op)
{
    return op == OP_CONCAT_COLS || op == OP_CONCAT_ROWS || op == OP_PAD || op == OP_SLICE ||
           op == OP_GATHER_COLS || op == OP_EXPAND || op == OP_RESHAPE;
}

/* Does the instruction go into code? */
static bool scalar(const ad_coder *c, const ad_ins *ins)
{
    const ad_program *p = c->p;
    const int32_t *a = ad_ins_args(p, ins);
    int n = ad_ins_nargs(p, ins);
    bool elementwise = ad_ops[ins->op].kind == AD_ELEMENTWISE;
    if (c->odd) {
        const ad_place *d = &p->place[a[-1]];
        bool one = elementwise && d->cols == 1 && d->rows == -1;
        for (int k = 0; one && k < n; k++) {
            const ad_place *o = &p->place[a[k]];
            one = o->cols == 1 && (o->rows == -1 || o->rows == 1);
        }
        return one;
    }
    bool few = elementwise || moves(ins->op) || ins->op == OP_SUM_COLS || ins->op == OP_SUM_ROWS;
    for (int k = -1; few && k < n; k++)
        few = ad_is_one(c->spot[a[k]]) || numbers(&p->place[a[k]]) <= MOST;
    return few && (elementwise || n <= OPERANDS);
}

static bool grow(void *at, int32_t *cap, int32_t need, size_t size)
{
    void **p = at;
    if (need <= *cap)
        return true;
    int32_t more = 2 * need + 64;
    void *q = realloc(*p, (size_t)more * size);
    if (!q)
        return false;
    *p = q;
    *cap = more;
    return true;
}

static void put(ad_coder *c, int32_t word)
{
    ad_program *p = c->p;
    c->ok = c->ok && grow(&p->code, &c->code_cap, p->ncode + 1, sizeof *p->code);
    if (c->ok)
        p->code[p->ncode++] = word;
}

static void add_port(ad_coder *c, int32_t slot, int32_t place)
{
    ad_program *p = c->p;
    c->ok = c->ok && grow(&p->port, &c->port_cap, p->nport + 1, sizeof *p->port);
    if (c->ok)
        p->port[p->nport++] = (ad_port){slot, place, c->odd ? 1 : (int32_t)numbers(&p->place[place])};
}

/* The slot of a place in the present run, negative when it has none yet. */
static inline int32_t slot_of(const ad_coder *c, int32_t place)
{
    int32_t s = ad_slot(c->spot[place]);
    return (s & 1) == c->odd ? s >> 1 : -1;
}

/* A slot for this run only. */
static int32_t set_slot(ad_coder *c, int32_t place, int32_t slot)
{
    c->ok = c->ok && grow(&c->touched, &c->touched_cap, c->ntouched + 1, sizeof *c->touched);
    if (c->ok) {
        c->touched[c->ntouched++] = place;
        c->spot[place] = ad_spot_of(ad_hold(c->spot[place]), 2 * slot + c->odd);
    }
    return slot;
}

/* A constant place, or zero: its first slot. */
static int32_t fixed_slot(ad_coder *c, int32_t place)
{
    ad_program *p = c->p;
    int32_t **table = &c->const_slot[c->odd];
    if (!*table && !(*table = calloc((size_t)p->nplaces + 1, sizeof **table))) {
        c->ok = false;
        return 0;
    }
    int32_t *at = &(*table)[place == ZERO ? p->nplaces : place];
    int32_t count = place == ZERO || c->odd ? 1 : (int32_t)numbers(&p->place[place]);
    if (*at)
        return *at - 1;
    c->ok = c->ok && grow(&p->fixed[c->odd], &c->fixed_cap[c->odd], p->nfixed[c->odd] + 1, sizeof(ad_port));
    if (!c->ok)
        return 0;
    p->fixed[c->odd][p->nfixed[c->odd]++] = (ad_port){p->slots[c->odd], place, count};
    *at = p->slots[c->odd] + 1;
    p->slots[c->odd] += count;
    return *at - 1;
}

static int32_t new_slots(ad_coder *c, int32_t place)
{
    int32_t s = c->p->slots[c->odd];
    c->p->slots[c->odd] += c->odd ? 1 : (int32_t)numbers(&c->p->place[place]);
    return set_slot(c, place, s);
}

static __attribute__((noinline)) int32_t find_slot(ad_coder *c, int32_t place)
{
    const ad_place *v = &c->p->place[place];
    if (v->where == AD_AT_CONST)
        return set_slot(c, place, fixed_slot(c, place));
    if (v->where == AD_AT_OUTPUT && c->written[v->index].run == c->p->nrun + 1) /* itself, or a part of it */
        return set_slot(c, place, slot_of(c, c->written[v->index].place) + (int32_t)v->offset);
    int32_t s = new_slots(c, place);
    add_port(c, s, place);
    return s;
}

static inline int32_t read_slot(ad_coder *c, int32_t place)
{
    int32_t s = slot_of(c, place);
    return s >= 0 ? s : find_slot(c, place);
}

/* What is not in the file itself is an output, or in odd stages a value that outlives the block. */
static int32_t write_slot(ad_coder *c, int32_t place)
{
    int32_t s = slot_of(c, place);
    if (s >= 0)
        return s;
    if (c->p->place[place].where == AD_AT_OUTPUT)
        c->written[c->p->place[place].index] = (struct ad_written){place, c->p->nrun + 1};
    c->ok = c->ok && grow(&c->exported, &c->exported_cap, c->nexported + 1, sizeof *c->exported);
    if (c->ok)
        c->exported[c->nexported++] = place;
    return new_slots(c, place);
}

/* One tuple of code; equal operations in a row are one group. */
static void tuple(ad_coder *c, int op, int32_t d, int n, const int32_t s[])
{
    if (op != c->op) {
        c->op = op;
        put(c, op);
        c->count_at = c->p->ncode;
        put(c, 0);
    }
    put(c, d);
    for (int k = 0; k < n; k++)
        put(c, s[k]);
    if (c->ok)
        c->p->code[c->count_at]++;
}

/* Which number of a place stands at row i, column j of a result it broadcasts to. */
static int32_t element(const ad_coder *c, int32_t place, int32_t i, int32_t j)
{
    if (ad_is_one(c->spot[place]) || c->odd)
        return 0;
    const ad_place *o = &c->p->place[place];
    return (o->rows == 1 ? 0 : i) * o->cols + (o->cols == 1 ? 0 : j);
}

static void encode_elementwise(ad_coder *c, const ad_ins *ins, int32_t i, int32_t j, int32_t d)
{
    const ad_program *p = c->p;
    const int32_t *a = ad_ins_args(p, ins);
    int n = ad_ins_nargs(p, ins);
    int32_t s[3];
    for (int k = 0; k < n && k < 3; k++)
        s[k] = read_slot(c, a[k]) + element(c, a[k], i, j);
    if (ins->op != OP_ADD_N) {
        tuple(c, ins->op, d, n, s);
        return;
    }
    tuple(c, OP_add, d, 2, s); /* x0 + x1, then + x2, ... */
    if (!ad_code_room(c, 3 * (n - 2)))
        return;
    int32_t *to = p->code + p->ncode;
    for (int k = 2; k < n; k++) {
        *to++ = d;
        *to++ = d;
        *to++ = read_slot(c, a[k]) + element(c, a[k], i, j);
    }
    p->code[c->count_at] += n - 2;
    c->p->ncode += 3 * (n - 2);
}

/* The number that row i, column j of a movement takes: its slot. */
static int32_t moved_from(ad_coder *c, const ad_ins *ins, int32_t i, int32_t j)
{
    const ad_program *p = c->p;
    const int32_t *a = ad_ins_args(p, ins), *at = ad_ins_attrs(p, ins);
    const ad_place *o = &p->place[a[0]];
    int k = 0;
    switch (ins->op) {
    case OP_CONCAT_COLS:
        for (; j >= p->place[a[k]].cols; k++)
            j -= p->place[a[k]].cols;
        break;
    case OP_CONCAT_ROWS:
        for (; i >= p->place[a[k]].rows; k++)
            i -= p->place[a[k]].rows;
        break;
    case OP_PAD:
        i -= at[0];
        j -= at[1];
        if (i < 0 || j < 0 || i >= o->rows || j >= o->cols)
            return fixed_slot(c, ZERO);
        break;
    case OP_SLICE:
        i += at[0];
        j += at[1];
        break;
    case OP_GATHER_COLS:
        j = at[j];
        break;
    case OP_EXPAND:
        return read_slot(c, a[0]) + element(c, a[0], i, j);
    default: { /* reshape: the same order */
        int32_t flat = i * p->place[a[-1]].cols + j;
        i = flat / o->cols;
        j = flat % o->cols;
    }
    }
    return read_slot(c, a[k]) + i * p->place[a[k]].cols + j;
}

/* A chain over rows or columns: they are too few for more than one. */
static void encode_sum(ad_coder *c, const ad_ins *ins, int32_t i, int32_t j, int32_t d)
{
    const ad_program *p = c->p;
    int32_t of = ad_ins_args(p, ins)[0], base = read_slot(c, of), cols = p->place[of].cols, s[2];
    bool rows = ins->op == OP_SUM_ROWS;
    int32_t count = rows ? p->place[of].rows : cols, first = rows ? base + j : base + i * cols,
            step = rows ? cols : 1;
    s[0] = first;
    s[1] = first + step;
    if (count == 1)
        tuple(c, OP_STOP, d, 1, s);
    for (int32_t k = 1; k < count; k++, s[0] = d, s[1] = first + k * step)
        tuple(c, OP_add, d, 2, s);
}

/* One or two single numbers: the tuple is written as if each began a group, which costs no branch. */
static void encode_single(ad_coder *c, const ad_ins *ins)
{
    ad_program *p = c->p;
    const int32_t *a = p->pool + ins->at;
    int two = ins->nargs > 1;
    int32_t x = read_slot(c, a[1]), y = read_slot(c, a[1 + two]), d = write_slot(c, a[0]);
    c->ok = c->ok && grow(&p->code, &c->code_cap, p->ncode + 5, sizeof *p->code);
    if (!c->ok)
        return;
    bool begins = ins->op != c->op;
    int32_t *to = p->code + p->ncode;
    to[0] = ins->op;
    to[1] = 0;
    c->count_at = begins ? p->ncode + 1 : c->count_at;
    c->op = ins->op;
    to += begins ? 2 : 0;
    to[0] = d;
    to[1] = x;
    to[2] = y;
    p->code[c->count_at]++;
    p->ncode = (int32_t)(to - p->code) + 2 + two;
}

static void encode_any(ad_coder *c, const ad_ins *ins)
{
    const ad_program *p = c->p;
    const int32_t *a = ad_ins_args(p, ins);
    const ad_place *v = &p->place[a[-1]];
    for (int k = 0, n = ad_ins_nargs(p, ins); k < n; k++) /* read before it is written elsewhere */
        read_slot(c, a[k]);
    int32_t d = write_slot(c, a[-1]), rows = c->odd ? 1 : v->rows, cols = c->odd ? 1 : v->cols;
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < cols; j++) {
            int32_t to = d + i * cols + j, from;
            if (ad_ops[ins->op].kind == AD_ELEMENTWISE) {
                encode_elementwise(c, ins, i, j, to);
            } else if (moves(ins->op)) {
                from = moved_from(c, ins, i, j);
                tuple(c, OP_STOP, to, 1, &from);
            } else {
                encode_sum(c, ins, i, j, to);
            }
        }
}

/* An elementwise operation of one or two operands whose result is single is one of single operands. */
static inline bool single(const ad_coder *c, const ad_ins *ins)
{
    const ad_place *d = &c->p->place[c->p->pool[ins->at]];
    return ad_ops[ins->op].kind == AD_ELEMENTWISE && (uint16_t)(ins->nargs - 1) < 2 && ins->op != OP_ADD_N &&
           d->cols == 1 && d->rows == (c->odd ? -1 : 1);
}

static void encode(ad_coder *c, int32_t i)
{
    const ad_ins *ins = &c->p->ins[i];
    if (single(c, ins))
        encode_single(c, ins);
    else
        encode_any(c, ins);
    c->run.end = i + 1;
}

void ad_code_add(ad_coder *c)
{
    ad_program *p = c->p;
    int32_t i = p->nins - 1;
    if (!scalar(c, &p->ins[i])) {
        c->first = -1;
        if (c->open)
            ad_code_close(c);
        return;
    }
    if (c->first < 0) {
        c->first = i;
        return;
    }
    if (!p->code && !(p->code = ad_long_array((size_t)c->code_cap * sizeof *p->code))) {
        c->ok = false;
        return;
    }
    if (!c->open) { /* two are worth it */
        c->open = true;
        c->run = (ad_run_code){.first = c->first, .code = p->ncode, .import = p->nport};
        c->op = -1;
        c->ntouched = c->nexported = 0;
        encode(c, c->first);
    }
    encode(c, i);
}

void ad_code_close(ad_coder *c)
{
    ad_program *p = c->p;
    ad_run_code *r = &c->run;
    c->first = -1;
    if (!c->open)
        return;
    c->open = false;
    put(c, OP_INPUT);
    r->nimport = p->nport - r->import;
    r->export = p->nport;
    for (int32_t i = 0; c->ok && i < c->nexported; i++)
        add_port(c, slot_of(c, c->exported[i]), c->exported[i]);
    r->nexport = p->nport - r->export;
    for (int32_t i = 0; i < c->ntouched; i++)
        c->spot[c->touched[i]] = ad_spot_of(ad_hold(c->spot[c->touched[i]]), ad_own_slot(p, c->touched[i]));
    c->ok = c->ok && grow(&p->run, &c->run_cap, p->nrun + 1, sizeof *p->run);
    if (c->ok)
        p->run[p->nrun++] = *r;
    p->report.scalar_instructions += r->end - r->first;
}

bool ad_code_room(ad_coder *c, int32_t words)
{
    return c->ok = c->ok && grow(&c->p->code, &c->code_cap, c->p->ncode + words, sizeof *c->p->code);
}

int32_t ad_code_slot(ad_coder *c, int32_t place) { return read_slot(c, place); }

void ad_code_begin(ad_coder *c, ad_program *p, ad_spot *spot, int64_t pool)
{
    *c = (ad_coder){.p = p, .spot = spot, .first = -1, .written = c->written};
    int64_t cap =
        pool + p->nplaces + 64; /* about the most: a tuple, and what begins a group, for each node */
    c->code_cap = cap < INT32_MAX ? (int32_t)cap : INT32_MAX;
    c->ok = true;
}

bool ad_code_end(ad_coder *c)
{
    free(c->touched);
    free(c->exported);
    free(c->const_slot[0]);
    free(c->const_slot[1]);
    return c->ok;
}
