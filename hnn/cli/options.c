/* options.c - options as rows: parsing, help, the nearest name. Invariant: a default stands once, in its row, from
 * which both the help and the run read it. */
/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <ad.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const cli_option cli_common[] = {
    {"", NULL, 0, NULL, "Every command", 0, 0},
    {"seed", "N", CLI_INT, "0", "of every random draw: the same seed gives the same bits", 0,
     9007199254740992.0},
    {"out", "DIR", CLI_TEXT, NULL, "keep the run there: configuration, results, files", 0, 0},
    {"json", NULL, CLI_FLAG, NULL, "results as one JSON document", 0, 0},
    {"help", NULL, CLI_FLAG, NULL, "this text", 0, 0},
    {NULL, NULL, 0, NULL, NULL, 0, 0},
};

/* Changes of one letter and exchanges of two neighbours that turn a into b: Damerau (1964), Comm. ACM 7, 171-176. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    int d[3][LONGEST + 1], m = (int)strlen(a), n = (int)strlen(b);
    if (m > LONGEST || n > LONGEST)
        return LONGEST;
    for (int j = 0; j <= n; j++)
        d[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return d[m % 3][n];
}

const char *cli_nearest(const char *s, int n, const char *const words[])
{
    int best = 1 + (int)strlen(s) / 3;
    const char *found = NULL;
    for (int i = 0; i < n; i++) {
        int d = distance(s, words[i]);
        if (d < best || (d == best && !found))
            best = d, found = words[i];
    }
    for (int i = 0; i < n && !found && strlen(s) >= 3; i++) /* a beginning is as good */
        if (!strncmp(s, words[i], strlen(s)))
            found = words[i];
    return found;
}

int cli_number(const char *s, double *x)
{
    size_t n = strlen(s);
    if (n && hnn_number(s, n, '.', x) == n)
        return 1;
    ad_tape *t = ad_new();
    ad_var y = ad_parse(t, s, 0, NULL, NULL);
    int good = !ad_status(t) && ad_rows(y) == 1 && ad_cols(y) == 1;
    if (good)
        *x = ad_scalar(y);
    good = good && !ad_status(t) && !isnan(*x);
    ad_free(t);
    return good;
}

static const cli_option *find(const cli_command *command, const char *name)
{
    for (int g = 0; command->groups[g]; g++)
        for (const cli_option *o = command->groups[g]; o->name; o++)
            if (*o->name && !strcmp(o->name, name))
                return o;
    return NULL;
}

static const char *nearest_option(const cli_command *command, const char *name)
{
    const char *words[128];
    int n = 0;
    for (int g = 0; command->groups[g]; g++)
        for (const cli_option *o = command->groups[g]; o->name && n < 128; o++)
            if (*o->name)
                words[n++] = o->name;
    return cli_nearest(name, n, words);
}

static int check(cli *c, const cli_option *o, const char *s)
{
    double x;
    if (o->type != CLI_INT && o->type != CLI_REAL)
        return CLI_OK;
    if (!cli_number(s, &x))
        return cli_usage(c, "--%s needs a number, not '%.60s'", o->name, s);
    if (o->type == CLI_INT && (x != floor(x) || fabs(x) > 9007199254740992.0))
        return cli_usage(c, "--%s needs a whole number, not '%.60s'", o->name, s);
    if (o->lo != o->hi && !(x >= o->lo && x <= o->hi)) {
        if (isinf(o->hi) || o->hi > 9e15)
            return cli_usage(c, "--%s needs a number not below %g, not '%.60s'", o->name, o->lo, s);
        return cli_usage(c, "--%s needs a number from %g to %g, not '%.60s'", o->name, o->lo, o->hi, s);
    }
    return CLI_OK;
}

static int take_option(cli *c, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2;
    char name[64];
    size_t n = strcspn(word, "=");
    if (n >= sizeof name)
        return cli_usage(c, "there is no option '%.80s'", argv[*i]);
    memcpy(name, word, n), name[n] = 0;
    const cli_option *o = find(c->command, name);
    if (!o) {
        const char *near = nearest_option(c->command, name);
        return near ? cli_usage(c, "there is no option '--%s': did you mean '--%s'?", name, near)
                    : cli_usage(c, "there is no option '--%s'", name);
    }
    const char *text = word[n] == '=' ? word + n + 1 : NULL;
    if (o->type == CLI_FLAG) {
        if (text)
            return cli_usage(c, "--%s takes no value, '%.60s' was given", name, text);
        text = "";
    } else if (!text) {
        if (*i + 1 == argc)
            return cli_usage(c, "--%s needs %s after it", name, o->arg);
        text = argv[++*i];
        if (!strncmp(text, "--", 2) && find(c->command, text + 2))
            return cli_usage(c, "--%s needs %s after it, not the option '%s'", name, o->arg, text);
    }
    int status = check(c, o, text);
    if (status == CLI_OK)
        c->given[c->ngiven++] = (cli_given){o, text};
    size_t m = o->arg ? strlen(o->arg) : 0; /* FILE...: all words up to the next option */
    while (status == CLI_OK && o->type == CLI_LIST && m > 3 && !strcmp(o->arg + m - 3, "...") &&
           *i + 1 < argc && argv[*i + 1][0] != '-')
        c->given[c->ngiven++] = (cli_given){o, argv[++*i]};
    return status;
}

int cli_parse(cli *c, const cli_command *command, int argc, char **argv)
{
    c->command = command;
    c->given = calloc((size_t)argc + 1, sizeof *c->given);
    c->argv = calloc((size_t)argc + 1, sizeof *c->argv);
    if (!c->given || !c->argv)
        return cli_fail(c, "out of memory");
    int status = CLI_OK, only_args = 0;
    for (int i = 0; i < argc && status == CLI_OK; i++) {
        if (only_args || strncmp(argv[i], "-", 1) || !argv[i][1]) {
            c->argv[c->argc++] = argv[i];
        } else if (!strcmp(argv[i], "--")) {
            only_args = 1;
        } else if (!strcmp(argv[i], "-h")) {
            c->given[c->ngiven++] = (cli_given){find(command, "help"), ""};
        } else if (argv[i][1] != '-') {
            status = cli_usage(c, "there is no option '%.60s': options begin with two dashes", argv[i]);
        } else
            status = take_option(c, argc, argv, &i);
    }
    if (status != CLI_OK || cli_has(c, "help"))
        return status;
    if (c->argc < command->min_args)
        return cli_usage(c, "%s is missing", command->args);
    if (c->argc > command->max_args)
        return cli_usage(c, "'%.60s' is one argument too many", c->argv[command->max_args]);
    return CLI_OK;
}

const cli_option *cli_option_of(const cli *c, const char *name) { return find(c->command, name); }

const char *cli_text(const cli *c, const char *name)
{
    const cli_option *o = find(c->command, name);
    for (int i = c->ngiven; i-- > 0;)
        if (c->given[i].option == o)
            return c->given[i].text;
    return o ? o->value : NULL;
}

int cli_has(const cli *c, const char *name)
{
    const cli_option *o = find(c->command, name);
    for (int i = 0; i < c->ngiven; i++)
        if (c->given[i].option == o)
            return 1;
    return 0;
}

int cli_list(const cli *c, const char *name, int i, const char **text)
{
    const cli_option *o = find(c->command, name);
    int any = 0;
    for (int k = 0; k < c->ngiven; k++)
        if (c->given[k].option == o && any++ == i) {
            *text = c->given[k].text;
            return 1;
        }
    if (!any && i == 0 && o && o->value) {
        *text = o->value;
        return 1;
    }
    return 0;
}

double cli_real(const cli *c, const char *name)
{
    const char *s = cli_text(c, name);
    double x = NAN;
    if (s)
        cli_number(s, &x);
    return x;
}

long cli_int(const cli *c, const char *name)
{
    double x = cli_real(c, name);
    return isnan(x) ? 0 : (long)x;
}

static char *trimmed(const char *s, size_t n)
{
    while (n && isspace((unsigned char)*s))
        s++, n--;
    while (n && isspace((unsigned char)s[n - 1]))
        n--;
    return strndup(s, n);
}

/* up to the first comma outside brackets */
static size_t up_to_comma(const char *s)
{
    size_t n = 0;
    for (int depth = 0; s[n] && (s[n] != ',' || depth > 0); n++)
        depth += s[n] == '[' || s[n] == '(' ? 1 : s[n] == ']' || s[n] == ')' ? -1 : 0;
    return n;
}

int cli_pairs(cli *c, const char *option, const char *text,
              int (*put)(cli *c, void *to, const char *name, const char *value), void *to)
{
    for (const char *s = text; *s;) {
        size_t n = up_to_comma(s), eq = strcspn(s, "=");
        if (eq >= n || !eq)
            return cli_usage(c, "--%s needs name=value pairs separated by commas, not '%.*s'", option,
                             (int)(n < 60 ? n : 60), s);
        char *name = trimmed(s, eq), *value = trimmed(s + eq + 1, n - eq - 1);
        int status = name && value ? put(c, to, name, value) : cli_fail(c, "out of memory");
        free(name), free(value);
        if (status != CLI_OK)
            return status;
        s += n + (s[n] == ',');
    }
    return CLI_OK;
}

/* the help of one option: name and argument, then what it does, folded at 100 columns, then the default */
static void help_row(hnn_text *out, const cli_option *o)
{
    enum { LEFT = 26, WIDTH = 100 };
    hnn_text words = {0};
    hnn_text_add(&words, o->help);
    if (o->value)
        hnn_text_printf(&words, " [%s]", o->value);
    size_t before = out->n;
    hnn_text_printf(out, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    int column = (int)(out->n - before);
    if (column > LEFT - 2) {
        hnn_text_add(out, "\n");
        column = 0;
    }
    for (; column < LEFT; column++)
        hnn_text_add(out, " ");
    for (const char *s = words.s ? words.s : ""; *s;) {
        size_t n = strcspn(s, " ");
        if (column > LEFT && column + 1 + (int)n > WIDTH) {
            hnn_text_printf(out, "\n%*s", LEFT, "");
            column = LEFT;
        }
        if (column > LEFT)
            hnn_text_add(out, " "), column++;
        hnn_text_bytes(out, s, n);
        column += (int)n;
        s += n + (s[n] == ' ');
    }
    hnn_text_add(out, "\n");
    hnn_text_free(&words);
}

void cli_help(const cli_command *command, hnn_text *out)
{
    hnn_text_printf(out, "usage: noether %s%s%s [options]\n%s\n", command->name, *command->args ? " " : "",
                    command->args, command->summary);
    if (command->more)
        hnn_text_printf(out, "\n%s", command->more);
    hnn_text_add(out, "\nOptions, with their defaults in brackets:\n");
    for (int g = 0; command->groups[g]; g++)
        for (const cli_option *o = command->groups[g]; o->name; o++)
            if (!*o->name)
                hnn_text_printf(out, "\n%s\n", o->help);
            else if (find(command, o->name) == o) /* the first row of a name holds */
                help_row(out, o);
}
