// SPDX-License-Identifier: GPL-2.0-or-later
/* What the subcommands of matrix-proc have in common; see proc.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/proc.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Of times and rates: a microsecond in a day. */
#define REAL_DIGITS JSON_REAL_PRECISION(11)

struct matrix_error *proc_parse_pid(const char *text, pid_t *pid)
{
    uint64_t number;
    RETURN_IF_ERROR(error_prefix(parse_u64(text, 1, INT32_MAX, &number), "a pid"));
    *pid = (pid_t)number;
    return NULL;
}

char *proc_escape(const char *text)
{
    char *escaped = NULL;
    size_t size;
    FILE *file = open_memstream(&escaped, &size);
    if (!file)
        return NULL;
    cli_print_escaped(file, text);
    if (fclose(file) == 0)
        return escaped;
    free(escaped);
    return NULL;
}

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

json_t *proc_json_address(uint64_t address)
{
    char text[24];
    snprintf(text, sizeof(text), "0x%" PRIx64, address);
    return json_string(text);
}

struct matrix_error *proc_json_print(json_t *root, bool one_line)
{
    if (!root)
        return error_host(ENOMEM, "make JSON");
    const int failed =
        json_dumpf(root, stdout, (one_line ? JSON_COMPACT : JSON_INDENT(2)) | REAL_DIGITS);
    json_decref(root);
    if (failed || putchar('\n') == EOF || fflush(stdout))
        return error_host(errno, "write to standard output");
    return NULL;
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
