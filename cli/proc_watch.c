// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix proc watch: the memory of a process over time, as a live picture on a terminal, as lines
 * elsewhere, as JSON, and in a file for plots.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/chart.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/look.h"
#include "cli/proc.h"
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NS_PER_S 1000000000ULL

/* Values that are kept for the picture: no terminal is wider. */
#define HISTORY 1024

#define CURSOR_HIDE "\033[?25l"
#define CURSOR_SHOW "\033[?25h"
#define LINE_END    "\033[K\n"

struct watch {
    const struct proc_options *options;
    struct matrix_lens_task task;
    FILE *csv;
    bool exact, live, utf8;
    uint64_t started_ns;
    uint64_t virtual_bytes[HISTORY], resident_bytes[HISTORY];
    size_t count;
    unsigned lines; /* of the picture on the screen */
};

static json_t *bytes_json(uint64_t bytes)
{
    return bytes == MATRIX_FOOTPRINT_UNKNOWN ? json_null() : json_integer((json_int_t)bytes);
}

static struct matrix_error *show_json(const struct watch *watch, double time_s,
                                      const struct matrix_footprint *seen)
{
    json_t *root = proc_json_begin(watch->options->lens);
    json_object_set_new(root, "pid", json_integer(watch->task.pid));
    json_object_set_new(root, "time_s", json_real(rint(time_s * 1e6) / 1e6));
    json_object_set_new(root, "virtual_bytes", bytes_json(seen->virtual_bytes));
    json_object_set_new(root, "resident_bytes", bytes_json(seen->resident_bytes));
    json_object_set_new(root, "anonymous_bytes", bytes_json(seen->anonymous_bytes));
    json_object_set_new(root, "file_bytes", bytes_json(seen->file_bytes));
    json_object_set_new(root, "shmem_bytes", bytes_json(seen->shmem_bytes));
    json_object_set_new(root, "swapped_bytes", bytes_json(seen->swapped_bytes));
    return cli_json_print(root, true);
}

static void show_line(double time_s, const struct matrix_footprint *seen)
{
    char virtual[FORMAT_BYTES], resident[FORMAT_BYTES];
    printf("%8.3f s  virtual %10s  resident %10s\n", time_s,
           format_size(virtual, seen->virtual_bytes), format_size(resident, seen->resident_bytes));
}

static const char *source_files(const struct watch *watch)
{
    return watch->exact ? "module" : "/proc/PID/status";
}

static void show_picture(struct watch *watch, double time_s, const struct matrix_footprint *seen)
{
    char virtual[FORMAT_BYTES], resident[FORMAT_BYTES];
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    /* Two lines of text, two titles, and one that stays free. */
    const unsigned rows = size.ws_row > 25 ? 10 : size.ws_row > 9 ? (size.ws_row - 5U) / 2 : 2;
    const unsigned columns = size.ws_col > CHART_MARGIN + 8 ? size.ws_col - CHART_MARGIN : 8;

    if (watch->lines)
        printf("\033[%uA\r", watch->lines);
    fputs("process ", stdout);
    proc_print_process(stdout, &watch->task);
    printf(", %.1f s" LINE_END, time_s);
    printf("virtual memory: %s" LINE_END, format_size(virtual, seen->virtual_bytes));
    chart_draw(stdout, watch->virtual_bytes, watch->count, columns, rows, watch->utf8, LINE_END);
    printf("resident memory: %s" LINE_END, format_size(resident, seen->resident_bytes));
    chart_draw(stdout, watch->resident_bytes, watch->count, columns, rows, watch->utf8, LINE_END);
    watch->lines = 3 + 2 * rows;
}

static void remember(struct watch *watch, const struct matrix_footprint *seen)
{
    if (watch->count == HISTORY) {
        const size_t kept = (HISTORY - 1) * sizeof(watch->virtual_bytes[0]);
        memmove(watch->virtual_bytes, watch->virtual_bytes + 1, kept);
        memmove(watch->resident_bytes, watch->resident_bytes + 1, kept);
        watch->count--;
    }
    watch->virtual_bytes[watch->count] = seen->virtual_bytes;
    watch->resident_bytes[watch->count++] = seen->resident_bytes;
}

static void csv_number(FILE *csv, uint64_t value)
{
    if (value == MATRIX_FOOTPRINT_UNKNOWN)
        fputc(',', csv);
    else
        fprintf(csv, ",%" PRIu64, value);
}

static struct matrix_error *record(const struct watch *watch, double time_s,
                                   const struct matrix_footprint *seen)
{
    const uint64_t values[] = {seen->virtual_bytes, seen->resident_bytes, seen->anonymous_bytes,
                               seen->file_bytes,    seen->shmem_bytes,    seen->swapped_bytes};
    fprintf(watch->csv, "%.6f", time_s);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        csv_number(watch->csv, values[i]);
    fputc('\n', watch->csv);
    /* At once: who is killed has recorded what was seen till then. */
    if (fflush(watch->csv) || ferror(watch->csv))
        return error_host(errno, "write %s", watch->options->csv);
    return NULL;
}

static struct matrix_error *look(struct watch *watch)
{
    struct matrix_footprint seen;
    const struct proc_options *options = watch->options;
    const pid_t pid = watch->task.pid;
    RETURN_IF_ERROR(watch->exact ? matrix_lens_footprint(options->lens, pid, &seen)
                                 : matrix_lens_footprint_quick(options->lens, pid, &seen));
    const double time_s =
        (double)(clock_now_ns(CLOCK_MONOTONIC) - watch->started_ns) / (double)NS_PER_S;
    RETURN_IF_ERROR(proc_check_same(options->lens, &watch->task));
    remember(watch, &seen);
    if (watch->csv)
        RETURN_IF_ERROR(record(watch, time_s, &seen));
    if (options->json)
        return show_json(watch, time_s, &seen);
    if (watch->live)
        show_picture(watch, time_s, &seen);
    else
        show_line(time_s, &seen);
    if (fflush(stdout) || ferror(stdout))
        return error_host(errno, "write to standard output");
    return NULL;
}

/* Looks until the end. That there is no process is an error at first, and later the end. */
static struct matrix_error *look_on(struct watch *watch, struct proc_options *options)
{
    RETURN_IF_ERROR(look(watch));
    for (;;) {
        const uint64_t next =
            look_next(watch->started_ns, options->interval_ns, options->duration_ns);
        const uint64_t end = watch->started_ns + options->duration_ns;
        const int number = look_wait_until(next ? next : end);
        if (number)
            options->status = EXIT_SIGNAL + number;
        if (number || !next)
            return NULL;
        struct matrix_error *error = look(watch);
        if (error && (error->number == ESRCH || error->number == ENXIO)) {
            matrix_error_free(error);
            fputs("matrix proc watch: process ", stderr);
            proc_print_process(stderr, &watch->task);
            fputs(" has ended\n", stderr);
            return NULL;
        }
        if (error)
            return error;
    }
}

static struct matrix_error *open_csv(struct watch *watch)
{
    if (!watch->options->csv)
        return NULL;
    watch->csv = fopen(watch->options->csv, "we");
    if (!watch->csv)
        return error_host(errno, "open %s for what is seen", watch->options->csv);
    fputs("time_s,virtual_bytes,resident_bytes,anonymous_bytes,file_bytes,shmem_bytes,"
          "swapped_bytes\n",
          watch->csv);
    return NULL;
}

struct matrix_error *proc_watch(struct proc_options *options)
{
    static struct watch watch;
    pid_t pid;
    watch.options = options;
    watch.exact = strcmp(matrix_lens_source_name(options->lens), "module") == 0;
    watch.live = !options->json && isatty(STDOUT_FILENO);
    watch.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    RETURN_IF_ERROR(cli_parse_pid(options->arguments[0], &pid));
    RETURN_IF_ERROR(matrix_lens_process(options->lens, pid, &watch.task));
    RETURN_IF_ERROR(open_csv(&watch));

    look_block_ends();
    if (watch.live)
        fputs(CURSOR_HIDE, stdout);
    watch.started_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct matrix_error *error = look_on(&watch, options);
    if (watch.live)
        fputs(CURSOR_SHOW, stdout);
    if (!error && !options->json)
        proc_print_source(options->lens, source_files(&watch), pid);
    if (watch.csv && fclose(watch.csv) && !error)
        return error_host(errno, "write %s", options->csv);
    return error;
}
