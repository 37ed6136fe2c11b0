/* recorded_field.c - a Hamiltonian as text, recorded once: every method, many rows with parameters of their own, diagnostics.
 * Invariant: no derivative is written by hand. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ad.h>
#include <noether/ode.h>
#include <stdio.h>

int main(void)
{
    /* H(q, p; l) = p^2 / 2 - cos(q) / l, with a length for each row of the batch. */
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", AD_BATCH, 1), p = ad_input(t, "p", AD_BATCH, 1),
           l = ad_input(t, "l", AD_BATCH, 1);
    ad_var H = ad_expr(t, "p^2/2 - cos(q)/l", q, p, l);
    ode_recorded *r = ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p, .params = 1, .param = &l});
    ad_free(t); /* the recording is copied */
    if (ode_recorded_status(r)) {
        printf("%s\n", ode_recorded_message(r));
        return 1;
    }
    const ode_field *field = ode_recorded_field(r);
    printf("separable: %s, T quadratic: %s\n", field->kind & ODE_SEPARABLE ? "yes" : "no",
           field->kind & ODE_QUADRATIC_T ? "yes" : "no");

    const double lengths[] = {1, 2, 4}, starts[] = {1, 0, 1, 0, 1, 0};
    ode_recorded_set(r, 0, 3, lengths);
    ode_solver *s = ode_new_batch(ode_method_find("srkn11b"), field, 3);
    ode_start(s, 0, starts);
    ode_integrate(s, 2, &(ode_options){.h = 0.05});
    const double *y = ode_y(s);
    printf("q(2) = %.6f %.6f %.6f\n", y[0], y[2], y[4]);
    ode_free(s);

    /* Energy, Jacobian, tangent map: from the same recording. */
    double M[4];
    ode_recorded_set(r, 0, 1, lengths); /* one for all */
    s = ode_new(ode_method_find("gauss10"), field);
    ode_start(s, 0, starts);
    ode_run(s, 1000, 0.1, NULL);
    printf("energy is kept to 1e-14: %s\n", fabs(ode_energy(s) + cos(1)) < 1e-14 ? "yes" : "no");
    ode_tangent(s, 0.1, M);
    printf("|M'JM - J| below 1e-14: %s\n", ode_symplectic_defect(2, M) < 1e-14 ? "yes" : "no");
    ode_free(s);
    ode_recorded_free(r);

    /* A step is mathematics, too: d q(h) / d l at h = 0.5, through the implicit equations of gauss4. */
    t = ad_new();
    q = ad_input(t, "q", 1, 1), p = ad_input(t, "p", 1, 1), l = ad_input(t, "l", 1, 1);
    H = ad_expr(t, "p^2/2 - cos(q)/l", q, p, l);
    r = ode_recorded_new(&(ode_recording){.H = H, .q = q, .p = p, .params = 1, .param = &l});
    ad_var y0 = ad_const(t, 1, 2, starts);
    ad_var y1 = ode_record_step(ode_method_find("gauss4"), r, y0, ad_num(0), ad_num(0.5), &l, 0);
    ad_set(l, 1, lengths);
    printf("dq/dl = %.6f\n", ad_scalar(ad_grad(ad_cols_of(y1, 0, 1), l)));
    /* A thousand steps are one loop on the tape, and so is their gradient. */
    ad_var yN = ode_record(ode_method_find("verlet"), r, 1000, y0, ad_num(0), ad_num(0.01), &l, 0, 0, NULL);
    printf("dq(10)/dl = %.6f\n", ad_scalar(ad_grad(ad_cols_of(yN, 0, 1), l)));
    ode_recorded_free(r);
    ad_free(t);

    /* A mistake is a sentence. */
    t = ad_new();
    ad_var z = ad_input(t, "z", 1, 3);
    r = ode_recorded_new(&(ode_recording){.H = ad_sum(ad_square(z)), .y = z});
    printf("%s\n", ode_recorded_message(r));
    ode_recorded_free(r);
    ad_free(t);
    return 0;
}
