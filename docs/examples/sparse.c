/* sparse.c - the Hessian of a chain of springs with a cubic force (Fermi, Pasta, Ulam, Tsingou), given as text: of the
 * n*n entries only the band is computed, so that a chain of 1,000 sites costs three products with a vector.
 * And the Jacobian of the same force field in (q, p). */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>
#include <stdlib.h>

static ad_var potential(ad_tape *t, ad_var q, int n)
{
    const char *names[] = {"q", "n"};
    return ad_parse(t, "sum(i=1..n-1, (q[i+1]-q[i])^2/2 + (q[i+1]-q[i])^4/4)", 2, names,
                    (ad_var[]){q, ad_num(n)});
}

int main(void)
{
    int nnz, *row, *col;
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 5), p = ad_input(t, "p", 1, 5), V = potential(t, q, 5);
    ad_set(q, 1, (double[]){0, 1, 1, 3, 2});
    ad_set(p, 1, (double[]){0, 0, 0, 0, 0});

    ad_var H = ad_hessian_sparse(V, q, &nnz, &row, &col);
    const double *h = ad_value(H);
    for (int k = 0; h && k < nnz; k++)
        printf("d2V/dq%d dq%d = %g\n", row[k] + 1, col[k] + 1, h[k]);
    free(row);
    free(col);

    ad_var z = ad_pack(2, (ad_var[]){q, p}), half[2], like[2] = {q, p};
    ad_unpack(z, 2, like, half);
    ad_var force = ad_neg(ad_grad(potential(t, half[0], 5), half[0]));
    ad_var field = ad_pack(2, (ad_var[]){half[1], force});
    ad_jacobian_sparse(field, z, &nnz, &row, &col);
    printf("field in (q, p): %d of %d entries\n", nnz, ad_cols(field) * ad_cols(z));
    free(row);
    free(col);

    ad_var long_q = ad_input(t, "long_q", 1, 1000);
    int nodes = ad_nodes(t);
    ad_hessian_sparse(potential(t, long_q, 1000), long_q, &nnz, &row, &col);
    printf("1000 sites: %d entries, %s 100 nodes\n", nnz,
           ad_nodes(t) - nodes < 100 ? "fewer than" : "more than");
    free(row);
    free(col);
    if (ad_status(t))
        printf("%s\n", ad_message(t));
    ad_free(t);
    return 0;
}
