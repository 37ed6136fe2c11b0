/* trace_sum.c - sums of slots as recorded mathematics.
 * Invariant: what is recorded is what space.c and combine.c do, operation by operation: an explicit step has the same bits in both. */
/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "trace.h"

/* A coefficient of 106 bits; lo is the number 0 where it vanishes whatever h is. */
typedef struct {
    ad_var hi, lo;
} pair;
static ad_var negative(ad_var c) { return ad_is_number(c) ? ad_num(-c.value) : (ad_neg)(c); }
static int is_power_of_two(double c)
{
    int e;
    return fabs(frexp(c, &e)) == 0.5;
}
/* slot dst += c slot src, part k: PLAIN, LOW_HALF, HELD and CARRIED of space.c */
static void increase(ode_trace *d, int dst, pair c, int src, int k)
{
    ad_var y = ode_trace_get(d, dst, k), x = ode_trace_here(d, d->slot[src].part[k]), a;
    int low = !ad_is_number(c.lo) || c.lo.value != 0;
    if (k && d->slot[src].minus)
        c.hi = negative(c.hi), c.lo = negative(c.lo);
    if (!d->compensate)
        a = (ad_fma)(c.hi, x, y);
    else if (dst)
        a = (ad_add)(y, (ad_fma)(c.hi, x, low ? (ad_mul)(c.lo, x) : ad_num(0)));
    else if (d->base.hold) {
        ad_var e = ode_trace_here(d, d->carry[k]), more;
        a = (ad_fma)(c.hi, x, y);
        more = (ad_fma)(c.hi, x, (ad_sub)(y, a));
        d->carry[k] = (ad_add)(e, low ? (ad_fma)(c.lo, x, more) : more);
    } else {
        ad_var e = ode_trace_here(d, d->carry[k]), p = (ad_fma)(c.hi, x, low ? (ad_fma)(c.lo, x, e) : e);
        a = (ad_add)(y, p);
        d->carry[k] = (ad_sub)(p, (ad_sub)(a, y));
    }
    put_part(d, dst, k, a);
}

void ode_trace_add(ode_space *s, int part, int dst, ode_num c, int src)
{
    ode_trace *d = (ode_trace *)s;
    for (int k = from(d, part); k < to(d, part); k++)
        increase(d, dst, (pair){ad_num(c.hi), ad_num(c.lo)}, src, k);
}
/* c h, and what its product loses. */
static pair steps(ode_trace *d, ode_num c)
{
    ad_var h = ode_trace_here(d, d->h), hi = times(c.hi, h), lo = ad_num(0);
    if (d->compensate && !is_power_of_two(c.hi))
        lo = (ad_fma)(ad_num(c.hi), h, negative(hi));
    if (d->compensate && c.lo != 0)
        lo = (ad_add)(lo, times(c.lo, h));
    return (pair){hi, lo};
}
void ode_trace_addh(ode_space *s, int part, int dst, ode_num c, int src)
{
    ode_trace *d = (ode_trace *)s;
    pair ch = steps(d, ode_share(s, c));
    for (int k = from(d, part); k < to(d, part); k++)
        increase(d, dst, ch, src, k);
}
/* What a + b loses (two-sum). */
static ad_var lost(ad_var a, ad_var b)
{
    if (ad_is_number(a) && a.value == 0)
        return a;
    ad_var u = (ad_add)(a, b), w = (ad_sub)(u, a);
    return (ad_add)((ad_sub)(a, (ad_sub)(u, w)), (ad_sub)(b, w));
}
/* One part of a sum into slot 0 with what it loses, as combine.c has it. */
static void sum_carried(ode_trace *d, int k, const ode_sum *terms)
{
    ad_var s = ad_num(0), low = s, y = ode_trace_get(d, 0, k), e = ode_trace_here(d, d->carry[k]);
    for (int j = 0; j < terms->count; j++) {
        ad_var x = ode_trace_here(d, d->slot[terms->at[j]].part[k]);
        double sign = k && d->slot[terms->at[j]].minus ? -1 : 1;
        ad_var c = ad_num(sign * terms->c[j].hi), p = times(c.value, x), more = ad_num(0);
        if (!is_power_of_two(c.value))
            more = (ad_fma)(c, x, (ad_neg)(p));
        more = (ad_fma)(ad_num(sign * terms->c[j].lo), x, more);
        low = (ad_add)(low, (ad_add)(more, lost(s, p)));
        s = (ad_add)(s, p);
    }
    pair h = steps(d, d->base.hs);
    ad_var p = (ad_fma)(h.hi, s, (ad_fma)(h.lo, s, (ad_fma)(h.hi, low, e)));
    d->carry[k] = lost(y, p);
    put_part(d, 0, k, (ad_add)(y, p));
}
void ode_trace_sum(ode_space *s, int dst, int src, const ode_sum *terms)
{
    ode_trace *d = (ode_trace *)s;
    if (dst == 0 && d->compensate) {
        for (int k = 0; k < d->parts; k++)
            sum_carried(d, k, terms);
        return;
    }
    ad_var h = times(s->hs.hi, ode_trace_here(d, d->h));
    for (int k = 0; k < d->parts; k++) {
        ad_var y = src < 0 ? ad_num(0) : ode_trace_get(d, src, k);
        for (int j = 0; j < terms->count; j++) {
            ad_var x = ode_trace_here(d, d->slot[terms->at[j]].part[k]), c = times(terms->c[j].hi, h);
            y = (ad_fma)(k && d->slot[terms->at[j]].minus ? negative(c) : c, x, y);
        }
        put_part(d, dst, k, y);
    }
}
void ode_trace_addr(ode_space *s, int part, int dst, int k, int src)
{
    ode_trace *d = (ode_trace *)s;
    for (int i = from(d, part); i < to(d, part); i++)
        increase(d, dst, (pair){ode_trace_here(d, d->reg[k]), ad_num(0)}, src, i);
}
