/* tape.c - tapes, handles, marks and the sticky error.
 * Invariant: what fails leaves the tape as it was, with a message.
 *
 * SPDX-License-Identifier: MIT */
#include "eval.h"
#include "object.h"

#include <limits.h>
#include <stdio.h>

const char ad_nowhere;

ad_var ad_void(ad_tape *t)
{
    ad_var v;
    v.tape = t ? t : (ad_tape *)(uintptr_t)&ad_nowhere;
    v.id = -1;
    v.mark = 0;
    return v;
}

ad_var ad_fail(ad_tape *t, int status, const char *format, ...)
{
    if (ad_real_tape(t) && t->status == AD_OK) {
        va_list ap;
        va_start(ap, format);
        t->status = status;
        vsnprintf(t->message, sizeof t->message, format, ap);
        va_end(ap);
    }
    return ad_void(t);
}

const char *ad_status_name(int status)
{
    static const char *const name[] = {
        "AD_OK",     "AD_ENOMEM",   "AD_ESHAPE",  "AD_ETAPE", "AD_ESTALE", "AD_EARG",         "AD_ENAME",
        "AD_EPARSE", "AD_EUNBOUND", "AD_EDOMAIN", "AD_EROOT", "AD_ECALL",  "AD_EUNSUPPORTED", "AD_EIO"};
    return status >= 0 && status <= AD_EIO ? name[status] : "unknown status";
}

char *ad_shape_text(char buffer[32], int rows, int cols)
{
    if (rows >= 0)
        snprintf(buffer, 32, "[%d,%d]", rows, cols);
    else if (rows == AD_BATCH)
        snprintf(buffer, 32, "[B,%d]", cols);
    else
        snprintf(buffer, 32, "[%dB,%d]", -rows, cols);
    return buffer;
}

ad_tape *ad_new(void)
{
    ad_tape *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->cache = calloc(CACHE, sizeof *t->cache);
    if (!t->cache) {
        free(t);
        return NULL;
    }
    return t;
}

void ad_forget_values(ad_tape *t)
{
    for (int32_t i = 0; i < t->nval; i++) {
        free(t->val[i]);
        t->val[i] = NULL;
    }
}

void ad_free(ad_tape *t)
{
    if (!ad_real_tape(t))
        return;
    ad_forget_values(t);
    ad_evals_free(t);
    ad_objects_cut(t, 0);
    for (int32_t i = 0; i < t->nchunks; i++)
        free(t->chunk[i]);
    for (int32_t i = 0; i < t->ninputs; i++) {
        free(t->input[i].name);
        free(t->input[i].value);
    }
    free(t->chunk);
    free(t->ext);
    free(t->values);
    free(t->input);
    free(t->named);
    free(t->cut);
    free(t->cache);
    free(t->val);
    free(t->object);
    free(t);
}

int ad_status(const ad_tape *t) { return ad_real_tape(t) ? t->status : AD_ENOMEM; }

const char *ad_message(const ad_tape *t) { return ad_real_tape(t) ? t->message : "ad_new: out of memory"; }

void ad_clear(ad_tape *t)
{
    if (!ad_real_tape(t))
        return;
    t->status = AD_OK;
    t->message[0] = 0;
}

/* Handles ---------------------------------------------------------------------------------------- */

static bool stale(const ad_tape *t, int32_t id, uint32_t mark)
{
    if (mark == t->epoch)
        return id >= t->n;
    /* the lowest cut after `mark`: the first one recorded later, because cuts ascend */
    for (int32_t i = 0; i < t->ncuts; i++)
        if (t->cut[i].epoch > mark)
            return id >= t->cut[i].nodes;
    return id >= t->n;
}

ad_node *ad_node_of(ad_var v)
{
    if (v.id < 0 || !ad_real_tape(v.tape) || (!ad_fresh(v.tape, v) && stale(v.tape, v.id, v.mark)))
        return NULL;
    return ad_at_id(v.tape, v.id);
}

ad_mark ad_here(ad_tape *t)
{
    ad_mark m = {0, 0, 0, 0, 0};
    if (ad_real_tape(t)) {
        m.nodes = t->n;
        m.inputs = t->ninputs;
        m.ext = t->next;
        m.epoch = t->epoch;
        m.values = t->nvalues;
    }
    return m;
}

void ad_rewind(ad_tape *t, ad_mark to)
{
    if (!ad_real_tape(t))
        return;
    if (to.nodes < 0 || to.nodes > t->n || to.ext < 0 || to.ext > t->next || to.inputs < 0 ||
        to.inputs > t->ninputs || to.values < 0 || to.values > t->nvalues ||
        (to.nodes > 0 && stale(t, to.nodes - 1, to.epoch))) {
        ad_fail(t, AD_ESTALE, "ad_rewind: the mark at node %d is no longer on the tape of %d nodes", to.nodes,
                t->n);
        return;
    }
    while (t->ncuts > 0 && t->cut[t->ncuts - 1].nodes >= to.nodes)
        t->ncuts--;
    if (t->ncuts == t->cuts_cap) {
        int32_t cap = t->cuts_cap ? 2 * t->cuts_cap : 8;
        struct ad_cut *cut = realloc(t->cut, (size_t)cap * sizeof *cut);
        if (!cut) {
            ad_fail(t, AD_ENOMEM, "ad_rewind: out of memory");
            return;
        }
        t->cut = cut;
        t->cuts_cap = cap;
    }
    ad_evals_free(t);
    ad_objects_cut(t, to.nodes);
    t->epoch++;
    t->cut[t->ncuts].epoch = t->epoch;
    t->cut[t->ncuts++].nodes = to.nodes;
    for (int32_t i = to.nodes; i < t->nval && i < t->n; i++) {
        free(t->val[i]);
        t->val[i] = NULL;
    }
    ad_inputs_cut(t, to.inputs);
    t->n = to.nodes;
    t->next = to.ext;
    t->nvalues = to.values;
    memset(t->cache, 0, CACHE * sizeof *t->cache); /* it may name removed nodes */
}

int ad_is_number(ad_var x) { return x.tape == NULL; }
int ad_is_void(ad_var x) { return x.tape && !ad_node_of(x); }
int ad_rows(ad_var x)
{
    const ad_node *n = ad_node_of(x);
    return n ? n->rows : ad_is_number(x);
}
int ad_cols(ad_var x)
{
    const ad_node *n = ad_node_of(x);
    return n ? n->cols : ad_is_number(x);
}
int32_t ad_nodes(const ad_tape *t) { return ad_real_tape(t) ? t->n : 0; }
size_t ad_bytes(const ad_tape *t)
{
    if (!ad_real_tape(t))
        return 0;
    size_t objects = (size_t)t->objects_cap * sizeof *t->object;
    for (int32_t i = 0; i < t->nobjects; i++)
        objects += ad_object_bytes(t->object[i].object);
    return objects + sizeof *t + (size_t)t->nchunks * (CHUNK * sizeof(ad_node) + sizeof(ad_node *)) +
           (size_t)t->ext_cap * sizeof *t->ext + (size_t)t->values_cap * sizeof(double) +
           (size_t)t->inputs_cap * sizeof *t->input + (size_t)t->named_size * sizeof *t->named +
           CACHE * sizeof *t->cache;
}
bool ad_join(const char *who, int n, const ad_var in[], ad_var out[], ad_tape **tape)
{
    ad_tape *t = in[0].tape;
    bool fresh = ad_real_tape(t) && !t->status;
    for (int i = 0; fresh && i < n; i++) {
        fresh = ad_fresh(t, in[i]);
        out[i] = in[i];
    }
    *tape = t;
    if (fresh)
        return true;
    t = NULL;
    for (int i = 0; i < n; i++)
        if (in[i].tape && (!t || !ad_real_tape(t)))
            t = in[i].tape;
    *tape = t;
    if (!ad_real_tape(t))
        return false;
    for (int i = 0; i < n; i++) {
        if (!in[i].tape) {
            out[i] = ad_fill(t, 1, 1, in[i].value);
        } else if (in[i].tape != t) {
            ad_fail(t, AD_ETAPE, "%s: operand %d is on another tape", who, i + 1);
            return false;
        } else if (in[i].id < 0) {
            return false;
        } else if (stale(t, in[i].id, in[i].mark)) {
            ad_fail(t, AD_ESTALE, "%s: operand %d (node %d) was removed by ad_rewind", who, i + 1, in[i].id);
            return false;
        } else {
            out[i] = in[i];
        }
        if (out[i].id < 0)
            return false;
    }
    return !t->status;
}
