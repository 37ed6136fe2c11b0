/* native.h - private: what ad_native and its build step share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_NATIVE_H
#define AD_NATIVE_H

#include "program.h"

enum { AD_NAT_WORDS = 8, AD_NAT_PATH = 1024, AD_NAT_SAY = 400 };

/* A compiler: its words (a path, then arguments out of CC), and what tells it from its other versions. */
typedef struct ad_nat_compiler {
    char path[AD_NAT_PATH], text[AD_NAT_PATH];
    char *word[AD_NAT_WORDS + 1];
    int words;
    uint64_t stamp[2]; /* size and time of change */
} ad_nat_compiler;

HIDDEN bool ad_nat_find(ad_nat_compiler *c, char say[AD_NAT_SAY]); /* false: none, and what was looked for */
HIDDEN const char *const *ad_nat_flags(const ad_program *p, bool plain); /* up to a NULL */
/* Compiles text into the library `to` through a new file beside it; false with the reason. */
HIDDEN bool ad_nat_build(const ad_nat_compiler *c, const ad_program *p, const char *text, const char *to,
                         char say[AD_NAT_SAY]);
/* Writes a file as a whole or not at all. */
HIDDEN bool ad_nat_write(const char *path, const char *text, size_t n);
#endif
