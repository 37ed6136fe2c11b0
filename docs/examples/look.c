/* look.c - a tape as text, as a graph and as an expression; where a NaN was born; are the derivatives right? */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show(char *text)
{
    printf("%s\n", text ? text : "nothing");
    free(text);
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1), x[] = {q, p};
    ad_set(q, 1, (double[]){0.5});
    ad_set(p, 1, (double[]){1});
    ad_var H = ad_expr(t, "p^2/2 + sqrt(q)", q, p); /* ad_parse_named with the names of the arguments */
    ad_var same = ad_parse_named(t, "sqrt(b) + a^2/2", "a, b", 2, (ad_var[]){p, q});
    show(ad_dump(1, &H, 1)); /* values, and dH/d(node) */
    show(ad_dot_graph(1, &H));
    show(ad_print(same));

    ad_set(q, 1, (double[]){-0.5});
    show(ad_first_nan(ad_exp(H)));
    ad_set(q, 1, (double[]){0.5});

    /* ad_stop hides a dependence from every derivative, which makes a fine wrong rule. */
    ad_var wrong = ad_mul(ad_stop(q), p);
    char *report;
    double error = ad_check(H, 2, x, 3, NULL), bad = ad_check(wrong, 2, x, 1, &report);
    printf("H: %s to order 3\n", error < 1e-12 ? "right" : "wrong");
    printf("stop(q) p: relative error %.1f, %s", bad, report ? strstr(report, "gradient, q at") : "");
    free(report);

    int elementwise = 0;
    ad_op_info op;
    for (int i = 0; i < ad_op_count(); i++)
        if (ad_op_at(i, &op) == AD_OK && op.parsed)
            elementwise++;
    printf("%s elementwise operations have a name in expressions\n",
           elementwise > 40 ? "more than 40" : "few");
    ad_free(t);
    return 0;
}
