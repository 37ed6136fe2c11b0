/* compile.c - a recorded subgraph becomes a program: one pass after the other.
 *
 * SPDX-License-Identifier: MIT */
#include "program.h"

#include <dlfcn.h>

void ad_program_free(ad_program *p)
{
    if (!p)
        return;
    if (p->base) {
        ad_program *base = p->base;
        if (p->library)
            dlclose(p->library);
        free(p);
        p = base;
    }
    if (__atomic_sub_fetch(&p->users, 1, __ATOMIC_ACQ_REL) >= 0)
        return;
    free(p->in);
    free(p->stage);
    free(p->pool);
    free(p->outside);
    free(p->run);
    free(p->port);
    free(p->fixed[0]);
    free(p->fixed[1]);
    free(p->code);
    free(p->consts);
    for (int32_t i = 0; i < p->nobjects; i++)
        ad_object_drop(p->object[i]);
    free(p->object);
    free(p->feed);
    free(p);
}

/* Outputs as nodes of t. */
static ad_var *outputs(ad_tape *t, int nout, const ad_var out[])
{
    ad_var *v = malloc(((size_t)nout + 1) * sizeof *v);
    if (!v)
        ad_fail(t, AD_ENOMEM, "ad_compile: out of memory");
    for (int i = 0; v && i < nout; i++) {
        ad_var x = ad_is_number(out[i]) ? ad_fill(t, 1, 1, out[i].value) : out[i];
        ad_tape *u;
        if (!ad_join("ad_compile", 1, &x, &v[i], &u) || u != t) {
            ad_fail(t, u != t ? AD_ETAPE : AD_EARG, "ad_compile: output %d is %s", i + 1,
                    u != t ? "on another tape" : "void");
            free(v);
            return NULL;
        }
    }
    return v;
}

/* Rows of a block: as many as the values of a row-by-row stage, of so many bytes a row, fit into cache with; the nearest
 * one where there are matrix products, whose operands are read again and again. A multiple of the rows of a tile. */
static int block_of(const ad_program *p, int64_t bytes)
{
    int64_t block = ((int64_t)(p->products ? 384 : 24) << 10) / (bytes + 1) / 8 * 8;
    return block < 16 ? 16 : block > 1024 ? 1024 : (int)block;
}

/* What ad_repeat feeds back: each input at most once, in the shape it has. */
static bool fed(ad_tape *t, ad_program *p, const int feed[], const ad_var in[], const ad_var out[])
{
    p->feed = malloc(((size_t)p->nout + 1) * sizeof *p->feed);
    if (!p->feed)
        ad_fail(t, AD_ENOMEM, "ad_compile: out of memory");
    for (int j = 0; p->feed && j < p->nout; j++) {
        int i = p->feed[j] = feed[j], twice = 0;
        for (int k = 0; k < j; k++)
            twice |= i >= 0 && feed[k] == i;
        if (i < -1 || i >= p->nin || twice ||
            (i >= 0 && (ad_rows(in[i]) != ad_rows(out[j]) || ad_cols(in[i]) != ad_cols(out[j])))) {
            char s[2][32];
            ad_fail(t, AD_EARG, "ad_compile: output %d %s is fed to input %lld of %d%s%s", j + 1,
                    ad_shape_text(s[0], ad_rows(out[j]), ad_cols(out[j])), (long long)i + 1, p->nin,
                    twice                  ? ", twice"
                    : i >= 0 && i < p->nin ? " "
                                           : "",
                    i >= 0 && i < p->nin ? ad_shape_text(s[1], ad_rows(in[i]), ad_cols(in[i])) : "");
            return false;
        }
    }
    return p->feed;
}

ad_program *ad_compile(ad_tape *t, int nin, const ad_var in[], int nout, const ad_var out[],
                       const ad_options *options)
{
    ad_options o = options ? *options : (ad_options){0};
    if (ad_status(t))
        return NULL;
    if (nin < 0 || nout < 1 || (nin && !in) || !out || o.real < AD_F64 || o.real > AD_F80 || o.block < 0 ||
        o.opt < AD_OPT_FULL || o.opt > AD_OPT_NONE) {
        ad_fail(t, AD_EARG,
                "ad_compile: %d inputs, %d outputs, real %d, opt %d, block %d: needs at least one output and "
                "options in their ranges",
                nin, nout, o.real, o.opt, o.block);
        return NULL;
    }
    _Alignas(64) char room[AD_IR_ROOM]; /* small programs need no other while they are made */
    ad_ir ir = {.room = room,
                .room_end = room + sizeof room,
                .k = ad_kernels_for(o.real),
                .write_out = o.opt == AD_OPT_FULL};
    ad_var *y = outputs(t, nout, out);
    ad_program *p = y ? calloc(1, sizeof *p) : NULL;
    bool full = o.opt == AD_OPT_FULL;
    if (y && !p)
        ad_fail(t, AD_ENOMEM, "ad_compile: out of memory");
    bool ok = p && ad_pass_live(&ir, t, nin, in, nout, y, full);
    if (ok) {
        p->k = ir.k;
        p->nin = nin;
        p->nout = nout;
        ok = !o.feed || fed(t, p, o.feed, in, y);
    }
    if (ok) {
        ok = (!full || ad_pass_columns(&ir)) && ad_pass_group(&ir, full);
        p->report = ir.report;
        ok = ok && ad_pass_plan(&ir, p, full);
        if (!ok)
            ad_fail(t, AD_ENOMEM, "ad_compile: out of memory");
        p->consts = ir.consts;
        p->nconsts = ir.nconsts;
        p->in = ir.in;
        p->object = ir.object;
        p->nobjects = ir.nobjects;
        ir.object = NULL;
        ir.nobjects = 0;
        ir.consts = NULL;
        ir.in = NULL;
    }
    if (ok) {
        ad_report *r = &p->report;
        int64_t local = 0;
        r->stages = p->nstages;
        r->instructions = p->nins;
        r->isa = p->k->isa;
        r->program_bytes = (int64_t)((size_t)p->nins * sizeof *p->ins + (size_t)p->npool * sizeof *p->pool +
                                     (size_t)p->nplaces * sizeof *p->place + (size_t)p->nconsts * p->k->size +
                                     (size_t)p->ncode * sizeof *p->code);
        for (int32_t b = 0; b < p->nbuffers; b++) {
            const ad_buffer *v = &p->buffer[b];
            r->work_bytes += (v->fixed + v->per_row) * (int64_t)p->k->size;
            local += v->local ? v->per_row * (int64_t)p->k->size : 0;
            r->work_bytes_per_row += v->per_row * (int64_t)p->k->size;
        }
        r->work_bytes_per_row -= local;
        r->block = p->block = o.block ? o.block : block_of(p, local);
    } else {
        ad_program_free(p);
        p = NULL;
    }
    ad_ir_free(&ir);
    free(y);
    return p;
}

void ad_program_report(const ad_program *p, ad_report *out)
{
    if (out)
        *out = p ? p->report : (ad_report){.isa = ""};
    for (int32_t i = 0; out && p && p->nobjects && i < p->nins;
         i++) { /* what its calls, loops and roots run */
        if (!ad_is_object(p->ins[i].op))
            continue;
        ad_cost c =
            ad_object_cost(ad_ins_object(p, &p->ins[i]), p->k->real, p->place[p->pool[p->ins[i].at]].rows);
        out->flops += c.flops;
        out->flops_per_row += c.flops_per_row;
        out->work_bytes += c.bytes;
        out->work_bytes_per_row += c.bytes_per_row;
    }
}
