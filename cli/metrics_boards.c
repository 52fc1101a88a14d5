// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose figures `matrix metrics` serves. Each process is asked once, for its board; at later scrapes only the
 * names of sockets are looked at, and only newcomers are asked. See metrics.h.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/metrics.h"
#include "control/client.h"
#include "control/sockets.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>

/* Who does not answer, or shows a board that is none, is let be for so long. */
#define RETRY_NS 10000000000ULL

/* Somebody who is stopped is waited for (CONTROL_PATIENCE_NS): the rest of the newcomers then comes at the
 * next scrape, for Prometheus gives up after 10 s unless told otherwise. */
#define ASKING_NS 3000000000ULL

/* --- a process ------------------------------------------------------------------------------- */

static void forget_guests(struct metrics_process *process)
{
    for (size_t i = 0; process->labels && i < process->guest_count; i++)
        free(process->labels[i]);
    free(TAKE(process->labels));
    free(TAKE(process->guests));
    free(TAKE(process->core_labels));
    free(TAKE(process->pid_label));
    process->guest_count = 0;
    process->is_shown = false;
}

static void forget_board(struct metrics_process *process)
{
    forget_guests(process);
    matrix_board_close(TAKE(process->from.board));
    if (process->pidfd >= 0)
        close(process->pidfd);
    process->pidfd = -1;
}

static void free_process(struct metrics_process *process)
{
    forget_board(process);
    free(process->path);
}

void metrics_free(struct metrics *metrics)
{
    for (size_t i = 0; i < metrics->count; i++)
        free_process(&metrics->processes[i]);
    free(metrics->processes);
    *metrics = (struct metrics){0};
}

/* A board outlives its process, and a pid may be another's by then: a pidfd tells. */
static bool has_ended(const struct metrics_process *process)
{
    struct pollfd fd = {.fd = process->pidfd, .events = POLLIN};
    return poll(&fd, 1, 0) > 0 || cli_board_has_ended(&process->from, &process->core);
}

static void ask(struct metrics_process *process, pid_t pid, uint64_t now_ns)
{
    process->from.pid = pid;
    struct matrix_error *error =
        control_board(process->path, &process->from.pid, process->from.core, &process->from.cores,
                      &process->from.board);
    if (!error) {
        process->pidfd = (int)syscall(SYS_pidfd_open, process->from.pid, 0);
        process->is_silent = false;
        return;
    }
    /* Left behind, or gone meanwhile: nobody is there. */
    process->is_silent =
        error->number != ECONNREFUSED && error->number != ENOENT && error->number != ECONNRESET;
    process->retry_ns = process->is_silent ? now_ns + RETRY_NS : now_ns;
    matrix_error_free(error);
}

/* --- who there is ---------------------------------------------------------------------------- */

static struct metrics_process *find(struct metrics *metrics, const char *path, unsigned core,
                                    const struct stat *status)
{
    for (size_t i = 0; i < metrics->count; i++) {
        struct metrics_process *process = &metrics->processes[i];
        if (process->path && process->from.core == core && process->device == status->st_dev &&
            process->inode == status->st_ino && process->made.tv_sec == status->st_ctim.tv_sec &&
            process->made.tv_nsec == status->st_ctim.tv_nsec && strcmp(process->path, path) == 0)
            return process;
    }
    return NULL;
}

/* Moves a core that is known to the new list, or makes one. */
static struct matrix_error *take_over(struct metrics *metrics, const char *path, unsigned core,
                                      struct metrics_process *result)
{
    struct stat status;
    *result = (struct metrics_process){.pidfd = -1, .from.core = core};
    if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return NULL;
    struct metrics_process *known = find(metrics, path, core, &status);
    if (known) {
        *result = *known;
        *known = (struct metrics_process){.pidfd = -1};
        return NULL;
    }
    result->device = status.st_dev;
    result->inode = status.st_ino;
    result->made = status.st_ctim;
    result->path = strdup(path);
    return result->path ? NULL : error_host(ENOMEM, "list control sockets");
}

/* A core of the process at that socket; those that are new are asked, unless that has taken long already. */
static struct matrix_error *add_core(struct metrics *metrics, struct metrics *next,
                                     const struct control_socket *socket, unsigned core,
                                     uint64_t begun_ns)
{
    struct metrics_process *grown =
        realloc(next->processes, (next->count + 1) * sizeof(*next->processes));
    if (!grown)
        return error_host(ENOMEM, "list control sockets");
    next->processes = grown;
    struct metrics_process *process = &grown[next->count];
    RETURN_IF_ERROR(take_over(metrics, socket->path, core, process));
    if (!process->path)
        return NULL;
    next->count++;
    const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (!process->from.board && now_ns >= process->retry_ns && now_ns - begun_ns < ASKING_NS)
        ask(process, socket->pid, now_ns);
    return NULL;
}

static struct matrix_error *add_process(struct metrics *metrics, struct metrics *next,
                                        const struct control_socket *socket, uint64_t begun_ns)
{
    const size_t first = next->count;
    RETURN_IF_ERROR(add_core(metrics, next, socket, 0, begun_ns));
    /* How many others there are the first one's answer has said. */
    const unsigned cores = next->count > first ? next->processes[first].from.cores : 0;
    for (unsigned core = 1; core < cores; core++)
        RETURN_IF_ERROR(add_core(metrics, next, socket, core, begun_ns));
    return NULL;
}

/* Brings the list of processes up to date; sockets that are gone take theirs with them. */
static struct matrix_error *update(struct metrics *metrics, const struct control_socket *sockets,
                                   size_t count)
{
    struct metrics next = *metrics;
    struct matrix_error *error = NULL;
    next.count = 0;
    next.processes = NULL;
    const uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; !error && i < count; i++)
        error = add_process(metrics, &next, &sockets[i], begun_ns);
    metrics_free(metrics);
    *metrics = next;
    return error;
}

static struct matrix_error *find_processes(struct metrics *metrics)
{
    if (metrics->socket_path) {
        const struct control_socket only = {0, (char *)metrics->socket_path};
        return update(metrics, &only, 1);
    }
    struct control_socket *sockets = NULL;
    size_t count = 0;
    RETURN_IF_ERROR(control_sockets_list(metrics->pid, &sockets, &count));
    struct matrix_error *error = update(metrics, sockets, count);
    control_sockets_free(sockets, count);
    return error;
}

/* --- a look ---------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct matrix_board_guest *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

/* A guest twice would make all that is served invalid. No core writes such a board. */
static void drop_twins(struct metrics_process *process)
{
    size_t kept = 0;
    for (size_t i = 0; i < process->guest_count; i++)
        if (!kept || process->guests[i].id != process->guests[kept - 1].id)
            process->guests[kept++] = process->guests[i];
    process->guest_count = kept;
}

static struct matrix_error *read_guests(struct metrics_process *process)
{
    const size_t slots = matrix_board_slots(process->from.board);
    size_t count = 0;
    process->guests = calloc(slots + 1, sizeof(*process->guests));
    if (!process->guests)
        return error_host(ENOMEM, "look at the guests");
    for (size_t slot = 0; slot < slots; slot++) {
        struct matrix_board_guest *guest = &process->guests[count];
        RETURN_IF_ERROR(matrix_board_guest(process->from.board, slot, guest));
        count += guest->id != 0 && strcmp(guest->state, "gone") != 0;
    }
    process->guest_count = count;
    qsort(process->guests, count, sizeof(*process->guests), by_id);
    drop_twins(process);
    return NULL;
}

static struct matrix_error *write_labels(struct metrics_process *process)
{
    process->core_labels = metrics_core_labels(process);
    process->labels = calloc(process->guest_count + 1, sizeof(*process->labels));
    bool is_whole = process->core_labels && process->labels &&
                    asprintf(&process->pid_label, "pid=\"%d\"", process->from.pid) >= 0;
    for (size_t i = 0; is_whole && i < process->guest_count; i++) {
        process->labels[i] = metrics_guest_labels(process, &process->guests[i]);
        is_whole = process->labels[i] != NULL;
    }
    return is_whole ? NULL : error_host(ENOMEM, "look at the guests");
}

static struct matrix_error *look_at(struct metrics_process *process)
{
    RETURN_IF_ERROR(matrix_board_core(process->from.board, &process->core));
    if (has_ended(process))
        return NULL;
    RETURN_IF_ERROR(read_guests(process));
    RETURN_IF_ERROR(write_labels(process));
    process->seen_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (process->from.core == 0)
        process->ksm = metrics_ksm_read(process->from.pid);
    process->is_shown = true;
    return NULL;
}

/* Whether one before this is the same core of the same pid: that has two sockets, and is shown once. */
static bool is_twin(const struct metrics *metrics, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (metrics->processes[i].is_shown &&
            metrics->processes[i].from.pid == metrics->processes[index].from.pid &&
            metrics->processes[i].from.core == metrics->processes[index].from.core)
            return true;
    return false;
}

struct matrix_error *metrics_look(struct metrics *metrics)
{
    RETURN_IF_ERROR(find_processes(metrics));
    for (size_t i = 0; i < metrics->count; i++) {
        struct metrics_process *process = &metrics->processes[i];
        forget_guests(process);
        if (!process->from.board || is_twin(metrics, i))
            continue;
        struct matrix_error *error = look_at(process);
        if (!error)
            continue;
        const bool is_ours = error->number == ENOMEM;
        if (is_ours)
            return error;
        /* The others are served all the same. */
        matrix_error_free(error);
        forget_board(process);
        process->is_silent = true;
        process->retry_ns = clock_now_ns(CLOCK_MONOTONIC) + RETRY_NS;
    }
    metrics_map_look(metrics);
    return NULL;
}
