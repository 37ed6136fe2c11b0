/* emit.c - a program as C functions and the tables that they read.
 * Invariant: the text depends on the program alone, and what it computes has the bits of ad_run on that program.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

#include "scan.h"

/* A value that no instruction computes is a part of another's memory: the last that was written there. */
static bool part(ad_emitter *e, int32_t value, const int32_t *written)
{
    const ad_program *p = e->p;
    const ad_place *at = &e->place[value];
    em_value *v = &e->value[value];
    int32_t of = at->where == AD_AT_BUFFER   ? written[at->index] - 1
                 : at->where == AD_AT_OUTPUT ? p->out[at->index]
                 : at->where == AD_AT_INPUT  ? p->in[at->index]
                                             : value;
    if (v->ins >= 0 || v->view || of == value)
        return true;
    int64_t offset = at->offset;
    if (of >= 0 && e->value[of].results)
        of = ad_em_result_at(e, of, &offset);
    if (of < 0 || e->value[of].n < offset + v->n)
        return false;
    v->view = ad_em_room(e, (size_t)v->n * sizeof *v->view);
    for (int32_t j = 0; v->view && j < v->n; j++)
        v->view[j] = (em_entry){of, (int32_t)offset + j};
    v->how = EM_VIEW;
    v->part_of = of + 1;
    return true;
}

static bool parts(ad_emitter *e)
{
    const ad_program *p = e->p;
    int32_t *written = ad_em_room(e, ((size_t)p->nbuffers + 1) * sizeof *written);
    for (int32_t i = 0; written && i < p->nins; i++) {
        const int32_t *a = ad_ins_args(p, &p->ins[i]);
        for (int k = 0, n = ad_ins_nargs(p, &p->ins[i]); k < n; k++)
            if (!part(e, a[k], written))
                return false;
        if (e->place[a[-1]].where == AD_AT_BUFFER)
            written[e->place[a[-1]].index] = a[-1] + 1;
    }
    return true;
}

static void shape_of(em_value *v, const ad_place *at)
{
    *v = (em_value){.ins = -1, .inside = -1, .rows = at->rows < 0 ? -at->rows : at->rows, .cols = at->cols};
    v->n = v->rows * v->cols;
    v->times = at->rows < 0 ? v->rows : 0;
}

/* Units of all values; false when the program holds something that has no C text. */
static bool start(ad_emitter *e)
{
    const ad_program *p = e->p;
    if (!ad_em_results(e))
        return false;
    size_t n = (size_t)e->nvalues + 1;
    e->value = ad_em_room(e, n * sizeof *e->value);
    e->copy = ad_em_room(e, n * sizeof *e->copy);
    e->used = ad_em_room(e, n);
    e->const_used = ad_em_room(e, n * sizeof *e->const_used);
    e->ref = ad_em_room(e, ((size_t)p->nins + 1) * sizeof *e->ref);
    for (int32_t i = 0; i < e->nvalues && !e->failed; i++) {
        const ad_place *at = &e->place[i];
        if ((at->rows < 0 ? -(int64_t)at->rows : at->rows) * at->cols > INT32_MAX / 4) {
            snprintf(e->top->why, sizeof e->top->why, "a value of 2^29 numbers is too large");
            return false;
        }
        shape_of(&e->value[i], at);
    }
    int32_t results = p->nplaces, *link = ad_em_room(e, ((size_t)p->nins + 1) * sizeof *link);
    if (link)
        ad_scan_links(p, link);
    for (int32_t i = 0; i < p->nins && !e->failed; i++) {
        const ad_ins *ins = &p->ins[i];
        em_value *v = &e->value[p->pool[ins->at]];
        v->ins = i;
        if (!ad_is_object(ins->op))
            continue;
        const ad_object *o = ad_ins_object(p, ins);
        v->results = results;
        results += o->nout;
        v->unit = ad_em_unit(e, o, link[i] >= 0);
        if (v->unit < 0)
            return false;
        const em_unit *u = &e->top->unit[v->unit];
        int64_t bind = e->place[p->pool[ins->at]].rows;
        if (link[i] > i) { /* the one forward, which comes first */
            em_value *back = &e->value[p->pool[p->ins[link[i]].at]];
            back->marks = v->marks = e->kept + 1;
            back->marks_rows = v->marks_rows = e->kept_rows;
            e->kept += u->marks + (bind > 0 ? bind * u->marks_rows : 0);
            e->kept_rows += bind < 0 ? -bind * u->marks_rows : 0;
        }
        int64_t fixed = u->work + (bind > 0 ? bind * u->work_rows : 0),
                rows = bind < 0 ? -bind * u->work_rows : 0;
        e->inner = fixed > e->inner ? fixed : e->inner;
        e->inner_rows = rows > e->inner_rows ? rows : e->inner_rows;
    }
    if (!e->failed && !parts(e) && !e->failed)
        snprintf(e->top->why, sizeof e->top->why, "a value lives in memory that nothing writes");
    return !e->failed && !*e->top->why;
}

/* The text of one function: its groups, with the addresses that they turned out to need before them. -------- */

static void addresses(ad_emitter *e, ad_text *t, int bit)
{
    const char *row = bit == 2 ? "r" : "";
    for (int32_t k = 0; k < e->touched.n; k++) {
        int32_t i = e->touched.at[k];
        const em_value *v = &e->value[i];
        const ad_place *at = &e->place[i];
        bool given = at->where == AD_AT_INPUT || at->where == AD_AT_OUTPUT;
        if (!(e->used[i] & bit) || at->where == AD_AT_CONST || (bit == 2 && !given && v->where != EM_ROWS))
            continue;
        if (at->where == AD_AT_INPUT)
            ad_say(t, "const REAL *const restrict in%d%s = in[%d]", at->index, row, at->index);
        else if (at->where == AD_AT_OUTPUT)
            ad_say(t, "REAL *const restrict out%d%s = out[%d]", at->index, row, at->index);
        else if (v->where == EM_LOCAL)
            ad_say(t, "REAL t%d[%d]", i, v->n);
        else if (v->where == EM_ROWS)
            ad_say(t, "REAL *const restrict w%d%s = work + %lld + (size_t)batch * %lld", i, row,
                   (long long)e->work, (long long)v->offset);
        else
            ad_say(t, "REAL *const restrict w%d = work + %lld", i, (long long)v->offset);
        if (bit == 2)
            ad_say(t, " + (size_t)b * %d", v->n);
        ad_say(t, ";\n");
    }
}

/* One stage of a function. Arrays and workspace that a loop over the batch uses are declared outside it. */
static void stage_text(ad_emitter *e, ad_text *t, int32_t from, int32_t to, bool loop)
{
    ad_text body = {0};
    for (int32_t i = from; i < to; i++)
        ad_em_write_group(e, &body, &e->group[e->order.at[i]]);
    if (loop)
        ad_say(t, "for (int b = 0; b < batch; b++) {\n");
    addresses(e, t, 2);
    for (int32_t k = 0; k < e->touched.n; k++) {
        int32_t i = e->touched.at[k];
        bool block = e->place[i].where == AD_AT_BUFFER && e->value[i].where != EM_ROWS;
        e->used[i] = 4 | (e->used[i] & 1) | ((e->used[i] & 2) && block);
    }
    ad_say(t, "%s%s", body.s ? body.s : "", loop ? "}\n" : "");
    t->failed = t->failed || body.failed;
    free(body.s);
}

static bool partial(const ad_emitter *e, int32_t c)
{ /* one function of several in a loop over the batch */
    const em_group *g = &e->group[e->order.at[e->chunk.at[c]]];
    const em_list *s = &e->stage[g->stage];
    return (g->stage & 1) && e->group[s->at[0]].chunk != e->group[s->at[s->n - 1]].chunk;
}

/* Chunk c; the only one is the function itself. */
static void chunk_text(ad_emitter *e, int32_t c)
{
    int32_t from = e->chunk.at[c], to = c + 1 < e->chunk.n ? e->chunk.at[c + 1] : e->order.n;
    bool part = partial(e, c);
    ad_text t = {0};
    for (int32_t i = from, next; i < to; i = next) {
        int32_t stage = e->group[e->order.at[i]].stage;
        for (next = i; next < to && e->group[e->order.at[next]].stage == stage; next++)
            ;
        stage_text(e, &t, i, next, (stage & 1) && !part);
    }
    ad_text *body = &e->top->body;
    bool repeats = ad_em_repeats(e), inlined = repeats || (e->inlined && e->chunk.n == 1);
    if (inlined || e->chunk.n == 1)
        ad_say(body, "%sint %s%s(int batch, %s)\n{\n",
               inlined       ? "ALWAYS_INLINE "
               : e == e->top ? ""
                             : "static ",
               e->name, repeats ? "_once" : "", AD_EM_PARAMETERS);
    else
        ad_say(body, "static int %s_%d(int batch, %s%s)\n{\n", e->name, c + 1, part ? "int b, " : "",
               AD_EM_PARAMETERS);
    ad_say(body, "(void)batch, (void)in, (void)out, (void)work;\n");
    addresses(e, body, 1);
    for (int32_t i = 0; i < e->p->nplaces && c == 0; i++) /* until their loop forward has run */
        if (e->value[i].marks && em_ins_of(e, i)->op == OP_SCAN) {
            ad_say(body, "k_loop_forget(");
            ad_em_marks(e, body, &e->value[i]);
            ad_say(body, ");\n");
        }
    ad_say(body, "%sreturn 0;\n}\n", t.s ? t.s : "");
    for (int32_t k = 0; k < e->touched.n; k++) {
        int32_t i = e->touched.at[k];
        e->const_used[i] = true;
        e->used[i] = 0;
    }
    e->touched.n = 0;
    body->failed = body->failed || t.failed;
    free(t.s);
}

/* The calls of all functions in order. */
static void driver(ad_emitter *e)
{
    ad_text *body = &e->top->body;
    ad_say(body, "\n%sint %s(int batch, %s)\n{\nint status = 0;\n", e == e->top ? "" : "static ", e->name,
           AD_EM_PARAMETERS);
    for (int32_t c = 0; c < e->chunk.n; c++) {
        if (!partial(e, c)) {
            ad_say(body, "status = status ? status : %s_%d(batch, in, out, work);\n", e->name, c + 1);
            continue;
        }
        int32_t stage = e->group[e->order.at[e->chunk.at[c]]].stage;
        ad_say(body, "for (int b = 0; b < batch && !status; b++) {\n");
        for (; c < e->chunk.n && e->group[e->order.at[e->chunk.at[c]]].stage == stage; c++)
            ad_say(body, "status = status ? status : %s_%d(batch, b, in, out, work);\n", e->name, c + 1);
        c--;
        ad_say(body, "}\n");
    }
    ad_say(body, "return status;\n}\n");
}

static void constants(ad_emitter *e)
{
    ad_text *t = &e->top->tables;
    for (int32_t i = 0; i < e->p->nplaces; i++) {
        if (e->place[i].where != AD_AT_CONST || !e->const_used[i])
            continue;
        ad_say(t, "static const REAL c%d%s[%d] = {", i, e->tag, e->value[i].n);
        for (int32_t j = 0; j < e->value[i].n; j++) {
            ad_say(t, j % 8 ? ", " : j ? ",\n    " : "\n    ");
            ad_em_number(e, t, e->place[i].offset + j);
        }
        ad_say(t, "};\n");
    }
    for (int32_t s = 0; s < e->nspans; s++) {
        if (!e->span[s].used)
            continue;
        ad_say(t, "static const int i%d%s[%d] = {", s, e->tag, e->span[s].n);
        for (int32_t j = 0; j < e->span[s].n; j++)
            ad_say(t, "%s%d", j % 24 ? ", " : j ? ",\n    " : "\n    ", e->table.at[e->span[s].at + j]);
        ad_say(t, "};\n");
    }
}

bool ad_em_program(ad_emitter *e)
{
    if (!start(e) || !ad_em_group_all(e) || !ad_em_store_all(e))
        return false;
    for (int32_t c = 0; c < e->chunk.n; c++)
        chunk_text(e, c);
    if (e->chunk.n > 1)
        driver(e);
    if (ad_em_repeats(e))
        ad_em_repeat(e);
    constants(e);
    return !e->failed;
}
