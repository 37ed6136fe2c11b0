/* mass_matrix.c - kinetic energy p' M(q)^-1 p / 2 with a matrix for every state of a batch, and the same for one matrix.
 * M = L L' with L from three numbers: positive definite whatever they are. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>

static void show(const char *title, ad_var x, int rows)
{
    const double *v = ad_value(x);
    int cols = ad_cols(x);
    printf("%-26s", title);
    for (int i = 0; v && i < rows * cols; i++)
        printf("%s%.4f", i == 0 ? "[" : i % cols ? " " : "; ", v[i] + 0.0);
    printf("]\n");
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var z = ad_input(t, "z", AD_BATCH, 4), q = ad_cols_of(z, 0, 2), p = ad_cols_of(z, 2, 2);
    ad_set(z, 2, (double[]){0, 1, 1, 0, 0.5, -1, 1, 2});

    /* A row of three numbers is a lower triangle; a row of four is a 2 x 2 matrix. */
    ad_var c = ad_cos(q), first = ad_cols_of(c, 0, 1), second = ad_cols_of(c, 1, 1);
    ad_var L = ad_row_tril_unpack(
        ad_concat_cols(3, (ad_var[]){ad_exp(first), ad_mul(first, second), ad_exp(second)}), 2);
    ad_var M = ad_row_matmul(L, ad_row_transpose(L, 2, 2), 2, 2, 2);
    ad_var v = ad_row_solve(M, p, 2, 1), T = ad_mul(0.5, ad_row_dot(p, v)); /* velocity; energy [B,1] */
    show("M of each row", M, 2);
    show("velocity M^-1 p", v, 2);
    show("the same by L", ad_row_trisolve(L, ad_row_trisolve(L, p, 2, 1, 0), 2, 1, 1), 2);
    show("dT/dp is the velocity", ad_cols_of(ad_grad(ad_sum(T), z), 2, 2), 2);
    show("Cholesky gives L back", ad_row_cholesky(M, 2), 2);
    show("ln det M", ad_row_logdet(M, 2), 2);
    show("trace, diagonal", ad_concat_cols(2, (ad_var[]){ad_row_trace(M, 2), ad_row_diagonal(M, 2)}), 2);
    show("p p', lower triangle", ad_row_tril_pack(ad_row_outer(p, p), 2), 2);
    show("M + diag(p)", ad_add(M, ad_row_diag(p)), 2);

    /* One matrix. */
    ad_var A = ad_const(t, 2, 2, (double[]){4, 2, 2, 3}), b = ad_const(t, 2, 1, (double[]){2, 5});
    ad_var x = ad_solve(A, b), C = ad_cholesky(A);
    show("A^-1 b", x, 2);
    show("A x - b", ad_sub(ad_matmul(A, x), b), 2);
    show("C C'", ad_matmul_nt(C, C), 2);
    show("C'C", ad_matmul_tn(C, C), 2);
    show("b'A', a row", ad_matmul_tt(b, A), 1);
    show("b b'", ad_outer(b, b), 2);
    show("b.x", ad_dot(b, x), 1);
    show("ln det A, trace A", ad_concat_cols(2, (ad_var[]){ad_logdet(A), ad_trace(A)}), 1);
    show("diag of A, on its own", ad_diag(ad_diagonal(A)), 2);
    show("packed and unpacked", ad_tril_unpack(ad_tril_pack(A)), 2);
    if (ad_status(t))
        printf("%s\n", ad_message(t));
    ad_free(t);
    return 0;
}
