// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix ksm top: what KSM does, live, and for which processes; see ksm_top.h. */
#include "cli/ksm_top.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/terminal.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/ksm_record.h"
#include "cli/look.h"
#include <argp.h>
#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "matrix ksm top"
#define KEYS_NS 100000000ULL /* from one look at the keyboard to the next */

#define INTERVAL_DEFAULT_NS 1000000000ULL
#define PROCESSES_DEFAULT   10

/* No cursor, and no second line of what is wider than the terminal; and both again. */
#define SCREEN_BEGIN "\033[?25l\033[?7l"
#define SCREEN_END   "\033[?7h\033[?25h"

static const struct argp_option options[] = {
    {"interval", 'i', "DURATION", 0, "Between two looks, 10ms or more (1s)", 0},
    {"duration", 'd', "DURATION", 0, "End after this time (at Ctrl-C)", 0},
    {"processes", 'n', "N", 0, "How many processes are shown at most (10)", 0},
    {"json", 'j', NULL, 0, "JSON, an object a line", 0},
    {0},
};

const struct top_kind top_kinds[TOP_ROWS] = {
    [TOP_SHARED] = {"pages shared", "pages_shared", TOP_PAGES},
    [TOP_SHARING] = {"pages sharing", "pages_sharing", TOP_PAGES},
    [TOP_UNSHARED] = {"pages unshared", "pages_unshared", TOP_PAGES},
    [TOP_VOLATILE] = {"pages volatile", "pages_volatile", TOP_PAGES},
    [TOP_PROFIT] = {"profit", "general_profit_bytes", TOP_BYTES},
    [TOP_KSMD] = {"ksmd's CPU", "ksmd_cpu_share", TOP_SHARE},
    [TOP_MERGES] = {"merges/s", "merges_per_s", TOP_RATE},
};

struct parsing {
    struct top *top;
    struct matrix_error *error;
};

static struct matrix_error *set_option(struct top *top, int key, const char *value)
{
    uint64_t number;
    switch (key) {
    case 'i':
        return ksm_parse_interval(value, &top->interval_ns);
    case 'd':
        return ksm_parse_duration(value, &top->duration_ns);
    case 'n':
        RETURN_IF_ERROR(error_prefix(parse_u64(value, 0, 10000, &number), "--processes"));
        top->shown_processes = (unsigned)number;
        return NULL;
    default:
        top->json = true;
        return NULL;
    }
}

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    if (key != 'i' && key != 'd' && key != 'n' && key != 'j')
        return ARGP_ERR_UNKNOWN;
    if (!parsing->error)
        parsing->error = set_option(parsing->top, key, value);
    return 0;
}

/* --- a look -------------------------------------------------------------------------------- */

static bool number_of(const struct ksm_source *source, const char *counter, int64_t *number)
{
    const struct ksm_value *value = ksm_source_value(source, counter);
    if (!value || value->kind != KSM_NUMBER)
        return false;
    *number = value->number;
    return true;
}

static void remember(struct top_history *history, bool known, int64_t value)
{
    if (history->count == TOP_HISTORY) {
        memmove(history->values, history->values + 1,
                (TOP_HISTORY - 1) * sizeof(history->values[0]));
        history->count--;
    }
    history->known = known;
    history->values[history->count++] = known ? value : 0;
}

/* What the two rates are made of. */
struct before {
    bool known;
    uint64_t monotonic_ns;
    int64_t cpu_ns, sharing;
};

static void remember_rates(struct top *top, const struct ksm_sample *sample, struct before *before)
{
    struct before now = {.monotonic_ns = sample->monotonic_ns};
    const bool has_cpu = number_of(&sample->host, "ksmd_cpu_ns", &now.cpu_ns);
    now.known = number_of(&sample->host, "pages_sharing", &now.sharing);
    const double ns = (double)(now.monotonic_ns - before->monotonic_ns);
    const bool known = before->known && ns > 0;
    remember(&top->rows[TOP_KSMD], known && has_cpu,
             known ? (int64_t)((double)(now.cpu_ns - before->cpu_ns) / ns * 1000 + 0.5) : 0);
    remember(&top->rows[TOP_MERGES], known,
             known ? (int64_t)((double)(now.sharing - before->sharing) / ns * 1e9) : 0);
    *before = now;
}

static void remember_host(struct top *top, const struct ksm_sample *sample, struct before *before)
{
    static const char *const counters[] = {[TOP_SHARED] = "pages_shared",
                                           [TOP_SHARING] = "pages_sharing",
                                           [TOP_UNSHARED] = "pages_unshared",
                                           [TOP_VOLATILE] = "pages_volatile",
                                           [TOP_PROFIT] = "general_profit"};
    int64_t number = 0;
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        const bool known = number_of(&sample->host, counters[i], &number);
        remember(&top->rows[i], known, number);
    }
    top->run = number_of(&sample->host, "run", &number) ? number : -1;
    top->available_bytes =
        number_of(&sample->host, "memory_available_bytes", &number) ? (uint64_t)number : 0;
    for (size_t i = 0; i < sample->host.count; i++)
        top->computed = top->computed || sample->host.readings[i].counter.computed;
    remember_rates(top, sample, before);
}

static int compare_processes(const void *a, const void *b)
{
    const struct top_process *first = a, *second = b;
    if (first->profit_bytes != second->profit_bytes)
        return first->profit_bytes > second->profit_bytes ? -1 : 1;
    if (first->merging_pages != second->merging_pages)
        return first->merging_pages > second->merging_pages ? -1 : 1;
    return (first->source->pid > second->source->pid) - (first->source->pid < second->source->pid);
}

static struct matrix_error *list_processes(struct top *top, const struct ksm_sample *sample)
{
    struct top_process *processes =
        reallocarray(top->processes, sample->process_count + 1, sizeof(*processes));
    if (!processes)
        return error_host(ENOMEM, "list the processes");
    top->processes = processes;
    top->process_count = 0;
    for (size_t i = 0; i < sample->process_count; i++) {
        const struct ksm_source *source = &sample->processes[i];
        struct top_process process = {.source = source};
        if (source->ended)
            continue;
        process.has_profit = number_of(source, "ksm_process_profit", &process.profit_bytes);
        number_of(source, "ksm_merging_pages", &process.merging_pages);
        number_of(source, "resident_bytes", &process.resident_bytes);
        processes[top->process_count++] = process;
    }
    qsort(processes, top->process_count, sizeof(*processes), compare_processes);
    return NULL;
}

static void without_lines(struct termios *mode)
{
    mode->c_lflag &= ~(tcflag_t)(ICANON | ECHO);
}

/* Whether somebody has typed q. */
static bool wants_end(struct top *top)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    while (top->keys && poll(&input, 1, 0) > 0) {
        top->keys = read(STDIN_FILENO, &key, 1) == 1;
        if (top->keys && (key == 'q' || key == 'Q'))
            return true;
    }
    return false;
}

/* Until then, a signal, or q. */
static bool is_over(struct top *top, uint64_t until_ns, int *number)
{
    for (;;) {
        const uint64_t now = clock_now_ns(CLOCK_MONOTONIC), next = now + KEYS_NS;
        *number = look_wait_until(top->keys && next < until_ns ? next : until_ns);
        if (*number || wants_end(top))
            return true;
        if (clock_now_ns(CLOCK_MONOTONIC) >= until_ns)
            return false;
    }
}

/* The signal that ended it, or 0. */
static struct matrix_error *look_on(struct top *top, struct ksm_sampler *sampler, int *number)
{
    const uint64_t started = clock_now_ns(CLOCK_MONOTONIC);
    struct before before = {0};
    for (;;) {
        const struct ksm_sample *sample = ksm_sampler_take(sampler);
        top->time_s = (double)(sample->monotonic_ns - started) / 1e9;
        remember_host(top, sample, &before);
        RETURN_IF_ERROR(list_processes(top, sample));
        RETURN_IF_ERROR(top_show(top));
        const uint64_t next = look_next(started, top->interval_ns, top->duration_ns);
        if (is_over(top, next ? next : started + top->duration_ns, number) || !next)
            return NULL;
    }
}

static struct matrix_error *run(struct top *top, int *number)
{
    struct ksm_sampler *sampler;
    const struct ksm_sampler_options sampling = {.follow = KSM_FOLLOW_MERGEABLE};
    ksm_raise_file_limit();
    RETURN_IF_ERROR(ksm_sampler_open(&sampling, &sampler));
    look_block_ends();
    struct terminal terminal = {0};
    struct matrix_error *error = NULL;
    top->keys = top->live && isatty(STDIN_FILENO);
    if (top->keys)
        error = terminal_enter(&terminal, without_lines);
    if (top->live)
        fputs(SCREEN_BEGIN, stdout);
    if (!error)
        error = look_on(top, sampler, number);
    terminal_leave(&terminal);
    if (top->live) {
        fputs(SCREEN_END, stdout);
        fflush(stdout);
    }
    ksm_sampler_close(sampler);
    return error;
}

int ksm_top_main(int argc, char **argv)
{
    static struct top top = {.interval_ns = INTERVAL_DEFAULT_NS,
                             .shown_processes = PROCESSES_DEFAULT};
    static const struct argp parser = {options,
                                       parse_argument,
                                       NULL,
                                       "Shows what KSM does and what it costs, live, and the "
                                       "processes that gain and lose most by it.",
                                       NULL,
                                       NULL,
                                       NULL};
    struct parsing parsing = {.top = &top};
    int number = 0;
    argp_parse(&parser, argc, argv, 0, NULL, &parsing);
    top.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    top.live = !top.json && isatty(STDOUT_FILENO);
    top.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    struct matrix_error *error = parsing.error ? parsing.error : run(&top, &number);
    free(top.processes);
    if (error)
        return cli_fail(PROGRAM, error);
    return number ? EXIT_SIGNAL + number : EXIT_SUCCESS;
}
