// SPDX-License-Identifier: GPL-2.0-or-later
/* One run of the lab, from the kernel's download to the machine's end. Called by cli/lab.c. */
#include "lab/lab.h"

#include "base/error.h"
#include "base/terminal.h"
#include "lab/internal.h"
#include <stdlib.h>
#include <unistd.h>

/* Boots and relays; the machine is gone afterwards. */
static struct matrix_error *run_machine(const struct lab_options *options,
                                        const struct lab_image *image, const struct lab_job *job,
                                        struct lab_result *result)
{
    struct lab_machine machine;
    RETURN_IF_ERROR(lab_machine_start(options, image, job, &machine));
    struct matrix_error *error = lab_relay(options, job, &machine, result);
    lab_machine_stop(&machine);
    return error;
}

static struct matrix_error *run_job(const struct lab_options *options,
                                    const struct lab_image *image, const struct lab_job *job,
                                    struct lab_result *result)
{
    if (!options->terminal)
        return run_machine(options, image, job, result);
    struct terminal terminal;
    if (!isatty(STDIN_FILENO))
        return error_usage("for a command without a terminal: matrix lab run",
                           "the lab's shell needs a terminal on standard input");
    RETURN_IF_ERROR(terminal_enter(&terminal, cfmakeraw));
    struct matrix_error *error = run_machine(options, image, job, result);
    terminal_leave(&terminal);
    return error;
}

struct matrix_error *lab_run(const struct lab_options *options, struct lab_result *result)
{
    struct lab_image image = {0};
    struct lab_job job = {0};
    *result = (struct lab_result){0};

    struct matrix_error *error = lab_image_prepare(options->kernel, &image);
    if (!error)
        error = lab_job_compose(options, &image, &job);
    if (!error)
        error = kernel_log_open(options->log_path, options->verbose ? stderr : NULL, &result->log);
    if (!error)
        error = run_job(options, &image, &job, result);
    lab_job_free(&job);
    lab_image_free(&image);
    if (error)
        lab_result_free(result);
    return error;
}

void lab_result_free(struct lab_result *result)
{
    kernel_log_free(result->log);
    free(result->messages);
    *result = (struct lab_result){0};
}
