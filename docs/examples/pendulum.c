/* pendulum.c - a Hamiltonian from its text to a trajectory: field, check, program, batch, energy, sensitivity. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <noether/ad.h>
#include <stdio.h>

enum { B = 4 };

int main(void)
{
    ad_tape *t = ad_new();
    ad_var q = ad_input(t, "q", AD_BATCH, 1), p = ad_input(t, "p", AD_BATCH, 1), h = ad_input(t, "h", 1, 1);
    ad_var H = ad_expr(t, "p^2/2 + 1 - cos(q)", q, p); /* the energy of each row */

    /* One leapfrog step, the forces taken from H itself. */
    ad_var force = ad_neg(ad_grad(ad_sum(H), q)), half = ad_add(p, ad_mul(ad_mul(0.5, h), force));
    ad_var q1 = ad_add(q, ad_mul(h, half)), p1, dq;
    ad_var E1 = ad_expr(t, "1 - cos(q1)", q1);
    p1 = ad_sub(half, ad_mul(ad_mul(0.5, h), ad_grad(ad_sum(E1), q1)));

    /* Are its derivatives right? Asked once, at some state. */
    double angle[B] = {0.1, 1, 2, 3}, momentum[B] = {0}, step = 0.05, E[B], start[B];
    ad_set(q, B, angle);
    ad_set(p, B, momentum);
    ad_set(h, 1, &step);
    printf("derivatives of a step %s\n",
           ad_check(ad_sum(ad_mul(q1, p1)), 3, (ad_var[]){q, p, h}, 3, NULL) < 1e-12
               ? "agree with differences"
               : "are wrong");

    /* The tangent of a step: how the result moves when q does. */
    ad_var one = ad_fill(t, AD_BATCH, 1, 1);
    ad_jvp(1, &q1, 1, &q, &one, &dq); /* 1 - h^2/2 cos q */
    printf("dq1/dq at q = 1: %.8f, by hand %.8f\n", ad_value(dq)[1], 1 - step * step / 2 * cos(1));

    /* Compiled once, run 4000 times for four pendulums at once: 200 seconds. */
    ad_program *leap = ad_compile(t, 3, (ad_var[]){q, p, h}, 2, (ad_var[]){q1, p1}, NULL);
    ad_program *energy = ad_compile(t, 2, (ad_var[]){q, p}, 1, &H, NULL);
    ad_work *w = ad_work_new(leap, NULL), *we = ad_work_new(energy, NULL);
    double now[2][2][B], worst[B] = {0};
    int crossings[B] = {0};
    for (int i = 0; i < B; i++) {
        now[0][0][i] = angle[i];
        now[0][1][i] = momentum[i];
    }
    ad_run(we, B, (const void *[]){now[0][0], now[0][1]}, (void *[]){start});
    for (int k = 0; k < 4000; k++) {
        double(*from)[B] = now[k % 2], (*to)[B] = now[1 - k % 2];
        ad_run(w, B, (const void *[]){from[0], from[1], &step}, (void *[]){to[0], to[1]});
        ad_run(we, B, (const void *[]){to[0], to[1]}, (void *[]){E});
        for (int i = 0; i < B; i++) {
            crossings[i] += from[0][i] * to[0][i] < 0;
            worst[i] = fmax(worst[i], fabs(E[i] - start[i]));
        }
    }
    printf("  start  energy  period  energy error, at most\n");
    for (int i = 0; i < B; i++)
        printf("%7.1f %7.4f %7.2f  %.1e\n", angle[i], start[i], 2 * 200.0 / crossings[i], worst[i]);
    if (ad_status(t) || ad_work_status(w))
        printf("%s %s\n", ad_message(t), ad_work_message(w));
    ad_work_free(w);
    ad_work_free(we);
    ad_program_free(leap);
    ad_program_free(energy);
    ad_free(t);
    return 0;
}
