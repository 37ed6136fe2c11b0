#!/bin/sh
# run.sh BUILD [--one] [PATTERN] - runs the tests that BUILD/tests/list names, as many at a time as there are
# processors ($NOETHER_JOBS), and adds their results up in the order of the list.
#
# Invariant: the last line is `N passed, N failed, N skipped`, counted from Criterion's own report (an executable
# that leaves no report counts as one failure), and the exit status is 0 only if nothing failed, at least one test
# ran, every skipped test is named in tests/skips.txt, and a full run has at least tests/minimum tests.
#   --one      the same tests under tests/one_process.c instead of Criterion; WRAP= is put in front (valgrind)
#   SLOWEST=N  in the environment: the N entries that took longest are printed, with their seconds
#   PATTERN    only entries whose name matches this shell pattern (no minimum then)
# SPDX-License-Identifier: MIT
set -u
here=$(CDPATH= cd "$(dirname "$0")/.." && pwd)
root=$(dirname "$here")
build=$1; shift
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
one=no; pattern='*'; full=yes
for a in "$@"; do
    case $a in
    --one) one=yes; full=no ;;
    *) pattern=$a; full=no ;;
    esac
done
export NOETHER_TEST_DATA="$here/data" NOETHER_ROOT="$root"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
workers=
trap 'kill $workers 2>/dev/null; exit 130' INT TERM

# Runs one entry; what it printed is left in AT.out, a line for each of its tests in AT.cases.
entry() { # AT KIND NAME PROGRAM EXTRA
    out=$1.out cases=$1.cases xml=$1.xml kind=$2 name=$3 exe=$4 extra=$5
    case $kind in
    criterion)
        # One test at a time: entries run beside each other, and Criterion's own jobs leak 48 bytes of its own now and then.
        "$exe" -j1 --xml="$xml" --color=never ${TIMEOUT:+--timeout "$TIMEOUT"} >"$out" 2>&1 </dev/null
        status=$?
        if [ -s "$xml" ]; then
            # One testcase a line; anything but PASSED and SKIPPED is a failure (FAILED, ERRORED, TIMEOUT).
            awk '/<testsuite name="/ { match($0, /name="[^"]*"/); suite = substr($0, RSTART + 6, RLENGTH - 7) }
                 /<testcase / { match($0, /name="[^"]*"/); name = substr($0, RSTART + 6, RLENGTH - 7)
                     match($0, /status="[^"]*"/); s = substr($0, RSTART + 8, RLENGTH - 9)
                     n++; if (s != "PASSED" && s != "SKIPPED") s = "FAILED"
                     print s " " suite "/" name }
                 END { exit n == 0 }' "$xml" >"$cases" || echo "FAILED $name/no_test_ran" >"$cases"
            if [ $status -ne 0 ] && ! grep -q '^FAILED' "$cases"; then
                echo "FAILED $name/exit_status_$status" >>"$cases"
            fi
        else
            echo "FAILED $name/no_report_exit_status_$status" >"$cases"
        fi
        ;;
    one)
        ${WRAP:-} "$exe" >"$out" 2>&1 </dev/null
        status=$?
        sed -n 's/^\(PASSED\|FAILED\|SKIPPED\) /\1 /p' "$out" | grep -E '^(PASSED|FAILED|SKIPPED) [^ ]+$' >"$cases"
        grep -q '^END$' "$out" || echo "FAILED $name/died_with_exit_status_$status" >>"$cases"
        if [ $status -ne 0 ] && ! grep -q '^FAILED' "$cases"; then
            echo "FAILED $name/exit_status_$status" >>"$cases"
        fi
        ;;
    example)
        if sh "$here/tools/example.sh" "$exe" "$extra" >"$out" 2>&1; then s=PASSED; else s=FAILED; fi
        echo "$s $name" >"$cases"
        ;;
    script)
        # A script may report several results in the form of lines `PASSED name`; its status counts otherwise.
        sh "$exe" "$root" "$build" >"$out" 2>&1 </dev/null
        status=$?
        grep -E '^(PASSED|FAILED|SKIPPED) [^ ]+$' "$out" >"$cases" ||
            { if [ $status -eq 0 ]; then s=PASSED; else s=FAILED; fi; echo "$s $name" >"$cases"; }
        if [ $status -ne 0 ] && ! grep -q '^FAILED' "$cases"; then echo "FAILED $name" >>"$cases"; fi
        ;;
    esac
}

# The entries that are asked for, numbered.
n=0
while IFS='|' read -r kind name exe extra; do
    [ -n "$name" ] || continue
    # shellcheck disable=SC2254
    case $name in $pattern) ;; *) continue ;; esac
    case $one:$kind in no:one | yes:criterion | yes:example | yes:script) continue ;; esac
    n=$((n + 1))
    echo "$kind|$name|$exe|$extra" >"$work/$n.entry"
done <"$build/tests/list"

# Each worker takes what no other has taken: making a directory succeeds once. Scripts, the longest entries, come last
# in the list and are taken first.
worker() {
    i=$n
    while [ $i -gt 0 ]; do
        if mkdir "$work/$i.taken" 2>/dev/null; then
            IFS='|' read -r kind name exe extra <"$work/$i.entry"
            start=$(date +%s)
            entry "$work/$i" "$kind" "$name" "$exe" "$extra"
            echo "$(($(date +%s) - start)) s $name" >"$work/$i.seconds"
        fi
        i=$((i - 1))
    done
}
jobs=${NOETHER_JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}
while [ "$jobs" -gt 0 ]; do
    worker &
    workers="$workers $!"
    jobs=$((jobs - 1))
done
wait

: >"$work/results"
i=0
while [ $i -lt $n ]; do
    i=$((i + 1))
    IFS='|' read -r kind name exe extra <"$work/$i.entry"
    [ -s "$work/$i.cases" ] || echo "FAILED $name/nothing_reported" >"$work/$i.cases"
    if grep -q '^FAILED' "$work/$i.cases"; then
        echo "---- $name"
        grep -vE '^(PASSED [^ ]+|END)$' "$work/$i.out" | head -n "${LINES_SHOWN:-80}"
    fi
    cat "$work/$i.cases" >>"$work/results"
done

passed=$(grep -c '^PASSED' "$work/results"); failed=$(grep -c '^FAILED' "$work/results")
skipped=$(grep -c '^SKIPPED' "$work/results")
sed -n 's/^FAILED /failed: /p' "$work/results"
[ -z "${SLOWEST:-}" ] || cat "$work"/*.seconds | sort -rn | head -n "$SLOWEST"
bad=0
for s in $(sed -n 's/^SKIPPED //p' "$work/results"); do
    if ! grep -qxF "$s" "$here/skips.txt" && [ $one = no ]; then
        echo "skipped, but not listed in tests/skips.txt: $s"; bad=1
    fi
done
if [ $full = yes ] && [ $((passed + failed + skipped)) -lt "$(cat "$here/minimum")" ]; then
    echo "fewer tests than tests/minimum: $((passed + failed + skipped)) of $(cat "$here/minimum")"; bad=1
fi
[ $((passed + failed)) -gt 0 ] || { echo "no test ran"; bad=1; }
[ "$failed" -eq 0 ] || bad=1
echo "$passed passed, $failed failed, $skipped skipped"
exit $bad
