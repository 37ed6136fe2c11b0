#!/bin/sh
# mutate.sh ROOT BUILD [--signs | --short | NAME] - flips one sign, operand or constant of one derivative rule at a time and runs the
# tests of derivatives: each mutant must make one fail, or stand in tests/equivalent_mutants.txt with a proof that it changes
# nothing. A mutant that lives is printed. --signs: the sign of every rule only; --short: every eighth mutant;
# NAME: those of one row or rule, as they are printed (tanh, mul.a, solve_pullback).
#
# mutants.awk writes the rows of ops.def and the rules of ops_rules.c with all mutants in them, so each is compiled once; the
# environment variable MUTANT chooses one when a rule is recorded.
# Invariant: the tree is not touched; the last line is `N passed, N failed`, a mutant that was found counting as passed.
# SPDX-License-Identifier: MIT
set -u
root=$1 build=$2 which=${3:-}
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
flags="-std=gnu11 -O1 -w -D_GNU_SOURCE -ffp-contract=off -I$root/autodiff -include string.h -include $work/mutant.h"
tests="grad matrix edges broadcast"
known=$root/tests/equivalent_mutants.txt
: "${CC:=cc}"

cat >"$work/mutant.h" <<'END'
#include <stdlib.h>
static int ad_mutant(void) { const char *m = getenv("MUTANT"); return m ? atoi(m) : 0; }
END
awk -v mode=rows -v first=1 -v list="$work/rows" -f "$root/tests/tools/mutants.awk" "$root/autodiff/ops.def" >"$work/ops.def"
first=$(($(wc -l <"$work/rows") + 1))
awk -v mode=rules -v first=$first -v list="$work/rules" -f "$root/tests/tools/mutants.awk" "$root/autodiff/ops_rules.c" >"$work/ops_rules.c"
cp "$root/autodiff/ops.c" "$work/ops.c" # beside the mutated ops.def, which it includes
[ $first -gt 200 ] && [ "$(wc -l <"$work/rules")" -gt 100 ] || { echo "rules look different: mend mutants.awk"; exit 1; }
for f in ops ops_rules; do
    # shellcheck disable=SC2086
    $CC $flags -c "$work/$f.c" -o "$work/$f.o" || exit 1
done
wrap=$(for f in malloc calloc realloc aligned_alloc posix_memalign strdup strndup free; do printf ' -Wl,--wrap=%s' $f; done)
for t in $tests; do
    # shellcheck disable=SC2046,SC2086
    $CC -o "$work/test_$t" "$build/tests/test_$t.p/test_$t.c.o" $(find "$build/tests" -name 'failalloc.c.o' | head -n 1) \
        "$work/ops.o" "$work/ops_rules.o" "$build/libnoether.a" $wrap -lcriterion -lm -lpthread -ldl \
        $(pkg-config --libs zlib 2>/dev/null) || { echo "the tests do not link"; exit 1; }
done

killed() { # MUTANT - does a test fail?
    for t in $tests; do
        MUTANT=$1 NOETHER_TEST_SHORT=1 timeout 60 "$work/test_$t" >/dev/null 2>&1 || return 0
    done
    return 1
}
if killed 0; then echo "the tests fail without a mutation"; exit 1; fi
sed -n '/^[^#]/p' "$known" | cut -d'|' -f1 | sed 's/ *$//' >"$work/known"
: >"$work/used"
cat "$work/rows" "$work/rules" >"$work/all"
passed=0 failed=0 equivalent=0
while IFS='	' read -r k name mutant; do
    case $which in
    --signs) case $mutant in ad_neg\(*) ;; *) continue ;; esac ;;
    --short) [ $((k % 8)) = 0 ] || continue ;;
    ?*) [ "$name" = "$which" ] || continue ;;
    esac
    mutant="$name: $(echo "$mutant" | sed 's/  */ /g; s/^ //')"
    if grep -qxF "$mutant" "$work/known"; then
        equivalent=$((equivalent + 1))
        echo "$mutant" >>"$work/used"
    elif killed "$k"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "lives: $mutant"
    fi
done <"$work/all"
if [ -z "$which" ]; then # a line that belongs to nothing hides what it was written for
    stale=$(sort -u "$work/used" | grep -vxFf - "$work/known")
    [ -z "$stale" ] || { echo "no such mutant: $stale"; failed=$((failed + 1)); }
fi
echo "$equivalent equivalent, see tests/equivalent_mutants.txt"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
