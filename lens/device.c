// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel module as a source: requests to /dev/matrix. What the module answers is checked as any
 * other input: it may be another version, and counts become sizes of buffers.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "lens/explain.h"
#include "lens/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define TASKS_AT_FIRST 256
/* How often a list that has grown meanwhile is asked for again. */
#define TASKS_ATTEMPTS 8

/* Once more after a signal; returns 0 or an errno. */
static int request(int fd, unsigned long number, void *argument)
{
    int result;
    do
        result = ioctl(fd, number, argument);
    while (result < 0 && errno == EINTR);
    return result < 0 ? errno : 0;
}

static struct matrix_error *check_version(int fd, unsigned *features)
{
    struct matrix_lens_info info = {.size = sizeof(info)};
    const int number = request(fd, MATRIX_LENS_INFO, &info);
    if (number)
        return lens_explain(LENS_OPEN, &(struct lens_subject){.by_module = true}, number);
    if (info.version < MATRIX_LENS_VERSION || info.page_size != MATRIX_PAGE_BYTES)
        return error_new(MATRIX_ERROR_HOST, EPROTO, "build the module anew, and load it",
                         "the loaded module has version %u and pages of %u bytes, not %u and %llu",
                         info.version, info.page_size, MATRIX_LENS_VERSION, MATRIX_PAGE_BYTES);
    *features = info.features;
    return NULL;
}

struct matrix_error *device_open(int *fd, unsigned *features)
{
    const int opened = open(MATRIX_LENS_DEVICE, O_RDWR | O_CLOEXEC);
    if (opened < 0)
        return lens_explain(LENS_OPEN, &(struct lens_subject){.by_module = true}, errno);
    struct matrix_error *error = check_version(opened, features);
    if (error)
        close(opened);
    else
        *fd = opened;
    return error;
}

static struct matrix_error *device_translate(const struct matrix_lens *lens, pid_t pid,
                                             uint64_t address, size_t count, unsigned flags,
                                             uint64_t *entries)
{
    for (size_t done = 0; done < count;) {
        struct matrix_lens_translate argument = {
            .size = sizeof(argument),
            .flags = flags,
            .pid = pid,
            .address = address + done * MATRIX_PAGE_BYTES,
            .count = count - done,
            .entries = (uintptr_t)(entries + done),
        };
        int number = request(lens->device, MATRIX_LENS_TRANSLATE, &argument);
        /* More than was asked for, or nothing, which would go on for ever. */
        if (!number && (argument.count == 0 || argument.count > count - done))
            number = EPROTO;
        if (number) {
            const struct lens_subject subject = {.pid = pid,
                                                 .virtual_address =
                                                     address + done * MATRIX_PAGE_BYTES,
                                                 .by_module = true};
            return lens_explain(LENS_TRANSLATE, &subject, number);
        }
        done += argument.count;
    }
    return NULL;
}

static struct matrix_error *device_footprint(const struct matrix_lens *lens, pid_t pid,
                                             struct matrix_footprint *footprint)
{
    struct matrix_lens_footprint answer = {.size = sizeof(answer), .pid = pid};
    const int number = request(lens->device, MATRIX_LENS_FOOTPRINT, &answer);
    const struct lens_subject subject = {.pid = pid, .by_module = true};
    if (number)
        return lens_explain(LENS_FOOTPRINT, &subject, number);
    *footprint = (struct matrix_footprint){
        .mappings = answer.mappings,
        .virtual_bytes = answer.virtual_bytes,
        .resident_bytes = answer.resident_bytes,
        .resident_4k_bytes = answer.resident_4k_bytes,
        .resident_2m_bytes = answer.resident_2m_bytes,
        .anonymous_bytes = answer.anonymous_bytes,
        .file_bytes = answer.file_bytes,
        .shmem_bytes = answer.shmem_bytes,
        .ksm_bytes = answer.ksm_bytes,
        .hugetlb_2m_bytes = answer.hugetlb_2m_bytes,
        .hugetlb_1g_bytes = answer.hugetlb_1g_bytes,
        .zero_bytes = answer.zero_bytes,
        .device_bytes = answer.device_bytes,
        .swapped_bytes = answer.swapped_bytes,
        .no_access_bytes = answer.no_access_bytes,
    };
    return NULL;
}

/* Asks with so much room; returns 0 or an errno, and how many there were. */
static int ask_tasks(int fd, unsigned long number, pid_t pid, struct matrix_task_list *list,
                     uint32_t capacity)
{
    struct matrix_lens_task *tasks = calloc(capacity, sizeof(*tasks));
    if (!tasks)
        return ENOMEM;
    struct matrix_lens_tasks argument = {
        .size = sizeof(argument), .pid = pid, .capacity = capacity, .tasks = (uintptr_t)tasks};
    const int failure = request(fd, number, &argument);
    if (failure) {
        free(tasks);
        return failure;
    }
    free(list->tasks);
    list->tasks = tasks;
    list->total = argument.count;
    list->count = argument.count < capacity ? argument.count : capacity;
    for (size_t i = 0; i < list->count; i++)
        tasks[i].name[sizeof(tasks[i].name) - 1] = '\0';
    return 0;
}

static struct matrix_error *list_tasks(const struct matrix_lens *lens, unsigned long number,
                                       enum lens_request what, pid_t pid,
                                       struct matrix_task_list *list)
{
    uint32_t capacity = TASKS_AT_FIRST;
    for (unsigned attempt = 0; attempt < TASKS_ATTEMPTS; attempt++) {
        const int failure = ask_tasks(lens->device, number, pid, list, capacity);
        const struct lens_subject subject = {.pid = pid, .by_module = true};
        if (failure) {
            matrix_task_list_free(list);
            return lens_explain(what, &subject, failure);
        }
        if (list->total <= capacity || capacity == MATRIX_LENS_TASKS_MAX)
            break;
        /* A quarter more than there were: others start while we ask. */
        const uint64_t wanted = list->total + list->total / 4;
        capacity = wanted < MATRIX_LENS_TASKS_MAX ? (uint32_t)wanted : MATRIX_LENS_TASKS_MAX;
    }
    return NULL;
}

static struct matrix_error *device_running(const struct matrix_lens *lens,
                                           struct matrix_task_list *list)
{
    return list_tasks(lens, MATRIX_LENS_RUNNING, LENS_RUNNING, 0, list);
}

static struct matrix_error *device_children(const struct matrix_lens *lens, pid_t pid,
                                            struct matrix_task_list *list)
{
    return list_tasks(lens, MATRIX_LENS_CHILDREN, LENS_CHILDREN, pid, list);
}

struct matrix_error *device_byte(const struct matrix_lens *lens, const struct matrix_place *place,
                                 bool write, uint8_t *value)
{
    struct matrix_lens_byte argument = {
        .size = sizeof(argument),
        .flags = place->flags,
        .pid = place->pid,
        .value = write ? *value : 0,
        .virtual_address = place->virtual_address,
        .physical_address = place->physical_address,
    };
    const int number =
        request(lens->device, write ? MATRIX_LENS_WRITE_BYTE : MATRIX_LENS_READ_BYTE, &argument);
    if (!number) {
        *value = argument.value;
        return NULL;
    }
    const struct lens_subject subject = {.pid = place->pid,
                                         .virtual_address = place->virtual_address,
                                         .physical_address = place->physical_address,
                                         .by_module = true};
    return lens_explain(write ? LENS_WRITE : LENS_READ, &subject, number);
}

struct matrix_error *device_reparent(const struct matrix_lens *lens, pid_t pid, pid_t parent_pid,
                                     pid_t *old_parent_pid)
{
    struct matrix_lens_reparent argument = {
        .size = sizeof(argument), .pid = pid, .parent_pid = parent_pid};
    const int number = request(lens->device, MATRIX_LENS_REPARENT, &argument);
    const struct lens_subject subject = {.pid = pid, .parent_pid = parent_pid, .by_module = true};
    if (number)
        return lens_explain(LENS_REPARENT, &subject, number);
    *old_parent_pid = argument.old_parent_pid;
    return NULL;
}

const struct lens_source device_source = {
    .name = "module",
    .translate = device_translate,
    .footprint = device_footprint,
    .running = device_running,
    .children = device_children,
};
