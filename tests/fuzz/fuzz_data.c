/* fuzz_data.c - any file is data or one error, whatever its ending says.
 *
 * SPDX-License-Identifier: MIT */
#include "data.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ending[] = {"csv", "npy", "npz", "safetensors"};
    char path[64];
    snprintf(path, sizeof path, "/tmp/noether-fuzz-%d.%s", (int)getpid(), ending[size ? data[0] % 4 : 0]);
    if (size > 1 && !memcmp(data, "\x93NUM", size < 4 ? size : 4))
        snprintf(path, sizeof path, "/tmp/noether-fuzz-%d.npy", (int)getpid());
    if (size > 1 && !memcmp(data, "PK", 2))
        snprintf(path, sizeof path, "/tmp/noether-fuzz-%d.npz", (int)getpid());
    FILE *f = fopen(path, "wb");
    if (!f)
        return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    for (int coords = HNN_QP; coords <= HNN_Q; coords++) {
        hnn_data d;
        hnn_error e = {0};
        hnn_data_options o = {.coords = (hnn_coords)coords};
        const char *const files[] = {path};
        if (!hnn_data_load(1, files, &o, &d, &e))
            hnn_data_free(&d);
    }
    unlink(path);
    return 0;
}
