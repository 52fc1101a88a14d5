// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds processes and guests, and where their memory is; see subject.h. */
#include "ksm/subject.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "ksm/guests.h"
#include "ksm/mappings.h"
#include "ksm/qemu.h"
#include <errno.h>
#include <matrix/lens.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void subject_free(struct ksm_subject *subject)
{
    free(subject->regions);
}

void ksm_subject_list_free(struct ksm_subject_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        subject_free(&list->subjects[i]);
    free(list->subjects);
    *list = (struct ksm_subject_list){0};
}

void ksm_subject_list_drop(struct ksm_subject_list *list, size_t index)
{
    struct ksm_subject *subject = &list->subjects[index];
    subject_free(subject);
    memmove(subject, subject + 1, (--list->count - index) * sizeof(*subject));
}

uint64_t ksm_subject_pages(const struct ksm_subject *subject)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < subject->region_count; i++)
        pages += subject->regions[i].bytes / MATRIX_PAGE_BYTES;
    return pages;
}

char *ksm_subject_label(const struct ksm_subject_list *list, size_t index,
                        char label[KSM_LABEL_BYTES])
{
    const struct ksm_subject *subject = &list->subjects[index];
    size_t same = 0;
    for (size_t i = 0; i < list->count; i++)
        same += strcmp(list->subjects[i].name, subject->name) == 0;
    snprintf(label, KSM_LABEL_BYTES, same > 1 ? "%s %d" : "%s", subject->name, subject->pid);
    return label;
}

/* Takes what is in subject over, also when it fails. */
static struct matrix_error *append(struct ksm_subject_list *list, struct ksm_subject *subject)
{
    struct ksm_subject *grown =
        reallocarray(list->subjects, list->count + 1, sizeof(*list->subjects));
    if (!grown) {
        subject_free(subject);
        return error_host(ENOMEM, "keep a list of processes");
    }
    list->subjects = grown;
    list->subjects[list->count++] = *subject;
    return NULL;
}

static bool can_be_anonymous(const struct ksm_mapping *mapping)
{
    return mapping->is_private && (mapping->is_anonymous || mapping->is_writable) &&
           !mapping->no_access && !mapping->is_special &&
           mapping->end - mapping->start < KSM_RESERVATION_BYTES;
}

static struct matrix_error *plain_regions(struct ksm_subject *subject,
                                          const struct ksm_mapping *mappings, size_t count)
{
    subject->regions = calloc(count, sizeof(*subject->regions));
    if (!subject->regions)
        return error_host(ENOMEM, "keep the mappings of process %d", subject->pid);
    for (size_t i = 0; i < count; i++)
        if (can_be_anonymous(&mappings[i]))
            subject->regions[subject->region_count++] =
                (struct ksm_region){.gpa = mappings[i].start,
                                    .hva = mappings[i].start,
                                    .bytes = mappings[i].end - mappings[i].start};
    return NULL;
}

static struct matrix_error *find_process(const struct matrix_lens_task *task,
                                         struct ksm_subject_list *list)
{
    CLEANUP_FREE struct ksm_mapping *mappings = NULL;
    size_t count;
    struct ksm_subject subject = {
        .pid = task->pid, .start_time_ns = task->start_time_ns, .kind = KSM_PROCESS};
    memcpy(subject.name, task->name, sizeof(task->name));
    RETURN_IF_ERROR(ksm_mappings_read(task->pid, &mappings, &count));
    if (!ksm_qemu_detect(&subject, mappings, count))
        RETURN_IF_ERROR(plain_regions(&subject, mappings, count));
    return append(list, &subject);
}

static struct matrix_error *look_at(pid_t pid, struct matrix_lens_task *task)
{
    struct matrix_lens *lens;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_PROC, &lens));
    struct matrix_error *error = matrix_lens_process(lens, pid, task);
    matrix_lens_close(lens);
    return error;
}

static struct matrix_error *append_guest(const struct control_vm *vm, struct ksm_subject_list *list)
{
    struct ksm_subject subject;
    struct matrix_lens_task task;
    RETURN_IF_ERROR(look_at(vm->pid, &task));
    RETURN_IF_ERROR(ksm_guest_subject(vm, &subject));
    subject.start_time_ns = task.start_time_ns;
    return append(list, &subject);
}

struct matrix_error *ksm_subject_find(const char *text, struct ksm_subject_list *list)
{
    struct matrix_lens_task task = {0};
    struct ksm_guests guests = {0};
    uint64_t number = 0;
    struct matrix_error *error = parse_u64(text, 1, INT32_MAX, &number);
    matrix_error_free(error);
    if (number)
        RETURN_IF_ERROR(look_at((pid_t)number, &task));
    error = number ? ksm_guests_of(task.pid, &guests) : ksm_guests_named(text, &guests);
    for (size_t i = 0; !error && i < guests.count; i++)
        error = append_guest(&guests.vms[i], list);
    free(guests.vms);
    return error || guests.count ? error : find_process(&task, list);
}

/* What ends meanwhile, or is another user's, is left out. */
static bool is_passed_over(const struct matrix_error *error)
{
    return error->number == ESRCH || error->number == ENXIO || error->number == EPERM;
}

static struct matrix_error *find_guests(const struct ksm_guests *guests,
                                        struct ksm_subject_list *list)
{
    for (size_t i = 0; i < guests->count; i++) {
        struct matrix_error *error = append_guest(&guests->vms[i], list);
        if (error && error->number == ENOMEM)
            return error;
        matrix_error_free(error); /* it has ended meanwhile */
    }
    return NULL;
}

static bool is_monitor(pid_t pid, const struct ksm_guests *guests)
{
    for (size_t i = 0; i < guests->count; i++)
        if (guests->vms[i].pid == pid)
            return true;
    return false;
}

static struct matrix_error *find_mergeable(const struct matrix_task_list *tasks,
                                           const struct ksm_guests *guests,
                                           struct ksm_subject_list *list)
{
    for (size_t i = 0; i < tasks->count; i++) {
        if (tasks->tasks[i].kernel_thread || tasks->tasks[i].pid == getpid() ||
            is_monitor(tasks->tasks[i].pid, guests) ||
            !ksm_mappings_any_mergeable(tasks->tasks[i].pid))
            continue;
        struct matrix_error *error = find_process(&tasks->tasks[i], list);
        if (error && !is_passed_over(error))
            return error;
        matrix_error_free(error);
    }
    return NULL;
}

uint64_t ksm_memory_max(void)
{
    return KSM_MEMORY_FACTOR * (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void ksm_subject_list_limit(struct ksm_subject_list *list, size_t first, uint64_t bytes)
{
    uint64_t pages = 0;
    for (size_t i = first; i < list->count; i++)
        pages += ksm_subject_pages(&list->subjects[i]);
    while (pages > bytes / MATRIX_PAGE_BYTES) {
        size_t largest = first;
        for (size_t i = first; i < list->count; i++)
            if (ksm_subject_pages(&list->subjects[i]) > ksm_subject_pages(&list->subjects[largest]))
                largest = i;
        pages -= ksm_subject_pages(&list->subjects[largest]);
        ksm_subject_list_drop(list, largest);
        list->left_out++;
    }
}

struct matrix_error *ksm_subject_find_all(struct ksm_subject_list *list)
{
    struct matrix_lens *lens;
    struct matrix_task_list tasks = {0};
    struct ksm_guests guests = {0};
    const size_t first = list->count;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_PROC, &lens));
    struct matrix_error *error = matrix_lens_processes(lens, &tasks);
    matrix_lens_close(lens);
    if (!error)
        error = ksm_guests_all(&guests);
    if (!error)
        error = find_guests(&guests, list);
    if (!error)
        error = find_mergeable(&tasks, &guests, list);
    if (!error)
        ksm_subject_list_limit(list, first, ksm_memory_max());
    matrix_task_list_free(&tasks);
    free(guests.vms);
    return error;
}
