/* train_windows.c - rollout training with growing windows: 1, 2, 4, ... samples, so that early rollouts of a poor model stay
 * short. Invariant: each stage is an ordinary training with its own checkpoint, so resuming skips what is done. */
/* SPDX-License-Identifier: MIT */
#include "text.h"
#include "train.h"

/* 1, 2, 4, ... below the last, then the last. */
static int stage_count(int last)
{
    int stages = 1;
    for (int w = 1; w < last; w *= 2)
        stages++;
    return stages;
}

static int one_stage(hnn_model *m, const hnn_loss_spec *loss, const hnn_data *train,
                     const hnn_data *validation, const hnn_train_options *o, hnn_train_result *out,
                     hnn_error *e)
{
    hnn_samples x = {0}, v = {0};
    int code = hnn_samples_new(loss, m, train, &x, e);
    if (!code && validation && validation->ntraj)
        code = hnn_samples_new(loss, m, validation, &v, e);
    code = code ? code : hnn_train(m, loss, &x, v.n ? &v : NULL, o, out, e);
    hnn_samples_free(&x);
    hnn_samples_free(&v);
    return code;
}

/* Two trainings, each with its checkpoint; the first has that of its name with .lsq. */
int hnn_train_polished(hnn_model *m, const hnn_loss_spec *loss, const hnn_samples *x, const hnn_samples *v,
                       const hnn_train_options *o, hnn_train_result *out, hnn_error *e)
{
    hnn_train_options solve = *o, polish = *o;
    hnn_train_result first;
    hnn_text path = {0};
    solve.polish = polish.polish = 0;
    polish.optimiser = "lbfgs", polish.steps = o->polish;
    if (o->checkpoint)
        hnn_text_printf(&path, "%s.lsq", o->checkpoint);
    int code = hnn_text_status(&path, e);
    solve.checkpoint = o->checkpoint ? path.s : NULL;
    code = code ? code : hnn_train(m, loss, x, v, &solve, &first, e);
    hnn_text_free(&path);
    if (code)
        return code;
    if (first.end == HNN_INTERRUPTED || first.end == HNN_DIVERGED) {
        *out = first;
        return HNN_OK;
    }
    code = hnn_train(m, loss, x, v, &polish, out, e);
    out->steps += first.steps, out->seconds += first.seconds;
    hnn_train_result_free(&first);
    return code;
}

int hnn_train_windows(hnn_model *m, const hnn_loss_spec *loss, const hnn_data *train,
                      const hnn_data *validation, const hnn_train_options *given, hnn_train_result *out,
                      hnn_error *e)
{
    *out = (hnn_train_result){0};
    hnn_loss_spec full;
    int code = hnn_loss_resolve(loss, m, &full, e), stages = code ? 0 : stage_count(full.window);
    const int longest = full.window;
    hnn_train_options o = given ? *given : (hnn_train_options){0};
    long steps = o.steps ? o.steps : 2000, done = 0;
    double seconds = 0;
    for (int k = 0, w = 1; k < stages && !code; k++, w *= 2) {
        hnn_text path = {0};
        int last = k == stages - 1;
        hnn_loss_spec stage = full;
        stage.window = last ? longest : w;
        o.steps = last ? steps - steps / stages * (stages - 1) : steps / stages;
        if (given && given->checkpoint && !last) { /* the last stage has the name that was asked for */
            hnn_text_printf(&path, "%s.%d", given->checkpoint, w);
            code = hnn_text_status(&path, e);
            o.checkpoint = path.s;
        } else
            o.checkpoint = given ? given->checkpoint : NULL;
        hnn_train_result_free(out);
        if (o.steps > 0)
            code = code ? code : one_stage(m, &stage, train, validation, &o, out, e);
        hnn_text_free(&path);
        done += out->steps, seconds += out->seconds;
        if (out->end == HNN_INTERRUPTED || out->end == HNN_DIVERGED)
            break;
    }
    out->steps = done, out->seconds = seconds;
    return code;
}
