/* eval.c - ad_eval: compile once, keep the program with the tape, run it with the bound values.
 * Invariant: what is kept was made of nodes that are still there: ad_rewind forgets it all; nodes never change.
 *
 * SPDX-License-Identifier: MIT */
#include "eval.h"
#include "program.h"

enum { KEPT = 8 };

typedef struct eval {
    int32_t *id; /* of the values */
    int n, nin;
    ad_var *in;
    ad_program *p;
    ad_work *w;
} eval;

struct ad_evals {
    eval at[KEPT];
    int next; /* the one to be replaced */
};

static void forget(eval *e)
{
    ad_work_free(e->w);
    ad_program_free(e->p);
    free(e->in);
    free(e->id);
    *e = (eval){0};
}

void ad_evals_free(ad_tape *t)
{
    for (int i = 0; t->evals && i < KEPT; i++)
        forget(&t->evals->at[i]);
    free(t->evals);
    t->evals = NULL;
}

/* The inputs among what the values need, as handles; *need by node. */
static bool needed(ad_tape *t, int n, const ad_var x[], uint8_t **need, int32_t *top)
{
    *top = 0;
    for (int i = 0; i < n; i++)
        *top = x[i].id >= *top ? x[i].id + 1 : *top;
    *need = calloc((size_t)*top + 1, 1);
    if (!*need)
        return false;
    for (int i = 0; i < n; i++)
        (*need)[x[i].id] = 1;
    for (int32_t id = *top - 1; id >= 0; id--) {
        const ad_node *node = ad_at_id(t, id);
        for (int i = 0, m = ad_nargs(t, node); (*need)[id] && i < m; i++)
            (*need)[ad_args(t, node)[i]] = 1;
    }
    return true;
}

static bool same(const eval *e, int n, const ad_var x[])
{
    if (!e->p || e->n != n)
        return false;
    for (int i = 0; i < n; i++)
        if (e->id[i] != x[i].id)
            return false;
    return true;
}

static eval *make(ad_tape *t, int n, const ad_var x[])
{
    if (!t->evals && !(t->evals = calloc(1, sizeof *t->evals)))
        return NULL;
    eval *e = &t->evals->at[t->evals->next];
    uint8_t *need = NULL;
    int32_t top;
    forget(e);
    e->id = malloc((size_t)n * sizeof *e->id);
    e->in = malloc(((size_t)t->ninputs + 1) * sizeof *e->in);
    if (!e->id || !e->in || !needed(t, n, x, &need, &top)) {
        forget(e);
        return NULL;
    }
    e->n = n;
    for (int i = 0; i < n; i++)
        e->id[i] = x[i].id;
    for (int32_t i = 0; i < t->ninputs; i++)
        if (t->input[i].id < top && need[t->input[i].id])
            e->in[e->nin++] = ad_var_of(t, t->input[i].id);
    free(need);
    e->p = ad_compile(t, e->nin, e->in, n, x, NULL);
    e->w = ad_work_new(e->p, NULL);
    if (!e->w) {
        forget(e);
        return NULL;
    }
    t->evals->next = (t->evals->next + 1) % KEPT;
    return e;
}

static int run(ad_tape *t, const eval *e, double *const out[])
{
    const void **in = malloc(((size_t)e->nin + 1) * sizeof *in);
    uint8_t *all = malloc((size_t)t->n + 1);
    if (!in || !all) {
        free(in);
        free(all);
        ad_fail(t, AD_ENOMEM, "ad_eval: out of memory");
        return t->status;
    }
    memset(all, 0, (size_t)t->n + 1);
    for (int i = 0; i < e->nin; i++)
        all[e->in[i].id] = 1;
    int64_t batch = ad_batch_for(t, "ad_eval", all, t->n);
    for (int i = 0; i < e->nin; i++)
        in[i] = t->input[ad_at_id(t, e->in[i].id)->arg[0]].value;
    if (batch > 0 && ad_run(e->w, (int)batch, in, (void *const *)out)) {
        const char *m = ad_work_message(e->w);
        ad_fail(t, ad_work_status(e->w), "ad_eval: %s", ad_inner(m));
    }
    free(in);
    free(all);
    return t->status;
}

int ad_eval(ad_tape *t, int n, const ad_var x[], double *const out[])
{
    if (ad_status(t))
        return ad_status(t);
    if (n < 1 || !x || !out) {
        ad_fail(t, AD_EARG, "ad_eval: %d values; needs at least one, and memory for each", n);
        return ad_status(t);
    }
    ad_var *v = malloc((size_t)n * sizeof *v);
    if (!v) {
        ad_fail(t, AD_ENOMEM, "ad_eval: out of memory");
        return ad_status(t);
    }
    for (int i = 0; i < n && !t->status; i++) {
        ad_tape *u;
        ad_var one = ad_is_number(x[i]) ? ad_fill(t, 1, 1, x[i].value) : x[i];
        if (!ad_join("ad_eval", 1, &one, &v[i], &u) || u != t)
            ad_fail(t, u != t ? AD_ETAPE : AD_EARG, "ad_eval: value %d is %s", i + 1,
                    u != t ? "on another tape" : "void");
        else if (!out[i])
            ad_fail(t, AD_EARG, "ad_eval: value %d has no memory", i + 1);
    }
    const eval *e = NULL;
    for (int i = 0; !t->status && t->evals && i < KEPT && !e; i++)
        if (same(&t->evals->at[i], n, v))
            e = &t->evals->at[i];
    if (!t->status && !e && !(e = make(t, n, v)))
        ad_fail(t, AD_ENOMEM, "ad_eval: out of memory");
    if (!t->status)
        run(t, e, out);
    free(v);
    return t->status;
}
