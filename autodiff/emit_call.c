/* emit_call.c - groups that are one operation on memory: products, sums, small dense systems. They call the kernels of
 * replay, whose text the file carries.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

enum { SHORT_SUM = 8 }; /* k_shape.h: up to here a sum over columns is one chain */

/* A pointer to operand k. */
static void pointer(ad_emitter *e, ad_text *t, const em_ref *r, const em_group *g)
{
    int64_t offset = ad_sayress(e, t, r->piece->src, g) + r->piece->at;
    if (offset)
        ad_say(t, " + %lld", (long long)offset);
}

/* A row count in C: of a unit, or of all rows of a batch. */
static void rows_text(char out[48], const em_value *v, const em_group *g)
{
    if (v->times && !(g->stage & 1))
        snprintf(out, 48, v->times == 1 ? "batch" : "%d * (int64_t)batch", v->times);
    else
        snprintf(out, 48, "%d", v->rows);
}

static void sum_cols(ad_emitter *e, ad_text *t, int32_t index, const em_group *g, int32_t value)
{
    const em_ref *r = e->ref[index];
    int32_t n = e->value[ad_ins_args(e->p, &e->p->ins[index])[0]].cols;
    ad_say(t, "REAL v%d = ", value);
    if (n > SHORT_SUM) {
        ad_say(t, "k_sum_of(");
        pointer(e, t, r, g);
        ad_say(t, ", %d)", n);
    }
    for (int32_t j = 0; j < n && n <= SHORT_SUM; j++) {
        ad_say(t, j ? " + " : "");
        ad_em_element(e, t, (em_entry){r->piece->src, r->piece->at + j}, g);
    }
    ad_say(t, ";\n");
}

static void matmul(ad_emitter *e, ad_text *t, int32_t index, const em_group *g, int32_t value)
{
    const ad_ins *ins = &e->p->ins[index];
    const int32_t *a = ad_ins_args(e->p, ins), *attr = ad_ins_attrs(e->p, ins);
    const em_value *x = &e->value[a[0]], *y = &e->value[a[1]], *d = &e->value[value];
    char m[48], k[48];
    rows_text(m, d, g);
    rows_text(k, x, g);
    if (!attr[0])
        snprintf(k, sizeof k, "%d", x->cols);
    ad_say(t, "k_matmul(%s, %d, %s, ", m, d->cols, k);
    pointer(e, t, &e->ref[index][0], g);
    ad_say(t, ", %d, %d, ", x->cols, attr[0]);
    pointer(e, t, &e->ref[index][1], g);
    ad_say(t, ", %d, %d, ", y->cols, attr[1]);
    int64_t offset = ad_sayress(e, t, value, g);
    ad_say(t, " + %lld, %d, 0);\n", (long long)offset, d->cols);
}

static void kernel(ad_emitter *e, ad_text *t, int32_t index, const em_group *g, int32_t value)
{
    const ad_ins *ins = &e->p->ins[index];
    const int32_t *a = ad_ins_args(e->p, ins), *attr = ad_ins_attrs(e->p, ins);
    int n = ad_ins_nargs(e->p, ins);
    char s[48];
    ad_say(t, "{\nconst void *src[] = {");
    for (int k = 0; k < n; k++) {
        ad_say(t, k ? ", " : "");
        pointer(e, t, &e->ref[index][k], g);
    }
    ad_say(t, n ? "};\nconst int64_t shape[][2] = {" : "0};\nconst int64_t shape[][2] = {{0, 0}");
    for (int k = 0; k < n; k++) {
        rows_text(s, &e->value[a[k]], g);
        ad_say(t, "%s{%s, %d}", k ? ", " : "", s, e->value[a[k]].cols);
    }
    bool moves = ins->op == OP_SLICE || ins->op == OP_PAD;
    ad_say(t, "};\nconst int32_t attr[] = {%s", ins->nattr ? "" : "0");
    for (int k = 0; k < ins->nattr; k++) {
        bool batches = moves && k == 0 && attr[0] < 0;
        ad_say(t, "%s%d%s",
               k % 16 ? ", "
               : k    ? ",\n            "
                      : "",
               batches ? -attr[k] : attr[k], batches ? " * batch" : "");
    }
    rows_text(s, &e->value[value], g);
    ad_say(t, "};\nad_kcall call = {");
    int64_t offset = ad_sayress(e, t, value, g);
    ad_say(t, " + %lld, src, %s, %d, shape, %d, %d, attr, work + %lld, 0};\n", (long long)offset, s,
           e->value[value].cols, n, ins->nattr, (long long)e->scratch);
    bool fails = ins->op == OP_ROW_SOLVE || ins->op == OP_ROW_TRISOLVE || ins->op == OP_ROW_CHOLESKY ||
                 ins->op == OP_ROW_LOGDET;
    ad_say(t, fails ? "int status = k_%s(&call);\nif (status)\nreturn status;\n}\n" : "k_%s(&call);\n}\n",
           ad_ops[ins->op].name);
}

void ad_em_marks(const ad_emitter *e, ad_text *t, const em_value *v)
{
    ad_say(t, "work + %lld + (size_t)batch * %lld", (long long)(e->work + v->marks - 1),
           (long long)(e->work_rows + v->marks_rows));
}

/* A call, a loop, a root: pointers to operands and results, the batch it binds, room behind that of all values. */
static void object(ad_emitter *e, ad_text *t, int32_t index, const em_group *g, int32_t value)
{
    const ad_object *o = ad_ins_object(e->p, &e->p->ins[index]);
    const em_value *v = &e->value[value];
    char name[120], rows[48];
    ad_say(t, "{\nconst REAL *const given[] = {%s", o->nin ? "" : "0");
    for (int k = 0; k < o->nin; k++) {
        ad_say(t, k ? ", " : "");
        pointer(e, t, &e->ref[index][k], g);
    }
    ad_say(t, "};\nREAL *const results[] = {");
    for (int k = 0; k < o->nout; k++) {
        ad_say(t, k ? ", " : "");
        int64_t offset = ad_sayress(e, t, v->results + k, g);
        if (offset)
            ad_say(t, " + %lld", (long long)offset);
    }
    ad_em_unit_name(e, v->unit, name);
    rows_text(rows, v, g);
    ad_say(t, "};\nconst int code = %s((int)(%s), given, results, work + %lld + (size_t)batch * %lld", name,
           rows, (long long)(e->work + e->kept), (long long)(e->work_rows + e->kept_rows));
    if (v->marks) {
        ad_say(t, ", ");
        ad_em_marks(e, t, v);
    }
    ad_say(t, ");\n");
    ad_say(t, "if (code)\nreturn code;\n}\n");
}

void ad_em_write_call(ad_emitter *e, ad_text *t, const em_group *g)
{
    int32_t index = g->member[0], value = e->p->pool[e->p->ins[index].at];
    const ad_ins *ins = &e->p->ins[index];
    const em_value *v = &e->value[value];
    char s[48];
    if (ad_is_object(ins->op)) {
        object(e, t, index, g, value);
        return;
    }
    if (ins->op == OP_MATMUL) {
        matmul(e, t, index, g, value);
    } else if (ins->op == OP_SUM_COLS && v->variable) {
        sum_cols(e, t, index, g, value);
    } else if (ins->op == OP_COUNT) {
        rows_text(s, &e->value[ad_ins_args(e->p, ins)[0]], g);
        ad_say(t, "REAL v%d = (REAL)(%s);\n", value, s);
    } else {
        kernel(e, t, index, g, value);
    }
    if (v->variable && v->stored) {
        int64_t offset = ad_sayress(e, t, value, g);
        ad_say(t, "[%lld] = v%d;\n", (long long)offset, value);
    }
}
