#!/bin/bash
# install.sh ROOT BUILD PREFIX - install into PREFIX, then build and run a program against the installed package alone,
# with pkg-config, shared and static.
# SPDX-License-Identifier: MIT
set -eu
root=$1 build=$2 prefix=$3
case $prefix in /*) ;; *) prefix=$(pwd)/$prefix ;; esac
rm -rf "$prefix"; mkdir -p "$prefix"
meson configure "$build" -Dprefix="$prefix" -Dlibdir=lib >/dev/null
ninja -C "$build" install >"$prefix.log" 2>&1 || { tail -n 30 "$prefix.log"; exit 1; }
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
[ -e "$prefix/lib/libnoether.so.0" ] || { echo "libnoether.so.0 is not installed"; exit 1; }
objdump -p "$prefix/lib/libnoether.so.0" | grep -q 'SONAME *libnoether.so.0$' || { echo "the soname is not libnoether.so.0"; exit 1; }
needed=$(objdump -p "$prefix/lib/libnoether.so.0" | awk '/NEEDED/ { print $2 }' | grep -vE '^(libc|libm|libpthread|libdl|libz|ld-linux.*)\.so' || true)
[ -z "$needed" ] || { echo "libnoether.so needs $needed"; exit 1; }
if [ -f "$prefix/include/noether/ad.h" ]; then
    cat >"$work/user.c" <<'EOF'
#include <noether/ad.h>
#include <stdio.h>
int main(void)
{
    ad_tape *t = ad_new();
    if (!t)
        return 1;
    puts("installed");
    ad_free(t);
    return 0;
}
EOF
    cp "$work/user.c" "$work/user.cc"
else
    echo "    ad.h does not exist yet: only the files are checked"
    exit 0
fi
examples=$(ls "$root"/docs/examples/*.c 2>/dev/null)
for src in "$work/user.c" $examples; do
    cp "$src" "$work/try.c"
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -D_GNU_SOURCE "$work/try.c" -o "$work/shared" $(pkg-config --cflags --libs noether) -lm
    LD_LIBRARY_PATH=$prefix/lib "$work/shared" >"$work/shared.out"
    ${CC:-cc} -std=c11 -D_GNU_SOURCE "$work/try.c" -o "$work/static" $(pkg-config --cflags noether) \
        "$prefix/lib/libnoether.a" $(pkg-config --libs --static noether | sed 's/-lnoether//') -lm
    "$work/static" >"$work/static.out"
    if objdump -p "$work/static" | grep -q noether; then echo "the static program needs the shared library"; exit 1; fi
    cmp "$work/shared.out" "$work/static.out"
done
# The header is valid C++, and every public header stands alone.
if command -v c++ >/dev/null 2>&1; then
    for h in "$prefix"/include/noether/*.h; do
        echo "#include <noether/${h##*/}>" >"$work/h.cc"; cp "$work/h.cc" "$work/h.c"
        c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags noether) "$work/h.cc"
        ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags noether) "$work/h.c"
    done
fi
