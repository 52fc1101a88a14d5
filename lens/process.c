// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes and their threads, as /proc has them. What ends while it is looked at is left out. */
#include "base/cleanup.h"
#include "base/error.h"
#include "lens/explain.h"
#include "lens/internal.h"
#include "lens/proc_text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of stat has 52 numbers and a name of 64 bytes at most. */
#define STAT_BYTES 2048

static void cleanup_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

#define CLEANUP_DIRECTORY __attribute__((cleanup(cleanup_directory)))

static struct matrix_error *fail(enum lens_request request, pid_t pid, int number)
{
    const struct lens_subject subject = {.pid = pid};
    return lens_explain(request, &subject, number);
}

/* What /proc says of processes that are gone or another's, in the lens's words. */
static int translate_number(int number)
{
    return number == ENOENT ? ESRCH : number == EACCES ? EPERM : number;
}

struct matrix_error *process_open(enum lens_request request, const struct lens_subject *subject,
                                  int *directory)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", subject->pid);
    *directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory < 0 ? lens_explain(request, subject, translate_number(errno)) : NULL;
}

/* The first bytes of a file, which ends them with 0; returns 0 or an errno. */
static int read_text(int directory, const char *name, char *text, size_t size)
{
    CLEANUP_CLOSE int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t bytes;
    do
        bytes = read(fd, text, size - 1);
    while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return errno;
    text[bytes] = '\0';
    return 0;
}

/* Reads "NAME/stat" in a directory; returns 0 or an errno, ESRCH when that task is gone. */
static int read_stat(int directory, const char *name, struct matrix_lens_task *task)
{
    char path[NAME_MAX + 8], text[STAT_BYTES];
    snprintf(path, sizeof(path), "%s/stat", name);
    const int number = read_text(directory, path, text, sizeof(text));
    if (number)
        return translate_number(number);
    return proc_text_stat(text, (uint64_t)sysconf(_SC_CLK_TCK), task) ? 0 : ESRCH;
}

int process_memory_gone(int directory)
{
    struct matrix_lens_task task;
    const int number = read_stat(directory, ".", &task);
    if (number)
        return number;
    return task.kernel_thread || task.state == 'Z' || task.state == 'X' ? ENXIO : 0;
}

struct matrix_error *process_open_file(enum lens_request request,
                                       const struct lens_subject *subject, int directory,
                                       const char *name, int *fd)
{
    *fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0)
        return NULL;
    int number = errno;
    const int gone = process_memory_gone(directory);
    /* The file is missing, though the process is not: so the kernel does not have it. */
    if (number == ENOENT && !gone)
        number = ENOSYS;
    else if (gone && number != EACCES && number != EMFILE && number != ENFILE)
        number = gone;
    return lens_explain(request, subject, translate_number(number));
}

/* --- lists ------------------------------------------------------------------------------------ */

/* Whether a task belongs in a list. */
typedef bool wanted(const struct matrix_lens_task *task, pid_t parent_pid);

struct gathering {
    struct matrix_task_list *list;
    size_t capacity;
    wanted *wanted;
    pid_t parent_pid;
};

/* Returns 0 or ENOMEM. */
static int gather(struct gathering *gathering, const struct matrix_lens_task *task)
{
    struct matrix_task_list *list = gathering->list;
    if (!gathering->wanted(task, gathering->parent_pid))
        return 0;
    if (list->count == gathering->capacity) {
        const size_t capacity = gathering->capacity ? 2 * gathering->capacity : 64;
        struct matrix_lens_task *tasks = reallocarray(list->tasks, capacity, sizeof(*tasks));
        if (!tasks)
            return ENOMEM;
        list->tasks = tasks;
        gathering->capacity = capacity;
    }
    list->tasks[list->count++] = *task;
    list->total = list->count;
    return 0;
}

/* The next name in a directory that is a number, as those of processes and threads are. */
static const char *next_number(DIR *directory)
{
    const struct dirent *entry;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            return entry->d_name;
    return NULL;
}

static int gather_tasks(DIR *directory, struct gathering *gathering, pid_t pid)
{
    const char *name;
    int number = 0;
    errno = 0;
    while (!number && (name = next_number(directory))) {
        struct matrix_lens_task task;
        number = read_stat(dirfd(directory), name, &task);
        if (!number) {
            task.pid = pid ? pid : task.pid;
            number = gather(gathering, &task);
        }
        /* It ended meanwhile, or another user's is hidden. */
        number = number == ESRCH || number == EPERM ? 0 : number;
        errno = 0;
    }
    return number ? number : errno == ENOENT || errno == ESRCH ? 0 : errno;
}

/* Every process by its first thread. */
static int gather_processes(struct gathering *gathering)
{
    CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
    return proc ? gather_tasks(proc, gathering, 0) : errno;
}

static int gather_threads(struct gathering *gathering)
{
    CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
    if (!proc)
        return errno;
    const char *name;
    while ((name = next_number(proc))) {
        char path[NAME_MAX + 16];
        snprintf(path, sizeof(path), "/proc/%s/task", name);
        CLEANUP_DIRECTORY DIR *tasks = opendir(path);
        if (!tasks && errno != ENOENT && errno != ESRCH && errno != EACCES && errno != EPERM)
            return errno;
        const int number =
            tasks ? gather_tasks(tasks, gathering, (pid_t)strtol(name, NULL, 10)) : 0;
        if (number)
            return number;
    }
    return 0;
}

static bool is_running(const struct matrix_lens_task *task, pid_t parent_pid)
{
    return task->state == 'R';
}

static bool is_child(const struct matrix_lens_task *task, pid_t parent_pid)
{
    return task->parent_pid == parent_pid;
}

static bool is_any(const struct matrix_lens_task *task, pid_t parent_pid)
{
    return true;
}

/* A list or an error, never both. */
static struct matrix_error *finish(struct matrix_task_list *list, enum lens_request request,
                                   pid_t pid, int number)
{
    if (!number)
        return NULL;
    matrix_task_list_free(list);
    return fail(request, pid, number);
}

struct matrix_error *process_running(const struct matrix_lens *lens, struct matrix_task_list *list)
{
    struct gathering gathering = {.list = list, .wanted = is_running};
    return finish(list, LENS_RUNNING, 0, gather_threads(&gathering));
}

struct matrix_error *process_all(struct matrix_task_list *list)
{
    struct gathering gathering = {.list = list, .wanted = is_any};
    return finish(list, LENS_RUNNING, 0, gather_processes(&gathering));
}

/* The process that a thread belongs to; returns 0 or an errno. */
static int read_process_of(int directory, pid_t *pid)
{
    static const char field[] = "\nTgid:\t";
    char text[STAT_BYTES];
    const int number = read_text(directory, "status", text, sizeof(text));
    if (number)
        return translate_number(number);
    /* The name, which stands above it, has its newlines escaped here. */
    const char *found = strstr(text, field);
    const long process = found ? strtol(found + strlen(field), NULL, 10) : 0;
    if (process <= 0 || process > INT_MAX)
        return ESRCH;
    *pid = (pid_t)process;
    return 0;
}

struct matrix_error *process_children(const struct matrix_lens *lens, pid_t pid,
                                      struct matrix_task_list *list)
{
    const struct lens_subject subject = {.pid = pid};
    struct matrix_lens_task task;
    CLEANUP_CLOSE int directory = -1;
    RETURN_IF_ERROR(process_open(LENS_CHILDREN, &subject, &directory));
    struct gathering gathering = {.list = list, .wanted = is_child};
    int number = read_process_of(directory, &gathering.parent_pid);
    number = number ? number : gather_processes(&gathering);
    /* Of a process that ended meanwhile the children are another's. */
    const int gone = read_stat(directory, ".", &task);
    number = number ? number : gone;
    return finish(list, LENS_CHILDREN, pid, number);
}

struct matrix_error *process_read(pid_t pid, struct matrix_lens_task *task)
{
    const struct lens_subject subject = {.pid = pid};
    CLEANUP_CLOSE int directory = -1;
    RETURN_IF_ERROR(process_open(LENS_PROCESS, &subject, &directory));
    const int number = read_stat(directory, ".", task);
    return number ? fail(LENS_PROCESS, pid, number) : NULL;
}
