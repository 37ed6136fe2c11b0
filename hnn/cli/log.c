/* log.c - what a training tells while it runs. Invariant: a line of log.jsonl is written whole. */
/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include <math.h>
#include <stdlib.h>

int cli_log_open(cli *c, cli_log *l, int append)
{
    *l = (cli_log){.c = c, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (!cli_text(c, "out"))
        return CLI_OK;
    char *path = cli_path(c, "log.jsonl");
    l->file = path ? fopen(path, append ? "a" : "w") : NULL;
    int status = l->file ? CLI_OK : cli_fail(c, "%s: cannot write this file", path ? path : "log.jsonl");
    free(path);
    return status;
}

void cli_log_close(cli_log *l)
{
    if (l->file)
        fclose(l->file);
    l->file = NULL;
}

static void line(FILE *f, const char *model, int seed, const hnn_progress *p)
{
    const double v[] = {p->loss, p->validation, p->rate, p->gradient, p->seconds};
    static const char *const key[] = {"loss", "validation", "rate", "gradient", "seconds"};
    hnn_text t = {0};
    hnn_text_add(&t, "{\"model\": ");
    hnn_text_json(&t, model);
    hnn_text_printf(&t, ", \"seed\": %d, \"step\": %ld", seed, p->step);
    for (int k = 0; k < 5; k++) {
        hnn_text_printf(&t, ", \"%s\": ", key[k]);
        if (isfinite(v[k]))
            hnn_text_number(&t, v[k]);
        else
            hnn_text_add(&t, "null");
    }
    hnn_text_add(&t, "}\n");
    if (!hnn_text_status(&t, NULL))
        fwrite(t.s, 1, t.n, f);
    fflush(f);
    hnn_text_free(&t);
}

void cli_log_line(cli_log *l, const char *model, int seed, const hnn_progress *p)
{
    char left[40] = "";
    pthread_mutex_lock(&l->lock);
    if (!l->lines++)
        l->first = p->step;
    if (p->step > l->first)
        snprintf(left, sizeof left, ", %.0f s left",
                 p->seconds * (double)(p->steps - p->step) / (double)(p->step - l->first));
    cli_progress(l->c, "%s, seed %d: step %ld of %ld, loss %.3g, rate %.2g%s", model, seed + 1, p->step,
                 p->steps, p->loss, p->rate, left);
    if (l->file)
        line(l->file, model, seed, p);
    pthread_mutex_unlock(&l->lock);
}
