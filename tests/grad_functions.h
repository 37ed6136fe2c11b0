/* grad_functions.h - functions of x [3,4] that use every operation that is not elementwise.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GRAD_FUNCTIONS_H
#define GRAD_FUNCTIONS_H

#include "ad.h"

#include <math.h>

/* Each with a value [1,1]. */
static ad_var spd(ad_var x)
{ /* x x' + 4 I, [3,3] */
    return ad_add(ad_matmul_nt(x, x), ad_mul(4, ad_eye(x.tape, 3)));
}
static ad_var weigh(ad_var v)
{ /* a sum in which every element counts differently */
    int r = ad_rows(v), c = ad_cols(v);
    double w[256];
    for (int i = 0; i < r * c; i++)
        w[i] = 0.5 + sin(1.7 * i + 1);
    return ad_sum(ad_mul(ad_square(v), ad_const(v.tape, r, c, w)));
}
static const int index_cols[] = {3, 0, 0, 2, 1}, index_rows[] = {2, 0, 2}, spread[] = {4, 1, 4, 0};
static ad_var f_sum_rows(ad_var x) { return weigh(ad_sum_rows(x)); }
static ad_var f_sum_cols(ad_var x) { return weigh(ad_sum_cols(x)); }
static ad_var f_mean(ad_var x) { return ad_mul(ad_mean(ad_square(x)), ad_mean(x)); }
static ad_var f_logsumexp(ad_var x) { return weigh(ad_logsumexp(x)); }
static ad_var f_norm(ad_var x) { return weigh(ad_sub(ad_norm(x), 1)); }
static ad_var f_reshape(ad_var x) { return weigh(ad_reshape(ad_sin(x), 2, 6)); }
static ad_var f_expand(ad_var x) { return weigh(ad_expand(ad_sum_rows(ad_exp(x)), 5, 4)); }
static ad_var f_sum_to(ad_var x) { return weigh(ad_sum_to(ad_exp(x), 3, 1)); }
static ad_var f_slice(ad_var x) { return ad_mul(weigh(ad_slice(x, 1, 2, 1, 2)), ad_at(x, 0, 3)); }
static ad_var f_rows_cols(ad_var x) { return ad_dot(ad_rows_of(x, 0, 2), ad_exp(ad_rows_of(x, 1, 2))); }
static ad_var f_cols(ad_var x) { return ad_dot(ad_cols_of(x, 0, 2), ad_exp(ad_cols_of(x, 2, 2))); }
static ad_var f_pad(ad_var x) { return weigh(ad_pad(ad_cos(x), 1, 0, 2, 1)); }
static ad_var f_concat_rows(ad_var x)
{
    return weigh(ad_concat_rows(3, (ad_var[]){x, ad_sin(x), ad_sum_rows(x)}));
}
static ad_var f_concat_cols(ad_var x)
{
    return weigh(ad_concat_cols(3, (ad_var[]){ad_sum_cols(x), x, ad_exp(x)}));
}
static ad_var f_gather_cols(ad_var x) { return weigh(ad_gather_cols(ad_sin(x), 5, index_cols)); }
static ad_var f_gather_rows(ad_var x) { return weigh(ad_gather_rows(ad_sin(x), 3, index_rows)); }
static ad_var f_scatter_cols(ad_var x) { return weigh(ad_scatter_cols(ad_sin(x), 6, spread)); }
static ad_var f_scatter_rows(ad_var x) { return weigh(ad_scatter_rows(ad_sin(x), 4, index_rows)); }
static ad_var f_transpose(ad_var x) { return weigh(ad_transpose(ad_exp(x))); }
static ad_var f_matmul(ad_var x) { return weigh(ad_matmul(x, ad_transpose(ad_sin(x)))); }
static ad_var f_matmul_nt(ad_var x) { return weigh(ad_matmul_nt(x, ad_sin(x))); }
static ad_var f_matmul_tn(ad_var x) { return weigh(ad_matmul_tn(x, ad_sin(x))); }
static ad_var f_matmul_tt(ad_var x) { return weigh(ad_matmul_tt(x, ad_transpose(ad_sin(x)))); }
static ad_var f_outer(ad_var x) { return weigh(ad_outer(ad_sum_rows(x), ad_sum_cols(ad_sin(x)))); }
static ad_var f_diag(ad_var x) { return weigh(ad_diag(ad_sum_rows(ad_exp(x)))); }
static ad_var f_diagonal(ad_var x) { return weigh(ad_diagonal(spd(x))); }
static ad_var f_trace(ad_var x) { return ad_sin(ad_trace(spd(x))); }
static ad_var f_tril(ad_var x) { return weigh(ad_tril_unpack(ad_tril_pack(ad_sin(spd(x))))); }
static ad_var f_solve(ad_var x) { return weigh(ad_solve(ad_add(spd(x), ad_cols_of(x, 0, 3)), x)); }
static ad_var f_cholesky(ad_var x) { return weigh(ad_cholesky(spd(x))); }
static ad_var f_logdet(ad_var x) { return ad_sin(ad_logdet(ad_add(spd(x), ad_cols_of(x, 0, 3)))); }
static ad_var f_row_matmul(ad_var x) { return weigh(ad_row_matmul(x, ad_sin(x), 2, 2, 2)); }
static ad_var f_row_shared(ad_var x) { return weigh(ad_row_matmul(ad_rows_of(x, 1, 1), ad_sin(x), 2, 2, 2)); }
static ad_var f_row_transpose(ad_var x) { return weigh(ad_row_transpose(ad_exp(x), 2, 2)); }
static ad_var f_row_dot(ad_var x) { return weigh(ad_row_dot(x, ad_sin(x))); }
static ad_var f_row_outer(ad_var x) { return weigh(ad_row_outer(x, ad_cols_of(ad_sin(x), 1, 2))); }
static ad_var f_row_diag(ad_var x) { return weigh(ad_row_diagonal(ad_row_diag(ad_exp(x)), 4)); }
static ad_var f_row_trace(ad_var x) { return weigh(ad_row_trace(ad_exp(x), 2)); }
static ad_var f_row_tril(ad_var x) { return weigh(ad_row_tril_unpack(ad_row_tril_pack(ad_exp(x), 2), 2)); }
static ad_var plus(ad_var x)
{ /* a well-conditioned 2x2 matrix in each row */
    return ad_add(ad_mul(3, ad_reshape(ad_eye(x.tape, 2), 1, 4)), x);
}
static ad_var f_row_solve(ad_var x)
{
    return weigh(ad_row_solve(plus(x), ad_cols_of(ad_exp(x), 0, 2), 2, 1));
}
static ad_var f_trisolve(ad_var x)
{
    return weigh(ad_row_trisolve(plus(x), ad_cols_of(ad_exp(x), 0, 2), 2, 1, 0));
}
static ad_var f_trisolve_t(ad_var x)
{
    return weigh(ad_row_trisolve(plus(x), ad_cols_of(ad_exp(x), 0, 2), 2, 1, 1));
}
static ad_var f_row_cholesky(ad_var x) { return weigh(ad_row_cholesky(plus(x), 2)); }
static ad_var f_row_logdet(ad_var x) { return weigh(ad_row_logdet(plus(x), 2)); }
static ad_var f_where(ad_var x) { return weigh(ad_where(ad_lt(x, 0.1), ad_sin(x), ad_exp(x))); }
static ad_var f_add_n(ad_var x)
{
    return weigh(ad_add_n(4, (ad_var[]){x, ad_sin(x), ad_sum_rows(x), ad_at(x, 0, 0)}));
}
static ad_var f_broadcast(ad_var x)
{
    return weigh(ad_div(ad_mul(ad_sum_rows(x), ad_sum_cols(ad_exp(x))), ad_add(3, ad_sin(x))));
}

typedef ad_var function(ad_var);
#define F(f)                                                                                                 \
    {                                                                                                        \
#f, f                                                                                                \
    }
static const struct {
    const char *name;
    function *f;
} functions[] = {
    F(f_sum_rows),    F(f_sum_cols),     F(f_mean),         F(f_logsumexp),     F(f_norm),
    F(f_reshape),     F(f_expand),       F(f_sum_to),       F(f_slice),         F(f_rows_cols),
    F(f_cols),        F(f_pad),          F(f_concat_rows),  F(f_concat_cols),   F(f_gather_cols),
    F(f_gather_rows), F(f_scatter_cols), F(f_scatter_rows), F(f_transpose),     F(f_matmul),
    F(f_matmul_nt),   F(f_matmul_tn),    F(f_matmul_tt),    F(f_outer),         F(f_diag),
    F(f_diagonal),    F(f_trace),        F(f_tril),         F(f_solve),         F(f_cholesky),
    F(f_logdet),      F(f_row_matmul),   F(f_row_shared),   F(f_row_transpose), F(f_row_dot),
    F(f_row_outer),   F(f_row_diag),     F(f_row_trace),    F(f_row_tril),      F(f_row_solve),
    F(f_trisolve),    F(f_trisolve_t),   F(f_row_cholesky), F(f_row_logdet),    F(f_where),
    F(f_add_n),       F(f_broadcast),
};

static void point(double v[12], double v2[12])
{
    for (int i = 0; i < 12; i++) {
        v[i] = 0.6 * sin(2.3 * i + 0.4);
        v2[i] = cos(1.1 * i * i);
    }
}

#endif
