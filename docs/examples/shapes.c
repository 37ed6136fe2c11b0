/* shapes.c - movement of data by example: a ring of four springs, and a table of readings. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>

static void show(const char *title, ad_var x)
{
    const double *v = ad_value(x);
    int rows = ad_rows(x), cols = ad_cols(x);
    printf("%-34s", title);
    for (int i = 0; v && i < rows * cols; i++)
        printf("%s%g", i == 0 ? "[" : i % cols ? " " : "; ", v[i] + 0.0);
    printf("]\n");
}

int main(void)
{
    ad_tape *t = ad_new();

    /* Springs between masses i and next[i]: a gather takes the ends, a scatter hands the forces back. */
    const int next[4] = {1, 2, 3, 0};
    ad_var q = ad_input(t, "q", 1, 4);
    ad_set(q, 1, (double[]){0, 1, 3, 2});
    ad_var stretch = ad_sub(ad_gather_cols(q, 4, next), q);
    ad_var energy = ad_mul(0.5, ad_sum(ad_square(stretch)));
    show("stretch", stretch);
    show("force, by the gradient", ad_neg(ad_grad(energy, q)));
    show("force, scattered", ad_sub(stretch, ad_scatter_cols(stretch, 4, next)));

    /* Three readings of two instruments, a row each. */
    ad_var x = ad_const(t, 3, 2, (double[]){1, 10, 2, 20, 6, 30});
    show("readings", x);
    show("sum_rows, over the readings", ad_sum_rows(x));
    show("sum_cols, over the instruments", ad_sum_cols(x));
    show("mean, count", ad_concat_cols(2, (ad_var[]){ad_mean(x), ad_count(x)}));
    ad_var average = ad_div(ad_sum_rows(x), ad_count(x)); /* [1,2], used with [3,2]: it is repeated */
    show("minus the average", ad_sub(x, average));
    show("the average as [3,2]", ad_expand(average, 3, 2));
    show("sum_to [1,2]", ad_sum_to(x, 1, 2));
    show("rows 1 and 2", ad_rows_of(x, 1, 2));
    show("column 1", ad_cols_of(x, 1, 1));
    show("slice, row 2, column 0", ad_slice(x, 2, 1, 0, 1));
    show("at row 0, column 1", ad_at(x, 0, 1));
    show("reshape to [2,3]", ad_reshape(x, 2, 3));
    show("transpose", ad_transpose(x));
    show("rows 2, 0, 2", ad_gather_rows(x, 3, (int[]){2, 0, 2}));
    show("rows added up by group", ad_scatter_rows(x, 2, (int[]){0, 1, 0}));
    show("a row of ones below", ad_concat_rows(2, (ad_var[]){x, ad_fill(t, 1, 2, 1)}));
    show("pad by a column left", ad_pad(x, 0, 0, 1, 0));
    show("larger of reading and 2 x", ad_max(ad_cols_of(x, 1, 1), ad_mul(2, ad_cols_of(x, 0, 1))));
    show("clipped to 15", ad_min(x, 15));
    show("where > 5, else 0", ad_where(ad_lt(5, x), x, 0));
    show("which are <= 2, which are 30", ad_add(ad_le(x, 2), ad_eq(x, 30)));
    show("2 I", ad_mul(2, ad_eye(t, 2)));
    if (ad_status(t))
        printf("%s\n", ad_message(t));
    ad_free(t);
    return 0;
}
