/* fuzz_parse.c - any text is an expression or one error; what is an expression is printed, parsed again to the same node,
 * differentiated, compiled and run without a crash.
 *
 * SPDX-License-Identifier: MIT */
#include "ad.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"q", "p", "m", "n"};
    static const double q[] = {0.5, -1, 2}, p[] = {1, 0.25, -0.75}, m = 1.5;
    char *text = malloc(size + 1);
    if (!text || size > 4096) {
        free(text);
        return 0;
    }
    memcpy(text, data, size);
    text[size] = 0;
    ad_tape *t = ad_new();
    ad_var v[] = {ad_input(t, "q", 1, 3), ad_input(t, "p", 1, 3), ad_input(t, "m", 1, 1), ad_num(3)};
    ad_set(v[0], 1, q);
    ad_set(v[1], 1, p);
    ad_set(v[2], 1, &m);
    ad_var y = ad_parse(t, text, 4, names, v);
    if (ad_status(t) == AD_OK && !ad_is_number(y) && ad_nodes(t) < 2000) {
        char *printed = ad_print(y);
        if (printed) {
            ad_var again = ad_parse(t, printed, 4, names, v);
            const double *one = ad_status(t) ? NULL : ad_value(y), *two = one ? ad_value(again) : NULL;
            for (int i = 0; two && i < ad_rows(y) * ad_cols(y); i++)
                if (one[i] != two[i] && (one[i] == one[i] || two[i] == two[i]))
                    abort();
        }
        free(printed);
        ad_clear(t);
        ad_var g = ad_grad(ad_sum(y), v[0]);
        if (ad_value(g)) {
            ad_program *program = ad_compile(t, 3, v, 1, &g, NULL);
            ad_work *w = ad_work_new(program, NULL);
            double out[3];
            ad_run(w, 1, (const void *[]){q, p, &m}, (void *[]){out});
            ad_work_free(w);
            ad_program_free(program);
        }
    }
    ad_free(t);
    free(text);
    return 0;
}
