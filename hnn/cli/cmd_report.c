/* cmd_report.c - noether report: the page of a run, from what is in its folder. Invariant: for a comparison the page has the bytes
 * of the one that compare wrote. */
/* SPDX-License-Identifier: MIT */
#include "io/json.h"
#include "report.h"
#include "result.h"

#include <stdlib.h>
#include <sys/stat.h>

static int run(cli *c)
{
    const char *from = c->argv[0], *to = cli_has(c, "out") ? cli_text(c, "out") : from;
    struct stat st;
    hnn_compare_result r;
    hnn_json *texts;
    char *line;
    if (stat(from, &st) || !S_ISDIR(st.st_mode))
        return cli_fail(c, "%.200s: there is no such folder; a run leaves one with --out DIR", from);
    int status = cli_result_read(c, from, &r, &line, &texts);
    if (status != CLI_OK)
        return status;
    if (hnn_compare_page(&r, to, line, &c->error))
        status = cli_error(c);
    else {
        hnn_text_printf(&c->out, "Report: %s/report.html\n", to);
        hnn_text path = {0};
        hnn_text_printf(&path, "%s/report.html", to);
        cli_json_text(&c->json, "report", path.s);
        hnn_text_free(&path);
    }
    hnn_compare_free(&r);
    hnn_json_free(texts);
    free(line);
    return status;
}

static const cli_option own[] = {
    {"out", "DIR", CLI_TEXT, NULL, "the page and its figures go there instead of into RUN", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};
static const cli_option *const groups[] = {own, cli_common, NULL};
const cli_command cli_cmd_report = {
    .name = "report",
    .args = "RUN",
    .summary = "the page of a comparison or a training, with its figures, from its folder",
    .more = "  noether train pendulum --steps 5000 --out run && noether report run\n"
            "Writes report.html, which needs nothing else, and each figure as .svg and .csv.\n",
    .groups = groups,
    .min_args = 1,
    .max_args = 1,
    .plain = 1,
    .run = run};
