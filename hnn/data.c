/* data.c - from tables to trajectories. Invariant: rows keep the order of the file within their trajectory; what is
 * left out is counted. */
/* SPDX-License-Identifier: MIT */
#include "data.h"
#include "io/table.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* a trajectory while it is being collected */
struct run {
    int file;
    double trial;
    long block, count;
    double first, last; /* times */
};

struct loader {
    const hnn_data_options *o;
    int dof, derivatives, has_time; /* -1 until the first file */
    hnn_text run, id, row;          /* struct run; long; doubles: t, z, dz */
    long n, missing, repeated;
    int runs, width; /* doubles of a row */
};

void hnn_data_free(hnn_data *d)
{
    free(d->offset);
    free(d->t);
    free(d->z);
    free(d->dz);
    *d = (hnn_data){0};
}

int hnn_data_new(int dof, int ntraj, const long length[], int derivatives, hnn_data *d, hnn_error *e)
{
    *d = (hnn_data){.dof = dof, .ntraj = ntraj, .has_time = 1};
    if (dof < 1 || ntraj < 0)
        return hnn_fail(e, HNN_EARG, "data with %d degrees of freedom in %d trajectories", dof, ntraj);
    d->offset = calloc((size_t)ntraj + 1, sizeof *d->offset);
    for (int k = 0; d->offset && k < ntraj; k++)
        d->offset[k + 1] = d->n += length[k];
    size_t n = (size_t)d->n + (d->n == 0), width = 2 * (size_t)dof;
    if (n < SIZE_MAX / 16 / width) {
        d->t = calloc(n, sizeof *d->t);
        d->z = calloc(n * width, sizeof *d->z);
        d->dz = derivatives ? calloc(n * width, sizeof *d->dz) : NULL;
    }
    if (!d->offset || !d->t || !d->z || (derivatives && !d->dz)) {
        hnn_data_free(d);
        return hnn_fail(e, HNN_EMEM, "out of memory for %zu rows of %zu", n, width);
    }
    return HNN_OK;
}

static struct run *run_at(struct loader *l, int k) { return (struct run *)(void *)l->run.s + k; }

/* the trajectory of a row, new if need be; -1 when memory ran out */
static int find_run(struct loader *l, int file, double trial, long block)
{
    for (int k = l->runs - 1; k >= 0; k--) { /* nearly always the last one */
        struct run *r = run_at(l, k);
        if (r->file != file)
            break;
        if (r->trial == trial && r->block == block)
            return k;
    }
    struct run r = {file, trial, block, 0, 0, 0};
    hnn_text_bytes(&l->run, &r, sizeof r);
    return l->run.failed ? -1 : l->runs++;
}

static int where(char s[32], const hnn_table *t, long row)
{
    hnn_text x = {0};
    hnn_text_printf(&x, t->line ? ":%ld" : ": row %ld", t->line ? t->line[row] : row + 1);
    strncpy(s, x.s ? x.s : "", 31);
    s[31] = 0;
    hnn_text_free(&x);
    return 0;
}

static int add_row(struct loader *l, const char *path, int file, const hnn_table *t, const hnn_role role[],
                   long r, double row[], long *restart, hnn_error *e)
{
    const double *v = t->v + r * t->cols;
    double trial = 0, time = 0;
    char at[32];
    int time_column = 0;
    for (int c = 0; c < t->cols; c++) {
        if (!role[c].kind)
            continue;
        if (isnan(v[c])) {
            l->missing++;
            return HNN_OK;
        }
        if (isinf(v[c])) {
            where(at, t, r);
            return hnn_fail(e, HNN_EFORMAT, "%s%s: the value in column %d is not finite", path, at, c + 1);
        }
        int n = l->dof, k = role[c].index;
        switch (role[c].kind) {
        case 'i':
            trial = v[c];
            break;
        case 't':
            time = v[c], time_column = c + 1;
            break;
        case 'q':
            row[1 + k] = v[c];
            break;
        case 'p':
            row[1 + n + k] = v[c];
            break;
        case 'Q':
            row[1 + 2 * n + k] = v[c];
            break;
        default:
            row[1 + 3 * n + k] = v[c];
        }
    }
    int trials = 0;
    for (int c = 0; c < t->cols; c++)
        trials |= role[c].kind == 'i';
    long block = trials ? 0 : l->o->rows > 0 && t->flat ? r / l->o->rows : t->block[r];
    if (l->o->rows > 0 && !trials && t->line)
        block = r / l->o->rows;
    int k = find_run(l, file, trial, trials ? 0 : block + (*restart << 32));
    if (k >= 0 && l->has_time && run_at(l, k)->count) {
        struct run *run = run_at(l, k);
        if (time == run->last) {
            l->repeated++;
            return HNN_OK;
        }
        if (time < run->last) {
            if (trials || time > run->first) {
                where(at, t, r);
                return hnn_fail(e, HNN_EFORMAT,
                                "%s%s: time in column %d goes back from %.9g to %.9g; separate "
                                "trajectories by a trial column, a blank line or files",
                                path, at, time_column, run->last, time);
            }
            k = find_run(l, file, trial, block + (++*restart << 32)); /* recordings one after another */
        }
    }
    if (k < 0)
        return hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    struct run *run = run_at(l, k);
    if (!l->has_time)
        time = (double)run->count * (l->o->dt > 0 ? l->o->dt : 1);
    if (!run->count++)
        run->first = time;
    run->last = time;
    row[0] = time;
    long id = k;
    hnn_text_bytes(&l->id, &id, sizeof id);
    hnn_text_bytes(&l->row, row, sizeof *row * (size_t)l->width);
    l->n++;
    return HNN_OK;
}

static int add_table(struct loader *l, const char *path, int file, const hnn_table *t, hnn_error *e)
{
    int dof = 0, derivatives = 0, has_time = 0, only = l->o->coords == HNN_Q;
    hnn_role *role = malloc(sizeof *role * (size_t)t->cols);
    if (!role)
        return hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    int code = hnn_table_roles(path, t, l->o->columns, only, role, &dof, e);
    for (int c = 0; !code && c < t->cols; c++) {
        derivatives |= role[c].kind == 'Q';
        has_time |= role[c].kind == 't';
    }
    if (!code && l->dof < 0) {
        l->dof = dof;
        l->derivatives = derivatives;
        l->has_time = has_time;
        l->width = 1 + (derivatives ? 4 : 2) * dof;
    } else if (!code && (dof != l->dof || derivatives != l->derivatives || has_time != l->has_time))
        code = hnn_fail(e, HNN_ESHAPE,
                        "%s: %d degrees of freedom,%s derivatives,%s time; the files before it: %d,%s,%s",
                        path, dof, derivatives ? "" : " no", has_time ? "" : " no", l->dof,
                        l->derivatives ? "" : " no", l->has_time ? "" : " no");
    double *row = code ? NULL : calloc((size_t)l->width, sizeof *row);
    if (!code && !row)
        code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    long restart = 0;
    for (long r = 0; !code && r < t->rows; r++)
        code = add_row(l, path, file, t, role, r, row, &restart, e);
    free(row);
    free(role);
    return code;
}

/* collected rows, sorted by trajectory without changing their order */
static int gather(struct loader *l, hnn_data *d, hnn_error *e)
{
    long *length = malloc(sizeof *length * (size_t)(l->runs ? l->runs : 1));
    long *next = malloc(sizeof *next * (size_t)(l->runs ? l->runs : 1));
    int code = HNN_OK;
    if (!length || !next)
        code = hnn_fail(e, HNN_EMEM, "out of memory for %d trajectories", l->runs);
    for (int k = 0; !code && k < l->runs; k++)
        length[k] = run_at(l, k)->count;
    if (!code)
        code = hnn_data_new(l->dof, l->runs, length, l->derivatives, d, e);
    if (!code) {
        memcpy(next, d->offset, sizeof *next * (size_t)l->runs);
        size_t width = 2 * (size_t)l->dof;
        for (long r = 0; r < l->n; r++) {
            long id = ((const long *)(const void *)l->id.s)[r], to = next[id]++;
            const double *row = (const double *)(const void *)l->row.s + r * l->width;
            d->t[to] = row[0];
            memcpy(d->z + (size_t)to * width, row + 1, width * sizeof *row);
            if (d->dz)
                memcpy(d->dz + (size_t)to * width, row + 1 + width, width * sizeof *row);
        }
        d->coords = l->o->coords;
        d->has_time = l->has_time || l->o->dt > 0;
        d->missing = l->missing;
        d->repeated = l->repeated;
    }
    free(length);
    free(next);
    return code;
}

/* positions only: velocities and accelerations from the same polynomial */
static int add_velocities(hnn_data *d, int order, int half_width, hnn_error *e)
{
    int n = d->dof;
    if (!d->has_time)
        return hnn_fail(e, HNN_ESHAPE, "positions without times: velocities need a time column or --dt");
    d->dz = calloc((size_t)d->n * 2 * (size_t)n, sizeof *d->dz);
    if (!d->dz)
        return hnn_fail(e, HNN_EMEM, "out of memory for derivatives");
    for (int k = 0; k < d->ntraj; k++) {
        long first = d->offset[k], count = d->offset[k + 1] - first;
        if (count < 3)
            return hnn_fail(e, HNN_ESHAPE, "trajectory %d has %ld rows; velocities from positions need 3",
                            k + 1, count);
        for (long i = 0; i < count; i++)
            for (int j = 0; j < n; j++) {
                hnn_fit f =
                    hnn_local_fit(count, d->t + first, d->z + first * 2 * n + j, 2 * n, i, order, half_width);
                double *rate = d->dz + (first + i) * 2 * n;
                rate[j] = f.d1;
                rate[n + j] = f.d2;
            }
    }
    for (long i = 0; i < d->n; i++)
        memcpy(d->z + i * 2 * n + n, d->dz + i * 2 * n, sizeof *d->z * (size_t)n);
    d->dz_estimated = d->v_estimated = 1;
    return HNN_OK;
}

int hnn_data_load(int files, const char *const path[], const hnn_data_options *o, hnn_data *d, hnn_error *e)
{
    static const hnn_data_options none;
    struct loader l = {.o = o ? o : &none, .dof = -1};
    int code = files < 1 ? hnn_fail(e, HNN_EARG, "no data file") : HNN_OK;
    *d = (hnn_data){0};
    for (int i = 0; !code && i < files; i++) {
        size_t n = strlen(path[i]), size;
        const char *end = n > 4 ? path[i] + n - 4 : "";
        hnn_table t = {0};
        if (l.o->derivatives && (strcmp(end, ".npy") != 0 || files > 1))
            code = hnn_fail(
                e, HNN_EARG,
                "%s: derivatives in a file of their own (%.100s) belong to one .npy of states; text and "
                ".npz have them in columns such as dq, dp",
                path[i], l.o->derivatives);
        else if (strcmp(end, ".npy") == 0 || strcmp(end, ".npz") == 0)
            code = hnn_table_arrays(path[i], l.o->derivatives, &t, e);
        else {
            char *bytes;
            code = hnn_file_read(path[i], &bytes, &size, e);
            if (!code)
                code = hnn_table_text(path[i], bytes, size, &t, e);
            free(bytes);
        }
        if (!code)
            code = add_table(&l, path[i], i, &t, e);
        hnn_table_free(&t);
    }
    if (!code && (l.id.failed || l.row.failed || l.run.failed))
        code = hnn_fail(e, HNN_EMEM, "%s: out of memory", path[0]);
    if (!code && l.n == 0)
        code = hnn_fail(e, HNN_EFORMAT, "%s: no complete row (%ld have a missing value)", path[0], l.missing);
    if (!code)
        code = gather(&l, d, e);
    if (!code && l.o->coords == HNN_Q)
        code = add_velocities(d, l.o->order ? l.o->order : 3, l.o->half_width ? l.o->half_width : 3, e);
    hnn_text_free(&l.run);
    hnn_text_free(&l.id);
    hnn_text_free(&l.row);
    if (code)
        hnn_data_free(d);
    return code;
}
