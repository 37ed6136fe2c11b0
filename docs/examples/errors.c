/* errors.c - the first error is kept; what is recorded after it is void; one look at the end is enough. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>

static void told(ad_tape *t)
{
    printf("%s: %s\n", ad_status_name(ad_status(t)), ad_message(t));
    ad_clear(t); /* re-arm: what was recorded before the error is still there */
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var W = ad_input(t, "W", 3, 32), x = ad_input(t, "x", AD_BATCH, 2), s = ad_input(t, "s", 1, 1);

    ad_var y = ad_sum(ad_tanh(ad_matmul(x, W))); /* no check in between */
    printf("y is %s, recorded values are %s\n", ad_is_void(y) ? "void" : "a value",
           ad_is_void(x) ? "void" : "intact");
    told(t);

    ad_scalar(ad_sin(s));
    told(t);
    ad_expr(t, "sin(s) + sn(s)", s);
    told(t);
    ad_gather_cols(x, 2, (int[]){0, 2});
    told(t);

    /* A mark takes the tape back; handles to what was removed are stale, which is an error and not a crash. */
    ad_mark here = ad_here(t);
    ad_var gone = ad_exp(s);
    int32_t nodes = ad_nodes(t);
    ad_rewind(t, here);
    printf("%d node removed\n", (int)(nodes - ad_nodes(t)));
    ad_add(gone, 1);
    told(t);

    /* Failures of numbers, not of calls, come with the value. */
    ad_var A = ad_input(t, "A", 2, 2);
    ad_set(A, 2, (double[]){1, 2, 2, 1});
    ad_value(ad_cholesky(A));
    told(t);

    /* What is on the tape. */
    for (int i = 0; i < ad_inputs(t); i++)
        printf("input %d: %s, columns: %d%s\n", i, ad_name(ad_input_at(t, i)), ad_cols(ad_input_at(t, i)),
               ad_rows(ad_input_at(t, i)) == AD_BATCH ? ", a row for each of the batch" : "");
    printf("\"s\" is %s, \"S\" is %s, ad_num(2) is a %s\n", ad_name(ad_find(t, "s")),
           ad_name(ad_find(t, "S")), ad_is_number(ad_num(2)) ? "number" : "node");
    printf("memory is counted: %s\n", ad_bytes(t) > 0 ? "yes" : "no");
    ad_free(t);
    return 0;
}
