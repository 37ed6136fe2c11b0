/* native.c - a program as machine code: emitted, compiled, kept in a cache by content, loaded.
 *
 * An entry of the cache is KEY.so and KEY.sum, KEY a hash of the text, the compiler and its flags, KEY.sum the size and
 * hash of KEY.so. Invariant: what is loaded has the hash that was written with it, and lies in a folder that only its
 * owner can write; an entry that does not is built again.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash(uint64_t h, const void *data, size_t n)
{
    const unsigned char *s = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * UINT64_C(0x100000001b3);
    return h;
}
#define BASIS UINT64_C(0xcbf29ce484222325)

static void key_of(const ad_program *p, const ad_nat_compiler *c, const char *text, char key[33])
{
    uint64_t h[2] = {BASIS, ~BASIS};
    for (int i = 0; i < 2; i++) {
        h[i] = hash(h[i], text, strlen(text) + 1);
        for (int w = 0; w < c->words; w++)
            h[i] = hash(h[i], c->word[w], strlen(c->word[w]) + 1);
        for (const char *const *flag = ad_nat_flags(p, false); *flag; flag++)
            h[i] = hash(h[i], *flag, strlen(*flag) + 1);
        h[i] = hash(h[i], c->stamp, sizeof c->stamp);
        h[i] = hash(h[i], NOETHER_VERSION, sizeof NOETHER_VERSION);
    }
    snprintf(key, 33, "%016llx%016llx", (unsigned long long)h[0], (unsigned long long)h[1]);
}

/* The folder, made if need be; false with the reason. */
static bool folder(const char *cache, char path[AD_NAT_PATH], char say[AD_NAT_SAY])
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = cache && *cache ? snprintf(path, AD_NAT_PATH, "%s", cache)
            : xdg && *xdg   ? snprintf(path, AD_NAT_PATH, "%s/noether", xdg)
            : home && *home ? snprintf(path, AD_NAT_PATH, "%s/.cache/noether", home)
                            : -1;
    if (n < 1 || n > AD_NAT_PATH - 64) {
        snprintf(say, AD_NAT_SAY,
                 n < 1 ? "no cache folder: XDG_CACHE_HOME and HOME are not set"
                       : "the path of the cache folder is too long");
        return false;
    }
    for (char *s = path + 1;; s++) /* each folder on the way */
        if (*s == '/' || !*s) {
            char end = *s;
            *s = 0;
            if (mkdir(path, 0700) && errno != EEXIST && !end) {
                snprintf(say, AD_NAT_SAY, "the cache cannot be written: %.200s: %s", path, strerror(errno));
                return false;
            }
            *s = end;
            if (!end)
                break;
        }
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
        snprintf(say, AD_NAT_SAY, "the cache cannot be written: %.200s is not a folder", path);
        return false;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 022)) {
        snprintf(say, AD_NAT_SAY,
                 "the cache %.200s belongs to or can be written by others: its code is not loaded", path);
        return false;
    }
    return true;
}

/* "size hash" of a file; false when it cannot be read. */
static bool sum_of(const char *path, char sum[64])
{
    FILE *f = fopen(path, "rb");
    unsigned char block[4096];
    uint64_t h = BASIS;
    size_t n, size = 0;
    if (!f)
        return false;
    while ((n = fread(block, 1, sizeof block, f)) > 0) {
        h = hash(h, block, n);
        size += n;
    }
    bool ok = !ferror(f);
    fclose(f);
    snprintf(sum, 64, "%zu %016llx\n", size, (unsigned long long)h);
    return ok;
}

static bool intact(const char *library, const char *sums)
{
    char is[64], should[64] = "";
    FILE *f = fopen(sums, "r");
    size_t n = f ? fread(should, 1, sizeof should - 1, f) : 0;
    if (f)
        fclose(f);
    should[n] = 0;
    return n > 0 && sum_of(library, is) && !strcmp(is, should);
}

static bool load(ad_program *q, const char *library)
{
    q->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (q->library) {
        *(void **)(void *)&q->native = dlsym(q->library, "native");
        *(void **)(void *)&q->native_work = dlsym(q->library, "native_work");
        *(void **)(void *)&q->native_repeat = q->feed ? dlsym(q->library, "native_repeat") : NULL;
    }
    if (q->native && q->native_work)
        return true;
    if (q->library)
        dlclose(q->library);
    q->library = NULL;
    q->native = NULL;
    return false;
}

static bool compiled(ad_program *q, const char *cache, const char *text, char say[AD_NAT_SAY])
{
    ad_nat_compiler c;
    char path[AD_NAT_PATH], library[AD_NAT_PATH], sums[AD_NAT_PATH], key[33], sum[64];
    if (!ad_nat_find(&c, say) || !folder(cache, path, say))
        return false;
    key_of(q, &c, text, key);
    size_t n = strlen(path); /* at most AD_NAT_PATH - 64: room for the names */
    memcpy(library, path, n);
    memcpy(sums, path, n);
    snprintf(library + n, sizeof library - n, "/%s.so", key);
    snprintf(sums + n, sizeof sums - n, "/%s.sum", key);
    if (intact(library, sums) && load(q, library)) {
        snprintf(say, AD_NAT_SAY, "native: loaded from %.300s", library);
        return true;
    }
    if (!ad_nat_build(&c, q, text, library, say))
        return false;
    if (!sum_of(library, sum) || !ad_nat_write(sums, sum, strlen(sum))) {
        snprintf(say, AD_NAT_SAY, "the cache cannot be written: %.200s", sums);
        return false;
    }
    if (!load(q, library)) {
        snprintf(say, AD_NAT_SAY, "%.300s cannot be loaded", library);
        return false;
    }
    snprintf(say, AD_NAT_SAY, "native: compiled by %.150s into %.200s", c.path, library);
    return true;
}

ad_program *ad_native(const ad_program *p, const char *cache, char **how)
{
    char say[AD_NAT_SAY] = "no program", *why = NULL;
    if (how)
        *how = NULL;
    ad_program *q = p ? calloc(1, sizeof *q) : NULL;
    if (q) {
        ad_program *base = (ad_program *)(uintptr_t)(p->base ? p->base : p);
        memcpy(q, base, offsetof(ad_program, users)); /* users changes under other threads */
        q->base = base;
        __atomic_add_fetch(&base->users, 1, __ATOMIC_RELAXED);
        char *text = ad_emit(p, "native", &why);
        if (!text)
            snprintf(say, sizeof say, "%s", why ? why : "out of memory");
        bool native = text && compiled(q, cache, text, say);
        if (how && (*how = malloc(AD_NAT_SAY + 16)))
            snprintf(*how, AD_NAT_SAY + 16, "%s%s", native ? "" : "replay: ", say);
        free(text);
        free(why);
    } else if (how) {
        *how = strdup(p ? "ad_native: out of memory" : "ad_native: no program");
    }
    return q;
}
