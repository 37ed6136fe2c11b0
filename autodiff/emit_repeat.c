/* emit_repeat.c - the loop of ad_repeat as text. What is fed back is arrays of the function with fixed indices, which
 * compilers keep in registers; the program itself is inlined.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

enum { MOST = 256, FEW = 16 }; /* numbers that are fed back; that are copied one by one */

/* Has the text this loop? One function, no batch, few numbers. */
bool ad_em_repeats(const ad_emitter *e)
{
    const ad_program *p = e->p;
    int64_t sum = 0;
    if (!p->feed || e->chunk.n != 1)
        return false;
    for (int32_t i = 0; i < p->nplaces; i++)
        if (p->place[i].rows < 0)
            return false;
    for (int j = 0; j < p->nout; j++)
        sum += p->feed[j] >= 0 ? e->value[p->out[j]].n : 0;
    return sum > 0 && sum <= MOST;
}

static void copy(ad_text *t, int32_t n, const char *to, const char *from)
{
    if (n > FEW)
        ad_say(t, "for (int i = 0; i < %d; i++)\n%s[i] = %s[i];\n", n, to, from);
    for (int32_t i = 0; i < n && n <= FEW; i++)
        ad_say(t, "%s[%d] = %s[%d];\n", to, i, from, i);
}

/* Which output is fed to input i; -1. */
static int source(const ad_program *p, int i)
{
    for (int j = 0; j < p->nout; j++)
        if (p->feed[j] == i)
            return j;
    return -1;
}

void ad_em_repeat(ad_emitter *e)
{
    const ad_program *p = e->p;
    ad_text *t = &e->body;
    char a[48], b[48];
    ad_say(t, "\nint %s(int batch, %s)\n{\nreturn %s_once(batch, in, out, work);\n}\n", e->name,
           AD_EM_PARAMETERS, e->name);
    ad_say(t,
           "\nALWAYS_INLINE int %s_loop(int64_t count, const int64_t in_step[], const int64_t out_step[], "
           "int batch, %s)\n{\n(void)in_step, (void)out_step;\n",
           e->name, AD_EM_PARAMETERS);
    for (int j = 0; j < p->nout; j++) {
        if (p->feed[j] < 0)
            continue;
        int32_t n = e->value[p->out[j]].n;
        ad_say(t, "REAL old%d[%d], new%d[%d];\n", j, n, j, n);
        snprintf(a, sizeof a, "old%d", j);
        snprintf(b, sizeof b, "in[%d]", p->feed[j]);
        copy(t, n, a, b);
    }
    ad_say(t, "for (int64_t k = 0; k < count; k++) {\nconst REAL *const from[] = {");
    for (int i = 0; i < p->nin; i++) {
        int j = source(p, i);
        if (j >= 0)
            ad_say(t, "%sold%d", i ? ", " : "", j);
        else
            ad_say(t, "%sin_step ? in[%d] + k * in_step[%d] : in[%d]", i ? ", " : "", i, i, i);
    }
    ad_say(t, "};\nREAL *const to[] = {");
    for (int j = 0; j < p->nout; j++)
        if (p->feed[j] >= 0)
            ad_say(t, "%snew%d", j ? ", " : "", j);
        else
            ad_say(t, "%sout_step ? out[%d] + k * out_step[%d] : out[%d]", j ? ", " : "", j, j, j);
    ad_say(t, "};\nint status = %s_once(batch, from, to, work);\nif (status)\nreturn status;\n", e->name);
    for (int j = 0; j < p->nout; j++) {
        snprintf(a, sizeof a, "old%d", j);
        snprintf(b, sizeof b, "new%d", j);
        copy(t, p->feed[j] >= 0 ? e->value[p->out[j]].n : 0, a, b);
    }
    ad_say(t, "}\n");
    for (int j = 0; j < p->nout; j++) {
        snprintf(a, sizeof a, "out[%d]", j);
        snprintf(b, sizeof b, "old%d", j);
        copy(t, p->feed[j] >= 0 ? e->value[p->out[j]].n : 0, a, b);
    }
    ad_say(t, "return 0;\n}\n");
    ad_say(t, /* where nothing moves, that is known to the loop */
           "\nint %s_repeat(int64_t count, const int64_t in_step[], const int64_t out_step[], int batch, "
           "%s)\n{\nif (in_step || out_step)\n"
           "return %s_loop(count, in_step, out_step, batch, in, out, work);\n"
           "return %s_loop(count, 0, 0, batch, in, out, work);\n}\n",
           e->name, AD_EM_PARAMETERS, e->name, e->name);
}
