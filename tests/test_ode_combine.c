/* test_ode_combine.c - sums of slots in vectors and one by one, steps with and without a driver: the same bits.
 * Invariant: the forms of combine.c are compared for every number of components up to three vectors, with all that may be left over. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../integrators/combine.c"

enum { MOST = 13, SLOTS = 6 };

/* Numbers of mixed signs and sizes. */
static double some(int i) { return sin(1 + 7 * i) * ldexp(1, (i * 5) % 9 - 4); }

Test(ode_combine, every_form_of_a_sum_has_the_same_bits)
{
    const ode_combine any = {sum_any, carried_any, errors_any, NULL}, best = ode_combine_best();
    ode_num c[SLOTS];
    int at[SLOTS];
    for (int j = 0; j < SLOTS; j++)
        c[j] = (ode_num){some(j), some(j) * 0x1p-55}, at[j] = j;
    for (int n = 1; n <= MOST; n++)
        for (int count = 0; count <= SLOTS; count++)
            for (int rows = 1; rows <= 2; rows++) {
                size_t stride = (size_t)(n * rows);
                double x[SLOTS * 2 * MOST], y[MOST], y1[MOST], tolerance[2][MOST], d[2][MOST], e[2][MOST],
                    out[2][2];
                for (int i = 0; i < SLOTS * n * rows; i++)
                    x[i] = some(i + 3);
                for (int i = 0; i < n; i++)
                    y[i] = some(i + 11), y1[i] = y[i] + 0.1 * some(i), tolerance[0][i] = 1e-3 * fabs(some(i)),
                    tolerance[1][i] = 1e-4;
                const ode_sum t = {count, c, at}, two[2] = {t, {count / 2, c + 1, at + 1}};
                for (int j = 0; j < 2; j++) {
                    const ode_combine *f = j ? &best : &any;
                    f->plain(n, d[j], count % 2 ? y : NULL, &t, x, stride, 0.1);
                }
                cr_expect(!memcmp(d[0], d[1], sizeof *y * (size_t)n), "plain, n = %d, %d terms", n, count);
                for (int j = 0; j < 2; j++) {
                    const ode_combine *f = j ? &best : &any;
                    for (int i = 0; i < n; i++)
                        d[j][i] = y[i], e[j][i] = y[i] * 0x1p-54;
                    f->carried(n, d[j], e[j], &t, x, stride, 0.1, 0x1p-58);
                }
                cr_expect(!memcmp(d[0], d[1], sizeof *y * (size_t)n), "carried, n = %d, %d terms", n, count);
                cr_expect(!memcmp(e[0], e[1], sizeof *y * (size_t)n), "what is carried, n = %d, %d terms", n,
                          count);
                for (int k = 0; k < 4; k++) {
                    const ode_options o = {.atol = 1e-3,
                                           .rtol = 1e-2,
                                           .atols = k & 1 ? tolerance[0] : NULL,
                                           .rtols = k & 2 ? tolerance[1] : NULL};
                    double want = 0;
                    any.errors(n, y, y1, two, x, stride, &o, out[0]);
                    best.errors(n, y, y1, two, x, stride, &o, out[1]);
                    cr_expect(!memcmp(out[0], out[1], sizeof out[0]), "errors, n = %d, %d terms", n, count);
                    for (int i = 0; i < n; i++) {
                        double s = 0, w = (k & 1 ? tolerance[0][i] : 1e-3) +
                                          (k & 2 ? 1e-4 : 1e-2) * fmax(fabs(y[i]), fabs(y1[i]));
                        for (int j = 0; j < count; j++)
                            s += c[j].hi * x[(size_t)j * stride + (size_t)i];
                        want += s / w * (s / w);
                    }
                    cr_expect_float_eq(out[0][0], want, 1e-12 * want, "errors, n = %d, %d terms", n, count);
                }
            }
}

/* A field that couples neighbours, of any size. */
static int ring(void *u, double t, const double y[], double f[])
{
    int n = *(const int *)u;
    for (int i = 0; i < n; i++)
        f[i] = y[(i + 1) % n] * (0.5 - y[i]) - 0.1 * y[i] + 0.01 * t;
    return 0;
}

/* A single state is stepped without a driver, two at once with one; only the first is looked at. */
Test(ode_combine, steps_without_a_driver_have_the_bits_of_the_driver)
{
    const char *name[] = {"euler", "rk4", "bosh3", "dopri5", "tsit5", "dop853"};
    for (size_t k = 0; k < sizeof name / sizeof *name; k++)
        for (int n = 1; n <= 9; n++)
            for (int how = 0; how < 3;
                 how++) { /* compensated or not; the rows that can choose their own steps */
                const ode_method *m = ode_method_find(name[k]);
                ode_field f = {.size = n, .rhs = ring, .user = &n};
                double y[2 * 9];
                if (how == 2 && !(m->flags & ODE_ADAPTIVE))
                    continue;
                ode_solver *s[2] = {ode_new(m, &f), ode_new_batch(m, &f, 2)};
                for (int i = 0; i < 2 * n; i++)
                    y[i] = 0.3 * sin(1 + 2 * (i % n)) + (i >= n ? 0.1 : 0);
                for (int j = 0; j < 2; j++) {
                    ode_start(s[j], 0.2, y);
                    int status = how == 2 ? ode_integrate(s[j], 3, &(ode_options){.rtol = 1e-6, .atol = 1e-8})
                                          : ode_run(s[j], 20, 0.05, &(ode_options){.plain_sums = how});
                    cr_expect_eq(status, ODE_OK, "%s: %s", name[k], ode_message(s[j]));
                }
                cr_expect(!memcmp(ode_y(s[0]), ode_y(s[1]), sizeof *y * (size_t)n), "%s, %d components, %d",
                          name[k], n, how);
                ode_free(s[0]), ode_free(s[1]);
            }
}
