/* emit_loop.c - groups as text: loops over elements, straight code, copies.
 * A value that only its own loop reads is a variable of the loop. Invariant: the expression of an operation is that of
 * its row; additions of literal zeros are left out only where they change no bit.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

enum { LONG_SUM = 64 }; /* terms in one statement */

/* The elements that a loop runs over: one (count 1), or a run of them in the variable j. */
typedef struct span {
    int32_t from, count;
} span;

static bool equal_numbers(const ad_emitter *e, int64_t at, int64_t step, int32_t count)
{
    size_t size = e->p->k->size;
    for (int32_t k = 1; k < count; k++)
        if (memcmp(e->p->consts + (size_t)at * size, e->p->consts + (size_t)(at + k * step) * size, size) !=
            0)
            return false;
    return true;
}

/* src[index], with the index in C. */
static void indexed(ad_emitter *e, ad_text *t, int32_t src, const em_group *g, int64_t at, const char *rest)
{
    int64_t offset = ad_sayress(e, t, src, g) + at;
    if (!*rest)
        ad_say(t, "[%lld]", (long long)offset);
    else if (offset)
        ad_say(t, "[%s %c %lld]", rest, offset < 0 ? '-' : '+', (long long)(offset < 0 ? -offset : offset));
    else
        ad_say(t, "[%s]", rest);
}

void ad_em_element(ad_emitter *e, ad_text *t, em_entry x, const em_group *g)
{
    const ad_place *at = x.src >= 0 ? &e->place[x.src] : NULL;
    if (x.src == EM_ZERO) {
        ad_say(t, "(REAL)0");
    } else if (x.src == EM_SUM) {
        const int32_t *s = e->sums.at + x.at;
        ad_say(t, "((REAL)0");
        for (int32_t i = 0; i < s[0]; i++) {
            ad_say(t, " + ");
            ad_em_element(e, t, (em_entry){s[1 + 2 * i], s[2 + 2 * i]}, g);
        }
        ad_say(t, ")");
    } else if (at->where == AD_AT_CONST) {
        ad_em_number(e, t, at->offset + x.at);
    } else if (ad_em_in_scope(e, x.src, g)) {
        ad_say(t, "v%d", x.src);
    } else {
        indexed(e, t, x.src, g, x.at, "");
    }
}

/* The element a loop is at, counted row by row, in C; times a step. */
static void counter(char *s, size_t size, const em_group *g, int32_t step)
{
    if (!g->grid)
        step == 1 ? snprintf(s, size, "j") : snprintf(s, size, "%d * j", step);
    else if (step == 1)
        snprintf(s, size, "%d * i + k", g->cols);
    else
        snprintf(s, size, "%d * (%d * i + k)", step, g->cols);
}

/* An operand as the statement for those elements writes it. */
static void operand(ad_emitter *e, ad_text *t, const em_ref *r, const em_group *g, span s)
{
    const em_piece *q = r->piece;
    char index[96];
    if (s.count == 1) {
        em_entry x = ad_em_at(e, r, g, s.from);
        if (ad_em_pointwise(e, r, g->n) && ad_em_in_scope(e, x.src, g))
            ad_say(t, "v%d", x.src);
        else
            ad_em_element(e, t, x, g);
        return;
    }
    for (int32_t k = r->npieces - 1; k > 0; k--)
        if (s.from >= r->piece[k].from) {
            q = &r->piece[k];
            break;
        }
    const ad_place *at = q->src >= 0 ? &e->place[q->src] : NULL;
    bool constant = at && at->where == AD_AT_CONST;
    int64_t first = q->at + (int64_t)(s.from - q->from) * q->step;
    if (q->src < 0 || (r->kind <= EM_PIECES && r->kind != EM_GRID && q->step == 0)) {
        ad_em_element(e, t, (em_entry){q->src, q->at}, g);
    } else if (ad_em_pointwise(e, r, g->n) && ad_em_in_scope(e, q->src, g)) {
        ad_say(t, "v%d", q->src);
    } else if (constant && r->kind != EM_GRID && r->kind != EM_TABLE &&
               equal_numbers(e, at->offset + first, q->step, s.count)) {
        ad_em_number(e, t, at->offset + first);
    } else if (r->kind == EM_TABLE) {
        char j[48];
        counter(j, sizeof j, g, 1);
        snprintf(index, sizeof index, "i%d%s[%s]", r->table, e->tag, j);
        e->span[r->table].used = true;
        indexed(e, t, q->src, g, 0, index);
    } else if (r->kind == EM_GRID) {
        int n = 0;
        if (r->step_row)
            n = r->step_row == 1 ? snprintf(index, sizeof index, "i")
                                 : snprintf(index, sizeof index, "%d * i", r->step_row);
        if (r->step_col)
            snprintf(index + n, sizeof index - (size_t)n, r->step_col == 1 ? "%s%sk" : "%s%s%d * k",
                     n ? " + " : "", "", r->step_col);
        indexed(e, t, q->src, g, q->at, index);
    } else {
        counter(index, sizeof index, g, q->step);
        indexed(e, t, q->src, g, q->at - (int64_t)q->from * q->step, index);
    }
}

static int32_t source_at(const em_ref *r, int32_t j, int32_t *at)
{
    int32_t k = r->npieces - 1;
    while (k > 0 && j < r->piece[k].from)
        k--;
    *at = r->piece[k].at;
    return r->piece[k].src;
}

/* x0 + x1 + ... in this order. + 0 changes nothing but -0, and a sum with a term that is not -0 is not -0. */
static void sum(ad_emitter *e, ad_text *t, const em_ref *r, int m, const em_group *g, span s, int32_t value)
{
    bool zero = false, plus = false; /* so far: 0; not -0 */
    int terms = 0, at;
    for (int k = 0; k < m; k++) {
        int32_t src = source_at(&r[k], s.from, &at);
        if (src == EM_ZERO) {
            if (terms == 0) {
                zero = true;
            } else if (!plus) {
                ad_say(t, " + (REAL)0");
                plus = true;
            }
            continue;
        }
        if (terms && terms % LONG_SUM == 0)
            ad_say(t, ";\nv%d = v%d", value, value);
        ad_say(t, terms ? " + " : zero && src != EM_SUM ? "(REAL)0 + " : "");
        operand(e, t, &r[k], g, s);
        plus = plus || zero || src == EM_SUM;
        terms++;
    }
    if (terms == 0)
        ad_say(t, "(REAL)0");
}

/* The statement of one instruction, and the store of its result. */
static void statement(ad_emitter *e, ad_text *t, int32_t index, const em_group *g, span s)
{
    const ad_program *p = e->p;
    const ad_ins *ins = &p->ins[index];
    const em_ref *r = e->ref[index];
    int m = ad_ins_nargs(p, ins);
    int32_t value = p->pool[ins->at];
    const em_value *v = &e->value[value];
    ad_say(t, "%sREAL v%d = ", m > LONG_SUM ? "" : "const ", value);
    if (ins->op == OP_ADD_N || ins->op == OP_add) {
        sum(e, t, r, m, g, s, value);
    } else {
        ad_text part[3] = {{0}};
        const char *text[3];
        for (int k = 0; k < m; k++) {
            operand(e, &part[k], &r[k], g, s);
            t->failed = t->failed || part[k].failed;
            text[k] = part[k].s ? part[k].s : "";
        }
        ad_em_operation(t, ins->op, text);
        for (int k = 0; k < m; k++)
            free(part[k].s);
    }
    ad_say(t, ";\n");
    if (v->where == EM_TEMP)
        return;
    char j[48] = "";
    if (s.count > 1)
        counter(j, sizeof j, g, 1);
    indexed(e, t, value, g, s.count == 1 ? s.from : 0, j);
    ad_say(t, " = v%d;\n", value);
}

static void open_loop(ad_text *t, const em_group *g, span s)
{
    if (s.count == 1)
        ad_say(t, "{\n");
    else if (g->grid)
        ad_say(t, "for (int i = 0; i < %d; i++)\nEACH for (int k = 0; k < %d; k++) {\n", g->rows, g->cols);
    else
        ad_say(t, "EACH for (int j = %d; j < %d; j++) {\n", s.from, s.from + s.count);
}

/* Where a loop over the group's elements must be cut, so that each operand is one run in each part. */
static bool cuts(ad_emitter *e, const em_group *g, bool *cut)
{
    for (int32_t k = 0; k < g->nmembers; k++) {
        const em_ref *r = e->ref[g->member[k]];
        for (int m = 0, n = ad_ins_nargs(e->p, &e->p->ins[g->member[k]]); m < n; m++)
            for (int32_t i = 0; i < r[m].npieces; i++)
                cut[r[m].piece[i].from] = true;
    }
    return true;
}

static void loop(ad_emitter *e, ad_text *t, const em_group *g)
{
    bool *cut = ad_em_room(e, (size_t)g->n + 1);
    if (!cut)
        return;
    cuts(e, g, cut);
    cut[g->n] = true;
    for (int32_t from = 0; from < g->n;) {
        span s = {from, 1};
        while (!cut[from + s.count])
            s.count++;
        from += s.count;
        open_loop(t, g, s);
        for (int32_t k = 0; k < g->nmembers; k++)
            statement(e, t, g->member[k], g, s);
        ad_say(t, "}\n");
    }
}

static void copy(ad_emitter *e, ad_text *t, const em_group *g)
{
    int32_t value = g->member[0];
    const em_ref *r = &e->copy[value];
    for (int32_t k = 0; k < r->npieces; k++) {
        const em_piece *q = &r->piece[k];
        span s = {q->from, (k + 1 < r->npieces ? q[1].from : g->n) - q->from};
        if (q->src >= 0 && e->value[q->src].inside == value && e->value[q->src].offset == q->from)
            continue; /* it was computed there; anywhere else it is a copy */
        if (s.count > 1)
            open_loop(t, g, s);
        indexed(e, t, value, g, s.count > 1 ? 0 : s.from, s.count > 1 ? "j" : "");
        ad_say(t, " = ");
        operand(e, t, r, g, s);
        ad_say(t, s.count > 1 ? ";\n}\n" : ";\n");
    }
}

void ad_em_write_group(ad_emitter *e, ad_text *t, const em_group *g)
{
    if (!g->nmembers) {
        return;
    } else if (g->kind == EM_CALLS) {
        ad_em_write_call(e, t, g);
    } else if (g->kind == EM_COPY) {
        copy(e, t, g);
    } else if (g->kind == EM_LOOP) {
        loop(e, t, g);
    } else {
        for (int32_t j = 0; j < g->n; j++) {
            ad_say(t, g->n > 1 ? "{\n" : "");
            for (int32_t k = 0; k < g->nmembers; k++)
                statement(e, t, g->member[k], g, (span){j, 1});
            ad_say(t, g->n > 1 ? "}\n" : "");
        }
    }
}
