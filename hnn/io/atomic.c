/* atomic.c - files read whole, and written completely or not at all. Invariant: `path` is only ever changed by
 * rename, after the new bytes have reached the disk. */
/* SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t hnn_crc32(uint32_t crc, const void *bytes, size_t n)
{
    /* four bits at a time: the table is a constant of 16 words, no global that changes */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

int hnn_file_read(const char *path, char **bytes, size_t *n, hnn_error *e)
{
    *bytes = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hnn_fail(e, HNN_EIO, "%s: cannot open: %s", path, strerror(errno));
    struct stat st;
    int code = HNN_OK;
    hnn_text t = {0};
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        code = hnn_fail(e, HNN_EIO, "%s: is a folder, a file was needed", path);
    hnn_text_bytes(&t, "", 0);
    while (!code && !t.failed) { /* until end of file, not st_size: pipes and /dev/stdin have no size */
        char block[65536];
        ssize_t got = read(fd, block, sizeof block);
        if (got == 0)
            break;
        if (got > 0)
            hnn_text_bytes(&t, block, (size_t)got);
        else if (errno != EINTR)
            code = hnn_fail(e, HNN_EIO, "%s: cannot read: %s", path, strerror(errno));
    }
    close(fd);
    if (!code && t.failed)
        code = hnn_fail(e, HNN_EMEM, "%s: out of memory after %zu bytes", path, t.n);
    if (code) {
        hnn_text_free(&t);
        return code;
    }
    *bytes = t.s;
    *n = t.n;
    return HNN_OK;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return 0;
        p += put;
        n -= (size_t)put;
    }
    return 1;
}

/* the rename itself must survive a power cut; a file system that cannot sync a folder is not an error */
static void sync_folder(const char *path)
{
    hnn_text t = {0};
    const char *slash = strrchr(path, '/');
    if (slash)
        hnn_text_bytes(&t, path, slash == path ? 1 : (size_t)(slash - path));
    int fd = t.failed ? -1 : open(slash ? t.s : ".", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
    hnn_text_free(&t);
}

static int write_parts(const char *path, const void *a, size_t na, const void *b, size_t nb, hnn_error *e)
{
    hnn_text name = {0};
    hnn_text_printf(&name, "%s.tmpXXXXXX", path);
    if (name.failed) {
        hnn_text_free(&name);
        return hnn_fail(e, HNN_EMEM, "%s: out of memory", path);
    }
    int code = HNN_OK;
    int fd = mkstemp(name.s);
    if (fd < 0) {
        code = hnn_fail(e, HNN_EIO, "%s: cannot write there: %s", path, strerror(errno));
        hnn_text_free(&name);
        return code;
    }
    struct stat st; /* mkstemp makes 0600: keep the mode of the old file, or what a plain open would give */
    if (stat(path, &st) == 0)
        (void)!fchmod(fd, st.st_mode & 07777);
    else
        (void)!fchmod(fd, 0644);
    int good = write_all(fd, a, na) && write_all(fd, b, nb) && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && good)
        good = 0, why = errno;
    if (good && rename(name.s, path) != 0)
        good = 0, why = errno;
    if (!good) {
        unlink(name.s);
        code = hnn_fail(e, HNN_EIO, "%s: cannot write %zu bytes: %s", path, na + nb, strerror(why));
    } else
        sync_folder(path);
    hnn_text_free(&name);
    return code;
}

int hnn_file_write(const char *path, const void *bytes, size_t n, hnn_error *e)
{
    return write_parts(path, bytes, n, "", 0, e);
}

enum { SEAL = 24 };

static void seal_make(unsigned char seal[SEAL], const void *bytes, size_t n)
{
    memcpy(seal, "NOETHER\n", 8);
    for (int i = 0; i < 8; i++)
        seal[8 + i] = (unsigned char)((uint64_t)n >> 8 * i);
    uint32_t crc = hnn_crc32(hnn_crc32(0, bytes, n), seal, 16);
    for (int i = 0; i < 4; i++)
        seal[16 + i] = (unsigned char)(crc >> 8 * i);
    memcpy(seal + 20, "SEAL", 4);
}

int hnn_sealed_write(const char *path, const void *bytes, size_t n, hnn_error *e)
{
    unsigned char seal[SEAL];
    seal_make(seal, bytes, n);
    return write_parts(path, bytes, n, seal, SEAL, e);
}

int hnn_sealed_read(const char *path, char **bytes, size_t *n, hnn_error *e)
{
    int code = hnn_file_read(path, bytes, n, e);
    if (code)
        return code;
    unsigned char seal[SEAL];
    if (*n < SEAL)
        code = hnn_fail(e, HNN_ECHECKSUM, "%s: %zu bytes, too short for its seal of %d", path, *n, SEAL);
    else {
        seal_make(seal, *bytes, *n - SEAL);
        if (memcmp(seal, *bytes + *n - SEAL, SEAL) != 0)
            code = hnn_fail(e, HNN_ECHECKSUM, "%s: the checksum differs: truncated or altered", path);
    }
    if (code) {
        free(*bytes);
        *bytes = NULL;
        *n = 0;
        return code;
    }
    *n -= SEAL;
    (*bytes)[*n] = 0;
    return HNN_OK;
}
