// SPDX-License-Identifier: GPL-2.0-or-later
/* What the subcommands of matrix-proc have in common; see proc.h. */
#include "base/error.h"
#include "cli/common.h"
#include "cli/proc.h"
#include <string.h>

void proc_print_process(FILE *file, const struct matrix_lens_task *task)
{
    fprintf(file, "%d (", task->pid);
    cli_print_escaped(file, task->name);
    fputc(')', file);
}

json_t *proc_json_begin(const struct matrix_lens *lens)
{
    return json_pack("{s:i, s:s}", "version", PROC_JSON_VERSION, "source",
                     matrix_lens_source_name(lens));
}

void proc_print_source(const struct matrix_lens *lens, const char *files, pid_t pid)
{
    fputs("source: ", stdout);
    if (strcmp(matrix_lens_source_name(lens), "module") == 0) {
        puts("module");
        return;
    }
    /* "PID" stands for the number. */
    const char *place = strstr(files, "PID");
    if (place && pid)
        printf("%.*s%d%s\n", (int)(place - files), files, pid, place + strlen("PID"));
    else
        puts(files);
}

struct matrix_error *proc_check_same(const struct matrix_lens *lens,
                                     const struct matrix_lens_task *before)
{
    struct matrix_lens_task now;
    RETURN_IF_ERROR(matrix_lens_process(lens, before->pid, &now));
    if (now.start_time_ns == before->start_time_ns)
        return NULL;
    return error_host(0, "process %d (%s) has ended meanwhile, and its number is another's",
                      before->pid, before->name);
}
