// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads the files of /sys/kernel/mm/ksm; see host.h. */
#include "ksm/host.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "ksm/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* More than any kernel has, and an end for a tree that is no kernel's. */
#define FILES_MAX 256

struct file {
    char name[KSM_NAME_BYTES];
    int fd;
};

/* What the profit is computed of; the order is that of struct ksm_profit_terms. */
enum { SHARED, SHARING, UNSHARED, VOLATILE, ZERO, TERMS };
static const char *const term_names[TERMS] = {"pages_shared", "pages_sharing", "pages_unshared",
                                              "pages_volatile", "ksm_zero_pages"};

struct ksm_host {
    struct file *files;
    size_t count, capacity;
    bool computes_profit;
    ssize_t terms[TERMS]; /* their files; -1: none */
    uint64_t page_bytes;
};

int ksm_read_again(int fd, char *text, size_t size)
{
    const ssize_t got = pread(fd, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return got < 0 ? errno : 0;
}

static ssize_t find(const struct ksm_host *host, const char *name)
{
    for (size_t i = 0; i < host->count; i++)
        if (strcmp(host->files[i].name, name) == 0)
            return (ssize_t)i;
    return -1;
}

/* From a descriptor that would be closed at the end of its scope. */
static int hand_out(int *fd)
{
    const int taken = *fd;
    *fd = -1;
    return taken;
}

static struct matrix_error *add_file(struct ksm_host *host, int directory, const char *name)
{
    struct stat status;
    if (strlen(name) >= KSM_NAME_BYTES || host->count == FILES_MAX)
        return NULL;
    /* Not to be stopped by a FIFO in a tree that is no kernel's. */
    CLEANUP_CLOSE int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
        return NULL;
    if (host->count == host->capacity) {
        const size_t capacity = host->capacity ? 2 * host->capacity : 32;
        struct file *files = reallocarray(host->files, capacity, sizeof(*files));
        if (!files)
            return error_host(ENOMEM, "read the counters of KSM");
        host->files = files;
        host->capacity = capacity;
    }
    struct file *file = &host->files[host->count++];
    snprintf(file->name, sizeof(file->name), "%s", name);
    file->fd = hand_out(&fd);
    return NULL;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static struct matrix_error *open_files(struct ksm_host *host, const char *root)
{
    DIR *directory = opendir(root);
    if (!directory)
        return error_new(MATRIX_ERROR_HOST, errno,
                         errno == ENOENT ? "a kernel with CONFIG_KSM; `matrix lab shell` has one"
                                         : NULL,
                         "look at KSM in %s", root);
    struct matrix_error *error = NULL;
    for (const struct dirent *entry; !error && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            error = add_file(host, dirfd(directory), entry->d_name);
    closedir(directory);
    if (!error && find(host, "pages_sharing") < 0 && find(host, "pages_shared") < 0)
        return error_host(0, "%s has no counters of KSM that can be read", root);
    return error;
}

struct matrix_error *ksm_host_open(const char *root, struct ksm_host **host)
{
    *host = calloc(1, sizeof(**host));
    if (!*host)
        return error_host(ENOMEM, "read the counters of KSM");
    struct matrix_error *error = open_files(*host, root);
    if (error) {
        ksm_host_close(TAKE(*host));
        return error;
    }
    qsort((*host)->files, (*host)->count, sizeof((*host)->files[0]), compare_files);
    for (size_t i = 0; i < TERMS; i++)
        (*host)->terms[i] = find(*host, term_names[i]);
    (*host)->computes_profit = find(*host, "general_profit") < 0;
    (*host)->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    return NULL;
}

void ksm_host_close(struct ksm_host *host)
{
    if (!host)
        return;
    for (size_t i = 0; i < host->count; i++)
        close(host->files[i].fd);
    free(host->files);
    free(host);
}

size_t ksm_host_count(const struct ksm_host *host)
{
    return host->count + host->computes_profit;
}

void ksm_host_counter(const struct ksm_host *host, size_t index, struct ksm_counter *counter)
{
    const bool computed = index >= host->count;
    const char *name = computed ? "general_profit" : host->files[index].name;
    *counter = (struct ksm_counter){.computed = computed};
    snprintf(counter->name, sizeof(counter->name), "%s", name);
    snprintf(counter->unit, sizeof(counter->unit), "%s", ksm_text_unit(name));
}

/* Only the zero pages may be missing: kernels before 6.5 have none. */
static void compute_profit(const struct ksm_host *host, const struct ksm_reading *readings,
                           struct ksm_value *value)
{
    int64_t numbers[TERMS] = {0};
    *value = (struct ksm_value){.kind = KSM_NOTHING};
    for (size_t i = 0; i < TERMS; i++) {
        if (i == ZERO && host->terms[i] < 0)
            continue;
        if (host->terms[i] < 0 || readings[host->terms[i]].value.kind != KSM_NUMBER)
            return;
        numbers[i] = readings[host->terms[i]].value.number;
    }
    const struct ksm_profit_terms terms = {numbers[SHARED], numbers[SHARING], numbers[UNSHARED],
                                           numbers[VOLATILE], numbers[ZERO]};
    if (ksm_text_profit(&terms, host->page_bytes, &value->number))
        value->kind = KSM_NUMBER;
}

void ksm_host_read(const struct ksm_host *host, struct ksm_reading *readings)
{
    char text[512];
    for (size_t i = 0; i < host->count; i++) {
        ksm_read_again(host->files[i].fd, text, sizeof(text));
        ksm_text_value(text, &readings[i].value);
    }
    if (host->computes_profit)
        compute_profit(host, readings, &readings[host->count].value);
}
