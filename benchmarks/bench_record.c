/* bench_record.c - ns to record a scalar node: a function on a tape that grows, its gradient, and both together.
 *
 * Each round has a tape of its own, from ad_new to ad_free, so the memory it takes is part of the figure. Nodes are counted
 * as recorded, shared ones once. The functions: the potential of bodies in pairs, written in scalars, and a chain of
 * oscillators with transcendental forces.
 */
/* SPDX-License-Identifier: MIT */
#include "ad.h"
#include "bench.h"
#include "functions.h"

#include <math.h>

enum { BODIES = 40, SITES = 3000 };

static ad_var bodies(ad_tape *t, ad_var *x)
{
    return record_bodies(BODIES, *x = ad_input(t, "x", 1, 6 * BODIES));
}
static ad_var chain(ad_tape *t, ad_var *x)
{
    return record_chain(SITES, *x = ad_input(t, "x", 1, 2 * SITES));
}

typedef struct job {
    ad_var (*f)(ad_tape *, ad_var *);
    int gradient, nodes;
} job;

static void record(void *arg)
{
    job *j = arg;
    ad_tape *t = ad_new();
    ad_var x, y = j->f(t, &x);
    if (j->gradient)
        y = ad_grad(y, x);
    j->nodes = ad_status(t) || ad_is_void(y) ? 0 : (int)ad_nodes(t);
    ad_free(t);
}

/* The derivative in a direction by two values: the right answer before any figure. */
static int right(ad_var (*f)(ad_tape *, ad_var *))
{
    static double v[2 * SITES + 6 * BODIES], w[2 * SITES + 6 * BODIES];
    ad_tape *t = ad_new();
    ad_var x, y = f(t, &x), g = ad_grad(y, x);
    int n = ad_cols(x);
    double d[2], dot = 0;
    for (int i = 0; i < n; i++)
        v[i] = sin(i * i + 1.0);
    ad_set(x, 1, v);
    const double *got = ad_value(g);
    for (int i = 0; got && i < n; i++)
        dot += got[i] * cos(i);
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < n; i++)
            w[i] = v[i] + (s ? 1e-6 : -1e-6) * cos(i);
        ad_set(x, 1, w);
        d[s] = ad_scalar(y);
    }
    int ok = got && fabs((d[1] - d[0]) / 2e-6 - dot) <= 1e-5 * (1 + fabs(dot)); /* O(h^2) + eps/h */
    ad_free(t);
    return ok;
}

int main(void)
{
    static const struct {
        const char *name;
        ad_var (*f)(ad_tape *, ad_var *);
    } functions[] = {{"bodies", bodies}, {"chain", chain}};
    for (int k = 0; k < 2; k++) {
        if (!right(functions[k].f)) {
            fprintf(stderr, "bench_record: the gradient of %s is wrong\n", functions[k].name);
            return 1;
        }
        job f = {.f = functions[k].f}, g = {.f = functions[k].f, .gradient = 1};
        double ns_f, ns_g;
        bench_ratio(record, &f, record, &g, &ns_f, &ns_g);
        printf("{\"bench\": \"record\", \"function\": \"%s\", \"nodes\": %d, \"ns_per_node\": %.1f, "
               "\"gradient_nodes\": %d, \"gradient_ns_per_node\": %.1f, \"both_ns_per_node\": %.1f, "
               "\"must_reach\": 40}\n",
               functions[k].name, f.nodes, ns_f / f.nodes, g.nodes - f.nodes,
               (ns_g - ns_f) / (g.nodes - f.nodes), ns_g / g.nodes);
    }
    return 0;
}
