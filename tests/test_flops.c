/* test_flops.c - a gradient costs at most 4 times its function and a Hessian-vector product at most 10 times, by the
 * flops that programs report, on the functions of the benchmarks. */
/* SPDX-License-Identifier: MIT */
#define AD_NO_SUGAR
#include "ad.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define N(v) ad_num(v)

static ad_var nbody(ad_tape *t, ad_var z)
{
    static const char *const name[] = {"x", "y", "z", "px", "py", "pz", "n"};
    ad_var v[7];
    for (int i = 0; i < 6; i++)
        v[i] = ad_cols_of(z, 8 * i, 8);
    v[6] = N(8);
    return ad_parse(t,
                    "sum(i=1..n, (px[i]^2 + py[i]^2 + pz[i]^2)/2)"
                    " - sum(i<j, 1/sqrt((x[i]-x[j])^2 + (y[i]-y[j])^2 + (z[i]-z[j])^2))",
                    7, name, v);
}
static ad_var nbody_scalars(ad_tape *t, ad_var z)
{
    ad_var e[48], H = N(0);
    (void)t;
    for (int i = 0; i < 48; i++)
        e[i] = ad_at(z, 0, i);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < i; j++) {
            ad_var r2 = N(0);
            for (int k = 0; k < 3; k++)
                r2 = ad_add(r2, ad_square(ad_sub(e[8 * k + i], e[8 * k + j])));
            H = ad_sub(H, ad_div(N(1), ad_sqrt(r2)));
        }
        for (int k = 3; k < 6; k++)
            H = ad_add(H, ad_mul(N(0.5), ad_square(e[8 * k + i])));
    }
    return H;
}
static ad_var fput(ad_tape *t, ad_var z)
{
    static const char *const name[] = {"q", "p", "b", "n"};
    return ad_parse(t, "sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2 + b*(q[i+1]-q[i])^4/4)", 4,
                    name, (ad_var[]){ad_cols_of(z, 0, 64), ad_cols_of(z, 64, 64), N(0.25), N(64)});
}
static ad_var henon(ad_tape *t, ad_var z)
{
    ad_var x = ad_at(z, 0, 0), y = ad_at(z, 0, 1), px = ad_at(z, 0, 2), py = ad_at(z, 0, 3);
    return ad_expr(t, "(px^2 + py^2 + x^2 + y^2)/2 + x^2*y - y^3/3", px, py, x, y);
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

/* Gaussian mixture: MIX_K components in MIX_D dimensions, MIX_N samples; z is weights, means, log diagonals of the
 * factors of the precisions, what is below these diagonals. */
enum {
    MIX_D = 4,
    MIX_K = 6,
    MIX_N = 30,
    TRI = MIX_D * (MIX_D - 1) / 2,
    MEANS = MIX_K,
    DIAGONALS = MEANS + MIX_K * MIX_D,
    BELOW = DIAGONALS + MIX_K * MIX_D,
    MIX_P = BELOW + MIX_K * TRI
};
static double datum(int i, int r) { return 0.1 * ((i * 31 + r * 17) % 41 - 20); }

static ad_var mixture(ad_tape *t, ad_var z)
{
    int on[MIX_D], below[TRI];
    double data[MIX_N * MIX_D];
    for (int i = 0; i < MIX_N * MIX_D; i++)
        data[i] = datum(i / MIX_D, i % MIX_D);
    for (int r = 0, e = 0; r < MIX_D; r++) {
        on[r] = r * MIX_D + r;
        for (int c = 0; c < r; c++)
            below[e++] = r * MIX_D + c;
    }
    ad_var alpha = ad_cols_of(z, 0, MIX_K),
           mu = ad_reshape(ad_cols_of(z, MEANS, MIX_K * MIX_D), MIX_K, MIX_D),
           q = ad_reshape(ad_cols_of(z, DIAGONALS, MIX_K * MIX_D), MIX_K, MIX_D),
           low = ad_reshape(ad_cols_of(z, BELOW, MIX_K * TRI), MIX_K, TRI),
           Q = ad_add(ad_scatter_cols(ad_exp(q), MIX_D * MIX_D, on),
                      ad_scatter_cols(low, MIX_D * MIX_D, below)),
           y = ad_sub(ad_matmul_nt(ad_const(t, MIX_N, MIX_D, data), ad_reshape(Q, MIX_K * MIX_D, MIX_D)),
                      ad_reshape(ad_row_matmul(Q, mu, MIX_D, MIX_D, 1), 1, MIX_K * MIX_D)),
           s = ad_reshape(ad_sum_cols(ad_square(ad_reshape(y, MIX_K * MIX_N, MIX_D))), MIX_N, MIX_K),
           base = ad_add(alpha, ad_transpose(ad_sum_cols(q)));
    return ad_sub(ad_sum(ad_logsumexp(ad_sub(base, ad_mul(N(0.5), s)))),
                  ad_mul(N(MIX_N), ad_logsumexp(alpha)));
}

static ad_var logsumexp(const ad_var v[])
{
    ad_var top = v[0], e[MIX_K];
    for (int k = 1; k < MIX_K; k++)
        top = ad_max(top, v[k]);
    for (int k = 0; k < MIX_K; k++)
        e[k] = ad_exp(ad_sub(v[k], top));
    return ad_add(top, ad_log(ad_add_n(MIX_K, e)));
}
static ad_var mixture_scalars(ad_tape *t, ad_var z)
{
    ad_var v[MIX_P], base[MIX_K], diagonal[MIX_K][MIX_D], each[MIX_N];
    (void)t;
    for (int i = 0; i < MIX_P; i++)
        v[i] = ad_at(z, 0, i);
    for (int k = 0; k < MIX_K; k++) {
        base[k] = v[k];
        for (int r = 0; r < MIX_D; r++) {
            base[k] = ad_add(base[k], v[DIAGONALS + k * MIX_D + r]);
            diagonal[k][r] = ad_exp(v[DIAGONALS + k * MIX_D + r]);
        }
    }
    for (int i = 0; i < MIX_N; i++) {
        ad_var term[MIX_K];
        for (int k = 0; k < MIX_K; k++) {
            const ad_var *low = v + BELOW + k * TRI;
            ad_var d[MIX_D], square[MIX_D];
            for (int r = 0; r < MIX_D; r++)
                d[r] = ad_sub(N(datum(i, r)), v[MEANS + k * MIX_D + r]);
            for (int r = 0; r < MIX_D; r++) {
                ad_var s = ad_mul(diagonal[k][r], d[r]);
                for (int c = 0; c < r; c++)
                    s = ad_add(s, ad_mul(*low++, d[c]));
                square[r] = ad_square(s);
            }
            term[k] = ad_sub(base[k], ad_mul(N(0.5), ad_add_n(MIX_D, square)));
        }
        each[i] = logsumexp(term);
    }
    return ad_sub(ad_add_n(MIX_N, each), ad_mul(N(MIX_N), logsumexp(v)));
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
                     {"Henon-Heiles", henon, 1, 4},
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
