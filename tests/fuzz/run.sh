#!/bin/sh
# run.sh [SECONDS] - builds the fuzzers of this folder with clang's libFuzzer and the address sanitizer, and runs each.
#
# Findings stay in build-fuzz/NAME-*; the corpus grows in build-fuzz/corpus-NAME. The exit status is nonzero after any.
# SPDX-License-Identifier: MIT
set -u
seconds=${1:-60}
cd "$(dirname "$0")/../.." || exit 1
command -v clang >/dev/null 2>&1 || { echo "clang is missing: apt-get install clang libclang-rt-14-dev" >&2; exit 1; }
build=build-fuzz
flags='-fsanitize=fuzzer-no-link,undefined -fno-sanitize-recover=all'
[ -f $build/build.ninja ] ||
    CC=clang meson setup $build -Db_sanitize=address -Db_lundef=false -Dtests=false "-Dc_args=$flags" >/dev/null || exit 1
ninja -C $build libnoether.a >$build/fuzz.log 2>&1 || { tail -n 20 $build/fuzz.log; exit 1; }
status=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -Iautodiff -Iintegrators -Ihnn \
        "$source" $build/libnoether.a -lm -lpthread -ldl $(pkg-config --libs zlib 2>/dev/null) -o "$build/$name" || exit 1
    mkdir -p "$build/corpus-$name"
    [ "$name" != fuzz_data ] || cp tests/data/* "$build/corpus-$name" 2>/dev/null
    echo "$name: $seconds s"
    "$build/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$build/$name-" \
        "$build/corpus-$name" >"$build/$name.log" 2>&1 || { status=1; tail -n 40 "$build/$name.log"; }
    tail -n 1 "$build/$name.log"
done
exit $status
