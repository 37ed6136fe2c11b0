/* native.c - a recorded gradient as machine code: same results as replay to the bit, kept in a cache for the next run. */
/* SPDX-License-Identifier: MIT */
#include "noether/ad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 8), p = ad_input(t, "p", 1, 8), g[2];
    ad_var H = ad_expr(t, "sum(i=1..n, p[i]^2/2) + sum(i<j, 1/(1 + (q[i] - q[j])^2))", q, p);
    ad_grads(H, 2, (ad_var[]){q, p}, g);
    ad_program *replayed = ad_compile(t, 2, (ad_var[]){q, p}, 2, g, NULL);

    char folder[] = "/tmp/noether-XXXXXX", *how; /* NULL instead: the cache folder of the user */
    ad_program *native = ad_native(replayed, mkdtemp(folder), &how);
    /* "native: compiled by /usr/bin/cc into ...", or "replay: ..." and why, which works as well */
    printf("one of both: %d\n", !strncmp(how, "native: ", 8) || !strncmp(how, "replay: ", 8));

    double x[2][8], y[2][2][8];
    for (int i = 0; i < 8; i++) {
        x[0][i] = 0.3 * i;
        x[1][i] = 1 - 0.1 * i;
    }
    const ad_program *both[] = {replayed, native};
    for (int k = 0; k < 2; k++) {
        ad_work *w = ad_work_new(both[k], NULL);
        if (ad_run(w, 1, (const void *[]){x[0], x[1]}, (void *[]){y[k][0], y[k][1]}))
            printf("%s\n", ad_work_message(w));
        ad_work_free(w);
    }
    printf("dH/dq1 = %.15g, dH/dp1 = %.15g\n", y[1][0][0], y[1][1][0]);
    printf("same bits: %d\n", !memcmp(y[0], y[1], sizeof y[0]));
    free(how);
    ad_program_free(native);
    ad_program_free(replayed);
    ad_free(t);
    char clean[64];
    snprintf(clean, sizeof clean, "rm -r %s", folder);
    return system(clean) != 0;
}
