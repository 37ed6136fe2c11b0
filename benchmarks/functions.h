/* functions.h - the functions that benchmarks record, and whose flops tests/test_flops.c counts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_FUNCTIONS_H
#define BENCH_FUNCTIONS_H

#include "ad.h"

#include <stdlib.h>

/* Bodies in pairs by text: v = x, y, z, px, py, pz, each [., n]. */
static inline ad_var record_nbody(ad_tape *t, int n, const ad_var v[6])
{
    static const char *const name[] = {"x", "y", "z", "px", "py", "pz", "n"};
    return ad_parse(t,
                    "sum(i=1..n, (px[i]^2 + py[i]^2 + pz[i]^2)/2)"
                    " - sum(i<j, 1/sqrt((x[i]-x[j])^2 + (y[i]-y[j])^2 + (z[i]-z[j])^2))",
                    7, name, (ad_var[]){v[0], v[1], v[2], v[3], v[4], v[5], ad_num(n)});
}

/* The same in scalars: x [1, 6n], the three coordinates of a body beside each other, momenta after positions; about 30
 * nodes a pair with the gradient. */
static inline ad_var record_bodies(int n, ad_var x)
{
    ad_var H = ad_num(0), *e = malloc((size_t)n * 6 * sizeof *e);
    for (int i = 0; i < 6 * n; i++)
        e[i] = ad_at(x, 0, i);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            ad_var r2 = ad_num(0);
            for (int k = 0; k < 3; k++)
                r2 = ad_add(r2, ad_square(ad_sub(e[3 * i + k], e[3 * j + k])));
            H = ad_sub(H, ad_div(ad_num(1), ad_sqrt(r2)));
        }
        for (int k = 0; k < 3; k++)
            H = ad_add(H, ad_mul(ad_num(0.5), ad_square(e[3 * n + 3 * i + k])));
    }
    free(e);
    return H;
}

/* sum_i p_i^2/2 + 1 - cos(q_i) + exp(q_i+1 - q_i) q_i in scalars: x [1, 2n], q before p; about 20 nodes a site with the
 * gradient. */
static inline ad_var record_chain(int n, ad_var x)
{
    ad_var H = ad_num(0), next = ad_at(x, 0, 0);
    for (int i = 0; i + 1 < n; i++) {
        ad_var q = next, p = ad_at(x, 0, n + i);
        next = ad_at(x, 0, i + 1);
        ad_var bond = ad_mul(ad_exp(ad_sub(next, q)), q);
        H = ad_add(H, ad_add(ad_mul(ad_num(0.5), ad_square(p)), ad_add(ad_sub(ad_num(1), ad_cos(q)), bond)));
    }
    return H;
}

/* The Fermi-Pasta-Ulam-Tsingou chain with beta = 1/4 by text: q, p [., n]. */
static inline ad_var record_fput(ad_tape *t, int n, ad_var q, ad_var p)
{
    static const char *const name[] = {"q", "p", "b", "n"};
    return ad_parse(t, "sum(i=1..n, p[i]^2/2) + sum(i=1..n-1, (q[i+1]-q[i])^2/2 + b*(q[i+1]-q[i])^4/4)", 4,
                    name, (ad_var[]){q, p, ad_num(0.25), ad_num(n)});
}

/* z [., 4]: x, y, px, py. */
static inline ad_var record_henon(ad_tape *t, ad_var z)
{
    ad_var x = ad_at(z, 0, 0), y = ad_at(z, 0, 1), px = ad_at(z, 0, 2), py = ad_at(z, 0, 3);
    return ad_expr(t, "(px^2 + py^2 + x^2 + y^2)/2 + x^2*y - y^3/3", px, py, x, y);
}

#endif
