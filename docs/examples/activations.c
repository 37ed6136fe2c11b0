/* activations.c - which activation makes a Hamiltonian? The field is a slope of H and training needs the slope of the
 * field, so what counts is the curvature: where it is 0 everywhere, as for relu, H can bend at kinks only. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>

static const struct {
    const char *name;
    ad_var (*f)(ad_var);
} rows[] = {{"tanh", ad_tanh}, {"sigmoid", ad_sigmoid}, {"erf", ad_erf},    {"softplus", ad_softplus},
            {"silu", ad_silu}, {"gelu", ad_gelu},       {"elu", ad_elu},    {"relu", ad_relu},
            {"abs", ad_abs},   {"sign", ad_sign},       {"dtanh", ad_dtanh}};

int main(void)
{
    ad_tape *t = ad_new();
    ad_var x = ad_input(t, "x", 1, 2);
    ad_set(x, 1, (double[]){-1, 2});
    printf("          at -1: value   slope  curvature   at 2: value   slope  curvature\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ad_var y = rows[i].f(x), slope = ad_grad(ad_sum(y), x), bend = ad_grad(ad_sum(slope), x);
        printf("%-9s", rows[i].name);
        for (int k = 0; k < 2;
             k++) /* each value is read at once: what ad_value gives lives until the next call */
            printf("  %12.4f %7.4f %10.4f", ad_value(y)[k], ad_value(slope)[k] + 0.0,
                   ad_value(bend)[k] + 0.0);
        printf("\n");
    }
    ad_free(t);
    return 0;
}
