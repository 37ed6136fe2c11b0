/* adolc.cpp - the benchmarks' functions in ADOL-C 2.7: operator overloading on adouble, taped once in memory, then the
 * drivers of the library: zos_forward, gradient, hess_vec, hessian, and hess_mat with a coloured seed.
 *
 * Nothing is retaped between evaluations, as for our programs.
 * SPDX-License-Identifier: MIT */
#include "adolc.h"

#include <adolc/adolc.h>
#include <adolc/adolc_sparse.h>
#include <cstdlib>
#include <vector>
#ifdef PEER_HAVE_COLPACK
#include <ColPack/ColPackHeaders.h>
#endif

/* Buffers large enough that no tape goes to a file. */
static void start(int tag, unsigned room) { trace_on((short)tag, 0, room, 4 * room, room, 4 * room); }

static adouble nbody(const adouble *z)
{
    enum { N = 8 };
    adouble h = 0;
    for (int i = 3 * N; i < 6 * N; i++)
        h += z[i] * z[i] / 2;
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++) {
            adouble s = 0;
            for (int k = 0; k < 3; k++) {
                adouble d = z[k * N + i] - z[k * N + j];
                s += d * d;
            }
            h -= 1 / sqrt(s);
        }
    return h;
}
static adouble fput(const adouble *z)
{
    enum { SITES = 64 };
    adouble h = 0;
    for (int i = 0; i < SITES; i++)
        h += z[SITES + i] * z[SITES + i] / 2;
    for (int i = 0; i + 1 < SITES; i++) {
        adouble d = z[i + 1] - z[i], s = d * d;
        h += s / 2 + 0.25 / 4 * s * s;
    }
    return h;
}
static adouble henon(const adouble *z)
{
    return (z[0] * z[0] + z[1] * z[1] + z[2] * z[2] + z[3] * z[3]) / 2 + z[0] * z[0] * z[1] -
           z[1] * z[1] * z[1] / 3;
}

extern "C" void peer_adolc_hamiltonian(int tag, int which, int n, const double *z)
{
    static adouble (*const energy[])(const adouble *) = {nbody, fput, henon};
    std::vector<adouble> x(n);
    double value;
    start(tag, 1u << 16);
    for (int i = 0; i < n; i++)
        x[i] <<= z[i];
    adouble y = energy[which](x.data());
    y >>= value;
    trace_off();
}

extern "C" void peer_adolc_mixture(int tag, int n, int d, int K, const double *x, const double *parameters)
{
    const int tri = d * (d - 1) / 2, count = K + K * d + K * (d + tri);
    double value;
    start(tag, 1u << 24);
    {
        std::vector<adouble> a(count), spread(K * d), base(K), term(K);
        for (int i = 0; i < count; i++)
            a[i] <<= parameters[i];
        const adouble *alpha = &a[0], *mu = &a[K], *icf = &a[K + K * d];
        for (int k = 0; k < K; k++) {
            base[k] = alpha[k];
            for (int r = 0; r < d; r++) {
                base[k] += icf[k * (d + tri) + r];
                spread[k * d + r] = exp(icf[k * (d + tri) + r]);
            }
        }
        auto logsumexp = [&](const std::vector<adouble> &v) {
            adouble top = v[0], sum = 0;
            for (int k = 1; k < K; k++)
                top = fmax(top, v[k]);
            for (int k = 0; k < K; k++)
                sum += exp(v[k] - top);
            return top + log(sum);
        };
        adouble total = 0;
        std::vector<adouble> diff(d);
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < K; k++) {
                const adouble *l = icf + k * (d + tri) + d;
                adouble square = 0;
                for (int r = 0; r < d; r++)
                    diff[r] = x[i * d + r] - mu[k * d + r];
                for (int r = 0; r < d; r++) {
                    adouble s = spread[k * d + r] * diff[r];
                    for (int c = 0; c < r; c++)
                        s += *l++ * diff[c];
                    square += s * s;
                }
                term[k] = base[k] - 0.5 * square;
            }
            total += logsumexp(term);
        }
        for (int k = 0; k < K; k++)
            term[k] = alpha[k];
        total -= n * logsumexp(term);
        total >>= value;
    }
    trace_off();
}

extern "C" void peer_adolc_network(int tag, int d, int h, const double *parameters, const double *z,
                                   const double *dz)
{
    const int count = h * d + h * h + 3 * h;
    double value;
    start(tag, 1u << 22);
    {
        std::vector<adouble> w(count), a1(h), s1(h), u2(h), u1(h), g(d);
        for (int i = 0; i < count; i++)
            w[i] <<= parameters[i];
        const adouble *W1 = &w[0], *b1 = W1 + h * d, *W2 = b1 + h, *b2 = W2 + h * h, *w3 = b2 + h;
        for (int i = 0; i < h; i++) {
            adouble s = b1[i];
            for (int k = 0; k < d; k++)
                s += W1[i * d + k] * z[k];
            a1[i] = tanh(s);
            s1[i] = 1 - a1[i] * a1[i];
            u1[i] = 0;
        }
        for (int i = 0; i < h; i++) {
            adouble s = b2[i];
            for (int j = 0; j < h; j++)
                s += W2[i * h + j] * a1[j];
            adouble a = tanh(s);
            u2[i] = w3[i] * (1 - a * a);
        }
        for (int i = 0; i < h; i++)
            for (int j = 0; j < h; j++)
                u1[j] += u2[i] * W2[i * h + j];
        for (int k = 0; k < d; k++)
            g[k] = 0;
        for (int i = 0; i < h; i++) {
            u1[i] *= s1[i];
            for (int k = 0; k < d; k++)
                g[k] += u1[i] * W1[i * d + k];
        }
        adouble loss = 0;
        for (int k = 0; k < d / 2; k++) {
            adouble rq = g[d / 2 + k] - dz[k], rp = -g[k] - dz[d / 2 + k];
            loss += rq * rq + rp * rp;
        }
        loss /= d;
        loss >>= value;
    }
    trace_off();
}

extern "C" int peer_adolc_value(int tag, int n, const double *z, double *y)
{
    return ::function((short)tag, 1, n, const_cast<double *>(z), y) < 0;
}
extern "C" int peer_adolc_gradient(int tag, int n, const double *z, double *g)
{
    return ::gradient((short)tag, n, z, g) < 0;
}
extern "C" int peer_adolc_hvp(int tag, int n, const double *z, const double *v, double *hv)
{
    return hess_vec((short)tag, n, const_cast<double *>(z), const_cast<double *>(v), hv) < 0;
}
extern "C" int peer_adolc_hessian(int tag, int n, const double *z, double *h)
{
    double *rows[256];
    if (n > 256)
        return 1;
    for (int i = 0; i < n; i++)
        rows[i] = h + (size_t)i * n;
    return hessian((short)tag, n, const_cast<double *>(z), rows) < 0;
}

#ifdef PEER_HAVE_COLPACK
struct peer_adolc_sparse {
    int tag, n, colours, nnz;
    std::vector<unsigned *> pattern;
    ColPack::GraphColoringInterface *graph;
    ColPack::HessianRecovery recovery;
    double **seed, **product;
    std::vector<unsigned> row, col;
    std::vector<double> value;
    unsigned *rows, *cols;
    double *values;
};

extern "C" peer_adolc_sparse *peer_adolc_sparse_new(int tag, int n, const double *z, int *colours)
{
    auto *s = new peer_adolc_sparse;
    s->tag = tag;
    s->n = n;
    s->pattern.resize(n);
    if (hess_pat((short)tag, n, z, s->pattern.data(), 0) < 0) {
        delete s;
        return NULL;
    }
    s->graph = new ColPack::GraphColoringInterface(SRC_MEM_ADOLC, s->pattern.data(), n);
    int seed_rows;
    double **seed;
    s->graph->GenerateSeedHessian_unmanaged(&seed, &seed_rows, &s->colours, "SMALLEST_LAST", "STAR");
    s->seed = seed;
    s->product = myalloc2(n, s->colours);
    int most = 0;
    for (int i = 0; i < n; i++)
        most += (int)s->pattern[i][0];
    s->row.resize(most);
    s->col.resize(most);
    s->value.resize(most);
    s->rows = s->row.data();
    s->cols = s->col.data();
    s->values = s->value.data();
    *colours = s->colours;
    return s;
}
extern "C" int peer_adolc_sparse_run(peer_adolc_sparse *s, const double *z)
{
    if (hess_mat((short)s->tag, s->n, s->colours, const_cast<double *>(z), s->seed, s->product) < 0)
        return 1;
    s->nnz = s->recovery.DirectRecover_CoordinateFormat_usermem(s->graph, s->product, s->pattern.data(),
                                                                &s->rows, &s->cols, &s->values);
    return 0;
}
extern "C" int peer_adolc_sparse_entries(const peer_adolc_sparse *s, const unsigned **row,
                                         const unsigned **col, const double **values)
{
    *row = s->rows;
    *col = s->cols;
    *values = s->values;
    return s->nnz;
}
extern "C" void peer_adolc_sparse_free(peer_adolc_sparse *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n; i++) {
        free(s->pattern[i]);
        delete[] s->seed[i];
    }
    delete[] s->seed;
    myfree2(s->product);
    delete s->graph;
    delete s;
}
#else
struct peer_adolc_sparse {
    int none;
};
extern "C" peer_adolc_sparse *peer_adolc_sparse_new(int, int, const double *, int *) { return NULL; }
extern "C" int peer_adolc_sparse_run(peer_adolc_sparse *, const double *) { return 1; }
extern "C" int peer_adolc_sparse_entries(const peer_adolc_sparse *, const unsigned **, const unsigned **,
                                         const double **)
{
    return 0;
}
extern "C" void peer_adolc_sparse_free(peer_adolc_sparse *) {}
#endif
