// SPDX-License-Identifier: GPL-2.0-or-later
/* Starts, asks and ends the VMs of an experiment; see experiment_vm.h. */
#include "ksm/experiment_vm.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "ksm/merge_all.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <matrix/lens.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SET_MEMORY_MERGE /* Linux 6.4 */
#define PR_SET_MEMORY_MERGE 67
#endif

/* Of the log no more than this is looked through at once; no text that is looked for is as long. */
#define LOG_PIECE (1U << 20)

/* --- starting -------------------------------------------------------------------------------- */

/* In the child, whose group is what is signalled later. */
static int prepare(const void *merge_all)
{
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    return *(const bool *)merge_all && prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) ? errno : 0;
}

static const char *start_remedy(bool merge_all, int number)
{
    if (number == EINVAL && merge_all)
        return "`merge: all` needs a kernel with CONFIG_KSM";
    return number == ENOENT ? "give it a path, or install it" : NULL;
}

static struct matrix_error *start_program(const char *const *argv, int input_fd, int log_fd,
                                          bool merge_all, pid_t *pid)
{
    const struct child child = {.argv = argv,
                                .input_fd = input_fd,
                                .output_fd = log_fd,
                                .dies_with_us = true,
                                .prepare = prepare,
                                .context = &merge_all};
    if (merge_all)
        RETURN_IF_ERROR(merge_all_check());
    const int number = child_start(&child, pid);
    if (number == 0)
        return NULL;
    return error_new(MATRIX_ERROR_HOST, number, start_remedy(merge_all, number), "start %s",
                     argv[0]);
}

static struct matrix_error *open_log(const char *directory, const char *name, int flags,
                                     char **path, int *fd)
{
    if (asprintf(path, "%s/%s.log", directory, name) < 0) {
        *path = NULL;
        return error_host(ENOMEM, "name the log of %s", name);
    }
    *fd = open(*path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0644);
    return *fd < 0 ? error_host(errno, "write the log %s", *path) : NULL;
}

/* `matrix`, in a build tree or where it is installed: this very program's. */
static const char *find_matrix(char path[PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof("matrix"));
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        memcpy(slash + 1, "matrix", sizeof("matrix"));
    return slash && access(path, X_OK) == 0 ? path : "matrix";
}

#define GUEST_WORDS 9

/* What is executed: a guest by `matrix run`, a command as it is, but `matrix` is our own. */
static const char **compose(const struct experiment_start *start, char path[PATH_MAX],
                            char memory[32])
{
    size_t words = 0, at = 0;
    while (start->argv[words])
        words++;
    const char **argv = calloc(words + GUEST_WORDS + 1, sizeof(*argv));
    if (!argv)
        return NULL;
    if (start->is_guest) {
        static const char *const fixed[] = {"run", "--mergeable", "--small-pages", "--name"};
        argv[at++] = find_matrix(path);
        for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
            argv[at++] = fixed[i];
        argv[at++] = start->name;
        if (start->memory_bytes) {
            snprintf(memory, 32, "%" PRIu64, start->memory_bytes);
            argv[at++] = "--memory";
            argv[at++] = memory;
        }
    }
    for (size_t i = 0; i < words; i++)
        argv[at++] = start->argv[i];
    if (!start->is_guest && words && strcmp(argv[0], "matrix") == 0)
        argv[0] = find_matrix(path);
    return argv;
}

/* The guardian is there before, so that as little as may be runs without one. */
static struct matrix_error *start_guarded(const char *const *argv, int input_fd, int log_fd,
                                          bool merge_all, struct experiment_vm *vm)
{
    int number = guardian_start(&vm->guardian);
    if (number)
        return error_host(number, "start a guardian");
    RETURN_IF_ERROR(start_program(argv, input_fd, log_fd, merge_all, &vm->pid));
    vm->running = true;
    number = guardian_join(&vm->guardian, vm->pid);
    return number ? error_host(number, "watch over process group %d", (int)vm->pid) : NULL;
}

struct matrix_error *experiment_vm_start(const struct experiment_start *start,
                                         const char *directory, struct experiment_vm *vm)
{
    char path[PATH_MAX], memory[32];
    int input[2];
    *vm = (struct experiment_vm){.name = start->name, .guardian = {.alive_fd = -1}, .input_fd = -1};
    CLEANUP_FREE const char **argv = compose(start, path, memory);
    if (!argv)
        return error_host(ENOMEM, "start %s", start->name);
    CLEANUP_CLOSE int log_fd = -1;
    struct matrix_error *error = open_log(directory, start->name, O_TRUNC, &vm->log_path, &log_fd);
    if (!error && pipe2(input, O_CLOEXEC))
        error = error_host(errno, "make a pipe for %s", start->name);
    if (!error) {
        error = start_guarded(argv, input[0], log_fd, start->merge_all, vm);
        close(input[0]);
        vm->input_fd = input[1];
        fcntl(vm->input_fd, F_SETFL, O_NONBLOCK);
    }
    if (error)
        experiment_vm_end(vm);
    return error_prefix(error, "VM %s", start->name);
}

struct matrix_error *experiment_command_start(const char *const *argv, const char *directory,
                                              pid_t *pid)
{
    char path[PATH_MAX], memory[32];
    const struct experiment_start start = {.argv = (const char **)argv};
    CLEANUP_FREE char *log_path = NULL;
    CLEANUP_FREE const char **composed = compose(&start, path, memory);
    if (!composed)
        return error_host(ENOMEM, "start %s", argv[0]);
    CLEANUP_CLOSE int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CLEANUP_CLOSE int log_fd = -1;
    RETURN_IF_ERROR(open_log(directory, "run", 0, &log_path, &log_fd));
    return start_program(composed, nothing, log_fd, false, pid);
}

/* --- ending ---------------------------------------------------------------------------------- */

void experiment_vm_signal(const struct experiment_vm *vm, int signal)
{
    /* Also where the process itself has ended: the number is the group's as long as it has its guardian. */
    if (vm->pid > 0 && vm->guardian.pid > 0)
        kill(-vm->pid, signal);
}

void experiment_vm_end(struct experiment_vm *vm)
{
    experiment_vm_signal(vm, SIGKILL);
    /* It, its guardian, and those of the group that we have inherited. */
    if (vm->pid > 0 && vm->guardian.pid > 0)
        while (waitpid(-vm->pid, NULL, 0) > 0 || errno == EINTR)
            ;
    guardian_end(&vm->guardian);
    vm->running = false;
    if (vm->input_fd >= 0)
        close(vm->input_fd);
    vm->input_fd = -1;
    free(vm->log_path);
    vm->log_path = NULL;
}

/* --- talking --------------------------------------------------------------------------------- */

struct matrix_error *experiment_vm_tell(const struct experiment_vm *vm, const char *text)
{
    CLEANUP_FREE char *line = NULL;
    const int length = asprintf(&line, "%s\n", text);
    if (length < 0) {
        line = NULL;
        return error_host(ENOMEM, "tell %s something", vm->name);
    }
    const ssize_t written = write(vm->input_fd, line, (size_t)length);
    if (written == length)
        return NULL;
    return error_host(written < 0 ? errno : EAGAIN, "tell %s something: it does not read",
                      vm->name);
}

struct matrix_error *experiment_vm_says(struct experiment_vm *vm, const char *text, bool *found,
                                        bool *more)
{
    const size_t wanted = strlen(text);
    *found = *more = false;
    CLEANUP_FREE char *piece = malloc(LOG_PIECE);
    CLEANUP_CLOSE int fd = open(vm->log_path, O_RDONLY | O_CLOEXEC);
    if (!piece || fd < 0)
        return error_host(piece ? errno : ENOMEM, "read the log %s", vm->log_path);
    const ssize_t bytes = pread(fd, piece, LOG_PIECE, (off_t)vm->log_offset);
    if (bytes < 0)
        return error_host(errno, "read the log %s", vm->log_path);
    const char *at = memmem(piece, (size_t)bytes, text, wanted);
    *found = at;
    *more = bytes == LOG_PIECE;
    if (at) /* the next wait begins behind it */
        vm->log_offset += (uint64_t)(at - piece) + wanted;
    else if ((size_t)bytes >= wanted) /* its beginning may be at the end */
        vm->log_offset += (size_t)bytes - wanted + 1;
    return NULL;
}

/* --- its processes --------------------------------------------------------------------------- */

static bool contains(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

struct matrix_error *experiment_vm_pids(const struct experiment_vm *vm, pid_t **pids, size_t *count)
{
    struct matrix_lens *lens;
    struct matrix_task_list list;
    *count = 0;
    *pids = NULL;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_PROC, &lens));
    struct matrix_error *error = matrix_lens_processes(lens, &list);
    matrix_lens_close(lens);
    if (error)
        return error;
    *pids = calloc(list.count + 1, sizeof(**pids));
    if (*pids) {
        (*pids)[(*count)++] = vm->pid;
        /* A child may stand before its parent: until no more are found. */
        for (size_t before = 0; before != *count;) {
            before = *count;
            for (size_t i = 0; i < list.count; i++)
                if (contains(*pids, *count, list.tasks[i].parent_pid) &&
                    !contains(*pids, *count, list.tasks[i].pid))
                    (*pids)[(*count)++] = list.tasks[i].pid;
        }
    }
    matrix_task_list_free(&list);
    return *pids ? NULL : error_host(ENOMEM, "find the processes of %s", vm->name);
}
