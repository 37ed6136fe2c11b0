#!/bin/sh
# coverage.sh [--forgive] - every symbol of ad.h and every operation row has a test, a documented edge and a place in an example.
#
# A symbol: a word followed by `(` in a declaration or #define of the header, unless it ends in _. It must stand in a
# tests/*.c (operations are tested from the table, so a row of ops.def counts where a test includes ops.def) and in a
# docs/examples/* or a block of docs/*.md that is run (c, sh). An operation row must also be a row `| name` of the edge table in
# docs/operations.md. What is missing is printed; it is forgiven only where tests/uncovered.txt has the same line (meant
# to be empty), and a line there that is no longer missing is an error too; --forgive writes that file anew.
# SPDX-License-Identifier: MIT
cd "$(dirname "$0")/../.." || exit 1
[ -f autodiff/ad.h ] || exit 0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

symbols() { # HEADER PREFIX
    sed '/^#ifdef AD_PLANNED/,/^#endif/d; s|//.*||' "$1" | awk '{ line = line $0 "\n" } END {
        while ((i = index(line, "/*")) > 0) { rest = substr(line, i + 2); j = index(rest, "*/"); line = substr(line, 1, i - 1) " " substr(rest, j + 2) }
        print line }' |
        grep -vE '^[[:space:]]*typedef [a-z_ ]+\(' | grep -oE "\<$2_[a-z0-9_]+[[:space:]]*\(" | sed 's/[[:space:]]*($//' | grep -v '_$' | sort -u
}
symbols autodiff/ad.h ad >"$work/symbols"
[ ! -f integrators/ode.h ] || symbols integrators/ode.h ode >>"$work/symbols"
[ ! -f hnn/hnn.h ] || symbols hnn/hnn.h hnn >>"$work/symbols"
sort -u -o "$work/symbols" "$work/symbols"

# Rows of ops.def: MACRO(name, ...
: >"$work/rows"
[ ! -f autodiff/ops.def ] || sed -nE 's/^[A-Z][A-Z0-9_]*\(([a-z][a-z0-9_]*),.*/\1/p' autodiff/ops.def | sort -u >"$work/rows"
cat tests/*.c tests/*.h 2>/dev/null >"$work/tests"
from_table=no; grep -q '#include ".*ops\.def"' "$work/tests" && from_table=yes
{ cat docs/examples/* 2>/dev/null; awk '/^```/ { open = !open; inside = open && /^```(c|sh)$/; next } inside' docs/[!a]*.md docs/a[!p]*.md 2>/dev/null; } >"$work/examples"
words() { grep -oE '[A-Za-z_][A-Za-z0-9_]*' "$1" | sort -u; }
words "$work/tests" >"$work/tests.words"; words "$work/examples" >"$work/examples.words"
grep -oE '^\| *`?[a-z][a-z0-9_]*`?' docs/operations.md 2>/dev/null | tr -d '|` ' | sort -u >"$work/edges"

{
    comm -23 "$work/symbols" "$work/tests.words" | while read -r s; do
        [ $from_table = yes ] && grep -qx "${s#ad_}" "$work/rows" && continue
        echo "test $s"
    done
    comm -23 "$work/symbols" "$work/examples.words" | sed 's/^/example /'
    # A row without a prototype is caught by the compiler; one without its edge by this.
    comm -23 "$work/rows" "$work/edges" | sed 's/^/edge /'
    # In an example a row may stand as ad_NAME or as NAME in a text.
    while read -r s; do
        grep -qxE "(ad_)?$s" "$work/examples.words" || echo "example row $s"
    done <"$work/rows"
} | sort -u >"$work/missing"
[ "${1:-}" != --forgive ] || { echo '# Without a test, a documented edge or a place in an example so far (coverage.sh). To be empty.'; cat "$work/missing"; } >tests/uncovered.txt
sed -n '/^[a-z]/p' tests/uncovered.txt | sort -u >"$work/forgiven"
bad=0
comm -23 "$work/missing" "$work/forgiven" | sed 's/^/missing: /' >"$work/bad"
[ ! -s "$work/bad" ] || { cat "$work/bad"; bad=1; }
comm -13 "$work/missing" "$work/forgiven" | sed 's/^/no longer missing, take it out of tests\/uncovered.txt: /' >"$work/bad"
[ ! -s "$work/bad" ] || { cat "$work/bad"; bad=1; }
[ ! -s "$work/forgiven" ] || echo "$(wc -l <"$work/forgiven") still forgiven by tests/uncovered.txt"
exit $bad
