/* data_check.c - what data look like before anything is learned: sampling, gaps, outliers, p against q', energy.
 * Invariant: it reports and changes nothing; what cannot be computed is NaN. */
/* SPDX-License-Identifier: MIT */
#include "data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_ORDER = 3, CHECK_HALF_WIDTH = 3, CHECK_LEAST = 12 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(long n, double x[])
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n ? 0.5 * (x[(n - 1) / 2] + x[n / 2]) : NAN;
}

static void check_intervals(const hnn_data *d, double h[], hnn_check *c)
{
    long m = 0, off = 0;
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k] + 1; i < d->offset[k + 1]; i++)
            h[m++] = d->t[i] - d->t[i - 1];
    c->interval = middle(m, h); /* sorted by this */
    c->interval_min = m ? h[0] : NAN;
    c->interval_max = m ? h[m - 1] : NAN;
    for (int k = 0; k < d->ntraj; k++)
        for (long i = d->offset[k] + 1; i < d->offset[k + 1]; i++) {
            double step = d->t[i] - d->t[i - 1];
            off += fabs(step - c->interval) > 0.01 * c->interval;
            if (step <= 1.5 * c->interval)
                continue;
            c->gaps++;
            if (step > c->gap_longest) {
                c->gap_longest = step;
                c->gap_row = i;
            }
        }
    c->irregular = m ? (double)off / (double)m : NAN;
}

/* A point is judged by the polynomial through its neighbours without itself: with itself an isolated error would pull
 * the curve and hide. */
static double residual_without(const double t[], const double y[], long stride, long n, long i)
{
    double u[2 * CHECK_HALF_WIDTH + 1], v[2 * CHECK_HALF_WIDTH + 1];
    long first = i - CHECK_HALF_WIDTH < 0 ? 0 : i - CHECK_HALF_WIDTH, m = 0, at = 0;
    long last = first + 2 * CHECK_HALF_WIDTH + 1 < n ? first + 2 * CHECK_HALF_WIDTH + 1 : n;
    first = last - 2 * CHECK_HALF_WIDTH - 1 < 0 ? 0 : last - 2 * CHECK_HALF_WIDTH - 1;
    for (long k = first; k < last; k++) {
        if (k == i)
            continue;
        at = k < i ? m : at;
        u[m] = t[k] - t[i];
        v[m++] = y[k * stride];
    }
    hnn_fit f = hnn_local_fit(m, u, v, 1, at, CHECK_ORDER, m);
    /* the fit is expanded about u[at]; go on to 0 with its own second-order series, exact enough for a verdict */
    double s = -u[at];
    return y[i * stride] - (f.value + s * (f.d1 + 0.5 * s * f.d2));
}

static void check_outliers(const hnn_data *d, double r[], double size[], hnn_check *c)
{
    int n = 2 * d->dof;
    double worst = 6;
    for (int j = 0; j < n; j++) {
        long m = 0;
        for (int k = 0; k < d->ntraj; k++) {
            long first = d->offset[k], count = d->offset[k + 1] - first;
            /* ends are judged by extrapolation, which a cubic does badly: they are left out */
            for (long i = CHECK_HALF_WIDTH; i < count - CHECK_HALF_WIDTH; i++)
                size[m++] = r[first + i] = residual_without(d->t + first, d->z + first * n + j, n, count, i);
        }
        if (m < CHECK_LEAST)
            return;
        for (long i = 0; i < m; i++)
            size[i] = fabs(size[i]);
        double sd = 1.4826 * middle(m, size), largest = 0;
        for (long i = 0; i < d->n; i++)
            largest = fmax(largest, fabs(d->z[i * n + j]));
        sd = fmax(sd, 1e-9 * largest); /* clean data: rounding and truncation are not outliers */
        for (int k = 0; k < d->ntraj; k++)
            for (long i = d->offset[k] + CHECK_HALF_WIDTH; i < d->offset[k + 1] - CHECK_HALF_WIDTH; i++) {
                double x = fabs(r[i]) / sd;
                /* the neighbours of an outlier are misjudged by it: only the largest of a window counts */
                int peak = x > 6;
                for (long m2 = i - CHECK_HALF_WIDTH; peak && m2 <= i + CHECK_HALF_WIDTH; m2++)
                    if (m2 >= d->offset[k] + CHECK_HALF_WIDTH && m2 < d->offset[k + 1] - CHECK_HALF_WIDTH &&
                        m2 != i)
                        peak = fabs(r[m2]) < fabs(r[i]);
                c->outliers += peak;
                if (peak && x > worst) {
                    worst = x;
                    c->outlier_row = i;
                    c->outlier_column = j;
                }
            }
    }
}

static void check_momenta(const hnn_data *d, hnn_check *c)
{
    int n = d->dof;
    for (int j = 0; j < n; j++) {
        double pq = 0, qq = 0, pp = 0, rest = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < d->ntraj; k++) {
                long first = d->offset[k], count = d->offset[k + 1] - first;
                for (long i = 0; count > CHECK_ORDER && i < count; i++) {
                    double p = d->z[(first + i) * 2 * n + n + j];
                    double rate = hnn_local_fit(count, d->t + first, d->z + first * 2 * n + j, 2 * n, i,
                                                CHECK_ORDER, CHECK_HALF_WIDTH)
                                      .d1;
                    if (pass) {
                        double x = p - c->ratio[j] * rate;
                        rest += x * x;
                    } else {
                        pq += p * rate;
                        qq += rate * rate;
                        pp += p * p;
                        c->ratio[j] = qq > 0 ? pq / qq : NAN;
                    }
                }
            }
        c->ratio[j] = qq > 0 ? pq / qq : NAN;
        c->r2[j] = pp > 0 ? 1 - rest / pp : NAN;
    }
}

static void check_energy(const hnn_data *d, hnn_energy *energy, void *context, hnn_check *c)
{
    int n = 2 * d->dof, used = 0;
    double sum = 0;
    for (int k = 0; k < d->ntraj; k++) {
        long first = d->offset[k], count = d->offset[k + 1] - first, third = count / 3;
        double part[2] = {0, 0};
        if (count < CHECK_LEAST)
            continue;
        for (int s = 0; s < 2; s++)
            for (long i = 0; i < third; i++) {
                const double *z = d->z + (first + (s ? count - third + i : i)) * n;
                double x = 0;
                for (int j = d->dof; !energy && j < n; j++)
                    x += z[j] * z[j];
                part[s] += energy ? energy(z, context) : x;
            }
        if (part[0] != 0) {
            sum += (part[1] - part[0]) / fabs(part[0]);
            used++;
        }
    }
    c->energy_change = used ? sum / used : NAN;
    c->energy_given = energy != NULL;
}

void hnn_check_free(hnn_check *c)
{
    free(c->ratio);
    free(c->r2);
    *c = (hnn_check){0};
}

int hnn_data_check(const hnn_data *d, hnn_energy *energy, void *context, hnn_check *c, hnn_error *e)
{
    *c = (hnn_check){.gap_row = -1,
                     .outlier_row = -1,
                     .interval = NAN,
                     .interval_min = NAN,
                     .interval_max = NAN,
                     .irregular = NAN,
                     .dof = d->dof};
    size_t n = (size_t)d->n + 1;
    double *work = malloc(2 * n * sizeof *work);
    if (d->has_time) {
        c->ratio = calloc((size_t)d->dof, sizeof *c->ratio);
        c->r2 = calloc((size_t)d->dof, sizeof *c->r2);
    }
    if (!work || (d->has_time && (!c->ratio || !c->r2))) {
        free(work);
        hnn_check_free(c);
        return hnn_fail(e, HNN_EMEM, "out of memory for a check of %ld rows", d->n);
    }
    if (d->has_time) {
        check_intervals(d, work, c);
        check_outliers(d, work, work + n, c);
        check_momenta(d, c);
    }
    check_energy(d, energy, context, c);
    free(work);
    return HNN_OK;
}

static int trajectory_of(const hnn_data *d, long row)
{
    int k = 0;
    while (k + 1 < d->ntraj && d->offset[k + 1] <= row)
        k++;
    return k + 1;
}

void hnn_check_text(const hnn_data *d, const hnn_check *c, hnn_text *t)
{
    static const char *const second[] = {"p", "v", "v"};
    const char *p = second[d->coords];
    hnn_text_printf(t, "%ld rows in %d %s, %d %s of freedom%s\n", d->n, d->ntraj,
                    d->ntraj == 1 ? "trajectory" : "trajectories", d->dof, d->dof == 1 ? "degree" : "degrees",
                    d->dz ? d->dz_estimated ? ", derivatives estimated" : ", with derivatives"
                          : ", no derivatives");
    if (d->missing || d->repeated)
        hnn_text_printf(t, "left out: %ld rows with a missing value, %ld with the time of the row before\n",
                        d->missing, d->repeated);
    if (!d->has_time) {
        hnn_text_add(
            t,
            "no times: sampling, gaps, outliers and q' cannot be judged (give t= in --columns, or --dt)\n");
        return;
    }
    hnn_text_printf(t, "sampling: median interval %.6g (%.6g to %.6g), ", c->interval, c->interval_min,
                    c->interval_max);
    if (c->irregular > 0)
        hnn_text_printf(t, "%.1f %% differ from it by more than 1 %%\n", 100 * c->irregular);
    else
        hnn_text_add(t, "regular\n");
    if (c->gaps)
        hnn_text_printf(t,
                        "gaps: %ld above 1.5 intervals, the longest %.6g before t = %.6g of trajectory %d\n",
                        c->gaps, c->gap_longest, d->t[c->gap_row], trajectory_of(d, c->gap_row));
    else
        hnn_text_add(t, "gaps: none\n");
    if (c->outliers)
        hnn_text_printf(t, "outliers: %ld, the worst at t = %.6g of trajectory %d in %s%d\n", c->outliers,
                        d->t[c->outlier_row], trajectory_of(d, c->outlier_row),
                        c->outlier_column < d->dof ? "q" : p, c->outlier_column % d->dof + 1);
    else
        hnn_text_add(t, "outliers: none\n");
    for (int j = 0; j < d->dof; j++) {
        if (isnan(c->r2[j])) {
            hnn_text_printf(t, "q%d' and %s%d: trajectories are too short to compare them\n", j + 1, p,
                            j + 1);
            continue;
        }
        hnn_text_printf(t, "%s%d = %.4g q%d' explains %.2f %% of %s%d: ", p, j + 1, c->ratio[j], j + 1,
                        100 * c->r2[j], p, j + 1);
        if (!(c->r2[j] > 0.9))
            hnn_text_printf(
                t, "%s%d is not proportional to q%d' (coupled or curved mass, noise, or wrong columns)\n", p,
                j + 1, j + 1);
        else if (fabs(c->ratio[j] - 1) < 0.05)
            hnn_text_printf(t, "q%d' is about %s%d\n", j + 1, p, j + 1);
        else
            hnn_text_printf(t, "%s%d is a momentum of mass %.4g, or has another unit\n", p, j + 1,
                            c->ratio[j]);
    }
    if (isnan(c->energy_change))
        hnn_text_add(t, "energy trend: trajectories are too short\n");
    else
        hnn_text_printf(t, "%s: %+.2f %% from the first third of a trajectory to the last\n",
                        c->energy_given ? "energy trend"
                                        : "trend of the mean square of the momenta (no H given)",
                        100 * c->energy_change);
}
