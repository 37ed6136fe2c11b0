/* plan.c - a row's texts read into numbers of 106 bits.
 * Invariant: a plan has exactly as many numbers as its family needs, or there is no plan. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

static ode_num two_sum(double a, double b)
{
    double s = a + b, t = s - a;
    return (ode_num){s, (a - (s - t)) + (b - t)};
}
static ode_num num_add(ode_num a, ode_num b)
{
    ode_num s = two_sum(a.hi, b.hi), t = two_sum(a.lo, b.lo);
    s = two_sum(s.hi, s.lo + t.hi);
    return two_sum(s.hi, s.lo + t.lo);
}
static ode_num num_mul(ode_num a, ode_num b)
{
    double p = a.hi * b.hi;
    return two_sum(p, fma(a.hi, b.hi, -p) + (a.hi * b.lo + a.lo * b.hi));
}
static ode_num num_div(ode_num a, ode_num b)
{
    double q = a.hi / b.hi;
    ode_num r = num_add(a, num_mul((ode_num){-q, 0}, b));
    double q2 = r.hi / b.hi;
    r = num_add(r, num_mul((ode_num){-q2, 0}, b));
    return num_add(two_sum(q, q2), (ode_num){r.hi / b.hi, 0});
}

enum { CHUNK = 18 }; /* digits that an integer of 64 bits holds, and whose power of ten is a double */
static uint64_t power(int k)
{
    uint64_t p = 1;
    while (k-- > 0)
        p *= 10;
    return p;
}
/* v 10^k + digits, for k at most CHUNK. */
static ode_num append(ode_num v, int k, uint64_t digits)
{
    double hi = (double)digits; /* rounded: the rest is exact */
    ode_num n = {hi, (double)(int64_t)(digits - (uint64_t)hi)};
    return k ? num_add(num_mul(v, (ode_num){(double)power(k), 0}), n) : v;
}
/* One unsigned decimal: digits, point, exponent. Returns the end, or NULL. */
static const char *decimal(const char *s, ode_num *out)
{
    ode_num v = {0, 0}, scale = {1, 0};
    uint64_t chunk = 0;
    int digits = 0, held = 0, shift = 0, point = 0;
    for (;; s++) {
        if (*s == '.' && !point)
            point = 1;
        else if (*s >= '0' && *s <= '9') {
            chunk = 10 * chunk + (uint64_t)(*s - '0');
            digits = 1;
            shift -= point;
            if (++held == CHUNK)
                v = append(v, held, chunk), held = 0, chunk = 0;
        } else
            break;
    }
    if (!digits)
        return NULL;
    v = append(v, held, chunk);
    if (*s == 'e' || *s == 'E') {
        char *end;
        long e = strtol(s + 1, &end, 10);
        if (end == s + 1 || e > 300 || e < -300)
            return NULL;
        shift += (int)e;
        s = end;
    }
    for (int k = abs(shift); k > 0; k -= CHUNK)
        scale = num_mul(scale, (ode_num){(double)power(k < CHUNK ? k : CHUNK), 0});
    *out = shift < 0 ? num_div(v, scale) : num_mul(v, scale);
    return s;
}

/* Number of values in text (written to out when not NULL and below max); -1 if the text is not numbers. */
int ode_num_parse(const char *text, ode_num out[], int max)
{
    int n = 0;
    for (const char *s = text;;) {
        while (*s && strchr(" \t\n|;,", *s))
            s++;
        if (!*s)
            return n;
        int minus = *s == '-';
        if (*s == '-' || *s == '+')
            s++;
        ode_num v, d;
        if (!(s = decimal(s, &v)))
            return -1;
        if (*s == '/') {
            if (!(s = decimal(s + 1, &d)) || d.hi == 0)
                return -1;
            v = num_div(v, d);
        }
        if (*s && !strchr(" \t\n|;,", *s))
            return -1;
        if (minus)
            v = (ode_num){-v.hi, -v.lo};
        if (out && n < max)
            out[n] = v;
        n++;
    }
}

static int read_text(const char *text, ode_num **out, int *n)
{
    *n = 0;
    if (!text)
        return 1;
    int most = (int)(strlen(text) / 2) + 1; /* a digit each, and what parts them */
    if (!(*out = malloc(sizeof **out * (size_t)most)))
        return 0;
    *n = ode_num_parse(text, *out, most);
    return *n >= 0;
}

/* The collocation polynomial of the last step through its stages, continued to theta = 1 + c_i: minus its value at 1.
 * Only a first guess, so doubles do. */
static int make_guess(ode_plan *p)
{
    int s = p->stages;
    double c[16], v[16 * 16], w[16];
    int pivot[16];
    for (int i = 0; i < s; i++) {
        c[i] = 0;
        for (int j = 0; j < s; j++)
            c[i] += p->a[i * s + j].hi;
    }
    if (!(p->guess = malloc(sizeof(double) * (size_t)(s * s))))
        return 0;
    for (int i = 0; i < s; i++) { /* weights w: sum_j w_j c_j^k = ((1 + c_i)^(k+1) - 1) / (k + 1) */
        for (int k = 0; k < s; k++) {
            for (int j = 0; j < s; j++)
                v[k * s + j] = k ? v[(k - 1) * s + j] * c[j] : 1;
            w[k] = (pow(1 + c[i], k + 1) - 1) / (k + 1);
        }
        if (ode_factor(s, v, pivot))
            ode_back(s, v, pivot, w);
        else
            for (int j = 0; j < s; j++)
                w[j] = j == s - 1 ? c[i] : 0;
        for (int j = 0; j < s; j++)
            p->guess[i * s + j] = w[j];
    }
    return 1;
}

/* The last row of A is b: k_s is the next step's k_1. */
static int same_last(const ode_plan *p)
{
    int s = p->stages;
    const ode_num *last = p->a + (s - 1) * (s - 2) / 2;
    if (s < 2 || p->b[s - 1].hi != 0)
        return 0;
    for (int j = 0; j < s - 1; j++)
        if (last[j].hi != p->b[j].hi || last[j].lo != p->b[j].lo)
            return 0;
    return 1;
}

/* An explicit Runge-Kutta row as it is run: the times of the stages, and every sum without its zeros. */
static void make_sum(ode_plan *p, ode_sum *sum, int n, const ode_num c[], ode_num **free_c, int **free_at)
{
    sum->c = *free_c, sum->at = *free_at;
    for (int j = 0; j < n; j++)
        if (c[j].hi != 0) {
            sum->c[sum->count] = c[j];
            sum->at[sum->count++] = j < p->stages ? 1 + j : 2 + j; /* between them the slot of an argument */
        }
    *free_c += sum->count, *free_at += sum->count;
}
static int make_sums(ode_plan *p)
{
    int s = p->stages, x = p->row->extras;
    size_t terms = (size_t)(p->na + p->nb + p->ne + p->ne2 + p->nextra);
    p->c = calloc((size_t)s + terms, sizeof *p->c);
    p->sums = calloc(1, sizeof *p->sums * (size_t)(s + 3 + x) + sizeof(int) * terms);
    if (!p->sums || !p->c)
        return 0;
    ode_num *c = p->c + s, *a = p->a;
    int *at = (int *)(p->sums + s + 3 + x);
    for (int i = 1; i < s; a += i++) {
        make_sum(p, &p->sums[i], i, a, &c, &at);
        for (int j = 0; j < i; j++)
            p->c[i] = num_add(p->c[i], a[j]);
    }
    make_sum(p, &p->sums[s], p->nb, p->b, &c, &at);
    make_sum(p, &p->sums[s + 1], p->ne, p->e, &c, &at);
    make_sum(p, &p->sums[s + 2], p->ne2, p->e2, &c, &at);
    a = p->extra;
    for (int e = 0; e < x; a += s + e++)
        make_sum(p, &p->sums[s + 3 + e], s + e, a, &c, &at);
    return 1;
}

ode_plan *ode_plan_new(const ode_method *row, const char **why)
{
    *why = "out of memory";
    ode_plan *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->row = row;
    p->stages = row->stages;
    int s = row->stages;
    if (!read_text(row->a, &p->a, &p->na) || !read_text(row->a2, &p->a2, &p->na2) ||
        !read_text(row->b, &p->b, &p->nb) || !read_text(row->e, &p->e, &p->ne) ||
        !read_text(row->e2, &p->e2, &p->ne2) || !read_text(row->extra, &p->extra, &p->nextra) ||
        !read_text(row->dense, &p->dense, &p->ndense)) {
        *why = "a coefficient text is not a list of numbers";
        goto fail;
    }
    const ode_driver *d = row->driver;
    int good = s >= 1;
    if (d == &ode_rk_driver) {
        int x = row->extras;
        good = good && p->na == s * (s - 1) / 2 && p->nb == s && (!p->ne || p->ne == s) &&
               (!p->ne2 || p->ne2 == s) && p->nextra == x * s + x * (x - 1) / 2 &&
               (!p->ndense || p->ndense == (s + x) * row->degree) &&
               (!(row->flags & ODE_ADAPTIVE) || (p->ne && row->error_order > 0));
    } else if (d == &ode_split_driver)
        good = p->na > 0 && p->na == p->nb;
    else if (d == &ode_collocation_driver)
        good = good && s <= 16 && p->na == s * s && p->nb == s && (!p->na2 || p->na2 == s * s);
    else if (d == &ode_avf_driver)
        good = good && p->na == s && p->nb == s;
    else if (d == &ode_compose_driver)
        good = p->na > 0 && row->base != NULL;
    if (!good) {
        *why = "the row has too few or too many coefficients for its family and stages";
        goto fail;
    }
    if (d == &ode_rk_driver)
        p->same_last = same_last(p);
    if (d == &ode_rk_driver && !make_sums(p))
        goto fail;
    if (d == &ode_collocation_driver && !make_guess(p))
        goto fail;
    if (row->base && !(p->base = ode_plan_new(row->base, why)))
        goto fail;
    return p;
fail:
    ode_plan_free(p);
    return NULL;
}

void ode_plan_free(ode_plan *p)
{
    if (!p)
        return;
    ode_plan_free(p->base);
    free(p->a), free(p->a2), free(p->b), free(p->e), free(p->e2), free(p->extra), free(p->dense), free(p->c),
        free(p->guess), free(p->sums);
    free(p);
}
