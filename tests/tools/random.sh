#!/bin/sh
# random.sh BUILD N SEED - N random tapes from SEED on through tests/test_random.c, a share of them on each processor
# ($NOETHER_JOBS). A failure names its seed: `./dev random 1 SEED` repeats it.
#
# Invariant: the last line sums up what the processes compared; the exit status is 0 only if none failed and every tape
# went through everything.
# SPDX-License-Identifier: MIT
set -u
build=$1 n=$2 seed=$3
jobs=${NOETHER_JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}
[ "$n" -ge 200 ] || jobs=1
work=$(mktemp -d) || exit 1
workers=
trap 'rm -rf "$work"' EXIT
trap 'kill $workers 2>/dev/null; exit 130' INT TERM
j=0
while [ $j -lt "$jobs" ]; do
    from=$((n * j / jobs)) to=$((n * (j + 1) / jobs))
    {
        NOETHER_RANDOM_TAPES=$((to - from)) NOETHER_RANDOM_SEED=$((seed + from)) \
            "$build/tests/test_random" -j1 --timeout 360000 2>&1 || echo "sum: failed 1"
    } | tee "$work/$j" &
    workers="$workers $!"
    j=$((j + 1))
done
wait
cat "$work"/* | awk -v n="$n" -v seed="$seed" '
    $1 == "sum:" { tapes[$2] += $3; count[$2] += $4; if ($5 > worst) worst = $5 }
    END {
        printf "%d tapes from seed %d: %d runs (naive, optimised, rows one by one and two by two, on 0 to 4 threads) of %d and the emitted C of %d give the bits of ad_value; " \
               "%d derivatives of %d within the rounding of long double, the worst at %.2f of 16; %d failed\n",
               n, seed, count["ways"], tapes["ways"], tapes["emitted"], count["derivatives"], tapes["derivatives"],
               worst, tapes["failed"]
        exit tapes["failed"] > 0 || tapes["ways"] != n || tapes["emitted"] != n || tapes["derivatives"] != n
    }'
