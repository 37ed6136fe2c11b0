/* root.c - F(y; x) = 0 for y in each row, by Newton's method; derivatives by the implicit-function theorem.
 *
 *   tangent   dy = -J^-1 (F_x dx)        pullback   x' = -F_x' (J^-T g)        J = dF/dy at the root
 *
 * both recorded on the tape with functions derived from F, so that every order follows.
 * Invariant: a row's root does not depend on the other rows: a row that has arrived is left alone.
 *
 * SPDX-License-Identifier: MIT */
#include "func.h"

#include <math.h>
#include <stdio.h>

typedef struct root {
    ad_object o;
    const ad_func *f;  /* F, one reference */
    const ad_func *fj; /* (y, x) -> F, J row by row; kept by F */
    int max_iter;
    double tolerance;
} root;

static void root_destroy(ad_object *o)
{
    root *r = (root *)o;
    if (r->f)
        ad_object_drop(&r->f->o);
}

/* F and its Jacobian in y: row i of J is the pullback of the i-th unit vector. */
static ad_func *record_jacobian(const ad_func *f, const uint8_t key[], ad_reason *why)
{
    (void)key;
    ad_tape *t = ad_new();
    int nin = f->o.nin, n = f->o.in[0].cols;
    ad_var *in = t ? malloc(((size_t)nin + (size_t)n) * sizeof *in) : NULL, *row = in + nin, out[2];
    double *unit = calloc((size_t)n, sizeof *unit);
    if (!in || !unit) {
        ad_free(t);
        free(in);
        free(unit);
        return NULL;
    }
    for (int i = 0; i < nin; i++)
        in[i] = ad_func_input(t, "x", i, f->o.in[i], ad_func_masked(f, i));
    out[1] = ad_void(t);
    if (ad_func_into(f, t, in, out)) {
        for (int i = 0; i < n; i++) {
            unit[i] = 1;
            ad_var seed = ad_const(t, 1, n, unit);
            ad_vjp(1, out, &seed, 1, in, &row[i]);
            unit[i] = 0;
        }
        out[1] = ad_concat_cols(n, row);
    }
    ad_func *g = ad_func_take(t, nin, in, 2, out, why);
    free(in);
    free(unit);
    return g;
}

/* Running ------------------------------------------------------------------------------------------ */

typedef struct root_state {
    ad_state s;
    const ad_kernels *k;
    int real;
    ad_work *work;
    const void **in;
    int64_t rows; /* that memory is for */
    char *memory, *f, *j, *step, *scratch;
    uint8_t *phase; /* of each row: on its way, close (one more step), arrived */
} root_state;

static void root_close(ad_state *state)
{
    root_state *s = (root_state *)state;
    ad_work_free(s->work);
    free(s->in);
    free(s->memory);
    free(s->phase);
    free(s);
}

static ad_state *root_open(const ad_object *o, int real, ad_pool *pool)
{
    const ad_program *p = ad_func_program(((const root *)o)->fj, real);
    root_state *s = p ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->s.object = o;
    s->real = real;
    s->k = ad_kernels_for(real);
    s->work = ad_work_new(p, pool);
    s->in = malloc((size_t)o->nin * sizeof *s->in);
    if (s->work && s->in)
        return &s->s;
    root_close(&s->s);
    return NULL;
}

static bool root_bind(root_state *s, int64_t rows, size_t n)
{
    size_t size = s->k->size, vector = ((size_t)rows * n * size + 63) & ~(size_t)63,
           matrix = ((size_t)rows * n * n * size + 63) & ~(size_t)63,
           one = ((n * n + 2 * n) * size + 63) & ~(size_t)63;
    free(s->memory);
    free(s->phase);
    s->memory = aligned_alloc(64, vector + matrix + 2 * one);
    s->phase = malloc((size_t)rows);
    s->rows = s->memory && s->phase ? rows : 0;
    if (!s->rows)
        return false;
    s->f = s->memory;
    s->j = s->f + vector;
    s->step = s->j + matrix;
    s->scratch = s->step + one;
    return true;
}

/* y -= step; the largest |step| relative to 1 + |y|. */
#define MOVE(name, REAL)                                                                                     \
    static double name(int n, void *y, const void *step)                                                     \
    {                                                                                                        \
        double most = 0;                                                                                     \
        for (int i = 0; i < n; i++) {                                                                        \
            REAL d = ((const REAL *)step)[i], v = ((REAL *)y)[i] -= d;                                       \
            double r = fabs((double)d) / (1 + fabs((double)v));                                              \
            most = r > most || r != r ? r : most;                                                            \
        }                                                                                                    \
        return most;                                                                                         \
    }
MOVE(move_f64, double)
MOVE(move_f32, float)
MOVE(move_f80, long double)

static double residual(const root_state *s, int n, int64_t row)
{
    double most = 0;
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)row * (size_t)n + (size_t)i;
        double v = s->real == AD_F32   ? (double)((const float *)(const void *)s->f)[at]
                   : s->real == AD_F80 ? (double)((const long double *)(const void *)s->f)[at]
                                       : ((const double *)(const void *)s->f)[at];
        most = fabs(v) > most || v != v ? fabs(v) : most;
    }
    return most;
}

/* What a type can reach. */
static double reachable(int real, double tolerance)
{
    static const double eps[3] = {2.3e-16, 1.2e-7, 1.1e-19};
    return tolerance > 16 * eps[real] ? tolerance : 16 * eps[real];
}

const ad_func *ad_root_newton(const ad_object *o, int real, int *max_iter, double *tolerance)
{
    const root *r = (const root *)o;
    *max_iter = r->max_iter;
    *tolerance = reachable(real, r->tolerance);
    return r->fj;
}

static int root_run(ad_kcall *c)
{
    static double (*const move[3])(int, void *, const void *) = {move_f64, move_f32, move_f80};
    root_state *s = c->state;
    const root *r = c->object;
    int n = r->o.out[0].cols;
    int64_t rows = ad_rows_at(r->o.out[0].rows, c->rows), left = rows;
    size_t size = s->k->size, row_size = (size_t)n * size;
    double tolerance = reachable(s->real, r->tolerance), last = 0;
    if (rows != s->rows && !root_bind(s, rows, (size_t)n)) {
        snprintf(s->s.message, sizeof s->s.message, "out of memory for %lld rows", (long long)rows);
        return AD_ENOMEM;
    }
    memcpy(c->dst, c->src[0], (size_t)rows * row_size);
    memset(s->phase, 0, (size_t)rows);
    s->in[0] = c->dst;
    for (int i = 1; i < r->o.nin; i++)
        s->in[i] = c->src[i];
    for (int it = 0; left > 0; it++) {
        int status = ad_run(s->work, (int)c->rows, s->in, (void *[]){s->f, s->j});
        if (status) {
            snprintf(s->s.message, sizeof s->s.message, "%s", ad_inner(ad_work_message(s->work)));
            return status;
        }
        for (int64_t i = 0; i < rows; i++) {
            if (s->phase[i] == 2)
                continue;
            if (it >= r->max_iter && s->phase[i] == 0) {
                c->bad_row = i;
                snprintf(
                    s->s.message, sizeof s->s.message,
                    "row %lld has not converged after %d steps: |F| = %.3g, the last step of any row %.3g",
                    (long long)i, r->max_iter, residual(s, n, i), last);
                return AD_EROOT;
            }
            const void *src[2] = {s->j + (size_t)i * row_size * (size_t)n, s->f + (size_t)i * row_size};
            const int64_t shape[2][2] = {{1, (int64_t)n * n}, {1, n}};
            const int32_t attr[3] = {n, 1, 0};
            ad_kcall solve = {.dst = s->step,
                              .src = src,
                              .rows = 1,
                              .cols = n,
                              .shape = shape,
                              .nargs = 2,
                              .nattr = 3,
                              .attr = attr,
                              .scratch = s->scratch};
            if (s->k->run[OP_ROW_SOLVE](&solve)) {
                c->bad_row = i;
                snprintf(s->s.message, sizeof s->s.message,
                         "row %lld: dF/dy is singular or not finite after %d steps, |F| = %.3g", (long long)i,
                         it, residual(s, n, i));
                return AD_EROOT;
            }
            last = move[s->real](n, (char *)c->dst + (size_t)i * row_size, s->step);
            if (s->phase[i] == 1)
                s->phase[i] = 2;
            else if (last <= tolerance)
                s->phase[i] = 1;
            left -= s->phase[i] == 2;
        }
    }
    return AD_OK;
}

/* Derivatives ---------------------------------------------------------------------------------------- */

/* J at the root, [rows, n*n]. */
static ad_var jacobian(const root *r, ad_var node, const ad_var a[], ad_var at[])
{
    ad_var fj[2];
    memcpy(at, a, (size_t)r->o.nin * sizeof *a);
    at[0] = ad_result(node, 0);
    ad_call(node.tape, r->fj, at, fj);
    return fj[1];
}

static void root_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[],
                          const bool want[], ad_var da[])
{
    const root *r = (const root *)o;
    ad_tape *t = node.tape;
    size_t nin = (size_t)o->nin;
    ad_var *at = malloc((2 * nin + 2) * sizeof *at), *dx = at + nin + 1;
    bool *wanted = calloc(nin + 1, sizeof *wanted), any = false;
    if (at && wanted) {
        for (int i = 1; i < o->nin; i++) {
            wanted[i] = want[i];
            any = any || want[i];
        }
        int n = o->out[0].cols;
        if (any) {
            ad_reason why;
            const ad_node *gn = ad_is_number(g[0]) ? NULL : ad_node_of(g[0]);
            const ad_func *v =
                ad_func_vjp(r->f, gn && gn->flags & NODE_MASKED, wanted, (const bool[]){true}, &why);
            ad_var j = jacobian(r, node, a, at),
                   gy = ad_shaped(t, g[0], ad_result_shape(o, 0, ad_rows(node)));
            at[nin] = ad_neg(ad_row_solve(ad_row_transpose(j, n, n), gy, n, 1));
            if (!v)
                ad_fail(t, why.status, "ad_vjp of ad_root: %s", why.message);
            else if (!ad_call(t, v, at, dx))
                for (int i = 1, k = 0; i < o->nin; i++)
                    if (want[i])
                        da[i] = dx[k++];
        }
    } else {
        ad_fail(t, AD_ENOMEM, "ad_vjp of ad_root: out of memory");
    }
    free(at);
    free(wanted);
}

static void root_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[], ad_var ty[])
{
    const root *r = (const root *)o;
    ad_tape *t = node.tape;
    size_t nin = (size_t)o->nin;
    ad_var *at = malloc(2 * nin * sizeof *at), fx;
    bool *moved = calloc(nin, sizeof *moved), any = false;
    if (at && moved) {
        int n = o->out[0].cols, k = o->nin;
        for (int i = 1; i < o->nin; i++) {
            moved[i] = !(ad_is_number(ta[i]) && ta[i].value == 0);
            any = any || moved[i];
            if (moved[i])
                at[k++] = ad_shaped(t, ta[i], ad_operand_shape(o, i, ad_rows(node)));
        }
        if (any) {
            ad_reason why;
            const ad_func *v = ad_func_jvp(r->f, moved, &why);
            ad_var j = jacobian(r, node, a, at);
            if (!v)
                ad_fail(t, why.status, "ad_jvp of ad_root: %s", why.message);
            else if (!ad_call(t, v, at, &fx))
                ty[0] = ad_neg(ad_row_solve(j, fx, n, 1));
        }
    } else {
        ad_fail(t, AD_ENOMEM, "ad_jvp of ad_root: out of memory");
    }
    free(at);
    free(moved);
}

static const ad_class root_class = {.op = OP_ROOT,
                                    .destroy = root_destroy,
                                    .open = root_open,
                                    .close = root_close,
                                    .run = root_run,
                                    .pullback = root_pullback,
                                    .tangent = root_tangent};

ad_var ad_root(ad_tape *t, const ad_func *F, ad_var start, int nx, const ad_var x[],
               const ad_root_options *options)
{
    ad_root_options o = options ? *options : (ad_root_options){0};
    char s[2][32];
    if (ad_status(t))
        return ad_void(t);
    if (!F || nx < 0 || (nx && !x) || o.max_iter < 0 || !(o.tolerance >= 0))
        return ad_fail(t, AD_EARG,
                       "ad_root: %d parameters, at most %d steps, tolerance %g; needs a function and no "
                       "negative number",
                       nx, o.max_iter, o.tolerance);
    if (F->o.nin != nx + 1 || F->o.nout != 1)
        return ad_fail(t, AD_EARG,
                       "ad_root: a function of %d inputs and %d outputs; needs %d (y, then x) and 1",
                       F->o.nin, F->o.nout, nx + 1);
    if (F->o.in[0].rows != F->o.out[0].rows || F->o.in[0].cols != F->o.out[0].cols)
        return ad_fail(t, AD_ESHAPE, "ad_root: y is %s and F is %s; must be equal",
                       ad_shape_text(s[0], F->o.in[0].rows, F->o.in[0].cols),
                       ad_shape_text(s[1], F->o.out[0].rows, F->o.out[0].cols));
    ad_reason why;
    const ad_func *fj = ad_derived(F, 1, (const uint8_t[]){AD_KEY_ROOT}, record_jacobian, &why);
    if (!fj)
        return ad_fail(t, why.status, "ad_root: %s", why.message);
    root *r = calloc(1, sizeof *r);
    ad_var *in = malloc(((size_t)nx + 1) * sizeof *in), y = ad_void(t);
    if (!r || !in || !ad_object_sign(&r->o, &root_class, nx + 1, 1)) {
        free(r);
        free(in);
        return ad_fail(t, AD_ENOMEM, "ad_root: out of memory");
    }
    r->f = F;
    ad_object_keep(&F->o);
    r->fj = fj;
    r->max_iter = o.max_iter ? o.max_iter : 50;
    r->tolerance = o.tolerance > 0 ? o.tolerance : 1e-12;
    in[0] = start;
    for (int i = 0; i <= nx; i++)
        r->o.in[i] = F->o.in[i];
    for (int i = 0; i < nx; i++)
        in[i + 1] = x[i];
    r->o.out[0] = F->o.out[0];
    ad_object_lay(&r->o);
    y = ad_result(ad_object_node(t, "ad_root", &r->o, in), 0);
    ad_object_drop(&r->o);
    free(in);
    return y;
}
