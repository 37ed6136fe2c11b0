/* mixture_functions.h - the log-likelihood of hand_mixture.h recorded in three ways, of parameters flat [1, MIX_P]. Include mixture.h
 * with its sizes first.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MIXTURE_FUNCTIONS_H
#define MIXTURE_FUNCTIONS_H

#include "ad.h"

/* logsumexp of MIX_K scalars, one operation at a time. */
static inline ad_var mixture_logsumexp(const ad_var v[])
{
    ad_var top = v[0], e[MIX_K];
    for (int k = 1; k < MIX_K; k++)
        top = ad_max(top, v[k]);
    for (int k = 0; k < MIX_K; k++)
        e[k] = ad_exp(ad_sub(v[k], top));
    return ad_add(top, ad_log(ad_add_n(MIX_K, e)));
}
/* The terms of one sample z[MIX_D], from the parameters v[MIX_P], exponentials of the diagonals and base[MIX_K]. */
static inline ad_var mixture_sample(const ad_var z[], const ad_var v[], ad_var (*diagonal)[MIX_D],
                                    const ad_var base[])
{
    ad_var term[MIX_K];
    for (int k = 0; k < MIX_K; k++) {
        const ad_var *low = v + MIX_ICF + k * MIX_Q + MIX_D;
        ad_var d[MIX_D], square[MIX_D];
        for (int r = 0; r < MIX_D; r++)
            d[r] = ad_sub(z[r], v[MIX_MU + k * MIX_D + r]);
        for (int r = 0; r < MIX_D; r++) {
            ad_var s = ad_mul(diagonal[k][r], d[r]);
            for (int c = 0; c < r; c++)
                s = ad_add(s, ad_mul(*low++, d[c]));
            square[r] = ad_square(s);
        }
        term[k] = ad_sub(base[k], ad_mul(ad_num(0.5), ad_add_n(MIX_D, square)));
    }
    return mixture_logsumexp(term);
}
static inline void mixture_parts(ad_var flat, ad_var v[], ad_var (*diagonal)[MIX_D], ad_var base[])
{
    for (int i = 0; i < MIX_P; i++)
        v[i] = ad_cols_of(flat, i, 1);
    for (int k = 0; k < MIX_K; k++) {
        base[k] = v[k];
        for (int r = 0; r < MIX_D; r++) {
            base[k] = ad_add(base[k], v[MIX_ICF + k * MIX_Q + r]);
            diagonal[k][r] = ad_exp(v[MIX_ICF + k * MIX_Q + r]);
        }
    }
}

/* In scalars of one sample: data [samples, MIX_D]. */
static inline ad_var record_mixture_rows(ad_var data, ad_var flat)
{
    static ad_var v[MIX_P], diagonal[MIX_K][MIX_D], base[MIX_K];
    ad_var z[MIX_D];
    mixture_parts(flat, v, diagonal, base);
    for (int r = 0; r < MIX_D; r++)
        z[r] = ad_cols_of(data, r, 1);
    return ad_sub(ad_sum(mixture_sample(z, v, diagonal, base)), ad_mul(ad_num(MIX_N), mixture_logsumexp(v)));
}
/* In scalars of all samples x [MIX_N, MIX_D]. */
static inline ad_var record_mixture_scalars(const double x[], ad_var flat)
{
    static ad_var v[MIX_P], diagonal[MIX_K][MIX_D], base[MIX_K], each[MIX_N];
    mixture_parts(flat, v, diagonal, base);
    for (int i = 0; i < MIX_N; i++) {
        ad_var z[MIX_D];
        for (int r = 0; r < MIX_D; r++)
            z[r] = ad_num(x[i * MIX_D + r]);
        each[i] = mixture_sample(z, v, diagonal, base);
    }
    return ad_sub(ad_add_n(MIX_N, each), ad_mul(ad_num(MIX_N), mixture_logsumexp(v)));
}
/* In matrix operations, data [samples, MIX_D]: Q (x - mu) of all samples and components is one product. */
static inline ad_var record_mixture(ad_var data, ad_var flat)
{
    int on[MIX_D], below[MIX_TRI];
    for (int r = 0, e = 0; r < MIX_D; r++) {
        on[r] = r * MIX_D + r;
        for (int c = 0; c < r; c++)
            below[e++] = r * MIX_D + c;
    }
    ad_var alpha = ad_cols_of(flat, 0, MIX_K),
           mu = ad_reshape(ad_cols_of(flat, MIX_MU, MIX_K * MIX_D), MIX_K, MIX_D),
           icf = ad_reshape(ad_cols_of(flat, MIX_ICF, MIX_K * MIX_Q), MIX_K, MIX_Q),
           q = ad_cols_of(icf, 0, MIX_D),
           Q = ad_add(ad_scatter_cols(ad_exp(q), MIX_D * MIX_D, on),
                      ad_scatter_cols(ad_cols_of(icf, MIX_D, MIX_TRI), MIX_D * MIX_D, below)),
           y = ad_sub(ad_matmul_nt(data, ad_reshape(Q, MIX_K * MIX_D, MIX_D)),
                      ad_reshape(ad_row_matmul(Q, mu, MIX_D, MIX_D, 1), 1, MIX_K * MIX_D)),
           s = ad_reshape(ad_sum_cols(ad_square(ad_reshape(y, MIX_K * ad_rows(data), MIX_D))), ad_rows(data),
                          MIX_K),
           base = ad_add(alpha, ad_transpose(ad_sum_cols(q)));
    return ad_sub(ad_sum(ad_logsumexp(ad_sub(base, ad_mul(ad_num(0.5), s)))),
                  ad_mul(ad_num(MIX_N), ad_logsumexp(alpha)));
}

#endif
