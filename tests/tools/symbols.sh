#!/bin/sh
# symbols.sh ROOT BUILD - every symbol that libnoether.so exports begins with ad_, ode_ or hnn_, so does every global of
# the static library (where hidden symbols could clash with a user's), and the library calls nothing that prints to
# stdout or stderr, exits or aborts.
# SPDX-License-Identifier: MIT
lib=$2/libnoether.so
archive=$2/libnoether.a
[ -f "$lib" ] && [ -f "$archive" ] || { echo "$lib or $archive is missing"; exit 1; }
bad=0
hit=$(nm -D --defined-only "$lib" | awk '$2 != "A" && $3 !~ /^(ad|ode|hnn)_/ && $3 !~ /^__odr_asan/ { print "  " $3 }')
[ -z "$hit" ] || { echo "libnoether.so exports symbols of another name:"; echo "$hit"; bad=1; }
hit=$(nm -A --defined-only --extern-only "$archive" 2>/dev/null |
    awk '{ s = $NF } s !~ /^(ad|ode|hnn)_/ && s !~ /^__(asan|ubsan|tsan|odr)/ { print "  " s " in " $1 }')
[ -z "$hit" ] || { echo "libnoether.a has global symbols of another name:"; echo "$hit"; bad=1; }
hit=$(nm -A --undefined-only "$archive" 2>/dev/null | awk '{ s = $NF; sub(/@.*/, "", s) }
    s ~ /^(printf|puts|putchar|vprintf|perror|exit|_exit|abort|__assert_fail|stdout|stderr|__printf_chk|__vprintf_chk|err|errx|warn|rand|srand|srand48|drand48|setlocale)$/ { print "  " s " in " $1 }')
[ -z "$hit" ] || { echo "the library prints, exits, aborts or draws from a global generator:"; echo "$hit"; bad=1; }
exit $bad
