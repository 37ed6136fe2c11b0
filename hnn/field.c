/* field.c - (J - R) grad H + g u - (0, dD/dv), recorded. Invariant: the only place where a vector field is made from a
 * Hamiltonian. */
/* SPDX-License-Identifier: MIT */
#include "field.h"

ad_var hnn_canonical(ad_var g)
{
    int n = ad_cols(g) / 2;
    ad_var part[2] = {ad_cols_of(g, n, n), ad_neg(ad_cols_of(g, 0, n))};
    return ad_concat_cols(2, part);
}

ad_var hnn_field(hnn_recorded *H, const hnn_structure *s, ad_var z, ad_var time, ad_var u,
                 const ad_var params[])
{
    int n = ad_cols(z) / 2;
    const void *context = s ? s->context : NULL;
    if (n < 1 || ad_cols(z) != 2 * n) /* void, or no pairs of q and p: the tape says so */
        return ad_is_void(z) ? z : ad_cols_of(z, 0, 2 * n + 2);
    ad_var h = H(context, z, time, params), seed = ad_num(1), g;
    ad_vjp(1, &h, &seed, 1, &z, &g);
    ad_var f = hnn_canonical(g);
    if (s && s->R) {
        ad_var L = s->R(context, z, time, params);
        ad_var Lg = ad_row_matmul(ad_row_transpose(L, 2 * n, 2 * n), g, 2 * n, 2 * n, 1);
        f = ad_sub(f, ad_row_matmul(L, Lg, 2 * n, 2 * n, 1));
    }
    if (s &&
        s->D) { /* (q, v) joined into one value, so that the derivative by v cannot mix with q, whatever v is */
        ad_var part[2] = {ad_cols_of(z, 0, n), ad_cols_of(g, n, n)};
        ad_var y = ad_concat_cols(2, part), D = s->D(context, y, time, params), dD;
        ad_vjp(1, &D, &seed, 1, &y, &dD);
        f = ad_sub(f, ad_pad(ad_cols_of(dD, n, n), 0, 0, n, 0));
    }
    if (s && s->g) {
        ad_var G = s->g(context, z, time, params);
        int m = ad_cols(G) / (2 * n);
        f = ad_add(f, ad_row_matmul(G, u, 2 * n, m > 0 ? m : 1, 1));
    }
    return f;
}
