// SPDX-License-Identifier: GPL-2.0-or-later
/* The terminal as a whole screen; see terminal.h. */
#include "cli/terminal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

/* xterm, Control Sequences: another page than the shell's (1049), no cursor, no second line of what is too wide. */
#define SCREEN_BEGIN "\033[?1049h\033[?25l\033[?7l\033[2J"
#define SCREEN_FRAME "\033[H"
#define SCREEN_END   "\033[0m\033[?7h\033[?25h\033[?1049l"

/* The rest of a key that is several bytes comes within this time, also over a slow line. */
#define KEY_NS 50000000ULL

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct {
    bool is_taken;
    struct termios before;
    int signals; /* a signalfd */
    char bytes[64];
    size_t count;
} terminal = {.signals = -1};

/* --- taken and given back ------------------------------------------------------------------- */

/* Everything in it may be done in a signal handler (signal-safety(7)). */
static void give_back(void)
{
    const ssize_t written = write(STDOUT_FILENO, SCREEN_END, sizeof(SCREEN_END) - 1);
    (void)written;
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

/* SA_RESETHAND: raised again it does what it would have done. */
static void crash(int number)
{
    give_back();
    raise(number);
}

static void take(void)
{
    struct termios raw = terminal.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ISIG stays: Ctrl-C and Ctrl-Z are signals */
    raw.c_iflag &= ~(tcflag_t)(IXON);          /* nobody stops the screen by accident */
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(SCREEN_BEGIN, stdout);
    fflush(stdout);
}

static struct matrix_error *watch_signals(void)
{
    const struct sigaction action = {.sa_handler = crash, .sa_flags = SA_RESETHAND | SA_NODEFER};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT(ends); i++)
        sigaddset(&set, ends[i]);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGWINCH);
    terminal.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (terminal.signals < 0)
        return error_host(errno, "wait for signals");
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (size_t i = 0; i < COUNT(crashes); i++)
        sigaction(crashes[i], &action, NULL);
    return NULL;
}

struct matrix_error *terminal_begin(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return error_usage("use --once or --json", "there is no terminal to show a screen on");
    if (tcgetattr(STDIN_FILENO, &terminal.before) < 0)
        return error_host(errno, "ask how the terminal is set");
    RETURN_IF_ERROR(watch_signals());
    terminal.is_taken = true;
    take();
    return NULL;
}

void terminal_end(void)
{
    if (!terminal.is_taken)
        return;
    terminal.is_taken = false;
    fflush(stdout);
    give_back();
    close(terminal.signals);
}

/* Ctrl-Z: the shell gets its terminal, and this one again when it goes on. */
static void stop(void)
{
    give_back();
    raise(SIGSTOP);
    /* Who set the terminal otherwise meanwhile wants it so when this ends. */
    tcgetattr(STDIN_FILENO, &terminal.before);
    take();
}

/* --- out ------------------------------------------------------------------------------------ */

void terminal_size(unsigned *columns, unsigned *rows)
{
    struct winsize size;
    const bool is_known =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *columns = is_known ? size.ws_col : 80;
    *rows = is_known ? size.ws_row : 24;
}

struct matrix_error *terminal_show(const struct grid *grid, bool colour)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "draw a screen");
    fputs(SCREEN_FRAME, file);
    grid_write(grid, file, colour, "\033[K\r\n", "\033[K");
    if (fclose(file) != 0)
        return error_host(ENOMEM, "draw a screen");
    /* In one piece, so that it does not flicker. */
    if (fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout))
        return error_host(errno, "write to the terminal");
    return NULL;
}

/* --- in ------------------------------------------------------------------------------------- */

static bool take_signal(enum terminal_event *event, int *value)
{
    struct signalfd_siginfo info;
    if (read(terminal.signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    *value = (int)info.ssi_signo;
    *event = TERMINAL_SIGNAL;
    if (*value == SIGTSTP)
        stop();
    if (*value == SIGTSTP || *value == SIGWINCH)
        *event = TERMINAL_REDRAW;
    return true;
}

static void drop(size_t bytes)
{
    terminal.count -= bytes;
    memmove(terminal.bytes, terminal.bytes + bytes, terminal.count);
}

/* A key of the bytes that have come. is_all: no more of it will. */
static bool take_key(bool is_all, int *value)
{
    size_t bytes = keys_decode(terminal.bytes, terminal.count, value);
    if (bytes == 0 && (terminal.count == 0 || (!is_all && terminal.count < sizeof(terminal.bytes))))
        return false;
    if (bytes == 0) {
        *value = (unsigned char)terminal.bytes[0];
        bytes = 1;
    }
    drop(bytes);
    return true;
}

/* Whether there were any. A terminal that is gone ends in a signal, or is read as ended: then that. */
static bool read_keys(const struct pollfd *fd)
{
    const ssize_t got = read(STDIN_FILENO, terminal.bytes + terminal.count,
                             sizeof(terminal.bytes) - terminal.count);
    if (got > 0)
        terminal.count += (size_t)got;
    return got > 0 || !(fd->revents & (POLLHUP | POLLERR));
}

enum terminal_event terminal_wait(uint64_t until_ns, int *value)
{
    enum terminal_event event;
    for (bool is_all = false;;) {
        if (take_key(is_all, value))
            return TERMINAL_KEY;
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = terminal.signals, .events = POLLIN}};
        const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        if (terminal.count)
            left_ns = KEY_NS;
        const struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000),
                                      .tv_nsec = (long)(left_ns % 1000000000)};
        const int ready = ppoll(fds, COUNT(fds), &left, NULL);
        if (ready > 0 && fds[1].revents && take_signal(&event, value))
            return event;
        *value = SIGHUP;
        if (ready > 0 && fds[0].revents && !read_keys(&fds[0]))
            return TERMINAL_SIGNAL;
        is_all = ready == 0 && terminal.count;
        if (ready == 0 && terminal.count == 0)
            return TERMINAL_TIME;
    }
}
