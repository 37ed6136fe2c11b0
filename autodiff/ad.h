/* ad.h - the whole public interface of the engine, in the order one would teach it.
 *
 * A tape records mathematics. Reverse mode records derivatives on the same tape, so derivatives of
 * any order exist. Values are dense matrices of rank at most 2, row-major; every elementwise
 * operation broadcasts as NumPy does for rank 2. Nothing here prints, exits or aborts: the first
 * error of a tape is kept with its message, and everything recorded after it is void.
 *
 * SPDX-License-Identifier: MIT */
#ifndef NOETHER_AD_H
#define NOETHER_AD_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define AD_API __attribute__((visibility("default")))
#define AD_ANON __extension__
#else
#define AD_API
#define AD_ANON
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* 1. Tapes, values, errors ------------------------------------------------------------------- */

typedef struct ad_tape ad_tape;

/* A value by name: 16 bytes, passed by value. Without a tape it is a number; with a tape it is node
 * `id`, recorded in generation `mark`; id -1 is the void value, the result of a failed call. */
typedef struct ad_var {
    ad_tape *tape;
    AD_ANON union {
        AD_ANON struct {
            int32_t id;
            uint32_t mark;
        };
        double value;
    };
} ad_var;

/* Status codes. The first error of a tape, a program or a workspace is sticky. */
enum {
    AD_OK = 0,
    AD_ENOMEM,       /* an allocation failed */
    AD_ESHAPE,       /* shapes do not fit the operation */
    AD_ETAPE,        /* operands from different tapes, or no tape where one is needed */
    AD_ESTALE,       /* a handle or mark that ad_rewind has removed */
    AD_EARG,         /* an argument outside its range */
    AD_ENAME,        /* an unknown or repeated name */
    AD_EPARSE,       /* a text that is not an expression; the message has the column and a caret */
    AD_EUNBOUND,     /* an input without a value */
    AD_EDOMAIN,      /* run time: a matrix that is singular or not positive definite */
    AD_EROOT,        /* run time: a root that did not converge */
    AD_ECALL,        /* run time: a callback that failed */
    AD_EUNSUPPORTED, /* this cannot be done for these operations; the message names them */
    AD_EIO           /* a file, a compiler or a loader failed */
};
AD_API const char *ad_status_name(int status); /* "AD_ESHAPE" ... */

/* ad_new - an empty tape, which owns all that is recorded on it. NULL when out of memory; every call
 * accepts that NULL and returns a void value. */
AD_API ad_tape *ad_new(void);
AD_API void ad_free(ad_tape *t);
AD_API int ad_status(const ad_tape *t);          /* AD_OK or the code of the first error */
AD_API const char *ad_message(const ad_tape *t); /* "" or the first error: operation, given, needed */
AD_API void ad_clear(ad_tape *t);                /* re-arm after an error; what was recorded before stays */

/* A position on the tape. ad_rewind removes all that was recorded after it (in the reverse order of
 * ad_here); a handle to a removed node is then stale, an error and not a crash. */
typedef struct ad_mark {
    int32_t nodes, inputs, ext;
    uint32_t epoch;
    int64_t values;
} ad_mark;
AD_API ad_mark ad_here(ad_tape *t);
AD_API void ad_rewind(ad_tape *t, ad_mark to);

/* A row count: a number, or AD_BATCH, bound when a program runs; -k stands for k times the batch. */
#define AD_BATCH (-1)

static inline ad_var ad_num(double value)
{ /* a number: needs no tape */
    ad_var v;
    v.tape = NULL;
    v.value = value;
    return v;
}
AD_API ad_var ad_input(ad_tape *t, const char *name, int rows, int cols);      /* a named variable */
AD_API ad_var ad_const(ad_tape *t, int rows, int cols, const double values[]); /* copied, row-major */
AD_API ad_var ad_fill(ad_tape *t, int rows, int cols,
                      double value);     /* all elements equal; rows may be AD_BATCH */
AD_API ad_var ad_eye(ad_tape *t, int n); /* identity [n,n] */

AD_API int ad_is_number(ad_var x);    /* 1 for ad_num(...) */
AD_API int ad_is_void(ad_var x);      /* 1 for the result of a failed call, or a stale handle */
AD_API int ad_rows(ad_var x);         /* rows: >= 1, or -k for k times the batch; 0 when void */
AD_API int ad_cols(ad_var x);         /* columns; 0 when void */
AD_API const char *ad_name(ad_var x); /* the name of an input, the operation of a node, "number", "void" */
AD_API int32_t ad_nodes(const ad_tape *t);    /* nodes recorded so far */
AD_API size_t ad_bytes(const ad_tape *t);     /* memory of the tape, bytes; not of functions it calls */
AD_API int ad_inputs(const ad_tape *t);       /* inputs recorded so far */
AD_API ad_var ad_input_at(ad_tape *t, int i); /* the i-th input, in recording order */
AD_API ad_var ad_find(ad_tape *t, const char *name); /* an input by name; void (no error) when absent */

/* Bind an input and evaluate now, one node at a time: for teaching, debugging, and as the oracle. */
AD_API int ad_set(ad_var x, int rows,
                  const double values[]); /* copies rows*cols numbers; rows fixes the batch */
AD_API const double *ad_value(ad_var x); /* rows*cols numbers, owned by the tape, valid until the next ad_set,
                                          * ad_rewind or recording; NULL on error */
AD_API double ad_scalar(ad_var x);       /* the one element of a [1,1] value, or of a number; NaN on error */

/* 2. Elementwise operations: y = f(x), with broadcasting ---------------------------------------- */

AD_API ad_var ad_neg(ad_var x);    /* -x */
AD_API ad_var ad_square(ad_var x); /* x^2 */
AD_API ad_var ad_sqrt(ad_var x);   /* x^(1/2) */
AD_API ad_var ad_cbrt(ad_var x);   /* x^(1/3), odd */
AD_API ad_var ad_exp(ad_var x);    /* e^x */
AD_API ad_var ad_expm1(ad_var x);  /* e^x - 1, accurate near 0 */
AD_API ad_var ad_log(ad_var x);    /* ln x */
AD_API ad_var ad_log1p(ad_var x);  /* ln(1 + x), accurate near 0 */
AD_API ad_var ad_sin(ad_var x);
AD_API ad_var ad_cos(ad_var x);
AD_API ad_var ad_tan(ad_var x);
AD_API ad_var ad_asin(ad_var x);
AD_API ad_var ad_acos(ad_var x);
AD_API ad_var ad_atan(ad_var x);
AD_API ad_var ad_sinh(ad_var x);
AD_API ad_var ad_cosh(ad_var x);
AD_API ad_var ad_tanh(ad_var x);
AD_API ad_var ad_dtanh(ad_var x); /* 1/cosh(x)^2, the derivative of tanh, to full relative accuracy */
AD_API ad_var ad_asinh(ad_var x);
AD_API ad_var ad_acosh(ad_var x);
AD_API ad_var ad_atanh(ad_var x);
AD_API ad_var ad_sigmoid(ad_var x);  /* 1/(1 + e^-x) */
AD_API ad_var ad_softplus(ad_var x); /* ln(1 + e^x), no overflow */
AD_API ad_var ad_relu(ad_var x);     /* max(x, 0) */
AD_API ad_var ad_silu(ad_var x);     /* x sigmoid(x) */
AD_API ad_var ad_gelu(ad_var x);     /* x Phi(x), Phi the normal distribution function */
AD_API ad_var ad_elu(ad_var x);      /* x for x > 0, e^x - 1 below */
AD_API ad_var ad_erf(ad_var x);      /* 2/sqrt(pi) int_0^x e^-t^2 dt */
AD_API ad_var ad_erfc(ad_var x);     /* 1 - erf(x), accurate for large x */
AD_API ad_var ad_abs(ad_var x);      /* |x|; derivative 0 at 0 */
AD_API ad_var ad_sign(ad_var x);     /* -1, 0, 1; derivative 0 */

AD_API ad_var ad_add(ad_var a, ad_var b);
AD_API ad_var ad_sub(ad_var a, ad_var b);
AD_API ad_var ad_mul(ad_var a, ad_var b);
AD_API ad_var ad_div(ad_var a, ad_var b);
AD_API ad_var ad_mulz(ad_var a, ad_var b);  /* a b, and 0 where a or b is 0, whatever the other is */
AD_API ad_var ad_divz(ad_var a, ad_var b);  /* a / b, and 0 where a = 0 whatever b is */
AD_API ad_var ad_pow(ad_var a, ad_var b);   /* a^b */
AD_API ad_var ad_atan2(ad_var a, ad_var b); /* angle of the point (b, a) */
AD_API ad_var ad_hypot(ad_var a, ad_var b); /* sqrt(a^2 + b^2), no overflow */
AD_API ad_var ad_min(ad_var a, ad_var b);   /* the derivative goes to a where a = b */
AD_API ad_var ad_max(ad_var a, ad_var b);   /* the derivative goes to a where a = b */
AD_API ad_var ad_lt(ad_var a, ad_var b);    /* 1 where a < b, else 0; derivative 0 */
AD_API ad_var ad_le(ad_var a, ad_var b);    /* 1 where a <= b, else 0; derivative 0 */
AD_API ad_var ad_eq(ad_var a, ad_var b);    /* 1 where a = b, else 0; derivative 0 */
AD_API ad_var ad_where(ad_var c, ad_var a, ad_var b); /* a where c is not 0, else b */
AD_API ad_var ad_fma(ad_var a, ad_var b, ad_var c);   /* a b + c, rounded once: for sums with their errors */
AD_API ad_var ad_add_n(int n, const ad_var x[]);      /* x0 + x1 + ..., left to right */

/* 3. Sums and shapes -------------------------------------------------------------------------- */

AD_API ad_var ad_sum(ad_var x);       /* all elements -> [1,1] */
AD_API ad_var ad_sum_rows(ad_var x);  /* over rows:    [r,c] -> [1,c] */
AD_API ad_var ad_sum_cols(ad_var x);  /* over columns: [r,c] -> [r,1] */
AD_API ad_var ad_mean(ad_var x);      /* of all elements -> [1,1]; the batch size is known when it runs */
AD_API ad_var ad_count(ad_var x);     /* the number of rows of x, as a value [1,1]; derivative 0 */
AD_API ad_var ad_logsumexp(ad_var x); /* per row: ln sum_j e^x_j -> [r,1], no overflow */
AD_API ad_var ad_norm(ad_var x); /* per row: sqrt(sum_j x_j^2) -> [r,1], no overflow; derivative 0 at 0 */

AD_API ad_var ad_reshape(ad_var x, int rows, int cols); /* the same elements in row-major order */
AD_API ad_var ad_expand(ad_var x, int rows, int cols);  /* repeat rows or columns of size 1 */
AD_API ad_var ad_sum_to(ad_var x, int rows, int cols);  /* transpose of ad_expand: sum to that shape */
AD_API ad_var ad_slice(ad_var x, int row, int rows, int col,
                       int cols);                      /* a block; rows of a batch only whole */
AD_API ad_var ad_cols_of(ad_var x, int col, int cols); /* columns col ... col+cols-1 of every row */
AD_API ad_var ad_rows_of(ad_var x, int row, int rows); /* rows row ... row+rows-1 */
AD_API ad_var ad_at(ad_var x, int row, int col);       /* one element [1,1] */
AD_API ad_var ad_pad(ad_var x, int above, int below, int left, int right); /* zeros around */
AD_API ad_var ad_concat_rows(int n, const ad_var x[]);                     /* one below the other */
AD_API ad_var ad_concat_cols(int n, const ad_var x[]);                     /* side by side */
AD_API ad_var ad_gather_cols(ad_var x, int n, const int index[]);          /* y[:,k] = x[:,index[k]] */
AD_API ad_var ad_gather_rows(ad_var x, int n, const int index[]);          /* y[k,:] = x[index[k],:] */
AD_API ad_var ad_scatter_cols(ad_var x, int cols,
                              const int index[]); /* y[:,index[k]] += x[:,k], y has cols columns */
AD_API ad_var ad_scatter_rows(ad_var x, int rows,
                              const int index[]); /* y[index[k],:] += x[k,:], y has rows rows */
AD_API ad_var ad_stop(ad_var x);                  /* x, with derivative 0 */

/* 4. Matrices --------------------------------------------------------------------------------- */

AD_API ad_var ad_transpose(ad_var x);           /* [r,c] -> [c,r]; not for a batch of rows */
AD_API ad_var ad_matmul(ad_var a, ad_var b);    /* a b:   [m,k] [k,n] -> [m,n] */
AD_API ad_var ad_matmul_nt(ad_var a, ad_var b); /* a b':  [m,k] [n,k] -> [m,n] */
AD_API ad_var ad_matmul_tn(ad_var a, ad_var b); /* a' b:  [k,m] [k,n] -> [m,n]; sums over a batch */
AD_API ad_var ad_matmul_tt(ad_var a, ad_var b); /* a' b': [k,m] [n,k] -> [m,n] */
AD_API ad_var ad_dot(ad_var a, ad_var b);       /* sum of a*b over all elements -> [1,1] */
AD_API ad_var ad_outer(ad_var a, ad_var b);     /* a b' of two vectors (row or column): [m] [n] -> [m,n] */
AD_API ad_var ad_diag(ad_var v);                /* vector of n -> diagonal matrix [n,n] */
AD_API ad_var ad_diagonal(ad_var a);            /* [n,n] -> its diagonal [1,n] */
AD_API ad_var ad_trace(ad_var a);               /* [n,n] -> [1,1] */
AD_API ad_var ad_tril_pack(ad_var a);           /* [n,n] -> lower triangle by rows [1,n(n+1)/2] */
AD_API ad_var ad_tril_unpack(ad_var v);         /* [1,n(n+1)/2] -> lower triangle [n,n], zeros above */
AD_API ad_var ad_solve(ad_var a, ad_var b);     /* a^-1 b: [n,n] [n,k] -> [n,k], pivoted LU */
AD_API ad_var ad_cholesky(ad_var a);            /* L, a = L L', from the lower triangle of a */
AD_API ad_var ad_logdet(ad_var a);              /* ln |det a| -> [1,1] */
/* The same, one small matrix in each row: an m x n matrix is a row of m*n numbers. A side with one row
 * is shared by all. */
AD_API ad_var ad_row_matmul(ad_var a, ad_var b, int m, int k, int n); /* [B,m*k] [B,k*n] -> [B,m*n] */
AD_API ad_var ad_row_transpose(ad_var a, int m, int n);               /* [B,m*n] -> [B,n*m] */
AD_API ad_var ad_row_dot(ad_var a, ad_var b);                         /* [B,n] [B,n] -> [B,1] */
AD_API ad_var ad_row_outer(ad_var a, ad_var b);                       /* [B,m] [B,n] -> [B,m*n] */
AD_API ad_var ad_row_diag(ad_var v);                                  /* [B,n] -> [B,n*n] */
AD_API ad_var ad_row_diagonal(ad_var a, int n);                       /* [B,n*n] -> [B,n] */
AD_API ad_var ad_row_trace(ad_var a, int n);                          /* [B,n*n] -> [B,1] */
AD_API ad_var ad_row_tril_pack(ad_var a, int n);                      /* [B,n*n] -> [B,n(n+1)/2] */
AD_API ad_var ad_row_tril_unpack(ad_var v, int n);                    /* [B,n(n+1)/2] -> [B,n*n] */
AD_API ad_var ad_row_solve(ad_var a, ad_var b, int n, int k);         /* [B,n*n] [B,n*k] -> [B,n*k] */
AD_API ad_var ad_row_trisolve(ad_var l, ad_var b, int n, int k,
                              int transposed);  /* l lower: l^-1 b, or l'^-1 b */
AD_API ad_var ad_row_cholesky(ad_var a, int n); /* [B,n*n] -> [B,n*n] */
AD_API ad_var ad_row_logdet(ad_var a, int n);   /* [B,n*n] -> [B,1] */

/* 5. Derivatives, recorded on the same tape ------------------------------------------------------- */

/* ad_vjp - dx_j = sum_i seed_i' dy_i/dx_j, each of the shape of x_j.
 *   y_i any shape   seed_i the shape of y_i (or broadcast to it)   ->   dx_j the shape of x_j
 * An x_j that y does not depend on gets zeros. Returns AD_OK or the status of the tape. */
AD_API int ad_vjp(int ny, const ad_var y[], const ad_var seed[], int nx, const ad_var x[], ad_var dx[]);
AD_API int ad_grads(ad_var y, int nx, const ad_var x[], ad_var dx[]); /* one y [1,1], seed 1, several x */
AD_API ad_var ad_grad(ad_var y, ad_var x);                            /* dy/dx: y [1,1] -> the shape of x */
/* ad_jvp - dy_i = sum_j dy_i/dx_j v_j, forward mode, v_j of the shape of x_j. */
AD_API int ad_jvp(int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[]);
/* ad_hvp - Hessian-vector product (d2y/dx2) v, as the tangent of the gradient.
 *   y [1,1]   x [r,c]   v [r,c]   ->   [r,c]
 * Source: Pearlmutter (1994), Neural Computation 6, 147-160. */
AD_API ad_var ad_hvp(ad_var y, ad_var x, ad_var v);
/* All directions at once: the tape grows as for one, each node larger. Elements in row-major order; y and x have fixed
 * numbers of rows (a batch may lie between: then the tape grows by each direction). */
AD_API ad_var ad_jacobian(ad_var y, ad_var x); /* [elements of y, elements of x] */
AD_API ad_var ad_hessian(ad_var y, ad_var x);  /* y [1,1] -> [n,n], n elements of x */
/* Per row of a batch: y [B,m] and x [B,n] where row i of y depends on row i of x only (else AD_ESHAPE, naming the node
 * that mixes rows); or, for ad_grad_rows, x without a batch (parameters): the gradient of each row's y [B,1], one row each.
 * B may also be a fixed number of rows, the same in y and x. */
AD_API ad_var ad_grad_rows(ad_var y, ad_var x);     /* [B,1] -> [B,n] (or [B, elements of x]) */
AD_API ad_var ad_jacobian_rows(ad_var y, ad_var x); /* [B,m], [B,n] -> [B,m*n] */
AD_API ad_var ad_hessian_rows(ad_var y, ad_var x);  /* [B,1], [B,n] -> [B,n*n] */
/* ad_poisson - {f, g} = sum_i df/dq_i dg/dp_i - df/dp_i dg/dq_i;  f, g [1,1] or [B,1]; q, p [.,n]. */
AD_API ad_var ad_poisson(ad_var f, ad_var g, ad_var q, ad_var p);
/* Several values as one flat vector [1,N], row-major one after the other, and back: out[i] gets the shape of like[i]
 * (only the shapes of like are used). Fixed numbers of rows. */
AD_API ad_var ad_pack(int n, const ad_var x[]);
AD_API int ad_unpack(ad_var flat, int n, const ad_var like[], ad_var out[]);
/* Sparse: the pattern is found from the tape. *row and *col (nnz each, sorted by row, then column) are
 * the caller's to free(); the result is [1,nnz] ([1,1], 0, where nnz is 0). The Hessian lists the lower triangle only.
 * Fixed numbers of rows; on error the result is void, nnz 0 and the lists are NULL. A column costs a product with a
 * vector only where it shares a row with others: a band its width, an arrow 2. A Hessian whose entries are cheaper
 * written out one by one (terms of a few variables each) is. ad_jacobian and ad_hessian go the same ways where these
 * cost half as much. */
AD_API ad_var ad_jacobian_sparse(ad_var y, ad_var x, int *nnz, int **row, int **col);
AD_API ad_var ad_hessian_sparse(ad_var y, ad_var x, int *nnz, int **row, int **col);

/* 6. Text --------------------------------------------------------------------------------------- */

/* ad_parse - the value of an expression in the named values; numbers, names, + - * / ^, every operation
 * above by its name, pi, q[i], sum(i=1..n, ...), sum(i<j, ...), definitions  name = expression ; ...
 * Errors: AD_EPARSE or AD_ENAME, with the column and a caret. Grammar: docs/expressions.md. */
AD_API ad_var ad_parse(ad_tape *t, const char *text, int n, const char *const names[], const ad_var vars[]);
AD_API char *
ad_print(ad_var x); /* text that ad_parse reads back to the same node; free() it; NULL on error */

/* ad_dump - the nodes that x[0 ... n-1] depend on, a line each: id, name of an input, operation, shape. With
 * values != 0 also the value of each node and its adjoint, the derivative of the sum of the elements of x[n-1].
 * Long matrices are abbreviated. Values that cannot be had (an input without one) are told in the text and
 * leave the tape without an error. Text to free(); NULL when x is void or memory runs out. */
AD_API char *ad_dump(int n, const ad_var x[], int values);
/* ad_dot_graph - the same nodes as a Graphviz graph: `dot -Tsvg` draws it. Text to free(). */
AD_API char *ad_dot_graph(int n, const ad_var x[]);
/* ad_first_nan - the first node among those x depends on whose value is not a number: operation, row and
 * column, and its operands there, as a sentence to free(). NULL when there is none, or on an error (ad_status). */
AD_API char *ad_first_nan(ad_var x);

/* 7. Programs -------------------------------------------------------------------------------------- */

enum {
    AD_F64 = 0,
    AD_F32 = 1,
    AD_F80 = 2
}; /* the type of all numbers of a program: double, float, long double */

enum { AD_OPT_FULL = 0, AD_OPT_NONE = 1 }; /* AD_OPT_NONE: one node, one instruction, no reuse: the oracle */

typedef struct ad_options { /* zero is the default of every field */
    int real;               /* AD_F64, AD_F32, AD_F80 */
    int opt;                /* AD_OPT_FULL, AD_OPT_NONE */
    int block;              /* rows of a batch that are worked on together; 0: chosen */
    const int *feed;        /* for ad_repeat, by output: the input that it becomes, or -1 */
} ad_options;

typedef struct ad_program ad_program; /* immutable; threads may share it */
typedef struct ad_work ad_work;       /* all that changes in a run; one thread at a time */
typedef struct ad_pool ad_pool;       /* threads that runs may use */

/* ad_compile - a program that computes outputs from inputs. Inputs are ad_input nodes; every input that
 * the outputs need must be listed. NULL on error, which the tape keeps. */
AD_API ad_program *ad_compile(ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[],
                              const ad_options *options);
AD_API void ad_program_free(ad_program *p);
AD_API ad_pool *
ad_pool_new(int threads); /* threads >= 1, the caller's thread included; 0: one per processor */
AD_API void ad_pool_free(ad_pool *pool);
AD_API ad_work *ad_work_new(const ad_program *p, ad_pool *pool); /* pool may be NULL */
AD_API void ad_work_free(ad_work *w);
/* ad_run - in[i] and out[j] point to rows*cols numbers of the program's type; batch is the value of
 * AD_BATCH (>= 1, also when no input has it). Outputs must not overlap inputs. Allocates only when the batch
 * grows. Returns AD_OK or the status of the workspace, whose message names operation and row. */
AD_API int ad_run(ad_work *w, int batch, const void *const in[], void *const out[]);
/* ad_repeat - `count` runs, one after the other, of a program compiled with `feed`: output j of a run is input feed[j] of the
 * next, the last run's is written to out[j]. What is not fed moves by so many numbers from run to run: run k reads
 * in[i] + k in_step[i] and writes out[j] + k out_step[j] (NULL: all 0; a step may be negative). The bits are those of as many
 * ad_run; what is fed stays in registers where the program is small and native. Errors: as ad_run, the message with the
 * number of the run; AD_EARG for a count below 1 or a program without `feed`. */
AD_API int ad_repeat(ad_work *w, int batch, int64_t count, const int64_t in_step[], const int64_t out_step[],
                     const void *const in[], void *const out[]);
AD_API int ad_work_status(const ad_work *w);
AD_API const char *ad_work_message(const ad_work *w);

typedef struct ad_report { /* what compiling did */
    int64_t nodes, live, after_cse, after_fold, instructions, scalar_instructions;
    int64_t program_bytes;      /* code and constants */
    int64_t work_bytes;         /* workspace for a batch of 1, bytes */
    int64_t work_bytes_per_row; /* more for each further row of the batch */
    double flops,
        flops_per_row; /* add, mul, fma 1 (a fused one is 2 useful flops); div, sqrt 4; transcendental 10 */
    int stages, block;
    const char *isa; /* the kernels in use: "base", "v3", "v4" */
} ad_report;
/* Flops and bytes include those of calls and loops (backward, each step counts once more forward where all carries are
 * kept, else twice; once less is made after the loop forward on the same operands) and of one Newton step of a root. */
AD_API void ad_program_report(const ad_program *p, ad_report *out);
AD_API char *ad_program_dump(const ad_program *p); /* the instructions as aligned text; free() it */

/* ad_eval - the beginner's path: compile, keep, run. Uses the values of ad_set; out[i] takes rows*cols numbers.
 * The tape keeps the last programs made, until ad_rewind. Returns AD_OK or the status of the tape. */
AD_API int ad_eval(ad_tape *t, int n, const ad_var x[], double *const out[]);

/* 8. Functions, loops, roots, callbacks --------------------------------------------------------------- */

/* ad_func_new - a recorded function: a private copy of the nodes between in[] (any values of one tape, each once) and
 * out[], with the shapes they have; AD_BATCH is bound anew at each call. It never changes; threads and tapes may share
 * it. NULL on error, which the tape of the outputs keeps: AD_EUNBOUND when the outputs need another input. */
typedef struct ad_func ad_func;
AD_API ad_func *ad_func_new(int nin, const ad_var in[], int nout, const ad_var out[]);
AD_API void ad_func_free(ad_func *f); /* tapes and programs that call it keep it alive */
/* ad_call - out[] = f(in[]) as one node of t. The shapes of in[] are those of the function, its AD_BATCH any one row
 * count; numbers and single rows are repeated. Returns AD_OK or the status of the tape. */
AD_API int ad_call(ad_tape *t, const ad_func *f, const ad_var in[], ad_var out[]);
/* ad_scan - for k = 0 ... count-1:  (carry, y_k) = f(shared, carry, per_step_k), as one node.
 * f takes nshared, then ncarry, then nstep inputs and gives ncarry, then ncollect outputs; a carry keeps its shape.
 * per_step and collected hold step k in columns k*c ... k*c+c-1. Results: carry_out after the last step, and collected.
 * A derivative is a loop, too, of any order; shared values get one adjoint. Backward, about sqrt(2 count) carries are
 * kept (or all, where these are few bytes; or `checkpoints` of them when > 0) and the rest recomputed.
 * Returns AD_OK or the status of the tape. */
typedef struct ad_scan_spec {
    const ad_func *f;
    int64_t count;
    int nshared, ncarry, nstep, ncollect;
    const ad_var *shared, *carry, *per_step;
    ad_var *carry_out, *collected;
    int64_t checkpoints;
} ad_scan_spec;
AD_API int ad_scan(ad_tape *t, const ad_scan_spec *s);
/* ad_root - y with F(y, x...) = 0 in each row, by Newton's method from `start`, with one polishing step after the last;
 * its derivatives, of any order, are those of the implicit-function theorem.
 *   F(y [.,n], x...) -> [.,n], row i of it from row i of y only   start the shape of y   ->   the shape of y
 * A row's root does not depend on the other rows. Run time: AD_EROOT with row and residual when a row does not
 * converge or dF/dy is singular. */
typedef struct ad_root_options {
    int max_iter; /* 0: 50 */
    double
        tolerance; /* on the last Newton step relative to 1 + |y|; 0: 1e-12; at least 16 eps of the program's type */
} ad_root_options;
AD_API ad_var ad_root(ad_tape *t, const ad_func *F, ad_var start, int nx, const ad_var x[],
                      const ad_root_options *o);
/* ad_custom - a C callback as a node [rows,cols]; rows may be AD_BATCH where an operand has the batch.
 * value(): out from in, arrays in double, row-major, also in programs of another type; 0, or a code that becomes
 * AD_ECALL. It may be called from any thread that evaluates, so what `user` points to must allow that, and it must
 * live as long as what was recorded. pullback(): records on the tape the adjoints din[i] (a shape that broadcasts to
 * that of in[i]; preset to 0) of the adjoint dy of y; 0 or a code. Without it a derivative is AD_EUNSUPPORTED. */
typedef struct ad_callback {
    const char *name; /* for messages; copied */
    int (*value)(void *user, int nin, const double *const in[], const int in_rows[], const int in_cols[],
                 double *out, int rows, int cols);
    int (*pullback)(void *user, ad_tape *t, int nin, const ad_var in[], ad_var y, ad_var dy, ad_var din[]);
    void *user;
    int row_local; /* row i of the result depends on row i of its operands only: ad_jacobian_rows and its kin need it */
} ad_callback;
AD_API ad_var ad_custom(ad_tape *t, const ad_callback *cb, int nin, const ad_var in[], int rows, int cols);

/* 9. To check and to emit ------------------------------------------------------------------------------ */

/* ad_check - are the derivatives of y right? Compares gradient, Hessian v and third derivative v v (up to `order`,
 * 1 ... 3; v a fixed direction) with differences of order 12, both in long double, at the values of ad_set.
 *   y [1,1]   x_j inputs of any shape, a batch too
 * Returns the worst error relative to the largest derivative of that order in that input, beyond what the differences
 * leave in doubt: round-off (1e-17) when all is right. NaN on error. *text, if not NULL, gets a report to free(): a line for
 * each order and input with its worst element, and what double adds in rounding. Of an input with more than 64 elements
 * 32 are compared singly, all of them along v. The tape is left as it was. */
AD_API double ad_check(ad_var y, int nx, const ad_var x[], int order, char **text);
/* ad_emit - the program as one standalone C99 file with the functions
 *   int NAME(int batch, const REAL *const in[], REAL *const out[], REAL *work);   size_t NAME_work(int batch);
 * REAL is double or float, in and out are as for ad_run, work has NAME_work(batch) numbers. NAME returns 0, or
 * AD_EDOMAIN or AD_EROOT where ad_run would. Calls, loops (with checkpoints) and roots are C functions; callbacks
 * cannot be emitted. A program with ad_options.feed and no batch that is one function also has
 *   int NAME_repeat(int64_t count, const int64_t in_step[], const int64_t out_step[], int batch, in, out, work)
 * which does what ad_repeat does. Compiled with -ffp-contract=off it has the bits of ad_run. Needs libm only.
 * Text to free(), or NULL with *why (may be NULL; to free()) naming what cannot be emitted. */
AD_API char *ad_emit(const ad_program *p, const char *name, char **why);
/* ad_emit_all - n programs as one such file, functions names[0] ... names[n-1]; what kernels they use stands there
 * once, so a compiler has less to do than with n files. All are in double or all in float. No name is another one or
 * another one followed by an underscore and more ("f", "f_2"). Errors as ad_emit's, with the number of the program. */
AD_API char *ad_emit_all(int n, const ad_program *const p[], const char *const names[], char **why);
/* ad_native - the emitted program compiled with the system's C compiler (CC, cc, gcc or clang), kept by content
 * under `cache` (NULL: $XDG_CACHE_HOME/noether or ~/.cache/noether), loaded. It runs through ad_run like any other
 * program, on one thread, with the same bits. Where there is no compiler, the cache cannot be written or something
 * cannot be emitted, the result replays; *how (may be NULL; to free()) says which and why. p stays the caller's and
 * may be freed before. NULL only when out of memory. For scalars and small vectors; large products are replay's. */
AD_API ad_program *ad_native(const ad_program *p, const char *cache, char **how);

/* The operation table, for programs that list it (parsers, documentation, tests). */
typedef struct ad_op_info {
    const char *name; /* "tanh": ad_tanh, and its name in expressions */
    const char *kind; /* "leaf", "elementwise", "linear", "bilinear", "other" */
    int arity;        /* operands; -1: any number */
    int parsed;       /* 1 when expressions know it by this name */
} ad_op_info;
AD_API int ad_op_count(void);
AD_API int ad_op_at(int i, ad_op_info *out);

#ifdef __cplusplus
}
#endif

/* ad_expr(tape, "p^2/(2*m) + 1 - cos(q)", p, q, m): ad_parse with the C names of the values. */
#define ad_expr(t, text, ...)                                                                                \
    ad_parse_named(t, text, #__VA_ARGS__, (int)(sizeof((ad_var[]){__VA_ARGS__}) / sizeof(ad_var)),           \
                   (const ad_var[]){__VA_ARGS__})
#ifdef __cplusplus
extern "C"
#endif
    AD_API ad_var
    ad_parse_named(ad_tape *t, const char *text, const char *names, int n, const ad_var vars[]);

/* Sugar: ad_mul(2, x). One temporary an argument, so nested calls expand linearly. */
#if defined(__GNUC__) && !defined(__cplusplus) && !defined(AD_NO_SUGAR)
static inline ad_var ad_same_(ad_var x) { return x; }
#define AD_CAT_(a, b) a##b
#define AD_V1_(x, v)                                                                                         \
    __extension__({                                                                                          \
        __auto_type v = (x);                                                                                 \
        _Generic(v, ad_var : ad_same_, default : ad_num)(v);                                                 \
    })
#define AD_V2_(x, n) AD_V1_(x, AD_CAT_(ad_v_, n))
#define AD_V_(x) AD_V2_(x, __COUNTER__)
#define ad_add(a, b) ad_add(AD_V_(a), AD_V_(b))
#define ad_sub(a, b) ad_sub(AD_V_(a), AD_V_(b))
#define ad_mul(a, b) ad_mul(AD_V_(a), AD_V_(b))
#define ad_div(a, b) ad_div(AD_V_(a), AD_V_(b))
#define ad_pow(a, b) ad_pow(AD_V_(a), AD_V_(b))
#define ad_atan2(a, b) ad_atan2(AD_V_(a), AD_V_(b))
#define ad_hypot(a, b) ad_hypot(AD_V_(a), AD_V_(b))
#define ad_min(a, b) ad_min(AD_V_(a), AD_V_(b))
#define ad_max(a, b) ad_max(AD_V_(a), AD_V_(b))
#define ad_lt(a, b) ad_lt(AD_V_(a), AD_V_(b))
#define ad_le(a, b) ad_le(AD_V_(a), AD_V_(b))
#define ad_eq(a, b) ad_eq(AD_V_(a), AD_V_(b))
#define ad_where(c, a, b) ad_where(AD_V_(c), AD_V_(a), AD_V_(b))
#define ad_fma(a, b, c) ad_fma(AD_V_(a), AD_V_(b), AD_V_(c))
#endif

#endif
