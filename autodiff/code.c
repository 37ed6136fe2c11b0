/* code.c - pass: runs of scalar instructions become code for the interpreter of kernels/k_code.h.
 * Contract: an instruction belongs to a run when its result and operands are one number (even stages) or one number for
 * each row (odd stages, where one number may stand for all rows). A run computes what its instructions compute, in their
 * order, so bits do not change. What it reads from other places is imported into its file first, what it writes to other
 * places exported at its end; constants are in the file from the beginning.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

enum { SHORTEST = 2 };

typedef struct coder {
    ad_program *p;
    int32_t *slot_of, *stamp; /* by place: its slot in the present run, when stamp is the run's number */
    int32_t *const_slot[2];   /* by place: the slot of a constant + 1 */
    int32_t code_cap, port_cap, fixed_cap[2];
    int odd;
    bool ok;
} coder;

static bool one(const ad_program *p, int32_t place, int odd, bool result)
{
    const ad_place *v = &p->place[place];
    return v->cols == 1 && (v->rows == (odd ? -1 : 1) || (v->rows == 1 && !result));
}

static bool scalar(const ad_program *p, const ad_ins *ins, int odd)
{
    const int32_t *a = ad_ins_args(p, ins);
    if (ad_ops[ins->op].kind != AD_ELEMENTWISE || !one(p, a[-1], odd, true))
        return false;
    for (int k = 0, n = ad_ins_nargs(p, ins); k < n; k++)
        if (!one(p, a[k], odd, false))
            return false;
    return true;
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
        p->port[p->nport++] = (ad_port){slot, place};
}

/* The slot of a buffer that is a slot itself in this kind of file; -1 for any other place. */
static int32_t own_slot(const coder *c, int32_t place)
{
    const ad_program *p = c->p;
    const ad_place *v = &p->place[place];
    if (v->where != AD_AT_BUFFER || v->offset || v->rows != (c->odd ? -1 : 1))
        return -1;
    return p->slot[v->index];
}

static int32_t read_slot(coder *c, int32_t run, int32_t place)
{
    ad_program *p = c->p;
    int32_t s = own_slot(c, place);
    if (s >= 0)
        return s;
    if (p->place[place].where == AD_AT_CONST) {
        int32_t *at = &c->const_slot[c->odd][place];
        if (!*at) {
            c->ok = c->ok &&
                    grow(&p->fixed[c->odd], &c->fixed_cap[c->odd], p->nfixed[c->odd] + 1, sizeof(ad_port));
            if (!c->ok)
                return 0;
            p->fixed[c->odd][p->nfixed[c->odd]++] = (ad_port){p->slots[c->odd], place};
            *at = ++p->slots[c->odd];
        }
        return *at - 1;
    }
    if (c->stamp[place] != run) {
        c->stamp[place] = run;
        c->slot_of[place] = p->slots[c->odd]++;
        add_port(c, c->slot_of[place], place);
    }
    return c->slot_of[place];
}

static int32_t write_slot(coder *c, int32_t run, int32_t place)
{
    int32_t s = own_slot(c, place);
    if (s >= 0)
        return s;
    c->stamp[place] = run;
    return c->slot_of[place] = c->p->slots[c->odd]++;
}

static void encode(coder *c, int32_t run, int32_t first, int32_t end)
{
    ad_program *p = c->p;
    int32_t count_at = -1, op = -1;
    for (int32_t i = first; i < end; i++) {
        const ad_ins *ins = &p->ins[i];
        const int32_t *a = ad_ins_args(p, ins);
        int n = ad_ins_nargs(p, ins), sum = ins->op == OP_ADD_N;
        int32_t s[3], to = sum ? OP_add : ins->op, times = sum ? n - 1 : 1;
        for (int k = 0; k < n && k < 3; k++)
            s[k] = read_slot(c, run, a[k]);
        int32_t d = write_slot(c, run, a[-1]);
        if (to != op) {
            op = to;
            put(c, op);
            count_at = p->ncode;
            put(c, 0);
        }
        for (int32_t k = 0; k < times; k++) { /* x0 + x1, then + x2, ... */
            put(c, d);
            put(c, k ? d : s[0]);
            if (sum && k)
                put(c, read_slot(c, run, a[k + 1]));
            else if (n > 1)
                put(c, s[1]);
            if (!sum && n > 2)
                put(c, s[2]);
        }
        if (c->ok)
            p->code[count_at] += times;
    }
    put(c, OP_INPUT);
}

static void add_run(coder *c, int32_t first, int32_t end)
{
    ad_program *p = c->p;
    ad_run_code r = {.first = first, .end = end, .code = p->ncode, .import = p->nport};
    int32_t run = p->nrun + 1;
    encode(c, run, first, end);
    r.nimport = p->nport - r.import;
    r.export = p->nport;
    for (int32_t i = first; i < end; i++) {
        int32_t d = p->pool[p->ins[i].at];
        if (own_slot(c, d) < 0)
            add_port(c, c->slot_of[d], d);
    }
    r.nexport = p->nport - r.export;
    p->run[p->nrun++] = r;
    p->report.scalar_instructions += end - first;
}

bool ad_pass_code(ad_program *p)
{
    coder c = {.p = p, .ok = true};
    size_t places = (size_t)p->nplaces + 1;
    p->slot = malloc(((size_t)p->nbuffers + 1) * sizeof *p->slot);
    p->run = malloc(((size_t)p->nins / SHORTEST + 1) * sizeof *p->run);
    c.slot_of = malloc(places * sizeof *c.slot_of);
    c.stamp = calloc(places, sizeof *c.stamp);
    c.const_slot[0] = calloc(places, sizeof **c.const_slot);
    c.const_slot[1] = calloc(places, sizeof **c.const_slot);
    c.ok = p->slot && p->run && c.slot_of && c.stamp && c.const_slot[0] && c.const_slot[1];
    for (int32_t b = 0; c.ok && b < p->nbuffers; b++) {
        const ad_buffer *v = &p->buffer[b];
        p->slot[b] = v->fixed == 1 && !v->per_row               ? p->slots[0]++
                     : v->local && v->per_row == 1 && !v->fixed ? p->slots[1]++
                                                                : -1;
    }
    for (int32_t s = 0; c.ok && s < p->nstages; s++) {
        c.odd = p->stage[s].rows;
        for (int32_t i = p->stage[s].first; i < p->stage[s].end;) {
            int32_t end = i;
            while (end < p->stage[s].end && scalar(p, &p->ins[end], c.odd))
                end++;
            if (end - i >= SHORTEST)
                add_run(&c, i, end);
            i = end > i ? end : i + 1;
        }
    }
    free(c.slot_of);
    free(c.stamp);
    free(c.const_slot[0]);
    free(c.const_slot[1]);
    return c.ok;
}
