#!/bin/sh
# selftest.sh ROOT BUILD - the gates fail when they should: a wrong value, a crash, a leak and undefined behaviour under
# the sanitizers, an executable without tests or without a report, an unlisted skip, a wrong example, a broken page.
# SPDX-License-Identifier: MIT
set -u
root=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tests"
export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1
bad=0
cat >"$work/t.c" <<'EOF'
#include <criterion/criterion.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
static void *volatile keep;
static volatile int big = INT_MAX, zero;
Test(self, case) {
    (void)keep; (void)big; (void)zero;
    switch (CASE) {
    case 1: cr_assert_eq(1, 2, "seen"); break;
    case 2: *(volatile int *)0 = 1; break;
    case 3: keep = malloc(10); keep = NULL; break;
    case 4: big = big + 1; break;
    case 5: cr_skip_test("no file"); break;
    case 6: exit(0); break;
    }
}
EOF
echo 'int main(void) { return 0; }' >"$work/none.c"
echo '#include <criterion/criterion.h>
TestSuite(empty);' >"$work/empty.c"
run() { "$root/tests/tools/run.sh" "$work" "$@" >"$work/out" 2>&1; }
expect() { # NAME LAST-LINE STATUS-IS-ZERO
    status=$?
    last=$(tail -n 1 "$work/out")
    if [ "$last" != "$2" ] || { [ $status -eq 0 ] && [ "$3" = no ]; } || { [ $status -ne 0 ] && [ "$3" = yes ]; }; then
        echo "$1: expected '$2' (success: $3), was '$last' with status $status"; cat "$work/out"; bad=1
    fi
}
compile() { ${CC:-cc} -g -w "$@" -lcriterion -lpthread; }
fresh() { echo "criterion|$1|$work/$1|" >"$work/tests/list"; }

for n in 0 1 2 5; do compile -DCASE=$n "$work/t.c" -o "$work/t$n" || exit 1; done
fresh t0; run '*'; expect "a good test" '1 passed, 0 failed, 0 skipped' yes
fresh t0
if [ "$(cat "$root/tests/minimum")" -gt 1 ]; then run; expect "fewer tests than the minimum" '1 passed, 0 failed, 0 skipped' no; fi
fresh t1; run '*'; expect "a wrong value" '0 passed, 1 failed, 0 skipped' no
fresh t2; run '*'; expect "a crash" '0 passed, 1 failed, 0 skipped' no
fresh t5; run '*'; expect "an unlisted skip" '0 passed, 0 failed, 1 skipped' no
: >"$work/tests/list"; run '*'; expect "no test at all" '0 passed, 0 failed, 0 skipped' no
compile "$work/none.c" -o "$work/none" && fresh none && { run '*'; expect "a program without a report" '0 passed, 1 failed, 0 skipped' no; }
compile "$work/empty.c" -o "$work/empty" && fresh empty && { run '*'; expect "a program without tests" '0 passed, 1 failed, 0 skipped' no; }
for n in 0 3 4; do
    compile -fsanitize=address,undefined -fno-sanitize-recover=all -DCASE=$n "$work/t.c" -o "$work/s$n" || exit 1
done
fresh s0; run '*'; expect "a good test under sanitizers" '1 passed, 0 failed, 0 skipped' yes
fresh s3; run '*'; expect "a leak" '1 passed, 1 failed, 0 skipped' no
fresh s4; run '*'; expect "an overflow" '0 passed, 1 failed, 0 skipped' no
# The runner without Criterion.
for n in 0 1 2 6; do
    ${CC:-cc} -w -DCASE=$n "$work/t.c" "$root/tests/one_process.c" -lpthread -o "$work/o$n" || exit 1
    echo "one|o$n|$work/o$n|" >"$work/tests/list"
    run --one
    case $n in
    0) expect "one process, good" '1 passed, 0 failed, 0 skipped' yes ;;
    *) expect "one process, case $n" '0 passed, 1 failed, 0 skipped' no ;;
    esac
done
# An example that prints something else.
echo '#include <stdio.h>
int main(void) { puts("a"); return 0; }' >"$work/e.c"
${CC:-cc} "$work/e.c" -o "$work/e" && echo b >"$work/e.out" && echo "example|e|$work/e|$work/e.out" >"$work/tests/list"
run '*'; expect "a wrong example" '0 passed, 1 failed, 0 skipped' no
# A page: a good block, a wrong output, code that does not compile.
mkdir -p "$work/page/docs" "$work/b" && : >"$work/b/build.ninja" && : >"$work/x.c"
${CC:-cc} -c "$work/x.c" -o "$work/x.o" && ar rc "$work/b/libnoether.a" "$work/x.o"
{ printf '```c\n#include <stdio.h>\nint main(void) { puts("hi"); return 0; }\n```\n\n```text\nhi\n```\n'
  printf '```sh\necho 1\n```\n```text\n2\n```\n'
  printf '```c\nnot C\n```\n<!-- part of: x.c -->\n```c\nint absent;\n```\n'; } >"$work/page/docs/p.md"
cp "$work/x.c" "$work/page/x.c"
sh "$root/tests/tools/docs.sh" "$work/page" "$work/b" 2>&1 | grep -E '^(PASSED|FAILED)' | tr '\n' ' ' >"$work/out"
want='PASSED docs/p.md:1 FAILED docs/p.md:9 FAILED docs/p.md:15 FAILED docs/p.md:19 '
[ "$(cat "$work/out")" = "$want" ] || { echo "pages: expected $want"; echo "was $(cat "$work/out")"; bad=1; }
# Include edges, exported symbols, mutable globals.
mkdir -p "$work/tree/autodiff" "$work/tree/hnn" "$work/lib"
: >"$work/tree/autodiff/tape.h"; echo '#include "tape.h"' >"$work/tree/hnn/x.c"
sh "$root/tests/tools/edges.sh" "$work/tree" >/dev/null && { echo "an include of a private header passed"; bad=1; }
echo '#include <stdio.h>
int counter = 1; void ad_f(void); void ad_f(void) { puts("x"); counter++; }' >"$work/g.c"
${CC:-cc} -fPIC -c "$work/g.c" -o "$work/g.o" && ar rc "$work/lib/libnoether.a" "$work/g.o" &&
    ${CC:-cc} -shared "$work/g.o" -o "$work/lib/libnoether.so"
sh "$root/tests/tools/symbols.sh" x "$work/lib" >"$work/out" && { echo "a symbol named counter passed"; bad=1; }
grep -q puts "$work/out" || { echo "a library that prints passed"; bad=1; }
sh "$root/tests/tools/globals.sh" x "$work/lib" >/dev/null && { echo "a mutable global passed"; bad=1; }
exit $bad
