/* emit_object.c - calls, loops and roots in C: a function for each recorded function that they run, and one for each loop
 * and root that hands it to the text of kernels/loops.h.
 * Invariant: a function of the text is written once, before what calls it.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

#include "scan.h"

#include <math.h>

enum {
    KEEP_ALL = 256 << 10, /* bytes of carries that are all kept unless told otherwise: as scan_back.c */
    LOOP_HEAD = 8         /* kernels/loops.h */
};

static int32_t bound_rows(const ad_program *p, const ad_ins *ins) { return p->place[p->pool[ins->at]].rows; }

bool ad_em_results(ad_emitter *e)
{
    const ad_program *p = e->p;
    int64_t n = p->nplaces;
    for (int32_t i = 0; i < p->nins; i++)
        n += ad_is_object(p->ins[i].op) ? ad_ins_object(p, &p->ins[i])->nout : 0;
    if (n >= INT32_MAX)
        e->failed = true;
    e->nvalues = (int32_t)n;
    e->place = ad_em_room(e, ((size_t)n + 1) * sizeof *e->place);
    if (!e->place)
        return false;
    memcpy(e->place, p->place, (size_t)p->nplaces * sizeof *p->place);
    ad_place *at = e->place + p->nplaces;
    for (int32_t i = 0; i < p->nins; i++) {
        const ad_object *o = ad_is_object(p->ins[i].op) ? ad_ins_object(p, &p->ins[i]) : NULL;
        for (int k = 0; o && k < o->nout; k++) {
            ad_shape s = ad_result_shape(o, k, bound_rows(p, &p->ins[i]));
            *at++ = (ad_place){s.rows, s.cols, AD_AT_BUFFER, -1, 0};
        }
    }
    return true;
}

int32_t ad_em_result_at(const ad_emitter *e, int32_t object, int64_t *offset)
{
    const ad_object *o = ad_ins_object(e->p, em_ins_of(e, object));
    int64_t bind = e->place[object].rows > 0 ? e->place[object].rows : 0;
    int k = 0;
    while (k + 1 < o->nout && ad_result_at(o, k + 1, bind) <= *offset && (bind || o->at_row[k + 1] == 0))
        k++;
    *offset -= ad_result_at(o, k, bind);
    return e->value[object].results + k;
}

void ad_em_unit_name(const ad_emitter *e, int32_t unit, char out[120])
{
    snprintf(out, 120, "%.*s_%c%d", AD_EM_NAME, e->top->name, e->top->unit[unit].kind, unit + 1);
}

static int32_t found(const ad_emitter *e, const void *of, char kind)
{
    for (int32_t u = 0; u < e->top->nunits; u++)
        if (e->top->unit[u].of == of && e->top->unit[u].kind == kind)
            return u;
    return -1;
}

static int32_t unit_new(ad_emitter *e, const void *of, char kind, int64_t work, int64_t work_rows)
{
    ad_emitter *top = e->top;
    if (top->nunits == top->units_cap) {
        int32_t cap = 2 * top->units_cap + 8;
        em_unit *u = realloc(top->unit, (size_t)cap * sizeof *u);
        if (!u) {
            e->failed = true;
            return -1;
        }
        top->unit = u;
        top->units_cap = cap;
    }
    top->unit[top->nunits] = (em_unit){of, kind, work, work_rows, 0, 0};
    return top->nunits++;
}

enum { SMALL = 256 }; /* instructions of a function that loops have inline */

/* The C function of a recorded one. */
static int32_t function(ad_emitter *e, const ad_func *f, bool looped)
{
    const ad_program *p = ad_func_program(f, e->p->k->real);
    if (!p) {
        e->failed = true;
        return -1;
    }
    int32_t unit = found(e, p, 'f');
    if (unit >= 0)
        return unit;
    unit = unit_new(e, p, 'f', 0, 0);
    if (unit < 0)
        return -1;
    char name[120];
    ad_em_unit_name(e, unit, name);
    ad_emitter sub = {.p = p, .name = name, .top = e->top, .inlined = looped && p->nins <= SMALL};
    snprintf(sub.tag, sizeof sub.tag, "%.15s_%d", e->top->tag, unit + 1);
    bool ok = ad_em_program(&sub);
    e->failed = e->failed || sub.failed;
    e->top->unit[unit].work = sub.work + sub.kept + sub.inner;
    e->top->unit[unit].work_rows = sub.work_rows + sub.kept_rows + sub.inner_rows;
    ad_em_release(&sub);
    return ok ? unit : -1;
}

/* Loops -------------------------------------------------------------------------------------------------- */

static void shapes_text(ad_text *t, const char *name, int n, const ad_shape s[])
{
    ad_say(t, "static const int %s[][2] = {%s", name, n ? "" : "{0, 0}");
    for (int i = 0; i < n; i++)
        ad_say(t, "%s{%d, %d}", i ? ", " : "", s[i].rows, s[i].cols);
    ad_say(t, "};\n");
}
static void list_text(ad_text *t, const char *name, int n, const int v[])
{
    ad_say(t, "static const int %s[] = {%s", name, n ? "" : "0");
    for (int i = 0; i < n; i++)
        ad_say(t, "%s%d", i ? ", " : "", v[i]);
    ad_say(t, "};\n");
}

/* Room for `times` values of a shape. */
static void room(em_unit *u, ad_shape s, int64_t times)
{
    int64_t n = (s.rows < 0 ? -(int64_t)s.rows : s.rows) * s.cols * times;
    *(s.rows < 0 ? &u->work_rows : &u->work) += n;
}

static void inner(em_unit *u, const em_unit *a, const em_unit *b)
{
    u->work += a->work > b->work ? a->work : b->work;
    u->work_rows += a->work_rows > b->work_rows ? a->work_rows : b->work_rows;
}

/* The checkpoints of a loop backward: how many in any case, and how many numbers more of them may take. */
static int64_t few_of(const ad_emitter *e, const ad_loop *l, int64_t numbers, int64_t *keep)
{
    int64_t few = l->checkpoints ? l->checkpoints : (int64_t)ceil(sqrt(2.0 * (double)l->count));
    few = few < l->count ? few : l->count;
    *keep = l->checkpoints ? 0 : KEEP_ALL / (int64_t)e->p->k->size;
    if (numbers && *keep / numbers > l->count - few)
        *keep = (l->count - few) * numbers;
    return few;
}

/* The workspace of a loop without that of its functions; checkpoints that outlast it are not in it. */
static void loop_room(em_unit *u, const ad_loop *l, const em_unit *carries, int64_t few, int64_t keep)
{
    const ad_object *f = &l->f->o;
    int64_t numbers = carries->work + carries->work_rows; /* of a batch of one */
    em_unit marks = {.work = (few + 2) * carries->work + keep + 2 * (few + (numbers ? keep / numbers : 0)),
                     .work_rows = (few + 2) * carries->work_rows};
    bool scan = !l->back;
    for (int i = 0; i < l->nstep; i++)
        room(u, f->in[l->nshared + l->ncarry + i], 1);
    for (int i = 0; i < l->ncarry; i++) /* forward the last, a spare one, where it begins; adjoints */
        room(u, f->out[i], scan ? 3 : 2);
    for (int i = l->ncarry; i < f->nout && scan; i++)
        room(u, f->out[i], 1);
    for (int i = 0; i < l->nseeds; i++)
        room(u, f->out[l->ncarry + l->seed[i]], 1);
    for (int i = 0; i < l->nmoved; i++)
        room(u, f->in[l->nshared + l->ncarry + l->moved[i]], 1);
    for (int i = 0; i < l->nsums; i++)
        room(u, f->in[l->sum[i]], 2);
    if (u->kind == 'm') {
        u->marks = marks.work + LOOP_HEAD;
        u->marks_rows = marks.work_rows;
    } else if (!scan) {
        u->work += marks.work;
        u->work_rows += marks.work_rows;
    }
}

/* kind 'o'; 'm' where checkpoints go from the loop forward to the one backward (scan_link.c). */
static int32_t loop(ad_emitter *e, const ad_loop *l, char kind)
{
    const ad_object *f = &l->f->o;
    bool backward = l->back != NULL, steps = ad_em_steps_fit(l);
    int pointers = f->nin + (backward ? l->back->o.nin : 0);
    const ad_func *step = backward ? l->forward : l->f;
    int32_t forth = !backward || l->ncarry ? function(e, step, steps) : -1,
            back = backward ? function(e, l->back, steps) : -1;
    if ((forth < 0 && (!backward || l->ncarry)) || (backward && back < 0))
        return -1;
    em_unit u = {.of = l, .kind = kind}, carries = {0};
    for (int i = 0; i < l->ncarry; i++)
        room(&carries, f->out[i], 1);
    int64_t keep, few = few_of(e, l, carries.work + carries.work_rows, &keep);
    loop_room(&u, l, &carries, few, keep);
    inner(&u, &e->top->unit[backward ? back : forth], &e->top->unit[forth < 0 ? back : forth]);
    int32_t unit = unit_new(e, l, kind, u.work, u.work_rows);
    if (unit < 0)
        return -1;
    e->top->unit[unit].marks = u.marks;
    e->top->unit[unit].marks_rows = u.marks_rows;
    ad_text *t = &e->top->body;
    char name[120], names[2][120] = {"0", "0"}, own[2][136] = {"0", "0"};
    ad_em_unit_name(e, unit, name);
    if (forth >= 0)
        ad_em_unit_name(e, forth, names[0]);
    if (back >= 0)
        ad_em_unit_name(e, back, names[1]);
    if (steps) {
        ad_em_ahead(t, l, step, name, names[0]);
        snprintf(own[0], sizeof own[0], "%s_ahead", name);
    }
    if (steps && backward) {
        ad_em_behind(t, l, name, names[1]);
        snprintf(own[1], sizeof own[1], "%s_behind", name);
    }
    int nout = backward && l->back->o.nout > f->nout ? l->back->o.nout : f->nout;
    bool marked = kind == 'm', none = !backward && !marked;
    ad_say(t, "static int %s(int batch, const REAL *const in[], REAL *const out[], REAL *work%s)\n{\n", name,
           marked ? ", REAL *marks" : "");
    shapes_text(t, "in_shape", f->nin, f->in);
    shapes_text(t, "out_shape", f->nout, f->out);
    list_text(t, "sum", l->nsums, l->sum);
    list_text(t, "seed", l->nseeds, l->seed);
    list_text(t, "moved", l->nmoved, l->moved);
    ad_say(t, "static const em_loop loop = {%s, %s, %s, %s, %lld, %lld, %lld, %d, %d, %d, %d, %d, %d, %d,\n",
           names[0], names[1], own[0], own[1], (long long)l->count, none ? 0 : (long long)few,
           none ? 0 : (long long)keep, l->nshared, l->ncarry, l->nstep, l->ncollect, l->nsums, l->nseeds,
           l->nmoved);
    ad_say(t, "                             in_shape, out_shape, sum, seed, moved};\n");
    ad_say(t, "const REAL *src[%d];\nREAL *dst[%d], *buffer[%d];\n", pointers + 1, nout + 1,
           2 * (f->nin + f->nout + nout + l->nsums) + 1);
    ad_say(t, "em_run run = {in, out, src, src + %d, dst, buffer, work, 0, %s, 0, batch};\n", f->nin,
           marked ? "marks" : "0");
    ad_say(t, "return k_loop_%s(&loop, &run);\n}\n", backward ? "back" : "scan");
    return unit;
}

static int32_t root(ad_emitter *e, const ad_object *o)
{
    int max_iter, n = o->out[0].cols;
    double tolerance;
    int32_t fj = function(e, ad_root_newton(o, e->p->k->real, &max_iter, &tolerance), false);
    if (fj < 0)
        return -1;
    em_unit u = {.work = e->top->unit[fj].work + n + n * n + n, .work_rows = e->top->unit[fj].work_rows};
    room(&u, (ad_shape){o->out[0].rows, n + n * n + 1}, 1);
    int32_t unit = unit_new(e, o, 'o', u.work, u.work_rows);
    if (unit < 0)
        return -1;
    char name[120], inside[120];
    ad_em_unit_name(e, unit, name);
    ad_em_unit_name(e, fj, inside);
    ad_text *t = &e->top->body;
    ad_say(t, "static int %s(int batch, const REAL *const in[], REAL *const out[], REAL *work)\n{\n", name);
    ad_say(t, "static const em_root root = {%s, %d, %d, %d, %d, ", inside, o->nin, o->out[0].rows, n,
           max_iter);
    ad_em_real(t, tolerance);
    ad_say(t, "};\n");
    ad_say(t, "const REAL *src[%d];\nreturn k_newton(&root, batch, in, out[0], src, work);\n}\n", o->nin);
    return unit;
}

int32_t ad_em_unit(ad_emitter *e, const ad_object *o, bool linked)
{
    int op = o->class->op;
    char kind = linked ? 'm' : 'o';
    int32_t unit = found(e, o, kind);
    if (unit < 0 && op == OP_CALL)
        unit = function(e, (const ad_func *)o, false);
    else if (unit < 0 && (op == OP_SCAN || op == OP_SCAN_BACK))
        unit = loop(e, (const ad_loop *)o, kind);
    else if (unit < 0 && op == OP_ROOT)
        unit = root(e, o);
    else if (unit < 0)
        snprintf(e->top->why, sizeof e->top->why, "ad_%s cannot be emitted", ad_ops[op].name);
    return unit;
}
