/* test_flops.c - a gradient costs at most 4 times its function and a Hessian-vector product at most 10 times, by the
 * flops that programs report, on the functions of the benchmarks. */
/* SPDX-License-Identifier: MIT */
#define AD_NO_SUGAR
#include "ad.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "../benchmarks/functions.h"
enum { MIX_N = 30, MIX_D = 4, MIX_K = 6 };
#include "../benchmarks/mixture.h"
#include "../benchmarks/mixture_functions.h"

static ad_var nbody(ad_tape *t, ad_var z)
{
    ad_var v[6];
    for (int i = 0; i < 6; i++)
        v[i] = ad_cols_of(z, 8 * i, 8);
    return record_nbody(t, 8, v);
}
static ad_var nbody_scalars(ad_tape *t, ad_var z)
{
    (void)t;
    return record_bodies(8, z);
}
static ad_var fput(ad_tape *t, ad_var z)
{
    return record_fput(t, 64, ad_cols_of(z, 0, 64), ad_cols_of(z, 64, 64));
}

/* 2-200-200-1, tanh; z is the weights (a state is a number of the tape), or the state. */
enum { H1 = 200, WEIGHTS = 2 * H1 + H1 + H1 * H1 + H1 + H1 + 1 };
static ad_var network(ad_var state, ad_var w)
{
    int at = 0;
    ad_var h = state;
    for (int layer = 0; layer < 3; layer++) {
        int in = layer ? H1 : 2, out = layer < 2 ? H1 : 1;
        ad_var W = ad_reshape(ad_cols_of(w, at, in * out), in, out), b = ad_cols_of(w, at + in * out, out);
        at += in * out + out;
        h = ad_add(ad_matmul(h, W), b);
        h = layer < 2 ? ad_tanh(h) : h;
    }
    return ad_sum(h);
}
static ad_var some_weights(ad_tape *t)
{
    double *v = malloc(WEIGHTS * sizeof *v);
    for (int i = 0; i < WEIGHTS; i++)
        v[i] = 0.01 * ((i * 7919) % 101 - 50);
    ad_var w = ad_const(t, 1, WEIGHTS, v);
    free(v);
    return w;
}
static ad_var network_of_weights(ad_tape *t, ad_var z)
{
    return network(ad_const(t, 3, 2, (double[]){.1, .2, -.3, .4, .5, -.6}), z);
}
static ad_var network_of_state(ad_tape *t, ad_var z) { return network(z, some_weights(t)); }

static const double *samples(void)
{
    static double x[MIX_N * MIX_D];
    for (int i = 0; i < MIX_N * MIX_D; i++)
        x[i] = 0.1 * ((i / MIX_D * 31 + i % MIX_D * 17) % 41 - 20);
    return x;
}
static ad_var mixture(ad_tape *t, ad_var z)
{
    return record_mixture(ad_const(t, MIX_N, MIX_D, samples()), z);
}
static ad_var mixture_scalars(ad_tape *t, ad_var z)
{
    (void)t;
    return record_mixture_scalars(samples(), z);
}

static double flops(ad_tape *t, int n, const ad_var in[], ad_var out)
{
    ad_report r;
    ad_program *p = ad_compile(t, n, in, 1, &out, NULL);
    cr_assert(p, "%s", ad_message(t));
    ad_program_report(p, &r);
    ad_program_free(p);
    return r.flops + r.flops_per_row;
}

Test(flops, of_a_gradient_are_at_most_4_times_and_of_a_hessian_product_10_times_those_of_the_function)
{
    static const struct {
        const char *name;
        ad_var (*f)(ad_tape *, ad_var);
        int rows, n;
    } functions[] = {{"N-body-8", nbody, 1, 48},
                     {"N-body-8 in scalars", nbody_scalars, 1, 48},
                     {"FPUT-64", fput, 1, 128},
                     {"Henon-Heiles", record_henon, 1, 4},
                     {"network, weights", network_of_weights, 1, WEIGHTS},
                     {"network, states", network_of_state, 5, 2},
                     {"mixture in matrices", mixture, 1, MIX_P},
                     {"mixture in scalars", mixture_scalars, 1, MIX_P}};
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        ad_tape *t = ad_new();
        ad_var z = ad_input(t, "z", functions[k].rows, functions[k].n),
               v = ad_input(t, "v", functions[k].rows, functions[k].n), y = functions[k].f(t, z),
               g = ad_grad(y, z), h = ad_hvp(y, z, v), in[2] = {z, v};
        cr_assert_eq(ad_status(t), AD_OK, "%s: %s", functions[k].name, ad_message(t));
        double one = flops(t, 2, in, y), gradient = flops(t, 2, in, g), product = flops(t, 2, in, h);
        if (getenv("NOETHER_FLOPS"))
            fprintf(stderr, "%-22s %10.0f flops, gradient %.2f times, Hessian-vector product %.2f times\n",
                    functions[k].name, one, gradient / one, product / one);
        cr_assert(one > 0 && gradient <= 4 * one, "%s: %g flops, its gradient %g", functions[k].name, one,
                  gradient);
        cr_assert(product <= 10 * one, "%s: %g flops, its Hessian-vector product %g", functions[k].name, one,
                  product);
        ad_free(t);
    }
}
