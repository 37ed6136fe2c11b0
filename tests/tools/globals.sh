#!/bin/sh
# globals.sh ROOT BUILD - no mutable globals: no object of the library has a symbol in .data or .bss. Read-only data with
# relocations (.data.rel.ro, tables of pointers) is constant after loading and allowed; the allowed list is empty.
# SPDX-License-Identifier: MIT
archive=$2/libnoether.a
[ -f "$archive" ] || { echo "$archive is missing"; exit 1; }
# Instrumented builds add counters and descriptors of their own to .data.
if nm "$archive" 2>/dev/null | grep -qE '__(asan|tsan|ubsan)_|__gcov_'; then exit 0; fi
hit=$(objdump -t "$archive" 2>/dev/null | awk '
    /file format/ { file = $1; sub(/:$/, "", file) }
    $0 ~ / O / { for (i = 1; i <= NF; i++)
        if ($i ~ /^\.(data|bss|tdata|tbss)/ && $i !~ /^\.data\.rel\.ro/ || $i == "*COM*") print "  " $NF " (" $i ") in " file }')
[ -z "$hit" ] || { echo "mutable globals:"; echo "$hit"; exit 1; }
