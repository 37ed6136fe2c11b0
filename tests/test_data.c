/* test_data.c - loading tables and arrays, and what is done with trajectories. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "data.h"
#include "data_path.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int load(const char *file, const hnn_data_options *o, hnn_data *d, hnn_error *e)
{
    char path[512];
    *e = (hnn_error){0};
    return hnn_data_load(1, (const char *const[]){data_path(path, file)}, o, d, e);
}

Test(data, good_files_give_the_trajectories_they_hold)
{
    static const struct {
        const char *file, *columns;
        int dof, ntraj;
        long n;
        double t_last, z_last[4]; /* of the last row */
    } row[] = {
        {"plain.csv", NULL, 1, 2, 5, 0.2, {1.7, -0.4}},
        {"plain.csv", "trial=1,t=2,q=3,p=4", 1, 2, 5, 0.2, {1.7, -0.4}},
        {"plain.csv", "t=t,q=p,p=q,trial=trial", 1, 2, 5, 0.2, {-0.4, 1.7}},
        {"short_header.txt", NULL, 1, 2, 3, 5.0, {1.2, 0.3}},
        {"short_header.txt", "trial=1,t=2,q=o,p=v", 1, 2, 3, 5.0, {1.2, 0.3}},
        {"units.tsv", NULL, 1, 1, 2, 0.5, {0.5, -1}},
        {"semicolon.csv", NULL, 1, 1, 2, 0.6, {1.5, -4}},
        {"quoted.csv", NULL, 1, 1, 2, 1, {1.5, 2.5}},
        {"two_dof.csv", NULL, 2, 1, 2, 1, {5, 6, 7, 8}},
        {"two_dof.csv", "t=1,q=2:3,v=4-5", 2, 1, 2, 1, {5, 6, 7, 8}},
        {"two_dof.csv", "t=t,q1=y,q2=x,p1=vy,p2=vx", 2, 1, 2, 1, {6, 5, 8, 7}},
        {"zero_based.csv", NULL, 2, 1, 2, 1, {9, 10, 11, 12}},
        {"blank_lines.txt", NULL, 1, 2, 5, 0.2, {1.8, -0.4}},
        {"restart.txt", NULL, 1, 2, 5, 0.2, {1.8, -0.3}},
        {"interleaved.csv", NULL, 1, 2, 4, 1, {4, 0}},
        {"missing.csv", NULL, 1, 1, 2, 4, {2, 1}},
        {"fortran.txt", NULL, 1, 1, 2, 0.1, {1.1, -0.35}},
        {"old_mac.txt", NULL, 1, 1, 2, 1, {3, 4}},
        {"no_newline.txt", NULL, 1, 1, 2, 1, {3, 4}},
        {"double_spaced.txt", NULL, 1, 1, 4, 3, {7, 8}},
        {"trailing_comma.csv", NULL, 1, 1, 2, 1, {3, 4}},
        {"nine_columns.txt", NULL, 4, 1, 2, 2, {3, 4, 5, 6}},
        {"bad_unnamed.txt", "t=1,q=2,p=3", 1, 1, 2, 2.5, {3, 4}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        hnn_data d;
        hnn_error e;
        hnn_data_options o = {.columns = row[i].columns};
        cr_assert(load(row[i].file, &o, &d, &e) == HNN_OK, "%s: %s", row[i].file, e.message);
        cr_assert(d.dof == row[i].dof && d.ntraj == row[i].ntraj && d.n == row[i].n,
                  "%s (case %zu): %d dof, %d x, %ld", row[i].file, i, d.dof, d.ntraj, d.n);
        cr_assert(d.offset[0] == 0 && d.offset[d.ntraj] == d.n && d.has_time);
        cr_assert(d.t[d.n - 1] == row[i].t_last, "%s: t = %g", row[i].file, d.t[d.n - 1]);
        for (int j = 0; j < 2 * d.dof && j < 4; j++)
            cr_assert(d.z[(d.n - 1) * 2 * d.dof + j] == row[i].z_last[j], "%s: z%d = %g", row[i].file, j,
                      d.z[(d.n - 1) * 2 * d.dof + j]);
        hnn_data_free(&d);
    }
}

Test(data, left_out_rows_and_derivatives_are_counted_and_kept)
{
    hnn_data d;
    hnn_error e;
    cr_assert(load("missing.csv", NULL, &d, &e) == HNN_OK && d.missing == 3 && d.repeated == 1);
    hnn_data_free(&d);
    cr_assert(load("zero_based.csv", NULL, &d, &e) == HNN_OK && d.dz && d.dz[0] == 5 && d.dz[7] == 16);
    hnn_data_free(&d);
}

Test(data, malformed_files_are_refused_and_the_message_names_the_place)
{
    static const struct {
        const char *file, *columns, *says;
    } row[] = {
        {"bad_word.csv", NULL, "bad_word.csv:3:3: 'abc' is not a number"},
        {"bad_ragged.csv", NULL, "bad_ragged.csv:3:4: this row has 2 values, the first one has 3"},
        {"bad_long.csv", NULL, "bad_long.csv:3:7: '5' is one value too many"},
        {"bad_header.csv", NULL, "bad_header.csv:2:1: the header has 4 names, the rows have 3"},
        {"bad_empty.csv", NULL, "bad_empty.csv:1:1: no row of numbers"},
        {"bad_only_header.csv", NULL, "no row of numbers"},
        {"bad_infinite.csv", NULL, "bad_infinite.csv:2:5: 'inf' is not finite"},
        {"bad_overflow.csv", NULL, "bad_overflow.csv:3: the value in column 2 is not finite"},
        {"bad_back.csv", NULL, "bad_back.csv:5: time in column 1 goes back from 2 to 0.5"},
        {"bad_back_trial.csv", NULL, "bad_back_trial.csv:4: time in column 2 goes back"},
        {"bad_binary.csv", NULL, "bad_binary.csv:3:1: a zero byte"},
        {"bad_utf16.csv", NULL, "a zero byte"},
        {"bad_names.csv", NULL, "no column is named like a position"},
        {"bad_twice.csv", NULL, "columns 2 and 3 have names of the same meaning"},
        {"bad_unnamed.txt", NULL, "4 columns without names"},
        {"bad_all_missing.csv", NULL, "no complete row (1 have a missing value)"},
        {"bad_two_headers.csv", NULL, "bad_two_headers.csv:3:1: 't' is not a number"},
        {"plain.csv", "t=2,q=3,p=9", "the file has columns 1 to 4"},
        {"plain.csv", "t=2,q=3,p=3", "column 3 is used twice"},
        {"plain.csv", "t=2,q=height,p=3", "no column named 'height'"},
        {"plain.csv", "t=2,angle=3,p=4", "'angle' is none of trial, t, q"},
        {"plain.csv", "t=2,q", "'q' is not of the form key=column"},
        {"plain.csv", "t=2,q=3", "1 columns of q and 0 of p"},
        {"plain.csv", "t=2,q1=3,q3=4", "2 columns of q and 0 of p"},
        {"two_dof.csv", "t=1,q1=2,q3=3,p=4:5", "is number 3 of 2"},
        {"two_dof.csv", "t=1,q=2,p=3,dq=4", "1 columns of dq and 0 of dp"},
        {"absent.csv", NULL, "absent.csv: cannot open"},
        {"bad_short.npy", NULL, "bad_short.npy"},
        {"u1.npy", NULL, "1 columns cannot be positions and momenta"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        hnn_data d;
        hnn_error e;
        hnn_data_options o = {.columns = row[i].columns};
        int code = load(row[i].file, &o, &d, &e);
        cr_assert(code != HNN_OK && code == e.code, "%s (%s) was read", row[i].file, row[i].columns);
        cr_assert(strstr(e.message, row[i].says), "%s: '%s' does not say '%s'", row[i].file, e.message,
                  row[i].says);
        cr_assert(!d.z && !d.t && d.n == 0);
    }
}

Test(data, every_truncation_and_changed_byte_of_a_text_is_read_or_refused_but_never_crashes)
{
    const char *file[] = {"plain.csv",     "short_header.txt", "units.tsv",
                          "semicolon.csv", "quoted.csv",       "two_dof.csv"};
    char temp[] = "/tmp/noether-text-XXXXXX";
    close(mkstemp(temp));
    for (size_t f = 0; f < sizeof file / sizeof *file; f++) {
        char path[512], *s;
        size_t n;
        hnn_error e;
        cr_assert(hnn_file_read(data_path(path, file[f]), &s, &n, &e) == HNN_OK);
        for (size_t k = 0; k < 6 * n; k++) {
            const char swap[] = {',', '\n', '"', '#', 'x'};
            char old = s[k % n];
            size_t m = k < n ? k : n;
            if (k >= n)
                s[k % n] = swap[k / n - 1];
            FILE *out = fopen(temp, "wb");
            cr_assert(out && fwrite(s, 1, m, out) == m && fclose(out) == 0);
            hnn_data d;
            e = (hnn_error){0};
            int code = hnn_data_load(1, (const char *const[]){temp}, NULL, &d, &e);
            cr_assert(code == e.code && (!code || e.message[0]));
            hnn_data_free(&d);
            s[k % n] = old;
        }
        free(s);
    }
    unlink(temp);
}

Test(data, positions_alone_get_velocities_and_accelerations)
{
    hnn_data d;
    hnn_error e;
    hnn_data_options o = {.coords = HNN_Q, .order = 4, .half_width = 3};
    cr_assert(load("positions.csv", &o, &d, &e) == HNN_OK, "%s", e.message);
    cr_assert(d.dof == 1 && d.v_estimated && d.dz_estimated);
    for (long i = 0; i < d.n; i++) {
        /* order 4 on 7 points, h = 0.1: h^4 / 24 of the fifth derivative, times about 4 at the ends */
        double tolerance = i < 3 || i >= d.n - 3 ? 2e-4 : 2e-5;
        cr_assert(fabs(d.z[2 * i + 1] - cos(d.t[i])) < tolerance && d.dz[2 * i] == d.z[2 * i + 1]);
        cr_assert(fabs(d.dz[2 * i + 1] + sin(d.t[i])) < 100 * tolerance);
    }
    hnn_data_free(&d);
}

Test(data, arrays_load_like_tables)
{
    static const struct {
        const char *file;
        hnn_data_options o;
        int ntraj;
        long n;
        int time;
    } row[] = {{"stored.npz", {0}, 2, 40, 1},
               {"f8.npy", {.columns = "t=1,q=2,p=3"}, 1, 2, 1},
               {"f8.npy", {0}, 1, 2, 1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        hnn_data d;
        hnn_error e;
        cr_assert(load(row[i].file, &row[i].o, &d, &e) == HNN_OK, "%s", e.message);
        cr_assert(d.ntraj == row[i].ntraj && d.n == row[i].n && d.has_time == row[i].time);
        hnn_data_free(&d);
    }
}

Test(data, a_bare_array_of_states_with_derivatives_and_rows_a_trajectory)
{
    char dir[] = "/tmp/noether-npy-XXXXXX", x[96], dx[96];
    double v[48], w[48];
    for (int i = 0; i < 48; i++)
        v[i] = i, w[i] = -i;
    hnn_error e = {0};
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(x, sizeof x, "%s/x.npy", dir), snprintf(dx, sizeof dx, "%s/dx.npy", dir);
    hnn_array a = {.dims = 2, .dim = {12, 4}, .size = 48, .v = v}, b = a;
    b.v = w;
    cr_assert(hnn_npy_write(x, &a, &e) == HNN_OK && hnn_npy_write(dx, &b, &e) == HNN_OK);
    hnn_data d;
    hnn_data_options o = {.derivatives = dx, .rows = 4};
    cr_assert(hnn_data_load(1, (const char *const[]){x}, &o, &d, &e) == HNN_OK, "%s", e.message);
    cr_assert(d.dof == 2 && d.ntraj == 3 && !d.has_time && d.z[47] == 47 && d.dz[47] == -47);
    hnn_data_free(&d);
    o = (hnn_data_options){.dt = 0.1};
    cr_assert(hnn_data_load(1, (const char *const[]){x}, &o, &d, &e) == HNN_OK && d.has_time && !d.dz);
    cr_assert(d.t[11] == 11 * 0.1 && d.ntraj == 1);
    hnn_data_free(&d);
    b.dim[0] = 24, b.dim[1] = 2;
    cr_assert(hnn_npy_write(dx, &b, &e) == HNN_OK);
    o.derivatives = dx;
    cr_assert(hnn_data_load(1, (const char *const[]){x}, &o, &d, &e) == HNN_ESHAPE &&
              strstr(e.message, "dx.npy"));
    unlink(x), unlink(dx), rmdir(dir);
}

Test(data, files_together_are_trajectories_and_must_agree)
{
    char a[512], b[512];
    hnn_data d;
    hnn_error e = {0};
    const char *two[] = {data_path(a, "plain.csv"), data_path(b, "restart.txt")};
    cr_assert(hnn_data_load(2, two, NULL, &d, &e) == HNN_OK && d.ntraj == 4 && d.n == 10, "%s", e.message);
    hnn_data_free(&d);
    two[1] = data_path(b, "two_dof.csv");
    cr_assert(hnn_data_load(2, two, NULL, &d, &e) == HNN_ESHAPE && strstr(e.message, "two_dof.csv"));
    cr_assert(hnn_data_load(0, two, NULL, &d, &e) == HNN_EARG);
}

static void oscillator(hnn_data *d, int ntraj, long length, double mass, double damping)
{
    long n[64];
    hnn_error e;
    for (int k = 0; k < ntraj; k++)
        n[k] = length;
    cr_assert(hnn_data_new(1, ntraj, n, 1, d, &e) == HNN_OK);
    for (int k = 0; k < ntraj; k++)
        for (long i = 0; i < length; i++) {
            double t = 0.05 * (double)i, a = (1 + 0.1 * k) * exp(-damping * t),
                   *z = d->z + 2 * (d->offset[k] + i);
            d->t[d->offset[k] + i] = t;
            z[0] = a * sin(t), z[1] = mass * a * (cos(t) - damping * sin(t));
        }
}

Test(data, what_is_saved_is_read_back_to_the_same_bits)
{
    hnn_data d, r;
    hnn_error e = {0};
    char dir[] = "/tmp/noether-data-XXXXXX", path[96];
    static const char *name[] = {"d.csv", "d.npz", "d.txt"};
    cr_assert(mkdtemp(dir) != NULL);
    for (int k = 0; k < 6; k++) {
        oscillator(&d, k % 2 ? 3 : 1, 7, 1 / 3.0, 0.1);
        hnn_data_noise(&d, 0.1, 0.2, 5);
        if (k > 2)
            free(d.dz), d.dz = NULL;
        snprintf(path, sizeof path, "%s/%s", dir, name[k % 3]);
        cr_assert(hnn_data_save(path, &d, &e) == HNN_OK, "%s", e.message);
        cr_assert(hnn_data_load(1, (const char *const[]){path}, NULL, &r, &e) == HNN_OK, "%s", e.message);
        cr_assert(r.ntraj == d.ntraj && r.n == d.n && !r.dz == !d.dz);
        cr_assert(memcmp(r.t, d.t, sizeof *r.t * (size_t)r.n) == 0);
        cr_assert(memcmp(r.z, d.z, 2 * sizeof *r.z * (size_t)r.n) == 0);
        cr_assert(!r.dz || memcmp(r.dz, d.dz, 2 * sizeof *r.z * (size_t)r.n) == 0);
        hnn_data_free(&r), hnn_data_free(&d), unlink(path);
    }
    rmdir(dir);
}

Test(data, a_split_keeps_trajectories_whole_and_loses_none)
{
    hnn_data d, part[3];
    hnn_error e = {0};
    oscillator(&d, 20, 5, 1, 0);
    for (long i = 0; i < d.n; i++)
        d.z[2 * i] = (double)(i / 5);
    cr_assert(hnn_data_split(&d, 0.2, 0.25, 7, part, &e) == HNN_OK, "%s", e.message);
    cr_assert(part[0].ntraj == 11 && part[1].ntraj == 4 && part[2].ntraj == 5);
    int seen = 0;
    for (int s = 0; s < 3; s++)
        for (int k = 0; k < part[s].ntraj; k++) {
            long i = part[s].offset[k];
            seen ^= 1 << (int)part[s].z[2 * i];
            for (int j = 0; j < 5; j++)
                cr_assert(part[s].z[2 * (i + j)] == part[s].z[2 * i] && part[s].t[i + j] == 0.05 * j);
        }
    cr_assert(seen == (1 << 20) - 1);
    for (int s = 0; s < 3; s++)
        hnn_data_free(&part[s]);
    hnn_data_free(&d);
}

Test(data, one_trajectory_is_split_in_time)
{
    hnn_data d, part[3];
    hnn_error e = {0};
    oscillator(&d, 1, 100, 1, 0);
    cr_assert(hnn_data_split(&d, 0.1, 0.2, 7, part, &e) == HNN_OK, "%s", e.message);
    cr_assert(part[0].n == 70 && part[1].n == 10 && part[2].n == 20);
    cr_assert(part[0].t[69] < part[1].t[0] && part[1].t[9] < part[2].t[0] && part[2].t[19] == d.t[99]);
    for (int s = 0; s < 3; s++)
        hnn_data_free(&part[s]);
    cr_assert(hnn_data_split(&d, 0, 0.2, 7, part, &e) == HNN_OK && part[1].n == 0 && part[1].ntraj == 0);
    for (int s = 0; s < 3; s++)
        hnn_data_free(&part[s]);
    cr_assert(hnn_data_split(&d, 0.5, 0.5, 7, part, &e) == HNN_EARG);
    cr_assert(hnn_data_split(&d, 0.1, 0, 7, part, &e) == HNN_EARG);
    hnn_data_free(&d);
    oscillator(&d, 1, 1, 1, 0);
    cr_assert(hnn_data_split(&d, 0.1, 0.1, 7, part, &e) == HNN_ESHAPE);
    hnn_data_free(&d);
}

Test(data, a_local_polynomial_is_exact_on_polynomials_at_irregular_times)
{
    double t[9], y[18];
    hnn_rng r = hnn_rng_stream(1, HNN_RNG_TIMES, 0);
    for (int i = 0; i < 9; i++) {
        t[i] = 100 + i + 0.4 * hnn_rng_uniform(&r);
        double s = t[i] - 104;
        y[2 * i] = 1 - 2 * s + 3 * s * s - 0.5 * s * s * s;
    }
    for (int i = 0; i < 9; i++)
        for (int order = 3; order < 6; order++) {
            double s = t[i] - 104;
            hnn_fit f = hnn_local_fit(9, t, y, 2, i, order, 3);
            cr_assert(fabs(f.value - y[2 * i]) < 1e-11 && fabs(f.d1 - (-2 + 6 * s - 1.5 * s * s)) < 1e-10);
            cr_assert(fabs(f.d2 - (6 - 3 * s)) < 1e-9 && f.rms < 1e-11 && f.points == 7);
        }
    hnn_fit f = hnn_local_fit(2, t, y, 2, 0, 3, 3);
    cr_assert(f.order == 1 && fabs(f.d1 - (y[2] - y[0]) / (t[1] - t[0])) < 1e-12);
    f = hnn_local_fit(1, t, y, 2, 0, 3, 3);
    cr_assert(f.order == 0 && f.value == y[0] && f.d1 == 0);
}

Test(data, the_standard_error_of_a_local_derivative_is_the_spread_of_its_estimates)
{
    double t[7], y[7], sum = 0;
    enum { count = 4000 };
    hnn_rng r = hnn_rng_stream(1, HNN_RNG_NOISE, 0);
    for (int i = 0; i < 7; i++)
        t[i] = 0.1 * i;
    hnn_fit f = {0};
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < 7; i++)
            y[i] = hnn_rng_normal(&r);
        f = hnn_local_fit(7, t, y, 1, 3, 3, 3);
        sum += f.d1 * f.d1 / count;
    }
    cr_assert(fabs(sqrt(sum) / f.se1 - 1) <
              5 / sqrt(2.0 * count)); /* five standard errors of a standard deviation */
}

Test(data, derivatives_are_estimated_piece_by_piece_between_gaps)
{
    hnn_data d;
    hnn_error e = {0};
    oscillator(&d, 2, 40, 1, 0);
    for (long i = 20; i < 40; i++) { /* a gap of 3 and another phase: a window across it would be far off */
        d.t[i] += 3;
        d.z[2 * i] = sin(d.t[i]), d.z[2 * i + 1] = cos(d.t[i]);
    }
    cr_assert(hnn_data_derivatives(&d, 4, 3, &e) == HNN_OK && d.dz_estimated, "%s", e.message);
    for (long i = 0; i < d.n; i++)
        cr_assert(fabs(d.dz[2 * i] - d.z[2 * i + 1]) < 1e-4 && fabs(d.dz[2 * i + 1] + d.z[2 * i]) < 1e-4,
                  "%ld", i);
    d.t[39] += 9; /* now a row stands alone */
    cr_assert(hnn_data_derivatives(&d, 4, 3, &e) == HNN_ESHAPE && strstr(e.message, "trajectory 1"));
    d.has_time = 0;
    cr_assert(hnn_data_derivatives(&d, 4, 3, &e) == HNN_ESHAPE);
    hnn_data_free(&d);
}

static double half_square(const double z[], void *context)
{
    double m = *(double *)context;
    return z[1] * z[1] / (2 * m) + 0.5 * m * z[0] * z[0];
}

Test(data, a_check_finds_mass_damping_gaps_and_outliers)
{
    hnn_data d;
    hnn_check c;
    hnn_error e = {0};
    hnn_text text = {0};
    double mass = 2.5;
    oscillator(&d, 1, 400, mass, 0.02);
    cr_assert(hnn_data_check(&d, half_square, &mass, &c, &e) == HNN_OK);
    cr_assert(fabs(c.interval - 0.05) < 1e-12 && c.gaps == 0 && c.irregular == 0 && c.outliers == 0);
    cr_assert(fabs(c.ratio[0] - mass) < 1e-3 && c.r2[0] > 0.9999, "%g %g", c.ratio[0], c.r2[0]);
    /* energy falls as exp(-2 damping t): thirds are 2/3 of 20 s apart */
    cr_assert(fabs(c.energy_change - (exp(-2 * 0.02 * 40.0 / 3) - 1)) < 0.02, "%g", c.energy_change);
    hnn_check_text(&d, &c, &text);
    cr_assert(strstr(text.s, "regular") && strstr(text.s, "gaps: none") &&
                  strstr(text.s, "momentum of mass 2.5"),
              "%s", text.s);
    hnn_check_free(&c), hnn_text_free(&text);

    hnn_data_noise(&d, 1e-3, 0, 1);
    d.z[2 * 200 + 1] += 0.1;
    for (long i = 300; i < 400; i++)
        d.t[i] += 0.1;
    cr_assert(hnn_data_check(&d, NULL, NULL, &c, &e) == HNN_OK);
    cr_assert(c.gaps == 1 && c.gap_row == 300 && fabs(c.gap_longest - 0.15) < 1e-12);
    cr_assert(c.outliers >= 1 && c.outlier_row == 200 && c.outlier_column == 1, "%ld at %ld", c.outliers,
              c.outlier_row);
    cr_assert(c.energy_change < -0.2 && !c.energy_given);
    hnn_check_text(&d, &c, &text);
    cr_assert(strstr(text.s, "the longest 0.15 before t = 15.1 of trajectory 1") && strstr(text.s, "in p1"),
              "%s", text.s);
    hnn_check_free(&c), hnn_text_free(&text), hnn_data_free(&d);
}

Test(data, noise_has_its_size_and_depends_on_the_seed_alone)
{
    hnn_data a, b;
    oscillator(&a, 10, 500, 1, 0), oscillator(&b, 10, 500, 1, 0);
    hnn_data_noise(&a, 0.1, 0, 3);
    double s = 0;
    for (long i = 0; i < 2 * a.n; i++) {
        s += (a.z[i] - b.z[i]) * (a.z[i] - b.z[i]) / (2.0 * (double)a.n);
        cr_assert(a.dz[i] == 0);
    }
    cr_assert(fabs(sqrt(s) / 0.1 - 1) < 5 / sqrt(4.0 * (double)a.n));
    hnn_data_noise(&b, 0.1, 0, 3);
    cr_assert(memcmp(a.z, b.z, 2 * sizeof *a.z * (size_t)a.n) == 0);
    hnn_data_free(&a), hnn_data_free(&b);
}

Test(data, states_from_derivatives_are_the_exact_ones_up_to_the_mean_of_the_noise)
{
    hnn_data d;
    hnn_error e = {0};
    const long length[3] = {41, 3, 1};
    double mean = 0;
    cr_assert_eq(hnn_data_new(1, 3, length, 1, &d, &e), HNN_OK);
    for (int k = 0, i = 0; k < 3; k++)
        for (int j = 0; j < length[k]; j++, i++) {
            d.t[i] = 0.05 * j + 0.01 * (j % 3); /* irregular */
            d.z[2 * i] = sin(d.t[i]) + 0.1 * cos(37.0 * j), d.z[2 * i + 1] = cos(d.t[i]);
            d.dz[2 * i] = cos(d.t[i]), d.dz[2 * i + 1] = -sin(d.t[i]);
            mean += k == 0 ? 0.1 * cos(37.0 * j) / 41 : 0;
        }
    cr_assert_eq(hnn_data_integrate(&d, &e), HNN_OK, "%s", e.message);
    for (int j = 0; j < 41; j++) { /* cubic rule, h = 0.07: O(h^4) a unit of time */
        cr_expect_float_eq(d.z[2 * j], sin(d.t[j]) + mean, 1e-7);
        cr_expect_float_eq(d.z[2 * j + 1], cos(d.t[j]), 1e-7);
    }
    for (int j = 0; j < 3; j++)
        cr_expect_float_eq(d.z[2 * (41 + j) + 1], cos(d.t[41 + j]), 1e-5);
    cr_expect_float_eq(d.z[2 * 44], 0.1, 1e-15, "a trajectory of one row is its own mean");
    free(d.dz), d.dz = NULL;
    cr_expect_eq(hnn_data_integrate(&d, &e), HNN_EARG);
    hnn_data_free(&d);
}
