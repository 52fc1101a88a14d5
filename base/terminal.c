// SPDX-License-Identifier: GPL-2.0-or-later
/* The terminal in another mode; see terminal.h. */
#include "base/terminal.h"

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

struct matrix_error *terminal_enter(struct terminal *terminal, void (*change)(struct termios *mode))
{
    struct termios saved;
    if (tcgetattr(STDIN_FILENO, &saved))
        return error_host(errno, "ask for the terminal's mode");
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
    *terminal = (struct terminal){.guard = guard[1], .watcher = watcher};

    struct termios changed = saved;
    change(&changed);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &changed)) {
        int number = errno;
        terminal_leave(terminal);
        return error_host(number, "change the terminal's mode");
    }
    return NULL;
}

void terminal_leave(struct terminal *terminal)
{
    if (terminal->watcher <= 0)
        return;
    close(terminal->guard);
    while (waitpid(terminal->watcher, NULL, 0) < 0 && errno == EINTR)
        ;
    terminal->watcher = 0;
}
