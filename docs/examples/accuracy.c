/* accuracy.c - the careful form of an operation beside the obvious one, and functions undone by their inverses. */
/* SPDX-License-Identifier: MIT */
#include <noether/ad.h>
#include <stdio.h>

static void beside(const char *what, ad_var careful, ad_var obvious)
{
    double c = ad_scalar(careful), o = ad_scalar(obvious);
    printf("%-34s %-22.15g ", what, c);
    if (o == o)
        printf("%.15g\n", o);
    else
        printf("NaN\n");
}

int main(void)
{
    ad_tape *t = ad_new();
    ad_var small = ad_num(1e-12), big = ad_num(20);
    printf("%-34s %-22s %s\n", "", "careful", "obvious");
    beside("expm1(1e-12)", ad_expm1(small), ad_sub(ad_exp(small), 1));
    beside("log1p(1e-12)", ad_log1p(small), ad_log(ad_add(1, small)));
    beside("erfc(20)", ad_erfc(big), ad_sub(1, ad_erf(big)));
    beside("dtanh(20), the slope of tanh", ad_dtanh(big), ad_sub(1, ad_square(ad_tanh(big))));
    beside("softplus(1000)", ad_softplus(ad_num(1000)), ad_log1p(ad_exp(ad_num(1000))));
    beside("hypot(3e200, 4e200)", ad_hypot(3e200, 4e200),
           ad_sqrt(ad_add(ad_square(ad_num(3e200)), ad_square(ad_num(4e200)))));
    ad_var row = ad_const(t, 1, 2, (double[]){1000, 1000}),
           far = ad_const(t, 1, 2, (double[]){3e-200, 4e-200});
    beside("logsumexp([1000 1000])", ad_logsumexp(row), ad_log(ad_sum(ad_exp(row))));
    beside("norm([3e-200 4e-200])", ad_norm(far), ad_sqrt(ad_sum(ad_square(far))));
    beside("angle of (-1, 1): atan2, atan", ad_atan2(1, -1), ad_atan(ad_div(1, -1)));
    ad_var odd = ad_num(100000001), even = ad_mul(odd, odd);
    beside("what 100000001^2 loses: fma", ad_fma(odd, odd, ad_neg(even)), ad_sub(ad_mul(odd, odd), even));
    ad_var zero = ad_input(t, "zero", 1, 1);
    ad_set(zero, 1, (double[]){0});
    beside("0 log 0: mulz, mul", ad_mulz(zero, ad_log(zero)), ad_mul(zero, ad_log(zero)));
    beside("0/0: divz, div", ad_divz(zero, zero), ad_div(zero, zero));

    static const struct {
        const char *name;
        ad_var (*there)(ad_var), (*back)(ad_var);
    } pairs[] = {{"asin sin", ad_sin, ad_asin},     {"acos cos", ad_cos, ad_acos},
                 {"atan tan", ad_tan, ad_atan},     {"asinh sinh", ad_sinh, ad_asinh},
                 {"acosh cosh", ad_cosh, ad_acosh}, {"atanh tanh", ad_tanh, ad_atanh},
                 {"log exp", ad_exp, ad_log},       {"sqrt square", ad_square, ad_sqrt}};
    ad_var x = ad_input(t, "x", 1, 1);
    ad_set(x, 1, (double[]){0.6});
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        ad_var y = pairs[i].back(pairs[i].there(x));
        printf("%-12s x = %.13f, derivative %.13f\n", pairs[i].name, ad_scalar(y), ad_scalar(ad_grad(y, x)));
    }
    ad_var y = ad_cbrt(ad_pow(x, 3));
    printf("%-12s x = %.13f, derivative %.13f\n", "cbrt pow 3", ad_scalar(y), ad_scalar(ad_grad(y, x)));
    ad_free(t);
    return 0;
}
