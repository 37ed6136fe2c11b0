/* implicit.c - Kepler's equation solved inside a tape, and a C function of one's own as a node. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ad.h>
#include <stdio.h>

static int bessel(void *user, int nin, const double *const in[], const int in_rows[], const int in_cols[],
                  double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols;
    for (int i = 0; i < rows * cols; i++)
        out[i] = j0(in[0][i]);
    return 0;
}
static int bessel_slope(void *user, int nin, const double *const in[], const int in_rows[],
                        const int in_cols[], double *out, int rows, int cols)
{
    (void)user, (void)nin, (void)in_rows, (void)in_cols;
    for (int i = 0; i < rows * cols; i++)
        out[i] = -j1(in[0][i]);
    return 0;
}
/* The adjoint of the operand is the slope, another callback, times the adjoint of the result. */
static int bessel_pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy,
                           ad_var din[])
{
    static const ad_callback slope = {.name = "-J1", .value = bessel_slope};
    (void)user, (void)nin;
    din[0] = ad_mul(dy, ad_custom(t, &slope, 1, in, ad_rows(y), ad_cols(y)));
    return 0;
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var E = ad_input(t, "E", 1, 1), m = ad_input(t, "m", 1, 1), e = ad_input(t, "e", 1, 1);
    ad_var F = ad_expr(t, "E - e*sin(E) - m", E, e, m);
    ad_func *kepler = ad_func_new(3, (ad_var[]){E, m, e}, 1, &F);
    ad_var anomaly = ad_root(t, kepler, m, 2, (ad_var[]){m, e}, NULL);
    ad_func_free(kepler);

    ad_callback j = {.name = "J0", .value = bessel, .pullback = bessel_pullback};
    ad_var y = ad_custom(t, &j, 1, &anomaly, 1, 1);
    ad_var d[] = {anomaly, ad_grad(anomaly, e), ad_hvp(anomaly, e, ad_num(1)), y, ad_grad(y, m)};
    ad_set(m, 1, (double[]){1});
    ad_set(e, 1, (double[]){0.3});
    double v[5];
    if (ad_eval(t, 5, d, (double *[]){v, v + 1, v + 2, v + 3, v + 4}) != AD_OK)
        printf("%s\n", ad_message(t));
    printf("E = %.10f  residual below 1e-15: %s\n", v[0],
           fabs(v[0] - 0.3 * sin(v[0]) - 1) < 1e-15 ? "yes" : "no");
    printf("dE/de = %.10f  d2E/de2 = %.10f\n", v[1], v[2]);
    printf("J0(E) = %.10f  dJ0/dm = %.10f\n", v[3], v[4]);
    ad_free(t);
    return 0;
}
