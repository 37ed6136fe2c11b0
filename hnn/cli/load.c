/* load.c - measured data from the command line. */
/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <string.h>

const cli_option cli_load_options[] = {
    {"columns", "trial=1,t=2,q=3,p=4", CLI_TEXT, NULL,
     "what the columns are, by number from 1 or by name; several degrees of freedom: q=3:4,p=5:6", 0, 0},
    {"coords", "qp|qv|q", CLI_TEXT, "qp", "the states are (q, p), (q, velocity), or positions only", 0, 0},
    {"dt", "STEP", CLI_REAL, NULL, "interval between rows, for data without times", 1e-300, 1e300},
    {"length", "ROWS", CLI_INT, NULL, "rows of a trajectory, where nothing in the file separates them", 1,
     1e15},
    {"derivatives", "FILE.npy", CLI_TEXT, NULL, "time derivatives of the states of a .npy, row by row", 0, 0},
    {"fit-order", "N", CLI_INT, "3", "order of the local polynomials that estimate derivatives", 1, 15},
    {"fit-window", "N", CLI_INT, "3", "points on each side that they use", 1, 10000},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};

int cli_load(cli *c, int files, const char *const path[], hnn_data *d)
{
    static const char *const coords[] = {"qp", "qv", "q"};
    hnn_data_options o = {.columns = cli_text(c, "columns"),
                          .dt = cli_has(c, "dt") ? cli_real(c, "dt") : 0,
                          .rows = cli_int(c, "length"),
                          .derivatives = cli_text(c, "derivatives"),
                          .order = (int)cli_int(c, "fit-order"),
                          .half_width = (int)cli_int(c, "fit-window")};
    const char *text = cli_text(c, "coords");
    int k = 0;
    while (k < 3 && strcmp(text, coords[k]))
        k++;
    if (k == 3)
        return cli_usage(c, "--coords is qp, qv or q, not '%.40s'", text);
    o.coords = (hnn_coords)k;
    return hnn_data_load(files, path, &o, d, &c->error) ? cli_error(c) : CLI_OK;
}
