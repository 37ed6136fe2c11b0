/* code.c - pass: runs of scalar instructions become code for the interpreter of kernels/k_code.h.
 * Contract: an instruction belongs to a run when its result and operands are at most MOST numbers (even stages: one tuple
 * of code an element) or one number for each row (odd stages, where one number may stand for all rows). A run computes
 * what its instructions compute, in their order, so bits do not change. What it reads from other places is imported into
 * its file first, what it writes to other places exported at its end; constants are in the file from the beginning.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { SHORTEST = 2, MOST = AD_SLOT_MOST, OPERANDS = 16, ZERO = -1 };

typedef struct coder {
    ad_program *p;
    int32_t *
        at; /* by place: twice its slot, + 1 in the file of odd stages; negative when it has none in this run */
    int32_t *touched, ntouched, touched_cap; /* places that have a slot in this run only */
    int32_t *exported, nexported, exported_cap;
    int32_t *const_slot[2]; /* by place, and one more for zero: the slot of a constant + 1 */
    int32_t code_cap, port_cap, fixed_cap[2];
    int32_t *written, *written_in; /* by output: the place that wrote it, in which run */
    int32_t count_at, op;          /* of the group being written */
    int odd;
    bool ok;
} coder;

static int64_t numbers(const ad_place *v) { return v->rows < 0 ? INT64_MAX : (int64_t)v->rows * v->cols; }

static bool moves(int op)
{
    return op == OP_CONCAT_COLS || op == OP_CONCAT_ROWS || op == OP_PAD || op == OP_SLICE ||
           op == OP_GATHER_COLS || op == OP_EXPAND || op == OP_RESHAPE;
}

/* Does the instruction go into code? */
static bool scalar(const ad_program *p, const ad_ins *ins, int odd)
{
    const int32_t *a = ad_ins_args(p, ins);
    int n = ad_ins_nargs(p, ins);
    bool elementwise = ad_ops[ins->op].kind == AD_ELEMENTWISE;
    if (odd) {
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
        few = numbers(&p->place[a[k]]) <= MOST;
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

static void put(coder *c, int32_t word)
{
    ad_program *p = c->p;
    c->ok = c->ok && grow(&p->code, &c->code_cap, p->ncode + 1, sizeof *p->code);
    if (c->ok)
        p->code[p->ncode++] = word;
}

static void add_port(coder *c, int32_t slot, int32_t place)
{
    ad_program *p = c->p;
    c->ok = c->ok && grow(&p->port, &c->port_cap, p->nport + 1, sizeof *p->port);
    if (c->ok)
        p->port[p->nport++] = (ad_port){slot, place, c->odd ? 1 : (int32_t)numbers(&p->place[place])};
}

/* The slot of a place whose buffer is in a file itself, as at[] has it. */
static int32_t own_slot(const ad_program *p, int32_t place)
{
    const ad_place *v = &p->place[place];
    if (v->where != AD_AT_BUFFER || p->slot[v->index] < 0)
        return -2;
    return 2 * (p->slot[v->index] + (int32_t)v->offset) + (v->rows < 0);
}

/* The slot of a place in the present run, negative when it has none yet. */
static inline int32_t slot_of(const coder *c, int32_t place)
{
    int32_t s = c->at[place];
    return (s & 1) == c->odd ? s >> 1 : -1;
}

/* A slot for this run only. */
static int32_t set_slot(coder *c, int32_t place, int32_t slot)
{
    c->ok = c->ok && grow(&c->touched, &c->touched_cap, c->ntouched + 1, sizeof *c->touched);
    if (c->ok) {
        c->touched[c->ntouched++] = place;
        c->at[place] = 2 * slot + c->odd;
    }
    return slot;
}

/* A constant place, or zero: its first slot. */
static int32_t fixed_slot(coder *c, int32_t place)
{
    ad_program *p = c->p;
    int32_t *at = &c->const_slot[c->odd][place == ZERO ? p->nplaces : place];
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

static int32_t new_slots(coder *c, int32_t place)
{
    int32_t s = c->p->slots[c->odd];
    c->p->slots[c->odd] += c->odd ? 1 : (int32_t)numbers(&c->p->place[place]);
    return set_slot(c, place, s);
}

static __attribute__((noinline)) int32_t find_slot(coder *c, int32_t run, int32_t place)
{
    const ad_place *v = &c->p->place[place];
    if (v->where == AD_AT_CONST)
        return set_slot(c, place, fixed_slot(c, place));
    if (v->where == AD_AT_OUTPUT && c->written_in[v->index] == run) /* itself, or a part of it */
        return set_slot(c, place, slot_of(c, c->written[v->index]) + (int32_t)v->offset);
    int32_t s = new_slots(c, place);
    add_port(c, s, place);
    return s;
}

static inline int32_t read_slot(coder *c, int32_t run, int32_t place)
{
    int32_t s = slot_of(c, place);
    return s >= 0 ? s : find_slot(c, run, place);
}

/* What is not in the file itself is an output, or in odd stages a value that outlives the block. */
static int32_t write_slot(coder *c, int32_t run, int32_t place)
{
    int32_t s = slot_of(c, place);
    if (s >= 0)
        return s;
    if (c->p->place[place].where == AD_AT_OUTPUT) {
        c->written[c->p->place[place].index] = place;
        c->written_in[c->p->place[place].index] = run;
    }
    c->ok = c->ok && grow(&c->exported, &c->exported_cap, c->nexported + 1, sizeof *c->exported);
    if (c->ok)
        c->exported[c->nexported++] = place;
    return new_slots(c, place);
}

/* One tuple of code; equal operations in a row are one group. */
static void tuple(coder *c, int op, int32_t d, int n, const int32_t s[])
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

/* Which number of operand o stands at row i, column j of a result it broadcasts to. */
static int32_t element(const ad_place *o, int32_t i, int32_t j)
{
    return (o->rows == 1 ? 0 : i) * o->cols + (o->cols == 1 ? 0 : j);
}

static void encode_elementwise(coder *c, int32_t run, const ad_ins *ins, int32_t i, int32_t j, int32_t d)
{
    const ad_program *p = c->p;
    const int32_t *a = ad_ins_args(p, ins);
    int n = ad_ins_nargs(p, ins);
    int32_t s[3];
    for (int k = 0; k < n && k < 3; k++)
        s[k] = read_slot(c, run, a[k]) + (c->odd ? 0 : element(&p->place[a[k]], i, j));
    if (ins->op != OP_ADD_N) {
        tuple(c, ins->op, d, n, s);
        return;
    }
    tuple(c, OP_add, d, 2, s); /* x0 + x1, then + x2, ... */
    for (int k = 2; k < n; k++)
        tuple(c, OP_add, d, 2,
              (int32_t[]){d, read_slot(c, run, a[k]) + (c->odd ? 0 : element(&p->place[a[k]], i, j))});
}

/* The number that row i, column j of a movement takes: its slot. */
static int32_t moved_from(coder *c, int32_t run, const ad_ins *ins, int32_t i, int32_t j)
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
        return read_slot(c, run, a[0]) + element(o, i, j);
    default: { /* reshape: the same order */
        int32_t flat = i * p->place[a[-1]].cols + j;
        i = flat / o->cols;
        j = flat % o->cols;
    }
    }
    return read_slot(c, run, a[k]) + i * p->place[a[k]].cols + j;
}

/* A chain over rows or columns: they are too few for more than one. */
static void encode_sum(coder *c, int32_t run, const ad_ins *ins, int32_t i, int32_t j, int32_t d)
{
    const ad_program *p = c->p;
    int32_t of = ad_ins_args(p, ins)[0], base = read_slot(c, run, of), cols = p->place[of].cols, s[2];
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
static void encode_single(coder *c, int32_t run, const ad_ins *ins)
{
    ad_program *p = c->p;
    const int32_t *a = p->pool + ins->at;
    int two = ins->nargs > 1;
    int32_t x = read_slot(c, run, a[1]), y = read_slot(c, run, a[1 + two]), d = write_slot(c, run, a[0]);
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

static void encode_any(coder *c, int32_t run, const ad_ins *ins)
{
    const ad_program *p = c->p;
    const int32_t *a = ad_ins_args(p, ins);
    const ad_place *v = &p->place[a[-1]];
    for (int k = 0, n = ad_ins_nargs(p, ins); k < n; k++) /* read before it is written elsewhere */
        read_slot(c, run, a[k]);
    int32_t d = write_slot(c, run, a[-1]), rows = c->odd ? 1 : v->rows, cols = c->odd ? 1 : v->cols;
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < cols; j++) {
            int32_t to = d + i * cols + j, from;
            if (ad_ops[ins->op].kind == AD_ELEMENTWISE) {
                encode_elementwise(c, run, ins, i, j, to);
            } else if (moves(ins->op)) {
                from = moved_from(c, run, ins, i, j);
                tuple(c, OP_STOP, to, 1, &from);
            } else {
                encode_sum(c, run, ins, i, j, to);
            }
        }
}

/* An elementwise operation of one or two operands whose result is single is one of single operands. */
static inline bool single(const coder *c, const ad_ins *ins)
{
    const ad_place *d = &c->p->place[c->p->pool[ins->at]];
    return ad_ops[ins->op].kind == AD_ELEMENTWISE && (uint16_t)(ins->nargs - 1) < 2 && ins->op != OP_ADD_N &&
           d->cols == 1 && d->rows == (c->odd ? -1 : 1);
}

/* The run that begins with two instructions known to be scalar: where it ends. */
static int32_t add_run(coder *c, int32_t first, int32_t limit)
{
    ad_program *p = c->p;
    ad_run_code r = {.first = first, .end = first, .code = p->ncode, .import = p->nport};
    int32_t run = p->nrun + 1;
    c->op = -1;
    c->ntouched = c->nexported = 0;
    for (; r.end < limit; r.end++) {
        const ad_ins *ins = &p->ins[r.end];
        if (single(c, ins))
            encode_single(c, run, ins);
        else if (r.end < first + SHORTEST || scalar(p, ins, c->odd))
            encode_any(c, run, ins);
        else
            break;
    }
    put(c, OP_INPUT);
    r.nimport = p->nport - r.import;
    r.export = p->nport;
    for (int32_t i = 0; c->ok && i < c->nexported; i++)
        add_port(c, slot_of(c, c->exported[i]), c->exported[i]);
    r.nexport = p->nport - r.export;
    for (int32_t i = 0; i < c->ntouched; i++)
        c->at[c->touched[i]] = own_slot(p, c->touched[i]);
    p->run[p->nrun++] = r;
    p->report.scalar_instructions += r.end - first;
    return r.end;
}

bool ad_pass_code(ad_program *p)
{
    coder c = {.p = p, .ok = true};
    size_t places = (size_t)p->nplaces + 1;
    p->slot = malloc(((size_t)p->nbuffers + 1) * sizeof *p->slot);
    p->run = malloc(((size_t)p->nins / SHORTEST + 1) * sizeof *p->run);
    c.at = ad_long_array(places * sizeof *c.at);
    c.const_slot[0] = calloc(places + 1, sizeof **c.const_slot);
    c.const_slot[1] = calloc(places + 1, sizeof **c.const_slot);
    c.written = calloc((size_t)p->nout + 1, sizeof *c.written);
    c.written_in = calloc((size_t)p->nout + 1, sizeof *c.written_in);
    c.ok = c.written && c.written_in && p->slot && p->run && c.at && c.const_slot[0] && c.const_slot[1] &&
           (p->code = ad_long_array(((size_t)p->npool + 64) * sizeof *p->code));
    c.code_cap =
        c.ok ? p->npool + 64 : 0; /* about what they need: operations and counts are rarer than numbers */
    for (int32_t b = 0; c.ok && b < p->nbuffers; b++) {
        const ad_buffer *v = &p->buffer[b];
        p->slot[b] = -1;
        if (v->fixed && v->fixed <= MOST && !v->per_row) {
            p->slot[b] = p->slots[0];
            p->slots[0] += (int32_t)v->fixed;
        } else if (v->local && v->per_row == 1 && !v->fixed) {
            p->slot[b] = p->slots[1]++;
        }
    }
    for (int32_t i = 0; c.ok && i < p->nplaces; i++)
        c.at[i] = own_slot(p, i);
    for (int32_t s = 0; c.ok && s < p->nstages; s++) {
        c.odd = p->stage[s].rows;
        for (int32_t i = p->stage[s].first, end = p->stage[s].end; i < end;) {
            bool two = i + SHORTEST <= end;
            for (int k = 0; two && k < SHORTEST; k++)
                two = scalar(p, &p->ins[i + k], c.odd);
            i = two ? add_run(&c, i, end) : i + 1;
        }
    }
    free(c.at);
    free(c.touched);
    free(c.exported);
    free(c.written);
    free(c.written_in);
    free(c.const_slot[0]);
    free(c.const_slot[1]);
    return c.ok;
}
