/* report.c - a program as text: what each instruction reads and writes, and where it lives.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"
#include "say.h"

#include <stdio.h>

/* "in 2 [B,4]", "buf 7 [1,1]", "const 16 [1,3]": where a value lives and its shape. */
static void place_text(char out[64], const ad_program *p, int32_t i)
{
    static const char *const where[] = {"const", "in", "out", "buf"};
    const ad_place *v = &p->place[i];
    char s[32];
    snprintf(out, 64, "%s %lld %s", where[v->where],
             v->where == AD_AT_CONST ? (long long)v->offset : v->index, ad_shape_text(s, v->rows, v->cols));
}

char *ad_program_dump(const ad_program *p)
{
    ad_text t = {0};
    if (!p)
        return NULL;
    const ad_report *r = &p->report;
    ad_say(&t, "%d inputs, %d outputs, %s, kernels %s\n", p->nin, p->nout,
           p->k->real == AD_F32   ? "float"
           : p->k->real == AD_F80 ? "long double"
                                  : "double",
           p->k->isa);
    ad_say(&t, "%lld nodes, %lld live, %lld instructions, %d buffers, %lld constants\n", (long long)r->nodes,
           (long long)r->live, (long long)r->instructions, p->nbuffers, (long long)p->nconsts);
    for (int32_t i = 0; i < p->nins; i++) {
        const ad_ins *ins = &p->ins[i];
        const int32_t *a = ad_ins_args(p, ins), *attr = ad_ins_attrs(p, ins);
        char s[64];
        place_text(s, p, p->pool[ins->at]);
        ad_say(&t, "%5d  %-22s = %-12s", i, s, ad_ops[ins->op].name);
        for (int k = 0, n = ad_ins_nargs(p, ins); k < n; k++) {
            place_text(s, p, a[k]);
            ad_say(&t, "%s %s", k ? "," : "", s);
        }
        for (int k = 0; k < ins->nattr && k < 8; k++)
            ad_say(&t, "%s%d", k ? " " : "  (", attr[k]);
        ad_say(&t, ins->nattr > 8 ? " ...)\n" : ins->nattr ? ")\n" : "\n");
    }
    return ad_said(&t);
}
