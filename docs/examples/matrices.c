/* matrices.c - Jacobians and Hessians: of one point, and of every row of a batch at once.
 * A curve a exp(-b t) + c is fitted by Gauss-Newton steps, recorded as one value with ad_jacobian and ad_solve; then the
 * Hessian of the misfit says how well the data fix a, b and c. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ad.h>
#include <stdio.h>

static void print_rows(const char *title, ad_var x, int rows)
{
    const double *v = ad_value(x);
    printf("%s\n", title);
    for (int i = 0; v && i < rows; i++) {
        for (int j = 0; j < ad_cols(x); j++)
            printf(" %9.4f", v[i * ad_cols(x) + j] + 0.0);
        printf("\n");
    }
}

int main(void)
{
    enum { N = 8 };
    double time[N], data[N], start[3] = {1, 1, 0};
    for (int i = 0; i < N; i++) {
        time[i] = 0.4 * i;
        data[i] = 2 * exp(-0.7 * time[i]) + 0.5;
    }
    ad_tape *t = ad_new();
    ad_var s = ad_const(t, N, 1, time), y = ad_const(t, N, 1, data), theta = ad_input(t, "theta", 1, 3);
    ad_var like[3] = {ad_num(0), ad_num(0), ad_num(0)}, c[3];
    ad_unpack(theta, 3, like, c); /* one vector for the solver, three values for the model */
    ad_var misfit = ad_sub(ad_add(ad_mul(c[0], ad_exp(ad_neg(ad_mul(c[1], s)))), c[2]), y); /* [N,1] */
    ad_var J = ad_jacobian(misfit, theta);                                                  /* [N,3] */
    ad_var step = ad_solve(ad_matmul_tn(J, J), ad_matmul_tn(J, misfit));                    /* [3,1] */
    for (int k = 0; k < 8; k++) {
        ad_set(theta, 1, start);
        const double *d = ad_value(step);
        for (int i = 0; d && i < 3; i++)
            start[i] -= d[i];
    }
    ad_set(theta, 1, start);
    print_rows("a, b, c", ad_pack(3, c), 1);
    ad_var half = ad_mul(0.5, ad_sum(ad_square(misfit)));
    print_rows("Hessian of the misfit", ad_hessian(half, theta), 3);

    /* Three states of a pendulum: H, its gradient, the Jacobian of the field, the Hessian, a row for each state. */
    ad_var z = ad_input(t, "z", AD_BATCH, 2), q = ad_cols_of(z, 0, 1), p = ad_cols_of(z, 1, 1),
           m = ad_input(t, "m", 1, 1);
    ad_set(z, 3, (double[]){0, 1, 1, 0, 3, 0.5});
    ad_set(m, 1, (double[]){2});
    ad_var H = ad_sub(ad_div(ad_square(p), ad_mul(2, m)), ad_cos(q)); /* [B,1] */
    ad_var dH = ad_grad_rows(H, z);                                   /* [B,2] */
    ad_var field = ad_concat_cols(2, (ad_var[]){ad_cols_of(dH, 1, 1), ad_neg(ad_cols_of(dH, 0, 1))});
    print_rows("dH/dq dH/dp", dH, 3);
    print_rows("Jacobian of the field", ad_jacobian_rows(field, z), 3);
    print_rows("Hessian", ad_hessian_rows(H, z), 3);
    print_rows("dH/dm, m shared by all rows", ad_grad_rows(H, m), 3);
    if (ad_status(t))
        printf("%s\n", ad_message(t));
    ad_free(t);
    return 0;
}
