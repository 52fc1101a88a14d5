// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-report: renders the fault report on its standard input. It is a program of its own so
 * that those who run guests need no disassembler; matrix_report_print starts it.
 */
#include "cli/report.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    bool *json = state->input;

    switch (key) {
    case 'j':
        *json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", argument);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = (const struct argp_option[]){{"json", 'j', NULL, 0, "One JSON object", 0}, {0}},
    .parser = parse_option,
    .doc = "Renders the report of a guest's fault: a struct matrix_report (matrix/report.h) on "
           "standard input.",
};

static struct matrix_error *render(bool json)
{
    /* One byte more than a report has, to notice what is too long. */
    char data[sizeof(struct matrix_report) + 1];
    size_t size = fread(data, 1, sizeof(data), stdin);
    if (ferror(stdin))
        return error_host(errno, "read a report from standard input");

    struct matrix_report report;
    RETURN_IF_ERROR(report_check(data, size, &report));
    if (json)
        RETURN_IF_ERROR(report_write_json(stdout, &report));
    else
        report_write_text(stdout, &report, cli_wants_colour(stdout));
    if (fflush(stdout) || ferror(stdout))
        return error_host(errno, "write the report to standard output");
    return NULL;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    /* Whole reports are written at once: others may be writing to the same place. */
    static char buffer[1 << 16];
    bool json = false;

    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &json);
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));

    struct matrix_error *error = render(json);
    if (error) {
        cli_fail("matrix-report", error);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
