#!/bin/sh
# adding.sh ROOT - follows docs/adding-an-operation.md in a copy of the tree: the lines of the page go where it says, and what
# it promises must happen. Without the prototype the build stops; without edges and example coverage.sh names both; with all
# four places the tests of derivatives, edges, texts and broadcasting pass, and the wrong edge is found.
# Invariant: nothing of the operation stands here, so the page cannot differ from what was tried.
# SPDX-License-Identifier: MIT
set -u
root=$(cd "$1" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
page=$root/docs/adding-an-operation.md
cp -r "$root/autodiff" "$root/integrators" "$root/hnn" "$root/tests" "$root/docs" "$root/benchmarks" "$root"/meson* "$work" || exit 1
cd "$work" || exit 1

line() { # PATTERN FILE AFTER - the line of the page goes after the last line of FILE that has AFTER
    grep -m 1 -F "$1" "$page" >line || { echo "the page has no line with $1"; exit 1; }
    n=$(grep -nF "$3" "$2" | tail -n 1 | cut -d: -f1)
    [ -n "$n" ] && sed "${n}r line" "$2" >changed && mv changed "$2" || exit 1
}
fails() { echo "adding an operation: $1"; exit 1; }

name=$(sed -nE 's/^UNARY\(([a-z0-9_]+),.*/\1/p' "$page" | head -n 1)
[ -n "$name" ] && ! grep -q "^UNARY($name," autodiff/ops.def || fails "the page adds no new row"

line "UNARY($name," autodiff/ops.def 'UNARY(log1p,'
"${CC:-cc}" -std=gnu11 -fsyntax-only -Wmissing-prototypes -Werror -Iautodiff autodiff/ops.c >log 2>&1 &&
    fails "the build does not stop without a prototype"
grep -q "ad_$name" log || { cat log; fails "the compiler says something else"; }
line "ad_var ad_$name(" autodiff/ad.h 'ad_var ad_log1p('
sed "s/\`\`\`console/&/" "$page" | awk '/^missing: /' >promised
sh tests/tools/coverage.sh | grep '^missing: ' >got
cmp -s promised got || { diff promised got; fails "coverage.sh says something else than the page"; }
line "{ROW($name)," tests/edges.h '{ROW(log1p),'
line "ad_$name(ad_" docs/examples/accuracy.c 'beside("log1p('

meson setup build --buildtype=debug >log 2>&1 && ninja -C build ${NOETHER_JOBS:+-j "$NOETHER_JOBS"} \
    tests/test_edges tests/test_grad tests/test_broadcast tests/test_expr_text >>log 2>&1 || { tail -n 20 log; fails "it does not build"; }
export NOETHER_ROOT="$work" NOETHER_TEST_SHORT=1
NOETHER_WRITE=1 build/tests/test_edges >/dev/null 2>&1
sh tests/tools/apidoc.sh && sh tests/tools/apidoc.sh --check >/dev/null && grep -q "ad_$name" docs/api.md || fails "docs/api.md"
for t in edges grad broadcast expr_text; do
    build/tests/test_$t >log 2>&1 || { tail -n 20 log; fails "test_$t"; }
done
sh tests/tools/coverage.sh >log 2>&1 || { cat log; fails "something is missing yet"; }

# What is wrong is seen: a rule of the other sign.
sed "s/^\(UNARY($name,.*\)ad_divz(g,/\1ad_divz(ad_neg(g),/" autodiff/ops.def >changed && ! cmp -s changed autodiff/ops.def &&
    mv changed autodiff/ops.def || fails "the rule looks different"
ninja -C build tests/test_grad >log 2>&1 || { tail -n 20 log; fails "it does not build"; }
build/tests/test_grad >/dev/null 2>&1 && fails "a wrong rule is not seen"
echo "$name: row, prototype, edges, example: all as docs/adding-an-operation.md says"
