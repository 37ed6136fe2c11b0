# mutants.awk - writes a source whose derivative rules are wrong one at a time: with the environment variable MUTANT=k the
# k-th mutant is recorded, with any other the rules as they are. -v list=FILE gets a line `k TAB name TAB mutant` each,
# -v first=K is the number of the first one, -v mode=rows (ops.def) or mode=rules (ops_rules.c).
#
# What is flipped: the sign of a rule and of every neg, add and sub in it; every operand, for another of the same rule;
# the two sides of every call that is not symmetric; every constant.
# SPDX-License-Identifier: MIT
BEGIN { k = first - 1 }

# Matching closing parenthesis of the one at i.
function close_of(s, i,    d, c) {
    for (d = 0; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c == "(" || c == "[") d++
        if (c == ")" || c == "]") { d--; if (d == 0) return i }
    }
    return 0
}
# Splits at commas outside parentheses into part[1 ...].
function split_args(s, part,    n, d, i, c, from) {
    n = 0; d = 0; from = 1
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c == "(" || c == "[") d++
        if (c == ")" || c == "]") d--
        if (c == "," && d == 0) { part[++n] = substr(s, from, i - from); from = i + 1 }
    }
    part[++n] = substr(s, from)
    return n
}
function add(mutant) {
    k++
    printf "%d\t%s\t%s\n", k, name, mutant > list
    text = text "ad_mutant() == " k " ? (" mutant ") : "
}
# The expression s as a choice among its mutants; other[] says which operand stands in for which.
function mutate(s, other,    i, id, rest, n, p, end, before, after, part, call) {
    text = ""
    if (s !~ /^ *N\(0\) *$/) add("ad_neg(" s ")")
    for (i = 1; i <= length(s); i += n) {
        rest = substr(s, i); before = substr(s, 1, i - 1); n = 1
        if (match(rest, /^[A-Za-z_][A-Za-z0-9_]*/)) {
            n = RLENGTH; id = substr(rest, 1, n); after = substr(rest, n + 1)
            if (substr(after, 1, 1) == "(") {
                end = close_of(rest, n + 1)
                call = substr(rest, n + 2, end - n - 2); after = substr(rest, end + 1)
                if (id == "N") {
                    add(before "N((" call ") + 0.5)" after)
                    if (call + 0 != 0) add(before "N(-(" call "))" after)
                    n = end
                } else if (id == "ad_neg") add(before "(" call ")" after)
                else if (id == "ad_add") add(before "ad_sub(" call ")" after)
                else if (id == "ad_sub") add(before "ad_add(" call ")" after)
                p = split_args(call, part)
                if (id ~ /^ad_(sub|div|divz|pow|lt|le)$/) add(before id "(" part[2] ", " part[1] ")" after)
                if (id == "ad_where") add(before id "(" part[1] ", " part[3] ", " part[2] ")" after)
            } else {
                if (substr(after, 1, 1) == "[") { # a[0] is one operand; what is inside is not
                    n = close_of(rest, n + 1); id = substr(rest, 1, n)
                    while (substr(rest, n + 1, 1) == "[") n += close_of(substr(rest, n + 1), 1)
                    after = substr(rest, n + 1)
                }
                if (id in other && substr(after, 1, 1) != ".") add(before other[id] after)
            }
        } else if (match(rest, /^[0-9][0-9.]*/)) { # of mask() and flags
            n = RLENGTH
            add(before (substr(rest, 1, n) + 0 ? "0" : "1") substr(rest, n + 1))
        }
    }
    return text "(" s ")"
}

mode == "rows" {
    if (row == "" && $0 !~ /^(UNARY|BINARY|TERNARY)\(/) { print; next }
    row = row $0
    if (close_of(row, index(row, "(")) == 0) { row = row " "; next }
    n = split_args(substr(row, index(row, "(") + 1, close_of(row, index(row, "(")) - index(row, "(") - 1), arg)
    for (id in other) delete other[id]
    other["g"] = "N(1)"
    if (row ~ /^UNARY/) {
        other["x"] = "y"; other["y"] = "x"
        name = arg[1]; arg[4] = mutate(arg[4], other)
    } else if (row ~ /^TERNARY/) {
        other["a"] = "b"; other["b"] = "c"; other["c"] = "a"
        name = arg[1] ".a"; arg[4] = mutate(arg[4], other)
        name = arg[1] ".b"; arg[5] = mutate(arg[5], other)
        name = arg[1] ".c"; arg[6] = mutate(arg[6], other)
    } else {
        other["a"] = "b"; other["b"] = "a"; other["y"] = "a"
        name = arg[1] ".a"; arg[4] = mutate(arg[4], other)
        name = arg[1] ".b"; arg[5] = mutate(arg[5], other)
    }
    printf "%s", substr(row, 1, index(row, "("))
    for (i = 1; i <= n; i++) printf "%s%s", (i > 1 ? ", " : ""), arg[i]
    print ")"
    row = ""
    next
}

mode == "rules" && /^\/\* Operations made of others/ { rules_end = 1 }
mode == "rules" {
    if (match($0, /^(static )?[a-z_]+ [a-z_]+\(/)) {
        where = substr($0, RSTART, RLENGTH - 1); sub(/.* /, "", where)
        for (id in other) delete other[id]
        other["y"] = "a[0]"; other["a[0]"] = "y"; other["a[1]"] = "a[0]"; other["g"] = "y"; other["narrow"] = "g"
        other["ta[0]"] = "a[0]"; other["ta[1]"] = "y"; other["at[0]"] = "at[1]"; other["at[1]"] = "at[2]"
        other["at[2]"] = "at[0]"; other["phi"] = "y"; other["rhs"] = "y"; other["db"] = "y"; other["nn"] = "k"
        other["s"] = "y"; other["da[0]"] = "ad_neg(da[0])"; other["da"] = "ad_neg(da)"
        if (where == "congruence") { other["l"] = "m"; other["m"] = "l"; other["u"] = "m" }
        if (where == "transposed_solve") { other["a"] = "b"; other["b"] = "a"; delete other["nn"] }
        if (where == "matmul_pullback") { delete other["y"]; other["a[0]"] = "a[1]"; other["g"] = "a[0]" }
        if (where == "solve_pullback") other["g"] = "y"
    }
    if (/case OP_/) { where_case = $2; sub(/:.*/, "", where_case) }
    if (held == "" && (rules_end || where == "mask" || where == "row_eye" ||
        $0 !~ /^ +(da\[[0-9i]\] =|ad_var (db|phi|s|u|rhs) =|s = |rhs = |return (ad_|transposed_solve))/ || /, v = / ||
        /ad_fail/)) { print; next }
    held = held $0 "\n"
    line = held; gsub(/\n */, " ", line)
    while (match(line, /\/\*[^*]*\*\//)) line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
    if (line !~ /; *}? *$/) next
    match(line, /^ *(return |[^=]*= *)/)
    left = substr(line, 1, RLENGTH); right = substr(line, RLENGTH + 1)
    sub(/; *}? *$/, "", right)
    name = where == "ad_shape_pullback" || where == "ad_shape_tangent" ? where "/" where_case : where
    print left mutate(right, other) ";"
    held = ""
}
