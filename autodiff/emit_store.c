/* emit_store.c - functions of the text, and where every value lives.
 * Invariant: memory of the workspace goes to another value only after the last group that reads it, and after the whole
 * loop over the batch when the value was computed before that loop.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

enum {
    CHUNK_COST = 1500, /* statements of a function, so that compilers take time linear in the program */
    CHUNK_STACK = 8192 /* numbers in arrays of a function */
};

/* All groups in order, cut into functions. A loop over the batch is cut only when it is too long by itself. */
static bool cut(ad_emitter *e)
{
    int64_t cost = CHUNK_COST + 1;
    for (int32_t s = 0; s < e->nstages; s++) {
        const em_list *l = &e->stage[s];
        int64_t sum = 0;
        for (int32_t i = 0; i < l->n; i++)
            sum += e->group[l->at[i]].cost;
        bool split = !(s & 1) || sum > CHUNK_COST;
        for (int32_t i = 0; i < l->n; i++) {
            em_group *g = &e->group[l->at[i]];
            int64_t next = split ? g->cost : i == 0 ? sum : 0;
            bool fresh = cost + next > CHUNK_COST || (i == 0 && (s & 1) && split);
            if (fresh && !ad_em_push(e, &e->chunk, e->order.n))
                return false;
            cost = fresh ? next : cost + next;
            g->chunk = e->chunk.n - 1;
            g->order = e->order.n;
            if (!ad_em_push(e, &e->order, l->at[i]))
                return false;
        }
        if ((s & 1) && split)
            cost = CHUNK_COST + 1;
    }
    return true;
}

/* The values that a member of a group computes: *n from the one that is returned on. */
static int32_t result(const ad_emitter *e, const em_group *g, int32_t k, int32_t *n)
{
    *n = 1;
    if (g->kind == EM_COPY)
        return g->member[k];
    const ad_ins *ins = &e->p->ins[g->member[k]];
    int32_t value = e->p->pool[ins->at];
    if (!ad_is_object(ins->op))
        return value;
    *n = ad_ins_object(e->p, ins)->nout;
    return e->value[value].results;
}

static void need_ref(const ad_emitter *e, const em_ref *r, bool *needed)
{
    for (int32_t k = 0; k < r->npieces; k++) {
        const em_piece *q = &r->piece[k];
        const int32_t *s = q->src == EM_SUM ? e->sums.at + q->at : NULL;
        if (q->src >= 0)
            needed[q->src] = true;
        for (int32_t i = 0; s && i < s[0]; i++)
            if (s[1 + 2 * i] >= 0)
                needed[s[1 + 2 * i]] = true;
    }
}
/* Elements of views that nobody reads leave values without a reader, as a compiler of the text would say. Calls stay: they can
 * fail. */
static bool drop_unread(ad_emitter *e)
{
    bool *needed = ad_em_room(e, (size_t)e->nvalues + 1);
    for (int32_t i = e->order.n - 1; needed && i >= 0; i--) {
        em_group *g = &e->group[e->order.at[i]];
        for (int32_t k = g->nmembers - 1; k >= 0; k--) {
            int32_t count, value = result(e, g, k, &count), member = g->member[k];
            if (g->kind != EM_CALLS && !needed[value] && e->place[value].where != AD_AT_OUTPUT) {
                memmove(g->member + k, g->member + k + 1, (size_t)(--g->nmembers - k) * sizeof *g->member);
                continue;
            }
            if (g->kind == EM_COPY) {
                need_ref(e, &e->copy[value], needed);
                continue;
            }
            for (int m = 0, n = ad_ins_nargs(e->p, &e->p->ins[member]); m < n; m++)
                need_ref(e, &e->ref[member][m], needed);
        }
    }
    return needed != NULL;
}

static void reads(ad_emitter *e, const em_group *g, int32_t value, bool same_element)
{
    em_value *v = value >= 0 ? &e->value[value] : NULL;
    if (!v || v->how == EM_LEAF)
        return;
    const em_group *from = &e->group[v->group];
    bool outside = v->times && (v->stage & 1) && v->stage != g->stage;
    v->last = g->order > v->last ? g->order : v->last;
    v->crosses = v->crosses || outside || from->chunk != g->chunk;
    v->rows_kept = v->rows_kept || outside;
    if (!v->variable && (from != g || !same_element))
        v->stored = true;
    if (v->variable && (outside || from->chunk != g->chunk))
        v->stored = true;
}

static void reads_ref(ad_emitter *e, const em_group *g, const em_ref *r)
{
    for (int32_t k = 0; k < r->npieces; k++) {
        const em_piece *q = &r->piece[k];
        const int32_t *s = q->src == EM_SUM ? e->sums.at + q->at : NULL;
        if (!s)
            reads(e, g, q->src, ad_em_pointwise(e, r, g->n));
        for (int32_t i = 0; s && i < s[0]; i++)
            reads(e, g, s[1 + 2 * i], false);
    }
}

/* Free memory of the workspace: blocks by address; single numbers apart. */
typedef struct pool {
    em_list block; /* from, count, ... */
    em_list single;
    int64_t top;
} pool;

static int64_t take(ad_emitter *e, pool *p, int64_t n)
{
    if (n == 1 && p->single.n)
        return p->single.at[--p->single.n];
    for (int32_t i = 0; n > 1 && i < p->block.n; i += 2)
        if (p->block.at[i + 1] >= n) {
            int64_t at = p->block.at[i];
            p->block.at[i] += (int32_t)n;
            p->block.at[i + 1] -= (int32_t)n;
            return at;
        }
    p->top += n;
    e->failed = e->failed || p->top > INT32_MAX;
    return p->top - n;
}

static void give(ad_emitter *e, pool *p, int64_t at, int64_t n)
{
    if (n == 1) {
        ad_em_push(e, &p->single, (int32_t)at);
        return;
    }
    for (int32_t i = 0; i < p->block.n; i += 2) {
        int32_t *b = &p->block.at[i];
        if (b[1] == 0 || b[0] + b[1] == at || at + n == b[0]) {
            b[0] = b[1] == 0 || at + n == b[0] ? (int32_t)at : b[0];
            b[1] += (int32_t)n;
            return;
        }
    }
    if (ad_em_push(e, &p->block, (int32_t)at))
        ad_em_push(e, &p->block, (int32_t)n);
}

static int64_t rounded(int64_t n) { return n == 1 ? 1 : (n + 7) / 8 * 8; }

static void place(ad_emitter *e, pool *p, em_list *ends, int64_t *stack, int32_t value)
{
    em_value *v = &e->value[value];
    const em_group *g = &e->group[v->group];
    if (e->place[value].where == AD_AT_OUTPUT) {
        v->where = EM_BOUND;
        v->stored = true;
    } else if (v->inside >= 0) {
        v->where = EM_BOUND;
    } else if (!v->stored) {
        v->where = EM_TEMP;
    } else if (v->rows_kept || (v->times && !(v->stage & 1)) || v->whole) {
        v->where = EM_ROWS;
        v->offset = e->work_rows;
        e->work_rows += rounded(v->n);
    } else if (!v->crosses && *stack + v->n <= CHUNK_STACK) {
        v->where = EM_LOCAL;
        *stack += v->n;
    } else {
        int32_t last = v->last;
        if (e->group[e->order.at[last]].stage != g->stage) /* to the end of that stage */
            while (last + 1 < e->order.n &&
                   e->group[e->order.at[last + 1]].stage == e->group[e->order.at[last]].stage)
                last++;
        v->where = EM_WORK;
        v->offset = take(e, p, rounded(v->n));
        if (last >= g->order) { /* a list of values for each order at which they end */
            v->next_end = ends->at[last];
            ends->at[last] = value + 1;
        }
    }
}

bool ad_em_store_all(ad_emitter *e)
{
    pool p = {0};
    em_list ends = {0};
    int64_t stack = 0;
    int32_t chunk = -1;
    if (!cut(e) || !drop_unread(e))
        return false;
    for (int32_t i = 0; i < e->order.n; i++) {
        const em_group *g = &e->group[e->order.at[i]];
        for (int32_t k = 0; k < g->nmembers; k++) {
            int32_t count, first = result(e, g, k, &count);
            for (int32_t v = first; v < first + count; v++)
                e->value[v].last = i;
            if (g->kind == EM_COPY) {
                reads_ref(e, g, &e->copy[g->member[k]]);
                continue;
            }
            for (int m = 0, n = ad_ins_nargs(e->p, &e->p->ins[g->member[k]]); m < n; m++)
                reads_ref(e, g, &e->ref[g->member[k]][m]);
        }
        ad_em_push(e, &ends, 0);
    }
    for (int32_t i = 0; i < e->order.n && !e->failed; i++) {
        const em_group *g = &e->group[e->order.at[i]];
        stack = g->chunk != chunk ? 0 : stack;
        chunk = g->chunk;
        for (int32_t k = 0; k < g->nmembers; k++) {
            int32_t count, first = result(e, g, k, &count);
            for (int32_t v = first; v < first + count; v++)
                place(e, &p, &ends, &stack, v);
        }
        for (int32_t v = ends.at[i]; v; v = e->value[v - 1].next_end)
            give(e, &p, e->value[v - 1].offset, rounded(e->value[v - 1].n));
    }
    e->work = rounded(p.top + 1);
    e->scratch = e->work;
    e->work += rounded(e->p->scratch + 1);
    free(p.block.at);
    free(p.single.at);
    free(ends.at);
    return !e->failed;
}

bool ad_em_in_scope(const ad_emitter *e, int32_t value, const em_group *g)
{
    const em_value *v = &e->value[value];
    if (v->how == EM_LEAF)
        return false;
    const em_group *from = &e->group[v->group];
    return from == g ? v->how == EM_CALC
                     : v->variable && from->chunk == g->chunk && (!(v->stage & 1) || v->stage == g->stage);
}

int64_t ad_sayress(ad_emitter *e, ad_text *t, int32_t value, const em_group *g)
{
    const em_value *v = &e->value[value];
    int32_t of = v->inside >= 0 ? v->inside : value;
    const ad_place *at = &e->place[of];
    bool row = v->times && (g->stage & 1);
    if (!e->used[of])
        ad_em_push(e, &e->touched, of);
    e->used[of] |= 4 | (row ? 2 : 1);
    if (at->where == AD_AT_OUTPUT || at->where == AD_AT_INPUT)
        ad_say(t, "%s%d%s", at->where == AD_AT_INPUT ? "in" : "out", at->index, row ? "r" : "");
    else
        ad_say(t, "%c%d%s",
               at->where == AD_AT_CONST ? 'c'
               : v->where == EM_LOCAL   ? 't'
                                        : 'w',
               of,
               at->where == AD_AT_CONST     ? e->tag
               : row && v->where == EM_ROWS ? "r"
                                            : "");
    return v->inside >= 0 ? v->offset : 0;
}
