#!/bin/sh
# example.sh PROGRAM EXPECTED - what PROGRAM prints must be EXPECTED, byte for byte; the difference is shown.
# SPDX-License-Identifier: MIT
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
"$1" >"$out" </dev/null
status=$?
[ $status -eq 0 ] || { echo "$1: exit status $status"; cat "$out"; exit 1; }
diff -u "$2" "$out"
