/* main.c - noether: the table of commands. Invariant: the exit status is 0, 1 (it failed), 2 (usage) or 130 (interrupted),
 * and a failure has said why on stderr. */
/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "systems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_command *const commands[] = {
    &cli_cmd_list,     &cli_cmd_data,     &cli_cmd_simulate, &cli_cmd_rollout, &cli_cmd_landscape,
    &cli_cmd_poincare, &cli_cmd_lyapunov, &cli_cmd_train,    &cli_cmd_compare, &cli_cmd_demo,
    &cli_cmd_report,   &cli_cmd_verify,   &cli_cmd_export,   &cli_cmd_diff,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *to)
{
    fputs("usage: noether COMMAND [arguments] [options]\n\n", to);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'noether COMMAND --help' explains a command; results go to stdout, progress to stderr.\n"
          "Exit status: 0, 1 it failed, 2 wrong usage, 130 interrupted.\n",
          to);
}

static const cli_command *command_of(const char *name)
{
    const char *words[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) {
        words[i] = commands[i]->name;
        if (!strcmp(name, words[i]))
            return commands[i];
    }
    if (hnn_system_find(name, NULL)) {
        fprintf(stderr, "noether: '%.60s' is a system; 'noether simulate %.60s', for example\n", name, name);
        return NULL;
    }
    const char *near = cli_nearest(name, COMMANDS, words);
    fprintf(stderr,
            near ? "noether: there is no command '%.60s': did you mean '%s'?\n"
                 : "noether: there is no command '%.60s'; 'noether --help' lists them\n",
            name, near);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || (!strcmp(argv[1], "help") && argc == 2)) {
        usage(stdout);
        return CLI_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("noether " NOETHER_VERSION);
        return CLI_OK;
    }
    int asks = !strcmp(argv[1], "help");
    const cli_command *command = command_of(argv[1 + asks]);
    if (!command)
        return CLI_USAGE;
    cli c = {.started = cli_clock()};
    int status = asks ? CLI_OK : cli_parse(&c, command, argc - 2, argv + 2);
    if (status == CLI_OK && (asks || cli_has(&c, "help"))) {
        cli_help(command, &c.out);
        fputs(c.out.s ? c.out.s : "", stdout);
    } else if (status == CLI_OK) {
        cli_catch_interrupts();
        cli_json_object(&c.json, NULL);
        status = cli_begin(&c);
        if (status == CLI_OK)
            status = command->run(&c);
        status = cli_end(&c, status);
    }
    hnn_text_free(&c.out);
    cli_json_free(&c.json);
    free(c.given);
    free(c.argv);
    return status;
}
