/* emit_text.c - pieces of text: numbers, the value of an operation in terms of its operands, embedded kernels.
 * The operations are the text of ops.def itself, so emitted C cannot differ from it.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

void ad_em_indented(ad_text *t, const ad_text *lines)
{
    int depth = 0;
    for (const char *s = lines->s; s && *s;) {
        int n = (int)strcspn(s, "\n"), after = depth;
        for (int i = 0; i < n; i++)
            after += (s[i] == '{') - (s[i] == '}');
        int shown = *s == '}' ? after : depth;
        ad_say(t, "%*s%.*s\n", n ? 4 * shown : 0, "", n, s);
        depth = after;
        s += n + (s[n] == '\n');
    }
    t->failed = t->failed || lines->failed;
}

struct em_block {
    struct em_block *before;
    max_align_t memory[];
};

void *ad_em_room(ad_emitter *e, size_t bytes)
{
    struct em_block *b = e->failed ? NULL : calloc(1, sizeof *b + bytes + sizeof(max_align_t));
    e->failed = b == NULL;
    if (!b)
        return NULL;
    b->before = e->blocks;
    e->blocks = b;
    return b->memory;
}

bool ad_em_push(ad_emitter *e, em_list *l, int32_t x)
{
    if (l->n == l->cap) {
        int32_t cap = 2 * l->cap + 8, *at = realloc(l->at, (size_t)cap * sizeof *at);
        if (!at) {
            e->failed = true;
            return false;
        }
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = x;
    return true;
}

void ad_em_release(ad_emitter *e)
{
    while (e->blocks) {
        struct em_block *b = e->blocks;
        e->blocks = b->before;
        free(b);
    }
    for (int32_t g = 0; g < e->ngroups; g++)
        free(e->group[g].member);
    for (int32_t s = 0; s < e->nstages; s++)
        free(e->stage[s].at);
    free(e->group);
    free(e->stage);
    free(e->order.at);
    free(e->sums.at);
    free(e->table.at);
    free(e->chunk.at);
    free(e->touched.at);
    free(e->span);
    free(e->line);
    free(e->tables.s);
    free(e->body.s);
    free(e->unit);
}

/* A finite number in the fewest digits that read back to it, or in hexadecimal; the radix is a point in every locale. */
static void number_text(char out[48], double v, bool single)
{
    char digits[48];
    snprintf(digits, sizeof digits, "%.9g", v);
    if (!(single ? strtof(digits, NULL) == (float)v : strtod(digits, NULL) == v) || strpbrk(digits, "eE"))
        snprintf(digits, sizeof digits, "%a", v);
    int n = 0;
    bool radix = false, whole = true;
    for (const char *s = digits; *s; s++) {
        if (isalnum((unsigned char)*s) || *s == '+' || *s == '-') {
            out[n++] = *s;
            whole = whole && (isdigit((unsigned char)*s) || *s == '-');
        } else if (!radix) {
            out[n++] = '.';
            radix = true;
        }
    }
    snprintf(out + n, (size_t)(48 - n), "%s%s", whole && !radix ? ".0" : "", single ? "f" : "");
}

void ad_em_real(ad_text *t, double v)
{
    char text[48];
    number_text(text, v, false);
    ad_say(t, "%s", text);
}

void ad_em_number(ad_emitter *e, ad_text *t, int64_t at)
{
    bool single = e->p->k->real == AD_F32;
    double v = single ? (double)((const float *)(const void *)e->p->consts)[at]
                      : ((const double *)(const void *)e->p->consts)[at];
    char text[48];
    if (isnan(v)) {
        ad_say(t, "(REAL)NAN");
    } else if (isinf(v)) {
        ad_say(t, v < 0 ? "(-(REAL)INFINITY)" : "(REAL)INFINITY");
    } else {
        number_text(text, v, single);
        ad_say(t, signbit(v) ? "(%s)" : "%s", text);
    }
}

/* Operations -------------------------------------------------------------------------------------------- */

static const char *const op_text[OP_COUNT_] = {
#define UNARY(name, cost, value, rule, lo, hi) [OP_##name] = #value,
#define BINARY(name, cost, value, rule_a, rule_b, lo, hi) [OP_##name] = #value,
#define TERNARY(name, cost, value, rule_a, rule_b, rule_c, lo, hi) [OP_##name] = #value,
#include "ops.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

/* The text of the row with its operands put in: x; a, b; a, b, c. */
void ad_em_operation(ad_text *t, int op, const char *const operand[])
{
    static const char *const names[] = {[1] = "x", [2] = "ab", [3] = "abc"};
    const char *name = names[ad_ops[op].arity];
    for (const char *s = op_text[op]; *s;) {
        size_t n = 0;
        while (isalnum((unsigned char)s[n]) || s[n] == '_' || (n && s[n] == '.'))
            n++;
        const char *which = n == 1 ? strchr(name, *s) : NULL;
        if (which)
            ad_say(t, "%s", operand[which - name]);
        else
            ad_say(t, "%.*s", n ? (int)n : 1, s);
        s += n ? n : 1;
    }
}

/* Kernels ------------------------------------------------------------------------------------------------ */

/* Does the text call the function of that piece? */
static bool calls(const char *text, const ad_em_part *part)
{
    char name[64];
    bool kernel = part->file[0] != 'v';
    snprintf(name, sizeof name, kernel ? "K(%s)" : "%s(", part->name);
    if (strstr(text, name))
        return true;
    snprintf(name, sizeof name, "k_%s(", part->name);
    return kernel && strstr(text, name);
}

void ad_em_kernels(ad_text *t, const char *body)
{
    int n = 0;
    while (ad_em_parts[n].file)
        n++;
    bool *want = calloc((size_t)n, sizeof *want);
    if (!want || !body) {
        ad_unsay(t);
        free(want);
        return;
    }
    bool kernel = false, vmath = false, loops = false;
    for (int i = 0; i < n; i++)
        want[i] = *ad_em_parts[i].name && calls(body, &ad_em_parts[i]);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < n; i++)
            for (int k = 0; want[i] && k < n; k++)
                if (!want[k] && *ad_em_parts[k].name && calls(ad_em_parts[i].text, &ad_em_parts[k]))
                    want[k] = more = true;
    }
    for (int i = 0; i < n; i++) {
        kernel = kernel || (want[i] && ad_em_parts[i].file[0] == 'k');
        vmath = vmath || (want[i] && ad_em_parts[i].file[0] == 'v');
        loops = loops || (want[i] && ad_em_parts[i].file[0] == 'l');
    }
    for (int i = 0; i < n; i++) {
        const ad_em_part *part = &ad_em_parts[i];
        bool head = !*part->name;
        if (want[i] || (head && (part->file[0] == 's' || (part->file[0] == 'v' && vmath) ||
                                 (part->file[0] == 'p' && (kernel || loops || strstr(body, "k_matmul("))) ||
                                 (part->file[0] == 'l' && loops))))
            ad_say(t, "%s\n", part->text);
    }
    free(want);
}
