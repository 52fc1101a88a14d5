// SPDX-License-Identifier: GPL-2.0-or-later
/* Starts programs; see child.h. */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: becomes the program. Returns the errno of what failed. */
static int become(const struct child *child, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (child->dies_with_us) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1); /* it died before the line above */
    }
    if (child->input_fd >= 0)
        dup2(child->input_fd, STDIN_FILENO);
    if (child->output_fd >= 0) {
        dup2(child->output_fd, STDOUT_FILENO);
        dup2(child->output_fd, STDERR_FILENO);
    }
    const int number = child->prepare ? child->prepare(child->context) : 0;
    if (number)
        return number;
    if (!child->argv[0])
        return EINVAL;
    execvp(child->argv[0], (char *const *)child->argv);
    return errno;
}

int child_start(const struct child *child, pid_t *pid)
{
    int failure[2], number = 0;
    *pid = 0;
    if (pipe2(failure, O_CLOEXEC))
        return errno;
    const pid_t parent = getpid();
    const pid_t made = fork();
    if (made == 0) {
        number = become(child, parent);
        (void)!write(failure[1], &number, sizeof(number));
        _exit(127);
    }
    if (made < 0)
        number = errno;
    close(failure[1]);
    if (made > 0 && TEMP_FAILURE_RETRY(read(failure[0], &number, sizeof(number))) > 0)
        TEMP_FAILURE_RETRY(waitpid(made, NULL, 0));
    close(failure[0]);
    if (number == 0)
        *pid = made;
    return number;
}
