/* columns.c - which column is what. Invariant: either every needed column is known, or the message says which text
 * to give; nothing is guessed between two readings. */
/* SPDX-License-Identifier: MIT */
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Names people give their columns. A number behind the word is the index; `index` when there is none. */
static const struct {
    const char *word;
    char kind;
    int index;
} words[] = {
    {"trial", 'i', 0},
    {"traj", 'i', 0},
    {"trajectory", 'i', 0},
    {"run", 'i', 0},
    {"experiment", 'i', 0},
    {"t", 't', 0},
    {"time", 't', 0},
    {"timestamp", 't', 0},
    {"q", 'q', 0},
    {"x", 'q', 0},
    {"y", 'q', 1},
    {"z", 'q', 2},
    {"qx", 'q', 0},
    {"qy", 'q', 1},
    {"qz", 'q', 2},
    {"theta", 'q', 0},
    {"angle", 'q', 0},
    {"phi", 'q', 0},
    {"o", 'q', 0},
    {"pos", 'q', 0},
    {"position", 'q', 0},
    {"p", 'p', 0},
    {"px", 'p', 0},
    {"py", 'p', 1},
    {"pz", 'p', 2},
    {"momentum", 'p', 0},
    {"v", 'p', 0},
    {"vx", 'p', 0},
    {"vy", 'p', 1},
    {"vz", 'p', 2},
    {"vel", 'p', 0},
    {"velocity", 'p', 0},
    {"omega", 'p', 0},
    {"qdot", 'p', 0},
    {"w", 'p', 0},
    {"angular_velocity", 'p', 0},
    {"dq", 'Q', 0},
    {"dqdt", 'Q', 0},
    {"dq/dt", 'Q', 0},
    {"dx", 'Q', 0},
    {"dy", 'Q', 1},
    {"dz", 'Q', 2},
    {"dp", 'P', 0},
    {"dpdt", 'P', 0},
    {"dp/dt", 'P', 0},
    {"dv", 'P', 0},
    {"a", 'P', 0},
    {"acc", 'P', 0},
    {"acceleration", 'P', 0},
    {"dvdt", 'P', 0},
};

/* "Theta_2 [rad]" -> "theta", 2. number: -1 when there is none */
static void split_name(const char *s, char word[32], long *number)
{
    size_t n = 0, length = strcspn(s, " \t");
    *number = -1;
    while (length && (s[length - 1] == ']' || s[length - 1] == ')')) { /* a unit, or an index in brackets */
        size_t open = length;
        while (open && s[open - 1] != '[' && s[open - 1] != '(')
            open--;
        char *end;
        long k = open ? strtol(s + open, &end, 10) : 0;
        if (open && end == s + length - 1 && end > s + open)
            *number = k;
        length = open ? open - 1 : 0;
    }
    for (size_t i = 0; i < length && n < 31; i++)
        word[n++] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
    word[n] = 0;
    if (*number < 0) {
        size_t digit = n;
        while (digit && word[digit - 1] >= '0' && word[digit - 1] <= '9')
            digit--;
        if (digit < n && digit > 0 && n - digit < 6) {
            *number = strtol(word + digit, NULL, 10);
            n = digit;
        }
    }
    while (n > 1 && word[n - 1] == '_')
        n--;
    word[n] = 0;
}

static int by_names(const char *path, const hnn_table *t, hnn_role role[], hnn_error *e)
{
    int first = t->cols - t->names, zero_based = 0, q = 0;
    for (int i = 0; i < t->names; i++) {
        char word[32];
        long number;
        split_name(t->name[i], word, &number);
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strcmp(word, words[k].word) == 0) {
                hnn_role *c = &role[first + i];
                c->kind = words[k].kind;
                c->index = number < 0 ? words[k].index : (int)number - 1;
                zero_based |= c->index < 0 && c->kind != 'i' && c->kind != 't';
            }
        q += role[first + i].kind == 'q';
    }
    for (int i = 0; i < t->cols; i++)
        role[i].index = role[i].kind == 'i' || role[i].kind == 't' ? 0 : role[i].index + zero_based;
    /* "%o v" over four columns: what comes before is time, and a trial before that */
    if (q && first == 1 && t->cols > 1)
        role[0] = (hnn_role){'t', 0};
    if (q && first == 2) {
        role[0] = (hnn_role){'i', 0};
        role[1] = (hnn_role){'t', 0};
    }
    for (int i = 0; i < t->cols; i++)
        for (int j = 0; j < i; j++)
            if (q && role[i].kind && role[i].kind == role[j].kind && role[i].index == role[j].index)
                return hnn_fail(e, HNN_EARG,
                                "%s: columns %d and %d have names of the same meaning; say which with "
                                "--columns",
                                path, j + 1, i + 1);
    return HNN_OK;
}

/* whole numbers that stay the same over rows while the next column increases */
static int looks_like_trial(const hnn_table *t)
{
    long same = 0;
    for (long r = 0; r < t->rows; r++) {
        double x = t->v[r * t->cols];
        if (x != floor(x))
            return 0;
        if (r && x == t->v[(r - 1) * t->cols]) {
            same++;
            if (t->v[r * t->cols + 1] < t->v[(r - 1) * t->cols + 1])
                return 0;
        }
    }
    return t->rows < 2 || 2 * same > t->rows;
}

static int by_count(const char *path, const hnn_table *t, int positions_only, hnn_role role[], hnn_error *e)
{
    int parts = positions_only ? 1 : 2, c = t->cols, first = 0;
    if (!t->states) {
        int left = c % parts ? 1 : 2; /* columns before the state */
        if (positions_only)
            left = c == 1 ? 0 : c == 2 ? 1 : looks_like_trial(t) ? 2 : 1;
        else if (c == 2)
            left = 0;
        else if (left == 2 && !looks_like_trial(t))
            return hnn_fail(e, HNN_EARG,
                            "%s: %d columns without names: say what they are, for instance "
                            "--columns trial=1,t=2,q=3,p=4",
                            path, c);
        if (left == 2)
            role[first++] = (hnn_role){'i', 0};
        if (left)
            role[first++] = (hnn_role){'t', 0};
    }
    if (c - first < parts || (c - first) % parts)
        return hnn_fail(e, HNN_ESHAPE, "%s: %d columns cannot be positions and momenta; use --columns", path,
                        c);
    int n = (c - first) / parts;
    for (int i = 0; i < n * parts; i++)
        role[first + i] = (hnn_role){i < n ? 'q' : 'p', i % n};
    return HNN_OK;
}

/* one "key=value" of the option's text */
static int by_text_item(const char *path, const hnn_table *t, const char *s, size_t n, hnn_role role[],
                        hnn_error *e)
{
    static const struct {
        const char *key;
        char kind;
    } keys[] = {{"trial", 'i'}, {"t", 't'},  {"q", 'q'},  {"p", 'p'},
                {"v", 'p'},     {"dq", 'Q'}, {"dp", 'P'}, {"dv", 'P'}};
    const char *equal = memchr(s, '=', n);
    char key[32] = {0}, value[128] = {0}, word[32];
    long index, from, to;
    char kind = 0, *end;
    if (!equal || (size_t)(equal - s) >= sizeof key || n - (size_t)(equal - s) - 1 >= sizeof value)
        return hnn_fail(e, HNN_EARG, "--columns: '%.*s' is not of the form key=column",
                        (int)(n < 60 ? n : 60), s);
    memcpy(key, s, (size_t)(equal - s));
    memcpy(value, equal + 1, n - (size_t)(equal - s) - 1);
    split_name(key, word, &index);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (strcmp(word, keys[k].key) == 0)
            kind = keys[k].kind;
    if (!kind || index == 0)
        return hnn_fail(e, HNN_EARG,
                        "--columns: '%s' is none of trial, t, q, p, v, dq, dp, dv (q1, q2, ... with "
                        "several)",
                        key);
    from = to = strtol(value, &end, 10);
    if (end != value && (*end == ':' || *end == '-') && end[1])
        to = strtol(end + 1, &end, 10);
    if (end == value || *end) { /* not a number: a name */
        from = 0;
        for (int i = 0; i < t->names; i++) {
            const char *name = t->name[i];
            size_t m = strlen(value);
            if (strncmp(name, value, m) == 0 && (!name[m] || strchr(" [(", name[m])))
                from = to = t->cols - t->names + i + 1;
        }
        if (!from) {
            hnn_text all = {0};
            for (int i = 0; i < t->names && all.n < 200; i++)
                hnn_text_printf(&all, "%s%.40s", i ? ", " : ": ", t->name[i]);
            hnn_fail(e, HNN_EARG, "%s: there is no column named '%s'; %d of %d columns have names%.260s",
                     path, value, t->names, t->cols, all.s ? all.s : "");
            hnn_text_free(&all);
            return HNN_EARG;
        }
    }
    if (from < 1 || to < from || to > t->cols)
        return hnn_fail(e, HNN_EARG, "%s: --columns %s=%s, the file has columns 1 to %d", path, key, value,
                        t->cols);
    for (long c = from; c <= to; c++) {
        if (role[c - 1].kind)
            return hnn_fail(e, HNN_EARG, "--columns: column %ld is used twice", c);
        role[c - 1] = (hnn_role){kind, (int)((index < 0 ? 0 : index - 1) + (c - from))};
    }
    return HNN_OK;
}

int hnn_table_roles(const char *path, const hnn_table *t, const char *columns, int positions_only,
                    hnn_role role[], int *dof, hnn_error *e)
{
    int code = HNN_OK, count[128] = {0};
    memset(role, 0, sizeof *role * (size_t)t->cols);
    if (columns)
        for (const char *s = columns; !code && *s;) {
            size_t n = strcspn(s, ",");
            code = by_text_item(path, t, s, n, role, e);
            s += n + (s[n] == ',');
        }
    else if (t->names)
        code = by_names(path, t, role, e);
    for (int i = 0; i < t->cols; i++)
        count[(int)role[i].kind]++;
    if (!code && !columns && (!count['q'] || (!positions_only && !count['p']))) {
        if (t->names == t->cols || t->names > 2)
            return hnn_fail(e, HNN_EARG,
                            "%s: no column is named like a position%s; say which with --columns q=...,p=...",
                            path, count['q'] ? " and a momentum or velocity" : "");
        memset(role, 0, sizeof *role * (size_t)t->cols);
        code = by_count(path, t, positions_only, role, e);
    }
    if (code)
        return code;
    memset(count, 0, sizeof count);
    for (int i = 0; i < t->cols; i++) {
        if (positions_only && role[i].kind && strchr("pQP", role[i].kind))
            role[i] = (hnn_role){0, 0};
        count[(int)role[i].kind]++;
        for (int j = 0; j < i; j++)
            if (role[i].kind && role[i].kind == role[j].kind && role[i].index == role[j].index)
                return hnn_fail(e, HNN_EARG, "%s: columns %d and %d are both %c%d", path, j + 1, i + 1,
                                role[i].kind, role[i].index + 1);
    }
    *dof = count['q'];
    if (!*dof)
        return hnn_fail(e, HNN_EARG, "%s: no column for q; use --columns q=...", path);
    if (!positions_only && count['p'] != *dof)
        return hnn_fail(e, HNN_ESHAPE,
                        "%s: %d columns of q and %d of p (or v), as many were needed; --coords q needs none",
                        path, *dof, count['p']);
    if ((count['Q'] || count['P']) && (count['Q'] != *dof || count['P'] != *dof))
        return hnn_fail(e, HNN_ESHAPE, "%s: %d columns of dq and %d of dp, %d of each were needed", path,
                        count['Q'], count['P'], *dof);
    for (int i = 0; i < t->cols; i++)
        if (role[i].kind && role[i].index >= *dof)
            return hnn_fail(e, HNN_ESHAPE, "%s: column %d is number %d of %d degrees of freedom", path, i + 1,
                            role[i].index + 1, *dof);
    return HNN_OK;
}
