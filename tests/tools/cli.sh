#!/bin/sh
# cli.sh ROOT BUILD [--write] [NAME...] - the program as a user runs it: tests/cli/NAME.txt are transcripts. A line `$ COMMAND` is
# run by sh, all of a file in one empty folder; what it writes to stdout and stderr follows, then `[STATUS]` unless
# that is 0. Lines `%% TEXT` are kept. --write makes the transcripts anew: read the difference.
#
# Invariant: each file gives one line `PASSED|FAILED cli/NAME`.
# SPDX-License-Identifier: MIT
set -u
root=$1 build=$2; shift 2
write=no
[ "${1:-}" != --write ] || { write=yes; shift; }
[ -x "$build/noether" ] || { echo "$build/noether is missing"; exit 1; }
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
case $root in /*) ;; *) root=$(CDPATH= cd "$root" && pwd) ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export PATH="$build:$PATH" NOETHER_ROOT="$root" DATA="$root/tests/data" LC_ALL=C
bad=0
for file in "$root"/tests/cli/*.txt; do
    name=${file##*/}; name=${name%.txt}
    [ $# -eq 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
    rm -rf "$work/here"; mkdir "$work/here"
    first=yes
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        '$ '*)
            [ $first = yes ] || echo
            first=no
            printf '%s\n' "$line"
            (cd "$work/here" && exec sh -c "${line#??}" </dev/null >"$work/one" 2>&1); status=$?
            sed -e '$a\' "$work/one" # a last line without its end would swallow the next
            [ $status -eq 0 ] || echo "[$status]" ;;
        '%% '*)
            [ $first = yes ] || echo
            first=yes
            printf '%s\n' "$line" ;;
        esac
    done <"$file" >"$work/got"
    if [ $write = yes ]; then cp "$work/got" "$file"; fi
    if diff -u "$file" "$work/got"; then echo "PASSED cli/$name"; else echo "FAILED cli/$name"; bad=1; fi
done
exit $bad
