/* expr_test.h - the values that the tests of expressions name: q [1,4], p [1,4], m, x [1,1], A [2,3], k = 3. */
/* SPDX-License-Identifier: MIT */
#ifndef EXPR_TEST_H
#define EXPR_TEST_H

#include "ad.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef struct {
    ad_tape *t;
    ad_var v[6];
} given;
static const char *const names[] = {"q", "p", "m", "x", "A", "k"};
static const double Q[] = {0.5, -1.25, 2, 0.75}, P[] = {1, 2, -3, 0.5}, M = 1.5, X = 0.7,
                    A[] = {1, 2, 3, 4, 5, 6};

__attribute__((unused)) static given setup(void)
{
    given g = {.t = ad_new()};
    g.v[0] = ad_input(g.t, "q", 1, 4);
    g.v[1] = ad_input(g.t, "p", 1, 4);
    g.v[2] = ad_input(g.t, "m", 1, 1);
    g.v[3] = ad_input(g.t, "x", 1, 1);
    g.v[4] = ad_input(g.t, "A", 2, 3);
    g.v[5] = ad_num(3);
    ad_set(g.v[0], 1, Q);
    ad_set(g.v[1], 1, P);
    ad_set(g.v[2], 1, &M);
    ad_set(g.v[3], 1, &X);
    ad_set(g.v[4], 2, A);
    return g;
}

__attribute__((unused)) static ad_var parsed(given *g, const char *text)
{
    return ad_parse(g->t, text, 6, names, g->v);
}

#endif
