// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose boards `matrix top` looks at. They are asked for once, and again only when other control sockets are there
 * than before; at other looks nobody notices anything. See top.h.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/top.h"
#include "control/sockets.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* FNV-1a, to tell sets of sockets apart: a socket that was made anew under its name is another. */
static uint64_t mix(uint64_t sum, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ ((const unsigned char *)data)[i]) * 0x100000001b3ULL;
    return sum;
}

static struct matrix_error *sum_up(const struct top_source *source, uint64_t *sum)
{
    struct control_socket *sockets = NULL;
    size_t count = 0;
    struct stat status;
    pid_t pid = 0;
    *sum = 1;
    /* Who names one wants that one, and no other in its place. */
    if (source->target)
        return NULL;
    RETURN_IF_ERROR(control_sockets_list(pid, &sockets, &count));
    *sum = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < count; i++) {
        if (lstat(sockets[i].path, &status) < 0)
            continue;
        *sum = mix(*sum, sockets[i].path, strlen(sockets[i].path));
        *sum = mix(*sum, &status.st_ino, sizeof(status.st_ino));
        *sum = mix(*sum, &status.st_ctim, sizeof(status.st_ctim));
    }
    control_sockets_free(sockets, count);
    return NULL;
}

/* The n-th core of its process. */
static size_t ordinal(const struct status *status, size_t index)
{
    size_t count = 0;
    for (size_t i = 0; i < index; i++)
        count += status->cores[i].from.pid == status->cores[index].from.pid;
    return count;
}

/* What was seen of a core that is there still is what the next look is compared with. */
static void keep_looks(struct status *old, struct status *now)
{
    for (size_t i = 0; i < now->count; i++)
        for (size_t j = 0; j < old->count; j++) {
            struct status_core *from = &old->cores[j], *to = &now->cores[i];
            if (from->from.pid != to->from.pid || ordinal(old, j) != ordinal(now, i) ||
                !from->guests)
                continue;
            to->guests = TAKE(from->guests);
            to->guest_count = from->guest_count;
            to->core = from->core;
        }
}

static struct matrix_error *open_boards(struct top_source *source, struct status *status)
{
    struct cli_board *boards = NULL;
    struct status now = {0};
    size_t count = 0;
    struct matrix_error *error = cli_boards_open(source->target, &boards, &count);
    if (error) {
        cli_boards_close(boards, count);
        return error;
    }
    RETURN_IF_ERROR(status_take(&now, boards, count));
    keep_looks(status, &now);
    status_free(status);
    *status = now;
    return NULL;
}

/* Without the one at an index, whose board is none. */
static void forget(struct status *status, size_t index)
{
    struct status_core *core = &status->cores[index];
    free(core->guests);
    free(core->before);
    matrix_board_close(core->from.board);
    memmove(core, core + 1, (status->count - index - 1) * sizeof(*core));
    status->count--;
}

static struct matrix_error *find_boards(struct top_source *source, struct status *status,
                                        struct matrix_error **complaint)
{
    uint64_t sum;
    RETURN_IF_ERROR(sum_up(source, &sum));
    if (sum == source->seen)
        return NULL;
    const bool is_first = source->seen == 0;
    source->seen = sum;
    struct matrix_error *error = open_boards(source, status);
    if (!error || is_first || error->number == ENOMEM)
        return error;
    /* The last one has ended: others may come. */
    status_free(status);
    *complaint = error;
    return NULL;
}

struct matrix_error *top_look(struct top_source *source, struct status *status,
                              struct matrix_error **complaint)
{
    *complaint = NULL;
    RETURN_IF_ERROR(find_boards(source, status, complaint));
    for (size_t i = 0; i < status->count;) {
        struct matrix_error *error = status_look_at(&status->cores[i]);
        if (!error) {
            i++;
            continue;
        }
        error = error_prefix(error, "process %d", status->cores[i].from.pid);
        if (error->number == ENOMEM || source->target)
            return error;
        /* One that lies does not hide the others. */
        forget(status, i);
        matrix_error_free(*complaint);
        *complaint = error;
    }
    return NULL;
}
