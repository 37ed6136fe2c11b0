/* emit_group.c - stages, and the groups of each stage: which instructions share a loop.
 * An instruction joins the first group of its size that comes late enough; a group that reads an arrangement of a value
 * comes after the group that stores it.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

enum {
    LOOK_BACK = 64,        /* groups that an instruction may join */
    MOST_MEMBERS = 256,    /* of a loop */
    MOST_STATEMENTS = 512, /* of straight code */
    FEW_PIECES = 4,        /* that a loop is cut into */
    SMALL_SCATTER = 1024   /* elements of a scatter that is read as sums */
};

static int32_t new_group(ad_emitter *e, int32_t stage, int kind, int32_t n)
{
    if (e->ngroups == e->groups_cap) {
        int32_t cap = 2 * e->groups_cap + 16;
        em_group *g = realloc(e->group, (size_t)cap * sizeof *g);
        if (!g) {
            e->failed = true;
            return -1;
        }
        e->group = g;
        e->groups_cap = cap;
    }
    while (e->nstages <= stage) {
        em_list *s = realloc(e->stage, ((size_t)e->nstages + 1) * sizeof *s);
        if (!s) {
            e->failed = true;
            return -1;
        }
        s[e->nstages++] = (em_list){0};
        e->stage = s;
    }
    e->group[e->ngroups] =
        (em_group){.stage = stage, .kind = (uint8_t)kind, .n = n, .cols = n, .place = e->stage[stage].n};
    return ad_em_push(e, &e->stage[stage], e->ngroups) ? e->ngroups++ : -1;
}

static void join(ad_emitter *e, int32_t group, int32_t member, int32_t cost)
{
    em_group *g = &e->group[group];
    if (g->nmembers == g->cap) {
        int32_t cap = 2 * g->cap + 4, *m = realloc(g->member, (size_t)cap * sizeof *m);
        if (!m) {
            e->failed = true;
            return;
        }
        g->member = m;
        g->cap = cap;
    }
    g->member[g->nmembers++] = member;
    g->cost += cost;
}

/* Is the operand read at the same element that the group computes? */
bool ad_em_pointwise(const ad_emitter *e, const em_ref *r, int32_t n)
{
    const em_piece *q = r->piece;
    return r->kind == EM_AFFINE && q->at == 0 && e->value[q->src].n == n && (q->step == 1 || n == 1);
}

/* The first place in the stage for what reads r: after its sources, or together with them. */
static int32_t earliest(const ad_emitter *e, const em_ref *r, int32_t n, int32_t stage)
{
    int32_t place = 0;
    for (int32_t k = 0; k < r->npieces; k++) {
        int32_t src = r->piece[k].src, count = 1;
        const int32_t *s = &src;
        if (src == EM_SUM) {
            s = e->sums.at + r->piece[k].at;
            count = *s++;
        }
        for (int32_t i = 0; i < count; i++, s += 2) {
            const em_value *v = *s >= 0 ? &e->value[*s] : NULL;
            if (!v || v->stage != stage || v->how == EM_LEAF)
                continue;
            int32_t after = e->group[v->group].place + !(ad_em_pointwise(e, r, n) && v->how == EM_CALC);
            place = after > place ? after : place;
        }
    }
    return place;
}

/* Stores a view: a copy after all that it reads. Parts of an output that one value fills live there from the start. */
static bool store(ad_emitter *e, int32_t value)
{
    em_value *v = &e->value[value];
    if (!v->view)
        return true;
    if (v->part_of)
        return store(e, v->part_of - 1);
    em_ref *r = &e->copy[value];
    ad_em_pieces(e, v->view, v->n, r);
    if (e->failed)
        return false;
    int32_t cost = 0;
    bool output = v->ins >= 0 && e->place[value].where == AD_AT_OUTPUT;
    for (int32_t k = 0; k < r->npieces; k++) {
        em_piece *q = &r->piece[k];
        int32_t n = (k + 1 < r->npieces ? r->piece[k + 1].from : v->n) - q->from;
        em_value *s = q->src >= 0 ? &e->value[q->src] : NULL;
        cost += q->src == EM_SUM ? e->sums.at[q->at] : 1;
        if (s && output && !s->whole && s->n == n && n > 1 && q->at == 0 && q->step == 1 &&
            s->how >= EM_CALC && s->times == v->times && s->inside < 0 &&
            e->place[q->src].where != AD_AT_OUTPUT) {
            s->inside = value;
            s->offset = q->from;
            s->stored = true;
        }
    }
    v->view = NULL;
    v->how = EM_CALL;
    v->stored = true;
    int32_t g = new_group(e, v->stage, EM_COPY, v->n); /* the last: after all that it reads */
    if (g < 0)
        return false;
    v->group = g;
    join(e, g, value, cost);
    return !e->failed;
}

static void calculate(ad_emitter *e, int32_t index)
{
    const ad_program *p = e->p;
    const ad_ins *ins = &p->ins[index];
    const int32_t *a = ad_ins_args(p, ins);
    int m = ad_ins_nargs(p, ins);
    em_value *d = &e->value[p->pool[ins->at]];
    em_ref *r = ad_em_room(e, (size_t)m * sizeof *r);
    int32_t place = 0;
    bool straight = false, pieces = false;
    const em_ref *square = NULL;
    if (!r)
        return;
    e->ref[index] = r;
    for (int k = 0; k < m; k++) {
        bool fits = ad_em_read(e, a[k], d->rows, d->cols, &r[k]);
        if (!fits || (r[k].npieces > FEW_PIECES && (int64_t)d->n * m > 8 * MOST_STATEMENTS))
            if (store(e, a[k]))
                ad_em_read(e, a[k], d->rows, d->cols, &r[k]);
        if (e->failed)
            return;
        straight = straight || r[k].npieces > FEW_PIECES;
        pieces = pieces || r[k].kind == EM_PIECES;
        square = r[k].kind == EM_GRID ? &r[k] : square;
    }
    for (int k = 0; k < m; k++) {
        int32_t first = earliest(e, &r[k], d->n, d->stage);
        place = first > place ? first : place;
    }
    int kind = d->n == 1 ? EM_SCALARS : straight || (square && pieces) ? EM_STRAIGHT : EM_LOOP;
    int32_t cost = kind == EM_STRAIGHT ? d->n * m : 1 + m / 8;
    const em_list *s = d->stage < e->nstages ? &e->stage[d->stage] : NULL;
    int32_t count = s ? s->n : 0, found = -1;
    for (int32_t i = count - LOOK_BACK > place ? count - LOOK_BACK : place; i < count && found < 0; i++) {
        const em_group *g = &e->group[s->at[i]];
        bool fits = g->kind == kind && g->n == d->n &&
                    (kind == EM_LOOP ? g->nmembers < MOST_MEMBERS : g->cost + cost <= MOST_STATEMENTS);
        if (fits && kind != EM_SCALARS && square)
            fits = !g->pieces && (!g->grid || (g->rows == d->rows && g->cols == d->cols));
        if (fits && kind == EM_LOOP && pieces)
            fits = !g->grid;
        found = fits ? s->at[i] : -1;
    }
    found = found < 0 ? new_group(e, d->stage, kind, d->n) : found;
    if (found < 0)
        return;
    em_group *g = &e->group[found];
    g->pieces = g->pieces || pieces;
    if (square) {
        g->grid = true;
        g->rows = d->rows;
        g->cols = d->cols;
    }
    d->how = EM_CALC;
    d->variable = d->n == 1;
    d->group = found;
    join(e, found, index, cost);
}

/* A view that is a whole value, or a part without gaps of one, can be pointed to. */
static bool points(const ad_emitter *e, int32_t value, bool whole)
{
    const em_value *v = &e->value[value];
    em_entry first = ad_em_entry(e, value, 0);
    if (!v->view)
        return true;
    const em_value *s = first.src >= 0 ? &e->value[first.src] : NULL;
    if (!s || !s->times != !v->times || (whole && s->n != v->n))
        return false;
    for (int32_t j = 0; j < v->n; j++) {
        em_entry x = ad_em_entry(e, value, j);
        if (x.src != first.src || x.at != first.at + j)
            return false;
    }
    return true;
}

static void call(ad_emitter *e, int32_t index)
{
    const ad_program *p = e->p;
    const ad_ins *ins = &p->ins[index];
    const int32_t *a = ad_ins_args(p, ins);
    int m = ad_ins_nargs(p, ins);
    int32_t value = p->pool[ins->at];
    em_value *d = &e->value[value];
    em_ref *r = ad_em_room(e, ((size_t)m + 1) * sizeof *r);
    for (int k = 0; r && k < m; k++) {
        const em_value *o = &e->value[a[k]];
        bool needs = ins->op != OP_COUNT;
        if (needs && !points(e, a[k], o->times && !(d->stage & 1)) && !store(e, a[k]))
            return;
        r[k] = (em_ref){.kind = EM_AFFINE, .npieces = needs};
        r[k].piece = ad_em_room(e, sizeof *r[k].piece);
        if (!r[k].piece)
            return;
        em_entry x = ad_em_entry(e, a[k], 0);
        *r[k].piece = (em_piece){0, x.src, x.at, 1};
        if (needs)
            e->value[x.src].stored = true;
        if (needs && o->times && !(d->stage & 1)) { /* all rows, without gaps */
            e->value[x.src].whole = true;
            e->value[x.src].inside = -1;
        }
    }
    int32_t g = r ? new_group(e, d->stage, EM_CALLS, d->n) : -1;
    if (g < 0)
        return;
    e->ref[index] = r;
    d->how = EM_CALL;
    d->stored = d->n > 1 || (ins->op != OP_SUM_COLS && ins->op != OP_COUNT);
    d->variable = !d->stored;
    d->group = g;
    for (int32_t k = 0; d->results && k < ad_ins_object(p, ins)->nout; k++) {
        em_value *v = &e->value[d->results + k];
        v->how = EM_CALL;
        v->stored = true;
        v->stage = d->stage;
        v->group = g;
        v->ins = index;
    }
    join(e, g, index, 4);
}

/* Does the instruction work on all rows of a batch at once? */
static bool whole_batch(const ad_emitter *e, const ad_ins *ins)
{
    const int32_t *a = ad_ins_args(e->p, ins), *attr = ad_ins_attrs(e->p, ins);
    const em_value *d = &e->value[e->p->pool[ins->at]];
    const em_value *o = ad_ins_nargs(e->p, ins) ? &e->value[a[0]] : NULL;
    if (ad_is_object(ins->op))
        return true;
    if (!o || !o->times)
        return false;
    return ins->op == OP_SUM_ROWS || ins->op == OP_COUNT || ins->op == OP_CONCAT_ROWS ||
           (ins->op == OP_MATMUL && attr[0]) ||
           ((ins->op == OP_SLICE || ins->op == OP_PAD) && (attr[0] || d->rows != o->rows));
}

static int32_t stage_of(const ad_emitter *e, const ad_ins *ins, int odd)
{
    const int32_t *a = ad_ins_args(e->p, ins);
    int32_t stage = odd;
    for (int k = 0, m = ad_ins_nargs(e->p, ins); k < m; k++) {
        const em_value *o = &e->value[a[k]];
        o = o->part_of && o->view ? &e->value[o->part_of - 1] : o;
        int32_t after = o->how == EM_LEAF ? odd : o->stage + ((o->stage & 1) != odd);
        stage = after > stage ? after : stage;
    }
    return stage;
}

/* Does it have sums or zeros? */
static bool has_sums(const ad_emitter *e, int32_t value)
{
    for (int32_t j = 0; e->value[value].view && j < e->value[value].n; j++)
        if (ad_em_entry(e, value, j).src < 0)
            return true;
    return false;
}

static bool view(ad_emitter *e, int32_t index, const int32_t *users)
{
    const ad_program *p = e->p;
    const ad_ins *ins = &p->ins[index];
    const int32_t *a = ad_ins_args(p, ins);
    int32_t value = p->pool[ins->at];
    bool adds = ins->op == OP_SCATTER_COLS || ins->op == OP_SCATTER_ROWS;
    bool repeats = adds || ins->op == OP_EXPAND || ins->op == OP_GATHER_COLS || ins->op == OP_GATHER_ROWS;
    for (int k = 0, m = ad_ins_nargs(p, ins); k < m; k++)
        if (repeats && has_sums(e, a[k]) && !store(e, a[k]))
            return false;
    e->value[value].how = EM_VIEW;
    if (!ad_em_view(e, index))
        return false;
    bool output = e->place[value].where == AD_AT_OUTPUT;
    return !(output || (adds && users[value] > 1)) || store(e, value);
}

bool ad_em_group_all(ad_emitter *e)
{
    const ad_program *p = e->p;
    int32_t *users = ad_em_room(e, ((size_t)p->nplaces + 1) * sizeof *users);
    for (int32_t i = 0; users && i < p->nins; i++)
        for (int k = 0, m = ad_ins_nargs(p, &p->ins[i]); k < m; k++)
            users[ad_ins_args(p, &p->ins[i])[k]]++;
    for (int32_t i = 0; users && i < p->nins && !e->failed; i++) {
        const ad_ins *ins = &p->ins[i];
        em_value *d = &e->value[p->pool[ins->at]];
        bool whole = whole_batch(e, ins);
        d->stage = stage_of(e, ins, !whole && d->times);
        bool large = (ins->op == OP_SCATTER_COLS || ins->op == OP_SCATTER_ROWS) &&
                     e->value[ad_ins_args(p, ins)[0]].n > SMALL_SCATTER;
        if (ad_ops[ins->op].kind == AD_ELEMENTWISE)
            calculate(e, i);
        else if (ad_em_is_view(ins->op) && !whole && !large)
            view(e, i, users);
        else
            call(e, i);
    }
    return !e->failed;
}
