/* test_root.c - roots and callbacks against closed forms. */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "failalloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Kepler's equation y - e sin y = m: F of y and (m, e). */
static ad_func *kepler(void)
{
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", AD_BATCH, 1), m = ad_input(t, "m", AD_BATCH, 1), e = ad_input(t, "e", 1, 1),
           F = ad_sub(ad_sub(y, ad_mul(e, ad_sin(y))), m);
    ad_func *f = ad_func_new(3, (ad_var[]){y, m, e}, 1, &F);
    ad_free(t);
    return f;
}

static const double M[] = {.1, 1, 2.5, 3.1, 6};
enum { ROWS = sizeof M / sizeof *M };

Test(root, keplers_equation_and_its_derivatives_to_order_3)
{
    ad_func *f = kepler();
    ad_tape *t = ad_new();
    ad_var m = ad_input(t, "m", AD_BATCH, 1), e = ad_input(t, "e", 1, 1), x[] = {m, e}, y, one = ad_num(1),
           d[3], v = one;
    ad_set(m, ROWS, M);
    ad_set(e, 1, (double[]){.6});
    y = ad_root(t, f, m, 2, x, NULL);
    ad_func_free(f);
    cr_assert_eq(ad_status(t), AD_OK, "%s", ad_message(t));
    const double *r = ad_value(y);
    cr_assert(r, "%s", ad_message(t));
    ad_var of = y;
    for (int k = 0; k < 3; k++) { /* rows are independent: the gradient of the sum is each row's */
        d[k] = ad_grad(ad_sum(of), m);
        of = d[k];
    }
    ad_var de = ad_grad(ad_sum(y), e), jm, je;
    ad_jvp(1, &y, 1, &m, (ad_var[]){ad_fill(t, AD_BATCH, 1, 1)}, &jm);
    ad_jvp(1, &y, 1, &e, &v, &je);
    ad_var mixed = ad_grad(de, m), hv;
    ad_jvp(1, d, 1, &m, (ad_var[]){ad_fill(t, AD_BATCH, 1, 1)}, &hv);
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        double Y = ad_value(y)[i], s = sin(Y), c = cos(Y), q = 1 / (1 - .6 * c), e1 = .6;
        double d2 = -e1 * s * q * q * q, d3 = -e1 * c * pow(q, 4) + 3 * e1 * e1 * s * s * pow(q, 5);
        cr_assert(fabs(Y - .6 * s - M[i]) < 2e-15 * (1 + M[i]), "row %d: residual %g", i, Y - .6 * s - M[i]);
        cr_assert(fabs(ad_value(d[0])[i] - q) < 1e-13, "row %d: %s", i, ad_message(t));
        cr_assert(fabs(ad_value(jm)[i] - q) < 1e-13 && fabs(ad_value(je)[i] - s * q) < 1e-13);
        cr_assert(fabs(ad_value(d[1])[i] - d2) < 1e-12 * (1 + fabs(d2)) &&
                  fabs(ad_value(hv)[i] - d2) < 1e-12 * (1 + fabs(d2)));
        cr_assert(fabs(ad_value(d[2])[i] - d3) < 1e-11 * (1 + fabs(d3)), "row %d: %g, %g", i,
                  ad_value(d[2])[i], d3);
        double de_dm = (c * q - e1 * s * s * q * q) * q; /* d/dm of s q */
        cr_assert(fabs(ad_value(mixed)[i] - de_dm) < 1e-12 * (1 + fabs(de_dm)));
        sum += s * q;
    }
    cr_assert(fabs(ad_scalar(de) - sum) < 1e-12);
    ad_free(t);
}

/* y1^2 + y2^2 = a, y1 y2 = b with two unknowns in each row; programs of every type. */
Test(root, systems_in_each_row_and_programs_of_every_type)
{
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", AD_BATCH, 2), a = ad_input(t, "a", AD_BATCH, 1),
           b = ad_input(t, "b", AD_BATCH, 1), y1 = ad_cols_of(y, 0, 1), y2 = ad_cols_of(y, 1, 1),
           F = ad_concat_cols(2, (ad_var[]){ad_sub(ad_sum_cols(ad_square(y)), a), ad_sub(ad_mul(y1, y2), b)});
    ad_func *f = ad_func_new(3, (ad_var[]){y, a, b}, 1, &F);
    ad_var root = ad_root(t, f, ad_const(t, 1, 2, (double[]){2, 1}), 2, (ad_var[]){a, b}, NULL), g[2];
    ad_vjp(1, &root, (ad_var[]){ad_const(t, 1, 2, (double[]){1, 0})}, 2, (ad_var[]){a, b}, g);
    ad_func_free(f);
    double va[] = {5, 13, 4.25}, vb[] = {2, 6, 1}, out[3][6];
    ad_set(a, 3, va);
    ad_set(b, 3, vb);
    const double *v = ad_value(root);
    cr_assert(v, "%s", ad_message(t));
    const double want[] = {2, 1, 3, 2, 2.0, .5};
    for (int i = 0; i < 6; i++)
        cr_assert(fabs(v[i] - want[i]) < 4e-16 * (1 + want[i]), "%d: %.17g", i, v[i]);
    for (int i = 0; i < 3; i++) { /* J = [2 y1, 2 y2; y2, y1]: dy1/da = y1 / (2 (y1^2 - y2^2)) */
        double p = want[2 * i], q = want[2 * i + 1], det = 2 * (p * p - q * q);
        cr_assert(fabs(ad_value(g[0])[i] - p / det) < 1e-14 && fabs(ad_value(g[1])[i] + 2 * q / det) < 1e-14);
    }
    float fa[3], fb[3], fy[6];
    long double la[3], lb[3], ly[6];
    for (int i = 0; i < 3; i++) {
        fa[i] = (float)va[i], fb[i] = (float)vb[i];
        la[i] = va[i], lb[i] = vb[i];
    }
    const void *in[3][2] = {{va, vb}, {fa, fb}, {la, lb}};
    void *to[3] = {out[0], fy, ly};
    for (int real = AD_F64; real <= AD_F80; real++) {
        ad_program *p = ad_compile(t, 2, (ad_var[]){a, b}, 1, &root, &(ad_options){.real = real});
        ad_work *w = ad_work_new(p, NULL);
        for (int again = 0; again < 2; again++)
            cr_assert_eq(ad_run(w, 3, in[real], &to[real]), AD_OK, "%s", ad_work_message(w));
        ad_work_free(w);
        ad_program_free(p);
    }
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(out[0][i], v[i]);
        cr_assert(fabs((double)fy[i] - want[i]) < 1e-6 && fabs((double)ly[i] - want[i]) < 1e-15);
    }
    /* a row's root does not depend on the others */
    ad_set(a, 1, va + 2);
    ad_set(b, 1, vb + 2);
    cr_assert(!memcmp(ad_value(root), out[0] + 4, 2 * sizeof(double)));
    ad_free(t);
}

Test(root, what_does_not_converge_tells_row_and_residual)
{
    ad_tape *t = ad_new();
    ad_var y = ad_input(t, "y", AD_BATCH, 1), x = ad_input(t, "x", AD_BATCH, 1), F = ad_add(ad_square(y), x);
    ad_func *f = ad_func_new(2, (ad_var[]){y, x}, 1, &F);
    ad_var r = ad_root(t, f, ad_num(.7), 1, &x, &(ad_root_options){.max_iter = 20}),
           flat = ad_root(t, f, ad_num(0), 1, &x, NULL);
    ad_set(x, 3, (double[]){-1, -4, 1}); /* y^2 = -1 has none */
    cr_assert_null(ad_value(r));
    cr_assert(ad_status(t) == AD_EROOT &&
                  strstr(ad_message(t), "row 2 has not converged after 20 steps: |F| ="),
              "%s", ad_message(t));
    ad_clear(t);
    cr_assert_null(ad_value(flat));
    cr_assert(ad_status(t) == AD_EROOT && strstr(ad_message(t), "row 0: dF/dy is singular"), "%s",
              ad_message(t));
    ad_clear(t);
    ad_program *p = ad_compile(t, 1, &x, 1, &r, NULL);
    ad_work *w = ad_work_new(p, NULL);
    double out[3];
    cr_assert_eq(ad_run(w, 3, (const void *[]){(double[]){-1, -4, 1}}, (void *[]){out}), AD_EROOT);
    cr_assert(strstr(ad_work_message(w), "ad_root") && strstr(ad_work_message(w), "row 2"), "%s",
              ad_work_message(w));
    cr_assert_eq(ad_run(w, 2, (const void *[]){(double[]){-1, -4}}, (void *[]){out}), AD_OK);
    cr_assert(out[0] == 1 && out[1] == 2);
    ad_work_free(w);
    ad_program_free(p);

    ad_var two = ad_concat_cols(2, (ad_var[]){F, F});
    ad_func *wide = ad_func_new(2, (ad_var[]){y, x}, 1, &two);
    cr_assert(ad_is_void(ad_root(t, f, x, 2, (ad_var[]){x, x}, NULL)) &&
              strstr(ad_message(t), "a function of 2 inputs"));
    ad_clear(t);
    cr_assert(ad_is_void(ad_root(t, wide, x, 1, &x, NULL)) &&
              strstr(ad_message(t), "y is [B,1] and F is [B,2]"));
    ad_clear(t);
    cr_assert(ad_is_void(ad_root(t, NULL, x, 1, &x, NULL)) && ad_status(t) == AD_EARG);
    ad_clear(t);
    cr_assert(ad_is_void(ad_root(t, f, x, 1, &x, &(ad_root_options){.tolerance = -1})) &&
              ad_status(t) == AD_EARG);
    ad_clear(t);
    cr_assert(ad_is_void(ad_root(t, f, ad_concat_cols(2, (ad_var[]){x, x}), 1, &x, NULL)) &&
              ad_status(t) == AD_ESHAPE);
    ad_func_free(wide);
    ad_func_free(f);
    ad_free(t);
}

/* Callbacks ---------------------------------------------------------------------------------------- */

/* out = a * b^2, elementwise with a [1,1]; fails at b < 0. */
static int value(void *user, int nin, const double *const in[], const int in_rows[], const int in_cols[],
                 double *out, int rows, int cols)
{
    ++*(int *)user;
    if (nin != 2 || in_rows[0] != 1 || in_cols[0] != 1 || in_rows[1] != rows || in_cols[1] != cols)
        return 99;
    for (int i = 0; i < rows * cols; i++) {
        if (in[1][i] < 0)
            return 7;
        out[i] = in[0][0] * in[1][i] * in[1][i];
    }
    return 0;
}
static int pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy, ad_var din[])
{
    (void)user, (void)t, (void)nin, (void)y;
    din[0] = ad_sum(ad_mul(dy, ad_square(in[1])));
    din[1] = ad_mul(dy, ad_mul(ad_mul(ad_num(2), in[0]), in[1]));
    return 0;
}
static int bad_pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy, ad_var din[])
{
    (void)user, (void)nin, (void)y, (void)dy, (void)in;
    din[1] = ad_fill(t, 1, 7, 0);
    return 0;
}
static int failing_pullback(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy,
                            ad_var din[])
{
    (void)user, (void)t, (void)nin, (void)in, (void)y, (void)dy, (void)din;
    return 5;
}

Test(root, a_callback_has_value_and_derivatives_of_its_pullback)
{
    int calls = 0;
    ad_tape *t = ad_new();
    ad_var a = ad_input(t, "a", 1, 1), b = ad_input(t, "b", AD_BATCH, 2), in[] = {a, b};
    ad_callback cb = {"scaled square", value, pullback, &calls, 1};
    ad_var y[2] = {ad_custom(t, &cb, 2, in, AD_BATCH, 2), ad_mul(a, ad_square(b))};
    double vb[] = {1, 2, 3, .5, 4, .25};
    ad_set(a, 1, (double[]){1.5});
    ad_set(b, 3, vb);
    cr_assert(!memcmp(ad_value(y[0]), ad_value(y[1]), sizeof vb), "%s", ad_message(t));
    cr_assert_eq(calls, 1);
    ad_var g[2][2], h[2][2], hv[2], j[2], third[2], v[2] = {ad_num(1), ad_cos(b)};
    for (int k = 0; k < 2; k++) {
        ad_var loss = ad_sum(ad_sin(y[k]));
        ad_grads(loss, 2, in, g[k]);
        ad_jvp(1, &y[k], 2, in, v, &j[k]);
        ad_jvp(2, g[k], 2, in, v, h[k]);
        hv[k] = ad_grad(ad_sum(ad_mul(g[k][1], v[1])), b);
        third[k] = ad_grad(ad_sum(ad_square(h[k][1])), b);
    }
    const ad_var pair[6][2] = {{g[0][0], g[1][0]}, {g[0][1], g[1][1]}, {j[0], j[1]},
                               {h[0][1], h[1][1]}, {hv[0], hv[1]},     {third[0], third[1]}};
    for (int i = 0; i < 6; i++) {
        const double *p = ad_value(pair[i][0]), *q = ad_value(pair[i][1]);
        cr_assert(p && q, "%s", ad_message(t));
        for (int k = 0; k < (i ? 6 : 1); k++)
            cr_assert(fabs(p[k] - q[k]) <= 1e-12 * (1 + fabs(q[k])), "%d [%d]: %g %g", i, k, p[k], q[k]);
    }
    float af = 1.5f, bf[6], yf[6];
    long double al = 1.5L, bl[6], yl[6];
    for (int i = 0; i < 6; i++) {
        bf[i] = (float)vb[i];
        bl[i] = vb[i];
    }
    const void *from[3][2] = {{NULL}, {&af, bf}, {&al, bl}};
    void *to[3] = {NULL, yf, yl};
    for (int real = AD_F32; real <= AD_F80; real++) {
        ad_program *p = ad_compile(t, 2, in, 1, y, &(ad_options){.real = real});
        ad_work *w = ad_work_new(p, NULL);
        cr_assert_eq(ad_run(w, 3, from[real], &to[real]), AD_OK, "%s", ad_work_message(w));
        ad_work_free(w);
        ad_program_free(p);
    }
    for (int i = 0; i < 6; i++)
        cr_assert((double)yf[i] == ad_value(y[1])[i] && (double)yl[i] == ad_value(y[1])[i]);
    vb[3] = -1;
    ad_set(b, 3, vb);
    cr_assert_null(ad_value(y[0]));
    cr_assert(ad_status(t) == AD_ECALL && strstr(ad_message(t), "\"scaled square\" failed with code 7"), "%s",
              ad_message(t));
    ad_free(t);
}

Test(root, a_bad_callback_names_what_is_wrong)
{
    int calls = 0;
    ad_tape *t = ad_new(), *other = ad_new();
    ad_var a = ad_input(t, "a", 1, 1), b = ad_input(t, "b", 1, 2), o = ad_input(other, "o", 1, 1),
           in[] = {a, b};
    ad_callback plain = {"plain", value, NULL, &calls, 0}, odd = {"odd", value, bad_pullback, &calls, 0},
                fails = {"fails", value, failing_pullback, &calls, 0}, none = {0};
    ad_var y = ad_custom(t, &plain, 2, in, 1, 2), dy;
    const struct {
        const ad_callback *cb;
        int status;
        const char *says;
    } bad[] = {{&plain, AD_EUNSUPPORTED, "\"plain\" has no pullback"},
               {&odd, AD_ESHAPE, "the pullback of \"odd\" gives [1,7] for operand 2; needs [1,2]"},
               {&fails, AD_ECALL, "the pullback of \"fails\" failed with code 5"}};
    for (int i = 0; i < 3; i++)
        for (int forward = 0; forward < 2; forward++) {
            y = ad_custom(t, bad[i].cb, 2, in, 1, 2);
            if (forward)
                ad_jvp(1, &y, 1, &a, &a, &dy);
            else
                dy = ad_grad(ad_sum(y), a);
            cr_assert(ad_is_void(dy) && ad_status(t) == bad[i].status, "%d: %s", i, ad_message(t));
            cr_assert(strstr(ad_message(t), bad[i].says), "%d: %s", i, ad_message(t));
            ad_clear(t);
        }
    cr_assert(ad_is_void(ad_custom(t, &none, 2, in, 1, 2)) && ad_status(t) == AD_EARG);
    ad_clear(t);
    cr_assert(ad_is_void(ad_custom(t, &plain, 2, in, 0, 2)) && ad_status(t) == AD_ESHAPE);
    ad_clear(t);
    cr_assert(ad_is_void(ad_custom(t, &plain, 2, in, AD_BATCH, 2)) &&
              strstr(ad_message(t), "none of its operands has"));
    ad_clear(t);
    cr_assert(ad_is_void(ad_custom(t, &plain, 1, &o, 1, 2)) && ad_status(t) == AD_ETAPE);
    ad_free(t);
    ad_free(other);
}

static int all_of_it(void)
{
    int calls = 0, status = AD_ENOMEM;
    ad_func *f = kepler();
    ad_tape *t = ad_new();
    ad_var m = ad_input(t, "m", AD_BATCH, 1), e = ad_input(t, "e", 1, 1), d;
    ad_callback cb = {"scaled square", value, pullback, &calls, 1};
    double out[ROWS];
    if (f && !ad_set(m, ROWS, M) && !ad_set(e, 1, (double[]){.5})) {
        ad_var y = ad_root(t, f, m, 2, (ad_var[]){m, e}, NULL),
               z = ad_custom(t, &cb, 2, (ad_var[]){e, y}, AD_BATCH, 1), g = ad_grad(ad_sum(z), m);
        ad_jvp(1, &g, 1, &e, (ad_var[]){e}, &d);
        status = ad_eval(t, 1, &d, (double *[]){out});
        if (!status && !ad_value(d))
            status = ad_status(t);
    }
    status = ad_status(t) ? ad_status(t) : status;
    ad_func_free(f);
    ad_free(t);
    return status;
}

Test(root, every_allocation_may_fail)
{
    long step = getenv("NOETHER_TEST_SHORT") ? 97 : 1;
    for (long n = 1;; n += step) {
        failalloc_arm(n, 1);
        int status = all_of_it();
        if (failalloc_disarm() < n) {
            cr_assert_eq(status, AD_OK);
            break;
        }
        cr_assert_eq(status, AD_ENOMEM, "allocation %ld: %s", n, ad_status_name(status));
        cr_assert_eq(failalloc_live(), 0, "allocation %ld", n);
    }
}
