#!/bin/sh
# mutate.sh ROOT BUILD [--short] - flips the sign of one derivative rule at a time and runs the tests of derivatives: each
# mutant must make one fail. A mutant that lives is printed. --short: every eighth.
#
# Rows of ops.def: ops.c is compiled once so that the environment variable MUTANT (tanh, mul.a, mul.b) negates a rule when
# it is recorded. Other rules: a line `da[i] = ...;` of ops_rules.c is negated and that file compiled, one by one.
# Invariant: the tree is not touched; the last line is `N passed, N failed`, a mutant that was found counting as passed.
# SPDX-License-Identifier: MIT
set -u
root=$1 build=$2 every=1
[ "${3:-}" != --short ] || every=8
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
flags="-std=gnu11 -O1 -D_GNU_SOURCE -ffp-contract=off -I$root/autodiff -include string.h"
tests="grad matrix edges"
passed=0 failed=0 n=0
: "${CC:=cc}"

link() { # OBJECT - the tests with this object in place of the library's
    for t in $tests; do
        wrap=$(for f in malloc calloc realloc aligned_alloc posix_memalign strdup strndup free; do printf ' -Wl,--wrap=%s' $f; done)
        # shellcheck disable=SC2086
        $CC -o "$work/test_$t" "$build/tests/test_$t.p/test_$t.c.o" $(find "$build/tests" -name 'failalloc.c.o' | head -n 1) "$1" \
            "$build/libnoether.a" $wrap -lcriterion -lm -lpthread -ldl $(pkg-config --libs zlib 2>/dev/null) ||
            { echo "the tests do not link"; exit 1; }
    done
}
judge() { # NAME - does a test fail?
    n=$((n + 1))
    for t in $tests; do
        NOETHER_TEST_SHORT=1 "$work/test_$t" >/dev/null 2>&1 || { passed=$((passed + 1)); return; }
    done
    failed=$((failed + 1))
    echo "lives: $1"
}

sed -e 's/^\( *\)return rule; *\\$/    return ad_mutant(#name) ? ad_neg(rule) : (rule); \\/' \
    -e 's/^\( *\)return rule_\([ab]\); *\\$/    return ad_mutant(#name ".\2") ? ad_neg(rule_\2) : (rule_\2); \\/' \
    "$root/autodiff/ops.c" >"$work/ops.c"
[ "$(grep -c ad_mutant "$work/ops.c")" = 3 ] || { echo "the rules of ops.c look different: mend mutate.sh"; exit 1; }
cat >"$work/mutant.h" <<'END'
#include <stdlib.h>
static int ad_mutant(const char *name) { const char *m = getenv("MUTANT"); return m && !strcmp(m, name); }
END
# shellcheck disable=SC2086
$CC $flags -include "$work/mutant.h" -c "$work/ops.c" -o "$work/ops.o" || exit 1
link "$work/ops.o"
MUTANT=none; export MUTANT
for t in $tests; do
    NOETHER_TEST_SHORT=1 "$work/test_$t" >/dev/null 2>&1 || { echo "test_$t fails without a mutation"; exit 1; }
done
i=0
for row in $(sed -nE 's/^UNARY\(([a-z0-9_]+),.*/\1/p; s/^BINARY\(([a-z0-9_]+),.*/\1.a \1.b/p' "$root/autodiff/ops.def"); do
    case ${row%.*} in sign | lt | le | eq) continue ;; esac # their rule is 0
    i=$((i + 1)); [ $((i % every)) = 0 ] || continue
    MUTANT=$row; judge "$row"
done
unset MUTANT

i=0
for line in $(grep -nE '^ *da\[[0-9i]\] = [^;]*;$' "$root/autodiff/ops_rules.c" | grep -vE 'N\(0\)|ad_fail' | cut -d: -f1); do
    i=$((i + 1)); [ $((i % every)) = 0 ] || continue
    sed -E "${line}s/= (.*);\$/= ad_neg(\\1);/" "$root/autodiff/ops_rules.c" >"$work/ops_rules.c"
    # shellcheck disable=SC2086
    $CC $flags -c "$work/ops_rules.c" -o "$work/ops_rules.o" || exit 1
    link "$work/ops_rules.o"
    judge "ops_rules.c:$line"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $n -gt 0 ]
