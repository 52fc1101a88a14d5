// SPDX-License-Identifier: GPL-2.0-or-later
/* Boards, found; see boards.h. */
#include "cli/boards.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/common.h"
#include "control/client.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

/* Asks at one socket for the board of a core, and appends it. cores: out, how many there are. */
static struct matrix_error *append_core(const char *path, pid_t pid, unsigned core, unsigned *cores,
                                        struct cli_board **boards, size_t *count)
{
    struct cli_board *grown = realloc(*boards, (*count + 1) * sizeof(*grown));
    if (!grown)
        return error_host(ENOMEM, "list boards");
    *boards = grown;
    struct cli_board *board = &grown[*count];
    *board = (struct cli_board){.pid = pid, .core = core};
    RETURN_IF_ERROR(control_board(path, &board->pid, core, &board->cores, &board->board));
    *cores = board->cores;
    ++*count;
    return NULL;
}

/* All of a socket, or none. */
static struct matrix_error *append(const char *path, pid_t pid, struct cli_board **boards,
                                   size_t *count)
{
    const size_t before = *count;
    struct matrix_error *error = NULL;
    unsigned cores = 1;
    for (unsigned core = 0; core < cores && !error; core++)
        error = append_core(path, core ? (*boards)[before].pid : pid, core, &cores, boards, count);
    while (error && *count > before)
        matrix_board_close((*boards)[--*count].board);
    return error;
}

/* Each process once: a list of guests names its socket for each of them. */
static struct matrix_error *append_all(const struct control_vm *vms, size_t vm_count, bool strict,
                                       struct cli_board **boards, size_t *count)
{
    for (size_t i = 0; i < vm_count; i++) {
        if (i && strcmp(vms[i].path, vms[i - 1].path) == 0)
            continue;
        struct matrix_error *error = append(vms[i].path, vms[i].pid, boards, count);
        if (error && (strict || error->number == ENOMEM))
            return error;
        /* Among all there are, one may end just now, or be of another version. */
        matrix_error_free(error);
    }
    return NULL;
}

static struct matrix_error *nobody(const char *target, size_t silent)
{
    const char *remedy = silent ? "some who run guests do not answer: are they stopped (Ctrl-Z)?"
                                : "start some: `matrix cloud FILE`; other users' are for root";
    if (target && silent)
        return error_new(MATRIX_ERROR_HOST, 0, "is it stopped (Ctrl-Z)?",
                         "process %s does not answer", target);
    if (target)
        return error_new(MATRIX_ERROR_USAGE, 0, remedy, "process %s runs no guests", target);
    return error_new(MATRIX_ERROR_HOST, 0, remedy, "nobody runs guests here");
}

struct matrix_error *cli_boards_open(const char *target, struct cli_board **boards, size_t *count)
{
    CLEANUP_FREE struct control_vm *vms = NULL;
    size_t vm_count = 0, silent = 0;
    pid_t pid = 0;
    *boards = NULL;
    *count = 0;
    if (target && strchr(target, '/'))
        return append(target, 0, boards, count);
    if (target && (*target < '0' || *target > '9'))
        return error_usage("name a process by its pid, or by the path of its control socket",
                           "%s is neither a pid nor a path", target);
    if (target)
        RETURN_IF_ERROR(cli_parse_pid(target, &pid));
    RETURN_IF_ERROR(control_list(pid, &vms, &vm_count, &silent));
    RETURN_IF_ERROR(append_all(vms, vm_count, target != NULL, boards, count));
    if (!*count)
        return nobody(target, silent);
    if (silent)
        fprintf(stderr,
                "matrix: %zu of those who run guests do not answer, and are left out: are they "
                "stopped (Ctrl-Z)?\n",
                silent);
    return NULL;
}

void cli_boards_close(struct cli_board *boards, size_t count)
{
    for (size_t i = 0; i < count; i++)
        matrix_board_close(boards[i].board);
    free(boards);
}

bool cli_board_has_ended(const struct cli_board *board, const struct matrix_board_core *core)
{
    return core->ended_ns || (kill(board->pid, 0) < 0 && errno == ESRCH);
}
