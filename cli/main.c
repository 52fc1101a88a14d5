// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command `matrix`: finds the subcommand and hands over. `run` is part of this program, which
 * stays small (it is what starts and holds a guest); the others are programs of their own that
 * it becomes, as git does.
 */
#include "base/error.h"
#include "base/installed.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/run.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv); /* NULL: another program */
    const char *program; /* matrix-PROGRAM, which is told the name; NULL: matrix-NAME */
} subcommands[] = {
    {"run", "run one guest in the foreground", run_main, NULL},
    {"cloud", "run the guests of a file, by contract", NULL, NULL},
    {"status", "show what running guests get, and what was promised", NULL, NULL},
    {"top", "the same on a whole screen, with keys to change it", NULL, NULL},
    {"trace", "record or draw who is on the core, and why", NULL, NULL},
    {"metrics", "serve what running guests get, for Prometheus", NULL, NULL},
    {"start", "start guests of a running cloud that are down", NULL, "manage"},
    {"stop", "end guests of a running cloud", NULL, "manage"},
    {"restart", "end guests, and start them again", NULL, "manage"},
    {"pause", "let guests run no more, for now", NULL, "manage"},
    {"resume", "let paused guests run again", NULL, "manage"},
    {"set", "change the contract of a guest or group", NULL, "manage"},
    {"add", "add guests to a running cloud", NULL, "manage"},
    {"logs", "show what a guest printed lately, and follow it", NULL, "console"},
    {"attach", "a guest's console: what it prints, and what is typed for it", NULL, "console"},
    {"reload", "let a running cloud read its file again", NULL, "manage"},
    {"proc", "look into any process: its memory, its children", NULL, NULL},
    {"ksm", "watch, draw and map what kernel same-page merging does", NULL, NULL},
    {"translate", "follow a guest's address to physical memory, and say who shares it", NULL, NULL},
    {"modules", "load, unload and list the kernel modules", NULL, NULL},
    {"doctor", "say what this host can and cannot do, and how to mend it", NULL, NULL},
    {"lab", "run a command in a throwaway machine", NULL, NULL},
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static int print_help(FILE *file)
{
    fputs("Usage: matrix COMMAND [OPTION...] [ARGUMENT...]\n"
          "A small cloud on one machine: KVM guests that share a core by contract.\n\n",
          file);
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        fprintf(file, "  %-9s %s\n", subcommands[i].name, subcommands[i].summary);
    fputs("\n`matrix COMMAND --help` tells its options; the manual is matrix(1).\n", file);
    return file == stdout ? EXIT_SUCCESS : EXIT_BAD_USAGE;
}

/* Becomes the program of a subcommand; returns only if that fails. argv[0] is the subcommand, and stays so
 * for a program that has several. */
static int become(const char *name, bool has_several, char **argv)
{
    char program[64], path[PATH_MAX];
    snprintf(program, sizeof(program), "matrix-%s", name);
    if (!installed_find(INSTALLED_PROGRAM, program, path))
        return cli_fail("matrix", error_new(MATRIX_ERROR_HOST, 0,
                                            "build it with `make`, or install Matrix again",
                                            "the program %s is missing", program));
    if (!has_several)
        argv[0] = program;
    execv(path, argv);
    return cli_fail("matrix", error_host(errno, "start %s", path));
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    if (argc < 2)
        return print_help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return print_help(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        puts("matrix " MATRIX_VERSION);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (strcmp(argv[1], subcommands[i].name) != 0)
            continue;
        const char *program = subcommands[i].program;
        return subcommands[i].run ? subcommands[i].run(argc - 1, argv + 1)
               : program          ? become(program, true, argv + 1)
                                  : become(subcommands[i].name, false, argv + 1);
    }
    return cli_fail("matrix", error_usage("see `matrix --help`", "no such command: %s", argv[1]));
}
