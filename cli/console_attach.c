// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `matrix attach`: a guest's console. One loop that waits for the keyboard, for signals and for the time to ask
 * the guest again. What is printed goes through a queue that never blocks (matrix_output): a terminal that was
 * stopped must not keep us from leaving it in order.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/terminal.h"
#include "cli/common.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TYPED_MAX 4096
#define RETRY_MS  20 /* when the guest, or our reader, did not take all */

struct attach {
    const struct console_options *options;
    struct console_guest guest;
    struct console_show show;
    struct matrix_output *output;
    struct terminal terminal;
    bool is_terminal; /* standard input is one */
    bool leaves, is_at_end, is_end_sent;
    int signal_fd, signal; /* the signal that came, or 0 */
    size_t typed_bytes;
    char typed[TYPED_MAX]; /* what the guest has not taken yet */
};

/* Each key at once and as it is, Ctrl-C as well; but Enter is a newline, and lines begin on the left. */
static void change_mode(struct termios *mode)
{
    const tcflag_t output = mode->c_oflag;
    cfmakeraw(mode);
    mode->c_oflag = output;
    mode->c_iflag |= ICRNL;
}

static struct matrix_error *catch_signals(struct attach *attach)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaddset(&set, ends[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    attach->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return attach->signal_fd < 0 ? error_host(errno, "wait for signals") : NULL;
}

static struct matrix_error *begin(struct attach *attach)
{
    RETURN_IF_ERROR(console_guest_open(attach->options->guest, &attach->guest));
    if (!attach->guest.logs.takes_input)
        return error_usage(
            "give it one: `console: yes` in the cloud's file, or matrix add --console. "
            "matrix logs -f shows what it prints",
            "guest %s has no console: it reads nothing", attach->guest.vm.name);
    RETURN_IF_ERROR(console_guest_seek(&attach->guest, attach->options->lines));
    RETURN_IF_ERROR(catch_signals(attach));
    RETURN_IF_ERROR(matrix_output_create(STDOUT_FILENO, &attach->output));
    attach->is_terminal = isatty(STDIN_FILENO);
    if (!attach->is_terminal)
        return NULL;
    RETURN_IF_ERROR(terminal_enter(&attach->terminal, change_mode));
    fprintf(stderr, "%s: this is the console of ", console_program());
    cli_print_escaped(stderr, attach->guest.vm.name);
    if (attach->options->detach_key >= 0)
        fprintf(stderr, "; Ctrl-%c leaves", attach->options->detach_key + '@');
    fputc('\n', stderr);
    return NULL;
}

/* --- what is typed ----------------------------------------------------------------------------- */

/* Adds keys to what is typed, up to the one that leaves. What finds no room is lost, with a bell. */
static void take_keys(struct attach *attach, const char *keys, size_t bytes)
{
    const char *end = attach->is_terminal && attach->options->detach_key >= 0
                          ? memchr(keys, attach->options->detach_key, bytes)
                          : NULL;
    const size_t room = TYPED_MAX - attach->typed_bytes;
    attach->leaves = end;
    bytes = end ? (size_t)(end - keys) : bytes;
    if (bytes > room)
        matrix_output_write(attach->output, "\a", 1);
    bytes = bytes < room ? bytes : room;
    memcpy(attach->typed + attach->typed_bytes, keys, bytes);
    attach->typed_bytes += bytes;
    if (attach->options->echo)
        matrix_output_write(attach->output, keys, bytes);
}

static void read_keys(struct attach *attach)
{
    char keys[TYPED_MAX];
    /* Of a file or pipe no more than there is room for; of a terminal all, since the key may be there. */
    const size_t room = attach->is_terminal ? TYPED_MAX : TYPED_MAX - attach->typed_bytes;
    const ssize_t bytes = read(STDIN_FILENO, keys, room);
    if (bytes > 0)
        take_keys(attach, keys, (size_t)bytes);
    else if (bytes == 0 || (errno != EINTR && errno != EAGAIN))
        attach->is_at_end = true;
}

/* --- what is printed --------------------------------------------------------------------------- */

/* Shows what the guest has printed since, if what it printed before is shown. */
static struct matrix_error *show_news(struct attach *attach)
{
    char text[CONSOLE_SHOWN_MAX(sizeof(attach->guest.logs.data))];
    const bool is_empty = matrix_output_flush(attach->output);
    if (matrix_output_failed(attach->output))
        return error_host(matrix_output_failed(attach->output), "print what guest %s printed",
                          attach->guest.vm.name);
    if (!is_empty)
        return NULL;
    RETURN_IF_ERROR(console_guest_ask(&attach->guest));
    console_show_notes(&attach->show, &attach->guest);
    const size_t length = console_show_text(&attach->show, &attach->guest.logs, text);
    matrix_output_write(attach->output, text, length); /* it fits into an empty one */
    return NULL;
}

static bool is_over(const struct attach *attach)
{
    const struct control_logs *logs = &attach->guest.logs;
    return attach->guest.is_gone || (logs->is_over && attach->guest.next == logs->end);
}

/* One that has ended since it was asked reads nothing more, and that is no failure: an error or NULL. */
static struct matrix_error *unless_over(struct attach *attach, struct matrix_error *error)
{
    struct matrix_error *other = show_news(attach);
    attach->typed_bytes = 0;
    if (!other && !attach->guest.logs.is_over && !attach->guest.is_gone)
        return error;
    matrix_error_free(error);
    return other;
}

static struct matrix_error *send_typed(struct attach *attach)
{
    size_t taken;
    const bool passes_end =
        attach->is_at_end && attach->options->passes_eof && !attach->is_terminal;
    bool is_last = passes_end && attach->typed_bytes <= CONTROL_INPUT_MAX;
    if (attach->is_end_sent || attach->guest.is_gone || (!attach->typed_bytes && !is_last))
        return NULL;
    struct matrix_error *error =
        console_guest_input(&attach->guest, attach->typed, attach->typed_bytes, &is_last, &taken);
    if (error)
        return unless_over(attach, error);
    attach->is_end_sent = is_last;
    attach->typed_bytes -= taken;
    memmove(attach->typed, attach->typed + taken, attach->typed_bytes);
    return NULL;
}

/* --- the loop ---------------------------------------------------------------------------------- */

static int next_pause_ms(const struct attach *attach)
{
    if (attach->guest.next < attach->guest.logs.end)
        return 0;
    const unsigned pause = attach->guest.pause_ms;
    return (int)(attach->typed_bytes && pause > RETRY_MS ? RETRY_MS : pause);
}

static void wait_for_news(struct attach *attach)
{
    const bool reads =
        !attach->is_at_end && (attach->is_terminal || attach->typed_bytes < TYPED_MAX);
    struct pollfd fds[] = {{.fd = attach->signal_fd, .events = POLLIN},
                           {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN}};
    struct signalfd_siginfo info;
    if (poll(fds, 2, next_pause_ms(attach)) <= 0)
        return;
    if (read(attach->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        attach->signal = (int)info.ssi_signo;
        attach->leaves = true;
    }
    if (fds[1].revents)
        read_keys(attach);
}

static struct matrix_error *run(struct attach *attach)
{
    while (!attach->leaves) {
        RETURN_IF_ERROR(show_news(attach));
        if (is_over(attach))
            break;
        wait_for_news(attach);
        if (attach->signal)
            break;
        RETURN_IF_ERROR(send_typed(attach));
        if (attach->is_at_end && !attach->typed_bytes && !attach->is_end_sent)
            attach->leaves = attach->is_terminal || !attach->options->passes_eof;
    }
    return attach->leaves && !attach->signal ? show_news(attach) : NULL;
}

struct matrix_error *console_attach(const struct console_options *options, int *status)
{
    struct attach attach = {.options = options, .signal_fd = -1};
    attach.show.options = options;
    struct matrix_error *error = begin(&attach);
    if (!error)
        error = run(&attach);
    matrix_output_destroy(attach.output);
    terminal_leave(&attach.terminal);
    if (!error && is_over(&attach))
        console_show_end(&attach.guest);
    else if (!error && attach.is_terminal)
        fprintf(stderr, "%s: left\n", console_program());
    console_guest_close(&attach.guest);
    CLEANUP_CLOSE const int signal_fd = attach.signal_fd;
    *status = attach.signal ? EXIT_SIGNAL + attach.signal : EXIT_SUCCESS;
    return error;
}
