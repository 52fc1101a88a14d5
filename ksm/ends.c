// SPDX-License-Identifier: GPL-2.0-or-later
/* Which processes have ended; see ends.h. */
#include "ksm/ends.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int ksm_ends_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

int ksm_ends_watch(int ends, pid_t pid)
{
    /* By number: glibc has no function for it before 2.36. exec closes it without being asked. */
    const int process = ends < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = process};
    if (process < 0 || epoll_ctl(ends, EPOLL_CTL_ADD, process, &event) == 0)
        return process;
    close(process);
    return -1;
}

void ksm_ends_forget(int ends, int process)
{
    if (process < 0)
        return;
    /* Closed alone it would stay where a child that has not called exec yet holds it, too. */
    epoll_ctl(ends, EPOLL_CTL_DEL, process, NULL);
    close(process);
}

int ksm_ends_next(int ends)
{
    struct epoll_event event;
    return ends >= 0 && epoll_wait(ends, &event, 1, 0) == 1 ? event.data.fd : -1;
}
