/* axis.c - limits that contain the data, ticks at 1, 2, 5 times powers of ten. Invariant: every number that leaves here
 * is finite. */
/* SPDX-License-Identifier: MIT */
#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double hnn_axis_at(const axis *a, double x)
{
    double v = a->log ? log10(x) : x;
    return fmin(fmax(a->from + (v - a->lo) / (a->hi - a->lo) * (a->to - a->from), -4000), 8000);
}

int hnn_axis_usable(const axis *a, double x) { return isfinite(x) && (!a->log || x > 0); }

void hnn_axis_widen(axis *a, double x)
{
    if (!hnn_axis_usable(a, x))
        return;
    double v = a->log ? log10(x) : x;
    a->lo = fmin(a->lo, v);
    a->hi = fmax(a->hi, v);
}

static double nice_step(double span, int about)
{
    double raw = span / about, ten = pow(10, floor(log10(raw))), m = raw / ten;
    return ten * (m < 1.5 ? 1 : m < 3.5 ? 2 : m < 7.5 ? 5 : 10);
}

/* The logarithm of 1, 2, 5, 10, 20, ...: one for each k, also below 1. */
static double fine_tick(long k)
{
    static const double mantissa[3] = {1, 2, 5};
    long ten = k >= 0 ? k / 3 : -((2 - k) / 3);
    return (double)ten + log10(mantissa[k - 3 * ten]);
}

static int few_powers(const axis *a)
{
    return a->log && floor(fmax(a->lo, a->hi)) - ceil(fmin(a->lo, a->hi)) < 1;
}

/* limits, either given or those of the data with a margin */
int hnn_axis_limit(axis *a, const double given[2], double margin, hnn_error *e)
{
    if (given[0] != given[1]) {
        double size = fmax(fabs(given[0]), fabs(given[1])), span = fabs(given[1] - given[0]);
        if (!hnn_axis_usable(a, given[0]) || !hnn_axis_usable(a, given[1]) || size > 1e300 ||
            span < 1e-12 * size || span < 1e-290)
            return hnn_fail(e, HNN_EARG, "a plot from %g to %g on a %s axis", given[0], given[1],
                            a->log ? "logarithmic" : "linear");
        a->lo = a->log ? log10(given[0]) : given[0];
        a->hi = a->log ? log10(given[1]) : given[1];
        return HNN_OK;
    }
    if (!(a->lo <= a->hi)) /* no data */
        a->lo = 0, a->hi = 1;
    double span = a->hi - a->lo, size = fmax(fabs(a->lo), fabs(a->hi));
    if (!(span > 1e-12 * size && span > 1e-290)) /* one value: some room around it */
        margin = 1, span = size > 1e-280 && !a->log ? size / 10 : 1;
    a->lo = fmax(a->lo - margin * span, -1e300);
    a->hi = fmin(a->hi + margin * span, 1e300);
    if (few_powers(a)) { /* from a tick to a tick: at least two labels */
        long lo = (long)floor(3 * a->lo) - 1, hi = (long)ceil(3 * a->hi) + 1;
        while (fine_tick(lo + 1) <= a->lo)
            lo++;
        while (fine_tick(hi - 1) >= a->hi)
            hi--;
        a->lo = fine_tick(lo), a->hi = fine_tick(hi > lo ? hi : lo + 1);
    }
    return HNN_OK;
}

void hnn_axis_ticks(axis *a, int about)
{
    double span = fabs(a->hi - a->lo), size = fmax(fabs(a->lo), fabs(a->hi));
    a->step = a->log ? fmax(1, ceil(span / about)) : nice_step(span, about);
    a->factor = !a->log && (size >= 1e5 || size < 1e-3) && size > 0 ? floor(log10(size)) : 0;
    a->fine = a->log && (few_powers(a) || (span <= 1.5 && about >= 4));
    double d = ceil(-log10(a->step) + a->factor - 1e-9);
    a->decimals = d > 0 ? (int)fmin(d, 12) : 0;
}

static double tick(const axis *a, long k) { return a->fine ? fine_tick(k) : (double)k * a->step; }

double hnn_axis_tick(const axis *a, long k)
{
    return a->from + (tick(a, k) - a->lo) / (a->hi - a->lo) * (a->to - a->from);
}

long hnn_axis_first(const axis *a)
{
    double lo = fmin(a->lo, a->hi);
    if (!a->fine)
        return (long)ceil(lo / a->step - 1e-9);
    long k = (long)floor(3 * lo) - 1;
    while (fine_tick(k) < lo - 1e-9)
        k++;
    return k;
}

long hnn_axis_last(const axis *a)
{
    double hi = fmax(a->lo, a->hi);
    if (!a->fine)
        return (long)floor(hi / a->step + 1e-9);
    long k = (long)ceil(3 * hi) + 1;
    while (fine_tick(k) > hi + 1e-9)
        k--;
    return k;
}

void hnn_axis_power(hnn_text *t, double k)
{
    hnn_text_printf(t, "10<tspan dy=\"-5\" font-size=\"9\">%s%.0f</tspan>", k < 0 ? "\xe2\x88\x92" : "",
                    fabs(k));
}

/* the label of tick k; returns its width in letters */
int hnn_axis_label(hnn_text *t, const axis *a, long k)
{
    char s[64];
    if (a->log) {
        double v = tick(a, k), ten = floor(v + 1e-9), m = round(pow(10, v - ten));
        if (a->fine && fmin(a->lo, a->hi) > -3.5 && fmax(a->lo, a->hi) < 3.5) { /* 0.02, not 2 10^-2 */
            int n = snprintf(s, sizeof s, "%.*f", ten < 0 ? (int)-ten : 0, m * pow(10, ten));
            hnn_text_add(t, s);
            return n;
        }
        if (m > 1)
            hnn_text_printf(t, "%.0f \xc2\xb7 ", m);
        hnn_axis_power(t, ten);
        return m > 1 ? 8 : 4;
    }
    double x = (double)k * a->step / pow(10, a->factor);
    hnn_text one = {0};
    hnn_text_short(&one, fabs(x), a->decimals);
    snprintf(s, sizeof s, "%.40s", one.s ? one.s : "");
    if (one.failed)
        t->failed = one.failed;
    hnn_text_free(&one);
    hnn_text_printf(t, "%s%s", x < 0 && strcmp(s, "0") ? "\xe2\x88\x92" : "", s);
    return (int)strlen(s) + (x < 0);
}
