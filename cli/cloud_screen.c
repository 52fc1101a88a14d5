// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What `matrix cloud` shows while it runs: on a terminal a table that is redrawn in place, below
 * what the guests print; elsewhere a line a second on standard error.
 */
#include "base/parse.h"
#include "cli/cloud.h"
#include <inttypes.h>
#include <langinfo.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_CELLS 24

#define ERASE_BELOW "\033[J"
#define CURSOR_HIDE "\033[?25l"
#define CURSOR_SHOW "\033[?25h"
/* Lines that are too long for the terminal are cut there: wrapped, they could not be drawn over. */
#define WRAP_OFF "\033[?7l"
#define WRAP_ON  "\033[?7h"

/* What guests printed, at most, in one frame; and guests in a line of progress. */
#define FRAME_TEXT_MAX  (32 << 10)
#define PROGRESS_GUESTS 8

/* Lines of the table beside the guests'. */
#define FRAME_LINES 8

/* A bar of the share, with a mark where the contract is. */
static void draw_bar(const struct cloud *cloud, double share, double promised)
{
    const bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const int filled = (int)(share * BAR_CELLS + 0.5), mark = (int)(promised * BAR_CELLS + 0.5) - 1;
    for (int cell = 0; cell < BAR_CELLS; cell++)
        fputs(cell == mark    ? (utf8 ? "▐" : "|")
              : cell < filled ? (utf8 ? "█" : "#")
                              : (utf8 ? "·" : "."),
              cloud->frame);
}

/* Every line ends by clearing what an older, longer one left. */
static void line(struct cloud *cloud, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(cloud->frame, format, arguments);
    va_end(arguments);
    fputs("\033[K\n", cloud->frame);
    cloud->screen_lines++;
}

/* Moves to where the table begins. */
static void go_up(struct cloud *cloud)
{
    if (cloud->screen_lines)
        fprintf(cloud->frame, "\033[%uA\r", cloud->screen_lines);
    cloud->screen_lines = 0;
}

/* What guests have printed takes the table's place; the table moves down. */
static void pass_output_on(struct cloud *cloud)
{
    char text[4096];
    ssize_t bytes;
    size_t passed = 0;
    fputs(ERASE_BELOW, cloud->frame);
    do {
        /* What waits in front of the pipe follows when there is room. */
        matrix_output_flush(cloud->output);
        bytes = read(cloud->screen_pipe[0], text, sizeof(text));
        if (bytes > 0)
            fwrite(text, 1, (size_t)bytes, cloud->frame);
        passed += bytes > 0 ? (size_t)bytes : 0;
    } while (bytes > 0 && passed < FRAME_TEXT_MAX);
}

/*
 * A frame is made in memory and handed over whole: it does not flicker, and a terminal that has been
 * stopped (Ctrl-S) does not stop the guests. False while the last one has not been taken.
 */
static bool frame_begin(struct cloud *cloud)
{
    if (!matrix_output_flush(cloud->terminal))
        return false;
    cloud->frame = open_memstream(&cloud->frame_text, &cloud->frame_bytes);
    return cloud->frame != NULL;
}

static void frame_end(struct cloud *cloud)
{
    if (fclose(cloud->frame) == 0)
        matrix_output_write(cloud->terminal, cloud->frame_text, cloud->frame_bytes);
    free(cloud->frame_text);
    cloud->frame = NULL;
}

/* What guests had on its core since the last frame. */
static uint64_t cpu_around(const struct cloud *cloud, unsigned index)
{
    struct matrix_machine_guest guest;
    struct matrix_machine_core core;
    if (!cloud_guest_on_machine(cloud, index, &guest) ||
        !matrix_machine_core(cloud->machine, guest.core, &core))
        return 0;
    return core.loop.guests_cpu_ns - cloud->seen_cpu_ns[guest.core];
}

static void see_cores(struct cloud *cloud)
{
    struct matrix_machine_core core;
    for (unsigned k = 0; matrix_machine_core(cloud->machine, k, &core); k++)
        cloud->seen_cpu_ns[k] = core.loop.guests_cpu_ns;
}

static void draw_guest(struct cloud *cloud, unsigned index, double seconds)
{
    struct cloud_guest *seen = &cloud->guests[index];
    struct matrix_core_guest contract;
    struct matrix_vm_info info;
    char work[FORMAT_BYTES];
    const uint64_t all_cpu_ns = cpu_around(cloud, index);
    cloud_guest_look(cloud, index, &contract, &info);

    const double promised = seen->promised;
    const double share =
        all_cpu_ns ? (double)(contract.cpu_ns - seen->seen_cpu_ns) / (double)all_cpu_ns : 0;
    double exits_per_s[MATRIX_EXIT_KIND_COUNT];
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        exits_per_s[kind] = (double)(info.exits[kind] - seen->seen_exits[kind]) / seconds;
    seen->seen_cpu_ns = contract.cpu_ns;
    memcpy(seen->seen_exits, info.exits, sizeof(info.exits));

    fprintf(cloud->frame, "  %-12.12s %6.2f %%  ", info.name, 100 * promised);
    draw_bar(cloud, share, promised);
    char in_all[16] = "-"; /* it never had company */
    if (!isnan(contract.given))
        snprintf(in_all, sizeof(in_all), "%.3f %%", 100 * contract.given);
    line(cloud, " %6.2f %%  %9s  %-8s  %14s  %8.0f  %8.0f", 100 * share, in_all, contract.state,
         format_count(work, info.work), exits_per_s[MATRIX_EXIT_KIND_HYPERCALL],
         exits_per_s[MATRIX_EXIT_KIND_INTERRUPTED]);
}

/* As many guests as the terminal has lines for. */
static unsigned guests_shown(const struct cloud *cloud)
{
    struct winsize size;
    const unsigned guests = cloud->config.guest_count;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
        return guests;
    const unsigned room = size.ws_row > FRAME_LINES ? size.ws_row - FRAME_LINES : 1;
    return guests < room ? guests : room;
}

void cloud_screen_draw(struct cloud *cloud)
{
    if (!frame_begin(cloud))
        return;
    struct matrix_core_statistics loop;
    char wall[FORMAT_BYTES], slice[FORMAT_BYTES], worst[FORMAT_BYTES], median[FORMAT_BYTES];
    char core[32];
    cloud_cores_sum(cloud, &loop);
    const double seconds = (double)(loop.wall_ns - cloud->seen_ns + 1) / 1e9;
    cloud->seen_ns = loop.wall_ns;

    if (!cloud->cursor_hidden)
        fputs(CURSOR_HIDE, cloud->frame);
    cloud->cursor_hidden = true;
    go_up(cloud);
    pass_output_on(cloud);
    fputs(WRAP_OFF, cloud->frame);
    line(cloud, "%s", "");
    if (cloud->cores > 1)
        snprintf(core, sizeof(core), "%u cores", cloud->cores);
    else if (cloud->cpus[0] < 0)
        snprintf(core, sizeof(core), "core any");
    else
        snprintf(core, sizeof(core), "core %d", cloud->cpus[0]);
    line(cloud, "  matrix cloud   %s   %s   slice %s", format_duration(wall, loop.wall_ns), core,
         format_duration(slice, cloud->slice_ns));
    line(cloud, "%s", "");
    line(cloud, "  %-12s %8s  %-*s %8s  %9s  %-8s  %14s  %8s  %8s", "guest", "contract", BAR_CELLS,
         "share of the core", "now", "in all", "state", "work", "io/s", "timer/s");
    const unsigned shown = guests_shown(cloud);
    unsigned drawn = 0, more = 0;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        if (cloud->config.guests[i].removed)
            continue;
        if (drawn++ < shown)
            draw_guest(cloud, i, seconds);
        else
            more++;
    }
    see_cores(cloud);
    if (more)
        line(cloud, "  ... and %u more", more);
    line(cloud, "%s", "");
    line(cloud,
         "  loop %.2f %% of the time   %" PRIu64 " switches   switch delay: median %s, worst %s",
         100.0 * (double)loop.overhead_ns / (double)(loop.guests_cpu_ns + loop.overhead_ns + 1),
         loop.switches, format_duration(median, loop.delay_median_ns),
         format_duration(worst, loop.delay_worst_ns));
    fputs(WRAP_ON, cloud->frame);
    frame_end(cloud);
}

void cloud_screen_end(struct cloud *cloud)
{
    if (!cloud->cursor_hidden || !frame_begin(cloud))
        return;
    go_up(cloud);
    pass_output_on(cloud);
    fputs(CURSOR_SHOW, cloud->frame);
    cloud->cursor_hidden = false;
    frame_end(cloud);
}

void cloud_progress_print(struct cloud *cloud)
{
    unsigned shown = 0, more = 0;
    struct matrix_core_statistics loop;
    if (!frame_begin(cloud))
        return;
    cloud_cores_sum(cloud, &loop);
    fprintf(cloud->frame, "%6.1f s", (double)loop.wall_ns / 1e9);
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct matrix_core_guest contract;
        struct matrix_vm_info info;
        char work[FORMAT_BYTES];
        if (cloud->config.guests[i].removed)
            continue;
        if (shown == PROGRESS_GUESTS) {
            more++;
            continue;
        }
        cloud_guest_look(cloud, i, &contract, &info);
        fprintf(cloud->frame, "%s %s %.3f %% work %s (%s)", shown++ ? "," : " ", info.name,
                loop.guests_cpu_ns ? 100 * (double)contract.cpu_ns / (double)loop.guests_cpu_ns
                                   : 0.0,
                format_count(work, info.work), contract.state);
    }
    if (more)
        fprintf(cloud->frame, ", and %u more", more);
    fputc('\n', cloud->frame);
    frame_end(cloud);
}
