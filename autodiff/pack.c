/* pack.c - several values as one flat vector, and back: what an optimiser works on.
 *
 * SPDX-License-Identifier: MIT */
#include "tape.h"

ad_var ad_pack(int n, const ad_var x[])
{
    char s[32];
    if (n < 1 || !x)
        return ad_fail(n > 0 && x ? x[0].tape : NULL, AD_EARG, "ad_pack: %d values; needs at least 1", n);
    ad_tape *t = x[0].tape;
    for (int i = 0; i < n && !t; i++)
        t = x[i].tape;
    ad_var *flat = malloc((size_t)n * sizeof *flat), y = ad_void(t);
    if (!flat)
        return ad_fail(t, AD_ENOMEM, "ad_pack: out of memory");
    if (!ad_join("ad_pack", n, x, flat, &t))
        goto done;
    for (int i = 0; i < n; i++) {
        int r = ad_rows(flat[i]), c = ad_cols(flat[i]);
        if (r < 0) {
            ad_fail(t, AD_ESHAPE, "ad_pack: value %d is %s; needs a fixed number of rows", i + 1,
                    ad_shape_text(s, r, c));
            goto done;
        }
        flat[i] = ad_reshape(flat[i], 1, r * c);
    }
    y = ad_concat_cols(n, flat);
done:
    free(flat);
    return y;
}

int ad_unpack(ad_var flat, int n, const ad_var like[], ad_var out[])
{
    char s[32];
    int64_t size = 0;
    ad_tape *t = flat.tape;
    for (int i = 0; i < n && !ad_is_void(flat); i++) {
        int64_t r = ad_rows(like[i]), c = ad_cols(like[i]);
        if (r < 0)
            ad_fail(t, AD_ESHAPE, "ad_unpack: value %d is like %s; needs a fixed number of rows", i + 1,
                    ad_shape_text(s, (int)r, (int)c));
        else if (ad_is_void(like[i]) && like[i].tape)
            ad_fail(t, AD_ESTALE, "ad_unpack: value %d is like a void value", i + 1);
        size += r * c;
    }
    if (!ad_is_void(flat) && (ad_rows(flat) != 1 || ad_cols(flat) != size || n < 1))
        ad_fail(t, n < 1 ? AD_EARG : AD_ESHAPE, "ad_unpack: %s into %d values; needs [1,%lld]",
                ad_shape_text(s, ad_rows(flat), ad_cols(flat)), n, (long long)size);
    for (int i = 0, col = 0; i < n; i++) {
        int r = ad_rows(like[i]), c = ad_cols(like[i]);
        bool ok = t && !ad_status(t) && !ad_is_void(flat);
        out[i] = ok ? ad_reshape(ad_cols_of(flat, col, r * c), r, c) : t ? ad_void(t) : flat;
        col += r * c;
    }
    return t ? ad_status(t) : n == 1 ? AD_OK : AD_EARG;
}
