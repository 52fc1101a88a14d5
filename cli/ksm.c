// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-ksm, which `matrix ksm` starts: what the kernel's same-page merging does, recorded, drawn,
 * tried out, and mapped page by page.
 */
#include "cli/ksm.h"

#include "base/error.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/ksm_record.h"
#include "ksm/lease.h"
#include <argp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "matrix ksm"

static const struct {
    const char *name, *summary;
    ksm_command *run;
} commands[] = {
    {"record", "Records what KSM does into a file", ksm_record_main},
    {"mark", "Marks a moment in a recording that is being made", ksm_mark_main},
    {"export", "Prints a recording as CSV or JSON", ksm_export_main},
    {"top", "Shows what KSM does, live", ksm_top_main},
    {"plot", "Draws recordings, as pictures or in the terminal", ksm_plot_main},
    {"map", "Which page of which guest or process is merged with which others", ksm_map_main},
    {"experiment", "Runs an experiment from a file, and reports on it", ksm_experiment_main},
    {0},
};

static int show_help(FILE *to, int status)
{
    fputs("Usage: " PROGRAM " COMMAND [OPTION...] [ARGUMENT...]\n"
          "Watches and maps what kernel same-page merging (KSM) does.\n\n",
          to);
    for (size_t i = 0; commands[i].name; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'" PROGRAM " COMMAND --help' tells more.\n", to);
    return status;
}

/* What an experiment that was killed has left: whoever comes next puts it right. */
static void mend(void)
{
    bool mended;
    struct matrix_error *error = ksm_lease_mend(ksm_places(), &mended);
    if (error)
        cli_fail(PROGRAM, error);
    else if (mended)
        fputs(PROGRAM ": an experiment was killed; the knobs of KSM are put back\n", stderr);
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    setlocale(LC_CTYPE, ""); /* whether the terminal takes UTF-8; numbers stay in C */
    argp_err_exit_status = EXIT_BAD_USAGE;
    if (argc < 2)
        return show_help(stderr, EXIT_BAD_USAGE);
    if (strcmp(argv[1], "--help") == 0)
        return show_help(stdout, EXIT_SUCCESS);
    for (size_t i = 0; commands[i].name; i++) {
        char name[64];
        if (strcmp(commands[i].name, argv[1]) != 0)
            continue;
        snprintf(name, sizeof(name), PROGRAM " %s", commands[i].name);
        argv[1] = name;
        mend();
        return commands[i].run(argc - 1, argv + 1);
    }
    return cli_fail(PROGRAM,
                    error_usage("see `" PROGRAM " --help`", "no such command: %s", argv[1]));
}
