/* brackets.c - what a central force conserves, by Poisson brackets: {L, H} = 0 for every component of the angular
 * momentum L = q x p, and for the Kepler problem also for the Laplace-Runge-Lenz vector A = p x L - q/|q|.
 * Brackets are recorded, so they nest: {L1, L2} = L3, and the Jacobi identity. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ad.h>
#include <stdio.h>

static ad_var cross(ad_var a, ad_var b, int i)
{ /* component i of a x b */
    int j = (i + 1) % 3, k = (i + 2) % 3;
    return ad_sub(ad_mul(ad_at(a, 0, j), ad_at(b, 0, k)), ad_mul(ad_at(a, 0, k), ad_at(b, 0, j)));
}

static void show(const char *what, ad_var v)
{
    double x = ad_scalar(v);
    if (fabs(x) < 1e-13)
        printf("%-26s 0\n", what);
    else
        printf("%-26s %.6f\n", what, x);
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", 1, 3), p = ad_input(t, "p", 1, 3);
    ad_set(q, 1, (double[]){0.8, -0.3, 0.5});
    ad_set(p, 1, (double[]){0.1, 0.9, -0.4});

    ad_var r = ad_norm(q), T = ad_mul(0.5, ad_dot(p, p));
    ad_var kepler = ad_sub(T, ad_div(1, r)), spring = ad_add(T, ad_mul(0.5, ad_square(r)));
    ad_var L[3], A[3];
    for (int i = 0; i < 3; i++)
        L[i] = cross(q, p, i);
    ad_var Lv = ad_concat_cols(3, L);
    for (int i = 0; i < 3; i++)
        A[i] = ad_sub(cross(p, Lv, i), ad_div(ad_at(q, 0, i), r));

    show("{q1, p1}", ad_poisson(ad_at(q, 0, 0), ad_at(p, 0, 0), q, p));
    show("{q1, H}, which is p1", ad_poisson(ad_at(q, 0, 0), kepler, q, p));
    show("{L3, H}  Kepler", ad_poisson(L[2], kepler, q, p));
    show("{L3, H}  spring", ad_poisson(L[2], spring, q, p));
    show("{A1, H}  Kepler", ad_poisson(A[0], kepler, q, p));
    show("{A1, H}  spring", ad_poisson(A[0], spring, q, p));
    show("{L1, L2} - L3", ad_sub(ad_poisson(L[0], L[1], q, p), L[2]));
    ad_var jacobi[3] = {ad_poisson(A[0], ad_poisson(L[1], spring, q, p), q, p),
                        ad_poisson(L[1], ad_poisson(spring, A[0], q, p), q, p),
                        ad_poisson(spring, ad_poisson(A[0], L[1], q, p), q, p)};
    show("Jacobi identity", ad_add_n(3, jacobi));
    if (ad_status(t))
        printf("%s\n", ad_message(t));
    ad_free(t);
    return 0;
}
