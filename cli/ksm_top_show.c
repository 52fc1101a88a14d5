// SPDX-License-Identifier: GPL-2.0-or-later
/* How `matrix ksm top` shows a look: a screen on a terminal, else a line, or JSON; see ksm_top.h. */
#include "base/error.h"
#include "base/parse.h"
#include "cli/chart.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/ksm_top.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_END "\033[K\n"

/* Of a row, before its sparkline; and lines above and below the processes. */
#define ROW_COLUMNS  46
#define FIXED_LINES  (TOP_ROWS + 4)
#define NAME_COLUMNS 24

static const char *const run_words[] = {"stopped", "running", "unmerging"};

static const char *run_word(int64_t run)
{
    return run >= 0 && run <= 2 ? run_words[run] : "unknown";
}

static const char *signed_size(char text[FORMAT_BYTES + 1], int64_t bytes)
{
    char size[FORMAT_BYTES];
    const uint64_t amount = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
    snprintf(text, FORMAT_BYTES + 1, "%s%s", bytes < 0 ? "-" : "", format_size(size, amount));
    return text;
}

static const char *signed_count(char text[FORMAT_BYTES + 1], int64_t count)
{
    char digits[FORMAT_BYTES];
    const uint64_t amount = count < 0 ? -(uint64_t)count : (uint64_t)count;
    snprintf(text, FORMAT_BYTES + 1, "%s%s", count < 0 ? "-" : "", format_count(digits, amount));
    return text;
}

static int64_t newest(const struct top_history *history)
{
    return history->values[history->count - 1];
}

/* The value, and for pages the memory that they are. */
static void row_texts(const struct top *top, enum top_row row, char value[FORMAT_BYTES + 1],
                      char more[FORMAT_BYTES + 1])
{
    const struct top_history *history = &top->rows[row];
    const int64_t number = newest(history);
    int64_t bytes;
    snprintf(value, FORMAT_BYTES + 1, "-");
    *more = '\0';
    if (!history->known)
        return;
    switch (top_kinds[row].unit) {
    case TOP_PAGES:
        signed_count(value, number);
        if (!__builtin_mul_overflow(number, (int64_t)top->page_bytes, &bytes))
            signed_size(more, bytes);
        break;
    case TOP_BYTES:
        signed_size(value, number);
        snprintf(more, FORMAT_BYTES + 1, "%s", top->computed ? "computed" : "");
        break;
    case TOP_SHARE:
        snprintf(value, FORMAT_BYTES + 1, "%.1f %%", (double)number / 10);
        break;
    case TOP_RATE:
        signed_count(value, number);
        break;
    }
}

/* --- a screen ------------------------------------------------------------------------------ */

static void show_row(const struct top *top, enum top_row row, unsigned columns)
{
    char value[FORMAT_BYTES + 1], more[FORMAT_BYTES + 1];
    row_texts(top, row, value, more);
    printf("%-14s %14s %14s  ", top_kinds[row].title, value, more);
    if (columns > ROW_COLUMNS)
        chart_sparkline(stdout, top->rows[row].values, top->rows[row].count, columns - ROW_COLUMNS,
                        top->utf8);
    fputs(LINE_END, stdout);
}

static void show_process(const struct top_process *process)
{
    char profit[FORMAT_BYTES + 1], merging[FORMAT_BYTES + 1], resident[FORMAT_BYTES + 1];
    printf("%8d %14s %14s %12s  ", process->source->pid,
           process->has_profit ? signed_size(profit, process->profit_bytes) : "-",
           signed_count(merging, process->merging_pages),
           signed_size(resident, process->resident_bytes));
    char name[NAME_COLUMNS];
    snprintf(name, sizeof(name), "%.*s", NAME_COLUMNS - 1, process->source->name);
    cli_print_escaped(stdout, name);
    fputs(LINE_END, stdout);
}

/* Of more than there is room for: those that gain most and, half of them, those that lose most. */
static unsigned show_processes(const struct top *top, unsigned room)
{
    size_t losers = 0;
    while (losers < top->process_count &&
           top->processes[top->process_count - 1 - losers].profit_bytes < 0)
        losers++;
    if (room > top->process_count)
        room = (unsigned)top->process_count;
    const size_t last = losers < room / 2 ? losers : room / 2, first = room - last;
    for (size_t i = 0; i < first; i++)
        show_process(&top->processes[i]);
    for (size_t i = top->process_count - last; i < top->process_count; i++)
        show_process(&top->processes[i]);
    return room;
}

static void show_screen(struct top *top)
{
    char available[FORMAT_BYTES];
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (!size.ws_row || !size.ws_col) /* a serial line, say: nobody has told it how large it is */
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    unsigned room = size.ws_row > FIXED_LINES + 1U ? size.ws_row - FIXED_LINES - 1U : 0;
    room = room > top->shown_processes ? top->shown_processes : room;
    if (top->lines)
        printf("\033[%uA\r", top->lines);
    printf("KSM: %s, %.1f s, memory available: %s" LINE_END, run_word(top->run), top->time_s,
           format_size(available, top->available_bytes));
    for (enum top_row row = 0; row < TOP_ROWS; row++)
        show_row(top, row, size.ws_col);
    printf("%zu processes with memory to merge; who gains most, and who loses" LINE_END,
           top->process_count);
    printf("%8s %14s %14s %12s  %s" LINE_END, "PID", "PROFIT", "PAGES MERGED", "RESIDENT", "NAME");
    const unsigned lines = 3 + TOP_ROWS + show_processes(top, room);
    fputs("\033[J", stdout); /* what a longer list left */
    top->lines = lines;
}

/* --- a line, and JSON ---------------------------------------------------------------------- */

static void show_line(const struct top *top)
{
    printf("%8.3f s  KSM %s ", top->time_s, run_word(top->run));
    for (enum top_row row = 0; row < TOP_ROWS; row++) {
        char value[FORMAT_BYTES + 1], more[FORMAT_BYTES + 1];
        row_texts(top, row, value, more);
        printf(" %s %s%s", top_kinds[row].title, value, row == TOP_ROWS - 1 ? "\n" : " ");
    }
}

static json_t *json_value(const struct top *top, enum top_row row)
{
    if (!top->rows[row].known)
        return json_null();
    const int64_t number = newest(&top->rows[row]);
    return top_kinds[row].unit == TOP_SHARE ? json_real((double)number / 1000)
                                            : json_integer(number);
}

static struct matrix_error *show_json(const struct top *top)
{
    json_t *list = json_array();
    json_t *root = json_pack("{s:i, s:f, s:s, s:b, s:I}", "version", 1, "time_s", top->time_s,
                             "ksm", run_word(top->run), "general_profit_computed", top->computed,
                             "memory_available_bytes", (json_int_t)top->available_bytes);
    for (enum top_row row = 0; row < TOP_ROWS; row++)
        json_object_set_new(root, top_kinds[row].json, json_value(top, row));
    for (size_t i = 0; i < top->process_count; i++) {
        const struct top_process *process = &top->processes[i];
        json_t *entry = json_pack("{s:i, s:o, s:I, s:I, s:I}", "pid", process->source->pid, "name",
                                  cli_json_string(process->source->name), "start_time_ns",
                                  (json_int_t)process->source->start_time_ns, "ksm_merging_pages",
                                  (json_int_t)process->merging_pages, "resident_bytes",
                                  (json_int_t)process->resident_bytes);
        json_object_set_new(entry, "ksm_process_profit_bytes",
                            process->has_profit ? json_integer(process->profit_bytes)
                                                : json_null());
        json_array_append_new(list, entry);
    }
    json_object_set_new(root, "processes", list);
    return cli_json_print(root, true);
}

struct matrix_error *top_show(struct top *top)
{
    if (top->json)
        return show_json(top);
    if (top->live)
        show_screen(top);
    else
        show_line(top);
    return fflush(stdout) || ferror(stdout) ? error_host(errno, "write to standard output") : NULL;
}
