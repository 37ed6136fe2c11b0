/* test_emit.c - emitted C against replay, bit for bit: every operation, every shape, random programs. */
/* SPDX-License-Identifier: MIT */
#include "emit_test.h"

#define LOAD_OR_SKIP(e, optimise)                                                                            \
    if (!emit_load(e, optimise))                                                                             \
    cr_skip("there is no C compiler")

static int quick(void) { return getenv("NOETHER_TEST_SHORT") != NULL; }

Test(emit, every_operation_row_has_the_bits_of_replay)
{
    /* Operands: a matrix, a row, a column, a number; then with a batch. */
    static const char *const texts[] = {"%s(a)", "%s(a,%s)", "%s(c,a,%s)"};
    static const char *const other[] = {"r", "k", "s", "b"};
    emit_batch e = {0};
    for (int batch = 0; batch < 2; batch++) {
        ad_tape *t = ad_new();
        static const char *const names[] = {"a", "b", "r", "k", "s", "c"};
        ad_var in[6], out[EMIT_IO];
        int rows = batch ? AD_BATCH : 3, nout = 0;
        for (int i = 0; i < 6; i++)
            in[i] = ad_input(t, names[i], i < 2 || i == 3 || i == 5 ? rows : 1, i == 3 || i == 4 ? 1 : 5);
        for (int op = 0; op < ad_op_count(); op++) {
            ad_op_info info;
            ad_op_at(op, &info);
            if (!info.parsed)
                continue;
            for (int k = 0; k < (info.arity == 1 || quick() ? 1 : 2); k++) {
                char text[64];
                snprintf(text, sizeof text, texts[info.arity - 1], info.name, other[(op + 2 * k) & 3]);
                out[nout++] = ad_parse(t, text, 6, names, in);
            }
        }
        out[nout++] = ad_add_n(4, (ad_var[]){in[0], in[3], in[2], in[4]});
        emit_add(&e, t, 6, in, nout, out);
        ad_free(t);
    }
    LOAD_OR_SKIP(&e, "-O1");
    for (int i = 0; i < e.n; i++)
        for (unsigned seed = 1; seed < 8; seed++)
            emit_compare(&e, i, i < 4 ? 1 : (int)seed, seed, seed > 1);
    emit_free(&e);
}

Test(emit, every_shape_operation_has_the_bits_of_replay)
{
    static const char *const names[] = {"A", "B", "S", "T", "v", "z", "y", "m", "g", "L"};
    static const int shape[][2] = {{4, 6},  {6, 5},         {4, 4},        {70, 3},       {1, 12},
                                   {-1, 6}, {AD_BATCH, 12}, {AD_BATCH, 9}, {AD_BATCH, 3}, {1, 9}};
    static const char *const texts[] = {"sum_rows(A)",
                                        "sum_rows(T)",
                                        "sum_cols(A)",
                                        "sum_cols(v)",
                                        "sum_cols(B)",
                                        "sum(A)",
                                        "sum(z)",
                                        "mean(z)",
                                        "count(z)",
                                        "sum_rows(z)",
                                        "sum_cols(y)",
                                        "logsumexp(A)",
                                        "logsumexp(y)",
                                        "norm(A)",
                                        "norm(y)",
                                        "reshape(A,8,3)",
                                        "sin(reshape(A,2,12))+reshape(exp(v),1,12)*v",
                                        "transpose(reshape(v,3,4))+cos(reshape(v,4,3))",
                                        "expand(v,5,12)",
                                        "slice(A,1,2,2,3)",
                                        "slice(B,0,6,1,2)*2",
                                        "pad(A,1,2,0,3)",
                                        "concat_rows(A,exp(A))",
                                        "concat_cols(A,S)",
                                        "concat_cols(z,y,m)",
                                        "concat_rows(z,z)",
                                        "w=matmul(S,A);concat_rows(w,A,w)",
                                        "w=exp(v);concat_cols(w,v,w,w)",
                                        "w=row_transpose(z,2,3)*2;concat_cols(w,y,w)",
                                        "gather_cols(A,5,0,2,2,1)",
                                        "gather_rows(A,3,3,0,1,2)",
                                        "scatter_cols(A,4,0,1,0,3,3,1)",
                                        "scatter_rows(A,3,0,2,0,2)",
                                        "scatter_cols(z,8,0,1,0,3,3,1)",
                                        "transpose(A)",
                                        "transpose(exp(A))*2",
                                        "matmul(A,B)",
                                        "matmul_nt(S,S)",
                                        "matmul_tn(A,S)",
                                        "matmul_tt(A,S)",
                                        "matmul(z,B)",
                                        "matmul_nt(z,A)",
                                        "matmul_tn(z,y)",
                                        "dot(A,A)",
                                        "outer(v,v)",
                                        "diag(v)",
                                        "diagonal(S)",
                                        "trace(S)",
                                        "tril_pack(S)",
                                        "tril_unpack(cols_of(v,2,10))",
                                        "solve(S,A)",
                                        "cholesky(matmul_nt(S,S)+8)",
                                        "logdet(S)",
                                        "row_matmul(z,y,2,3,4)",
                                        "row_transpose(z,2,3)",
                                        "row_dot(z,z)",
                                        "row_outer(z,g)",
                                        "row_diag(z)",
                                        "row_diagonal(m,3)",
                                        "row_trace(m,3)",
                                        "row_tril_pack(m,3)",
                                        "row_tril_unpack(z,3)*m",
                                        "row_solve(m,z,3,2)",
                                        "row_solve(L,g,3,1)",
                                        "row_trisolve(m,g,3,1,0)",
                                        "row_trisolve(m,g,3,1,1)",
                                        "row_cholesky(row_matmul(m,row_transpose(m,3,3),3,3,3)+3,3)",
                                        "row_logdet(m,3)",
                                        "stop(z)",
                                        "z",
                                        "A",
                                        "3",
                                        "eye(4)+S"};
    emit_batch e = {0};
    ad_tape *t = ad_new();
    ad_var in[10], out[EMIT_IO];
    int nout = 0;
    for (int i = 0; i < 10; i++)
        in[i] = ad_input(t, names[i], shape[i][0], shape[i][1]);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        out[nout++] = ad_parse(t, texts[k], 10, names, in);
        cr_assert(ad_status(t) == AD_OK, "%s", ad_message(t));
    }
    out[nout++] = ad_add(ad_eye(t, 4), in[2]);
    emit_add(&e, t, 10, in, nout, out);
    ad_free(t);
    LOAD_OR_SKIP(&e, "-O1");
    for (int i = 0; i < e.n; i++)
        for (int batch = 1; batch < 140; batch = 2 * batch + 1)
            emit_compare(&e, i, batch, (unsigned)batch, 0);
    emit_free(&e);
}

/* Random programs: operations on what there is, shapes that fit; outputs and a gradient. */
static unsigned next(unsigned *s) { return (*s = *s * 1664525u + 1013904223u) >> 8; }

enum { POOL = 60 };

static ad_var pick(const ad_var *v, int n, unsigned *s)
{ /* rather the newer ones */
    unsigned a = next(s) % (unsigned)n, b = next(s) % (unsigned)n;
    return v[a > b ? a : b];
}

static ad_var random_value(ad_tape *t, const ad_var *v, int n, unsigned *s)
{
    ad_var x = pick(v, n, s), y = pick(v, n, s);
    int r = ad_rows(x), c = ad_cols(x), k = (int)(next(s) % (unsigned)c);
    char text[80];
    ad_op_info info;
    switch (next(s) % 12) {
    case 0:
        return c > 1 ? ad_cols_of(x, k, 1 + (int)(next(s) % (unsigned)(c - k))) : ad_square(x);
    case 1:
        return c < 9 ? ad_concat_cols(2, (ad_var[]){x, ad_sin(x)}) : ad_sum_cols(x);
    case 2:
        return ad_pad(x, 0, 0, k, 1);
    case 3:
        return ad_gather_cols(x, 4, (int[]){k, 0, k, c - 1});
    case 4:
        return ad_scatter_cols(ad_gather_cols(x, 5, (int[]){k, 0, k, c - 1, 0}), 4, (int[]){0, 2, 0, 3, 2});
    case 5:
        return r > 0 ? ad_transpose(x) : ad_sum_rows(x);
    case 6:
        return r < 0 || r == 1 ? ad_matmul(ad_expand(ad_sum_cols(x), r, 2),
                                           ad_const(t, 2, 3, (double[]){1, -2, .5, .25, 2, 1}))
                               : ad_sum_rows(x);
    case 7:
        return ad_logsumexp(x);
    case 8:
        return ad_add_n(3, (ad_var[]){x, ad_cols_of(x, 0, 1), ad_num(0.5)});
    default:
        do
            ad_op_at((int)(next(s) % (unsigned)ad_op_count()), &info);
        while (!info.parsed || info.arity > 2);
        if (info.arity == 2 &&
            !((ad_rows(y) == r || ad_rows(y) == 1) && (ad_cols(y) == c || ad_cols(y) == 1)))
            y = ad_sum_to(x, r, 1);
        snprintf(text, sizeof text, info.arity == 1 ? "%s(x)" : "%s(x,y)", info.name);
        return ad_parse(t, text, 2, (const char *const[]){"x", "y"}, (ad_var[]){x, y});
    }
}

static void random_program(emit_batch *e, unsigned seed)
{
    ad_tape *t = ad_new();
    ad_var in[3] = {ad_input(t, "q", 1, 6), ad_input(t, "z", AD_BATCH, 4), ad_input(t, "s", 1, 1)}, v[POOL],
           out[12];
    int n = 3, nout = 0;
    memcpy(v, in, sizeof in);
    while (n < POOL) {
        ad_var x = random_value(t, v, n, &seed);
        cr_assert(ad_status(t) == AD_OK, "%s", ad_message(t));
        int r = ad_rows(x);
        if (!ad_is_number(x) && r >= -2 && r < 20 && ad_cols(x) < 20)
            v[n++] = x;
    }
    ad_var sum = ad_num(0);
    for (int k = 0; k < 6; k++) {
        out[nout++] = v[n - 1 - 3 * k];
        sum = ad_add(sum, ad_sum(v[n - 1 - 3 * k]));
    }
    ad_grads(sum, 3, in, out + nout);
    nout += 3;
    emit_add(e, t, 3, in, nout, out);
    ad_free(t);
}

Test(emit, random_programs_and_their_gradients_have_the_bits_of_replay)
{
    emit_batch e = {0};
    for (unsigned seed = 1; seed <= (quick() ? 2u : 5u); seed++)
        random_program(&e, 77 * seed);
    LOAD_OR_SKIP(&e, "-O1");
    for (int i = 0; i < e.n; i++)
        for (int batch = 1; batch < 8; batch += 3)
            emit_compare(&e, i, batch, (unsigned)batch, 0);
    emit_free(&e);
}

/* A row repeated for each of many rows makes a loop over rows and columns; what is read element by element there, in
 * order, backwards or through a table, has the index of the element in it. */
Test(emit, a_matrix_beside_a_repeated_row_is_read_at_its_own_elements)
{
    enum { R = 12, C = 28 };
    static int back[C], mixed[R * C];
    emit_batch e = {0};
    ad_tape *t = ad_new();
    ad_var A = ad_input(t, "A", R, C), r = ad_input(t, "r", 1, C), v = ad_input(t, "v", 1, R * C);
    double number[R * C];
    for (int i = 0; i < R * C; i++) {
        number[i] = 0.1 * (i * 37 % 19) - 0.9;
        mixed[i] = i * 61 % (R * C);
    }
    for (int k = 0; k < C; k++)
        back[k] = C - 1 - k;
    ad_var c = ad_const(t, R, C, number), m = ad_reshape(ad_gather_cols(v, R * C, mixed), R, C);
    for (int i = 0; i < R * C; i++)
        mixed[i] = R * C - 1 - i;
    ad_var all = ad_reshape(ad_gather_cols(v, R * C, mixed), R, C);
    ad_var out[] = {ad_mul(A, r), ad_mul(c, r),   ad_sub(ad_mul(ad_gather_cols(A, C, back), r), ad_mul(c, r)),
                    ad_mul(m, r), ad_mul(all, r), ad_sum_rows(ad_mul(ad_mul(c, ad_sin(r)), ad_mul(m, r)))};
    emit_add(&e, t, 3, (ad_var[]){A, r, v}, 6, out);
    ad_free(t);
    LOAD_OR_SKIP(&e, "-O1");
    for (int i = 0; i < e.n; i++)
        emit_compare(&e, i, 1, 3, 0);
    emit_free(&e);
}

/* A chain of scalars too long for one function, without and with a batch; and a wide product. */
Test(emit, long_programs_are_cut_into_functions)
{
    emit_batch e = {0};
    for (int batch = 0; batch < 2; batch++) {
        ad_tape *t = ad_new();
        ad_var z = ad_input(t, "z", batch ? AD_BATCH : 1, 4), x[4], out[3];
        for (int k = 0; k < 4; k++)
            x[k] = ad_cols_of(z, k, 1);
        ad_var early = ad_sin(z), wide = ad_exp(ad_expand(ad_mul(z, ad_num(0.1)), ad_rows(z), 4));
        for (int k = 0; k < (quick() ? 300 : 700); k++) {
            x[k & 3] = ad_add(ad_mul(x[k & 3], x[(k + 1) & 3]), ad_num(k % 7 * 0.1 - 0.3));
            if (k % 50 == 0)
                x[k & 3] = ad_tanh(x[k & 3]);
            if (k % 200 == 0)
                wide = ad_mul(ad_add(wide, x[0]), ad_cos(wide));
        }
        out[0] = ad_concat_cols(4, x);
        out[1] = ad_mul(ad_add(wide, early), early);
        out[2] = ad_grad(ad_sum(ad_mul(ad_mean(out[0]), out[0])), z);
        emit_add(&e, t, 1, &z, 3, out);
        ad_free(t);
    }
    LOAD_OR_SKIP(&e, "-O0");
    for (int i = 0; i < e.n; i++)
        emit_compare(&e, i, i < 4 ? 1 : 3, 5, 0);
    emit_free(&e);
}

static ad_program *small(ad_tape *t, int real, int special)
{
    ad_var x = ad_input(t, "x", AD_BATCH, 4);
    ad_var y = special ? ad_row_cholesky(x, 2)
                       : ad_sum_rows(ad_concat_cols(2, (ad_var[]){ad_exp(x), ad_pad(x, 0, 0, 1, 1)}));
    return ad_compile(t, 1, &x, 1, &y, &(ad_options){.real = real});
}

Test(emit, what_cannot_be_emitted_is_named)
{
    ad_tape *t = ad_new(), *u = ad_new();
    ad_program *p = small(t, AD_F64, 0), *l = small(u, AD_F80, 0);
    char *why;
    static const char *const bad[] = {"", "1f", "a-b", "a b", "f\xc3\xa9", NULL};
    for (int i = 0; i < 6; i++) {
        cr_assert_null(ad_emit(p, bad[i], &why));
        cr_assert(strstr(why, "identifier"), "%s", why);
        free(why);
    }
    cr_assert_null(ad_emit(l, "f", &why));
    cr_assert(strstr(why, "long double"), "%s", why);
    free(why);
    cr_assert_null(ad_emit(l, "f", NULL));
    cr_assert_null(ad_emit(NULL, "f", &why));
    cr_assert(strstr(why, "no program"), "%s", why);
    free(why);
    ad_program_free(p);
    ad_program_free(l);
    ad_free(t);
    ad_free(u);
}

Test(emit, a_failed_allocation_gives_no_text_and_leaks_nothing)
{
    ad_tape *t = ad_new();
    ad_program *p = small(t, AD_F64, 0);
    emit_without_memory(p, 1);
    ad_program_free(p);
    ad_free(t);
}
