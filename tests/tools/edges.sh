#!/bin/sh
# edges.sh ROOT [BUILD] - the include edges: autodiff <- integrators <- hnn, and a module sees of another only its
# public header. Benchmarks, docs and tests are on top and may include what they test.
# SPDX-License-Identifier: MIT
cd "$1" || exit 1
bad=0
public() { # MODULE -> the header others may include
    case $1 in autodiff) echo ad.h ;; integrators) echo ode.h ;; hnn) echo hnn.h ;; esac
}
check() { # MODULE ALLOWED-MODULES FORBIDDEN-MODULES
    files=$(find "$1" -name '*.[ch]' 2>/dev/null)
    [ -n "$files" ] || return 0
    for other in $2 $3; do
        [ -d "$other" ] || continue
        for header in $(cd "$other" && find . -name '*.h' | sed 's|^\./||'); do
            # A header of the module itself with the same name hides the other's.
            base=${header##*/}
            find "$1" -name "$base" 2>/dev/null | grep -q . && continue
            case " $2 " in *" $other "*) [ "$header" = "$(public "$other")" ] && continue ;; esac
            hit=$(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[\"<]([^\">]*/)?$base[\">]" $files)
            if [ -n "$hit" ]; then
                echo "$1 may not include $other/$header:"; echo "$hit"; bad=1
            fi
        done
    done
}
check autodiff "" "integrators hnn benchmarks tests"
check integrators "autodiff" "hnn benchmarks tests"
check hnn "autodiff integrators" "benchmarks tests"
exit $bad
