/* test_broadcast.c - every row of ops.def in every class of shapes that broadcast: derivatives of order 1 to 3 by each
 * operand, and mixed ones, each element against the row's own expression in long double.
 * Invariant: rows come from the table; a new one is tested without a new test.
 *
 * SPDX-License-Identifier: MIT */
#include "grad_rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { R = 3, C_ = 4, B = AD_BATCH };
typedef struct shape {
    int ra, ca, rb, cb; /* rb = 0: b is a number; ra = 0: a is */
} shape;
static const shape classes[] = {{1, 1, 1, 1},  {R, C_, R, C_}, {R, C_, 1, C_}, {R, C_, R, 1},  {R, C_, 1, 1},
                                {R, 1, 1, C_}, {R, C_, 0, 0},  {B, C_, B, C_}, {B, C_, 1, C_}, {B, C_, B, 1},
                                {B, C_, 1, 1}, {B, 1, 1, C_},  {B, C_, 0, 0}};
enum { CLASSES = sizeof classes / sizeof *classes };

static int rows_of(int r) { return r == B ? R : r ? r : 1; }
static double weight(int i, int j) { return 0.6 + 0.25 * i - 0.17 * j; }

/* Element (i, j) of an operand: no two are equal, and those of a and b keep a distance larger than the differences'. */
static double place(const row *r, int side, int i, int j)
{
    return r->lo + (r->hi - r->lo) * ((side ? 0.22 : 0.1) + 0.25 * j + 0.01 * i);
}
/* d^m/da^m d^n/db^n */
static long double mixed(const row *r, int m, int n, long double a, long double b, long double h)
{
    long double w[13], s = 0;
    if (m == 0 || n == 0)
        return derivative(r, m + n, n > 0, a, b, h);
    weights(m, w);
    for (int i = 0; i < 13; i++)
        s += w[i] == 0 ? 0 : w[i] * derivative(r, n, 1, a + (i - 6) * h, b, h);
    return s / powl(h, m);
}

/* What order[side] by that operand leaves, element by element, against sums over the positions that share the element. */
static void compare(const row *r, shape k, int m, int n, int last, ad_var got, const double va[],
                    const double vb[])
{
    int rows_a = rows_of(k.ra), cols_a = k.ra ? k.ca : 1, rows_b = rows_of(k.rb), cols_b = k.rb ? k.cb : 1,
        high = rows_a > rows_b ? rows_a : rows_b, wide = cols_a > cols_b ? cols_a : cols_b;
    int rows_ = last ? rows_b : rows_a, cols_ = last ? cols_b : cols_a;
    long double want[R * C_] = {0}, doubt[R * C_] = {0}, scale = 0.1L;
    for (int i = 0; i < high; i++)
        for (int j = 0; j < wide; j++) {
            double a = va[(rows_a > 1 ? i : 0) * cols_a + (cols_a > 1 ? j : 0)],
                   b = vb[(rows_b > 1 ? i : 0) * cols_b + (cols_b > 1 ? j : 0)];
            int at = (rows_ > 1 ? i : 0) * cols_ + (cols_ > 1 ? j : 0);
            long double d = mixed(r, m, n, a, b, 0.011L), half = mixed(r, m, n, a, b, 0.0055L);
            want[at] += weight(i, j) * d;
            doubt[at] += fabsl(d - half);
            for (int p = 0; p <= m; p++) /* worst over the value and the lower orders */
                for (int q = 0; q <= n; q++)
                    scale = fmaxl(scale, fabsl(p + q ? mixed(r, p, q, a, b, 0.011L) : r->ref(a, b)));
        }
    const double *v = ad_value(got);
    cr_assert(v, "%s: %s", r->name, ad_message(got.tape));
    cr_assert(ad_rows(got) == (last ? k.rb : k.ra) && ad_cols(got) == cols_, "%s: shape", r->name);
    for (int at = 0; at < rows_ * cols_; at++) {
        cr_assert(doubt[at] <= 1e-9L * high * wide * scale, "%s: the oracle errs by %Lg", r->name, doubt[at]);
        cr_assert(fabsl(v[at] - want[at]) <= 1e-12L * high * wide * scale + 2 * doubt[at],
                  "%s, [%d,%d] with [%d,%d], order %d by a, %d by b, element %d: %.17g, not %.17Lg", r->name,
                  k.ra, k.ca, k.rb, k.cb, m, n, at, v[at], want[at]);
    }
}

static void one_class(const row *r, shape k)
{
    double va[R * C_], vb[R * C_], w[R * C_];
    ad_tape *t = ad_new();
    for (int i = 0; i < R; i++)
        for (int j = 0; j < C_; j++) {
            if (i < rows_of(k.ra) && j < (k.ra ? k.ca : 1))
                va[i * (k.ra ? k.ca : 1) + j] = place(r, 0, i, j);
            if (i < rows_of(k.rb) && j < (k.rb ? k.cb : 1))
                vb[i * (k.rb ? k.cb : 1) + j] = place(r, 1, i, j);
        }
    ad_var a = k.ra ? ad_input(t, "a", k.ra, k.ca) : ad_num(va[0]),
           b = k.rb ? ad_input(t, "b", k.rb, k.cb) : ad_num(vb[0]);
    if (k.ra)
        ad_set(a, rows_of(k.ra), va);
    if (k.rb)
        ad_set(b, rows_of(k.rb), vb);
    ad_var y = r->one ? r->one(a) : r->two(a, b);
    int high = rows_of(ad_rows(y)), wide = ad_cols(y);
    cr_assert(!ad_is_void(y) && high * wide <= R * C_, "%s: %s", r->name, ad_message(t));
    for (int i = 0; i < high; i++)
        for (int j = 0; j < wide; j++)
            w[i * wide + j] = weight(i, j);
    ad_var weights_ = ad_input(t, "w", ad_rows(y), wide);
    ad_set(weights_, high, w);
    ad_var total = ad_sum(ad_mul(weights_, y)); /* each element counts differently */
    for (int side = 0; side < (r->two ? 2 : 1); side++) {
        if (side ? !k.rb : !k.ra)
            continue;
        ad_var x = side ? b : a, other = side ? a : b, g = total;
        for (int order = 1; order <= 3; order++) {
            g = ad_grad(order > 1 ? ad_sum(g) : g, x);
            compare(r, k, side ? 0 : order, side ? order : 0, side, g, va, vb);
            /* The other operand once, last: the sum over x leaves an element of it. */
            if (r->two && order < 3 && k.ra && k.rb)
                compare(r, k, side ? 1 : order, side ? order : 1, !side, ad_grad(ad_sum(g), other), va, vb);
        }
    }
    cr_assert_eq(ad_status(t), AD_OK, "%s: %s", r->name, ad_message(t));
    ad_free(t);
}

Test(broadcast, every_row_in_every_class_of_shapes_has_its_derivatives_to_order_3, .timeout = 120)
{
    int step = getenv("NOETHER_TEST_SHORT") ? 5 : 1;
    for (int i = 0; i < NROWS; i++)
        for (int k = rows[i].two ? i % step : 0; k < CLASSES; k += rows[i].two ? step : 1) {
            shape s = classes[k], swapped = {s.rb, s.cb, s.ra, s.ca};
            if (!rows[i].two) { /* one operand: each shape once */
                if (s.ra && (s.rb == s.ra && s.cb == s.ca))
                    one_class(&rows[i], (shape){s.ra, s.ca, 0, 0});
                if (s.rb == 1 && s.cb > 1)
                    one_class(&rows[i], (shape){s.rb, s.cb, 0, 0});
                if (s.ca == 1 && s.ra != 1)
                    one_class(&rows[i], (shape){s.ra, s.ca, 0, 0});
                continue;
            }
            one_class(&rows[i], s);
            if (memcmp(&s, &swapped, sizeof s))
                one_class(&rows[i], swapped);
        }
}
