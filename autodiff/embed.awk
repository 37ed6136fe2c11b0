# embed.awk FILES - the text of kernels as C tables, so that emitted C carries the kernels themselves and no copy.
#
# A file is cut into its head (all that is not a function) and its functions, each with the comment before it. Include
# guards and includes of ours are left out. Invariant: the pieces in the order of the table compile as the file does.
# SPDX-License-Identifier: MIT
function flush_piece(name, text) {
    if (text == "")
        return
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    gsub(/\n/, "\\n\"\n     \"", text)
    sub(/\n     "$/, "", text)
    printf "    {\"%s\", \"%s\",\n     \"%s},\n", file, name, text
}
function end_file() {
    if (file == "")
        return
    if (guard) # the last #endif closes the guard
        sub(/#endif\n$/, "", head)
    flush_piece("", head)
    for (i = 0; i < n; i++)
        flush_piece(names[i], texts[i])
}
BEGIN {
    print "/* Made by embed.awk from the files of kernels/. */"
    print "#include \"emit.h\"\n\nconst ad_em_part ad_em_parts[] = {"
}
FNR == 1 {
    end_file()
    file = FILENAME
    sub(/.*\//, "", file)
    sub(/\.h$/, "", file)
    head = comment = body = ""
    n = guard = inside = incomment = 0
    whole = file == "scalar" || file == "plain"
}
FNR == 1 && /^\/\*/ { top = 1 }
top { if (/\*\//) top = 0; next } # the comment at the top of a file
/^#if !defined\(AD_KERNELS_/ || /^#ifndef AD_KERNELS_/ { guard = 1; next }
/^#define AD_KERNELS_[A-Z_]*_H$/ || /SPDX/ || /^#include "/ { next }
inside {
    body = body $0 "\n"
    if (name == "" && match($0, /(vm_[a-z0-9_]+|K\([a-z_]+\))\(/)) {
        name = substr($0, RSTART, RLENGTH - 1)
        gsub(/K\(|\)/, "", name)
    }
    if (/^}/) { names[n] = name; texts[n++] = body; inside = 0 }
    next
}
!whole && (/^VEC_FN/ || /^static/) {
    inside = 1
    name = ""
    body = comment $0 "\n"
    comment = ""
    if (match($0, /(vm_[a-z0-9_]+|K\([a-z_]+\))\(/)) {
        name = substr($0, RSTART, RLENGTH - 1)
        gsub(/K\(|\)/, "", name)
    }
    if (/}$/) { names[n] = name; texts[n++] = body; inside = 0 }
    next
}
!whole && (/^\/\*/ || incomment) { comment = comment $0 "\n"; incomment = !/\*\//; next }
/^$/ { next }
{ head = head comment $0 "\n"; comment = "" }
END { end_file(); print "    {0, 0, 0}};" }
