/* table_arrays.c - .npy and .npz files as tables, so that one path leads from any file to trajectories.
 * Invariant: columns get the names t, trial, q1.., p1.., dq1.., dp1.. wherever the file says what they are. */
/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "table.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* rows and columns of [N], [N, c] or [B, T, c]; 0 if it is neither */
static int as_rows(const hnn_array *a, long *rows, long *cols, long *length)
{
    if (a->dims < 1 || a->dims > 3)
        return 0;
    *cols = a->dims == 1 ? 1 : a->dim[a->dims - 1];
    *rows = a->dims == 3 ? a->dim[0] * a->dim[1] : a->dim[0];
    *length = a->dims == 3 ? a->dim[1] : *rows;
    return *rows > 0 && *cols > 0 && *cols < 4096;
}

static const hnn_array *find(const hnn_arrays *s, const char *const name[])
{
    const hnn_array *a = NULL;
    for (int i = 0; !a && name[i]; i++)
        a = hnn_arrays_find(s, name[i]);
    return a;
}

struct part {
    const hnn_array *a;
    const char *first, *second; /* names of the first and the second half of the columns */
    long cols;
};

static int assemble(const char *path, int parts, const struct part p[], long rows, long length, hnn_table *t,
                    hnn_error *e)
{
    long cols = 0, c = 0;
    for (int k = 0; k < parts; k++)
        cols += p[k].cols;
    t->rows = rows;
    t->cols = (int)cols;
    t->v = malloc(sizeof *t->v * (size_t)(rows * cols));
    t->block = malloc(sizeof *t->block * (size_t)rows);
    t->name = calloc((size_t)cols, sizeof *t->name);
    int good = t->v && t->block && t->name;
    for (int k = 0; good && k < parts; k++) {
        int half = (int)(p[k].second && p[k].cols > 1 ? p[k].cols / 2 : p[k].cols);
        for (int j = 0; good && j < p[k].cols; j++) {
            hnn_text name = {0};
            hnn_text_printf(&name, "%s%d", j < half ? p[k].first : p[k].second, j % half + 1);
            good = !name.failed;
            t->name[t->names++] = name.s;
        }
        for (long r = 0; good && r < rows; r++)
            for (long j = 0; j < p[k].cols; j++) /* t of [T] serves every trajectory */
                t->v[r * cols + c + j] =
                    p[k].a->v[(p[k].cols == 1 && p[k].a->size < rows ? r % length : r * p[k].cols) + j];
        c += p[k].cols;
    }
    for (long r = 0; good && r < rows; r++)
        t->block[r] = r / length;
    t->flat = length == rows;
    return good ? HNN_OK : hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
}

static int from_npz(const char *path, hnn_table *t, hnn_error *e)
{
    static const char *const states[] = {"z", "x", "states", "coords", "data", NULL},
                             *const q[] = {"q", NULL}, *const p[] = {"p", "v", NULL},
                             *const times[] = {"t", "time", "times", NULL},
                             *const trials[] = {"trial", "traj", NULL},
                             *const rates[] = {"dz", "dx", "dcoords", "derivatives", NULL},
                             *const dq[] = {"dq", NULL}, *const dp[] = {"dp", "dv", NULL};
    const struct {
        const char *const *names, *first, *second;
    } wanted[] = {{trials, "trial", NULL}, {times, "t", NULL},  {states, "q", "p"}, {q, "q", NULL},
                  {p, "p", NULL},          {rates, "dq", "dp"}, {dq, "dq", NULL},   {dp, "dp", NULL}};
    hnn_arrays s;
    struct part part[8];
    int parts = 0, code = hnn_npz_read(path, &s, e), bare = 0;
    if (code)
        return code;
    const hnn_array *z = find(&s, states), *base = z ? z : find(&s, q);
    long rows = 0, length = 0, n = 0;
    if (!base || !as_rows(base, &rows, &n, &length))
        code = hnn_fail(e, HNN_EFORMAT,
                        "%s: holds %d arrays, but none named z, x, states, coords, data or q with rows", path,
                        s.n);
    for (size_t k = 0; !code && k < sizeof wanted / sizeof *wanted; k++) {
        const hnn_array *a = find(&s, wanted[k].names);
        long r = 0, c = 0, l = 0;
        if (!a || (z && (wanted[k].names == q || wanted[k].names == p)))
            continue;
        if (k < 2 ||
            (a->dims == 2 && base->dims == 3 && a->dim[0] * a->dim[1] == rows && a->dim[1] == length))
            c = 1, r = a->size; /* one number a row, whatever its shape */
        else if (!as_rows(a, &r, &c, &l))
            r = -1, c = 1;
        bare |= a == z && c % 2;
        if ((r != rows && !(k < 2 && r == length)) || (wanted[k].second && !bare && c % 2))
            code = hnn_fail(e, HNN_ESHAPE, "%s: array %s has %ld rows of %ld, %s has %ld rows", path, a->name,
                            r, c, base->name, rows);
        else
            part[parts++] = (struct part){a, wanted[k].first, c % 2 ? NULL : wanted[k].second, c};
    }
    if (!code)
        code = assemble(path, parts, part, rows, length, t, e);
    hnn_arrays_free(&s);
    return code;
}

static int from_npy(const char *path, const char *derivatives, hnn_table *t, hnn_error *e)
{
    hnn_array a = {0}, d = {0};
    struct part part[2] = {{&a, "q", "p", 0}, {&d, "dq", "dp", 0}};
    long rows = 0, cols = 0, length = 0, r = 0, c = 0, l = 0;
    int code = hnn_npy_read(path, &a, e);
    if (!code && !as_rows(&a, &rows, &cols, &length))
        code = hnn_fail(e, HNN_ESHAPE,
                        "%s: %d dimensions; [rows, columns] or [trajectories, rows, columns] were needed",
                        path, a.dims);
    if (!code && derivatives)
        code = hnn_npy_read(derivatives, &d, e);
    if (!code && derivatives && (!as_rows(&d, &r, &c, &l) || r != rows || c != cols || c % 2))
        code = hnn_fail(e, HNN_ESHAPE, "%s: its shape is not that of %s, or its columns are odd in number",
                        derivatives, path);
    if (!code) {
        part[0].cols = part[1].cols = cols;
        code = assemble(path, derivatives ? 2 : 1, part, rows, length, t, e);
    }
    if (!code && !derivatives) { /* bare numbers: the count of columns, or the user, says what they are */
        for (int i = 0; i < t->names; i++)
            free(t->name[i]);
        t->names = 0;
        t->states = cols % 2 == 0 || cols == 1;
    }
    hnn_array_free(&a);
    hnn_array_free(&d);
    return code;
}

int hnn_table_arrays(const char *path, const char *derivatives, hnn_table *t, hnn_error *e)
{
    size_t n = strlen(path);
    *t = (hnn_table){0};
    int code =
        n > 4 && strcmp(path + n - 4, ".npz") == 0 ? from_npz(path, t, e) : from_npy(path, derivatives, t, e);
    if (code)
        hnn_table_free(t);
    return code;
}
