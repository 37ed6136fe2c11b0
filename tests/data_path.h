/* data_path.h - where the files of tests/data are. Invariant: the folder is the one beside the test's source, or
 * NOETHER_TEST_DATA when that is set. */
/* SPDX-License-Identifier: MIT */
#ifndef DATA_PATH_H
#define DATA_PATH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *data_path(char path[512], const char *file)
{
    const char *folder = getenv("NOETHER_TEST_DATA"), *here = __FILE__, *slash = strrchr(here, '/');
    if (folder)
        snprintf(path, 512, "%s/%s", folder, file);
    else
        snprintf(path, 512, "%.*sdata/%s", slash ? (int)(slash - here + 1) : 0, here, file);
    return path;
}

#endif
