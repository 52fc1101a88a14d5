// SPDX-License-Identifier: GPL-2.0-or-later
/* The barracks: forks soldiers for the control station; see barracks.h. */
#include "examples/barracks.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct pipes {
    int gate[2]; /* the station writes a byte for each soldier */
    int roll[2]; /* the barracks writes the pid of each soldier, or minus an errno */
    char soldier[PATH_MAX];
};

/* The program beside this one. */
static struct matrix_error *find_soldier(char path[PATH_MAX])
{
    static const char name[] = "soldier";
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(name));
    if (length < 0)
        return error_host(errno, "read /proc/self/exe");
    path[length] = '\0';
    memcpy(strrchr(path, '/') + 1, name, sizeof(name)); /* an absolute path, with room left above */
    return access(path, X_OK) ? error_host(errno, "find the program %s", path) : NULL;
}

/* --- in the soldier -------------------------------------------------------------------------- */

static void soldier_run(const struct pipes *pipes, const struct order *order)
{
    char life[32], end[32], byte;
    close(pipes->roll[1]);
    if (read(pipes->gate[0], &byte, 1) != 1)
        _exit(EXIT_SUCCESS); /* the station is gone */
    snprintf(life, sizeof(life), "--life=%" PRIu64 "ns", order->life_ns);
    if (order->signal)
        snprintf(end, sizeof(end), "--signal=%s", sigabbrev_np(order->signal));
    else
        snprintf(end, sizeof(end), "--status=%d", order->status);
    execl(pipes->soldier, "soldier", life, end, NULL);
    _exit(127); /* as a shell does */
}

/* --- in the barracks ------------------------------------------------------------------------- */

/* Waits as every parent does, until there is nobody left to wait for. */
static int wait_for_soldiers(void)
{
    int lost = 0;
    while (wait(NULL) > 0)
        lost++;
    printf("barracks: wait() ended with %s: %s\n", strerrorname_np(errno), strerror(errno));
    fflush(stdout);
    return lost ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void barracks_run(struct pipes *pipes, const struct order *orders, size_t count)
{
    close(pipes->gate[1]); /* else the soldiers would never see that the station is gone */
    close(pipes->roll[0]);
    for (size_t i = 0; i < count; i++) {
        const pid_t pid = fork();
        if (pid == 0)
            soldier_run(pipes, &orders[i]);
        const int told = pid < 0 ? -errno : pid;
        if (write(pipes->roll[1], &told, sizeof(told)) != sizeof(told) || pid < 0)
            _exit(EXIT_FAILURE);
    }
    close(pipes->roll[1]);
    _exit(wait_for_soldiers());
}

/* --- in the station -------------------------------------------------------------------------- */

static struct matrix_error *call_the_roll(int roll, struct order *orders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int told;
        const ssize_t bytes = read(roll, &told, sizeof(told));
        if (bytes != sizeof(told)) /* of a pipe, so small a piece comes whole or not at all */
            return error_host(bytes < 0 ? errno : 0, "hear from the barracks");
        if (told < 0)
            return error_new(MATRIX_ERROR_HOST, -told, "take fewer soldiers, or `ulimit -u`",
                             "fork soldier %zu of %zu", i + 1, count);
        orders[i].pid = told;
    }
    return NULL;
}

struct matrix_error *barracks_start(struct order *orders, size_t count, struct barracks *barracks)
{
    struct pipes pipes;
    RETURN_IF_ERROR(find_soldier(pipes.soldier));
    if (pipe2(pipes.gate, O_CLOEXEC))
        return error_host(errno, "make a pipe");
    barracks->gate = pipes.gate[1];
    CLEANUP_CLOSE int gate = pipes.gate[0];
    if (pipe2(pipes.roll, O_CLOEXEC))
        return error_host(errno, "make a pipe");
    CLEANUP_CLOSE int roll = pipes.roll[0];
    fflush(NULL); /* else both would print what is there */
    barracks->pid = fork();
    if (barracks->pid == 0)
        barracks_run(&pipes, orders, count);
    const int failure = errno;
    close(pipes.roll[1]);
    if (barracks->pid < 0)
        return error_host(failure, "fork the barracks");
    return call_the_roll(roll, orders, count);
}

struct matrix_error *barracks_open_gate(const struct barracks *barracks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (write(barracks->gate, "g", 1) != 1)
            return error_host(errno, "open the gate");
    return NULL;
}
