/* text.h - a growing string, whole files in memory, and files that are written completely or not at all.
 * Invariant: after the first failure a text stays valid and unchanged, and remembers the failure, so a writer
 * checks once, at the end. */
/* SPDX-License-Identifier: MIT */
#ifndef HNN_TEXT_H
#define HNN_TEXT_H

#include "error.h"

#include <stdint.h>

typedef struct hnn_text {
    char *s; /* zero-terminated; NULL while empty */
    size_t n, room;
    int failed; /* HNN_EMEM once memory ran out */
} hnn_text;

/* {0} is an empty text. */
void hnn_text_free(hnn_text *t);
void hnn_text_add(hnn_text *t, const char *s);
void hnn_text_bytes(hnn_text *t, const void *bytes, size_t n);
void hnn_text_printf(hnn_text *t, const char *format, ...) HNN_PRINTF(2, 3);
void hnn_text_number(hnn_text *t, double x); /* %.17g with a point in every locale; nan, inf, -inf */
void hnn_text_short(hnn_text *t, double x,
                    int digits);                /* at most `digits` decimals, no trailing zeros, no -0 */
void hnn_text_xml(hnn_text *t, const char *s);  /* < > & " ' escaped, control characters dropped */
void hnn_text_json(hnn_text *t, const char *s); /* quoted JSON string */
int hnn_text_status(const hnn_text *t, hnn_error *e);

/* hnn_number - the number at the beginning of s[n], point as the decimal sign in every locale (or `decimal`),
 * Fortran's D exponent allowed. Returns how many characters it has, 0 if there is none. */
size_t hnn_number(const char *s, size_t n, char decimal, double *x);

/* hnn_crc32 - CRC-32 (reflected polynomial 0xEDB88320, ISO 3309) of n bytes, continuing from crc; start at 0. */
uint32_t hnn_crc32(uint32_t crc, const void *bytes, size_t n);

/* hnn_file_read - the whole file, with a zero byte after it. The caller frees *bytes. */
int hnn_file_read(const char *path, char **bytes, size_t *n, hnn_error *e);

/* hnn_file_write - temporary file beside path, fsync, rename, fsync of the folder: a reader sees the old
 * file or the new one, never a part. On failure the temporary file is removed and path is as it was. */
int hnn_file_write(const char *path, const void *bytes, size_t n, hnn_error *e);

/* hnn_sealed_write / _read - the same with a 24-byte seal (magic, length, CRC-32) at the end of the file.
 * Reading a truncated, extended or altered file gives HNN_ECHECKSUM. */
int hnn_sealed_write(const char *path, const void *bytes, size_t n, hnn_error *e);
int hnn_sealed_read(const char *path, char **bytes, size_t *n, hnn_error *e);

#endif
