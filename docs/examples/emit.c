/* emit.c - the field of pendulums, a batch of them, as a C function that needs nothing but libm; then with their energy
 * in one file. */
/* SPDX-License-Identifier: MIT */
#include "noether/ad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", AD_BATCH, 3), p = ad_input(t, "p", AD_BATCH, 3);
    ad_var H = ad_expr(t, "sum(i=1..3, p[i]^2/2 - cos(q[i]))", q, p); /* [B,1]: one number a row */
    ad_var one = ad_num(1), g[2];
    ad_vjp(1, &H, &one, 2, (ad_var[]){q, p}, g);
    ad_program *program = ad_compile(t, 2, (ad_var[]){q, p}, 2, g, NULL);

    char *why = NULL, *text = ad_emit(program, "pendulums", &why);
    if (!text) {
        printf("%s\n", why ? why : ad_message(t));
        free(why);
        return 1;
    }
    /* Before the function stand the kernels that it uses; print what is this program's own. */
    fputs(strstr(text, "size_t pendulums_work(int batch) {"), stdout);
    free(text);

    /* Several programs in one file share the kernels. */
    ad_program *energy = ad_compile(t, 2, (ad_var[]){q, p}, 1, &H, NULL);
    const ad_program *both[] = {program, energy};
    text = ad_emit_all(2, both, (const char *[]){"pendulums", "energy"}, &why);
    char *sine = text ? strstr(text, "V vm_sin(V x)\n{") : NULL;
    printf("\none file: pendulums %d, energy %d, a sine %d, another %d\n",
           text && strstr(text, "int pendulums("), text && strstr(text, "int energy("), sine != NULL,
           sine && strstr(sine + 1, "V vm_sin(V x)\n{"));
    free(text);
    free(why);
    ad_program_free(energy);
    ad_program_free(program);
    ad_free(t);
    return 0;
}
