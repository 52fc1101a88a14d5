// SPDX-License-Identifier: GPL-2.0-or-later
/* Watches over a process group; see guardian.h. */
#include "ksm/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The guardian itself. It blocks what the group is sent. It keeps no file: a lock, or what somebody reads to
 * the end, must not outlast who started it.
 */
static _Noreturn void guard(unsigned fd, pid_t home)
{
    char byte;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "matrix-guardian");
    if (fd > 0)
        close_range(0, fd - 1, 0);
    close_range(fd + 1, ~0U, 0);
    while (read((int)fd, &byte, 1) < 0 && errno == EINTR)
        ;
    if (getpgrp() != home)
        kill(0, SIGKILL);
    _exit(EXIT_SUCCESS);
}

int guardian_start(struct guardian *guardian)
{
    int ends[2];
    *guardian = (struct guardian){.alive_fd = -1};
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    const pid_t home = getpgrp();
    const pid_t pid = fork();
    if (pid == 0)
        guard((unsigned)ends[0], home);
    const int number = pid < 0 ? errno : 0;
    close(ends[0]);
    if (number) {
        close(ends[1]);
        return number;
    }
    *guardian = (struct guardian){.pid = pid, .alive_fd = ends[1]};
    return 0;
}

int guardian_join(const struct guardian *guardian, pid_t group)
{
    return setpgid(guardian->pid, group) ? errno : 0;
}

void guardian_end(struct guardian *guardian)
{
    if (guardian->alive_fd >= 0)
        close(guardian->alive_fd);
    if (guardian->pid > 0)
        while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    *guardian = (struct guardian){.alive_fd = -1};
}
