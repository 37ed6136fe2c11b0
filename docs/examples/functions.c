/* functions.c - a recorded function called twice, its derivative, and the beginner's path to values. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>

#include <stdio.h>

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", AD_BATCH, 1), p = ad_input(t, "p", AD_BATCH, 1), h = ad_input(t, "h", 1, 1);

    /* one step of the pendulum: a function of (q, p, h) with two results */
    ad_var half = ad_sub(p, ad_mul(ad_mul(0.5, h), ad_sin(q)));
    ad_var q1 = ad_add(q, ad_mul(h, half)), p1 = ad_sub(half, ad_mul(ad_mul(0.5, h), ad_sin(q1)));
    ad_func *step = ad_func_new(3, (ad_var[]){q, p, h}, 2, (ad_var[]){q1, p1});

    ad_var z[2] = {q, p};
    for (int i = 0; i < 2; i++)
        ad_call(t, step, (ad_var[]){z[0], z[1], h}, z);
    ad_func_free(step); /* the tape keeps what it calls */
    ad_var e = ad_parse(t, "p^2/2 - cos(q)", 2, (const char *const[]){"q", "p"}, z);
    ad_var dh = ad_grad(ad_sum(e), h);

    ad_set(q, 3, (double[]){0.5, 1, 2});
    ad_set(p, 3, (double[]){0, 0, 0});
    ad_set(h, 1, (double[]){0.1});
    double value[3], slope;
    if (ad_eval(t, 2, (ad_var[]){e, dh}, (double *[]){value, &slope}) != AD_OK)
        printf("%s\n", ad_message(t));
    printf("energies after two steps: %.6f %.6f %.6f\n", value[0], value[1], value[2]);
    printf("d(their sum)/dh: %.6f\n", slope);
    ad_free(t);
    return 0;
}
