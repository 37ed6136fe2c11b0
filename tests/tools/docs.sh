#!/bin/sh
# docs.sh ROOT BUILD - compiles and runs every code block of README.md and docs/*.md; docs/README.md has the rules.
#
# Invariant: no block tagged c or sh goes unchecked, and each gives one line `PASSED|FAILED docs/FILE:LINE`.
# SPDX-License-Identifier: MIT
set -u
root=$1 build=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
libs="$build/libnoether.a -lm -lpthread -ldl"
grep -q HNN_HAVE_ZLIB "$build/build.ninja" && libs="$libs -lz"
grep -q fsanitize=address "$build/build.ninja" && libs="$libs -fsanitize=address,undefined"
bad=0

# Splits a page: block N becomes N.code, with its language, line and the HTML comment before it in N.head.
split() {
    awk -v dir="$2" '
        !inside && /^<!-- .* -->[[:space:]]*$/ { tag = $0; sub(/^<!-- /, "", tag); sub(/ -->[[:space:]]*$/, "", tag); next }
        /^```/ { if (!inside) { inside = 1; n++; lang = substr($0, 4); sub(/[[:space:]].*/, "", lang)
                   printf "%s|%d|%s\n", lang, NR, tag > (dir "/" n ".head"); printf "" > (dir "/" n ".code") }
                 else { inside = 0; tag = ""; close(dir "/" n ".code") }
                 next }
        inside { print > (dir "/" n ".code"); next }
        /[^[:space:]]/ { tag = "" }' "$1"
}

run_block() { # LANG TAG CODE EXPECTED-or-empty; messages on stdout
    lang=$1 tag=$2 code=$3 expected=$4
    case $tag in
    'file: '*) # the block is that file; the file itself runs as an example
        file=$root/${tag#file: }
        diff -u "$file" "$code" || return 1
        case $file in *.c) [ -z "$expected" ] || diff -u "${file%.c}.out" "$expected" || return 1 ;; esac
        return 0 ;;
    'part of: '*) # the lines stand together in that file
        awk 'NR == FNR { want[NR] = $0; n = NR; next } { have[++m] = $0 }
            END { for (i = 0; i + n <= m; i++) { for (j = 1; j <= n && have[i + j] == want[j]; j++); if (j > n) exit 0 } exit 1 }' \
            "$code" "$root/${tag#part of: }" && return 0
        echo "these lines do not stand together in ${tag#part of: }"; return 1 ;;
    esac
    mkdir -p "$work/here"; cd "$work/here" || return 1
    case $lang in
    c)
        cp "$code" "$work/here/block.c"
        # shellcheck disable=SC2086
        $cc -std=c11 -D_GNU_SOURCE -O1 -ffp-contract=off -Wall -Wextra -Werror -I"$root/docs/include" -I"$root/docs/include/noether" block.c -o block $libs || return 1
        ./block >"$work/out" 2>&1 </dev/null ;;
    sh) PATH=$build:$PATH NOETHER_ROOT=$root sh -eu "$code" >"$work/out" 2>&1 </dev/null ;;
    esac
    status=$?
    [ $status -eq 0 ] || { cat "$work/out"; echo "exit status $status"; return 1; }
    [ -z "$expected" ] || diff -u "$expected" "$work/out"
}

for page in "$root"/README.md "$root"/docs/*.md; do
    [ -f "$page" ] && [ "${page##*/}" != api.md ] || continue
    rm -rf "$work/blocks" "$work/here"; mkdir "$work/blocks"
    split "$page" "$work/blocks"
    n=1
    while [ -f "$work/blocks/$n.head" ]; do
        IFS='|' read -r lang line tag <"$work/blocks/$n.head"
        next=$((n + 1)) expected=
        case $lang in
        c | sh)
            if [ -f "$work/blocks/$next.head" ] && grep -q '^text|' "$work/blocks/$next.head"; then
                expected=$work/blocks/$next.code
            fi
            name=docs/${page##*/}:$line
            if (run_block "$lang" "$tag" "$work/blocks/$n.code" "$expected") >"$work/log" 2>&1; then
                echo "PASSED $name"
            else
                echo "$page, line $line:"; cat "$work/log"; echo "FAILED $name"; bad=1
            fi ;;
        esac
        n=$next
    done
done
exit $bad
