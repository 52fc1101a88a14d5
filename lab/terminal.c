// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's terminal in raw mode for `matrix lab shell`, and back again whatever happens.
 * Called by lab/lab.c.
 */
#include "lab/internal.h"

#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Even SIGKILL must not leave a raw terminal behind: the watcher sees the pipe close. */
static void watch(int guard, const struct termios *saved)
{
    sigset_t all;
    sigfillset(&all); /* SIGTTOU as well: we are in the background by then */
    sigprocmask(SIG_BLOCK, &all, NULL);
    char byte;
    while (read(guard, &byte, 1) < 0 && errno == EINTR)
        ;
    tcsetattr(STDIN_FILENO, TCSADRAIN, saved);
    _exit(0);
}

struct matrix_error *lab_terminal_enter(struct lab_terminal *terminal)
{
    struct termios saved;
    if (tcgetattr(STDIN_FILENO, &saved))
        return error_new(MATRIX_ERROR_USAGE, 0, "for a command without a terminal: matrix lab run",
                         "the lab's shell needs a terminal on standard input");
    int guard[2];
    if (pipe2(guard, O_CLOEXEC))
        return error_host(errno, "make a pipe for the terminal's watcher");

    pid_t watcher = fork();
    if (watcher == 0) {
        close(guard[1]);
        watch(guard[0], &saved);
    }
    close(guard[0]);
    if (watcher < 0) {
        close(guard[1]);
        return error_host(errno, "start the terminal's watcher");
    }
    *terminal = (struct lab_terminal){.guard = guard[1], .watcher = watcher};

    struct termios raw = saved;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)) {
        int number = errno;
        lab_terminal_leave(terminal);
        return error_host(number, "put the terminal into raw mode");
    }
    return NULL;
}

void lab_terminal_leave(struct lab_terminal *terminal)
{
    if (terminal->watcher <= 0)
        return;
    close(terminal->guard);
    while (waitpid(terminal->watcher, NULL, 0) < 0 && errno == EINTR)
        ;
    terminal->watcher = 0;
}
