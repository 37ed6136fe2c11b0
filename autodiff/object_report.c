/* object_report.c - what calls, loops and roots say about themselves: in dumps, and what running them costs.
 * Invariant: a cost is that of the programs that would run, which are made when they are asked for.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"
#include "say.h"
#include "scan.h"

#include <math.h>

void ad_say_object(ad_text *b, const ad_object *o)
{
    if (o->class->op == OP_SCAN || o->class->op == OP_SCAN_BACK)
        ad_say(b, " of %lld steps", (long long)((const ad_loop *)o)->count);
    if (o->class->op == OP_CUSTOM) {
        ad_say(b, " \"");
        ad_say_name(b, ad_custom_name(o));
        ad_say(b, "\"");
    }
}

size_t ad_object_bytes(const ad_object *o)
{
    if (o->class->op == OP_CALL)
        return 0; /* the function itself, which others may share */
    return sizeof(ad_loop) + 2 * ((size_t)o->nout + 1) * sizeof *o->at_fixed +
           ((size_t)o->nin + (size_t)o->nout) * sizeof *o->in;
}

static void add(ad_cost *to, const ad_cost *c, double times)
{
    to->flops += times * c->flops;
    to->flops_per_row += times * c->flops_per_row;
    to->bytes += c->bytes;
    to->bytes_per_row += c->bytes_per_row;
}

/* Room for `times` values of a shape. */
static void room(ad_cost *c, ad_shape s, int64_t times, size_t size)
{
    int64_t bytes = ad_shape_size(s, 1) * times * (int64_t)size;
    c->bytes += bytes;
    c->bytes_per_row += s.rows < 0 ? bytes : 0;
}

static ad_cost of_function(const ad_func *f, int real)
{
    ad_report r = {0};
    const ad_program *p = f ? ad_func_program(f, real) : NULL;
    if (p)
        ad_program_report(p, &r);
    return (ad_cost){r.flops, r.flops_per_row, r.work_bytes, r.work_bytes_per_row};
}

static ad_cost of_loop(const ad_loop *l, int real)
{
    size_t size = ad_kernels_for(real)->size;
    ad_cost cost = {0}, forth = of_function(l->back ? (l->ncarry ? l->forward : NULL) : l->f, real),
            back = of_function(l->back, real), carries = {0};
    const ad_object *f = &l->f->o;
    for (int i = 0; i < l->ncarry; i++)
        room(&carries, f->out[i], 1, size);
    if (!l->back) {
        add(&cost, &forth, (double)l->count);
        add(&cost, &carries, 0);
        add(&cost, &carries, 0);
        return cost;
    }
    int64_t slots = ad_scan_slots(l, (size_t)carries.bytes);
    add(&cost, &back, (double)l->count);
    add(&cost, &forth, (double)l->count * (slots < l->count ? 2 : 1));
    for (int i = 0; i < l->nsums; i++)
        room(&cost, f->in[l->sum[i]], 2, size);
    cost.bytes += (slots + 4) * carries.bytes + slots * (int64_t)sizeof(int64_t);
    cost.bytes_per_row += (slots + 4) * carries.bytes_per_row;
    return cost;
}

static ad_cost of_root(const ad_object *o, int real)
{
    int max_iter, n = o->out[0].cols;
    double tolerance, solve = 2.0 / 3 * n * n * n;
    ad_cost cost = of_function(ad_root_newton(o, real, &max_iter, &tolerance), real);
    int64_t rows = o->out[0].rows < 0 ? -o->out[0].rows : o->out[0].rows;
    *(o->out[0].rows < 0 ? &cost.flops_per_row : &cost.flops) += solve * (double)rows;
    room(&cost, (ad_shape){o->out[0].rows, n + n * n}, 1, ad_kernels_for(real)->size);
    return cost;
}

ad_cost ad_object_cost(const ad_object *o, int real, int32_t bind)
{
    int op = o->class->op;
    ad_cost c = op == OP_CALL                         ? of_function((const ad_func *)o, real)
                : op == OP_SCAN || op == OP_SCAN_BACK ? of_loop((const ad_loop *)o, real)
                : op == OP_ROOT                       ? of_root(o, real)
                                                      : (ad_cost){0};
    int64_t rows =
        bind < 0 ? -(int64_t)bind : bind; /* its own batch, in one row of the program's or in all */
    c.flops_per_row *= (double)rows;
    c.bytes += (rows - 1) * c.bytes_per_row;
    c.bytes_per_row = bind < 0 ? rows * c.bytes_per_row : 0;
    if (bind > 0) {
        c.flops += c.flops_per_row;
        c.flops_per_row = 0;
    }
    return c;
}
