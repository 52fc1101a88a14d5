// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What guests of a cloud print and read: the memory of what each printed lately, a pipe for the input of those
 * that have one, and the commands of the control socket for both. Called by cloud_guests, cloud_live and, for
 * commands, cloud_commands.
 */
#include "base/error.h"
#include "cli/cloud_commands.h"
#include "control/console.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define HISTORY_BYTES (64 << 10)

/* So much input waits for its guest at most; also what a page holds, so that a thousand guests stay within
 * what a user's pipes may come to (pipe(7), pipe-user-pages-soft). */
#define INPUT_BYTES 4096

/*
 * A new pipe for each vm, so that what one has not read is not the next one's. The end that is read keeps its
 * number: the vm that has been stopped may not have left its core yet, and must not find another file there.
 */
static struct matrix_error *renew_input(struct cloud_console *console)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_host(errno, "make a pipe for its input");
    fcntl(ends[1], F_SETPIPE_SZ, INPUT_BYTES); /* else it is larger: no harm */
    if (!console->has_input) {
        *console = (struct cloud_console){.history = console->history,
                                          .has_input = true,
                                          .input_fd = ends[0],
                                          .input_end = ends[1]};
        return NULL;
    }
    const int number = dup3(ends[0], console->input_fd, O_CLOEXEC) < 0 ? errno : 0;
    close(ends[0]);
    if (console->input_end >= 0)
        close(console->input_end);
    console->input_end = ends[1];
    return number ? error_host(number, "renew the pipe for its input") : NULL;
}

struct matrix_error *cloud_console_open(struct cloud *cloud, unsigned index)
{
    struct cloud_console *console = &cloud->guests[index].console;
    if (!console->history)
        RETURN_IF_ERROR(matrix_history_create(HISTORY_BYTES, &console->history));
    return cloud->config.guests[index].console ? renew_input(console) : NULL;
}

void cloud_console_begin(struct cloud_guest *guest)
{
    struct cloud_console *console = &guest->console;
    console->starts++;
    console->start_from = console->history ? matrix_history_end(console->history) : 0;
}

void cloud_console_close(struct cloud_guest *guest)
{
    struct cloud_console *console = &guest->console;
    if (console->has_input)
        close(console->input_fd);
    if (console->has_input && console->input_end >= 0)
        close(console->input_end);
    matrix_history_destroy(console->history);
    *console = (struct cloud_console){0};
}

/* --- commands ------------------------------------------------------------------------------------ */

static bool is_down(const struct cloud *cloud, unsigned index)
{
    const enum life_state state = cloud->lives.lives[index].state;
    return cloud->has_ended || state == LIFE_ENDED || state == LIFE_STOPPED;
}

/* The only guest, of those that are there: places of removed ones do not count. False: refused. */
static bool find_only_guest(struct control_call *call, unsigned *index)
{
    const struct cloud *cloud = call->context;
    unsigned found = 0;
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        if (!cloud->config.guests[i].removed && found++ == 0)
            *index = i;
    if (found > 1)
        control_refuse(call, "which_guest", "there are several: name one");
    else if (found == 0)
        control_refuse(call, "no_such_guest", "there is no guest");
    return found == 1;
}

/* The guest that is meant; false: refused. */
static bool find_guest(struct control_call *call, const char *name, unsigned *index)
{
    return name ? cloud_command_guest(call, name, index) : find_only_guest(call, index);
}

json_t *cloud_command_logs(struct control_call *call)
{
    const struct cloud *cloud = call->context;
    struct control_logs_request request;
    unsigned index;
    if (!control_console_read_logs(call, &request) || !find_guest(call, request.guest, &index))
        return NULL;
    const struct cloud_console *own = &cloud->guests[index].console;
    const struct control_console console = {
        .guest = cloud->config.guests[index].name,
        .state = cloud_guest_state(cloud, index),
        .history = own->history,
        .starts = own->starts,
        .start_from = own->start_from,
        .is_over = is_down(cloud, index),
        .takes_input = cloud->config.guests[index].console,
    };
    return control_console_logs(call, &console, &request);
}

/* What the pipe has room for; of up to 4096 bytes all or none (pipe(7)), so that those of several who write
 * do not mix. */
static size_t write_input(const struct cloud_console *console,
                          const struct control_input_request *request)
{
    const ssize_t written =
        request->bytes ? write(console->input_end, request->data, request->bytes) : 0;
    return written > 0 ? (size_t)written : 0;
}

json_t *cloud_command_input(struct control_call *call)
{
    struct cloud *cloud = call->context;
    struct control_input_request request;
    unsigned index;
    if (!control_console_read_input(call, &request) || !find_guest(call, request.guest, &index))
        return NULL;
    struct cloud_console *console = &cloud->guests[index].console;
    if (!cloud->config.guests[index].console)
        return control_refuse(call, "no_input", "the guest reads nothing: it has no console");
    if (is_down(cloud, index))
        return control_refuse(call, "failed", "the guest is %s", cloud_guest_state(cloud, index));
    const enum life_state state = cloud->lives.lives[index].state;
    /* Between two starts there is nobody to read it. */
    const bool is_there = console->has_input && state != LIFE_BACKOFF && state != LIFE_WAITING;
    if (is_there && console->input_end < 0)
        return control_refuse(call, "failed", "the end of its input was sent already");
    const size_t taken = is_there ? write_input(console, &request) : 0;
    const bool is_ended = is_there && request.is_last && taken == request.bytes;
    if (is_ended) {
        close(console->input_end);
        console->input_end = -1;
    }
    return json_pack("{s:s, s:s, s:I, s:b}", "guest", cloud->config.guests[index].name, "state",
                     cloud_guest_state(cloud, index), "taken", (json_int_t)taken, "eof",
                     (int)is_ended);
}
