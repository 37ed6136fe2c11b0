#!/bin/sh
# pages.sh ROOT BUILD [KEEP] - pages of reports in headless Chromium: no message on the console, no request, every figure there. They
# are made with small budgets: one and two degrees of freedom, measured data, sizes, one training. KEEP: a folder for the
# pages and a picture of each, to be looked at.
#
# Invariant: each page gives one line `PASSED|FAILED|SKIPPED pages/NAME`; a page with an error on purpose must fail first.
# SPDX-License-Identifier: MIT
set -u
build=$2
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
browser=
for b in chromium chromium-browser google-chrome; do
    if command -v "$b" >/dev/null 2>&1; then browser=$b; break; fi
done
[ -n "$browser" ] || { echo "no Chromium is here: the pages were not opened"; echo "SKIPPED pages/all"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
keep=${3:-$work/pages} pictures=${3:-}
case $keep in /*) ;; *) keep=$(pwd)/$keep ;; esac
mkdir -p "$keep"
export PATH="$build:$PATH" LC_ALL=C

open_page() { # FILE -> the document on stdout, what the console and the network said in $work/console
    "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" --enable-logging=stderr \
        --virtual-time-budget=2000 --dump-dom "file://$1" 2>"$work/log" >"$work/dom"
    grep -E 'CONSOLE|net::ERR' "$work/log" >"$work/console"
    [ -s "$work/dom" ] && [ ! -s "$work/console" ]
}

echo '<!DOCTYPE html><title>x</title><script>null.x</script>' >"$work/bad.html"
if open_page "$work/bad.html"; then echo "a page with an error passes: this check sees nothing"; echo "FAILED pages/selftest"; exit 1; fi
echo "PASSED pages/selftest"

small="--steps 60 --width 12 --seeds 2 --drift-steps 20 --tangent-steps 5 --long 50"
bad=0
page() { # NAME COMMAND...
    name=$1; shift
    # shellcheck disable=SC2068
    if ! $@ --out "$keep/$name" >"$work/out" 2>&1 || ! noether report "$keep/$name" >>"$work/out" 2>&1; then
        cat "$work/out"; echo "FAILED pages/$name"; bad=1; return
    fi
    file=$keep/$name/report.html
    if open_page "$file" && [ "$(grep -c '<figure>' "$file")" = "$(grep -c '<figure>' "$work/dom")" ] &&
        ! grep -qE '<script|(src|href)="(http|/)' "$file"; then
        echo "PASSED pages/$name"
    else
        cat "$work/console"; echo "FAILED pages/$name"; bad=1
    fi
    [ -z "$pictures" ] || "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
        --window-size=1200,4600 --screenshot="$keep/$name.png" "file://$file" >/dev/null 2>&1
}
noether data damped-spring --count 1 --rows 200 --span 30 --noise 0.01 --save "$work/measured.csv" >/dev/null
# shellcheck disable=SC2086
{
    page pendulum noether compare pendulum --trajectories 5 --tests 3 --sizes 3,6,12 $small
    page henon-heiles noether compare henon-heiles --models hnn,separable,node --trajectories 5 --tests 3 $small
    page bodies noether compare two-body --trajectories 5 --tests 2 $small
    page measured noether compare --data "$work/measured.csv" --H '(q^2+p^2)/2' --models hnn,dissipative,node $small
    page training noether train double-well --steps 60 --width 12
}
exit $bad
