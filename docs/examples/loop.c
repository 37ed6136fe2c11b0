/* loop.c - a thousand steps of a pendulum as one node: its energy at the end, and derivatives through all steps. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>

int main(void)
{
    ad_tape *t = ad_new();
    ad_var h = ad_input(t, "h", 1, 1), q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1);

    /* one step of Stoermer-Verlet, which also gives the energy */
    ad_var half = ad_sub(p, ad_mul(ad_mul(0.5, h), ad_sin(q))), q1 = ad_add(q, ad_mul(h, half));
    ad_var p1 = ad_sub(half, ad_mul(ad_mul(0.5, h), ad_sin(q1)));
    ad_var energy = ad_expr(t, "p1^2/2 - cos(q1)", p1, q1);
    ad_func *step = ad_func_new(3, (ad_var[]){h, q, p}, 3, (ad_var[]){q1, p1, energy});

    ad_var end[2], all;
    ad_scan(t, &(ad_scan_spec){.f = step,
                               .count = 1000,
                               .nshared = 1,
                               .ncarry = 2,
                               .ncollect = 1,
                               .shared = &h,
                               .carry = (ad_var[]){q, p},
                               .carry_out = end,
                               .collected = &all}); /* [1,1000] */
    ad_func_free(step);

    ad_var g = ad_grad(end[0], q), hv = ad_hvp(end[0], q, ad_num(1));
    ad_set(h, 1, (double[]){0.05});
    ad_set(q, 1, (double[]){1});
    ad_set(p, 1, (double[]){0});
    double e[1000], v[3];
    if (ad_eval(t, 4, (ad_var[]){all, end[0], g, hv}, (double *[]){e, v, v + 1, v + 2}) != AD_OK)
        printf("%s\n", ad_message(t));
    printf("energy after 1, 500, 1000 steps: %.6f %.6f %.6f\n", e[0], e[499], e[999]);
    printf("q = %.6f  dq/dq0 = %.6f  d2q/dq0^2 = %.5f\n", v[0], v[1], v[2]);
    printf("nodes on the tape: %d\n", (int)ad_nodes(t));
    ad_free(t);
    return 0;
}
